"""Rows in and out of an autoencoder: numbers as they are, or tables by a schema.

Both have `encode`, which gives the float32 rows that the module takes, and `decode`,
which gives back what the user's X was.
"""

import numpy as np
from scipy.sparse import issparse

from sklvm._alone import validate_data
from sklvm.autoencoder._spool import source_moments
from sklvm.autoencoder.likelihoods import Likelihood
from sklvm.autoencoder.likelihoods._counts import MAX_COUNT
from sklvm.autoencoder.likelihoods._make import (
    COUNTS,
    NUMERIC,
    numeric_likelihood,
    table_likelihood,
)
from sklvm.columns import Schema
from sklvm.columns._blocks import find_columns
from sklvm.columns._column import REAL
from sklvm.columns._forms import frame_of_arrow
from sklvm.columns._numbers import are_few_rows, validate_rows
from sklvm.columns._schema import gives_frame
from sklvm.columns._tables import holds_words, in_frame_of, is_frame
from sklvm.mixture._source_schema import source_schema
from sklvm.sources._source import RowSource, as_source
from sklvm.state._classes import stateful


def read_rows(estimator, X, likelihood, sparse=False):
    """How rows like X, or those of a source, are read by an estimator."""
    source = as_source(X)
    is_kind = isinstance(likelihood, Likelihood) or likelihood in NUMERIC
    if likelihood is None or is_kind:
        words = holds_words(X if source is None else source.first())
        if likelihood is None:
            likelihood = "auto" if words else "gaussian"
        elif words and not isinstance(likelihood, Likelihood):
            likelihood = [(likelihood, slice(None))]
    if isinstance(likelihood, Likelihood) or likelihood in NUMERIC:
        return Numbers(likelihood, sparse)
    if likelihood == "categorical":
        likelihood = [("categorical", slice(None))]
    return Table(estimator, X if source is None else source, likelihood)


def few_rows(estimator, X):
    """What `validate_data` makes of a few plain rows of a fitted estimator, or None.

    Its questions about other kinds of X take longer than the encoding of a row.
    """
    if not are_few_rows(estimator, X):
        return None
    with np.errstate(over="ignore"):
        rows = np.asarray(X, dtype=np.float32, order="C")
    return rows if np.isfinite(rows).all() else None


@stateful
class Numbers:
    """Arrays of numbers, all of one family."""

    is_table = False

    def __init__(self, likelihood, sparse):
        self.likelihood = likelihood
        self.sparse = sparse

    def encode(self, estimator, X, reset, hidden=()):
        if not reset and (rows := few_rows(estimator, X)) is not None:
            return rows
        X = validate_rows(
            estimator, X, dtype=np.float32, order="C", ensure_all_finite="allow-nan",
            accept_sparse="csr" if self.sparse else False, reset=reset,
        )  # fmt: skip
        if issparse(X) and np.isnan(X.data).any():
            raise ValueError(
                "X is sparse and has NaN, where nothing can be missing; give "
                "X.toarray()."
            )
        return X

    def decode(self, estimator, rows, like=None):
        return in_frame_of(like, rows)

    def filled(self, estimator, X, rows):
        """X with what it misses from rows, where the rest is that of X."""
        if not is_frame(X):
            return rows
        return in_frame_of(X, rows, np.isnan(self.encode(estimator, X, reset=False)))

    def make_likelihood(self, noise, min_noise):
        return numeric_likelihood(self.likelihood, noise, min_noise)

    def positions(self, estimator, columns, who):
        n = estimator.n_features_in_
        names = getattr(estimator, "feature_names_in_", np.arange(n)).tolist()
        return find_columns(names, columns, f"{who} names")


@stateful
class Table:
    """Tables whose columns have kinds, by the `Schema` of the first one.

    Real columns, and the logarithms of log-normal ones, are standardised in float64:
    float32 then tells years apart, and carries any unit.
    """

    is_table = True

    def __init__(self, estimator, X, likelihood):
        name = type(estimator).__name__
        if issparse(X):
            raise TypeError(
                f"X is sparse and likelihood={likelihood!r} reads single columns; set "
                "likelihood to 'poisson', 'negative_binomial', 'bernoulli' or "
                "'gaussian' for all, or give X.toarray()."
            )
        is_source = isinstance(X, RowSource)
        self.schema = (
            source_schema(X, likelihood, name, parameter="likelihood")
            if is_source
            else Schema.read(X, likelihood, name, parameter="likelihood")
        )
        kinds = np.array([column.kind for column in self.schema.columns])
        self.is_log = kinds == "lognormal"
        if is_source:
            center, scale = source_moments(X, self._checked)
        else:
            values = self._checked(X)
            center = np.nanmean(values, axis=0)
            scale = _deviations(values - center)
        is_real = np.isin(kinds, REAL)
        self.center = np.where(is_real, center, 0.0)
        self.scale = np.where(is_real, scale, 1.0)

    def _logged(self, values):
        values[:, self.is_log] = np.log(values[:, self.is_log])
        return values

    def _checked(self, X):
        values = self._logged(self.schema.encode(X))
        self._check_counts(values)
        return values

    def _check_counts(self, values):
        for column, x in zip(self.schema.columns, values.T, strict=True):
            if column.kind in COUNTS and np.fmax.reduce(x) > MAX_COUNT:
                raise ValueError(
                    f"X has the count {np.fmax.reduce(x):g} in the column "
                    f"{column.name!r}, and {column.kind!r} takes up to {MAX_COUNT:g}; "
                    "choose the kind 'lognormal' or 'gaussian' for it."
                )

    @property
    def columns(self):
        return {column.name: column.kind for column in self.schema.columns}

    @property
    def categories(self):
        return {
            column.name: column.categories
            for column in self.schema.columns
            if column.categories is not None
        }

    def encode(self, estimator, X, reset, hidden=()):
        if reset:
            validate_data(
                estimator, frame_of_arrow(X), reset=True, skip_check_array=True
            )
        values = self.schema.encode(X, "refuse", hidden=hidden)
        values = (self._logged(values) - self.center) / self.scale
        return values.astype(np.float32)

    def decode(self, estimator, rows, like=None):
        """A table, a DataFrame by `gives_frame`."""
        return self._given_back(estimator, self.values(rows), like)

    def filled(self, estimator, X, rows):
        """X with what it misses from rows; the rest keeps all of its digits."""
        values = self.schema.encode(X, "refuse")
        values = np.where(np.isnan(values), self.values(rows), values)
        return self._given_back(estimator, values, X)

    def values(self, rows):
        """The cells of rows, in float64, as the schema decodes them."""
        values = rows.astype(np.float64) * self.scale + self.center
        values[:, self.is_log] = np.exp(values[:, self.is_log])
        return values

    def _given_back(self, estimator, values, like):
        as_frame = gives_frame(estimator, self.schema, like)
        return self.schema.decode(values, like=like, as_frame=as_frame)

    def make_likelihood(self, noise, min_noise):
        return table_likelihood(self.schema, noise, min_noise, self.center, self.scale)

    def positions(self, estimator, columns, who):
        return self.schema.positions(columns, who)


def _deviations(residuals):
    """Standard deviations of columns whose squares may overflow; 1 for constants."""
    largest = np.fmax.reduce(abs(residuals), axis=0)
    largest = np.where(largest > 0, largest, 1.0)
    scale = largest * np.sqrt(np.nanmean((residuals / largest) ** 2, axis=0))
    return np.where(scale > 0, scale, 1.0)
