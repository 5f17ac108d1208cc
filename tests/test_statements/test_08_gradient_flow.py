"""The numbered statements of the chapter "Gradient flow"."""
from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

import bwlib as bw

EPS = np.finfo(float).eps
SPECTRA = [[4.0, 2.0, 1.0, 0.5], [3.0, 0.7], [2.0, 1.5, 0.3], [1.0, 1.0, 1.0], [2.5]]
SINGULAR = [bw.Covariance(np.diag([2.0, 1.0, 0.0])), bw.Covariance(np.diag([1.0, 0.0]))]
FINE = {"rtol": 1e-11, "atol": 1e-13}  # global errors below 1e-8 on the times used here


def targets(rng):
    return [bw.Covariance.from_spectrum(lam, rng=rng) for lam in SPECTRA]


def start(rng, target, tau, m, share):
    """A start whose distance to a minimiser is a share of the room: the margin is positive for share < 1."""
    lam, Omega = target.eigenvalues, target.eigenvectors
    best = (Omega * np.sqrt(lam - tau)) @ Omega.T @ np.linalg.qr(rng.standard_normal((m, lam.size)))[0].T
    D = rng.standard_normal(best.shape)
    return best + share * (np.sqrt(lam[-1]) - np.sqrt(tau)) * D / np.linalg.norm(D)


def squared_gradient(network, loss):
    return sum(np.sum(g**2) for g in network.layer_gradients(loss.gradient(network.end_to_end())))


def test_lem_layer_bound(residual):
    rng = np.random.default_rng(81)
    for _ in range(200):
        N = int(rng.integers(2, 7))
        widths = rng.integers(1, 5, N + 1)
        network = bw.DeepLinearNetwork([rng.standard_normal((b, a)) * 10 ** rng.uniform(-1, 1)
                                        for a, b in zip(widths, widths[1:])])
        d = max(np.linalg.norm(D, 2) for D in network.imbalances())
        x = max(np.linalg.norm(W, 2) ** 2 for W in network.weights)
        W, last = network.end_to_end(), network.weights[-1]
        W2, scale = np.linalg.norm(W, 2) ** 2, d * x ** (N - 1)
        change = np.linalg.norm(W @ W.T - np.linalg.matrix_power(last @ last.T, N), 2)
        # rounding is below 100 eps x^N, and x^N <= max(...)^N; all three are inequalities
        residual((change - N * (N - 1) / 2 * scale) / x**N, 1e-13)
        residual((x**N - 1.5 * N * (N - 1) * scale - W2) / x**N, 1e-13)
        residual(x / max(3 * N * (N - 1) * d, (2 * W2) ** (1 / N)) - 1, 1e-13)
    # broken: without the imbalance the product does not bound the layers
    network = bw.DeepLinearNetwork([[[100.0]], [[0.01]]])
    assert np.linalg.norm(network.weights[0]) ** 2 > 1000 * (2 * np.linalg.norm(network.end_to_end()) ** 2) ** 0.5


def test_prop_flow_exists(residual):
    rng = np.random.default_rng(82)
    for target in [*targets(rng), *SINGULAR]:
        n = target.dim
        for widths in [(n,), (1, n + 1), (n, 2, n)]:
            widths = (*widths, n)
            tau = float(rng.uniform(0.05, 0.5))
            loss = bw.BuresLoss(target, tau)
            flow = bw.gradient_flow(bw.random_network(widths, scale=1.5, rng=rng), loss, np.linspace(0, 3, 13), **FINE)
            N, C0 = len(widths) - 1, 2 * (flow.loss[0] + target.trace)
            assert flow.status is bw.Status.FINISHED and (np.diff(flow.loss) < 1e-12 * flow.loss[0]).all()
            residual(np.max(np.sum(flow.end_to_end**2, axis=(1, 2))) + n * tau - C0, 0.0)
            layers = max(np.linalg.norm(W, 2) ** 2 for row in flow.networks for W in row.weights)
            residual(layers - max(3 * N * (N - 1) * flow.imbalance[0], (2 * C0) ** (1 / N)), 0.0)
            late = bw.gradient_flow(flow.networks[4], loss, [0.0, 0.25], **FINE)  # uniqueness: restart on the way
            residual(np.abs(late.end_to_end[-1] - flow.end_to_end[5]).max(), 1e-7)
    # broken: at tau = 0 uniqueness fails at a kink; both lines leave w = 0 with the loss falling at the same rate
    ways = [bw.shallow_flow([[sign * 1e-12]], [[1.0]], 1.0).item() for sign in (1, -1)]
    assert abs(ways[0] + ways[1]) < 1e-9 < 0.8 < ways[0]


