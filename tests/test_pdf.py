"""The printed book and the book on a memory stick: numbers as on the pages, nothing lost, nothing that points nowhere."""
from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import offline_zip  # noqa: E402
import pdf  # noqa: E402

BUILD = ROOT / "_build"
needs_pdf = pytest.mark.skipif(not ((BUILD / "latex" / "book.pdf").exists() and (BUILD / "html" / "index.html").exists()),
                               reason="only after `make book` and `make pdf`")


# ---------------------------------------------------------------- what the pages say


def page_of(path: Path, html: Path) -> str:
    return path.relative_to(html).with_suffix("").as_posix()


def number_in(element) -> str:
    """"Theorem 2.3 " or "2.3. " -> "2.3" """
    return re.search(r"[\dA-Z.]*\d|[A-Z](?=\. $)", element.get_text())[0]


def numbers_on_pages(soups, html) -> dict[str, dict[str, str]]:
    """Kind -> place -> what is printed there."""
    found: dict[str, dict[str, str]] = {kind: {} for kind in ("statement", "exercise", "equation", "figure", "section")}
    for path, soup in soups.items():
        page = page_of(path, html)
        for box in soup.select("div.proof[id]:not(.proof-box)"):
            found["statement"][f"{page}:{box['id']}"] = box.select_one(".caption-number").get_text().strip()
        for box in soup.select("div.exercise[id]"):
            found["exercise"][f"{page}:{box['id']}"] = box.select_one(".caption-number").get_text().strip()
        for mark in soup.select(".eqno"):
            name = mark.a["href"].removeprefix("#equation-")
            found["equation"][f"{page}:{name}"] = mark.find(string=True).strip("()")
        for figure in soup.select("figure[id]"):
            if mark := figure.select_one(".caption-number"):
                found["figure"][f"{page}:{figure['id']}"] = number_in(mark)
        for heading in soup.select("section > h1, section > h2"):
            if mark := heading.select_one(".section-number"):
                found["section"][f"{page}:{heading.parent['id']}"] = number_in(mark)
    return found


@pytest.fixture(scope="module")
def on_pages(soups, html):
    return numbers_on_pages(soups, html)


# ---------------------------------------------------------------- what the LaTeX says

LABEL = r"\\label\{\\detokenize\{([^}]*)\}\}"


@pytest.fixture(scope="module")
def tex(html) -> str:
    """The LaTeX of the same sources; needs no LaTeX."""
    source = html.parents[1]
    env = dict(os.environ, PYTHONPATH=str(source))
    command = [sys.executable, "-c", pdf.JUPYTER_BOOK, *pdf.BUILD_LATEX]
    built = subprocess.run(command, cwd=source, env=env, capture_output=True, text=True)
    assert built.returncode == 0, (built.stdout + built.stderr)[-3000:]
    return (html.parent / "latex" / "book.tex").read_text(encoding="utf-8")


def boxes(tex: str, name: str) -> list[str]:
    return re.findall(rf"(?s)\\begin\{{{name}\}}(.*?)\\end\{{{name}\}}", tex)


def sections(tex: str) -> dict[str, str]:
    r"""Place -> number, as \chapter and \section count."""
    numbers, chapter, section, letters = {}, 0, 0, False
    for match in re.finditer(rf"(?m)^\\(appendix)\b|^\\(chapter|section)\{{.*\}}(?:\\label\{{[^}}]*\}})*|{LABEL}", tex):
        appendix, heading, place = match.group(1, 2, 3)
        if appendix:
            chapter, letters = 0, True
        elif heading:
            chapter, section = (chapter + 1, 0) if heading == "chapter" else (chapter, section + 1)
            name = chr(64 + chapter) if letters else str(chapter)
            here = f"{name}.{section}" if section else name
        elif chapter or letters:
            numbers[place] = here
    return numbers


