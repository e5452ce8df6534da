"""Mixture models fitted by exact expectation-maximisation."""

from sklvm.mixture._bernoulli import BernoulliMixtureEM
from sklvm.mixture._categorical import CategoricalMixtureEM
from sklvm.mixture._elbo import elbo
from sklvm.mixture._gaussian import GaussianMixtureEM
from sklvm.mixture._mixed import MixtureEM
from sklvm.mixture._poisson import PoissonMixtureEM

__all__ = [
    "BernoulliMixtureEM",
    "CategoricalMixtureEM",
    "GaussianMixtureEM",
    "MixtureEM",
    "PoissonMixtureEM",
    "elbo",
]
