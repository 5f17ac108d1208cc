"""The lemmas of the matrix toolbox: one test per statement, and what breaks without a hypothesis.

Bounds: a few dozen ``EPS`` times the size of the numbers that are subtracted.  Where the root of a singular matrix is
involved, an error ``delta`` of the matrix may move the root by ``sqrt(delta)`` (lem-root-order (b)), and the bound is
a multiple of ``sqrt(EPS)``.
"""
import itertools

import numpy as np
from numpy.linalg import eigvalsh, matrix_rank, norm, pinv, qr, svd
from scipy.integrate import quad_vec
from scipy.linalg import block_diag, expm, null_space, orth, solve_continuous_lyapunov

from bwlib import polar, sqrtm_psd

EPS = np.finfo(float).eps
ROUND = 500 * EPS
SHAPES = [(1, 1, 1), (3, 3, 3), (4, 4, 2), (5, 3, 3), (5, 3, 1), (3, 6, 3), (4, 6, 2), (7, 7, 5)]  # n, m, rank
SIZES = [(1, 1), (3, 1), (3, 3), (5, 2), (5, 5)]  # n, rank


def of_rank(rng, n, m, r):
    return rng.standard_normal((n, r)) @ rng.standard_normal((r, m))


def orthogonal(rng, n):
    return qr(rng.standard_normal((n, n)))[0]


def frame(rng, n, k):
    """n x k with orthonormal columns."""
    return qr(rng.standard_normal((n, k)))[0]


def conditioned(rng, n, m, r):
    """n x m of rank r with singular values between 1 and 2."""
    return frame(rng, n, r) @ np.diag(rng.uniform(1, 2, r)) @ frame(rng, m, r).T


def psd(rng, n, r):
    X = conditioned(rng, n, r, r)
    return X @ X.T


def symmetric(rng, n):
    Z = rng.standard_normal((n, n))
    return Z + Z.T


def inner(X, Y):
    return np.sum(X * Y)


def sv(X):
    """Singular values, descending; an empty matrix has none."""
    return svd(X, compute_uv=False) if X.size else np.zeros(0)


def nuclear(X):
    return sv(X).sum()


def op(X):
    return sv(X).max(initial=0.0)


def eig(A):
    return eigvalsh(A)[::-1]


def padded(values, length):
    return np.append(values, np.zeros(length))[:length]


def full_svd(X, r):
    U, s, Vt = svd(X)
    return U[:, :r], U[:, r:], s[:r], Vt[:r].T, Vt[r:].T


def contraction(rng, n, m):
    K = rng.standard_normal((n, m))
    return K / op(K) if K.size else K


def test_lem_rank_product():
    rng = np.random.default_rng(10)
    for n, p, m in [(3, 4, 5), (5, 3, 4), (4, 4, 4), (2, 6, 3)]:
        for a, b in itertools.product(range(1, min(n, p) + 1), range(1, min(p, m) + 1)):
            for shift in (0, 1):  # shift 1: the range of B meets the kernel of A where both allow it
                A, B = conditioned(rng, n, p, a), conditioned(rng, p, m, b)
                if shift and a < p:
                    B = np.column_stack([null_space(A)[:, 0], rng.standard_normal((p, b - 1))]) @ frame(rng, m, b).T
                N, R = null_space(A), orth(B)
                shared = N.shape[1] + R.shape[1] - matrix_rank(np.hstack([N, R]), tol=1e-9)
                rank = matrix_rank(A @ B, tol=1e-9)
                assert rank == b - shared
                assert a + b - p <= rank <= min(a, b)
                assert a < p or rank == b  # (b)
                assert b < p or rank == a
            assert matrix_rank(A.T @ A) == matrix_rank(A @ A.T) == a  # (c)
            assert matrix_rank(np.vstack([A.T @ A, A]), tol=1e-9) == a  # equal kernels
    for n, m, r in SHAPES:  # (d)
        X = conditioned(rng, n, m, r)
        U, _, s, V, _ = full_svd(X, r)
        p = r + 1
        A, B = np.hstack([U * np.sqrt(s), np.zeros((n, p - r))]), np.vstack([(V * np.sqrt(s)).T, np.zeros((p - r, m))])
        assert norm(A @ B - X) < ROUND * norm(X)
    # (b) without full rank of A: the product of two matrices of rank 1 may vanish
    A, B = np.diag([1.0, 0.0]), np.diag([0.0, 1.0])
    assert matrix_rank(A @ B) == 0 < matrix_rank(B)
    # ... and without full rank of B, the transposed example
    assert matrix_rank(B.T @ A.T) == 0 < matrix_rank(B.T)
    # (d) without rank X <= p: by (a) a product over the inner size 1 has rank at most 1, the identity has rank 2
    assert max(matrix_rank(np.outer(a, b)) for a, b in rng.standard_normal((20, 2, 2))) == 1 < matrix_rank(np.eye(2))
    # (c) is false for complex matrices and the plain transpose
    a = np.array([[1.0], [1j]])
    assert matrix_rank(a) == 1 and matrix_rank(a.T @ a) == 0


