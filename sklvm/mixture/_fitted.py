"""What a fitted mixture answers: posteriors, densities, samples, criteria."""

from abc import ABC, abstractmethod
from contextlib import nullcontext
from functools import partial
from numbers import Integral

import numpy as np
from scipy.sparse import issparse
from scipy.special import entr
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sklvm._base import (
    DensityScoreMixin,
    in_chunks,
    mean_over_rows,
    private_random_state,
)
from sklvm._warn import warn_user
from sklvm.columns._libraries import to_numpy
from sklvm.columns._numbers import check_numbers
from sklvm.mixture._checks import (
    check_fitted_params,
    check_weights,
    float_dtype,
    has_missing,
)
from sklvm.mixture._components import FEW_ROWS
from sklvm.mixture._mixture import Mixture, MixtureParams
from sklvm.mixture._rows import (
    ConvertedRows,
    MemoryRows,
    chunk_size,
    effective_n_threads,
    single_threaded_blas,
)


class FittedMixture(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, DensityScoreMixin, ABC
):
    """Methods of a fitted mixture, on the attributes that a fit or the user has set."""

    # What keeps probabilities off 0, for the message about rows that have it.
    _impossible_remedy = None

    @abstractmethod
    def _check_rows(self, X, reset):
        """X checked at the public edge."""

    @abstractmethod
    def _make_components(self, n_features, *, fitted, **kwargs):
        """The `Components`, with dtype and missing; `fitted` as the attributes are."""

    @abstractmethod
    def _component_params(self):
        """The fitted attributes as params of the components, in float64."""

    def _chunks(self, X):
        """X as an object whose slices are rows in the precision of the computation."""
        dtype = float_dtype(X)
        return X if issparse(X) or X.dtype == dtype else ConvertedRows(X, dtype)

    @classmethod
    def _from_params(cls, weights, components, component_params, kwargs):
        """A fitted mixture with these params, checked already but for the weights."""
        weights = check_weights("weights", weights, len(component_params[0]))
        model = cls(len(weights), **kwargs)
        model.weights_ = weights
        model._set_component_params(components, component_params)
        model.n_features_in_ = components.n_features
        return model

    def _checked(self, X):
        check_is_fitted(self)
        X = self._check_rows(X, reset=False)
        self._check_width(X)
        return X

    def _check_width(self, X):
        n_features = self._n_features()
        if X.shape[1] != n_features:
            raise ValueError(
                f"X has {X.shape[1]} features, but {type(self).__name__} is expecting "
                f"{n_features} features as input."
            )

    def _n_features(self):
        if hasattr(self, "n_features_in_"):
            return self.n_features_in_
        return self._component_params()[0].shape[1]  # the user set the attributes

    def _params(self):
        params = self._weights().astype(np.float64), self._component_params()
        check_fitted_params(*params)
        return MixtureParams(*params)

    def _weights(self):
        """The mixing weights; as an array, whatever was set."""
        return np.asarray(to_numpy(self.weights_))

    def _mixture(self, n_features, **kwargs):
        components = self._make_components(n_features, fitted=True, **kwargs)
        return Mixture(components, len(self._weights()), self.weights)

    def _map(self, X, method):
        """`method` of the E-step at the fitted params, over the rows of a checked X."""
        data, n = self._chunks(X), X.shape[0]
        missing = not issparse(X) and self._any_missing(data)
        mixture = self._mixture(X.shape[1], dtype=data.dtype, missing=missing)
        row_size = mixture.components.row_size(mixture.n_components)
        batch_size = self.batch_size or chunk_size(row_size, data.dtype)
        # The products of a few rows are too small for threads, and a setting of the
        # process is nothing that each request to a server should touch.
        with nullcontext(1) if n <= FEW_ROWS else single_threaded_blas() as n_blas:
            n_threads = effective_n_threads(self.n_jobs, n_blas) if n > FEW_ROWS else 1
            e_step = mixture.e_step(self._params(), n)
            with MemoryRows(data, batch_size=batch_size, n_threads=n_threads) as rows:
                return rows.map(partial(method, e_step))

    @staticmethod
    def _any_missing(data, batch_size=8192):
        n = data.shape[0]
        return any(
            has_missing(data[i : i + batch_size]) for i in range(0, n, batch_size)
        )

    def _log_joint(self, X):
        """log p(x, z = k), of shape (n_samples, K), in float64."""
        return self._map(
            self._checked(X), lambda e, X, w: e.log_joint(X, w)[0].T.astype(np.float64)
        )

    def _log_evidence(self, X):
        """log p(x) of a checked X; of a row with nothing observed it is exactly 0."""
        log_density = self._map(X, lambda e, X, w: e.log_density(X, w))
        if not issparse(X):
            near = np.flatnonzero(abs(log_density) < 1e-2)
            log_density[near[np.isnan(X[near]).all(axis=1)]] = 0
        return log_density

    def _log_density(self, X):
        log_density = self._log_evidence(self._checked(X))
        if self._impossible_remedy and np.isneginf(log_density).any():
            row = int(np.isneginf(log_density).argmax())
            warn_user(
                f"X has rows of probability 0 under the fitted mixture, the first is "
                f"row {row}, as a value never seen in training has probability 0; set "
                f"{self._impossible_remedy} to keep probabilities off 0."
            )
        return log_density

    @in_chunks
    def score_samples(self, X):
        """log p(x) of each row, in nats, exact.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN is summed out: the density is that of the observed entries.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
        """
        return self._log_density(X).astype(self._weights().dtype, copy=False)

    @in_chunks
    def predict_proba(self, X):
        """Responsibilities p(z | x).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Sparse rows, where the family takes them, need two components or more;
            `transform` takes them always.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_components)
        """
        check_is_fitted(self)
        # scikit-learn's check of sparse input takes every default estimator that
        # answers here for a classifier, and wants two columns or more.
        if issparse(X) and len(self._weights()) == 1:
            raise ValueError(
                "predict_proba of a sparse X with one component is 1 for every row; "
                "use transform(X), or more components."
            )
        return self._responsibilities(X)

    def _responsibilities(self, X):
        X = self._checked(X)
        dtype = float_dtype(X)
        return self._map(X, lambda e, X, w: e.posterior(X, w).T.astype(dtype))

    def transform(self, X):
        """Responsibilities p(z | x), as `predict_proba`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        resp : ndarray of shape (n_samples, n_components)
        """
        return self._responsibilities(X)

    @in_chunks
    def predict(self, X):
        """The component with the highest responsibility for each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        return self._map(self._checked(X), lambda e, X, w: e.labels(X, w))

    def inverse_transform(self, Z):
        """Mean of the mixture whose weights are the responsibilities Z.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        """
        X, dtype = self._means_of(Z)
        return X.astype(dtype)

    def _means_of(self, Z):
        """Rows of means in float64, and the dtype of the responsibilities Z."""
        check_is_fitted(self)
        Z = check_numbers(Z, "Z", dtype=[np.float64, np.float32])
        if Z.shape[1] != len(self._weights()):
            raise ValueError(
                f"Z has {Z.shape[1]} columns; give responsibilities, which have one "
                f"for each of the {len(self._weights())} components."
            )
        components = self._mixture(self._n_features()).components
        X = components.expected(self._component_params(), Z.astype(np.float64))
        return X, Z.dtype

    def sample(self, n_samples=1):
        """Draw rows and the components they come from.

        Parameters
        ----------
        n_samples : int, default=1

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        labels : ndarray of shape (n_samples,)
            The component of each row, in ascending order.
        """
        check_is_fitted(self)
        if not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(
                f"n_samples={n_samples!r} must be an integer of 1 or more; ask for at "
                "least one row."
            )
        rng = private_random_state(self.random_state)
        weights, params = self._params()
        counts = rng.multinomial(n_samples, weights / weights.sum())
        labels = np.repeat(np.arange(len(counts)), counts)
        components = self._mixture(self._n_features()).components
        X = components.sample(params, labels, rng)
        return X.astype(self._weights().dtype), labels

    def _n_parameters(self):
        return self._mixture(self._n_features()).n_parameters()

    def _deviance(self, X, sample_weight):
        """-2 log-likelihood of the weighted sample, and the number of its rows."""
        mean, n = mean_over_rows(self._log_density, X, sample_weight)
        return -2 * n * mean, n

    def aic(self, X, sample_weight=None):
        """Akaike information criterion; the lower the better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,), default=None
            As for `bic`.

        Returns
        -------
        aic : float
        """
        deviance, _ = self._deviance(X, sample_weight)
        return float(deviance + 2 * self._n_parameters())

    def bic(self, X, sample_weight=None):
        """Bayesian information criterion; the lower the better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,), default=None
            Whole numbers count rows: the sample size n is their sum. Any others are
            taken for importance or survey weights, whose unit is arbitrary: n is Kish's
            effective size, (sum w)^2 / sum w^2, and the log-likelihood n times the
            weighted mean.

        Returns
        -------
        bic : float
        """
        deviance, n = self._deviance(X, sample_weight)
        return float(deviance + self._n_parameters() * np.log(n))

    def icl(self, X, sample_weight=None):
        """Integrated completed likelihood; the lower the better.

        BIC plus twice the entropy of the responsibilities (Biernacki, Celeux and
        Govaert, 2000), so that overlapping components count against a model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,), default=None
            As for `bic`.

        Returns
        -------
        icl : float
        """
        deviance, n = self._deviance(X, sample_weight)
        entropy, _ = mean_over_rows(self._entropy, X, sample_weight)
        return float(deviance + self._n_parameters() * np.log(n) + 2 * n * entropy)

    def _entropy(self, X):
        """That of the responsibilities of each row."""
        return self._map(
            self._checked(X), lambda e, X, w: entr(e.posterior(X, w)).sum(axis=0)
        )


# Outside of scikit-learn's own wrapper, so that each chunk comes in its container.
FittedMixture.transform = in_chunks(FittedMixture.transform)
