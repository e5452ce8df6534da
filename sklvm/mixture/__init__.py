"""Mixture models fitted by exact expectation-maximisation."""

from sklvm.mixture._bernoulli import BernoulliMixtureEM
from sklvm.mixture._free_energy import free_energy
from sklvm.mixture._gaussian import GaussianMixtureEM

__all__ = ["BernoulliMixtureEM", "GaussianMixtureEM", "free_energy"]
