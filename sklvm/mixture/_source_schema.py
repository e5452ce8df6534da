"""What the columns of a table are of which a chunk at a time is in memory."""

from functools import partial

import numpy as np
from sklearn.utils import _safe_indexing

from sklvm._base import effective_sample_size
from sklvm.columns._stream import codes_of, merge_summaries, read_schema, summarise
from sklvm.columns._tables import read_table
from sklvm.mixture._rows import chunk_size
from sklvm.mixture._sample import canonical_sample
from sklvm.mixture._source_rows import Reader, SourceRows
from sklvm.sources._source import split_weight

# Most rows from which kinds are read.
SCHEMA_ROWS = 2**16


def source_schema(
    source, kinds, estimator_name, weight_column=None, parameter="components"
):
    """The `Schema` of all rows of a source, in three or four passes.

    `kinds` is what the estimator has for its `parameter` of this name.
    """
    first = source.first()
    names = read_table(split_weight(first, weight_column)[0]).names
    summaries = source.sum(partial(_summaries, weight_column, names), merge_summaries)
    reader = Reader(codes_of, weight_column, first)
    size = chunk_size(reader.shape[1], reader.dtype)
    rows = SourceRows(source, reader, batch_size=size)
    sample = canonical_sample(rows, SCHEMA_ROWS, np.random.RandomState(0))
    return read_schema(
        split_weight(first, weight_column)[0],
        summaries,
        *_as_rows(sample, weight_column is not None),
        kinds,
        estimator_name,
        parameter,
    )


def _summaries(weight_column, names, table):
    table, weight = split_weight(table, weight_column)
    if weight is not None:
        table = _safe_indexing(table, np.flatnonzero(weight != 0))
    return summarise(table, names)


def _as_rows(sample, is_weighted):
    """Rows as if they had been drawn, and weights where the user gave some."""
    n = len(sample.sample_weight)
    counts = sample.sample_weight * (sample.total_weight / n)
    if is_weighted:
        return sample.rows, counts * (effective_sample_size(counts) / counts.sum())
    if sample.total_weight > SCHEMA_ROWS:
        counts = sample.sample_weight * (SCHEMA_ROWS / n)
    return np.repeat(sample.rows, np.rint(counts).astype(np.intp), axis=0), None
