"""A clone of a density model, fitted inside of another estimator."""

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from sklvm._compat import CallbackSupportMixin, with_callbacks
from sklvm._tasks import watched
from sklvm.columns._cells import is_missing
from sklvm.columns._forms import plain
from sklvm.columns._tables import holds_words
from sklvm.inspection._kinds import is_density, is_mixture
from sklvm.mixture import GaussianMixtureEM
from sklvm.state._estimators import FittedStateMixin


class DensityWrapper(FittedStateMixin, CallbackSupportMixin, BaseEstimator):
    """Base of estimators with the parameter `estimator`, None for one Gaussian."""

    def _estimator(self):
        if self.estimator is None:
            return GaussianMixtureEM(random_state=0)
        return self.estimator

    @with_callbacks
    def _fit_estimator(self, X, sample_weight=None):
        """Set `estimator_` and what it knows of the features."""
        estimator = self._estimator()
        name = type(estimator).__name__
        if self.estimator is None and holds_words(X):
            raise ValueError(
                "X has columns of text, categories or dates, of which the default "
                "estimator, one Gaussian, is no density; give estimator=MixtureEM(), "
                "which reads text and categories."
            )
        if isinstance(estimator, type):
            raise TypeError(
                f"estimator={estimator.__name__} is a class; give an object of it, "
                f"{estimator.__name__}()."
            )
        if not is_density(estimator):
            raise TypeError(
                f"estimator={name} is no density of rows; give a mixture, VAE or GMVAE "
                "of sklvm, and place other steps of a Pipeline before this one."
            )
        params = weight_params(estimator, sample_weight)
        self.estimator_ = clone(estimator)
        with watched(self, 1, X, **params) as task, task.lent(self.estimator_):
            self.estimator_.fit(X, **params)
        self.n_features_in_ = self.estimator_.n_features_in_
        if hasattr(self.estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.estimator_.feature_names_in_
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _fitted_estimator(self):
        check_is_fitted(self)
        return self.estimator_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = self._estimator()
        if is_density(inner):
            tags.input_tags = get_tags(inner).input_tags
        return tags


def weight_params(estimator, sample_weight):
    """What `fit` of an inner estimator gets besides X, or an error."""
    if sample_weight is None:
        return {}
    if not has_fit_parameter(estimator, "sample_weight"):
        raise ValueError(
            "sample_weight is not taken by the fit of estimator="
            f"{type(estimator).__name__}; leave it out or give a mixture."
        )
    return {"sample_weight": sample_weight}


def observed_by(model, X):
    """The same where the fitted model sees a value, which it may not know."""
    # A mixture of mixed columns may take an unknown category for missing.
    return observed_cells(model._checked(X) if is_mixture(model) else X)


def observed_cells(X):
    """True where X has a value, of shape (n_samples, n_features)."""
    if issparse(X):
        return np.ones(X.shape, dtype=bool)
    if hasattr(X, "notna"):  # a DataFrame knows its own missing values
        return X.notna().to_numpy()
    return ~is_missing(np.asarray(plain(X))).astype(bool)
