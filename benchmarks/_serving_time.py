"""Median times of short calls, all sides by turns."""

import time

import numpy as np


def add_arguments(parser):
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--calls", type=int, default=2000, help="of each method")


def medians(calls, n_calls):
    """Median microseconds of each function of `calls`; None stays None.

    They run by turns, so that what slows the machine for a while slows all of them.
    """
    times = np.empty((n_calls, len(calls)))
    for turn in range(-n_calls // 10, n_calls):  # the first tenth only warms up
        for i, call in enumerate(calls):
            if call is None:
                continue
            start = time.perf_counter_ns()
            call()
            times[turn, i] = (time.perf_counter_ns() - start) / 1000
    return [
        None if call is None else np.median(t)
        for call, t in zip(calls, times.T, strict=True)
    ]


def text(microseconds):
    return "-" if microseconds is None else f"{microseconds:.0f}"
