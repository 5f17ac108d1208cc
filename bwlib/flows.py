r"""Gradient flow: of all layers, of the end-to-end matrix, and the cases that are solved in closed form."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import scipy
from numpy.typing import ArrayLike
from tqdm import tqdm

from . import _validate as check
from ._lapack import dot, svd
from ._validate import Array
from .covariance import Covariance, as_covariance, compact_svd
from .descent import start_weights
from .landscape import parameter_hessian
from .losses import BuresLoss, Loss, check_loss, product_noise
from .networks import DeepLinearNetwork, multipliers
from .trajectory import LARGEST_ENTRY, Iterate, Row, Status, Trajectory, Workspace, trajectory

METHODS = ("RK23", "RK45", "DOP853", "Radau", "BDF", "LSODA")
IMPLICIT = ("Radau", "BDF")


def gradient_flow(network: DeepLinearNetwork | ArrayLike, loss: Loss, t_eval: ArrayLike, *, rtol: float = 1e-8,
                  atol: float = 1e-10, method: str = "DOP853", progress: bool = False) -> Trajectory:
    r"""Gradient flow :math:`\dot W_j=-\nabla_{W_j}(L\circ\mu)` of all layers at once.

    Parameters
    ----------
    network : DeepLinearNetwork or array, shape (n, m)
        The state at time 0; a matrix flows by itself.
    loss : BuresLoss or FrobeniusLoss
    t_eval : array, shape (rows,)
        Increasing times to record, from 0 on.
    rtol, atol : float
        Tolerances of the integrator.
    method : str
        A method of SciPy's ``solve_ivp``.  "Radau" and "BDF" are for stiff flows and use the exact Hessian
        where the loss is smooth.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Trajectory
        Its ``status`` is FINISHED unless the rank was lost at ``tau = 0``, the integrator gave up or was interrupted;
        what was recorded until then is kept.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its domain.

    Examples
    --------
    >>> from bwlib import BuresLoss
    >>> flow = gradient_flow([[1.0]], BuresLoss([[4.0]]), [0.0, 1.0])
    >>> flow.end_to_end[:, 0, 0].round(6).tolist()
    [1.0, 1.864665]

    Notes
    -----
    Book: chapter "Gradient flow".
    """
    weights, options = start_weights(network, loss), _options(rtol, atol, method)
    work = Workspace([W.shape for W in weights], loss)
    state = Iterate(work)

    def velocity(t: float, y: Array) -> Array:
        state.parameters[:] = y
        return -work.gradient if state.evaluate() else _rejected(y)

    def row(t: float, y: Array) -> Row:
        state.t, state.parameters[:] = t, y
        state.evaluate()
        return state.row()

    if method in IMPLICIT and _is_smooth(loss):
        options["jac"] = lambda t, y: -parameter_hessian(DeepLinearNetwork(tuple(work.layers(y))), loss)
    return _flow(velocity, row, np.concatenate([W.ravel() for W in weights]), check.times(t_eval, "t_eval"), options, loss,
                 progress, is_network=isinstance(network, DeepLinearNetwork))


def end_to_end_flow(W0: ArrayLike, loss: Loss, depth: int, t_eval: ArrayLike, *, rtol: float = 1e-8,
                    atol: float = 1e-10, method: str = "DOP853", progress: bool = False) -> Trajectory:
    r"""Gradient flow of a balanced network of any depth, in function space.

    .. math:: \dot W=-\sum_{j=1}^N(WW^\top)^{\frac{N-j}N}\,\nabla L(W)\,(W^\top W)^{\frac{j-1}N}

    In the bases of the SVD :math:`W=U\operatorname{diag}(\sigma)V^\top` the sum multiplies the entry :math:`(a,b)` of
    :math:`U^\top\nabla L\,V` by :math:`(\sigma_a^2-\sigma_b^2)/(\sigma_a^{2/N}-\sigma_b^{2/N})`, so the cost does not
    depend on the depth.  The row space of ``W0`` and its rank are kept exactly.

    Parameters
    ----------
    W0 : array, shape (n, m)
        The state at time 0, of any rank.
    loss : BuresLoss or FrobeniusLoss
    depth : int
        :math:`N\ge1`.
    t_eval, rtol, atol, method, progress
        As for :func:`gradient_flow`.

    Returns
    -------
    Trajectory
        With ``networks=None``; ``gradient_norm`` is that of the balanced network.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its domain.

    Examples
    --------
    >>> from bwlib import BuresLoss
    >>> flow = end_to_end_flow([[0.01]], BuresLoss([[1.0]]), 2, [0.0, 1.0, 2.0])
    >>> flow.end_to_end[:, 0, 0].round(4).tolist()
    [0.01, 0.3555, 0.9679]

    Notes
    -----
    Book: "The end-to-end matrix in motion" and chapter "Gradient flow".  Source: Arora, Cohen and Hazan (2018); Bah,
    Rauhut, Terstiege and Westdickenberg (2022).
    """
    check_loss(loss)
    W0 = check.matrix(W0, "W0", rows=loss.target.dim, stacks=False)
    depth, options = check.integer(depth, "depth", 1), _options(rtol, atol, method)
    U, s, Vt = compact_svd(W0)
    rank = int(np.count_nonzero(s))
    Vt = Vt[:rank]

    def row(t: float, y: Array) -> Row:
        X = y.reshape(len(W0), rank)
        value, G = loss._value_and_gradient(X) if rank else (loss.value(W0), X)
        slope = max(np.vdot(G, _precondition(X, G, depth)), 0.0)
        return Row(t, X @ Vt, float(value), float(np.sqrt(slope)))

    def velocity(t: float, y: Array) -> Array:
        if not np.abs(y).max() < LARGEST_ENTRY:
            return _rejected(y)
        X = y.reshape(len(W0), rank)
        return -_precondition(X, loss._value_and_gradient(X)[1], depth).ravel()

    return _flow(velocity, row, (U * s)[:, :rank].ravel(), check.times(t_eval, "t_eval"), options, loss, progress,
                 rank=rank)


def shallow_flow(W0: ArrayLike, target: Covariance | ArrayLike, t: ArrayLike) -> Array:
    r"""The exact gradient flow of one layer at ``tau = 0``: a straight line.

    .. math:: W(t)=RQ+e^{-2t}(W_0-RQ),\qquad Q=\mathrm{polar}(RW_0)

    Parameters
    ----------
    W0 : array, shape (n, m)
        Such that :math:`RW_0` has the rank of the target (full row rank, if the target is non-singular).
    target : Covariance or array, shape (n, n)
    t : float or array
        Times, at least 0.

    Returns
    -------
    array, shape (..., n, m)
        The leading axes are those of ``t``.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its domain, or the rank of :math:`RW_0` is too small.

    Examples
    --------
    >>> shallow_flow([[1.0]], [[4.0]], [0.0, 1.0])[:, 0, 0].round(6).tolist()
    [1.0, 1.864665]

    Notes
    -----
    Book: theorem "Exact shallow flow".
    """
    target = as_covariance(target, "target", stacks=False)
    W0, t = check.matrix(W0, "W0", rows=target.dim, stacks=False), _elapsed(t)
    F = target.factor
    U, s, Vt = np.linalg.svd(F.T @ W0, full_matrices=False)
    rank = int(np.sum(s > product_noise(F, W0)))
    if rank < target.rank:
        raise ValueError(f"W0 must keep the rank {target.rank} of the target, but R @ W0 has rank {rank}, and the flow has "
                         f"no closed form; use end_to_end_flow")
    end = (F @ U) @ Vt
    return end + np.exp(-2 * t)[..., None, None] * (W0 - end)


def aligned_flow(s0: ArrayLike, lam: ArrayLike, depth: int, t: ArrayLike, *, tau: float = 0.0) -> Array:
    r"""The singular values along the balanced flow from an aligned start :math:`W_0=\Omega\operatorname{diag}(s_0)V^\top`.

    .. math:: \dot s=-2N\,s^{3-2/N}\Big(1-\sqrt{\tfrac{\lambda}{s^2+\tau}}\Big)

    At ``tau = 0`` the solution is :math:`\sqrt\lambda+(s_0-\sqrt\lambda)e^{-2t}` for one layer and the logistic function
    for two; otherwise the equation is integrated with relative tolerance 1e-12.

    Parameters
    ----------
    s0, lam : float or arrays that broadcast
        Non-negative singular values at time 0, and the eigenvalues of the target on the same axes.
    depth : int
        :math:`N\ge1`.
    t : float or array
        Times, at least 0.
    tau : float

    Returns
    -------
    array
        Its leading axes are those of ``t``, the others those of ``s0`` and ``lam``.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its domain.

    Examples
    --------
    >>> aligned_flow(0.01, [4.0, 1.0], 2, 1.0).round(4).tolist()
    [1.8748, 0.3555]

    Notes
    -----
    Book: proposition "Aligned flow at every depth".  A singular value 0 stays 0, except for one layer at ``tau = 0``,
    where the kink pushes it away and the solution that leaves at once is returned.
    """
    s0, lam = check.real_array(s0, "s0"), check.real_array(lam, "lam")
    t, depth, tau = _elapsed(t), check.integer(depth, "depth", 1), check.scalar(tau, "tau")
    for name, values in (("s0", s0), ("lam", lam)):
        if (values < 0).any():
            raise ValueError(f"{name} must be non-negative, got {values.min()}")
    try:
        s0, lam = np.broadcast_arrays(s0, lam)
    except ValueError:
        raise ValueError(f"s0 and lam must broadcast, got the shapes {s0.shape} and {lam.shape}") from None
    column = t.reshape(t.shape + (1,) * s0.ndim)
    goal = np.sqrt(lam)
    if depth == 1 and tau == 0.0:
        return goal + np.exp(-2 * column) * (s0 - goal)
    if depth == 2 and tau == 0.0 and (lam > 0).all():
        return goal * s0 / (s0 + (goal - s0) * np.exp(-4 * goal * column) + np.where(s0 > 0, 0.0, 1.0))
    modes = [_aligned_mode(s, l, depth, tau, t.ravel()) for s, l in zip(s0.ravel(), lam.ravel())]
    return np.array(modes).T.reshape(t.shape + s0.shape)


def _aligned_mode(s0: float, lam: float, depth: int, tau: float, t: Array) -> Array:
    """One singular value at the times ``t``: the equation for its logarithm, integrated until it is at rest."""
    rest = np.sqrt(max(lam - tau, 0.0))
    if s0 in (0.0, rest) or not t.any():
        return np.full(t.shape, s0)

    def velocity(t: float, y: Array) -> Array:
        s = np.exp(y)
        return -2 * depth * s ** (2 - 2 / depth) * (1 - np.sqrt(lam / (s**2 + tau)))

    def at_rest(t: float, y: Array) -> float:
        return abs(np.exp(y[0]) - rest) - 1e-14 * rest

    at_rest.terminal = True
    times, where = np.unique(np.append(0.0, t), return_inverse=True)
    run = scipy.integrate.solve_ivp(velocity, (0.0, times[-1]), [np.log(s0)], method="DOP853", t_eval=times, rtol=1e-12,
                                    atol=1e-13,
                    events=at_rest if rest > 0 else None)
    s = np.full(times.shape, rest)
    s[:run.y.shape[1]] = np.exp(run.y[0])
    return s[where[1:]]


def _precondition(X: Array, G: Array, depth: int) -> Array:
    r"""The operator of the balanced flow at a matrix ``X`` of full column rank, applied to ``G``."""
    if depth == 1 or not X.size:
        return G
    U, s, Vt = svd(X.copy())
    x = s ** (2 / depth)
    alone = x ** (depth - 1)  # the multiplier of what is outside the range of X
    GV = dot(G, Vt.T)
    return dot(dot(U, (multipliers(x, depth) - alone) * dot(U.T, GV)) + alone * GV, Vt)


@np.errstate(over="ignore", invalid="ignore")
def _flow(velocity: Callable[[float, Array], Array], row: Callable[[float, Array], Row], y: Array, times: Array,
          options: dict, loss: Loss, progress: bool, *, is_network: bool = False, rank: int | None = None) -> Trajectory:
    """Integrate and record at ``times``; whatever ends the integration, the rows until then are kept."""
    rows: list[Row] = []
    start = row(0.0, y)
    if not start.is_finite():
        raise ValueError("the start must have a finite loss and gradient, but they overflow; rescale it")
    status, kept = Status.FINISHED, _visible_rank(loss, start.W)
    with tqdm(total=float(times[-1]), disable=not progress, unit="t") as bar:
        try:
            for t, state in _states(velocity, y, times, options):
                if state is None:
                    status = Status.STOPPED
                    break
                rows.append(row(t, state))
                bar.update(t - bar.n)
                if _visible_rank(loss, rows[-1].W) < kept:
                    status = Status.RANK_LOST
                    break
        except KeyboardInterrupt:
            status = Status.INTERRUPTED
    rows = rows or [start]
    return trajectory(rows, loss, status, f"at t = {rows[-1].t:g}", is_network=is_network, rank=rank)


def _states(velocity: Callable[[float, Array], Array], y: Array, times: Array,
            options: dict) -> Iterator[tuple[float, Array | None]]:
    """The states at ``times``, integrated from one to the next; None where the integrator gives up."""
    t = 0.0
    for until in times:
        if until > t and y.size:
            run = scipy.integrate.solve_ivp(velocity, (t, until), y, t_eval=[until], **options)
            if not run.success:
                yield t, None
                return
            y = run.y[:, -1]
        t = until
        yield t, y


def _rejected(y: Array) -> Array:
    """The velocity at a trial state that overflows: the integrator rejects the step and takes a smaller one."""
    return np.full(y.shape, np.nan)


def _visible_rank(loss: Loss, W: Array) -> int:
    """The rank that the loss needs to stay where it is; 0 if the loss is smooth."""
    if _is_smooth(loss):
        return 0
    F = loss.target.factor
    return int(np.sum(np.linalg.svd(F.T @ W, compute_uv=False) > product_noise(F, W)))


def _is_smooth(loss: Loss) -> bool:
    return not isinstance(loss, BuresLoss) or loss.tau > 0


def _options(rtol: float, atol: float, method: str) -> dict:
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    return {"rtol": check.scalar(rtol, "rtol", positive=True), "atol": check.scalar(atol, "atol", positive=True),
            "method": method}


def _elapsed(t: ArrayLike) -> Array:
    array = check.real_array(t, "t")
    if (array < 0).any():
        raise ValueError(f"t must be non-negative, got {array.min()}")
    return array
