"""Nothing is lost, every enrolled student is in the CSV, bad input gets one clear line."""
import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from classroom import sandbox
from classroom.collect import match, read_roster, Student
from classroom.course import ROOT, ProblemSet, Refused, grade_id
from classroom.feedback import make_feedback, refresh_csv
from classroom.grade import Grader, grade_all
from classroom.records import harmless
from test_hostile import with_solutions


@pytest.fixture
def classroom(course, place, tmp_path):
    """A course of its own with three students: one solved the set, one is silly, one is absent."""
    import shutil

    own = tmp_path / "course"
    for name in ("source", "student"):
        shutil.copytree(course / name, own / name)
    shutil.copy(course / "nbgrader_config.py", own)
    grader = Grader(ProblemSet.load("ps1", own), place, own)
    folder, roster = tmp_path / "in", tmp_path / "roster.csv"
    folder.mkdir()
    (folder / "ada.ipynb").write_text(json.dumps(with_solutions(grader)), encoding="utf-8")
    (folder / "bob.ipynb").write_text("{", encoding="utf-8")
    roster.write_text("id,first_name,email\nada,Ada,a@x\nbob,Bob,b@x\ncat,Cat,c@x\n", encoding="utf-8")
    return grader, folder, roster


def lines_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return {line["id"]: line for line in csv.DictReader(file)}


def mark_by_hand(grader, student, cell, score, comment):
    with grader.records.gradebook() as book:
        grade = book.find_grade(cell, "ps1", "ps1", student)
        grade.manual_score, grade.needs_manual_grade = score, False
        if not cell.endswith("-test"):
            book.find_comment(cell, "ps1", "ps1", student).manual_comment = comment
        book.db.commit()


def test_marks_by_hand_survive_everything(classroom, monkeypatch):
    grader, folder, roster = classroom
    lines = lines_of(grade_all(grader, folder, roster, 1, say=lambda line: None))
    assert lines["ada"]["score"] == "24" and lines["ada"]["status"].startswith("to be marked")
    assert lines["bob"]["status"] == "not graded" and lines["bob"]["score"] == "" and "JSON" in lines["bob"]["reason"]
    assert lines["cat"]["status"] == "missing" and lines["cat"]["score"] == "0" and lines["cat"]["email"] == "c@x"

    # A second run has nothing to do but what failed.
    said = []
    grade_all(grader, folder, roster, 1, say=said.append)
    assert any("1 unchanged since the last run" in line for line in said)

    # A person marks everything, one automatic mark included.  Then a test is repaired: all is graded again.
    for cell, score in {"q6": 3, "q6-text": 2, "q7": 4.5, "q8": 6, "q1-test": 1}.items():
        mark_by_hand(grader, "ada", cell, score, "well done")
    source = grader.course / "source" / "ps1" / "ps1.ipynb"
    nb = nbformat.read(source, as_version=4)
    for cell in nb.cells:
        if grade_id(cell) == "q3-test":
            cell.source = cell.source.replace("### END HIDDEN TESTS", "raise AssertionError('a stricter test')\n### END HIDDEN TESTS")
    nbformat.write(nb, source)
    again = Grader(ProblemSet.load("ps1", grader.course), grader.place, grader.course)
    lines = lines_of(grade_all(again, folder, roster, 1, say=said.append))
    assert lines["ada"]["q3-test"] == "0" and lines["ada"]["q7"] == "4.5" and lines["ada"]["q1-test"] == "1"
    assert lines["ada"]["status"] == "graded" and lines["ada"]["score"] == "31.5"

    # The student hands in again with another proof: the mark stays, and is shown to the person again.
    answer = json.loads((folder / "ada.ipynb").read_text(encoding="utf-8"))
    for cell in answer["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == "q7":
            cell["source"] = "A better proof."
    (folder / "ada.ipynb").write_text(json.dumps(answer), encoding="utf-8")
    lines = lines_of(grade_all(again, folder, roster, 1, say=said.append))
    assert lines["ada"]["q7"] == "4.5" and lines["ada"]["status"] == "to be marked: q7"

    # Feedback shows the person's marks and words, and no hidden test.
    make_feedback(again.problem_set, roster, again.course, say=said.append)
    page = (again.course / "feedback" / "ada" / "ps1" / "ps1.html").read_text(encoding="utf-8")
    assert any(line.startswith("Not all is marked by hand yet") and "ada" in line for line in said)
    assert "well done" in page and "A better proof." in page and "hidden_rng" not in page
    assert lines_of(refresh_csv(again.problem_set, roster, again.course))["ada"]["score"] == "31.5"


def test_a_crash_of_the_grader_leaves_the_others_graded(classroom, monkeypatch):
    grader, folder, roster = classroom
    (folder / "cat.ipynb").write_bytes((folder / "ada.ipynb").read_bytes())
    import classroom.grade as module

    def mark(*arguments):
        if "fail" in failing:
            failing.clear()
            raise RuntimeError("out of luck")
        return original(*arguments)

    original, failing = module.mark, {"fail"}
    monkeypatch.setattr(module, "mark", mark)
    lines = lines_of(grade_all(grader, folder, roster, 1, say=lambda line: None))
    assert "out of luck" in lines["ada"]["reason"] and lines["cat"]["score"] == "24"
    lines = lines_of(grade_all(grader, folder, roster, 1, say=lambda line: None))
    assert lines["ada"]["score"] == "24"


def test_an_interrupted_run_keeps_what_is_graded(classroom):
    grader, folder, roster = classroom
    slow = json.loads((folder / "ada.ipynb").read_text(encoding="utf-8"))
    slow["cells"].append(nbformat.v4.new_code_cell("import time\ntime.sleep(50)"))
    (folder / "cat.ipynb").write_text(json.dumps(slow), encoding="utf-8")
    command = [sys.executable, "-m", "classroom", "grade", "--course", grader.course, "--set", "ps1", "--submissions", folder,
               "--roster", roster, "--jobs", "2"]
    process = subprocess.Popen(command, cwd=ROOT / "tools", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "PYTHONUNBUFFERED": "1"})
    while "ada" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    _, complaint = process.communicate(timeout=40)
    assert process.returncode == 1 and "run the same command again" in complaint and "Traceback" not in complaint
    assert time.monotonic() - start < 20
    assert grader.records.load("ada") and not grader.records.load("cat")
    del slow["cells"][-1]
    (folder / "cat.ipynb").write_text(json.dumps(slow), encoding="utf-8")
    said = []
    lines = lines_of(grade_all(grader, folder, roster, 2, say=said.append))
    assert lines["ada"]["score"] == lines["cat"]["score"] == "24"
    assert any("1 unchanged since the last run" in line for line in said)


