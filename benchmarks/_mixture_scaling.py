"""Time against the number of components, the smallest of which has a dozen rows.

Both sides make the same number of iterations, in turn, from the means of the true
components. The growth is the seconds of one number of components over those of the one
before it; the peer is scikit-learn's GaussianMixture.
"""

import os
from statistics import median

import numpy as np
from _mixture_races import gaussian_score
from _mixture_speed import fit_seconds
from _report import print_header, print_machine, print_row
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from sklvm import GaussianMixtureEM

SMALLEST = 12


def unequal_components(n_rows, n_features, n_components, separation=2, seed=0):
    """Rows of Gaussians whose sizes grow evenly from `SMALLEST`; their start."""
    rng = np.random.default_rng(seed)
    sizes = np.linspace(SMALLEST, 2 * n_rows / n_components - SMALLEST, n_components)
    sizes = np.diff(np.rint(sizes.cumsum()).astype(int), prepend=0)
    means = separation * rng.standard_normal((n_components, n_features))
    X = np.repeat(means, sizes, axis=0) + rng.standard_normal((n_rows, n_features))
    start = {
        "weights_init": sizes / n_rows,
        "means_init": means,
        "precisions_init": np.tile(np.eye(n_features), (n_components, 1, 1)),
    }
    return rng.permutation(X), start


def measure(n_rows, n_features, n_components, n_iter, repeats):
    """Seconds per iteration of (ours, peer), rows of the smallest component, scores."""
    X, start = unequal_components(n_rows, n_features, n_components)
    parameters = {"n_components": n_components, "tol": 0, "max_iter": n_iter, **start}
    ours, peer = GaussianMixtureEM(**parameters), GaussianMixture(**parameters)
    seconds = [(fit_seconds(ours, X), fit_seconds(peer, X)) for _ in range(repeats)]
    per_iteration = [median(s) / n_iter for s in zip(*seconds, strict=True)]
    scores = gaussian_score(ours, X), gaussian_score(peer, X)
    return per_iteration, n_rows * ours.weights_.min(), scores


def add_arguments(parser):
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--features", type=int, default=16)
    parser.add_argument(
        "--components", type=int, nargs="+", default=[64, 128, 256, 512]
    )
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)


def run(arguments):
    shape = arguments.rows, arguments.features
    with threadpool_limits(arguments.threads):
        print_machine(arguments.threads)
        print(
            f"{shape[0]} x {shape[1]} rows, float64; seconds per iteration, "
            f"medians of {arguments.repeats} fits of {arguments.iterations} iterations "
            "in turn.\n"
        )
        print_header(
            *("K", "rows of the smallest", "ours s", "peer s", "ratio"),
            *("ours, growth", "peer, growth", "mean log p(x)", "difference"),
        )
        before = None
        for n_components in arguments.components:
            seconds, n_smallest, scores = measure(
                *shape, n_components, arguments.iterations, arguments.repeats
            )
            growth = [
                f"{now / then:.2f}"
                for now, then in zip(seconds, before or (), strict=False)
            ]
            print_row(
                n_components,
                f"{n_smallest:.0f}",
                *(f"{s:.3f}" for s in seconds),
                f"{seconds[1] / seconds[0]:.1f}",
                *(growth or ("", "")),
                f"{scores[0]:.6f}",
                f"{scores[0] - scores[1]:+.1e}",
            )
            before = seconds