def test_statements_have_the_numbers_of_the_pages(tex, on_pages):
    heads = re.findall(rf"\\begin\{{statement\}}\{{\w+\}}\{{([^}}]*)\}}.*?{LABEL}", tex)
    assert {place: number for number, place in heads} == on_pages["statement"]
    assert len(heads) == len(boxes(tex, "statement"))


def test_exercises_have_the_numbers_of_the_pages(tex, on_pages):
    heads = re.findall(rf"\\begin\{{exercise\}}\{{([^}}]*)\}}.*?{LABEL}", tex)
    assert {place: number for number, place in heads} == on_pages["exercise"]


def test_equations_have_the_numbers_of_the_pages(tex, on_pages):
    tags = re.findall(r"\\tag\{([^}]*)\}\\label\{equation:([^}]*)\}", tex)
    assert {place: number for number, place in tags} == on_pages["equation"]


def test_figures_have_the_numbers_of_the_pages(tex, on_pages):
    set_to = re.findall(rf"\\renewcommand\{{\\thefigure\}}\{{([^}}]*)\}}(?:(?!\\end\{{figure).)*?\\caption.*?{LABEL}", tex, re.S)
    assert {place: number for number, place in set_to} == on_pages["figure"]


def test_sections_have_the_numbers_of_the_pages(tex, on_pages):
    numbers = sections(tex)
    assert {place: numbers.get(place) for place in on_pages["section"]} == on_pages["section"]


def test_no_proof_and_no_solution_is_lost(tex, soups):
    proofs, solutions = boxes(tex, "bookproof"), boxes(tex, "solution")
    assert len(proofs) == sum(len(soup.select(".proof-box")) for soup in soups.values())
    assert len(solutions) == sum(len(soup.select("div.solution")) for soup in soups.values())
    assert all(text.count(r"\proofend") == 1 for text in proofs)
    assert all((r"\solutionend" in text) + ("[solution ends," in text) == 1 for text in solutions)


def test_badges_say_whose_a_statement_is(tex, soups):
    shown = Counter(mark.get_text() for soup in soups.values() for mark in soup.select("div.proof .admonition-title .provenance"))
    assert Counter(re.findall(r"\\badge\{\w+\}\{([^}]*)\}", tex)) == shown


def test_references_lead_somewhere(tex):
    labels = Counter(re.findall(LABEL, tex) + re.findall(r"\\label\{([^}\\]*)\}", tex))
    assert [label for label, times in labels.items() if times > 1] == []
    used = re.findall(r"\\(?:hyperref\[|ref\{|eqref\{|pageref\{)(?:\\detokenize\{)?([^]}\\]*)", tex)
    assert len(used) > 1000
    assert sorted(set(used) - set(labels)) == []


def test_pictures_lie_beside_the_latex(tex, html):
    names = re.findall(r"\\sphinxincludegraphics(?:\[[^]]*\])?\{\{([^}]*)\}(\.\w+)\}", tex)
    assert len(names) > 50
    assert [name for name in names if not (html.parent / "latex" / "".join(name)).exists()] == []


def test_a_figure_that_moves_says_where_its_slider_is(tex, soups):
    assert tex.count("The slider is on the web page") == sum(len(soup.select(".bw-fig")) for soup in soups.values())


# ---------------------------------------------------------------- the PDF, once it is made


@needs_pdf
def test_the_pdf_has_the_numbers_of_the_pages():
    html, aux = BUILD / "html", (BUILD / "latex" / "book.aux").read_text(encoding="utf-8", errors="replace")
    soups = {p: BeautifulSoup(p.read_text(encoding="utf-8"), "html.parser") for p in (html / "chapters").glob("*.html")}
    pages = numbers_on_pages(soups, html)
    labels = dict(re.findall(r"\\newlabel\{([^}]*)\}\{\{\{?([^{}]*)\}", aux))
    again = "run `make book` and `make pdf` again"
    assert {place: labels.get(f"equation:{place}") for place in pages["equation"]} == pages["equation"], again
    assert {place: labels.get(place) for place in pages["section"]} == pages["section"], again
    assert {place: labels.get(place) for place in pages["figure"]} == pages["figure"], again


