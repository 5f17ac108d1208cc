"""How the tests of the problem sets compare numbers, with messages that say what is wrong."""
import math
import numbers

import numpy as np


def close(value, expected, rtol=1e-8, atol=0.0):
    """Raise an AssertionError unless ``value`` has the shape of ``expected`` and agrees with it, entry by entry.

    Two entries agree if they differ by at most ``rtol`` times the largest entry of ``expected``, plus ``atol``.

    >>> close(3.0, 3)
    >>> close([1.0, 2.0], np.array([1, 2]))
    >>> close(3.1, 3)
    Traceback (most recent call last):
    AssertionError: the result is 3.1, expected 3
    >>> close(None, 3)
    Traceback (most recent call last):
    AssertionError: there is no result: is a return missing?
    """
    if value is None:
        raise AssertionError("there is no result: is a return missing?")
    expected = np.asarray(expected)
    if expected.ndim == 0 and not isinstance(value, numbers.Number):
        if np.shape(value) != ():
            raise AssertionError(f"the result has shape {np.shape(value)}, a number is expected")
    try:
        value = np.asarray(value, dtype=complex if expected.dtype.kind == "c" else float)
    except (TypeError, ValueError):
        raise AssertionError(f"the result is not a number or an array of numbers: {str(value)[:80]!r}") from None
    if value.shape != expected.shape:
        raise AssertionError(f"the result has shape {value.shape}, expected {expected.shape}")
    if not np.all(np.isfinite(value)):
        raise AssertionError("the result contains NaN or infinity")
    if expected.size == 0:
        return
    allowed = rtol * float(np.max(np.abs(expected))) + atol
    difference = np.abs(value - expected)
    if not math.isfinite(float(difference.max())) or float(difference.max()) > allowed:
        where = np.unravel_index(int(np.argmax(difference)), difference.shape)
        what = f"entry {tuple(map(int, where))}" if expected.ndim else "the result"
        digits = 6 if f"{value[where]:.6g}" != f"{expected[where]:.6g}" else 15
        raise AssertionError(f"{what} is {value[where]:.{digits}g}, expected {expected[where]:.{digits}g}")
