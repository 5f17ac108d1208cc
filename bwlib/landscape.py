r"""The loss landscape: critical points and Hessian spectra in closed form, exact Hessians of networks, and a search.

Index sets are 0-based positions in the descending spectrum :math:`\lambda_1\ge\dots\ge\lambda_n` of the target.  At
``tau = 0`` the Bures-Wasserstein loss is smooth on the matrices of one rank only, and critical means critical there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
import scipy
from numpy.typing import ArrayLike

from . import _validate as check
from ._validate import EPS, Array
from .covariance import Covariance, as_covariance
from .losses import Loss, check_fit, check_loss
from .networks import DeepLinearNetwork, differential, layer_gradient_derivatives, prefix_products

MOST_POINTS = 100_000


@dataclass(frozen=True, eq=False)
class CriticalPoint:
    r"""A critical point :math:`W=\Omega_J(\Lambda_J-\tau I)^{1/2}V^\top` of the Bures-Wasserstein loss, up to :math:`V`.

    Attributes
    ----------
    indices : tuple of int
        The index set :math:`J`, ascending.
    factor : array, shape (n, m)
        One representative ``W``; its last :math:`m-|J|` columns are zero.
    covariance : array, shape (n, n)
        :math:`WW^\top=\Omega_J(\Lambda_J-\tau I)\Omega_J^\top`, the same for all representatives.
    value : float
        The loss, :math:`\sum_{i\notin J}(\sqrt{\lambda_i}-\sqrt\tau)^2`.
    morse_index : int
        The number of negative eigenvalues of the Hessian.
    hessian_eigenvalues : array, shape (n m,)
        Descending, with multiplicity.
    """

    indices: tuple[int, ...]
    factor: Array
    covariance: Array
    value: float
    morse_index: int
    hessian_eigenvalues: Array


def critical_points(target: Covariance | ArrayLike, rank: int, *, tau: float = 0.0) -> list[CriticalPoint]:
    r"""All critical points of the Bures-Wasserstein loss, global minimum first.

    For :math:`\tau=0` those on the :math:`n\times k` matrices of rank :math:`k` = ``rank``: one for each set :math:`J` of
    :math:`k` positive eigenvalues.  For :math:`\tau>0` those over *all* :math:`n\times m` matrices, :math:`m` = ``rank``:
    one for each set :math:`J\subset\{i:\lambda_i>\tau\}` with :math:`|J|\le m`.

    Parameters
    ----------
    target : Covariance or array, shape (n, n)
    rank : int
        Number of columns; at ``tau = 0`` at most the rank of the target.
    tau : float
        Smoothing, :math:`\tau\ge0`.

    Returns
    -------
    list of CriticalPoint
        By increasing value; equal values in the order of the indices.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its domain; if equal eigenvalues above ``tau`` make critical points come in continuous
        families; if there are more than 100,000 of them.

    Examples
    --------
    >>> for point in critical_points([[4.0, 0.0], [0.0, 1.0]], 1):
    ...     print(point.indices, point.value, point.morse_index)
    (0,) 1.0 0
    (1,) 4.0 1

    Notes
    -----
    Book: theorems "Critical points on the matrices of rank k" and "Critical points of the smoothed loss".  They are those
    of Bréchet, Papagiannouli, An and Montúfar (2023).
    """
    target, tau = as_covariance(target, "target", stacks=False), check.scalar(tau, "tau")
    lam, Omega = target.eigenvalues, target.eigenvectors
    m = check.integer(rank, "rank", 1, int(target.rank) if tau == 0.0 else None)
    above = _count_above(lam, tau)
    sizes = [m] if tau == 0.0 else range(min(above, m) + 1)
    _refuse_families(lam[:above], sizes)
    number = sum(comb(above, size) for size in sizes)
    if number > MOST_POINTS:
        raise ValueError(f"rank must leave at most {MOST_POINTS} critical points, but rank = {m} with {above} eigenvalues "
                         f"above tau has {number}. Use best_low_rank for the minimum, or bures_hessian_spectrum for single "
                         f"points")
    points = []
    for J in (J for size in sizes for J in combinations(range(above), size)):
        factor = np.zeros((target.dim, m))
        factor[:, :len(J)] = Omega[:, J] * np.sqrt(lam[list(J)] - tau)
        missed = np.delete(lam, J)
        value = float(missed.sum() if tau == 0.0 else np.sum((np.sqrt(missed) - np.sqrt(tau)) ** 2))
        spectrum = _bures_spectrum(lam, J, m, tau)
        points.append(CriticalPoint(J, factor, factor @ factor.T, value, int(np.sum(spectrum < 0)), spectrum))
    return sorted(points, key=lambda point: (point.value, point.indices))


def best_low_rank(target: Covariance | ArrayLike, rank: int, *, tau: float = 0.0, factor: bool = False) -> Array:
    r"""A covariance of rank at most ``rank`` that minimises :math:`\mathcal B^2(\Sigma+\tau I,\Sigma_0)`.

    .. math:: \Sigma=\Omega_J(\Lambda_J-\tau I)\Omega_J^\top,\qquad J=\{i\le k:\lambda_i>\tau\};

    at :math:`\tau=0` the truncated spectral decomposition :math:`\Omega_k\Lambda_k\Omega_k^\top`, that is PCA.  It is the
    only minimiser unless :math:`\lambda_k=\lambda_{k+1}>\tau`.

    Parameters
    ----------
    target : Covariance or array, shape (..., n, n)
    rank : int
        :math:`k`, from 0 to n.
    tau : float
    factor : bool
        Return the factor :math:`W=\Omega_k(\Lambda_k-\tau I)_+^{1/2}` with :math:`WW^\top=\Sigma` instead, a global
        minimum of the loss: all that can be had in high dimension.

    Returns
    -------
    array, shape (..., n, n); with ``factor`` (..., n, rank)

    Examples
    --------
    >>> best_low_rank([[4.0, 0.0], [0.0, 1.0]], 1).tolist()
    [[4.0, 0.0], [0.0, 0.0]]
    >>> best_low_rank(Covariance.from_factor(np.ones((20_000, 1))), 1, factor=True).shape
    (20000, 1)

    Notes
    -----
    Book: theorems "Eckart, Young and Mirsky for the Bures-Wasserstein distance" and "Minimum of the smoothed loss over
    bounded rank".  Source at ``tau = 0``: Eckart and Young (1936), Mirsky (1960) for the Frobenius norm.
    """
    target = as_covariance(target, "target")
    k, tau = check.integer(rank, "rank", 0, target.dim), check.scalar(tau, "tau")
    W = target.leading(k) * np.sqrt(np.maximum(target.eigenvalues[..., None, :k] - tau, 0.0))
    return W if factor else W @ W.mT


def bures_hessian_spectrum(target: Covariance | ArrayLike, indices: Iterable[int], m: int | None = None, *,
                           tau: float = 0.0) -> Array:
    r"""The Hessian eigenvalues of the Bures-Wasserstein loss at the critical points of an index set :math:`J`.

    With :math:`r=|J|`, for :math:`i,i'\in J` and :math:`j\notin J`:

    - :math:`2(1-\frac{2\tau}{\lambda_i+\lambda_{i'}})` for each pair :math:`i\le i'`,
    - :math:`2\frac{\lambda_i-\lambda_j}{\lambda_i+\sqrt{\lambda_j\tau}}` for each :math:`i,j`,
    - :math:`2(1-\sqrt{\lambda_j/\tau})` for each :math:`j`, :math:`m-r` times,
    - :math:`0`, :math:`r(r-1)/2+r(m-r)` times.

    At :math:`\tau=0` the third family is absent: the Hessian is that on the matrices of rank :math:`r`, of dimension
    :math:`r(n+m-r)`.

    Parameters
    ----------
    target : Covariance or array, shape (n, n)
        Repeated eigenvalues are allowed.
    indices : iterable of int
        :math:`J`; eigenvalues above ``tau``, at most ``m`` of them.
    m : int, optional
        Number of columns of ``W``; default :math:`|J|`.
    tau : float

    Returns
    -------
    array
        Descending: :math:`nm` eigenvalues, or :math:`r(n+m-r)` at ``tau = 0``.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its domain.

    Examples
    --------
    >>> bures_hessian_spectrum([[4.0, 0.0], [0.0, 1.0]], [1]).tolist()
    [2.0, -6.0]

    Notes
    -----
    Book: theorems "Hessian spectrum on the matrices of rank k" and "Hessian spectrum of the smoothed loss".
    """
    target, tau = as_covariance(target, "target", stacks=False), check.scalar(tau, "tau")
    J, m = _index_set(target, indices, m, tau)
    return _bures_spectrum(target.eigenvalues, J, m, tau)


def frobenius_hessian_spectrum(target: Covariance | ArrayLike, indices: Iterable[int], m: int | None = None) -> Array:
    r"""The Hessian eigenvalues of :math:`\|WW^\top-\Sigma_0\|_F^2` at :math:`W=\Omega_J\Lambda_J^{1/2}V^\top`.

    With :math:`r=|J|`, for :math:`i,i'\in J` and :math:`j\notin J`: :math:`4(\lambda_i+\lambda_{i'})` for each pair
    :math:`i\le i'`; 0, :math:`r(r-1)/2+r(m-r)` times; :math:`4(\lambda_i-\lambda_j)`; :math:`-4\lambda_j`, each
    :math:`m-r` times.

    Parameters
    ----------
    target : Covariance or array, shape (n, n)
    indices : iterable of int
        :math:`J`; positive eigenvalues, at most ``m`` of them.
    m : int, optional
        Number of columns of ``W``; default :math:`|J|`.

    Returns
    -------
    array, shape (n m,)
        Descending.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its domain.

    Examples
    --------
    >>> frobenius_hessian_spectrum([[4.0, 0.0], [0.0, 1.0]], [1]).tolist()
    [8.0, -12.0]

    Notes
    -----
    Book: proposition "Hessian of the Frobenius loss, and conditioning".
    """
    target = as_covariance(target, "target", stacks=False)
    J, m = _index_set(target, indices, m, 0.0)
    inside, outside = target.eigenvalues[J], np.delete(target.eigenvalues, J)
    return _assemble(m, 4 * (inside[:, None] + inside), 4 * (inside[:, None] - outside), -4 * outside)


def parameter_hessian(network: DeepLinearNetwork, loss: Loss) -> Array:
    r"""The Hessian of :math:`L\circ\mu` in the layers, by exact formulas; dense, for up to a few thousand parameters.

    .. math:: D^2(L\circ\mu)(\theta)[Z,Z]=D^2L(W)[D,D]+\langle\nabla L(W),D^2\mu(\theta)[Z,Z]\rangle,\qquad D=d\mu(\theta)[Z].

    At ``tau = 0`` the end-to-end matrix must have the largest rank the network can represent: there
    :math:`L\circ\mu` is smooth.

    Parameters
    ----------
    network : DeepLinearNetwork
    loss : BuresLoss or FrobeniusLoss

    Returns
    -------
    array, shape (P, P)
        Rows and columns in the order of the layers, each layer as ``weights[j].ravel()``.

    Raises
    ------
    TypeError, ValueError
        If the network does not fit the loss, or loses rank at ``tau = 0``.

    Examples
    --------
    >>> from bwlib import BuresLoss
    >>> network = DeepLinearNetwork([[[1.0]], [[2.0]]])
    >>> parameter_hessian(network, BuresLoss([[4.0]])).tolist()
    [[8.0, 4.0], [4.0, 2.0]]

    Notes
    -----
    Book: proposition "Hessian at a critical parameter".
    """
    operator = parameter_hessian_operator(network, loss)
    H = operator.matmat(np.eye(operator.shape[0]))
    return (H + H.T) / 2


def parameter_hessian_operator(network: DeepLinearNetwork, loss: Loss) -> scipy.sparse.linalg.LinearOperator:
    """The Hessian of :func:`parameter_hessian` without forming it: a SciPy operator, for ``scipy.sparse.linalg.eigsh``.

    A product costs a few passes through the network and one decomposition of the end-to-end matrix.

    Parameters
    ----------
    network : DeepLinearNetwork
    loss : BuresLoss or FrobeniusLoss

    Returns
    -------
    scipy.sparse.linalg.LinearOperator, shape (P, P)

    Raises
    ------
    TypeError, ValueError
        See :func:`parameter_hessian`.

    Examples
    --------
    >>> from bwlib import BuresLoss, random_network
    >>> from scipy.sparse.linalg import eigsh
    >>> operator = parameter_hessian_operator(random_network((20, 30, 20), rng=0), BuresLoss(np.eye(20), tau=0.1))
    >>> operator.shape, eigsh(operator, 3, return_eigenvectors=False).shape
    ((1200, 1200), (3,))
    """
    _check_pair(network, loss)
    weights, prefixes = network.weights, prefix_products(network.weights)
    shapes = [W.shape for W in weights]
    cuts = np.cumsum([W.size for W in weights]).tolist()
    gradient = loss.gradient(prefixes[-1])

    def product(columns: Array) -> Array:
        stacks = np.split(columns.reshape(cuts[-1], -1).T, cuts[:-1], axis=1)
        Z = [stack.reshape(-1, *shape) for stack, shape in zip(stacks, shapes)]
        images = differential(weights, prefixes, Z)
        curvature = loss._hessian_vector_product(prefixes[-1], images[-1], network.bottleneck)
        layers = layer_gradient_derivatives(weights, prefixes, Z, images, gradient, curvature)
        return np.concatenate([layer.reshape(len(layer), -1) for layer in layers], axis=1).T.reshape(columns.shape)

    product(np.zeros(cuts[-1]))
    return scipy.sparse.linalg.LinearOperator((cuts[-1], cuts[-1]), matvec=product, rmatvec=product, matmat=product,
                                              dtype=np.float64)


def search_critical_points(loss: Loss, rank: int, *, starts: int = 200,
                           rng: np.random.Generator | int) -> list[Array]:
    r"""Critical points found without knowing the answer: Levenberg-Marquardt on the gradient from random starts.

    The starts have orthonormal columns times independent lengths over two orders of magnitude, so that points of every
    rank are in reach.  The search may miss points; more ``starts`` miss fewer.

    Parameters
    ----------
    loss : BuresLoss or FrobeniusLoss
    rank : int
        The number of columns :math:`m`, 1 to n.  For the Bures-Wasserstein loss at ``tau = 0`` the search is for points
        of exactly this rank.
    starts : int
    rng : Generator or int

    Returns
    -------
    list of arrays, shape (n, m)
        One ``W`` for each covariance ``W @ W.T`` found, by increasing loss.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its domain.

    Examples
    --------
    >>> from bwlib import BuresLoss
    >>> found = search_critical_points(BuresLoss([[4.0, 0.0], [0.0, 1.0]]), 1, rng=0)
    >>> [(W @ W.T).round(8).tolist() for W in found]
    [[[4.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]]

    Notes
    -----
    Source of the method: Moré (1978), as MINPACK's ``lmder`` in SciPy.
    """
    check_loss(loss)
    n = loss.target.dim
    m = check.integer(rank, "rank", 1, n)
    starts, rng = check.integer(starts, "starts", 1), check.generator(rng)
    found: list[Array] = []
    for _ in range(starts):
        frame = np.linalg.qr(rng.standard_normal((n, m)))[0]
        W = _solve(loss, frame * np.sqrt(loss.target.trace / n) * 10 ** rng.uniform(-1.5, 0.5, m))
        if W is not None and not any(_same_covariance(W, known, loss.target) for known in found):
            found.append(W)
    return sorted(found, key=loss.value)


# ---------------------------------------------------------------- closed forms


def _noise(lam: Array) -> float:
    return 100 * lam.size * EPS * lam[0]


def _count_above(lam: Array, tau: float) -> int:
    """How many eigenvalues exceed ``tau`` by more than rounding."""
    return int(np.count_nonzero(lam > (tau + _noise(lam) if tau > 0 else 0.0)))


def _refuse_families(lam: Array, sizes: Iterable[int]) -> None:
    """Refuse equal eigenvalues if an index set could take some of them and leave others."""
    if not any(0 < size < lam.size for size in sizes):
        return
    equal = np.flatnonzero(-np.diff(lam) <= _noise(lam))
    if equal.size:
        raise ValueError(f"target must have distinct eigenvalues above tau for isolated critical points, but "
                         f"{lam[equal[0]]:.6g} is repeated: any subspace of its eigenspace will do, and the critical "
                         f"covariances form a Grassmannian. Separate the eigenvalues, or use bures_hessian_spectrum and "
                         f"best_low_rank, which do not need distinct ones")


def _index_set(target: Covariance, indices: Iterable[int], m: int | None, tau: float) -> tuple[list[int], int]:
    J = sorted(check.integer(i, f"indices[{position}]", 0, target.dim - 1)
               for position, i in enumerate(check.sequence(indices, "indices")))
    if len(set(J)) < len(J):
        raise ValueError(f"indices must be distinct, got {J}")
    low = [i for i in J if target.eigenvalues[i] <= tau]
    if low:
        bound = f"tau = {tau:g}" if tau else "zero"
        raise ValueError(f"indices must name eigenvalues above {bound}, but eigenvalue {low[0]} is "
                         f"{target.eigenvalues[low[0]]:g}")
    return J, check.integer(len(J) if m is None else m, "m", len(J))


def _bures_spectrum(lam: Array, J: Sequence[int], m: int, tau: float) -> Array:
    inside, b = lam[list(J)], np.delete(lam, J)
    a, b = inside[:, None], np.where(np.abs(b - tau) <= _noise(lam), tau, b)
    missed = 2 * (1 - np.sqrt(b / tau)) if tau > 0 else b[:0]
    return _assemble(m, 2 * (1 - 2 * tau / (a + inside)), 2 * (a - b) / (a + np.sqrt(b * tau)), missed)


def _assemble(m: int, symmetric: Array, outer: Array, missed: Array) -> Array:
    """The spectrum from the symmetric modes within J, the modes between J and its complement, and the modes of the
    ``m - r`` unused columns; the rotations of the columns contribute zeros."""
    r = len(symmetric)
    zeros = np.zeros(r * (r - 1) // 2 + r * (m - r))
    families = symmetric[np.triu_indices(r)], outer.ravel(), np.repeat(missed, m - r), zeros
    return np.sort(np.concatenate(families))[::-1].copy()


def _check_pair(network: DeepLinearNetwork, loss: Loss) -> None:
    check_loss(loss)
    if not isinstance(network, DeepLinearNetwork):
        raise TypeError(f"network must be a DeepLinearNetwork, got {type(network).__name__}. For a single matrix use "
                        f"loss.hessian(W)")
    check_fit(network.weights[-1], loss)


# ---------------------------------------------------------------- search


def _solve(loss: Loss, start: Array) -> Array | None:
    """The zero of the gradient that Levenberg-Marquardt reaches from ``start``, if it does."""
    basis = np.eye(start.size).reshape(-1, *start.shape)

    def gradient(w: Array) -> Array:
        return loss._value_and_gradient(w.reshape(start.shape))[1].ravel()

    def hessian(w: Array) -> Array:
        columns = loss._hessian_vector_product(w.reshape(start.shape), basis, min(start.shape))
        return columns.reshape(start.size, start.size)

    result = scipy.optimize.root(gradient, start.ravel(), jac=hessian, method="lm")
    size = np.linalg.norm(start) + np.linalg.norm(loss.target.factor)
    curvature = max(1.0, float(loss.target.eigenvalues[0]))
    return result.x.reshape(start.shape) if np.linalg.norm(result.fun) <= 1e-8 * size * curvature else None


def _same_covariance(W: Array, V: Array, target: Covariance) -> bool:
    return bool(np.linalg.norm(W @ W.T - V @ V.T) <= 1e-5 * target.trace)
