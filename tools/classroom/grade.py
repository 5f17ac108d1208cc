"""Grade the submissions of one problem set: in the sandbox, several at a time, each on its own."""
from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat

from . import collect
from .course import COURSE, ROOT, ProblemSet, Refused, grade_id
from .marking import given_names, mark, marked_copy, read_submission
from .records import Record, Records, digest_answers
from .release import generate
from .sandbox import CHECKS, HERE, Place


@dataclass
class Grader:
    """Everything that all submissions of one set have in common."""

    problem_set: ProblemSet
    place: Place
    course: Path = COURSE

    def __post_init__(self):
        self.released = generate(self.problem_set, self.course)
        self.records = Records(self.problem_set, self.course)
        self.given = given_names(self.problem_set)
        self.blank = {grade_id(c): c.source for c in self.released.cells if grade_id(c)}
        programs = sorted((ROOT / "bwlib").glob("*.py")) + sorted(HERE.glob("*.py")) + [CHECKS]
        self.rules = [nbformat.writes(self.problem_set.notebook).encode(), *(p.read_bytes() for p in programs)]

    def grade(self, student, entries) -> tuple[Record, object]:
        """The record of one submission, and what to enter (None if nothing has changed or it cannot be graded)."""
        with tempfile.TemporaryDirectory(prefix="classroom-") as box:
            try:
                path, files = collect.bring_in(entries, self.problem_set.name, Path(box))
                fingerprint = collect.fingerprint(Path(box), *self.rules)
                before = self.records.load(student.id)
                if before and before.fingerprint == fingerprint and not before.reason:
                    return before, None
                notebook = read_submission(path)
                marks = mark(self.problem_set, notebook, files, self.place, self.given, self.blank)
                answers = digest_answers(self.problem_set, notebook)
                return Record(fingerprint, "", marks.notes, answers), (marks, marked_copy(self.problem_set, self.released, notebook, marks), before)
            except Refused as refused:
                return Record("", str(refused)), None
            except Exception as error:
                return Record("", f"grading failed: {type(error).__name__}: {str(error)[:200]}"), None

    def enter(self, student, record: Record, work):
        """Keep the outcome of one submission; the record last, so that an interrupted run does it again."""
        if work:
            marks, copy, before = work
            self.records.save_copy(student.id, copy)
            self.records.enter(student, marks, record.answers, before)
        if work or record.reason:
            old = self.records.load(student.id)
            record.answers = record.answers or (old.answers if old else {})
            self.records.save(student.id, record)


@contextmanager
def closing_on_interrupt(place: Place, pool: ThreadPoolExecutor):
    """On Ctrl-C end what runs, without its marks; what is entered stays."""
    try:
        yield
    except KeyboardInterrupt:
        place.closed.set()
        pool.shutdown(cancel_futures=True)
        raise Refused("Interrupted. What is graded is kept: run the same command again to go on.") from None


def grade_all(grader: Grader, folder: Path, roster: Path, jobs: int, say=print) -> Path:
    """Grade a folder of submissions; returns the CSV."""
    students = collect.read_roster(roster)
    found, loose = collect.match(collect.entries_of(folder), students)
    for entry in loose:
        say(f"  not used: {entry.name} (no single id of the roster in its name)")
    reasons = {s.id: "missing" for s in students if not found[s.id]}
    work = [s for s in students if found[s.id]]
    skipped = 0
    with ThreadPoolExecutor(jobs) as pool, closing_on_interrupt(grader.place, pool):
        waiting = {pool.submit(grader.grade, s, found[s.id]): s for s in work}
        for count, future in enumerate(as_completed(waiting), start=1):
            student, (record, outcome) = waiting[future], future.result()
            grader.enter(student, record, outcome)
            skipped += outcome is None and not record.reason
            if record.reason:
                reasons[student.id] = record.reason
            if outcome or record.reason:
                say(f"  {count}/{len(work)} {student.id}: {record.reason or '; '.join(record.notes) or 'graded'}")
    path = grader.records.write_csv(students, reasons)
    ungraded = {k: v for k, v in reasons.items() if v != "missing"}
    say(f"{len(work) - len(ungraded)} of {len(students)} enrolled students graded ({skipped} unchanged since the last run), "
        f"{len(reasons) - len(ungraded)} without a submission, {len(ungraded)} not graded.")
    for name, reason in ungraded.items():
        say(f"  not graded: {name}: {reason}")
    say(f"Grades: {path}")
    return path
