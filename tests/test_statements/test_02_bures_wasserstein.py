"""The statements of chapter 2: one test per statement, and what breaks without a hypothesis.

Bounds: products and singular values of matrices with entries of order one round by a few dozen ``EPS`` times the
squared norms, written ``ROUND * size``.  The square root of a singular matrix turns a rounding error ``delta`` into
``sqrt(delta)``; where one is formed from a *product*, the bound is a multiple of ``sqrt(EPS)``.
"""
import numpy as np
import pytest
from numpy.linalg import eigvalsh, inv, matrix_rank, norm, svd
from scipy.linalg import expm
from scipy.optimize import linear_sum_assignment
from scipy.stats import norm as normal

from bwlib import (bures_wasserstein, bures_wasserstein_factors, geodesic, polar, sqrtm_psd, transport_map)

EPS = np.finfo(float).eps
ROUND = 200 * EPS
RANKS = [(1, 1, 1), (2, 2, 2), (3, 1, 3), (4, 2, 2), (4, 2, 3), (5, 5, 1), (6, 6, 6)]  # n, rank of Sigma and of Sigma0
SIZES = [1, 2, 3, 5, 8]


def orthogonal(rng, n):
    return polar(rng.standard_normal((n, n)))


def frame(rng, n, k):
    return orthogonal(rng, n)[:, :k]


def factor(rng, n, r):
    """n x r with singular values between 1 and 2."""
    return frame(rng, n, r) * rng.uniform(1, 2, r) @ orthogonal(rng, r)


def positive_definite(rng, n, low=0.5, high=4.0):
    Omega = orthogonal(rng, n)
    return (Omega * rng.uniform(low, high, n)) @ Omega.T


def nuclear(X):
    return svd(X, compute_uv=False).sum()


def clean_root(F):
    """(F F^T)^(1/2) from the singular values of F: no rounded product, no root of noise."""
    U, s, _ = svd(F, full_matrices=False)
    return (U * s) @ U.T


def textbook_squared(W, A):
    """The definition, with the roots taken from the factors: tr (R Sigma R)^(1/2) = tr |R W|."""
    R = clean_root(A)
    return np.sum(W**2) + np.sum(A**2) - 2 * np.trace(clean_root(R @ W))


def padded(X, columns):
    return np.hstack([X, np.zeros((X.shape[0], columns - X.shape[1]))])


def gain(P, Sigma, Sigma0):
    eye = np.eye(len(P))
    return np.trace(Sigma @ (eye - P)) + np.trace(Sigma0 @ (eye - inv(P)))


def test_thm_bw_gaussian(residual):
    rng = np.random.default_rng(21)
    for n, r, r0 in RANKS:
        W, A = factor(rng, n, r), factor(rng, n, r0)
        Sigma, Sigma0 = W @ W.T, A @ A.T
        size = np.trace(Sigma) + np.trace(Sigma0)
        squared = textbook_squared(W, A)
        S, R = clean_root(W), clean_root(A)
        # (b) the optimal coupling of the proof: a covariance with the right blocks and the right cost
        X = S @ polar(R @ S).T @ R
        block = np.block([[Sigma, X], [X.T, Sigma0]])
        residual(-eigvalsh(block)[0], ROUND * size)
        residual(abs(size - 2 * np.trace(X) - squared), ROUND * size)
        # (a) no admissible cross-covariance does better: X = S K R with contractions K, those at the boundary included
        for _ in range(50):
            K = rng.standard_normal((n, n))
            K /= norm(K, 2) * rng.choice([1.0, 1.0, 2.0])
            residual(squared - (size - 2 * np.trace(S @ K @ R)), ROUND * size)
            residual(squared - (size - 2 * np.trace(S @ orthogonal(rng, n) @ R)), ROUND * size)
        # the library computes the same number
        residual(abs(bures_wasserstein_factors(W, A, squared=True) - squared), ROUND * size)
        residual(abs(bures_wasserstein(Sigma, Sigma0, squared=True) - squared), ROUND * size)
    # (a) for laws that are not Gaussian: uniform laws on point clouds, all pairings
    for n in (1, 2, 4):
        x, y = rng.exponential(size=(40, n)), rng.uniform(-1, 2, size=(40, n))
        x, y = x - x.mean(0), y - y.mean(0)
        cost = np.sum((x[:, None] - y[None])**2, axis=-1)
        best = cost[linear_sum_assignment(cost)].mean()
        lower = bures_wasserstein(x.T @ x / 40, y.T @ y / 40, squared=True)
        residual(lower - best, ROUND * cost.max())
        assert best > lower + 1e-3  # and not with equality: Gaussianity is needed in (b)
    # contraction is needed: K = 2 I gives a smaller "cost", but the block matrix is no covariance
    X = 2.0 * np.eye(1)
    assert 1 + 1 - 2 * X[0, 0] < 0 and eigvalsh(np.block([[np.eye(1), X], [X.T, np.eye(1)]]))[0] < -0.5
    # the coin against the Gaussian: equal covariances, W_2^2 = 2 - 2 sqrt(2/pi) (quantile coupling, midpoint rule)
    u = (np.arange(200_000) + 0.5) / 200_000
    coin = np.mean((np.sign(u - 0.5) - normal.ppf(u))**2)
    residual(abs(coin - (2 - 2 * np.sqrt(2 / np.pi))), 1e-4)  # the cut tails weigh about log(M) / M


