"""Values and gradients of the objectives, on networks that are known exactly.

The gradients are seen by an optimizer that records them and does not move, so that
every epoch is one more draw at the same parameters.
"""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from sklvm import VAE

from .models import (
    OBJECTIVES,
    double,
    encoder_gradients,
    frozen,
    gradients,
    linear,
    quietly,
    random_linear,
    standard_normal,
)
from .reference import (
    linear_bound,
    linear_cross_entropy,
    linear_posterior,
    plain_iwae,
    ppca,
    ppca_networks,
)

SIGMA = 0.8
X = standard_normal(20)
BOUND = ["kl", "entropy", "log_ratio", "stl"]


def draws(objective, max_epochs=500, networks=None, X=X, *, together=1, **params):
    """A frozen fit: one value and one gradient of the objective an epoch.

    Each is the mean of `together` draws, over as many copies of the rows: an epoch
    costs the same, and the standard error falls by the root of it.
    """
    params = {"noise": SIGMA} | params
    networks = networks or random_linear()
    X = np.tile(X, (together, 1))
    return frozen(X, *networks, objective=objective, max_epochs=max_epochs, **params)


def z_score(sample, expected):
    """Of the mean over the first axis; a component without noise must be equal."""
    sample = np.asarray(sample, dtype=float)
    spread = sample.std(axis=0) / math.sqrt(len(sample))
    difference = sample.mean(axis=0) - expected
    # Rounding in float32 alone, where a draw has no noise.
    return np.abs(difference / (spread + 1e-5 * (1 + np.abs(expected)))).max()


def flat_gradients(est):
    parts = gradients(est).values()
    return np.concatenate([g.reshape(len(g), -1) for g in parts], axis=1)


def exact(function, networks=None):
    """The function of the known networks in float64, and these networks."""
    encoder, decoder = (double(net) for net in networks or random_linear())
    value = function(torch.as_tensor(X), encoder, decoder, SIGMA)
    return value, encoder, decoder


def exact_gradient(value, *networks):
    parameters = [p for net in networks for p in net.parameters()]
    parts = torch.autograd.grad(value, parameters)
    return np.concatenate([part.numpy().ravel() for part in parts])


# Values.


@pytest.mark.parametrize("objective", BOUND)
def test_the_mean_is_the_closed_form_of_the_bound(objective):
    F, *_ = exact(linear_bound)
    bounds = draws(objective, 100, together=5).lower_bounds_
    assert z_score(bounds, F.mean().item()) < 4.5


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
@pytest.mark.parametrize("posterior", ["diag", "full"])
def test_three_forms_agree_on_a_random_network(likelihood, posterior):
    data, params = np.tile(X, (5, 1)), {"noise": SIGMA}
    if likelihood == "bernoulli":
        data, params = (data > 0).astype(float), {}
    bounds = {
        objective: frozen(
            data,
            likelihood=likelihood,
            posterior=posterior,
            hidden_layer_sizes=(8,),
            objective=objective,
            max_epochs=100,
            **params,
        ).lower_bounds_
        for objective in ("kl", "entropy", "log_ratio")
    }
    means = [np.mean(b) for b in bounds.values()]
    errors = [np.std(b) / math.sqrt(100) for b in bounds.values()]
    assert np.ptp(means) < 4.5 * np.linalg.norm(errors)
    assert all(0 < error < 0.2 for error in errors)


@pytest.mark.slow
def test_the_closed_forms_take_noise_away():
    """Their variances differ, or there would be one form only."""
    spread = {name: np.std(draws(name).lower_bounds_) for name in BOUND}
    assert len({round(value, 4) for value in spread.values()}) >= 3
    # The score term is dropped from the gradient, not from the value.
    assert spread["stl"] == pytest.approx(spread["log_ratio"], rel=0.15)


@pytest.mark.slow
def test_more_draws_average():
    one, many = (
        np.std(draws("log_ratio", n_draws=n_draws).lower_bounds_) for n_draws in (1, 16)
    )
    assert one / many == pytest.approx(4, rel=0.25)


def test_iwae_is_the_closed_form_with_many_draws():
    encoder, decoder = (double(net) for net in random_linear())
    noise = torch.randn(
        2000, 20, 4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    plain = plain_iwae(torch.as_tensor(X), encoder, decoder, SIGMA, noise)
    plain = plain.mean(-1).detach().numpy()
    bounds = draws("iwae", 100, together=5, n_draws=4).lower_bounds_
    error = math.hypot(plain.std() / math.sqrt(2000), np.std(bounds) / math.sqrt(100))
    assert abs(np.mean(bounds) - plain.mean()) < 4.5 * error


def test_iwae_rises_with_the_number_of_draws_towards_the_evidence():
    F, *_ = exact(linear_bound)
    bounds = [
        np.mean(draws("iwae", 20, together=10, n_draws=n_draws).lower_bounds_)
        for n_draws in (2, 8, 32, 128)
    ]
    assert F.mean().item() < bounds[0]
    assert (np.diff(bounds) > 0).all()
    evidence = draws("kl", max_epochs=1).log_likelihood(X, 20000).mean()
    assert bounds[-1] < evidence + 0.02


# Gradients.


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["kl", "entropy", "log_ratio"])
def test_the_gradient_is_that_of_the_bound(objective):
    F, *networks = exact(linear_bound)
    expected = exact_gradient(-F.mean(), *networks)
    assert z_score(flat_gradients(draws(objective, 200, together=10)), expected) < 5


