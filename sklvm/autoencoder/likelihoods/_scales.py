"""Units of columns, and how small their noise may be: by deviation and rounding."""

import math

import numpy as np

from sklvm._base import largest_magnitude
from sklvm._warn import warn_user
from sklvm.autoencoder.likelihoods._base import column_ranges
from sklvm.columns._rounding import lattice
from sklvm.neural._device import as_dense
from sklvm.neural._values import LARGE_VALUE

# sigma^2 with which a constant has the density 1, so that log p is 0.
UNIT_DENSITY = 1 / (2 * math.pi)
# Values of all columns no more than this apart are in units that nobody has scaled,
# too: a table in [0, 1] has more. So are those of one column in a hundredth of one.
NARROW_TABLE, NARROW_COLUMN = 0.5, 1 / LARGE_VALUE
# Rows that show whether the values of a column are rounded.
N_ROUNDED = 1000
# Of an image, in whose columns all values have one unit.
N_GREY_LEVELS = 256


def warn_of_scale(X, name):
    """Warn of values that steps of size lr, the same for all columns, are not for."""
    largest = largest_magnitude(X)
    if largest > LARGE_VALUE:
        what = f"values up to {largest:g}"
    else:
        ranges = column_ranges(X)
        ranges = ranges[ranges > 0]  # of constants is said apart
        if not len(ranges):
            return
        if ranges.max() < NARROW_TABLE:
            what = f"columns of values no more than {ranges.max():.3g} apart"
        elif ranges.min() < NARROW_COLUMN:
            what = f"a column of values no more than {ranges.min():.3g} apart"
        else:
            return
    warn_user(
        f"{name} has {what} and networks learn from values of order one; scale {name} "
        "(StandardScaler)."
    )


def check_floor(floor, name):
    """Raise where the least sigma^2 is none of a float32."""
    if (floor < np.finfo(np.float32).tiny).any():
        raise ValueError(
            f"{name} has a column that hardly varies, so that squares of its noise "
            f"underflow float32; scale {name} (StandardScaler), or drop what is "
            "rounding."
        )


def least_variances(X, scale, min_noise):
    """The least sigma^2 of each column.

    `min_noise` deviations, and where values are rounded the deviation of rounding.
    """
    # Never 0: where all rows are fitted exactly the bound has no limit.
    least = max(min_noise, 1e-6)
    floor = np.where(scale > 0, least * scale, least)
    floor = np.maximum(floor, _steps(X) / math.sqrt(12)) ** 2
    return np.where(are_constant(X, scale), UNIT_DENSITY, floor)


def are_constant(X, scale):
    """Which columns have no scale: neither a deviation nor a step of rounding."""
    # A single row, as of a stream, does not show what varies.
    if X.shape[0] == 1 or (scale > 0).all():
        return np.zeros(len(scale), dtype=bool)
    return (scale == 0) & (_steps(X) == 0)


def _steps(X):
    """The steps that values of each column, or of all, are multiples of; else 0."""
    some = as_dense(X[:: -(-X.shape[0] // N_ROUNDED)]).astype(np.float64)
    # The levels of a column tell less than those of an image.
    common = _step(some)
    if common and np.nanmax(some) - np.nanmin(some) > N_GREY_LEVELS * common:
        common = 0.0  # columns of a table, in units of their own
    return np.array([_step(column) or common for column in some.T])


def _step(values):
    levels = np.unique(values)
    return lattice(levels[np.isfinite(levels)])
