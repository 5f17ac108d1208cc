"""The numbered statements of the chapter "Deep linear networks"."""
from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp

import bwlib as bw

EPS = np.finfo(float).eps
WIDTHS = [(3, 3), (2, 4), (4, 2, 3), (3, 5, 5, 4), (6, 4, 2, 5), (3, 1, 2, 4), (2, 3, 4, 3, 3)]


def product(layers, size):
    """The product of the layers, the last on the left."""
    W = np.eye(size)
    for layer in layers:
        W = layer @ W
    return W


def of_rank(rng, n, m, r):
    """A matrix of rank r whose nonzero singular values lie in [0.5, 2]."""
    U = np.linalg.qr(rng.standard_normal((n, n)))[0][:, :r]
    V = np.linalg.qr(rng.standard_normal((m, m)))[0][:, :r]
    return (U * rng.uniform(0.5, 2, r)) @ V.T


def rank(W):
    return np.linalg.matrix_rank(W, tol=1e-9 * max(1.0, np.linalg.norm(W)))


def well_conditioned(rng, d):
    """An invertible matrix with condition number at most 3."""
    O, P = (np.linalg.qr(rng.standard_normal((d, d)))[0] for _ in range(2))
    return (O * rng.uniform(0.6, 1.8, d)) @ P


def act(g, network):
    g = [np.eye(network.widths[0]), *g, np.eye(network.widths[-1])]
    return bw.DeepLinearNetwork([g[j] @ W @ np.linalg.inv(g[j - 1]) for j, W in enumerate(network.weights, start=1)])


def random_action(rng, network):
    return act([well_conditioned(rng, d) for d in network.widths[1:-1]], network)


def jacobian(network):
    layers, d = network.weights, network.widths
    return np.hstack([np.kron(product(layers[j:], d[j]), product(layers[:j - 1], d[0]).T)
                      for j in range(1, network.depth + 1)])


def largest(*arrays):
    return max(np.abs(A).max(initial=0.0) for A in arrays)


def differences(left, right):
    return largest(*(A - B for A, B in zip(left, right, strict=True)))


class SquareLoss:
    """||W - Phi||_F^2: not a covariance loss, to see that a statement holds for any loss."""

    def __init__(self, Phi):
        self.Phi = Phi

    def value(self, W):
        return float(np.sum((W - self.Phi) ** 2))

    def gradient(self, W):
        return 2 * (W - self.Phi)


def losses(rng, n, m):
    target = bw.Covariance.from_spectrum(np.linspace(2, 0.5, n), rng=rng)
    return [bw.BuresLoss(target, tau=0.1), bw.FrobeniusLoss(target), SquareLoss(rng.standard_normal((n, m)))]


def flow(network, velocity, t_end):
    """Integrate d(layers)/dt = velocity(network), relative tolerance 1e-10; the network at the end."""
    shapes = [W.shape for W in network.weights]
    cuts = np.cumsum([W.size for W in network.weights])[:-1]

    def unpack(y):
        return bw.DeepLinearNetwork([p.reshape(s) for p, s in zip(np.split(y, cuts), shapes)])

    def right_hand_side(t, y):
        return np.concatenate([v.ravel() for v in velocity(unpack(y))])

    start = np.concatenate([W.ravel() for W in network.weights])
    return unpack(solve_ivp(right_hand_side, (0, t_end), start, rtol=1e-10, atol=1e-12, method="DOP853").y[:, -1])


def gradient_flow(network, loss, t_end):
    return flow(network, lambda net: [-G for G in net.layer_gradients(loss.gradient(net.end_to_end()))], t_end)


def precondition(W, Z, depth):
    """The operator A_W by its definition, with the powers taken in an SVD whose rank is decided first."""
    U, s, Vt = np.linalg.svd(W)
    s = np.where(s > 1e-12 * s[0], s, 0.0)
    left, right = np.zeros(W.shape[0]), np.zeros(W.shape[1])
    left[:len(s)] = right[:len(s)] = s
    total = np.zeros_like(W)
    for j in range(1, depth + 1):
        total += ((U * left ** (2 * (depth - j) / depth)) @ U.T) @ Z @ ((Vt.T * right ** (2 * (j - 1) / depth)) @ Vt)
    return total


def test_prop_image_mu(residual):
    rng = np.random.default_rng(301)
    for widths in WIDTHS:
        k, n, m = min(widths), widths[-1], widths[0]
        for r in range(k + 1):  # every rank up to k is reached: a product of at most four matrices of norm below 2
            W = of_rank(rng, n, m, r)
            residual(largest(bw.balanced_network(W, widths).end_to_end() - W), 100 * EPS)
        W = bw.random_network(widths, rng=rng).end_to_end()
        s = np.linalg.svd(W, compute_uv=False)
        if k < min(n, m):  # the singular values beyond k are rounding
            residual(s[k], 100 * EPS * max(1.0, s[0]))
    # The minimum runs over the ends too: hidden widths 3, but a latent dimension of 2, and rank 3 is out of reach.
    # sigma_3 of every product vanishes, so each stays sigma_3(W) away from W in the spectral norm (Weyl).
    for widths in [(3, 2, 3), (3, 4, 2, 3)]:
        W = of_rank(rng, 3, 3, 3)
        for _ in range(50):
            reached = bw.random_network(widths, rng=rng).end_to_end()
            residual(np.linalg.svd(reached, compute_uv=False)[2], 100 * EPS * max(1.0, largest(reached)))
            assert np.linalg.norm(W - reached, 2) > np.linalg.svd(W, compute_uv=False)[2] - 1e-12
    thin = bw.random_network((2, 3, 3, 3), rng=rng)
    assert rank(thin.end_to_end() @ thin.end_to_end().T) == 2 < min(thin.widths[1:])


