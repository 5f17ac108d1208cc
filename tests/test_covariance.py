"""Covariances, square roots, polar factors, spectra; laws on random input: ``test_laws_distance.py``."""

import dataclasses

import mpmath as mp
import numpy as np
import oracles
import pytest

from bwlib import Covariance, polar, sqrtm_psd, zipf_spectrum

EPS = np.finfo(float).eps
SPECTRA = {
    "full rank": [5.0, 3.0, 2.0, 1.0],
    "one dimension": [2.0],
    "bottleneck": [4.0, 1.0, 0.0, 0.0],
    "repeated": [3.0, 3.0, 1.0, 1.0],
    "zero": [0.0, 0.0, 0.0],
    "ill-conditioned": [1.0, 1e-4, 1e-8, 1e-12],
}
every_spectrum = pytest.mark.parametrize("lam", SPECTRA.values(), ids=SPECTRA)


def random_matrix(n, m, rank, seed):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, rank)) @ rng.standard_normal((rank, m))


# ---------------------------------------------------------------- hand values

def test_a_two_by_two_covariance_by_hand():
    Sigma = Covariance([[2, 1], [1, 2]])
    assert np.allclose(Sigma.eigenvalues, [3, 1], rtol=4 * EPS)
    assert np.allclose(np.abs(Sigma.eigenvectors), np.sqrt(0.5), rtol=4 * EPS)
    a, b = (np.sqrt(3) + 1) / 2, (np.sqrt(3) - 1) / 2
    assert np.allclose(Sigma.root, [[a, b], [b, a]], rtol=16 * EPS)
    assert (Sigma.dim, Sigma.rank) == (2, 2)
    assert Sigma.trace == pytest.approx(4, rel=4 * EPS)


def test_a_singular_covariance_by_hand():
    Sigma = Covariance([[4, 2], [2, 1]])
    assert Sigma.rank == 1 and Sigma.eigenvalues[1] == 0.0
    assert np.allclose(np.abs(Sigma.factor), [[2], [1]], rtol=8 * EPS)
    assert np.allclose(Sigma.root, np.array([[4, 2], [2, 1]]) / np.sqrt(5), rtol=8 * EPS)


def test_covariance_of_samples_divides_by_their_number():
    X = [[1.0, 2.0], [3.0, 6.0]]
    assert Covariance.from_samples(X).matrix.tolist() == [[1.0, 2.0], [2.0, 4.0]]
    assert Covariance.from_samples(X, center=False).matrix.tolist() == [[5.0, 10.0], [10.0, 20.0]]
    assert Covariance.from_samples([[7, 8]]).rank == 0


def test_spectrum_without_randomness_is_diagonal():
    assert Covariance.from_spectrum([1, 3, 2]).matrix.tolist() == np.diag([1.0, 3.0, 2.0]).tolist()


def test_polar_factor_by_hand():
    assert np.allclose(polar([[0, -2], [5, 0]]), [[0, -1], [1, 0]], atol=4 * EPS)
    assert np.allclose(polar([[3, 4]]), [[0.6, 0.8]], rtol=4 * EPS)
    assert polar(np.zeros((2, 3))).tolist() == np.zeros((2, 3)).tolist()


# ---------------------------------------------------------------- laws

# The symmetric eigenproblem is backward stable: residuals are a modest multiple of n eps times the largest eigenvalue.
@every_spectrum
def test_laws_of_a_covariance(lam):
    Sigma = Covariance.from_spectrum(lam, rng=3)
    n, scale = len(lam), 20 * len(lam) * EPS * max(lam)
    Omega = Sigma.eigenvectors
    assert np.abs(Sigma.eigenvalues - np.sort(lam)[::-1]).max() <= scale
    assert (np.diff(Sigma.eigenvalues) <= 0).all() and (Sigma.eigenvalues >= 0).all()
    assert np.abs(Omega.T @ Omega - np.eye(n)).max() <= 20 * n * EPS
    assert np.abs((Omega * Sigma.eigenvalues) @ Omega.T - Sigma.matrix).max() <= scale
    assert np.abs(Sigma.root @ Sigma.root - Sigma.matrix).max() <= scale
    assert np.abs(Sigma.factor @ Sigma.factor.T - Sigma.matrix).max() <= scale
    assert np.array_equal(Sigma.matrix, Sigma.matrix.T)
    assert Sigma.rank == np.count_nonzero(lam)
    assert Sigma.factor.shape == (n, max(Sigma.rank, 1))
    assert Sigma.trace == pytest.approx(np.sum(lam), abs=scale)


