"""Binary rows as EM reads them: thresholded, and in the shortest form that pays."""

from functools import singledispatch

import numpy as np
import scipy.sparse as sp

from sklvm.mixture._rows import is_memory_map

# Share of ones below which sparse products are faster than dense ones.
SPARSE_DENSITY = 0.15


# More distinct whole numbers than this are pixel values or counts, no codes.
MOST_CODES = 16


@singledispatch
def is_zero_one(values):
    """Whether all values are 0 or 1, in two fast passes; false where some are NaN.

    Like the two below, for arrays; rows that are none register what gives the same.
    """
    if not values.size:
        return True
    largest = values.max()
    if not (values.min() >= 0 and largest <= 1):
        return False
    return values.dtype.kind in "biu" or values.sum() == np.count_nonzero(values)


@singledispatch
def extremes(X):
    """The least and the greatest value of X."""
    values = X.data if sp.issparse(X) else X
    low, high = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)
    return (min(low, 0), max(high, 0)) if sp.issparse(X) else (low, high)


@singledispatch
def distinct_values(values):
    """Distinct values of a chunk, ascending."""
    if is_zero_one(values):
        return np.array([v for v in (0, 1) if (values == v).any()], dtype=float)
    values = np.unique(values)
    return values[~np.isnan(values)]


def observed_codes(X, batch_size=8192):
    """Distinct values of X, ascending; None where they are not few and whole."""
    codes = {0.0} if sp.issparse(X) else set()
    for start in range(0, X.shape[0], batch_size):
        chunk = X[start : start + batch_size]
        values = distinct_values(chunk.data if sp.issparse(chunk) else chunk)
        codes |= set(values[: MOST_CODES + 1].tolist())
        if len(values) > MOST_CODES or len(codes) > MOST_CODES:
            return None
        if (values != np.round(values)).any():
            return None
    return sorted(codes)


def with_values(X, values):
    """Sparse rows with other values; the indices are X's, not copies."""
    new = sp.csr_array(X.shape, dtype=values.dtype)
    new.data, new.indices, new.indptr = values, X.indices, X.indptr
    return new


class BinaryRows:
    """X above a threshold as 0, 1 and NaN, made chunk by chunk.

    Nothing of X is copied; the library's chunks are sparse where X is.
    """

    def __init__(self, X, threshold, dtype):
        self.X, self.threshold, self.dtype = X, threshold, dtype
        self.shape = X.shape

    def sparse(self):
        """Sparse rows as a whole; only the values are new, the indices are X's."""
        return with_values(self.X, self._ones(self.X.data))

    def _ones(self, values):
        if self.threshold is None:
            return values.astype(self.dtype, copy=False)
        return (values > self.threshold).astype(self.dtype)

    def __getitem__(self, rows):
        chunk = self.X[rows]
        if sp.issparse(chunk):
            return with_values(chunk, self._ones(chunk.data))
        if self.threshold is None:
            return chunk.astype(self.dtype, copy=False)
        ones = np.greater(chunk, self.threshold).astype(self.dtype)
        if chunk.dtype.kind == "f":
            ones[np.isnan(chunk)] = np.nan
        return ones


class SparseRows:
    """CSR rows whose chunks are views of it, each made once.

    Slices made by scipy copy, at a third of the cost of the products themselves.
    """

    def __init__(self, X):
        self.X, self.shape, self.dtype = X, X.shape, X.dtype
        self.row_entries = 1 + X.nnz // X.shape[0]
        self._chunks = {}

    def __getitem__(self, rows):
        if not isinstance(rows, slice):
            return self.X[rows]
        key = rows.start, rows.stop
        if key not in self._chunks:
            first, last, _ = rows.indices(self.shape[0])
            starts = self.X.indptr[first : last + 1]
            entries = slice(starts[0], starts[-1])
            # The constructor would look at all indices, and copy wide ones.
            chunk = sp.csr_array((last - first, self.shape[1]), dtype=self.dtype)
            chunk.data, chunk.indices = self.X.data[entries], self.X.indices[entries]
            chunk.indptr = starts - starts[0]
            self._chunks[key] = chunk
        return self._chunks[key]


def compact(rows, missing):
    """(data, sample_weight): distinct binary rows where that at least halves them."""
    data, sample_weight = rows.data, rows.sample_weight
    if sp.issparse(data.X):
        return SparseRows(data.sparse()), sample_weight
    patterns = distinct_rows(data, sample_weight, missing)
    return (data, sample_weight) if patterns is None else patterns


def sparse_rows(data):
    """The same rows in sparse form, if few enough entries are 1 and it pays."""
    if not isinstance(data, BinaryRows) or is_memory_map(data.X):
        return data
    n, n_features = data.shape
    limit = min(SPARSE_DENSITY * n * n_features, np.iinfo(np.int32).max)
    mask = np.greater(data.X, data.threshold or 0)
    if np.count_nonzero(mask) > limit:
        return data
    ones = np.flatnonzero(mask)
    starts = np.searchsorted(ones, n_features * np.arange(n + 1))
    columns = (ones % n_features).astype(np.int32)
    values = np.ones(len(ones), data.dtype)
    X = sp.csr_array((values, columns, starts.astype(np.int32)), shape=data.shape)
    return SparseRows(X)


def distinct_rows(data, sample_weight, missing, batch_size=8192):
    """Distinct rows with weights if that at least halves them, else None.

    Rows of up to 64 bits are packed into one integer each, and those are sorted.
    """
    n, n_features = data.shape
    n_bits = n_features * (1 + missing)
    if n_bits > 64:
        return None
    packed = np.zeros((n, 8), np.uint8)
    for start in range(0, n, batch_size):
        chunk = data[start : start + batch_size]
        bits = chunk == 1
        if missing:
            bits = np.hstack([bits, np.isnan(chunk)])
        bits = np.packbits(bits, axis=1)
        packed[start : start + batch_size, : bits.shape[1]] = bits
    keys, first, inverse = np.unique(
        packed.view(np.uint64).ravel(), return_index=True, return_inverse=True
    )
    if len(keys) > n / 2:
        return None
    weight = np.bincount(inverse, weights=sample_weight).astype(np.float64)
    return data[first], weight
