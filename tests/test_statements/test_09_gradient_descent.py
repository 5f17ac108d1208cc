"""The numbered statements of the chapter "Gradient descent"."""
from __future__ import annotations

import numpy as np

import bwlib as bw

SPECTRA = [[4.0, 2.0, 1.0, 0.5], [3.0, 0.7], [2.0, 1.5, 0.3], [1.0, 1.0, 1.0], [2.5]]


def targets(rng):
    return [bw.Covariance.from_spectrum(lam, rng=rng) for lam in SPECTRA]


def start(rng, target, tau, m, share):
    """A start whose distance to a minimiser is a share of the room: the margin is positive for share < 1."""
    lam, Omega = target.eigenvalues, target.eigenvectors
    best = (Omega * np.sqrt(lam - tau)) @ Omega.T @ np.linalg.qr(rng.standard_normal((m, lam.size)))[0].T
    D = rng.standard_normal(best.shape)
    return best + share * (np.sqrt(lam[-1]) - np.sqrt(tau)) * D / np.linalg.norm(D)


def completed_polar(X):
    """A maximiser of <Q, X> with orthonormal rows, at any rank."""
    U, _, Vt = np.linalg.svd(X, full_matrices=False)
    return U @ Vt


def kappa_of(c, N):
    return N * c ** (2 * (N - 1) / N)


def delta_of(c, rho, N):
    return c**2 / (8 * N**2 * (2 * rho**2) ** ((N - 1) / N))


def partial_products(network):
    """The pairs S_j, P_{j-1}, j = 1, ..., N."""
    for j in range(1, network.depth + 1):
        S, P = np.eye(network.widths[j]), np.eye(network.widths[0])
        for W in network.weights[j:]:
            S = W @ S
        for W in network.weights[:j - 1]:
            P = W @ P
        yield S, P


def operator(network):
    """The matrix of A_theta on row-major vectors."""
    return sum(np.kron(S @ S.T, P.T @ P) for S, P in partial_products(network))


def nearly_balanced(rng, N, n, hidden, share):
    """A network whose largest imbalance is the given share of delta, with c and rho."""
    W = np.linalg.qr(rng.standard_normal((n, n)))[0] * rng.uniform(0.5, 2, n)
    base = bw.balanced_network(W, (n, *[hidden] * (N - 1), n))
    noise = [rng.standard_normal(A.shape) for A in base.weights]
    size = 1e-2
    for _ in range(60):
        network = bw.DeepLinearNetwork([A + size * B for A, B in zip(base.weights, noise)])
        s = np.linalg.svd(network.end_to_end(), compute_uv=False)
        worst = max(np.linalg.norm(D, 2) for D in network.imbalances())
        size *= min(2.0, (share * delta_of(s[-1], s[0], N) / worst) ** 0.9)
    assert worst <= delta_of(s[-1], s[0], N)
    return network, s[-1], s[0]


def sharpness(network, loss):
    return np.linalg.eigvalsh(bw.parameter_hessian(network, loss))[-1]


def minimiser(rng, goal, tau, widths, spread):
    """A global minimiser of full rank; spread = 0: a balanced one."""
    lam, Omega = goal.eigenvalues, goal.eigenvectors
    P = np.linalg.qr(rng.standard_normal((widths[0], lam.size)))[0].T
    layers = list(bw.balanced_network((Omega * np.sqrt(lam - tau)) @ Omega.T @ P, widths).weights)
    for j in range(len(layers) - 1):
        M = np.eye(widths[j + 1]) + spread * rng.standard_normal((widths[j + 1],) * 2)
        layers[j], layers[j + 1] = M @ layers[j], np.linalg.solve(M.T, layers[j + 1].T).T
    return bw.DeepLinearNetwork(layers)


