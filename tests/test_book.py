"""The book as a book: what its sources promise, how its notebooks are stored, what its pages contain."""
from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from copy import copy
from pathlib import Path
from urllib.parse import unquote, urlsplit

import book_sources
import nbformat
import pytest
from bs4 import BeautifulSoup

import bwlib

ROOT = book_sources.ROOT
PAGES = book_sources.pages()
NOTEBOOKS = [p for p in PAGES if p.path.suffix == ".ipynb"]
CHAPTERS = [p for p in NOTEBOOKS if p.is_chapter]
STATEMENTS = [s for p in PAGES for s in p.statements]
TESTS = book_sources.statement_tests()
CODE = re.compile(r"(?ms)^(```+|~~~+).*?^\1|`[^`\n]+`")


def each(items, name):
    return {"argvalues": items, "ids": [name(x) for x in items]}


each_page = pytest.mark.parametrize("page", **each(PAGES, lambda p: p.path.stem))
each_notebook = pytest.mark.parametrize("page", **each(NOTEBOOKS, lambda p: p.path.stem))
each_chapter = pytest.mark.parametrize("page", **each(CHAPTERS, lambda p: p.path.stem))
each_statement = pytest.mark.parametrize("statement", **each(STATEMENTS, lambda s: s.label or "without-label"))


# ---------------------------------------------------------------- statements


@each_statement
def test_statement_is_complete(statement):
    kind = statement.directive.name.removeprefix("prf:")
    assert statement.label.startswith(book_sources.PREFIX[kind]), f"label {statement.label!r} of a {kind}"
    assert statement.directive.title, "a title"
    assert len(statement.provenance) == 1, f"exactly one of {list(book_sources.PROVENANCE)}"
    assert bool(statement.proof) != bool(statement.citations), "a proof, or a citation in place of it ('We cite ...')"
    if statement.proof:
        assert "dropdown" in statement.proof.classes
        first = statement.proof.body.strip()
        assert not re.match(r"[-*+] |\d+[.)] |\$\$", first), "a proof starts with a sentence"
        proof = statement.proof
        before = statement.page.between(statement.directive, proof)
        assert "*Idea.*" in before, "one visible line '*Idea.* ...' between statement and proof"


@each_statement
def test_statement_is_tested(statement):
    assert statement.test_name in TESTS, f"tests/test_statements: def {statement.test_name}(residual)"
    if TESTS[statement.test_name][1]:
        entry = book_sources.residuals().get(statement.test_name)
        assert entry, "no residual is stored: run `make ledger`"
        assert 0 <= entry["residual"] <= entry["bound"]


def test_every_statement_test_belongs_to_a_statement():
    labels = {s.test_name for s in STATEMENTS}
    loose = [name for name in TESTS if re.match(r"test_(thm|prop|lem|cor)_", name) and name not in labels]
    assert not loose
    assert set(book_sources.residuals()) <= set(TESTS)


@each_chapter
def test_statement_is_checked_on_the_page(page):
    """A line "**Check.** ..." and a code cell tagged ``check`` that asserts and prints, once per statement.

    Neighbours may share their place: the check of a statement stands before the next statement but one.
    """
    tagged = [i for i, c in enumerate(page.cells) if "check" in c.metadata.get("tags", [])]
    for i in tagged:
        assert page.cells[i].cell_type == "code"
        assert re.search(r"\bassert\b", page.cells[i].source), f"cell {i} is tagged check and asserts nothing"
        assert page.cells[i].outputs, f"cell {i} is tagged check and prints nothing"
    checks = [i for i in tagged if any("**Check.**" in c.source for c in page.cells[max(0, i - 2):i]
                                       if c.cell_type == "markdown")]
    places = [s.directive.cell for s in page.statements]
    for n, s in enumerate(page.statements):
        end = places[n + 2] if n + 2 < len(places) else len(page.cells)
        assert any(s.directive.cell < i < end for i in checks), f"{s.label}: no check near it"
    assert len(checks) >= len(page.statements)


# ---------------------------------------------------------------- exercises


@each_chapter
def test_exercises(page):
    exercises = [d for d in page.directives if d.name == "exercise"]
    starts = [d for d in page.directives if d.name == "solution-start"]
    ends = [d for d in page.directives if d.name == "solution-end"]
    assert len(exercises) >= 6
    assert {"✍", "⌨", "★"} <= {d.title[:1] for d in exercises}, "exercises of all three kinds"
    assert [d.label for d in exercises] == [d.title for d in starts], "each exercise is followed by its solution"
    assert len(starts) == len(ends)
    for start, end in zip(starts, ends):
        assert start.label == start.title.replace("ex-", "sol-", 1)
        assert "dropdown" in start.classes
        inside = page.cells[start.cell + 1:end.cell]
        assert any(c.cell_type == "markdown" for c in inside), start.label
        code = [c for c in inside if c.cell_type == "code"]
        assert code and all(c.execution_count for c in code), f"{start.label}: an executed code cell"