@pytest.mark.slow
def test_stl_drops_a_term_whose_mean_is_zero():
    F, encoder, decoder = exact(linear_bound)
    expected = exact_gradient(-F.mean(), encoder, decoder)
    assert z_score(flat_gradients(draws("stl", 200, together=10)), expected) < 5


@pytest.mark.slow
def test_doubly_reparameterised_gradients_are_unbiased():
    encoder, decoder = (double(net) for net in random_linear())
    generator = torch.Generator().manual_seed(0)
    rows = torch.as_tensor(X)
    plain = []
    for _ in range(100):
        noise = torch.randn(90, 20, 4, 2, generator=generator, dtype=torch.float64)
        value = plain_iwae(rows, encoder, decoder, SIGMA, noise)
        plain.append(exact_gradient(-value.mean(), encoder, decoder))
    plain = np.array(plain)
    ours = flat_gradients(draws("iwae", 200, together=10, n_draws=4))
    variance = ours.var(axis=0) / 200 + plain.var(axis=0) / 100
    difference = ours.mean(axis=0) - plain.mean(axis=0)
    assert np.abs(difference / np.sqrt(variance)).max() < 5


def at_the_exact_posterior(objective, **params):
    data = standard_normal(200, 4) * [3, 2, 1, 1]
    W, b, sigma = ppca(data, 2)
    networks = ppca_networks(W, b, sigma)
    est = draws(objective, 20, networks, data, noise=float(sigma), **params)
    return np.abs(encoder_gradients(est)).max()


@pytest.mark.parametrize(
    "objective, n_draws", [("stl", 1), ("iwae", 4)], ids=["stl", "iwae"]
)
def test_no_gradient_noise_at_the_exact_posterior(objective, n_draws):
    """Every single draw of the encoder's gradient is zero there, up to rounding."""
    assert at_the_exact_posterior("log_ratio") > 0.05
    assert at_the_exact_posterior(objective, n_draws=n_draws) < 1e-4


def wider_than_the_posterior():
    """An encoder beside the posterior of its decoder, so that weights are mild."""
    decoder = random_linear()[1]
    W, b = (p.detach().numpy().astype(float) for p in (decoder.weight, decoder.bias))
    M = W.T @ W + SIGMA**2 * np.eye(2)
    gain = np.linalg.solve(M, W.T)
    log_sd = np.log(1.5 * SIGMA) - 0.5 * np.log(np.diag(M))
    encoder = linear(
        np.vstack([gain, np.zeros_like(gain)]),
        np.concatenate([0.3 - gain @ b, log_sd]),
    )
    return encoder, decoder


def test_forward_kl_leads_the_encoder_to_the_posterior_from_outside():
    """With many draws, the gradient of KL(p(z|x) || q(z|x)) in closed form."""
    networks = wider_than_the_posterior()
    cross_entropy, encoder, _ = exact(linear_cross_entropy, networks)
    expected = exact_gradient(cross_entropy.mean(), encoder)
    est = draws("forward_kl", 20, networks, together=10, n_draws=512)
    mean = encoder_gradients(est).mean(axis=0)
    # Self-normalised weights are biased by a part of order 1/n_draws.
    assert_allclose(mean, expected, atol=0.03 * np.abs(expected).max())
    F, encoder, _ = exact(linear_bound, networks)
    inside = exact_gradient(-F.mean(), encoder)
    assert np.abs(mean - inside).max() > 0.3 * np.abs(expected).max()


def test_forward_kl_lets_the_decoder_follow_the_bound():
    F, _, decoder = exact(linear_bound)
    bound = exact_gradient(-F.mean(), decoder)
    est = draws("forward_kl", 100, together=10, n_draws=8)
    decoder_part = flat_gradients(est)[:, -len(bound) :]
    assert z_score(decoder_part, bound) < 5


def test_the_posterior_is_a_fixed_point_of_forward_kl():
    data = standard_normal(200, 4) * [3, 2, 1, 1]
    W, b, sigma = ppca(data, 2)
    networks = ppca_networks(W, b, sigma)
    params = {"noise": float(sigma), "n_draws": 8}
    est = draws("forward_kl", 100, networks, data, together=5, **params)
    assert z_score(encoder_gradients(est), 0.0) < 5


# Weights of the KL in the objective.


