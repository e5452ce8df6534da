"""GMVAE against integrals, against the mixture of PPCAs, and against itself."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, logsumexp
from scipy.stats import chi2, kstest

from sklvm import GMVAE

from .models import frozen, quietly
from .reference import gaussian_log_prob
from .structured import (
    DIAG,
    MIXTURES,
    SIGMA,
    B,
    Mixture,
    W,
    copy_parameters,
    covariance_of,
    disturb_heads,
    draw,
    exact_terms,
    known,
    likelihood_encoder,
    mixture_conditional,
    mixture_evidence,
    mixture_log_joint,
    network_log_q,
    q_of,
    sequential,
)

MODES = ["exact", "network", "gumbel", "reinforce"]
X, LABELS = draw(150)
HELD_OUT, _ = draw(60, seed=1)
TERMS = ("z", "w", "x")


def bananas(n_samples, seed=0):
    """Three bent clusters in three dimensions, of unit scale."""
    rng = np.random.default_rng(seed)
    k = rng.integers(3, size=n_samples)
    t = rng.normal(size=n_samples)
    centre = np.array([[-1.5, 0, 1], [1.5, 0.5, 0], [0, -1.5, -1]])[k]
    bend = np.stack([0.6 * t, 0.4 * np.sin(2 * t), 0.3 * t**2], axis=1)
    return centre + bend + 0.25 * rng.normal(size=(n_samples, 3))


QUICK = {
    "n_components": 3,
    "hidden_layer_sizes": (16,),
    "max_epochs": 40,
    "lr": 0.01,
    "random_state": 0,
}


def fitted(X, **params):
    return quietly(GMVAE(**(QUICK | params)).fit, X)


# The evidence.


def grid_of(mixture, n_points=250):
    """Points (m, 2) over six standard deviations of all components."""
    sd = np.sqrt(mixture.variances)
    low = (mixture.means - 6 * sd).min(axis=0)
    high = (mixture.means + 6 * sd).max(axis=0)
    axes = np.linspace(low, high, n_points).T
    step = (high - low) / (n_points - 1)
    assert (step < 1.2 * sd.min()).all()
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    return points, np.prod(step)


@pytest.mark.slow
@pytest.mark.parametrize(
    "covariance_type, weights", [("diag", "free"), ("spherical", "uniform")]
)
def test_log_likelihood_is_the_integral(covariance_type, weights):
    data, held_out = bananas(200), bananas(50, seed=1)
    est = fitted(data, covariance_type=covariance_type, weights=weights, noise=0.4)
    mixture = Mixture.of(est)
    w, volume = grid_of(mixture)
    log_prior = logsumexp(mixture.log_joint(w), axis=-1)
    assert np.exp(log_prior).sum() * volume == pytest.approx(1, abs=1e-3)
    means = est.inverse_transform(w).astype(float)
    log_prob = gaussian_log_prob(held_out, means, est.noise_)
    exact = logsumexp(log_prob + log_prior, axis=1) + np.log(volume)
    error = est.log_likelihood(held_out, 20000) - exact
    assert abs(error.mean()) < 0.01
    assert np.abs(error).max() < 0.1
    assert est.score(held_out) < exact.mean() + 0.005


@pytest.mark.slow
@pytest.mark.parametrize(
    "covariance_type, categorical",
    [*(("diag", mode) for mode in MODES), ("spherical", "exact")],
)
def test_a_linear_gmvae_is_a_mixture_of_ppcas(covariance_type, categorical):
    mixture = MIXTURES[covariance_type]
    params = {"covariance_type": covariance_type, "categorical": categorical}
    est = known(X, mixture, **params)
    exact = mixture_evidence(HELD_OUT, mixture)
    assert_allclose(est.log_likelihood(HELD_OUT, 20000), exact, atol=0.01)
    F = sum(est.elbo_terms(HELD_OUT).values())
    assert (exact + 0.05 > F).all()
    assert F.mean() < exact.mean() - 0.01
    # In between, up to the noise of sixteen draws.
    error = est.score_samples(HELD_OUT) - exact
    assert F.mean() - exact.mean() < error.mean() < 4 * error.std() / np.sqrt(60)


def test_log_likelihood_sums_z_out_whatever_the_network_says():
    est = known(X, categorical="network")
    disturb_heads(est, scale=2.0)
    exact = mixture_evidence(HELD_OUT, DIAG)
    assert_allclose(est.log_likelihood(HELD_OUT, 20000), exact, atol=0.01)


# The bound and its three terms.


@pytest.mark.parametrize("categorical", MODES)
def test_the_terms_are_their_integrals(categorical):
    est = known(X, categorical=categorical, n_score_draws=256)
    log_q = None
    if categorical != "exact":
        disturb_heads(est)
        log_q = network_log_q(est)
    encoder = likelihood_encoder(width=1.2)
    *expected, responsibilities = exact_terms(HELD_OUT, encoder, DIAG, log_q)
    terms = est.elbo_terms(HELD_OUT)
    assert set(terms) == set(TERMS)
    for name, exact in zip(TERMS, expected, strict=True):
        assert terms[name].shape == (len(HELD_OUT),)
        assert terms[name].dtype == np.float32
        error = terms[name] - exact
        assert abs(error.mean()) < 5 * error.std() / np.sqrt(60) + 1e-4, name
        assert np.abs(error).max() < 0.2, name
    # Of the same draws the logarithm of the mean is at least the mean.
    F = sum(terms[name] for name in TERMS)
    assert (est.score_samples(HELD_OUT) + 1e-4 > F).all()
    error = est.predict_proba(HELD_OUT) - responsibilities
    assert np.abs(error).max() < 0.05
    assert np.abs(error.mean(axis=0)).max() < 0.005


GREY = {"likelihood": "bernoulli", "binarize": "dynamic"}


@pytest.mark.parametrize("params", [{}, {"posterior": "full"}, GREY])
def test_the_terms_add_up_where_nothing_is_linear(params):
    data = np.random.default_rng(0).random((150, 3))
    est = fitted(data, max_epochs=5, n_score_draws=1, n_score_steps=0, **params)
    terms = est.elbo_terms(data)
    total = sum(terms[name].astype(float) for name in TERMS)
    assert_allclose(est.score_samples(data), total, rtol=1e-5, atol=1e-4)
    many = est.set_params(n_score_draws=16).elbo_terms(data)
    assert (sum(many.values()) < est.score_samples(data) + 1e-4).all()


@pytest.mark.parametrize("method", ["predict_proba", "log_likelihood", "elbo_terms"])
def test_a_row_alone_or_among_others(method):
    data = bananas(30)
    est = fitted(data, max_epochs=3, categorical="network")

    def values(rows):
        out = getattr(est, method)(rows)
        return np.stack(list(out.values()), axis=1) if method == "elbo_terms" else out

    near = {"rtol": 1e-5, "atol": 1e-5}
    together = values(data)
    assert_array_equal(values(data), together)
    assert_allclose(values(data[::-1])[::-1], together, **near)
    alone = np.concatenate([values(data[i : i + 1]) for i in range(30)])
    assert_allclose(alone, together, **near)
    est.set_params(batch_size=7)
    assert_allclose(values(data), together, **near)


@pytest.mark.slow
def test_the_network_never_exceeds_the_exact_bound():
    network = known(X, categorical="network", n_score_draws=1)
    exact = known(X, categorical="exact", n_score_draws=1)
    best = exact.score_samples(HELD_OUT)
    # The heads stand at p(z|w): nothing is lost.
    assert_allclose(network.score_samples(HELD_OUT), best, rtol=1e-5, atol=1e-4)
    disturb_heads(network)
    value = network.score_samples(HELD_OUT)
    # One draw a row, the same one: the difference is -KL(q(z|w, x) || p(z|w)).
    assert (value < best).all()
    for categorical in ("gumbel", "reinforce"):
        other = known(X, categorical=categorical, n_score_draws=1)
        copy_parameters(network, other)
        assert_array_equal(other.score_samples(HELD_OUT), value)
        assert_array_equal(
            other.predict_proba(HELD_OUT), network.predict_proba(HELD_OUT)
        )


def test_a_new_network_starts_at_the_posterior_of_the_start():
    """No step has been made: the heads are p(z|w) of the components that were found."""
    params = {"estimator": GMVAE, "n_components": 3, "hidden_layer_sizes": (8,)}
    network = frozen(X, categorical="network", **params)
    exact = frozen(X, categorical="exact", **params)
    copy_parameters(network, exact)
    assert_allclose(
        network.score_samples(X), exact.score_samples(X), rtol=1e-4, atol=1e-3
    )


# Labels, samples, gaps.


def test_responsibilities_are_those_of_the_exact_posterior_where_noise_is_small():
    sigma = 0.05
    rows, _ = draw(100, sigma=sigma, seed=2)
    est = known(rows, encoder=likelihood_encoder(sigma), noise=sigma)
    exact = np.exp(log_softmax(mixture_log_joint(rows, DIAG, sigma), axis=1))
    assert (exact.max(axis=1) < 0.8).sum() > 5
    proba = est.predict_proba(rows)
    assert proba.dtype == np.float32
    assert_allclose(proba, exact, atol=0.04)
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    assert_array_equal(est.predict(rows), proba.argmax(axis=1))
    assert est.predict(rows).dtype.kind == "i"


def test_the_latent_is_the_posterior_mean_of_w():
    encoder = likelihood_encoder(width=1.2)
    est = known(X, encoder=sequential(encoder), categorical="network")
    disturb_heads(est)
    expected = q_of(encoder, HELD_OUT)[0]
    latent = est.transform(HELD_OUT)
    assert_allclose(latent, expected, rtol=1e-4, atol=1e-5)
    decoded = expected @ W.T + B
    assert_allclose(est.inverse_transform(latent), decoded, rtol=1e-4, atol=1e-5)
    assert_allclose(est.reconstruct(HELD_OUT), decoded, rtol=1e-4, atol=1e-5)


def test_samples_are_the_model():
    n = 20000
    est = known(X)
    drawn, labels = est.sample(n)
    assert drawn.shape == (n, 4)
    assert drawn.dtype == np.float32
    assert labels.shape == (n,)
    assert labels.dtype == np.int64
    expected = n * DIAG.weights
    statistic = ((np.bincount(labels, minlength=3) - expected) ** 2 / expected).sum()
    assert statistic < chi2.isf(1e-4, 2)
    for k in range(3):
        assert_moments(drawn[labels == k], k)
    again, same = est.sample(n)
    assert_array_equal(again, drawn)
    assert_array_equal(same, labels)


def assert_moments(rows, k):
    """Mean and covariance of x given the component, within five standard errors."""
    n, cov = len(rows), covariance_of(DIAG.variances[k])
    variance = np.diag(cov)
    mean = W @ DIAG.means[k] + B
    assert (np.abs(rows.mean(axis=0) - mean) < 5 * np.sqrt(variance / n)).all()
    error = np.sqrt((np.outer(variance, variance) + cov**2) / n)
    assert (np.abs(np.cov(rows.T) - cov) < 5 * error).all()


@pytest.mark.parametrize("component", [0, 2, np.int64(1)])
def test_samples_of_one_component(component):
    drawn, labels, latent = known(X).sample(
        5000, component=component, return_latent=True
    )
    assert_array_equal(labels, np.full(5000, component))
    assert_moments(drawn, component)
    sd = np.sqrt(DIAG.variances[component])
    standard = (latent - DIAG.means[component]) / sd
    assert latent.shape == (5000, 2)
    assert kstest(standard.ravel(), "norm").pvalue > 1e-4
    noise = (drawn - (latent @ W.T + B)) / SIGMA
    assert kstest(noise.ravel(), "norm").pvalue > 1e-4


def test_a_latent_is_returned_with_its_draw():
    est = known(X)
    drawn, labels, latent = est.sample(50, return_latent=True)
    plain, plain_labels = est.sample(50)
    assert_array_equal(drawn, plain)
    assert_array_equal(labels, plain_labels)
    assert np.abs(drawn - est.inverse_transform(latent)).max() < 5 * SIGMA
    assert est.sample()[0].shape == (1, 4)


@pytest.mark.slow
def test_uniform_weights_stay_uniform():
    est = fitted(bananas(150), max_epochs=5)
    assert_allclose(est.weights_, np.full(3, 1 / 3), rtol=1e-6)
    skewed = np.r_[bananas(100), np.tile(bananas(1), (100, 1))]
    free = fitted(skewed, weights="free", max_epochs=20)
    assert free.weights_.sum() == pytest.approx(1, abs=1e-5)
    assert np.ptp(free.weights_) > 0.1


def with_gaps(n_samples, seed):
    rows, _ = draw(n_samples, seed=seed)
    gaps = np.random.default_rng(seed).random(rows.shape) < 0.25
    gaps[:, 0] = False
    return np.where(gaps, np.nan, rows)


class ObservedEncoder(torch.nn.Module):
    """A broad q(w | observed entries): the posterior under N(0, 4 I)."""

    def forward(self, inputs):
        x, mask = inputs.double().chunk(2, -1)
        weight, b = torch.as_tensor(W), torch.as_tensor(B)
        M = torch.einsum("nd,dk,dl->nkl", mask, weight, weight) / SIGMA**2
        cov = torch.linalg.inv(M + torch.eye(2) / 4)
        mean = torch.einsum("nkl,dl,nd->nk", cov, weight, mask * (x - b)) / SIGMA**2
        factor = torch.linalg.cholesky(cov)
        log_diagonal = factor.diagonal(dim1=-2, dim2=-1).log()
        return torch.cat([mean, log_diagonal, factor[:, 1, :1]], -1).float()


@pytest.mark.slow
def test_missing_values_are_integrated_out():
    rows = with_gaps(80, 3)
    est = known(rows, encoder=ObservedEncoder(), posterior="full")
    assert_allclose(
        est.log_likelihood(rows, 20000), mixture_evidence(rows, DIAG), atol=0.03
    )
    filled = est.impute(rows, n_importance=20000)
    assert_allclose(filled, mixture_conditional(rows, DIAG), atol=0.08)
    F = sum(est.elbo_terms(rows).values())
    assert (mixture_evidence(rows, DIAG) + 0.1 > F).all()
    terms = est.set_params(n_score_draws=1, n_score_steps=0).elbo_terms(rows)
    assert_allclose(terms.z + terms.w + terms.x, est.score_samples(rows), atol=1e-4)


def test_a_fit_with_gaps():
    rows = bananas(200)
    rows[::3, 1] = np.nan
    est = fitted(rows, max_epochs=10)
    assert np.isfinite(est.score_samples(rows)).all()
    assert not np.isnan(est.reconstruct(rows)).any()
