"""The linear VAE is probabilistic PCA, of which everything is known."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA

from sklvm import VAE

from .models import (
    OBJECTIVES,
    double,
    frozen,
    linear,
    quietly,
    random_linear,
    standard_normal,
)
from .reference import linear_bound, linear_evidence, ppca, ppca_networks

SIGMA = 0.5
W = np.array([[1.5, 1.5], [-1.0, 0.0], [0.5, 1.2], [0.0, -1.2], [0.7, 0.6]])
B = np.array([0.5, -0.5, 1.0, 0.0, 2.0])


def rows(n_samples, seed=0):
    rng = np.random.default_rng(seed)
    noise = SIGMA * rng.normal(size=(n_samples, 5))
    return rng.normal(size=(n_samples, 2)) @ W.T + B + noise


X, HELD_OUT = rows(600), rows(400, seed=1)


def trained(objective="kl", **params):
    """A training that begins far away: networks of one's own have no linear start."""
    encoder, decoder = random_linear(5)
    params = {
        "encoder": encoder,
        "decoder": decoder,
        "noise": "shared",
        "hidden_layer_sizes": (),
        "objective": objective,
        "n_draws": 2,
        "max_epochs": 250,
        "lr": 0.03,
        "early_stopping": False,
        "random_state": 0,
    } | params
    return quietly(VAE(2, **params).fit, X)


def at_the_optimum(objective, **params):
    """VAE whose networks are the maximum-likelihood solution."""
    model = ppca(X, 2)
    return frozen(X, *ppca_networks(*model), objective=objective, n_draws=4, **params)


@pytest.mark.slow
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_training_reaches_the_maximum_likelihood(objective):
    est = trained(objective)
    exact = linear_evidence(X, *ppca(X, 2))
    held_out = linear_evidence(HELD_OUT, *ppca(X, 2))
    assert est.score(X) <= exact.mean() + 1e-4
    assert est.score(X) == pytest.approx(exact.mean(), abs=0.01)
    assert est.score(HELD_OUT) == pytest.approx(held_out.mean(), abs=0.01)
    assert est.noise_ == pytest.approx(ppca(X, 2)[2], rel=0.04)


