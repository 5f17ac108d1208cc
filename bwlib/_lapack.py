"""The few calls of BLAS and LAPACK in the inner loops: SciPy's thin wrappers, which check nothing.

All of an inner loop goes through SciPy, as its wheel and NumPy's bring thread pools that hinder each other.  BLAS wants
Fortran order; of an array in C order the transpose is passed, so that nothing is copied.  Stacks go through NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import scipy

from ._validate import Array


def dot(A: Array, B: Array) -> Array:
    """``A @ B``; of two matrices in Fortran order."""
    if A.ndim > 2 or B.ndim > 2:
        return A @ B
    (a, trans_a), (b, trans_b) = _operand(A), _operand(B)
    return scipy.linalg.blas.dgemm(1.0, a, b, trans_a=trans_a, trans_b=trans_b)


def symmetric_dot(M: Array, X: Array) -> Array:
    """``M @ X`` of single matrices in Fortran order, from the lower triangle of ``M``."""
    return scipy.linalg.blas.dsymm(1.0, M, X, lower=True)


def product_into(out: Array, A: Array, B: Array) -> Callable[[], Array]:
    """A call that writes ``A @ B`` into ``out``, of contiguous matrices: for products that come again and again."""
    if out.ndim > 2:
        return partial(np.matmul, A, B, out)
    if not out.flags.f_contiguous:
        out, A, B = out.T, B.T, A.T
    (a, trans_a), (b, trans_b) = _operand(A), _operand(B)
    return partial(scipy.linalg.blas.dgemm, 1.0, a, b, 0.0, out, trans_a, trans_b, True)


def svd(X: Array) -> tuple[Array, Array, Array]:
    """Thin SVD ``U, s, Vt``; a single matrix may be overwritten."""
    if X.ndim > 2:
        return np.linalg.svd(X, full_matrices=False)
    if X.flags.c_contiguous and not X.flags.f_contiguous:
        V, s, Ut = svd(X.T)
        return Ut.T, s, V.T
    U, s, Vt, info = scipy.linalg.lapack.dgesdd(X, full_matrices=False, overwrite_a=True)
    if info:
        raise np.linalg.LinAlgError("the singular value decomposition did not converge")
    return U, s, Vt


def singular_values(X: Array) -> Array:
    """The singular values of one matrix, which may be overwritten."""
    _, s, _, info = scipy.linalg.lapack.dgesdd(_operand(X)[0], compute_uv=False, overwrite_a=True)
    if info:
        raise np.linalg.LinAlgError("the singular value decomposition did not converge")
    return s


def gram(Y: Array, D: Array) -> Array:
    """``Y @ Y.T + D`` for a diagonal ``D``; of a single matrix ``Y`` the lower triangle."""
    if Y.ndim > 2:
        return Y @ Y.mT + D
    y, transposed = _operand(Y)
    return scipy.linalg.blas.dsyrk(1.0, y, 1.0, _operand(D)[0], trans=transposed, lower=True)


def eigh(M: Array) -> tuple[Array, Array]:
    """Eigenvalues, ascending, and eigenvectors, from the lower triangle; a single matrix may be overwritten."""
    if M.ndim > 2:
        return np.linalg.eigh(M)
    return _checked(*scipy.linalg.lapack.dsyevd(M, lower=True, overwrite_a=True))


def eigvalsh(M: Array) -> Array:
    """The eigenvalues, ascending; a single matrix may be overwritten."""
    if M.ndim > 2:
        return np.linalg.eigvalsh(M)
    n = len(M)
    room = 34 * n + 1 if n >= 100 else 2 * n + 1  # with more than the least, LAPACK works in blocks
    return _checked(*scipy.linalg.lapack.dsyevd(M, compute_v=False, lower=True, lwork=room, overwrite_a=True))[0]


def _checked(mu: Array, P: Array, info: int) -> tuple[Array, Array]:
    if info:
        raise np.linalg.LinAlgError("the eigendecomposition did not converge")
    return mu, P


def squares(X: Array) -> float | Array:
    """The squared Frobenius norms."""
    if X.ndim > 2:
        return np.einsum("...ij,...ij->...", X, X)
    x = X.ravel(order="K")
    return scipy.linalg.blas.ddot(x, x)


def ends(mu: Array) -> tuple[float | Array, float | Array]:
    """The first and the last numbers along the last axis."""
    return (mu[..., 0], mu[..., -1]) if mu.ndim > 1 else (mu[0], mu[-1])


def total(s: Array) -> float | Array:
    """The sums of non-negative numbers along the last axis."""
    return s.sum(axis=-1) if s.ndim > 1 else scipy.linalg.blas.dasum(s)


class Multiplier:
    """Products with one fixed matrix ``F``; of a large lower triangular one they cost half."""

    def __init__(self, F: Array) -> None:
        self._FT = np.ascontiguousarray(F).T
        self._is_lower = F.shape[0] == F.shape[1] >= 64 and not np.triu(F, 1).any()

    def transposed(self, X: Array) -> Array:
        """``F.T @ X``"""
        if self._is_lower and X.ndim == 2:
            return scipy.linalg.blas.dtrmm(1.0, self._FT, X)
        return dot(self._FT, X)

    def residual(self, W: Array, X: Array) -> Array:
        """``W - F @ X``"""
        if W.ndim > 2:
            return W - self._FT.T @ X
        if self._is_lower:
            return W - scipy.linalg.blas.dtrmm(1.0, self._FT, X, trans_a=True)
        return scipy.linalg.blas.dgemm(-1.0, self._FT, X, 1.0, W, trans_a=True)


def _operand(A: Array) -> tuple[Array, bool]:
    """A matrix in Fortran order, and whether it has to be transposed to be ``A``."""
    return (A, False) if A.flags.f_contiguous else (A.T, True)