@needs_pdf
def test_latex_did_not_complain():
    assert pdf.complaints((BUILD / "latex" / "book.log").read_text(encoding="utf-8", errors="replace")) == []


# ---------------------------------------------------------------- make pdf


def test_complaints_of_a_log():
    log = ("LaTeX Warning: Reference `fig-a' on page 3 undefined on input line 7.\n"
           "Missing character: There is no ⌨ in font lmmono10-regular!\n"
           "LaTeX Warning: Label `sec-a' multiply defined.\n"
           "Overfull \\hbox (25.5pt too wide) in para\ngraph at lines 10--12\n"
           "Overfull \\hbox (3.1pt too wide) in paragraph at lines 20--22\n")
    assert pdf.complaints(log) == ["fig-a is not defined", "no glyph for ⌨ in lmmono10-regular",
                                   "label sec-a is defined twice", "25.5 pt too wide: line 10--12 of book.tex"]
    assert pdf.complaints("This is XeTeX\nOutput written on book.pdf (3 pages).\n") == []


def test_without_latex_one_line_says_what_to_install(tmp_path):
    done = subprocess.run([sys.executable, ROOT / "tools" / "pdf.py"], env={**os.environ, "PATH": str(tmp_path)},
                          capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.count("\n") == 1 and pdf.INSTALL in done.stderr


def test_front_page_links_to_the_pdf_once(tmp_path):
    (tmp_path / "chapters").mkdir()
    page, book = tmp_path / "chapters" / "index.html", tmp_path / "book.pdf"
    page.write_text("<h1>Title</h1>\n<h1>Title</h1>\n<p>Text</p>", encoding="utf-8")
    book.write_bytes(bytes(2_000_000))
    pdf.link_from_front_page(tmp_path, book, 10)
    pdf.link_from_front_page(tmp_path, book, 12)
    text = page.read_text(encoding="utf-8")
    assert text.startswith('<h1>Title</h1>\n<h1>Title</h1>\n<p class="book-pdf">') and text.endswith("\n<p>Text</p>")
    assert text.count(pdf.NAME) == 1 and "12 pages, 2.0 MB" in text
    assert (tmp_path / pdf.NAME).stat().st_size == 2_000_000


# ---------------------------------------------------------------- make zip


@pytest.fixture(scope="module")
def archive(html, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("zip") / "book.zip"
    offline_zip.pack(html, target, (2026, 1, 2))
    return target


def test_zip_holds_every_page(archive, html):
    with zipfile.ZipFile(archive) as book:
        assert book.testzip() is None
        names = book.namelist()
    pages = {f"{offline_zip.FOLDER}/{p.relative_to(html).as_posix()}" for p in html.rglob("*.html")}
    assert pages <= set(names) and f"{offline_zip.FOLDER}/README.txt" in names
    assert offline_zip.bad_names(names) == []


def test_same_pages_give_the_same_zip(tmp_path):
    pages = tmp_path / "pages"
    pages.mkdir()
    for name in ("b.html", "a.html"):
        (pages / name).write_text(name, encoding="utf-8")
    offline_zip.pack(pages, tmp_path / "1.zip", (2026, 1, 2))
    os.utime(pages / "a.html", (0, 0))
    offline_zip.pack(pages, tmp_path / "2.zip", (2026, 1, 2))
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "1.zip") as book:
        assert [Path(name).name for name in book.namelist()] == ["README.txt", "a.html", "b.html"]


@pytest.mark.parametrize("names", [["a:b.html"], ["what?.html"], ["folder/aux.txt"], ["end. "], ["x" * 200],
                                   ["Page.html", "page.html"]])
def test_names_that_windows_would_refuse(names):
    assert offline_zip.bad_names(names) == names
