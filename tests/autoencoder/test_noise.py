"""The noise of Gaussian columns: its optimum, its floor, numbers for each column."""

import copy
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import norm

from sklvm import GMVAE, VAE, ConditionalVAE
from sklvm.autoencoder import Gaussian, HeteroscedasticGaussian, LogNormal

from .models import (
    constant,
    frozen,
    linear,
    prior_encoder,
    random_linear,
    standard_normal,
)

MEAN = np.array([0.5, -1.0, 2.0])
X = MEAN + standard_normal(400, 3) * [0.5, 1.0, 3.0]


def sure_encoder():
    """q(z|x) so narrow that its draws are its mean."""
    encoder, decoder = random_linear(3)
    with torch.no_grad():
        encoder.weight[2:] = 0.0
        encoder.bias[2:] = -12.0
    return encoder, decoder


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["optimal", "shared"])
def test_the_bound_is_stationary_in_each_sigma(noise):
    """By finite differences of F, the sigma being given as numbers."""
    networks = sure_encoder()
    best = frozen(X, *networks, noise=noise).noise_
    step = 0.05

    def F(noise):
        est = frozen(X, *networks, noise=noise, n_score_draws=1)
        return est.score_samples(X).mean(dtype=np.float64)

    directions = np.eye(3) if noise == "optimal" else np.ones((1, 3))
    for direction in directions:
        up, at, down = (
            F(np.broadcast_to(best * np.exp(s * step * direction), 3))
            for s in (1, 0, -1)
        )
        n = direction.sum()
        # F = -n (log sigma + s^2 / 2 sigma^2): its second derivative is -2 n.
        assert abs(up - down) / (2 * step) < 0.02 * n
        assert (up - 2 * at + down) / step**2 == pytest.approx(-2 * n, rel=0.05)


@pytest.mark.parametrize("min_noise", [0.03, 0.2])
@pytest.mark.parametrize("noise", ["optimal", "shared", "learned"])
def test_sigma_is_never_below_its_floor(noise, min_noise):
    """The networks reproduce every row, and the optimum would be 0."""
    encoder = linear(np.vstack([np.eye(3), np.zeros((3, 3))]), [0, 0, 0, *[-12] * 3])
    decoder = linear(np.eye(3), np.zeros(3))
    params = {"latent_dim": 3, "noise": noise, "min_noise": min_noise}
    est = frozen(X, encoder, decoder, **params)
    scale = X.std(axis=0)
    if noise == "shared":
        scale = np.sqrt((scale**2).mean())
    if noise == "learned":
        params |= {"optimizer": "adam", "lr": 0.1, "max_epochs": 150}
        est = frozen(X, encoder, decoder, **params)
        assert (est.noise_ >= min_noise * scale * (1 - 1e-5)).all()
    else:
        assert_allclose(est.noise_, min_noise * scale, rtol=1e-4)


def test_heteroscedastic_noise_has_the_floor_under_it():
    outputs = np.concatenate([MEAN, np.full(3, -20.0)])
    params = {"noise": "heteroscedastic", "min_noise": 0.1, "latent_dim": 1}
    est = frozen(X, prior_encoder(3), constant(1, outputs), **params)
    expected = norm(MEAN, 0.1 * X.std(axis=0)).logpdf(X).sum(axis=1)
    assert_allclose(est.score_samples(X), expected, rtol=1e-4)


def test_numbers_for_each_column():
    sigma = np.array([0.3, 1.0, 2.0])
    params = {"latent_dim": 1, "noise": sigma}
    est = frozen(X, prior_encoder(3), constant(1, MEAN), **params)
    assert_allclose(est.noise_, sigma, rtol=1e-6)
    expected = norm(MEAN, sigma).logpdf(X).sum(axis=1)
    assert_allclose(est.score_samples(X), expected, rtol=1e-5)
    assert est.noise is sigma
    as_list = frozen(
        X, prior_encoder(3), constant(1, MEAN), **params | {"noise": list(sigma)}
    )
    assert_allclose(as_list.noise_, sigma, rtol=1e-6)


def test_numbers_for_each_column_of_a_table():
    """In the units of the table; those of columns without noise do not count."""
    frame = pd.DataFrame(1e3 * X, columns=list("abc"))
    frame["d"] = np.where(X[:, 0] > 0, "yes", "no")
    params = {"hidden_layer_sizes": (), "max_epochs": 1, "lr": 1e-30, "tol": np.inf}
    numbers = VAE(1, noise=[300.0, 1e3, 3e3, 1.0], random_state=0, **params).fit(frame)
    plain = VAE(1, noise=[0.3, 1.0, 3.0], random_state=0, **params).fit(X)
    share = frame["d"].value_counts(normalize=True)
    expected = plain.score(X) - 3 * np.log(1e3) + (share * np.log(share)).sum()
    assert numbers.score(frame) == pytest.approx(expected, abs=0.02)


