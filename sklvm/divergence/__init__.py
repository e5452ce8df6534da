"""KL divergences and entropies, and the Gaussians nearest to a distribution."""

from sklvm.divergence._closed_forms import (
    entropy_bernoulli,
    entropy_categorical,
    entropy_gaussian,
    kl_bernoulli,
    kl_categorical,
    kl_gaussian,
)
from sklvm.divergence._estimates import KLEstimate, kl
from sklvm.divergence._gaussian_fit import GaussianFit, fit_gaussian

__all__ = [
    "GaussianFit",
    "KLEstimate",
    "entropy_bernoulli",
    "entropy_categorical",
    "entropy_gaussian",
    "fit_gaussian",
    "kl",
    "kl_bernoulli",
    "kl_categorical",
    "kl_gaussian",
]
