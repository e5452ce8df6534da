"""Where rows lie that need not be in memory. Knows no model."""

import os
import sys
from abc import ABC, abstractmethod
from functools import partial
from os import PathLike
from types import FunctionType, MethodType

import numpy as np

from sklvm.columns._forms import ENDINGS

CHUNK_BYTES = 2**23
MOST_ROWS = 2**18
FUNCTIONS = (FunctionType, MethodType, partial)


def rows_in_chunk(n_columns):
    """Rows of float64 that make a chunk of 8 MB."""
    return int(np.clip(CHUNK_BYTES // (8 * max(n_columns, 1)), 1024, MOST_ROWS))


class RowSource(ABC):
    """Rows that can be read again and again, in chunks.

    A subclass supplies `chunks`. All passes have to give the same rows; their order is
    free, as all sums over rows are.

    Attributes
    ----------
    n_rows : int or None
        Number of rows, if it is known before they are read.
    columns : list of str or None
        Names of the columns, if they have names.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvm import GaussianMixtureEM
    >>> from sklvm.sources import RowSource
    >>> class Simulated(RowSource):
    ...     def chunks(self):
    ...         for seed in range(10):
    ...             rng = np.random.default_rng(seed)
    ...             yield rng.normal(size=(1000, 2)) + rng.choice([-4, 4], (1000, 1))
    >>> model = GaussianMixtureEM(n_components=2, random_state=0).fit(Simulated())
    >>> np.sort(model.means_[:, 0]).round().tolist()
    [-4.0, 4.0]
    >>> np.concatenate(list(model.predict(Simulated()))).shape
    (10000,)
    """

    n_rows: int | None = None
    columns: list | None = None

    @abstractmethod
    def chunks(self):
        """A fresh iterator over all rows: arrays, sparse matrices or DataFrames."""

    def first(self):
        """A table with the first rows, one at least."""
        return next(tables_of(self))

    def sum(self, function, add):
        """`function(table)` of all chunks, added by `add(one, other)` in order.

        None of a source without rows.
        """
        sums = None
        for table in self.filled_chunks():
            terms = function(table)
            sums = terms if sums is None else add(sums, terms)
        return sums

    def filled_chunks(self):
        """`chunks`, but for those without rows."""
        return (table for table in self.chunks() if n_rows(table))


def tables_of(source):
    """`filled_chunks` of a source that has to have some."""
    table = None
    for table in source.filled_chunks():
        yield table
    if table is None:
        raise ValueError("X has no rows; give a source with at least one.")


def n_rows(table):
    """Number of rows of a chunk, whatever it is."""
    if hasattr(table, "shape") and len(table.shape) > 0:
        return table.shape[0]
    if isinstance(table, list | tuple):
        return len(table)
    raise TypeError(
        f"A chunk of X is a {type(table).__name__} and no table of rows; give arrays "
        "or DataFrames."
    )


class ChunkSource(RowSource):
    """Rows from a function.

    Parameters
    ----------
    function : callable
        `function()` returns a fresh iterator over chunks of rows: arrays, sparse
        matrices or DataFrames, all with the same columns.
    n_rows : int, default=None
        Number of rows. If given, a pass that has another is an error.

    Examples
    --------
    >>> import io
    >>> import pandas as pd
    >>> from sklvm import GaussianMixtureEM
    >>> from sklvm.sources import ChunkSource
    >>> text = "width,height\\n" + "1.5,2.1\\n1.2,2.7\\n8.3,5.6\\n8.8,5.1\\n" * 50
    >>> rows = ChunkSource(lambda: pd.read_csv(io.StringIO(text), chunksize=30))
    >>> model = GaussianMixtureEM(n_components=2, random_state=0).fit(rows)
    >>> model.feature_names_in_.tolist()
    ['width', 'height']
    """

    def __init__(self, function, n_rows=None):
        self.function, self.n_rows = function, n_rows

    def chunks(self):
        chunks = self.function()
        if hasattr(chunks, "shape") or not hasattr(chunks, "__iter__"):
            raise TypeError(
                f"The function returns a {type(chunks).__name__}; let it return an "
                "iterator over tables."
            )
        try:
            yield from chunks
        finally:
            # pandas.read_csv leaves its file open if it is not read to the end.
            if hasattr(chunks, "__next__") and hasattr(chunks, "close"):
                chunks.close()


class SliceSource(RowSource):
    """Rows of anything that has a shape and gives arrays for slices.

    Parameters
    ----------
    array : object with `shape`, `dtype` and slices
        Such as an array of HDF5, zarr or TensorStore.
    """

    def __init__(self, array):
        self.array = array
        if len(array.shape) != 2:
            raise ValueError(
                f"X has the shape {tuple(array.shape)}; give an array of two axes, "
                "rows and columns."
            )
        self.n_rows = array.shape[0]

    def chunks(self):
        n = rows_in_chunk(self.array.shape[1])
        # Whole chunks of the file, as each of them is read and unpacked as a whole.
        stored = (getattr(self.array, "chunks", None) or (1,))[0]
        n = max(n // stored, 1) * stored if stored <= MOST_ROWS else n
        for start in range(0, self.n_rows, n):
            yield np.asarray(self.array[start : start + n])


def _adapters():
    """(class of a library that is loaded, adapter), one after the other."""
    from sklvm.sources._arrow import DatasetSource, ParquetSource
    from sklvm.sources._dask import DaskArraySource, DaskFrameSource
    from sklvm.sources._polars import LazyFrameSource

    for module, name, adapter in (
        ("pyarrow.dataset", "Dataset", DatasetSource),
        ("pyarrow.parquet", "ParquetFile", ParquetSource),
        ("polars", "LazyFrame", LazyFrameSource),
        ("dask.dataframe", "DataFrame", DaskFrameSource),
        ("dask.array", "Array", DaskArraySource),
        ("h5py", "Dataset", SliceSource),
        ("zarr", "Array", SliceSource),
    ):
        if (library := sys.modules.get(module)) is not None:
            yield getattr(library, name, ()), adapter


def _is_path(X):
    if isinstance(X, str):
        return X.endswith(ENDINGS) or os.path.isdir(os.path.expanduser(X))
    return isinstance(X, PathLike)


def as_source(X):
    """X as a `RowSource`, or None if it is a table in memory."""
    if type(X) is np.ndarray or isinstance(X, RowSource):
        return X if isinstance(X, RowSource) else None
    if isinstance(X, FUNCTIONS):
        return ChunkSource(X)
    if isinstance(X, list | tuple) and len(X) and _is_path(X[0]):
        raise TypeError(
            f"X is a {type(X).__name__} of paths; give pyarrow.dataset.dataset(X), or "
            "the path of the folder of these files."
        )
    if _is_path(X):
        from sklvm.sources._arrow import source_of_path

        return source_of_path(X)
    if hasattr(X, "__next__"):
        raise TypeError(
            f"X is a {type(X).__name__}, which can be read once, and no table of rows; "
            "give a function that returns a fresh one."
        )
    for kind, adapter in _adapters():
        if isinstance(X, kind):
            return adapter(X)
    return None


def split_weight(table, column):
    """A table without the column of weights, and this column as an array."""
    check_weight_column(column)
    if column is None:
        return table, None
    if not hasattr(table, "columns") or column not in list(table.columns):
        raise ValueError(
            f"sample_weight={column!r} is no column of X; for rows that are read in "
            "chunks, weights are a column of them."
        )
    return without_columns(table, [column]), np.asarray(table[column])


def without_columns(table, names):
    """A DataFrame of pandas or polars without these columns."""
    is_pandas = hasattr(table, "iloc")
    return table.drop(columns=names) if is_pandas else table.drop(names)


def weighted_tables(X, sample_weight):
    """(table, weight) of each chunk of a source; of a table in memory, the one."""
    source = as_source(X)
    if source is None:
        return [(X, sample_weight)]
    check_weight_column(sample_weight)
    return (split_weight(table, sample_weight) for table in tables_of(source))


def check_weight_column(sample_weight):
    if sample_weight is not None and not isinstance(sample_weight, str):
        raise TypeError(
            f"sample_weight is a {type(sample_weight).__name__}; for rows that are "
            "read in chunks, give the name of a column of weights."
        )
