"""Sphinx extension: where a statement comes from (a badge), and the statement ledger.

A theorem, proposition, lemma or corollary carries one of the classes ``classical``, ``paper``
and ``ours``; the badge says "classical", "the paper" or "this book".  The directive
``statement-ledger`` lists every statement with its proof or citation, its test, and the largest
residual that the test saw (see ``book_sources``; the numbers are stored by ``make ledger``).
At the foot of each statement one line links to its row of the ledger and to the statements
that use it.
"""
from __future__ import annotations

import re
import sys
from pathlib import Path

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).parent))
import book_sources  # noqa: E402
import book_tests  # noqa: E402
from book_links import chapter_number, link, link_to, number, statements, users  # noqa: E402

LEDGER = "chapters/statement_ledger"

logger = logging.getLogger(__name__)


def add_badges(app, doctree):
    for node in doctree.findall(nodes.Admonition):
        kinds = [c for c in node.get("classes", []) if c in book_sources.PROVENANCE]
        if "proof" not in node.get("classes", []) or not kinds or not isinstance(node[0], nodes.title):
            continue
        if len(kinds) > 1:
            logger.warning("more than one of the classes %s", kinds, location=node)
        text = book_sources.PROVENANCE[kinds[0]]
        node[0] += [nodes.Text(" "), nodes.inline("", text, classes=["provenance", f"provenance-{kinds[0]}"])]


def add_feet(app, doctree, docname):
    """One line at the foot of each statement: its users, and its row of the ledger."""
    if app.builder.format != "html":
        return
    for box in list(doctree.findall(nodes.Admonition)):
        label = box.get("label")
        if label not in statements():
            continue
        foot = nodes.paragraph(classes=["statement-foot"])
        for n, other in enumerate(users()[label]):
            foot += nodes.Text(", " if n else "Used in ")
            foot += link_to(app, docname, other, number(app.env, other))
        foot += nodes.Text(". " if users()[label] else "")
        foot += link(app, docname, LEDGER, f"ledger-{label}", "Ledger")
        box += foot


class ledger(nodes.General, nodes.Element):
    """Stands for the ledger until all numbers are known."""


class StatementLedger(SphinxDirective):
    def run(self):
        folder = book_sources.ROOT
        for path in [*(folder / "chapters").glob("*.ipynb"), *(folder / "tests/test_statements").glob("*.*")]:
            self.env.note_dependency(str(path))
        return [ledger()]


def fill_ledger(app, doctree, docname):
    for node in list(doctree.findall(ledger)):
        tests, seen, parts = book_sources.statement_tests(), book_sources.residuals(), []
        for page in book_sources.pages():
            if page.statements and page.docname in app.env.all_docs:
                parts += chapter_table(app, docname, page, tests, seen)
        node.replace_self(parts or [nodes.paragraph("", "No numbered statements yet.")])


def chapter_table(app, docname, page, tests, seen):
    env = app.env
    source = env.get_doctree(page.docname)
    heading = nodes.rubric(classes=["ledger-chapter"])
    title = f"{chapter_number(env, page.docname)} {env.titles[page.docname].astext()}"
    heading += link(app, docname, page.docname, None, title.strip())
    rows = [row(app, docname, page, source, s, tests, seen) for s in page.statements]
    return [heading, table(("Statement", "Origin", "Proof", "Test", "Residual, bound"), rows, (30, 10, 14, 28, 18))]


def row(app, docname, page, source, statement, tests, seen):
    label = statement.label
    box = next((n for n in source.findall(nodes.Admonition) if label in n.get("ids", [])), None)
    name = nodes.paragraph(ids=[f"ledger-{label}"])
    name += link_to(app, docname, label, f"{statement.kind} {number(app.env, label)}")
    if box and statement.directive.title:
        words = [c.deepcopy() for c in box[0].children
                 if not (isinstance(c, nodes.inline) and "provenance" in c["classes"])]
        name += [nodes.inline("", "", *words)]
    origin = [p for p in statement.provenance]
    badge = nodes.inline("", book_sources.PROVENANCE[origin[0]], classes=["provenance", f"provenance-{origin[0]}"]) \
        if origin else nodes.inline("", "not said")

    if statement.proof:
        proof = link(app, docname, page.docname, nodes.make_id(statement.proof.label), "proof")
    elif statement.citations:
        proof = nodes.inline("", "cited: ")
        proof += [cited(app, docname, key) for key in statement.citations]
    else:
        proof = nodes.inline("", "missing", classes=["ledger-missing"])

    if statement.test_name in tests:
        test = book_tests.link(app, docname, statement.test_name)
    else:
        test = nodes.inline("", "missing", classes=["ledger-missing"])
    found = seen.get(statement.test_name)
    if found:
        size = nodes.inline("", f"{short(found['residual'])}\u00a0≤\u00a0{short(found['bound'])}")
    elif statement.test_name in tests and not tests[statement.test_name][1]:
        size = nodes.inline("", "exact")
    else:
        size = nodes.inline("", "not recorded", classes=["ledger-missing"])
    return name, badge, proof, test, size


def cited(app, docname, key):
    entry = next((c for c in app.env.get_domain("cite").citations if c.key == key), None)
    if entry is None:
        logger.warning("the ledger cites an unknown key %r", key)
        return nodes.Text(key)
    names = [" ".join(p.last_names) for p in entry.entry.persons.get("author", [])]
    who = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
    who = re.sub(r"[{}]", "", who)
    return link(app, docname, entry.bibliography_key.docname, entry.citation_id, f"{who} ({entry.entry.fields['year']})")


def short(x):
    """1.4e-15 as a superscript-free short number; exact small integers stay as they are."""
    return "0" if x == 0 else f"{x:.2g}"


def table(header, rows, widths):
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=w) for w in widths]
    group += nodes.thead("", table_row([nodes.Text(h) for h in header]))
    group += nodes.tbody("", *[table_row(r) for r in rows])
    return nodes.table("", group, classes=["ledger"])


def table_row(cells):
    return nodes.row("", *[nodes.entry("", c if isinstance(c, nodes.paragraph) else nodes.paragraph("", "", c))
                           for c in cells])


def setup(app):
    app.add_node(ledger)
    app.add_directive("statement-ledger", StatementLedger)
    app.connect("doctree-read", add_badges)
    app.connect("doctree-resolved", fill_ledger)
    app.connect("doctree-resolved", add_feet)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
