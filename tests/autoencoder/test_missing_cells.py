"""Missing cells of a table of six kinds, against an integral over z on a grid."""

import copy

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chisquare, kstest

from sklvm import GMVAE, VAE

from .mixed import KINDS, PARAMS, Integral, mixed_table, with_gaps
from .models import curve, quietly

COLUMNS = [columns[0] for _, columns in KINDS]
N_ROWS = 40


@pytest.fixture(scope="module")
def vae():
    """Fitted to complete rows.

    By the importance-weighted bound, which leaves q(z|x) as wide as the posterior of a
    row that misses much, so that estimates by its draws come close to the integrals.
    """
    params = PARAMS | {"objective": "iwae", "n_draws": 8}
    return quietly(VAE(mask_rate=0.25, **params).fit, mixed_table(500))


@pytest.fixture(scope="module")
def integral(vae):
    return Integral(vae)


@pytest.fixture(scope="module")
def complete():
    return mixed_table(N_ROWS, seed=1)


@pytest.fixture(scope="module")
def gaps(complete):
    return with_gaps(complete, 0.4, seed=2)


def row_with(complete, columns):
    """One row of which only some columns are known."""
    row = complete.iloc[[3]].convert_dtypes()
    return row.mask(np.array([[name not in columns for name in row.columns]]))


# log p(x), and the bound.


@pytest.mark.slow
@pytest.mark.parametrize("name", ["complete", "gaps"])
def test_log_likelihood_is_the_integral_over_z(vae, integral, name, request):
    X = request.getfixturevalue(name)
    error = vae.log_likelihood(X, n_importance=20000) - integral.log_evidence(X)
    assert abs(error.mean()) < 0.003
    # But for an outlying row, whose weights are few.
    assert np.quantile(abs(error), 0.95) < 0.01


def test_the_integral_is_not_that_of_independent_columns(integral, complete):
    """So that the tests here would notice if z were of no use."""
    alone = [integral.log_evidence_of(complete, [j]) for j in range(len(COLUMNS))]
    gain = integral.log_evidence(complete) - np.sum(alone, axis=0)
    assert gain.mean() > 0.5


@pytest.mark.parametrize("name", ["complete", "gaps"])
def test_the_score_is_a_lower_bound(vae, integral, name, request):
    X = request.getfixturevalue(name)
    evidence = integral.log_evidence(X)
    errors = []
    for n_score_draws in (1, 16, 4096):
        est = copy.copy(vae).set_params(n_score_draws=n_score_draws, n_score_steps=0)
        errors.append(est.score_samples(X) - evidence)
    assert errors[0].mean() < errors[1].mean() < 0
    assert errors[1].mean() > -0.5
    # So many draws are nearly all of log p(x).
    assert abs(errors[2].mean()) < 0.01


@pytest.mark.slow
def test_a_column_alone_is_scored_in_its_own_unit(vae, integral, complete):
    some = complete.iloc[::2]
    for j, name in enumerate(COLUMNS):
        X = some.convert_dtypes()
        X.loc[:, [other for other in COLUMNS if other != name]] = pd.NA
        actual = vae.log_likelihood(X, n_importance=20000)
        error = np.abs(actual - integral.log_evidence_of(some, [j]))
        # A value in the tail of its column has few draws near it.
        assert np.quantile(error, 0.9) < 0.01
        assert error.max() < 0.3


@pytest.mark.slow
def test_a_mixture_of_components_is_integrated_too(complete, gaps):
    params = PARAMS | {"max_epochs": 30}
    est = quietly(GMVAE(3, mask_rate=0.25, **params).fit, mixed_table(500))
    integral = Integral(est)
    # Of a row that misses much, p(w|x) has three modes and q(w|x) has one.
    for X, tolerance in ((complete, 0.01), (gaps, 0.2)):
        actual = est.log_likelihood(X, 20000)
        assert_allclose(actual, integral.log_evidence(X), atol=tolerance)
    terms = est.set_params(n_score_draws=1, n_score_steps=0).elbo_terms(gaps)
    assert_allclose(sum(terms.values()), est.score_samples(gaps), rtol=1e-4)


# Imputation.


def expected_cells(integral, X):
    """E[x_j|observed], or the most probable code, of every cell."""
    posterior = integral.posterior(X)
    cells = []
    for p in integral.features:
        if hasattr(p, "theta"):
            cells.append((posterior @ p.theta).argmax(axis=1))
        else:
            cells.append(posterior @ p.mean())
    return np.column_stack(cells)


