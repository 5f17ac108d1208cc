"""Figures that move without a kernel: inline SVG and a few lines of script, no library and no network."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import math
from collections.abc import Mapping

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from . import _validate as check
from . import plotting
from .covariance import Covariance, as_covariance
from .distance import bures_wasserstein, geodesic
from .descent import gradient_descent
from .landscape import best_low_rank, bures_hessian_spectrum
from .losses import BuresLoss
from .networks import DeepLinearNetwork
from .theory import certified_step_size, stability_limit
from .trajectory import Status

_PAGE = """\
<div class="bw-fig bw-@KIND" id="@ID" role="group" aria-labelledby="@ID-title">
<style>
#@ID { --moving: #0072B2; --ends: #B34700; --line: #00734F; --ground: #ffffff; --ink: #1d2530; }
html[data-theme="dark"] #@ID, [data-jp-theme-light="false"] #@ID { --moving: #56B4E9; --ends: #FF9E5E; --line: #3DD6A8; --ground: #14181e; --ink: #e8ecf1; }
#@ID { max-width: @WIDTHrem; margin: 0 auto; padding: .75rem; border-radius: .4rem; background: var(--ground); color: var(--ink); font: inherit; text-align: left; }
#@ID svg { width: 100%; max-height: 28rem; display: block; }
@MARKS
#@ID .axis { stroke: currentColor; stroke-opacity: .3; vector-effect: non-scaling-stroke; }
#@ID .bw-row, #@ID .bw-legend { display: flex; gap: .75rem; align-items: center; flex-wrap: wrap; margin-top: .5rem; }
#@ID input[type=range] { flex: 1 1 12rem; min-height: 1.75rem; accent-color: var(--moving); }
#@ID button { min-width: 5rem; min-height: 2rem; color: inherit; background: transparent; border: 1px solid currentColor; border-radius: .3rem; font: inherit; cursor: pointer; }
#@ID input:focus-visible, #@ID button:focus-visible { outline: 3px solid var(--moving); outline-offset: 2px; }
#@ID .key { display: inline-block; width: 1.8rem; height: 0; vertical-align: middle; margin-right: .3rem; border-top: 3px solid var(--moving); }
#@ID .key.k-end { border-top: 2px dashed var(--ends); }
#@ID .key.k-line { border-top: 3px dotted var(--line); }
</style>
@DRAWING
<div class="bw-legend">@LEGEND</div>
<div class="bw-row">
<label for="@ID-s">@LABEL</label>
<input id="@ID-s" type="range" min="0" max="@MAX" step="@STEP" value="@START" aria-valuetext="@READOUT">
<button type="button">Play</button>
</div>
<div class="bw-row"><output for="@ID-s" aria-live="off">@READOUT</output></div>
<script>
(function () {
  const @DATA, root = document.currentScript ? document.currentScript.parentElement : document.getElementById("@ID");
  const input = root.querySelector("input"), out = root.querySelector("output"), play = root.querySelector("button");
@DRAW
    input.setAttribute("aria-valuetext", out.textContent);
  }
  let timer = null;
  function stop() { clearInterval(timer); timer = null; play.textContent = "Play"; }
  play.addEventListener("click", function () {
    if (timer) { stop(); return; }
    if (+input.value >= @MAX) input.value = 0;
    play.textContent = "Pause";
    timer = setInterval(function () { input.value = Math.min(@MAX, +input.value + @STEP); draw(); if (+input.value >= @MAX) stop(); }, @PAUSE);
  });
  input.addEventListener("input", function () { if (timer) stop(); draw(); });
  draw();
})();
</script>
</div>
"""


class _SliderFigure:
    """What the figures share: the frame of the page with slider, button and readout, and the forms for a notebook."""

    title: str
    description: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.title}"

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {"text/html": self._html(), "image/png": base64.b64encode(self._png()).decode(), "text/plain": repr(self)}

    def _page(self, data: object, **fields: str) -> str:
        """The frame with ``fields`` in their places; ``data`` and the texts decide the id."""
        texts = html.escape(self.title), html.escape(self.description)
        key = "bw" + hashlib.sha256(json.dumps([data, texts]).encode()).hexdigest()[:8]
        page = _fill(_PAGE, fields)
        return _fill(_fill(page, {"ID": key}), {"TITLE": texts[0], "DESC": texts[1]})

    def _html(self) -> str:
        raise NotImplementedError

    def _png(self) -> bytes:
        raise NotImplementedError


def _fill(page: str, fields: Mapping[str, str]) -> str:
    """Replace each @NAME, longer names first, so that none is cut by a shorter one."""
    for name in sorted(fields, key=len, reverse=True):
        page = page.replace("@" + name, fields[name])
    return page


def _picture(canvas: FigureCanvasAgg) -> bytes:
    buffer = io.BytesIO()
    canvas.figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    return buffer.getvalue()


_GEODESIC_MARKS = """\
#@ID ellipse { vector-effect: non-scaling-stroke; fill: none; }
#@ID .end { stroke: var(--ends); stroke-width: 2px; stroke-dasharray: 7 4; }
#@ID .line { stroke: var(--line); stroke-width: 2px; stroke-dasharray: 2 3; }
#@ID .moving { stroke: var(--moving); stroke-width: 3px; fill: var(--moving); fill-opacity: .22; }"""