def test_prop_bw_commuting(residual):
    rng = np.random.default_rng(22)
    for n in SIZES:
        Omega = orthogonal(rng, n)
        sigma, lam = rng.uniform(0, 2, n), rng.uniform(0, 4, n)
        if n > 2:
            sigma[0] = lam[1] = 0.0  # singular matrices too
        squared = bures_wasserstein_factors(Omega * sigma, Omega * np.sqrt(lam), squared=True)
        residual(abs(squared - np.sum((sigma - np.sqrt(lam))**2)), ROUND * 8 * n)
        roots = norm((Omega * sigma) @ Omega.T - (Omega * np.sqrt(lam)) @ Omega.T)
        residual(abs(squared - roots**2), ROUND * 8 * n)
    for n, r, r0 in RANKS:
        W, A = factor(rng, n, r), factor(rng, n, r0)
        S, R = clean_root(W), clean_root(A)
        size = np.sum(W**2) + np.sum(A**2)
        squared = bures_wasserstein_factors(W, A, squared=True)
        residual(squared - norm(S - R)**2, ROUND * size)
        commutator = norm(W @ W.T @ A @ A.T - A @ A.T @ W @ W.T)
        if commutator > 0.1:  # equality only for commuting matrices
            assert norm(S - R)**2 > squared + 1e-4
    # without a common basis the formula by axes is wrong: two ellipses at right angles
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
    stretched = np.diag([2.0, 1.0])
    axes = [np.sqrt(eigvalsh(X @ X.T)) for X in (stretched, quarter @ stretched)]
    assert norm(axes[0] - axes[1]) < 1e-12 and bures_wasserstein_factors(stretched, quarter @ stretched) > 1.4


