"""Rows on a device of torch, and the mixture's E-step there."""

from copy import copy
from dataclasses import dataclass, fields

import numpy as np
import torch

from sklvm._alone import validate_data
from sklvm._devices import free_bytes, full_precision, memory_errors, rounds_float32
from sklvm.columns._numbers import with_remedy
from sklvm.mixture._checks import check_rows
from sklvm.mixture._mixture import EStep, Mixture
from sklvm.mixture._rows import MemoryRows, Workspace, chunk_size, is_memory_map
from sklvm.mixture._tensor_chunks import TensorRows
from sklvm.mixture._torch_kernel import posterior, torch_kernel
from sklvm.mixture.families import (  # noqa: F401 (they say which kernels there are)
    discrete_torch,
    gaussian_torch,
    gaussian_torch_missing,
    mixed_torch,
)

# On an accelerator a chunk is as large as pays for the calls that a chunk takes, and in
# float32 no sum is of more rows than in the chunks of a processor.
ACCELERATOR_BYTES = 2**28
MOST_ROWS = {np.dtype(np.float64): 2**16, np.dtype(np.float32): 2**14}


def device_chunk_size(row_size, dtype, device):
    """Rows in a chunk: what fits a processor's cache, or some hundred megabytes."""
    if device.type == "cpu":
        return chunk_size(row_size, dtype)
    n = ACCELERATOR_BYTES // (row_size * dtype.itemsize)
    return int(np.clip(n, 1024, MOST_ROWS[dtype]))


def check_tensor(estimator, X, reset):
    """A tensor as dense rows of any real dtype, or the error of an array.

    NaN is missing. Gradients are not followed.
    """
    if X.is_meta:
        raise ValueError(
            "X is a tensor on the device 'meta', which holds no values; give one on "
            "the CPU or a GPU."
        )
    if X.layout != torch.strided:
        raise ValueError("X is a sparse tensor; give X.to_dense().")
    X = X.detach()
    if X.ndim != 2 or not X.numel() or X.is_complex() or X.is_quantized:
        return torch.from_numpy(check_rows(estimator, X.cpu().numpy(), reset))
    try:
        validate_data(estimator, X, reset=reset, skip_check_array=True)
    except ValueError as error:
        raise with_remedy(error, "allow-nan") from None
    for values in TensorRows(X).pieces():
        # The check of arrays has the words for it, and knows what to do.
        if values.isinf().any() or estimator._has_refused(values):
            X = X if X.dtype == torch.float32 else X.double()
            checked = estimator._check_rows(X.cpu().numpy(), reset=False)
            return torch.from_numpy(checked).to(X.device)
    return X


class DeviceRows(MemoryRows):
    """Rows in a tensor on a device, for passes of a `DeviceEStep`, whose sums add.

    They stay there until the last chunk is done.
    """

    def __init__(self, rows, data, *, batch_size):
        super().__init__(data, batch_size=batch_size)
        self.stop = rows.stop
        self.total_weight, self.weight_unit = rows.total_weight, rows.weight_unit
        if rows.sample_weight is not None:
            weight = np.ascontiguousarray(rows.sample_weight)
            self.sample_weight = torch.tensor(weight, device=data.tensor.device)

    def of_size(self, batch_size):
        rows = copy(self)
        rows._cut(batch_size)
        return rows

    def n_side_by_side(self, n_runs):
        return 1  # the device is busy with one

    def over(self, n_threads):
        return super().over(1)

    def sum(self, function, add=np.add):
        sums = None
        for chunk in self._in_order():
            w = None if self.sample_weight is None else self.sample_weight[chunk]
            terms = function(self.data.values(chunk), w, None)
            sums = (
                terms
                if sums is None
                else [a + b for a, b in zip(sums, terms, strict=True)]
            )
        return to_host(sums)

    def map(self, function):
        parts = [function(self.data.values(rows), None) for rows in self._in_order()]
        is_array = isinstance(parts[0], np.ndarray)
        return np.concatenate(parts) if is_array else torch.cat(parts)

    def _in_order(self):
        for block in self._blocks:
            for chunk in block:
                self._check_running()
                with memory_errors("lower batch_size, or give X in float32"):
                    yield chunk


