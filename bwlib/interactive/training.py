"""Moving figures of Part IV: modes learned one after the other, the step size, the search for a subspace."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from .. import _validate as check
from .._validate import Array
from ..covariance import Covariance, as_covariance
from ..descent import gradient_descent
from ..flows import aligned_flow
from ..landscape import best_low_rank
from ..losses import BuresLoss, check_fit
from ..networks import DeepLinearNetwork
from ..theory import certified_step_size, stability_limit
from ..trajectory import Status
from .figure import MovingFigure
from .marks import number, scientific
from .panel import Panel
from .space import axes_of, seen, space


class AlignedFlowFigure(MovingFigure):
    r"""Singular values along the aligned gradient flow: a slider for the time, choices of depth and smoothing.

    First panel: the singular values at the present time (bars) in the outlines of their limits.  Second: the same against
    time, logarithmic.

    Parameters
    ----------
    s0 : float
        All singular values at time 0; positive.
    lam : array, shape (modes,)
        Eigenvalues of the target, descending, larger than every ``tau``.
    depths : sequence of int
    taus : sequence of float
    times : pair of float
        The ends of the slider; it is logarithmic.
    title, description : str
        For screen readers.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its domain.

    Examples
    --------
    >>> figure = AlignedFlowFigure(0.01, [4.0, 2.0, 1.0])
    >>> figure.singular_values.shape                  # depths, smoothings, times, modes
    (3, 2, 45, 3)

    Notes
    -----
    Book: proposition "Aligned flow at every depth".
    """

    def __init__(self, s0: float, lam: ArrayLike, *, depths: Sequence[int] = (1, 2, 3), taus: Sequence[float] = (0.0, 0.05),
                 times: tuple[float, float] = (0.05, 100.0), title: str = "How depth and smoothing order the learning of modes",
                 description: str = "Bars for singular values grow to their limits, the largest first at depth two and three.") -> None:
        s0, lam = check.scalar(s0, "s0", positive=True), check.real_array(lam, "lam")
        self.depths = [check.integer(N, f"depths[{i}]", 1) for i, N in enumerate(check.sequence(depths, "depths"))]
        self.taus = [check.scalar(tau, f"taus[{i}]") for i, tau in enumerate(check.sequence(taus, "taus"))]
        if not self.depths or not self.taus:
            raise ValueError("depths and taus must not be empty")
        if lam.ndim != 1 or not lam.size or (np.diff(lam) > 0).any() or lam[-1] <= max(self.taus):
            raise ValueError(f"lam must be a descending vector, larger than every tau, got {lam.tolist()}")
        times = check.pair(times, "times")
        if times[0] <= 0:
            raise ValueError(f"times must be positive, got {times}")
        fine = np.geomspace(*times, 89)
        curves = np.array([[aligned_flow(s0, lam, N, fine, tau=tau) for tau in self.taus] for N in self.depths])
        self.t, self.singular_values = fine[::2], curves[..., ::2, :]
        goals = np.sqrt(lam - np.array(self.taus)[:, None, None])

        top = 1.08 * math.sqrt(lam[0])
        now = Panel("singular values now", x=(0.5, lam.size + 0.5), y=(0, top), xlabel="position", xticks=range(1, lam.size + 1),
                    size=(200, 170))
        now.bars(goals, colour=1, label="limits", fill=False)
        now.bars(self.singular_values, colour=0, label="model")
        course = Panel("singular values against time", x=times, y=(0, top), xlabel="time", log="x", size=(220, 170))
        course.upright(self.t)
        for i in range(lam.size):
            course.level(goals[..., i], colour=1)
            course.curve(fine, curves[..., None, :, i], colour=0)
        course.dots(self.t[:, None], self.singular_values, colour=0)

        learned = np.sum(self.singular_values > 0.9 * goals, axis=-1)
        readout = np.empty(learned.shape, dtype=object)
        for index in np.ndindex(readout.shape):
            values = ", ".join(number(s, 3) for s in self.singular_values[index])
            readout[index] = (f"time {number(self.t[index[-1]], 2)}: singular values {values}; {learned[index]} of {lam.size} "
                              f"within 10 % of the limit")
        start = int(np.argmin(abs(self.t - 1.0)))
        super().__init__([now, course], readout, slider="time", title=title, description=description,
                         choices={"layers": [str(N) for N in self.depths], "smoothing": [f"τ = {tau:g}" for tau in self.taus]},
                         start=(min(1, len(self.depths) - 1), 0, start),
                         shown=[(i, 0, start) for i in range(min(3, len(self.depths)))])


class DescentFigure(MovingFigure):
    r"""A slider for the step size :math:`\eta` of gradient descent.

    Two panels on logarithmic axes: the loss along the run with the present step size, and the loss at the end of the run
    against the step size, with the certified step and the stability limit marked.  The slider has 61 step sizes, from half
    the certified one to five fourths of the limit.

    Parameters
    ----------
    network : DeepLinearNetwork
        The start: balanced, with a deficiency margin.
    loss : BuresLoss
    steps : int
        Length of each run.
    title, description : str
        For screen readers.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its domain, or the start has no certified step size.

    Examples
    --------
    >>> from bwlib import BuresLoss, balanced_network
    >>> figure = DescentFigure(balanced_network([[1.5]], (1, 1, 1)), BuresLoss([[4.0]]))
    >>> figure
    DescentFigure: What the step size does to gradient descent
    >>> figure.certified < figure.limit
    True

    Notes
    -----
    Book: chapter "Gradient descent".
    """

    def __init__(self, network: DeepLinearNetwork, loss: BuresLoss, *, steps: int = 40,
                 title: str = "What the step size does to gradient descent",
                 description: str = "The loss along a run, and the loss at its end against the step size.") -> None:
        for name, value, kind in (("network", network, DeepLinearNetwork), ("loss", loss, BuresLoss)):
            if not isinstance(value, kind):
                raise TypeError(f"{name} must be a {kind.__name__}, got {type(value).__name__}")
        check_fit(network.weights[-1], loss)
        self.network, self.loss, self.steps = network, loss, check.integer(steps, "steps", 1)
        self.certified = certified_step_size(network, loss.target, tau=loss.tau)
        self.limit = stability_limit(loss.target, network.depth, tau=loss.tau)
        self.step_sizes = np.geomspace(self.certified / 2, 1.25 * self.limit, 61)
        runs = np.array([self.losses(eta) for eta in self.step_sizes])
        high = 10.0 ** math.ceil(math.log10(10 * runs[0, 0]))
        low = 1e-14 * high
        drawn = np.clip(runs, low, high)

        along = Panel("loss along the run", x=(0, self.steps), y=(low, high), xlabel="step", log="y", size=(220, 180))
        along.curve(np.arange(self.steps + 1), drawn, colour=0, label="loss")
        ends = Panel(f"loss after {self.steps} steps", x=(self.step_sizes[0], self.step_sizes[-1]), y=(low, high),
                     xlabel="step size η", log="xy", size=(220, 180))
        ends.upright(self.step_sizes)
        ends.upright(self.certified, colour=2, label="certified step")
        ends.upright(self.limit, colour=1, label="stability limit")
        ends.curve(self.step_sizes, drawn[:, -1], colour=0)
        ends.dots(self.step_sizes[:, None], drawn[:, -1:], colour=0)
        readout = [self._verdict(eta, run[-1], low) for eta, run in zip(self.step_sizes, runs)]
        places = [int(np.argmin(abs(np.log(self.step_sizes / eta)))) for eta in (self.certified, self.limit / 4, 1.1 * self.limit)]
        super().__init__([along, ends], readout, slider="step size η", title=title, description=description, start=(places[1],),
                         shown=[(p,) for p in places])

    def losses(self, step_size: float) -> Array:
        """The loss of each iterate, shape (steps + 1,); constant after an exact arrival, infinite after a divergence."""
        run = gradient_descent(self.network, self.loss, step_size, max_steps=self.steps, tol=0.0)
        rest = run.loss[-1] if run.status is Status.CONVERGED else np.inf
        return np.pad(run.loss, (0, self.steps + 1 - run.loss.size), constant_values=rest)

    def _verdict(self, eta: float, end: float, low: float) -> str:
        if eta > self.limit:
            where = "above the stability limit"
        else:
            where = "certified" if eta <= self.certified * (1 + 1e-12) else "below the stability limit, not certified"
        loss = f"below {scientific(low)}" if end < low else scientific(end) if eta <= self.limit else "not small"
        return (f"η = {number(eta, 4)}, {number(eta / self.limit, 2)} of the limit ({where}): loss after {self.steps} steps "
                f"{loss}")


class SubspaceFigure(MovingFigure):
    r"""Gradient descent with step size ½ turns a subspace to the leading axes: a slider for the step.

    First panel: the model (filled) inside the target (dashed) in three dimensions, seen from one side.  Second: the tangent
    of the largest angle to the leading subspace against the step (dots), and the bound
    :math:`(\lambda_{k+1}/\lambda_k)^t\|Y_0\|`.  The other control chooses the number of latent variables.

    Parameters
    ----------
    target : Covariance or array, shape (3, 3)
        Positive definite with distinct eigenvalues.
    W0 : array, shape (3, 2)
        The start; for one latent variable, its first column.
    steps : int
    title, description : str
        For screen readers.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its domain, or the start is orthogonal to a leading axis.

    Examples
    --------
    >>> figure = SubspaceFigure(np.diag([4.0, 3.0, 2.0]), [[0.2, 1.0], [1.0, 0.1], [0.5, 1.0]])
    >>> bool((figure.tangents <= figure.bounds * (1 + 1e-12)).all())
    True

    Notes
    -----
    Book: theorem "Half a step is orthogonal iteration", corollary "Rate of the subspace".
    """

    def __init__(self, target: Covariance | ArrayLike, W0: ArrayLike, *, steps: int = 24, title: str = "A subspace turns to the leading axes",
                 description: str = "A flat model ellipsoid turns inside the target; dots for its angle fall along a line.") -> None:
        target, steps = as_covariance(target, "target", stacks=False), check.integer(steps, "steps", 1)
        if target.dim != 3 or target.rank != 3 or (np.diff(target.eigenvalues) == 0).any():
            raise ValueError(f"target must be a positive definite 3 x 3 matrix with distinct eigenvalues, got eigenvalues "
                             f"{target.eigenvalues.tolist()}")
        W0 = check.matrix(W0, "W0", rows=3, stacks=False)
        if W0.shape != (3, 2):
            raise ValueError(f"W0 must have shape (3, 2), got {W0.shape}")
        lam, Omega, t = target.eigenvalues, axes_of(target), np.arange(steps + 1)
        loss, factors = BuresLoss(target), []
        for k in (1, 2):
            iterates = [W0[:, :k]]
            for _ in range(steps):
                iterates.append(iterates[-1] - 0.5 * loss.gradient(iterates[-1]))
            factors.append(np.array(iterates))
        self.covariances = np.array([W @ W.mT for W in factors])
        self.gaps = np.array([loss.value(W) - loss.minimum(W.shape[-1]) for W in factors])
        self.tangents = np.array([_tangents(Omega.T @ target.root @ W) for W in factors])
        self.bounds = np.array([(lam[k] / lam[k - 1]) ** t * self.tangents[k - 1, 0] for k in (1, 2)])

        view = space(target)
        view.ellipse(seen(np.array([best_low_rank(target, k) for k in (1, 2)]))[:, None], colour=2, label="best model")
        view.ellipse(seen(self.covariances), colour=0, label="model", fill=True)
        both = np.concatenate([self.tangents, self.bounds])
        if not both.min() > 0:
            raise ValueError("W0 must not span the leading axes already: its angle to them is 0")
        angle = Panel("tangent of the largest angle", x=(0, steps), y=(both.min() / 2, 2 * both.max()), xlabel="step", log="y",
                      size=(210, 190))
        angle.curve(t, self.bounds[:, None], colour=1, label="bound")
        angle.dots(t, self.tangents[:, None], colour=None, label="run")
        angle.dots(t[:, None], self.tangents[..., None], colour=0)

        readout = [[f"step {n}: largest angle {number(a, 3)}°, bound {number(b, 3)}°; loss {scientific(max(gap, 1e-12))} above the best"
                    for n, a, b, gap in zip(t, *np.degrees(np.arctan([tangents, bounds])), gaps)]
                   for tangents, bounds, gaps in zip(self.tangents, self.bounds, self.gaps)]
        super().__init__([view, angle], readout, slider="step", title=title, description=description,
                         choices={"latent variables": ["1", "2"]}, start=(1, 0), shown=[(1, 0), (1, 3), (1, 8)])


def _tangents(X: Array) -> Array:
    """Of the largest angle between the range of each X, in coordinates, and the first axes: the norm of its slopes."""
    k = X.shape[-1]
    if (np.abs(np.linalg.det(X[0, :k])) <= 1e-12 * np.linalg.norm(X[0]) ** k).any():
        raise ValueError("W0 must have independent columns, and none of their combinations may be orthogonal to the leading "
                         "axes: the angle would be a right one")
    return np.linalg.norm(X[:, k:] @ np.linalg.inv(X[:, :k]), 2, axis=(-2, -1))
