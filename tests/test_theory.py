"""Certified constants: formulas by hand, hypotheses, and no certified bound violated on random instances."""

import numpy as np
import pytest

from bwlib import (
    BuresLoss,
    Covariance,
    DeepLinearNetwork,
    Status,
    arora_step_size,
    authors_step_size,
    balanced_network,
    bottleneck_rate,
    certified_step_size,
    contraction_factor,
    critical_points,
    deficiency_margin,
    end_to_end_flow,
    flow_rate,
    gradient_descent,
    mode_rates,
    paper_flow_rate,
    parameter_hessian,
    stability_limit,
)

EPS = np.finfo(float).eps


def admissible(seed):
    """A random target, smoothing, depth and a start with a margin, n <= 6, depth 1 to 12; some starts wide."""
    rng = np.random.default_rng(seed)
    n, depth = int(rng.integers(1, 7)), int(rng.integers(1, 13))
    target = Covariance.from_spectrum(np.exp(rng.uniform(-1, 1, n)), rng=rng)
    least = target.eigenvalues[-1]
    tau = float(rng.choice([0.0, rng.uniform(0, 0.5) * least]))
    m = n + int(rng.integers(0, 3))
    P = np.linalg.qr(rng.standard_normal((m, n)))[0].T
    best = (target.eigenvectors * np.sqrt(target.eigenvalues - tau)) @ target.eigenvectors.T @ P
    D = rng.standard_normal((n, m))
    room = (np.sqrt(least) - np.sqrt(tau)) * rng.uniform(0.1, 0.9)
    loss = BuresLoss(target, tau)
    size = room / np.linalg.norm(D)  # the root of the loss is 1-Lipschitz in W
    return target, tau, depth, loss, best + size * D


def test_the_margin_and_its_failure():
    assert deficiency_margin(np.diag([2.0, 1.0]), np.diag([4.0, 1.0])) == pytest.approx(1.0, abs=1e-15)
    assert deficiency_margin([[1.0]], [[1.25]], tau=0.25) == pytest.approx(1.0, abs=1e-15)
    with pytest.raises(ValueError, match="1.5 \\+ 0 is not below 0.5: 1 too much"):
        deficiency_margin(np.diag([2.0, 1.0]), np.diag([0.25, 1.0]))
    with pytest.raises(ValueError, match="every width at least 2"):
        deficiency_margin([[2.0], [0.0]], np.diag([4.0, 1.0]))
    with pytest.raises(ValueError, match="choose tau below lambda_n"):
        deficiency_margin([[1e-3]], [[1.0]], tau=1.0)


def test_unbalanced_networks_are_refused_with_a_number():
    network = DeepLinearNetwork([2 * np.eye(2), np.eye(2)])
    with pytest.raises(ValueError, match="imbalance is 3, above rounding"):
        certified_step_size(network, np.diag([4.0, 3.0]))
    balanced = balanced_network(2 * np.eye(2), (2, 3, 2))
    step = certified_step_size(balanced, np.diag([4.0, 3.5]))
    assert step == pytest.approx(certified_step_size(2 * np.eye(2), np.diag([4.0, 3.5]), 2), rel=1e-12)
    with pytest.raises(ValueError, match="depth must be that of the network, 2"):
        certified_step_size(balanced, np.diag([4.0, 3.5]), 3)


def test_formulas_by_hand():
    """lambda = 4, W = 1.5, N = 2: root of the loss 0.5, c = 1.5, rho = 2.5, L_0 = 0.25."""
    step = certified_step_size([[1.5]], [[4.0]], 2)
    assert step == pytest.approx(min(1 / (8 * 2.5), 1.5**3 / (256 * 2.5**2 * 0.25)), rel=1e-14)
    assert contraction_factor(1.5, 2, step) == pytest.approx((1 - step * 3) ** 2, rel=1e-14)
    assert flow_rate(1.5, 2) == pytest.approx(8 * 1.5, rel=1e-15)
    assert arora_step_size([[1.5]], [[4.0]], 2) == pytest.approx(1.5**3 / (2 * 6144 * 8 * 2**4), rel=1e-14)
    C0, kappa = 8.5, 3.0
    M = np.sqrt(C0)
    Delta = 8 / 1.5**4 * 4 * M**2.5 * 2 + 16 * M * (np.sqrt(M) + 4)
    by_hand = min(1.5**2 / (8 * M * 0.5), kappa / (2 * Delta), 1 / (4 * kappa))
    assert authors_step_size([[1.5]], [[4.0]], 2) == pytest.approx(by_hand, rel=1e-14)


