"""Make the PDF of the book: draw the figures as vector graphics, write LaTeX, run XeLaTeX, check its log.

    python tools/pdf.py [--stored-figures]

The result is _build/pdf/generative-deep-linear-networks.pdf.  If the pages are built as well, a copy lies
beside them and their front page links to it.  Figures are drawn by running the notebooks, once; with
``--stored-figures`` the pictures stored in the notebooks (100 dots per inch) are used.
"""
from __future__ import annotations

import argparse
import base64
import calendar
import datetime
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import yaml

from refresh import ROOT, NotebookClient, nbformat  # and the environment in which notebooks run

BUILD = ROOT / "_build"
FIGURES = ROOT / "build" / "figures"  # kept when the pages are built anew
NAME = "generative-deep-linear-networks.pdf"
PROGRAMS = ("xelatex", "latexmk", "makeindex")
FILES = ("tcolorbox.sty", "newunicodechar.sty", "lmmono10-regular.otf", "texgyrepagella-regular.otf",
         "texgyrepagella-math.otf", "FreeSerif.otf")
INSTALL = ("sudo apt install latexmk texlive-xetex texlive-latex-extra texlive-fonts-recommended lmodern "
           "fonts-texgyre fonts-texgyre-math fonts-freefont-otf")
JUPYTER_BOOK = "from jupyter_book.cli.main import main; main()"
BUILD_LATEX = ("build", "-W", "-n", "--keep-going", "--quiet", "--builder", "latex", ".")
WIDEST = 20.0  # points that a line may stick out


def missing() -> list[str]:
    """What is needed and not there."""
    programs = [name for name in PROGRAMS if shutil.which(name) is None]
    return programs or [name for name in FILES if subprocess.run(["kpsewhich", name], capture_output=True).returncode]


# ---------------------------------------------------------------- figures

SETTINGS = "%matplotlib inline\n%config InlineBackend.figure_formats = ['pdf']"


def pictures(cell, form: str) -> list[bytes]:
    """The pictures of a code cell; a figure that moves is no picture."""
    outputs = [out.data for out in cell.get("outputs", []) if "text/html" not in out.get("data", {"text/html": ""})]
    return [base64.b64decode(data[form]) for data in outputs if form in data]


def drawn_file(picture: bytes) -> Path:
    """Named after the stored picture, as MyST-NB names its file."""
    return FIGURES / f"{hashlib.sha256(picture).hexdigest()}.pdf"


def draw_again(path: Path) -> None:
    """Run a notebook, and keep each figure as a vector graphic beside the picture that is stored for it."""
    stored, drawn = nbformat.read(path, as_version=4), nbformat.read(path, as_version=4)
    files = {cell.id: [drawn_file(p) for p in pictures(cell, "image/png")] for cell in stored.cells}
    if all(file.exists() for some in files.values() for file in some):
        return
    start = time.perf_counter()
    drawn.cells.insert(0, nbformat.v4.new_code_cell(SETTINGS))
    NotebookClient(drawn, timeout=300, kernel_name="python3", allow_errors=True, extra_arguments=["--log-level=40"],
                   resources={"metadata": {"path": str(path.parent)}}).execute()
    for cell in drawn.cells[1:]:
        new = pictures(cell, "application/pdf")
        if len(new) == len(files[cell.id]):
            for file, picture in zip(files[cell.id], new):
                file.write_bytes(picture)
    print(f"{path.name}: figures drawn, {time.perf_counter() - start:.0f} s", flush=True)


# ---------------------------------------------------------------- the log of XeLaTeX


