"""Errors against arithmetic of 120 digits, for pairs of 10 x 10 covariances that are easy, hard and extreme.

Inputs are the floats that every contestant gets, taken as exact.  Singular covariances have integer factors, so that
their products are exact too.
"""
from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import mpmath as mp
import numpy as np

from .cases import Problem
from .peers import Contestant
from .timing import ROOT, reason, short

sys.path.insert(0, str(ROOT / "tests"))
import oracles  # noqa: E402

N = 10


@dataclass(frozen=True)
class Pair:
    """Two covariances, ``S = W W^T`` and ``S0 = A A^T`` rounded to floats, and a direction ``Z`` for ``W``."""

    name: str
    W: np.ndarray
    A: np.ndarray
    S: np.ndarray
    S0: np.ndarray
    Z: np.ndarray
    singular: bool


def pairs() -> list[Pair]:
    rng = np.random.default_rng(7)

    def rotation():
        return np.linalg.qr(rng.standard_normal((N, N)))[0]

    def factor(condition):
        return (rotation() * np.geomspace(1, condition**-0.5, N)) @ rotation().T

    def integers(rank):
        return rng.integers(-3, 4, (N, rank)).astype(float)

    def pair(name, W, A, singular=False):
        S, S0 = W @ W.T, A @ A.T
        Z = rng.standard_normal(W.shape) * np.abs(W).max()
        return Pair(name, W, A, (S + S.T) / 2, (S0 + S0.T) / 2, Z, singular)

    plain, other, hard, low = factor(10.0), factor(10.0), factor(1e14), integers(4)
    step = rng.standard_normal((N, N)) / N
    return [
        pair("well conditioned", plain, other),
        pair("one of condition 1e14", hard, other),
        pair("both of condition 1e14", hard, factor(1e14)),
        *(pair(f"nearly equal, step {size:.0e}", plain + size * step, plain) for size in (1e-6, 1e-10, 1e-13, 1e-14)),
        pair("singular, ranks 4 and 6", low, integers(6), True),
        pair("singular, rank 4, and regular", low, integers(N), True),
        pair("commuting", np.diag(1 + rng.random(N)), np.diag(1 + rng.random(N))),
        pair("scaled by 1e150", np.ldexp(plain, 249), np.ldexp(other, 249)),
        pair("scaled by 1e-150", np.ldexp(plain, -249), np.ldexp(other, -249)),
    ]


# ---------------------------------------------------------------- the exact answers


def exact_gradient(S0, W: mp.matrix, tau: float) -> mp.matrix:
    r"""2 (W - R Q): at tau = 0 Q is the polar factor of Y = R W, for tau > 0 it is (Y Y^T + tau R^2)^(-1/2) Y."""
    R = oracles.root(oracles.exact(S0))
    Y = R * W
    Q = inverse_root(Y * Y.T + mp.mpf(tau) * R * R) * Y if tau else Y * inverse_root(Y.T * Y)
    return 2 * (W - R * Q)


def inverse_root(M: mp.matrix) -> mp.matrix:
    """M^(-1/2) on the range of M; eigenvalues below 1e-50 of the largest are rounding errors of zeros."""
    lam, V = mp.eigsy(M)
    largest = max(lam)
    return V * mp.diag([1 / mp.sqrt(x) if x > mp.mpf(10) ** -50 * largest else mp.mpf(0) for x in lam]) * V.T


def exact_map(S, S0) -> mp.matrix:
    """T = R (R S R)^(-1/2) R."""
    R = oracles.root(oracles.exact(S0))
    return R * oracles.root(R * oracles.exact(S) * R) ** -1 * R


def exact_product(S0, W, Z, tau: float) -> mp.matrix:
    """The Hessian at W times Z, by a central difference with a step of 1e-30 |W|."""
    W, Z = oracles.exact(W), oracles.exact(Z)
    h = mp.mpf(10) ** -30 * mp.mnorm(W, "f") / mp.mnorm(Z, "f")
    return (exact_gradient(S0, W + h * Z, tau) - exact_gradient(S0, W - h * Z, tau)) / (2 * h)


# ---------------------------------------------------------------- the questions


@dataclass(frozen=True)
class Question:
    """What is asked of every contestant, the exact answer, and whether it has one for singular matrices."""

    name: str
    ask: Callable[[Contestant, Pair], object]
    exact: Callable[[Pair], object]
    singular: bool = True


def loss_problem(pair: Pair, tau: float = 0.0) -> Problem:
    return Problem(pair.S0, pair.W, tau, pair.A)


VALUES = (
    Question("value from matrices", lambda c, p: c.squared_distance(p.S, p.S0),
             lambda p: oracles.squared_distance(p.S, p.S0)),
    Question("value from factors", lambda c, p: c.squared_distance_factors(p.W, p.A),
             lambda p: oracles.squared_distance_factors(p.W, p.A)),
    Question("transport map", lambda c, p: c.transport_map(p.S, p.S0), lambda p: exact_map(p.S, p.S0), singular=False),
)
DERIVATIVES = (
    *(Question("gradient" + (f", tau = {tau:g}" if tau else ""),
               lambda c, p, tau=tau: c.value_and_gradient(loss_problem(p, tau))()[1],
               lambda p, tau=tau: exact_gradient(p.S0, oracles.exact(p.W), tau)) for tau in (0.0, 0.1, 1e-12)),
    Question("Hessian times vector", lambda c, p: c.hessian_vector_product(loss_problem(p), p.Z),
             lambda p: exact_product(p.S0, p.W, p.Z, 0.0)),
)


def cells(questions: Iterable[Question], chosen: Iterable[Pair]) -> list[tuple[Question, Pair]]:
    """All pairs for all questions, as far as there is an answer."""
    return [(question, pair) for question in questions for pair in chosen if question.singular or not pair.singular]


def errors(questions: Iterable[Question], contestants: Iterable[Contestant], chosen: Iterable[Pair]) -> list[dict]:
    """For each question and pair the size of the exact answer, and what was wrong with each contestant's answer."""
    rows = []
    for question, pair in cells(questions, chosen):
        with mp.workdps(oracles.DIGITS):
            exact = question.exact(pair)
            found = {c.name: judged(lambda: question.ask(c, pair), exact) for c in contestants}
            rows.append({"question": question.name, "case": pair.name, "size": short(float(size(exact))),
                         "errors": {name: verdict for name, verdict in found.items() if verdict is not None}})
    return rows


def judged(answer: Callable, exact) -> float | str | None:
    """The relative error of an answer, or what else is wrong with it; None if the contestant does not offer it."""
    try:
        given = np.asarray(answer())
    except NotImplementedError:
        return None
    except Exception as error:
        return "raises " + reason(error).split(":")[0]
    if np.iscomplexobj(given):
        return "complex"
    if not np.isfinite(given).all():
        return "not finite"
    if given.ndim == 0 and given < 0:
        return "negative"
    difference = oracles.exact(np.atleast_2d(given)) - (exact if isinstance(exact, mp.matrix) else mp.matrix([[exact]]))
    return short(float(size(difference) / size(exact)))


def size(x):
    """The Frobenius norm of a matrix, or the absolute value of a number."""
    return mp.mnorm(x, "f") if isinstance(x, mp.matrix) else abs(x)