def test_thm_shallow_flow(residual):
    rng = np.random.default_rng(83)
    t = np.array([0.0, 0.1, 0.7, 2.0])
    for target in targets(rng) + SINGULAR:
        for m in (target.rank, target.dim + 2):
            loss, W0 = bw.BuresLoss(target), rng.standard_normal((target.dim, m))
            exact = bw.shallow_flow(W0, target, t)
            flow = bw.gradient_flow(W0, loss, t, **FINE)
            residual(np.abs(flow.end_to_end - exact).max(), 1e-7)
            residual(np.abs(loss.value(exact) - np.exp(-4 * t) * loss.value(W0)).max(), 1e-12)
            for s, W in zip(1 - np.exp(-2 * t), exact):  # constant speed: a point of a geodesic
                gone, left = (bw.bures_wasserstein(W @ W.T, S) for S in (W0 @ W0.T, target))
                residual(abs(gone - s * np.sqrt(loss.value(W0))), 1e-6)  # the root of the rounding of a square
                residual(abs(left - (1 - s) * np.sqrt(loss.value(W0))), 1e-6)
    # broken: with m < n the polar factor turns and the loss does not decay to zero
    target = bw.Covariance.from_spectrum(SPECTRA[0], rng=rng)
    W0 = rng.standard_normal((4, 2))
    with pytest.raises(ValueError, match="rank"):
        bw.shallow_flow(W0, target, 1.0)
    flow = bw.gradient_flow(W0, bw.BuresLoss(target), [0.0, 1.0])
    line = target.root @ bw.polar(target.root @ W0) * (1 - np.exp(-2)) + np.exp(-2) * W0
    assert np.abs(flow.end_to_end[-1] - line).max() > 1e-2


