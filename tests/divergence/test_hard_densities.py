"""Densities that quadrature, or a search for optima, might get wrong unseen."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import stats
from torch import distributions
from torch.distributions import kl_divergence as torch_kl

from sklvm.divergence import fit_gaussian, kl


def mixture(weights, means, scales):
    weights, means, scales = (
        torch.tensor(values, dtype=torch.float64) for values in (weights, means, scales)
    )
    return distributions.MixtureSameFamily(
        distributions.Categorical(weights), distributions.Normal(means, scales)
    )


SPIKE = mixture([0.95, 0.05], [0.0, 50.0], [1.0, 1e-7])
# So narrow that no point of a search meets it, and so rare that no draw does.
UNSEEN = mixture([1 - 1e-6, 1e-6], [0.0, 50.0], [1.0, 1e-9])


def exact(weights, means, scales, q):
    """KL of a mixture of modes far apart, each over its own ten deviations."""
    p, total = mixture(weights, means, scales), 0.0
    for weight, mean, scale in zip(weights, means, scales, strict=True):
        x = mean + scale * np.linspace(-10, 10, 20001)
        log_ratio = p.log_prob(torch.tensor(x)).numpy() - q.logpdf(x)
        total += weight * np.trapezoid(stats.norm.pdf(x, mean, scale) * log_ratio, x)
    return total


@pytest.mark.slow
def test_mass_that_quadrature_misses_is_noticed():
    q = stats.norm(1, 2)
    singular = stats.gamma(0.05)
    assert kl(singular, q, random_state=0).method == "monte_carlo"
    with pytest.raises(ValueError, match="monte_carlo"):
        kl(singular, q, method="quadrature")
    with pytest.raises(ValueError, match=r"1 - 1e-06.*n_samples=10000.*monte_carlo"):
        kl(UNSEEN, q)
    assert kl(UNSEEN, q, method="monte_carlo", random_state=0).method == "monte_carlo"


@pytest.mark.slow
@pytest.mark.parametrize("weight", [0.05, 1e-3, 1e-6, 1e-8])
@pytest.mark.parametrize(
    "mean, scale", [(30.0, 0.01), (1e3, 0.01), (300.0, 1e-4), (-1e5, 1.0), (1e4, 1e-3)]
)
def test_rare_modes_that_are_narrow_and_far(weight, mean, scale):
    parts, q = ([1 - weight, weight], [0.0, mean], [1.0, scale]), stats.norm(0, 2)
    estimate = kl(mixture(*parts), q, random_state=0)
    assert estimate.method == "quadrature"
    assert_allclose(estimate.divergence, exact(*parts, q), rtol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("weight, scale", [(0.5, 1e-4), (1e-3, 1e-5), (0.1, 1e-7)])
def test_narrow_modes_of_q(weight, scale):
    q = mixture([1 - weight, weight], [0.0, 0.3], [1.0, scale])
    p = stats.norm()
    # Around the mode in its own scale, and further away in ever larger steps.
    further = np.geomspace(100, 12 / scale, 400_001)
    steps = np.concatenate([np.linspace(0, 100, 400_001), further[1:]])
    x = 0.3 + scale * np.concatenate([-steps[::-1], steps[1:]])
    values = p.pdf(x) * (p.logpdf(x) - q.log_prob(torch.tensor(x)).numpy())
    estimate = kl(p, q)
    assert_allclose(estimate.divergence, np.trapezoid(values, x), rtol=1e-6)


class LogOfSum:
    """A user's mixture, whose log density underflows."""

    def __init__(self, weight, mean, scale):
        self.parts = (1 - weight, weight), (0.0, mean), (1.0, scale)

    def log_prob(self, X):
        with np.errstate(divide="ignore"):
            parts = zip(*self.parts, strict=True)
            return np.log(sum(w * stats.norm.pdf(X[:, 0], m, s) for w, m, s in parts))

    def sample(self, n):
        rng = np.random.default_rng(0)
        k = (rng.random(n) < self.parts[0][1]).astype(int)
        draws = rng.normal(np.array(self.parts[1])[k], np.array(self.parts[2])[k])
        return draws[:, np.newaxis]


