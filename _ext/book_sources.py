"""Read the sources of the book: statements, proofs, exercises, figures, labels.

Used by the statement ledger and by the tests; needs nothing but nbformat.
"""
from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("theorem", "proposition", "lemma", "corollary")
PREFIX = {"theorem": "thm-", "proposition": "prop-", "lemma": "lem-", "corollary": "cor-", "definition": "def-",
          "exercise": "ex-", "solution-start": "sol-"}
PROVENANCE = {"classical": "classical", "paper": "the paper", "ours": "this book"}
RESIDUALS = ROOT / "tests" / "test_statements" / "residuals.json"

REFERENCE = re.compile(r"\{(prf:ref|eq|numref|ref)\}`(?:[^`<]*<)?([^`>]+)>?`")
EQUATION = re.compile(r"\$\$\s*\((eq-[\w-]+)\)")
FENCE = re.compile(r"^(?P<fence>:{3,}|`{3,})\{(?P<name>[\w:-]+)\}[ \t]*(?P<title>.*)$")


@dataclass
class Directive:
    """One fenced directive of a Markdown text."""

    name: str
    title: str
    options: dict[str, str]
    body: str
    cell: int
    line: int

    @property
    def label(self) -> str:
        return self.options.get("label", "")

    @property
    def classes(self) -> list[str]:
        return self.options.get("class", "").split()


def referred(text: str, *roles: str) -> list[str]:
    """The labels that a text refers to, each once, in the order of their first occurrence."""
    return list(dict.fromkeys(label.strip() for role, label in REFERENCE.findall(text) if not roles or role in roles))


@dataclass
class Statement:
    """A numbered theorem, proposition, lemma or corollary with what stands behind it."""

    directive: Directive
    page: "Page"
    proof: Directive | None = None
    citations: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        return self.directive.label

    @property
    def kind(self) -> str:
        return self.directive.name.removeprefix("prf:").title()

    @property
    def provenance(self) -> list[str]:
        return [c for c in self.directive.classes if c in PROVENANCE]

    @property
    def test_name(self) -> str:
        return "test_" + self.label.replace("-", "_")

    @property
    def text(self) -> str:
        """The statement and its proof."""
        return self.directive.body + "\n\n" + (self.proof.body if self.proof else "")


@dataclass(eq=False)
class Page:
    """One page of the book: a notebook or a Markdown file."""

    path: Path

    @cached_property
    def cells(self) -> list:
        if self.path.suffix == ".ipynb":
            return nbformat.read(self.path, as_version=4).cells
        text = self.path.read_text(encoding="utf-8")
        return [nbformat.from_dict({"cell_type": "markdown", "source": text, "metadata": {}})]

    @property
    def docname(self) -> str:
        return self.path.relative_to(ROOT).with_suffix("").as_posix()

    @property
    def is_chapter(self) -> bool:
        return self.path.name[:2].isdigit()

    @cached_property
    def directives(self) -> list[Directive]:
        return [d for i, c in enumerate(self.cells) if c.cell_type == "markdown" for d in parse(c.source, i)]

    @property
    def text(self) -> str:
        return "\n\n".join(c.source for c in self.cells if c.cell_type == "markdown")

    @cached_property
    def labels(self) -> list[str]:
        """Everything on the page that can be referred to."""
        found = [d.label for d in self.directives if d.label]
        found += re.findall(r"^\(([\w:-]+)\)=\s*$", self.text, re.M)
        found += EQUATION.findall(self.text)
        figures = (c.metadata.get("mystnb", {}).get("figure", {}) for c in self.cells)
        return found + [f["name"] for f in figures if f.get("name")]

    @cached_property
    def glance(self) -> dict[str, str]:
        """The box at the head of a chapter: "What you will learn", "What you need", "Time" and their texts."""
        box = next((d for d in self.directives if d.name == "admonition" and d.title == "At a glance"), None)
        return dict(re.findall(r"\*\*([^*]+)\.\*\*\s+(.*?)\s*(?=\n\n|\Z)", box.body, re.S)) if box else {}

    @cached_property
    def statements(self) -> list[Statement]:
        found, proofs = [], {d.label: d for d in self.directives if d.name == "prf:proof"}
        numbered = [d for d in self.directives if d.name.startswith("prf:") and d.name != "prf:proof"]
        for d, following in zip(numbered, [*numbered[1:], None]):
            if d.name.removeprefix("prf:") in KINDS:
                s = Statement(d, self, proofs.get("proof-" + d.label))
                if s.proof is None:
                    cited = re.search(r"\bWe cite\b[^.]*?\{cite:[tp]s?\}`([^`]+)`", self.between(d, following))
                    s.citations = [k.strip() for k in cited[1].split(",")] if cited else []
                found.append(s)
        return found

    def between(self, start: Directive, end: Directive | None) -> str:
        """The Markdown text from the end of one directive to the beginning of another one."""
        texts = []
        for i, cell in enumerate(self.cells):
            if cell.cell_type != "markdown" or i < start.cell or (end and i > end.cell):
                continue
            lines = cell.source.splitlines()
            first = start.line + 1 if i == start.cell else 0
            last = end.line if end and i == end.cell else len(lines)
            texts.append("\n".join(lines[first:last]))
        return "\n\n".join(texts)


