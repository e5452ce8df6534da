"""Columns whose kind is likely not what the user would say, in warnings."""

import re
from itertools import chain

import numpy as np
from scipy import stats

from sklvm._warn import warn_user
from sklvm.columns._auto import FEW_ROWS, has_long_tail, is_whole
from sklvm.columns._checks import listed
from sklvm.columns._written import says_nothing

# Names that people give to identifiers.
_ID = re.compile(r"(^|[\W_])(id|ID|Id|key|Key|index|Index)$|[a-z](Id|ID)$")
# Rows of which a code for missing values has at least so many.
CODED_ROWS = 3
# Rows of a label, on average, of which more say how frequent it is.
ROWS_OF_A_NAME = 2
# Values of bytes, shorts, longs and floats at the end of their range, and netCDF's.
_LIMITS = (
    255, 65535, -32768, 32767, -(2**31), 2**31 - 1, 1e20, 9.96921e36, -3.4028235e38,
    3.4028235e38,
)  # fmt: skip
# So many numbers are dates by chance in one table of 10^9.
FEW_DATES = 10
# Texts as short may differ in capitals alone, as blood groups and alleles do.
SHORT = 2
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
    _warn_of_names(read, parameter)
    _warn_of_codes(of_numbers, parameter)
    _warn_of_dates([(name, x) for name, x, _ in of_numbers], parameter)
    _warn_of_nothing(names, cells)
    _warn_of_spellings(names, cells)


def _warn_of_names(read, parameter):
    """One warning for all columns (name, Cells, kind) of which most text is rare."""
    names = [
        name for name, found, kind in read if kind == "categorical" and is_rare(found)
    ]
    if names:
        warn_user(
            "X has text with two rows or less for each value, as names and identifiers "
            f"of groups have, in {listed(names)}; drop such columns or make them the "
            f"index, or name their kind in {parameter} if they are categories."
        )


def is_rare(cells):
    """Whether labels have two rows on average, or less, so that there is no share."""
    if cells.labels is None:
        return False
    x = cells.observed()
    return len(x) > FEW_ROWS and ROWS_OF_A_NAME * len(np.unique(x)) >= len(x)


def _warn_of_codes(of_numbers, parameter):
    """One warning for all columns of (name, values, kind) that have such a code."""
    codes = {name: found for name, x, _ in of_numbers if (found := missing_codes(x))}
    if codes:
        some = " and ".join(f"{code:g}" for code in sorted({*chain(*codes.values())}))
        warn_user(
            f"X has {some} far from all other values, as a code of missing ones is, in "
            f"{listed(list(codes))}; give NaN there, as na_values of pandas.read_csv "
            f"does, or name the kind in {parameter} if it was measured."
        )


def missing_codes(x):
    """The numbers, as -999 or 98 and 99, that stand for missing values in x.

    They are the least or the largest values, some rows have one of them, and they are
    farther from all others than these, of which there are three or more, are from each
    other.
    """
    if len(x) < FEW_ROWS:
        return []
    levels, counts = np.unique(x, return_counts=True)
    low, high = _n_codes(levels), _n_codes(levels[::-1])
    # As many as possible: others that are codes as well would be far from each other.
    for n in range(low + high, 0, -1):
        for n_low in range(max(0, n - high), min(low, n) + 1):
            end = len(levels) - (n - n_low)
            codes, others = np.r_[levels[:n_low], levels[end:]], levels[n_low:end]
            if (
                len(others) < 3
                or np.r_[counts[:n_low], counts[end:]].max() < CODED_ROWS
            ):
                continue
            width = others[-1] - others[0]
            gaps = others[0] - levels[:n_low], levels[end:] - others[-1]
            if all((gap > width).all() for gap in gaps):
                return codes.tolist()
    return []


def _n_codes(levels):
    """How many of the first levels may be codes, the outermost of them a usual one."""
    if not _is_code(levels[0]):
        return 0
    return next((i for i, x in enumerate(levels[:4]) if not _may_be_code(x)), 4)


