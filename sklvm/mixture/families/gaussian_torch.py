"""The fused kernels of Gaussian components with their arithmetic done by torch.

Each stands on one of NumPy's, its `host`, which prepares centre, coordinates and
coefficients in float64, knows which components need more digits, and makes the
family's statistics of the sums. So both give the same, to rounding; what is written
here are the products, for a chunk of rows that lies on a device.
"""

from abc import abstractmethod

import torch

from sklvm.mixture._torch_kernel import TorchKernel, stands_on
from sklvm.mixture.families.gaussian_full import QuadraticFeatures, StackedProducts
from sklvm.mixture.families.gaussian_kernels import AxisFeatures, WhitenedFeatures
from sklvm.mixture.families.gaussian_subtracting import Subtracting

# Numbers that are made at a time for several components that subtract their means.
GROUP = {"cpu": 2**18, "cuda": 2**25}


class TorchFused(TorchKernel):
    """What they share: components whose densities or moments subtract first."""

    def __init__(self, host, device):
        super().__init__(host, device)
        self.dtype = self.torch_dtype(host.dtype)
        self.centre = self.tensor(host.centre)
        self.subtracted, self.remote = (
            TorchSubtracting(Subtracting(host.components, host.params, which), device)
            if len(which)
            else None
            for which in (host.subtracted, host.remote)
        )
        self.n_fused = len(host.means) - len(host.exact)
        self._prepare()

    def _prepare(self):
        """Put the coefficients on the device."""
        self.coefficients = self.tensor(self.host.coefficients.T)

    @abstractmethod
    def features(self, X):
        """Features of the rows, of shape (n, P)."""

    def fused_log_prob(self, features):
        """log p(x | z = k) from the features, of shape (n, K)."""
        return features @ self.coefficients

    def feature_sums(self, features, resp):
        """Sums of the features under resp (n, K), as the host reads them."""
        return ((resp.T @ features).double(),)

    def log_prob(self, X, workspace=None):
        features = self.features(X.to(self.dtype))
        if self.n_fused:
            log_prob = self.fused_log_prob(features)
        else:
            shape = len(X), len(self.host.means)
            log_prob = torch.empty(shape, dtype=self.dtype, device=self.device)
        if self.subtracted is not None:
            values, _ = self.subtracted.log_prob(X)
            log_prob[:, self.host.subtracted] = values.to(self.dtype)
        return log_prob, (features, X)

    def statistics(self, features, resp, workspace=None):
        features, X = features
        sums = self.feature_sums(features, resp)
        if self.remote is None:
            return sums
        return *sums, *self.remote.statistics(X, resp[:, self.host.remote])


@stands_on(WhitenedFeatures)
class TorchWhitened(TorchFused):
    """Tied covariance by the features [y, 1]."""

    def _prepare(self):
        super()._prepare()
        self.u = self.tensor(self.host.u)

    def features(self, X):
        y = (X - self.centre) @ self.u
        return torch.cat([y, torch.ones_like(y[:, :1])], dim=1)

    def fused_log_prob(self, features):
        log_prob = super().fused_log_prob(features)
        return log_prob.sub_(features[:, :-1].square().sum(1, keepdim=True), alpha=0.5)

    def feature_sums(self, features, resp):
        y = features[:, :-1]
        second = (y * resp.sum(1, keepdim=True)).T @ y
        return *super().feature_sums(features, resp), second.double()


@stands_on(AxisFeatures)
class TorchAxis(TorchFused):
    """Diagonal covariances by the features [z^2, z, 1], or their mask in place of 1.

    Spherical ones without missing values need of the squares only the sum.
    """

    def _prepare(self):
        host = self.host
        d = host.means.shape[1]
        self.has_few = (
            not host.missing and host.components.covariance_type == "spherical"
        )
        coefficients = host.coefficients
        if self.has_few:
            coefficients = coefficients[:, d - 1 :]
        self.coefficients = self.tensor(coefficients.T)

    def features(self, X):
        z = X - self.centre
        if self.host.missing:
            observed = ~z.isnan()
            z.masked_fill_(~observed, 0)
            last = observed.to(self.dtype)
        else:
            last = torch.ones_like(z[:, :1])
        squares = z.square()
        if self.has_few:
            squares = squares.sum(1, keepdim=True)
        return torch.cat([squares, z, last], dim=1)

    def feature_sums(self, features, resp):
        (sums,) = super().feature_sums(features, resp)
        if self.has_few:  # the host adds the squares of the features up
            d = self.host.means.shape[1]
            sums = torch.cat([(sums[:, :1] / d).expand(-1, d), sums[:, 1:]], dim=1)
        return (sums,)


class TorchFull(TorchFused):
    """Full covariances in the coordinates z, whitened by all components together."""

    def _prepare(self):
        host = self.host
        self.to_z = self.tensor(host.to_z.T)
        k, d, width = host.stack.shape
        self.stack = self.tensor(host.stack.reshape(k * d, width).T)
        self.log_constants = self.tensor(host.log_constants[host.stacked])

    def stacked_log_prob(self, z):
        """log p(x | z = k) of the host's `stacked` from [z, 1]."""
        y = (z @ self.stack).view(len(z), *self.host.stack.shape[:2])
        squares = torch.linalg.vector_norm(y, dim=2).square_()
        return squares.mul_(-0.5).add_(self.log_constants)

    def z(self, X):
        return (X - self.centre) @ self.to_z


