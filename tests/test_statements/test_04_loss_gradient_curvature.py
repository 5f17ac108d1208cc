"""The numbered statements of the chapter "Loss, gradient, curvature"."""
from __future__ import annotations

import numpy as np
import pytest

import bwlib as bw

EPS = np.finfo(float).eps
SHAPES = [(1, 1), (3, 1), (1, 3), (2, 2), (4, 4), (4, 2), (3, 5), (5, 4)]


def orthogonal(rng, n):
    return np.linalg.qr(rng.standard_normal((n, n)))[0]


def of_rank(rng, n, m, r):
    """A matrix of rank r whose nonzero singular values lie in [0.5, 2]."""
    return (orthogonal(rng, n)[:, :r] * rng.uniform(0.5, 2, r)) @ orthogonal(rng, m)[:, :r].T


def target_of(rng, n, q=None):
    """A target of rank q (n if not given), nonzero eigenvalues in [0.5, 4]."""
    q = n if q is None else q
    return bw.Covariance.from_spectrum(np.append(np.sort(rng.uniform(0.5, 4, q))[::-1], np.zeros(n - q)), rng=rng)


def compact(X):
    """U, s, V of the compact SVD and bases of the complements; the rank is decided at 1e-9."""
    U, s, Vt = np.linalg.svd(X)
    r = int(np.sum(s > 1e-9 * max(1.0, s[0])))
    return U[:, :r], s[:r], Vt[:r].T, U[:, r:], Vt[r:].T


def nuclear(X):
    return float(np.linalg.svd(X, compute_uv=False).sum()) if X.size else 0.0


def sq(X):
    return float(np.sum(X**2))


def root_of(target):
    """The PSD root from the spectrum, without the library's root."""
    return (target.eigenvectors * np.sqrt(target.eigenvalues)) @ target.eigenvectors.T


def value_of(W, R, tau=0.0):
    """The loss from its nuclear-norm form, independent of the library."""
    n = len(R)
    return sq(W) + n * tau + sq(R) - 2 * nuclear(R @ np.hstack([W, np.sqrt(tau) * np.eye(n)]))


def transport(W, R, tau):
    """T = R ((R Sigma_tau R)^(1/2))^+ R."""
    nu, E = np.linalg.eigh(R @ (W @ W.T + tau * np.eye(len(R))) @ R)
    inverse = np.where(nu > 1e-12 * nu[-1], 1 / np.sqrt(np.abs(nu) + (nu <= 0)), 0.0)
    return R @ (E * inverse) @ E.T @ R


def completion(rng, X):
    """A contraction M with <M, X> = ||X||_*, with a random part where it is free."""
    U, _, V, P, S = compact(X)
    K = rng.standard_normal((P.shape[1], S.shape[1]))
    return U @ V.T + P @ (K / np.linalg.norm(K, 2)) @ S.T if K.size else U @ V.T


def second_B(Sigma, R, Z):
    nu, E = np.linalg.eigh(R @ Sigma @ R)
    Y, root = E.T @ R @ Z @ R @ E, np.sqrt(nu)
    return np.sum(Y**2 / (np.outer(root, root) * np.add.outer(root, root)))


def least_second_B(Sigma, R):
    """The least eigenvalue of D^2 B on symmetric matrices."""
    n = len(R)
    basis = []
    for a, b in zip(*np.triu_indices(n)):
        Z = np.zeros((n, n))
        Z[a, b] = Z[b, a] = 1 if a == b else np.sqrt(0.5)
        basis.append(Z)
    d = np.array([second_B(Sigma, R, Z) for Z in basis])
    both = np.array([[second_B(Sigma, R, Y + Z) for Z in basis] for Y in basis])
    return np.linalg.eigvalsh((both - d[:, None] - d) / 2)[0]


def hessian_eigenvalues(target, W, tau=0.0):
    return np.linalg.eigvalsh(bw.BuresLoss(target, tau).hessian(W))


def gamma_of(W, R):
    s, (n, m) = np.linalg.svd(R @ W, compute_uv=False), W.shape
    return 1 / s[-1] if n != m else (2 / (s[-1] + s[-2]) if n > 1 else 0.0)


