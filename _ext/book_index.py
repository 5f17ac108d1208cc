"""Sphinx extension: the index of terms.

The directive ``book-index`` holds one entry a line, ``term | label`` or ``term | label | words``.
The label is that of a section or of a numbered statement; the entry leads to the statement, or to the
first paragraph of the section that contains the words (without words: the term itself).  Each
part of the title of a definition is an entry without being listed.  An entry whose words are
not found is a warning, so that the index cannot outlive the text.
"""
from __future__ import annotations

import re
import sys
import unicodedata
from itertools import groupby
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).parent))
import book_sources  # noqa: E402
from book_links import link  # noqa: E402

PAGE = "chapters/terms"
logger = logging.getLogger(__name__)


def listed(page: book_sources.Page) -> list[tuple[str, str, str]]:
    """The lines of the directive: term, label, words."""
    lines = [line for d in page.directives if d.name == "book-index" for line in d.body.splitlines() if line.strip()]
    parts = [[part.strip() for part in line.split("|")] for line in lines]
    return [(term, label, (words or [term])[0]) for term, label, *words in parts]


def defined(page: book_sources.Page) -> list[tuple[str, str, str]]:
    """The parts of the titles of a page's definitions, with a capital only where it belongs to a name."""
    found = []
    for d in page.directives:
        for term in d.title.split(", ") if d.name == "prf:definition" else []:
            name = re.search(r"[a-z] " + re.split(r"\W", term)[0], page.text)
            found.append((term if name else term[0].lower() + term[1:], d.label, term))
    return found


def squeezed(node) -> str:
    return " ".join(node.astext().split()).lower()


class MarkTerms(SphinxTransform):
    """Put the entries into the page, before Sphinx collects them."""

    default_priority = 700

    def apply(self):
        pages = {page.docname: page for page in book_sources.pages()}
        if self.env.docname not in pages or PAGE not in pages:
            return
        page = pages[self.env.docname]
        self.env.note_dependency(str(pages[PAGE].path))
        for n, (term, label, words) in enumerate([*defined(page), *listed(pages[PAGE])]):
            if label in page.labels:
                self.mark(term, label, words.lower(), f"term-{n}")

    def mark(self, term, label, words, anchor):
        home = next((x for x in self.document.findall(nodes.Element) if label in (*x.get("ids", []), *x.get("names", []))), None)
        if isinstance(home, nodes.section):
            place = next((x for x in home.findall(nodes.paragraph) if words in squeezed(x)), None)
        else:
            place = home if home is not None and words in squeezed(home) else None
        if place is None:
            logger.warning("the index lists %r, but %r is not found at %s", term, words, label)
            return
        while isinstance(around := place.parent, nodes.Admonition) or isinstance(around.parent, nodes.Admonition):
            place = around
        entry = addnodes.index(entries=[("single", term, anchor, "", None)])
        mark = nodes.target("", "", ids=[anchor], classes=["index-target"])
        self.document.note_explicit_target(mark, mark)
        place.parent.insert(place.parent.index(place), [entry, mark])


class book_index(nodes.General, nodes.Element):
    """Stands for the index until all numbers are known."""


class BookIndex(SphinxDirective):
    has_content = True

    def run(self):
        for page in book_sources.pages():
            self.env.note_dependency(str(page.path))
        return [book_index()]


def order(term: str):
    """Alphabetical, without regard to accents, capitals, dashes."""
    plain = unicodedata.normalize("NFKD", term.replace("Ł", "L").replace("ø", "o"))
    return re.sub(r"[^a-z0-9 ]", "", plain.lower())


def fill_index(app, doctree, docname):
    for node in list(doctree.findall(book_index)):
        places = {}
        for page in [page for page in book_sources.pages() if page.docname in app.env.all_docs]:
            for kind, term, anchor, *_ in app.env.get_domain("index").entries.get(page.docname, []):
                if anchor.startswith("term-"):
                    places.setdefault(term, []).append((page.docname, anchor))
        names = {page.docname: place_names(app.env, page.docname) for page in book_sources.pages() if page.docname in app.env.all_docs}
        parts = []
        for letter, terms in groupby(sorted(places, key=order), key=lambda term: order(term)[0].upper()):
            parts.append(nodes.rubric("", letter, classes=["index-letter"]))
            items = nodes.bullet_list(classes=["book-index"])
            for term in terms:
                text = nodes.paragraph("", term)
                for target, anchor in places[term]:
                    text += [nodes.Text(", "), link(app, docname, target, anchor, names[target][anchor])]
                items += nodes.list_item("", text)
            parts.append(items)
        node.replace_self(parts)


def place_names(env, docname) -> dict[str, str]:
    """How the index calls the place of each entry of a page: by the statement at it, or the section around it."""
    numbers, sections = env.toc_fignumbers.get(docname, {}).get("theorem", {}), env.toc_secnumbers.get(docname, {})
    found = {}
    for mark in env.get_doctree(docname).findall(nodes.target):
        if "index-target" not in mark["classes"]:
            continue
        at = mark.next_node(lambda x: not isinstance(x, (nodes.target, addnodes.index)), descend=False, siblings=True)
        if at.get("label") in numbers:
            found[mark["ids"][0]] = f"{at.get('realtype', 'definition')} {dotted(numbers[at['label']])}"
            continue
        around = []
        while at := at.parent:
            around += [sections.get("#" + at["ids"][0])] if isinstance(at, nodes.section) else []
        inner = next(filter(None, around), None)
        found[mark["ids"][0]] = f"section {dotted(inner)}" if inner else f"chapter {dotted(sections[''])}"
    return found


def dotted(number) -> str:
    return ".".join(map(str, number))


def setup(app):
    app.add_node(book_index)
    app.add_directive("book-index", BookIndex)
    app.add_transform(MarkTerms)
    app.connect("doctree-resolved", fill_index)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
