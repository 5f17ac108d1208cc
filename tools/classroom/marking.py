"""Mark one submission: run the student's cells in a sandbox, then the tests in a clean process.

The tests come from the instructor's source and run here, where no student code is ever loaded.  Each name that they
use of the student's is a stand-in: a value fetched as plain data, or a function whose calls are sent to the student's
process and answered with plain data.
"""
from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

from . import plain
from .course import ProblemSet, Question, Refused, grade_id, without_hidden
from .sandbox import CHECKS, CLOSING, Place, Session, Stopped

LARGEST_NOTEBOOK = 20_000_000  # bytes
MOST_STARTS = 4                # a process that dies is started again, without the cell that killed it


@dataclass
class Marks:
    """What marking a submission found."""

    scores: dict[str, float | None] = field(default_factory=dict)    # None: a person has to mark the cell
    messages: dict[str, str] = field(default_factory=dict)           # per question marked by tests
    notes: list[str] = field(default_factory=list)                   # for the teacher
    outputs: dict[int, dict] = field(default_factory=dict)           # per cell of the submission


# ---------------------------------------------------------------- reading a submission


def read_submission(path: Path) -> nbformat.NotebookNode:
    """The notebook, reduced to well-formed text and code cells; ``Refused`` with the reason if it is none."""
    if path.stat().st_size > LARGEST_NOTEBOOK:
        raise Refused(f"the notebook is larger than {LARGEST_NOTEBOOK // 10**6} MB")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        nb = nbformat.from_dict(raw) if raw["nbformat"] == 4 else nbformat.convert(nbformat.from_dict(raw), 4)
        cells = [tidy(c) for c in nb["cells"] if c.get("cell_type") in ("code", "markdown")]
    except UnicodeDecodeError:
        raise Refused("the notebook is not a text file") from None
    except (ValueError, RecursionError):
        raise Refused("the notebook is not valid JSON") from None
    except Exception as error:
        raise Refused(f"the file is not a Jupyter notebook ({type(error).__name__})") from None
    return nbformat.v4.new_notebook(cells=cells)


def tidy(cell):
    """A fresh cell with the text, the attached pictures and the nbgrader id of the given one, and nothing else."""
    source = cell["source"]
    source = source if isinstance(source, str) else "".join(source)
    make = nbformat.v4.new_code_cell if cell["cell_type"] == "code" else nbformat.v4.new_markdown_cell
    name = grade_id(cell)
    fresh = make(source.encode(errors="replace").decode(), metadata={"nbgrader": {"grade_id": name}} if name else {})
    if pictures := attached(cell.get("attachments")):
        fresh.attachments = pictures
    return fresh


def attached(attachments) -> dict:
    """The PNG and JPEG pictures among a cell's attachments: a proof may be a photograph."""
    if not isinstance(attachments, dict):
        return {}
    found = {str(name): {kind: data for kind, data in forms.items() if kind in ("image/png", "image/jpeg") and is_base64(data)}
             for name, forms in attachments.items() if isinstance(forms, dict)}
    return {name: forms for name, forms in found.items() if forms}


# ---------------------------------------------------------------- the student's process


class Workspace:
    """The student's process after all cells ran; started again without the cell that ended it."""

    def __init__(self, problem_set: ProblemSet, notebook, files: list[Path], place: Place, marks: Marks):
        locked = {grade_id(c) for c in problem_set.cells(locked=True)}
        self.given = [c.source for c in problem_set.given]
        self.cells = {i: c.source for i, c in enumerate(notebook.cells)
                      if c.cell_type == "code" and c.source.strip() and grade_id(c) not in locked}
        self.files, self.place, self.marks = files, place, marks
        self.starts, self.session = 0, None

    def ready(self) -> Session:
        """A living session in which every cell ran."""
        while self.session is None or not self.session.alive:
            if self.starts == MOST_STARTS:
                raise Stopped("the notebook ended its process too often")
            self.starts += 1
            self.session = self._fresh()
        return self.session

    def _fresh(self) -> Session:
        session = Session(self.place, self.files)
        try:
            for source in self.given:
                session.run(source)
        except Stopped as stopped:
            self.marks.notes.append(f"the process could not be started: {stopped}")
            return session
        for i, source in list(self.cells.items()):
            try:
                self.marks.outputs[i] = session.run(source)
            except Stopped as stopped:
                self.marks.notes.append(f"cell {i + 1} was skipped: {stopped}")
                self.marks.outputs[i] = {"text": "", "pictures": [], "error": ["Stopped", str(stopped), ""]}
                del self.cells[i]
                break
        return session

    def fetch(self, name: str):
        """The value that the student's notebook left under a name, or a stand-in for the function."""
        answer = self.ready().ask({"do": "get", "name": name}, CLOSING)
        kind = answer.get("kind")
        if kind == "function":
            return lambda *arguments, **options: self.call(name, arguments, options)
        if kind == "value":
            return plain.decode(answer.get("value"))
        raise AssertionError(f"{name} is not defined" if kind == "missing" else f"{name} is {answer.get('error')}")

    def call(self, name, arguments, options):
        limit = self.place.limits.call
        answer = self.ready().ask({"do": "call", "name": name, "arguments": plain.encode(arguments),
                                   "options": plain.encode(options), "seconds": limit}, limit + CLOSING)
        if "value" not in answer:
            raise AssertionError(f"{name} raised {str(answer.get('error'))[:500]}")
        return plain.decode(answer["value"])

    def close(self):
        if self.session is not None:
            self.session.close()