def test_thm_procrustes(residual):
    rng = np.random.default_rng(23)
    for n, m, columns in [(1, 1, 1), (3, 3, 3), (4, 2, 4), (4, 5, 2), (5, 2, 1), (3, 6, 6), (6, 1, 3)]:
        W, A = rng.standard_normal((n, m)), rng.standard_normal((n, columns))
        q = max(m, columns)
        Wp, Ap = padded(W, q), padded(A, q)
        size = np.sum(W**2) + np.sum(A**2)
        squared = textbook_squared(W, A)
        residual(abs(squared - (size - 2 * nuclear(A.T @ W))), ROUND * size)
        U, s, Vt = svd(Ap.T @ Wp)
        residual(abs(norm(Wp - Ap @ (U @ Vt))**2 - squared), ROUND * size)
        for _ in range(50):  # no orthogonal matrix does better
            residual(squared - norm(Wp - Ap @ orthogonal(rng, q))**2, ROUND * size)
        # every orthogonal completion of the polar factor is a minimiser ...
        r = int((s > 1e-10 * s[0]).sum())
        change = np.eye(q)
        change[r:, r:] = orthogonal(rng, q - r) if r < q else 0
        residual(abs(norm(Wp - Ap @ U @ change @ Vt)**2 - squared), ROUND * size)
        # ... and any rotation that moves the polar part is not: the excess is 2 sum s_i (1 - cos)
        if r >= 2:
            Z = np.zeros((q, q))
            Z[0, 1], Z[1, 0] = -0.5, 0.5
            excess = norm(Wp - Ap @ U @ expm(Z) @ Vt)**2 - squared
            residual(abs(excess - 2 * (1 - np.cos(0.5)) * (s[0] + s[1])), ROUND * size)
            assert excess > 1e-3 * (s[0] + s[1])
    # unique if and only if A^T W is invertible: at rank q - 1 there are two completions
    W, A = np.diag([1.0, 0.0]), np.diag([1.0, 2.0])
    completions = [np.diag([1.0, sign]) for sign in (1.0, -1.0)]
    assert [norm(W - A @ O) for O in completions] == [2.0, 2.0]
    # dropping orthogonality (the compact polar factor) is wrong at a rank-deficient product
    assert norm(W - A @ polar(A.T @ W)) == 0.0 < bures_wasserstein(W @ W.T, A @ A.T)


def test_prop_residual_form(residual):
    rng = np.random.default_rng(24)
    for n, m, columns in [(1, 1, 1), (4, 3, 3), (4, 2, 4), (4, 5, 2), (5, 2, 1), (3, 6, 2), (6, 1, 3), (2, 5, 4), (7, 2, 7)]:
        for deficient in (False, True):
            W, A = rng.standard_normal((n, m)), rng.standard_normal((n, columns))
            if deficient:  # zero columns: A^T W loses rank, s contains zeros
                W[:, 0] = 0.0
                A[:, -1] = 0.0
            size = np.sum(W**2) + np.sum(A**2)
            squared = textbook_squared(W, A)
            U, s, Vt = svd(A.T @ W, full_matrices=False)
            first, second = norm(W - A @ U @ Vt)**2, norm(A - W @ Vt.T @ U.T)**2
            if m >= columns:
                residual(abs(first - squared), ROUND * size)
            if m <= columns:
                residual(abs(second - squared), ROUND * size)
            if m < columns:  # the tempting formula misses a part of A, by exactly this much
                residual(abs(squared - first - norm(A - A @ U @ U.T)**2), ROUND * size)
                if not deficient and n >= columns:
                    assert first < squared - 1e-6
    # "not truncated" is needed: with the zero singular value dropped, W = diag(1, 0), A = diag(1, 2) look equal
    W, A = np.diag([1.0, 0.0]), np.diag([1.0, 2.0])
    U, s, Vt = svd(A.T @ W)
    assert norm(W - A @ U[:, :1] @ Vt[:1]) < 1e-15 and norm(W - A @ U @ Vt) == pytest.approx(2.0)


def test_thm_metric(residual):
    rng = np.random.default_rng(25)
    for n in SIZES:
        for _ in range(60):
            F, G, H = (rng.standard_normal((n, rng.integers(1, n + 1))) for _ in range(3))
            size = norm(F) + norm(G) + norm(H)
            fg, gh, fh = (bures_wasserstein_factors(*pair) for pair in ((F, G), (G, H), (F, H)))
            residual(abs(fg - bures_wasserstein_factors(G, F)), ROUND * size)
            residual(fh - fg - gh, ROUND * size)
            residual(bures_wasserstein_factors(F, F @ orthogonal(rng, F.shape[1])), ROUND * size)  # same covariance
            # zero only for equal matrices: |Sigma - Sigma0|_F <= (|F| + |G|) B
            residual(norm(F @ F.T - G @ G.T) - size * fg, ROUND * size**2)
    # equality in the triangle inequality: three points of a geodesic
    assert bures_wasserstein([[0.0]], [[4.0]]) == pytest.approx(2 * bures_wasserstein([[0.0]], [[1.0]]), rel=1e-15)
    # the squared distance is no metric, and the distance of unaligned factors is not zero for equal covariances
    assert 4.0 == bures_wasserstein([[0.0]], [[4.0]], squared=True) > 1.0 + 1.0
    assert norm(np.eye(2) - orthogonal(rng, 2)) > 0.1
    # for indefinite matrices the formula makes no sense, and the library refuses them
    with pytest.raises(ValueError):
        bures_wasserstein(np.diag([1.0, -1.0]), np.eye(2))


