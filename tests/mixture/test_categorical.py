"""CategoricalMixtureEM against published numbers, enumeration and closed forms."""

import itertools
import re
import tracemalloc
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from sklearn.exceptions import ConvergenceWarning

from sklvm import BernoulliMixtureEM, CategoricalMixtureEM, MixtureEM

from .families import assert_same, run
from .reference import (
    categorical_em,
    categorical_log_joint,
    categorical_m_step,
    responsibilities,
)
from .tables import CARCINOMA, CHEATING

WIDTHS = (2, 3, 4, 2)  # answers of each item


def dirichlet(shape, seed=0, concentration=2.0):
    """A list of (K, L) tables of probabilities, for shape (K, (L_1, L_2, ...))."""
    rng = np.random.default_rng(seed)
    n_components, widths = shape
    return [rng.dirichlet(np.full(L, concentration), n_components) for L in widths]


def latent_classes(n_samples, widths=WIDTHS, seed=0, missing=0.0, n_classes=3):
    """Answers of three classes; the first rows are complete."""
    rng = np.random.default_rng(seed)
    theta = dirichlet((n_classes, widths), seed=100, concentration=0.6)
    labels = rng.integers(n_classes, size=n_samples)
    u = rng.random((n_samples, len(widths), 1))
    chances = [item[labels].cumsum(axis=1) for item in theta]
    X = [(c < u[:, d]).sum(axis=1) for d, c in enumerate(chances)]
    X = np.column_stack(X).astype(float)
    hidden = rng.random(X.shape) < missing
    hidden[:5] = False
    X[hidden] = np.nan
    return X


def all_answers(widths=WIDTHS, missing=False):
    codes = [[*range(L), *[np.nan] * missing] for L in widths]
    return np.array(list(itertools.product(*codes)), dtype=float)


def fitted(n_components=3, missing=0.0, **params):
    params = {"n_categories": WIDTHS, "random_state": 0} | params
    X = latent_classes(300, missing=missing)
    return CategoricalMixtureEM(n_components, **params).fit(X)


def start(n_components, widths=WIDTHS, seed=2):
    """A full start, away from any symmetry."""
    weights = np.arange(1.0, n_components + 1)
    theta = dirichlet((n_components, widths), seed, concentration=5.0)
    return {"weights_init": weights / weights.sum(), "theta_init": theta}


def assert_theta(theta, expected, **tolerance):
    assert len(theta) == len(expected)
    for item, wanted in zip(theta, expected, strict=True):
        assert_allclose(item, wanted, **tolerance)


# Published latent-class analyses (poLCA manual): the log-likelihood of the sample.


@pytest.mark.slow
@pytest.mark.parametrize(
    "table, n_components, log_likelihood",
    [
        (CARCINOMA, 2, -317.2568),
        (CARCINOMA, 3, -293.7050),
        (CHEATING, 1, -467.4382),
        (CHEATING, 2, -440.0271),
    ],
)
def test_published_log_likelihoods(table, n_components, log_likelihood):
    X, count = table
    est = CategoricalMixtureEM(
        n_components, n_init=8, tol=1e-11, max_iter=20_000, random_state=0
    ).fit(X, sample_weight=count)
    # Half a unit of the last digit published, plus what tol leaves unfinished.
    assert abs(count.sum() * est.lower_bound_ - log_likelihood) < 6e-5
    if n_components == 3:
        assert_allclose(np.sort(est.weights_), [0.1817, 0.3736, 0.4447], atol=6e-5)


@pytest.mark.parametrize("table", [CARCINOMA, CHEATING], ids=["carcinoma", "cheating"])
def test_two_categories_are_a_bernoulli_mixture(table):
    """Iteration by iteration, from the same start."""
    X, count = table
    theta = np.random.default_rng(0).uniform(0.2, 0.8, size=(3, X.shape[1]))
    common = {"n_components": 3, "weights_init": [0.5, 0.3, 0.2]}
    pairs = [np.column_stack([1 - ones, ones]) for ones in theta.T]
    one = CategoricalMixtureEM(theta_init=pairs, **common)
    two = BernoulliMixtureEM(theta_init=theta, **common)
    run(one, X, 15, sample_weight=count)
    run(two, X, 15, sample_weight=count)
    expected = [np.column_stack([1 - p, p]) for p in two.theta_.T]
    assert_theta(one.theta_, expected, atol=1e-9)
    assert_allclose(one.weights_, two.weights_, rtol=1e-9)
    assert_allclose(one.lower_bounds_, two.lower_bounds_, rtol=1e-10)
    assert_allclose(one.bic(X, count), two.bic(X, count), rtol=1e-10)


