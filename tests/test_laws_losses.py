r"""Laws of the losses at random points of every shape, rank, size and conditioning.

Bounds.  A value is a squared distance; its error is a few ``n eps`` times ``size``, the sum of the squares of everything that
enters.  Derivatives: see ``test_losses.py``; the ``sensitivity`` of the polar factor multiplies the error of a gradient, and of
a Hessian, which is at most ``2 (1 + |F|^2 / s_r)`` in size.
"""

import mpmath as mp
import numpy as np
import oracles
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import EPS, decades, dimensions, factors, haar, modest_sizes, seeds, symmetrised

from bwlib import (
    BuresLoss,
    Covariance,
    FrobeniusLoss,
    best_low_rank,
    bures_wasserstein_factors,
    check_gradient,
    polar,
)
from bwlib.losses import Loss


@st.composite
def losses(draw, smooth=st.booleans(), spread=decades, thin=st.booleans(), size=modest_sizes, full_rank=False):
    """A Bures loss: target of any rank and size, given by a factor or by its matrix, with or without smoothing."""
    n = draw(dimensions)
    F = draw(factors(n, st.integers(1, n), size, spread, full_rank=full_rank) if draw(thin) else
             factors(n, st.just(n), size, spread, full_rank=full_rank))
    target = Covariance.from_factor(F) if F.shape[1] < n else Covariance(symmetrised(F @ F.T))
    tau = 10.0 ** draw(st.floats(-12, 1)) * max(target.trace, 1e-100) if draw(smooth) else 0.0
    return BuresLoss(target, tau)


@st.composite
def points(draw, loss, count=1, **options):
    """Points of one shape whose size is that of the target within three decades."""
    n, m = loss.target.dim, draw(st.integers(1, 8))
    exponent = np.log10(max(loss.target.trace + n * loss.tau, 1e-100)) / 2
    return [draw(factors(n, st.just(m), st.floats(exponent - 3, exponent + 3), **options)) for _ in range(count)]


def size_of(loss, *matrices):
    return sum(np.sum(W**2) for W in matrices) + loss.target.trace + loss.target.dim * loss.tau


def target_bound(loss):
    """How well a distance from the target is determined: see ``test_distance.py``; factors determine it to rounding."""
    target, noise = loss.target, loss.target.dim**2 * EPS
    if target.is_thin or not target.rank:
        return 0.0
    return noise * np.sqrt(target.trace / max(target.eigenvalues[-1] / target.trace, noise))


def value_bound(loss, *matrices):
    size = size_of(loss, *matrices)
    return 50 * loss.target.dim * EPS * size + 2 * target_bound(loss) * np.sqrt(size)


def singular_values(loss, W):
    """Of ``F^T [W, sqrt(tau) P]``; the last one that is not zero decides how far the polar factor may move."""
    F = loss.target.principal_factor
    P = loss.target.leading(F.shape[1])
    wide = np.hstack([W, np.sqrt(loss.tau) * P]) if loss.tau else W
    s = np.linalg.svd(F.T @ wide, compute_uv=False)
    return s, np.linalg.norm(F) * np.linalg.norm(wide)


def sensitivity(loss, W):
    s, size = singular_values(loss, W)
    return size / s[-1] if s[-1] > 0 else np.inf


both = pytest.mark.parametrize("kind", ["Bures", "Frobenius"])


@given(st.data(), losses())
def test_the_value_is_a_squared_distance(data, loss):
    W, = data.draw(points(loss))
    value, size = loss.value(W), size_of(loss, W)
    wide = np.hstack([W, np.sqrt(loss.tau) * np.eye(len(W))])
    distance = bures_wasserstein_factors(wide, loss.target.factor)
    # two distances with errors of 10 eps, and the two factors of the target
    assert abs(np.sqrt(value) - distance) <= 60 * EPS * np.sqrt(size) + target_bound(loss)
    again, G = loss.value_and_gradient(W)
    assert abs(again - value) <= value_bound(loss, W) and np.array_equal(G, loss.gradient(W))
    assert value >= max(loss.minimum(min(W.shape)) - value_bound(loss, W), 0)
    assert type(value) is float and G.shape == W.shape and np.isfinite(G).all()


@given(st.data(), losses())
def test_semiconcavity_with_constant_two(data, loss):
    """``L(W + D) <= L(W) + <G, D> + |D|^2`` at every point, at kinks and for every step."""
    W, D = data.draw(points(loss, 2))
    value, G = loss.value_and_gradient(W)
    assert loss.value(W + D) <= value + np.vdot(G, D) + np.sum(D**2) + 3 * value_bound(loss, W, D)


@given(st.data(), losses())
def test_the_gradient_is_at_most_twice_the_distance(data, loss):
    W, = data.draw(points(loss))
    value, G = loss.value_and_gradient(W)
    assert np.sum(G**2) <= 4 * value + 10 * value_bound(loss, W)