_GEODESIC_DRAWING = """\
<svg viewBox="@VIEW" role="img" aria-labelledby="@ID-title @ID-desc">
<title id="@ID-title">@TITLE</title>
<desc id="@ID-desc">@DESC</desc>
<g transform="scale(1,-1)">
<line class="axis" x1="-@X" x2="@X" y1="0" y2="0"/><line class="axis" y1="-@Y" y2="@Y" x1="0" x2="0"/>
<ellipse class="end" @FROM/><ellipse class="end" @TO/>
<ellipse class="moving" @MIDDLE/><ellipse class="line" @CHORD/>
</g></svg>"""

_GEODESIC_LEGEND = ('<span><span class="key"></span>geodesic</span><span><span class="key k-line"></span>straight line of '
                    'matrices</span><span><span class="key k-end"></span>ends</span>')

_GEODESIC_DRAW = """\
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
    out.textContent = "s = " + s.toFixed(2) + ": distance " + (s * D).toFixed(3) + " from the start, " + ((1 - s) * D).toFixed(3) + " from the end";"""


class GeodesicFigure(_SliderFigure):
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

    def _html(self) -> str:
        middle, distance = geodesic(self.A, self.B, 0.5), bures_wasserstein(self.A, self.B)
        x, y = (1.08 * max(math.sqrt(max(end[i, i], 0.0)) for end in (self.A, self.B)) or 1.0 for i in range(2))
        coefficients = [[_number(C[i, j], 6) for i, j in ((0, 0), (0, 1), (1, 1))] for C in self.coefficients()]
        drawing = _fill(_GEODESIC_DRAWING, {
            "X": f"{x:.3f}", "Y": f"{y:.3f}", "VIEW": f"{-x:.3f} {-y:.3f} {2 * x:.3f} {2 * y:.3f}",
            "FROM": _ellipse(self.A), "TO": _ellipse(self.B), "MIDDLE": _ellipse(middle), "CHORD": _ellipse((self.A + self.B) / 2),
        })
        return self._page(
            coefficients, KIND="geodesic", WIDTH="34", MARKS=_GEODESIC_MARKS, DRAWING=drawing, LEGEND=_GEODESIC_LEGEND,
            LABEL="time s", MAX="1", STEP="0.01", START="0.5", PAUSE="40",
            READOUT=f"s = 0.50: distance {distance / 2:.3f} from the start, {distance / 2:.3f} from the end",
            DATA=f"C = {json.dumps(coefficients)}, D = {distance:.6f}", DRAW=_GEODESIC_DRAW)

    def _png(self) -> bytes:
        canvas = FigureCanvasAgg(Figure(figsize=(4.6, 4.6), layout="constrained", facecolor="white"))
        ax = plotting.style(canvas.figure.add_subplot())
        for i, s in enumerate((0.0, 0.25, 0.5, 0.75, 1.0)):
            root = Covariance(geodesic(self.A, self.B, s)).root
            plotting.ellipse(root, colour=i, line=plotting.LINES[i], label=f"$s={s:g}$", ax=ax)
        return _picture(canvas)


