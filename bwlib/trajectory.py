"""The record that a training run leaves, and why it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

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
        Of the end-to-end matrix, descending.
    imbalance : array, shape (rows,)
        The largest spectral norm of the matrices of :meth:`DeepLinearNetwork.imbalances`; 0 for one layer.
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
    singular_values: Array
    imbalance: Array
    end_to_end: Array
    networks: tuple[DeepLinearNetwork, ...] | None
    status: Status
    message: str


@dataclass(frozen=True, eq=False)
class Row:
    """One iterate of a run."""

    t: float
    W: Array
    loss: float
    gradient_norm: float
    weights: Sequence[Array] | None = None

    def is_finite(self) -> bool:
        return bool(np.isfinite(self.loss) and np.isfinite(self.gradient_norm))


class Workspace:
    """Room for the products of one gradient of a network, reused from step to step.

    ``gradient`` holds the layer gradients of the last call of ``evaluate``, one after the other, row by row.
    """

    def __init__(self, shapes: Sequence[tuple[int, int]], loss: Loss) -> None:
        self.loss, self.shapes = loss, shapes
        self.ends = np.cumsum([rows * columns for rows, columns in shapes])
        self.gradient = np.empty(self.ends[-1])
        self._gradients = self.layers(self.gradient)
        self._products = [np.empty((rows, shapes[0][1])) for rows, _ in shapes[:-1]]
        self._pulled_back = [np.empty_like(P) for P in self._products]

    def layers(self, parameters: Array) -> list[Array]:
        """The layers as views of a vector of all parameters."""
        return [parameters[end - rows * columns:end].reshape(rows, columns)
                for (rows, columns), end in zip(self.shapes, self.ends)]

    @np.errstate(over="ignore", invalid="ignore")
    def evaluate(self, t: float, weights: Sequence[Array]) -> Row:
        """The row of a network; a value that overflows is reported as infinite, and then ``gradient`` is void."""
        prefixes = [weights[0]]
        for W, room in zip(weights[1:-1], self._products[1:]):
            prefixes.append(np.dot(W, prefixes[-1], out=room))
        W = weights[-1] @ prefixes[-1] if len(weights) > 1 else weights[0]
        if not np.abs(W).max() < LARGEST_ENTRY:
            return Row(t, W, np.inf, np.inf, weights)
        value, G = self.loss._value_and_gradient(W)
        for j in range(len(weights) - 1, 0, -1):
            np.dot(G, prefixes[j - 1].T, out=self._gradients[j])
            G = np.dot(weights[j].T, G, out=self._pulled_back[j - 1])
        self._gradients[0][:] = G
        return Row(t, W, float(value), float(np.sqrt(np.dot(self.gradient, self.gradient))), weights)


def trajectory(rows: Sequence[Row], loss: Loss, status: Status, when: str, *, is_network: bool,
               rank: int | None = None) -> Trajectory:
    """The record of ``rows``; ``when`` the run ended, ``rank`` bounds that of the iterates (default: the bottleneck)."""
    networks = tuple(DeepLinearNetwork(tuple(row.weights or (row.W,))) for row in rows)
    losses = np.array([row.loss for row in rows])
    end_to_end = np.array([row.W for row in rows])
    last = rows[-1]
    return Trajectory(
        t=np.array([float(row.t) for row in rows]),
        loss=losses,
        gap=losses - loss.minimum(networks[0].bottleneck if rank is None else rank),
        gradient_norm=np.array([row.gradient_norm for row in rows]),
        singular_values=np.linalg.svd(end_to_end, compute_uv=False),
        imbalance=np.array([max((np.linalg.norm(D, 2) for D in network.imbalances()), default=0.0)
                            for network in networks]),
        end_to_end=end_to_end,
        networks=networks if is_network else None,
        status=status,
        message=f"{status.name} {when}: loss {last.loss:.6g}, gradient norm {last.gradient_norm:.3g}. {status.advice}")
