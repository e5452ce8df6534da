"""What a fitted ConditionalVAE answers: predictions, codes, densities, samples."""

from functools import partial

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sklvm._alone import check_array
from sklvm._base import check_count, check_in_memory, in_chunks, mean_over_rows
from sklvm._warn import warn_user
from sklvm.autoencoder._export import ConditionalExports
from sklvm.autoencoder._monte_carlo import RowEstimates
from sklvm.autoencoder._pairs import (
    PartSource,
    pair_of,
    pairs_in_chunks,
    x_of,
    y_of,
)
from sklvm.autoencoder._rows import few_rows, read_rows
from sklvm.autoencoder._spool import spooled
from sklvm.autoencoder._targets import (
    is_table_kind,
    names_of,
    plain_target,
    read_target,
    target_numbers,
)
from sklvm.columns._numbers import is_few_numbers, validate_rows, with_remedy
from sklvm.neural._device import as_tensor, inference
from sklvm.neural._estimator import BLOCK_SIZE
from sklvm.sources._source import as_source


def _has_labels(estimator):
    """Of the fitted model, or where there is none of the next one.

    A parameter may have been set to something else since the fit.
    """
    if hasattr(estimator, "net_"):
        has_labels = len(estimator._y_rows.discrete) > 0
    else:
        likelihood = estimator.likelihood
        has_labels = is_table_kind(likelihood) or likelihood == "categorical"
    if not has_labels:
        raise AttributeError(
            f"likelihood={estimator.likelihood!r} has no classes; set likelihood="
            "'categorical' for a y of labels."
        )
    return True


