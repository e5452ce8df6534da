"""Checks of what the closed forms are given."""

import numpy as np
from scipy.special import log_softmax

from sklvm._base import is_symmetric
from sklvm.columns._forms import is_of_frames
from sklvm.columns._numbers import refuse_mask

COVARIANCE_TYPES = ("full", "diag", "spherical")
# How far probabilities may be from a sum of one, and a covariance from its transpose.
TOLERANCE = 1e-6


def check_batches(names, *shapes):
    """Raise unless the batch shapes of the arguments so named broadcast."""
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(
            f"{names} have the batch shapes {shapes}, which do not broadcast; give "
            "batches of one length."
        ) from None


def check_labels(**arguments):
    """Raise where pandas has the labels of the last axis in other orders.

    `value_counts` has the most frequent one first, and `mean` and `cov` have the
    columns as they came.
    """
    labels = {name: _labels(value) for name, value in arguments.items()}
    named = [(name, found) for name, found in labels.items() if found is not None]
    for name, found in named[1:]:
        first, expected = named[0]
        are_same = len(found) == len(expected) and set(found) == set(expected)
        are_meant = not (isinstance(found, range) or isinstance(expected, range))
        if list(found) != list(expected) and (are_same or are_meant):
            order = "in another order" if are_same else "others than"
            raise ValueError(
                f"{name} has the labels {list(found)!r:.60}, {order} those of {first}, "
                f"{list(expected)!r:.60}; bring them into one order, as by reindex, or "
                "give arrays if it is the order that counts."
            )


def _labels(value):
    """Labels of the last axis; a range where pandas has numbered it."""
    if not is_of_frames(value):
        return None
    found = getattr(value, "columns", getattr(value, "index", None))
    if type(found).__name__ == "RangeIndex":
        return range(found.start, found.stop, found.step)
    return found


def as_numbers(name, values):
    refuse_mask(values, name, "give an array without a mask")
    try:
        given = np.asarray(values)
        if given.dtype.kind not in "biufO":  # of which NumPy would take a part
            raise TypeError(given.dtype)
        values = given.astype(np.float64, copy=False)
    except (TypeError, ValueError):
        raise ValueError(
            f"{name}={values!r} is no array of numbers; give one of real numbers."
        ) from None
    if np.isnan(values).any():
        raise ValueError(f"{name} has NaN; give numbers only.")
    return values


def check_finite(name, values):
    values = as_numbers(name, values)
    if not np.isfinite(values).all():
        raise ValueError(f"{name} has infinite entries; give finite ones.")
    return values


def check_means(name, mean):
    mean = check_finite(name, mean)
    if mean.ndim == 0:
        raise ValueError(f"{name}={mean:g} is a number; give shape (..., d).")
    return mean


def batch_shape(factor, covariance_type):
    n_own = {"full": 2, "diag": 1, "spherical": 0}[covariance_type]
    return factor.shape[: factor.ndim - n_own]


def check_covariances(name, cov, covariance_type, d):
    """Lower Cholesky factors, or standard deviations."""
    if covariance_type not in COVARIANCE_TYPES:
        raise ValueError(
            f"covariance_type={covariance_type!r} must be one of "
            f"{', '.join(map(repr, COVARIANCE_TYPES))}."
        )
    cov = check_finite(name, cov)
    if covariance_type != "full":
        if covariance_type == "diag" and (
            cov.ndim < 1 or d not in (None, cov.shape[-1])
        ):
            raise ValueError(
                f"{name} has shape {cov.shape}; give variances of shape (..., "
                f"{'d' if d is None else d}) for covariance_type='diag'."
            )
        if not (cov > 0).all():
            raise ValueError(
                f"{name} has the variance {cov.min():g}; give positive ones."
            )
        return np.sqrt(cov)
    size = cov.shape[-1] if d is None and cov.ndim else d or "d"
    if cov.ndim < 2 or cov.shape[-2:] != (size, size):
        raise ValueError(
            f"{name} has shape {cov.shape}; give covariances of shape (..., {size}, "
            f"{size}) for covariance_type='full'."
        )
    if not is_symmetric(cov, TOLERANCE):
        raise ValueError(f"{name} is not symmetric; give (A + A.T) / 2.")
    try:
        return np.linalg.cholesky(cov)
    except np.linalg.LinAlgError:
        raise ValueError(
            f"{name} is not positive definite (smallest eigenvalue "
            f"{np.linalg.eigvalsh(cov).min():g}); add a small multiple of the identity."
        ) from None


def check_categorical(name, p, from_logits):
    """Probabilities, and their logarithms where those were given."""
    p = as_numbers(name, p)
    if p.ndim == 0 or p.shape[-1] == 0:
        raise ValueError(f"{name} has shape {p.shape}; give one of shape (..., k).")
    if from_logits:
        if (p == np.inf).any() or (p.max(axis=-1) == -np.inf).any():
            raise ValueError(
                f"{name} has rows that are infinite, or -inf in every class; give "
                "logits with a finite largest one."
            )
        log_p = log_softmax(p, axis=-1)
        return np.exp(log_p), log_p
    total = p.sum(axis=-1)
    if (p < 0).any():
        raise ValueError(
            f"{name} has the entry {p.min():g}; probabilities are 0 or more."
        )
    wrong = np.abs(total - 1) > TOLERANCE
    if wrong.any():
        raise ValueError(
            f"{name} has a row that sums to {np.ravel(total)[np.ravel(wrong)][0]:g}; "
            "divide each row by its sum."
        )
    return p, None


def check_bernoulli(name, p, from_logits):
    p = as_numbers(name, p)
    if not from_logits and ((p < 0) | (p > 1)).any():
        wrong = p[(p < 0) | (p > 1)][0]
        raise ValueError(
            f"{name} has the entry {wrong:g}; probabilities lie in [0, 1]."
        )
    return p