def test_lem_psd_root(residual):
    rng = np.random.default_rng(11)
    for n, r in SIZES:
        A = psd(rng, n, r)
        root = sqrtm_psd(A)
        assert eigvalsh(root)[0] > -ROUND and norm(root - root.T) <= ROUND  # PSD
        residual(norm(root @ root - A), ROUND * norm(A))
        # uniqueness: the root of any eigenbasis, and the interpolating polynomial on a repeated spectrum
        Omega, lam = orthogonal(rng, n), np.where(np.arange(n) < r, 4.0, 0.0)
        C = (Omega * lam) @ Omega.T
        C = (C + C.T) / 2
        other = Omega.copy()
        other[:, :r] = Omega[:, :r] @ orthogonal(rng, r)
        residual(norm((other * np.sqrt(lam)) @ other.T - sqrtm_psd(C)), ROUND * 2 * n)
        residual(norm(sqrtm_psd(C) - C / 2), ROUND * 2 * n)  # p(x) = x / 2 takes 4 to 2 and 0 to 0
        # commutation with a matrix that commutes with C but is no polynomial in it: two blocks in the eigenspaces
        G = Omega @ block_diag(rng.standard_normal((r, r)), rng.standard_normal((n - r, n - r))) @ Omega.T
        residual(norm(G @ C - C @ G), ROUND * norm(G) * 4)
        residual(norm(G @ sqrtm_psd(C) - sqrtm_psd(C) @ G), ROUND * norm(G) * 2)
        # (b) kernel, range, rank, pseudo-inverse
        assert matrix_rank(root, tol=1e-7) == r
        if r < n:
            residual(norm(root @ null_space(A)), ROUND * 10)
        residual(norm(pinv(root, rcond=1e-7) @ pinv(root, rcond=1e-7) - pinv(A, rcond=1e-9)), 10 * ROUND)
        # (c)
        O = orthogonal(rng, n)
        B = O @ A @ O.T
        residual(norm(sqrtm_psd((B + B.T) / 2) - O @ root @ O.T), ROUND * 10)
        residual(norm(sqrtm_psd(9 * A) - 3 * root), ROUND * 10)
    for n, m, r in SHAPES:  # (d)
        X = conditioned(rng, n, m, r)
        U, _, s, V, _ = full_svd(X, r)
        residual(norm(sqrtm_psd(X.T @ X) - (V * s) @ V.T), ROUND * 10)
        residual(norm(sqrtm_psd(X @ X.T) - (U * s) @ U.T), ROUND * 10)
        residual(abs(np.trace(sqrtm_psd(X.T @ X)) - sv(X).sum()), ROUND * 10)
    # without PSD of the root: many roots of the identity; without symmetry of A: no root at all
    v = np.array([0.6, 0.8])
    reflection = np.eye(2) - 2 * np.outer(v, v)
    assert norm(reflection @ reflection - np.eye(2)) < ROUND and norm(reflection - np.eye(2)) > 1
    # (illustration: a root R of N = [[0, 1], [0, 0]] has R^4 = N^2 = 0 and is 2 x 2, so R^2 = 0, which is not N; the
    # nilpotent 2 x 2 matrices are [[a, b], [c, -a]] with a^2 + b c = 0)
    for a, b in rng.standard_normal((5, 2)):
        R = np.array([[a, b], [-a * a / b, -a]])
        assert norm(R @ R) < ROUND * (1 + op(R) ** 2) < norm(np.array([[0.0, 1.0], [0.0, 0.0]]))


