"""The numbered statements of the chapter "From functions to parameters"."""
from __future__ import annotations

import itertools

import numpy as np

import bwlib as bw

EPS = np.finfo(float).eps
SHAPES = [((3, 3), (2,)), ((3, 3, 3), (1, 3)), ((3, 3, 3), (1, 1)), ((3, 2, 3), (1, 2)), ((3, 2, 2, 3), (1, 1, 1)),
          ((4, 3, 3, 3), (2, 2, 2)), ((2, 3, 3, 4), (1, 2, 1)), ((3, 4, 3, 3, 3), (1, 1, 1, 1)), ((5, 2, 3), (1, 2))]


def prefix(network, j):
    P = np.eye(network.widths[0])
    for layer in network.weights[:j]:
        P = layer @ P
    return P


def suffix(network, j):
    S = np.eye(network.widths[-1])
    for layer in reversed(network.weights[j:]):
        S = S @ layer
    return S


def rank(X):
    return int(np.linalg.matrix_rank(X, tol=1e-9 * max(1.0, np.linalg.norm(X))))


def jacobian(network):
    return np.hstack([np.kron(suffix(network, j), prefix(network, j - 1).T) for j in range(1, network.depth + 1)])


def of_ranks(rng, widths, ranks):
    """Random layers of given ranks, singular values in [0.7, 1.4]."""
    layers = []
    for c, d, r in zip(widths, widths[1:], ranks):
        U = np.linalg.qr(rng.standard_normal((d, d)))[0][:, :r]
        V = np.linalg.qr(rng.standard_normal((c, c)))[0][:, :r]
        layers.append((U * rng.uniform(0.7, 1.4, r)) @ V.T)
    return bw.DeepLinearNetwork(layers)


def moved(network, Z, t=1.0):
    return bw.DeepLinearNetwork([W + t * D for W, D in zip(network.weights, Z)])


def mixed(rng, network):
    """Another point of the same fibre."""
    d = network.widths
    g = [np.eye(d[0])]
    for width in d[1:-1]:
        O, P = (np.linalg.qr(rng.standard_normal((width, width)))[0] for _ in range(2))
        g.append((O * rng.uniform(0.6, 1.8, width)) @ P)
    g.append(np.eye(d[-1]))
    return bw.DeepLinearNetwork([g[j + 1] @ W @ np.linalg.inv(g[j]) for j, W in enumerate(network.weights)])


def random_direction(rng, network, size=1.0):
    return [size * rng.standard_normal(W.shape) for W in network.weights]


def push(network, Z):
    return sum(suffix(network, j) @ Z[j - 1] @ prefix(network, j - 1) for j in range(1, network.depth + 1))


def layer_norm(network):
    return max(1.0, *(np.linalg.norm(W, 2) for W in network.weights))


def tangent_basis(W):
    """Orthonormal columns that span the tangent space of the matrices of the rank of W."""
    U, s, Vt = np.linalg.svd(W)
    r = rank(W)
    pairs = [(a, b) for a in range(U.shape[0]) for b in range(Vt.shape[0]) if a < r or b < r]
    return np.stack([np.outer(U[:, a], Vt[b]).ravel() for a, b in pairs], axis=1) if pairs else np.zeros((W.size, 0))


def target_of(rng, n, low=0.4):
    return bw.Covariance.from_spectrum(np.cumsum(rng.uniform(low, 1.2, n)), rng=rng)


def critical_factor(rng, target, J, m, tau=0.0):
    V = np.linalg.qr(rng.standard_normal((m, m)))[0][:, :len(J)]
    return target.eigenvectors[:, list(J)] * np.sqrt(target.eigenvalues[list(J)] - tau) @ V.T


def gradient_norm(network, loss):
    return np.sqrt(sum(np.sum(G**2) for G in network.layer_gradients(loss.gradient(network.end_to_end()))))


def null(X):
    U, s, Vt = np.linalg.svd(X)
    return Vt[np.count_nonzero(s > 1e-9):].T