def test_prop_shallow_descent(residual):
    rng = np.random.default_rng(91)
    singular = [bw.Covariance(np.diag([2.0, 1.0, 0.0])), bw.Covariance(np.diag([1.0, 0.0]))]
    for target in targets(rng) + singular:
        n, R, loss = target.dim, target.root, bw.BuresLoss(target)
        for m, r in [(n, n), (n + 2, n), (n + 1, max(1, n - 1))]:
            W0 = rng.standard_normal((n, r)) @ rng.standard_normal((r, m))
            L0 = loss.value(W0)
            for eta in (0.1, 0.3, 0.5, 0.8, 1.3):
                W = W0
                for _ in range(4):  # (a); values are exact to rounding of squares of the size of the first iterate
                    new = W - 2 * eta * (W - R @ completed_polar(R @ W))
                    residual((loss.value(new) - (1 - 2 * eta) ** 2 * loss.value(W)) / (L0 + target.trace), 1e-12)
                    W = new
                if eta <= 0.5:  # (b), with the polar factor of the start
                    Q0 = completed_polar(R @ W0)
                    for t in range(1, 4):
                        exact = R @ Q0 + (1 - 2 * eta) ** t * (W0 - R @ Q0)
                        residual(abs(loss.value(exact) - (1 - 2 * eta) ** (2 * t) * L0) / (L0 + target.trace), 1e-12)
                        residual(abs(np.sum(Q0 * (R @ exact)) - np.linalg.norm(R @ exact, "nuc")) / L0, 1e-12)
    for target in targets(rng):  # (c)
        for eta in (0.05, 0.5, 0.95, 1.0):
            tau = float(rng.uniform(0, 0.6)) * target.eigenvalues[-1]
            W, loss = start(rng, target, tau, target.dim + 1, 0.9), bw.BuresLoss(target, tau)
            c = bw.deficiency_margin(W, target, tau=tau)
            run = bw.gradient_descent(W, loss, eta, max_steps=12, tol=0.0)
            factor = 1 - 4 * eta * (1 - eta) * c**2 / (c**2 + tau)
            residual((run.loss[1:] - factor * run.loss[:-1]).max() / run.loss[0], 1e-13)
            assert run.singular_values[:, target.dim - 1].min() >= c * (1 - 1e-12)
    # broken: with m < n one step of one half is not enough, and with tau > 0 without a margin nothing is certified
    loss, thin = bw.BuresLoss(np.diag([2.0, 1.0])), np.array([[1.0], [1.0]])
    assert loss.value(thin - 0.5 * loss.gradient(thin)) > 1.0
    loss, low = bw.BuresLoss([[1.0]], 0.5), np.array([[0.0]])
    assert bw.gradient_descent(low, loss, 0.5, max_steps=5, tol=0.0).loss[-1] == loss.value(low) > 0


def test_lem_near_balanced(residual):
    rng = np.random.default_rng(92)
    for N in (2, 3, 4, 7, 11):
        for n, hidden in [(1, 2), (2, 3), (3, 3), (3, 5)]:
            network, c, rho = nearly_balanced(rng, N, n, hidden, 0.99)
            # inequalities between numbers of size one, rounding below 1e-12
            residual(max(np.linalg.norm(A, 2) ** 2 for A in network.weights) / (2 * rho**2) ** (1 / N) - 1, 1e-12)
            for j, (S, P) in enumerate(partial_products(network), start=1):
                residual(7 / 8 - np.linalg.eigvalsh(S @ S.T)[0] / c ** (2 * (N - j) / N), 1e-12)
                residual(7 / 8 - np.linalg.eigvalsh(P.T @ P)[0] / c ** (2 * (j - 1) / N), 1e-12)
            A = operator(network)
            assert np.abs(A - A.T).max() < 1e-12 * np.abs(A).max()
            values = np.linalg.eigvalsh(A)
            residual(0.75 - values[0] / kappa_of(c, N), 1e-12)
            residual(values[-1] / (2 * N * rho ** (2 * (N - 1) / N)) - 1, 1e-12)
    # broken: without near balance neither the layers nor the operator are bounded by the product ...
    far = bw.DeepLinearNetwork([[[100.0]], [[0.01]]])
    assert operator(far)[0, 0] > 1000 * 2 * 2
    # ... and with m > n the operator has a kernel on wide matrices
    wide = bw.balanced_network(rng.standard_normal((2, 4)), (4, 2, 2))
    assert np.linalg.eigvalsh(operator(wide))[0] < 0.75 * kappa_of(
        np.linalg.svd(wide.end_to_end(), compute_uv=False)[-1], 2)


