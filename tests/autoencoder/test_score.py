"""score, score_samples and log_likelihood against integrals and against themselves."""

from itertools import combinations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from sklvm import VAE

from .models import (
    bits,
    curve,
    double,
    frozen,
    quietly,
    random_linear,
    standard_normal,
)
from .reference import (
    bernoulli_log_prob,
    gaussian_log_prob,
    grid_evidence,
    latent_grid,
    linear_bound,
)

QUICK = {"hidden_layer_sizes": (16,), "max_epochs": 30, "lr": 0.01, "random_state": 0}


def fitted_curve(latent_dim=1, **params):
    X = curve(200)
    params = QUICK | params
    return quietly(VAE(latent_dim, **params).fit, X), curve(60, seed=1)


@pytest.mark.parametrize("latent_dim", [1, 2])
@pytest.mark.parametrize("posterior", ["diag", "full"])
def test_log_likelihood_is_the_integral_gaussian(latent_dim, posterior):
    est, X = fitted_curve(latent_dim, posterior=posterior)
    z, volume = latent_grid(latent_dim, step=0.01 if latent_dim == 1 else 0.06)
    means = est.inverse_transform(z).astype(float)
    exact = grid_evidence(gaussian_log_prob(X, means, est.noise_), z, volume)
    error = est.log_likelihood(X, 5000) - exact
    assert np.abs(error).mean() < 0.03
    assert abs(error.mean()) < 0.02


def test_log_likelihood_is_the_integral_bernoulli():
    X = bits(200)
    params = QUICK | {"likelihood": "bernoulli"}
    est = quietly(VAE(2, **params).fit, X)
    z, volume = latent_grid(2, step=0.06)
    theta = est.inverse_transform(z).astype(float)
    exact = grid_evidence(bernoulli_log_prob(X, theta), z, volume)
    assert_allclose(est.log_likelihood(X, 5000), exact, atol=0.03)
    F = est.score_samples(X)
    assert F.mean() < exact.mean() + 0.02


def test_evidence_sums_to_one_over_all_binary_rows():
    """Units and constants: exp(log p) over the 2^4 rows is a distribution."""
    X = bits(100, n_features=4)
    params = QUICK | {"likelihood": "bernoulli"}
    est = quietly(VAE(1, **params).fit, X)
    rows = np.array(np.meshgrid(*[[0.0, 1.0]] * 4)).reshape(4, -1).T
    total = np.exp(est.log_likelihood(rows, 20000).astype(float)).sum()
    assert total == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("params", [{}, {"n_score_draws": 1}, {"max_epochs": 1}])
def test_score_is_below_log_likelihood(params):
    est, X = fitted_curve(2, **params)
    gap = est.log_likelihood(X, 5000) - est.score_samples(X)
    assert gap.mean() > -4 * gap.std() / np.sqrt(len(X))


def test_score_is_the_mean_of_the_bound_for_any_number_of_draws():
    encoder, decoder = random_linear()
    X = standard_normal(800)
    with torch.no_grad():
        F = linear_bound(torch.as_tensor(X), double(encoder), double(decoder), 0.8)
    spread = []
    for n_score_draws in (1, 4, 64):
        params = {"noise": 0.8, "n_score_draws": n_score_draws}
        error = frozen(X, encoder, decoder, **params).score_samples(X) - F.numpy()
        assert abs(error.mean()) < 5 * error.std() / np.sqrt(len(X)) + 1e-5
        spread.append(error.std())
    # At least as good as independent draws; a low-discrepancy set is far better.
    assert spread[1] < 0.6 * spread[0]
    assert spread[2] < 0.3 * spread[1]


