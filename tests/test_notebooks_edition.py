"""The plain edition: nothing of the book's markup is left, numbers and links are right, solutions stay out of the students' variant."""
from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from collections import Counter
from importlib.metadata import packages_distributions
from pathlib import Path
from types import SimpleNamespace

import book_repository
import book_sources
import nbformat
import pytest
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt

ROOT = book_sources.ROOT
sys.path.insert(0, str(ROOT / "tools"))

from notebooks import package, run  # noqa: E402
from notebooks.citations import Bibliography  # noqa: E402
from notebooks.edition import CONTENTS, VARIANTS, Edition  # noqa: E402
from notebooks.numbers import Numbers, Target  # noqa: E402
from notebooks.plain import Plain  # noqa: E402

PAGES = book_repository.plain_pages()
ADDRESS = "https://github.com/owner/name"
MATH = re.compile(r"(?s)\$\$.+?\$\$|\$[^$]+\$")
CODE = re.compile(r"(?ms)^(```+).*?^\1|`[^`\n]+`")
LINK = re.compile(r"\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)")
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.stem)
each_variant = pytest.mark.parametrize("variant", VARIANTS)


@pytest.fixture(scope="session")
def edition(html, tmp_path_factory) -> Edition:
    wheel = package.build_wheel(tmp_path_factory.mktemp("wheel"))
    return Edition(PAGES, Numbers.of_book(html), Bibliography(), str(wheel))


@pytest.fixture(scope="session")
def folder(edition, tmp_path_factory) -> Path:
    """What `make notebooks` writes."""
    place, wheel = tmp_path_factory.mktemp("edition"), Path(edition.wheel)
    named = Edition(edition.pages, edition.numbers, edition.bibliography, wheel.name)
    for variant in VARIANTS:
        package.write(named, wheel, variant, place / variant)
        package.pack(place / variant)
    return place


@pytest.fixture(scope="session")
def books(folder) -> dict:
    """(variant, name of the page) -> notebook."""
    return {(variant, path.stem): nbformat.read(path, as_version=4)
            for variant in VARIANTS for path in (folder / variant).glob("*.ipynb")}


def texts(nb) -> list[str]:
    return [cell.source for cell in nb.cells if cell.cell_type == "markdown"]


def rendered(nb) -> BeautifulSoup:
    """The text cells in strict CommonMark with tables; formulas are put aside, as notebook programs do it."""
    md = MarkdownIt("commonmark").enable("table")
    return BeautifulSoup("".join(md.render(MATH.sub("FORMULA", text)) for text in texts(nb)), "html.parser")


# ---------------------------------------------------------------- form


@each_variant
def test_notebooks_are_valid(books, variant):
    assert {name for v, name in books if v == variant} == {page.path.stem for page in PAGES} | {Path(CONTENTS).stem}
    for (v, name), nb in books.items():
        nbformat.validate(nb)
        assert nb.metadata.kernelspec.name == "python3"
        assert [cell.id for cell in nb.cells] == [f"c{i:03d}" for i in range(len(nb.cells))]


def test_no_markup_of_the_book_is_left(books):
    for key, nb in books.items():
        for text in texts(nb):
            plain = MATH.sub("", CODE.sub("", text))
            assert not re.search(r":::|\{[\w:.-]+\}|^\([\w:-]+\)=|^:[\w-]+:|\(eq-|^```\{", plain, re.M), (*key, text[:200])
            assert plain.count("$") == 0, (*key, text[:200])


def test_formulas_are_read_everywhere(books):
    """VS Code wants no letter or digit beside the $ of a formula; Jupyter wants none across the lines of a quotation."""
    for key, nb in books.items():
        for text in texts(nb):
            plain = CODE.sub("", text)
            for match in MATH.finditer(plain):
                around = plain[match.start() - 1:match.start()] + plain[match.end():match.end() + 1]
                assert match[0].startswith("$$") or not re.search(r"[^\W_]", around), (*key, match[0], around)
                assert not re.search(r"^>|\n\s*\n", match[0], re.M), (*key, match[0])


