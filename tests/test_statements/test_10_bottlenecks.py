"""The numbered statements of the chapter "Bottlenecks: learning a subspace"."""
from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp

import bwlib as bw

SPECTRA = [[4.0, 3.0, 2.0, 1.0, 0.5], [3.0, 1.2], [5.0, 5.0, 1.5, 0.3], [2.0, 1.0, 0.4, 0.0, 0.0], [2.5, 2.0, 2.0, 2.0, 0.7]]
FINE = {"rtol": 1e-11, "atol": 1e-15}


def targets(rng):
    return [bw.Covariance.from_spectrum(lam, rng=rng) for lam in SPECTRA]


def spaced(rng, n, least=0.15):
    """A target with random eigenvalues whose gaps are at least ``least``."""
    return bw.Covariance.from_spectrum(np.cumsum(rng.uniform(least, 1, n))[::-1], rng=rng)


def half_steps(W, loss, steps):
    run = [np.asarray(W, dtype=float)]
    for _ in range(steps):
        run.append(run[-1] - 0.5 * loss.gradient(run[-1]))
    return np.array(run)


def unexplained(U, target):
    return target.trace - np.trace(U.T @ target.matrix @ U)


def slopes(X, Omega):
    k = X.shape[1]
    return np.linalg.solve((Omega[:, :k].T @ X).T, (Omega[:, k:].T @ X).T).T


def rates(lam, J, depth, tau):
    """The rates as in the text, from the quotients; a loop over the pairs."""
    a, k, rest = lam - tau, len(J), [j for j in range(len(lam)) if j not in J]
    out = np.empty((k, len(lam)))
    for i in range(k):
        for b in range(k):
            x, y = a[J[i]], a[J[b]]
            quotient = (x - y) / (x ** (1 / depth) - y ** (1 / depth)) if abs(x - y) > 1e-9 else depth * x ** (1 - 1 / depth)
            out[i, b] = 2 * (1 - 2 * tau / (lam[J[i]] + lam[J[b]])) * quotient
        for b, j in enumerate(rest):
            out[i, k + b] = 2 * (lam[J[i]] - lam[j]) / (lam[J[i]] + np.sqrt(lam[j] * tau)) * a[J[i]] ** (1 - 1 / depth)
    return out


def entries(W, Omega, J):
    """The error coordinates: rows J of the covariance in the eigenbasis, columns J first."""
    order = [*J, *(j for j in range(Omega.shape[0]) if j not in J)]
    return Omega[:, J].T @ W @ W.T @ Omega[:, order]


def test_thm_orthogonal_iteration(residual):
    rng = np.random.default_rng(101)
    for target in targets(rng):
        loss = bw.BuresLoss(target)
        for k in range(1, target.rank + 1):
            W0 = rng.standard_normal((target.dim, k))
            X0 = target.root @ W0
            condition = np.linalg.cond(np.linalg.svd(target.matrix)[0][:, :target.rank].T @ X0)
            run, bases = half_steps(W0, loss, 12), bw.subspace_iteration(target, W0, 12)
            assert all(np.linalg.matrix_rank(target.root @ W) == k for W in run)
            losses, errors = loss.value(run), np.array([unexplained(U, target) for U in bases])
            for t, (W, U) in enumerate(zip(run, bases)):
                # the range from a single power of the target: rounding times the condition number of the product
                power = np.linalg.matrix_power(target.matrix, min(t, 3)) @ (X0 if t <= 3 else target.root @ run[t - 3])
                V, s = np.linalg.svd(power)[:2]
                residual(np.abs(V[:, :k] @ V[:, :k].T - U @ U.T).max() / (s[0] / s[k - 1] + condition), 1e-13)
                Q = bw.polar(target.root @ W)
                residual(np.abs(Q @ Q.T - U @ U.T).max() / condition, 1e-13)
                if t < 12:
                    residual(np.abs(run[t + 1] - target.root @ Q).max() / target.trace, 1e-13)
            # two inequalities between numbers of the size of the trace; rounding below 100 eps
            residual(np.max(errors - losses) / target.trace, 1e-13)
            residual(np.max(losses[1:] - errors[:-1]) / target.trace, 1e-13)
    # broken: another step size is not orthogonal iteration, and with rank(R W0) < k the range is not determined by X0
    target = bw.Covariance(np.diag([4.0, 1.0, 0.0]))
    loss, W0 = bw.BuresLoss(target), np.array([[1.0], [1.0], [0.0]])
    X = target.root @ (W0 - 0.25 * loss.gradient(W0))
    assert abs(X[1, 0] / X[0, 0] - 1 / 8) > 1e-2
    W0 = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])  # rank 2, but R W0 has rank 1
    ways = [target.root @ half_steps(W0 + 1e-9 * np.array([[0, a], [0, b], [0, 0]]), loss, 1)[1] for a, b in [(1, 0), (1, 1)]]
    second = [np.linalg.svd(X)[1][1] for X in ways]
    assert second[0] > 0.1 and second[1] < 1e-6


