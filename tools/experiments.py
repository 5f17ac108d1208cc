"""Run the stored experiments of the book again: tools/experiments.py [quick]

The convergence grid of the chapter on the paper's experiments goes to chapters/data/convergence.csv, with the time it
took and the time of one layerwise step in chapters/data/timing.json.  The table grows beside the stored one, as
unfinished.csv, and replaces it when it is complete; a run that is interrupted continues where it stopped (its time is
then not known, and the old one stays).  Remove unfinished.csv if the code has changed meanwhile.  ``quick`` runs a small
part of the grid, and compares it with what is stored.
"""
from __future__ import annotations

import json
import math
import os
import sys
import time
from pathlib import Path

import numpy as np

import bwlib as bw
from bwlib.experiments import AUTHORS_GRID, authors_target, convergence_run, grid, read_table, sweep

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "chapters" / "data"
QUICK_GRID = {"depth": (1, 10, 100), "floor": (0.0, 2.0), "tau": (0.0, 0.5)}
PARAMETERS = ("depth", "floor", "tau")


def step_time(depth: int, n: int = 20, steps: int = 50) -> float:
    """The seconds of one step of layerwise gradient descent, the best of five runs."""
    target = authors_target(0.5, n=n)
    network, loss = bw.balanced_network(target.root, (n,) * (depth + 1)), bw.BuresLoss(target)
    best = math.inf
    for _ in range(5):
        start = time.perf_counter()
        bw.gradient_descent(network, loss, 1e-5, max_steps=steps, tol=0.0, record_every=steps)
        best = min(best, (time.perf_counter() - start) / steps)
    return best


def full() -> None:
    DATA.mkdir(exist_ok=True)
    path, growing, timing = DATA / "convergence.csv", DATA / "unfinished.csv", DATA / "timing.json"
    fresh = not growing.exists()
    start, jobs = time.perf_counter(), os.cpu_count() or 1
    table = sweep(convergence_run, grid(**AUTHORS_GRID), path=growing, n_jobs=jobs)
    seconds = round(time.perf_counter() - start, 1)
    os.replace(growing, path)
    print(f"{len(table)} cells: {path.relative_to(ROOT)}")
    if fresh:
        facts = {"cells": len(table), "processes": jobs, "seconds": seconds,
                 "step_seconds": {str(depth): float(f"{step_time(depth):.3g}") for depth in AUTHORS_GRID["depth"]}}
        timing.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        print(f"{seconds} s on {jobs} processes: {timing.relative_to(ROOT)}")


def quick() -> None:
    table = sweep(convergence_run, grid(**QUICK_GRID), n_jobs=os.cpu_count())
    stored = {tuple(row[name] for name in PARAMETERS): row for row in read_table(DATA / "convergence.csv")}
    for row in table:
        old = stored[tuple(row[name] for name in PARAMETERS)]
        if not np.isclose(row["slope"], old["slope"], rtol=1e-3, equal_nan=True):
            raise SystemExit(f"slope {row['slope']} here, {old['slope']} stored, in the cell {row}")
    print(f"{len(table)} cells agree with {DATA.relative_to(ROOT)}/convergence.csv")


if __name__ == "__main__":
    quick() if sys.argv[1:] == ["quick"] else full()
