"""The diagnostics against double loops and integrals."""

import copy

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklvm import GMVAE, VAE, ConditionalVAE, GaussianMixtureEM
from sklvm.inspection import latent_diagnostics

from ..autoencoder.models import (
    bits,
    curve,
    double,
    frozen,
    linear,
    quietly,
    random_linear,
    standard_normal,
)
from ..autoencoder.reference import linear_bound
from ..autoencoder.structured import Mixture, known, sequential
from ..divergence.objects import float64
from ..mixture.families import FAMILIES, blobs, make, run
from ..segmentation.models import HELD_OUT, fitted, images_of, seeing, specks

COMMON = ["rate", "distortion", "mutual_information", "aggregated_kl"]
GRID = np.linspace(-14, 14, 20_001)
QUICK = {"max_epochs": 2, "hidden_layer_sizes": (8,), "random_state": 0}


def values(*args, **params):
    return dict(latent_diagnostics(*args, **params)["value"])


def integral(density, log_ratio):
    return np.trapezoid(density * log_ratio, GRID)


def exact_parts(means, sds, log_prior, log_prior_of_rows=None):
    """Rate, mutual information and aggregated KL of Gaussians q(z|x) on the line."""
    log_q = norm.logpdf(GRID, means[:, None], sds[:, None])
    q = np.exp(log_q)
    log_mean = np.log(np.maximum(q.mean(axis=0), 1e-300))
    p = log_prior if log_prior_of_rows is None else log_prior_of_rows
    rate = integral(q, log_q - p).mean()
    information = integral(q, log_q - log_mean).mean()
    return rate, information, integral(np.exp(log_mean), log_mean - log_prior)


def assert_parts(table, parts, tol=0.01):
    names = ("rate", "mutual_information", "aggregated_kl")
    for name, exact in zip(names, parts, strict=True):
        assert table[name] == pytest.approx(exact, abs=tol), name


def moments_of(encoder, rows):
    """Means and deviations of q, latents of one dimension."""
    mean, log_sd = double(encoder)(float64(rows)).detach().numpy().T
    return mean, np.exp(log_sd)


# Mixtures, where everything is a sum.


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_mixtures_by_a_double_loop(family, missing):
    X = blobs(40, missing=missing, family=family)
    est = run(make(family, n_components=3, init_params="random"), X, 4)
    resp, pi = est.predict_proba(X), est.weights_
    usage = resp.mean(axis=0)
    rate = information = 0.0
    for r in resp:
        for k in range(3):
            if r[k] > 0:
                rate += r[k] * np.log(r[k] / pi[k]) / 40
                information += r[k] * np.log(r[k] / usage[k]) / 40
    table = values(est, X)
    assert list(table) == [*COMMON, "usage_0", "usage_1", "usage_2"]
    assert_parts(table, (rate, information, rate - information), tol=1e-10)
    assert table["aggregated_kl"] == pytest.approx(
        np.sum(usage * np.log(usage / pi)), abs=1e-10
    )
    assert_allclose([table[f"usage_{k}"] for k in range(3)], usage, rtol=1e-10)
    bound = -(table["rate"] + table["distortion"])
    assert bound == pytest.approx(est.score(X), rel=1e-10)


# Autoencoders with one latent, where everything is an integral on the line.


def test_vae_by_integrals():
    X, (encoder, decoder) = standard_normal(40), random_linear(latent_dim=1)
    est = frozen(X, encoder, decoder, latent_dim=1, noise=0.8)
    table = values(est, X, n_draws=1024)
    assert list(table) == [*COMMON, "active_units"]
    parts = exact_parts(*moments_of(encoder, X), norm.logpdf(GRID))
    assert parts[1] + parts[2] == pytest.approx(parts[0], abs=1e-9)
    assert min(parts) > 0.02
    assert_parts(table, parts)
    F = linear_bound(float64(X), double(encoder), double(decoder), 0.8).mean().item()
    assert table["distortion"] == pytest.approx(-F - parts[0], abs=0.02)


def test_gmvae_by_integrals():
    X, (encoder, decoder) = standard_normal(40), random_linear(latent_dim=1)
    mixture = Mixture(
        np.array([0.3, 0.7]), np.array([[-1.0], [1.5]]), np.array([[0.5], [0.8]])
    )
    est = known(X, mixture, encoder=sequential(encoder), decoder=decoder)
    table = values(est, X, n_draws=1024)
    assert list(table) == [*COMMON, "active_units", "usage_0", "usage_1"]
    mean, sd = moments_of(encoder, X)
    joint = mixture.log_joint(GRID[:, None])
    log_prior = np.logaddexp.reduce(joint, axis=-1)
    assert_parts(table, exact_parts(mean, sd, log_prior))
    density = norm.pdf(GRID, mean[:, None], sd[:, None]).mean(axis=0)
    share = [integral(density, np.exp(joint[:, k] - log_prior)) for k in range(2)]
    assert_allclose([table["usage_0"], table["usage_1"]], share, atol=0.01)


