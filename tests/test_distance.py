r"""The Bures-Wasserstein distance, the transport map and the geodesics; laws on random input: ``test_laws_distance.py``.

Two bounds are used throughout.

From factors: an error of the distance of at most ``10 eps (|W| + |A|)``, in every case.

From matrices, by their size relative to the traces ``t = tr A + tr B``: the data are known up to rounding, so up to a
perturbation ``E`` with ``|E|_* <= n^2 eps t``.  By the triangle inequality the distance is then known up to
``B(A, A + E) + B(B, B + E')``, and ``B(A, A + E) <= |A^{1/2} - (A + E)^{1/2}|_F <= min(sqrt(|E|_*),
|E|_F / sqrt(least positive eigenvalue of A))`` (Powers and Stormer; the Sylvester equation of the root; for singular
matrices on their range).  ``determined`` is this number.
"""

import mpmath as mp
import numpy as np
import oracles
import pytest

from bwlib import Covariance, bures_wasserstein, bures_wasserstein_factors, geodesic, transport_map

EPS = np.finfo(float).eps

FACTORS = {  # pairs of factors of three-dimensional covariances
    "full rank": lambda rng: (rng.standard_normal((3, 3)), rng.standard_normal((3, 3))),
    "one dimension": lambda rng: (rng.standard_normal((1, 1)), rng.standard_normal((1, 2))),
    "bottleneck": lambda rng: (rng.standard_normal((4, 2)), rng.standard_normal((4, 3))),
    "repeated eigenvalues": lambda rng: (2 * haar(rng, 4), haar(rng, 4) * [3, 3, 1, 1]),
    "more columns than rows": lambda rng: (rng.standard_normal((2, 5)), rng.standard_normal((2, 3))),
    "orthogonal ranges": lambda rng: (np.eye(4)[:, :2], 3 * np.eye(4)[:, 2:]),
    "one is zero": lambda rng: (np.zeros((3, 2)), rng.standard_normal((3, 3))),
    "both zero": lambda rng: (np.zeros((3, 2)), np.zeros((3, 1))),
}
every_pair = pytest.mark.parametrize("pair", FACTORS.values(), ids=FACTORS)


def haar(rng, n):
    return np.linalg.qr(rng.standard_normal((n, n)))[0]


def symmetrised(M):
    return (M + M.T) / 2


def factor_bound(W, A):
    return 10 * EPS * (np.linalg.norm(W) + np.linalg.norm(A))


def determined(A, B):
    n, t = len(A), np.trace(A) + np.trace(B)
    noise = n**2 * EPS
    total = 0.0
    for S in (A, B):
        lam = np.linalg.eigvalsh(S / t)
        least = min((x for x in lam if x > n * EPS * lam[-1]), default=1.0)
        total += min(np.sqrt(noise), noise / np.sqrt(least))
    return total * np.sqrt(t)


def relative_error(A, B):
    """Of the squared distance, in both orders."""
    exact = oracles.squared_distance(A, B)
    return max(float(abs(bures_wasserstein(X, Y, squared=True) - exact) / exact) for X, Y in ((A, B), (B, A)))


# ---------------------------------------------------------------- hand values

@pytest.mark.parametrize("A, B, expected", [
    ([[4]], [[1]], 1),                                       # |2 - 1|
    ([[4]], [[0]], 2),
    ([[0]], [[0]], 0),
    (np.diag([4, 9]), np.diag([1, 1]), np.sqrt(5)),          # commuting: root of sum of (sqrt a - sqrt b)^2
    (np.diag([1, 0]), np.diag([0, 1]), np.sqrt(2)),          # orthogonal ranges: the root of the sum of the traces
    ([[1, 0], [0, 0]], [[1, 1], [1, 1]], 1),                 # aa^T and bb^T: |a|^2 + |b|^2 - 2|a.b|
    ([[2, 1], [1, 2]], [[2, -1], [-1, 2]], np.sqrt(8 - 4 * np.sqrt(3))),   # R(45) diag(3,1), swapped
])
def test_hand_values(A, B, expected):
    assert bures_wasserstein(A, B) == pytest.approx(expected, abs=1e-14)
    assert bures_wasserstein(B, A, squared=True) == pytest.approx(expected**2, abs=1e-14)


