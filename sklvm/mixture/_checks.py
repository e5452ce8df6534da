"""Rows and initial values at the public edge of the mixtures."""

from functools import singledispatch

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import assert_all_finite

from sklvm.columns._numbers import (
    are_few_rows,
    check_numbers,
    validate_rows,
    with_remedy,
)
from sklvm.mixture._rows import is_memory_map


def check_n_components(n_components, rows):
    """As many rows as components; a row of weight 2 is two rows."""
    n = rows.shape[0]
    if rows.sample_weight is not None:
        n = np.count_nonzero(rows.sample_weight)
    n = max(n, rows.total_weight)
    if n < n_components:
        raise ValueError(
            f"n_components={n_components} must not be more than n_samples={n:g}; "
            "decrease n_components or give more rows."
        )


def check_rows(estimator, X, reset, *, accept_sparse=False, dtype="numeric"):
    """X checked as scikit-learn does, NaN allowed; a memory map stays where it is.

    Parameters
    ----------
    dtype : as for `validate_data`
        Memory maps of other numbers are converted chunk by chunk instead.
    """
    if not reset and _as_it_is(estimator, X, dtype):
        return X
    if is_memory_map(X) and X.dtype.kind in "biuf":
        dtype = "numeric"
    try:
        X = validate_rows(
            estimator,
            X,
            reset=reset,
            accept_sparse="csr" if accept_sparse else False,
            dtype=dtype,
            ensure_all_finite=False,
        )
    except ValueError as error:
        if not str(error).startswith(("X has text in", "X has categories in")):
            raise
        sentence = str(error).rstrip(".")
        raise ValueError(
            f"{sentence}, or take MixtureEM, which reads text and categories."
        ) from None
    _check_finite(estimator, X)
    if issparse(X) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def _as_it_is(estimator, X, dtype):
    """Whether every check would hand out these few rows unchanged."""
    if not are_few_rows(estimator, X, allow_nan=True):
        return False
    if X.dtype.kind == "f":
        return X.dtype.itemsize in (4, 8)
    return dtype == "numeric"


def _check_finite(estimator, X, batch_size=8192):
    """No infinity, and no NaN in sparse rows, looked for chunk by chunk."""
    name = type(estimator).__name__
    if issparse(X):
        if np.isnan(X.data).any():
            raise ValueError(
                "A sparse X has NaN; give a dense X to mark missing values."
            )
        chunks = [X.data]
    else:
        chunks = (X[i : i + batch_size] for i in range(0, len(X), batch_size))
    try:
        for chunk in chunks:
            # Also a long double is to be finite as a float64.
            wide = chunk.dtype.kind == "f" and chunk.dtype.itemsize > 8
            with np.errstate(over="ignore"):
                chunk = chunk.astype(np.float64) if wide else chunk
            assert_all_finite(
                chunk, allow_nan=True, input_name="X", estimator_name=name
            )
    except ValueError as error:
        raise with_remedy(error, "allow-nan") from None


def feature_name(estimator, d):
    """Name of the feature d of X, or its number."""
    names = getattr(estimator, "feature_names_in_", None)
    return d if names is None else repr(names[d])


def any_in_row(mask):
    """Rows with a True in a mask, which may be sparse."""
    return np.asarray(mask.sum(axis=1)).ravel() > 0


def check_not_negative(estimator, X, rule):
    """No value of X below 0; `rule` says what is expected."""
    values = X.data if issparse(X) else X
    if not values.size or not np.fmin.reduce(values, axis=None) < 0:
        return
    first = np.flatnonzero(values.ravel() < 0)[0]
    d = X.indices[first] if issparse(X) else first % X.shape[1]
    raise ValueError(
        f"Negative values in data passed to {type(estimator).__name__}: X has "
        f"{values.ravel()[first]:g} in the feature {feature_name(estimator, d)}; "
        f"{rule}."
    )