def test_strict_markdown(books):
    """Emphasis, links, lists and folds are what a strict reader of Markdown makes of them."""
    for key, nb in books.items():
        soup, source = rendered(nb), "\n".join(texts(nb))
        text = soup.get_text()
        for code in soup.select("code, pre"):
            code.extract()
        assert not re.search(r"\*\*|\]\(|&lt;|</?\w+>", soup.get_text()), (*key, re.search(r".{60}(\*\*|\]\(|</?\w+>)", soup.get_text(), re.S))
        assert len(soup.select("a[id]")) == source.count('<a id="')
        assert len(soup.select("details > summary")) == source.count("<details>") == text.count("∎")
        assert all(d.find("p") and "FORMULA" in d.get_text() or d.find("p") for d in soup.select("details"))


# ---------------------------------------------------------------- numbers and links


def numbers(soup: BeautifulSoup, selection: str) -> list[str]:
    return [tag.get_text().strip() for tag in soup.find("article").select(selection)]


@each_page
def test_numbers_are_those_of_the_book(books, soups, html, page):
    soup, nb = soups[html / f"{page.docname}.html"], books["complete", page.path.stem]
    text = "\n".join(texts(nb))
    kinds = "Theorem|Proposition|Lemma|Corollary|Definition"
    assert re.findall(rf"^> <a id=\"[\w-]+\"></a>\*\*((?:{kinds}) [\w.]+)\*\*", text, re.M) == \
        numbers(soup, "div.proof.admonition:not(.proof-box) .caption-number")
    assert re.findall(r"^### (Exercise [\w.]+)\. ", text, re.M) == numbers(soup, "div.exercise .caption-number")
    assert re.findall(r"^<a id=\"fig-[\w-]+\"></a>\*\*(Fig\. [\w.]+)\.\*\*", text, re.M) == \
        numbers(soup, "figure .caption-number")
    assert [f"({tag})" for tag in re.findall(r"\\tag\{([\w.]+)\}", text)] == \
        [number.strip("#") for number in numbers(soup, "div.math .eqno")]
    assert re.findall(r"<summary><b>Proof of ([\w .]+)</b>", text) == \
        [title.removeprefix("Proof of ") for title in numbers(soup, "div.proof-box > .admonition-title")]
    headings = re.findall(r"^#{1,3} ([\dA-Z.]+\.) ", re.sub(r"^### Exercise.*", "", text, flags=re.M), re.M)
    assert headings == numbers(soup, "section > :is(h1, h2, h3) > .section-number")


def words(tag) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\\\((.*?)\\\)", "FORMULA", tag.get_text())).strip()


@each_page
def test_references_read_as_in_the_book(books, soups, html, page):
    """Each reference of the source is a link with the book's words; those to pages outside of the edition are words."""
    article = soups[html / f"{page.docname}.html"].find("article")
    there = {(a["href"].split("#")[1].removeprefix("equation-"), words(a)) for a in article.select("a.reference.internal[href*='#']")}
    source = "\n".join([page.text, *(c.metadata["mystnb"]["figure"]["caption"] for c in page.cells
                                     if "figure" in c.metadata.get("mystnb", {}))])
    stems = {p.path.stem for p in PAGES}
    home = {label: p.path.stem for p in book_sources.pages() for label in p.labels}
    wanted = [label for _, label in book_sources.REFERENCE.findall(source) if home[label] in stems]
    links = [a for a in rendered(books["complete", page.path.stem]).select("a[href*='#']") if "#cite-" not in a["href"]]
    assert Counter(a["href"].split("#")[1] for a in links) == Counter(wanted)
    assert {(a["href"].split("#")[1], words(a)) for a in links} <= there


@each_page
def test_citations_read_as_in_the_book(books, soups, html, page):
    """Several authors of one citation are set apart by ; here, and may stand in another order."""
    article = soups[html / f"{page.docname}.html"].find("article")
    there = {words(a) for a in article.select(".bibtex-citation a")}
    soup = rendered(books["complete", page.path.stem])
    here = {words(a) for a in soup.select("a[href^='#cite-']")}
    assert here == there
    entries = [li.get_text() for li in soup.select("li:has(a[id^='cite-'])")]
    bibliography = [words(p) for p in soups[html / "chapters" / "bibliography.html"].select("div.citation p")]
    assert len(entries) == len({a["href"] for a in soup.select("a[href^='#cite-']")})
    assert {re.sub(r"\s+", " ", entry) for entry in entries} <= set(bibliography)