_SMOOTHING_MARKS = """\
#@ID .panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(16rem, 100%), 1fr)); gap: .5rem; }
#@ID svg text { fill: currentColor; font-size: 13px; }
#@ID .target { fill: none; stroke: var(--ends); stroke-width: 2px; stroke-dasharray: 7 4; }
#@ID .bar { fill: var(--moving); }
#@ID .noise, #@ID .now { stroke: currentColor; stroke-width: 1.5px; }
#@ID .noise { stroke-dasharray: 4 3; }
#@ID .first { fill: none; stroke: var(--moving); stroke-width: 3px; }
#@ID .second { fill: none; stroke: var(--line); stroke-width: 3px; stroke-dasharray: 2 3; }
#@ID circle.on1 { fill: var(--moving); } #@ID circle.on2 { fill: var(--line); }"""

_SMOOTHING_LEGEND = ('<span><span class="key k-end"></span>target</span><span><span class="key"></span>minimiser; loss with noise; '
                     'smallest curvature</span><span><span class="key k-line"></span>loss without noise; largest curvature</span>')

_SMOOTHING_DRAW = """\
  const all = s => [...root.querySelectorAll(s)], bars = all(".bar"), noise = root.querySelector(".noise");
  const now = all(".now"), dots = all("circle");
  function put(element, values) { for (const name in values) element.setAttribute(name, values[name]); }
  function draw() {
    const p = +input.value, F = D.frames[p];
    bars.forEach((bar, i) => put(bar, { y: F.bars[i], height: (D.floor - F.bars[i]).toFixed(1) }));
    put(noise, { y1: F.noise, y2: F.noise });
    now.forEach(line => put(line, { x1: F.x, x2: F.x }));
    dots.forEach((dot, i) => put(dot, { cx: F.x, cy: F.dots[i] }));
    out.textContent = F.text;"""

_BOX = (40.0, 20.0, 270.0, 180.0)           # left, top, right, bottom of the axes in a panel of 280 x 215


