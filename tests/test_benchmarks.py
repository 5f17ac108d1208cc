"""The measurements: what is stored is complete for the page, and the harness runs; nothing here depends on a time."""
from __future__ import annotations

import json
import math
import re
from functools import partial

import numpy as np
import pytest

from benchmarks import accuracy, cases, parts, peers, report, timing, training


@pytest.fixture
def once(monkeypatch):
    """One short round per comparison."""
    monkeypatch.setattr(parts, "compare", partial(timing.compare, repeats=1, span=0.0, pause=0.0))


# ---------------------------------------------------------------- what is stored


@pytest.fixture(scope="module")
def results():
    return report.read()


def wanted_rows(child: parts.Child) -> int:
    a = child.arguments
    return {"loss_rows": lambda: len(a["problems"]), "distance_rows": lambda: 1, "grid_rows": lambda: 1,
            "training_rows": lambda: len(a["problems"]), "flow_rows": lambda: len(a["depths"]),
            "import_rows": lambda: len(cases.IMPORTS), "peer_rows": lambda: len(peers.CONTESTANTS),
            "memory_rows": lambda: len(a["taus"]) * sum(c.kind != "floor" for c in peers.CONTESTANTS),
            "accuracy_rows": lambda: len(accuracy.cells(getattr(accuracy, a["questions"]), accuracy.pairs())),
            }[child.function]()


def test_stored_results_are_complete(results):
    plan = parts.full()
    assert list(results) == list(plan)
    for name, children in plan.items():
        assert len(results[name]["rows"]) == sum(wanted_rows(child) for child in children), name
        assert results[name]["machine"]["versions"]["bwlib"]


def test_stored_comparisons_have_what_the_tables_need(results):
    for part in (*report.COMPARISONS, "growth", "flows"):
        for row in results[part]["rows"]:
            for name, entry in row["contestants"].items():
                if "seconds" not in entry:
                    assert set(entry) <= {"raised", "slow"}
                    continue
                assert entry["seconds"]["median"] > 0, (part, name)
                assert entry["ratio"]["low"] <= entry["ratio"]["median"] <= entry["ratio"]["high"]
            assert row["contestants"]["bwlib"]["difference"] == 0.0


def test_the_whole_report_can_be_written(results):
    texts = [report.machine(results), report.contestants(results),
             report.aims_table(results), report.behind(results), report.reasons(results), report.limits(results),
             report.exponents(results), report.flows(results), report.whole_grid(results), report.imports(results), report.memory(results), report.wrong_answers(results), report.summary(results)]
    texts += [report.losses(results, what, tau, part="near") for what in parts.BACKEND for tau in cases.TAUS]
    for threads in (1, 2):
        texts += [report.losses(results, what, tau, threads=threads) for what in parts.BACKEND for tau in cases.TAUS]
        texts += [report.stacks(results, threads), report.trainings(results, threads=threads),
                  report.trainings(results, threads=threads, part="ensembles")]
        texts += [report.scale(results, what, threads) for what in parts.BACKEND]
    for question in (*accuracy.VALUES, *accuracy.DERIVATIVES):
        texts.append(report.accuracy(results, question.name))
    for text in texts:
        assert text and not re.search(r"\bnan\b|\binf\b", text)


# ---------------------------------------------------------------- the harness


def test_losses(once):
    row, = parts.loss_rows("value_and_gradient", [[5, 3, 0.1, False]], ["bwlib", "library", "by hand", "floor"])
    assert {"bwlib", "SciPy sqrtm", "NumPy by hand", "floor (NumPy)"} <= set(row["contestants"])
    assert all(entry["difference"] < 1e-12 for entry in row["contestants"].values() if "difference" in entry)
    assert report.described({"threads": 2, **row}) == "value and gradient, n = 5, k = 3, τ = 0.1, 2 threads"


def test_stacks(once):
    row, = parts.loss_rows("value", [[4, 4, 0.0, False]], ["bwlib", "by hand"], stack=3)
    assert row["contestants"]["NumPy by hand"]["difference"] < 1e-13
    pairs, = parts.distance_rows(3, 4)
    assert pairs["contestants"]["SciPy sqrtm"]["difference"] < 1e-12


def test_training_loops_do_the_same_steps(once):
    row, = parts.training_rows([[4, 3]], steps=5)
    assert all(entry["difference"] < 1e-13 for entry in row["contestants"].values() if "difference" in entry)
    ensemble, = parts.training_rows([[4, 2]], seeds=3, steps=2)
    assert ensemble["seeds"] == 3 and "bwlib" in ensemble["contestants"]


