"""Gradient descent on deep linear networks and on single matrices, and the record it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike
from tqdm import tqdm

from . import _validate as check
from ._validate import Array
from .losses import Loss, check_fit, check_loss
from .networks import DeepLinearNetwork, layer_gradients, prefix_products

DIVERGENCE_FACTOR = 1e6
LARGEST_ENTRY = 1e150  # its square is still a float64


class Status(Enum):
    """Why a run ended; ``advice`` says what to do next.

    Examples
    --------
    >>> Status.DIVERGED.advice
    'Reduce the step size: the loss grew by a factor of a million.'
    """

    CONVERGED = "The gradient norm is at most tol; nothing to do."
    MAX_STEPS = "Allow more steps or a larger tol: the gradient norm is still above tol."
    DIVERGED = "Reduce the step size: the loss grew by a factor of a million."
    NON_FINITE = "Reduce the step size or rescale the start: a value overflowed."
    INTERRUPTED = "Interrupted from the keyboard; what was recorded until then is kept."

    @property
    def advice(self) -> str:
        """One sentence on what to do."""
        return self.value


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The record of a run; row ``k`` of every array belongs to the same iterate.

    Attributes
    ----------
    t : array, shape (rows,)
        Flow time; for gradient descent the step size times the number of steps.
    loss, gap : array, shape (rows,)
        The loss, and the loss minus its least value at the rank of the bottleneck.
    gradient_norm : array, shape (rows,)
        Euclidean norm of the gradient with respect to all layers.
    singular_values : array, shape (rows, min(n, m))
        Of the end-to-end matrix, descending.
    imbalance : array, shape (rows,)
        The largest spectral norm of the matrices of :meth:`DeepLinearNetwork.imbalances`; 0 for one layer.
    end_to_end : array, shape (rows, n, m)
        The end-to-end matrices.
    networks : tuple of DeepLinearNetwork, or None
        The networks; None for a run on a single matrix.
    status : Status
    message : str
        What happened, with numbers.
    """

    t: Array
    loss: Array
    gap: Array
    gradient_norm: Array
    singular_values: Array
    imbalance: Array
    end_to_end: Array
    networks: tuple[DeepLinearNetwork, ...] | None
    status: Status
    message: str


def gradient_descent(network: DeepLinearNetwork | ArrayLike, loss: Loss, step_size: float, *, max_steps: int = 1000,
                     tol: float = 1e-10, record_every: int | Iterable[int] = 1,
                     progress: bool = False) -> Trajectory:
    r"""Gradient descent :math:`W_j\leftarrow W_j-\eta\,\nabla_{W_j}(L\circ\mu)` on all layers at once.

    Parameters
    ----------
    network : DeepLinearNetwork or array, shape (n, m)
        The start; a matrix is descended on directly.
    loss : BuresLoss or FrobeniusLoss
    step_size : float
        :math:`\eta>0`.
    max_steps : int
        At most this many steps.
    tol : float
        Stop when the Euclidean norm of the gradient with respect to all layers is at most ``tol``.
    record_every : int or iterable of int
        Record every so many steps, or at these steps; the first and the last iterate are always recorded.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Trajectory
        Its ``status`` tells why the run ended.  A run that diverges, overflows or is interrupted keeps its record.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its domain.

    Examples
    --------
    >>> from bwlib import BuresLoss
    >>> run = gradient_descent([[1.0, 0.0], [0.0, 1.0]], BuresLoss([[4.0, 0.0], [0.0, 9.0]]), 0.5)
    >>> run.status.name, len(run.t) - 1, run.end_to_end[-1].round(12).tolist()
    ('CONVERGED', 1, [[2.0, 0.0], [0.0, 3.0]])

    Notes
    -----
    Book: chapter "Deep linear networks".
    """
    weights, is_matrix = _start(network, loss)
    eta = check.scalar(step_size, "step_size", positive=True)
    max_steps = check.integer(max_steps, "max_steps", 0)
    tol = check.scalar(tol, "tol")
    wanted = _recording(record_every)

    current, gradients = _evaluate(0, weights, loss)
    if not current.is_finite():
        raise ValueError("network must have a finite loss and gradient at the start, but they overflow; rescale it")
    rows = [current]
    ceiling = DIVERGENCE_FACTOR * max(current.loss, loss.minimum(0))
    status = Status.MAX_STEPS
    with tqdm(total=max_steps, disable=not progress, unit="step") as bar, np.errstate(over="ignore", invalid="ignore"):
        try:
            for step in range(1, max_steps + 1):
                if current.gradient_norm <= tol:
                    break
                weights = [W - eta * G for W, G in zip(current.weights, gradients)]
                following, gradients = _evaluate(step, weights, loss)
                if not following.is_finite():
                    status = Status.NON_FINITE
                    break
                current = following
                if wanted(step):
                    rows.append(current)
                bar.update()
                if current.loss > ceiling:
                    status = Status.DIVERGED
                    break
        except KeyboardInterrupt:
            status = Status.INTERRUPTED
    if status is Status.MAX_STEPS and current.gradient_norm <= tol:
        status = Status.CONVERGED
    if rows[-1] is not current:
        rows.append(current)
    return _trajectory(rows, eta, loss, status, is_matrix)


