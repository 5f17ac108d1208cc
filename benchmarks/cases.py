"""The problems that are measured, and the sizes."""
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

import bwlib as bw

SIZES = ((10, 10), (50, 10), (100, 100), (200, 20), (500, 500), (1000, 20), (2000, 50))
TAUS = (0.0, 0.1)
STACK = (1000, 10)
GROWTH = ((250, 20), (500, 20), (1000, 10), (1000, 20), (1000, 40), (1000, 80), (1000, 160), (2000, 20))
SCALE = ((1000, 20, 0.001), (1000, 20, 0.1), (1000, 50, 0.1), (2000, 50, 0.1), (2000, 100, 0.1))
TRAINING = ((20, 1), (20, 3), (20, 10), (20, 50), (20, 100), (200, 1), (200, 3), (200, 10), (200, 100))
ENSEMBLES = ((5, 3), (20, 1), (20, 3), (20, 10))
SEEDS = 64
FLOWS = (1, 3, 10, 30, 100)
MEMORY = (1000, 20)
IMPORTS = {"numpy": "import numpy", "scipy": "import scipy.linalg", "bwlib": "import bwlib", "jax": "import jax",
           "torch": "import torch", "ott-jax": "import ott.geometry.costs", "pyRiemann": "import pyriemann",
           "POT": "import ot",
           "geomstats": "import geomstats.geometry.spd_matrices",
           "geomstats with numpy.trapz":
               "import numpy; numpy.trapz = numpy.trapezoid; import geomstats.geometry.spd_matrices"}


@dataclass(frozen=True)
class Problem:
    """The loss of one matrix ``W``, or of a stack of them, for one target.

    What depends on the target alone is at hand before the clock starts, for every contestant: its factor (the Cholesky
    factor, if ``A`` is not given) and its symmetric root.
    """

    target: np.ndarray
    W: np.ndarray
    tau: float = 0.0
    A: np.ndarray | None = None

    @cached_property
    def factor(self) -> np.ndarray:
        return np.linalg.cholesky(self.target) if self.A is None else self.A

    @cached_property
    def root(self) -> np.ndarray:
        lam, Omega = np.linalg.eigh(self.target)
        return (Omega * np.sqrt(np.maximum(lam, 0.0))) @ Omega.T


def problem(n: int, k: int, tau: float = 0.0, *, stack: int = 0, near: bool = False, seed: int = 0) -> Problem:
    """A target with a slowly decaying spectrum and a random ``W``, or (``near``) one close to the minimum."""
    rng = np.random.default_rng([n, k, seed])
    lam = bw.zipf_spectrum(n, rng=rng, largest=10.0)
    Omega = np.linalg.qr(rng.standard_normal((n, n)))[0]
    target = (Omega * lam) @ Omega.T
    W = rng.standard_normal((stack, n, k) if stack else (n, k)) / np.sqrt(k)
    if near:
        order = np.argsort(-lam)[:k]
        W = Omega[:, order] * np.sqrt(np.maximum(lam[order] - tau, 0.0)) + 1e-6 * W
    return Problem((target + target.T) / 2, W, tau)


def layers(n: int, depth: int, *, seeds: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A target matrix and the layers of a balanced start of square layers near it, stacked: ([seeds,] depth, n, n)."""
    rng = np.random.default_rng([n, depth])
    target = bw.Covariance.from_spectrum(1 + rng.random(n), rng=rng)
    starts = [bw.balanced_network(target.root + 0.1 * rng.standard_normal((n, n)) / np.sqrt(n), (n,) * (depth + 1))
              for _ in range(seeds or 1)]
    weights = np.array([network.weights for network in starts])
    return target.matrix, weights if seeds else weights[0]
