"""The linear start: before its first step a VAE is factor analysis, or PPCA."""

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.linear_model import LinearRegression
from torch import nn

from sklvm import VAE, ConditionalVAE, GaussianMixtureEM
from sklvm.autoencoder._linear_start import LinearAndNetwork

from .models import quietly

# EM for factor analysis is slow near its end. The start's stops where an iteration
# gains less than 1e-4 nats per row, and may have a hundred of them before it.
NEAR = 0.01
# Training that does not move. Learned noise is not estimated anew after it.
STILL = {
    "hidden_layer_sizes": (8,),
    "max_epochs": 1,
    "lr": 1e-30,
    "tol": np.inf,
    "random_state": 0,
}
EXACT = {"noise": "learned", "min_noise": 0.03}


def start(X, latent_dim=2, **params):
    return quietly(VAE(latent_dim, **(STILL | EXACT | params)).fit, X)


def factors(n_samples=500, n_features=6, n_factors=2, seed=0):
    """Rows of a factor analysis whose noises differ from column to column."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n_samples, n_factors))
    W = rng.normal(size=(n_factors, n_features))
    sigma = np.linspace(0.4, 1.2, n_features)
    return z @ W + sigma * rng.normal(size=(n_samples, n_features)) + 1.0


X = factors()


@cache
def analysis(latent_dim, n_columns=6):
    """scikit-learn's factor analysis of X, up to 1e-5 nats per row and iteration."""
    params = {"tol": 5e-3, "max_iter": 5000, "svd_method": "lapack"}
    return FactorAnalysis(latent_dim, **params).fit(X[:, :n_columns])


@cache
def full():
    """One Gaussian: with so many dimensions the linear model is no less."""
    return GaussianMixtureEM(1, reg_covar=0.0).fit(X)


def assert_tight(est, X):
    """The encoder is the posterior, so that every draw has the same weight.

    Nearly, where the noise was estimated anew after the training.
    """
    log_p, bound = est.log_likelihood(X, 50), est.score_samples(X)
    assert log_p.mean() == pytest.approx(bound.mean(), abs=1e-3)
    atol = 1e-3 if est.noise in ("learned", "heteroscedastic") else 0.02
    assert_allclose(log_p, bound, atol=atol)


@pytest.mark.parametrize("latent_dim", [1, 3, 6, 9])
@pytest.mark.parametrize("noise", ["learned", "heteroscedastic"])
def test_the_score_is_that_of_factor_analysis(latent_dim, noise):
    est = start(X, latent_dim, noise=noise)
    exact = full() if latent_dim > 5 else analysis(latent_dim)
    assert est.score(X) == pytest.approx(exact.score(X), abs=NEAR)
    assert_tight(est, X)


def test_more_dimensions_start_no_lower():
    scores = [start(X, latent_dim).score(X) for latent_dim in (1, 2, 3, 4, 5, 6, 7)]
    assert (np.diff(scores) > -1e-3).all()


def test_optimal_noise_is_that_of_factor_analysis():
    """It is estimated anew after the training, by at least 16 draws of each row."""
    est = start(X, noise="optimal")
    # A relative error r of sigma^2 costs r^2 / 4 a column, and r^2 is 2 / (16 n).
    assert est.score(X) == pytest.approx(start(X).score(X), abs=1e-3)
    assert est.score(X) == pytest.approx(analysis(2).score(X), abs=NEAR)
    assert_allclose(est.noise_, start(X).noise_, rtol=0.05)


@pytest.mark.parametrize("latent_dim", [1, 3, 6, 9])
def test_the_score_is_that_of_probabilistic_pca(latent_dim):
    """Of one sigma; without a dimension for the noise sigma is at its floor."""
    est = start(X, latent_dim, noise="shared")
    # scikit-learn's divides by n - 1, which costs D (D + 1) / (4 n^2) = 4e-5.
    exact = full() if latent_dim > 5 else PCA(latent_dim, svd_solver="full").fit(X)
    assert est.score(X) == pytest.approx(exact.score(X), abs=1e-3)
    assert_tight(est, X)


@pytest.mark.parametrize(
    "params",
    [
        {"posterior": "full"},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": (8, 4), "activation": "tanh"},
        {"objective": "iwae", "n_draws": 4},
        {"beta": 4.0},
    ],
    ids=str,
)
def test_the_start_is_the_same_with_any_networks(params):
    est = start(X, 3, **params)
    assert est.score(X) == pytest.approx(start(X, 3).score(X), abs=1e-4)
    assert_tight(est, X)