def chain(rng, network, t_of):
    """The curve of the chain lemma with random admissible choices; ``t_of(S, s, r)`` names t.  Also a and b."""
    N, W = network.depth, network.end_to_end()
    P, S = [[f(network, j) for j in range(N + 1)] for f in (prefix, suffix)]
    r = rank(W)
    s = 1 + max(j for j in range(N) if rank(P[j]) > r)
    t = t_of(S, s, r)
    reads = null(W @ P[s - 1].T)
    w = reads @ np.linalg.svd(P[s - 1].T @ reads)[2][0]
    writes = null(W.T @ S[t])
    z = writes @ np.linalg.svd(S[t] @ writes)[2][0]
    steps, carried = {}, w
    for j in range(s, t):
        G, Z = null(P[j].T), null(S[j])
        u, gap, v = np.linalg.svd(G.T @ Z)
        steps[j], carried = np.outer(Z @ v[0], carried), G @ u[:, 0] / gap[0]
    steps[t] = np.outer(z, carried)

    def curve(eps):
        return bw.DeepLinearNetwork([W + eps * steps.get(j, 0) for j, W in enumerate(network.weights, start=1)])

    return curve, S[t] @ z, P[s - 1].T @ w, t - s + 1


def first_above(level):
    """The smallest t at least s with rank S_t above r (level 0) or equal to level."""
    return lambda S, s, r: min(j for j in range(s, len(S)) if (rank(S[j]) > r if level == 0 else rank(S[j]) >= level))


def aligned_network(rng, target, tau, widths, r):
    """A critical point of rank r that is not global, of the r largest eigenvalues, with unused connections in the layers."""
    lam, Omega, N, m = target.eigenvalues, target.eigenvectors, len(widths) - 1, widths[0]
    V = np.linalg.qr(rng.standard_normal((m, m)))[0]
    last = Omega[:, np.r_[:r, r + rng.permutation(len(lam) - r)]]
    if rng.random() < 0.5:
        last = Omega[:, np.r_[:r, len(lam) - 1:r - 1:-1]]  # the smallest eigenvalues first: the hardest case
    closed, layers = rng.integers(1, N + 1), []
    for j in range(1, N + 1):
        left, right = last if j == N else np.eye(widths[j]), V if j == 1 else np.eye(widths[j - 1])
        free = 0 if j == closed else min(widths[j], widths[j - 1]) - r
        used = r + (free if rng.random() < 0.5 else int(rng.integers(0, free + 1)))
        scale = np.r_[np.sqrt(lam[:r] - tau) if j == 1 else np.ones(r), np.ones(used - r)]
        layers.append((left[:, :used] * scale) @ right[:, :used].T)
    return bw.DeepLinearNetwork(layers)


def way_down(network, target, tau, delta):
    """The curve of the proof at a critical point that is not global; None if the form is positive where the chain ends."""
    lam, Omega, N, W = target.eigenvalues, target.eigenvectors, network.depth, network.end_to_end()
    form = np.eye(len(lam)) - target.root / np.sqrt(tau)  # the form chi, for vectors orthogonal to col(W)

    def chain_end(net):
        P, S = [[f(net, j) for j in range(N + 1)] for f in (prefix, suffix)]
        s = 1 + max(j for j in range(N) if rank(P[j]) > rank(W))
        t = min(j for j in range(s, N + 1) if not null(S[j]).size)
        A = np.linalg.qr(S[t] @ null(W.T @ S[t]))[0]
        value, vectors = np.linalg.eigh(A.T @ form @ A)
        return P, S, s, t, A @ vectors[:, 0], value[0]

    P, S, s, t, a, least = chain_end(network)
    if least > 1e-9:
        assert widths_condition(network, rank(W), np.sum(lam < tau - 1e-12), t)
        return None, "stuck"
    turned = least > -1e-9
    if turned:  # turn the last layer, the product unchanged
        l = min(i for i in range(len(lam)) if np.linalg.norm(W.T @ Omega[:, i]) < 1e-9)
        x = np.linalg.lstsq(S[t], a, rcond=None)[0]
        for layer in network.weights[t:N - 1]:
            x = layer @ x
        kernel = null(P[N - 1].T)
        z = kernel @ (kernel.T @ x)
        sign = -1.0 if a @ form @ Omega[:, l] > 0 else 1.0
        last = network.weights[-1] + sign * delta * np.outer(Omega[:, l], z / (z @ x))
        network = bw.DeepLinearNetwork([*network.weights[:-1], last])
        assert np.linalg.norm(network.end_to_end() - W) < 1e-12
        P, S, s, t, a, least = chain_end(network)
        assert least < 0
    reads = null(W @ P[s - 1].T)
    carried, steps = reads @ np.linalg.svd(P[s - 1].T @ reads)[2][0], {}
    for j in range(s, t):
        G, Z = null(P[j].T), null(S[j])
        u, gap, v = np.linalg.svd(G.T @ Z)
        steps[j], carried = np.outer(Z @ v[0], carried), G @ u[:, 0] / gap[0]
    steps[t] = np.outer(np.linalg.lstsq(S[t], a, rcond=None)[0], carried)

    def curve(eps):
        return bw.DeepLinearNetwork([X + eps * steps.get(j, 0) for j, X in enumerate(network.weights, start=1)])

    return curve, "turned" if turned else "direct"


