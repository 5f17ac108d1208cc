"""The numbered statements of the chapter "The paper's experiments, reproduced"."""
from __future__ import annotations

import numpy as np

import bwlib as bw
from bwlib.experiments import authors_start, authors_target, cell_rng


def slope_functions(lam, tau, N, ell):
    c2 = (np.sqrt(lam[-1]) - ell) ** 2 - tau
    return (4 * N * c2 ** ((2 * N - 1) / N) / (c2 + tau),
            4 * N * ((np.sqrt(lam[0]) + ell) ** 2 - tau) ** ((N - 1) / N))


def test_prop_slope_bounds(residual):
    rng = np.random.default_rng(121)
    for _ in range(20):
        n, N = int(rng.integers(1, 6)), int(rng.integers(1, 13))
        target = bw.Covariance.from_spectrum(rng.uniform(0.3, 4, n), rng=rng)
        lam, Omega = target.eigenvalues, target.eigenvectors
        tau = float(rng.choice([0.0, 0.3, 0.7])) * lam[-1]
        m = n + int(rng.integers(3))
        room = np.sqrt(lam[-1]) - np.sqrt(tau)
        D = rng.standard_normal((n, m))
        W0 = ((Omega * np.sqrt(lam - tau)) @ Omega.T @ np.linalg.qr(rng.standard_normal((m, n)))[0].T
              + rng.uniform(0.1, 0.98) * room * D / np.linalg.norm(D))
        loss, limit = bw.BuresLoss(target, tau), slope_functions(lam, tau, N, 0.0)[0]
        t = np.linspace(0, 6 / limit, 40)
        flow = bw.end_to_end_flow(W0, loss, N, t, rtol=1e-10, atol=1e-13)
        ell = np.sqrt(flow.loss)
        low, high = slope_functions(lam, tau, N, ell)
        # (a) the derivative of the loss is minus the squared gradient of the balanced network
        slope = flow.gradient_norm**2 / flow.loss
        residual(np.max((low - slope) / low), 1e-9)  # loss and gradient are exact to 1e-12 relative at these losses
        residual(np.max((slope - high) / high), 1e-9)
        # (b) fits over parts of the curve; the integrator's relative error of the loss is below 1e-6
        for first in (0, 7, 20):
            y = np.log10(flow.loss[first:])
            b = -np.polyfit(t[first:], y, 1)[0] * np.log(10)
            residual(max(low[first] - b, b - high[first]) / high[first], 1e-6)
        # (c)
        near = slope_functions(lam, tau, N, np.linspace(0, 0.99 * room, 30))[0]
        assert np.all(np.diff(near) <= 1e-12 * near[0])
        residual(abs(near[0] / (4 * N * (lam[-1] - tau) ** (2 - 1 / N) / lam[-1]) - 1), 1e-12)
    # broken: without balance the upper bound fails ...
    far = bw.DeepLinearNetwork([[[20.0]], [[0.06]]])
    loss = bw.BuresLoss([[1.0]])
    G = far.layer_gradients(loss.gradient(far.end_to_end()))
    slope = sum(np.sum(g**2) for g in G) / loss.value(far.end_to_end())
    assert slope > 10 * slope_functions(np.array([1.0]), 0.0, 2, 0.2)[1]
    # ... and without a margin the lower one: near a saddle of a deep network the loss hardly moves
    stuck = bw.end_to_end_flow(np.diag([1.0, 1e-4]), bw.BuresLoss(np.diag([1.0, 0.5])), 3, [0.0])
    assert stuck.gradient_norm[0] ** 2 / stuck.loss[0] < 0.01 * slope_functions(np.array([1.0, 0.5]), 0.0, 3, 0.0)[0]


