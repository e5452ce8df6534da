"""Workers of Dask against one process, on the same rows.

4,000,000 rows of 32 features from 16 clusters of unequal size, K = 16, full; each
worker has one thread. Fits of 2 and of 12 iterations tell the time of one. "after a
kill" is a fit during which one of the two workers is killed.
"""

import os
import signal
import threading
import time
import warnings

import numpy as np
from _report import print_header, print_machine, print_row


def add_arguments(parser):
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--parts", type=int, default=16)


def part(seed, n):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(scale=2, size=(16, 32))
    z = rng.choice(16, p=np.arange(1, 17) / 136, size=n)
    return rng.normal(size=(n, 32)) * (0.3 + 0.1 * z[:, np.newaxis]) + centres[z]


def fit(X, n_iter):
    from sklvm import GaussianMixtureEM

    est = GaussianMixtureEM(16, max_iter=n_iter, tol=0, random_state=0, n_jobs=1)
    start = time.perf_counter()
    est.fit(X)
    return est, time.perf_counter() - start


def an_iteration(X):
    (_, few), (est, many) = fit(X, 2), fit(X, 12)
    return est, (many - few) / 10


def run(arguments):
    import dask
    import dask.array as da
    from distributed import Client, LocalCluster, wait

    warnings.simplefilter("ignore")
    n = arguments.rows // arguments.parts
    print_machine(1, ["dask", "distributed"])
    print_header("", "s an iteration", "speed-up", "largest difference of a mean")
    X = np.concatenate([part(seed, n) for seed in range(arguments.parts)])
    one, alone = an_iteration(X)
    del X
    print_row("one process", f"{alone:.2f}", "", "")
    make = dask.delayed(part)
    X = da.concatenate(
        [da.from_delayed(make(s, n), (n, 32), "f8") for s in range(arguments.parts)]
    )
    for n_workers in (1, 2):
        with (
            LocalCluster(
                n_workers=n_workers, threads_per_worker=1, dashboard_address=None
            ) as cluster,
            Client(cluster) as client,
        ):
            rows = client.persist(X)
            wait(rows)
            est, seconds = an_iteration(rows)
            differs = f"{abs(est.means_ - one.means_).max():.0e}"
            speed = f"{alone / seconds:.2f}"
            print_row(f"{n_workers} workers", f"{seconds:.2f}", speed, differs)
            if n_workers == 1:
                continue
            process = next(iter(client.run(os.getpid).values()))
            killer = threading.Timer(5, os.kill, (process, signal.SIGKILL))
            killer.start()
            est, _ = fit(rows, 12)
            killer.join()
            differs = f"{abs(est.means_ - one.means_).max():.0e}"
            print_row("2 workers, after a kill", "", "", differs)
