"""Finding one's way: what rests on what, the map, the ledger, the index, the cards, links from code."""
from __future__ import annotations

import ast
import json
import re
from graphlib import TopologicalSorter
from itertools import combinations
from pathlib import Path
from urllib.parse import unquote, urlsplit

import book_index
import book_map
import book_sources
import pytest
import yaml

import bwlib

ROOT = book_sources.ROOT
PAGES = {page.docname: page for page in book_sources.pages()}
CHAPTERS = [page for page in PAGES.values() if page.is_chapter]
STATEMENTS = {s.label: s for page in PAGES.values() for s in page.statements}
USES = book_sources.uses(list(STATEMENTS.values()))
HOME = {label: page.docname for page in PAGES.values() for label in page.labels}
TOC = [entry["file"] for part in yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
       for entry in part["chapters"]]


# ---------------------------------------------------------------- what rests on what


def test_no_circular_proofs():
    """Formulas of the running text count too: with what the text before them in their cell refers to."""
    home = {name: s.label for s in STATEMENTS.values() for name in [s.label, *book_sources.EQUATION.findall(s.text)]}
    before = {s.label: {home.get(name, name) for name in book_sources.referred(s.text, "prf:ref", "eq")} - {s.label}
              for s in STATEMENTS.values()}
    for page in PAGES.values():
        for cell in page.cells:
            for match in book_sources.EQUATION.finditer(cell.source if cell.cell_type == "markdown" else ""):
                if match[1] not in home:
                    text = cell.source[:match.start()]
                    before[match[1]] = {home.get(name, name) for name in book_sources.referred(text, "prf:ref", "eq")}
                    before[match[1]].discard(match[1])
    assert all(set(USES[label]) <= before[label] for label in STATEMENTS)
    TopologicalSorter(before).prepare()  # raises CycleError, which names the circle


def all_before(x, before):
    return {z for y in before[x] for z in (y, *all_before(y, before))}


def test_what_a_proof_uses_is_named_under_what_you_need():
    needs = {"chapters/appendix_toolbox": [], **book_sources.prerequisites(list(PAGES.values()))}
    order = {name: i for i, name in enumerate(TOC)} | {"chapters/appendix_toolbox": -1}
    later, unnamed = set(), []
    for label, used in USES.items():
        here = STATEMENTS[label].page.docname
        for there in {STATEMENTS[other].page.docname for other in used} - {here}:
            if order[there] > order[here]:
                later.add((Path(here).name[:2], Path(there).name[:2]))
            elif there not in all_before(here, needs):
                unnamed.append((label, there))
    assert not unnamed
    assert later == {("01", "02"), ("06", "07")}, "the page chapters/appendix_map.md names the exceptions"


TIME = re.compile(r"About (two|two and a half|three) hours with the proofs(, an? hour[\w ]*|, one hour without)?; the code runs in [^.]+\.")


def test_every_chapter_opens_in_the_same_form():
    for page in [*CHAPTERS, PAGES["chapters/appendix_toolbox"]]:
        assert list(page.glance) == ["What you will learn", "What you need", "Time"], page.docname
        box = next(d for d in page.directives if d.name == "admonition")
        assert box.title == "At a glance" and box.cell == 0, page.docname
    for page in CHAPTERS:  # "two to three hours" says the front page
        assert TIME.match(page.glance["Time"]), (page.docname, page.glance["Time"])
    assert "two to three hours with the proofs" in PAGES["chapters/index"].text


def test_front_page_names_every_page():
    text = PAGES["chapters/index"].text
    own = {name: next(label for label in PAGES[name].labels if label.startswith("sec-"))
           for name in TOC if name != "chapters/bibliography"}
    assert all(f"{{ref}}`{label}`" in text or f"<{label}>`" in text for label in own.values())
    listed = re.findall(r"^\d+\. \{ref\}`([\w-]+)`", text, re.M)
    assert listed == [own[page.docname] for page in CHAPTERS]


# ---------------------------------------------------------------- placing