@every_spectrum
def test_square_root_is_scale_free(lam):
    """LAPACK rescales extreme matrices, which perturbs them by dS, a few n eps: |dR| <= dS / sqrt(least eigenvalue)."""
    Sigma = Covariance.from_spectrum(lam, rng=3).matrix
    bound = 20 * len(lam) * EPS * max(lam) / np.sqrt(min((x for x in lam if x), default=1.0))
    for exponent in (-1000, 1000):
        scaled = np.ldexp(sqrtm_psd(np.ldexp(Sigma, exponent)), -exponent // 2)
        assert np.abs(scaled - sqrtm_psd(Sigma)).max() <= bound


# ---------------------------------------------------------------- two routes to one number

@pytest.mark.parametrize("seed", range(4))
def test_square_root_against_mpmath(seed):
    F = np.random.default_rng(seed).standard_normal((5, 5))
    S = (F @ F.T + (F @ F.T).T) / 2
    exact = oracles.root(oracles.exact(S))
    error = max(abs(mp.mpf(a) - b) for a, b in zip(sqrtm_psd(S).ravel(), exact))
    # |dR| <= |dS| / (2 sqrt(least eigenvalue)), and the backward error dS is a few n eps |S|
    assert error <= 20 * 5 * EPS * np.linalg.norm(S, 2) / (2 * np.sqrt(np.linalg.eigvalsh(S)[0]))


def test_square_root_of_an_exactly_singular_matrix_has_no_root_of_noise():
    """Clipping eigenvalues at zero would leave errors of 1e-8 in the null space."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        F = rng.integers(-9, 10, (6, 3)).astype(float)  # integers: F F^T is exact
        null = np.linalg.svd(F)[0][:, 3:]
        assert np.abs(sqrtm_psd(F @ F.T) @ null).max() <= 100 * EPS * np.linalg.norm(F)


def test_polar_factor_is_the_derivative_of_the_nuclear_norm():
    X, D = random_matrix(4, 3, 3, 0), random_matrix(4, 3, 3, 1)
    with mp.workdps(oracles.DIGITS):
        h = mp.mpf(10) ** -20
        X_, D_ = oracles.exact(X), oracles.exact(D)
        slope = float((oracles.nuclear_norm(X_ + h * D_) - oracles.nuclear_norm(X_ - h * D_)) / (2 * h))
    sigma = np.linalg.svd(X, compute_uv=False)
    assert abs(np.vdot(polar(X), D) - slope) <= 20 * EPS * np.linalg.norm(D) * sigma[0] / sigma[-1]


def test_haar_basis_is_uniform():
    """Every entry of a uniform rotation has mean 0 and variance 1/n; 1000 draws, five standard errors."""
    rng, n = np.random.default_rng(0), 3
    draws = np.array([Covariance.from_spectrum([1.0, 2.0, 3.0], rng=rng).matrix for _ in range(1000)])
    mean = draws.mean(axis=0)
    assert np.abs(mean - 2 * np.eye(n)).max() <= 5 * draws.std(axis=0).max() / np.sqrt(1000)


def test_from_spectrum_with_given_eigenvectors():
    c, s = np.cos(0.3), np.sin(0.3)
    Omega = np.array([[c, -s], [s, c]])
    Sigma = Covariance.from_spectrum([4, 1], eigenvectors=Omega)
    assert np.allclose(Sigma.matrix, Omega @ np.diag([4, 1]) @ Omega.T, rtol=8 * EPS)
    assert np.array_equal(Covariance.from_spectrum([4, 1], rng=7).matrix, Covariance.from_spectrum([4, 1], rng=7).matrix)


def test_zipf_spectrum():
    for n in (1, 2, 20):
        lam = zipf_spectrum(n, rng=0)
        assert lam.shape == (n,) and (np.diff(lam) <= 0).all() and lam[-1] == 1 / n
    lam = zipf_spectrum(50, rng=np.random.default_rng(0), largest=1e9)  # the noise is then negligible
    expected = 1e9 / np.arange(1, 51)
    assert np.allclose(lam, expected - expected[-1] + 1 / 50, atol=10)


# ---------------------------------------------------------------- stacks, precisions, read-only

def test_stacks_equal_loops():
    S = np.array([Covariance.from_spectrum(lam, rng=i).matrix
                  for i, lam in enumerate(([3, 2, 1], [3, 1, 0], [0, 0, 0], [2, 2, 2], [1, 0, 0], [5, 4, 4]))])
    S = S.reshape(2, 3, 3, 3)
    stack = Covariance(S)
    assert stack.dim == 3 and stack.rank.tolist() == [[3, 2, 0], [3, 1, 3]]
    for index in np.ndindex(2, 3):
        one = Covariance(S[index])
        assert np.allclose(stack.eigenvalues[index], one.eigenvalues, atol=20 * EPS)
        assert np.allclose(stack.root[index], one.root, atol=20 * EPS)
        assert stack.trace[index] == pytest.approx(one.trace, abs=20 * EPS)
        assert np.allclose(stack.factor[index] @ stack.factor[index].T, S[index], atol=50 * EPS)
        assert np.allclose(polar(S)[index], polar(S[index]), atol=20 * EPS)
    assert stack.factor.shape == (2, 3, 3, 3)


def test_a_stack_of_low_ranks_has_a_thin_factor():
    S = np.array([np.diag([1.0, 0, 0]), np.diag([4.0, 9, 0])])
    assert Covariance(S).factor.shape == (2, 3, 2)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16, np.float16, np.float32, np.longdouble])
def test_every_real_precision_becomes_float64(dtype):
    Sigma = Covariance(np.array([[4, 2], [2, 3]], dtype=dtype))
    for x in (Sigma.matrix, Sigma.eigenvalues, Sigma.eigenvectors, Sigma.root, Sigma.factor,
              polar(np.eye(2, dtype=dtype))):
        assert x.dtype == np.float64
    assert Sigma.matrix.tolist() == [[4.0, 2.0], [2.0, 3.0]]


def test_float32_input_is_judged_at_its_own_precision():
    W = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    S = W @ W.T  # eigenvalues of about -1e-7: noise in float32, indefinite in float64
    assert Covariance(S).rank == 3
    with pytest.raises(ValueError, match="positive semidefinite"):
        Covariance(S.astype(float) - 1e-4 * np.eye(6))


def test_a_negative_eigenvalue_is_noise_up_to_a_hundred_n_eps():
    assert Covariance(np.diag([1.0, -100 * EPS])).rank == 1
    with pytest.raises(ValueError, match="smallest eigenvalue is -"):
        Covariance(np.diag([1.0, -300 * EPS]))


def test_a_factor_without_cholesky(monkeypatch):
    """Cholesky may break down on a matrix that is positive definite by a hair; the spectrum then gives the factor."""
    def breakdown(matrix):
        raise np.linalg.LinAlgError

    Sigma = Covariance.from_spectrum([2.0, 1.0], rng=0)
    monkeypatch.setattr("numpy.linalg.cholesky", breakdown)
    assert np.allclose(Sigma.factor @ Sigma.factor.T, Sigma.matrix, atol=20 * EPS)


def test_everything_is_frozen_and_the_input_untouched():
    given_matrix = np.array([[2.0, 1.0], [1.0, 2.0]])
    Sigma = Covariance(given_matrix)
    given_matrix[0, 0] = 99.0
    assert Sigma.matrix[0, 0] == 2.0
    stack = Covariance(np.array([np.eye(2), np.eye(2)]))
    for x in (Sigma.matrix, Sigma.eigenvalues, Sigma.eigenvectors, Sigma.root, Sigma.factor, stack.rank, stack.trace):
        with pytest.raises(ValueError, match="read-only"):
            x[0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        Sigma.matrix = np.eye(2)
    root = sqrtm_psd(Sigma)
    root[0, 0] = 99.0  # a copy: the caller may write on it
    assert Sigma.root[0, 0] != 99.0


def test_memory_layout_does_not_matter():
    S = Covariance.from_spectrum([3, 2, 1, 0], rng=0).matrix
    strided = np.zeros((8, 8))
    strided[::2, ::2] = S
    read_only = S.copy()
    read_only.flags.writeable = False
    for same in (np.asfortranarray(S), strided[::2, ::2], read_only, S[::-1, ::-1][::-1, ::-1], S.tolist()):
        assert np.allclose(sqrtm_psd(same), sqrtm_psd(S), atol=20 * EPS)
        assert np.allclose(polar(same), polar(S), atol=100 * EPS)


# ---------------------------------------------------------------- given by a factor

FACTORS = {"thin": (6, 2), "one column": (5, 1), "square": (4, 4), "wide": (3, 7), "one row": (1, 3)}
every_factor = pytest.mark.parametrize("n, r", FACTORS.values(), ids=FACTORS)


def test_a_factor_by_hand():
    Sigma = Covariance.from_factor([[3, 0], [4, 0], [0, 2]])
    assert np.allclose(Sigma.eigenvalues, [25, 4, 0], rtol=4 * EPS)
    assert (Sigma.dim, Sigma.rank, Sigma.shape, Sigma.is_thin) == (3, 2, (3, 3), True)
    assert Sigma.trace == pytest.approx(29, rel=4 * EPS)
    assert np.allclose(np.abs(Sigma.factor), [[3, 0], [4, 0], [0, 2]], atol=8 * EPS)
    assert np.allclose(np.abs(Sigma.leading(1)), [[0.6], [0.8], [0]], atol=4 * EPS)
    assert np.allclose(Sigma.matrix, [[9, 12, 0], [12, 16, 0], [0, 0, 4]], atol=50 * EPS)
    zero = Covariance.from_factor(np.zeros((3, 2)))
    assert zero.rank == 0 and zero.factor.tolist() == [[0.0]] * 3


@every_factor
def test_laws_of_a_covariance_given_by_a_factor(n, r):
    """Those of a covariance given by its matrix, and the same numbers."""
    F = random_matrix(n, r, min(n, r), 5)
    Sigma, dense = Covariance.from_factor(F), Covariance(F @ F.T)
    scale = 20 * max(n, r) * EPS * np.sum(F**2)
    Omega, lam = Sigma.eigenvectors, Sigma.eigenvalues
    assert np.abs(Sigma.matrix - F @ F.T).max() <= scale and np.array_equal(Sigma.matrix, Sigma.matrix.T)
    assert lam.shape == (n,) and (np.diff(lam) <= 0).all() and np.abs(lam - dense.eigenvalues).max() <= scale
    assert np.abs(Omega.T @ Omega - np.eye(n)).max() <= 20 * n * EPS
    assert np.abs((Omega * lam) @ Omega.T - Sigma.matrix).max() <= scale
    assert np.abs(Sigma.root @ Sigma.root - Sigma.matrix).max() <= scale
    assert Sigma.rank == dense.rank == min(n, r) and Sigma.is_thin == (r < n) and not dense.is_thin
    for factor in (Sigma.factor, Sigma.principal_factor, dense.principal_factor):
        assert factor.shape == (n, min(n, r)) and np.abs(factor @ factor.T - F @ F.T).max() <= scale
        off = factor.T @ factor - np.diag(np.diag(factor.T @ factor))
        assert np.abs(off).max() <= scale
    for k in range(n + 1):
        assert np.array_equal(Sigma.leading(k), Omega[:, :k])
        assert np.array_equal(dense.leading(k), dense.eigenvectors[:, :k])


def test_a_factor_shows_eigenvalues_far_below_the_noise_of_a_matrix():
    """Singular values are known to eps of the largest: eigenvalues to 1e-30 instead of 1e-16."""
    Omega = np.linalg.qr(random_matrix(5, 2, 2, 0))[0]
    F = Omega * [1.0, 1e-12]
    Sigma = Covariance.from_factor(F)
    assert Sigma.rank == 2 and Sigma.eigenvalues[1] == pytest.approx(1e-24, rel=1e-3)
    assert Covariance(F @ F.T).rank == 1


def test_a_stack_of_factors():
    F = np.array([[[3.0, 0], [4, 0], [0, 0]], [[1, 0], [0, 2], [0, 0]]])
    stack = Covariance.from_factor(F)
    assert stack.shape == (2, 3, 3) and stack.rank.tolist() == [1, 2] and stack.factor.shape == (2, 3, 2)
    for one, given in zip(stack.matrix, F):
        assert np.allclose(one, given @ given.T, atol=50 * EPS)
    assert np.allclose(stack.eigenvectors.mT @ stack.eigenvectors, np.eye(3), atol=20 * EPS)


@pytest.mark.parametrize("center", [True, False])
def test_few_samples_in_many_dimensions_are_kept_as_a_factor(center):
    X = np.random.default_rng(0).standard_normal((4, 9)) + 1
    Sigma = Covariance.from_samples(X, center=center)
    C = X - X.mean(axis=0) if center else X
    assert Sigma.is_thin and Sigma.rank == (3 if center else 4)
    assert np.allclose(Sigma.matrix, C.T @ C / 4, atol=50 * EPS)
    assert not Covariance.from_samples(X.T).is_thin


def test_a_factor_whose_squares_overflow():
    with pytest.raises(ValueError, match="F must have singular values whose squares are finite, got 2e"):
        Covariance.from_factor([[2e160], [0.0]])


def test_a_tiny_factor_keeps_its_small_singular_values():
    """Their squares are subnormal numbers, or zero."""
    F = Covariance.from_factor(1e-151 * np.diag([1.0, 1e-10, 1e-15])[:, :2]).factor
    assert np.linalg.svd(F * 1e151, compute_uv=False) == pytest.approx([1.0, 1e-10], rel=1e-15)


def test_a_covariance_given_by_a_factor_is_frozen_too():
    given_factor = random_matrix(4, 2, 2, 0)
    Sigma = Covariance.from_factor(given_factor)
    given_factor[0, 0] = 99.0
    assert np.abs(Sigma.factor).max() < 50
    for x in (Sigma.matrix, Sigma.eigenvalues, Sigma.eigenvectors, Sigma.root, Sigma.factor, Sigma.leading(1)):
        with pytest.raises(ValueError, match="read-only"):
            x[0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        Sigma.eigenvalues = np.ones(4)
    assert repr(Sigma) == "Covariance(shape=(4, 4))"
