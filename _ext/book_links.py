"""What the extensions share: the statements of the book, their numbers, and links to them."""
from __future__ import annotations

import functools
import sys
from pathlib import Path

from docutils import nodes
from sphinx.util.nodes import make_refnode

sys.path.insert(0, str(Path(__file__).parent))
import book_sources  # noqa: E402


@functools.cache
def statements() -> dict[str, book_sources.Statement]:
    return {s.label: s for page in book_sources.pages() for s in page.statements}


@functools.cache
def users() -> dict[str, list[str]]:
    """Label of each statement -> the labels of those that use it, in the order of the book."""
    used = book_sources.uses(list(statements().values()))
    return {label: [other for other in used if label in used[other]] for label in used}


def number(env, label: str) -> str:
    """The number of a statement, as the reader sees it."""
    of_page = env.toc_fignumbers.get(statements()[label].page.docname, {})
    return ".".join(map(str, of_page.get("theorem", {}).get(label, ())))


def chapter_number(env, docname: str) -> str:
    return ".".join(map(str, env.titles[docname].get("secnumber", ())))


def link(app, docname, target, anchor, text):
    return make_refnode(app.builder, docname, target, anchor, nodes.Text(text))


def link_to(app, docname, label, text):
    return link(app, docname, statements()[label].page.docname, label, text)