def test_lem_polar(residual):
    rng = np.random.default_rng(12)
    for n, m, r in SHAPES:
        X = conditioned(rng, n, m, r)
        U, U_perp, s, V, V_perp = full_svd(X, r)
        modulus, comodulus, Q = (V * s) @ V.T, (U * s) @ U.T, polar(X)
        bound = ROUND * 10
        # (a)
        for left, right in [(Q @ modulus, X), (comodulus @ Q, X), (Q.T @ X, modulus), (X @ Q.T, comodulus),
                            (X @ pinv(modulus, rcond=1e-9), Q), (Q.T @ Q, V @ V.T), (Q @ Q.T, U @ U.T),
                            (Q, U @ V.T), (Q @ V_perp, 0 * (Q @ V_perp))]:
            residual(norm(left - right), bound)
        assert matrix_rank(Q) == r
        # (b)
        residual(norm(polar(X.T) - Q.T), bound)
        residual(norm(polar(5 * X) - Q), bound)
        O, P = frame(rng, n + 2, n), frame(rng, m + 1, m)
        residual(norm(polar(O @ X @ P.T) - O @ Q @ P.T), bound)
        # (c) (iii) => (i), (ii)
        for K in (contraction(rng, n - r, m - r), 0.3 * contraction(rng, n - r, m - r), np.zeros((n - r, m - r))):
            M = Q + U_perp @ K @ V_perp.T
            residual(op(M) - 1, ROUND)
            residual(norm(M @ modulus - X), bound)
            residual(abs(inner(M, X) - s.sum()), bound)
            residual(norm(U_perp.T @ M @ V_perp - K), bound)
        # (c) (ii) => (iii), contrapositive: other contractions have a smaller inner product and do not reproduce X
        for _ in range(20):
            M = contraction(rng, n, m)
            off = norm(M - Q - U_perp @ (U_perp.T @ M @ V_perp) @ V_perp.T)
            if off > 1e-6:
                assert inner(M, X) < s.sum() and norm(M @ modulus - X) > 1e-7
        # (d)
        if n <= m:
            K = frame(rng, m - r, n - r).T if n > r else np.zeros((0, m - r))
            M = Q + U_perp @ K @ V_perp.T
            residual(norm(M @ M.T - np.eye(n)), bound)
        if n >= m:
            K = frame(rng, n - r, m - r) if m > r else np.zeros((n - r, 0))
            M = Q + U_perp @ K @ V_perp.T
            residual(norm(M.T @ M - np.eye(m)), bound)
        assert (U_perp.shape[1] * V_perp.shape[1] == 0) == (r == min(n, m))  # room for K only if rank is missing
    # without the kernel condition the factor in X = M |X| is not unique
    X = np.diag([1.0, 0.0])
    assert norm(np.diag([1.0, -1.0]) @ X - X) == 0 and norm(np.diag([1.0, -1.0]) - polar(X)) == 1
    # without "contraction", (i) does not give (iii)
    M = np.array([[1.0, 5.0], [0.0, 0.0]])
    assert norm(M @ X - X) == 0 and op(M) > 1 and M[0, 1] != 0
    # without completion the polar factor is not orthogonal
    assert norm(polar(X).T @ polar(X) - np.eye(2)) == 1
    # (b) needs c > 0
    assert norm(polar(-X) + polar(X)) == 0 and norm(polar(-X) - polar(X)) > 1
    # (b) needs orthonormal columns
    stretch = np.array([[1.0, 1.0], [0.0, 1.0]])
    assert norm(polar(stretch @ np.eye(2)) - stretch @ polar(np.eye(2))) > 0.1


def test_lem_von_neumann(residual):
    rng = np.random.default_rng(13)
    for n, m, r in SHAPES:
        q = min(n, m)
        for _ in range(5):
            A, B = conditioned(rng, n, m, r), rng.standard_normal((n, m))
            residual(abs(inner(A, B)) - sv(A) @ sv(B), ROUND * norm(A) * norm(B))
            # (b) a common ordered SVD gives equality, also with repeated and zero singular values
            U, V = orthogonal(rng, n), orthogonal(rng, m)
            a, b = np.zeros((n, m)), np.zeros((n, m))
            a[range(q), range(q)] = np.sort(rng.integers(0, 3, q))[::-1]
            b[range(q), range(q)] = np.sort(rng.integers(0, 3, q))[::-1]
            A, B = U @ a @ V.T, U @ b @ V.T
            residual(abs(inner(A, B) - sv(A) @ sv(B)), ROUND * (1 + norm(A) * norm(B)))
            # ... and equality gives one: A B^T and A^T B are then PSD (they are diagonal in U and in V)
            for product in (A @ B.T, A.T @ B):
                residual(norm(product - product.T), ROUND * (1 + norm(A) * norm(B)))
                residual(-eigvalsh((product + product.T) / 2)[0], ROUND * (1 + norm(A) * norm(B)))
            # ... and a common ordered SVD: turn the basis inside the singular spaces of B; the pair attains the bound by
            # construction, its two SVDs differ, and the SVD of A + B serves both
            values = np.sort(rng.integers(0, 3, q))[::-1]
            b[range(q), range(q)] = values
            a[range(q), range(q)] = np.sort(rng.integers(0, 4, q))[::-1]
            positive = [orthogonal(rng, np.sum(values == v)) for v in (2, 1) if v in values]
            rank = np.sum(values > 0)
            U1 = U @ block_diag(*positive, orthogonal(rng, n - rank) if n > rank else np.zeros((0, 0)))
            V1 = V @ block_diag(*positive, orthogonal(rng, m - rank) if m > rank else np.zeros((0, 0)))
            A, B = U1 @ a @ V1.T, U @ b @ V.T
            slack = ROUND * (1 + norm(A) + norm(B))
            residual(abs(inner(A, B) - sv(A) @ sv(B)), ROUND * (1 + norm(A) * norm(B)))
            left, _, right = svd(A + B)
            for matrix in (A, B):
                inside = left.T @ matrix @ right.T
                ordered = np.zeros((n, m))
                ordered[range(q), range(q)] = sv(matrix)
                residual(norm(inside - ordered), slack)
            # a change of U alone, with distinct positive values, is strict
            c = np.zeros((n, m))
            c[range(q), range(q)] = np.arange(q, 0, -1.0)
            turned = orthogonal(rng, n) @ c @ orthogonal(rng, m).T
            if n > 1 or m > 1:
                assert inner(c, turned) < sv(c) @ sv(turned) - 1e-9
    for n in (1, 2, 4, 6):  # (c)
        for _ in range(5):
            A, B = symmetric(rng, n), symmetric(rng, n)
            a, b = eig(A), eig(B)
            slack = ROUND * norm(A) * norm(B)
            residual(np.trace(A @ B) - a @ b, slack)
            residual(a @ b[::-1] - np.trace(A @ B), slack)
            O = orthogonal(rng, n)
            residual(abs(np.trace((O * a) @ O.T @ (O * b) @ O.T) - a @ b), slack)
            residual(abs(np.trace((O * a) @ O.T @ (O * b[::-1]) @ O.T) - a @ b[::-1]), slack)
            # equality gives a common ordered eigenbasis, that of A + B, also with multiple eigenvalues
            twice = np.sort(rng.integers(-1, 2, n))[::-1].astype(float)
            turn = block_diag(*[orthogonal(rng, np.sum(twice == v)) for v in (1, 0, -1) if v in twice])
            X, Y = (O @ turn * np.sort(rng.integers(-2, 3, n))[::-1]) @ (O @ turn).T, (O * twice) @ O.T
            residual(abs(np.trace(X @ Y) - eig(X) @ eig(Y)), ROUND * (1 + norm(X) * norm(Y)))
            basis = np.linalg.eigh((X + Y + (X + Y).T) / 2)[1][:, ::-1]
            for matrix in (X, Y):
                residual(norm(basis.T @ matrix @ basis - np.diag(eig(matrix))), ROUND * (1 + norm(X) + norm(Y)))
            if n > 1:
                assert np.trace(np.diag(a) @ (O * b) @ O.T) < a @ b  # distinct eigenvalues, different bases
    # the order matters: opposite order on the right of (a) is too small
    A = np.diag([1.0, 0.0])
    assert inner(A, A) > sv(A) @ sv(A)[::-1]
    # (c) without symmetry: zero eigenvalues, positive trace
    N = np.array([[0.0, 1.0], [0.0, 0.0]])
    assert np.trace(N @ N.T) == 1 and np.abs(np.linalg.eigvals(N)).max() == 0
    # (b) "common SVD" without "ordered" is not enough
    assert inner(np.diag([2.0, 1.0]), np.diag([1.0, 2.0])) < sv(np.diag([2.0, 1.0])) @ sv(np.diag([1.0, 2.0]))