@pytest.mark.slow
def test_training_reaches_the_score_of_scikit_learn():
    """Its PCA divides by n - 1, and is otherwise the same model."""
    assert trained().score(HELD_OUT) == pytest.approx(
        PCA(2).fit(X).score(HELD_OUT), abs=0.015
    )


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["shared", "fixed"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_everything_is_log_p_at_the_optimum(objective, noise):
    model = ppca(X, 2)
    noise = float(model[2]) if noise == "fixed" else noise
    est = at_the_optimum(objective, noise=noise, max_epochs=100)
    exact = linear_evidence(X, *model)
    # noise_ is estimated from one draw a row: 600 * 5 squares.
    rtol = 1e-5 if noise != "shared" else 5 / np.sqrt(2 * 600 * 5)
    assert est.noise_ == pytest.approx(model[2], rel=rtol)
    per_row = linear_evidence(X, *model[:2], est.noise_)
    near = {"rtol": 1e-5, "atol": 1e-3 if noise != "shared" else 0.05}
    assert_allclose(est.score_samples(X), per_row, **near)
    assert_allclose(est.log_likelihood(X, 50), per_row, **near)
    # Weighted draws move a running sigma, by a tenth a step: from 3 to 1.01 in 50.
    trace = est.lower_bounds_[50:]
    error = np.std(trace) / np.sqrt(50)
    # The closed-form sigma of a batch is fitted to it: O(1 / rows) above.
    slack = 1e-4 if noise != "shared" else 5e-3
    assert abs(np.mean(trace) - exact.mean()) < 4.5 * error + slack
    assert est.lower_bound_ == pytest.approx(exact.mean(), abs=0.2)


def test_score_is_the_closed_form_away_from_the_optimum():
    encoder, decoder = random_linear(5)
    est = frozen(X, encoder, decoder, noise=0.8, n_score_draws=1)
    with torch.no_grad():
        F = linear_bound(torch.as_tensor(X), double(encoder), double(decoder), 0.8)
    error = est.score_samples(X) - F.numpy()
    assert abs(error.mean()) < 5 * error.std() / np.sqrt(len(X)) + 1e-4
    exact = linear_evidence(
        X,
        decoder.weight.detach().numpy().astype(float),
        decoder.bias.detach().numpy().astype(float),
        0.8,
    )
    assert (F.numpy() < exact).all()
    assert est.log_likelihood(X, 100).mean() > est.score(X)


def test_transform_is_the_posterior_mean():
    encoder, decoder = random_linear(5)
    est = frozen(X, encoder, decoder)
    with torch.no_grad():
        expected = double(encoder)(torch.as_tensor(X))[:, :2]
        means = double(decoder)(expected)
    Z = est.transform(X)
    assert_allclose(Z, expected, rtol=1e-4, atol=1e-5)
    assert_allclose(est.inverse_transform(Z), means, rtol=1e-4, atol=1e-5)
    assert_allclose(est.reconstruct(X), means, rtol=1e-4, atol=1e-5)


def test_samples_have_the_covariance_of_the_model():
    est = frozen(X, *random_linear(5), noise=SIGMA)
    decoder = est.net_.module_.decoder
    weight = decoder.weight.detach().numpy()
    drawn, Z = est.sample(20000)
    assert_allclose(np.cov(Z.T), np.eye(2), atol=0.05)
    cov = weight @ weight.T + SIGMA**2 * np.eye(5)
    scale = np.sqrt(np.outer(np.diag(cov), np.diag(cov)))
    assert (np.abs(np.cov(drawn.T) - cov) < 5 * scale * np.sqrt(2 / 20000)).all()
    noise = drawn - est.inverse_transform(Z)
    assert_allclose(noise.std(axis=0), SIGMA, rtol=0.03)


# The posterior of this decoder is correlated: its columns are not orthogonal.


class ExactPosterior(torch.nn.Module):
    """Encoder of posterior="full" for two latents: mean, log diagonal, lower part."""

    def __init__(self, W, b, sigma):
        super().__init__()
        M = W.T @ W + sigma**2 * np.eye(2)
        factor = np.linalg.cholesky(sigma**2 * np.linalg.inv(M))
        gain = np.linalg.solve(M, W.T)
        tail = [*np.log(np.diag(factor)), factor[1, 0]]
        self.affine = linear(
            np.vstack([gain, np.zeros((3, len(b)))]), np.concatenate([-gain @ b, tail])
        )

    def forward(self, x):
        return self.affine(x)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_full_posterior_closes_the_gap(objective):
    est = frozen(
        X,
        ExactPosterior(W, B, SIGMA),
        linear(W, B),
        noise=SIGMA,
        posterior="full",
        objective=objective,
        n_draws=4,
        max_epochs=50,
    )
    exact = linear_evidence(X, W, B, SIGMA)
    assert_allclose(est.score_samples(X), exact, atol=1e-3)
    assert_allclose(est.log_likelihood(X, 20), exact, atol=1e-3)
    error = np.std(est.lower_bounds_) / np.sqrt(50)
    assert abs(np.mean(est.lower_bounds_) - exact.mean()) < 4.5 * error + 1e-4


@pytest.mark.slow
def test_training_a_full_posterior_reaches_the_evidence_of_any_decoder():
    """A decoder held at correlated columns: only the full posterior is tight."""

    class Held(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.affine = linear(W, B).requires_grad_(False)

        def forward(self, z):
            return self.affine(z)

    exact = linear_evidence(HELD_OUT, W, B, SIGMA).mean()
    # By one draw, as more would close most of the gap.
    params = {"encoder": None, "decoder": Held(), "noise": SIGMA, "n_score_draws": 1}
    full, diag = (
        trained(posterior=posterior, **params).score(HELD_OUT)
        for posterior in ("full", "diag")
    )
    # 0.01 for one draw a row, as much for what the training leaves.
    assert full == pytest.approx(exact, abs=0.02)
    assert diag < full - 0.1


@pytest.mark.slow
def test_standard_normal_rows_need_no_latents():
    """Posterior collapse is right where the features are independent."""
    data = standard_normal(500, 3)
    encoder, decoder = random_linear(3, latent_dim=1)
    params = {"lr": 0.02, "max_epochs": 200, "noise": "shared", "early_stopping": False}
    est = VAE(1, encoder=encoder, decoder=decoder, random_state=0, **params)
    quietly(est.fit, data)
    W, b, sigma = ppca(data, 1)
    assert est.score(data) == pytest.approx(
        linear_evidence(data, W, b, sigma).mean(), abs=0.02
    )
