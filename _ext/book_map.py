"""Sphinx extension: maps of the book, drawn from what its sources refer to when it is built.

``chapter-map`` draws the chapters with what they need, and lists their times; it reads the box
"At a glance" of each chapter.  ``statement-maps`` draws, for each chapter, which statement is
used in which proof; it reads the references inside statements and proofs.  The pictures are SVG
with links; the same in words stands below each of them, and alone where there is no SVG (LaTeX).
"""
from __future__ import annotations

import html
import sys
import textwrap
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).parent))
import book_sources  # noqa: E402
from book_links import chapter_number, link, link_to, number, statements, users  # noqa: E402
from book_statements import table  # noqa: E402

LINE = 15  # pixels from one line of text to the next


# ---------------------------------------------------------------- placing


def layers(before: dict[str, list[str]]) -> tuple[list[list], list[list]]:
    """The items layer by layer, and the paths of the arrows through the layers.

    ``before[x]`` lists what comes before x.  Each item stands one layer after the last of those.
    A path names the items it joins and, for every layer between them, a place of its own:
    a pair of names.
    """
    level = {}
    for x in TopologicalSorter(before).static_order():
        level[x] = max((level[y] + 1 for y in before[x]), default=0)
    rows = [[x for x in before if level[x] == n] for n in range(max(level.values()) + 1)]
    paths = []
    for x in before:
        for y in before[x]:
            places = [(y, x, n) for n in range(level[y] + 1, level[x])]
            for place in places:
                rows[place[2]].append(place)
            paths.append([y, *places, x])
    untangle(rows, paths)
    return rows, paths


def untangle(rows, paths) -> None:
    """Order each layer by the mean place of the neighbours in the layer before, then after, and again."""
    steps = [step for path in paths for step in pairwise(path)]
    for sweep in range(8):
        forward = sweep % 2 == 0
        order = range(1, len(rows)) if forward else range(len(rows) - 2, -1, -1)
        for n in order:
            place = {x: i for i, x in enumerate(rows[n - 1 if forward else n + 1])}
            near = {x: [place[a if forward else b] for a, b in steps if (b if forward else a) == x] for x in rows[n]}
            wish = {x: sum(near[x]) / len(near[x]) if near[x] else i for i, x in enumerate(rows[n])}
            rows[n].sort(key=wish.get)


def positions(rows, paths, size, gap) -> dict:
    """Where each item begins across its layer: near the mean of its neighbours, none on another one."""
    def length(row):
        return sum(map(size, row)) + gap * (len(row) - 1)

    steps, at = [step for path in paths for step in pairwise(path)], {}
    extent = max(map(length, rows))
    for row in rows:
        free = 0
        for x in row:
            wish = [at[a] + (size(a) - size(x)) / 2 for a, b in steps if b == x]
            at[x] = max(free, sum(wish) / len(wish) if wish else 0)
            free = at[x] + size(x) + gap
        free = extent
        for x in reversed(row):
            at[x] = min(at[x], free - size(x))
            free = at[x] - gap
    return at


# ---------------------------------------------------------------- drawing