def test_prop_kink(residual):
    rng = np.random.default_rng(401)
    t = 1e-7
    for n, m in SHAPES:
        for q in range(1, n + 1):
            target = target_of(rng, n, q)
            R = root_of(target)
            for r in range(min(n, m) + 1):
                W, D = of_rank(rng, n, m, r), rng.standard_normal((n, m))
                U, s, V, P, S = compact(R @ W)
                kink = 2 * nuclear(P.T @ R @ D @ S)
                linear = 2 * np.sum((W - R @ U @ V.T) * D)
                for sign in (1, -1):
                    measured = (value_of(W + sign * t * D, R) - value_of(W, R)) / t
                    # remainder of order t ||R D||^2 / s_r, rounding eps / t; below t / s_r the pictures mix
                    size = 1 + sq(R @ D) / (s[-1] if len(s) else 1.0)
                    residual(abs(measured - (sign * linear - kink)), 50 * t * size + 100 * EPS * (sq(R) + sq(W)) / t)
                if len(s) == min(q, m):  # an exact zero: the complements are empty or annihilated by R
                    residual(kink, 1e-12)
                else:  # not differentiable: the slopes in D and -D add up to -4 for the D of the proof
                    a = R @ rng.standard_normal(n)
                    a -= U @ (U.T @ a)
                    a /= np.linalg.norm(a)
                    Z = np.linalg.pinv(R, rcond=1e-9) @ np.outer(a, S[:, 0])
                    total = sum(-2 * nuclear(P.T @ R @ (sign * Z) @ S) for sign in (1, -1))
                    residual(abs(total + 4), 1e-11)
    # With the full rank dropped the linear formula alone is wrong: at W = 0 it predicts slope 0.
    assert (value_of(np.array([[t]]), np.eye(1)) - 1) / t < -1.9


def test_prop_gradient(residual):
    rng = np.random.default_rng(402)
    h = 1e-5
    for n, m in SHAPES:
        for q in range(1, n + 1):
            target = target_of(rng, n, q)
            R = root_of(target)
            for tau in (0.0, 0.3):
                W, D = of_rank(rng, n, m, min(n, m)), rng.standard_normal((n, m))
                W_hat = np.hstack([W, np.sqrt(tau) * np.eye(n)])
                U, s, V, *_ = compact(R @ W_hat)
                if tau == 0 and len(s) < min(q, m):
                    continue
                if s[-1] < 0.05:  # the third derivative of the loss is of order 1 / s^2
                    continue
                G = 2 * (W - (R @ U @ V.T)[:, :m])
                slope = (value_of(W + h * D, R, tau) - value_of(W - h * D, R, tau)) / (2 * h)
                # central difference: h^2 times the third derivative, rounding eps / h
                residual(abs(slope - np.sum(G * D)), 20 * h**2 * (sq(D) + 1) ** 1.5 / s[-1] ** 2 + 200 * EPS * sq(R) / h)
                residual(np.abs(bw.BuresLoss(target, tau).gradient(W) - G).max(), 1e-12 / s[-1])
                F = target.factor  # the thin factor gives the same RQ
                assert F.shape[1] == q
                residual(np.abs(F @ bw.polar(F.T @ W_hat) - R @ U @ V.T).max(), 1e-12 / s[-1])
                if tau > 0:
                    T = transport(W, R, tau)
                    residual(np.abs(G - 2 * (W - T @ W)).max(), 1e-10 / s[-1])
                    residual(np.abs(T @ (W @ W.T + tau * np.eye(n)) @ T - target.matrix).max(), 1e-10 / s[-1] ** 2)
        for k in range(1, min(n, m) + 1):  # on M_k, along a curve A(t) B(t)^T
            R = root_of(target_of(rng, n))
            A, B = of_rank(rng, n, k, k), of_rank(rng, m, k, k)
            dA, dB = rng.standard_normal((n, k)), rng.standard_normal((m, k))
            W, D = A @ B.T, dA @ B.T + A @ dB.T
            U, s, V, _, S = compact(R @ W)
            G = 2 * (W - R @ U @ V.T)
            at = [value_of((A + t * dA) @ (B + t * dB).T, R) for t in (-h, h)]
            size = (1 + sq(dA) + sq(dB)) ** 2 / s[-1] ** 2
            residual(abs((at[1] - at[0]) / (2 * h) - np.sum(G * D)), 200 * h**2 * size + 200 * EPS * sq(R) / h)
            residual(np.abs(G @ S).max(initial=0.0), 1e-12 / s[-1])  # the rows are in the row space: tangent
        for q in range(1, n):  # (b) for singular targets: rank(R W) = rank W = k <= q
            R = root_of(target_of(rng, n, q))
            for k in range(1, min(q, m) + 1):
                A, B = of_rank(rng, n, k, k), of_rank(rng, m, k, k)
                dA, dB = rng.standard_normal((n, k)), rng.standard_normal((m, k))
                U, s, V, _, S = compact(R @ A @ B.T)
                if len(s) < k or s[-1] < 0.05:  # the third derivative of the loss is of order 1 / s^2
                    continue
                G = 2 * (A @ B.T - R @ U @ V.T)
                at = [value_of((A + t * dA) @ (B + t * dB).T, R) for t in (-h, h)]
                size = (1 + sq(dA) + sq(dB)) ** 2 / s[-1] ** 2
                predicted = np.sum(G * (dA @ B.T + A @ dB.T))
                residual(abs((at[1] - at[0]) / (2 * h) - predicted), 200 * h**2 * size + 200 * EPS * sq(R) / h)
                residual(np.abs(G @ S).max(initial=0.0), 1e-12 / s[-1])
    # Dropped: at rank W = 1 < 2 the same formula is no gradient (order 1 of the remainder), nor does the rank of W
    # alone decide for a singular target: W has full rank, F^T W = 0 does not.
    assert abs(bw.check_gradient(bw.BuresLoss(np.diag([4.0, 1.0])), np.diag([1.0, 0.0])) - 1) < 0.05
    singular, W = bw.BuresLoss(np.diag([1.0, 0.0])), np.array([[0.0], [1.0]])
    for sign in (1, -1):
        step = np.array([[sign * 1e-6], [0.0]])
        assert (singular.value(W + step) - singular.value(W)) / 1e-6 < -1.9
    # and W of deficient rank is smooth for it: rank(F^T W) = 1 = min(rank, m).
    assert abs(bw.check_gradient(singular, np.diag([1.5, 0.0])) - 2) < 0.05


