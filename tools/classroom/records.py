"""What is kept: the nbgrader gradebook, the marked copies, one small record per submission, and the CSV of grades."""
from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

from .course import ProblemSet, grade_id
from .marking import Marks


@dataclass
class Record:
    """The outcome for one submission, and the fingerprint of what it was computed from."""

    fingerprint: str
    reason: str = ""                                            # why it could not be graded
    notes: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)       # digests of the answers that a person marks


class Records:
    """The records of one problem set in a course folder."""

    def __init__(self, problem_set: ProblemSet, course: Path):
        self.set, self.course = problem_set, course
        self.folder = course / "records" / problem_set.name

    def load(self, student: str) -> Record | None:
        try:
            return Record(**json.loads((self.folder / f"{student}.json").read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def save(self, student: str, record: Record):
        write(self.folder / f"{student}.json", json.dumps(record.__dict__, indent=1, ensure_ascii=False))

    def save_copy(self, student: str, notebook):
        name = self.set.name
        write(self.course / "autograded" / student / name / f"{name}.ipynb", nbformat.writes(notebook))

    # ------------------------------------------------------------ the gradebook

    def gradebook(self):
        from nbgrader.api import Gradebook
        return Gradebook(f"sqlite:///{self.course / 'gradebook.db'}")

    def enter(self, student, marks: Marks, answers: dict[str, str], before: Record | None):
        """Enter automatic marks.  A mark that a person gave stays; it is flagged if the answer has changed since."""
        name = self.set.name
        changed = {k for k, v in answers.items() if before and k in before.answers and before.answers[k] != v}
        with self.gradebook() as book:
            details = {k: student.row[k] for k in ("first_name", "last_name", "email") if student.row.get(k)}
            book.update_or_create_student(student.id, **details)
            with book.db.no_autoflush:
                submission = book.update_or_create_submission(name, student.id)
            for notebook in submission.notebooks:
                for grade in notebook.grades:
                    grade.auto_score = marks.scores[grade.name]
                    by_hand = marks.scores[grade.name] is None
                    grade.needs_manual_grade = (by_hand and grade.manual_score is None) or grade.name in changed
            book.db.commit()

    def scores(self) -> dict[str, dict]:
        """Per student the score of each graded cell (None: not marked yet) and the cells that wait for a person."""
        found = {}
        with self.gradebook() as book:
            for submission in book.assignment_submissions(self.set.name):
                grades = [g for notebook in submission.notebooks for g in notebook.grades]
                waiting = [g.name for g in grades if g.needs_manual_grade]
                known = {g.name: g.score for g in grades if g.auto_score is not None or g.manual_score is not None}
                found[submission.student.id] = {"scores": known, "waiting": waiting}
        return found

    # ------------------------------------------------------------ the CSV

    def write_csv(self, students, reasons: dict[str, str]) -> Path:
        """One line per enrolled student; a missing submission scores 0, an ungraded one has no score but a reason."""
        points, scores = self.set.points, self.scores()
        path = self.course / f"grades_{self.set.name}.csv"
        columns = [*students[0].row, "status", "score", "max_score", *points, "reason"]
        lines = [self._line(s, points, scores.get(s.id), reasons.get(s.id)) for s in students]
        temporary = path.with_suffix(".part")
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(lines)
        os.replace(temporary, path)
        return path

    def _line(self, student, points, found, reason):
        line = {**{k: harmless(v) for k, v in student.row.items()}, "max_score": number(sum(points.values()))}
        if reason == "missing":
            return {**line, "status": "missing", "score": 0}
        if reason or found is None:
            return {**line, "status": "not graded", "reason": harmless(reason or "not graded yet")}
        cells = {name: number(found["scores"][name]) for name in points if name in found["scores"]}
        record = self.load(student.id)
        return {**line, **cells, "score": number(sum(found["scores"].values())),
                "status": "to be marked: " + " ".join(n for n in points if n in found["waiting"]) if found["waiting"] else "graded",
                "reason": harmless("; ".join(record.notes if record else []))}


def digest_answers(problem_set: ProblemSet, notebook) -> dict[str, str]:
    """A digest of each answer that a person marks."""
    import hashlib
    texts = {grade_id(c): c.source for c in reversed(notebook.cells)}
    return {name: hashlib.sha256(texts.get(name, "").strip().encode()).hexdigest()[:16] for name in map(grade_id, problem_set.by_hand)}


def write(path: Path, text: str):
    """All of the file or nothing of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def number(value: float):
    return int(value) if value == int(value) else round(value, 4)


def harmless(text: str) -> str:
    """Text that a spreadsheet will not take for a formula."""
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
