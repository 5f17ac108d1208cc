"""The numbered statements of the chapter "The smoothed loss"."""
from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np

import bwlib as bw

EPS = np.finfo(float).eps
SPECTRA = [[4.0, 2.0, 1.0, 0.5], [3.0, 0.7], [2.0, 1.5, 0.3], [3.0, 2.0, 2.0, 0.4], [1.0, 1.0, 1.0], [2.5]]


def targets(rng, spectra=SPECTRA):
    return [bw.Covariance.from_spectrum(lam, rng=rng) for lam in spectra]


def index_sets(lam, m, tau):
    above = [i for i in range(len(lam)) if lam[i] > tau]
    return [J for r in range(min(len(above), m) + 1) for J in combinations(above, r)]


def critical(rng, target, J, m, tau):
    """Omega_J (Lam_J - tau)^(1/2) V^T with a random frame V; and the full orthogonal matrix of V."""
    J = list(J)
    V = np.linalg.qr(rng.standard_normal((m, m)))[0]
    return (target.eigenvectors[:, J] * np.sqrt(target.eigenvalues[J] - tau)) @ V[:, :len(J)].T, V


def minimum(lam, k, tau):
    return (np.sum(np.maximum(np.sqrt(tau) - np.sqrt(lam[:k]), 0)**2) + np.sum((np.sqrt(lam[k:]) - np.sqrt(tau))**2))


def table(lam, J, m, tau):
    """The six families of the chapter's table, ascending."""
    rest, pairs, r = [j for j in range(len(lam)) if j not in J], list(combinations(J, 2)), len(J)
    return np.sort(np.concatenate([
        [2 * (1 - tau / lam[i]) for i in J], [2 * (1 - 2 * tau / (lam[i] + lam[j])) for i, j in pairs],
        np.zeros(len(pairs) + r * (m - r)),
        [2 * (lam[i] - lam[j]) / (lam[i] + np.sqrt(lam[j] * tau)) for i in J for j in rest],
        [2 * (1 - np.sqrt(lam[j] / tau)) for j in rest] * (m - r)]))


def lowest(rng, n, k, m):
    return rng.standard_normal((n, k)) @ rng.standard_normal((k, m)) * rng.uniform(0.1, 1.2)


def test_prop_output_noise(residual):
    rng = np.random.default_rng(70)
    for target in targets(rng):
        n = target.dim
        for m, tau in [(1, 0.3), (2, 0.0), (n + 1, 2.0)]:
            W = rng.standard_normal((n, m))
            wide = np.hstack([W, np.sqrt(tau) * np.eye(n)])
            # (a), (b): three routes to one number; (error of a distance) x (size), squared distances of order ten
            direct = bw.bures_wasserstein(W @ W.T + tau * np.eye(n), target, squared=True)
            residual(abs(bw.BuresLoss(target, tau).value(W) - direct), 1e-10)
            residual(abs(bw.BuresLoss(target).value(wide) - direct), 1e-10)
            # (c): a density if and only if the covariance is invertible
            if tau > 0:
                assert np.linalg.eigvalsh(wide @ wide.T)[0] > 0.9 * tau
            elif m < n:                                                  # tau > 0 is needed
                assert np.linalg.eigvalsh(wide @ wide.T)[0] < 1e-12
    # independence is needed: with xi = z the covariance is (W + sqrt(tau) I)(W + sqrt(tau) I)^T
    W, tau = np.diag([1.0, 2.0]), 0.5
    dependent = (W + np.sqrt(tau) * np.eye(2)) @ (W + np.sqrt(tau) * np.eye(2)).T
    assert np.abs(dependent - (W @ W.T + tau * np.eye(2))).max() > 1


