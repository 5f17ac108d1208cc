"""Laws of covariances, polar factors, distances, transport maps and geodesics on random matrices of every kind.

The bounds are those of ``test_distance.py``: ``factor_bound`` from factors, ``determined`` from matrices.
"""

import mpmath as mp
import numpy as np
import oracles
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import EPS, dimensions, factor_tuples, factors, haar, modest_sizes, rotation, seeds, sizes, symmetrised

from bwlib import Covariance, bures_wasserstein, bures_wasserstein_factors, geodesic, polar, sqrtm_psd, transport_map


def norm(X):
    """The Frobenius norm, of matrices of any size."""
    largest = np.abs(X).max()
    return largest * np.linalg.norm(X / largest) if largest > 0 else 0.0


def factor_bound(*factors):
    """Every distance between two of them, and twice the sum of all, has at most this error."""
    return 10 * EPS * sum(map(norm, factors))


def determined(*matrices):
    """How well float matrices determine their distances, as in ``test_distance.py``.

    A Gram matrix of low rank is not so any more after rounding: there the root of the rounding error remains.
    """
    n, t = len(matrices[0]), sum(map(np.trace, matrices))
    noise = n**2 * EPS
    leasts = [max(np.linalg.eigvalsh(S / t)[0], noise) for S in matrices if t > 0]
    return sum(noise / np.sqrt(least) for least in leasts) * np.sqrt(t)


def gram(W):
    return symmetrised(W @ W.T)


# ---------------------------------------------------------------- covariances and polar factors

@given(dimensions.flatmap(factors))
def test_a_gram_matrix_is_always_a_covariance(W):
    S = gram(W)
    Sigma, n = Covariance(S), len(W)
    # backward error of the eigendecomposition: a few n eps of the largest eigenvalue; LAPACK scales extreme matrices
    bound = 50 * n * EPS * np.trace(S)
    assert (np.diff(Sigma.eigenvalues) <= 0).all() and Sigma.eigenvalues[-1] >= 0
    assert Sigma.rank <= min(W.shape)
    assert np.abs(Sigma.eigenvectors.T @ Sigma.eigenvectors - np.eye(n)).max() <= 50 * n * EPS
    assert np.abs((Sigma.eigenvectors * Sigma.eigenvalues) @ Sigma.eigenvectors.T - S).max() <= bound
    assert np.abs(sqrtm_psd(S) @ sqrtm_psd(S) - S).max() <= bound
    assert np.abs(Sigma.factor @ Sigma.factor.T - S).max() <= bound
    assert Sigma.trace == pytest.approx(np.trace(S), rel=50 * n * EPS, abs=1e-320)


@given(dimensions.flatmap(factors))
def test_a_factor_and_its_gram_matrix_are_one_covariance(W):
    thin, dense, bound = Covariance.from_factor(W), Covariance(gram(W)), 50 * max(W.shape) * EPS * np.trace(gram(W))
    assert np.abs(thin.matrix - dense.matrix).max() <= bound
    assert np.abs(thin.eigenvalues - dense.eigenvalues).max() <= bound
    assert thin.rank >= dense.rank  # the factor knows small eigenvalues better
    assert np.abs(thin.root - dense.root).max() <= 10 * np.sqrt(bound)  # roots of rounding errors


@given(dimensions.flatmap(factors))
def test_laws_of_the_polar_factor(X):
    Q = polar(X)
    singular = np.linalg.svd(Q, compute_uv=False)
    # singular values of Q are 1 (rank many) or 0, up to the loss of orthogonality of an SVD, about 10 eps
    assert np.minimum(singular, np.abs(1 - singular)).max() <= 50 * EPS
    nuclear = np.linalg.svd(X, compute_uv=False).sum()
    assert abs(np.vdot(Q, X) - nuclear) <= 50 * EPS * nuclear
    assert np.abs(polar(-X) + Q).max() <= 50 * EPS


# ---------------------------------------------------------------- a metric, from factors

@given(factor_tuples(3))
def test_laws_of_a_metric_from_factors(triple):
    W, A, C = triple
    d, bound = bures_wasserstein_factors, factor_bound(W, A, C)
    assert 0 <= d(W, A) <= norm(W) + norm(A) + bound and d(W, W) <= 2 * bound
    assert abs(d(W, A) - d(A, W)) <= 2 * bound
    assert d(W, A) <= d(W, C) + d(C, A) + 3 * bound
    assert d(W, A) >= abs(norm(W) - norm(A)) - bound  # by the triangle with 0
    assert d(W, A, squared=True) == d(W, A) ** 2