def test_imputed_cells_are_the_conditional_means(vae, integral, complete, gaps):
    filled = vae.impute(gaps, n_importance=20000)
    expected = expected_cells(integral, gaps)
    hidden = gaps.isna().to_numpy()
    for name, tolerance in {
        "year": 2e-2,
        "income": 2e-2 * complete.income.std(),
    }.items():
        j = COLUMNS.index(name)
        actual = filled[name].to_numpy()[hidden[:, j]]
        assert_allclose(actual, expected[hidden[:, j], j], atol=tolerance)
    for name in ("visits", "clicks"):
        j = COLUMNS.index(name)
        actual = filled[name].to_numpy(dtype=float)[hidden[:, j]]
        # The nearest count to the mean.
        assert np.abs(actual - expected[hidden[:, j], j]).max() < 0.5 + 0.05
    j = COLUMNS.index("plan")
    codes = filled.plan.map({"basic": 0, "free": 1, "gold": 2})
    assert (codes[hidden[:, j]] == expected[hidden[:, j], j]).mean() > 0.9
    j = COLUMNS.index("smokes")
    sure = hidden[:, j] & (np.abs(expected[:, j] - 0.5) > 0.02)
    assert_array_equal(filled.smokes[sure], expected[sure, j] > 0.5)


def test_observed_cells_are_as_they_were(vae, gaps):
    for filled in (vae.impute(gaps), *vae.sample_missing(gaps, 2)):
        assert not filled.isna().to_numpy().any()
        for name in COLUMNS:
            seen = gaps[name].notna()
            before, after = gaps[name][seen], filled[name][seen]
            if name in ("year", "income"):
                assert_allclose(after.astype(float), before.astype(float), rtol=1e-6)
            else:
                assert (after == before).all()


