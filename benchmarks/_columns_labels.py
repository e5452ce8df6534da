"""Few labels: the digit is a column of the table, unknown in most rows.

Half of the digits train, with 3 or 10 labels a class; balanced accuracy on the other
half, mean of the seeds. The peers see the same rows: LabelSpreading all of them,
logistic regression those with labels. The settings were chosen on training rows of
other splits, of which three tenths were held out.
"""

import warnings

import numpy as np
import torch
from _report import print_header, print_machine, print_row
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import LabelSpreading

from sklvm import GMVAE, VAE, JointDensityClassifier, MixtureEM


class Labelled:
    """Logistic regression of the rows that have labels."""

    def fit(self, X, y):
        self.model = LogisticRegression(max_iter=2000).fit(X[y >= 0], y[y >= 0])
        return self

    def predict(self, X):
        return self.model.predict(X)


class Averaged(ClassifierMixin, BaseEstimator):
    """The mean of p(y | x) over ten fits, each from a start of its own."""

    def __init__(self, mixture):
        self.mixture = mixture

    def fit(self, X, y):
        self.models_ = [
            JointDensityClassifier(clone(self.mixture).set_params(random_state=s))
            for s in range(10)
        ]
        for model in self.models_:
            model.fit(X, y)
        return self

    def predict(self, X):
        proba = sum(model.predict_proba(X) for model in self.models_)
        return self.models_[0].classes_[proba.argmax(axis=1)]


def some_labels(y, n, seed):
    rng = np.random.default_rng(seed)
    kept = [rng.choice(np.flatnonzero(y == c), n, replace=False) for c in range(10)]
    masked = np.full(len(y), -1)
    masked[np.ravel(kept)] = y[np.ravel(kept)]
    return masked


def models(seed):
    yield "LabelSpreading, 7 neighbours", LabelSpreading(kernel="knn", n_neighbors=7)
    yield "logistic regression", Labelled()
    params = {"lr": 3e-3, "random_state": seed}
    yield "VAE(16)", JointDensityClassifier(VAE(16, **params))
    yield "GMVAE(20, 10)", JointDensityClassifier(GMVAE(20, 10, **params))
    # Many components of one shape: a covariance for each would need more rows.
    tied = [("gaussian", slice(None), {"covariance_type": "tied"})]
    mixture = MixtureEM(20, components=tied, n_init=10, random_state=seed)
    yield (
        "VAE(16), 20 tied components of its codes",
        make_pipeline(VAE(16, **params), JointDensityClassifier(mixture)),
    )
    mixture = MixtureEM(50, components=tied, n_init=10, random_state=seed)
    yield (
        "PCA(20), 50 tied components of its codes",
        make_pipeline(PCA(20), JointDensityClassifier(mixture)),
    )
    yield (
        "PCA(20), the same, mean of ten fits",
        make_pipeline(PCA(20), Averaged(MixtureEM(50, components=tied))),
    )


def add_arguments(parser):
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])


def run(arguments):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print_machine(1, ["torch"])
    X, y = load_digits(return_X_y=True)
    X = X[:, X.std(axis=0) > 0.5] / 16  # pixels that hardly any digit has tell nothing
    print_header("model", "3 labels a class", "10 labels a class")
    scores = {}
    for seed in arguments.seeds:
        X_train, X_test, y_train, y_test = train_test_split(
            X, y, test_size=0.5, stratify=y, random_state=seed
        )
        for n in (3, 10):
            masked = some_labels(y_train, n, seed)
            for name, model in models(seed):
                predicted = model.fit(X_train, masked).predict(X_test)
                score = balanced_accuracy_score(y_test, predicted)
                scores.setdefault(name, {}).setdefault(n, []).append(score)
    for name, by_n in scores.items():
        print_row(name, *(f"{np.mean(by_n[n]):.3f}" for n in (3, 10)))
