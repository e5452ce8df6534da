"""The family of Gaussian components: M-step, starts, and the choice of E-step."""

from functools import cached_property
from typing import NamedTuple

import numpy as np

from sklvm.mixture._covariance import SHAPES, Tied, safe_divide
from sklvm.mixture._em import Family
from sklvm.mixture._gaussian_passes import (
    AxisFeatures,
    Direct,
    GaussianMoments,
    GaussianParams,
    QuadraticFeatures,
    WhitenedFeatures,
)
from sklvm.mixture._missing import MissingPatterns

FEATURES = {
    "full": QuadraticFeatures,
    "tied": WhitenedFeatures,
    "diag": AxisFeatures,
    "spherical": AxisFeatures,
}
# Above this many features the Cholesky way is faster than the quadratic features.
MOST_QUADRATIC = 32
# Largest amplification that leaves a log-density its digits. Measured, the error of a
# row is up to 1e-6 times the amplification in float32 (2e-15 times in float64).
MOST_AMPLIFIED = {np.dtype(np.float32): 1e3, np.dtype(np.float64): 1e5}
EPS = np.finfo(np.float64).eps
# Smallest deviation of a component, in deviations of the sample, if reg_covar is 0.
NARROWEST = 1e-8


class SampleMoments(NamedTuple):
    """Mean and covariance of a sample as one component."""

    mean: np.ndarray
    deviation: np.ndarray
    scatter: np.ndarray  # per row, one component of the covariance's shape