@pytest.mark.parametrize("trainer", peers.present(training.TRAINERS)[0], ids=lambda t: t.name)
def test_floors_leave_the_start_as_it_is(trainer):
    target, weights = cases.layers(3, 2)
    kept = weights.copy()
    trainer.train(target, weights, 2)()
    assert np.array_equal(weights, kept)


def test_flows(once):
    row, = parts.flow_rows([2], n=3)
    assert row["contestants"]["all layers"]["difference"] < 1e-6


def test_errors_of_an_easy_pair():
    rows = parts.accuracy_rows("VALUES", 1) + parts.accuracy_rows("DERIVATIVES", 1)
    assert [row["question"] for row in rows] == ["value from matrices", "gradient"]
    assert all(0 <= row["errors"]["bwlib"] < 1e-14 for row in rows)


def test_a_wrong_answer_is_named():
    exact = accuracy.mp.mpf(2)
    assert accuracy.judged(lambda: 2.002, exact) == pytest.approx(1e-3)
    assert accuracy.judged(lambda: -2.0, exact) == "negative"
    assert accuracy.judged(lambda: np.nan, exact) == "not finite"
    assert accuracy.judged(lambda: 2 + 0j, exact) == "complex"
    assert accuracy.judged(lambda: np.linalg.inv(np.zeros((2, 2))), exact) == "raises LinAlgError"


# ---------------------------------------------------------------- who is not there


class Absent(peers.Contestant):
    name, kind, modules = "nobody", "library", ("no_such_library",)


def test_an_absent_peer_is_reported():
    here, absent = peers.present([peers.Bwlib(), Absent()])
    assert [c.name for c in here] == ["bwlib"]
    assert absent == {"nobody": "ModuleNotFoundError: No module named 'no_such_library'"}


def test_a_peer_that_fails_or_has_no_such_function_is_reported():
    class Failing(Absent):
        name, modules = "failing", ()

        def value(self, problem):
            return lambda: 1 / 0

    problem = cases.problem(3, 2)
    calls = peers.prepared([peers.Bwlib(), Failing(), Absent()], "value", problem)
    assert list(calls) == ["bwlib", "failing"]
    compared = timing.compare(calls, repeats=1, span=0.0, pause=0.0)
    assert compared["failing"] == {"raised": "ZeroDivisionError: division by zero"}


def test_errors_are_written_without_folders():
    folder = "/" + "/".join(("srv", "lib", "python", "numpy", "__init__.py"))
    assert timing.reason(ImportError(f"cannot import name 'trapz' from 'numpy' ({folder})")) == \
        "ImportError: cannot import name 'trapz' from 'numpy'"


def test_a_child_process_says_who_takes_part():
    found = parts.Child("peer_rows").run()
    assert [row["name"] for row in found["rows"]] == [c.name for c in peers.CONTESTANTS]
    assert found["machine"]["cores"] >= 1 and found["rows"][0]["absent"] == ""


def test_who_is_too_slow_is_left_out(once, monkeypatch):
    monkeypatch.setattr(parts, "LONGEST", 0.0)
    first, second = parts.loss_rows("value", [[4, 2, 0.0, False], [5, 2, 0.0, False]], ["bwlib", "by hand"])
    assert "ratio" in first["contestants"]["NumPy by hand"] and second["contestants"]["NumPy by hand"] == {"slow": True}
    assert "ratio" in second["contestants"]["bwlib"]


def test_rounds_are_interleaved():
    order = []
    calls = {name: partial(order.append, name) for name in "ab"}
    seconds, _, raised = timing.interleave(calls, repeats=2, span=0.0, pause=0.0)
    assert order == ["a", "a", "b", "b", "a", "b", "b", "a"] and not raised
    assert {name: len(s) for name, s in seconds.items()} == {"a": 2, "b": 2}


def test_the_library_is_measured_with_the_versions_of_the_book():
    def pins(name):
        text = (timing.ROOT / name).read_text(encoding="utf-8")
        return dict(re.findall(r"^([\w-]+)==(\S+)$", text, re.M))

    book, bench = pins("requirements.txt"), pins("requirements-bench.txt")
    for name in ("numpy", "scipy", "matplotlib", "joblib", "tqdm"):
        assert bench[name] == book[name]


def test_numbers_are_short():
    assert [report.duration(s) for s in (2.345, 0.012345, 3.3e-5)] == ["2.3 s", "12.3 ms", "33.0 µs"]
    assert report.spread({"median": 2.0, "low": 1.9, "high": 2.1}) == "2 ±5%"
    assert math.isnan(timing.difference(np.nan, 1.0)) and json.dumps(timing.short(1 / 3)) == "0.3333"
