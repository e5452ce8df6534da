"""Tables as they come: rounded, heaped, lopsided, small, and with little observed."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklvm import MixtureEM, select_n_components
from sklvm.columns._rounding import _decimal_step, rounding_step
from sklvm.mixture._rounding import least_variance
from sklvm.mixture.families.covariance import SHAPES
from sklvm.mixture.families.gaussian_floor import floored

N = 400


def incomes(rng, zeros=0.3):
    """Round sums, many of them zero, of two groups."""
    z = rng.integers(2, size=N)
    income = np.exp(rng.normal(7.5 + z, 0.5))
    income = np.where(
        rng.random(N) < 0.7, (income / 500).round() * 500, income.round(-1)
    )
    income[rng.random(N) < zeros] = 0
    return pd.DataFrame({"income": income, "age": rng.normal(40 + 9 * z, 8).round()})


def mostly_missing(rng):
    table = incomes(rng)
    table["rare"] = np.where(rng.random(N) < 0.95, np.nan, rng.normal(size=N))
    table.iloc[5:25] = np.nan
    return table


def units(rng):
    z = rng.integers(3, size=N)
    x = rng.normal(4 * z[:, np.newaxis], size=(N, 3))
    return pd.DataFrame(
        {"tiny": 1e-6 * x[:, 0], "huge": 1e6 * x[:, 1], "far": 1e9 + x[:, 2]}
    )


def answers(rng):
    """Five answers, and -9 for none; integer codes 1 and 2; booleans with None."""
    shares = [0.2, 0.2, 0.2, 0.2, 0.15, 0.05]
    table = pd.DataFrame(
        {f"q{j}": rng.choice([1, 2, 3, 4, 5, -9], N, p=shares) for j in range(3)}
    )
    table["sex"] = rng.choice([1, 2], N)
    table["owner"] = [True, None, False, True] * (N // 4)
    return table


def categories(rng):
    levels = ["low", "middle", "high"]
    return pd.DataFrame(
        {
            "unused": pd.Categorical(rng.choice(["a", "b"], N), ["a", "b", "c"]),
            "ordered": pd.Categorical(rng.choice(levels, N), levels, ordered=True),
        }
    )


def outliers(rng):
    table = pd.DataFrame({"count": rng.poisson(3, N), "real": rng.normal(size=N)})
    table.loc[7, "count"] = 3000
    table.loc[8, "real"] = 1e9
    return table


def single_precision(rng):
    real = rng.normal(1000, 1, N).astype("f4")
    return pd.DataFrame({"a": real, "b": np.exp(rng.normal(3, 1, N)).astype("f4")})


def duplicates(rng):
    table = incomes(rng)[:20]
    return pd.concat([table] * 20).set_index(pd.Index(list("abcd") * 100))


def odd_names(rng):
    return incomes(rng).set_axis([7, ("age", 1)], axis=1)


def few_rows(rng):
    return pd.DataFrame({"a": [1.5, 2.5, 9.0], "b": ["x", "y", "x"]})


TABLES = [
    incomes,
    mostly_missing,
    units,
    answers,
    categories,
    outliers,
    single_precision,
    duplicates,
    odd_names,
    few_rows,
]


@pytest.mark.filterwarnings("error::RuntimeWarning", "ignore::UserWarning")
@pytest.mark.parametrize("n_components", [1, 3])
@pytest.mark.parametrize("make_table", TABLES, ids=lambda f: f.__name__)
def test_tables_are_fitted_and_answered(make_table, n_components):
    table = make_table(np.random.default_rng(0))
    est = MixtureEM(n_components, random_state=0, max_iter=300).fit(table)
    scores = est.score_samples(table)
    assert np.isfinite(scores).all()
    assert np.diff(est.lower_bounds_).min(initial=0) > -1e-9
    assert_allclose(est.lower_bound_, scores.mean())
    assert est.columns_.keys() == set(table.columns)
    sample, _ = est.sample(200)
    assert np.isfinite(est.score_samples(sample)).all()
    filled = est.set_output(transform="pandas").impute(table)
    assert not filled.isna().any().any()
    assert filled.index.equals(table.index)


def test_the_unit_and_the_origin_change_nothing():
    table = units(np.random.default_rng(0))
    plain = (table - [0, 0, 1e9]) * [1e6, 1e-6, 1]
    one = MixtureEM(3, random_state=0).fit(table)
    other = MixtureEM(3, random_state=0).fit(plain)
    assert_allclose(one.lower_bound_, other.lower_bound_, rtol=1e-5)


def test_one_row_is_too_few():
    with pytest.raises(ValueError, match="n_samples=1; give at least 2"):
        MixtureEM().fit(pd.DataFrame({"a": [1.5]}))


def test_a_column_that_is_constant_in_one_fold():
    table = incomes(np.random.default_rng(0))
    table["flag"] = (np.arange(N) < 10).astype(int)
    est = MixtureEM(2, random_state=0).fit(table)
    with pytest.raises(ValueError, match="single value in the column 'flag'"):
        est.fit(table[100:])
    by_hand = [("bernoulli", ["flag"]), ("auto", slice(None))]
    est = MixtureEM(2, components=by_hand, random_state=0).fit(table[100:])
    assert np.isfinite(est.score(table[:100]))
    table["flag"] = table["flag"].astype(bool)
    est = MixtureEM(2, random_state=0).fit(table[100:])
    assert np.isfinite(est.score(table[:100]))


# Rounding --------------------------------------------------------------------------


def step_of(x):
    values, counts = np.unique(x, return_counts=True)
    return rounding_step(values, counts / counts.sum())


def test_the_step_of_rounding():
    rng = np.random.default_rng(0)
    x = rng.normal(40, 12, 2000)
    assert step_of(x) == 0
    for step in (0.1, 0.25, 1, 5, 12, 500):
        assert_allclose(step_of((x / step * 10).round() * step), step)
    assert_allclose(step_of((x.round() - 40) / 12.3), 1 / 12.3)  # scaled
    assert_allclose(step_of(x.round(1).astype("f4")), 0.1, rtol=1e-3)
    assert step_of(x + 1e9) == 0
    heaped = np.where(rng.random(2000) < 0.7, x.round(-1), x)
    assert step_of(heaped) == 10
    assert step_of(np.r_[x, heaped * 0]) == 0  # an atom at 0
    assert step_of(np.where(rng.random(2000) < 0.7, 50.0, x)) == 0  # and elsewhere
    assert step_of(np.r_[x, 1e9]) == 0
    assert _decimal_step(np.array([0.0]), np.array([1.0])) == 0


def test_an_outlier_does_not_widen_the_others():
    x = np.random.default_rng(0).normal(size=N)
    assert_allclose(least_variance(x, None), 1e-6, rtol=0.2)
    assert_allclose(least_variance(np.r_[x, 1e9], None), 1e-6, rtol=0.2)
    assert_allclose(least_variance(x, np.ones(N)), least_variance(x, None))


@pytest.mark.parametrize("n_components", [2, 5, 10])
@pytest.mark.parametrize("step", [1, 5])
def test_rounded_values_are_no_spikes(n_components, step):
    """No density is above that of a probability spread over its step."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"age": (rng.normal(40, 8, 1000) / step).round() * step})
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        est = MixtureEM(n_components, random_state=0, tol=1e-6, max_iter=5000)
        est.fit(table)
    assert np.exp(est.score_samples(table)).max() < 0.4 / step
    shares = table["age"].value_counts(normalize=True)
    # Poisson's formula: a row of components gains 2 exp(-2 pi^2 / 3) at the most.
    assert est.lower_bound_ < shares @ np.log(shares / step) + 0.003


