"""Bad input: a table of public function, class of bad input, type of error and what its message must say.

Public are the names of ``bwlib``, ``bwlib.experiments`` and ``bwlib.interactive``, with the methods of their classes.  The
functions of ``bwlib.plotting`` draw what they are given; Matplotlib complains there.

Every message names the argument; what may go wrong with an argument depends on its kind (``MATRIX``, ``STEP``, ...).
A public name without an entry in ``CALLS`` or ``NO_INPUT`` fails ``test_the_table_is_complete``, and so does a parameter
without a kind.
"""

import inspect
import re

import numpy as np
import pytest

import bwlib
from bwlib import experiments, interactive
from bwlib import (
    BuresLoss,
    Covariance,
    DeepLinearNetwork,
    FrobeniusLoss,
    aligned_flow,
    arora_step_size,
    authors_step_size,
    balanced_network,
    best_low_rank,
    bottleneck_rate,
    bures_hessian_spectrum,
    bures_wasserstein,
    bures_wasserstein_factors,
    certified_step_size,
    check_gradient,
    contraction_factor,
    critical_points,
    deficiency_margin,
    end_to_end_flow,
    ensemble_descent,
    flow_rate,
    frobenius_hessian_spectrum,
    geodesic,
    gradient_descent,
    gradient_flow,
    mode_rates,
    paper_flow_rate,
    parameter_hessian,
    parameter_hessian_operator,
    polar,
    random_network,
    search_critical_points,
    shallow_flow,
    sqrtm_psd,
    stability_limit,
    subspace_iteration,
    transport_map,
    zipf_spectrum,
)
from bwlib.interactive import Panel

I2, I3, NAN, INF = np.eye(2), np.eye(3), np.nan, np.inf
LOSS, NETWORK = BuresLoss(I2), DeepLinearNetwork([I2, I2])

# kind of argument -> (bad value, error, words the message must contain)
NUMBERS = [
    ([[1, NAN], [NAN, 1]], ValueError, "finite, got 2 NaN or infinite entries among 4"),
    ([[INF, 0], [0, 1]], ValueError, "finite"),
    ([[1j, 0], [0, 1]], TypeError, "real numbers"),
    ([[True, False], [False, True]], TypeError, "real numbers"),
    ([["a", "b"], ["c", "d"]], TypeError, "real numbers"),
    ([[None, 1], [1, 2]], TypeError, "real numbers"),
    ([[1, 2], [3]], TypeError, "rectangular"),
    (np.ma.masked_array(I2, mask=I2), TypeError, "masked"),
    (None, TypeError, "real numbers"),
    ("text", TypeError, "real numbers"),
    (NETWORK, TypeError, "real numbers"),
]
MATRIX = [*NUMBERS, (1.0, ValueError, "shape"), ([1.0, 2.0], ValueError, "x[:, None]"),
          (np.zeros((2, 0)), ValueError, "empty"), ([[]], ValueError, "empty")]
ONE_MATRIX = [*MATRIX, (np.zeros((2, 2, 2)), ValueError, "shape")]
ROWS = [*MATRIX, (I3, ValueError, "2 rows"), (np.ones((1, 2)), ValueError, "transposed")]
COVARIANCE = [
    *MATRIX,
    (np.ones((3, 2)), ValueError, "square"), (np.ones((3, 2)), ValueError, "W @ W.T"),
    ([[1, 2], [0, 1]], ValueError, "symmetric"), ([[1, 1e-9], [0, 1]], ValueError, "W @ W.T"),
    ([[1, 2], [2, 1]], ValueError, "positive semidefinite"), ([[1, 2], [2, 1]], ValueError, "smallest eigenvalue is -1"),
    (-I2, ValueError, "positive semidefinite"), (np.array([I2, -I2]), ValueError, "positive semidefinite"),
    (1e308 * np.array([[0, 1], [-1, 0]]), ValueError, "symmetric"),
]
PAIRED = [*COVARIANCE, (I3, ValueError, "same dimension, got")]
TARGET = [*COVARIANCE, (np.array([I2, I2]), ValueError, "stack")]
DEFINITE = [*PAIRED, (np.diag([1, 0]), ValueError, "positive definite, but its rank is 1 < 2")]
NON_NEGATIVE = [
    (-1, ValueError, "non-negative and finite, got -1"), (NAN, ValueError, "finite, got nan"), (INF, ValueError, "finite"),
    ("1", TypeError, "real number"), (None, TypeError, "real number"), (1j, TypeError, "real number"),
    (True, TypeError, "real number"), ([0.1], TypeError, "real number"), (np.array("1"), TypeError, "real number"),
]
POSITIVE = [*((value, error, words.replace("non-negative", "positive")) for value, error, words in NON_NEGATIVE),
            (0, ValueError, "positive")]
