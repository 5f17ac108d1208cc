r"""The losses: values, gradients, Hessians, minima; laws at random points: ``test_laws_losses.py``.

Bounds.  The target enters through a factor ``F`` with ``F F^T = Sigma0`` up to a few ``n eps``; the polar factor moves by
at most ``2 |dX| / (s_r + s_{r-1})`` or ``|dX| / s_r`` for rectangular matrices, ``s_r`` the least positive singular value of
``F^T [W, sqrt(tau) I]``.  A gradient therefore has an error of a few ``n eps |F| (1 + |F| |W| / s_r)`` and a Hessian
product of one more factor ``|F| |Z| / s_r``.
"""

import dataclasses

import mpmath as mp
import numpy as np
import oracles
import pytest

from bwlib import (
    BuresLoss,
    Covariance,
    DeepLinearNetwork,
    FrobeniusLoss,
    best_low_rank,
    bures_wasserstein,
    bures_wasserstein_factors,
    check_gradient,
    random_network,
)

EPS = np.finfo(float).eps

LAM = {"full rank": [5.0, 3.0, 2.0, 1.0], "repeated": [3.0, 3.0, 1.0, 1.0], "singular": [4.0, 1.0, 0.5, 0.0],
       "one dimension": [2.0]}
COLUMNS = {"square": 4, "bottleneck": 2, "one column": 1, "wide": 6}
TAUS = [0.0, 1e-12, 0.1, 2.0]
every_case = pytest.mark.parametrize("lam, m, tau", [(lam, m, tau) for lam in LAM.values() for m in COLUMNS.values()
                                                     for tau in TAUS])


def target_of(lam):
    return Covariance.from_spectrum(lam, rng=11)


def loss_for(lam, tau):
    """The smoothed Bures loss, or the Frobenius loss if tau is None."""
    return FrobeniusLoss(target_of(lam)) if tau is None else BuresLoss(target_of(lam), tau)


def point(n, m, seed=0):
    return np.random.default_rng(seed).standard_normal((n, m))


def sensitivity(loss, W):
    """``|F| |W^| / s_r`` of the module's docstring."""
    F = loss.target.factor
    wide = np.hstack([W, np.sqrt(loss.tau) * np.eye(len(W))]) if loss.tau else W
    s = np.linalg.svd(F.T @ wide, compute_uv=False)
    return np.linalg.norm(F) * np.linalg.norm(wide) / min(s[s > 1e-12 * s[0]], default=1.0)


def partial_isometry(n, k):
    return np.linalg.qr(point(n, k, 99))[0]


# ---------------------------------------------------------------- hand values

def test_one_dimension_by_hand():
    """L(w) = (|w| - 2)^2 at tau = 0, (sqrt(w^2 + tau) - 2)^2 otherwise; derivatives by the chain rule."""
    loss = BuresLoss([[4]])
    assert (loss.value([[3]]), loss.gradient([[3]]).tolist(), loss.hessian([[3]]).tolist()) == (1.0, [[2.0]], [[2.0]])
    assert loss.gradient([[-3]]).tolist() == [[-2.0]]
    smooth, root = BuresLoss([[4]], tau=3.0), np.sqrt(1 + 3.0)
    assert smooth.value([[1]]) == pytest.approx((root - 2) ** 2, abs=4 * EPS)
    loss = BuresLoss([[4]], tau=5.0)
    w, r = 2.0, 3.0  # r = sqrt(w^2 + tau)
    assert loss.value([[w]]) == pytest.approx(1.0, abs=8 * EPS)
    assert loss.gradient([[w]])[0, 0] == pytest.approx(2 * (1 - 2 / r) * w, abs=16 * EPS)
    assert loss.hessian([[w]])[0, 0] == pytest.approx(2 * (1 - 2 / r) + 4 * w**2 / r**3, abs=32 * EPS)


