"""KL of any two distributions, by quadrature and by Monte Carlo."""

import copy
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import i0e, i1e
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from torch.distributions import (
    Beta,
    Categorical,
    Dirichlet,
    Exponential,
    Gamma,
    Independent,
    Laplace,
    MultivariateNormal,
    Normal,
    Poisson,
    Uniform,
    VonMises,
)
from torch.distributions import kl_divergence as torch_kl

from sklvm import (
    BernoulliMixtureEM,
    CategoricalMixtureEM,
    GaussianMixtureEM,
    MixtureEM,
    PoissonMixtureEM,
)
from sklvm.divergence import KLEstimate, kl, kl_gaussian

from ..autoencoder.models import frozen, random_linear, standard_normal
from ..mixture.families import blobs
from .objects import (
    COV0,
    COV1,
    MEAN0,
    MEAN1,
    Scaled,
    float64,
    in_the_plane,
    kl_integral,
    log_density,
    mixture,
    within,
)

quick = settings(max_examples=4, deadline=None, derandomize=True)
EXACT = kl_gaussian(MEAN0, COV0, MEAN1, COV1)


# In one dimension.

ON_THE_LINE = {
    "normal": (Normal, (0.3, 0.5), (-1.0, 2.0)),
    "narrow": (Normal, (50.0, 1e-3), (49.999, 2e-3)),
    "far": (Normal, (-30.0, 1.0), (30.0, 2.0)),
    "laplace": (Laplace, (1.0, 2.0), (0.0, 1.0)),
    "gamma": (Gamma, (2.0, 1.0), (3.0, 2.0)),
    "exponential": (Exponential, (2.0,), (0.5,)),
    "beta": (Beta, (2.0, 3.0), (4.0, 1.5)),
    "uniform": (Uniform, (0.0, 1.0), (-1.0, 2.0)),
}


@pytest.mark.parametrize("family, one, two", ON_THE_LINE.values(), ids=ON_THE_LINE)
def test_quadrature_against_closed_forms(family, one, two):
    p, q = (family(*map(float64, parameters)) for parameters in (one, two))
    exact = torch_kl(p, q).item()
    estimate = kl(p, q)
    assert isinstance(estimate, KLEstimate)
    assert estimate.method == "quadrature"
    assert type(estimate.divergence) is float
    assert estimate.divergence == pytest.approx(exact, rel=1e-7, abs=1e-8)
    assert 0 <= estimate.standard_error < 1e-3 * max(1, exact)
    drawn = kl(p, q, method="monte_carlo", random_state=0)
    assert drawn.method == "monte_carlo"
    # No error where log p - log q is a constant, as for uniforms.
    error = drawn.standard_error
    assert abs(drawn.divergence - exact) < 5 * error + 1e-9 * max(1, exact)


def test_scipy_distributions():
    p, q = stats.norm(0.3, 0.5), stats.norm(-1, 2)
    exact = kl_gaussian([0.3], [[0.25]], [-1.0], [[4.0]])
    assert kl(p, q).divergence == pytest.approx(exact, rel=1e-8)
    heavy, light = stats.t(3), stats.norm(0, 1)
    exact = kl_integral(light.logpdf, heavy.logpdf, -12, 12)
    assert kl(light, heavy).divergence == pytest.approx(exact, rel=1e-7)


@pytest.mark.slow
@quick
@given(st.integers(0, 2**32 - 1))
def test_mixtures_on_the_line_against_an_integral(seed):
    rng = np.random.default_rng(seed)
    parts = [
        (rng.dirichlet(np.ones(3)), rng.normal(size=3) * 3, rng.uniform(0.3, 2, 3))
        for _ in range(2)
    ]
    log_p, log_q = (log_density(*part) for part in parts)
    exact = kl_integral(log_p, log_q, -30, 30, parts[0][1])
    p, q = (mixture(*part) for part in parts)
    assert exact >= 0
    assert kl(p, q).divergence == pytest.approx(exact, rel=1e-6, abs=1e-8)
    assert kl(p, p).divergence == pytest.approx(0, abs=1e-9)


@pytest.mark.slow
def test_modes_far_apart_and_narrow():
    """A rule that looks at the middle only would see nothing there."""
    parts = [0.25, 0.75], [-100.0, 100.0], [0.1, 0.1]
    p, q = mixture(*parts), Normal(float64(50), float64(90))
    log_p, log_q = log_density(*parts), log_density([1.0], [50.0], [90.0])
    exact = sum(kl_integral(log_p, log_q, m - 1, m + 1, [m]) for m in (-100, 100))
    assert kl(p, q).divergence == pytest.approx(exact, rel=1e-6)


