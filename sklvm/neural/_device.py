"""Where tensors live: data that fit on a device or are streamed; predictions."""

import mmap
import os
from contextlib import contextmanager, nullcontext
from threading import Lock

import numpy as np
import torch
from scipy.sparse import issparse

from sklvm._devices import (
    cpu_by_default,
    free_bytes,
    full_precision,
    memory_errors,
)


def place(array, device):
    """`array` as a tensor on the device, or as it is where it has to be streamed.

    A memory map and a sparse matrix are streamed, and what would take more than half
    of the free memory of an accelerator. None stays None.
    """
    if array is None or issparse(array) or _is_memory_map(array):
        return array
    if device.type != "cpu" and array.nbytes > free_bytes(device) / 2:
        return array
    return as_tensor(array, device)


def as_dense(rows):
    """Rows of an array or of a sparse matrix as an array."""
    return rows.toarray() if issparse(rows) else np.asarray(rows)


def as_tensor(array, device):
    """A float32 (or integer) array as a tensor, without a copy where that is safe."""
    # torch warns of arrays that may not be written to, though nothing here writes.
    return torch.from_numpy(array if array.flags.writeable else array.copy()).to(device)


def _is_memory_map(array):
    while array is not None:
        if isinstance(array, np.memmap | mmap.mmap):
            return True
        array = getattr(array, "base", None)
    return False


class _Float32Convolutions:
    """Convolutions on a GPU in float32, as long as any thread is inside.

    torch takes TF32 for them by default, whose 10 bits give scores that are off in the
    fourth digit, and decode other maps than a CPU does. The setting is one of the whole
    process: the first to come in changes it, and the last to leave puts it back.
    """

    def __init__(self):
        self.lock = Lock()
        self.n_inside = 0
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self):
        """The threads that held the lock and the setting are not in the new process."""
        self.lock = Lock()
        if self.n_inside:
            self.n_inside = 0
            where, name, _ = self._setting()
            setattr(where, name, self.before)

    @staticmethod
    def _setting():
        """Where the setting is, its name, and the value that means float32."""
        if hasattr(torch.backends.cudnn, "conv"):
            return torch.backends.cudnn.conv, "fp32_precision", "ieee"
        return torch.backends.cudnn, "allow_tf32", False  # before torch 2.9

    def __enter__(self):
        where, name, float32 = self._setting()
        with self.lock:
            if self.n_inside == 0:
                self.before = getattr(where, name)
                setattr(where, name, float32)
            self.n_inside += 1

    def __exit__(self, *error):
        where, name, _ = self._setting()
        with self.lock:
            self.n_inside = max(0, self.n_inside - 1)  # 0 already after a fork
            if self.n_inside == 0:
                setattr(where, name, self.before)


_float32_convolutions = _Float32Convolutions()


def _uses_cuda():
    """Whether a network of this process may be on a GPU; else the setting stays."""
    return torch.cuda.is_initialized()


@contextmanager
def inference():
    """Where networks predict: without gradients, and the same on all devices."""
    with (
        memory_errors(
            "lower n_samples, n_draws or n_importance, or give fewer rows at once"
        ),
        torch.inference_mode(),
        full_precision(),
        cpu_by_default(),
        _float32_convolutions if _uses_cuda() else nullcontext(),
    ):
        yield
