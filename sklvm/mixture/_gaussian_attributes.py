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
        self._set_covariances(covariances, u.astype(value.dtype), covariance)

    def _set_covariances(self, covariances, u, covariance):
        arrays = covariances, u, covariance.precisions(u)
        for name, array in zip(NAMES, arrays, strict=True):
            array.flags.writeable = False
            self.__dict__[name] = array

    def _get_fitted_state(self, resumable):
        """Without those of the three that follow from the others to the last bit."""
        state = super()._get_fitted_state(resumable)
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