def test_lem_remainder(residual):
    rng = np.random.default_rng(93)
    for N in (2, 3, 5, 9):
        for n, hidden in [(2, 3), (3, 3), (1, 2)]:
            for _ in range(4):
                network, c, rho = nearly_balanced(rng, N, n, hidden, 0.99)
                E = rng.standard_normal((n, n))
                E *= rng.uniform(0.01, 0.5) * rho / np.linalg.norm(E)
                e, top = np.linalg.norm(E), rho ** (2 * (N - 1) / N)
                eta = rng.uniform(0.1, 1.0) / (4 * N * top)
                G = network.layer_gradients(2 * E)
                new = bw.DeepLinearNetwork([A - eta * B for A, B in zip(network.weights, G)])
                AE = (operator(network) @ E.ravel()).reshape(n, n)
                Z = new.end_to_end() - network.end_to_end() + 2 * eta * AE
                residual(max(np.sum(g**2) for g in G) / (8 * top * e**2) - 1, 1e-12)
                # Z is a difference of numbers of size rho, its rounding is below 1e-13 rho
                bound = 8.1 * N**2 * eta**2 * rho ** ((3 * N - 4) / N) * e**2
                residual((np.linalg.norm(Z) - bound) / rho, 1e-13)
                residual(np.linalg.norm(E - 2 * eta * AE) / ((1 - 1.5 * eta * kappa_of(c, N)) * e) - 1, 1e-12)
    # broken: with a much longer step the first-order part overshoots
    network, c, rho = nearly_balanced(rng, 3, 2, 2, 0.5)
    assert np.linalg.norm(np.eye(4) - 2 * (8 / (4 * 3 * rho ** (4 / 3))) * operator(network), 2) > 1


def test_thm_finite_step(residual):
    rng = np.random.default_rng(94)
    for _ in range(150):
        n, N = int(rng.integers(1, 7)), int(rng.integers(2, 13))
        goal = bw.Covariance.from_spectrum(rng.uniform(0.2, 4, n), rng=rng)
        tau = float(rng.choice([0.0, 0.1, 0.5])) * goal.eigenvalues[-1]
        m, hidden = n + int(rng.integers(3)), n + int(rng.integers(3))
        W0, loss = start(rng, goal, tau, m, rng.uniform(0.05, 0.98)), bw.BuresLoss(goal, tau)
        network = bw.balanced_network(W0, (m, *[hidden] * (N - 1), n))
        L0, c = loss.value(W0), bw.deficiency_margin(W0, goal, tau=tau)
        rho = np.sqrt(goal.eigenvalues[0]) + np.sqrt(L0)
        eta = min(1 / (4 * N * rho ** (2 * (N - 1) / N)),
                  c ** ((4 * N - 2) / N) / (128 * N * rho ** (4 * (N - 1) / N) * L0))
        residual(abs(bw.certified_step_size(network, goal, tau=tau) / eta - 1), 1e-9)
        run = bw.gradient_descent(network, loss, eta, max_steps=40, tol=0.0)
        certified = 1 - eta * kappa_of(c, N) * (2 - eta * kappa_of(c, N)) * c**2 / (c**2 + tau)
        # losses are exact to about 1e-15 sqrt(L trace), far below 1e-13 L0 here
        residual((run.loss[1:] - certified * run.loss[:-1]).max() / L0, 1e-13)
        residual(1 - run.singular_values[:, n - 1].min() / c, 1e-12)
        residual(run.singular_values[:, 0].max() / rho - 1, 1e-12)
        residual(run.imbalance.max() / delta_of(c, rho, N) - 1, 0.0)
        way = np.sqrt(sum(np.sum((A - B) ** 2) for A, B in zip(network.weights, run.networks[-1].weights)))
        bound = 4 * np.sqrt(2 / N) * rho ** ((N - 1) / N) * (c**2 + tau) / c ** ((4 * N - 2) / N)
        residual(way / (bound * (np.sqrt(run.loss[0]) + np.sqrt(run.loss[-1]))) - 1, 0.0)
    # broken: the same step from layers far from balance ...
    target = bw.Covariance(np.diag([4.0, 0.5]))
    W0 = target.root + 0.1 * np.eye(2)
    eta, root = bw.certified_step_size(W0, target, 2), np.diag(np.sqrt(np.diag(W0)))
    far = bw.DeepLinearNetwork([64 * root, root / 64])
    run = bw.gradient_descent(far, bw.BuresLoss(target), eta, max_steps=1, tol=0.0)
    assert run.loss[1] > run.loss[0]
    # ... and no margin: the rank of a balanced start never grows
    low = bw.balanced_network(np.diag([1.0, 0.0]), (2, 2, 2))
    run = bw.gradient_descent(low, bw.BuresLoss(target, 0.1), 0.02, max_steps=2000, tol=0.0)
    assert run.singular_values[-1, 1] < 1e-12 and run.loss[-1] > 0.1
    # ... and a step beyond the stability limit: the first one raises the loss, from a balanced start near the minimum
    W0, limit = np.diag([2.0 + 1e-4, np.sqrt(0.5)]), bw.stability_limit(target, 3)
    network = bw.balanced_network(W0, (2, 2, 2, 2))
    assert bw.deficiency_margin(W0, target) > 0.7 and 4.1 * bw.certified_step_size(network, target) > limit
    run = bw.gradient_descent(network, bw.BuresLoss(target), 1.01 * limit, max_steps=1, tol=0.0)
    assert run.loss[1] > 1.01 * run.loss[0]


