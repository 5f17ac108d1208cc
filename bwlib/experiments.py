r"""Experiments over grids: a resumable sweep, and the experiments of the paper as functions of one cell.

A grid is a sequence of cells, a cell a dictionary of parameters; the table has one row per cell, its parameters and its
results.  Every cell draws its random numbers from its own parameters, so that a table does not depend on the order, the
number of processes or the interruptions of a run.
"""

from __future__ import annotations

import csv
import itertools
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from zlib import crc32

import joblib
import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator
from tqdm import tqdm

from . import _validate as check
from ._validate import Array
from .covariance import Covariance, as_covariance, zipf_spectrum
from .flows import end_to_end_flow
from .landscape import critical_points, parameter_hessian
from .losses import BuresLoss, FrobeniusLoss, check_loss
from .networks import balanced_network
from .theory import flow_rate, paper_flow_rate

Cell = Mapping[str, object]
Row = dict[str, object]


def grid(**axes: Iterable) -> list[Row]:
    """All combinations of the values of the axes, the last axis running fastest.

    Examples
    --------
    >>> grid(depth=[1, 2], tau=[0.0, 0.5])[1]
    {'depth': 1, 'tau': 0.5}
    """
    values = [check.sequence(axis, name) for name, axis in axes.items()]
    return [dict(zip(axes, cell)) for cell in itertools.product(*values)]


def sweep(run: Callable[..., Cell], grid: Sequence[Cell], *, path: str | os.PathLike | None = None,
          n_jobs: int | None = None, progress: bool = True) -> list[Row]:
    r"""Run ``run(**cell)`` for every cell of a grid; a table in the order of the grid.

    With ``path`` each row is written to a CSV file as soon as it is there, and the rows of an earlier, interrupted run
    are kept: only missing cells are run.  At the end the file holds the table in the order of the grid, the same byte
    for byte whatever happened on the way.

    Parameters
    ----------
    run : callable
        Called with the parameters of a cell; returns a dictionary of results (numbers, texts, truth values) with the
        same keys for all cells.  For several processes it must be importable.
    grid : sequence of dict
        The cells, all with the same keys, no two equal; for instance from :func:`grid`.
    path : path, optional
        The CSV file of the table.
    n_jobs : int, optional
        Number of processes as in joblib; by default that of the surrounding ``joblib.parallel_config``, else 1.
        Inside ``joblib.parallel_config(backend="dask")`` the cells run on a Dask cluster.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of dict
        One row per cell: its parameters, then its results.

    Raises
    ------
    TypeError, ValueError
        If the cells do not have the same keys, two are equal, a result has the wrong keys, or the file holds another
        table.

    Examples
    --------
    >>> sweep(lambda x: {"square": x * x}, grid(x=[1, 2]), progress=False)
    [{'x': 1, 'square': 1}, {'x': 2, 'square': 4}]

    Notes
    -----
    Book: chapter "The paper's experiments, reproduced".
    """
    if not callable(run):
        raise TypeError(f"run must be callable, got {run!r}")
    if n_jobs is not None and check.integer(n_jobs, "n_jobs", -math.inf) == 0:
        raise ValueError("n_jobs must not be 0; -1 is all processors")
    cells, file = _checked_cells(grid), None if path is None else check.path(path, "path")
    done = {} if file is None else _stored(file, cells)
    missing = [cell for cell in cells if _key(cell) not in done]
    jobs = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    results = jobs(joblib.delayed(_run_cell)(run, cell) for cell in missing)
    with tqdm(total=len(cells), initial=len(cells) - len(missing), disable=not progress, unit="cell") as bar:
        for cell, result in results:
            row = {**cell, **result}
            _same_columns(row, next(iter(done.values()), row))
            if file is not None:
                _append(file, row)
            done[_key(cell)] = row
            bar.update()
    table = [done[_key(cell)] for cell in cells]
    if file is not None and table:
        _write(file, table)
    return table


def read_table(path: str | os.PathLike) -> list[Row]:
    """The rows of a table written by :func:`sweep`; a last line that was not finished is left out."""
    text = check.path(path, "path").read_text(encoding="utf-8")
    lines = text[:text.rfind("\n") + 1].splitlines()
    return [{name: _parsed(value) for name, value in row.items()} for row in csv.DictReader(lines)]


def cell_rng(**parameters: object) -> np.random.Generator:
    """A random generator that depends on nothing but the given parameters.

    Examples
    --------
    >>> bool(cell_rng(depth=3).random() == cell_rng(depth=3).random())
    True
    """
    plain = sorted((name, _plain(value)) for name, value in parameters.items())
    return np.random.default_rng(crc32(repr(plain).encode()))


