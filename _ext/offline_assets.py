"""Sphinx extension: the built book asks the network for nothing.

* MathJax: one self-contained file (TeX in, SVG out, no web fonts) is copied from the
  package sphinx-mathjax-offline; by default Sphinx would point to a content network.
* Thebe (live code): Jupyter Book declares its address on every page even when it is
  switched off, which makes browsers report an error.  The book does not use it.
* Under singlehtml every node gets the same writer as under html: sphinx-exercise
  registers itself for singlehtml, which hides the html writers of everybody else.
"""
from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

MATHJAX = "tex-svg-full.js"


def mathjax_source() -> Path:
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise RuntimeError("MathJax is missing: pip install -r requirements.txt")
    return Path(spec.origin).parent / "static" / "mathjax" / MATHJAX


def use_local_mathjax(app, config):
    config.mathjax_path = f"mathjax/{MATHJAX}"


def copy_mathjax(app, exc):
    if exc is None and app.builder.format == "html":
        target = Path(app.outdir) / "_static" / "mathjax"
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy2(mathjax_source(), target / MATHJAX)


def drop_thebe(app, pagename, templatename, context, doctree):
    def keep(js):
        name = str(getattr(js, "filename", None) or "")
        body = (getattr(js, "attributes", None) or {}).get("body") or ""
        return "thebe" not in name and "THEBE_JS_URL" not in body

    if "script_files" in context:
        context["script_files"] = [js for js in context["script_files"] if keep(js)]
    context["theme_use_thebe"] = False


def share_html_writers(app):
    writers = app.registry.translation_handlers
    if "singlehtml" in writers:
        writers["singlehtml"] = {**writers.get("html", {}), **writers["singlehtml"]}


def setup(app):
    app.connect("config-inited", use_local_mathjax)
    app.connect("builder-inited", share_html_writers)
    app.connect("html-page-context", drop_thebe, priority=990)
    app.connect("build-finished", copy_mathjax)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