@given(factor_tuples(2), seeds, st.integers(0, 3))
def test_invariances_from_factors(pair, seed, zeros):
    W, A = pair
    rng, d, bound = np.random.default_rng(seed), bures_wasserstein_factors, 3 * factor_bound(W, A)
    Q, expected = haar(rng, len(W)), d(W, A)
    assert abs(d(Q @ W, Q @ A) - expected) <= bound
    assert abs(d(W @ haar(rng, W.shape[1]), -A) - expected) <= bound
    assert abs(d(np.hstack([W, np.zeros((len(W), zeros))]), A) - expected) <= bound
    assert d(Q[:, :1].T @ W, Q[:, :1].T @ A) <= expected + bound  # a projection brings points together
    assert abs(d(W, 0 * A) - norm(W)) <= bound


@given(factor_tuples(2, st.floats(-60, 60)), st.floats(-85, 85))
def test_scaling_of_distances_from_factors(pair, exponent):
    c = 10.0**exponent
    W, A = pair
    bound = 3 * factor_bound(W, A)
    assert abs(bures_wasserstein_factors(c * W, c * A) - c * bures_wasserstein_factors(W, A)) <= c * bound
    exact = np.ldexp(W, 7), np.ldexp(A, 7)  # LAPACK rescales extreme matrices, and that rounds
    assert abs(bures_wasserstein_factors(*exact) - 128 * bures_wasserstein_factors(W, A)) <= 128 * bound


@given(factor_tuples(2))
def test_accuracy_from_factors(pair):
    W, A = pair
    exact = mp.sqrt(oracles.squared_distance_factors(W, A))
    assert abs(bures_wasserstein_factors(W, A) - exact) <= factor_bound(W, A)


# ---------------------------------------------------------------- a metric, from matrices

@given(factor_tuples(3))
def test_laws_of_a_metric_from_matrices(triple):
    A, B, C = map(gram, triple)
    d, bound = bures_wasserstein, determined(A, B, C)
    assert 0 <= d(A, B) and d(A, A) <= determined(A, A)
    assert d(A, B, squared=True) <= (1 + 100 * EPS) * (np.trace(A) + np.trace(B))
    assert abs(d(A, B) - d(B, A)) <= 2 * bound
    assert d(A, B) <= d(A, C) + d(C, B) + 3 * bound
    assert abs(d(A, 0 * B) - np.sqrt(np.trace(A))) <= bound


@given(factor_tuples(2))
def test_factors_and_matrices_agree(pair):
    W, A = pair
    S, S0 = gram(W), gram(A)
    expected, bound = bures_wasserstein_factors(W, A), determined(S, S0) + factor_bound(W, A)
    assert abs(bures_wasserstein(S, S0) - expected) <= bound
    given_by_factors = Covariance.from_factor(W), Covariance.from_factor(A)
    is_thin = any(Sigma.is_thin for Sigma in given_by_factors)
    assert abs(bures_wasserstein(*given_by_factors) - expected) <= (3 * factor_bound(W, A) if is_thin else bound)
    assert abs(bures_wasserstein(given_by_factors[0], S0) - expected) <= bound + 2 * factor_bound(W, A)


@given(factor_tuples(2, st.floats(-60, 60)), seeds, st.floats(-85, 85))
def test_invariances_from_matrices(pair, seed, exponent):
    A, B = map(gram, pair)
    Q, c = haar(np.random.default_rng(seed), len(A)), 10.0**exponent
    expected, bound = bures_wasserstein(A, B), 3 * determined(A, B)
    turned = [symmetrised(Q @ S @ Q.T) for S in (A, B)]
    assert abs(bures_wasserstein(*turned) - expected) <= bound
    assert abs(bures_wasserstein(c * A * c, c * B * c) - c * expected) <= c * bound


@given(factor_tuples(2))
def test_accuracy_from_matrices(pair):
    A, B = map(gram, pair)
    exact = mp.sqrt(oracles.squared_distance(A, B))
    assert abs(bures_wasserstein(A, B) - exact) <= determined(A, B)


@given(st.integers(1, 6), st.floats(0, 15), st.floats(-15, 0), st.booleans(), st.integers(-450, 450), seeds)
def test_matrices_at_any_distance_are_as_accurate_as_the_data(n, condition, distance, aligned, exponent, seed):
    rng = np.random.default_rng(seed)
    lam, Q = np.logspace(0, -condition, n), haar(rng, n)
    B = symmetrised((Q * lam) @ Q.T)
    P = Q if aligned else haar(rng, n)
    A = symmetrised((P * (lam * (1 + 10.0**distance * rng.uniform(-1, 1, n)))) @ P.T)
    A, B = np.ldexp(A, 2 * exponent), np.ldexp(B, 2 * exponent)
    exact = mp.sqrt(oracles.squared_distance(A, B))
    assert abs(bures_wasserstein(A, B) - exact) <= determined(A, B)


