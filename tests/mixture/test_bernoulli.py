"""BernoulliMixtureEM against published numbers, enumeration and closed forms."""

import itertools
import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sklvm import BernoulliMixtureEM

from .families import assert_same, run
from .reference import bernoulli_em, bernoulli_log_joint, responsibilities
from .tables import CARCINOMA, CHEATING


def binary_vectors(n_features):
    return np.array(list(itertools.product([0.0, 1.0], repeat=n_features)))


def latent_classes(n_samples, n_features=5, seed=0, missing=0.0):
    """Rows of three classes, whose items are likely or unlikely in turn."""
    rng = np.random.default_rng(seed)
    theta = rng.choice([0.15, 0.8], size=(3, n_features))
    labels = rng.integers(3, size=n_samples)
    X = (rng.random((n_samples, n_features)) < theta[labels]).astype(float)
    hidden = rng.random(X.shape) < missing
    hidden[:5] = False
    X[hidden] = np.nan
    return X


def fitted(n_components=3, **params):
    X = latent_classes(300)
    return BernoulliMixtureEM(n_components, random_state=0, **params).fit(X)


# Published latent-class analyses (poLCA manual): the log-likelihood of the sample.


@pytest.mark.slow
@pytest.mark.parametrize(
    "table, n_components, log_likelihood",
    [
        (CARCINOMA, 1, -524.4648),
        (CARCINOMA, 2, -317.2568),
        (CARCINOMA, 3, -293.7050),
        (CARCINOMA, 4, -289.2858),
        (CHEATING, 1, -467.4382),
        (CHEATING, 2, -440.0271),
    ],
)
@pytest.mark.parametrize("repeated", [False, True], ids=["counts", "rows"])
def test_published_log_likelihoods(table, n_components, log_likelihood, repeated):
    X, count = table
    if repeated:
        X, count = np.repeat(X, count.astype(int), axis=0), None
    est = BernoulliMixtureEM(
        n_components, n_init=20, tol=1e-10, max_iter=20_000, random_state=0
    ).fit(X, sample_weight=count)
    total = 118 if table is CARCINOMA else 319
    # Half a unit of the last digit published, plus what tol leaves unfinished.
    assert abs(total * est.lower_bound_ - log_likelihood) < 6e-5


def test_published_class_sizes():
    X, count = CARCINOMA
    est = BernoulliMixtureEM(
        3, n_init=20, tol=1e-12, max_iter=20_000, random_state=0
    ).fit(X, sample_weight=count)
    assert_allclose(np.sort(est.weights_), [0.1817, 0.3736, 0.4447], atol=5.5e-5)


# The density.


@pytest.mark.parametrize("n_features", [1, 4, 9])
def test_probabilities_of_all_binary_vectors_sum_to_one(n_features):
    est = BernoulliMixtureEM(3, random_state=0).fit(latent_classes(200, n_features))
    log_prob = est.score_samples(binary_vectors(n_features))
    assert_allclose(np.exp(log_prob).sum(), 1.0, rtol=1e-12)


def test_score_samples_is_the_formula():
    est = fitted()
    X = binary_vectors(5)
    log_joint = bernoulli_log_joint(X, est.weights_, est.theta_)
    assert_allclose(est.score_samples(X), logsumexp(log_joint, axis=1), rtol=1e-11)
    assert_allclose(est.predict_proba(X), responsibilities(log_joint), rtol=1e-9)


def test_uniform_weights_normalise_the_likelihoods():
    est = fitted(weights="uniform")
    X = binary_vectors(5)
    likelihood = np.exp(bernoulli_log_joint(X, np.ones(3), est.theta_))
    expected = likelihood / likelihood.sum(axis=1, keepdims=True)
    assert_allclose(est.predict_proba(X), expected, rtol=1e-9)


