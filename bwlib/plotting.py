"""The figures of the book.

Every function takes results that were computed elsewhere and draws them on an axis; nothing here computes mathematics
or changes Matplotlib's global settings.  Colours are told apart by colour-blind readers (Okabe and Ito), and curves
also differ by line style.
"""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
GREY = "#666666"


def figure(columns: int = 1, *, rows: int = 1, width: float = 4.2, height: float = 3.2, **options) -> tuple[Figure, np.ndarray]:
    """A white figure with ``rows × columns`` panels in the book's style; returns the figure and a 2-D array of axes."""
    fig, axes = plt.subplots(rows, columns, figsize=(width * columns, height * rows), squeeze=False,
                             layout="constrained", facecolor="white", **options)
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
        ax.legend(fontsize=9, frameon=False)
    return ax
