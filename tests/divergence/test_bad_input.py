"""What the divergences refuse, and how they say so."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from sklvm import GaussianMixtureEM
from sklvm.divergence import (
    entropy_bernoulli,
    entropy_categorical,
    entropy_gaussian,
    fit_gaussian,
    kl,
    kl_bernoulli,
    kl_categorical,
    kl_gaussian,
)

EYE, ZERO = np.eye(2), np.zeros(2)
NORMAL = torch.distributions.Normal(0.0, 1.0)
SKEWED = np.array([[1.0, 0.5], [0.0, 1.0]])
INDEFINITE = np.array([[1.0, 2.0], [2.0, 1.0]])
BAD_COVARIANCES = {
    "not symmetric": SKEWED,
    "indefinite": INDEFINITE,
    "singular": np.ones((2, 2)),
    "nan": np.full((2, 2), np.nan),
    "infinite": np.full((2, 2), np.inf),
    "not square": np.ones((2, 3)),
    "too large": np.eye(3),
    "a vector": np.ones(2),
}


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_symmetry_is_judged_by_the_size_of_the_matrix(scale):
    """Of each matrix, and of each entry: units and neighbours do not matter."""
    units = np.diag([1e-6, 1e3])
    nearly = np.array([[1.0, 0.5], [0.5 + 1e-9, 1.0]])
    for other in (EYE, units @ EYE @ units):
        skewed = np.stack([1e30 * EYE, scale * other * 1.0])
        root = np.sqrt(np.diag(skewed[1]))
        skewed[1, 0, 1] = 0.5 * root[0] * root[1]
        with pytest.raises(ValueError, match=r"cov0 is not symmetric"):
            kl_gaussian(ZERO, skewed, ZERO, EYE)
        assert np.isfinite(kl_gaussian(ZERO, scale * nearly, ZERO, scale * EYE))


@pytest.mark.parametrize("cov", BAD_COVARIANCES.values(), ids=BAD_COVARIANCES)
def test_bad_covariances(cov):
    with pytest.raises(ValueError, match="cov0"):
        kl_gaussian(ZERO, cov, ZERO, EYE)
    with pytest.raises(ValueError, match="cov1"):
        kl_gaussian(ZERO, EYE, ZERO, cov)
    if np.shape(cov) != (3, 3):
        with pytest.raises(ValueError, match=r"\bcov\b"):
            entropy_gaussian(cov)


def test_one_bad_covariance_of_many():
    covs = np.stack([EYE, EYE, INDEFINITE])
    with pytest.raises(ValueError, match="cov0"):
        kl_gaussian(ZERO, covs, ZERO, EYE)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_bad_variances(value):
    with pytest.raises(ValueError, match="cov0"):
        kl_gaussian(ZERO, [1.0, value], ZERO, [1.0, 1.0], covariance_type="diag")
    with pytest.raises(ValueError, match="cov1"):
        kl_gaussian(ZERO, 1.0, ZERO, value, covariance_type="spherical")
    with pytest.raises(ValueError, match=r"\bcov\b"):
        entropy_gaussian([1.0, value], covariance_type="diag")
    with pytest.raises(ValueError, match=r"\bcov\b"):
        entropy_gaussian(value, covariance_type="spherical", n_features=2)


def test_bad_means():
    with pytest.raises(ValueError, match="mean0"):
        kl_gaussian([0.0, np.nan], EYE, ZERO, EYE)
    with pytest.raises(ValueError, match="mean1"):
        kl_gaussian(ZERO, EYE, [0.0, np.inf], EYE)
    with pytest.raises(ValueError, match="mean1"):
        kl_gaussian(ZERO, EYE, np.zeros(3), np.eye(3))
    with pytest.raises(ValueError, match="mean0"):
        kl_gaussian(0.0, EYE, ZERO, EYE)
    with pytest.raises(ValueError, match=r"mean|cov"):
        kl_gaussian(np.zeros((3, 2)), EYE, np.zeros((4, 2)), EYE)


def test_covariance_types():
    with pytest.raises(ValueError, match=r"covariance_type='tied'.*full"):
        kl_gaussian(ZERO, EYE, ZERO, EYE, covariance_type="tied")
    with pytest.raises(ValueError, match="covariance_type='tied'"):
        entropy_gaussian(EYE, covariance_type="tied")
    with pytest.raises(ValueError, match="n_features"):
        entropy_gaussian(1.0, covariance_type="spherical")
    with pytest.raises(ValueError, match="n_features"):
        entropy_gaussian(EYE, n_features=2)
    for value in (0, -1, 1.5):
        with pytest.raises(ValueError, match="n_features"):
            entropy_gaussian(1.0, covariance_type="spherical", n_features=value)


@pytest.mark.parametrize(
    "bad",
    [[0.5, 0.4], [0.5, 0.50001], [1.5, -0.5], [np.nan, 1.0], [[0.5, 0.5], [0.5, 0.6]]],
)
def test_bad_distributions(bad):
    half = [0.5, 0.5]
    with pytest.raises(ValueError, match=r"\bp\b"):
        kl_categorical(bad, half)
    with pytest.raises(ValueError, match=r"\bq\b"):
        kl_categorical(half, bad)
    with pytest.raises(ValueError, match=r"\bp\b"):
        entropy_categorical(bad)


def test_other_lengths():
    with pytest.raises(ValueError, match=r"\b[pq]\b"):
        kl_categorical([0.5, 0.5], [0.2, 0.3, 0.5])
    with pytest.raises(ValueError, match=r"\b[pq]\b"):
        kl_categorical(np.full((3, 2), 0.5), np.full((4, 2), 0.5))
    with pytest.raises(ValueError, match=r"\bp\b"):
        kl_categorical(1.0, [0.5, 0.5])
    with pytest.raises(ValueError, match=r"\b[pq]\b"):
        kl_bernoulli(np.full(3, 0.5), np.full(4, 0.5))


@pytest.mark.parametrize("bad", [-0.1, 1.1, np.nan])
def test_bad_probabilities(bad):
    with pytest.raises(ValueError, match=r"\bp\b"):
        kl_bernoulli([0.5, bad], 0.5)
    with pytest.raises(ValueError, match=r"\bq\b"):
        kl_bernoulli(0.5, [0.5, bad])
    with pytest.raises(ValueError, match=r"\bp\b"):
        entropy_bernoulli(bad)


def test_bad_logits():
    with pytest.raises(ValueError, match=r"\bp\b"):
        kl_categorical([np.nan, 0.0], [0.0, 0.0], from_logits=True)
    with pytest.raises(ValueError, match=r"\bp\b"):
        kl_categorical([-np.inf, -np.inf], [0.0, 0.0], from_logits=True)
    with pytest.raises(ValueError, match=r"\bq\b"):
        kl_bernoulli(0.0, np.nan, from_logits=True)


# kl and fit_gaussian.


class Mute:
    """Can be drawn from, but has no density."""

    def sample(self, n):
        return np.zeros((n, 1))


@pytest.mark.parametrize("bad", [Mute(), 3.0, np.zeros(3), "normal"])
def test_what_is_no_distribution(bad):
    with pytest.raises(TypeError, match=r"\bp="):
        kl(bad, NORMAL)
    with pytest.raises(TypeError, match=r"\bq="):
        kl(NORMAL, bad)
    with pytest.raises(TypeError, match=r"\btarget="):
        fit_gaussian(bad)


def test_batches_of_distributions():
    batch = torch.distributions.Normal(torch.zeros(3), torch.ones(3))
    for call in (
        lambda: kl(batch, NORMAL),
        lambda: kl(NORMAL, batch),
        lambda: fit_gaussian(batch),
    ):
        with pytest.raises(ValueError, match="Independent"):
            call()


@pytest.mark.parametrize("n", [2, 3, 1024])
def test_batches_of_scipy(n):
    many = stats.norm(np.arange(n), 1)
    with pytest.raises(ValueError, match=rf"q has .*shape \({n},\).*one of them"):
        kl(stats.norm(), many)
    kl(stats.norm([0.0], [1.0]), stats.norm())  # one in a list


@pytest.mark.parametrize("bare", [stats.gamma, stats.poisson, stats.dirichlet])
def test_distributions_without_parameters(bare):
    with pytest.raises(TypeError, match=r"p=\w+ of scipy.stats has no parameters; fre"):
        kl(bare, stats.norm())


def test_other_dimensions():
    plane = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
    space = torch.distributions.MultivariateNormal(torch.zeros(3), torch.eye(3))
    for p, q in ((plane, space), (NORMAL, plane), (plane, stats.norm())):
        with pytest.raises(ValueError, match="dimension"):
            kl(p, q)
        with pytest.raises(ValueError, match="dimension"):
            kl(p, q, method="monte_carlo")


def test_quadrature_where_there_is_none():
    plane = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
    for p in (plane, stats.poisson(3.0)):
        with pytest.raises(ValueError, match="quadrature"):
            kl(p, p, method="quadrature")


@pytest.mark.parametrize(
    "discrete", [stats.poisson(3), torch.distributions.Poisson(3.0)]
)
@pytest.mark.parametrize("continuous", [stats.norm(3, 2), NORMAL])
def test_probabilities_do_not_compare_with_densities(discrete, continuous):
    with pytest.raises(ValueError, match="p is discrete and q is continuous"):
        kl(discrete, continuous)
    with pytest.raises(ValueError, match="q is discrete and p is continuous"):
        kl(continuous, discrete)


def test_a_distribution_that_refuses_its_own_draws_says_why():
    class Broken(stats.rv_continuous):
        def _rvs(self, size=None, random_state=None):
            return random_state.normal(size=size)

        def _logpdf(self, x):
            raise ValueError("no logarithm today")

    with pytest.raises(ValueError, match="no logarithm today"):
        kl(Broken()(), stats.norm())


def test_a_discrete_target_has_no_nearest_gaussian():
    for direction in ("inclusive", "exclusive"):
        with pytest.raises(ValueError, match=r"target.*discrete"):
            fit_gaussian(stats.poisson(3.0), direction=direction)


def test_bad_parameters():
    with pytest.raises(ValueError, match="method='exact'"):
        kl(NORMAL, NORMAL, method="exact")
    with pytest.raises(ValueError, match="direction='both'"):
        fit_gaussian(NORMAL, direction="both")
    for value in (0, -5, 2.5, True, "many"):
        with pytest.raises(ValueError, match="n_samples"):
            kl(NORMAL, NORMAL, method="monte_carlo", n_samples=value)
        with pytest.raises(ValueError, match="n_samples"):
            fit_gaussian(NORMAL, n_samples=value)
        with pytest.raises(ValueError, match="n_init"):
            fit_gaussian(NORMAL, direction="exclusive", n_init=value)
    with pytest.raises(ValueError, match=r"random_state|seed"):
        kl(NORMAL, NORMAL, method="monte_carlo", random_state="today")


@pytest.mark.parametrize(
    "mean",
    [
        np.ma.array([0.0, 99.0], mask=[False, True]),
        np.array([0, 1], dtype="datetime64[s]"),
        np.array([0, 1j]),
        np.array([b"0", b"1"]),
    ],
)
def test_forms_of_which_numpy_takes_other_values(mean):
    with pytest.raises(ValueError, match=r"(?s)mean0.*; give "):
        kl_gaussian(mean, np.eye(2), np.zeros(2), np.eye(2))


LINE = stats.multivariate_normal([0, 0], [[1, 1], [1, 1]], allow_singular=True)
PLANE = stats.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]])


@pytest.mark.parametrize("other", [PLANE, GaussianMixtureEM(1).fit(PLANE.rvs(200, 0))])
def test_a_density_along_a_line_does_not_compare_with_one_of_the_plane(other):
    with pytest.raises(ValueError, match=r"p lies in 1 of 2 dimensions.*and q in 2"):
        kl(LINE, other)
    with pytest.raises(ValueError, match=r"q lies in 1 of 2 dimensions.*and p in 2"):
        kl(other, LINE)


def test_densities_along_the_same_line_do():
    # Along (1, 1) both are normal distributions, of the variances 2 and 4.
    twice = stats.multivariate_normal([0, 0], [[2, 2], [2, 2]], allow_singular=True)
    found = kl(LINE, twice, random_state=0)
    exact = (0.5 - 1 + np.log(2)) / 2
    assert abs(found.divergence - exact) < 5 * found.standard_error
    scales = stats.multivariate_normal([0, 0], [[1e3, 0], [0, 1e-3]])
    assert np.isfinite(kl(scales, PLANE).divergence)


def test_shares_of_categories_are_in_one_order():
    """value_counts has the most frequent category first."""
    p = pd.Series(list("aaab")).value_counts(normalize=True)
    q = pd.Series(list("abbb")).value_counts(normalize=True)
    for x, y in ((p, q), (p.to_frame().T, q.to_frame().T), (p, q.rename({"a": "c"}))):
        with pytest.raises(ValueError, match=r"q has the labels .* p, .*reindex"):
            kl_categorical(x, y)
    aligned = kl_categorical(p, q.reindex(p.index))
    assert aligned == pytest.approx(0.5 * np.log(3))
    assert kl_categorical(p, q.to_numpy()[::-1]) == aligned
    assert kl_categorical(p.reset_index(drop=True), q.reindex(p.index)) == aligned
    with pytest.raises(ValueError, match="q has the labels"):
        kl_bernoulli(p, q)


def test_moments_of_columns_are_in_one_order():
    frame = pd.DataFrame({"a": [0.0, 1.0, 3.0], "b": [2.0, -1.0, 0.5]})
    other = frame[["b", "a"]]
    moments = frame.mean(), frame.cov()
    assert kl_gaussian(*moments, *moments) == 0
    with pytest.raises(ValueError, match=r"mean1 has the labels .*another order"):
        kl_gaussian(*moments, other.mean(), other.cov())
    with pytest.raises(ValueError, match=r"cov1 has the labels .*another order"):
        kl_gaussian(*moments, frame.mean(), other.cov())


def test_models_of_tables_in_another_order():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 2)), columns=[*"ab"])
    p = GaussianMixtureEM(random_state=0).fit(frame)
    q = GaussianMixtureEM(random_state=0).fit(frame[["b", "a"]])
    with pytest.raises(ValueError, match=r"q was fitted to .*another order than p"):
        kl(p, q)


def test_a_generator_is_no_random_state():
    p = stats.multivariate_normal([0, 0])
    with pytest.raises(ValueError, match=r"random_state=Generator.*RandomState"):
        kl(p, p, random_state=np.random.default_rng(0))


def test_one_draw_says_nothing_of_its_error():
    p = stats.multivariate_normal([0, 0])
    assert np.isnan(kl(p, p, n_samples=1).standard_error)


class Unnormalised:
    """A normal density times a constant."""

    def __init__(self, log_mass, dimension=1):
        self.log_mass, self.dimension = log_mass, dimension

    def log_prob(self, X):
        return stats.norm.logpdf(X).sum(axis=1) + self.log_mass

    def sample(self, n):
        return np.random.default_rng(0).normal(size=(n, self.dimension))


def test_densities_that_are_not_normalised():
    with pytest.raises(ValueError, match=r"integrates to 2\.718, so .* not normalised"):
        kl(Unnormalised(1.0), stats.norm())
    with pytest.raises(ValueError, match=r"below 0, so that .* q is not normalised"):
        kl(stats.norm(), Unnormalised(1.0))
    plane = stats.multivariate_normal(ZERO, EYE)
    with pytest.raises(ValueError, match=r"below 0, so that .* q is not normalised"):
        kl(plane, Unnormalised(0.5, dimension=2), random_state=0)
    assert kl(plane, Unnormalised(0.0, dimension=2), random_state=0).divergence < 1e-9


def test_a_number_is_no_covariance():
    with pytest.raises(ValueError, match=r"shape \(\); give .* \(\.\.\., d, d\)"):
        entropy_gaussian(4.0)
