"""Products of negative binomial distributions: counts that vary more than Poisson's."""

import numpy as np
import scipy.sparse as sp
from scipy.special import xlogy

from sklvm.mixture._components import FeatureComponents
from sklvm.mixture.families.discrete import restore_infinity
from sklvm.mixture.families.dispersion import (
    LEAST_DISPERSION,
    MOST_DISPERSION,
    best_dispersions,
    log1p_ratio,
    log_negative_binomial,
)

MOST_LEVELS = 4096


class NegativeBinomialComponents(FeatureComponents):
    """log p(x | z = k) = sum_d log NB(x_d | mu_kd, alpha_kd).

    The mean is mu and the variance mu + alpha mu^2; alpha = 0 is Poisson(mu). The
    statistics are histograms (K, sum L_d) of the counts 0 .. L_d - 1, those of one
    feature beside those of the next. A row that is not fitted may count further.

    The prior (shape, rate) has the density

        (shape - 1) log(mu / (1 + alpha mu)) - rate log(1 + alpha mu) / alpha,

    Gamma(shape, rate) for alpha = 0. It is the likelihood of `shape - 1` events, and of
    `rate` rows without one, so that M-steps stay as they are.
    """

    names = ("means", "dispersions")

    def __init__(self, *args, n_levels, prior=(1.0, 0.0), **kwargs):
        super().__init__(*args, **kwargs)
        self.prior = prior
        self.n_levels = np.broadcast_to(np.maximum(n_levels, 2), self.n_features)
        if self.n_levels.max() > MOST_LEVELS:
            raise ValueError(
                f"n_levels={self.n_levels.max()} is more than {MOST_LEVELS}; counts so "
                "large are better taken for lognormal."
            )
        self.starts = np.cumsum(self.n_levels) - self.n_levels
        self.columns = np.repeat(np.arange(self.n_features), self.n_levels)
        self.counts = np.arange(len(self.columns)) - self.starts[self.columns]
        self.pseudo_row = (0.5 * (self.counts < 2),)  # half a row of 0, and of 1

    def features(self, X):
        observed = ~np.isnan(X)
        counts = np.where(observed, X, 0)
        is_level = counts < self.n_levels
        levels = np.where(is_level, counts, 0).astype(np.int32)
        levels += self.starts.astype(np.int32)
        values = (observed & is_level).astype(np.float64)
        indptr = self.n_features * np.arange(len(X) + 1, dtype=np.int32)
        indicators = sp.csr_array(
            (values.ravel(), levels.ravel(), indptr), (len(X), len(self.counts))
        )
        beyond = np.nonzero(~is_level)
        return indicators, (*beyond, counts[beyond].astype(np.float64))

    def coefficients(self, params):
        return log_negative_binomial(self.counts, self.columns, *params).T, params

    def log_prob(self, coefficients, features):
        (table, params), (indicators, (rows, d, x)) = coefficients, features
        log_prob = indicators @ table
        if len(rows):
            np.add.at(log_prob, rows, log_negative_binomial(x, d, *params).T)
        return restore_infinity(np.ascontiguousarray(log_prob.T))

    def statistics(self, features, resp):
        indicators, beyond = features
        self.check_levels(beyond)
        return (np.ascontiguousarray((indicators.T @ resp.T).T, dtype=np.float64),)

    def check_levels(self, beyond):
        """An error if there are counts, as (row, feature, count), without a level."""
        _, d, x = beyond
        if len(d):
            raise ValueError(
                f"X has the count {x[0]:g} in the feature {d[0]}, where n_levels is "
                f"{self.n_levels[d[0]]}; set n_levels to {x[0] + 1:g} or more."
            )

    def _sums(self, values):
        """Sums over the levels of each feature, (K, D)."""
        return np.add.reduceat(values, self.starts, axis=1)

    def m_step(self, statistics, params):
        # mu is the mean of the counts whatever alpha is, and alpha the best one at it.
        (histograms,), (shape, rate) = statistics, self.prior
        n = self._sums(histograms) + rate
        old, guess = (np.zeros_like(n),) * 2 if params is None else params
        sums = self._sums(histograms * self.counts) + (shape - 1)
        means = np.divide(sums, n, out=old.copy(), where=n > 0)
        dispersions = best_dispersions(
            histograms, self.counts, self.columns, self._sums, n, means, guess
        )
        return means, np.where(n > 0, dispersions, guess)

    def sample(self, params, labels, rng):
        mu, alpha = (p[labels] for p in params)
        shape = np.divide(1, alpha, out=np.ones_like(alpha), where=alpha > 0)
        factor = np.where(alpha > 0, alpha * rng.standard_gamma(shape), 1)
        return rng.poisson(mu * factor).astype(np.float64)

    def log_prior(self, params):
        (shape, rate), (mu, alpha) = self.prior, params
        events = xlogy(shape - 1, mu) - (shape - 1) * np.log1p(alpha * mu)
        return (events - rate * log1p_ratio(alpha, mu)).sum()

    def n_parameters(self, n_components):
        return 2 * n_components * self.n_features

    def points(self, rows, params):
        # Of nearly the same variance everywhere: this function of a count that has the
        # dispersion of all rows together, and the root of a Poisson count.
        roots = np.sqrt(super().points(rows, params)[0])
        scale = np.sqrt(np.maximum(params[1], LEAST_DISPERSION))
        return [np.arcsinh(scale * roots) / scale, roots]

    def to_unconstrained(self, params, reference):
        return tuple(np.sqrt(p) for p in params)

    def from_unconstrained(self, values, reference):
        means, dispersions = (v**2 for v in values)
        is_valid = np.isfinite(means).all() and dispersions.max() <= MOST_DISPERSION
        return (means, dispersions) if is_valid else None