def test_layers_and_positions():
    before = {"a": [], "b": ["a"], "c": ["a", "b"], "d": ["a", "c"], "e": []}
    rows, paths = book_map.layers(before)
    level = {x: n for n, row in enumerate(rows) for x in row}
    assert [level[x] for x in "abcde"] == [0, 1, 2, 3, 0]
    assert sorted(len(path) for path in paths) == [2, 2, 2, 3, 4]
    for path in paths:
        assert [level[x] for x in path] == list(range(level[path[0]], level[path[-1]] + 1))
    at = book_map.positions(rows, paths, lambda x: 10, 5)
    for row in rows:
        assert all(at[y] - at[x] >= 15 for x, y in zip(row, row[1:]))
    assert book_map.reduced({"a": [], "b": ["a"], "c": ["a", "b"]}) == {"a": [], "b": ["a"], "c": ["b"]}


# ---------------------------------------------------------------- the built pages


@pytest.fixture(scope="session")
def pages(html, soups):
    return {name: soups[html / f"{name}.html"] for name in PAGES}


def anchor(link) -> str:
    return unquote(urlsplit(link["href"]).fragment)


def targets(tags) -> list[str]:
    return [anchor(link) for tag in tags for link in tag.select("a[href*='#']:not(.headerlink)")]


def test_statement_ledger_test_and_back(html, soups, pages):
    ledger = pages["chapters/statement_ledger"]
    for s in STATEMENTS.values():
        foot = pages[s.page.docname].find(id=s.label).select_one("p.statement-foot")
        row = ledger.find(id=targets([foot])[-1])
        assert row["id"] == f"ledger-{s.label}"
        row = row.find_parent("tr")
        links = targets([row])
        assert links[0] == s.label
        test = row.select_one("a[href^='../tests/']")
        page = soups[(html / "chapters" / urlsplit(test["href"]).path).resolve()]
        heading = page.find(id=s.test_name)
        assert anchor(heading.a) == s.label
        assert f"def {s.test_name}(" in heading.find_next("pre").get_text()


def test_users_at_the_foot_of_a_statement(pages):
    """Read again from the finished pages: whose box or proof has a link to the statement or to a formula in it?"""
    boxes = {}
    for s in STATEMENTS.values():
        page = pages[s.page.docname]
        boxes[s.label] = [box for box in (page.find(id=s.label), page.find(id=f"proof-{s.label}")) if box]
    home = {tag["id"]: label for label, found in boxes.items() for box in found for tag in [box, *box.find_all(id=True)]}
    users = {label: set() for label in STATEMENTS}
    for label, found in boxes.items():
        for box in found:
            for link in box.select("a.reference[href*='#']"):
                other = home.get(anchor(link))
                if other and other != label and not link.find_parent(class_="statement-foot"):
                    users[other].add(label)
    for s in STATEMENTS.values():
        foot = boxes[s.label][0].select_one("p.statement-foot")
        assert set(targets([foot])[:-1]) == users[s.label], s.label


def rectangle(box):
    return [float(box.rect[name]) for name in ("x", "y", "width", "height")]


def test_map(pages):
    page = pages["chapters/appendix_map"]
    chapters, *maps = page.select("svg.map")
    assert [urlsplit(a["href"]).path for a in chapters.select("a")] == [f"{Path(p.docname).name}.html" for p in CHAPTERS]
    arrows = {(g["data-from"], g["data-to"]) for drawn in maps for g in drawn.select(".map-arrows > g")}
    assert arrows == {(other, label) for label, used in USES.items() for other in used
                      if STATEMENTS[other].page is STATEMENTS[label].page}
    drawn = [box for one in maps for box in one.select(".map-box")]
    assert [box["data-name"] for box in drawn] == list(STATEMENTS)
    for box in drawn:
        first, *needs = targets([box])
        assert first == box["data-name"] and box.a.title.get_text()
        assert set(needs) == {x for x in USES[first] if STATEMENTS[x].page is not STATEMENTS[first].page}
    for one in [chapters, *maps]:
        rectangles = [rectangle(box) for box in one.select(".map-box")]
        for x, y, width, height in rectangles:
            assert 0 <= x and x + width <= float(one["width"]) and 0 <= y and y + height <= float(one["height"])
        for (x, y, width, height), (u, v, w, h) in combinations(rectangles, 2):
            assert x + width <= u or u + w <= x or y + height <= v or v + h <= y, "boxes overlap"
    rows = page.select("table.ledger")[0].select("tbody tr")
    assert [row.select("td")[2].get_text() for row in rows] == [p.glance["Time"].split(";")[0] for p in CHAPTERS]


