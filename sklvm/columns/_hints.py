"""Columns whose kind is likely not what the user would say, in warnings."""

import re

import numpy as np
from scipy import stats

from sklvm._warn import warn_user
from sklvm.columns._auto import FEW_ROWS, has_long_tail, is_whole
from sklvm.columns._checks import listed

# Names that people give to identifiers.
_ID = re.compile(r"(^|[\W_])(id|ID|Id|key|Key|index|Index)$|[a-z](Id|ID)$")
# Rows of which a code for missing values has at least so many.
CODED_ROWS = 3
# Probability of so few ties among measurements, below which they are none.
FEW_TIES = 1e-3


def warn_of_columns(names, cells, kinds, by_hand, parameter):
    """One warning for each sort of doubt about the kinds that were read.

    Parameters
    ----------
    names : list
    cells : list of Cells
    kinds : list of str
    by_hand : container of int
        Positions of columns of which the user has named the kind.
    parameter : str
        What the estimator calls the kinds.
    """
    read = [
        (name, found, kind)
        for j, (name, found, kind) in enumerate(zip(names, cells, kinds, strict=True))
        if j not in by_hand
    ]
    of_numbers = [(name, found.observed(), kind) for name, found, kind in read
                  if found.labels is None]  # fmt: skip
    identifiers = [n for n, x, _ in of_numbers if looks_like_identifier(n, x)]
    if identifiers:
        warn_user(
            "X has whole numbers that differ in (nearly) every row, as those of an "
            f"identifier do, in {listed(identifiers)}; drop such columns or make them "
            f"the index, or name their kind in {parameter} if they measure something."
        )
    with_zeros = [
        n for n, x, kind in of_numbers if kind == "gaussian" and hides_tail(x)
    ]
    if with_zeros:
        warn_user(
            f"X has zeros among values with a long tail in {listed(with_zeros)}, taken "
            'for "gaussian" as a logarithm of zero does not exist; where a zero means '
            "none make two columns of it, whether and how much (missing where none), "
            f"or name the kind in {parameter}."
        )
    _warn_of_codes(of_numbers, parameter)
    empty = [n for n, found in zip(names, cells, strict=True) if has_empty_text(found)]
    if empty:
        warn_user(
            f"X has empty text in {listed(empty)}, which is a category like any other; "
            "give None or NaN where it stands for a missing value."
        )


def _warn_of_codes(of_numbers, parameter):
    """One warning for all columns of (name, values, kind) that have such a code."""
    codes = {name: code for name, x, _ in of_numbers if (code := missing_code(x))}
    if codes:
        some = " and ".join(f"{code:g}" for code in sorted(set(codes.values())))
        warn_user(
            f"X has {some} far from all other values, as a code of missing ones is, in "
            f"{listed(list(codes))}; give NaN there, as na_values of pandas.read_csv "
            f"does, or name the kind in {parameter} if it was measured."
        )


def missing_code(x):
    """The number of nines, as -999, that stands for missing values in x; or None.

    It is the least or the largest value, some rows have it, and it is farther from all
    others than these, of which there are three or more, are from each other.
    """
    if len(x) < FEW_ROWS:
        return None
    for code in (x.min(), x.max()):
        # A 9 among small counts may be one more of them.
        if not _is_nines(code) or (code > 0 and code < 99):
            continue
        others = x[x != code]
        if len(x) - len(others) < CODED_ROWS or len(np.unique(others)) < 3:
            continue
        ends = others.min(), others.max()
        if min(abs(code - end) for end in ends) > ends[1] - ends[0]:
            return float(code)
    return None


def _is_nines(number):
    return number == np.rint(number) and {*f"{abs(number):.0f}"} == {"9"}


def looks_like_identifier(name, x):
    """Whether numbers x, that are not missing, are drawn without replacement.

    n measurements on a grid of R steps have n (n - 1) / (2 R) pairs of equal values or
    more, the least where they are uniform. Identifiers of which some are left have
    none, or those of a few rows that are twice in the table. Where R is too large to
    tell, the name of the column may.
    """
    n = len(x)
    if n <= FEW_ROWS or not is_whole(x):
        return False
    values, counts = np.unique(x, return_counts=True)
    if len(values) < 0.9 * n:
        return False
    if is_identifiers_name(name):
        return True
    step = np.gcd.reduce(np.diff(values).astype(np.int64))
    n_steps = (values[-1] - values[0]) / step + 1
    ties = (counts * (counts - 1) / 2).sum()
    return stats.poisson.cdf(ties, n * (n - 1) / (2 * n_steps)) < FEW_TIES


def is_identifiers_name(name):
    """Whether a column's name says that it identifies the rows."""
    return isinstance(name, str) and bool(_ID.search(name))


def hides_tail(x):
    """Whether x, 0 or more, would be log-normal without its zeros."""
    if not len(x) or x.min() != 0:
        return False
    levels, counts = np.unique(x[x > 0], return_counts=True)
    return counts.sum() >= FEW_ROWS and has_long_tail(levels, counts)


def has_empty_text(cells):
    """Whether one of the categories is text of nothing, or of blanks."""
    if cells.sort not in ("text", "category"):
        return False
    return any(isinstance(text, str) and not text.strip() for text in cells.labels)