def test_cor_same_minimum(residual):
    rng = np.random.default_rng(302)
    lam = np.array([4.0, 2.0, 1.0, 0.5])
    target = bw.Covariance.from_spectrum(lam, rng=rng)
    for loss in (bw.BuresLoss(target), bw.BuresLoss(target, tau=0.1), bw.FrobeniusLoss(target)):
        tau = getattr(loss, "tau", 0.0)
        for widths in [(4, 4), (4, 2, 4), (2, 4), (2, 5, 3, 2, 4), (1, 3, 4)]:
            k = min(widths)
            best = np.zeros((4, widths[0]))
            best[:, :k] = target.eigenvectors[:, :k] * np.sqrt(lam[:k] - tau)
            attained = loss.value(bw.balanced_network(best, widths).end_to_end())
            residual(abs(attained - loss.minimum(k)), 1e-12)  # traces below 30, a few roundings
            for _ in range(50):  # no network goes below
                value = loss.value(bw.random_network(widths, rng=rng).end_to_end())
                residual(loss.minimum(k) - value, 1e-12)
    # With the bottleneck of the hidden layers alone the claim is false: widths (1, 3, 4) do not attain minimum(3).
    assert bw.BuresLoss(target).minimum(3) < bw.BuresLoss(target).minimum(1) - 1


def test_prop_rank_closed(residual):
    rng = np.random.default_rng(303)
    for n, m in [(3, 3), (4, 2), (2, 5)]:
        for r in range(min(n, m) + 1):
            W = of_rank(rng, n, m, r)
            U, s, Vt = np.linalg.svd(W)
            for k in range(r, min(n, m) + 1):  # W is a limit of matrices of rank exactly k
                for eps in (1e-2, 1e-5):
                    nearby = W + eps * U[:, r:k] @ Vt[r:k]
                    assert rank(nearby) == k
                    residual(abs(np.linalg.norm(nearby - W) - eps * np.sqrt(k - r)), 100 * EPS)
            if 0 < r:  # open in M_<=r: below the distance sigma_r every matrix has rank at least r (Weyl)
                D = rng.standard_normal((n, m))
                assert rank(W + 0.9 * s[r - 1] * D / np.linalg.norm(D, 2)) >= r
            if r < min(n, m):  # closed: a matrix of rank r + 1 keeps the distance sigma_{r+1} from rank <= r
                higher = of_rank(rng, n, m, r + 1)
                gap = np.linalg.svd(higher, compute_uv=False)[r]
                for _ in range(20):
                    low = of_rank(rng, n, m, r)
                    residual(gap - np.linalg.norm(higher - low, 2), 100 * EPS)
    # M_k is not closed for k >= 1: W / j has rank 1, its limit rank 0.
    W = of_rank(rng, 3, 3, 1)
    assert rank(W) == 1 and np.linalg.matrix_rank(0 * W) == 0


def test_prop_dimension(residual):
    rng = np.random.default_rng(304)
    for n, m in [(3, 3), (5, 2), (3, 6)]:
        for k in range(min(n, m) + 1):
            W = of_rank(rng, n, m, k)
            U, s, Vt = np.linalg.svd(W)
            Uk, Vk = U[:, :k], Vt[:k].T
            # the span of X V^T + U Y^T has the stated dimension ...
            units = [np.kron(np.eye(n), Vk), np.kron(Uk, np.eye(m))]
            spanning = np.hstack(units)
            assert (np.linalg.matrix_rank(spanning) if k else 0) == k * (n + m - k)
            # ... and is annihilated by the two projections (products of orthogonal projections: rounding)
            normal = np.kron(U[:, k:], Vt[k:].T)
            if normal.size and spanning.size:
                residual(largest(normal.T @ spanning), 100 * EPS)
            # chart: blocks A, B, C free, D = C A^-1 B has rank k; its velocity is tangent
            if 0 < k < min(n, m):
                A, B, C = well_conditioned(rng, k), rng.standard_normal((k, m - k)), rng.standard_normal((n - k, k))
                dA, dB, dC = (rng.standard_normal(M.shape) for M in (A, B, C))

                def chart(e):
                    Ae, Be, Ce = A + e * dA, B + e * dB, C + e * dC
                    return np.block([[Ae, Be], [Ce, Ce @ np.linalg.solve(Ae, Be)]])

                assert rank(chart(0.0)) == rank(chart(1e-3)) == k
                U0, s0, Vt0 = np.linalg.svd(chart(0.0))
                h = 1e-5  # central difference: error h^2 times third derivatives of size 1e3, plus EPS / h
                velocity = (chart(h) - chart(-h)) / (2 * h)
                residual(largest(U0[:, k:].T @ velocity @ Vt0[k:].T), 1e-6)
    # At a matrix of lower rank the set M_<=k has no such tangent space: the lines e * E_ab through the zero matrix lie
    # in M_<=1, and their velocities span all of R^{2x2}, four dimensions instead of the three of M_1.
    units = [np.outer(np.eye(2)[a], np.eye(2)[b]) for a in range(2) for b in range(2)]
    assert all(rank(e * E) == 1 for E in units for e in (-1.0, 0.01, 0.5))
    assert np.linalg.matrix_rank([E.ravel() for E in units]) == 4 > 1 * (2 + 2 - 1)


