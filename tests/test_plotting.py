"""The figures: they draw what they are given, on the axis they are given, and leave Matplotlib as it was."""

import inspect

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from bwlib import plotting

FUNCTIONS = [(name, f) for name, f in inspect.getmembers(plotting, inspect.isfunction)
             if f.__module__ == plotting.__name__ and not name.startswith("_")]
T = np.linspace(0.1, 1, 9)
XY = np.column_stack([T, T**2])

DRAWINGS = {  # one call of each function that takes an optional axis
    "curves": ((T, {"a": T, "b": T**2}), {"xlabel": "x", "ylabel": "y", "log": "xy"}),
    "chain_plane": (({"1": XY}, [XY], XY), {}),
    "cloud": ((XY,), {"outline": XY, "arrows": np.eye(2), "limit": 2.0, "title": "t"}),
    "spectra": (({"a": T, "b": np.array([1.0, 0.0])},), {}),
    "paths": ((T, XY, np.array([0.5, 1.0])), {"xlabel": "x", "ylabel": "y", "goal_label": "goal"}),
    "histograms": (({"a": T, "b": T},), {"bins": np.linspace(0, 1, 5), "xlabel": "x"}),
    "singular_value_paths": ((T, XY, np.array([0.5])), {"title": "t"}),
    "ellipse": ((np.array([[2.0, 0.0], [0.0, 1.0]]),), {"label": "l", "fill": True}),
    "pairs": ((XY, 2 * XY), {"labels": ("a", "b")}),
    "contours": ((T, T, np.outer(T, T), 5), {"xlabel": "x", "ylabel": "y"}),
    "arrow_graph": (({"a": (0, 1), "b": (1, 0)}, [("a", "b")]), {"xlabel": "x", "ylabel": "y"}),
}
every_drawing = pytest.mark.parametrize("name", [name for name in DRAWINGS if hasattr(plotting, name)])


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def drawn(name, ax=None):
    arguments, options = DRAWINGS[name]
    return getattr(plotting, name)(*arguments, **options, ax=ax)


def luminance(colour):
    """Relative luminance of a hexadecimal colour (WCAG)."""
    channels = np.array([int(colour[i:i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_the_palette_is_that_of_okabe_and_ito_and_lines_differ_too():
    assert plotting.COLOURS[:2] == ("#0072B2", "#D55E00") and len(set(plotting.COLOURS)) == len(plotting.COLOURS) == 7
    assert len(set(plotting.LINES)) == len(plotting.LINES) == len(plotting.COLOURS)
    levels = [luminance(colour) for colour in plotting.COLOURS]
    assert max(levels) < 0.5  # every colour is seen on white


@pytest.mark.parametrize("name, function", FUNCTIONS, ids=[name for name, _ in FUNCTIONS])
def test_every_function_says_what_it_draws_and_returns_it(name, function):
    assert function.__doc__ and function.__doc__.strip().split("\n")[0].endswith((".", ":", '".'))
    signature = inspect.signature(function, eval_str=True)
    if "ax" in signature.parameters:
        assert signature.return_annotation is Axes
        if name != "style":
            assert signature.parameters["ax"].kind is inspect.Parameter.KEYWORD_ONLY


@every_drawing
def test_drawings_use_the_given_axis_and_no_global_state(name):
    before = matplotlib.rcParams.copy()
    fig, axes = plotting.figure(2)
    assert drawn(name, axes[0, 0]) is axes[0, 0]
    assert axes[0, 0].has_data() and not axes[0, 1].has_data()
    assert plt.get_fignums() == [fig.number]
    fig.canvas.draw()
    assert matplotlib.rcParams == before


@every_drawing
def test_drawings_make_a_white_figure_with_readable_text(name):
    ax = drawn(name)
    assert isinstance(ax, Axes) and to_hex(ax.figure.get_facecolor()) == "#ffffff"
    ax.figure.canvas.draw()
    texts = [*ax.get_xticklabels(), *ax.get_yticklabels(), ax.xaxis.label, ax.yaxis.label, ax.title]
    legend = ax.get_legend()
    texts += legend.get_texts() if legend else []
    assert min(text.get_fontsize() for text in texts if text.get_text()) >= 9


def test_figure_is_a_grid_of_styled_panels():
    fig, axes = plotting.figure(3, rows=2)
    assert isinstance(fig, Figure) and axes.shape == (2, 3)
    assert not any(ax.spines["top"].get_visible() for ax in axes.flat)
    assert plotting.style(axes[0, 0]) is axes[0, 0]


def test_curves_differ_by_colour_and_line_style():
    ax = plotting.curves(T, {str(i): i * T for i in range(1, 8)}, xlabel="x", ylabel="y")
    lines = ax.get_lines()
    assert len({line.get_color() for line in lines}) == len(lines) == 7
    assert [line.get_linestyle() for line in lines[:4]] == ["-", "--", "-.", ":"]
    assert [line.get_label() for line in lines] == [text.get_text() for text in ax.get_legend().get_texts()]
    for line, i in zip(lines, range(1, 8)):
        assert np.array_equal(line.get_xydata(), np.column_stack([T, i * T]))
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_xscale(), ax.get_yscale()) == ("x", "y", "linear", "linear")
    own = plotting.curves({"a": T, "b": 2 * T}, {"a": T, "b": T}, xlabel="x", ylabel="y", log="y")
    assert own.get_lines()[1].get_xdata().tolist() == (2 * T).tolist()
    assert (own.get_xscale(), own.get_yscale()) == ("linear", "log")
    assert plotting.curves(T, {"alone": T}, xlabel="x", ylabel="y").get_legend() is None


def test_an_ellipsoid_may_be_flat():
    ax = plotting.ellipsoid(np.diag([4.0, 1.0, 0.0]), frame=np.diag([4.0, 2.0, 1.0]), title="disc")
    ax.figure.canvas.draw()
    assert ax.get_xlim3d() == (-2.0, 2.0) and ax.get_title() == "disc"
    assert plotting.ellipsoid(np.eye(3), ax=ax) is ax
