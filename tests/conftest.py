"""Fixtures of all tests: ``residual`` for the statements of the book, ``html`` and ``soups`` for the built pages."""
from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import matplotlib
import pytest
from bs4 import BeautifulSoup
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "_ext"))
matplotlib.use("Agg")

import book_sources  # noqa: E402

# The property tests: the same examples in every run, or with HYPOTHESIS_PROFILE=nightly many new ones.
settings.register_profile("default", max_examples=200, deadline=None, derandomize=True, database=None)
settings.register_profile("nightly", max_examples=10_000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

SEEN: dict[str, dict[str, float]] = {}


def pytest_addoption(parser):
    parser.addoption("--record-residuals", action="store_true",
                     help="store the residuals of the statement tests for the statement ledger")


@pytest.fixture
def residual(request):
    """``residual(value, bound)`` asserts ``value <= bound`` and remembers the closest call."""
    name = request.node.originalname

    def check(value, bound):
        assert not math.isnan(value), "residual NaN"
        value, bound = max(float(value), 0.0), float(bound)  # a violated inequality is positive
        assert math.isfinite(value) and math.isfinite(bound), f"residual {value}, bound {bound}"
        assert value <= bound, f"residual {value:.3g} is above its bound {bound:.3g}"
        closest = SEEN.setdefault(name, {"residual": value, "bound": bound})
        if value * closest["bound"] > closest["residual"] * bound:
            SEEN[name] = {"residual": value, "bound": bound}

    return check


def pytest_sessionfinish(session):
    if not session.config.getoption("--record-residuals") or session.testsfailed:
        return
    tests = book_sources.statement_tests()
    known = {name: entry for name, entry in book_sources.residuals().items() if name in tests}
    for name, entry in SEEN.items():
        known[name] = {key: float(f"{x:.2g}") for key, x in entry.items()}
        known[name]["residual"] = min(known[name].values())
    text = json.dumps(known, indent=1, sort_keys=True) + "\n"
    book_sources.RESIDUALS.write_text(text, encoding="utf-8")


def build_book(source: Path) -> subprocess.CompletedProcess:
    """Copy what the book is made of into a new folder, and build it there with warnings as errors."""
    for name in ("_config.yml", "_toc.yml", "CITATION.cff", "_ext", "_static", "_latex", "chapters", "bwlib", "tests", "requirements.txt"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, source / name)
    env = dict(os.environ, PYTHONPATH=str(source), PYTHONWARNINGS="default")
    return subprocess.run([sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build",
                           "-W", "-n", "--keep-going", "--quiet", "."], cwd=source, env=env,
                          capture_output=True, text=True)


@pytest.fixture(scope="session")
def html(tmp_path_factory) -> Path:
    """The book, built from nothing into a temporary folder, once for all workers of pytest-xdist."""
    run = tmp_path_factory.getbasetemp()
    folder = (run.parent if "PYTEST_XDIST_WORKER" in os.environ else run) / "book"
    outcome = folder / "outcome.json"
    try:
        folder.mkdir()
    except FileExistsError:  # another worker is building
        deadline = time.monotonic() + 900
        while not outcome.exists():
            assert time.monotonic() < deadline, "another worker did not finish the book"
            time.sleep(0.5)
    else:
        (folder / "source").mkdir()
        built = build_book(folder / "source")
        (folder / "part").write_text(json.dumps([built.returncode, built.stdout + built.stderr]), encoding="utf-8")
        (folder / "part").rename(outcome)
    code, log = json.loads(outcome.read_text(encoding="utf-8"))
    assert code == 0, "\n".join(line for line in log.splitlines() if "WARNING" in line) + log[-3000:]
    return folder / "source" / "_build" / "html"


@pytest.fixture(scope="session")
def soups(html) -> dict[Path, BeautifulSoup]:
    files = [p for p in html.rglob("*.html") if not {"_static", "_sources"} & set(p.relative_to(html).parts)]
    return {p: BeautifulSoup(p.read_text(encoding="utf-8"), "html.parser") for p in files}