def test_where_q_has_no_density():
    small, large = Uniform(float64(0), float64(1)), Uniform(float64(0), float64(2))
    assert kl(small, large).divergence == pytest.approx(np.log(2), rel=1e-6)
    assert kl(large, small).divergence == np.inf
    assert kl(large, small, method="monte_carlo", random_state=0).divergence == np.inf
    assert kl(stats.norm(), stats.expon()).divergence == np.inf
    seldom = kl(stats.poisson(3.0), stats.binom(2, 0.5), random_state=0)
    assert seldom.divergence == np.inf


@pytest.mark.slow
def test_any_two_origins_meet():
    """torch, SciPy, scikit-learn, the package and the user's own: one normal each."""
    X = np.random.default_rng(0).normal(0.5, 1.5, size=(300, 1))
    mean, variance = X.mean(), X.var()
    origins = [
        Normal(float64(mean), float64(np.sqrt(variance))),
        MultivariateNormal(float64([mean]), float64([[variance]])),
        Independent(Normal(float64([mean]), float64([np.sqrt(variance)])), 1),
        stats.norm(mean, np.sqrt(variance)),
        GaussianMixtureEM(reg_covar=0).fit(X),
        GaussianMixture(reg_covar=0).fit(X),
        Scaled([mean], np.sqrt(variance)),
    ]
    for p, q in zip(origins[::2], [*origins[1::2], origins[0]], strict=True):
        estimate = kl(p, q)
        assert estimate.method == "quadrature"
        assert estimate.divergence == pytest.approx(0, abs=1e-8)
    target = stats.norm(1.0, 1.0)
    exact = kl_gaussian([mean], [[variance]], [1.0], [[1.0]])
    for p in origins:
        assert kl(p, target).divergence == pytest.approx(exact, rel=1e-6)
        assert within(kl(p, target, method="monte_carlo", random_state=0), exact)


# In more dimensions, and of discrete ones.


@pytest.mark.parametrize("name", ["torch", "scipy", "sklvm", "sklearn", "user"])
def test_monte_carlo_in_the_plane(name):
    p, mean, cov = in_the_plane()[name]
    for q in (
        stats.multivariate_normal(MEAN1, COV1),
        MultivariateNormal(float64(MEAN1), float64(COV1)),
    ):
        estimate = kl(p, q, random_state=0)
        assert estimate.method == "monte_carlo"
        assert within(estimate, kl_gaussian(mean, cov, MEAN1, COV1))


def test_the_standard_error_is_that_of_the_mean():
    """Over 200 seeds the estimates vary as they say, around the truth."""
    p = stats.multivariate_normal(MEAN0, COV0)
    q = stats.multivariate_normal(MEAN1, COV1)
    runs = [kl(p, q, n_samples=400, random_state=seed) for seed in range(200)]
    values = np.array([run.divergence for run in runs])
    errors = np.array([run.standard_error for run in runs])
    # The deviation of 200 values is known to 5 per cent.
    assert values.std() == pytest.approx(errors.mean(), rel=0.25)
    assert abs(values.mean() - EXACT) < 4.5 * errors.mean() / np.sqrt(200)
    many = kl(p, q, n_samples=40_000, random_state=0)
    assert many.standard_error == pytest.approx(errors.mean() / 10, rel=0.1)


def test_equal_ones_have_no_divergence():
    p = MultivariateNormal(float64(MEAN0), float64(COV0))
    estimate = kl(p, copy.deepcopy(p), random_state=0)
    assert estimate.divergence == pytest.approx(0, abs=1e-12)
    assert estimate.standard_error == pytest.approx(0, abs=1e-12)


def test_discrete_distributions():
    exact = 3 * np.log(3 / 2) - 1
    for p, q in (
        (stats.poisson(3.0), stats.poisson(2.0)),
        (Poisson(float64(3)), Poisson(float64(2))),
        (Poisson(float64(3)), stats.poisson(2.0)),
    ):
        estimate = kl(p, q, random_state=0)
        assert estimate.method == "monte_carlo"
        assert within(estimate, exact)
    p, q = Categorical(float64([0.2, 0.5, 0.3])), Categorical(float64([0.4, 0.4, 0.2]))
    assert within(kl(p, q, random_state=0), torch_kl(p, q).item())


