"""The nearest Gaussian, in both directions of KL."""

import dataclasses
import math
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize, stats
from torch.distributions import Laplace, MultivariateNormal, Normal

from sklvm import GaussianMixtureEM
from sklvm.divergence import GaussianFit, fit_gaussian, kl, kl_gaussian

from .objects import (
    Scaled,
    float64,
    global_states,
    integral,
    kl_integral,
    log_density,
    mixture,
    mixture_of_planes,
    same_states,
)

# p = 1/3 N(-1, 1) + 2/3 N(1, 1): one mode, skewed to the left.
PARTS = [1 / 3, 2 / 3], [-1.0, 1.0], [1.0, 1.0]
P = mixture(*PARTS)
LOG_P = log_density(*PARTS)
PLANES = [0.3, 0.7], [[-8.0, 0.0], [8.0, 3.0]], [np.eye(2), np.eye(2)]


@cache
def nearest(direction):
    """To the reference case."""
    return fit_gaussian(P, direction=direction, random_state=0)


def exclusive_kl(mean, sd):
    """KL(N(mean, sd^2) || p)."""
    log_q = log_density([1], [mean], [sd])
    return kl_integral(log_q, LOG_P, mean - 10 * sd, mean + 10 * sd)


def exclusive_conditions(parameters):
    """Zero at the optimum: E_q[(log p)'] and 1 + variance E_q[(log p)''].

    Of the mixture with components N(-1, 1) and N(1, 1), by its responsibilities.
    """
    mean, sd = parameters[0], math.exp(parameters[1])
    log_q = log_density([1], [mean], [sd])
    ends = mean - 10 * sd, mean + 10 * sd

    def right(x):
        """p(z = right | x)."""
        return 1 / (1 + 0.5 * math.exp(-2 * x))

    def slope(x):
        return math.exp(log_q(x)) * (2 * right(x) - 1 - x)

    def bend(x):
        return math.exp(log_q(x)) * (4 * right(x) * (1 - right(x)) - 1)

    return [integral(slope, *ends), 1 + sd**2 * integral(bend, *ends)]


# The reference case.


@pytest.mark.slow
def test_inclusive_is_the_moments():
    fit = fit_gaussian(P)
    assert isinstance(fit, GaussianFit)
    assert fit.direction == "inclusive"
    assert fit.mean.shape == (1,)
    assert fit.covariance.shape == (1, 1)
    assert_allclose(fit.mean, 1 / 3, rtol=0, atol=1e-9)
    assert_allclose(fit.covariance, 17 / 9, rtol=0, atol=1e-9)
    log_q = log_density([1], [1 / 3], [math.sqrt(17 / 9)])
    exact = kl_integral(LOG_P, log_q, -12, 12)
    assert fit.divergence == pytest.approx(exact, abs=1e-9)
    assert 0 <= fit.standard_error < 1e-6
    assert len(fit.optima) == 1
    assert_allclose(fit.optima[0].mean, fit.mean)


@pytest.mark.slow
def test_exclusive_to_six_digits():
    root = optimize.root(exclusive_conditions, [0.5, 0.0], tol=1e-12)
    assert root.success
    mean, sd = root.x[0], np.exp(root.x[1])
    # That point is the minimum: the divergence itself, searched without gradients.
    searched = optimize.minimize(
        lambda x: exclusive_kl(x[0], np.exp(x[1])),
        [0.5, 0.0],
        method="Nelder-Mead",
        options={"xatol": 1e-5, "fatol": 1e-10},
    )
    assert_allclose(searched.x, root.x, atol=1e-4)
    fit = nearest("exclusive")
    assert fit.direction == "exclusive"
    assert_allclose(fit.mean, mean, rtol=0, atol=1e-6)
    assert_allclose(fit.covariance, sd**2, rtol=0, atol=1e-6)
    assert fit.divergence == pytest.approx(exclusive_kl(mean, sd), abs=1e-9)
    assert 0 <= fit.standard_error < 1e-6


@pytest.mark.slow
def test_the_two_directions_disagree_as_they_should():
    """Each is the best in its own divergence; the exclusive one is narrower."""
    inclusive, exclusive = nearest("inclusive"), nearest("exclusive")
    one, two = (
        stats.norm(fit.mean[0], np.sqrt(fit.covariance[0, 0]))
        for fit in (inclusive, exclusive)
    )
    assert inclusive.divergence == pytest.approx(kl(P, one).divergence, abs=1e-8)
    assert exclusive.divergence == pytest.approx(kl(two, P).divergence, abs=1e-8)
    assert kl(P, two).divergence > inclusive.divergence + 1e-4
    assert kl(one, P).divergence > exclusive.divergence + 1e-4
    assert exclusive.covariance[0, 0] < inclusive.covariance[0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["inclusive", "exclusive"])
