"""Pieces of work on the CPU side by side, each on one thread."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch
from threadpoolctl import ThreadpoolController
from tqdm import tqdm


def side_by_side(function, items, bar=None):
    """The results of `function(item)`, as many at a time as torch has threads.

    Small convolutions keep two threads less busy together than each by itself. And how
    some sizes are rounded depends on the number of threads, so that it is one wherever
    there is no other piece of work, too. `bar` names a progress bar.
    """
    n_threads = min(torch.get_num_threads(), len(items))
    bar = {"total": len(items), "desc": bar, "disable": bar is None}
    if n_threads < 2:
        with one_thread():
            return list(tqdm(map(function, items), **bar))
    pool, interrupted = ThreadPoolExecutor(n_threads, initializer=one_thread), False
    try:
        return list(tqdm(pool.map(function, items), **bar))
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        # After Ctrl-C nobody waits for the pieces at work.
        pool.shutdown(wait=not interrupted, cancel_futures=True)


def one_thread():
    """One for the tensors of the calling thread, up to the end of a `with` or its own.

    The others have theirs.
    """
    # At its first use in a thread torch sets the number itself.
    torch.get_num_threads()
    return _openmp().limit(limits=1)


@cache
def _openmp():
    """The threads of torch, whose number every thread has for itself."""
    return ThreadpoolController().select(user_api="openmp")
