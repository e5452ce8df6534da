"""The schema of a table that is not in memory.

A first pass gathers what has to be exact of each column: its sort, its labels, its
extremes. From a sample of the rows the kinds are read as from a table in memory, and
then compared with what the first pass has found.
"""

from dataclasses import replace
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from sklvm.columns._blocks import read_kinds
from sklvm.columns._cells import Cells, as_objects
from sklvm.columns._checks import (
    MAX_CATEGORIES,
    check_finite,
    check_new_column,
    refuse,
    unreadable,
)
from sklvm.columns._schema import Schema
from sklvm.columns._tables import read_table

FEW = 8192


class ColumnSummary(NamedTuple):
    """What chunks of a column hold."""

    sort: str | None  # None if nothing is observed
    values: frozenset | None  # labels or distinct numbers; None if they are many
    low: float
    high: float
    fraction: float | None  # one that is no whole number


def codes_of(table):
    """The cells of a chunk as numbers, without a schema: labels as their digests."""
    table = read_table(table)
    columns = [_codes(table.cells(j)) for j in range(len(table.names))]
    return np.stack(columns, axis=1)


def _codes(cells):
    if cells.labels is None:
        return cells.values
    codes = np.append([_digest(label) for label in cells.labels], np.nan)
    missing = np.isnan(cells.values)
    return codes[np.where(missing, -1, cells.values).astype(np.intp)]


def _digest(label):
    """48 bits, which float64 holds; of 1, 1.0 and True the same."""
    if isinstance(label, bool | np.bool_ | int | float | np.number):
        return float(label)
    digest = blake2b(str(label).encode(), digest_size=6).digest()
    return float(int.from_bytes(digest))


def summarise(table, names):
    """A `ColumnSummary` for each column of a chunk, which has these names."""
    table = read_table(table)
    if table.names != names:
        raise ValueError(
            f"X has chunks with the columns {names} and {table.names}; give the same "
            "columns in the same order in all."
        )
    summaries = []
    for j, name in enumerate(table.names):
        cells = table.cells(j)
        problem = unreadable(cells)
        if problem != "missing":
            refuse([(name, problem)])
        check_finite(name, cells)
        summaries.append(_summarise(cells))
    return tuple(summaries)


def _summarise(cells):
    x = cells.observed()
    if not len(x):
        return ColumnSummary(None, frozenset(), np.inf, -np.inf, None)
    if cells.labels is not None:
        at = np.unique(x.astype(np.intp))
        return ColumnSummary(
            cells.sort, _few(cells.labels[at].tolist()), np.inf, -np.inf, None
        )
    broken = x[np.rint(x) != x]
    fraction = broken[0] if len(broken) else None
    values = None
    if len(np.unique(x[:FEW])) <= MAX_CATEGORIES:
        values = _few(np.unique(x).tolist())
    return ColumnSummary(cells.sort, values, x.min(), x.max(), fraction)


def _few(values):
    return frozenset(values) if len(values) <= MAX_CATEGORIES else None


def merge_summaries(one, other):
    """The same of two lots of chunks."""
    return tuple(map(_both, one, other))


def _both(one, other):
    if one.sort is None or other.sort is None:
        return one if other.sort is None else other
    sort = one.sort
    if sort != other.sort:
        pair = {sort, other.sort}
        sort = "mixed" if pair & {"text", "category"} else "number"
        sort = "text" if pair == {"text", "category"} else sort
    values = None
    if one.values is not None and other.values is not None:
        values = _few(one.values | other.values)
    fraction = other.fraction if one.fraction is None else one.fraction
    low, high = min(one.low, other.low), max(one.high, other.high)
    return ColumnSummary(sort, values, low, high, fraction)