# ---------------------------------------------------------------- the tests


def given_names(problem_set: ProblemSet) -> dict:
    """What the set's own cells define, for the tests; run once per set in the grader."""
    if str(CHECKS.parent) not in sys.path:
        sys.path.insert(0, str(CHECKS.parent))
    import matplotlib
    matplotlib.use("agg")
    names = {}
    for cell in problem_set.given:
        exec(compile(cell.source, f"<{problem_set.name}:{grade_id(cell)}>", "exec"), names)
    return names


def try_question(question: Question, given: dict, fetch) -> str | None:
    """Run the tests of one question; the complaint, or None if they pass."""
    try:
        names = given | {name: fetch(name) for name in question.names}
        exec(compile(question.test, f"<{question.id}>", "exec"), names)
    except Stopped as stopped:
        return f"stopped: {stopped}"
    except Exception as error:
        return f"{error}" if isinstance(error, AssertionError) and str(error) else f"{type(error).__name__}: {error}"
    return None


def mark(problem_set: ProblemSet, notebook, files: list[Path], place: Place, given: dict, blank: dict[str, str]) -> Marks:
    """Marks of a submission; ``blank`` holds the released text of the cells that a person marks."""
    marks = Marks()
    workspace = Workspace(problem_set, notebook, files, place, marks)
    try:
        for question in problem_set.questions:
            complaint = try_question(question, given, workspace.fetch)
            marks.scores[question.id] = question.points if complaint is None else 0.0
            marks.messages[question.id] = complaint or "all tests pass"
    finally:
        workspace.close()
    answers = {grade_id(c): c.source for c in reversed(notebook.cells)}
    for cell in problem_set.by_hand:
        name = grade_id(cell)
        empty = name in answers and answers[name].strip() in ("", blank[name].strip())
        marks.scores[name] = 0.0 if empty else None
        if name not in answers:
            marks.notes.append(f"cell {name} is missing: the answer may stand elsewhere")
    return marks


# ---------------------------------------------------------------- the marked copy


def marked_copy(problem_set: ProblemSet, released, notebook, marks: Marks):
    """The notebook that a person marks and that feedback shows: the student's cells with the outputs of this run.

    The cells of the set keep their released text (without hidden tests); of several copies of one cell the first
    counts; what is missing is appended.
    """
    ours = {grade_id(c): c for c in released.cells if grade_id(c)}
    cells, seen = [], set()
    for i, cell in enumerate(notebook.cells):
        name = grade_id(cell)
        cell.metadata.pop("nbgrader", None)
        if name in ours and name not in seen and cell.cell_type == ours[name].cell_type:
            seen.add(name)
            cell = restored(ours[name], cell)
        if cell.cell_type == "markdown":
            cell.source = inactive(cell.source)
        else:
            cell.outputs = outputs(marks.outputs.get(i)) if name not in marks.scores or i in marks.outputs else []
        cells.append(cell)
    missing = nbformat.v4.new_markdown_cell("# (this cell is missing in the submission)")
    cells += [restored(ours[name], missing) for name in ours if name not in seen]
    for cell in cells:
        name = grade_id(cell)
        if name in marks.scores and cell.metadata.nbgrader.locked:
            passed = marks.scores[name] == problem_set.points[name]
            cell.outputs = [text_output(marks.messages[name])] if passed else [error_output("Tests", marks.messages[name])]
    for n, cell in enumerate(cells):
        cell.id = f"cell-{n}"
    return nbformat.v4.new_notebook(cells=cells, metadata=released.metadata)


def restored(ours, theirs):
    """A cell of the set with the student's answer in it, if it is a cell for answers and of the same kind."""
    cell = nbformat.from_dict(ours)
    if cell.metadata.nbgrader.solution:
        cell.source = theirs.source
        if theirs.get("attachments"):
            cell.attachments = theirs.attachments
    if cell.cell_type == "code":
        cell.outputs, cell.execution_count = [], None
    return cell


def text_output(text):
    return nbformat.v4.new_output("stream", name="stdout", text=str(text) + "\n")


def error_output(name, value, trace=""):
    lines = str(trace).split("\n") if trace else [f"{name}: {value}"]
    return nbformat.v4.new_output("error", ename=str(name), evalue=str(value), traceback=lines)


def outputs(run: dict | None) -> list:
    """Outputs of a run as text and PNG pictures only: nothing that a browser would execute."""
    if run is None:
        return []
    found = [text_output(run["text"].rstrip("\n"))] if run["text"].strip() else []
    pictures = run["pictures"] if isinstance(run["pictures"], list) else []
    found += [nbformat.v4.new_output("display_data", data={"image/png": p}) for p in pictures if is_picture(p)]
    if isinstance(run["error"], list) and len(run["error"]) == 3:
        found.append(error_output(*run["error"]))
    return found


def is_picture(data) -> bool:
    return is_base64(data) and data.startswith("iVBORw0KGgo")


def is_base64(data) -> bool:
    return isinstance(data, str) and re.fullmatch(r"[A-Za-z0-9+/=\n]*", data) is not None


def inactive(text: str) -> str:
    """Text whose tags a browser does not see and whose links lead to pages only; formulas read the same."""
    text = re.sub(r"<(?=[A-Za-z/!?])", "< ", text)
    return re.sub(r"(?i)(\]\(|\]:)(?!\s*(?:https?:|attachment:|#))(?=[^)\n]*[:&])", r"\1#", text)
