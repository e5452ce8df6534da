"""Covariances that are nowhere narrower than a given variance of each feature."""

import numpy as np


def floored(covariance, values, least):
    """The covariances of the highest F among those with Sigma >= diag(least).

    In units of sqrt(least) these are the ones with no eigenvalue below 1, and F of
    Sigma, given its scatter S, is highest where S has its smaller ones raised to it.

    Parameters
    ----------
    covariance : Covariance
    values : ndarray
        Covariances in its shape.
    least : float or ndarray of shape (D,)
        Above 0, or 0 for no bound.
    """
    if not covariance.couples:
        return np.maximum(values, least)
    if not np.all(least):
        return values
    scale = np.sqrt(np.broadcast_to(least, covariance.n_features))
    units = np.outer(scale, scale)
    matrices = covariance.matrices(values).copy()
    for k in np.flatnonzero(np.isfinite(matrices).all(axis=(1, 2))):
        sizes, vectors = np.linalg.eigh(matrices[k] / units)
        if sizes[0] < 1:
            matrices[k] = (vectors * np.maximum(sizes, 1)) @ vectors.T * units
    return matrices.reshape(values.shape)