def parse(text: str, cell: int = 0) -> list[Directive]:
    """All directives of a text, outer ones first; fences that are never closed raise ValueError."""
    lines, found, i = text.splitlines(), [], 0
    while i < len(lines):
        match = FENCE.match(lines[i])
        if not match:
            i += 1
            continue
        end = next((j for j in range(i + 1, len(lines)) if lines[j].strip() == match["fence"]), None)
        if end is None:
            raise ValueError(f"cell {cell}: the fence of {lines[i]!r} is never closed")
        options, body = {}, i + 1
        while body < end and (option := re.match(r"^:([\w-]+):[ \t]*(.*)$", lines[body])):
            options[option[1]] = option[2].strip()
            body += 1
        inner = "\n".join(lines[body:end])
        found.append(Directive(match["name"], match["title"].strip(), options, inner, cell, i))
        if match["name"] not in ("code-block", "code", "math", "eval-rst"):
            for child in parse(inner, cell):
                child.line += body
                found.append(child)
        i = end + 1
    return found


def pages() -> list[Page]:
    """Every page of the book that exists, in alphabetical order of the files (chapters first)."""
    folder = ROOT / "chapters"
    files = [p for p in folder.iterdir() if p.suffix in (".ipynb", ".md")] if folder.is_dir() else []
    return [Page(p) for p in sorted(files)]


def uses(found: list[Statement]) -> dict[str, list[str]]:
    """Label of each statement -> the labels of the other ones that it or its proof refers to.

    A reference to a formula counts for the statement that contains it, or whose proof does.
    """
    home = {name: s.label for s in found for name in [s.label, *EQUATION.findall(s.text)]}
    links = {s.label: dict.fromkeys(home[name] for name in referred(s.text) if name in home) for s in found}
    return {label: [other for other in used if other != label] for label, used in links.items()}


def prerequisites(found: list[Page]) -> dict[str, list[str]]:
    """Page of each chapter -> the pages that its paragraph "What you need" refers to."""
    home = {label: page.docname for page in found for label in page.labels}
    return {page.docname: list(dict.fromkeys(home[label] for label in referred(page.glance["What you need"])))
            for page in found if page.glance}


def statement_tests() -> dict[str, tuple[Path, bool]]:
    """Test name -> (its file, whether it takes the fixture ``residual``)."""
    found = {}
    for path in sorted((ROOT / "tests" / "test_statements").glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found[node.name] = path, "residual" in [a.arg for a in node.args.args]
    return found


def residuals() -> dict[str, dict[str, float]]:
    """Test name -> {"residual", "bound"}: the check of the test that came closest to its bound."""
    return json.loads(RESIDUALS.read_text(encoding="utf-8")) if RESIDUALS.exists() else {}
