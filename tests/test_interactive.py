"""The moving figures: the right numbers at every position, accessible, self-contained, the same bytes on every machine."""

from __future__ import annotations

import base64
import json
import re
import xml.etree.ElementTree as ElementTree
from functools import cache
from importlib.resources import files
from itertools import product

import numpy as np
import pytest
from bs4 import BeautifulSoup
from scipy.integrate import solve_ivp
from scipy.linalg import sqrtm, subspace_angles

import bwlib as bw
from bwlib import interactive
from bwlib.interactive import (AlignedFlowFigure, CriticalPointsFigure, DescentFigure, GeodesicFigure, KinkFigure, MovingFigure,
                               Panel, ProcrustesFigure, RankFigure, SmoothingFigure, SubspaceFigure)
from bwlib.interactive.figure import pack, strides
from bwlib.interactive.marks import number, scientific

A = np.array([[4.0, 0.0], [0.0, 1.0]])
B = np.array([[1.0, 3.0], [3.0, 13.0]])
W, F = np.array([[2.0, 0.3], [0.1, 1.0]]), np.array([[1.0, 0.0], [3.0, 2.0]])
DATA = np.random.default_rng(1).standard_normal((60, 6)) @ np.diag([3.0, 2.0, 1.5, 1.0, 0.5, 0.1]) + 2.0
START = np.array([[0.2, 1.0], [1.0, 0.1], [0.5, 1.0]])

MAKERS = {
    "rank": lambda e=1.0: RankFigure(DATA * e, 3, shape=(2, 3), black=4.0),
    "geodesic": lambda e=1.0: GeodesicFigure(A * e, B),
    "procrustes": lambda e=1.0: ProcrustesFigure(W * e, F),
    "kink": lambda e=1.0: KinkFigure(np.diag([4.0, 1.0]) * e, [1.0, 0.5]),
    "critical": lambda e=1.0: CriticalPointsFigure(np.diag([4.0, 2.0, 1.0]) * e),
    "smoothing": lambda e=1.0: SmoothingFigure(np.diag([4.0, 2.0, 1.0, 0.5]) * e, 3),
    "aligned": lambda e=1.0: AlignedFlowFigure(0.01, np.array([4.0, 2.0, 1.0]) * e),
    "descent": lambda e=1.0: DescentFigure(bw.balanced_network(np.diag([1.5, 0.8]) * e, (2, 2, 2, 2)),
                                           bw.BuresLoss(np.diag([2.0, 1.0])), steps=20),
    "subspace": lambda e=1.0: SubspaceFigure(np.diag([4.0, 3.0, 2.0]), START * e),
}
every_figure = pytest.mark.parametrize("name", MAKERS)


@cache
def made(name):
    return MAKERS[name]()


@cache
def bundle_of(name):
    return made(name)._repr_mimebundle_()


def page_of(name):
    return bundle_of(name)["text/html"]


def stored(page):
    return json.loads(BeautifulSoup(page, "html.parser").find("script", type="application/json").string)


def unpack(packed, index, full):
    """What ``figure.js`` does."""
    if isinstance(packed, str):
        return packed
    if isinstance(packed, dict) and "w" in packed:
        return " ".join(str(unpack(word, index, full)) for word in packed["w"]).rstrip()
    steps = packed.get("s", full) if isinstance(packed, dict) else full
    place = sum(step * at for step, at in zip(steps, index))
    if isinstance(packed, list):
        return str(packed[place])
    return str(packed["v"][packed["i"][place]] if "i" in packed else packed["l"][place])


DIGITS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
NUMBER = re.compile(r"(−?\d+(?:\.(\d+))?)(?:·10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?")


def assert_shows(text, *expected):
    """The numbers of a read-out are the expected ones, to half a unit of their last digit."""
    shown = [(float(m[1].replace("−", "-")), len(m[2] or ""), int((m[3] or "⁰").translate(DIGITS))) for m in NUMBER.finditer(text)]
    assert len(shown) == len(expected), text
    for (value, decimals, exponent), exact in zip(shown, expected):
        assert abs(value * 10.0**exponent - exact) <= 0.501 * 10.0 ** (exponent - decimals), (text, value, exact)


# ---------------------------------------------------------------- the component


