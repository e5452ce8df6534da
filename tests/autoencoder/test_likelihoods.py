"""p(x|z) against scipy: where q(z|x) = p(z) and x does not need z, F is log p(x|z)."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from scipy.stats import bernoulli, kstest, norm, poisson

from sklvm import VAE
from sklvm.autoencoder import Blocks, Gaussian
from sklvm.autoencoder.likelihoods._own import standardising

from .models import (
    Poisson,
    bits,
    constant,
    frozen,
    linear,
    prior_encoder,
    quietly,
    standard_normal,
)

MEAN = np.array([0.5, -1.0, 2.0])
LOG_SD = np.array([-0.7, 0.0, 0.4])
LOGITS = np.array([-1.5, 0.3, 2.0])
LOG_RATE = np.array([-0.5, 0.5, 1.5])


def without_latents(X, outputs, **params):
    return frozen(
        X, prior_encoder(X.shape[1]), constant(1, outputs), latent_dim=1, **params
    )


def counts(n_samples, seed=0):
    return np.random.default_rng(seed).poisson(np.exp(LOG_RATE), (n_samples, 3)) * 1.0


REAL, BITS, COUNTS = standard_normal(200, 3), bits(50, n_features=3), counts(50)
FAMILIES = {
    "fixed": (REAL, MEAN, {"noise": 0.7}, norm(MEAN, 0.7).logpdf),
    "heteroscedastic": (
        REAL,
        np.concatenate([MEAN, LOG_SD]),
        {"noise": "heteroscedastic", "min_noise": 0.0},
        norm(MEAN, np.exp(LOG_SD)).logpdf,
    ),
    "bernoulli": (
        BITS,
        LOGITS,
        {"likelihood": "bernoulli"},
        bernoulli(expit(LOGITS)).logpmf,
    ),
    "poisson": (
        COUNTS,
        LOG_RATE,
        {"likelihood": Poisson()},
        poisson(np.exp(LOG_RATE)).logpmf,
    ),
}


@pytest.fixture(params=FAMILIES)
def family(request):
    return FAMILIES[request.param]


def test_log_probability_keeps_its_constants(family):
    X, outputs, params, log_prob = family
    est = without_latents(X, outputs, **params)
    expected = log_prob(X).sum(axis=1)
    assert_allclose(est.score_samples(X), expected, rtol=1e-5, atol=1e-5)
    assert_allclose(est.log_likelihood(X, 10), expected, rtol=1e-5, atol=1e-5)
    assert_allclose(est.lower_bounds_, [expected.mean()], rtol=1e-5)
    assert_allclose(est.lower_bound_, expected.mean(), rtol=1e-5)


@pytest.mark.parametrize("name", ["fixed", "heteroscedastic"])
def test_gaussian_samples(name):
    X, outputs, params, _ = FAMILIES[name]
    sigma = 0.7 if name == "fixed" else np.exp(LOG_SD)
    drawn, latent = without_latents(X, outputs, **params).sample(5000)
    assert drawn.shape == (5000, 3)
    assert latent.shape == (5000, 1)
    for column in ((drawn - MEAN) / sigma).T:
        assert kstest(column, "norm").pvalue > 1e-4
    assert kstest(latent[:, 0], "norm").pvalue > 1e-4


@pytest.mark.parametrize(
    "name, mean, variance",
    [
        ("bernoulli", expit(LOGITS), expit(LOGITS) * expit(-LOGITS)),
        ("poisson", np.exp(LOG_RATE), np.exp(LOG_RATE)),
    ],
)
def test_discrete_samples(name, mean, variance):
    X, outputs, params, log_prob = FAMILIES[name]
    drawn, _ = without_latents(X, outputs, **params).sample(5000)
    assert np.isfinite(log_prob(drawn)).all()
    error = (drawn.mean(axis=0) - mean) / np.sqrt(variance / 5000)
    assert np.abs(error).max() < 4.5


def test_inverse_transform_is_the_mean(family):
    X, outputs, params, _ = family
    est = without_latents(X, outputs, **params)
    expected = {
        "bernoulli": expit(LOGITS),
        None: MEAN,
    }.get(est.likelihood, np.exp(LOG_RATE))
    Z = standard_normal(4, 1)
    assert_allclose(est.inverse_transform(Z), np.tile(expected, (4, 1)), rtol=1e-5)


# Gaussian noise.


@pytest.mark.parametrize("noise", ["optimal", "shared"])
def test_optimal_noise_is_the_root_of_the_mean_squared_error(noise):
    est = without_latents(REAL, MEAN, noise=noise)
    mse = ((REAL - MEAN) ** 2).mean(axis=0)
    if noise == "shared":
        mse = mse.mean()
        assert isinstance(est.noise_, float)
    assert np.shape(est.noise_) == mse.shape
    assert_allclose(est.noise_, np.sqrt(mse), rtol=1e-5)
    log_prob = norm(MEAN, np.sqrt(mse)).logpdf
    # Where sigma is the optimum, F = -D/2 (ln(2 pi sigma^2) + 1): the objective.
    assert_allclose(est.lower_bounds_, [log_prob(REAL).sum(axis=1).mean()], rtol=1e-5)
    # On other rows the noise of the training set stays.
    other = 3 * standard_normal(20, 3, seed=1)
    assert_allclose(est.score_samples(other), log_prob(other).sum(axis=1), rtol=1e-4)


@pytest.mark.parametrize("noise", ["optimal", "shared"])
def test_optimal_noise_counts_what_the_posterior_does_not_know(noise):
    """E_q (x - Wz - b)^2 has the part W Cov(z) W' besides that of the mean."""
    X = standard_normal(4000, 3)
    W = np.array([[1.0], [2.0], [0.0]])
    est = frozen(X, prior_encoder(3), linear(W, MEAN), latent_dim=1, noise=noise)
    squares = ((X - MEAN) ** 2).mean(axis=0) + (W**2).sum(axis=1)
    if noise == "shared":
        squares = squares.mean()
    # One draw a row at least: z^2 has the variance 2, and z multiplies x - b.
    rtol = 5 * np.sqrt(2 / 4000)
    assert_allclose(est.noise_**2, squares, rtol=rtol)


