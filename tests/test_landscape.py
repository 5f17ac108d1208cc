r"""The landscape: closed forms against Hessians of the losses, Hessians of networks, the search.

Bounds.  The Hessian of the loss is at most ``2 (1 + |F|^2 / s_r)`` in size, and its relative error a few ``n eps`` times
the sensitivity ``|F| |W^| / s_r`` of the polar factor (see ``test_losses.py``); eigenvalues of symmetric matrices move by
at most the norm of the change.
"""

import itertools

import numpy as np
import pytest
from scipy.sparse.linalg import eigsh

import bwlib as bw

EPS = np.finfo(float).eps
LAM = {"distinct": [4.0, 2.0, 1.0, 0.5], "wide range": [100.0, 3.0, 0.2, 0.01], "repeated": [3.0, 3.0, 1.0, 1.0],
       "two zeros": [4.0, 1.0, 0.0, 0.0], "one dimension": [2.0]}


def target_of(lam, seed=7):
    return bw.Covariance.from_spectrum(lam, rng=seed)


def representative(target, J, m, tau=0.0, seed=1):
    """Omega_J (Lambda_J - tau)^(1/2) V^T with a random V."""
    V = np.linalg.qr(np.random.default_rng(seed).standard_normal((m, m)))[0][:, :len(J)]
    return target.eigenvectors[:, list(J)] * np.sqrt(target.eigenvalues[list(J)] - tau) @ V.T


def hessian_bound(loss, W):
    F, n = loss.target.factor, loss.target.dim
    if isinstance(loss, bw.FrobeniusLoss):
        return 100 * n * EPS * (np.linalg.norm(F) + np.linalg.norm(W)) ** 2
    wide = np.hstack([W, np.sqrt(loss.tau) * np.eye(n)]) if loss.tau else W
    s = np.linalg.svd(F.T @ wide, compute_uv=False)
    least = s[s > 1e-12 * s[0]][-1]
    size, sensitivity = 1 + np.linalg.norm(F) ** 2 / least, np.linalg.norm(F) * np.linalg.norm(wide) / least
    return 20 * n * EPS * size * (1 + sensitivity)


# ---------------------------------------------------------------- hand values


def test_the_plane_by_hand():
    first, second = bw.critical_points(np.diag([4.0, 1.0]), 1)
    assert (first.indices, first.value, first.morse_index) == ((0,), 1.0, 0)
    assert (second.indices, second.value, second.morse_index) == ((1,), 4.0, 1)
    assert first.hessian_eigenvalues.tolist() == [2.0, 1.5]
    assert second.hessian_eigenvalues.tolist() == [2.0, -6.0]
    assert np.abs(first.covariance - np.diag([4.0, 0.0])).max() == 0.0


def test_the_line_with_smoothing_by_hand():
    """L(w) = (sqrt(w^2 + tau) - 2)^2 has curvature 2 (1 - tau/4) at w^2 = 4 - tau and 2 (1 - 2/sqrt(tau)) at 0."""
    minimum, origin = bw.critical_points([[4.0]], 1, tau=1.0)
    assert (minimum.indices, minimum.value, minimum.morse_index) == ((0,), 0.0, 0)
    assert (origin.indices, origin.value, origin.morse_index) == ((), 1.0, 1)
    assert minimum.hessian_eigenvalues.tolist() == [1.5] and origin.hessian_eigenvalues.tolist() == [-2.0]


# ---------------------------------------------------------------- critical points


@pytest.mark.parametrize("m, tau", [(1, 0.0), (2, 0.0), (4, 0.0), (1, 0.3), (2, 0.3), (4, 1e-3), (6, 0.7), (3, 3.0), (3, 5.0)])
@pytest.mark.parametrize("lam", [LAM["distinct"], LAM["wide range"]], ids=["distinct", "wide range"])
def test_points_are_critical_and_complete(lam, m, tau):
    target = target_of(lam)
    loss = bw.BuresLoss(target, tau)
    points = bw.critical_points(target, m, tau=tau)
    above = sum(x > tau for x in lam)
    sizes = [m] if tau == 0 else range(min(above, m) + 1)
    assert sorted(point.indices for point in points) == sorted(
        J for size in sizes for J in itertools.combinations(range(above), size))
    assert [point.value for point in points] == sorted(point.value for point in points)
    assert abs(points[0].value - loss.minimum(min(m, 4))) <= 10 * EPS * target.trace
    for point in points:
        value, gradient = loss.value_and_gradient(point.factor)
        bound = hessian_bound(loss, point.factor)
        assert np.linalg.norm(gradient) <= bound * np.sqrt(target.trace)
        assert abs(value - point.value) <= bound * target.trace
        assert np.abs(point.covariance - point.factor @ point.factor.T).max() == 0.0
        spectrum = np.linalg.eigvalsh(loss.hessian(point.factor))[::-1]
        assert np.abs(spectrum - point.hessian_eigenvalues).max() <= bound
        assert point.morse_index == np.sum(point.hessian_eigenvalues < 0)
    assert points[0].morse_index == 0
    assert all(point.morse_index > 0 for point in points[1:])


