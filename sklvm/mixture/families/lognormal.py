"""Lognormal components: positive values with a long tail, beside others or alone."""

from copy import copy

import numpy as np

from sklvm.mixture._components import Components, Kernel
from sklvm.mixture.families.gaussian import GaussianComponents


class LognormalComponents(Components):
    """log p(x | z = k) = log N(y | mu_k, Sigma_k) - sum_d y_d, y = log x.

    The density is in the units of x: the sum, over what is observed, is the Jacobian of
    the logarithm. Params and statistics are those of `gaussian`, the components of y,
    which has the other options; reg_covar is in squares of y. Where `logged`, a mask of
    the features, is false, y_d is x_d itself and has no part in the sum.
    """

    names = GaussianComponents.names
    initial_names = GaussianComponents.initial_names

    def __init__(
        self, n_features, *, dtype=np.float64, missing=False, logged=True, **options
    ):
        super().__init__(n_features, dtype=dtype, missing=missing)
        self.logged = np.broadcast_to(logged, n_features)
        self.gaussian = GaussianComponents(
            n_features, dtype=dtype, missing=missing, **options
        )
        self.is_separable = self.gaussian.is_separable

    def kernels(self, params):
        for kernel in self.gaussian.kernels(params):
            yield OfLogarithms(self, params, kernel)

    def kernel_for(self, params, n_rows):
        return OfLogarithms(self, params, self.gaussian.kernel_for(params, n_rows))

    def to_y(self, X):
        """y = log x where logged, in an array of its own."""
        Y = np.array(X, dtype=np.float64)
        Y[:, self.logged] = np.log(Y[:, self.logged])
        return Y

    def from_y(self, Y):
        """Inverse of `to_y`, in place."""
        Y[:, self.logged] = np.exp(Y[:, self.logged])
        return Y

    def features(self, X):
        return self.gaussian.features(self.to_y(X))

    def statistics(self, features, resp):
        return self.gaussian.statistics(features, resp)

    def m_step(self, statistics, params):
        return self.gaussian.m_step(statistics, params)

    def mix(self, one, other, a, b):
        return self.gaussian.mix(one, other, a, b)

    def smooth(self, statistics, average):
        return self.gaussian.smooth(statistics, average)

    def n_parameters(self, n_components):
        return self.gaussian.n_parameters(n_components)

    def degenerate(self, params):
        return self.gaussian.degenerate(params)

    def row_size(self, n_components):
        return self.gaussian.row_size(n_components) + self.n_features

    def moved(self, params, collapsed, fresh):
        return self.gaussian.moved(params, collapsed, fresh)

    def replaced(self, params, initial):
        return self.gaussian.replaced(params, initial)

    def points(self, rows, params):
        return self.gaussian.points(self.to_y(rows), params)

    def centres(self, initial, params):
        return self.gaussian.centres(initial, params)

    def for_starts(self, rows, least_share=0.5):
        other = copy(self)
        other.gaussian, kept = self.gaussian.for_starts(rows, least_share)
        return self if other.gaussian is self.gaussian else other, kept

    def mean(self, params):
        means, covariances, _ = params
        return self.expectation(means, self.gaussian.covariance.diagonal(covariances))

    def expectation(self, mean, variance):
        """E[x] where y has this mean and this variance."""
        exponent = np.where(self.logged, mean + variance / 2, 0)
        with np.errstate(over="ignore"):  # then it is infinite
            return np.where(self.logged, np.exp(exponent), mean)

    def expected(self, params, weights):
        # An infinite mean counts nothing where its component has no weight.
        mean = self.mean(params)
        is_infinite = np.isinf(mean)
        finite = weights @ np.where(is_infinite, 0, mean)
        return np.where((weights > 0) @ is_infinite, np.inf, finite)

    def sample(self, params, labels, rng):
        return self.from_y(self.gaussian.sample(params, labels, rng))

    def draw(self, params, labels, X, rng):
        drawn = self.gaussian.draw(params, labels, self.to_y(X), rng)
        return np.where(np.isnan(X), self.from_y(drawn), X)

    def to_unconstrained(self, params, reference):
        return self.gaussian.to_unconstrained(params, reference)

    def from_unconstrained(self, values, reference):
        return self.gaussian.from_unconstrained(values, reference)


class OfLogarithms(Kernel):
    """A Gaussian kernel on log x, with the Jacobian; no density at 0 or below."""

    def __init__(self, components, params, kernel):
        super().__init__(components, params)
        self.kernel, self.flushed = kernel, kernel.flushed

    def log_prob(self, X, workspace):
        logged = self.components.logged
        outside = X[:, logged] <= 0
        logs = np.log(np.where(outside, 1, X[:, logged]))
        Y = X.copy()
        Y[:, logged] = logs
        log_prob, features = self.kernel.log_prob(Y, workspace)
        log_prob -= np.nansum(logs, axis=1, dtype=np.float64)
        if outside.any():
            log_prob[:, outside.any(axis=1)] = -np.inf
        return log_prob, features

    def statistics(self, features, resp, workspace):
        return self.kernel.statistics(features, resp, workspace)

    def finalize(self, sums):
        return self.kernel.finalize(sums)

    def is_accurate(self, following):
        return self.kernel.is_accurate(following)

    def fill(self, features, resp):
        if self.components.gaussian.by_patterns:
            return self.kernel.fill(features, resp, self.components.expectation)
        return super().fill(features, resp)
