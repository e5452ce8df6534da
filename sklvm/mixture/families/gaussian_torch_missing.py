"""E-step of full and tied Gaussian components with missing values, by torch.

The mathematics is that of `gaussian_missing`. What is padded with 0 there in thought is
so in memory here: where a row of Sigma is missing, 1 stands on the diagonal, which
leaves the determinant and the other rows of the inverse as they are. Then the sums of
many patterns are products, whose order of additions is fixed on any device.
"""

import numpy as np
import torch

from sklvm.mixture._torch_kernel import TorchKernel, stands_on, torch_kernel
from sklvm.mixture.families.gaussian_missing import MissingPatterns, batches
from sklvm.mixture.families.gaussian_subtracting import LOG_2PI

# Numbers of one array that are made at a time.
MOST_NUMBERS = {"cpu": 2**18, "cuda": 2**25}


@stands_on(MissingPatterns)
class TorchPatterns(TorchKernel):
    """Patterns of missing values in batches; rows without by the kernel `complete`."""

    dtype = torch.float64

    def __init__(self, host, device):
        super().__init__(host, device)
        self.complete = None
        if host.complete is not None:
            self.complete = torch_kernel(host.complete, device)
        self.means, self.matrices = map(self.tensor, (host.means, host.matrices))

    @property
    def is_single(self):
        return self.complete is not None and self.complete.is_single

    def log_prob(self, X, workspace=None):
        observed = ~X.isnan().cpu().numpy()
        is_complete = observed.all(axis=1) & (self.complete is not None)
        whole, rest = np.flatnonzero(is_complete), np.flatnonzero(~is_complete)
        log_prob = X.new_empty(len(X), len(self.means), dtype=torch.float64)
        whole, features = self._moved(whole), None
        if self.complete is not None:
            values, features = self.complete.log_prob(X[whole])
            log_prob[whole] = values.double()
        X, found = X.double().nan_to_num(0.0), []
        for mask, rows, valid in self._batches(observed, rest):
            values, *others = self._batch(X[rows], mask)
            log_prob[rows[valid]] = values.transpose(1, 2)[valid]
            found.append((rows, valid, *others))
        return log_prob, (whole, features, found)

    def _moved(self, array):
        return torch.tensor(array, device=self.device)

    def _batches(self, observed, rest):
        """(mask of the features (P, D), rows (P, G), valid (P, G)) on the device.

        As `batches` gives them, in parts that are not too large.
        """
        k, d = self.means.shape
        most = MOST_NUMBERS.get(self.device.type, MOST_NUMBERS["cuda"])
        for _, rows, valid in batches(observed[rest]):
            rows = rest[rows]
            size = max(1, most // (k * d * max(d, rows.shape[1])))
            for i in range(0, len(rows), size):
                part = slice(i, i + size)
                mask = observed[rows[part, 0]]
                yield map(self._moved, (mask, rows[part], valid[part]))

    def _batch(self, x, mask):
        """log p(x_o | z = k) (P, K, G), g (P, K, G, D) and precisions (P, K, D, D)."""
        both = (mask.unsqueeze(2) & mask.unsqueeze(1)).unsqueeze(1)
        identity = torch.eye(mask.shape[1], dtype=x.dtype, device=x.device)
        lower = torch.linalg.cholesky(torch.where(both, self.matrices, identity))
        log_det = lower.diagonal(dim1=2, dim2=3).log().sum(2)
        precision = torch.cholesky_inverse(lower) * both
        deviations = x.unsqueeze(1) - self.means.unsqueeze(1)
        deviations = deviations * mask[:, None, None]
        g = deviations @ precision
        n_observed = mask.sum(1, keepdim=True, dtype=x.dtype)
        constant = log_det + n_observed * float(0.5 * LOG_2PI)
        values = -0.5 * (g * deviations).sum(3) - constant.unsqueeze(2)
        return values, g, precision

    def statistics(self, features, resp, workspace=None):
        whole, features, found = features
        k, d = self.means.shape
        counts, first, second = (
            torch.zeros(shape, dtype=torch.float64, device=self.device)
            for shape in ((k,), (k, d), (k, d, d))
        )
        for rows, valid, g, precision in found:
            r = (resp[rows] * valid.unsqueeze(2)).transpose(1, 2)  # (P, K, G)
            weighted = g * r.unsqueeze(3)
            total = r.sum(2)
            counts += total.sum(0)
            first += weighted.sum((0, 2))
            second += torch.einsum("pkgd,pkge->kde", weighted, g)
            second -= torch.einsum("pk,pkde->kde", total, precision)
        if self.complete is None:
            return counts, first, second
        of_complete = self.complete.statistics(
            features, resp[whole].to(self.complete.dtype)
        )
        return counts, first, second, *of_complete