def test_prop_symmetries(residual):
    rng = np.random.default_rng(305)
    for widths in WIDTHS:
        network = bw.random_network(widths, rng=rng)
        g, h = ([well_conditioned(rng, d) for d in widths[1:-1]] for _ in range(2))
        moved = act(g, network)
        # each inverse and product costs a few EPS times condition numbers at most 3
        residual(largest(moved.end_to_end() - network.end_to_end()), 1e-12)
        residual(differences(act(h, moved).weights, act([B @ A for A, B in zip(g, h)], network).weights), 1e-12)
        for i in range(network.depth):
            for j in range(i + 1, network.depth + 1):
                partial = [product(net.weights[i:j], widths[i]) for net in (network, moved)]
                assert rank(partial[0]) == rank(partial[1])
    # A singular change between the layers does change the product.
    W2, W1 = rng.standard_normal((2, 3, 3))
    P = np.diag([1.0, 1.0, 0.0])
    assert np.linalg.norm(W2 @ P @ np.linalg.pinv(P) @ W1 - W2 @ W1) > 0.1


def group_element(one, other, r):
    """The proof of the statement: a group element that carries ``one`` to ``other``."""
    g = []
    for j in range(1, one.depth):
        A, B = (product(net.weights[:j], net.widths[0]) for net in (one, other))
        if one.widths[j] > r:  # complement the image by the kernel of the next layer
            A, B = (np.hstack([M, np.linalg.svd(net.weights[j])[2][r:].T]) for M, net in ((A, one), (B, other)))
        g.append(B @ np.linalg.pinv(A, rcond=1e-10))
    return g


def another_point(rng, W, widths):
    """A factorisation of W of rank r = min(widths): all layers but the last are chosen at random, the last is solved for.

    Layers whose output width is r and that come first carry the row space of W, so that nothing of W is lost.
    """
    r = rank(W)
    layers, below = [], np.linalg.svd(W)[2][:r] if W.shape[1] > r else np.eye(r)
    for j, d in enumerate(widths[1:-1]):
        layer = well_conditioned(rng, r) @ below if j == 0 and d == r else rng.standard_normal((d, widths[j]))
        layers.append(layer)
    return bw.DeepLinearNetwork([*layers, W @ np.linalg.pinv(product(layers, widths[0]))])


def freedom(one, other):
    """The dimension of the set of all g with g_j W_j = W'_j g_{j-1}: the kernel of a linear system, g_0 = g_N = 0."""
    d, N = one.widths, one.depth
    columns = []
    for i in range(1, N):
        for unit in np.eye(d[i] ** 2):
            g = [np.zeros((w, w)) for w in d]
            g[i] = unit.reshape(d[i], d[i])
            columns.append(np.concatenate([(g[j] @ one.weights[j - 1] - other.weights[j - 1] @ g[j - 1]).ravel()
                                           for j in range(1, N + 1)]))
    return len(columns) - rank(np.array(columns))