def _is_code(number):
    """Nines, as -999 or 9999.9, and what no integer or float of few bits exceeds."""
    digits = {*f"{abs(number):.15g}"} - {"."}
    # A 9 among small counts may be one more of them.
    is_nines = digits == {"9"} and (number < 0 or number >= 99)
    return is_nines or any(np.isclose(number, code, rtol=1e-6) for code in _LIMITS)


def _may_be_code(number):
    """The same, or what is used beside it: 97 and 98, or 777 and 888."""
    digits = f"{abs(number):.15g}"
    is_beside = re.fullmatch(r"9*[6-9]|7+|8+", digits) is not None
    return _is_code(number) or (is_beside and (number < 0 or number > 10))


def _warn_of_dates(columns, parameter):
    """One warning for all columns of numbers such as 20201123 and 202011."""
    dates = {name: int(x[0]) for name, x in columns if are_dates(x)}
    if dates:
        some = next(iter(dates.values()))
        warn_user(
            f"X has dates written as whole numbers, such as {some}, in "
            f"{listed(list(dates))}, which jump where a month or year ends; turn them "
            f"into days since a date, or name their kind in {parameter} if they are "
            "none."
        )


def are_dates(x):
    """Whether all numbers are years, months and days, as 20201123, or without days."""
    levels = np.unique(x)
    if len(levels) < FEW_DATES or not is_whole(levels) or levels[0] < 0:
        return False
    for unit in (10_000, 100):
        rest = levels % unit
        month, day = (rest // 100, rest % 100) if unit == 10_000 else (rest, 1)
        years = levels[0] // unit, levels[-1] // unit
        is_date = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
        if years[0] >= 1800 and years[1] < 2200 and is_date.all():
            return True
    return False


def looks_like_identifier(name, x):
    """Whether numbers x, that are not missing, are drawn without replacement.

    n measurements on a grid of R steps have n (n - 1) / (2 R) pairs of equal values or
    more, the least where they are uniform. Identifiers of which some are left have
    none, or those of a few rows that are twice in the table. Where R is too large to
    tell, or beyond 2^53, where float64 makes whole numbers of all, the name of the
    column may.
    """
    n = len(x)
    if n <= FEW_ROWS or (np.rint(x) != x).any():
        return False
    values, counts = np.unique(x, return_counts=True)
    if len(values) < 0.9 * n:
        return False
    if is_identifiers_name(name):
        return True
    if not is_whole(x):
        return False
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


def _warn_of_nothing(names, cells):
    """One warning for all columns with texts that may stand for missing values."""
    texts = {n: texts_of_nothing(c) for n, c in zip(names, cells, strict=True)}
    texts = {name: found for name, found in texts.items() if found}
    if texts:
        distinct = sorted(set().union(*texts.values()))
        some = " and ".join(f"the text {t!r}" if t else "empty text" for t in distinct)
        warn_user(
            f"X has {some} in {listed(list(texts))}, which is a category like any "
            "other; give None or NaN where it stands for a missing value."
        )


def texts_of_nothing(cells):
    """Categories that are no text, or blanks, or say that nothing is there."""
    if cells.sort not in ("text", "category"):
        return set()
    texts = (label.strip() for label in cells.labels if isinstance(label, str))
    return {text for text in texts if says_nothing(text)}


def _warn_of_spellings(names, cells):
    """One warning for all columns with categories that may be the same one."""
    pairs = {n: two_spellings(c) for n, c in zip(names, cells, strict=True)}
    pairs = {name: pair for name, pair in pairs.items() if pair is not None}
    if pairs:
        one, other = next(iter(pairs.values()))
        warn_user(
            f"X has categories that differ in blanks or capitals alone, as {one!r} and "
            f"{other!r}, in {listed(list(pairs))}; where they mean the same, make them "
            "so, as by .str.strip().str.lower()."
        )


def two_spellings(cells):
    """The first two categories that differ in blanks or capitals alone, or None."""
    if cells.sort not in ("text", "category"):
        return None
    seen = {}
    for label in cells.labels:
        if not isinstance(label, str) or says_nothing(label):
            continue
        words = " ".join(label.split())
        # str(None) is no answer, "none" may be one.
        as_is = len(words) <= SHORT or words == "None"
        key = words if as_is else words.casefold()
        if seen.setdefault(key, label) != label:
            return seen[key], label
    return None