def test_lem_nuclear(residual):
    rng = np.random.default_rng(14)
    for n, m, r in SHAPES:
        X, D = conditioned(rng, n, m, r), rng.standard_normal((n, m))
        U, U_perp, s, V, V_perp = full_svd(X, r)
        Q, value, bound = polar(X), nuclear(X), ROUND * 10
        # (a)
        residual(abs(inner(Q, X) - value), bound)
        for _ in range(20):
            residual(inner(contraction(rng, n, m), X) - value, bound)
        k = min(n, m) - r
        K = np.zeros((n - r, m - r))
        K[range(k), range(k)] = 1
        M = Q + U_perp @ K @ V_perp.T
        assert norm(M @ M.T - np.eye(n)) < bound if n <= m else norm(M.T @ M - np.eye(m)) < bound
        residual(abs(inner(M, X) - value), bound)
        # (b)
        A, B, Y = rng.standard_normal((3, n)), rng.standard_normal((m, 4)), rng.standard_normal((n, m))
        residual(abs(nuclear(X.T) - value), bound)
        residual(abs(inner(X, Y)) - value * op(Y), bound * op(Y))
        residual(nuclear(A @ X @ B) - op(A) * value * op(B), bound * op(A) * op(B))
        residual(norm(X) - value, bound)
        residual(value - np.sqrt(r) * norm(X), bound)
        residual(nuclear(X + Y) - value - nuclear(Y), bound * op(Y))
        O, P = frame(rng, n + 1, n), frame(rng, m + 2, m)
        residual(abs(nuclear(O @ X @ P.T) - value), bound)
        # (c)
        for p in (r, r + 2):
            F, G = np.zeros((n, p)), np.zeros((m, p))
            F[:, :r], G[:, :r] = U * np.sqrt(s), V * np.sqrt(s)
            cost = (norm(F) ** 2 + norm(G) ** 2) / 2
            residual(norm(F @ G.T - X), bound)
            residual(abs(cost - value), bound)
            C = orthogonal(rng, p)  # balanced still
            residual(norm((F @ C).T @ F @ C - (G @ C).T @ G @ C), bound)
            residual(abs((norm(F @ C) ** 2 + norm(G @ C) ** 2) / 2 - value), bound)
            C = np.diag(rng.uniform(1.5, 2, p)) @ orthogonal(rng, p)  # not balanced
            F1, G1 = F @ C, G @ np.linalg.inv(C).T
            assert norm(F1 @ G1.T - X) < bound and norm(F1.T @ F1 - G1.T @ G1) > 0.1
            assert (norm(F1) ** 2 + norm(G1) ** 2) / 2 > value + 1e-3
        for p in (r, r + 2):  # any factorisation: F = U S^(1/2) C, G = V S^(1/2) E with C E^T = I_r
            C = rng.standard_normal((r, p))
            E = np.linalg.pinv(C).T + rng.standard_normal((r, p)) @ (np.eye(p) - np.linalg.pinv(C) @ C)
            F, G = (U * np.sqrt(s)) @ C, (V * np.sqrt(s)) @ E
            size = norm(F) ** 2 + norm(G) ** 2
            residual(norm(F @ G.T - X), ROUND * size)
            residual(value - size / 2, ROUND * size)
        # (c) with p = r - 1 no pair reaches X: by lem-weyl (d) the error is at least the smallest positive singular value
        pairs = [(rng.standard_normal((n, r - 1)), rng.standard_normal((m, r - 1))) for _ in range(5)]
        for F, G in [*pairs, (U[:, :r - 1] * s[:r - 1], V[:, :r - 1])]:
            assert op(F @ G.T - X) > s[-1] * (1 - ROUND) > 0.5
        # (d): with curvature at most 2 ||D||^2 / smallest singular value, the quotient at t errs by half of it times t;
        # twice that leaves room for the next order, and rounding is divided by t
        slope = inner(Q, D) + nuclear(U_perp.T @ D @ V_perp)
        for t in (1e-4, 1e-5):
            residual(abs((nuclear(X + t * D) - value) / t - slope), 2 * t * norm(D) ** 2 / s.min() + ROUND * value / t)
    # (a) without the constraint the supremum is infinite
    assert inner(3 * np.eye(2), np.eye(2)) > nuclear(np.eye(2))
    # (b) the bound by sqrt(r) needs the rank: for the identity sqrt(1) is too small
    assert nuclear(np.eye(4)) > norm(np.eye(4)) and abs(nuclear(np.eye(4)) - 2 * norm(np.eye(4))) < ROUND
    # (b) the norm changes if the columns of O have unit length but are not orthogonal
    O, X = np.array([[1.0, 1.0], [0.0, 0.0]]), np.eye(2)
    assert abs(nuclear(O @ X) - np.sqrt(2)) < ROUND and nuclear(X) == 2
    # (d) the one-sided slopes differ where the rank drops: no gradient there
    X, D, t = np.diag([1.0, 0.0]), np.diag([0.0, 1.0]), 1e-3
    assert nuclear(X + t * D) > nuclear(X) and nuclear(X - t * D) > nuclear(X)


