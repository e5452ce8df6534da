"""The schema of a table: read once in `fit`, then values in and out."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._set_output import _get_output_config

from sklvm._alone import validate_data
from sklvm.columns._auto import read_kind, read_real_kind
from sklvm.columns._blocks import find_columns, make_blocks, read_kinds
from sklvm.columns._checks import (
    check_finite,
    check_is_split,
    check_new_column,
    listed,
    refuse,
    unfit,
    unreadable,
)
from sklvm.columns._column import Block, Column
from sklvm.columns._forms import frame_of_arrow
from sklvm.columns._hints import warn_of_columns
from sklvm.columns._tables import ArrayTable, is_frame, read_table
from sklvm.columns._text import as_table
from sklvm.state._classes import stateful


@stateful
@dataclass(frozen=True, eq=False)
class Schema:
    """What the columns of a table are, and how to write its cells as numbers.

    Attributes
    ----------
    columns : list of Column
    blocks : list of Block
        Every column is in one of them.
    table_type : type
        The library that tables are given back in.
    estimator_name : str
        In whose name errors speak.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklvm.columns import Schema
    >>> X = pd.DataFrame({"plan": ["free", "gold", None], "age": [31, 58, 40]})
    >>> schema = Schema.read(X)
    >>> print(schema.describe())
    column  kind         content
    plan    categorical  2 categories: free, gold, 33 % missing
    age     gaussian     whole numbers 31 to 58
    >>> schema.encode(X)
    array([[ 0., 31.],
           [ 1., 58.],
           [nan, 40.]])
    >>> schema.decode([[1, 44.7]])
       plan  age
    0  gold   45
    """

    columns: list[Column]
    blocks: list[Block]
    table_type: type
    estimator_name: str = "Schema"

    @classmethod
    def read(
        cls, X, components="auto", estimator_name="Schema", sample_weight=None,
        parameter="components",
    ):  # fmt: skip
        """Learn the schema of a table.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Of pandas or polars, or what scikit-learn makes an array of.
        components : "auto" or list of (kind, columns) or (kind, columns, options)
            "auto" reads the kinds from dtypes and values, by the rules in
            `sklvm.columns._auto`. In a list, kind is one of `KINDS`, or "auto" for the
            columns among `columns` that no other entry names. Columns are named as in
            ColumnTransformer: names, positions, a slice, a mask or a callable.
        estimator_name : str, default="Schema"
        sample_weight : ndarray of shape (n_samples,), default=None
            How many rows each row stands for.
        parameter : str, default="components"
            What the estimator calls the kinds.

        Returns
        -------
        schema : Schema

        Raises
        ------
        ValueError
            If a column is of no kind, or not of the one named; the message has its
            name and the remedy.
        """
        table = read_table(X)
        return cls.of_table(table, components, estimator_name, sample_weight, parameter)

    @classmethod
    def of_table(
        cls, table, components, estimator_name, sample_weight, parameter="components"
    ):
        """The same of a table by `read_table`, or of one of a source's rows."""
        _check_shape(table)
        entries = read_kinds(components, table, parameter)
        by_hand = {j: kind for kind, at, _ in entries for j in at if kind != "auto"}
        cells = [table.cells(j) for j in range(len(table.names))]
        kinds = _kinds(table.names, cells, by_hand, sample_weight)
        columns = [
            Column.read(name, kind, cells[j], table.dtype(j), sample_weight)
            for j, (name, kind) in enumerate(zip(table.names, kinds, strict=True))
        ]
        warn_of_columns(table.names, cells, kinds, by_hand, parameter)
        blocks = make_blocks(entries, kinds)
        return cls(columns, blocks, type(table), estimator_name)

    @property
    def names(self):
        """Names of the columns; numbers if X was an array."""
        return [column.name for column in self.columns]

    @property
    def is_frame(self):
        """Whether the table was a DataFrame."""
        return self.table_type.is_frame

    @property
    def is_numeric(self):
        """Whether an array of floats says all that the table says."""
        return all(column.value_dtype.kind in "biuf" for column in self.columns)

    def positions(self, columns, who):
        """Positions of columns, named in any way that ColumnTransformer knows.

        `who` names the argument, for the error about columns that are not there.
        """
        return find_columns(self.names, columns, f"{who} names")

    def encode(self, X, handle_unknown="error", hidden=()):
        """The cells of a table as numbers.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            With the columns of the table that the schema was read from.
        handle_unknown : {"error", "missing", "refuse"}, default="error"
            What becomes of a category that was not there then. "refuse" is "error" of
            an estimator that has no parameter of this name.
        hidden : list of int, default=()
            Columns whose cells are not looked at, but taken for missing.

        Returns
        -------
        values : ndarray of shape (n_samples, n_features)
            float64. Reals and counts as they are, categories as codes 0, 1, ...;
            NaN is missing.
        """
        if handle_unknown not in ("error", "missing", "refuse"):
            raise ValueError(
                f'handle_unknown={handle_unknown!r} must be "error" or "missing".'
            )
        table = self._read(X)
        values = np.full((table.n_rows, len(self.columns)), np.nan)
        for j, column in enumerate(self.columns):
            if j not in hidden:
                values[:, j] = column.encode(table.cells(j), handle_unknown)
        return values

    def impossible(self, X, handle_unknown="error"):
        """The cells that `encode` refuses, as the density is 0 there.

        Those are unknown categories, counts below 0 or with a fraction, and log-normal
        values of 0 or less. What is not of the column's type is an error here, too.

        Parameters
        ----------
        X, handle_unknown : as for `encode`

        Returns
        -------
        mask : ndarray of bool of shape (n_samples, n_features)
        """
        table = self._read(X)
        columns = [
            column.impossible(table.cells(j), handle_unknown)
            for j, column in enumerate(self.columns)
        ]
        return np.stack(columns, axis=1)

    def _read(self, X):
        """X as a table with the columns that the schema was read from."""
        table = read_table(X)
        _check_unique(table.names)
        self._check_names(X)
        self._check_labels(table)
        if not table.n_rows:
            raise ValueError(
                f"Found array with 0 sample(s) (shape=(0, {len(self.columns)})) while "
                f"a minimum of 1 is required by {self.estimator_name}."
            )
        return table

    def decode(self, values, like=None, as_frame=True, observed=None):
        """The table that encoded values stand for.

        Parameters
        ----------
        values : array-like of shape (n_samples, n_features)
            As from `encode`. Codes are rounded, and numbers to the steps that all
            values had then, if there were any: whole numbers, cents, or hundreds.
        like : DataFrame, default=None
            Table of the same rows, whose index is taken over.
        as_frame : bool, default=True
            Whether to give back a DataFrame if the schema was read from one.
        observed : ndarray of bool of shape (n_samples, n_features), default=None
            Cells that no model has filled: they are as they were, but for whole
            numbers, which stay whole.

        Returns
        -------
        X : DataFrame or ndarray of shape (n_samples, n_features)
            With the names and dtypes that the schema was read from. An integer or
            boolean column of pandas becomes nullable (Int64, boolean) if a value is
            missing, an array of numbers becomes float64, and an array that has text
            is one of objects with NaN.
        """
        values = np.asarray(values, dtype=np.float64)
        kept = [None] * len(self.columns) if observed is None else observed.T
        decoded = [
            column.decode(x, own)
            for column, x, own in zip(self.columns, values.T, kept, strict=True)
        ]
        table_type = self.table_type if as_frame else ArrayTable
        return table_type.build(self.columns, decoded, like)

    def describe(self):
        """A table of text: the name, the kind and the content of each column."""
        rows = [(str(c.name), c.kind, c.summary) for c in self.columns]
        return as_table([("column", "kind", "content"), *rows])

    def _check_names(self, X):
        """scikit-learn's own check of the columns, in the estimator's name."""
        estimator = _class_of_name(self.estimator_name)()
        estimator.n_features_in_ = len(self.columns)
        if self.is_frame and all(isinstance(name, str) for name in self.names):
            estimator.feature_names_in_ = np.array(self.names, dtype=object)
        validate_data(estimator, frame_of_arrow(X), reset=False, skip_check_array=True)

    def _check_labels(self, table):
        """The same of labels that are no text, which scikit-learn does not look at."""
        were_text = all(isinstance(name, str) for name in self.names)
        are_text = all(isinstance(name, str) for name in table.names)
        if not (self.is_frame and table.is_frame) or were_text or are_text:
            return
        if not table.has_labels(self.names):
            raise ValueError(
                f"X has {listed(table.names)}, where fit had {listed(self.names)}; "
                "give the same columns in the same order."
            )