def test_thm_smoothed_critical_points(residual):
    rng = np.random.default_rng(71)
    for target in targets(rng, [*SPECTRA, [3.0, 1.0, 0.0]]):              # repeated and zero eigenvalues too
        lam, n = target.eigenvalues, target.dim
        for m in (1, 2, n + 1):
            for tau in (0.05, 0.6, 2.2):
                loss = bw.BuresLoss(target, tau)
                for J in index_sets(lam, m, tau):
                    W, _ = critical(rng, target, J, m, tau)
                    value, G = loss.value_and_gradient(W)
                    # errors: eps times the size of R and sqrt(lam/tau) <= 10
                    residual(np.abs(G).max(), 1e-12)
                    residual(abs(value - np.sum((np.sqrt(np.delete(lam, J)) - np.sqrt(tau))**2)), 1e-12)
                    if lam[-1] > 0:                                       # the transport map of the statement
                        T = bw.transport_map(W @ W.T + tau * np.eye(n), target)
                        t = np.sqrt(lam / tau)
                        t[list(J)] = 1
                        residual(np.abs(T @ target.eigenvectors - target.eigenvectors * t).max(), 1e-11)
    # only these: the search finds as many as the list, and each is of the form
    for lam, m, tau in [([3.0, 1.4, 0.6], 2, 0.5), ([2.0, 1.0], 2, 0.3), ([3.0, 1.4, 0.6], 3, 1.0)]:
        target = bw.Covariance.from_spectrum(lam, rng=rng)
        found = bw.search_critical_points(bw.BuresLoss(target, tau), m, starts=120, rng=rng)
        listed = bw.critical_points(target, m, tau=tau)
        p = sum(x > tau for x in lam)
        assert len(found) == len(listed) == sum(comb(p, r) for r in range(min(p, m) + 1))
        for W, point in zip(found, listed):
            residual(np.abs(W @ W.T - point.covariance).max(), 1e-6)      # the search stops at gradients of 1e-8
    # broken: variances not reduced by tau (the critical points without smoothing) are not critical
    target = bw.Covariance(np.diag([4.0, 1.0]))
    assert np.abs(bw.BuresLoss(target, 0.3).gradient(np.array([[2.0], [0.0]]))).max() > 0.1
    # broken: tau = 0 has a kink at rank one; the one-sided slope there is not zero
    flat, D, t = bw.BuresLoss(target), np.diag([0.0, 1.0]), 1e-7
    assert (flat.value(np.diag([2.0, 0.0]) + t * D) - flat.value(np.diag([2.0, 0.0]))) / t < -1.9


def test_thm_smoothed_minimum(residual):
    rng = np.random.default_rng(72)
    for target in targets(rng, [*SPECTRA, [3.0, 1.0, 0.0]]):
        lam, n = target.eigenvalues, target.dim
        for k in range(n + 1):
            for tau in (0.0, 0.2, 0.7, 1.0, 2.2, 5.0):
                loss, value = bw.BuresLoss(target, tau), minimum(lam, k, tau)
                best = bw.best_low_rank(target, k, tau=tau)
                factor = target.eigenvectors * np.sqrt(np.where(np.arange(n) < k, np.maximum(lam - tau, 0), 0))
                residual(np.abs(factor @ factor.T - best).max(), 1e-13)   # rounding of entries below 5
                residual(abs(loss.value(factor) - value), 1e-12)
                residual(abs(loss.minimum(k) - value), 1e-12)
                assert np.linalg.matrix_rank(factor, tol=1e-7) == min(k, int(np.sum(lam > tau + 1e-12)))
                for _ in range(8):
                    W = lowest(rng, n, max(k, 1), n) * (k > 0)
                    residual(value - loss.value(W), 1e-12)
    # not unique exactly when lam_k = lam_(k+1) > tau: exchange two eigenvectors
    equal = bw.BuresLoss(np.eye(2), 0.5)
    for W in (np.array([[1.0], [0.0]]), np.array([[0.0], [1.0]])):
        residual(abs(equal.value(W * np.sqrt(0.5)) - minimum(np.ones(2), 1, 0.5)), 1e-14)
    # unique for lam_k <= tau, equal or not: every other matrix of rank one is worse than zero
    for tau in (1.0, 1.5):
        flat = bw.BuresLoss(np.eye(2), tau)
        assert all(flat.value(lowest(rng, 2, 1, 2)) > flat.value(np.zeros((2, 2))) for _ in range(20))
    # (c): for lam_k <= tau rank-k matrices come as close as one likes and do not attain
    loss, best = bw.BuresLoss(np.diag([4.0, 1.0]), 2.0), minimum(np.array([4.0, 1.0]), 2, 2.0)
    gaps = [loss.value(np.diag([np.sqrt(2.0), e])) - best for e in (1e-1, 1e-2, 1e-3)]
    assert gaps[0] > gaps[1] > gaps[2] > 0
    residual(gaps[2], 1e-6)                                               # of order e^2
    # broken: without the bound on the rank the value is not a lower bound
    assert bw.BuresLoss(np.diag([4.0, 1.0]), 0.1).value(np.diag([2.0, 1.0])) < minimum(np.array([4.0, 1.0]), 1, 0.1)