def widths_condition(network, r, q, t):
    return t < network.depth and min(network.widths[1:-1]) <= network.widths[t] <= q + r


# ---------------------------------------------------------------- the statements


def test_prop_differential_image(residual):
    rng = np.random.default_rng(60)
    for widths, ranks in SHAPES + [((3, 4, 2, 5), (3, 2, 2)), ((4, 4), (4,)), ((2, 1, 3), (1, 1))]:
        network = of_ranks(rng, widths, ranks)
        N, n, m, k = network.depth, widths[-1], widths[0], network.bottleneck
        J, W = jacobian(network), network.end_to_end()
        P, S = [[rank(f(network, j)) for j in range(N + 1)] for f in (prefix, suffix)]
        assert rank(J) == n * P[N - 1] + sum(S[j] * (P[j - 1] - P[j]) for j in range(1, N))  # (a), the rank
        U, s, _ = np.linalg.svd(J)
        image = U[:, :rank(J)]
        Z = random_direction(rng, network)
        D = push(network, Z).ravel()
        bound = 100 * EPS * layer_norm(network) ** N / s[rank(J) - 1] * (1 + np.linalg.norm(D))
        residual(np.linalg.norm(D - J @ np.concatenate([z.ravel() for z in Z])), bound)
        products = [np.outer(suffix(network, j) @ rng.standard_normal(widths[j]),
                             prefix(network, j - 1).T @ rng.standard_normal(widths[j - 1])) for j in range(1, N + 1)]
        for X in products:  # (a): each summand lies in the image
            residual(np.linalg.norm(X.ravel() - image @ (image.T @ X.ravel())), bound * (1 + np.linalg.norm(X)))
        T = tangent_basis(W)
        residual(np.linalg.norm(T - image @ (image.T @ T)), bound * max(1, T.shape[1]))  # (b)
        if rank(W) == k:  # (c)
            assert rank(J) == T.shape[1] == k * (n + m - k)
    # Below the bottleneck the image can be larger than the tangent space, and depends on theta, not on W alone.
    W = np.diag([1.0, 0.0])
    thin = bw.DeepLinearNetwork([W, W])
    wide = bw.DeepLinearNetwork([W, np.eye(2)])
    assert np.array_equal(thin.end_to_end(), wide.end_to_end())
    assert rank(jacobian(thin)) == 3 and rank(jacobian(wide)) == 4


def test_thm_critical_parameters(residual):
    rng = np.random.default_rng(61)
    for widths in [(3, 3), (2, 3), (4, 2, 3), (3, 2, 4, 3), (4, 3, 3, 4), (4, 1, 2, 3)]:
        n, m, k = widths[-1], widths[0], min(widths)
        target = target_of(rng, n)
        for tau in (0.0, 0.2):
            loss = bw.BuresLoss(target, tau)
            for J in itertools.combinations(range(n), k):
                network = mixed(rng, bw.balanced_network(critical_factor(rng, target, J, m, tau), widths))
                bound = 1e3 * n * EPS * layer_norm(network) ** (2 * len(widths)) * target.trace / target.eigenvalues[-1]
                residual(gradient_norm(network, loss), bound)  # W critical on M_k: theta critical
            network = bw.random_network(widths, rng=rng)
            W = network.end_to_end()
            T = tangent_basis(W)
            G = T @ (T.T @ loss.gradient(W).ravel())
            # |grad of the layers| >= (least singular value of the differential) |Riemannian gradient|
            least = np.linalg.svd(jacobian(network), compute_uv=False)[T.shape[1] - 1]
            residual(least * np.linalg.norm(G) - gradient_norm(network, loss), 1e-12 * np.linalg.norm(G))
    # Below rank k the equivalence fails: the origin is critical for the square loss, 0 is not critical for the function.
    Phi = rng.standard_normal((3, 3))
    origin = bw.DeepLinearNetwork([np.zeros((3, 3))] * 2)
    assert all(not G.any() for G in origin.layer_gradients(-2 * Phi)) and np.linalg.norm(Phi) > 1


