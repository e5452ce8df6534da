"""What a column is: its kind, its categories, and how its values come back."""

from dataclasses import dataclass, field

import numpy as np

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
    is_whole : bool
        Whether all values are whole numbers; those that come back then are as well.
    summary : str
        What it was found to hold, for `Schema.describe`.
    """

    name: object
    kind: str
    categories: np.ndarray | None
    dtype: object
    is_whole: bool
    summary: str

    @property
    def value_dtype(self):
        """NumPy dtype of a value that is not missing."""
        if self.categories is not None:
            return self.categories.dtype
        return np.dtype(np.int64 if self.is_whole else np.float64)

    def decode(self, values):
        """Values of the column: floats with NaN, or objects with None.

        Codes are rounded to the nearest category, whole numbers to the nearest one
        that the kind allows.
        """
        missing = np.isnan(values)
        if self.categories is not None:
            codes = np.rint(np.where(missing, 0, values)).astype(np.intp)
            found = self.categories[np.clip(codes, 0, len(self.categories) - 1)]
            if found.dtype == object:
                found[missing] = None
                return found
            return np.where(missing, np.nan, found)
        if not self.is_whole:
            return values
        # A small lognormal value must not become 0, where it has no density.
        lowest = 1 if self.kind == "lognormal" else -np.inf
        return np.where(missing, np.nan, np.maximum(np.rint(values), lowest))


@dataclass(frozen=True, eq=False)
class Block:
    """Columns of one kind that are modelled together.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    columns : ndarray of intp
        Their positions in the table.
    options : dict
        What the user said of the block, for the model to read.
    """

    kind: str
    columns: np.ndarray
    options: dict = field(default_factory=dict)