def test_a_thousand_items_do_not_underflow():
    X = latent_classes(100, n_features=3000)
    est = BernoulliMixtureEM(3, random_state=0).fit(X)
    log_joint = bernoulli_log_joint(X, est.weights_, est.theta_)
    assert_allclose(est.score_samples(X), logsumexp(log_joint, axis=1), rtol=1e-10)
    assert est.score(X) < -745  # exp of which is zero


# The boundary: theta exactly 0 or 1.


def two_certain_blocks():
    """Rows 1100 (three in four) and 0011; after one step theta is exactly 0 or 1."""
    X = np.repeat([[1.0, 1, 0, 0], [0, 0, 1, 1]], [30, 10], axis=0)
    est = BernoulliMixtureEM(
        2, theta_init=[[1.0, 1, 0, 0], [0, 0, 1, 1]], weights_init=[0.5, 0.5]
    ).fit(X)
    return est, X


def test_the_boundary_is_exact():
    est, X = two_certain_blocks()
    assert_array_equal(est.theta_, [[1, 1, 0, 0], [0, 0, 1, 1]])
    assert_array_equal(est.weights_, [0.75, 0.25])
    certain = est.score_samples([[1.0, 1, 0, 0], [0, 0, 1, 1]])
    assert_allclose(certain, np.log([0.75, 0.25]), rtol=1e-15)
    others = [x for x in binary_vectors(4) if tuple(x) not in set(map(tuple, X))]
    assert_array_equal(est.score_samples(others), np.full(14, -np.inf))
    assert_allclose(est.lower_bound_, 0.75 * np.log(0.75) + 0.25 * np.log(0.25))


def test_missing_values_at_the_boundary():
    est, _ = two_certain_blocks()
    X = np.array([[np.nan, 1, np.nan, 0], [np.nan, 1, 1, np.nan], [np.nan] * 4])
    expected = [np.log(0.75), -np.inf, 0.0]
    assert_allclose(est.score_samples(X), expected, rtol=1e-15, atol=1e-15)
    assert_array_equal(est.impute(X)[0], [1, 1, 0, 0])


def test_an_impossible_row_still_has_a_posterior():
    est, X = two_certain_blocks()
    impossible = np.array([[1.0, 0, 1, 0]])
    resp = est.predict_proba(impossible)
    assert np.isfinite(resp).all()
    assert_allclose(resp.sum(), 1.0)
    assert est.predict(impossible)[0] in (0, 1)
    rows = np.vstack([X, impossible])
    assert est.score(rows) == -np.inf
    without = est.score(rows, sample_weight=np.append(np.ones(len(X)), 0.0))
    assert without == est.score(X)


def test_an_impossible_row_of_weight_zero_is_absent_from_the_fit():
    """Its log p = -inf times a weight of zero is nothing, not NaN."""
    est, X = two_certain_blocks()
    rows = np.vstack([X, [[1.0, 0, 1, 0]]])
    weight = np.append(np.ones(len(X)), 0.0)
    other = clone(est).fit(rows, sample_weight=weight)
    assert_array_equal(other.theta_, est.theta_)
    assert_allclose(other.lower_bounds_, est.lower_bounds_, rtol=1e-12)
    assert_allclose(other.bic(rows, sample_weight=weight), est.bic(X), rtol=1e-12)


def test_items_that_never_vary():
    """All ones and all zeros are learnt as certain, and cost nothing."""
    X = latent_classes(100)
    padded = np.column_stack([X, np.ones(100), np.zeros(100)])
    est = run(BernoulliMixtureEM(2, random_state=0), padded)
    assert_array_equal(est.theta_[:, 5:], [[1, 0], [1, 0]])
    assert np.isfinite(est.lower_bounds_).all()
    bare = bernoulli_log_joint(X, est.weights_, est.theta_[:, :5])
    assert_allclose(est.score_samples(padded), logsumexp(bare, axis=1), rtol=1e-11)


