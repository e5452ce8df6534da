"""How many latents latent_dim="auto" finds, and where the number goes."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.decomposition import FactorAnalysis
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn.parameter import is_lazy

import sklvm
from sklvm import VAE
from sklvm.autoencoder import Blocks, Categorical, Gaussian, Poisson
from sklvm.autoencoder._latent_dim import (
    CANDIDATES,
    N_COLUMNS,
    _log_likelihood,
    count_factors,
)
from sklvm.autoencoder.likelihoods._discrete import _uncorrelated
from sklvm.neural import ConvEncoder

from .models import quietly

QUICK = {
    "hidden_layer_sizes": (4,),
    "max_epochs": 2,
    "early_stopping": False,
    "tol": np.inf,
    "random_state": 0,
}


def factors(n_factors, n_samples=1000, n_features=12, seed=0):
    """Rows of a factor analysis with noises of several sizes, and units."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(n_factors, n_features))
    sigma = rng.uniform(0.4, 0.8, n_features)
    X = rng.normal(size=(n_samples, n_factors)) @ W
    X += sigma * rng.normal(size=X.shape)
    return X * np.logspace(-1, 1, n_features) + 3.0


X = factors(4)


def with_gaps(X, share=0.1, seed=0):
    return np.where(np.random.default_rng(seed).random(X.shape) < share, np.nan, X)


def counted(X, likelihood=None):
    return count_factors(likelihood or Gaussian(), np.asarray(X, dtype=np.float32))


def assert_near(found, n_factors, more=2):
    """Never fewer than there are, and few more, as the likelihood is flat there."""
    at = CANDIDATES.index
    assert at(n_factors) <= at(found) <= at(n_factors) + more


# The number.


@pytest.mark.parametrize("n_factors", [2, 4, 6])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_number_of_factors_that_there_are(n_factors, seed):
    assert_near(counted(factors(n_factors, seed=seed)), n_factors, more=1)


@pytest.mark.slow
@pytest.mark.parametrize("n_samples", [40, 300])
def test_it_is_what_cross_validated_factor_analysis_says(n_samples):
    rows = StandardScaler().fit_transform(factors(5, n_samples, seed=3))
    folds = KFold(5, shuffle=True, random_state=0)
    tried = [L for L in CANDIDATES if rows.shape[1] > L]
    scores = [cross_val_score(FactorAnalysis(L), rows, cv=folds).mean() for L in tried]
    # Two that differ by less than the accuracy of either are as good.
    assert scores[tried.index(counted(rows))] > max(scores) - 0.02


def test_the_log_likelihood_is_that_of_the_model():
    rng = np.random.default_rng(0)
    S, T = (np.cov(rng.normal(size=(20, 5)).T) for _ in range(2))
    S, T = S / np.sqrt(np.outer(np.diag(S), np.diag(S))), np.linalg.inv(T)
    psi = FactorAnalysis(2, tol=1e-2).fit(_rows_of(S)).noise_variance_
    root = np.sqrt(psi)
    d, V = np.linalg.eigh(S / np.outer(root, root))
    W = root[:, np.newaxis] * V[:, -2:] * np.sqrt(d[-2:] - 1)
    exact = multivariate_normal(np.zeros(5), W @ W.T + np.diag(psi))
    assert _log_likelihood(S, T, 2) == pytest.approx(
        exact.logpdf(_rows_of(T)).mean(), abs=0.02
    )


def _rows_of(S):
    """Rows with mean 0 and covariance S."""
    root = np.sqrt(len(S)) * np.linalg.cholesky(S).T
    return np.concatenate([root, -root])


def test_units_and_constant_columns_do_not_matter():
    n = counted(X)
    assert counted(X * 1e4 - 7) == n
    assert counted(np.column_stack([X, np.full((len(X), 20), 3.0)])) == n


def test_missing_cells_leave_it():
    assert_near(counted(with_gaps(X, 0.2)), 4)


@pytest.mark.parametrize("n_features", [1, 2, 3])
def test_of_few_columns_it_is_two(n_features):
    assert counted(X[:, :n_features]) == 2


