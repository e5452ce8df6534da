"""The ELBO F(theta, q), and the two coordinates along which EM climbs it."""

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
from sklvm import (
    BernoulliMixtureEM,
    CategoricalMixtureEM,
    GaussianMixtureEM,
    PoissonMixtureEM,
)
from sklvm.mixture import elbo

from .families import FAMILIES, blobs, encode, make, run
from .reference import (
    bernoulli_log_joint,
    categorical_log_joint,
    entropy,
    full_covariances,
    gaussian_log_joint,
    poisson_log_joint,
)


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


def log_joint(est, X):
    """log p(x, z = k), the slow way."""
    if isinstance(est, BernoulliMixtureEM):
        bits = np.where(np.isnan(X), np.nan, est.binarize < X)
        return bernoulli_log_joint(bits, est.weights_, est.theta_)
    if isinstance(est, CategoricalMixtureEM):
        return categorical_log_joint(X, est.weights_, est.theta_)
    if isinstance(est, PoissonMixtureEM):
        return poisson_log_joint(X, est.weights_, est.rates_)
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
    X = blobs(30, missing=missing, family=family)
    est = unfinished(family, X, 3)
    resp, joint = random_resp(30, 3), log_joint(est, X)
    total = 0.0
    for n in range(30):
        for k in range(3):
            if resp[n, k] > 0:
                total += resp[n, k] * (joint[n, k] - np.log(resp[n, k]))
    F = elbo(est, X, resp)
    assert type(F) is float
    assert pytest.approx(total / 30, rel=1e-10) == F


@pytest.mark.parametrize("missing", [0.0, 0.3])
@settings(max_examples=10, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), concentration=st.sampled_from([0.05, 1.0, 20.0]))
@pytest.mark.parametrize("kind", FAMILIES)
def test_the_evidence_less_the_divergence(kind, missing, seed, concentration):
    X = blobs(40, missing=missing, family=kind)
    est = unfinished(kind, X, 3)
    resp = random_resp(40, 3, seed, concentration)
    gap = divergence(resp, est.predict_proba(X)).mean()
    F = elbo(est, X, resp)
    assert pytest.approx(est.score(X) - gap, rel=1e-9, abs=1e-9) == F
    assert est.score(X) + 1e-12 >= F


def test_tight_at_the_posterior(family):
    for missing in (0.0, 0.3):
        X = blobs(60, missing=missing, family=family)
        est = unfinished(family, X, 5)
        F = elbo(est, X, est.predict_proba(X))
        assert pytest.approx(est.score(X), rel=1e-12) == F


# Weights of the rows.


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_weighted_mean_of_the_rows(family, missing):
    X = blobs(40, missing=missing, family=family)
    est, resp = unfinished(family, X, 3), random_resp(40, 3)
    weight = np.random.default_rng(1).exponential(size=40)
    rows = [elbo(est, X[n : n + 1], resp[n : n + 1]) for n in range(40)]
    expected = np.average(rows, weights=weight)
    F = elbo(est, X, resp, sample_weight=weight)
    assert type(F) is float
    assert pytest.approx(expected, rel=1e-10) == F
    assert pytest.approx(F, rel=1e-12) == elbo(est, X, resp, sample_weight=1e6 * weight)


def test_whole_weights_are_repeated_rows(family):
    X = blobs(40, family=family)
    est, resp = unfinished(family, X, 3), random_resp(40, 3)
    weight = np.arange(40) % 3
    repeated = elbo(est, np.repeat(X, weight, axis=0), np.repeat(resp, weight, axis=0))
    assert elbo(est, X, resp, sample_weight=weight) == pytest.approx(
        repeated, rel=1e-10
    )


