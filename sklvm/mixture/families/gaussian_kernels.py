"""Fused E-step kernels of Gaussian components.

A fused kernel writes log N(x | mu, Sigma) as a linear function of features of x, so
that the E-step is one matrix product and the M-step's sums are another. It expands the
square (x - mu)^T Lambda (x - mu), which loses digits where its terms are much larger
than their sum: `condition` says by how much, component by component. Components that
would lose too many have their density from `Subtracting`; their second moments may
still come from the features, since F is stationary in the M-step's result and feels
only the square of its error.
"""

from abc import abstractmethod

import numpy as np

from sklvm.mixture._components import Kernel
from sklvm.mixture.families.covariance import safe_divide
from sklvm.mixture.families.gaussian_subtracting import LOG_2PI, Subtracting

# Largest condition at which a log-density is taken from the features. Measured, the
# error of a row is up to 2e-15 times the condition in float64 (1e-6 in float32).
MOST_FUSED = {np.dtype(np.float32): 1e3, np.dtype(np.float64): 3e6}
# The same for the second moments, whose relative error delta costs F about delta^2.
MOST_SUMMED = {np.dtype(np.float32): 1e4, np.dtype(np.float64): 2e10}
# Sizes of x - centre whose squares neither overflow nor underflow.
SQUARABLE = {np.dtype(np.float32): (1e-15, 1e15), np.dtype(np.float64): (1e-140, 1e140)}


def feature_sums(features, resp):
    """Sums (K, P) of the features (P, n) under the responsibilities (K, n).

    Written with the long side first, which BLAS does up to twice as fast.
    """
    return (features @ resp.T).T.astype(np.float64)


