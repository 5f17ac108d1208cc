"""Sphinx extension: repairs of what the theme writes into the pages.

* Icons are drawings in the page, in place of a script of 1.5 MB that every page would load to draw ten of them.
* Names for screen readers that contradict the words on a button are dropped; roles fit the elements.
"""
from __future__ import annotations

import re
from pathlib import Path

from sphinx.util import logging

logger = logging.getLogger(__name__)

REPAIRS = (
    (r'<script defer src="[^"]*/fontawesome\.js[^"]*"></script>',
     "<!-- Icons: Font Awesome Free by @fontawesome, CC BY 4.0, Copyright Fonticons, Inc. -->"),
    (r'(<button class="btn search-button-field[^>]*?) aria-label="Search"', r"\1"),
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    (r'<div id="pst-primary-sidebar"', r'<div id="pst-primary-sidebar" role="navigation" aria-label="Book"'),
    (r'role="doc-biblioentry"', 'role="listitem"'),
)
ICON = re.compile(r'<(i|span) class="([^"]*\b(?:fas|fa-solid)\b[^"]*)"([^>]*)>\s*</\1>')
DRAWING = re.compile(r'"?([a-z][\w-]*)"?:\[(\d+),(\d+),\[[^\]]*\],"[0-9a-f]+","([^"]+)"\]')


def read_drawings(static: Path) -> dict[str, list[str]]:
    """Name of an icon -> width, height and outline; of several styles the script has the solid one last."""
    script = (static / "scripts" / "fontawesome.js").read_text(encoding="utf-8")
    return {name: drawing for name, *drawing in DRAWING.findall(script)}


def draw_icon(match: re.Match, drawings: dict[str, list[str]]) -> str:
    classes, attributes = match[2].split(), match[3]
    names = [c.removeprefix("fa-") for c in classes if c.removeprefix("fa-") in drawings]
    if not names:
        logger.warning("no drawing of the icon %s", match[0])
        return match[0]
    width, height, outline = drawings[names[0]]
    mode = re.search(r' data-mode="\w+"', attributes)  # by which the theme's switch shows one of three
    return (f'<svg class="svg-inline--fa {" ".join(classes)}"{mode[0] if mode else ""} aria-hidden="true" '
            f'viewBox="0 0 {width} {height}"><path fill="currentColor" d="{outline}"/></svg>')


def repair(app, exc):
    if exc is not None or app.builder.name != "html":
        return
    folder = Path(app.outdir)
    drawings = read_drawings(folder / "_static")
    for path in folder.rglob("*.html"):
        if path.relative_to(folder).parts[0].startswith("_"):
            continue
        text = ICON.sub(lambda match: draw_icon(match, drawings), path.read_text(encoding="utf-8"))
        for old, new in REPAIRS:
            text = re.sub(old, new, text)
        path.write_text(text, encoding="utf-8")


def setup(app):
    app.connect("build-finished", repair)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