def half_ones(n_samples, n_features=12):
    """Binary rows that are permutations of each other, no two alike."""
    places = list(combinations(range(n_features), n_features // 2))
    X = np.zeros((len(places), n_features))
    for row, ones in zip(X, places, strict=True):
        row[list(ones)] = 1
    return np.random.default_rng(0).permutation(X)[:n_samples]


@pytest.mark.parametrize("rows", [standard_normal(800, 12), half_ones(800)])
def test_noise_of_one_row_says_nothing_about_that_of_another(rows):
    """Shared noise would not average out over the rows (correlation 1)."""
    encoder, decoder = random_linear(12)
    X = rows * 1e-3  # so that all rows have nearly the same F
    error = frozen(X, encoder, decoder, noise=0.8, n_score_draws=2).score_samples(X)
    error = error - error.mean()
    # The means of 50 groups of 16 rows vary as those of independent rows.
    means = error.reshape(50, 16).mean(axis=1)
    assert means.std() == pytest.approx(error.std() / 4, rel=0.45)
    assert error.std() > 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"posterior": "full"},
        {"prior": "vamp"},
        {"likelihood": "bernoulli", "binarize": "dynamic"},
    ],
    ids=["plain", "full", "vamp", "dynamic"],
)
@pytest.mark.parametrize("method", ["score_samples", "log_likelihood", "transform"])
def test_a_row_alone_or_among_others(method, params):
    X = np.random.default_rng(0).random((40, 5))
    est = quietly(VAE(2, **(QUICK | {"max_epochs": 3} | params)).fit, X)
    value = getattr(est, method)(X)
    assert value.dtype == np.float32
    assert len(value) == 40
    assert_array_equal(getattr(est, method)(X), value)
    alone = np.concatenate([getattr(est, method)(X[i : i + 1]) for i in range(40)])
    assert_allclose(alone, value, rtol=1e-5, atol=1e-5)
    order = np.random.default_rng(1).permutation(40)
    assert_allclose(getattr(est, method)(X[order]), value[order], rtol=1e-5, atol=1e-5)
    wide = est.set_params(batch_size=7)
    assert_allclose(getattr(wide, method)(X), value, rtol=1e-5, atol=1e-5)


def test_equal_rows_have_equal_values():
    est, X = fitted_curve(max_epochs=2)
    twice = est.score_samples(np.vstack([X, X]))
    assert_allclose(twice[:60], twice[60:], rtol=1e-6)
    single = est.score_samples(X.astype(np.float32))
    assert_array_equal(single, est.score_samples(X))


def test_log_likelihood_rises_with_the_number_of_draws():
    X = standard_normal(200)
    est = frozen(X, *random_linear(), noise=0.8)
    values = [est.log_likelihood(X, n).mean() for n in (1, 10, 1000)]
    assert (np.diff(values) > 0).all()


@pytest.mark.parametrize(
    "n_rows, n_features, hidden_layer_sizes",
    [(1000, 100, (4,)), (50, 4, (1000,))],
    ids=["wide rows", "wide layer"],
)
def test_log_likelihood_is_chunked(n_rows, n_features, hidden_layer_sizes):
    """All draws of all rows at once would make layers of 200 MB and more."""
    X = standard_normal(n_rows, n_features)
    est = frozen(X, hidden_layer_sizes=hidden_layer_sizes)
    sizes = []
    for layer in est.net_.module_.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.register_forward_hook(lambda *call: sizes.append(call[2].numel()))
    est.log_likelihood(X, 1000)
    assert max(sizes) * 4 < 64e6


def test_every_row_is_encoded_once():
    X = standard_normal(50)
    est = frozen(X, hidden_layer_sizes=(8,))
    seen = []
    first = next(est.net_.module_.encoder.children())
    first.register_forward_hook(lambda *call: seen.append(len(call[1][0])))
    est.log_likelihood(X, 5000)
    # A last block may be filled up, but 5000 draws do not encode a row again.
    assert 50 <= sum(seen) < 100


def test_a_far_row_is_very_improbable_not_nan():
    est, X = fitted_curve(max_epochs=2)
    far = X[:1] + 1e4
    assert est.score_samples(far)[0] < -1e3
    assert est.log_likelihood(far, 100)[0] < -1e3


@pytest.mark.parametrize("method", ["score_samples", "log_likelihood"])
def test_shape_and_units(method):
    est, X = fitted_curve(max_epochs=2)
    value = getattr(est, method)(X)
    assert value.shape == (60,)
    assert value.dtype == np.float32
    assert isinstance(est.score(X), float)


@pytest.mark.parametrize("n_importance", [0, -1, 2.5, "many"])
def test_bad_numbers_of_draws(n_importance):
    est, X = fitted_curve(max_epochs=1)
    with pytest.raises((ValueError, TypeError), match="n_importance"):
        est.log_likelihood(X, n_importance)
