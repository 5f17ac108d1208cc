"""The numbered statements of the chapter "Real data"."""
from __future__ import annotations

import numpy as np
from scipy.special import gammaln

import bwlib as bw


def limit(lam):
    lam = lam[lam > 0]
    a, b = np.triu_indices(lam.size, 1)
    return lam.sum() / 2 + np.sum(lam[a] * lam[b] / (lam[a] + lam[b]))


def estimates(rng, target, M, draws):
    F = target.factor
    x = rng.standard_normal((draws, M, F.shape[1])) @ F.T
    return x.mT @ x / M


def test_prop_sampling_error(residual):
    rng = np.random.default_rng(131)
    for lam in ([3.0, 1.0, 0.1], [1.0, 1e-6], [2.0, 1.0, 0.5, 0.0, 0.0], [1.0] * 6):
        target = bw.Covariance.from_spectrum(lam, rng=rng)
        r = target.rank
        for M in (1, 2, 40):
            draws = np.array([bw.bures_wasserstein(S, target, squared=True) for S in estimates(rng, target, M, 120)])
            # (a) the mean of 120 draws may exceed its expectation by four standard errors
            error = draws.std() / np.sqrt(120)
            residual(draws.mean() / ((r + 1) / M * target.trace) - 1 - 4 * error / draws.mean(), 0.0)
            # (c) for every draw; rounding of a squared distance
            residual(target.eigenvalues[M:].sum() - draws.min(), 1e-12 * target.trace)
        M = 4000  # (b) terms of order 1 / M and the standard error of 400 draws, about 1/sqrt(400) of the spread
        draws = M * np.array([bw.bures_wasserstein(S, target, squared=True) for S in estimates(rng, target, M, 400)])
        residual(abs(draws.mean() / limit(target.eigenvalues) - 1), 4 * draws.std() / np.sqrt(400) / draws.mean() + 0.01)
    # broken: for a heavy-tailed law with the same covariance the limit is another one
    white, M = bw.Covariance(np.eye(4)), 1000
    x = rng.laplace(size=(200, M, 4)) / np.sqrt(2)
    draws = [M * bw.bures_wasserstein(S, white, squared=True) for S in x.mT @ x / M]
    assert np.mean(draws) > 1.2 * limit(np.ones(4))


def minimiser(batches, steps=100):
    """The minimiser of the mean squared distance to positive definite matrices, by fixed-point iteration."""
    S = batches.mean(axis=0)
    for _ in range(steps):
        R = bw.sqrtm_psd(S)
        S = bw.sqrtm_psd(R @ batches @ R).mean(axis=0)
        S = (S + S.T) / 2
    return S


def mean_loss(S, batches):
    return np.mean([bw.bures_wasserstein(S, B, squared=True) for B in batches])


def test_prop_batch_bias(residual):
    rng = np.random.default_rng(132)
    for n, b, tau in [(1, 2, 0.0), (2, 3, 0.3), (3, 1, 0.1), (4, 6, 0.0)]:
        target = bw.Covariance.from_spectrum(rng.uniform(0.5, 3, n), rng=rng)
        batches = estimates(rng, target, b, 30)
        Sigma0 = batches.mean(axis=0)  # the law is the uniform one on these matrices, Sigma0 its exact mean
        for _ in range(10):  # (a) an inequality between numbers exact to 1e-13
            W = rng.standard_normal((n, int(rng.integers(1, n + 1))))
            Sigma = W @ W.T + tau * np.eye(n)
            residual(bw.bures_wasserstein(Sigma, Sigma0, squared=True) - mean_loss(Sigma, batches), 1e-12)
        if b >= n:  # (b) positive definite batches: the iteration converges linearly, and fast
            best = minimiser(batches)
            value = mean_loss(best, batches)
            residual(abs(np.trace(best) - np.trace(Sigma0) + value) / np.trace(Sigma0), 1e-9)
            for _ in range(20):
                D = rng.standard_normal((n, n))
                other = bw.Covariance(best + 0.1 * D @ D.T * rng.uniform())
                residual(value - mean_loss(other.matrix, batches), 1e-10)
                residual(mean_loss((best + other.matrix) / 2, batches)
                         - (value + mean_loss(other.matrix, batches)) / 2, 1e-12)
    # (c) a law that is invariant under all signed permutations: its minimiser is a multiple of I as well
    base = np.diag([2.0, 0.5])
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    batches = np.array([base, turn @ base @ turn.T])
    a = np.mean([np.sqrt(np.diag(B)).sum() for B in batches]) / 2
    residual(np.abs(minimiser(batches) - a**2 * np.eye(2)).max(), 1e-9)
    for b in (1, 2, 7, 50):  # the line, by quadrature over the chi distribution through its known mean
        factor = 2 / b * np.exp(2 * (gammaln((b + 1) / 2) - gammaln(b / 2)))
        draws = np.sqrt(rng.chisquare(b, 200_000) / b)
        residual(abs(draws.mean() / np.sqrt(factor) - 1), 5 * draws.std() / np.sqrt(200_000))
        residual(abs(factor - 1 + 1 / (2 * b)) * b**2, 0.2)
    # broken: a biased estimate need not lose trace, and for fixed batches nothing is lost
    batches = np.array([np.eye(2), np.eye(2)])
    assert np.abs(minimiser(batches) - np.eye(2)).max() < 1e-12
    assert np.trace(minimiser(2 * batches)) > np.trace(np.eye(2))
