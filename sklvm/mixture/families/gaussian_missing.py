"""E-step of full and tied Gaussian components where rows have missing values.

Rows with the same features observed (o) share the inverse of Sigma_oo. With
g = Sigma_oo^-1 (x_o - mu_o), padded with 0 where x is missing, a row has under
component k (Little and Rubin, Statistical Analysis with Missing Data, section 11.2)

    E[x | x_o] = mu + Sigma g,    Cov[x | x_o] = Sigma - Sigma P Sigma,

where P is Sigma_oo^-1, padded likewise. So the M-step needs the sums of g and of
g g^T - P only, and Sigma enters once for each component, after all rows.
"""

from typing import NamedTuple

import numpy as np

from sklvm.mixture._components import Kernel
from sklvm.mixture.families.covariance import safe_divide
from sklvm.mixture.families.gaussian_subtracting import LOG_2PI


class Batch(NamedTuple):
    """Rows whose patterns observe equally many features, o: P patterns of G rows."""

    observed: np.ndarray  # (P, o) features
    rows: np.ndarray  # (P, G) positions in the chunk
    valid: np.ndarray  # (P, G), false where a pattern has fewer rows
    precision: np.ndarray  # (K, P, o, o), the inverse of Sigma_oo
    g: np.ndarray  # (K, P, o, G)


