"""E-step kernels whose arithmetic on rows is torch's, on any device."""

from abc import abstractmethod

import numpy as np
import torch

from sklvm.mixture._components import FeatureKernel, Kernel

# By the class of the kernel of NumPy on which they stand; by that of the components
# where the kernel is what the family says.
TORCH_KERNELS = {}


def stands_on(host_class):
    """Make a class the torch kernel of a kernel of NumPy, or of a family with one."""

    def register(kernel_class):
        TORCH_KERNELS[host_class] = kernel_class
        return kernel_class

    return register


def torch_kernel(host, device):
    """The kernel of torch, on this device, that does what `host` does."""
    kind = type(host.components if type(host) is FeatureKernel else host)
    return TORCH_KERNELS[kind](host, device)


class TorchKernel(Kernel):
    """A kernel of NumPy, its `host`, whose arithmetic on rows is done on a device.

    Chunks are tensors there, rows first: densities and responsibilities are (n, K).
    Sums are tensors of float64 there, from which the host makes the statistics.
    """

    dtype: torch.dtype  # of the products

    def __init__(self, host, device):
        super().__init__(host.components, host.params)
        self.host, self.device = host, device

    @property
    def is_single(self):
        """Whether products are of float32."""
        return self.dtype == torch.float32

    @staticmethod
    def torch_dtype(dtype):
        return torch.float32 if dtype == np.float32 else torch.float64

    def tensor(self, array):
        """An array of coefficients, on the device, in the kernel's precision."""
        array = np.ascontiguousarray(array)
        return torch.tensor(array, device=self.device, dtype=self.dtype)

    @abstractmethod
    def log_prob(self, X, workspace=None):
        """log p(x | z = k), (n, K), to be overwritten, and features of the rows."""

    @abstractmethod
    def statistics(self, features, resp, workspace=None):
        """What the host's `finalize` takes, for the responsibilities (n, K)."""

    def finalize(self, sums):
        return self.host.finalize(sums)

    def is_accurate(self, following):
        return self.host.is_accurate(following)

    def chunk_sums(self, X, weight, log_weights, workspace):
        log_joint, features = self.log_prob(X)
        resp, log_px = posterior(log_joint.add_(log_weights), log_weights)
        if weight is None:
            evidence = log_px.sum()
        else:
            resp.mul_(weight.to(resp.dtype).unsqueeze(1))
            # A row without weight is absent, even where its log p(x) is -inf.
            evidence = weight @ log_px.masked_fill_(weight <= 0, 0)
        counts = resp.sum(0, dtype=torch.float64)
        return evidence, counts, *self.statistics(features, resp)


def posterior(log_joint, log_weights):
    """p(z | x), (n, K), and log p(x) in float64, of log p(x, z).

    A row that no component can produce, or so remote that its squares overflow, has
    log p(x) = -inf and keeps the prior.
    """
    largest = log_joint.amax(1)
    impossible = ~(largest > -torch.inf)
    resp = torch.softmax(log_joint, 1)
    # The largest of them is exp(0) over the sum of exp(log p(x, z) - largest).
    log_px = largest.double() - resp.amax(1).double().log_()
    log_px.masked_fill_(impossible, -torch.inf)
    prior = log_weights.to(resp.dtype).exp()
    return torch.where(impossible.unsqueeze(1), prior, resp), log_px