def test_prop_fibre_orbit(residual):
    rng = np.random.default_rng(306)
    single = [((3, 2, 4), 2), ((4, 2, 2, 3), 2), ((3, 4, 3), 3), ((2, 4, 2, 5), 2), ((5, 2, 3, 2, 3, 2), 2),
              ((3, 1, 1, 1, 2), 1)]
    for widths, r in single:
        assert all(min(pair) <= r for pair in zip(widths, widths[1:]))
        one = bw.balanced_network(of_rank(rng, widths[-1], widths[0], r), widths)
        other = random_action(rng, one)
        g = group_element(one, other, r)
        assert all(np.linalg.cond(A) < 1e6 for A in g)
        residual(differences(act(g, one).weights, other.weights), 1e-8)  # condition numbers up to some hundred, squared
    # Two points of one fibre found independently: random layers, the last one solved for.  The group element is unique
    # if all hidden widths equal r; otherwise an isomorphism between kernels of dimension d_j - r can be chosen freely.
    for widths, r in [((4, 2, 2, 3), 2), ((3, 2, 2, 2, 4), 2), ((2, 4, 2, 5), 2), ((4, 2, 3, 2, 3), 2)]:
        W = of_rank(rng, widths[-1], widths[0], r)
        one, other = (another_point(rng, W, widths) for _ in range(2))
        residual(largest(one.end_to_end() - W, other.end_to_end() - W), 1e-10)
        residual(differences(act(group_element(one, other, r), one).weights, other.weights), 1e-8)
        assert freedom(one, other) == sum((d - r) ** 2 for d in widths[1:-1])
    # The same with two layers, and with a second layer that is random where the product does not see it.
    for n, m, r, d in [(4, 3, 2, 2), (3, 3, 3, 5)]:
        W = of_rank(rng, n, m, r)
        pair = []
        for _ in range(2):
            if d == r:  # any basis of the row space of W, then the unique second layer
                W1 = well_conditioned(rng, r) @ np.linalg.svd(W)[2][:r]
                W2 = W @ np.linalg.pinv(W1)
            else:  # W invertible, a random injective first layer, a random second layer on its complement
                W1 = rng.standard_normal((d, m))
                W2 = W @ np.linalg.pinv(W1) + rng.standard_normal((n, d)) @ (np.eye(d) - W1 @ np.linalg.pinv(W1))
            residual(largest(W2 @ W1 - W), 1e-10)
            pair.append(bw.DeepLinearNetwork([W1, W2]))
        g = group_element(*pair, r)
        residual(differences(act(g, pair[0]).weights, pair[1].weights), 1e-8)
    # Two neighbouring widths above r: another point of the fibre whose j-th layer has another rank.
    for widths, r in [((3, 3, 3), 1), ((2, 3, 4, 2), 2), ((3, 2, 3, 3), 2), ((2, 2, 2), 0), ((1, 1, 1), 0)]:
        W = of_rank(rng, widths[-1], widths[0], r)
        one = bw.balanced_network(W, widths)
        found = False
        for j, layer in enumerate(one.weights):
            if min(layer.shape) > r:
                U, s, Vt = np.linalg.svd(layer)
                assert rank(layer) == r
                layers = list(one.weights)
                layers[j] = layer + np.outer(U[:, r], Vt[r])
                other = bw.DeepLinearNetwork(layers)
                residual(largest(other.end_to_end() - W), 1e-13)
                assert rank(other.weights[j]) == r + 1
                found = True
        assert found
    # N >= 2 is needed: widths (2, 2) and rank 1 violate the condition on neighbouring widths, yet with one layer the
    # fibre is a point, hence one orbit: mu is the identity.
    W = np.diag([1.0, 0.0])
    single = bw.DeepLinearNetwork([W])
    assert rank(W) < min(single.widths) and np.array_equal(single.end_to_end(), single.weights[0])


def test_prop_layer_gradients(residual):
    rng = np.random.default_rng(307)
    for widths in WIDTHS:
        network = bw.random_network(widths, rng=rng)
        for loss in losses(rng, widths[-1], widths[0]):
            G = loss.gradient(network.end_to_end())
            gradients = network.layer_gradients(G)
            slow = [product(network.weights[j:], widths[j]).T @ G @ product(network.weights[:j - 1], widths[0]).T
                    for j in range(1, network.depth + 1)]
            residual(differences(gradients, slow), 1e-13 * max(1.0, largest(*slow)))
            Z = [rng.standard_normal(W.shape) for W in network.weights]

            def along(e):
                return loss.value(product([W + e * D for W, D in zip(network.weights, Z)], widths[0]))

            h = 1e-5  # error h^2 times third derivatives along the line, plus EPS / h times the value
            slope = sum(np.vdot(A, B) for A, B in zip(gradients, Z))
            residual(abs((along(h) - along(-h)) / (2 * h) - slope), 1e-6 * max(1.0, abs(slope)))
    # Without differentiability at W: the loss (|w| - 1)^2 has a kink at w = 0.  At the chain (w1, w2) = (0, 2) the
    # slopes in w1 are -4 to the right and 4 to the left (error 4 e); at (0, 0) the chain is differentiable all the same.
    loss, e = bw.BuresLoss([[1.0]]), 1e-6
    slopes = [(loss.value([[2 * h]]) - loss.value([[0.0]])) / h for h in (e, -e)]
    assert abs(slopes[0] + 4) < 1e-4 and abs(slopes[1] - 4) < 1e-4
    for a, b in rng.standard_normal((20, 2)):  # |loss(e a, e b) - loss(0, 0)| is of order e^2
        assert abs(loss.value([[e * a * e * b]]) - loss.value([[0.0]])) < 1e-4 * e


def test_lem_layer_identity(residual):
    rng = np.random.default_rng(308)
    for widths in WIDTHS:
        network = bw.random_network(widths, rng=rng)
        for loss in losses(rng, widths[-1], widths[0]):
            G = network.layer_gradients(loss.gradient(network.end_to_end()))
            for j in range(network.depth - 1):
                left, right = network.weights[j + 1].T @ G[j + 1], G[j] @ network.weights[j].T
                residual(largest(left - right), 1e-12 * max(1.0, largest(left)))
    # A function of the layers that is not a function of their product: f = ||W_1||_F^2 / 2 has G_1 = W_1, G_2 = 0.
    W1, W2 = bw.random_network((2, 3, 2), rng=rng).weights
    assert np.linalg.norm(W2.T @ np.zeros_like(W2) - W1 @ W1.T) > 0.1


