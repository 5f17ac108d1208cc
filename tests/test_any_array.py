"""What kind of array comes in does not matter, and nothing but the result changes.

Every public function that takes arrays is called with the same exact small numbers in every layout, precision, byte order and
subclass, and from several threads: the results are the same to the last bit.
"""

import copy
import dataclasses
import inspect
import multiprocessing
import os
import pickle
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from enum import Enum

import matplotlib
import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator
from test_bad_input import CALLS

import bwlib as bw

S = np.array([[6.0, 2.0, 1.0], [2.0, 5.0, 2.0], [1.0, 2.0, 4.0]])
S2 = np.array([[4.0, -1.0, 1.0], [-1.0, 3.0, 0.0], [1.0, 0.0, 7.0]])
W, SQUARE = np.array([[2.0, 1.0], [-1.0, 1.0], [0.5, 3.0]]), np.array([[2.0, 0.5, 0.25], [0.5, 1.5, 0.0], [0.0, -0.25, 2.0]])
NEAR, TIMES = np.diag([2.5, 2.25, 2.0]), np.array([0.0, 0.25, 0.5])
NETWORK, TAU = bw.DeepLinearNetwork([W.T, np.array([[1.0, 2.0], [0.0, 1.0], [1.0, -1.0]])]), 0.125
LOSSES = {"BuresLoss": bw.BuresLoss(S, TAU), "FrobeniusLoss": bw.FrobeniusLoss(S)}
ROUND = np.diag([7.0, 6.0, 5.0]) + 0.25
LAM, ROTATION = np.array([3.0, 2.0, 1.0]), np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])

# name -> arguments that are arrays, other arguments
ARRAYS = {
    "Covariance": ({"matrix": S}, {}),
    "Covariance.from_spectrum": ({"eigenvalues": LAM, "eigenvectors": ROTATION}, {}),
    "Covariance.from_factor": ({"F": W}, {}),
    "Covariance.from_samples": ({"X": W}, {}),
    "sqrtm_psd": ({"A": S}, {}),
    "polar": ({"X": W}, {}),
    "bures_wasserstein": ({"A": S, "B": S2}, {}),
    "bures_wasserstein_factors": ({"W": W, "A": SQUARE}, {}),
    "transport_map": ({"A": S, "B": S2}, {}),
    "geodesic": ({"A": S, "B": S2}, {"s": 0.25}),
    "BuresLoss": ({"target": S}, {}),
    "FrobeniusLoss": ({"target": S}, {}),
    "check_gradient": ({"W": W}, {"loss": LOSSES["BuresLoss"]}),
    "DeepLinearNetwork": ({"weights": [W.T, W]}, {}),
    "DeepLinearNetwork.layer_gradients": ({"G": SQUARE}, {}),
    "balanced_network": ({"W": W}, {"widths": (2, 4, 3)}),
    "gradient_descent": ({"network": W}, {"loss": LOSSES["BuresLoss"], "step_size": 0.125, "max_steps": 5}),
    "ensemble_descent": ({"networks": [W, 2 * W]}, {"loss": LOSSES["BuresLoss"], "step_size": 0.125, "max_steps": 5}),
    "critical_points": ({"target": S}, {"rank": 2}),
    "best_low_rank": ({"target": S}, {"rank": 2}),
    "bures_hessian_spectrum": ({"target": S}, {"indices": [0]}),
    "frobenius_hessian_spectrum": ({"target": S}, {"indices": [0]}),
    "gradient_flow": ({"network": W, "t_eval": TIMES}, {"loss": LOSSES["BuresLoss"]}),
    "end_to_end_flow": ({"W0": W, "t_eval": TIMES}, {"loss": LOSSES["BuresLoss"], "depth": 3}),
    "shallow_flow": ({"W0": SQUARE, "target": S, "t": TIMES}, {}),
    "aligned_flow": ({"s0": LAM, "lam": LAM[::-1].copy(), "t": TIMES}, {"depth": 3}),
    "subspace_iteration": ({"target": S, "W0": W}, {"steps": 3}),
    "deficiency_margin": ({"W": NEAR, "target": ROUND}, {}),
    "paper_flow_rate": ({"target": S}, {"margin": 1.0, "depth": 2, "initial_loss": 0.5, "tau": TAU}),
    "certified_step_size": ({"network_or_W": NEAR, "target": ROUND}, {"depth": 2}),
    "arora_step_size": ({"W": NEAR, "target": ROUND}, {"depth": 2}),
    "authors_step_size": ({"W": NEAR, "target": ROUND}, {"depth": 2}),
    "stability_limit": ({"target": S}, {"depth": 2}),
    "mode_rates": ({"target": S}, {"rank": 2, "depth": 3}),
    "bottleneck_rate": ({"target": S}, {"rank": 2, "depth": 3}),
}
for kind in LOSSES:
    ARRAYS |= {f"{kind}.{name}": ({"W": W}, {}) for name in ("value", "gradient", "value_and_gradient", "hessian")}
    ARRAYS[f"{kind}.hessian_vector_product"] = ({"W": W, "Z": 2 * W}, {})