def kl_and_fit(X=X):
    """The two parts of F in closed form, E_q[log p(x|z)] and -KL, means over rows."""
    encoder, decoder = (double(net) for net in random_linear())
    mean, log_sd = encoder(torch.as_tensor(X)).chunk(2, -1)
    kl = 0.5 * (mean.square() + (2 * log_sd).exp() - 1 - 2 * log_sd).sum(-1).mean()
    F = linear_bound(torch.as_tensor(X), encoder, decoder, SIGMA).mean()
    return F + kl, kl, encoder, decoder


def gradient_with_weight(weight):
    log_lik, kl, *networks = kl_and_fit()
    return exact_gradient(weight * kl - log_lik, *networks)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["kl", "log_ratio"])
def test_beta_multiplies_the_kl(objective):
    est = draws(objective, 100, together=10, beta=3.0)
    assert z_score(flat_gradients(est), gradient_with_weight(3.0)) < 5
    log_lik, kl, *_ = kl_and_fit()
    assert z_score(est.lower_bounds_, (log_lik - 3 * kl).item()) < 4.5


def test_score_has_beta_one_whatever_the_training():
    one, four = (draws("kl", 1, beta=beta) for beta in (1.0, 4.0))
    assert_allclose(four.score_samples(X), one.score_samples(X), rtol=1e-6)


@pytest.mark.slow
def test_kl_below_free_bits_costs_nothing():
    kl = kl_and_fit()[1].item()
    free = draws("kl", 100, together=10, free_bits=kl + 0.5)
    assert z_score(flat_gradients(free), gradient_with_weight(0.0)) < 5
    charged = draws("kl", 100, together=10, free_bits=kl - 0.5)
    assert z_score(flat_gradients(charged), gradient_with_weight(1.0)) < 5


def test_beta_rises_linearly_over_the_warmup():
    """At frozen networks the trace shows beta: log_lik - beta * KL."""
    est = draws("kl", 20, warmup=0.5, n_draws=20000)
    log_lik, kl, *_ = kl_and_fit()
    beta = (log_lik.item() - np.asarray(est.lower_bounds_)) / kl.item()
    rising = np.clip(np.arange(20) / 10, 0, 1)
    # Whether the first step has beta 0 or 1/10 is a matter of taste.
    assert np.abs(beta - rising).max() < 0.16
    assert np.abs(beta[11:] - 1).max() < 0.06
    assert (np.diff(beta[:10]) > 0).all()


def test_warmup_counts_steps_not_epochs():
    """One epoch of many steps: beta is on average 1/2 while it rises."""
    data = standard_normal(200)
    encoder, decoder = random_linear()
    # The divergence in closed form: one epoch does not average its noise out.
    params = {"noise": SIGMA, "objective": "kl"}
    one, half = (
        frozen(data, encoder, decoder, batch_size=2, warmup=warmup, **params)
        for warmup in (0.0, 1.0)
    )
    kl = kl_and_fit(data)[1].item()
    gained = half.lower_bounds_[0] - one.lower_bounds_[0]
    assert gained == pytest.approx(kl / 2, rel=0.25)


# Parameters that an objective cannot take.


@pytest.mark.parametrize("objective", ["iwae", "forward_kl"])
def test_several_draws_are_needed(objective):
    with pytest.raises(ValueError, match="n_draws"):
        VAE(objective=objective, n_draws=1).fit(X)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_learns(objective):
    """Rows on a line: F rises well above that of the untrained networks.

    Networks of one's own, as a training that starts at the linear model has no more to
    learn here.
    """
    encoder, decoder = random_linear(latent_dim=1)
    line = standard_normal(100, 1) @ np.ones((1, 4)) + 0.1 * standard_normal(100, 4)
    params = {
        "latent_dim": 1,
        "objective": objective,
        "n_draws": 8,
        "encoder": encoder,
        "decoder": decoder,
        "lr": 0.03,
        "random_state": 0,
    }
    first = quietly(VAE(max_epochs=1, **params).fit, line)
    last = quietly(VAE(max_epochs=60, **params).fit, line)
    assert last.score(line) > first.score(line) + 2


def test_the_exact_posterior_of_the_reference_is_right():
    """The references are held to each other: F is tight at p(z|x)."""
    data = standard_normal(50, 4) * [3, 2, 1, 1]
    W, b, sigma = ppca(data, 2)
    encoder, decoder = (double(net) for net in ppca_networks(W, b, sigma))
    mean, cov = linear_posterior(torch.as_tensor(data), decoder, sigma)
    out_mean, log_sd = encoder(torch.as_tensor(data)).chunk(2, -1)
    assert_allclose(out_mean.detach(), mean.detach(), atol=1e-5)
    variances = (2 * log_sd[0]).exp().detach()
    assert_allclose(variances, cov.detach().diagonal(), rtol=1e-5)
    assert abs(cov[0, 1].item()) < 1e-6