def test_lem_weyl(residual):
    rng = np.random.default_rng(15)
    for n in (1, 2, 4, 6):  # symmetric: (a), (c)
        A, B = symmetric(rng, n), symmetric(rng, n)
        a, b, c = eig(A), eig(B), eig(A + B)
        slack = ROUND * (norm(A) + norm(B))
        for i in range(n):
            for j in range(n - i):
                residual(c[i + j] - a[i] - b[j], slack)
        residual(np.abs(a - b).max() - op(A - B), slack)
        residual(norm(a - b) - norm(A - B), slack)
        G = rng.standard_normal((n, 1))
        residual((a - eig(A + G @ G.T)).max(), slack)
    for n, m, r in SHAPES:  # singular values: (b), (c), (d), (e)
        X, Y = conditioned(rng, n, m, r), rng.standard_normal((n, m))
        q = min(n, m)
        x, y, z = (padded(sv(M), 2 * q) for M in (X, Y, X + Y))
        slack = ROUND * (norm(X) + norm(Y))
        for i in range(q):
            for j in range(q):
                residual(z[i + j] - x[i] - y[j], slack)
        residual(np.abs(x - y).max() - op(X - Y), slack)
        residual(norm(x - y) - norm(X - Y), slack)
        U, s, Vt = svd(Y, full_matrices=False)
        for k in range(q):
            best = (U[:, :k] * s[:k]) @ Vt[:k]
            residual(abs(norm(Y - best) ** 2 - np.sum(s[k:] ** 2)), slack * norm(Y))
            residual(abs(op(Y - best) - s[k]), slack)
            for _ in range(5 if k else 0):
                other = best + 0.1 * of_rank(rng, n, m, 1)
                other = (lambda u, t, vt: (u[:, :k] * t[:k]) @ vt[:k])(*svd(other, full_matrices=False))
                residual(norm(Y - best) - norm(Y - other), slack)
                residual(op(Y - best) - op(Y - other), slack)
        A, B = rng.standard_normal((n + 2, n)), rng.standard_normal((m, 3))
        product = padded(sv(A @ X @ B), q)
        residual((product - op(A) * padded(sv(X), q) * op(B)).max(), slack * op(A) * op(B))
        residual((sv(A)[-1] * sv(X) - sv(A @ X)[:q]).max(), slack * op(A))
    # (a), (c) without symmetry: a perturbation of size 1e-8 moves the eigenvalues by 0.01
    N = np.diag(np.ones(3), 1)
    perturbed = N.copy()
    perturbed[3, 0] = 1e-8
    assert np.abs(np.abs(np.linalg.eigvals(perturbed)) - 0.01).max() < 1e-6
    # (d) without the bound on the rank: X = diag(3, 2, 1), k = 1, and a Y of rank 2 that is closer
    X, Y = np.diag([3.0, 2.0, 1.0]), np.diag([3.0, 2.0, 0.0])
    assert op(X - Y) == 1 < sv(X)[1] and norm(X - Y) ** 2 < np.sum(sv(X)[1:] ** 2)
    # (e) sigma_n(A) must not be replaced by the smallest singular value sigma_p(A) of a wide A
    A, X = np.array([[1.0, 0.0]]), np.diag([1.0, 1.0])
    assert padded(sv(A @ X), 2)[1] == 0 < sv(A)[0] * sv(X)[1]
    # monotonicity needs the order: the eigenvalues of diag(2, 0) and diag(1, 1) are not ordered entry by entry
    assert not (eig(np.diag([2.0, 0.0])) >= eig(np.eye(2))).all()


