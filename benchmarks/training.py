"""Training loops: gradient descent on a network of square layers, by each contestant, for a number of steps.

``train`` takes the target, the layers and the step size and returns a function without arguments that runs the steps
from the start and returns the last layers, stacked.  With a leading axis of seeds the layers are an ensemble.
"""
from __future__ import annotations

from functools import partial, reduce

import numpy as np
from scipy.linalg import blas, lapack

import bwlib as bw

from .peers import Contestant, load, public_gradient, public_value

STEP_SIZE = 1e-3


class Trainer(Contestant):
    def train(self, target: np.ndarray, weights: np.ndarray, steps: int):
        raise NotImplementedError


class Bwlib(Trainer):
    """``gradient_descent``, and ``ensemble_descent`` for an ensemble."""

    name, kind = "bwlib", "bwlib"

    def train(self, target, weights, steps):
        loss, options = bw.BuresLoss(target), {"max_steps": steps, "tol": 0.0, "record_every": steps}

        def run():
            if weights.ndim == 3:
                return end(bw.gradient_descent(bw.DeepLinearNetwork(tuple(weights)), loss, STEP_SIZE, **options))
            networks = [bw.DeepLinearNetwork(tuple(layers)) for layers in weights]
            return np.array([end(each) for each in bw.ensemble_descent(networks, loss, STEP_SIZE, **options)])

        def end(trajectory):
            return np.array(trajectory.networks[-1].weights)
        return run


class TorchAutograd(Trainer):
    """A product of parameters, the loss by singular values, ``backward`` and ``torch.optim.SGD``."""

    name, kind, modules = "torch autograd", "by hand", ("torch",)

    def train(self, target, weights, steps):
        torch = load("torch")
        F = torch.linalg.cholesky(torch.from_numpy(target))
        constant = (F * F).sum()

        def run():
            layers = [torch.from_numpy(W.copy()).requires_grad_() for W in np.moveaxis(weights, -3, 0)]
            optimiser = torch.optim.SGD(layers, lr=STEP_SIZE)
            for _ in range(steps):
                optimiser.zero_grad()
                W = reduce(lambda product, layer: layer @ product, layers)
                loss = (W * W).sum((-2, -1)) + constant - 2 * torch.linalg.svdvals(F.T @ W).sum(-1)
                loss.sum().backward()
                optimiser.step()
            return torch.stack(layers, -3).detach().numpy()
        return run


class JaxScan(Trainer):
    """Scans over the steps and, inside, ten layers at a time over the network, with the closed gradient; compiled before
    the clock starts.

    An ensemble is mapped (``vmap``).
    """

    name, kind, modules = "jax scan", "by hand", ("jax",)

    def train(self, target, weights, steps):
        jax = load("jax")
        jnp = jax.numpy
        scan = partial(jax.lax.scan, unroll=min(weights.shape[-3], 10))
        F = jnp.linalg.cholesky(jnp.asarray(target))

        def step(layers, _):
            identity = jnp.eye(layers.shape[-1])
            W, before = scan(lambda P, layer: (layer @ P, P), identity, layers)
            U, s, Vt = jnp.linalg.svd(F.T @ W, full_matrices=False)
            loss = jnp.sum(W * W) - 2 * s.sum()
            G = 2 * (W - F @ (U @ Vt))
            _, after = scan(lambda D, layer: (layer.T @ D, D), G, layers, reverse=True)
            return layers - STEP_SIZE * after @ before.mT, loss

        def descend(layers):
            return jax.lax.scan(step, layers, None, length=steps)

        start = jnp.asarray(weights)
        run = jax.jit(jax.vmap(descend) if weights.ndim > 3 else descend).lower(start).compile()
        return lambda: np.asarray(jax.block_until_ready(run(start))[0])


class PublicCode(Trainer):
    """The operations of one step of the public code, in PyTorch with 64-bit floats and tau = 0.

    The end-to-end matrix, multiplied up from the identity, once for the loss and once for the gradient; an SVD for each
    of the two; for every layer the products in front of it and behind it, again from the identity and copied; the layer
    gradients one by one, with two products each; a step of ``torch.optim.SGD``.  Left out, in favour of the public
    code: the n x n square root it takes for comparison, its dozen diagnostics per step, its tables and its plots.
    """

    name, kind, modules = "public code", "public code", ("torch",)

    def train(self, target, weights, steps):
        torch = load("torch")
        if weights.ndim > 3:
            raise NotImplementedError("no ensembles")
        lam, Omega = np.linalg.eigh(target)
        R, S0 = torch.from_numpy((Omega * np.sqrt(lam)) @ Omega.T), torch.from_numpy(target)
        identity = torch.eye(len(target), dtype=torch.float64)

        def end_to_end(layers):
            W = identity
            for layer in reversed(layers):
                W = W @ layer
            return W

        def layer_gradients(layers, G):
            front, back, fronts, backs = identity, identity, [], []
            for j in range(len(layers)):
                if j:
                    front, back = layers[j - 1] @ front, back @ layers[-j]
                fronts.append(front.clone())
                backs.append(back.clone())
            return [B.T @ G @ A.T for A, B in zip(fronts, reversed(backs))]

        def run():
            layers = [torch.from_numpy(W.copy()).requires_grad_() for W in weights]
            optimiser = torch.optim.SGD(layers, lr=STEP_SIZE)
            for _ in range(steps):
                optimiser.zero_grad()
                with torch.no_grad():
                    public_value(R, S0, end_to_end(layers), 0.0)
                    G = public_gradient(R, S0, end_to_end(layers), 0.0)
                    for layer, gradient in zip(layers, layer_gradients(layers, G)):
                        layer.grad = gradient
                optimiser.step()
            return torch.stack(layers).detach().numpy()
        return run


class NumpyFloor(Trainer):
    """The products of a step (N - 1 forwards, 2 (N - 1) backwards, two with the factor) and one SVD, and nothing else."""

    name, kind = "floor (NumPy)", "floor"

    def train(self, target, weights, steps):
        return floor(weights, steps, np.linalg.cholesky(target), lambda X, Y, room: np.dot(X, Y, out=room),
                     lambda Y: np.linalg.svd(Y, full_matrices=False))


class ScipyFloor(Trainer):
    """The same with BLAS and LAPACK called through SciPy."""

    name, kind = "floor (SciPy)", "floor"

    def train(self, target, weights, steps):
        return floor(weights, steps, np.linalg.cholesky(target),
                     lambda X, Y, room: blas.dgemm(1.0, Y.T, X.T, c=room.T, overwrite_c=1),
                     lambda Y: lapack.dgesdd(Y.T, full_matrices=0))


def floor(weights, steps, F, product, decompose):
    networks = weights if weights.ndim > 3 else weights[None]
    A, B, C = (np.empty_like(F) for _ in range(3))

    def run():
        for layers in networks:
            others = layers[1:]
            for _ in range(steps):
                product(F, layers[0], A)
                product(F, layers[0], B)
                decompose(A)
                for layer in others:
                    product(layer, B, C)
                    product(layer, B, C)
                    product(layer, B, C)
        return weights
    return run


TRAINERS = (Bwlib(), TorchAutograd(), JaxScan(), PublicCode(), NumpyFloor(), ScipyFloor())
