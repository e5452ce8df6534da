"""Four ways through a discrete draw, against the sum over its values.

The term is V = sum_k q_k (log_joint_k - log_q_k) with q = softmax(phi). Noise comes as
Gumbel draws; thousands of replicates give the mean and the spread of each estimate.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import norm

from sklvm.autoencoder._categorical import CATEGORICAL

LOG_JOINT = torch.tensor([-3.0, -1.5, -2.2, -4.0], dtype=torch.float64)
PHI = torch.tensor([0.3, -0.4, 0.9, -1.0], dtype=torch.float64)
K = len(PHI)


def gumbel_noise(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    u = torch.rand(shape, generator=generator, dtype=torch.float64)
    return -torch.log(-torch.log(u.clamp(1e-300)))


def enumerated(log_joint=LOG_JOINT, phi=PHI):
    """V and its gradients with respect to log_joint and phi, written out."""
    q = torch.softmax(phi, -1)
    term = log_joint - torch.log_softmax(phi, -1)
    value = (q * term).sum(-1)
    return value, q, q * (term - value)


def estimates(name, n, n_draws=2, temperature=1.0, log_joint=LOG_JOINT, seed=0):
    """Value, d/d log_joint and d/d phi of n replicates of an estimator."""
    log_joint = log_joint.repeat(n, 1).requires_grad_()
    phi = PHI.repeat(n, 1).requires_grad_()
    noise = gumbel_noise((n_draws, n, K), seed)
    if name in ("exact", "network"):
        noise = None
    value = CATEGORICAL[name](log_joint, torch.log_softmax(phi, -1), noise, temperature)
    assert value.shape == (n,)
    gradients = torch.autograd.grad(
        value.sum(), (log_joint, phi), materialize_grads=True
    )
    return value.detach(), *gradients


def largest_z(samples, expected):
    """The mean's distance from the expected one in standard errors, and its limit."""
    samples = samples.reshape(len(samples), -1)
    error = samples.std(0) / math.sqrt(len(samples)) + 1e-12
    z = ((samples.mean(0) - expected.reshape(-1)) / error).abs().max().item()
    # Of a family of two-sided tests that fails by chance once in ten thousand.
    return z, norm.isf(0.5e-4 / samples.shape[1])


# The exact ones.


def test_there_are_four():
    assert set(CATEGORICAL) == {"exact", "network", "gumbel", "reinforce"}


def test_network_is_the_sum_and_its_gradient():
    for ours, exact in zip(estimates("network", 1), enumerated(), strict=True):
        torch.testing.assert_close(ours[0], exact)


def test_exact_is_the_sum_at_the_best_q():
    value, slope, of_phi = estimates("exact", 1)
    best = torch.log_softmax(LOG_JOINT, -1)
    expected, expected_slope, _ = enumerated(LOG_JOINT, best)
    torch.testing.assert_close(value[0], expected)
    torch.testing.assert_close(slope[0], expected_slope)
    assert not of_phi.any()


LOGITS = hnp.arrays(np.float64, (3, K), elements=st.floats(-50, 50))


@settings(deadline=None, max_examples=60)
@given(LOGITS, LOGITS)
def test_network_never_exceeds_exact(log_joint, phi):
    log_joint, log_q = torch.tensor(log_joint), torch.log_softmax(torch.tensor(phi), -1)
    exact = CATEGORICAL["exact"](log_joint, log_q, None, 1.0)
    network = CATEGORICAL["network"](log_joint, log_q, None, 1.0)
    # The gap is KL(q || p(z|w)).
    log_p = torch.log_softmax(log_joint, -1)
    gap = (log_q.exp() * (log_q - log_p)).sum(-1)
    torch.testing.assert_close(exact - network, gap, rtol=1e-9, atol=1e-9)
    assert (network <= exact + 1e-9).all()


@settings(deadline=None, max_examples=60)
@given(LOGITS, st.floats(0.05, 2.0), st.integers(2, 5))
def test_all_four_are_equal_at_the_posterior(log_joint, temperature, n_draws):
    """There log_joint - log_q is the same number for every k: no draw matters."""
    log_joint = torch.tensor(log_joint)
    log_q = torch.log_softmax(log_joint, -1)
    noise = gumbel_noise((n_draws, *log_joint.shape))
    for name, function in CATEGORICAL.items():
        given_noise = noise if name in ("gumbel", "reinforce") else None
        value = function(log_joint, log_q, given_noise, temperature)
        torch.testing.assert_close(value, log_joint.logsumexp(-1), rtol=1e-9, atol=1e-9)


