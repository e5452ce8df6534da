"""Densities of a Pipeline in the units of its file."""

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils import _safe_indexing
from sklearn.utils._indexing import _get_column_indices
from sklearn.utils.validation import check_is_fitted

from sklvm.inspection._kinds import is_autoencoder
from sklvm.mixture import GaussianMixtureEM
from sklvm.wrappers._base import observed_cells

REMEDY = (
    "use StandardScaler, MinMaxScaler, RobustScaler, MaxAbsScaler, a PCA of all "
    "components, or a ColumnTransformer of them"
)


def score_in_units(pipeline, X):
    r"""Mean log density of the rows in their own units, of a Pipeline of scalers.

    A model behind scalers scores z = f(x) in units of the scaled columns, so that its
    score changes with the scaler. The density of what is observed of x itself is

    .. math::

        \log p_X(x_{obs}) = \log p_Z(z_{obs})
                            + \log \left| \det \frac{dz_{obs}}{dx_{obs}} \right|,

    which compares between Pipelines with different scalers, and with a model of the
    rows as they are. A missing cell has no part in the determinant.

    Parameters
    ----------
    pipeline : fitted Pipeline
        Linear scalers, then a density of real columns: `GaussianMixtureEM`, or `VAE` or
        `GMVAE` with the Gaussian likelihood. The scalers are StandardScaler,
        MinMaxScaler, RobustScaler, MaxAbsScaler, PCA with all components, whitened or
        not, and Pipelines and ColumnTransformers of these that keep every column.
    X : array-like or DataFrame of shape (n_samples, n_features)

    Returns
    -------
    score : float
        In nats per row.

    Raises
    ------
    TypeError
        If a step has no constant Jacobian, or the model is no density of real columns.
    ValueError
        If a step drops or clips.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklvm import GaussianMixtureEM, score_in_units
    >>> X = load_iris().data
    >>> scaled = make_pipeline(StandardScaler(), GaussianMixtureEM(reg_covar=0)).fit(X)
    >>> plain = GaussianMixtureEM(reg_covar=0).fit(X)
    >>> abs(score_in_units(scaled, X) - plain.score(X)) < 1e-9
    True
    """
    if not isinstance(pipeline, Pipeline):
        raise TypeError(
            f"pipeline={type(pipeline).__name__} is no Pipeline; give one of scalers "
            "and a density model, as make_pipeline(StandardScaler(), model)."
        )
    check_is_fitted(pipeline)
    _check_real(pipeline[-1])
    *scalers, (_, model) = pipeline.steps
    X = X if hasattr(X, "shape") else np.asarray(X)
    Z, log_jacobian = _through(scalers, X)
    scores = np.asarray(model.score_samples(Z), dtype=np.float64)
    return float(np.mean(scores + log_jacobian))


def _check_real(model):
    gaussian = is_autoencoder(model) and model.likelihood == "gaussian"
    if not gaussian and not isinstance(model, GaussianMixtureEM):
        raise TypeError(
            f"The last step {type(model).__name__} is no density of real columns, "
            "whose score would depend on their units; use pipeline.score(X)."
        )


def _through(steps, X):
    """X after the (name, step) pairs, and log |dz/dx| of each row."""
    log_jacobian = np.zeros(X.shape[0])
    for name, step in steps:
        if step is None or isinstance(step, str):  # "passthrough"
            continue
        log_jacobian += _log_jacobian(name, step, X)
        X = step.transform(X)
    return X, log_jacobian


def _log_jacobian(name, step, X):
    if isinstance(step, Pipeline):
        return _through(step.steps, X)[1]
    if isinstance(step, ColumnTransformer):
        return _of_columns(name, step, X)
    if isinstance(step, PCA):
        return _of_pca(name, step)
    return observed_cells(X) @ _log_slopes(name, step, X)


def _log_slopes(name, step, X):
    """log |dz/dx| of each column."""
    if isinstance(step, FunctionTransformer) and step.func is None:
        return np.zeros(X.shape[1])
    if isinstance(step, MinMaxScaler):
        if step.clip:
            raise ValueError(
                f"The step {name!r} has clip=True, which maps different values to one; "
                "set clip=False."
            )
        return np.log(step.scale_)
    if isinstance(step, StandardScaler | RobustScaler | MaxAbsScaler):
        # None where the step only centres.
        return np.zeros(X.shape[1]) if step.scale_ is None else -np.log(step.scale_)
    raise TypeError(
        f"The step {name!r} is a {type(step).__name__}, whose Jacobian is not known "
        f"here; {REMEDY}."
    )


def _of_pca(name, step):
    if step.n_components_ < step.n_features_in_:
        raise ValueError(
            f"The step {name!r} keeps n_components={step.n_components_} of "
            f"{step.n_features_in_} columns, so that the rows have no density; keep "
            "them all."
        )
    return -0.5 * np.log(step.explained_variance_).sum() if step.whiten else 0.0


def _of_columns(name, step, X):
    if step.transformer_weights:
        raise ValueError(
            f"The step {name!r} has transformer_weights, which are not known here; "
            "leave them None."
        )
    parts = [part for part in step.transformers_ if not _is_dropped(part)]
    used = [_get_column_indices(X, columns) for _, _, columns in parts]
    if sorted(np.concatenate(used)) != list(range(X.shape[1])):
        raise ValueError(
            f"The step {name!r} drops or repeats columns, so that the rows have no "
            "density; transform each column once, with remainder='passthrough'."
        )
    return sum(
        _through([part[:2]], _safe_indexing(X, columns, axis=1))[1]
        for part, columns in zip(parts, used, strict=True)
    )


def _is_dropped(part):
    return isinstance(part[1], str) and part[1] == "drop"
