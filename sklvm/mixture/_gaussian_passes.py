"""E-steps of the Gaussian mixture: one class for each way to the same numbers.

The fast ways write log N(x | mu, Sigma) as a linear function of features of x, so that
the E-step is one matrix product and the M-step's sums are another. They expand the
square (x - mu)^T Lambda (x - mu), which loses digits where its terms are much larger
than their sum; `amplification` says by how much. The direct way subtracts first.
"""

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from sklvm.mixture._covariance import safe_divide
from sklvm.mixture._em import Expectation

LOG_2PI = np.log(2 * np.pi)


class GaussianParams(NamedTuple):
    weights: np.ndarray  # (K,)
    means: np.ndarray  # (K, D)
    covariances: Any  # the covariance's own shape
    precisions_cholesky: Any  # the same


class GaussianMoments(NamedTuple):
    counts: np.ndarray  # (K,) sum of r_k
    observed: np.ndarray  # (K, D) sum of r_k where x_d is observed
    means: np.ndarray  # (K, D)
    scatter: Any  # about these means, the covariance's own shape


def feature_sums(features, resp):
    """Sums (K, P) of the features (P, n) under the responsibilities (K, n).

    Written with the long side first, which BLAS does up to twice as fast.
    """
    return (features @ resp.T).T.astype(np.float64)


class GaussianExpectation(Expectation):
    """What the ways share: the mixture, and coordinates in which it is centred.

    z = (x - centre) / scale, where the centre is the mixture's mean and the scale a
    power of two near its standard deviation: dividing by it rounds nothing.
    """

    def __init__(self, covariance, params, dtype, missing=False):
        self.covariance, self.params = covariance, params
        self.dtype, self.missing = dtype, missing
        self.weights = params.weights
        # A finite floor, as infinities do not survive a matrix product.
        self.log_weights = np.log(np.maximum(params.weights, 1e-300))
        self.u = params.precisions_cholesky
        self.centre = (params.weights @ params.means).astype(dtype).astype(np.float64)
        self.offsets = params.means - self.centre
        spread = covariance.deviations(params.covariances) ** 2 + self.offsets**2
        deviation = np.sqrt(params.weights @ spread)
        self.scale = np.exp2(np.round(np.log2(deviation)))

    @cached_property
    def log_constants(self):
        """log w_k + log of the normaliser of N(mu_k, Sigma_k), shape (K,)."""
        d = self.covariance.n_features
        return self.log_weights + self.covariance.log_det(self.u) - d / 2 * LOG_2PI

    def standardised(self, X, out):
        """z^T of the chunk, shape (D, n), features along the rows."""
        np.subtract(X.T, self.centre.astype(self.dtype)[:, np.newaxis], out=out)
        out *= (1 / self.scale).astype(self.dtype)[:, np.newaxis]
        return out

    def all_observed(self, counts):
        """Counts (K,) of the components as counts (K, D) of their features."""
        return np.broadcast_to(counts[:, np.newaxis], self.params.means.shape)

    def conditional_mean(self, features, resp):
        # Without correlation within a component, what is seen says nothing more.
        return resp.T @ self.params.means.astype(resp.dtype)


