"""The numbered statements of the chapter "The adversarial view"."""
from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp

import bwlib as bw


def payoff(Sigma, P, Sigma0):
    I = np.eye(len(P))
    return np.trace(Sigma @ (I - P)) + np.trace(Sigma0 @ (I - np.linalg.inv(P)))


def ascent(Sigma, P, Sigma0):
    inverse = np.linalg.inv(P)
    return inverse @ Sigma0 @ inverse - Sigma


def positive(rng, n, low=0.2, high=3.0):
    Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    return (Q * rng.uniform(low, high, n)) @ Q.T


def test_prop_quadratic_potentials(residual):
    rng = np.random.default_rng(141)
    for n in (1, 2, 4):
        for rank in range(1, n + 1):
            target = bw.Covariance.from_spectrum([*rng.uniform(0.3, 3, rank), *[0.0] * (n - rank)], rng=rng)
            W = rng.standard_normal((n, n))
            exact = bw.BuresLoss(target).value(W)
            for _ in range(20):
                P, x, y = positive(rng, n), rng.standard_normal(n), rng.standard_normal(n)
                inverse, I = np.linalg.inv(P), np.eye(n)
                phi = x @ (I - P) @ x
                # numbers of size 100 at most, rounding below 1e-12
                residual(phi + y @ (I - inverse) @ y - np.sum((x - y) ** 2), 1e-12)
                residual(abs(phi + P @ x @ (I - inverse) @ P @ x - np.sum((x - P @ x) ** 2)), 1e-12)
                residual(payoff(W @ W.T, P, target.matrix) - exact, 1e-11)
                other = positive(rng, n)  # concave in P
                middle = payoff(W @ W.T, (P + other) / 2, target.matrix)
                residual((payoff(W @ W.T, P, target.matrix) + payoff(W @ W.T, other, target.matrix)) / 2 - middle, 1e-11)
            best = bw.transport_map(W @ W.T, target.matrix + 1e-10 * np.eye(n))  # the supremum, up to the root of 1e-10
            residual((exact - payoff(W @ W.T, best, target.matrix)) / (1 + exact), 1e-4)
    # broken: an indefinite P is no discriminator
    P = np.diag([1.0, -1.0])
    x, y = np.array([0.0, 1.0]), np.array([0.0, 0.3])
    assert x @ (np.eye(2) - P) @ x + y @ (np.eye(2) - np.linalg.inv(P)) @ y > np.sum((x - y) ** 2)


def test_thm_game_duality(residual):
    rng = np.random.default_rng(142)
    for n, rank in [(2, 2), (3, 3), (4, 2)]:
        target = bw.Covariance.from_spectrum([*rng.uniform(0.3, 3, rank), *[0.0] * (n - rank)], rng=rng)
        Sigma0 = target.matrix
        for k in range(1, n + 1):
            loss = bw.BuresLoss(target)
            residual(abs(loss.minimum(k) - target.eigenvalues[k:].sum()), 1e-12)
            for _ in range(30):
                W = rng.standard_normal((n, k))
                residual(target.eigenvalues[k:].sum() - loss.value(W), 1e-12)
                below = positive(rng, n, 0.2, 1.0)
                residual(payoff(W @ W.T, np.eye(n), Sigma0) ** 2, 1e-20)
                residual(payoff(np.zeros((n, n)), below, Sigma0), 1e-12)
                residual(payoff(np.zeros((n, n)), below, Sigma0) - payoff(W @ W.T, below, Sigma0), 1e-11)
                above = positive(rng, n, 1.05, 3.0)  # one latent variable beats it without bound
                v = np.linalg.eigh(above)[1][:, -1:]
                assert payoff(1e6 * v @ v.T, above, Sigma0) < -1e4
        # (b) the equilibrium at Sigma0 with P = I, and, for a singular target, with smaller P on the kernel
        smaller = np.eye(n) - 0.5 * target.eigenvectors[:, rank:] @ target.eigenvectors[:, rank:].T
        for P in (np.eye(n), smaller):
            value = payoff(Sigma0, P, Sigma0)
            residual(abs(value), 1e-12)
            for _ in range(30):
                residual(payoff(Sigma0, positive(rng, n), Sigma0) - value, 1e-11)
                W = rng.standard_normal((n, n))
                residual(value - payoff(W @ W.T, P, Sigma0), 1e-11)
        # ... and nothing else: every other pair leaves one of the players a better reply
        Omega, top = target.eigenvectors, target.eigenvectors[:, :1]
        others = np.eye(n) - 0.4 * top @ top.T, np.eye(n) + 0.1 * positive(rng, n), positive(rng, n), positive(rng, n, 0.2, 1)
        for k in range(1, n + 1):
            W, best = rng.standard_normal((n, k)), (Omega[:, :k] * target.eigenvalues[:k]) @ Omega[:, :k].T
            pairs = [(Sigma, P) for Sigma in (best, W @ W.T) for P in others]
            for Sigma, P in [*pairs, (W @ W.T, np.eye(n)), *[(best, np.eye(n))] * (k < rank)]:
                lowest = -np.inf if np.linalg.eigvalsh(P)[-1] > 1 + 1e-9 else payoff(np.zeros((n, n)), P, Sigma0)
                assert bw.bures_wasserstein(Sigma, target) ** 2 - lowest > 1e-3
    # broken: without a latent variable both orders have the value tr Sigma0, and there is no gap
    assert payoff(np.zeros((2, 2)), 1e6 * np.eye(2), np.diag([2.0, 1.0])) > 3.0 - 1e-5
    # broken: with too few latent variables the best pair is none: the generator leaves the best covariance
    Sigma0, best = np.diag([2.0, 1.0]), np.diag([2.0, 0.0])
    reply = np.diag([1.0, 50.0])  # nearly the best reply to the best covariance of rank one
    assert payoff(best, reply, Sigma0) > 0.97
    assert payoff(np.diag([0.0, 2.0]), reply, Sigma0) < 0


