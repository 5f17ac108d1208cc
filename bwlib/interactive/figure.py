"""A figure that moves without a kernel: Python computes every position of its controls, a few lines of script look them up."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import textwrap
from collections.abc import Mapping, Sequence
from importlib.resources import files

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from .. import _validate as check
from .marks import UNITS
from .panel import Panel

PLAY_SECONDS = 6


class MovingFigure:
    """Panels with a slider, and choices beside it if there are any, for the static pages of a book and for notebooks.

    In a page or notebook it shows as HTML that needs no kernel, no library and no network: inline SVG, native controls
    with a Play button, and a read-out in words.  It works with the keyboard, with a screen reader, on a phone, in light
    and dark; without script it shows one position.  On paper it shows several, drawn with Matplotlib in a PDF.

    Parameters
    ----------
    panels : sequence of Panel
        Their moving marks have the axes (\\*choices, positions) first, or axes that broadcast to these.
    readout : array of str, shape (\\*choices, positions)
        What is read off at each position, in words; also for screen readers.
    slider : str
        Its label.
    title : str
        The name of the figure, for screen readers.
    description : str
        What is seen, for screen readers.
    choices : mapping of str to sequences of str
        Further controls: label, and the names of the options.
    start : tuple of int
        Where the controls stand at first; by default at zero.
    shown : sequence of tuples of int
        The positions on paper; by default the first, middle and last one of the slider.

    Raises
    ------
    ValueError
        If the read-out does not have the shape of the controls, or a mark has axes that do not fit them.

    Examples
    --------
    >>> import bwlib as bw
    >>> t = np.linspace(0, 2, 41)
    >>> s = bw.aligned_flow(0.1, 4.0, 2, t)
    >>> panel = Panel("singular value", x=(0, 2), y=(0, 2.2), xlabel="time")
    >>> panel.curve(t, s)
    >>> panel.dots(t[:, None], s[:, None])
    >>> MovingFigure([panel], [f"time {a:.2f}: {b:.3f}" for a, b in zip(t, s)], slider="time",
    ...              title="A mode is learned", description="A dot rises along a curve, slowly at first.")
    MovingFigure: A mode is learned
    """

    def __init__(self, panels: Sequence[Panel], readout: ArrayLike, *, slider: str, title: str, description: str,
                 choices: Mapping[str, Sequence[str]] = {}, start: Sequence[int] | None = None,
                 shown: Sequence[Sequence[int]] | None = None) -> None:
        self.panels, self.readout = check.sequence(panels, "panels"), np.asarray(readout, dtype=object)
        if not self.panels or not all(isinstance(panel, Panel) for panel in self.panels):
            raise TypeError(f"panels must be one Panel or more in a sequence, got {panels!r}")
        if not all(isinstance(text, str) for text in self.readout.flat):
            raise TypeError("readout must hold texts")
        self.slider, self.title = check.text(slider, "slider"), check.text(title, "title")
        self.description = check.text(description, "description")
        if not isinstance(choices, Mapping):
            raise TypeError(f"choices must be a mapping of labels to options, got {choices!r}")
        self.choices = {check.text(name, "choices"): check.sequence(options, "choices") for name, options in choices.items()}
        self.shape = self.readout.shape
        sizes = tuple(len(options) for options in self.choices.values())
        if len(self.shape) != len(sizes) + 1 or self.shape[:-1] != sizes or self.shape[-1] < 2:
            raise ValueError(f"readout must have the shape {(*sizes, 'positions')} of the controls, got {self.shape}")
        for panel in self.panels:
            for mark in panel.marks:
                fits = (size in (1, full) for size, full in zip(mark.lead[::-1], self.shape[::-1]))
                if len(mark.lead) > len(self.shape) or not all(fits):
                    raise ValueError(f"a mark of the panel {panel.title!r} has the leading axes {mark.lead}, which do not fit "
                                     f"the controls {self.shape}")
        last = self.shape[-1] - 1
        self.start = (0,) * len(self.shape) if start is None else self._position(start, "start")
        self.shown = [(*self.start[:-1], position) for position in (0, last // 2, last)] if shown is None else [
            self._position(index, "shown") for index in check.sequence(shown, "shown")]
        if not self.shown:
            raise ValueError("shown must not be empty")

    def _position(self, index: Sequence[int], name: str) -> tuple[int, ...]:
        index = check.sequence(index, name)
        if len(index) != len(self.shape):
            raise ValueError(f"{name} must have one position for each of the {len(self.shape)} controls, got {index}")
        return tuple(check.integer(i, name, 0, size - 1) for i, size in zip(index, self.shape))

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.title}"

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {"text/html": self._html(), "image/png": base64.b64encode(self._png()).decode(), "text/plain": repr(self)}

    def _html(self) -> str:
        moves: list[list] = []
        drawings = [self._drawing(panel, moves) for panel in self.panels]
        paper = [[index, self._caption(index)] for index in self.shown]
        frames = {"strides": strides(self.shape), "text": pack(self.readout), "moves": moves, "paper": paper}
        data = json.dumps(frames, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
        texts = [self.title, self.description, self.slider, self.choices, self.start, drawings, data]
        key = "bw" + hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:8]
        text = html.escape(self.readout[self.start])
        return f"""\