# ---------------------------------------------------------------- figures


@each_notebook
def test_figures(page):
    names = []
    for i, cell in enumerate(page.cells):
        if cell.cell_type != "code" or not draws(cell):
            continue
        meta = cell.metadata.get("mystnb", {})
        assert len(meta.get("image", {}).get("alt", "")) >= 20, f"cell {i}: alt text that says what is seen"
        assert meta.get("figure", {}).get("caption"), f"cell {i}: caption"
        name = meta["figure"].get("name", "")
        assert name.startswith("fig-"), f"cell {i}: name"
        assert "hide-input" in cell.metadata.get("tags", []), f"cell {i}: the drawing code is folded"
        names.append(name)
    assert len(names) == len(set(names))
    for name in names:
        assert re.search(r"\{(numref|ref)\}`(?:[^`<]*<)?" + re.escape(name), page.text), f"{name} is not discussed"


def draws(cell) -> bool:
    return any(key.startswith("image/") for out in cell.outputs for key in out.get("data", {}))


# ---------------------------------------------------------------- stored form, sources


@each_notebook
def test_stored_form(page):
    """What nbval does not look at; it compares nothing for a cell without a count."""
    nb = nbformat.read(page.path, as_version=4)
    nbformat.validate(nb)
    code = [c for c in nb.cells if c.cell_type == "code" and c.source.strip()]
    counted = [c for c in code if "nbval-skip" not in c.metadata.get("tags", [])]
    assert [c.execution_count for c in counted] == list(range(1, len(counted) + 1)), "run `make refresh`"
    assert nb.metadata == {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                           "language_info": {"name": "python"}}
    assert [c.id for c in nb.cells] == [f"c{i:03d}" for i in range(len(nb.cells))]
    for c in code:
        assert set(c.metadata) <= {"tags", "mystnb"}, c.source
        assert "nbval-ignore-output" not in c.metadata.get("tags", []), c.source
        for out in c.outputs:
            assert out.output_type != "error" or "raises-exception" in c.metadata.get("tags", []), c.source
            assert out.get("name") != "stderr", c.source


@each_page
def test_source_is_plain(page):
    """No TeX macros, no ``align``, no fence left open, no label twice on the page."""
    text = page.text
    assert not re.search(r"\\(newcommand|renewcommand|def|DeclareMathOperator)\b", text)
    assert not re.search(r"\\begin\{(align|equation|gather)\*?\}", text)
    assert not re.search(r"\\(R|E|tr|BW|bm|bbm|mathbbm|argmin)(?![a-zA-Z])", text), "not standard TeX"
    for cell in page.cells:
        if cell.cell_type == "markdown":
            plain = CODE.sub("", cell.source)
            assert plain.count("$$") % 2 == 0, f"an open display formula: {cell.source[:80]}"
    for d in page.directives:
        base = d.name.removeprefix("prf:")
        if base in book_sources.PREFIX:
            assert d.label.startswith(book_sources.PREFIX[base]), f"{d.name} {d.title!r}: label {d.label!r}"
        if d.name.startswith("prf:"):
            assert base in (*book_sources.KINDS, "definition", "proof"), f"{d.name} is not a kind of this book"


def test_labels():
    count = Counter(label for page in PAGES for label in page.labels)
    assert [label for label, n in count.items() if n > 1] == [], "labels given twice"
    dangling = {f"{page.path.name}: {target}" for page in PAGES for target in book_sources.referred(page.text)
                if target not in count and not target.startswith(("chapters/", "/"))}
    assert not dangling


def product_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    return [p for folder in ("chapters", "bwlib", "tests", "tools", "_ext") for p in (ROOT / folder).rglob("*.*")]


def test_no_machine_paths():
    """The product speaks of its subject alone: no paths of somebody's machine."""
    pattern = re.compile(r"(?<![\w.~$}])/(?:work|root|home|Users|farm|tmp)/\w")
    found = []
    for path in product_files():
        if path.suffix in (".png", ".pdf") or path == Path(__file__).resolve():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.suffix == ".ipynb":  # pictures are base64, in which anything may occur
            nb = json.loads(text)
            for cell in nb["cells"]:
                for out in cell.get("outputs", []):
                    out.get("data", {}).pop("image/png", None)
            text = json.dumps(nb)
        found += [f"{path.relative_to(ROOT)}: {m.group()}" for m in pattern.finditer(text)]
    assert not found


def test_locked_packages_name_no_address():
    assert "://" not in (ROOT / "tools" / "pages" / "package-lock.json").read_text(encoding="utf-8")


def test_table_of_contents_is_complete():
    listed = set(re.findall(r"(?:file|root): (\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8")))
    assert listed == {page.docname for page in PAGES}