def test_prop_best_reply(residual):
    rng = np.random.default_rng(143)
    for n, m, tau in [(1, 1, 0.0), (3, 3, 0.0), (3, 5, 0.0), (3, 1, 0.2), (4, 6, 0.5)]:
        target = bw.Covariance.from_spectrum(rng.uniform(0.3, 3, n), rng=rng)
        W = rng.standard_normal((n, m)) + np.eye(n, m)
        Sigma = W @ W.T + tau * np.eye(n)
        T = bw.transport_map(Sigma, target)
        scale = np.linalg.norm(T, 2) * np.linalg.norm(W)  # rounding of T times W
        residual(np.abs(2 * (W - T @ W) - bw.BuresLoss(target, tau).gradient(W)).max() / scale, 1e-11)
        value = payoff(Sigma, T, target.matrix)
        residual(np.abs(ascent(Sigma, T, target.matrix)).max() / np.abs(Sigma).max(), 1e-10)
        for _ in range(20):
            residual(payoff(Sigma, positive(rng, n), target.matrix) - value, 1e-11)
    # broken: against a singular model there is no best reply
    singular, large = np.diag([1.0, 0.0]), [payoff(np.diag([1.0, 0.0]), np.diag([1.0, s]), np.eye(2)) for s in (1, 10, 1e3)]
    assert large[0] < large[1] < large[2] < bw.bures_wasserstein(singular, np.eye(2)) ** 2
    # broken: against a discriminator that is not the best reply the generator follows another gradient
    W = np.array([[2.0]])
    assert abs(2 * (1 - 1.0) * W.item() - bw.BuresLoss([[1.0]]).gradient(W).item()) > 1


def pair_matrix(sigma, eta, zeta, alternating):
    return np.array([[1, 2 * eta * sigma], [-zeta, 1 - zeta * sigma - 2 * eta * zeta * sigma * alternating]])


def radius(A):
    return np.abs(np.linalg.eigvals(A)).max()


