"""Deep linear networks: products, imbalances, layer gradients, balanced and random networks; laws:
``test_laws_training.py``."""

import dataclasses

import numpy as np
import pytest

from bwlib import BuresLoss, DeepLinearNetwork, balanced_network, random_network

EPS = np.finfo(float).eps

WIDTHS = {"full rank": (4, 4, 4), "bottleneck": (4, 2, 5), "depth 1": (3, 5), "depth 4": (3, 6, 4, 5, 4),
          "one unit": (1, 1), "thin everywhere": (5, 1, 1, 5)}
every_shape = pytest.mark.parametrize("widths", WIDTHS.values(), ids=WIDTHS)


# ---------------------------------------------------------------- hand values

def test_a_network_by_hand():
    network = DeepLinearNetwork([[[1, 2]], [[3], [4]]])
    assert (network.widths, network.depth, network.bottleneck) == ((2, 1, 2), 2, 1)
    assert network.end_to_end().tolist() == [[3.0, 6.0], [4.0, 8.0]]
    assert [D.tolist() for D in network.imbalances()] == [[[25.0 - 5.0]]]
    G = np.array([[1, 0], [0, 1]])
    # W_2^T G = [3 4] and G W_1^T = [1 2]^T
    assert [x.tolist() for x in network.layer_gradients(G)] == [[[3.0, 4.0]], [[1.0], [2.0]]]


def test_a_balanced_network_by_hand():
    network = balanced_network([[8, 0], [0, 1]], (2, 2, 2, 2))
    assert [np.abs(W).round(12).tolist() for W in network.weights] == [np.diag([2.0, 1.0]).tolist()] * 3


def test_depth_one_is_the_matrix_itself():
    W = np.arange(6.0).reshape(2, 3)
    network = balanced_network(W, (3, 2))
    assert network.end_to_end().tolist() == W.tolist()
    assert network.imbalances() == []
    assert [x.tolist() for x in network.layer_gradients(W)] == [W.tolist()]


def test_the_zero_matrix_is_balanced_through_any_width():
    network = balanced_network(np.zeros((3, 2)), (2, 1, 3))
    assert not any(W.any() for W in network.weights)


# ---------------------------------------------------------------- laws

@every_shape
def test_laws_of_a_network(widths):
    network = random_network(widths, rng=0)
    product = np.linalg.multi_dot([np.eye(widths[-1]), *network.weights[::-1], np.eye(widths[0])])
    assert network.widths == widths and network.depth == len(widths) - 1 and network.bottleneck == min(widths)
    assert network.end_to_end().shape == (widths[-1], widths[0])
    assert np.allclose(network.end_to_end(), product, atol=100 * EPS)
    assert np.linalg.matrix_rank(network.end_to_end()) == min(widths)
    for j, D in enumerate(network.imbalances(), start=1):
        assert D.shape == (widths[j], widths[j])
        assert np.allclose(D, D.T, atol=100 * EPS)


@every_shape
def test_layer_gradients_are_adjoint_to_the_differential(widths):
    """``<dmu(theta)[Z], G> = sum_j <Z_j, G_j>``: the differential by Leibniz, product by product."""
    rng = np.random.default_rng(1)
    network = random_network(widths, rng=rng)
    Z = [rng.standard_normal(W.shape) for W in network.weights]
    G = rng.standard_normal((widths[-1], widths[0]))
    differential = sum(DeepLinearNetwork([*network.weights[:j], Z[j], *network.weights[j + 1:]]).end_to_end()
                       for j in range(network.depth))
    gradients = network.layer_gradients(G)
    assert [g.shape for g in gradients] == [W.shape for W in network.weights]
    assert np.vdot(differential, G) == pytest.approx(sum(map(np.vdot, Z, gradients)), rel=1e-12, abs=1e-12)


