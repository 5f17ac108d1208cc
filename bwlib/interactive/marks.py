"""What is drawn on a panel: curves, dots, ellipses, pictures and words, as SVG and with Matplotlib."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from .. import _validate as check
from .. import plotting
from .._validate import Array
from ..covariance import Covariance

if TYPE_CHECKING:
    from .panel import Panel

UNITS = 10                      # of a drawing in a pixel: coordinates are whole numbers
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
TIE = 1e-6                      # halves are rounded up on every machine, whatever the last bits are


def number(x: float, digits: int) -> str:
    """``x`` with so many decimals, the same text on every machine: halves go up, no minus zero, a true minus sign.

    >>> number(0.0625, 3), number(-0.0004, 3), number(-2.5, 1)
    ('0.063', '0.000', '−2.5')
    """
    if check.real_array(x, "x", finite=False).ndim:
        raise TypeError(f"x must be one number, got {x!r}")
    digits = check.integer(digits, "digits", 0)
    return f"{np.floor(x * 10**digits + 0.5 + TIE) / 10**digits + 0.0:.{digits}f}".replace("-", "−")


def scientific(x: float) -> str:
    """A positive ``x`` with two digits, and a power of ten where it is small or large.

    >>> scientific(3.14e-7), scientific(0.0372), scientific(25.0)
    ('3.1·10⁻⁷', '0.037', '25')
    """
    exponent = int(np.floor(np.log10(x / 0.995 * (1 + TIE))))              # 9.95 is written 10
    if -3 < exponent < 2:
        return number(x, 1 - exponent)
    return f"{number(x / 10.0**exponent, 1)}·10{str(exponent).translate(SUPERSCRIPT)}"


def whole(x: Array) -> np.ndarray:
    """Rounded to whole numbers, the same on every machine."""
    return np.floor(x + 0.5 + TIE).astype(int)


@dataclass(frozen=True)
class Element:
    """An SVG element: attributes that stay, and attributes that are arrays of text over the axes of the controls."""

    tag: str
    still: dict[str, str]
    moving: dict[str, np.ndarray] = field(default_factory=dict)
    content: str = ""

    def svg(self, attributes: Mapping[str, str] = {}) -> str:
        """The element with ``attributes`` in place of the moving ones."""
        names = " ".join(f'{name}="{value}"' for name, value in {**self.still, **attributes}.items())
        return f"<{self.tag} {names}" + (f">{html.escape(self.content)}</{self.tag}>" if self.content else "/>")


@dataclass(frozen=True, eq=False)
class Mark:
    """What is drawn: ``data`` with the axes of the controls first, if it moves, and then those of one drawing."""

    data: Array
    axes: int
    colour: int | None
    label: str

    def __post_init__(self) -> None:
        check.text(self.label, "label")
        if self.colour is not None:
            check.integer(self.colour, "colour", 0, len(plotting.COLOURS) - 1)

    @property
    def lead(self) -> tuple[int, ...]:
        return self.data.shape[:self.data.ndim - self.axes]

    @property
    def style(self) -> str:
        return "bw-grey" if self.colour is None else f"bw-c{self.colour}"

    @property
    def pen(self) -> dict:
        """Colour and line of Matplotlib."""
        if self.colour is None:
            return {"color": plotting.GREY, "linewidth": 0.9}
        return {"color": plotting.COLOURS[self.colour], "linestyle": plotting.LINES[self.colour], "linewidth": 1.8}

    def key(self) -> str:
        """Its sign in the legend of a page, 30 wide and 10 high."""
        return f'<path class="{self.style}" d="M1 5h28"/>'

    def handle(self) -> Artist:
        """Its sign in the legend of Matplotlib."""
        return Line2D([], [], **self.pen)

    def over_lead(self, text: Callable[[Array], str]) -> np.ndarray:
        """``text`` of each single drawing, an array over the axes of the controls."""
        flat = self.data.reshape(-1, *self.data.shape[len(self.lead):])
        return np.array([text(part) for part in flat], dtype=object).reshape(self.lead)

    def elements(self, panel: Panel) -> Iterator[Element]:
        """SVG elements: the tag, attributes that stay, attributes that are arrays over the axes of the controls."""
        raise NotImplementedError

    def draw(self, ax: Axes, data: Array) -> None:
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Curve(Mark):
    """Data of shape (..., 2, points); NaN breaks the curve."""

    fill: bool = False

    def elements(self, panel: Panel) -> Iterator[Element]:
        def path(points: Array) -> str:
            return " ".join(_path(panel.place(*piece)) + " z" * self.fill for piece in _pieces(points))

        yield Element("path", {"class": self.style + " bw-fill" * self.fill}, {"d": self.over_lead(path)})

    def draw(self, ax: Axes, data: Array) -> None:
        for piece in _pieces(data):
            if self.fill:
                ax.fill(*piece, facecolor=(self.pen["color"], 0.25), edgecolor=self.pen["color"])
            else:
                ax.plot(*piece, **self.pen)


@dataclass(frozen=True, eq=False)
class Bars(Mark):
    """Data of shape (..., bars): their heights, from the lower end of the axis on, at 1, 2, ..."""

    fill: bool = True

    def elements(self, panel: Panel) -> Iterator[Element]:
        left, right = (panel.place(x, np.full(x.shape, panel.y[0])) for x in self._sides(self.data.shape[-1]))

        def path(heights: Array) -> str:
            tops = panel.place(np.ones(heights.shape), heights)[1]
            return " ".join(f"M {a} {low} V {top} H {b} V {low}" for (a, low), b, top in zip(left.T, right[0], tops))

        yield Element("path", {"class": self.style + " bw-fill" * self.fill}, {"d": self.over_lead(path)})

    def draw(self, ax: Axes, data: Array) -> None:
        for a, b, height in zip(*self._sides(data.size), data):
            face = (self.pen["color"], 0.25 * self.fill)
            ax.fill([a, a, b, b], [ax.get_ylim()[0], height, height, ax.get_ylim()[0]], facecolor=face,
                    edgecolor=self.pen["color"], linestyle=self.pen["linestyle"])

    @staticmethod
    def _sides(bars: int) -> tuple[Array, Array]:
        middle = np.arange(1.0, bars + 1)
        return middle - 0.35, middle + 0.35


@dataclass(frozen=True, eq=False)
class Dots(Mark):
    """Data of shape (..., 2, points)."""

    def elements(self, panel: Panel) -> Iterator[Element]:
        def path(points: Array) -> str:
            return " ".join(f"M {x} {y} h 0" for x, y in panel.place(*points).T)

        yield Element("path", {"class": self.style + " bw-dots"}, {"d": self.over_lead(path)})

    def key(self) -> str:
        return f'<path class="{self.style} bw-dots" d="M15 5h0"/>'

    def handle(self) -> Artist:
        return Line2D([], [], marker="o", linestyle="", color=self.pen["color"])

    def draw(self, ax: Axes, data: Array) -> None:
        ax.plot(*data, "o", color=self.pen["color"], markersize=6 if self.colour is not None else 3)


@dataclass(frozen=True, eq=False)
class Ellipse(Mark):
    """Data of shape (..., 2, 2): the one-sigma ellipses of covariances, on axes of equal units."""

    fill: bool = False

    def elements(self, panel: Panel) -> Iterator[Element]:
        (cx,), (cy,) = panel.place(np.zeros(1), np.zeros(1))
        shapes = np.empty(self.lead + (3,), dtype=object)
        for index in np.ndindex(self.lead):
            shapes[index] = _half_axes(self.data[index], panel.scale)
        turns = np.array([f"rotate({angle} {cx} {cy})" for angle in shapes[..., 2].ravel()], dtype=object)
        yield Element("ellipse", {"class": self.style + " bw-fill" * self.fill, "cx": str(cx), "cy": str(cy)},
                      {"rx": shapes[..., 0], "ry": shapes[..., 1], "transform": turns.reshape(self.lead)})

    def draw(self, ax: Axes, data: Array) -> None:
        angle = np.linspace(0, 2 * np.pi, 121)
        outline = Covariance(data).root @ np.array([np.cos(angle), np.sin(angle)])
        if self.fill:
            ax.fill(*outline, facecolor=(self.pen["color"], 0.25), edgecolor="none")
        ax.plot(*outline, **self.pen)


@dataclass(frozen=True, eq=False)
class Picture(Mark):
    """Data of shape (..., rows, columns): ink from 0, white, to 1, black."""

    def elements(self, panel: Panel) -> Iterator[Element]:
        rows, columns = self.data.shape[-2:]
        edges = panel.place(np.arange(columns + 1) - 0.5, np.zeros(columns + 1))[0]
        lines = panel.place(np.zeros(rows + 1), np.arange(rows + 1) - 0.5)[1]
        yield Element("rect", {"class": "bw-paper", "x": str(edges[0]), "y": str(lines[-1]),
                               "width": str(edges[-1] - edges[0]), "height": str(lines[0] - lines[-1])})
        ink = whole(20 * np.clip(self.data, 0, 1)) / 20
        for row, column in np.ndindex(rows, columns):
            opacity = np.array([f"{v:g}" for v in ink[..., row, column].ravel()], dtype=object).reshape(self.lead)
            low, high = lines[rows - row - 1], lines[rows - row]
            yield Element("rect", {"x": str(edges[column]), "y": str(high), "width": str(edges[column + 1] - edges[column]),
                                   "height": str(low - high)}, {"opacity": opacity})

    def draw(self, ax: Axes, data: Array) -> None:
        rows, columns = data.shape
        ax.imshow(np.clip(data, 0, 1), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest", aspect="equal",
                  extent=(-0.5, columns - 0.5, -0.5, rows - 0.5))


@dataclass(frozen=True, eq=False)
class Text(Mark):
    """Data of shape (2,): the middle of a word."""

    def elements(self, panel: Panel) -> Iterator[Element]:
        (x,), (y,) = panel.place(*self.data[:, None])
        yield words(self.label, x, y + 4 * UNITS, "middle")

    def draw(self, ax: Axes, data: Array) -> None:
        ax.text(*data, self.label, ha="center", va="center", fontsize=9)


def words(text: str, x: int, y: int, anchor: str) -> Element:
    """A text at a place: its "start", "middle" or "end" is there."""
    return Element("text", {"x": str(x), "y": str(y), "text-anchor": anchor}, content=text)


def coordinates(x: ArrayLike, y: ArrayLike) -> Array:
    """Both coordinates in one array of shape (..., 2, points); NaN breaks a curve."""
    x, y = (np.atleast_1d(check.real_array(values, name, finite=False)) for values, name in ((x, "x"), (y, "y")))
    try:
        return np.stack(np.broadcast_arrays(x, y), axis=-2)
    except ValueError:
        raise ValueError(f"x and y must broadcast, got the shapes {x.shape} and {y.shape}") from None


def _pieces(points: Array) -> list[Array]:
    """The parts of a curve between its breaks."""
    broken = np.isnan(points).any(axis=0)
    cuts = np.flatnonzero(broken[1:] != broken[:-1]) + 1
    return [part for part in np.split(points, cuts, axis=1) if not np.isnan(part).any()]


def _path(places: np.ndarray) -> str:
    """An SVG path through whole places, in steps from one to the next."""
    start, steps = places[:, 0], np.diff(places, axis=1).T.ravel()
    return f"M {start[0]} {start[1]} " + ("l " + " ".join(map(str, steps)) if steps.size else "h 0")


def _half_axes(S: Array, scale: float) -> tuple[str, str, str]:
    """The half axes of an ellipse and its angle on a page, where down is positive; a flat one keeps a hair's breadth."""
    half, x, y = (S[0, 0] + S[1, 1]) / 2, (S[0, 0] - S[1, 1]) / 2, S[0, 1]
    radius = np.hypot(x, y)
    angle = -np.degrees(np.arctan2(y, x)) / 2 if radius > 1e-9 * half else 0.0
    long, short = (max(whole(scale * np.sqrt(max(v, 0.0))), 1) for v in (half + radius, half - radius))
    return str(long), str(short), f"{whole(10 * angle) % 1800 / 10:g}"
