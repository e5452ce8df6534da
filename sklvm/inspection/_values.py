"""The labels or values that colour rows, in whatever form they are given."""

import datetime
import sys
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise

import numpy as np
from sklearn.utils.multiclass import type_of_target

from sklvm.columns._cells import is_missing
from sklvm.columns._forms import plain

# More numbers than these are a scale and not labels.
MAX_LABELS = 20
# Types of single values, and the units of durations in seconds.
DURATIONS = datetime.timedelta | np.timedelta64
NUMBERS = int | float | np.number | np.bool_ | Decimal
UNITS = (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1))
# Of a scale where there is no room for one: the rows in so many equally large groups.
N_GROUPS = 4


@dataclass
class RowValues:
    """What is known of rows.

    Attributes
    ----------
    values : ndarray of shape (n_samples,)
        Numbers of a scale, or labels; whatever where they are missing.
    missing : ndarray of shape (n_samples,), bool
    is_scale : bool
    are_dates : bool
        Whether the numbers of the scale are matplotlib's of dates.
    unit : str
        Of the numbers of a scale, where it is known.
    order : list
        Labels in the order in which they come; others by size, or by the alphabet.
    """

    values: np.ndarray
    missing: np.ndarray
    is_scale: bool
    are_dates: bool = False
    unit: str = ""
    order: list = field(default_factory=list)

    def groups(self):
        """(name, mask) of each label, those of missing values apart."""
        kept = ~self.missing
        if self.is_scale:
            return self._quarters(kept)
        present = set(self.values[kept].tolist())
        labels = [label for label in self.order if label in present]
        labels += sorted(present.difference(labels), key=_order)
        masks = (self._is(label, kept) for label in labels)
        return list(zip(_label_names(labels), masks, strict=True))

    def _is(self, label, kept):
        """Mask of a label; pd.NA, where it is missing, compares with nothing."""
        mask = kept.copy()
        mask[kept] = self.values[kept] == label
        return mask

    def _quarters(self, kept):
        ends = np.quantile(self.values[kept], np.linspace(0, 1, N_GROUPS + 1))
        group = np.searchsorted(ends[1:-1], self.values, side="right")
        names = _day_names(ends) if self.are_dates else _number_names(ends, 3)
        masks = [kept & (group == i) for i in range(N_GROUPS)]
        # Of a value that many rows have there may be no group of its own.
        named = zip(pairwise(names), masks, strict=True)
        unit = f" {self.unit}" if self.unit else ""
        return [
            (f"{low} to {high}{unit}", mask)
            for (low, high), mask in named
            if mask.any()
        ]


def read_values(y, n_rows):
    """y as `RowValues` of so many rows.

    Raises
    ------
    ValueError
        If it has another length or more columns than one.
    """
    order = _category_order(y)
    y = plain(y, "y")
    array = np.asarray(y, dtype=object if _is_nullable(y) else None)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or len(array) != n_rows:
        raise ValueError(
            f"y has the shape {array.shape} and X {n_rows} rows; give one label or "
            "value per row."
        )
    if array.dtype.kind == "M":
        return _dates(array)
    if array.dtype.kind == "m":
        return _durations(array)
    if array.dtype.kind == "O":
        values = _objects(array)
        values.order = order
        return values
    missing = np.isnan(array) if array.dtype.kind == "f" else np.zeros(n_rows, bool)
    return _numbers(array, missing, array[~missing])


def _category_order(y):
    """The categories of a pandas object that has some, in their order."""
    categories = getattr(getattr(y, "dtype", None), "categories", None)
    return [] if categories is None else list(categories)


def _numbers(values, missing, observed):
    if observed.dtype.kind == "f" and np.isinf(observed).any():
        raise ValueError(
            "y has infinite values; give finite ones, or NaN where there is none."
        )
    return RowValues(values, missing, _is_scale(observed))


