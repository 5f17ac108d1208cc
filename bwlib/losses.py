r"""Loss functions of the end-to-end matrix ``W`` of a generator with covariance ``W @ W.T``.

Both losses have the same interface, ``Loss``: value, gradient, Hessian and attainable minimum, all in function space
(derivatives with respect to ``W``; :mod:`bwlib.networks` carries them to the layers).  ``W`` has shape (..., n, m),
leading axes are stacks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from . import _validate as check
from ._validate import EPS, Array
from ._lapack import Multiplier, dot, eigh, eigvalsh, ends, gram, singular_values, squares, svd, symmetric_dot, total
from .covariance import Covariance, as_covariance
from .distance import FAR, factor_distance, near_distance, out_of_reach
from .rational import inverse_root, root_trace, root_update


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
        check.same_stacks(W=W.shape, Z=Z.shape)
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

    There is no factor ½.  With a factor :math:`\Sigma_0=FF^\top` of :math:`r` independent columns, an orthonormal basis
    :math:`P` of its range and the augmented matrix :math:`\widehat W=[W,\sqrt\tau P]`,

    .. math:: L_\tau(W)=\|\widehat W-FQ\|_F^2+\text{(part of $F$ out of reach)}+\tau(n-r),\qquad
              \nabla L_\tau(W)=2(W-FQ_W),

    :math:`Q=\mathrm{polar}(F^\top\widehat W)` and :math:`Q_W` its first :math:`m` columns.  No n x n array is needed beside
    ``F``.  For :math:`\tau>0` and few columns in many dimensions :math:`Q_W` comes from the method of
    :mod:`bwlib.rational`, which is as accurate and spares the decomposition of an :math:`r\times(m+r)` matrix; else from
    the eigenvalues of :math:`F^\top\widehat W\widehat W^\top F`, and where their errors matter from an SVD.

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

    @cached_property
    def _F(self) -> Array:
        return self.target.factor if self.tau == 0.0 else self.target.principal_factor

    @cached_property
    def _times(self) -> Multiplier:
        return Multiplier(self._F)

    @cached_property
    def _noise(self) -> Array:
        r"""The part :math:`\sqrt\tau F^\top P` of :math:`F^\top\widehat W`: diagonal."""
        return np.diag(np.sqrt(self.tau) * np.sqrt(self.target.eigenvalues[:self._F.shape[1]]))

    @cached_property
    def _trace(self) -> float:
        """The squared norms of ``F`` and of the noise."""
        return squares(self._F) + self.tau * self._F.shape[1]

    @cached_property
    def _beyond(self) -> float:
        r"""The share :math:`\tau(n-r)` of the noise outside the range of ``F``."""
        return self.tau * (self.target.dim - self._F.shape[1])

    @cached_property
    def _unreached(self) -> float:
        """The part of the value in the range of ``F``, at ``W = 0``."""
        return float(np.sum((np.sqrt(self.target.eigenvalues[:self._F.shape[1]]) - np.sqrt(self.tau)) ** 2))

    @cached_property
    def _rounding(self) -> float:
        """The squared rounding error of ``F.T @ W`` for ``W`` of norm one, at least."""
        return (EPS * self._F.shape[1]) ** 2 * self.target.trace

    def _product(self, W: Array) -> Array:
        r"""The matrix :math:`F^\top\widehat W`."""
        Y = self._times.transposed(W)
        if self.tau == 0.0:
            return Y
        M = np.empty((*Y.shape[:-1], W.shape[-1] + Y.shape[-2]))
        M[..., :W.shape[-1]] = Y
        M[..., W.shape[-1]:] = self._noise
        return M

    def _value(self, W: Array) -> Array:
        if self._is_low_rank(W):
            return self._value_by_rational(W)
        size = squares(W)
        if not self._has_good_roots(W, size):
            return self._value_by_svd(W)
        value, _, is_right = self._trace_form(size, eigvalsh(gram(self._times.transposed(W), self._smoothing)))
        otherwise = self._value_and_gradient if W.ndim == 2 else lambda W: [self._value_by_svd(W)]
        return self._completed(W, [value], is_right, otherwise)[0]

    def _value_by_svd(self, W: Array) -> Array:
        traces = squares(W) + self._trace
        if W.ndim > 2 or not 1e-200 < traces < 1e200:
            return factor_distance(self._augmented(W), self._F) ** 2 + self._beyond
        value = traces - 2 * total(singular_values(self._product(W)))
        if value <= FAR * traces:
            value = near_distance(self._augmented(W)[None], self._F[None])[0] ** 2
        return value + self._beyond

    def _augmented(self, W: Array) -> Array:
        if self.tau == 0.0:
            return W
        noise = np.sqrt(self.tau) * self.target.leading(self._F.shape[1])
        return np.concatenate([W, np.broadcast_to(noise, W.shape[:-1] + noise.shape[-1:])], axis=-1)

    def _value_and_gradient(self, W: Array) -> tuple[Array, Array]:
        if self._is_low_rank(W):
            return self._value_and_gradient_by_rational(W)
        size = squares(W)
        if not self._has_good_roots(W, size):
            return self._value_and_gradient_by_svd(W)
        Y = self._times.transposed(W)
        mu, P = eigh(gram(Y, self._smoothing))
        value, root, is_right = self._trace_form(size, mu)
        Z = dot(P / root[..., None, :], dot(P.mT, Y))
        residual = self._times.residual(W, Z)
        if W.ndim == 2 and not is_right:
            value, is_right = self._near_value_from_roots(residual, Z, root, P)
        residual *= 2
        return self._completed(W, [value, residual], is_right, self._value_and_gradient_by_svd)

    def _has_good_roots(self, W: Array, size: Array) -> bool:
        r"""Whether to take the eigenvalues of :math:`F^\top(WW^\top+\tau I)F`, for ``size`` the squared norm of ``W``.

        They have errors of ``EPS`` times the largest one.  That gives the gradient an error of at most :math:`\sqrt q`
        times that of the SVD of :math:`F^\top\widehat W`, where :math:`q` is the largest one divided by
        :math:`\tau\lambda_1`: it is kept below 1000.
        """
        return (self.tau > 0 and self._largest < 1e150
                and (size if W.ndim == 2 else size.max()) <= 1000 * self._F.shape[1] * self.tau)

    @cached_property
    def _largest(self) -> float:
        return 1000 * self.tau * self.target.eigenvalues[0]

    @cached_property
    def _smoothed(self) -> Array:
        r"""The diagonal of :math:`\tau F^\top F`."""
        return self.tau * self.target.eigenvalues[:self._F.shape[1]]

    @cached_property
    def _smoothing(self) -> Array:
        r"""The matrix :math:`\tau F^\top F`."""
        return np.diag(self._smoothed)

    def _trace_form(self, size: Array, mu: Array) -> tuple[Array, Array, np.ndarray]:
        r"""The value from the eigenvalues of :math:`F^\top(WW^\top+\tau I)F`; their roots; and whether they are good
        enough for the value and for the gradient.

        Their errors move the value by ``EPS * mu[-1] * sum(mu**-0.5)`` at most, as a rule by a tenth of that.
        """
        traces, (least, most) = size + self._trace, ends(mu)
        allowed = 1e-10 * most + 1e-280
        root = np.sqrt(np.maximum(mu, allowed if mu.ndim == 1 else allowed[..., None]))
        value = traces - 2 * total(root)
        is_right = ((value > FAR * traces) & (least > allowed) & (most <= self._largest)
                    & (most * total(1 / root) < 150 * traces))
        return value + self._beyond, root, is_right

    def _completed(self, W: Array, found: list[Array], is_right: np.ndarray, otherwise: Callable) -> Sequence[Array]:
        """What was found, where it is right, and what another method says elsewhere."""
        if W.ndim == 2:
            return found if is_right else otherwise(W)
        if not is_right.all():
            for whole, part in zip(found, otherwise(W[~is_right])):
                whole[~is_right] = part
        return found

    def _value_and_gradient_by_svd(self, W: Array) -> tuple[Array, Array]:
        single, m, size = W.ndim == 2, W.shape[-1], squares(W)
        traces = size + self._trace
        U, s, Vt = svd(self._product(W))
        residual = self._times.residual(W, dot(U, Vt[..., :m]))
        value = traces - 2 * total(s)
        near = value <= FAR * traces
        if near if single else near.any():
            close = self._near_value(residual, U, Vt)
            value = close if single else np.where(near, close, value)
        null = (s[-1] if single else s[..., -1]) ** 2 <= self._rounding * size
        if null if single else null.any():
            V = np.where((s > product_noise(self._F, W))[..., None], Vt[..., :m], 0.0)
            residual = self._times.residual(W, dot(U, V))
        residual *= 2
        return value + self._beyond, residual

    def _is_low_rank(self, W: Array) -> bool:
        """Whether :mod:`bwlib.rational` pays."""
        r, m = self._F.shape[1], W.shape[-1]
        if self.tau == 0.0 or W.ndim > 2 or r < 100 or 8 * m > r:
            return False
        lam = self.target.eigenvalues[:r]
        return bool(lam[0] * (self.tau + squares(W)) < 1e30 * lam[-1] * self.tau)

    def _value_by_rational(self, W: Array) -> float:
        """The value is a difference of numbers of the size of ``whole``, so it loses two digits where it is a hundredth of
        that; below, it is computed as a sum of squares."""
        whole = self._unreached + squares(W)
        value = whole - 2 * root_trace(self._smoothed, self._times.transposed(W))
        return value + self._beyond if value >= 0.01 * whole else self._value_and_gradient_by_rational(W)[0]

    def _value_and_gradient_by_rational(self, W: Array) -> tuple[float, Array]:
        """The same with the gradient; the sum of squares is from the root as an r x r matrix."""
        d, Y = self._smoothed, self._times.transposed(W)
        change, Z = root_update(d, Y)
        residual = self._times.residual(W, Z)
        whole = self._unreached + squares(W)
        value = whole - 2 * change
        if value < 0.01 * whole:
            r, root = len(d), np.sqrt(self.target.eigenvalues[:len(d)])
            value = squares(residual) + self.tau * squares(np.eye(r) - root[:, None] * inverse_root(d, Y) * root)
        return value + self._beyond, 2 * residual

    def _near_value_from_roots(self, residual: Array, Z: Array, root: Array, P: Array) -> tuple[float, bool]:
        r"""The value as a sum of squares, from the eigenvalues of :math:`M=F^\top\widehat W\widehat W^\top F`; is it right?

        Errors of the root :math:`S` of :math:`M` give :math:`Q=S^{-1}F^\top\widehat W` a defect :math:`D=QQ^\top-I`.
        Then :math:`\|\widehat W-FQ\|_F^2+\operatorname{tr}D(S-F^\top F)` is the value but for terms of second order, at
        most :math:`\tfrac14\operatorname{tr}D^2S`.
        """
        lam = self.target.eigenvalues[:len(root)]
        N = dot(P / root, P.T * np.sqrt(self.tau * lam))
        D = gram(N, gram(Z, -np.eye(len(root))))
        DP = symmetric_dot(D, P)
        change = np.vdot(DP, P * root) - np.vdot(D.diagonal(), lam)
        value = squares(residual) + self._noise_residual(N) + change
        is_right = (root[-1] ** 2 <= self._largest and value > 0
                    and np.vdot(DP, DP * root) <= EPS * np.sqrt(self._trace) * np.sqrt(value))
        return value + self._beyond, is_right

    def _near_value(self, residual: Array, U: Array, Vt: Array) -> Array:
        """The value as a sum of squares, which does not cancel."""
        m = residual.shape[-1]
        if self.tau == 0.0:
            reach = 0.0 if m >= U.shape[-2] else out_of_reach(self._F, U, dot(self._F, U))
            return squares(residual) + reach
        return squares(residual) + self._noise_residual(dot(U, Vt[..., m:]))

    def _noise_residual(self, N: Array) -> Array:
        r"""The part :math:`\|\sqrt\tau P-FN\|^2` of the value, for the last columns ``N`` of ``Q``."""
        r = N.shape[-1]
        return squares(np.sqrt(self.tau) * np.eye(r) - np.sqrt(self.target.eigenvalues[:r, None]) * N)

    def _hessian_vector_product(self, W: Array, Z: Array, rank: int) -> Array:
        m, M = W.shape[-1], self._product(W)
        U, s, Vt = np.linalg.svd(M, full_matrices=False)
        if self.tau == 0.0:
            U, s, Vt = U[..., :rank], s[..., :rank], Vt[..., :rank, :]
        if (s[..., -1:] <= product_noise(self._F, W)).any():
            raise ValueError(f"W must not lose rank for the Hessian at tau = 0: the smallest of the {s.shape[-1]} "
                             f"singular values of F.T @ W is zero, where the loss has a kink. Use tau > 0, or drop "
                             f"columns of W")
        E = np.zeros(np.broadcast_shapes(Z.shape[:-2], M.shape[:-2]) + M.shape[-2:])
        E[..., :m] = self._times.transposed(Z)
        return 2 * self._times.residual(Z, _polar_derivative(U, s, Vt, E)[..., :m])

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
        return np.sum(self._difference(W) ** 2, axis=(-2, -1))

    def _value_and_gradient(self, W: Array) -> tuple[Array, Array]:
        if self.target.is_thin:
            return self._value(W), 4 * self._times_difference(W, W)
        difference = self._difference(W)
        return np.sum(difference**2, axis=(-2, -1)), 4 * difference @ W

    def _hessian_vector_product(self, W: Array, Z: Array, rank: int) -> Array:
        return 4 * (W @ (Z.mT @ W) + Z @ (W.mT @ W) + self._times_difference(W, Z))

    def _difference(self, W: Array) -> Array:
        """``W W^T - Sigma0``; for a thin target in an orthonormal basis of both ranges."""
        if not self.target.is_thin:
            return W @ W.mT - self.target.matrix
        F = self.target.factor
        R = np.linalg.qr(np.concatenate([W, np.broadcast_to(F, W.shape[:-1] + F.shape[-1:])], axis=-1), mode="r")
        X, F = R[..., :W.shape[-1]], R[..., W.shape[-1]:]
        return X @ X.mT - F @ F.mT

    def _times_difference(self, W: Array, X: Array) -> Array:
        """``(W W^T - Sigma0) X``"""
        if not self.target.is_thin:
            return (W @ W.mT - self.target.matrix) @ X
        F = self.target.factor
        return W @ (W.mT @ X) - F @ (F.mT @ X)

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
        Draws the direction.  Where the loss hardly bends along the line, second and third order mix: take another one.

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
    clear &= remainders > 4 * remainders[-3:].max()  # a small loss has larger relative errors
    clear &= np.cumprod(clear).astype(bool)
    if clear.sum() < 3:
        return float("inf")
    h, r = np.log(steps[clear][-6:]), np.log(remainders[clear][-6:])
    return float(np.polyfit(h, r, 1)[0])


def check_loss(loss: Loss) -> None:
    """Refuse what is not one of the losses of this module."""
    if not isinstance(loss, Loss):
        raise TypeError(f"loss must be a BuresLoss or FrobeniusLoss, got {type(loss).__name__}")


def check_fit(last_layer: Array, loss: Loss, name: str = "network") -> None:
    """Refuse a network whose last layer does not map to the space of the target."""
    if len(last_layer) != loss.target.dim:
        raise ValueError(f"{name} must map to dimension {loss.target.dim}, that of the target, but its last layer "
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