def test_a_fixed_noise_is_kept():
    assert without_latents(REAL, MEAN, noise=0.7).noise_ == pytest.approx(0.7)


def test_constant_data_do_not_make_the_noise_vanish():
    X = np.ones((40, 3))
    est = without_latents(X, np.ones(3), noise="optimal")
    assert_allclose(est.noise_, 1 / np.sqrt(2 * np.pi), rtol=1e-6)
    assert_allclose(est.score_samples(X), 0.0, atol=1e-5)
    assert np.isfinite(est.score_samples(X + 1)).all()


def test_learned_noise_arrives_at_the_optimal_one():
    X = 2.5 * standard_normal(400, 3)
    params = {
        "latent_dim": 1,
        "hidden_layer_sizes": (),
        "max_epochs": 60,
        "lr": 0.02,
        "early_stopping": False,
        "random_state": 0,
    }
    learned = quietly(VAE(noise="learned", **params).fit, X)
    optimal = quietly(VAE(noise="optimal", **params).fit, X)
    assert learned.noise_.shape == (3,)
    assert_allclose(learned.noise_, optimal.noise_, rtol=0.05)
    assert learned.score(X) == pytest.approx(optimal.score(X), abs=0.1)


@pytest.mark.slow
def test_heteroscedastic_noise_follows_the_data():
    """A feature that is quiet on one side and loud on the other."""
    rng = np.random.default_rng(0)
    side = rng.choice([-1.0, 1.0], size=(400, 1))
    noise = rng.normal(size=(400, 1)) * np.where(side > 0, 1.0, 0.1)
    X = np.hstack([2 * side + 0.1 * rng.normal(size=(400, 1)), noise])
    params = {
        "latent_dim": 1,
        "hidden_layer_sizes": (16,),
        "max_epochs": 120,
        "lr": 0.01,
        "early_stopping": False,
        "random_state": 0,
    }
    flexible = quietly(VAE(noise="heteroscedastic", **params).fit, X)
    rigid = quietly(VAE(noise="optimal", **params).fit, X)
    assert flexible.score(X) > rigid.score(X) + 0.1


# Bernoulli.


