"""Covariances as fitted attributes, three that say the same."""

import numpy as np
from sklearn.base import BaseEstimator

from sklvm._base import is_symmetric
from sklvm.columns._libraries import to_numpy
from sklvm.mixture.families.covariance import SHAPES

NAMES = ("covariances_", "precisions_cholesky_", "precisions_")


class CovarianceAttributes(BaseEstimator):
    """covariances_, precisions_cholesky_ and precisions_, which may be set by hand.

    Each follows the one that was set last. They are read-only arrays: a change within
    one would miss the others.

    In scikit-learn none follows, so its scripts change each of them, from what it was.
    Here the second one is read when it has followed the first: `_is_told_again`.
    """

    covariance_type: str  # a parameter of the estimator

    def _fitted_type(self):
        return getattr(self, "_covariance_type", self.covariance_type)

    def __setattr__(self, name, value):
        if name not in NAMES:
            super().__setattr__(name, value)
            return
        value = np.array(to_numpy(value))
        value = value if value.dtype == np.float32 else value.astype(np.float64)
        covariance = SHAPES[self._fitted_type()](None)
        if value.ndim != len(covariance.shape(1)):
            raise ValueError(
                f"{name} has shape {value.shape}, which does not fit covariance_type="
                f"{self._fitted_type()!r}; set covariance_type first."
            )
        if name == "precisions_cholesky_":
            covariances, u = covariance.from_precisions_cholesky(value), value
        else:
            covariances = covariance.inverse(value) if name == "precisions_" else value
            u = cholesky(name, covariances, covariance)
        before = self.__dict__.get(name), self.__dict__.get("covariances_")
        if self._is_told_again(name, value, covariances, covariance.is_shared):
            return
        self._set_covariances(covariances, u.astype(value.dtype), covariance)
        self.__dict__["_by_hand"] = ((name,), *before, value)

    def _is_told_again(self, name, value, covariances, is_shared):
        """Whether `name` is put in the order in which another one has put all three.

        Multiplied again it is an error: whether once or twice is meant nobody can tell.
        """
        names, old, before, new = self.__dict__.pop("_by_hand", ((), None, None, None))
        if not names or name in names or before is None:
            return False
        present = self.__dict__[name], self.__dict__["covariances_"]
        if not is_shared and has_same_order((old, present[0]), (new, value)):
            self.__dict__["_by_hand"] = ((*names, name), old, before, new)
            return True
        if has_same_factor(before, present[1], covariances):
            raise ValueError(
                f"{name} is multiplied by what {names[0]}, set before, was multiplied "
                "by, which it followed; set one of the two, the other follows."
            )
        return False

    def _set_covariances(self, covariances, u, covariance):
        self.__dict__.pop("_by_hand", None)
        arrays = covariances, u, covariance.precisions(u)
        for name, array in zip(NAMES, arrays, strict=True):
            array.flags.writeable = False
            self.__dict__[name] = array

    def _get_fitted_state(self, resumable):
        """Without those of the three that follow from the others to the last bit."""
        state = super()._get_fitted_state(resumable)
        state.pop("_by_hand", None)
        if state.pop("precisions_", None) is not None:
            covariance = SHAPES[self._fitted_type()](None)
            covariances = state["covariances_"]
            u = covariance.precisions_cholesky(covariances, 0)
            if np.array_equal(
                u.astype(covariances.dtype), state["precisions_cholesky_"]
            ):
                del state["precisions_cholesky_"]
        return state

    def _set_fitted_state(self, state):
        super()._set_fitted_state(state)
        if "covariances_" in state:
            covariance = SHAPES[self._fitted_type()](None)
            u = state.get("precisions_cholesky_")
            if u is None:
                u = covariance.precisions_cholesky(self.covariances_, 0)
                u = u.astype(self.covariances_.dtype)
            self._set_covariances(self.covariances_, u, covariance)


def cholesky(name, covariances, covariance):
    """U of covariances that the user gave."""
    u = covariance.precisions_cholesky(covariances, 0)
    symmetric = not covariance.couples or is_symmetric(covariances)
    if not (symmetric and np.isfinite(u).all()):
        raise ValueError(
            f"{name} must be symmetric and positive definite; add to the diagonal, or "
            "drop collinear features."
        )
    return u


def check_shape(means, covariances, covariance_type):
    """Means and covariances, which may be set by hand, are of the same mixture."""
    n_components, n_features = means.shape
    shape = SHAPES[covariance_type](n_features).shape(n_components)
    if covariances.shape != shape:
        raise ValueError(
            f"covariances_ has shape {covariances.shape}, but means_ {means.shape}; "
            f"set covariances of shape {shape}."
        )


def has_same_order(old, new):
    """Whether each of two arrays `new` is that of `old` in the same other order."""
    if len({len(array) for array in (*old, *new)}) > 1:
        return False
    one, other = (
        sorted(a.tobytes() + b.tobytes() for a, b in zip(*pair, strict=True))
        for pair in (old, new)
    )
    return one == other


def has_same_factor(first, second, third):
    """Whether covariances are multiplied, entry by entry, by the same, and not by 1."""
    if not first.shape == second.shape == third.shape:
        return False
    changes = not np.allclose(first, second, rtol=1e-6, atol=0)
    return changes and np.allclose(first * third, second**2, rtol=1e-6, atol=0)