# The density.


def test_probabilities_of_all_answers_sum_to_one():
    assert_allclose(np.exp(fitted().score_samples(all_answers())).sum(), 1.0)


def test_score_samples_is_the_formula():
    est, X = fitted(), all_answers(missing=True)
    log_joint = categorical_log_joint(X, est.weights_, est.theta_)
    expected = logsumexp(log_joint, axis=1)
    assert_allclose(est.score_samples(X), expected, rtol=1e-11, atol=1e-12)
    assert_allclose(est.predict_proba(X), responsibilities(log_joint), rtol=1e-9)


def test_uniform_weights_normalise_the_likelihoods():
    est, X = fitted(weights="uniform"), all_answers()
    likelihood = np.exp(categorical_log_joint(X, np.ones(3), est.theta_))
    expected = likelihood / likelihood.sum(axis=1, keepdims=True)
    assert_allclose(est.predict_proba(X), expected, rtol=1e-9)


def test_a_thousand_items_do_not_underflow():
    widths = [3] * 1000
    X = latent_classes(60, widths)
    est = CategoricalMixtureEM(2, n_categories=3, random_state=0).fit(X)
    log_joint = categorical_log_joint(X, est.weights_, est.theta_)
    assert_allclose(est.score_samples(X), logsumexp(log_joint, axis=1), rtol=1e-10)
    assert est.score(X) < -745  # exp of which is zero


def test_the_fitted_attributes_are_distributions():
    est = fitted()
    assert isinstance(est.theta_, list)
    assert [item.shape for item in est.theta_] == [(3, L) for L in WIDTHS]
    for item in est.theta_:
        assert_allclose(item.sum(axis=1), 1.0, rtol=1e-12)
    assert_array_equal(est.n_categories_, WIDTHS)
    assert est.n_categories_.dtype.kind == "i"


# The boundary: a category that a component never shows.


def two_certain_blocks():
    """Rows 2 0 (three in four) and 0 1; after one step theta is exactly 0 or 1."""
    X = np.repeat([[2.0, 0.0], [0.0, 1.0]], [30, 10], axis=0)
    theta = [[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]]
    est = CategoricalMixtureEM(2, theta_init=theta, weights_init=[0.5, 0.5]).fit(X)
    return est, X


def test_the_boundary_is_exact():
    est, _ = two_certain_blocks()
    assert_theta(est.theta_, [[[0, 0, 1], [1, 0, 0]], [[1, 0], [0, 1]]], atol=0)
    assert_array_equal(est.weights_, [0.75, 0.25])
    certain = est.score_samples([[2.0, 0], [0, 1], [np.nan, 1], [np.nan, np.nan]])
    expected = np.log([0.75, 0.25, 0.25, 1.0])
    assert_allclose(certain, expected, rtol=1e-15, atol=1e-15)
    impossible = est.score_samples([[2.0, 1], [0, 0], [1, 0], [1, np.nan]])
    assert_array_equal(impossible, np.full(4, -np.inf))
    assert_allclose(est.lower_bound_, 0.75 * np.log(0.75) + 0.25 * np.log(0.25))


def test_an_impossible_row_still_has_a_posterior():
    est, X = two_certain_blocks()
    impossible = np.array([[2.0, 1.0]])
    assert_allclose(est.predict_proba(impossible).sum(), 1.0)
    assert est.predict(impossible)[0] in (0, 1)
    rows = np.vstack([X, impossible])
    assert est.score(rows) == -np.inf
    silent = np.append(np.ones(len(X)), 0.0)
    assert est.score(rows, sample_weight=silent) == est.score(X)


# EM, step by step.


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_textbook_iterations(missing, weighted):
    X = latent_classes(200, missing=missing)
    weight = np.random.default_rng(1).exponential(size=200) if weighted else None
    init = start(3)
    est = run(CategoricalMixtureEM(3, **init), X, 12, sample_weight=weight)
    weights, theta, trace = categorical_em(X, *init.values(), 12, weight)
    assert_allclose(est.weights_, weights, atol=1e-8)
    assert_theta(est.theta_, theta, atol=1e-8)
    assert_allclose(est.lower_bounds_, trace, rtol=1e-10)