def test_cor_subspace_rate(residual):
    rng = np.random.default_rng(102)
    for target in targets(rng):
        lam, Omega, loss = target.eigenvalues, target.eigenvectors, bw.BuresLoss(target)
        for k in range(1, target.dim):
            if lam[k - 1] <= lam[k] + 1e-9:
                continue
            run = half_steps(rng.standard_normal((target.dim, k)), loss, 60)
            quotients = np.clip(lam[k:, None], 0, None) / lam[:k]
            gap = loss.value(run) - loss.minimum(k)
            Y = [slopes(target.root @ W, Omega) for W in run]
            # every step adds relative rounding errors of the projector, at most eps times the condition of X and of Y0
            floor = 1e-13 * (1 + np.linalg.norm(Y[0], 2)) ** 2 * np.linalg.cond(Omega[:, :k].T @ target.root @ run[0])
            sines = []
            for t, y in enumerate(Y):
                residual(np.abs(y - quotients**t * Y[0]).max() / floor, 1.0)
                residual((np.linalg.norm(y, 2) - quotients[0, -1] ** t * np.linalg.norm(Y[0], 2)) / floor, 1.0)
                s = np.linalg.norm(y, 2, keepdims=True) if k == 1 or k == target.dim - 1 else np.linalg.svd(y)[1]
                sines.append(np.sum(s**2 / (1 + s**2)))
            sines = np.array(sines)
            residual(np.max((lam[k - 1] - lam[k]) * sines[1:] - gap[1:]) / target.trace, 1e-13)
            residual(np.max(gap[1:] - (lam[0] - lam[-1]) * sines[:-1]) / target.trace, 1e-13)
    # the local rate, within one per cent: the slowest slope in steps where it is large against the others and rounding
    for _ in range(30):
        n = int(rng.integers(2, 8))
        k, target = int(rng.integers(1, n)), spaced(rng, n)
        lam, Omega = target.eigenvalues, target.eigenvectors
        W0 = Omega[:, :k] * np.sqrt(lam[:k]) + 0.01 * rng.standard_normal((n, k))
        W0 += 0.2 * np.outer(Omega[:, k], np.eye(k)[k - 1])
        q = lam[k] / lam[k - 1]
        first = int(np.ceil(1.5 / -np.log(q)))
        last = first + int(np.ceil(2 / -np.log(q)))
        run, loss = half_steps(W0, bw.BuresLoss(target), last), bw.BuresLoss(target)
        tops = [np.linalg.norm(slopes(target.root @ run[t], Omega), 2) for t in (first, last)]
        residual(abs(np.log(tops[0] / tops[1]) / (last - first) / -np.log(q) - 1), 1e-2)
        gap = loss.value(run[[first, last]]) - loss.minimum(k)
        residual(abs(np.log(gap[0] / gap[1]) / (last - first) / (-2 * np.log(q)) - 1), 1e-2)
    # broken: a start orthogonal to the first axis (diagonal target: rounding preserves it) never finds it
    loss = bw.BuresLoss(np.diag([4.0, 2.0, 1.0]))
    assert abs(loss.value(half_steps([[0.0], [1.0], [1.0]], loss, 100)[-1]) - 5) < 1e-12


def test_prop_gap_free(residual):
    rng = np.random.default_rng(103)
    for trial in range(60):
        n = int(rng.integers(2, 7))
        k, delta = int(rng.integers(1, n)), float(rng.choice([0.0, 1e-3, 0.05, 0.3]))
        lam = np.sort(rng.uniform(0.2, 3, n))[::-1]
        lam[k:] -= lam[k] - max(lam[k - 1] - delta, 0)  # the gap at k is delta
        lam = np.maximum(lam, 0.0)
        target = bw.Covariance.from_spectrum(lam, rng=rng)
        loss, W0 = bw.BuresLoss(target), rng.standard_normal((n, k)) * 10 ** rng.uniform(-1, 1)
        gap = loss.value(half_steps(W0, loss, 80)) - loss.minimum(k)
        Y0 = slopes(target.root @ W0, target.eigenvectors)
        # the gap is a difference of numbers of the size of the trace
        residual(np.max(gap[1:] - target.eigenvalues[0] * np.sum(Y0**2) / np.arange(1, 81)) / target.trace, 1e-13)
    # broken: Omega_k^T X_0 singular; the gap stays at lambda_1 - lambda_2, with all slopes over the second axis zero
    loss = bw.BuresLoss(np.diag([4.0, 2.0, 1.0]))
    assert loss.value(half_steps([[0.0], [1.0], [1.0]], loss, 100)[-1]) - loss.minimum(1) > 1.99


