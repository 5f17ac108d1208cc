"""Moving figures of Parts II and III: the kink, the critical points in three dimensions, smoothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from .. import _validate as check
from .._validate import Array
from ..covariance import Covariance, as_covariance
from ..distance import bures_wasserstein
from ..flows import end_to_end_flow
from ..landscape import CriticalPoint, best_low_rank, bures_hessian_spectrum, critical_points
from ..losses import BuresLoss
from .figure import MovingFigure
from .marks import number
from .panel import Panel
from .space import axes_of, half_axes, seen, space


class KinkFigure(MovingFigure):
    r"""Walk along a line of factors :math:`w\in\mathbb R^2` past the kink at zero: loss, slope, and the parabola above.

    Three panels: the level curves of :math:`L` with the line; the loss along the line, with the parabola
    :math:`L(w)+\langle\nabla L(w),d\rangle+\|d\|^2` that touches it at the present point and lies above it; the slope along
    the line.  The other control chooses how far from zero the line passes.

    Parameters
    ----------
    target : Covariance or array, shape (2, 2)
        Positive definite.
    direction : array, shape (2,)
        Of the line; not zero.
    distances : sequence of float
        Between the lines and zero, at least 0; a line at distance 0 meets the kink.
    title, description : str
        For screen readers.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its domain.

    Examples
    --------
    >>> figure = KinkFigure([[4.0, 0.0], [0.0, 1.0]], [1.0, 0.0])
    >>> figure.slopes[0, 20].tolist()                 # at zero, from the left and from the right
    [4.0, -4.0]

    Notes
    -----
    Book: proposition "One-sided slopes and kinks", theorem "Semiconcavity".
    """

    def __init__(self, target: Covariance | ArrayLike, direction: ArrayLike, *, distances: Sequence[float] = (0.0, 0.1, 0.5),
                 title: str = "A walk past the kink",
                 description: str = "The loss along a line, with the parabola that touches it from above, and the slope.") -> None:
        target = as_covariance(target, "target", stacks=False)
        if target.dim != 2 or target.rank != 2:
            raise ValueError(f"target must be a positive definite 2 x 2 matrix, got eigenvalues {target.eigenvalues.tolist()}")
        d = check.real_array(direction, "direction")
        if d.shape != (2,) or not d.any():
            raise ValueError(f"direction must be a vector of length 2, not zero, got {d.tolist()}")
        d = d / np.linalg.norm(d)
        away = np.array([check.scalar(x, f"distances[{i}]") for i, x in enumerate(check.sequence(distances, "distances"))])
        if not away.size:
            raise ValueError("distances must not be empty")
        loss = BuresLoss(target)
        reach = 1.25 * math.sqrt(target.eigenvalues[0])

        def along(t: Array) -> Array:
            """Points of the lines, shape (distances, len(t), 2)."""
            return away[:, None, None] * np.array([-d[1], d[0]]) + t[:, None] * d

        def slopes_at(points: Array) -> Array:
            """Slopes from the left and from the right."""
            smooth = points.any(axis=-1)
            slope = np.where(smooth, loss.gradient(points[..., None])[..., 0] @ d, 0.0)
            corner = np.where(smooth, 0.0, 2 * np.sqrt(d @ target.matrix @ d))
            return np.stack([slope + corner, slope - corner], axis=-1)

        self.t = np.linspace(-reach, reach, 41)
        points = along(self.t)
        self.losses, self.slopes = loss.value(points[..., None]), slopes_at(points)
        self.curvatures = np.array([[d @ loss.hessian(w[:, None]) @ d if w.any() else np.nan for w in row] for row in points])

        fine = np.linspace(-reach, reach, 121)
        top = 1.6 * self.losses.max()
        ends = (-1.15 * reach, 1.15 * reach)
        grid = np.linspace(*ends, 41)
        values = loss.value(np.stack(np.meshgrid(grid, grid), axis=-1)[..., None])
        plane = Panel("levels of the loss", x=ends, y=ends, equal=True, size=(160, 160))
        plane.contours(grid, grid, values, loss.minimum(1) + (target.trace - loss.minimum(1)) * np.array([0.11, 0.31, 0.51, 0.71, 0.91, 1.31]))
        plane.curve(*np.moveaxis(along(np.array(ends))[:, None], -1, 0), colour=2, label="the line")
        plane.dots([0.0], [0.0], colour=1, label="the kink")
        plane.dots(*np.moveaxis(points[..., None, :], -1, 0), colour=0)

        height = Panel("loss along the line", x=(-reach, reach), y=(0, top), xlabel="t", size=(160, 145))
        coarse = fine[::6]
        step = coarse - self.t[:, None]
        left, right = np.moveaxis(self.losses[..., None, None] + self.slopes[..., None] * step[:, None] + step[:, None] ** 2, -2, 0)
        height.curve(coarse, left, colour=1, label="touching parabola")
        height.curve(coarse, np.where(np.ptp(self.slopes, axis=-1)[..., None] > 0, right, np.nan), colour=1)
        height.curve(fine, loss.value(along(fine)[..., None])[:, None], colour=0, label="loss")
        height.dots(self.t[:, None], self.losses[..., None], colour=0)

        slope = Panel("slope along the line", x=(-reach, reach), y=(1.1 * self.slopes.min(), 1.1 * self.slopes.max()), xlabel="t",
                      size=(160, 145))
        y = slopes_at(along(fine))
        y = np.where(np.ptp(y, axis=-1) > 0, np.nan, y[..., 0])
        slope.curve(fine, y[:, None], colour=0)
        slope.dots(self.t[:, None], self.slopes, colour=0)

        readout = np.empty(self.losses.shape, dtype=object)
        for index in np.ndindex(readout.shape):
            left, right = self.slopes[index]
            change = (f"slope {number(left, 2)} from the left and {number(right, 2)} from the right: a kink" if left != right else
                      f"slope {number(left, 2)}, second derivative {number(self.curvatures[index], 2)}, at most 2")
            readout[index] = f"t = {number(self.t[index[1]], 2)}: loss {number(self.losses[index], 3)}; {change}"
        super().__init__([plane, height, slope], readout, slider="position t", title=title, description=description,
                         choices={"distance of the line from zero": [f"{x:g}" for x in away]}, start=(0, 12),
                         shown=[(0, 12), (0, 20), (min(1, away.size - 1), 20)])


class CriticalPointsFigure(MovingFigure):
    r"""All critical covariances in three dimensions, each with a push in its lowest direction and the flow that follows.

    First panel: the model (filled) inside the target (dashed), as ellipsoids seen from one side.  Second: the loss along
    gradient flow, over the levels of the critical values.  The other control chooses the critical point.

    Parameters
    ----------
    target : Covariance or array, shape (3, 3)
        Positive definite with distinct eigenvalues.
    push : float
        Length of the push along :math:`\omega_jv_i^\top`, the shortest used axis towards the longest unused one; at full
        rank along :math:`\omega_1v_1^\top`.
    time : float
        How long the flow is followed.
    title, description : str
        For screen readers.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its domain.

    Examples
    --------
    >>> figure = CriticalPointsFigure([[4.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    >>> [(point.indices, point.value, point.morse_index) for point in figure.points[3:]]
    [((0, 1), 1.0, 0), ((0, 2), 2.0, 1), ((1, 2), 4.0, 2), ((0, 1, 2), 0.0, 0)]

    Notes
    -----
    Book: theorems "Critical points on the matrices of rank k" and "Hessian spectrum on the matrices of rank k".
    """

    def __init__(self, target: Covariance | ArrayLike, *, push: float = 0.2, time: float = 3.0,
                 title: str = "The critical covariances in three dimensions",
                 description: str = "A model ellipsoid inside the target; after a push it turns to a longer axis, or returns.") -> None:
        target = as_covariance(target, "target", stacks=False)
        if target.dim != 3 or target.rank != 3:
            raise ValueError(f"target must be a positive definite 3 x 3 matrix, got eigenvalues {target.eigenvalues.tolist()}")
        push, time = check.scalar(push, "push", positive=True), check.scalar(time, "time", positive=True)
        self.points = [point for k in (1, 2, 3) for point in critical_points(target, k)]
        self.t = np.linspace(0, time, 30)
        loss, lam, Omega = BuresLoss(target), target.eigenvalues, axes_of(target)
        factors = np.zeros((len(self.points), 31, 3, 3))
        for n, point in enumerate(self.points):
            J = list(point.indices)
            start = Omega[:, J] * np.sqrt(lam[J])
            factors[n, 0, :, :len(J)] = start
            missing = [j for j in range(3) if j not in J]
            start[:, -1 if missing else 0] += push * Omega[:, missing[0] if missing else 0]
            factors[n, 1:, :, :len(J)] = end_to_end_flow(start, loss, 1, self.t).end_to_end
        self.covariances = factors @ factors.mT
        self.losses = np.array([bures_wasserstein(row, target, squared=True) for row in self.covariances])

        view = space(target)
        downhill = np.array([[[j not in point.indices and any(j < i for i in point.indices)] for j in range(3)]
                             for point in self.points])
        ends = half_axes(target)[:, :, None] * np.array([-1.0, 1.0, np.nan])
        x, y = np.where(downhill, ends[:, None], np.nan).reshape(2, len(self.points), 1, 9)
        view.curve(x, y, colour=3, label="downhill axes")
        view.ellipse(seen(self.covariances), colour=0, label="model", fill=True)

        values = sorted({round(point.value, 9) for point in self.points})
        height = Panel("loss after the push", x=(0, time), y=(-0.03 * values[-1], 1.08 * values[-1]), xlabel="time", yticks=values,
                       size=(200, 190))
        height.curve(self.t, self.losses[:, None, 1:], colour=0)
        height.dots(np.append(0.0, self.t)[:, None], self.losses[..., None], colour=0)

        readout = [self._texts(point, losses) for point, losses in zip(self.points, self.losses)]
        super().__init__([view, height], readout, slider="time after a push", title=title, description=description,
                         choices={"critical point": [_name(point) for point in self.points]}, start=(5, 0),
                         shown=[(5, 0), (5, 8), (5, 30)])

    def _texts(self, point: CriticalPoint, losses: Array) -> list[str]:
        negative = point.hessian_eigenvalues[point.hessian_eigenvalues < 0][::-1]
        down = f", negative curvatures {' and '.join(number(h, 2) for h in negative)}" if negative.size else ""
        start = f"rank {len(point.indices)},"
        return [f"{start} at rest: loss {number(point.value, 3)}, Morse index {point.morse_index}{down}",
                *(f"{start} time {number(t, 2)} after the push: loss {number(value, 3)}" for t, value in zip(self.t, losses[1:]))]


class SmoothingFigure(MovingFigure):
    r"""A slider for the smoothing :math:`\tau`: the minimiser, its loss and its curvature.

    Three panels.  The spectrum of the minimiser of :math:`L_\tau` over the :math:`n\times k` matrices (bars) inside the
    :math:`k` largest eigenvalues of the target (dashed outlines), with the level :math:`\tau`; the least value of
    :math:`L_\tau` and the loss :math:`L` of the same minimiser when the noise is left out, against :math:`\tau`; the
    largest Hessian eigenvalue at the minimiser and the smallest one across its orbit
    :math:`\{WO:O\text{ orthogonal}\}`, along which the loss is constant.

    The grid of :math:`\tau` is logarithmic, from a fiftieth of the smallest positive eigenvalue to five fourths of the
    largest, and holds the eigenvalues.

    Parameters
    ----------
    target : Covariance or array, shape (n, n)
        At least one positive eigenvalue.
    rank : int
        :math:`k`, the number of columns of :math:`W`, 1 to n.
    title, description : str
        For screen readers.

    Raises
    ------
    TypeError, ValueError
        If the target is not a covariance matrix or is zero, or the rank is out of range.

    Examples
    --------
    >>> figure = SmoothingFigure([[4.0, 0.0], [0.0, 1.0]], 2)
    >>> figure
    SmoothingFigure: What the smoothing does to the minimiser
    >>> figure.taus.shape
    (101,)

    Notes
    -----
    Book: "Choosing the smoothing".
    """

    def __init__(self, target: Covariance | ArrayLike, rank: int, *, title: str = "What the smoothing does to the minimiser",
                 description: str = "Bars for the spectrum of the minimiser shrink as tau grows, and vanish one by one.") -> None:
        self.target = as_covariance(target, "target", stacks=False)
        self.rank = check.integer(rank, "rank", 1, self.target.dim)
        positive = self.target.eigenvalues[self.target.eigenvalues > 0]
        if not positive.size:
            raise ValueError("target must have a positive eigenvalue, got the zero matrix")
        self.taus = np.geomspace(positive[-1] / 50, 1.25 * positive[0], 101)
        for value in positive:  # where a bar vanishes, the curves have a corner: show it
            self.taus[np.argmin(np.abs(np.log(self.taus / value)))] = value
        lam = self.target.eigenvalues[:self.rank]
        spectra = np.array([self.spectrum(tau) for tau in self.taus])
        losses, curvatures = (np.array([f(tau) for tau in self.taus]) for f in (self.losses, self.curvatures))
        at_zero = 2 - 2 * np.sqrt(lam[0] / self.taus)

        top = 1.05 * self.taus[-1]
        bars = Panel("eigenvalues", x=(0.5, self.rank + 0.5), y=(0, top), xlabel="position", xticks=range(1, self.rank + 1),
                     size=(160, 145))
        bars.bars(lam, colour=1, label="target", fill=False)
        bars.bars(spectra, colour=0, label="minimiser")
        bars.level(self.taus, colour=3, label="τ")
        ends = (self.taus[0], self.taus[-1])
        panels = [bars]
        for name, pair, labels in (("loss of the minimiser", losses, ("with noise", "without")),
                                   ("curvature at the minimiser", curvatures, ("smallest", "largest"))):
            panel = Panel(name, x=ends, y=(0, 1.08 * pair.max()), xlabel="τ", log="x", size=(160, 145))
            panel.upright(self.taus)
            for colour, label, y in zip((0, 2), labels, pair.T):
                panel.curve(self.taus, y, colour=colour, label=label)
                panel.dots(self.taus[:, None], y[:, None], colour=colour)
            panels.append(panel)
        readout = [f"τ = {number(tau, 4)}: rank {np.sum(lam > tau)}, loss {number(with_noise, 3)} with noise, {number(without, 3)} "
                   f"without; Hessian eigenvalues from {number(least, 3)} to {number(largest, 3)} at the minimiser, "
                   f"{number(zero, 3)} at W = 0"
                   for tau, (with_noise, without), (least, largest), zero in zip(self.taus, losses, curvatures, at_zero)]
        start = int(np.argmin(abs(self.taus - 0.6 * lam[-1]))) if lam[-1] > 0 else self.taus.size // 2
        super().__init__(panels, readout, slider="smoothing τ", title=title, description=description, start=(start,),
                         shown=[(30,), (60,), (80,)])

    def spectrum(self, tau: float) -> np.ndarray:
        r"""The :math:`k` largest eigenvalues of the minimiser :math:`WW^\top`, :math:`(\lambda_i-\tau)_+`."""
        return np.linalg.eigvalsh(best_low_rank(self.target, self.rank, tau=tau))[::-1][:self.rank]

    def losses(self, tau: float) -> tuple[float, float]:
        r"""The least value of :math:`L_\tau`, and the loss :math:`L` of its minimiser without the noise."""
        minimiser = best_low_rank(self.target, self.rank, tau=tau)
        return (BuresLoss(self.target, tau).minimum(self.rank), bures_wasserstein(minimiser, self.target, squared=True))

    def curvatures(self, tau: float) -> tuple[float, float]:
        """The smallest Hessian eigenvalue at the minimiser, not counting the zeros of its orbit, and the largest."""
        r = int(np.sum(self.target.eigenvalues[:self.rank] > tau))
        values = bures_hessian_spectrum(self.target, range(r), self.rank, tau=tau)[::-1]
        across = values[r * (r - 1) // 2 + r * (self.rank - r):]
        return float(across[0]), float(across[-1])


def _name(point: CriticalPoint) -> str:
    """The index set, from 1 on."""
    return "{" + ", ".join(str(i + 1) for i in point.indices) + "}"