def test_prop_smoothed_bias(residual):
    rng = np.random.default_rng(73)
    for target in targets(rng):
        lam, n = target.eigenvalues, target.dim
        for k in range(1, n + 1):
            for tau in (1e-3, 0.1, 0.6, 2.2):
                star, plain = bw.best_low_rank(target, k, tau=tau), bw.best_low_rank(target, k)
                short = np.minimum(lam[:k], tau)
                B2 = np.sum((np.sqrt(lam[:k]) - np.sqrt(lam[:k] - short))**2)
                residual(abs(np.trace(plain - star) - short.sum()), 1e-13)
                residual(abs(np.linalg.norm(plain - star) - np.linalg.norm(short)), 1e-13)
                # squared distances from singular matrices, errors of a few eps times the trace
                residual(abs(bw.bures_wasserstein(star, plain, squared=True) - B2), 1e-12)
                residual(abs(bw.bures_wasserstein(star, target, squared=True) - lam[k:].sum() - B2), 1e-12)
                if tau <= lam[k - 1]:
                    total = tau**2 * np.sum(1 / lam[:k])
                    residual(total / 4 - B2, 1e-15)
                    residual(B2 - total, 1e-15)
                    if tau == 1e-3:
                        residual(abs(B2 / (total / 4) - 1), 1e-2)         # relative error about tau / (2 lam_k)
    # broken: beyond lam_k the lower bound fails
    lam, tau = np.array([0.1]), 1.0
    assert lam.sum() < tau**2 / 4 * np.sum(1 / lam)


def likelihood(W, tau, S0):
    S = W @ W.T + tau * np.eye(len(W))
    return -0.5 * (len(W) * np.log(2 * np.pi) + np.linalg.slogdet(S)[1] + np.trace(np.linalg.solve(S, S0)))


def likelihood_gradient(W, tau, S0):
    inverse = np.linalg.inv(W @ W.T + tau * np.eye(len(W)))
    return -inverse @ (W - S0 @ inverse @ W)


def test_prop_likelihood(residual):
    rng = np.random.default_rng(74)
    for target in targets(rng, [*SPECTRA, [3.0, 1.0, 0.0]]):
        lam, n, S0 = target.eigenvalues, target.dim, target.matrix
        W, D, h = rng.standard_normal((n, 2)), rng.standard_normal((n, 2)), 1e-5
        slope = (likelihood(W + h * D, 0.4, S0) - likelihood(W - h * D, 0.4, S0)) / (2 * h)
        residual(abs(slope - np.sum(likelihood_gradient(W, 0.4, S0) * D)), 1e-5)       # order h^2 / tau^2
        for tau in (0.1, 0.6, 2.2):
            for J in index_sets(lam, 2, tau):
                W, _ = critical(rng, target, J, 2, tau)
                residual(np.abs(likelihood_gradient(W, tau, S0)).max(), 1e-10)          # eps times 1 / tau^2
            for k in range(1, n + 1):
                best = target.eigenvectors[:, :k] * np.sqrt(np.maximum(lam[:k] - tau, 0))
                top = likelihood(best, tau, S0)
                for _ in range(10):
                    residual(likelihood(lowest(rng, n, k, n), tau, S0) - top, 1e-11)
        # a point that is critical for neither: both gradients are away from zero
        W = rng.standard_normal((n, 2))
        assert min(np.abs(likelihood_gradient(W, 0.3, S0)).max(), np.abs(bw.BuresLoss(target, 0.3).gradient(W)).max()) > 1e-3
    # "for fixed tau" is needed: with tau free the optimal noise levels differ (next statement), and with it the minimisers
    lam = np.array([4.0, 1.0, 0.25])
    assert abs(np.mean(np.sqrt(lam[1:]))**2 - np.mean(lam[1:])) > 0.05