def test_lem_same_gram(residual):
    rng = np.random.default_rng(16)
    for n, m, r in SHAPES:
        V = conditioned(rng, n, m, r)
        O = orthogonal(rng, m)
        bound = ROUND * 10
        W = V @ O
        residual(norm(W @ W.T - V @ V.T), bound)  # (a), easy half
        # (a), other half: two independent factors of one Sigma, and the rotation of the proof
        Omega, lam = frame(rng, n, r), rng.uniform(1, 4, r)
        Sigma = (Omega * lam) @ Omega.T
        half = Omega * np.sqrt(lam)
        full1, full2 = orthogonal(rng, m), orthogonal(rng, m)
        W, V = half @ full1[:, :r].T, half @ full2[:, :r].T
        residual(norm(W @ W.T - Sigma), bound)
        P, P2 = W.T @ Omega / np.sqrt(lam), V.T @ Omega / np.sqrt(lam)
        residual(norm(P.T @ P - np.eye(r)), bound)  # (d)
        residual(norm(half @ P.T - W), bound)
        # (b) every K works, and the K are the orthogonal matrices of size m - r
        perp, perp2 = full1[:, r:], full2[:, r:]
        for _ in range(3):
            K = orthogonal(rng, m - r) if m > r else np.zeros((0, 0))
            O = P2 @ P.T + perp2 @ K @ perp.T
            residual(norm(O.T @ O - np.eye(m)), bound)
            residual(norm(V @ O - W), bound)
        if m == r:
            residual(norm(O - pinv(V) @ W), 10 * bound)  # unique
        else:
            assert norm(perp2 @ perp.T + perp2 @ perp.T) > 1  # K and -K give different O
        # (c): W above and a wider V, drawn independently from one Sigma; P from the proof
        p = m + 2
        V = half @ frame(rng, p, r).T
        residual(norm(V @ V.T - W @ W.T), bound)
        rows_W, rows_V = (Y.T @ Omega / np.sqrt(lam) for Y in (W, V))
        rest_W = full_svd(rows_W, r)[1]
        rest_V = full_svd(rows_V, r)[1][:, :m - r]
        P = rows_V @ rows_W.T + rest_V @ rest_W.T
        residual(norm(P.T @ P - np.eye(m)), bound)
        residual(norm(V @ P - W), bound)
        residual(norm(W @ P.T - V), bound)
        # ... and back: both equations give equal Gram matrices
        P = frame(rng, p, m)
        V = W @ P.T
        residual(norm(V @ P - W), bound)
        residual(norm(V @ V.T - W @ W.T), bound)
    # (a) without equal size: equal Gram matrices, but no square O maps a 1 x 2 matrix to a 1 x 1 one; (c) applies
    W, V, P = np.array([[np.sqrt(2)]]), np.array([[1.0, 1.0]]), np.ones((2, 1)) / np.sqrt(2)
    assert norm(W @ W.T - V @ V.T) < ROUND and W.shape != V.shape
    assert norm(V @ P - W) < ROUND and norm(W @ P.T - V) < ROUND
    # (c) with the equation W = V P alone: the Gram matrices differ
    V, P = np.eye(2), np.array([[1.0], [0.0]])
    W = V @ P
    assert norm(P.T @ P - 1) == 0 and norm(W @ W.T - V @ V.T) == 1 and norm(W @ P.T - V) == 1
    # (a) with the other Gram matrix: W^T W = V^T V, but V^T W = 0, so that ||V O - W||^2 = ||V||^2 + ||W||^2 - 2 <O, V^T W>
    # is 2 for every orthogonal O
    W, V = np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[0.0, 0.0], [1.0, 0.0]])
    assert norm(W.T @ W - V.T @ V) == 0
    assert norm(V.T @ W) == 0 and norm(V) ** 2 + norm(W) ** 2 == 2
    # (a) with O merely invertible: the Gram matrices differ
    assert norm(2 * np.eye(2) @ np.eye(2) * 2 - np.eye(2)) > 1
    # (d) without m >= r: two columns cannot make rank 3
    assert max(matrix_rank(F @ F.T) for F in rng.standard_normal((5, 4, 2))) == 2


