"""PoissonMixtureEM against published numbers, scipy, enumeration and closed forms."""

import re
import tracemalloc
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import poisson
from sklearn.exceptions import ConvergenceWarning

from sklvm import PoissonMixtureEM

from .families import assert_same, run
from .reference import poisson_em, poisson_log_joint, responsibilities
from .tables import DEATHS

RATES = np.array([[8.0, 1.0, 3.0], [1.0, 6.0, 3.0], [2.0, 2.0, 12.0]])


def counts(n_samples, seed=0, missing=0.0, rates=RATES):
    """Counts of three groups; the first rows are complete."""
    rng = np.random.default_rng(seed)
    X = rng.poisson(rates[rng.integers(len(rates), size=n_samples)]).astype(float)
    hidden = rng.random(X.shape) < missing
    hidden[:5] = False
    X[hidden] = np.nan
    return X


def fitted(n_components=3, **params):
    params = {"random_state": 0} | params
    return PoissonMixtureEM(n_components, **params).fit(counts(300))


def start(n_components=3, n_features=3):
    """A full start, away from any symmetry."""
    rates = np.random.default_rng(2).uniform(1.0, 9.0, size=(n_components, n_features))
    weights = np.arange(1.0, n_components + 1)
    return {"weights_init": weights / weights.sum(), "rates_init": rates}


# Published: two kinds of days in the notices of deaths in The Times.


def test_published_maximum_likelihood():
    """Hasselblad (1969): 0.3599 of the days at rate 1.2561, the others at 2.6634."""
    X, count = DEATHS
    common = {"tol": 1e-13, "max_iter": 50_000, "random_state": 0}
    est = PoissonMixtureEM(2, **common).fit(X, sample_weight=count)
    order = np.argsort(est.rates_[:, 0])
    # The likelihood is so flat that the last digits need F to 1e-12.
    assert_allclose(est.weights_[order], [0.3599, 0.6401], atol=3e-4)
    assert_allclose(est.rates_[order, 0], [1.2561, 2.6634], atol=3e-4)
    assert abs(count.sum() * est.lower_bound_ - -1989.9459) < 6e-5


def test_squarem_reaches_the_published_maximum_in_fewer_iterations():
    X, count = DEATHS
    common = {"tol": 1e-10, "max_iter": 50_000, "rates_init": [[1.0], [3.0]]}
    plain = PoissonMixtureEM(2, **common).fit(X, sample_weight=count)
    fast = PoissonMixtureEM(2, acceleration="squarem", **common)
    fast.fit(X, sample_weight=count)
    assert fast.n_iter_ < plain.n_iter_ / 2
    assert abs(count.sum() * fast.lower_bound_ - -1989.9459) < 6e-5


# The density.


def test_probabilities_of_all_counts_sum_to_one():
    est = PoissonMixtureEM(2, random_state=0).fit(counts(200)[:, :1])
    every = np.arange(200.0)[:, np.newaxis]
    assert_allclose(np.exp(est.score_samples(every)).sum(), 1.0, rtol=1e-12)


@pytest.mark.parametrize("missing", [0.0, 0.5])
def test_score_samples_is_the_formula(missing):
    est, X = fitted(), counts(60, seed=1, missing=missing)
    log_joint = poisson_log_joint(X, est.weights_, est.rates_)
    assert_allclose(
        est.score_samples(X), logsumexp(log_joint, axis=1), rtol=1e-10, atol=1e-12
    )
    assert_allclose(est.predict_proba(X), responsibilities(log_joint), atol=1e-10)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    rates=st.lists(st.floats(1e-3, 1e6), min_size=2, max_size=4),
    seed=st.integers(0, 2**32 - 1),
)
def test_rates_of_any_size(rates, seed):
    """From one count in a thousand rows to a million in a row, and far from both."""
    rates = np.array(rates)[:, np.newaxis]
    weights = np.full(len(rates), 1 / len(rates))
    est = PoissonMixtureEM.from_parameters(weights, rates)
    draws = np.random.default_rng(seed).poisson(rates.ravel())
    X = np.append(draws, [0, 1, 1000]).astype(float)[:, np.newaxis]
    expected = logsumexp(poisson_log_joint(X, weights, rates), axis=1)
    # log Gamma of a million is 1e7, of which ten digits are left.
    assert_allclose(est.score_samples(X), expected, rtol=1e-9, atol=1e-7)


