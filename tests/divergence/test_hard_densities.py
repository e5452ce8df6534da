"""Densities that quadrature, or a search for optima, might get wrong unseen."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import stats
from torch import distributions

from sklvm.divergence import fit_gaussian, kl


def mixture(weights, means, scales):
    weights, means, scales = (
        torch.tensor(values, dtype=torch.float64) for values in (weights, means, scales)
    )
    return distributions.MixtureSameFamily(
        distributions.Categorical(weights), distributions.Normal(means, scales)
    )


SPIKE = mixture([0.95, 0.05], [0.0, 50.0], [1.0, 1e-9])


@pytest.mark.parametrize("p", [stats.gamma(0.05), SPIKE], ids=["singular", "spike"])
def test_mass_that_quadrature_misses_is_noticed(p):
    q = stats.norm(1, 2)
    assert kl(p, q, random_state=0).method == "monte_carlo"
    with pytest.raises(ValueError, match="monte_carlo"):
        kl(p, q, method="quadrature")


def test_moments_where_quadrature_misses_mass():
    fit = fit_gaussian(SPIKE, n_samples=100_000, random_state=0)
    deviation = np.sqrt(0.95 + 0.95 * 0.05 * 50**2)
    assert abs(fit.mean[0] - 2.5) < 5 * deviation / np.sqrt(100_000)


@pytest.mark.parametrize("p", [stats.cauchy(), stats.t(2)], ids=["cauchy", "t2"])
def test_moments_that_are_infinite(p):
    with pytest.raises(ValueError, match="moments are finite"):
        fit_gaussian(p)


def test_an_infinite_divergence_has_no_finite_error():
    assert not np.isfinite(kl(stats.cauchy(), stats.norm()).standard_error)


@pytest.mark.parametrize("p", [stats.uniform(), stats.expon(), stats.gamma(4)])
def test_no_gaussian_is_within_bounds(p):
    with pytest.raises(ValueError, match="inclusive"):
        fit_gaussian(p, "exclusive")


def test_a_narrow_optimum_is_kept():
    p = mixture([0.3, 0.3, 0.4], [-10.0, 0.0, 10.0], [1.0, 0.1, 2.0])
    optima = fit_gaussian(p, "exclusive", random_state=0).optima
    modes = sorted((q.mean[0], q.covariance[0, 0]) for q in optima)
    assert_allclose(modes, [(-10, 1), (0, 0.01), (10, 4)], rtol=1e-2, atol=1e-2)


def test_optima_of_one_mean_and_two_scales():
    p = mixture([0.5, 0.5], [0.0, 0.0], [1.0, 0.01])
    wide, narrow = fit_gaussian(p, "exclusive", random_state=0).optima
    assert wide.covariance[0, 0] > 0.5
    assert narrow.covariance[0, 0] < 1e-3
    assert wide.divergence < narrow.divergence


def test_draws_that_repeat_in_float32_are_no_sign_of_a_discrete_one():
    fit = fit_gaussian(distributions.Normal(100.0, 0.01), random_state=0)
    assert_allclose(fit.mean, 100, atol=1e-3)


def test_a_kernel_density_of_scipy():
    points = np.random.default_rng(0).normal(size=(2, 200))
    p = stats.gaussian_kde(points)
    estimate = kl(p, stats.multivariate_normal([0, 0]), random_state=0)
    assert 0 < estimate.divergence < 0.5
    assert kl(stats.gaussian_kde(points[0]), stats.norm()).method == "quadrature"


def test_a_class_is_no_distribution():
    with pytest.raises(TypeError, match="p=Normal is a class"):
        kl(distributions.Normal, stats.norm())
