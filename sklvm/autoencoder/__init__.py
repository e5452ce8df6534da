"""Latent-variable models with an amortised posterior."""

import sklvm._needs_torch  # noqa: F401
from sklvm.autoencoder._conditional import ConditionalVAE
from sklvm.autoencoder._gmvae import GMVAE
from sklvm.autoencoder._vae import VAE
from sklvm.autoencoder.likelihoods import (
    Bernoulli,
    Blocks,
    Categorical,
    Gaussian,
    HeteroscedasticGaussian,
    Likelihood,
    LogNormal,
    NegativeBinomial,
    Poisson,
)

__all__ = [
    "GMVAE",
    "VAE",
    "Bernoulli",
    "Blocks",
    "Categorical",
    "ConditionalVAE",
    "Gaussian",
    "HeteroscedasticGaussian",
    "Likelihood",
    "LogNormal",
    "NegativeBinomial",
    "Poisson",
]
