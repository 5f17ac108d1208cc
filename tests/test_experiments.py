"""The sweep over a grid: resumable, independent of order and processes; and the cells of the paper's grid."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import joblib
import numpy as np
import pytest

import bwlib as bw
from bwlib.experiments import (AUTHORS_GRID, authors_start, authors_target, cell_rng, conditioning_run, convergence_run,
                               decay, grid, log_slope, read_table, sweep)


def draw(a, b):
    """A cell with random numbers of its own, and a text and a truth value among its results."""
    x = cell_rng(a=a, b=b).standard_normal()
    return {"x": x, "name": f"a, {a}", "large": bool(x > 0), "third": 1 / 3}


CELLS = grid(a=range(4), b=[0.5, 1e-300])


def test_a_table_has_the_order_of_the_grid_and_survives_its_file(tmp_path):
    path = tmp_path / "table.csv"
    table = sweep(draw, CELLS, path=path, progress=False)
    assert [(row["a"], row["b"]) for row in table] == [(cell["a"], cell["b"]) for cell in CELLS]
    assert read_table(path) == table == sweep(draw, CELLS, progress=False)
    again = sweep(lambda a, b: pytest.fail("no cell is missing"), CELLS, path=path, progress=False)
    assert again == table


@pytest.mark.parametrize("keep", [1, 3, 8])
def test_a_file_cut_off_in_a_line_is_continued(tmp_path, keep):
    whole, cut = tmp_path / "whole.csv", tmp_path / "cut.csv"
    sweep(draw, CELLS, path=whole, progress=False)
    text = whole.read_text()
    lines = text.splitlines(keepends=True)
    cut.write_text("".join(lines[:keep]) + lines[keep][:7])
    assert sweep(draw, CELLS, path=cut, progress=False) == read_table(whole)
    assert cut.read_bytes() == whole.read_bytes()


def test_a_grid_can_grow(tmp_path):
    path = tmp_path / "table.csv"
    sweep(draw, CELLS[:3], path=path, progress=False)
    assert sweep(draw, CELLS, path=path, progress=False) == sweep(draw, CELLS, progress=False)


def test_processes_and_order_do_not_matter(tmp_path):
    serial, parallel = tmp_path / "serial.csv", tmp_path / "parallel.csv"
    sweep(draw, CELLS, path=serial, progress=False)
    sweep(draw, CELLS, path=parallel, n_jobs=2, progress=False)
    assert serial.read_bytes() == parallel.read_bytes()
    assert sweep(draw, CELLS[::-1], progress=False) == read_table(serial)[::-1]


def test_a_killed_run_continues_where_it_stopped(tmp_path):
    path = tmp_path / "table.csv"
    (tmp_path / "slow_cells.py").write_text(textwrap.dedent("""
        import time
        from bwlib.experiments import cell_rng, grid, sweep

        def run(a):
            time.sleep(0.05)
            return {"x": cell_rng(a=a).random()}

        def table(path):
            return sweep(run, grid(a=range(40)), path=path, progress=False)

        if __name__ == "__main__":
            table("table.csv")
    """))
    root = os.path.dirname(os.path.dirname(os.path.abspath(bw.__file__)))
    environment = {**os.environ, "PYTHONPATH": root}
    run = [sys.executable, "slow_cells.py"]
    process = subprocess.Popen(run, cwd=tmp_path, env=environment)
    while not path.exists() or len(path.read_bytes().splitlines()) < 6:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    rows = len(read_table(path))
    assert 5 <= rows < 40
    subprocess.run(run, cwd=tmp_path, env=environment, check=True)
    expected = [{"a": a, "x": cell_rng(a=a).random()} for a in range(40)]
    assert read_table(path) == expected
    whole = path.read_bytes()
    path.unlink()
    subprocess.run(run, cwd=tmp_path, env=environment, check=True)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupt_from_the_keyboard_keeps_what_is_finished(tmp_path, jobs):
    path = tmp_path / "table.csv"
    (tmp_path / "slow_cells.py").write_text(textwrap.dedent(f"""
        import time
        from bwlib.experiments import grid, sweep

        def run(a):
            time.sleep(0.05)
            return {{"square": a * a}}

        if __name__ == "__main__":
            sweep(run, grid(a=range(400)), path="table.csv", n_jobs={jobs}, progress=False)
    """))
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(os.path.abspath(bw.__file__)))}
    process = subprocess.Popen([sys.executable, "slow_cells.py"], cwd=tmp_path, env=environment,
                               stderr=subprocess.PIPE, text=True)
    while not path.exists() or len(path.read_bytes().splitlines()) < 6:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode != 0 and "KeyboardInterrupt" in said
    rows = read_table(path)
    assert 5 <= len(rows) < 400 and all(row["square"] == row["a"] ** 2 for row in rows)


def test_dask_gives_the_same_table(tmp_path):
    distributed = pytest.importorskip("distributed")
    serial, cluster = tmp_path / "serial.csv", tmp_path / "cluster.csv"
    sweep(draw, CELLS, path=serial, progress=False)
    with (distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as workers,
          distributed.Client(workers), joblib.parallel_config(backend="dask")):
        sweep(draw, CELLS, path=cluster, progress=False)
    assert serial.read_bytes() == cluster.read_bytes()


def test_what_is_finished_survives_an_error(tmp_path):
    path = tmp_path / "table.csv"

    def fails_late(a, b):
        if a == 2:
            raise RuntimeError("cell 2")
        return draw(a, b)

    with pytest.raises(RuntimeError, match="cell 2"):
        sweep(fails_late, CELLS, path=path, progress=False)
    assert len(read_table(path)) == 4
    sweep(draw, CELLS, path=path, progress=False)
    assert read_table(path) == sweep(draw, CELLS, progress=False)


@pytest.mark.parametrize("arguments, error, words", [
    ((3, CELLS), TypeError, "run must be callable"),
    ((draw, "cells"), TypeError, "grid must be a sequence"),
    ((draw, [1, 2]), TypeError, "grid must hold dictionaries"),
    ((draw, [{"a": 1}, {"b": 2}]), ValueError, "same parameters"),
    ((draw, [{"a": 1, "b": 1}, {"a": 1, "b": 1}]), ValueError, "same cell twice"),
    ((lambda a, b: 5, CELLS), TypeError, "must return a dictionary"),
    ((lambda a, b: {"a": 5}, CELLS), TypeError, "other keys"),
    ((lambda a, b: {"x": [5]}, CELLS), TypeError, "numbers, texts"),
    ((lambda a, b: {"x": "two\nlines"}, CELLS), ValueError, "one line"),
    ((lambda a, b: {f"x{a}": 5}, CELLS), ValueError, "same keys for every cell"),
])
def test_bad_sweeps_are_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        sweep(*arguments, progress=False)


def test_a_file_with_another_table_is_refused_and_kept(tmp_path):
    path = tmp_path / "table.csv"
    sweep(draw, CELLS, path=path, progress=False)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="columns"):
        sweep(lambda c: {"x": 1}, grid(c=[1]), path=path, progress=False)
    with pytest.raises(ValueError, match="7 of the 8 rows"):
        sweep(draw, CELLS[:1], path=path, progress=False)
    assert path.read_bytes() == before


def test_the_grid_of_the_paper():
    assert len(grid(**AUTHORS_GRID)) == 924
    for floor in (0.0, 2.5):
        target, rng = authors_target(floor), cell_rng(floor=floor, n=20, seed=0)
        axes, s, _ = np.linalg.svd(rng.standard_normal((20, 20)))
        lam = np.sort(s[0] / np.arange(1, 21) + rng.standard_normal(20))[::-1]
        lam = lam - lam[-1] + floor + 1 / 20
        assert np.allclose(target.eigenvalues, lam, rtol=1e-12)
        assert np.allclose(target.matrix, axes @ np.diag(lam) @ axes.T, atol=1e-12)
    target = authors_target(1.0)
    for tau in (0.0, 0.5):
        W = authors_start(target, tau, cell_rng(tau=tau))
        room = np.sqrt(target.eigenvalues[-1]) - np.sqrt(bw.BuresLoss(target, tau).value(W))
        assert 0 <= room < 0.1  # barely positive
    with pytest.raises(ValueError, match="least eigenvalue"):
        authors_start(target, 2.0, cell_rng())


def test_one_layer_without_smoothing_has_the_exact_slope():
    row = convergence_run(1, 1.0, 0.0)
    assert abs(row["slope"] - 4 / np.log(10)) < 1e-5  # the loss is exactly exp(-4 t) times that of the start
    assert row["has_margin"] and not row["degenerate"] and row["paper"] == 0.0


def test_a_slope_agrees_with_layerwise_gradient_descent():
    target = authors_target(2.0, n=4)
    W = authors_start(target, 0.5, cell_rng(depth=3))
    loss = bw.BuresLoss(target, 0.5)
    slope = log_slope(*decay(W, loss, 3))
    run = bw.gradient_descent(bw.balanced_network(W, (4,) * 4), loss, 2e-4, max_steps=6000, tol=0.0, record_every=5)
    assert run.gap[-1] < 1e-4
    assert abs(log_slope(run.t, run.gap) / slope - 1) < 0.02  # steps of relative size 2e-4 times a rate below 60


def test_a_row_agrees_with_a_finer_integration():
    row = convergence_run(6, 2.0, 0.5, n=4)
    target = authors_target(2.0, n=4)
    W, loss = authors_start(target, 0.5, cell_rng(depth=6, floor=2.0, tau=0.5, seed=0)), bw.BuresLoss(target, 0.5)
    t = np.linspace(0, 1.1 * row["time"], 1001)
    flow = bw.end_to_end_flow(W, loss, 6, t, rtol=1e-8, atol=1e-10)
    y = np.log10(flow.loss)
    end = t[y > -3.5][-1]
    for name, start in (("slope", t[y < -2][0]), ("long_slope", 0.0)):
        part = (t >= max(start, end - 0.1)) & (t <= end)
        # times recorded at 1/40 of a doubling: the window begins and ends late or early by as much
        assert abs(row[name] / -np.polyfit(t[part], y[part], 1)[0] - 1) < 0.02
    assert abs(row["time"] / t[y < -4][0] - 1) < 0.03
    lam = target.eigenvalues[-1]
    assert abs(row["sharp"] * np.log(10) / (24 * (lam - 0.5) ** (11 / 6) / lam) - 1) < 1e-12


def test_a_fit_over_a_fixed_time_reaches_back_before_the_window():
    t = np.linspace(0, 0.2, 2001)
    y = np.where(t < 0.05, -40 * t, -2 - 30 * (t - 0.05))  # in the window from 0.05 to 0.1
    assert abs(log_slope(t, 10.0**y) - 30) < 0.1
    x = t[(t <= 0.1) & (y > -3.5)]
    assert abs(log_slope(t, 10.0**y, inside=False) + np.polyfit(x, y[:x.size], 1)[0]) < 0.1


def test_kinds_of_numbers_do_not_change_a_cell():
    assert cell_rng(a=np.float64(0.5), b=np.int64(3)).random() == cell_rng(b=3, a=0.5).random()
    assert convergence_run(1, 2, 0) == convergence_run(1, 2.0, 0.0)


def test_degenerate_cells_are_marked():
    row = convergence_run(10, 0.0, 0.1)
    assert row["degenerate"] and np.isnan(row["slope"]) and np.isnan(row["long_slope"])
    assert row["sharp"] == row["paper"] == row["certified"] == 0.0


def test_slopes_of_curves_that_do_not_reach_the_window():
    t = np.linspace(0, 1, 11)
    assert np.isnan(log_slope(t, np.ones(11)))


@pytest.mark.parametrize("depth", [1, 3])
def test_conditioning_agrees_with_the_closed_forms(depth):
    target = bw.Covariance.from_spectrum(bw.zipf_spectrum(5, rng=cell_rng(n=5, seed=2)))
    for position, point in enumerate(bw.critical_points(target, 2)):
        J = list(point.indices)
        used, rest = target.eigenvalues[J], np.delete(target.eigenvalues, J)
        x = used ** (1 / depth)
        p = sum(np.outer(x ** (depth - j), x ** (j - 1)) for j in range(1, depth + 1))
        outside = np.subtract.outer(used, rest) * x[:, None] ** (depth - 1)
        for loss, h in (("bures", [*(2 * p[np.triu_indices(2)]), *(2 * outside / used[:, None]).ravel()]),
                        ("frobenius", [*(4 * np.add.outer(used, used) * p)[np.triu_indices(2)], *(4 * outside).ravel()])):
            row, size = conditioning_run(loss, depth, position, n=5, seed=2), np.abs(h)
            assert row["negative"] == np.count_nonzero(np.array(h) < 0)
            assert np.isclose(row["largest"], size.max(), rtol=1e-9) and np.isclose(row["smallest"], size.min(), rtol=1e-6)
            assert row["condition"] == row["largest"] / row["smallest"]


def test_bad_conditioning_is_refused():
    with pytest.raises(ValueError, match="loss must be one of bures, frobenius"):
        conditioning_run("square", 1, 0)
    with pytest.raises(ValueError, match="position must be between 0 and 14"):
        conditioning_run("bures", 1, 15)