class Box:
    """A rectangle with a heading and more lines, linked to ``href``; ``needs`` are smaller links at its foot."""

    def __init__(self, heading, text, href, style="", needs=()):
        self.heading, self.href, self.style, self.width = heading, href, style, 148
        self.title = f"{heading}: {text}"
        self.lines = textwrap.wrap(text, 20)
        self.needs = [needs[i:i + 4] for i in range(0, len(needs), 4)]
        self.height = 12 + LINE * (1 + len(self.lines) + len(self.needs))

    def svg(self, x, y, name):
        at = [(x + 8, y + 6 + LINE * (n + 0.75)) for n in range(1 + len(self.lines) + len(self.needs))]
        rect = f'<rect x="{x:.0f}" y="{y:.0f}" width="{self.width}" height="{self.height}" rx="6"/>'
        texts = [f'<text class="map-heading" x="{at[0][0]:.0f}" y="{at[0][1]:.0f}">{html.escape(self.heading)}</text>']
        texts += [f'<text x="{a:.0f}" y="{b:.0f}">{html.escape(line)}</text>' for (a, b), line in zip(at[1:], self.lines)]
        feet = []
        for n, ((a, b), links) in enumerate(zip(at[1 + len(self.lines):], self.needs)):
            words = ", ".join(f'<a href="{href}">{html.escape(text)}</a>' for text, href in links)
            before, after = "from " if n == 0 else "", "," if n + 1 < len(self.needs) else ""
            feet.append(f'<text class="map-needs" x="{a:.0f}" y="{b:.0f}">{before}{words}{after}</text>')
        return (f'<g class="map-box {self.style}" data-name="{name}"><a href="{self.href}"><title>{html.escape(self.title)}'
                f'</title>{rect}{" ".join(texts)}</a>{"".join(feet)}</g>')


def draw(boxes: dict[str, Box], before: dict[str, list[str]], label: str, down: bool) -> str:
    """The boxes in layers from left to right, or ``down`` the page, with arrows between them."""
    rows, paths = layers(before)
    size = (lambda x: boxes[x].width if x in boxes else 8) if down else (lambda x: boxes[x].height if x in boxes else 8)
    depth = (lambda x: boxes[x].height) if down else (lambda x: boxes[x].width)
    across = positions(rows, paths, size, 14)
    gap, along, end = (44 if down else 30), {}, 4
    thickness = [max(depth(x) for x in row if x in boxes) for row in rows]
    for row, thick in zip(rows, thickness):
        along |= {x: end for x in row}
        end += thick + gap
    extent = max(across[x] + size(x) for row in rows for x in row)
    layer = {x: n for n, row in enumerate(rows) for x in row}

    def point(a, b):
        return f"{b:.0f} {a:.0f}" if down else f"{a:.0f} {b:.0f}"

    arrows = []
    for path in paths:
        middle = {x: across[x] + size(x) / 2 + 4 for x in path}
        start = along[path[0]] + depth(path[0])
        d = [f"M{point(start, middle[path[0]])}"]
        for a, b in pairwise(path):
            edge = along[a] + thickness[layer[a]]
            d += [f"L{point(edge, middle[a])}" if edge > start else "",
                  f"C{point(edge + gap / 2, middle[a])} {point(along[b] - gap / 2, middle[b])} {point(along[b], middle[b])}"]
        a, b = along[path[-1]], middle[path[-1]]
        head = f"M{point(a, b)}L{point(a - 7, b - 3.5)}L{point(a - 7, b + 3.5)}Z"
        arrows.append(f'<g data-from="{path[0]}" data-to="{path[-1]}"><path d="{"".join(d)}"/><path class="map-head" d="{head}"/></g>')
    places = {x: ((across[x] + 4, along[x]) if down else (along[x], across[x] + 4)) for x in boxes}
    drawn = "".join(boxes[x].svg(*places[x], x) for x in before)
    width, height = (extent + 8, end - gap + 4) if down else (end - gap + 4, extent + 8)
    return (f'<div class="map-frame"><svg class="map" xmlns="http://www.w3.org/2000/svg" role="group" '
            f'aria-label="{html.escape(label)}" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}"><g class="map-arrows" aria-hidden="true">{"".join(arrows)}</g>'
            f'{drawn}</svg></div>')


# ---------------------------------------------------------------- the chapters


def reduced(before: dict[str, list[str]]) -> dict[str, list[str]]:
    """Without what is needed through something else that is needed."""
    def all_before(x):
        return {z for y in before[x] for z in (y, *all_before(y))}

    return {x: [y for y in before[x] if not any(y in all_before(z) for z in before[x])] for x in before}


class chapter_map(nodes.General, nodes.Element):
    """Stands for the map of the chapters until all numbers are known."""


class ChapterMap(SphinxDirective):
    def run(self):
        for page in book_sources.pages():
            self.env.note_dependency(str(page.path))
        return [chapter_map()]


