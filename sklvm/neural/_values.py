"""Values of data and of parameters: units that nobody has scaled, what has changed."""

import numpy as np
from sklearn.base import BaseEstimator

from sklvm._base import largest_magnitude

# Values beyond are units that nobody has scaled, as salaries or years.
LARGE_VALUE = 100.0


def unscaled(X, name):
    """That the values of X are large, with the remedy, or None."""
    largest = largest_magnitude(X)
    if largest > LARGE_VALUE:
        return f"{name} has values up to {largest:g}; scale it (StandardScaler)"
    return None


def frozen(value):
    """What a parameter is now, comparable to what it will be."""
    if isinstance(value, BaseEstimator):
        return type(value), value.get_params()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value))
    return value.copy() if isinstance(value, dict) else value