def test_cor_comparison(residual):
    rng = np.random.default_rng(95)
    for _ in range(300):
        n, N = int(rng.integers(1, 8)), int(rng.integers(2, 13))
        goal = bw.Covariance.from_spectrum(10 ** rng.uniform(-2, 1, n), rng=rng)
        W0 = start(rng, goal, 0.0, n, rng.uniform(0.01, 0.99))
        c, r = bw.deficiency_margin(W0, goal), np.linalg.norm(goal.root)
        arora = c ** ((4 * N - 2) / N) / (12288 * N**3 * r ** ((6 * N - 4) / N))
        residual(abs(bw.arora_step_size(W0, goal, N) / arora - 1), 1e-9)
        residual(6 * n * N**2 * arora / bw.certified_step_size(W0, goal, N) - 1, 0.0)
    for target in targets(rng):
        lam = target.eigenvalues
        for N in (2, 3, 8):
            for tau in (0.0, 0.5 * lam[-1]):
                near = start(rng, target, tau, lam.size, 1e-7)
                share = bw.certified_step_size(near, target, N, tau=tau) * N * (lam[0] - tau) ** (2 - 1 / N) / lam[0]
                # the first bound is smooth in sqrt(L0), which is of order 1e-7
                residual(abs(share / (0.25 * (1 - tau / lam[0]) ** (2 - 1 / N)) - 1), 1e-5)
    # broken: away from the minimum the quarter is not reached
    target = bw.Covariance(np.diag([4.0, 0.5]))
    share = bw.certified_step_size(start(rng, target, 0.0, 2, 0.9), target, 3) / bw.stability_limit(target, 3)
    assert share < 1e-3


