"""The rational method of the smoothed loss: its error bound, its accuracy, and when the loss uses it.

``root_update`` returns a trace and ``Z``, the polar factor of ``[Y, D^(1/2)]`` on the columns of ``Y``.  Perturbing ``Y``
by rounding, ``eps |Y|``, moves the trace by that much times at most ``sqrt(k)``, and ``Z`` by it over the least singular
value of the matrix that acts on the range of ``Y``, at least ``hypot(s_k(Y), min(d)^(1/2))``.  Both methods have to be that
accurate, and the rational one is.  The reference is of 300 digits.
"""

import mpmath as mp
import numpy as np
import pytest
import scipy

from bwlib import BuresLoss, Covariance, best_low_rank, check_gradient
from bwlib.rational import inverse_root, inverse_root_nodes, root_update

EPS = np.finfo(float).eps


def reference(d, Y):
    """The same by an eigendecomposition in 300 digits."""
    with mp.workdps(300):
        Y = mp.matrix(Y.tolist())
        H = Y * Y.T + mp.diag(d.tolist())
        E, Q = mp.eigsy(H)
        trace = mp.fsum(mp.sqrt(e) for e in E) - mp.fsum(mp.sqrt(mp.mpf(x)) for x in d.tolist())
        return trace, Q * mp.diag([1 / mp.sqrt(e) for e in E]) * (Q.T * Y)


def amplification(d, Y):
    s = np.linalg.svd(Y, compute_uv=False)
    return 1 + s[0] / np.hypot(s[-1], np.sqrt(d.min()))


def errors(lam, tau, W):
    """The errors of the loss and of its gradient, in units of those that rounding of ``Y`` makes."""
    root = np.sqrt(lam)[:, None]
    d, Y = tau * lam, root * W
    trace, Z = root_update(d, Y)
    exact_trace, exact_Z = reference(d, Y)
    off = np.array([float(a - b) for a, b in zip(map(mp.mpf, Z.ravel().tolist()), exact_Z)]).reshape(W.shape)
    size = np.sum(W**2) + lam.sum()
    return abs(float(trace - exact_trace)) / size, np.linalg.norm(root * off) / np.sqrt(lam.sum()) / amplification(d, Y)


STARTS = {
    "random": lambda rng, lam, tau: rng.standard_normal((lam.size, 3)),
    "near the optimum": lambda rng, lam, tau: (np.eye(lam.size, 3) * np.sqrt(lam[:3])
                                               + 1e-6 * rng.standard_normal((lam.size, 3))) @ rotation(rng),
    "graded": lambda rng, lam, tau: rng.standard_normal((lam.size, 3)) * [1.0, 1e-3, 1e-6] @ rotation(rng),
    "rank one": lambda rng, lam, tau: rng.standard_normal((lam.size, 1)) @ rng.standard_normal((1, 3)),
    "along the least eigenvector": lambda rng, lam, tau: rng.standard_normal((lam.size, 3))
    + 1e4 * np.eye(lam.size)[:, -1:],
    "zero": lambda rng, lam, tau: np.zeros((lam.size, 3)),
}


def rotation(rng):
    return np.linalg.qr(rng.standard_normal((3, 3)))[0]


# ---------------------------------------------------------------- the rational function

