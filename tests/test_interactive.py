"""The slider figure: the right ellipses, accessible, self-contained, the same bytes on every machine."""

import base64
import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import bwlib as bw
from bwlib.interactive import GeodesicFigure

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