@given(st.data(), losses(), st.integers(-15, 15))
def test_scaling_of_the_loss(data, loss, exponent):
    """Target and smoothing times ``c^2``, point times ``c``: the value is multiplied by ``c^2``, the gradient by ``c``."""
    W, = data.draw(points(loss))
    c = 2.0**exponent
    scaled = BuresLoss(Covariance(c * loss.target.matrix * c), c * loss.tau * c)
    plain = BuresLoss(loss.target.matrix, loss.tau)
    assert abs(scaled.value(c * W) / c / c - plain.value(W)) <= 2 * value_bound(loss, W)
    assume(sensitivity(plain, W) < 1e6)
    bound = 100 * len(W) * EPS * np.sqrt(size_of(loss, W)) * (1 + sensitivity(plain, W))
    assert np.abs(scaled.gradient(c * W) / c - plain.gradient(W)).max() <= bound


@given(st.data(), losses(), seeds)
def test_turning_the_latent_space_or_the_data(data, loss, seed):
    W, = data.draw(points(loss))
    rng = np.random.default_rng(seed)
    Q, O, bound = haar(rng, len(W)), haar(rng, W.shape[1]), 2 * value_bound(loss, W)
    turned = BuresLoss(Covariance.from_factor(Q @ loss.target.factor), loss.tau)
    assert abs(loss.value(W @ O) - loss.value(W)) <= bound
    assert abs(turned.value(Q @ W) - loss.value(W)) <= bound
    wide = np.hstack([W, np.zeros((len(W), 2))])
    assert abs(loss.value(wide) - loss.value(W)) <= bound
    assume(sensitivity(loss, W) < 1e6)
    amplified = 100 * len(W) * EPS * np.sqrt(size_of(loss, W)) * (1 + sensitivity(loss, W))
    assert np.abs(loss.gradient(W @ O) - loss.gradient(W) @ O).max() <= amplified
    assert np.abs(turned.gradient(Q @ W) - Q @ loss.gradient(W)).max() <= amplified


@given(st.data(), losses())
def test_minima_decrease_with_the_rank_and_are_attained(data, loss):
    n = loss.target.dim
    minima, bound = [loss.minimum(k) for k in range(n + 1)], value_bound(loss)
    assert minima[-1] >= 0 and all(b <= a + bound for a, b in zip(minima, minima[1:]))
    assert abs(loss.value(np.zeros((n, 1))) - minima[0]) <= bound
    for k in range(1, n + 1):
        best = best_low_rank(loss.target, k, tau=loss.tau, factor=True)
        assert abs(loss.value(best) - minima[k]) <= bound
    frobenius = FrobeniusLoss(loss.target)
    for k in range(1, n + 1):
        best = best_low_rank(loss.target, k, factor=True)
        assert abs(frobenius.value(best) - frobenius.minimum(k)) <= 50 * n * EPS * loss.target.trace**2


@both
@given(st.data(), losses(thin=st.just(False), spread=st.just(1.0), full_rank=True))
def test_the_gradient_passes_its_own_check(kind, data, loss):
    """Slope 2 or more; 1 with a wrong gradient.  Smooth and well-conditioned points, where the loss bends along the line by
    a fiftieth of its largest curvature at least: else second and third order can cancel, and the slope is anything."""
    W, = data.draw(points(loss, spread=st.just(0.0), full_rank=True))
    loss = loss if kind == "Bures" else FrobeniusLoss(loss.target)
    assume(kind == "Frobenius" or sensitivity(loss, W) < 30)
    D = np.random.default_rng(0).standard_normal(W.shape)  # the direction of the check
    D *= np.linalg.norm(W) / np.linalg.norm(D)
    assume(kind == "Frobenius" or abs(np.vdot(D, loss.hessian_vector_product(W, D))) >= 0.02 * 2 * np.vdot(D, D))
    assert check_gradient(loss, W) > 1.7


