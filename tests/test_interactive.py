"""The slider figures: the right numbers, accessible, self-contained, the same bytes on every machine."""

import base64
import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import bwlib as bw
from bwlib.interactive import DescentFigure, GeodesicFigure, SmoothingFigure

A = np.array([[4.0, 0.0], [0.0, 1.0]])
B = np.array([[1.0, 3.0], [3.0, 13.0]])
CASES = [(A, B), (B, A), (A, A), (np.diag([1.0, 0.0]), np.diag([0.0, 1.0])), (np.diag([1e-6, 2e-6]), np.diag([1e6, 1e5])),
         (np.zeros((2, 2)), B), (np.zeros((2, 2)), np.zeros((2, 2)))]


def html(*args, **options):
    return GeodesicFigure(*args, **options)._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize("ends", CASES)
@pytest.mark.parametrize("s", [0.0, 0.13, 0.5, 0.9, 1.0])
def test_the_parabola_is_the_geodesic(ends, s):
    C0, C1, C2 = GeodesicFigure(*ends).coefficients()
    scale = max(np.trace(ends[0]), np.trace(ends[1]))
    np.testing.assert_allclose(C0 + s * C1 + s**2 * C2, bw.geodesic(*ends, s), rtol=0, atol=1e-14 * scale)


def test_readout_and_script_carry_the_distance():
    page = html(A, B)
    assert "s = 0.50: distance 1.500 from the start, 1.500 from the end" in page
    assert "D = 3.000000" in page
    coefficients = json.loads(re.search(r"C = (\[\[.*?\]\])", page).group(1))
    assert coefficients[0] == [4.0, 0.0, 1.0]
    np.testing.assert_allclose(np.sum(coefficients, axis=0), [1.0, 3.0, 13.0])


def test_drawn_ellipses_are_the_ends():
    svg = ElementTree.fromstring(re.search(r"<svg.*</svg>", html(A, B), re.S).group(0))
    drawn = [e for e in svg.iter("ellipse") if e.get("class") == "end"]
    for element, S in zip(drawn, (A, B)):
        angle = np.radians(float(re.search(r"rotate\((.*)\)", element.get("transform")).group(1)))
        Q = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        axes = np.diag([float(element.get("rx"))**2, float(element.get("ry"))**2])
        np.testing.assert_allclose(Q @ axes @ Q.T, S, atol=2e-3)        # four decimals of axes near 4


@pytest.mark.parametrize("ends", CASES)
def test_accessible_and_self_contained(ends):
    page = html(*ends)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for attribute in ("aria-labelledby", "for"):
        for value in re.findall(rf'\b{attribute}="([^"]+)"', page):
            assert set(value.split()) <= set(ids)
    assert "http" not in page and "@" not in page.replace("@media", "")
    assert "nan" not in page.lower() and "-0.0" not in page.split()
    assert 'type="range"' in page and 'type="button"' in page and "aria-valuetext" in page
    ElementTree.fromstring(re.search(r"<svg.*</svg>", page, re.S).group(0))          # well-formed


def test_text_is_escaped_and_the_bytes_are_reproducible():
    page = html(A, B, title="a < b & @ID", description='say "s"')
    assert "a &lt; b &amp; @ID" in page and "say &quot;s&quot;" in page
    assert html(A, B) == html(A, B)
    assert html(A, B) == html(A * (1 + 1e-15), B)                                      # the last bit does not show
    assert re.search(r'id="(bw\w+)"', html(A, B)).group(1) != re.search(r'id="(bw\w+)"', html(B, A)).group(1)


def test_picture_for_print():
    bundle = GeodesicFigure(A, B, title="Two ellipses")._repr_mimebundle_()
    png = base64.b64decode(bundle["image/png"])
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and b"matplotlib" not in png.lower()
    assert bundle["text/plain"] == "GeodesicFigure: Two ellipses"


@pytest.mark.parametrize("bad, error", [(np.eye(3), ValueError), (np.diag([1.0, -1.0]), ValueError),
                                        (np.array([[1.0, 2.0], [0.0, 1.0]]), ValueError), (np.eye(2) * 1j, TypeError)])
def test_bad_ends_are_refused(bad, error):
    with pytest.raises(error, match="A|matrix"):
        GeodesicFigure(bad, np.eye(2))


SPECTRA = [([4.0, 2.0, 1.0, 0.5], 3), ([4.0, 2.0, 1.0, 0.5], 4), ([2.0, 2.0, 0.3], 2), ([3.0, 1.0, 0.0], 3), ([1.0], 1)]


def smoothing(lam, rank, **options):
    figure = SmoothingFigure(bw.Covariance.from_spectrum(lam, rng=1), rank, **options)
    page = figure._repr_mimebundle_()["text/html"]
    return figure, page, json.loads(re.search(r"const D = (\{.*\}), root", page).group(1))


@pytest.mark.parametrize("lam, rank", SPECTRA)
def test_the_smoothing_figure_shows_what_the_loss_says(lam, rank):
    figure, page, data = smoothing(lam, rank)
    assert len(data["frames"]) == len(figure.taus) == 101
    for p in (0, 37, 66, 100):
        tau, frame = figure.taus[p], data["frames"][p]
        loss = bw.BuresLoss(figure.target, tau)
        W = figure.target.eigenvectors[:, :rank] * np.sqrt(np.maximum(figure.target.eigenvalues[:rank] - tau, 0))
        np.testing.assert_allclose(figure.spectrum(tau), np.maximum(np.array(lam[:rank]) - tau, 0), atol=1e-13)
        np.testing.assert_allclose(figure.losses(tau), [loss.value(W), bw.BuresLoss(figure.target).value(W)], atol=1e-12)
        if lam[-1] > 0:                                                   # against the dense Hessian
            values = np.linalg.eigvalsh(loss.hessian(W))
            r = int(np.sum(np.array(lam[:rank]) > tau))
            orbit = r * (r - 1) // 2 + r * (rank - r)
            np.testing.assert_allclose(figure.curvatures(tau), values[[orbit, -1]], atol=1e-10)
        assert frame["text"].startswith(f"\u03c4 = {tau:.4f}: rank {np.linalg.matrix_rank(W, tol=1e-7)}, loss ")
        unit = 1.05 * figure.taus[-1] / 160                              # read off the picture, to a tenth of a unit
        np.testing.assert_allclose((180 - np.array(frame["bars"])) * unit, figure.spectrum(tau), atol=0.06 * unit)
        np.testing.assert_allclose((180 - frame["noise"]) * unit, tau, atol=0.06 * unit)
        assert all(19.9 <= y <= 180 for y in frame["dots"])