def test_uniform_weights_normalise_the_likelihoods():
    est, X = fitted(weights="uniform"), counts(40, seed=1)
    likelihood = np.exp(poisson_log_joint(X, np.ones(3), est.rates_))
    expected = likelihood / likelihood.sum(axis=1, keepdims=True)
    assert_allclose(est.predict_proba(X), expected, rtol=1e-8, atol=1e-12)


def test_a_thousand_features_do_not_underflow():
    X = counts(60, rates=np.tile(RATES, (1, 150)))
    est = PoissonMixtureEM(3, random_state=0).fit(X)
    log_joint = poisson_log_joint(X, est.weights_, est.rates_)
    assert_allclose(est.score_samples(X), logsumexp(log_joint, axis=1), rtol=1e-10)
    assert est.score(X) < -745  # exp of which is zero


def test_one_component_adds_up_over_the_features():
    X = counts(50)
    est = PoissonMixtureEM().fit(X)
    assert_allclose(est.rates_[0], X.mean(axis=0), rtol=1e-12)
    expected = poisson.logpmf(X, X.mean(axis=0)).sum(axis=1)
    assert_allclose(est.score_samples(X), expected, rtol=1e-11)


# The boundary: a rate of zero.


def two_certain_blocks():
    """Rows (2 0) and (0 2); a component has a rate of exactly 0 after one step."""
    X = np.repeat([[2.0, 0.0], [0.0, 2.0]], [30, 10], axis=0)
    rates = [[2.0, 0.0], [0.0, 2.0]]
    est = PoissonMixtureEM(2, rates_init=rates, weights_init=[0.5, 0.5]).fit(X)
    return est, X


def test_the_boundary_is_exact():
    est, _ = two_certain_blocks()
    assert_array_equal(est.rates_, [[2, 0], [0, 2]])
    assert_array_equal(est.weights_, [0.75, 0.25])
    two, none = poisson.logpmf([2, 0], 2.0)
    log_prob = est.score_samples([[2.0, 0], [0, 2], [0, 0], [np.nan, 0]])
    of_first, of_second = np.log([0.75, 0.25])
    one_unseen = np.logaddexp(of_first, of_second + none)
    expected = [of_first + two, of_second + two, none, one_unseen]
    assert_allclose(log_prob, expected, rtol=1e-14)
    assert_array_equal(est.score_samples([[1.0, 1], [3, 1]]), [-np.inf, -np.inf])


def test_an_impossible_row_still_has_a_posterior():
    est, X = two_certain_blocks()
    impossible = np.array([[1.0, 1.0]])
    assert_allclose(est.predict_proba(impossible).sum(), 1.0)
    rows = np.vstack([X, impossible])
    assert est.score(rows) == -np.inf
    silent = np.append(np.ones(len(X)), 0.0)
    assert est.score(rows, sample_weight=silent) == est.score(X)


def test_counts_that_are_always_zero():
    """They are learnt as certain, and cost nothing."""
    X = counts(100)
    padded = np.column_stack([X, np.zeros(100)])
    est = run(PoissonMixtureEM(2, random_state=0), padded)
    assert_array_equal(est.rates_[:, 3], [0, 0])
    bare = poisson_log_joint(X, est.weights_, est.rates_[:, :3])
    assert_allclose(est.score_samples(padded), logsumexp(bare, axis=1), rtol=1e-10)


