"""Where the rows lie. Knows no model and no loop.

`Rows.sum` is the only way in which a fit touches rows. Those that are not in memory are
in `_source_rows`; nothing else knows of threads, chunks or memory maps.
"""

import os
import threading
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from itertools import pairwise

import numpy as np
from joblib import cpu_count
from threadpoolctl import ThreadpoolController

MAX_BLOCKS = 32
CHUNK_BYTES = 2**22
MAX_CHUNK = 16_000


class Workspace:
    """Arrays that are used again from chunk to chunk, by name.

    A fresh megabyte a chunk costs more in page faults than the arithmetic on it.
    """

    def __init__(self):
        self._buffers, self._parts = {}, {}

    def part(self, name):
        """A workspace within this one, whose names are its own."""
        return self._parts.setdefault(name, Workspace())

    def array(self, name, shape, dtype):
        """Uninitialised array of `shape`, over the memory last used for `name`."""
        size = int(np.prod(shape))
        buffer = self._buffers.get((name, dtype))
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name, dtype] = np.empty(size, dtype)
        return buffer[:size].reshape(shape)


class Rows(ABC):
    """Weighted rows. A weight of None is one each."""

    shape: tuple
    dtype: np.dtype  # of the chunks
    total_weight: float  # number of samples that the rows stand for
    sample_weight: np.ndarray | None  # in units of weight_unit
    weight_unit: float
    n_threads: int

    @abstractmethod
    def sum(self, function, add=np.add):
        """Elementwise sum of the tuples `function(X, weight, workspace)` over chunks.

        The order of the additions is fixed. `add` may be another associative ufunc, or
        a tuple of them, one for each element.
        """

    @abstractmethod
    def of_size(self, batch_size):
        """The same rows in chunks of another size."""

    def over(self, n_threads):
        """The same rows for another number of threads."""
        rows = copy(self)
        rows.n_threads = n_threads
        return rows

    @abstractmethod
    def n_side_by_side(self, n_runs):
        """How many of several runs over the rows go on at the same time."""