METHODS = {"DeepLinearNetwork.layer_gradients": NETWORK.layer_gradients} | {
    f"{kind}.{name}": getattr(loss, name) for kind, loss in LOSSES.items()
    for name in ("value", "gradient", "value_and_gradient", "hessian", "hessian_vector_product")}
NO_ARRAYS = {"Covariance.leading", "zipf_spectrum", "random_network", "BuresLoss.minimum", "FrobeniusLoss.minimum", "flow_rate",
             "contraction_factor", "parameter_hessian", "parameter_hessian_operator", "search_critical_points"}
every_function = pytest.mark.parametrize("name", ARRAYS)


class Labelled(np.ndarray):
    """A subclass of array."""


def strided(x):
    wide = np.full([3 * size for size in x.shape], np.nan)
    wide[tuple(slice(1, None, 3) for _ in x.shape)] = x
    return wide[tuple(slice(1, None, 3) for _ in x.shape)]


def unaligned(x):
    return np.frombuffer(b"?" + x.tobytes(), dtype=float, offset=1).reshape(x.shape)


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


KINDS = {
    "column by column": np.asfortranarray,
    "backwards": lambda x: np.flip(np.flip(x).copy()),
    "with gaps": strided,
    "broadcast": lambda x: np.broadcast_to(x, (2, *x.shape))[1],
    "unaligned": unaligned,
    "read-only": read_only,
    "big-endian": lambda x: x.astype(">f8"),
    "single precision": lambda x: x.astype(np.float32),
    "half precision": lambda x: x.astype(np.float16),
    "extended precision": lambda x: x.astype(np.longdouble),
    "a subclass": lambda x: x.view(Labelled),
    "a matrix object": lambda x: np.matrix(x) if x.ndim == 2 else x,
    "lists": np.ndarray.tolist,
    "a list of arrays": list,
}


def leaves(result):
    """All numbers in a result, as arrays in the order of its parts."""
    if isinstance(result, bw.Covariance):
        result = [result.matrix, result.eigenvalues, result.eigenvectors, result.factor, result.root, result.trace]
    elif isinstance(result, LinearOperator):
        result = result @ np.eye(result.shape[0])
    elif dataclasses.is_dataclass(result):
        result = [getattr(result, field.name) for field in dataclasses.fields(result)]
    if isinstance(result, (list, tuple)):
        return [leaf for part in result for leaf in leaves(part)]
    return [] if result is None or isinstance(result, (str, Enum)) else [np.asarray(result)]


def call(name, change=lambda x: x):
    arrays, others = ARRAYS[name]
    changed = {key: [change(x) for x in value] if isinstance(value, list) else change(value) for key, value in arrays.items()}
    result = METHODS.get(name, CALLS[name][0])(**changed, **others)
    return changed, result


def assert_equal(result, expected):
    result, expected = leaves(result), leaves(expected)
    assert len(result) == len(expected) > 0
    for one, other in zip(result, expected):
        assert one.dtype == other.dtype and type(one) is np.ndarray
        assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def test_every_function_is_listed():
    of_the_library = {name for name in CALLS if not name.startswith(("experiments.", "interactive."))}
    assert of_the_library == set(ARRAYS) | NO_ARRAYS
    for name, (arrays, others) in ARRAYS.items():
        assert set(arrays) | set(others) <= set(inspect.signature(METHODS.get(name, CALLS[name][0])).parameters)


