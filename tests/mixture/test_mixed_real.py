"""Gaussian and lognormal columns together, the block that "auto" makes of them."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from sklvm import MixtureEM

N = 4000


@pytest.fixture(scope="module")
def table():
    """Height, and a long-tailed income whose logarithm goes with it."""
    rng = np.random.default_rng(0)
    y = rng.multivariate_normal([170, 7], [[80, 4], [4, 0.6]], size=N)
    return pd.DataFrame({"height": y[:, 0], "income": np.exp(y[:, 1])})


@pytest.fixture(scope="module")
def model(table):
    return MixtureEM(1).fit(table)


def normal(model):
    (block,) = model.components_
    return stats.multivariate_normal(block.means[0], block.covariances[0])


def test_auto_joins_real_columns(model):
    (block,) = model.components_
    assert block.kind == "real"
    assert block.columns == ["height", "income"]
    assert model.columns_ == {"height": "gaussian", "income": "lognormal"}


def test_the_density_has_the_jacobian_of_the_logarithm(model, table):
    y = np.column_stack([table["height"], np.log(table["income"])])
    expected = normal(model).logpdf(y) - y[:, 1]
    assert_allclose(model.score_samples(table), expected, atol=1e-9)


def test_the_parameters_are_the_moments_of_the_transformed_rows(model, table):
    (block,) = model.components_
    y = np.column_stack([table["height"], np.log(table["income"])])
    assert_allclose(block.means[0], y.mean(axis=0), rtol=1e-10)
    assert_allclose(block.covariances[0], np.cov(y.T, bias=True), rtol=1e-8)


def test_a_missing_cell_has_its_conditional_mean(model, table):
    """E[income | height], lognormal, and E[height | income], normal."""
    (block,) = model.components_
    (m, n), ((a, b), (_, d)) = block.means[0], block.covariances[0]
    rows = table.head(50)
    filled = model.impute(rows.assign(income=np.nan))
    mean = n + b / a * (rows["height"] - m)
    assert_allclose(filled["income"], np.exp(mean + (d - b**2 / a) / 2), rtol=1e-8)
    filled = model.impute(rows.assign(height=np.nan))
    assert_allclose(
        filled["height"], m + b / d * (np.log(rows["income"]) - n), rtol=1e-8
    )


def test_draws_of_a_missing_cell_have_its_conditional_distribution(model, table):
    (block,) = model.components_
    (m, n), ((a, b), (_, d)) = block.means[0], block.covariances[0]
    draws = model.set_params(random_state=0).sample_missing(
        table.head(1).assign(income=np.nan), n_draws=2000
    )
    z = np.log(np.ravel(draws)[1::2]) - n - b / a * (table["height"][0] - m)
    assert stats.kstest(z / np.sqrt(d - b**2 / a), "norm").pvalue > 1e-4


def test_samples_follow_the_model(model):
    X, _ = model.set_params(random_state=1).sample(N)
    y = np.column_stack([X["height"], np.log(X["income"])])
    z = (y - normal(model).mean) / np.sqrt(np.diag(normal(model).cov))
    assert abs(z.mean(axis=0)).max() < 4.5 / np.sqrt(N)
    expected = np.corrcoef(y.T)[0, 1]
    (block,) = model.components_
    (a, b), (_, d) = block.covariances[0]
    assert abs(expected - b / np.sqrt(a * d)) < 4.5 / np.sqrt(N)


def test_by_hand_the_kinds_stay_apart(table):
    model = MixtureEM(
        1, components=[("gaussian", ["height"]), ("lognormal", ["income"])]
    ).fit(table)
    assert [block.kind for block in model.components_] == ["gaussian", "lognormal"]


def test_real_by_hand_takes_options_and_reads_the_tails(table):
    options = {"covariance_type": "diag"}
    model = MixtureEM(2, components=[("real", slice(None), options)], random_state=0)
    model.fit(table)
    (block,) = model.components_
    assert block.covariances.shape == (2, 2)
    assert model.columns_ == {"height": "gaussian", "income": "lognormal"}


def test_real_by_hand_takes_no_text():
    table = pd.DataFrame({"a": list("xyz") * 10})
    with pytest.raises(ValueError, match="'a'"):
        MixtureEM(1, components=[("real", "a")]).fit(table)
