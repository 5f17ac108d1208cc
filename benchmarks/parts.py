"""The parts of a measurement.  Each is a list of child processes; each child calls one function here for its rows."""
from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

import bwlib as bw
from bwlib.experiments import AUTHORS_GRID, convergence_run, grid, read_table

from . import cases, memory, peers, training
from .timing import ROOT, compare, fresh, machine, quiet, reason, short, spread, without_folders

DATA = ROOT / "chapters" / "data"
LONGEST = 4.0
MEMORY_LIMIT = 60.0
IMPORT = """
import sys, time
start = time.perf_counter()
exec(sys.argv[1])
print(time.perf_counter() - start)
from benchmarks import memory
print(memory.peak())
"""


@dataclass(frozen=True)
class Child:
    """One process: which function it calls, with what, on how many threads, with which environment variables."""

    function: str
    arguments: dict = field(default_factory=dict)
    threads: int = 1
    settings: dict = field(default_factory=dict)

    def run(self, **options) -> dict:
        printed = fresh(["-m", "benchmarks", "child", self.function, json.dumps(self.arguments)],
                        threads=self.threads, **options, **self.settings)
        return json.loads(printed.splitlines()[-1])


def child(function: str, arguments: dict) -> dict:
    """What the process of a child does: its rows, and where it ran."""
    quiet()
    threads = int(os.environ.get("OMP_NUM_THREADS", 1))
    rows = [{"threads": threads, **row} for row in FUNCTIONS[function](**arguments)]
    return {"rows": rows, "machine": machine()}


# ---------------------------------------------------------------- what the children measure


def peer_rows() -> list[dict]:
    """Who takes part, and why others cannot."""
    return [{"name": c.name, "kind": c.kind, "absent": c.absent()} for c in peers.CONTESTANTS]


def loss_rows(what: str, problems: list[list], kinds: Iterable[str] = (), stack: int = 0) -> list[dict]:
    """Compare contestants on problems (n, k, tau, near); ``what`` is "value" or "value_and_gradient".

    A peer that needs more than ``LONGEST`` seconds for one call, or to prepare it, takes no part in the problems that
    follow.
    """
    contestants, rows, slow = chosen(peers.CONTESTANTS, kinds), [], []
    for n, k, tau, near in problems:
        problem, calls, preparation = cases.problem(n, k, tau, stack=stack, near=near), {}, {}
        for c in contestants:
            start = time.perf_counter()
            calls |= peers.prepared([c], what, problem)
            preparation[c.name] = time.perf_counter() - start
        row = {"what": what, "n": n, "k": k, "tau": tau, "near": near, "stack": stack, **compared(calls)}
        rows.append(row)
        measured = row["contestants"]
        row["contestants"] = measured | {name: {"slow": True} for name in slow}
        slow += [c.name for c in contestants if c.kind not in ("bwlib", "floor")
                 and (preparation[c.name] > LONGEST or is_slow(measured.get(c.name, {})))]
        contestants = [c for c in contestants if c.name not in slow]
    return rows


def is_slow(entry: dict) -> bool:
    return entry.get("seconds", {}).get("median", 0.0) > LONGEST


def distance_rows(n: int, stack: int) -> list[dict]:
    """Compare squared distances of a stack of pairs of matrices."""
    W, V = (cases.problem(n, n, stack=stack, seed=seed).W for seed in (0, 1))
    calls = peers.prepared(chosen(peers.CONTESTANTS, ("bwlib", "library")), "squared_distances", W @ W.mT, V @ V.mT)
    return [{"what": "squared_distances", "n": n, "k": n, "tau": 0.0, "near": False, "stack": stack, **compared(calls)}]


