"""Gradient descent on deep linear networks and on single matrices, and the subspace iteration it contains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from tqdm import tqdm

from . import _validate as check
from ._validate import Array
from .covariance import Covariance, as_covariance
from .losses import Loss, check_fit, check_loss
from .networks import DeepLinearNetwork
from .trajectory import Iterate, Iterates, Status, Trajectory, Workspace, trajectory

DIVERGENCE_FACTOR = 1e6


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
    weights = start_weights(network, loss)
    eta, max_steps, tol, wanted = _arguments(step_size, max_steps, tol, record_every)

    work = Workspace([W.shape for W in weights], loss)
    current, following = Iterate(work), Iterate(work)
    np.concatenate([W.ravel() for W in weights], out=current.parameters)
    status = Status.MAX_STEPS
    with tqdm(total=max_steps, disable=not progress, unit="step") as bar, np.errstate(over="ignore", invalid="ignore"):
        if not current.evaluate():
            raise ValueError("network must have a finite loss and gradient at the start, but they overflow; rescale it")
        rows = [current.row()]
        ceiling = DIVERGENCE_FACTOR * max(current.loss, loss.minimum(0))
        try:
            for step in range(1, max_steps + 1):
                if current.gradient_norm <= tol:
                    break
                np.multiply(current.gradient, -eta, out=following.parameters)
                following.parameters += current.parameters
                following.t = eta * step
                if not following.evaluate():
                    status = Status.NON_FINITE
                    break
                current, following = following, current
                if wanted(step):
                    rows.append(current.row())
                bar.update()
                if current.loss > ceiling:
                    status = Status.DIVERGED
                    break
        except KeyboardInterrupt:
            status = Status.INTERRUPTED
    if status is Status.MAX_STEPS and current.gradient_norm <= tol:
        status = Status.CONVERGED
    if rows[-1].t != current.t:
        rows.append(current.row())
    return trajectory(rows, loss, status, f"after {round(current.t / eta)} steps",
                      is_network=isinstance(network, DeepLinearNetwork))


def ensemble_descent(networks: Sequence[DeepLinearNetwork | ArrayLike], loss: Loss, step_size: float, *,
                     max_steps: int = 1000, tol: float = 1e-10, record_every: int | Iterable[int] = 1,
                     progress: bool = False) -> list[Trajectory]:
    r"""Gradient descent of many networks of the same widths on the same loss, all at once.

    Every run is that of :func:`gradient_descent` from its start, up to rounding, and ends by itself.  Small networks
    gain most, as the overhead of a step is shared.

    Parameters
    ----------
    networks : sequence of DeepLinearNetwork, or of arrays, shape (n, m)
        The starts.
    loss, step_size, max_steps, tol, record_every, progress
        As for :func:`gradient_descent`.

    Returns
    -------
    list of Trajectory
        In the order of the starts.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its domain, or the starts do not have the same widths.

    Examples
    --------
    >>> from bwlib import BuresLoss, random_network
    >>> starts = [random_network((2, 2, 2), rng=seed) for seed in range(3)]
    >>> runs = ensemble_descent(starts, BuresLoss([[4.0, 0.0], [0.0, 1.0]]), 0.05)
    >>> [run.status.name for run in runs]
    ['CONVERGED', 'CONVERGED', 'CONVERGED']

    Notes
    -----
    Book: chapter "Deep linear networks".
    """
    networks = check.sequence(networks, "networks")
    starts = [start_weights(network, loss, f"networks[{i}]") for i, network in enumerate(networks)]
    shapes = [[W.shape for W in weights] for weights in starts]
    if not networks or any(shape != shapes[0] for shape in shapes):
        raise ValueError(f"networks must hold at least one start, all of the same widths, got the shapes {shapes}")
    eta, max_steps, tol, wanted = _arguments(step_size, max_steps, tol, record_every)

    work = Workspace(shapes[0], loss, (len(networks),))
    current, following = Iterates(work), Iterates(work)
    np.stack([np.concatenate([W.ravel() for W in weights]) for weights in starts], out=current.parameters)
    left, ends = np.arange(len(networks)), {}

    def note(which: np.ndarray, status: Status) -> None:
        """Some of the runs that are left end here."""
        for i in np.flatnonzero(which):
            ends[left[i]] = status
            if rows[left[i]][-1].t != current.t:
                rows[left[i]].append(current.row(i))

    status = Status.MAX_STEPS
    with tqdm(total=max_steps, disable=not progress, unit="step") as bar, np.errstate(over="ignore", invalid="ignore"):
        finite = current.evaluate()
        if not finite.all():
            raise ValueError(f"networks[{np.argmin(finite)}] must have a finite loss and gradient at the start, but they "
                             f"overflow; rescale it")
        rows = [[current.row(i)] for i in left]
        ceiling = DIVERGENCE_FACTOR * np.maximum(current.loss, loss.minimum(0))
        gone = current.gradient_norm <= tol
        note(gone, Status.CONVERGED)
        try:
            for step in range(1, max_steps + 1):
                if gone.any():
                    (current, following), left, ceiling = current.without(gone), left[~gone], ceiling[~gone]
                if not left.size:
                    break
                np.multiply(current.gradient, -eta, out=following.parameters)
                following.parameters += current.parameters
                following.t = eta * step
                finite = following.evaluate()
                note(~finite, Status.NON_FINITE)
                current, following = following, current
                if wanted(step):
                    for i in np.flatnonzero(finite):
                        rows[left[i]].append(current.row(i))
                bar.update()
                diverged = finite & (current.loss > ceiling)
                note(diverged, Status.DIVERGED)
                converged = finite & ~diverged & (current.gradient_norm <= tol)
                note(converged, Status.CONVERGED)
                gone = ~finite | diverged | converged
        except KeyboardInterrupt:
            status = Status.INTERRUPTED
    note([seed not in ends for seed in left], status)
    return [trajectory(rows[i], loss, ends[i], f"after {round(rows[i][-1].t / eta)} steps",
                       is_network=isinstance(network, DeepLinearNetwork)) for i, network in enumerate(networks)]


def subspace_iteration(target: Covariance | ArrayLike, W0: ArrayLike, steps: int) -> Array:
    r"""Orthonormal bases of the subspaces :math:`\Sigma_0^t\,\mathrm{range}(RW_0)`, :math:`t=0,\dots,\text{steps}`.

    Orthogonal iteration: multiply by :math:`\Sigma_0`, orthonormalise by QR, repeat.  Gradient descent on the
    Bures-Wasserstein loss with one layer and step size ½ has the same subspaces: they are the ranges of :math:`RW_t`.

    Parameters
    ----------
    target : Covariance or array, shape (n, n)
    W0 : array, shape (n, k)
        Such that :math:`RW_0` has rank k.
    steps : int

    Returns
    -------
    array, shape (steps + 1, n, k)

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its domain, or the rank of :math:`RW_0` is below k.

    Examples
    --------
    >>> bases = subspace_iteration([[4.0, 0.0], [0.0, 1.0]], [[1.0], [1.0]], 20)
    >>> bases[-1].round(9).tolist()
    [[1.0], [0.0]]

    Notes
    -----
    Book: theorem "Half a step is orthogonal iteration".  Source: Golub and Van Loan (2013), chapter 8.
    """
    target = as_covariance(target, "target", stacks=False)
    W0 = check.matrix(W0, "W0", rows=target.dim, stacks=False)
    steps, k = check.integer(steps, "steps", 0), W0.shape[1]
    F = target.principal_factor
    X = F @ (target.leading(F.shape[1]).T @ W0)
    rank = int(np.linalg.matrix_rank(X))
    if rank < k:
        raise ValueError(f"W0 must have {k} columns that are independent after multiplication by the root of the target, "
                         f"but the product has rank {rank}; drop columns or take another start")
    bases = np.empty((steps + 1, *X.shape))
    bases[0] = _orthonormal(X)
    for t in range(steps):
        bases[t + 1] = _orthonormal(F @ (F.T @ bases[t]))
    return bases


def _orthonormal(X: Array) -> Array:
    """The factor ``Q`` of the QR decomposition with positive diagonal of ``R``."""
    Q, R = np.linalg.qr(X)
    return Q * np.where(np.diag(R) < 0, -1.0, 1.0)


def start_weights(network: DeepLinearNetwork | ArrayLike, loss: Loss, name: str = "network") -> list[Array]:
    """The layers of a network that fits the loss; a matrix is a network of one layer."""
    check_loss(loss)
    if isinstance(network, DeepLinearNetwork):
        weights = list(network.weights)
    else:
        weights = [check.matrix(network, name, stacks=False)]
    check_fit(weights[-1], loss, name)
    return weights


def _arguments(step_size: float, max_steps: int, tol: float,
               record_every: int | Iterable[int]) -> tuple[float, int, float, Callable[[int], bool]]:
    """The checked arguments of a descent; the last one as the question whether to record a step."""
    return (check.scalar(step_size, "step_size", positive=True), check.integer(max_steps, "max_steps", 0),
            check.scalar(tol, "tol"), _recording(record_every))


def _recording(record_every: int | Iterable[int]) -> Callable[[int], bool]:
    """Whether to record a step."""
    if isinstance(record_every, Iterable) and not isinstance(record_every, str):
        steps = {check.integer(step, "record_every", 0) for step in record_every}
        return steps.__contains__
    every = check.integer(record_every, "record_every", 1)
    return lambda step: step % every == 0
