"""Which kind of model an estimator is, without importing torch to find out."""

import sys

import numpy as np
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklvm.columns._column import REAL
from sklvm.mixture import GaussianMixtureEM
from sklvm.mixture._fitted import FittedMixture


def is_mixture(estimator):
    """A mixture fitted by EM."""
    return isinstance(estimator, FittedMixture)


def is_autoencoder(estimator):
    """VAE or GMVAE: a density of rows with a continuous latent."""
    return _is_instance(estimator, "sklvm.autoencoder._density", "DensityAutoencoder")


def is_density(estimator):
    """A density of rows: it scores, samples and imputes them."""
    return is_mixture(estimator) or is_autoencoder(estimator)


def are_real(model):
    """Mask of the columns that a density of rows has a density of length of.

    Or one answer for all; None for a likelihood of the user's own, which may be either.
    """
    if hasattr(model, "columns_"):
        return np.array([kind in REAL for kind in model.columns_.values()])
    if not is_autoencoder(model):
        return isinstance(model, GaussianMixtureEM)
    likelihood = model.likelihood or "gaussian"
    return likelihood in REAL if isinstance(likelihood, str) else None


def is_conditional(estimator):
    return _is_instance(estimator, "sklvm.autoencoder", "ConditionalVAE")


def is_segmentation(estimator):
    return _is_instance(estimator, "sklvm.segmentation", "SparseSegmentationRDA")


def is_any(estimator):
    """An estimator of this package."""
    kinds = is_mixture, is_autoencoder, is_conditional, is_segmentation
    return any(is_kind(estimator) for is_kind in kinds)


def model_and_rows(estimator, X=None):
    """Of a Pipeline the last step, and X as the steps before it transform it.

    Of a search it is the best estimator.
    """
    if isinstance(estimator, BaseSearchCV):
        estimator = best_of(estimator)
    if not isinstance(estimator, Pipeline):
        return estimator, X
    check_is_fitted(estimator)
    if X is not None and len(estimator) > 1:
        X = estimator[:-1].transform(X)
    return last_step(estimator), X


def best_of(search):
    """The estimator that a search has fitted to all rows."""
    if hasattr(search, "cv_results_") and not hasattr(search, "best_estimator_"):
        raise ValueError(
            f"estimator={type(search).__name__} has no best_estimator_, as refit="
            f"{search.refit}; set refit=True, or give a fitted estimator."
        )
    check_is_fitted(search)
    return search.best_estimator_


def last_step(estimator):
    """The model that a Pipeline ends with; any other estimator itself."""
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def as_pictures(display, estimator, rows):
    """Rows of numbers as an array; a table with text is no picture."""
    rows = np.asarray(rows)
    if rows.dtype.kind not in "biuf":
        raise TypeError(
            f"{display.__name__} draws rows of numbers, and some columns of the "
            f"{type(estimator).__name__} have text or categories; look at them in a "
            "DataFrame, or by ComponentsDisplay."
        )
    return rows


def _is_instance(estimator, module, name):
    # An instance comes from a module that has been imported.
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(estimator, getattr(loaded, name))