def test_factors_by_hand_when_the_product_is_singular():
    """The compact polar factor of A^T W is not enough: W = diag(1, 0), A = diag(1, 2)."""
    assert bures_wasserstein_factors(np.diag([1, 0]), np.diag([1, 2])) == 2.0
    assert bures_wasserstein_factors([[1.0], [0.0]], np.diag([1.0, 2.0])) == 2.0
    assert bures_wasserstein_factors([[3.0]], [[-1.0]]) == 2.0  # the sign of a factor does not matter


def test_geodesic_and_transport_map_by_hand():
    assert np.allclose(transport_map(np.diag([1, 4]), np.diag([9, 1])), np.diag([3, 0.5]), atol=8 * EPS)
    assert np.allclose(geodesic(np.diag([1, 4]), np.diag([9, 0]), 0.5), np.diag([4, 1]), atol=8 * EPS)


# ---------------------------------------------------------------- laws

@every_pair
def test_laws_of_a_metric(pair):
    rng = np.random.default_rng(0)
    for _ in range(5):
        W, A = pair(rng)
        C = rng.standard_normal(W.shape)
        bound, d = factor_bound(W, A), bures_wasserstein_factors
        assert d(W, A) >= 0
        assert abs(d(W, A) - d(A, W)) <= 2 * bound
        assert d(W, W) <= factor_bound(W, W)
        assert d(W, A) <= d(W, C) + d(C, A) + bound + factor_bound(W, C) + factor_bound(C, A)
        assert d(W, A, squared=True) == d(W, A) ** 2


@every_pair
def test_invariances(pair):
    rng = np.random.default_rng(1)
    W, A = pair(rng)
    Omega, d = haar(rng, len(W)), bures_wasserstein_factors
    expected, bound = d(W, A), 2 * factor_bound(W, A)
    assert abs(d(Omega @ W, Omega @ A) - expected) <= bound
    assert abs(d(W @ haar(rng, W.shape[1]), A @ haar(rng, A.shape[1])) - expected) <= bound
    assert abs(d(np.hstack([W, 0 * W]), A) - expected) <= bound       # columns of zeros add nothing
    assert abs(d(3 * W, 3 * A) - 3 * expected) <= 4 * bound
    assert abs(d(W, 0 * A) - np.linalg.norm(W)) <= bound


@every_pair
def test_three_routes_to_one_number(pair):
    """Factors, matrices, and the textbook formula in 120 digits."""
    rng = np.random.default_rng(2)
    W, A = pair(rng)
    S, S0 = symmetrised(W @ W.T), symmetrised(A @ A.T)
    exact = mp.sqrt(oracles.squared_distance_factors(W, A))
    assert abs(bures_wasserstein_factors(W, A) - exact) <= factor_bound(W, A)
    if S.any() or S0.any():
        assert abs(bures_wasserstein(S, S0) - exact) <= determined(S, S0)
    else:
        assert bures_wasserstein(S, S0) == 0.0


def test_dropped_null_columns_agree():
    rng = np.random.default_rng(3)
    W, A = rng.standard_normal((4, 2)), rng.standard_normal((4, 3))
    wide = np.insert(W, 1, 0.0, axis=1)
    assert abs(bures_wasserstein_factors(wide, A) - bures_wasserstein_factors(W, A)) <= 2 * factor_bound(W, A)


# ---------------------------------------------------------------- accuracy from factors

def graded(rng, n, m, s):
    r = min(n, m)
    return (haar(rng, n)[:, :r] * s(r)) @ haar(rng, m)[:r]