@stands_on(StackedProducts)
class TorchStacked(TorchFull):
    """Few components: y_k for all, and a product for the moments of each."""

    def features(self, X):
        z = self.z(X)
        return torch.cat([z, torch.ones_like(z[:, :1])], dim=1)

    def fused_log_prob(self, features):
        host = self.host
        values = self.stacked_log_prob(features)
        if len(host.stacked) == len(host.means):
            return values
        log_prob = values.new_empty(len(features), len(host.means))
        log_prob[:, host.stacked] = values
        return log_prob

    def feature_sums(self, features, resp):
        n, d = features.shape
        weighted = resp.unsqueeze(2) * features.unsqueeze(1)
        weighted = weighted.view(n, resp.shape[1] * d)
        return ((weighted.T @ features).view(-1, d, d).double(),)


@stands_on(QuadraticFeatures)
class TorchQuadratic(TorchFull):
    """Many components: log p(x | z = k) = B_k . [z_i z_j, z, 1]."""

    def _prepare(self):
        super()._prepare()
        self.coefficients = self.tensor(self.host.coefficients.T)
        self.d = self.host.means.shape[1]

    def features(self, X):
        n, d = X.shape
        n_offsets = d // 2 + 1
        z = self.z(X)
        # Window `offset` of [z, z] holds z_(i + offset): one product makes all pairs.
        partners = torch.cat([z, z], dim=1).unfold(1, d, 1)[:, :n_offsets]
        features = z.new_empty(n, n_offsets * d + d + 1)
        pairs = features[:, : n_offsets * d].unflatten(1, (n_offsets, d))
        torch.mul(z.unsqueeze(1), partners, out=pairs)
        features[:, n_offsets * d : -1] = z
        features[:, -1] = 1
        return features

    def log_prob(self, X, workspace=None):
        log_prob, (features, X) = super().log_prob(X)
        if len(self.host.stacked):
            values = self.stacked_log_prob(features[:, -self.d - 1 :])
            log_prob[:, self.host.stacked] = values
        return log_prob, (features, X)


@stands_on(Subtracting)
class TorchSubtracting(TorchKernel):
    """Every covariance, component by component: ||U_k^T (x - mu_k)||^2, in float64."""

    def __init__(self, host, device):
        super().__init__(host, device)
        self.covariance, which = host.covariance, host.which
        self.dtype = torch.float64
        self.means = self.tensor(host.means[which])
        u = host.u
        if self.covariance.couples:
            self.u = self.tensor(u if self.covariance.is_shared else u[which])
        else:
            self.u = self.tensor(self.covariance.diagonal(u)[which])
        self.log_diagonal = self.tensor(host.log_diagonal[which])

    def _groups(self, X):
        size = GROUP.get(X.device.type, GROUP["cuda"]) // max(1, X.numel()) + 1
        return [slice(i, i + size) for i in range(0, len(self.means), size)]

    def _deviations(self, X, nan, group):
        """x - mu_k, of shape (G, n, D), and 0 where x is missing."""
        deviations = X - self.means[group].unsqueeze(1)
        return deviations if nan is None else deviations.masked_fill_(nan, 0)

    def _whitened(self, deviations, group):
        if self.covariance.is_shared:
            return deviations @ self.u
        if self.covariance.couples:
            return deviations @ self.u[group]
        return deviations * self.u[group].unsqueeze(1)

    def log_prob(self, X, workspace=None):
        X = X.double()
        nan = X.isnan() if self.host.missing else None
        log_prob = X.new_empty(len(X), len(self.means))
        for group in self._groups(X):
            y = self._whitened(self._deviations(X, nan, group), group)
            log_prob[:, group] = y.square().sum(2).T
        log_prob.mul_(-0.5)
        if nan is None:
            return log_prob.add_(self.log_diagonal.sum(1)), X
        # Only diagonal covariances come here with missing values.
        return log_prob.add_((~nan).double() @ self.log_diagonal.T), X

    def statistics(self, features, resp, workspace=None):
        X, resp = features.double(), resp.double()
        nan = X.isnan() if self.host.missing else None
        first, scatters = [], []
        for group in self._groups(X):
            r = resp[:, group].T.unsqueeze(1)  # (G, 1, n)
            deviations = self._deviations(X, nan, group)
            first.append((r @ deviations).squeeze(1))
            if self.covariance.couples:
                scatter = (deviations * r.mT).mT @ deviations
            else:
                scatter = (r @ deviations.square()).squeeze(1)
            scatters.append(scatter)
        scatter = torch.cat(scatters)
        if self.covariance.is_shared:
            scatter = scatter.sum(0)
        elif not self.covariance.couples:
            scatter = self.covariance.from_diagonal(scatter)
        if nan is None:
            observed = resp.sum(0).unsqueeze(1).expand(-1, X.shape[1])
        else:
            observed = resp.T @ (~nan).double()
        return observed, torch.cat(first), scatter