def test_thm_conservation(residual):
    rng = np.random.default_rng(309)
    for widths in [(3, 3, 3), (2, 4, 3), (3, 2, 4, 3)]:
        network = bw.random_network(widths, rng=rng)
        for loss in losses(rng, widths[-1], widths[0]):
            after = gradient_flow(network, loss, 1.0)
            assert loss.value(after.end_to_end()) < loss.value(network.end_to_end())
            # integrator tolerance 1e-10 per step, some tens of steps
            residual(differences(after.imbalances(), network.imbalances()), 1e-7)
            traces = [[np.sum(B**2) - np.sum(A**2) for A, B in zip(net.weights, net.weights[1:])] for net in (network, after)]
            residual(np.abs(np.subtract(*traces)).max(), 1e-7)
    # tau = 0: conserved where W keeps full rank, here along a run whose least singular value is watched.
    loss = bw.BuresLoss(bw.Covariance.from_spectrum([2.0, 1.0], rng=rng))
    network = random_action(rng, bw.balanced_network(np.diag([0.6, 0.5]), (2, 2, 2)))
    for _ in range(10):
        after = gradient_flow(network, loss, 0.1)
        assert np.linalg.svd(after.end_to_end(), compute_uv=False)[-1] > 0.1
        residual(differences(after.imbalances(), network.imbalances()), 1e-7)
        network = after
    # Where the loss of the layers is not differentiable the hypothesis says nothing: the curve (w1, w2) = (0, 2 + t) stays
    # in the kink of (|w| - 1)^2 (slopes of both signs in w1), and its imbalance grows.
    kinked, kink = bw.BuresLoss([[1.0]]), [bw.DeepLinearNetwork([[[0.0]], [[2.0 + t]]]) for t in (0.0, 1.0)]
    for net in kink:
        right, left = (kinked.value(net.weights[1] * e) - kinked.value(net.end_to_end()) for e in (1e-3, -1e-3))
        assert right < 0 and left < 0
    assert differences(kink[1].imbalances(), kink[0].imbalances()) > 4
    # A loss that is not a function of the product (weight decay): the imbalance decays like exp(-2 gamma t) instead.
    network, gamma = bw.random_network((2, 3, 2), rng=rng), 0.5
    loss = SquareLoss(rng.standard_normal((2, 2)))
    decayed = flow(network, lambda net: [-G - gamma * W for W, G in zip(
        net.weights, net.layer_gradients(loss.gradient(net.end_to_end())))], 1.0)
    residual(differences(decayed.imbalances(), [np.exp(-2 * gamma) * D for D in network.imbalances()]), 1e-7)
    assert differences(decayed.imbalances(), network.imbalances()) > 0.1
    # Different step sizes in different layers are no gradient flow: no conservation either.
    uneven = flow(network, lambda net: [-c * G for c, G in zip((1, 3), net.layer_gradients(loss.gradient(net.end_to_end())))], 1.0)
    assert differences(uneven.imbalances(), network.imbalances()) > 0.01


def test_prop_imbalance_gd(residual):
    rng = np.random.default_rng(310)
    for widths in WIDTHS:
        network = bw.random_network(widths, rng=rng)
        for loss in losses(rng, widths[-1], widths[0]):
            G = network.layer_gradients(loss.gradient(network.end_to_end()))
            for eta in (1.0, 1e-2):
                after = bw.DeepLinearNetwork([W - eta * D for W, D in zip(network.weights, G)])
                predicted = [D + eta**2 * (G[j + 1].T @ G[j + 1] - G[j] @ G[j].T)
                             for j, D in enumerate(network.imbalances())]
                size = max([1.0, *(np.abs(W).max() ** 2 for W in after.weights), *(eta**2 * np.abs(D).max() ** 2 for D in G)])
                if predicted:  # rounding of squares of the layers
                    residual(differences(after.imbalances(), predicted), 100 * EPS * size * 10)
    # With layer directions that are not the gradients of one loss of the product the change is of first order.
    network = bw.random_network((3, 3, 3), rng=rng)
    Z = rng.standard_normal((2, 3, 3))
    change = []
    for eta in (1e-3, 5e-4):
        after = bw.DeepLinearNetwork([W - eta * D for W, D in zip(network.weights, Z)])
        change.append(differences(after.imbalances(), network.imbalances()))
    assert 1.8 < change[0] / change[1] < 2.2


