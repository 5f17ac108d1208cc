"""The figures of the book.

Every function takes results that were computed elsewhere and draws them on an axis; nothing here computes mathematics
or changes Matplotlib's global settings.  Colours are told apart by colour-blind readers (Okabe and Ito), and curves
also differ by line style.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
GREY = "#666666"
LEGEND = {"fontsize": 9, "facecolor": "white", "edgecolor": "none", "framealpha": 0.85, "borderpad": 0.2}


def figure(columns: int = 1, *, rows: int = 1, width: float = 4.2, height: float = 3.2, **options) -> tuple[Figure, np.ndarray]:
    """A white figure with ``rows × columns`` panels in the book's style; returns the figure and a 2-D array of axes."""
    fig, axes = plt.subplots(rows, columns, figsize=(width * columns, height * rows), squeeze=False,
                             layout="constrained", facecolor="white", **options)
    fig.get_layout_engine().set(wspace=0.06, hspace=0.05)
    for ax in axes.flat:
        style(ax)
    return fig, axes


def style(ax: Axes) -> Axes:
    """Thin frame, light grid, readable text."""
    ax.grid(True, color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=9)
    return ax


def _axis(ax: Axes | None) -> Axes:
    return figure()[1][0, 0] if ax is None else ax


def curves(x, series: Mapping[str, np.ndarray], *, xlabel: str, ylabel: str, log: str = "", ax: Axes | None = None) -> Axes:
    """Draw one labelled curve for each entry of ``series``; ``log`` names the logarithmic axes: "", "x", "y" or "xy".

    ``x`` is shared by all curves, or a mapping with the same keys as ``series``.
    """
    ax = _axis(ax)
    for i, (label, y) in enumerate(series.items()):
        at = x[label] if isinstance(x, Mapping) else x
        ax.plot(at, y, color=COLOURS[i % len(COLOURS)], linestyle=LINES[i % len(LINES)], linewidth=1.8, label=label)
    ax.set(xlabel=xlabel, ylabel=ylabel,
           xscale="log" if "x" in log else "linear", yscale="log" if "y" in log else "linear")
    if len(series) > 1:
        ax.legend(**LEGEND)
    return ax


def chain_plane(paths: Mapping[str, np.ndarray], levels: Iterable[np.ndarray], minimisers: np.ndarray, *,
                ax: Axes | None = None) -> Axes:
    """Paths of two scalar layers in their plane, over curves of constant product; ``minimisers`` is the thick one."""
    ax = _axis(ax)
    for curve in levels:
        ax.plot(*curve.T, color="#aaaaaa", linewidth=0.8)
    ax.plot(*minimisers.T, color="black", linewidth=1.4)
    for i, (label, path) in enumerate(paths.items()):
        ax.plot(*path.T, color=COLOURS[i], linestyle=LINES[i], linewidth=2, label=f"start {label}")
        ax.plot(*path[0], marker="o", color=COLOURS[i])
        ax.plot(*path[-1], marker="s", color=COLOURS[i])
    ax.set(xlabel="first layer", ylabel="second layer", xlim=(0, 3), ylim=(0, 3), aspect="equal")
    ax.legend(**LEGEND)
    return ax


def rank_cone(cone: tuple[np.ndarray, ...], plane: tuple[np.ndarray, ...], point: np.ndarray, *,
              ax: Axes | None = None) -> Axes:
    """A double cone over the origin with the tangent plane at a point, from coordinate grids; they share the black line."""
    if ax is None:
        ax = plt.figure(figsize=(5, 4.4), facecolor="white").add_subplot(projection="3d")
    ax.plot_surface(*cone, color=COLOURS[4], alpha=0.55, linewidth=0, rcount=60, ccount=60)
    ax.plot_wireframe(*cone, color=COLOURS[0], linewidth=0.4, rstride=8, cstride=10)
    ax.plot_surface(*plane, color=COLOURS[5], alpha=0.7, linewidth=0)
    ax.plot(*np.outer(point, (0, 1 / np.abs(point).max())), color="black", linewidth=1.6, zorder=10)
    ax.plot(*point[:, None], marker="o", color="black", zorder=10)
    ax.plot([0], [0], [0], marker="o", color=COLOURS[1], zorder=10)
    ax.set_xlabel("x", fontsize=10), ax.set_ylabel("y", fontsize=10), ax.set_zlabel("z", fontsize=10)
    ax.set_xticks([-1, 0, 1]), ax.set_yticks([-1, 0, 1]), ax.set_zticks([-1, 0, 1])
    ax.tick_params(labelsize=9)
    ax.set_box_aspect((1, 1, 1), zoom=0.95)
    ax.view_init(elev=16, azim=-60)
    return ax