# ---------------------------------------------------------------- the built pages


def chapter_soups(html, soups):
    return {page: soups[html / f"{page.docname}.html"] for page in PAGES}


def test_links_and_anchors(html, soups):
    anchors = {p: {t["id"] for t in s.find_all(id=True)} for p, s in soups.items()}
    bad = []
    for page, soup in soups.items():
        for tag in soup.find_all(True):
            for attribute in ("href", "src"):
                url = tag.get(attribute)
                if not url or url.startswith(("data:", "mailto:", "javascript:")):
                    continue
                parts = urlsplit(url)
                where = f"{page.relative_to(html)}: {url}"
                if parts.scheme or parts.netloc:
                    if attribute == "src" or tag.name in ("script", "link", "img", "iframe"):
                        bad.append(where + " is loaded from the network")
                    continue
                target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
                if not target.exists():
                    bad.append(where + " does not exist")
                elif parts.fragment and target in anchors and unquote(parts.fragment) not in anchors[target]:
                    bad.append(where + " has no such anchor")
    assert not bad


def test_style_sheets_and_scripts_ask_for_nothing(html):
    for path in (html / "_static").glob("*.css"):
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not re.search(r"(?:url\(\s*['\"]?|@import\s+['\"])(?:https?:)?//", text), path.name
    assert (html / "_static" / "mathjax" / "tex-svg-full.js").exists()


def test_ids_are_unique(html, soups):
    for page, soup in soups.items():
        ids = [t["id"] for t in soup.find_all(id=True)]
        twice = [i for i, n in Counter(ids).items() if n > 1]
        assert not twice, page.relative_to(html)


def test_pictures_have_alternative_text(html, soups):
    for page, soup in soups.items():
        for image in soup.find_all("img"):
            alt = image.get("alt", "")
            assert alt and not re.search(r"\.(png|svg)$|^_images|^\.\./", alt), (page.name, image.get("src"))


def test_pages_are_whole(html, soups):
    """No directive or role left as text, no unnumbered reference, one heading of the first level."""
    for page, soup in chapter_soups(html, soups).items():
        article = copy(soup.find("article"))  # the pages are shared
        assert len(article.find_all("h1")) == 1, page.path.name
        for code in article.find_all(["pre", "code", "script"]):
            code.extract()
        text = article.get_text(" ")
        assert not re.search(r":::|\{(prf:ref|eq|numref|ref|cite:[tp])\}|\]\(#", text), page.path.name
        assert "??" not in text, page.path.name


def test_proofs_are_folded_and_titled(html, soups):
    for page, soup in chapter_soups(html, soups).items():
        proofs = [d for d in page.directives if d.name == "prf:proof"]
        boxes = soup.select("div.proof-box")
        assert len(boxes) == len(proofs), page.path.name
        for box, proof in zip(boxes, proofs):
            assert {"admonition", "dropdown"} <= set(box["class"])
            assert box["id"] == proof.label
            title = box.select_one("p.admonition-title").get_text()
            assert re.match(r"Proof of (Theorem|Proposition|Lemma|Corollary) [\dA-Z]+\.\d+", title), title
            assert not box.select_one("p.admonition-title a")
            assert box.select_one(".end-of-proof")


def test_statements_are_numbered_and_marked(html, soups):
    pages = chapter_soups(html, soups)
    for s in STATEMENTS:
        title = pages[s.page].find(id=s.label).select_one("p.admonition-title")
        kind = s.directive.name.removeprefix("prf:").title()
        assert re.match(rf"\s*{kind} [\dA-Z]+\.\d+", title.get_text()), s.label
        assert title.select_one(".provenance").get_text() == book_sources.PROVENANCE[s.provenance[0]]


def test_ledger_lists_every_statement(html, soups):
    page = soups[html / "chapters" / "statement_ledger.html"]
    rows = page.select("table.ledger tbody tr")
    assert len(rows) == len(STATEMENTS)
    linked = {urlsplit(row.select_one("a")["href"]).fragment for row in rows}
    assert linked == {s.label for s in STATEMENTS}
    assert not page.select(".ledger-missing")


def test_search_knows_every_statement(html):
    index = json.loads((html / "searchindex.js").read_text(encoding="utf-8").removeprefix("Search.setIndex(").removesuffix(")"))
    found = {entry[3] for rows in index["objects"].values() for entry in rows}
    assert {s.label for s in STATEMENTS} <= found
    assert not any("this book" in title for title in index["alltitles"])


def test_reference_has_every_public_name(html, soups):
    ids = {t["id"] for t in soups[html / "chapters" / "reference.html"].find_all(id=True)}
    names = {i.rsplit(".", 1)[-1] for i in ids if i.startswith("bwlib.")}
    public = {n for n in bwlib.__all__ if callable(getattr(bwlib, n))}
    assert public <= names, sorted(public - names)