def test_imputation_belongs_to_the_row(vae, gaps):
    whole = vae.impute(gaps)
    pd.testing.assert_frame_equal(vae.impute(gaps), whole)
    turned = vae.impute(gaps.iloc[::-1]).iloc[::-1]
    assert_allclose(turned.year.astype(float), whole.year.astype(float), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("column", ["smokes", "plan"])
def test_missing_probabilities_are_those_of_the_integral(vae, integral, gaps, column):
    X = gaps.copy()
    X[column] = pd.NA
    posterior = integral.posterior(X)
    p = integral.features[COLUMNS.index(column)]
    if column == "plan":
        expected = posterior @ p.theta
    else:
        theta = posterior @ p.mean()
        expected = np.column_stack([1 - theta, theta])
    actual = vae.predict_missing_proba(X, column, n_importance=20000)
    assert actual.dtype == np.float32
    assert_allclose(actual, expected, atol=0.01)
    # What is in the column itself is not looked at.
    again = vae.predict_missing_proba(gaps, column, n_importance=20000)
    assert_array_equal(again, actual)
    by_position = vae.predict_missing_proba(X, COLUMNS.index(column), 20000)
    assert_array_equal(by_position, actual)
    assert actual.shape[1] == len(vae.categories_[column])


def test_probabilities_are_of_discrete_columns_only(vae, complete):
    with pytest.raises(ValueError, match=r"column='year' must be a bernoulli or"):
        vae.predict_missing_proba(complete, "year")
    with pytest.raises(ValueError, match=r"'height', which X does not have"):
        vae.predict_missing_proba(complete, "height")


# Draws of missing cells.


N_DRAWS, N_COPIES = 4000, 50


def many_draws(vae, row):
    """Draws of one row: of copies of it, as a table for each draw takes its time."""
    copies = pd.concat([row] * N_COPIES)
    return pd.concat(vae.sample_missing(copies, N_DRAWS // N_COPIES, 20000))


@pytest.fixture(scope="module")
def drawn(vae, complete):
    row = row_with(complete, ["visits", "plan"])
    return row, many_draws(vae, row)


@pytest.mark.parametrize("column", ["year", "income"])
def test_real_draws_have_the_conditional_distribution(integral, drawn, column):
    row, draws = drawn
    posterior = integral.posterior(row)[0]
    p = integral.features[COLUMNS.index(column)]

    def cdf(x):
        return p.cdf(x[:, np.newaxis]) @ posterior

    assert kstest(draws[column].to_numpy(dtype=float), cdf).pvalue > 1e-3


def test_counts_drawn_have_the_conditional_distribution(integral, drawn):
    row, draws = drawn
    posterior = integral.posterior(row)[0]
    p = integral.features[COLUMNS.index("clicks")]
    theta = np.array([posterior @ p.pmf(k) for k in range(200)])
    clicks = draws.clicks.to_numpy(dtype=int)
    shares = np.bincount(clicks.clip(max=199), minlength=200)
    cut = np.flatnonzero(N_DRAWS * theta[::-1].cumsum() > 10)[0]
    last = 199 - cut
    observed = np.append(shares[:last], shares[last:].sum())
    expected = np.append(theta[:last], 1 - theta[:last].sum())
    assert chisquare(observed, N_DRAWS * expected).pvalue > 1e-3


def test_cells_of_a_row_are_drawn_together(vae, integral, complete):
    """Two cells that both hang on z: their joint distribution."""
    row = row_with(complete, [])
    row["year"] = 2000.5
    draws = many_draws(vae, row)
    posterior = integral.posterior(row)[0]
    bit = integral.features[COLUMNS.index("smokes")].mean()
    plan = integral.features[COLUMNS.index("plan")].theta
    bits = np.stack([1 - bit, bit])
    joint = np.einsum("g,bg,gc->bc", posterior, bits, plan)
    apart = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    codes = draws.plan.map({"basic": 0, "free": 1, "gold": 2}).astype(int)
    cells = 3 * draws.smokes.astype(int) + codes
    observed = np.bincount(cells, minlength=6)
    assert chisquare(observed, N_DRAWS * joint.ravel()).pvalue > 1e-3
    assert chisquare(observed, N_DRAWS * apart.ravel()).pvalue < 1e-10


def test_draws_come_as_tables_of_the_same_form(vae, gaps):
    draws = vae.sample_missing(gaps, 3)
    assert len(draws) == 3
    for draw in draws:
        assert list(draw.columns) == COLUMNS
        assert_array_equal(draw.index, gaps.index)
    assert not draws[0].equals(draws[1])
    for first, again in zip(draws, vae.sample_missing(gaps, 3), strict=True):
        pd.testing.assert_frame_equal(first, again)


def test_draws_of_an_array_are_an_array():
    X = curve(100)
    est = quietly(
        VAE(
            1, mask_rate=0.2, max_epochs=2, hidden_layer_sizes=(4,), random_state=0
        ).fit,
        X,
    )
    gaps = X.copy()
    gaps[::2, 1] = np.nan
    draws = est.sample_missing(gaps, 5, n_importance=50)
    assert draws.shape == (5, 100, 3)
    assert draws.dtype == np.float32
    seen = ~np.isnan(gaps)
    assert_array_equal(draws[:, seen], np.tile(X[seen].astype(np.float32), (5, 1)))
    assert (draws[:, ::2, 1].std(axis=0) > 0).all()
    # Complete rows come back as they are.
    assert_array_equal(est.sample_missing(X)[0], X.astype(np.float32))


# Some columns given others.


@pytest.mark.slow
@pytest.mark.parametrize("given, at", [(["year", "plan"], [0, 3]), ("clicks", [5])])
def test_conditional_scores_are_those_of_the_integral(
    vae, integral, complete, given, at
):
    expected = integral.log_evidence(complete) - integral.log_evidence_of(complete, at)
    actual, std = vae.conditional_score_samples(
        complete, given, n_importance=20000, return_std=True
    )
    assert actual.dtype == std.dtype == np.float32
    error = np.abs(actual - expected)
    assert np.quantile(error, 0.8) < 0.01
    # The weights of a row in the tails vary much.
    assert error.max() < 0.2
    # A standard error covers 68 per cent of independent draws.
    assert (error < std).mean() > 0.6
    assert std.max() < 0.2


@pytest.mark.parametrize(
    "given",
    [
        [0, 3],
        [-6, -3],
        [True, False, False, True, False, False],
        slice(0, 4, 3),
        np.array(["year", "plan"]),
        pd.Index(["plan", "year"]),
    ],
    ids=["positions", "from the end", "mask", "slice", "array", "index"],
)
def test_columns_are_given_in_any_way(vae, complete, given):
    expected = vae.conditional_score_samples(complete, ["year", "plan"], 50)
    assert_array_equal(vae.conditional_score_samples(complete, given, 50), expected)


@pytest.mark.slow
def test_conditional_scores_over_what_is_observed(vae, integral, gaps):
    expected = integral.log_evidence(gaps) - integral.log_evidence_of(gaps, [0, 3])
    actual = vae.conditional_score_samples(gaps, ["year", "plan"], 20000)
    error = np.abs(actual - expected)
    assert np.quantile(error, 0.8) < 0.01
    assert error.max() < 0.2


def test_given_nothing_is_the_log_likelihood(vae, complete):
    actual = vae.conditional_score_samples(complete, [], n_importance=500)
    assert_allclose(actual, vae.log_likelihood(complete, 500), rtol=1e-6)


def test_given_everything_nothing_is_left(vae, complete):
    everything = slice(None)
    assert_array_equal(vae.conditional_score_samples(complete, everything, 50), 0)


def test_given_columns_that_are_not_there(vae, complete):
    with pytest.raises(ValueError, match=r"given names \['height'\], which X does not"):
        vae.conditional_score_samples(complete, ["height"])


# mask_rate, and nothing observed.


def line(n_samples, seed=0):
    """Each column is the latent with noise 0.3."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_samples, 1)) + 0.3 * rng.normal(size=(n_samples, 3))


@pytest.fixture(scope="module", params=[VAE, GMVAE])
def numbers(request):
    """Fitted to complete rows of numbers, to answer for rows with gaps."""
    est = request.param(
        latent_dim=1,
        mask_rate=0.4,
        hidden_layer_sizes=(16,),
        max_epochs=30,
        lr=0.01,
        random_state=0,
    )
    return quietly(est.fit, line(400))


def test_mask_rate_answers_for_rows_with_gaps(numbers):
    X = line(200, seed=1)
    gaps = X.copy()
    gaps[:, 1] = np.nan
    filled = numbers.impute(gaps, 500)
    error = np.sqrt(np.mean((filled[:, 1] - X[:, 1]) ** 2))
    # The best is sqrt(0.3^2 + 1 / (1 + 2 / 0.3^2)) = 0.36; the column's sd is 1.04.
    assert error < 0.5
    assert np.isfinite(numbers.score_samples(gaps)).all()
    assert np.isfinite(numbers.transform(gaps)).all()


def test_nothing_observed_has_the_log_probability_zero(numbers):
    X = line(5)
    X[2] = np.nan
    assert numbers.score_samples(X)[2] == 0
    assert numbers.log_likelihood(X, 50)[2] == 0
    assert (numbers.score_samples(X)[[0, 1, 3, 4]] != 0).all()
    assert_array_equal(numbers.score_samples(np.full((3, 3), np.nan)), 0)
    assert np.isfinite(numbers.impute(X)).all()
    actual, std = numbers.conditional_score_samples(X, [0], 50, return_std=True)
    assert actual[2] == std[2] == 0
    if isinstance(numbers, GMVAE):
        terms = numbers.elbo_terms(X)
        for name in terms:
            assert terms[name][2] == 0
            assert (terms[name][[0, 1, 3, 4]] != 0).all()


def test_nothing_observed_in_a_table_is_zero_and_imputed_by_the_marginal(
    vae, integral, complete
):
    nothing = row_with(complete, [])
    assert_array_equal(vae.score_samples(nothing), 0)
    assert_array_equal(vae.log_likelihood(nothing, 50), 0)
    filled = vae.impute(nothing, n_importance=20000)
    expected = expected_cells(integral, nothing)[0]
    assert float(filled.year.iloc[0]) == pytest.approx(expected[0], abs=0.05)
    proba = vae.predict_missing_proba(nothing, "plan", 20000)[0]
    theta = integral.features[COLUMNS.index("plan")].theta
    assert_allclose(proba, integral.posterior(nothing)[0] @ theta, atol=0.01)


@pytest.mark.parametrize("estimator", [VAE, GMVAE])
def test_gaps_that_no_training_has_seen_name_mask_rate(estimator):
    X = curve(60)
    est = estimator(latent_dim=1, max_epochs=1, hidden_layer_sizes=(4,), random_state=0)
    quietly(est.fit, X)
    gaps = X.copy()
    gaps[0, 0] = np.nan
    for method in ("score_samples", "log_likelihood", "impute", "sample_missing"):
        with pytest.raises(ValueError, match=r"mask_rate=0\.2"):
            getattr(est, method)(gaps)
    with pytest.raises(ValueError, match=r"mask_rate=0\.2"):
        est.conditional_score_samples(X, [0])


def test_mask_rate_is_at_most_one_half():
    with pytest.raises(ValueError, match="mask_rate"):
        VAE(mask_rate=0.6).fit(curve(20))


@pytest.mark.parametrize("n", [0, -1, 1.5])
def test_numbers_of_draws_are_checked(vae, gaps, n):
    for method, name in (
        (vae.impute, "n_importance"),
        (vae.sample_missing, "n_draws"),
    ):
        with pytest.raises((ValueError, TypeError), match=name):
            method(gaps, n)
