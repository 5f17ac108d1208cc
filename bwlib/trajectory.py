"""The record that a training run leaves, and why it ended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np

from ._lapack import product_into, squares
from ._validate import Array
from .losses import Loss
from .networks import DeepLinearNetwork

LARGEST_ENTRY = 1e150  # its square is still a float64


class Status(Enum):
    """Why a run ended; ``advice`` says what to do next.

    Examples
    --------
    >>> Status.DIVERGED.advice
    'Reduce the step size: the loss grew by a factor of a million.'
    """

    CONVERGED = "The gradient norm is at most tol; nothing to do."
    FINISHED = "The flow reached the last time of t_eval; nothing to do."
    MAX_STEPS = "Allow more steps or a larger tol: the gradient norm is still above tol."
    DIVERGED = "Reduce the step size: the loss grew by a factor of a million."
    NON_FINITE = "Reduce the step size or rescale the start: a value overflowed."
    RANK_LOST = "Use tau > 0 or another start: the rank dropped, and the loss has a kink there."
    STOPPED = "Loosen rtol and atol, or use method='Radau': the integrator could not go on."
    INTERRUPTED = "Interrupted from the keyboard; what was recorded until then is kept."

    @property
    def advice(self) -> str:
        """One sentence on what to do."""
        return self.value


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The record of a run; row ``k`` of every array belongs to the same iterate.

    Attributes
    ----------
    t : array, shape (rows,)
        Flow time; for gradient descent the step size times the number of steps.
    loss, gap : array, shape (rows,)
        The loss, and the loss minus its least value at the rank of the bottleneck; for a flow in function space, at the
        rank of the start, which the flow keeps.
    gradient_norm : array, shape (rows,)
        Euclidean norm of the gradient with respect to all layers.
    singular_values : array, shape (rows, min(n, m))
        Of the end-to-end matrix, descending; computed when first asked for.
    imbalance : array, shape (rows,)
        The largest operator norm of the matrices of :meth:`DeepLinearNetwork.imbalances`, 0 for one layer; computed when
        first asked for.
    end_to_end : array, shape (rows, n, m)
        The end-to-end matrices.
    networks : tuple of DeepLinearNetwork, or None
        The networks; None for a run on a single matrix.
    status : Status
    message : str
        What happened, with numbers.
    """

    t: Array
    loss: Array
    gap: Array
    gradient_norm: Array
    end_to_end: Array
    networks: tuple[DeepLinearNetwork, ...] | None
    status: Status
    message: str

    @cached_property
    def singular_values(self) -> Array:
        return np.linalg.svd(self.end_to_end, compute_uv=False)

    @cached_property
    def imbalance(self) -> Array:
        largest = np.zeros(len(self.t))
        layers = [np.array(layer) for layer in zip(*(network.weights for network in self.networks or ()))]
        for low, up in zip(layers, layers[1:]):
            eigenvalues = np.linalg.eigvalsh(up.mT @ up - low @ low.mT)
            largest = np.maximum(largest, np.abs(eigenvalues).max(axis=-1))
        return largest


@dataclass(frozen=True, eq=False)
class Row:
    """One iterate of a run, as it is kept."""

    t: float
    W: Array
    loss: float
    gradient_norm: float
    weights: Sequence[Array] | None = None

    def is_finite(self) -> bool:
        return math.isfinite(self.loss) and math.isfinite(self.gradient_norm)


class Workspace:
    """Room for one gradient of a network, and for the products that lead to it; reused from step to step.

    The products from the left are in C order, those from the right in Fortran order: then no product is one of two
    transposed rows, the slow case.
    ``gradient`` holds the layer gradients of the iterate evaluated last, one after the other, row by row.  With
    ``stack=(s,)`` all arrays have a leading axis for ``s`` networks.
    """

    def __init__(self, shapes: Sequence[tuple[int, int]], loss: Loss, stack: tuple[int, ...] = ()) -> None:
        self.loss, self.shapes, self.stack = loss, shapes, stack
        self.gradient = np.empty((*stack, sum(rows * columns for rows, columns in shapes)))
        self.gradients = self.layers(self.gradient)
        width = shapes[0][1]
        self.prefixes = [np.empty((*stack, rows, width)) for rows, _ in shapes[1:-1]]
        rooms = np.empty((2, *stack, width * max(rows for rows, _ in shapes)))
        self.pulled_back = [self.gradients[0], *(rooms[j % 2, ..., :rows * width].reshape(*stack, width, rows).mT
                                                 for j, (rows, _) in enumerate(shapes[1:]))]

    def layers(self, parameters: Array) -> list[Array]:
        """The layers as views of a vector of all parameters, or of a stack of them."""
        ends = np.cumsum([rows * columns for rows, columns in self.shapes])
        return [parameters[..., end - rows * columns:end].reshape(*self.stack, rows, columns)
                for (rows, columns), end in zip(self.shapes, ends)]