def test_thm_mode_rates(residual):
    rng = np.random.default_rng(104)
    # (a) layers of several widths against the thin flow; both integrated to about 1e-9
    shapes = [(2, 2, 3, 4), (5, 2, 4), (5, 2, 2, 3, 4), (2, 4)]
    for widths in shapes:
        for tau in (0.0, 0.4):
            wide = (*(w + 1 for w in widths[:-1]), 4) if tau else widths  # with smoothing every width above k is allowed
            target, X = spaced(rng, 4), rng.standard_normal((4, 2))
            V = np.linalg.qr(rng.standard_normal((wide[0], 2)))[0]
            loss, depth, t = bw.BuresLoss(target, tau), len(wide) - 1, [0.0, 0.1, 0.5]
            layers = bw.gradient_flow(bw.balanced_network(X @ V.T, wide), loss, t, rtol=1e-10, atol=1e-12)
            thin = bw.end_to_end_flow(X, loss, depth, t, rtol=1e-10, atol=1e-12).end_to_end
            residual(np.abs(layers.end_to_end - thin @ V.T).max(), 1e-7)
            O = np.linalg.qr(rng.standard_normal((2, 2)))[0]
            turned = bw.end_to_end_flow(X @ O, loss, depth, t, rtol=1e-10, atol=1e-12).end_to_end
            residual(np.abs(turned @ turned.swapaxes(1, 2) - thin @ thin.swapaxes(1, 2)).max(), 1e-7)
    # (b), (c): all rates, minima and saddles, equal eigenvalues, singular targets
    for trial in range(60):
        n, depth = int(rng.integers(1, 7)), int(rng.integers(1, 13))
        k, lam = int(rng.integers(1, n + 1)), np.sort(rng.uniform(0.3, 3, n))[::-1]
        if trial % 5 == 0 and n > 1:
            lam[1] = lam[0]
        if trial % 7 == 0 and k < n:
            lam[-1] = 0.0
        J = np.sort(rng.permutation(int(np.count_nonzero(lam)))[:k]) if k <= np.count_nonzero(lam) else np.arange(k)
        tau = 0.0 if trial % 2 else 0.7 * lam[J[-1]] * rng.uniform()
        target = bw.Covariance(np.diag(lam)) if trial % 5 == 0 else bw.Covariance.from_spectrum(lam, rng=rng)
        lam, Omega = np.clip(target.eigenvalues, 0, None), target.eigenvectors
        X, loss, rate = Omega[:, J] * np.sqrt(lam[J] - tau), bw.BuresLoss(target, tau), rates(lam, list(J), depth, tau)
        if np.array_equal(J, np.arange(k)):
            residual(np.abs(np.hstack(bw.mode_rates(target, k, depth, tau=tau)) - rate).max() / rate.max(), 1e-8)
        size, D = 1e-4, rng.standard_normal(X.shape)
        t = np.array([0.0, 1 / np.abs(rate).max()])
        plus, minus = (bw.end_to_end_flow(X + s * D, loss, depth, t, **FINE).end_to_end for s in (size, -size))
        E0, E1 = ((entries(a, Omega, J) - entries(b, Omega, J)) / 2 for a, b in zip(plus, minus))
        # even powers cancel: the rest is size^2 relative to the largest entry, with the third derivatives; times 1e-8
        error = np.abs(E1 - E0 * np.exp(-rate * t[1])).max() / np.abs(E0).max()
        residual(error, 2e-4)
        # every single rate that moves its entry by more than noise, within one per cent
        clear = (np.abs(E0) > 0.05 * np.abs(E0).max()) & (np.abs(rate) * t[1] > 0.05)
        residual(np.max(np.abs(np.log(E0[clear] / E1[clear]) / t[1] / rate[clear] - 1), initial=0.0), 1e-2)
        # loss: the sum over +-size cancels the odd orders
        e2 = [(entries(W, Omega, J) - entries(X, Omega, J)) ** 2 for W in (X + size * D, X - size * D)]
        weight = 0.5 / np.add.outer(lam[J], lam[J])
        rest = [j for j in range(n) if j not in J]
        outer = (np.subtract.outer(lam[J], lam[rest]) / (lam[J][:, None] + np.sqrt(lam[rest] * tau)) / (lam[J] - tau)[:, None])
        model = sum(np.sum(np.hstack([weight, outer]) * e) for e in e2) / 2
        value = (loss.value(X + size * D) + loss.value(X - size * D)) / 2 - loss.value(X)
        # fourth order 1e-16 and rounding 1e-15 against 1e-8
        residual(abs(value - model) / np.sum(e2), 1e-5)
    # the spectrum with the k (k-1)/2 zeros, from the velocity at distance 1e-5 (central differences: 1e-10 and rounding 1e-10)
    for tau in (0.0, 0.5):
        target, k, depth = spaced(rng, 4), 3, 3
        lam, Omega = target.eigenvalues, target.eigenvectors
        J = [0, 1, 2] if tau else [0, 2, 3]
        if lam[J[-1]] <= tau:
            tau = 0.5 * lam[J[-1]]
        loss, X, h = bw.BuresLoss(target, tau), Omega[:, J] * np.sqrt(lam[J] - tau), 1e-5

        def velocity(Z):
            U, s, Vt = np.linalg.svd(Z, full_matrices=False)
            G, left, right = loss.gradient(Z), (U * s ** (2 / depth)) @ U.T, (Vt.T * s ** (2 / depth)) @ Vt
            return -(left @ left @ G + left @ G @ right + G @ right @ right)

        A = np.array([(velocity(X + h * B) - velocity(X - h * B)).ravel() / (2 * h) for B in np.eye(12).reshape(12, 4, 3)])
        residual(np.abs(A - A.T).max(), 1e-7)
        rate = rates(lam, J, depth, tau)
        expected = np.sort(np.concatenate([rate[:, :k][np.triu_indices(k)], rate[:, k:].ravel(), np.zeros(3)]))
        residual(np.abs(np.linalg.eigvalsh(-(A + A.T) / 2) - expected).max(), 1e-7)
    # broken: from an unbalanced start of the same covariance the flow is another one
    loss, W = bw.BuresLoss(np.diag([4.0, 1.0])), np.array([[1.0], [1.0]])
    ends = [bw.gradient_flow(bw.DeepLinearNetwork(layers), loss, [0.1]).end_to_end[0]
            for layers in (bw.balanced_network(W, (1, 1, 2)).weights, ([[5.0]], W / 5))]
    assert np.abs(ends[0] @ ends[0].T - ends[1] @ ends[1].T).max() > 0.1
    # broken: tau = 0 and all widths above k; a trace of rank grows and the loss passes below the minimum of rank k
    flow = bw.end_to_end_flow(np.diag([2.0, 1e-6]), bw.BuresLoss(np.diag([4.0, 1.0])), 1, [5.0])
    assert flow.loss[0] < 0.1 < bw.BuresLoss(np.diag([4.0, 1.0])).minimum(1)