def test_prop_norm_identities(residual):
    rng = np.random.default_rng(403)
    for n, m in SHAPES:
        for q in range(1, n + 1):
            target = target_of(rng, n, q)
            R, lam = root_of(target), target.eigenvalues
            for r in range(min(n, m) + 1):
                W = of_rank(rng, n, m, r)
                U, s, V, *_ = compact(R @ W)
                phi = sq(R) - np.trace(U.T @ R @ R @ U)
                size = 100 * n * EPS * (sq(R) + sq(W))  # rounding of terms of this size
                residual(abs(4 * sq(W - R @ U @ V.T) - 4 * (value_of(W, R) - phi)), 10 * size)
                residual(lam[len(s):].sum() - phi, size)
                if len(s) == q:
                    residual(abs(phi), size)
                for tau in (0.1, 2.0):
                    E = np.eye(n) - transport(W, R, tau)
                    parts = sq(E @ W) + tau * sq(E)
                    residual(abs(value_of(W, R, tau) - parts), 1e-10 * (sq(R) + sq(W) + n * tau))
                    residual(abs(sq(bw.BuresLoss(target, tau).gradient(W)) - 4 * sq(E @ W)), 1e-9)
    # Without full row rank ||grad||^2 = 4 L fails: at the best rank-one matrix the gradient is 0 and the loss 1.
    value, G = bw.BuresLoss(np.diag([4.0, 1.0])).value_and_gradient(np.array([[2.0], [0.0]]))
    assert sq(G) < 1e-25 and abs(value - 1) < 1e-12


def test_thm_pl(residual):
    rng = np.random.default_rng(404)
    for n, m in [(1, 1), (2, 2), (3, 3), (3, 6), (4, 5)]:
        for q in {1, n}:
            target = target_of(rng, n, q)
            for tau in (0.0, 0.05, 1.0, 10.0):  # also tau above lambda_n
                loss = bw.BuresLoss(target, tau)
                for W in [of_rank(rng, n, m, n), 3 * of_rank(rng, n, m, n), 0.8 * orthogonal(rng, m)[:n]]:
                    c2 = np.linalg.eigvalsh(W @ W.T)[0]
                    value, G = loss.value_and_gradient(W)
                    bound = 4 * c2 / (c2 + tau) * value
                    size = 1e-12 * (sq(W) + target.trace + n * tau)  # rounding
                    residual(bound - sq(G), 10 * size)
                    if tau == 0 or np.abs(W @ W.T - c2 * np.eye(n)).max() < 1e-12:  # equality
                        residual(abs(bound - sq(G)), 10 * size)
                    else:
                        E = np.eye(n) - transport(W, root_of(target), tau)
                        excess = np.trace(E @ (W @ W.T - c2 * np.eye(n)) @ E)
                        residual(abs(sq(G) - bound - 4 * tau / (c2 + tau) * excess), 1e-9)
                # equality although W W^T is not a multiple of I: I - T vanishes off the c^2-eigenspace
    lam, tau = np.array([3.0, 1.0]), 0.25
    W = np.diag([np.sqrt(3.0 - tau), 0.5])  # first direction already right, c^2 = 0.25
    value, G = bw.BuresLoss(np.diag(lam), tau).value_and_gradient(W)
    residual(abs(sq(G) - 4 * 0.25 / (0.25 + tau) * value), 1e-12)
    # Without W W^T >= c^2 I: at W = 0 the gradient of the smoothed loss vanishes and the loss does not.
    value, G = bw.BuresLoss(np.diag(lam), tau).value_and_gradient(np.zeros((2, 2)))
    assert sq(G) == 0 and value > 1
    # A larger constant than 4 c^2 / (c^2 + tau) fails.
    value, G = bw.BuresLoss(np.diag(lam), tau).value_and_gradient(0.5 * np.eye(2))
    assert sq(G) < 1.01 * 4 * 0.25 / (0.25 + tau) * value


