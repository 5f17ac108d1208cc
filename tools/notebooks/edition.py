"""The notebooks of the plain edition: one page of the book becomes one notebook, with or without solutions."""
from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import book_repository
from book_sources import Directive, Page
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from .citations import Bibliography
from .numbers import Numbers
from .plain import Plain, anchor, pieces

BOOK = "Generative deep linear networks"
CONTENTS = "00_contents.ipynb"
VARIANTS = {"complete": "with solutions", "student": "without solutions"}
METADATA = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"}}

INSTALL = '''\
# The library of the book, from the folder of this notebook.
try:
    import bwlib
except ImportError:
    %pip install -q "./{wheel}[book]"'''

FETCH = '''\
# A notebook that was opened alone, as in Colab, fetches its folder first.
from pathlib import Path

if not Path("{wheel}").exists():
    !git clone -q --depth 1 --branch {branch} {repository} book
    %cd -q book/{variant}

'''


@dataclass(frozen=True)
class Edition:
    """What all notebooks share."""

    pages: list[Page]
    numbers: Numbers
    bibliography: Bibliography
    wheel: str               # file name of the library's wheel, which lies beside the notebooks
    repository: str = ""     # public address, if there is one

    def notebook(self, page: Page, variant: str) -> NotebookNode:
        cells = [new_markdown_cell(self.banner(page, variant)), *self.body(page, variant)]
        first = next((i for i, cell in enumerate(cells) if cell.cell_type == "code"), None)
        if first is not None:
            cells.insert(first, new_code_cell(self.installation(variant)))
        cited = {key for cell in cells for key in re.findall(r"\(#cite-([\w-]+)\)", cell.source)}
        if cited:
            cells.append(new_markdown_cell("## Cited works\n\n" + self.bibliography.list(cited)))
        for i, cell in enumerate(cells):
            cell.id = f"c{i:03d}"
        return new_notebook(cells=cells, metadata=METADATA)

    def banner(self, page: Page, variant: str) -> str:
        """The line at the top: where this is, and where else one can go."""
        stems = [p.path.stem for p in self.pages]
        here = stems.index(page.path.stem)
        links = [f"[contents]({CONTENTS})"]
        links += [f"[previous]({stems[here - 1]}.ipynb)"] if here else []
        links += [f"[next]({stems[here + 1]}.ipynb)"] if here + 1 < len(stems) else []
        if self.repository:
            services = book_repository.launch_links(self.repository, f"{variant}/{page.path.stem}.ipynb")
            links += [f"[open in {name}]({url})" for name, url in services.items()]
        return f"*{BOOK}*, notebooks {VARIANTS[variant]}: {' · '.join(links)}"

    def installation(self, variant: str) -> str:
        text = FETCH + INSTALL if self.repository else INSTALL
        return text.format(wheel=self.wheel, variant=variant, repository=self.repository, branch=book_repository.BRANCH)

    def body(self, page: Page, variant: str) -> Iterator[NotebookNode]:
        """All parts are translated; those of solutions are then left out for students."""
        plain = Plain(page.path.stem, [p.path.stem for p in self.pages], self.numbers, self.bibliography)
        solving = False
        for group in groups(page):
            match kind(group[0]):
                case "solution-start":
                    solving, cells = True, [solution_heading(group[0], plain)]
                    if variant == "student":
                        yield from workspace(group[0], page, plain)
                case "solution-end":
                    solving, cells = False, []
                case "code":
                    cells = code_cells(group[0], plain, outputs=variant == "complete")
                case _:
                    cells = [new_markdown_cell("\n\n".join(plain.piece(piece) for piece in group))]
            if not (solving and variant == "student"):
                yield from cells


def kind(piece: NotebookNode | Directive | str) -> str:
    return "text" if isinstance(piece, str) else piece.name if isinstance(piece, Directive) else "code"


def groups(page: Page) -> Iterator[list]:
    """What becomes one cell each: a code cell, the beginning or end of a solution, or pieces of text.

    Headings and exercises begin a new cell, so that they can be folded.
    """
    for cell in page.cells:
        group = []
        for piece in [cell] if cell.cell_type == "code" else pieces(cell.source):
            begins = kind(piece) in ("exercise", "solution-start", "solution-end") or \
                isinstance(piece, str) and re.match(r"(\([\w:-]+\)=\s*\n)?#", piece)
            if group and (begins or kind(group[0]).startswith("solution-")):
                yield group
                group = []
            group.append(piece)
        if group:
            yield group


def solution_heading(start: Directive, plain: Plain) -> NotebookNode:
    """Folded with the text and code below it, in Jupyter."""
    name = plain.target(start.title).name
    return new_markdown_cell(f"#### Solution of {name}", metadata={"jp-MarkdownHeadingCollapsed": True})


def workspace(start: Directive, page: Page, plain: Plain) -> list[NotebookNode]:
    """Room for the student's own solution: a text cell, and a code cell unless the exercise is by hand alone."""
    name = plain.target(start.title).name
    exercise = next(d for d in page.directives if d.label == start.title)
    cells = [new_markdown_cell(f"*Your solution of {name}.*")]
    return cells if exercise.title.startswith("✍") and "⌨" not in exercise.title else [*cells, new_code_cell()]


def code_cells(cell: NotebookNode, plain: Plain, outputs: bool) -> list[NotebookNode]:
    """The caption of a figure, if it is one, and the code; drawing code is folded."""
    hidden = "hide-input" in cell.metadata.get("tags", [])
    new = new_code_cell(cell.source, metadata={"jupyter": {"source_hidden": True}} if hidden else {})
    if outputs:
        new.outputs, new.execution_count = deepcopy(cell.outputs), cell.execution_count
    figure = cell.metadata.get("mystnb", {}).get("figure")
    if not figure:
        return [new]
    caption = f"{anchor(figure['name'])}**{plain.target(figure['name']).name}.** {plain.markdown(figure['caption'])}"
    if any("text/html" in output.get("data", {}) for output in cell.outputs):
        caption += " *Run the cell to see the figure move.*"
    for output in new.outputs:
        keep_picture(output, cell.metadata["mystnb"]["image"]["alt"])
    return [new_markdown_cell(caption), new]


def keep_picture(output: NotebookNode, alternative_text: str):
    """The still picture of a figure that moves: Jupyter runs no stored script before it trusts a notebook."""
    if "image/png" in output.get("data", {}):
        output.data.pop("text/html", None)
        output.metadata = {"image/png": {"alt": alternative_text}}