def complaints(log: str) -> list[str]:
    """What a reader would see as a fault."""
    log = log.replace("\n", "")  # TeX breaks its lines anywhere
    found = [f"{what} is not defined" for what in re.findall(r"Warning: (?:Hyper r|R|Citation)\w* `?'?([^']*)'? on page \w+\s*undefined", log)]
    found += [f"no glyph for {sign} in {font}" for sign, font in re.findall(r"Missing character: There is no (.+?) in font ([^!]*)!", log)]
    found += [f"label {label} is defined twice" for label in re.findall(r"Label `([^']*)' multiply defined", log)]
    wide = re.findall(r"Overfull \\hbox \(([\d.]+)pt too wide\) (?:in \w+|detected) at lines? ([\d-]+)", log)
    return found + [f"{points} pt too wide: line {line} of book.tex" for points, line in wide if float(points) > WIDEST]


def pages_of(log: str) -> int:
    return int(re.findall(r"Output written on [^(]*\((\d+) pages", log.replace("\n", ""))[-1])


# ---------------------------------------------------------------- steps


def write_latex() -> None:
    shutil.rmtree(BUILD / "latex", ignore_errors=True)
    subprocess.run([sys.executable, "-c", JUPYTER_BOOK, *BUILD_LATEX], cwd=ROOT, check=True)


def run_latex() -> str:
    """The log; stops with the first errors if there is no PDF."""
    command = ["latexmk", "-pdfxe", "-dvi-", "-ps-", "-interaction=nonstopmode", "-file-line-error", "-silent", "book.tex"]
    done = subprocess.run(command, cwd=BUILD / "latex", capture_output=True, text=True, errors="replace")
    log = (BUILD / "latex" / "book.log").read_text(encoding="utf-8", errors="replace")
    if done.returncode:
        sys.exit("XeLaTeX failed:\n" + "\n".join(re.findall(r"^\S+:\d+: .*$", log, re.M)[:10] or [done.stdout[-2000:]]))
    return log


def link_from_front_page(html: Path, pdf: Path, pages: int) -> None:
    """One line below the title; an older one is replaced."""
    shutil.copy2(pdf, html / NAME)
    page = html / "chapters" / "index.html"
    line = (f'<p class="book-pdf"><a href="../{NAME}">The whole book as one PDF</a> '
            f'({pages} pages, {pdf.stat().st_size / 1e6:.1f} MB)</p>')
    text = re.sub(r'\n<p class="book-pdf">.*?</p>', "", page.read_text(encoding="utf-8"))
    before, title_end, after = text.rpartition("</h1>")  # the first title is for print
    page.write_text(f"{before}{title_end}\n{line}{after}", encoding="utf-8")


def set_dates() -> None:
    """The PDF and its figures carry the day of the edition, so that they are the same on every day."""
    edition = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["date-released"]
    os.environ["SOURCE_DATE_EPOCH"] = str(calendar.timegm(datetime.date.fromisoformat(edition).timetuple()))
    os.environ["FORCE_SOURCE_DATE"] = "1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stored-figures", action="store_true", help="do not run the notebooks")
    chosen = parser.parse_args()
    if absent := missing():
        sys.exit(f"The PDF needs LaTeX ({', '.join(absent)} not found): on Debian or Ubuntu run  {INSTALL}")
    start = time.perf_counter()
    set_dates()
    FIGURES.mkdir(parents=True, exist_ok=True)
    if not chosen.stored_figures:
        for path in sorted((ROOT / "chapters").glob("*.ipynb")):
            draw_again(path)
    write_latex()
    log = run_latex()
    pdf = BUILD / "pdf" / NAME
    pdf.parent.mkdir(exist_ok=True)
    shutil.copy2(BUILD / "latex" / "book.pdf", pdf)
    if (BUILD / "html" / "chapters" / "index.html").exists():
        link_from_front_page(BUILD / "html", pdf, pages_of(log))
    print(f"The PDF is ready: {pdf}  ({pages_of(log)} pages, {pdf.stat().st_size / 1e6:.1f} MB, "
          f"{time.perf_counter() - start:.0f} s)")
    faults = complaints(log)
    if faults:
        sys.exit("but XeLaTeX complains:\n" + "\n".join(faults))


if __name__ == "__main__":
    main()