@pytest.mark.parametrize("n_samples", [1, 2, 3, 4, 5, 8])
def test_of_few_rows_it_is_a_number_of_the_list(n_samples):
    assert counted(X[:n_samples]) in CANDIDATES
    assert counted(with_gaps(X, 0.3)[:n_samples]) in CANDIDATES


def test_rows_without_anything_and_copies_of_columns():
    gaps = with_gaps(np.column_stack([X, X[:, :3]]))
    gaps[::7] = np.nan
    assert counted(gaps) in (4, 6, 8)


@pytest.mark.slow
def test_of_many_columns_some_are_looked_at():
    wide = factors(4, 300, 3 * N_COLUMNS + 1)
    assert counted(wide) == 4


def test_counts_are_logarithms():
    rng = np.random.default_rng(0)
    rates = np.exp(rng.normal(size=(700, 3)) @ rng.normal(size=(3, 15)) + 3)
    x = rng.poisson(rates)
    n = counted(x, Poisson())
    assert_near(n, 3)
    assert n == counted(np.log1p(x))
    assert count_factors(Poisson(), csr_matrix(x, dtype=np.float32)) == n


def test_categories_alone_explain_nothing_of_each_other():
    codes = np.random.default_rng(0).integers(0, 5, (1000, 8))
    assert counted(codes, Categorical([5] * 8)) == 2


def test_the_names_of_categories_do_not_matter():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1000, 4)) @ rng.normal(size=(4, 10))
    codes = np.digitize(z + 0.5 * rng.normal(size=z.shape), [-1, 1])
    renamed = np.array([2, 0, 1])[codes]
    both = [counted(c, Categorical([3] * 10)) for c in (codes, renamed)]
    assert both[0] == both[1] >= 4


def test_flags_have_no_correlation_of_their_own():
    codes = np.random.default_rng(0).choice(4, 500, p=[0.6, 0.2, 0.15, 0.05])
    some = np.where(np.arange(500) % 9, codes, np.nan)
    flags = _uncorrelated(some)
    assert flags.shape == (500, 3)
    assert_array_equal(np.isnan(flags).all(axis=1), np.isnan(some))
    flags = flags[~np.isnan(some)]
    assert_allclose(flags.mean(axis=0), 0, atol=1e-12)
    assert_allclose(np.cov(flags.T, bias=True), np.eye(3), atol=1e-12)
    assert _uncorrelated(np.full(5, np.nan)).shape == (5, 0)


def test_columns_of_several_kinds():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, (1000, 2))
    likelihood = Blocks([(Categorical([3, 3]), [0, 13]), (Gaussian(), range(1, 13))])
    assert counted(np.column_stack([codes[:, 0], X, codes[:, 1]]), likelihood) == 4


def test_probabilities_of_bits_are_drawn():
    """Of values that differ little the bits are nearly independent."""
    rng = np.random.default_rng(0)
    grey = 0.5 + 0.02 * rng.normal(size=(2000, 4)) @ rng.normal(size=(4, 12))
    grey = grey.clip(0, 1)
    assert counted(grey, Gaussian()) == 4
    assert count_factors(Gaussian(), grey, draws_bits=True) == 2


# The estimator.


def test_the_number_is_published():
    est = quietly(VAE(**QUICK).fit, X)
    assert est.latent_dim == "auto"
    assert est.latent_dim_ == est.transform(X[:3]).shape[1] == 4
    assert est.get_feature_names_out().tolist() == [f"vae{j}" for j in range(4)]
    assert quietly(VAE(3, **QUICK).fit, X).latent_dim_ == 3
    assert not hasattr(VAE(), "latent_dim_")


@pytest.mark.slow
def test_it_is_the_same_for_every_seed_and_in_folds():
    small = X[:60]
    in_folds = {"max_epochs": 200, "early_stopping": "auto"}
    for params in (in_folds, {"random_state": 1}, {"random_state": 2}):
        est = quietly(VAE(**QUICK | params).fit, small)
        assert est.latent_dim_ == counted(small)


def test_a_fit_is_that_of_the_number():
    auto, given = (quietly(VAE(n, **QUICK).fit, X) for n in ("auto", 4))
    assert_array_equal(auto.transform(X), given.transform(X))
    assert auto.score(X) == given.score(X)