def test_prop_aligned_flow(residual):
    rng = np.random.default_rng(84)
    t = np.array([0.0, 0.2, 1.0, 4.0])
    for target in targets(rng):
        n, lam, Omega = target.dim, target.eigenvalues, target.eigenvectors
        for depth in (1, 2, 3, 7):
            for tau, p in [(0.0, n), (0.4, n), (0.4, max(1, n - 1)), (0.0, max(1, n - 1))]:
                s0 = rng.uniform(0.05, 2.5, p)
                V = np.linalg.qr(rng.standard_normal((n + 1, p)))[0]
                modes = bw.aligned_flow(s0, lam[:p], depth, t, tau=tau)
                flow = bw.end_to_end_flow((Omega[:, :p] * s0) @ V.T, bw.BuresLoss(target, tau), depth, t, **FINE)
                residual(np.abs(flow.end_to_end - (Omega[:, :p] * modes[:, None, :]) @ V.T).max(), 1e-7)
                goal = np.sqrt(np.maximum(lam[:p] - tau, 0))
                assert ((modes - goal) * (s0 - goal) >= -1e-10).all()  # does not cross it
                assert (np.diff(np.abs(modes - goal), axis=0) <= 1e-12).all()  # monotone towards the goal
        if n > 1:  # tau = 0 with a true bottleneck k = p < n, all layers integrated
            s0, V = rng.uniform(0.3, 1.5, n - 1), np.eye(n + 1)[:, :n - 1]
            network = bw.balanced_network((Omega[:, :-1] * s0) @ V.T, (n + 1, n - 1, n))
            flow = bw.gradient_flow(network, bw.BuresLoss(target), t, **FINE)
            modes = bw.aligned_flow(s0, lam[:-1], 2, t)
            residual(np.abs(flow.end_to_end - (Omega[:, :-1] * modes[:, None, :]) @ V.T).max(), 1e-7)
        speed, s0 = 1e-8, rng.uniform(0.2, 1.5, n)
        for depth in (1, 2, 4):
            flow = bw.end_to_end_flow(Omega * s0, bw.FrobeniusLoss(target), depth, [0.0, speed], **FINE)
            s = np.diag(Omega.T @ flow.end_to_end[-1])
            residual(np.abs((s - s0) / speed + 4 * depth * s0 ** (3 - 2 / depth) * (s0**2 - lam)).max(), 1e-4)
    s = bw.aligned_flow(0.1, 2.0, 2, t)  # logistic, by hand
    residual(np.abs(s - np.sqrt(2) / (1 + (np.sqrt(2) / 0.1 - 1) * np.exp(-4 * np.sqrt(2) * t))).max(), 1e-14)
    far = bw.aligned_flow([0.1, 1.5, 0.1], [2.0, 0.5, 0.3], 3, 400.0, tau=0.4)  # the last goal is zero: algebraic decay
    residual(np.abs(far[:2] - np.sqrt([1.6, 0.1])).max(), 1e-9)
    assert 0 < far[2] < 0.1
    # broken: from a start that is not aligned the singular values interact
    W0 = np.array([[0.8, 0.6], [-0.6, 0.8]]) @ np.diag([1.5, 0.2])
    flow = bw.end_to_end_flow(W0, bw.BuresLoss(np.diag([4.0, 0.1])), 2, [0.0, 0.3])
    assert np.abs(flow.singular_values[-1] - bw.aligned_flow([1.5, 0.2], [4.0, 0.1], 2, 0.3)).max() > 1e-2


def test_prop_escape_times(residual):
    def time(eps, depth, pull, a):
        return quad(lambda y: np.exp(y) / (2 * depth * np.exp(y) ** (2 - 2 / depth) * pull(np.exp(y))), np.log(eps), np.log(a),
                    epsrel=1e-10, limit=500)[0]

    for lam in (0.5, 1.0, 3.0):
        root, tau = np.sqrt(lam), 0.3 * lam
        beta, a = np.sqrt(lam / tau) - 1, 0.4 * np.sqrt(lam - tau)
        plain = (lambda s: root - s)
        smooth = (lambda s: s * (np.sqrt(lam / (s**2 + tau)) - 1))
        frobenius = (lambda s: 2 * s * (lam - s**2))
        residual(abs(time(1e-9, 1, plain, a) + np.log(1 - a / root) / 2), 1e-8)
        for pull, factor in ((smooth, beta), (frobenius, 2 * lam)):
            added = time(1e-7, 1, pull, a) - time(1e-6, 1, pull, a)  # logarithmic: what a tenth of the start adds
            residual(abs(added - np.log(10) / (2 * factor)), 1e-6)
            for depth in (2, 3, 5):
                eps = 1e-5
                leading = eps ** (-2 * (depth - 1) / depth) / (4 * (depth - 1) * factor)
                residual(abs(time(eps, depth, pull, a) / leading - 1), 1e-3)
        added = time(1e-7, 2, plain, a) - time(1e-6, 2, plain, a)
        residual(abs(added - np.log(10) / (4 * root)), 1e-5)
        for depth in (3, 4, 8):
            eps = 1e-12
            leading = eps ** (-(depth - 2) / depth) / (2 * (depth - 2) * root)
            residual(abs(time(eps, depth, plain, a) / leading - 1), 5e-3 * depth)
    # broken: above its goal (tau > lam) a singular value never reaches a
    assert bw.aligned_flow(1e-3, 1.0, 2, 100.0, tau=1.5) < 1e-3


