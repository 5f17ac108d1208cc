"""Hostile submissions get nothing that they do not deserve, and disturb nobody."""
import copy
import csv
import os
import subprocess

import hostile
import nbformat
import pytest
from classroom.course import grade_id
from classroom.grade import Grader, grade_all
from classroom.sandbox import Limits, Place


@pytest.fixture(scope="module")
def graded(graders, course, tmp_path_factory):
    """All hostile submissions, and an honest one, graded together: the lines of the CSV by student."""
    given = graders("ps1")
    grader = Grader(given.problem_set, Place(limits=Limits(cell=4, call=3, total=40)), course)
    folder = tmp_path_factory.mktemp("submissions")
    blank, solved = grader.released, with_solutions(grader)
    expected = hostile.files(folder, blank, solved)
    for name, source in hostile.CODE.items():
        hostile.write(hostile.with_cell(blank, source), folder / f"{name}.ipynb")
        expected[name] = 0
    roster = folder.parent / "roster.csv"
    with open(roster, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "first_name"], *([name, "A"] for name in sorted(expected)), ["absent", "A"]])
    said = []
    path = grade_all(grader, folder, roster, 2, say=said.append)
    with open(path, newline="", encoding="utf-8") as file:
        return {line["id"]: line for line in csv.DictReader(file)}, expected, said, grader


def with_solutions(grader):
    """The release with the model solutions in it: what an excellent student hands in."""
    solutions = {grade_id(c): c.source for c in grader.problem_set.cells(solution=True)}
    solved = copy.deepcopy(grader.released)
    for cell in solved.cells:
        cell.source = solutions.get(grade_id(cell), cell.source)
    return solved


def test_everybody_gets_what_is_deserved(graded, results):
    lines, expected, said, grader = graded
    automatic = {q.id: q.points for q in grader.problem_set.questions}
    wrong = {}
    for name, what in expected.items():
        line = lines[name]
        points = sum(float(line[q] or 0) for q in automatic)
        if isinstance(what, str) and what != "all":
            good = line["status"] == "not graded" and what in line["reason"] and not line["score"]
        elif what is None:
            good = line["status"] != "not graded"
        else:
            good = line["status"] != "not graded" and points == (sum(automatic.values()) if what == "all" else what)
        if not good:
            wrong[name] = (what, points, line["status"], line["reason"])
    assert not wrong
    assert lines["absent"]["status"] == "missing" and lines["absent"]["score"] == "0"
    results["hostile"] = {"submissions": len(expected) - 2, "points": 0}


def test_code_that_should_fail_quietly_does(graded):
    """Attacks that assert their own failure ran to their end."""
    lines, _, _, grader = graded
    for name in ("network", "opens-for-writing", "lifts-its-limits"):
        path = grader.course / "autograded" / name / "ps1" / "ps1.ipynb"
        last = [c for c in nbformat.read(path, as_version=4).cells if c.source.strip() == hostile.CODE[name].strip()]
        assert len(last) == 1 and not [o for o in last[0].outputs if o.output_type == "error"], (name, last)


def test_nobody_is_disturbed(graded):
    lines, _, _, grader = graded
    assert lines["honest"]["reason"] == ""
    assert not hostile.ESCAPED.exists()
    running = subprocess.run(["ps", "-eo", "ppid,args"], capture_output=True, text=True).stdout
    assert not [line for line in running.splitlines() if "classroom.student_side" in line and str(os.getpid()) == line.split()[0]]


def test_marked_copies_carry_nothing_active(graded):
    _, expected, _, grader = graded
    for path in grader.course.glob("autograded/*/ps1/ps1.ipynb"):
        nb = nbformat.read(path, as_version=4)
        kinds = {key for c in nb.cells if c.cell_type == "code" for o in c.outputs for key in o.get("data", {})}
        assert kinds <= {"image/png"}
        assert path.stat().st_size < 3_000_000
        assert "### BEGIN HIDDEN" not in path.read_text(encoding="utf-8")
