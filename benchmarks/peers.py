"""What bwlib is measured against: the loss of one problem, by each contestant.

A contestant has a ``kind``: "bwlib"; "library", a general-purpose function of two covariance matrices; "by hand", a
formula for this very loss written with a numerical library; "public code", the operations of the code that accompanies
the paper; "floor", the matrix products and the decomposition that a direct method cannot do without.

``value`` and ``value_and_gradient`` take a problem and return a function without arguments, which is what the clock
sees.  The other methods, for the tables of errors, compute at once.
"""
from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from importlib import import_module

import numpy as np
import scipy.linalg
from scipy.linalg import blas, lapack

import bwlib as bw

from .cases import Problem
from .timing import reason

Thunk = Callable[[], object]


class Contestant:
    """One way to compute the loss; ``modules`` must be importable."""

    name: str
    kind: str
    modules: tuple[str, ...] = ()

    def value(self, problem: Problem) -> Thunk:
        raise NotImplementedError

    def value_and_gradient(self, problem: Problem) -> Thunk:
        raise NotImplementedError

    def squared_distance(self, S, S0):
        """From two matrices."""
        raise NotImplementedError

    def squared_distances(self, S, S0) -> Thunk:
        """The same for a stack of pairs, as a function without arguments."""
        return partial(self.squared_distance, S, S0)

    def squared_distance_factors(self, W, A):
        return self.value(Problem(A @ A.T, W, A=A))()

    def transport_map(self, S, S0):
        raise NotImplementedError

    def hessian_vector_product(self, problem: Problem, Z):
        raise NotImplementedError

    def absent(self) -> str:
        """Why this contestant cannot take part; empty if it can."""
        try:
            for module in self.modules:
                load(module)
        except Exception as error:
            return reason(error)
        return ""


def load(module: str):
    """Import a peer: geomstats with a name that NumPy 2.4 no longer has, jax with 64-bit floats, and with calls that
    run where they are called, without which the callbacks in gradients of ott-jax can wait for ever on one thread.
    """
    if module.startswith("geomstats") and not hasattr(np, "trapz"):
        np.trapz = np.trapezoid
    loaded = import_module(module)
    if module == "jax":
        loaded.config.update("jax_enable_x64", True)
        loaded.config.update("jax_cpu_enable_async_dispatch", False)
    return loaded


class Bwlib(Contestant):
    name, kind = "bwlib", "bwlib"

    def value(self, problem):
        loss = self._prepared(problem)
        return lambda: loss.value(problem.W)

    def value_and_gradient(self, problem):
        loss = self._prepared(problem)
        return lambda: loss.value_and_gradient(problem.W)

    def _prepared(self, problem):
        """A loss that has been asked once: its first answer finds what depends on the target alone."""
        loss = bw.BuresLoss(problem.target, problem.tau)
        loss.value_and_gradient(problem.W)
        return loss

    def squared_distance(self, S, S0):
        return bw.bures_wasserstein(S, S0, squared=True)

    def squared_distance_factors(self, W, A):
        return bw.bures_wasserstein_factors(W, A, squared=True)

    def transport_map(self, S, S0):
        return bw.transport_map(S, S0)

    def hessian_vector_product(self, problem, Z):
        return bw.BuresLoss(problem.target, problem.tau).hessian_vector_product(problem.W, Z)


# ---------------------------------------------------------------- general-purpose libraries


class Library(Contestant):
    """A library that knows covariance matrices, stacks of them too, and nothing of factors."""

    kind = "library"

    def value(self, problem):
        S0 = np.broadcast_to(problem.target, problem.W.shape[:-2] + problem.target.shape)
        smoothing = problem.tau * np.eye(len(problem.target))
        return lambda: self.squared_distance(problem.W @ problem.W.mT + smoothing, S0)


