"""Latent-variable models with scikit-learn's interface."""

from sklvm.mixture import BernoulliMixtureEM, GaussianMixtureEM

__version__ = "0.1.0.dev0"

__all__ = ["BernoulliMixtureEM", "GaussianMixtureEM", "__version__"]
