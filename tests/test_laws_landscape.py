"""Laws of critical points, best approximations and Hessians, for random targets and networks.

Bounds as in ``test_landscape.py``: a Hessian has an error of a few ``n eps`` times its size and the sensitivity of the polar
factor; eigenvalues of symmetric matrices move by at most the norm of a change (Weyl).
"""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import EPS, decades, factors, haar, seeds

from bwlib import (
    BuresLoss,
    Covariance,
    DeepLinearNetwork,
    FrobeniusLoss,
    best_low_rank,
    bures_hessian_spectrum,
    bures_wasserstein,
    critical_points,
    frobenius_hessian_spectrum,
    parameter_hessian,
    parameter_hessian_operator,
)


@st.composite
def spectra(draw, distinct=False):
    """Targets of dimension 1 to 4 over at most two decades, of any size; with zeros, and repeated values unless distinct."""
    n = draw(st.integers(1, 4))
    steps = draw(st.lists(st.integers(0, 20), min_size=n, max_size=n, unique=distinct))
    lam = 10.0 ** (-np.sort(np.array(steps, dtype=float)) / 10)
    lam[n - draw(st.integers(0, n - 1)):] = 0.0
    return Covariance.from_spectrum(10.0 ** draw(st.floats(-40, 40)) * lam, rng=draw(seeds))


def least_positive(target):
    return target.eigenvalues[target.rank - 1]


@st.composite
def chosen(draw, target, tau=0.0):
    """An index set of eigenvalues above ``tau``, and a number of columns."""
    above = int(np.sum(target.eigenvalues > tau))
    J = draw(st.lists(st.integers(0, above - 1), unique=True, max_size=above)) if above else []
    return sorted(J), draw(st.integers(max(len(J), 1), 5))


def representative(target, J, m, tau, seed):
    V = haar(np.random.default_rng(seed), m)[:, :len(J)]
    return target.eigenvectors[:, J] * np.sqrt(target.eigenvalues[J] - tau) @ V.T


@given(st.data(), spectra(), st.booleans(), seeds)
def test_spectra_at_critical_points(data, target, smooth, seed):
    """The gradient is zero there, the value is the sum over what is missed, and the Hessian has the closed spectrum."""
    lam = target.eigenvalues
    tau = data.draw(st.floats(0.01, 1.5)) * least_positive(target) if smooth else 0.0
    assume(not smooth or np.abs(lam - tau).min() > 1e-3 * lam[0])
    J, m = data.draw(chosen(target, tau))
    if not smooth:
        J, m = J or [0], len(J or [0])
    W, n, scale = representative(target, J, m, tau, seed), target.dim, np.sqrt(lam[0])
    loss = BuresLoss(target, tau)
    condition = lam[0] / min(tau or np.inf, *(lam[J] if J else [np.inf]), least_positive(target))
    bound = 200 * n * EPS * condition**2
    missed = np.delete(lam, J)
    expected = missed.sum() if tau == 0 else np.sum((np.sqrt(missed) - np.sqrt(tau)) ** 2)
    value, G = loss.value_and_gradient(W)
    assert abs(value - expected) <= bound * lam[0] and np.linalg.norm(G) <= bound * scale
    spectrum = bures_hessian_spectrum(target, J, m, tau=tau)
    dense = np.linalg.eigvalsh(loss.hessian(W))[::-1]
    assert spectrum.shape == dense.shape and (np.diff(spectrum) <= 0).all() and spectrum.max(initial=0) <= 2 * (1 + 4 * EPS)
    assert np.abs(spectrum - dense).max() <= bound * max(1.0, np.abs(spectrum).max())


@given(st.data(), spectra(), seeds)
def test_the_frobenius_spectrum(data, target, seed):
    J, m = data.draw(chosen(target))
    W, lam = representative(target, J, m, 0.0, seed), target.eigenvalues
    loss = FrobeniusLoss(target)
    spectrum, dense = frobenius_hessian_spectrum(target, J, m), np.linalg.eigvalsh(loss.hessian(W))[::-1]
    assert spectrum.shape == dense.shape
    assert np.abs(spectrum - dense).max() <= 200 * target.dim * EPS * lam[0]
    assert np.abs(loss.gradient(W)).max() <= 200 * target.dim * EPS * lam[0] ** 1.5


