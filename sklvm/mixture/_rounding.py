"""The least variance of a component, by the steps to which values are rounded.

A normal density of the variance step^2 / 2 pi is 1 / step at its mean: a component that
has shrunk to one rounded value gives it the density of its probability spread over the
step, and no more. So what is rounded compares with what is not, and F cannot grow by
spikes. (The variance of rounding itself, step^2 / 12, would let it gain 0.32 nats.)
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
    return step**2 / (2 * np.pi)


def _distribution(x, weight):
    """Distinct values that are observed, in order, and their shares."""
    observed = ~np.isnan(x)
    values, at = np.unique(x[observed], return_inverse=True)
    if weight is not None:
        weight = weight[observed]
    shares = np.bincount(at, weight)
    return values, shares / shares.sum()