needs_random_variables = pytest.mark.skipif(
    not hasattr(stats, "make_distribution"), reason="of SciPy from 1.15 on"
)


@pytest.mark.slow
@needs_random_variables
def test_random_variables_of_scipy():
    p, q = stats.Normal(mu=0, sigma=1), stats.Normal(mu=1, sigma=2)
    expected = kl(stats.norm(0, 1), stats.norm(1, 2)).divergence
    assert kl(p, q).divergence == pytest.approx(expected, abs=1e-9)
    assert kl(p, stats.norm(1, 2)).divergence == pytest.approx(expected, abs=1e-9)
    # Of the half of a normal distribution: log 2.
    half = stats.truncate(p, lb=0.0)
    assert kl(half, p).divergence == pytest.approx(np.log(2), abs=1e-6)
    assert kl(p, half).divergence == np.inf


@needs_random_variables
def test_discrete_random_variables_of_scipy():
    p, q = (stats.make_distribution(stats.poisson)(mu=mu) for mu in (3.0, 5.0))
    estimate = kl(p, q, random_state=0)
    assert estimate.method == "monte_carlo"
    expected = 3 * np.log(3 / 5) + 2
    assert abs(estimate.divergence - expected) < 4 * estimate.standard_error
    with pytest.raises(ValueError, match="p is discrete and q is continuous"):
        kl(p, stats.Normal(mu=0, sigma=1))


def test_those_of_scipy_that_want_draws_in_columns():
    """Beside torch's closed form, and that of Wishart distributions of one nu."""
    for a, b in (([1.0, 2.0, 3.0], [2.0] * 3), ([0.3, 0.8], [1.0, 3.0])):
        exact = torch_kl(Dirichlet(float64(a)), Dirichlet(float64(b))).item()
        estimate = kl(stats.dirichlet(a), stats.dirichlet(b), random_state=0)
        assert within(estimate, exact)
    nu, ratio = 5, np.linalg.solve(COV1, COV0)
    exact = nu / 2 * (np.trace(ratio) - 2 - np.log(np.linalg.det(ratio)))
    p, q = stats.wishart(nu, COV0), stats.wishart(nu, COV1)
    assert within(kl(p, q, random_state=0), exact)


def test_one_of_scipy_that_wants_integers():
    p = stats.multivariate_hypergeom([10, 20], 2)
    q = stats.multivariate_hypergeom([20, 10], 2)
    X = [[0, 2], [1, 1], [2, 0]]
    exact = p.pmf(X) @ (p.logpmf(X) - q.logpmf(X))
    assert within(kl(p, q, random_state=0), exact)


@pytest.mark.parametrize("n_features", [1, 3])
def test_mixtures_of_bits_are_discrete_even_in_one_dimension(n_features):
    X = blobs(200, n_features=n_features)
    p = BernoulliMixtureEM(n_components=2, random_state=0).fit(X)
    q = BernoulliMixtureEM(theta_init=[[0.3] * n_features], max_iter=0).fit(X)
    bits = np.array(list(itertools.product([0.0, 1.0], repeat=n_features)))
    log_p, log_q = p.score_samples(bits), q.score_samples(bits)
    assert np.exp(log_p).sum() == pytest.approx(1, abs=1e-9)
    exact = np.exp(log_p) @ (log_p - log_q)
    estimate = kl(p, q, random_state=0)
    assert estimate.method == "monte_carlo"
    assert within(estimate, exact)
    with pytest.raises(ValueError, match="quadrature"):
        kl(p, q, method="quadrature")


def test_kernel_densities():
    """sample returns X alone; the density of one row is a mixture of one."""
    rows = np.array([[0.0, 0.0]])
    p = KernelDensity(bandwidth=0.5).fit(rows)
    q = stats.multivariate_normal(MEAN1, COV1)
    exact = kl_gaussian([0, 0], 0.25 * np.eye(2), MEAN1, COV1)
    assert within(kl(p, q, random_state=0), exact)
    line = kl(KernelDensity(bandwidth=0.5).fit(rows[:, :1]), stats.norm(1, 1))
    assert line.method == "quadrature"
    assert line.divergence == pytest.approx(
        kl_gaussian([0], [[0.25]], [1], [[1]]), rel=1e-6
    )


