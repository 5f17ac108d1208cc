"""Gradient descent: exact oracles, records, and every way a run can end; laws: ``test_laws_training.py``."""

import dataclasses

import numpy as np
import pytest

from bwlib import (
    BuresLoss,
    Covariance,
    DeepLinearNetwork,
    FrobeniusLoss,
    Status,
    balanced_network,
    ensemble_descent,
    gradient_descent,
    polar,
    random_network,
)

EPS = np.finfo(float).eps
TARGET = Covariance.from_spectrum([4.0, 2.0, 1.0], rng=0)
NETWORKS = {"depth 1": (3, 3), "full rank": (3, 4, 3), "bottleneck": (3, 2, 3), "depth 4": (3, 3, 4, 3, 3)}
every_network = pytest.mark.parametrize("widths", NETWORKS.values(), ids=NETWORKS)


class Watched(BuresLoss):
    """Counts its evaluations, and raises at a chosen one."""

    def __init__(self, target, raise_at=None):
        super().__init__(target)
        object.__setattr__(self, "raise_at", raise_at)
        object.__setattr__(self, "evaluations", 0)

    def _value_and_gradient(self, W):
        object.__setattr__(self, "evaluations", self.evaluations + 1)
        if self.evaluations == self.raise_at:
            raise KeyboardInterrupt
        return super()._value_and_gradient(W)


def start(m=3, seed=1):
    return np.random.default_rng(seed).standard_normal((3, m))


# ---------------------------------------------------------------- exact oracles

def test_half_a_step_ends_at_once():
    run = gradient_descent(start(), BuresLoss(TARGET), 0.5)
    assert run.status is Status.CONVERGED and run.t.tolist() == [0.0, 0.5]
    assert run.loss[-1] <= (50 * EPS) ** 2


def test_half_steps_of_low_rank_are_subspace_iterations():
    """``R W_{t+1} = Sigma0 polar(R W_t)``."""
    W0, R = start(2), TARGET.root
    run = gradient_descent(W0, BuresLoss(TARGET), 0.5, max_steps=5, tol=0)
    for W, following in zip(run.end_to_end, run.end_to_end[1:]):
        assert np.allclose(R @ following, TARGET.matrix @ polar(R @ W), atol=1e-13)


@every_network
@pytest.mark.parametrize("loss", [BuresLoss(TARGET), BuresLoss(TARGET, 0.2), FrobeniusLoss(TARGET)],
                         ids=["Bures", "smoothed", "Frobenius"])
def test_every_row_is_the_written_out_iteration(widths, loss):
    """The slow obvious method first: the update, row by row, from the public parts."""
    network, eta = random_network(widths, rng=2), 0.01
    run = gradient_descent(network, loss, eta, max_steps=6, tol=0)
    assert run.t == pytest.approx(eta * np.arange(7))
    for k in range(7):
        W = network.end_to_end()
        G = network.layer_gradients(loss.gradient(W))
        assert np.allclose(run.end_to_end[k], W, atol=1e-12)
        assert run.loss[k] == pytest.approx(loss.value(W), rel=1e-11)
        assert run.gap[k] == pytest.approx(loss.value(W) - loss.minimum(min(widths)), abs=1e-11)
        assert run.gradient_norm[k] == pytest.approx(np.sqrt(sum(np.sum(g**2) for g in G)), rel=1e-11)
        assert np.allclose(run.singular_values[k], np.linalg.svd(W, compute_uv=False), atol=1e-12)
        sizes = [np.linalg.norm(D, 2) for D in network.imbalances()]
        assert run.imbalance[k] == pytest.approx(max(sizes, default=0.0), abs=1e-12)
        for layer, mine in zip(run.networks[k].weights, network.weights):
            assert np.allclose(layer, mine, atol=1e-12)
        network = DeepLinearNetwork([W - eta * g for W, g in zip(network.weights, G)])


def test_a_matrix_runs_like_a_network_of_depth_one():
    W0, loss = start(), BuresLoss(TARGET)
    matrix, network = gradient_descent(W0, loss, 0.1), gradient_descent(DeepLinearNetwork([W0]), loss, 0.1)
    assert matrix.networks is None and len(network.networks) == len(network.t)
    assert np.array_equal(matrix.end_to_end, network.end_to_end)
    assert not matrix.imbalance.any()


# ---------------------------------------------------------------- laws

