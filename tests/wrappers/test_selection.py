"""The number of components by BIC, ICL and held-out score."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklvm import (
    BernoulliMixtureEM,
    CategoricalMixtureEM,
    GaussianMixtureEM,
    MixtureEM,
    PoissonMixtureEM,
    select_n_components,
)

from ..mixture.families import blobs
from ..mixture.test_summary import table

X = blobs(300)
MODEL = GaussianMixtureEM(
    covariance_type="spherical", max_iter=500, n_init=2, random_state=0
)
CRITERIA = ["bic", "icl", "score"]


@pytest.mark.slow
@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("scaled", [False, True])
def test_three_clusters_are_found(criterion, scaled):
    model = make_pipeline(StandardScaler(), MODEL) if scaled else MODEL
    selection = select_n_components(model, X, range(1, 5), criterion, random_state=0)
    assert selection.best_n_components == 3
    assert selection.criterion == criterion
    best = selection.best_estimator
    mixture = best[-1] if scaled else best
    assert len(mixture.weights_) == 3
    expected = clone(model).set_params(**{selection.display.param_name: 3}).fit(X)
    assert_allclose(best.score_samples(X), expected.score_samples(X))
    assert not hasattr(MODEL, "weights_")
    assert MODEL.n_components == 1


@pytest.mark.slow
def test_a_table_of_mixed_columns():
    model = MixtureEM(n_init=2, random_state=0)
    selection = select_n_components(model, table(), [2, 3, 4])
    assert selection.best_n_components == 3
    assert repr(selection) == (
        "ComponentSelection(best_n_components=3, best_estimator="
        f"{selection.best_estimator!r}, criterion='bic')"
    )


def test_criteria_are_those_of_fits_to_all_rows():
    results = select_n_components(MODEL, X, [3, 1, 1]).results
    assert_array_equal(results["n_components"], [1, 3])
    fits = [clone(MODEL).set_params(n_components=k).fit(X) for k in (1, 3)]
    assert_allclose(results["bic"], [fit.bic(X) for fit in fits])
    assert_allclose(results["icl"], [fit.icl(X) for fit in fits])


@pytest.mark.slow
def test_the_one_standard_error_rule():
    cv = KFold(4, shuffle=True, random_state=3)
    selection = select_n_components(MODEL, X, range(1, 5), "score", cv=cv)
    scores = np.array(
        [
            cross_val_score(clone(MODEL).set_params(n_components=k), X, cv=cv)
            for k in range(1, 5)
        ]
    )
    results = selection.results
    mean, highest = scores.mean(axis=1), scores.mean(axis=1).argmax()
    assert_allclose(results["mean_test_score"], mean)
    assert_allclose(results["standard_error"], scores.std(axis=1, ddof=1) / 2)
    differences = scores[highest] - scores
    assert_allclose(results["difference"], differences.mean(axis=1), atol=1e-12)
    assert_allclose(results["difference_error"], differences.std(axis=1, ddof=1) / 2)
    assert_array_equal(
        results["split2_test_score"], selection.display.test_scores[:, 2]
    )
    within = mean >= mean[highest] - results["standard_error"][highest]
    assert selection.best_n_components == 1 + np.flatnonzero(within)[0]


@pytest.mark.slow
def test_seeds_and_jobs():
    model = clone(MODEL).set_params(random_state=None)
    first, second, parallel = (
        select_n_components(model, X, [2, 3], "score", random_state=1, n_jobs=n_jobs)
        for n_jobs in (None, None, 2)
    )
    for other in (second, parallel):
        for name, values in first.results.items():
            assert_array_equal(values, other.results[name])
    assert first.best_estimator.random_state is not None
    own = select_n_components(MODEL, X, [2], random_state=1).best_estimator
    assert own.random_state == 0


def test_a_single_split_has_no_error():
    fold = [(np.arange(200), np.arange(200, 300))]
    selection = select_n_components(MODEL, X, [1, 3], "score", cv=fold)
    assert_array_equal(selection.results["standard_error"], 0)
    assert selection.best_n_components == 3


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_picture(criterion):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    selection = select_n_components(MODEL, X, [2, 3, 4], criterion)
    assert not plt.get_fignums()
    _, ax = plt.subplots()
    display = selection.plot(ax=ax)
    assert display.ax_ is ax
    assert any(list(line.get_xdata()) == [3, 3] for line in ax.lines)
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    wanted = ["held-out score"] if criterion == "score" else ["-BIC / 2n", "-ICL / 2n"]
    assert legend == wanted
    plt.close("all")


def test_all_families():
    rng = np.random.default_rng(0)
    counts = rng.poisson(3, size=(60, 3))
    for model, data in [
        (BernoulliMixtureEM(theta_prior=(1.1, 1.1), random_state=0), counts % 2),
        (CategoricalMixtureEM(theta_prior=1.1, random_state=0), counts % 3),
        (PoissonMixtureEM(random_state=0), counts),
    ]:
        selection = select_n_components(model, data, [1, 2], "score", cv=2)
        assert type(selection.best_estimator) is type(model)


# What goes wrong is told in one sentence.


def test_a_fold_that_fails():
    """A category that only the held-out rows have."""
    rng = np.random.default_rng(0)
    data = np.array(
        [[rng.normal(), "ab"[rng.integers(2)]] for _ in range(60)], dtype=object
    )
    data[0, 1] = "rare"
    model = MixtureEM(random_state=0, max_iter=500)
    with pytest.raises(ValueError, match="all fits"):
        select_n_components(Faulty(at=(1, 2)), X, [1, 2], "score", cv=2)
    with pytest.warns(UserWarning, match="2 of 4 fits failed.*n_components=2") as told:
        selection = select_n_components(Faulty(at=(2,)), X, [1, 2], "score", cv=2)
    assert len(told) == 1
    assert told[0].filename == __file__
    assert selection.best_n_components == 1
    cv = [(np.arange(30, 60), np.arange(30))]
    with pytest.raises(ValueError, match=r"'rare'.*handle_unknown"):
        select_n_components(model, data, [1], "score", cv=cv)


class Faulty(GaussianMixtureEM):
    """Fails at some numbers of components."""

    def __init__(self, n_components=1, *, at=(), random_state=0):
        super().__init__(n_components, random_state=random_state)
        self.at = at

    def fit(self, X, y=None):
        if self.n_components in self.at:
            raise ValueError("all fits of this number fail.")
        return super().fit(X)


def test_rows_of_probability_0():
    """By maximum likelihood, as a fold lacks the ones of a column."""
    rng = np.random.default_rng(0)
    data = rng.integers(2, size=(60, 4))
    data[:, 3] = np.arange(60) < 3
    model = BernoulliMixtureEM(random_state=0)
    cv = KFold(2)
    with (
        pytest.warns(UserWarning, match="probability 0") as told,
        pytest.raises(ValueError, match="rows of probability 0"),
    ):
        select_n_components(model, data, [1, 2], "score", cv=cv)
    assert len(told) == 1
    prior = clone(model).set_params(theta_prior=(1.1, 1.1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        select_n_components(prior, data, [1, 2], "score", cv=cv)


def test_one_warning_of_all_that_did_not_converge():
    model = clone(MODEL).set_params(max_iter=1, tol=0)
    with pytest.warns(ConvergenceWarning) as told:
        select_n_components(model, X, [2, 3])
    assert len(told) == 1
    assert "n_components=[2, 3]" in str(told[0].message)
    assert told[0].filename == __file__


def test_other_warnings_of_the_chosen_one():
    data = np.random.default_rng(0).uniform(size=(200, 2)) * 1e-5
    model = GaussianMixtureEM(random_state=0, max_iter=500)
    with pytest.warns(UserWarning, match="reg_covar"):
        select_n_components(model, data, [1])


@pytest.mark.parametrize("values", [[], [0, 1], [1.5], [True], ["2"], 4, None])
def test_ranges(values):
    with pytest.raises(ValueError, match=r"param_range=.*range\(1, 9\)"):
        select_n_components(MODEL, X, values)


def test_bad_input():
    with pytest.raises(ValueError, match="criterion='aic'"):
        select_n_components(MODEL, X, [1], "aic")
    with pytest.raises(TypeError, match="KMeans is no mixture"):
        select_n_components(KMeans(), X, [1])
    with pytest.raises(TypeError, match="KMeans is no mixture"):
        select_n_components(make_pipeline(StandardScaler(), KMeans()), X, [1])
    with pytest.raises(ValueError, match="n_splits"):
        select_n_components(MODEL, X, [1], "score", cv=1)
    with pytest.raises(ValueError, match="n_init"):
        select_n_components(clone(MODEL).set_params(n_init=0), X, [1])


def test_a_category_that_a_fold_lacks_is_told_with_its_remedy():
    """Every number fails in the same fold, so that none is left."""
    X = pd.DataFrame({"size": np.arange(60.0) % 7, "plan": ["a", "b"] * 30})
    X["size"] += np.random.default_rng(0).normal(size=60)
    X.loc[3, "plan"] = "rare"
    model = MixtureEM(random_state=0)
    with (
        pytest.warns(UserWarning, match="fits failed"),
        pytest.raises(ValueError, match=r"'rare'.*'plan'.*handle_unknown='missing'"),
    ):
        select_n_components(model, X, [1, 2], "score", random_state=0)
    model.set_params(handle_unknown="missing")
    selection = select_n_components(model, X, [1, 2], "score", random_state=0)
    assert np.isfinite(selection.results["mean_test_score"]).all()


def test_a_boolean_that_is_constant_in_a_fold_is_no_failure():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"size": rng.normal(size=60), "flag": np.arange(60) == 3})
    selection = select_n_components(
        MixtureEM(random_state=0), X, [1, 2], "score", random_state=0
    )
    assert np.isfinite(selection.results["mean_test_score"]).all()


def test_fits_that_would_share_a_checkpoint():
    """Some failed and were left out, as the file was that of another fit."""
    est = GaussianMixtureEM(checkpoint="fit.ckpt")
    with pytest.raises(ValueError, match=r"'fit\.ckpt' of the estimator is one file"):
        select_n_components(est, np.eye(9), range(1, 3))


@pytest.mark.parametrize("cv", [GroupKFold(3), StratifiedKFold(3)])
def test_folds_of_groups_are_given_as_a_list(cv):
    X, groups = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30) % 3
    est = GaussianMixtureEM(random_state=0)
    with pytest.raises(ValueError, match=r"cv=.*needs more than X .*give its folds"):
        select_n_components(est, X, [1], criterion="score", cv=cv)
    folds = list(cv.split(X, groups, groups))
    found = select_n_components(est, X, [1], criterion="score", cv=folds)
    assert found.best_n_components == 1
