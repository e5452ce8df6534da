"""Questions to a fitted mixture about some cells of a row, given others."""

import numpy as np
from scipy.sparse import issparse

from sklvm._base import check_count, in_chunks, private_random_state
from sklvm.columns._tables import in_frame_of, is_frame
from sklvm.mixture._checks import feature_name, float_dtype
from sklvm.mixture._fitted import FittedMixture
from sklvm.mixture._rows import chunk_size


class Questions(FittedMixture):
    """Missing cells given the observed ones, and some observed cells given others."""

    @in_chunks
    def impute(self, X):
        """X with each NaN replaced by its conditional expectation.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        X : ndarray or DataFrame of shape (n_samples, n_features)
            E[x_missing | x_observed]; what was observed is as it was. A DataFrame comes
            back as one, with its columns and index.
        """
        cells = self._checked(X)
        if issparse(cells):
            return cells.copy()
        return in_frame_of(X, self._filled(cells), np.isnan(cells))

    def _filled(self, X):
        """The same of a checked, dense X."""
        filled = X.astype(float_dtype(X))
        missing = np.isnan(filled)
        rows = np.flatnonzero(missing.any(axis=1))
        if len(rows):
            values = self._map(X[rows], lambda e, X, w: e.filled(X, w))
            self._check_filled(missing[rows] & np.isinf(values))
            filled[rows] = np.where(missing[rows], values, filled[rows])
        return filled

    def _check_filled(self, is_infinite):
        """Logarithms that vary by hundreds have an infinite expectation of exp."""
        if is_infinite.any():
            name = feature_name(self, np.flatnonzero(is_infinite.any(axis=0))[0])
            raise ValueError(
                f"X has missing cells in the feature {name} whose expectation is "
                "beyond the largest number, as the logarithms of that column vary by "
                "hundreds; draw the cells by sample_missing, or give the logarithms."
            )

    def sample_missing(self, X, n_draws=1):
        """X with each NaN replaced by a draw from p(x_missing | x_observed).

        The component is drawn from its posterior given the observed cells, and the
        missing cells from that component given the observed ones. An analysis of each
        of several draws, and of how much they differ, is multiple imputation: it says
        how uncertain the missing cells leave the result.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Dense, as in a sparse X nothing is missing.
        n_draws : int, default=1

        Returns
        -------
        draws : ndarray of shape (n_draws, n_samples, n_features)
            Drawn with `random_state`; what was observed is as it was. For a DataFrame
            a list of n_draws of them, each as from `impute`.
        """
        n_draws = check_count("n_draws", n_draws)
        cells = self._dense(X, "sample_missing")
        draws = self._drawn(cells, n_draws)
        if not is_frame(X):
            return draws
        return [in_frame_of(X, draw, np.isnan(cells)) for draw in draws]

    def _drawn(self, X, n_draws):
        """The same of a checked, dense X."""
        draws = np.repeat(X.astype(float_dtype(X))[np.newaxis], n_draws, axis=0)
        rows = np.flatnonzero(np.isnan(X).any(axis=1))
        if not len(rows):
            return draws
        rng = private_random_state(self.random_state)
        weights, params = self._params()
        components = self._mixture(X.shape[1], missing=True).components
        shares = self._map(X[rows], lambda e, X, w: e.posterior(X, w).T)
        shares = np.cumsum(shares, axis=1, dtype=np.float64)
        shares /= shares[:, -1:]
        size = chunk_size(components.row_size(len(weights)), np.float64)
        n = len(rows) * n_draws
        for start in range(0, n, size):
            row, draw = np.divmod(np.arange(start, min(start + size, n)), n_draws)
            points = rng.uniform(size=(len(row), 1))
            labels = (shares[row] <= points).sum(axis=1)
            given = X[rows[row]].astype(np.float64)
            draws[draw, rows[row]] = components.draw(params, labels, given, rng)
        return draws

    @in_chunks
    def conditional_score_samples(self, X, given):
        """log p(rest | given) of each row, in nats, exact.

        This is log p(x) less log p of the columns `given`, each of what is observed.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Dense; NaN is summed out, among the given cells and among the rest.
        given : str, int, list of either, mask of shape (n_features,) or slice
            The columns that are given: names, if the mixture was fitted with names,
            or positions. With no columns the result is `score_samples`.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            -inf for a row that the mixture excludes, by its given cells or the rest.
        """
        X = self._dense(X, "conditional_score_samples")
        cells = X.astype(float_dtype(X))
        cells[:, ~self._column_mask(given, X.shape[1])] = np.nan
        log_density, log_given = self._log_evidence(X), self._log_evidence(cells)
        log_density -= np.where(np.isneginf(log_given), 0, log_given)
        return log_density.astype(self._weights().dtype, copy=False)

    def _dense(self, X, method):
        X = self._checked(X)
        if issparse(X):
            raise ValueError(
                f"{method} needs a dense X, as in a sparse one nothing is missing; give"
                " X.toarray()."
            )
        return X

    def _column_mask(self, columns, n_features):
        """Columns by names, positions, a mask or a slice, as a mask (n_features,)."""
        mask = np.zeros(n_features, dtype=bool)
        if not isinstance(columns, slice):
            names = list(getattr(self, "feature_names_in_", ()))
            columns = np.atleast_1d(np.asarray(columns))
            if columns.dtype.kind in "OU":
                unknown = [str(c) for c in columns if c not in names]
                if unknown:
                    raise ValueError(
                        f"given={unknown[0]!r} is not among the names of the features, "
                        f"{names}; give names of X as fitted, or positions."
                    )
                columns = [names.index(c) for c in columns]
            elif not len(columns):
                return mask
        try:
            mask[columns] = True
        except IndexError:
            raise ValueError(
                f"given={columns!r} must be names or positions of the {n_features} "
                "features, a mask of them, or a slice."
            ) from None
        return mask
