r"""Loss functions of the end-to-end matrix ``W`` of a generator with covariance ``W @ W.T``.

Both losses have the same interface, ``Loss``: value, gradient, Hessian and attainable minimum, all in function space
(derivatives with respect to ``W``; :mod:`bwlib.networks` carries them to the layers).  ``W`` has shape (..., n, m),
leading axes are stacks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from . import _validate as check
from ._validate import EPS, Array
from .covariance import Covariance, as_covariance
from .distance import align, factor_distance


@dataclass(frozen=True, eq=False)
class Loss:
    """What :class:`BuresLoss` and :class:`FrobeniusLoss` share.  Not meant to be used directly."""

    target: Covariance

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", as_covariance(self.target, "target", stacks=False))

    def value(self, W: ArrayLike) -> float | Array:
        """The loss at ``W``: a float, or an array over the leading axes."""
        return _scalar(self._value(self._matrix(W)))

    def gradient(self, W: ArrayLike) -> Array:
        """The gradient at ``W``, of the shape of ``W``."""
        return self._value_and_gradient(self._matrix(W))[1]

    def value_and_gradient(self, W: ArrayLike) -> tuple[float | Array, Array]:
        """Value and gradient from one decomposition."""
        value, gradient = self._value_and_gradient(self._matrix(W))
        return _scalar(value), gradient

    def hessian_vector_product(self, W: ArrayLike, Z: ArrayLike) -> Array:
        r"""The derivative of the gradient at ``W`` in the direction ``Z``: :math:`\nabla^2L(W)[Z]`.

        ``W`` and ``Z`` have the same matrix shape; their leading axes broadcast.
        """
        W, Z = self._matrix(W), self._matrix(Z, "Z")
        if W.shape[-2:] != Z.shape[-2:]:
            raise ValueError(f"Z must have the matrix shape of W, got {Z.shape} and {W.shape}")
        check.same_stacks(W=W, Z=Z)
        return self._hessian_vector_product(W, Z, min(W.shape[-2:]))

    def hessian(self, W: ArrayLike) -> Array:
        """The dense Hessian, shape (n m, n m), rows and columns in the order of ``W.ravel()``; for small sizes."""
        W = self._matrix(W)
        if W.ndim != 2:
            raise ValueError(f"W must be one matrix of shape (n, m), got a stack {W.shape}")
        basis = np.eye(W.size).reshape(W.size, *W.shape)
        H = self._hessian_vector_product(W, basis, min(W.shape)).reshape(W.size, W.size)
        return (H + H.T) / 2

    def minimum(self, rank: int) -> float:
        """The least value over all ``W`` of rank at most ``rank`` (0 to n)."""
        return self._minimum(check.integer(rank, "rank", 0, self.target.dim))

    def _matrix(self, W: ArrayLike, name: str = "W") -> Array:
        return check.matrix(W, name, rows=self.target.dim)

    def _value(self, W: Array) -> Array:
        raise NotImplementedError

    def _value_and_gradient(self, W: Array) -> tuple[Array, Array]:
        raise NotImplementedError

    def _hessian_vector_product(self, W: Array, Z: Array, rank: int) -> Array:
        """The derivative of the gradient on matrices of rank at most ``rank``, to which ``W + h Z`` belongs up to h**2."""
        raise NotImplementedError

    def _minimum(self, rank: int) -> float:
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class BuresLoss(Loss):
    r"""The Bures-Wasserstein loss :math:`L_\tau(W)=\mathcal B^2(WW^\top+\tau I,\Sigma_0)`.

    There is no factor ½.  With a factor :math:`\Sigma_0=FF^\top` and the augmented matrix
    :math:`\widehat W=[W,\sqrt\tau I]`,

    .. math:: L_\tau(W)=\|\widehat W-FQ\|_F^2+\text{(part of $F$ out of reach)},\qquad
              \nabla L_\tau(W)=2(W-FQ_W),

    :math:`Q=\mathrm{polar}(F^\top\widehat W)` and :math:`Q_W` its first :math:`m` columns.

    For :math:`\tau>0` the loss is smooth everywhere.  For :math:`\tau=0` it has kinks where
    :math:`F^\top W` loses rank: there the gradient uses the compact polar factor (the Riemannian gradient on matrices
    of the rank of ``W``), and the Hessian is an error.

    Parameters
    ----------
    target : Covariance or array, shape (n, n)
        Singular targets are allowed.
    tau : float
        Smoothing, :math:`\tau\ge0`.

    Raises
    ------
    TypeError, ValueError
        If the target is not a covariance or ``tau`` is negative or not finite.

    Examples
    --------
    >>> loss = BuresLoss([[4.0, 0.0], [0.0, 1.0]])
    >>> value, gradient = loss.value_and_gradient([[2.0], [0.0]])
    >>> value, gradient.tolist()
    (1.0, [[0.0], [0.0]])
    >>> loss.minimum(1)
    1.0

    Notes
    -----
    Book: chapters "The Bures-Wasserstein distance" and "Deep linear networks".  The smoothed loss is the one of
    Bréchet, Papagiannouli, An and Montúfar (2023).
    """

    tau: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "tau", check.scalar(self.tau, "tau"))

    def _augmented(self, W: Array) -> Array:
        if self.tau == 0.0:
            return W
        identity = np.sqrt(self.tau) * np.eye(self.target.dim)
        return np.concatenate([W, np.broadcast_to(identity, W.shape[:-1] + identity.shape[-1:])], axis=-1)

    def _value(self, W: Array) -> Array:
        return factor_distance(self._augmented(W), self.target.factor) ** 2

    def _value_and_gradient(self, W: Array) -> tuple[Array, Array]:
        F, m = self.target.factor, W.shape[-1]
        value, residual, U, s, Vt = align(self._augmented(W), F)
        if np.all(s[..., -1] > EPS * F.shape[-1] * np.sqrt(self.target.trace) * np.linalg.norm(W, axis=(-2, -1))):
            return value, 2 * residual[..., :m]
        Vt = np.where((s > product_noise(F, W))[..., None], Vt[..., :m], 0.0)
        return value, 2 * (W - (F @ U) @ Vt)

    def _hessian_vector_product(self, W: Array, Z: Array, rank: int) -> Array:
        F, m = self.target.factor, W.shape[-1]
        M = F.mT @ self._augmented(W)
        U, s, Vt = np.linalg.svd(M, full_matrices=False)
        if self.tau == 0.0:
            U, s, Vt = U[..., :rank], s[..., :rank], Vt[..., :rank, :]
        if (s[..., -1:] <= product_noise(F, W)).any():
            raise ValueError(f"W must not lose rank for the Hessian at tau = 0: the smallest of the {s.shape[-1]} "
                             f"singular values of F.T @ W is zero, where the loss has a kink. Use tau > 0, or drop "
                             f"columns of W")
        E = np.zeros(np.broadcast_shapes(Z.shape[:-2], M.shape[:-2]) + M.shape[-2:])
        E[..., :m] = F.mT @ Z
        return 2 * (Z - F @ _polar_derivative(U, s, Vt, E)[..., :m])

    def _minimum(self, rank: int) -> float:
        lam = self.target.eigenvalues
        if self.tau == 0.0:
            return float(lam[rank:].sum())
        missed = (np.arange(lam.size) >= rank) | (lam <= self.tau)
        return float(np.sum((np.sqrt(lam[missed]) - np.sqrt(self.tau)) ** 2))


@dataclass(frozen=True, eq=False)
class FrobeniusLoss(Loss):
    r"""The squared Frobenius distance of covariances :math:`L_F(W)=\|WW^\top-\Sigma_0\|_F^2` (no factor ½ or ¼).

    .. math:: \nabla L_F(W)=4(WW^\top-\Sigma_0)W .

    Parameters
    ----------
    target : Covariance or array, shape (n, n)

    Raises
    ------
    TypeError, ValueError
        If the target is not a covariance.

    Examples
    --------
    >>> loss = FrobeniusLoss([[4.0]])
    >>> value, gradient = loss.value_and_gradient([[1.0]])
    >>> value, gradient.tolist()
    (9.0, [[-12.0]])
    """

    def _value(self, W: Array) -> Array:
        return np.sum((W @ W.mT - self.target.matrix) ** 2, axis=(-2, -1))

    def _value_and_gradient(self, W: Array) -> tuple[Array, Array]:
        difference = W @ W.mT - self.target.matrix
        return np.sum(difference**2, axis=(-2, -1)), 4 * difference @ W

    def _hessian_vector_product(self, W: Array, Z: Array, rank: int) -> Array:
        cross = W @ Z.mT
        return 4 * ((cross + cross.mT) @ W + (W @ W.mT - self.target.matrix) @ Z)

    def _minimum(self, rank: int) -> float:
        return float(np.sum(self.target.eigenvalues[rank:] ** 2))


def check_gradient(loss: Loss, W: ArrayLike, *, rng: np.random.Generator | int = 0) -> float:
    r"""The observed order of the Taylor remainder :math:`|L(W+hD)-L(W)-h\langle\nabla L(W),D\rangle|` as :math:`h\to0`.

    It is 2 when the gradient is right and 1 when it is wrong.  A random direction :math:`D` of the norm of ``W`` is
    used, and only remainders well above rounding; the order is ``inf`` if there are none (an affine loss).

    Parameters
    ----------
    loss : BuresLoss, FrobeniusLoss or any object with ``value`` and ``gradient``
    W : array, shape (n, m)
        A point where the loss is twice differentiable.
    rng : Generator or int
        Draws the direction.

    Returns
    -------
    float

    Examples
    --------
    >>> round(check_gradient(BuresLoss([[4.0, 1.0], [1.0, 2.0]]), [[1.0, 0.0], [0.5, 2.0]]), 1)
    2.0
    """
    if not (callable(getattr(loss, "value", None)) and callable(getattr(loss, "gradient", None))):
        raise TypeError(f"loss must have the methods value and gradient, got {type(loss).__name__}")
    W = check.matrix(W, "W", stacks=False)
    D = check.generator(rng).standard_normal(W.shape)
    D *= (np.linalg.norm(W) or 1.0) / np.linalg.norm(D)
    value, slope = loss.value(W), np.vdot(loss.gradient(W), D)
    steps = 2.0 ** -np.arange(4, 22)
    values = np.array([loss.value(W + h * D) for h in steps])
    remainders = np.abs(values - value - steps * slope)
    clear = remainders > 1e5 * EPS * (np.abs(values) + abs(value) + steps * abs(slope) + np.finfo(float).tiny)
    clear &= np.cumprod(clear).astype(bool)
    if clear.sum() < 3:
        return float("inf")
    h, r = np.log(steps[clear][-6:]), np.log(remainders[clear][-6:])
    return float(np.polyfit(h, r, 1)[0])


def check_loss(loss: Loss) -> None:
    """Refuse what is not one of the losses of this module."""
    if not isinstance(loss, Loss):
        raise TypeError(f"loss must be a BuresLoss or FrobeniusLoss, got {type(loss).__name__}")


def check_fit(last_layer: Array, loss: Loss) -> None:
    """Refuse a network whose last layer does not map to the space of the target."""
    if len(last_layer) != loss.target.dim:
        raise ValueError(f"network must map to dimension {loss.target.dim}, that of the target, but its last layer "
                         f"has {len(last_layer)} rows")


def _polar_derivative(U: Array, s: Array, Vt: Array, E: Array) -> Array:
    r"""The derivative of the polar factor at ``U diag(s) Vt``, a compact SVD, in the direction ``E`` of the same rank.

    The parts of ``E`` outside the spaces of ``U`` and of ``Vt`` are divided by single singular values; where the matrix
    has no such part, it is left out, as its rounding error would not be.
    """
    inner = U.mT @ E @ Vt.mT
    derivative = U @ ((inner - inner.mT) / (s[..., :, None] + s[..., None, :])) @ Vt
    rank, (rows, columns) = s.shape[-1], E.shape[-2:]
    if rank < columns:
        derivative += (U / s[..., None, :]) @ (U.mT @ E - inner @ Vt)
    if rank < rows:
        derivative += ((E @ Vt.mT - U @ inner) / s[..., None, :]) @ Vt
    return derivative


def product_noise(F: Array, W: Array) -> Array:
    """The rounding error of ``F.T @ W``: singular values below it are zero.  Shape (..., 1)."""
    size = np.linalg.norm(np.abs(F).mT @ np.abs(W), axis=(-2, -1))
    return max(F.shape[-1], W.shape[-1]) * EPS * size[..., None]


def _scalar(value: Array) -> float | Array:
    value = np.asarray(value)
    return float(value) if value.ndim == 0 else value