@pytest.mark.parametrize("b", [1.0, 2.0, 4.0, 10.0, 1e3, 1e8, 1e16, 1e60, 1e150])
def test_the_error_bound_holds_and_is_sharp(b):
    """At most 4 rho / (1 - rho), and 9/10 of it is reached as soon as the interval is not shorter than [1, 4]."""
    z = np.geomspace(1.0, b, 4001)
    ratio = scipy.special.ellipk(1 / max(b, 4.0)) / scipy.special.ellipkm1(1 / max(b, 4.0))
    enough = len(inverse_root_nodes(1.0, b)[1])
    for nodes in (2, 4, enough // 2, enough):
        squares, weights = inverse_root_nodes(1.0, b, nodes)
        error = np.abs(np.sqrt(z) * (weights / (squares + z[:, None])).sum(axis=1) - 1).max()
        rho = np.exp(-2 * np.pi * nodes * ratio)
        bound = 4 * rho / (1 - rho)
        assert error <= bound * (1 + 1e-9) + 20 * EPS   # the sum itself is rounded
        if b >= 4 and 1e-12 < bound < 0.1:
            assert error >= 0.9 * bound
    assert bound <= 1e-16


def test_the_number_of_nodes_that_the_text_promises():
    assert [len(inverse_root_nodes(1.0, b)[1]) for b in (1e3, 1e8)] == [19, 42]
    for b in 10.0 ** np.arange(1, 100, 7):
        assert 2 * np.pi * scipy.special.ellipk(1 / b) / scipy.special.ellipkm1(1 / b) >= 2 * np.pi**2 / (np.log(b) + 2.8)


def test_one_dimension_by_hand():
    trace, Z = root_update(np.array([1.0]), np.array([[np.sqrt(3.0)]]))  # sqrt(4) - sqrt(1), sqrt(3) / sqrt(4)
    assert trace == pytest.approx(1.0, rel=8 * EPS) and Z[0, 0] == pytest.approx(np.sqrt(0.75), rel=8 * EPS)


# ---------------------------------------------------------------- accuracy

@pytest.mark.parametrize("condition", [10.0, 1e4, 1e8, 1e14])
@pytest.mark.parametrize("tau", [1e-8, 1e-4, 0.1, 10.0])
@pytest.mark.parametrize("start", STARTS)
def test_accuracy_against_mpmath(start, tau, condition):
    lam = np.geomspace(1.0, 1 / condition, 12)
    W = STARTS[start](np.random.default_rng(0), lam, tau)
    value, gradient = errors(lam, tau, W)
    assert value <= 10 * EPS and gradient <= 10 * EPS


@pytest.mark.parametrize("tau", [1e-12, 1e-20, 1e-60, 1e-120])
def test_no_noise_is_too_small(tau):
    """An eigendecomposition loses all digits at 1e-16."""
    lam = np.geomspace(1.0, 1e-8, 12)
    for start in ("random", "near the optimum", "graded"):
        value, gradient = errors(lam, tau, STARTS[start](np.random.default_rng(1), lam, tau))
        assert value <= 10 * EPS and gradient <= 10 * EPS


def test_clustered_and_equal_eigenvalues():
    for lam in (np.ones(12), np.repeat([1.0, 1e-6], 6), np.repeat([2.0, 1.0, 1.0 - 1e-12], 4)):
        for tau in (1e-6, 1.0):
            value, gradient = errors(lam, tau, np.random.default_rng(2).standard_normal((12, 3)))
            assert value <= 10 * EPS and gradient <= 10 * EPS


@pytest.mark.parametrize("tau", [1e-12, 1e-4, 0.1, 10.0])
@pytest.mark.parametrize("start", STARTS)
def test_the_whole_root_against_mpmath(start, tau):
    """An entry has an error of eps (d_i d_j)^(-1/4), times the amplification of rounding of Y."""
    lam = np.geomspace(1.0, 1e-4, 10)
    d, Y = tau * lam, np.sqrt(lam)[:, None] * STARTS[start](np.random.default_rng(3), lam, tau)
    root = inverse_root(d, Y)
    assert np.array_equal(root, root.T)
    with mp.workdps(300):
        Y_ = mp.matrix(Y.tolist())
        E, Q = mp.eigsy(Y_ * Y_.T + mp.diag(d.tolist()))
        exact = Q * mp.diag([1 / mp.sqrt(e) for e in E]) * Q.T
    off = np.array([float(mp.mpf(a) - b) for a, b in zip(root.ravel().tolist(), exact)]).reshape(root.shape)
    assert np.abs(off * np.sqrt(np.sqrt(np.outer(d, d)))).max() <= 10 * EPS * amplification(d, Y)


# ---------------------------------------------------------------- inside the loss

class Dense(BuresLoss):
    """The smoothed loss by the singular value decomposition alone."""

    def _is_low_rank(self, W):
        return False


def losses(lam, tau):
    Omega = np.linalg.qr(np.random.default_rng(0).standard_normal((lam.size, lam.size)))[0]
    target = Covariance.from_factor(Omega * np.sqrt(lam))  # a matrix would not keep the small eigenvalues
    return BuresLoss(target, tau), Dense(target, tau)


@pytest.mark.parametrize("condition", [10.0, 1e4, 1e8])
@pytest.mark.parametrize("tau", [1e-8, 1e-3, 0.1, 10.0])
@pytest.mark.parametrize("k", [1, 12])
def test_the_loss_agrees_with_the_dense_route(condition, tau, k):
    loss, dense = losses(np.geomspace(1.0, 1 / condition, 120), tau)
    W = np.random.default_rng(k).standard_normal((120, k)) / 10
    assert loss._is_low_rank(W)
    value, gradient = loss.value_and_gradient(W)
    expected, expected_gradient = dense.value_and_gradient(W)
    size = np.sum(W**2) + loss.target.trace + 120 * tau
    assert abs(value - expected) <= 20 * EPS * size and loss.value(W) == value
    # the SVD has singular values down to sqrt(tau lam_n); the polar factor of W's part is rounded by eps times |F^T W^| / s
    assert np.abs(gradient - expected_gradient).max() <= 50 * EPS * np.sqrt(size * condition) * (1 + 1 / np.sqrt(tau))
    assert check_gradient(loss, W) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("case", ["no noise", "few dimensions", "many columns", "stack", "noise of a different world"])
def test_where_the_loss_keeps_to_the_dense_route(case):
    n, k, tau = {"few dimensions": (50, 2, 0.1), "many columns": (120, 40, 0.1), "no noise": (120, 5, 0.0),
                 "noise of a different world": (120, 5, 1e-40)}.get(case, (120, 5, 0.1))
    loss, dense = losses(np.linspace(2.0, 1.0, n), tau)
    W = np.random.default_rng(0).standard_normal((2, n, k) if case == "stack" else (n, k))
    assert not loss._is_low_rank(W)
    value, gradient = loss.value_and_gradient(W)
    expected, expected_gradient = dense.value_and_gradient(W)
    assert np.array_equal(value, expected) and np.array_equal(gradient, expected_gradient)


@pytest.mark.parametrize("tau", [1e-12, 1e-3, 0.1])
@pytest.mark.parametrize("tail", ["noise", "less than the noise", "a wide range"])
def test_the_value_keeps_the_accuracy_of_the_distance_down_to_the_optimum(tau, tail):
    """Signal and noise of the target may be those of the model: the least loss is zero, and the difference cancels.

    The error of the distance is 10 eps of the norms all along; twice that between two routes.
    """
    tails = {"noise": np.ones(115), "less than the noise": np.linspace(1.0, 0.5, 115),
             "a wide range": np.geomspace(1.0, 1e-2, 115)}
    lam = np.append([9.0, 8.0, 7.0, 6.0, 5.0], tau * tails[tail])
    loss, dense = losses(lam, tau)
    best = best_low_rank(loss.target, 5, tau=tau, factor=True)
    D = np.random.default_rng(0).standard_normal((120, 5))
    for h in np.append(0.0, 2.0 ** -np.arange(0.0, 45.0, 3.0)):
        W = best + h * D
        bound = 20 * EPS * (np.linalg.norm(W) + np.sqrt(120 * tau) + np.sqrt(lam.sum()))
        assert loss._is_low_rank(W)
        value = loss.value(W)
        assert value >= 0 and value == loss.value_and_gradient(W)[0]
        assert abs(np.sqrt(value) - np.sqrt(dense.value(W))) <= bound
    assert loss.value(best) == pytest.approx(loss.minimum(5), rel=1e-9, abs=(20 * EPS * 10) ** 2)


def test_the_value_does_not_jump_where_its_formula_changes():
    lam = np.append([9.0, 8.0, 7.0, 6.0, 5.0], np.full(115, 0.1))
    loss, dense = losses(lam, 0.1)
    best = best_low_rank(loss.target, 5, tau=0.1, factor=True)
    D = np.random.default_rng(0).standard_normal((120, 5))
    values = [(loss.value(best + h * D), dense.value(best + h * D)) for h in np.linspace(0.0, 0.1, 60)]
    shares = np.array(values)[:, 0] / (2 * lam[:5].sum())
    assert shares.min() < 0.001 and shares.max() > 0.03
    for value, expected in values[1:]:
        assert value == pytest.approx(expected, rel=1e-12)