WRONG = [
    ([0.1, 0.2], ["noise", "2", "3", "give"]),
    ([0.1, 0.2, -0.3], ["noise", "-0.3", "1e-15"]),
    ([0.1, 0.2, np.nan], ["noise", "nan", "1e-15"]),
    (["a", "b", "c"], ["noise", "'optimal'"]),
    (0.0, ["noise"]),
    ("best", ["noise", "best"]),
]


@pytest.mark.parametrize("noise, words", WRONG, ids=str)
@pytest.mark.parametrize("estimator", [VAE, GMVAE, ConditionalVAE])
def test_wrong_numbers_are_told_in_one_sentence(noise, words, estimator):
    data = (X[:, :2], X) if estimator is ConditionalVAE else (X,)
    with pytest.raises(ValueError) as error:
        estimator(noise=noise).fit(*data)
    text = str(error.value).replace("array-like. Got", "array-like; got")
    assert text.endswith(".")
    assert ". " not in text.replace("...", "").rstrip(".")
    assert all(word in text for word in words)


@pytest.mark.parametrize("min_noise", [-0.1, np.nan, np.inf, "small", True, None])
@pytest.mark.parametrize("family", [Gaussian, HeteroscedasticGaussian, LogNormal])
def test_a_floor_that_is_none(family, min_noise):
    with pytest.raises(ValueError, match="min_noise"):
        family(min_noise=min_noise)
    with pytest.raises(ValueError, match="min_noise"):
        VAE(min_noise=min_noise).fit(X)


@pytest.mark.parametrize("noise", ["optimal", "shared"])
def test_missing_cells_have_no_error(noise):
    hidden = np.random.default_rng(1).random(X.shape) < [0.1, 0.5, 0.2]
    gaps = np.where(hidden, np.nan, X)
    params = {"latent_dim": 1, "noise": noise}
    est = frozen(gaps, prior_encoder(6), constant(1, MEAN), **params)
    squares = (gaps - MEAN) ** 2
    axis = None if noise == "shared" else 0
    assert_allclose(est.noise_, np.sqrt(np.nanmean(squares, axis=axis)), rtol=1e-4)


@pytest.mark.slow
def test_closed_noise_of_weighted_draws_is_the_learned_one():
    """Under a proposal far too wide, where F and the weighted bound want two things."""
    rng = np.random.default_rng(0)
    W = np.array([[1.0], [2.0], [-1.0]])
    rows = rng.normal(size=(1500, 1)) @ W.T + 0.5 * rng.normal(size=(1500, 3))
    params = {
        "latent_dim": 1,
        "objective": "iwae",
        "n_draws": 32,
        "batch_size": 500,
        "max_epochs": 60,
    }

    networks = prior_encoder(3), linear(W, np.zeros(3))
    closed = frozen(rows, *networks, **params)
    learned = frozen(
        rows,
        *(copy.deepcopy(network).requires_grad_(False) for network in networks),
        **params | {"noise": "learned", "optimizer": "adam", "lr": 0.05},
    )
    # sigma^2 of 1500 rows is known to 1 / sqrt(750) of itself, and the two see other
    # draws; F, which weighs the draws alike, wants more than twice as much.
    assert_allclose(closed.noise_, learned.noise_, rtol=0.05)
    F = frozen(rows, *networks, **params | {"objective": "kl"})
    assert (np.square(F.noise_) > 2 * np.square(closed.noise_)).all()


NOISES = ["optimal", "shared", "learned", "heteroscedastic", 0.01]