TIME = [*NON_NEGATIVE, (1.5, ValueError, "between 0 and 1, got 1.5")]
COUNT = [(-1, ValueError, "at least"), (2.0, TypeError, "integer"), (True, TypeError, "integer"), ("3", TypeError, "integer"),
         (None, TypeError, "integer")]
RANK = [(-1, ValueError, "between 0 and 2, got -1"), (3, ValueError, "between 0 and 2, got 3"), *COUNT[1:]]
WHEN = [*COUNT, (0, ValueError, "at least 1"), ([0.5], TypeError, "integer"), ([-2], ValueError, "at least 0")]
RNG = [(-1, ValueError, "negative"), (1.5, TypeError, "numpy.random.Generator"), ("x", TypeError, "seed"),
       (True, TypeError, "seed"), (np.random, TypeError, "numpy.random.Generator")]
NEEDED_RNG = [*RNG, (None, TypeError, "seed")]
WIDTHS = [(5, TypeError, "sequence"), (None, TypeError, "sequence"), ("23", TypeError, "sequence"),
          ((2,), ValueError, "at least the latent and the data dimension"), ((), ValueError, "at least"),
          ((2, 0, 2), ValueError, "at least 1"), ((2, -3, 2), ValueError, "at least 1"), ((2.0, 2), TypeError, "integer")]
LAYERS = [(5, TypeError, "sequence"), (None, TypeError, "sequence"), ([], ValueError, "at least one layer"),
          *(([bad], error, words) for bad, error, words in ONE_MATRIX),
          ([I2, I3], ValueError, "widths must chain: weights[1] has 3 columns but weights[0] has 2 rows")]
THE_LOSS = [(I2, TypeError, "got ndarray"), (None, TypeError, "got NoneType")]
SPECTRUM = [*NUMBERS, ([1, -1], ValueError, "non-negative, got -1"), ([], ValueError, "non-empty vector"),
            ([[1, 2]], ValueError, "vector"), (3.0, ValueError, "vector")]
ROTATION = [*(case for case in ONE_MATRIX if case[0] is not None), (2 * I2, ValueError, "orthogonal 2 x 2"),
            (np.ones((2, 1)), ValueError, "orthogonal 2 x 2"), (I3, ValueError, "2 rows")]
INDICES = [(0, TypeError, "sequence"), (None, TypeError, "sequence"), ("01", TypeError, "sequence"),
           ([0.0], TypeError, "integer"), ([2], ValueError, "between 0 and 1, got 2"), ([-1], ValueError, "between 0 and 1"),
           ([1, 1], ValueError, "distinct"), ([[0]], TypeError, "integer")]
COLUMNS = [case for case in COUNT if case[0] is not None] + [(0, ValueError, "at least 1, got 0")]
THE_NETWORK = [(I2, TypeError, "DeepLinearNetwork, got ndarray"), (None, TypeError, "got NoneType"),
               (DeepLinearNetwork([I3]), ValueError, "dimension 2")]
ENSEMBLE = [(5, TypeError, "sequence"), (NETWORK, TypeError, "sequence"), ([], ValueError, "at least one start"),
            ([I2, np.ones((2, 3))], ValueError, "same widths"), ([I2, NETWORK], ValueError, "same widths"),
            ([I2, I3], ValueError, "networks[1] must map to dimension 2"),
            ([I2, 1e200 * I2], ValueError, "networks[1] must have a finite loss"),
            *(([I2, bad], error, "networks[1]") for bad, error, _ in ONE_MATRIX if bad is not NETWORK)]
SWITCH: list = []  # any truth value will do