@every_network
def test_descent_converges_to_the_best_of_its_rank(widths):
    run = gradient_descent(random_network(widths, rng=3), BuresLoss(TARGET), 0.05, max_steps=20000, tol=1e-9,
                           record_every=100)
    assert run.status is Status.CONVERGED
    assert run.gradient_norm[-1] <= 1e-9
    assert abs(run.gap[-1]) <= 1e-12
    assert (np.diff(run.loss) <= 1e-13).all()  # small enough a step: the loss never grows
    assert (np.diff(run.singular_values, axis=1) <= 0).all()


def test_imbalance_of_a_balanced_start_is_of_second_order_in_the_step():
    """Over a fixed time it is of first order: eta^2 per step, 1/eta steps."""
    network = balanced_network(start(), (3, 3, 3))
    etas = np.array([0.02, 0.01, 0.005, 0.0025])
    final = [gradient_descent(network, BuresLoss(TARGET), eta, max_steps=round(0.2 / eta), tol=0).imbalance[-1]
             for eta in etas]
    assert np.polyfit(np.log(etas), np.log(final), 1)[0] == pytest.approx(1.0, abs=0.15)
    one = [gradient_descent(network, BuresLoss(TARGET), eta, max_steps=1, tol=0).imbalance[-1] for eta in etas]
    assert np.polyfit(np.log(etas), np.log(one), 1)[0] == pytest.approx(2.0, abs=1e-6)


def test_gap_counts_from_the_minimum_of_the_bottleneck():
    run = gradient_descent(start(2), BuresLoss(TARGET), 0.25, max_steps=500)
    assert run.loss[-1] == pytest.approx(1.0, abs=1e-12) and abs(run.gap[-1]) <= 1e-12


# ---------------------------------------------------------------- recording

def rows(run, eta=0.25):
    return np.rint(run.t / eta).astype(int).tolist()


@pytest.mark.parametrize("record_every, expected", [
    (1, [0, 1, 2, 3, 4, 5, 6, 7]), (3, [0, 3, 6, 7]), (7, [0, 7]), (100, [0, 7]), ([2, 5], [0, 2, 5, 7]),
    ([], [0, 7]), ({0, 7, 9}, [0, 7]), (np.array([1, 4]), [0, 1, 4, 7]), (range(0, 8, 4), [0, 4, 7]),
    (iter([6, 6]), [0, 6, 7]),
])
def test_recording_at_chosen_steps(record_every, expected):
    run = gradient_descent(start(), BuresLoss(TARGET, 0.1), 0.25, max_steps=7, tol=0, record_every=record_every)
    everything = gradient_descent(start(), BuresLoss(TARGET, 0.1), 0.25, max_steps=7, tol=0)
    assert rows(run) == expected
    for name in ("t", "loss", "gap", "gradient_norm", "singular_values", "imbalance", "end_to_end"):
        assert np.array_equal(getattr(run, name), getattr(everything, name)[expected])


def test_one_evaluation_per_step():
    loss = Watched(TARGET)
    gradient_descent(start(), loss, 0.01, max_steps=9, tol=0)
    assert loss.evaluations == 10


def test_no_steps_at_all():
    run = gradient_descent(start(), BuresLoss(TARGET), 0.1, max_steps=0)
    assert run.status is Status.MAX_STEPS and rows(run) == [0]
    done = gradient_descent(np.diag([2.0, 1.0]), BuresLoss(np.diag([4.0, 1.0])), 0.1)
    assert done.status is Status.CONVERGED and len(done.t) == 1
    assert gradient_descent(np.diag([2.0, 1.0]), BuresLoss(np.diag([4.0, 1.0])), 0.1, max_steps=0).status \
        is Status.CONVERGED


# ---------------------------------------------------------------- endings

def test_stops_at_the_first_gradient_within_tol():
    run = gradient_descent(start(), BuresLoss(TARGET), 0.1, tol=1e-4)
    assert run.status is Status.CONVERGED
    assert run.gradient_norm[-1] <= 1e-4 < run.gradient_norm[-2]


def test_stops_at_max_steps():
    run = gradient_descent(start(), BuresLoss(TARGET), 0.01, max_steps=4)
    assert run.status is Status.MAX_STEPS and rows(run, 0.01) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("network", [start(), random_network((3, 3, 3), rng=4)], ids=["matrix", "network"])