@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_values_outside_zero_and_one(value):
    X = BITS.copy()
    X[3, 1] = value
    with pytest.raises(ValueError, match=str(value)):
        frozen(X, likelihood="bernoulli")
    est = frozen(BITS, likelihood="bernoulli")
    with pytest.raises(ValueError, match=str(value)):
        est.score_samples(X)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_values_outside_zero_and_one_in_a_later_batch(method):
    est = frozen(BITS, likelihood="bernoulli", warm_start=True)
    with pytest.raises(ValueError, match=r"1\.5"):
        getattr(est, method)(1.5 * BITS)


def test_grey_values_warn_and_bits_do_not(recwarn):
    frozen(BITS, likelihood="bernoulli")
    frozen(BITS * 0.8, likelihood="bernoulli", binarize="dynamic")
    assert not [str(w.message) for w in recwarn if "binarize" in str(w.message)]
    with pytest.warns(UserWarning, match="binarize"):
        frozen(BITS * 0.8, likelihood="bernoulli")


def grey(n_samples, values, seed=0):
    """Rows near `values`, no two alike, so that each has bits of its own."""
    jitter = np.random.default_rng(seed).uniform(-0.01, 0.01, (n_samples, 3))
    return np.asarray(values) + jitter


def dynamic(X, **params):
    return without_latents(
        X, LOGITS, likelihood="bernoulli", binarize="dynamic", **params
    )


def test_dynamic_bits_are_drawn_from_the_grey_values():
    values = np.array([0.1, 0.5, 0.8])
    X = grey(3000, values)
    F = dynamic(X).score_samples(X).astype(float)
    patterns = np.array(np.meshgrid(*[[0.0, 1.0]] * 3)).reshape(3, -1).T
    levels = bernoulli(expit(LOGITS)).logpmf(patterns).sum(axis=1)
    distance = np.abs(F[:, None] - levels)
    assert distance.min(axis=1).max() < 1e-4
    drawn = patterns[distance.argmin(axis=1)]
    error = (drawn.mean(axis=0) - values) / np.sqrt(values * (1 - values) / 3000)
    assert np.abs(error).max() < 4.5
    # Features are independent: bits of one row are not the same coin.
    correlation = np.corrcoef(drawn.T)[np.triu_indices(3, 1)]
    assert np.abs(correlation).max() < 4.5 / np.sqrt(3000)


def test_dynamic_bits_of_the_score_belong_to_the_row():
    X = grey(40, [0.1, 0.5, 0.8])
    est = dynamic(X)
    F = est.score_samples(X)
    assert_array_equal(est.score_samples(X), F)
    assert_allclose(est.score_samples(X[::-1])[::-1], F, rtol=1e-5)
    assert_allclose(est.log_likelihood(X, 10), F, rtol=1e-4, atol=1e-4)


def test_dynamic_bits_are_fresh_in_every_epoch():
    X = grey(500, [0.1, 0.5, 0.8])
    bounds = np.asarray(dynamic(X, max_epochs=30).lower_bounds_)
    assert len(np.unique(bounds)) > 15
    # ln p(x) is linear in the bits, so the mean over epochs is that of grey values.
    expected = (X * LOGITS - np.logaddexp(0, LOGITS)).sum(axis=1).mean()
    assert abs(bounds.mean() - expected) < 4.5 * bounds.std() / np.sqrt(30)


def test_transform_encodes_the_grey_values():
    X = grey(20, [0.1, 0.5, 0.8])
    weight = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    est = frozen(
        X,
        linear(weight, [0.5, 0.0]),
        constant(1, LOGITS),
        latent_dim=1,
        likelihood="bernoulli",
        binarize="dynamic",
    )
    assert_allclose(est.transform(X)[:, 0], X @ weight[0] + 0.5, rtol=1e-5)


# A user's own.


def test_a_custom_likelihood_is_trained():
    rng = np.random.default_rng(0)
    rate = np.exp(np.outer(rng.normal(size=300), [1, -1, 0.5, 0]))
    X = rng.poisson(rate).astype(float)
    est = VAE(
        1,
        likelihood=Poisson(),
        hidden_layer_sizes=(16,),
        max_epochs=40,
        lr=0.01,
        random_state=0,
    )
    quietly(est.fit, X)
    independent = poisson(X.mean(axis=0)).logpmf(X).sum(axis=1).mean()
    assert est.score(X) > independent + 0.1
    assert (est.inverse_transform([[0.0]]) > 0).all()
    drawn, _ = est.sample(100)
    assert_array_equal(drawn, drawn.round())


