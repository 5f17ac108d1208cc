"""Ellipsoids in three dimensions, seen from one side."""

from __future__ import annotations

import math

import numpy as np

from .._validate import Array
from ..covariance import Covariance
from .panel import Panel

AZIMUTH, ELEVATION = math.radians(-55), math.radians(22)
RIGHT_AND_UP = np.array([
    [-math.sin(AZIMUTH), math.cos(AZIMUTH), 0.0],
    [-math.cos(AZIMUTH) * math.sin(ELEVATION), -math.sin(AZIMUTH) * math.sin(ELEVATION), math.cos(ELEVATION)]])


def seen(S: Array) -> Array:
    """Covariances of shape (..., 3, 3) projected to the plane of the page: their ellipses are the outlines."""
    return RIGHT_AND_UP @ S @ RIGHT_AND_UP.T


def axes_of(target: Covariance) -> Array:
    """The eigenvectors with their largest entry positive: signs that do not depend on the machine."""
    vectors = target.eigenvectors
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=0)[None], axis=0)
    return vectors * np.sign(largest)


def space(target: Covariance) -> Panel:
    """A panel with the outline of the target and its numbered half axes."""
    outline = seen(target.matrix)
    x, y = 1.25 * np.sqrt(np.diag(outline))
    panel = Panel("seen from one side", x=(-x, x), y=(-y, y), equal=True, xticks=(), yticks=(), size=(220, 220))
    panel.ellipse(outline, colour=1, label="target")
    for i, (x, y) in enumerate(half_axes(target).T):
        panel.curve([-x, x], [-y, y], colour=None)
        panel.text(1.18 * x, 1.18 * y, str(i + 1))
    return panel


def half_axes(target: Covariance) -> Array:
    """The half axes of the target, projected, as columns."""
    return RIGHT_AND_UP @ (axes_of(target) * np.sqrt(target.eigenvalues))
