"""Speed of EM: the same start, the same number of iterations, in turn with the peer.

Each peer is scikit-learn's GaussianMixture or StepMix. Both sides start from the same
parameters and make the same number of M-steps; whoever lands elsewhere shows in the
column "difference", mean log-likelihood of ours minus the peer's, in nats.

"peak" is the share of the machine's matrix-product peak, which is timed in the same
run with the same dtype and threads: the floating point operations that our E+M passes
need (`gaussian_flops`, `bernoulli_flops`), over the time of the whole fit.
"""

import os
import time
import warnings
from dataclasses import dataclass
from statistics import median

import numpy as np
from _data import (
    add_data_argument,
    binary_mnist,
    gaussian_mixture_sample,
    latent_class_sample,
)
from _report import print_header, print_machine, print_row
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from sklvm import BernoulliMixtureEM, GaussianMixtureEM


def gaussian_flops(n_rows, n_features, n_components, covariance_type, n_iter):
    """One product each way with the features of every row.

    They are [upper(x x^T), x, 1] for full covariances, [x^2, x, 1] for diagonal.
    T iterations are T passes of E and M and one more E for the bound at the end.
    """
    second_order = {"full": n_features * (n_features + 1) // 2, "diag": n_features}
    n_statistics = second_order[covariance_type] + n_features + 1
    return 2 * n_rows * n_statistics * n_components * (2 * n_iter + 1)


def bernoulli_flops(n_rows, n_features, n_components, n_iter):
    """As for the Gaussians, with the features [x, 1] of every row, repeated or not."""
    return 2 * n_rows * (n_features + 1) * n_components * (2 * n_iter + 1)


@dataclass
class Race:
    """One line of the table: two estimators, ready to fit the same rows."""

    name: str
    X: np.ndarray
    ours: object
    peer: object
    flops: int


def gaussian_race(n_rows, n_features, covariance_type, dtype, n_iter, n_components=16):
    X = gaussian_mixture_sample(n_rows, n_features, n_components, separation=2, seed=0)
    X = X.astype(dtype)
    parameters = {
        "n_components": n_components,
        "covariance_type": covariance_type,
        "tol": 0,
        "max_iter": n_iter,
        **gaussian_start(X, n_components, covariance_type),
    }
    return Race(
        f"{covariance_type}, {n_rows} x {n_features}, K = {n_components}, {X.dtype}",
        X,
        GaussianMixtureEM(**parameters),
        GaussianMixture(**parameters),
        gaussian_flops(n_rows, n_features, n_components, covariance_type, n_iter),
    )


def gaussian_start(X, n_components, covariance_type):
    """Equal weights, means at random rows, the variances of all rows."""
    rng = np.random.default_rng(1)
    n_features = X.shape[1]
    rows = rng.choice(len(X), size=n_components, replace=False)
    precision = np.tile(1 / X.var(axis=0), (n_components, 1))
    if covariance_type == "full":
        precision = precision[:, :, None] * np.eye(n_features, dtype=X.dtype)
    return {
        "weights_init": np.full(n_components, 1 / n_components, dtype=X.dtype),
        "means_init": X[rows],
        "precisions_init": precision.astype(X.dtype),
    }


def bernoulli_race(name, X, n_components, n_iter):
    # Rows drawn towards 1/2, so that no probability of the start is 0 or 1.
    rng = np.random.default_rng(1)
    theta = 0.25 + 0.5 * X[rng.choice(len(X), size=n_components, replace=False)]
    weights = np.full(n_components, 1 / n_components)
    return Race(
        f"binary, {name}, {len(X)} x {X.shape[1]}, K = {n_components}",
        X,
        BernoulliMixtureEM(
            n_components,
            binarize=None,
            tol=0,
            max_iter=n_iter,
            weights_init=weights,
            theta_init=theta,
        ),
        stepmix_from(weights, theta, n_iter),
        bernoulli_flops(*X.shape, n_components, n_iter),
    )


def stepmix_from(weights, theta, n_iter):
    """A StepMix that makes EM's own steps from given parameters.

    Its constructor takes no start. Its M-step lifts theta to 1e-15 or more, which on
    MNIST leads elsewhere within a few iterations, and not by EM's steps; here the floor
    is so low that it only keeps the logarithm finite. Neither costs or saves time.
    """
    from stepmix import StepMix
    from stepmix.emission.categorical import Bernoulli

    class BernoulliWithoutFloor(Bernoulli):
        def m_step(self, X, resp):
            pis = X.T @ resp
            pis /= resp.sum(axis=0, keepdims=True)
            self.parameters["pis"] = np.clip(pis, 0, 1).T

        def log_likelihood(self, X):
            pis = self.parameters["pis"].T
            log_pis, log_rest = (np.log(np.clip(p, 1e-300, 1)) for p in (pis, 1 - pis))
            return X @ log_pis + (1 - X) @ log_rest

    class StepMixFrom(StepMix):
        def _initialize_parameters(self, X, random_state):
            self.weights_ = weights.copy()
            self._mm = BernoulliWithoutFloor(
                n_components=self.n_components, random_state=random_state
            )
            self._mm.set_parameters({"pis": theta.copy()})

    return StepMixFrom(
        len(weights),
        measurement="binary",
        abs_tol=0,
        rel_tol=0,
        max_iter=n_iter,
        progress_bar=0,
    )


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
    # The final bounds would be one M-step apart: both are scored in float64 instead.
    scores = [float(side.score(race.X.astype(np.float64))) for side in sides]
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
    for dtype in (np.float64, np.float32):
        for n_rows, n_features, covariance_type in (
            (100_000, 16, "full"),
            (50_000, 32, "full"),
            (100_000, 32, "diag"),
        ):
            n_rows = int(n_rows * scale)
            yield gaussian_race(n_rows, n_features, covariance_type, dtype, n_iter)
    X = latent_class_sample(int(200_000 * scale), 12, n_components=4, seed=0)
    yield bernoulli_race("generated", X, 4, n_iter)
    X = binary_mnist(arguments.data)[0][: int(10_000 * scale)].astype(np.float64)
    yield bernoulli_race("MNIST", X, 10, n_iter)


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