class QuadraticFeatures(GaussianExpectation):
    """Full covariance by the features [z_i z_j for i <= j, z, 1].

    log p(x, z = k) = B_k . features, half the arithmetic of the Cholesky way.
    """

    def __init__(self, *args):
        super().__init__(*args)
        self.upper = np.triu_indices(self.covariance.n_features)
        u = self.scale[:, np.newaxis] * self.u
        self.precision = u @ u.transpose(0, 2, 1)
        self.z_means = self.offsets / self.scale

    @staticmethod
    def row_size(d):
        return (d + 1) * (d + 2) // 2

    @property
    def amplification(self):
        """Size of the terms of a square near a mean, whose sum is about D."""
        deviations = self.covariance.deviations(self.params.covariances) / self.scale
        size = np.hypot(self.z_means, deviations)
        terms = self.precision * size[:, :, np.newaxis] * size[:, np.newaxis]
        return np.sqrt((terms**2).sum(axis=(1, 2))).max()

    @cached_property
    def coefficients(self):
        i, j = self.upper
        linear = np.einsum("kij,kj->ki", self.precision, self.z_means)
        quadratic = np.where(i == j, -0.5, -1.0) * self.precision[:, i, j]
        constant = self.log_constants - 0.5 * np.sum(linear * self.z_means, axis=1)
        return np.column_stack([quadratic, linear, constant]).astype(self.dtype)

    def log_joint(self, X, workspace):
        n, d = X.shape
        features = workspace.array("features", (self.row_size(d), n), self.dtype)
        z = self.standardised(X, features[-d - 1 : -1])
        features[-1] = 1
        end = 0
        for i in range(d):
            start, end = end, end + d - i
            np.multiply(z[i], z[i:], out=features[start:end])
        out = workspace.array("resp", (len(self.weights), n), self.dtype)
        return np.matmul(self.coefficients, features, out=out), features

    def statistics(self, features, resp, workspace):
        return (feature_sums(features, resp),)

    def moments(self, sums):
        (sums,) = sums
        d = self.covariance.n_features
        counts, first = sums[:, -1], sums[:, -d - 1 : -1]
        observed = self.all_observed(counts)
        z_means = safe_divide(first, observed)
        second = np.empty((len(counts), d, d))
        i, j = self.upper
        second[:, i, j] = second[:, j, i] = sums[:, : -d - 1]
        second -= self.covariance.spread(observed, z_means)
        scatter = second * np.outer(self.scale, self.scale)
        means = self.centre + self.scale * z_means
        return GaussianMoments(counts, observed, means, scatter)


class WhitenedFeatures(GaussianExpectation):
    """Tied covariance by the features y = U^T (x - centre), which have unit variance.

    Their square is the same for all components, the rest is linear in y.
    """

    def __init__(self, *args):
        super().__init__(*args)
        self.y_means = self.offsets @ self.u

    @staticmethod
    def row_size(d):
        return 2 * d

    @property
    def amplification(self):
        """Size of the terms of a square near a mean, whose sum is about D."""
        return np.linalg.norm(1 + self.y_means**2, axis=1).max()

    @cached_property
    def coefficients(self):
        rotation = (self.scale[:, np.newaxis] * self.u).T
        constants = self.log_constants - 0.5 * (self.y_means**2).sum(axis=1)
        return tuple(a.astype(self.dtype) for a in (rotation, self.y_means, constants))

    def log_joint(self, X, workspace):
        rotation, slopes, constants = self.coefficients
        z = self.standardised(X, workspace.array("z", X.T.shape, self.dtype))
        y = workspace.array("features", z.shape, self.dtype)
        np.matmul(rotation, z, out=y)
        out = workspace.array("resp", (len(self.weights), len(X)), self.dtype)
        log_joint = np.matmul(slopes, y, out=out)
        log_joint += constants[:, np.newaxis]
        log_joint -= 0.5 * np.einsum("dn,dn->n", y, y)
        return log_joint, y

    def statistics(self, y, resp, workspace):
        second = (y * resp.sum(axis=0)) @ y.T
        return (
            resp.sum(axis=1, dtype=np.float64),
            feature_sums(y, resp),
            second.astype(np.float64),
        )

    def moments(self, sums):
        counts, first, second = sums
        observed = self.all_observed(counts)
        y_means = safe_divide(first, observed)
        scatter = second - self.covariance.spread(observed, y_means)
        back = np.linalg.inv(self.u)
        return GaussianMoments(
            counts, observed, self.centre + y_means @ back, back.T @ scatter @ back
        )