def test_no_step_away_from_the_optimum_helps(direction):
    fit = nearest(direction)
    m, s = fit.mean[0], np.sqrt(fit.covariance[0, 0])
    for mean, sd in ((m + 0.05, s), (m - 0.05, s), (m, 1.05 * s), (m, 0.95 * s)):
        q = stats.norm(mean, sd)
        pair = (P, q) if direction == "inclusive" else (q, P)
        assert kl(*pair).divergence > fit.divergence + 1e-5


# Modes far apart.


@pytest.mark.slow
@pytest.mark.parametrize("n_init", [5, 10])
def test_exclusive_picks_a_mode_each_time(n_init):
    weights, centres = [0.3, 0.7], [-10.0, 10.0]
    p = mixture(weights, centres, [1.0, 1.0])
    fit = fit_gaussian(p, direction="exclusive", n_init=n_init, random_state=n_init)
    assert len(fit.optima) == 2
    assert_allclose(
        [q.divergence for q in fit.optima], [-np.log(0.7), -np.log(0.3)], atol=1e-3
    )
    assert_allclose([q.mean[0] for q in fit.optima], [10, -10], atol=1e-3)
    assert_allclose([q.covariance[0, 0] for q in fit.optima], 1, atol=1e-2)
    best = fit.optima[0]
    assert_array_equal(fit.mean, best.mean)
    assert_array_equal(fit.covariance, best.covariance)
    assert fit.divergence == best.divergence


@pytest.mark.slow
def test_inclusive_covers_both():
    p = mixture([0.3, 0.7], [-10.0, 10.0], [1.0, 1.0])
    fit = fit_gaussian(p)
    assert_allclose(fit.mean, 4, atol=1e-7)
    assert_allclose(fit.covariance, 1 + 0.3 * 0.7 * 20**2, rtol=1e-8)


@pytest.mark.slow
def test_more_modes_than_two():
    weights = [0.2, 0.5, 0.3]
    p = mixture(weights, [-20.0, 0.0, 25.0], [0.5, 2.0, 1.0])
    fit = fit_gaussian(p, direction="exclusive", n_init=15, random_state=0)
    assert_allclose([q.mean[0] for q in fit.optima], [0, 25, -20], atol=1e-2)
    variances = [q.covariance[0, 0] for q in fit.optima]
    assert_allclose(variances, [4, 1, 0.25], rtol=1e-2)
    divergences = [q.divergence for q in fit.optima]
    assert_allclose(divergences, -np.log([0.5, 0.3, 0.2]), atol=1e-3)


@pytest.mark.slow
def test_modes_far_apart_in_the_plane():
    p = mixture_of_planes(*PLANES)
    fit = fit_gaussian(p, direction="exclusive", n_samples=1000, random_state=0)
    assert len(fit.optima) == 2
    assert_allclose(fit.optima[0].mean, [8, 3], atol=0.05)
    assert_allclose(fit.optima[1].mean, [-8, 0], atol=0.05)
    for q, weight in zip(fit.optima, (0.7, 0.3), strict=True):
        assert_allclose(q.covariance, np.eye(2), atol=0.05)
        assert q.divergence == pytest.approx(-np.log(weight), abs=0.01)
        assert q.direction == "exclusive"
    wide = fit_gaussian(p, n_samples=20_000, random_state=0)
    assert len(wide.optima) == 1
    assert_allclose(wide.mean, [3.2, 2.1], atol=0.3)
    between = np.array([16.0, 3.0])
    exact = np.eye(2) + 0.21 * np.outer(between, between)
    assert_allclose(wide.covariance, exact, rtol=0.05, atol=0.5)


# Targets that are Gaussians, and targets of every origin.


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["inclusive", "exclusive"])
def test_a_gaussian_is_nearest_to_itself(direction):
    mean, sd = 1000.3, 0.02
    fit = fit_gaussian(
        Normal(float64(mean), float64(sd)), direction=direction, random_state=0
    )
    assert_allclose(fit.mean, mean, atol=1e-6)
    assert_allclose(fit.covariance, sd**2, rtol=1e-5)
    assert fit.divergence == pytest.approx(0, abs=1e-8)
    assert len(fit.optima) == 1


def test_a_correlated_gaussian_in_three_dimensions():
    cov = np.array([[2.0, 0.9, 0.3], [0.9, 1.0, -0.2], [0.3, -0.2, 0.5]])
    mean = np.array([1.0, -2.0, 3.0])
    target = MultivariateNormal(float64(mean), float64(cov))
    inclusive = fit_gaussian(target, random_state=0)
    error = np.sqrt(np.diag(cov) / 10_000)
    assert (np.abs(inclusive.mean - mean) < 5 * error).all()
    assert_allclose(inclusive.covariance, cov, atol=0.15)
    exclusive = fit_gaussian(
        target, direction="exclusive", n_samples=1000, n_init=3, random_state=0
    )
    # Draws of q cancel against the same Gaussian: far better than Monte Carlo.
    assert kl_gaussian(exclusive.mean, exclusive.covariance, mean, cov) < 1e-3
    assert exclusive.divergence == pytest.approx(0, abs=1e-3)
    for fit in (inclusive, exclusive):
        assert fit.mean.dtype == fit.covariance.dtype == np.float64
        assert_allclose(fit.covariance, fit.covariance.T, rtol=1e-12)