def test_thm_descent_ascent(residual):
    rng = np.random.default_rng(144)
    h = 1e-6
    for n, m in [(1, 1), (2, 3), (4, 4)]:
        lam = np.sort(rng.uniform(0.3, 3, n))[::-1]
        root, I = np.diag(np.sqrt(lam)), np.eye(n)
        Sigma0, sigma = np.diag(lam), np.add.outer(lam, lam)
        for eta, zeta, alternating in [(0.1, 0.2, False), (0.4, 0.05, True), (0.7, 0.3, False)]:
            D, Q = rng.standard_normal((n, m)), rng.standard_normal((n, n))
            W, P = root @ np.eye(n, m) + h * D, I + h * (Q + Q.T)
            new = W - 2 * eta * (W - P @ W)
            seen = new if alternating else W
            after = new @ new.T - Sigma0, P + zeta * ascent(seen @ seen.T, P, Sigma0) - I
            before = W @ W.T - Sigma0, P - I
            for a in range(n):
                for b in range(n):
                    A = pair_matrix(sigma[a, b], eta, zeta, alternating)
                    predicted = A @ [before[0][a, b], before[1][a, b]]
                    # terms of second order, h^2 times numbers below 100; relative to h
                    residual(np.abs(predicted - [x[a, b] for x in after]).max() / h, 1e-3)
    for _ in range(4000):  # (b)
        eta, zeta, top = rng.uniform(0.01, 1.2), 10 ** rng.uniform(-2, 1), rng.uniform(0.3, 3)
        values = 2 * top * np.append(rng.uniform(0.01, 1, 4), 1.0)
        for alternating in (False, True):
            largest = max(radius(pair_matrix(s, eta, zeta, alternating)) for s in values)
            stable = zeta * top * (1 + eta) < 1 if alternating else eta < 0.5 and zeta * top * (1 - eta) < 1
            assert stable == (largest < 1) or abs(largest - 1) < 1e-6
    W0, Sigma0 = np.diag([1.5, 1.0]) + 1e-3 * rng.standard_normal((2, 2)), np.diag([2.25, 1.0])
    for eta, zeta, alternating in [(0.45, 0.3, False), (0.55, 0.3, False), (0.9, 0.2, True), (0.9, 0.26, True)]:
        W, P, away = W0, np.eye(2), []  # the game itself, inside and outside the region
        while len(away) < 400 and max(away, default=0) < 0.1:
            new = W - 2 * eta * (W - P @ W)
            seen = new if alternating else W
            W, P = new, P + zeta * ascent(seen @ seen.T, P, Sigma0)
            away.append(np.abs(W @ W.T - Sigma0).max() + np.abs(P - np.eye(2)).max())
        inside = zeta * 2.25 * (1 + eta) < 1 if alternating else eta < 0.5
        assert away[-1] < 1e-5 if inside else away[-1] > 0.1
    for x in np.geomspace(0.01, 1000, 200):  # (c), with sigma = 1
        nu = np.linalg.eigvals(np.array([[0, 2.0], [-x, -x]]))
        exact = (-x + np.array([1, -1]) * np.sqrt(complex(x * (x - 8)))) / 2
        residual(abs(nu.real.max() - exact.real.max()) / (1 + x), 1e-7)  # double eigenvalues are exact to a root of eps
        assert nu.real.max() < 0 and (np.abs(nu.imag).max() > 1e-9) == (x < 8)
        residual(abs(-nu.real.max() - x / 2) if x < 7.9 else 2 + nu.real.max(), 1e-7)
    slow = np.array([-np.linalg.eigvals(np.array([[0, 2.0], [-x, -x]])).real.max() for x in np.geomspace(8.01, 1e5, 50)])
    assert slow[0] < 4 and np.all(np.diff(slow) < 0) and slow[-1] < 2.001
    # broken: for m < n the covariance of the model cannot move in all directions, and the game need not converge
    W, P, Sigma0 = np.array([[2.0], [0.02]]), np.eye(2), np.diag([4.0, 1.0])
    for _ in range(3000):
        W, P = W - 0.04 * (W - P @ W), P + 0.02 * ascent(W @ W.T, P, Sigma0)
    assert np.linalg.norm(ascent(W @ W.T, P, Sigma0)) > 0.1


def flow(Sigma, Sigma0, P0, t, r):
    n = len(P0)
    field = lambda s, y: r * ascent(Sigma, y.reshape(n, n), Sigma0).ravel()
    return solve_ivp(field, (0, t[-1]), P0.ravel(), t_eval=t, rtol=1e-10, atol=1e-12, method="LSODA").y.T.reshape(-1, n, n)