@both
@given(st.data(), losses(spread=st.sampled_from([0.0, 1.0]), size=st.floats(-30, 30)), seeds)
def test_laws_of_the_hessian(kind, data, loss, seed):
    r"""It is symmetric; ``H[W] = 2W`` without smoothing; turns of the latent space give ``H[W X] = G X`` for ``X^T = -X``."""
    W, Z, V = data.draw(points(loss, 3, spread=st.just(0.0), full_rank=True))
    m, n = W.shape[1], len(W)
    X = np.random.default_rng(seed).standard_normal((m, m))
    X = X - X.T
    if kind == "Bures":
        assume(sensitivity(loss, W) < 1e3 and (loss.tau > 0 or m <= loss.target.rank))
        largest = 1 + loss.target.trace / singular_values(loss, W)[0][-1]  # of the Hessian
        rounding = 200 * n * EPS * largest * (1 + sensitivity(loss, W))
    else:
        loss = FrobeniusLoss(loss.target)
        rounding = 200 * n * EPS * (np.sum(W**2) + loss.target.trace)
    H = loss.hessian_vector_product
    sizes = [np.linalg.norm(M) for M in (W, Z, V)]
    assert abs(np.vdot(H(W, Z), V) - np.vdot(Z, H(W, V))) <= rounding * sizes[1] * sizes[2]
    assert np.linalg.norm(H(W, W @ X) - loss.gradient(W) @ X) <= rounding * sizes[0] * np.linalg.norm(X) * 2
    if kind == "Bures":
        assert np.vdot(H(W, Z), Z) <= (2 + rounding) * sizes[1] ** 2  # semiconcavity
        if loss.tau == 0:
            assert np.linalg.norm(H(W, W) - 2 * W) <= rounding * sizes[0]
    else:
        expected = 4 * (3 * W @ (W.T @ W) - loss.target.matrix @ W)
        assert np.linalg.norm(H(W, W) - expected) <= rounding * sizes[0]
    dense = loss.hessian(W)
    assert np.linalg.norm(dense @ Z.ravel() - H(W, Z).ravel()) <= rounding * len(dense) * np.linalg.norm(Z)


@both
@given(st.data(), losses())
def test_a_stack_is_its_matrices(kind, data, loss):
    W = np.array(data.draw(points(loss, 3))).reshape(3, 1, loss.target.dim, -1)
    if kind == "Frobenius":
        loss = FrobeniusLoss(loss.target)
    values, gradients = loss.value_and_gradient(W)
    assert values.shape == (3, 1) and gradients.shape == W.shape
    for one, value, G in zip(W[:, 0], values[:, 0], gradients[:, 0]):
        if kind == "Frobenius":
            size = np.sum(one**2) + loss.target.trace
            assert abs(value - loss.value(one)) <= 50 * len(one) * EPS * size**2
            assert np.abs(G - loss.gradient(one)).max() <= 50 * len(one) * EPS * size * np.linalg.norm(one)
            continue
        bound = value_bound(loss, one)
        assert abs(value - loss.value(one)) <= bound and abs(loss.value(W)[0, 0] - values[0, 0]) <= value_bound(loss, W[0, 0])
        if sensitivity(loss, one) < 1e6:
            amplified = 100 * len(one) * EPS * np.sqrt(size_of(loss, one)) * (1 + sensitivity(loss, one))
            assert np.abs(G - loss.gradient(one)).max() <= amplified


@given(st.data(), losses(smooth=st.just(False)))
def test_without_smoothing_the_gradient_points_from_the_nearest_factor(data, loss):
    """``G = 2 (W - F Q)``, ``Q`` the polar factor of ``F^T W``, whatever the rank; the value is at most ``|W|^2 + |F|^2``."""
    W, = data.draw(points(loss))
    F = loss.target.factor
    value, G = loss.value_and_gradient(W)
    assert value <= np.sum(W**2) + loss.target.trace + value_bound(loss, W)
    s, size = singular_values(loss, W)
    kept = s[s > 1e-12 * size]
    assume(kept.size and kept.size == np.count_nonzero(s > 1e-18 * size) and size / kept[-1] < 1e6)
    bound = 100 * len(W) * EPS * np.sqrt(size_of(loss, W)) * (1 + size / kept[-1])
    assert np.linalg.norm(G - 2 * (W - F @ polar(F.T @ W))) <= bound


@given(st.integers(1, 5), st.integers(1, 6), st.floats(-12, 1), st.booleans(), seeds)
def test_smoothed_loss_is_smooth_at_every_rank(n, m, exponent, zero, seed):
    """Also where W loses rank: value, gradient and Hessian are finite, and the gradient is 2 (I - T) W."""
    rng = np.random.default_rng(seed)
    lam, tau = rng.uniform(0.5, 4.0, n), 10.0**exponent
    loss = BuresLoss(Covariance.from_spectrum(lam, rng=rng), tau)
    W = np.zeros((n, m)) if zero else rng.standard_normal((n, 1)) @ rng.standard_normal((1, m))
    value, G = loss.value_and_gradient(W)
    product = loss.hessian_vector_product(W, rng.standard_normal((n, m)))
    assert value >= 0 and np.isfinite(G).all() and np.isfinite(product).all()
    if zero:
        assert np.abs(G).max() <= 100 * EPS * np.sqrt(lam.max())
    exact = oracles.smoothed_loss(loss.target.matrix, tau, oracles.exact(W))
    assert abs(np.sqrt(value) - mp.sqrt(exact)) <= 40 * EPS * (np.linalg.norm(W) + np.sqrt(n * tau) + np.sqrt(lam.sum()))


def test_there_are_two_losses():
    assert {kind.__name__ for kind in Loss.__subclasses__() if kind.__module__.startswith("bwlib")} \
        == {"BuresLoss", "FrobeniusLoss"}
