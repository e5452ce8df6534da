"""The cells of one column as numbers, whatever the table that holds them."""

import datetime
import numbers
import sys
from decimal import Decimal
from itertools import repeat
from typing import NamedTuple

import numpy as np

NESTED = (list, dict, set, tuple, np.ndarray)
DATES = (
    datetime.date,
    datetime.time,
    datetime.timedelta,
    np.datetime64,
    np.timedelta64,
)


class Cells(NamedTuple):
    """One column as float64.

    Attributes
    ----------
    sort : str
        "number", "boolean", "text" or "category", which can be modelled; "date",
        "nested", "mixed" or "object", which cannot.
    values : ndarray of shape (n_samples,)
        Numbers, or positions in `labels`; NaN is missing.
    labels : ndarray or None
        What the positions stand for, in order and without any that no row has, except
        for booleans; None for numbers.
    """

    sort: str
    values: np.ndarray
    labels: np.ndarray | None = None

    def observed(self):
        """The values that are not missing."""
        return self.values[~np.isnan(self.values)]


def boolean_cells(values):
    """Cells of 0, 1 and NaN."""
    return Cells("boolean", values, np.array([False, True]))


def category_cells(codes, categories):
    """Cells of a categorical dtype, without the categories that no row has."""
    used, positions = np.unique(codes[codes >= 0], return_inverse=True)
    values = np.full(len(codes), np.nan)
    values[codes >= 0] = positions
    return Cells("category", values, as_objects(categories)[used])


def object_cells(values):
    """Cells of an array of Python objects.

    None, NaN and the missing values of pandas are missing.
    """
    if any(issubclass(kind, NESTED) for kind in set(map(type, values))):
        return Cells("nested", np.zeros(len(values)))
    missing = is_missing(values)
    observed = values[~missing]
    sort = _sort(set(map(type, observed)))
    if sort == "text":
        return _text_cells(values, observed)
    cells = np.where(missing, np.nan, 0.0)
    if sort in ("number", "boolean"):
        cells[~missing] = _as_floats(observed)
    return boolean_cells(cells) if sort == "boolean" else Cells(sort, cells)


def as_objects(values):
    """A one-dimensional array of objects, also where these are sequences."""
    out = np.empty(len(values), dtype=object)
    out[:] = list(values)
    return out


def _as_floats(values):
    """Python's numbers as float64; integers beyond it are infinite."""
    try:
        return values.astype(np.float64)
    except OverflowError:
        return np.array([_as_float(value) for value in values])


def _as_float(value):
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def _text_cells(values, observed):
    labels = sorted(set(observed))
    position = dict(zip(labels, range(len(labels)), strict=True))
    # What is missing is in no dict of strings: it gets the default.
    cells = np.fromiter(map(position.get, values, repeat(np.nan)), float, len(values))
    return Cells("text", cells, as_objects(labels))


def is_missing(values):
    """Mask of None, NaN and the missing values of pandas in an array of objects."""
    pandas = sys.modules.get("pandas")
    if pandas is not None:
        return pandas.isna(values)
    # Without pandas there is no pd.NA, whose comparisons have no truth value.
    return np.equal(values, None) | (values != values)


def _sort(types):
    def all_of(*kinds):
        return all(issubclass(kind, kinds) for kind in types)

    if types and all_of(bool, np.bool_):
        return "boolean"
    if all_of(numbers.Real, Decimal, np.bool_):
        return "number"
    if all_of(str):
        return "text"
    if all_of(*DATES):
        return "date"
    return "object" if len(types) == 1 else "mixed"
