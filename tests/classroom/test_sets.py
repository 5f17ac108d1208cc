"""Each problem set: its reference, its blank release, its wrong and right answers, what its release shows."""
from collections import Counter

import nbformat
import pytest
from answers_file import read_answers
from classroom.course import ProblemSet, grade_id, set_names
from classroom.marking import Marks, Workspace, mark, read_submission, try_question
from classroom.release import leaks, make_zip, secrets

SETS = set_names()
each_set = pytest.mark.parametrize("name", SETS)


def marks_of(grader, notebook):
    tidy = nbformat.from_dict({**notebook, "cells": notebook.cells})
    return mark(grader.problem_set, tidy, [], grader.place, grader.given, grader.blank)


@each_set
def test_the_set_is_well_formed(name):
    problem_set = ProblemSet.load(name)
    ids = [grade_id(c) for c in problem_set.notebook.cells if grade_id(c)]
    assert len(ids) == len(set(ids))
    assert len(problem_set.questions) >= 2 and problem_set.by_hand
    for question in problem_set.questions:
        assert question.names, f"{question.id} uses nothing of the student's"
        assert "### BEGIN HIDDEN TESTS" in question.test, question.id
    assert all(not c.get("outputs") for c in problem_set.notebook.cells)


@each_set
def test_reference_gets_every_automatic_point(name, graders, results):
    grader = graders(name)
    marks = marks_of(grader, grader.problem_set.notebook)
    automatic = {q.id: q.points for q in grader.problem_set.questions}
    assert {q: marks.scores[q] for q in automatic} == automatic, marks.messages
    assert not [o["error"] for o in marks.outputs.values() if o["error"]]
    assert not marks.notes
    assert any(o["pictures"] for o in marks.outputs.values()), "a figure"
    results[name] = {"points": sum(automatic.values()), "hand": sum(grader.problem_set.points.values()) - sum(automatic.values())}


@each_set
def test_points_by_tests_need_no_answer_that_a_person_marks(name, graders):
    grader = graders(name)
    nb = nbformat.from_dict(grader.problem_set.notebook)
    by_hand = {grade_id(c) for c in grader.problem_set.by_hand}
    nb.cells = [c for c in nb.cells if grade_id(c) not in by_hand]
    marks = marks_of(grader, nb)
    automatic = {q.id: q.points for q in grader.problem_set.questions}
    assert {q: marks.scores[q] for q in automatic} == automatic, marks.messages


@each_set
def test_blank_release_gets_nothing(name, graders):
    grader = graders(name)
    marks = marks_of(grader, grader.released)
    assert set(marks.scores.values()) == {0.0}, marks.messages


@each_set
def test_wrong_and_right_answers(name, graders, results):
    grader = graders(name)
    questions = {q.id.removesuffix("-test"): q for q in grader.problem_set.questions}
    answers = read_answers(name)
    workspace = Workspace(grader.problem_set, grader.problem_set.notebook, [], grader.place, Marks())
    wrong_verdicts = []
    try:
        for answer in answers:
            reference = next(c.source for c in grader.problem_set.notebook.cells if grade_id(c) == answer.question)
            run = workspace.ready().run(answer.code)
            assert run["error"] is None, (answer.question, answer.title, run["error"])
            complaint = try_question(questions[answer.question], grader.given, workspace.fetch)
            if answer.right != (complaint is None):
                wrong_verdicts.append((answer.question, answer.title, complaint))
            workspace.ready().run(reference)
    finally:
        workspace.close()
    assert not wrong_verdicts
    count = Counter((a.question, a.right) for a in answers)
    for question in questions:
        assert count[question, False] >= 5, f"{question}: {count[question, False]} wrong answers"
        assert count[question, True] >= 2, f"{question}: {count[question, True]} other right answers"
    results.setdefault(name, {}).update(questions=len(questions), wrong=sum(not a.right for a in answers), right=sum(a.right for a in answers))


@each_set
def test_release_shows_no_solution(name, graders, course, tmp_path):
    import zipfile

    grader = graders(name)
    path = make_zip(grader.problem_set, grader.released, course)
    assert len(secrets(grader.problem_set)) > 20
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path)
    assert {f"{name}/{f}" for f in (f"{name}.ipynb", "requirements.txt", "README.md", "checks.py", "validate.py", "bwlib/__init__.py")} <= set(names)
    text = "\n".join((tmp_path / n).read_text(encoding="utf-8") for n in names if "/bwlib/" not in n)
    released = nbformat.read(tmp_path / name / f"{name}.ipynb", as_version=4)
    assert leaks(grader.problem_set, text, released) == []
    assert leaks(grader.problem_set, text + sorted(secrets(grader.problem_set))[0], released)
    read_submission(tmp_path / name / f"{name}.ipynb")