def singular_value_paths(t: np.ndarray, values: np.ndarray, targets: np.ndarray, *, title: str = "",
                         ax: Axes | None = None) -> Axes:
    """Singular values against time, the columns of ``values``, with their targets as grey lines."""
    ax = _axis(ax)
    for level in targets:
        ax.axhline(level, color="#999999", linewidth=0.9)
    for i, column in enumerate(values.T):
        ax.plot(t, column, color=COLOURS[i % len(COLOURS)], linestyle=LINES[i % len(LINES)], linewidth=1.8)
    ax.set(xlabel="time", ylabel="singular values")
    ax.set_title(title, fontsize=11)
    return ax


def cloud(points: np.ndarray, *, outline: np.ndarray | None = None, arrows: np.ndarray | None = None, limit: float,
          title: str = "", ax: Axes | None = None) -> Axes:
    """Draw ``points`` (rows) in the plane with a closed ``outline`` and ``arrows`` (rows) from the origin."""
    ax = _axis(ax)
    ax.plot(points[:, 0], points[:, 1], ".", color=COLOURS[4], markersize=3, alpha=0.5)
    if outline is not None:
        ax.plot(outline[:, 0], outline[:, 1], color=COLOURS[0], linewidth=2)
    for tip in () if arrows is None else arrows:
        ax.annotate("", tip, (0, 0), arrowprops={"arrowstyle": "->", "linewidth": 2, "color": COLOURS[1]})
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    ax.set_title(title, fontsize=10)
    return ax


def image_grid(rows: Mapping[str, np.ndarray], *, shape: tuple[int, int] = (8, 8), black: float = 16.0) -> Figure:
    """Draw one labelled row of grey images for each entry of ``rows`` (arrays of shape (images, pixels))."""
    columns = max(len(images) for images in rows.values())
    fig, axes = figure(columns, rows=len(rows), width=0.75, height=1.0)
    fig.set_layout_engine(None)
    fig.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=0.92, wspace=0.15, hspace=0.3)
    for ax in axes.flat:
        ax.set_axis_off()
    for line, (label, images) in zip(axes, rows.items()):
        line[0].set_title(label, fontsize=10, loc="left")
        for ax, image in zip(line, images):
            ax.imshow(image.reshape(shape), cmap="gray_r", vmin=0, vmax=black, interpolation="nearest")
    return fig


def spectra(series: Mapping[str, np.ndarray], *, ylabel: str = "eigenvalue", ax: Axes | None = None) -> Axes:
    """Draw the positive entries of each spectrum against their position, with one marker per spectrum."""
    ax = _axis(ax)
    for i, (label, lam) in enumerate(series.items()):
        at = np.arange(1, len(lam) + 1)
        ax.plot(at[lam > 0], lam[lam > 0], "osD^"[i % 4], color=COLOURS[i], markersize=7 - 3 * (i > 0),
                markerfacecolor="white" if i == 0 else COLOURS[i], label=label)
    ax.set(xlabel="position $i$", ylabel=ylabel, yscale="log")
    ax.legend(**LEGEND)
    return ax


def paths(x: np.ndarray, values: np.ndarray, goals: np.ndarray, *, xlabel: str, ylabel: str, goal_label: str,
          ax: Axes | None = None) -> Axes:
    """Draw the columns of ``values`` over ``x`` and a dashed level for each entry of ``goals``."""
    ax = _axis(ax)
    for i, goal in enumerate(goals):
        ax.axhline(goal, color=GREY, linestyle="--", linewidth=0.9, label=goal_label if i == 0 else None)
    for i, y in enumerate(values.T):
        ax.plot(x, y, color=COLOURS[i % len(COLOURS)], linewidth=1.5)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend(**LEGEND)
    return ax


def histograms(series: Mapping[str, np.ndarray], *, bins: np.ndarray, xlabel: str, ax: Axes | None = None) -> Axes:
    """Draw the outlines of normalised histograms on common bins."""
    ax = _axis(ax)
    for i, (label, values) in enumerate(series.items()):
        ax.hist(values, bins=bins, density=True, histtype="step", color=COLOURS[i], linestyle=LINES[i], linewidth=1.8, label=label)
    ax.set(xlabel=xlabel, ylabel="density")
    ax.legend(**LEGEND)
    return ax


def level(value: float, label: str, *, ax: Axes) -> Axes:
    """Mark a known value by a dotted horizontal line."""
    ax.axhline(value, color=GREY, linestyle=":", linewidth=1.4, label=label)
    ax.legend(**LEGEND)
    return ax


def reference(x: np.ndarray, y: np.ndarray, label: str, *, ax: Axes) -> Axes:
    """Add a grey line to compare the curves with, behind them."""
    ax.plot(x, y, color="#aaaaaa", linewidth=4, zorder=0.5, label=label)
    ax.legend(**LEGEND)
    return ax