def test_divergence_is_seen_and_the_record_kept(network):
    run = gradient_descent(network, BuresLoss(TARGET), 5.0, max_steps=10**6, record_every=10**6)
    assert run.status in (Status.DIVERGED, Status.NON_FINITE)
    assert len(run.t) >= 2 if run.status is Status.DIVERGED else len(run.t) >= 1
    for x in (run.loss, run.gap, run.gradient_norm, run.singular_values, run.imbalance, run.end_to_end):
        assert np.isfinite(x).all()


def test_divergence_of_a_single_matrix_is_geometric():
    """eta = 5: the loss grows by 81 a step, and passes a million times its start within four steps."""
    run = gradient_descent(start(), BuresLoss(TARGET), 5.0)
    assert run.status is Status.DIVERGED
    assert run.loss[-1] > 1e6 * run.loss[0] >= run.loss[-2]


def test_growth_from_a_good_start_is_no_divergence():
    """A start at the minimum up to 1e-9 may grow by a million and still be near it."""
    W0 = TARGET.factor * (1 + 1e-9)
    run = gradient_descent(W0, BuresLoss(TARGET), 1.05, max_steps=60, tol=0)
    assert run.status is Status.MAX_STEPS and run.loss[-1] > 10 * run.loss[0]


@pytest.mark.parametrize("loss, eta", [(BuresLoss(TARGET), 1e200), (FrobeniusLoss(TARGET), 1e80),
                                       (BuresLoss(TARGET, 0.1), 1e308)])
@pytest.mark.parametrize("network", [start(), random_network((3, 3, 3, 3), rng=4)], ids=["matrix", "network"])
def test_overflow_is_no_error(network, loss, eta):
    run = gradient_descent(network, loss, eta)
    assert run.status is Status.NON_FINITE and rows(run, eta) == [0]
    assert np.isfinite(run.end_to_end).all() and "after 0 steps" in run.message


@pytest.mark.parametrize("loss", [BuresLoss(TARGET), FrobeniusLoss(TARGET)], ids=["Bures", "Frobenius"])
def test_a_start_that_overflows_is_refused(loss):
    with pytest.raises(ValueError, match="network must have a finite loss"):
        gradient_descent(1e155 * start(), loss, 0.1)


@pytest.mark.parametrize("record_every", [1, 2, 100])
def test_an_interrupted_run_keeps_its_record(record_every):
    whole = gradient_descent(start(), BuresLoss(TARGET), 0.05, max_steps=20, tol=0, record_every=record_every)
    run = gradient_descent(start(), Watched(TARGET, raise_at=7), 0.05, max_steps=20, tol=0, record_every=record_every)
    # the seventh evaluation is that of step 6: the last finished step is 5
    assert run.status is Status.INTERRUPTED
    assert rows(run, 0.05) == [k for k in range(6) if k % record_every == 0 or k == 5]
    for k, t in enumerate(run.t):
        if t in whole.t:
            assert np.array_equal(run.end_to_end[k], whole.end_to_end[whole.t == t][0])


def test_the_progress_bar_is_shown_only_on_request(capsys):
    gradient_descent(start(), BuresLoss(TARGET), 0.05, max_steps=5, tol=0)
    assert capsys.readouterr() == ("", "")
    gradient_descent(start(), BuresLoss(TARGET), 0.05, max_steps=5, tol=0, progress=True)
    out, err = capsys.readouterr()
    assert out == "" and "5/5" in err and "step" in err


def test_every_status_has_advice():
    for status in Status:
        assert status.advice.endswith(".") and len(status.advice) > 20
    assert "step size" in Status.DIVERGED.advice and "step size" in Status.NON_FINITE.advice
    assert "tol" in Status.MAX_STEPS.advice


def test_the_message_has_status_numbers_and_advice():
    run = gradient_descent(start(), BuresLoss(TARGET), 0.01, max_steps=4)
    assert run.message.startswith("MAX_STEPS after 4 steps: loss ") and run.message.endswith(run.status.advice)


# ---------------------------------------------------------------- ensembles

def same_runs(runs, alone, steps=0):
    """Equal records, up to rounding that the steps have carried on."""
    for run, single in zip(runs, alone, strict=True):
        assert run.status is single.status and run.message.split(":")[0] == single.message.split(":")[0]
        assert np.array_equal(run.t, single.t)
        for name in ("loss", "gap", "gradient_norm", "singular_values", "imbalance", "end_to_end"):
            mine, other = getattr(run, name), getattr(single, name)
            assert np.abs(mine - other).max() <= 1e-11 * (1 + np.abs(other).max()), name
        assert (run.networks is None) == (single.networks is None)