class TorchLibrary(Library):
    """A library whose functions take PyTorch's tensors too, and so have gradients."""

    def _loss(self, problem):
        torch = load("torch")
        S0 = torch.from_numpy(np.broadcast_to(problem.target, problem.W.shape[:-2] + problem.target.shape).copy())
        smoothing = problem.tau * torch.eye(len(problem.target), dtype=torch.float64)
        return lambda W: self.squared_distance(W @ W.mT + smoothing, S0)

    def value_and_gradient(self, problem):
        return autograd(self._loss(problem), problem.W)

    def hessian_vector_product(self, problem, Z):
        return second_autograd(self._loss(problem), problem.W, Z)


class Scipy(Library):
    """The formula of the textbooks: tr S + tr S0 - 2 tr (R S R)^(1/2), gradient 2 (I - T) W with pseudo-inverses."""

    name = "SciPy sqrtm"

    def value(self, problem):
        R, constant, smoothing = problem.root, np.trace(problem.target), problem.tau * np.eye(len(problem.target))

        def run():
            S = problem.W @ problem.W.mT + smoothing
            return trace(S) + constant - 2 * trace(scipy.linalg.sqrtm(R @ S @ R))
        return run

    def value_and_gradient(self, problem):
        R, constant, smoothing = problem.root, np.trace(problem.target), problem.tau * np.eye(len(problem.target))

        def run():
            S = problem.W @ problem.W.mT + smoothing
            M = scipy.linalg.sqrtm(R @ S @ R)
            return (trace(S) + constant - 2 * trace(M),
                    2 * (problem.W - R @ (scipy.linalg.pinv(M) @ (R @ problem.W))))
        return run

    def squared_distance(self, S, S0):
        R = scipy.linalg.sqrtm(S0)
        return trace(S) + trace(S0) - 2 * trace(scipy.linalg.sqrtm(R @ S @ R))

    def transport_map(self, S, S0):
        R = scipy.linalg.sqrtm(S0)
        return R @ scipy.linalg.inv(scipy.linalg.sqrtm(R @ S @ R)) @ R


class Pot(TorchLibrary):
    name, modules = "POT", ("ot",)

    def squared_distance(self, S, S0):
        return load("ot").gaussian.bures_distance(S, S0, paired=S.ndim > 2) ** 2

    def transport_map(self, S, S0):
        zero = np.zeros(len(S))
        return load("ot").gaussian.bures_wasserstein_mapping(zero, zero, S, S0)[0]


class PyRiemann(TorchLibrary):
    name, modules = "pyRiemann", ("pyriemann",)

    def squared_distance(self, S, S0):
        return load("pyriemann.geometry.distance").distance_wasserstein(S, S0, squared=True)


class Geomstats(TorchLibrary):
    """Values with its NumPy backend, gradients with its PyTorch backend: one process has only one of them."""

    name, modules = "geomstats", ("geomstats.geometry.spd_matrices",)

    def squared_distance(self, S, S0):
        spd = load("geomstats.geometry.spd_matrices")
        space = spd.SPDMatrices(S.shape[-1], equip=False)
        space.equip_with_metric(spd.SPDBuresWassersteinMetric)
        return space.metric.squared_dist(S, S0)

    def _loss(self, problem):
        if os.environ.get("GEOMSTATS_BACKEND") != "pytorch":
            raise NotImplementedError
        return super()._loss(problem)


class OttJax(Library):
    """The cost function Bures of ott-jax, compiled.

    Its gradient calls back into Python, and for a stack such calls can wait for each other for ever: left out.
    """

    name, modules = "ott-jax", ("jax", "ott.geometry.costs")

    def _loss(self, problem):
        jnp = load("jax").numpy
        S0, smoothing = jnp.asarray(problem.target), problem.tau * jnp.eye(len(problem.target))
        return lambda W: self.squared_distance(W @ W.T + smoothing, S0)

    def value(self, problem):
        return compiled(self._loss(problem), problem.W)

    def value_and_gradient(self, problem):
        if problem.W.ndim > 2:
            raise NotImplementedError
        return compiled(load("jax").value_and_grad(self._loss(problem)), problem.W)

    def squared_distance(self, S, S0):
        jnp, zero = load("jax").numpy, load("jax").numpy.zeros(len(S))
        points = (jnp.concatenate([zero, jnp.asarray(C).ravel()]) for C in (S, S0))
        return load("ott.geometry.costs").Bures(len(S))(*points)

    def squared_distances(self, S, S0):
        jax = load("jax")
        stacks = jax.numpy.asarray(S), jax.numpy.asarray(S0)
        run = jax.jit(jax.vmap(self.squared_distance)).lower(*stacks).compile()
        return lambda: jax.block_until_ready(run(*stacks))

    def transport_map(self, S, S0):
        gaussian = load("ott.tools.gaussian_mixture.scale_tril").ScaleTriL
        jnp = load("jax").numpy
        return gaussian.from_covariance(jnp.asarray(S)).gaussian_map(gaussian.from_covariance(jnp.asarray(S0)))

    def hessian_vector_product(self, problem, Z):
        jax = load("jax")
        return jax.jvp(jax.grad(self._loss(problem)), (jax.numpy.asarray(problem.W),), (jax.numpy.asarray(Z),))[1]