def _median(values):
    """The upper median along the first axis; NumPy's takes longer than a small pass."""
    return np.sort(values, axis=0)[len(values) // 2]


class Fused(Kernel):
    """What the fused kernels share: a centre, and components that need more digits."""

    # A component that lives of rows below it alone counts as empty, and where most are
    # below it the exponential, a quarter of a pass, is cheap.
    flushed = -60.0

    def __init__(self, components, params, dtype):
        super().__init__(components, params)
        self.covariance, self.dtype = components.covariance, np.dtype(dtype)
        self.missing = components.missing
        self.means, _, self.u = params
        self.shares = self._shares()
        self.centre = (self.shares @ self.means).astype(dtype).astype(np.float64)
        self.offsets = self.means - self.centre
        self.conditions = self._prepare()
        self.exact = np.flatnonzero(~self._keeps_digits())
        self.remote = np.flatnonzero(~(self.conditions < MOST_SUMMED[self.dtype]))
        self.subtracted = self.exact  # those of `exact` whose densities subtract

    def _shares(self):
        """Shares (K,) of the components in the centre; the remote have little of it.

        A mean of the means, as their median would leave the plane of collinear ones.
        """
        variance = self.covariance.deviations(self.params[1]) ** 2
        scale = _median(variance) + np.finfo(np.float64).tiny
        distance = ((self.means - _median(self.means)) ** 2 / scale).sum(axis=1)
        share = 1 / (1 + distance / max(_median(distance), 1))
        return share / share.sum()

    def _keeps_digits(self):
        """Mask (K,) of the components whose log-density the features give."""
        return self.conditions < MOST_FUSED[self.dtype]

    @property
    def is_of_use(self):
        """Whether the features serve: float32 all components, float64 some."""
        if self.dtype == np.float32:
            return len(self.exact) + len(self.remote) == 0
        return len(self.remote) == 0 or (
            len(self.remote) < len(self.means) and not self.covariance.is_shared
        )

    @abstractmethod
    def _prepare(self):
        """Make coordinates and coefficients of the features; return the conditions."""

    @abstractmethod
    def condition(self, params):
        """Size of the terms of a square near each mean, whose sum is about D; (K,)."""

    @abstractmethod
    def features(self, X, workspace):
        """Features of the rows, of shape (P, n)."""

    @abstractmethod
    def from_features(self, *sums):
        """The family's statistics from `feature_sums`, all over."""

    def feature_sums(self, features, resp):
        """Sums of the features under resp, a tuple."""
        return (feature_sums(features, resp),)

    def log_prob(self, X, workspace):
        features = self.features(X, workspace)
        shape = len(self.means), X.shape[0]
        log_prob = workspace.array("log_prob", shape, self.dtype)
        if len(self.exact) < len(self.means):
            self._fused_log_prob(features, log_prob, workspace)
        rows = None
        if len(self.subtracted):
            kernel = Subtracting(self.components, self.params, self.subtracted)
            log_prob[self.subtracted], rows = kernel.log_prob(X, workspace)
        return log_prob, (features, rows)

    def _fused_log_prob(self, features, out, workspace):
        np.matmul(self.coefficients, features, out=out)

    def statistics(self, features, resp, workspace):
        features, rows = features
        sums = self.feature_sums(features, resp)
        if not len(self.remote):
            return sums
        kernel = Subtracting(self.components, self.params, self.remote)
        return *sums, *kernel.statistics(rows, resp[self.remote], workspace)

    def finalize(self, sums):
        if not len(self.remote):
            return self.from_features(*sums)
        statistics = self.from_features(*sums[:1])
        kernel = Subtracting(self.components, self.params, self.remote)
        for fused, better in zip(statistics, kernel.finalize(sums[1:]), strict=True):
            fused[self.remote] = better
        return statistics

    def is_accurate(self, following):
        # The sums are as safe as they would be at the parameters that follow.
        _, _, u = following
        if not np.isfinite(u).all():
            return False
        condition = self.condition(following)
        condition[self.remote] = 0
        return (condition < 2 * MOST_SUMMED[self.dtype]).all()


class WhitenedFeatures(Fused):
    """Tied covariance by the features [y, 1], y = U^T (x - centre) of unit variance.

    Their square is the same for all components, the rest is linear in y.
    """

    def _prepare(self):
        self.y_means = self.offsets @ self.u
        d = self.covariance.n_features
        constants = self.covariance.log_det(self.u) - d / 2 * LOG_2PI
        constants = constants - 0.5 * (self.y_means**2).sum(axis=1)
        coefficients = np.column_stack([self.y_means, constants])
        self.coefficients = coefficients.astype(self.dtype)
        return self.condition(self.params)

    def condition(self, params):
        y_means = (params[0] - self.centre) @ self.u
        return np.linalg.norm(1 + y_means**2, axis=1)

    def features(self, X, workspace):
        n, d = X.shape
        centred = workspace.array("centred", (n, d), self.dtype)
        np.subtract(X, self.centre.astype(self.dtype), out=centred)
        features = workspace.array("features", (d + 1, n), self.dtype)
        np.matmul(self.u.T.astype(self.dtype), centred.T, out=features[:-1])
        features[-1] = 1
        return features

    def _fused_log_prob(self, features, out, workspace):
        super()._fused_log_prob(features, out, workspace)
        y = features[:-1]
        out -= 0.5 * np.einsum("dn,dn->n", y, y)

    def feature_sums(self, features, resp):
        y = features[:-1]
        second = (y * resp.sum(axis=0)) @ y.T
        return feature_sums(features, resp), second.astype(np.float64)

    def from_features(self, sums, second):
        counts, first = sums[:, -1:], sums[:, :-1]
        observed = np.repeat(counts, first.shape[1], axis=1)
        y_means = safe_divide(first, observed)
        scatter = second - self.covariance.shift_scatter(observed, y_means)
        back = np.linalg.inv(self.u)
        return observed, self.centre + y_means @ back, back.T @ scatter @ back


class AxisFeatures(Fused):
    """Diagonal covariances by the features [z^2, z, 1], z = x - centre.

    Where X has missing values, z is 0 there, and the mask of the others stands for 1.
    """

    def _prepare(self):
        diagonal = np.broadcast_to(self.covariance.diagonal(self.u), self.means.shape)
        self.precision = diagonal**2
        linear = self.precision * self.offsets
        constants = np.log(diagonal) - 0.5 * (LOG_2PI + linear * self.offsets)
        if not self.missing:
            constants = constants.sum(axis=1)
        columns = [-0.5 * self.precision, linear, constants]
        self.coefficients = np.column_stack(columns).astype(self.dtype)
        return self.condition(self.params)

    def condition(self, params):
        means, _, u = params
        diagonal = self.covariance.diagonal(u)
        size = np.maximum(abs(means - self.centre), 1 / diagonal)
        low, high = SQUARABLE[self.dtype]
        condition = np.linalg.norm(1 + ((means - self.centre) * diagonal) ** 2, axis=1)
        return np.where(((size > low) & (size < high)).all(axis=1), condition, np.inf)

    def features(self, X, workspace):
        n, d = X.shape
        rows = 3 * d if self.missing else 2 * d + 1
        features = workspace.array("features", (rows, n), self.dtype)
        z = features[d : 2 * d]
        np.subtract(X.T, self.centre.astype(self.dtype)[:, np.newaxis], out=z)
        if self.missing:
            nan = np.isnan(z)
            z[nan] = 0
            np.logical_not(nan, out=features[2 * d :])
        else:
            features[-1] = 1
        np.multiply(z, z, out=features[:d])
        return features

    def from_features(self, sums):
        d = self.covariance.n_features
        second, first, observed = sums[:, :d], sums[:, d : 2 * d], sums[:, 2 * d :]
        observed = np.broadcast_to(observed, first.shape).copy()
        z_means = safe_divide(first, observed)
        scatter = second - observed * z_means**2
        return observed, self.centre + z_means, self.covariance.from_diagonal(scatter)
