"""The prose of the project as a list of paragraphs, without code, formulas, labels and citations."""
from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from pathlib import Path
from typing import Iterator, NamedTuple

import book_sources

ROOT = book_sources.ROOT
PAPERS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "assignments/student/README.md", "benchmarks/README.md")
GAP = "¤"  # in place of a formula, a piece of code or a reference: a word that is not spelled

MARKUP = [  # in this order
    (r"(?s)<!--.*?-->", ""),
    (r"(?ms)^```\{book-index\}\n(.*?)^```$", r"\1"),
    (r"(?m)^([^|\n]+) \| [a-z]+-[\w-]+.*$", r"\1\n"),
    (r"(?ms)^ *(`{3,}).*?^ *\1$", GAP),
    (r"(?s)\$\$.*?\$\$(?:\s*\([\w-]+\))?", GAP),
    (r"(?s)(?<![\\\w])\$[^$]+\$", GAP),
    (r"\{[\w:-]+\}`([^`<>]+?)\s*<[^`<>]+>`", r"\1"),
    (r"(?:\{[\w:-]+\}|:[\w:]+:)`[^`]+`", GAP),
    (r"``[^`]+``|`[^`]+`_*", GAP),
    (r"(?m)^:{3,}\{solution-\w+\}.*$", "\n"),
    (r"(?m)^:{3,}(?:\{[\w:-]+\})?|^:[\w-]+:.*$|^\([\w-]+\)=$", "\n"),
    (r"!?\[([^][]+)\]\([^()\s]*\)", r"\1"),
    (r"</?[a-z]\w*[^>]*>|https?://[^\s)]+", ""),
    (r"\b\w+(?:\.\w+){2,}|\b\w+_\w+", GAP),
    (r"\\([$*_|])", r"\1"),
    (r"\*+", ""),
]
NUMPYDOC = [
    (r"(?ms)^\s*>>> .*?(?=^\s*$|\Z)", "\n"),
    (r"(?m)^[A-Z]\w+\n-+$|^[\w*\\, ]+ : .*$|^\w+(?:, \w+)*$(?=\n    )", "\n"),
    (r"(?m)^\.\. math::.*(?:\n[ \t]*(?:\n|[ \t]\S.*))*", GAP),
    (r"(?m)^\.\. \w+::", ""),
]
INDENTED_CODE = re.compile(r"(?m)(?<=\n\n)(?: {4,}\S.*\n)+")
IN_A_COMMENT = re.compile(r"\S*[\^/=]\S*|\w+[_.(\[]\S+|\w*[_\d]\w*")  # names and formulas of the code
BLOCK = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*+]|\d+\.) )|\n(?=#)|\n?\|")


class Paragraph(NamedTuple):
    place: str
    text: str


def plain(markdown: str) -> str:
    for pattern, replacement in MARKUP:
        markdown = re.sub(pattern, replacement, markdown)
    return markdown


def blocks(place: str, text: str) -> Iterator[Paragraph]:
    for block in BLOCK.split(text):
        block = " ".join(block.split())
        if re.search(r"[^\W\d_]", block):
            yield Paragraph(place, re.sub(r"^(?:#+|[-*+]|\d+\.) ", "", block))


def notebook(path: Path) -> Iterator[Paragraph]:
    """The text of a notebook, the captions of its figures, what stands in place of these, and the comments in its code."""
    for i, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        place = f"{path.name}, cell {i}"
        if cell["cell_type"] == "markdown":
            yield from blocks(place, plain("".join(cell["source"])))
        else:
            yield from comments(place, "".join(cell["source"]))
        settings = cell["metadata"].get("mystnb", {})
        yield from blocks(place, plain(settings.get("figure", {}).get("caption", "")))
        yield from blocks(place, plain(settings.get("image", {}).get("alt", "")))


def comments(place: str, source: str) -> Iterator[Paragraph]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield from blocks(place, IN_A_COMMENT.sub(GAP, token.string.lstrip("# ")))


def module(path: Path) -> Iterator[Paragraph]:
    """The comments of a module, and its docstrings without headings, types, formulas and examples."""
    source = path.read_text(encoding="utf-8")
    yield from comments(f"{path.relative_to(ROOT)}", source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            text = ast.get_docstring(node) or ""
            for pattern, replacement in NUMPYDOC:
                text = re.sub(pattern, replacement, text)
            yield from blocks(f"{path.relative_to(ROOT)}: {getattr(node, 'name', 'module')}", plain(text))


def paragraphs() -> list[Paragraph]:
    found = []
    for page in book_sources.pages():
        if page.path.suffix == ".ipynb":
            found += notebook(page.path)
        else:
            found += blocks(page.path.name, plain(page.text))
    for path in sorted((ROOT / "assignments" / "source").glob("*/*.ipynb")):
        found += notebook(path)
    for name in PAPERS:
        if (ROOT / name).exists():
            text = (ROOT / name).read_text(encoding="utf-8")
            found += blocks(name, plain(INDENTED_CODE.sub(GAP, text)))
    for path in sorted((ROOT / "bwlib").rglob("*.py")):
        found += module(path)
    return found
