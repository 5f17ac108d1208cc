"""One set of axes of a moving figure with the marks on it."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import contourpy
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from .. import _validate as check
from .. import plotting
from .._validate import Array
from ..covariance import as_covariance
from .marks import SUPERSCRIPT, UNITS, Bars, Curve, Dots, Element, Ellipse, Mark, Picture, Text, coordinates, whole, words

ROOM = 5 * UNITS                # around the axes, for marks that lie on them


class Panel:
    """One set of axes with marks on it; a mark moves if its arrays have more axes than one drawing needs.

    Parameters
    ----------
    title : str
        What is drawn, above the panel.
    x, y : pair of float
        The ends of the axes; marks outside are cut off.
    xlabel : str
        Below the horizontal axis.
    log : str
        The logarithmic axes: "", "x", "y" or "xy".
    equal : bool
        The same unit on both axes.
    xticks, yticks : sequence of float, optional
        Where numbers stand; by default at round values.  A panel without any has no frame.
    size : pair of int
        Width and height of the axes in pixels, at most, before the page scales them.

    Raises
    ------
    TypeError, ValueError
        If an axis is not an increasing pair, or not positive and logarithmic.

    Examples
    --------
    >>> t = np.linspace(0, 1, 5)
    >>> panel = Panel("a square", x=(0, 1), y=(0, 1), xlabel="t")
    >>> panel.curve(t, t**2)                              # stays
    >>> panel.dots(t[:, None], t[:, None]**2)             # one dot for each of five positions of a slider
    >>> [mark.lead for mark in panel.marks]
    [(), (5,)]
    """

    def __init__(self, title: str, *, x: Sequence[float], y: Sequence[float], xlabel: str = "", log: str = "",
                 equal: bool = False, xticks: Sequence[float] | None = None, yticks: Sequence[float] | None = None,
                 size: tuple[int, int] = (200, 150)) -> None:
        self.title, self.xlabel, self.log = check.text(title, "title"), check.text(xlabel, "xlabel"), log
        if log not in ("", "x", "y", "xy"):
            raise ValueError(f'log must be "", "x", "y" or "xy", got {log!r}')
        self.x, self.y = _axis(x, "x", "x" in log), _axis(y, "y", "y" in log)
        if check.real_array(size, "size").shape != (2,) or min(size) <= 0:
            raise ValueError(f"size must be two positive numbers, got {size!r}")
        self.width, self.height = size
        if equal:
            scale = min(self.width / np.ptp(self.x), self.height / np.ptp(self.y))
            self.width, self.height = scale * np.ptp(self.x), scale * np.ptp(self.y)
        self.equal, self.scale = equal, UNITS * self.width / np.ptp(self.x)
        self.xticks = _ticks(self.x, "x" in log) if xticks is None else check.real_array(check.sequence(xticks, "xticks"), "xticks").tolist()
        self.yticks = _ticks(self.y, "y" in log) if yticks is None else check.real_array(check.sequence(yticks, "yticks"), "yticks").tolist()
        self.marks: list[Mark] = []

    def curve(self, x: ArrayLike, y: ArrayLike, *, colour: int | None = 0, label: str = "", fill: bool = False) -> None:
        """A curve through points, arrays of shape (..., points); ``fill`` closes it; ``colour=None`` is thin and grey."""
        self.marks.append(Curve(coordinates(x, y), 2, colour, label, fill))

    def dots(self, x: ArrayLike, y: ArrayLike, *, colour: int | None = 0, label: str = "") -> None:
        """Dots at points, arrays of shape (..., points)."""
        self.marks.append(Dots(coordinates(x, y), 2, colour, label))

    def bars(self, heights: ArrayLike, *, colour: int | None = 0, label: str = "", fill: bool = True) -> None:
        """Bars at 1, 2, ... with the heights of an array of shape (..., bars)."""
        heights = check.real_array(heights, "heights")
        if not heights.ndim or not heights.size:
            raise ValueError(f"heights must have shape (..., bars), and not be empty; got {heights.shape}")
        self.marks.append(Bars(heights, 1, colour, label, fill))

    def level(self, y: ArrayLike, *, colour: int | None = None, label: str = "") -> None:
        """A horizontal line from end to end; ``y`` is a number or an array over the positions of the controls."""
        y = check.real_array(y, "y")[..., None]
        self.curve(np.array(self.x), np.concatenate([y, y], axis=-1), colour=colour, label=label)

    def upright(self, x: ArrayLike, *, colour: int | None = None, label: str = "") -> None:
        """A vertical line from end to end; ``x`` is a number or an array over the positions of the controls."""
        x = check.real_array(x, "x")[..., None]
        self.curve(np.concatenate([x, x], axis=-1), np.array(self.y), colour=colour, label=label)

    def ellipse(self, S: ArrayLike, *, colour: int | None = 0, label: str = "", fill: bool = False) -> None:
        """The one-sigma ellipse of covariances of shape (..., 2, 2), on axes of equal units."""
        if not self.equal:
            raise ValueError("an ellipse needs a panel with equal=True")
        if as_covariance(S, "S").dim != 2:
            raise ValueError(f"S must have shape (..., 2, 2), got {np.shape(S)}")
        self.marks.append(Ellipse(check.matrix(S, "S"), 2, colour, label, fill))

    def picture(self, ink: ArrayLike) -> None:
        """A grey picture of shape (..., rows, columns): 0 is white, 1 is black.  Cells have the whole numbers as centres."""
        self.marks.append(Picture(check.matrix(ink, "ink"), 2, 0, ""))

    def contours(self, x: ArrayLike, y: ArrayLike, z: ArrayLike, levels: Sequence[float]) -> None:
        """The curves where values ``z`` on a grid, of shape (len(y), len(x)), reach the ``levels``."""
        x, y, z, levels = (check.real_array(values, name) for name, values in
                           (("x", x), ("y", y), ("z", z), ("levels", levels)))
        if x.ndim != 1 or y.ndim != 1 or z.shape != (y.size, x.size) or min(z.shape) < 2:
            raise ValueError(f"z must have the shape (len(y), len(x)), at least 2 x 2, got {z.shape} with x of {x.shape} "
                             f"and y of {y.shape}")
        if levels.ndim != 1 or not ((levels > z.min()) & (levels < z.max())).any():
            raise ValueError(f"levels must be a vector, one of them between {z.min():g} and {z.max():g}, got {levels.tolist()}")
        trace = contourpy.contour_generator(x, y, z).lines
        lines = [np.vstack([line, [[np.nan, np.nan]]]) for level in levels for line in trace(level)]
        self.curve(*np.concatenate(lines).T, colour=None)

    def text(self, x: float, y: float, text: str) -> None:
        """A word around a point."""
        place = [check.real_array(value, name) for name, value in (("x", x), ("y", y))]
        if place[0].ndim or place[1].ndim:
            raise ValueError(f"x and y must be numbers, got {x!r} and {y!r}")
        self.marks.append(Text(np.array(place), 1, None, check.text(text, "text")))

    def named(self) -> list[Mark]:
        """The marks of the legend."""
        return [mark for mark in self.marks if mark.label and not isinstance(mark, Text)]

    def place(self, x: Array, y: Array) -> np.ndarray:
        """Whole coordinates of points inside the axes of the drawing, shape (2, points); far points stay outside."""
        across = _share(x, self.x, "x" in self.log) * self.width
        down = (1 - _share(y, self.y, "y" in self.log)) * self.height
        return whole(np.clip([across, down], -2000, 4000) * UNITS) + ROOM

    def draw(self, ax: Axes, controls: tuple[int, ...], index: tuple[int, ...]) -> None:
        """Draw one position of the controls on an axis of Matplotlib."""
        plotting.style(ax)
        ax.set(xlim=self.x, ylim=self.y, xlabel=self.xlabel, xscale="log" if "x" in self.log else "linear",
               yscale="log" if "y" in self.log else "linear", aspect="equal" if self.equal else "auto")
        ax.set_title(self.title, fontsize=8)
        if not self.xticks and not self.yticks:
            ax.set_axis_off()
        for axis, ticks, log in ((ax.xaxis, self.xticks, "x" in self.log), (ax.yaxis, self.yticks, "y" in self.log)):
            axis.set_ticks(ticks, [_tick(v, log) for v in ticks])
            axis.set_ticks([], minor=True)
        ax.tick_params(labelsize=8)
        ax.xaxis.label.set_size(8)
        for mark in self.marks:
            mark.draw(ax, np.broadcast_to(mark.data, controls + mark.data.shape[len(mark.lead):])[index])

    def svg(self, marks: str) -> tuple[int, int, str]:
        """Width, height and content of a drawing: title, axes with numbers, and the given marks, cut off at the axes."""
        numbers = [_tick(v, "y" in self.log) for v in self.yticks]
        left, top = (7 * max(map(len, numbers), default=0) + 12) * UNITS, 24 * UNITS
        width, height = whole(np.array([self.width, self.height]) * UNITS).tolist()
        bottom = top + height + 18 * UNITS * (bool(self.xticks) + bool(self.xlabel))
        x = self.place(np.array(self.xticks, dtype=float), np.full(len(self.xticks), self.y[0]))[0] + left - ROOM
        y = self.place(np.full(len(self.yticks), self.x[0]), np.array(self.yticks, dtype=float))[1] + top - ROOM
        parts = [words(self.title, 4 * UNITS, 14 * UNITS, "start")]
        if x.size or y.size:
            grid = "".join([*(f"M{at} {top}v{height}" for at in x), *(f"M{left} {at}h{width}" for at in y)])
            parts += [Element("path", {"class": "bw-grid", "d": grid}),
                      Element("path", {"class": "bw-axis", "d": f"M{left} {top}v{height}h{width}"})]
        parts += [words(_tick(v, "x" in self.log), at, top + height + 15 * UNITS, "middle") for v, at in zip(self.xticks, x)]
        parts += [words(text, left - 5 * UNITS, at + 4 * UNITS, "end") for text, at in zip(numbers, y)]
        if self.xlabel:
            parts.append(words(self.xlabel, left + width // 2, bottom - 3 * UNITS, "middle"))
        inside = f'<svg x="{left - ROOM}" y="{top - ROOM}" width="{width + 2 * ROOM}" height="{height + 2 * ROOM}">{marks}</svg>'
        right = max(left + width + 14 * UNITS, (7 * len(self.title) + 8) * UNITS)
        return right, bottom + 6 * UNITS, "".join(part.svg() for part in parts) + inside


def _axis(ends: Sequence[float], name: str, log: bool) -> tuple[float, float]:
    low, high = check.pair(ends, name)
    if log and low <= 0:
        raise ValueError(f"{name} must be an increasing pair of positive numbers, got {ends!r}")
    return low, high


def _share(x: Array, ends: tuple[float, float], log: bool) -> Array:
    low, high = ends
    if not log:
        return (x - low) / (high - low)
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(x, 0.0) / low) / np.log(high / low)


def _ticks(ends: tuple[float, float], log: bool) -> list[float]:
    """Up to five round values inside an axis; powers of ten on a logarithmic one."""
    low, high = ends
    if log:
        first, last = ceil(np.log10(low) - 1e-9), int(np.floor(np.log10(high) + 1e-9))
        return [10.0**e for e in range(first, last + 1, max(1, ceil((last - first + 1) / 5)))]
    room = 1e-9 * (high - low)
    values = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(*(float(f"{end:.9g}") for end in ends))    # last bits must not count
    return [float(v) + 0.0 for v in values if low - room <= v <= high + room]


def _tick(value: float, log: bool) -> str:
    exponent = round(np.log10(value)) if log else 0
    if log and abs(exponent) > 2 and np.isclose(value, 10.0**exponent):
        return "10" + str(exponent).translate(SUPERSCRIPT)
    return f"{value:g}".replace("-", "−")