def test_a_custom_likelihood_is_trained_on_counts_of_thousands():
    # The bound was not finite in the first epoch: exp of what an encoder gives that
    # reads them as they are.
    rng = np.random.default_rng(0)
    log_rate = rng.normal(size=(300, 1)) * [0.5, -0.5, 0.3, 0.4] + [7, 5, 2, 6]
    X = rng.poisson(np.exp(log_rate)).astype(float)
    assert X.max() > 2000
    X[::9, 1] = np.nan
    est = VAE(
        1, likelihood=Poisson(), hidden_layer_sizes=(16,), max_epochs=20, random_state=0
    )
    quietly(est.fit, X)
    independent = np.nansum(poisson(np.nanmean(X, axis=0)).logpmf(X), axis=1).mean()
    assert est.score(X) > independent + 10


def test_constant_columns_of_a_custom_likelihood_keep_their_unit():
    """Their variance is rounding: no new value is to be 1e16 deviations off."""
    X = np.random.default_rng(0).normal(size=(299, 2)).astype(np.float32)
    X[:, 1] = 0.1
    network = standardising([], X, 2)
    assert_allclose(network[0].scale, [X[:, 0].std(), 1.0], rtol=1e-5)


class Checked(Poisson):
    """Uses both optional hooks."""

    def check(self, X):
        if np.nanmin(np.asarray(X)) < 0:
            raise ValueError("counts must be 0 or more.")

    def start(self, X):
        return np.log(np.asarray(X).mean(axis=0) + 1e-3)


def test_optional_hooks_of_a_custom_likelihood():
    X = counts(50)
    with pytest.raises(ValueError, match="counts must be"):
        frozen(-X, likelihood=Checked())
    params = {"latent_dim": 1, "hidden_layer_sizes": ()}
    plain = frozen(X, likelihood=Poisson(), **params)
    started = frozen(X, likelihood=Checked(), **params)
    bias = [p for p in started.net_.module_.decoder.parameters() if p.ndim == 1][-1]
    assert_allclose(
        bias.detach().cpu().numpy(), np.log(X.mean(axis=0) + 1e-3), rtol=1e-4
    )
    # Without the hook gradients find it.
    bias = [p for p in plain.net_.module_.decoder.parameters() if p.ndim == 1][-1]
    assert_allclose(bias.detach().cpu().numpy(), np.log(X.mean(axis=0)), atol=1e-2)


def test_large_counts_of_a_custom_likelihood_start_at_their_mean():
    X = np.random.default_rng(0).poisson([3, 30, 400], (200, 3)) * 1.0
    with_gaps = X.copy()
    with_gaps[::7, 1] = np.nan
    for data in (X, with_gaps):
        est = frozen(data, likelihood=Poisson(), latent_dim=1, hidden_layer_sizes=())
        bias = [p for p in est.net_.module_.decoder.parameters() if p.ndim == 1][-1]
        expected = np.nanmean(data, axis=0)
        assert_allclose(bias.detach().exp().numpy(), expected, rtol=1e-2)


def test_a_custom_likelihood_in_blocks_starts_at_the_data():
    X = np.random.default_rng(0).poisson([3, 30, 400], (200, 3)) * 1.0
    blocks = Blocks([(Poisson(), [0, 2]), (Gaussian(), [1])])
    expected = np.append(np.log(X.mean(axis=0)[[0, 2]]), X[:, 1].mean())
    assert_allclose(blocks.start(X.astype(np.float32)), expected, rtol=1e-2)


def test_scaled_counts_are_not_in_the_support_of_a_custom_likelihood():
    X = np.random.default_rng(0).poisson(30, (200, 3)) * 1.0
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    with pytest.raises(ValueError, match=r"Poisson.*whole numbers.*without a scaler"):
        VAE(likelihood=Poisson()).fit(scaled)