# EM, step by step.


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_textbook_iterations(missing, weighted):
    X = counts(300, missing=missing)
    weight = np.random.default_rng(1).exponential(size=300) if weighted else None
    est = run(PoissonMixtureEM(3, **start()), X, 15, sample_weight=weight)
    weights, rates, trace = poisson_em(X, *start().values(), 15, weight)
    assert_allclose(est.weights_, weights, atol=1e-8)
    assert_allclose(est.rates_, rates, rtol=1e-8, atol=1e-8)
    assert_allclose(est.lower_bounds_, trace, rtol=1e-10)


def test_patterns_and_rows_are_the_same_data():
    X = counts(1000, rates=RATES / 4)
    patterns, weight = np.unique(X, axis=0, return_counts=True)
    one = run(PoissonMixtureEM(3, random_state=0), X)
    two = run(PoissonMixtureEM(3, random_state=0), patterns, sample_weight=weight)
    assert_same(one, two)


def test_the_fixed_point_maximises_the_observed_likelihood():
    """EM against a direct climb over the logarithms, with gaps."""
    X = counts(60, missing=0.3)
    est = PoissonMixtureEM(2, tol=1e-14, max_iter=50_000, **start(2)).fit(X)

    def loss(vector):
        weights = np.array([1.0, np.exp(vector[0])])
        rates = np.exp(vector[1:]).reshape(2, 3)
        log_joint = poisson_log_joint(X, weights / weights.sum(), rates)
        return -logsumexp(log_joint, axis=1).mean()

    begin = np.log(np.append(est.weights_[1] / est.weights_[0], est.rates_)) + 0.05
    best = minimize(loss, begin, method="BFGS", options={"gtol": 1e-7})
    assert_allclose(est.lower_bound_, -best.fun, atol=1e-8)
    assert_allclose(est.rates_.ravel(), np.exp(best.x[1:]), rtol=1e-4)


# Priors.


def test_gamma_prior_in_closed_form():
    """K = 1: the mode of Gamma(a + sum of counts, b + rows)."""
    X, weight, (a, b) = counts(40), np.arange(40) % 4, (2.5, 4.0)
    est = PoissonMixtureEM(rates_prior=(a, b)).fit(X, sample_weight=weight)
    expected = (weight @ X + a - 1) / (weight.sum() + b)
    assert_allclose(est.rates_[0], expected, rtol=1e-12)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_textbook_iterations_under_a_prior(missing):
    X, prior = counts(100, missing=missing), (1.8, 2.5)
    est = run(PoissonMixtureEM(3, rates_prior=prior, **start()), X, 10)
    weights, rates, _ = poisson_em(X, *start().values(), 10, prior=prior)
    assert_allclose(est.weights_, weights, atol=1e-8)
    assert_allclose(est.rates_, rates, atol=1e-8)


def test_the_mode_is_a_fixed_point():
    """At convergence each parameter is the mode given the responsibilities."""
    X, (a, b), c = counts(100, missing=0.2), (1.7, 2.2), 3.0
    common = {"tol": 1e-14, "max_iter": 50_000, "random_state": 0}
    est = PoissonMixtureEM(3, rates_prior=(a, b), weights_prior=c, **common).fit(X)
    resp = est.predict_proba(X)
    rates = resp.T @ np.nan_to_num(X) + a - 1
    rates /= resp.T @ ~np.isnan(X) + b
    weights = (resp.sum(axis=0) + c - 1) / (100 + 3 * (c - 1))
    assert_allclose(est.rates_, rates, atol=1e-5)
    assert_allclose(est.weights_, weights, atol=1e-5)