# name -> (function, good keyword arguments, parameter -> kind)
CALLS = {
    "Covariance": (Covariance, {"matrix": I2}, {"matrix": COVARIANCE}),
    "Covariance.from_spectrum": (Covariance.from_spectrum, {"eigenvalues": [2, 1]},
                                 {"eigenvalues": SPECTRUM, "rng": RNG, "eigenvectors": ROTATION}),
    "Covariance.from_factor": (Covariance.from_factor, {"F": I2}, {"F": MATRIX}),
    "Covariance.leading": (Covariance(I2).leading, {"k": 1}, {"k": RANK}),
    "Covariance.from_samples": (Covariance.from_samples, {"X": I3}, {"X": ONE_MATRIX, "center": SWITCH}),
    "sqrtm_psd": (sqrtm_psd, {"A": I2}, {"A": COVARIANCE}),
    "polar": (polar, {"X": I2}, {"X": MATRIX}),
    "zipf_spectrum": (zipf_spectrum, {"n": 3, "rng": 0},
                      {"n": [*COUNT, (0, ValueError, "at least 1")], "rng": NEEDED_RNG,
                       "largest": [case for case in POSITIVE if case[0] is not None]}),
    "bures_wasserstein": (bures_wasserstein, {"A": I2, "B": I2}, {"A": PAIRED, "B": PAIRED, "squared": SWITCH}),
    "bures_wasserstein_factors": (bures_wasserstein_factors, {"W": I2, "A": I2},
                                  {"W": MATRIX, "A": ROWS, "squared": SWITCH}),
    "transport_map": (transport_map, {"A": I2, "B": I2}, {"A": DEFINITE, "B": DEFINITE}),
    "geodesic": (geodesic, {"A": I2, "B": I2, "s": 0.5}, {"A": PAIRED, "B": PAIRED, "s": TIME}),
    "BuresLoss": (BuresLoss, {"target": I2}, {"target": TARGET, "tau": NON_NEGATIVE}),
    "FrobeniusLoss": (FrobeniusLoss, {"target": I2}, {"target": TARGET}),
    "check_gradient": (check_gradient, {"loss": LOSS, "W": I2}, {"loss": THE_LOSS, "W": ONE_MATRIX, "rng": NEEDED_RNG}),
    "DeepLinearNetwork": (DeepLinearNetwork, {"weights": [I2]}, {"weights": LAYERS}),
    "DeepLinearNetwork.layer_gradients": (NETWORK.layer_gradients, {"G": I2},
                                          {"G": [*ONE_MATRIX, (I3, ValueError, "shape of the end-to-end matrix")]}),
    "balanced_network": (balanced_network, {"W": I2, "widths": (2, 3, 2)}, {
        "W": ONE_MATRIX,
        "widths": [*WIDTHS, ((3, 2), ValueError, "start with 2 and end with 2"),
                   ((2, 1, 2), ValueError, "below the rank 2 of W")]}),
    "random_network": (random_network, {"widths": (2, 3), "rng": 0},
                       {"widths": WIDTHS, "scale": NON_NEGATIVE, "rng": NEEDED_RNG}),
    "gradient_descent": (gradient_descent, {"network": I2, "loss": LOSS, "step_size": 0.1}, {
        "network": [*(case for case in ONE_MATRIX if case[0] is not NETWORK), (I3, ValueError, "dimension 2"),
                    (DeepLinearNetwork([I3]), ValueError, "dimension 2")],
        "loss": THE_LOSS, "step_size": POSITIVE, "max_steps": COUNT, "tol": NON_NEGATIVE, "record_every": WHEN,
        "progress": SWITCH}),
}
DISTINCT = np.diag([2.0, 1.0])
RANK_OF_SIX = [(0, ValueError, "between 1 and 6, got 0"), *COUNT[1:]]
SEARCHED_RANK = [(0, ValueError, "between 1 and 2, got 0"), (3, ValueError, "between 1 and 2, got 3"), *COUNT[1:]]
CALLS |= {
    "ensemble_descent": (ensemble_descent, {"networks": [I2, -I2], "loss": LOSS, "step_size": 0.1}, {
        "networks": ENSEMBLE, "loss": THE_LOSS, "step_size": POSITIVE, "max_steps": COUNT, "tol": NON_NEGATIVE,
        "record_every": WHEN, "progress": SWITCH}),
    "critical_points": (critical_points, {"target": DISTINCT, "rank": 1},
                        {"target": TARGET, "rank": SEARCHED_RANK, "tau": NON_NEGATIVE}),
    "best_low_rank": (best_low_rank, {"target": DISTINCT, "rank": 1},
                      {"target": COVARIANCE, "rank": RANK, "tau": NON_NEGATIVE, "factor": SWITCH}),
    "bures_hessian_spectrum": (bures_hessian_spectrum, {"target": DISTINCT, "indices": [0]},
                               {"target": TARGET, "indices": INDICES, "m": COLUMNS,
                                "tau": [*NON_NEGATIVE, (2.5, ValueError, "indices must name eigenvalues above tau = 2.5")]}),
    "frobenius_hessian_spectrum": (frobenius_hessian_spectrum, {"target": DISTINCT, "indices": [0]},
                                   {"target": TARGET, "indices": INDICES, "m": COLUMNS}),
    "parameter_hessian": (parameter_hessian, {"network": NETWORK, "loss": LOSS}, {"network": THE_NETWORK, "loss": THE_LOSS}),
    "parameter_hessian_operator": (parameter_hessian_operator, {"network": NETWORK, "loss": LOSS},
                                   {"network": THE_NETWORK, "loss": THE_LOSS}),
    "search_critical_points": (search_critical_points, {"loss": LOSS, "rank": 1, "rng": 0, "starts": 2}, {
        "loss": THE_LOSS, "rank": SEARCHED_RANK, "starts": [*COUNT, (0, ValueError, "at least 1")], "rng": NEEDED_RNG}),
}
TIMES = [*NUMBERS[:6], *NUMBERS[7:], (1.0, ValueError, "vector"), ([[0.0]], ValueError, "vector"), ([], ValueError, "vector"),
         ([1.0, 1.0], ValueError, "strictly increasing"), ([-1.0], ValueError, "non-negative")]
