"""Rows of a source, of which a chunk at a time is in memory."""

import threading
from copy import copy
from functools import partial

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing

from sklvm._base import (
    added_weighted_sums,
    check_chunk_weight,
    n_rows_of,
    weighted_sums,
)
from sklvm.mixture._checks import observed_entries
from sklvm.mixture._rows import MemoryRows, Rows, added, single_threaded_blas
from sklvm.mixture._sample import row_hashes
from sklvm.sources._source import split_weight

# What rounding may make of the sum of all values from pass to pass, and, as a query may
# add in any order, of each of them in units of its last digit.
OF_SUM, OF_VALUE = 1e-12, 1e3
# The workspaces of threads that are not this package's: they keep them from table to
# table, as Dask has its workers give freed memory back, which is dear to have again.
_workspaces = threading.local()


class Reader:
    """Tables of a source as rows and weights.

    Parameters
    ----------
    read : callable
        `read(table)` gives checked rows; for other machines, it can be pickled.
    weight_column : str or None
    table : object
        The first rows; the dtype of the others is theirs.

    Attributes
    ----------
    few : ndarray or sparse matrix
        The first row, as it was read.
    """

    def __init__(self, read, weight_column, table):
        self.read, self.weight_column = read, weight_column
        self.dtype = None
        data, _ = self(table)
        self.shape, self.dtype = data.shape, data.dtype
        self.few = data[:1]

    def __call__(self, table):
        table, weight = split_weight(table, self.weight_column)
        data = self._read_present(table, weight)
        if self.dtype is not None and data.dtype != self.dtype:
            raise ValueError(
                f"X has chunks of {self.dtype} and of {data.dtype}; give all of them "
                "in one dtype."
            )
        return data, None if weight is None else check_chunk_weight(weight)

    def _read_present(self, table, weight):
        """Checked rows; one of weight 0, whatever is in it, is a copy of another."""
        if weight is None or (weight != 0).all():
            return self.read(table)
        present = np.flatnonzero(weight != 0)
        if len(present):
            at = np.maximum(np.cumsum(weight != 0) - 1, 0)
            return self.read(_safe_indexing(table, present))[at]
        if self.dtype is None:
            return self.read(table)
        return np.full((len(weight), self.shape[1]), np.nan, dtype=self.dtype)


