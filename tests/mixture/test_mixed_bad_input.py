"""Bad input to mixtures of mixed columns: one sentence, and no side effect."""

import re

import joblib
import numpy as np
import pandas as pd
import pytest

from sklvm import MixtureEM

from .mixed import KINDS, components, make, people, run

X = people(80)
FITTED = run(make(2), X, 3)


def snapshot(est):
    return {name: id(v) for name, v in vars(est).items()}, joblib.hash(vars(est))


def assert_refuses(est, message, X=X, method="fit", **kwargs):
    before = snapshot(est)
    with pytest.raises(ValueError) as error:
        getattr(est, method)(X, **kwargs)
    text = str(error.value)
    assert re.search(message, text), text
    assert text.endswith(".")
    assert text.count(". ") == 0
    assert "\n" not in text
    assert snapshot(est) == before


def with_option(kind, options):
    return [(k, c, options if k == kind else {}) for k, c, _ in components()]


def with_column(name, values):
    return X.assign(**{name: values})


@pytest.mark.parametrize(
    "method", ["predict", "score_samples", "impute", "partial_fit"]
)
@pytest.mark.parametrize(
    "name, values, message",
    [
        ("plan", "zinc", r"'zinc' in the column 'plan'.*handle_unknown='missing'"),
        ("plan", 3, "numbers in the column 'plan', for example 3.*dtype"),
        ("height", "tall", "text values in the column 'height'.*'tall'.*to_numeric"),
        ("height", np.inf, "infinite value inf in the column 'height'; give NaN"),
        ("calls", 1.5, "value 1.5 in the column 'calls'.*counts"),
        ("visits", -2, "value -2 in the column 'visits'.*counts"),
        ("spend", 0, "value 0 in the column 'spend'.*above 0"),
        ("member", 2, "value 2 in the column 'member'"),
        ("height", pd.Timestamp("2020-01-01"), "dates or times in the column 'height'"),
    ],
)
def test_columns_that_changed(method, name, values, message):
    assert_refuses(FITTED, message, with_column(name, values), method)


@pytest.mark.parametrize(
    "name, values, message",
    [
        ("plan", "gold", "single value in the column 'plan'; drop"),
        ("height", 1.0, "single value in the column 'height'; drop"),
        ("height", np.nan, "only missing values in the column 'height'; drop"),
        (
            "plan",
            [f"id {i}" for i in range(80)],
            "identifier has, in the column 'plan'",
        ),
        ("height", [[1]] * 80, "lists, dicts or arrays in its cells in the column 'he"),
    ],
)
def test_columns_that_nothing_fits(name, values, message):
    assert_refuses(MixtureEM(2), message, with_column(name, values))


def test_names_that_repeat():
    twice = pd.concat([X, X[["plan"]]], axis=1)
    assert_refuses(MixtureEM(2), "the column 'plan' more than once; give each", twice)
    assert_refuses(FITTED, "the column 'plan' more than once", twice, "predict")


@pytest.mark.parametrize("table", [X.drop(columns="plan"), X[list(KINDS)[::-1]]])
def test_columns_that_are_not_there_or_in_another_order(table):
    """scikit-learn's own words."""
    with pytest.raises(ValueError, match="feature names should match"):
        FITTED.predict(table)


@pytest.mark.parametrize(
    "kind, name, message",
    [
        ("gaussian", "plan", "text values in the column 'plan'"),
        ("poisson", "height", "in the column 'height', where the kind 'poisson'"),
        ("bernoulli", "plan", "3 distinct values in the column 'plan'"),
        ("lognormal", "calls", "value 0 in the column 'calls'.*lognormal"),
        ("Gaussian", "height", "kind 'Gaussian'; choose one of"),
        ("gaussian", "heigth", "columns 'heigth', which X does not have; name some"),
    ],
)
def test_kinds_that_contradict_the_data(kind, name, message):
    est = MixtureEM(2, components=[(kind, name), ("auto", slice(None))])
    assert_refuses(est, message)


def test_columns_named_twice_or_nowhere():
    twice = [*components(), ("gaussian", ["spend"])]
    assert_refuses(make(components=twice), "the column 'spend' more than once")
    assert_refuses(make(components=components()[1:]), "leaves out.*'height'.*\"auto\"")


