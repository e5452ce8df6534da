"""The E-step kernel of Gaussian components that subtracts first."""

import numpy as np

from sklvm.mixture._components import Kernel
from sklvm.mixture.families.covariance import safe_divide

LOG_2PI = np.log(2 * np.pi)


class Subtracting(Kernel):
    """Every covariance, component by component: ||U_k^T (x - mu_k)||^2.

    The M-step sums deviations from the present means, which keeps all digits. `which`
    are the components of interest, all by default.
    """

    def __init__(self, components, params, which=None):
        super().__init__(components, params)
        self.covariance, self.missing = components.covariance, components.missing
        self.means, _, self.u = params
        self.which = np.arange(len(self.means)) if which is None else which
        covariance, u = self.covariance, self.u
        shape = self.means.shape
        self.log_diagonal = np.log(np.broadcast_to(covariance.diagonal(u), shape))
        self.log_diagonal -= 0.5 * LOG_2PI

    def log_prob(self, X, workspace):
        X = X.T.astype(np.float64, order="C")
        nan = np.isnan(X) if self.missing else None
        shape = len(self.which), X.shape[1]
        log_prob = workspace.array("subtracting", shape, np.float64)
        for out, k in zip(log_prob, self.which, strict=True):
            y = self.covariance.whiten(
                self.u, k, self._deviations(X, nan, k, workspace)
            )
            np.multiply(y, y, out=y)
            np.add.reduce(y, axis=0, out=out)
        log_prob *= -0.5
        if nan is None:
            log_prob += self.log_diagonal[self.which].sum(axis=1)[:, np.newaxis]
        else:  # only diagonal covariances come here with missing values
            log_prob += self.log_diagonal[self.which] @ ~nan
        return log_prob, (X, nan)

    def _deviations(self, X, nan, k, workspace):
        deviations = workspace.array("deviations", X.shape, np.float64)
        np.subtract(X, self.means[k][:, np.newaxis], out=deviations)
        if nan is not None:
            deviations[nan] = 0
        return deviations

    def statistics(self, features, resp, workspace):
        X, nan = features
        first, scatters = [], []
        resp = resp.astype(np.float64, copy=False)
        root = np.sqrt(resp)
        for r, s, k in zip(resp, root, self.which, strict=True):
            deviations = self._deviations(X, nan, k, workspace)
            first.append(deviations @ r)
            deviations *= s
            scatters.append(self.covariance.outer(deviations))
        counts = resp.sum(axis=1)
        if nan is None:
            observed = np.repeat(counts[:, np.newaxis], len(X), axis=1)
        else:
            observed = resp @ ~nan.T
        return observed, np.stack(first), self.covariance.stack(scatters)

    def finalize(self, sums):
        observed, first, scatter = sums
        shift = safe_divide(first, observed)
        scatter = scatter - self.covariance.shift_scatter(observed, shift)
        return observed, self.means[self.which] + shift, scatter


class AllAtOnce(Subtracting):
    """The densities of a few rows, with no loop over the components."""

    def log_prob(self, X, workspace):
        X = X.astype(np.float64)
        nan = np.isnan(X) if self.missing else None
        deviations = X - self.means[:, np.newaxis]
        if nan is not None:
            deviations[:, nan] = 0
        if self.covariance.couples:
            y = deviations @ self.u
        else:
            y = deviations * self.covariance.diagonal(self.u)[:, np.newaxis]
        log_prob = -0.5 * np.einsum("knd,knd->kn", y, y)
        if nan is None:
            log_prob += self.log_diagonal.sum(axis=1)[:, np.newaxis]
        else:  # only diagonal covariances come here with missing values
            log_prob += self.log_diagonal @ ~nan.T
        return log_prob, (X.T, None if nan is None else nan.T)
