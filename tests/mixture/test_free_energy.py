"""F(theta, q) and the two coordinates along which EM climbs it."""

import copy
import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.mixture import GaussianMixture

import sklvm
from sklvm import BernoulliMixtureEM, GaussianMixtureEM
from sklvm.mixture import free_energy

from .families import FAMILIES, blobs, make, run
from .reference import (
    bernoulli_log_joint,
    entropy,
    full_covariances,
    gaussian_log_joint,
)


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


def log_joint(est, X):
    """log p(x, z = k), the slow way."""
    if isinstance(est, BernoulliMixtureEM):
        bits = np.where(np.isnan(X), np.nan, est.binarize < X)
        return bernoulli_log_joint(bits, est.weights_, est.theta_)
    return gaussian_log_joint(X, est.weights_, est.means_, full_covariances(est))


def random_resp(n_rows, n_components, seed=0, concentration=0.5):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(n_components, concentration), size=n_rows)


def divergence(resp, posterior):
    """KL(resp || posterior) of each row."""
    cross = np.where(resp > 0, resp * np.log(posterior), 0.0)
    return -entropy(resp) - cross.sum(axis=1)


def unfinished(family, X, n_iter, n_components=3):
    """A fit of a few iterations, still on its way."""
    params = {"n_components": n_components, "init_params": "random"}
    return run(make(family, **params), X, n_iter)


# The two forms of F.


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_definition_by_a_double_loop(family, missing):
    X = blobs(30, missing=missing)
    est = unfinished(family, X, 3)
    resp, joint = random_resp(30, 3), log_joint(est, X)
    total = 0.0
    for n in range(30):
        for k in range(3):
            if resp[n, k] > 0:
                total += resp[n, k] * (joint[n, k] - np.log(resp[n, k]))
    F = free_energy(est, X, resp)
    assert type(F) is float
    assert pytest.approx(total / 30, rel=1e-10) == F


@pytest.mark.parametrize("missing", [0.0, 0.3])
@settings(max_examples=10, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), concentration=st.sampled_from([0.05, 1.0, 20.0]))
@pytest.mark.parametrize("kind", FAMILIES)
def test_the_evidence_less_the_divergence(kind, missing, seed, concentration):
    X = blobs(40, missing=missing)
    est = unfinished(kind, X, 3)
    resp = random_resp(40, 3, seed, concentration)
    gap = divergence(resp, est.predict_proba(X)).mean()
    F = free_energy(est, X, resp)
    assert pytest.approx(est.score(X) - gap, rel=1e-9, abs=1e-9) == F
    assert est.score(X) + 1e-12 >= F


def test_tight_at_the_posterior(family):
    for missing in (0.0, 0.3):
        X = blobs(60, missing=missing)
        est = unfinished(family, X, 5)
        F = free_energy(est, X, est.predict_proba(X))
        assert pytest.approx(est.score(X), rel=1e-12) == F


def test_it_is_public_in_both_places():
    assert sklvm.free_energy is free_energy
    assert "free_energy" in sklvm.__all__
    assert "free_energy" in dir(sklvm)


# The E-step: q.


def test_the_e_step_s_q_maximises_it(family):
    """No perturbation of the posterior is better, none in its direction is as good."""
    X = blobs(40)
    est = unfinished(family, X, 2)
    posterior = est.predict_proba(X)
    best = free_energy(est, X, posterior)
    for seed in range(10):
        other = random_resp(40, 3, seed)
        for step in (1e-3, 0.1, 1.0):
            resp = (1 - step) * posterior + step * other
            assert free_energy(est, X, resp) < best
    hard = np.eye(3)[posterior.argmax(axis=1)]
    assert free_energy(est, X, hard) < best


# The M-step: theta.


