"""Divergences that are infinite by a tail, against those that are barely finite."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from sklvm import BernoulliMixtureEM, GaussianMixtureEM
from sklvm.divergence import kl
from sklvm.divergence._tails import tail_shape

from ..networks import needs_torch

NORMAL = stats.norm(0.3, 1.4)

# E_p[-log q] is infinite where the moment is that q's exponent asks for: p falls as
# x^-(1 + b), and -log q rises as x^m with m >= b.
INFINITE = {
    "cauchy, normal": (stats.cauchy(), NORMAL),
    "cauchy far away, normal": (stats.cauchy(1e6, 3), NORMAL),
    "narrow cauchy, normal": (stats.cauchy(5, 1e-8), NORMAL),
    "t 1.5, normal": (stats.t(1.5), NORMAL),
    "t 2, normal": (stats.t(2), NORMAL),
    "levy, normal": (stats.levy(), NORMAL),
    "mirrored levy, normal": (stats.levy_l(), NORMAL),
    "pareto 1, exponential": (stats.pareto(1), stats.expon()),
    "pareto 0.7, exponential": (stats.pareto(0.7), stats.expon()),
    "t 3, gennorm 4": (stats.t(3), stats.gennorm(4)),
    "zipf 2, geometric": (stats.zipf(2), stats.geom(0.3)),
}


@pytest.mark.parametrize("name", INFINITE)
def test_too_heavy_a_tail_is_infinite(name):
    p, q = INFINITE[name]
    for method in ("auto", "monte_carlo"):
        estimate = kl(p, q, method=method, random_state=0)
        assert estimate.divergence == np.inf
        assert np.isnan(estimate.standard_error)


@pytest.mark.parametrize("nu", [2.001, 2.1, 2.5, 3, 4, 10])
def test_student_against_normal_in_closed_form(nu):
    """E[x^2] is nu / (nu - 2), which exists above 2."""
    p = stats.t(nu)
    second = nu / (nu - 2) + 0.3**2
    cross = 0.5 * np.log(2 * np.pi * 1.4**2) + second / (2 * 1.4**2)
    estimate = kl(p, NORMAL)
    assert_allclose(estimate.divergence, cross - p.entropy(), rtol=1e-9)
    assert estimate.standard_error < 1e-6 * estimate.divergence


@pytest.mark.slow
def test_other_tails_that_are_barely_light_enough():
    # E[x] of a Pareto distribution is b / (b - 1).
    for b in (1.5, 2):
        p = stats.pareto(b)
        expected = b / (b - 1) - p.entropy()
        assert_allclose(kl(p, stats.expon()).divergence, expected, rtol=1e-7)
    # Cauchy distributions of each other (Chyzak and Nielsen, 2019).
    p, q = stats.cauchy(0, 1), stats.cauchy(3, 2)
    assert_allclose(kl(p, q).divergence, np.log((3**2 + 3**2) / (4 * 2)), rtol=1e-9)
    # All moments of a log-normal distribution exist: E[x^2] = exp(2 s^2).
    p = stats.lognorm(2)
    expected = 0.5 * np.log(2 * np.pi) + np.exp(8) / 2 - p.entropy()
    assert_allclose(kl(p, stats.norm()).divergence, expected, rtol=1e-8)


def test_a_quadrature_that_has_not_converged_is_told():
    """The divergence is 19, of which half lies beyond what it reaches."""
    with pytest.warns(UserWarning, match="not converged"):
        estimate = kl(stats.pareto(1.05), stats.expon())
    assert np.isinf(estimate.standard_error)
    assert np.isfinite(estimate.divergence)


def test_overflows_of_a_density_are_no_divergence():
    """exp(-x) of the Gumbel density overflows where the density is 0."""
    p = stats.gumbel_r()
    second = np.pi**2 / 6 + np.euler_gamma**2
    expected = 0.5 * np.log(2 * np.pi) + second / 2 - p.entropy()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        estimate = kl(p, stats.norm())
    assert_allclose(estimate.divergence, expected, rtol=1e-9)
    assert estimate.standard_error < 1e-9


@pytest.mark.slow
def test_a_fitted_mixture_has_the_tail_of_its_components():
    X = np.random.default_rng(0).normal(size=(200, 1))
    q = GaussianMixtureEM(2, random_state=0).fit(X)
    assert kl(stats.cauchy(), q).divergence == np.inf
    assert np.isfinite(kl(stats.t(4), q).divergence)
    assert np.isfinite(kl(q, stats.cauchy()).divergence)


@pytest.mark.slow
@needs_torch
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distributions_of_torch(dtype):
    import torch

    zero, one = torch.tensor([0, 1], dtype=getattr(torch, dtype))
    normal = torch.distributions.Normal(zero, one)
    assert kl(torch.distributions.Cauchy(zero, one), normal).divergence == np.inf
    for p in (torch.distributions.StudentT(3 * one), torch.distributions.Laplace(0, 1)):
        assert np.isfinite(kl(p, normal).divergence)


@pytest.mark.parametrize("df", [1, 2, 5])
def test_rays_in_several_dimensions(df):
    p = stats.multivariate_t(np.ones(3), np.diag([1, 4, 9]), df=df)
    q = stats.multivariate_normal(np.zeros(3), 9 * np.eye(3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimate = kl(p, q, random_state=0)
    assert (estimate.divergence == np.inf) == (df <= 2)


class OneHeavyAxis:
    """A Cauchy distribution beside a normal one: only along one axis is p heavy."""

    def log_prob(self, X):
        return stats.cauchy.logpdf(X[:, 0]) + stats.norm.logpdf(X[:, 1])

    def sample(self, n):
        rng = np.random.default_rng(0)
        return np.column_stack([rng.standard_cauchy(n), rng.normal(size=n)])


def test_few_draws_that_decide_a_mean_are_told():
    q = stats.multivariate_normal(np.zeros(2))
    with pytest.warns(UserWarning, match="few of them decide its mean"):
        kl(OneHeavyAxis(), q)
    p = stats.multivariate_normal(np.ones(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kl(p, q, random_state=0)


@pytest.mark.parametrize("b", [0.5, 1, 2])
def test_the_shape_of_a_pareto_tail(b):
    """Hill's estimator errs by b^-1 / sqrt(m) for the m largest."""
    x = stats.pareto(b).rvs(200_000, random_state=0)
    m = int(3 * np.sqrt(len(x)))
    assert abs(tail_shape(x) * b - 1) < 4 / np.sqrt(m) + 0.05
    assert np.isnan(tail_shape(x[:100]))


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (stats.poisson(1), stats.binom(10, 0.1)),  # 1 in 100 million is above 10
        (stats.binom(50, 0.3), stats.binom(40, 0.3)),
        (stats.nbinom(9, 0.1, loc=-3), stats.poisson(80)),
    ],
)
def test_counts_that_q_excludes_and_draws_do_not_show(p, q):
    estimate = kl(p, q, random_state=0)
    assert estimate.divergence == np.inf
    assert np.isnan(estimate.standard_error)


def test_ends_of_counts_beyond_which_p_has_none():
    p, q = stats.bernoulli(0), stats.binom(1, 0.5)
    assert kl(p, q).divergence == pytest.approx(np.log(2))
    assert kl(stats.binom(5, 0.3), stats.binom(40, 0.3)).divergence < np.inf
    # Models of bits read any number above 0 as 1.
    bits = BernoulliMixtureEM().fit([[0], [1], [1]])
    assert kl(bits, stats.bernoulli(2 / 3), random_state=0).divergence < 1e-6