def trace(S):
    return np.trace(S, axis1=-2, axis2=-1)


def autograd(loss: Callable, start: np.ndarray) -> Thunk:
    """Value and gradient by PyTorch; values of a stack are summed before they are differentiated."""
    start = load("torch").from_numpy(start)

    def run():
        W = start.clone().requires_grad_()
        value = loss(W)
        value.sum().backward()
        return value.detach(), W.grad
    return run


def second_autograd(loss: Callable, W, Z):
    torch = load("torch")
    return torch.autograd.functional.hvp(loss, torch.from_numpy(W), torch.from_numpy(Z))[1]


def compiled(function: Callable, W: np.ndarray) -> Thunk:
    """A function of one matrix, mapped over the stack if there is one, and compiled by jax before the clock starts."""
    jax = load("jax")
    start = jax.numpy.asarray(W)
    run = jax.jit(jax.vmap(function) if W.ndim > 2 else function).lower(start).compile()
    return lambda: jax.block_until_ready(run(start))


# ---------------------------------------------------------------- formulas for this loss, written by hand


class ByHand(Contestant):
    r"""Value |W|^2 + |F|^2 + n tau - 2 sum(roots), gradient 2 (W - F Z).

    At tau = 0 the roots are the singular values of F^T W, and Z is its polar factor; for tau > 0 they are the square
    roots of the eigenvalues of M = F^T (W W^T + tau I) F, and Z = M^(-1/2) F^T W.
    """

    kind = "by hand"

    def _constants(self, problem):
        F = problem.factor
        return F, problem.tau * F.T @ F, np.vdot(F, F) + len(F) * problem.tau


class NumpyByHand(ByHand):
    name = "NumPy by hand"

    def value(self, problem):
        F, FF, constant = self._constants(problem)
        W = problem.W

        def run():
            Y = F.T @ W
            if problem.tau == 0:
                roots = np.linalg.svd(Y, compute_uv=False)
            else:
                roots = np.sqrt(np.linalg.eigvalsh(Y @ Y.mT + FF))
            return np.sum(W * W, axis=(-2, -1)) + constant - 2 * roots.sum(axis=-1)
        return run

    def value_and_gradient(self, problem):
        F, FF, constant = self._constants(problem)
        W = problem.W

        def run():
            Y = F.T @ W
            if problem.tau == 0:
                U, roots, Vt = np.linalg.svd(Y, full_matrices=False)
                Z = U @ Vt
            else:
                mu, P = np.linalg.eigh(Y @ Y.mT + FF)
                roots = np.sqrt(mu)
                Z = (P / roots[..., None, :]) @ (P.mT @ Y)
            return np.sum(W * W, axis=(-2, -1)) + constant - 2 * roots.sum(axis=-1), 2 * (W - F @ Z)
        return run