def test_prop_best_noise(residual):
    rng = np.random.default_rng(75)
    for target in targets(rng, [*SPECTRA, [3.0, 1.0, 0.0]]):
        lam, n = target.eigenvalues, target.dim
        for k in range(n):
            star = np.mean(np.sqrt(lam[k:]))**2
            value = lam[k:].sum() - (n - k) * star
            residual(abs(minimum(lam, k, star) - value), 1e-13)
            for tau in np.linspace(0, 2 * lam[0], 101):
                residual(value - minimum(lam, k, tau), 1e-13)
            for _ in range(10):
                W = lowest(rng, n, max(k, 1), n) * (k > 0)
                residual(value - bw.BuresLoss(target, rng.uniform(0, 2)).value(W), 1e-12)
            residual(star - np.mean(lam[k:]), 1e-15)
            assert (np.mean(lam[k:]) - star > 1e-6) == (lam[k] - lam[-1] > 1e-6)
    # k < n is needed: for k = n all 0 <= tau <= lam_n are optimal
    assert minimum(np.array([2.0, 1.0]), 2, 0.2) == minimum(np.array([2.0, 1.0]), 2, 0.9) == 0


def test_thm_smoothed_hessian(residual):
    rng = np.random.default_rng(76)
    for target in targets(rng, [*SPECTRA, [3.0, 1.0, 0.0, 0.0]]):
        lam, Omega, n = target.eigenvalues, target.eigenvectors, target.dim
        for m in (1, 2, n + 1):
            for tau in (0.02, 0.3, 0.9, 2.2):
                loss = bw.BuresLoss(target, tau)
                for J in index_sets(lam, m, tau):
                    W, V = critical(rng, target, J, m, tau)
                    expected = table(lam, J, m, tau)
                    assert expected.size == n * m
                    # errors of the Hessian: eps sqrt(lam_1 / tau) times its condition, below 1e-12
                    residual(np.abs(np.linalg.eigvalsh(loss.hessian(W)) - expected).max(), 1e-11)
                    residual(np.abs(bw.bures_hessian_spectrum(target, J, m, tau=tau)[::-1] - expected).max(), 1e-12)
                    # eigenvectors of the pairs and of the last family
                    s = np.sqrt(lam[list(J)] - tau)
                    for (a, i), (b, j) in combinations(enumerate(J), 2):
                        stretch = s[a] * np.outer(Omega[:, j], V[:, a]) + s[b] * np.outer(Omega[:, i], V[:, b])
                        turn = s[b] * np.outer(Omega[:, j], V[:, a]) - s[a] * np.outer(Omega[:, i], V[:, b])
                        value = 2 * (1 - 2 * tau / (lam[i] + lam[j]))
                        residual(np.abs(loss.hessian_vector_product(W, stretch) - value * stretch).max(), 1e-11)
                        residual(np.abs(loss.hessian_vector_product(W, turn)).max(), 1e-11)
                    for j in set(range(n)) - set(J):
                        for b in range(len(J), m):
                            Z = np.outer(Omega[:, j], V[:, b])
                            value = 2 * (1 - np.sqrt(lam[j] / tau))
                            residual(np.abs(loss.hessian_vector_product(W, Z) - value * Z).max(), 1e-11)
    # broken: away from a critical point the table does not hold
    W, _ = critical(rng, target := bw.Covariance(np.diag([4.0, 1.0])), (0,), 2, 0.5)
    values = np.linalg.eigvalsh(bw.BuresLoss(target, 0.5).hessian(1.2 * W))
    assert np.abs(values - table(np.array([4.0, 1.0]), (0,), 2, 0.5)).max() > 0.05