ELAPSED = [*NUMBERS, (-1.0, ValueError, "non-negative, got -1")]
DEPTH = [*COUNT, (0, ValueError, "at least 1, got 0")]
METHOD = [("Euler", ValueError, "RK23, RK45, DOP853"), (None, ValueError, "one of")]
START = [*ONE_MATRIX, (I3, ValueError, "2 rows")]
A_NETWORK = [*(case for case in ONE_MATRIX if case[0] is not NETWORK), (I3, ValueError, "dimension 2"),
             (DeepLinearNetwork([I3]), ValueError, "dimension 2")]
FLOW = {"loss": THE_LOSS, "t_eval": TIMES, "rtol": POSITIVE, "atol": POSITIVE, "method": METHOD, "progress": SWITCH}
NEAR, NO_MARGIN = np.diag([1.4, 0.9]), (np.diag([1.4, 0.0]), ValueError, "must have a margin")
AT = {"W": [*START, NO_MARGIN], "target": TARGET, "depth": DEPTH}
MARGIN = {"margin": POSITIVE, "depth": DEPTH, "tau": NON_NEGATIVE}
CALLS |= {
    "gradient_flow": (gradient_flow, {"network": I2, "loss": LOSS, "t_eval": [0.0, 0.1]}, {"network": A_NETWORK, **FLOW}),
    "end_to_end_flow": (end_to_end_flow, {"W0": I2, "loss": LOSS, "depth": 2, "t_eval": [0.0, 0.1]},
                        {"W0": START, "depth": DEPTH, **FLOW}),
    "shallow_flow": (shallow_flow, {"W0": I2, "target": I2, "t": 1.0},
                     {"W0": [*START, (np.ones((2, 2)), ValueError, "rank 1")], "target": TARGET, "t": ELAPSED}),
    "aligned_flow": (aligned_flow, {"s0": 0.1, "lam": 1.0, "depth": 2, "t": 1.0}, {
        "s0": ELAPSED, "lam": ELAPSED, "depth": DEPTH, "t": ELAPSED, "tau": NON_NEGATIVE}),
    "subspace_iteration": (subspace_iteration, {"target": DISTINCT, "W0": [[1.0], [1.0]], "steps": 2}, {
        "target": TARGET, "W0": [*START, (np.ones((2, 2)), ValueError, "rank 1")], "steps": COUNT}),
    "deficiency_margin": (deficiency_margin, {"W": NEAR, "target": DISTINCT},
                          {"W": AT["W"], "target": TARGET, "tau": NON_NEGATIVE}),
    "flow_rate": (flow_rate, {"margin": 1.0, "depth": 2}, MARGIN),
    "paper_flow_rate": (paper_flow_rate, {"margin": 1.0, "depth": 2, "target": DISTINCT, "initial_loss": 0.1, "tau": 0.1},
                        {**MARGIN, "target": TARGET, "initial_loss": NON_NEGATIVE}),
    "certified_step_size": (certified_step_size, {"network_or_W": NEAR, "target": DISTINCT, "depth": 2}, {
        "network_or_W": [*(case for case in START if case[0] is not NETWORK), NO_MARGIN], "target": TARGET,
        "depth": [*(case for case in DEPTH if case[0] is not None), (None, ValueError, "given with a matrix")],
        "tau": [*NON_NEGATIVE]}),
    "contraction_factor": (contraction_factor, {"margin": 1.0, "depth": 2, "step_size": 0.1},
                           {**MARGIN, "step_size": [*POSITIVE, (1.0, ValueError, "at most 0.5")]}),
    "arora_step_size": (arora_step_size, {"W": NEAR, "target": DISTINCT, "depth": 2}, AT),
    "authors_step_size": (authors_step_size, {"W": NEAR, "target": DISTINCT, "depth": 2}, {**AT, "tau": NON_NEGATIVE}),
    "stability_limit": (stability_limit, {"target": DISTINCT, "depth": 2},
                        {"target": TARGET, "depth": DEPTH, "tau": [*NON_NEGATIVE, (1.0, ValueError, "below the least")]}),
    "mode_rates": (mode_rates, {"target": DISTINCT, "rank": 1, "depth": 2},
                   {"target": TARGET, "rank": SEARCHED_RANK, "depth": DEPTH, "tau": NON_NEGATIVE}),
    "bottleneck_rate": (bottleneck_rate, {"target": DISTINCT, "rank": 1, "depth": 2},
                        {"target": TARGET, "rank": SEARCHED_RANK, "depth": DEPTH, "tau": NON_NEGATIVE}),
}
for Loss in (BuresLoss, FrobeniusLoss):
    one = Loss(I2)
    CALLS |= {
        f"{Loss.__name__}.value": (one.value, {"W": I2}, {"W": ROWS}),
        f"{Loss.__name__}.gradient": (one.gradient, {"W": I2}, {"W": ROWS}),
        f"{Loss.__name__}.value_and_gradient": (one.value_and_gradient, {"W": I2}, {"W": ROWS}),
        f"{Loss.__name__}.hessian_vector_product": (one.hessian_vector_product, {"W": I2, "Z": I2}, {
            "W": [*ROWS, (np.ones((2, 1)), ValueError, "shape of W")],
            "Z": [*ROWS, (np.ones((2, 1)), ValueError, "shape of W")]}),
        f"{Loss.__name__}.hessian": (one.hessian, {"W": I2}, {"W": [*ROWS, (np.ones((3, 2, 2)), ValueError, "stack")]}),
        f"{Loss.__name__}.minimum": (one.minimum, {"rank": 1}, {"rank": RANK}),
    }