def gives_frame(estimator, schema, like=None):
    """Whether an estimator of tables answers by a DataFrame, if one was fitted.

    Always, but for rows X, `like` which the answer is, that are an array of numbers: of
    these only where `set_output` asks for it.
    """
    if like is None or is_frame(like) or not schema.is_numeric:
        return True
    return _get_output_config("transform", estimator)["dense"] != "default"


@lru_cache
def _class_of_name(name):
    """An estimator in whose name scikit-learn speaks; slow to make."""
    return type(name, (BaseEstimator,), {})


def _check_unique(names):
    if len(set(names)) < len(names):
        twice = {name for name in names if names.count(name) > 1}
        raise ValueError(
            f"X has {listed(sorted(twice, key=str))} more than once; give each column "
            "a name of its own."
        )


def _check_shape(table):
    _check_unique(table.names)
    if not table.names:
        raise ValueError(
            f"Found array with 0 feature(s) (shape=({table.n_rows}, 0)) while a "
            "minimum of 1 is required."
        )
    if table.n_rows < 2:
        raise ValueError(
            f"X has n_samples={table.n_rows}; give at least 2 rows, so that columns "
            "can vary."
        )


def _kinds(names, cells, by_hand, weight):
    """The kind of each column, after everything that speaks against one."""
    if len(names) == 1 and not by_hand:
        check_is_split(names[0], cells[0])
    problems = []
    for j, (name, found) in enumerate(zip(names, cells, strict=True)):
        problem = unreadable(found)
        if problem is None:
            check_finite(name, found)
            problem = None if j in by_hand else unfit(found)
        problems.append((name, problem))
    refuse(problems)
    kinds = [
        read_real_kind(found, weight)
        if by_hand.get(j) == "real"
        else by_hand.get(j) or read_kind(found, weight)
        for j, found in enumerate(cells)
    ]
    for name, kind, found in zip(names, kinds, cells, strict=True):
        check_new_column(name, kind, found)
    return kinds