class SmoothingFigure(_SliderFigure):
    r"""A slider for the smoothing :math:`\tau`: the minimiser, its loss and its curvature, for the static pages of the book.

    Three panels.  The spectrum of the minimiser of :math:`L_\tau` over the :math:`n\times k` matrices (bars) inside the
    :math:`k` largest eigenvalues of the target (dashed outlines), with the level :math:`\tau`; the least value of
    :math:`L_\tau` and the loss :math:`L` of the same minimiser when the noise is left out, against :math:`\tau`; the
    largest Hessian eigenvalue at the minimiser and the smallest one across its orbit
    :math:`\{WO:O\text{ orthogonal}\}`, along which the loss is constant.

    All numbers are computed in Python on a grid of :math:`\tau`, logarithmic, from a fiftieth of the smallest positive
    eigenvalue to five fourths of the largest; the script looks them up.

    Parameters
    ----------
    target : Covariance or array, shape (n, n)
        At least one positive eigenvalue.
    rank : int
        :math:`k`, the number of columns of :math:`W`, 1 to n.
    title : str
        Read by screen readers as the name of the figure.
    description : str
        What is seen; read by screen readers.

    Raises
    ------
    TypeError, ValueError
        If the target is not a covariance matrix or is zero, or the rank is out of range.

    Examples
    --------
    >>> figure = SmoothingFigure([[4.0, 0.0], [0.0, 1.0]], 2)
    >>> figure
    SmoothingFigure: What the smoothing does to the minimiser
    >>> figure.taus.shape
    (101,)

    Notes
    -----
    Book: "Choosing the smoothing".
    """

    def __init__(self, target: Covariance | ArrayLike, rank: int, *, title: str = "What the smoothing does to the minimiser",
                 description: str = "Bars for the spectrum of the minimiser shrink as tau grows, and vanish one by one.") -> None:
        self.target = as_covariance(target, "target", stacks=False)
        self.rank = check.integer(rank, "rank", 1, self.target.dim)
        positive = self.target.eigenvalues[self.target.eigenvalues > 0]
        if not positive.size:
            raise ValueError("target must have a positive eigenvalue, got the zero matrix")
        self.taus = np.geomspace(positive[-1] / 50, 1.25 * positive[0], 101)
        for value in positive:  # where a bar vanishes, the curves have a corner: show it
            self.taus[np.argmin(np.abs(np.log(self.taus / value)))] = value
        self.title, self.description = title, description

    def spectrum(self, tau: float) -> np.ndarray:
        r"""The :math:`k` largest eigenvalues of the minimiser :math:`WW^\top`, :math:`(\lambda_i-\tau)_+`."""
        return np.linalg.eigvalsh(best_low_rank(self.target, self.rank, tau=tau))[::-1][:self.rank]

    def losses(self, tau: float) -> tuple[float, float]:
        r"""The least value of :math:`L_\tau`, and the loss :math:`L` of its minimiser without the noise."""
        minimiser = best_low_rank(self.target, self.rank, tau=tau)
        return (BuresLoss(self.target, tau).minimum(self.rank), bures_wasserstein(minimiser, self.target, squared=True))

    def curvatures(self, tau: float) -> tuple[float, float]:
        """The smallest Hessian eigenvalue at the minimiser, not counting the zeros of its orbit, and the largest."""
        r = int(np.sum(self.target.eigenvalues[:self.rank] > tau))
        values = bures_hessian_spectrum(self.target, range(r), self.rank, tau=tau)[::-1]
        across = values[r * (r - 1) // 2 + r * (self.rank - r):]
        return float(across[0]), float(across[-1])

    def _html(self) -> str:
        left, top, right, bottom = _BOX
        lam, taus = self.target.eigenvalues[:self.rank], self.taus
        x = left + (right - left) * np.log(taus / taus[0]) / np.log(taus[-1] / taus[0])
        tables = [np.array([f(tau) for tau in taus]).T for f in (self.losses, self.curvatures)]
        heights = [1.05 * max(table.max(), 1e-300) for table in tables]
        curves = [bottom - (bottom - top) * table / height for table, height in zip(tables, heights)]
        scale = (bottom - top) / (1.05 * taus[-1])
        frames = []
        for p, tau in enumerate(taus):
            spectrum, (with_noise, without), (least, largest) = self.spectrum(tau), self.losses(tau), self.curvatures(tau)
            rank = int(np.sum(self.target.eigenvalues[:self.rank] > tau))
            frames.append({
                "x": _number(x[p], 1), "noise": _number(bottom - scale * tau, 1),
                "bars": [_number(bottom - scale * value, 1) for value in spectrum],
                "dots": [_number(curve[p], 1) for pair in curves for curve in pair],
                "text": f"\u03c4 = {tau:.4f}: rank {rank}, loss {_fixed(with_noise)} with noise, {_fixed(without)} without; "
                        f"Hessian eigenvalues from {_fixed(least)} to {_fixed(largest)} at the minimiser, "
                        f"{_fixed(2 - 2 * math.sqrt(lam[0] / tau))} at W = 0",
            })
        start = int(np.argmin(abs(taus - 0.6 * lam[-1]))) if lam[-1] > 0 else taus.size // 2
        drawing = "".join(['<div class="panels">\n', self._bars(frames[start], lam, scale),
                           *(_chart(frames[start], pair, height, name, offset, x, taus) for offset, (pair, height, name) in
                             enumerate(zip(curves, heights, ("loss of the minimiser", "curvature at the minimiser")))), "</div>"])
        data = {"floor": bottom, "frames": frames}
        return self._page(
            data, KIND="smoothing", WIDTH="60", MARKS=_SMOOTHING_MARKS, DRAWING=drawing, LEGEND=_SMOOTHING_LEGEND,
            LABEL="smoothing \u03c4", MAX=str(taus.size - 1), STEP="1", START=str(start), PAUSE="80",
            READOUT=frames[start]["text"], DATA=f"D = {json.dumps(data)}", DRAW=_SMOOTHING_DRAW)

    def _bars(self, frame: dict, lam: np.ndarray, scale: float) -> str:
        left, top, right, bottom = _BOX
        slot = (right - left) / lam.size
        parts = [f'<rect class="{name}" x="{left + (i + 0.15) * slot:.1f}" width="{0.7 * slot:.1f}" y="{y:.1f}" '
                 f'height="{bottom - y:.1f}"/>'
                 for name, tops in (("bar", frame["bars"]), ("target", bottom - scale * lam)) for i, y in enumerate(tops)]
        level = frame["noise"]
        return _panel("spectrum of the minimiser", "eigenvalues, the largest on the left", self.taus[-1] * 1.05,
                      f'{"".join(parts)}<line class="noise" x1="{left}" x2="{right}" y1="{level}" y2="{level}"/>', head=True)

    def _png(self) -> bytes:
        canvas = FigureCanvasAgg(Figure(figsize=(11, 3.4), layout="constrained", facecolor="white"))
        axes = [plotting.style(ax) for ax in canvas.figure.subplots(1, 3)]
        lam, taus = self.target.eigenvalues[:self.rank], self.taus
        shown = {"target": lam}
        for tau in taus[[30, 60, 80]]:
            shown[f"minimiser, $\\tau={tau:.3g}$"] = np.maximum(lam - tau, 0.0)
        plotting.spectra(shown, ax=axes[0]).set_xticks(range(1, lam.size + 1))
        (with_noise, without), (least, largest) = (np.array([f(tau) for tau in taus]).T for f in (self.losses, self.curvatures))
        plotting.curves(taus, {"with noise": with_noise, "without noise": without}, xlabel=r"$\tau$", ylabel="loss of the minimiser",
                        log="x", ax=axes[1])
        plotting.curves(taus, {"smallest": least, "largest": largest}, xlabel=r"$\tau$", ylabel="curvature at the minimiser",
                        log="x", ax=axes[2])
        return _picture(canvas)


_DESCENT_MARKS = """\
#@ID .panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(18rem, 100%), 1fr)); gap: .5rem; }
#@ID svg text { fill: currentColor; font-size: 13px; }
#@ID .now { stroke: currentColor; stroke-width: 1.5px; }
#@ID .run, #@ID .all { fill: none; stroke: var(--moving); stroke-width: 3px; }
#@ID .certified { stroke: var(--line); stroke-width: 3px; stroke-dasharray: 2 3; }
#@ID .limit { stroke: var(--ends); stroke-width: 2px; stroke-dasharray: 7 4; }
#@ID circle { fill: var(--moving); }"""

_DESCENT_LEGEND = ('<span><span class="key"></span>loss</span><span><span class="key k-line"></span>certified step</span>'
                   '<span><span class="key k-end"></span>stability limit</span>')

_DESCENT_DRAW = """\
  const run = root.querySelector(".run"), now = root.querySelector(".now"), dot = root.querySelector("circle");
  function draw() {
    const F = D[+input.value];
    run.setAttribute("points", F.run);
    now.setAttribute("x1", F.x); now.setAttribute("x2", F.x);
    dot.setAttribute("cx", F.x); dot.setAttribute("cy", F.y);
    out.textContent = F.text;"""


class DescentFigure(_SliderFigure):
    r"""A slider for the step size :math:`\eta` of gradient descent, for the static pages of the book.

    Two panels on logarithmic axes: the loss along the run with the present step size, and the loss at the end of the run
    against the step size, with the certified step and the stability limit marked.  Runs are computed in Python for 61 step
    sizes from half the certified one to five fourths of the limit; the script looks them up.

    Parameters
    ----------
    network : DeepLinearNetwork
        The start: balanced, with a deficiency margin.
    loss : BuresLoss
    steps : int
        Length of each run.
    title : str
        Read by screen readers as the name of the figure.
    description : str
        What is seen; read by screen readers.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its domain, or the start has no certified step size.

    Examples
    --------
    >>> from bwlib import BuresLoss, balanced_network
    >>> figure = DescentFigure(balanced_network([[1.5]], (1, 1, 1)), BuresLoss([[4.0]]))
    >>> figure
    DescentFigure: What the step size does to gradient descent
    >>> figure.certified < figure.limit
    True

    Notes
    -----
    Book: chapter "Gradient descent".
    """

    def __init__(self, network: DeepLinearNetwork, loss: BuresLoss, *, steps: int = 40,
                 title: str = "What the step size does to gradient descent",
                 description: str = "The loss along a run, and the loss at its end against the step size.") -> None:
        for name, value, kind in (("network", network, DeepLinearNetwork), ("loss", loss, BuresLoss)):
            if not isinstance(value, kind):
                raise TypeError(f"{name} must be a {kind.__name__}, got {type(value).__name__}")
        self.network, self.loss, self.steps = network, loss, check.integer(steps, "steps", 1)
        self.certified = certified_step_size(network, loss.target, tau=loss.tau)
        self.limit = stability_limit(loss.target, network.depth, tau=loss.tau)
        self.step_sizes = np.geomspace(self.certified / 2, 1.25 * self.limit, 61)
        self.title, self.description = title, description

    def losses(self, step_size: float) -> np.ndarray:
        """The loss of each iterate, shape (steps + 1,); constant after an exact arrival, infinite after a divergence."""
        run = gradient_descent(self.network, self.loss, step_size, max_steps=self.steps, tol=0.0)
        rest = run.loss[-1] if run.status is Status.CONVERGED else np.inf
        return np.pad(run.loss, (0, self.steps + 1 - run.loss.size), constant_values=rest)

    def _html(self) -> str:
        left, top, right, bottom = _BOX
        runs = np.array([self.losses(eta) for eta in self.step_sizes])
        high = 10.0 ** math.ceil(math.log10(10 * runs[0, 0]))
        low = 1e-14 * high
        y = bottom - (bottom - top) * np.log(np.clip(runs, low, high) / low) / np.log(high / low)
        x = np.linspace(left, right, self.steps + 1)
        first, last = self.step_sizes[[0, -1]]
        place = left + (right - left) * np.log(np.array([*self.step_sizes, self.certified, self.limit]) / first) / np.log(last / first)
        frames = [{"run": " ".join(f"{_number(a, 1)},{_number(b, 1)}" for a, b in zip(x, heights)), "x": _number(at, 1),
                   "y": _number(heights[-1], 1), "text": self._verdict(eta, losses[-1], low)}
                  for eta, losses, heights, at in zip(self.step_sizes, runs, y, place)]
        start = int(np.argmin(abs(self.step_sizes - self.limit / 4)))
        frame = frames[start]
        ends = " ".join(f"{_number(a, 1)},{_number(b, 1)}" for a, b in zip(place, y[:, -1]))
        marks = "".join(f'<line class="{name}" x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{bottom}"/>'
                        for name, at in zip(("certified", "limit"), place[-2:]))
        drawing = "".join(['<div class="panels">\n', _panel(
            "loss along the run, logarithmic", f"steps, 0 to {self.steps}", high,
            f'<polyline class="run" points="{frame["run"]}"/>', floor=low, head=True), _panel(
            f"loss after {self.steps} steps, logarithmic", f"step size, {first:.2g} to {last:.2g}, logarithmic", high,
            f'{marks}<polyline class="all" points="{ends}"/><line class="now" x1="{frame["x"]}" x2="{frame["x"]}" y1="{top}" '
            f'y2="{bottom}"/><circle r="4.5" cx="{frame["x"]}" cy="{frame["y"]}"/>', floor=low), "</div>"])
        return self._page(
            frames, KIND="descent", WIDTH="46", MARKS=_DESCENT_MARKS, DRAWING=drawing, LEGEND=_DESCENT_LEGEND,
            LABEL="step size \u03b7", MAX=str(self.step_sizes.size - 1), STEP="1", START=str(start), PAUSE="120",
            READOUT=frame["text"], DATA=f"D = {json.dumps(frames)}", DRAW=_DESCENT_DRAW)

    def _verdict(self, eta: float, end: float, low: float) -> str:
        if eta > self.limit:
            where = "above the stability limit"
        else:
            where = "certified" if eta <= self.certified * (1 + 1e-12) else "below the stability limit, not certified"
        loss = f"below {low:.0e}" if end < low else f"{end:.1e}" if eta <= self.limit else "not small"
        return f"\u03b7 = {eta:.4f}, {eta / self.limit:.2f} of the limit ({where}): loss after {self.steps} steps {loss}"

    def _png(self) -> bytes:
        canvas = FigureCanvasAgg(Figure(figsize=(8.4, 3.4), layout="constrained", facecolor="white"))
        axes = [plotting.style(ax) for ax in canvas.figure.subplots(1, 2)]
        floor = 1e-14 * self.loss.value(self.network.end_to_end())
        shown = {f"$\\eta={eta:.3g}$": np.maximum(self.losses(eta), floor)
                 for eta in (self.certified, self.limit / 4, 0.9 * self.limit, 1.1 * self.limit)}
        plotting.curves(np.arange(self.steps + 1), shown, xlabel="steps", ylabel="loss", log="y", ax=axes[0])
        ends = np.maximum([self.losses(eta)[-1] for eta in self.step_sizes], floor)
        plotting.curves(self.step_sizes, {"loss": ends}, xlabel=r"$\eta$", ylabel=f"loss after {self.steps} steps", log="xy",
                        ax=axes[1])
        for eta, line, name in ((self.certified, ":", "certified"), (self.limit, "--", "limit")):
            axes[1].axvline(eta, color="black", linestyle=line, label=name)
        axes[1].legend(fontsize=9)
        return _picture(canvas)


def _panel(name: str, below: str, height: float, content: str, *, floor: float = 0.0, head: bool = False) -> str:
    """One panel: axes with their end values, a name above and a text below; the first one carries title and description."""
    left, top, right, bottom = _BOX
    names = ('aria-labelledby="@ID-title @ID-desc">\n<title id="@ID-title">@TITLE</title>\n<desc id="@ID-desc">@DESC</desc>'
             if head else f'aria-label="{name}">')
    return (f'<svg viewBox="0 0 280 215" role="img" {names}\n<line class="axis" x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>'
            f'<line class="axis" x1="{left}" x2="{left}" y1="{top}" y2="{bottom}"/>'
            f'<text x="{left}" y="13">{name}</text><text x="{left - 4}" y="{top + 12}" text-anchor="end">{_number(height, 6):.3g}</text>'
            f'<text x="{left - 4}" y="{bottom}" text-anchor="end">{floor:.3g}</text>'
            f'<text x="{(left + right) / 2}" y="{bottom + 20}" text-anchor="middle">{below}</text>\n{content}</svg>\n')


def _chart(frame: dict, pair: np.ndarray, height: float, name: str, offset: int, x: np.ndarray, taus: np.ndarray) -> str:
    """Two curves over tau, with a line and two dots at the present tau."""
    lines = [f'<polyline class="{kind}" points="{" ".join(f"{_number(a, 1)},{_number(b, 1)}" for a, b in zip(x, y))}"/>'
             for kind, y in zip(("first", "second"), pair)]
    dots = [f'<circle class="on{i + 1}" r="4.5" cx="{frame["x"]}" cy="{frame["dots"][2 * offset + i]}"/>' for i in range(2)]
    line = f'<line class="now" x1="{frame["x"]}" x2="{frame["x"]}" y1="{_BOX[1]}" y2="{_BOX[3]}"/>'
    return _panel(name, f"\u03c4 from {taus[0]:.3g} to {taus[-1]:.3g}, logarithmic", height, "".join([line, *lines, *dots]))


def _fixed(value: float) -> str:
    return f"{_number(value, 3):.3f}"


def _ellipse(S: np.ndarray) -> str:
    """The half axes and the angle of the one-sigma ellipse, as SVG attributes."""
    half, radius = (S[0, 0] + S[1, 1]) / 2, math.hypot((S[0, 0] - S[1, 1]) / 2, S[0, 1])
    angle = 0.5 * math.degrees(math.atan2(2 * S[0, 1], S[0, 0] - S[1, 1]))
    long, short = math.sqrt(half + radius), math.sqrt(max(half - radius, 0.0))
    return f'rx="{_number(long, 4)}" ry="{_number(short, 4)}" transform="rotate({_number(angle, 3)})"'


def _number(value: float, digits: int) -> float:
    """Rounded, so that the last bits of other machines do not show; never minus zero."""
    return round(float(value), digits) + 0.0