def _is_nullable(y):
    """Whether NumPy would ask an array of pandas for its missing numbers in vain."""
    return type(y).__module__.partition(".")[0] == "pandas"


def _objects(array):
    missing = np.asarray(is_missing(array), dtype=bool)
    observed = _as_dates(array[~missing])
    kinds = set(map(type, observed))
    if kinds and all(map(_is_date, kinds)):
        dates = np.full(len(array), "NaT", dtype="datetime64[us]")
        dates[~missing] = [np.datetime64(_local(value), "us") for value in observed]
        return _dates(dates)
    if kinds and all(issubclass(k, DURATIONS) for k in kinds):
        durations = np.full(len(array), "NaT", dtype="timedelta64[us]")
        durations[~missing] = [np.timedelta64(value, "us") for value in observed]
        return _durations(durations)
    are_numbers = all(issubclass(kind, NUMBERS) for kind in kinds)
    if not are_numbers:
        return RowValues(array, missing, False)
    if any(issubclass(kind, Decimal) for kind in kinds):
        observed = observed.astype(np.float64)
    numbers = np.array(observed.tolist())
    values = np.zeros(len(array), dtype=numbers.dtype)
    values[~missing] = numbers
    return _numbers(values, missing, numbers)


def _as_dates(observed):
    """Periods of pandas as the dates of their starts, where they are no few labels."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not all(isinstance(v, pandas.Period) for v in observed):
        return observed
    if len(set(observed)) <= MAX_LABELS:
        return observed
    return np.array([period.start_time for period in observed], dtype=object)


def _is_date(kind):
    # Those of the standard library, of which pandas' are, and NumPy's.
    return issubclass(kind, datetime.date | np.datetime64)


def _local(date):
    """A date by the clock of its own time zone; NumPy's have none."""
    has_zone = isinstance(date, datetime.datetime) and date.tzinfo is not None
    return date.replace(tzinfo=None) if has_zone else date


def _dates(array):
    missing = np.isnat(array)
    days = array.astype("datetime64[us]").astype(np.int64) / 86_400e6
    return RowValues(days, missing, not missing.all(), are_dates=True)


def _durations(array):
    missing = np.isnat(array)
    seconds = array.astype("timedelta64[us]").astype(np.int64) / 1e6
    longest = np.abs(seconds[~missing]).max(initial=0)
    unit, size = next(pair for pair in UNITS if longest >= pair[1] or pair[1] == 1)
    return RowValues(seconds / size, missing, not missing.all(), unit=unit)


def _is_scale(values):
    if values.dtype.kind not in "iuf" or not len(values):
        return False
    n_levels = len(np.unique(values))
    is_continuous = type_of_target(values).startswith("continuous")
    # Fractions that repeat, as doses or grades, are labels like whole numbers.
    return n_levels > MAX_LABELS or (is_continuous and 2 * n_levels > len(values))


def _order(label):
    """Numbers by size, then text; anything else by what it says of itself."""
    if isinstance(label, int | float):
        return (0, label, "")
    return (1, 0, str(label))


def _label_names(labels):
    numbers = [label for label in labels if isinstance(label, float)]
    names = dict(zip(numbers, _number_names(numbers, 6), strict=True))
    return [names.get(label, str(label) or "''") for label in labels]


def _number_names(numbers, digits):
    """Numbers with as few digits as tell them apart, so many or more."""
    n_different = len(set(numbers))
    for n in range(digits, 18):
        names = [f"{number:.{n}g}" for number in numbers]
        if len(set(names)) == n_different:
            break
    return names


def _day_names(days):
    """Dates of matplotlib's numbers, with the time of the day where two are of one."""
    for unit in ("D", "s", "us"):
        moments = np.round(np.asarray(days) * 86_400e6).astype("datetime64[us]")
        names = moments.astype(f"datetime64[{unit}]").astype(str).tolist()
        if len(set(names)) == len(set(moments.tolist())):
            break
    return names