class TorchAutograd(ByHand):
    """The value in PyTorch, the gradient by automatic differentiation."""

    name, modules = "torch autograd", ("torch",)

    def _loss(self, problem):
        torch = load("torch")
        F, FF, constant = self._constants(problem)
        F, FF = torch.from_numpy(F), torch.from_numpy(FF)

        def loss(W):
            Y = F.T @ W
            roots = torch.linalg.svdvals(Y) if problem.tau == 0 else torch.linalg.eigvalsh(Y @ Y.mT + FF).sqrt()
            return (W * W).sum(dim=(-2, -1)) + constant - 2 * roots.sum(-1)
        return loss

    def value(self, problem):
        return partial(self._loss(problem), load("torch").from_numpy(problem.W))

    def value_and_gradient(self, problem):
        return autograd(self._loss(problem), problem.W)

    def hessian_vector_product(self, problem, Z):
        return second_autograd(self._loss(problem), problem.W, Z)


class TorchByHand(ByHand):
    name, modules = "torch by hand", ("torch",)

    def value_and_gradient(self, problem):
        torch = load("torch")
        F, FF, constant = self._constants(problem)
        F, FF, W = torch.from_numpy(F), torch.from_numpy(FF), torch.from_numpy(problem.W)

        def run():
            Y = F.T @ W
            if problem.tau == 0:
                U, roots, Vt = torch.linalg.svd(Y, full_matrices=False)
                Z = U @ Vt
            else:
                mu, P = torch.linalg.eigh(Y @ Y.mT + FF)
                roots = mu.sqrt()
                Z = (P / roots[..., None, :]) @ (P.mT @ Y)
            return (W * W).sum(dim=(-2, -1)) + constant - 2 * roots.sum(-1), 2 * (W - F @ Z)
        return run


class JaxByHand(ByHand):
    """In jax, compiled."""

    name, modules = "jax by hand", ("jax",)

    def _functions(self, problem):
        jnp = load("jax").numpy
        F, FF, constant = self._constants(problem)
        F, FF = jnp.asarray(F), jnp.asarray(FF)

        def value(W):
            Y = F.T @ W
            if problem.tau == 0:
                roots = jnp.linalg.svd(Y, compute_uv=False)
            else:
                roots = jnp.sqrt(jnp.linalg.eigvalsh(Y @ Y.T + FF, symmetrize_input=False))
            return jnp.sum(W * W) + constant - 2 * roots.sum()

        def both(W):
            Y = F.T @ W
            if problem.tau == 0:
                U, roots, Vt = jnp.linalg.svd(Y, full_matrices=False)
                Z = U @ Vt
            else:
                mu, P = jnp.linalg.eigh(Y @ Y.T + FF, symmetrize_input=False)
                roots = jnp.sqrt(mu)
                Z = (P / roots) @ (P.T @ Y)
            return jnp.sum(W * W) + constant - 2 * roots.sum(), 2 * (W - F @ Z)
        return value, both

    def value(self, problem):
        return compiled(self._functions(problem)[0], problem.W)

    def value_and_gradient(self, problem):
        return compiled(self._functions(problem)[1], problem.W)

    def hessian_vector_product(self, problem, Z):
        jax, both = load("jax"), self._functions(problem)[1]
        point, direction = jax.numpy.asarray(problem.W), jax.numpy.asarray(Z)
        return jax.jvp(lambda W: both(W)[1], (point,), (direction,))[1]


# ---------------------------------------------------------------- the public code


class PublicCode(Contestant):
    """The operations of the public code, in PyTorch with 64-bit floats, with the dense symmetric root R of the target.

    tau = 0: one SVD of R W for the value, another one for the gradient 2 (W - R U V^T).  (The public code also takes an
    n x n square root at every step, to compare; that is left out here.)  tau > 0: SciPy's square root of
    R (W W^T + tau I) R for the value, and of its inverse for the gradient.
    """

    name, kind, modules = "public code", "public code", ("torch",)

    def value(self, problem):
        R, S0, W = self._tensors(problem)
        return lambda: public_value(R, S0, W, problem.tau)

    def value_and_gradient(self, problem):
        R, S0, W = self._tensors(problem)
        return lambda: (public_value(R, S0, W, problem.tau), public_gradient(R, S0, W, problem.tau))

    @staticmethod
    def _tensors(problem):
        refuse_stacks(problem)
        return (load("torch").from_numpy(X) for X in (problem.root, problem.target, problem.W))


