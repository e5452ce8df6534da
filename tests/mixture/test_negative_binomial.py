"""Negative binomial components, against SciPy and by their own equations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats
from scipy.optimize import minimize_scalar

from sklvm.mixture._mixture import MixtureParams
from sklvm.mixture._rows import Workspace
from sklvm.mixture.families.dispersion import MOST_DISPERSION, log1p_ratio
from sklvm.mixture.families.negative_binomial import (
    MOST_LEVELS,
    NegativeBinomialComponents,
)
from sklvm.mixture.families.poisson import PoissonComponents

from .components import e_step, fit, log_prob

LEVELS = np.arange(MOST_LEVELS)


def one(mean, dispersion):
    return np.array([[mean]], dtype=float), np.array([[dispersion]], dtype=float)


def counts(mean, dispersion, size, rng):
    if dispersion > 0:
        mean = mean * rng.gamma(1 / dispersion, dispersion, size=size)
    return rng.poisson(mean, size=size).astype(float)


def histogram(x):
    return np.bincount(x.astype(int))[np.newaxis].astype(float)


def m_step(histogram, params=None):
    components = NegativeBinomialComponents(1, n_levels=histogram.shape[1])
    return components.m_step((histogram,), params)


def log_likelihood(histogram, mean, dispersion):
    components = NegativeBinomialComponents(1, n_levels=histogram.shape[1])
    levels = np.arange(histogram.shape[1], dtype=float)[:, np.newaxis]
    return histogram[0] @ log_prob(components, one(mean, dispersion), levels)[0]


@pytest.mark.parametrize("n_levels", [1, 20, MOST_LEVELS])
@pytest.mark.parametrize("mean", [0.05, 2.0, 300.0])
@pytest.mark.parametrize("dispersion", [1e-2, 0.5, 20.0])
def test_log_pmf_is_that_of_scipy(n_levels, mean, dispersion):
    """Counts in the table and beyond it alike."""
    components = NegativeBinomialComponents(1, n_levels=n_levels)
    X = np.r_[0:40, 100, 1000, 5000.0][:, np.newaxis]
    r = 1 / dispersion
    expected = stats.nbinom.logpmf(X[:, 0], r, 1 / (1 + dispersion * mean))
    assert_allclose(
        log_prob(components, one(mean, dispersion), X)[0],
        expected,
        rtol=1e-9,
        atol=1e-9,
    )


@pytest.mark.parametrize("dispersion", [0.0, 1e-300, 1e-12, 1e-6])
def test_the_limit_is_poisson(dispersion):
    """Where log-gamma functions of 1 / alpha would have lost all digits."""
    X = np.r_[0:40, 100, 1000.0][:, np.newaxis]
    nb = NegativeBinomialComponents(1, n_levels=10)
    poisson = PoissonComponents(1)
    expected = log_prob(poisson, (np.array([[3.0]]),), X)[0]
    # To first order in alpha: ((x - mu)^2 - x) / 2 is the score.
    expected += dispersion * ((X[:, 0] - 3) ** 2 - X[:, 0]) / 2
    actual = log_prob(nb, one(3, dispersion), X)[0]
    assert_allclose(actual, expected, rtol=1e-13, atol=1e9 * dispersion**2)


@pytest.mark.parametrize(
    ("mean", "dispersion"), [(0.5, 0), (3, 0.2), (50, 0.5), (9, 2)]
)
def test_probabilities_sum_to_one(mean, dispersion):
    components = NegativeBinomialComponents(1, n_levels=30)
    p = np.exp(log_prob(components, one(mean, dispersion), 1.0 * LEVELS[:, np.newaxis]))
    assert_allclose(p.sum(), 1, rtol=1e-11)
    assert_allclose(p[0] @ LEVELS, mean, rtol=1e-8)
    variance = mean + dispersion * mean**2
    assert_allclose(p[0] @ (LEVELS - mean) ** 2, variance, rtol=1e-7)


def test_a_mean_of_zero_excludes_counts_above():
    components = NegativeBinomialComponents(2, n_levels=5)
    params = np.array([[0.0, 2.0]]), np.array([[0.0, 1.0]])
    X = np.array([[0.0, 1], [1, 1], [99, 1], [np.nan, 1]])
    alone = stats.nbinom.logpmf(1, 1, 1 / 3)
    actual = log_prob(components, params, X)[0]
    assert_allclose(actual, [alone, -np.inf, -np.inf, alone])


histograms = st.lists(st.integers(0, 30), min_size=2, max_size=25).map(
    lambda h: np.array([h], dtype=float)
)


@settings(max_examples=60, deadline=None)
@given(histograms)
def test_m_step_maximises(histogram):
    if not histogram[:, 1:].any():
        return
    (mean,), (dispersion,) = (p[0] for p in m_step(histogram))
    best = log_likelihood(histogram, mean, dispersion)
    for factor in (0.99, 1.01):
        assert log_likelihood(histogram, factor * mean, dispersion) <= best
    found = minimize_scalar(
        lambda t: -log_likelihood(histogram, mean, np.exp(t)), bounds=(-25, 13)
    )
    assert best >= -found.fun - 1e-9 * abs(best)
    if dispersion > 1e-6:
        assert_allclose(np.log(dispersion), found.x, atol=1e-3)


@settings(max_examples=60, deadline=None)
@given(histograms)
def test_dispersion_is_zero_just_where_the_variance_is_not_above_the_mean(histogram):
    if not histogram.any():
        return
    levels = np.arange(histogram.shape[1])
    mean = np.average(levels, weights=histogram[0])
    variance = np.average((levels - mean) ** 2, weights=histogram[0])
    (dispersion,) = m_step(histogram)[1][0]
    assert dispersion >= 0
    if abs(variance - mean) > 1e-12:
        assert (dispersion > 0) == (variance > mean)


@pytest.mark.parametrize("mean", [0.02, 5, 500])
@pytest.mark.parametrize("dispersion", [1e-3, 0.1, 1, 50])
def test_m_step_finds_the_root_of_the_score_from_any_guess(mean, dispersion):
    rng = np.random.default_rng(0)
    x = np.minimum(counts(mean, dispersion, 3000, rng), MOST_LEVELS - 1)
    h = histogram(x)
    cold = m_step(h)
    for guess in (1e-12, 1e-4, 1.0, MOST_DISPERSION):
        assert_allclose(m_step(h, one(mean, guess))[1], cold[1], rtol=1e-7)
    step = 1e-3 * cold[1].item() if cold[1] > 0 else 1e-9
    level = log_likelihood(h, *np.ravel(cold))
    for alpha in (cold[1].item() - step, cold[1].item() + step):
        if alpha >= 0:
            assert log_likelihood(h, cold[0].item(), alpha) <= level + 1e-10 * abs(
                level
            )


def test_the_largest_dispersion():
    """One large count in ten million rows: the maximum lies above the bound."""
    h = np.zeros((1, 1001))
    h[0, 0], h[0, -1] = 1e7, 1
    assert_allclose(m_step(h)[1], MOST_DISPERSION)


def test_what_no_row_shows_stays_as_it_was():
    components = NegativeBinomialComponents(2, n_levels=[3, 4])
    statistics = np.array([[0.0, 0, 0, 1, 1, 1, 2]])
    old = np.array([[7.0, 8.0]]), np.array([[0.5, 0.6]])
    means, dispersions = components.m_step((statistics,), old)
    assert (means[0, 0], dispersions[0, 0]) == (7.0, 0.5)
    assert_allclose(means[0, 1], 9 / 5)
    means, dispersions = components.m_step((0 * statistics,), None)
    assert not means.any()
    assert not dispersions.any()


def test_statistics_are_histograms():
    rng = np.random.default_rng(0)
    X = rng.integers(0, [4, 9], size=(50, 2)).astype(float)
    X[::3, 0] = np.nan
    resp = rng.uniform(size=(3, 50))
    components = NegativeBinomialComponents(2, n_levels=[4, 9], missing=True)
    (actual,) = components.statistics(components.features(X), resp)
    levels = np.hstack([X[:, :1] == np.arange(4), X[:, 1:] == np.arange(9)])
    assert_allclose(actual, resp @ levels)


def test_counts_beyond_the_table():
    components = NegativeBinomialComponents(2, n_levels=[4, 9])
    features = components.features(np.array([[1.0, 2], [3, 12]]))
    with pytest.raises(ValueError, match=r"count 12 in the feature 1.*n_levels to 13"):
        components.statistics(features, np.ones((1, 2)))
    with pytest.raises(ValueError, match=r"n_levels=4097.*lognormal"):
        NegativeBinomialComponents(2, n_levels=[4, 4097])


def mixture_rows(n, rng, missing=0.0):
    z = rng.integers(2, size=n)
    mean, alpha = np.array([[3.0, 20], [12, 5]])[z], np.array([[0.5, 0.2], [0.1, 1]])[z]
    X = rng.poisson(mean * rng.gamma(1 / alpha, alpha)).astype(float)
    X[rng.random(X.shape) < missing] = np.nan
    return X


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("accelerate", [False, True])
def test_the_bound_never_falls_and_the_truth_is_found(missing, accelerate):
    X = mixture_rows(4000, np.random.default_rng(0), missing)
    components = NegativeBinomialComponents(
        2, n_levels=np.nanmax(X, axis=0).astype(int) + 1, missing=missing > 0
    )
    mixture, run = fit(components, X, 2, accelerate=accelerate, n_iter=300)
    assert run.converged
    assert np.diff(run.lower_bounds).min() >= -1e-10
    means, dispersions = run.point.params.components
    order = means[:, 0].argsort()
    # Four deviations of the estimates of 2,000 rows, of which 30 % may miss.
    assert_allclose(means[order], [[3, 20], [12, 5]], rtol=0.15)
    assert_allclose(dispersions[order], [[0.5, 0.2], [0.1, 1]], atol=0.25)
    assert mixture.n_parameters() == 1 + 8


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.booleans())
def test_the_bound_never_falls_on_few_rows(seed, weighted):
    rng = np.random.default_rng(seed)
    X = mixture_rows(25, rng, 0.2)
    X[0] = [1, 1]
    weight = rng.exponential(size=25) if weighted else None
    components = NegativeBinomialComponents(
        2, n_levels=np.nanmax(X, axis=0).astype(int) + 1, missing=True
    )
    _, run = fit(components, X, 3, n_iter=30, weight=weight)
    assert np.diff(run.lower_bounds).min(initial=0) >= -1e-10


def test_poisson_rows_have_the_poisson_fit():
    """Counts that vary less than Poisson's: the family adds nothing."""
    X = np.random.default_rng(0).binomial(8, 0.6, size=(500, 2)).astype(float)
    components = NegativeBinomialComponents(2, n_levels=9)
    _, run = fit(components, X, 1)
    _, poisson = fit(PoissonComponents(2), X, 1)
    means, dispersions = run.point.params.components
    assert not dispersions.any()
    assert_allclose(means[0], X.mean(axis=0))
    assert_allclose(run.objective, poisson.objective, rtol=1e-12)