def test_index(html, pages):
    assert not (html / "genindex.html").exists()
    entries = pages["chapters/terms"].select("ul.book-index li")
    terms = [entry.p.find(string=True).rstrip(", ") for entry in entries]
    assert len(terms) == len(set(terms)) >= 80
    assert terms == sorted(terms, key=book_index.order)
    marked = set(targets(entries))
    for page in PAGES.values():
        for d in page.directives:
            if d.name == "prf:definition":
                places = pages[page.docname].find(id=d.label).find_previous_siblings(limit=8)
                assert marked & {tag.get("id") for tag in places}, d.label
    listed = book_index.listed(PAGES["chapters/terms"])
    assert listed == sorted(listed, key=lambda entry: book_index.order(entry[0])), "the lines of the directive are sorted"
    assert all(label in HOME for _, label, _ in listed)


def cards(html) -> dict[str, dict[str, str]]:
    found = {}
    for path in (html / "_static" / "cards").rglob("*.js"):
        name, text = re.fullmatch(r'bookCards\["([^"]+)"\] = (\{.*\});\n', path.read_text(encoding="utf-8"), re.S).groups()
        assert path.relative_to(html / "_static" / "cards").as_posix() == f"{name}.js"
        assert path.stat().st_size < 60_000, "a card loads in no time"
        found[name] = json.loads(text)
    return found


def test_every_reference_has_a_card(html, soups):
    texts = cards(html)
    seen = 0
    for path, soup in soups.items():
        for link in soup.select("main a[href*='#']:not(.headerlink)"):
            if re.match(r"(thm|prop|lem|cor|def|equation)-", anchor(link)):
                target = (path.parent / urlsplit(link["href"]).path).resolve() if urlsplit(link["href"]).path else path
                text = texts[target.relative_to(html).with_suffix("").as_posix()][anchor(link)]
                assert not re.search(r"<a |<script|\sid=", text)
                seen += 1
    assert seen > 1000
    script = (html / "_static" / "book.js").read_text(encoding="utf-8")
    assert len(script) < 8000 and "://" not in script and "fetch" not in script


def names_in_code(page) -> set[str]:
    """``bw.NAME`` and names imported from ``bwlib``, wherever a page's code cells use them."""
    found = set()
    for cell in page.cells:
        if cell.cell_type != "code":
            continue
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("bw", "bwlib"):
                found.add(node.attr)
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "bwlib":
                found |= {alias.name for alias in node.names}
    return found


def test_names_of_the_library_lead_to_the_reference_page(pages):
    known = {tag["id"].rsplit(".", 1)[-1] for tag in pages["chapters/reference"].find_all(id=re.compile(r"(module-)?bwlib\."))}
    for page in PAGES.values():
        article = pages[page.docname].find("article")
        linked = {name for link in article.select("pre a.code-link") for name in link.get_text().split(".")}
        assert names_in_code(page) <= linked, page.docname
        assert names_in_code(page) <= known
        for code in article.select("p code, td code"):
            name = re.match(r"bw(?:lib)?\.(\w+)", code.get_text())
            if name and name[1] in bwlib.__all__:
                assert code.find_parent("a"), (page.docname, code.get_text())
    linked = {anchor(link).rsplit(".", 1)[-1] for link in pages["chapters/appendix_notation"].select("td a[href^='reference.html#']")}
    assert {"bures_wasserstein", "BuresLoss", "Covariance", "stability_limit"} & linked


def test_every_page_leads_to_the_notation(html, soups):
    for path, soup in soups.items():
        if soup.select_one("main"):  # the file index.html forwards to the front page
            link = soup.select_one("a.notation-link")
            assert (path.parent / link["href"].split("#")[0] if link["href"] != "#" else path).resolve() \
                == html / "chapters" / "appendix_notation.html", path


def test_next_and_previous_page(pages):
    order = ["chapters/index", *TOC]
    for before, after in zip(order, order[1:]):
        assert pages[before].select_one("a.right-next")["href"] == f"{Path(after).name}.html"
        assert pages[after].select_one("a.left-prev")["href"] == f"{Path(before).name}.html"
