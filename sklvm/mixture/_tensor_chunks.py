"""Chunks of a tensor as the checks and the start of a fit read them.

They ask for ranges, missing values, codes and the hashes of the canonical sample; all
are made where the tensor lies, and equal what NumPy makes of the same rows. Only rows
of the sample leave the device.
"""

import numpy as np
import torch

from sklvm.mixture._binary import distinct_values, extremes, is_zero_one
from sklvm.mixture._checks import largest_fraction, observed_entries
from sklvm.mixture._codes import largest_codes
from sklvm.mixture._sample import ranges_of, row_hashes, stirred

PIECE = 2**24  # numbers that are looked at together


class TensorRows:
    """A tensor of rows, of which slices are chunks.

    They are of float32 if the tensor is, of float64 if it is of anything else. Where
    there is a `threshold`, values above it are 1, others 0, and NaN stays.
    """

    def __init__(self, tensor, threshold=None):
        self.tensor, self.shape = tensor, tuple(tensor.shape)
        self.threshold = threshold
        is_single = tensor.dtype == torch.float32
        self.dtype = np.dtype(np.float32 if is_single else np.float64)
        self.torch_dtype = torch.float32 if is_single else torch.float64

    def __getitem__(self, rows):
        return TensorChunk(self.values(rows))

    def values(self, rows):
        """These rows, a tensor of floats."""
        X = self.tensor[rows]
        if self.threshold is None:
            return X.to(self.torch_dtype)
        if X.dtype not in (torch.float16, torch.float32):  # as NumPy compares these
            X = X.double()
        ones = X.gt(self.threshold).to(self.torch_dtype)
        return ones.masked_fill_(X.isnan(), torch.nan)

    def pieces(self):
        """The same of all rows, some after the others."""
        size = max(1, PIECE // self.shape[1])
        for start in range(0, self.shape[0], size):
            yield self.values(slice(start, start + size))

    def has_missing(self):
        """Whether there is a NaN."""
        return any(bool(x.sum().isnan() and x.isnan().any()) for x in self.pieces())


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


@largest_codes.register
def _largest_codes_of_chunk(X: TensorChunk):
    return X.tensor.nan_to_num(0.0).amax(0).double().cpu().numpy()


@largest_codes.register
def _largest_codes(X: torch.Tensor):
    largest = [
        x.nan_to_num(0.0).amax(0).double().cpu().numpy() for x in TensorRows(X).pieces()
    ]
    return np.max(largest, axis=0)


@largest_fraction.register
def _largest_fraction(X: TensorChunk):
    return float(torch.where(X.tensor % 1 > 0, X.tensor, 0.0).amax())


@is_zero_one.register
def _is_zero_one(X: TensorRows):
    return all(bool(((x == 0) | (x == 1)).all()) for x in X.pieces())


@extremes.register
def _extremes(X: TensorRows):
    found = [_ranges_of(TensorChunk(x)) for x in X.pieces()]
    return min(low.min() for low, _ in found), max(high.max() for _, high in found)


@distinct_values.register
def _distinct_values(X: TensorChunk):
    return X.tensor[~X.tensor.isnan()].unique().cpu().numpy()
