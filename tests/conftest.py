"""Fixtures of all tests: ``residual`` for the statements of the book."""
from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import matplotlib
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "_ext"))
matplotlib.use("Agg")

import book_sources  # noqa: E402

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
