"""Sphinx extension: the tests of the statements as pages of the book, one per chapter.

Each test stands under the name of its statement, to which it links back; the statement ledger
links here.  The pages are read from ``tests/test_statements`` when the book is built.
"""
from __future__ import annotations

import ast
import functools
import html
import sys
from pathlib import Path

from docutils import nodes
from sphinx.util.nodes import make_refnode

sys.path.insert(0, str(Path(__file__).parent))
import book_sources  # noqa: E402
from book_links import number, statements  # noqa: E402


@functools.cache
def places() -> dict[str, str]:
    """Name of each test -> its page."""
    return {name: f"tests/{path.stem}" for name, (path, _) in book_sources.statement_tests().items()}


def link(app, docname, name):
    """The name of a test, without ``test_``, with a link where there are pages to link to."""
    text = nodes.literal("", name.removeprefix("test_"))
    if app.builder.name != "html":
        return text
    return make_refnode(app.builder, docname, places()[name], name, text)


def blocks(source: str) -> list[tuple[str, str]]:
    """The parts of a module: (name of the test, its text), with the name "" for what is no test."""
    lines, found = source.splitlines(), [("", [])]
    starts = {min([node.lineno, *[d.lineno for d in node.decorator_list]]): node
              for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    for i, line in enumerate(lines, 1):
        if i in starts:
            name = starts[i].name
            found.append((name if name.startswith("test_") else "", []))
        found[-1][1].append(line)
    return [(name, "\n".join(text).strip("\n")) for name, text in found]


def pages(app):
    if app.builder.name != "html":
        return
    tested = {s.test_name: s for s in statements().values()}
    chapters = {places()[name]: s.page.docname for name, s in tested.items()}
    for path in sorted({path for path, _ in book_sources.statement_tests().values()}):
        here = f"tests/{path.stem}"
        chapter = html.escape(app.env.titles[chapters[here]].astext())
        back = app.builder.get_relative_uri(here, chapters[here])
        body = [f'<h1>Tests: <a href="{back}">{chapter}</a></h1>']
        for name, text in blocks(path.read_text(encoding="utf-8")):
            if name in tested:
                s = tested[name]
                body.append(f'<h2 id="{name}"><a href="{back}#{s.label}">{s.kind} {number(app.env, s.label)}</a></h2>')
            elif name:
                body.append(f'<h2 id="{name}"><code>{name}</code></h2>')
            body.append(app.builder.highlighter.highlight_block(text, "python3"))
        yield here, {"title": f"Tests: {chapter}", "body": "\n".join(body)}, "page.html"


def setup(app):
    app.connect("html-collect-pages", pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