def test_prop_smoothing_bound(residual):
    rng = np.random.default_rng(26)
    for n, r, r0 in RANKS:
        W, A = factor(rng, n, r), factor(rng, n, r0)
        size = norm(W) + norm(A) + np.sqrt(n)
        for tau in (0.0, 1e-12, 1e-6, 1e-2, 1.0, 100.0):
            smoothed = np.hstack([W, np.sqrt(tau) * np.eye(n)])
            change = abs(bures_wasserstein_factors(smoothed, A) - bures_wasserstein_factors(W, A))
            moved = bures_wasserstein_factors(smoothed, W)
            residual(change - moved, ROUND * (size + np.sqrt(n * tau)))
            residual(moved - np.sqrt(n * tau), ROUND * (size + np.sqrt(n * tau)))
            if r == n:
                c = svd(W, compute_uv=False)[-1]
                residual(moved - tau * np.sqrt(n) / (2 * c), ROUND * (size + np.sqrt(n * tau)))
    for n in SIZES:  # equality at zero
        residual(abs(bures_wasserstein(0.3 * np.eye(n), np.zeros((n, n))) - np.sqrt(0.3 * n)), ROUND * n)
    # the linear bound needs Sigma >= c^2 I: at a singular Sigma the change is not of order tau
    singular = np.diag([1.0, 0.0])
    ratios = [bures_wasserstein(singular + tau * np.eye(2), singular) / tau for tau in (1e-2, 1e-4, 1e-6)]
    assert ratios[1] > 9 * ratios[0] and ratios[2] > 9 * ratios[1]
    # and tau >= 0: with a negative tau the matrix leaves the cone
    with pytest.raises(ValueError):
        bures_wasserstein(singular - 0.1 * np.eye(2), singular)


