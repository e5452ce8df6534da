"""How a GMVAE is trained: what it follows, how it starts, what it keeps."""

import re
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from skorch.callbacks import Callback
from torch import nn

from sklvm import GMVAE

from .models import gradients, quietly
from .structured import (
    DIAG,
    Mixture,
    disturb_heads,
    draw,
    exact_terms,
    known,
    likelihood_encoder,
    mixture_evidence,
    network_log_q,
    set_mixture,
    trace,
)

MODES = ["exact", "network", "gumbel", "reinforce"]
X, _ = draw(150)
# Four draws of each row: an epoch costs hardly more.
MANY = np.tile(X, (4, 1))


def blobs(seed, n_samples=300):
    """Four well separated Gaussians in six dimensions, of about unit scale."""
    rows, labels = make_blobs(
        n_samples, n_features=6, centers=4, cluster_std=0.7, random_state=seed
    )
    return (rows - rows.mean(axis=0)) / 5, labels


ROWS, TRUTH = blobs(0)
QUICK = {
    "n_components": 4,
    "hidden_layer_sizes": (32,),
    "max_epochs": 60,
    "lr": 0.01,
    "random_state": 0,
}


def fitted(X=ROWS, y=None, **params):
    return quietly(GMVAE(**(QUICK | params)).fit, X, y)


# The objective.


def z_score(sample, expected):
    """Of the mean over the first axis; a number without noise must be equal."""
    error = sample.std(axis=0) / np.sqrt(len(sample))
    slack = 1e-5 * (1 + np.abs(expected))
    return np.abs((sample.mean(axis=0) - expected) / (error + slack)).max()


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["kl", "entropy", "log_ratio", "stl"])
def test_the_objective_is_the_bound(objective):
    est = known(MANY, objective=objective)
    encoder = likelihood_encoder(width=1.2)
    F = sum(exact_terms(X, encoder, DIAG)[:3]).mean()
    assert z_score(trace(est, MANY, 50), F) < 4.5


def test_iwae_lies_between_the_bound_and_the_evidence():
    F = sum(exact_terms(X, likelihood_encoder(width=1.2), DIAG)[:3]).mean()
    value = trace(known(X, objective="iwae", n_draws=16), X, 20).mean()
    evidence = mixture_evidence(X, DIAG).mean()
    assert F + 0.5 * (evidence - F) < value < evidence + 0.01


@pytest.mark.slow
@pytest.mark.parametrize("categorical", ["network", "reinforce"])
def test_the_objective_of_a_network_is_its_bound(categorical):
    est = known(MANY, categorical=categorical)
    disturb_heads(est)
    encoder = likelihood_encoder(width=1.2)
    bound = sum(exact_terms(X, encoder, DIAG, network_log_q(est))[:3]).mean()
    best = sum(exact_terms(X, encoder, DIAG)[:3]).mean()
    assert bound < best - 0.1
    assert z_score(trace(est, MANY, 50), bound) < 4.5


@pytest.mark.slow
def test_four_modes_agree_at_the_same_parameters():
    """At q(z|w, x) = p(z|w), where no draw of z matters: equal in every epoch."""
    exact, *others = (trace(known(MANY, categorical=mode), MANY, 20) for mode in MODES)
    for values in others:
        error = np.hypot(values.std(), exact.std()) / np.sqrt(20)
        assert abs(values.mean() - exact.mean()) < 5 * error


@pytest.mark.slow
def test_reinforce_has_the_gradient_of_the_sum():
    mean, error = {}, {}
    rows = np.tile(X[:30], (6, 1))
    for categorical in ("network", "reinforce"):
        est = known(rows, categorical=categorical, batch_size=len(rows))
        disturb_heads(est)
        trace(est, rows, 100)
        parts = {name: g[1:] for name, g in gradients(est).items()}
        flat = np.hstack([g.reshape(100, -1) for g in parts.values()])
        mean[categorical] = flat.mean(axis=0)
        error[categorical] = flat.std(axis=0) / np.sqrt(100)
        heads = [g for name, g in parts.items() if "head_" in name]
        assert max(np.abs(g).max() for g in heads) > 0.05
    difference = mean["reinforce"] - mean["network"]
    z = np.abs(difference) / (np.hypot(*error.values()) + 1e-5)
    assert z.max() < norm.isf(0.5e-4 / len(z))


