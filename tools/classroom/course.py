"""The course folder: problem sets, their cells, and where everything is kept."""
from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
COURSE = ROOT / "assignments"
HIDDEN = re.compile(r"(?ms)^[ \t]*### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS[^\n]*\n?")


class Refused(Exception):
    """A request that cannot be carried out; its text is one clear line for the person who asked."""


@dataclass(frozen=True)
class Question:
    """An automatically marked question: its test cell and the names of the student's that the tests use."""

    id: str
    points: float
    test: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class ProblemSet:
    """The instructor's source of one problem set."""

    name: str
    notebook: nbformat.NotebookNode

    @classmethod
    def load(cls, name: str, course: Path = COURSE) -> ProblemSet:
        path = course / "source" / name / f"{name}.ipynb"
        if not path.is_file():
            known = ", ".join(set_names(course))
            raise Refused(f"There is no problem set {name!r}; the sets are {known}. Say for example SET=ps1.")
        return cls(name, nbformat.read(path, as_version=4))

    def cells(self, **flags) -> list:
        """The nbgrader cells whose flags (grade, solution, locked) are as asked."""
        return [c for c in self.notebook.cells if (m := c.metadata.get("nbgrader"))
                and all(bool(m.get(k)) == v for k, v in flags.items())]

    @property
    def given(self) -> list:
        """Code that the set provides: it runs beside the student's code and beside the tests."""
        return [c for c in self.cells(locked=True, grade=False, solution=False) if c.cell_type == "code"]

    @property
    def questions(self) -> list[Question]:
        defined = {n for c in self.cells(solution=True, grade=False) if c.cell_type == "code" for n in defined_names(c.source)}
        return [Question(c.metadata.nbgrader.grade_id, float(c.metadata.nbgrader.points), c.source,
                         tuple(sorted(used_names(c.source) & defined)))
                for c in self.cells(grade=True, solution=False)]

    @property
    def by_hand(self) -> list:
        """The cells that a person marks."""
        return self.cells(grade=True, solution=True)

    @property
    def points(self) -> dict[str, float]:
        """The points of each graded cell, in order."""
        return {c.metadata.nbgrader.grade_id: float(c.metadata.nbgrader.points) for c in self.cells(grade=True)}


def set_names(course: Path = COURSE) -> list[str]:
    return sorted(p.parent.name for p in (course / "source").glob("*/*.ipynb") if p.stem == p.parent.name)


def without_hidden(test: str) -> str:
    """A test cell as students see it."""
    return HIDDEN.sub("", test).rstrip()


def used_names(source: str) -> set[str]:
    return {n.id for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Name)}


def defined_names(source: str) -> set[str]:
    """Names that a cell assigns or defines at its top level."""
    names = set()
    for statement in ast.parse(re.sub(r"(?m)^[%!].*$", "", source)).body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            names.add(statement.name)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.For, ast.With)):
            names |= {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return names


def grade_id(cell) -> str | None:
    """The nbgrader id of a cell of a submission, of whatever form its metadata are."""
    meta = cell.get("metadata", {})
    meta = meta.get("nbgrader") if isinstance(meta, dict) else None
    name = meta.get("grade_id") if isinstance(meta, dict) else None
    return name if isinstance(name, str) else None