def test_patterns_and_rows_are_the_same_data():
    """2,000 rows of four items have 48 patterns at most: collapsed or not, the same."""
    X = latent_classes(2000)
    patterns, counts = np.unique(X, axis=0, return_counts=True)
    one = run(CategoricalMixtureEM(3, random_state=0), X)
    two = run(CategoricalMixtureEM(3, random_state=0), patterns, sample_weight=counts)
    assert_same(one, two)


@pytest.mark.slow
def test_the_fixed_point_maximises_the_observed_likelihood():
    """EM against a direct climb over logits, with gaps."""
    widths = (3, 2, 3)
    X = latent_classes(50, widths, missing=0.2)
    init = start(2, widths)
    est = CategoricalMixtureEM(2, tol=1e-13, max_iter=50_000, **init).fit(X)
    ends = np.cumsum([2, *(2 * L for L in widths)])[:-1]

    def loss(vector):
        logits, *items = np.split(vector, ends)
        theta = [
            softmax(item.reshape(2, L), axis=1)
            for item, L in zip(items, widths, strict=True)
        ]
        log_joint = categorical_log_joint(X, softmax(logits), theta)
        return -logsumexp(log_joint, axis=1).mean()

    # Little off the boundary, where the logits of a zero would be infinite.
    tables = [est.weights_, *(item.ravel() for item in est.theta_)]
    best = minimize(loss, np.log(np.concatenate(tables) + 1e-3), method="L-BFGS-B")
    assert est.lower_bound_ >= -best.fun - 1e-7
    assert_allclose(est.lower_bound_, -best.fun, atol=1e-3)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_squarem_ends_where_em_ends(missing):
    X, init = latent_classes(200, missing=missing), start(2)
    common = {"tol": 1e-12, "max_iter": 50_000, **init}
    plain = CategoricalMixtureEM(2, **common).fit(X)
    fast = CategoricalMixtureEM(2, acceleration="squarem", **common).fit(X)
    assert_allclose(fast.lower_bound_, plain.lower_bound_, atol=1e-8)
    assert_theta(fast.theta_, plain.theta_, atol=1e-3)
    assert fast.n_iter_ < plain.n_iter_


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), missing=st.sampled_from([0.0, 0.3]))
def test_the_names_of_the_codes_do_not_matter(seed, missing):
    """Codes permuted within each item permute theta, and nothing else."""
    rng = np.random.default_rng(seed)
    X = latent_classes(80, seed=seed, missing=missing)
    orders = [rng.permutation(L) for L in WIDTHS]
    renamed = np.column_stack(
        [
            np.where(np.isnan(x), np.nan, order[np.nan_to_num(x).astype(int)])
            for x, order in zip(X.T, orders, strict=True)
        ]
    )
    init = start(3)
    pairs = list(zip(init["theta_init"], orders, strict=True))
    permuted = init | {"theta_init": [t[:, np.argsort(order)] for t, order in pairs]}
    one = run(CategoricalMixtureEM(3, n_categories=WIDTHS, **init), X, 5)
    two = run(CategoricalMixtureEM(3, n_categories=WIDTHS, **permuted), renamed, 5)
    assert_allclose(two.lower_bounds_, one.lower_bounds_, rtol=1e-10)
    back = [t[:, order] for t, order in zip(two.theta_, orders, strict=True)]
    assert_theta(back, one.theta_, atol=1e-9)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_the_items_does_not_matter(seed):
    X = latent_classes(80, seed=seed, missing=0.2)
    order, init = np.random.default_rng(seed).permutation(len(WIDTHS)), start(3)
    shuffled = init | {"theta_init": [init["theta_init"][d] for d in order]}
    one = run(CategoricalMixtureEM(3, **init), X, 5)
    two = run(CategoricalMixtureEM(3, **shuffled), X[:, order], 5)
    assert_allclose(two.lower_bounds_, one.lower_bounds_, rtol=1e-10)
    assert_theta(two.theta_, [one.theta_[d] for d in order], atol=1e-9)


# The number of categories.


def test_the_largest_code_sets_the_number_of_categories():
    X = np.array([[0.0, 4.0], [1.0, np.nan], [0.0, 0.0]])
    with pytest.warns(UserWarning, match="codes 1 to 3"):
        est = CategoricalMixtureEM().fit(X)
    assert_array_equal(est.n_categories_, [2, 5])
    assert_theta(est.theta_, [[[2 / 3, 1 / 3]], [[0.5, 0, 0, 0, 0.5]]])