@pytest.mark.parametrize("value", [0.3, -30.0])
@pytest.mark.parametrize("noise", NOISES)
def test_constant_columns_are_told_and_change_nothing(noise, value):
    """Their density is 1, whatever the noise of the others is."""
    wide = np.insert(X, [0, 2, 2], value, axis=1)
    params = {"noise": noise, "latent_dim": 1}
    outputs = [MEAN, np.insert(MEAN, [0, 2, 2], np.float32(value))]
    if noise == "heteroscedastic":
        logs = np.log(X.std(axis=0))
        outputs[0] = np.r_[MEAN, logs]
        outputs[1] = np.r_[outputs[1], np.insert(logs, [0, 2, 2], -20.0)]
    plain = frozen(X, prior_encoder(3), constant(1, outputs[0]), **params)
    with pytest.warns(UserWarning, match="X has 3 constant columns"):
        est = VAE(1, noise=noise, max_epochs=1, tol=np.inf, random_state=0).fit(wide)
    est = frozen(wide, prior_encoder(6), constant(1, outputs[1]), **params)
    # What is learned starts a hundredth above the floor.
    atol = 0.05 if noise == "learned" else 1e-4
    scores = est.score_samples(wide), plain.score_samples(X)
    assert_allclose(*scores, rtol=1e-4, atol=atol)
    # Not so what is no longer constant.
    moved = wide + np.eye(6)[0]
    loss = est.score_samples(wide) - est.score_samples(moved)
    assert_allclose(loss, np.pi, rtol=0.05)


@pytest.mark.parametrize("n_hidden", [0, 2])
def test_one_sigma_of_all_columns_that_vary(n_hidden):
    """Of missing cells, and of weighted draws, too."""
    rng = np.random.default_rng(0)
    rows = np.column_stack([X, np.full(len(X), 3.5)])
    hidden = rng.random(rows.shape) < 0.1 * n_hidden
    gaps = np.where(hidden, np.nan, rows)
    decoder = constant(1, np.append(MEAN, 3.5))
    encoder = prior_encoder(8 if n_hidden else 4)
    for params in ({}, {"objective": "iwae", "n_draws": 2}):
        est = frozen(gaps, encoder, decoder, latent_dim=1, noise="shared", **params)
        expected = np.sqrt(np.nanmean((gaps[:, :3] - MEAN) ** 2))
        assert_allclose(est.noise_[:3], expected, rtol=1e-4)
        assert est.noise_[3] == pytest.approx(1 / np.sqrt(2 * np.pi))


def test_a_number_for_a_constant_column_counts():
    rows = np.column_stack([X, np.full(len(X), 3.5)])
    sigma = [1.0, 1.0, 1.0, 0.02]
    decoder = constant(1, np.append(MEAN, 3.5))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*constant column")
        est = frozen(rows, prior_encoder(4), decoder, latent_dim=1, noise=sigma)
    expected = norm(np.append(MEAN, 3.5), sigma).logpdf(rows).sum(axis=1)
    assert_allclose(est.score_samples(rows), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("estimator", [VAE, GMVAE, ConditionalVAE])
def test_constant_columns_of_rounded_tables_change_little(estimator):
    """The unit of one column is not that of another, as it is in an image."""
    rng = np.random.default_rng(0)
    rows = np.round(rng.normal(size=(200, 3)) * [1.0, 2.0, 5.0], 2)
    wide = np.column_stack([rows, np.zeros((200, 5))])
    params = {"max_epochs": 30, "tol": np.inf, "random_state": 0}
    if estimator is ConditionalVAE:
        given = rng.normal(size=(200, 1))
        data = (given, rows), (given, wide)
    else:
        data = (rows,), (wide,)
    with pytest.warns(UserWarning, match="5 constant columns"):
        scores = [estimator(**params).fit(*part).score(*part) for part in data]
    assert abs(scores[1] - scores[0]) < 1


def test_a_first_row_does_not_say_what_is_constant():
    """In a stream of single rows."""
    est = VAE(1, random_state=0).partial_fit(X[:1])
    assert (est.net_.module.likelihood.variance() < 0.01).all()


def test_a_constant_of_a_long_tail_has_no_scale_of_rounding():
    """The mean of equal logarithms is rounded."""
    rows = np.exp(np.column_stack([X, np.full(len(X), np.log(0.1))]))
    decoder = constant(1, np.zeros(4))
    params = {"likelihood": "lognormal", "latent_dim": 1}
    est = frozen(rows, prior_encoder(4), decoder, **params)
    variance = est.net_.module.likelihood.inner.variance()
    assert variance[3].item() == pytest.approx(1 / (2 * np.pi))


@pytest.mark.parametrize("what", ["pixels", "a sigma by hand"])
def test_constant_columns_whose_scale_is_known(what):
    X = np.random.default_rng(0).integers(0, 17, size=(80, 5)) / 16
    X[:, 1] = 0.0
    noise = "optimal" if what == "pixels" else [0.3] * 5
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*constant column")
        VAE(1, noise=noise, max_epochs=1, tol=np.inf, random_state=0).fit(X)
