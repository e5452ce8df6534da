"""score, score_samples and log_likelihood against integrals and against themselves."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from sklvm import VAE
from sklvm.autoencoder._noise import row_keys, row_normals

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
    linear_evidence,
    plain_iwae,
    ppca_networks,
)

QUICK = {"hidden_layer_sizes": (16,), "max_epochs": 30, "lr": 0.01, "random_state": 0}


def fitted_curve(latent_dim=1, **params):
    X = curve(200)
    params = QUICK | params
    return quietly(VAE(latent_dim, **params).fit, X), curve(60, seed=1)


@pytest.mark.slow
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


@pytest.mark.slow
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


def beside_the_posterior(width):
    """A linear model, and an encoder 0.3 beside its posterior and wider than it."""
    W = np.array([[1.2, 0.5], [-0.8, 0.75], [0.5, 0.0], [0.0, 0.9]])
    W[:, 1] -= W[:, 0] * (W[:, 0] @ W[:, 1]) / (W[:, 0] @ W[:, 0])
    encoder, decoder = ppca_networks(W, np.array([0.5, -0.5, 1.0, 0.0]), 0.8)
    with torch.no_grad():
        encoder.bias[:2] += 0.3
        encoder.bias[2:] += np.log(width)
    return encoder, decoder


@pytest.mark.slow
@pytest.mark.parametrize("width", [0.7, 1.3])
def test_score_is_the_importance_weighted_bound(width):
    """F for one draw; with more between F and log p(x), at least as independent ones.

    The draws of a row are a low-discrepancy set, whose mean weight varies less.
    """
    encoder, decoder = beside_the_posterior(width)
    X = standard_normal(2000)
    rows, nets = torch.as_tensor(X), (double(encoder), double(decoder))
    with torch.no_grad():
        F = linear_bound(rows, *nets, 0.8).numpy()
        W, b = (p.numpy() for p in nets[1].parameters())
    evidence = linear_evidence(X, W, b, 0.8)
    generator, last = torch.Generator().manual_seed(0), -np.inf
    for n_score_draws in (1, 4, 16):
        params = {
            "noise": 0.8,
            "n_score_draws": n_score_draws,
            "n_score_steps": 0,
        }
        score = frozen(X, encoder, decoder, **params).score_samples(X)
        noise = torch.randn(
            20, len(X), n_score_draws, 2, generator=generator, dtype=torch.float64
        )
        with torch.no_grad():
            plain = plain_iwae(rows, *nets, 0.8, noise).mean(0).numpy()
        # Row by row against the same quantities, so that their errors are small.
        above = score - plain
        error = above.std() / np.sqrt(len(X))
        assert above.mean() > -4 * error
        assert (score - evidence).mean() < 4 * error
        assert (score - evidence).mean() > last
        last = (score - evidence).mean()
        if n_score_draws == 1:
            assert abs((score - F).mean()) < 5 * (score - F).std() / np.sqrt(len(X))
    assert last > (F - evidence).mean() / 2


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
def test_noise_does_not_depend_on_how_many_rows_there_are():
    keys = row_keys(standard_normal(300, 4))
    noise = row_normals(keys, 16, 3)
    for n in (1, 2, 7, 100):
        assert_array_equal(row_normals(keys[:n], 16, 3), noise[:, :n])


def test_a_few_rows_are_read_as_many():
    X = standard_normal(40, 4).astype(np.float32)
    est = quietly(VAE(2, **(QUICK | {"max_epochs": 3})).fit, X)
    for method in (est.score_samples, est.transform):
        # A list goes all the way through scikit-learn's checks.
        expected = method(X[:3].tolist())
        fortran, wide = np.asfortranarray(X[:3]), X[:3].astype(np.float64)
        for rows in (X[:3], fortran, wide, X[4::-1][2:][::-1], X[:3].tolist()):
            assert_array_equal(method(rows), expected)
        integers = np.arange(8).reshape(2, 4)
        assert_array_equal(method(integers), method(integers.astype(float)))


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize(
    "rows, match",
    [
        (np.full((1, 4), np.nan), "NaN"),
        (np.full((1, 4), np.inf), "infinity"),
        (np.full((1, 4), 1e300), "infinity"),
        (np.zeros((1, 5)), "5 features"),
        (np.zeros((0, 4)), "0 sample"),
        (np.zeros(4), "1D array"),
        (np.zeros((1, 4), dtype=complex), "Complex"),
        (np.full((1, 4), "a"), "text"),
    ],
)
def test_a_few_rows_are_checked_as_many(rows, match):
    X = standard_normal(40, 4)
    est = quietly(VAE(2, **(QUICK | {"max_epochs": 3})).fit, X)
    with pytest.raises(ValueError, match=match):
        est.score_samples(rows)


def test_a_few_rows_without_names_are_noticed():
    frame = pd.DataFrame(standard_normal(40, 4), columns=list("abcd"))
    est = quietly(VAE(2, **(QUICK | {"max_epochs": 3})).fit, frame)
    with pytest.warns(UserWarning, match="feature names"):
        est.transform(frame.to_numpy()[:1])


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
    some = range(0, 40, 4)
    alone = np.concatenate([getattr(est, method)(X[i : i + 1]) for i in some])
    assert_allclose(alone, value[some], rtol=1e-5, atol=1e-5)
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
    est = frozen(X, *random_linear(), noise=0.8, n_score_steps=0)
    values = [est.log_likelihood(X, n).mean() for n in (1, 10, 1000)]
    assert (np.diff(values) > 0).all()


@pytest.mark.slow
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