@pytest.mark.parametrize("n", [1, 2, 20])
def test_the_sharp_rate_exceeds_the_paper_form(n):
    """The ratio is C_0^2 / (sqrt(tau lambda_n) (c^2 + tau)), always above 4 n^2."""
    rng = np.random.default_rng(n)
    for _ in range(50):
        lam = np.sort(rng.uniform(0.5, 4, n))[::-1]
        target, tau = Covariance.from_spectrum(lam), rng.uniform(1e-3, 0.4)
        depth, loss = int(rng.integers(1, 9)), BuresLoss(Covariance.from_spectrum(lam), tau)
        W = np.diag(np.sqrt(target.eigenvalues - tau))
        initial = loss.value(W)
        c = deficiency_margin(W, target, tau=tau)
        paper = paper_flow_rate(c, depth, target=target, initial_loss=initial, tau=tau)
        ratio = flow_rate(c, depth, tau=tau) / paper
        C0 = 2 * (initial + target.trace)
        assert ratio == pytest.approx(C0**2 / (np.sqrt(tau * target.eigenvalues[-1]) * (c**2 + tau)), rel=1e-12)
        assert ratio > 4 * n**2
    assert paper_flow_rate(1.0, 2, target=target, initial_loss=0.1, tau=0.0) == 0.0


def test_no_flow_violates_its_certified_rate():
    """300 instances; the integration error of the loss is below 1e-9 of its start, the rest is inequality."""
    for seed in range(300):
        target, tau, depth, loss, W = admissible(seed)
        c = deficiency_margin(W, target, tau=tau)
        times = np.array([0.0, 0.05, 0.2, 0.5]) / depth
        flow = end_to_end_flow(W, loss, depth, times, rtol=1e-9, atol=1e-11)
        assert flow.status is Status.FINISHED
        bound = flow.loss[0] * np.exp(-flow_rate(c, depth, tau=tau) * times)
        assert (flow.loss <= bound + 1e-8 * flow.loss[0] + 1e-28).all()
        assert (flow.singular_values[:, target.dim - 1] >= c * (1 - 1e-7)).all()


def test_no_descent_violates_its_certified_contraction():
    """300 instances of 30 steps at the certified step; rounding of the loss is eps times the squared norms."""
    for seed in range(300, 600):
        target, tau, depth, loss, W = admissible(seed)
        network = balanced_network(W, (W.shape[1],) + (target.dim + seed % 2,) * (depth - 1) + (target.dim,))
        c, eta = deficiency_margin(W, target, tau=tau), certified_step_size(network, target, tau=tau)
        run = gradient_descent(network, loss, eta, max_steps=30, tol=0)
        factor = contraction_factor(c, depth, eta, tau=tau)
        slack = 1e3 * EPS * np.sqrt(run.loss[:-1] * target.trace) + 1e4 * EPS**2 * target.trace
        assert (run.loss[1:] <= factor * run.loss[:-1] + slack).all()
        assert (run.singular_values[:, target.dim - 1] >= c * (1 - 1e-12)).all()


@pytest.mark.parametrize("tau", [0.0, 0.3])
@pytest.mark.parametrize("depth", [1, 2, 3, 6])
def test_the_stability_limit_is_that_of_the_hessian(depth, tau):
    target = Covariance.from_spectrum([4.0, 2.0, 0.5], rng=0)
    point = critical_points(target, 3, tau=tau)[0]
    network = balanced_network(point.factor, (3,) * (depth + 1))
    top = np.linalg.eigvalsh(parameter_hessian(network, BuresLoss(target, tau)))[-1]
    assert stability_limit(target, depth, tau=tau) == pytest.approx(2 / top, rel=1e-11)


@pytest.mark.parametrize("tau", [0.0, 0.3])
@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_mode_rates_are_the_eigenvalues_of_the_balanced_hessian(rank, depth, tau):
    """At a balanced minimum the non-zero parameter Hessian eigenvalues are the rates: its image is that of the flow."""
    target = Covariance.from_spectrum([4.0, 2.0, 0.5], rng=0)
    network = balanced_network(critical_points(target, rank, tau=tau)[0].factor, (rank,) * depth + (3,))
    values = np.linalg.eigvalsh(parameter_hessian(network, BuresLoss(target, tau)))
    inside, outside = mode_rates(target, rank, depth, tau=tau)
    rates = np.sort(np.concatenate([inside[np.triu_indices(rank)], outside.ravel()]))
    assert np.abs(values[values > 1e-9] - rates).max() < 1e-11 * rates[-1]
    assert bottleneck_rate(target, rank, depth, tau=tau) == pytest.approx(2 * rates[0], rel=1e-14)


def test_bottleneck_rate_closed_form_and_gap():
    lam = [4.0, 2.0, 0.5]
    assert bottleneck_rate(np.diag(lam), 2, 3) == pytest.approx(4 * 1.5 * 2 ** (-1 / 3), rel=1e-14)
    assert bottleneck_rate(np.diag(lam), 3, 3) == pytest.approx(12 * 0.5 ** (2 / 3), rel=1e-14)
    assert bottleneck_rate(np.diag([2.0, 1.0, 1.0]), 2, 2) == 0.0
    with pytest.raises(ValueError, match="above tau"):
        mode_rates(np.diag(lam), 3, 2, tau=1.0)