def test_prop_margin(residual):
    rng = np.random.default_rng(86)
    for target in targets(rng):
        for tau in (0.0, 0.3 * target.eigenvalues[-1]):
            loss = bw.BuresLoss(target, tau)
            for _ in range(40):
                W0 = start(rng, target, tau, target.dim + 1, rng.uniform(0.1, 0.95))
                c = bw.deficiency_margin(W0, target, tau=tau)
                W = start(rng, target, tau, target.dim + 1, rng.uniform(0.0, 1.0))
                if loss.value(W) <= loss.value(W0):
                    residual(c - np.linalg.svd(W)[1][-1], 1e-12)
                residual(c - np.linalg.svd(W0)[1][-1], 1e-12)
            lam = target.eigenvalues  # best possible: the loss of W0 (rounding of one loss) and the least singular value c
            W = target.eigenvectors * np.append(np.sqrt(lam[:-1] - tau), c)
            residual(abs(loss.value(W) - loss.value(W0)), 1e-13)
            residual(abs(c - np.linalg.svd(W)[1][-1]), 1e-13)
            n = target.dim  # no margin with fewer columns than rows, or with tau above lam_n
            for W, level in [(0.9 * target.eigenvectors[:, :n - 1] * np.sqrt(lam[:n - 1]), tau), (W, 1.1 * lam[-1])]:
                if W.shape[1]:
                    with pytest.raises(ValueError, match="margin"):
                        bw.deficiency_margin(W, target, tau=level)
    # broken: without the margin a smaller loss can come with a smaller rank
    target = bw.Covariance(np.diag([4.0, 0.1]))
    loss, W0, W = bw.BuresLoss(target), np.diag([1.0, 0.3]), np.diag([2.0, 0.0])
    with pytest.raises(ValueError, match="margin"):
        bw.deficiency_margin(W0, target)
    assert loss.value(W) < loss.value(W0) and np.linalg.matrix_rank(W) == 1


def test_prop_balanced_gradient(residual):
    rng = np.random.default_rng(87)
    for target in [*targets(rng), *SINGULAR]:
        n = target.dim
        for depth in (1, 2, 3, 6):
            for tau in (0.0, 0.4):
                loss, W = bw.BuresLoss(target, tau), rng.standard_normal((n, n + 1))
                network = bw.balanced_network(W, (n + 1, *[n + 2] * (depth - 1), n))
                c = np.linalg.svd(W)[1][-1]
                bound = depth * c ** (2 * (depth - 1) / depth) * np.sum(loss.gradient(W) ** 2)
                residual(1 - squared_gradient(network, loss) / bound, 1e-10)
                network = bw.balanced_network(c * np.eye(n), (n,) * (depth + 1))
                bound = depth * c ** (2 * (depth - 1) / depth) * np.sum(loss.gradient(c * np.eye(n)) ** 2)
                residual(abs(squared_gradient(network, loss) - bound), 1e-10 * (1 + bound))
    # broken: for matrices that are no gradients of this loss balance is needed
    layers = bw.DeepLinearNetwork([np.diag([3.0, 1 / 3]), np.diag([1 / 3, 3.0])])
    assert sum(np.sum(g**2) for g in layers.layer_gradients([[0.0, 1.0], [0.0, 0.0]])) < 0.3 < 2