def test_lem_block_psd(residual):
    rng = np.random.default_rng(17)

    def block(A, X, B):
        return np.block([[A, X], [X.T, B]])

    for (n, a), (m, b) in itertools.product(SIZES, SIZES):
        A, B = psd(rng, n, a), psd(rng, m, b)
        rootA, rootB = sqrtm_psd(A), sqrtm_psd(B)
        bound = 20 * ROUND
        # (ii) => (i), (iii)
        K = contraction(rng, n, m)
        X = rootA @ K @ rootB
        residual(-eigvalsh(block(A, X, B))[0], bound)
        Aplus = pinv(A, rcond=1e-9)
        residual(norm(A @ Aplus @ X - X), bound)
        schur = B - X.T @ Aplus @ X
        residual(-eigvalsh((schur + schur.T) / 2)[0], bound)
        # (b)
        K0 = pinv(rootA, rcond=1e-7) @ X @ pinv(rootB, rcond=1e-7)
        residual(norm(rootA @ K0 @ rootB - X), bound)
        residual(op(K0) - 1, bound)
        residual(norm(K0 - A @ Aplus @ K @ B @ pinv(B, rcond=1e-9)), 10 * bound)
        # (i) => (ii): take blocks of a random PSD matrix with singular diagonal blocks
        F = np.vstack([conditioned(rng, n, a, a) @ frame(rng, 6, a).T, conditioned(rng, m, b, b) @ frame(rng, 6, b).T])
        S = F @ F.T
        A1, X1, B1 = S[:n, :n], S[:n, n:], S[n:, n:]
        root1, root2 = sqrtm_psd(A1), sqrtm_psd(B1)
        K1 = pinv(root1, rcond=1e-7) @ X1 @ pinv(root2, rcond=1e-7)
        residual(op(K1) - 1, 10 * bound)
        residual(norm(root1 @ K1 @ root2 - X1), 10 * bound)
        # not (ii) => not (i): a factor of norm 1.1 on the ranges breaks positivity
        if op(A @ K @ B) > 1e-3:
            K2 = 1.1 * polar(rootA @ K @ rootB)
            assert eigvalsh(block(A, rootA @ K2 @ rootB, B))[0] < -1e-3
        # (c)
        C = rng.standard_normal((n, m))
        best = nuclear(rootA @ C @ rootB)
        residual(abs(inner(C, rootA @ polar(rootA @ C @ rootB) @ rootB) - best), bound * norm(C))
        for _ in range(10):
            residual(inner(C, rootA @ contraction(rng, n, m) @ rootB) - best, bound * norm(C))
        if n == m:
            M = rootA @ B @ rootA
            # the root of a singular product: eigenvalue errors of size EPS become sqrt(EPS)
            residual(abs(np.sqrt(eigvalsh((M + M.T) / 2).clip(0)).sum() - nuclear(rootA @ rootB)), 100 * np.sqrt(EPS))
    # (iii) without the range condition
    A, X, B = np.diag([1.0, 0.0]), np.array([[0.0], [1.0]]), np.zeros((1, 1))
    assert (B - X.T @ pinv(A) @ X)[0, 0] >= 0 and abs(eigvalsh(block(A, X, B))[0] + 1) < ROUND
    # (ii) without a contraction
    assert eigvalsh(block(np.eye(1), 2 * np.eye(1), np.eye(1)))[0] < 0
    # (b) without the extra condition K is not unique when A is singular
    A, B = np.diag([1.0, 0.0]), np.eye(2)
    assert norm(A @ np.diag([0.5, 0.0]) @ B - A @ np.diag([0.5, 0.9]) @ B) == 0


