"""The numbered statements of the chapter "Real data"."""
from __future__ import annotations

import numpy as np
from scipy.special import gammaln

import bwlib as bw


def squared(A, B):
    return bw.bures_wasserstein(A, B, squared=True)


def test_prop_two_noises(residual):
    rng = np.random.default_rng(130)

    def minus_likelihood(Sigma, Sigma0):  # twice the negative log-likelihood, without its constant
        return np.linalg.slogdet(Sigma)[1] + np.trace(np.linalg.solve(Sigma, Sigma0))

    for lam, k in [([4.0, 2.0, 1.0, 0.5], 2), ([4.0, 2.0, 1.0, 0.5], 0), ([3.0, 1.0, 1.0, 0.0], 1), ([2.0, 1.0, 1.0], 1)]:
        target, n, lam = bw.Covariance.from_spectrum(lam, rng=rng), len(lam), np.array(lam)
        likely, near = lam[k:].mean(), np.sqrt(lam[k:]).mean() ** 2
        models = [bw.best_low_rank(target, k, tau=tau) + tau * np.eye(n) for tau in (likely, near)]
        distances = [squared(model, target) for model in models]
        formulas = [2 * (n - k) * np.sqrt(likely) * (np.sqrt(likely) - np.sqrt(near)), (n - k) * (likely - near)]
        for value, formula in zip(distances, formulas):  # squared distances of covariances of trace up to 8
            residual(abs(value - formula), 1e-13 * 8)
        residual(distances[0] - 2 * distances[1], 1e-13 * 8)
        residual(abs(np.trace(models[0]) - lam.sum()), 1e-13)
        residual(abs(np.trace(models[1]) + distances[1] - lam.sum()), 1e-12)
        for i, tau in enumerate((likely, near)):
            spectrum = np.append(lam[:k], np.full(n - k, tau))
            residual(np.abs(np.linalg.eigvalsh(models[i])[::-1] - np.sort(spectrum)[::-1]).max(), 1e-13)
        for _ in range(200):  # other W and tau, near and far: neither is better
            tau = likely * np.exp(rng.normal() * rng.choice([1e-3, 1.0]))
            W = np.linalg.eigh(bw.best_low_rank(target, k, tau=tau))
            W = W[1][:, n - k:] * np.sqrt(np.maximum(W[0][n - k:], 0)) + 0.1 * rng.uniform() ** 3 * rng.standard_normal((n, k))
            other = W @ W.T + tau * np.eye(n)
            residual(minus_likelihood(models[0], target.matrix) - minus_likelihood(other, target.matrix), 1e-12)
            residual(distances[1] - squared(other, target), 1e-12)
    # broken: if nothing is discarded (lambda_{k+1} = 0), the likelihood grows without bound as tau tends to 0
    flat = np.diag([1.0, 0.0])
    values = [minus_likelihood(np.diag([1.0, tau]), flat) for tau in (1e-1, 1e-5, 1e-9)]
    assert values[0] > values[1] > values[2] and values[2] < -15


def limit(lam, kappa):
    lam = lam[lam > 0]
    return np.sum(lam * lam[:, None] / (lam + lam[:, None]) * kappa) / 2


def estimates(rng, target, M, draws, laplace=False):
    F = target.eigenvectors * np.sqrt(target.eigenvalues)
    shape = (draws, M, target.dim)
    z = rng.laplace(size=shape) / np.sqrt(2) if laplace else rng.standard_normal(shape)
    x = z @ F.T
    return x.mT @ x / M