def test_a_log_density_that_underflows_where_nothing_is():
    q = LogOfSum(0.5, 2.0, 0.5)
    exact_q = mixture([0.5, 0.5], [0.0, 2.0], [1.0, 0.5])
    assert_allclose(
        kl(stats.norm(), q).divergence, kl(stats.norm(), exact_q).divergence, rtol=1e-9
    )


@pytest.mark.slow
def test_a_log_density_that_underflows_where_p_has_mass():
    q = LogOfSum(0.5, 2.0, 0.5)
    with pytest.raises(ValueError, match=r"q underflows.*log_prob"):
        kl(stats.norm(0, 12), q)


def test_what_underflows_is_told_from_what_ends():
    class Ends:
        def log_prob(self, X):
            return np.where(np.abs(X[:, 0]) < 12, -np.log(24), -np.inf)

        def sample(self, n):
            return np.random.default_rng(0).uniform(-12, 12, (n, 1))

    # 1e-33 of the mass lies beyond.
    assert kl(stats.norm(), Ends()).divergence == np.inf
    assert kl(stats.norm(), stats.uniform(-12, 24)).divergence == np.inf
    assert np.isfinite(kl(stats.norm(), stats.truncnorm(-50, 50)).divergence)


@pytest.mark.slow
def test_modes_of_a_log_density_that_underflows():
    p, q = LogOfSum(1e-4, 1e3, 0.01), stats.norm(0, 30)
    expected = exact([1 - 1e-4, 1e-4], [0.0, 1e3], [1.0, 0.01], q)
    assert_allclose(kl(p, q, random_state=0).divergence, expected, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("start", [0.0, 5.0, 100.0])
def test_densities_that_are_infinite_at_an_end(start):
    """An end that is not 0 has few floats near it, which the error knows."""
    p, q = stats.beta(0.5, 0.5, start, 1), stats.beta(0.6, 0.7, start, 1)
    estimate = kl(p, q, random_state=0)
    expected = torch_kl(
        distributions.Beta(*np.array([0.5, 0.5])), distributions.Beta(0.6, 0.7)
    )
    assert estimate.method == "quadrature"
    assert abs(estimate.divergence - float(expected)) < 1e-5
    assert abs(estimate.divergence - float(expected)) < 10 * estimate.standard_error
    assert kl(q, p).divergence == pytest.approx(
        kl(stats.beta(0.6, 0.7), stats.beta(0.5, 0.5)).divergence, abs=1e-5
    )


@pytest.mark.slow
def test_draws_on_which_a_density_is_infinite():
    with pytest.raises(ValueError, match=r"p is infinite at.*logarithm"):
        kl(stats.beta(1e-3, 1), stats.beta(2e-3, 1), random_state=0)


@pytest.mark.slow
def test_moments_where_quadrature_misses_mass():
    fit = fit_gaussian(SPIKE, n_samples=100_000, random_state=0)
    deviation = np.sqrt(0.95 + 0.95 * 0.05 * 50**2)
    assert abs(fit.mean[0] - 2.5) < 5 * deviation / np.sqrt(100_000)


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_narrow_optimum_is_kept():
    p = mixture([0.3, 0.3, 0.4], [-10.0, 0.0, 10.0], [1.0, 0.1, 2.0])
    optima = fit_gaussian(p, "exclusive", random_state=0).optima
    modes = sorted((q.mean[0], q.covariance[0, 0]) for q in optima)
    assert_allclose(modes, [(-10, 1), (0, 0.01), (10, 4)], rtol=1e-2, atol=1e-2)


@pytest.mark.slow
def test_optima_of_one_mean_and_two_scales():
    p = mixture([0.5, 0.5], [0.0, 0.0], [1.0, 0.01])
    wide, narrow = fit_gaussian(p, "exclusive", random_state=0).optima
    assert wide.covariance[0, 0] > 0.5
    assert narrow.covariance[0, 0] < 1e-3
    assert wide.divergence < narrow.divergence


@pytest.mark.slow
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


def test_underflows_that_are_errors_elsewhere():
    """A density far out is 0, whatever np.seterr says."""
    with np.errstate(all="raise"):
        assert abs(kl(stats.norm(), stats.norm(1)).divergence - 0.5) < 1e-9
