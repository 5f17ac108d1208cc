"""From the book's Markdown (MyST: directives, roles, labels) to Markdown that every notebook program shows."""
from __future__ import annotations

import re
from collections.abc import Iterator

import book_sources
from book_sources import Directive

from .citations import Bibliography
from .numbers import Numbers, Target

MARKUP = re.compile(r"""(?msx)
      ^(?P<fence>```+|~~~+).*?^(?P=fence)[ ]*$                                      # a block of code
    | ^(?:\((?P<label>[\w:-]+)\)=\s*\n)?(?P<marks>\#{1,6})[ ]+(?P<title>[^\n]*)$     # a heading
    | \{(?P<role>[\w:]+)\}`(?P<content>[^`]+)`
    | (?P<ticks>`+).+?(?P=ticks)                                                    # code in a line
    | ^(?P<indent>[ ]*)\$\$(?P<formula>.+?)\$\$(?:[ ]*\((?P<equation>eq-[\w-]+)\))?
    """)
FORMULA = re.compile(r"(?s)\$\$.+?\$\$|\$[^$]+\$")
EXPLICIT = re.compile(r"(?s)(.+?)\s*<([^<>]+)>")
END_MARK = "∎"


def pieces(text: str) -> Iterator[str | Directive]:
    """The text cut at its directives and before its headings."""
    lines, position = text.splitlines(), 0
    for directive in book_sources.parse(text):
        if directive.line < position:  # inside of another one
            continue
        yield from sections("\n".join(lines[position:directive.line]))
        yield directive
        fence = book_sources.FENCE.match(lines[directive.line])["fence"]
        position = next(i for i in range(directive.line + 1, len(lines)) if lines[i].strip() == fence) + 1
    yield from sections("\n".join(lines[position:]))


def sections(text: str) -> Iterator[str]:
    cuts = [0, *(m.start() for m in MARKUP.finditer(text) if m["marks"]), len(text)]
    yield from (part.strip("\n") for a, b in zip(cuts, cuts[1:]) if (part := text[a:b]).strip())


class Plain:
    """Translates the texts of one page, in their order; ``pages`` are the pages that a link can lead to."""

    def __init__(self, page: str, pages: list[str], numbers: Numbers, bibliography: Bibliography):
        self.page, self.pages, self.numbers, self.bibliography = page, pages, numbers, bibliography
        self.headings = iter(numbers.headings[page])

    def piece(self, piece: str | Directive) -> str:
        return self.directive(piece) if isinstance(piece, Directive) else self.markdown(piece)

    def text(self, source: str) -> str:
        """A text that may contain directives."""
        return "\n\n".join(map(self.piece, pieces(source)))

    def markdown(self, source: str) -> str:
        """A text without directives."""
        return MARKUP.sub(self.markup, source)

    def markup(self, match: re.Match) -> str:
        if match["marks"]:
            return self.heading(match["marks"], match["title"], match["label"])
        if match["role"]:
            return self.role(match["role"], match["content"])
        if match["formula"]:
            return self.formula(match["indent"], match["formula"].strip(), match["equation"])
        return match[0]

    def heading(self, marks: str, title: str, label: str | None) -> str:
        text = " ".join(filter(None, [marks, next(self.headings), title]))
        return f"{anchor(label)}\n\n{text}" if label else text

    def formula(self, indent: str, formula: str, label: str | None) -> str:
        if not label:
            return f"{indent}$$\n{indent}{formula}\n{indent}$$"
        tag = rf"\tag{{{self.target(label).name[1:-1]}}}"
        return f"{indent}{anchor(label)}\n{indent}$$\n{indent}{formula}\n{indent}{tag}\n{indent}$$"

    def role(self, role: str, content: str) -> str:
        if role in ("cite:t", "cite:p"):
            return self.bibliography.cite(role, [key.strip() for key in content.split(",")])
        if role not in ("prf:ref", "eq", "numref", "ref"):
            raise ValueError(f"{self.page}: no plain form of the role {{{role}}}`{content}`")
        explicit = EXPLICIT.fullmatch(content)
        return self.link(explicit[2], explicit[1]) if explicit else self.link(content)

    def target(self, label: str) -> Target:
        if label not in self.numbers.targets:
            raise ValueError(f"{self.page}: the built book has nothing that is called {label!r}")
        return self.numbers.targets[label]

    def link(self, label: str, words: str = "") -> str:
        """A link within the notebook, or to another one; the name alone if the edition has no such page."""
        target = self.target(label)
        words = words or target.name
        if target.page not in self.pages:
            return words
        return f"[{words}]({'' if target.page == self.page else target.page + '.ipynb'}#{label})"

    def directive(self, d: Directive) -> str:
        kind = d.name.removeprefix("prf:")
        if kind in (*book_sources.KINDS, "definition"):
            return quote(f"{self.statement(d)}\n\n{self.text(d.body)}")
        if kind == "proof":
            return self.proof(d)
        if kind == "exercise":
            return f"{self.heading_of(d)}\n\n{self.text(d.body)}"
        if kind in ("admonition", "note", "warning", "tip"):
            title = f"**{self.markdown(d.title)}**\n\n" if d.title else ""
            return quote(title + self.text(d.body))
        raise ValueError(f"{self.page}: no plain form of the directive {d.name!r}")

    def statement(self, d: Directive) -> str:
        """**Theorem 2.3** (its title) — *classical*"""
        origin = "".join(f" — *{book_sources.PROVENANCE[c]}*" for c in d.classes if c in book_sources.PROVENANCE)
        return f"{anchor(d.label)}**{self.target(d.label).name}** ({self.markdown(d.title)}){origin}"

    def proof(self, d: Directive) -> str:
        """Folded; the empty lines let Markdown and formulas work inside."""
        name = self.target(d.label.removeprefix("proof-")).name
        body = self.text(d.body)
        gap = "\n\n" if body.endswith("$$") or re.match(r"[-*|] |\d+\. ", body.splitlines()[-1]) else " "
        return f"<details>\n<summary><b>Proof of {name}</b></summary>\n\n{body}{gap}{END_MARK}\n\n</details>"

    def heading_of(self, d: Directive) -> str:
        return f"{anchor(d.label)}\n\n### {self.target(d.label).name}. {self.markdown(d.title)}"


def anchor(label: str) -> str:
    return f'<a id="{label}"></a>'


def quote(text: str) -> str:
    """A block quotation.  Formulas keep to one line: Jupyter takes the marks > inside of one for mathematics."""
    text = FORMULA.sub(lambda m: " ".join(m[0].split()), text)
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())
