"""Laws of networks, of the certified constants, and of descent and flows, for random networks and targets.

A product of matrices has a relative error of a few ``eps`` times its inner dimension, the depth and the norms of its factors.
"""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import EPS, decades, dimensions, factors, haar, modest_sizes, seeds

from bwlib import (
    BuresLoss,
    Covariance,
    DeepLinearNetwork,
    FrobeniusLoss,
    Status,
    aligned_flow,
    arora_step_size,
    authors_step_size,
    balanced_network,
    bottleneck_rate,
    bures_wasserstein,
    certified_step_size,
    contraction_factor,
    deficiency_margin,
    end_to_end_flow,
    flow_rate,
    geodesic,
    gradient_descent,
    gradient_flow,
    mode_rates,
    paper_flow_rate,
    polar,
    random_network,
    shallow_flow,
    stability_limit,
    subspace_iteration,
)

widths = st.lists(st.integers(1, 6), min_size=2, max_size=7)
depths = st.integers(1, 6)
few = settings(max_examples=max(settings().max_examples // 4, 1))  # for runs that cost some milliseconds


@st.composite
def networks(draw, size=st.floats(-20, 20)):
    """Layers of any rank and size."""
    d = draw(widths)
    return DeepLinearNetwork([draw(factors(n, st.just(m), size)) for m, n in zip(d, d[1:])])


def norms(layers):
    return float(np.prod([np.linalg.norm(W) for W in layers]))


@st.composite
def targets(draw, size=st.floats(-3, 3), spread=st.floats(0, 1)):
    """Positive definite targets of dimension 1 to 4."""
    n = draw(st.integers(1, 4))
    F = draw(factors(n, st.just(n), size, spread, full_rank=True))
    return Covariance(F @ F.T)


@st.composite
def starts(draw, target, tau=0.0, share=st.floats(0.05, 0.9)):
    """An end-to-end matrix with a deficiency margin: the best one plus a part of what the margin allows."""
    n = target.dim
    best = (target.eigenvectors * np.sqrt(target.eigenvalues - tau)) @ haar(np.random.default_rng(draw(seeds)), n)
    noise = np.random.default_rng(draw(seeds)).standard_normal((n, n))
    room = np.sqrt(target.eigenvalues[-1]) - np.sqrt(tau)
    return best + draw(share) * room * noise / np.linalg.norm(noise)


# ---------------------------------------------------------------- networks

@given(networks(), st.data())
def test_laws_of_a_network(network, data):
    rng = np.random.default_rng(data.draw(seeds))
    layers, n, m = network.weights, network.widths[-1], network.widths[0]
    bound = 10 * network.depth * max(network.widths) * EPS
    product = layers[0]
    for W in layers[1:]:
        product = W @ product
    assert np.abs(network.end_to_end() - product).max() <= bound * norms(layers)
    assert network.bottleneck == min(network.widths) and network.depth == len(network.widths) - 1
    G, Z = rng.standard_normal((n, m)), [rng.standard_normal(W.shape) for W in layers]
    gradients = network.layer_gradients(G)
    for j in range(network.depth):
        others = norms(layers[:j]) * norms(layers[j + 1:])
        turned = [*layers[:j], Z[j], *layers[j + 1:]]
        derivative = DeepLinearNetwork(turned).end_to_end()
        # <dmu[Z], G> = <Z, dmu^*[G]>
        assert abs(np.vdot(derivative, G) - np.vdot(Z[j], gradients[j])) \
            <= 10 * bound * others * np.linalg.norm(G) * np.linalg.norm(Z[j])
        if j + 1 < network.depth:  # what the flow conserves
            both = layers[j + 1].T @ gradients[j + 1], gradients[j] @ layers[j].T
            assert np.abs(both[0] - both[1]).max() <= 10 * bound * norms(layers) * np.linalg.norm(G)


@given(widths, st.data())
def test_laws_of_a_balanced_network(d, data):
    W = data.draw(factors(d[-1], st.just(d[0]), st.floats(-100, 100)))
    rank = np.linalg.matrix_rank(W)
    assume(rank <= min(d))
    network, norm, depth = balanced_network(W, d), np.linalg.norm(W, 2), len(d) - 1
    # N products of factors of norm |W|^{1/N}, each with a rounding error of a few eps per summand, and the N-th root
    # (relative error N eps after taking the N-th power)
    assert np.linalg.norm(network.end_to_end() - W) <= 20 * depth * max(d) * EPS * norm
    assert network.widths == tuple(d)
    for D in network.imbalances():
        assert np.linalg.norm(D) <= 20 * max(d) * EPS * norm ** (2 / depth)
    if rank:
        for layer in network.weights:
            assert np.linalg.norm(layer, 2) == pytest.approx(norm ** (1 / depth), rel=1e-12)


@given(widths, st.floats(0, 1e6), seeds)
def test_random_networks_depend_on_the_seed_alone(d, scale, seed):
    one, two = (random_network(d, scale=scale, rng=seed) for _ in range(2))
    assert one.widths == tuple(d) and all(map(np.array_equal, one.weights, two.weights))


# ---------------------------------------------------------------- certified constants

@given(st.data(), targets(), depths, st.booleans())
def test_laws_of_the_certified_constants(data, target, depth, smooth):
    """Their order, and how they scale: step sizes with the inverse of the square of the layers."""
    tau = data.draw(st.floats(0.01, 0.3)) * target.eigenvalues[-1] if smooth else 0.0
    W = data.draw(starts(target, tau, st.floats(0.05, 0.3)))
    value, least = BuresLoss(target, tau).value(W), target.eigenvalues[-1]
    assume(np.sqrt(value) + np.sqrt(tau) < 0.99 * np.sqrt(least))
    c, c_bar = deficiency_margin(W, target, tau=tau), np.sqrt(least) - np.sqrt(value)
    assert c == pytest.approx(np.sqrt(c_bar**2 - tau), rel=1e-9)
    assert np.linalg.svd(W, compute_uv=False)[-1] >= c * (1 - 1e-9)
    rate, eta = flow_rate(c, depth, tau=tau), certified_step_size(W, target, depth, tau=tau)
    assert 0 <= paper_flow_rate(c, depth, target=target, initial_loss=value, tau=tau) < rate
    assert 0 < eta < stability_limit(target, depth, tau=tau) * (1 + 1e-12)
    assert authors_step_size(W, target, depth, tau=tau) <= eta * (1 + 1e-12) or smooth
    factor = contraction_factor(c, depth, eta, tau=tau)
    assert 0 <= factor < 1 and factor == pytest.approx(contraction_factor(4 * c, depth, eta / 16 ** (1 - 1 / depth),
                                                                          tau=16 * tau), abs=1e-9)
    if depth > 1 and not smooth:
        assert 0 < arora_step_size(W, target, depth) <= eta
    scaled = certified_step_size(4 * W, 16 * target.matrix, depth, tau=16 * tau)
    assert scaled == pytest.approx(eta * 16 ** (1 / depth - 1), rel=1e-6)
    assert stability_limit(16 * target.matrix, depth, tau=16 * tau) \
        == pytest.approx(stability_limit(target, depth, tau=tau) * 16 ** (1 / depth - 1), rel=1e-9)


@given(st.data(), targets(spread=st.floats(0.1, 1)), depths)
def test_laws_of_the_mode_rates(data, target, depth):
    rank = data.draw(st.integers(1, target.dim))
    lam = target.eigenvalues
    inside, outside = mode_rates(target, rank, depth)
    assert (np.abs(inside - inside.T) <= 10 * depth * EPS * inside).all() and (inside > 0).all() and (outside >= 0).all()
    slowest = bottleneck_rate(target, rank, depth)
    assert slowest == pytest.approx(2 * min(inside.min(), outside.min(initial=np.inf)), rel=1e-12)
    if rank < target.dim:
        closed = 4 * (lam[rank - 1] - lam[rank]) * lam[rank - 1] ** (-1 / depth)
        assert slowest <= closed * (1 + 1e-9)
    scaled = mode_rates(Covariance(16 * target.matrix), rank, depth)
    assert scaled[0] == pytest.approx(inside * 16 ** (1 - 1 / depth), rel=1e-9)


# ---------------------------------------------------------------- descent

@given(dimensions, st.integers(0, 2), st.floats(0.01, 0.45), seeds)
def test_shallow_descent_has_a_closed_form(n, extra, eta, seed):
    """One layer, m >= n: ``W_t = A Q + (1 - 2 eta)^t (W_0 - A Q)`` with the polar factor of the start."""
    rng = np.random.default_rng(seed)
    target = Covariance.from_spectrum(rng.uniform(0.5, 4, n), rng=rng)
    W0 = rng.standard_normal((n, n + extra)) + 2 * np.eye(n, n + extra)
    A = target.factor
    Q = polar(A.T @ W0)
    singular = np.linalg.svd(A.T @ W0, compute_uv=False)
    run = gradient_descent(W0, BuresLoss(target), eta, max_steps=12, tol=0)
    factor = (1 - 2 * eta) ** np.arange(len(run.t))
    exact = A @ Q + factor[:, None, None] * (W0 - A @ Q)
    # each step adds a few eps times the sensitivity of the polar factor to the singular values of A^T W
    bound = 50 * len(run.t) * EPS * (np.linalg.norm(W0) + np.linalg.norm(A)) * (1 + singular[0] / singular[-1])
    assert np.abs(run.end_to_end - exact).max() <= bound
    # the loss contracts by exactly (1 - 2 eta)^2
    assert np.abs(np.sqrt(run.loss) - factor * np.sqrt(run.loss[0])).max() <= 3 * bound


@given(st.data(), targets(), depths, st.booleans(), st.floats(0.1, 1))
def test_certified_steps_contract_the_loss(data, target, depth, smooth, share):
    """From a balanced start with a margin, for steps up to the certified one; the layers may be wider than the data."""
    tau = data.draw(st.floats(0.01, 0.3)) * target.eigenvalues[-1] if smooth else 0.0
    W = data.draw(starts(target, tau, st.floats(0.05, 0.3)))
    loss = BuresLoss(target, tau)
    assume(np.sqrt(loss.value(W)) + np.sqrt(tau) < 0.99 * np.sqrt(target.eigenvalues[-1]))
    n = target.dim
    hidden = data.draw(st.lists(st.integers(n, n + 2), min_size=depth - 1, max_size=depth - 1))
    network = balanced_network(W, (n, *hidden, n))
    eta = share * certified_step_size(network, target, tau=tau)
    factor = contraction_factor(deficiency_margin(W, target, tau=tau), depth, eta, tau=tau)
    run = gradient_descent(network, loss, eta, max_steps=15, tol=0.0)
    rounding = (50 * n * depth * EPS) ** 2 * target.trace + 50 * n * depth * EPS * run.loss[:-1]
    floor = 200 * n * depth * EPS * np.sqrt(target.trace)  # of the distance
    assert (run.loss[1:] <= factor * run.loss[:-1] + rounding + 2 * floor * np.sqrt(run.loss[:-1]) + floor**2).all()
    assert np.array_equal(run.gap, run.loss - loss.minimum(n))


@given(st.data(), targets(), st.integers(0, 12))
def test_subspace_iteration_is_descent_with_half_steps(data, target, steps):
    k = data.draw(st.integers(1, target.dim))
    W0 = data.draw(factors(target.dim, st.just(k), st.just(0.0), st.just(0.5), full_rank=True))
    bases = subspace_iteration(target, W0, steps)
    assert bases.shape == (steps + 1, target.dim, k)
    assert np.abs(bases.mT @ bases - np.eye(k)).max() <= 50 * EPS
    condition = target.eigenvalues[0] / target.eigenvalues[-1]
    for U, V in zip(bases, bases[1:]):
        image = target.matrix @ U
        assert np.abs(image - V @ (V.T @ image)).max() <= 100 * EPS * condition * target.trace


# ---------------------------------------------------------------- flows

@few
@given(st.data(), targets(), depths, st.sampled_from(["Bures", "smoothed", "Frobenius"]))
def test_the_loss_decreases_along_flows(data, target, depth, kind):
    """And faster than the certified rate, where there is one; layers and function space agree."""
    tau = 0.2 * target.eigenvalues[-1] if kind == "smoothed" else 0.0
    loss = FrobeniusLoss(target) if kind == "Frobenius" else BuresLoss(target, tau)
    W, n = data.draw(starts(target, tau, st.floats(0.05, 0.3))), target.dim
    pace = depth * target.eigenvalues[0] ** (1 - 1 / depth) * (target.eigenvalues[0] if kind == "Frobenius" else 1.0)
    times = np.array([0.0, 0.1, 0.3]) / pace
    function = end_to_end_flow(W, loss, depth, times)
    layers = gradient_flow(balanced_network(W, (n,) * (depth + 1)), loss, times)
    assert function.status is layers.status is Status.FINISHED
    # the integrator keeps 1e-8 of the layers and 1e-10 absolutely
    size = np.linalg.norm(W, 2) ** (1 / depth)
    error = 100 * depth * (1e-8 * np.linalg.norm(W) + 1e-10 * size ** (depth - 1) + 1e-10)
    assert np.abs(function.end_to_end - layers.end_to_end).max() <= error
    worth = error * (function.gradient_norm[0] / size ** (depth - 1) + error * (1 + 4 * target.trace * (kind == "Frobenius")))
    for run in (function, layers):
        assert (np.diff(run.loss) <= worth).all()
        if kind != "Frobenius" and np.sqrt(run.loss[0]) + np.sqrt(tau) < np.sqrt(target.eigenvalues[-1]):
            rate = flow_rate(deficiency_margin(W, target, tau=tau), depth, tau=tau)
            assert (run.loss <= run.loss[0] * np.exp(-rate * times) + worth).all()
    assert layers.imbalance.max() <= error * size


@given(st.data(), targets(), st.integers(0, 2), st.floats(0, 3), st.floats(0, 3))
def test_the_exact_shallow_flow_is_a_flow(data, target, extra, s, t):
    """A semigroup, a geodesic, and a loss that falls like ``e^{-4t}``."""
    n = target.dim
    W0 = data.draw(factors(n, st.just(n + extra), st.just(0.0), st.just(0.5), full_rank=True))
    loss, size = BuresLoss(target), 1 + np.sqrt(target.trace)
    F = target.factor
    condition = np.linalg.cond(F.T @ W0)
    bound = 100 * n * EPS * size * condition
    first, both = shallow_flow(W0, target, [s, s + t])
    assert np.abs(shallow_flow(first, target, t) - both).max() <= bound * (1 + condition)
    assert abs(np.sqrt(loss.value(both)) - np.exp(-2 * (s + t)) * np.sqrt(loss.value(W0))) <= bound
    on_geodesic = geodesic(W0 @ W0.T, target, 1 - np.exp(-2 * t))
    point = shallow_flow(W0, target, t)
    assert np.abs(point @ point.T - on_geodesic).max() <= 2 * size * bound
    assert bures_wasserstein(W0 @ W0.T, target) == pytest.approx(np.sqrt(loss.value(W0)), rel=1e-6, abs=1e-6 * size)


@few
@given(st.floats(-3, 1), st.floats(-2, 2), depths, st.floats(0, 2), st.floats(0, 2), st.sampled_from([0.0, 0.1, 0.5]))
def test_the_aligned_flow_is_a_monotone_flow_to_its_goal(exponent, size, depth, s, t, share):
    s0, lam = 10.0**exponent, 10.0**size
    tau = share * lam
    goal = np.sqrt(lam - tau)
    x = aligned_flow(s0, lam, depth, [0.0, s, s + t], tau=tau)
    assert x[0] == pytest.approx(s0, rel=1e-12)
    between = sorted((s0, goal))
    assert (x >= between[0] * (1 - 1e-9)).all() and (x <= between[1] * (1 + 1e-9)).all()
    assert (np.diff(np.abs(x - goal)) <= 1e-9 * (s0 + goal)).all()
    assert aligned_flow(x[1], lam, depth, t, tau=tau) == pytest.approx(x[2], rel=1e-6)


@given(decades, modest_sizes, seeds)
def test_no_loss_is_recorded_below_the_minimum(spread, size, seed):
    """Of wide and of narrow networks, near and far from the target: the gap is negative by rounding alone."""
    rng = np.random.default_rng(seed)
    lam = 10.0 ** (2 * size - spread * np.arange(3) / 3)
    loss = BuresLoss(np.diag(lam))
    network = balanced_network(10.0**size * rng.standard_normal((3, 2)), (2, int(rng.integers(1, 3)) + 1, 3))
    run = gradient_descent(network, loss, 0.05 / 10.0**size, max_steps=5, tol=0.0)
    assert (run.gap >= -100 * EPS * (run.loss + loss.target.trace)).all()
    assert all(map(np.isfinite, run.gradient_norm))
