"""Products of negative binomial distributions: counts that vary more than Poisson's."""

import numpy as np
import scipy.sparse as sp
from scipy.special import gammaln

from sklvm.mixture._components import FeatureComponents
from sklvm.mixture.families.covariance import safe_divide
from sklvm.mixture.families.discrete import finite_log, restore_infinity

MOST_LEVELS = 4096
# A feature that is 0 but for one row in a million has about this dispersion; F is
# maximised over the dispersions below.
LEAST_DISPERSION, MOST_DISPERSION = 1e-12, 1e6
# Terms of sum_j log(1 + alpha j) that are added up, before Stirling's formula.
HEAD = 16
# phi(u) = (log(1 + u) - u) / u^2 by its series, below this u.
SMALL = 0.02
_SERIES = [(-1) ** (i + 1) / (i + 2) for i in range(10)]


class NegativeBinomialComponents(FeatureComponents):
    """log p(x | z = k) = sum_d log NB(x_d | mu_kd, alpha_kd), whose log is

        sum_{j < x} log(1 + alpha j) - log x! + x log mu - (x + 1 / alpha) log(1 + alpha mu)

    with mean mu and variance mu + alpha mu^2; alpha = 0 is Poisson(mu). The statistics
    are histograms (K, sum L_d) of the counts 0 .. L_d - 1, those of one feature beside
    those of the next; a row that a fit sees must not count further.
    """

    names = ("means", "dispersions")

    def __init__(self, *args, n_levels, **kwargs):
        super().__init__(*args, **kwargs)
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
        is_tabled = counts < self.n_levels
        cells = np.where(is_tabled, counts, 0).astype(np.int32)
        cells += self.starts.astype(np.int32)
        values = (observed & is_tabled).ravel().astype(np.float64)
        n, d = X.shape
        indptr = d * np.arange(n + 1, dtype=np.int32)
        shape = n, len(self.columns)
        indicators = sp.csr_array((values, cells.ravel(), indptr), shape=shape)
        beyond = np.nonzero(~is_tabled)
        return indicators, (*beyond, counts[beyond].astype(np.float64))

    def _log_pmf(self, x, d, params):
        """log NB(x | mu_kd, alpha_kd) for counts x (m,) of the features d, (K, m)."""
        alpha = params[1]
        heads = np.zeros((*alpha.shape, HEAD + 1))
        terms = np.log1p(alpha[:, :, np.newaxis] * np.arange(HEAD))
        np.cumsum(terms, axis=2, out=heads[:, :, 1:])
        log_pmf = heads[:, d, np.minimum(x, HEAD).astype(np.intp)]
        mu, alpha = (p[:, d] for p in params)
        log_pmf += _stirling(np.maximum(x, HEAD), alpha)
        log_pmf += x * (finite_log(mu) - np.log1p(alpha * mu)) - gammaln(x + 1.0)
        return log_pmf - _log1p_ratio(alpha, mu)

    def coefficients(self, params):
        return self._log_pmf(self.counts, self.columns, params).T, params

    def log_prob(self, coefficients, features):
        (table, params), (indicators, (rows, d, x)) = coefficients, features
        log_prob = np.ascontiguousarray((indicators @ table).T)
        if len(rows):
            np.add.at(log_prob.T, rows, self._log_pmf(x, d, params).T)
        return restore_infinity(log_prob)

    def statistics(self, features, resp):
        indicators, (_, d, x) = features
        if len(d):
            raise ValueError(
                f"X has the count {x[0]:g} in the feature {d[0]}, where n_levels is "
                f"{self.n_levels[d[0]]}; set n_levels to {x[0] + 1:g} or more."
            )
        return (np.ascontiguousarray((indicators.T @ resp.T).T, dtype=np.float64),)

    def _sums(self, values):
        """Sums over the levels of each feature, (K, D)."""
        return np.add.reduceat(values, self.starts, axis=1)

    def m_step(self, statistics, params):
        """At the mean of the counts, whatever alpha is, and the alpha that fits it."""
        (histogram,) = statistics
        n = self._sums(histogram)
        means, old = (np.zeros_like(n),) * 2 if params is None else params
        observed = n > 0
        means = np.divide(
            self._sums(histogram * self.counts), n, out=means.copy(), where=observed
        )
        tails = [
            np.cumsum(part[:, ::-1], axis=1)[:, ::-1] - part
            for part in np.split(histogram, self.starts[1:], axis=1)
        ]  # how many counts are above each level
        tails = safe_divide(np.hstack(tails), n[:, self.columns])
        return means, np.where(observed, self._dispersions(tails, means, old), old)

    def _dispersions(self, tails, mu, guess):
        """Root of the profile score, by Newton's method between bounds.

        The score, sum_j tail_j j / (1 + alpha j) + mu^2 phi(alpha mu), has a root just
        where it is positive at 0, that is where the variance is above the mean, and
        only one (Levin and Reeds, 1977).
        """
        excess = self._sums(tails * self.counts) - mu**2 / 2
        is_over = excess > 0
        low, high = (
            np.full_like(mu, LEAST_DISPERSION),
            np.full_like(mu, MOST_DISPERSION),
        )
        alpha = np.where(guess > 0, guess, safe_divide(2 * excess, mu**2))
        alpha = np.clip(alpha, low, high)
        for _ in range(100):
            share = self.counts / (1 + alpha[:, self.columns] * self.counts)
            u = alpha * mu
            phi = _phi(u)
            score = self._sums(tails * share) + mu**2 * phi
            slope = -self._sums(tails * share**2)
            slope -= safe_divide(mu**3 * (1 / (1 + u) + 2 * phi), u)
            low, high = (
                np.where(score > 0, alpha, low),
                np.where(score < 0, alpha, high),
            )
            newton = alpha - safe_divide(score, slope)
            within = (newton > low) & (newton < high) & (slope < 0)
            before, alpha = alpha, np.where(within, newton, np.sqrt(low * high))
            if (abs(alpha - before) <= 1e-9 * before)[is_over].all():
                break
        return np.where(is_over, alpha, 0)

    def sample(self, params, labels, rng):
        mu, alpha = (p[labels] for p in params)
        shape = np.divide(1, alpha, out=np.ones_like(alpha), where=alpha > 0)
        gamma = rng.standard_gamma(shape) * alpha
        return rng.poisson(mu * np.where(alpha > 0, gamma, 1)).astype(np.float64)

    def n_parameters(self, n_components):
        return 2 * n_components * self.n_features

    def points(self, rows, params):
        # Either function has nearly the same variance everywhere: the root of a Poisson
        # count, and this one of a count with the dispersion of all rows together.
        mu, alpha = params
        roots = np.sqrt(super().points(rows, params)[0])
        scale = np.sqrt(np.maximum(alpha, LEAST_DISPERSION))
        return [np.arcsinh(scale * roots) / scale, roots]

    def to_unconstrained(self, params, reference):
        return tuple(np.sqrt(p) for p in params)

    def from_unconstrained(self, values, reference):
        means, dispersions = (v**2 for v in values)
        is_valid = np.isfinite(means).all() and dispersions.max() <= MOST_DISPERSION
        return (means, dispersions) if is_valid else None


def _log1p_ratio(alpha, x):
    """log(1 + alpha x) / alpha, which is x for alpha = 0."""
    return np.divide(
        np.log1p(alpha * x), alpha, out=np.array(x + 0 * alpha), where=alpha > 0
    )


def _stirling(x, alpha):
    """sum of log(1 + alpha j) for HEAD <= j < x, from log gamma(1 / alpha + j)."""
    first, last = 1 + alpha * HEAD, 1 + alpha * x
    rest = x - HEAD
    total = (last - alpha / 2) * _log1p_ratio(alpha, rest / first)
    total += rest * (np.log(first) - 1)
    for sign, end in ((1, last), (-1, first)):
        w = alpha / end
        total += (
            sign * w * (1 / 12 - w**2 * (1 / 360 - w**2 * (1 / 1260 - w**2 / 1680)))
        )
    return total


def _phi(u):
    """(log(1 + u) - u) / u^2 without cancellation."""
    large = np.maximum(u, SMALL)
    series = np.polynomial.polynomial.polyval(np.minimum(u, SMALL), _SERIES)
    return np.where(u < SMALL, series, (np.log1p(large) - large) / large**2)
