"""Lognormal components, against SciPy, integrals and the Gaussians of log x."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.integrate import quad

from sklvm.mixture._mixture import MixtureParams
from sklvm.mixture._rows import Workspace
from sklvm.mixture.families.gaussian import GaussianComponents
from sklvm.mixture.families.lognormal import LognormalComponents

from .components import e_step, fit, log_prob
from .families import GAUSSIAN

MEANS = np.array([[0.0, 1.0], [1.5, -0.5]])
COVARIANCES = {
    "full": np.array([[[0.5, 0.3], [0.3, 0.4]], [[0.3, -0.1], [-0.1, 0.2]]]),
    "tied": np.array([[0.5, 0.3], [0.3, 0.4]]),
    "diag": np.array([[0.5, 0.4], [0.3, 0.2]]),
    "spherical": np.array([0.5, 0.2]),
}


def lognormal(kind, **kwargs):
    return LognormalComponents(2, covariance_type=kind, reg_covar=0, **kwargs)


def components_and_params(kind, **kwargs):
    components = lognormal(kind, **kwargs)
    values = {"means": MEANS, "covariances": COVARIANCES[kind]}
    return components, components.replaced((None,) * 3, values)


def matrices(components, params):
    covariance = components.gaussian.covariance
    return np.broadcast_to(covariance.matrices(params[1]), (2, 2, 2))


def rows(n, rng, missing=0.0):
    X = np.exp(rng.normal(size=(n, 2)) * [0.5, 0.8] + MEANS[rng.integers(2, size=n)])
    X[rng.random(X.shape) < missing] = np.nan
    X[0] = 1
    return X


@pytest.mark.parametrize("kind", ["diag", "spherical"])
def test_log_density_is_that_of_scipy(kind):
    components, params = components_and_params(kind)
    X = rows(50, np.random.default_rng(0))
    deviations = components.gaussian.covariance.deviations(params[1])
    for actual, mean, s in zip(
        log_prob(components, params, X), MEANS, deviations, strict=True
    ):
        expected = stats.lognorm.logpdf(X, s, scale=np.exp(mean)).sum(axis=1)
        assert_allclose(actual, expected, rtol=1e-11)


@pytest.mark.parametrize("kind", GAUSSIAN)
def test_densities_integrate_to_one(kind):
    """By the trapezoidal rule, on a grid that is dense where x is small."""
    components, params = components_and_params(kind, missing=True)
    x = np.exp(np.linspace(-6, 8, 281))
    width = x * (14 / 280)
    both = np.column_stack([np.repeat(x, len(x)), np.tile(x, len(x))])
    p = np.exp(log_prob(components, params, both))
    assert_allclose(p @ np.outer(width, width).ravel(), 1, rtol=1e-7)
    one = np.column_stack([x, np.full_like(x, np.nan)])
    assert_allclose(np.exp(log_prob(components, params, one)) @ width, 1, rtol=1e-7)


@pytest.mark.parametrize("kind", GAUSSIAN)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_jacobian_is_that_of_what_is_observed(kind, dtype):
    X = rows(40, np.random.default_rng(0), 0.3).astype(dtype)
    options = {"dtype": dtype, "missing": True}
    components, params = components_and_params(kind, **options)
    gaussian = GaussianComponents(2, covariance_type=kind, reg_covar=0, **options)
    expected = log_prob(gaussian, params, np.log(X)) - np.nansum(np.log(X), axis=1)
    actual = log_prob(components, params, X)
    assert_allclose(actual, expected, atol=1e-12 if dtype == np.float64 else 1e-4)
    nothing = np.full((1, 2), np.nan, dtype)
    assert_array_equal(log_prob(components, params, nothing), 0)


@pytest.mark.parametrize("kind", GAUSSIAN)
@pytest.mark.parametrize("missing", [False, True])
def test_there_is_no_density_at_zero_or_below(kind, missing):
    components, params = components_and_params(kind, missing=missing)
    X = np.array([[1.0, 0], [-2, 1], [1, 1]])
    assert_array_equal(np.isneginf(log_prob(components, params, X))[0], [1, 1, 0])


@pytest.mark.parametrize("kind", GAUSSIAN)
@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("accelerate", [False, True])
def test_the_fit_is_that_of_gaussians_to_the_logarithms(kind, missing, accelerate):
    X = rows(300, np.random.default_rng(0), missing)
    options = {"covariance_type": kind, "reg_covar": 0, "missing": missing > 0}
    kwargs = {"accelerate": accelerate, "n_iter": 30}
    mixture, run = fit(LognormalComponents(2, **options), X, 2, **kwargs)
    _, other = fit(GaussianComponents(2, **options), np.log(X), 2, **kwargs)
    assert np.diff(run.lower_bounds).min() >= -1e-10
    jacobian = np.nansum(np.log(X)) / len(X)
    assert_allclose(run.objective, other.objective - jacobian, rtol=1e-7)
    gaussian = GaussianComponents(2, **options)
    assert mixture.components.n_parameters(2) == gaussian.n_parameters(2)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(GAUSSIAN), st.booleans())
def test_the_bound_never_falls_on_few_rows(seed, kind, weighted):
    rng = np.random.default_rng(seed)
    X = rows(30, rng, 0.2)
    weight = rng.exponential(size=30) if weighted else None
    components = lognormal(kind, missing=True)
    _, run = fit(components, X, 2, n_iter=15, weight=weight)
    assert np.diff(run.lower_bounds).min(initial=0) >= -1e-9


@pytest.mark.parametrize("kind", GAUSSIAN)
def test_mean_and_samples(kind):
    components, params = components_and_params(kind)
    n = 50_000
    labels = np.repeat([1, 0], n)
    X = components.sample(params, labels, np.random.RandomState(0))
    variances = np.diagonal(matrices(components, params), axis1=1, axis2=2)
    assert_allclose(components.mean(params), np.exp(MEANS + variances / 2))
    for k in (0, 1):
        error = X[labels == k].mean(axis=0) - components.mean(params)[k]
        assert (abs(error) <= 5 * X[labels == k].std(axis=0) / np.sqrt(n)).all()
        scatter = np.cov(np.log(X[labels == k]).T) - matrices(components, params)[k]
        assert abs(scatter).max() <= 5 * np.sqrt(2 / n) * variances.max()


@pytest.mark.parametrize("kind", GAUSSIAN)
def test_fill_is_the_conditional_mean(kind):
    """E[x_1 | x_0] by an integral of the density of the mixture over x_1."""
    components, params = components_and_params(kind, missing=True)
    mixture, _ = fit(components, rows(30, np.random.default_rng(0)), 2, n_iter=1)
    step = e_step(mixture, MixtureParams(np.array([0.3, 0.7]), params))

    def moment(power):
        return quad(
            lambda y: y**power * np.exp(step.log_density(np.array([[2.0, y]]), w)[0]),
            0,
            np.inf,
            limit=200,
        )[0]

    w = Workspace()
    X = np.array([[2.0, np.nan], [np.nan, np.nan], [2.0, 3.0]])
    filled = step.filled(X, w)
    assert_allclose(filled[0, 1], moment(1) / moment(0), rtol=1e-6)
    assert_allclose(filled[1], [0.3, 0.7] @ components.mean(params))


@pytest.mark.parametrize("kind", GAUSSIAN)
def test_draws_are_those_of_the_logarithms(kind):
    components, params = components_and_params(kind, missing=True)
    X = rows(50, np.random.default_rng(0), 0.5)
    labels = np.arange(50) % 2
    drawn = components.draw(params, labels, X, np.random.RandomState(0))
    logs = components.gaussian.draw(params, labels, np.log(X), np.random.RandomState(0))
    assert_allclose(np.log(drawn), logs, rtol=1e-12, atol=1e-12)
    assert_array_equal(drawn[~np.isnan(X)], X[~np.isnan(X)])


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_an_infinite_mean_counts_where_its_component_has_weight(kind):
    """exp(300 + variance / 2) is beyond the largest float for a variance of 10,000."""
    components = lognormal(kind, missing=True)
    near = COVARIANCES[kind][0]
    values = {
        "means": np.array([[0.0, 1.0], [300.0, 300.0]]),
        "covariances": np.stack([near, near / near.max() * 1e4]),
    }
    params = components.replaced((None,) * 3, values)
    mixture, _ = fit(components, rows(30, np.random.default_rng(0)), 2, n_iter=1)
    step = e_step(mixture, MixtureParams(np.array([1 - 1e-9, 1e-9]), params))
    X = np.array([[1.0, np.nan], [1e300, np.nan], [np.nan, np.nan]])
    _, second, third = step.filled(X, Workspace())
    assert np.isinf(second[1]) and np.isinf(third).any()
    alone = e_step(mixture, MixtureParams(np.array([1.0, 0.0]), params))
    log_mean = {"full": 1 + (0.4 - 0.3**2 / 0.5) / 2, "diag": 1 + 0.4 / 2}[kind]
    assert_allclose(alone.filled(X, Workspace())[0, 1], np.exp(log_mean))
