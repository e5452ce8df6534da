"""The labels or values that colour rows, in whatever form they are given."""

import datetime
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sklearn.utils.multiclass import type_of_target

from sklvm.columns._cells import is_missing
from sklvm.columns._forms import plain

# More numbers than these are a scale and not labels.
MAX_LABELS = 20
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
    """

    values: np.ndarray
    missing: np.ndarray
    is_scale: bool
    are_dates: bool = False

    def groups(self):
        """(name, mask) of each label, those of missing values apart."""
        return [(_name(label), mask) for label, mask in self._masks()]

    def _masks(self):
        kept = ~self.missing
        if not self.is_scale:
            labels = sorted(set(self.values[kept].tolist()), key=_order)
            return [(label, kept & (self.values == label)) for label in labels]
        ends = np.quantile(self.values[kept], np.linspace(0, 1, N_GROUPS + 1))
        group = np.searchsorted(ends[1:-1], self.values, side="right")
        names = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(ends)]
        return [(name, kept & (group == i)) for i, name in enumerate(names)]


def read_values(y, n_rows):
    """y as `RowValues` of so many rows.

    Raises
    ------
    ValueError
        If it has another length or more columns than one.
    """
    y = plain(y, "y")
    array = np.asarray(y, dtype=object if _is_nullable(y) else None)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or len(array) != n_rows:
        raise ValueError(
            f"y has the shape {array.shape} and X {n_rows} rows; give one label or "
            "value per row."
        )
    if array.dtype.kind in "mM":
        return _dates(array)
    if array.dtype.kind == "O":
        return _objects(array)
    missing = np.isnan(array) if array.dtype.kind == "f" else np.zeros(n_rows, bool)
    return RowValues(array, missing, _is_scale(array[~missing]))


def _is_nullable(y):
    """Whether NumPy would ask an array of pandas for its missing numbers in vain."""
    return type(y).__module__.partition(".")[0] == "pandas"


def _objects(array):
    missing = np.asarray(is_missing(array), dtype=bool)
    observed = array[~missing]
    kinds = set(map(type, observed))
    if kinds and all(map(_is_date, kinds)):
        dates = np.full(len(array), "NaT", dtype="datetime64[us]")
        dates[~missing] = [np.datetime64(value, "us") for value in observed]
        return _dates(dates)
    are_numbers = all(issubclass(k, int | float | np.number | np.bool_) for k in kinds)
    if not are_numbers:
        return RowValues(array, missing, False)
    numbers = np.array(observed.tolist())
    values = np.zeros(len(array), dtype=numbers.dtype)
    values[~missing] = numbers
    return RowValues(values, missing, _is_scale(numbers))


def _is_date(kind):
    # Those of the standard library, of which pandas' are, and NumPy's.
    return issubclass(kind, datetime.date | np.datetime64)


def _dates(array):
    missing = np.isnat(array)
    days = array.astype("datetime64[us]").astype(np.int64) / 86_400e6
    return RowValues(days, missing, True, are_dates=True)


def _is_scale(values):
    if values.dtype.kind not in "iuf" or not len(values):
        return False
    is_continuous = type_of_target(values).startswith("continuous")
    return is_continuous or len(np.unique(values)) > MAX_LABELS


def _order(label):
    """Numbers by size, then text; anything else by what it says of itself."""
    if isinstance(label, int | float):
        return (0, label, "")
    return (1, 0, str(label))


def _name(label):
    return f"{label:g}" if isinstance(label, float) else str(label)