@each_variant
def test_links_resolve(books, folder, variant):
    anchors = {name: re.findall(r'<a id="([\w-]+)"></a>', "\n".join(texts(nb))) for (v, name), nb in books.items() if v == variant}
    for name, found in anchors.items():
        assert len(found) == len(set(found)), name
        for a in rendered(books[variant, name]).select("a[href]"):
            if a["href"].startswith("http"):
                continue
            file, _, label = a["href"].partition("#")
            assert not file or (folder / variant / file).is_file(), (name, a["href"])
            assert not label or label in anchors[Path(file).stem if file else name], (name, a["href"])


# ---------------------------------------------------------------- the two variants


def lines(texts) -> set[str]:
    return {line.strip() for text in texts for line in text.splitlines() if len(line.strip()) >= 12}


def secrets_of_source(page) -> set[str]:
    """Lines of the solutions, and of what they print, that do not stand elsewhere on the page too."""
    inside, outside, solving = [], [], False
    for cell in page.cells:
        output = [out.get("text", "") or out.get("data", {}).get("text/plain", "") for out in cell.get("outputs", [])]
        solving |= "{solution-start}" in cell.source
        (inside if solving else outside).extend([cell.source, *output])
        solving &= "{solution-end}" not in cell.source
    return {line for line in lines(inside) - lines(outside) if not line.startswith(":")}


def secrets_of_notebook(nb) -> set[str]:
    """The same, translated: what stands below the headings of solutions."""
    inside, outside, solving = [], [], False
    for cell in nb.cells:
        if heading := re.search(r"^#+ .*", cell.source if cell.cell_type == "markdown" else "", re.M):
            solving = heading[0].startswith("#### Solution")
        (inside if solving else outside).append(cell.source)
    return lines(inside) - lines(outside)


@each_page
def test_students_see_no_solution(books, page):
    secret = secrets_of_source(page) | secrets_of_notebook(books["complete", page.path.stem])
    assert bool(secret) == any(d.name == "exercise" for d in page.directives)
    assert not secret & lines(cell.source for cell in books["student", page.path.stem].cells)


@each_page
def test_students_get_room_for_their_work_and_no_outputs(books, page):
    nb = books["student", page.path.stem]
    exercises = [d for d in page.directives if d.name == "exercise"]
    assert len([t for t in texts(nb) if t.startswith("*Your solution of Exercise")]) == len(exercises)
    empty = [cell for cell in nb.cells if cell.cell_type == "code" and not cell.source]
    assert len(empty) == len([d for d in exercises if "⌨" in d.title or "★" in d.title])
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in nb.cells)
    assert "Solution" not in "".join(re.findall(r"(?m)^#+ .*", "\n".join(texts(nb))))


@each_page
def test_complete_variant_keeps_everything(books, page):
    nb = books["complete", page.path.stem]
    stored = [cell for cell in page.cells if cell.cell_type == "code"]
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    assert [cell.source for cell in code if "%pip" not in cell.source] == [cell.source for cell in stored]
    kept = [cell for cell in code if "%pip" not in cell.source]
    for old, new in zip(stored, kept):
        assert [out.get("text") for out in old.outputs] == [out.get("text") for out in new.outputs]
        assert [out.get("data", {}).get("image/png") for out in old.outputs] == [out.get("data", {}).get("image/png") for out in new.outputs]
        for out in new.outputs:  # a stored script would not run
            assert not {"image/png", "text/html"} <= set(out.get("data", {}))
            assert "image/png" not in out.get("data", {}) or len(out.metadata["image/png"]["alt"]) >= 20
    folds = [cell for cell in nb.cells if cell.metadata.get("jp-MarkdownHeadingCollapsed")]
    assert len(folds) == len([d for d in page.directives if d.name == "exercise"])


# ---------------------------------------------------------------- running them


@each_variant
def test_archive_holds_what_the_notebooks_need(books, folder, variant):
    names = zipfile.ZipFile(folder / f"{variant}.zip").namelist()
    assert {f"{variant}/{name}" for name in ("README.md", "LICENSE", "LICENSE-text", CONTENTS)} <= set(names)
    wheel = next(Path(name).name for name in names if name.endswith(".whl"))
    for (v, name), nb in books.items():
        code = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "code")
        assert v != variant or not code or f'%pip install -q "./{wheel}[book]"' in code, name
        for file in re.findall(r"[\"'](data/[\w./-]+)[\"']", code):
            assert f"{variant}/{file}" in names, (name, file)


def test_archive_is_the_same_every_time(folder, tmp_path):
    (tmp_path / "student").mkdir()
    zipfile.ZipFile(folder / "student.zip").extractall(tmp_path)
    assert package.pack(tmp_path / "student").read_bytes() == (folder / "student.zip").read_bytes()


