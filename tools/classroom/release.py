"""The students' version of a problem set: one zip with the notebook, the library, an environment file and instructions."""
from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat

from .course import COURSE, HIDDEN, ROOT, ProblemSet, Refused

SOLUTION = re.compile(r"(?ms)^[ \t]*### BEGIN SOLUTION[^\n]*\n(.*?)^[ \t]*### END SOLUTION")
NEEDED = ("numpy", "scipy", "matplotlib", "joblib", "tqdm", "scikit-learn", "ipykernel", "nbclient", "nbformat", "jupyterlab")


def nbgrader(problem_set: ProblemSet, course: Path, command: str, *options: str):
    """Run a step of nbgrader in the course folder."""
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])     # it calls alembic
    run = subprocess.run([sys.executable, "-m", "nbgrader", command, problem_set.name, "--force", *options],
                         cwd=course, capture_output=True, text=True, env={**os.environ, "PATH": programs})
    if run.returncode:
        lines = [line.strip() for line in run.stderr.splitlines() if "Error: " in line]
        raise Refused(f"nbgrader {command} {problem_set.name} failed: {lines[-1] if lines else run.stderr[-500:]}")


def generate(problem_set: ProblemSet, course: Path = COURSE):
    """nbgrader's own release step: the students' notebook, and the set's cells in the gradebook."""
    nbgrader(problem_set, course, "generate_assignment", "--create")
    return nbformat.read(course / "release" / problem_set.name / f"{problem_set.name}.ipynb", as_version=4)


def make_zip(problem_set: ProblemSet, released, course: Path = COURSE) -> Path:
    """Write release/<set>.zip, and look in it for what students must not see."""
    name = problem_set.name
    folder = course / "student"
    files = {f"{name}.ipynb": nbformat.writes(released), "requirements.txt": environment(),
             "README.md": (folder / "README.md").read_text(encoding="utf-8").replace("SET", name),
             "checks.py": (folder / "checks.py").read_text(encoding="utf-8"),
             "validate.py": (folder / "validate.py").read_text(encoding="utf-8")}
    found = leaks(problem_set, "\n".join(files.values()), nbformat.reads(files[f"{name}.ipynb"], as_version=4))
    if found:
        raise Refused(f"The release of {name} would show: {found[0]!r}")
    path = course / "release" / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for title, text in files.items():
            archive.writestr(f"{name}/{title}", text)
        for module in sorted((ROOT / "bwlib").glob("*.py")):
            archive.write(module, f"{name}/bwlib/{module.name}")
    return path


def environment() -> str:
    """The packages of the students' environment, at the versions of the book."""
    lines = [line.strip() for f in ("requirements.txt", "requirements-lab.txt") for line in (ROOT / f).read_text().splitlines()]
    return "\n".join(line for line in lines if line.split("==")[0] in NEEDED) + "\n"


def secrets(problem_set: ProblemSet) -> set[str]:
    """Lines of solutions and hidden tests that do not also stand in the open part of the set."""
    hidden, shown = [], []
    for cell in problem_set.notebook.cells:
        meta = cell.metadata.get("nbgrader", {})
        parts = SOLUTION.findall(cell.source) + HIDDEN.findall(cell.source)
        rest = HIDDEN.sub("", SOLUTION.sub("", cell.source))
        if meta.get("solution") and not SOLUTION.search(cell.source):
            parts, rest = [cell.source], ""
        hidden += parts
        shown.append(rest)
    open_lines = {line.strip() for text in shown for line in text.splitlines()}
    return {line.strip() for text in hidden for line in text.splitlines() if len(line.strip()) >= 10} - open_lines


def leaks(problem_set: ProblemSet, text: str, released) -> list[str]:
    """Secret lines and markers that occur in the texts of a release."""
    text += "\n" + "\n".join(cell.source for cell in released.cells)
    markers = [m for m in ("BEGIN SOLUTION", "BEGIN HIDDEN", "BEGIN MARK SCHEME") if m in text]
    outputs = ["an output" for cell in released.cells if cell.get("outputs")]
    return markers + outputs + sorted(line for line in secrets(problem_set) if line in text)
