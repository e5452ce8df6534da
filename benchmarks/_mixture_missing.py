"""What missing values cost: the same rows with and without gaps, full covariances.

First default fits of small tables with most values missing, in seconds of processor
time over all threads, then iterations of a large table with a few missing, in seconds.
Values are missing at random. No peer fits Gaussian mixtures to such rows.
"""

import os
import time
from statistics import median

import numpy as np
from _data import gaussian_mixture_sample
from _mixture_races import gaussian_start
from _mixture_speed import fit_seconds
from _report import print_header, print_machine, print_row
from threadpoolctl import threadpool_limits

from sklvm import GaussianMixtureEM


def with_gaps(X, share, seed=0):
    """A copy of X in which a share of the values is NaN."""
    return np.where(np.random.default_rng(seed).random(X.shape) < share, np.nan, X)


def processor_seconds(estimator, X):
    start = time.process_time()
    fit_seconds(estimator, X)
    return time.process_time() - start


def compare_fits(n_rows, n_features, n_components, share, n_seeds):
    """Default fits, medians over the random states."""
    X = gaussian_mixture_sample(n_rows, n_features, n_components, separation=2, seed=0)
    seconds, n_iter = [], []
    for rows in (X, with_gaps(X, share)):
        fits = [
            GaussianMixtureEM(n_components, random_state=seed)
            for seed in range(n_seeds)
        ]
        seconds.append(median(processor_seconds(model, rows) for model in fits))
        n_iter.append(median(model.n_iter_ for model in fits))
    return seconds, n_iter


def compare_iterations(n_rows, n_features, n_components, share, n_iter, repeats):
    """Seconds per iteration from the same start, in turn."""
    X = gaussian_mixture_sample(n_rows, n_features, n_components, separation=2, seed=0)
    start = gaussian_start(X, n_components, "full")
    model = GaussianMixtureEM(n_components, tol=0, max_iter=n_iter, **start)
    both = X, with_gaps(X, share)
    seconds = [[fit_seconds(model, rows) for rows in both] for _ in range(repeats)]
    return [median(s) / n_iter for s in zip(*seconds, strict=True)]


def add_arguments(parser):
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seeds", type=int, default=3, help="number of random states")
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the large table")


def run(arguments):
    with threadpool_limits(arguments.threads):
        print_machine(arguments.threads)
        print(f"Default fits, medians of {arguments.seeds} random states.\n")
        print_header(
            *("rows", "K", "missing", "processor s", "complete", "ratio"),
            *("iterations", "complete"),
        )
        for n_rows in (500, 3_000):
            seconds, n_iter = compare_fits(n_rows, 15, 3, 0.6, arguments.seeds)
            print_costs(f"{n_rows} x 15", 3, 0.6, seconds, n_iter[1], n_iter[0])
        print(
            f"\nSeconds per iteration, medians of {arguments.repeats} fits of "
            f"{arguments.iterations} iterations from the same start.\n"
        )
        print_header("rows", "K", "missing", "s per iteration", "complete", "ratio")
        n_rows = int(1_000_000 * arguments.scale)
        seconds = compare_iterations(
            n_rows, 8, 4, 0.05, arguments.iterations, arguments.repeats
        )
        print_costs(f"{n_rows} x 8", 4, 0.05, seconds)


def print_costs(name, n_components, share, seconds, *more):
    complete, missing = seconds
    print_row(
        name,
        n_components,
        f"{share:.0%}",
        f"{missing:.3f}",
        f"{complete:.3f}",
        f"{missing / complete:.1f}",
        *more,
    )
