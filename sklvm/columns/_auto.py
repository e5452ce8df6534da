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
counts: whole, 0 or more, some below 3, none above 4095, most of   poisson or
the integers up to the median occur, and a Poisson or a negative   negative_binomial
binomial distribution has the best BIC
at most ten distinct numbers, the rarest in at least 5 rows and    categorical
1 % of them: a scale, whose ends are no thin tails
positive numbers with a long tail, which their logarithms lack     lognormal
all others: real numbers, also if they are rounded or heaped       gaussian
=================================================================  =================

The BIC of counts has to be better than that of a normal distribution, since ages and
points may begin at 0 as well, and than that of free probabilities if the column may be
a scale: answers from 0 to 4 end where counts would go on.
"""

import numpy as np
from scipy import stats

FEW_ROWS = 20  # below that, a histogram says nothing
SCALE_LEVELS = 10
SCALE_ROWS, SCALE_SHARE = 5, 0.01
MOST_COUNTS = 4096  # a histogram of larger ones is out of proportion
LONG_TAIL = 0.3  # that of a log-normal distribution with sigma = 0.37


def read_kind(cells, weight=None):
    """The kind of a column that can be modelled, by the rules above.

    `weight` is the number of rows that each row stands for.
    """
    if cells.sort == "boolean":
        return "bernoulli"
    if cells.labels is not None:
        return "categorical"
    levels, counts = _histogram(cells, weight)
    if len(levels) == 2 and levels[0] == 0 and levels[1] == 1:
        return "bernoulli"
    if counts.sum() < FEW_ROWS:
        return "gaussian"
    is_scale = _is_scale(levels, counts)
    if len(levels) > 2 and _may_be_counts(levels, counts):
        kind = _best_by_bic(levels, counts, is_scale)
        if kind in ("poisson", "negative_binomial"):
            return kind
    if is_scale:
        return "categorical"
    return "lognormal" if has_long_tail(levels, counts) else "gaussian"


def read_real_kind(cells, weight=None):
    """The same of a column that is to be real: only its tail decides."""
    levels, counts = _histogram(cells, weight)
    if cells.labels is None and counts.sum() >= FEW_ROWS:
        return "lognormal" if has_long_tail(levels, counts) else "gaussian"
    return "gaussian"


def _histogram(cells, weight):
    """Distinct values that are observed, and the number of rows of each."""
    observed = ~np.isnan(cells.values)
    levels, at = np.unique(cells.values[observed], return_inverse=True)
    return levels, np.bincount(at, None if weight is None else weight[observed])


def is_whole(values):
    """Whether all are whole numbers that float64 can tell apart."""
    return bool((np.rint(values) == values).all() and (abs(values) < 2**53).all())


def _is_scale(levels, counts):
    if len(levels) <= 2:
        return True
    rarest = max(SCALE_ROWS, SCALE_SHARE * counts.sum())
    return len(levels) <= SCALE_LEVELS and counts.min() >= rarest


def _may_be_counts(levels, counts):
    if not (is_whole(levels) and 0 <= levels[0] <= 2 and levels[-1] < MOST_COUNTS):
        return False
    cumulated = counts.cumsum()
    median = levels[np.searchsorted(cumulated, cumulated[-1] / 2)]
    n_integers = median - levels[0] + 1
    return (levels <= median).sum() > n_integers / 2


def _best_by_bic(levels, counts, is_scale):
    """The kind that whole numbers fit best, at their mean and variance."""
    n = counts.sum()
    mean = levels @ counts / n
    variance = (levels - mean) ** 2 @ counts / n
    log_prob = {
        "gaussian": (2, _log_prob_of_normal(levels, mean, variance)),
        "poisson": (1, stats.poisson.logpmf(levels, mean)),
    }
    if variance > mean:
        size = mean**2 / (variance - mean)
        nbinom = stats.nbinom(size, size / (size + mean))
        log_prob["negative_binomial"] = (2, nbinom.logpmf(levels))
    if is_scale:
        log_prob["categorical"] = (len(levels) - 1, np.log(counts / n))
    bic = {
        kind: n_parameters * np.log(n) - 2 * counts @ log_p
        for kind, (n_parameters, log_p) in log_prob.items()
    }
    return min(bic, key=bic.get)


def _log_prob_of_normal(levels, mean, variance):
    """log P(the nearest whole number is x); far tails are no reason to warn."""
    normal = stats.norm(mean, np.sqrt(variance))
    prob = normal.cdf(levels + 0.5) - normal.cdf(levels - 0.5)
    return np.log(np.maximum(prob, np.finfo(float).tiny))


def has_long_tail(levels, counts):
    """Whether the right tail of x > 0 is long, and that of log x clearly less so."""
    if levels[0] <= 0:
        return False
    cumulated = counts.cumsum()
    at = np.searchsorted(cumulated, np.array([0.05, 0.5, 0.95]) * cumulated[-1])
    tail = _asymmetry(*levels[at])
    return tail > LONG_TAIL and abs(_asymmetry(*np.log(levels[at]))) < 0.6 * tail


def _asymmetry(low, middle, high):
    """Skewness by quantiles, in [-1, 1], which single outliers do not decide."""
    return (low + high - 2 * middle) / (high - low) if high > low else 0.0