SEED = [(-1, ValueError, "at least 0"), (1.5, TypeError, "integer"), ("x", TypeError, "integer"), (True, TypeError, "integer"),
        (None, TypeError, "integer")]
SIZE = [*COUNT, (0, ValueError, "at least 1")]
OPTIONAL_POSITIVE = [case for case in POSITIVE if case[0] is not None]
VECTOR = NUMBERS
PAIR = [*VECTOR, (1.0, ValueError, "increasing pair"), ([1.0], ValueError, "increasing pair"),
        ([1.0, 1.0], ValueError, "increasing pair"), ([2.0, 1.0], ValueError, "increasing pair"),
        ([0.0, 1.0, 2.0], ValueError, "increasing pair")]
PATH = [(5.5, TypeError, "path"), ([], TypeError, "path")]
TEXT = [(5, TypeError, "text"), (None, TypeError, "text"), (b"x", TypeError, "text")]
LIST = [(5, TypeError, "sequence"), ("ab", TypeError, "sequence")]
RUN_LOSS = [("square", ValueError, "one of bures, frobenius"), (None, ValueError, "one of bures, frobenius")]
ONE_BY_ONE = [(LOSS.target, TypeError, "number"), ([1, 2], TypeError, "number"), (None, TypeError, "number"),
              ("x", TypeError, "number"), (1j, TypeError, "number")]
T9 = np.linspace(0.0, 8.0, 81)
CALLS |= {f"experiments.{name}": (getattr(experiments, name), *row) for name, row in {
    "grid": ({"a": [1]}, {"axes": SWITCH}),
    "sweep": ({"run": lambda a: {"b": a}, "grid": [{"a": 1}], "progress": False}, {
        "run": [(5, TypeError, "callable"), (None, TypeError, "callable")],
        "grid": [*LIST, ([1], TypeError, "dictionaries"), ([{"a": 1}, {"b": 1}], ValueError, "the same parameters"),
                 ([{"a": 1}] * 2, ValueError, "the same cell twice")],
        "path": PATH, "n_jobs": [(1.5, TypeError, "integer"), ("x", TypeError, "integer"), (0, ValueError, "must not be 0")],
        "progress": SWITCH}),
    "read_table": (None, {"path": [*PATH, (None, TypeError, "path")]}),
    "cell_rng": ({"a": 1}, {"parameters": SWITCH}),
    "authors_target": ({"floor": 0.5}, {"floor": NON_NEGATIVE, "n": SIZE, "seed": SEED}),
    "authors_start": ({"target": I2, "tau": 0.1, "rng": 0}, {
        "target": TARGET, "tau": [*NON_NEGATIVE, (2.0, ValueError, "least eigenvalue 1 of the target")], "rng": NEEDED_RNG,
        "largest_loss": OPTIONAL_POSITIVE}),
    "convergence_run": ({"depth": 1, "floor": 4.0, "tau": 0.0, "n": 2}, {
        "depth": DEPTH, "floor": NON_NEGATIVE, "tau": NON_NEGATIVE, "n": SIZE, "seed": SEED}),
    "decay": ({"W": 1.5 * I2, "loss": LOSS, "depth": 1}, {
        "W": START, "loss": THE_LOSS, "depth": DEPTH, "end": POSITIVE, "rounds": SIZE}),
    "log_slope": ({"t": T9, "gap": np.exp(-T9)}, {
        "t": TIMES, "gap": [*VECTOR, ([1.0], ValueError, "one number for each time")], "window": PAIR, "span": POSITIVE,
        "inside": SWITCH}),
    "conditioning_run": ({"loss": "bures", "depth": 1, "position": 0}, {
        "loss": RUN_LOSS, "depth": DEPTH, "position": [*COUNT[1:], (-1, ValueError, "between 0 and 14")], "n": SIZE,
        "rank": RANK_OF_SIX, "seed": SEED}),
}.items()}
PANEL, PLANE = (Panel("p", x=(0, 1), y=(0, 1), equal=equal) for equal in (False, True))
MARK = {"colour": [(7, ValueError, "between 0 and 6"), (-1, ValueError, "between 0 and 6"), ("red", TypeError, "integer"),
                   (1.5, TypeError, "integer")], "label": TEXT}