def test_thm_critical_parameters_smoothed(residual):
    rng = np.random.default_rng(62)
    for (widths, ranks), tau in itertools.product(SHAPES, (0.1, 0.7, None)):
        network = of_ranks(rng, widths, ranks)
        n, W, WN = widths[-1], network.end_to_end(), network.weights[-1]
        target = target_of(rng, n)
        if tau is None:
            loss, H = bw.FrobeniusLoss(target), 2 * (W @ W.T - target.matrix)
        else:
            loss = bw.BuresLoss(target, tau)
            H = np.eye(n) - bw.transport_map(W @ W.T + tau * np.eye(n), target)
        G = loss.gradient(W)
        last = network.layer_gradients(G)[-1]
        size = (np.linalg.norm(G) + 1) ** 2 * (1 + np.linalg.norm(H)) ** 2
        residual(abs(np.sum(G**2) - 2 * np.sum(last * (H @ WN))), 1e3 * n * EPS * size * layer_norm(network) ** 4)
        residual(np.sum(G**2) - 2 * np.linalg.norm(last) * np.linalg.norm(H @ WN), 1e3 * n * EPS * size)
    # All critical parameters have the listed end-to-end matrices: a search over two layers, every rank.
    target, tau = bw.Covariance(np.diag([2.0, 1.0])), 0.3
    loss = bw.BuresLoss(target, tau)
    listed = [point.covariance for point in bw.critical_points(target, 2, tau=tau)]
    from scipy.optimize import least_squares
    for _ in range(30):
        def gradient(x):
            network = bw.DeepLinearNetwork([x[:4].reshape(2, 2), x[4:].reshape(2, 2)])
            return np.concatenate([G.ravel() for G in network.layer_gradients(loss.gradient(network.end_to_end()))])
        found = least_squares(gradient, rng.standard_normal(8), xtol=1e-15, ftol=1e-15, gtol=1e-15)
        if np.linalg.norm(found.fun) < 1e-10:
            W = found.x[4:].reshape(2, 2) @ found.x[:4].reshape(2, 2)
            # at a degenerate point a gradient of 1e-10 leaves W undetermined at the size of its third root
            residual(min(np.linalg.norm(W @ W.T - Sigma) for Sigma in listed), 1e-3)
    # Not for losses that see more than the covariance: the square loss at the origin.
    origin = bw.DeepLinearNetwork([np.zeros((2, 2))] * 2)
    gradient_of_square_loss = -2 * np.eye(2)
    assert all(not G.any() for G in origin.layer_gradients(gradient_of_square_loss))


def test_prop_parameter_kinks(residual):
    rng = np.random.default_rng(63)
    smooth_cases = 0
    for widths, ranks in SHAPES * 3:
        network = of_ranks(rng, widths, ranks)
        n, W = widths[-1], network.end_to_end()
        target = target_of(rng, n)
        loss, R, r = bw.BuresLoss(target), target.root, rank(W)
        U, _, Vt = np.linalg.svd(R @ W)
        Z = random_direction(rng, network)
        D = push(network, Z)
        kink = 4 * np.linalg.norm(U[:, r:].T @ R @ D @ Vt[r:].T, "nuc")
        t = 1e-6
        values = [loss.value(moved(network, Z, s).end_to_end()) for s in (t, 0.0, -t)]
        curvature = (1 + np.linalg.norm(D)) ** 2 * layer_norm(network) ** 4 * 1e3  # bends of the curve: order t
        residual(abs((values[0] - 2 * values[1] + values[2]) / t + kink), curvature * t * target.trace)
        smooth = rank(jacobian(network)) == tangent_basis(W).shape[1]
        assert smooth == (kink < 1e-8)  # a random direction sees the kink if the image leaves the tangent space
        smooth_cases += smooth and r < min(W.shape)
    assert smooth_cases >= 6
    # Where it is differentiable, critical means critical on the matrices of rank r: both ways.
    target = target_of(rng, 3)
    loss = bw.BuresLoss(target)
    for J in ((0,), (1,), (2,)):
        W = critical_factor(rng, target, J, 3)
        network = bw.balanced_network(W, (3, 2, 2, 3))
        assert rank(jacobian(network)) == 5
        residual(gradient_norm(network, loss), 1e-12 * target.trace)
        bigger = bw.balanced_network(1.2 * W, (3, 2, 2, 3))
        assert gradient_norm(bigger, loss) > 0.1


