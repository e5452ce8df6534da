"""Bernoulli, categorical and Poisson components with their arithmetic done by torch.

log p(x | z = k) is linear in features of the row: one product gives the densities of a
chunk, and a second one, with the same features, the sums of the M-step. A family says
what its features are and what its coefficients; those are the host's, made by NumPy.
"""

from abc import abstractmethod

import numpy as np
import torch

from sklvm._devices import rounds_float32
from sklvm.mixture._torch_kernel import TorchKernel, stands_on
from sklvm.mixture.families.bernoulli import BernoulliComponents
from sklvm.mixture.families.categorical import CategoricalComponents
from sklvm.mixture.families.discrete import IMPOSSIBLE, LOG_FACTORIALS
from sklvm.mixture.families.poisson import PoissonComponents


class TorchFeatures(TorchKernel):
    """What they share: the logarithms of 0, and which products are of float32.

    There is no other kernel to go over to: where the process lets products of float32
    be rounded, they are of float64.
    """

    def __init__(self, host, device):
        super().__init__(host, device)
        self.dtype = self.torch_dtype(self._host_dtype())
        if self.is_single and rounds_float32(device):
            self.dtype = torch.float64
        self._prepare(host.coefficients)

    def _host_dtype(self):
        """The precision of the host's products."""
        return self.components.dtype

    @abstractmethod
    def _prepare(self, coefficients):
        """Put the host's coefficients on the device."""

    @abstractmethod
    def features(self, X):
        """What densities and statistics need of the rows, tensors with a row each."""

    @abstractmethod
    def sum_of_logs(self, features):
        """log p(x | z = k), (n, K), with multiples of -IMPOSSIBLE for log 0."""

    def log_prob(self, X, workspace=None):
        features = self.features(X.to(self.dtype))
        log_prob = self.sum_of_logs(features)
        return log_prob.masked_fill_(log_prob < -IMPOSSIBLE / 2, -torch.inf), features

    def split_missing(self, X):
        """(X with 0 for NaN, mask of the observed entries), or (X, None)."""
        if not self.components.missing:
            return X, None
        missing = X.isnan()
        return X.masked_fill(missing, 0), (~missing).to(X.dtype)

    @staticmethod
    def observed_sums(X, observed, resp):
        """Sums over rows of r_k where x_d is observed, and of r_k x_d, both (K, D)."""
        sums = (resp.T @ X).double()
        if observed is None:
            counts = resp.sum(0, dtype=torch.float64)
            return counts.unsqueeze(1).expand_as(sums), sums
        return (resp.T @ observed).double(), sums


@stands_on(BernoulliComponents)
class TorchBernoulli(TorchFeatures):
    """By x and the mask of what is observed; theta = 1 is counted apart."""

    def _prepare(self, coefficients):
        *arrays, always = coefficients
        self.slope, self.log_rest, self.cost_of_zero = (
            self.tensor(array.T) for array in arrays
        )
        self.always = torch.tensor(always, device=self.device)

    def features(self, X):
        return self.split_missing(X)

    def sum_of_logs(self, features):
        X, observed = features
        log_prob = X @ self.slope
        if observed is None:
            log_prob += self.log_rest.sum(0)
        else:
            log_prob += observed @ self.log_rest
        if len(self.always):
            ones = X[:, self.always]
            n_observed = 1 if observed is None else observed[:, self.always]
            log_prob -= (n_observed - ones) @ self.cost_of_zero
        return log_prob

    def statistics(self, features, resp, workspace=None):
        return self.observed_sums(*features, resp)


@stands_on(CategoricalComponents)
class TorchCategorical(TorchFeatures):
    """By indicators of the categories, those of one feature beside the next one's."""

    def _prepare(self, coefficients):
        self.logs = self.tensor(coefficients.T)
        feature, codes = self.components.levels
        self.feature = torch.tensor(feature, device=self.device)
        self.codes = self.tensor(codes)

    def features(self, X):
        return (X[:, self.feature] == self.codes).to(self.dtype)

    def sum_of_logs(self, features):
        return features @ self.logs

    def statistics(self, features, resp, workspace=None):
        return ((resp.T @ features).double(),)


@stands_on(PoissonComponents)
class TorchPoisson(TorchFeatures):
    """By x, the mask of what is observed, and the logarithms of factorials."""

    def _host_dtype(self):
        return np.float64  # whatever that of the rows is

    def _prepare(self, coefficients):
        self.log_rates, self.rates = (self.tensor(array.T) for array in coefficients)
        self.log_factorials = self.tensor(LOG_FACTORIALS)

    def features(self, X):
        X, observed = self.split_missing(X)
        return X, observed, self._sums_of_log_factorials(X)

    def _sums_of_log_factorials(self, X):
        counts = X.clamp(max=len(self.log_factorials) - 1).long()
        if torch.equal(counts.to(X.dtype), X):
            return self.log_factorials[counts].sum(1)
        return torch.lgamma(X + 1).sum(1)

    def sum_of_logs(self, features):
        X, observed, log_factorials = features
        log_prob = X @ self.log_rates
        log_prob -= log_factorials.unsqueeze(1)
        if observed is None:
            log_prob -= self.rates.sum(0)
        else:
            log_prob -= observed @ self.rates
        return log_prob

    def statistics(self, features, resp, workspace=None):
        X, observed, _ = features
        return self.observed_sums(X, observed, resp)