def test_tight_at_the_posterior_under_weights(family):
    """So F at the posterior of a weighted fit is the bound that the fit reports."""
    X = blobs(60, family=family)
    weight = np.random.default_rng(2).exponential(size=60)
    est = run(make(family, n_components=2), X, 5, sample_weight=weight)
    F = elbo(est, X, est.predict_proba(X), sample_weight=weight)
    assert pytest.approx(est.score(X, sample_weight=weight), rel=1e-12) == F
    assert pytest.approx(est.lower_bound_, rel=1e-10) == F


def test_a_row_of_weight_zero_is_absent_even_where_it_cannot_be():
    """Its log p = -inf times a weight of zero is nothing, not NaN."""
    est = BernoulliMixtureEM().fit([[1.0, 0.0], [1.0, 1.0]])
    X, resp = [[1.0, 0.0], [0.0, 0.0]], [[1.0], [1.0]]
    assert elbo(est, X, resp) == -np.inf
    F = elbo(est, X, resp, sample_weight=[1.0, 0.0])
    assert pytest.approx(np.log(0.5)) == F


@pytest.mark.parametrize(
    "weight, said",
    [
        (np.full(20, -2.5), "-2.5"),
        (np.zeros(20), "zero|0"),
        (np.full(20, np.nan), "NaN"),
        (np.ones(19), "19"),
    ],
    ids=["negative", "all zero", "nan", "too short"],
)
def test_bad_weights(weight, said):
    X, resp = blobs(20), random_resp(20, 3)
    with pytest.raises(ValueError, match=said):
        elbo(unfinished("diag", X, 2), X, resp, sample_weight=weight)


def test_it_is_public_in_both_places():
    assert sklvm.elbo is elbo
    assert "elbo" in sklvm.__all__
    assert "elbo" in dir(sklvm)


# The E-step: q.


def test_the_e_step_s_q_maximises_it(family):
    """No perturbation of the posterior is better, none in its direction is as good."""
    X = blobs(40, family=family)
    est = unfinished(family, X, 2)
    posterior = est.predict_proba(X)
    best = elbo(est, X, posterior)
    for seed in range(10):
        other = random_resp(40, 3, seed)
        for step in (1e-3, 0.1, 1.0):
            resp = (1 - step) * posterior + step * other
            assert elbo(est, X, resp) < best
    hard = np.eye(3)[posterior.argmax(axis=1)]
    assert elbo(est, X, hard) < best


# The M-step: theta.