CURVE = [*(case for case in VECTOR if case[1] is TypeError), ([0.0, 1.0, 2.0], ValueError, "must broadcast")]
WORDS = {"title": TEXT, "description": TEXT}
D3, START3 = np.diag([3.0, 2.0, 1.0]), [[0.2, 1.0], [1.0, 0.1], [0.5, 1.0]]
TRAINED = bwlib.balanced_network(np.diag([1.5, 0.8]), (2, 2, 2))
CALLS |= {f"interactive.{name}": (getattr(interactive, name), *row) for name, row in {
    "number": ({"x": 1.0, "digits": 2}, {"x": ONE_BY_ONE, "digits": COUNT}),
    "MovingFigure": ({"panels": [PANEL], "readout": ["a", "b"], "slider": "s", **dict.fromkeys(WORDS, "")}, {
        "panels": [(5, TypeError, "sequence"), (PANEL, TypeError, "sequence"), ([5], TypeError, "Panel"),
                   ([], TypeError, "Panel")],
        "readout": [([1, 2], TypeError, "texts"), (None, TypeError, "texts"), (["a"], ValueError, "shape"),
                    ("ab", ValueError, "shape"), ([["a", "b"]], ValueError, "shape")],
        "slider": TEXT, **WORDS, "choices": [(5, TypeError, "mapping"), ({"c": 5}, TypeError, "sequence"),
                                             ({"c": "ab"}, TypeError, "sequence"), ({1: ["a"]}, TypeError, "text")],
        "start": [*LIST, ((0, 0), ValueError, "one position for each"), ((2,), ValueError, "between 0 and 1"),
                  ((-1,), ValueError, "between 0 and 1"), (("a",), TypeError, "integer")],
        "shown": [*LIST, ([5], TypeError, "sequence"), ([(9,)], ValueError, "between 0 and 1"), ([], ValueError, "empty")]}),
    "Panel": ({"title": "p", "x": (0, 1), "y": (0, 1)}, {
        "title": TEXT, "x": PAIR, "y": PAIR, "xlabel": TEXT, "log": [(5, ValueError, '"xy"'), ("z", ValueError, '"xy"')],
        "equal": SWITCH, "xticks": [*LIST, ([NAN], ValueError, "finite")], "yticks": [*LIST, ([NAN], ValueError, "finite")],
        "size": [*VECTOR, ((0, 1), ValueError, "two positive numbers"), ((1,), ValueError, "two positive numbers")]}),
    "RankFigure": ({"data": np.eye(4), "sample": 0, "shape": (2, 2), "black": 1.0}, {
        "data": ONE_MATRIX,
        "sample": [*COUNT[1:], (-1, ValueError, "between 0 and 3"), (4, ValueError, "between 0 and 3")],
        "shape": [*LIST, (None, TypeError, "sequence"), ((1, 2, 2), ValueError, "4 columns of data"),
                  ((2.0, 2), TypeError, "integer"), ((-2, -2), ValueError, "at least 1")],
        "black": POSITIVE, "widths": [*LIST, ([0], ValueError, "two or more"), ([1, 0], ValueError, "increasing"),
                                      ([0.5, 1], TypeError, "integer"), ([0, 4], ValueError, "between 0 and 3")], **WORDS}),
    "GeodesicFigure": ({"A": I2, "B": 2 * I2}, {
        name: [*COVARIANCE, (I3, ValueError, "2 x 2"), (np.array([I2]), ValueError, "2 x 2")] for name in "AB"} | WORDS),
    "ProcrustesFigure": ({"W": I2, "A": 2 * I2}, {name: [*START, (np.ones((2, 1)), ValueError, "2 x 2")] for name in "WA"} | WORDS),
    "KinkFigure": ({"target": I2, "direction": [1.0, 0.0]}, {
        "target": [*TARGET, (I3, ValueError, "2 x 2"), (np.diag([1, 0]), ValueError, "positive definite")],
        "direction": [*VECTOR, ([0, 0], ValueError, "not zero"), ([1, 2, 3], ValueError, "length 2")],
        "distances": [*LIST, ([], ValueError, "empty"), ([-1.0], ValueError, "non-negative"), (["a"], TypeError, "real number")],
        **WORDS}),
    "CriticalPointsFigure": ({"target": D3}, {"target": [*TARGET, (I2, ValueError, "3 x 3")], "push": POSITIVE,
                                              "time": POSITIVE, **WORDS}),
    "SmoothingFigure": ({"target": DISTINCT, "rank": 1}, {
        "target": [*TARGET, (0 * I2, ValueError, "zero matrix")], "rank": SEARCHED_RANK, **WORDS}),
    "AlignedFlowFigure": ({"s0": 0.1, "lam": [2.0, 1.0]}, {
        "s0": POSITIVE, "lam": [*VECTOR, ([1.0, 2.0], ValueError, "descending"), ([1.0, 0.0], ValueError, "larger than every"),
                                ([], ValueError, "vector"), (3.0, ValueError, "vector")],
        "depths": [*LIST, ([], ValueError, "empty"), ([0], ValueError, "at least 1"), ([1.5], TypeError, "integer")],
        "taus": [*LIST, ([], ValueError, "empty"), ([-1.0], ValueError, "non-negative"), ([NAN], ValueError, "finite")],
        "times": [*PAIR, ((0.0, 1.0), ValueError, "positive")], **WORDS}),
    "DescentFigure": ({"network": TRAINED, "loss": BuresLoss(DISTINCT)}, {
        "network": [(I2, TypeError, "DeepLinearNetwork"), *THE_NETWORK[1:]],
        "loss": [(I2, TypeError, "got ndarray"), (FrobeniusLoss(I2), TypeError, "got FrobeniusLoss")], "steps": SIZE, **WORDS}),
    "SubspaceFigure": ({"target": D3, "W0": START3}, {
        "target": [*TARGET, (I3, ValueError, "distinct"), (I2, ValueError, "3 x 3")],
        "W0": [*ONE_MATRIX, (I2, ValueError, "3 rows"), (I3, ValueError, "shape (3, 2)")], "steps": SIZE, **WORDS}),
}.items()}
CALLS |= {f"interactive.Panel.{name}": (getattr(PLANE, name), *row) for name, row in {
    "curve": ({"x": [0, 1], "y": [0, 1]}, {"x": CURVE, "y": CURVE, **MARK, "fill": SWITCH}),
    "dots": ({"x": [0, 1], "y": [0, 1]}, {"x": CURVE, "y": CURVE, **MARK}),
    "bars": ({"heights": [0, 1]}, {"heights": [*VECTOR, ([], ValueError, "empty"), (1.0, ValueError, "shape")], **MARK,
                                   "fill": SWITCH}),
    "level": ({"y": 1.0}, {"y": VECTOR, **MARK}),
    "upright": ({"x": 1.0}, {"x": VECTOR, **MARK}),
    "ellipse": ({"S": I2}, {"S": [*COVARIANCE, (I3, ValueError, "(..., 2, 2)")], **MARK, "fill": SWITCH}),
    "picture": ({"ink": I2}, {"ink": MATRIX}),
    "contours": ({"x": [0, 1], "y": [0, 1], "z": I2, "levels": [0.5]}, {
        "x": [*VECTOR, ([0, 1, 2], ValueError, "(len(y), len(x))")], "y": [*VECTOR, ([0, 1, 2], ValueError, "(len(y), len(x))")],
        "z": [*VECTOR, (I3, ValueError, "(len(y), len(x))")],
        "levels": [*VECTOR, ([], ValueError, "between 0 and 1"), ([9.0], ValueError, "between 0 and 1"),
                   (0.5, ValueError, "vector")]}),
    "text": ({"x": 1, "y": 1, "text": "a"}, {"x": [*VECTOR, ([1.0], ValueError, "numbers")],
                                             "y": [*VECTOR, ([1.0], ValueError, "numbers")], "text": TEXT}),
    "named": ({}, {}),
}.items()}
# results of a run, not made by hand; what a figure calls on its panels when it is drawn
NO_INPUT = {"CriticalPoint", "Status", "Trajectory", "interactive.Panel.draw", "interactive.Panel.place", "interactive.Panel.svg",
            "interactive.SmoothingFigure.spectrum", "interactive.SmoothingFigure.losses", "interactive.SmoothingFigure.curvatures",
            "interactive.DescentFigure.losses"}