def test_cor_imbalance_drift(residual):
    rng = np.random.default_rng(311)
    loss = bw.BuresLoss(bw.Covariance.from_spectrum([3.0, 1.0, 0.5], rng=rng), tau=0.1)
    for widths in [(3, 3, 3), (3, 4, 2, 3)]:
        start = bw.random_network(widths, rng=rng)
        drifts = []
        for eta in (0.02, 0.01, 0.005):
            run = bw.gradient_descent(start, loss, eta, max_steps=round(1 / eta), tol=0.0)
            gradients = [net.layer_gradients(loss.gradient(net.end_to_end())) for net in run.networks[:-1]]
            norms = np.array([[np.linalg.norm(G, 2) for G in row] for row in gradients])
            ends = zip(run.networks[-1].imbalances(), run.networks[0].imbalances())
            drift = np.array([np.linalg.norm(A - B, 2) for A, B in ends])
            first = eta**2 * np.sum(np.maximum(norms[:, :-1], norms[:, 1:]) ** 2, axis=0)
            residual(np.max(drift - first), 1e-13)  # the first bound, up to rounding
            residual(drift.max() - eta * run.t[-1] * norms.max() ** 2, 1e-13)
            if np.all(-np.diff(run.loss) >= eta / 2 * run.gradient_norm[:-1] ** 2):
                residual(drift.max() - 2 * eta * (run.loss[0] - run.loss[-1]), 1e-13)
            else:
                raise AssertionError("the step size is small enough for the decrease")
            drifts.append(drift.max())
        assert 1.8 < drifts[0] / drifts[1] < 2.2 and 1.8 < drifts[1] / drifts[2] < 2.2  # O(eta) at a fixed time
    # Without the decrease the second bound fails: an overshoot past the minimum of (|w| - 1)^2: the loss falls, but by
    # less than eta / 2 times the squared gradient, and the drift exceeds the bound.
    loss = bw.BuresLoss([[1.0]])
    run = bw.gradient_descent(bw.DeepLinearNetwork([[[0.1]], [[3.0]]]), loss, 0.1028, max_steps=1, tol=0.0)
    A, B = (net.imbalances()[0].item() for net in (run.networks[1], run.networks[0]))
    assert run.loss[1] < run.loss[0] < run.loss[1] + 0.1028 / 2 * run.gradient_norm[0] ** 2
    assert abs(A - B) > 2 * 2 * 0.1028 * (run.loss[0] - run.loss[1])  # more than twice the bound


def balance(rng, network, r, sweeps=150):
    """Neighbouring layers in turn are replaced by the smallest pair with their product, in random orthonormal frames."""
    layers = list(network.weights)
    for _ in range(sweeps):
        for j in range(len(layers) - 1):
            U, s, Vt = np.linalg.svd(layers[j + 1] @ layers[j])
            E = np.linalg.qr(rng.standard_normal((layers[j].shape[0],) * 2))[0][:, :r]
            root = np.sqrt(s[:r])
            layers[j], layers[j + 1] = (E * root) @ Vt[:r], (U[:, :r] * root) @ E.T
    return bw.DeepLinearNetwork(layers)


