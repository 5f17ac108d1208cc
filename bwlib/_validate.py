"""The checks at the public edge: one door for arrays, scalars and random generators.

Numbers.  Integer and floating-point input of any precision is converted to float64; everything else (complex, boolean,
object, text, masked arrays) is refused with a ``TypeError``.  Subclasses of arrays count as arrays: a ``numpy.matrix`` is
what ``numpy.asarray`` makes of it.  In row-major order from here on, so that results do not depend on the order of the
input, not even in the last bit.  Values must be finite.  Inputs are never modified.

Tolerances.  A matrix counts as symmetric, and as positive semidefinite, up to ``100 n eps`` relative to its largest
entry or eigenvalue, where ``eps`` is that of the *input* precision: rounding in forming ``W @ W.T`` stays far below it,
a forgotten transpose far above.
"""

from __future__ import annotations

import numbers
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
EPS = float(np.finfo(np.float64).eps)


def real_array(x: ArrayLike, name: str, *, finite: bool = True) -> Array:
    """``x`` as a float64 array, of finite numbers unless others are welcome."""
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be a masked array, as the mask would be lost; fill or drop the masked entries")
    try:
        raw = np.asarray(x)
    except ValueError as error:
        raise TypeError(f"{name} must be a rectangular array of real numbers; {error}") from None
    if raw.dtype.kind not in "iuf":
        raise TypeError(f"{name} must hold real numbers (integers or floats), got dtype {raw.dtype}")
    if raw.dtype.itemsize > 8:
        with np.errstate(over="ignore"):
            raw = raw.astype(np.float64)
    array = np.asarray(raw, dtype=np.float64, order="C")
    if finite and (bad := array.size - np.count_nonzero(np.isfinite(array))):
        raise ValueError(f"{name} must be finite, got {bad} NaN or infinite entries among {array.size}")
    return array


def matrix(x: ArrayLike, name: str, *, rows: int | None = None, stacks: bool = True) -> Array:
    """``x`` as a non-empty matrix, or a stack of matrices on leading axes."""
    array = real_array(x, name)
    if array.ndim < 2 or (array.ndim > 2 and not stacks):
        shape = "(..., n, m)" if stacks else "(n, m)"
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}; reshape a vector to one column with "
                         f"x[:, None]")
    if 0 in array.shape:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    if rows is not None and array.shape[-2] != rows:
        raise ValueError(f"{name} must have {rows} rows, as many as the covariance has dimensions; got shape "
                         f"{array.shape}. Is it transposed?")
    return array


def symmetric(x: ArrayLike, name: str) -> tuple[Array, float]:
    """``x`` as exactly symmetric matrices, and the relative noise level ``n eps`` of its input precision."""
    array = matrix(x, name)
    n = array.shape[-1]
    if array.shape[-2] != n:
        raise ValueError(f"{name} must be square, got shape {array.shape}. Did you pass W instead of W @ W.T?")
    eps = float(np.finfo(np.asarray(x).dtype).eps) if np.asarray(x).dtype.kind == "f" else EPS
    noise = n * max(eps, EPS)
    largest = np.abs(array).max(axis=(-2, -1))
    half, half_transposed = array / 2, array.mT / 2
    asymmetry = np.abs(half - half_transposed).max(axis=(-2, -1))
    if (asymmetry > 50 * noise * largest).any():
        raise ValueError(f"{name} must be symmetric, but max |A - A.T| / 2 = {asymmetry.max():.3g} with largest entry "
                         f"{largest.max():.3g}. Did you pass W instead of W @ W.T?")
    return half + half_transposed, noise


def integer(x: int, name: str, low: int, high: int | None = None) -> int:
    """``x`` as an int with ``low <= x <= high``."""
    if isinstance(x, bool) or not isinstance(x, numbers.Integral):
        raise TypeError(f"{name} must be an integer, got {x!r}")
    if x < low or (high is not None and x > high):
        bound = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ValueError(f"{name} must be {bound}, got {x}")
    return int(x)


def scalar(x: float, name: str, *, positive: bool = False) -> float:
    """``x`` as a finite float, non-negative or strictly positive."""
    if np.ndim(x) != 0 or np.asarray(x).dtype.kind not in "iuf":
        raise TypeError(f"{name} must be a real number, got {x!r}")
    value = float(x)
    if not np.isfinite(value) or value < 0 or (positive and value == 0):
        raise ValueError(f"{name} must be {'positive' if positive else 'non-negative'} and finite, got {value}")
    return value


def times(x: ArrayLike, name: str) -> Array:
    """``x`` as a non-empty vector of non-negative, strictly increasing times."""
    array = real_array(x, name)
    if array.ndim != 1 or not array.size or array[0] < 0 or (np.diff(array) <= 0).any():
        raise ValueError(f"{name} must be a vector of non-negative, strictly increasing times, got {x!r}")
    return array


def sequence(x: Iterable, name: str) -> list:
    """The items of an iterable that is not a text."""
    if isinstance(x, (str, bytes)) or not isinstance(x, Iterable):
        raise TypeError(f"{name} must be a sequence, got {x!r}")
    return list(x)


def pair(x: Iterable, name: str) -> tuple[float, float]:
    """An increasing pair of numbers."""
    array = real_array(x, name)
    if array.shape != (2,) or not array[0] < array[1]:
        raise ValueError(f"{name} must be an increasing pair of numbers, got {x!r}")
    return float(array[0]), float(array[1])


def text(x: str, name: str) -> str:
    """``x``, which must be a text."""
    if not isinstance(x, str):
        raise TypeError(f"{name} must be a text, got {x!r}")
    return x


def path(x: str | os.PathLike, name: str) -> Path:
    """``x`` as a path."""
    if not isinstance(x, (str, os.PathLike)):
        raise TypeError(f"{name} must be a path, got {x!r}")
    return Path(x)


def same_stacks(**shapes: tuple[int, ...]) -> None:
    """Refuse shapes of matrices whose leading axes do not broadcast."""
    try:
        np.broadcast_shapes(*(shape[:-2] for shape in shapes.values()))
    except ValueError:
        raise ValueError(f"{' and '.join(shapes)} must have leading axes that broadcast, got the shapes "
                         f"{' and '.join(map(str, shapes.values()))}") from None


def generator(rng: np.random.Generator | int) -> np.random.Generator:
    """A NumPy generator from a generator or an integer seed."""
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, bool) or not isinstance(rng, numbers.Integral):
        raise TypeError(f"rng must be a numpy.random.Generator or an integer seed, got {rng!r}")
    if rng < 0:
        raise ValueError(f"rng must not be a negative seed, got {rng}")
    return np.random.default_rng(int(rng))
