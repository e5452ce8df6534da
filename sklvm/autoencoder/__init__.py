"""Latent-variable models with an amortised posterior."""

from sklvm.autoencoder._likelihoods import Likelihood
from sklvm.autoencoder._vae import VAE

__all__ = ["VAE", "Likelihood"]