ROWS_OF_THE_TABLE = [(name, parameter, *case) for name, (_, _, kinds) in CALLS.items()
                     for parameter, cases in kinds.items() for case in cases]


@pytest.mark.parametrize("name, parameter, value, error, words", ROWS_OF_THE_TABLE,
                         ids=[f"{row[0]}({row[1]})" for row in ROWS_OF_THE_TABLE])
def test_bad_input_is_refused_by_name(name, parameter, value, error, words):
    function, good, _ = CALLS[name]
    good = good or {}
    with pytest.raises(error) as caught:
        function(**{**good, parameter: value})
    message = str(caught.value)
    assert type(caught.value) is error
    assert words in message
    assert re.search(rf"\b{parameter}\b", message)  # the argument is named


@pytest.mark.parametrize("name", CALLS)
def test_the_good_arguments_of_the_table_are_good(name):
    function, good, _ = CALLS[name]
    if good is not None:
        function(**good)


def public_things():
    yield from ((name, getattr(bwlib, name)) for name in bwlib.__all__)
    yield from ((f"experiments.{name}", thing) for name, thing in inspect.getmembers(experiments, inspect.isfunction)
                if thing.__module__ == experiments.__name__ and not name.startswith("_"))
    yield from ((f"interactive.{name}", getattr(interactive, name)) for name in interactive.__all__)


