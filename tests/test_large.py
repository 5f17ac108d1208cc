"""High dimension: targets given by a factor or by samples, without any array of n x n numbers.

One such array of 20,000 x 20,000 numbers has 3.2 GB; the run below is given an address space of 3 GB in all, so that the
attempt to allocate one is an error, even if it would never be touched.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bwlib as bw

EPS = np.finfo(float).eps
SMALL = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (3_000_000_000, 3_000_000_000))
import numpy as np
import bwlib as bw

n, r, k = 20_000, 200, 10
rng = np.random.default_rng(0)
spread = np.geomspace(1.0, 0.1, r)[:, None] / np.sqrt(n)
target = bw.Covariance.from_samples(np.sqrt(r) * spread * rng.standard_normal((r, n)), center=False)
other = bw.Covariance.from_factor(rng.standard_normal((n, 50)) / np.sqrt(n))
assert (target.dim, target.rank, target.shape, target.is_thin) == (n, r, (n, n), True)
assert abs(target.trace / np.sum(spread**2 * n) - 1) < 0.05
assert target.eigenvalues.shape == (n,) and target.factor.shape == (n, r) and target.leading(k).shape == (n, k)
assert bw.bures_wasserstein(target, other) ** 2 < target.trace + other.trace

start = 0.1 * rng.standard_normal((n, k)) / np.sqrt(n)
for tau in (0.0, 1e-3):
    loss = bw.BuresLoss(target, tau)
    value, gradient = loss.value_and_gradient(start)
    h = 1e-6 * gradient
    assert abs((loss.value(start + h) - value) / (1e-6 * np.sum(gradient**2)) - 1) < 1e-4
    assert np.isfinite(loss.hessian_vector_product(start, gradient)).all()
    best = bw.best_low_rank(target, k, tau=tau, factor=True)
    assert abs(loss.value(best) - loss.minimum(k)) < 1e-12 and np.abs(loss.gradient(best)).max() < 1e-12
    network = bw.balanced_network(start, (k, k, n))
    run = bw.gradient_descent(network, loss, 0.05, max_steps=20, record_every=20)
    assert run.status.name == "MAX_STEPS" and run.loss[-1] < run.loss[0]
    flow = bw.end_to_end_flow(start, loss, 2, [0.0, 0.1], rtol=1e-3, atol=1e-6, method="RK45")
    assert flow.status.name == "FINISHED" and flow.loss[-1] < flow.loss[0]
assert bw.subspace_iteration(target, start, 2).shape == (3, n, k)
assert np.isfinite(bw.FrobeniusLoss(target).value_and_gradient(start)[0])
try:
    target.matrix
except MemoryError:
    print("only the matrix did not fit")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS bounds the memory of a process on Linux only")
def test_training_in_twenty_thousand_dimensions_needs_no_square_array():
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1",
                   "PYTHONPATH": os.pathsep.join([str(Path(bw.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])}
    run = subprocess.run([sys.executable, "-c", SMALL], capture_output=True, text=True, timeout=300, env=environment)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "only the matrix did not fit\n"


@pytest.mark.parametrize("tau", [0.0, 0.02])
@pytest.mark.parametrize("depth", [1, 3])
def test_the_same_run_with_the_target_as_matrix_or_as_factor(tau, depth):
    rng = np.random.default_rng(depth)
    F = rng.standard_normal((60, 8)) / 8
    network = bw.random_network((4, *[5] * (depth - 1), 60), scale=0.5, rng=rng)
    runs = [bw.gradient_descent(network, bw.BuresLoss(target, tau), 0.05, max_steps=40, tol=0, record_every=10)
            for target in (bw.Covariance.from_factor(F), bw.Covariance(F @ F.T))]
    for name in ("loss", "gap", "gradient_norm", "end_to_end", "singular_values", "imbalance"):
        first, second = (getattr(run, name) for run in runs)
        assert np.allclose(first, second, rtol=1e-9, atol=1e-11), name


def test_subspaces_with_the_target_as_matrix_or_as_factor():
    rng = np.random.default_rng(0)
    F, W0 = rng.standard_normal((30, 5)), rng.standard_normal((30, 2))
    thin, dense = (bw.subspace_iteration(target, W0, 30) for target in (bw.Covariance.from_factor(F), F @ F.T))
    assert np.abs(thin - dense).max() <= 1e-10
    assert np.abs(thin.mT @ thin - np.eye(2)).max() <= 50 * EPS


def test_the_exact_flow_of_a_target_given_by_a_factor():
    rng = np.random.default_rng(1)
    target, W0 = bw.Covariance.from_factor(rng.standard_normal((30, 3))), rng.standard_normal((30, 4))
    exact = bw.shallow_flow(W0, target, [0.0, 0.3])
    flow = bw.end_to_end_flow(W0, bw.BuresLoss(target), 1, [0.0, 0.3])
    assert np.abs(flow.end_to_end - exact).max() <= 1e-6