<div class="bw-fig" id="{key}" role="group" aria-labelledby="{key}-title">
<style>
{_source("figure.css")}</style>
<div class="bw-panels">
{"".join(self._page_panel(key, number, *drawing) for number, drawing in enumerate(drawings))}</div>
<div class="bw-foot">
<div class="bw-controls" hidden>
{self._radios(key)}<div class="bw-row">
<label for="{key}-slider">{html.escape(self.slider)}</label>
<input id="{key}-slider" type="range" min="0" max="{self.shape[-1] - 1}" value="{self.start[-1]}" aria-valuetext="{text}" autocomplete="off">
<button type="button" data-pause="{round(1000 * PLAY_SECONDS / self.shape[-1])}">Play</button>
</div>
</div>
<output for="{key}-slider" aria-live="off">{text}</output>
</div>
<script type="application/json">{data}</script>
<script>
{_source("figure.js").replace("@ID", key)}</script>
</div>
"""

    def _drawing(self, panel: Panel, moves: list[list]) -> tuple[int, int, str]:
        """Width, height and content of the SVG of one panel at the start; what moves in it is appended to ``moves``."""
        marks = []
        for element in (element for mark in panel.marks for element in mark.elements(panel)):
            now = {name: np.broadcast_to(values, self.shape)[self.start] for name, values in element.moving.items()}
            packed = {name: pack(_over(values, self.shape), strides(self.shape)) for name, values in element.moving.items()}
            changes = [[name, texts] for name, texts in packed.items() if not isinstance(texts, str)]
            if changes:
                now["data-m"] = str(moves[-1][0] + 1 if moves else 0)
                moves += [[int(now["data-m"]), *change] for change in changes]
            marks.append(element.svg(now))
        return panel.svg("".join(marks))

    def _page_panel(self, key: str, number: int, width: int, height: int, content: str) -> str:
        """One drawing and its legend; the first one carries the name and the description of the figure."""
        panel, size = self.panels[number], round(width / UNITS)
        names = f'aria-label="{html.escape(panel.title)}">'
        if number == 0:
            names = (f'aria-labelledby="{key}-title {key}-desc">\n<title id="{key}-title">{html.escape(self.title)}</title>\n'
                     f'<desc id="{key}-desc">{html.escape(self.description)}</desc>')
        legend = "".join(f'<span><svg viewBox="0 0 30 10" aria-hidden="true">{mark.key()}</svg>{html.escape(mark.label)}</span>'
                         for mark in panel.named())
        return (f'<div class="bw-panel" style="--width:{size}">\n<svg viewBox="0 0 {width} {height}" font-size="{12 * UNITS}" '
                f'role="img" {names}\n{content}</svg>\n<div class="bw-legend">{legend}</div>\n</div>\n')

    def _radios(self, key: str) -> str:
        groups = []
        for number, (name, options) in enumerate(self.choices.items()):
            buttons = "".join(f'<label><input type="radio" name="{key}-{number}" value="{i}" autocomplete="off"'
                              f'{" checked" if i == self.start[number] else ""}>{html.escape(option)}</label>'
                              for i, option in enumerate(options))
            groups.append(f'<fieldset class="bw-row"><legend>{html.escape(name)}</legend>{buttons}</fieldset>\n')
        return "".join(groups)

    def _png(self) -> bytes:
        """The shown positions side by side: what is read off, and one row for each panel."""
        columns = len(self.shown)
        heights = [0.65, *(2.1 + 0.2 * bool(panel.named()) for panel in self.panels)]
        canvas = FigureCanvasAgg(Figure(figsize=(2.7 * columns, sum(heights)), layout="constrained", facecolor="white"))
        head, *rows = canvas.figure.subfigures(len(heights), 1, height_ratios=heights)
        for column, index in enumerate(self.shown):
            head.text((column + 0.5) / columns, 0.45, textwrap.fill(self._caption(index), 42), ha="center", va="center", fontsize=8)
        for row, panel in zip(rows, self.panels):
            for ax, index in zip(row.subplots(1, columns, squeeze=False)[0], self.shown):
                panel.draw(ax, self.shape, index)
            marks = panel.named()
            if marks:
                row.legend([mark.handle() for mark in marks], [mark.label for mark in marks], loc="outside lower center",
                           ncols=len(marks), fontsize=8, frameon=False)
        buffer = io.BytesIO()
        canvas.figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
        return buffer.getvalue()

    def _caption(self, index: tuple[int, ...]) -> str:
        chosen = [f"{name}: {options[i]}" for (name, options), i in zip(self.choices.items(), index)]
        return "; ".join([*chosen, self.readout[index]])


def pack(texts: np.ndarray, full: list[int] | None = None) -> str | list | dict:
    """Texts over the axes of the controls in the shortest form that ``figure.js`` reads.

    One text for all; a list over the axes on which they depend, with its strides if these are not ``full``, those of all
    axes; the different ones and which is where; or word by word, each word in one of these forms.
    """
    full = strides(texts.shape) if full is None else full
    for axis in range(texts.ndim):
        if (texts == texts.take([0], axis)).all():
            texts = texts.take([0], axis)
    flat = [str(text) for text in texts.ravel()]
    if len(flat) == 1:
        return flat[0]
    steps = {} if strides(texts.shape) == full else {"s": strides(texts.shape)}
    different = {text: i for i, text in enumerate(dict.fromkeys(flat))}
    everything = [_short(text) for text in flat]
    forms: list = [{"l": everything, **steps} if steps else everything,
                   {"v": [_short(text) for text in different], "i": [different[text] for text in flat], **steps}]
    words = [text.split(" ") for text in flat]
    most = max(map(len, words))
    if most > 1:
        columns = zip(*(line + [""] * (most - len(line)) for line in words))
        forms.append({"w": [pack(np.array(column, dtype=object).reshape(texts.shape), full) for column in columns]})
    return min(forms, key=lambda form: len(json.dumps(form)))


def strides(shape: tuple[int, ...]) -> list[int]:
    """By how much the place in a flat list grows with each axis; an axis of length one does not count."""
    steps = np.cumprod((1, *shape[:0:-1]))[::-1]
    return [int(step) * (size > 1) for step, size in zip(steps, shape)]


def _over(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """``values`` with as many axes as the controls."""
    return values.reshape((1,) * (len(shape) - values.ndim) + values.shape)


def _short(text: str) -> str | float:
    """A number, where a browser writes it as the same text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    same = type(value) in (int, float) and 1e-4 < abs(value) < 1e15 and json.dumps(value) == text
    return value if same and not text.endswith(".0") else text


def _source(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