@pytest.mark.parametrize("n_categories", [4, [4, 4], (4, 4), np.array([4, 4])])
def test_a_number_of_categories_given_once_or_for_each_item(n_categories):
    X = np.array([[0, 2], [1, 1], [0, 0]])
    est = CategoricalMixtureEM(n_categories=n_categories).fit(X)
    assert_array_equal(est.n_categories_, [4, 4])
    thirds = np.array([[1 / 3] * 3 + [0.0]])
    assert_theta(est.theta_, [[[2 / 3, 1 / 3, 0, 0]], thirds])


def test_four_thousand_categories_are_taken():
    X = np.array([[0.0], [4095.0]])
    with pytest.warns(UserWarning, match="codes 1 to 4094"):
        est = CategoricalMixtureEM().fit(X)
    assert est.theta_[0].shape == (1, 4096)
    assert_allclose(est.score(X), -np.log(2))


# Priors.


def test_dirichlet_prior_in_closed_form():
    """K = 1: the mode of Dirichlet(a + counts); an answer never given has a chance."""
    X, weight, a = latent_classes(40, missing=0.2), np.arange(40) % 4, 2.5
    est = CategoricalMixtureEM(n_categories=5, theta_prior=a)
    est.fit(X, sample_weight=weight)
    resp = weight[:, np.newaxis].astype(float)
    expected = [categorical_m_step(x, resp, 5, a) for x in X.T]
    assert_theta(est.theta_, expected, rtol=1e-12)
    assert min(item.min() for item in est.theta_) > 0.01
    assert np.isfinite(est.score_samples([[4.0, 4, 4, 4]])).all()


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_textbook_iterations_under_a_prior(missing):
    X, init = latent_classes(100, missing=missing), start(3)
    est = run(CategoricalMixtureEM(3, theta_prior=1.8, **init), X, 10)
    weights, theta, _ = categorical_em(X, *init.values(), 10, prior=1.8)
    assert_allclose(est.weights_, weights, atol=1e-8)
    assert_theta(est.theta_, theta, atol=1e-8)


def test_the_mode_is_a_fixed_point():
    """At convergence each parameter is the mode given the responsibilities."""
    X, a, c = latent_classes(100, missing=0.2), 1.7, 3.0
    common = {"tol": 1e-14, "max_iter": 50_000, "random_state": 0}
    est = CategoricalMixtureEM(3, theta_prior=a, weights_prior=c, **common).fit(X)
    resp = est.predict_proba(X)
    theta = [
        categorical_m_step(x, resp, L, a) for x, L in zip(X.T, WIDTHS, strict=True)
    ]
    weights = (resp.sum(axis=0) + c - 1) / (100 + 3 * (c - 1))
    assert_theta(est.theta_, theta, atol=1e-5)
    assert_allclose(est.weights_, weights, atol=1e-5)


@pytest.mark.parametrize("acceleration", [None, "squarem"])
def test_the_penalised_bound_never_falls(acceleration):
    """It is F plus the log prior per row, up to the prior's constant."""
    X, a, c = latent_classes(80), 2.0, 2.5
    params = {
        "n_categories": WIDTHS,
        "theta_prior": a,
        "weights_prior": c,
        "acceleration": acceleration,
        "init_params": "random",
        "random_state": 0,
    }
    est = run(CategoricalMixtureEM(3, **params), X, 25)
    assert np.diff(est.lower_bounds_).min() >= -1e-9
    assert_allclose(est.lower_bound_, est.score(X), rtol=1e-10)
    if acceleration is not None:
        return
    gaps = []
    for t in (1, 3, 25):
        est = run(CategoricalMixtureEM(3, **params), X, t)
        log_prior = (a - 1) * sum(np.log(item).sum() for item in est.theta_)
        log_prior += (c - 1) * np.log(est.weights_).sum()
        gaps.append(est.lower_bounds_[-1] - est.score(X) - log_prior / 80)
    assert_allclose(gaps, gaps[0], atol=1e-9)


# Missing values by summing over what they might have been.


def completions(x):
    codes = [[c] if c == c else range(L) for c, L in zip(x, WIDTHS, strict=True)]
    return np.array(list(itertools.product(*codes)), dtype=float)


def test_missing_values_are_summed_out():
    est, X = fitted(missing=0.3), all_answers(missing=True)
    expected = [logsumexp(est.score_samples(completions(x))) for x in X]
    assert_allclose(est.score_samples(X), expected, rtol=1e-10, atol=1e-12)
    nothing_seen = np.full((1, 4), np.nan)
    assert_allclose(est.predict_proba(nothing_seen)[0], est.weights_, rtol=1e-12)