def test_numbers_are_written_the_same_on_every_machine():
    assert [number(x, 2) for x in (0.125, 0.125 * (1 - 1e-15), -0.125, -0.001, 12.0)] == ["0.13", "0.13", "−0.12", "0.00", "12.00"]
    assert [scientific(x) for x in (1e-12, 9.96e-5, 1.0, 0.1 * (1 - 1e-15), 4.2e7)] == ["1.0·10⁻¹²", "1.0·10⁻⁴", "1.0", "0.10", "4.2·10⁷"]


@pytest.mark.parametrize("texts", [
    [["a"] * 3] * 2, [["a", "b", "c"]] * 2, [["a"] * 3, ["b"] * 3], [["x 1 y", "x 2 y", "x 3 y"], ["x 4 y", "x 2.50 z", "100.0"]],
    [["1.0", "2.5", "0.00001"], ["1e3", "007", "true"]], [["M 1 2 l 3 4", "", "M 1 2"], ["−1", "null", "NaN"]]])
def test_what_is_packed_can_be_read_back(texts):
    texts = np.array(texts, dtype=object)
    packed = json.loads(json.dumps(pack(texts)))
    for index in np.ndindex(texts.shape):
        assert unpack(packed, index, strides(texts.shape)) == texts[index]


def test_packing_is_short():
    long = np.array([[f"curve {'0 ' * 300}{choice}"] * 50 for choice in range(3)], dtype=object)
    assert len(json.dumps(pack(long))) < 2500
    assert len(json.dumps(pack(np.array([f"step {i}: a long text with one number" for i in range(50)], dtype=object)))) < 600


def drawn(panel, figure, index=(0,)):
    """The paths of one position, in the coordinates of the data."""
    svg = BeautifulSoup(figure._html(), "html.parser")
    data, corner = stored(str(svg)), panel.place(np.array([panel.x[0]]), np.array([panel.y[0]]))[:, 0]
    far = panel.place(np.array([panel.x[1]]), np.array([panel.y[1]]))[:, 0]
    paths = []
    for path in svg.select(".bw-panels svg svg path"):
        text = path["d"]
        if path.has_attr("data-m"):
            packed = next(move[2] for move in data["moves"] if move[0] == int(path["data-m"]) and move[1] == "d")
            text = unpack(packed, index, data["strides"])
        words, points, at, kind = text.split(), [], np.zeros(2), ""
        while words:
            if words[0].isalpha():
                kind = words.pop(0)
            elif kind in "Ml":
                at = np.array([float(words.pop(0)), float(words.pop(0))]) + (at if kind == "l" else 0)
                points.append(at)
            else:
                words.pop(0)
        share = (np.array(points) - corner) / (far - corner)
        ends = [np.log(e) if name in panel.log else np.array(e) for e, name in ((panel.x, "x"), (panel.y, "y"))]
        values = [lo + part * (hi - lo) for part, (lo, hi) in zip(share.T, ends)]
        paths.append(np.array([np.exp(v) if name in panel.log else v for v, name in zip(values, "xy")]))
    return paths


@pytest.mark.parametrize("log", ["", "x", "y", "xy"])
def test_marks_are_drawn_where_the_data_are(log):
    t = np.linspace(0.5, 4, 15)
    curves = t ** np.array([0.5, 1.0, 1.5])[:, None]
    panel = Panel("powers", x=(0.4, 5), y=(0.2, 10), log=log)
    panel.curve(t, curves)
    panel.dots(t[:5], curves[:, :5])
    panel.curve(t, t, colour=None)
    figure = MovingFigure([panel], ["a", "b", "c"], slider="s", title="t", description="d")
    for p in range(3):
        moving, dots, still = drawn(panel, figure, (p,))
        pixel = [(np.log(hi / lo) if name in log else hi - lo) / size
                 for (lo, hi), name, size in ((panel.x, "x", 200), (panel.y, "y", 150))]
        for points, y in ((moving, curves[p]), (dots, curves[p][:5]), (still, t)):
            x = t[:y.size]
            for shown, exact, name, unit in zip(points, (x, y), "xy", pixel):
                error = np.log(shown / exact) if name in log else shown - exact
                assert np.abs(error).max() <= 0.0501 * unit       # rounded to a tenth of a pixel