def test_columns_of_any_unit():
    """Deviations from 1e-3 to 1e4, and means that are 300 times as large."""
    scale = 10.0 ** np.array([-3, -1, 0, 1, 3, 4])
    rows = scale * (X + 300.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # to scale X
        est = start(rows)
    # float32 keeps 2e-5 deviations of such rows.
    exact = start(X).score(X) - np.log(scale).sum()
    assert est.score(rows) == pytest.approx(exact, abs=1e-3)
    assert_allclose(est.log_likelihood(rows, 50), est.score_samples(rows), atol=0.02)


def test_columns_that_are_nearly_the_same():
    """Correlations of 0.999999: the noise ends at its floor, and nothing is NaN."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 1)) + 1e-3 * rng.normal(size=(300, 5))
    est = start(rows, 1, min_noise=1e-4)
    exact = FactorAnalysis(1, svd_method="lapack").fit(rows).score(rows)
    assert est.score(rows) == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("latent_dim", [1, 2])
@pytest.mark.parametrize("noise", ["learned", "shared"])
def test_one_column(latent_dim, noise):
    rows = X[:, :1]
    est = start(rows, latent_dim, noise=noise)
    exact = norm.logpdf(rows, rows.mean(), rows.std()).mean()
    assert est.score(rows) == pytest.approx(exact, abs=1e-3)
    assert_tight(est, rows)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("noise", ["optimal", "shared"])
def test_constant_columns_leave_the_start_as_it_is(noise):
    rows = np.column_stack([X, np.full(len(X), 7.0), np.zeros(len(X))])
    est, plain = start(rows, noise=noise), start(X, noise=noise)
    assert est.score(rows) == pytest.approx(plain.score(X), abs=NEAR)
    assert_allclose(est.noise_[-2:], 1 / np.sqrt(2 * np.pi), rtol=1e-5)
    assert_tight(est, rows)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("noise", ["optimal", "shared", "learned", "heteroscedastic"])
@pytest.mark.parametrize("n_samples", [1, 2, 20])
def test_fewer_rows_than_columns(n_samples, noise):
    rows = factors(n_samples, 30)
    est = start(rows, 3, noise=noise)
    assert np.isfinite(est.score_samples(factors(40, 30, seed=1))).all()
    # The score alone has the noise that 16 draws of each row leave it.
    assert_allclose(est.log_likelihood(rows, 2000).mean(), est.score(rows), atol=0.02)


def test_fewer_rows_than_columns_are_factor_analysis():
    rows = factors(20, 30, seed=3)
    exact = FactorAnalysis(1, svd_method="lapack").fit(rows).score(rows)
    assert start(rows, 1).score(rows) > exact - NEAR


def test_a_table_starts_at_the_linear_model_of_its_real_columns():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(1e3 * X[:, :4] + 5e5, columns=list("abcd"))
    frame["plan"] = rng.choice(["basic", "free"], p=[0.3, 0.7], size=len(X))
    frame["smokes"] = rng.random(len(X)) < 0.2
    est = start(frame)
    exact = analysis(2, 4).score(X[:, :4]) - 4 * np.log(1e3)
    for name in ("plan", "smokes"):
        share = frame[name].value_counts(normalize=True)
        exact += (share * np.log(share)).sum()
    # What is rare has a little more than its share.
    assert est.score(frame) == pytest.approx(exact, abs=NEAR)
    assert_tight(est, frame)


def answers(n_samples, seed=0):
    """y of three columns, linear in x of two with correlated errors."""
    rng = np.random.default_rng(seed)
    x = 3 + 2 * rng.normal(size=(n_samples, 2))
    errors = rng.normal(size=(n_samples, 3)) @ rng.normal(size=(3, 3))
    return x, x @ [[1.0, -2.0, 0.5], [0.3, 0.0, 1.0]] + errors


def start_given(x, y, latent_dim, **params):
    est = ConditionalVAE(latent_dim, **(STILL | EXACT | params))
    return quietly(est.fit, x, y)


@pytest.mark.parametrize("latent_dim", [1, 3, 5])
def test_a_density_of_y_given_x_starts_at_linear_regression(latent_dim):
    """And at the factors of what it leaves; three of them are any covariance."""
    x, y = answers(2000)
    est = start_given(x, y, latent_dim, n_prior_components=1)
    left = y - LinearRegression().fit(x, y).predict(x)
    if latent_dim >= 3:
        exact = GaussianMixtureEM(1, reg_covar=0.0).fit(left).score(left)
    else:
        exact = FactorAnalysis(latent_dim, max_iter=5000).fit(left).score(left)
    assert est.score(x, y) == pytest.approx(exact, abs=NEAR)
    assert_allclose(est.log_likelihood(x, y, 50), est.score_samples(x, y), atol=0.02)
    assert_allclose(est.predict(x), LinearRegression().fit(x, y).predict(x), atol=0.1)


def test_a_single_column_starts_in_the_latent():
    """All noise up to its variance explains it; with all of it z says nothing."""
    x, y = answers(500)
    est = start_given(x, y[:, 0], 2, n_prior_components=1)
    moved = est.transform(x, y[:, 0] + 1) - est.transform(x, y[:, 0])
    assert np.abs(moved).max() > 0.1


def test_so_many_conditions_have_no_linear_start(monkeypatch):
    """A regression on them would take longer than the training."""
    x, y = answers(100)
    monkeypatch.setattr("sklvm.autoencoder._linear_start.MAX_COLUMNS", 4)
    decoder = start_given(x, y, 1).net_.module_.decoder
    assert not isinstance(decoder, LinearAndNetwork)


def test_more_conditions_than_rows_are_not_learned_by_heart():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 60)), rng.normal(size=(40, 2))
    est = start_given(x, y, 1, n_prior_components=1)
    assert np.abs(est.predict(x) - y.mean(axis=0)).max() < 0.5 * np.abs(y).max()


def with_gaps(X, rate=0.2):
    hidden = np.random.default_rng(2).random(X.shape) < rate
    hidden[hidden.all(axis=1), 0] = False
    return np.where(hidden, np.nan, X)


def test_rows_with_gaps_start_at_the_maximum_of_what_is_observed():
    """With as many dimensions as columns the linear model is one full Gaussian."""
    rows = with_gaps(X)
    est = start(rows, 6)
    assert not np.isnan(est.transform(rows)).any()
    exact = GaussianMixtureEM(1, reg_covar=0.0).fit(rows).score(rows)
    log_p = est.log_likelihood(rows, 2000)
    assert log_p.mean() == pytest.approx(exact, abs=0.02)
    assert est.score(rows) < exact + 0.02
    # Of complete rows the encoder is the posterior.
    assert_tight(est, X)


def test_a_row_without_any_value_starts_nothing():
    rows = with_gaps(X)
    empty = np.vstack([rows, np.full((5, 6), np.nan)])
    assert_allclose(
        start(empty, 3).score_samples(X), start(rows, 3).score_samples(X), atol=1e-3
    )


def test_networks_of_ones_own_have_no_linear_start():
    """They are trained from the weights that they have."""
    encoder, decoder = nn.Linear(6, 4), nn.Linear(2, 6)
    est = start(X, encoder=encoder, decoder=decoder)
    kept = est.net_.module_.decoder.weight.detach()
    assert_allclose(kept, decoder.weight.detach(), atol=1e-6)


HELD_OUT = {
    "latent_dim": 2,
    "hidden_layer_sizes": (16,),
    "max_epochs": 20,
    "early_stopping": True,
    "random_state": 0,
}


@pytest.mark.parametrize("lr", [3e-3, 0.1])
def test_a_fit_is_never_worse_than_its_start_on_held_out_rows(lr):
    """Not even where each step makes it worse: the same rows, draws and noise."""
    first = start(X, early_stopping=True)
    assert first.best_epoch_ in (0, 1)
    est = quietly(VAE(**(HELD_OUT | EXACT | {"lr": lr})).fit, X)
    assert est.held_out_bound_ >= first.held_out_bound_ - 1e-6


def test_where_every_step_is_wrong_the_start_is_kept():
    params = HELD_OUT | EXACT | {"lr": 1.0, "max_epochs": 3, "optimizer": "adam"}
    est = quietly(VAE(**params).fit, X)
    assert est.best_epoch_ == 0
    first = start(X, hidden_layer_sizes=(16,), early_stopping=True)
    assert_allclose(est.score_samples(X), first.score_samples(X), atol=1e-5)


@pytest.mark.slow
def test_a_default_fit_of_linear_rows_is_as_good_as_factor_analysis():
    """The held-out tenth costs little, and the network adds nothing false."""
    train, test = factors(1200), factors(5000, seed=0)[1200:]
    est = quietly(VAE(random_state=0, hidden_layer_sizes=(32,)).fit, train)
    # 29 parameters: the rows left out cost 29 / (2 * 1080) - 29 / (2 * 1200) = 0.001.
    # Of a few hundred looks at 120 held-out rows the best may mislead by three standard
    # errors, 0.03 each, of a difference between two models that are nearly the same.
    assert est.score(test) > FactorAnalysis(2).fit(train).score(test) - 0.1


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_row_alone_shows_no_slope():
    est = ConditionalVAE(1, max_epochs=2, tol=np.inf, random_state=0)
    assert np.isfinite(est.fit([[0.2, 0.4]], [0.1]).lower_bound_)
