"""Sphinx extension: the search leads to a theorem or definition by its name.

Each enters the index of the search as "Theorem 2.3 (its name)", with its place on the page.
"""
from __future__ import annotations

import sys
from pathlib import Path

from sphinx.domains import ObjType
from sphinx_proof.domain import ProofDomain

sys.path.insert(0, str(Path(__file__).parent))
import book_sources  # noqa: E402

KINDS = (*book_sources.KINDS, "definition")


class StatementDomain(ProofDomain):
    object_types = {kind: ObjType(kind.title()) for kind in KINDS}

    def get_type_name(self, type, primary=False):
        return type.lname

    def get_objects(self):
        """Rows (name, text that is searched and shown, kind, page, anchor, priority)."""
        names = {d.label: d.title.replace("$", "") for page in book_sources.pages() for d in page.directives}
        for label, entry in getattr(self.env, "proof_list", {}).items():
            numbers = self.env.toc_fignumbers[entry["docname"]][entry["countertype"]][label]
            shown = f"{entry['realtype'].title()} {'.'.join(map(str, numbers))} ({names[label]})"
            # the name must differ from the anchor, or the search drops the anchor
            yield f"statement-{label}", shown, entry["realtype"], entry["docname"], label, 0


def drop_titles_of_statements(app, pagename, templatename, context, doctree):
    """The index has them as headings too, without number and with the badge: once is enough."""
    titles = app.builder.indexer._all_titles if getattr(app.builder, "indexer", None) else {}
    if pagename in titles:
        titles[pagename] = [(title, anchor) for title, anchor in titles[pagename] if anchor not in app.env.proof_list]


def setup(app):
    app.setup_extension("sphinx_proof")
    app.add_domain(StatementDomain, override=True)
    app.connect("html-page-context", drop_titles_of_statements)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": False}