def test_lem_slowest_decay(residual):
    rng = np.random.default_rng(105)
    for _ in range(6):
        d = int(rng.integers(2, 5))
        values = np.sort(rng.uniform(0.8, 3, d))
        if d > 2:
            values[1] = values[0]  # a slowest eigenspace of dimension two
        S, q = np.eye(d) + 0.3 * rng.uniform(-1, 1, (d, d)), 0.3 * rng.uniform(-1, 1, (d, d, d))
        M, gamma = S @ np.diag(values) @ np.linalg.inv(S), values[0]
        P = S @ np.diag((values == gamma).astype(float)) @ np.linalg.inv(S)

        def field(t, z):  # z = exp(gamma t) y keeps its size
            return gamma * z - M @ z + np.exp(-gamma * t) * np.einsum("abc,b,c->a", q, z, z)

        gap = values[values > gamma].min() - gamma if values[-1] > gamma else 1.0
        time = 30 / min(gap, gamma)

        def zeta(y):
            z = solve_ivp(field, (0, time), y, method="DOP853", rtol=1e-11, atol=1e-14)
            residual(np.abs(z.y).max() / np.linalg.norm(y), 50.0)  # (a), with C = 50
            residual(np.abs(z.y[:, -1] - P @ z.y[:, -1]).max(), 1e-9)  # (b): in the range of P; the rest is e^-30
            return z.y[:, -1]

        direction = rng.standard_normal(d)
        second = [np.linalg.norm(zeta(h * direction) - h * P @ direction) / h**2 for h in (0.02, 0.01)]
        residual(abs(second[0] / second[1] - 1), 0.1)  # of second order: the quotient is 1 + O(h)
        # (c): the derivative at 0 is P, by central differences, error of order h^2
        D = np.array([(zeta(1e-4 * e) - zeta(-1e-4 * e)) / 2e-4 for e in np.eye(d)]).T
        residual(np.abs(D - P).max(), 1e-5)
    # exact example: dy = -g y + y^2 has zeta = y0 / (1 - y0 / g)
    y0, g = 0.2, 1.5
    z = solve_ivp(lambda t, y: np.exp(-g * t) * y**2, (0, 20), [y0], method="DOP853", rtol=1e-12, atol=1e-14).y[0, -1]
    residual(abs(z - y0 / (1 - y0 / g)), 1e-10)
    # broken: a Jordan block; exp(gamma t) y grows like t
    y = solve_ivp(lambda t, z: [z[1], 0.0], (0, 100), [1.0, 1.0], rtol=1e-10).y[0, -1]
    assert y > 100