def test_missing_counts_are_summed_out():
    components = NegativeBinomialComponents(2, n_levels=5, missing=True)
    params = np.array([[2.0, 3], [4, 5]]), np.array([[0.3, 0], [1, 2.0]])
    X = np.array([[3.0, np.nan], [np.nan, 9], [np.nan, np.nan]])
    whole = np.column_stack([np.full_like(LEVELS, 3), LEVELS]).astype(float)
    actual = log_prob(components, params, X)
    summed = np.log(np.exp(log_prob(components, params, whole)).sum(axis=1))
    assert_allclose(actual[:, 0], summed, rtol=1e-10)
    assert not actual[:, 2].any()


def test_samples_have_the_mean_and_the_variance():
    components = NegativeBinomialComponents(2, n_levels=5)
    mean, alpha = np.array([[2.0, 30], [4, 0]]), np.array([[0.3, 0], [1, 2.0]])
    n = 40_000
    labels = np.repeat([0, 1], n)
    X = components.sample((mean, alpha), labels, np.random.RandomState(0))
    for k in (0, 1):
        rows = X[labels == k]
        variance = mean[k] + alpha[k] * mean[k] ** 2
        assert_allclose(
            rows.mean(axis=0), mean[k], atol=5 * np.sqrt(variance.max() / n)
        )
        fourth = ((rows - mean[k]) ** 4).mean(axis=0)
        assert (abs(rows.var(axis=0) - variance) <= 5 * np.sqrt(fourth / n)).all()