class MissingPatterns(Kernel):
    """Patterns of missing values in batches, padded to as many rows each.

    `complete` is a kernel for the rows without missing values, or None.
    """

    def __init__(self, components, params, complete):
        super().__init__(components, params)
        self.covariance, self.complete = components.covariance, complete
        self.means, _, u = params
        # From U, which stays definite when it is rounded to float32.
        matrices = self.covariance.matrices(self.covariance.from_precisions_cholesky(u))
        k, d = self.means.shape
        self.matrices = np.broadcast_to(matrices, (k, d, d))

    def log_prob(self, X, workspace):
        X = X.astype(np.float64)
        observed = ~np.isnan(X)
        log_prob = np.empty((len(self.means), len(X)))
        is_complete = observed.all(axis=1) & (self.complete is not None)
        whole, rest = np.flatnonzero(is_complete), np.flatnonzero(~is_complete)
        features = None
        if self.complete is not None:
            values, features = self.complete.log_prob(X[whole], workspace)
            log_prob[:, whole] = values
        found = []
        for which, rows, valid in batches(observed[rest]):
            values, batch = self._batch(X, which, rest[rows], valid)
            log_prob[:, batch.rows[valid]] = values[:, valid]
            found.append(batch)
        return log_prob, (whole, features, found)

    def _batch(self, X, observed, rows, valid):
        n_observed = observed.shape[1]
        matrices = self.matrices[:, observed[:, :, np.newaxis], observed[:, np.newaxis]]
        lower = np.linalg.cholesky(matrices)
        precision = np.linalg.inv(matrices)
        x = X[rows[:, np.newaxis], observed[:, :, np.newaxis]]
        deviations = x - self.means[:, observed, np.newaxis]
        g = precision @ deviations
        deviations *= g
        values = -0.5 * deviations.sum(axis=2)
        log_det = np.log(np.diagonal(lower, axis1=2, axis2=3)).sum(axis=2)
        values -= (log_det + 0.5 * n_observed * LOG_2PI)[:, :, np.newaxis]
        return values, Batch(observed, rows, valid, precision, g)

    def statistics(self, features, resp, workspace):
        whole, features, found = features
        k, d = self.means.shape
        counts, first, second = np.zeros(k), np.zeros((k, d)), np.zeros((k, d * d))
        for observed, rows, valid, precision, g in found:
            r = resp[:, rows] * valid
            weighted = g * r[:, :, np.newaxis]
            total = r.sum(axis=2)
            counts += total.sum(axis=1)
            square = weighted @ g.swapaxes(2, 3)
            square -= total[:, :, np.newaxis, np.newaxis] * precision
            pairs = (observed[:, :, np.newaxis] * d + observed[:, np.newaxis]).ravel()
            for i in range(k):
                first[i] += np.bincount(
                    observed.ravel(), weighted[i].sum(axis=2).ravel(), minlength=d
                )
                second[i] += np.bincount(pairs, square[i].ravel(), minlength=d * d)
        sums = counts, first, second.reshape(k, d, d)
        if self.complete is None:
            return sums
        resp = np.ascontiguousarray(resp[:, whole])
        return *sums, *self.complete.statistics(features, resp, workspace)

    def finalize(self, sums):
        statistics = self._of_patterns(*sums[:3])
        if self.complete is None:
            return statistics
        complete = self.complete.finalize(sums[3:])
        return self.components.mix(complete, statistics, 1, 1)

    def is_accurate(self, following):
        return self.complete is None or self.complete.is_accurate(following)

    def _of_patterns(self, counts, first, second):
        sigma = self.matrices
        observed = np.repeat(counts[:, np.newaxis], self.means.shape[1], axis=1)
        first = (sigma @ first[:, :, np.newaxis])[:, :, 0]
        scatter = counts[:, np.newaxis, np.newaxis] * sigma + sigma @ second @ sigma
        scatter = 0.5 * (scatter + scatter.swapaxes(1, 2))
        shift = safe_divide(first, observed)
        scatter = self.covariance.stack(scatter)
        scatter = scatter - self.covariance.shift_scatter(observed, shift)
        return observed, self.means + shift, scatter

    def fill(self, features, resp, expectation=None):
        """E[f(x) | x observed], if `expectation` is that of f(x), of a Gaussian x.

        It gets means and variances; without it f(x) is x.
        """
        out = np.zeros((resp.shape[1], self.means.shape[1]))
        _, _, found = features
        for observed, rows, valid, precision, g in found:
            filled = np.zeros((*rows.shape, self.means.shape[1]))
            for k, mean in enumerate(self.means):
                columns = self.matrices[k][:, observed].swapaxes(0, 1)  # (P, D, o)
                expected = mean + (columns @ g[k]).swapaxes(1, 2)
                if expectation is not None:
                    explained = ((columns @ precision[k]) * columns).sum(axis=2)
                    variance = np.diagonal(self.matrices[k]) - explained
                    expected = expectation(expected, variance[:, np.newaxis])
                r = resp[k, rows][:, :, np.newaxis]
                filled += r * np.where(r > 0, expected, 0)  # which may be infinite
            out[rows[valid]] = filled[valid]
        return out


def batches(observed):
    """(features, rows, valid) of patterns that fit together, from a mask (n, D).

    They observe equally many features, in up to a power of 4 rows each.
    """
    bits = np.packbits(observed, axis=1)
    padded = np.zeros((len(bits), -(-bits.shape[1] // 8) * 8), np.uint8)
    padded[:, : bits.shape[1]] = bits
    words = padded.view(np.uint64)
    keys = words.ravel() if words.shape[1] == 1 else padded.view(f"S{padded.shape[1]}")
    _, first, inverse, counts = np.unique(
        keys.ravel(), return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(inverse, kind="stable")
    starts = np.cumsum(counts) - counts
    n_observed = observed[first].sum(axis=1)
    size = 4 ** np.ceil(np.log2(counts) / 2).astype(int)
    for o, s in np.unique(np.column_stack([n_observed, size]), axis=0):
        which = np.flatnonzero((n_observed == o) & (size == s))
        longest = counts[which].max()
        valid = np.arange(longest) < counts[which, np.newaxis]
        position = starts[which, np.newaxis] + np.arange(longest)
        rows = order[np.where(valid, position, starts[which, np.newaxis])]
        features = np.nonzero(observed[first[which]])[1].reshape(len(which), o)
        yield features, rows, valid