def conditional(of_y, of_x, prior_slope):
    """q(z|y,x) = N(of_y y + of_x x, 0.5^2), p(z|x) = N(slope x, 0.7^2), and rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 1))
    y = X[:, 0] + rng.normal(size=40)
    est = frozen(
        X,
        linear([[of_y, of_x], [0, 0]], [0.1, np.log(0.5)]),
        linear([[1.0, 0.5]], [0.0]),
        y=y,
        estimator=ConditionalVAE,
        prior=linear([[prior_slope], [0]], [0.0, np.log(0.7)]),
        n_prior_components=1,
        latent_dim=1,
        noise=0.8,
        warmup=0.0,
    )
    return est, X, y


def test_conditional_vae_by_integrals():
    est, X, y = conditional(0.9, -0.4, 0.6)
    table = values(est, X, y, n_draws=1024)
    assert list(table) == [*COMMON, "active_units"]
    means = 0.9 * y - 0.4 * X[:, 0] + 0.1
    log_p = norm.logpdf(GRID, 0.6 * X, 0.7)
    log_mean_p = np.logaddexp.reduce(log_p, axis=0) - np.log(40)
    parts = exact_parts(means, np.full(40, 0.5), log_mean_p, log_p)
    # No identity here: p(z|x) knows x, its mean over the rows does not.
    assert abs(parts[0] - parts[1] - parts[2]) > 0.1
    assert_parts(table, parts)
    table = values(est, X, y, n_draws=1)
    F = est.set_params(n_score_draws=1, n_score_steps=0).score(X, y)
    assert -(table["rate"] + table["distortion"]) == pytest.approx(F, rel=1e-5)


def test_information_is_at_most_log_n():
    """Posteriors that do not touch tell every row apart."""
    X = np.linspace(-3, 3, 50)[:, None]
    encoder = linear([[1.0], [0.0]], [0.0, np.log(1e-3)])
    est = frozen(X, encoder, linear([[1.0]], [0.0]), latent_dim=1, noise=1.0)
    information = values(est, X)["mutual_information"]
    assert information == pytest.approx(np.log(50), abs=1e-3)
    assert information <= np.log(50) + 1e-6
    assert values(est, X[:1])["mutual_information"] == pytest.approx(0, abs=1e-6)


def test_a_posterior_that_is_the_prior():
    X = standard_normal(200)
    encoder = linear(np.zeros((2, 4)), np.zeros(2))
    est = frozen(X, encoder, linear(np.ones((4, 1)), np.zeros(4)), latent_dim=1)
    table = values(est, X)
    for name in ("rate", "mutual_information", "aggregated_kl", "active_units"):
        assert table[name] == pytest.approx(0, abs=1e-6)


# The identities, whatever the model.


def with_gaps(X):
    hidden = np.random.default_rng(1).random(X.shape) < 0.2
    hidden[:5] = False
    return np.where(hidden, np.nan, X)


GREY = np.random.default_rng(0).random((60, 5))
MODELS = {
    "standard": (VAE(**QUICK), curve(60)),
    "full": (VAE(posterior="full", latent_dim=3, **QUICK), curve(60)),
    "vamp": (VAE(prior="vamp", n_pseudo_inputs=5, **QUICK), curve(60)),
    "bits": (VAE(likelihood="bernoulli", **QUICK), bits(60)),
    "grey": (VAE(likelihood="bernoulli", binarize="dynamic", **QUICK), GREY),
    "missing": (VAE(noise="heteroscedastic", **QUICK), with_gaps(curve(60))),
    "iwae": (VAE(objective="iwae", noise="learned", n_draws=3, **QUICK), curve(60)),
    "beta": (VAE(beta=0.1, free_bits=1.0, **QUICK), curve(60)),
    "gmvae": (GMVAE(weights="free", **QUICK), curve(60)),
    "network": (GMVAE(categorical="network", **QUICK), curve(60)),
    "gumbel": (GMVAE(categorical="gumbel", **QUICK), curve(60)),
    "gmvae gaps": (GMVAE(posterior="full", **QUICK), with_gaps(curve(60))),
}


@pytest.mark.parametrize("est, X", MODELS.values(), ids=MODELS)
def test_the_identities(est, X):
    est = quietly(copy.deepcopy(est).fit, X)
    for n_draws in (1, 5, 16):
        table = values(est, X, n_draws=n_draws)
        total = table["mutual_information"] + table["aggregated_kl"]
        assert total == pytest.approx(table["rate"], rel=1e-5, abs=1e-5)
        est.set_params(n_score_draws=n_draws, n_score_steps=0)
        F = -(table["rate"] + table["distortion"])
        # The same draws: the logarithm of their mean weight is at least the mean.
        if n_draws == 1:
            assert est.score(X) == pytest.approx(F, rel=1e-5, abs=1e-5)
        assert est.score(X) > F - 1e-4
        assert table["mutual_information"] <= np.log(60) + 1e-5
    if isinstance(est, GMVAE):
        usage = [table[f"usage_{k}"] for k in range(2)]
        assert_allclose(usage, est.predict_proba(X).mean(axis=0), atol=0.01)


# Active units.


def test_active_units():
    """Variances of the posterior mean of 1, 0.04, 0.0025 and 0 over the rows."""
    x = standard_normal(300, 1)
    X = np.hstack([(x - x.mean()) / x.std(), standard_normal(300, 2, seed=1)])
    weight = np.zeros((8, 3))
    weight[:4, 0] = [1.0, 0.2, 0.05, 0.0]
    # Its width says nothing of whether a unit is active.
    weight[7, 0] = 1.0
    encoder = linear(weight, np.full(8, 0.3))
    decoder = linear(np.ones((3, 4)), np.zeros(3))
    est = frozen(X, encoder, decoder, latent_dim=4, noise=1.0)
    assert values(est, X)["active_units"] == 2
    assert values(est, X[:1])["active_units"] == 0


def test_active_units_of_a_conditional_model():
    """What q says beyond p(z|x), not what x says."""
    est, X, y = conditional(0.0, 0.6, 0.6)
    assert values(est, X, y)["active_units"] == 0
    est, X, y = conditional(0.3, 0.6, 0.6)
    assert values(est, X, y)["active_units"] == 1
    est, X, y = conditional(0.0, 0.0, 0.6)
    assert values(est, X, y)["active_units"] == 1


# Sparse segmentations.


@pytest.mark.slow
def test_sparse_segmentations():
    est = fitted()
    S = est.transform(HELD_OUT)
    table = values(est, HELD_OUT)
    assert list(table) == ["rate", "distortion", "seeds"]
    assert table["rate"] == pytest.approx(est.rate(S).mean(), rel=1e-10)
    wrong = est.distortion(HELD_OUT, S).mean()
    assert table["distortion"] == pytest.approx(est.distortion_weight * wrong)
    assert table["seeds"] == pytest.approx((S >= 0).sum(axis=1).mean())
    bound = -(table["rate"] + table["distortion"])
    assert bound == pytest.approx(est.score(HELD_OUT), rel=1e-10)


@pytest.mark.slow
def test_images_go_along():
    est, maps = seeing(), specks(1, 10)
    images = images_of(maps, seed=1)
    table = values(est, maps, images=images)
    bound = -(table["rate"] + table["distortion"])
    assert bound == pytest.approx(est.score(maps, images=images), rel=1e-10)
    with pytest.raises(ValueError, match="images"):
        latent_diagnostics(est, maps)


@pytest.mark.slow
def test_sparse_segmentations_of_maps_in_other_forms():
    est = fitted()
    expected = values(est, HELD_OUT)
    maps = HELD_OUT.reshape(-1, *est.image_shape_)
    assert values(est, maps) == expected
    assert values(est, list(maps)) == expected


# Some of the rows.


def test_at_most_so_many_rows():
    X = blobs(300)
    model = GaussianMixtureEM(3, random_state=0).fit(X)
    some = values(model, X, max_samples=40)
    assert some == values(model, X, max_samples=40)
    assert values(model, X, max_samples=300) == values(model, X)
    rows = np.sort(np.random.default_rng(0).choice(300, 40, replace=False))
    assert some == values(model, X[rows])
    frame = pd.DataFrame(X, columns=list(map(str, range(X.shape[1]))))
    model = GaussianMixtureEM(3, random_state=0).fit(frame)
    assert values(model, frame, max_samples=40) == values(model, frame.iloc[rows])
    est, X, y = conditional(0.3, 0.6, 0.6)
    rows = np.sort(np.random.default_rng(0).choice(len(X), 20, replace=False))
    assert values(est, X, y, max_samples=20) == values(est, X[rows], y[rows])
    est, maps = seeing(), specks(1, 12)
    images = images_of(maps, seed=1)
    rows = np.sort(np.random.default_rng(0).choice(12, 5, replace=False))
    some = values(est, maps, images=images, max_samples=5)
    assert some == values(est, maps[rows], images=images[rows])


@pytest.mark.parametrize("max_samples", [0, -1, 2.5, "many"])
def test_bad_numbers_of_rows(max_samples):
    model = GaussianMixtureEM(2, random_state=0).fit(blobs(60))
    with pytest.raises(ValueError, match=f"max_samples={max_samples!r}"):
        latent_diagnostics(model, blobs(60), max_samples=max_samples)


def test_a_source_has_no_rows_at_random():
    X = blobs(60)
    model = GaussianMixtureEM(2, random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"max_samples=5.*source"):
        latent_diagnostics(model, lambda: iter([X]), max_samples=5)


def test_a_pipeline_has_the_parts_of_its_last_step():
    X = 5 * blobs(100) + 2
    model = make_pipeline(StandardScaler(), GaussianMixtureEM(3, random_state=0)).fit(X)
    table = values(model, X)
    assert table == values(model[-1], StandardScaler().fit_transform(X))
    assert_allclose(-table["rate"] - table["distortion"], model.score(X))
