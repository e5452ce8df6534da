"""Chunks of a tensor as the checks and the start of a fit read them.

They ask for ranges, missing values and the hashes of the canonical sample; all three
are made where the tensor lies, and equal what NumPy makes of the same rows. Only rows
of the sample leave the device.
"""

import numpy as np
import torch

from sklvm.mixture._checks import observed_entries
from sklvm.mixture._sample import ranges_of, row_hashes, stirred

PIECE = 2**24  # numbers that are looked at together


class TensorRows:
    """A tensor of rows, of which slices are chunks."""

    def __init__(self, tensor):
        self.tensor, self.shape = tensor, tuple(tensor.shape)
        is_single = tensor.dtype == torch.float32
        self.dtype = np.dtype(np.float32 if is_single else np.float64)

    def __getitem__(self, rows):
        return TensorChunk(self.tensor[rows])

    def has_missing(self):
        """Whether there is a NaN."""
        pieces = self.tensor.split(max(1, PIECE // self.shape[1]))
        return any(bool(x.sum().isnan() and x.isnan().any()) for x in pieces)


class TensorChunk:
    """Some rows of a tensor; of indices or a mask, an array of NumPy."""

    def __init__(self, tensor):
        self.tensor, self.shape = tensor, tuple(tensor.shape)

    def __getitem__(self, rows):
        rows = torch.tensor(rows, device=self.tensor.device)
        return self.tensor[rows].cpu().numpy()


@observed_entries.register
def _observed_entries(X: TensorChunk, weight):
    n, d = X.shape
    missing = X.tensor.isnan()
    if not missing.any():
        return False, np.full(d, float(n if weight is None else weight.sum()))
    present = (~missing).double()
    if weight is None:
        return True, present.sum(0).cpu().numpy()
    weight = torch.tensor(weight, device=present.device)
    return True, (weight @ present).cpu().numpy()


@ranges_of.register
def _ranges_of(X: TensorChunk):
    low, high = (
        X.tensor.nan_to_num(nan=end, posinf=torch.inf, neginf=-torch.inf)
        for end in (torch.inf, -torch.inf)
    )
    return tuple(x.double().cpu().numpy() for x in (low.amin(0), high.amax(0)))


@row_hashes.register
def _row_hashes(X: TensorChunk, factors):
    values = X.tensor.double() + 0.0  # -0 is 0
    values.masked_fill_(values.isnan(), torch.nan)
    bits = values.view(torch.int64)
    # Integers of torch have a sign, which its shifts repeat.
    bits ^= (bits >> 32) & (2**32 - 1)
    bits *= torch.tensor(factors.view(np.int64), device=bits.device)
    bits ^= (bits >> 29) & (2**35 - 1)
    return stirred(bits.sum(1).cpu().numpy().view(np.uint64))
