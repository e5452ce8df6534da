"""AUC of outliers against scikit-learn's IsolationForest, with default settings there.

"inliers": fitted to one half of the inliers, scored on the other half and all outliers.
"both": fitted to, and scored on, all inliers and one outlier to 19 of them. Columns
are standardised. The mixture's number of components and `reg_covar` are chosen by the
held-out log density of the rows it is fitted to; labels are for the AUC only.
"""

import warnings

import numpy as np
from _report import print_header, print_machine, print_row
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sklvm import DensityOutlierDetector, GaussianMixtureEM

GRID = {"n_components": [1, 2, 3], "reg_covar": [1e-3, 1e-2, 1e-1]}


def add_arguments(parser):
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=5)


def tables():
    """(name, X, which rows are outliers), one for each class that is the inliers."""
    X, y = load_breast_cancer(return_X_y=True)
    yield "breast cancer, malignant", X, [y == 0]
    X, y = load_wine(return_X_y=True)
    yield "wine, other cultivars", X, [y != label for label in range(3)]
    X, y = load_digits(return_X_y=True)
    yield "digits, other digits", X, [y != label for label in range(10)]


def split(is_outlier, mixed, rng):
    """Rows to fit to, and rows to score."""
    inliers = rng.permutation(np.flatnonzero(~is_outlier))
    outliers = rng.permutation(np.flatnonzero(is_outlier))
    if mixed:
        rows = np.r_[inliers, outliers[: max(1, len(inliers) // 19)]]
        return rows, rows
    half = len(inliers) // 2
    return inliers[:half], np.r_[inliers[half:], outliers]


def chosen(X):
    """The mixture that predicts held-out rows of X best."""
    folds = KFold(5, shuffle=True, random_state=0)
    search = GridSearchCV(GaussianMixtureEM(random_state=0), GRID, cv=folds)
    return GaussianMixtureEM(random_state=0, **search.fit(X).best_params_)


def aucs(X, is_outlier, mixed, seed):
    """Of the detector, of it with one Gaussian, and of the forest."""
    train, test = split(is_outlier, mixed, np.random.default_rng(seed))
    scaler = StandardScaler().fit(X[train])
    X_train, X_test = scaler.transform(X[train]), scaler.transform(X[test])
    detectors = (
        DensityOutlierDetector(chosen(X_train)),
        DensityOutlierDetector(),
        IsolationForest(random_state=seed),
    )
    return [
        roc_auc_score(is_outlier[test], -d.fit(X_train).score_samples(X_test))
        for d in detectors
    ]


def run(arguments):
    print_machine(arguments.threads)
    print_header("outliers", "fitted to", "detector", "default", "isolation forest")
    with threadpool_limits(limits=arguments.threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # grids try values that do not suit the rows
        for name, X, labels in tables():
            for mixed in (False, True):
                values = [
                    aucs(X, is_outlier, mixed, seed)
                    for is_outlier in labels
                    for seed in range(arguments.seeds)
                ]
                means = [f"{value:.3f}" for value in np.mean(values, axis=0)]
                print_row(name, "both" if mixed else "inliers", *means)