def test_cor_slowest_mode(residual):
    rng = np.random.default_rng(106)
    for _ in range(2000):  # (a), the sufficient conditions included
        n, depth = int(rng.integers(2, 7)), int(rng.integers(1, 13))
        k, lam = int(rng.integers(1, n)), np.sort(rng.uniform(0, 3, n))[::-1]
        lam[-1] *= rng.integers(0, 2)
        tau = float(rng.choice([0.0, rng.uniform() * lam[k - 1], min(1.0, rng.uniform(0, 1.2)) * lam[k]]))
        if tau >= 0.999 * lam[k - 1] or lam[k] > 0.999 * lam[k - 1]:
            continue
        rate = rates(lam, list(range(k)), depth, tau)
        inside, outside = rate[k - 1, k - 1], rate[k - 1, k]
        assert min(inside, outside) > 0
        residual(inside / rate[:, :k].min() - 1, 1e-12)
        residual(outside / rate[:, k:].min() - 1, 1e-12)
        left, right = (lam[k - 1] - lam[k]) / (lam[k - 1] + np.sqrt(lam[k] * tau)), depth * (1 - tau / lam[k - 1])
        if abs(left / right - 1) > 1e-9:
            assert (outside <= inside) == (left <= right)
        if tau <= max(lam[k], (1 - 1 / depth) * lam[k - 1]):
            residual(outside / inside - 1, 1e-12)
        if tau == 0:
            residual(abs(2 * outside / (4 * (lam[k - 1] - lam[k]) * lam[k - 1] ** (-1 / depth)) - 1), 1e-12)
    # (b): measured rates, within one per cent; the gap at the end is about 1e-11, rounding is 1e-15
    for trial in range(40):
        n, depth = int(rng.integers(2, 7)), int(rng.integers(1, 13))
        k, target = int(rng.integers(1, n)), spaced(rng, n)
        lam, Omega = target.eigenvalues, target.eigenvectors
        tau = 0.0 if trial % 2 else float(rng.uniform(0, 0.9) * lam[k])
        rate, X = bw.bottleneck_rate(target, k, depth, tau=tau), Omega[:, :k] * np.sqrt(lam[:k] - tau)
        X = X + 1e-4 * rng.standard_normal(X.shape) + 2e-3 * np.outer(Omega[:, k], np.eye(k)[k - 1])
        t = np.array([0.0, 4, 8, 10]) / rate
        flow = bw.end_to_end_flow(X, bw.BuresLoss(target, tau), depth, t, **FINE)
        residual(abs(np.log(flow.gap[2] / flow.gap[3]) / (t[3] - t[2]) / rate - 1), 1e-2)
        scaled = flow.gap * np.exp(rate * t)
        residual(abs(scaled[3] / scaled[2] - 1), 2e-2)  # a positive limit
    # an inside mode can be the slowest for tau above lambda_{k+1}: it is, and the loss gap follows it
    target, tau = bw.Covariance(np.diag([1.0, 0.1])), 0.8
    (inside,), (outside,) = (r[0] for r in bw.mode_rates(target, 1, 1, tau=tau))
    assert inside < outside
    t = np.array([6.0, 8.0]) / (2 * inside)
    gap = bw.end_to_end_flow([[np.sqrt(0.2) + 1e-3], [1e-3]], bw.BuresLoss(target, tau), 1, t, **FINE).gap
    residual(abs(np.log(gap[0] / gap[1]) / (t[1] - t[0]) / (2 * inside) - 1), 1e-2)
    # broken: an exceptional start (aligned, so zeta = 0) decays at the faster inside rate
    target = bw.Covariance(np.diag([2.0, 1.5]))
    gap = bw.end_to_end_flow([[1.5], [0.0]], bw.BuresLoss(target), 2, [0.5, 1.0], **FINE).gap
    assert np.log(gap[0] / gap[1]) / 0.5 > 3 * bw.bottleneck_rate(target, 1, 2)
    # broken: at lambda_k = tau the decay is algebraic
    loss = bw.BuresLoss(np.diag([1.0, 0.5]), 1.0)
    gap = bw.end_to_end_flow([[0.1], [0.0]], loss, 1, [1e3, 2e3]).loss - loss.value(np.zeros((2, 1)))
    assert 3.5 < gap[0] / gap[1] < 4.5