@every_shape
def test_layer_gradients_obey_the_conservation_law(widths):
    r"""``W_{j+1}^T G_{j+1} = G_j W_j^T``: why the flow conserves the imbalances."""
    rng = np.random.default_rng(2)
    network = random_network(widths, rng=rng)
    G = network.layer_gradients(rng.standard_normal((widths[-1], widths[0])))
    W = network.weights
    for j in range(network.depth - 1):
        assert np.allclose(W[j + 1].T @ G[j + 1], G[j] @ W[j].T, atol=1e-12)


def test_a_balanced_network_survives_a_rank_deficient_matrix():
    """Roots of rounding errors, 1e-16 ** (1/4) = 1e-4, must not appear."""
    W = np.outer([1.0, 2, 3], [1.0, -1, 2])
    for layer in balanced_network(W, (3, 3, 3, 3, 3)).weights:
        assert np.linalg.svd(layer, compute_uv=False)[1] <= 1e-15


def test_gradient_step_from_a_balanced_start_keeps_balance_to_second_order():
    """After one step of size eta the imbalance is eta^2 (...): slope 2 exactly."""
    network = balanced_network(np.random.default_rng(3).standard_normal((3, 3)), (3, 3, 3))
    G = network.layer_gradients(BuresLoss(np.diag([1.0, 2.0, 3.0])).gradient(network.end_to_end()))
    eta = 2.0 ** -np.arange(3, 9)
    sizes = [np.linalg.norm(DeepLinearNetwork([W - h * g for W, g in zip(network.weights, G)]).imbalances()[0])
             for h in eta]
    assert np.polyfit(np.log(eta), np.log(sizes), 1)[0] == pytest.approx(2.0, abs=1e-6)


# ---------------------------------------------------------------- randomness

def test_random_entries_have_the_stated_variance():
    """40,000 entries per layer: the sample variance has a relative standard error of sqrt(2 / 40000) = 0.7 %."""
    network = random_network((200, 200, 400), scale=3.0, rng=0)
    for W, d_in in zip(network.weights, (200, 200)):
        assert W.var() == pytest.approx(9.0 / d_in, rel=0.035)
        assert abs(W.mean()) <= 5 * 3 / np.sqrt(d_in) / np.sqrt(W.size)


def test_seeds_and_generators():
    a, b = random_network((2, 3), rng=5), random_network((2, 3), rng=np.random.default_rng(5))
    assert np.array_equal(a.weights[0], b.weights[0])
    rng = np.random.default_rng(5)
    first, second = random_network((2, 3), rng=rng), random_network((2, 3), rng=rng)
    assert not np.array_equal(first.weights[0], second.weights[0])
    state = np.random.get_state()[1].copy()
    random_network((2, 3), rng=1)
    assert np.array_equal(np.random.get_state()[1], state)  # no global state
    assert not random_network((2, 3), scale=0, rng=0).weights[0].any()


# ---------------------------------------------------------------- frozen, precisions, layouts

def test_networks_are_frozen_copies():
    W = np.eye(2)
    network = DeepLinearNetwork([W, W])
    W[0, 0] = 99.0
    assert network.weights[0][0, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        network.weights[0][0, 0] = 5.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        network.weights = ()
    product = DeepLinearNetwork([np.eye(2)]).end_to_end()
    product[0, 0] = 5.0  # the caller's own


@pytest.mark.parametrize("dtype", [np.int64, np.float32])
def test_other_precisions_are_converted_first(dtype):
    W = np.array([[1, 2], [3, 4]], dtype=dtype)
    network = DeepLinearNetwork(w for w in (W, np.asfortranarray(W)))
    assert all(w.dtype == np.float64 for w in network.weights)
    assert network.end_to_end().tolist() == [[7.0, 10.0], [15.0, 22.0]]
    assert balanced_network(W, np.array([2, 3, 2])).end_to_end() == pytest.approx(np.array([[1, 2], [3, 4]]), rel=1e-13)


def test_a_stack_of_equal_layers_is_a_network():
    assert DeepLinearNetwork(np.stack([np.eye(3)] * 4)).depth == 4
