"""The four shapes of a covariance matrix, one class each.

A *scatter* is the sum of weight * deviation * deviation^T that the shape keeps: full
(K, D, D), tied (D, D), diag (K, D), spherical (K,). Divided by the number of terms it
is the covariance. precisions_cholesky is scikit-learn's: precision = U U^T with U upper
triangular (its diagonal, where the matrix is diagonal).

A tied covariance is one entry, of first axis 1, for all components.
"""

from abc import ABC, abstractmethod

import numpy as np
from scipy.linalg import solve_triangular

from sklvm._base import is_symmetric


def safe_divide(a, b):
    """a / b, and 0 where b is 0: what no row observes deviates by nothing."""
    return np.divide(a, b, out=np.zeros_like(a), where=b != 0)


def _not_definite(precisions):
    sizes = np.linalg.eigvalsh(precisions) if precisions.ndim > 1 else precisions
    return ValueError(
        f"precisions_init has the eigenvalue {sizes.min():g} or is not symmetric; "
        "precisions must be symmetric and positive definite."
    )


class Covariance(ABC):
    """One shape of the covariances of K components in D features."""

    couples = False  # whether features are correlated within a component
    is_shared = False  # whether all components have the same

    def __init__(self, n_features):
        self.n_features = n_features

    @abstractmethod
    def shape(self, n_components):
        """Shape of `covariances_`."""

    @abstractmethod
    def n_parameters(self, n_components):
        """Free parameters of the covariances."""

    @abstractmethod
    def outer(self, deviations):
        """Scatter of the columns of `deviations` (D, n), for one component."""

    @abstractmethod
    def shift_scatter(self, count, shift):
        """Scatter of `count` (K, D) rows that all lie `shift` (K, D) off."""

    @abstractmethod
    def divide(self, scatter, count):
        """Covariance from the scatter and the count (K, D) of each feature."""

    @abstractmethod
    def multiply(self, covariances, count):
        """Inverse of `divide`."""

    def keep_unobserved(self, covariances, old, is_observed):
        """Covariances with the old ones of the features that no row observes.

        Full and tied covariances count what is missing in; there nothing is unobserved.
        """
        return covariances

    @abstractmethod
    def precisions_cholesky(self, covariances, smallest_pivot):
        """U of the precision; NaN for a component whose covariance is singular."""

    @abstractmethod
    def diagonal(self, values):
        """Diagonals of covariances or of U, shape (K, D)."""

    def deviations(self, covariances):
        """Standard deviations of the features, shape (K, D)."""
        # Rounding may leave less than nothing of a variance that is zero.
        return np.sqrt(np.maximum(self.diagonal(covariances), 0))

    @abstractmethod
    def matrices(self, values):
        """Covariances or U as matrices (K, D, D)."""

    def stack(self, scatters):
        """The scatter of all components from those of each."""
        return np.stack(scatters)

    def whiten(self, u, k, deviations):
        """U_k^T deviations, for deviations (D, n)."""
        return u[k][..., np.newaxis] * deviations

    def unwhiten(self, u, k, z):
        """Inverse of `whiten`."""
        return z / u[k][..., np.newaxis]

    @abstractmethod
    def precisions(self, u):
        """U U^T, in the covariance's own shape."""

    @abstractmethod
    def from_precisions_cholesky(self, u):
        """Covariances from U."""

    @abstractmethod
    def inverse(self, precisions):
        """Covariances from precisions; an error unless they are positive definite."""

    @abstractmethod
    def log_diagonal(self, u, scale):
        """U of x / scale with the logarithm of its diagonal: any value is feasible."""

    @abstractmethod
    def exp_diagonal(self, log_u, scale):
        """Inverse of `log_diagonal`."""

    def log_det(self, u):
        """log |U_k|, shape (K,)."""
        return np.log(self.diagonal(u)).sum(axis=1)

    def regularise(self, covariances, reg_covar):
        """Covariances with reg_covar on the diagonal."""
        ridge = np.eye(self.n_features) if self.couples else 1
        return covariances + reg_covar * ridge


def _factor(covariances, smallest_pivot):
    """U for each of a stack of matrices, NaN unless it is safely definite."""
    variances = np.diagonal(covariances, axis1=1, axis2=2)
    scale = np.sqrt(np.where(variances > 0, variances, np.nan))
    correlations = covariances / (scale[:, :, np.newaxis] * scale[:, np.newaxis])
    try:
        lower = np.linalg.cholesky(correlations)
    except np.linalg.LinAlgError:
        if len(covariances) == 1:
            return np.full_like(covariances, np.nan)
        halves = np.array_split(covariances, 2)
        return np.concatenate([_factor(half, smallest_pivot) for half in halves])
    pivots = np.diagonal(lower, axis1=1, axis2=2) ** 2
    u = np.triu(np.linalg.inv(lower).transpose(0, 2, 1)) / scale[:, :, np.newaxis]
    return np.where((pivots.min(axis=1) < smallest_pivot)[:, None, None], np.nan, u)


