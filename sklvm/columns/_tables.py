"""Tables column by column: arrays, and the DataFrames of pandas and polars.

This file and `_dtypes.py` are the ones that know these libraries. Each class reads
`cells(j)` of a table, appends a column to it, and builds a table of decoded columns:
float64 with NaN, or objects with None.
"""

import sys
from functools import cached_property
from itertools import chain, count

import numpy as np
from scipy.sparse import issparse

from sklvm._alone import check_array
from sklvm.columns._cells import (
    Cells,
    as_objects,
    boolean_cells,
    category_cells,
    object_cells,
)
from sklvm.columns._forms import frame_of_arrow, plain
from sklvm.state._classes import stateful

OBJECT = np.dtype(object)


def read_table(X):
    """X as one of the tables below, not copied and never changed."""
    X = frame_of_arrow(X)
    for library, table in (("pandas", PandasTable), ("polars", PolarsTable)):
        module = sys.modules.get(library)
        if module is not None and isinstance(X, module.DataFrame):
            return table(X)
    return ArrayTable(X)


def is_frame(X):
    """Whether X is a DataFrame of pandas or polars."""
    modules = (sys.modules.get(library) for library in ("pandas", "polars"))
    return any(
        module is not None and isinstance(X, module.DataFrame) for module in modules
    )


def in_frame_of(X, values, was_missing=None):
    """An array of values for the cells of X, as a DataFrame where X is one.

    With the mask `was_missing` of cells, only these are replaced, and columns that have
    none keep their dtype.
    """
    if not is_frame(X):
        return values
    table = read_table(X)
    if was_missing is None:
        return table.replaced(dict(enumerate(values.T)))
    columns = {}
    for j in map(int, np.flatnonzero(was_missing.any(axis=0))):
        filled = np.where(was_missing[:, j], values[:, j], table.cells(j).values)
        is_single = str(table.dtype(j)).lower() == "float32"
        columns[j] = filled.astype(np.float32 if is_single else np.float64)
    return table.replaced(columns)


def array_of_numbers(X):
    """X as an array where it is a DataFrame of numbers alone, else X."""
    if not is_frame(X):
        return X
    table = read_table(X)
    if all(table.is_numeric(j) for j in range(len(table.names))):
        return check_array(X, ensure_all_finite=False)
    return X


def holds_words(X):
    """Whether X is a table with columns of text, categories or dates."""
    if (isinstance(X, np.ndarray) and X.dtype.kind not in "OUS") or issparse(X):
        return False
    try:
        table = read_table(X)
    except (ValueError, TypeError):
        return False  # which scikit-learn's own check says better
    return any(
        table.cells(j).sort in ("text", "category", "date")
        for j in range(len(table.names))
    )


def named(values, names):
    """Rows of an array as a DataFrame with these columns."""
    import pandas as pd  # which the names come from

    return pd.DataFrame(values, columns=names)


def numeric_cells(values):
    """Cells of a NumPy array of booleans, numbers or dates."""
    if values.dtype.kind in "mM":
        return Cells("date", np.where(np.isnat(values), np.nan, 0.0))
    with np.errstate(over="ignore"):  # of a long double; infinity is refused later
        cells = values.astype(np.float64)
    return boolean_cells(cells) if values.dtype.kind == "b" else Cells("number", cells)


def python_objects(values, value_dtype):
    """Decoded values as Python's own bool, int, float or str; NaN is missing."""
    absent = np.equal(values, None) if values.dtype == object else np.isnan(values)
    out = np.full(len(values), np.nan, dtype=object)
    out[~absent] = values[~absent].astype(value_dtype).astype(object)
    return out


def holds(dtype, values):
    """Whether an integer dtype of NumPy has room for the values."""
    lowest = np.fmin.reduce(values, axis=None, initial=0)
    highest = np.fmax.reduce(values, axis=None, initial=0)
    return lowest >= np.iinfo(dtype).min and highest <= np.iinfo(dtype).max


def unused_name(names):
    """A name for one more column: text if all names are, else a number."""
    candidates = count(len(names))
    if all(isinstance(name, str) for name in names):
        candidates = chain(["label"], map("label_{}".format, count(1)))
    return next(name for name in candidates if name not in names)