# The start and the whole.


@pytest.mark.slow
@pytest.mark.parametrize("categorical", MODES)
def test_clusters_are_found_without_labels(categorical):
    found = []
    for seed in (0, 1, 2):
        rows, truth = blobs(seed)
        est = GMVAE(**(QUICK | {"random_state": seed, "categorical": categorical}))
        labels = quietly(est.fit_predict, rows)
        assert_array_equal(labels, est.predict(rows))
        assert (est.component_usage_ > 0.1).all()
        found.append(adjusted_rand_score(truth, labels))
    assert min(found) > 0.9


@pytest.mark.parametrize("covariance_type", ["diag", "spherical"])
def test_the_published_components_are_those_of_the_latent(covariance_type):
    est = fitted(covariance_type=covariance_type, weights="free")
    labels, latent = est.predict(ROWS), est.transform(ROWS)
    shape = {"diag": (4, 2), "spherical": (4,)}[covariance_type]
    assert est.covariances_.shape == shape
    assert est.means_.shape == (4, 2)
    assert (est.covariances_ >= est.net_.module.least_variance.item()).all()
    share = np.bincount(labels, minlength=4) / len(ROWS)
    assert_allclose(est.weights_, share, atol=0.06)
    assert_allclose(est.component_usage_, share, atol=0.03)
    centres = np.array([latent[labels == k].mean(axis=0) for k in range(4)])
    sd = np.sqrt(Mixture.of(est).variances)
    assert (np.abs(centres - est.means_) < sd).all()


def test_reg_covar_is_the_floor():
    """A share of the variance of the codes, which nothing moves in the last epoch."""
    rows = np.repeat(blobs(0)[0][:4], 40, axis=0)
    params = {"pretraining": 0.0, "max_epochs": 1, "lr": 1e-30}
    for reg_covar in (1e-3, 0.5):
        est = fitted(rows, reg_covar=reg_covar, **params)
        floor = reg_covar * est.transform(rows).var(axis=0).mean()
        # Four rows, four components: each has no variance but the floor.
        assert_allclose(est.covariances_.min(), floor, rtol=0.05)
        assert est.covariances_.min() >= floor * (1 - 1e-5)


def test_pretraining_is_a_share_of_the_epochs():
    """Neither starts from the same components, and both count all their epochs."""
    none, half = (fitted(pretraining=p, max_epochs=10) for p in (0.0, 0.5))
    assert none.n_iter_ == half.n_iter_ == 10
    assert len(half.lower_bounds_) == 10
    assert np.abs(none.means_ - half.means_).max() > 1e-3


@pytest.mark.slow
def test_labels_are_never_looked_at():
    plain = fitted(n_init=2, max_epochs=2)
    for y in (TRUTH, np.full(len(ROWS), 7)):
        other = fitted(y=y, n_init=2, max_epochs=2)
        assert_array_equal(other.attempts_, plain.attempts_)
        assert_array_equal(other.transform(ROWS), plain.transform(ROWS))


class Ends(Callback):
    """The decoder's parameters at the end of every training."""

    def __init__(self):
        self.seen = []

    def on_train_end(self, net, **kwargs):
        parameters = net.module_.decoder.parameters()
        self.seen.append([p.detach().clone() for p in parameters])


@pytest.mark.slow
def test_the_best_of_several_trainings_is_kept():
    chosen = set()
    for seed in range(3):
        ends = Ends()
        params = {"max_epochs": 4, "pretraining": 0.0, "random_state": seed}
        params |= {"batch_size": 150}
        est = fitted(n_init=3, callbacks=[ends], **params)
        assert est.attempts_.shape == (3,)
        assert len(set(est.attempts_)) == 3
        kept = list(est.net_.module_.decoder.parameters())
        same = [all(map(torch.equal, kept, parameters)) for parameters in ends.seen]
        assert len(same) % 3 == 0
        index = int(np.flatnonzero(same)[0]) // (len(same) // 3)
        assert index == int(np.argmax(est.attempts_))
        chosen.add(index)
    assert len(chosen) > 1  # or the choice was not seen


@pytest.mark.slow
def test_attempts_are_held_out_bounds():
    est = fitted(n_init=2, max_epochs=30, validation_fraction=0.5)
    # Half of the rows: their mean is near that of all, in nats a row.
    assert est.attempts_.max() == pytest.approx(est.score(ROWS), abs=1.0)