def test_impute_is_the_most_probable_category():
    """Of each missing item by itself, given all that is observed."""
    est, X = fitted(), all_answers(missing=True)
    untouched = X.copy()
    imputed = est.impute(X)
    assert_array_equal(X, untouched)
    for x, filled in zip(X, imputed, strict=True):
        rows = completions(x)
        prob = np.exp(est.score_samples(rows))
        for d in np.flatnonzero(np.isnan(x)):
            of_code = np.bincount(rows[:, d].astype(int), prob)
            # Where two codes are equally likely, either will do.
            assert of_code[int(filled[d])] >= of_code.max() * (1 - 1e-9)
        assert_array_equal(filled[~np.isnan(x)], x[~np.isnan(x)])


def test_inverse_transform_is_the_most_probable_category_of_the_mixture():
    est = fitted()
    Z = np.random.default_rng(0).dirichlet(np.ones(3), size=50)
    expected = np.column_stack([(Z @ item).argmax(axis=1) for item in est.theta_])
    assert_array_equal(est.inverse_transform(Z), expected)
    certain = np.column_stack([item.argmax(axis=1) for item in est.theta_])
    assert_array_equal(est.inverse_transform(np.eye(3)), certain)


def test_an_item_that_a_component_never_sees_keeps_its_theta():
    """The rows of the first component, code 0, never answer the second item."""
    X = np.array([[0.0, np.nan]] * 20 + [[1.0, 0.0]] * 10 + [[1.0, 1.0]] * 10)
    theta = [np.eye(2), np.array([[0.3, 0.7], [0.4, 0.6]])]
    est = CategoricalMixtureEM(2, theta_init=theta, weights_init=[0.5, 0.5])
    run(est, X, 3)
    assert_theta(est.theta_, [np.eye(2), [[0.3, 0.7], [0.5, 0.5]]])


# Samples.


def test_samples_have_the_frequencies_of_the_model():
    est, n = fitted(), 20_000
    X, labels = est.sample(n)
    assert X.shape == (n, 4)

    def check(frequency, probability, count):
        # Five standard errors: one chance in two million for each number.
        error = 5 * np.sqrt(probability * (1 - probability) / count)
        assert (abs(frequency - probability) <= error + 1e-12).all()

    counts = np.bincount(labels, minlength=3)
    check(counts / n, est.weights_, n)
    for k, d in itertools.product(range(3), range(4)):
        codes = X[labels == k, d].astype(int)
        frequency = np.bincount(codes, minlength=WIDTHS[d]) / counts[k]
        check(frequency, est.theta_[d][k], counts[k])
    # Within a component items are independent: the pairs of two of them as well.
    k = int(np.argmax(counts))
    pairs = X[labels == k][:, 1] * WIDTHS[2] + X[labels == k][:, 2]
    expected = np.outer(est.theta_[1][k], est.theta_[2][k]).ravel()
    check(np.bincount(pairs.astype(int), minlength=12) / counts[k], expected, counts[k])


def test_samples_can_be_scored_and_fitted_again():
    est = fitted()
    X, _ = est.sample(500)
    assert np.isfinite(est.score_samples(X)).all()
    CategoricalMixtureEM(3, n_categories=WIDTHS, random_state=0).fit(X)


# How many classes.


@pytest.mark.parametrize("weights", ["free", "uniform"])
def test_bic_counts_one_parameter_less_than_categories(weights):
    est, X = fitted(weights=weights), latent_classes(300)
    n_parameters = 3 * sum(L - 1 for L in WIDTHS) + (2 if weights == "free" else 0)
    deviance = -2 * est.score_samples(X).sum()
    assert_allclose(est.bic(X), deviance + n_parameters * np.log(300), rtol=1e-10)
    assert_allclose(est.aic(X), deviance + 2 * n_parameters, rtol=1e-10)


@pytest.mark.slow
def gapped(X, levels):
    """Codes 0, 1, ... of X as these levels of each feature."""
    out = X.copy()
    for d, codes in enumerate(levels):
        seen = ~np.isnan(X[:, d])
        out[seen, d] = np.asarray(codes, dtype=float)[X[seen, d].astype(int)]
    return out


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_codes_that_no_row_has_are_no_parameters(data):
    X = latent_classes(120, missing=0.1, seed=5)
    levels = [
        sorted(data.draw(st.sets(st.integers(0, 30), min_size=L, max_size=L)))
        for L in WIDTHS
    ]
    Y = gapped(X, levels)
    est = CategoricalMixtureEM(2, random_state=0, max_iter=15)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        est.fit(Y)
    n_parameters = 1 + 2 * sum(L - 1 for L in WIDTHS)
    deviance = -2 * 120 * est.score(Y)
    assert_allclose(est.aic(Y), deviance + 2 * n_parameters)
    assert_allclose(est.bic(Y), deviance + n_parameters * np.log(120))