def test_frobenius_by_hand():
    loss = FrobeniusLoss(np.diag([4, 1]))
    W = [[1], [2]]  # W W^T - Sigma0 = [[-3, 2], [2, 3]]
    assert loss.value(W) == 26.0
    assert loss.gradient(W).tolist() == [[4.0], [32.0]]
    # 4 ((W Z^T + Z W^T) W + (W W^T - Sigma0) Z) with Z = e1
    assert loss.hessian_vector_product(W, [[1], [0]]).tolist() == [[4 * (2 + 4 - 3)], [4 * (2 + 2)]]


def test_minima_by_hand():
    loss = BuresLoss(np.diag([9, 4, 1]))
    assert [loss.minimum(k) for k in range(4)] == [14, 5, 1, 0]
    smooth = BuresLoss(np.diag([9, 4, 1]), tau=4.0)  # only the eigenvalue 9 is above tau
    assert [smooth.minimum(k) for k in range(4)] == pytest.approx([2, 1, 1, 1], abs=16 * EPS)
    assert [FrobeniusLoss(np.diag([9, 4, 1])).minimum(k) for k in range(4)] == [98, 17, 1, 0]


def test_gradient_at_a_kink_is_that_of_the_compact_polar_factor():
    assert BuresLoss(np.diag([4, 1])).gradient(np.diag([3, 0])).tolist() == [[2.0, 0.0], [0.0, 0.0]]
    assert BuresLoss(np.eye(2)).gradient(np.zeros((2, 2))).tolist() == np.zeros((2, 2)).tolist()


# ---------------------------------------------------------------- two routes to one number

@every_case
def test_value_is_the_squared_distance(lam, m, tau):
    target, W = target_of(lam), point(len(lam), m)
    loss = BuresLoss(target, tau)
    with mp.workdps(oracles.DIGITS):
        exact = oracles.smoothed_loss(target.matrix, tau, oracles.exact(W))
    norm = np.linalg.norm(W) + np.sqrt(len(lam) * tau) + np.sqrt(target.trace)
    # error of the distance 10 eps norm, and as much again (singular targets: sqrt of it) from the factor of the target
    bound = 20 * EPS * norm + (np.sqrt(16 * EPS * target.trace) if target.rank < target.dim else 0.0)
    assert abs(np.sqrt(loss.value(W)) - mp.sqrt(exact)) <= bound
    both, gradient = loss.value_and_gradient(W)
    assert both == pytest.approx(loss.value(W), rel=1e-13)
    assert np.array_equal(gradient, loss.gradient(W))
    assert loss.value(W) == pytest.approx(
        bures_wasserstein(W @ W.T + tau * np.eye(len(lam)), target, squared=True), rel=1e-6 if tau == 1e-12 else 1e-11)


@pytest.mark.parametrize("tau", [0.0, 1e-8, 0.3])
@pytest.mark.parametrize("m", [1, 3, 4])
def test_derivatives_against_mpmath(m, tau):
    target = target_of([5.0, 2.0, 0.3])
    loss, W, Z = BuresLoss(target, tau), point(3, m, 1), point(3, m, 2)
    first, second = oracles.directional_derivatives(target.matrix, tau, W, Z)
    scale = np.linalg.norm(Z) * (np.linalg.norm(W) + np.linalg.norm(loss.target.factor))
    amplified = 1 + sensitivity(loss, W)
    assert abs(np.vdot(loss.gradient(W), Z) - first) <= 20 * EPS * scale * amplified
    assert abs(np.vdot(loss.hessian_vector_product(W, Z), Z) - second) \
        <= 50 * EPS * np.linalg.norm(Z) ** 2 * amplified**2


@every_case
def test_gradient_against_central_differences(lam, m, tau):
    """Central differences with h = 1e-5: truncation h^2 |L'''| / 6, rounding eps L / h."""
    loss, W = loss_for(lam, tau), point(len(lam), m, 3)
    Z = point(len(lam), m, 4)
    h = 1e-5
    difference = (loss.value(W + h * Z) - loss.value(W - h * Z)) / (2 * h)
    assert abs(np.vdot(loss.gradient(W), Z) - difference) <= 1e-6 * (1 + abs(difference))


