"""Peak memory of fitting a memory map with full covariances.

The map is written chunk by chunk into a temporary folder. A fresh process then fits it
while a thread samples RssAnon, the memory that is the process's own and not the file's.
"""

import multiprocessing
import tempfile
import threading
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from _report import print_header, print_machine, print_row
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sklvm import GaussianMixtureEM


def write_map(path, n_rows, n_features, n_components, chunk=50_000):
    """Write float32 rows of a mixture of round Gaussians, one chunk at a time."""
    rng = np.random.default_rng(0)
    means = 3 * rng.standard_normal((n_components, n_features), dtype=np.float32)
    with open(path, "wb") as file:
        for start in range(0, n_rows, chunk):
            labels = rng.integers(n_components, size=min(chunk, n_rows - start))
            noise = rng.standard_normal((len(labels), n_features), dtype=np.float32)
            file.write((means[labels] + noise).data)


def rss_anon():
    """RssAnon of this process in MB."""
    with open("/proc/self/status") as lines:
        kilobytes = next(line.split()[1] for line in lines if "RssAnon" in line)
    return int(kilobytes) / 1000


class PeakRssAnon:
    """Highest RssAnon while the block runs, sampled every few milliseconds."""

    def __enter__(self):
        self.before = self.peak = rss_anon()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def _sample(self):
        while not self._stop.wait(0.002):
            self.peak = max(self.peak, rss_anon())

    def __exit__(self, *exception):
        self._stop.set()
        self._thread.join()


def measure(path, n_features, n_components, n_iter, threads):
    """In the fresh process: MB after the imports, peak MB, seconds, mean log p(x)."""
    X = np.memmap(path, dtype=np.float32, mode="r").reshape(-1, n_features)
    model = GaussianMixtureEM(n_components, tol=0, max_iter=n_iter, random_state=0)
    warnings.simplefilter("ignore", ConvergenceWarning)
    with threadpool_limits(threads), PeakRssAnon() as memory:
        start = time.perf_counter()
        model.fit(X)
        seconds = time.perf_counter() - start
    return memory.before, memory.peak, seconds, model.lower_bound_


def add_arguments(parser):
    parser.add_argument("--threads", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--components", type=int, default=16)
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--folder", help="where to write the map (default: temporary)")


def run(arguments):
    print_machine(arguments.threads)
    shape = arguments.rows, arguments.features
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "rows.float32"
        write_map(path, *shape, arguments.components)
        megabytes = path.stat().st_size / 1e6
        # "spawn" starts an interpreter of its own, with nothing of this one's memory.
        fresh = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=fresh) as process:
            before, peak, seconds, bound = process.submit(
                measure,
                path,
                arguments.features,
                arguments.components,
                arguments.iterations,
                arguments.threads,
            ).result()
    print_header(
        *("memory map", "map MB", "K", "iterations", "fit s", "mean log p(x)"),
        *("after imports MB", "peak MB", "peak above imports MB"),
    )
    print_row(
        f"{shape[0]} x {shape[1]}, float32",
        f"{megabytes:.0f}",
        arguments.components,
        arguments.iterations,
        f"{seconds:.1f}",
        f"{bound:.4f}",
        f"{before:.0f}",
        f"{peak:.0f}",
        f"{peak - before:.0f}",
    )