def to_host(sums):
    """A tuple of tensors as arrays of float64."""
    return tuple(term.cpu().numpy()[()] for term in sums)


class DeviceEStep(EStep):
    """The E-step by a kernel of torch.

    Chunks of tensors give sums that stay on the device, arrays of NumPy go there and
    give arrays. Answers about rows are arrays, but for `responsibilities`, and for
    `labels` of tensors.
    """

    def __init__(self, kernel, weights, device):
        super().__init__(torch_kernel(kernel, device), weights)
        self.host, self.device = EStep(kernel, weights), device
        self._log_weights = torch.tensor(self.log_weights, device=device)

    def sums(self, X, weight, workspace):
        is_array = isinstance(X, np.ndarray)
        if is_array:
            X = self._moved(X)
            weight = None if weight is None else self._moved(weight)
        with full_precision():
            sums = self.kernel.chunk_sums(X, weight, self._log_weights, workspace)
        return to_host(sums) if is_array else sums

    def _moved(self, array):
        return torch.tensor(np.ascontiguousarray(array), device=self.device)

    def _posterior(self, X):
        X = self._moved(X) if isinstance(X, np.ndarray) else X
        with full_precision():
            log_joint, _ = self.kernel.log_prob(X)
            return posterior(log_joint.add_(self._log_weights), self._log_weights)

    def log_joint(self, X, workspace):
        X = self._moved(X) if isinstance(X, np.ndarray) else X
        with full_precision():
            log_joint, features = self.kernel.log_prob(X)
        return log_joint.add_(self._log_weights).T.cpu().numpy(), features

    def posterior(self, X, workspace):
        return self.responsibilities(X, workspace).T.cpu().numpy()

    def responsibilities(self, X, workspace):
        """p(z | x) on the device, of shape (n, K)."""
        return self._posterior(X)[0]

    def labels(self, X, workspace):
        """On the device, if X is there."""
        labels = self._posterior(X)[0].argmax(1)
        return labels.cpu().numpy() if isinstance(X, np.ndarray) else labels

    def log_density(self, X, workspace):
        _, log_px = self._posterior(X)
        X = self._moved(X) if isinstance(X, np.ndarray) else X
        # Of a row with nothing observed it is exactly 0.
        return log_px.masked_fill_(X.isnan().all(1), 0).cpu().numpy()

    def filled(self, X, workspace):
        # Few cells are imputed, by code that each family has on the CPU.
        X = X if isinstance(X, np.ndarray) else X.cpu().numpy()
        return self.host.filled(X, Workspace())


@dataclass
class DeviceMixture(Mixture):
    """A mixture whose E-step a device does; all else is as it was."""

    device: torch.device | None = None  # never None

    @classmethod
    def of(cls, mixture, device):
        values = {f.name: getattr(mixture, f.name) for f in fields(Mixture)}
        return cls(**values, device=device)

    def e_steps(self, params):
        for host in self.components.kernels(params.components):
            e_step = DeviceEStep(host, params.weights, self.device)
            if not (e_step.kernel.is_single and rounds_float32(self.device)):
                yield e_step

    def e_step(self, params, n_rows):
        return next(self.e_steps(params))


def placed(rows, device):
    """The rows on the device; as they are where they have to go there chunk by chunk.

    Those are memory maps, and what would take more than half of the free memory.
    """
    if isinstance(rows.data, TensorRows):
        return rows.data
    X = getattr(rows.data, "X", rows.data)
    n_bytes = X.size * rows.dtype.itemsize
    if is_memory_map(X) or n_bytes > free_bytes(device) / 2:
        return None
    return TensorRows(torch.tensor(np.ascontiguousarray(rows.data[:]), device=device))


def on_device(mixture, rows, device, batch_size):
    """Mixture and rows for passes on the device."""
    row_size = mixture.components.row_size(mixture.n_components)
    size = batch_size or device_chunk_size(row_size, rows.dtype, device)
    mixture = DeviceMixture.of(mixture, device)
    if not isinstance(rows, MemoryRows):
        return mixture, rows.of_size(size)
    data = placed(rows, device)
    if data is None:
        return mixture, rows.of_size(size).over(1)
    return mixture, DeviceRows(rows, data, batch_size=size)
