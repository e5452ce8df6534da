"""The prior "vamp": a mixture of posteriors at pseudo-inputs."""

from functools import cache

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import logsumexp
from scipy.stats import kstest, norm

from sklvm import VAE
from sklvm.autoencoder._distributions import DiagonalGaussian

from .models import quietly
from .reference import gaussian_log_prob

QUICK = {"hidden_layer_sizes": (32,), "max_epochs": 80, "lr": 0.01, "random_state": 0}


def clusters(n_samples, seed=0):
    """Four tight clusters, with holes between them."""
    rng = np.random.default_rng(seed)
    centres = 3 * np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    return centres[rng.integers(4, size=n_samples)] + 0.2 * rng.normal(
        size=(n_samples, 2)
    )


@cache
def fitted(prior, **params):
    """Of which the tests only ask."""
    params = QUICK | {"prior": prior, "noise": 0.3} | params
    return quietly(VAE(1, **params).fit, clusters(300))


@pytest.mark.slow
@pytest.mark.parametrize("prior", ["standard", "vamp"])
def test_log_likelihood_is_the_mean_over_the_prior(prior):
    """Plain Monte Carlo over latents that `sample` draws, with its standard error."""
    est = fitted(prior, n_pseudo_inputs=10, noise=0.8)
    X = clusters(40, seed=1)
    n_draws = 40000
    drawn, Z = est.sample(n_draws)
    assert drawn.shape == (n_draws, 2)
    means = est.inverse_transform(Z).astype(float)
    log_prob = gaussian_log_prob(X, means, est.noise_)
    log_mean = logsumexp(log_prob, axis=1) - np.log(n_draws)
    spread = np.exp(log_prob - log_mean[:, None]).std(axis=1) / np.sqrt(n_draws)
    assert (spread < 0.2).all()
    error = np.abs(est.log_likelihood(X, 5000) - log_mean)
    assert (error < 5 * spread + 0.05).all()


@pytest.mark.slow
def test_the_standard_prior_is_standard():
    assert kstest(fitted("standard").sample(2000)[1][:, 0], "norm").pvalue > 1e-4


@pytest.mark.slow
def test_vamp_closes_the_holes():
    """Samples fall where the data are, more often than under a standard prior."""

    def strays(est):
        drawn, _ = est.sample(2000)
        return (np.abs(np.abs(drawn) - 3).max(axis=1) > 1.5).mean()

    standard, vamp = fitted("standard"), fitted("vamp", n_pseudo_inputs=50)
    assert strays(vamp) < strays(standard)
    held_out = clusters(200, seed=1)
    assert vamp.score(held_out) > standard.score(held_out)


@pytest.mark.slow
def test_vamp_latents_look_like_the_aggregated_posterior():
    est = fitted("vamp", n_pseudo_inputs=50)
    Z = est.sample(3000)[1][:, 0]
    aggregated = est.transform(clusters(3000, seed=2))[:, 0]
    standard = fitted("standard")
    other = standard.sample(3000)[1][:, 0]
    far = kstest(other, standard.transform(clusters(3000, seed=2))[:, 0]).statistic
    assert kstest(Z, aggregated).statistic < max(0.15, far)


@pytest.mark.slow
@pytest.mark.parametrize(
    "objective", ["kl", "entropy", "log_ratio", "stl", "iwae", "forward_kl"]
)
def test_every_objective_takes_the_prior(objective):
    """ "kl" has no closed form here and must estimate, not take N(0, I)."""
    est = fitted("vamp", objective=objective, n_draws=4, max_epochs=60)
    assert est.score(clusters(200, seed=1)) > fitted("vamp", max_epochs=1).score(
        clusters(200, seed=1)
    )


@pytest.mark.slow
def test_three_forms_agree_under_a_vamp_prior():
    bounds = [
        fitted(
            "vamp",
            objective=objective,
            max_epochs=100,
            early_stopping=False,
            lr=1e-30,
            optimizer="sgd",
            lr_schedule="constant",
        ).lower_bounds_
        for objective in ("kl", "entropy", "log_ratio")
    ]
    means = [np.mean(b) for b in bounds]
    error = np.linalg.norm([np.std(b) / 10 for b in bounds])
    assert np.ptp(means) < 4.5 * error


@pytest.mark.slow
def test_pseudo_inputs_learn():
    """One pseudo-input is a single Gaussian, fifty follow the four clusters."""
    held_out = clusters(200, seed=1)
    one, fifty = (fitted("vamp", n_pseudo_inputs=n).score(held_out) for n in (1, 50))
    assert fifty > one


@pytest.mark.parametrize("latent_dim, K", [(3, 4), (30, 60)])
def test_densities_under_each_component(latent_dim, K):
    """Of narrow and far components too, in values and gradients, by SciPy's."""
    rng = np.random.default_rng(0)
    means = rng.normal(scale=10, size=(K, latent_dim))
    scales = np.exp(rng.normal(scale=2, size=(K, latent_dim)))
    z = means[rng.integers(K, size=20)] + scales[0] * rng.normal(size=(20, latent_dim))
    means, log_scales, z = (
        torch.tensor(a, dtype=torch.float32, requires_grad=True)
        for a in (means, np.log(scales), z)
    )
    log_prob = DiagonalGaussian(means, log_scales).log_prob_of_each(z)
    loc, scale = means.detach().double(), log_scales.detach().double().exp()
    eps = (z.detach().double()[:, None] - loc) / scale
    expected = norm.logpdf(z.detach().double()[:, None], loc, scale).sum(-1)
    assert_allclose(log_prob.detach(), expected, rtol=3e-6)
    log_prob.sum().backward()
    assert_allclose(z.grad, -(eps / scale).sum(1), rtol=1e-4)
    assert_allclose(means.grad, (eps / scale).sum(0), rtol=1e-4)
    assert_allclose(log_scales.grad, (eps**2 - 1).sum(0), rtol=1e-4)