@pytest.mark.parametrize("deviation", [0.8, 1, 1.5])
def test_bic_finds_one_population_in_values_of_few_steps(deviation):
    x = np.random.default_rng(1).normal(0.3, deviation, (2000, 1)).round()
    mixtures = MixtureEM(components=[("gaussian", [0])], random_state=0)
    assert select_n_components(mixtures, x, range(1, 6)).best_n_components == 1


def test_a_frequent_value_is_named():
    """Zeros among reals get a density that the ridge alone bounds."""
    rng = np.random.default_rng(0)
    rain = np.where(rng.random(N) < 0.3, np.nan, rng.normal(50, 7, N))
    table = pd.DataFrame({"rain": np.nan_to_num(rain)})
    table["wind"] = rng.normal(size=N)
    assert MixtureEM().fit(table).columns_["rain"] == "gaussian"
    with pytest.warns(
        UserWarning, match=r"column 'rain'.*2. % of its cells are 0: make"
    ):
        MixtureEM(2, random_state=0).fit(table)
    split = table.assign(rain=rain, dry=np.isnan(rain))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        est = MixtureEM(2, random_state=0, max_iter=500).fit(split)
    assert np.exp(est.score_samples(split)).max() < 0.2


def test_a_shared_covariance_may_lie_on_its_bound():
    x = np.random.default_rng(0).normal(size=(N, 1)) * [1, 1]
    blocks = [("gaussian", [0, 1], {"covariance_type": "tied"})]
    with pytest.warns(UserWarning, match="keeps all components from being narrower"):
        MixtureEM(2, components=blocks, random_state=0).fit(x)