@pytest.mark.parametrize("n_components", [1, 3])
def test_criteria_are_those_of_a_table_with_categories(n_components):
    X = latent_classes(200) + 1
    kinds = [("categorical", slice(None), {"theta_prior": 1.0})]
    one = CategoricalMixtureEM(n_components, random_state=0, max_iter=500).fit(X)
    other = MixtureEM(n_components, components=kinds, random_state=0).fit(X)
    if n_components == 1:  # where the maximum has a closed form
        assert_allclose(one.icl(X), other.icl(X), rtol=1e-9)
    n_parameters = [(m.bic(X) - m.aic(X)) / (np.log(200) - 2) for m in (one, other)]
    assert_allclose(*n_parameters)


@pytest.mark.parametrize(
    "levels, prior, words",
    [
        ([0, 1, 99], 1.0, "codes 2 to 98"),
        ([1, 2, 5], 1.0, "codes 3 to 4"),
        ([1, 2, 3], 1.1, "code 0"),
        ([1, 3, 9], 1.1, "codes 0, 2, 4, 5, 6, ..."),
    ],
)
def test_codes_that_no_row_has_are_told(levels, prior, words):
    X = gapped(latent_classes(80), [range(2), levels, range(4), range(2)])
    frame = pd.DataFrame(X, columns=["age", "party", "town", "sex"])
    est = CategoricalMixtureEM(2, theta_prior=prior, random_state=0, max_iter=500)
    with pytest.warns(UserWarning, match="'party'.*NaN.*OrdinalEncoder.*n_categories"):
        est.fit(frame)
    with pytest.warns(UserWarning, match=re.escape(words)):
        est.fit(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        est.set_params(n_categories=[2, levels[-1] + 1, 4, 2]).fit(frame)


def test_answers_from_one_on_and_codes_without_gaps_are_no_reason_to_warn():
    X = latent_classes(80, missing=0.2)
    est = CategoricalMixtureEM(2, random_state=0, max_iter=500)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        est.fit(X)
        est.fit(X + 1)
        est.set_params(theta_prior=1.1).fit(X)


def test_a_held_out_code_between_others_is_possible_under_a_prior():
    X = np.array([[0, 0], [2, 1]] * 10)
    est = CategoricalMixtureEM(2, theta_prior=1.5, n_categories=3, random_state=0)
    assert np.isfinite(est.fit(X).score([[1, 2]]))


@pytest.mark.parametrize("seed", [0, 1])
def test_bic_finds_the_classes_of_a_survey(seed):
    """1,500 people, twelve items of three to five answers, a tenth not given."""
    rng = np.random.default_rng(seed)
    widths = [3, 4, 5] * 4
    theta = [rng.dirichlet(np.full(L, 0.8), size=3) for L in widths]
    truth = CategoricalMixtureEM.from_parameters(
        [0.5, 0.3, 0.2], theta, random_state=seed
    )
    X = truth.sample(1500)[0].astype(float)
    X[rng.random(X.shape) < 0.1] = np.nan
    bic = [
        CategoricalMixtureEM(k, n_categories=widths, n_init=2, random_state=0)
        .fit(X)
        .bic(X)
        for k in (1, 2, 3, 4, 5)
    ]
    assert np.argmin(bic) == 3 - 1


# Containers and precisions.


@pytest.mark.parametrize(
    "container",
    [
        lambda X: X.astype(int),
        lambda X: X.astype(np.uint8),
        lambda X: X.astype(np.float32),
        lambda X: X.tolist(),
        np.asfortranarray,
        pd.DataFrame,
        lambda X: pd.DataFrame(X).astype("Int64"),
        lambda X: pd.DataFrame(X.astype(int)).astype("category"),
    ],
    ids=["int", "uint8", "float32", "list", "columns", "frame", "Int64", "category"],
)
def test_containers_hold_the_same_rows(container):
    X = latent_classes(150)
    one = run(CategoricalMixtureEM(3, random_state=0), X, 5)
    two = run(CategoricalMixtureEM(3, random_state=0), container(X), 5)
    single = one.theta_[0].dtype != two.theta_[0].dtype
    assert_same(two, one, tol=1e-4 if single else 1e-9)


def test_an_answer_not_given_in_a_frame_is_missing():
    """pandas marks it as NA in a column of nullable integers."""
    X = latent_classes(100, missing=0.2)
    frame = pd.DataFrame(X, columns=list("abcd")).astype("Int64")
    one = run(CategoricalMixtureEM(2, random_state=0), X, 5)
    two = run(CategoricalMixtureEM(2, random_state=0), frame, 5)
    assert_same(two, one)
    assert list(two.feature_names_in_) == list("abcd")


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_float32_takes_the_same_steps(missing):
    X, init = latent_classes(300, missing=missing), start(3)
    double = run(CategoricalMixtureEM(3, **init), X, 10)
    single = run(CategoricalMixtureEM(3, **init), X.astype(np.float32), 10)
    assert {item.dtype for item in single.theta_} == {np.dtype(np.float32)}
    assert single.score_samples(X.astype(np.float32)).dtype == np.float32
    # Rounding of 6e-8 over ten steps; what cancels in a logarithm is of order one.
    assert_theta(single.theta_, double.theta_, atol=1e-4)
    assert_allclose(single.lower_bounds_, double.lower_bounds_, rtol=1e-5)
    assert_array_equal(single.impute(X.astype(np.float32)), double.impute(X))


def test_one_row_is_certain():
    est = CategoricalMixtureEM().fit([[2.0, 0.0, 1.0]])
    assert_theta(est.theta_, [[[0, 0, 1]], [[1]], [[0, 1]]], atol=0)
    assert est.lower_bound_ == 0.0
    assert_array_equal(est.sample(3)[0], [[2, 0, 1]] * 3)
    assert_array_equal(est.predict([[2, 0, 1]]), [0])


def test_rows_of_batches_share_the_categories_of_the_first():
    """The third batch lacks the last code, which must not narrow theta_."""
    X = latent_classes(300)
    narrow = X[(X[:, 2] < 3) & (X[:, 1] < 2)]
    est = CategoricalMixtureEM(2, random_state=0)
    for batch in (X[:150], X[150:], narrow):
        est.partial_fit(batch)
    assert_array_equal(est.n_categories_, WIDTHS)
    assert_array_equal([item.shape[1] for item in est.theta_], WIDTHS)


def test_nothing_warns_when_all_is_well():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        est = CategoricalMixtureEM(2, max_iter=1000, random_state=0)
        est.fit(latent_classes(200, missing=0.1)).score(latent_classes(200))
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        CategoricalMixtureEM(2, max_iter=1, tol=0).fit(latent_classes(200))


# Bad input: one sentence with the parameter, the value and the remedy.


def assert_refuses(est, X, *said, method="fit", **fit_params):
    before = joblib.hash(vars(est))
    with pytest.raises((ValueError, TypeError)) as caught:
        getattr(est, method)(X, **fit_params)
    message = str(caught.value)
    for words in said:
        assert re.search(words, message), message
    assert joblib.hash(vars(est)) == before


def codes_with(value):
    X = latent_classes(50)
    X[7, 2] = value
    return X


BAD_CODES = {
    "outside": (4.0, "n_categories"),
    "far outside": (1e9, "n_categories|4,?096"),
    "fraction": (1.5, "whole|integer|fraction"),
    "negative": (-1.0, "NaN"),
    "no answer": (-9.0, "NaN"),
    "infinite": (np.inf, "inf"),
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("case", BAD_CODES)
def test_bad_codes(case, method):
    value, said = BAD_CODES[case]
    X = codes_with(value)
    for est in (
        CategoricalMixtureEM(2, n_categories=WIDTHS, random_state=0),
        fitted(n_categories=WIDTHS),
    ):
        number = re.escape(f"{value:g}").replace("e\\+09", r"(e\+0?9|0+)")
        assert_refuses(est, X, number, said, method=method)


@pytest.mark.parametrize("method", ["predict", "score_samples", "impute", "transform"])
@pytest.mark.parametrize("value", [4.0, 1.5, -1.0])
def test_bad_codes_after_the_fit(method, value):
    """An answer that training never offered has no probability to look up."""
    said = re.escape(f"{value:g}")
    assert_refuses(fitted(), codes_with(value), said, method=method)


def test_a_bad_code_is_named_with_its_column():
    """Each item has a number of categories of its own."""
    frame = pd.DataFrame(codes_with(4.0), columns=["pay", "hours", "team", "tools"])
    est = CategoricalMixtureEM(2, n_categories=WIDTHS)
    assert_refuses(est, frame, "team", "4", "n_categories")


def test_a_later_batch_with_a_new_code():
    est = CategoricalMixtureEM(2, random_state=0).partial_fit(latent_classes(100))
    assert_refuses(est, codes_with(4.0), "4", "n_categories", method="partial_fit")


def test_more_levels_than_a_category_has():
    """A column of numbers, not of answers."""
    X = np.column_stack([np.zeros(50), np.arange(50.0) * 100])
    assert_refuses(CategoricalMixtureEM(), X, r"4,?900|4,?901", r"4,?096")
    few = np.zeros((50, 2))
    assert_refuses(
        CategoricalMixtureEM(n_categories=5000), few, "n_categories", "5,?000"
    )


@pytest.mark.parametrize("value", [0, -3, 2.5, "three", [3, 3], [3, 3, 4, 0], [[3]]])
def test_bad_numbers_of_categories(value):
    est = CategoricalMixtureEM(2, n_categories=value)
    assert_refuses(est, latent_classes(50), "n_categories")


@pytest.mark.parametrize("value", [0.5, 0.0, -1.0, "flat", np.nan, np.inf, (1.0, 1.0)])
def test_bad_priors(value):
    est = CategoricalMixtureEM(2, theta_prior=value)
    assert_refuses(est, latent_classes(50), "theta_prior")


def theta_with(item):
    return [*dirichlet((2, WIDTHS))[:3], item]


BAD_STARTS = {
    "too few items": (dirichlet((2, WIDTHS))[:3], "3"),
    "too few components": (dirichlet((1, WIDTHS)), r"\(1, 2\)"),
    "too many categories": (theta_with(np.full((2, 3), 1 / 3)), r"\(2, 3\)"),
    "a sum of two": (theta_with(np.ones((2, 2))), "2"),
    "negative": (theta_with(np.array([[1.5, -0.5]] * 2)), "1.5|-0.5"),
    "nan": (theta_with(np.full((2, 2), np.nan)), "(?i)nan"),
    "a table": (0.5, "theta_init"),
}


@pytest.mark.parametrize("case", BAD_STARTS)
def test_bad_starts(case):
    theta, said = BAD_STARTS[case]
    est = CategoricalMixtureEM(2, n_categories=WIDTHS, theta_init=theta)
    assert_refuses(est, latent_classes(50), "theta_init", said)


def test_a_row_without_an_answer_is_no_reason_to_warn():
    """It holds no fraction; its responsibilities are the weights."""
    est = fitted()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resp = est.predict_proba(np.full((1, est.n_features_in_), np.nan))
    assert_allclose(resp[0], est.weights_, rtol=1e-12)


def test_continuous_values_are_no_codes():
    """None of them is whole: said once, and truncated as by CategoricalNB."""
    X = np.random.default_rng(0).random((20, 3))
    with pytest.warns(UserWarning, match="OrdinalEncoder"):
        est = CategoricalMixtureEM(random_state=0).fit(X)
    assert est.n_categories_.tolist() == [1, 1, 1]


@pytest.mark.parametrize("theta_init", [[1], [[0.5, 0.5]], np.ones((2, 2))])
def test_a_start_of_another_shape_is_refused(theta_init):
    X = np.array([[0, 1], [1, 0], [1, 1]])
    with pytest.raises(ValueError, match="theta_init"):
        CategoricalMixtureEM(2, theta_init=theta_init).fit(X)


def test_answers_of_text_name_the_encoder_and_the_mixture_that_reads_them():
    X = pd.DataFrame({"q": ["yes", "no"] * 10})
    for answers in (X, X.to_numpy(), X.astype("category")):
        with pytest.raises(ValueError, match=r"OrdinalEncoder.*or take MixtureEM"):
            CategoricalMixtureEM().fit(answers)


def test_many_categories_take_a_chunk_of_memory():
    """A chunk is cut by the indicators of its rows, not by its features."""
    rng = np.random.default_rng(0)
    theta = [rng.dirichlet(np.ones(4096), size=2) for _ in range(4)]
    model = CategoricalMixtureEM.from_parameters([0.5, 0.5], theta)
    X = rng.integers(4096, size=(2000, 4)).astype(float)
    tracemalloc.start()
    try:
        model.score(X)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100e6  # all indicators are 262 MB
