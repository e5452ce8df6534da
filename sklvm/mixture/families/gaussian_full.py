"""Fused E-step kernels of Gaussian components with full covariances.

Both work on z = A (x - centre), where A whitens the covariance of all components
together, so that features which are collinear everywhere cost no digits. Where the
components are many, they share the features z_i z_j; where they are few, products of z
with the matrices of each are fewer.
"""

from abc import abstractmethod

import numpy as np
from numpy.lib.stride_tricks import as_strided

from sklvm.mixture.families.covariance import safe_divide
from sklvm.mixture.families.gaussian_kernels import MOST_FUSED, MOST_SUMMED, Fused
from sklvm.mixture.families.gaussian_subtracting import LOG_2PI

# Largest error of y_k, in epsilons, at which a log-density is taken from it.
MOST_STACKED = {np.dtype(np.float32): 1e3, np.dtype(np.float64): 1e7}


def has_few(n_components, n_features):
    """Whether products for each component are faster than features for all."""
    return n_features > 128 or n_components < 4 + n_features // 8


def full_kernel(components, params, dtype):
    """The kernel that is faster for these params."""
    kernel = StackedProducts if has_few(*params[0].shape) else QuadraticFeatures
    return kernel(components, params, dtype)


class FullFused(Fused):
    """The coordinates z, and the densities of the components `stacked`.

    y_k = U_k^T (x - mu_k) is a product with z, whose error grows as the root only of
    what a quadratic form in z loses. One product makes those of several components.
    """

    GROUP = 2**18  # numbers that are made at a time, for several components

    def __init__(self, *args):
        super().__init__(*args)
        self.stacked = self._stacked()
        self.subtracted = np.setdiff1d(self.exact, self.stacked)
        u = self.z_u[self.stacked].transpose(0, 2, 1)
        shift = u @ self.z_means[self.stacked, :, np.newaxis]
        self.stack = np.concatenate([u, -shift], axis=2).astype(self.dtype)

    @abstractmethod
    def _stacked(self):
        """The components whose densities come from y_k."""

    def _prepare(self):
        d = self.covariance.n_features
        _, covariances, _ = self.params
        total = np.tensordot(self.shares, covariances, 1)
        total += (self.shares * self.offsets.T) @ self.offsets
        size = np.sqrt(np.diag(total))
        try:
            root = np.linalg.cholesky(total / np.outer(size, size))
            inverse = np.linalg.inv(root)
        except np.linalg.LinAlgError:
            root = inverse = np.eye(d)
        self.to_z, self.from_z = inverse / size, size[:, np.newaxis] * root
        self.z_means, self.z_u, self.precision, conditions = self._in_z(self.params)
        self.log_constants = self.covariance.log_det(self.u) - d / 2 * LOG_2PI
        # Of y_k, in epsilons: that of z, magnified by the narrowest direction.
        rounding = abs(inverse).sum(axis=1).max()
        self.y_error = rounding * np.sqrt(conditions)
        return conditions

    def _in_z(self, params):
        """Means, U and precisions in the coordinates z, and their conditions."""
        means, covariances, u = params
        z_u = self.from_z.T @ u
        precision = z_u @ z_u.transpose(0, 2, 1)
        z_means = (means - self.centre) @ self.to_z.T
        variances = ((self.to_z @ covariances) * self.to_z).sum(axis=2)
        size = np.sqrt(z_means**2 + np.maximum(variances, 0))
        terms = precision * size[:, :, np.newaxis] * size[:, np.newaxis]
        return z_means, z_u, precision, np.sqrt((terms**2).sum(axis=(1, 2)))

    def condition(self, params):
        return self._in_z(params)[-1]

    def _write_z(self, X, out, workspace):
        centred = workspace.array("centred", X.shape, self.dtype)
        np.subtract(X, self.centre.astype(self.dtype), out=centred)
        np.matmul(self.to_z.astype(self.dtype), centred.T, out=out)

    def _stacked_log_prob(self, z, out, workspace):
        """log p(x | z = k) of the components `stacked` from [z, 1], (D + 1, n)."""
        n, d = z.shape[1], len(z) - 1
        for group in self._groups(len(self.stacked), z):
            which = self.stacked[group]
            y = workspace.array("y", (len(which) * d, n), self.dtype)
            np.matmul(self.stack[group].reshape(-1, d + 1), z, out=y)
            y = y.reshape(len(which), d, n)
            squares = np.einsum("kdn,kdn->kn", y, y)
            squares *= -0.5
            squares += self.log_constants[which, np.newaxis].astype(self.dtype)
            out[which] = squares

    def _groups(self, n_components, z):
        size = self.GROUP // max(1, z.size) + 1
        return [slice(i, i + size) for i in range(0, n_components, size)]

    def _uncentred(self, counts, first, second):
        """The family's statistics from sums of 1, z and z z^T."""
        z_means = safe_divide(first, counts)
        second -= self.covariance.shift_scatter(counts, z_means)
        scatter = self.from_z @ second @ self.from_z.T
        observed = np.repeat(counts, first.shape[1], axis=1)
        return observed, self.centre + z_means @ self.from_z.T, scatter


