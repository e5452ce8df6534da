"""Rows and the mixture, made of what the user hands to a fit."""

from abc import abstractmethod

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing

from sklvm._base import check_sample_weight, in_rows, warn_of_order
from sklvm.mixture._checks import (
    check_n_components,
    check_observed,
    check_weights,
    observed_weight,
)
from sklvm.mixture._mixture import Mixture
from sklvm.mixture._questions import Questions
from sklvm.mixture._rows import MemoryRows, chunk_size
from sklvm.mixture._source_rows import Reader, SourceRows
from sklvm.sources._source import as_source, check_weight_column, split_weight


class PreparesRows(Questions):
    """Rows in memory, or of a source, as passes read them; and the mixture."""

    # What a subclass supplies -----------------------------------------------------

    def _check_data(self, X, rows):
        """Errors and warnings about values, the first time; X are some of them."""

    def _placed(self, mixture, rows):
        """Both as passes are computed, on a device if need be; starts keep to these."""
        return mixture, rows

    def _encoded(self, mixture, rows):
        """Both in the form on which NumPy's passes are fastest; starts keep to rows."""
        return mixture, rows

    def _compact(self, rows, mixture):
        """The rows in a shorter form if there is one, in chunks that fit a cache."""
        return self._in_cache(rows, mixture)

    @abstractmethod
    def _check_continues(self):
        """The fitted parameters are those of the mixture that is asked for."""

    def _initial_values(self, n_features):
        """The user's initial values, checked, by parameter name."""
        if self.weights_init is None:
            return {}
        weights = check_weights("weights_init", self.weights_init, self.n_components)
        if self.weights == "uniform" and not np.allclose(weights, weights[0]):
            raise ValueError(
                f"weights_init={self.weights_init} contradicts weights='uniform'; "
                "leave one of them at its default."
            )
        return {"weights": weights}

    # Rows ---------------------------------------------------------------------------

    def _in_cache(self, rows, mixture):
        components = mixture.components
        row_size = components.row_size(mixture.n_components)
        return rows.of_size(self.batch_size or chunk_size(row_size, rows.dtype))

    def _prepare(self, X, sample_weight, first, n_threads):
        """Mixture, rows, and what tells these data from others.

        `first` is false where the call goes on from fitted parameters.
        """
        is_source = as_source(X) is not None
        read = self._source_rows if is_source else self._memory_rows
        X, rows = read(X, sample_weight, first, n_threads)
        if first:
            check_n_components(self.n_components, rows)
        else:
            self._check_continues()
        with rows:
            if is_source:
                observed = rows.observed_weight
            else:
                observed = None if issparse(X) else observed_weight(rows)
            if first:
                if observed is not None:
                    check_observed(self, observed)
                self._check_data(X, rows)
        n_features = rows.shape[1]
        mixture = Mixture(
            self._make_components(
                n_features,
                fitted=not first,
                dtype=rows.dtype,
                missing=observed is not None,
            ),
            self.n_components,
            self.weights,
            self.weights_prior,
            self._initial_values(n_features) if first else {},
        )
        if is_source:
            data = {"rows": rows.digest()} if self.checkpoint is not None else {}
            return mixture, self._in_cache(rows, mixture), data
        data = {"X": X, "sample_weight": rows.sample_weight}
        return mixture, self._compact(rows, mixture), data

    def _memory_rows(self, X, sample_weight, first, n_threads):
        warn_of_order("sample_weight", sample_weight, X)
        X = self._check_rows(X, reset=first)
        sample_weight = in_rows(check_sample_weight(sample_weight, X))
        data = self._chunks(X)
        size = self.batch_size or chunk_size(X.shape[1], data.dtype)
        return X, MemoryRows(data, sample_weight, batch_size=size, n_threads=n_threads)

    def _source_rows(self, X, weight_column, first, n_threads):
        check_weight_column(weight_column)
        source = as_source(X)
        table = source.first()
        rows, weight = split_weight(table, weight_column)
        if weight is not None and weight.any():
            rows = _safe_indexing(rows, np.flatnonzero(weight))
        X = self._check_rows(rows, reset=first)
        reader = Reader(self._read_chunk, weight_column, table)
        size = self.batch_size or chunk_size(X.shape[1], reader.dtype)
        rows = SourceRows(source, reader, batch_size=size, n_threads=n_threads)
        return X, rows

    def _read_chunk(self, table):
        return self._chunks(self._check_rows(table, reset=False))