def with_parameters(est, weights, centres, precisions=None):
    """The mixture with these parameters, through the public starting values."""
    common = {"n_components": len(weights), "max_iter": 0, "weights_init": weights}
    if isinstance(est, BernoulliMixtureEM):
        other = BernoulliMixtureEM(theta_init=centres, **common)
    else:
        other = GaussianMixtureEM(
            means_init=centres,
            precisions_init=precisions,
            covariance_type=est.covariance_type,
            **common,
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return other.fit(blobs(40))


def perturbed(est, rng, size):
    """Parameters a step away from those of a fit, in a random direction."""
    weights = est.weights_ * np.exp(size * rng.normal(size=len(est.weights_)))
    weights /= weights.sum()
    if isinstance(est, BernoulliMixtureEM):
        logits = np.log(est.theta_) - np.log1p(-est.theta_)
        logits = logits + size * rng.normal(size=logits.shape)
        return with_parameters(est, weights, 1 / (1 + np.exp(-logits)))
    means = est.means_ + size * rng.normal(size=est.means_.shape)
    precisions = est.precisions_
    if est.covariance_type in ("full", "tied"):
        root = np.linalg.cholesky(precisions)
        root = root + size * np.tril(rng.normal(size=root.shape))
        precisions = root @ np.swapaxes(root, -1, -2)
    else:
        precisions = precisions * np.exp(size * rng.normal(size=precisions.shape))
    return with_parameters(est, weights, means, precisions)


def test_the_m_step_s_theta_maximises_it(family):
    """At the q of the E-step before it, whatever the direction of the step."""
    X = blobs(40)
    before, after = unfinished(family, X, 2), unfinished(family, X, 3)
    resp = before.predict_proba(X)
    best = free_energy(after, X, resp)
    same = perturbed(after, np.random.default_rng(0), 0.0)
    assert free_energy(same, X, resp) == pytest.approx(best, rel=1e-9)
    for seed in range(10):
        for size in (0.02, 0.3):
            other = perturbed(after, np.random.default_rng(seed), size)
            assert free_energy(other, X, resp) < best


def test_both_half_steps_climb(family):
    """score, E: tight, M: up, E: tight again at a score no lower."""
    X = blobs(40)
    fits = [unfinished(family, X, n) for n in range(1, 6)]
    for before, after in pairwise(fits):
        resp = before.predict_proba(X)
        start, half = free_energy(before, X, resp), free_energy(after, X, resp)
        assert start == pytest.approx(before.score(X), rel=1e-12)
        assert start < half < after.score(X)
        assert after.score(X) == pytest.approx(after.lower_bound_, rel=1e-9)


# Edges.


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_cannot_be():
    """p(x, z = 0) = 0 where the first bit is one: infinite only if q claims it."""
    X = np.array([[1.0, 0.0], [0.0, 1.0]])
    est = BernoulliMixtureEM(
        n_components=2,
        theta_init=[[0.0, 0.5], [0.5, 0.5]],
        weights_init=[0.5, 0.5],
        max_iter=0,
    ).fit(X)
    assert free_energy(est, X, [[0.5, 0.5], [0.5, 0.5]]) == -np.inf
    assert free_energy(est, X, [[1e-300, 1.0], [0.5, 0.5]]) == -np.inf
    possible = [[0.0, 1.0], [0.5, 0.5]]
    # log 1/8 of the first row; of the second F is that of q = (1/2, 1/2).
    second = 0.5 * (np.log(1 / 4) + np.log(1 / 8)) + np.log(2)
    expected = (np.log(1 / 8) + second) / 2
    assert free_energy(est, X, possible) == pytest.approx(expected, rel=1e-12)


def test_one_component_and_certain_responsibilities(family):
    X = blobs(30)
    est = run(make(family), X, 3)
    assert free_energy(est, X, np.ones((30, 1))) == pytest.approx(est.score(X))
    three = unfinished(family, X, 3)
    hard = np.eye(3)[np.arange(30) % 3]
    expected = log_joint(three, X)[np.arange(30), np.arange(30) % 3].mean()
    assert free_energy(three, X, hard) == pytest.approx(expected, rel=1e-10)


def test_rows_without_a_value_leave_the_prior(family):
    X = blobs(40, missing=0.2)
    est = unfinished(family, X, 3)
    nothing = np.full((5, 3), np.nan)
    resp = random_resp(5, 3)
    expected = -divergence(resp, np.tile(est.weights_, (5, 1))).mean()
    assert free_energy(est, nothing, resp) == pytest.approx(expected, rel=1e-9)


def test_float32_rows_and_responsibilities(family):
    """The responsibilities that a float32 fit itself returns are accepted."""
    X = blobs(200).astype(np.float32)
    est = unfinished(family, X, 3)
    resp = est.predict_proba(X)
    assert resp.dtype == np.float32
    F = free_energy(est, X, resp)
    assert type(F) is float
    assert pytest.approx(est.score(X), rel=1e-5) == F


def test_lists_and_what_is_given_stays_as_it_is(family):
    X = blobs(20)
    est = unfinished(family, X, 2)
    resp = random_resp(20, 3)
    before = copy.deepcopy(vars(est))
    X.flags.writeable = resp.flags.writeable = False
    F = free_energy(est, X, resp)
    assert free_energy(est, X.tolist(), resp.tolist()) == F
    assert vars(est).keys() == before.keys()
    assert_allclose(est.weights_, before["weights_"], rtol=0)


BAD = {
    "too many columns": np.full((20, 4), 0.25),
    "too few rows": np.full((19, 3), 1 / 3),
    "a vector": np.ones(20),
    "a sum of two": np.full((20, 3), 2 / 3),
    "a sum just off": np.full((20, 3), 1 / 3) + 1e-4,
    "negative": np.tile([1.2, -0.2, 0.0], (20, 1)),
    "nan": np.full((20, 3), np.nan),
    "infinite": np.tile([np.inf, 0.0, 0.0], (20, 1)),
}


@pytest.mark.parametrize("resp", BAD.values(), ids=BAD)
def test_bad_responsibilities(resp):
    est = unfinished("diag", blobs(20), 2)
    with pytest.raises(ValueError, match="resp"):
        free_energy(est, blobs(20), resp)


def test_other_estimators_and_rows():
    X, resp = blobs(20), random_resp(20, 3)
    for est in (GaussianMixture(3).fit(X), PCA(2).fit(X), "a mixture"):
        with pytest.raises(TypeError, match="estimator"):
            free_energy(est, X, resp)
    with pytest.raises(NotFittedError):
        free_energy(GaussianMixtureEM(3), X, resp)
    with pytest.raises(ValueError, match="features"):
        free_energy(unfinished("diag", X, 2), X[:, :2], resp)