def test_thm_semiconcavity(residual):
    rng = np.random.default_rng(405)
    for n, m in SHAPES:
        for q in {1, n}:
            target = target_of(rng, n, q)
            R = root_of(target)
            for tau in (0.0, 0.2):
                for r in range(min(n, m) + 1):
                    W = of_rank(rng, n, m, r)
                    W_hat = np.hstack([W, np.sqrt(tau) * np.eye(n)])
                    value = value_of(W, R, tau)
                    M = completion(rng, R @ W_hat)
                    G = 2 * (W - (R @ M)[:, :m])
                    D = rng.standard_normal((60, n, m)) * 10 ** rng.uniform(-2, 1, (60, 1, 1))
                    values = np.array([value_of(W + X, R, tau) for X in D])
                    bound = value + np.sum(G * D, (1, 2)) + np.sum(D**2, (1, 2))
                    residual(np.max(values - bound), 1e-11)  # rounding of numbers up to 10^3
                    for eta in (-0.3, 0.2, 0.5, 0.9, 1.5):  # (d)
                        residual(value_of(W - eta * G, R, tau) - value + eta * (1 - eta) * sq(G), 1e-11)
                    X = R @ W_hat  # (a): orthonormal rows, attained, others above
                    U, _, V, P, S = compact(X)
                    O = U @ V.T + P @ S[:, :P.shape[1]].T
                    residual(np.abs(O @ O.T - np.eye(n)).max(), 1e-13)
                    residual(abs(sq(W_hat - R @ O) - value), 1e-11)
                    other = orthogonal(rng, n + m)[:n]
                    residual(value - sq(W_hat - R @ other), 1e-11)
                    if tau > 0 or len(compact(R @ W)[1]) == min(q, m):  # (c)
                        s = np.linalg.svd(R @ W_hat, compute_uv=False)[:q if tau else min(q, m)]
                        residual(np.abs(G - bw.BuresLoss(target, tau).gradient(W)).max(), 1e-11 / s[-1])
                        H = bw.BuresLoss(target, tau).hessian(W)
                        residual(np.linalg.eigvalsh(H)[-1] - 2, 1e-12 * (1 + np.linalg.norm(H, 2)) / s[-1])
                    A, B = D[0], D[1]  # convexity of ||W||^2 - L at a midpoint
                    f = lambda Y: sq(Y) - value_of(Y, R, tau)
                    residual(f((A + B) / 2) - (f(A) + f(B)) / 2, 1e-11)
    # A contraction that is not aligned with R W gives no bound: Q = 0 at W = 2, target 1.
    W, G = 2.0, 2 * 2.0
    assert (abs(W - 2) - 1) ** 2 > (W - 1) ** 2 + G * (-2) + 4
    # There is no such bound in parameter space: |w2 w1| has second derivative 2 w2^2 = 18 in w1.
    f = lambda w1, w2: (abs(w2 * w1) - 1) ** 2
    assert f(1 / 3 + 0.1, 3) > f(1 / 3, 3) + 0.1**2 + 0.05


