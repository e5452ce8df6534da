"""Time of one pass over rows that a function makes, and how it grows with their number.

Rows of 16 features in single precision from 16 clusters of unequal size and width; K =
16, diagonal. A pass over 1,000,000,000 rows is extrapolated from the two longest. The
peer is the function alone: what it takes to make the rows that nobody looks at.
"""

import time

import numpy as np
from _report import print_header, print_machine, print_row
from _sources_memory import Peak

CHUNK = 200_000


def add_arguments(parser):
    parser.add_argument(
        "--rows", type=int, nargs="*", default=[5_000_000, 20_000_000, 50_000_000]
    )
    parser.add_argument("--threads", type=int, default=2)


def chunks(n_rows):
    centres = np.random.default_rng(0).normal(scale=3, size=(16, 16)).astype("f4")
    scales = np.geomspace(0.1, 3, 16).astype("f4")[:, np.newaxis]
    sizes = np.arange(1, 17) / 136
    for seed in range(n_rows // CHUNK):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((CHUNK, 16), dtype="f4")
        # In the order of the clusters: of a sum the order is free.
        ends = np.cumsum(rng.multinomial(CHUNK, sizes))
        for k, x in enumerate(np.split(X, ends[:-1])):
            x *= scales[k]
            x += centres[k]
        yield X


def run(arguments):
    from sklvm import GaussianMixtureEM

    print_machine(arguments.threads)
    print_header("rows", "rows alone, s", "a pass, s", "peak, MB")
    measured = []
    for n_rows in arguments.rows:
        start = time.perf_counter()
        for _ in chunks(n_rows):
            pass
        alone = time.perf_counter() - start
        seconds, est = [], None
        peak = Peak()
        peak.start()
        for n_iter in (1, 3):  # the start takes a few passes of its own
            est = GaussianMixtureEM(
                16, covariance_type="diag", max_iter=n_iter, tol=0, random_state=0,
                n_jobs=arguments.threads,
            )  # fmt: skip
            start = time.perf_counter()
            est.fit(lambda n=n_rows: chunks(n))
            seconds.append(time.perf_counter() - start)
        peak.over.set()
        peak.join()
        a_pass = (seconds[1] - seconds[0]) / 2
        measured.append((n_rows, a_pass))
        print_row(f"{n_rows:,}", f"{alone:.1f}", f"{a_pass:.1f}", f"{peak.most:.0f}")
    (n, s), (m, t) = measured[-2:]
    minutes = (t + (t - s) / (m - n) * (1e9 - m)) / 60
    print(f"\nA pass over 1,000,000,000 rows, extrapolated: {minutes:.1f} minutes.")
