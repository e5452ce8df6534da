"""The steps to which the values of a column are rounded, and the least variance.

A normal density of the variance step^2 / 2 pi is 1 / step at its mean: a component that
has shrunk to one rounded value gives it the density of its probability spread over the
step, and no more. So what is rounded compares with what is not, and F cannot grow by
spikes. (The variance of rounding itself, step^2 / 12, would let it gain 0.32 nats.)
"""

import numpy as np

# Smallest variance of a component, in variances of its column.
NARROWEST = 1e-6
# The same for logarithms: one percent of x.
NARROWEST_LOG = 1e-4
TAILS = [0.01, 0.99]  # outliers beyond do not decide
MULTIPLES = 0.6
MOST_OF_ONE = 0.1
DECIMALS = 8


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


def rounding_step(values, shares):
    """Step to which distinct values are rounded, or most of them; 0 if they are not."""
    return max(_lattice(values), _decimal_step(values, shares))


def _lattice(values):
    """Smallest gap between the values if all the others are multiples of it; else 0.

    Neither unit nor origin matter, so that a scaler may have gone before.
    """
    gaps = np.diff(values)
    gaps = gaps[gaps > 1e-9 * gaps.sum()]  # values apart by more than their last digits
    if len(gaps) < 2:
        return 0.0
    multiples = gaps / gaps.min()
    return gaps.min() if (abs(multiples - np.rint(multiples)) < 1e-3).all() else 0.0


def _decimal_step(values, shares):
    """Largest of 1, 2, 5, 10, ... times a power of ten that most values are in; or 0.

    Zeros say nothing of how the others are rounded, nor does a value that is frequent.
    """
    width = np.ptp(values)
    shares, values = shares[values != 0], abs(values[values != 0])
    if not len(values):
        return 0.0
    shares = np.minimum(shares, MOST_OF_ONE * shares.sum())
    enough = MULTIPLES * shares.sum()
    largest = int(np.ceil(np.log10(values.max())))
    for exponent in range(largest, largest - DECIMALS, -1):
        for digit in (5, 2, 1):
            step = digit * 10.0**exponent
            multiples = values / step
            nearest = np.rint(multiples)
            # Single precision has seven digits.
            near = abs(multiples - nearest) < np.minimum(1e-6 + 1e-7 * multiples, 0.01)
            is_within = step <= 1.01 * width
            if is_within and shares @ (near & (nearest > 0)) > enough:
                return step
    return 0.0