@pytest.mark.filterwarnings("ignore:the matrix subclass is not the recommended way:PendingDeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
@every_function
def test_any_kind_of_array_gives_the_same_bits(name, kind):
    assert_equal(call(name, KINDS[kind])[1], call(name)[1])


@pytest.mark.parametrize("dtype", [np.int64, np.int16, np.uint8])
def test_whole_numbers_are_numbers(dtype):
    A, B, X = (np.abs(4 * M).astype(dtype) for M in (S, S2 + 2 * np.eye(3), W))
    plain = [M.astype(float) for M in (A, B, X)]

    def found(A, B, X):
        return [bw.bures_wasserstein(A, B), bw.transport_map(A, B), bw.polar(X), bw.BuresLoss(A).value_and_gradient(X),
                bw.DeepLinearNetwork([X.T, X]).end_to_end(), bw.shallow_flow(A, B, X[0])]

    assert_equal(found(A, B, X), found(*plain))


@pytest.mark.parametrize("kind", ["column by column", "with gaps"])
def test_large_matrices_in_any_order_give_the_same_bits(kind):
    """BLAS has other routines for transposed matrices, and for large ones they round differently."""
    rng = np.random.default_rng(0)
    X, Z, F = rng.standard_normal((80, 60)), rng.standard_normal((80, 60)), rng.standard_normal((80, 80))
    losses = [bw.BuresLoss(F @ F.T), bw.BuresLoss(F @ F.T, 0.1), bw.FrobeniusLoss(F @ F.T)]

    def found(X, Z):
        return [bw.polar(X), bw.bures_wasserstein_factors(X, F), bw.Covariance.from_factor(X), bw.Covariance.from_samples(X),
                *([loss.value_and_gradient(X), loss.hessian_vector_product(X, Z)] for loss in losses)]

    assert_equal(found(KINDS[kind](X), KINDS[kind](Z)), found(X, Z))


def arrays_of(name):
    return [x for value in ARRAYS[name][0].values() for x in (value if isinstance(value, list) else [value])]


@every_function
def test_inputs_are_neither_changed_nor_kept(name):
    """Results are the caller's: writing to them changes neither the input nor a later result."""
    before = [x.copy() for x in arrays_of(name)]
    changed, result = call(name, np.asfortranarray)
    given = [x for value in changed.values() for x in (value if isinstance(value, list) else [value])]
    for x, kept in zip(given, before):
        assert np.array_equal(x, kept) and x.flags.writeable
        assert not any(np.shares_memory(x, leaf) for leaf in leaves(result))
    expected = [leaf.copy() for leaf in leaves(result)]
    for leaf in leaves(result):
        if leaf.flags.writeable and leaf.ndim:
            leaf[...] = 7
    assert_equal([leaf for leaf in leaves(call(name)[1])], expected)


@every_function
def test_no_global_state_is_touched(name):
    def state():
        return (np.geterr(), np.get_printoptions(), np.random.get_state()[1].tobytes(), warnings.filters[:],
                dict(matplotlib.rcParams), dict(os.environ), os.getcwd())

    before = state()
    call(name)
    assert state() == before


# ---------------------------------------------------------------- threads, copies, processes

def fresh_objects():
    """Objects whose cached properties have not been asked for."""
    rng = np.random.default_rng(0)
    return [bw.Covariance(S), bw.Covariance.from_factor(W), bw.Covariance(np.array([S, S2])), bw.BuresLoss(S), bw.BuresLoss(S, TAU),
            bw.FrobeniusLoss(S), bw.random_network((2, 4, 3), rng=rng)]


def questions(thing):
    """Everything that can be asked of an object, in an order of its own in every thread."""
    if isinstance(thing, bw.Covariance):
        names = ["eigenvalues", "eigenvectors", "factor", "principal_factor", "root", "matrix", "rank", "trace"]
        return {name: lambda name=name: getattr(thing, name) for name in names}
    if isinstance(thing, bw.DeepLinearNetwork):
        return {"end_to_end": thing.end_to_end, "imbalances": thing.imbalances,
                "layer_gradients": lambda: thing.layer_gradients(np.ones((3, 2)))}
    points = [W, np.array([W, 2 * W]), 1e3 * W]
    return {f"{name} {i}": lambda name=name, X=X: getattr(thing, name)(X)
            for i, X in enumerate(points) for name in ("value", "gradient")}


def answers(thing, seed=0):
    asked = questions(thing)
    found = {name: asked[name]() for name in np.random.default_rng(seed).permutation(sorted(asked))}
    return [found[name] for name in sorted(found)]


def test_eight_threads_on_the_same_objects_get_the_same_bits():
    expected = [answers(thing) for thing in fresh_objects()]
    for _ in range(5):
        shared = fresh_objects()
        with ThreadPoolExecutor(8) as pool:
            for run in pool.map(lambda seed: [answers(thing, seed) for thing in shared], range(8)):
                for one, other in zip(run, expected):
                    assert_equal(one, other)


def test_eight_threads_on_all_functions_get_the_same_bits():
    expected = [call(name)[1] for name in ARRAYS]
    with ThreadPoolExecutor(8) as pool:
        for run in pool.map(lambda _: [call(name)[1] for name in ARRAYS], range(8)):
            for one, other in zip(run, expected):
                assert_equal(one, other)


def results():
    return [*fresh_objects(), bw.critical_points(S, 1)[0], bw.gradient_descent(NETWORK, LOSSES["BuresLoss"], 0.01, max_steps=2),
            bw.Status.CONVERGED]


@pytest.mark.parametrize("copied", [lambda x: pickle.loads(pickle.dumps(x)), copy.copy, copy.deepcopy],
                         ids=["pickle", "copy", "deepcopy"])
def test_objects_can_be_copied_and_stay_frozen(copied):
    for thing in results():
        twin = copied(thing)
        assert type(twin) is type(thing)
        if isinstance(thing, Enum):
            assert twin is thing
            continue
        assert_equal(leaves(twin), leaves(thing))
        if isinstance(thing, (bw.Covariance, bw.DeepLinearNetwork)):
            assert_equal(answers(twin), answers(thing))
            assert not any(leaf.flags.writeable for leaf in leaves(twin) if leaf.ndim)
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(twin, dataclasses.fields(twin)[0].name if dataclasses.fields(twin) else "matrix", 0)


def test_a_process_started_anew_gets_the_same_bits():
    things = fresh_objects()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        for one, other in zip(pool.map(answers, things), things):
            assert_equal(one, answers(other))