def test_thm_flow_convergence(residual):
    """120 flows, depth 1 to 12; with the 600 instances of tests/test_theory.py none violates its certificate."""
    rng = np.random.default_rng(88)
    for trial in range(120):
        target = targets(rng)[trial % len(SPECTRA)]
        tau = float(rng.choice([0.0, 0.2])) * target.eigenvalues[-1]
        depth, m = int(rng.integers(1, 13)), target.dim + int(rng.integers(0, 3))
        W0 = start(rng, target, tau, m, rng.uniform(0.1, 0.95))
        c = bw.deficiency_margin(W0, target, tau=tau)
        rate, t = bw.flow_rate(c, depth, tau=tau), np.array([0.0, 0.1, 0.5, 2.0]) / depth
        flow = bw.end_to_end_flow(W0, bw.BuresLoss(target, tau), depth, t, rtol=1e-10, atol=1e-12)
        # the relative error of the loss is that of the integration, about 1e-8
        residual(np.max(flow.loss / (flow.loss[0] * np.exp(-rate * t))) - 1, 1e-6 if depth > 1 else 1e-5)
        residual(c - flow.singular_values[:, target.dim - 1].min(), 1e-7)
    target = bw.Covariance.from_spectrum(SPECTRA[0], rng=rng)
    network = bw.balanced_network(start(rng, target, 0.1, 4, 0.6), (4, 5, 4, 4))
    loss, c = bw.BuresLoss(target, 0.1), bw.deficiency_margin(network.end_to_end(), target, tau=0.1)
    flow = bw.gradient_flow(network, loss, [0.0, 0.2, 1.0, 20.0], **FINE)
    end = flow.networks[-1]
    residual(np.abs(end.end_to_end() @ end.end_to_end().T + 0.1 * np.eye(4) - target.matrix).max(), 1e-8)
    for row, value in zip(flow.networks[:3], flow.loss):
        length = np.sqrt(sum(np.sum((A - B) ** 2) for A, B in zip(row.weights, end.weights)))
        residual(length - 2 / np.sqrt(bw.flow_rate(c, 3, tau=0.1)) * np.sqrt(value), 0.0)
    # broken: without a margin, from low rank, the loss tends to that of a saddle
    flow = bw.end_to_end_flow(np.diag([1.0, 1.0, 1.0, 0.0]), bw.BuresLoss(np.diag(SPECTRA[0]), 0.1), 3, [0.0, 20.0])
    assert abs(flow.loss[-1] - (np.sqrt(0.5) - np.sqrt(0.1)) ** 2) < 1e-6


def test_cor_paper_rate(residual):
    rng = np.random.default_rng(89)
    for trial in range(100):
        target = targets(rng)[trial % len(SPECTRA)]
        tau, depth = rng.uniform(0.01, 0.8) * target.eigenvalues[-1], int(rng.integers(1, 9))
        W0 = start(rng, target, tau, target.dim, rng.uniform(0.1, 0.9))
        loss = bw.BuresLoss(target, tau)
        c, initial = bw.deficiency_margin(W0, target, tau=tau), loss.value(W0)
        slow = bw.paper_flow_rate(c, depth, target=target, initial_loss=initial, tau=tau)
        ratio = bw.flow_rate(c, depth, tau=tau) / slow
        C0 = 2 * (initial + target.trace)
        residual(abs(ratio * np.sqrt(tau * target.eigenvalues[-1]) * (c**2 + tau) / C0**2 - 1), 1e-12)
        residual(4 * target.dim**2 - ratio, 0.0)
        flow = bw.end_to_end_flow(W0, loss, depth, [0.5 / depth])
        residual(flow.loss[0] / (initial * np.exp(-slow * 0.5 / depth)) - 1, 0.0)
    # broken: at tau = 0 the constant, and with it the rate, is zero
    assert bw.paper_flow_rate(0.5, 2, target=np.eye(2), initial_loss=0.1, tau=0.0) == 0.0