@pytest.mark.parametrize("lam, rank", SPECTRA)
def test_the_smoothing_figure_is_accessible_and_self_contained(lam, rank):
    _, page, data = smoothing(lam, rank)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for attribute in ("aria-labelledby", "for"):
        for value in re.findall(rf'\b{attribute}="([^"]+)"', page):
            assert set(value.split()) <= set(ids)
    assert "http" not in page and "@" not in page and "nan" not in page.lower() and "Infinity" not in page
    assert 'type="range" min="0" max="100" step="1"' in page and 'type="button"' in page
    start = int(re.search(r'value="(\d+)" aria-valuetext="([^"]+)"', page).group(1))
    assert page.count(data["frames"][start]["text"]) >= 2                # readable without script
    panels = re.findall(r"<svg.*?</svg>", page, re.S)
    assert len(panels) == 3
    for svg in panels:
        ElementTree.fromstring(svg)


def test_the_smoothing_figure_is_reproducible_and_has_a_picture():
    target = np.diag([4.0, 2.0, 0.5])
    pages = [SmoothingFigure(A, 2, title="a < b")._repr_mimebundle_() for A in (target, target * (1 + 1e-15))]
    assert pages[0]["text/html"] == pages[1]["text/html"] and "a &lt; b" in pages[0]["text/html"]
    png = base64.b64decode(pages[0]["image/png"])
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and b"matplotlib" not in png.lower()
    assert pages[0]["text/plain"] == "SmoothingFigure: a < b"


@pytest.mark.parametrize("target, rank, error", [(np.zeros((2, 2)), 1, ValueError), (np.eye(2), 3, ValueError),
                                                 (np.eye(2), 0, ValueError), (np.diag([1.0, -1.0]), 1, ValueError), (np.eye(2), 1.5, TypeError)])
def test_bad_smoothing_figures_are_refused(target, rank, error):
    with pytest.raises(error, match="target|rank"):
        SmoothingFigure(target, rank)


STARTS = [(np.diag([1.5, 0.8]), (2, 2, 2, 2), 0.0), (np.diag([1.3, 0.8]), (2, 3, 2), 0.1), (np.array([[1.5]]), (1, 1), 0.0)]


def descent(W, widths, tau, **options):
    target = np.diag([2.0, 1.0])[:len(W), :len(W)]
    figure = DescentFigure(bw.balanced_network(W, widths), bw.BuresLoss(target, tau), **options)
    page = figure._repr_mimebundle_()["text/html"]
    return figure, page, json.loads(re.search(r"const D = (\[.*\]), root", page).group(1))


@pytest.mark.parametrize("W, widths, tau", STARTS)
def test_the_descent_figure_shows_runs_of_gradient_descent(W, widths, tau):
    figure, page, frames = descent(W, widths, tau, steps=12)
    assert len(frames) == len(figure.step_sizes) == 61
    assert figure.step_sizes[0] < figure.certified < figure.limit < figure.step_sizes[-1]
    start = figure.loss.value(W)
    high = 10.0 ** np.ceil(np.log10(10 * start))
    for p in (0, 20, 40):
        run = bw.gradient_descent(figure.network, figure.loss, figure.step_sizes[p], max_steps=12, tol=0)
        heights = np.array([float(point.split(",")[1]) for point in frames[p]["run"].split()])
        drawn = high * 10 ** (-14 * (heights - 20) / 160)
        clear = run.loss > 1e-12
        np.testing.assert_allclose(np.log10(drawn[:run.loss.size][clear]), np.log10(run.loss[clear]), atol=0.01)
        assert heights[-1] == frames[p]["y"]
    words = [frame["text"] for frame in frames]
    assert "(certified)" in words[0] and "above the stability limit" in words[-1] and "not certified" in words[45]
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids)) and "http" not in page and "@" not in page and "Infinity" not in page
    assert "nan" not in page.lower()
    for svg in re.findall(r"<svg.*?</svg>", page, re.S):
        ElementTree.fromstring(svg)


def test_the_descent_figure_has_a_picture_and_refuses_what_it_cannot_certify():
    figure, _, _ = descent(*STARTS[0])
    bundle = figure._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"])[:8] == b"\x89PNG\r\n\x1a\n"
    assert bundle["text/plain"] == "DescentFigure: What the step size does to gradient descent"
    network, loss = bw.balanced_network(np.eye(2), (2, 2, 2)), bw.BuresLoss(np.diag([2.0, 1.0]))
    for bad, error, words in [((np.eye(2), loss), TypeError, "network"), ((network, bw.FrobeniusLoss(np.eye(2))), TypeError, "loss")]:
        with pytest.raises(error, match=words):
            DescentFigure(*bad)
    with pytest.raises(ValueError, match="margin"):
        DescentFigure(bw.balanced_network(0.1 * np.eye(2), (2, 2, 2)), bw.BuresLoss(np.eye(2)))