def test_lem_root_derivative(residual):
    rng = np.random.default_rng(18)

    def derivative(Sigma, Z):
        nu, Omega = np.linalg.eigh(Sigma)
        root = np.sqrt(nu)
        return Omega @ ((Omega.T @ Z @ Omega) / np.add.outer(root, root)) @ Omega.T

    for n in (1, 2, 3, 5):
        Sigma, Z = psd(rng, n, n), symmetric(rng, n)  # eigenvalues of Sigma between 1 and 4
        root, H = sqrtm_psd(Sigma), derivative(Sigma, Z)
        size = norm(Z)
        residual(norm(root @ H + H @ root - Z), ROUND * 10 * size)
        residual(norm(solve_continuous_lyapunov(root, Z) - H), ROUND * 10 * size)  # the same unique solution
        integral, _ = quad_vec(lambda t: expm(-t * root) @ Z @ expm(-t * root), 0, 30, epsabs=1e-10)
        residual(norm(integral - H), 1e-7 * size)  # quadrature, and a tail of exp(-60)
        residual(norm(H) - size / (2 * np.sqrt(eigvalsh(Sigma)[0])), ROUND * size)
        residual(-eigvalsh(derivative(Sigma, Z @ Z))[0], ROUND * 10 * size ** 2)
        # central differences: third derivatives are at most about (||Z|| / 1)^3, the remainder is t^2 times that
        t = 1e-4 / size
        residual(norm((sqrtm_psd(Sigma + t * Z) - sqrtm_psd(Sigma - t * Z)) / (2 * t) - H), 1e-7 * size)
        # (b)
        residual(abs(np.trace(H) - np.trace(np.linalg.solve(root, Z)) / 2), ROUND * 10 * size)
        nu, Omega = np.linalg.eigh(Sigma)
        r, Y = np.sqrt(nu), Omega.T @ Z @ Omega
        second = -0.5 * np.sum(Y ** 2 / (np.outer(r, r) * np.add.outer(r, r)))
        t = 1e-3 / size
        values = [np.sqrt(eigvalsh(Sigma + k * t * Z)).sum() for k in (-1, 0, 1)]
        residual(abs((values[0] - 2 * values[1] + values[2]) / t ** 2 - second), 1e-5 * size ** 2)
        assert second < 0
    # (c) infinite slope at singular matrices
    for n, rank in [(2, 1), (4, 2)]:
        Sigma = psd(rng, n, rank)
        x = null_space(Sigma, rcond=1e-9)[:, 0]
        for t in (1e-2, 1e-4, 1e-6):
            change = sqrtm_psd(Sigma + t * np.outer(x, x)) - sqrtm_psd(Sigma)
            residual(norm(change - np.sqrt(t) * np.outer(x, x)), 100 * ROUND / np.sqrt(t))
            assert norm(change) / t > 0.99 / np.sqrt(t)  # (a) needs positive definiteness
    # (d)
    for n, m, r in SHAPES:
        if r < min(n, m):
            continue
        X, D, t = conditioned(rng, n, m, r), rng.standard_normal((n, m)), 1e-5
        slope = (nuclear(X + t * D) - nuclear(X - t * D)) / (2 * t)
        residual(abs(slope - inner(polar(X), D)), 1e-7)  # t^2 and rounding / t, both below 1e-9
        second = [norm(polar(X + h * D) - polar(X)) / h for h in (1e-3, 1e-4)]
        assert abs(second[0] - second[1]) < 0.1 * (1 + second[1])  # polar has a finite slope
    # (d) without full rank: polar jumps and the norm has a kink
    X, D = np.diag([1.0, 0.0]), np.diag([0.0, 1.0])
    assert norm(polar(X + 1e-9 * D) - polar(X - 1e-9 * D)) > 1.9
    # an indefinite R: the equation R H + H R = Z loses uniqueness when two eigenvalues have sum zero
    R, H = np.diag([1.0, -1.0]), np.array([[0.0, 1.0], [1.0, 0.0]])
    assert norm(R @ H + H @ R) == 0


def test_lem_root_order(residual):
    rng = np.random.default_rng(19)
    for (n, a), trial in itertools.product(SIZES, range(10)):
        b = int(rng.integers(1, n + 1))
        A, B = psd(rng, n, a), psd(rng, n, b)
        rootA, rootB = sqrtm_psd(A), sqrtm_psd(B)
        slack = np.sqrt(100 * n * EPS * (op(A) + op(B)))  # (b) itself, for the rounding errors of the matrices
        residual(-eigvalsh(sqrtm_psd(A + B) - rootA)[0], slack)  # (a), as A + B >= A
        D = rootA - rootB
        residual(op(D) ** 2 - op(A - B), slack * np.sqrt(op(A) + op(B)))
        residual(norm(D) ** 2 - nuclear(A - B), slack * np.sqrt(nuclear(A) + nuclear(B)))
        if a == n or b == n:
            s = np.sqrt(eigvalsh(A)[0].clip(0)) + np.sqrt(eigvalsh(B)[0].clip(0))
            residual(norm(D) * s - norm(A - B), slack * s + ROUND)
    for n, c, h in itertools.product((1, 3, 6), (1e-6, 1.0, 1e6), (1e-3, 1.0)):
        # (b), (c) with B = 0 and A a multiple of the identity: equality
        A = c * np.eye(n)
        D = sqrtm_psd(A)
        residual(abs(op(D) ** 2 / op(A) - 1), ROUND)
        residual(abs(norm(D) ** 2 / nuclear(A) - 1), ROUND)
        # (d) with A = (1 + h) B: equality; the difference of the roots loses a factor 1 / h of accuracy
        D = sqrtm_psd((1 + h) * A) - sqrtm_psd(A)
        residual(abs(norm(D) * np.sqrt(c) * (1 + np.sqrt(1 + h)) / (h * norm(A)) - 1), ROUND / h)
    # (a) is false for the square in place of the root
    A, B = np.array([[2.0, 1.0], [1.0, 1.0]]), np.diag([1.0, 0.0])
    assert eigvalsh(A - B)[0] > -ROUND and eigvalsh(A @ A - B @ B)[0] < -0.1
    # (a) without A >= B
    assert eigvalsh(sqrtm_psd(np.diag([4.0, 0.0])) - sqrtm_psd(np.eye(2)))[0] == -1
    # (c) with the Frobenius norm on the right is false
    assert norm(sqrtm_psd(np.eye(4))) ** 2 > norm(np.eye(4))
    # (d) without s > 0: no Lipschitz constant at zero
    assert norm(sqrtm_psd(np.diag([1e-8, 0.0]))) / norm(np.diag([1e-8, 0.0])) > 9e3
    # (a)-(c) without PSD: (b) fails for symmetric "roots" of the identity that are not PSD
    R = np.diag([1.0, -1.0])
    assert norm(R @ R - np.eye(2)) == 0 and op(R - np.eye(2)) ** 2 > op(R @ R - np.eye(2))
