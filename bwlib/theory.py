r"""Certified constants: margins, rates of convergence, step sizes.  Each function checks the hypotheses of its theorem.

Throughout :math:`\lambda_1\ge\dots\ge\lambda_n` is the spectrum of the target, :math:`R` its root, :math:`N` the depth,
:math:`L_0=L_\tau(W_0)` the loss at the start and :math:`c` the deficiency margin there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from . import _validate as check
from ._validate import EPS, Array
from .covariance import Covariance, as_covariance
from .losses import BuresLoss
from .networks import DeepLinearNetwork, multipliers


def deficiency_margin(W: ArrayLike, target: Covariance | ArrayLike, *, tau: float = 0.0) -> float:
    r"""The margin :math:`c=\sqrt{\bar c^2-\tau}`, :math:`\bar c=\sqrt{\lambda_n}-\sqrt{L_\tau(W)}`.

    Wherever the loss is at most :math:`L_\tau(W)`, the least singular value of the end-to-end matrix is at least ``c``.

    Parameters
    ----------
    W : array, shape (n, m)
    target : Covariance or array, shape (n, n)
    tau : float

    Returns
    -------
    float
        Positive.

    Raises
    ------
    TypeError
        If an argument is not of the kind expected.
    ValueError
        If :math:`\bar c\le\sqrt\tau`: there is no margin.  The message says what is missing.

    Examples
    --------
    >>> deficiency_margin([[1.5]], [[4.0]])
    1.5

    Notes
    -----
    Book: proposition "Deficiency margin".
    """
    return _margin(*_loss_at(W, target, tau))


def flow_rate(margin: float, depth: int, *, tau: float = 0.0) -> float:
    r"""The certified rate :math:`4N\,c^{2(2N-1)/N}/(c^2+\tau)` of the loss along balanced gradient flow.

    :math:`L_\tau(t)\le L_\tau(0)\,e^{-\text{rate}\cdot t}`.

    Parameters
    ----------
    margin : float
        :math:`c>0`, from :func:`deficiency_margin`.
    depth : int
    tau : float

    Returns
    -------
    float

    Examples
    --------
    >>> flow_rate(1.0, 1), flow_rate(1.0, 3)
    (4.0, 12.0)

    Notes
    -----
    Book: theorem "Convergence of gradient flow".
    """
    c, N, tau = _arguments(margin, depth, tau)
    return 4 * N * c ** (2 * (2 * N - 1) / N) / (c**2 + tau)


def paper_flow_rate(margin: float, depth: int, *, target: Covariance | ArrayLike, initial_loss: float,
                    tau: float) -> float:
    r"""The rate :math:`8N\,c^{2(2N-1)/N}K` with the strong-convexity constant :math:`K=\sqrt{\tau\lambda_n}/(2C_0^2)`.

    :math:`C_0=2(L_0+\operatorname{tr}\Sigma_0)`.  Always below :func:`flow_rate`; zero at ``tau = 0``.

    Parameters
    ----------
    margin : float
    depth : int
    target : Covariance or array, shape (n, n)
    initial_loss : float
        :math:`L_0`.
    tau : float

    Returns
    -------
    float

    Examples
    --------
    >>> paper_flow_rate(1.0, 1, target=[[4.0]], initial_loss=0.0, tau=0.25)
    0.0625

    Notes
    -----
    Book: corollary "The rate by strong convexity".  Source: Bréchet, Papagiannouli, An and Montúfar (2023).
    """
    c, N, tau = _arguments(margin, depth, tau)
    target = as_covariance(target, "target", stacks=False)
    C0 = 2 * (check.scalar(initial_loss, "initial_loss") + target.trace)
    K = np.sqrt(tau * target.eigenvalues[-1]) / (2 * C0**2)
    return float(8 * N * c ** (2 * (2 * N - 1) / N) * K)


def certified_step_size(network_or_W: DeepLinearNetwork | ArrayLike, target: Covariance | ArrayLike,
                        depth: int | None = None, *, tau: float = 0.0) -> float:
    r"""The largest step size for which the finite-step theorem certifies linear convergence.

    .. math:: \eta=\min\Big\{\frac1{4N\rho^{2(N-1)/N}},\ \frac{c^{(4N-2)/N}}{128N\rho^{4(N-1)/N}L_0}\Big\},
              \qquad\rho=\sqrt{\lambda_1}+\sqrt{L_0};

    ½ for one layer.

    Parameters
    ----------
    network_or_W : DeepLinearNetwork or array, shape (n, m)
        The start: a balanced network, or the end-to-end matrix of one.
    target : Covariance or array, shape (n, n)
    depth : int, optional
        Needed with a matrix; with a network it is its depth.
    tau : float

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its domain, the network is not balanced, or there is no margin; the message says by how
        much.

    Examples
    --------
    >>> certified_step_size([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]], 2)
    0.125

    Notes
    -----
    Book: theorem "Finite step size".
    """
    W, N = _balanced_start(network_or_W, depth)
    loss, W = _loss_at(W, target, tau, "network_or_W")
    c = _margin(loss, W, "network_or_W")
    if N == 1:
        return 0.5
    L0 = loss.value(W)
    rho = np.sqrt(loss.target.eigenvalues[0]) + np.sqrt(L0)
    first = 1 / (4 * N * rho ** (2 * (N - 1) / N))
    second = _quotient(c ** ((4 * N - 2) / N), 128 * N * rho ** (4 * (N - 1) / N) * L0)
    return float(min(first, second))


def contraction_factor(margin: float, depth: int, step_size: float, *, tau: float = 0.0) -> float:
    r"""The factor by which the loss shrinks per step, certified for steps up to :func:`certified_step_size`.

    .. math:: 1-\eta\kappa(2-\eta\kappa)\frac{c^2}{c^2+\tau},\qquad\kappa=Nc^{2(N-1)/N};

    for one layer :math:`1-4\eta(1-\eta)\frac{c^2}{c^2+\tau}`.

    Parameters
    ----------
    margin : float
    depth : int
    step_size : float
        With :math:`\eta\kappa\le1`.
    tau : float

    Returns
    -------
    float

    Examples
    --------
    >>> contraction_factor(1.0, 2, 0.125), contraction_factor(1.0, 1, 0.5)
    (0.5625, 0.0)

    Notes
    -----
    Book: theorem "Finite step size".
    """
    c, N, tau = _arguments(margin, depth, tau)
    eta = check.scalar(step_size, "step_size", positive=True)
    share = c**2 / (c**2 + tau)
    kappa = N * c ** (2 * (N - 1) / N)
    if eta * kappa > 1:
        raise ValueError(f"step_size must be at most {1 / kappa:.6g}, the inverse of kappa = N c^(2(N-1)/N), got {eta:.6g}")
    gain = 4 * eta * (1 - eta) if N == 1 else eta * kappa * (2 - eta * kappa)
    return 1 - gain * share


def arora_step_size(W: ArrayLike, target: Covariance | ArrayLike, depth: int) -> float:
    r"""The step size of a theorem on the square loss, carried over to ``tau = 0`` by re-alignment.

    .. math:: \eta=\frac12\cdot\frac{c^{(4N-2)/N}}{6144N^3\|R\|_F^{(6N-4)/N}}

    Parameters
    ----------
    W : array, shape (n, m)
    target : Covariance or array, shape (n, n)
    depth : int

    Returns
    -------
    float

    Examples
    --------
    >>> round(1 / arora_step_size([[1.0]], [[1.0]], 1))
    12288

    Notes
    -----
    Book: "The price of proof".  Source: Arora, Cohen, Golowich and Hu (2019), theorem 1.
    """
    loss, W = _loss_at(W, target, 0.0)
    N, c = check.integer(depth, "depth", 1), _margin(loss, W)
    return float(c ** ((4 * N - 2) / N) / (2 * 6144 * N**3 * np.sqrt(loss.target.trace) ** ((6 * N - 4) / N)))


def authors_step_size(W: ArrayLike, target: Covariance | ArrayLike, depth: int, *, tau: float = 0.0) -> float:
    r"""The step size in the public code that accompanies the paper: the least of three numbers.

    With :math:`c=\sqrt{\lambda_n}-\sqrt{L_0}` (:math:`\tau` is not subtracted), :math:`M=\sqrt{C_0}`,
    :math:`C_0=2(L_0+\operatorname{tr}\Sigma_0)`:

    .. math:: \frac{c^2}{8M\sqrt{L_0}},\quad\frac{Nc^{2(N-1)/N}}{2\Delta},\quad\frac1{4Nc^{2(N-1)/N}},\\
              \Delta=\tfrac{2^{N+1}}{c^{2N}}N^2M^{\frac{4N-3}N}\sqrt{\lambda_1}
              +8N(N-1)M^{\frac{3N-4}N}(M^{\frac1N}+\operatorname{tr}\Sigma_0).

    Parameters
    ----------
    W : array, shape (n, m)
    target : Covariance or array, shape (n, n)
    depth : int
    tau : float

    Returns
    -------
    float

    Examples
    --------
    >>> authors_step_size([[1.0]], [[1.0]], 1) < certified_step_size([[1.0]], [[1.0]], 1)
    True

    Notes
    -----
    Book: "The price of proof".  Source: the code published with Bréchet, Papagiannouli, An and Montúfar (2023).
    """
    loss, W = _loss_at(W, target, tau)
    N = check.integer(depth, "depth", 1)
    _margin(loss, W)
    L0, lam, trace = loss.value(W), loss.target.eigenvalues, loss.target.trace
    c, M = np.sqrt(lam[-1]) - np.sqrt(L0), np.sqrt(2 * (L0 + trace))
    kappa = N * c ** (2 * (N - 1) / N)
    Delta = (2 ** (N + 1) / c ** (2 * N) * N**2 * M ** ((4 * N - 3) / N) * np.sqrt(lam[0])
             + 8 * N * (N - 1) * M ** ((3 * N - 4) / N) * (M ** (1 / N) + trace))
    return float(min(_quotient(c**2, 8 * M * np.sqrt(L0)), kappa / (2 * Delta), 1 / (4 * kappa)))


def stability_limit(target: Covariance | ArrayLike, depth: int, *, tau: float = 0.0) -> float:
    r"""The step size above which gradient descent is unstable at every full-rank global minimum.

    .. math:: \eta=\frac1{N\lambda_1^{(N-1)/N}},\qquad\text{with smoothing }
              \eta=\frac{\lambda_1}{N(\lambda_1-\tau)^{(2N-1)/N}},

    two divided by the largest Hessian eigenvalue at the balanced minimum.

    Parameters
    ----------
    target : Covariance or array, shape (n, n)
    depth : int
    tau : float
        Below :math:`\lambda_n`.

    Returns
    -------
    float

    Examples
    --------
    >>> stability_limit([[4.0]], 1), stability_limit([[4.0]], 2)
    (1.0, 0.25)

    Notes
    -----
    Book: proposition "Stability limit".
    """
    target = as_covariance(target, "target", stacks=False)
    N, tau = check.integer(depth, "depth", 1), check.scalar(tau, "tau")
    lam = target.eigenvalues
    if tau >= lam[-1]:
        raise ValueError(f"tau must be below the least eigenvalue {lam[-1]:.6g} of the target, got {tau:.6g}: otherwise no "
                         f"global minimum has full rank")
    return float(lam[0] / (N * (lam[0] - tau) ** ((2 * N - 1) / N)))


def mode_rates(target: Covariance | ArrayLike, rank: int, depth: int, *, tau: float = 0.0) -> tuple[Array, Array]:
    r"""The rates at which the error decays along balanced gradient flow near the minimum of rank ``k``, mode by mode.

    With :math:`a_i=\lambda_i-\tau`, :math:`i,i'\le k<j`:

    .. math:: 2\Big(1-\frac{2\tau}{\lambda_i+\lambda_{i'}}\Big)\frac{a_i-a_{i'}}{a_i^{1/N}-a_{i'}^{1/N}},\qquad
              2\,\frac{\lambda_i-\lambda_j}{\lambda_i+\sqrt{\lambda_j\tau}}\,a_i^{(N-1)/N};

    the quotient is :math:`Na_i^{(N-1)/N}` where :math:`a_i=a_{i'}`.  The loss gap decays at twice the least of them.

    Parameters
    ----------
    target : Covariance or array, shape (n, n)
    rank : int
        :math:`k`, with :math:`\lambda_k>\tau`.
    depth : int
    tau : float

    Returns
    -------
    inside : array, shape (k, k)
        Modes within the subspace.
    outside : array, shape (k, n - k)
        Modes that turn the axis :math:`i` towards the axis :math:`j`.

    Examples
    --------
    >>> inside, outside = mode_rates([[4.0, 0.0], [0.0, 1.0]], 1, 2)
    >>> inside.tolist(), outside.tolist()
    ([[8.0]], [[3.0]])

    Notes
    -----
    Book: theorem "Rates of all modes".
    """
    target = as_covariance(target, "target", stacks=False)
    k, N = check.integer(rank, "rank", 1, target.dim), check.integer(depth, "depth", 1)
    tau, lam = check.scalar(tau, "tau"), target.eigenvalues
    if lam[k - 1] <= tau:
        raise ValueError(f"rank must leave lambda_k = {lam[k - 1]:.6g} above tau = {tau:.6g}: otherwise the minimum has a "
                         f"lower rank")
    kept, missed = lam[:k], lam[k:]
    curvature = 2 * (1 - 2 * tau / np.add.outer(kept, kept))
    inside = curvature * multipliers((kept - tau) ** (1 / N), N)
    outside = (2 * np.subtract.outer(kept, missed) / (kept[:, None] + np.sqrt(missed * tau))
               * ((kept - tau) ** ((N - 1) / N))[:, None])
    return inside, outside


def bottleneck_rate(target: Covariance | ArrayLike, rank: int, depth: int, *, tau: float = 0.0) -> float:
    r"""The rate at which the loss gap decays near the minimum of rank ``k``: twice the least of :func:`mode_rates`.

    At ``tau = 0`` and :math:`k<n` it is :math:`4(\lambda_k-\lambda_{k+1})\lambda_k^{-1/N}`, zero without a spectral gap.

    Parameters
    ----------
    target : Covariance or array, shape (n, n)
    rank : int
    depth : int
    tau : float

    Returns
    -------
    float

    Examples
    --------
    >>> bottleneck_rate([[4.0, 0.0], [0.0, 1.0]], 1, 2)
    6.0

    Notes
    -----
    Book: corollary "The slowest mode".
    """
    return float(2 * min(rates.min() for rates in mode_rates(target, rank, depth, tau=tau) if rates.size))


def _loss_at(W: ArrayLike, target: Covariance | ArrayLike, tau: float, name: str = "W") -> tuple[BuresLoss, Array]:
    loss = BuresLoss(target, tau)
    return loss, check.matrix(W, name, rows=loss.target.dim, stacks=False)


def _margin(loss: BuresLoss, W: Array, name: str = "W") -> float:
    root_loss, root_least = np.sqrt(loss.value(W)), np.sqrt(loss.target.eigenvalues[-1])
    excess = root_loss + np.sqrt(loss.tau) - root_least
    if excess >= 0:
        raise ValueError(f"{name} must have a margin, sqrt(loss) + sqrt(tau) < sqrt(lambda_n), but {root_loss:.6g} + "
                         f"{np.sqrt(loss.tau):.6g} is not below {root_least:.6g}: {excess:.3g} too much. Start nearer to "
                         f"the target, with every width at least {loss.target.dim}, and choose tau below lambda_n")
    return float(np.sqrt((root_least - root_loss) ** 2 - loss.tau))


def _arguments(margin: float, depth: int, tau: float) -> tuple[float, int, float]:
    return (check.scalar(margin, "margin", positive=True), check.integer(depth, "depth", 1), check.scalar(tau, "tau"))


def _balanced_start(network: DeepLinearNetwork | ArrayLike, depth: int | None) -> tuple[Array, int]:
    """The end-to-end matrix and the depth of a network, which must be balanced to rounding."""
    if not isinstance(network, DeepLinearNetwork):
        if depth is None:
            raise ValueError("depth must be given with a matrix; a balanced network carries its own")
        return check.matrix(network, "network_or_W", stacks=False), check.integer(depth, "depth", 1)
    if depth is not None and check.integer(depth, "depth", 1) != network.depth:
        raise ValueError(f"depth must be that of the network, {network.depth}, or be left out; got {depth}")
    imbalance = max((np.linalg.norm(D, 2) for D in network.imbalances()), default=0.0)
    allowed = 100 * max(network.widths) * EPS * max(np.linalg.norm(W, 2) ** 2 for W in network.weights)
    if imbalance > allowed:
        raise ValueError(f"network_or_W must be balanced, but its imbalance is {imbalance:.3g}, above rounding "
                         f"({allowed:.1g}). Use balanced_network")
    return network.end_to_end(), network.depth


def _quotient(a: float, b: float) -> float:
    return a / b if b > 0 else np.inf
