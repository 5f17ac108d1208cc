"""Fixtures of the classroom tests: a problem set with its release, and one process of a student at a time."""
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
RESULTS: dict[str, list] = {}
collect_ignore_glob = ["answers/*"]  # blocks for the places of solutions, no modules


@pytest.fixture(scope="session")
def results():
    """What the tests count, for the table of the instructors' page."""
    return RESULTS


@pytest.fixture(scope="session")
def place():
    from classroom.sandbox import Limits, Place

    return Place(limits=Limits(cell=10, call=5, total=60))


@pytest.fixture(scope="session")
def course(tmp_path_factory):
    """A course folder of its own, so that no test meets a real gradebook."""
    import shutil

    folder = tmp_path_factory.mktemp("course")
    for name in ("source", "student"):
        shutil.copytree(ROOT / "assignments" / name, folder / name)
    shutil.copy(ROOT / "assignments" / "nbgrader_config.py", folder)
    return folder


@pytest.fixture(scope="session")
def graders(course, place):
    """The grader of each set, made when first asked for."""
    from classroom.course import ProblemSet
    from classroom.grade import Grader

    made = {}

    def get(name):
        if name not in made:
            made[name] = Grader(ProblemSet.load(name, course), place, course)
        return made[name]

    return get


def pytest_sessionfinish(session, exitstatus):
    if exitstatus == 0 and RESULTS and session.config.getoption("--write-results"):
        from table import replace_part, table

        replace_part("results", table(RESULTS))


def pytest_addoption(parser):
    parser.addoption("--write-results", action="store_true", help="write the table of the instructors' page")