@every_network
@pytest.mark.parametrize("loss", [BuresLoss(TARGET), BuresLoss(TARGET, 0.2), FrobeniusLoss(TARGET)],
                         ids=["Bures", "smoothed", "Frobenius"])
@pytest.mark.parametrize("record_every", [1, 7, [3, 10]])
def test_every_run_of_an_ensemble_is_that_of_its_network(widths, loss, record_every):
    starts = [random_network(widths, rng=seed) for seed in range(5)]
    options = {"max_steps": 40, "tol": 0.1, "record_every": record_every}
    runs = ensemble_descent(starts, loss, 0.02, **options)
    same_runs(runs, [gradient_descent(start, loss, 0.02, **options) for start in starts])


@pytest.mark.parametrize("eta", [0.1, 0.7, 1e100])
def test_every_run_of_an_ensemble_ends_by_itself(eta):
    """Some converge, at different steps; some diverge; some overflow; one begins at the minimum."""
    loss = BuresLoss(TARGET)
    best = balanced_network(TARGET.factor, (3, 3, 3))
    starts = [best, *(random_network((3, 3, 3), scale=1 + seed, rng=seed) for seed in range(5))]
    runs = ensemble_descent(starts, loss, eta, max_steps=300, tol=1e-6, record_every=50)
    same_runs(runs, [gradient_descent(start, loss, eta, max_steps=300, tol=1e-6, record_every=50) for start in starts])
    assert len({(run.status, len(run.t)) for run in runs}) > 1


def test_an_ensemble_of_matrices_and_of_one():
    loss, stack = BuresLoss(TARGET), np.array([start(seed=seed) for seed in range(3)])
    runs = ensemble_descent(stack, loss, 0.1, max_steps=9, tol=0)
    same_runs(runs, [gradient_descent(W, loss, 0.1, max_steps=9, tol=0) for W in stack])
    one, = ensemble_descent(stack[:1], loss, 0.1, max_steps=0)
    assert len(one.t) == 1 and one.status is Status.MAX_STEPS


def test_an_interrupted_ensemble_keeps_its_records():
    starts = [start(seed=seed) for seed in range(3)]
    whole = ensemble_descent(starts, BuresLoss(TARGET), 0.05, max_steps=20, tol=0)
    runs = ensemble_descent(starts, Watched(TARGET, raise_at=7), 0.05, max_steps=20, tol=0, record_every=4)
    for run, full in zip(runs, whole):
        assert run.status is Status.INTERRUPTED and rows(run, 0.05) == [0, 4, 5]
        assert np.array_equal(run.end_to_end, full.end_to_end[[0, 4, 5]])


# ---------------------------------------------------------------- inputs

def test_inputs_are_not_modified_and_layouts_do_not_matter():
    W0, loss = start(), BuresLoss(TARGET)
    kept = W0.copy()
    expected = gradient_descent(W0, loss, 0.1, max_steps=5, tol=0)
    strided = np.zeros((6, 9))
    strided[::2, ::3] = W0
    W0.flags.writeable = False
    for same in (W0, np.asfortranarray(W0), strided[::2, ::3], W0.tolist()):
        run = gradient_descent(same, loss, 0.1, max_steps=5, tol=0)
        assert np.allclose(run.end_to_end, expected.end_to_end, atol=1e-13)
    assert np.array_equal(W0, kept)
    network = random_network((3, 3, 3), rng=0)
    before = [W.copy() for W in network.weights]
    gradient_descent(network, loss, 0.1, max_steps=5)
    assert all(map(np.array_equal, network.weights, before))


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_other_precisions_are_converted_first(dtype):
    W0 = np.array([[1, 2, 0], [0, 1, 1], [3, 0, 1]], dtype=dtype)
    run, expected = (gradient_descent(x, BuresLoss(TARGET), 0.1, max_steps=3) for x in (W0, W0.astype(float)))
    assert run.end_to_end.dtype == np.float64 and np.array_equal(run.end_to_end, expected.end_to_end)


def test_trajectories_are_frozen():
    run = gradient_descent(start(), BuresLoss(TARGET), 0.1, max_steps=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.loss = np.zeros(1)