def test_text_of_students_runs_nothing_in_feedback(classroom):
    grader, folder, roster = classroom
    answer = json.loads((folder / "ada.ipynb").read_text(encoding="utf-8"))
    for cell in answer["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = "<script>taken()</script><img src=x onerror=taken()> $a<b$ [link](JavaScript:taken())"
    (folder / "ada.ipynb").write_text(json.dumps(answer), encoding="utf-8")
    grade_all(grader, folder, roster, 1, say=lambda line: None)
    make_feedback(grader.problem_set, None, grader.course, say=lambda line: None)
    page = (grader.course / "feedback" / "ada" / "ps1" / "ps1.html").read_text(encoding="utf-8")
    assert "<script>taken" not in page and "<img src=x" not in page and "href=\"JavaScript" not in page
    assert "$a&lt; b$" in page or "$a< b$" in page


def test_missing_sandbox_is_refused(monkeypatch):
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    with pytest.raises(Refused, match="apt install bubblewrap.*TRUST=1"):
        sandbox.Place()
    assert sandbox.Place(trusted=True).trusted


def test_trusted_submissions_are_graded_without_a_sandbox(classroom):
    grader, folder, roster = classroom
    trusting = Grader(grader.problem_set, sandbox.Place(trusted=True, limits=grader.place.limits), grader.course)
    assert lines_of(grade_all(trusting, folder, roster, 1, say=lambda line: None))["ada"]["score"] == "24"


@pytest.mark.parametrize("text, message", [
    ("name\nAda\n", "needs a column id"), ("id\n", "lists no students"), ("id\nada\nada\n", "appears twice"),
    ("id\n../../etc\n", "must be letters"), ("id\n=1+1\n", "must be letters"), ("", "needs a column id"),
])
def test_bad_rosters(tmp_path, text, message):
    (tmp_path / "roster.csv").write_text(text, encoding="utf-8")
    with pytest.raises(Refused, match=message):
        read_roster(tmp_path / "roster.csv")


def test_names_of_submissions():
    students = [Student(name, {"id": name}) for name in ("12", "123", "ada", "ada-b")]
    names = {"123.ipynb": "123", "ps1_12.zip": "12", "Lovelace_ada_late.ipynb": "ada", "ADA-B ps1.ipynb": "ada-b", "x1234.ipynb": None,
             "12 and 123.ipynb": None, "ps1.ipynb": None}
    found, loose = match([Path(name) for name in names], students)
    for name, owner in names.items():
        assert Path(name) in (found[owner] if owner else loose), name


def test_formulas_are_disarmed():
    assert harmless("=HYPERLINK(1)") == "'=HYPERLINK(1)" and harmless("Ada") == "Ada"


def run(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT / "tools")


@pytest.mark.parametrize("arguments, message", [
    (["grade"], "Say which submissions"), (["release", "--set", "ps99"], "There is no problem set 'ps99'"), (["feedback"], "Say which set"),
    (["grade", "--set", "ps1", "--submissions", "/nowhere", "--roster", "/nowhere.csv"], "There is no"),
])
def test_commands_say_what_is_missing(arguments, message):
    done = run("-m", "classroom", *arguments)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr


def validate(path):
    return run(str(ROOT / "assignments" / "student" / "validate.py"), str(path))


def test_validate(classroom, tmp_path):
    grader, folder, _ = classroom
    good = validate(folder / "ada.ipynb")
    assert good.returncode == 0 and "Ready to hand in" in good.stdout, good.stdout + good.stderr
    assert "with a figure" in good.stdout
    nbformat.write(grader.released, tmp_path / "blank.ipynb")      # as Jupyter does, with one string per line
    blank = validate(tmp_path / "blank.ipynb")
    assert blank.returncode == 1 and "NotImplementedError" in blank.stdout and "not answered yet" in blank.stdout
    for path, message in ((folder / "bob.ipynb", "is not a notebook"), (tmp_path / "no.ipynb", "There is no file")):
        bad = validate(path)
        assert bad.returncode == 1 and message in bad.stderr and "Traceback" not in bad.stderr