def training_rows(problems: list[list], seeds: int = 0, steps: int = 0) -> list[dict]:
    """Compare training loops on networks (n, depth); times are those of one step of one network."""
    rows = []
    for n, depth in problems:
        target, weights = cases.layers(n, depth, seeds=seeds)
        number = steps or (2000 // n if seeds else 400 if n < 100 else 30 if depth < 100 else 10)
        calls = peers.prepared(chosen(training.TRAINERS), "train", target, weights, number)
        rows.append({"n": n, "depth": depth, "seeds": seeds, **compared(calls, unit=number * max(seeds, 1))})
    return rows


def flow_rows(depths: list[int], n: int = 20) -> list[dict]:
    """Compare the flow in function space (in the place of bwlib) with the flow of all layers."""
    rows = []
    for depth in depths:
        target, weights = cases.layers(n, depth)
        network, loss, t = bw.DeepLinearNetwork(tuple(weights)), bw.BuresLoss(target), np.linspace(0, 3 / depth, 11)
        W0 = network.end_to_end()
        rows.append({"n": n, "depth": depth, **compared({
            "bwlib": lambda: bw.end_to_end_flow(W0, loss, depth, t).end_to_end[-1],
            "all layers": lambda: bw.gradient_flow(network, loss, t).end_to_end[-1]})})
    return rows


def grid_rows(every: int) -> list[dict]:
    """Time a sample of the cells of the paper's grid, beside what is stored of the whole."""
    cells, seconds = grid(**AUTHORS_GRID), []
    for cell in cells[every // 2::every]:
        start = time.perf_counter()
        convergence_run(**cell)
        seconds.append(time.perf_counter() - start)
    stored = json.loads((DATA / "timing.json").read_text(encoding="utf-8"))
    flow_time = dict.fromkeys(map(str, AUTHORS_GRID["depth"]), 0.0)
    for row in read_table(DATA / "convergence.csv"):
        flow_time[str(row["depth"])] += row["time"]
    return [{"cells": len(cells), "sample": len(seconds), "seconds": spread(seconds), "total": short(sum(seconds)),
             "stored": {name: stored[name] for name in ("cells", "processes", "seconds")},
             "flow_time": {depth: short(t) for depth, t in flow_time.items()}}]


def import_rows(repeats: int) -> list[dict]:
    """Seconds that fresh processes need to import a library, in turns, and their memory then; the first turn warms up."""
    runs: dict[str, list] = {name: [] for name in cases.IMPORTS}
    failed: dict[str, str] = {}
    for _ in range(repeats + 1):
        for name in [name for name in runs if name not in failed]:
            try:
                seconds, peak = fresh(["-c", IMPORT, cases.IMPORTS[name]]).split()[-2:]
            except RuntimeError as error:
                failed[name] = without_folders(str(error).splitlines()[-1])
            else:
                runs[name].append((float(seconds), int(peak)))
    rows = []
    for name, found in runs.items():
        if name in failed:
            rows.append({"name": name, "raised": failed[name]})
        else:
            seconds, peaks = zip(*found[1:])
            rows.append({"name": name, "seconds": spread(seconds), "peak": int(np.median(peaks))})
    return rows


def memory_rows(n: int, k: int, taus: list[float]) -> list[dict]:
    """The memory of one value with gradient, every contestant in a fresh process, for a minute at most."""
    rows = []
    for tau in taus:
        for contestant in chosen(peers.CONTESTANTS):
            if contestant.kind != "floor":
                arguments = {"name": contestant.name, "n": n, "k": k, "tau": tau}
                try:
                    rows += Child("one_memory_row", arguments, settings=PYTORCH).run(limit=MEMORY_LIMIT)["rows"]
                except subprocess.TimeoutExpired:
                    rows.append({**arguments, "raised": "more than a minute"})
    return rows


def one_memory_row(name: str, n: int, k: int, tau: float) -> list[dict]:
    """The peak of this process, and what the call itself added to the memory that stood before."""
    row = {"name": name, "n": n, "k": k, "tau": tau}
    contestant = next(c for c in peers.CONTESTANTS if c.name == name)
    call = contestant.value_and_gradient(cases.problem(n, k, tau))
    before = memory.restart()
    try:
        call()
    except Exception as error:
        return [{**row, "raised": reason(error)}]
    return [{**row, "peak": memory.peak(), "added": memory.peak() - before}]


def accuracy_rows(questions: str, only: int | None = None) -> list[dict]:
    """The errors of all contestants but the floors."""
    from . import accuracy

    contestants = [c for c in chosen(peers.CONTESTANTS) if c.kind != "floor"]
    return accuracy.errors(getattr(accuracy, questions)[:only], contestants, accuracy.pairs()[:only])


FUNCTIONS = {f.__name__: f for f in (peer_rows, loss_rows, distance_rows, training_rows, flow_rows, grid_rows, import_rows,
                                     memory_rows, one_memory_row, accuracy_rows)}


def chosen(contestants: Iterable, kinds: Iterable[str] = ()) -> list:
    """The contestants that are here, of some kinds or of all."""
    return peers.present([c for c in contestants if not kinds or c.kind in kinds])[0]


def compared(calls: dict[str, Callable], *, unit: float = 1.0) -> dict:
    """The comparison of all contestants, and how many cores they kept busy on average."""
    start, busy = time.perf_counter(), time.process_time()
    contestants = compare(calls, unit=unit)
    return {"contestants": contestants, "cores": short((time.process_time() - busy) / (time.perf_counter() - start))}


# ---------------------------------------------------------------- the parts


PYTORCH = {"GEOMSTATS_BACKEND": "pytorch"}
BACKEND = {"value": {}, "value_and_gradient": PYTORCH}
FAST = ["bwlib", "by hand", "public code", "floor"]


def full() -> dict[str, list[Child]]:
    """All that the page shows."""
    sizes = [[n, k, tau, False] for n, k in cases.SIZES for tau in cases.TAUS]
    near = [[n, k, tau, True] for n, k in cases.SIZES[:6] for tau in cases.TAUS]
    growth = [[n, k, tau, False] for n, k in cases.GROWTH for tau in cases.TAUS]
    stack, n = cases.STACK
    stacks = [[n, n, tau, False] for tau in cases.TAUS]
    return {
        "peers": [Child("peer_rows")],
        "accuracy": [Child("accuracy_rows", {"questions": "VALUES"}),
                     Child("accuracy_rows", {"questions": "DERIVATIVES"}, settings=PYTORCH)],
        "imports": [Child("import_rows", {"repeats": 3})],
        "memory": [Child("memory_rows", {"n": n, "k": k, "taus": cases.TAUS}) for n, k in [cases.MEMORY]],
        "flows": [Child("flow_rows", {"depths": cases.FLOWS})],
        "grid": [Child("grid_rows", {"every": 37})],
        "training": both_threads("training_rows", problems=cases.TRAINING),
        "ensembles": both_threads("training_rows", problems=cases.ENSEMBLES, seeds=cases.SEEDS),
        "stacks": losses(stacks, stack=stack) + both_threads("distance_rows", n=n, stack=stack),
        "near": losses(near, threads=[1], kinds=FAST),
        "growth": losses(growth, whats=["value_and_gradient"], threads=[1], kinds=FAST),
        "scale": losses([[*case, False] for case in cases.SCALE], kinds=FAST),
        "loss": losses(sizes, threads=[1]) + losses(sizes, threads=[2], kinds=FAST),
    }


def quick() -> dict[str, list[Child]]:
    """One small problem of most kinds."""
    problem = [[60, 6, 0.1, False]]
    return {
        "peers": [Child("peer_rows")],
        "accuracy": [Child("accuracy_rows", {"questions": "VALUES", "only": 1})],
        "imports": [Child("import_rows", {"repeats": 1})],
        "flows": [Child("flow_rows", {"depths": [1, 10]})],
        "training": [Child("training_rows", {"problems": [[20, 1], [20, 10]]})],
        "ensembles": [Child("training_rows", {"problems": [[5, 3]], "seeds": cases.SEEDS})],
        "stacks": [Child("distance_rows", {"n": 5, "stack": 50})],
        "loss": losses(problem, threads=[1]),
    }


def losses(problems, *, whats=tuple(BACKEND), threads=(1, 2), **options) -> list[Child]:
    return [Child("loss_rows", {"what": what, "problems": problems, **options}, number, BACKEND[what])
            for number in threads for what in whats]


def both_threads(function: str, **arguments) -> list[Child]:
    return [Child(function, arguments, number) for number in (1, 2)]