# Counts ----------------------------------------------------------------------------


def test_a_component_of_zeros_allows_other_counts():
    rng = np.random.default_rng(0)
    z = rng.integers(2, size=N)
    table = pd.DataFrame({"count": z * rng.poisson(20, N), "real": rng.normal(30 * z)})
    blocks = [("negative_binomial", ["count"]), ("gaussian", ["real"])]
    est = MixtureEM(2, components=blocks, random_state=0).fit(table)
    low = est.components_[0].means.min()
    assert 0 < low < 1e-3
    other = pd.DataFrame({"count": [3], "real": [0.0]})
    assert np.isfinite(est.score(other))


def test_without_a_prior_zeros_exclude_other_counts():
    table = pd.DataFrame({"count": np.zeros(9), "real": np.arange(9.0)})
    blocks = [("negative_binomial", ["count"], {"means_prior": (1, 0)})]
    est = MixtureEM(components=[*blocks, ("gaussian", ["real"])]).fit(table)
    with pytest.warns(UserWarning, match="set means_prior in components above 1"):
        assert est.score(table + 1) == -np.inf


def test_large_counts_are_taken_for_numbers():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"views": rng.negative_binomial(0.3, 0.001, N)})
    table.loc[0, "views"] = 10**6
    assert MixtureEM().fit(table).columns_ == {"views": "gaussian"}


# Bounds of variances ---------------------------------------------------------------


def test_the_bound_is_met_where_the_likelihood_is_highest():
    """Among 2000 covariances above the bound none is better than the floored one."""
    rng = np.random.default_rng(0)
    least = np.array([1.0, 4.0, 0.25])
    root = rng.normal(size=(3, 3)) * [[0.2], [1.0], [1.0]]
    scatter = (root @ root.T)[np.newaxis]
    best = floored(SHAPES["full"](3), scatter, least)[0]

    def objective(sigma):
        return -np.linalg.slogdet(sigma)[1] - np.trace(
            np.linalg.solve(sigma, scatter[0])
        )

    assert np.linalg.eigvalsh(best - np.diag(least)).min() > -1e-12
    for _ in range(2000):
        more = rng.normal(size=(3, 1)) * rng.choice([0.01, 0.3, 2])
        other = rng.choice([0, 0.5, 0.9]) * (best - np.diag(least))
        assert (
            objective(np.diag(least) + other + more @ more.T) < objective(best) + 1e-9
        )


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_is_added_to_what_is_wide(shape):
    covariance = SHAPES[shape](2)
    values = 2.0 + np.ones(covariance.shape(3))
    if covariance.couples:
        values = values + np.eye(2)
    assert_array_equal(floored(covariance, values, 1e-3), values)
