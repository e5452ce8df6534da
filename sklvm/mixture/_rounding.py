"""The least variance of a component, by the steps to which values are rounded.

Components on neighbouring rounded values overlap: normal densities of the variance v,
one on each of them, add up to 1 + 2 exp(-2 pi^2 v / step^2) over the step, nearly (by
Poisson's formula). Of v = step^2 / 3 that is within 0.3 % of the density of their
probabilities spread over the step, so that what is rounded compares with what is not,
and F cannot grow by spikes. (Of step^2 / 2 pi, where one spike alone has the density of
its probability, a row of them gains 0.083 nats, for which BIC chose five components of
one normal population; of step^2 / 12, the variance of rounding itself, 0.33 nats.)
"""

import numpy as np

from sklvm.columns._rounding import rounding_step

# Smallest variance of a component, in variances of its column.
NARROWEST = 1e-6
# The same for logarithms: one percent of x.
NARROWEST_LOG = 1e-4
TAILS = [0.01, 0.99]  # outliers beyond do not decide


def least_variance(x, weight):
    """That of a column's step, or a little of its own variance."""
    values, shares = _distribution(x, weight)
    typical = np.clip(values, *values[np.searchsorted(shares.cumsum(), TAILS)])
    if np.ptp(typical) == 0:
        typical = values
    variance = shares @ (typical - shares @ typical) ** 2
    return max(_of_step(rounding_step(values, shares)), NARROWEST * variance)


def least_log_variance(x, weight):
    """The same for the logarithms of a column, at its median."""
    values, shares = _distribution(x, weight)
    median = values[np.searchsorted(shares.cumsum(), 0.5)]
    return max(_of_step(rounding_step(values, shares) / median), NARROWEST_LOG)


def _of_step(step):
    return step**2 / 3


def _distribution(x, weight):
    """Distinct values that are observed, in order, and their shares."""
    observed = ~np.isnan(x)
    values, at = np.unique(x[observed], return_inverse=True)
    if weight is not None:
        weight = weight[observed]
    shares = np.bincount(at, weight)
    return values, shares / shares.sum()
