"""The record that a training run leaves, and why it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from ._validate import Array
from .losses import Loss
from .networks import DeepLinearNetwork, layer_gradients, prefix_products

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


@np.errstate(over="ignore", invalid="ignore")
def evaluate(t: float, weights: Sequence[Array], loss: Loss) -> tuple[Row, list[Array]]:
    """The row of a network and its layer gradients; a value that overflows is reported as infinite."""
    prefixes = prefix_products(weights)
    W = prefixes[-1]
    if not np.abs(W).max() < LARGEST_ENTRY:
        return Row(t, W, np.inf, np.inf, weights), []
    value, G = loss._value_and_gradient(W)
    gradients = layer_gradients(weights, prefixes, G)
    norm = np.sqrt(sum(np.vdot(G, G) for G in gradients))
    return Row(t, W, float(value), float(norm), weights), gradients


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