def public_callables():
    for name, thing in public_things():
        yield name, thing
        if inspect.isclass(thing) and name not in NO_INPUT:
            for method, function in inspect.getmembers(thing, callable):
                if not method.startswith("_") and set(inspect.signature(function).parameters) - {"self"}:
                    yield f"{name}.{method}", function


@pytest.mark.parametrize("name, function", list(public_callables()), ids=lambda x: x if isinstance(x, str) else "")
def test_the_table_is_complete(name, function):
    assert name in CALLS or name in NO_INPUT, f"add {name} to the table of bad input"
    if name in CALLS:
        assert set(CALLS[name][2]) == set(inspect.signature(function).parameters) - {"self"}


# ---------------------------------------------------------------- what one argument alone cannot do wrong

def test_either_a_seed_or_eigenvectors():
    with pytest.raises(ValueError, match="either rng or eigenvectors"):
        Covariance.from_spectrum([1, 2], rng=0, eigenvectors=I2)


@pytest.mark.parametrize("function, names, stacks", [
    (bures_wasserstein, "A and B", (np.array([I2] * 2), np.array([I2] * 3))),
    (transport_map, "A and B", (np.array([I2] * 2), np.array([I2] * 3))),
    (lambda A, B: geodesic(A, B, 0.5), "A and B", (np.array([I2] * 2), np.array([I2] * 3))),
    (bures_wasserstein_factors, "W and A", (np.ones((2, 3, 1)), np.ones((4, 3, 2)))),
    (LOSS.hessian_vector_product, "W and Z", (np.array([I2] * 2), np.array([I2] * 3))),
])
def test_stacks_that_do_not_broadcast(function, names, stacks):
    with pytest.raises(ValueError, match=f"{names} must have leading axes that broadcast"):
        function(*stacks)


@pytest.mark.parametrize("W", [np.diag([1.0, 0.0]), np.zeros((2, 3)), np.zeros((2, 1)), [[1, 1], [1, 1]]])
def test_no_hessian_at_a_kink(W):
    with pytest.raises(ValueError, match="W must not lose rank for the Hessian at tau = 0"):
        LOSS.hessian(W)
    BuresLoss(I2, tau=0.1).hessian(W)
    FrobeniusLoss(I2).hessian(W)


def test_a_number_too_large_for_float64_is_not_finite():
    with pytest.raises(ValueError, match="matrix must be finite"):
        Covariance(np.eye(2, dtype=np.longdouble) * np.longdouble("1e4000"))
    with pytest.raises((TypeError, ValueError), match="tau must be"):
        BuresLoss(I2, tau=10**400)
