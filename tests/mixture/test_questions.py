"""What a mixture says of some cells given others: draws, and conditional densities."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.special import logsumexp

from sklvm import GaussianMixtureEM, PoissonMixtureEM
from sklvm.mixture.families.gaussian import GaussianComponents

from .families import FAMILIES, GAUSSIAN, blobs, make, run

COUPLED = ["full", "tied"]


def fitted(family, dtype=np.float64, missing=0.2, **params):
    X = blobs(300, n_features=4, missing=missing, family=family).astype(dtype)
    return run(make(family, n_components=3, **params), X, 5), X


@pytest.fixture(scope="module", params=FAMILIES)
def mixture(request):
    return fitted(request.param)


# Draws of the missing cells ------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("family", FAMILIES)
def test_observed_cells_are_as_they_were(family, dtype):
    est, X = fitted(family, dtype)
    draws = est.sample_missing(X, 3)
    assert draws.shape == (3, *X.shape)
    assert draws.dtype == dtype
    observed = ~np.isnan(X)
    assert_array_equal(draws[:, observed], np.tile(X[observed], (3, 1)))
    assert np.isfinite(draws).all()
    assert not np.array_equal(draws[0], draws[1])
    assert_array_equal(draws, est.sample_missing(X, 3))  # a seed is a seed
    est.set_params(random_state=1)
    assert not np.array_equal(draws, est.sample_missing(X, 3))


def test_draws_do_not_depend_on_chunks_and_threads(mixture):
    est, X = mixture
    draws = est.sample_missing(X)
    est.set_params(batch_size=17, n_jobs=2)
    again = est.sample_missing(X)
    est.set_params(batch_size=None, n_jobs=None)
    assert_allclose(draws, again, rtol=1e-9, atol=1e-9)


def test_many_rows_are_drawn_in_chunks(monkeypatch):
    est, X = fitted("full")
    monkeypatch.setattr("sklvm.mixture._questions.chunk_size", lambda *args: 997)
    draws = est.sample_missing(X, 200)
    missing = np.isnan(X)
    error = draws.mean(axis=0)[missing] - est.impute(X)[missing]
    deviation = draws.std(axis=0)[missing] / np.sqrt(200)
    assert (abs(error) <= 5.5 * deviation).all()


def test_the_mean_of_draws_is_the_imputed_value(mixture):
    """Some hundred cells: none is off by more than 5.5 deviations of the mean."""
    est, X = mixture
    X = X[:40].copy()
    X[-1] = np.nan
    n = 2000
    missing = np.isnan(X)
    cells = est.sample_missing(X, n)[:, missing]
    if hasattr(est, "n_categories_"):  # where impute gives the most probable code
        modes = [np.bincount(c.astype(int), minlength=3) for c in cells.T]
        best = est.impute(X)[missing].astype(int)
        for counts, code in zip(modes, best, strict=True):
            assert counts[code] >= counts.max() - 5 * np.sqrt(n)
        return
    deviation = np.maximum(cells.std(axis=0), 1e-2) / np.sqrt(n)
    assert (abs(cells.mean(axis=0) - est.impute(X)[missing]) <= 5.5 * deviation).all()


@pytest.mark.parametrize("kind", GAUSSIAN)
@pytest.mark.parametrize("observed", [[], [1], [0, 2], [0, 1, 2]])
def test_gaussian_draws_have_the_conditional_moments(kind, observed):
    """Mean and covariance of one component, against the closed form."""
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(2, 3, 3))
    components = GaussianComponents(3, missing=True, covariance_type=kind, reg_covar=0)
    shape = components.covariance
    scatters = [shape.outer(root) for root in roots]
    covariances = shape.divide(shape.stack(scatters), np.full((2, 3), 3.0))
    means = rng.normal(size=(2, 3))
    values = {"means": means, "covariances": covariances}
    params = components.replaced((None,) * 3, values)
    n = 30_000
    x = np.full(3, np.nan)
    x[observed] = [0.5, -1, 2.0][: len(observed)]
    labels = np.arange(2 * n) % 2
    rows = np.tile(x, (2 * n, 1))
    drawn = components.draw(params, labels, rows, np.random.RandomState(0))
    matrices = np.broadcast_to(shape.matrices(covariances), (2, 3, 3))
    rest = np.setdiff1d(range(3), observed)
    for k in (0, 1):
        y, sigma = drawn[labels == k], matrices[k]
        assert_array_equal(y[:, observed], np.tile(x[observed], (n, 1)))
        if not len(rest):
            continue
        slope = sigma[np.ix_(rest, observed)] @ np.linalg.inv(
            sigma[np.ix_(observed, observed)]
        )
        mean = means[k][rest] + slope @ (x - means[k])[observed]
        cov = sigma[np.ix_(rest, rest)] - slope @ sigma[np.ix_(observed, rest)]
        variances = np.diag(cov)
        assert (abs(y[:, rest].mean(axis=0) - mean) <= 5 * np.sqrt(variances / n)).all()
        # Var of a sample covariance: (s_ij^2 + s_ii s_jj) / n.
        error = np.sqrt((cov**2 + np.outer(variances, variances)) / n)
        assert (abs(np.cov(y[:, rest].T) - cov) <= 5 * error).all()


@pytest.mark.parametrize("kind", COUPLED)
def test_draws_far_from_the_origin(kind):
    X = blobs(300, n_features=3)
    X += 1e6
    est = make(kind, n_components=1).fit(X)
    X[:, 0] = np.nan
    residuals = est.sample_missing(X)[0, :, 0] - est.impute(X)[:, 0]
    matrix = est.covariances_.reshape(3, 3)
    variance = 1 / np.linalg.inv(matrix)[0, 0]
    assert abs(residuals.mean()) <= 5 * np.sqrt(variance / 300)
    assert abs(residuals.var() - variance) <= 5 * variance * np.sqrt(2 / 300)


def test_the_component_is_drawn_from_its_posterior():
    """What is observed decides between two rates: chi-squared of the joint counts."""
    est = PoissonMixtureEM.from_parameters(
        [0.4, 0.6], [[1.0, 0.5], [4.0, 9.0]], random_state=0
    )
    n = 20_000
    drawn = est.sample_missing([[2, np.nan]], n)[:, 0, 1]
    levels = np.arange(25)
    rows = np.column_stack([np.full(25, 2), levels])
    p = np.exp(est.score_samples(rows) - est.score_samples([[2, np.nan]]))
    expected = n * np.append(p, 1 - p.sum())
    counts = np.bincount(np.minimum(drawn, 25).astype(int), minlength=26)
    large = expected > 5
    chi2 = ((counts - expected)[large] ** 2 / expected[large]).sum()
    assert chi2 < stats.chi2.ppf(1 - 1e-4, large.sum())


def test_nothing_to_draw():
    est, X = fitted("poisson", missing=0)
    assert_array_equal(est.sample_missing(X.astype(int), 2), [X, X])
    for method in (est.sample_missing, lambda X: est.conditional_score_samples(X, 0)):
        with pytest.raises(ValueError, match=r"in a sparse one nothing is missing"):
            method(sp.csr_array(X))
    with pytest.raises(ValueError, match="n_draws=0 must be"):
        est.sample_missing(X, 0)


# Conditional densities -----------------------------------------------------------


def test_the_chain_rule(mixture):
    """log p(x) = sum_d log p(x_d | x_1 .. x_(d-1)), in any order of the columns."""
    est, X = mixture
    for order in ([0, 1, 2, 3], [2, 0, 3, 1]):
        total = np.zeros(len(X))
        for i in range(4):
            only = np.full_like(X, np.nan)
            only[:, order[: i + 1]] = X[:, order[: i + 1]]
            total += est.conditional_score_samples(only, order[:i])
        assert_allclose(total, est.score_samples(X), rtol=1e-10, atol=1e-10)


def test_given_nothing_and_given_all(mixture):
    est, X = mixture
    assert_array_equal(est.conditional_score_samples(X, []), est.score_samples(X))
    assert not est.conditional_score_samples(X, slice(None)).any()


def test_discrete_conditionals_sum_to_one():
    for family in ("bernoulli", "categorical"):
        est, X = fitted(family)
        n_levels = {"bernoulli": 2, "categorical": 3}[family]
        rows = np.repeat(X[:20], n_levels, axis=0)
        rows[:, 1] = np.tile(np.arange(n_levels), 20)
        p = np.exp(est.conditional_score_samples(rows, [0, 2, 3]))
        assert_allclose(p.reshape(20, n_levels).sum(axis=1), 1, rtol=1e-10)


def test_gaussian_conditional_is_a_mixture_of_conditionals():
    est, X = fitted("full", missing=0)
    expected = []
    for mean, sigma, weight in zip(
        est.means_, est.covariances_, est.weights_, strict=True
    ):
        first = stats.multivariate_normal(mean[:2], sigma[:2, :2])
        slope = np.linalg.solve(sigma[:2, :2], sigma[:2, 2:]).T
        rest = stats.multivariate_normal(cov=sigma[2:, 2:] - slope @ sigma[:2, 2:])
        deviations = X[:, 2:] - mean[2:] - (X[:, :2] - mean[:2]) @ slope.T
        log_given = np.log(weight) + first.logpdf(X[:, :2])
        expected.append([log_given, log_given + rest.logpdf(deviations)])
    log_given, log_both = logsumexp(expected, axis=0)
    actual = est.conditional_score_samples(X, [0, 1])
    assert_allclose(actual, log_both - log_given, rtol=1e-9, atol=1e-9)


def test_columns_by_name_position_mask_and_slice():
    X = pd.DataFrame(blobs(60), columns=["a", "b", "c"])
    est = make("full", n_components=2).fit(X)
    expected = est.conditional_score_samples(X, [0, 1])
    for columns in (
        ["a", "b"],
        np.array(["b", "a"], dtype=object),
        X.columns[:2],
        [True, True, False],
        slice(2),
        [-3, 1],
    ):
        assert_array_equal(est.conditional_score_samples(X, columns), expected)
    first = est.conditional_score_samples(X, "a")
    assert_array_equal(first, est.conditional_score_samples(X, 0))
    with pytest.raises(ValueError, match="'z' is not among the names"):
        est.conditional_score_samples(X, ["a", "z"])
    for columns in (3, [True, False], 0.5):
        with pytest.raises(ValueError, match="must be names or positions of the 3"):
            est.conditional_score_samples(X, columns)
    unnamed = make("full", n_components=2).fit(X.to_numpy())
    with pytest.raises(ValueError, match="'a' is not among the names"):
        unnamed.conditional_score_samples(X.to_numpy(), "a")


def test_impossible_rows():
    est = PoissonMixtureEM.from_parameters([1.0], [[0.0, 2.0]])
    X = [[1, 2], [0, 2]]
    possible = stats.poisson.logpmf(2, 2)
    assert_allclose(est.conditional_score_samples(X, 0), [-np.inf, possible])
    assert_allclose(est.conditional_score_samples(X, 1), [-np.inf, 0], atol=1e-12)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(FAMILIES))
def test_nothing_observed_says_exactly_nothing(seed, family):
    """log p is 0 to the last bit, whatever the rounded weights sum to."""
    dtype = [np.float64, np.float32][seed % 2]
    X = blobs(40, seed=seed, missing=0.2, family=family).astype(dtype)
    est = run(make(family, n_components=3), X, 2)
    nothing = np.full((2, 3), np.nan, dtype)
    assert_array_equal(est.score_samples(np.vstack([X, nothing]))[-2:], 0)
    assert est.score(nothing) == 0
    assert_array_equal(est.conditional_score_samples(nothing, [0]), 0)
    assert_allclose(est.predict_proba(nothing), [est.weights_] * 2, rtol=1e-5)


def test_a_certain_row_keeps_its_density():
    """Only a row of nothing is set to 0, not one whose density happens to be near."""
    est = GaussianMixtureEM.from_parameters([1.0], [[0.0]], [[[1 / (2 * np.pi)]]])
    log_p = est.score_samples([[0.01], [np.nan]])
    assert_allclose(log_p[0], -np.pi * 1e-4, rtol=1e-9)
    assert log_p[1] == 0