class Full(Covariance):
    """A matrix for each component."""

    couples = True

    def shape(self, n_components):
        return (n_components, self.n_features, self.n_features)

    def n_parameters(self, n_components):
        return n_components * self.n_features * (self.n_features + 1) // 2

    def outer(self, deviations):
        return deviations @ deviations.T

    def shift_scatter(self, count, shift):
        return count[:, :1, np.newaxis] * shift[:, :, np.newaxis] * shift[:, np.newaxis]

    def divide(self, scatter, count):
        return safe_divide(scatter, count[:, :1, np.newaxis])

    def multiply(self, covariances, count):
        return covariances * count[:, :1, np.newaxis]

    def precisions_cholesky(self, covariances, smallest_pivot):
        return _factor(covariances, smallest_pivot)

    def diagonal(self, values):
        return np.diagonal(values, axis1=1, axis2=2)

    def matrices(self, values):
        return values

    def whiten(self, u, k, deviations):
        return u[k].T @ deviations

    def unwhiten(self, u, k, z):
        return solve_triangular(u[k], z, trans="T", check_finite=False)

    def precisions(self, u):
        return u @ np.swapaxes(u, -1, -2)

    def from_precisions_cholesky(self, u):
        root = np.linalg.inv(u)
        return np.swapaxes(root, -1, -2) @ root

    def inverse(self, precisions):
        try:
            root = np.linalg.inv(np.linalg.cholesky(precisions))
        except np.linalg.LinAlgError:
            raise _not_definite(precisions) from None
        if not is_symmetric(precisions):
            raise _not_definite(precisions)
        return np.swapaxes(root, -1, -2) @ root

    def log_diagonal(self, u, scale):
        log_u = u * scale[:, np.newaxis]
        i = np.arange(self.n_features)
        log_u[..., i, i] = np.log(log_u[..., i, i])
        return log_u

    def exp_diagonal(self, log_u, scale):
        u = log_u.copy()
        i = np.arange(self.n_features)
        u[..., i, i] = np.exp(u[..., i, i])
        return u / scale[:, np.newaxis]


class Tied(Full):
    """One matrix for all components."""

    is_shared = True

    def shape(self, n_components):
        return (self.n_features, self.n_features)

    def n_parameters(self, n_components):
        return super().n_parameters(1)

    def shift_scatter(self, count, shift):
        return (count[:, :1] * shift).T @ shift

    def divide(self, scatter, count):
        return scatter / count[:, 0].sum()

    def multiply(self, covariances, count):
        return covariances * count[:, 0].sum()

    def precisions_cholesky(self, covariances, smallest_pivot):
        return _factor(covariances[np.newaxis], smallest_pivot)[0]

    def diagonal(self, values):
        return np.diag(values)[np.newaxis]

    def matrices(self, values):
        return values[np.newaxis]

    def stack(self, scatters):
        return sum(scatters)

    def whiten(self, u, k, deviations):
        return u.T @ deviations

    def unwhiten(self, u, k, z):
        return solve_triangular(u, z, trans="T", check_finite=False)


class Diag(Covariance):
    """A variance for each component and feature."""

    def shape(self, n_components):
        return (n_components, self.n_features)

    def n_parameters(self, n_components):
        return n_components * self.n_features

    def outer(self, deviations):
        return np.einsum("dn,dn->d", deviations, deviations)

    def shift_scatter(self, count, shift):
        return count * shift**2

    def divide(self, scatter, count):
        return safe_divide(scatter, count)

    def multiply(self, covariances, count):
        return covariances * count

    def keep_unobserved(self, covariances, old, is_observed):
        return np.where(is_observed, covariances, old)

    def precisions_cholesky(self, covariances, smallest_pivot):
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(covariances > 0, 1 / np.sqrt(covariances), np.nan)

    def from_diagonal(self, scatter):
        """The scatter from that of each feature (K, D)."""
        return scatter

    def diagonal(self, values):
        return values

    def matrices(self, values):
        return values[:, :, np.newaxis] * np.eye(self.n_features)

    def precisions(self, u):
        return u**2

    def from_precisions_cholesky(self, u):
        return 1 / u**2

    def inverse(self, precisions):
        if not precisions.min() > 0:
            raise _not_definite(precisions.ravel())
        return 1 / precisions

    def log_diagonal(self, u, scale):
        return np.log(u * scale)

    def exp_diagonal(self, log_u, scale):
        return np.exp(log_u) / scale


class Spherical(Diag):
    """A variance for each component."""

    def shape(self, n_components):
        return (n_components,)

    def n_parameters(self, n_components):
        return n_components

    def outer(self, deviations):
        return np.vdot(deviations, deviations)

    def shift_scatter(self, count, shift):
        return (count * shift**2).sum(axis=1)

    def divide(self, scatter, count):
        return safe_divide(scatter, count.sum(axis=1))

    def multiply(self, covariances, count):
        return covariances * count.sum(axis=1)

    def log_diagonal(self, u, scale):
        return np.log(u * np.sqrt(scale @ scale))

    def exp_diagonal(self, log_u, scale):
        return np.exp(log_u) / np.sqrt(scale @ scale)

    def keep_unobserved(self, covariances, old, is_observed):
        return np.where(is_observed.any(axis=1), covariances, old)

    def from_diagonal(self, scatter):
        return scatter.sum(axis=1)

    def diagonal(self, values):
        return np.repeat(values[:, np.newaxis], self.n_features, axis=1)

    def matrices(self, values):
        return super().matrices(self.diagonal(values))


SHAPES = {"full": Full, "tied": Tied, "diag": Diag, "spherical": Spherical}