def test_cor_smoothed_saddles(residual):
    rng = np.random.default_rng(77)
    for target in targets(rng, [*SPECTRA, [3.0, 1.4, 0.6, 0.2], [3.0, 1.0, 0.0]]):
        lam, n = target.eigenvalues, target.dim
        for m in (1, 2, n + 1):
            for tau in (0.05, 0.35, 0.9, 2.2):
                loss, best = bw.BuresLoss(target, tau), minimum(lam, min(n, m), tau)
                for J in index_sets(lam, m, tau):
                    rest = [j for j in range(n) if j not in J]
                    # targets are generated with equal eigenvalues up to rounding: compare with a margin
                    index = sum(lam[j] > lam[i] + 1e-9 for i in J for j in rest)
                    index += (m - len(J)) * sum(lam[j] > tau for j in rest)
                    W, _ = critical(rng, target, J, m, tau)
                    assert index == np.sum(np.linalg.eigvalsh(loss.hessian(W)) < -1e-9)
                    assert (index == 0) == (abs(loss.value(W) - best) < 1e-10)
                    if index == 0:
                        residual(abs(loss.value(W) - best), 1e-12)
                    for k in range(len(J), min(n, m) + 1):  # bounded rank: optimal, or a way down of rank at most k
                        turns = [(lam[j] - lam[i], j, i) for i in J for j in rest if lam[j] > lam[i] + 1e-9]
                        adds = [(lam[j] - tau, j, None) for j in rest if lam[j] > tau + 1e-9 and len(J) < k]
                        if not turns + adds:
                            residual(abs(loss.value(W) - minimum(lam, k, tau)), 1e-12)
                            continue
                        _, j, i = max(turns + adds, key=lambda way: way[0])
                        rows = np.linalg.svd(W)[2]
                        v = rows[-1] if i is None else W.T @ target.eigenvectors[:, i]
                        moved = W + 1e-3 * np.outer(target.eigenvectors[:, j], v / np.linalg.norm(v))
                        assert np.linalg.matrix_rank(moved, tol=1e-7) <= k and loss.value(moved) < loss.value(W)
    # matrices, not networks: at a hidden bottleneck and tau > lam_n a local minimum need not be global.
    # widths (1, 1, 2), tau = 2: near (0, u_2) the loss of w a is above that of 0, and above the global minimum
    loss = bw.BuresLoss(np.diag([4.0, 1.0]), 2.0)
    value = loss.value(np.zeros((2, 1)))
    near = [loss.value(w * np.array([[np.sin(t)], [np.cos(t)]])) for w in (0.01, 0.1) for t in (-0.3, 0.0, 0.3)]
    assert min(near) > value > loss.minimum(1) + 0.3


def test_cor_smoothed_conditioning(residual):
    rng = np.random.default_rng(78)
    for target in targets(rng):
        lam, n = target.eigenvalues, target.dim
        for m in (n, n + 2):
            kappas = []
            for share in (1e-3, 0.3, 0.6, 0.9):
                tau = share * lam[-1]
                W, _ = critical(rng, target, tuple(range(n)), m, tau)
                values = np.linalg.eigvalsh(bw.BuresLoss(target, tau).hessian(W))
                zeros = n * (n - 1) // 2 + n * (m - n)
                residual(np.abs(values[:zeros]).max(initial=0), 1e-11)
                assert values[zeros] > 1e-2
                residual(abs(values[zeros] - 2 * (1 - tau / lam[-1])), 1e-11)
                residual(abs(values[-1] - 2 * (1 - tau / lam[0])), 1e-11)
                kappas.append(values[-1] / values[zeros])
            if lam[0] > lam[-1] + 1e-9:
                assert (np.diff(kappas) > 0).all()
            else:
                residual(max(abs(k - 1) for k in kappas), 1e-9)           # 1e-11 over the least eigenvalue
    # m >= n is needed: with m < n the smallest non-zero curvature belongs to a turn, not to lam_n
    values = bw.bures_hessian_spectrum(np.diag([4.0, 3.0, 1.0]), (0,), 1, tau=0.1)
    assert values[-1] < 2 * (1 - 0.1 / 1.0) - 0.5


