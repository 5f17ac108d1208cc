r"""The root of a diagonal matrix plus one of low rank, by a rational function: the smoothed loss in high dimension.

In the eigenbasis of the target, with :math:`D=\tau\Lambda` and the :math:`n\times k` matrix
:math:`Y=\Lambda^{1/2}\Omega^\top W`, the smoothed loss is

.. math:: L_\tau(W)=\sum_i\big(\sqrt{\lambda_i}-\sqrt\tau\big)^2+\|W\|_F^2
          -2\operatorname{tr}\big[(D+YY^\top)^{1/2}-D^{1/2}\big],\\
          \nabla L_\tau(W)=2\big(W-\Omega\Lambda^{1/2}(D+YY^\top)^{-1/2}Y\big).

The root is an integral of resolvents, and the midpoint rule in the right variable makes it a short sum,

.. math:: z^{-1/2}=\frac2\pi\int_0^\infty\frac{dt}{t^2+z}\approx\sum_{j=1}^N\frac{c_j}{t_j^2+z}.

Of :math:`D+t^2I+YY^\top` the inverse and the determinant are those of the :math:`k\times k` matrix
:math:`C_t=I+Y^\top(D+t^2I)^{-1}Y` (Woodbury):

.. math:: (D+YY^\top)^{-1/2}Y\approx\sum_jc_j\,(D+t_j^2I)^{-1}Y\,C_{t_j}^{-1},\\
          \operatorname{tr}\big[(D+YY^\top)^{1/2}-D^{1/2}\big]\approx\tfrac12\sum_jc_j\log\det C_{t_j}.

All terms are positive: nothing cancels in either sum, whatever :math:`\tau`.  The cost is :math:`4Nnk^2` operations.

**Error.**  On the interval :math:`[a,b]` of the spectrum, with the complete elliptic integrals :math:`K,K'` of modulus
:math:`\sqrt{a/b}`, the relative error of the sum for :math:`z^{-1/2}` is at most :math:`4\rho/(1-\rho)`,
:math:`\rho=e^{-2\pi NK/K'}`, so both results have at most this relative error (the second because it is the integral of
:math:`\tfrac12z^{-1/2}` between eigenvalues that interlace).  As :math:`2\pi K/K'\ge2\pi^2/(\log(b/a)+2.8)`, about 20 nodes
reach rounding accuracy at :math:`b/a=10^3`, about 40 at :math:`10^8`.

Source: Hale, Higham and Trefethen (2008), method 3; the sum is Zolotarev's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import scipy

from ._lapack import dot, svd
from ._validate import Array


def root_trace(d: Array, Y: Array) -> float:
    r"""The trace of :math:`(D+YY^\top)^{1/2}-D^{1/2}` alone, at half the cost of :func:`root_update`.

    Examples
    --------
    >>> round(root_trace(np.array([1.0]), np.array([[np.sqrt(3.0)]])), 12)
    1.0
    """
    X, _ = _principal_axes(Y)
    return float(sum(weight * np.log(L.diagonal()).sum() for weight, _, _, L in _resolvents(d, X)))


def root_update(d: Array, Y: Array) -> tuple[float, Array]:
    r"""The trace of :math:`(D+YY^\top)^{1/2}-D^{1/2}` and the matrix :math:`(D+YY^\top)^{-1/2}Y`.

    Both to rounding accuracy, also for ill-conditioned :math:`D` and :math:`Y`: the columns of :math:`Y` are first turned
    to its principal axes, so that the matrices :math:`C_t` are graded, which Cholesky does not mind.

    Parameters
    ----------
    d : array, shape (n,)
        The diagonal of :math:`D`, positive; ``(max(d) + norm(Y)**2) / min(d)`` is at most 1e150.
    Y : array, shape (n, k)

    Examples
    --------
    >>> round(root_update(np.array([1.0]), np.array([[np.sqrt(3.0)]]))[0], 12)
    1.0
    """
    X, Vt = _principal_axes(Y)
    trace, Z = 0.0, np.zeros_like(X)
    for weight, _, scaled, L in _resolvents(d, X):
        trace += weight * np.log(L.diagonal()).sum()
        inverse, _ = scipy.linalg.lapack.dpotri(L, lower=True)
        scipy.linalg.blas.dsymm(weight, inverse, scaled, 1.0, Z, side=True, lower=True, overwrite_c=True)
    return float(trace), dot(Z, Vt)


def inverse_root(d: Array, Y: Array) -> Array:
    r"""The matrix :math:`(D+YY^\top)^{-1/2}`, shape (n, n), at :math:`Nn^2k` operations.

    The error of the entry :math:`(i,j)` is a few ``eps`` times :math:`(d_id_j)^{-1/4}`, beyond what rounding of
    :math:`Y` changes.

    Examples
    --------
    >>> inverse_root(np.array([1.0]), np.array([[np.sqrt(3.0)]])).round(12).tolist()
    [[0.5]]
    """
    X, _ = _principal_axes(Y)
    diagonal, root = np.zeros(len(d)), np.zeros((len(d), len(d)), order="F")
    for weight, shifted, scaled, L in _resolvents(d, X):
        half = scipy.linalg.blas.dtrsm(np.sqrt(weight), L, scaled, side=True, lower=True, trans_a=True)
        scipy.linalg.blas.dsyrk(-1.0, half, 1.0, root, lower=True, overwrite_c=True)
        diagonal += weight / shifted
    root += np.tril(root, -1).T
    root.flat[::len(d) + 1] += diagonal
    return root


def _principal_axes(Y: Array) -> tuple[Array, Array]:
    """``X, Vt`` with ``Y = X Vt``, orthogonal columns ``X`` by decreasing length, and rotation ``Vt``."""
    U, s, Vt = svd(np.array(Y, order="F"))
    return U * s, Vt


def _resolvents(d: Array, X: Array) -> Iterator[tuple[float, Array, Array, Array]]:
    r"""For each node the weight, the diagonal of :math:`D+t^2I`, :math:`(D+t^2I)^{-1}X`, and the Cholesky factor of
    :math:`C_t`."""
    scaled = np.empty_like(X)
    longest = np.linalg.norm(X[:, 0])
    for square, weight in zip(*inverse_root_nodes(d.min(), d.max() + longest**2)):
        shifted = d + square
        np.divide(X, shifted[:, None], out=scaled)
        C = scipy.linalg.blas.dgemm(1.0, scaled, X, trans_a=True)
        C.flat[::len(C) + 1] += 1.0
        L, _ = scipy.linalg.lapack.dpotrf(C, lower=True, overwrite_a=True)
        yield weight, shifted, scaled, L


def inverse_root_nodes(a: float, b: float, nodes: int | None = None) -> tuple[Array, Array]:
    r"""The squares :math:`t_j^2` and weights :math:`c_j` with :math:`z^{-1/2}\approx\sum_jc_j/(t_j^2+z)` on :math:`[a,b]`.

    :math:`t=\sqrt a\,\mathrm{sc}(u,k')` with the Jacobi function of complementary modulus :math:`k'=\sqrt{1-a/b}`, at the
    midpoints of ``nodes`` intervals of :math:`[0,K']`; by default as many as rounding accuracy needs.  The function is
    a quotient of theta series in the small nome :math:`e^{-\pi K'/K}`, on the lower half; :math:`t\mapsto\sqrt{ab}/t` gives
    the upper half.  For ``b < 4 * a`` the nodes are those of the interval up to ``4 * a``, and the error bound of the module
    is meant for that one.

    Examples
    --------
    >>> squares, weights = inverse_root_nodes(1.0, 100.0)
    >>> len(weights), float(np.sum(weights / (squares + 25.0)).round(12))
    (15, 0.2)
    """
    b = max(b, 4 * a)
    K, K_prime = scipy.special.ellipk(a / b), scipy.special.ellipkm1(a / b)
    nodes = nodes or math.ceil(math.log(4e16) * K_prime / (2 * np.pi * K))
    u = (np.arange(nodes) + 0.5) / nodes
    period, n = np.pi * K_prime / K, np.arange(1, 4)[:, None]
    y = np.minimum(u, 1 - u) * period / 2
    nome, sign = np.exp(-period * n**2), (-1.0) ** n
    shifted = np.exp(-period * n * (n + 1))
    odd = np.sinh(y) + np.sum(sign * shifted * np.sinh((2 * n + 1) * y), axis=0)
    even = 0.5 + np.sum(sign * nome * np.cosh(2 * n * y), axis=0)
    sc = (0.5 + nome.sum()) / (1 + shifted.sum()) * odd / even
    squares = np.where(u < 0.5, a * sc**2, b / sc**2)
    return squares, 2 * K_prime / (np.pi * nodes) * np.sqrt((a + squares) * (1 + squares / b))