class SourceRows(Rows):
    """Rows of a `RowSource`, read anew in each pass.

    Parameters
    ----------
    source : RowSource
    reader : Reader
    batch_size : int
        Most rows in one of the pieces into which chunks are cut for threads.
    n_threads : int
    """

    sample_weight = None  # a column, which comes with the chunks

    def __init__(self, source, reader, *, batch_size, n_threads=1):
        self.source, self.reader = source, reader
        self.batch_size, self.n_threads = batch_size, n_threads
        self.dtype = reader.dtype
        self.shape = (source.n_rows, reader.shape[1])
        self.weight_unit = 1.0
        self.row_weight = 1.0  # what is divided by beforehand, as by `in_rows`
        self.stop = threading.Event()
        self._opened, self._total = None, None
        self._look()

    def _look(self):
        """The first pass: what the rows are, all of them checked."""
        sums, largest, missing, observed = self.sum(
            _look_at, (added_weighted_sums, np.fmax, np.logical_or, np.add)
        )
        _, weight, _, unit, are_whole = sums
        if not weight > 0:
            raise ValueError(
                "sample_weight is 0 for every row; give at least one row a positive "
                "weight."
            )
        self.total_weight = float(n_rows_of(sums))
        self.observed_weight = observed if missing else None
        if not are_whole:
            self.row_weight = float(np.ldexp(weight / self.total_weight, unit))
        elif not 1e-6 < largest < 1e6:
            # Products with float32 must not vanish or overflow; 2^m rounds nothing.
            self.weight_unit = np.exp2(np.round(np.log2(largest)))

    def of_size(self, batch_size):
        """The same rows in pieces of another size."""
        rows = copy(self)
        rows.batch_size = batch_size
        return rows

    def n_side_by_side(self, n_runs):
        return 1  # each would read all rows for itself

    def __enter__(self):
        self._opened = self._of_memory()
        self._opened.open(self.n_threads)
        self._thread = threading.get_ident()
        return self

    def __exit__(self, *error):
        self._opened.__exit__(*error)
        self._opened = None

    def __copy__(self):
        rows = object.__new__(type(self))
        rows.__dict__.update(self.__dict__)
        return rows

    def __getstate__(self):
        # What workers on other machines need, one chunk after the other.
        units = ("weight_unit", "row_weight")
        kept = ("reader", "batch_size", *units, "shape", "dtype")
        return {name: getattr(self, name) for name in kept}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.n_threads, self.stop, self._opened = 1, threading.Event(), None

    def _of_memory(self, workspaces=None):
        rows = MemoryRows(
            np.empty((1, self.shape[1]), self.dtype),
            batch_size=self.batch_size,
            n_threads=self.n_threads,
            workspaces=workspaces,
        )
        rows.stop = self.stop
        return rows

    def _in_memory(self, table):
        """The rows of one table."""
        data, weight = self.reader(table)
        if weight is not None:
            weight = weight / self.row_weight / self.weight_unit
        # Threads of Dask share this object, but not its workspace.
        is_own = self._opened is not None and self._thread == threading.get_ident()
        rows = self._opened if is_own else self._of_memory(_workspaces)
        return rows.stored_as(data, weight, self.batch_size)

    def sum(self, function, add=np.add):
        sums = self.source.sum(
            partial(_part_sum, self, function, add), partial(_both, add)
        )
        n, total, largest, *sums = (0, 0.0, 0.0) if sums is None else sums
        if n == 0 or n != (self.shape[0] or n):
            raise ValueError(
                f"X gave {n} rows in one pass and {self.shape[0] or 'some'} in another;"
                " give a source whose passes all have the same rows."
            )
        self.shape = (n, self.shape[1])
        self._check_same(total, largest)
        return tuple(sums)

    def _check_same(self, total, largest):
        """The sum of all values is that of the first pass, but for rounding."""
        if self._total is None:
            self._total = total
        n_values = self.shape[0] * self.shape[1]
        of_values = OF_VALUE * np.finfo(self.dtype).eps * np.sqrt(n_values)
        if abs(total - self._total) > largest * (OF_SUM * n_values + of_values):
            raise ValueError(
                f"X gave values with the sum {total:.9g} in one pass and "
                f"{self._total:.9g} in another; give a source whose passes all have "
                "the same rows, as by a seed that is the same in each."
            )

    def digest(self):
        """A number that tells these rows and weights from others, in any order."""
        factors = np.random.RandomState(0).randint(
            0, 2**64, self.shape[1] + 1, dtype=np.uint64
        )
        (total,) = self.sum(partial(_hash_sum, factors | np.uint64(1)))
        return total


def _part_sum(rows, function, add, table):
    """The number of rows of a table, the sum and the largest of values, their sums."""
    with single_threaded_blas():  # workers elsewhere have not set it
        own = rows._in_memory(table)
        total, largest = _total(own.data, own.sample_weight)
        return (own.shape[0], total, largest, *own.sum(function, add))


def _both(add, one, other):
    adders = add if isinstance(add, tuple) else (add,) * (len(one) - 3)
    return added(one, other, (np.add, np.add, np.fmax, *adders))


def _total(data, weight):
    """Sum and largest size of the observed values; without rows of weight 0."""
    all_count = weight is None or weight.all()
    data = data[:] if all_count else data[np.flatnonzero(weight)]
    values = data.data if issparse(data) else data
    total = values.sum(dtype=np.float64)
    if np.isnan(total):
        values = values[~np.isnan(values)]
        total = values.sum(dtype=np.float64)
    largest = max(values.max(initial=0), -values.min(initial=0))
    return total, float(largest)


def _look_at(X, weight, workspace):
    n = X.shape[0]
    largest = 1 if weight is None else weight.max(initial=0)
    sums = weighted_sums(np.zeros(n), weight)
    missing, observed = False, 0
    if not issparse(X):
        missing, observed = observed_entries(X, weight)
    return sums, largest, missing, observed


def _hash_sum(factors, X, weight, workspace):
    hashes = row_hashes(X, factors[1:])
    if weight is not None:
        hashes ^= row_hashes(weight[:, np.newaxis], factors[:1])
    return (hashes.sum(keepdims=True),)  # as an array, whose sums may wrap around
