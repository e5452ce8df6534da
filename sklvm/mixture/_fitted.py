"""What a fitted mixture answers: posteriors, densities, samples, criteria."""

from functools import partial
from numbers import Integral

import numpy as np
from scipy.sparse import issparse
from scipy.special import entr
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from sklvm._base import (
    DensityScoreMixin,
    check_sample_weight,
    private_random_state,
    weighted_mean,
)
from sklvm.mixture._em import normalise
from sklvm.mixture._reduce import Reducer, effective_n_threads, single_threaded_blas


def float_dtype(X):
    """The precision in which X is worked on: its own, or float64."""
    return np.dtype(np.float32 if X.dtype == np.float32 else np.float64)


def observed_weight(sample, batch_size=8192):
    """Total weight of the observed entries of each feature; None if all are."""
    n, n_features = sample.data.shape
    observed, complete = np.zeros(n_features), True
    for start in range(0, n, batch_size):
        rows = slice(start, start + batch_size)
        gaps = np.isnan(sample.data[rows])
        weight = sample.sample_weight
        weight = np.ones(len(gaps)) if weight is None else weight[rows]
        if gaps.any():
            complete = False
            observed += weight @ ~gaps
        else:
            observed += weight.sum()
    return None if complete else observed


class FittedMixture(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, DensityScoreMixin
):
    """Methods of a fitted mixture, on the hooks that `BaseMixtureEM` declares."""

    def _checked(self, X):
        check_is_fitted(self)
        return self._validate_rows(X, reset=False)

    def _visit_rows(self, X, visit):
        """Call visit(rows, log_joint, features, expectation) for each chunk of X."""
        sample = self._as_sample(X)
        missing = not issparse(X) and observed_weight(sample) is not None
        family = self._family(sample, missing, fitted=True)
        expectation = next(family.expectations(self._parameters()))

        def chunk(rows, workspace):
            log_joint, features = expectation.log_joint(sample.data[rows], workspace)
            visit(rows, log_joint, features, expectation)
            return ()

        with single_threaded_blas() as n_blas:
            n_threads = effective_n_threads(self.n_jobs, n_blas)
            with Reducer(X.shape[0], family.batch_size, n_threads) as reducer:
                reducer.sum(chunk)

    def _e_step(self, X, visit):
        """Call visit(rows, resp, log_px, conditional_mean) for each chunk of X."""

        def posterior(rows, resp, features, expectation):
            log_px = normalise(resp, expectation.weights)
            visit(rows, resp, log_px, partial(expectation.conditional_mean, features))

        self._visit_rows(X, posterior)

    def _log_joint(self, X):
        """log p(x, z = k), of shape (n_samples, K), in float64."""
        X = self._checked(X)
        of_rows = np.empty((X.shape[0], len(self.weights_)))

        def visit(rows, log_joint, features, expectation):
            of_rows[rows] = log_joint.T

        self._visit_rows(X, visit)
        return of_rows

    def _log_density(self, X):
        X = self._checked(X)
        log_density = np.empty(X.shape[0])

        def visit(rows, resp, log_px, conditional_mean):
            log_density[rows] = log_px

        self._e_step(X, visit)
        return log_density

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
        return self._log_density(X).astype(self.weights_.dtype, copy=False)

    def predict_proba(self, X):
        """Responsibilities p(z | x).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        resp : ndarray of shape (n_samples, n_components)
        """
        return self._responsibilities(X)

    def _responsibilities(self, X):
        X = self._checked(X)
        resp_of_rows = np.empty((X.shape[0], len(self.weights_)), float_dtype(X))

        def visit(rows, resp, log_px, conditional_mean):
            resp_of_rows[rows] = resp.T

        self._e_step(X, visit)
        return resp_of_rows

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

    def predict(self, X):
        """The component with the highest responsibility for each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        return self._responsibilities(X).argmax(axis=1)

    def impute(self, X):
        """X with each NaN replaced by its conditional expectation.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            E[x_missing | x_observed]; what was observed is as it was.
        """
        X = self._checked(X)
        if issparse(X):
            return X.copy()
        filled = X.astype(float_dtype(X))

        def visit(rows, resp, log_px, conditional_mean):
            gaps = np.isnan(filled[rows])
            if gaps.any():
                filled[rows][gaps] = conditional_mean(resp)[gaps]

        self._e_step(X, visit)
        return filled

    def inverse_transform(self, Z):
        """Mean of the mixture whose weights are the responsibilities Z.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        Z = check_array(Z, dtype=[np.float64, np.float32], input_name="Z")
        if Z.shape[1] != len(self._means):
            raise ValueError(
                f"Z has {Z.shape[1]} columns; responsibilities have one for each of "
                f"the {len(self._means)} components."
            )
        return Z @ self._means.astype(Z.dtype, copy=False)

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
        weights = self.weights_.astype(np.float64)
        counts = rng.multinomial(n_samples, weights / weights.sum())
        labels = np.repeat(np.arange(len(counts)), counts)
        return self._draw(labels, rng), labels

    def _n_weights(self):
        return 0 if self.weights == "uniform" else len(self.weights_) - 1

    def _deviance(self, X, sample_weight):
        """-2 log-likelihood of the weighted sample, and the sum of the weights."""
        log_density = self._log_density(X)
        sample_weight = check_sample_weight(sample_weight, log_density)
        n = len(log_density) if sample_weight is None else sample_weight.sum()
        return -2 * n * weighted_mean(log_density, sample_weight), n

    def aic(self, X, sample_weight=None):
        """Akaike information criterion; the lower the better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,), default=None

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
            The sample size is the sum of the weights.

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

        Returns
        -------
        icl : float
        """
        entropy = entr(self._responsibilities(X)).sum(axis=1, dtype=np.float64)
        weight = 1 if sample_weight is None else check_sample_weight(sample_weight, X)
        return float(self.bic(X, sample_weight) + 2 * np.sum(weight * entropy))