def test_prop_depth_and_search(residual):
    rng = np.random.default_rng(107)
    for trial in range(12):  # (a)
        n = int(rng.integers(2, 6))
        k, target = int(rng.integers(1, n)), spaced(rng, n)
        target = bw.Covariance(target.matrix * 10 ** rng.uniform(-1, 1))
        lam, Omega = target.eigenvalues, target.eigenvectors
        rho = np.array([bw.bottleneck_rate(target, k, N) for N in range(1, 40)])
        residual(np.abs(rho / (rho[0] * lam[k - 1] ** (1 - 1 / np.arange(1, 40))) - 1).max(), 1e-12)
        assert np.all(np.diff(rho) * np.log(lam[k - 1]) > 0)
        for N in (1, 5):
            least = bw.mode_rates(target, k, N)[0].min() / (rho[N - 1] / 2)
            residual(N / (1 - lam[k] / lam[k - 1]) / least - 1, 1e-12)
        N = int(rng.integers(1, 17))
        X = Omega[:, :k] * np.sqrt(lam[:k]) + 2e-3 * np.sqrt(lam[0]) * np.outer(Omega[:, k], np.eye(k)[k - 1])
        t = np.array([0.0, 6, 8]) / rho[N - 1]
        gap = bw.end_to_end_flow(X, bw.BuresLoss(target), N, t, rtol=1e-11, atol=1e-15).gap
        residual(abs(np.log(gap[1] / gap[2]) / (t[2] - t[1]) / rho[N - 1] - 1), 1e-2)

    def angular_speed(network, loss):
        """The exact derivative of the projector along the layerwise flow, and the bound of the statement."""
        W, weights = network.end_to_end(), network.weights
        Wdot = np.zeros_like(W)
        for l, G in enumerate(network.layer_gradients(loss.gradient(W))):
            part = -G
            for right in reversed(weights[:l]):
                part = part @ right
            for left in weights[l + 1:]:
                part = left @ part
            Wdot += part
        U, s, Vt = np.linalg.svd(W, full_matrices=False)
        k = int(np.sum(s > 1e-10 * s[0]))
        U, s, Vt = U[:, :k], s[:k], Vt[:k]
        M = ((Wdot - U @ (U.T @ Wdot)) @ Vt.T / s) @ U.T
        N = len(weights)
        bound = 2 * np.sqrt(loss.target.eigenvalues[0]) * (1 / s[-1] if N == 1 else s[0] ** (1 - 2 / N))
        return np.linalg.norm(M + M.T, 2), bound

    for trial in range(400):  # (b), near a minimum or not
        target = targets(rng)[trial % len(SPECTRA)]
        n, k = target.dim, int(rng.integers(1, target.rank + 1))
        N, tau = int(rng.integers(1, 9)), float(rng.choice([0.0, 0.5]))
        X = rng.standard_normal((n, k)) * 10 ** rng.uniform(-2, 1)
        V = np.linalg.qr(rng.standard_normal((k + 1, k)))[0] if tau or N > 1 else np.eye(k)
        network = bw.balanced_network(X @ V.T, (len(V), *[k] * (N - 1), n))
        speed, bound = angular_speed(network, bw.BuresLoss(target, tau))
        residual(speed / bound - 1, 1e-8)  # rounding of the pseudo-inverse
    # no turn faster than the bound allows, from small starts, whatever the depth
    target = bw.Covariance.from_spectrum(SPECTRA[0], rng=rng)
    for N in (2, 3, 10):
        t = np.linspace(0, 1.0, 11)
        flow = bw.end_to_end_flow(0.3 * rng.standard_normal((5, 2)), bw.BuresLoss(target), N, t)
        projectors = [U @ U.T for U in (np.linalg.svd(W)[0][:, :2] for W in flow.end_to_end)]
        rho = np.maximum(1, np.maximum.accumulate(flow.singular_values[:, 0]))
        turn = np.array([np.linalg.norm(P - projectors[0], 2) for P in projectors])
        residual(np.max(turn - 2 * np.sqrt(4.0) * rho * t), 1e-12)
    # broken: without balance the last layer can be short, and the subspace turns as fast as one likes
    W = np.array([[1.0], [1.0]])
    speed, bound = angular_speed(bw.DeepLinearNetwork([[[100.0]], W / 100]), bw.BuresLoss(np.diag([4.0, 1.0])))
    assert speed > 100 * bound


