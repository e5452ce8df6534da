"""q(z|x) of each row, refined before it is scored."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from sklvm import GMVAE, VAE
from sklvm.autoencoder._distributions import DiagonalGaussian, FullGaussian

from .models import bits, constant, frozen, random_linear, standard_normal
from .reference import bernoulli_log_prob, grid_evidence, latent_grid, linear_evidence

SIGMA = 0.5


def far_encoder(latent_dim, **params):
    """A linear decoder whose posterior the encoder knows nothing of, and rows of it."""
    _, decoder = random_linear(4, latent_dim)
    X = 2 * standard_normal(50)
    encoder = constant(4, [3.0] * latent_dim + [0.5] * latent_dim)
    est = frozen(
        X,
        encoder,
        decoder,
        latent_dim=latent_dim,
        noise=SIGMA,
        objective="kl",
        **params,
    )
    W, b = (part.detach().numpy() for part in (decoder.weight, decoder.bias))
    return est, X, linear_evidence(X, W, b, SIGMA)


def test_reaches_the_evidence_where_the_family_holds_the_posterior():
    est, X, exact = far_encoder(1)
    assert est.set_params(n_score_steps=0).score(X) < exact.mean() - 1
    scores = est.set_params(n_score_steps=40).score_samples(X)
    # A quarter of the draws is of the encoder's q, and nearly lost.
    assert_allclose(scores, exact, atol=0.2)
    assert abs((scores - exact).mean()) < 0.02


def test_climbs_f_itself_for_one_draw():
    est, X, exact = far_encoder(1, n_score_draws=1)
    scores = est.set_params(n_score_steps=40).score_samples(X)
    assert_allclose(scores, exact, atol=0.02)


@pytest.mark.parametrize("posterior", ["diag", "full"])
def test_a_full_covariance_gains_by_steps_too(posterior):
    n_more = 3 if posterior == "full" else 0
    _, decoder = random_linear(4, 3)
    X = 2 * standard_normal(50)
    encoder = constant(4, [3.0] * 3 + [0.5] * 3 + [0.2] * n_more)
    est = frozen(
        *(X, encoder, decoder),
        latent_dim=3,
        noise=SIGMA,
        objective="kl",
        posterior=posterior,
    )
    W, b = (part.detach().numpy() for part in (decoder.weight, decoder.bias))
    exact = linear_evidence(X, W, b, SIGMA).mean()
    start, end = (est.set_params(n_score_steps=n).score(X) for n in (0, 12))
    assert exact - end < 0.2 * (exact - start)


def test_it_stays_a_lower_bound():
    """Of any network: log p(x) by a sum over a grid; the errors are those of draws."""
    X = bits(200)
    encoder = constant(6, [1.0, -1.0])
    decoder = torch.nn.Sequential(
        torch.nn.Linear(1, 8), torch.nn.Tanh(), torch.nn.Linear(8, 6)
    )
    est = frozen(X, encoder, decoder, latent_dim=1, likelihood="bernoulli")
    z, volume = latent_grid(1)
    with torch.no_grad():
        logits = est.net_.module_.decoder(torch.tensor(z, dtype=torch.float32))
    exact = grid_evidence(bernoulli_log_prob(X, logits.sigmoid().numpy()), z, volume)
    gaps = [
        exact - est.set_params(n_score_steps=n).score_samples(X).astype(float)
        for n in (0, 8)
    ]
    error = gaps[1].std() / np.sqrt(len(np.unique(X, axis=0)))
    assert -3 * error < gaps[1].mean() < gaps[0].mean()


def test_no_row_is_lost():
    """Rows so far away that gradients are nothing but steps of the greatest length."""
    est, X, _ = far_encoder(2)
    X = X * np.logspace(0, 6, len(X))[:, None]
    start, end = (
        est.set_params(n_score_steps=n).score_samples(X).astype(float) for n in (0, 8)
    )
    assert np.isfinite(end).all()
    assert (end > start - 4).all()


def test_a_row_is_refined_by_itself():
    est, X, _ = far_encoder(2)
    together = est.score_samples(X)
    alone = [est.score_samples(row[None])[0] for row in X[:5]]
    assert_allclose(alone, together[:5], rtol=1e-6)


def test_codes_and_labels_are_the_encoders():
    X = np.vstack([standard_normal(60) - 4, standard_normal(60) + 4])
    est = GMVAE(2, 2, max_epochs=5, random_state=0).fit(X)
    answers = [
        (est.transform(X), est.predict_proba(X))
        for est in (est.set_params(n_score_steps=n) for n in (0, 8))
    ]
    for before, after in zip(*answers, strict=True):
        assert_allclose(before, after, rtol=0, atol=0)


@pytest.mark.parametrize("n_score_steps", [-1, 1.5, None])
def test_bad_numbers_of_steps(n_score_steps):
    est = frozen(standard_normal(20))
    with pytest.raises(ValueError, match=r"n_score_steps=.* must be an integer of 0"):
        est.set_params(n_score_steps=n_score_steps).score(standard_normal(5))
    with pytest.raises(ValueError, match="n_score_steps"):
        VAE(n_score_steps=n_score_steps).fit(standard_normal(20))


def test_a_moved_gaussian():
    rng = np.random.default_rng(0)
    L, z = 3, rng.normal(size=(7, 3))
    mean, delta, tau = (torch.tensor(rng.normal(size=(1, L))) for _ in range(3))
    log_scale = torch.tensor(rng.normal(size=(1, L)))
    lower = torch.diag_embed(log_scale.exp()) + torch.tensor(
        np.tril(rng.normal(size=(1, L, L)), -1)
    )
    for q, factor in (
        (DiagonalGaussian(mean, log_scale), torch.diag_embed(log_scale.exp())),
        (FullGaussian(mean, log_scale, lower), lower),
    ):
        A = (factor * tau.exp().unsqueeze(-2))[0].numpy()
        loc = (mean + (factor @ delta.unsqueeze(-1)).squeeze(-1))[0].numpy()
        expected = multivariate_normal(loc, A @ A.T).logpdf(z)
        moved = q.moved(delta, tau)
        log_prob = moved.log_prob(torch.tensor(z).unsqueeze(1))[:, 0]
        assert_allclose(log_prob.numpy(), expected, rtol=1e-9)
        eps = torch.tensor(rng.normal(size=(4, 1, L)))
        by_hand = q.rsample(delta + tau.exp() * eps)
        assert_allclose(moved.rsample(eps).numpy(), by_hand.numpy(), rtol=1e-9)


def test_log_likelihood_needs_fewer_draws():
    """Few draws of a refined q come closer than many of one that is far away."""
    est, X, exact = far_encoder(2)
    few = est.log_likelihood(X, 50)
    many = est.set_params(n_score_steps=0).log_likelihood(X, 500)
    assert np.abs(few - exact).mean() < 0.5 * np.abs(many - exact).mean()
    assert logsumexp(np.abs(few - exact)) < logsumexp(np.abs(many - exact))