def test_autoencoders():
    """The linear VAE is a Gaussian; its score is the bound, tight enough or not."""
    X = standard_normal(50)
    vae = frozen(X, *random_linear(), noise=1.0, n_score_draws=4)
    estimate = kl(vae, vae, n_samples=500, random_state=0)
    assert estimate.method == "monte_carlo"
    assert estimate.divergence == 0
    other = stats.multivariate_normal(np.zeros(4), np.eye(4))
    estimate = kl(other, vae, n_samples=4000, random_state=0)
    rows = other.rvs(20_000, random_state=1)
    gap = other.logpdf(rows) - vae.score_samples(rows)
    error = np.hypot(estimate.standard_error, gap.std() / np.sqrt(len(gap)))
    assert abs(estimate.divergence - gap.mean()) < 5 * error


def lognormal_rows():
    return np.exp(np.random.default_rng(0).normal(0.3, 0.8, (400, 1)))


def as_lognormal():
    mu, sigma = np.log(lognormal_rows()).mean(), np.log(lognormal_rows()).std()
    return stats.lognorm(sigma, scale=np.exp(mu))


@pytest.mark.slow
def test_values_that_one_of_two_mixtures_excludes():
    X = lognormal_rows()
    log_normal = MixtureEM(components=[("lognormal", [0])]).fit(X)
    normal = GaussianMixtureEM(reg_covar=0).fit(X)
    as_normal = stats.norm(X.mean(), X.std())
    expected = kl(as_lognormal(), as_normal).divergence
    assert kl(log_normal, normal).divergence == pytest.approx(expected, rel=1e-6)
    for q in (log_normal, as_lognormal()):
        assert kl(normal, q).divergence == np.inf
        assert kl(as_normal, q).divergence == np.inf


def test_codes_and_counts_that_another_mixture_does_not_have():
    X = np.random.default_rng(0).integers(0, 3, (300, 1))
    few = np.minimum(X, 1)
    p, q = CategoricalMixtureEM().fit(X), CategoricalMixtureEM().fit(few)
    assert kl(p, q).divergence == np.inf


def test_probabilities_do_not_compare_with_densities():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=300), rng.integers(0, 3, 300)])
    kinds = {"gaussian": [0, 1]}, {"gaussian": [0], "poisson": [1]}
    p, q = (MixtureEM(components=list(k.items())).fit(X) for k in kinds)
    for one, other in ((p, q), (GaussianMixtureEM().fit(X), q)):
        with pytest.raises(ValueError, match="q is discrete in the column 1 and p is"):
            kl(one, other)
    assert kl(q, q, n_samples=100, random_state=0).divergence == 0
    counts = PoissonMixtureEM().fit(X[:, [1]])
    for other in (GaussianMixtureEM().fit(X[:, [1]]), stats.norm(1, 1)):
        with pytest.raises(ValueError, match="p is discrete and q is continuous"):
            kl(counts, other)
    assert kl(counts, stats.poisson(1.5), random_state=0).divergence < 1


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_mixtures_of_a_frame_are_asked_by_its_names():
    X = pd.DataFrame(lognormal_rows(), columns=["price"])
    p, q = (MixtureEM(components=[("lognormal", "price")]).fit(X * s) for s in (1, 2))
    sigma = np.log(X.to_numpy()).std()
    expected = (np.log(2) / sigma) ** 2 / 2
    assert kl(p, q).divergence == pytest.approx(expected, rel=1e-6)


def test_text_is_an_error_with_the_way_out():
    X = pd.DataFrame({"word": ["a", "b"] * 50, "size": np.arange(100) % 7 / 3})
    model = MixtureEM(2, random_state=0).fit(X)
    with pytest.raises(TypeError, match=r"text or categories.*p.sample\(n\)\[0\]"):
        kl(model, model)


@pytest.mark.slow
@pytest.mark.parametrize("of_torch", [False, True])
def test_angles_are_of_one_turn(of_torch):
    """Beside the closed form of two von Mises distributions of one direction."""
    one, two = 2.0, 0.7
    mean_cosine = i1e(one) / i0e(one)
    exact = (one - two) * (mean_cosine - 1) + np.log(i0e(two) / i0e(one))
    if of_torch:
        p, q = (VonMises(float64(1), float64(kappa)) for kappa in (one, two))
    else:
        p, q = (stats.vonmises(kappa, loc=1) for kappa in (one, two))
    estimate = kl(p, q)
    assert estimate.method == "quadrature"
    assert estimate.divergence == pytest.approx(exact, abs=1e-7)
    wide = stats.norm(0, 2)
    assert kl(p, wide).divergence < 1
    assert kl(wide, p).divergence == np.inf