def test_prop_origin(residual):
    rng = np.random.default_rng(64)
    for n, N in itertools.product((2, 3), (2, 3, 4)):
        target = target_of(rng, n)
        lam = target.eigenvalues
        zero = bw.DeepLinearNetwork([np.zeros((n, n))] * N)
        Z = [W / np.linalg.norm(W, 2) for W in bw.random_network((n,) * (N + 1), rng=rng).weights]
        for tau in (0.5 * lam[0], 1.5 * lam[0]):
            loss = bw.BuresLoss(target, tau)
            residual(np.abs(bw.parameter_hessian(zero, loss)).max(), 1e-14)
            start = loss.value(np.zeros((n, n)))
            eps = np.array([0.3, 0.15])
            change = np.array([loss.value(moved(zero, Z, e).end_to_end()) - start for e in eps])
            order = np.log(abs(change[0] / change[1])) / np.log(2)
            form = np.trace((np.eye(n) - target.root / np.sqrt(tau)) @ prefix(moved(zero, Z), N) @ prefix(moved(zero, Z), N).T)
            if abs(form) > 0.02:
                residual(abs(order - 2 * N), 0.2)
            best = bw.balanced_network(np.outer(target.eigenvectors[:, 0], np.eye(n)[0]), (n,) * (N + 1))
            drop = loss.value(moved(zero, best.weights, 0.3).end_to_end()) - start
            assert (drop < 0) == (tau < lam[0])
        loss = bw.BuresLoss(target)
        W = prefix(moved(zero, Z), N)
        for e in (1e-3, 0.1, 1.0):
            exact = target.trace - 2 * e**N * np.linalg.norm(target.root @ W, "nuc") + e ** (2 * N) * np.sum(W**2)
            residual(abs(loss.value(moved(zero, Z, e).end_to_end()) - exact), 1e-13 * target.trace)
    # (c): the square loss at depth two is a strict saddle, at depth three it is flat to second order
    for _ in range(20):
        Phi = rng.standard_normal((3, 2))
        H = np.zeros((2 * 4 + 4 * 3,) * 2)
        basis = np.eye(len(H))
        for a, b in itertools.product(range(len(H)), repeat=2):
            form = lambda x: -2 * np.sum(Phi * (x[8:].reshape(3, 4) @ x[:8].reshape(4, 2)))
            H[a, b] = form(basis[a] + basis[b]) - form(basis[a]) - form(basis[b])
        residual(abs(np.linalg.eigvalsh(H)[0] + 2 * np.linalg.norm(Phi, 2)), 1e-13)
    # N = 1 is excluded with reason: there the origin is a strict saddle.
    loss = bw.BuresLoss(np.diag([4.0, 1.0]), tau=1.0)
    assert np.linalg.eigvalsh(loss.hessian(np.zeros((2, 2))))[0] < -1


def test_lem_chain(residual):
    rng = np.random.default_rng(65)
    degrees = set()
    for (widths, ranks), _ in itertools.product(SHAPES, range(3)):
        network = of_ranks(rng, widths, ranks)
        W, r = network.end_to_end(), rank(network.end_to_end())
        if r >= min(widths):
            continue
        curve, a, b, degree = chain(rng, network, first_above(0))
        degrees.add(degree)
        assert np.linalg.norm(a) > 1e-3 and np.linalg.norm(b) > 1e-3
        residual(np.linalg.norm(W @ b) + np.linalg.norm(W.T @ a), 1e-12)
        scale = np.linalg.norm(a) * np.linalg.norm(b)
        values = []
        for eps in (-0.3, 0.01, 0.2, 1e3):
            change = curve(eps).end_to_end() - W
            c = a @ change @ b / scale**2
            values.append(c)
            size = np.prod([np.linalg.norm(X, 2) + 1 for X in curve(eps).weights])
            residual(np.linalg.norm(change - c * np.outer(a, b)), 1e-13 * size)
        assert all(value != 0 for value in values[:3])
        assert rank(curve(0.2).end_to_end()) == r + 1
        residual(abs(values[-1] / 1e3**degree - 1), 0.05)  # leading coefficient 1; the rest is of order 1/eps
        residual(np.linalg.norm(curve(0.0).end_to_end() - W), 0.0)
    assert degrees == {1, 2, 3, 4}
    # Dropped hypothesis: if a narrow layer has no kernel to write into (rank W equal to the bottleneck), the rank cannot grow.
    network = of_ranks(rng, (3, 2, 3), (2, 2))
    assert not null(suffix(network, 1)).size
    for _ in range(100):
        assert rank(moved(network, random_direction(rng, network)).end_to_end()) <= 2