def rotated(rng, A, k):
    """A factor of the same covariance (k at least the width of A), or the part of it on k columns."""
    m = A.shape[1]
    wide = np.hstack([A, np.zeros((len(A), max(k - m, 0)))])
    return (wide @ haar(rng, wide.shape[1]))[:, :k]


SPECTRA = {  # singular values of A; the condition number of A A^T is their ratio squared
    "orthonormal": lambda r: np.ones(r),
    "condition 1e4": lambda r: np.logspace(0, -2, r),
    "condition 1e14": lambda r: np.logspace(0, -7, r),
    "condition 1e24": lambda r: np.logspace(0, -12, r),
    "half 1, half 1e-7": lambda r: np.where(np.arange(r) < (r + 1) // 2, 1.0, 1e-7),
    "clusters 1, 1e-5, 1e-10": lambda r: 10.0 ** (-5 * (3 * np.arange(r) // r)),
    "one small": lambda r: np.where(np.arange(r) < r - 1, 1.0, 1e-9),
    "rank deficient": lambda r: np.where(np.arange(r) < (r + 1) // 2, 1.0, 0.0),
}
SHAPES = [(1, 1, 1), (5, 5, 5), (6, 3, 3), (4, 6, 6), (6, 4, 2), (6, 2, 4), (5, 4, 5), (3, 6, 2), (7, 6, 7)]


@pytest.mark.parametrize("kind", SPECTRA)
@pytest.mark.parametrize("n, m, k", SHAPES)
def test_accuracy_from_factors(kind, n, m, k):
    """The bound of the docstring for equal, nearly equal and different covariances."""
    rng = np.random.default_rng([n, m, k])
    A = graded(rng, n, m, SPECTRA[kind])
    W = rotated(rng, A, k)
    pairs = [(W + d * rng.standard_normal(W.shape), A) for d in (0.0, 1e-15, 1e-9, 1e-4, 1.0)]
    pairs += [(graded(rng, n, k, SPECTRA[kind]), A), (W * 10.0 ** -np.arange(k), A)]
    for W, A in pairs:
        exact = mp.sqrt(oracles.squared_distance_factors(W, A))
        assert abs(bures_wasserstein_factors(W, A) - exact) <= factor_bound(W, A)
        assert abs(bures_wasserstein_factors(A, W) - exact) <= factor_bound(W, A)


@pytest.mark.parametrize("scale", [1e-150, 1e-40, 1e40, 1e150])
@pytest.mark.parametrize("kind", ["orthonormal", "half 1, half 1e-7", "rank deficient"])
def test_accuracy_from_factors_at_extreme_scales(scale, kind):
    rng = np.random.default_rng(4)
    A = scale * graded(rng, 5, 4, SPECTRA[kind])
    for W in (rotated(rng, A, 4), rotated(rng, A, 6) + 1e-8 * scale * rng.standard_normal((5, 6)), A / scale):
        exact = mp.sqrt(oracles.squared_distance_factors(W, A))
        bound = 10 * EPS * scale * (np.linalg.norm(W / scale) + np.linalg.norm(A / scale))
        assert abs(bures_wasserstein_factors(W, A) - exact) <= bound


def test_accuracy_from_factors_at_twenty_dimensions():
    rng = np.random.default_rng(5)
    A = graded(rng, 20, 20, SPECTRA["half 1, half 1e-7"])
    W = rotated(rng, A, 20)
    # W is A times a rotation up to rounding, so the exact distance is itself below n eps
    assert bures_wasserstein_factors(W, A) <= factor_bound(W, A) + 20 * EPS * np.linalg.norm(A)


def test_the_ordinary_svd_stands_in_where_jacobi_does_not_converge(monkeypatch):
    """Then the error is that of an ungraded SVD: still below sqrt(eps), for the small columns may be misaligned."""
    rng = np.random.default_rng(6)
    A = graded(rng, 5, 5, SPECTRA["condition 1e14"])
    W = rotated(rng, A, 5)
    monkeypatch.setattr("scipy.linalg.lapack.dgejsv", lambda M, **options: (None,) * 5 + (1,))
    assert bures_wasserstein_factors(W, A) <= np.sqrt(EPS) * np.linalg.norm(A)


# ---------------------------------------------------------------- accuracy from matrices

def well_conditioned(rng, n):
    Q = haar(rng, n)
    return symmetrised((Q * 10.0 ** rng.uniform(-1, 1, n)) @ Q.T)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_matrices_well_conditioned(n):
    rng = np.random.default_rng(n)
    for _ in range(5):
        assert relative_error(well_conditioned(rng, n), well_conditioned(rng, n)) <= 1e-13


@pytest.mark.parametrize("size", 10.0 ** -np.arange(1, 15))
def test_matrices_nearly_equal(size):
    """Squared distances from 1e-3 to 1e-28 of the traces."""
    rng = np.random.default_rng(0)
    seen = 0
    for n in (1, 2, 4, 6):
        B = well_conditioned(rng, n)
        A = B + size * symmetrised(rng.standard_normal((n, n))) * np.linalg.eigvalsh(B)[0]
        seen = min(seen or 1.0, bures_wasserstein(A, B, squared=True) / np.trace(A + B))
        assert relative_error(A, B) <= 1e-13
    assert seen <= size**2


@pytest.mark.parametrize("n, k, m", [(3, 1, 3), (4, 2, 2), (5, 3, 2), (5, 1, 1), (6, 5, 3)])
def test_matrices_rank_deficient(n, k, m):
    """Factors of small integers, whose products are exact."""
    rng = np.random.default_rng(n)
    for _ in range(5):
        W, A = rng.integers(-9, 10, (n, k)), rng.integers(-9, 10, (n, m))
        assert relative_error(W @ W.T, A @ A.T) <= 1e-13


def test_matrices_rank_deficient_and_nearly_equal():
    """Of the same range, and of another: the products of these dyadic numbers are exact."""
    rng = np.random.default_rng(0)
    for exponent in (3, 8, 13, 20):
        A = rng.integers(-9, 10, (5, 2)).astype(float)
        same_range = A @ (np.eye(2) + np.ldexp(rng.integers(-3, 4, (2, 2)), -exponent))
        other_range = A + np.ldexp(rng.integers(-3, 4, (5, 2)).astype(float), -exponent)
        for W in (same_range, other_range):
            assert relative_error(W @ W.T, A @ A.T) <= 1e-13


def test_an_iteration_that_first_expands_is_not_stopped_early():
    """At 3e-5 of the traces, condition 2000: the steps grow before they shrink, and once were stopped at four digits."""
    A = np.array([[-5, 6, 9, -2, -5, -8], [-4, -8, -5, 6, -8, 5], [3, 4, 1, -5, 1, 5],
                  [1, 0, 8, 5, -4, -9], [6, -6, -5, 6, 4, -8], [-1, -9, -2, 8, 0, 0]])
    W = A + np.array([[-2, 1, -3, 1, -1, 0], [3, 1, 3, 2, 2, 0], [3, -2, -1, -3, 3, 0],
                      [0, -2, -1, -2, -2, -3], [2, 0, 0, -2, 3, 1], [2, 2, 2, 1, 2, -3]]) / 32
    # the data determine B^2 relatively to 2 eps |.| / (B sqrt(lam_n)) < 1e-11
    assert relative_error(W @ W.T, A @ A.T) <= 1e-12


@pytest.mark.parametrize("small", [1e-320, 1e-200, 1e-100, 0.0])
def test_matrices_of_extremely_different_size(small):
    """The smaller one no longer matters; no product of sizes may overflow on the way."""
    A, B = np.diag([4.0, 1.0]), small * np.eye(2)
    for unit in (1.0, 1e150):
        for pair in ((unit * A, unit * B), (unit * B, unit * A)):
            assert bures_wasserstein(*pair) == pytest.approx(np.sqrt(5 * unit), rel=4 * EPS)


def test_equal_matrices_have_distance_zero():
    for lam in ([3, 2, 1], [1, 1e-14], [1, 0], [0, 0], [1e-300, 1e-310], [1e300, 1e299]):
        S = Covariance.from_spectrum(np.array(lam, dtype=float), rng=0)
        assert bures_wasserstein(S, S) == 0.0


def test_small_distances_of_the_textbook_formula_are_lost():
    """Why the difference is used: the traces cancel, the difference does not."""
    B = well_conditioned(np.random.default_rng(0), 4)
    A = (1 + 1e-9) ** 2 * B
    R = Covariance(B).root
    textbook = np.trace(A) + np.trace(B) - 2 * np.trace(Covariance(symmetrised(R @ A @ R)).root)
    exact = np.trace(B) * 1e-18
    assert abs(bures_wasserstein(A, B, squared=True) / exact - 1) <= 1e-6  # (1 + 1e-9)^2 itself is rounded: eps/1e-9
    assert abs(textbook / exact - 1) >= 1


# ---------------------------------------------------------------- covariances given by factors

@pytest.mark.parametrize("r, s", [(1, 1), (2, 5), (5, 2), (3, 3)])
def test_covariances_given_by_factors(r, s):
    """The accuracy of factors, also where the other one is given by its matrix."""
    rng = np.random.default_rng([r, s])
    W, A = rng.standard_normal((6, r)), rng.standard_normal((6, s))
    S, S0 = Covariance.from_factor(W), Covariance.from_factor(A)
    exact = mp.sqrt(oracles.squared_distance_factors(W, A))
    bound = 2 * factor_bound(W, A)  # half of it for the factors that the SVD of the given ones leaves
    assert abs(bures_wasserstein(S, S0) - exact) <= bound
    assert abs(bures_wasserstein(S0, S) - exact) <= bound
    assert bures_wasserstein(S, S) <= factor_bound(W, W)
    dense = A @ A.T
    assert abs(bures_wasserstein(S, dense) - exact) <= bound + determined(dense, dense)
    assert abs(bures_wasserstein(dense, S) - exact) <= bound + determined(dense, dense)
    middle = geodesic(S, S0, 0.5)
    assert bures_wasserstein(middle, S) == pytest.approx(float(exact) / 2, rel=1e-6)  # a singular matrix: sqrt(eps)


def test_stacks_of_near_and_far_pairs_equal_the_loop():
    """Near pairs take another route than far ones, ill-conditioned near pairs a third one; the stack mixes them."""
    rng = np.random.default_rng(9)
    A = graded(rng, 5, 4, SPECTRA["condition 1e14"])
    W = np.array([A, A + 1e-9, rng.standard_normal((5, 4)), rotated(rng, A, 4), 1.1 * A, np.zeros((5, 4))])
    stacked = bures_wasserstein_factors(W.reshape(2, 3, 5, 4), A)
    for distance, one in zip(stacked.ravel(), W):
        assert distance == bures_wasserstein_factors(one, A)


# ---------------------------------------------------------------- transport map and geodesics

@pytest.mark.parametrize("n", [1, 2, 5])
def test_transport_map(n):
    rng = np.random.default_rng(n)
    A, B = well_conditioned(rng, n), well_conditioned(rng, n)
    T = transport_map(A, B)
    condition = np.linalg.cond(A) * np.linalg.cond(B)
    assert np.linalg.eigvalsh(T)[0] > 0
    assert np.linalg.norm(T @ A @ T - B) <= 20 * EPS * condition * np.linalg.norm(B)
    assert np.linalg.norm(T @ transport_map(B, A) - np.eye(n)) <= 20 * EPS * condition
    # tr (T - I) A (T - I) is the cost of the map
    assert np.trace((T - np.eye(n)) @ A @ (T - np.eye(n))) == pytest.approx(bures_wasserstein(A, B, squared=True), rel=1e-11)
    R = oracles.root(oracles.exact(B))
    with mp.workdps(oracles.DIGITS):
        exact = R * oracles.root(R * oracles.exact(A) * R) ** -1 * R
    error = max(abs(mp.mpf(x) - y) for x, y in zip(T.ravel(), exact))
    assert error <= 20 * EPS * condition * np.linalg.norm(T)


@pytest.mark.parametrize("ranks", [(3, 3), (3, 1), (1, 3), (2, 1), (1, 1), (0, 2)])
def test_geodesics_have_constant_speed(ranks):
    rng = np.random.default_rng(sum(ranks))
    W, A = (rng.standard_normal((3, r)) @ np.eye(r, max(r, 1)) for r in ranks)
    S, S0 = W @ W.T, A @ A.T
    length = bures_wasserstein(S, S0)
    # singular points: a rounding error of eps moves the distance by sqrt(eps)
    tolerance = 30 * np.sqrt(EPS) * np.sqrt(np.trace(S + S0))
    times = (0.0, 0.2, 0.7, 1.0)
    points = [geodesic(S, S0, s) for s in times]
    for s, point in zip(times, points):
        for t, other in zip(times, points):
            assert abs(bures_wasserstein(point, other) - abs(s - t) * length) <= tolerance
    assert np.allclose(points[0], S, atol=1e-13) and np.allclose(points[-1], S0, atol=1e-13)


def test_geodesic_is_the_path_of_the_transport_map():
    rng = np.random.default_rng(6)
    A, B = well_conditioned(rng, 4), well_conditioned(rng, 4)
    T = transport_map(A, B)
    for s in (0.0, 0.25, 1.0):
        M = (1 - s) * np.eye(4) + s * T
        assert np.allclose(geodesic(A, B, s), M @ A @ M, rtol=1e-11, atol=1e-11)


# ---------------------------------------------------------------- stacks, precisions, layouts

def test_stacks_equal_loops():
    rng = np.random.default_rng(7)
    W, A = rng.standard_normal((2, 3, 4, 2)), rng.standard_normal((3, 4, 5))
    S, S0 = W @ W.mT, A @ A.mT
    stacked = bures_wasserstein_factors(W, A)
    matrices, squares = bures_wasserstein(S, S0), bures_wasserstein(S, S0, squared=True)
    midpoints = geodesic(S, S0, 0.5)
    assert stacked.shape == matrices.shape == squares.shape == (2, 3) and midpoints.shape == (2, 3, 4, 4)
    for i, j in np.ndindex(2, 3):
        assert stacked[i, j] == pytest.approx(bures_wasserstein_factors(W[i, j], A[j]), rel=1e-14)
        assert matrices[i, j] == pytest.approx(bures_wasserstein(S[i, j], S0[j]), rel=1e-13)
        assert squares[i, j] == pytest.approx(matrices[i, j] ** 2, rel=1e-14)
        assert np.allclose(midpoints[i, j], geodesic(S[i, j], S0[j], 0.5), atol=1e-12)
    full = np.eye(4) + S0
    maps = transport_map(full, full[0])
    for j in range(3):
        assert np.allclose(maps[j], transport_map(full[j], full[0]), atol=1e-12)


def test_a_stack_of_mixed_ranks_equals_the_loop():
    S = np.array([np.diag([1.0, 0, 0]), np.diag([4.0, 9, 1]), np.zeros((3, 3))])
    S0 = np.diag([1.0, 1, 0])
    assert np.allclose(bures_wasserstein(S, S0), [bures_wasserstein(x, S0) for x in S], atol=1e-14)
    assert np.allclose(bures_wasserstein(S, S0, squared=True), [1, 6, 2], atol=1e-13)


def test_results_are_plain_floats():
    assert type(bures_wasserstein(np.eye(2), np.eye(2))) is float
    assert type(bures_wasserstein_factors(np.eye(2), np.eye(2), squared=True)) is float