def _checked_cells(grid: Sequence[Cell]) -> list[Row]:
    cells = check.sequence(grid, "grid")
    for cell in cells:
        if not isinstance(cell, Mapping):
            raise TypeError(f"grid must hold dictionaries of parameters, got {cell!r}")
        if set(cell) != set(cells[0]):
            raise ValueError(f"grid must have the same parameters in every cell, got {list(cell)} after "
                             f"{list(cells[0])}")
    if len({_key(cell) for cell in cells}) < len(cells):
        raise ValueError("grid must not hold the same cell twice: a table has one row per cell")
    return [{name: cell[name] for name in cells[0]} for cell in cells]


def _key(cell: Cell) -> str:
    """What identifies a cell, in memory and in a file."""
    return repr([_written(value) for value in cell.values()])


def _run_cell(run: Callable[..., Cell], cell: Row) -> tuple[Row, Row]:
    result = run(**cell)
    if not isinstance(result, Mapping) or set(result) & set(cell):
        raise TypeError(f"run must return a dictionary with other keys than the parameters {list(cell)}, "
                        f"got {result!r}")
    return cell, {name: _plain(value) for name, value in result.items()}


def _same_columns(row: Cell, first: Cell) -> None:
    if list(row) != list(first):
        raise ValueError(f"run must return the same keys for every cell, got columns {list(row)} after {list(first)}")


def _plain(value: object) -> object:
    """A Python number, truth value or text of one line from a NumPy scalar."""
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, (bool, int, float, str)):
        raise TypeError(f"a table holds numbers, texts and truth values, got {value!r}")
    if isinstance(value, str) and len(value.splitlines()) > 1:
        raise ValueError(f"a text in a table must be one line, got {value!r}")
    return value


def _written(value: object) -> str:
    return value if isinstance(value, str) else repr(_plain(value))


def _parsed(text: str) -> object:
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _stored(path: Path, cells: Sequence[Row]) -> dict[str, Row]:
    """The finished rows of the file that belong to the grid; the file is left with these alone."""
    if not path.exists():
        return {}
    rows = read_table(path)
    names = list(cells[0]) if cells else []
    for row in rows:
        if list(row)[:len(names)] != names:
            raise ValueError(f"path must hold a table of cells with the parameters {names}, but {path} has the columns "
                             f"{list(row)}; choose another file or remove it")
    wanted = {_key(cell): cell for cell in cells}
    keys = [_key({name: row[name] for name in names}) for row in rows]
    strange = len([key for key in keys if key not in wanted])
    if strange:
        raise ValueError(f"path must hold rows of this grid only, but {strange} of the {len(rows)} rows of {path} "
                         f"belong to other cells; choose another file, or enlarge the grid")
    kept = {key: {**row, **wanted[key]} for key, row in zip(keys, rows)}
    _write(path, list(kept.values()))
    return kept