def test_prop_smoothed_bounds(residual):
    rng = np.random.default_rng(79)
    for target in targets(rng):
        n, plain, trace = target.dim, bw.BuresLoss(target), np.trace(target.root)
        for m in (1, n, n + 2):
            for tau in (1e-5, 0.1, 3.0):
                W = rng.standard_normal((n, m)) * rng.uniform(0.3, 1.5)
                edge = np.maximum(np.linalg.eigvalsh(W @ W.T)[[0, -1]], 0) * ([0, 1] if m < n else [1, 1])
                change = bw.BuresLoss(target, tau).value(W) - plain.value(W)
                low, high = n * tau - 2 * (np.sqrt(edge + tau) - np.sqrt(edge)) * trace
                # two losses of order ten, each with an error of a few eps times its size
                residual(low - change, 1e-12)
                residual(change - high, 1e-12)
                residual(n * tau - 2 * np.sqrt(tau) * trace - change, 1e-12)
                residual(change - n * tau, 1e-12)
            grid = np.linspace(0, 3, 13)                                  # (a): convex
            values = np.array([bw.BuresLoss(target, t).value(W) for t in grid])
            residual(-np.diff(values, 2).min(), 1e-12)
            T, h = bw.transport_map(W @ W.T + np.eye(n), target), 1e-4
            slope = (bw.BuresLoss(target, 1 + h).value(W) - bw.BuresLoss(target, 1 - h).value(W)) / (2 * h)
            residual(abs(slope - (n - np.trace(T))), 1e-7)                # order h^2
        for c in (0.0, 0.6):
            for tau in (1e-3, 2.0):
                change = bw.BuresLoss(target, tau).value(c * np.eye(n)) - plain.value(c * np.eye(n))
                residual(abs(change - n * tau + 2 * (np.sqrt(c**2 + tau) - c) * trace), 1e-12)
    # broken: for a target zero the last inequality of (c) is an equality
    W, nothing = rng.standard_normal((3, 2)), np.zeros((3, 3))
    residual(abs(bw.BuresLoss(nothing, 0.4).value(W) - bw.BuresLoss(nothing).value(W) - 3 * 0.4), 1e-13)
    # broken: with a c larger than the least singular value the left bound fails
    W, tau, target = np.diag([1.0, 0.0]), 0.01, bw.Covariance(np.eye(2))
    change = bw.BuresLoss(target, tau).value(W) - bw.BuresLoss(target).value(W)
    assert change < 2 * tau - 2 * (np.sqrt(1 + tau) - 1) * 2 - 0.05


def test_prop_quadratic_growth(residual):
    rng = np.random.default_rng(80)
    for target in targets(rng, [[4.0, 2.0, 1.0, 0.5], [3.0, 0.7], [2.0, 1.5, 0.0], [1.0, 0.9, 0.1]]):
        lam, n = target.eigenvalues, target.dim
        for k in range(1, n):
            constant = np.sqrt(1 + 2 * lam[0] / (lam[k - 1] - lam[k]))
            best = target.eigenvectors[:, :k] * np.sqrt(lam[:k])
            for size in (1e-3, 1e-1, 1.0, 10.0):
                for _ in range(10):
                    W = best + size * rng.standard_normal((n, k)) if rng.random() < 0.7 else size * lowest(rng, n, k, n)
                    excess = max(bw.BuresLoss(target).value(W) - lam[k:].sum(), 0)
                    distance = bw.bures_wasserstein_factors(W, best)
                    residual(distance - constant * np.sqrt(excess), 1e-7)  # the root of the rounding of the excess
    # broken: without a gap the excess can be zero at distance sqrt(2)
    e1, e2 = np.eye(2)[:, :1], np.eye(2)[:, 1:]
    assert bw.BuresLoss(np.eye(2)).value(e2) - 1 < 1e-15 and bw.bures_wasserstein_factors(e2, e1) > 1.4
    # broken: W of rank above k has less loss than the bound allows for
    assert bw.BuresLoss(np.diag([4.0, 1.0])).value(np.diag([2.0, 1.0])) < 1.0


