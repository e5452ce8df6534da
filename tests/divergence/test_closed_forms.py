"""Closed forms against torch.distributions, and the laws that every KL obeys."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.special import expit, softmax
from torch.distributions import Bernoulli, Categorical, MultivariateNormal
from torch.distributions import kl_divergence as torch_kl

from sklvm.divergence import (
    entropy_bernoulli,
    entropy_categorical,
    entropy_gaussian,
    kl_bernoulli,
    kl_categorical,
    kl_gaussian,
)

KINDS = ["full", "diag", "spherical"]
SEEDS = st.integers(0, 2**32 - 1)
quick = settings(max_examples=30, deadline=None, derandomize=True)


def spd(rng, *shape):
    """Covariances of shape (..., d, d) with eigenvalues above 0.1."""
    root = rng.normal(size=(*shape, shape[-1] + 1))
    return root @ np.swapaxes(root, -1, -2) + 0.1 * np.eye(shape[-1])


def covariance(rng, kind, batch, d):
    """One of a kind, and the same as a full matrix."""
    if kind == "full":
        cov = spd(rng, *batch, d)
        return cov, cov
    if kind == "diag":
        cov = rng.uniform(0.2, 3.0, size=(*batch, d))
        return cov, cov[..., None] * np.eye(d)
    cov = rng.uniform(0.2, 3.0, size=batch)
    return cov, cov[..., None, None] * np.eye(d)


def normal(mean, cov):
    return MultivariateNormal(torch.as_tensor(mean), torch.as_tensor(cov))


def simplex(rng, *shape):
    return rng.dirichlet(np.ones(shape[-1]), size=shape[:-1])


# Gaussians.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [(), (4,), (2, 3)])
def test_gaussians_against_torch(kind, batch):
    rng = np.random.default_rng(0)
    mean0, mean1 = rng.normal(size=(2, *batch, 3))
    cov0, full0 = covariance(rng, kind, batch, 3)
    cov1, full1 = covariance(rng, kind, batch, 3)
    kl = kl_gaussian(mean0, cov0, mean1, cov1, covariance_type=kind)
    expected = torch_kl(normal(mean0, full0), normal(mean1, full1)).numpy()
    assert np.shape(kl) == batch
    assert_allclose(kl, expected, rtol=1e-10)
    n_features = {"n_features": 3} if kind == "spherical" else {}
    entropy = entropy_gaussian(cov0, covariance_type=kind, **n_features)
    assert np.shape(entropy) == batch
    assert_allclose(entropy, normal(mean0, full0).entropy().numpy(), rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_gaussian_batches_broadcast(kind):
    """Every one of 4 against every one of 5, with one covariance for the 5."""
    rng = np.random.default_rng(1)
    mean0, mean1 = rng.normal(size=(4, 1, 2)), rng.normal(size=(5, 2))
    cov0, full0 = covariance(rng, kind, (4, 1), 2)
    cov1, full1 = covariance(rng, kind, (), 2)
    kl = kl_gaussian(mean0, cov0, mean1, cov1, covariance_type=kind)
    assert kl.shape == (4, 5)
    for i in range(4):
        for j in range(5):
            p, q = normal(mean0[i, 0], full0[i, 0]), normal(mean1[j], full1)
            assert_allclose(kl[i, j], torch_kl(p, q).item(), rtol=1e-10)


def test_results_are_float64_and_single_ones_floats():
    one = kl_gaussian([0], [[1]], [1], [[4]])
    assert type(one) is float
    assert one == pytest.approx(0.5 * (1 / 4 + 1 / 4 - 1 + np.log(4)), rel=1e-14)
    assert type(entropy_gaussian([[2.0]])) is float
    assert type(kl_categorical([0, 1], [0.5, 0.5])) is float
    assert type(kl_bernoulli(0.5, 0.25)) is float
    assert type(entropy_categorical([0.5, 0.5])) is float
    assert type(entropy_bernoulli(0.5)) is float
    many = kl_gaussian(
        np.zeros((3, 2), np.float32),
        np.ones((3, 2), np.float32),
        np.zeros((3, 2), np.float32),
        np.full((3, 2), 2, np.float32),
        covariance_type="diag",
    )
    assert many.dtype == np.float64
    assert many.shape == (3,)
    assert kl_bernoulli(np.full(3, 0.5, np.float32), 0.25).dtype == np.float64


def test_inputs_stay_as_they_are():
    rng = np.random.default_rng(2)
    mean, cov = rng.normal(size=(4, 3)), spd(rng, 4, 3)
    p, q = simplex(rng, 4, 3), simplex(rng, 4, 3)
    for array in (mean, cov, p, q):
        array.flags.writeable = False
    assert_allclose(kl_gaussian(mean, cov, mean, cov), 0, atol=1e-12)
    assert (kl_categorical(p, q) > 0).all()
    assert (kl_bernoulli(p, q) > 0).all()
    entropies = entropy_gaussian(cov), entropy_categorical(p), entropy_bernoulli(p)
    assert all(np.isfinite(h).all() for h in entropies)


def test_determinants_that_no_float_holds():
    """det = 1e-1200 and 1e1200, as in images of 40 pixels."""
    d = 40
    for scale in (1e-30, 1e30):
        cov = scale * np.eye(d)
        kl = kl_gaussian(np.zeros(d), cov, np.full(d, np.sqrt(scale)), 2 * cov)
        assert kl == pytest.approx(0.5 * d * (0.5 + 0.5 - 1 + np.log(2)), rel=1e-10)
        for kind, value in (("diag", np.full(d, scale)), ("full", cov)):
            entropy = entropy_gaussian(value, covariance_type=kind)
            expected = 0.5 * d * np.log(2 * np.pi * np.e * scale)
            assert entropy == pytest.approx(expected, rel=1e-12)


def test_an_ill_conditioned_covariance():
    """Eigenvalues from 1e-6 to 1e6, the same in both: only the means differ."""
    rng = np.random.default_rng(3)
    basis, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    values = np.geomspace(1e-6, 1e6, 5)
    cov = (basis * values) @ basis.T
    cov = (cov + cov.T) / 2
    shift = basis @ np.sqrt(values)
    kl = kl_gaussian(np.zeros(5), cov, shift, cov)
    # A condition number of 1e12 costs as many digits at the most.
    assert kl == pytest.approx(2.5, rel=1e-3)


@quick
@given(SEEDS, st.integers(1, 4), st.sampled_from(KINDS))
def test_gaussian_kl_is_zero_at_equality_and_positive_elsewhere(seed, d, kind):
    rng = np.random.default_rng(seed)
    mean0, mean1 = rng.normal(size=(2, d))
    cov0, _ = covariance(rng, kind, (), d)
    cov1, _ = covariance(rng, kind, (), d)
    kind = {"covariance_type": kind}
    assert kl_gaussian(mean0, cov0, mean1, cov1, **kind) > 0
    assert kl_gaussian(mean0, cov0, mean0, cov1, **kind) >= -1e-12
    assert abs(kl_gaussian(mean0, cov0, mean0, cov0, **kind)) < 1e-12


@quick
@given(SEEDS, st.integers(1, 4))
def test_gaussian_kl_does_not_depend_on_the_coordinates(seed, d):
    """KL is the same after x -> A x + b; the entropy gains log |det A|."""
    rng = np.random.default_rng(seed)
    A, b = spd(rng, d) @ np.diag(rng.choice([-1, 1], d)), rng.normal(size=d)
    mean0, mean1 = rng.normal(size=(2, d))
    cov0, cov1 = spd(rng, 2, d)

    def moved(cov):
        cov = A @ cov @ A.T
        return (cov + cov.T) / 2

    kl = kl_gaussian(mean0, cov0, mean1, cov1)
    image = kl_gaussian(A @ mean0 + b, moved(cov0), A @ mean1 + b, moved(cov1))
    assert image == pytest.approx(kl, rel=1e-7, abs=1e-9)
    gain = entropy_gaussian(moved(cov0)) - entropy_gaussian(cov0)
    assert gain == pytest.approx(np.linalg.slogdet(A)[1], rel=1e-8, abs=1e-9)


# Categorical and Bernoulli.


@pytest.mark.parametrize("batch", [(), (4,), (2, 3)])
def test_discrete_ones_against_torch(batch):
    rng = np.random.default_rng(4)
    p, q = simplex(rng, *batch, 5), simplex(rng, *batch, 5)
    one, two = (Categorical(torch.as_tensor(x)) for x in (p, q))
    assert_allclose(kl_categorical(p, q), torch_kl(one, two).numpy(), rtol=1e-10)
    assert_allclose(entropy_categorical(p), one.entropy().numpy(), rtol=1e-10)
    one, two = (Bernoulli(torch.as_tensor(x)) for x in (p, q))
    kl = kl_bernoulli(p, q)
    assert_allclose(kl, torch_kl(one, two).numpy(), rtol=1e-10, atol=1e-15)
    assert_allclose(entropy_bernoulli(p), one.entropy().numpy(), rtol=1e-10)


def test_discrete_batches_broadcast():
    rng = np.random.default_rng(5)
    p, q = simplex(rng, 4, 1, 3), simplex(rng, 5, 3)
    kl = kl_categorical(p, q)
    assert kl.shape == (4, 5)
    assert_allclose(kl[2, 3], np.sum(p[2, 0] * np.log(p[2, 0] / q[3])), rtol=1e-10)
    assert kl_bernoulli(p, q).shape == (4, 5, 3)


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_logits_are_probabilities_up_to_a_constant(scale):
    rng = np.random.default_rng(6)
    a, b = scale * rng.normal(size=(2, 4, 5))
    shift = 1000 * rng.normal(size=(4, 1))
    one, two = (Categorical(logits=torch.as_tensor(x)) for x in (a, b))
    kl = kl_categorical(a, b, from_logits=True)
    assert_allclose(kl, torch_kl(one, two).numpy(), rtol=1e-10)
    moved = kl_categorical(a + shift, b - shift, from_logits=True)
    assert_allclose(moved, kl, rtol=1e-9)
    entropy = entropy_categorical(a + shift, from_logits=True)
    assert_allclose(entropy, one.entropy().numpy(), rtol=1e-9, atol=1e-12)
    if scale == 1:
        same = kl_categorical(softmax(a, axis=1), softmax(b, axis=1))
        assert_allclose(same, kl, rtol=1e-10)
        assert_allclose(
            kl_bernoulli(expit(a), expit(b)),
            kl_bernoulli(a, b, from_logits=True),
            rtol=1e-9,
        )
        assert_allclose(
            entropy_bernoulli(expit(a)), entropy_bernoulli(a, from_logits=True)
        )


def test_log_odds_beyond_what_a_probability_holds():
    """expit(800) is 1 and log(1 - 1) is not: the tail is kept in the log domain."""
    kl = kl_bernoulli([800.0, 800, -800, 0], [-800.0, 800, -800, 800], from_logits=True)
    # Of the last: 1/2 log(1/2 / 1) + 1/2 (log 1/2 + 800).
    assert_allclose(kl, [800, 0, 0, 400 - np.log(2)], rtol=1e-12)
    # (1 + 40) e^-40 to first order.
    entropy = entropy_bernoulli([40.0, -40.0, 1e4], from_logits=True)
    assert_allclose(entropy, [41 * np.exp(-40), 41 * np.exp(-40), 0], rtol=1e-6)
    kl = kl_categorical([0.0, -2000.0], [0.0, -1000.0], from_logits=True)
    assert 0 <= kl < 1e-300
    kl = kl_categorical([0.0, -2000.0], [-1000.0, 0.0], from_logits=True)
    assert kl == pytest.approx(1000, rel=1e-12)


def test_zeros():
    """0 log 0 = 0; infinite where p has mass and q has none."""
    half, first, second = [0.5, 0.5], [1.0, 0.0], [0.0, 1.0]
    assert kl_categorical(first, half) == pytest.approx(np.log(2), rel=1e-14)
    assert kl_categorical(first, first) == 0
    assert kl_categorical(half, first) == np.inf
    assert kl_categorical(first, second) == np.inf
    assert entropy_categorical(first) == 0
    kl = kl_bernoulli([0, 0, 0, 1, 1, 1, 0.5], [0, 0.5, 1, 1, 0.5, 0, 0])
    assert_allclose(kl, [0, np.log(2), np.inf, 0, np.log(2), np.inf, np.inf])
    assert_allclose(entropy_bernoulli([0, 1, 0.5]), [0, 0, np.log(2)], rtol=1e-14)
    impossible = [0.0, -np.inf]
    kl = kl_categorical(impossible, [0.0, 0.0], from_logits=True)
    assert kl == pytest.approx(np.log(2), rel=1e-14)
    assert kl_categorical([0.0, 0.0], impossible, from_logits=True) == np.inf
    assert entropy_categorical(impossible, from_logits=True) == 0


def test_rows_may_be_a_millionth_off():
    p = np.array([0.3, 0.7 + 5e-7])
    assert kl_categorical(p, [0.3, 0.7]) == pytest.approx(0, abs=1e-6)
    assert entropy_categorical(p) == pytest.approx(
        entropy_categorical([0.3, 0.7]), abs=1e-6
    )


@quick
@given(SEEDS, st.integers(2, 5))
def test_discrete_kl_is_zero_at_equality_and_positive_elsewhere(seed, k):
    rng = np.random.default_rng(seed)
    p, q = simplex(rng, 2, k)
    p = np.where(np.arange(k) == rng.integers(k), 0.0, p)
    p = p / p.sum()
    assert kl_categorical(p, q) > 0
    assert kl_categorical(p, p) == pytest.approx(0, abs=1e-14)
    assert (kl_bernoulli(p, q) > 0).all()
    assert_allclose(kl_bernoulli(p, p), 0, atol=1e-14)
    # p = q up to rounding must not become negative.
    assert kl_categorical(q, np.nextafter(q, 1)) >= 0


@quick
@given(SEEDS, st.integers(2, 5), st.floats(0.0, 1.0))
def test_discrete_kl_is_jointly_convex(seed, k, t):
    rng = np.random.default_rng(seed)
    (p0, p1), (q0, q1) = simplex(rng, 2, k), simplex(rng, 2, k)
    p, q = t * p0 + (1 - t) * p1, t * q0 + (1 - t) * q1
    for kl in (kl_categorical, kl_bernoulli):
        chord = t * kl(p0, q0) + (1 - t) * kl(p1, q1)
        assert np.all(kl(p, q) <= chord + 1e-12)
