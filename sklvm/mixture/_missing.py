"""E-step of full and tied Gaussian mixtures where rows have gaps.

Rows with the same features observed (o) share the factors: log p(x_o) comes from the
marginal N(mu_o, Sigma_oo), and the missing part (m) of a row has under component k

    E[x_m | x_o] = mu_m + B (x_o - mu_o),  B = Sigma_mo Sigma_oo^-1,
    Cov[x_m | x_o] = Sigma_mm - B Sigma_om,

which the M-step adds to its sums (Little and Rubin, Statistical Analysis with Missing
Data, section 11.2).
"""

from typing import NamedTuple

import numpy as np

from sklvm.mixture._gaussian_passes import LOG_2PI, Direct


class Pattern(NamedTuple):
    """Rows of a chunk with the same observed features, and what they tell."""

    rows: np.ndarray  # (g,) positions in the chunk
    missing: np.ndarray  # (D,) mask
    deviations: np.ndarray  # (K, D, g) of E[x | x_o, k] from mu_k


class MissingPatterns(Direct):
    """Full or tied covariance with NaN in the rows."""

    def __init__(self, *args):
        super().__init__(*args)
        # From U, which stays definite when it is rounded to float32.
        covariances = self.covariance.from_precisions_cholesky(self.u)
        self.matrices = self.covariance.matrices(covariances)

    def log_joint(self, X, workspace):
        X = X.astype(np.float64)
        gaps = np.isnan(X)
        _, inverse, counts = np.unique(
            np.packbits(gaps, axis=1), axis=0, return_inverse=True, return_counts=True
        )
        order = np.argsort(inverse, kind="stable")
        log_joint = np.empty((len(self.weights), len(X)))
        patterns = []
        for rows in np.split(order, np.cumsum(counts)[:-1]):
            missing = gaps[rows[0]]
            log_joint[:, rows], pattern = self._pattern(X, rows, missing)
            patterns.append(pattern)
        return log_joint, patterns

    def _factors(self, missing):
        """L with Sigma_oo = L L^T, and L^-1 Sigma_om, for each component."""
        (o,), (m,) = np.nonzero(~missing), np.nonzero(missing)
        lower = np.linalg.cholesky(self.matrices[:, o[:, np.newaxis], o])
        half = np.linalg.solve(lower, self.matrices[:, o[:, np.newaxis], m])
        return o, m, lower, half

    def _pattern(self, X, rows, missing):
        o, m, lower, half = self._factors(missing)
        means = self.params.means
        seen = X[np.ix_(rows, o)].T - means[:, o, np.newaxis]  # (K, |o|, g)
        y = np.linalg.solve(lower, seen)
        log_det = np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
        log_joint = -0.5 * np.einsum("kdn,kdn->kn", y, y)
        constants = self.log_weights - log_det - 0.5 * len(o) * LOG_2PI
        log_joint += constants[:, np.newaxis]
        deviations = np.empty((*means.shape, len(rows)))
        deviations[:, o] = seen
        deviations[:, m] = half.transpose(0, 2, 1) @ y  # B = half^T L^-1
        return log_joint, Pattern(rows, missing, deviations)

    def statistics(self, features, resp, workspace):
        k, d = self.params.means.shape
        first, scatter = np.zeros((k, d)), np.zeros((k, d, d))
        for rows, missing, deviations in features:
            r = resp[:, rows]
            first += np.einsum("kdn,kn->kd", deviations, r)
            scatter += (deviations * r[:, np.newaxis]) @ deviations.transpose(0, 2, 1)
            if missing.any():
                # The factors again: to keep those of all patterns takes gigabytes.
                _, m, _, half = self._factors(missing)
                mm = np.ix_(range(k), m, m)
                covariance = self.matrices[mm] - half.transpose(0, 2, 1) @ half
                scatter[mm] += r.sum(axis=1)[:, np.newaxis, np.newaxis] * covariance
        counts = resp.sum(axis=1)
        return counts, self.all_observed(counts), first, self.covariance.stack(scatter)

    def conditional_mean(self, features, resp):
        means = np.empty((resp.shape[1], self.covariance.n_features))
        for rows, _, deviations in features:
            filled = self.params.means[:, :, np.newaxis] + deviations
            means[rows] = np.einsum("kn,kdn->nd", resp[:, rows], filled)
        return means
