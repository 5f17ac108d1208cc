"""A figure that moves without a kernel: inline SVG and a few lines of script, no library and no network."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import math

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from . import plotting
from .covariance import Covariance, as_covariance
from .distance import bures_wasserstein, geodesic

_TEMPLATE = """\
<div class="bw-fig bw-geodesic" id="@ID" role="group" aria-labelledby="@ID-title">
<style>
#@ID { --moving: #0072B2; --ends: #B34700; --line: #00734F; --ground: #ffffff; --ink: #1d2530; }
html[data-theme="dark"] #@ID, [data-jp-theme-light="false"] #@ID { --moving: #56B4E9; --ends: #FF9E5E; --line: #3DD6A8; --ground: #14181e; --ink: #e8ecf1; }
#@ID { max-width: 34rem; margin: 0 auto; padding: .75rem; border-radius: .4rem; background: var(--ground); color: var(--ink); font: inherit; text-align: left; }
#@ID svg { width: 100%; max-height: 28rem; display: block; }
#@ID ellipse { vector-effect: non-scaling-stroke; fill: none; }
#@ID .end { stroke: var(--ends); stroke-width: 2px; stroke-dasharray: 7 4; }
#@ID .line { stroke: var(--line); stroke-width: 2px; stroke-dasharray: 2 3; }
#@ID .moving { stroke: var(--moving); stroke-width: 3px; fill: var(--moving); fill-opacity: .22; }
#@ID .axis { stroke: currentColor; stroke-opacity: .3; vector-effect: non-scaling-stroke; }
#@ID .bw-row, #@ID .bw-legend { display: flex; gap: .75rem; align-items: center; flex-wrap: wrap; margin-top: .5rem; }
#@ID input[type=range] { flex: 1 1 12rem; min-height: 1.75rem; accent-color: var(--moving); }
#@ID button { min-width: 5rem; min-height: 2rem; color: inherit; background: transparent; border: 1px solid currentColor; border-radius: .3rem; font: inherit; cursor: pointer; }
#@ID input:focus-visible, #@ID button:focus-visible { outline: 3px solid var(--moving); outline-offset: 2px; }
#@ID .key { display: inline-block; width: 1.8rem; height: 0; vertical-align: middle; margin-right: .3rem; border-top: 3px solid var(--moving); }
#@ID .key.k-end { border-top: 2px dashed var(--ends); }
#@ID .key.k-line { border-top: 3px dotted var(--line); }
</style>
<svg viewBox="@VIEW" role="img" aria-labelledby="@ID-title @ID-desc">
<title id="@ID-title">@TITLE</title>
<desc id="@ID-desc">@DESC</desc>
<g transform="scale(1,-1)">
<line class="axis" x1="-@X" x2="@X" y1="0" y2="0"/><line class="axis" y1="-@Y" y2="@Y" x1="0" x2="0"/>
<ellipse class="end" @START/><ellipse class="end" @END/>
<ellipse class="moving" @MIDDLE/><ellipse class="line" @CHORD/>
</g></svg>
<div class="bw-legend"><span><span class="key"></span>geodesic</span><span><span class="key k-line"></span>straight line of matrices</span><span><span class="key k-end"></span>ends</span></div>
<div class="bw-row">
<label for="@ID-s">time s</label>
<input id="@ID-s" type="range" min="0" max="1" step="0.01" value="0.5" aria-valuetext="@READOUT">
<button type="button">Play</button>
</div>
<div class="bw-row"><output for="@ID-s" aria-live="off">@READOUT</output></div>
<script>
(function () {
  const C = @COEFFS, D = @DIST, root = document.currentScript ? document.currentScript.parentElement : document.getElementById("@ID");
  const input = root.querySelector("input"), out = root.querySelector("output"), play = root.querySelector("button");
  const moving = root.querySelector(".moving"), chord = root.querySelector("ellipse.line");
  function shape(ellipse, S) {
    const h = (S[0] + S[2]) / 2, d = Math.hypot((S[0] - S[2]) / 2, S[1]);
    const angle = 90 / Math.PI * Math.atan2(2 * S[1], S[0] - S[2]);
    ellipse.setAttribute("rx", Math.sqrt(h + d)); ellipse.setAttribute("ry", Math.sqrt(Math.max(h - d, 0)));
    ellipse.setAttribute("transform", "rotate(" + angle + ")");
  }
  function draw() {
    const s = +input.value, k = [0, 1, 2];
    shape(moving, k.map(i => C[0][i] + s * (C[1][i] + s * C[2][i])));
    shape(chord, k.map(i => C[0][i] + s * (C[1][i] + C[2][i])));
    out.textContent = "s = " + s.toFixed(2) + ": distance " + (s * D).toFixed(3) + " from the start, " + ((1 - s) * D).toFixed(3) + " from the end";
    input.setAttribute("aria-valuetext", out.textContent);
  }
  let timer = null;
  function stop() { clearInterval(timer); timer = null; play.textContent = "Play"; }
  play.addEventListener("click", function () {
    if (timer) { stop(); return; }
    if (+input.value >= 1) input.value = 0;
    play.textContent = "Pause";
    timer = setInterval(function () { input.value = Math.min(1, +input.value + 0.01); draw(); if (+input.value >= 1) stop(); }, 40);
  });
  input.addEventListener("input", function () { if (timer) stop(); draw(); });
  draw();
})();
</script>
</div>
"""


class GeodesicFigure:
    r"""A slider that moves a covariance ellipse along the Wasserstein geodesic, for the static pages of the book.

    In a page or notebook it shows as HTML: the ends (dashed), the geodesic :math:`\Sigma(s)` (filled) and the straight
    line of matrices :math:`(1-s)\Sigma+s\Sigma_0` (dotted), with a native slider and a Play button; works with
    the keyboard, in dark mode, and without script (then at :math:`s=1/2`).  In print it shows five positions.

    Parameters
    ----------
    A, B : Covariance or array, shape (2, 2)
        The ends; singular ends are allowed.
    title : str
        Read by screen readers as the name of the figure.
    description : str
        What is seen; read by screen readers.

    Raises
    ------
    ValueError
        If an end is not a 2 × 2 covariance matrix.

    Examples
    --------
    >>> figure = GeodesicFigure([[1.0, 0.0], [0.0, 4.0]], [[4.0, 0.0], [0.0, 1.0]])
    >>> figure
    GeodesicFigure: Geodesic between two covariance ellipses

    Notes
    -----
    Book: "Geodesics".
    """

    def __init__(self, A: Covariance | ArrayLike, B: Covariance | ArrayLike, *,
                 title: str = "Geodesic between two covariance ellipses",
                 description: str = "An ellipse moves from one dashed ellipse to another as s grows from 0 to 1.") -> None:
        self.A, self.B = as_covariance(A, "A").matrix, as_covariance(B, "B").matrix
        for name, end in (("A", self.A), ("B", self.B)):
            if end.shape != (2, 2):
                raise ValueError(f"{name} must be a 2 x 2 covariance matrix, got shape {end.shape}")
        self.title, self.description = title, description

    def coefficients(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        r"""Matrices with :math:`\Sigma(s)=C_0+sC_1+s^2C_2`: a geodesic is a parabola in the space of matrices."""
        middle = geodesic(self.A, self.B, 0.5)
        return self.A, 4 * middle - 3 * self.A - self.B, 2 * (self.A + self.B) - 4 * middle

    def __repr__(self) -> str:
        return f"GeodesicFigure: {self.title}"

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {"text/html": self._html(), "image/png": base64.b64encode(self._png()).decode(), "text/plain": repr(self)}

    def _html(self) -> str:
        middle, distance = geodesic(self.A, self.B, 0.5), bures_wasserstein(self.A, self.B)
        x, y = (1.08 * max(math.sqrt(max(end[i, i], 0.0)) for end in (self.A, self.B)) or 1.0 for i in range(2))
        coefficients = [[_number(C[i, j], 6) for i, j in ((0, 0), (0, 1), (1, 1))] for C in self.coefficients()]
        texts = html.escape(self.title), html.escape(self.description)
        key = "bw" + hashlib.sha256(json.dumps([coefficients, texts]).encode()).hexdigest()[:8]
        fields = {
            "ID": key, "TITLE": texts[0], "DESC": texts[1], "X": f"{x:.3f}", "Y": f"{y:.3f}",
            "VIEW": f"{-x:.3f} {-y:.3f} {2 * x:.3f} {2 * y:.3f}",
            "START": _ellipse(self.A), "END": _ellipse(self.B), "MIDDLE": _ellipse(middle),
            "CHORD": _ellipse((self.A + self.B) / 2), "COEFFS": json.dumps(coefficients), "DIST": f"{distance:.6f}",
            "READOUT": f"s = 0.50: distance {distance / 2:.3f} from the start, {distance / 2:.3f} from the end",
        }
        page = _TEMPLATE
        for name in sorted(set(fields) - {"TITLE", "DESC"}, key=len, reverse=True):
            page = page.replace("@" + name, fields[name])
        return page.replace("@TITLE", fields["TITLE"]).replace("@DESC", fields["DESC"])

    def _png(self) -> bytes:
        canvas = FigureCanvasAgg(Figure(figsize=(4.6, 4.6), layout="constrained", facecolor="white"))
        ax = plotting.style(canvas.figure.add_subplot())
        for i, s in enumerate((0.0, 0.25, 0.5, 0.75, 1.0)):
            root = Covariance(geodesic(self.A, self.B, s)).root
            plotting.ellipse(root, colour=i, line=plotting.LINES[i], label=f"$s={s:g}$", ax=ax)
        buffer = io.BytesIO()
        canvas.figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
        return buffer.getvalue()


def _ellipse(S: np.ndarray) -> str:
    """The half axes and the angle of the one-sigma ellipse, as SVG attributes."""
    half, radius = (S[0, 0] + S[1, 1]) / 2, math.hypot((S[0, 0] - S[1, 1]) / 2, S[0, 1])
    angle = 0.5 * math.degrees(math.atan2(2 * S[0, 1], S[0, 0] - S[1, 1]))
    long, short = math.sqrt(half + radius), math.sqrt(max(half - radius, 0.0))
    return f'rx="{_number(long, 4)}" ry="{_number(short, 4)}" transform="rotate({_number(angle, 3)})"'


def _number(value: float, digits: int) -> float:
    """Rounded, so that the last bits of other machines do not show; never minus zero."""
    return round(float(value), digits) + 0.0
