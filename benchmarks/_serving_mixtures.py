"""One row through mixtures and through scikit-learn's GaussianMixture.

Gaussian mixtures and scikit-learn's have the same parameters. Other families stand
beside a Gaussian mixture with diagonal covariances and as many columns and components,
as scikit-learn has no such mixtures.
"""

import warnings
from functools import partial

import numpy as np
import pandas as pd
from _report import print_header, print_machine, print_row
from _serving_time import add_arguments, medians, text
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

import sklvm

__all__ = ["add_arguments", "run"]
SIZES = (4, 3), (16, 8), (64, 16)
METHODS = "predict", "predict_proba", "score_samples", "score"
N_ROWS = 1000


def gaussian_rows(rng, d, k):
    labels = rng.integers(k, size=N_ROWS)
    return 3 * rng.normal(size=(k, d))[labels] + rng.normal(size=(N_ROWS, d))


def gaussian(covariance_type, d, k, dtype=np.float64):
    """A mixture of ours, scikit-learn's of the same parameters, and rows."""
    X = gaussian_rows(np.random.default_rng(0), d, k).astype(dtype)
    model = sklvm.GaussianMixtureEM(
        k, covariance_type=covariance_type, max_iter=20, random_state=0
    ).fit(X)
    return model, model.to_sklearn(), X


def peer(d, k):
    return gaussian("diag", d, k)[1:]


def counts(d, k):
    rng = np.random.default_rng(0)
    return rng.poisson(rng.gamma(2, 2, size=(k, d))[rng.integers(k, size=N_ROWS)])


def mixed_table(d, k):
    """A quarter of the columns each real, counts, flags and categories."""
    X, q = gaussian_rows(np.random.default_rng(0), d, k), d // 4
    columns = {f"real{j}": X[:, j] for j in range(q)}
    columns |= {f"count{j}": np.round(np.exp(X[:, q + j] / 4)) for j in range(q)}
    columns |= {f"flag{j}": X[:, 2 * q + j] > 0 for j in range(q)}
    for j in range(q):
        cells = np.digitize(X[:, 3 * q + j], [-2, 2])
        columns[f"word{j}"] = np.array(["low", "middle", "high"])[cells]
    return pd.DataFrame(columns)


def others(d, k):
    """Fitted mixtures without a peer of the same family, and one row for each."""
    X = counts(d, k)
    fit = {"n_components": k, "max_iter": 20, "random_state": 0}
    flags, codes = (X > 2).astype(float), np.minimum(X, 3)
    yield "Bernoulli", sklvm.BernoulliMixtureEM(**fit).fit(flags), flags[:1]
    yield "Poisson", sklvm.PoissonMixtureEM(**fit).fit(X), X[:1].astype(float)
    yield "Categorical", sklvm.CategoricalMixtureEM(**fit).fit(codes), codes[:1]
    table = mixed_table(d, k)
    yield "MixtureEM, DataFrame", sklvm.MixtureEM(**fit).fit(table), table[:1]


def compare(name, size, ours, row, theirs, their_row, n_calls):
    """One line of the table: times of ours, and their ratios to the peer's."""
    cells = []
    for method in METHODS:
        one = partial(getattr(ours, method), row)
        two = partial(getattr(theirs, method), their_row)
        mine, other = medians([one, two], n_calls)
        cells.append(f"{text(mine)} / {text(other)} ({mine / other:.2f})")
    print_row(name, *size, *cells)


def run(arguments):
    warnings.simplefilter("ignore")
    with threadpool_limits(arguments.threads):
        print_machine(arguments.threads)
        print("Microseconds for one row: ours / scikit-learn's (ratio).\n")
        print_header("mixture", "d", "K", *METHODS)
        for size in SIZES:
            gaussians(size, arguments.calls)
            theirs, their_X = peer(*size)
            for name, ours, row in others(*size):
                compare(name, size, ours, row, theirs, their_X[:1], arguments.calls)


def gaussians(size, n_calls):
    for kind in ("full", "tied", "diag", "spherical"):
        ours, theirs, X = gaussian(kind, *size)
        compare(kind, size, ours, X[:1], theirs, X[:1], n_calls)
    ours, theirs, X = gaussian("full", *size, np.float32)
    compare("full, float32", size, ours, X[:1], theirs, X[:1], n_calls)
    frame = pd.DataFrame(gaussian("full", *size)[2]).rename(columns=str)
    ours = sklvm.GaussianMixtureEM(size[1], max_iter=20, random_state=0).fit(frame)
    theirs = GaussianMixture(size[1], max_iter=20, random_state=0).fit(frame)
    compare("full, DataFrame", size, ours, frame[:1], theirs, frame[:1], n_calls)
