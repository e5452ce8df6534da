"""What a column is: its kind, its categories, and its values in and out."""

from dataclasses import dataclass, field, replace

import numpy as np

from sklvm.columns._auto import is_whole
from sklvm.columns._cells import as_objects
from sklvm.columns._checks import (
    check_are_numbers,
    check_finite,
    check_numbers,
    is_binary,
    outside_support,
    refuse,
    unreadable,
)
from sklvm.columns._dtypes import dtype_from_plain, dtype_to_plain
from sklvm.columns._rounding import grid_step, to_grid
from sklvm.columns._text import summarise
from sklvm.state._classes import stateful

#: The kinds of columns. The density of a row is with respect to counting measure for
#: the discrete kinds, and to length in the column's own unit for the real ones.
KINDS = (
    "gaussian",
    "lognormal",
    "bernoulli",
    "poisson",
    "negative_binomial",
    "categorical",
)
#: Those that a block of the kind "real", which "auto" makes, joins.
REAL = ("gaussian", "lognormal")


UNKNOWN_REMEDIES = {
    "error": "set handle_unknown='missing'",
    "refuse": "leave the cell empty",
}


@stateful
@dataclass(frozen=True, eq=False)
class Column:
    """One column of a table as a model sees it.

    Attributes
    ----------
    name : object
        Its label in the DataFrame, or its number in an array.
    kind : str
        One of `KINDS`.
    categories : ndarray or None
        What the codes 0, 1, ... of a bernoulli or categorical column stand for: an
        array of bool, int64, float64, or of objects such as strings. None for the
        other kinds.
    dtype : dtype
        The dtype in its own library, in which values come back.
    step : float
        All values are multiples of it: 1 for whole numbers, 0.01 or 100 for real ones
        that are rounded so, 0 where there is none. Those that come back then are as
        well.
    summary : str
        What it was found to hold, for `Schema.describe`.
    """

    name: object
    kind: str
    categories: np.ndarray | None
    dtype: object
    step: float
    summary: str

    @classmethod
    def read(cls, name, kind, cells, dtype, weight=None):
        """The column of a kind that its cells do not contradict.

        `weight` is the number of rows that each row stands for.
        """
        x = cells.observed()
        whole = cells.labels is None and is_whole(x)
        categories = None
        if kind in ("bernoulli", "categorical"):
            categories = cells.labels
            if categories is None:
                categories = np.unique(x).astype(np.int64 if whole else np.float64)
            if kind == "bernoulli" and is_binary(cells, categories):
                categories = np.array([0, 1] if cells.labels is None else [False, True])
        summary = summarise(kind, cells, categories, whole)
        step = 0.0 if categories is not None else _step(kind, cells, weight)
        return cls(name, kind, categories, dtype, step, summary)

    @classmethod
    def known(cls, name, kind, labels=None, n_labels=None):
        """The column of a kind, of categories that are from no table.

        `n_labels` is the number that the labels are to have.
        """
        categories = None if labels is None else _label_array(labels)
        if labels is not None and not len(set(labels)) == len(labels) == n_labels:
            raise ValueError(
                f"categories has {list(labels)!r} for the column {name!r}; give "
                f"{n_labels} distinct values, one for each of its probabilities."
            )
        step = 0.0 if labels is not None or kind in REAL else 1.0
        column = cls(name, kind, categories, None, step, kind)
        return replace(column, dtype=column.value_dtype)

    def _get_fitted_state(self, resumable):
        return self.__dict__ | {"dtype": dtype_to_plain(self.dtype)}

    def _set_fitted_state(self, state):
        self.__dict__.update(state | {"dtype": dtype_from_plain(state["dtype"])})

    @property
    def is_whole(self):
        """Whether all values are whole numbers."""
        return self.step > 0 and self.step % 1 == 0

    @property
    def value_dtype(self):
        """NumPy dtype of a value that is not missing."""
        if self.categories is not None:
            return self.categories.dtype
        return np.dtype(np.int64 if self.is_whole else np.float64)

    def encode(self, cells, handle_unknown):
        """Cells of the column as float64: numbers, or codes of its categories."""
        if self._is_missing(cells):
            return np.full(len(cells.values), np.nan)
        if self.categories is None:
            check_numbers(self.name, self.kind, cells)
            return cells.values
        return self._codes(cells, handle_unknown)

    def impossible(self, cells, handle_unknown):
        """Mask of the cells that `encode` refuses, as no row of the model has them."""
        if self._is_missing(cells):
            return np.zeros(len(cells.values), dtype=bool)
        if self.categories is None:
            check_are_numbers(self.name, self.kind, cells)
            return outside_support(self.kind, cells.values)
        codes = self._codes(cells, "missing")
        is_refused = handle_unknown != "missing"
        return np.isnan(codes) & ~np.isnan(cells.values) & is_refused

    def _is_missing(self, cells):
        """Whether nothing is observed; an error of what no kind is for."""
        problem = unreadable(cells)
        if problem != "missing":
            refuse([(self.name, problem)])
            check_finite(self.name, cells)
        return problem == "missing"

    def _codes(self, cells, handle_unknown):
        """Codes of values, whatever their dtype: 1, 1.0 and True are one."""
        missing = np.isnan(cells.values)
        labels, at = cells.labels, cells.values[~missing]
        if labels is None:
            labels, at = np.unique(at, return_inverse=True)
            labels = labels.astype(np.int64) if is_whole(labels) else labels
        labels = labels.tolist()
        self._check_same_sort(labels)
        code = {label: k for k, label in enumerate(self.categories.tolist())}
        unknown = [label for label in labels if label not in code]
        if unknown and handle_unknown != "missing":
            remedy = UNKNOWN_REMEDIES[handle_unknown]
            raise ValueError(
                f"X has the value {unknown[0]!r} in the column {self.name!r}, which "
                f"was not there in fit; {remedy} to take it for missing, or merge "
                "rare categories before the rows are split."
            )
        codes = np.array([code.get(label, np.nan) for label in labels], dtype=float)
        values = np.full(len(missing), np.nan)
        values[~missing] = codes[at.astype(np.intp)]
        return values

    def _check_same_sort(self, labels):
        """Text where text was, and numbers where numbers were."""
        expected = self.categories.tolist()
        was_text = any(isinstance(label, str) for label in expected)
        if labels and was_text != any(isinstance(label, str) for label in labels):
            now, then = ("numbers", "text") if was_text else ("text", "numbers")
            raise ValueError(
                f"X has {now} in the column {self.name!r}, for example {labels[0]!r}, "
                f"where fit had {then} such as {expected[0]!r}; give the column the "
                "dtype that it had in fit."
            )

    def decode(self, values, observed=None):
        """Values of the column: floats with NaN, or objects with None.

        Codes are rounded to the nearest category, numbers to the nearest multiple of
        the step that the kind allows; but to whole numbers at most where `observed`.
        """
        if self.categories is not None:
            return self._of_codes(values)
        if not self.step:
            return values
        # A small lognormal value must not become 0, where it has no density.
        lowest = 1 if self.kind == "lognormal" else -np.inf
        rounded = to_grid(values, self.step, lowest)
        if observed is None:
            return rounded
        # Later rows may be off the grid, but an integer dtype has no place for them.
        kept = to_grid(values, 1, lowest) if self.is_whole else values
        return np.where(observed, kept, rounded)

    def _of_codes(self, values):
        missing = np.isnan(values)
        codes = np.rint(np.where(missing, 0, values)).astype(np.intp)
        found = self.categories[np.clip(codes, 0, len(self.categories) - 1)]
        if found.dtype == object:
            found[missing] = None
            return found
        return np.where(missing, np.nan, found)


def _label_array(labels):
    """Labels in an array as `Column.categories`."""
    array = np.asarray(labels)
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    return array if array.dtype.kind in "bf" else as_objects(labels)


def _step(kind, cells, weight):
    observed = ~np.isnan(cells.values)
    if kind not in REAL:
        return 1.0  # a count
    n_rows = observed.sum() if weight is None else weight[observed].sum()
    return grid_step(cells.values[observed], n_rows)


@stateful
@dataclass(frozen=True, eq=False)
class Block:
    """Columns of one kind that are modelled together.

    Attributes
    ----------
    kind : str
        One of `KINDS`, or "real".
    columns : ndarray of intp
        Their positions in the table.
    options : dict
        What the user said of the block, for the model to read.
    """

    kind: str
    columns: np.ndarray
    options: dict = field(default_factory=dict)
