"""NaN is missing: bound, evidence and imputation over the observed entries."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from sklvm import VAE

from .models import bits, constant, curve, frozen, linear, quietly, standard_normal
from .reference import linear_conditional, linear_evidence

SIGMA = 0.6
W = np.array([[1.2, 0.4], [-0.8, 0.9], [0.5, 1.1], [0.0, -1.0]])
B = np.array([0.5, -0.5, 1.0, 0.0])


def rows(n_samples, seed=0, missing=0.3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 2)) @ W.T + B
    X = X + SIGMA * rng.normal(size=X.shape)
    X[rng.random(X.shape) < missing] = np.nan
    X[:5] = np.nan_to_num(X[:5])
    return X


class ExactPosterior(torch.nn.Module):
    """p(z | observed entries); the input: values, zero where missing, and mask."""

    def forward(self, inputs):
        x, mask = inputs.double().chunk(2, -1)
        weight, b = torch.as_tensor(W), torch.as_tensor(B)
        M = torch.einsum("nd,dk,dl->nkl", mask, weight, weight)
        cov = torch.linalg.inv(M / SIGMA**2 + torch.eye(2))
        mean = torch.einsum("nkl,dl,nd->nk", cov, weight, mask * (x - b)) / SIGMA**2
        factor = torch.linalg.cholesky(cov)
        log_diagonal = factor.diagonal(dim1=-2, dim2=-1).log()
        return torch.cat([mean, log_diagonal, factor[:, 1, :1]], -1).float()


def exact_model(X, **params):
    params = {"noise": SIGMA, "posterior": "full"} | params
    return frozen(X, ExactPosterior(), linear(W, B), **params)


def from_the_prior(X, **params):
    """A poor proposal, so that the importance weights have to work."""
    encoder = constant(8, np.zeros(4))
    return frozen(X, encoder, linear(W, B), noise=SIGMA, **params)


def test_the_bound_is_over_the_observed_entries():
    X = rows(100)
    evidence = linear_evidence(X, W, B, SIGMA)
    est = exact_model(X)
    assert_allclose(est.score_samples(X), evidence, atol=1e-3)
    assert_allclose(est.log_likelihood(X, 20), evidence, atol=1e-3)


@pytest.mark.parametrize("objective", ["kl", "log_ratio", "iwae"])
def test_the_objective_is_over_the_observed_entries(objective):
    X = rows(100)
    est = exact_model(X, objective=objective, n_draws=4, max_epochs=30)
    error = np.std(est.lower_bounds_) / np.sqrt(30)
    expected = linear_evidence(X, W, B, SIGMA).mean()
    assert abs(np.mean(est.lower_bounds_) - expected) < 4.5 * error + 1e-4


def test_importance_weights_correct_a_poor_encoder():
    X = rows(60)
    est = from_the_prior(X)
    evidence = linear_evidence(X, W, B, SIGMA)
    score = est.set_params(n_score_steps=0).score(X)
    assert score < evidence.mean()
    assert_allclose(est.log_likelihood(X, 20000), evidence, atol=0.15)


def test_imputation_is_the_conditional_mean():
    X = rows(60)
    exact = np.array([linear_conditional(x, W, B, SIGMA) for x in X])
    filled = exact_model(X).impute(X, n_importance=4000)
    assert filled.dtype == np.float32
    # Standard deviation of a missing entry: below 1.6, over sqrt(4000) draws.
    assert np.abs(filled - exact).max() < 5 * 1.6 / np.sqrt(4000)
    poor = from_the_prior(X).impute(X, n_importance=20000)
    assert np.abs(poor - exact).max() < 0.15


def test_observed_entries_are_kept():
    X = rows(60)
    filled = exact_model(X).impute(X)
    seen = ~np.isnan(X)
    assert_array_equal(filled[seen], X[seen].astype(np.float32))
    assert np.isfinite(filled).all()
    complete = np.nan_to_num(X)
    assert_array_equal(exact_model(X).impute(complete), complete.astype(np.float32))


def test_imputation_repeats_and_belongs_to_the_row():
    X = rows(30)
    est = exact_model(X)
    filled = est.impute(X)
    assert_array_equal(est.impute(X), filled)
    assert_allclose(est.impute(X[::-1])[::-1], filled, rtol=1e-5, atol=1e-5)
    assert_allclose(est.impute(X[7:8])[0], filled[7], rtol=1e-5, atol=1e-5)


def test_a_row_without_any_entry():
    X = rows(30)
    X[10] = np.nan
    est = exact_model(X)
    assert est.score_samples(X)[10] == pytest.approx(0, abs=1e-4)
    assert est.log_likelihood(X, 50)[10] == pytest.approx(0, abs=1e-4)
    assert_allclose(est.impute(X, n_importance=20000)[10], B, atol=0.06)


def test_optimal_noise_is_over_the_observed_entries():
    X = rows(2000)
    est = exact_model(X, noise="optimal")
    assert est.noise_ == pytest.approx(SIGMA, rel=0.05)


def test_values_under_the_mask_do_not_matter_to_the_bound():
    """A zero that is observed and one that is missing are different rows."""
    X = rows(30)
    est = exact_model(X)
    zero, missing = np.zeros((1, 4)), np.zeros((1, 4))
    missing[0, 2] = np.nan
    for row in (zero, missing):
        assert_allclose(
            est.score_samples(row), linear_evidence(row, W, B, SIGMA), atol=1e-3
        )


def test_gaps_that_the_fit_has_not_seen():
    X = standard_normal(40)
    est = frozen(X, hidden_layer_sizes=(4,))
    gaps = X.copy()
    gaps[3, 1] = np.nan
    for method in ("transform", "score_samples", "log_likelihood", "impute"):
        with pytest.raises(ValueError, match=r"(?i)nan|missing"):
            getattr(est, method)(gaps)


@pytest.mark.slow
def test_training_with_gaps_reaches_the_evidence():
    """Linear networks cannot be exact for every mask; a small MLP comes close."""
    X, held_out = rows(600), rows(300, seed=1)
    est = VAE(
        2,
        hidden_layer_sizes=(32,),
        posterior="full",
        max_epochs=120,
        lr=0.01,
        random_state=0,
    )
    quietly(est.fit, X)
    evidence = linear_evidence(held_out, W, B, SIGMA).mean()
    assert est.log_likelihood(held_out, 500).mean() > evidence - 0.15
    assert est.score(held_out) > evidence - 0.4
    exact = np.array([linear_conditional(x, W, B, SIGMA) for x in held_out])
    error = np.sqrt(np.mean((est.impute(held_out, 500) - exact) ** 2))
    mean_fill = np.where(np.isnan(held_out), np.nanmean(X, axis=0), held_out)
    assert error < 0.5 * np.sqrt(np.mean((mean_fill - exact) ** 2))


@pytest.mark.slow
def test_bernoulli_gaps():
    X = bits(200)
    gaps = X.copy()
    gaps[np.random.default_rng(1).random(X.shape) < 0.3] = np.nan
    est = VAE(
        1,
        likelihood="bernoulli",
        hidden_layer_sizes=(16,),
        max_epochs=200,
        lr=0.01,
        random_state=0,
    )
    filled = quietly(est.fit, gaps).impute(gaps)
    hidden = np.isnan(gaps)
    assert ((filled >= 0) & (filled <= 1)).all()
    right = ((filled > 0.5) == X)[hidden].mean()
    # Flips of 0.2 leave at most 0.8; the independent guess is 0.5.
    assert right > 0.65


@pytest.mark.slow
def test_labels_as_masked_features():
    """Semi-supervised: two further columns, known for one row in ten."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=300)
    X = rng.normal(size=(300, 4)) + 3 * np.array([[1, 1, 0, 0], [0, 0, 1, 1]])[y]
    labels = np.eye(2)[y]
    labels[rng.random(300) > 0.1] = np.nan
    est = VAE(1, hidden_layer_sizes=(16,), max_epochs=100, lr=0.01, random_state=0)
    quietly(est.fit, np.hstack([X, labels]))
    unknown = np.hstack([X, np.full((300, 2), np.nan)])
    predicted = est.impute(unknown)[:, 4:].argmax(axis=1)
    assert (predicted == y).mean() > 0.9


def test_early_stopping_and_a_vamp_prior_take_gaps():
    X = curve(100)
    X[::3, 1] = np.nan
    est = VAE(
        1,
        prior="vamp",
        n_pseudo_inputs=5,
        early_stopping=True,
        max_epochs=5,
        hidden_layer_sizes=(8,),
        random_state=0,
    )
    quietly(est.fit, X)
    assert np.isfinite(est.score_samples(X)).all()
    assert np.isfinite(est.sample(10)[0]).all()


def test_a_fit_with_gaps_is_the_same_again():
    X = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    X[::3, 1] = np.nan
    bounds = [
        VAE(2, max_epochs=2, tol=np.inf, random_state=0).fit(X).lower_bounds_
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*bounds)