def test_thm_balanced(residual):
    rng = np.random.default_rng(312)
    # Structure: a balanced factorisation that was found by shrinking the layers, in random frames, has the stated form.
    for widths in WIDTHS:
        N, r = len(widths) - 1, min(widths)
        W = of_rank(rng, widths[-1], widths[0], r)
        network = balance(rng, random_action(rng, bw.balanced_network(W, widths)), r)
        residual(largest(network.end_to_end() - W, *network.imbalances()), 1e-11)  # 600 products at most
        U, s, Vt = np.linalg.svd(W)
        F = [Vt[:r].T]
        for layer in network.weights:
            F.append(layer @ F[-1] * s[:r] ** (-1 / N))
            residual(largest(layer - (F[-1] * s[:r] ** (1 / N)) @ F[-2].T), 1e-10)
        residual(largest(F[-1] - U[:, :r], *(A.T @ A - np.eye(r) for A in F)), 1e-10)
    for widths in WIDTHS:
        N, n, m = len(widths) - 1, widths[-1], widths[0]
        for r in range(1, min(widths) + 1):
            W = of_rank(rng, n, m, r)
            U, s, Vt = np.linalg.svd(W)
            U, S, V = U[:, :r], s[:r], Vt[:r].T
            E = [V, *(np.linalg.qr(rng.standard_normal((d, d)))[0][:, :r] for d in widths[1:-1]), U]
            network = bw.DeepLinearNetwork([(E[j] * S ** (1 / N)) @ E[j - 1].T for j in range(1, N + 1)])
            # structure: balanced, and the product is W; all numbers below 3, so a few EPS
            residual(largest(network.end_to_end() - W, *network.imbalances()), 1e-14 * 5)
            # theta determines the frames: E_j = W_j E_{j-1} S^(-1/N)
            F = [V]
            for layer in network.weights:
                F.append(layer @ F[-1] * S ** (-1 / N))
            residual(differences(F, E), 1e-13)
            # another balanced factorisation, found independently, has frames too, and differs by orthogonal changes
            other = bw.balanced_network(W, widths)
            F = [V]
            for layer in other.weights:
                F.append(layer @ F[-1] * S ** (-1 / N))
            residual(largest(F[-1] - U, *(A.T @ A - np.eye(r) for A in F)), 1e-12)
            O = []
            for A, B in zip(E[1:-1], F[1:-1]):
                rest = [np.linalg.svd(M)[0][:, r:] for M in (A, B)]
                O.append(B @ A.T + rest[1] @ rest[0].T)
                residual(largest(O[-1] @ O[-1].T - np.eye(len(A))), 1e-12)
            residual(differences(act(O, network).weights, other.weights), 1e-12)
            # spectrum
            for layer in network.weights:
                values = np.linalg.svd(layer, compute_uv=False)
                residual(largest(values[:r] - S ** (1 / N), values[r:]), 1e-13)
                residual(abs(np.sum(layer**2) - np.sum(S ** (2 / N))), 1e-12)
            for i in range(N):
                for j in range(i + 1, N + 1):
                    values = np.linalg.svd(product(network.weights[i:j], widths[i]), compute_uv=False)
                    residual(largest(values[:r] - S ** ((j - i) / N)), 1e-13)
            # partial products
            for j in range(N + 1):
                upper, lower = product(network.weights[j:], widths[j]), product(network.weights[:j], m)
                left = np.eye(n) if j == N else (U * S ** (2 * (N - j) / N)) @ U.T
                right = np.eye(m) if j == 0 else (V * S ** (2 * j / N)) @ V.T
                residual(largest(upper @ upper.T - left, lower.T @ lower - right), 1e-13)
    # rank above a hidden width: no factorisation at all, every product has sigma_2 = 0 and stays 1 away from I
    for _ in range(20):
        reached = bw.random_network((2, 1, 2), rng=rng).end_to_end()
        residual(np.linalg.svd(reached, compute_uv=False)[1], 100 * EPS * max(1.0, largest(reached)))
        assert np.linalg.norm(np.eye(2) - reached, 2) > 1 - 1e-12
    # not balanced: the spectrum and the partial products are different ones
    network = random_action(rng, bw.balanced_network(np.diag([2.0, 1.0]), (2, 2, 2)))
    assert largest(*network.imbalances()) > 0.05
    assert abs(np.linalg.svd(network.weights[0], compute_uv=False) - np.sqrt([2.0, 1.0])).max() > 0.01
    assert largest(network.weights[1] @ network.weights[1].T - np.diag([2.0, 1.0])) > 0.01
    # without equal widths d_j = r the orthogonal change is not unique: +1 and -1 on the unused direction
    network = bw.balanced_network(np.array([[2.0]]), (1, 2, 1))
    O = [np.diag([1.0, sign]) for sign in (1.0, -1.0)]
    residual(differences(act([O[0]], network).weights, act([O[1]], network).weights), EPS)


def test_thm_minimal_norm(residual):
    rng = np.random.default_rng(313)
    for widths in WIDTHS:
        N = len(widths) - 1
        for r in range(min(widths) + 1):
            W = of_rank(rng, widths[-1], widths[0], r)
            s = np.linalg.svd(W, compute_uv=False)[:r]
            least = N * np.sum(s ** (2 / N))
            balanced = bw.balanced_network(W, widths)
            residual(abs(sum(np.sum(A**2) for A in balanced.weights) - least), 1e-12)  # sums below 40
            for _ in range(10):
                other = random_action(rng, balanced)
                size = sum(np.sum(A**2) for A in other.weights)
                residual(least - size, 1e-12)
                if N > 1 and largest(*other.imbalances()) > 1e-3:
                    assert size > least  # not balanced: strictly above
        network = bw.random_network(widths, rng=rng)  # not built from a balanced one
        s = np.linalg.svd(network.end_to_end(), compute_uv=False)[:min(widths)]
        residual(N * np.sum(s ** (2 / N)) - sum(np.sum(A**2) for A in network.weights), 1e-12)
    # The exponent matters: with the nuclear norm in place of S_{2/N} the bound is false at N = 3.
    W = np.diag([8.0, 8.0])
    cubes = bw.balanced_network(W, (2, 2, 2, 2))
    assert sum(np.sum(A**2) for A in cubes.weights) < 3 * np.linalg.norm(W, "nuc")


