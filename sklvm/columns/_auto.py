r"""The kind of a column from its values.

The first rule that holds decides; x are the values that are not missing.

=================================================================  =================
column                                                             kind
=================================================================  =================
booleans                                                           bernoulli
text, or a categorical dtype                                       categorical
numbers, all of them 0 or 1                                        bernoulli
fewer than 20 numbers                                              gaussian
two distinct numbers                                               categorical
at most ten distinct numbers, the rarest in at least 5 rows and    categorical
1 % of them: a scale, whose ends are no thin tails
counts: whole, 0 or more, some below 3, most of the integers up    poisson or
to the median occur, and the best BIC of a Poisson, a negative     negative_binomial
binomial and a normal distribution is not the normal's
positive numbers with a long tail, which their logarithms lack     lognormal
all others: real numbers, also if they are rounded or heaped       gaussian
=================================================================  =================

A normal density is close to the probability of a whole number, so that the three BIC
compare. It tells counts from ages and points, whose histogram is no count's even where
it begins at 0.
"""

import numpy as np
from scipy import stats

FEW_ROWS = 20  # below that, a histogram says nothing
SCALE_LEVELS = 10
SCALE_ROWS, SCALE_SHARE = 5, 0.01
LONG_TAIL = 0.3  # that of a log-normal distribution with sigma = 0.37


def read_kind(cells):
    """The kind of a column that can be modelled, by the rules above."""
    if cells.sort == "boolean":
        return "bernoulli"
    if cells.labels is not None:
        return "categorical"
    x = cells.observed()
    levels, counts = np.unique(x, return_counts=True)
    if len(levels) == 2 and levels[0] == 0 and levels[1] == 1:
        return "bernoulli"
    if len(x) < FEW_ROWS:
        return "gaussian"
    if _is_scale(levels, counts):
        return "categorical"
    if _may_be_counts(levels, counts):
        kind = _likeliest_of_whole_numbers(levels, counts)
        if kind != "gaussian":
            return kind
    return "lognormal" if _has_long_tail(x) else "gaussian"


def is_whole(values):
    """Whether all are whole numbers that float64 can tell apart."""
    return bool((np.rint(values) == values).all() and (abs(values) < 2**53).all())


def _is_scale(levels, counts):
    if len(levels) <= 2:
        return True
    rarest = max(SCALE_ROWS, SCALE_SHARE * counts.sum())
    return len(levels) <= SCALE_LEVELS and counts.min() >= rarest


def _may_be_counts(levels, counts):
    if not (is_whole(levels) and 0 <= levels[0] <= 2):
        return False
    cumulated = counts.cumsum()
    median = levels[np.searchsorted(cumulated, cumulated[-1] / 2)]
    n_integers = median - levels[0] + 1
    return (levels <= median).sum() > n_integers / 2


def _likeliest_of_whole_numbers(levels, counts):
    """The kind of the best BIC, each distribution with the mean and variance of x."""
    n = counts.sum()
    mean = levels @ counts / n
    variance = (levels - mean) ** 2 @ counts / n
    normal, half = stats.norm(mean, np.sqrt(variance)), 0.5
    probabilities = normal.cdf(levels + half) - normal.cdf(levels - half)
    # log of the smallest positive number: far tails are no reason to warn.
    log_prob = np.log(np.maximum(probabilities, np.finfo(float).tiny))
    bic = {
        "gaussian": 2 * np.log(n) - 2 * log_prob @ counts,
        "poisson": np.log(n) - 2 * stats.poisson.logpmf(levels, mean) @ counts,
    }
    if variance > mean:
        size = mean**2 / (variance - mean)
        log_prob = stats.nbinom.logpmf(levels, size, size / (size + mean))
        bic["negative_binomial"] = 2 * np.log(n) - 2 * log_prob @ counts
    return min(bic, key=bic.get)


def _has_long_tail(x):
    """Whether the right tail of x > 0 is long, and that of log x clearly less so."""
    if x.min() <= 0:
        return False
    tail = _asymmetry(x)
    return tail > LONG_TAIL and abs(_asymmetry(np.log(x))) < 0.6 * tail


def _asymmetry(x):
    """Skewness by quantiles, in [-1, 1], which single outliers do not decide."""
    low, middle, high = np.quantile(x, [0.05, 0.5, 0.95])
    return (low + high - 2 * middle) / (high - low) if high > low else 0.0
