"""Signs that the covariances of a fitted Gaussian mixture do not come from the data."""

import numpy as np

from sklvm._warn import warn_user
from sklvm.columns._text import percent

# Share of a gap between values below which a component's deviation is narrow.
NARROW = 0.25
MOST_ROWS = 4096
# Variances below so many lower bounds lie on them.
AT_FLOOR = 1 + 1e-6


def warn_of_covariances(estimator, mixture, starts):
    """One warning about a fitted GaussianMixtureEM, if there is any of these signs."""
    params, reg_covar = estimator._component_params(), estimator.reg_covar
    names = getattr(estimator, "feature_names_in_", range(estimator.n_features_in_))
    covariance = mixture.components.covariance
    values = few_values(starts.sample[0])
    if found := sits_on_value(params, covariance, values):
        k, d, value = found
        warn_user(
            f"Component {k} sits on the value {value:g} of the feature {names[d]}, "
            "which has few distinct values, so its density is no property of the "
            "data; decrease n_components, or increase reg_covar to a third of the "
            "square of a gap."
        )
    elif found := ridge_dominates(params, covariance, reg_covar, values):
        k, d = found
        of = "all components" if covariance.is_shared else f"component {k}"
        warn_user(
            f"reg_covar={reg_covar:g} supplies most of the variance of {of} in a "
            f"direction of the feature {names[d]}, so densities depend on it; drop or "
            "rescale the feature, decrease n_components, or set reg_covar to a "
            "variance that means something in its units."
        )


def few_values(sample):
    """The distinct values of each feature where they are few, else None.

    They are those of the canonical sample, and few if they repeat.
    """
    counts = _row_counts(sample)
    found = []
    for column in sample.rows.T:
        observed = ~np.isnan(column)
        values = np.unique(column[observed]).astype(np.float64)
        are_few = len(values) < 2 or len(values) <= counts[observed].sum() / 2
        found.append(values if are_few else None)
    return found


def _row_counts(sample):
    """How many of a few thousand rows each of a sample stands for."""
    n = len(sample.sample_weight)
    return sample.sample_weight * (max(n, min(sample.total_weight, MOST_ROWS)) / n)


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


def ridge_dominates(params, covariance, reg_covar, values, limit=2):
    """(component, feature) where the ridge supplies most of a variance, or None.

    That is a variance of a feature, or the smallest eigenvalue of a matrix, below
    `limit` reg_covar, which may differ between features; the feature is then that with
    the largest part in the eigenvector. A ridge of at least the variance of the
    rounding is meant to be there.
    """
    if np.any(np.equal(reg_covar, 0)):
        return None
    _, covariances, u = params
    meant = reg_covar >= 0.99 * _resolutions(values) ** 2 / 12
    variances = np.where(meant, np.inf, covariance.diagonal(covariances) / reg_covar)
    if covariance.couples:
        # Where cells miss beside one value, the ridges of many steps have added up.
        variances[:, _constant(values) & ~meant] = 0
    if variances.min() < limit:
        return np.unravel_index(variances.argmin(), variances.shape)
    if not covariance.couples:
        return None
    # 1 / (Sigma^-1)_dd is at most D times the smallest eigenvalue: only where that is
    # small, too, are eigenvalues worth their price.
    conditional = 1 / (covariance.diagonal(covariance.precisions(u)) * reg_covar)
    scale = np.sqrt(np.broadcast_to(reg_covar, covariance.n_features))
    few = conditional.min(axis=1) < limit * covariance.n_features
    for k in np.flatnonzero(few):
        matrix = covariance.matrices(covariances)[k] / np.outer(scale, scale)
        sizes, vectors = np.linalg.eigh(matrix)
        d = abs(vectors[:, 0]).argmax()
        if sizes[0] < limit and not meant[d]:
            return k, d
    return None


def _resolutions(values):
    """Smallest gap between the values of each feature, infinite where they are many.

    A constant feature takes the smallest of the others, as if in the same units.
    """
    gaps = [np.inf if v is None or len(v) < 2 else np.diff(v).min() for v in values]
    return np.where(_constant(values), min(gaps), gaps)


def _constant(values):
    """Mask of the features that are observed with one value."""
    return np.array([v is not None and len(v) < 2 for v in values])


def of_blocks(blocks, names, sample):
    """What the first of these signs says in a table of mixed columns, or None.

    Parameters
    ----------
    blocks : iterable of (Block, Components, params)
    names : list of the columns
    sample : Sample
    """
    found = None
    for block, part, params in blocks:
        if block.kind not in ("gaussian", "lognormal", "real"):
            continue
        found = few_values(sample) if found is None else found
        values = [found[j] for j in block.columns]
        gaussian = getattr(part, "gaussian", part)
        logged = getattr(part, "logged", [False] * len(values))
        values = [
            np.log(v) if is_log and v is not None else v
            for v, is_log in zip(values, logged, strict=True)
        ]
        where = sits_on_value(params, gaussian.covariance, values) or ridge_dominates(
            params, gaussian.covariance, gaussian.reg_covar, values, AT_FLOOR
        )
        if where:
            k, d = where[:2]
            scale = np.log if logged[d] else np.asarray
            return _sentence(k, d, gaussian, params, names, block, sample, scale)
    return None


def _sentence(k, d, part, params, names, block, sample, scale):
    name, of = names[block.columns[d]], f"component {k}"
    if part.covariance.is_shared:
        of = "all components"
    start = (
        f"Nothing but the option reg_covar keeps {of} from being narrower in a "
        f"direction of the column {name!r}, so densities depend on it; "
    )
    found = _frequent(params, part, k, d, sample, block, scale)
    if found is None:
        return start + (
            "decrease n_components, drop the column, or set reg_covar in components to "
            "a variance that means something in its unit."
        )
    value, share = found
    return start + (
        f"{percent(share)} of its cells are {value:g}: make two columns of it, "
        f"whether it is {value:g}, and the rest with NaN there, decrease "
        "n_components, or increase reg_covar in components."
    )


def _frequent(params, part, k, d, sample, block, scale):
    """(value, share) that holds a component in a column, or None."""
    means, covariances, _ = params
    x = sample.rows[:, block.columns[d]]
    observed = ~np.isnan(x)
    values, at = np.unique(x[observed], return_inverse=True)
    counts = np.bincount(at, _row_counts(sample)[observed])
    deviation = np.broadcast_to(part.covariance.deviations(covariances), means.shape)
    near = abs(scale(values) - means[k, d]) < 3 * deviation[k, d]
    if not near.any() or counts[near].max() < max(2, 0.5 * counts[near].sum()):
        return None
    best = np.flatnonzero(near)[counts[near].argmax()]
    return values[best], counts[best] / counts.sum()
