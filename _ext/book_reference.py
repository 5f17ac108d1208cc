"""Sphinx extension: small repairs that let numpydoc docstrings become the reference page."""
from __future__ import annotations

import re
import sys
from pathlib import Path

from sphinx.util.nodes import make_refnode

ROOT = Path(__file__).resolve().parents[1]


def unlink_references(app, what, name, obj, options, lines):
    """``.. [1] Author (year)`` becomes a plain list item: footnote numbers repeat on one page."""
    for i, line in enumerate(lines):
        lines[i] = re.sub(r"^(\s*)\.\. \[(\w+)\] ", r"\1* ", line)
        lines[i] = re.sub(r"\s*\[(\d+)\]_", "", lines[i])


def find_public_name(app, env, node, contnode):
    """``:meth:`DeepLinearNetwork.imbalances``` is found from every module of the library."""
    if node.get("refdomain") != "py":
        return None
    known = env.get_domain("py").objects
    found = [name for name in known if name.startswith("bwlib.") and name.endswith("." + node["reftarget"])]
    if len(found) != 1:
        return None
    entry = known[found[0]]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, contnode, found[0])


def setup(app):
    sys.path.insert(0, str(ROOT))  # the library beside the book, installed or not
    app.connect("missing-reference", find_public_name)
    app.connect("autodoc-process-docstring", unlink_references)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