@pytest.mark.slow
def test_the_laplace_distribution():
    """Inclusive: variance 2 b^2. Exclusive: E_q|x| / b - log sd is least at
    sd = b sqrt(pi / 2), as E_q|x| = sd sqrt(2 / pi).
    """
    p = Laplace(float64(0.7), float64(1.5))
    assert_allclose(fit_gaussian(p).covariance, 2 * 1.5**2, rtol=1e-6)
    fit = fit_gaussian(p, direction="exclusive", n_init=2, random_state=0)
    assert_allclose(fit.mean, 0.7, atol=1e-5)
    assert_allclose(fit.covariance, 1.5**2 * np.pi / 2, rtol=1e-5)


@pytest.mark.slow
def test_a_fitted_mixture():
    """The moments of a mixture are known: those of its components, added up."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(-2, 1, (150, 2)), rng.normal(2, 1, (150, 2))])
    target = GaussianMixtureEM(n_components=2, random_state=0).fit(X)
    mean = target.weights_ @ target.means_
    centred = target.means_ - mean
    cov = np.tensordot(target.weights_, target.covariances_, 1)
    cov = cov + (target.weights_ * centred.T) @ centred
    fit = fit_gaussian(target, n_samples=20_000, random_state=0)
    assert (np.abs(fit.mean - mean) < 5 * np.sqrt(np.diag(cov) / 20_000)).all()
    assert_allclose(fit.covariance, cov, atol=0.25)
    exclusive = fit_gaussian(
        target, direction="exclusive", n_samples=1000, n_init=5, random_state=0
    )
    q = stats.multivariate_normal(exclusive.mean, exclusive.covariance)
    estimate = kl(q, target, n_samples=20_000, random_state=1)
    error = estimate.standard_error + exclusive.standard_error
    assert abs(exclusive.divergence - estimate.divergence) < 5 * error + 1e-3
    wide = stats.multivariate_normal(fit.mean, fit.covariance)
    assert kl(wide, target, random_state=1).divergence > exclusive.divergence


@pytest.mark.slow
def test_targets_of_other_origins():
    for target in (stats.norm(2, 3), Scaled([2.0], 3.0)):
        assert_allclose(fit_gaussian(target).mean, 2, atol=1e-6)
        assert_allclose(fit_gaussian(target).covariance, 9, rtol=1e-6)
        fit = fit_gaussian(target, direction="exclusive", n_init=2, random_state=0)
        assert_allclose(fit.mean, 2, atol=1e-5)
        assert_allclose(fit.covariance, 9, rtol=1e-5)


# Random states.


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["inclusive", "exclusive"])
def test_random_state(direction):
    p = mixture_of_planes(*PLANES)
    params = {"direction": direction, "n_samples": 100, "n_init": 1}
    before = global_states()
    one = fit_gaussian(p, random_state=0, **params)
    two = fit_gaussian(p, random_state=0, **params)
    assert_array_equal(one.mean, two.mean)
    assert_array_equal(one.covariance, two.covariance)
    assert one.divergence == two.divergence
    other = fit_gaussian(p, random_state=1, **params)
    assert (one.mean != other.mean).any()
    assert np.isfinite(fit_gaussian(p, **params).divergence)
    assert same_states(global_states(), before)


def test_a_fit_is_frozen():
    fit = fit_gaussian(stats.norm())
    with pytest.raises(dataclasses.FrozenInstanceError):
        fit.divergence = 0.0


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["inclusive", "exclusive"])
def test_columns_in_units_far_from_one_another(direction):
    scale = np.array([1e-4, 1e6])
    covariance = np.array([[2.0, 0.5], [0.5, 1.0]]) * np.outer(scale, scale)
    target = GaussianMixtureEM.from_parameters([1.0], [3 * scale], [covariance])
    fit = fit_gaussian(target, direction, random_state=0)
    assert_allclose(fit.mean / scale, 3, atol=0.1)
    assert_allclose(fit.covariance / covariance, 1, atol=0.1)
    assert abs(fit.divergence) < 0.01


@pytest.mark.parametrize("nu", [1.2, 2])
def test_moments_of_draws_where_there_are_none(nu):
    target = stats.multivariate_t([0, 0], np.eye(2), nu)
    with pytest.raises(ValueError, match="tails of which the covariance is infinite"):
        fit_gaussian(target, random_state=0)
    assert fit_gaussian(stats.multivariate_t([0, 0], np.eye(2), 4), random_state=0)


@pytest.mark.slow
def test_a_target_far_from_zero():
    """As seconds since 1970: what is missed of its mass, times its mean, is far off."""
    target = stats.norm(1e9, 1)
    fit = fit_gaussian(target)
    assert abs(fit.mean - 1e9) < 1e-6
    assert_allclose(fit.covariance, 1, rtol=1e-8)
    assert abs(fit.divergence) < 1e-9
