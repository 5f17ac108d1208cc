"""A whole round of a course with 40 made-up submissions, by the documented commands, timed: rehearsal.py [SET ...]

Everything happens in a temporary copy of the course folder.  The times go into a table of the instructors' page.
"""
from __future__ import annotations

import copy
import csv
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from answers_file import read_answers  # noqa: E402
from classroom.course import ProblemSet, grade_id, set_names  # noqa: E402
from table import replace_part  # noqa: E402

KINDS = {"model": 10, "other style": 4, "mistakes": 19, "blank": 3, "damaged": 2, "endless": 2}
ABSENT = 2


def make(*words: object) -> float:
    """Seconds that a command of the README takes."""
    start = time.monotonic()
    done = subprocess.run(["make", "-s", "-C", str(ROOT), *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"make {' '.join(map(str, words))} failed:\n{done.stdout}{done.stderr}")
    return time.monotonic() - start


def submissions(problem_set: ProblemSet, folder: Path, course: Path) -> dict[str, str]:
    """Write 40 submissions as notebooks, folders and archives; the kind of each, by the student's id."""
    draw = random.Random(problem_set.name)
    blank = nbformat.read(course / "release" / problem_set.name / f"{problem_set.name}.ipynb", as_version=4)
    solutions = {grade_id(c): c.source for c in problem_set.cells(solution=True)}
    answers = read_answers(problem_set.name)
    kinds = [kind for kind, count in KINDS.items() for _ in range(count)]
    owners = {f"s{1000 + i}": kind for i, kind in enumerate(kinds)}
    for student, kind in owners.items():
        chosen = dict(solutions)
        if kind == "mistakes":
            chosen |= {a.question: a.code for a in draw.sample([a for a in answers if not a.right], 3)}
        if kind == "other style":
            chosen |= {a.question: a.code for a in draw.sample([a for a in answers if a.right], 3)}
        if kind == "endless":
            chosen[next(a.question for a in answers)] = "while True: pass"
        nb = copy.deepcopy(blank)
        if kind != "blank":
            for cell in nb.cells:
                cell.source = chosen.get(grade_id(cell), cell.source)
        text = json.dumps(nb)
        hand_in(text[:len(text) // 2] if kind == "damaged" else text, student, folder, draw)
    return owners


def hand_in(text: str, student: str, folder: Path, draw: random.Random):
    form = draw.choice(["notebook", "folder", "archive"])
    if form == "notebook":
        (folder / f"{student}.ipynb").write_text(text, encoding="utf-8")
    elif form == "folder":
        (folder / f"{student}_late").mkdir()
        (folder / f"{student}_late" / "my answers.ipynb").write_text(text, encoding="utf-8")
    else:
        with zipfile.ZipFile(folder / f"{student}.zip", "w") as archive:
            archive.writestr("homework/answers.ipynb", text)


def check(path: Path, owners: dict[str, str], automatic: float):
    """The CSV says of each student what the kind of the submission deserves."""
    with open(path, newline="", encoding="utf-8") as file:
        lines = {line["id"]: line for line in csv.DictReader(file)}
    assert len(lines) == len(owners) + ABSENT
    for student, line in lines.items():
        kind, score = owners.get(student, "absent"), float(line["score"] or 0)
        status = {"damaged": "not graded", "absent": "missing"}.get(kind, "to be marked" if kind != "blank" else "graded")
        good = {"model": score == automatic, "other style": score == automatic, "blank": score == 0, "damaged": score == 0,
                "absent": score == 0}.get(kind, score < automatic)
        assert line["status"].startswith(status) and good, (student, kind, line)


def rehearse(name: str) -> list[object]:
    """One row of the table."""
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as place:
        course, folder, roster = Path(place, "course"), Path(place, name), Path(place, "roster.csv")
        shutil.copytree(ROOT / "assignments", course, ignore=shutil.ignore_patterns(
            "release", "autograded", "feedback", "records", "gradebook*", "grades_*"))
        folder.mkdir()
        released = make("release", f"SET={name}", f"COURSE={course}")
        problem_set = ProblemSet.load(name, course)
        owners = submissions(problem_set, folder, course)
        with open(roster, "w", newline="", encoding="utf-8") as file:
            absent = [f"s{2000 + i}" for i in range(ABSENT)]
            csv.writer(file).writerows([["id", "first_name"], *([student, "A"] for student in [*owners, *absent])])
        where = (f"SET={name}", f"ROSTER={roster}", f"COURSE={course}")
        graded = make("grade", f"SUBMISSIONS={folder}", *where)
        check(course / f"grades_{name}.csv", owners, sum(q.points for q in problem_set.questions))
        again = make("grade", f"SUBMISSIONS={folder}", *where)
        feedback = make("feedback", *where)
        with zipfile.ZipFile(course / "feedback" / f"{name}.zip") as archive:
            assert len(archive.namelist()) == len(owners) - KINDS["damaged"]
        return [name, *(f"{seconds:.0f} s" for seconds in (released, graded, again, feedback))]


def main():
    rows = []
    for name in sys.argv[1:] or set_names():
        rows.append(rehearse(name))
        print("{}: release {}, grades {}, grades again {}, feedback {}".format(*rows[-1]))
    if len(rows) == len(set_names()):
        head = ["| set | release | grade 40 submissions | grade again, nothing new | feedback |", "|---|--:|--:|--:|--:|"]
        replace_part("rehearsal", "\n".join(head + [f"| {' | '.join(map(str, row))} |" for row in rows]
                     + ["", f"Measured on {os.cpu_count()} processors, two submissions at a time. {KINDS['endless']} of the 40 contain "
                        f"an endless loop, {KINDS['damaged']} are damaged files, and {ABSENT} more students handed in nothing."]))


if __name__ == "__main__":
    main()
