"""Densities of a model or a Pipeline in the units of its file."""

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

from sklvm.columns._forms import plain
from sklvm.columns._tables import read_table
from sklvm.inspection._kinds import are_real, is_density, last_step
from sklvm.wrappers._base import observed_cells

REMEDY = (
    "use StandardScaler, MinMaxScaler, RobustScaler, MaxAbsScaler, a PCA of all "
    "components, or a ColumnTransformer of them"
)


def score_in_units(pipeline, X):
    r"""Mean log density of the rows in their own units, of a model or a Pipeline.

    A model behind scalers scores z = f(x) in units of the scaled columns, so that its
    score changes with the scaler. The density of what is observed of x itself is

    .. math::

        \log p_X(x_\text{obs}) = \log p_Z(z_\text{obs})
            + \log \left| \det \frac{dz_\text{obs}}{dx_\text{obs}} \right|,

    which compares between Pipelines with different scalers, and with a model of the
    rows as they are. A missing cell has no part in the determinant. A model without
    scalers scores the rows in their own units already, and so does one of discrete
    columns, whose probabilities have no unit: they have their `score`.

    Parameters
    ----------
    pipeline : fitted mixture, VAE or GMVAE, or fitted Pipeline that ends in one
        Steps before it are linear scalers of real columns, of a `MixtureEM` those of
        kind gaussian or lognormal: StandardScaler, MinMaxScaler, RobustScaler,
        MaxAbsScaler, PCA with all components, whitened or not, and Pipelines and
        ColumnTransformers of these that keep every column.
    X : array-like or DataFrame of shape (n_samples, n_features)

    Returns
    -------
    score : float
        In nats per row.

    Raises
    ------
    TypeError
        If a step has no constant Jacobian, or scales a column that is discrete to the
        model, or there is no density of rows at the end.
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
    model = last_step(pipeline)
    if not is_density(model):
        raise TypeError(
            f"pipeline ends in {type(model).__name__}, which is no density of rows; "
            "give a mixture, VAE or GMVAE, or a Pipeline as make_pipeline("
            "StandardScaler(), model)."
        )
    check_is_fitted(pipeline)
    if model is pipeline:
        return float(model.score(X))
    X = plain(X)
    X = X if hasattr(X, "shape") else read_table(X).source
    Z, slopes = _through(pipeline.steps[:-1], X, np.zeros(X.shape[1]))
    _check_real(model, slopes)
    scores = np.asarray(model.score_samples(Z), dtype=np.float64)
    return float(np.mean(scores + observed_cells(Z) @ slopes))


def _check_real(model, slopes):
    """Every column that was scaled is a real one."""
    wrong = np.flatnonzero((slopes != 0) & np.logical_not(are_real(model)))
    if len(wrong):
        names = getattr(model, "feature_names_in_", range(model.n_features_in_))
        raise TypeError(
            f"The steps before {type(model).__name__} scale the column "
            f"{names[wrong[0]]!r}, which is discrete to it, and a probability has no "
            "unit; scale real columns alone, by a ColumnTransformer, or use "
            "pipeline.score(X)."
        )


def _through(steps, X, slopes):
    """X after the (name, step) pairs, and log |dz/dx| of its columns then.

    `slopes` are those of the columns before.
    """
    for name, step in steps:
        if step is None or isinstance(step, str):  # "passthrough"
            continue
        slopes = _slopes_after(name, step, X, slopes)
        X = step.transform(X)
    return X, slopes


def _slopes_after(name, step, X, slopes):
    if isinstance(step, Pipeline):
        return _through(step.steps, X, slopes)[1]
    if isinstance(step, ColumnTransformer):
        return _after_columns(name, step, X, slopes)
    if isinstance(step, PCA):
        return _after_pca(name, step, slopes)
    return slopes + _log_slopes(name, step, X)


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


def _after_pca(name, step, slopes):
    if step.n_components_ < step.n_features_in_:
        raise ValueError(
            f"The step {name!r} keeps n_components={step.n_components_} of "
            f"{step.n_features_in_} columns, so that the rows have no density; keep "
            "them all."
        )
    # Of a rotation, which takes no missing cells, only the sum over columns counts.
    whitening = -0.5 * np.log(step.explained_variance_) if step.whiten else 0.0
    return np.full(len(slopes), slopes.mean()) + whitening


def _after_columns(name, step, X, slopes):
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
    after = [
        _through([part[:2]], _safe_indexing(X, columns, axis=1), slopes[columns])[1]
        for part, columns in zip(parts, used, strict=True)
        if len(columns)  # else the part is not fitted
    ]
    return np.concatenate(after)


def _is_dropped(part):
    return isinstance(part[1], str) and part[1] == "drop"