def test_wheel(edition):
    with zipfile.ZipFile(edition.wheel) as wheel:
        names = wheel.namelist()
        metadata = wheel.read(next(name for name in names if name.endswith("METADATA"))).decode()
    library = {p.relative_to(ROOT).as_posix() for p in (ROOT / "bwlib").rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    assert {name for name in names if ".dist-info/" not in name} == library
    needed = {re.match(r"[\w-]+", line)[0].lower() for line in re.findall(r"^Requires-Dist: (.*)", metadata, re.M)
              if "extra" not in line or 'extra == "book"' in line}
    imported = {name.split(".")[0] for page in PAGES for cell in page.cells if cell.cell_type == "code"
                for node in ast.walk(ast.parse(cell.source))
                for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else
                             [node.module] if isinstance(node, ast.ImportFrom) else [])}
    homes = packages_distributions()
    others = {homes[name][0].lower() for name in imported - sys.stdlib_module_names}
    assert others - {"bwlib"} <= needed


@pytest.mark.parametrize("variant, name", [("complete", "14_adversarial"), ("student", "07_smoothed_loss")])
def test_notebook_runs_with_the_wheel(folder, edition, tmp_path, monkeypatch, variant, name):
    """Two of them; `make test-notebooks` runs all, in a new environment."""
    zipfile.ZipFile(edition.wheel).extractall(tmp_path / "library")
    zipfile.ZipFile(folder / f"{variant}.zip").extractall(tmp_path)
    path = tmp_path / variant / f"{name}.ipynb"
    nb = nbformat.read(path, as_version=4)
    nb.cells.append(nbformat.v4.new_code_cell("import bwlib\nprint(bwlib.__file__)"))
    nbformat.write(nb, path)
    run.install_kernel(tmp_path, sys.executable, str(tmp_path / "library"))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert Path(run.run(path).cells[-1].outputs[0].text.strip()).is_relative_to(tmp_path / "library")


# ---------------------------------------------------------------- the address of the repository


def test_launch_links():
    assert book_repository.launch_links(ADDRESS + ".git", "student/a.ipynb") == {
        "Binder": "https://mybinder.org/v2/gh/owner/name/notebooks?urlpath=lab/tree/student/a.ipynb",
        "Colab": "https://colab.research.google.com/github/owner/name/blob/notebooks/student/a.ipynb"}
    assert book_repository.launch_links("https://git.example.org/owner/name/", "a.ipynb") == {
        "Binder": "https://mybinder.org/v2/git/https%3A%2F%2Fgit.example.org%2Fowner%2Fname/notebooks?urlpath=lab/tree/a.ipynb"}


def page_buttons(address: str, docname: str) -> dict[str, str]:
    """The words and addresses of the buttons that the extension adds to a page."""
    context = {"header_buttons": [], "get_edit_provider_and_url": lambda: ("GitHub", f"{ADDRESS}/edit/main/{docname}")}
    app = SimpleNamespace(config=SimpleNamespace(html_theme_options={"repository_url": address}))
    book_repository.add_buttons(app, docname, "page.html", context, doctree=True)
    return {button["text"]: button["url"] for group in context["header_buttons"] for button in group["buttons"]}


def test_pages_offer_services_only_with_an_address(html, soups):
    assert page_buttons("", PAGES[0].docname) == {}
    assert list(page_buttons(ADDRESS, "chapters/index")) == ["Suggest an edit", "Repository"]
    found = page_buttons(ADDRESS, PAGES[0].docname)
    assert list(found) == ["Open in Binder", "Open in Colab", "Suggest an edit", "Repository"]
    assert all(f"complete/{PAGES[0].path.name}" in found[name] for name in ("Open in Binder", "Open in Colab"))
    for soup in soups.values():
        shown = {words(a) for a in soup.select(".article-header-buttons a")} & set(found)
        assert package.public_address() or not shown


