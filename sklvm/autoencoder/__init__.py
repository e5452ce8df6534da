"""Latent-variable models with an amortised posterior."""

from sklvm.autoencoder._conditional import ConditionalVAE
from sklvm.autoencoder._gmvae import GMVAE
from sklvm.autoencoder._likelihoods import Likelihood
from sklvm.autoencoder._vae import VAE

__all__ = ["GMVAE", "VAE", "ConditionalVAE", "Likelihood"]