@given(st.data(), spectra(distinct=True), st.booleans())
def test_the_list_of_critical_points(data, target, smooth):
    lam, n = target.eigenvalues, target.dim
    tau = data.draw(st.floats(0.01, 1.5)) * least_positive(target) if smooth else 0.0
    assume(not smooth or np.abs(lam - tau).min() > 1e-3 * lam[0])
    rank = data.draw(st.integers(1, n if smooth else target.rank))
    points, loss = critical_points(target, rank, tau=tau), BuresLoss(target, tau)
    values = [point.value for point in points]
    assert values == sorted(values) and len({point.indices for point in points}) == len(points)
    assert abs(values[0] - loss.minimum(rank)) <= 100 * n * EPS * (lam[0] + tau)
    assert points[0].morse_index == 0 and all(point.morse_index > 0 for point in points[1:])
    for point in points:
        assert abs(loss.value(point.factor) - point.value) <= 100 * n * EPS * (target.trace + n * tau)
        assert np.array_equal(point.hessian_eigenvalues, bures_hessian_spectrum(target, point.indices, rank, tau=tau))


@given(st.data(), st.integers(1, 5), decades, st.floats(-40, 40), seeds)
def test_the_best_approximation_of_low_rank(data, n, spread, size, seed):
    """It has its rank and its value, and no other matrix of that rank is nearer."""
    F = 10.0**size * data.draw(factors(n, st.integers(1, n), st.just(0.0), st.just(spread)))
    target = Covariance(F @ F.T)
    k, tau = data.draw(st.integers(0, n)), data.draw(st.sampled_from([0.0, 0.01, 1.0])) * target.trace
    loss = BuresLoss(target, tau)
    best, W = best_low_rank(target, k, tau=tau), best_low_rank(target, k, tau=tau, factor=True)
    assert np.array_equal(best, W @ W.T) and W.shape == (n, k)
    assert np.count_nonzero(W.any(axis=0)) == np.sum(target.eigenvalues[:k] > tau)
    bound = 100 * n * EPS * (target.trace + n * tau)
    squared = bures_wasserstein(best + tau * np.eye(n), target, squared=True)
    rounding = n * np.sqrt(EPS * (2 * target.trace + n * tau))  # of the distance of singular matrices
    assert abs(squared - loss.minimum(k)) <= bound + 2 * rounding * np.sqrt(squared) + rounding**2
    if k:
        other = np.random.default_rng(seed).standard_normal((n, k))
        assert loss.value(other * np.sqrt(target.trace / n)) >= loss.minimum(k) - bound


@given(st.lists(st.integers(1, 3), min_size=2, max_size=4), st.sampled_from(["Bures", "smoothed", "Frobenius"]), seeds)
def test_the_hessian_of_a_network_along_its_symmetries(widths, kind, seed):
    r"""``L(mu)`` does not see the layers ``e^{tX} W_j, W_{j+1} e^{-tX}``: ``H[X W_j, -W_{j+1} X] = (-X^T G_j, G_{j+1} X^T)``."""
    rng = np.random.default_rng(seed)
    network = DeepLinearNetwork([haar(rng, max(m, n))[:n, :m] for m, n in zip(widths, widths[1:])])
    n = widths[-1]
    target = Covariance.from_spectrum(rng.uniform(0.5, 2.0, n), rng=rng)
    loss = FrobeniusLoss(target) if kind == "Frobenius" else BuresLoss(target, 0.1 * (kind == "smoothed"))
    W = network.end_to_end()
    s = np.linalg.svd(W, compute_uv=False)
    assume(s[network.bottleneck - 1] > 1e-3)
    H = parameter_hessian(network, loss)
    bound = 1000 * n * network.depth * EPS / s[network.bottleneck - 1] ** 2
    assert np.array_equal(H, H.T)
    sizes = [layer.size for layer in network.weights]
    v = rng.standard_normal(sum(sizes))
    assert np.linalg.norm(H @ v - parameter_hessian_operator(network, loss).matvec(v)) <= bound * np.linalg.norm(v)
    G = network.layer_gradients(loss.gradient(W))
    for j in range(network.depth - 1):
        X = rng.standard_normal((widths[j + 1], widths[j + 1]))
        Z, image = ([np.zeros_like(layer) for layer in network.weights] for _ in range(2))
        Z[j], Z[j + 1] = X @ network.weights[j], -network.weights[j + 1] @ X
        image[j], image[j + 1] = -X.T @ G[j], G[j + 1] @ X.T
        left, right = (np.concatenate([M.ravel() for M in layers]) for layers in (Z, image))
        assert np.linalg.norm(H @ left - right) <= bound * np.linalg.norm(X)
