"""Generative deep linear networks and the Bures-Wasserstein loss.

A deep linear generator maps a latent :math:`z\\sim\\mathcal N(0,I)` to :math:`W_N\\cdots W_1z`; its covariance is
matched to a target in the Bures-Wasserstein distance.  Arrays are float64; covariances have shape (..., n, n) and
factors (..., n, m), leading axes are stacks; eigenvalues are descending.
"""

from .covariance import Covariance, polar, sqrtm_psd, zipf_spectrum
from .descent import Status, Trajectory, gradient_descent
from .distance import bures_wasserstein, bures_wasserstein_factors, geodesic, transport_map
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

__version__ = "0.1.0"

__all__ = [
    "BuresLoss", "Covariance", "CriticalPoint", "DeepLinearNetwork", "FrobeniusLoss", "Status", "Trajectory",
    "balanced_network", "best_low_rank", "bures_hessian_spectrum", "bures_wasserstein", "bures_wasserstein_factors",
    "check_gradient", "critical_points", "frobenius_hessian_spectrum", "geodesic", "gradient_descent",
    "parameter_hessian", "parameter_hessian_operator", "polar", "random_network", "search_critical_points",
    "sqrtm_psd", "transport_map", "zipf_spectrum",
]