def test_zero_eigenvalues_are_never_used():
    points = bw.critical_points(np.diag([4.0, 1.0, 0.0, 0.0]), 1)
    assert [point.indices for point in points] == [(0,), (1,)]
    with pytest.raises(ValueError, match="rank must be between 1 and 2, got 3"):
        bw.critical_points(np.diag([4.0, 1.0, 0.0, 0.0]), 3)


@pytest.mark.parametrize("lam, m, tau", [([2, 2], 1, 0), ([3, 2, 2, 1], 2, 0), ([3, 2, 2, 1], 1, 0.5), ([1, 1, 1], 3, 0.1)])
def test_families_are_refused_with_the_reason(lam, m, tau):
    with pytest.raises(ValueError, match="target must have distinct eigenvalues above tau.*Grassmannian"):
        bw.critical_points(target_of(lam), m, tau=tau)


@pytest.mark.parametrize("lam, m, tau, number", [([2, 2], 2, 0, 1), ([3, 2, 1, 1], 2, 1, 4), ([3, 1, 1], 3, 1.5, 2),
                                                 ([1, 1, 1], 2, 1, 1), ([2, 1, 0, 0], 2, 0, 1)])
def test_repeated_eigenvalues_that_do_not_matter_are_allowed(lam, m, tau, number):
    assert len(bw.critical_points(target_of(lam), m, tau=tau)) == number


def test_too_many_points():
    with pytest.raises(ValueError, match="rank must leave at most 100000 critical points, but rank = 12 with 24"):
        bw.critical_points(np.diag(np.arange(1.0, 25.0)), 12)


@pytest.mark.parametrize("lam", LAM.values(), ids=LAM)
@pytest.mark.parametrize("tau", [0.0, 0.3, 10.0])
def test_best_low_rank_attains_the_minimum(lam, tau):
    target = target_of(lam)
    for k in range(target.dim + 1):
        best = bw.best_low_rank(target, k, tau=tau)
        assert np.linalg.matrix_rank(best, tol=1e-12 * target.trace) == sum(x > tau for x in lam[:k])
        value = bw.bures_wasserstein(best + tau * np.eye(target.dim), target, squared=True)
        assert abs(value - bw.BuresLoss(target, tau).minimum(k)) <= 100 * EPS * (target.trace + target.dim * tau)
        W = bw.best_low_rank(target, k, tau=tau, factor=True)
        assert W.shape == (target.dim, k) and np.abs(W @ W.T - best).max() <= 10 * EPS * target.trace


def test_best_low_rank_of_a_stack():
    stack = bw.Covariance(np.array([np.diag([4.0, 1.0]), np.diag([1.0, 9.0])]))
    assert bw.best_low_rank(stack, 1).tolist() == [[[4, 0], [0, 0]], [[0, 0], [0, 9]]]


def test_best_low_rank_of_a_covariance_given_by_a_factor():
    F = np.random.default_rng(0).standard_normal((7, 3))
    thin, dense = bw.Covariance.from_factor(F), bw.Covariance(F @ F.T)
    for k in (0, 2, 3, 5, 7):
        assert np.abs(bw.best_low_rank(thin, k) - bw.best_low_rank(dense, k)).max() <= 100 * EPS * dense.trace
        W = bw.best_low_rank(thin, k, tau=0.1, factor=True)
        assert W.shape == (7, k) and np.count_nonzero(W.any(axis=0)) == min(k, 3)


# ---------------------------------------------------------------- Hessian spectra


@pytest.mark.parametrize("lam", LAM.values(), ids=LAM)
@pytest.mark.parametrize("columns", [0, 1, 3])
@pytest.mark.parametrize("tau", [1e-2, 0.4])
def test_smoothed_spectrum_is_that_of_the_hessian(lam, columns, tau):
    target = target_of(lam)
    loss = bw.BuresLoss(target, tau)
    for size in range(target.dim + 1):
        for J in itertools.combinations([i for i, x in enumerate(lam) if x > tau], size):
            m = max(size + columns, 1)
            W = representative(target, J, m, tau)
            closed = bw.bures_hessian_spectrum(target, J, m, tau=tau)
            assert closed.shape == (target.dim * m,)
            assert np.abs(np.linalg.eigvalsh(loss.hessian(W))[::-1] - closed).max() <= hessian_bound(loss, W)


