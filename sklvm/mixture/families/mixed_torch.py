"""What tables of mixed columns need of torch beside the families of one kind.

Products of blocks, the logarithms of lognormal columns, and negative binomial counts.
"""

import numpy as np
import torch

from sklvm.mixture._torch_kernel import TorchKernel, stands_on, torch_kernel
from sklvm.mixture.families.discrete_torch import TorchFeatures
from sklvm.mixture.families.dispersion import log_negative_binomial
from sklvm.mixture.families.lognormal import OfLogarithms
from sklvm.mixture.families.negative_binomial import NegativeBinomialComponents
from sklvm.mixture.families.product import ProductKernel

# Numbers of indicators of counts that are made at a time.
MOST_INDICATORS = 2**24


@stands_on(ProductKernel)
class TorchProduct(TorchKernel):
    """Kernels of the blocks side by side; their log-probabilities add up."""

    dtype = torch.float64

    def __init__(self, host, device):
        super().__init__(host, device)
        self.kernels = [torch_kernel(kernel, device) for kernel in host.kernels]
        self.columns = [
            c if isinstance(c, slice) else torch.tensor(c, device=device)
            for c in (unit.columns for unit in host.units)
        ]

    def log_prob(self, X, workspace=None):
        total, features = 0, []
        for kernel, columns in zip(self.kernels, self.columns, strict=True):
            log_prob, own = kernel.log_prob(X[:, columns])
            total = log_prob.double().add_(total)
            features.append(own)
        return total, features

    def statistics(self, features, resp, workspace=None):
        pairs = zip(self.kernels, features, strict=True)
        sums = [kernel.statistics(own, resp) for kernel, own in pairs]
        # As the host's: how many each has goes with them.
        marks = torch.tensor([1.0, *map(len, sums)], dtype=torch.float64)
        marks = marks.to(self.device)
        return marks, *(array for arrays in sums for array in arrays)


@stands_on(OfLogarithms)
class TorchOfLogarithms(TorchKernel):
    """A Gaussian kernel on log x, with the Jacobian; no density at 0 or below."""

    dtype = torch.float64

    def __init__(self, host, device):
        super().__init__(host, device)
        self.kernel = torch_kernel(host.kernel, device)
        logged = np.flatnonzero(host.components.logged)
        self.logged = torch.tensor(logged, device=device)

    def log_prob(self, X, workspace=None):
        values = X[:, self.logged]
        outside = values <= 0
        logs = values.masked_fill(outside, 1).log()
        log_prob, features = self.kernel.log_prob(X.index_copy(1, self.logged, logs))
        log_prob -= logs.nansum(1, keepdim=True)
        impossible = outside.any(1, keepdim=True)
        return log_prob.masked_fill_(impossible, -torch.inf), features

    def statistics(self, features, resp, workspace=None):
        return self.kernel.statistics(features, resp)


@stands_on(NegativeBinomialComponents)
class TorchNegativeBinomial(TorchFeatures):
    """By a table of the counts that were fitted, and in numbers beyond it.

    A level is -1 where nothing was observed, and beyond the table.
    """

    def _host_dtype(self):
        return np.float64

    def _prepare(self, coefficients):
        table, _ = coefficients
        # The last row, which is -1's, adds nothing.
        self.table = self.tensor(np.vstack([table, np.zeros_like(table[:1])]))
        components = self.components
        self.starts = torch.tensor(components.starts, device=self.device)
        self.n_levels = torch.tensor(components.n_levels.copy(), device=self.device)

    def features(self, X):
        is_level = self.n_levels > X
        levels = X.masked_fill(~is_level, 0).long().add_(self.starts)
        beyond = torch.nonzero(self.n_levels <= X)
        counts = X[beyond[:, 0], beyond[:, 1]]
        levels.masked_fill_(~is_level, -1)
        return levels, (*beyond.T.cpu().numpy(), counts.cpu().numpy())

    def sum_of_logs(self, features):
        levels, (rows, d, x) = features
        log_prob = torch.nn.functional.embedding_bag(
            levels.remainder(len(self.table)), self.table, mode="sum"
        )
        if len(rows):
            more = np.zeros(log_prob.shape)
            np.add.at(more, rows, log_negative_binomial(x, d, *self.params).T)
            log_prob += self.tensor(more)
        return log_prob

    def statistics(self, features, resp, workspace=None):
        levels, beyond = features
        self.components.check_levels(beyond)
        step = max(1, MOST_INDICATORS // len(levels))
        sums = []
        for d, start in enumerate(self.components.starts.tolist()):
            # By products with indicators: sums by index differ from run to run.
            stop = start + int(self.components.n_levels[d])
            for first in range(start, stop, step):
                last = min(first + step, stop)
                some = torch.arange(first, last, device=self.device)
                sums.append(resp.T @ (levels[:, d : d + 1] == some).to(resp.dtype))
        return (torch.cat(sums, 1),)