@dataclass(frozen=True, eq=False)
class _Iterate:
    step: int
    weights: list[Array]
    W: Array
    loss: float
    gradient_norm: float

    def is_finite(self) -> bool:
        return bool(np.isfinite(self.loss) and np.isfinite(self.gradient_norm))


def _start(network: DeepLinearNetwork | ArrayLike, loss: Loss) -> tuple[list[Array], bool]:
    check_loss(loss)
    if isinstance(network, DeepLinearNetwork):
        weights = list(network.weights)
    else:
        weights = [check.matrix(network, "network", stacks=False)]
    check_fit(weights[-1], loss)
    return weights, not isinstance(network, DeepLinearNetwork)


def _recording(record_every: int | Iterable[int]) -> Callable[[int], bool]:
    """Whether to record a step."""
    if isinstance(record_every, Iterable) and not isinstance(record_every, str):
        steps = {check.integer(step, "record_every", 0) for step in record_every}
        return steps.__contains__
    every = check.integer(record_every, "record_every", 1)
    return lambda step: step % every == 0


@np.errstate(over="ignore", invalid="ignore")
def _evaluate(step: int, weights: list[Array], loss: Loss) -> tuple[_Iterate, list[Array]]:
    """The iterate and its layer gradients; a value that overflows is reported as infinite."""
    prefixes = prefix_products(weights)
    W = prefixes[-1]
    if not np.abs(W).max() < LARGEST_ENTRY:
        return _Iterate(step, weights, W, np.inf, np.inf), []
    value, G = loss._value_and_gradient(W)
    gradients = layer_gradients(weights, prefixes, G)
    norm = np.sqrt(sum(np.vdot(G, G) for G in gradients))
    return _Iterate(step, weights, W, float(value), float(norm)), gradients


def _trajectory(rows: list[_Iterate], eta: float, loss: Loss, status: Status, is_matrix: bool) -> Trajectory:
    networks = tuple(DeepLinearNetwork(tuple(row.weights)) for row in rows)
    losses = np.array([row.loss for row in rows])
    end_to_end = np.array([row.W for row in rows])
    last = rows[-1]
    return Trajectory(
        t=eta * np.array([float(row.step) for row in rows]),
        loss=losses,
        gap=losses - loss.minimum(min(networks[0].bottleneck, loss.target.dim)),
        gradient_norm=np.array([row.gradient_norm for row in rows]),
        singular_values=np.linalg.svd(end_to_end, compute_uv=False),
        imbalance=np.array([max((np.linalg.norm(D, 2) for D in network.imbalances()), default=0.0)
                            for network in networks]),
        end_to_end=end_to_end,
        networks=None if is_matrix else networks,
        status=status,
        message=f"{status.name} after {last.step} steps: loss {last.loss:.6g}, gradient norm {last.gradient_norm:.3g}. "
                f"{status.advice}")