def read_schema(
    first,
    summaries,
    sample,
    sample_weight,
    kinds,
    estimator_name,
    parameter="components",
):
    """The schema of a source.

    Parameters
    ----------
    first : table
        Its first rows.
    summaries : tuple of ColumnSummary
        Of all rows.
    sample : ndarray of shape (n, n_features)
        Rows by `codes_of`.
    sample_weight : ndarray of shape (n,) or None
        How many rows each of them stands for.
    kinds : "auto" or list
    estimator_name : str
    parameter : str
        What the estimator calls the kinds.
    """
    table = read_table(first)
    dtypes = [table.dtype(j) for j in range(len(table.names))]
    refuse(
        [(name, _problem(s)) for name, s in zip(table.names, summaries, strict=True)]
    )
    orders = list(map(_order, summaries, dtypes))
    cells = list(map(_cells, summaries, orders, sample.T))
    sampled = SampledTable(table, dtypes, cells)
    schema = Schema.of_table(sampled, kinds, estimator_name, sample_weight, parameter)
    entries = read_kinds(kinds, table, parameter)
    by_hand = {j for kind, at, _ in entries if kind != "auto" for j in at}
    columns = [
        _with_summary(column, own, order, j in by_hand)
        for j, (column, own, order) in enumerate(
            zip(schema.columns, summaries, orders, strict=True)
        )
    ]
    return replace(schema, columns=columns, table_type=type(table))


def _problem(summary):
    if summary.sort is None:
        return "missing"
    if summary.sort == "mixed":
        return "mixed"
    is_words = summary.sort in ("text", "category")
    return "many" if is_words and summary.values is None else None


def _order(summary, dtype):
    """All labels of a column in their order; None for numbers."""
    if summary.sort == "number":
        return None
    if summary.sort == "boolean":
        return [False, True]
    known = getattr(dtype, "categories", None)
    known = [] if known is None else list(known)
    if summary.sort == "category" and summary.values <= set(known):
        return [label for label in known if label in summary.values]
    return sorted(summary.values)


def _cells(summary, order, codes):
    """Cells of the sampled rows; the labels without those that no such row has."""
    if order is None:
        return Cells("number", codes)
    position = {_digest(label): i for i, label in enumerate(order)}
    values = np.array([position.get(code, np.nan) for code in codes])
    if summary.sort == "boolean":
        return Cells("boolean", values, np.array(order))
    used, at = np.unique(values[~np.isnan(values)], return_inverse=True)
    values[~np.isnan(values)] = at
    return Cells(summary.sort, values, as_objects(order)[used.astype(np.intp)])


def _with_summary(column, summary, order, by_hand):
    """The column of the sample with what the other rows have."""
    if summary.sort == "boolean":
        return column
    if column.categories is None:
        ends = [
            x for x in (summary.low, summary.high, summary.fraction) if x is not None
        ]
        check_new_column(column.name, column.kind, Cells("number", np.array(ends)))
        has_fractions = column.is_whole and summary.fraction is not None
        return replace(column, step=0.0) if has_fractions else column
    if order is None:
        return _of_numbers(column, summary, by_hand)
    cells = Cells(summary.sort, np.arange(len(order)), as_objects(order))
    check_new_column(column.name, column.kind, cells)
    return replace(column, categories=cells.labels)


def _of_numbers(column, summary, by_hand):
    known = column.categories.tolist()
    if summary.values is not None and summary.values <= set(known):
        return column
    if summary.values is None or not by_hand:
        strange = (
            summary.high if summary.values is None else max(summary.values - set(known))
        )
        raise ValueError(
            f"X has the value {strange:g} in the column {column.name!r}, where a sample"
            f" of the rows has {len(known)} values, as a {column.kind} column has; name"
            " the kind of the column, or mark the value missing if it errs."
        )
    values = np.array(sorted(summary.values))
    check_new_column(column.name, column.kind, Cells("number", values))
    return replace(column, categories=values.astype(column.categories.dtype))


class SampledTable:
    """Rows of a source that were sampled, as a `Schema` asks a table for them."""

    def __init__(self, table, dtypes, cells):
        self.source, self.names, self.is_frame = table.source, table.names, False
        self.n_rows = len(cells[0].values)
        self._dtypes, self._cells = dtypes, cells

    def dtype(self, j):
        return self._dtypes[j]

    def cells(self, j):
        return self._cells[j]