def test_prop_rate_sharp(residual):
    rng = np.random.default_rng(90)
    for target in targets(rng):
        lam, Omega = target.eigenvalues, target.eigenvectors
        for depth in (1, 2, 4, 9):
            for tau in (0.0, 0.4 * lam[-1]):
                predicted = 4 * depth * (lam[-1] - tau) ** ((2 * depth - 1) / depth) / lam[-1]
                s0 = np.sqrt(lam - tau)
                s0[-1] += 1e-4
                t = np.array([1.0, 2.0]) / predicted
                s = bw.aligned_flow(s0[-1], lam[-1], depth, t, tau=tau)
                value = (np.sqrt(s**2 + tau) - np.sqrt(lam[-1])) ** 2
                residual(abs(np.log(value[0] / value[1]) / (t[1] - t[0]) / predicted - 1), 1e-2)
                c = bw.deficiency_margin(Omega * s0, target, tau=tau)
                residual(abs(bw.flow_rate(c, depth, tau=tau) / predicted - 1), 1e-2)
    # broken: at tau = lam_n the decay is algebraic; between t and 2 t the loss falls by about four, not by a power of e
    s = bw.aligned_flow(0.1, 1.0, 1, [1e4, 2e4], tau=1.0)
    value = (np.sqrt(s**2 + 1) - 1) ** 2
    assert 3.5 < value[0] / value[1] < 4.5


def test_thm_lojasiewicz_convergence(residual):
    rng = np.random.default_rng(91)
    for target in [bw.Covariance.from_spectrum([3.0, 1.0], rng=rng), bw.Covariance(np.diag([2.0, 0.0]))]:
        for widths in [(2, 2), (1, 3, 2), (2, 2, 2, 2)]:
            loss = bw.BuresLoss(target, 0.3)
            flow = bw.gradient_flow(bw.random_network(widths, scale=1.2, rng=rng), loss, [0.0, 200.0, 400.0])
            residual(flow.gradient_norm[-1], 1e-4)
            moved = max(np.abs(A - B).max() for A, B in zip(flow.networks[1].weights, flow.networks[2].weights))
            residual(moved, 1e-3)
            values = [p.value for p in bw.critical_points(target, min(widths), tau=0.3)]
            residual(min(abs(flow.loss[-1] - v) for v in values), 1e-6)
    # the limit need not be a minimum: a start on the stable set of a saddle
    flow = bw.gradient_flow(bw.balanced_network(np.diag([0.0, 0.5]), (2, 2, 2)), bw.BuresLoss(np.diag([3.0, 1.0]), 0.3),
                            [200.0])
    assert flow.loss[-1] > 1.0


def test_prop_two_layers(residual):
    rng = np.random.default_rng(92)
    for target in [*targets(rng), *SINGULAR]:
        n = target.dim
        for _ in range(60):
            hidden, tau = n + int(rng.integers(0, 3)), float(rng.choice([0.0, 0.5]))
            network = bw.DeepLinearNetwork([rng.standard_normal((hidden, n + 1)) * 10 ** rng.uniform(-2, 2),
                                            rng.standard_normal((n, hidden))])
            W, loss = network.end_to_end(), bw.BuresLoss(target, tau)
            c = np.linalg.svd(W)[1][-1]
            residual(1 - squared_gradient(network, loss) / (2 * c * np.sum(loss.gradient(W) ** 2)), 1e-9)
    # the consequence: unbalanced flows under the certified envelope
    for _ in range(10):
        target = bw.Covariance.from_spectrum(SPECTRA[0], rng=rng)
        W0, M = start(rng, target, 0.1, 5, 0.8), np.linalg.qr(rng.standard_normal((4, 4)))[0] * rng.uniform(0.5, 2.0, 4)
        c, t = bw.deficiency_margin(W0, target, tau=0.1), np.array([0.0, 0.2, 1.0])
        flow = bw.gradient_flow(bw.DeepLinearNetwork([np.linalg.solve(M, W0), M]), bw.BuresLoss(target, 0.1), t, **FINE)
        residual(np.max(flow.loss / (flow.loss[0] * np.exp(-bw.flow_rate(c, 2, tau=0.1) * t))) - 1, 1e-6)
    # broken: a matrix in place of the gradient that is not symmetric times W
    layers = bw.DeepLinearNetwork([np.diag([3.0, 1 / 3]), np.diag([1 / 3, 3.0])])
    assert sum(np.sum(g**2) for g in layers.layer_gradients([[0.0, 1.0], [0.0, 0.0]])) < 2 * 1 * 1
