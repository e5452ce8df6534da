"""What kl is given stays as it is; what it draws belongs to random_state."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import stats
from torch.distributions import MultivariateNormal

from sklvm import GaussianMixtureEM
from sklvm.divergence import kl

from .objects import (
    COV0,
    COV1,
    MEAN0,
    MEAN1,
    global_states,
    in_the_plane,
    same_states,
    within,
)


@pytest.mark.parametrize("method", ["auto", "monte_carlo"])
@pytest.mark.parametrize("name", ["torch", "scipy", "sklvm", "sklearn"])
def test_random_states(name, method):
    p, _, _ = in_the_plane()[name]
    q = stats.multivariate_normal(MEAN1, COV1)
    before, attributes = global_states(), copy.deepcopy(vars(p))
    one = kl(p, q, method=method, n_samples=100, random_state=3)
    assert kl(p, q, method=method, n_samples=100, random_state=3) == one
    assert kl(p, q, method=method, n_samples=100, random_state=4) != one
    rng = np.random.RandomState(3)
    first = kl(p, q, method=method, n_samples=100, random_state=rng)
    assert kl(p, q, method=method, n_samples=100, random_state=rng) != first
    kl(p, q, method=method, n_samples=100)
    assert same_states(global_states(), before)
    assert vars(p).keys() == attributes.keys()
    if name in ("sklvm", "sklearn"):
        assert p.random_state is None
        assert_allclose(p.means_, attributes["means_"], rtol=0)


def test_a_given_generator_of_an_estimator_is_not_advanced():
    rows = np.random.default_rng(0).normal(size=(50, 2))
    rng = np.random.RandomState(0)
    p = GaussianMixtureEM(random_state=rng).fit(rows)
    state = rng.get_state()[1].copy()
    kl(p, stats.multivariate_normal(MEAN1, COV1), n_samples=50, random_state=0)
    assert p.random_state is rng
    assert (rng.get_state()[1] == state).all()


def test_a_scipy_distribution_with_its_own_generator():
    p = stats.multivariate_normal(MEAN0, COV0, seed=0)
    q = stats.multivariate_normal(MEAN1, COV1)
    one = kl(p, q, n_samples=50, random_state=0)
    assert kl(p, q, n_samples=50, random_state=0) == one


def test_modules_of_torch_keep_their_gradients_out():
    """Parameters that require gradients are read, not tracked."""
    mean = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    p = MultivariateNormal(mean, torch.eye(2, dtype=torch.float64))
    q = stats.multivariate_normal([0.5, 0], np.eye(2))
    assert within(kl(p, q, random_state=0), 0.125)
    assert within(kl(q, p, random_state=0), 0.125)
    assert mean.grad is None


def test_an_estimate_is_frozen():
    estimate = kl(stats.norm(), stats.norm())
    with pytest.raises(dataclasses.FrozenInstanceError):
        estimate.divergence = 1.0