class AxisFeatures(GaussianExpectation):
    """Diagonal covariances by the features [z^2, z], and the mask where X has gaps."""

    def __init__(self, *args):
        super().__init__(*args)
        axes = self.covariance.axes(self.u)
        self.precision = (axes * self.scale) ** 2
        self.z_means = self.offsets / self.scale
        self.log_axes = np.log(axes) - 0.5 * LOG_2PI

    @staticmethod
    def row_size(d):
        return 2 * d

    @property
    def amplification(self):
        """Size of the terms of a square near a mean, whose sum is about D."""
        return np.linalg.norm(1 + self.precision * self.z_means**2, axis=1).max()

    @cached_property
    def coefficients(self):
        linear = self.precision * self.z_means
        constants = self.log_axes - 0.5 * linear * self.z_means
        columns = [-0.5 * self.precision, linear]
        if self.missing:
            columns.append(constants)
            constants = np.zeros((len(self.weights), 1))
        constants = constants.sum(axis=1) + self.log_weights
        return np.hstack(columns).astype(self.dtype), constants.astype(self.dtype)

    def log_joint(self, X, workspace):
        n, d = X.shape
        n_blocks = 3 if self.missing else 2
        features = workspace.array("features", (n_blocks * d, n), self.dtype)
        z = self.standardised(X, features[d : 2 * d])
        if self.missing:
            gaps = np.isnan(z)
            z[gaps] = 0
            np.logical_not(gaps, out=features[2 * d :])
        np.multiply(z, z, out=features[:d])
        slopes, constants = self.coefficients
        out = workspace.array("resp", (len(self.weights), n), self.dtype)
        log_joint = np.matmul(slopes, features, out=out)
        log_joint += constants[:, np.newaxis]
        return log_joint, features

    def statistics(self, features, resp, workspace):
        counts = resp.sum(axis=1, dtype=np.float64)
        return counts, feature_sums(features, resp)

    def moments(self, sums):
        counts, sums = sums
        second, first, *observed = np.split(sums, 3 if self.missing else 2, axis=1)
        observed = observed[0] if self.missing else self.all_observed(counts)
        z_means = safe_divide(first, observed)
        scatter = (second - observed * z_means**2) * self.scale**2
        means = self.centre + self.scale * z_means
        return GaussianMoments(
            counts, observed, means, self.covariance.from_axes(scatter)
        )


class Direct(GaussianExpectation):
    """Every covariance, component by component: ||U_k^T (x - mu_k)||^2.

    The M-step sums deviations from the present means, which keeps all digits.
    """

    @staticmethod
    def row_size(d):
        return 3 * d

    def log_joint(self, X, workspace):
        X = X.T.astype(np.float64, order="C")
        gaps = np.isnan(X) if self.missing else None
        log_joint = workspace.array("resp", (len(self.weights), X.shape[1]), np.float64)
        for k in range(len(self.weights)):
            y = self.covariance.whiten(self.u, k, self._deviations(X, gaps, k))
            log_joint[k] = -0.5 * np.einsum("dn,dn->n", y, y)
        if gaps is None:
            log_joint += self.log_constants[:, np.newaxis]
        else:  # only diagonal covariances come here with gaps
            log_axes = np.log(self.covariance.axes(self.u)) - 0.5 * LOG_2PI
            log_joint += log_axes @ ~gaps
            log_joint += self.log_weights[:, np.newaxis]
        return log_joint, (X, gaps)

    def _deviations(self, X, gaps, k):
        deviations = X - self.params.means[k][:, np.newaxis]
        if gaps is not None:
            deviations[gaps] = 0
        return deviations

    def statistics(self, features, resp, workspace):
        X, gaps = features
        first, scatters = [], []
        root = np.sqrt(resp)
        for k in range(len(resp)):
            deviations = self._deviations(X, gaps, k)
            first.append(deviations @ resp[k])
            deviations *= root[k]
            scatters.append(self.covariance.outer(deviations))
        counts = resp.sum(axis=1)
        observed = self.all_observed(counts) if gaps is None else resp @ ~gaps.T
        return counts, observed, np.stack(first), self.covariance.stack(scatters)

    def moments(self, sums):
        counts, observed, first, scatter = sums
        shift = safe_divide(first, observed)
        scatter = scatter - self.covariance.spread(observed, shift)
        return GaussianMoments(counts, observed, self.params.means + shift, scatter)