def test_thm_no_bad_minima(residual):
    rng = np.random.default_rng(66)
    # Rank k: every critical point that is not a global minimiser has a direction of negative curvature.
    for widths in [(3, 3), (2, 3), (4, 2, 3), (3, 2, 4, 3)]:
        n, m, k = widths[-1], widths[0], min(widths)
        for lam in (np.cumsum(rng.uniform(0.3, 1.0, n))[::-1], np.array([2.0, 1.0, 1.0])):
            target = bw.Covariance.from_spectrum(lam, rng=rng)
            for tau, J in itertools.product((0.0, 0.9 * lam[-1], 1.1 * lam[-1], lam[-1]), itertools.combinations(range(n), k)):
                if lam[J[-1]] <= tau:
                    continue
                loss = bw.BuresLoss(target, tau)
                network = mixed(rng, bw.balanced_network(critical_factor(rng, target, J, m, tau), widths))
                least = np.linalg.eigvalsh(bw.parameter_hessian(network, loss))[0]
                missing = sum(lam[:k]) - sum(lam[i] for i in J)
                assert (least < -1e-6) == (missing > 1e-9), (widths, J, tau, least)
    # Rank r < k: the chain leads down, at kinks (a) and at critical points (b), (c); (d): 0 is the only critical point.
    for (widths, ranks), _ in itertools.product(SHAPES, range(3)):
        network = of_ranks(rng, widths, ranks)
        if rank(network.end_to_end()) >= network.bottleneck:
            continue
        target = target_of(rng, widths[-1])
        loss, R, W = bw.BuresLoss(target), target.root, network.end_to_end()
        curve, a, b, degree = chain(rng, network, first_above(0))
        Q = bw.polar(R @ W)
        u = R @ a - Q @ (Q.T @ R @ a)
        for eps in (0.03, 0.1, 0.3):
            V = curve(eps).end_to_end()
            c = a @ (V - W) @ b / (a @ a) / (b @ b)
            bound = loss.value(W) - 2 * abs(c) * np.linalg.norm(u) * np.linalg.norm(b) + c**2 * (a @ a) * (b @ b)
            residual(loss.value(V) - bound, 1e-12 * target.trace)
            if abs(c) * (a @ a) * np.linalg.norm(b) < np.linalg.norm(u):
                assert bound < loss.value(W)
    for widths, J, tau_of in [((3, 2, 2, 3), (1,), 0.8), ((3, 2, 2, 3), (), 0.8), ((2, 2, 3), (0,), 0.5), ((4, 3, 3, 3), (0, 1), 0.9)]:
        target = target_of(rng, 3)
        tau = tau_of * target.eigenvalues[-1]
        loss = bw.BuresLoss(target, tau)
        network = mixed(rng, bw.balanced_network(critical_factor(rng, target, J, widths[0], tau), widths))
        curve, a, b, degree = chain(rng, network, first_above(0))
        W, outside = network.end_to_end(), [j for j in range(3) if j not in J]
        q = sum((1 - np.sqrt(target.eigenvalues[j] / tau)) * (target.eigenvectors[:, j] @ a) ** 2 for j in outside)
        assert q < 0
        c = 1e-3 / np.linalg.norm(a) / np.linalg.norm(b)
        gain = loss.value(W + c * np.outer(a, b)) - loss.value(W)
        residual(abs(gain / (c**2 * (b @ b) * q) - 1), 1e-2)
        best = min(loss.value(curve(eps).end_to_end()) for eps in (0.1, 0.3, 0.6))
        assert best < loss.value(W)
    # (c): wide hidden layers, tau between the eigenvalues: the chain of full rank n
    for widths, J in [((3, 3, 3), ()), ((3, 4, 3, 3), (1,)), ((4, 3, 5, 3), ())]:
        target = bw.Covariance.from_spectrum([4.0, 3.0, 0.5], rng=rng)
        loss, lam = bw.BuresLoss(target, 1.0), target.eigenvalues
        network = mixed(rng, bw.balanced_network(critical_factor(rng, target, J, widths[0], 1.0), widths))
        N, W, r = network.depth, network.end_to_end(), len(J)
        s = 1 + max(j for j in range(N) if rank(prefix(network, j)) > r)
        t = min(j for j in range(s, N + 1) if rank(suffix(network, j)) == 3)
        assert all(null(suffix(network, j)).size for j in range(s, t))
        a, b = target.eigenvectors[:, 0], null(W)[:, 0]
        assert lam[0] > 1 and loss.value(W + 0.1 * np.outer(a, b)) < loss.value(W)
    # tau > 0, any widths: where the criterion excludes a bad minimum, there is a way down, at the borderlines too
    found = {"stuck": 0, "direct": 0, "turned": 0}
    for _ in range(500):
        n = int(rng.integers(2, 5))
        widths = (*(int(d) for d in rng.integers(1, 6, rng.integers(1, 5))), n)
        lam = np.sort(rng.choice([1.0, 2.0, 3.0, 4.0], n))[::-1]
        tau = float(rng.choice([0.5, 1.0, 1.5, 2.0, 2.5, 3.0]))
        p, q, k = np.sum(lam > tau), np.sum(lam < tau), min(widths)
        if p == 0:
            continue
        target, r = bw.Covariance.from_spectrum(lam, rng=rng), int(rng.integers(0, min(k, p)))
        loss, network = bw.BuresLoss(target, tau), aligned_network(rng, target, tau, widths, r)
        if rank(network.end_to_end()) > r:
            continue
        residual(abs(loss.value(network.end_to_end()) - loss.minimum(r)), 1e-12)
        curve, how = way_down(network, target, tau, 0.01)
        found[how] += 1
        if curve is None:
            assert min(widths[1:-1]) <= q + r
            continue
        best = min(loss.value(curve(eps).end_to_end()) for eps in (0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5))
        assert best < loss.minimum(r) - 1e-14, (widths, lam, tau, r, how)
    assert min(found.values()) >= 3
    # (d): all runs end at the zero matrix
    target = target_of(rng, 3)
    loss = bw.BuresLoss(target, 1.1 * target.eigenvalues[0])
    for seed in range(3):
        run = bw.gradient_descent(bw.random_network((3, 2, 3), rng=seed), loss, 0.05, max_steps=3000, tol=1e-6)
        residual(run.loss[-1] - loss.value(np.zeros((3, 3))), 1e-3)
    # The value is the minimum over its rank: another index set, here {2}, is a strict saddle also where layers are full.
    target = bw.Covariance(np.diag([5.0, 4.0, 1.0]))
    W1 = np.sqrt(2.0) * np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    network = bw.DeepLinearNetwork([W1, np.eye(3)[:, [1, 2]]])
    loss = bw.BuresLoss(target, 2.0)
    assert gradient_norm(network, loss) < 1e-13 and np.linalg.eigvalsh(bw.parameter_hessian(network, loss))[0] < -0.1
    # Dropped hypothesis: tau above lambda_n with a narrow hidden layer, the trap of the chapter.
    loss = bw.BuresLoss(np.diag([4.0, 1.0]), 2.0)
    trap = bw.DeepLinearNetwork([[[0.0]], [[0.0], [1.0]]])
    value = loss.value(trap.end_to_end())
    assert value > loss.minimum(1) + 0.3
    assert all(loss.value(moved(trap, random_direction(rng, trap, 0.05)).end_to_end()) >= value for _ in range(500))