def test_prop_local_descent_rates(residual):
    rng = np.random.default_rng(108)
    for trial in range(14):
        n, depth = int(rng.integers(2, 5)), int(rng.integers(1, 6))
        k, target = int(rng.integers(1, n)), spaced(rng, n, 0.4)
        if trial % 3 == 1:  # a singular target
            target = bw.Covariance.from_spectrum([*target.eigenvalues[:-1], 0.0], rng=rng)
        lam, Omega = np.clip(target.eigenvalues, 0, None), target.eigenvectors
        tau = 0.0 if trial % 2 else float(rng.uniform(0.1, 0.9) * lam[k - 1])
        widths = [k + int(rng.integers(0, 3)) for _ in range(depth)]
        widths[int(rng.integers(depth))] = k
        V = np.linalg.qr(rng.standard_normal((widths[0], k)))[0]
        best = bw.balanced_network((Omega[:, :k] * np.sqrt(lam[:k] - tau)) @ V.T, (*widths, n))
        loss, rate = bw.BuresLoss(target, tau), rates(lam, list(range(k)), depth, tau)
        expected = np.sort(np.append(rate[:, :k][np.triu_indices(k)], rate[:, k:]))
        values = np.linalg.eigvalsh(bw.parameter_hessian(best, loss))
        # a matrix of the size of its largest eigenvalue and at most 60 rows, assembled from an SVD
        residual(np.abs(values[-len(expected):] - expected).max() / expected[-1], 1e-11)
        residual(np.abs(values[:-len(expected)]).max(initial=0.0) / expected[-1], 1e-11)
        if tau == 0:
            chi = depth * (lam[0] / lam[k - 1]) ** (1 - 1 / depth) * lam[k - 1] / (lam[k - 1] - lam[k])
            residual(abs(expected[-1] / expected[0] / chi - 1), 1e-12)
            best_eta = 2 / (expected[0] + expected[-1])
            residual(abs(np.abs(1 - best_eta * expected).max() - (chi - 1) / (chi + 1)), 1e-12)
            for eta in (0.9 * best_eta, 1.1 * best_eta):
                assert np.abs(1 - eta * expected).max() > (chi - 1) / (chi + 1)
        # descent: the slowest eigenvector, at size 1e-3, gives the factor q^2 of the gap within one per cent
        eta, vectors = 0.8 / expected[-1], np.linalg.eigh(bw.parameter_hessian(best, loss))[1]
        slow = vectors[:, -len(expected)]
        ends = np.cumsum([W.size for W in best.weights])[:-1]
        parts = np.split(1e-3 * slow + 1e-5 * rng.standard_normal(slow.size), ends)
        start = bw.DeepLinearNetwork([W + Z.reshape(W.shape) for W, Z in zip(best.weights, parts)])
        q = 1 - eta * expected[0]
        steps = int(np.ceil(4 / -np.log(q)))
        run = bw.gradient_descent(start, loss, eta, max_steps=steps, tol=0.0, record_every=[steps // 2, steps])
        measured = np.log(run.gap[-2] / run.gap[-1]) / (steps - steps // 2)
        residual(abs(measured / (-2 * np.log(q)) - 1), 1e-2)
        # above 2 / gamma_max the same minimum repels
        parts = np.split(1e-6 * vectors[:, -1], ends)
        start = bw.DeepLinearNetwork([W + Z.reshape(W.shape) for W, Z in zip(best.weights, parts)])
        run = bw.gradient_descent(start, loss, 2.2 / expected[-1], max_steps=5, tol=0.0)
        moved = [np.sqrt(sum(np.sum((A - B) ** 2) for A, B in zip(row.weights, best.weights))) for row in run.networks]
        residual(abs(moved[5] / moved[0] / 1.2**5 - 1), 1e-2)  # the eigenvalue 1 - 2.2 = -1.2 of the step
    # broken: an unbalanced minimum has other eigenvalues
    target, W = bw.Covariance(np.diag([4.0, 1.0])), np.array([[2.0], [0.0]])
    values = np.linalg.eigvalsh(bw.parameter_hessian(bw.DeepLinearNetwork([[[4.0]], W / 4]), bw.BuresLoss(target)))
    inside, outside = bw.mode_rates(target, 1, 2)
    assert values[-1] > 2 * max(inside.max(), outside.max())


def test_prop_no_gap(residual):
    rng = np.random.default_rng(109)
    cases = [([4.0, 2.0, 2.0, 2.0, 1.0], 2), ([4.0, 2.0, 2.0, 2.0, 1.0], 3), ([2.0, 2.0, 1.0], 1), ([3.0, 1.0, 1.0], 2),
             ([1.0, 1.0, 1.0], 2), ([2.0, 1.0, 1.0, 0.0], 2)]
    for lam, k in cases:
        lam = np.array(lam)
        same = np.flatnonzero(lam == lam[k - 1])
        p, p2 = same[0], same[-1] + 1
        target = bw.Covariance(np.diag(lam))
        loss = bw.BuresLoss(target)
        x = max(lam[k - 1] / lam[p - 1] if p > 0 else 0.0, lam[p2] / lam[k - 1] if p2 < len(lam) else 0.0)
        for _ in range(4):  # (a)
            W0 = rng.standard_normal((len(lam), k))
            run, X0 = half_steps(W0, loss, 60), target.root @ W0
            free = X0 @ np.linalg.svd(X0[:p])[2][p:].T  # the part of the range without the first p axes
            E = np.linalg.svd(free[p:p2])[0]
            Omega = np.eye(len(lam))
            Omega[p:p2, p:p2] = E
            Y = [slopes(target.root @ W, Omega) for W in run]
            top = np.linalg.norm(Y[0])
            # relative rounding of the slopes: eps times the condition of the k x k block and the size of Y0
            floor = 1e-13 * (1 + top) ** 2 * np.linalg.cond(Omega[:, :k].T @ X0)
            for t, y in enumerate(Y):
                residual((np.linalg.norm(y, 2) - x**t * top) / floor, 1.0)
            residual(np.abs(Y[0][: p2 - k, p:]).max(initial=0.0) / floor, 1.0)
        for depth, tau in ((1, 0.0), (2, 0.0), (5, 0.0), (1, 0.4), (3, 0.4)):  # (b)
            loss, rate = bw.BuresLoss(target, tau), rates(lam, list(range(k)), depth, tau)
            flat = np.zeros(rate.shape, bool)
            flat[:, k:] = lam[:k, None] == lam[None, k:]
            gamma0 = rate[~flat].min()
            a, b = np.argwhere((rate == gamma0) & ~flat)[-1]
            D = 1e-4 * rng.standard_normal((len(lam), k))
            D[b, a] += 5e-3
            X = np.eye(len(lam))[:, :k] * np.sqrt(lam[:k] - tau) + D
            t = np.array([0.0, 3.0, 4.0, 12.0]) / gamma0
            flow = bw.end_to_end_flow(X, loss, depth, t, **FINE)
            best = loss.minimum(k)
            gap = flow.loss - best
            residual(abs(np.log(gap[1] / gap[2]) / (t[2] - t[1]) / (2 * gamma0) - 1), 1e-2)
            residual(np.max(gap[1:3] / (gap[0] * np.exp(-2 * gamma0 * t[1:3]))) - 1, 0.2)  # C = 1.2 this near
            residual(abs(gap[3]), 1e-13)
            moved = np.abs(flow.singular_values[3, :k] ** 2 - np.sort(lam[:k] - tau)[::-1]).max()
            residual(moved, 1e-5)  # the limit is a minimising covariance
    # the limit depends on the start
    flows = [bw.end_to_end_flow([[1.0], [s], [0.1]], bw.BuresLoss(np.diag([2.0, 2.0, 1.0])), 2, [20.0]) for s in (0.0, 1.0)]
    ends = [f.end_to_end[0] @ f.end_to_end[0].T for f in flows]
    assert all(f.gap[0] < 1e-12 for f in flows) and np.abs(ends[0] - ends[1]).max() > 0.5
    # broken: a start without the first axis, rank(Omega_p^T X_0) < p, does not reach the minimum; few steps, before rounding finds it
    loss = bw.BuresLoss(np.diag([4.0, 2.0, 2.0, 1.0]))
    run = half_steps(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 2.0]]), loss, 15)
    assert loss.value(run[-1]) - loss.minimum(2) > 1.9
    # broken: lambda_k = tau; the decay is algebraic, a quarter when the time doubles
    gap = bw.end_to_end_flow([[0.1], [0.0]], bw.BuresLoss(np.eye(2), 1.0), 1, [1e4, 2e4])
    gap = gap.loss - bw.BuresLoss(np.eye(2), 1.0).value(np.zeros((2, 1)))
    assert 3.5 < gap[0] / gap[1] < 4.5
