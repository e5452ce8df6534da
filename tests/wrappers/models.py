"""Rows for the wrappers."""

import numpy as np


def correlated(n, seed=0, d=4):
    """Draws of one Gaussian, the same for every seed."""
    factor = np.random.default_rng(99).normal(size=(d, d)) + 2 * np.eye(d)
    return np.random.default_rng(seed).normal(size=(n, d)) @ factor + 1


def with_missing(X, most, seed=0):
    """A copy in which a row has 0 to `most` missing cells, as many rows of each."""
    rng = np.random.default_rng(seed)
    X = np.array(X, dtype=float)
    for row, n in zip(X, rng.integers(most + 1, size=len(X)), strict=True):
        row[rng.choice(X.shape[1], size=n, replace=False)] = np.nan
    return X