def check_init(name, value, shape):
    """The user's initial value as float64, with the right shape and finite."""
    value = check_numbers(value, name, dtype=np.float64, ensure_2d=False, allow_nd=True)
    if value.shape != shape:
        raise ValueError(
            f"{name} has shape {value.shape}; with these n_components and X it must "
            f"have shape {shape}."
        )
    return value


def check_params(name, value, weights):
    """Known params of components, a row for each of the weights."""
    shape = np.shape(value)
    if not shape or np.shape(weights) != shape[:1]:
        raise ValueError(
            f"weights has shape {np.shape(weights)} and {name} has shape {shape}; give "
            f"one weight for each row of {name}."
        )
    return check_init(name, value, (len(weights), shape[-1]))


def check_probabilities(name, values):
    """The values, between 0 and 1."""
    if values.min() < 0 or values.max() > 1:
        wrong = values.min() if values.min() < 0 else values.max()
        raise ValueError(
            f"{name} has the value {wrong:g}; probabilities lie in [0, 1]."
        )
    return values


def check_weights(name, value, n_components):
    """Mixing weights as float64 with sum 1."""
    weights = check_init(name, value, (n_components,))
    if weights.min() < 0 or not np.isclose(weights.sum(), 1):
        raise ValueError(
            f"{name}={value} must be 0 or more and sum to 1; it sums to "
            f"{weights.sum():g}."
        )
    return weights / weights.sum()


def check_fitted_params(weights, params):
    """The fitted attributes are those of a mixture, also where the user has set them.

    Weights of another sum would make scores that are no densities, in silence.
    """
    # In float32 the sum of many weights is rounded.
    is_sum = abs(weights.sum() - 1) < 1e-4
    if weights.ndim != 1 or not is_sum or weights.min() < 0:
        raise ValueError(
            f"weights_ has the sum {weights.sum():g} and the least value "
            f"{weights.min():g}; set weights that are 0 or more and sum to 1."
        )
    if len(params[0]) != len(weights) or any(np.isnan(p).any() for p in params):
        shapes = ", ".join(str(np.shape(values)) for values in (weights, *params))
        raise ValueError(
            f"The fitted attributes have the shapes {shapes}, or NaN in them; set a "
            "weight and finite parameters for each component."
        )


def float_dtype(X):
    """The precision in which X is worked on: its own, or float64."""
    return np.dtype(np.float32 if X.dtype == np.float32 else np.float64)


def has_missing(X):
    """Whether a dense chunk holds a NaN."""
    return bool(np.isnan(X.sum()) and np.isnan(X).any())


def check_observed(estimator, observed):
    """Every feature must have been seen at least once."""
    never = np.flatnonzero(observed == 0)
    if len(never):
        names = ", ".join(str(feature_name(estimator, d)) for d in never)
        raise ValueError(
            f"X has only NaN in the features {names}; drop the features that were "
            "never observed."
        )


def observed_weight(rows):
    """Total weight of the observed entries of each feature; None if all are."""

    missing, weight = rows.sum(
        lambda X, weight, workspace: observed_entries(X, weight),
        add=(np.logical_or, np.add),
    )
    return weight if missing else None


@singledispatch
def observed_entries(X, weight):
    """Whether any entry of a chunk is missing; weight of the others, by feature.

    Chunks that are no arrays register a function that gives the same.
    """
    total = len(X) if weight is None else weight.sum()
    if not has_missing(X):
        return False, np.full(X.shape[1], float(total))
    present = ~np.isnan(X)
    return True, present.sum(axis=0) if weight is None else weight @ present


@singledispatch
def largest_fraction(X):
    """The largest value of a chunk that is no whole number; 0 if all are.

    Chunks that are no arrays register a function that gives the same.
    """
    values = X.data if issparse(X) else X
    return values[values % 1 > 0].max(initial=0)


def holds_no_codes(X, batch_size=8192):
    """Whether X holds values, and none of them is a whole number."""
    chunks = [X[i : i + batch_size] for i in range(0, len(X), batch_size)]
    if any((chunk == np.floor(chunk)).any() for chunk in chunks):
        return False
    return not all(np.isnan(chunk).all() for chunk in chunks)
