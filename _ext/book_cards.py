"""Sphinx extension: the texts of statements and formulas, kept for the cards that ``book.js`` shows.

Each page with statements or numbered formulas gets a small script with their texts, which the
reader's browser loads when a reference to one of them is pointed at.  (A script and not a data file,
because pages opened from a disk may not read data files.)
"""
from __future__ import annotations

import json
import re
from pathlib import Path

from bs4 import BeautifulSoup, SoupStrainer

SHOWN = "div.proof[id]:not(.proof-box), div.math[id]"
PARSED = SoupStrainer("div", class_=re.compile(r"^(proof|math)\b"))
LEFT_OUT = ".statement-foot, .headerlink"


def texts(body: str) -> dict[str, str]:
    """Anchor -> markup without links and ids."""
    soup, found = BeautifulSoup(body, "html.parser", parse_only=PARSED), {}
    for unwanted in soup.select(LEFT_OUT):
        unwanted.decompose()
    for link in soup.select("a"):
        link.unwrap()
    for part in soup.select(SHOWN):
        found[part["id"]] = part
    for tag in soup.find_all(id=True):
        del tag["id"]
    return {anchor: str(part) for anchor, part in found.items()}


def write_texts(app, pagename, templatename, context, doctree):
    if doctree is None or app.builder.name != "html":
        return
    found = texts(context["body"])
    if found:
        script = f"bookCards[{json.dumps(pagename)}] = {json.dumps(found, ensure_ascii=False)};\n"
        path = Path(app.outdir) / "_static" / "cards" / f"{pagename}.js"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script, encoding="utf-8")


def setup(app):
    app.set_html_assets_policy("always")  # MathJax also on pages that have formulas in cards only
    app.connect("html-page-context", write_texts)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
