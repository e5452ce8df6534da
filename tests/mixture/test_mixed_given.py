"""Mixtures of mixed columns whose parameters are known."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from sklvm import MixtureEM

from .mixed import components, log_density, make, people, run

X = people(missing=0.15)
LOGGED = {"height": False, "weight": False, "spend": True}


def blocks_of(est):
    """Kinds, columns and parameters of a fitted mixture."""
    blocks = []
    for block in est.components_:
        names = set(block) - {"kind", "columns", "precisions_cholesky"}
        values = {name: block[name] for name in sorted(names)}
        if block.kind == "real":
            values["logged"] = [LOGGED[name] for name in block.columns]
        blocks.append((block.kind, block.columns, values))
    return blocks


def rebuilt(est, **params):
    return MixtureEM.from_parameters(
        est.weights_, blocks_of(est), categories=est.categories_, **params
    )


@pytest.fixture(scope="module", params=["auto", "by hand"])
def fitted(request):
    blocks = "auto" if request.param == "auto" else components()
    # A start from which five iterations leave something to find.
    return run(make(components=blocks, init_params="random"), X, 5)


def test_known_parameters_answer_as_fitted_ones(fitted):
    est = rebuilt(fitted, random_state=0)
    rows = X[list(est.feature_names_in_)]
    assert_allclose(est.score_samples(rows), fitted.score_samples(X), rtol=1e-9)
    assert_allclose(est.predict_proba(rows), fitted.predict_proba(X), atol=1e-9)
    assert_allclose(est.bic(rows), fitted.bic(X))
    filled = est.impute(rows)[list(X)].astype(object)
    pd.testing.assert_frame_equal(filled, fitted.impute(X).astype(object))
    drawn, labels = est.sample(50)
    assert list(drawn) == list(rows)
    assert est.score_samples(drawn).shape == labels.shape
    assert est.columns_ == fitted.columns_
    assert len(est.component_summary()) == len(fitted.component_summary())
    for name, labels in fitted.categories_.items():
        assert_array_equal(est.categories_[name], labels)
    assert pickle.loads(pickle.dumps(est)).score(rows) == est.score(rows)


@pytest.mark.slow
def test_the_density_is_the_product_by_hand():
    est = rebuilt(run(make(), X, 5))
    rows = X[list(est.feature_names_in_)]
    assert_allclose(est.score_samples(rows), log_density(est, rows), rtol=1e-10)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_goes_on_from_known_parameters(fitted):
    est = rebuilt(fitted, warm_start=True, max_iter=3)
    rows = X[list(est.feature_names_in_)]
    before = est.score(rows)
    assert est.fit(rows).score(rows) > before
    assert np.isfinite(est.partial_fit(rows).lower_bound_)
    again = clone(est)
    assert not hasattr(again, "weights_")
    assert again.fit(rows).columns_.keys() == est.columns_.keys()


GAUSSIAN = {"means": [[0.0], [3.0]], "covariances": [[1.0], [2.0]]}
GAUSSIAN |= {"covariance_type": "diag"}
FLAG = {"theta": [[0.1], [0.8]]}
COUNTS = {"dispersions": [[0.5], [0.0]], "means": [[2.0], [7.0]]}
PLAN = {"theta": [[[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]]}


def test_columns_by_position():
    blocks = [("bernoulli", 2, FLAG), ("gaussian", [0], GAUSSIAN)]
    blocks += [("categorical", [1], PLAN)]
    est = MixtureEM.from_parameters([0.4, 0.6], blocks, random_state=0)
    normal = np.exp(-0.5 * np.array([1, 4 / 2])) / np.sqrt(2 * np.pi * np.array([1, 2]))
    joint = [0.4, 0.6] * normal * [0.2, 0.8] * [0.9, 0.2]
    assert_allclose(est.score_samples([[1.0, 2, 0]]), np.log(joint.sum()))
    rows, _ = est.sample(20)
    assert rows.shape == (20, 3)
    assert set(rows[:, 1]) <= {0, 1, 2}
    assert est.impute([[np.nan, 1, 1]]).shape == (1, 3)
    assert est.categories_[1].tolist() == [0, 1, 2]


def test_dispersions_in_any_order():
    est = MixtureEM.from_parameters([0.5, 0.5], [("negative_binomial", 0, COUNTS)])
    rows = np.arange(2000.0)[:, np.newaxis]
    prob = np.exp(est.score_samples(rows))
    assert_allclose([prob.sum(), prob @ rows[:, 0]], [1, 4.5])


def test_categories_have_the_sort_of_their_values():
    names = {"flag": [False, True], "plan": ["gold", "free", "none"]}
    blocks = [("bernoulli", "flag", FLAG), ("categorical", ["plan"], PLAN)]
    est = MixtureEM.from_parameters(
        [0.5, 0.5], blocks, categories=names, handle_unknown="missing"
    )
    rows = pd.DataFrame({"flag": [True, None], "plan": [None, "none"]})
    log_prob = est.score_samples(rows)
    assert_allclose(np.exp(log_prob), [0.45, 0.5])
    assert est.sample(4)[0]["flag"].dtype == bool
    assert est.impute(rows)["plan"].isin(names["plan"]).all()


def gaussian(**values):
    return [("gaussian", [0], GAUSSIAN | values)]


@pytest.mark.parametrize(
    "blocks, categories, message",
    [
        ([("gaussian", [0])], None, "blocks has the entry"),
        ([("normal", [0], GAUSSIAN)], None, "kind 'normal'.*choose"),
        ([("gaussian", [0], FLAG)], None, "parameters .'theta'.*'means'"),
        ([("gaussian", [0, 1], GAUSSIAN)], None, "parameters of 1"),
        ([("real", [0], GAUSSIAN | {"logged": [True] * 2})], None, "parameters of 1"),
        (gaussian(means=[[0.0]]), None, "weights has shape .2"),
        (gaussian(covariances=[[1.0], [-1.0]]), None, "positive definite"),
        (gaussian(covariance_type="round"), None, "covariance_type='round'"),
        (gaussian(reg_covar=-1), None, "reg_covar=-1"),
        ([("bernoulli", [1], FLAG)], None, "columns .1.*positions 0, 1"),
        ([("bernoulli", [0], FLAG)] * 2, None, "each column once"),
        (
            [("bernoulli", ["a"], FLAG), ("gaussian", [0], GAUSSIAN)],
            None,
            "all by names",
        ),
        ([("bernoulli", [0], FLAG)], {1: [0, 1]}, "categories has the column 1"),
        (gaussian(), {0: [0, 1]}, "categories has the column 0"),
        ([("bernoulli", [0], FLAG)], {0: ["a"]}, "column 0; give 2 distinct"),
        ([("categorical", [0], PLAN)], {0: ["a", "a", "b"]}, "give 3 distinct"),
        ([("categorical", [0], {"theta": [[[2, 0]] * 2]})], None, "probabilities lie"),
        (
            [("negative_binomial", [0], COUNTS | {"means": [[-1], [1]]})],
            None,
            "means has the value -1",
        ),
    ],
)
def test_bad_blocks(blocks, categories, message):
    with pytest.raises(ValueError, match=message):
        MixtureEM.from_parameters([0.5, 0.5], blocks, categories=categories)
