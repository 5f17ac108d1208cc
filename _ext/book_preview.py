"""Sphinx extension: what other sites show beside a link to a page: its title, one sentence, and the book's picture.

The picture needs a full address.  It is given if ``html: baseurl`` in _config.yml is set.
"""
from __future__ import annotations

from html import escape

SENTENCE = "A textbook that runs: linear generators, trained with the Bures–Wasserstein loss, with proofs, code and exercises."
PICTURE = "_static/social.png"


def tags(title: str, sentence: str, address: str, pagename: str) -> dict[str, str]:
    found = {"og:type": "article", "og:title": title, "og:description": sentence}
    if address:
        address = address.rstrip("/")
        found |= {"og:url": f"{address}/{pagename}.html", "og:image": f"{address}/{PICTURE}",
                  "og:image:width": "1200", "og:image:height": "630"}
    return found


def add_tags(app, pagename, templatename, context, doctree):
    if doctree is None:
        return
    title = app.env.titles[pagename].astext()
    found = tags(title, SENTENCE, app.config.html_baseurl, pagename)
    context["metatags"] += f'\n<meta name="description" content="{escape(SENTENCE)}" />' + "".join(
        f'\n<meta property="{name}" content="{escape(value)}" />' for name, value in found.items())


def setup(app):
    app.connect("html-page-context", add_tags)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
