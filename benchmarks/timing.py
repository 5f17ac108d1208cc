"""Interleaved timing, and fresh processes to time in."""
from __future__ import annotations

import gc
import json
import os
import platform
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
THREAD_SETTINGS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
LIBRARIES = ("bwlib", "numpy", "scipy", "torch", "jax", "jaxlib", "POT", "ott-jax", "geomstats", "pyriemann", "mpmath")

ROUNDS = 9

Call = Callable[[], object]


def interleave(calls: Mapping[str, Call], *, repeats: int = ROUNDS, span: float = 0.02, patience: float = 1.0,
               pause: float = 0.03) -> tuple[dict[str, list[float]], dict[str, object], dict[str, str]]:
    """The seconds of one call of each contestant, in rounds: every contestant once per round, in turning order.

    A round calls a contestant for at least ``span`` seconds, after a ``pause`` in which the threads of the others fall
    asleep and one call that is not timed.  Who has used ``patience`` seconds takes no part in later rounds; of a call
    that takes longer than that the second is the only one (as the first may load what it needs), or the first if it took
    more than four times that.  Also returned: the answers, and who raised what.
    """
    seconds: dict[str, list[float]] = {}
    answers: dict[str, object] = {}
    raised: dict[str, str] = {}
    loops: dict[str, int] = {}
    for name, call in calls.items():
        try:
            estimate, answers[name] = _clock(call)
            if estimate <= 4 * patience:
                estimate, _ = _clock(call)
        except Exception as error:
            raised[name] = reason(error)
            continue
        seconds[name] = [estimate] if estimate > patience else []
        loops[name] = max(1, int(span / max(estimate, 1e-9)))
    names = list(seconds)
    for turn in range(repeats):
        for name in names[turn % len(names):] + names[:turn % len(names)]:
            if sum(seconds[name]) * loops[name] > patience:
                continue
            time.sleep(pause)
            if loops[name] > 1:
                calls[name]()
            seconds[name].append(_clock(calls[name], loops[name])[0])
    return seconds, answers, raised


def _clock(call: Call, loops: int = 1) -> tuple[float, object]:
    start = time.perf_counter()
    for _ in range(loops):
        answer = call()
    return (time.perf_counter() - start) / loops, answer


def compare(calls: Mapping[str, Call], *, unit: float = 1.0, **options) -> dict[str, dict]:
    """For every contestant: its time divided by ``unit``, the ratio to the time of bwlib in the same round, and how far
    its answer is from that of bwlib."""
    gc.collect()
    gc.disable()
    try:
        seconds, answers, raised = interleave(calls, **options)
    finally:
        gc.enable()
    out: dict[str, dict] = {name: {"raised": words} for name, words in raised.items()}
    for name, theirs in seconds.items():
        out[name] = {"seconds": spread([s / unit for s in theirs]),
                     "ratio": spread([b / a for a, b in zip(seconds["bwlib"], theirs)])}
        if not name.startswith("floor"):
            out[name]["difference"] = short(difference(answers[name], answers["bwlib"]))
    return out


def difference(answer, reference) -> float:
    """The largest relative difference, of values or of pairs of value and gradient; NaN if something is not finite."""
    if not isinstance(reference, tuple):
        answer, reference = (answer,), (reference,)
    worst = 0.0
    for theirs, ours in zip(answer, reference):
        theirs, ours = np.asarray(theirs), np.asarray(ours)
        worst = np.maximum(worst, np.abs(theirs - ours).max() / np.abs(ours).max())
    return float(worst)


def spread(values: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    return {"median": short(median), "low": short(low), "high": short(high), "runs": len(values)}


def short(x: float) -> float:
    """Four digits: more would be noise."""
    return float(f"{x:.4g}")


def reason(error: BaseException) -> str:
    """One line about an error."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {without_folders(lines[0])[:150]}" if lines else type(error).__name__


def without_folders(text: str) -> str:
    """Nothing about where things lie on this machine."""
    return re.sub(r"\s*\(?(?:/[\w.+-]+){2,}\)?", "", text)


def fresh(arguments: list[str], *, threads: int = 1, limit: float = 1200, **settings: str) -> str:
    """What a new Python process prints; an error if it takes more than ``limit`` seconds."""
    environment = dict(os.environ, PYTHONHASHSEED="0", PYTHONWARNINGS="ignore", JAX_PLATFORMS="cpu",
                       **dict.fromkeys(THREAD_SETTINGS, str(threads)), **settings)
    if threads == 1:
        environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True,
                          timeout=limit)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def quiet() -> None:
    """No warnings: what contestants warn of is seen in their answers."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")


def machine() -> dict:
    """The kind of machine and the versions, without any name of it."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            pass
    return {"processor": _processor(), "cores": os.cpu_count(), "system": platform.system(),
            "python": platform.python_version(), "blas": _blas(), "versions": versions}


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
    except OSError:
        found = None
    return found[1].strip() if found else platform.machine()


def _blas() -> list[str]:
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return []
    return sorted({f"{pool['internal_api']} {pool['version']} ({pool['architecture']})" for pool in threadpool_info()
                   if pool["user_api"] == "blas" and pool.get("architecture")})


def store(path: Path, results: dict) -> None:
    """Write the results in one step."""
    draft = path.with_name(path.name + ".part")
    draft.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    os.replace(draft, path)