def test_a_start_that_excludes_every_row_recovers():
    X = latent_classes(100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        est = run(BernoulliMixtureEM(2, theta_init=[[0.0] * 5, [1.0] * 5]), X)
    assert np.isfinite(est.lower_bound_)
    assert np.isfinite(est.theta_).all()
    assert_allclose(est.weights_.sum(), 1.0)


# EM, step by step.


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_samples", [50, 5000])
def test_the_textbook_iterations(missing, weighted, n_samples):
    """5000 rows of five items have at most 32 patterns: collapsed or not, the same."""
    X = latent_classes(n_samples, missing=missing)
    weight = np.random.default_rng(1).exponential(size=n_samples) if weighted else None
    theta = np.random.default_rng(2).uniform(0.2, 0.8, size=(3, 5))
    start = np.array([0.5, 0.3, 0.2])
    est = BernoulliMixtureEM(3, weights_init=start, theta_init=theta)
    run(est, X, 20, sample_weight=weight)
    weights, theta, trace = bernoulli_em(X, start, theta, 20, weight)
    assert_allclose(est.weights_, weights, atol=1e-8)
    assert_allclose(est.theta_, theta, atol=1e-8)
    assert_allclose(est.lower_bounds_, trace, rtol=1e-10)


def test_patterns_and_rows_are_the_same_data():
    X = latent_classes(5000)
    patterns, counts = np.unique(X, axis=0, return_counts=True)
    one = run(BernoulliMixtureEM(3, random_state=0), X)
    two = run(BernoulliMixtureEM(3, random_state=0), patterns, sample_weight=counts)
    assert_same(one, two)


# Priors.


def test_beta_prior_in_closed_form():
    """K = 1: the mode of Beta(a + ones, b + zeros)."""
    X = latent_classes(40)
    weight = np.arange(40) % 4
    a, b = 2.5, 4.0
    est = BernoulliMixtureEM(1, theta_prior=(a, b)).fit(X, sample_weight=weight)
    expected = (weight @ X + a - 1) / (weight.sum() + a + b - 2)
    assert_allclose(est.theta_[0], expected, rtol=1e-12)
    assert_array_equal(est.weights_, [1.0])


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_mode_is_a_fixed_point(missing):
    """At convergence each parameter is the mode given the responsibilities."""
    X = latent_classes(100, missing=missing)
    (a, b), c = (1.7, 2.2), 3.0
    est = BernoulliMixtureEM(
        3,
        theta_prior=(a, b),
        weights_prior=c,
        tol=1e-14,
        max_iter=50_000,
        random_state=0,
    ).fit(X)
    resp = est.predict_proba(X)
    seen, ones = ~np.isnan(X), np.nan_to_num(X)
    theta = (resp.T @ ones + a - 1) / (resp.T @ seen + a + b - 2)
    weights = (resp.sum(axis=0) + c - 1) / (100 + 3 * (c - 1))
    assert_allclose(est.theta_, theta, atol=1e-5)
    assert_allclose(est.weights_, weights, atol=1e-5)
    flat = BernoulliMixtureEM(3, random_state=0).fit(X)
    assert abs(flat.theta_ - est.theta_).max() > 0.01


@pytest.mark.parametrize("acceleration", [None, "squarem"])
def test_the_penalised_bound_never_falls(acceleration):
    """It is F plus the log prior per row, up to the prior's constant."""
    X = latent_classes(80)
    (a, b), c = (2.0, 3.0), 2.5
    params = {
        "theta_prior": (a, b),
        "weights_prior": c,
        "acceleration": acceleration,
        "init_params": "random",
        "random_state": 0,
    }
    est = run(BernoulliMixtureEM(3, **params), X, 25)
    assert np.diff(est.lower_bounds_).min() >= -1e-9
    assert_allclose(est.lower_bound_, est.score(X), rtol=1e-10)
    if acceleration is not None:
        return
    gaps = []
    for t in (1, 3, 25):
        est = run(BernoulliMixtureEM(3, **params), X, t)
        log_prior = (a - 1) * np.log(est.theta_).sum()
        log_prior += (b - 1) * np.log1p(-est.theta_).sum()
        log_prior += (c - 1) * np.log(est.weights_).sum()
        gaps.append(est.lower_bounds_[-1] - est.score(X) - log_prior / 80)
    assert_allclose(gaps, gaps[0], atol=1e-9)


def test_a_prior_keeps_theta_off_the_boundary():
    est = BernoulliMixtureEM(1, theta_prior=(2.0, 2.0)).fit(np.ones((10, 2)))
    assert_allclose(est.theta_, 11 / 12)
    assert np.isfinite(est.score_samples([[0.0, 0.0]])).all()


# Containers.


@pytest.mark.parametrize(
    "container",
    [
        sp.csr_matrix,
        sp.csr_array,
        lambda X: sp.csr_array(X.astype(bool)),
        lambda X: sp.csr_array(X.astype(np.int64)),
        lambda X: X.astype(bool),
        lambda X: X.astype(np.int32),
        lambda X: X.astype(np.float32),
    ],
    ids=["csr_matrix", "csr_array", "csr bool", "csr int", "bool", "int", "float32"],
)
@pytest.mark.parametrize("binarize", [0.0, None])
def test_containers_hold_the_same_rows(container, binarize):
    X = latent_classes(150, n_features=12)
    weight = np.arange(150) % 3
    params = {"n_components": 3, "binarize": binarize, "random_state": 0}
    dense = run(BernoulliMixtureEM(**params), X, sample_weight=weight)
    other = run(BernoulliMixtureEM(**params), container(X), sample_weight=weight)
    # Single precision keeps seven digits of each of 150 summands.
    tol = 1e-4 if container(X).dtype == np.float32 else 1e-8
    assert_same(other, dense, tol=tol)
    held_out = latent_classes(40, n_features=12, seed=1)
    for method in ("score_samples", "predict_proba"):
        one = getattr(dense, method)(container(held_out))
        two = getattr(dense, method)(held_out)
        assert_allclose(one, two, rtol=tol, atol=tol)


def test_stored_zeros_are_zeros():
    X = sp.csr_array(np.array([[1.0, 1], [1, 0], [0, 1], [1, 1]]))
    X.data[:2] = [0.0, 1.0]
    one = BernoulliMixtureEM().fit(X)
    assert_array_equal(one.theta_, [[0.5, 0.75]])


def test_sparse_rows_are_not_made_dense():
    """20 non-zeros in 20,000 items: dense rows would take 320 MB, ours far less."""
    rng = np.random.default_rng(0)
    columns = rng.integers(20_000, size=(2000, 20))
    rows = np.repeat(np.arange(2000), 20)
    X = sp.csr_array((np.ones(40_000), (rows, columns.ravel())), shape=(2000, 20_000))
    X.data[:] = 1.0
    est = BernoulliMixtureEM(2, random_state=0)
    tracemalloc.start()
    try:
        run(est, X, 3)
        est.score(X)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40e6


@pytest.mark.parametrize("sparse", [False, True])
def test_binarize_is_a_threshold(sparse):
    rng = np.random.default_rng(0)
    X = rng.choice([0.0, 0.2, 0.5, 0.7, 1.0], size=(60, 4))
    raw = sp.csr_array(X) if sparse else X
    one = BernoulliMixtureEM(2, binarize=0.5, random_state=0).fit(raw)
    above = (X > 0.5).astype(float)  # 0.5 itself is a zero
    two = BernoulliMixtureEM(2, binarize=None, random_state=0).fit(above)
    assert_same(one, two)
    assert_allclose(one.score_samples(raw), two.score_samples(above), rtol=1e-12)
    default = BernoulliMixtureEM(2, random_state=0).fit(X)
    assert_allclose(default.weights_ @ default.theta_, (X > 0).mean(axis=0))


def test_binarize_keeps_missing_values_missing():
    X = np.array([[3.0, np.nan], [-2.0, 5.0], [np.nan, 4.0], [1.0, -1.0]])
    est = BernoulliMixtureEM(1).fit(X)
    assert_allclose(est.theta_, [[2 / 3, 2 / 3]])


# Missing values by summing over what they might have been.


def completions(x):
    hidden = np.flatnonzero(np.isnan(x))
    rows = np.tile(x, (2 ** len(hidden), 1))
    rows[:, hidden] = binary_vectors(len(hidden)) if len(hidden) else rows[:, hidden]
    return rows


def all_incomplete_rows():
    return np.array(list(itertools.product([0.0, 1.0, np.nan], repeat=5)))


def test_missing_values_are_summed_out():
    est = fitted()
    X = all_incomplete_rows()
    expected = [logsumexp(est.score_samples(completions(x))) for x in X]
    assert_allclose(est.score_samples(X), expected, rtol=1e-10, atol=1e-12)
    nothing_seen = np.full((1, 5), np.nan)
    assert_allclose(est.predict_proba(nothing_seen)[0], est.weights_, rtol=1e-12)


def test_impute_is_the_conditional_expectation():
    est = fitted()
    X = all_incomplete_rows()
    untouched = X.copy()
    imputed = est.impute(X)
    assert_array_equal(X, untouched)
    for x, filled in zip(X, imputed, strict=True):
        rows = completions(x)
        prob = np.exp(est.score_samples(rows))
        expected = np.where(np.isnan(x), prob @ rows / prob.sum(), x)
        assert_allclose(filled, expected, rtol=1e-10)


def test_rows_without_a_value_change_nothing():
    X = latent_classes(100, missing=0.2)
    more = np.vstack([X, np.full((30, 5), np.nan)])
    params = {"weights_init": [0.3, 0.7], "tol": 1e-13, "max_iter": 100_000}
    theta = np.random.default_rng(0).uniform(0.2, 0.8, size=(2, 5))
    one = BernoulliMixtureEM(2, theta_init=theta, **params).fit(X)
    two = BernoulliMixtureEM(2, theta_init=theta, **params).fit(more)
    assert_allclose(two.theta_, one.theta_, atol=1e-4)
    assert_allclose(two.weights_, one.weights_, atol=1e-4)
    assert_allclose(two.lower_bound_, one.lower_bound_ * 100 / 130, rtol=1e-8)


# Samples.


def test_samples_have_the_moments_of_the_model():
    est = BernoulliMixtureEM(3, random_state=0).fit(latent_classes(300))
    n = 20_000
    X, labels = est.sample(n)
    assert X.shape == (n, 5)
    assert labels.shape == (n,)
    assert set(np.unique(X)) == {0, 1}

    def check(frequency, probability, count):
        # Five standard errors: one chance in two million for each number.
        error = 5 * np.sqrt(probability * (1 - probability) / count)
        assert (abs(frequency - probability) <= error + 1e-12).all()

    counts = np.bincount(labels, minlength=3)
    check(counts / n, est.weights_, n)
    for k in range(3):
        check(X[labels == k].mean(axis=0), est.theta_[k], counts[k])
    # Within a component items are independent.
    k = int(np.argmax(counts))
    correlation = np.corrcoef(X[labels == k][:, :2].T)[0, 1]
    assert abs(correlation) < 5 / np.sqrt(counts[k])


def test_uniform_weights_are_sampled_uniformly():
    est = fitted(weights="uniform")
    _, labels = est.sample(9000)
    counts = np.bincount(labels, minlength=3)
    assert abs(counts - 3000).max() < 5 * np.sqrt(9000 * 2 / 9)


def test_nothing_warns_when_all_is_well():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        est = BernoulliMixtureEM(2, max_iter=1000, random_state=0).fit(
            latent_classes(200)
        )
        est.score_samples(binary_vectors(5))
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        BernoulliMixtureEM(2, max_iter=1, tol=0).fit(latent_classes(200))
