"""The steps to which the values of a column are rounded."""

from fractions import Fraction

import numpy as np

from sklvm.columns._auto import FEW_ROWS, is_whole

MULTIPLES = 0.6
MOST_OF_ONE = 0.1
DECIMALS = 8
# Of the largest value; float64 has three more, which are noise.
DIGITS = 12
# As many values that are all multiples of a step may be so by chance.
RARELY = 1000


def grid_step(x, n_rows):
    """Largest step that all values are multiples of; 0 if they are not rounded.

    Whole numbers have the step 1, others that of their last decimal. A larger one, such
    as 100 or 0.25, needs distinct values that are rarely all its multiples by chance,
    and any but 1 needs as many rows as say something.
    """
    levels = np.unique(abs(x[x != 0]))
    if is_whole(levels):
        unit = Fraction(1)
    else:
        unit = _last_decimal(levels) if n_rows >= FEW_ROWS else 0
    if not unit or not len(levels) or n_rows < FEW_ROWS:
        return float(unit)
    multiples = np.rint(levels / float(unit)).astype(np.int64)
    largest = int(np.gcd.reduce(multiples))
    is_clear = len(levels) * np.log(largest) >= np.log(RARELY)
    return float(unit * largest if is_clear else unit)


def to_grid(values, step, lowest=-np.inf):
    """The nearest multiples of a step, at least `lowest` times it; NaN stays."""
    # 3 / 10 is 0.3, while 3 * 0.1 is not.
    up, down = Fraction(repr(float(step))).as_integer_ratio()
    multiples = np.rint(np.asarray(values) * (down / up))
    return np.maximum(multiples, lowest) * float(up) / float(down) + 0.0  # never -0.0


def _last_decimal(levels):
    """1/10, 1/100, ... that all values are multiples of, or 0."""
    largest = int(np.ceil(np.log10(levels.max())))
    for exponent in range(-1, largest - DIGITS - 1, -1):
        unit = Fraction(10) ** exponent
        if _are_multiples(levels, float(unit)).all():
            return unit
    return 0


def _are_multiples(values, step):
    """Whether each of positive values is a multiple of a step, but for its noise."""
    multiples = values / step
    nearest = np.rint(multiples)
    # Single precision has seven digits.
    near = abs(multiples - nearest) < np.minimum(1e-6 + 1e-7 * multiples, 0.01)
    return near & (nearest > 0)


def rounding_step(values, shares):
    """Step to which distinct values are rounded, or most of them; 0 if they are not."""
    return max(lattice(values), _decimal_step(values, shares))


def lattice(values):
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
            is_within = step <= 1.01 * width
            if is_within and shares @ _are_multiples(values, step) > enough:
                return step
    return 0.0