@pytest.mark.parametrize("lam", LAM.values(), ids=LAM)
@pytest.mark.parametrize("columns", [0, 1, 3])
def test_frobenius_spectrum_is_that_of_the_hessian(lam, columns):
    target = target_of(lam)
    loss = bw.FrobeniusLoss(target)
    for size in range(target.dim + 1):
        for J in itertools.combinations([i for i, x in enumerate(lam) if x > 0], size):
            m = max(size + columns, 1)
            W = representative(target, J, m)
            closed = bw.frobenius_hessian_spectrum(target, J, m)
            assert np.abs(np.linalg.eigvalsh(loss.hessian(W))[::-1] - closed).max() <= hessian_bound(loss, W)


@pytest.mark.parametrize("lam", LAM.values(), ids=LAM)
@pytest.mark.parametrize("columns", [0, 2])
def test_spectrum_on_the_matrices_of_one_rank(lam, columns):
    """Two layers ``X Y`` through the rank are a submersion onto the matrices of this rank: the Hessian there is recovered
    from the exact Hessian in the two layers and the pseudo-inverse of the differential."""
    target = target_of(lam)
    n, loss = target.dim, bw.BuresLoss(target)
    for size in range(1, target.rank + 1):
        for J in itertools.combinations(range(target.rank), size):
            m = size + columns
            W = representative(target, J, m)
            network = bw.balanced_network(W, (m, size, n))
            Y, X = network.weights
            differential = np.hstack([np.kron(X, np.eye(m)), np.kron(np.eye(n), Y.T)])
            U, s, Vt = np.linalg.svd(differential, full_matrices=False)
            dimension = size * (n + m - size)
            lift = Vt[:dimension].T / s[:dimension]
            H = lift.T @ bw.parameter_hessian(network, loss) @ lift
            closed = bw.bures_hessian_spectrum(target, J, m)
            assert closed.shape == (dimension,)
            bound = hessian_bound(loss, W) * (s[0] / s[dimension - 1]) ** 2
            assert np.abs(np.linalg.eigvalsh(H)[::-1] - closed).max() <= bound


@pytest.mark.parametrize("function", [bw.bures_hessian_spectrum, bw.frobenius_hessian_spectrum])
def test_index_sets_are_checked(function):
    target = np.diag([4.0, 1.0, 0.0])
    for indices, m, words in [([0, 0], None, "indices must be distinct"), ([2], None, "eigenvalues above zero"),
                              ([0, 1], 1, "m must be at least 2, got 1"), ([3], None, "between 0 and 2, got 3")]:
        with pytest.raises(ValueError, match=words):
            function(target, indices, m)
    assert np.array_equal(function(target, [1, 0]), function(target, (0, 1)))
    with pytest.raises(ValueError, match="indices must name eigenvalues above tau = 2, but eigenvalue 1 is 1"):
        bw.bures_hessian_spectrum(target, [1], tau=2.0)


# ---------------------------------------------------------------- parameter space

NETWORKS = [((3, 4), 0.0), ((3, 2, 4), 0.0), ((4, 3, 3, 4), 0.0), ((5, 2, 2, 4), 0.0), ((2, 4), 0.3), ((3, 4, 2, 5, 4), 0.2),
            ((1, 1, 1, 4), 0.5)]


def losses(tau):
    target = target_of(LAM["distinct"])
    return [bw.BuresLoss(target, tau), bw.FrobeniusLoss(target)]


def flat(arrays):
    return np.concatenate([A.ravel() for A in arrays])


def moved(network, step):
    pieces = np.split(step, np.cumsum([W.size for W in network.weights])[:-1])
    return bw.DeepLinearNetwork([W + Z.reshape(W.shape) for W, Z in zip(network.weights, pieces)])


def gradient_of(network, loss):
    return flat(network.layer_gradients(loss.gradient(network.end_to_end())))


@pytest.mark.parametrize("widths, tau", NETWORKS)
def test_parameter_hessian_is_the_derivative_of_the_layer_gradients(widths, tau):
    """Central differences of the gradient have an error of order h^2: ten times smaller steps, a hundred times less."""
    network = bw.random_network(widths, rng=3)
    Z = np.random.default_rng(4).standard_normal(sum(W.size for W in network.weights))
    Z /= np.linalg.norm(Z)
    for loss in losses(tau):
        exact = bw.parameter_hessian(network, loss) @ Z
        errors = []
        for h in (1e-2, 1e-3):
            difference = (gradient_of(moved(network, h * Z), loss) - gradient_of(moved(network, -h * Z), loss)) / (2 * h)
            errors.append(np.linalg.norm(difference - exact))
        noise = 100 * EPS * np.linalg.norm(gradient_of(network, loss)) / 1e-3 + hessian_bound(loss, network.end_to_end())
        assert errors[1] <= 0.015 * errors[0] + noise