def test_fill_is_the_mean():
    components = NegativeBinomialComponents(2, n_levels=5, missing=True)
    params = MixtureParams(
        np.array([0.3, 0.7]),
        (np.array([[2.0, 3], [4, 50]]), np.array([[0.3, 0], [1, 2]])),
    )
    X = np.array([[3.0, np.nan]])
    mixture, _ = fit(components, np.array([[1.0, 2], [3, 4]]), 2, n_iter=1)
    step = e_step(mixture, params)
    resp = step.posterior(X, Workspace())
    assert_allclose(step.filled(X, Workspace())[0, 1], resp[:, 0] @ [3, 50])


def test_unconstrained_coordinates():
    components = NegativeBinomialComponents(2, n_levels=5)
    params = np.array([[2.0, 0], [4, 50]]), np.array([[0.3, 0], [1, 2]])
    values = components.to_unconstrained(params, params)
    for actual, expected in zip(
        components.from_unconstrained(values, params), params, strict=True
    ):
        assert_allclose(actual, expected, rtol=1e-14)
    assert components.from_unconstrained((values[0], values[1] + 1e4), params) is None
    assert (
        components.from_unconstrained((values[0] + np.inf, values[1]), params) is None
    )


def test_points_have_nearly_the_same_variance_everywhere():
    components = NegativeBinomialComponents(1, n_levels=5)
    rng = np.random.default_rng(0)
    for mean in (20.0, 200.0):
        X = counts(mean, 0.2, 20_000, rng)[:, np.newaxis]
        points = components.points(X, one(mean, 0.2))[0]
        assert_allclose(points.var(), 0.25, rtol=0.15)
    assert_allclose(components.points(X, one(mean, 0))[0], np.sqrt(X))