def test_thm_minimisers_converge(residual):
    rng = np.random.default_rng(81)
    for target in targets(rng, [*SPECTRA, [2.0, 1.5, 0.0]]):
        lam, n, plain, trace = target.eigenvalues, target.dim, bw.BuresLoss(target), np.trace(target.root)
        for tau in (1e-6, 1e-2, 0.5):
            loss = bw.BuresLoss(target, tau)
            for m in (1, n, n + 1):                                       # (a)
                W = rng.standard_normal((n, m))
                residual(abs(np.sqrt(loss.value(W)) - np.sqrt(plain.value(W))) - np.sqrt(n * tau), 1e-12)
            for k in range(1, n + 1):
                residual(abs(np.sqrt(loss.minimum(k)) - np.sqrt(plain.minimum(k))) - np.sqrt(n * tau), 1e-12)
                if lam[k - 1] > 0:                                        # (d), exact minimisers
                    star, best = bw.best_low_rank(target, k, tau=tau), bw.best_low_rank(target, k)
                    residual(np.linalg.norm(star - best) - np.sqrt(k) * tau, 1e-13)
                    residual(bw.bures_wasserstein(star, best) - tau * np.sqrt(np.sum(1 / lam[:k])), 1e-12)
                if k < n and lam[k - 1] > lam[k] + 1e-9:                  # (d), near-minimisers
                    constant = np.sqrt(1 + 2 * lam[0] / (lam[k - 1] - lam[k]))
                    centre = target.eigenvectors[:, :k] * np.sqrt(np.maximum(lam[:k] - tau, 0))
                    for size in (0.0, 1e-3, 0.3):
                        W = centre + size * rng.standard_normal((n, k))
                        epsilon = max(loss.value(W) - loss.minimum(k), 0)
                        distance = bw.bures_wasserstein_factors(W, target.eigenvectors[:, :k] * np.sqrt(lam[:k]))
                        residual(distance - constant * np.sqrt(epsilon + 2 * np.sqrt(tau) * trace), 1e-7)
                    if lam[-1] > 0:                                       # (e), small smoothing and small excess
                        rho = 2 * lam[0] / (lam[k - 1] - lam[k])
                        for share in (1.0, 1e-3):
                            small = share * lam[-1] / (6 * rho)**2
                            near, count = bw.BuresLoss(target, small), 0
                            centre = target.eigenvectors[:, :k] * np.sqrt(lam[:k] - small)
                            for size in (0.0, 1e-4, 1e-2, 0.03):
                                W = centre + size * rng.standard_normal((n, k))
                                epsilon = max(near.value(W) - near.minimum(k), 0)
                                if epsilon <= lam[k - 1] / (4 * (1 + 2 * rho)):
                                    bound = np.sqrt((1 + 2 * rho) * epsilon) + 2 * small * np.sqrt(k / lam[k - 1])
                                    distance = bw.bures_wasserstein_factors(W, target.eigenvectors[:, :k] * np.sqrt(lam[:k]))
                                    residual(distance - bound, 1e-7)      # the root of the rounding of the excess
                                    count += 1
                            assert count >= 2
    # (b), (c): near-minimisers and minimisers along tau -> 0
    target = bw.Covariance.from_spectrum([4.0, 2.0, 1.0], rng=rng)
    best, distances = bw.best_low_rank(target, 2), []
    for tau in (1e-2, 1e-4, 1e-6):
        W = target.eigenvectors[:, :2] * np.sqrt(np.array([4.0, 2.0]) - tau) + np.sqrt(tau) * rng.standard_normal((3, 2))
        distances.append(np.linalg.norm(W @ W.T - best))
    assert distances[0] > 5 * distances[1] > 25 * distances[2]
    # broken: without the gap (e) fails at epsilon = 0: exact minimisers at distance sqrt(2) from each other
    W = np.array([[0.0], [1.0]]) * np.sqrt(1 - 1e-8)
    assert bw.bures_wasserstein_factors(W, np.array([[1.0], [0.0]])) > 1.4
    # broken: epsilon_t must tend to zero: a fixed excess leaves a fixed distance
    loss = bw.BuresLoss(target, 1e-8)
    W = target.eigenvectors[:, [0, 2]] * np.array([2.0, 1.0])
    assert loss.value(W) - loss.minimum(2) < 1.1 and np.linalg.norm(W @ W.T - best) > 2
    # broken: uniqueness is needed for convergence of the whole sequence: minimisers may jump between two axes
    for W in (np.array([[1.0], [0.0]]), np.array([[0.0], [1.0]])):
        residual(bw.BuresLoss(np.eye(2), 1e-8).value(W * np.sqrt(1 - 1e-8)) - bw.BuresLoss(np.eye(2), 1e-8).minimum(1), 1e-12)