# Components that die.


def after_losing(k, **params):
    """A fit that goes on from components of which one is far from all rows."""
    est = fitted(warm_start=True, max_epochs=40, **params)
    mixture = Mixture.of(est)
    mixture.means[k] = 1e3
    set_mixture(est, mixture)
    assert est.predict_proba(ROWS)[:, k].max() < 1e-6
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        est.fit(ROWS)
    return est, [str(c.message) for c in caught]


@pytest.mark.slow
@pytest.mark.parametrize("categorical", ["exact", "reinforce"])
@pytest.mark.parametrize("weights", ["uniform", "free"])
def test_a_dead_component_is_seeded_again_or_named(categorical, weights):
    est, messages = after_losing(2, categorical=categorical, weights=weights)
    usage = est.component_usage_
    assert_allclose(usage.sum(), 1, atol=1e-4)
    assert_allclose(usage, est.predict_proba(ROWS).mean(axis=0), atol=0.02)
    dead = np.flatnonzero(usage < 0.01 / 4)
    named = [m for m in messages if re.search(r"component", m)]
    assert bool(len(dead)) == bool(named)
    for k in dead:
        assert re.search(rf"\b{k}\b", named[0])
    # Forty epochs are enough to bring it back.
    assert 2 not in dead


def test_components_without_rows_are_named():
    """Frozen far away, as nothing moves: a report is all that can be had."""
    far = Mixture(DIAG.weights, DIAG.means.copy(), DIAG.variances)
    far.means[1] = 30.0
    est = known(X, far, tol=np.inf)
    with pytest.warns(UserWarning, match=r"component.*\b1\b"):
        est.fit(X)
    assert est.component_usage_[1] < 0.01 / 3


# Going on, networks of one's own.


def test_a_continuation_goes_on():
    est = fitted(max_epochs=10, warm_start=True)
    first, latent = est.score(ROWS), est.transform(ROWS)
    quietly(est.fit, ROWS)
    assert est.n_iter_ == len(est.lower_bounds_) == 20
    # Joint training at once: no epoch falls back to that of a new start.
    assert est.lower_bounds_[10:].min() > est.lower_bounds_[:5].max()
    assert est.score(ROWS) > first
    assert np.abs(est.transform(ROWS) - latent).max() > 0


def test_hand_set_parameters_survive_a_frozen_continuation():
    """No new start is made: the references of these tests stand on it."""
    est = known(X)
    trace(est, X, 1)
    published = Mixture.of(est)
    assert_allclose(published.weights, DIAG.weights, rtol=1e-4)
    assert_allclose(published.means, DIAG.means, rtol=1e-4)
    assert_allclose(published.variances, DIAG.variances, rtol=1e-4)
    usage = est.predict_proba(X).mean(axis=0)
    assert_allclose(est.component_usage_, usage, atol=0.03)


@pytest.mark.parametrize("categorical", MODES)
def test_an_encoder_of_ones_own(categorical):
    encoder = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
    before = [p.clone() for p in encoder.parameters()]
    est = fitted(encoder=encoder, categorical=categorical, max_epochs=3)
    assert est.encoder is encoder
    assert all(map(torch.equal, before, encoder.parameters()))
    trained = list(est.net_.module_.encoder.parameters())
    assert [p.shape for p in trained] == [p.shape for p in before]
    assert not any(map(torch.equal, before, trained))
    module = est.net_.module
    assert (module.head_w is None) == (categorical == "exact")
    if module.head_x is not None:
        # The trunk is the body of the encoder, 8 wide.
        assert tuple(module.head_x.weight.shape) == (4, 8)
        assert tuple(module.head_w.weight.shape) == (4, 4)


def test_the_exact_mode_takes_any_module():
    class Any(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 4)

        def forward(self, x):
            return self.layer(x)

    assert np.isfinite(fitted(encoder=Any(), max_epochs=3).score(ROWS))


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("objective", ["iwae", "forward_kl"])
def test_the_other_objectives_learn(likelihood, objective):
    data = (ROWS > 0).astype(float) if likelihood == "bernoulli" else ROWS
    params = {"likelihood": likelihood, "objective": objective, "n_draws": 4}
    first, last = (fitted(data, max_epochs=n, **params).score(data) for n in (1, 40))
    assert last > first + 0.3
