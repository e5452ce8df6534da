"""Pieces of work on the CPU side by side, each on one thread."""

import ctypes
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
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

    The others have theirs. In a process that was forked, where those of OpenMP are not,
    what asks for one alone is computed; more of them would be waited for without end.
    """
    # At its first use in a thread torch sets the numbers itself.
    torch.get_num_threads()
    ends = ExitStack()
    ends.enter_context(_openmp().limit(limits=1))
    # MKL, by which torch multiplies matrices, has a number of its own in each thread.
    set_local = _mkl_set_num_threads_local()
    if set_local is not None:
        ends.callback(set_local, set_local(1))
    return ends


@cache
def _openmp():
    """The threads of torch, whose number every thread has for itself."""
    return ThreadpoolController().select(user_api="openmp")


@cache
def _mkl_set_num_threads_local():
    """What sets the number in the calling thread, and returns the one before, or None.

    threadpoolctl sees no MKL that is linked into torch, and of others it sets the
    number of the process.
    """
    try:
        return ctypes.CDLL(torch._C.__file__).MKL_Set_Num_Threads_Local
    except (OSError, AttributeError):
        return None  # torch has been built without MKL, or hides it