def test_a_selector_that_finds_nothing_is_no_error():
    est = make(components=[("poisson", []), *components()])
    assert len(run(est, X, 2).components_) == 6


@pytest.mark.parametrize(
    "kind, option, values",
    [
        ("gaussian", "reg_covar", [-1, np.nan, np.inf, "a", [1], [1, 0], True]),
        ("gaussian", "covariance_type", ["round", None, 3]),
        ("lognormal", "reg_covar", [-1e-9, [1, 2]]),
        ("categorical", "theta_prior", [0.9, None, (1.1, 1.1), "a", np.nan]),
        ("bernoulli", "theta_prior", [1.1, (1.1, 0.9), (1, 1, 1), None]),
        ("poisson", "rates_prior", [1.1, (0.9, 0), (1, -1), ("a", "b")]),
        ("negative_binomial", "means_prior", [2, (0.9, 0), (1, np.inf)]),
        ("negative_binomial", "n_levels", [1, 5000, 7.5, "a", [9, 9], -3]),
    ],
)
def test_options_of_bad_value(kind, option, values):
    for value in values:
        chosen = [
            (k, c, {option: value} if k == kind else {}) for k, c, _ in components()
        ]
        rule = f"{option}={re.escape(repr(value))} for '{kind}'; it must be"
        assert_refuses(make(components=chosen), rule)


def test_options_that_nobody_knows():
    chosen = [("gaussian", ["height"], {"ridge": 1}), ("auto", slice(None))]
    assert_refuses(make(components=chosen), "option 'ridge' for 'gaussian'; it must be")


@pytest.mark.parametrize(
    "params, message",
    [
        ({"weights_init": [0.5, 0.6]}, "weights_init=.*sums to 1.1"),
        ({"n_components": 81}, "n_components=81 must not be more than n_samples=80"),
        ({"components": []}, "names no column"),
        ({"components": [("gaussian",)]}, r"give \(kind, columns\)"),
    ],
)
def test_parameters(params, message):
    assert_refuses(make(**({"n_components": 2} | params)), message)


def test_counts_that_a_histogram_cannot_hold():
    """At once, and in a later batch; `score_samples` takes any count."""
    huge = with_column("visits", [*X["visits"][:-1], 10**6])
    assert_refuses(make(2), "count 1000000 in the column 'visits'.*'gaussian'", huge)
    est = make(2).partial_fit(X).partial_fit(with_column("visits", 25))
    assert_refuses(est, "count 1000000 in the column 'visits'", huge, "partial_fit")
    assert np.isfinite(est.score_samples(huge)).all()
    chosen = [
        (k, c, {"n_levels": 3} if k[0] == "n" else {}) for k, c, _ in components()
    ]
    assert_refuses(make(components=chosen), "'visits'.*below 3; give the option n_lev")


def test_no_ridge_is_allowed_where_the_data_need_none():
    chosen = [("gaussian", ["height"], {"reg_covar": 0}), ("auto", slice(None))]
    est = run(make(2, components=chosen), X, 10)
    assert np.isfinite(est.lower_bound_)
    both = X.assign(copy=X["height"])
    chosen = [("gaussian", ["height", "copy"], {"reg_covar": 0}), ("auto", slice(None))]
    assert_refuses(make(2, components=chosen), "reg_covar=0.*collinear", both)


def test_questions_about_columns_that_are_not_there():
    for method, argument in (
        ("predict_missing_proba", "column"),
        ("conditional_score_samples", "given"),
    ):
        message = f"{argument} names 'age', which X does not have; name some of"
        assert_refuses(FITTED, message, X, method, **{argument: "age"})
    message = r"column='height' must be a bernoulli or categorical column, one of \['m"
    assert_refuses(FITTED, message, X, "predict_missing_proba", column="height")


def test_expectations_beyond_the_largest_number():
    rng = np.random.default_rng(0)
    far = pd.DataFrame({"size": 10.0 ** rng.uniform(-100, 100, 80), "x": X["height"]})
    far.loc[3, "size"] = np.nan
    est = run(
        make(1, components=[("lognormal", ["size"]), ("gaussian", ["x"])]), far, 5
    )
    message = "missing cells in the feature 'size' whose expectation is beyond"
    assert_refuses(est, message, far, "impute")
    assert np.isfinite(est.sample_missing(far.iloc[[3]])[0]["x"]).all()