def _append(path: Path, row: Row) -> None:
    new = not path.exists() or path.stat().st_size == 0
    with open(path, "a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(row)
        writer.writerow([_written(value) for value in row.values()])
        file.flush()
        os.fsync(file.fileno())


def _write(path: Path, table: Sequence[Row]) -> None:
    """Replace the file in one step."""
    draft = path.with_name(path.name + ".part")
    with open(draft, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if table:
            writer.writerow(table[0])
        writer.writerows([_written(value) for value in row.values()] for row in table)
    os.replace(draft, path)


#: Depths, floors of the spectrum and sizes of the smoothing in the paper's grid.
AUTHORS_GRID = {"depth": (1, 7, *range(10, 101, 5)), "floor": (0.0, *np.arange(0.5, 5.1, 0.5).tolist()),
                "tau": (0.0, 0.1, 0.5, 1.0)}


def authors_target(floor: float, *, n: int = 20, seed: int = 0) -> Covariance:
    r"""The target of the paper's grid: the axes of a Gaussian matrix, eigenvalues :math:`s/i+\xi_i` with its largest
    singular value :math:`s`, shifted to the least one floor + 1/n.

    The :math:`\xi_i` are standard normal.  The target is the same for all depths and noise levels.

    Examples
    --------
    >>> round(float(authors_target(0.5).eigenvalues[-1]), 12)
    0.55
    """
    floor, n, seed = check.scalar(floor, "floor"), check.integer(n, "n", 1), check.integer(seed, "seed", 0)
    rng = cell_rng(floor=floor, n=n, seed=seed)
    axes, s, _ = np.linalg.svd(rng.standard_normal((n, n)))
    return Covariance.from_spectrum(zipf_spectrum(n, rng=rng, largest=s[0]) + floor, eigenvectors=axes)


def authors_start(target: Covariance | ArrayLike, tau: float, rng: np.random.Generator | int, *,
                  largest_loss: float | None = None) -> Array:
    r"""The start of the paper's grid, as an end-to-end matrix: the root of
    :math:`\Sigma_0-\tau I+\Gamma\operatorname{diag}(D)\Gamma^\top`.

    :math:`\Gamma` is a random rotation and :math:`D_i=\epsilon\lambda_n(2-i/n)`, with :math:`\epsilon` from 10.95
    shrunk by 5 % until :math:`L_\tau` is at most ``largest_loss``, by default :math:`\lambda_n` (a margin
    :math:`\bar c\ge0`); each time the rotation is drawn again.

    Examples
    --------
    >>> target = authors_target(0.5)
    >>> W = authors_start(target, 0.1, cell_rng())
    >>> bool(BuresLoss(target, 0.1).value(W) <= target.eigenvalues[-1])
    True
    """
    target, tau, rng = as_covariance(target, "target", stacks=False), check.scalar(tau, "tau"), check.generator(rng)
    n, smallest = target.dim, target.eigenvalues[-1]
    if tau > smallest:
        raise ValueError(f"tau must lie between 0 and the least eigenvalue {smallest:.6g} of the target, got {tau}")
    largest_loss = smallest if largest_loss is None else check.scalar(largest_loss, "largest_loss", positive=True)
    loss, epsilon = BuresLoss(target, tau), 10.95
    while True:
        Gamma = np.linalg.qr(rng.standard_normal((n, n)))[0]
        D = epsilon * smallest * (2 - np.arange(1, n + 1) / n)
        W = Covariance(target.matrix - tau * np.eye(n) + (Gamma * D) @ Gamma.T).root
        if loss.value(W) <= largest_loss:
            return W
        epsilon *= 0.95


def convergence_run(depth: int, floor: float, tau: float, *, n: int = 20, seed: int = 0) -> Row:
    r"""One cell of the paper's grid: the measured slope of the loss along balanced gradient flow, and predicted ones.

    The flow starts at :func:`authors_start` and is integrated in function space, at a cost that does not depend on the
    depth.  Slopes are in decades of the loss gap per unit of time, as in the paper's figures.

    Parameters
    ----------
    depth : int
    floor : float
        The least eigenvalue of the target is ``floor + 1/n``.
    tau : float
        Replaced by the least eigenvalue if it is larger (``degenerate``): then the decay is algebraic, without a slope.
    n, seed : int

    Returns
    -------
    dict
        ``smallest`` eigenvalue, ``initial_loss``, ``margin`` :math:`\bar c`, ``has_margin``, ``degenerate``; the
        measured ``slope`` inside the window and ``long_slope`` over the last 0.1 units of time before its end, wherever
        they begin (NaN if the gap did not get there); the asymptotic rates of both forms over ln 10, ``sharp`` and
        ``paper``; the rate over ln 10 ``certified`` from this very start (0 without a margin); the ``time`` at which
        the gap was below 1e-4.

    Examples
    --------
    >>> row = convergence_run(1, 4.0, 0.0)
    >>> bool(abs(row["slope"] / row["sharp"] - 1) < 1e-3)
    True

    Notes
    -----
    Book: chapter "The paper's experiments, reproduced".
    """
    depth, floor, tau = check.integer(depth, "depth", 1), check.scalar(floor, "floor"), check.scalar(tau, "tau")
    target = authors_target(floor, n=n, seed=seed)
    smallest = float(target.eigenvalues[-1])
    degenerate = tau >= smallest
    tau = min(tau, smallest)
    loss = BuresLoss(target, tau)
    W = authors_start(target, tau, cell_rng(depth=depth, floor=floor, tau=tau, seed=seed))
    initial = loss.value(W)
    margin = np.sqrt(smallest) - np.sqrt(initial)
    has_margin = bool(margin > 0 and margin**2 > tau)
    row: Row = {"smallest": smallest, "initial_loss": initial, "margin": float(margin), "has_margin": has_margin,
                "degenerate": bool(degenerate), "slope": float("nan"), "long_slope": float("nan"), "sharp": 0.0,
                "paper": 0.0, "certified": 0.0, "time": 0.0}
    if degenerate:
        return row
    t, gap = decay(W, loss, depth)
    end, unit = np.sqrt(smallest - tau), np.log(10)
    row |= {"slope": log_slope(t, gap), "long_slope": log_slope(t, gap, inside=False),
            "time": float(t[np.argmax(gap < 1e-4)]), "sharp": float(flow_rate(end, depth, tau=tau) / unit),
            "paper": paper_flow_rate(end, depth, target=target, initial_loss=0.0, tau=tau) / unit}
    if has_margin:
        row["certified"] = float(flow_rate(np.sqrt(margin**2 - tau), depth, tau=tau) / unit)
    return row


def decay(W: Array, loss: BuresLoss, depth: int, *, end: float = 1e-4, rounds: int = 14) -> tuple[Array, Array]:
    """Times and loss gaps of the balanced flow from ``W`` until the gap is below ``end``; rounds double the time."""
    check_loss(loss)
    W = check.matrix(W, "W", rows=loss.target.dim, stacks=False)
    end, rounds = check.scalar(end, "end", positive=True), check.integer(rounds, "rounds", 1)
    span = 0.02 / check.integer(depth, "depth", 1)
    times, gaps, start = [0.0], [float(loss.value(W))], 0.0
    for _ in range(rounds):
        flow = end_to_end_flow(W, loss, depth, np.linspace(0.0, span, 41), rtol=1e-6, atol=1e-8, method="RK45")
        times.extend(start + flow.t[1:])
        gaps.extend(flow.gap[1:])
        start, W, span = times[-1], flow.end_to_end[-1], start + span
        if gaps[-1] < end:
            break
    return np.array(times), np.array(gaps)


def log_slope(t: Array, gap: Array, *, window: tuple[float, float] = (-3.5, -2.0), span: float = 0.1,
              inside: bool = True) -> float:
    r"""Minus the slope of :math:`\log_{10}` of the gap, fitted over the last ``span`` units of time before the gap
    leaves the window; NaN if fewer than three times lie in the window.

    With ``inside`` the fit does not begin before the window does; the paper's does where it is shorter than ``span``.
    The curve is interpolated to equally spaced times, as gradient descent would give them.

    Examples
    --------
    >>> t = np.linspace(0, 8, 801)
    >>> round(log_slope(t, np.exp(-t)), 6)
    0.434294
    """
    t, gap, window = check.times(t, "t"), check.real_array(gap, "gap"), check.pair(window, "window")
    if gap.shape != t.shape:
        raise ValueError(f"gap must have one number for each time, got the shapes {gap.shape} and {t.shape}")
    span, y = check.scalar(span, "span", positive=True), np.log10(np.maximum(gap, 1e-300))
    window_at = np.flatnonzero((y > window[0]) & (y < window[1]))
    if window_at.size < 3:
        return float("nan")
    last = window_at[-1]
    start = max(t[last] - span, t[window_at[0]] if inside else t[0])
    x = np.linspace(start, t[last], 401)
    return float(-np.polyfit(x, PchipInterpolator(t[:last + 1], y[:last + 1])(x), 1)[0])


def conditioning_run(loss: str, depth: int, position: int, *, n: int = 6, rank: int = 2, seed: int = 0) -> Row:
    r"""The Hessian in parameter space at a critical point, for a random target and a balanced network.

    The target has a decaying random spectrum (``zipf_spectrum``); at ``depth=1`` the parameters are the matrix
    itself.

    Parameters
    ----------
    loss : str
        ``"bures"`` or ``"frobenius"``.
    depth : int
    position : int
        The place of the critical point among those of rank ``rank``, by their values: 0 is the minimum.
    n, rank, seed : int

    Returns
    -------
    dict
        ``negative``, the number of negative eigenvalues (Morse index); ``largest`` and ``smallest``, the extreme
        absolute values of the nonzero eigenvalues; and ``condition``, their quotient.

    Examples
    --------
    >>> row = conditioning_run("bures", 1, 0)
    >>> row["negative"], round(row["largest"], 6)
    (0, 2.0)

    Notes
    -----
    Book: chapter "Bures against Frobenius".
    """
    losses = {"bures": BuresLoss, "frobenius": FrobeniusLoss}
    if loss not in losses:
        raise ValueError(f"loss must be one of {', '.join(losses)}, got {loss!r}")
    depth, n, seed = check.integer(depth, "depth", 1), check.integer(n, "n", 1), check.integer(seed, "seed", 0)
    target = Covariance.from_spectrum(zipf_spectrum(n, rng=cell_rng(n=n, seed=seed)))
    points = critical_points(target, rank)
    point = points[check.integer(position, "position", 0, len(points) - 1)]
    W = target.eigenvectors[:, point.indices] * np.sqrt(target.eigenvalues[list(point.indices)])
    network = balanced_network(W, (rank,) * depth + (n,))
    h = np.linalg.eigvalsh(parameter_hessian(network, losses[loss](target)))
    size = np.abs(h)
    nonzero = size > 1e-9 * size.max()
    return {"negative": int(np.count_nonzero(h[nonzero] < 0)), "largest": float(size.max()),
            "smallest": float(size[nonzero].min()), "condition": float(size.max() / size[nonzero].min())}
