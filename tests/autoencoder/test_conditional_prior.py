"""p(z|x) as a mixture of Gaussians, its density and its draws against sums over it."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from scipy.stats import norm

from sklvm import ConditionalVAE
from sklvm.autoencoder._distributions import (
    DiagonalGaussian,
    GaussianPrior,
    MixturePrior,
)

from .models import constant, frozen, linear, quietly
from .reference import latent_grid

K, L = 3, 2
PI = np.array([0.2, 0.5, 0.3])
MEANS = np.array([[2.0, 0.0], [-1.0, 1.5], [0.0, -2.0]])
SD = np.array([[0.3, 0.6], [0.5, 0.2], [0.4, 0.4]])


def outputs(pi=PI, means=MEANS, sd=SD):
    """What a network gives for the mixture: means, log scales, then logits."""
    return np.concatenate([np.ravel(means), np.log(sd).ravel(), np.log(pi) + 0.7])


def branches(n_samples, seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n_samples, 1))
    y = X[:, 0] * rng.choice([-1, 1], n_samples) + 0.2 * rng.normal(size=n_samples)
    return X, y


def fitted(n_samples=300, **params):
    params = {
        "n_prior_components": K,
        "hidden_layer_sizes": (16,),
        "max_epochs": 60,
        "lr": 0.01,
        "random_state": 0,
    } | params
    return quietly(ConditionalVAE(**params).fit, *branches(n_samples, 0))


@pytest.fixture(scope="module")
def model():
    return fitted()


def known(X, slope=0.0, **params):
    """A model whose p(z|x) is the mixture, its means moved along by slope * x."""
    bias, weight = outputs(), np.zeros((K * (2 * L + 1), 1))
    weight[: K * L] = slope
    params = {
        "prior": linear(weight, bias),
        "n_prior_components": K,
        "noise": 0.5,
        "warmup": 0.0,
        "estimator": ConditionalVAE,
    } | params
    decoder = linear([[1.0, 0.5, 0.0], [0.0, 1.0, 0.0]], [0.0, 0.0])
    y = np.zeros((len(X), 2))
    return frozen(X, constant(3, np.zeros(2 * L)), decoder, y=y, **params)


# The distribution itself.


def mixture(n_rows=1):
    parameters = torch.as_tensor(outputs(), dtype=torch.float64)
    return MixturePrior.of(parameters.expand(n_rows, -1), L, K)


def test_the_network_s_numbers_are_means_scales_and_weights():
    p = mixture(4)
    assert MixturePrior.n_parameters(L, K) == len(outputs()) == K * (2 * L + 1)
    assert_allclose(p.log_weights.exp(), np.tile(PI, (4, 1)))
    assert_allclose(p.components.mean[1], MEANS)
    assert_allclose(p.components.scale[2], SD)
    assert_allclose(p.mean, np.tile(PI @ MEANS, (4, 1)))


def test_log_prob_is_the_sum_over_the_components():
    z = np.random.default_rng(0).normal(size=(7, 4, L))
    of_k = norm.logpdf(z[..., None, :], MEANS, SD).sum(-1) + np.log(PI)
    assert_allclose(mixture(4).log_prob(torch.as_tensor(z)), logsumexp(of_k, axis=-1))


def test_kl_is_that_of_the_grid_on_average():
    q = DiagonalGaussian(
        torch.tensor([[0.4, -0.3]], dtype=torch.float64),
        torch.tensor([[-0.5, 0.2]], dtype=torch.float64),
    )
    z, volume = latent_grid(L, step=0.05)
    z = torch.as_tensor(z)
    log_q, log_p = q.log_prob(z), mixture().log_prob(z)
    exact = (log_q.exp() * (log_q - log_p)).sum().item() * volume
    eps = torch.randn(40000, 1, L, generator=torch.Generator().manual_seed(0))
    values = mixture().kl(q, q.rsample(eps.double()))
    error = values.std().item() / np.sqrt(values.numel())
    assert abs(values.mean().item() - exact) < 4 * error


def test_draws_have_the_frequencies_of_the_components():
    n = 40000
    p = mixture(2)
    generator = torch.Generator().manual_seed(0)
    eps = torch.randn(n, 2, L + 1, generator=generator, dtype=torch.float64)
    z = p.rsample(eps).numpy()
    assert z.shape == (n, 2, L)
    # The components are so far apart that the nearest one is known.
    nearest = np.abs(z[..., None, :] - MEANS).sum(-1).argmin(-1)
    for row in range(2):
        share = np.bincount(nearest[:, row], minlength=K) / n
        assert_allclose(share, PI, atol=0.015)
        for k in range(K):
            own = z[nearest[:, row] == k, row]
            assert_allclose(own.mean(0), MEANS[k], atol=0.03)
            assert_allclose(own.std(0), SD[k], rtol=0.05)


def test_one_component_is_the_gaussian():
    parameters = torch.as_tensor(np.random.default_rng(0).normal(size=(5, 2 * L)))
    one = GaussianPrior.of(parameters, L)
    same = MixturePrior.of(torch.cat([parameters, torch.ones(5, 1)], -1), L, 1)
    eps = torch.as_tensor(np.random.default_rng(1).normal(size=(3, 5, L + 1)))
    z = one.rsample(eps[..., :L])
    assert_array_equal(same.rsample(eps), z)
    assert_allclose(same.log_prob(z), one.log_prob(z))
    assert_allclose(same.mean, one.mean)


def test_rows_together_and_apart():
    rows = [mixture(2), mixture(3)]
    p = MixturePrior.joined(rows)[:4]
    z = torch.as_tensor(np.random.default_rng(0).normal(size=(4, L)))
    assert_allclose(p.log_prob(z), mixture(4).log_prob(z))
    assert_allclose(p.aggregated().log_prob(z), mixture(4).log_prob(z))


# The model.


@pytest.mark.slow
def test_log_likelihood_is_the_integral(model):
    X, y = branches(40, 1)
    z, volume = latent_grid(2, half_width=8.0, step=0.1)
    module = model.net_.module_.double()
    with torch.no_grad():
        parameters = module.prior_network(torch.as_tensor(X)).numpy()
        rows = torch.as_tensor(np.repeat(X[:, None], len(z), axis=1))
        both = torch.cat([torch.as_tensor(z).expand(len(X), -1, -1), rows], -1)
        mean = module.decoder(both)[..., 0].numpy()
    module.float()
    means, log_sd, logits = np.split(parameters, [K * L, 2 * K * L], axis=1)
    log_pi = logits - logsumexp(logits, axis=1, keepdims=True)
    means, log_sd = (part.reshape(-1, 1, K, L) for part in (means, log_sd))
    of_k = norm.logpdf(z[:, None], means, np.exp(log_sd)).sum(-1) + log_pi[:, None]
    log_prior = logsumexp(of_k, axis=-1)
    assert_allclose(np.exp(log_prior).sum(1) * volume, 1, rtol=1e-3)
    log_y = norm.logpdf(y[:, None], mean, model.noise_)
    exact = logsumexp(log_y + log_prior, axis=1) + np.log(volume)
    error = model.log_likelihood(X, y, 20000) - exact
    assert np.abs(error).max() < 0.05
    assert model.score_samples(X, y).mean() < exact.mean() + 0.005
    # And what predict averages over is the same density.
    expected = (np.exp(log_prior) * mean).sum(1) * volume
    assert_allclose(model.predict(X, 4096), expected, atol=0.02)


def test_samples_and_means_are_the_mixture_s():
    X = np.linspace(-1, 1, 5)[:, None]
    est = known(X, slope=1.0)
    assert_allclose(est.transform(X), PI @ MEANS + X, atol=1e-5)
    y, z = est.sample(X, 8000)
    assert z.shape == (8000, 5, L)
    nearest = np.abs((z - X)[..., None, :] - MEANS).sum(-1).argmin(-1)
    share = (nearest[..., None] == np.arange(K)).mean(0)
    assert_allclose(share, np.tile(PI, (5, 1)), atol=0.03)
    expected = (PI @ MEANS + X) @ np.array([[1.0, 0.0], [0.5, 1.0]])
    assert_allclose(y.mean(0), expected, atol=0.1)
    # 256 points spread evenly over the components are better than as many draws.
    assert_allclose(est.predict(X), expected, atol=0.05)


@pytest.mark.parametrize("method", ["predict", "transform", "log_likelihood", "score"])
def test_a_row_does_not_depend_on_its_neighbours(model, method):
    X, y = branches(30, 1)

    def values(rows):
        if method in ("predict", "transform"):
            return getattr(model, method)(X[rows])
        return np.atleast_1d(getattr(model, method)(X[rows], y[rows]))

    if method == "score":
        alone = np.mean([values([i]) for i in range(30)])
        assert values(slice(None))[0] == pytest.approx(alone, abs=1e-5)
        return
    together = values(slice(None))
    near = {"rtol": 1e-5, "atol": 1e-5}
    assert_allclose(values(slice(None, None, -1))[::-1], together, **near)
    assert_allclose(np.concatenate([values([i]) for i in range(30)]), together, **near)


def test_a_pickle_answers_the_same(model):
    X, y = branches(20, 1)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.score_samples(X, y), model.score_samples(X, y))
    assert_array_equal(again.predict(X), model.predict(X))
    assert_array_equal(again.sample(X)[0], model.sample(X)[0])


@pytest.mark.parametrize("latent_dim", [1, 2, 3])
def test_the_start_is_unit_gaussians_of_equal_weight(latent_dim):
    est = fitted(latent_dim=latent_dim, max_epochs=1, lr=1e-12)
    p = est.net_.module_.conditional_prior(torch.tensor([[0.3], [-0.9]]))
    assert_allclose(p.log_weights.exp().detach(), 1 / K, rtol=1e-5)
    assert_allclose(p.components.scale.detach(), 1, rtol=1e-5)
    means = p.components.mean.detach().numpy()
    assert_allclose(means[0], means[1], atol=1e-6)
    apart = np.linalg.norm(means[0][:, None] - means[0], axis=-1)
    assert apart[~np.eye(K, dtype=bool)].min() > 1.9


@pytest.mark.parametrize("value", [0, 1.5, "two"])
def test_a_number_of_components_that_is_none(value):
    with pytest.raises(ValueError, match="n_prior_components"):
        fitted(n_prior_components=value)


def test_a_network_of_the_wrong_width():
    X = np.zeros((20, 1))
    with pytest.raises(ValueError, match=r"prior=Linear.*width 15"):
        known(X, prior=constant(1, np.zeros(2 * L)))


def test_going_on_takes_the_same_number(model):
    est = fitted(max_epochs=1, warm_start=True)
    with pytest.raises(ValueError, match="n_prior_components"):
        quietly(est.set_params(n_prior_components=2).fit, *branches(300, 0))


@pytest.mark.slow
def test_crossing_branches_are_within_a_few_hundredths_of_the_truth():
    est = fitted(2000, hidden_layer_sizes=(64, 64), max_epochs=100, lr=3e-3, warmup=0.1)
    X, y = branches(1000, 1)
    both = norm.logpdf(y[:, None], X * [1, -1], 0.2)
    truth = logsumexp(both, axis=1).mean() - np.log(2)
    assert est.score(X, y) > truth - 0.05