class FittedConditional(
    ConditionalExports, ClassNamePrefixFeaturesOutMixin, TransformerMixin, RowEstimates
):
    """Methods of an estimator whose `net_.module` is a `ConditionalModel`."""

    # Checks -----------------------------------------------------------------------

    def _split_rows(self, rows):
        """y and x of rows [y, x]."""
        return np.split(rows, [rows.shape[1] - self.n_features_in_], axis=1)

    def _validate_rows(self, X, y, reset):
        """Rows [y, x] in float32."""
        source = as_source(X)
        if source is None:
            return self._read_pair(X, y, reset), None
        x, y_rows = (PartSource(source, partial(part, y)) for part in (x_of, y_of))
        if reset:
            self._x_rows = read_rows(self, x, None)
            self._y_rows = read_target(self, y_rows, self.likelihood)
            self._set_class_attributes()

        def encode(table, is_first):
            pair = pair_of(y, table)
            return self._read_pair(*pair, reset and is_first, is_known=True)

        rows = spooled(source, encode)
        if not reset:
            self.net_.module.likelihood.check(self._split_rows(rows)[0])
        return rows, None

    def _read_pair(self, X, y, reset, is_known=False):
        """Rows [y, x] of a table; `is_known` is whether their kinds are."""
        if issparse(y):
            raise ValueError("y is sparse and has to be dense; give y.toarray().")
        of_kinds = is_table_kind(self.likelihood) if reset else self._y_rows.is_table
        names = names_of(y)
        if not reset:
            self._y_rows.check_names(names)
        if y is not None:
            of_labels = of_kinds or self._takes_labels(reset)
            y = plain_target(y) if of_labels else target_numbers(y)
        if reset and not is_known:
            self._x_rows = read_rows(self, X, None)
        if self._x_rows.is_table or of_kinds:
            X, y = self._validate_x(X, reset), self._check_y(X, y, of_kinds)
        elif not reset and (rows := self._few_pairs(X, y)) is not None:
            X = rows
        else:
            X, y = validate_rows(
                self, X, y, dtype=np.float32, order="C", multi_output=True, reset=reset
            )
        if issparse(y):  # of a DataFrame with sparse columns
            y = y.toarray()
        if reset and not is_known:
            self._y_rows = read_target(self, y, self.likelihood)
            self._y_rows.names = names
            self._set_class_attributes()
        Y = self._y_rows.encode(y)
        if not reset and not is_known:
            self.net_.module.likelihood.check(Y)
        return np.concatenate([Y, X], axis=1)

    def _takes_labels(self, reset):
        """Whether y may be text."""
        if reset:
            return isinstance(self.likelihood, str) and self.likelihood == "categorical"
        return len(self._y_rows.discrete) > 0

    def _few_pairs(self, X, y):
        """`few_rows` of X, if y is of the same kind and length."""
        if not is_few_numbers(y) or y.ndim not in (1, 2):
            return None
        rows = few_rows(self, X)
        return rows if rows is not None and len(rows) == len(y) else None

    def _validate_x(self, X, reset):
        if not self._x_rows.is_table:
            if not reset and (rows := few_rows(self, X)) is not None:
                return rows
            return validate_rows(self, X, dtype=np.float32, order="C", reset=reset)
        rows = self._x_rows.encode(self, X, reset)
        missing = np.flatnonzero(np.isnan(rows).any(axis=0))
        if len(missing):
            name = list(self._x_rows.columns)[missing[0]]
            raise ValueError(
                f"X has missing values in the column {name!r}; impute them "
                "(ModelImputer), or model X and y together by VAE."
            )
        return rows

    def _check_y(self, X, y, of_kinds):
        """y for an X that scikit-learn does not check together with it."""
        if y is None:
            raise ValueError("y=None; give ConditionalVAE the y of each row.")
        try:
            if not of_kinds:
                y = check_array(
                    y, dtype=None, ensure_2d=False, ensure_all_finite=False,
                    input_name="y",
                )  # fmt: skip
            check_consistent_length(X, y)
        except (ValueError, TypeError) as error:
            raise with_remedy(error, True, "y") from None
        return y

    def _set_class_attributes(self):
        self.__dict__.pop("classes_", None)
        classes = self._y_rows.classes
        if classes:
            self.classes_ = classes if len(classes) > 1 else classes[0]

    def _validate_new(self, X):
        check_is_fitted(self)
        return self._validate_x(X, reset=False)

    def _validate_pairs(self, X, y, method):
        check_is_fitted(self)
        if y is None:
            raise ValueError(
                f"y=None leaves {method} nothing to measure; give the y of each row."
            )
        return self._read_pair(X, y, reset=False)

    # Predictions ------------------------------------------------------------------

    @in_chunks
    def predict(self, X, n_draws=256):
        """E[y|x], or the most probable label of each categorical column of y.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_draws : int, default=256
            Draws of z from p(z|x), over which E[y|z,x] is averaged.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            float32, or labels; in the shape of the y of `fit`. Where columns have
            kinds, as y was, with the nearest whole number to the mean of counts.
        """
        check_is_fitted(self)
        mean = self._mean_of_y(X, n_draws, self.net_.module.likelihood.mean)
        return self._y_rows.decode(self, self._map_rows(self._decide, mean, 1))

    def _decide(self, mean):
        return self.net_.module.likelihood.decide(mean)

    @available_if(_has_labels)
    @in_chunks
    def predict_proba(self, X, n_draws=256):
        """p(y|x) of each label of the categorical columns of y.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_draws : int, default=256
            Draws of z from p(z|x), over which p(y|z,x) is averaged.

        Returns
        -------
        theta : ndarray of shape (n_samples, n_classes), float32
            In the order of `classes_`; a list of them for two columns or more.
        """
        likelihood = self.net_.module.likelihood
        n = [len(classes) for classes in self._y_rows.classes]

        def probabilities(outputs):
            own = [likelihood.probabilities(outputs, j) for j in self._y_rows.discrete]
            return torch.cat(own, -1)

        theta = self._mean_of_y(X, n_draws, probabilities)
        theta = np.split(theta, np.cumsum(n)[:-1], axis=1)
        return theta if len(theta) > 1 else theta[0]

    def _mean_of_y(self, X, n_draws, function):
        """E[function(outputs)|x] of each row."""
        X = self._validate_new(X)
        check_count("n_draws", n_draws)
        module, device = self._fitted_module()

        def mean(keys, rows, eps):
            x = module.read(as_tensor(rows, device))
            means = [
                function(module.decode(z, x)).cpu().double().sum(0)
                for z in self._draws(module.conditional_prior(x), eps)
            ]
            return (sum(means) / n_draws).float()

        return self._map_keyed(mean, X, n_draws, module.n_prior_noise)

    def sample(self, X, n_samples=None):
        """Draw z from p(z|x), then y from p(y|z,x).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_samples : int or None, default=None
            Draws for each row, along a first axis of the result; None is one, without
            that axis.

        Returns
        -------
        y : ndarray of shape ([n_draws,] n_samples[, n_outputs])
            float32, or labels; each draw in the shape of the y of `fit`. A list of
            tables where y was a DataFrame whose columns have kinds.
        Z : ndarray of shape ([n_draws,] n_samples, latent_dim), float32
        """
        check_in_memory(X, "give its chunks one after the other")
        X = self._validate_new(X)
        S = 1 if n_samples is None else check_count("n_samples", n_samples)
        module, device = self._fitted_module()
        generator = self._sampling_generator()
        Y, Z = [], []
        with inference():
            for x in as_tensor(X, device).split(max(1, BLOCK_SIZE // module.row_size)):
                x = module.read(x)
                p = module.conditional_prior(x)
                eps = x.new_empty((S, len(x), module.n_prior_noise))
                eps.normal_(generator=generator)
                z = p.rsample(eps)
                draws = [
                    module.likelihood.sample(module.decode(part, x), generator)
                    for part in z.split(max(1, BLOCK_SIZE // module.row_size // len(x)))
                ]
                Y.append(torch.cat(draws).cpu())
                Z.append(z.cpu())
        Y, Z = torch.cat(Y, 1).numpy(), torch.cat(Z, 1).numpy()
        if n_samples is None:
            return self._y_rows.decode(self, Y[0]), Z[0]
        draws = [self._y_rows.decode(self, draw) for draw in Y]
        return (np.stack(draws) if isinstance(draws[0], np.ndarray) else draws), Z

    @pairs_in_chunks
    def transform(self, X, y=None):
        """Mean of q(z|y,x), or without y of p(z|x).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            None as in a Pipeline, whose transformers see X only, and as in
            `fit_transform`.

        Returns
        -------
        Z : ndarray of shape (n_samples, latent_dim), float32
        """
        check_is_fitted(self)
        module, _ = self._fitted_module()
        if y is None:
            rows = self._validate_new(X)

            def code(x):
                return module.conditional_prior(module.read(x)).mean
        else:
            rows = self._validate_pairs(X, y, "transform")

            def code(row):
                return module.posterior(module.observe(row)).mean

        return self._map_rows(code, rows, module.encoder_row_size)

    # The density ------------------------------------------------------------------

    @pairs_in_chunks
    def score_samples(self, X, y=None):
        """The importance-weighted lower bound on log p(y|x) of each row.

        As in `VAE`, from `n_score_draws` draws of q(z|y,x) after `n_score_steps` steps.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            With None, as some tools of scikit-learn call it, nothing is observed and
            log p of nothing is 0: zeros, with a warning.

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float32
            In nats. The draws belong to the row (x, y).
        """
        if y is None:
            warn_user(
                "y=None: nothing is observed, so that every row's log probability is "
                "0; give y to score it."
            )
            return np.zeros(len(self._validate_new(X)), dtype=np.float32)
        return self._log_density(X, y, "score_samples").astype(np.float32)

    def _log_density(self, X, y, method):
        return self._scores_of_rows(self._validate_pairs(X, y, method))

    def score(self, X, y=None, sample_weight=None):
        """Mean of `score_samples`, in nats per sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the mean.

        Returns
        -------
        score : float
        """
        is_source = as_source(X) is not None

        def log_density(X):
            pair = pair_of(y, X) if is_source else (X, y)
            return self._log_density(*pair, "score")

        return mean_over_rows(log_density, X, sample_weight)[0]

    @pairs_in_chunks
    def log_likelihood(self, X, y=None, n_importance=5000):
        """log p(y|x) of each row by importance sampling with q(z|y,x) as the proposal.

        An underestimate on average, and by much where q(z|y,x) misses what p(z|x)
        finds likely, as after a training with beta = 0.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        n_importance : int, default=5000
            Draws per row.

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,), float32
            In nats.
        """
        rows = self._validate_pairs(X, y, "log_likelihood")
        check_count("n_importance", n_importance)
        return self._log_likelihoods_of_rows(rows, n_importance)

    @property
    def _n_features_out(self):
        return self.net_.module.latent_dim