class MemoryRows(Rows):
    """Rows in memory or in a memory map, over threads.

    They are cut into chunks, and the chunks into a fixed number of blocks. Threads take
    whole blocks, and block sums are added in order: the result does not depend on how
    many threads there are, and only a few partial sums exist at any time.

    Parameters
    ----------
    data : object with `shape` and `dtype`, and chunks by slices or indices
    sample_weight : ndarray of shape (n_samples,) or None
    batch_size : int
        Most rows in a chunk.
    n_threads : int
    workspaces : threading.local, default=None
        What holds the workspace of a thread beyond a pass.
    """

    def __init__(
        self, data, sample_weight=None, *, batch_size, n_threads=1, workspaces=None
    ):
        self.data, self.sample_weight, self.weight_unit = data, sample_weight, 1.0
        self.shape, self.dtype = data.shape, data.dtype
        n = data.shape[0]
        self.total_weight = n if sample_weight is None else sample_weight.sum()
        if sample_weight is not None and not 1e-6 < sample_weight.max() < 1e6:
            # Products with float32 must not vanish or overflow; 2^m rounds nothing.
            self.weight_unit = np.exp2(np.round(np.log2(sample_weight.max())))
            self.sample_weight = sample_weight / self.weight_unit
        self.n_threads = n_threads
        self.stop = threading.Event()  # shared by the copies: no chunk more
        self._pool, self._local = None, workspaces
        self._cut(batch_size)

    def _cut(self, batch_size):
        n = self.shape[0]
        n_chunks = -(-n // batch_size)
        if n_chunks > 1:  # a multiple of four, which threads can share evenly
            n_chunks += -n_chunks % 4
        size = -(-n // n_chunks)
        chunks = [slice(start, min(start + size, n)) for start in range(0, n, size)]
        n_blocks = min(len(chunks), MAX_BLOCKS)
        ends = [i * len(chunks) // n_blocks for i in range(n_blocks + 1)]
        self._blocks = [chunks[a:b] for a, b in pairwise(ends)]

    def of_size(self, batch_size):
        return self.stored_as(self.data, self.sample_weight, batch_size)

    def stored_as(self, data, sample_weight, batch_size):
        """The same rows in another form; weights are in this one's units."""
        rows = copy(self)
        rows.data, rows.sample_weight = data, sample_weight
        rows.shape, rows.dtype = data.shape, data.dtype
        rows._cut(batch_size)
        return rows

    def n_side_by_side(self, n_runs):
        return min(self.n_threads, n_runs)

    def __enter__(self):
        self.open(min(self.n_threads, len(self._blocks)))
        return self

    def open(self, n_threads):
        """Begin to keep threads, and their workspaces, until the block is left."""
        if n_threads > 1:
            self._local = threading.local()
            self._pool = ThreadPoolExecutor(n_threads)
        else:
            self._local = _Local()

    def __exit__(self, kind, *exc):
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        if interrupted:
            self.stop.set()
        if self._pool is not None:
            # After Ctrl-C nobody waits for the chunks at work.
            self._pool.shutdown(wait=not interrupted, cancel_futures=True)
        self._pool, self._local = None, None

    def _over_blocks(self, function):
        """`function(block, workspace)` for each block, in order, as they are done."""
        local = self._local or _Local()

        def call(block):
            if not hasattr(local, "workspace"):
                local.workspace = Workspace()
            return function(block, local.workspace)

        run = map if self._pool is None else self._pool.map
        return run(call, self._blocks)

    def _check_running(self):
        if self.stop.is_set():
            raise InterruptedError("The fit has failed or was interrupted elsewhere.")

    def sum(self, function, add=np.add):
        def block_sum(block, workspace):
            sums = None
            for rows in block:
                self._check_running()
                w = None if self.sample_weight is None else self.sample_weight[rows]
                sums = added(sums, function(self.data[rows], w, workspace), add)
            return sums

        sums = None
        for terms in self._over_blocks(block_sum):
            sums = added(sums, terms, add)
        return sums

    def map(self, function):
        """`function(X, workspace)`, an array with a row for each of X, of all rows."""

        def block_map(block, workspace):
            parts = []
            for rows in block:
                self._check_running()
                # A copy, as what is returned may lie in the workspace.
                parts.append(np.array(function(self.data[rows], workspace)))
            return parts

        out = None
        for block, parts in zip(
            self._blocks, self._over_blocks(block_map), strict=True
        ):
            if out is None:
                out = np.empty((self.shape[0], *parts[0].shape[1:]), parts[0].dtype)
            for rows, part in zip(block, parts, strict=True):
                out[rows] = part
        return out

    def take(self, indices):
        """These rows, as one chunk."""
        return self.data[indices]


class _Local:
    """What `threading.local` is where there is one thread."""


def added(sums, terms, add):
    """Elementwise sum of two tuples; None is the empty sum."""
    if sums is None:
        return terms
    adders = add if isinstance(add, tuple) else (add,) * len(terms)
    return tuple(f(a, b) for f, a, b in zip(adders, sums, terms, strict=True))


def chunk_size(row_size, dtype):
    """Rows of `row_size` numbers that fit a processor's cache."""
    n_bytes = row_size * np.dtype(dtype).itemsize
    return int(np.clip(CHUNK_BYTES // n_bytes, 128, MAX_CHUNK))


def is_memory_map(X):
    """Whether the memory of X is a file's."""
    while isinstance(X, np.ndarray):
        if isinstance(X, np.memmap):
            return True
        X = X.base
    return False


class ConvertedRows:
    """Chunks of an array in another precision; it is never converted as a whole."""

    def __init__(self, X, dtype):
        self.X, self.shape, self.dtype = X, X.shape, dtype

    def __getitem__(self, rows):
        return self.X[rows].astype(self.dtype, copy=False)


def effective_n_threads(n_jobs, n_blas):
    """Threads that `n_jobs` allows; None is as many as a matrix product may use."""
    if n_jobs is None:
        return n_blas
    return max(1, cpu_count() + 1 + n_jobs) if n_jobs < 0 else n_jobs


def over_threads(function, items, n_threads, stop):
    """The results of `function(number, item)`, by threads.

    An error, Ctrl-C among them, sets `stop`, which is that of the rows: the other calls
    end at their next chunk, for which nobody waits. Threads of our own: joblib's, as
    scikit-learn wraps them, may leave the process's warning filters changed.
    """
    pool = ThreadPoolExecutor(n_threads)
    try:
        futures = [pool.submit(function, *pair) for pair in enumerate(items)]
        return [future.result() for future in futures]
    except BaseException:
        stop.set()
        raise
    finally:
        pool.shutdown(wait=not stop.is_set(), cancel_futures=True)


class _Blas:
    """The number of BLAS's threads, a setting of the process, and its users."""

    def __init__(self):
        self.lock = threading.Lock()
        self.n_users = 0
        self.n_threads = 1
        self.limit = None
        self.libraries = None

    def acquire(self):
        with self.lock:
            self.n_users += 1
            if self.n_users == 1:
                if self.libraries is None:
                    self.libraries = ThreadpoolController().select(user_api="blas")
                libraries = self.libraries.lib_controllers
                self.n_threads = max([x.num_threads for x in libraries], default=1)
                self.limit = self.libraries.limit(limits=1)
            return self.n_threads

    def release(self):
        with self.lock:
            if self.n_users == 1:
                self.limit.restore_original_limits()
            self.n_users = max(
                0, self.n_users - 1
            )  # 0 already in a process just forked

    def after_fork(self):
        """The threads that held the lock and the setting are not in the new process."""
        self.lock = threading.Lock()
        if self.n_users:
            self.n_users = 0
            self.limit.restore_original_limits()


_blas = _Blas()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_blas.after_fork)


@contextmanager
def single_threaded_blas():
    """Let our threads run, not those of BLAS; what was set comes back at the end.

    The setting belongs to the process, so the first of several concurrent users changes
    it and the last one restores it. Yields the number of threads that BLAS had.
    """
    n_threads = _blas.acquire()
    try:
        yield n_threads
    finally:
        _blas.release()
