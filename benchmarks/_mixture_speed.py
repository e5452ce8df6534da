"""Speed of EM: the same start, the same number of iterations, in turn with the peer.

Each peer is scikit-learn's GaussianMixture or StepMix. Both sides start from the same
parameters and make the same number of M-steps; whoever lands elsewhere shows in the
column "difference", mean log-likelihood of ours minus the peer's, in nats. Both are
evaluated in float64 by one function: scikit-learn's own for the Gaussians.

"peak" is the share of the machine's matrix-product peak, which is timed in the same
run with the same dtype and threads: the floating point operations that our E+M passes
need (`Race.flops`), over the time of the whole fit.
"""

import os
import time
import warnings
from statistics import median

import numpy as np
from _data import (
    add_data_argument,
    binary_mnist,
    categorical_sample,
    collinear_sample,
    gaussian_mixture_sample,
    ill_conditioned_sample,
    latent_class_sample,
    magic04,
    tiled_with_jitter,
)
from _mixture_races import bernoulli_race, categorical_race, gaussian_race
from _report import print_header, print_machine, print_row
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits


def fit_seconds(estimator, X):
    """Seconds of one fit; that it stops at max_iter is what was asked for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        start = time.perf_counter()
        estimator.fit(X)
        return time.perf_counter() - start


def peak_flops(dtype, size=2048, repeats=5):
    """Operations a second of a large square matrix product, best of `repeats`."""
    a = np.random.default_rng(0).random((size, size)).astype(dtype)
    out = np.empty_like(a)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        np.matmul(a, a, out=out)
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


def measure(race, repeats, n_iter):
    """Fit both in turn, `repeats` times after one fit each that is not counted."""
    sides = (race.ours, race.peer)
    for side in sides:
        fit_seconds(side, race.X)
        assert side.n_iter_ == n_iter, f"{side} made {side.n_iter_} iterations"
    seconds = [[fit_seconds(side, race.X) for side in sides] for _ in range(repeats)]
    ours, peer = map(median, zip(*seconds, strict=True))
    # The sides' own final bounds would be one M-step apart.
    scores = [race.score(side, race.X) for side in sides]
    peak = peak_flops(race.X.dtype)
    print_row(
        race.name,
        f"{ours:.3f}",
        f"{peer:.3f}",
        f"{peer / ours:.1f}",
        f"{scores[0]:.6f}",
        f"{scores[0] - scores[1]:+.1e}",
        f"{race.flops / ours / peak:.0%} of {peak / 1e9:.0f} GFLOP/s",
    )


def races(arguments):
    """The lines of the table, made one at a time: the rows of one are enough memory."""
    n_iter, scale = arguments.iterations, arguments.scale
    n = int(100_000 * scale)
    for dtype in (np.float64, np.float32):
        for n_rows, n_features, covariance_type in (
            (n, 16, "full"),
            (n // 2, 32, "full"),
            (n, 32, "diag"),
        ):
            X = gaussian_mixture_sample(n_rows, n_features, 16, separation=2, seed=0)
            X = X.astype(dtype)
            yield gaussian_race(covariance_type, X, 16, n_iter, covariance_type)
    for name, X, n_components, parameters in difficult_tables(n, arguments.data):
        for dtype in (np.float64, np.float32):
            # Single precision does not hold the variances of the others.
            if dtype == np.float64 or name in ("digits", "magic04"):
                yield gaussian_race(
                    f"full, {name}", X.astype(dtype), n_components, n_iter, **parameters
                )
    X = latent_class_sample(2 * n, 12, n_components=4, seed=0)
    yield bernoulli_race("generated", X, 4, n_iter)
    X = binary_mnist(arguments.data)[0][: int(10_000 * scale)].astype(np.float64)
    yield bernoulli_race("MNIST", X, 10, n_iter)
    X = categorical_sample(n, [4] * 10, n_components=4, seed=0)
    yield categorical_race("generated", X, 4, 4, n_iter)


def difficult_tables(n, folder):
    """(name, rows, K, parameters of both sides), for full covariances.

    Narrow and long components, collinear or constant columns, units far apart.
    """
    X = ill_conditioned_sample(n, 16, 16, largest_condition=1e9, seed=0)
    yield "condition up to 1e9", X, 16, {}
    X = collinear_sample(n, 16, 16, seed=0)
    yield "collinear", X, 16, {}
    # Here the residual's variance, 1e-4, is well above the default reg_covar. A smaller
    # one is not resolved in double precision: both sides would be off by 1e-5 nats.
    X = 1e3 * collinear_sample(n, 16, 16, seed=0, residual=1e-5)
    yield "collinear, resolved", X, 16, {}
    yield "breast cancer", tiled_with_jitter(load_breast_cancer().data, n), 4, {}
    # A twelfth is the variance of rounding to whole numbers.
    digits = tiled_with_jitter(load_digits().data, n)
    yield "digits", digits, 10, {"reg_covar": 1 / 12}
    yield "magic04", tiled_with_jitter(magic04(folder), n), 16, {}


def add_arguments(parser):
    add_data_argument(parser)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="of all row numbers")
    parser.add_argument("--only", default="", help="races whose name contains this")


def run(arguments):
    with threadpool_limits(arguments.threads):
        print_machine(arguments.threads)
        print(
            f"{arguments.iterations} iterations from the same start; "
            f"medians of {arguments.repeats} fits in turn.\n"
        )
        print_header(
            "race", "ours s", "peer s", "ratio", "mean log p(x)", "difference", "peak"
        )
        for race in races(arguments):
            if arguments.only in race.name:
                measure(race, arguments.repeats, arguments.iterations)