@pytest.mark.parametrize("tau", [0.0, 0.2, None])
@pytest.mark.parametrize("m", COLUMNS.values(), ids=COLUMNS)
def test_hessian_against_differences_of_the_gradient(m, tau):
    loss, W, Z = loss_for(LAM["full rank"], tau), point(4, m, 5), point(4, m, 6)
    h = 1e-5  # truncation h^2 |D^4 L|, rounding eps |G| / h: both near 1e-9
    difference = (loss.gradient(W + h * Z) - loss.gradient(W - h * Z)) / (2 * h)
    product = loss.hessian_vector_product(W, Z)
    assert np.linalg.norm(product - difference) <= 1e-7 * (1 + np.linalg.norm(difference))
    H = loss.hessian(W)
    assert np.allclose(H @ Z.ravel(), product.ravel(), rtol=1e-10, atol=1e-10)
    assert np.array_equal(H, H.T)


def test_hessian_formula_of_the_function_of_covariances():
    r"""The eigenbasis formula of the second derivative: ``2<(I - T)Z, Z> + D^2 f[W Z^T + Z W^T]``."""
    n, m, tau = 4, 3, 0.4
    target, W, Z = target_of(LAM["full rank"]), point(n, m, 7), point(n, m, 8)
    R, S = target.root, W @ W.T + tau * np.eye(n)
    mu, U = np.linalg.eigh(R @ S @ R)
    Y, a = U.T @ R @ (W @ Z.T + Z @ W.T) @ R @ U, np.sqrt(mu)
    curvature = np.sum(Y**2 / (np.multiply.outer(a, a) * np.add.outer(a, a)))
    T = R @ (U / a) @ U.T @ R
    expected = 2 * np.vdot(Z - T @ Z, Z) + curvature
    loss = BuresLoss(target, tau)
    assert np.vdot(loss.hessian_vector_product(W, Z), Z) == pytest.approx(expected, rel=1e-11)
    assert np.allclose(loss.gradient(W), 2 * (W - T @ W), atol=1e-12)


# ---------------------------------------------------------------- closed Hessian spectra at critical points

def spectrum(H):
    return np.sort(np.linalg.eigvalsh(H))


def assert_spectrum(H, expected, amplification=1.0):
    """Weyl: eigenvalues move by at most the error of H, a few n eps times the amplification of the second derivative."""
    scale = 200 * EPS * len(H) * max(np.abs(expected).max(), 1.0) * amplification
    assert len(expected) == len(H)
    assert np.abs(spectrum(H) - np.sort(expected)).max() <= scale