@pytest.mark.parametrize("acceleration", [None, "squarem"])
def test_the_penalised_bound_never_falls(acceleration):
    """It is F plus the log prior per row, up to the prior's constant."""
    X, (a, b), c = counts(80), (2.0, 3.0), 2.5
    params = {
        "rates_prior": (a, b),
        "weights_prior": c,
        "acceleration": acceleration,
        "init_params": "random",
        "random_state": 0,
    }
    est = run(PoissonMixtureEM(3, **params), X, 25)
    assert np.diff(est.lower_bounds_).min() >= -1e-9
    assert_allclose(est.lower_bound_, est.score(X), rtol=1e-10)
    if acceleration is not None:
        return
    gaps = []
    for t in (1, 3, 25):
        est = run(PoissonMixtureEM(3, **params), X, t)
        log_prior = ((a - 1) * np.log(est.rates_) - b * est.rates_).sum()
        log_prior += (c - 1) * np.log(est.weights_).sum()
        gaps.append(est.lower_bounds_[-1] - est.score(X) - log_prior / 80)
    assert_allclose(gaps, gaps[0], atol=1e-9)


def test_a_prior_keeps_rates_off_zero():
    est = PoissonMixtureEM(rates_prior=(2.0, 1.0)).fit(np.zeros((9, 2)))
    assert_allclose(est.rates_, 1 / 10)
    assert np.isfinite(est.score_samples([[5.0, 0.0]])).all()


# Containers and precisions.


@pytest.mark.parametrize(
    "container",
    [
        sp.csr_matrix,
        sp.csr_array,
        sp.csc_array,
        lambda X: sp.csr_array(X.astype(np.int64)),
        lambda X: X.astype(np.int32),
        lambda X: X.astype(np.uint8),
        lambda X: X.astype(np.float32),
        lambda X: sp.csr_array(X.astype(np.float32)),
        np.asfortranarray,
        pd.DataFrame,
        lambda X: pd.DataFrame(X).astype("Int64"),
    ],
    ids=[
        "csr_matrix",
        "csr_array",
        "csc",
        "csr int",
        "int32",
        "uint8",
        "float32",
        "csr float32",
        "columns",
        "frame",
        "Int64",
    ],
)
def test_containers_hold_the_same_rows(container):
    X, weight = counts(150), np.arange(150) % 3
    params = {"n_components": 3, "random_state": 0}
    dense = run(PoissonMixtureEM(**params), X, sample_weight=weight)
    other = run(PoissonMixtureEM(**params), container(X), sample_weight=weight)
    # Single precision keeps seven digits of each of 150 summands.
    tol = 1e-3 if other.rates_.dtype == np.float32 else 1e-8
    assert_same(other, dense, tol=tol)
    held_out = counts(40, seed=1)
    for method in ("score_samples", "predict_proba", "transform"):
        one = getattr(dense, method)(container(held_out))
        two = getattr(dense, method)(held_out)
        assert_allclose(one, two, rtol=tol, atol=tol)
    assert_array_equal(other.predict(container(held_out)), dense.predict(held_out))


def test_sparse_batches_are_dense_batches():
    one, two = (PoissonMixtureEM(2, random_state=0) for _ in range(2))
    for rows in np.split(counts(120), 3):
        one.partial_fit(rows)
        two.partial_fit(sp.csr_array(rows))
    assert_same(one, two)


def test_entries_of_a_sparse_row_that_repeat_are_added_up():
    X = sp.csr_matrix((np.ones(5), [0, 0, 1, 1, 0], [0, 2, 3, 5]), shape=(3, 2))
    kept = X.copy()
    est = PoissonMixtureEM().fit(X)
    assert_allclose(est.rates_, [[1.0, 2 / 3]])
    assert (kept != X).nnz == 0
    assert not X.has_canonical_format


@pytest.mark.slow
def test_sparse_rows_are_not_made_dense():
    """20 words in 20,000: dense rows would take 320 MB, ours far less."""
    rng = np.random.default_rng(0)
    columns = rng.integers(20_000, size=(2000, 20))
    rows = np.repeat(np.arange(2000), 20)
    X = sp.csr_array((np.ones(40_000), (rows, columns.ravel())), shape=(2000, 20_000))
    est = PoissonMixtureEM(2, random_state=0)
    tracemalloc.start()
    try:
        run(est, X, 3)
        est.score(X)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40e6