def test_log1p_ratio():
    assert_allclose(log1p_ratio(np.array([0, 1e-20, 2.0]), 3.0), [3, 3, np.log(7) / 2])


# The prior ------------------------------------------------------------------------


def log_posterior(histogram, mean, dispersion, prior):
    components = NegativeBinomialComponents(1, n_levels=histogram.shape[1], prior=prior)
    log_prior = components.log_prior(one(mean, dispersion))
    return log_likelihood(histogram, mean, dispersion) + log_prior


@pytest.mark.parametrize("prior", [(1.1, 0.0), (3.0, 0.5), (1.0, 2.0)])
@pytest.mark.parametrize("n", [5, 200])
def test_the_m_step_is_the_mode_of_the_posterior(prior, n):
    rng = np.random.default_rng(0)
    x = histogram(counts(4.0, 0.8, n, rng))
    components = NegativeBinomialComponents(1, n_levels=x.shape[1], prior=prior)
    mean, dispersion = (p[0, 0] for p in components.m_step((x,), None))
    best = log_posterior(x, mean, dispersion, prior)
    for factor in (0.5, 0.9, 0.999, 1.001, 1.1, 2):
        assert log_posterior(x, mean * factor, dispersion, prior) < best
        assert log_posterior(x, mean, dispersion * factor, prior) < best


def test_the_prior_is_gamma_for_poisson_counts():
    components = NegativeBinomialComponents(1, n_levels=9, prior=(1.5, 0.3))
    poisson = PoissonComponents(1, prior=(1.5, 0.3))
    for mean in (0.2, 3.0):
        assert_allclose(
            components.log_prior(one(mean, 0)), poisson.log_prior((np.array([[mean]]),))
        )


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 60), min_size=2, max_size=30),
    st.sampled_from([(1.1, 0.0), (1.5, 0.3), (1.0, 1.0)]),
    st.floats(0.01, 100),
    st.floats(0, 100),
)
def test_the_m_step_never_lowers_the_posterior(x, prior, mean, dispersion):
    rows = histogram(np.array([*x, 1])) * 0.3  # few rows, where the prior counts
    components = NegativeBinomialComponents(1, n_levels=rows.shape[1], prior=prior)
    before = log_posterior(rows, mean, dispersion, prior)
    new = (p[0, 0] for p in components.m_step((rows,), one(mean, dispersion)))
    assert log_posterior(rows, *new, prior) >= before - 1e-9 * abs(before)