@pytest.mark.parametrize("J", [(0,), (2,), (0, 1), (1, 3), (0, 1, 2), (0, 1, 2, 3)])
def test_bures_spectrum_on_fixed_rank(J):
    """At tau = 0 and m = k: 2, 0 and 2 (1 - lam_j / lam_i), also with repeated eigenvalues."""
    for lam in (LAM["full rank"], LAM["repeated"]):
        target, k, lam = target_of(lam), len(J), np.array(lam)
        outside = [j for j in range(4) if j not in J]
        W = (target.eigenvectors * np.sqrt(lam))[:, J] @ partial_isometry(k, k).T
        loss = BuresLoss(target)
        assert np.linalg.norm(loss.gradient(W)) <= 50 * EPS * np.linalg.norm(W) * sensitivity(loss, W)
        assert loss.value(W) == pytest.approx(lam[outside].sum(), abs=1e-13)
        expected = [2.0] * (k * (k + 1) // 2) + [0.0] * (k * (k - 1) // 2)
        expected += [2 * (1 - lam[j] / lam[i]) for i in J for j in outside]
        assert_spectrum(loss.hessian(W), expected, sensitivity(loss, W))


@pytest.mark.parametrize("m", [2, 4, 5])
@pytest.mark.parametrize("J", [(), (0,), (1,), (0, 1), (1, 2)])
def test_smoothed_bures_spectrum(J, m):
    lam, tau = np.array([5.0, 3.0, 2.0, 0.5]), 0.7  # one eigenvalue below tau
    target, r = target_of(lam), len(J)
    outside = [j for j in range(4) if j not in J]
    W = (target.eigenvectors * np.sqrt(np.maximum(lam - tau, 0)))[:, list(J)] @ partial_isometry(m, r).T
    loss = BuresLoss(target, tau)
    assert np.linalg.norm(loss.gradient(W)) <= 1e-13
    assert loss.value(W) == pytest.approx(np.sum((np.sqrt(lam[outside]) - np.sqrt(tau)) ** 2), abs=1e-13)
    pairs = [(i, j) for i in J for j in J if i < j]
    expected = [2 * (1 - tau / lam[i]) for i in J]
    expected += [2 * (1 - 2 * tau / (lam[i] + lam[j])) for i, j in pairs] + [0.0] * len(pairs)
    expected += [2 * (lam[i] - lam[j]) / (lam[i] + np.sqrt(lam[j] * tau)) for i in J for j in outside]
    expected += [0.0] * (r * (m - r)) + [2 * (1 - np.sqrt(lam[j] / tau)) for j in outside] * (m - r)
    assert_spectrum(loss.hessian(W), expected, sensitivity(loss, W))


@pytest.mark.parametrize("m", [2, 4, 5])
@pytest.mark.parametrize("J", [(), (0,), (0, 1), (1, 2)])
def test_frobenius_spectrum(J, m):
    lam = np.array(LAM["full rank"])
    target, r = target_of(lam), len(J)
    outside = [j for j in range(4) if j not in J]
    W = (target.eigenvectors * np.sqrt(lam))[:, list(J)] @ partial_isometry(m, r).T
    pairs = [(i, j) for i in J for j in J if i < j]
    expected = [8 * lam[i] for i in J] + [4 * (lam[i] + lam[j]) for i, j in pairs] + [0.0] * len(pairs)
    expected += [4 * (lam[i] - lam[j]) for i in J for j in outside] + [0.0] * (r * (m - r))
    expected += [-4 * lam[j] for j in outside] * (m - r)
    assert_spectrum(FrobeniusLoss(target).hessian(W), expected)


def test_hessian_near_a_square_matrix_of_corank_one_stays_accurate():
    """n = m = r + 1: the Hessian stays bounded, so a singular value of 1e-10 must not amplify rounding."""
    rng = np.random.default_rng(0)
    target = target_of([3.0, 2.0, 1.0])
    U, V = (np.linalg.qr(rng.standard_normal((3, 3)))[0] for _ in range(2))
    W, Z = (U * [2.0, 1.0, 1e-10]) @ V, rng.standard_normal((3, 3))
    product = BuresLoss(target).hessian_vector_product(W, Z)
    _, second = oracles.directional_derivatives(target.matrix, 0.0, W, Z)
    assert abs(np.vdot(product, Z) - second) <= 1e-12 * np.linalg.norm(Z) ** 2


# ---------------------------------------------------------------- laws

@every_case
def test_curvature_is_at_most_two(lam, m, tau):
    """Semiconcavity: L(W + D) <= L(W) + <G, D> + |D|^2, for steps of every size."""
    loss, W = loss_for(lam, tau), point(len(lam), m, 9)
    value, G = loss.value_and_gradient(W)
    for i in range(5):
        D = 10.0 ** (1 - i) * point(len(lam), m, 10 + i)
        upper = value + np.vdot(G, D) + np.sum(D**2)
        assert loss.value(W + D) <= upper + 50 * EPS * (value + np.sum(W**2) + np.sum(D**2) + loss.target.trace)


@pytest.mark.parametrize("m", [4, 6])
def test_norm_of_the_gradient_at_full_row_rank(m):
    loss, W = BuresLoss(target_of(LAM["full rank"])), point(4, m, 12)
    value, G = loss.value_and_gradient(W)
    assert np.sum(G**2) == pytest.approx(4 * value, rel=1e-12)


@every_case
def test_no_matrix_is_below_the_minimum(lam, m, tau):
    n = len(lam)
    for loss in (BuresLoss(target_of(lam), tau), FrobeniusLoss(target_of(lam))):
        least = loss.minimum(min(m, n))
        for seed in range(10):
            assert loss.value(point(n, m, seed)) >= least * (1 - 1e-12)
        minima = [loss.minimum(k) for k in range(n + 1)]
        assert (np.diff(minima) <= 0).all()
        assert loss.value(np.zeros((n, m))) == pytest.approx(minima[0], abs=1e-11)


@pytest.mark.parametrize("tau", [0.0, 0.3, None])
def test_minimum_is_attained_at_the_top_eigenvectors(tau):
    for lam in (LAM["full rank"], LAM["repeated"], LAM["singular"]):
        target = target_of(lam)
        loss = loss_for(lam, tau)
        for k in range(1, 5):
            s = np.sqrt(np.maximum(target.eigenvalues - (tau or 0.0), 0.0))[:k]
            assert loss.value(target.eigenvectors[:, :k] * s) == pytest.approx(loss.minimum(k), abs=1e-13)


@pytest.mark.parametrize("tau", [0.0, 0.3, None])
def test_rotating_the_latent_space_changes_nothing(tau):
    loss, W, O = loss_for(LAM["full rank"], tau), point(4, 3, 13), partial_isometry(3, 3)
    assert loss.value(W @ O) == pytest.approx(loss.value(W), rel=1e-13)
    assert np.allclose(loss.gradient(W @ O), loss.gradient(W) @ O, atol=1e-12)


def test_small_tau_near_the_optimum_keeps_its_accuracy():
    """B^2 = 1e-20 at tau = 1e-12, where an eigendecomposition of Sigma_tau loses everything."""
    tau, rng = 1e-12, np.random.default_rng(0)
    target = Covariance.from_spectrum([3.0, 2.0, 1.0], eigenvectors=None)
    W = np.diag(np.sqrt(np.diag(target.matrix) - tau)) + 1e-10 * rng.standard_normal((3, 3))
    exact = mp.sqrt(oracles.smoothed_loss(target.matrix, tau, oracles.exact(W)))
    assert abs(np.sqrt(BuresLoss(target, tau).value(W)) - exact) <= 20 * EPS * (np.linalg.norm(W) + np.sqrt(6))


# ---------------------------------------------------------------- measured orders

@every_case
def test_gradient_passes_its_own_check(lam, m, tau):
    assert check_gradient(loss_for(lam, tau), point(len(lam), m, 14)) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("m", COLUMNS.values(), ids=COLUMNS)
def test_frobenius_gradient_passes_the_check(m):
    assert check_gradient(FrobeniusLoss(target_of(LAM["full rank"])), point(4, m, 15), rng=3) \
        == pytest.approx(2.0, abs=0.1)


def test_the_check_at_a_value_near_zero():
    """Where ``tau`` is the eigenvalue the loss is 1e-12 of its terms, and is known to EPS times these only."""
    assert check_gradient(BuresLoss([[1e12]], 1e12), [[1778.0]]) == pytest.approx(2.0, abs=0.1)


class WrongGradient(BuresLoss):
    def gradient(self, W):
        return 1.001 * super().gradient(W)


class Affine:
    def value(self, W):
        return float(np.sum(W))

    def gradient(self, W):
        return np.ones_like(W)


def test_a_wrong_gradient_fails_the_check():
    target, W = target_of(LAM["full rank"]), 2 * point(4, 4, 16)
    assert check_gradient(WrongGradient(target), W) == pytest.approx(1.0, abs=0.25)
    assert check_gradient(Affine(), W) == np.inf


def test_second_order_of_the_hessian_is_one():
    """|G(W + hZ) - G(W) - h H[Z]| falls like h^2: slope 2."""
    for tau in (0.0, 0.3):
        loss, W, Z = BuresLoss(target_of(LAM["full rank"]), tau), point(4, 2, 17), point(4, 2, 18)
        h = 2.0 ** -np.arange(6, 14)
        G, HZ = loss.gradient(W), loss.hessian_vector_product(W, Z)
        remainders = [np.linalg.norm(loss.gradient(W + x * Z) - G - x * HZ) for x in h]
        assert np.polyfit(np.log(h), np.log(remainders), 1)[0] == pytest.approx(2.0, abs=0.1)


# ---------------------------------------------------------------- networks, stacks, precisions, frozen

@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("tau", [0.0, 0.3, None])
def test_layer_gradients_are_the_derivative_of_the_composition(depth, tau):
    loss, rng = loss_for(LAM["full rank"], tau), np.random.default_rng(depth)
    network = random_network((3, *[5] * (depth - 1), 4), rng=rng)
    directions = [rng.standard_normal(W.shape) for W in network.weights]
    gradients = network.layer_gradients(loss.gradient(network.end_to_end()))
    slope = sum(np.vdot(G, Z) for G, Z in zip(gradients, directions))
    h = 1e-5

    def at(t):
        return loss.value(DeepLinearNetwork([W + t * Z for W, Z in zip(network.weights, directions)]).end_to_end())

    assert (at(h) - at(-h)) / (2 * h) == pytest.approx(slope, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("tau", [0.0, 0.3, None])
@pytest.mark.parametrize("m", [2, 4, 6])
def test_stacks_equal_loops(m, tau):
    loss, rng = loss_for(LAM["full rank"], tau), np.random.default_rng(19)
    W, Z = rng.standard_normal((2, 3, 4, m)), rng.standard_normal((3, 4, m))
    values, gradients = loss.value_and_gradient(W)
    products = loss.hessian_vector_product(W, Z)
    assert values.shape == (2, 3) and gradients.shape == products.shape == W.shape
    for i, j in np.ndindex(2, 3):
        assert values[i, j] == pytest.approx(loss.value(W[i, j]), rel=1e-13)
        assert loss.value(W)[i, j] == pytest.approx(values[i, j], rel=1e-13)
        assert np.allclose(gradients[i, j], loss.gradient(W[i, j]), atol=1e-12)
        assert np.allclose(products[i, j], loss.hessian_vector_product(W[i, j], Z[j]), rtol=1e-9, atol=1e-10)


def test_losses_are_frozen_and_take_a_matrix_or_a_covariance():
    matrix = np.diag([4.0, 1.0])
    a, b = BuresLoss(matrix, 0.1), BuresLoss(Covariance(matrix), tau=0.1)
    assert a.value(np.eye(2)) == b.value(np.eye(2))
    assert isinstance(a.target, Covariance) and b.tau == 0.1 and BuresLoss(matrix).tau == 0.0
    for loss in (a, FrobeniusLoss(matrix)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            loss.target = matrix
    assert type(a.value(np.eye(2))) is float and type(a.minimum(1)) is float


def test_value_agrees_with_the_distance_of_factors_down_to_zero():
    target = target_of(LAM["full rank"])
    W = target.factor + 1e-9
    assert BuresLoss(target).value(W) == bures_wasserstein_factors(W, target.factor, squared=True)
    assert BuresLoss(target).value(target.factor) <= (10 * EPS * 2 * np.sqrt(target.trace)) ** 2


def test_the_value_near_the_target_and_at_a_kink():
    """The gradient leaves the null direction of ``W`` out, the value must not: L = 1e-4, the least eigenvalue."""
    loss, W = BuresLoss(np.diag([4.0, 1.0, 1e-4])), np.diag([2.0, 1.0, 0.0])
    value, gradient = loss.value_and_gradient(W)
    assert value == pytest.approx(1e-4, rel=1e-12) and loss.value(W) == pytest.approx(1e-4, rel=1e-12)
    assert not gradient.any()


@pytest.mark.parametrize("tau", [0.0, 0.3])
def test_a_stack_of_near_and_far_points_and_kinks_equals_the_loop(tau):
    target = target_of(LAM["full rank"])
    kink = np.diag([1.0, 1.0, 0.0, 0.0])
    W = np.array([point(4, 4), target.factor + 1e-6, kink @ point(4, 4), np.zeros((4, 4)), target.root, 1e3 * point(4, 4)])
    loss = BuresLoss(target, tau)
    values, gradients = loss.value_and_gradient(W.reshape(3, 2, 4, 4))
    for one, value, gradient in zip(W, values.ravel(), gradients.reshape(W.shape)):
        expected = loss.value_and_gradient(one)
        bound = 20 * EPS * (np.linalg.norm(one) + np.sqrt(target.trace + 4 * tau))
        assert abs(np.sqrt(value) - np.sqrt(expected[0])) <= bound
        assert np.abs(gradient - expected[1]).max() <= bound * (1 + sensitivity(loss, one))


@pytest.mark.parametrize("k", [20, 4])
@pytest.mark.parametrize("tau", [1e-12, 1e-3, 0.1, 2.0])
def test_eigenvalues_stand_in_for_the_svd_where_they_are_good_enough(k, tau):
    """One by one and in stacks: far from the minimum, near it, and with a target of condition 1e12."""
    for lam in (np.linspace(1, 5, 20), np.logspace(0, -12, 20)):
        loss = BuresLoss(Covariance.from_spectrum(lam, rng=1), tau)
        target = loss.target
        near = target.leading(k) * np.sqrt(np.maximum(target.eigenvalues[:k] - tau, 0))
        stack = np.array([point(20, k, 1), near + 1e-6 * point(20, k, 2), near, 1e-3 * point(20, k, 3), 30 * point(20, k, 4)])
        expected = [loss._value_and_gradient_by_svd(W) for W in stack]
        for found in (zip(*loss.value_and_gradient(stack)), map(loss.value_and_gradient, stack)):
            for W, (value, gradient), (exact, exact_gradient), alone in zip(stack, found, expected, loss.value(stack)):
                norm = np.linalg.norm(W) + np.sqrt(20 * tau) + np.sqrt(target.trace)
                for x in (value, alone, loss.value(W)):
                    assert abs(np.sqrt(x) - np.sqrt(exact)) <= 20 * EPS * norm
                bound = 20 * EPS * np.linalg.norm(target.factor) * (1 + sensitivity(loss, W))
                assert np.abs(gradient - exact_gradient).max() <= bound


@pytest.mark.parametrize("distance", [1e-2, 1e-6, 1e-10])
def test_the_value_from_eigenvalues_near_the_minimum_against_mpmath(distance):
    """Errors of the eigenvalues enter in second order: the value is as good as from the SVD."""
    loss, rng = BuresLoss(Covariance.from_spectrum([5.0, 3.0, 2.0, 1.5, 1.0, 0.05], rng=2), 0.1), np.random.default_rng(3)
    W = loss.target.leading(4) * np.sqrt(loss.target.eigenvalues[:4] - 0.1) + distance * rng.standard_normal((6, 4))
    F = oracles.exact(loss.target.principal_factor)
    exact = oracles.smoothed_loss(None, 0.1, oracles.exact(W), oracles.root(F * F.T))
    mu, P = np.linalg.eigh(np.asarray(loss._F.T @ (W @ W.T + 0.1 * np.eye(6)) @ loss._F))
    Z = (P / np.sqrt(mu)) @ P.T @ loss._F.T @ W
    value, is_right = loss._near_value_from_roots(W - loss._F @ Z, Z, np.sqrt(mu), np.asfortranarray(P))
    assert is_right
    bound = 4 * EPS * (np.linalg.norm(W) + np.linalg.norm(loss._F))
    for found in (value, loss.value(W), loss.value_and_gradient(W)[0]):
        assert abs(np.sqrt(found) - mp.sqrt(exact)) <= bound
    value, is_right = loss._near_value_from_roots(W - loss._F @ Z, Z, np.sqrt(mu) * (1 + 1e-6), np.asfortranarray(P))
    assert not is_right


def test_a_stack_of_points_and_the_zero_target():
    """``L = |W|^2 + n tau``; no eigenvalue may be divided by."""
    W = np.array([point(3, 2), np.zeros((3, 2))])
    values, gradients = BuresLoss(np.zeros((3, 3)), 1e-3).value_and_gradient(W)
    assert values == pytest.approx(np.sum(W**2, axis=(1, 2)) + 3e-3, rel=8 * EPS)
    assert np.array_equal(gradients, 2 * W)


# ---------------------------------------------------------------- targets given by a factor

THIN = {"bottleneck": 2, "as many columns": 4, "more columns": 6, "square": 9}


@pytest.mark.parametrize("m", THIN.values(), ids=THIN)
@pytest.mark.parametrize("tau", [0.0, 1e-6, 0.3, None])
def test_targets_given_by_a_factor_or_by_a_matrix(m, tau):
    """The same loss; the matrix knows the range to eps, and values, as squares of distances, to sqrt(eps) of that."""
    F, W, Z = point(9, 4, 1), point(9, m, 2), point(9, m, 3)
    losses = [FrobeniusLoss(S) if tau is None else BuresLoss(S, tau)
              for S in (Covariance.from_factor(F), Covariance(F @ F.T))]
    (value, G), (dense, dense_G) = (loss.value_and_gradient(W) for loss in losses)
    assert losses[0].target.is_thin and not losses[1].target.is_thin
    assert value == pytest.approx(dense, rel=1e-12) and losses[0].value(W) == pytest.approx(dense, rel=1e-12)
    assert np.abs(G - dense_G).max() <= 1e-11 * np.abs(dense_G).max()
    for k in range(10):
        assert losses[0].minimum(k) == pytest.approx(losses[1].minimum(k), rel=1e-12, abs=1e-12)
    assert check_gradient(losses[0], W) == pytest.approx(2.0, abs=0.1)
    if tau != 0.0 or m <= 4:
        product, expected = (loss.hessian_vector_product(W, Z) for loss in losses)
        assert np.abs(product - expected).max() <= 1e-9 * np.abs(expected).max()
    stack = np.array([W, 2 * W])
    assert losses[0].value(stack) == pytest.approx([value, losses[0].value(2 * W)], rel=1e-12)
    assert np.allclose(losses[0].gradient(stack)[0], G, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("tau", [0.0, 1e-10, 0.3])
def test_a_thin_target_against_mpmath(tau):
    F, W = point(5, 2, 4), point(5, 2, 5)
    loss = BuresLoss(Covariance.from_factor(F), tau)
    with mp.workdps(oracles.DIGITS):
        root = oracles.root(oracles.exact(F) * oracles.exact(F).T)
        exact = mp.sqrt(oracles.smoothed_loss(None, tau, oracles.exact(W), root))
    # error of the distance 10 eps norm, and as much again from the SVD of the factor
    norm = np.linalg.norm(W) + np.sqrt(5 * tau) + np.linalg.norm(F)
    for value in (loss.value(W), loss.value_and_gradient(W)[0]):
        assert abs(np.sqrt(value) - exact) <= 20 * EPS * norm


@pytest.mark.parametrize("tau", [0.0, 0.01])
def test_a_thin_target_is_reached(tau):
    loss = BuresLoss(Covariance.from_factor(point(50, 3, 6)), tau)
    best = best_low_rank(loss.target, 3, tau=tau, factor=True)
    noise = 50 * tau
    assert loss.value(best) == pytest.approx(loss.minimum(3), abs=1e-12)
    assert loss.minimum(3) == pytest.approx(47 * tau, abs=1e-12 * (1 + noise))
    assert np.abs(loss.gradient(best)).max() <= 1e-12
