"""Figures that move without a kernel: Python computes every position of their controls, a few lines of script look them up.

:class:`MovingFigure` and :class:`Panel` make such a figure of anything; the other classes are the figures of the book.
"""

from .covariances import GeodesicFigure, ProcrustesFigure, RankFigure
from .figure import MovingFigure
from .landscape import CriticalPointsFigure, KinkFigure, SmoothingFigure
from .marks import number
from .panel import Panel
from .training import AlignedFlowFigure, DescentFigure, SubspaceFigure

__all__ = ["MovingFigure", "Panel", "number", "RankFigure", "GeodesicFigure", "ProcrustesFigure", "KinkFigure",
           "CriticalPointsFigure", "SmoothingFigure", "AlignedFlowFigure", "DescentFigure", "SubspaceFigure"]
