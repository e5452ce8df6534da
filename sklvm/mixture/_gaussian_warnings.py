"""Signs that the covariances of a fitted Gaussian mixture do not come from the data."""

import numpy as np

# Share of a gap between values below which a component's deviation is narrow.
NARROW = 0.25
MOST_ROWS = 4096


def few_values(rows):
    """The distinct values of each feature where they are few, else None.

    They are those of a few thousand rows, and few if they repeat.
    """
    n = rows.shape[0]
    X = rows.take(np.linspace(0, n - 1, min(n, MOST_ROWS)).astype(np.intp))
    found = []
    for column in X.T:
        column = column[~np.isnan(column)]
        values = np.unique(column).astype(np.float64)
        found.append(values if len(values) <= len(column) / 2 else None)
    return found


def sits_on_value(params, covariance, values):
    """(component, feature, value) where a value holds a component, or None."""
    means, covariances, _ = params
    deviations = np.broadcast_to(covariance.deviations(covariances), means.shape)
    for d, levels in enumerate(values):
        if levels is None or len(levels) < 2:
            continue
        nearest = abs(levels - means[:, d, np.newaxis]).argmin(axis=1)
        gaps = np.concatenate([[np.inf], np.diff(levels), [np.inf]])
        gap = np.minimum(gaps[nearest], gaps[nearest + 1])
        narrow = np.flatnonzero(deviations[:, d] < NARROW * gap)
        if len(narrow):
            return narrow[0], d, levels[nearest[narrow[0]]]
    return None


def ridge_dominates(params, covariance, reg_covar, values):
    """(component, feature) where the ridge supplies most of a variance, or None.

    That is a variance of a feature, or the smallest eigenvalue of a matrix, below
    2 reg_covar; the feature is then that with the largest part in the eigenvector. A
    ridge of at least the variance of the rounding is meant to be there.
    """
    if reg_covar == 0:
        return None
    _, covariances, u = params
    meant = reg_covar >= 0.99 * _resolutions(values) ** 2 / 12
    variances = np.where(meant, np.inf, covariance.diagonal(covariances))
    if variances.min() < 2 * reg_covar:
        return np.unravel_index(variances.argmin(), variances.shape)
    if not covariance.couples:
        return None
    # 1 / (Sigma^-1)_dd is at most D times the smallest eigenvalue: only where that is
    # small, too, are eigenvalues worth their price.
    conditional = 1 / covariance.diagonal(covariance.precisions(u))
    few = conditional.min(axis=1) < 2 * reg_covar * covariance.n_features
    for k in np.flatnonzero(few):
        sizes, vectors = np.linalg.eigh(covariance.matrices(covariances)[k])
        d = abs(vectors[:, 0]).argmax()
        if sizes[0] < 2 * reg_covar and not meant[d]:
            return k, d
    return None


def _resolutions(values):
    """Smallest gap between the values of each feature, infinite where they are many.

    A constant feature takes the smallest of the others, as if in the same units.
    """
    gaps = [np.inf if v is None or len(v) < 2 else np.diff(v).min() for v in values]
    constant = [v is not None and len(v) < 2 for v in values]
    return np.where(constant, min(gaps), gaps)
