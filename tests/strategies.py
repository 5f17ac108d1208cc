"""Matrices of every shape, rank, size and conditioning, for the property tests.

Hypothesis chooses what matters: shapes, spectra, exponents.  The other entries come from a seed that it chooses too.
"""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

EPS = float(np.finfo(float).eps)
seeds = st.integers(0, 2**32 - 1)
dimensions = st.integers(1, 6)
sizes = st.floats(-150, 150)  # decimal exponents: up to here the squares of the entries are floats
modest_sizes = st.floats(-70, 70)  # up to here their fourth powers are
decades = st.sampled_from([0.0, 1.0, 4.0, 8.0])  # of singular values; their squares have twice as many


def haar(rng: np.random.Generator, n: int) -> np.ndarray:
    """A random orthogonal matrix."""
    return np.linalg.qr(rng.standard_normal((n, n)))[0]


def symmetrised(M: np.ndarray) -> np.ndarray:
    return M / 2 + M.mT / 2


def singular_values(draw: st.DrawFn, count: int, spread: float) -> np.ndarray:
    """Descending, the first one 1, over at most ``spread`` decades, often repeated."""
    steps = sorted(draw(st.lists(st.integers(0, 4), min_size=max(count - 1, 0), max_size=max(count - 1, 0))))
    return 10.0 ** (-spread * np.array([0, *steps][:count]) / 4)


@st.composite
def factors(draw: st.DrawFn, n: int, columns: st.SearchStrategy[int] = st.integers(1, 8),
            size: st.SearchStrategy[float] = sizes, spread: st.SearchStrategy[float] = decades,
            full_rank: bool = False) -> np.ndarray:
    """An n x m matrix of any rank from 0 on, with condition numbers to 1e8 (those of its Gram matrix go to 1e16)."""
    m = draw(columns)
    r = min(n, m) if full_rank else draw(st.integers(0, min(n, m)))
    s = singular_values(draw, r, draw(spread))
    rng = np.random.default_rng(draw(seeds))
    return 10.0 ** draw(size) * ((haar(rng, n)[:, :r] * s) @ haar(rng, m)[:r])


@st.composite
def factor_tuples(draw: st.DrawFn, count: int, size: st.SearchStrategy[float] = sizes) -> list[np.ndarray]:
    """Factors with the same number of rows and of similar or of different sizes; the second may be near the first."""
    n = draw(dimensions)
    common = draw(size)
    own = draw(st.sampled_from([st.just(common), st.floats(common - 3, common + 3), size]))
    drawn = [draw(factors(n, size=own)) for _ in range(count)]
    if draw(st.booleans()):
        rng = np.random.default_rng(draw(seeds))
        W = drawn[0]
        noise = 10.0 ** draw(st.floats(-18, 0)) * np.abs(W).max() * rng.standard_normal(W.shape)
        drawn[1] = W @ haar(rng, W.shape[1]) + noise
    return drawn


def rotation(n: int) -> st.SearchStrategy[np.ndarray]:
    return seeds.map(lambda seed: haar(np.random.default_rng(seed), n))
