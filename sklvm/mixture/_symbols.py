"""Discrete rows as sparse rows of symbols, each of a group of features."""

from copy import copy
from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from sklvm.mixture._rows import chunk_size, is_memory_map
from sklvm.mixture.families.joint import (
    DiscreteComponents,
    group_features,
    in_batches,
)
from sklvm.mixture.families.product import JointBlocks, Unit

# Numbers of a table of log-probabilities that a processor's cache holds.
TABLE_SIZE = 320_000
# Rows that tell how often groups show their symbol 0.
SAMPLE = 2000
# Cells of a table below which the work on the groups' tables is more than is saved.
LEAST_CELLS = 50_000
# Least number of features in a group, in the mean, for which groups pay.
LEAST_FEATURES = 3


def in_groups(mixture, rows, n_levels, batch_size):
    """The mixture and its rows with features in groups, where that pays.

    `n_levels` is the number of values of each feature; a missing value is one more.
    """
    if sp.issparse(rows.take(slice(0, 1))) or np.prod(rows.shape) < LEAST_CELLS:
        return mixture, rows
    n_levels = np.asarray(n_levels) + mixture.components.missing
    most = min(TABLE_SIZE // mixture.n_components, rows.shape[0])
    for bits in range(12, 2, -1):
        groups = group_features(n_levels, 2**bits)
        if groups.offsets[-1] <= most:
            break
    if groups.offsets[-1] > most or len(n_levels) < LEAST_FEATURES * len(groups.starts):
        return mixture, rows
    groups = in_batches(groups)
    few = slice(0, None, 1 + rows.shape[0] // SAMPLE)
    shown = np.count_nonzero(_symbols(rows.take(few), groups), axis=1).mean()
    n_groups = len(groups.starts)
    groups = groups._replace(sparse=bool(2 * shown < n_groups))
    row_entries = int(np.ceil(shown)) if groups.sparse else n_groups
    data = SymbolRows(rows.data, groups, row_entries)
    components = copy(mixture.components)
    components.groups = groups
    size = chunk_size(2 * row_entries + mixture.n_components, data.dtype)
    size = batch_size or min(size, -(-rows.shape[0] // 4))
    mixture = replace(mixture, components=components)
    return mixture, rows.stored_as(data, rows.sample_weight, size)


def blocks_in_groups(mixture, rows, batch_size):
    """A product and its rows with all discrete blocks in groups, where that pays."""
    product = mixture.components
    is_discrete = [isinstance(part, DiscreteComponents) for part in product.parts]
    if not any(is_discrete):
        return mixture, rows
    blocks = np.flatnonzero(is_discrete).tolist()
    order = np.arange(product.n_features)
    columns = np.concatenate([order[product.columns[b]] for b in blocks])
    joint = JointBlocks([product.parts[b] for b in blocks])
    alone = rows.stored_as(
        ColumnsOf(rows.data, columns), rows.sample_weight, rows.shape[0]
    )
    grouped = replace(mixture, components=joint)
    grouped, alone = in_groups(grouped, alone, joint.n_levels, batch_size)
    if not isinstance(alone.data, SymbolRows):
        return mixture, rows
    units = [unit for unit in product.units if unit.blocks[0] not in blocks]
    data = [ColumnsOf(rows.data, unit.columns) for unit in units] + [alone.data]
    row_size = 2 * alone.data.row_entries
    row_size += sum(unit.components.row_size(mixture.n_components) for unit in units)
    product = copy(product)
    product.joined = [*units, Unit(grouped.components, blocks, columns)]
    size = batch_size or chunk_size(row_size, rows.dtype)
    rows = rows.stored_as(UnitRows(rows.data, data), rows.sample_weight, size)
    return replace(mixture, components=product), rows


class ColumnsOf:
    """Some columns of an array, chunk by chunk."""

    def __init__(self, data, columns):
        self.data, self.columns = data, columns
        self.shape = data.shape[0], data[:1][:, columns].shape[1]
        self.dtype = data.dtype

    def __getitem__(self, rows):
        return self.data[rows][:, self.columns]


class UnitRows:
    """Rows as a list, with what each unit of a product reads."""

    def __init__(self, data, units):
        self.shape, self.dtype, self.units = data.shape, data.dtype, units

    def __getitem__(self, rows):
        return [unit[rows] for unit in self.units]


class SymbolRows:
    """Rows as sparse indicators of their symbols.

    Chunks are made once, and again for each pass where the rows are in a memory map.
    """

    def __init__(self, data, groups, row_entries):
        self.data, self.groups, self.row_entries = data, groups, row_entries
        self.shape, self.dtype = (data.shape[0], int(groups.offsets[-1])), data.dtype
        self._chunks = None if is_memory_map(getattr(data, "X", data)) else {}

    def __getitem__(self, rows):
        key = rows.start, rows.stop
        if self._chunks is not None and key in self._chunks:
            return self._chunks[key]
        symbols = _symbols(self.data[rows], self.groups)
        chunk = _indicators(symbols, self.groups, self.dtype)
        if self._chunks is not None:
            self._chunks[key] = chunk
        return chunk


def _symbols(X, groups):
    """Symbols (n, G) of a chunk of rows."""
    missing = np.isnan(X)
    if missing.any():
        last = np.broadcast_to(groups.n_levels - 1, X.shape)
        X = np.where(missing, last.astype(X.dtype), X)
    symbols = np.empty((len(X), len(groups.starts)), np.int32)
    for shape, features, _ in groups.batches:
        # A product of floats, which hold a symbol exactly, is five times as fast.
        strides = np.cumprod([1, *shape[:-1]]).astype(X.dtype)
        which = np.searchsorted(groups.starts, features[:, 0])
        levels = _columns(X, features.ravel()).reshape(-1, len(shape))
        symbols[:, which] = (levels @ strides).reshape(len(X), -1)
    return symbols


def _columns(X, features):
    """These columns of X, without a copy where they are all or adjacent."""
    first = features[0]
    if features[-1] - first + 1 == len(features):
        return X[:, first : first + len(features)]
    return X.take(features, axis=1)


def _indicators(symbols, groups, dtype):
    """Sparse rows with a 1 for each symbol, but for the symbol 0 if it is left out."""
    n, n_groups = symbols.shape
    if groups.sparse:
        shown = np.flatnonzero(symbols)
        columns = symbols.ravel()[shown]
        columns += groups.offsets[:-1].astype(np.int32)[shown % n_groups]
        indptr = np.searchsorted(shown, n_groups * np.arange(n + 1))
    else:
        columns = (symbols + groups.offsets[:-1].astype(np.int32)).ravel()
        indptr = n_groups * np.arange(n + 1)
    parts = np.ones(len(columns), dtype), columns, indptr.astype(np.int32)
    return sp.csr_array(parts, shape=(n, int(groups.offsets[-1])))