def ellipse(factor: np.ndarray, *, colour: int = 0, line="-", label: str | None = None, fill: bool = False,
            ax: Axes | None = None) -> Axes:
    """Draw the image of the unit circle under a 2 × 2 ``factor``: the one-sigma ellipse of ``factor @ factor.T``."""
    ax = _axis(ax)
    angle = np.linspace(0, 2 * np.pi, 241)
    x, y = factor @ np.array([np.cos(angle), np.sin(angle)])
    ax.plot(x, y, color=COLOURS[colour], linestyle=line, linewidth=1.8, label=label)
    if fill:
        ax.fill(x, y, color=COLOURS[colour], alpha=0.2, linewidth=0)
    ax.set_aspect("equal")
    if label is not None:
        ax.legend(**LEGEND)
    return ax


def pairs(X: np.ndarray, Y: np.ndarray, *, labels: tuple[str, str], ax: Axes | None = None) -> Axes:
    """Draw two clouds of points in the plane (rows) and a segment from each point of the first to its partner."""
    ax = _axis(ax)
    ax.plot(np.stack([X[:, 0], Y[:, 0]]), np.stack([X[:, 1], Y[:, 1]]), color=GREY, linewidth=0.8, zorder=1)
    ax.plot(*X.T, "o", color=COLOURS[0], markersize=4, label=labels[0])
    ax.plot(*Y.T, "^", color=COLOURS[1], markersize=4.5, label=labels[1])
    ax.set_aspect("equal")
    ax.legend(**LEGEND, loc="upper left")
    return ax


def arrows(start: np.ndarray, end: np.ndarray, *, ax: Axes) -> Axes:
    """Draw an arrow from each row of ``start`` to the same row of ``end``."""
    ax.quiver(*start.T, *(end - start).T, angles="xy", scale_units="xy", scale=1, color=GREY, width=0.006,
              headwidth=6, headlength=7, headaxislength=6, zorder=1.5)
    return ax


def contours(x: np.ndarray, y: np.ndarray, z: np.ndarray, levels: int | np.ndarray = 20, *, xlabel: str, ylabel: str,
             ax: Axes | None = None) -> Axes:
    """Draw the values ``z`` of a function on a grid of the plane by filled contours, dark where it is low."""
    ax = _axis(ax)
    ax.grid(False)
    filled = ax.contourf(x, y, z, levels, cmap="cividis")
    ax.contour(x, y, z, filled.levels, colors="white", linewidths=0.5)
    ax.figure.colorbar(filled, ax=ax).ax.tick_params(labelsize=9)
    ax.set(xlabel=xlabel, ylabel=ylabel, aspect="equal", xlim=(np.min(x), np.max(x)), ylim=(np.min(y), np.max(y)))
    return ax


def ellipsoid(covariance: np.ndarray, *, frame: np.ndarray | None = None, colour: int = 0, title: str = "",
              ax: Axes | None = None) -> Axes:
    """Draw the one-sigma ellipsoid of a 3 × 3 ``covariance``, flat where it is singular, inside the wire of ``frame``."""
    if ax is None:
        ax = plt.figure(figsize=(4, 4), facecolor="white").add_subplot(projection="3d")
    a, b = np.meshgrid(np.linspace(0, 2 * np.pi, 61), np.linspace(0, np.pi, 31))
    sphere = np.stack([np.cos(a) * np.sin(b), np.sin(a) * np.sin(b), np.cos(b)])

    def image(matrix):
        values, vectors = np.linalg.eigh(matrix)
        return np.tensordot(vectors * np.sqrt(np.maximum(values, 0)), sphere, axes=1)

    if frame is not None:
        ax.plot_wireframe(*image(frame), color=GREY, linewidth=0.5, alpha=0.5, rstride=5, cstride=5)
    ax.plot_surface(*image(covariance), color=COLOURS[colour], alpha=0.8, linewidth=0, shade=False)
    ax.plot_wireframe(*image(covariance), color=COLOURS[colour], linewidth=1.2, rstride=15, cstride=15)
    reach = np.sqrt(np.max(np.linalg.eigvalsh(covariance if frame is None else frame)))
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), zlim=(-reach, reach), xticks=[], yticks=[], zticks=[])
    ax.set_box_aspect((1, 1, 1), zoom=1.1)
    ax.set_title(title, fontsize=11)
    ax.view_init(elev=22, azim=-55)
    return ax


def arrow_graph(nodes: Mapping[str, tuple[float, float]], arrows: Iterable[tuple[str, str]], *, xlabel: str, ylabel: str,
                ax: Axes | None = None) -> Axes:
    """Draw labelled ``nodes`` at their positions and an arrow for each pair of labels; arrows bend to stay apart."""
    ax = _axis(ax)
    for start, end in arrows:
        ax.annotate("", nodes[end], nodes[start], arrowprops={
            "arrowstyle": "-|>", "color": GREY, "linewidth": 1.2, "shrinkA": 26, "shrinkB": 26,
            "connectionstyle": "arc3,rad=0.06"})
    for label, position in nodes.items():
        ax.text(*position, label, fontsize=10, ha="center", va="center", zorder=3,
                bbox={"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": COLOURS[0]})
    ax.plot(*np.array(list(nodes.values())).T, linestyle="none")
    ax.margins(0.2)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return ax
