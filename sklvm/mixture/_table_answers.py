"""What a mixture of mixed columns answers: tables as they came, and categories."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklvm._base import check_count, in_chunks
from sklvm.columns._schema import gives_frame
from sklvm.mixture._on_device import OnDevice


class TableAnswers(OnDevice):
    """Rows in and out through a `_schema`, and the probabilities of a category."""

    def _table(self, values, like=None, observed=None):
        """Encoded rows as a table, by `gives_frame` with the rows X they are like."""
        as_frame = gives_frame(self, self._schema, like)
        return self._schema.decode(values, like, as_frame, observed)

    @in_chunks
    def impute(self, X):
        """X with each missing cell replaced by its conditional expectation.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)

        Returns
        -------
        X : ndarray or DataFrame of shape (n_samples, n_features)
            Real columns get E[x_missing | x_observed], counts and whole numbers the
            nearest whole number to it, the others their most probable value. Real
            columns whose values were all rounded in `fit`, to cents or to hundreds, get
            the nearest value that is. A DataFrame comes back as one, with its index.
        """
        cells = self._checked(X)
        return self._table(self._filled(cells), X, ~np.isnan(cells))

    def sample_missing(self, X, n_draws=1):
        """X with each missing cell replaced by a draw from p(x_missing | x_observed).

        The component is drawn from its posterior given the observed cells, and the
        missing cells from that component given the observed ones. An analysis of each
        of several draws, and of how much they differ, is multiple imputation.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
        n_draws : int, default=1

        Returns
        -------
        draws : list of n_draws tables
            Each as from `impute`, rounded as its values; what was observed is as it
            was.
        """
        n_draws = check_count("n_draws", n_draws)
        cells = self._checked(X)
        observed = ~np.isnan(cells)
        return [self._table(d, X, observed) for d in self._drawn(cells, n_draws)]

    def inverse_transform(self, Z):
        """Mean of the mixture whose weights are the responsibilities Z.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)

        Returns
        -------
        X : ndarray or DataFrame of shape (n_samples, n_features)
            As from `impute`: discrete columns have their most probable value. A
            DataFrame where the mixture was fitted to one.
        """
        return self._table(self._means_of(Z)[0])

    def sample(self, n_samples=1):
        """Draw rows and the components they come from.

        Parameters
        ----------
        n_samples : int, default=1

        Returns
        -------
        X : ndarray or DataFrame of shape (n_samples, n_features)
            A DataFrame where the mixture was fitted to one.
        labels : ndarray of shape (n_samples,)
            The component of each row, in ascending order.
        """
        values, labels = super().sample(n_samples)
        return self._table(values), labels

    @in_chunks
    def predict_missing_proba(self, X, column):
        """p(x_column | the other cells) of a bernoulli or categorical column.

        So a mixture answers as a classifier where the label is one of its columns.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            What is in the column itself is not looked at.
        column : str or int
            Its name, or its position.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_categories)
            In the order of `categories_[column]`.
        """
        check_is_fitted(self)
        j = self._position(column)
        X = self._schema.encode(X, self.handle_unknown, hidden=[j])
        resp = self._map(X, lambda e, X, w: e.posterior(X, w).T)
        return resp @ self._probabilities(j)

    def _position(self, column):
        names, j = list(self.categories_), None
        if np.ndim(column) == 0:
            j = next(iter(self._schema.positions(column, "column")), None)
        if j is None or self._schema.names[j] not in names:
            raise ValueError(
                f"column={column!r} must be a bernoulli or categorical column, one of "
                f"{names}."
            )
        return j

    def _column_mask(self, columns, n_features):
        mask = np.zeros(n_features, dtype=bool)
        mask[self._schema.positions(columns, "given")] = True
        return mask

    def _probabilities(self, j):
        """p(x_j = l | z) of a discrete column, (K, L)."""
        for block, fitted in zip(self._schema.blocks, self.components_, strict=True):
            if j in block.columns:
                d = block.columns.tolist().index(j)
                if block.kind == "categorical":
                    return fitted.theta[d]
                theta = fitted.theta[:, d]
                return np.column_stack([1 - theta, theta])
