"""p(x|z): distributions of the features, each written once, constants included."""

from sklvm.autoencoder.likelihoods._base import Likelihood, column_moments
from sklvm.autoencoder.likelihoods._blocks import Blocks
from sklvm.autoencoder.likelihoods._counts import NegativeBinomial, Poisson
from sklvm.autoencoder.likelihoods._discrete import Bernoulli, Categorical
from sklvm.autoencoder.likelihoods._gaussian import Gaussian, HeteroscedasticGaussian
from sklvm.autoencoder.likelihoods._standardised import LogNormal

__all__ = [
    "Bernoulli",
    "Blocks",
    "Categorical",
    "Gaussian",
    "HeteroscedasticGaussian",
    "Likelihood",
    "LogNormal",
    "NegativeBinomial",
    "Poisson",
    "column_moments",
]
