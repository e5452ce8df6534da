"""Values of data and of parameters: units that nobody has scaled, what has changed."""

from hashlib import blake2b

import numpy as np
from sklearn.base import BaseEstimator

from sklvm._base import largest_magnitude
from sklvm.neural._device import as_dense

# Values beyond are units that nobody has scaled, as salaries or years.
LARGE_VALUE = 100.0
# Rows by which tables are told apart.
N_DESCRIBED = 1000


def unscaled(X, name):
    """That the values of X are large, with the remedy, or None."""
    largest = largest_magnitude(X)
    if largest > LARGE_VALUE:
        return f"{name} has values up to {largest:g}; scale it (StandardScaler)"
    return None


def described(array):
    """The shape and a digest of some rows, by which two tables are told apart."""
    if array is None:
        return "None"
    some = as_dense(array[:: -(-array.shape[0] // N_DESCRIBED)])
    digest = blake2b(np.ascontiguousarray(some).tobytes(), digest_size=6).hexdigest()
    return f"{array.shape[0]} rows of {array.shape[1]} columns ({digest})"


def frozen(value):
    """What a parameter is now, comparable to what it will be."""
    if isinstance(value, BaseEstimator):
        return type(value), value.get_params()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value))
    return value.copy() if isinstance(value, dict) else value