def test_thm_transport_map(residual):
    rng = np.random.default_rng(27)
    for n in SIZES:
        for rank in {1, n}:
            Sigma, A = positive_definite(rng, n), factor(rng, n, rank)
            Sigma0, S = A @ A.T, sqrtm_psd(Sigma)
            T = inv(S) @ clean_root(S @ A) @ inv(S)              # (S Sigma0 S)^(1/2) = |A^T S|, from the factor S A
            size = 20 * (np.trace(Sigma) + np.trace(Sigma0))
            residual(norm(T @ Sigma @ T - Sigma0), ROUND * size)
            residual(-eigvalsh((T + T.T) / 2)[0], ROUND * size)
            # (b) cost, and no coupling does better: E|T^(1/2)x - T^(1/2)+ y|^2 = 2 tr T Sigma - 2 tr X, zero for the map only
            squared = bures_wasserstein_factors(S, A, squared=True)
            cost = np.trace((np.eye(n) - T) @ Sigma @ (np.eye(n) - T))
            residual(abs(cost - squared), ROUND * size)
            U, s, _ = svd(S @ A, full_matrices=False)
            U, s, _ = svd(inv(S) @ U * np.sqrt(s), full_matrices=False)  # a factor of T: no root of a rounded product
            half, half_inverse = (U * s) @ U.T, (U / s) @ U.T            # T^(1/2) and its pseudo-inverse
            residual(norm(half @ half - T), ROUND * size)
            for _ in range(20):
                K = rng.standard_normal((n, n))
                X = S @ (K / norm(K, 2)) @ clean_root(A)
                residual(np.trace(X) - np.trace(T @ Sigma), ROUND * size)
                square = np.trace(T @ Sigma) + np.sum((half_inverse @ A)**2) - 2 * np.trace(half @ half_inverse @ X.T)
                residual(abs(square - 2 * np.trace(T @ Sigma) + 2 * np.trace(X)), ROUND * size)
                if norm(X - Sigma @ T) > 0.1:
                    assert square > 1e-6
            # uniqueness among positive semidefinite matrices: other solutions of M Sigma M^T = Sigma0 are not PSD
            other = A @ orthogonal(rng, rank) @ np.hstack([np.eye(rank), np.zeros((rank, n - rank))]) @ inv(S)
            residual(norm(other @ Sigma @ other.T - Sigma0), ROUND * size)
            if norm(other - T) > 0.1:
                asymmetric = norm(other - other.T) > 1e-3
                assert asymmetric or eigvalsh(other)[0] < -1e-3
            residual(squared - np.trace((np.eye(n) - other) @ Sigma @ (np.eye(n) - other).T), ROUND * size)
        # (c) both positive definite
        Sigma, Sigma0 = positive_definite(rng, n), positive_definite(rng, n)
        R, T = sqrtm_psd(Sigma0), transport_map(Sigma, Sigma0)
        size = 100 * n
        residual(norm(T - R @ inv(sqrtm_psd(R @ Sigma @ R)) @ R), ROUND * size)
        residual(norm(T @ Sigma @ T - Sigma0), ROUND * size)
        residual(norm(inv(T) - transport_map(Sigma0, Sigma)), ROUND * size)
        assert eigvalsh(T)[0] > 0
    # singular source: none (the rank of T Sigma T^T is at most one), or many
    Sigma = np.diag([1.0, 0.0])
    assert all(matrix_rank(M @ Sigma @ M.T) <= 1 for M in rng.standard_normal((20, 2, 2)))
    for t in (0.0, 1.0, 7.0):
        assert np.array_equal(np.diag([2.0, t]) @ Sigma @ np.diag([2.0, t]), np.diag([4.0, 0.0]))
    # nor is the optimal coupling unique then: between two orthogonal lines every cross-covariance costs the same
    line, across = np.diag([1.0, 0.0]), np.diag([0.0, 1.0])
    for k in (-1.0, 0.0, 0.5):
        X = np.array([[0.0, k], [0.0, 0.0]])
        assert eigvalsh(np.block([[line, X], [X.T, across]]))[0] > -1e-12  # a coupling exists
        assert np.trace(line + across - 2 * X) == 2.0 == pytest.approx(bures_wasserstein(line, across, squared=True))
    # a map that is not positive semidefinite carries the law over, but costs more
    assert 4.0 == np.trace((np.eye(1) + np.eye(1)) @ np.eye(1) @ (np.eye(1) + np.eye(1))) > bures_wasserstein([[1.0]], [[1.0]])
    with pytest.raises(ValueError):
        transport_map(Sigma, np.eye(2))