def test_prop_sampling_error(residual):
    rng = np.random.default_rng(131)
    for lam in ([3.0, 1.0, 0.1], [1.0, 1e-6], [2.0, 1.0, 0.5, 0.0, 0.0], [1.0] * 6):
        for laplace in (False, True):
            target = bw.Covariance.from_spectrum(lam, rng=rng)
            r, positive = target.rank, target.eigenvalues[:target.rank]
            kappa = 1 + (4 if laplace else 1) * np.eye(r)  # a Laplace variable of variance 1 has fourth moment 6
            for M in (1, 2, 40):
                draws = squared(estimates(rng, target, M, 400, laplace), target)
                # (a) the mean of 400 draws may exceed its expectation by four standard errors
                residual(draws.mean() - 4 * draws.std() / 20, np.sum(positive[:, None] * kappa) / M)
                # (d) for every draw; rounding of a squared distance
                residual(target.eigenvalues[M:].sum() - draws.min(), 1e-12 * target.trace)
            M = 2000  # (b) terms of relative order 1 / M, and four standard errors of 400 draws
            draws = M * squared(estimates(rng, target, M, 400, laplace), target)
            constant = limit(target.eigenvalues, kappa)
            residual(abs(draws.mean() / constant - 1), 4 * draws.std() / 20 / constant + 0.01)
        constant = limit(target.eigenvalues, 1 + np.eye(r))  # (c) identities between sums of r^2 terms
        a, b = np.triu_indices(r, 1)
        explicit = positive.sum() / 2 + np.sum(positive[a] * positive[b] / (positive[a] + positive[b]))
        residual(abs(constant - explicit), 1e-13 * target.trace)
        residual(constant - (r + 1) / 4 * target.trace, 1e-13 * target.trace)
    # broken: dependent samples, each one used sixty times, are above the bound of as many independent ones
    target, M = bw.Covariance(np.eye(3)), 600
    draws = squared(estimates(rng, target, M // 60, 200), target)
    assert draws.mean() > (3 + 1) / M * target.trace


def test_prop_little_noise(residual):
    rng = np.random.default_rng(133)
    for n, q in [(2, 1), (4, 1), (5, 3), (3, 0)]:
        target = bw.Covariance.from_spectrum(rng.uniform(0.5, 3, n), rng=rng)
        F = rng.standard_normal((n, q))
        Y = np.linalg.svd(F, full_matrices=True)[0][:, q:]
        trace = np.sum(np.linalg.eigvalsh(Y.T @ np.linalg.solve(target.matrix, Y)) ** -0.5)
        residual((n - q) * np.sqrt(target.eigenvalues[-1]) - trace, 1e-13)
        before = squared(F @ F.T, target)
        for tau in (1e-4, 1e-6, 1e-8):  # the remainder is O(tau); rounding 1e-15 / sqrt(tau)
            after = squared(F @ F.T + tau * Y @ Y.T, target)
            residual(abs((after - before) / np.sqrt(tau) + 2 * trace), 200 * np.sqrt(tau))
            assert after < before
    # broken: if Sigma0 is singular, noise may only harm; if nothing is empty, there is no term in sqrt(tau)
    flat = np.diag([1.0, 0.0])
    assert squared(flat + np.diag([0.0, 1e-6]), flat) > squared(flat, flat)


def minimiser(batches, steps=25):
    """The minimiser of the mean squared distance to the batches: push forward by the mean transport map."""
    S = batches.mean(axis=0)
    for _ in range(steps):
        V = bw.sqrtm_psd(S)
        T = np.linalg.solve(V, np.linalg.solve(V, bw.sqrtm_psd(V @ batches @ V).mean(axis=0)).T)
        S = T @ S @ T.T
        S = (S + S.T) / 2
    return S


def mean_loss(S, batches):
    return squared(S, batches).mean()


def test_prop_batch_bias(residual):
    rng = np.random.default_rng(132)
    for n, b, tau in [(1, 2, 0.0), (2, 3, 0.3), (3, 1, 0.1), (4, 6, 0.0)]:
        target = bw.Covariance.from_spectrum(rng.uniform(0.5, 3, n), rng=rng)
        batches = estimates(rng, target, b, 30)
        Sigma0 = batches.mean(axis=0)  # the law is the uniform one on these matrices, Sigma0 its exact mean
        for _ in range(10):  # (a) an inequality between numbers exact to 1e-13
            W = rng.standard_normal((n, int(rng.integers(1, n + 1))))
            Sigma = W @ W.T + tau * np.eye(n)
            residual(squared(Sigma, Sigma0) - mean_loss(Sigma, batches), 1e-12)
        if b >= n:  # (b) positive definite batches: the iteration converges fast
            best = minimiser(batches)
            value = mean_loss(best, batches)
            residual(abs(np.trace(best) - np.trace(Sigma0) + value), 1e-9 * np.trace(Sigma0))
            for _ in range(20):
                D = rng.standard_normal((n, n))
                other = best + 0.1 * D @ D.T * rng.uniform()
                residual(value - mean_loss(other, batches), 1e-10)
                residual(mean_loss((best + other) / 2, batches) - (value + mean_loss(other, batches)) / 2, 1e-12)
    # broken: if the mean of the batches is not Sigma0, the mean loss may be smaller than the loss
    assert mean_loss(2 * np.eye(2), np.array([2 * np.eye(2)] * 2)) < squared(2 * np.eye(2), np.eye(2))


def test_prop_batch_shrinks(residual):
    rng = np.random.default_rng(134)
    for n, b in [(1, 1), (2, 2), (3, 5), (5, 6)]:
        target = bw.Covariance.from_spectrum(rng.uniform(0.2, 3, n), rng=rng)
        batches = estimates(rng, target, b, 40)
        Sigma0, best = batches.mean(axis=0), minimiser(batches, 40)
        assert np.linalg.eigvalsh(best)[0] > 0
        residual(1 - np.linalg.eigvalsh(bw.transport_map(best, Sigma0))[0], 1e-8)  # (b) accuracy of the iteration
        residual((np.linalg.eigvalsh(best) - np.linalg.eigvalsh(Sigma0)).max(), 1e-8)
        V = bw.sqrtm_psd(best)  # the fixed-point equation of the proof
        residual(np.abs(bw.sqrtm_psd(V @ batches @ V).mean(axis=0) - best).max(), 1e-8)
        for _ in range(10):  # (a) strict convexity: any other matrix is worse
            D = rng.standard_normal((n, n))
            assert mean_loss(best + 0.1 * D @ D.T, batches) > mean_loss(best, batches) + 1e-10
    # (c) a law invariant under reflections of the axes: every batch together with its mirror images
    flips = np.array([[1, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]])
    batches = estimates(rng, bw.Covariance(np.diag([3.0, 1.0, 0.3])), 4, 30)
    batches = np.concatenate([f[:, None] * batches * f for f in flips])
    best, s0 = minimiser(batches, 40), np.diag(batches.mean(axis=0))
    residual(np.abs(best - np.diag(np.diag(best))).max(), 1e-9)
    assert np.all(np.diag(best) < s0) and np.all(np.diag(best) > 0)
    # broken: no batch positive definite. Two orthogonal lines: every matrix on a segment through I / 4 is a minimiser
    lines = np.array([np.diag([1.0, 0.0]), np.diag([0.0, 1.0])])
    values = [mean_loss(np.array([[0.25, t], [t, 0.25]]), lines) for t in (0.0, 0.1, 0.25)]
    assert np.ptp(values) < 1e-14
    # and for a law without randomness nothing shrinks
    assert np.abs(minimiser(np.array([np.eye(2)] * 2)) - np.eye(2)).max() < 1e-12


def test_prop_batch_size(residual):
    rng = np.random.default_rng(135)
    lam = np.array([4.0, 1.0, 0.2])
    for laplace in (False, True):
        kappa = 1 + (4 if laplace else 1) * np.eye(3)
        c = np.sum((lam / (lam[:, None] + lam)) ** 2 * kappa, axis=1)
        residual(abs(lam @ c - limit(lam, kappa)), 1e-13)
        b = 40
        batches = estimates(rng, bw.Covariance(np.diag(lam)), b, 12000, laplace)
        shrink = b * (1 - np.diag(minimiser(batches, 5)) / np.diag(batches.mean(axis=0)))
        # relative error of order 1 / b, and four standard errors, each about 1.5 % (Laplace: 3 %)
        residual(np.abs(shrink / c - 1).max(), 4 / b * (4 if laplace else 1) + (0.12 if laplace else 0.06))
    gauss = 0.25 + np.sum((lam / (lam[:, None] + lam)) ** 2, axis=1)
    assert gauss.min() >= 0.5 and np.all(np.diff(gauss) > 0)
    for b in (1, 2, 7, 50):  # (b) the line, exactly, against the simulated mean of the chi distribution
        factor = 2 / b * np.exp(2 * (gammaln((b + 1) / 2) - gammaln(b / 2)))
        draws = np.sqrt(rng.chisquare(b, 200_000) / b)
        residual(abs(draws.mean() - np.sqrt(factor)), 5 * draws.std() / np.sqrt(200_000))
        residual(abs(factor - 1 + 1 / (2 * b)) * b**2, 0.2)
    # a law invariant under quarter turns, which commute with multiples of I only (among symmetric matrices)
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    batches = estimates(rng, bw.Covariance(np.eye(2)), 3, 20)
    batches = np.concatenate([batches, turn @ batches @ turn.T])
    root = np.sqrt(np.linalg.eigvalsh(batches)).sum(axis=1).mean() / 2
    residual(np.abs(minimiser(batches, 40) - root**2 * np.eye(2)).max(), 1e-9)
    # broken: with the constants of Gaussian data the Laplace law is off by far
    assert abs(shrink / gauss - 1).max() > 0.3