def test_prop_fit_earlier(residual):
    rng = np.random.default_rng(122)

    def fit(y, a, b):
        t = np.linspace(a, b, 4001)
        return -np.polyfit(t - a, y(t), 1)[0]

    for _ in range(30):
        q = int(rng.integers(1, 8))
        w, rates = rng.uniform(0.01, 5, q), rng.uniform(0.2, 6, q)
        b = rng.uniform(0.5, 4)
        y = lambda t: np.log(np.exp(-np.outer(t, rates)) @ w)
        # (a) the derivative is minus the weighted mean, which does not increase and tends to the smallest rate
        t = np.linspace(0, b, 200)
        p = np.exp(-np.outer(t, rates)) * w
        mean = (p @ rates) / p.sum(axis=1)
        h = 1e-5
        residual(np.max(np.abs((y(t + h) - y(t - h)) / (2 * h) + mean)), 1e-8)  # difference quotients: h^2 and eps/h
        residual(np.max(np.diff(mean)), 1e-12)
        late = np.exp(-np.outer([400.0], rates - rates.min())) * w
        gap = np.min(np.delete(rates, rates.argmin()) - rates.min(), initial=np.inf)
        residual((late @ rates)[0] / late.sum() - rates.min(), 1e-12 + 3000 * q * np.exp(-400 * gap))
        # (b) for this convex function: fits to the same end, from later and later; sums for integrals: 1/4001^2
        slopes = np.array([fit(y, a, b) for a in np.linspace(0, 0.95 * b, 12)])
        residual(np.max(np.diff(slopes)), 1e-6)
        residual(np.max(mean[-1] - slopes), 1e-6)
        # ... and the mean of the derivative with the weight 6u(1-u); a sum with equal weights at the ends is off by
        # at most 1/4001 of the variation of the derivative
        u = (np.arange(4000) + 0.5) / 4000
        a = 0.3 * b
        p = np.exp(-np.outer(a + u * (b - a), rates)) * w
        residual(abs(np.mean(6 * u * (1 - u) * (p @ rates) / p.sum(axis=1)) - fit(y, a, b)),
                 (mean[0] - mean[-1]) / 4001 + 1e-6)
    # broken: a concave function is flatter where it begins earlier
    concave = [fit(lambda t: -np.log(1 + np.exp(4 * (t - 1))), a, 2.0) for a in (0.0, 0.5, 1.0)]
    assert concave[0] < concave[1] < concave[2]
    # broken: negative weights
    y = lambda t: np.log(np.exp(-t) - 0.5 * np.exp(-3 * t))
    assert fit(y, 0.0, 2.0) < fit(y, 1.0, 2.0)


def test_prop_authors_start(residual):
    for floor, tau in [(0.0, 0.0), (0.0, 0.05), (0.5, 0.1), (2.0, 0.5), (5.0, 1.0), (3.0, 3.05)]:
        for n in (2, 6, 20):
            target = authors_target(floor, n=n, seed=n)
            smallest = target.eigenvalues[-1]
            tau = min(tau, smallest)
            loss, rng = bw.BuresLoss(target, tau), cell_rng(floor=floor, tau=tau, n=n)
            for beta in (None, 0.7, 0.2):
                room = np.sqrt(smallest) - np.sqrt(tau)
                if beta is not None and room <= 1e-3:
                    continue
                largest = None if beta is None else (beta * room) ** 2
                W = authors_start(target, tau, rng, largest_loss=largest)
                P = W @ W.T + tau * np.eye(n) - target.matrix
                epsilon = 2 * np.trace(P) / (3 * n - 1) / smallest
                # (a) roots of covariances are exact to about 1e-14 of their largest entries, below 1e-12 here
                s = np.linalg.svd(W, compute_uv=False)[-1]
                residual(((1 + epsilon) * smallest - tau - s**2) / target.eigenvalues[0], 1e-12)
                residual(loss.value(W) / ((3 * n - 1) / 2 * epsilon * smallest) - 1, 1e-9)
                gap = np.sqrt(smallest) - np.sqrt(loss.value(W))
                if beta is None:  # (b)
                    assert epsilon > 1.9 / (3 * n - 1) * (1 - 1e-9) and gap >= 0
                else:
                    residual((1 - beta) * np.sqrt(smallest) + beta * np.sqrt(tau) - gap, 1e-12)
                    assert bw.deficiency_margin(W, target, tau=tau) > 0
    # broken: a disturbance that is not positive semidefinite of this form can lose a singular value
    target = bw.Covariance(np.diag([2.0, 1.0]))
    W = np.diag([np.sqrt(2.0), 0.0])
    assert bw.BuresLoss(target).value(W) <= 1.0 and np.linalg.svd(W, compute_uv=False)[-1] ** 2 < 1.0
    # (c) broken: where the margin fails, the library refuses to certify
    goal = authors_target(2.0)
    W = authors_start(goal, 0.5, cell_rng(a=1))
    try:
        bw.deficiency_margin(W, goal, tau=0.5)
    except ValueError as error:
        assert "margin" in str(error)
    else:
        raise AssertionError("no margin is left at these starts")