def fill_chapter_map(app, doctree, docname):
    for node in list(doctree.findall(chapter_map)):
        found = [page for page in book_sources.pages() if page.docname in app.env.all_docs]
        needs = book_sources.prerequisites(found)
        chapters = {page.docname: page for page in found if page.is_chapter}
        before = reduced({x: [y for y in needs[x] if y in chapters] for x in chapters})
        drawn = []
        if app.builder.format == "html":
            boxes = {x: Box(f"Chapter {chapter_number(app.env, x)}", app.env.titles[x].astext(),
                            app.builder.get_relative_uri(docname, x)) for x in chapters}
            drawn = [nodes.raw("", draw(boxes, before, "The chapters and what they need", down=True), format="html")]
        rows = [(chapter_link(app, docname, x, app.env.titles[x].astext()),
                 listed(chapter_link(app, docname, y) for y in needs[x]),
                 nodes.Text(page.glance["Time"].split(";")[0])) for x, page in chapters.items()]
        node.replace_self([*drawn, table(("Chapter", "Needs", "Time"), rows, (40, 25, 35))])


def chapter_link(app, docname, target, title=""):
    return link(app, docname, target, None, f"{chapter_number(app.env, target)} {title}".strip())


def listed(links):
    paragraph = nodes.paragraph()
    for n, one in enumerate(links):
        paragraph += [*([nodes.Text(", ")] if n else []), one]
    return paragraph


# ---------------------------------------------------------------- the statements


class statement_map(nodes.General, nodes.Element):
    """Stands for the map of one chapter's statements until all numbers are known."""


class StatementMaps(SphinxDirective):
    def run(self):
        sections = []
        for page in book_sources.pages():
            if page.statements:
                self.env.note_dependency(str(page.path))
                title = page.text.split("\n# ", 1)[1].splitlines()[0]
                section = nodes.section("", nodes.title("", title), statement_map(page=page),
                                        ids=[f"map-{Path(page.docname).name}".replace("_", "-")])
                sections.append(section)
        return sections


def fill_statement_maps(app, doctree, docname):
    for node in list(doctree.findall(statement_map)):
        page, used = node["page"], book_sources.uses(list(statements().values()))
        own = {s.label: s for s in page.statements}
        drawn = []
        if app.builder.format == "html":
            boxes = {x: statement_box(app, docname, s, [y for y in used[x] if y not in own]) for x, s in own.items()}
            before = {x: [y for y in used[x] if y in own] for x in own}
            drawn = [nodes.raw("", draw(boxes, before, "Which statement is used in which proof", down=False), format="html")]
        rows = [(link_to(app, docname, x, f"{s.kind} {number(app.env, x)}"),
                 listed(link_to(app, docname, y, number(app.env, y)) for y in sorted(used[x], key=list(statements()).index)),
                 listed(link_to(app, docname, y, number(app.env, y)) for y in users()[x])) for x, s in own.items()]
        words = table(("Statement", "Uses", "Used in"), rows, (30, 35, 35))
        if drawn:
            words = nodes.admonition("", nodes.title("", "The same in words"), words, classes=["dropdown", "map-words"])
        node.replace_self([*drawn, words])


def statement_box(app, docname, statement, needs):
    def href(label):
        return app.builder.get_relative_uri(docname, statements()[label].page.docname) + "#" + label

    return Box(f"{statement.kind} {number(app.env, statement.label)}", statement.directive.title.replace("$", ""),
               href(statement.label), f"provenance-{statement.provenance[0]}",
               [(number(app.env, y), href(y)) for y in sorted(needs, key=list(statements()).index)])


def setup(app):
    app.add_node(chapter_map)
    app.add_node(statement_map)
    app.add_directive("chapter-map", ChapterMap)
    app.add_directive("statement-maps", StatementMaps)
    app.connect("doctree-resolved", fill_chapter_map)
    app.connect("doctree-resolved", fill_statement_maps)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
