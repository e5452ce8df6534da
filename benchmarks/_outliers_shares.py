"""Which share of rows with 0, 1 and 2 missing cells is flagged at equal contamination?

Cells are taken away at random, so that the rows of the three groups are alike and each
should be flagged equally often. Beside the detector stand the same model's log density,
by the same quantile, and scikit-learn's IsolationForest.
"""

import numpy as np
from _report import print_header, print_machine, print_row
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import IsolationForest
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sklvm import CategoricalMixtureEM, DensityOutlierDetector, GaussianMixtureEM


def add_arguments(parser):
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--contamination", type=float, nargs="+", default=[0.05, 0.1])


def tables():
    """(name, X, model), each with the number of components that is generated, or 1."""
    loaders = (load_breast_cancer, load_wine, load_diabetes)
    for loader in loaders:
        X = StandardScaler().fit_transform(loader().data)
        yield (
            loader.__name__.removeprefix("load_"),
            X,
            GaussianMixtureEM(random_state=0),
        )
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=1000)
    X = rng.normal(scale=2, size=(3, 8))[labels] + rng.normal(size=(1000, 8))
    yield "3 Gaussians", X, GaussianMixtureEM(3, random_state=0)
    theta = rng.dirichlet(np.ones(4), size=(3, 10)).cumsum(axis=2)
    X = (rng.random((1000, 10, 1)) > theta[labels]).sum(axis=2).astype(float)
    model = CategoricalMixtureEM(3, theta_prior=1.5, random_state=0)
    yield "3 classes of answers", X, model


def with_missing(X, rng):
    """A copy whose rows lack 0, 1 or 2 cells, and how many each lacks."""
    X, missing = X.copy(), rng.integers(3, size=len(X))
    for row, n in zip(X, missing, strict=True):
        row[rng.choice(X.shape[1], size=n, replace=False)] = np.nan
    return X, missing


def flagged(X, model, contamination, seed):
    """{method: which rows are flagged}."""
    detector = DensityOutlierDetector(model, contamination=contamination).fit(X)
    log_density = detector.estimator_.score_samples(X)
    forest = IsolationForest(contamination=contamination, random_state=seed)
    return {
        "detector": detector.predict(X) < 0,
        "log density": log_density < np.quantile(log_density, contamination),
        "isolation forest": forest.fit_predict(X) < 0,
    }


def run(arguments):
    print_machine(arguments.threads)
    methods = ("detector", "log density", "isolation forest")
    print_header("table", "contamination", *(f"{m}, %: 0 / 1 / 2" for m in methods))
    with threadpool_limits(limits=arguments.threads):
        for name, X, model in tables():
            for contamination in arguments.contamination:
                shares = {method: [] for method in methods}
                for seed in range(arguments.seeds):
                    rows, missing = with_missing(X, np.random.default_rng(seed))
                    for method, who in flagged(
                        rows, model, contamination, seed
                    ).items():
                        groups = [who[missing == n].mean() for n in range(3)]
                        shares[method].append(groups)
                size = f"{len(X)} x {X.shape[1]}"
                cells = [_cell(shares[method]) for method in methods]
                print_row(f"{name}, {size}", contamination, *cells)


def _cell(shares):
    """Mean shares, and the largest over the smallest."""
    mean = np.mean(shares, axis=0)
    ratio = mean.max() / mean.min() if mean.min() > 0 else np.inf
    return " / ".join(f"{100 * m:.1f}" for m in mean) + f" ({ratio:.1f})"
