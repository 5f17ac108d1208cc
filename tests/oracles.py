"""The same numbers by independent routes, in arithmetic of 120 digits.

Inputs are taken as the exact numbers that the floats are.  Square roots of Gram eigenvalues halve the number of digits,
so about 60 digits of every value are right, and 30 of the differences below.
"""

from __future__ import annotations

import mpmath as mp
import numpy as np

DIGITS = 120


def exact(x) -> mp.matrix:
    """The float matrix ``x`` as an mpmath matrix, without rounding."""
    return mp.matrix(np.asarray(x, dtype=float).tolist())


def eigenvalues(S: mp.matrix) -> list:
    """Eigenvalues of a symmetric matrix, negative rounding errors replaced by zero."""
    with mp.workdps(DIGITS):
        return [max(e, mp.mpf(0)) for e in mp.eigsy(S, eigvals_only=True)]


def root(S: mp.matrix) -> mp.matrix:
    """The positive semidefinite square root."""
    with mp.workdps(DIGITS):
        E, Q = mp.eigsy(S)
        return Q * mp.diag([mp.sqrt(max(e, mp.mpf(0))) for e in E]) * Q.T


def trace(S: mp.matrix):
    return mp.fsum(S[i, i] for i in range(S.rows))


def nuclear_norm(M: mp.matrix):
    """The sum of the singular values, from the smaller Gram matrix."""
    return mp.fsum(mp.sqrt(e) for e in eigenvalues(M * M.T if M.rows <= M.cols else M.T * M))


def squared_distance_factors(W, A):
    r"""``|W|^2 + |A|^2 - 2 |A^T W|_*`` for float factors: an mpf, not negative."""
    with mp.workdps(DIGITS):
        W, A = exact(W), exact(A)
        return max(mp.fsum(x * x for x in W) + mp.fsum(x * x for x in A) - 2 * nuclear_norm(A.T * W), mp.mpf(0))


def squared_distance_roots(S: mp.matrix, root0: mp.matrix):
    """``tr S + tr S0 - 2 tr (S0^(1/2) S S0^(1/2))^(1/2)`` from mpmath matrices, the second by its root."""
    with mp.workdps(DIGITS):
        fidelity = mp.fsum(mp.sqrt(e) for e in eigenvalues(root0 * S * root0))
        return max(trace(S) + trace(root0 * root0) - 2 * fidelity, mp.mpf(0))


def squared_distance(S, S0):
    """The same from two float covariance matrices."""
    with mp.workdps(DIGITS):
        return squared_distance_roots(exact(S), root(exact(S0)))


def smoothed_loss(target, tau: float, W: mp.matrix, root0: mp.matrix | None = None):
    r"""``B^2(W W^T + tau I, target)`` at an mpmath ``W``."""
    with mp.workdps(DIGITS):
        root0 = root(exact(target)) if root0 is None else root0
        return squared_distance_roots(W * W.T + mp.mpf(tau) * mp.eye(W.rows), root0)


def directional_derivatives(target, tau: float, W, Z) -> tuple[float, float]:
    """First and second derivative of the smoothed loss at ``W`` in direction ``Z``, good to 25 digits."""
    with mp.workdps(DIGITS):
        root0, W, Z, h = root(exact(target)), exact(W), exact(Z), mp.mpf(10) ** -15
        plus, here, minus = (smoothed_loss(target, tau, W + s * h * Z, root0) for s in (1, 0, -1))
        return float((plus - minus) / (2 * h)), float((plus - 2 * here + minus) / h**2)