def bad_minimum(target, widths, tau, r):
    lam, Omega = target.eigenvalues, target.eigenvectors
    e = 1 + int(np.argmin(widths[1:-1]))
    d, n = widths[e], len(lam)
    S = Omega[:, [*range(r), *range(n - d + r, n)]]
    P = np.eye(d, widths[0]) * np.sqrt(np.r_[lam[:r] - tau, np.zeros(d - r)])[:, None]
    return bw.DeepLinearNetwork(bw.balanced_network(P, widths[:e + 1]).weights + bw.balanced_network(S, widths[e:]).weights)


def test_prop_bad_minimum(residual):
    rng = np.random.default_rng(67)
    lam = np.array([5.0, 3.0, 2.0, 1.0])
    for widths in [(3, 1, 4), (4, 2, 4), (4, 3, 4), (4, 4, 2, 5, 4), (3, 2, 3, 4)]:
        target = bw.Covariance.from_spectrum(lam, rng=rng)
        k = min(widths)
        for tau in (1.5, 2.0, 2.5, 3.0, 4.0):  # a hidden bottleneck, tau between lambda_n and lambda_1
            p, q = np.sum(lam > tau), np.sum(lam < tau)
            r = min(k, p) - 1
            assert k == min(widths[1:-1]) and (k <= q + r) == (k < p + q) == any(k <= q + i for i in range(min(k, p)))
            if k == p + q:  # tau is an eigenvalue: none
                continue
            loss, network = bw.BuresLoss(target, tau), bad_minimum(target, widths, tau, r)
            value = loss.value(network.end_to_end())
            residual(abs(value - loss.minimum(r)), 1e-13)
            residual(gradient_norm(network, loss), 1e-12)
            assert rank(network.end_to_end()) == r and value > loss.minimum(k) + 1e-3
            for size in (0.05, 0.01, 0.001):  # a local minimiser
                for _ in range(60):
                    nearby = loss.value(moved(network, random_direction(rng, network, size)).end_to_end())
                    residual(value - nearby, 1e-14)
            worst = min(np.linalg.eigvalsh(bw.parameter_hessian(network, loss))[0], 0.0)
            residual(-worst, 1e-11)
    # Dropped hypothesis, d <= q + r: with r = 0, two columns and one eigenvalue below tau, one column can be used.
    target, tau = bw.Covariance(np.diag([5.0, 3.0, 1.0])), 2.0
    loss = bw.BuresLoss(target, tau)
    network = bw.DeepLinearNetwork([np.zeros((2, 2)), np.eye(3)[:, [2, 1]]])
    assert gradient_norm(network, loss) < 1e-14
    assert np.linalg.eigvalsh(bw.parameter_hessian(network, loss))[0] < -0.1