def with_parameters(est, weights, centres, precisions=None):
    """The mixture with these parameters, through the public starting values."""
    common = {"n_components": len(weights), "max_iter": 0, "weights_init": weights}
    X = blobs(40)
    if isinstance(est, BernoulliMixtureEM):
        other = BernoulliMixtureEM(theta_init=centres, **common)
    elif isinstance(est, CategoricalMixtureEM):
        other = CategoricalMixtureEM(theta_init=centres, n_categories=3, **common)
        X = encode("categorical", X)
    elif isinstance(est, PoissonMixtureEM):
        other = PoissonMixtureEM(rates_init=centres, **common)
        X = encode("poisson", X)
    else:
        other = GaussianMixtureEM(
            means_init=centres,
            precisions_init=precisions,
            covariance_type=est.covariance_type,
            **common,
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return other.fit(X)


def perturbed(est, rng, size):
    """Parameters a step away from those of a fit, in a random direction."""
    weights = est.weights_ * np.exp(size * rng.normal(size=len(est.weights_)))
    weights /= weights.sum()
    if isinstance(est, BernoulliMixtureEM):
        logits = np.log(est.theta_) - np.log1p(-est.theta_)
        logits = logits + size * rng.normal(size=logits.shape)
        return with_parameters(est, weights, 1 / (1 + np.exp(-logits)))
    if isinstance(est, CategoricalMixtureEM):
        theta = [t * np.exp(size * rng.normal(size=t.shape)) for t in est.theta_]
        theta = [item / item.sum(axis=1, keepdims=True) for item in theta]
        return with_parameters(est, weights, theta)
    if isinstance(est, PoissonMixtureEM):
        rates = est.rates_ * np.exp(size * rng.normal(size=est.rates_.shape))
        return with_parameters(est, weights, rates)
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
    X = blobs(40, family=family)
    before, after = unfinished(family, X, 2), unfinished(family, X, 3)
    resp = before.predict_proba(X)
    best = elbo(after, X, resp)
    same = perturbed(after, np.random.default_rng(0), 0.0)
    assert elbo(same, X, resp) == pytest.approx(best, rel=1e-9)
    for seed in range(10):
        for size in (0.02, 0.3):
            other = perturbed(after, np.random.default_rng(seed), size)
            assert elbo(other, X, resp) < best


def test_both_half_steps_climb(family):
    """score, E: tight, M: up, E: tight again at a score no lower."""
    X = blobs(40, family=family)
    fits = [unfinished(family, X, n) for n in range(1, 6)]
    for before, after in pairwise(fits):
        resp = before.predict_proba(X)
        start, half = elbo(before, X, resp), elbo(after, X, resp)
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
    assert elbo(est, X, [[0.5, 0.5], [0.5, 0.5]]) == -np.inf
    assert elbo(est, X, [[1e-300, 1.0], [0.5, 0.5]]) == -np.inf
    possible = [[0.0, 1.0], [0.5, 0.5]]
    # log 1/8 of the first row; of the second F is that of q = (1/2, 1/2).
    second = 0.5 * (np.log(1 / 4) + np.log(1 / 8)) + np.log(2)
    expected = (np.log(1 / 8) + second) / 2
    assert elbo(est, X, possible) == pytest.approx(expected, rel=1e-12)


def test_one_component_and_certain_responsibilities(family):
    X = blobs(30, family=family)
    est = run(make(family), X, 3)
    assert elbo(est, X, np.ones((30, 1))) == pytest.approx(est.score(X))
    three = unfinished(family, X, 3)
    hard = np.eye(3)[np.arange(30) % 3]
    expected = log_joint(three, X)[np.arange(30), np.arange(30) % 3].mean()
    assert elbo(three, X, hard) == pytest.approx(expected, rel=1e-10)


def test_rows_without_a_value_leave_the_prior(family):
    X = blobs(40, missing=0.2, family=family)
    est = unfinished(family, X, 3)
    nothing = np.full((5, 3), np.nan)
    resp = random_resp(5, 3)
    expected = -divergence(resp, np.tile(est.weights_, (5, 1))).mean()
    assert elbo(est, nothing, resp) == pytest.approx(expected, rel=1e-9)


def test_float32_rows_and_responsibilities(family):
    """The responsibilities that a float32 fit itself returns are accepted."""
    X = blobs(200, family=family).astype(np.float32)
    est = unfinished(family, X, 3)
    resp = est.predict_proba(X)
    assert resp.dtype == np.float32
    F = elbo(est, X, resp)
    assert type(F) is float
    assert pytest.approx(est.score(X), rel=1e-5) == F


def test_lists_and_what_is_given_stays_as_it_is(family):
    X = blobs(20, family=family)
    est = unfinished(family, X, 2)
    resp = random_resp(20, 3)
    before = copy.deepcopy(vars(est))
    X.flags.writeable = resp.flags.writeable = False
    F = elbo(est, X, resp)
    assert elbo(est, X.tolist(), resp.tolist()) == F
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
        elbo(est, blobs(20), resp)


def test_other_estimators_and_rows():
    X, resp = blobs(20), random_resp(20, 3)
    for est in (GaussianMixture(3).fit(X), PCA(2).fit(X), "a mixture"):
        with pytest.raises(TypeError, match="estimator"):
            elbo(est, X, resp)
    with pytest.raises(NotFittedError):
        elbo(GaussianMixtureEM(3), X, resp)
    with pytest.raises(ValueError, match="features"):
        elbo(unfinished("diag", X, 2), X[:, :2], resp)