def test_a_component_that_is_impossible():
    """q_k = 0 in float32: 0 log 0 is 0, in value and gradient."""
    log_joint = torch.tensor([[-1.0, -2.0, -500.0]], requires_grad=True)
    phi = torch.tensor([[0.0, 1.0, -400.0]], requires_grad=True)
    noise = gumbel_noise((2, 1, 3)).float()
    for name, function in CATEGORICAL.items():
        given_noise = noise if name in ("gumbel", "reinforce") else None
        value = function(log_joint, torch.log_softmax(phi, -1), given_noise, 0.3)
        gradients = torch.autograd.grad(
            value.sum(), (log_joint, phi), materialize_grads=True
        )
        assert all(part.isfinite().all() for part in (value, *gradients)), name


# REINFORCE.


@pytest.mark.parametrize("n_draws", [2, 3, 8])
def test_reinforce_is_unbiased(n_draws):
    for samples, exact in zip(
        estimates("reinforce", 40000, n_draws), enumerated(), strict=True
    ):
        z, limit = largest_z(samples, exact)
        assert z < limit


def test_reinforce_counts_draws():
    """Its value is a mean over draws from q, so a multiple of 1 / n_draws."""
    indicator = torch.log_softmax(PHI, -1) + torch.tensor([1.0, 0, 0, 0]).double()
    value, *_ = estimates("reinforce", 20000, 4, log_joint=indicator)
    torch.testing.assert_close(4 * value, (4 * value).round(), rtol=0, atol=1e-9)
    q = torch.softmax(PHI, -1)[0].item()
    assert value.mean().item() == pytest.approx(q, abs=5 * math.sqrt(q / 80000))
    variance = q * (1 - q) / 4
    assert value.var().item() == pytest.approx(variance, rel=0.06)


def test_a_constant_does_not_disturb_the_baseline():
    """Leave-one-out: log p + c has the same gradient, draw by draw."""
    _, _, one = estimates("reinforce", 500)
    value, _, other = estimates("reinforce", 500, log_joint=LOG_JOINT + 100)
    torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-9)
    assert value.mean() > 90


def test_the_baseline_takes_variance_away():
    """Against the plain score function with the same number of draws."""
    n, n_draws = 20000, 4
    shifted = LOG_JOINT - 5
    log_q = torch.log_softmax(PHI, -1)
    k = (log_q + gumbel_noise((n_draws, n, K))).argmax(-1)
    score = torch.nn.functional.one_hot(k, K) - torch.softmax(PHI, -1)
    plain = ((shifted - log_q)[k].unsqueeze(-1) * score).mean(0)
    _, _, ours = estimates("reinforce", n, n_draws, log_joint=shifted)
    assert ours.var(0).sum() < 0.3 * plain.var(0).sum()


@pytest.mark.parametrize("name", ["reinforce", "gumbel"])
def test_more_draws_average(name):
    few, many = (estimates(name, 10000, n)[0].var().item() for n in (2, 8))
    assert few / many == pytest.approx(4, rel=0.15)


# Gumbel-softmax.


def test_gumbel_loses_its_bias_as_the_temperature_falls():
    value, slope, of_phi = enumerated()
    bias = {
        temperature: [
            (samples.mean(0) - exact).abs().max().item()
            for samples, exact in zip(
                estimates("gumbel", 60000, 2, temperature),
                (value, slope, of_phi),
                strict=True,
            )
        ]
        for temperature in (2.0, 0.7, 0.05)
    }
    warm, mild, cold = (np.array(errors) for errors in bias.values())
    assert (warm > mild).all()
    assert (mild > 2 * cold).all()


def test_gumbel_is_the_exact_gradient_in_the_cold():
    for samples, exact in zip(
        estimates("gumbel", 200000, 2, 0.03), enumerated(), strict=True
    ):
        z, limit = largest_z(samples, exact)
        # What is left of the bias is of the order of the temperature squared.
        assert z < limit + 1


def test_gumbel_and_reinforce_see_the_same_draws_in_the_cold():
    """Gumbel-max: the largest log_q + noise is the draw."""
    cold, *_ = estimates("gumbel", 2000, 3, 1e-4)
    drawn, *_ = estimates("reinforce", 2000, 3)
    equal = torch.isclose(cold, drawn, atol=1e-6).double().mean()
    assert equal > 0.99


def test_relaxed_draws_are_smooth():
    """The gradient of one replicate is that of finite differences."""
    noise = gumbel_noise((2, 1, K))
    function = CATEGORICAL["gumbel"]

    def value(log_joint, phi):
        return function(log_joint, torch.log_softmax(phi, -1), noise, 0.7)

    arguments = tuple(x[None].clone().requires_grad_() for x in (LOG_JOINT, PHI))
    assert torch.autograd.gradcheck(value, arguments)


def test_single_precision_stays_single():
    log_q = torch.log_softmax(PHI.float(), -1)
    for name, function in CATEGORICAL.items():
        sampled = name in ("gumbel", "reinforce")
        noise = gumbel_noise((2, K)).float() if sampled else None
        value = function(LOG_JOINT.float(), log_q, noise, 0.5)
        assert value.dtype == torch.float32
        assert value.shape == ()
