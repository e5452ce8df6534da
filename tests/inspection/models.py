"""Small fitted models for the pictures, each trained once."""

import copy
from functools import cache

import numpy as np

from sklvm import GMVAE, VAE, BernoulliMixtureEM, ConditionalVAE, GaussianMixtureEM

from ..autoencoder.models import bits, quietly
from ..segmentation.models import TINY_X, tiny

SHAPE = (2, 3)
X = bits(60)  # six features: pictures of 2 x 3
NETWORK = {
    "likelihood": "bernoulli",
    "hidden_layer_sizes": (8,),
    "max_epochs": 3,
    "lr": 0.01,
    "random_state": 0,
}


@cache
def _fitted(kind):
    if kind == "VAE":
        return quietly(VAE(2, **NETWORK).fit, X)
    if kind == "VAE1":
        return quietly(VAE(latent_dim=1, **NETWORK).fit, X)
    if kind == "VAE3":
        return quietly(VAE(latent_dim=3, **NETWORK).fit, X)
    if kind == "GMVAE":
        est = GMVAE(n_components=3, weights="free", **NETWORK)
        return quietly(est.fit, X)
    if kind == "ConditionalVAE":
        est = ConditionalVAE(max_epochs=2, hidden_layer_sizes=(4,), random_state=0)
        return quietly(est.fit, X[:, :3], X[:, 3:])
    if kind == "Bernoulli":
        return quietly(BernoulliMixtureEM(n_components=3, random_state=0).fit, X)
    if kind == "Gaussian":
        noise = np.random.default_rng(0).normal(scale=0.5, size=X.shape)
        est = GaussianMixtureEM(n_components=3, covariance_type="diag", random_state=0)
        return quietly(est.fit, X + noise)
    return tiny()


def fitted(kind):
    """A copy of the test's own."""
    return copy.deepcopy(_fitted(kind))


def rows(kind):
    return TINY_X if kind == "RDA" else X