def test_prop_end_to_end_flow(residual):
    rng = np.random.default_rng(314)
    for widths in [(3, 3), (3, 4, 3), (2, 3, 4), (4, 2, 2, 3), (3, 1, 4, 4, 3)]:
        N, n, m = len(widths) - 1, widths[-1], widths[0]
        for r in {min(widths), 1}:
            W = of_rank(rng, n, m, r)
            network = bw.balanced_network(W, widths)
            for loss in losses(rng, n, m):
                G = loss.gradient(W)
                J = jacobian(network)
                velocity = -(J @ J.T @ G.ravel()).reshape(n, m)  # layerwise: no power is taken
                size = max(1.0, largest(velocity))
                residual(largest(velocity + precondition(W, G, N)), 1e-12 * size)
                # spectral form with the closed multipliers
                U, s, Vt = np.linalg.svd(W)
                s = np.where(s > 1e-12, s, 0.0)
                a, b = np.zeros((n, 1)), np.zeros((1, m))
                a[:len(s), 0] = b[0, :len(s)] = s
                with np.errstate(invalid="ignore", divide="ignore"):
                    p = np.where(a == b, N * a ** (2 * (N - 1) / N), (a**2 - b**2) / (a ** (2 / N) - b ** (2 / N)))
                entries = U.T @ G @ Vt.T
                # distinct singular values of this instance differ by more than 1e-4, so little cancels
                residual(largest(U.T @ velocity @ Vt.T + p * entries), 1e-10 * size)
                residual(abs(np.vdot(G, velocity) + np.sum(p * entries**2)), 1e-9 * size**2)
    # Along the flow, not only at its start: layers and end-to-end matrix integrated separately.
    loss = losses(rng, 3, 3)[0]
    W = of_rank(rng, 3, 3, 3)
    by_layers = gradient_flow(bw.balanced_network(W, (3, 3, 3, 3)), loss, 0.5).end_to_end()
    whole = flow(bw.DeepLinearNetwork([W]), lambda net: [-precondition(net.end_to_end(), loss.gradient(net.end_to_end()), 3)], 0.5)
    residual(largest(by_layers - whole.end_to_end()), 1e-7)  # two integrations with tolerance 1e-10
    # An unbalanced start of the same function moves differently.
    network = random_action(rng, bw.balanced_network(W, (3, 3, 3, 3)))
    J, G = jacobian(network), loss.gradient(W)
    assert largest((J @ J.T @ G.ravel()).reshape(3, 3) - precondition(W, G, 3)) > 0.01


def test_cor_singular_value_flow(residual):
    rng = np.random.default_rng(315)
    h = 1e-5
    for widths in [(3, 3), (3, 3, 3), (4, 2, 3), (2, 3, 3, 4)]:
        N, n, m, r = len(widths) - 1, widths[-1], widths[0], min(widths)
        U, V = (np.linalg.qr(rng.standard_normal((d, d)))[0][:, :r] for d in (n, m))
        s = np.linspace(1.5, 0.6, r)
        W = (U * s) @ V.T
        for loss in losses(rng, n, m):
            network = bw.balanced_network(W, widths)
            values = [np.linalg.svd(gradient_flow(network, loss, t).end_to_end(), compute_uv=False)[:r] for t in (h, 2 * h)]
            measured = (4 * values[0] - values[1] - 3 * s) / (2 * h)  # second order one-sided difference
            predicted = -N * s ** (2 - 2 / N) * np.diag(U.T @ loss.gradient(W) @ V)
            # h^2 times a third derivative (below 1e4) plus rounding 1e-15 / h
            residual(largest(measured - predicted), 1e-5 * max(1.0, largest(predicted)))
    # Not balanced: the same function, other speeds.
    loss, W = losses(rng, 3, 3)[0], np.diag([1.5, 1.0, 0.6])
    network = random_action(rng, bw.balanced_network(W, (3, 3, 3)))
    moved = np.linalg.svd(gradient_flow(network, loss, h).end_to_end(), compute_uv=False)
    predicted = -2 * np.diag(W) * np.diag(loss.gradient(W))
    assert np.abs((moved - np.diag(W)) / h - predicted).max() > 0.1
    # A multiple singular value splits: each of the two moves with an eigenvalue of a 2 x 2 block, not with its own diagonal.
    loss = SquareLoss(np.array([[1.0, 2.0], [2.0, 1.0]]))
    moved = np.linalg.svd(gradient_flow(bw.DeepLinearNetwork([np.eye(2)]), loss, h).end_to_end(), compute_uv=False)
    diagonal = -np.diag(loss.gradient(np.eye(2)))
    assert np.abs((moved - 1) / h - diagonal).max() > 1


def test_prop_rank_constant(residual):
    rng = np.random.default_rng(316)
    for widths, r in [((3, 3, 3), 1), ((3, 3, 3), 2), ((4, 3, 3, 4), 2), ((3, 4, 2, 3), 0), ((3, 2, 3), 2)]:
        W = 0.5 * of_rank(rng, widths[-1], widths[0], r)
        for loss in losses(rng, widths[-1], widths[0]):
            after = np.linalg.svd(gradient_flow(bw.balanced_network(W, widths), loss, 1.0).end_to_end(), compute_uv=False)
            if r < len(after):
                residual(after[r], 1e-9)  # integrator tolerance
            if r:
                assert after[r - 1] > 1e-3
    # One layer: the rank grows at once under a loss whose gradient does not vanish on the kernel.
    loss = SquareLoss(np.eye(2))
    after = gradient_flow(bw.DeepLinearNetwork([np.zeros((2, 2))]), loss, 1.0).end_to_end()
    residual(largest(after - (1 - np.exp(-2)) * np.eye(2)), 1e-8)
    assert rank(after) == 2
    # Not balanced: W_1 = 0, W_2 = I; the rank leaves zero too.
    assert rank(gradient_flow(bw.DeepLinearNetwork([np.zeros((2, 2)), np.eye(2)]), loss, 0.1).end_to_end()) == 2
