"""Sums of statistics over chunks of rows. Knows no model and no loop.

The rows are cut into chunks, and the chunks into a fixed number of blocks. Threads take
whole blocks, and block sums are added in order: the result does not depend on how many
threads there are, and only a few partial sums exist at any time.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise

import numpy as np
from joblib import cpu_count
from threadpoolctl import ThreadpoolController

MAX_BLOCKS = 32


class Workspace:
    """Arrays that are used again from chunk to chunk, by name.

    A fresh megabyte a chunk costs more in page faults than the arithmetic on it.
    """

    def __init__(self):
        self._buffers = {}

    def array(self, name, shape, dtype):
        """Uninitialised array of `shape`, over the memory last used for `name`."""
        size = int(np.prod(shape))
        buffer = self._buffers.get((name, dtype))
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name, dtype] = np.empty(size, dtype)
        return buffer[:size].reshape(shape)


def add(sums, terms):
    """Elementwise sum of two tuples of arrays; None is the empty sum."""
    return terms if sums is None else tuple(map(np.add, sums, terms))


class Reducer:
    """Adds up a function of chunks of rows, over threads.

    Parameters
    ----------
    n_rows : int
    batch_size : int
        Most rows in a chunk.
    n_threads : int
    """

    def __init__(self, n_rows, batch_size, n_threads):
        n_chunks = -(-n_rows // batch_size)
        if n_chunks > 1:  # a multiple of four, which threads can share evenly
            n_chunks += -n_chunks % 4
        size = -(-n_rows // n_chunks)
        starts = range(0, n_rows, size)
        chunks = [slice(start, min(start + size, n_rows)) for start in starts]
        n_blocks = min(len(chunks), MAX_BLOCKS)
        ends = [i * len(chunks) // n_blocks for i in range(n_blocks + 1)]
        self.blocks = [chunks[a:b] for a, b in pairwise(ends)]
        self._local = threading.local()
        self._pool = None
        if min(n_threads, n_blocks) > 1:
            self._pool = ThreadPoolExecutor(min(n_threads, n_blocks))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _block_sum(self, function, block):
        if not hasattr(self._local, "workspace"):
            self._local.workspace = Workspace()
        sums = None
        for rows in block:
            sums = add(sums, function(rows, self._local.workspace))
        return sums

    def sum(self, function):
        """Sum of the tuples `function(rows, workspace)` over all chunks `rows`."""
        run = map if self._pool is None else self._pool.map
        sums = None
        for terms in run(lambda block: self._block_sum(function, block), self.blocks):
            sums = add(sums, terms)
        return sums


@lru_cache(maxsize=1)
def _blas():
    return ThreadpoolController().select(user_api="blas")


def effective_n_threads(n_jobs, n_blas):
    """Threads that `n_jobs` allows; None is as many as a matrix product may use."""
    if n_jobs is None:
        return n_blas
    return max(1, cpu_count() + 1 + n_jobs) if n_jobs < 0 else n_jobs


_lock = threading.Lock()
_n_users = 0
_n_blas = 1
_limit = None


@contextmanager
def single_threaded_blas():
    """Let our threads run, not those of BLAS; what was set comes back at the end.

    The setting belongs to the process, so the first of several concurrent users changes
    it and the last one restores it. Yields the number of threads that BLAS had.
    """
    global _n_users, _n_blas, _limit
    with _lock:
        _n_users += 1
        if _n_users == 1:
            blas = _blas()
            _n_blas = max([lib.num_threads for lib in blas.lib_controllers], default=1)
            _limit = blas.limit(limits=1)
    try:
        yield _n_blas
    finally:
        with _lock:
            _n_users -= 1
            if _n_users == 0:
                _limit.restore_original_limits()