@given(st.lists(factor_tuples(2, st.floats(-3, 3)), min_size=2, max_size=4))
def test_stacks_of_blocks(pairs):
    """A stack gives the distances one by one; those of block-diagonal matrices add up as squares."""
    W = [pair[0] for pair in pairs]
    A = [pair[1] for pair in pairs]
    one = np.array([bures_wasserstein_factors(w, a) for w, a in zip(W, A)])
    n, k, m = (max(sizes) for sizes in (map(len, W), [w.shape[1] for w in W], [a.shape[1] for a in A]))

    def padded(blocks, width):
        return np.array([np.pad(X, ((0, n - len(X)), (0, width - X.shape[1]))) for X in blocks])

    bound = 3 * factor_bound(*W, *A)
    assert np.abs(bures_wasserstein_factors(padded(W, k), padded(A, m)) - one).max() <= bound

    def diagonal(blocks):
        rows, columns = np.cumsum([X.shape for X in blocks], axis=0).T
        out = np.zeros((rows[-1], columns[-1]))
        for X, i, j in zip(blocks, rows, columns):
            out[i - len(X):i, j - X.shape[1]:j] = X
        return out

    assert abs(bures_wasserstein_factors(diagonal(W), diagonal(A)) - np.linalg.norm(one)) <= bound


# ---------------------------------------------------------------- transport maps and geodesics

@given(st.data(), dimensions, sizes)
def test_laws_of_the_transport_map(data, n, size):
    """The errors are a few ``n eps`` times both condition numbers; there is nothing to see beyond ``1 / eps``."""
    pair = [data.draw(factors(n, st.just(n), st.just(size), st.sampled_from([0.0, 1.0, 2.0]), full_rank=True)) for _ in range(2)]
    A, B = map(gram, pair)
    T = transport_map(A, B)
    bound = 20 * n * EPS * np.linalg.cond(A) * np.linalg.cond(B)
    assert np.array_equal(T, T.T) and np.linalg.eigvalsh(T)[0] > 0
    assert norm(T @ A @ T - B) <= bound * norm(B)
    assert norm(T @ transport_map(B, A) - np.eye(n)) <= bound
    assert norm(transport_map(A, A) - np.eye(n)) <= bound
    cost = np.trace((T - np.eye(n)) @ A @ (T - np.eye(n)))
    assert abs(cost - bures_wasserstein(A, B, squared=True)) <= bound * (np.trace(A) + np.trace(B))


@given(factor_tuples(2), st.floats(0, 1), st.floats(0, 1))
def test_geodesics_have_constant_speed(pair, s, t):
    """Their points have errors of a few ``n eps`` of the traces, which ``determined`` counts once."""
    A, B = map(gram, pair)
    length, times = bures_wasserstein(A, B), (s, t)
    points = [symmetrised(geodesic(A, B, x)) for x in times]
    bound = 10 * determined(A, B, *points)
    assert abs(bures_wasserstein(*points) - abs(s - t) * length) <= bound
    for point, x in zip(points, times):
        assert abs(bures_wasserstein(A, point) - x * length) <= bound
        assert abs(bures_wasserstein(point, B) - (1 - x) * length) <= bound
    ends = geodesic(A, B, 0.0), geodesic(A, B, 1.0)
    assert max(norm(ends[0] - A), norm(ends[1] - B)) <= 50 * len(A) * EPS * (np.trace(A) + np.trace(B))


@given(factor_tuples(2, modest_sizes), st.floats(0, 1), st.data())
def test_traces_along_a_geodesic_are_parabolas_and_it_turns_with_its_ends(pair, s, data):
    A, B = map(gram, pair)
    point = geodesic(A, B, s)
    size = np.trace(A) + np.trace(B)
    squared = bures_wasserstein(A, B) ** 2
    parabola = (1 - s) * np.trace(A) + s * np.trace(B) - s * (1 - s) * squared
    error = determined(A, B) * (2 * np.sqrt(squared) + determined(A, B))
    assert abs(np.trace(point) - parabola) <= 50 * len(A) * EPS * size + error
    Q = data.draw(rotation(len(A)))
    turned = geodesic(symmetrised(Q @ A @ Q.T), symmetrised(Q @ B @ Q.T), s)
    assert abs(np.trace(turned) - np.trace(point)) <= 100 * len(A) * EPS * size + 2 * error