def test_prop_critical_values_converge(residual):
    rng = np.random.default_rng(82)
    for target in targets(rng):
        lam, n = target.eigenvalues, target.dim
        for m in (1, n, n + 1):
            previous = None
            for tau in (0.9 * lam[-1], 1e-2 * lam[-1], 1e-6 * lam[-1]):
                sets = index_sets(lam, m, tau)
                assert previous is None or sets == previous              # the same sets for all tau < lam_n
                previous = sets
                for J in sets:
                    W, V = critical(rng, target, J, m, tau)
                    rest = np.delete(lam, J)
                    value = bw.BuresLoss(target, tau).value(W)
                    expected = rest.sum() - 2 * np.sqrt(tau) * np.sqrt(rest).sum() + (n - len(J)) * tau
                    residual(abs(value - expected), 1e-12)
                    residual(value - rest.sum(), 1e-12)
                    assert len(J) == n or value < rest.sum()             # strictly decreasing, from its limit
                    limit = (target.eigenvectors[:, list(J)] * np.sqrt(lam[list(J)])) @ V[:, :len(J)].T
                    bound = np.sqrt(tau * sum(tau / lam[i] for i in J)) if J else 0.0
                    residual(np.linalg.norm(W - limit) - bound, 1e-13)    # sqrt(lam) - sqrt(lam - tau) <= tau / sqrt(lam)
                    if J:                                                # critical without smoothing on rank |J|
                        residual(np.abs(bw.BuresLoss(target).gradient(limit @ V[:, :len(J)])).max(), 1e-12)
    # broken: for tau >= lam_n sets are missing
    assert len(index_sets(np.array([4.0, 1.0]), 2, 1.5)) < len(index_sets(np.array([4.0, 1.0]), 2, 0.5))


def test_prop_too_much_smoothing(residual):
    rng = np.random.default_rng(83)
    for target in targets(rng):
        lam, n = target.eigenvalues, target.dim
        for tau in (0.5 * lam[-1], lam[-1] + 0.1, lam[0] + 0.5):
            loss, p = bw.BuresLoss(target, tau), int(np.sum(lam > tau))
            for k in range(n + 1):                                       # (a)
                rank = bw.Covariance(bw.best_low_rank(target, k, tau=tau)).rank
                assert rank == min(p, k)
            # (b): the gradient in the region
            for c in (0.1, 0.8):
                bound = 4 * c**2 / (c**2 + tau) * (np.sqrt(c**2 + tau) - np.sqrt(lam[-1]))**2
                for _ in range(10):
                    U, s, Vt = np.linalg.svd(rng.standard_normal((n, n + 1)), full_matrices=False)
                    W = (U * np.maximum(s, c)) @ Vt
                    if tau >= lam[-1]:
                        residual(bound - np.sum(loss.gradient(W)**2), 1e-12)
            if tau >= lam[-1]:                                           # the flow leaves it, not later than proved
                latest = loss.value(np.eye(n)) / bound
                flow = bw.gradient_flow(np.eye(n), loss, np.linspace(0, latest, 9))
                assert flow.singular_values.min() < c
            if tau < lam[-1]:                                            # a critical point with c^2 = lam_n - tau
                W, _ = critical(rng, target, tuple(range(n)), n, tau)
                residual(np.abs(loss.gradient(W)).max(), 1e-12)
                assert np.linalg.eigvalsh(W @ W.T)[0] > lam[-1] - tau - 1e-12
            # (c)
            residual(abs(loss.minimum(n) - np.sum(np.maximum(np.sqrt(tau) - np.sqrt(lam), 0)**2)), 1e-13)
            # (d)
            least = np.linalg.eigvalsh(loss.hessian(np.zeros((n, 2))))[0]
            residual(abs(least - 2 * (1 - np.sqrt(lam[0] / tau))), 1e-11)
            if tau >= lam[0]:
                for _ in range(5):
                    values = np.linalg.eigvalsh(loss.hessian(rng.standard_normal((n, 2))))
                    residual(-values[0], 1e-12)
                    W = rng.standard_normal((n, 2))
                    assert loss.value(W) > loss.value(0 * W) and np.abs(loss.gradient(W)).max() > 1e-4
    # broken: for tau < lam_n the bound of (b) fails at the minimum, where the gradient is zero
    lam, tau = np.array([4.0, 1.0]), 0.5
    W, c = np.diag(np.sqrt(lam - tau)), 0.3
    bound = 4 * c**2 / (c**2 + tau) * (np.sqrt(c**2 + tau) - 1)**2
    assert np.sum(bw.BuresLoss(np.diag(lam), tau).gradient(W)**2) < 1e-20 < bound