def test_cor_realigned_step(residual):
    rng = np.random.default_rng(406)
    for widths in [(3, 3), (4, 3, 3), (3, 2, 4), (5, 4, 4, 3), (2, 3, 1, 3)]:
        n, m = widths[-1], widths[0]
        target = target_of(rng, n)
        R = root_of(target)
        for tau in (0.0, 0.2):
            net = bw.random_network(widths, rng=rng)
            W = net.end_to_end()
            if tau == 0 and min(widths) < min(n, m):
                continue
            W_hat = np.hstack([W, np.sqrt(tau) * np.eye(n)])
            U, s, V, P, S = compact(R @ W_hat)
            O = U @ V.T + P @ S[:, :P.shape[1]].T
            Phi, rest = R @ O[:, :m], sq(np.sqrt(tau) * np.eye(n) - R @ O[:, m:])
            G = net.layer_gradients(2 * (W - Phi))
            step = net.layer_gradients(bw.BuresLoss(target, tau).gradient(W))
            residual(max(np.abs(A - B).max() for A, B in zip(G, step)), 1e-10 / s[-1])
            residual(abs(value_of(W, R, tau) - sq(W - Phi) - rest), 1e-11)
            for _ in range(20):
                there = bw.random_network(widths, rng=rng).end_to_end()
                residual(value_of(there, R, tau) - sq(there - Phi) - rest, 1e-11)
    # The target of the square loss must be the aligned one: with another O with orthonormal rows the step differs.
    W = np.diag([2.0, 1.0])
    R = np.diag([1.0, 0.5])
    wrong = 2 * (W - R @ np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert np.abs(wrong - bw.BuresLoss(R @ R).gradient(W)).max() > 1
    # At a kink optimal O differ, and so do the steps: "differentiable" cannot be dropped.
    W = np.diag([1.0, 0.0])
    steps = [2 * (W - R @ np.diag([1.0, sign])) for sign in (1.0, -1.0)]
    assert np.abs(steps[0] - steps[1]).max() == 2.0


def test_prop_bures_second_derivative(residual):
    rng = np.random.default_rng(407)
    for n in (1, 2, 3, 5):
        for _ in range(4):
            target = target_of(rng, n)
            R = root_of(target)
            F = of_rank(rng, n, n, n)
            Sigma, Z = F @ F.T, rng.standard_normal((n, n))
            Z += Z.T
            Z /= np.linalg.norm(Z)
            B = lambda S: np.trace(S) + sq(R) - 2 * np.sum(np.sqrt(np.linalg.eigvalsh(R @ S @ R)))
            T = transport(F, R, 0.0)
            h = 1e-4  # least eigenvalue of Sigma at least 0.25: derivatives of order d below 10^d
            first, second = (B(Sigma + h * Z) - B(Sigma - h * Z)) / (2 * h), second_B(Sigma, R, Z)
            residual(abs(first - np.trace((np.eye(n) - T) @ Z)), 100 * h**2)
            residual(abs((B(Sigma + h * Z) - 2 * B(Sigma) + B(Sigma - h * Z)) / h**2 - second), 2e-5)
            w, O = np.linalg.eigh(Sigma)  # (c)
            half, inverse = (O * np.sqrt(w)) @ O.T, (O / np.sqrt(w)) @ O.T
            p2, P = np.linalg.eigh(half @ R @ R @ half)
            p, Y = np.sqrt(p2), P.T @ inverse @ Z @ inverse @ P
            residual(abs(np.sum(np.outer(p, p) / np.add.outer(p, p) * Y**2) - second), 1e-11 * (1 + second))
            H = (bw.transport_map(Sigma - h * Z, target) - bw.transport_map(Sigma + h * Z, target)) / (2 * h)  # (d)
            inverse_T = np.linalg.inv(T)
            residual(np.abs(inverse_T @ H @ Sigma + Sigma @ H @ inverse_T - Z).max(), 1e-4)
            residual(abs(np.sum(H * Z) - second), 1e-4)
            residual(abs(2 * np.trace(Sigma @ H @ inverse_T @ H) - second), 1e-4)
            assert second > 0
    # A singular target: B is not strictly convex, and its second derivative vanishes in directions that R annihilates.
    R = np.diag([1.0, 0.0])
    values = [1 + s + 1 - 2 for s in (1.0, 2.0, 3.0)]  # B(diag(1, s)) is affine in s
    loss = [bw.bures_wasserstein(np.diag([1.0, s]), R @ R, squared=True) for s in (1.0, 2.0, 3.0)]
    assert np.allclose(loss, values) and abs(loss[0] - 2 * loss[1] + loss[2]) < 1e-12
    # A singular Sigma: no second derivative; the second difference at diag(1, 0) grows like h^(-3/2).
    B = [bw.bures_wasserstein(np.diag([1.0, s]), np.eye(2), squared=True) for s in (0.0, 1e-6, 2e-6)]
    assert (B[0] - 2 * B[1] + B[2]) / 1e-12 > 1e8


def test_prop_hessian(residual):
    rng = np.random.default_rng(408)
    for n, m in SHAPES:
        target = target_of(rng, n)
        R = root_of(target)
        for tau in (0.0, 0.1, 2.0):
            for r in range(min(n, m) + 1) if tau else [min(n, m)]:
                W, D = of_rank(rng, n, m, r), rng.standard_normal((n, m))
                D /= np.linalg.norm(D)
                X, E = (R @ W, R @ D) if tau == 0 else (
                    np.hstack([R @ W, np.sqrt(tau) * R]), np.hstack([R @ D, np.zeros((n, n))]))
                U, s, V, P, S = compact(X)
                assert len(s) == min(X.shape)
                M = U.T @ E @ V
                turn = np.sum((M - M.T) ** 2 / np.add.outer(s, s))
                out = np.sum((P.T @ E @ V) ** 2 / s) + np.sum((S.T @ E.T @ U) ** 2 / s)
                value = 2 - turn - 2 * out
                h = 1e-3 * s[-1]  # second difference: h^2 times the fourth derivative (of order s^-3), rounding eps/h^2
                v = [value_of(W + t * D, R, tau) for t in (-2 * h, -h, 0, h, 2 * h)]
                measured = (-v[0] + 16 * v[1] - 30 * v[2] + 16 * v[3] - v[4]) / (12 * h**2)
                residual(abs(measured - value), 1e-4 / s[-1] + 1e3 * EPS * sq(R) / h**2)
                residual(abs(D.ravel() @ bw.BuresLoss(target, tau).hessian(W) @ D.ravel() - value), 1e-11 / s[-1])
                if tau > 0 or r == n:
                    T, Sigma = transport(W, R, tau), W @ W.T + tau * np.eye(n)
                    other = 2 * np.sum((D - T @ D) * D) + second_B(Sigma, R, W @ D.T + D @ W.T)
                    residual(abs(other - value), 1e-9 / s[-1])
    # A singular target: the rows of W that R annihilates add a paraboloid, the others see a smaller non-singular target.
    for n, m, q in [(4, 3, 2), (4, 2, 2), (3, 5, 2), (3, 1, 1)]:
        lam = np.sort(rng.uniform(0.5, 4, q))[::-1]
        for tau in (0.0, 0.3):
            W = of_rank(rng, n, m, min(n, m))
            whole, part = bw.BuresLoss(np.diag(np.append(lam, np.zeros(n - q))), tau), bw.BuresLoss(np.diag(lam), tau)
            s = np.linalg.svd(np.sqrt(lam)[:, None] * W[:q], compute_uv=False)[-1]
            residual(abs(whole.value(W) - part.value(W[:q]) - sq(W[q:]) - (n - q) * tau), 1e-12)
            H = 2 * np.eye(n * m)
            H[:q * m, :q * m] = part.hessian(W[:q])
            residual(np.abs(whole.hessian(W) - H).max(), 1e-11 / s)
    # (b) needs full row rank at tau = 0: for n = 2, m = 1 the matrix R Sigma R is singular and T does not exist.
    with pytest.raises(ValueError):
        bw.transport_map(np.diag([1.0, 0.0]), np.eye(2))
    # (a) needs full rank: at rank one the second difference of |w| - 1 squared diverges like 1 / h.
    for h in (1e-3, 1e-4):
        assert abs(((h - 1) ** 2 - 2 + (h - 1) ** 2) / h**2 + 4 / h) < 3


def between(rng, n, low, high):
    O = orthogonal(rng, n)
    return (O * np.exp(rng.uniform(np.log(low), np.log(high), n))) @ O.T


def test_prop_strong_convexity(residual):
    rng = np.random.default_rng(409)
    for n in (1, 2, 3):
        for tau, C in [(0.1, 1.0), (0.5, 3.0), (2.0, 2.0)]:
            target = target_of(rng, n)
            R, lam = root_of(target), target.eigenvalues
            K = np.sqrt(tau * lam[-1]) / (2 * C**2)
            for _ in range(30):
                least = least_second_B(between(rng, n, tau, C), R)
                residual(K / least, 1 + 1e-9)
                if tau < C:
                    assert least > K  # never attained
            if tau == C:  # attained
                x = target.eigenvectors[:, -1:]
                residual(abs(second_B(C * np.eye(n), R, x @ x.T) - K), 1e-12)
    # Without Sigma <= C I it fails: on the line B'' = sqrt(lam) sigma^(-3/2) / 2 tends to zero.
    assert second_B(100 * np.eye(1), np.eye(1), np.eye(1)) < np.sqrt(1.0) / 2


def test_prop_strong_convexity_sharp(residual):
    rng = np.random.default_rng(410)
    for n in (1, 2, 3, 4):
        for C in (0.3, 1.0, 5.0):
            spectrum = np.sort(np.exp(rng.uniform(-3, 2, n)))[::-1]
            target = bw.Covariance.from_spectrum(spectrum, rng=rng)
            R, lam = root_of(target), spectrum
            star = np.sqrt(lam[-1]) / (2 * C**1.5)
            prime = lam[-1] / (2 * C * np.sqrt(C * lam[0]))
            residual(abs(prime - star * np.sqrt(lam[-1] / lam[0])), 1e-14 * (1 + star))
            for low in (1e-3, 0.1, 0.9):  # relative rounding: condition number of R Sigma R, below 10^7
                residual(star / least_second_B(between(rng, n, low * C, C), R), 1 + 1e-8)
            x = target.eigenvectors[:, -1:]
            residual(abs(second_B(C * np.eye(n), R, x @ x.T) / star - 1), 1e-10)
            for tau in C * np.array([1e-3, 0.3, 0.99]):
                K = np.sqrt(tau * lam[-1]) / (2 * C**2)
                residual(abs(star / K - np.sqrt(C / tau)), 1e-10 * np.sqrt(C / tau))
                residual(max(K, prime) / star, 1 + 1e-12)
                assert (prime > K) == (tau < C * lam[-1] / lam[0])
    for lam in (0.5, 2.0):  # K' is attained for an isotropic target
        residual(abs(least_second_B(2.0 * np.eye(3), np.sqrt(lam) * np.eye(3)) - lam / (4 * np.sqrt(2 * lam))), 1e-12)
    # Without the bound by C it fails, and for a singular target the constant is 0 and attained.
    R = np.diag([2.0, 1.0])
    assert least_second_B(4 * np.eye(2), R) < np.sqrt(1.0) / 2
    assert second_B(np.eye(1), np.array([[1e-4]]), np.eye(1)) < 1e-3


def test_prop_least_eigenvalue(residual):
    rng = np.random.default_rng(411)
    for n, m in SHAPES:
        for scale in (1.0, 0.03):  # also with a small singular value
            target = target_of(rng, n)
            R, lam = root_of(target), target.eigenvalues
            W = of_rank(rng, n, m, min(n, m))
            U, s, Vt = np.linalg.svd(W, full_matrices=False)
            s[-1] *= scale
            W = (U * s) @ Vt
            g = gamma_of(W, R)
            alpha = hessian_eigenvalues(target, W)[0]
            residual(2 - 2 * lam[0] * g - alpha, 1e-11 * (1 + g))  # rounding times the norm of the Hessian
            residual(alpha - 2 + 2 * lam[-1] * g, 1e-11 * (1 + g))
            isotropic = bw.Covariance.from_spectrum(np.full(n, 3.0))
            exact = 2 - 6 * gamma_of(W, np.sqrt(3) * np.eye(n))
            residual(abs(hessian_eigenvalues(isotropic, W)[0] - exact), 1e-10 * (1 + g))
    # The square case is really different: with 1 / s_p in place of 2 / (s_(p-1) + s_p) the upper bound is false.
    alpha = hessian_eigenvalues(bw.Covariance.from_spectrum([1.0, 1.0]), np.diag([1.0, 0.01]))[0]
    assert alpha > 2 - 2 * 1.0 / 0.01 + 100
    # Without full rank there is no Hessian.
    with pytest.raises(ValueError):
        bw.BuresLoss(np.eye(2)).hessian(np.diag([1.0, 0.0]))


def test_thm_blow_up(residual):
    rng = np.random.default_rng(412)
    for n, m in [(2, 2), (3, 3), (4, 4), (3, 2), (2, 3), (4, 1), (1, 4), (5, 3)]:
        p = min(n, m)
        for r in range(p):
            if n == m == r + 1:
                continue
            target = target_of(rng, n)
            lam, W = target.eigenvalues, of_rank(rng, n, m, r)
            for size in (1e-1, 1e-2, 1e-3, 1e-4):
                D = rng.standard_normal((n, m))
                D *= size / np.linalg.norm(D, 2)
                alpha = hessian_eigenvalues(target, W + D)[0]  # (a), any direction of approach
                residual(alpha - 2 + 2 * lam[-1] / np.sqrt(lam[0]) / size, 1e-9 / size)
                U, _, V, P, S = compact(W)
                near = W + size * P[:, :p - r] @ S[:, :p - r].T
                alpha = hessian_eigenvalues(target, near)[0]  # (b)
                residual(2 - 2 * lam[0] / np.sqrt(lam[-1]) / size - alpha, 1e-9 / size)
                residual(abs(np.linalg.norm(near - W, 2) - size), 1e-14)
    # The excluded case: n = m = r + 1 has no blow-up; nor has rank r = min(n, m).
    target = bw.Covariance.from_spectrum([1.0, 1.0])
    assert hessian_eigenvalues(target, np.diag([1.0, 1e-6]))[0] > -3
    assert hessian_eigenvalues(target, np.array([[1.0], [1e-6]]))[0] > -1
    # and in (b) a direction that is not orthogonal to W's spaces can be worse than 1 / distance
    near = np.array([[1.0, 1e-3, 0.0], [0.0, 1e-9, 0.0]]).T
    assert hessian_eigenvalues(bw.Covariance.from_spectrum(np.ones(3)), near)[0] < -1e8


def test_prop_corank_one(residual):
    rng = np.random.default_rng(413)
    for n in (2, 3, 4, 5):
        target = target_of(rng, n)
        R, lam = root_of(target), target.eigenvalues
        W = of_rank(rng, n, n, n - 1)
        sigma = np.linalg.svd(W, compute_uv=False)[n - 2]
        for size in (0.5, 0.1, 1e-3, 1e-6):
            D = rng.standard_normal((n, n))
            e = hessian_eigenvalues(target, W + D * size * sigma / np.linalg.norm(D, 2))
            residual(2 - 8 * lam[0] / (np.sqrt(lam[-1]) * sigma) - e[0], 1e-10)
            residual(e[-1] - 2, 1e-9)
        U, s, V, u, v = compact(R @ W)
        Q = U @ V.T
        u = u * np.sign(np.linalg.det(Q + u @ v.T))
        for _ in range(6):
            D = rng.standard_normal((n, n))
            near = W + 1e-8 * D
            sign = np.sign(np.linalg.det(near))
            limit = 2 * (W - R @ (Q + sign * u @ v.T))
            # the two parts of the polar factor move by about |D| / s_(n-1)
            residual(np.abs(bw.BuresLoss(target).gradient(near) - limit).max(), 1e-6 / s[-1])
        jump = np.linalg.norm(4 * R @ u @ v.T)
        residual(abs(jump - 4 * np.linalg.norm(R @ u)), 1e-12)
        residual(4 * np.sqrt(lam[-1]) - jump, 1e-12)
    residual(abs(hessian_eigenvalues(target_of(rng, 1), np.array([[1e-3]]))[0] - 2), 1e-12)
    # Rank n - 2 instead: no bound. A 3 x 2 matrix of rank 1: no bound either, although its corank is one.
    assert hessian_eigenvalues(bw.Covariance.from_spectrum(np.ones(3)), np.diag([1.0, 1e-6, 1e-6]))[0] < -1e5
    assert hessian_eigenvalues(bw.Covariance.from_spectrum(np.ones(3)), np.diag([1.0, 1e-6, 0.0])[:, :2])[0] < -1e5


def test_prop_smoothed_curvature(residual):
    rng = np.random.default_rng(414)
    for n, m in SHAPES:
        target = target_of(rng, n)
        lam = target.eigenvalues
        for tau in (1e-4, 1e-2, 1.0, 5.0):
            size = 1e-11 * (2 + 2 * np.sqrt(lam[0] / tau))  # rounding times the norm of the Hessian
            loss = bw.BuresLoss(target, tau)
            for r in range(min(n, m) + 1):
                W = of_rank(rng, n, m, r)
                e = hessian_eigenvalues(target, W, tau)
                residual(2 * (1 - np.sqrt(lam[0] / tau)) - e[0], size)
                residual(e[-1] - 2, size)
                if r < min(n, m):
                    residual(e[0] - 2 * (1 - np.sqrt(lam[-1] / tau)), size)
                V = W + rng.standard_normal((n, m)) * 10 ** rng.uniform(-2, 0)
                lipschitz = 2 * max(1.0, np.sqrt(lam[0] / tau) - 1)
                change = np.linalg.norm(loss.gradient(V) - loss.gradient(W))
                residual(change / np.linalg.norm(V - W), lipschitz * (1 + 1e-9))
                if tau >= lam[0]:
                    residual(-e[0], size)
            e = hessian_eigenvalues(target, np.zeros((n, m)), tau)
            residual(np.abs(e - np.sort(np.repeat(2 * (1 - np.sqrt(lam / tau)), m))).max(), size)
    # (b) needs low rank: at full rank the least eigenvalue stays bounded as tau -> 0. A convex L_tau needs tau >= lam_1.
    target = bw.Covariance.from_spectrum([2.0, 1.0])
    assert hessian_eigenvalues(target, np.diag([1.0, 0.5]), 1e-8)[0] > -10 > 2 * (1 - np.sqrt(1.0 / 1e-8))
    assert hessian_eigenvalues(target, np.zeros((2, 2)), 1.9)[0] < 0
