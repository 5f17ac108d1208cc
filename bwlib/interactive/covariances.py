"""Moving figures of Part I: what a narrow generator keeps, alignment of factors, geodesics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from .. import _validate as check
from .._validate import Array
from ..covariance import Covariance, as_covariance
from ..distance import bures_wasserstein, bures_wasserstein_factors, geodesic
from ..losses import BuresLoss
from .figure import MovingFigure
from .marks import number
from .panel import Panel


class RankFigure(MovingFigure):
    r"""What a generator of width :math:`k` keeps of a picture: a slider for the width of the bottleneck.

    Three panels: one picture of a data set; its projection to the :math:`k` leading principal axes, which is where the
    nearest law of rank :math:`k` puts it; the least squared distance :math:`\sum_{i>k}\lambda_i` against :math:`k`.

    Parameters
    ----------
    data : array, shape (samples, pixels)
        Its mean and covariance are the target.
    sample : int
        The row that is shown.
    shape : pair of int
        Rows and columns of a picture.
    black : float
        The value that is printed black; 0 is white.
    widths : sequence of int, optional
        The positions of the slider, from 0 to the rank of the covariance; by default all.
    title, description : str
        For screen readers.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its domain.

    Examples
    --------
    >>> RankFigure(np.eye(4), 0, shape=(2, 2), black=1.0)
    RankFigure: What a narrow generator keeps

    Notes
    -----
    Book: proposition "The price of rank k".
    """

    def __init__(self, data: ArrayLike, sample: int, *, shape: tuple[int, int], black: float,
                 widths: Sequence[int] | None = None, title: str = "What a narrow generator keeps",
                 description: str = "A picture, and what is left of it when the generator has fewer latent variables.") -> None:
        data = check.matrix(data, "data", stacks=False)
        row = data[check.integer(sample, "sample", 0, len(data) - 1)]
        shape = tuple(check.integer(size, f"shape[{i}]", 1) for i, size in enumerate(check.sequence(shape, "shape")))
        if len(shape) != 2 or shape[0] * shape[1] != row.size:
            raise ValueError(f"shape must multiply to the {row.size} columns of data, got {shape}")
        black = check.scalar(black, "black", positive=True)
        target, mean = Covariance.from_samples(data), data.mean(axis=0)
        last = int(target.rank)
        self.target = target
        self.widths = [check.integer(k, f"widths[{i}]", 0, last)
                       for i, k in enumerate(range(last + 1) if widths is None else check.sequence(widths, "widths"))]
        if len(self.widths) < 2 or (np.diff(self.widths) <= 0).any():
            raise ValueError(f"widths must be two or more increasing integers up to {last}, the rank of the covariance, got "
                             f"{self.widths}")
        scores = target.eigenvectors.T @ (row - mean)
        kept = np.arange(row.size) < np.array(self.widths)[:, None]
        self.projections = mean + (kept * scores) @ target.eigenvectors.T
        self.losses = np.array([BuresLoss(target).minimum(k) for k in self.widths])
        off = np.sqrt(np.mean((self.projections - row) ** 2, axis=1))

        rows, columns = shape
        frame = {"x": (-0.5, columns - 0.5), "y": (-0.5, rows - 0.5), "equal": True, "xticks": (), "yticks": (), "size": (120, 120)}
        before, after = Panel("a picture", **frame), Panel("its projection", **frame)
        before.picture(row.reshape(shape) / black)
        after.picture(self.projections.reshape(-1, *shape) / black)
        price = Panel("least squared distance", x=(0, self.widths[-1]), y=(0, 1.05 * target.trace), xlabel="width k",
                      size=(200, 120))
        price.curve(self.widths, self.losses)
        price.dots(np.array(self.widths)[:, None], self.losses[:, None])
        readout = [f"width {k}: squared distance at least {number(loss, 2)}; {number(100 * (1 - loss / target.trace), 1)} % "
                   f"of the variance is kept, and this picture is off by {number(error, 2)} per pixel in root mean square"
                   for k, loss, error in zip(self.widths, self.losses, off)]
        shown = [(int(p),) for p in np.linspace(0, len(self.widths) - 1, 4)[:3].round()]
        super().__init__([before, after, price], readout, slider="width k", title=title, description=description, shown=shown,
                         start=(len(self.widths) // 3,))


class GeodesicFigure(MovingFigure):
    r"""A slider that moves a covariance ellipse along the Wasserstein geodesic.

    First panel: the ends (dashed), the geodesic :math:`\Sigma(s)` (filled) and the straight line of matrices
    :math:`(1-s)\Sigma+s\Sigma_0`.  Second: the distances of both from the start.

    Parameters
    ----------
    A, B : Covariance or array, shape (2, 2)
        The ends; singular ends are allowed.
    title, description : str
        For screen readers.

    Raises
    ------
    ValueError
        If an end is not a 2 × 2 covariance matrix.

    Examples
    --------
    >>> GeodesicFigure([[1.0, 0.0], [0.0, 4.0]], [[4.0, 0.0], [0.0, 1.0]])
    GeodesicFigure: Geodesic between two covariance ellipses

    Notes
    -----
    Book: "Geodesics".
    """

    def __init__(self, A: Covariance | ArrayLike, B: Covariance | ArrayLike, *,
                 title: str = "Geodesic between two covariance ellipses",
                 description: str = "An ellipse moves from one dashed ellipse to another as s grows from 0 to 1.") -> None:
        A, B = (_plane(end, name) for name, end in (("A", A), ("B", B)))
        distance = bures_wasserstein(A, B)
        self.s = np.linspace(0, 1, 51)
        self.path = np.array([geodesic(A, B, s) for s in self.s])
        line = (1 - self.s)[:, None, None] * A + self.s[:, None, None] * B
        away = {"geodesic": bures_wasserstein(A, self.path), "straight line of matrices": bures_wasserstein(A, line)}

        reach = [1.08 * np.sqrt(max(A[i, i], B[i, i])) or 1.0 for i in range(2)]
        plane = Panel("one-sigma ellipses", x=(-reach[0], reach[0]), y=(-reach[1], reach[1]), equal=True, size=(220, 220))
        plane.ellipse(A, colour=1, label="ends")
        plane.ellipse(B, colour=1)
        plane.ellipse(line, colour=2, label="straight line of matrices")
        plane.ellipse(self.path, colour=0, label="geodesic", fill=True)
        highest = max(y.max() for y in away.values())
        ways = Panel("distance from the start", x=(0, 1), y=(0, 1.05 * highest or 1.0), xlabel="s", size=(200, 180))
        for colour, name in ((2, "straight line of matrices"), (0, "geodesic")):
            y = away[name]
            ways.curve(self.s, y, colour=colour)
            ways.dots(self.s[:, None], y[:, None], colour=colour)
        readout = [f"s = {number(s, 2)}: distance {number(s * distance, 3)} from the start, {number((1 - s) * distance, 3)} from "
                   f"the end; the straight line is {number(y, 3)} from the start"
                   for s, y in zip(self.s, away["straight line of matrices"])]
        super().__init__([plane, ways], readout, slider="time s", title=title, description=description, start=(25,),
                         shown=[(12,), (25,), (38,)])


class ProcrustesFigure(MovingFigure):
    r"""Turn a factor by hand: the squared distance is the least value of :math:`\|W-AO\|_F^2`.

    First panel: the images :math:`Wz` and :math:`AOz` of eight points :math:`z` of the unit circle, joined in pairs; the
    mean squared length of the segments is half the squared misfit.  Second: the squared misfit against the angle.
    The other control chooses rotations, or rotations after a reflection.

    Parameters
    ----------
    W, A : array, shape (2, 2)
    title, description : str
        For screen readers.

    Raises
    ------
    TypeError, ValueError
        If a factor is not a 2 × 2 matrix.

    Examples
    --------
    >>> figure = ProcrustesFigure([[2.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 3.0]])
    >>> figure.misfits.min(axis=1).tolist()               # over rotations, over reflections
    [5.0, 13.0]

    Notes
    -----
    Book: theorem "Procrustes form of the distance".
    """

    def __init__(self, W: ArrayLike, A: ArrayLike, *, title: str = "Alignment of two factors",
                 description: str = "Points on one ellipse are joined to points on another, which turn with the angle.") -> None:
        W, A = (_square(factor, name) for name, factor in (("W", W), ("A", A)))
        reflections = np.array([np.eye(2), np.diag([1.0, -1.0])])
        M = A.T @ W @ reflections
        best = np.degrees(np.arctan2(M[:, 1, 0] - M[:, 0, 1], M[:, 0, 0] + M[:, 1, 1]))
        self.degrees = np.unique(np.append(np.arange(-180, 181, 8), best.round(9)))
        cos, sin = np.cos(np.radians(self.degrees)), np.sin(np.radians(self.degrees))
        turned = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2) @ reflections[:, None]
        self.misfits = np.sum((W - A @ turned) ** 2, axis=(-2, -1))
        squared = bures_wasserstein_factors(W, A, squared=True)

        z = np.array([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)])
        first, second = W @ z, A @ turned @ z
        reach = 1.08 * np.sqrt(np.maximum(np.diag(W @ W.T), np.diag(A @ A.T))) + 1e-9
        plane = Panel("images of eight points", x=(-reach[0], reach[0]), y=(-reach[1], reach[1]), equal=True, size=(220, 220))
        plane.ellipse(W @ W.T, colour=0, label="Wz")
        plane.ellipse(A @ A.T, colour=1, label="AOz")
        gap = np.full(second.shape[:-1] + (8, 1), np.nan)
        x, y = (np.concatenate([np.broadcast_to(first[i][:, None], gap[..., 0, :, :].shape), second[..., i, :, None],
                                gap[..., 0, :, :]], axis=-1).reshape(*second.shape[:2], -1) for i in range(2))
        plane.curve(x, y, colour=None)
        plane.dots(*first, colour=0)
        plane.dots(second[..., 0, :], second[..., 1, :], colour=1)
        waves = Panel("squared misfit", x=(-180, 180), y=(0, 1.05 * self.misfits.max() + 1e-9), xlabel="angle in degrees",
                      xticks=(-180, -90, 0, 90, 180), size=(220, 180))
        waves.curve(self.degrees, self.misfits[0], colour=0, label="rotations")
        waves.curve(self.degrees, self.misfits[1], colour=2, label="reflections")
        waves.level(squared, colour=3, label="squared distance")
        waves.dots(self.degrees[:, None], self.misfits[..., None], colour=0)
        readout = [[f"angle {number(angle, 1)}°: squared misfit {number(value, 3)}, squared distance {number(squared, 3)}"
                    for angle, value in zip(self.degrees, values)] for values in self.misfits]
        places = [(0, int(np.argmin(np.abs(self.degrees - angle)))) for angle in (-90, best[0], 90)]
        super().__init__([plane, waves], readout, slider="angle", title=title, description=description,
                         choices={"O": ["rotation", "reflection"]}, start=places[2], shown=places)


def _plane(S: Covariance | ArrayLike, name: str) -> Array:
    matrix = as_covariance(S, name).matrix
    if matrix.shape != (2, 2):
        raise ValueError(f"{name} must be a 2 x 2 covariance matrix, got shape {matrix.shape}")
    return matrix


def _square(factor: ArrayLike, name: str) -> Array:
    matrix = check.matrix(factor, name, rows=2, stacks=False)
    if matrix.shape != (2, 2):
        raise ValueError(f"{name} must be a 2 x 2 matrix, got shape {matrix.shape}")
    return matrix