def refuse_stacks(problem: Problem) -> None:
    if problem.W.ndim > 2:
        raise NotImplementedError


def public_value(R, S0, W, tau: float):
    torch = load("torch")
    RW = R @ W
    if tau == 0:
        fidelity = torch.linalg.svd(RW, full_matrices=False)[1].sum()
    else:
        fidelity = torch.trace(scipy_root(RW @ RW.T + tau * S0))
    return W.norm() ** 2 + R.norm() ** 2 + tau * len(R) - 2 * fidelity


def public_gradient(R, S0, W, tau: float):
    torch = load("torch")
    if tau == 0:
        U, _, Vt = torch.linalg.svd(R @ W, full_matrices=False)
        return 2 * (W - R @ U @ Vt)
    M = R @ W @ W.T @ R + tau * R @ R
    return 2 * (W - R @ scipy_root(torch.from_numpy(scipy.linalg.inv(M.numpy()))) @ R @ W)


def scipy_root(M):
    return load("torch").from_numpy(scipy.linalg.sqrtm(M.numpy()))


# ---------------------------------------------------------------- floors


class Floor(Contestant):
    """The product with the factor, another one for a gradient; for k > n/20 also one decomposition.

    It is an SVD of an n x k matrix at tau = 0, an eigendecomposition of an n x n matrix for tau > 0; for values without
    vectors.
    """

    kind = "floor"

    def value(self, problem):
        transposed, _, decompose = self._operations(problem, False)
        return lambda: decompose(transposed())

    def value_and_gradient(self, problem):
        transposed, product, decompose = self._operations(problem, True)

        def run():
            Y = transposed()
            decompose(Y)
            return product(Y)
        return run


def decomposes(problem: Problem) -> bool:
    n, k = problem.W.shape[-2:]
    return k > n / 20


class NumpyFloor(Floor):
    name = "floor (NumPy)"

    def _operations(self, problem, vectors):
        F, W, n = problem.factor, problem.W, len(problem.factor)
        M = np.broadcast_to(F.T @ F, W.shape[:-2] + (n, n)).copy()

        def decompose(Y):
            if problem.tau == 0:
                return np.linalg.svd(Y, full_matrices=False, compute_uv=vectors)
            return np.linalg.eigh(M) if vectors else np.linalg.eigvalsh(M)
        return lambda: F.T @ W, lambda Y: F @ Y, decompose if decomposes(problem) else np.shape


class ScipyFloor(Floor):
    """Triangular products, and LAPACK, called through SciPy."""

    name = "floor (SciPy)"

    def _operations(self, problem, vectors):
        refuse_stacks(problem)
        F, W, M = (np.asfortranarray(X) for X in (problem.factor, problem.W, problem.factor.T @ problem.factor))

        def decompose(Y):
            if problem.tau == 0:
                return lapack.dgesdd(Y, compute_uv=vectors, full_matrices=0)
            return lapack.dsyevd(M, compute_v=vectors)
        return (lambda: blas.dtrmm(1.0, F, W, lower=1, trans_a=1), lambda Y: blas.dtrmm(1.0, F, Y, lower=1),
                decompose if decomposes(problem) else np.shape)


CONTESTANTS = (Bwlib(), Scipy(), Pot(), PyRiemann(), Geomstats(), OttJax(), NumpyByHand(), TorchAutograd(),
               TorchByHand(), JaxByHand(), PublicCode(), NumpyFloor(), ScipyFloor())


def present(contestants) -> tuple[list, dict[str, str]]:
    """Who can take part, and why the others cannot."""
    reasons = {c.name: c.absent() for c in contestants}
    return [c for c in contestants if not reasons[c.name]], {name: why for name, why in reasons.items() if why}


def prepared(contestants, method: str, *arguments) -> dict[str, Thunk]:
    """The functions to time, of all contestants that have one."""
    ready = {}
    for contestant in contestants:
        try:
            ready[contestant.name] = getattr(contestant, method)(*arguments)
        except NotImplementedError:
            pass
    return ready

