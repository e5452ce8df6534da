"""Where EM begins in tables with missing cells: clusters that are long and rotated."""

import numpy as np
import pandas as pd
import pytest

from sklvm import GaussianMixtureEM, MixtureEM, select_n_components

Z = np.repeat([0, 1], 250)


def long_clusters(ratio=10, missing=0.05, n_features=2):
    """Two parallel ones, 6 deviations apart across, in a table with missing cells."""
    rng = np.random.default_rng(7)
    X = rng.normal(size=(len(Z), n_features)) * ([ratio] + [1] * (n_features - 1))
    X[:, 1] += 6 * Z
    c, s = np.cos(0.5), np.sin(0.5)
    X[:, :2] = X[:, :2] @ [[c, s], [-s, c]]
    return np.where(rng.random(X.shape) < missing, np.nan, X)


def of_truth(X, **params):
    """The fit that begins with the two clusters."""
    own = [X[k == Z] for k in (0, 1)]
    whole = [x[~np.isnan(x).any(axis=1)] for x in own]
    precisions = [np.linalg.inv(np.cov(x.T)) for x in whole]
    return GaussianMixtureEM(
        2, means_init=[x.mean(axis=0) for x in whole], weights_init=[0.5, 0.5],
        precisions_init=precisions, **params,
    ).fit(X)  # fmt: skip


@pytest.mark.parametrize("mixture", [GaussianMixtureEM, MixtureEM])
@pytest.mark.parametrize("missing", [0.05, 0.2])
def test_long_clusters_are_found(mixture, missing):
    X = long_clusters(missing=missing)
    best = of_truth(X, max_iter=500).lower_bound_
    for seed in range(3):
        model = mixture(2, random_state=seed, max_iter=500).fit(X)
        assert model.lower_bound_ > best - 0.01
    models = mixture(random_state=0, max_iter=500)
    assert select_n_components(models, X, range(1, 5)).best_n_components == 2


def test_many_patterns_of_few_cells():
    """More than half of the rows have one of the frequent ones, which suffice."""
    X = long_clusters(n_features=10)
    best = of_truth(X, max_iter=500).lower_bound_
    assert GaussianMixtureEM(2, random_state=0).fit(X).lower_bound_ > best - 0.01


@pytest.mark.parametrize("kind", ["gaussian", "lognormal", "real"])
def test_cells_that_miss_in_another_column(kind):
    """A column of text with missing cells tells nothing of how numbers are spread."""
    X = long_clusters(missing=0) / 10
    table = pd.DataFrame(X if kind == "gaussian" else np.exp(X), columns=["a", "b"])
    model = MixtureEM(2, components=[(kind, ["a", "b"])], random_state=0).fit(table)
    table["text"] = np.where(np.arange(len(Z)) % 10, None, "yes")
    table.loc[::20, "text"] = "no"
    kinds = [(kind, ["a", "b"]), ("auto", ["text"])]
    both = MixtureEM(2, components=kinds, random_state=0).fit(table)
    of_text = np.log(2) / 10
    assert both.lower_bound_ > model.lower_bound_ - of_text - 0.01


def test_a_cluster_that_misses_a_column_is_found():
    """Its rows have a pattern of their own, which is not the most frequent one."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 3)) + 6 * Z[:, np.newaxis]
    X[:240, 2] = np.nan
    labels = GaussianMixtureEM(2, random_state=0).fit_predict(X)
    assert min(np.mean(labels == Z), np.mean(labels != Z)) < 0.01


def test_blocks_whose_frequent_patterns_are_of_other_rows():
    """Each has enough of them, and hardly a row has both."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 16)) + 4 * Z[:, np.newaxis]
    rng.shuffle(order := np.arange(500))
    for rows, columns in ((order[:250], slice(8)), (order[250:], slice(8, None))):
        gaps = rng.random((250, 8)) < 0.5
        X[rows, columns] = np.where(gaps, np.nan, X[rows, columns])
    blocks = [("gaussian", list(range(8))), ("gaussian", list(range(8, 16)))]
    labels = MixtureEM(2, components=blocks, random_state=0).fit_predict(X)
    assert min(np.mean(labels == Z), np.mean(labels != Z)) < 0.01
