"""Feedback pages by nbgrader, one zip for the learning-management system, and the CSV with the marks given by hand."""
from __future__ import annotations

import zipfile
from pathlib import Path

from . import collect
from .course import COURSE, ProblemSet, Refused
from .records import Records
from .release import nbgrader


def make_feedback(problem_set: ProblemSet, roster: Path | None, course: Path = COURSE, say=print) -> Path:
    name = problem_set.name
    if not list(course.glob(f"autograded/*/{name}/{name}.ipynb")):
        raise Refused(f"No submission of {name} is graded yet: run  make grade SET={name} SUBMISSIONS=folder ROSTER=roster.csv  first.")
    nbgrader(problem_set, course, "generate_feedback")
    pages = sorted(course.glob(f"feedback/*/{name}/{name}.html"))
    path = course / "feedback" / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for page in pages:
            archive.write(page, f"{page.parts[-3]}_{name}.html")
    say(f"{len(pages)} feedback page{'s' * (len(pages) != 1)}: {path}")
    waiting = [student for student, found in Records(problem_set, course).scores().items() if found["waiting"]]
    if waiting:
        say(f"Not all is marked by hand yet; what waits is shown with 0 points on the pages of {', '.join(sorted(waiting)[:10])}"
            f"{' and others' * (len(waiting) > 10)}.")
    if roster:
        say(f"Grades: {refresh_csv(problem_set, roster, course)}")
    return path


def refresh_csv(problem_set, roster, course) -> Path:
    """The CSV again, with what has been marked by hand since."""
    records, students = Records(problem_set, course), collect.read_roster(roster)
    known = {s.id: records.load(s.id) for s in students}
    return records.write_csv(students, {s: (r.reason if r else "missing") for s, r in known.items() if r is None or r.reason})