@pytest.mark.parametrize("widths, tau", NETWORKS)
def test_operator_and_dense_matrix_agree(widths, tau):
    network = bw.random_network(widths, rng=3)
    for loss in losses(tau):
        H = bw.parameter_hessian(network, loss)
        operator = bw.parameter_hessian_operator(network, loss)
        Z = np.random.default_rng(1).standard_normal((len(H), 2))
        bound = 100 * len(H) * EPS * np.linalg.norm(H) * np.linalg.norm(Z)
        assert np.array_equal(H, H.T)
        assert np.abs(operator @ Z - H @ Z).max() <= bound
        assert np.abs(operator @ Z[:, 0] - H @ Z[:, 0]).max() <= bound
        assert np.abs(operator.T @ Z[:, 0] - H @ Z[:, 0]).max() <= bound


def test_one_layer_is_function_space():
    for loss in losses(0.2):
        W = np.random.default_rng(0).standard_normal((4, 3))
        assert np.abs(bw.parameter_hessian(bw.DeepLinearNetwork([W]), loss) - loss.hessian(W)).max() <= 1e-13


def test_extreme_eigenvalues_of_a_large_network():
    """At a balanced full-rank minimum the largest eigenvalue is 2 N lambda_1^((N-1)/N)."""
    target = target_of(np.linspace(4, 1, 12))
    network = bw.balanced_network(target.root, (12, 15, 12, 12))
    operator = bw.parameter_hessian_operator(network, bw.BuresLoss(target))
    largest = eigsh(operator, 1, return_eigenvectors=False, v0=np.ones(operator.shape[0]))[0]
    assert abs(largest - 2 * 3 * 4 ** (2 / 3)) <= 1e-10


def test_no_hessian_where_the_network_loses_rank_at_tau_0():
    loss = bw.BuresLoss(np.diag([2.0, 1.0]))
    with pytest.raises(ValueError, match="W must not lose rank"):
        bw.parameter_hessian(bw.DeepLinearNetwork([np.diag([1.0, 0.0]), np.eye(2)]), loss)
    with pytest.raises(ValueError, match="W must not lose rank"):
        bw.parameter_hessian_operator(bw.DeepLinearNetwork([np.zeros((1, 2)), np.ones((2, 1))]), loss)


def test_singular_targets_are_smooth_where_the_rank_is_that_of_the_target():
    loss, network = bw.BuresLoss(np.diag([2.0, 0.0])), bw.random_network((2, 2, 2), rng=0)
    assert np.isfinite(bw.parameter_hessian(network, loss)).all()


# ---------------------------------------------------------------- search


def random_instance(seed):
    """A target with n <= 5 and gaps of at least 0.15 between its eigenvalues and tau, a number of columns, and tau."""
    rng = np.random.default_rng(seed)
    n = int(rng.choice([2, 2, 3, 3, 3, 4, 4, 5]))
    m = int(rng.integers(1, n + 1))
    lam = np.cumsum(rng.uniform(0.15, 1.2, n + 1))
    position = int(rng.integers(n - min(n, 3), n + 1)) if n > 3 else int(rng.integers(n + 1))
    tau, lam = lam[n - position], np.delete(lam, n - position)
    return bw.Covariance.from_spectrum(lam, rng=rng), m, float(tau)


def finds_all_and_only(loss, m, expected, seed, *, rounds=8):
    """Search until as many points as expected are known, and check that each is one of them."""
    known, starts = set(), 20 + 10 * len(expected)
    scale = loss.target.trace
    for attempt in range(rounds):
        for W in bw.search_critical_points(loss, m, starts=starts, rng=1000 * seed + attempt):
            distances = [np.linalg.norm(W @ W.T - point) for point in expected]
            assert min(distances) <= 1e-6 * scale, "a critical point that is not in the list"
            known.add(int(np.argmin(distances)))
        if len(known) == len(expected):
            return
    raise AssertionError(f"found {len(known)} of {len(expected)} critical points")


@pytest.mark.parametrize("block", range(10))
def test_search_finds_the_smoothed_critical_points(block):
    for seed in range(10 * block, 10 * block + 10):
        target, m, tau = random_instance(seed)
        expected = [point.covariance for point in bw.critical_points(target, m, tau=tau)]
        finds_all_and_only(bw.BuresLoss(target, tau), m, expected, seed)


@pytest.mark.parametrize("seed", range(10))
def test_search_finds_the_frobenius_critical_points(seed):
    """Over all matrices: every index set of at most m eigenvalues, at every rank."""
    target, m, _ = random_instance(seed)
    lam, Omega = target.eigenvalues, target.eigenvectors
    expected = [(Omega[:, J] * lam[list(J)]) @ Omega[:, J].T
                for size in range(m + 1) for J in itertools.combinations(range(target.dim), size)]
    finds_all_and_only(bw.FrobeniusLoss(target), m, expected, seed)