def test_prop_parameter_hessian(residual):
    rng = np.random.default_rng(68)
    for widths in [(3, 3), (2, 3), (4, 2, 3), (3, 2, 4, 3), (4, 3, 3, 3), (5, 1, 3)]:
        n, m, k = widths[-1], widths[0], min(widths)
        target = target_of(rng, n)
        for tau, J in itertools.product((0.0, 0.3), itertools.combinations(range(n), k)):
            loss = bw.BuresLoss(target, tau)
            network = mixed(rng, bw.balanced_network(critical_factor(rng, target, J, m, tau), widths))
            H = bw.parameter_hessian(network, loss)
            values = np.linalg.eigvalsh(H)
            spectrum = bw.bures_hessian_spectrum(target, J, m, tau=tau)
            noise = 1e-9 * max(1.0, values[-1])
            negative = sum(target.eigenvalues[j] > target.eigenvalues[i] for i in J for j in range(n) if j not in J)
            zeros = len(H) - k * (n + m - k) + k * (k - 1) // 2 + k * (m - k)
            assert np.sum(values < -noise) == negative and np.sum(abs(values) <= noise) == zeros  # (a), (c)
            if tau == 0.0:
                assert np.sum(spectrum < 0) == negative and np.sum(spectrum == 0) == k * (k - 1) // 2 + k * (m - k)
            else:  # the pull-back, also against the Hessian on all matrices
                D = jacobian(network)
                pulled = D.T @ loss.hessian(network.end_to_end()) @ D
                residual(np.abs(H - pulled).max(), 1e3 * len(H) * EPS * np.linalg.norm(pulled) / tau)
    # (b): below the bottleneck, losses of the covariance
    for widths, J in [((3, 2, 3), (1,)), ((3, 3, 3), (0,)), ((3, 2, 2, 3), ()), ((4, 3, 3), (0, 2))]:
        target = target_of(rng, 3)
        for loss, tau in [(bw.BuresLoss(target, 0.3), 0.3), (bw.FrobeniusLoss(target), 0.0)]:
            network = mixed(rng, bw.balanced_network(critical_factor(rng, target, J, widths[0], tau), widths))
            D, H = jacobian(network), bw.parameter_hessian(network, loss)
            pulled = D.T @ loss.hessian(network.end_to_end()) @ D
            residual(np.abs(H - pulled).max(), 1e3 * len(H) * EPS * (1 + np.linalg.norm(pulled)) * target.trace**2)
            Q = np.linalg.svd(D)[0][:, :rank(D)]
            restricted = np.linalg.eigvalsh(Q.T @ loss.hessian(network.end_to_end()) @ Q)
            assert np.sum(np.linalg.eigvalsh(H) < -1e-9) == np.sum(restricted < -1e-9)
    # Dropped hypothesis: where theta is not critical, the curvature of mu enters.
    loss, network = bw.BuresLoss(np.eye(2), 0.5), bw.random_network((2, 2, 2), rng=3)
    D = jacobian(network)
    pulled = D.T @ loss.hessian(network.end_to_end()) @ D
    assert np.abs(bw.parameter_hessian(network, loss) - pulled).max() > 0.1