class GaussianFamily(Family):
    """Gaussian components with covariances of one shape."""

    def __init__(self, *args, covariance_type, reg_covar, **kwargs):
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        super().__init__(*args, **kwargs)
        self.covariance = SHAPES[covariance_type](self.n_components, self.n_features)
        self._prepared = None, None  # parameters, and the expectation made for them

    @cached_property
    def ways(self):
        """The E-step's ways with their precisions, the fastest first."""
        if self.missing and self.covariance_type in ("full", "tied"):
            return [(MissingPatterns, np.dtype(np.float64))]
        ways = []
        if self.covariance_type != "full" or self.n_features <= MOST_QUADRATIC:
            dtypes = dict.fromkeys([self.dtype, np.dtype(np.float64)])
            ways = [(FEATURES[self.covariance_type], dtype) for dtype in dtypes]
        return [*ways, (Direct, np.dtype(np.float64))]

    def row_size(self):
        way, _ = self.ways[0]
        if way is MissingPatterns:
            # Larger chunks: the factors of a pattern serve all its rows in the chunk.
            return 1 + self.n_components * self.n_features // 8
        return way.row_size(self.n_features) + self.n_components

    def expectations(self, params):
        prepared_for, prepared = self._prepared
        for way, dtype in self.ways:
            if (
                prepared_for is params
                and type(prepared) is way
                and prepared.dtype == dtype
            ):
                yield prepared  # `trusts` has made it, and found that it keeps digits
                continue
            expectation = way(self.covariance, params, dtype, self.missing)
            if self._keeps_digits(expectation):
                yield expectation

    def _keeps_digits(self, expectation):
        # The direct way always does, whatever the parameters.
        return isinstance(expectation, Direct) or (
            expectation.amplification < MOST_AMPLIFIED[expectation.dtype]
        )

    def trusts(self, expectation, following):
        # The sums are as safe as the way would be at the parameters that follow.
        if isinstance(expectation, Direct):
            return True
        if not np.isfinite(following.precisions_cholesky).all():
            return False
        way, dtype = type(expectation), expectation.dtype
        prepared = way(self.covariance, following, dtype, self.missing)
        if not self._keeps_digits(prepared):
            return False
        self._prepared = following, prepared
        return True

    def m_step(self, moments, params):
        # A feature that no row of the component shows keeps its parameters.
        seen = moments.observed > 0
        means = np.where(seen, moments.means, params.means)
        covariances = self.covariance.divide(moments.scatter, moments.observed)
        covariances = self.covariance.regularise(covariances, self.reg_covar)
        covariances = self.covariance.keep_unseen(covariances, params.covariances, seen)
        weights = self.mixing_weights(moments.counts)
        return self._params(weights, means, covariances)

    def _params(self, weights, means, covariances):
        # Without reg_covar a nearly singular matrix is on its way to F = infinity, and
        # with gaps all of its blocks have to be definite, too.
        if self.ways[0][0] is MissingPatterns:
            smallest_pivot = 1e-10
        else:
            smallest_pivot = self.n_features * EPS if self.reg_covar else 1e-12
        u = self.covariance.precisions_cholesky(covariances, smallest_pivot)
        return GaussianParams(
            *map(self.rounded, (weights, means, covariances, u)),
        )

    def mix(self, old, new, step):
        old_weight, new_weight = 1 - step, step * old.counts.sum() / new.counts.sum()
        grown = 1 + new.counts.sum() / old.counts.sum()
        a, b = old_weight * old.observed, new_weight * new.observed
        share = safe_divide(b, a + b)
        shift = new.means - old.means
        scatter = old_weight * old.scatter + new_weight * new.scatter
        scatter = scatter + self.covariance.spread(a * share, shift)
        return GaussianMoments(
            grown * (old_weight * old.counts + new_weight * new.counts),
            grown * (a + b),
            old.means + share * shift,
            grown * scatter,
        )

    @cached_property
    def whole(self):
        """Mean, deviations and covariance of the sample as one component."""
        rows, p = self.sample.data.astype(np.float64), self.sample.sample_weight
        p = p / p.sum()
        observed = ~np.isnan(rows)
        seen = np.where(observed, rows, 0)
        mean = safe_divide(p @ seen, p @ observed)
        deviations = np.where(observed, rows - mean, 0)
        deviation = np.sqrt(safe_divide(p @ deviations**2, p @ observed))
        scatter = self.covariance.outer((deviations * np.sqrt(p)[:, np.newaxis]).T)
        return SampleMoments(mean, np.where(deviation > 0, deviation, 1), scatter)

    def given(self):
        names = ("weights", "means", "covariances")
        if not set(names) <= self.initial.keys():
            return None
        return self._checked(self._params(*(self.initial[name] for name in names)))

    def embed(self, rows):
        # Centred for the sake of float32. Features may be in comparable units, or
        # not: no one scale is right for every table, so both are tried.
        points = np.nan_to_num(rows.astype(np.float64) - self.whole.mean)
        return [points, points / self.whole.deviation]

    def initial_centres(self):
        means = self.initial.get("means")
        return None if means is None else means - self.whole.mean

    def n_parameters(self):
        return self.n_components * self.n_features + self.covariance.n_parameters

    def start(self, rows, sample_weight, resp):
        # The weights count distinct rows. Each covariance borrows D + 1 rows from the
        # mean covariance of all components, and that one row from the whole sample:
        # however few rows a component starts with, it does not start degenerate.
        resp = resp * (sample_weight * (len(sample_weight) / sample_weight.sum()))
        rows = np.where(np.isnan(rows), self.whole.mean, rows).astype(np.float64)
        counts = resp.sum(axis=1)
        means = safe_divide(resp @ rows, counts[:, np.newaxis] * np.ones(rows.shape[1]))
        scatter = self.covariance.stack(
            [
                self.covariance.outer((rows - mean).T * np.sqrt(r))
                for mean, r in zip(means, resp, strict=True)
            ]
        )
        total = self.covariance.pool(scatter) + self.whole.scatter
        if isinstance(self.covariance, Tied):
            scatter, counts = total, counts + 1 / self.n_components
        else:
            scatter = scatter + (self.n_features + 1) * total / (counts.sum() + 1)
            counts = counts + self.n_features + 1
        observed = np.broadcast_to(counts[:, np.newaxis], means.shape)
        covariances = self.covariance.divide(scatter, observed)
        covariances = self.covariance.regularise(covariances, self.reg_covar)
        weights = self.mixing_weights(resp.sum(axis=1))
        return self._checked(
            self._params(
                self.initial.get("weights", weights),
                self.initial.get("means", means),
                self.initial.get("covariances", covariances),
            )
        )

    def _checked(self, params):
        if not np.isfinite(params.precisions_cholesky).all():
            raise ValueError(
                f"reg_covar={self.reg_covar} gives a singular covariance at the start, "
                "as some features of X are constant or collinear; increase reg_covar "
                "or drop those features."
            )
        return params

    def collapsed(self, params, moments):
        empty = moments.counts <= 10 * EPS * moments.counts.sum()
        return empty | self._degenerate(params)

    def _degenerate(self, params):
        """Mask (K,) of the components with a singular covariance."""
        u = self.covariance.matrices(params.precisions_cholesky)
        singular = ~np.isfinite(u).all(axis=(1, 2))
        deviation = self.covariance.deviations(params.covariances)
        if self.reg_covar:
            return singular
        # Nothing but the data holds the covariance up: narrower than the rounding of
        # x, or than a sliver of the sample, it is on its way to infinite F.
        narrowest = 100 * EPS * abs(params.means)
        narrowest = np.maximum(narrowest, NARROWEST * self.whole.deviation)
        return singular | (deviation < narrowest).any(axis=1)

    def reseed(self, params, collapsed, rows):
        means = params.means.copy()
        means[collapsed] = np.where(np.isnan(rows), self.whole.mean, rows)
        whole = self.covariance.divide(
            self.covariance.stack([self.whole.scatter] * self.n_components),
            np.ones_like(means),
        )
        whole = self.covariance.regularise(whole, self.reg_covar)
        if isinstance(self.covariance, Tied):
            covariances = whole
        else:
            covariances = params.covariances.copy()
            covariances[collapsed] = whole[collapsed]
        weights = self.reseeded_weights(params.weights, collapsed)
        return self._params(weights, means, covariances)

    def to_vector(self, params):
        # w = s^2 / sum(s^2), and U with the logarithm of its diagonal: every vector
        # is feasible. In units of the sample's deviation, so that norms mean something.
        scale = self.whole.deviation
        means = (params.means - self.whole.mean) / scale
        log_u = self.covariance.log_axes(params.precisions_cholesky, scale)
        return np.concatenate([np.sqrt(params.weights), means.ravel(), log_u.ravel()])

    def from_vector(self, vector):
        scale = self.whole.deviation
        k, d = self.n_components, self.n_features
        roots, means, log_u = np.split(vector, [k, k + k * d])
        log_u = log_u.reshape(self.covariance.shape)
        if abs(self.covariance.axes(log_u)).max() > -np.log(NARROWEST):
            return None
        u = self.covariance.exp_axes(log_u, scale)
        params = self._params(
            roots**2 / (roots**2).sum(),
            self.whole.mean + scale * means.reshape(k, d),
            self.covariance.from_precisions_cholesky(u),
        )
        return None if self._degenerate(params).any() else params
