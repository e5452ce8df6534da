"""The canonical sample: a few thousand rows that stand for all of them.

It is a function of the weighted set of distinct rows: their order, their chunks and the
number of workers leave it unchanged, so that all that follows from it is the same, too.
Each row has a key, an exponential variate made of its values alone over what the row
may weigh, and those of the least keys are kept: samples of parts merge to the sample of
the whole. What is kept is weighed by its exact weight over its chance to be kept, as in
Cohen and Kaplan (2007), Summarizing data using bottom-k sketches.

What a row may weigh is known from a first pass, a count-min sketch (Cormode and
Muthukrishnan, 2005): sums of weights by parts of the hash. A row with a large share is
known by it, and kept for certain; all others count as the average row.
"""

from functools import partial, singledispatch
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse, vstack

from sklvm.mixture._rows import chunk_size

N_TABLES, N_BITS = 3, 15
# A row is large if it weighs so many times the weight for which one row is kept. By
# chance, rows share a part of the hash with an eighth of it.
LARGE = 0.5


class Sample(NamedTuple):
    """A few rows, with weights of mean one, that stand for all of them."""

    rows: Any
    sample_weight: np.ndarray
    total_weight: float

    def of(self, kept):
        """The rows of a mask, or all without one."""
        if kept is None:
            return self
        return Sample(self.rows[kept], self.sample_weight[kept], self.total_weight)

    def subsampled(self, size):
        """About `size` of the rows, equally spaced, if all weigh the same."""
        step = len(self.sample_weight) // int(size)
        if step < 2 or np.ptp(self.sample_weight) > 0:
            return self
        weight = self.sample_weight[::step]
        return Sample(self.rows[::step], weight, self.total_weight)


def ranges(rows):
    """Least and greatest value of each feature among the rows with a weight."""

    def of_chunk(X, weight, workspace):
        return ranges_of(X if weight is None else X[weight > 0])

    return rows.sum(of_chunk, add=(np.fmin, np.fmax))


@singledispatch
def ranges_of(X):
    """Least and greatest value of each feature of a chunk; registers other chunks."""
    if issparse(X):
        empty = X.shape[0] == 0
        extremes = (np.inf, -np.inf) if empty else (X.min(axis=0), X.max(axis=0))
        return tuple(_dense(x, X.shape[1]) for x in extremes)
    low = np.fmin.reduce(X, axis=0, initial=np.inf)
    high = np.fmax.reduce(X, axis=0, initial=-np.inf)
    return low.astype(np.float64), high.astype(np.float64)


def _dense(values, size):
    values = values.toarray() if issparse(values) else values
    return np.broadcast_to(np.ravel(values), size).astype(np.float64)


def canonical_sample(rows, size, rng):
    """Distinct rows and their weights, or `size` of them if there are more."""
    directions = rng.normal(size=(2, rows.shape[1]))
    factors = rng.randint(0, 2**64, size=rows.shape[1], dtype=np.uint64) | np.uint64(1)
    # Whatever the model's chunks: small ones would fill the tables anew too often.
    rows = rows.of_size(chunk_size(rows.shape[1], rows.dtype))
    kept = _Kept(size, factors, rows)
    ((hashes, keys, weights, found),) = rows.sum(kept.of_chunk, (kept.merged,))
    order = np.argsort(keys)
    if len(keys) > size:
        last, order = keys[order[size]], order[:size]
        sizes = kept.sizes(hashes[order])
        if np.ptp(sizes) > 0:
            weights[order] /= -np.expm1(-sizes * last)
    # Two sorts, as equal places in the projection must not depend on chunks.
    order = order[np.argsort(hashes[order])]
    order = order[np.argsort(_projection(found[order], *directions), kind="stable")]
    weights = weights[order] * (len(order) / weights[order].sum())
    return Sample(found[order], weights, rows.total_weight)


def _projection(X, direction, missing_direction):
    """Places of rows along a line: neighbours there have something in common."""
    # In units of the ranges, so that no feature drowns the digits of the others.
    low, high = ranges_of(X)
    slope = direction / np.where(high > low, high - low, 1)
    if issparse(X):  # sparse products go row after row
        return X @ slope
    products = (X - low) * slope
    np.copyto(products, missing_direction, where=np.isnan(products))
    return np.ascontiguousarray(products).sum(axis=1)  # BLAS would not do


