"""Covariance matrices: validation, spectrum, factor, square root, polar factor."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from . import _validate as check
from ._validate import EPS, Array


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Covariance:
    r"""A positive semidefinite matrix, or a stack of them, with its spectrum :math:`\Sigma=\Omega\Lambda\Omega^\top`.

    Eigenvalues below the noise level ``n * eps * eigenvalues[0]`` are set to zero, so that singular covariances stay
    singular; an eigenvalue below ``-100`` times that level is an error.  All arrays are read-only.

    In high dimension a covariance of low rank is given by a factor (:meth:`from_factor`) or by samples
    (:meth:`from_samples`).  Then no n x n array is formed, unless ``matrix``, ``root`` or all ``eigenvectors`` are asked for.

    Parameters
    ----------
    matrix : array, shape (..., n, n)
        Symmetric positive semidefinite; copied.  Of float32 input only float32 accuracy is asked, and the noise level
        is that of float32.

    Attributes
    ----------
    matrix : array, shape (..., n, n)
    eigenvalues : array, shape (..., n)
        Descending.
    eigenvectors : array, shape (..., n, n)
        Orthonormal columns in the order of the eigenvalues.

    Raises
    ------
    TypeError
        If the entries are not real numbers.
    ValueError
        If the matrix is empty, not square, not finite, not symmetric or not positive semidefinite.

    Examples
    --------
    >>> Sigma0 = Covariance([[2.0, 1.0], [1.0, 2.0]])
    >>> [round(float(lam), 12) for lam in Sigma0.eigenvalues]
    [3.0, 1.0]
    >>> bool(np.allclose(Sigma0.root @ Sigma0.root, Sigma0.matrix))
    True

    Notes
    -----
    Book: chapter "Linear generators" and the matrix toolbox.
    """

    shape: tuple[int, ...]  # (..., n, n)
    is_thin: bool  # whether it was given by a factor with fewer columns than rows

    def __init__(self, matrix: ArrayLike) -> None:
        matrix, noise = check.symmetric(matrix, "matrix")
        self._keep(matrix=matrix)
        self._set(shape=matrix.shape, is_thin=False, _noise=noise, _is_definite=_is_clearly_definite(matrix, noise))
        if not self._is_definite:
            self._spectrum  # refuses what is not positive semidefinite

    @cached_property
    def _spectrum(self) -> tuple[Array, Array]:
        lam, Omega = np.linalg.eigh(self.matrix)
        lam, Omega = lam[..., ::-1], Omega[..., ::-1]
        largest = np.abs(lam).max(axis=-1, keepdims=True)
        if (lam < -100 * self._noise * largest).any():
            raise ValueError(f"matrix must be positive semidefinite, but its smallest eigenvalue is {lam.min():.3g} "
                             f"(largest: {largest.max():.3g}). Did you pass a difference of covariances?")
        lam = np.where(lam <= self._noise * largest, 0.0, lam)
        return _read_only(lam), _read_only(np.ascontiguousarray(Omega))

    @cached_property
    def eigenvalues(self) -> Array:
        return self._spectrum[0]

    @cached_property
    def _axes(self) -> Array:
        """The first eigenvectors; the eigenvalues of the others are zero."""
        return self._spectrum[1]

    def _set(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _keep(self, **arrays: Array) -> None:
        self._set(**{name: _read_only(np.ascontiguousarray(array)) for name, array in arrays.items()})

    def __setstate__(self, state: dict[str, object]) -> None:
        """Read-only after copying and pickling, too."""
        self._set(**{name: _read_only(x) if isinstance(x, np.ndarray) else x for name, x in state.items()})

    def __repr__(self) -> str:
        return f"Covariance(shape={self.shape})"

    @classmethod
    def from_factor(cls, F: ArrayLike) -> Covariance:
        r"""The covariance :math:`FF^\top` of a factor, without forming it when the factor is thin.

        From the thin SVD :math:`F=U\operatorname{diag}(s)V^\top`: eigenvalues :math:`s^2`, and ``factor`` becomes
        :math:`U\operatorname{diag}(s)` without its null columns.  Singular values below ``max(n, r) * eps * s[0]`` are
        zero, so the eigenvalues are known down to ``eps**2`` of the largest one.

        Parameters
        ----------
        F : array, shape (..., n, r)
            Any number of columns.

        Raises
        ------
        TypeError, ValueError
            If ``F`` is not a real, finite, non-empty matrix, or its squared singular values overflow.

        Examples
        --------
        >>> Sigma0 = Covariance.from_factor(np.ones((20_000, 1)))
        >>> Sigma0.dim, Sigma0.rank, round(Sigma0.trace, 6)
        (20000, 1, 20000.0)
        """
        F = check.matrix(F, "F")
        U, s, _ = compact_svd(F)
        lam = np.zeros(F.shape[:-1])
        with np.errstate(over="ignore"):
            lam[..., :s.shape[-1]] = s**2
        if not np.isfinite(lam).all():
            raise ValueError(f"F must have singular values whose squares are finite, got {s.max():.3g}")
        Sigma = object.__new__(cls)
        Sigma._set(shape=(*lam.shape, lam.shape[-1]), is_thin=U.shape[-1] < lam.shape[-1], _is_definite=False)
        r = max(int(np.count_nonzero(s, axis=-1).max()), 1)
        factor = U[..., :r] * s[..., None, :r]  # not from the eigenvalues: squares of tiny numbers underflow
        Sigma._keep(eigenvalues=lam, _axes=U, factor=factor, principal_factor=factor)
        return Sigma

    @classmethod
    def from_spectrum(cls, eigenvalues: ArrayLike, *, rng: np.random.Generator | int | None = None,
                      eigenvectors: ArrayLike | None = None) -> Covariance:
        r"""The covariance :math:`\Omega\,\mathrm{diag}(\lambda)\,\Omega^\top`.

        Parameters
        ----------
        eigenvalues : array, shape (n,)
            Non-negative, in any order.
        rng : Generator or int, optional
            Draws :math:`\Omega` uniformly (Haar) from the orthogonal group.
        eigenvectors : array, shape (n, n), optional
            A given orthogonal :math:`\Omega`.  With neither argument :math:`\Omega=I`.

        Raises
        ------
        ValueError
            If an eigenvalue is negative, the eigenvectors are not orthogonal, or both options are given.

        Examples
        --------
        >>> Covariance.from_spectrum([1.0, 4.0, 9.0], rng=0).eigenvalues.round(12).tolist()
        [9.0, 4.0, 1.0]
        """
        lam = check.real_array(eigenvalues, "eigenvalues")
        if lam.ndim != 1 or lam.size == 0:
            raise ValueError(f"eigenvalues must be a non-empty vector, got shape {lam.shape}")
        if (lam < 0).any():
            raise ValueError(f"eigenvalues must be non-negative, got {lam.min():.3g}")
        n = lam.size
        if rng is not None and eigenvectors is not None:
            raise ValueError("give either rng or eigenvectors, not both")
        if eigenvectors is not None:
            Omega = check.matrix(eigenvectors, "eigenvectors", rows=n, stacks=False)
            if Omega.shape != (n, n) or np.abs(Omega.T @ Omega - np.eye(n)).max() > 100 * n * EPS:
                raise ValueError(f"eigenvectors must be an orthogonal {n} x {n} matrix, got shape {Omega.shape} with "
                                 f"max |V.T V - I| = {np.abs(Omega.T @ Omega - np.eye(Omega.shape[1])).max():.3g}")
        elif rng is not None:
            Q, R = np.linalg.qr(check.generator(rng).standard_normal((n, n)))
            Omega = Q * np.sign(np.diag(R))
        else:
            Omega = np.eye(n)
        return cls((Omega * lam) @ Omega.T)

    @classmethod
    def from_samples(cls, X: ArrayLike, *, center: bool = True) -> Covariance:
        r"""The empirical covariance :math:`\frac1M\sum_i(x_i-\bar x)(x_i-\bar x)^\top` of the rows of ``X``.

        The divisor is the number of samples :math:`M` (maximum likelihood), also when ``center`` is true.  With fewer
        samples than dimensions the covariance is kept as a factor, see :meth:`from_factor`.

        Parameters
        ----------
        X : array, shape (samples, n)
        center : bool
            Subtract the mean of the samples first; otherwise the second-moment matrix is returned.

        Examples
        --------
        >>> Covariance.from_samples([[1.0, 0.0], [-1.0, 0.0]]).matrix.tolist()
        [[1.0, 0.0], [0.0, 0.0]]
        """
        samples = check.matrix(X, "X", stacks=False)
        if center:
            samples = samples - samples.mean(axis=0)
        if len(samples) < samples.shape[1]:
            return cls.from_factor(samples.T / np.sqrt(len(samples)))
        return cls(samples.T @ samples / len(samples))

    @property
    def dim(self) -> int:
        """The dimension ``n``."""
        return self.shape[-1]

    @cached_property
    def matrix(self) -> Array:
        F = self.factor
        return _read_only(F @ F.mT)

    @cached_property
    def eigenvectors(self) -> Array:
        return self.leading(self.dim)

    def leading(self, k: int) -> Array:
        """The eigenvectors of the ``k`` largest eigenvalues, shape (..., n, k), read-only.

        Examples
        --------
        >>> Covariance.from_factor([[3.0], [4.0]]).leading(1).round(12).tolist()
        [[0.6], [0.8]]
        """
        k, p = check.integer(k, "k", 0, self.dim), self._axes.shape[-1]
        if k <= p:
            return self._axes[..., :k]
        rest = np.linalg.qr(self._axes, mode="complete")[0][..., p:k]
        return _read_only(np.concatenate([self._axes, rest], axis=-1))

    @cached_property
    def rank(self) -> int | np.ndarray:
        """The number of positive eigenvalues (an array of them for a stack)."""
        rank = np.count_nonzero(self.eigenvalues, axis=-1)
        return int(rank) if np.ndim(rank) == 0 else _read_only(rank)

    @cached_property
    def trace(self) -> float | Array:
        """The sum of the eigenvalues (an array for a stack)."""
        trace = self.eigenvalues.sum(axis=-1)
        return float(trace) if trace.ndim == 0 else _read_only(trace)

    @cached_property
    def factor(self) -> Array:
        r"""A factor :math:`F`, shape (..., n, r), with :math:`\Sigma=FF^\top`.

        The Cholesky factor when a positive definite matrix was given; otherwise ``principal_factor``.
        """
        if self._is_definite or np.min(self.rank) == self.dim:
            try:
                return _read_only(np.linalg.cholesky(self.matrix))
            except np.linalg.LinAlgError:  # positive definite, but only just
                pass
        return self.principal_factor

    @cached_property
    def principal_factor(self) -> Array:
        r"""The factor :math:`\Omega\Lambda^{1/2}` restricted to the positive eigenvalues: orthogonal columns, descending.

        In a stack it is restricted to the largest rank and padded with zero columns; of the zero matrix it is one zero
        column.
        """
        r = max(int(np.max(self.rank)), 1)
        return _read_only(self._axes[..., :r] * np.sqrt(self.eigenvalues[..., None, :r]))

    @cached_property
    def root(self) -> Array:
        r"""The symmetric square root :math:`\Sigma^{1/2}`: for formulas on the page; computations use ``factor``."""
        Omega = self._axes
        lam = self.eigenvalues[..., None, :Omega.shape[-1]]
        return _read_only((Omega * np.sqrt(lam)) @ Omega.mT)


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _is_clearly_definite(matrix: Array, noise: float) -> bool:
    """Whether all eigenvalues are above the noise level: a Cholesky decomposition with this shift says so at once."""
    n = matrix.shape[-1]
    shift = 2 * n * noise * np.abs(matrix).max(axis=(-2, -1))
    try:
        np.linalg.cholesky(matrix - shift[..., None, None] * np.eye(n))
    except np.linalg.LinAlgError:
        return False
    return True


def as_covariance(A: Covariance | ArrayLike, name: str, *, stacks: bool = True) -> Covariance:
    """``A`` itself, or the validated covariance of a plain matrix; errors name the argument."""
    if not isinstance(A, Covariance):
        try:
            A = Covariance(A)  # type: ignore[arg-type]
        except (TypeError, ValueError) as error:
            raise type(error)(str(error).replace("matrix must", f"{name} must", 1)) from None
    if len(A.shape) > 2 and not stacks:
        raise ValueError(f"{name} must be one covariance of shape (n, n), got a stack {A.shape}")
    return A


def sqrtm_psd(A: Covariance | ArrayLike) -> Array:
    r"""The unique positive semidefinite square root :math:`A^{1/2}`, shape (..., n, n).

    Eigenvalues below the noise level are zeroed before the root (see :class:`Covariance`), so singular matrices are
    exact: clipping at 0 instead would leave roots of rounding errors, of size 1e-8.

    Raises
    ------
    TypeError, ValueError
        If ``A`` is not a covariance (see :class:`Covariance`).

    Examples
    --------
    >>> sqrtm_psd([[4.0, 0.0], [0.0, 0.0]]).tolist()
    [[2.0, 0.0], [0.0, 0.0]]

    Notes
    -----
    Book: matrix toolbox, "The positive semidefinite square root". Source: Higham, *Functions of Matrices* (2008),
    chapter 6.
    """
    return as_covariance(A, "A").root.copy()


def compact_svd(X: Array) -> tuple[Array, Array, Array]:
    """Thin SVD ``U, s, Vt``; singular values below the noise level ``max(n, m) * eps * s[0]`` are set to zero."""
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    return U, np.where(s > max(X.shape[-2:]) * EPS * s[..., :1], s, 0.0), Vt


def polar(X: ArrayLike) -> Array:
    r"""The polar factor :math:`Q=UV^\top` of the compact SVD :math:`X=USV^\top`, shape (..., n, m).

    Only positive singular values enter (above ``max(n, m) * eps * s[0]``), so ``Q`` is a partial isometry of the rank
    of ``X``, and :math:`\langle Q,X\rangle=\|X\|_*`.

    Raises
    ------
    TypeError, ValueError
        If ``X`` is not a real, finite, non-empty matrix.

    Examples
    --------
    >>> polar([[3.0, 0.0], [0.0, 0.0]]).tolist()
    [[1.0, 0.0], [0.0, 0.0]]

    Notes
    -----
    Book: matrix toolbox, "The polar factor". Source: Higham, *Functions of Matrices* (2008), chapter 8.
    """
    U, s, Vt = compact_svd(check.matrix(X, "X"))
    return (U * (s > 0)[..., None, :]) @ Vt


def zipf_spectrum(n: int, *, rng: np.random.Generator | int, largest: float | None = None) -> Array:
    r"""A slowly decaying random spectrum :math:`\lambda_i=a/i+\xi_i`, sorted and shifted to a minimum of :math:`1/n`.

    Parameters
    ----------
    n : int
        Number of eigenvalues.
    rng : Generator or int
        Draws the standard normal :math:`\xi_i`.
    largest : float, optional
        The scale :math:`a`; default ``n``.

    Returns
    -------
    array, shape (n,)
        Descending, positive.

    Examples
    --------
    >>> lam = zipf_spectrum(5, rng=0)
    >>> lam.shape, round(float(lam[-1]), 12)
    ((5,), 0.2)

    Notes
    -----
    The kind of target spectrum used in the experiments of Bréchet, Papagiannouli, An and Montúfar (2023).
    """
    n = check.integer(n, "n", 1)
    a = float(n) if largest is None else check.scalar(largest, "largest", positive=True)
    values = np.sort(a / np.arange(1, n + 1) + check.generator(rng).standard_normal(n))[::-1]
    return values - values[-1] + 1 / n
