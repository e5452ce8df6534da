"""Iterations of a mixed mixture without full covariances: the same start as StepMix.

Both begin with an M-step from the same responsibilities and make the same number of
further ones. "difference" is our mean log-likelihood minus StepMix's, in nats, each
side's own.
"""

import os
import warnings
from statistics import median

import numpy as np
from _mixture_speed import fit_seconds
from _report import print_header, print_machine, print_row
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from sklvm import MixtureEM

FLAT = [
    ("gaussian", "real", {"covariance_type": "diag", "reg_covar": 1e-6}),
    ("categorical", "category", {"theta_prior": 1.0}),
    ("bernoulli", "flag", {"theta_prior": (1.0, 1.0)}),
]


def mixed_sample(n_rows, n_each, n_components, missing, seed=0, skew=1.0):
    """n_each real, 4-level and binary columns; `skew` makes the classes unequal."""
    rng = np.random.default_rng(seed)
    shares = skew ** np.arange(n_components)
    z = rng.choice(n_components, n_rows, p=shares / shares.sum())
    means = rng.normal(scale=1.5, size=(n_components, n_each))
    theta = rng.dirichlet(np.ones(4), size=(n_components, n_each))
    flags = rng.beta(1, 1, size=(n_components, n_each))
    levels = rng.random((n_rows, n_each, 1)) > theta.cumsum(axis=2)[z][:, :, :-1]
    columns = [
        rng.normal(means[z]),
        levels.sum(axis=2),
        rng.random((n_rows, n_each)) < flags[z],
    ]
    X = np.hstack(columns).astype(np.float64)
    return np.where(rng.random(X.shape) < missing, np.nan, X)


def columns_of(n_each):
    places = {"real": 0, "category": n_each, "flag": 2 * n_each}
    return [
        (kind, slice(places[name], places[name] + n_each), options)
        for kind, name, options in FLAT
    ]


def stepmix_from(resp, n_each, missing, n_iter):
    """A StepMix whose first M-step uses `resp`."""
    from stepmix import StepMix
    from stepmix.emission.build_emission import build_emission

    suffix = "_nan" if missing else ""
    descriptor = {
        "real": {"model": f"gaussian_diag{suffix}", "n_columns": n_each},
        "category": {"model": f"categorical{suffix}", "n_columns": n_each},
        "flag": {"model": f"binary{suffix}", "n_columns": n_each},
    }

    class StepMixFrom(StepMix):
        def _initialize_parameters(self, X, random_state):
            self.weights_ = resp.mean(axis=0)
            self._mm = build_emission(
                descriptor, n_components=self.n_components, random_state=random_state
            )
            self._mm.initialize(X, resp, random_state)

    return StepMixFrom(
        resp.shape[1],
        measurement=descriptor,
        abs_tol=0,
        rel_tol=0,
        max_iter=n_iter,
        progress_bar=0,
        verbose=0,
    )


def race(n_rows, n_each, n_components, missing, n_iter, repeats, **kwargs):
    X = mixed_sample(n_rows, n_each, n_components, missing, **kwargs)
    begun = MixtureEM(
        n_components,
        components=columns_of(n_each),
        tol=0,
        max_iter=0,
        warm_start=True,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        begun.fit(X)
    resp = begun.predict_proba(X)
    fitted = vars(begun).copy()
    peer = stepmix_from(resp, n_each, missing, n_iter)
    seconds = []
    for _ in range(repeats + 1):  # the first is not counted
        ours = clone(begun)
        vars(ours).update(fitted)
        ours.set_params(max_iter=n_iter + 1)
        seconds.append((fit_seconds(ours, X), fit_seconds(peer, X)))
    mine, theirs = map(median, zip(*seconds[1:], strict=True))
    scores = ours.score(X), peer.score(X)
    return mine, theirs, scores


def add_arguments(parser):
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of all row numbers")


def run(arguments):
    with threadpool_limits(arguments.threads):
        print_machine(arguments.threads, ["stepmix"])
        print_header(
            "table", "ours s", "StepMix s", "ratio", "mean log p(x)", "difference"
        )
        for name, n_rows, n_each, k, missing, skew in (
            ("even", 100_000, 4, 5, 0.0, 1.0),
            ("even, 10 % missing", 20_000, 4, 5, 0.1, 1.0),
            ("skewed, smallest class 0.4 %", 100_000, 4, 5, 0.0, 0.3),
            ("small", 1500, 4, 3, 0.0, 0.7),
            ("wide", 10_000, 30, 5, 0.0, 0.7),
        ):
            n = int(n_rows * arguments.scale)
            mine, theirs, scores = race(
                n,
                n_each,
                k,
                missing,
                arguments.iterations,
                arguments.repeats,
                skew=skew,
            )
            print_row(
                f"{name}, {n} x {3 * n_each}, K = {k}",
                f"{mine:.3f}",
                f"{theirs:.3f}",
                f"{theirs / mine:.1f}",
                f"{scores[0]:.6f}",
                f"{scores[0] - scores[1]:+.1e}",
            )