def test_prop_sharpest(residual):
    rng = np.random.default_rng(96)
    for target in targets(rng):
        lam = target.eigenvalues
        n = lam.size
        for widths in [(n, n), (n + 1, n), (n, n, n), (n, n + 1, n), (n + 1, n, n + 2, n), (n, n, n, n, n)]:
            for tau in (0.0, 0.4 * lam[-1]):
                N, loss = len(widths) - 1, bw.BuresLoss(target, tau)
                least = 2 * N * (lam[0] - tau) ** (2 - 1 / N) / lam[0]
                # eigenvalues of matrices of condition below 1e3: relative error below 1e-11
                residual(abs(sharpness(minimiser(rng, target, tau, widths, 0.0), loss) / least - 1), 1e-9)
                for spread in (0.05, 0.3):
                    residual(1 - sharpness(minimiser(rng, target, tau, widths, spread), loss) / least, 1e-9)
    # broken: without balance equality fails ...
    scalar, split = bw.BuresLoss([[4.0]]), bw.DeepLinearNetwork([[[0.5]], [[4.0]]])
    assert abs(sharpness(split, scalar) - 32.5) < 1e-9 and 32.5 > 2 * 2 * 4**0.5
    # ... and for tau above the least eigenvalue a balanced minimiser may be sharper than h_*
    goal, tau = np.diag([1.0, 0.1]), 0.95
    low = bw.balanced_network([[np.sqrt(0.05), 0.0], [0.0, 0.0]], (2, 2, 2))
    loss = bw.BuresLoss(goal, tau)
    assert abs(loss.value(low.end_to_end()) - loss.minimum(2)) < 1e-12
    assert sharpness(low, loss) > 5 * 2 * 2 * (1 - tau) ** 1.5


def test_prop_stability_limit(residual):
    rng = np.random.default_rng(97)
    for lam in ([3.0, 1.0, 0.6], [2.0, 0.5]):
        goal = bw.Covariance.from_spectrum(lam, rng=rng)
        n = goal.dim
        for N in (1, 2, 3, 5):
            for tau in (0.0, 0.2):
                loss, limit = bw.BuresLoss(goal, tau), lam[0] / (N * (lam[0] - tau) ** (2 - 1 / N))
                residual(abs(bw.stability_limit(goal, N, tau=tau) / limit - 1), 1e-12)
                at = minimiser(rng, goal, tau, (n,) * (N + 1), 0.0)
                vector = np.linalg.eigh(bw.parameter_hessian(at, loss))[1][:, -1]
                near = bw.DeepLinearNetwork([W + p.reshape(n, n)
                                             for W, p in zip(at.weights, np.split(1e-6 * vector, N))])
                for share in (0.9, 1.05):
                    run = bw.gradient_descent(near, loss, share * limit, max_steps=10, tol=0.0)
                    gone = [np.sqrt(sum(np.sum((A - B) ** 2) for A, B in zip(row.weights, at.weights)))
                            for row in run.networks]
                    # the linearisation is right up to a relative error of the order of the distance, 1e-6 to 3e-6
                    residual(abs((gone[-1] / gone[0]) ** 0.1 / (2 * share - 1) - 1), 1e-3)
                # (a) from a random nearby start, half the limit: convergence, and the iterates stay near
                noise = [1e-3 * rng.standard_normal(W.shape) for W in at.weights]
                run = bw.gradient_descent(bw.DeepLinearNetwork([W + Z for W, Z in zip(at.weights, noise)]), loss,
                                          0.5 * limit, max_steps=400, tol=0.0)
                residual(run.loss[-1] / run.loss[0], 1e-8)
                # (a) in every step; losses are exact to about 1e-15 sqrt(loss), which is below 1e-12 of the first
                residual((run.loss[1:] - run.loss[:-1]).max() / run.loss[0], 1e-12)
                residual(max(np.linalg.norm(A - B) for A, B in zip(run.networks[-1].weights, at.weights)), 0.05)
                # (b) every minimiser: the random ones are no more stable
                if N > 1:
                    other = minimiser(rng, goal, tau, (n,) * (N + 1), 0.2)
                    away = bw.DeepLinearNetwork([W + 1e-5 * rng.standard_normal(W.shape) for W in other.weights])
                    run = bw.gradient_descent(away, loss, 1.2 * limit, max_steps=60, tol=0.0)
                    assert not run.loss[-1] < run.loss[0]
    # broken: an unbalanced minimiser is unstable already below the limit
    loss = bw.BuresLoss([[4.0]])
    run = bw.gradient_descent(bw.DeepLinearNetwork([[[0.5001]], [[4.0]]]), loss, 0.9 * bw.stability_limit([[4.0]], 2),
                              max_steps=20, tol=0.0)
    assert run.loss[:8].max() > 10 * run.loss[0]