@stateful
class ArrayTable:
    """A two-dimensional array, or what scikit-learn makes one of."""

    is_frame = False

    def __init__(self, X):
        X = plain(X)
        if np.ndim(X) > 2:
            raise ValueError(
                f"Found array with dim {np.ndim(X)}, while dim <= 2 is required; give "
                "X.reshape(len(X), -1)."
            )
        array = check_array(X, dtype=None, ensure_all_finite=False)
        self.source = array.astype(object) if array.dtype.kind in "US" else array
        self.names = list(range(array.shape[1]))
        self.n_rows = len(array)

    def dtype(self, j):
        return self.source.dtype

    def cells(self, j):
        values = self.source[:, j]
        return object_cells(values) if values.dtype == object else numeric_cells(values)

    def append(self, values):
        """X with one more column, of floats."""
        dtype = np.dtype(object)
        if self.source.dtype.kind in "biufc":
            dtype = np.result_type(self.source.dtype, np.float32)
        columns = [self.source, values[:, np.newaxis]]
        return np.concatenate(columns, axis=1, dtype=dtype)

    @staticmethod
    def build(columns, decoded, like=None):
        """Numbers in the dtype of X, float64 if it cannot hold them; else objects."""
        # Columns of a frame that are asked for as an array differ in their dtypes.
        dtypes = {column.dtype for column in columns}
        if dtypes == {OBJECT} or any(values.dtype == OBJECT for values in decoded):
            objects = [
                python_objects(values, column.value_dtype)
                for column, values in zip(columns, decoded, strict=True)
            ]
            return np.stack(objects, axis=1)
        out = np.stack(decoded, axis=1)
        dtype = dtypes.pop() if len(dtypes) == 1 else None
        if not isinstance(dtype, np.dtype) or dtype.kind not in "biuf":
            return out
        fits = dtype.kind == "f" or not np.isnan(out).any()
        if dtype.kind in "iu":
            fits = fits and holds(dtype, out)
        return out.astype(dtype) if fits else out


@stateful
class PandasTable:
    """A pandas DataFrame with dtypes of NumPy, pandas or Arrow."""

    is_frame = True

    def __init__(self, X):
        self.source = X
        self.names = list(X.columns)
        self.n_rows = len(X)
        self.dtypes = X.dtypes.tolist()  # each question for them makes a Series

    @cached_property
    def columns(self):
        """All at once, which takes less than one after the other."""
        return [column for _, column in self.source.items()]

    def has_labels(self, names):
        """Whether the columns are named so, NaN being like NaN."""
        import pandas as pd

        return self.source.columns.equals(pd.Index(names))

    def dtype(self, j):
        return self.dtypes[j]

    def cells(self, j):
        import pandas as pd

        column, dtype = self.columns[j], self.dtypes[j]
        if isinstance(dtype, np.dtype) and dtype.kind in "iuf":
            return Cells("number", column.to_numpy(dtype=np.float64))
        if isinstance(dtype, pd.CategoricalDtype):
            return category_cells(column.cat.codes.to_numpy(), dtype.categories)
        if pd.api.types.is_bool_dtype(dtype):
            return boolean_cells(column.to_numpy(dtype=np.float64, na_value=np.nan))
        if dtype.kind in "mM" or isinstance(dtype, pd.PeriodDtype):
            return Cells("date", np.where(column.isna(), np.nan, 0.0))
        if pd.api.types.is_numeric_dtype(dtype) and dtype.kind != "c":
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
            return Cells("number", values)
        return object_cells(column.to_numpy(dtype=object))

    def column(self, j):
        """The column j as it was given, an iterable."""
        return self.columns[j]

    def is_numeric(self, j):
        """Whether scikit-learn makes numbers of the column."""
        import pandas as pd

        dtype = self.dtype(j)
        return pd.api.types.is_numeric_dtype(dtype) and dtype.kind != "c"

    def replaced(self, columns):
        """X with other columns {position: floats}."""
        X = self.source.copy(deep=False)
        for j, values in columns.items():
            X.isetitem(j, values)
        return X

    def append(self, values):
        """X with one more column, of floats."""
        X = self.source.copy(deep=False)
        X[unused_name(self.names)] = values
        return X

    @staticmethod
    def build(columns, decoded, like=None):
        """A DataFrame with the index of `like`, if that is a DataFrame."""
        import pandas as pd

        index = like.index if isinstance(like, pd.DataFrame) else None
        series = {
            j: PandasTable._series(column, values, index)
            for j, (column, values) in enumerate(zip(columns, decoded, strict=True))
        }
        frame = pd.DataFrame(series, index=index)
        frame.columns = pd.Index([column.name for column in columns])
        if index is not None:
            frame.columns.names = like.columns.names
        return frame

    @staticmethod
    def _series(column, values, index):
        import pandas as pd

        dtype = column.dtype
        if dtype == OBJECT:
            values = python_objects(values, column.value_dtype)
        elif isinstance(dtype, pd.CategoricalDtype):
            values = pd.Categorical(values, dtype=dtype)
        elif values.dtype != OBJECT:
            dtype = PandasTable._roomy(dtype, values)
            return pd.Series(values, index=index).astype(dtype)
        return pd.Series(values, index=index, dtype=dtype)

    @staticmethod
    def _roomy(dtype, values):
        """A dtype that can hold the values: nullable, or with more bits, if need be."""
        import pandas as pd

        if isinstance(dtype, pd.SparseDtype) and np.isnan(values).any():
            return pd.SparseDtype(np.float64)
        plain = dtype if isinstance(dtype, np.dtype) else None
        integers = plain or getattr(dtype, "numpy_dtype", OBJECT)
        if integers.kind in "iu" and not holds(integers, values):
            dtype = plain = np.dtype(np.int64)
        if plain is not None and plain.kind in "biu" and np.isnan(values).any():
            return pd.array(np.zeros(0, plain)).dtype
        return dtype