def test_prop_discriminator_escape(residual):
    rng = np.random.default_rng(145)
    t = np.array([0.0, 0.5, 10.0, 300.0])
    for r in (0.3, 2.0):
        lam, a = np.array([3.0, 1.0, 0.5]), np.array([2.0, 0.0, 0.0])
        Omega = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        p0 = np.array([1.3, 0.4, 2.0])
        P = flow((Omega * a) @ Omega.T, (Omega * lam) @ Omega.T, (Omega * p0) @ Omega.T, t, r)
        inside = np.array([Omega.T @ x @ Omega for x in P])
        for i in (1, 2):  # relative errors of the integrator below 1e-8
            residual(np.abs(inside[:, i, i] / (p0[i] ** 3 + 3 * r * lam[i] * t) ** (1 / 3) - 1).max(), 1e-7)
        late = inside[-1, 1, 1]
        assert abs(lam[1] / late / (lam[1] ** 2 / (3 * r * 300.0)) ** (1 / 3) - 1) < 0.05
        residual(abs(inside[-1, 0, 0] - np.sqrt(lam[0] / a[0])), 1e-7)
        near = np.array([0.0, 1.0, 2.0])  # (b) the rate, from close to the limit
        p = flow(np.array([[0.5]]), np.array([[2.0]]), np.array([[2.0 + 1e-4]]), near, r)[:, 0, 0] - 2.0
        residual(abs(np.log(p[1] / p[2]) / (2 * r * np.sqrt(0.5**3 / 2.0)) - 1), 1e-3)
    for n, k in [(2, 1), (3, 1), (4, 2)]:  # (a) on the kernel of a model in general position
        A, W, B = rng.standard_normal((n, n)), rng.standard_normal((n, k)), rng.standard_normal((n, n))
        Sigma0, P0, r = A @ A.T + 0.2 * np.eye(n), B @ B.T + 0.2 * np.eye(n), float(rng.uniform(0.3, 3))
        u = np.linalg.svd(W)[0][:, k:] @ rng.standard_normal(n - k)
        u /= np.linalg.norm(u)
        P = flow(W @ W.T, Sigma0, P0, t, r)
        assert all(np.linalg.eigvalsh(x)[0] > 0 for x in P)
        least = ((u @ P0 @ u) ** 3 + 3 * r * np.linalg.eigvalsh(Sigma0)[0] * t) ** (1 / 3)
        residual(np.max(1 - np.array([u @ x @ u for x in P]) / least), 1e-7)
    # broken: where the data have no variance but the model has, the discriminator reaches the border of the cone
    assert flow(np.eye(1), np.zeros((1, 1)), np.eye(1), np.array([0.0, 0.9]), 1.0)[-1].item() < 0.11
    # broken: where the data have no variance either, the discriminator does not grow
    assert abs(flow(np.zeros((1, 1)), np.zeros((1, 1)), np.eye(1), t, 1.0)[-1].item() - 1) < 1e-12


def linearised(k, lam, tau, r, h=1e-6):
    """The velocity of the game at the stationary pair, and the eigenvalues of its linearisation there."""
    n = len(lam)

    def field(y):
        W, P = y[:n * k].reshape(n, k), y[n * k:].reshape(n, n)
        return np.concatenate([2 * (P @ W - W).ravel(), r * ascent(W @ W.T + tau * np.eye(n), P, np.diag(lam)).ravel()])

    W = np.eye(n)[:, :k] * np.sqrt(lam[:k] - tau)
    y = np.concatenate([W.ravel(), np.diag(np.where(np.arange(n) < k, 1.0, np.sqrt(lam / tau))).ravel()])
    J = np.array([(field(y + h * e) - field(y - h * e)) / (2 * h) for e in np.eye(y.size)]).T
    return np.abs(field(y)).max(), np.linalg.eigvals(J)


def growth(k, lam, tau, r):
    """The velocity, and the largest real part without the zeros of the rotations."""
    velocity, values = linearised(k, lam, tau, r)
    return velocity, values[np.abs(values) > 1e-6].real.max()


def neutral(k, lam, tau, r):
    """How many eigenvalues are zero."""
    return np.sum(np.abs(linearised(k, lam, tau, r)[1]) < 1e-6)


def test_prop_bottleneck_game(residual):
    rng = np.random.default_rng(146)
    for _ in range(12):
        n = int(rng.integers(2, 5))
        k = int(rng.integers(1, n))
        lam = np.cumsum(rng.uniform(0.3, 1, n))[::-1]
        tau = float(rng.uniform(0.05, 0.9)) * lam[k]
        p = np.sqrt(lam[k] / tau)
        border = 2 * (p - 1) / (lam[k - 1] / p + tau)
        for share in (0.95, 1.05):
            still, largest = growth(k, lam, tau, share * border)
            residual(still, 1e-12)
            assert (largest < 0) == (share > 1)
        calm = float(rng.uniform(lam[k], lam[k - 1]) * 0.999 + 0.001 * lam[k])
        if calm < lam[k - 1]:
            assert growth(k, lam, calm, 0.05)[1] < 0
    lam = np.array([4.0, 1.0])
    p = np.sqrt(1 / 1e-6)
    residual(abs(2 * (p - 1) / (4 / p + 1e-6) / (2 * 1.0 / (4 * 1e-6)) - 1), 2e-3)  # 1 - 1/p
    tied = np.array([2.0, 2.0, 1.0])  # broken: without a gap a direction neither grows nor decays
    assert neutral(1, tied, 0.5, 100.0) > neutral(1, tied + [1, 0, 0], 0.5, 100.0)
    # broken: at another stationary pair, not the best one, no speed helps
    swapped = np.array([1.0, 4.0])
    assert growth(1, swapped, 0.1, 100.0)[1] > 0
