"""Questions to a fitted autoencoder about some cells of a row, given others."""

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted

from sklvm._base import check_count, in_chunks
from sklvm.autoencoder._density import DensityAutoencoder
from sklvm.columns._tables import is_frame


class MissingCells(DensityAutoencoder):
    """Missing cells given the observed ones, and some observed cells given others.

    All by importance sampling with q(z|x_observed) as the proposal; the draws belong
    to the row.
    """

    @in_chunks
    def impute(self, X, n_importance=1000):
        """Fill missing cells by E[x_missing | x_observed].

        Estimated by importance sampling: the weights p(x_observed, z_s) /
        q(z_s|x_observed) are normalised to sum to 1.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
        n_importance : int, default=1000
            Draws per row.

        Returns
        -------
        X : ndarray or DataFrame of shape (n_samples, n_features)
            As from `inverse_transform`: categorical and bernoulli columns get their
            most probable value. Observed cells are as they were. A DataFrame comes back
            as one, with its columns and index.
        """
        rows = self._validate_new(X)
        check_count("n_importance", n_importance)
        if issparse(rows):
            return rows.copy()
        filled = np.array(rows)
        incomplete = np.flatnonzero(np.isnan(rows).any(axis=1))
        if len(incomplete):
            some = rows[incomplete]
            values = self._map_chunks(self._best_guess, some, n_importance)
            filled[incomplete] = np.where(np.isnan(some), values, some)
        return self._rows.filled(self, X, filled)

    def _best_guess(self, batch, q, p, eps):
        likelihood = self.net_.module.likelihood
        mean = self._posterior_mean(batch, q, p, eps, likelihood.mean)
        # On the device, where the likelihood is.
        return likelihood.decide(mean).cpu()

    def sample_missing(self, X, n_draws=1, n_importance=1000):
        """X with each missing cell replaced by a draw from p(x_missing | x_observed).

        z is drawn from p(z|x_observed) and the missing cells from p(x|z). An analysis
        of each of several draws, and of how much they differ, is multiple imputation:
        it says how uncertain the missing cells leave the result.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
        n_draws : int, default=1
        n_importance : int, default=1000
            Draws of q(z|x_observed) a row, of which z is one, with the probability of
            its importance weight.

        Returns
        -------
        draws : ndarray of shape (n_draws, n_samples, n_features) or list of tables
            A list where columns have kinds or X is a DataFrame, each as from `impute`.
            Drawn with `random_state`; what was observed is as it was.
        """
        rows = self._validate_new(X)
        check_count("n_draws", n_draws)
        check_count("n_importance", n_importance)
        if issparse(rows):
            raise ValueError(
                "sample_missing needs a dense X, as in a sparse one nothing is missing;"
                " give X.toarray()."
            )
        draws = np.repeat(rows[np.newaxis], n_draws, axis=0)
        incomplete = np.flatnonzero(np.isnan(rows).any(axis=1))
        if len(incomplete):
            draw = self._missing_drawer(n_draws)
            some = rows[incomplete]
            values = self._map_chunks(draw, some, n_importance).swapaxes(0, 1)
            draws[:, incomplete] = np.where(np.isnan(some), values, some)
        if not self._rows.is_table and not is_frame(X):
            return draws
        return [self._rows.filled(self, X, draw) for draw in draws]

    def _missing_drawer(self, n_draws):
        module, generator = self.net_.module, self._sampling_generator()

        def draw(batch, q, p, eps):
            log_weights = self._log_weights(batch, q, module.marginal(p), eps)
            weights = log_weights.softmax(0).T
            picked = torch.multinomial(weights, n_draws, True, generator=generator).T
            index = picked.unsqueeze(-1).expand(-1, -1, eps.shape[-1])
            draws = [
                module.likelihood.sample(module.decode(z), generator).cpu()
                for z in self._draws(q, eps.gather(0, index))
            ]
            return torch.cat(draws).transpose(0, 1)

        return draw

    @in_chunks
    def conditional_score_samples(self, X, given, n_importance=5000, return_std=False):
        """log p(rest | given) of each row, in nats.

        This is log p(x) less log p of the columns `given`, each of what is observed,
        and each estimated as by `log_likelihood`.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
        given : str, int, list of either, mask of shape (n_features,) or slice
            The columns that are given. With no columns the result is `log_likelihood`.
        n_importance : int, default=5000
            Draws per row and estimate.
        return_std : bool, default=False
            Whether to return the standard errors, too.

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float32
        std : ndarray of shape (n_samples,), float32
            Only with `return_std`: by the delta method, sqrt(v + v_given), where v is
            the variance of the weights w_s of a row, over S times the square of their
            mean. An upper bound of it where the weights have a variance, as the draws
            are spread more evenly than independent ones.
        """
        X = self._validate_new(X)
        check_count("n_importance", n_importance)
        if issparse(X):
            raise ValueError(
                "conditional_score_samples needs a dense X, as in a sparse one nothing "
                "is missing; give X.toarray()."
            )
        mask = np.zeros(X.shape[1], dtype=bool)
        mask[self._rows.positions(self, given, "given")] = True
        cells = np.where(mask, X, np.float32(np.nan))
        if not mask.all():
            self._check_reads_missing("all but the given columns left out")
        n_steps = self._checked_score_steps()
        (log_p, v), (log_q, v_given) = (
            self._map_chunks(self._log_mean_and_error, rows, n_importance, n_steps).T
            for rows in (X, cells)
        )
        log_density = (log_p - log_q).astype(np.float32)
        std = np.sqrt(v + v_given).astype(np.float32)
        return (log_density, std) if return_std else log_density

    @in_chunks
    def predict_missing_proba(self, X, column, n_importance=1000):
        """p(x_column | the other cells) of a bernoulli or categorical column.

        So a density answers as a classifier where the label is one of its columns.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            What is in the column itself is not looked at.
        column : str or int
            Its name, or its position.
        n_importance : int, default=1000
            Draws per row.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_categories), float32
            In the order of `categories_[column]`.
        """
        check_is_fitted(self)
        check_count("n_importance", n_importance)
        j = self._discrete_position(column)
        self._check_reads_missing(f"the column {column!r} left out")
        X = self._validate_rows(X, None, reset=False, hidden=[j])[0]
        likelihood = self.net_.module.likelihood

        def proba(batch, q, p, eps):
            return self._posterior_mean(
                batch, q, p, eps, lambda out: likelihood.probabilities(out, j)
            ).cpu()

        return self._map_chunks(proba, X, n_importance)

    def _discrete_position(self, column):
        if not self._rows.is_table:
            raise ValueError(
                f"column={column!r} has no categories, as likelihood="
                f"{self.likelihood!r} says nothing of single columns; fit with "
                "likelihood='auto' or a list of (kind, columns)."
            )
        names, j = list(self._rows.categories), None
        if np.ndim(column) == 0:
            j = next(iter(self._rows.positions(self, column, "column")), None)
        if j is None or self._rows.schema.names[j] not in names:
            raise ValueError(
                f"column={column!r} must be a bernoulli or categorical column, one of "
                f"{names}."
            )
        return int(j)