def test_ellipses_are_the_covariances():
    S = np.array([[[4.0, 1.0], [1.0, 2.0]], [[1.0, -0.5], [-0.5, 3.0]], [[2.0, 0.0], [0.0, 2.0]], [[1.0, 1.0], [1.0, 1.0]]])
    panel = Panel("ellipses", x=(-2.5, 2.5), y=(-2.5, 2.5), equal=True, size=(200, 200))
    panel.ellipse(S)
    data = stored(MovingFigure([panel], list("abcd"), slider="s", title="t", description="d")._html())
    packed = {name: value for _, name, value in data["moves"]}
    for p, exact in enumerate(S):
        rx, ry = (float(unpack(packed[name], (p,), [1])) / panel.scale for name in ("rx", "ry"))
        angle = -np.radians(float(re.search(r"rotate\(([\d.]+) ", unpack(packed["transform"], (p,), [1]))[1]))
        Q = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        np.testing.assert_allclose(Q @ np.diag([rx**2, ry**2]) @ Q.T, exact, atol=2 * 2 * 0.5 / panel.scale + 0.004 * 2)
        assert ry > 0                                              # a flat ellipse is still drawn


def test_bars_and_pictures():
    panel = Panel("bars", x=(0.5, 3.5), y=(0, 2))
    panel.bars(np.array([[0.0, 1.0, 2.0], [2.0, 0.5, 0.0]]))
    data = stored(MovingFigure([panel], ["a", "b"], slider="s", title="t", description="d")._html())
    for p, heights in enumerate(([0.0, 1.0, 2.0], [2.0, 0.5, 0.0])):
        tops = np.array(re.findall(r"V (\d+) H", unpack(data["moves"][0][2], (p,), [1])), dtype=float)
        np.testing.assert_allclose((1550 - tops) / 1500 * 2, heights, atol=1e-3)
    panel = Panel("picture", x=(-0.5, 1.5), y=(-0.5, 0.5), equal=True, xticks=(), yticks=())
    panel.picture(np.array([[[0.0, 1.0]], [[0.25, 0.5]]]))
    data = stored(MovingFigure([panel], ["a", "b"], slider="s", title="t", description="d")._html())
    ink = [[unpack(packed, (p,), [1]) for _, name, packed in data["moves"] if name == "opacity"] for p in (0, 1)]
    assert ink == [["0", "1"], ["0.25", "0.5"]]


def test_the_script_computes_nothing():
    script = (files(interactive) / "figure.js").read_text(encoding="utf-8")
    assert "Math" not in script and "http" not in script and len(script) < 4000