def test_float32_takes_the_same_steps():
    X = counts(300, missing=0.2)
    double = run(PoissonMixtureEM(3, **start()), X, 10)
    single = run(PoissonMixtureEM(3, **start()), X.astype(np.float32), 10)
    assert single.rates_.dtype == single.weights_.dtype == np.float32
    assert single.score_samples(X.astype(np.float32)).dtype == np.float32
    # Rounding of 6e-8 of terms up to forty, over ten steps.
    assert_allclose(single.rates_, double.rates_, rtol=1e-3)
    assert_allclose(single.lower_bounds_, double.lower_bounds_, rtol=1e-5)


def test_a_frame_keeps_its_names():
    X = pd.DataFrame(counts(60), columns=["calls", "visits", "orders"])
    est = PoissonMixtureEM(2, random_state=0).fit(X)
    assert list(est.feature_names_in_) == list(X.columns)


def test_one_row_is_its_own_rate():
    est = PoissonMixtureEM().fit([[3.0, 0.0, 7.0]])
    assert_array_equal(est.rates_, [[3, 0, 7]])
    expected = poisson.logpmf([3, 7], [3, 7]).sum()
    assert_allclose(est.lower_bound_, expected, rtol=1e-12)


# Missing values.


def test_missing_values_are_summed_out():
    """Over every count that might have been, up to where none is left."""
    est, X = fitted(), np.array([[3.0, np.nan, 2], [np.nan, 1, 0], [0, 9, np.nan]])
    for x in X:
        rows = np.repeat(x[np.newaxis], 150, axis=0)
        rows[:, np.isnan(x)] = np.arange(150.0)[:, np.newaxis]
        expected = logsumexp(est.score_samples(rows))
        assert_allclose(est.score_samples(x[np.newaxis]), expected, rtol=1e-10)
    nothing_seen = np.full((1, 3), np.nan)
    assert est.score_samples(nothing_seen)[0] == pytest.approx(0.0, abs=1e-12)
    assert_allclose(est.predict_proba(nothing_seen)[0], est.weights_, rtol=1e-12)


def test_impute_is_the_conditional_mean():
    est, X = fitted(), counts(40, seed=1, missing=0.5)
    X[-1] = np.nan
    untouched = X.copy()
    imputed = est.impute(X)
    assert_array_equal(X, untouched)
    resp = responsibilities(poisson_log_joint(X, est.weights_, est.rates_))
    expected = np.where(np.isnan(X), resp @ est.rates_, X)
    assert_allclose(imputed, expected, rtol=1e-9)


def test_a_feature_that_a_component_never_sees_keeps_its_rate():
    X = np.array([[1000.0, np.nan]] * 20 + [[1.0, 3.0]] * 20)
    est = PoissonMixtureEM(
        2, rates_init=[[1000.0, 7.0], [1.0, 2.0]], weights_init=[0.5, 0.5]
    )
    run(est, X, 3)
    # A count of 1 has exp(-992) at a rate of 1000: nothing in float64.
    assert_allclose(est.rates_, [[1000, 7], [1, 3]], rtol=1e-10)


# Samples and criteria.


def test_samples_have_the_moments_of_the_model():
    est, n = fitted(), 20_000
    X, labels = est.sample(n)
    assert X.shape == (n, 3)
    assert_array_equal(X, np.round(X))
    of_component = np.bincount(labels, minlength=3)
    # Five standard errors everywhere: one chance in two million for each number.
    error = np.sqrt(est.weights_ * (1 - est.weights_) / n)
    assert (abs(of_component / n - est.weights_) < 5 * error).all()
    for k, rate in enumerate(est.rates_):
        rows, size = X[labels == k], of_component[k]
        assert (abs(rows.mean(axis=0) - rate) < 5 * np.sqrt(rate / size)).all()
        # Var of an empirical variance: (mu_4 - rate^2) / n = (rate + 2 rate^2) / n.
        error = np.sqrt((rate + 2 * rate**2) / size)
        assert (abs(rows.var(axis=0) - rate) < 5 * error).all()
        covariance = np.cov(rows.T)[0, 1]
        assert abs(covariance) < 5 * np.sqrt(rate[0] * rate[1] / size)