def test_thm_geodesic(residual):
    rng = np.random.default_rng(28)
    times = np.linspace(0, 1, 6)
    for n, r, r0 in RANKS:
        q = max(r, r0)
        W, A = padded(factor(rng, n, r), q), padded(factor(rng, n, r0), q)
        U, _, Vt = svd(A.T @ W)
        AO = A @ U @ Vt
        size = norm(W) + norm(A)
        distance = bures_wasserstein_factors(W, A)
        path = [(1 - s) * W + s * AO for s in times]
        for s, F in zip(times, path):
            for s2, F2 in zip(times, path):  # (a) constant speed
                residual(abs(bures_wasserstein_factors(F, F2) - abs(s - s2) * distance), ROUND * size)
            # (b) the gap to the straight line, and the trace
            gap = (1 - s) * W @ W.T + s * A @ A.T - F @ F.T
            residual(norm(gap - s * (1 - s) * (W - AO) @ (W - AO).T), ROUND * size**2)
            residual(-eigvalsh(gap)[0], ROUND * size**2)
            residual(abs(np.trace(gap) - s * (1 - s) * distance**2), ROUND * size**2)
            # the library's curve is a geodesic as well
            P = geodesic(W @ W.T, A @ A.T, s)
            residual(abs(bures_wasserstein(P, W @ W.T) - s * distance), 1e-7 * size)  # roots of rounded products
    for n, rank in sorted({(n, rank) for n in SIZES for rank in (1, n)}):  # (c), the target singular too
        Sigma, A = positive_definite(rng, n), padded(factor(rng, n, rank), n)
        Sigma0, S = A @ A.T, sqrtm_psd(Sigma)
        T = inv(S) @ clean_root(S @ A) @ inv(S)
        if rank == n:
            residual(norm(T - transport_map(Sigma, Sigma0)), 20 * ROUND * n)
        W = np.linalg.cholesky(Sigma)
        U, _, Vt = svd(A.T @ W)
        AO = A @ U @ Vt
        residual(norm(AO - T @ W), 20 * ROUND * n)
        for s in times:
            step = (1 - s) * np.eye(n) + s * T
            closed = step @ Sigma @ step
            residual(norm(((1 - s) * W + s * AO) @ ((1 - s) * W + s * AO).T - closed), 20 * ROUND * n)
            residual(norm(geodesic(Sigma, Sigma0, s) - closed), 20 * ROUND * n)
            if s < 1:
                assert eigvalsh(closed)[0] >= (1 - s)**2 * eigvalsh(Sigma)[0] * (1 - 1e-10) > 0
    # singular ends: two different geodesics between the same matrices
    def first(s):
        return np.diag([(1 - s)**2, s**2])

    def second(s):
        return np.outer([1 - s, s], [1 - s, s])

    for curve in (first, second):
        for s in times:
            for s2 in times:
                # thin factors again: the square root of a singular product, exact here up to its rank decision
                residual(abs(bures_wasserstein(curve(s), curve(s2)) - abs(s - s2) * np.sqrt(2)), ROUND)
    assert bures_wasserstein(first(0.5), second(0.5)) > 0.5
    # factors that are not aligned do not give a geodesic: W = I and A = -I, half way there is nothing left
    assert bures_wasserstein(np.zeros((2, 2)), np.eye(2)) > 1.4 and bures_wasserstein(np.eye(2), np.eye(2)) == 0.0
    # the straight line of matrices is none either, unless the ends are equal
    start, end = np.diag([9.0, 0.04]), np.diag([0.04, 9.0])
    assert bures_wasserstein((start + end) / 2, start) > 0.5 * bures_wasserstein(start, end) + 0.05


def test_thm_variational(residual):
    rng = np.random.default_rng(29)
    for n, r, r0 in RANKS:
        W, A = factor(rng, n, r), factor(rng, n, r0)
        Sigma, Sigma0 = W @ W.T, A @ A.T
        squared = bures_wasserstein_factors(W, A, squared=True)
        size = np.trace(Sigma) + np.trace(Sigma0)
        for _ in range(50):
            P = positive_definite(rng, n, 0.05, 20.0)
            residual(gain(P, Sigma, Sigma0) - squared, 20 * ROUND * size)
        # the supremum is approached by the maps of the enlarged pair: J(T_e) >= B^2 of that pair
        for e in (1e-2, 1e-4, 1e-6):
            larger, larger0 = Sigma + e * np.eye(n), Sigma0 + e * np.eye(n)
            T = transport_map(larger, larger0)
            # forming T costs cond(T) eps, at most size / e eps
            residual(bures_wasserstein(larger, larger0, squared=True) - gain(T, Sigma, Sigma0), ROUND * size**2 / e)
            residual(squared - gain(T, Sigma, Sigma0), 4 * np.sqrt(squared * n * e) + ROUND * size**2 / e)
    for n in SIZES:
        Sigma, Sigma0 = positive_definite(rng, n), positive_definite(rng, n)
        T = transport_map(Sigma, Sigma0)
        squared = bures_wasserstein(Sigma, Sigma0, squared=True)
        residual(abs(gain(T, Sigma, Sigma0) - squared), ROUND * 100 * n)
        Z = rng.standard_normal((n, n))
        assert gain(expm(0.05 * (Z + Z.T)) @ T @ expm(0.05 * (Z + Z.T)), Sigma, Sigma0) < squared - 1e-6  # nowhere else
    # singular: the supremum 1 is not attained, J(diag(a, p)) = (1 - a) + (1 - 1/a) + (1 - 1/p) < 1
    singular = np.diag([1.0, 0.0])
    assert all(gain(positive_definite(rng, 2, 1e-3, 1e3), singular, np.eye(2)) < 1 for _ in range(200))
    assert gain(np.diag([1.0, 1e6]), singular, np.eye(2)) > 1 - 2e-6
    # P > 0 is needed: an indefinite P earns more than the distance
    assert gain(np.array([[-1.0]]), np.eye(1), np.eye(1)) > bures_wasserstein([[1.0]], [[1.0]], squared=True)