@pytest.mark.parametrize("address", ["", ADDRESS])
def test_built_page_with_and_without_an_address(tmp_path, address):
    """A book of one page, with the settings of this one as far as they matter here."""
    (tmp_path / "conf.py").write_text("\n".join([
        f"import sys; sys.path.insert(0, {str(ROOT / '_ext')!r})",
        "extensions, html_theme = ['book_repository', 'book_theme'], 'sphinx_book_theme'",
        f"html_theme_options = {{'repository_url': {address!r}, 'repository_branch': 'main'}}"]), encoding="utf-8")
    (tmp_path / "index.rst").write_text("Title\n=====\n", encoding="utf-8")
    built = subprocess.run([sys.executable, "-m", "sphinx", "-W", "-q", str(tmp_path), str(tmp_path / "html")],
                           capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    soup = BeautifulSoup((tmp_path / "html" / "index.html").read_text(encoding="utf-8"), "html.parser")
    links = {a["href"] for a in soup.select(".article-header-buttons a") if a["href"].startswith("http")}
    assert links == ({ADDRESS, f"{ADDRESS}/edit/main/index.rst"} if address else set())
    assert not soup.select(".dropdown-repository-buttons i"), "an icon without a drawing"


def test_notebooks_offer_services_only_with_an_address(edition):
    offered = Edition(edition.pages, edition.numbers, edition.bibliography, "bwlib.whl", ADDRESS)
    nb = offered.notebook(PAGES[1], "student")
    assert "/blob/notebooks/student/02_bures_wasserstein.ipynb" in nb.cells[0].source
    first = next(cell.source for cell in nb.cells if cell.cell_type == "code")
    assert f"--branch notebooks {ADDRESS} book" in first and "%cd -q book/student" in first
    plain = Edition(edition.pages, edition.numbers, edition.bibliography, "bwlib.whl").notebook(PAGES[1], "student")
    assert "http" not in plain.cells[0].source
    assert "git clone" not in next(cell.source for cell in plain.cells if cell.cell_type == "code")


# ---------------------------------------------------------------- translation, on small texts

SMALL = Numbers({"thm-a": Target("here", "Theorem 1.1"), "eq-a": Target("here", "(1.1)"), "sec-a": Target("there", "A $k$"),
                 "ex-a": Target("here", "Exercise 1.1"), "sec-out": Target("outside", "Elsewhere")}, {"here": ["1.", "1.1."]}, {})


def small(text: str) -> str:
    return Plain("here", ["here", "there"], SMALL, Bibliography()).text(text)


@pytest.mark.parametrize("source, result", [
    ("(sec-x)=\n# A\n\ntext\n## B", '<a id="sec-x"></a>\n\n# 1. A\n\ntext\n\n## 1.1. B'),
    ("{prf:ref}`thm-a`(b), {ref}`sec-a`, {ref}`here <sec-a>`, {ref}`sec-out`",
     "[Theorem 1.1](#thm-a)(b), [A $k$](there.ipynb#sec-a), [here](there.ipynb#sec-a), Elsewhere"),
    ("$$\nx\n$$ (eq-a)", '<a id="eq-a"></a>\n$$\nx\n\\tag{1.1}\n$$'),
    (":::{prf:theorem} T\n:label: thm-a\n:class: ours\n\nLet\n\n$$\nx\n=y\n$$ (eq-a)\n:::",
     '> <a id="thm-a"></a>**Theorem 1.1** (T) — *this book*\n>\n> Let\n>\n> <a id="eq-a"></a>\n> $$ x =y \\tag{1.1} $$'),
    (":::{prf:proof}\n:label: proof-thm-a\n\nAs\n\n$$\nx\n$$\n:::",
     "<details>\n<summary><b>Proof of Theorem 1.1</b></summary>\n\nAs\n\n$$\nx\n$$\n\n∎\n\n</details>"),
    (":::{exercise} ✍ E\n:label: ex-a\n\nShow it.\n:::", '<a id="ex-a"></a>\n\n### Exercise 1.1. ✍ E\n\nShow it.'),
    (":::{note}\n`{eq}` stays\n:::", "> `{eq}` stays"),
    ("```\n# no heading {eq}`eq-a`\n```", "```\n# no heading {eq}`eq-a`\n```"),
    ("as {cite:t}`tipping1999` show", "as Tipping and Bishop [[1999](#cite-tipping1999)] show"),
    ("{cite:p}`watson1992,lewis1995`", "[[Lewis, 1995](#cite-lewis1995); [Watson, 1992](#cite-watson1992)]"),
])
def test_translation(source, result):
    assert small(source) == result


@pytest.mark.parametrize("source", ["{term}`x`", ":::{tab-set}\n:::", "{ref}`sec-unknown`"])
def test_what_is_unknown_stops_the_translation(source):
    with pytest.raises(ValueError, match="here: "):
        small(source)