@singledispatch
def row_hashes(X, factors):
    """A number of 64 bits for each row: of its values, whatever their dtype.

    Chunks that are no arrays register a function that gives the same.
    """
    values = np.add(X.data if issparse(X) else X, 0.0, dtype=np.float64)  # -0 is 0
    np.copyto(values, np.nan, where=np.isnan(values))  # which has one pattern of bits
    bits = values.view(np.uint64)
    bits ^= bits >> np.uint64(32)  # whole numbers have zeros there
    bits *= factors[X.indices] if issparse(X) else factors
    bits ^= bits >> np.uint64(29)
    if issparse(X):  # a zero adds nothing
        ends = np.concatenate([np.zeros(1, np.uint64), np.cumsum(bits)])
        return stirred(ends[X.indptr[1:]] - ends[X.indptr[:-1]])
    return stirred(bits.sum(axis=1))


def stirred(hashes):
    """The finaliser of MurmurHash3: each bit depends on all others."""
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        hashes ^= hashes >> np.uint64(33)
        hashes *= np.uint64(factor)
    return hashes ^ (hashes >> np.uint64(33))


def _buckets(hashes):
    """Places in the tables, (N_TABLES, n): each by other bits of the hash."""
    shifts = N_BITS * np.arange(N_TABLES, dtype=np.uint64)[:, np.newaxis]
    return ((hashes >> shifts) % np.uint64(2**N_BITS)).astype(np.intp)


class _Kept:
    """The rows of least key: how they are found in a chunk, and how two lots merge.

    A lot is a tuple (hashes, keys, weights, rows) with one row more than `size`, whose
    key tells the chances of the others.
    """

    def __init__(self, size, factors, rows):
        self.size, self.factors = size, factors
        # Of the hashes and keys that may be kept; spares work.
        self.hash_limit, self.limit = 2.0**64, np.inf
        self.average, self.tables = 1.0, None
        if rows.shape[0] > size:
            self._sketch(rows)

    def _sketch(self, rows):
        """The first pass: weights by parts of the hash, and that of an average row."""
        add = (np.add, self._least_hashes)
        self.tables, hashes = rows.sum(self._sketched, add)
        total, n_distinct = self.tables[0].sum(), len(hashes)
        if n_distinct == self.size:
            n_distinct = (self.size - 1) / (hashes[-1] / 2.0**64)
        self.average = total / n_distinct
        self.large = LARGE * total / self.size

    def _sketched(self, X, weight, workspace):
        hashes = row_hashes(X, self.factors)
        tables = [np.bincount(b, weight, 2**N_BITS) for b in _buckets(hashes)]
        is_kept = hashes <= self.hash_limit
        if weight is not None:
            is_kept &= weight > 0
        least = np.unique(hashes[is_kept])[: self.size]
        return np.array(tables, dtype=np.float64), least

    def _least_hashes(self, one, other):
        least = np.unique(np.concatenate([one, other]))[: self.size]
        if len(least) == self.size:
            self.hash_limit = min(self.hash_limit, least[-1])
        return least

    def sizes(self, hashes):
        """What each row may weigh, for the large ones; for all others the average."""
        if self.tables is None:
            return np.full(len(hashes), self.average)
        weights = np.take_along_axis(self.tables, _buckets(hashes), axis=1)
        at_most = weights.min(axis=0)
        return np.where(at_most > self.large, at_most, self.average)

    def of_chunk(self, X, weight, workspace):
        hashes = row_hashes(X, self.factors)
        # The tables have used up the bits.
        again = stirred(hashes + np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(16)
        uniform = (again + np.uint64(1)) / 2.0**48
        keys = -np.log(uniform) / self.sizes(hashes)
        is_kept = keys <= self.limit
        if weight is not None:
            is_kept &= weight > 0
        at = np.flatnonzero(is_kept)
        weights = np.ones(len(at)) if weight is None else weight[at]
        first, weights = self._least(hashes[at], keys[at], weights)
        at = at[first]
        return ((hashes[at], keys[at], weights, X[at]),)

    def merged(self, one, other):
        hashes, keys, weights = (
            np.concatenate(pair) for pair in zip(one[:3], other[:3], strict=True)
        )
        at, weights = self._least(hashes, keys, weights)
        n = len(one[0])
        parts = [one[3][at[at < n]], other[3][at[at >= n] - n]]
        join = partial(vstack, format="csr") if issparse(parts[0]) else np.concatenate
        return hashes[at], keys[at], weights, join(parts)

    def _least(self, hashes, keys, weights):
        """Where the distinct rows of least key stand first, and all their weight."""
        _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
        weights = np.bincount(inverse, weights)
        if len(first) > self.size + 1:
            least = np.argpartition(keys[first], self.size)[: self.size + 1]
            first, weights = first[least], weights[least]
        if len(first) > self.size:
            self.limit = min(self.limit, keys[first].max())
        order = np.argsort(first)
        return first[order], weights[order]
