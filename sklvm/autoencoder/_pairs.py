"""Rows of a source together with their y, which is columns of it by name."""

from functools import wraps

from sklvm._base import in_chunks
from sklvm.sources._source import (
    RowSource,
    as_source,
    tables_of,
    without_columns,
)


class PartSource(RowSource):
    """What `part(table)` makes of each chunk of a source."""

    def __init__(self, source, part):
        self.source, self.part, self.n_rows = source, part, source.n_rows

    def chunks(self):
        return map(self.part, self.source.filled_chunks())


def check_names(y):
    """`y` as the names of columns of a source."""
    names = [y] if isinstance(y, str) else y
    is_list = isinstance(names, list | tuple) and all(
        isinstance(name, str) for name in names
    )
    if not is_list or not names:
        raise TypeError(
            f"y is a {type(y).__name__}; for rows that are read in chunks, give the "
            "name of the column of X that is y, or a list of names."
        )
    return list(names)


def y_of(names, table):
    """The columns of y: one by its name has one axis, of a list two."""
    _check_has(check_names(names), table)
    return table[names if isinstance(names, str) else list(names)]


def x_of(names, table):
    """The other columns."""
    names = check_names(names)
    _check_has(names, table)
    return without_columns(table, names)


def _check_has(names, table):
    if not hasattr(table, "columns"):
        raise TypeError(
            f"X has chunks of {type(table).__name__}, whose columns have no names; "
            f"give DataFrames, in which y={names} can be found."
        )
    missing = [name for name in names if name not in list(table.columns)]
    if missing:
        raise ValueError(
            f"y names the column {missing[0]!r}, which X does not have; X has "
            f"{', '.join(map(repr, list(table.columns)[:10]))}."
        )
    if len({*names}) == len(table.columns):
        raise ValueError(
            f"y={names} names all columns of X; leave at least one, from which y is "
            "predicted."
        )


def pair_of(y, X):
    """X and y of a chunk, of which y names columns."""
    return x_of(y, X), y_of(y, X)


def pairs(X, y):
    """X and y as they were given, or those of each chunk of a source."""
    source = as_source(X)
    if source is None:
        return [(X, y)]
    return (pair_of(y, table) for table in tables_of(source))


def pairs_in_chunks(method):
    """`in_chunks` for a method of X and y, where y names columns of a source."""

    @wraps(method)
    def answer(self, X, y=None, *args, **kwargs):
        if as_source(X) is None:
            return method(self, X, y, *args, **kwargs)

        @in_chunks
        def of_table(self, table):
            pair = (table, None) if y is None else pair_of(y, table)
            return method(self, *pair, *args, **kwargs)

        return of_table(self, X)

    return answer
