"""Generative deep linear networks and the Bures-Wasserstein loss.

A deep linear generator maps a latent :math:`z\\sim\\mathcal N(0,I)` to :math:`W_N\\cdots W_1z`; its covariance is
matched to a target in the Bures-Wasserstein distance.  Arrays are float64; covariances have shape (..., n, n) and
factors (..., n, m), leading axes are stacks; eigenvalues are descending.
"""

from .covariance import Covariance, polar, sqrtm_psd, zipf_spectrum
from .descent import ensemble_descent, gradient_descent, subspace_iteration
from .distance import bures_wasserstein, bures_wasserstein_factors, geodesic, transport_map
from .flows import aligned_flow, end_to_end_flow, gradient_flow, shallow_flow
from .landscape import (
    CriticalPoint,
    best_low_rank,
    bures_hessian_spectrum,
    critical_points,
    frobenius_hessian_spectrum,
    parameter_hessian,
    parameter_hessian_operator,
    search_critical_points,
)
from .losses import BuresLoss, FrobeniusLoss, check_gradient
from .networks import DeepLinearNetwork, balanced_network, random_network
from .theory import (
    arora_step_size,
    authors_step_size,
    bottleneck_rate,
    certified_step_size,
    contraction_factor,
    deficiency_margin,
    flow_rate,
    mode_rates,
    paper_flow_rate,
    stability_limit,
)
from .trajectory import Status, Trajectory

__version__ = "0.1.0"

__all__ = [
    "BuresLoss", "Covariance", "CriticalPoint", "DeepLinearNetwork", "FrobeniusLoss", "Status", "Trajectory",
    "aligned_flow", "arora_step_size", "authors_step_size", "balanced_network", "best_low_rank", "bottleneck_rate",
    "bures_hessian_spectrum", "bures_wasserstein", "bures_wasserstein_factors", "certified_step_size",
    "check_gradient", "contraction_factor", "critical_points", "deficiency_margin", "end_to_end_flow",
    "ensemble_descent", "flow_rate",
    "frobenius_hessian_spectrum", "geodesic", "gradient_descent", "gradient_flow", "mode_rates", "paper_flow_rate",
    "parameter_hessian", "parameter_hessian_operator", "polar", "random_network", "search_critical_points",
    "shallow_flow", "sqrtm_psd", "stability_limit", "subspace_iteration", "transport_map", "zipf_spectrum",
]
