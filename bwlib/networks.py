r"""Deep linear networks: the factors of an end-to-end matrix :math:`W=W_N\cdots W_1`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from . import _validate as check
from ._validate import Array
from .covariance import compact_svd


@dataclass(frozen=True, eq=False)
class DeepLinearNetwork:
    r"""The layers :math:`\theta=(W_1,\dots,W_N)`, with ``weights[j-1]`` the matrix :math:`W_j` of shape
    :math:`d_j\times d_{j-1}`.

    Parameters
    ----------
    weights : sequence of arrays
        The first layer first; copied, and read-only afterwards.

    Raises
    ------
    TypeError
        If an entry is not a real number.
    ValueError
        If there is no layer, a layer is empty or not finite, or the widths do not chain.

    Examples
    --------
    >>> network = DeepLinearNetwork([[[1.0, 2.0]], [[3.0], [4.0]]])
    >>> network.widths, network.depth, network.bottleneck
    ((2, 1, 2), 2, 1)
    >>> network.end_to_end().tolist()
    [[3.0, 6.0], [4.0, 8.0]]

    Notes
    -----
    Book: chapter "Deep linear networks".
    """

    weights: tuple[Array, ...]

    def __post_init__(self) -> None:
        layers = check.sequence(self.weights, "weights")
        if not layers:
            raise ValueError("weights must contain at least one layer, got none")
        weights = [np.array(check.matrix(W, f"weights[{j}]", stacks=False)) for j, W in enumerate(layers)]
        for j in range(1, len(weights)):
            if weights[j].shape[1] != weights[j - 1].shape[0]:
                raise ValueError(f"widths must chain: weights[{j}] has {weights[j].shape[1]} columns but "
                                 f"weights[{j - 1}] has {weights[j - 1].shape[0]} rows. Is the first layer first?")
        for W in weights:
            W.flags.writeable = False
        object.__setattr__(self, "weights", tuple(weights))

    def __setstate__(self, state: dict[str, tuple[Array, ...]]) -> None:
        """Read-only after copying and pickling, too."""
        for W in state["weights"]:
            W.flags.writeable = False
        object.__setattr__(self, "weights", state["weights"])

    @property
    def widths(self) -> tuple[int, ...]:
        r"""The widths :math:`(d_0,\dots,d_N)`."""
        return (self.weights[0].shape[1], *(W.shape[0] for W in self.weights))

    @property
    def depth(self) -> int:
        r"""The number of layers :math:`N`."""
        return len(self.weights)

    @property
    def bottleneck(self) -> int:
        r"""The smallest width :math:`k=\min_jd_j`: the largest rank the network can represent."""
        return min(self.widths)

    def end_to_end(self) -> Array:
        r"""The product :math:`\mu(\theta)=W_N\cdots W_1`, shape (n, m)."""
        return prefix_products(self.weights)[-1].copy()

    def imbalances(self) -> list[Array]:
        r"""The matrices :math:`W_{j+1}^\top W_{j+1}-W_jW_j^\top`, :math:`j=1,\dots,N-1`; all zero when balanced."""
        return [up.T @ up - low @ low.T for low, up in zip(self.weights, self.weights[1:])]

    def layer_gradients(self, G: ArrayLike) -> list[Array]:
        r"""The gradients of :math:`L\circ\mu` with respect to the layers, from :math:`G=\nabla L(W)`.

        .. math:: \nabla_{W_j}(L\circ\mu)=(W_N\cdots W_{j+1})^\top\,G\,(W_{j-1}\cdots W_1)^\top

        Parameters
        ----------
        G : array, shape (n, m)
            The gradient in function space at ``end_to_end()``.

        Returns
        -------
        list of arrays, of the shapes of ``weights``
        """
        G = check.matrix(G, "G", stacks=False)
        if G.shape != (self.widths[-1], self.widths[0]):
            raise ValueError(f"G must have the shape of the end-to-end matrix, {(self.widths[-1], self.widths[0])}, "
                             f"got {G.shape}")
        return layer_gradients(self.weights, prefix_products(self.weights), G)


def prefix_products(weights: Sequence[Array]) -> list[Array]:
    r"""The products :math:`W_j\cdots W_1` for :math:`j=1,\dots,N`; the last is the end-to-end matrix."""
    products = [weights[0]]
    for W in weights[1:]:
        products.append(W @ products[-1])
    return products


def layer_gradients(weights: Sequence[Array], prefixes: Sequence[Array], G: Array) -> list[Array]:
    """The layer gradients from the function-space gradient ``G``, in one pass from the last layer to the first."""
    gradients = []
    for j in range(len(weights) - 1, 0, -1):
        gradients.append(G @ prefixes[j - 1].T)
        G = weights[j].T @ G
    gradients.append(G)
    return gradients[::-1]


def differential(weights: Sequence[Array], prefixes: Sequence[Array], Z: Sequence[Array]) -> list[Array]:
    r"""The derivatives of the prefix products in the direction ``Z``; the last is :math:`d\mu(\theta)[Z]`."""
    derivatives = [Z[0]]
    for W, P, direction in zip(weights[1:], prefixes, Z[1:]):
        derivatives.append(direction @ P + W @ derivatives[-1])
    return derivatives


def layer_gradient_derivatives(weights: Sequence[Array], prefixes: Sequence[Array], Z: Sequence[Array],
                               dP: Sequence[Array], G: Array, dG: Array) -> list[Array]:
    """The derivatives of the layer gradients in the direction ``Z``: the pass of ``layer_gradients``, differentiated.

    ``dP`` are the derivatives of the prefix products, ``dG`` that of the function-space gradient ``G``.
    """
    derivatives = []
    for j in range(len(weights) - 1, 0, -1):
        derivatives.append(dG @ prefixes[j - 1].T + G @ dP[j - 1].mT)
        G, dG = weights[j].T @ G, Z[j].mT @ G + weights[j].T @ dG
    derivatives.append(dG)
    return derivatives[::-1]


def multipliers(x: Array, depth: int) -> Array:
    r"""The sums :math:`S_N=\sum_jx_a^{N-j}x_b^{j-1}=(x_a^N-x_b^N)/(x_a-x_b)` without cancellation, for a vector ``x >= 0``.

    By doubling: :math:`S_{2m}=S_m(x_a^m+x_b^m)` and :math:`S_{m+1}=x_aS_m+x_b^m`.
    """
    sums, m = np.ones((x.size, x.size)), 1
    for digit in f"{depth:b}"[1:]:
        power = x**m
        sums, m = sums * (power[:, None] + power), 2 * m
        if digit == "1":
            sums, m = x[:, None] * sums + x**m, m + 1
    return sums


def balanced_network(W: ArrayLike, widths: Iterable[int]) -> DeepLinearNetwork:
    r"""A balanced network with end-to-end matrix ``W``: :math:`W_{j+1}^\top W_{j+1}=W_jW_j^\top` for all :math:`j`.

    From the SVD :math:`W=USV^\top`: first layer :math:`S^{1/N}V^\top`, last layer :math:`US^{1/N}`, the others
    :math:`S^{1/N}`, each padded with zeros to its widths.

    Parameters
    ----------
    W : array, shape (n, m)
    widths : sequence of int
        :math:`(d_0,\dots,d_N)` with :math:`d_0=m`, :math:`d_N=n`, none below the rank of ``W``.

    Raises
    ------
    ValueError
        If the ends of ``widths`` are not (m, n), or a width is below the rank of ``W``.

    Examples
    --------
    >>> network = balanced_network([[8.0, 0.0], [0.0, 1.0]], (2, 3, 4, 2))
    >>> network.end_to_end().round(12).tolist()
    [[8.0, 0.0], [0.0, 1.0]]
    >>> max(float(abs(D).max()) for D in network.imbalances()) < 1e-12
    True

    Notes
    -----
    Book: "Balanced factorisations".  Source: Arora, Cohen and Hazan (2018).
    """
    W = check.matrix(W, "W", stacks=False)
    widths = _widths(widths)
    if (widths[0], widths[-1]) != (W.shape[1], W.shape[0]):
        raise ValueError(f"widths must start with {W.shape[1]} and end with {W.shape[0]}, as W has shape {W.shape}; "
                         f"got {widths}")
    U, s, Vt = compact_svd(W)
    rank, depth = int(np.count_nonzero(s)), len(widths) - 1
    if min(widths) < rank:
        raise ValueError(f"widths must not be below the rank {rank} of W, got {widths}")
    if depth == 1:
        return DeepLinearNetwork((W,))
    root = s[:rank] ** (1 / depth)
    layers = [np.zeros((d_out, d_in)) for d_in, d_out in zip(widths, widths[1:])]
    for layer in layers[1:-1]:
        layer[range(rank), range(rank)] = root
    layers[0][:rank] = root[:, None] * Vt[:rank]
    layers[-1][:, :rank] = U[:, :rank] * root
    return DeepLinearNetwork(tuple(layers))


def random_network(widths: Iterable[int], *, scale: float = 1.0, rng: np.random.Generator | int) -> DeepLinearNetwork:
    r"""A network with independent entries :math:`(W_j)_{ab}\sim\mathcal N(0,\text{scale}^2/d_{j-1})`.

    For a fixed input, :math:`\operatorname{E}|W_jz|^2=\text{scale}^2\,\frac{d_j}{d_{j-1}}\,|z|^2`: at ``scale=1`` a layer
    between equal widths preserves the squared norm on average, and the whole network multiplies it by :math:`d_N/d_0`.

    Parameters
    ----------
    widths : sequence of int
        :math:`(d_0,\dots,d_N)`.
    scale : float
    rng : Generator or int

    Raises
    ------
    TypeError, ValueError
        If a width is not a positive integer or ``scale`` is negative.

    Examples
    --------
    >>> random_network((2, 5, 3), rng=0).widths
    (2, 5, 3)
    """
    widths = _widths(widths)
    scale = check.scalar(scale, "scale")
    rng = check.generator(rng)
    return DeepLinearNetwork(tuple(scale / np.sqrt(d_in) * rng.standard_normal((d_out, d_in))
                                   for d_in, d_out in zip(widths, widths[1:])))


def _widths(widths: Iterable[int]) -> tuple[int, ...]:
    widths = tuple(check.integer(d, f"widths[{j}]", 1) for j, d in enumerate(check.sequence(widths, "widths")))
    if len(widths) < 2:
        raise ValueError(f"widths must name at least the latent and the data dimension, got {widths}")
    return widths
