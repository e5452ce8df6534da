"""What a fitted ConditionalVAE answers: predictions, codes, densities, samples."""

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from sklvm._base import check_count, check_sample_weight, warn_user, weighted_mean
from sklvm.autoencoder._likelihoods import Categorical
from sklvm.autoencoder._monte_carlo import RowEstimates
from sklvm.autoencoder._noise import row_normals
from sklvm.neural._device import as_tensor, inference
from sklvm.neural._estimator import BLOCK_SIZE


def _has_labels(estimator):
    if not estimator._is_categorical():
        raise AttributeError(
            f"likelihood={estimator.likelihood!r} has no classes; set likelihood="
            "'categorical' for a y of labels."
        )
    return True


class FittedConditional(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, RowEstimates
):
    """Methods of an estimator whose `net_.module` is a `ConditionalModel`."""

    # Checks -----------------------------------------------------------------------

    def _is_categorical(self):
        """Whether y is labels: in the fitted model, or where there is none in the next.

        A parameter may have been set to something else since the fit.
        """
        if not hasattr(self, "net_"):
            return self.likelihood == "categorical"
        return isinstance(self.net_.module.likelihood, Categorical)

    def _split_rows(self, rows):
        """y and x of rows [y, x]."""
        return np.split(rows, [rows.shape[1] - self.n_features_in_], axis=1)

    def _validate_rows(self, X, y, reset):
        """Rows [y, x] in float32."""
        if issparse(y):
            raise ValueError("y is sparse and has to be dense; give y.toarray().")
        X, y = validate_data(
            self, X, y, dtype=np.float32, order="C", multi_output=True, reset=reset
        )
        if reset:
            self._y_shape = y.shape[1:]
        elif y.shape[1:] != self._y_shape:
            raise ValueError(
                f"y has shape {y.shape}; it must have shape "
                f"{(len(y), *self._y_shape)}, with the columns that it had in fit."
            )
        y = y.reshape(len(y), -1)
        if reset:
            self._learn_labels(y)
        Y = self._as_numbers(y, reset)
        if not reset:
            self.net_.module.likelihood.check(Y)
        return np.concatenate([Y, X], axis=1), None

    def _learn_labels(self, y):
        self.__dict__.pop("classes_", None)
        if self.likelihood == "categorical":
            self._labels = [_labels(column) for column in y.T]
            self.classes_ = self._labels if len(self._labels) > 1 else self._labels[0]

    def _as_numbers(self, y, reset):
        """y in float32; the labels of a categorical one as one-hot columns."""
        as_labels = (
            self.likelihood == "categorical" if reset else self._is_categorical()
        )
        if not as_labels:
            return self._as_float32(y)
        columns = zip(y.T, self._labels, strict=True)
        return np.concatenate([_one_hot(*column) for column in columns], axis=1)

    def _as_float32(self, y):
        try:
            with np.errstate(over="ignore"):
                numbers = y.astype(np.float32)
        except (ValueError, TypeError):
            value = y.ravel().tolist()[0]
            raise ValueError(
                f"y has values that are not numbers, {value!r} among them; set "
                "likelihood='categorical' for labels."
            ) from None
        if not np.isfinite(numbers).all():
            raise ValueError("y has values beyond float32; scale y (StandardScaler).")
        return numbers

    def _validate_new(self, X):
        check_is_fitted(self)
        return validate_data(self, X, dtype=np.float32, order="C", reset=False)

    def _validate_pairs(self, X, y, method):
        check_is_fitted(self)
        if y is None:
            raise ValueError(
                f"y=None leaves {method} nothing to measure; give the y of each row."
            )
        return self._validate_rows(X, y, reset=False)[0]

    # Predictions ------------------------------------------------------------------

    def predict(self, X, n_draws=256):
        """E[y|x], or the most probable label of each categorical column.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_draws : int, default=256
            Draws of z from p(z|x), over which E[y|z,x] is averaged.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            float32, or labels; in the shape of the y of `fit`.
        """
        y = self._as_labels(self._mean_of_y(X, n_draws))
        return y.reshape(len(y), *self._y_shape)

    @available_if(_has_labels)
    def predict_proba(self, X, n_draws=256):
        """p(y|x) of each label of a categorical y.

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
        theta = self._groups(self._mean_of_y(X, n_draws))
        return theta if len(theta) > 1 else theta[0]

    def _groups(self, Y):
        """The columns that belong to each categorical variable."""
        ends = np.cumsum([len(labels) for labels in self._labels])
        return np.split(Y, ends[:-1], axis=1)

    def _mean_of_y(self, X, n_draws):
        X = self._validate_new(X)
        check_count("n_draws", n_draws)
        module, device = self._fitted_module()

        def mean(keys, rows):
            x = as_tensor(rows, device)
            eps = row_normals(keys, n_draws, module.latent_dim).to(device)
            means = [
                module.likelihood.mean(module.decode(z, x)).double().sum(0)
                for z in self._draws(module.conditional_prior(x), eps)
            ]
            return (sum(means) / n_draws).float().cpu()

        return self._map_keyed(mean, X, n_draws)

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
            float32, or labels; each draw in the shape of the y of `fit`.
        Z : ndarray of shape ([n_draws,] n_samples, latent_dim), float32
        """
        X = self._validate_new(X)
        S = 1 if n_samples is None else check_count("n_samples", n_samples)
        module, device = self._fitted_module()
        generator = self._sampling_generator()
        Y, Z = [], []
        with inference():
            for x in as_tensor(X, device).split(max(1, BLOCK_SIZE // module.row_size)):
                p = module.conditional_prior(x)
                eps = torch.empty((S, *p.mean.shape), device=device)
                eps.normal_(generator=generator)
                z = p.rsample(eps)
                draws = [
                    module.likelihood.sample(module.decode(part, x), generator)
                    for part in z.split(max(1, BLOCK_SIZE // module.row_size // len(x)))
                ]
                Y.append(torch.cat(draws).cpu())
                Z.append(z.cpu())
        Y, Z = torch.cat(Y, 1).numpy(), torch.cat(Z, 1).numpy()
        Y = self._as_labels(Y).reshape(S, len(X), *self._y_shape)
        return (Y[0], Z[0]) if n_samples is None else (Y, Z)

    def _as_labels(self, Y):
        """The most probable label of each categorical column; other y as they are."""
        if not self._is_categorical():
            return Y
        groups = self._groups(Y.reshape(-1, Y.shape[-1]))
        columns = zip(self._labels, groups, strict=True)
        labels = [classes[theta.argmax(axis=1)] for classes, theta in columns]
        return np.stack(labels, axis=1)

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
                return module.conditional_prior(x).mean
        else:
            rows = self._validate_pairs(X, y, "transform")

            def code(row):
                return module.posterior(module.observe(row)).mean

        return self._map_rows(code, rows, module.encoder_row_size)

    # The density ------------------------------------------------------------------

    def score_samples(self, X, y=None):
        """The conditional evidence lower bound F of each row.

        As in `VAE`, always with beta = 1 and in its third form. Where the encoder was
        not trained by F itself, as with objective="iwae", q(z|y,x) may be far from the
        posterior and F far below `log_likelihood`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            With None, as some tools of scikit-learn call it, nothing is observed and
            log p of nothing is 0: zeros, with a warning.

        Returns
        -------
        F : ndarray of shape (n_samples,), float32
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
        check_count("n_score_draws", self.n_score_draws)
        rows = self._validate_pairs(X, y, method)
        return self._lower_bounds_of_rows(rows, self.n_score_draws)

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
        log_density = self._log_density(X, y, "score")
        return weighted_mean(
            log_density, check_sample_weight(sample_weight, log_density)
        )

    def log_likelihood(self, X, y=None, n_importance=5000):
        """log p(y|x) of each row by importance sampling with q(z|y,x) as the proposal.

        An underestimate on average, and by much where q(z|y,x) misses what p(z|x)
        finds likely, as after a training with beta = 0.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        n_importance : int, default=5000
            Draws a row.

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


def _labels(column):
    """The labels of a column of y, in order."""
    try:
        return np.unique(column)
    except TypeError:
        kinds = sorted({type(value).__name__ for value in column.tolist()})
        raise ValueError(
            f"y has labels of the types {', '.join(kinds)} in one column, which have "
            "no order; give labels of one type."
        ) from None


def _one_hot(column, classes):
    codes = {label: k for k, label in enumerate(classes.tolist())}
    column = column.tolist()
    unknown = [label for label in column if label not in codes]
    if unknown:
        raise ValueError(
            f"y has the class {unknown[0]!r}, which was not seen in fit; drop its rows,"
            f" or fit with rows of it as well as of {', '.join(map(repr, codes))}."
        )
    return np.eye(len(codes), dtype=np.float32)[[codes[label] for label in column]]