class Iterate:
    """A network as one vector of ``parameters``, with its end-to-end matrix ``W``, its loss and gradient norm.

    The products are prepared once; ``evaluate`` only carries them out.
    """

    def __init__(self, work: Workspace) -> None:
        self._work, self.gradient, self.t = work, work.gradient, 0.0
        self.parameters = np.empty_like(work.gradient)
        self.layers = layers = work.layers(self.parameters)
        self.W = layers[0] if len(layers) == 1 else np.empty((*work.stack, work.shapes[-1][0], work.shapes[0][1]))
        prefixes = [layers[0], *work.prefixes, self.W]
        self._forward = [product_into(prefixes[j], layers[j], prefixes[j - 1]) for j in range(1, len(layers))]
        self._backward = []
        for j in range(len(layers) - 1, 0, -1):
            self._backward += [product_into(work.gradients[j], work.pulled_back[j], prefixes[j - 1].mT),
                               product_into(work.pulled_back[j - 1], layers[j].mT, work.pulled_back[j])]

    def evaluate(self) -> bool:
        """Compute loss and gradient; false if they overflow, and then the gradient is void."""
        for product in self._forward:
            product()
        if not squares(self.W) < LARGEST_ENTRY**2:
            self.loss = self.gradient_norm = math.inf
            return False
        self.loss = float(self._pull_back())
        self.gradient_norm = math.sqrt(squares(self.gradient))
        return math.isfinite(self.loss) and math.isfinite(self.gradient_norm)

    def _pull_back(self) -> float | Array:
        """The loss; its gradient goes to ``gradient`` of the workspace."""
        loss, self._work.pulled_back[-1][:] = self._work.loss._value_and_gradient(self.W)
        for product in self._backward:
            product()
        return loss

    def row(self) -> Row:
        """What the record keeps: copies."""
        return Row(self.t, self.W.copy(), self.loss, self.gradient_norm, [W.copy() for W in self.layers])


class Iterates(Iterate):
    """The same for a stack of networks at once: ``loss`` and ``gradient_norm`` are vectors."""

    def evaluate(self) -> np.ndarray:
        """Compute losses and gradients; false for those that overflow."""
        for product in self._forward:
            product()
        fits = squares(self.W) < LARGEST_ENTRY**2
        self.W[~fits] = 0.0
        self.loss = self._pull_back()
        self.gradient_norm = np.linalg.norm(self.gradient, axis=-1)
        return fits & np.isfinite(self.loss) & np.isfinite(self.gradient_norm)

    def row(self, i: int) -> Row:
        """What the record of one network keeps."""
        return Row(self.t, self.W[i].copy(), float(self.loss[i]), float(self.gradient_norm[i]),
                   [W[i].copy() for W in self.layers])

    def without(self, gone: np.ndarray) -> tuple[Iterates, Iterates]:
        """These iterates without some of the networks, and room for the following ones."""
        kept = ~gone
        work = Workspace(self._work.shapes, self._work.loss, (int(kept.sum()),))
        work.gradient[:] = self.gradient[kept]
        fewer = Iterates(work)
        fewer.t, fewer.loss, fewer.gradient_norm = self.t, self.loss[kept], self.gradient_norm[kept]
        fewer.parameters[:], fewer.W[:] = self.parameters[kept], self.W[kept]
        return fewer, Iterates(work)


def trajectory(rows: Sequence[Row], loss: Loss, status: Status, when: str, *, is_network: bool,
               rank: int | None = None) -> Trajectory:
    """The record of ``rows``; ``when`` the run ended, ``rank`` bounds that of the iterates (default: the bottleneck)."""
    networks = tuple(DeepLinearNetwork(tuple(row.weights or (row.W,))) for row in rows)
    losses = np.array([row.loss for row in rows])
    last = rows[-1]
    return Trajectory(
        t=np.array([float(row.t) for row in rows]),
        loss=losses,
        gap=losses - loss.minimum(networks[0].bottleneck if rank is None else rank),
        gradient_norm=np.array([row.gradient_norm for row in rows]),
        end_to_end=np.array([row.W for row in rows]),
        networks=networks if is_network else None,
        status=status,
        message=f"{status.name} {when}: loss {last.loss:.6g}, gradient norm {last.gradient_norm:.3g}. {status.advice}")
