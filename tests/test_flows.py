"""Gradient flows: against exact solutions, against each other, and every way an integration can end."""

import numpy as np
import pytest
import scipy
from scipy.integrate import quad

import bwlib.flows
from bwlib import (
    BuresLoss,
    Covariance,
    DeepLinearNetwork,
    FrobeniusLoss,
    Status,
    aligned_flow,
    balanced_network,
    bures_wasserstein,
    end_to_end_flow,
    geodesic,
    gradient_descent,
    gradient_flow,
    random_network,
    shallow_flow,
)

TARGET = Covariance.from_spectrum([4.0, 2.0, 1.0, 0.5], rng=0)
TIGHT = {"rtol": 1e-11, "atol": 1e-13}  # the global error of smooth, contracting flows stays within a factor 1000
WIDTHS = {"depth 1": (4, 4), "wide": (5, 6, 4), "bottleneck": (4, 2, 5, 4), "latent bottleneck": (2, 4, 4),
          "depth 5": (4, 4, 4, 4, 4, 4)}
every_network = pytest.mark.parametrize("widths", WIDTHS.values(), ids=WIDTHS)
LOSSES = {"tau 0": BuresLoss(TARGET), "tau 0.2": BuresLoss(TARGET, 0.2), "Frobenius": FrobeniusLoss(TARGET)}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def matrix(rank, m, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((4, rank)) @ rng.standard_normal((rank, m)) / np.sqrt(m)


@every_network
@every_loss
def test_layerwise_and_function_space_flow_agree(widths, loss):
    W = matrix(min(widths), widths[0])
    times = [0.0, 0.3, 1.0, 3.0]
    layers = gradient_flow(balanced_network(W, widths), loss, times, **TIGHT)
    function = end_to_end_flow(W, loss, len(widths) - 1, times, **TIGHT)
    assert layers.status is function.status is Status.FINISHED
    assert np.abs(layers.end_to_end - function.end_to_end).max() < 1e-8
    assert np.abs(layers.gradient_norm - function.gradient_norm).max() < 1e-7 * layers.gradient_norm[0]
    assert layers.imbalance.max() < 1e-8 and (np.diff(layers.loss) < 0).all()
    assert np.abs(layers.gap - (layers.loss - loss.minimum(min(widths)))).max() == 0
    assert function.networks is None and len(layers.networks) == len(times)


@pytest.mark.parametrize("tau", [0.0, 0.3])
@pytest.mark.parametrize("depth", [1, 2, 3, 7, 50])
def test_rank_deficient_starts_keep_rank_and_row_space(depth, tau):
    """The flow of ``W = X V^T`` is that of ``X``; fractional powers of singular matrices would lose digits here."""
    W = matrix(2, 5)
    _, _, Vt = np.linalg.svd(W)
    flow = end_to_end_flow(W, BuresLoss(TARGET, tau), depth, [0.0, 1.0, 5.0], **TIGHT)
    thin = end_to_end_flow(W @ Vt[:2].T, BuresLoss(TARGET, tau), depth, [0.0, 1.0, 5.0], **TIGHT)
    assert np.abs(flow.end_to_end @ Vt[2:].T).max() < 1e-13
    assert np.abs(flow.end_to_end @ Vt[:2].T - thin.end_to_end).max() < 1e-8
    assert (flow.singular_values[:, 2:] < 1e-13).all()
    assert abs(flow.gap[-1] - (flow.loss[-1] - BuresLoss(TARGET, tau).minimum(2))) == 0


def test_the_velocity_is_the_sum_of_fractional_powers():
    W, depth = matrix(4, 4), 5
    U, s, Vt = np.linalg.svd(W)
    G = BuresLoss(TARGET, 0.1).gradient(W)

    def left(p):
        return (U * s ** (2 * p)) @ U.T

    def right(p):
        return (Vt.T * s ** (2 * p)) @ Vt

    powers = sum(left((depth - j) / depth) @ G @ right((j - 1) / depth) for j in range(1, depth + 1))
    assert np.abs(bwlib.flows._precondition(W, G, depth) - powers).max() < 1e-12 * np.abs(powers).max()


def test_multipliers_do_not_cancel():
    """Against the sum of N terms, at equal, nearly equal, tiny and zero arguments."""
    x = np.array([2.0, 1.0 + 1e-12, 1.0, 1e-9, 0.0])
    for depth in (1, 2, 3, 10):
        terms = sum(np.multiply.outer(x ** (depth - j), x ** (j - 1)) for j in range(1, depth + 1))
        error = np.abs(bwlib.flows.multipliers(x, depth) - terms)
        assert (error <= 20 * depth * np.finfo(float).eps * terms).all()


@pytest.mark.parametrize("m", [4, 6])
def test_shallow_flow_is_exact(m):
    W0, t = matrix(4, m), np.array([0.0, 0.2, 1.0, 4.0])
    exact, loss = shallow_flow(W0, TARGET, t), BuresLoss(TARGET)
    flow = gradient_flow(W0, loss, t, **TIGHT)
    assert np.abs(flow.end_to_end - exact).max() < 1e-9
    assert np.abs(loss.value(exact) / loss.value(W0) - np.exp(-4 * t)).max() < 1e-12
    s = 1 - np.exp(-2 * t[1])
    on_geodesic = geodesic(W0 @ W0.T, TARGET, s)
    assert bures_wasserstein(exact[1] @ exact[1].T, on_geodesic) < 1e-7
    assert shallow_flow(W0, TARGET, 0.2).shape == (4, m)


def test_shallow_flow_towards_a_singular_target():
    target = Covariance(np.diag([2.0, 1.0, 0.0]))
    W0 = np.random.default_rng(0).standard_normal((3, 3))
    flow = gradient_flow(W0, BuresLoss(target), [0.0, 0.5], **TIGHT)
    assert np.abs(flow.end_to_end[-1] - shallow_flow(W0, target, 0.5)).max() < 1e-9


@pytest.mark.parametrize("tau", [0.0, 0.3, 2.5])
@pytest.mark.parametrize("depth", [1, 2, 3, 6])
def test_aligned_flow_solves_the_flow_of_diagonal_matrices(depth, tau):
    """Decoupled modes above and below their goal, with a goal of zero where tau exceeds an eigenvalue."""
    s0, lam, t = np.array([0.05, 0.5, 3.0]), np.array([4.0, 2.0, 1.0]), np.array([0.0, 0.3, 1.0, 6.0])
    modes = aligned_flow(s0, lam, depth, t, tau=tau)
    flow = end_to_end_flow(np.diag(s0), BuresLoss(np.diag(lam), tau), depth, t, rtol=1e-12, atol=1e-14)
    assert np.abs(modes - np.array([np.diag(W) for W in flow.end_to_end])).max() < 1e-10


@pytest.mark.parametrize("depth, tau", [(1, 0.25), (2, 0.0), (2, 0.25), (3, 0.0), (4, 0.0), (4, 0.25)])
def test_aligned_flow_takes_the_time_of_the_quadrature(depth, tau):
    """An independent route: the time from s0 to s is the integral of 1 / velocity."""
    lam, t = 1.0, 1.7
    s = aligned_flow(0.05, lam, depth, t, tau=tau)

    def pace(s):
        return 1 / (2 * depth * s ** (3 - 2 / depth) * (np.sqrt(lam / (s**2 + tau)) - 1))

    assert abs(quad(pace, 0.05, float(s), epsabs=1e-13, epsrel=1e-12)[0] - t) < 1e-8


def test_aligned_flow_at_rest_and_shapes():
    assert aligned_flow([0.0, 2.0], [1.0, 4.0], 3, [0.0, 5.0]).tolist() == [[0.0, 2.0], [0.0, 2.0]]
    assert aligned_flow(0.0, 1.0, 2, 1.0) == 0.0
    assert aligned_flow(0.5, [1.0, 4.0], 3, 0.0).tolist() == [0.5, 0.5]
    assert aligned_flow(0.5, 4.0, 3, 1e3) == 2.0      # the only time lies after the mode has come to rest
    assert abs(aligned_flow(0.0, 1.0, 1, 1.0) - (1 - np.exp(-2))) < 1e-15
    assert aligned_flow(1.0, [4.0, 1.0, 0.0], 2, np.ones((2, 5))).shape == (2, 5, 3)
    assert abs(aligned_flow(0.5, 0.0, 2, 3.0) - 0.5 / (1 + 4 * 0.5 * 3)) < 1e-11


@pytest.mark.parametrize("method", bwlib.flows.METHODS)
def test_every_method_integrates(method):
    network = balanced_network(matrix(4, 4), (4, 4, 4))
    reference = gradient_flow(network, LOSSES["tau 0.2"], [2.0], **TIGHT).end_to_end
    flow = gradient_flow(network, LOSSES["tau 0.2"], [2.0], rtol=1e-6, atol=1e-8, method=method)
    assert flow.status is Status.FINISHED and flow.t.tolist() == [2.0]
    assert np.abs(flow.end_to_end - reference).max() < 1e-4


def test_flow_is_the_limit_of_descent():
    network, loss = random_network((4, 3, 4), rng=3), LOSSES["tau 0.2"]
    flow = gradient_flow(network, loss, [1.0], **TIGHT)
    errors = [np.abs(gradient_descent(network, loss, 1 / steps, max_steps=steps, tol=0).end_to_end[-1]
                     - flow.end_to_end[-1]).max() for steps in (200, 400, 800)]
    assert np.allclose(np.divide(errors[:-1], errors[1:]), 2, atol=0.1)


def test_an_interrupted_flow_keeps_its_rows(monkeypatch):
    calls = iter(range(3))

    def slow(*args, **options):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return original(*args, **options)

    original = scipy.integrate.solve_ivp
    monkeypatch.setattr(scipy.integrate, "solve_ivp", slow)
    flow = gradient_flow(np.eye(4), LOSSES["tau 0"], [0.5, 1.0, 1.5])
    assert flow.status is Status.INTERRUPTED and flow.t.tolist() == [0.5, 1.0]


def test_an_integrator_that_gives_up_is_reported(monkeypatch):
    class Failed:
        success = False

    monkeypatch.setattr(scipy.integrate, "solve_ivp", lambda *args, **options: Failed())
    flow = gradient_flow(np.eye(4), LOSSES["tau 0"], [1.0])
    assert flow.status is Status.STOPPED and flow.t.tolist() == [0.0] and "at t = 0" in flow.message


def test_loss_of_rank_at_a_kink_is_reported():
    """The true flow is pushed away from kinks; a gradient that is wrong on purpose runs into one."""
    class Falling(BuresLoss):
        def _value_and_gradient(self, W):
            return super()._value_and_gradient(W)[0], np.diag([0.0, 1.0])

    flow = gradient_flow(np.eye(2), Falling(np.eye(2)), [0.5, 1.0, 1.5])
    assert flow.status is Status.RANK_LOST and flow.t.tolist() == [0.5, 1.0]
    assert "at t = 1" in flow.message and "kink" in flow.status.advice


def test_the_flow_from_zero_stays_where_the_loss_is_smooth():
    flow = end_to_end_flow(np.zeros((4, 3)), LOSSES["tau 0.2"], 2, [0.0, 1.0])
    assert np.abs(flow.end_to_end).max() == 0 and flow.gradient_norm.max() == 0


@pytest.mark.parametrize("method", ["DOP853", "Radau"])
def test_a_trial_step_that_overflows_is_taken_again(method):
    """Layers of very different sizes make the first trial step far too long."""
    network = DeepLinearNetwork([1e6 * np.eye(2), 1e-6 * np.eye(2)])
    flow = gradient_flow(network, BuresLoss(np.diag([2.0, 0.5])), [1e-11], method=method)
    assert flow.status is Status.FINISHED and flow.loss[-1] < 1e-6
    far = end_to_end_flow(1e3 * np.eye(2), BuresLoss(np.eye(2)), 30, [1e-3], method=method)
    assert far.status is Status.FINISHED and far.loss[-1] < 20 < 1e6 < BuresLoss(np.eye(2)).value(1e3 * np.eye(2))


def test_an_overflowing_start_is_refused():
    with pytest.raises(ValueError, match="overflow"):
        gradient_flow(1e200 * np.eye(4), LOSSES["tau 0"], [1.0])
