"""Products of Poisson distributions."""

import numpy as np
from scipy.special import xlogy

from sklvm.mixture._components import FeatureComponents
from sklvm.mixture.families.discrete import (
    dense_or_sparse_points,
    finite_log,
    observed_sums,
    restore_infinity,
    split_missing,
    sums_of_log_factorials,
)


class PoissonComponents(FeatureComponents):
    """log p(x | z = k) = sum_d x_d log rate_kd - rate_kd - log x_d!

    Each rate has the prior Gamma(shape, rate). All is computed in float64: the terms
    are much larger than their sum.
    """

    names = ("rates",)
    pseudo_row = (1.0, 0.5)

    def __init__(self, *args, prior=(1.0, 0.0), **kwargs):
        super().__init__(*args, **kwargs)
        self.prior = prior

    def features(self, X):
        X, observed = split_missing(X, self.missing)
        return X, observed, sums_of_log_factorials(X)

    def coefficients(self, params):
        return finite_log(params[0]), params[0]

    def log_prob(self, coefficients, features):
        (log_rates, rates), (X, observed, log_factorials) = coefficients, features
        log_prob = np.ascontiguousarray(log_rates @ X.T)
        log_prob -= log_factorials
        if observed is None:
            log_prob -= rates.sum(axis=1)[:, np.newaxis]
        else:
            log_prob -= rates @ observed.T
        return restore_infinity(log_prob)

    def statistics(self, features, resp):
        X, observed, _ = features
        return observed_sums(X, observed, resp)

    def m_step(self, statistics, params):
        observed, sums = statistics
        shape, rate = self.prior
        total = observed + rate
        old = np.zeros_like(sums) if params is None else params[0].copy()
        return (np.divide(sums + (shape - 1), total, out=old, where=total > 0),)

    def sample(self, params, labels, rng):
        return rng.poisson(params[0][labels])

    def log_prior(self, params):
        shape, rate = self.prior
        return xlogy(shape - 1, params[0]).sum() - rate * params[0].sum()

    def points(self, rows, params):
        # The square root of a Poisson count has nearly the same variance everywhere.
        return [np.sqrt(dense_or_sparse_points(rows, self.mean(params)))]

    def to_unconstrained(self, params, reference):
        return (np.sqrt(params[0]),)

    def from_unconstrained(self, values, reference):
        return (values[0] ** 2,)
