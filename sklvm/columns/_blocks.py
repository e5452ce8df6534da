"""The kinds that an estimator is given: which columns are modelled how."""

from numbers import Integral

import numpy as np

from sklvm.columns._checks import listed
from sklvm.columns._column import KINDS, REAL, Block


def read_kinds(kinds, table, parameter):
    """(kind, positions, options) of every entry; a column is in one entry only.

    `parameter` is the name of the estimator's parameter, for errors.
    """
    entries = read_entries(kinds, table, parameter)
    positions = np.concatenate([at for _, at, _ in entries])
    _check_partition(table.names, positions, parameter)
    return entries


def read_entries(kinds, table, parameter):
    """The same where a column may be in several entries, or in none.

    An entry of the kind "auto" has those of its columns that no other entry names.
    """
    entries = [
        (kind, _positions(table, columns, parameter), options)
        for kind, columns, options in _entries(kinds, parameter)
    ]
    by_hand = [at for kind, at, _ in entries if kind != "auto"]
    named = np.concatenate(by_hand) if by_hand else np.zeros(0, dtype=np.intp)
    return [
        (kind, np.setdiff1d(at, named) if kind == "auto" else at, options)
        for kind, at, options in entries
    ]


def make_blocks(entries, kinds):
    """Blocks of the entries; "auto" becomes one for each kind that it has.

    Its real columns, gaussian and lognormal, are one block, so that they may be
    correlated.
    """
    blocks = []
    for kind, at, options in entries:
        if kind != "auto":
            if len(at):  # a selector may find no column
                blocks.append(Block(kind, at, options))
            continue
        own = [kinds[j] for j in at]
        if set(REAL) <= set(own):
            own = ["real" if kind in REAL else kind for kind in own]
        for found in ("real", *KINDS):
            columns = [j for j, kind in zip(at, own, strict=True) if kind == found]
            if columns:
                blocks.append(Block(found, np.array(columns, dtype=np.intp)))
    return blocks


def _entries(kinds, parameter):
    """The entries as (kind, columns, options)."""
    if isinstance(kinds, str) and kinds == "auto":
        return [("auto", slice(None), {})]
    if isinstance(kinds, str) or not isinstance(kinds, list | tuple):
        raise ValueError(
            f'{parameter}={kinds!r} must be "auto" or a list of (kind, columns) '
            "or (kind, columns, options)."
        )
    if not kinds:
        raise ValueError(
            f'{parameter}=[] names no column; give "auto" to read them all.'
        )
    return [_entry(entry, parameter) for entry in kinds]


def _entry(entry, parameter):
    if not isinstance(entry, list | tuple) or len(entry) not in (2, 3):
        raise ValueError(
            f"{parameter} has the entry {entry!r}; give (kind, columns) or (kind, "
            "columns, options)."
        )
    kind, columns, options = (*entry, {})[:3]
    if kind not in (*KINDS, "real", "auto"):
        raise ValueError(
            f"{parameter} has the kind {kind!r}; choose one of "
            f"{', '.join(map(repr, (*KINDS, 'real', 'auto')))}."
        )
    if not isinstance(options, dict):
        raise ValueError(
            f"{parameter} has the options {options!r} for the kind {kind!r}; give a "
            "dict."
        )
    if kind == "auto" and options:
        raise ValueError(
            f'{parameter} has the options {options!r} for "auto"; name the kind that '
            "they are for."
        )
    return kind, columns, dict(options)


def _positions(table, columns, parameter):
    if callable(columns):
        columns = columns(table.source)
    return find_columns(table.names, columns, f"{parameter} has the columns")


def find_columns(names, columns, who):
    """Positions of columns, named in any way that ColumnTransformer knows.

    `who` are the words before the columns in the error about those that are not there.
    """
    try:
        return np.array(_find(names, columns), dtype=np.intp)
    except (ValueError, IndexError, TypeError) as error:
        by_name = all(isinstance(name, str) for name in names)
        remedy = "" if by_name else " by their positions"
        raise ValueError(
            f"{who} {columns!r}, which X does not have; name some of {listed(names)}"
            f"{remedy}."
        ) from error


def _find(names, columns):
    everywhere = range(len(names))
    if isinstance(columns, slice):
        return everywhere[_slice_of_positions(names, columns)]
    if isinstance(columns, str) or np.ndim(columns) == 0:
        columns = [columns]
    columns = list(columns)
    if columns and all(isinstance(column, bool | np.bool_) for column in columns):
        return [j for j, chosen in zip(everywhere, columns, strict=True) if chosen]
    return [
        everywhere[column] if isinstance(column, Integral) else names.index(column)
        for column in columns
    ]


def _slice_of_positions(names, columns):
    """A slice of names includes its end, as in pandas."""
    start, stop = columns.start, columns.stop
    if isinstance(start, str):
        start = names.index(start)
    if isinstance(stop, str):
        stop = names.index(stop) + 1
    return slice(start, stop, columns.step)


def _check_partition(names, positions, parameter):
    times = np.bincount(positions, minlength=len(names))
    twice = [names[j] for j in np.flatnonzero(times > 1)]
    if twice:
        raise ValueError(
            f"{parameter} has {listed(twice)} more than once; name each column in one "
            "entry."
        )
    nowhere = [names[j] for j in np.flatnonzero(times == 0)]
    if nowhere:
        raise ValueError(
            f"{parameter} leaves out {listed(nowhere)}; drop what is not to be "
            'modelled, or add the entry ("auto", slice(None)) for the rest.'
        )