def luminance(colour):
    """Relative luminance of a hexadecimal colour (WCAG)."""
    channels = np.array([int(colour[i:i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def test_colours_are_seen_on_their_ground():
    style = (files(interactive) / "figure.css").read_text(encoding="utf-8")
    themes = [dict(re.findall(r"--(\w+): (#\w{6})", line)) for line in style.splitlines() if "--ground: #" in line]
    assert len(themes) == 2
    for colours in themes:                                     # light, dark
        levels = {name: luminance(colour) + 0.05 for name, colour in colours.items()}
        contrast = {name: max(level, levels["ground"]) / min(level, levels["ground"]) for name, level in levels.items()}
        assert contrast["ink"] > 7 and min(contrast[name] for name in ("c0", "c1", "c2", "c3", "grey")) > 4.5


def test_the_component_refuses_what_does_not_fit():
    panel = Panel("p", x=(0, 1), y=(0, 1))
    panel.dots(np.zeros((3, 1)), np.zeros((3, 1)))
    texts = {"slider": "s", "title": "t", "description": "d"}
    with pytest.raises(ValueError, match="readout must have the shape"):
        MovingFigure([panel], [["a", "b", "c"]], **texts)
    with pytest.raises(ValueError, match="readout must have the shape"):
        MovingFigure([panel], [["a"] * 3] * 2, choices={"c": ["1"]}, **texts)
    with pytest.raises(ValueError, match="'p' has the leading axes"):
        MovingFigure([panel], ["a", "b"], **texts)
    with pytest.raises(ValueError, match="'p' has the leading axes"):
        MovingFigure([panel], [["a"] * 4] * 2, choices={"c": ["1", "2"]}, **texts)
    for bad, log in (((1, 0), ""), ((0, 1), "x"), ((0, 1, 2), "")):
        with pytest.raises(ValueError, match="x must be an increasing pair"):
            Panel("p", x=bad, y=(0, 1), log=log)
    with pytest.raises(ValueError, match="equal=True"):
        panel.ellipse(np.eye(2))


# ---------------------------------------------------------------- every figure: form


@every_figure
def test_the_page_is_accessible_and_self_contained(name):
    figure, page = made(name), page_of(name)
    soup = BeautifulSoup(page, "html.parser")
    ids = [tag["id"] for tag in soup.find_all(id=True)]
    assert len(ids) == len(set(ids))
    for attribute in ("aria-labelledby", "for"):
        for tag in soup.find_all(attrs={attribute: True}):
            value = tag[attribute]
            assert set(value if isinstance(value, list) else value.split()) <= set(ids)
    slider, output, play = soup.find("input", type="range"), soup.find("output"), soup.find("button")
    assert soup.find("label", attrs={"for": slider["id"]}).get_text() == figure.slider
    assert (slider["min"], slider["max"]) == ("0", str(figure.shape[-1] - 1))
    assert play.get_text() == "Play" and play["type"] == "button" and "prefers-reduced-motion" in page
    first, *others = soup.select(".bw-panel > svg")
    assert first.find("title").get_text() == figure.title and len(first.find("desc").get_text()) > 30
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in others)
    assert len(soup.find_all("fieldset")) == len(figure.choices)
    for number_of, (group, options) in zip(soup.find_all("fieldset"), figure.choices.items()):
        assert number_of.find("legend").get_text() == group
        assert [label.get_text() for label in number_of.find_all("label")] == options
        assert len({radio["name"] for radio in number_of.find_all("input")}) == 1 and len(number_of.find_all("input", checked=True)) == 1
    assert soup.select_one(".bw-controls").has_attr("hidden")                       # shown by the script
    assert output.get_text() == slider["aria-valuetext"] == figure.readout[figure.start]   # readable without it
    body = re.sub(r"(?s)<(style|script)>.*?</\1>", "", page)
    assert not re.search(r"http|@ID|undefined|Infinity|nan\b|None", body, re.I)
    for svg in re.findall(r"(?s)^<svg viewBox.*?</svg>$", page, re.M):
        ElementTree.fromstring(svg)


@every_figure
def test_every_position_has_its_text_and_its_drawing(name):
    figure, data = made(name), stored(page_of(name))
    assert data["strides"] == strides(figure.shape)
    places = {int(tag["data-m"]) for tag in BeautifulSoup(page_of(name), "html.parser").select("[data-m]")}
    assert places == {move[0] for move in data["moves"]} == set(range(len(places)))
    assert len(data["paper"]) >= 3
    seen = set()
    for index in np.ndindex(figure.shape):
        assert unpack(data["text"], index, data["strides"]) == figure.readout[index]
        drawing = [unpack(packed, index, data["strides"]) for _, _, packed in data["moves"]]
        assert not any("nan" in text or "inf" in text for text in drawing)
        seen.add((figure.readout[index], *drawing))
    assert len(seen) >= 0.9 * np.prod(figure.shape)                                  # the picture changes


@every_figure
def test_the_page_is_small(name):
    assert len(page_of(name).encode()) < {"kink": 45_000, "aligned": 38_000}.get(name, 28_000)


@every_figure
def test_the_bytes_are_reproducible(name):
    page = page_of(name)
    for last_bit in (1.0, 1 + 2e-16, 1 - 2e-16):
        assert MAKERS[name](last_bit)._html() == page


@every_figure
def test_the_picture_for_print(name):
    bundle = bundle_of(name)
    png = base64.b64decode(bundle["image/png"])
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and b"matplotlib" not in png.lower() and len(png) < 200_000
    assert bundle["text/plain"] == f"{type(made(name)).__name__}: {made(name).title}"
    assert len(made(name).shown) >= 3


def test_text_is_escaped_and_decides_the_id():
    pages = [GeodesicFigure(A, B, title=title, description='say "s" </script>')._html() for title in ("a < b & @ID", "c")]
    assert "a &lt; b &amp; @ID" in pages[0] and "say &quot;s&quot; &lt;/script&gt;" in pages[0]
    assert len({re.search(r'id="(bw\w+)"', page)[1] for page in (*pages, GeodesicFigure(B, A)._html())}) == 3


def test_public_names():
    figures = {name for name, value in vars(interactive).items() if isinstance(value, type) and issubclass(value, MovingFigure)}
    assert figures < set(interactive.__all__) and len(figures) == 10


# ---------------------------------------------------------------- every figure: numbers, by another route


def textbook(S, T):
    """The distance as printed, with SciPy's square roots."""
    R = sqrtm(T)
    return np.sqrt(max(np.trace(S + T - 2 * sqrtm(R @ S @ R)).real, 0.0))


def test_rank_figure():
    figure, centred = made("rank"), DATA - DATA.mean(axis=0)
    U, s, Vt = np.linalg.svd(centred, full_matrices=False)
    for p, k in enumerate(figure.widths):
        fitted = (U[:, :k] * s[:k]) @ Vt[:k]
        error = np.sum((centred - fitted) ** 2, axis=1)
        np.testing.assert_allclose(figure.projections[p], fitted[3] + DATA.mean(axis=0), atol=1e-12)
        kept = 100 * (1 - error.sum() / np.sum(centred**2))
        assert_shows(figure.readout[p], k, error.mean(), kept, np.sqrt(error[3] / 6))
    assert figure.widths == list(range(7))


CASES = [(A, B), (B, A), (A, A), (np.diag([1.0, 0.0]), np.diag([0.0, 1.0])), (np.diag([1e-6, 2e-6]), np.diag([1e6, 1e5])),
         (np.zeros((2, 2)), B), (np.zeros((2, 2)), np.zeros((2, 2)))]


@pytest.mark.parametrize("ends", CASES)
def test_geodesic_figure(ends):
    figure = GeodesicFigure(*ends)
    distance, scale = bw.bures_wasserstein(*ends), max(np.trace(ends[0]), np.trace(ends[1]))
    for s, S in zip(figure.s, figure.path):
        assert abs(bw.bures_wasserstein(ends[0], S) - s * distance) <= 1e-7 * np.sqrt(scale)     # constant speed
        assert abs(bw.bures_wasserstein(S, ends[1]) - (1 - s) * distance) <= 1e-7 * np.sqrt(scale)
    stored(figure._html())


def test_geodesic_figure_shows_the_transport():
    figure, T = made("geodesic"), bw.transport_map(A, B)
    for p, s in enumerate(figure.s):
        step = (1 - s) * np.eye(2) + s * T
        np.testing.assert_allclose(figure.path[p], step @ A @ step, atol=1e-13)
        line = textbook((1 - s) * A + s * B, A) if s > 0 else 0.0
        assert_shows(figure.readout[p], s, textbook(figure.path[p], A) if s > 0 else 0.0, (1 - s) * 3, line)


def test_procrustes_figure():
    figure = made("procrustes")
    squared, least = textbook(W @ W.T, F @ F.T) ** 2, np.inf
    for (reflected, flip), p in product(enumerate((np.eye(2), np.diag([1.0, -1.0]))), range(figure.degrees.size)):
        a = np.radians(figure.degrees[p])
        misfit = np.linalg.norm(W - F @ np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) @ flip) ** 2
        assert_shows(figure.readout[reflected, p], figure.degrees[p], misfit, squared)
        least = min(least, misfit)
    assert abs(least - squared) < 1e-12                       # the best angle is a position of the slider
    z = figure.panels[0].marks[4].data                        # the points turned by O lie on the other ellipse
    y = np.linalg.solve(F, z.reshape(-1, 2, 8))
    np.testing.assert_allclose(np.sum(y**2, axis=1), 1, atol=1e-12)


def test_kink_figure():
    figure, lam, d = made("kink"), np.array([4.0, 1.0]), np.array([1.0, 0.5]) / np.sqrt(1.25)

    def loss(w):
        return w @ w + 5 - 2 * np.sqrt(lam @ w**2)

    for (line, away), (p, t) in product(enumerate((0.0, 0.1, 0.5)), enumerate(figure.t)):
        w = t * d + away * np.array([-d[1], d[0]])
        text = figure.readout[line, p]
        if away == 0 and p == 20:
            sharp = 2 * np.sqrt(lam @ d**2)                   # the slope of a cone
            assert_shows(text, 0, 5, sharp, -sharp)
            assert "a kink" in text
            continue
        x = np.sqrt(lam @ w**2)
        slope = 2 * w @ d - 2 * (lam * w) @ d / x
        bend = 2 - 2 * (lam @ d**2) / x + 2 * ((lam * w) @ d) ** 2 / x**3
        assert_shows(text, t, loss(w), slope, bend, 2)
        assert bend <= 2 + 1e-12
        step = np.linspace(-4, 4, 41)
        above = loss(w) + slope * step + step**2
        assert all(loss(w + s * d) <= bound + 1e-12 for s, bound in zip(step, above))
        curve = figure.panels[1].marks[0].data[line, p]
        np.testing.assert_allclose(curve[1], loss(w) + slope * (curve[0] - t) + (curve[0] - t) ** 2, atol=1e-9)


def test_critical_points_figure():
    figure, lam = made("critical"), np.array([4.0, 2.0, 1.0])
    loss = bw.BuresLoss(np.diag(lam))
    sets = [{0}, {1}, {2}, {0, 1}, {0, 2}, {1, 2}, {0, 1, 2}]
    assert [set(point.indices) for point in figure.points] == sets
    for choice, (point, J) in enumerate(zip(figure.points, sets)):
        J, missing = sorted(J), [j for j in range(3) if j not in J]
        spectrum = np.linalg.eigvalsh(loss.hessian(np.diag(np.sqrt(lam))[:, J]))
        down = [h for h in spectrum if h < -1e-9]
        assert_shows(figure.readout[choice, 0], len(J), sum(lam[missing]), len(down), *down)
        if not missing:
            continue
        i, j = J[-1], missing[0]                              # only the vector in the plane of these two axes moves

        def flow(t, w):
            return 2 * w * (lam[[i, j]] / np.sqrt(lam[[i, j]] @ w**2) - 1)

        run = solve_ivp(flow, (0, 3), [np.sqrt(lam[i]), 0.2], t_eval=figure.t, rtol=1e-11, atol=1e-13).y
        rest = sum(lam) - sum(lam[J]) + lam[i]
        losses = rest + np.sum(run**2, axis=0) - 2 * np.sqrt(lam[[i, j]] @ run**2)
        for p, (t, value) in enumerate(zip(figure.t, losses), start=1):
            assert_shows(figure.readout[choice, p], len(J), t, value)
        assert abs(losses[-1] - (point.value - max(lam[j] - lam[i], 0.0))) < (0.05 if j < i else 0.1)


SPECTRA = [([4.0, 2.0, 1.0, 0.5], 3), ([4.0, 2.0, 1.0, 0.5], 4), ([2.0, 2.0, 0.3], 2), ([3.0, 1.0, 0.0], 3), ([1.0], 1)]


@pytest.mark.parametrize("lam, rank", SPECTRA)
def test_smoothing_figure(lam, rank):
    figure, lam = SmoothingFigure(bw.Covariance.from_spectrum(lam, rng=1), rank), np.array(lam)
    assert set(lam[lam > 0]) <= {round(tau, 12) for tau in figure.taus} and figure.taus.size == 101
    for p in (0, 37, 66, 90, 100):
        tau = figure.taus[p]
        loss = bw.BuresLoss(figure.target, tau)
        minimiser = figure.target.eigenvectors[:, :rank] * np.sqrt(np.maximum(figure.target.eigenvalues[:rank] - tau, 0))
        np.testing.assert_allclose(figure.spectrum(tau), np.maximum(lam[:rank] - tau, 0), atol=1e-13)
        values = loss.value(minimiser), bw.BuresLoss(figure.target).value(minimiser)
        np.testing.assert_allclose(figure.losses(tau), values, atol=1e-12)
        curvatures = figure.curvatures(tau)
        if lam[-1] > 0:                                                   # against the dense Hessian
            dense = np.linalg.eigvalsh(loss.hessian(minimiser))
            r = int(np.sum(lam > tau)) if rank == lam.size else int(np.sum(lam[:rank] > tau))
            np.testing.assert_allclose(curvatures, dense[[r * (r - 1) // 2 + r * (rank - r), -1]], atol=1e-10)
        shown = figure.readout[p].rsplit(" at W = 0", 1)[0]
        assert_shows(shown, tau, np.linalg.matrix_rank(minimiser, tol=1e-7), *values, *curvatures, 2 - 2 * np.sqrt(lam[0] / tau))
        np.testing.assert_allclose(figure.panels[0].marks[1].data[p], np.maximum(lam[:rank] - tau, 0), atol=1e-13)


def test_aligned_flow_figure():
    figure, lam = made("aligned"), np.array([4.0, 2.0, 1.0])
    for (a, depth), (b, tau) in product(enumerate((1, 2, 3)), enumerate((0.0, 0.05))):
        def speed(t, y):                                      # the equation for log s
            s = np.exp(y)
            return -2 * depth * s ** (2 - 2 / depth) * (1 - np.sqrt(lam / (s**2 + tau)))

        run = solve_ivp(speed, (0, figure.t[-1]), np.full(3, np.log(0.01)), method="LSODA", t_eval=figure.t, rtol=1e-11, atol=1e-12)
        for p, s in enumerate(np.exp(run.y.T)):
            learned = np.sum(s > 0.9 * np.sqrt(lam - tau))
            assert_shows(figure.readout[a, b, p], figure.t[p], *s, learned, 3, 10)


def test_descent_figure():
    figure = made("descent")
    lam, root = np.array([2.0, 1.0]), np.diag(np.sqrt([2.0, 1.0]))
    assert figure.step_sizes[0] < figure.certified < figure.limit < figure.step_sizes[-1]
    assert figure.limit == pytest.approx(1 / (3 * 2.0 ** (2 / 3)), rel=1e-12)
    for p, eta in enumerate(figure.step_sizes):
        layers = [np.diag([1.5, 0.8]) ** (1 / 3) * np.eye(2) for _ in range(3)]
        for _ in range(20):                                   # by hand
            product_of = layers[2] @ layers[1] @ layers[0]
            U, _, Vt = np.linalg.svd(root @ product_of)
            G = 2 * (product_of - root @ U @ Vt)
            steps = [(layers[2] @ layers[1]).T @ G, layers[2].T @ G @ layers[0].T, G @ (layers[1] @ layers[0]).T]
            layers = [layer - eta * step for layer, step in zip(layers, steps)]
        end = np.linalg.norm(layers[2] @ layers[1] @ layers[0] - root) ** 2
        text = figure.readout[p]
        verdict = "certified" if eta <= figure.certified else "below the stability limit, not certified"
        if eta > figure.limit:
            assert "(above the stability limit)" in text and text.endswith("not small")
        else:
            assert f"({verdict})" in text
            if end > 1e-12:                                   # its two digits are right by either route
                assert_shows(text, eta, eta / figure.limit, 20, end)
            elif end < 1e-15:
                assert text.endswith("below 1.0·10⁻¹⁴")
    heights = figure.panels[0].marks[0].data[..., 1, :]
    np.testing.assert_allclose(heights[0], figure.losses(figure.step_sizes[0]), rtol=1e-12)
    assert heights.min() >= figure.panels[0].y[0] and heights.max() <= figure.panels[0].y[1]


def test_subspace_figure():
    figure, lam = made("subspace"), np.array([4.0, 3.0, 2.0])
    for k in (1, 2):
        bases = bw.subspace_iteration(np.diag(lam), START[:, :k], 24)
        angles = np.array([subspace_angles(U, np.eye(3)[:, :k])[0] for U in bases])
        bounds = np.degrees(np.arctan(np.tan(angles[0]) * (lam[k] / lam[k - 1]) ** np.arange(25)))
        for t in range(25):
            model = figure.covariances[k - 1, t]
            nu = np.linalg.eigvalsh(model * np.sqrt(np.outer(lam, lam)))[-k:]
            gap = np.trace(model) + lam[:k].sum() - 2 * np.sum(np.sqrt(nu))
            shown = figure.readout[k - 1, t]
            if gap > 1e-9:                                    # the subtraction leaves 1e-14
                assert_shows(shown, t, np.degrees(angles[t]), bounds[t], gap)
            else:
                assert_shows(shown.split("; loss")[0], t, np.degrees(angles[t]), bounds[t])
            if t > 0:                                         # R times the projector times R
                P = bases[t - 1] @ bases[t - 1].T
                np.testing.assert_allclose(model, np.sqrt(np.outer(lam, lam)) * P, atol=1e-12)
        assert np.all(np.tan(angles) <= np.tan(np.radians(bounds)) + 1e-12)


# ---------------------------------------------------------------- bad input


NETWORK, LOSS = bw.balanced_network(np.eye(2), (2, 2, 2)), bw.BuresLoss(np.diag([2.0, 1.0]))
BAD = [
    (lambda: RankFigure(DATA, 60, shape=(2, 3), black=1.0), ValueError, "sample"),
    (lambda: RankFigure(DATA, 0, shape=(2, 2), black=1.0), ValueError, "shape"),
    (lambda: RankFigure(DATA, 0, shape=(2, 3), black=0.0), ValueError, "black"),
    (lambda: RankFigure(DATA, 0, shape=(2, 3), black=1.0, widths=[2, 1]), ValueError, "widths"),
    (lambda: RankFigure(DATA, 0, shape=(2, 3), black=1.0, widths=[0, 7]), ValueError, "widths"),
    (lambda: RankFigure(np.ones((3, 6)), 0, shape=(2, 3), black=1.0), ValueError, "widths"),
    (lambda: GeodesicFigure(np.eye(3), np.eye(2)), ValueError, "A must"),
    (lambda: GeodesicFigure(np.eye(2), np.diag([1.0, -1.0])), ValueError, "B must"),
    (lambda: GeodesicFigure(np.eye(2) * 1j, np.eye(2)), TypeError, "A must"),
    (lambda: ProcrustesFigure(np.eye(3), np.eye(2)), ValueError, "W must"),
    (lambda: ProcrustesFigure(np.eye(2), [[1.0], [2.0]]), ValueError, "A must"),
    (lambda: KinkFigure(np.diag([1.0, 0.0]), [1.0, 0.0]), ValueError, "target"),
    (lambda: KinkFigure(np.eye(2), [0.0, 0.0]), ValueError, "direction"),
    (lambda: KinkFigure(np.eye(2), [1.0, 0.0], distances=[-1.0]), ValueError, "distances"),
    (lambda: CriticalPointsFigure(np.eye(2)), ValueError, "target"),
    (lambda: CriticalPointsFigure(np.eye(3)), ValueError, "target"),
    (lambda: CriticalPointsFigure(np.diag([3.0, 2.0, 1.0]), push=0.0), ValueError, "push"),
    (lambda: SmoothingFigure(np.zeros((2, 2)), 1), ValueError, "target"),
    (lambda: SmoothingFigure(np.eye(2), 3), ValueError, "rank"),
    (lambda: SmoothingFigure(np.eye(2), 1.5), TypeError, "rank"),
    (lambda: AlignedFlowFigure(0.0, [1.0]), ValueError, "s0"),
    (lambda: AlignedFlowFigure(0.1, [1.0, 2.0]), ValueError, "lam"),
    (lambda: AlignedFlowFigure(0.1, [1.0, 0.5], taus=[0.5]), ValueError, "lam"),
    (lambda: AlignedFlowFigure(0.1, [1.0], depths=[]), ValueError, "depths"),
    (lambda: AlignedFlowFigure(0.1, [1.0], times=(0.0, 1.0)), ValueError, "times"),
    (lambda: DescentFigure(np.eye(2), LOSS), TypeError, "network"),
    (lambda: DescentFigure(NETWORK, bw.FrobeniusLoss(np.eye(2))), TypeError, "loss"),
    (lambda: DescentFigure(bw.balanced_network(0.1 * np.eye(2), (2, 2, 2)), LOSS), ValueError, "margin"),
    (lambda: SubspaceFigure(np.diag([2.0, 1.0, 1.0]), START), ValueError, "target"),
    (lambda: SubspaceFigure(np.diag([3.0, 2.0, 1.0]), START.T), ValueError, "W0"),
    (lambda: SubspaceFigure(np.diag([3.0, 2.0, 1.0]), [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), ValueError, "W0"),
    (lambda: SubspaceFigure(np.diag([3.0, 2.0, 1.0]), np.eye(3)[:, :2]), ValueError, "W0"),
]


@pytest.mark.parametrize("make, error, words", BAD)
def test_bad_input_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