@pytest.mark.parametrize("weights", ["free", "uniform"])
def test_criteria_count_a_rate_for_each_component_and_feature(weights):
    est, X = fitted(weights=weights), counts(300)
    n_parameters = 9 + (2 if weights == "free" else 0)
    deviance = -2 * est.score_samples(X).sum()
    assert_allclose(est.bic(X), deviance + n_parameters * np.log(300), rtol=1e-10)
    assert_allclose(est.aic(X), deviance + 2 * n_parameters, rtol=1e-10)
    assert_allclose(est.bic(sp.csr_array(X)), est.bic(X), rtol=1e-10)


def test_bic_finds_the_number_of_groups():
    X = counts(600)
    bic = [
        PoissonMixtureEM(k, n_init=3, random_state=0).fit(X).bic(X) for k in range(1, 6)
    ]
    assert np.argmin(bic) == 3 - 1


def test_nothing_warns_when_all_is_well():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        est = PoissonMixtureEM(3, max_iter=1000, random_state=0)
        est.fit(counts(200, missing=0.1)).score(counts(200))
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        PoissonMixtureEM(3, max_iter=1, tol=0).fit(counts(200))


# Bad input: one sentence with the parameter, the value and the remedy.


def assert_refuses(est, X, *said, method="fit", **fit_params):
    before = joblib.hash(vars(est))
    with pytest.raises((ValueError, TypeError)) as caught:
        getattr(est, method)(X, **fit_params)
    message = str(caught.value)
    for words in said:
        assert re.search(words, message), message
    assert joblib.hash(vars(est)) == before


def counts_with(value):
    X = counts(50)
    X[7, 2] = value
    return X


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("method", ["fit", "partial_fit", "score_samples", "predict"])
def test_negative_counts(container, method):
    X = container(counts_with(-4.0))
    assert_refuses(fitted(), X, "-4", method=method)
    if "fit" in method:
        assert_refuses(PoissonMixtureEM(2), X, "-4", method=method)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_infinite_counts(container):
    assert_refuses(PoissonMixtureEM(2), container(counts_with(np.inf)), "inf")


@pytest.mark.parametrize(
    "value",
    [(0.5, 0.0), (1.0, -1.0), (1.0,), 2.0, ("a", "b"), (np.nan, 0.0), (1.0, np.inf)],
)
def test_bad_priors(value):
    est = PoissonMixtureEM(2, rates_prior=value)
    assert_refuses(est, counts(50), "rates_prior")


@pytest.mark.parametrize(
    "value, said",
    [
        (np.ones((2, 4)), r"\(2, 4\)"),
        (np.ones((3, 3)), r"\(3, 3\)"),
        (np.full((2, 3), -0.25), "-0.25"),
        (np.full((2, 3), np.nan), "(?i)nan"),
        (np.full((2, 3), np.inf), "inf"),
    ],
    ids=["features", "components", "negative", "nan", "inf"],
)
def test_bad_starts(value, said):
    est = PoissonMixtureEM(2, rates_init=value)
    assert_refuses(est, counts(50), "rates_init", said)


def test_large_counts_in_float32_have_all_digits():
    """Of their factorials, too; the counts themselves float32 holds exactly."""
    rates = np.array([[3000.0, 2.0], [4.0, 20000.0]])
    X = np.random.default_rng(0).poisson(rates[[0, 1] * 20]).astype(np.float32)
    model = PoissonMixtureEM.from_parameters([0.5, 0.5], rates)
    log_prob = poisson.logpmf(X.astype(int), rates[:, np.newaxis]).sum(2)
    expected = logsumexp(log_prob, axis=0, b=0.5)
    assert_allclose(model.score_samples(X), expected, rtol=1e-10)