def test_the_next_fit_counts_again_and_the_next_pass_does_not():
    est = quietly(VAE(**QUICK).fit, X)
    assert quietly(est.fit, factors(2)).latent_dim_ == 2
    quietly(est.partial_fit, X)
    assert est.latent_dim_ == 2
    est = VAE(**QUICK, warm_start=True)
    assert quietly(est.fit, X).latent_dim_ == 4
    assert quietly(est.fit, factors(2)).latent_dim_ == 4
    assert quietly(clone(est).fit, factors(2)).latent_dim_ == 2


def test_the_first_batch_of_a_stream_decides():
    est = VAE(**QUICK)
    quietly(est.partial_fit, X[:500])
    assert est.latent_dim_ == counted(X[:500])
    quietly(est.partial_fit, factors(2))
    assert est.latent_dim_ == counted(X[:500])
    assert quietly(VAE(**QUICK).partial_fit, X[:1]).latent_dim_ == 2


def test_of_a_source_it_is_that_of_its_rows(tmp_path):
    frame = pd.DataFrame(X.astype(np.float32), columns=[f"c{j}" for j in range(12)])
    frame.to_parquet(tmp_path / "rows.parquet")
    est = quietly(VAE(**QUICK).fit, tmp_path / "rows.parquet")
    assert est.latent_dim_ == 4


def test_of_a_table_with_words():
    words = np.array(["a", "b", "c"])[np.random.default_rng(0).integers(0, 3, len(X))]
    table = pd.DataFrame(with_gaps(X)).assign(word=words)
    table.columns = table.columns.astype(str)
    est = quietly(VAE(**QUICK).fit, table)
    assert est.latent_dim_ == 4


def test_it_is_saved(tmp_path):
    est = quietly(VAE(**QUICK).fit, X)
    sklvm.save(est, tmp_path / "vae.sklvm")
    again = sklvm.load(tmp_path / "vae.sklvm")
    assert (again.latent_dim, again.latent_dim_) == ("auto", 4)
    assert_array_equal(again.transform(X), est.transform(X))
    assert quietly(again.fit, factors(2)).latent_dim_ == 2


def test_a_search_tries_it_beside_numbers():
    search = GridSearchCV(VAE(**QUICK), {"latent_dim": [1, "auto"]}, cv=2)
    quietly(search.fit, X)
    assert search.best_params_ == {"latent_dim": "auto"}
    assert search.best_estimator_.latent_dim_ == 4


@pytest.mark.parametrize("posterior", ["diag", "full"])
def test_a_module_says_what_it_is_for(posterior):
    n_parameters = {"diag": 6, "full": 9}[posterior]
    encoder, decoder = nn.Linear(12, n_parameters), nn.Linear(3, 12)
    for own in ({"encoder": encoder, "decoder": decoder}, {"encoder": encoder}):
        est = quietly(VAE(**own, posterior=posterior, **QUICK).fit, X)
        assert est.latent_dim_ == 3
    assert quietly(VAE(decoder=decoder, **QUICK).fit, X).latent_dim_ == 3
    gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
    est = VAE(encoder=nn.Linear(24, n_parameters), posterior=posterior, **QUICK)
    assert quietly(est.fit, gaps).latent_dim_ == 3


def test_a_module_that_fits_itself_to_any_width_stays_as_it_is():
    """It says nothing of z, so that the factors do, and is not made by a look."""
    decoder = nn.LazyLinear(12)
    est = VAE(decoder=decoder, **QUICK)
    assert quietly(est.fit, X).latent_dim_ == 4
    assert is_lazy(decoder.weight)


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_a_module_that_is_for_no_number(name):
    with pytest.raises(ValueError, match=f"{name}=Linear.*it must map rows of width"):
        VAE(**{name: nn.Linear(11, 11)}, **QUICK).fit(X)


def test_what_builds_a_network_takes_any_number():
    builder = VAE(encoder=ConvEncoder((3, 4), channels=(2,)), **QUICK)
    assert quietly(builder.fit, X).latent_dim_ == 4


@pytest.mark.parametrize("latent_dim", ["best", 0, 1.5, None])
def test_other_values_are_refused(latent_dim):
    with pytest.raises(ValueError, match="latent_dim"):
        VAE(latent_dim).fit(X)
