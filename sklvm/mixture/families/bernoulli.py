"""Products of Bernoulli distributions."""

import numpy as np
from scipy.special import xlog1py, xlogy

from sklvm.mixture.families.discrete import (
    IMPOSSIBLE,
    dense_or_sparse_points,
    finite_log,
    observed_sums,
    restore_infinity,
    split_missing,
)
from sklvm.mixture.families.joint import DiscreteComponents


class BernoulliComponents(DiscreteComponents):
    """log p(x | z = k) = sum_d x_d log theta_kd + (1 - x_d) log(1 - theta_kd).

    As a matrix product: X @ (log theta - log(1 - theta)).T + sum_d log(1 - theta).
    At the boundary 0 * log 0 = 0: where theta = 0 or 1 the infinite logarithm is left
    out of the product, and rows that meet it are counted apart.

    Each theta has the prior Beta(a, b).
    """

    names = ("theta",)
    pseudo_row = (1.0, 0.5)

    def __init__(self, *args, prior=(1.0, 1.0), **kwargs):
        super().__init__(*args, **kwargs)
        self.prior, self.n_levels = prior, np.full(self.n_features, 2)

    def features(self, X):
        return split_missing(X, self.missing)

    def coefficients(self, params):
        (theta,) = params
        one = theta == 1
        log_rest = np.log1p(-theta, where=~one, out=np.zeros_like(theta))
        slope = finite_log(theta) - log_rest
        always = np.flatnonzero(one.any(axis=0))  # some theta_kd = 1
        arrays = (slope, log_rest, IMPOSSIBLE * one[:, always])
        return (*(a.astype(self.dtype) for a in arrays), always)

    def log_prob(self, coefficients, features):
        (slope, log_rest, cost_of_zero, always), (X, observed) = coefficients, features
        log_prob = np.ascontiguousarray(slope @ X.T)
        if observed is None:
            log_prob += log_rest.sum(axis=1)[:, np.newaxis]
        else:
            log_prob += log_rest @ observed.T
        if len(always):
            cost = cost_of_zero.T
            most = cost.sum(axis=0)
            if observed is not None:
                most = observed[:, always] @ cost
            log_prob -= np.transpose(most - X[:, always] @ cost)
        return restore_infinity(log_prob)

    def statistics(self, features, resp):
        return observed_sums(*features, resp)

    def m_step(self, statistics, params):
        observed, ones = statistics
        a, b = self.prior
        total = observed + (a + b - 2)
        theta = np.zeros_like(ones) if params is None else params[0].copy()
        np.divide(ones + (a - 1), total, out=theta, where=total > 0)
        # Rounding alone must not keep theta from the boundary, nor lead to it.
        one = theta > 1 - 1e-14
        below_one = float(np.nextafter(self.dtype.type(1), self.dtype.type(0)))
        return (np.where(one, 1, np.minimum(theta, below_one)),)

    def level_logs(self, params):
        (theta,) = params
        logs = [finite_log(1 - theta).T, finite_log(theta).T]
        logs += [np.zeros_like(theta).T] * self.missing
        return np.stack(logs, axis=1)

    def from_levels(self, counts):
        return counts[:, :2].sum(axis=1).T, counts[:, 1].T

    def sample(self, params, labels, rng):
        theta = params[0][labels]
        return (rng.uniform(size=theta.shape) < theta).astype(float)

    def log_prior(self, params):
        (theta,), (a, b) = params, self.prior
        return xlogy(a - 1, theta).sum() + xlog1py(b - 1, -theta).sum()

    def points(self, rows, params):
        return [dense_or_sparse_points(rows, self.mean(params))]

    def to_unconstrained(self, params, reference):
        # theta = sin(phi)^2: any phi is feasible, the boundary an ordinary point.
        return (np.arcsin(np.sqrt(params[0])),)

    def from_unconstrained(self, values, reference):
        return (np.sin(values[0]) ** 2,)
