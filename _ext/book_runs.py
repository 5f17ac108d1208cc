"""Sphinx extension: how long the notebooks take, as ``make refresh`` measured it.

The directive ``run-times`` makes one table for each kind of machine and set of versions that the
stored run times name (see tools/refresh.py): a single one after a complete run.
"""
from __future__ import annotations

import json
import sys
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).parent))
import book_sources  # noqa: E402
from book_links import chapter_number, link  # noqa: E402
from book_statements import table  # noqa: E402

RUN_TIMES = book_sources.ROOT / "chapters" / "run_times.json"


class run_times(nodes.General, nodes.Element):
    """Stands for the tables until all titles are known."""


class RunTimes(SphinxDirective):
    def run(self):
        self.env.note_dependency(str(RUN_TIMES))
        return [run_times()]


def fill(app, doctree, docname):
    for node in list(doctree.findall(run_times)):
        groups, parts = {}, []
        for name, run in json.loads(RUN_TIMES.read_text(encoding="utf-8")).items():
            groups.setdefault(run["where"], []).append((f"chapters/{Path(name).stem}", run["seconds"]))
        for where, runs in groups.items():
            total = sum(seconds for _, seconds in runs)
            rows = [(link(app, docname, page, None, title(app.env, page)), nodes.Text(duration(seconds)))
                    for page, seconds in runs]
            parts.append(nodes.paragraph("", f"On {where}:"))
            parts.append(table(("Page", "Run time"), [*rows, (nodes.Text("together"), nodes.Text(duration(total)))], (80, 20)))
        node.replace_self(parts)


def title(env, docname: str) -> str:
    return f"{chapter_number(env, docname)} {env.titles[docname].astext()}".strip()


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 1 else "less than 1 s"


def setup(app):
    app.add_node(run_times)
    app.add_directive("run-times", RunTimes)
    app.connect("doctree-resolved", fill)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
