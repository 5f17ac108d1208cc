"""Citations as [Author, year], and the entries of the bibliography in Markdown."""
from __future__ import annotations

import re
from functools import cached_property

from pybtex.database import Entry, parse_file
from pybtex.plugin import find_plugin
from pybtex.richtext import Text

from . import ROOT


class Bibliography:
    """The file chapters/references.bib."""

    @cached_property
    def data(self):
        return parse_file(str(ROOT / "chapters" / "references.bib"))

    def cite(self, role: str, keys: list[str]) -> str:
        """``Villani [2009]`` for the role ``cite:t``, ``[Villani, 2009]`` for ``cite:p``, linked to the entry."""
        entries = sorted(((key, self.data.entries[key]) for key in keys), key=lambda pair: (authors(pair[1]), year(pair[1])))
        if role == "cite:t":
            return ", ".join(f"{authors(entry)} [[{year(entry)}](#cite-{key})]" for key, entry in entries)
        return "[" + "; ".join(f"[{authors(entry)}, {year(entry)}](#cite-{key})" for key, entry in entries) + "]"

    def list(self, keys: set[str]) -> str:
        """A Markdown list of the entries, in the order of the bibliography."""
        style = find_plugin("pybtex.style.formatting", "plain")()
        found = [entry for entry in style.format_entries(self.data.entries.values(), self.data) if entry.key in keys]
        return "\n".join(f'- <a id="cite-{entry.key}"></a>{markdown(entry.text)}' for entry in found)


def authors(entry: Entry) -> str:
    """Last names; three or more authors are the first one and others."""
    names = [str(Text.from_latex(" ".join(p.prelast_names + p.last_names))) for p in entry.persons["author"]]
    return " and ".join(names) if len(names) < 3 else f"{names[0]} *et al.*"


def year(entry: Entry) -> str:
    return entry.fields["year"]


def markdown(text: Text) -> str:
    """In one line, without the backslashes that Markdown does not need."""
    return re.sub(r"\\([-.()+!#])", r"\1", " ".join(text.render_as("markdown").split()))