def test_prop_variational_attained(residual):
    rng = np.random.default_rng(30)
    for n, r in [(1, 1), (3, 1), (3, 2), (4, 4), (6, 3)]:
        W = factor(rng, n, r)
        A = W + 0.3 * rng.standard_normal((n, r))  # same rank, and A^T W invertible
        Sigma, Sigma0 = W @ W.T, A @ A.T
        assert matrix_rank(Sigma) == matrix_rank(Sigma0) == matrix_rank(Sigma0 @ Sigma) == r
        aligned = A @ polar(A.T @ W)
        Q = svd(W)[0][:, r:]  # complement of the range of W
        for weight in (1.0, 5.0):  # the construction of the proof, and another maximiser if r < n
            P = aligned @ inv(W.T @ aligned) @ aligned.T + weight * Q @ Q.T
            P = (P + P.T) / 2
            size = 100 * norm(inv(P)) * norm(P)  # the inverse in J rounds by eps times the condition number
            assert eigvalsh(P)[0] > 0
            residual(norm(P @ Sigma @ P - Sigma0), ROUND * size)
            residual(abs(gain(P, Sigma, Sigma0) - bures_wasserstein_factors(W, A, squared=True)), ROUND * size)
    # necessity: unequal ranks, or equal ranks with a singular product; the gain stays below the supremum
    for Sigma, Sigma0 in [(np.diag([1.0, 0.0]), np.eye(2)), (np.eye(2), np.diag([1.0, 0.0])),
                          (np.diag([1.0, 0.0]), np.diag([0.0, 1.0]))]:
        supremum = bures_wasserstein(Sigma, Sigma0, squared=True)
        for _ in range(200):
            assert gain(positive_definite(rng, 2, 1e-3, 1e3), Sigma, Sigma0) < supremum - 1e-4


def test_cor_bw_convex(residual):
    rng = np.random.default_rng(31)
    for n, r, r0 in RANKS:
        for _ in range(30):
            pairs = [(factor(rng, n, r), factor(rng, n, r0)) for _ in range(2)]
            t = rng.uniform()
            W = np.hstack([np.sqrt(1 - t) * pairs[0][0], np.sqrt(t) * pairs[1][0]])
            A = np.hstack([np.sqrt(1 - t) * pairs[0][1], np.sqrt(t) * pairs[1][1]])
            ends = [bures_wasserstein_factors(*pair, squared=True) for pair in pairs]
            size = np.sum(W**2) + np.sum(A**2)
            residual(bures_wasserstein_factors(W, A, squared=True) - (1 - t) * ends[0] - t * ends[1], ROUND * size)
    # convex in the covariance, not in the factor: W and -W have the same covariance, their mean is zero
    assert bures_wasserstein_factors([[0.0]], [[1.0]]) > bures_wasserstein_factors([[1.0]], [[1.0]])
