r"""The negative binomial distribution by its mean mu and its dispersion alpha.

The variance is mu + alpha mu^2, and alpha = 0 is the Poisson distribution:

    log NB(x) = sum_{j < x} log(1 + alpha j) - log x!
                + x log mu - (x + 1 / alpha) log(1 + alpha mu).

Everything is written in alpha, as log-gamma functions of 1 / alpha lose all digits
on the way to that limit.
"""

import numpy as np
from scipy.special import gammaln

from sklvm.mixture.families.covariance import safe_divide
from sklvm.mixture.families.discrete import finite_log

# The likelihood is maximised between these bounds, and at 0. Above the upper one lies
# what is 0 in all but about one of ten million rows.
LEAST_DISPERSION, MOST_DISPERSION = 1e-12, 1e6
# Terms of sum_j log(1 + alpha j) that are added up; Stirling's formula has the rest.
HEAD = 16
# phi(u) = (log(1 + u) - u) / u^2 is taken from its series below this u.
SMALL = 0.02
_SERIES = [(-1) ** (i + 1) / (i + 2) for i in range(10)]


def log_negative_binomial(x, d, means, dispersions):
    """log NB(x | mu_kd, alpha_kd), (K, m), of counts x (m,) of the features d (m,)."""
    heads = np.zeros((*dispersions.shape, HEAD + 1))
    terms = np.log1p(dispersions[:, :, np.newaxis] * np.arange(HEAD))
    np.cumsum(terms, axis=2, out=heads[:, :, 1:])
    log_p = heads[:, d, np.minimum(x, HEAD).astype(np.intp)]
    mu, alpha = means[:, d], dispersions[:, d]
    log_p += _stirling(np.maximum(x, HEAD), alpha)
    log_p += x * (finite_log(mu) - np.log1p(alpha * mu)) - gammaln(x + 1.0)
    return log_p - log1p_ratio(alpha, mu)


def best_dispersions(histograms, counts, d, sums, n, mu, guess):
    """Dispersions (K, D) of the highest likelihood at the means mu of histograms.

    The derivative of the log-likelihood per row,

        sum_j P(x > j) j / (1 + alpha j) + mu^2 phi(alpha mu),

    has a root just where it is positive at 0, that is where the variance is above the
    mean, and only one (Levin and Reeds, 1977, Annals of Statistics 5, 79-87). Newton's
    method between bounds finds it.

    Parameters
    ----------
    histograms : ndarray of shape (K, L)
        Weights of the levels of all features, one feature after the other.
    counts, d : ndarrays of shape (L,)
        Count and feature of each level.
    sums : callable
        Sums (K, D) over the levels of each feature.
    n, mu, guess : ndarrays of shape (K, D)
    """
    tails = np.hstack(
        [
            np.cumsum(part[:, ::-1], axis=1)[:, ::-1] - part
            for part in np.split(histograms, np.flatnonzero(counts == 0)[1:], axis=1)
        ]
    )
    tails = safe_divide(tails, n[:, d])
    excess = sums(tails * counts) - mu**2 / 2
    is_over = excess > 0
    low, high = np.full_like(mu, LEAST_DISPERSION), np.full_like(mu, MOST_DISPERSION)
    alpha = np.where(guess > 0, guess, safe_divide(2 * excess, mu**2))
    alpha = np.clip(alpha, low, high)
    for _ in range(100):
        share = counts / (1 + alpha[:, d] * counts)
        u = alpha * mu
        phi = _phi(u)
        score = sums(tails * share) + mu**2 * phi
        slope = -sums(tails * share**2)
        slope -= safe_divide(mu**3 * (1 / (1 + u) + 2 * phi), u)
        low, high = np.where(score > 0, alpha, low), np.where(score < 0, alpha, high)
        newton = alpha - safe_divide(score, slope)
        within = (newton > low) & (newton < high) & (slope < 0)
        before, alpha = alpha, np.where(within, newton, np.sqrt(low * high))
        if (abs(alpha - before) <= 1e-9 * before)[is_over].all():
            break
    return np.where(is_over, alpha, 0)


def log1p_ratio(alpha, x):
    """log(1 + alpha x) / alpha, which is x for alpha = 0."""
    limit = np.array(x + 0 * alpha)
    return np.divide(np.log1p(alpha * x), alpha, out=limit, where=alpha > 0)


def _stirling(x, alpha):
    """sum of log(1 + alpha j) for HEAD <= j < x, from log gamma(1 / alpha + j)."""
    first, last = 1 + alpha * HEAD, 1 + alpha * x
    rest = x - HEAD
    total = (last - alpha / 2) * log1p_ratio(alpha, rest / first)
    total += rest * (np.log(first) - 1)
    for sign, end in ((1, last), (-1, first)):
        w = alpha / end
        v = w**2
        total += sign * w * (1 / 12 - v * (1 / 360 - v * (1 / 1260 - v / 1680)))
    return total


def _phi(u):
    """(log(1 + u) - u) / u^2 without cancellation."""
    large = np.maximum(u, SMALL)
    series = np.polynomial.polynomial.polyval(np.minimum(u, SMALL), _SERIES)
    return np.where(u < SMALL, series, (np.log1p(large) - large) / large**2)
