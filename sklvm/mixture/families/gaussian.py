"""Gaussian components with covariances of four shapes."""

import numpy as np

from sklvm.mixture._components import FEW_ROWS, Components, of_frequent_patterns
from sklvm.mixture.families.covariance import SHAPES, safe_divide
from sklvm.mixture.families.gaussian_floor import floored
from sklvm.mixture.families.gaussian_full import full_kernel, has_few
from sklvm.mixture.families.gaussian_kernels import AxisFeatures, WhitenedFeatures
from sklvm.mixture.families.gaussian_missing import MissingPatterns
from sklvm.mixture.families.gaussian_subtracting import AllAtOnce, Subtracting

FUSED = {
    "full": full_kernel,
    "tied": WhitenedFeatures,
    "diag": AxisFeatures,
    "spherical": AxisFeatures,
}
EPS = np.finfo(np.float64).eps
# Smallest deviation of a component, in deviations of the mixture, if reg_covar is 0.
NARROWEST = 1e-8
# Patterns of missing cells with which short runs are quick.
MOST_PATTERNS = 32


class GaussianComponents(Components):
    """N(x | mu_k, Sigma_k).

    The statistics are the counts (K, D) of what was observed, the means, and the
    scatter about them, in the covariance's own shape. `reg_covar` is added to variances
    or, if `is_floor`, a lower bound on them, under which EM still maximises F.
    """

    names = ("means", "covariances", "precisions_cholesky")
    initial_names = frozenset(("means", "covariances"))

    def __init__(self, *args, covariance_type, reg_covar, is_floor=False, **kwargs):
        super().__init__(*args, **kwargs)
        self.is_floor = is_floor
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.covariance = SHAPES[covariance_type](self.n_features)
        self.is_separable = not self.covariance.is_shared
        self.by_patterns = self.missing and self.covariance.couples

    def kernels(self, params):
        fused = self._fused(params)
        if self.by_patterns:
            for kernel in fused:
                if not len(kernel.remote):
                    yield MissingPatterns(self, params, kernel)
            yield MissingPatterns(self, params, None)
            return
        yield from fused
        yield Subtracting(self, params)

    def kernel_for(self, params, n_rows):
        if n_rows <= FEW_ROWS and not self.by_patterns:
            return AllAtOnce(self, params)
        return super().kernel_for(params, n_rows)

    def _fused(self, params):
        """Fused kernels that are of use at these params, the fastest first."""
        for dtype in dict.fromkeys([self.dtype, np.dtype(np.float64)]):
            kernel = FUSED[self.covariance_type](self, params, dtype)
            if kernel.is_of_use:
                yield kernel

    def row_size(self, n_components):
        d = self.n_features
        if self.by_patterns:
            return n_components * (d + d * d // 8)
        if self.covariance_type != "full":
            return 3 * d + n_components
        if has_few(n_components, d):
            return (2 * n_components + 3) * d
        return (d // 2 + 4) * d + 1 + n_components

    # Statistics and the M-step -----------------------------------------------------

    def features(self, X):
        return X.astype(np.float64)

    def statistics(self, features, resp):
        # Missing values are taken for the component's mean, and the scatter of what was
        # observed stands for the whole: good enough for a start.
        observed = ~np.isnan(features)
        counts = np.repeat(resp.sum(axis=1)[:, np.newaxis], self.n_features, axis=1)
        n_observed = resp @ observed
        means = safe_divide(resp @ np.where(observed, features, 0), n_observed)
        couples = self.covariance.couples
        grown = (
            np.sqrt(safe_divide(counts, n_observed)) if couples else np.ones_like(means)
        )
        scatter = []
        for r, mean, scale in zip(resp, means, grown, strict=True):
            deviations = np.where(observed, (features - mean) * scale, 0)
            scatter.append(self.covariance.outer((deviations * np.sqrt(r)[:, None]).T))
        # A feature that nobody shows has no mean: 0 observed says so.
        counts = np.where(n_observed > 0, counts, 0) if couples else n_observed
        return counts, means, self.covariance.stack(scatter)

    def m_step(self, statistics, params):
        observed, means, scatter = statistics
        covariances = self.covariance.divide(scatter, observed)
        covariances = self._regularised(covariances)
        if params is not None:  # what no row of the component shows stays as it was
            is_observed = observed > 0
            means = np.where(is_observed, means, params[0])
            covariances = self.covariance.keep_unobserved(
                covariances, params[1], is_observed
            )
        return means, covariances, self._factor(covariances)

    def _regularised(self, covariances):
        if self.is_floor:
            return floored(self.covariance, covariances, self.reg_covar)
        return self.covariance.regularise(covariances, self.reg_covar)

    def _factor(self, covariances):
        # Without reg_covar a nearly singular matrix diverges to F = infinity, and
        # with missing values all of its blocks have to be definite, too.
        if self.by_patterns:
            smallest_pivot = 1e-10
        else:
            smallest_pivot = self.n_features * EPS if np.any(self.reg_covar) else 1e-12
        return self.covariance.precisions_cholesky(covariances, smallest_pivot)

    def mix(self, one, other, a, b):
        (n, means, scatter), (m, others, other_scatter) = one, other
        share = safe_divide(b * m, a * n + b * m)
        shift = others - means
        between = self.covariance.shift_scatter(a * n * share, shift)
        scatter = a * scatter + b * other_scatter + between
        return a * n + b * m, means + share * shift, scatter

    def n_parameters(self, n_components):
        n_means = n_components * self.n_features
        return n_means + self.covariance.n_parameters(n_components)

    def degenerate(self, params):
        means, covariances, u = params
        u = u[np.newaxis] if self.covariance.is_shared else u
        singular = ~np.isfinite(u).reshape(len(u), -1).all(axis=1)
        if np.any(self.reg_covar):
            return singular
        # Nothing but the data holds the covariance up: narrower than the rounding of
        # x, or than a sliver of the mixture, it diverges to infinite F.
        deviation = self.covariance.deviations(covariances)
        narrowest = np.maximum(
            100 * EPS * abs(means), NARROWEST * self._scale(params)[1]
        )
        return singular | (deviation < narrowest).any(axis=1)

    def _scale(self, params):
        """Mean and deviations (D,) of the components taken together."""
        means, covariances, _ = params
        centre = means.mean(axis=0)
        variance = self.covariance.deviations(covariances) ** 2 + (means - centre) ** 2
        deviation = np.sqrt(np.nanmean(variance, axis=0))
        return centre, np.where(deviation > 0, deviation, 1)

    # Starts ------------------------------------------------------------------------

    def smooth(self, statistics, average):
        # Each covariance borrows D + 1 rows from the mean covariance of all components,
        # and that one row from the whole sample: however few rows a component starts
        # with, it does not start degenerate.
        observed, means, scatter = statistics
        _, pooled_mean, pooled_scatter = average
        means = np.where(observed > 0, means, pooled_mean)
        if self.covariance.is_shared:
            return observed + 1 / len(means), means, scatter + pooled_scatter
        total = scatter.sum(axis=0, keepdims=True) + pooled_scatter
        within = self.covariance.divide(total, observed.sum(axis=0, keepdims=True) + 1)
        borrowed = np.full_like(observed, self.n_features + 1)
        scatter = scatter + self.covariance.multiply(within, borrowed)
        return observed + borrowed, means, scatter

    def moved(self, params, collapsed, fresh):
        if not self.covariance.is_shared:
            return super().moved(params, collapsed, fresh)
        means = params[0].copy()
        means[collapsed] = fresh[0]
        return means, *fresh[1:]

    def points(self, rows, params):
        # Features may be in comparable units or not, and clusters long and rotated: no
        # one scale is right for every table. Centred for the sake of float32.
        means, _, u = params
        points = np.nan_to_num(rows.astype(np.float64) - means)
        deviation = np.sqrt((points**2).mean(axis=0))
        scales = [points, points / np.where(deviation > 0, deviation, 1)]
        if self.covariance.couples and np.isfinite(u).all():
            scales.append(points @ self.covariance.matrices(u)[0])
        return scales

    def centres(self, initial, params):
        return initial - params[0]

    def replaced(self, params, initial):
        means, covariances, u = super().replaced(params, initial)
        if "covariances" in initial:
            u = self._factor(covariances)
        if not np.isfinite(covariances).all():
            raise ValueError(
                "X has values whose squares are beyond float64, so that no covariance "
                "is finite; give NaN where they stand for missing values, or X in "
                "another unit."
            )
        if not np.isfinite(u).all():
            raise ValueError(
                f"reg_covar={self.reg_covar} gives a singular covariance at the start, "
                "as some features of X are constant or collinear; increase reg_covar "
                "or drop those features."
            )
        return means, covariances, u

    def for_starts(self, rows, least_share=0.5):
        if not self.by_patterns:
            return self, None
        # Diagonal components do not see clusters that are long and rotated.
        kept = of_frequent_patterns(rows, MOST_PATTERNS)
        if kept.mean() >= least_share:
            return self, kept
        cheaper = GaussianComponents(
            self.n_features,
            dtype=self.dtype,
            missing=True,
            covariance_type="diag",
            reg_covar=self.reg_covar,
            is_floor=self.is_floor,
        )
        return cheaper, None

    # Answers -----------------------------------------------------------------------

    def sample(self, params, labels, rng):
        means, _, u = params
        X = rng.standard_normal((len(labels), self.n_features))
        for k in np.unique(labels):
            rows = labels == k
            X[rows] = self.covariance.unwhiten(u, k, X[rows].T).T
        return X + means[labels]

    def draw(self, params, labels, X, rng):
        if not self.covariance.couples:
            return super().draw(params, labels, X, rng)
        # A draw y of whole rows, moved to the observed cells: y_m and what x_o - y_o
        # predicts of x_m - y_m have together the distribution of x_m given x_o.
        drawn = self.sample(params, labels, rng)
        means, *shapes = params
        for k in np.unique(labels):
            rows, mean = labels == k, means[[k]]
            shape = shapes if self.covariance.is_shared else [s[[k]] for s in shapes]
            kernel = MissingPatterns(self, (mean, *shape), None)
            _, features = kernel.log_prob(X[rows] - drawn[rows] + mean, None)
            drawn[rows] += kernel.fill(features, np.ones((1, rows.sum()))) - mean
        return np.where(np.isnan(X), drawn, X)

    # Acceleration ------------------------------------------------------------------

    def to_unconstrained(self, params, reference):
        # U with the logarithm of its diagonal: every value is feasible. In units of
        # the mixture's deviation, so that norms mean something.
        means, _, u = params
        centre, scale = self._scale(reference)
        return (means - centre) / scale, self.covariance.log_diagonal(u, scale)

    def from_unconstrained(self, values, reference):
        means, log_u = values
        centre, scale = self._scale(reference)
        if abs(self.covariance.diagonal(log_u)).max() > -np.log(NARROWEST):
            return None
        u = self.covariance.exp_diagonal(log_u, scale)
        covariances = self.covariance.from_precisions_cholesky(u)
        if self.is_floor:
            covariances = self._regularised(covariances)
        params = centre + scale * means, covariances, self._factor(covariances)
        return None if self.degenerate(params).any() else params