class StackedProducts(FullFused):
    """Few components: y_k for all, and the second moments by a product for each."""

    def _keeps_digits(self):
        keeps_sums = self.conditions < MOST_SUMMED[self.dtype]
        return keeps_sums & (self.y_error < MOST_STACKED[self.dtype])

    def _stacked(self):
        return np.setdiff1d(np.arange(len(self.means)), self.exact)

    def features(self, X, workspace):
        n, d = X.shape
        features = workspace.array("features", (d + 1, n), self.dtype)
        self._write_z(X, features[:d], workspace)
        features[d] = 1
        return features

    def _fused_log_prob(self, features, out, workspace):
        self._stacked_log_prob(features, out, workspace)

    def feature_sums(self, features, resp):
        """Sums of [z, 1] [z, 1]^T for each component."""
        d, n = features.shape
        sums = np.empty((len(resp), d, d))
        for group in self._groups(len(resp), features):
            weighted = resp[group, np.newaxis] * features
            weighted = weighted.reshape(len(weighted) * d, n)
            sums[group] = (weighted @ features.T).reshape(-1, d, d)
        return (sums,)

    def from_features(self, sums):
        second = np.ascontiguousarray(sums[:, :-1, :-1])
        return self._uncentred(sums[:, -1:, -1], sums[:, -1, :-1], second)


class QuadraticFeatures(FullFused):
    """Many components: log p(x | z = k) = B_k . [z_i z_j, z, 1]."""

    def _stacked(self):
        stacked = self.exact[self.y_error[self.exact] < MOST_STACKED[self.dtype]]
        return np.setdiff1d(stacked, self.remote)

    @property
    def is_of_use(self):
        is_rounded = self.y_error.max() > MOST_FUSED[self.dtype] * 10
        return super().is_of_use and not (self.dtype == np.float32 and is_rounded)

    def _prepare(self):
        conditions = super()._prepare()
        d = self.covariance.n_features
        # Each pair once, as (i, i + offset modulo D); those half of D apart, twice.
        offset, i = np.divmod(np.arange((d // 2 + 1) * d), d)
        self.pairs = i, (i + offset) % d
        linear = (self.precision @ self.z_means[:, :, np.newaxis])[:, :, 0]
        i, j = self.pairs
        is_half = (offset == 0) | (2 * offset == d)
        quadratic = np.where(is_half, -0.5, -1.0) * self.precision[:, i, j]
        constant = self.log_constants - 0.5 * np.sum(linear * self.z_means, axis=1)
        coefficients = np.column_stack([quadratic, linear, constant])
        self.coefficients = coefficients.astype(self.dtype)
        return conditions

    def features(self, X, workspace):
        n, d = X.shape
        twice = workspace.array("z", (2, d, n), self.dtype)
        self._write_z(X, twice[0], workspace)
        twice[1] = z = twice[0]
        # Row i of this view at `offset` is z_(i + offset): one call makes all products.
        row, item = twice.strides[1:]
        shape, strides = (d // 2 + 1, d, n), (row, row, item)
        partners = as_strided(twice, shape, strides, writeable=False)
        n_pairs = len(self.pairs[0])
        features = workspace.array("features", (n_pairs + d + 1, n), self.dtype)
        np.multiply(z, partners, out=features[:n_pairs].reshape(shape))
        features[n_pairs:-1] = z
        features[-1] = 1
        return features

    def log_prob(self, X, workspace):
        log_prob, (features, rows) = super().log_prob(X, workspace)
        self._stacked_log_prob(features[-X.shape[1] - 1 :], log_prob, workspace)
        return log_prob, (features, rows)

    def from_features(self, sums):
        d = self.covariance.n_features
        second = np.empty((len(sums), d, d))
        i, j = self.pairs
        second[:, i, j] = second[:, j, i] = sums[:, : -d - 1]
        return self._uncentred(sums[:, -1:], sums[:, -d - 1 : -1], second)