@stateful
class PolarsTable:
    """A polars DataFrame."""

    is_frame = True

    def __init__(self, X):
        self.source = X
        self.names = X.columns
        self.n_rows = len(X)

    def dtype(self, j):
        return self.source.dtypes[j]

    def cells(self, j):
        import polars as pl

        column, dtype = self.source.to_series(j), self.dtype(j)
        if dtype.is_numeric() or dtype == pl.Boolean:
            values = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
            is_boolean = dtype == pl.Boolean
            return boolean_cells(values) if is_boolean else Cells("number", values)
        if dtype.is_temporal():
            return Cells("date", np.where(column.is_null().to_numpy(), np.nan, 0.0))
        if isinstance(dtype, pl.Enum):
            codes = column.to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
            return category_cells(codes, dtype.categories.to_list())
        cells = object_cells(as_objects(column.to_list()))
        # The categories of polars' other categorical dtype are in no order.
        return cells._replace(sort="category") if dtype == pl.Categorical else cells

    def column(self, j):
        """The column j as it was given, an iterable."""
        return self.source.to_series(j)

    def is_numeric(self, j):
        """Whether scikit-learn makes numbers of the column."""
        import polars as pl

        return self.dtype(j).is_numeric() or self.dtype(j) == pl.Boolean

    def replaced(self, columns):
        """X with other columns {position: floats}."""
        import polars as pl

        series = [pl.Series(self.names[j], values) for j, values in columns.items()]
        return self.source.with_columns(series)

    def append(self, values):
        """X with one more column, of floats."""
        import polars as pl

        series = pl.Series(unused_name(self.names), values, nan_to_null=True)
        return self.source.with_columns(series)

    @staticmethod
    def build(columns, decoded, like=None):
        """A DataFrame; `like` has nothing to add."""
        import polars as pl

        return pl.DataFrame(
            [
                PolarsTable._series(column, values)
                for column, values in zip(columns, decoded, strict=True)
            ]
        )

    @staticmethod
    def _series(column, values):
        import polars as pl

        name, dtype = column.name, column.dtype
        if values.dtype == object:
            return pl.Series(name, values.tolist(), dtype=pl.String).cast(dtype)
        series = pl.Series(name, values, nan_to_null=True)
        try:
            return series.cast(dtype)
        except pl.exceptions.InvalidOperationError:
            # An integer with too few bits, or Python objects, which nothing casts to.
            return series.cast(pl.Int64) if dtype.is_integer() else series
