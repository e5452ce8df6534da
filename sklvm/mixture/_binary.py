"""Binary rows as EM reads them: thresholded, and in the shortest form that pays."""

import numpy as np
import scipy.sparse as sp

from sklvm.mixture._em import WeightedRows

# Share of ones below which sparse products are faster than dense ones.
SPARSE_DENSITY = 0.15


class BinaryRows:
    """X above a threshold as 0, 1 and NaN, made chunk by chunk.

    Nothing of X is copied; the library's chunks are sparse where X is.
    """

    def __init__(self, X, threshold, dtype):
        self.X, self.threshold, self.dtype = X, threshold, dtype
        self.shape = X.shape

    def __getitem__(self, rows):
        chunk = self.X[rows]
        if sp.issparse(chunk):
            chunk = chunk.astype(self.dtype)
            if self.threshold is not None:
                chunk.data = (chunk.data > self.threshold).astype(self.dtype)
            return chunk
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
            parts = self.X.data[entries], self.X.indices[entries], starts - starts[0]
            shape = (last - first, self.shape[1])
            self._chunks[key] = sp.csr_array(parts, shape=shape)
        return self._chunks[key]


def compact(sample, missing):
    """The same sample in the form on which EM is fastest.

    Distinct rows with weights where that at least halves it, sparse rows where most
    entries are 0; a memory map stays where it is unless its rows repeat.
    """
    if sp.issparse(sample.data.X):
        return WeightedRows(SparseRows(sample.data[:]), sample.sample_weight)
    patterns = distinct_rows(sample, missing)
    if patterns is not None:
        return patterns
    if missing or is_memory_map(sample.data.X):
        return sample
    return sparse_rows(sample)


def is_memory_map(X):
    """Whether the memory of X is a file's."""
    while isinstance(X, np.ndarray):
        if isinstance(X, np.memmap):
            return True
        X = X.base
    return False


def sparse_rows(sample):
    """The same sample with sparse rows, if few enough entries are 1."""
    data = sample.data
    n, n_features = data.shape
    limit = min(SPARSE_DENSITY * n * n_features, np.iinfo(np.int32).max)
    mask = np.greater(data.X, data.threshold or 0)
    if np.count_nonzero(mask) > limit:
        return sample
    ones = np.flatnonzero(mask)
    starts = np.searchsorted(ones, n_features * np.arange(n + 1))
    columns = (ones % n_features).astype(np.int32)
    values = np.ones(len(ones), data.dtype)
    X = sp.csr_array((values, columns, starts.astype(np.int32)), shape=data.shape)
    return WeightedRows(SparseRows(X), sample.sample_weight)


def distinct_rows(sample, missing, batch_size=8192):
    """Distinct rows with weights if that at least halves the sample, else None.

    Rows of up to 64 bits are packed into one integer each, and those are sorted.
    """
    data, sample_weight = sample.data, sample.sample_weight
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
    return WeightedRows(data[first], weight)
