"""The Bures-Wasserstein distance, its transport map and its geodesics."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import ArrayLike

from . import _validate as check
from ._validate import EPS, Array
from ._lapack import squares
from .covariance import Covariance, as_covariance, compact_svd

FAR = 0.1  # squared distances above this share of the traces are differences of traces without loss


def bures_wasserstein_factors(W: ArrayLike, A: ArrayLike, *, squared: bool = False) -> float | Array:
    r"""The Bures-Wasserstein distance between :math:`WW^\top` and :math:`AA^\top`, from the factors.

    .. math:: \mathcal B(WW^\top,AA^\top)=\min_{O}\|W-AO\|_F,

    :math:`O` orthogonal, the thinner factor padded with zero columns.  Computed as the residual of the aligned
    factors; nothing cancels, and the error is at most ``10 * eps * (norm(W) + norm(A))``, also for singular or
    ill-conditioned covariances.

    Parameters
    ----------
    W : array, shape (..., n, k)
    A : array, shape (..., n, m)
    squared : bool
        Return :math:`\mathcal B^2`.

    Returns
    -------
    float, or array over the leading axes

    Raises
    ------
    TypeError, ValueError
        If an argument is not a real, finite, non-empty matrix, or the numbers of rows differ.

    Examples
    --------
    >>> bures_wasserstein_factors([[1.0], [0.0]], [[1.0, 0.0], [0.0, 2.0]])
    2.0

    Notes
    -----
    Book: "Procrustes form of the distance". Source: Bhatia, Jain and Lim (2019), Theorem 1.
    """
    W = check.matrix(W, "W")
    A = check.matrix(A, "A", rows=W.shape[-2])
    check.same_stacks(W=W.shape, A=A.shape)
    return _finish(factor_distance(W, A), squared)


def bures_wasserstein(A: Covariance | ArrayLike, B: Covariance | ArrayLike, *, squared: bool = False) -> float | Array:
    r"""The Bures-Wasserstein distance between two covariance matrices.

    .. math:: \mathcal B^2(A,B)=\operatorname{tr}A+\operatorname{tr}B-2\operatorname{tr}(B^{1/2}AB^{1/2})^{1/2},

    the Wasserstein-2 distance of :math:`\mathcal N(0,A)` and :math:`\mathcal N(0,B)`.  Singular matrices are allowed.
    Nearly equal matrices are compared through their difference (for well-conditioned matrices relative error near
    1e-15 down to :math:`\mathcal B^2=10^{-28}` of the traces), all others through factors.

    Parameters
    ----------
    A, B : Covariance or array, shape (..., n, n)
    squared : bool
        Return :math:`\mathcal B^2`.

    Returns
    -------
    float, or array over the leading axes

    Raises
    ------
    TypeError, ValueError
        If an argument is not a real, finite, symmetric positive semidefinite matrix, or the dimensions differ.

    Examples
    --------
    >>> bures_wasserstein([[4.0]], [[1.0]])
    1.0
    >>> round(bures_wasserstein([[1.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 4.0]], squared=True), 12)
    4.0

    Notes
    -----
    Book: "The distance between Gaussians". Sources: Olkin and Pukelsheim (1982), Gelbrich (1990).
    """
    A, B = _covariance_pair(A, B)
    if A.is_thin or B.is_thin:
        return _finish(factor_distance(A.factor, B.factor), squared)
    return _finish(_matrix_distance(A, B), squared)


def transport_map(A: Covariance | ArrayLike, B: Covariance | ArrayLike) -> Array:
    r"""The optimal transport map :math:`T` from :math:`\mathcal N(0,A)` to :math:`\mathcal N(0,B)`, shape (..., n, n).

    .. math:: T=B^{1/2}(B^{1/2}AB^{1/2})^{-1/2}B^{1/2},\qquad TAT=B,\quad T\succ0.

    Parameters
    ----------
    A, B : Covariance or array, shape (..., n, n)
        Positive definite.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a covariance, the dimensions differ, or one is singular: then no positive definite map
        with :math:`TAT=B` is determined.

    Examples
    --------
    >>> transport_map([[1.0]], [[9.0]]).round(12).tolist()
    [[3.0]]

    Notes
    -----
    Book: "The transport map". Source: Knott and Smith (1984).
    """
    A, B = _covariance_pair(A, B)
    for name, S in (("A", A), ("B", B)):
        if np.min(S.rank) < S.dim:
            raise ValueError(f"{name} must be positive definite, but its rank is {np.min(S.rank)} < {S.dim}; "
                             f"add a small multiple of the identity, or use geodesic, which needs no map")
    U, s, _ = np.linalg.svd(B.factor.mT @ A.factor)
    half = B.factor @ (U / np.sqrt(s)[..., None, :])
    return half @ half.mT


def geodesic(A: Covariance | ArrayLike, B: Covariance | ArrayLike, s: float) -> Array:
    r"""The point at time :math:`s` of the Wasserstein geodesic from ``A`` to ``B``, shape (..., n, n).

    .. math:: \Sigma(s)=M_sM_s^\top,\qquad M_s=(1-s)F_A+s\,F_BQ,

    with :math:`F_A,F_B` factors of the ends and :math:`Q` the rotation that aligns them; for positive definite ``A``
    this is :math:`((1-s)I+sT)A((1-s)I+sT)`.  It has constant speed: its distance from ``A`` is
    :math:`s\,\mathcal B(A,B)`.  Between singular matrices a geodesic need not be unique; one is returned.

    Parameters
    ----------
    A, B : Covariance or array, shape (..., n, n)
    s : float
        Time, :math:`0\le s\le1`.

    Raises
    ------
    TypeError, ValueError
        If an end is not a covariance, the dimensions differ, or the time is outside its interval.

    Examples
    --------
    >>> geodesic([[1.0]], [[9.0]], 0.5).tolist()
    [[4.0]]

    Notes
    -----
    Book: "Geodesics". Sources: McCann (1997), Takatsu (2011).
    """
    s = check.scalar(s, "s")
    if s > 1:
        raise ValueError(f"s must lie between 0 and 1, got {s}")
    A, B = _covariance_pair(A, B)
    F_A, F_B = _square_factor(A), _square_factor(B)
    U, _, Vt = np.linalg.svd(F_B.mT @ F_A)
    M = (1 - s) * F_A + s * (F_B @ (U @ Vt))
    return M @ M.mT


def _covariance_pair(A: Covariance | ArrayLike, B: Covariance | ArrayLike) -> tuple[Covariance, Covariance]:
    A, B = as_covariance(A, "A"), as_covariance(B, "B")
    if A.dim != B.dim:
        raise ValueError(f"A and B must have the same dimension, got {A.dim} and {B.dim}")
    check.same_stacks(A=A.shape, B=B.shape)
    return A, B


def _square_factor(S: Covariance) -> Array:
    F = S.factor
    return np.concatenate([F, np.zeros((*F.shape[:-1], S.dim - F.shape[-1]))], axis=-1)


def _finish(distance: Array, squared: bool) -> float | Array:
    out = distance**2 if squared else distance
    return float(out) if out.ndim == 0 else out


def factor_distance(W: Array, A: Array) -> Array:
    """The distances from factors, over the leading axes: near pairs from the residual."""
    scale, W, A = _moderate(W, A)
    distance, near = _far_distance(W, A)
    if near.any():
        distance[near] = near_distance(*_selected(near, W, A))
    return scale * distance


def _far_distance(W: Array, A: Array) -> tuple[Array, np.ndarray]:
    """The distances of far pairs from the trace form, which loses two digits at most there; and which pairs are near."""
    traces = squares(W) + squares(A)
    squared = np.asarray(traces - 2 * np.linalg.svd(A.mT @ W, compute_uv=False).sum(axis=-1))
    near = squared <= FAR * traces
    return np.asarray(np.sqrt(np.where(near, 0.0, squared))), near


def _selected(chosen: np.ndarray, *stacks: Array) -> list[Array]:
    """The chosen matrices of stacks that broadcast to the shape of ``chosen``."""
    return [np.broadcast_to(X, chosen.shape + X.shape[-2:])[chosen] for X in stacks]


def near_distance(W: Array, A: Array) -> Array:
    r"""The distances of two stacks of factors from the residuals, which do not cancel.

    The error :math:`E` of the product and its SVD moves the rotation by :math:`E_{ij}/(s_i+s_j)`, and the squared distance
    by at most :math:`|E|^2/(2s_{\min})`.  Where that may be more than ``EPS`` times norm times distance, with ``dim * EPS``
    the relative size of :math:`E`, the rotation is computed by ``_graded_distance``.
    """
    U, s, Vt = np.linalg.svd(A.mT @ W, full_matrices=False)
    AU = A @ U
    squared = squares(W - AU @ Vt)
    if W.shape[-1] < A.shape[-1]:
        squared = squared + out_of_reach(A, U, AU)
    traces, dim = squares(W) + squares(A), max(*W.shape[-2:], A.shape[-1])
    graded = ((squared < 0.01 * traces) & (s[:, -1] < 0.1 * s[:, 0])
              & (s[:, -1] * np.sqrt(squared) < EPS * dim**2 / 2 * s[:, 0] * np.sqrt(traces)))
    distance = np.sqrt(squared)
    for i in np.flatnonzero(graded):
        distance[i] = _graded_distance(W[i], A[i])
    return distance


def out_of_reach(A: Array, U: Array, AU: Array) -> Array:
    r"""The part of :math:`A` beyond the columns :math:`U`: :math:`\|A-AUU^\top\|_F^2`.

    As a difference of squares where it is no small one.
    """
    whole = squares(A)
    rest = whole - squares(AU)
    return rest if np.all(rest > FAR * whole) else squares(A - AU @ U.mT)


def _moderate(W: Array, A: Array) -> tuple[float | Array, Array, Array]:
    """Powers of two, and both factors divided by them, so that no product overflows or loses digits to underflow."""
    sizes = [np.abs(X).max(axis=(-2, -1)) for X in (W, A)]
    if all(np.all((size > 1e-100) & (size < 1e100)) for size in sizes):
        return 1.0, W, A
    scale = np.ldexp(0.5, np.frexp(np.maximum(*sizes))[1])
    return scale, W / scale[..., None, None], A / scale[..., None, None]


def _graded_distance(W: Array, A: Array) -> float:
    """The residual for nearly equal ill-conditioned factors.

    An ordinary SVD of ``A.T @ W`` perturbs all its entries alike and so spoils the rotation between the small columns.
    Here both factors are first turned to their principal axes (the distance does not see that), which grades the
    product, and the one-sided Jacobi SVD is accurate for graded matrices.
    """
    W, A = _principal_axes(W), _principal_axes(A)
    if W.shape[1] < A.shape[1]:
        W, A = A, W
    V, U = _jacobi_polar(W.T @ A)
    return float(np.linalg.norm(W - (A @ U) @ V.T))


def _principal_axes(X: Array) -> Array:
    U, s, _ = compact_svd(X)
    keep = max(int(np.count_nonzero(s)), 1)
    return U[:, :keep] * s[:keep]


def _jacobi_polar(M: Array) -> tuple[Array, Array]:
    """``V, U`` with orthonormal columns such that ``M = V diag(s) U.T``, ``M`` tall, by one-sided Jacobi rotations."""
    columns = M.shape[1]
    _, V, U, _, _, info = scipy.linalg.lapack.dgejsv(M, joba=2, jobu=0, jobv=0, jobr=0, jobt=0, jobp=1)
    if info != 0:
        V, _, Ut = np.linalg.svd(M, full_matrices=False)
        return V, Ut.T
    return V[:, :columns], U


def _matrix_distance(A: Covariance, B: Covariance) -> Array:
    """The distances from matrices: far pairs from the factors, near ones from their difference where it is small enough."""
    scale, F_A, F_B = _moderate(A.factor, B.factor)
    distance, near = _far_distance(F_A, F_B)
    if near.any():
        F_A, F_B, S, T, lam, Omega, root = _selected(near, F_A, F_B, A.matrix, B.matrix, B.eigenvalues[..., None, :],
                                                     B.eigenvectors, np.asarray(scale)[..., None, None])
        S, T, lam = (X / root / root for X in (S, T, lam))
        found = _nearby_distance(S - T, lam[:, 0], Omega)
        rest = np.isnan(found)
        if rest.any():
            found[rest] = near_distance(F_A[rest], F_B[rest])
        distance[near] = found
    return scale * distance


def _nearby_distance(D: Array, lam: Array, Omega: Array) -> Array:
    r"""The distances between ``B + D`` and ``B`` with spectrum ``lam, Omega`` of three stacks, NaN if they are not near.

    With :math:`T=I+X` the transport map, :math:`TBT=B+D` reads :math:`XB+BX+XBX=D`, and
    :math:`\mathcal B^2=\operatorname{tr}(XBX)`: a sum of squares of first-order quantities.  Solved by fixed-point
    iteration, which mostly contracts while :math:`\|X\|<0.05`; where it does not converge the answer is NaN.
    """
    D = Omega.mT @ D @ Omega
    distance = np.full(len(lam), np.nan)
    index = np.flatnonzero(np.abs(D).max(axis=(-2, -1)) <= 0.2 * lam[:, 0])  # else some entry of X exceeds 0.05
    D, lam = D[index], lam[index]
    X = np.zeros_like(D)
    for _ in range(60):
        sums = lam[:, :, None] + lam[:, None, :]
        right = D - (X * lam[:, None, :]) @ X
        update = np.divide(right, sums, out=np.zeros_like(D), where=sums > 0)
        step, X = update - X, update
        is_small = np.linalg.norm(X, axis=(-2, -1)) < 0.05
        is_at_rest = is_small & (_weighted_norm(step, lam) <= 16 * EPS * _weighted_norm(X, lam))
        outside = np.abs(right).max(axis=(-2, -1), where=sums == 0, initial=0.0)
        solved = is_at_rest & (outside <= lam.shape[-1] * EPS * lam[:, 0])
        distance[index[solved]] = _weighted_norm(X, lam)[solved]
        index, D, lam, X = (x[is_small & ~is_at_rest] for x in (index, D, lam, X))
        if not index.size:
            break
    return distance


def _weighted_norm(X: Array, lam: Array) -> Array:
    r"""The square roots of :math:`\operatorname{tr}(X\operatorname{diag}(\lambda)X^\top)`."""
    return np.linalg.norm(X * np.sqrt(lam)[:, None, :], axis=(-2, -1))
