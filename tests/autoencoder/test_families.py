"""Each likelihood by itself: scipy's densities, sums, gradients, starts, draws."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.integrate import quad
from scipy.special import expit, gammaln, softmax

from sklvm.autoencoder import (
    Bernoulli,
    Blocks,
    Categorical,
    Gaussian,
    HeteroscedasticGaussian,
    LogNormal,
    NegativeBinomial,
    Poisson,
)
from sklvm.autoencoder.likelihoods._standardised import Standardised

COUNTS = np.array([0, 1, 7, 8, 9, 1e3, 1e6])
RATES = 10.0 ** np.arange(-6, 7)
SIZES = 10.0 ** np.arange(-3, 7)
N_DRAWS = 20000


def tensor(values, dtype=torch.float32):
    return torch.as_tensor(np.asarray(values), dtype=dtype)


def array(values):
    return values.detach().double().numpy()


def assert_as_float32(actual, expected, slack=0.0):
    error = np.abs(array(actual) - expected)
    assert (error <= 1e-3 + 1e-5 * np.abs(expected) + slack).all(), error.max()


def unit_of_a_logarithm(x, rate):
    """What float32's step between logarithms near 14 makes of log p."""
    return 1e-6 * np.abs(x - rate)


def negative_binomial_logpmf(x, rate, size):
    """As scipy's, which loses the digits of 1 - p where p is near 1."""
    log_p = np.log(rate) - np.log(rate + size)
    combinations = gammaln(x + size) - gammaln(size) - gammaln(x + 1)
    return combinations - size * np.log1p(rate / size) + x * log_p


def negative_binomial(size):
    family = NegativeBinomial()
    family.log_size = torch.nn.Parameter(tensor(np.log(size)))
    return family


def learned(sd):
    family = Gaussian("learned")
    family.log_noise = torch.nn.Parameter(tensor(np.log(sd)))
    return family


def started(family, X):
    family.start(np.asarray(X, dtype=np.float32))
    return family


rng = np.random.default_rng(0)
POSITIVE = rng.lognormal([1.0, -2.0], [0.5, 1.5], size=(300, 2))
REAL = rng.normal([5.0, -300.0], [2.0, 0.1], size=(300, 2))
SMALL = rng.poisson([0.4, 12.0], size=(300, 2)) * 1.0
WIDE = rng.negative_binomial([0.5, 3], [0.2, 0.05], size=(300, 2)) * 1.0
CODES = np.column_stack([rng.integers(3, size=300), rng.integers(2, size=300)]) * 1.0
BITS = (rng.random((300, 2)) < [0.2, 0.7]) * 1.0
LOGITS = np.array([0.5, -1.0, 0.2, 1.5, -0.3])

# Two features each: the family, data, outputs, and the distribution of each feature.
CASES = {
    "gaussian": (
        lambda: Gaussian(0.7),
        REAL,
        [0.5, -1.0],
        [stats.norm(0.5, 0.7), stats.norm(-1, 0.7)],
    ),
    "gaussian by column": (
        lambda: learned([0.7, 2.0]),
        REAL,
        [0.5, -1.0],
        [stats.norm(0.5, 0.7), stats.norm(-1, 2)],
    ),
    "heteroscedastic": (
        HeteroscedasticGaussian,
        REAL,
        [0.5, -1.0, -0.7, 0.4],
        [stats.norm(0.5, np.exp(-0.7)), stats.norm(-1, np.exp(0.4))],
    ),
    "bernoulli": (
        Bernoulli,
        BITS,
        [0.5, -1.0],
        [stats.bernoulli(expit(0.5)), stats.bernoulli(expit(-1))],
    ),
    "categorical": (
        lambda: Categorical([3, 2]),
        CODES,
        LOGITS,
        [
            stats.rv_discrete(values=(range(3), softmax(LOGITS[:3]))),
            stats.rv_discrete(values=(range(2), softmax(LOGITS[3:]))),
        ],
    ),
    "poisson": (
        Poisson,
        SMALL,
        [0.5, 3.0],
        [stats.poisson(np.exp(0.5)), stats.poisson(np.exp(3))],
    ),
    "negative binomial": (
        lambda: negative_binomial([0.5, 20.0]),
        WIDE,
        [0.5, 3.0],
        [
            stats.nbinom(0.5, 0.5 / (0.5 + np.exp(0.5))),
            stats.nbinom(20, 20 / (20 + np.exp(3))),
        ],
    ),
}


@pytest.fixture(params=CASES)
def case(request):
    make, X, outputs, features = CASES[request.param]
    return make(), X, np.array(outputs), features


def log_density(distribution, x):
    is_discrete = hasattr(distribution, "logpmf")
    return (distribution.logpmf if is_discrete else distribution.logpdf)(x)


def expected_log_prob(features, X):
    return np.column_stack(
        [log_density(p, x) for p, x in zip(features, X.T, strict=True)]
    )


# Densities against scipy.


def test_log_prob_is_that_of_scipy(case):
    family, X, outputs, features = case
    expected = expected_log_prob(features, X)
    actual = family.log_prob(tensor(X), tensor(outputs).expand(len(X), -1))
    assert_as_float32(actual, expected)
    total = family.log_conditional(tensor(X), tensor(outputs).expand(len(X), -1))
    assert_as_float32(total, expected.sum(axis=1))


def test_missing_entries_are_left_out_of_the_sum(case):
    family, X, outputs, features = case
    observed = np.random.default_rng(1).random(X.shape) < 0.5
    expected = np.where(observed, expected_log_prob(features, X), 0).sum(axis=1)
    x = tensor(np.where(observed, X, 0))
    actual = family.log_conditional(
        x, tensor(outputs).expand(len(X), -1), torch.from_numpy(observed)
    )
    assert_as_float32(actual, expected)


def test_draws_of_z_come_first(case):
    """Outputs of shape (draws, rows, width) against x of shape (rows, features)."""
    family, X, outputs, _ = case
    x = tensor(X[:4])
    many = tensor(outputs + np.linspace(-1, 1, 12).reshape(3, 4, 1))
    family.eval()
    total = family.log_conditional(x, many)
    assert total.shape == (3, 4)
    for s in range(3):
        alone = family.log_conditional(x, many[s])
        assert_allclose(array(total[s]), array(alone), rtol=1e-5, atol=1e-5)


def test_poisson_keeps_its_digits_over_all_magnitudes():
    log_rate = np.log(RATES).astype(np.float32)
    X, outputs = np.meshgrid(COUNTS, log_rate)
    actual = Poisson().log_prob(tensor(X), tensor(outputs))
    expected = stats.poisson(np.exp(outputs.astype(float))).logpmf(X)
    assert_as_float32(actual, expected)


def test_negative_binomial_keeps_its_digits_over_all_magnitudes():
    log_rate, log_size = (np.log(v).astype(np.float32) for v in (RATES, SIZES))
    X, outputs, log_size = np.meshgrid(COUNTS, log_rate, log_size)
    family = negative_binomial(1.0)
    family.log_size = torch.nn.Parameter(tensor(log_size))
    actual = family.log_prob(tensor(X), tensor(outputs))
    rate, size = np.exp(outputs.astype(float)), np.exp(log_size.astype(float))
    assert_as_float32(actual, negative_binomial_logpmf(X, rate, size))


def test_negative_binomial_reference_is_that_of_scipy():
    x, rate, size = np.meshgrid([0, 1, 7, 40], [0.1, 3.0, 50.0], [0.5, 4.0, 100.0])
    expected = stats.nbinom(size, size / (size + rate)).logpmf(x)
    assert_allclose(negative_binomial_logpmf(x, rate, size), expected, rtol=1e-10)


@given(
    count=st.integers(0, 10**6),
    log_rate=st.floats(-13.75, 13.75, width=32),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_poisson_log_prob_property(count, log_rate):
    actual = Poisson().log_prob(tensor([count]), tensor([log_rate]))
    rate = np.exp(log_rate)
    expected = stats.poisson(rate).logpmf([count])
    assert_as_float32(actual, expected, unit_of_a_logarithm(count, rate))


@given(
    count=st.integers(0, 10**6),
    log_rate=st.floats(-13.75, 13.75, width=32),
    log_size=st.floats(-6.875, 13.75, width=32),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_negative_binomial_log_prob_property(count, log_rate, log_size):
    family = NegativeBinomial()
    family.log_size = torch.nn.Parameter(tensor([log_size]))
    actual = family.log_prob(tensor([count]), tensor([log_rate]))
    rate, size = np.exp(log_rate), np.exp(log_size)
    expected = negative_binomial_logpmf(np.array([count]), rate, size)
    assert_as_float32(actual, expected, unit_of_a_logarithm(count, rate))


@pytest.mark.parametrize("size", [1e-30, 1e-3, 1.0, 1e6, 1e30])
@pytest.mark.parametrize("name", ["poisson", "negative binomial"])
def test_counts_never_make_nan(name, size):
    family = Poisson() if name == "poisson" else negative_binomial(size)
    x = tensor([0, 1, 2, 7, 8, 9, 1e3, 1e6, 1e9])[:, None]
    extremes = tensor([-1e4, 1e4])
    outputs = torch.cat([torch.linspace(-30, 30, 121), extremes]).requires_grad_()
    log_prob = family.log_prob(x, outputs.expand(len(x), -1))
    assert log_prob.isfinite().all()
    assert (log_prob <= 1e-5).all()
    for gradient in torch.autograd.grad(
        log_prob.sum(), [outputs, *family.parameters()]
    ):
        assert gradient.isfinite().all()


@pytest.mark.parametrize(
    "name", ["bernoulli", "categorical", "heteroscedastic", "lognormal"]
)
def test_extreme_outputs_never_make_nan(name):
    noise = {"noise": "heteroscedastic"}
    family, X = (
        (started(LogNormal(**noise), POSITIVE), POSITIVE)
        if name == "lognormal"
        else (CASES[name][0](), CASES[name][1])
    )
    values = [-1e4, -100.0, -1.0, 0.0, 1.0, 100.0, 1e4]
    n_outputs = family.width(2)
    grid = np.random.default_rng(0).choice(values, size=(len(X), n_outputs))
    outputs = tensor(grid).requires_grad_()
    # A missing entry comes as 0.
    x = tensor(X)
    x[::7] = 0
    log_prob = family.log_prob(x, outputs)
    assert log_prob.isfinite().all()
    (gradient,) = torch.autograd.grad(log_prob.sum(), outputs)
    assert gradient.isfinite().all()
    drawn = family.sample(outputs.detach(), torch.Generator().manual_seed(0))
    assert not drawn.isnan().any()


# The log-normal, and real features in their own units.


OUTPUTS, SD = [0.5, -1.0], 0.7


def of_the_columns(T, is_log):
    """scipy's distributions of columns, whose t has the moments of T's columns."""
    location = T.mean(axis=0) + T.std(axis=0) * np.array(OUTPUTS)
    return (
        stats.lognorm(SD, scale=np.exp(location))
        if is_log
        else stats.norm(location, SD)
    )


def test_lognormal_noise_and_density_are_in_the_units_of_the_data():
    X = POSITIVE
    family, p = started(LogNormal(SD), X), of_the_columns(np.log(X), True)
    outputs = tensor(OUTPUTS).expand(len(X), -1)
    expected = p.logpdf(X)
    actual = array(family.log_prob(tensor(X), outputs))
    assert_allclose(actual, expected, rtol=1e-4, atol=1e-2)
    total = array(family.log_conditional(tensor(X), outputs))
    assert_allclose(total, expected.sum(axis=1), rtol=1e-4, atol=1e-2)
    assert_allclose(array(family.mean(outputs[:1]))[0], p.mean(), rtol=1e-4)


@pytest.mark.parametrize("is_log, X", [(False, REAL), (True, POSITIVE)])
def test_standardised_columns_have_the_density_of_the_table(is_log, X):
    T = np.log(X) if is_log else X
    center, scale = T.mean(axis=0), T.std(axis=0)
    family = Standardised(SD, 0.03, center, scale, is_log)
    V = tensor((T - center) / scale)
    family.start(array(V))
    p, outputs = of_the_columns(T, is_log), tensor(OUTPUTS).expand(len(X), -1)
    actual = array(family.log_prob(V, outputs))
    assert_allclose(actual, p.logpdf(X), rtol=1e-4, atol=1e-3)
    total = array(family.log_conditional(V, outputs))
    assert_allclose(total, p.logpdf(X).sum(axis=1), rtol=1e-4, atol=1e-2)
    t = center + scale * array(family.decide(family.mean(outputs[:1])))[0]
    assert_allclose(np.exp(t) if is_log else t, p.mean(), rtol=1e-4)


@pytest.mark.parametrize("noise", ["optimal", "learned", "heteroscedastic"])
def test_lognormal_starts_at_the_moments_of_the_logarithms(noise):
    # The floor comes on top of what a network gives.
    family = LogNormal(noise, min_noise=1e-3)
    outputs = family.start(POSITIVE.astype(np.float32)).float()
    p = stats.lognorm(
        np.log(POSITIVE).std(axis=0), scale=np.exp(np.log(POSITIVE).mean(axis=0))
    )
    actual = family.log_prob(tensor(POSITIVE), outputs.expand(300, -1))
    assert_allclose(array(actual), p.logpdf(POSITIVE), rtol=1e-3, atol=1e-3)


def test_lognormal_integrates_to_one():
    family = started(LogNormal(0.7), POSITIVE).double()

    def density(x, d):
        row = tensor([[x, x]], torch.float64)
        outputs = tensor([[0.5, -1.0]], torch.float64)
        return float(family.log_prob(row, outputs)[0, d].exp())

    for d in range(2):
        # In log x, where the tail is short.
        integral = quad(lambda t, d=d: density(np.exp(t), d) * np.exp(t), -15, 15)
        assert integral[0] == pytest.approx(1, abs=1e-6)


def test_lognormal_draws_have_the_moments_and_the_distribution():
    family, p = started(LogNormal(SD), POSITIVE), of_the_columns(np.log(POSITIVE), True)
    outputs = tensor(OUTPUTS).expand(N_DRAWS, -1)
    drawn = array(family.sample(outputs, torch.Generator().manual_seed(0)))
    assert_allclose(array(family.mean(outputs[:1]))[0], p.mean(), rtol=1e-4)
    error = (drawn.mean(axis=0) - p.mean()) / (p.std() / np.sqrt(N_DRAWS))
    assert np.abs(error).max() < 5
    for u in p.cdf(drawn).T:
        assert stats.kstest(u, "uniform").pvalue > 1e-4


# Totals.


@pytest.mark.parametrize("rate", [1e-3, 1.0, 60.0])
def test_poisson_sums_to_one(rate):
    x = torch.arange(1000, dtype=torch.float64)
    log_rate = tensor(np.log(rate), torch.float64).expand(1000)
    log_prob = Poisson().double().log_prob(x, log_rate)
    assert array(log_prob.exp().sum()) == pytest.approx(1, abs=1e-7)


@pytest.mark.parametrize("rate", [1e-3, 1.0, 20.0])
@pytest.mark.parametrize("size", [0.1, 1.0, 1e3])
def test_negative_binomial_sums_to_one(rate, size):
    # A tail of (rate / (rate + size))^x.
    x = torch.arange(20000, dtype=torch.float64)
    log_rate = tensor(np.log(rate), torch.float64).expand(len(x))
    log_prob = negative_binomial(size).double().log_prob(x, log_rate)
    assert array(log_prob.exp().sum()) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", ["bernoulli", "categorical"])
def test_categories_sum_to_one(name):
    make, _, outputs, _ = CASES[name]
    family, outputs = make(), tensor(outputs)
    codes = [0.0, 1.0, 2.0][: 3 if name == "categorical" else 2]
    first = [float(family.log_prob(tensor([k, 0]), outputs)[0].exp()) for k in codes]
    assert sum(first) == pytest.approx(1, abs=1e-6)
    second = [float(family.log_prob(tensor([0, k]), outputs)[1].exp()) for k in (0, 1)]
    assert sum(second) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", ["gaussian", "gaussian by column", "heteroscedastic"])
def test_gaussians_integrate_to_one(name):
    make, _, outputs, _ = CASES[name]
    family = make().double()
    grid = np.linspace(-40, 40, 8001)
    x = tensor(np.column_stack([grid, grid]), torch.float64)
    outputs = tensor(outputs, torch.float64).expand(len(grid), -1)
    density = array(family.log_prob(x, outputs).exp())
    assert_allclose(np.trapezoid(density, grid, axis=0), 1, atol=1e-6)


# Gradients.


def test_gradients_are_those_of_finite_differences(case):
    family, X, outputs, _ = case
    family = family.double()
    rows = np.concatenate([X[:4], X[-4:]])
    x = tensor(rows, torch.float64)
    outputs = tensor(outputs, torch.float64).expand(len(x), -1).clone()
    names, parameters = [], []
    for name, parameter in family.named_parameters():
        names.append(name)
        parameters.append(parameter.detach().clone().requires_grad_())

    def log_prob(outputs, *parameters):
        """By the parameters, too: log sigma, log r."""
        for name, parameter in zip(names, parameters, strict=True):
            delattr(family, name)
            setattr(family, name, parameter)
        return family.log_prob(x, outputs)

    for name in names:
        del family._parameters[name]
        setattr(family, name, None)
    inputs = (outputs.requires_grad_(), *parameters)
    assert torch.autograd.gradcheck(log_prob, inputs, rtol=1e-4, atol=1e-6)


def test_gradients_of_counts_near_the_switches_of_the_series():
    """Counts about 8, and rates within 10 per cent of the count."""
    x = tensor([0, 1, 7, 8, 9, 1000], torch.float64)[:, None]
    near = np.array([0.05, 0.0905, 0.1105, -0.05, 0.0])
    outputs = x.clamp(min=1).log() + tensor(near, torch.float64)
    outputs = outputs.requires_grad_()
    for family in (Poisson().double(), negative_binomial(7.5).double()):
        assert torch.autograd.gradcheck(
            lambda o, family=family: family.log_prob(x, o),
            outputs,
            rtol=1e-4,
            atol=1e-6,
        )


def test_gradients_of_the_lognormal():
    family = started(LogNormal("heteroscedastic"), POSITIVE).double()
    x = tensor(POSITIVE[:5], torch.float64)
    outputs = tensor(np.tile([0.3, -0.4, 0.1, -0.5], (5, 1)), torch.float64)
    assert torch.autograd.gradcheck(
        lambda o: family.log_prob(x, o), outputs.requires_grad_(), atol=1e-6
    )


# Starts.


STARTS = {
    "bernoulli": (Bernoulli, BITS),
    "categorical": (lambda: Categorical([3, 2]), CODES),
    "poisson": (Poisson, SMALL),
    "negative binomial": (NegativeBinomial, WIDE),
    "gaussian": (Gaussian, REAL),
    "gaussian shared": (lambda: Gaussian("shared"), REAL),
    "standardised": (lambda: Standardised("optimal", 0.03), REAL),
    "lognormal": (LogNormal, POSITIVE),
}


@pytest.mark.parametrize("name", STARTS)
def test_start_is_the_best_fit_without_z(name):
    make, X = STARTS[name]
    family = make()
    outputs = family.start(X.astype(np.float32)).double()
    family = family.double()
    assert outputs.shape == (family.width(2),)

    def total(outputs):
        x = tensor(X, torch.float64)
        return array(family.log_prob(x, outputs.expand(len(X), -1))).sum()

    best = total(outputs)
    for j in range(len(outputs)):
        for step in (-0.02, 0.02):
            moved = outputs.clone()
            moved[j] += step
            assert total(moved) < best


@pytest.mark.parametrize("name", ["gaussian", "gaussian shared"])
def test_start_has_the_best_noise(name):
    make, X = STARTS[name]
    family = make()
    outputs = family.start(X.astype(np.float32)).expand(len(X), -1)
    x = tensor(X)
    variance = array(family.variance())

    def total(variance):
        family.set_variance(variance)
        return float(family.log_prob(x, outputs).double().sum())

    # The first feature's sd is 20 times that of the second: one sigma fits neither.
    assert variance.shape == (() if "shared" in name else (2,))
    assert total(variance) > max(total(0.9 * variance), total(1.1 * variance))


@pytest.mark.parametrize("name", STARTS)
def test_start_passes_over_missing_entries(name):
    make, X = STARTS[name]
    gaps = np.full((2 * len(X), 2), np.nan)
    gaps[: len(X), 0], gaps[len(X) :, 1] = X[:, 0], X[:, 1]
    # A sample of twice as many rows: only the bounds of what is rare know it.
    assert_allclose(
        array(make().start(gaps.astype(np.float32))),
        array(make().start(X.astype(np.float32))),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize("name", ["bernoulli", "categorical", "poisson"])
def test_what_the_sample_lacks_is_not_impossible(name):
    make, _ = STARTS[name]
    family, X = make(), np.zeros((50, 2), dtype=np.float32)
    outputs = family.start(X).float()
    assert family.log_prob(tensor([1.0, 1.0]), outputs).isfinite().all()
    assert (family.log_prob(tensor([1.0, 1.0]), outputs) < -3).all()


# Draws and means.


def test_draws_have_the_moments(case):
    family, _, outputs, features = case
    drawn = array(
        family.sample(
            tensor(outputs).expand(N_DRAWS, -1), torch.Generator().manual_seed(0)
        )
    )
    assert drawn.shape == (N_DRAWS, 2)
    for x, p in zip(drawn.T, features, strict=True):
        mean, variance = p.mean(), p.var()
        assert abs(x.mean() - mean) < 5 * np.sqrt(variance / N_DRAWS)
        # Var(s^2) is that of the squared deviations, over n.
        error = ((x - mean) ** 2).std() / np.sqrt(N_DRAWS)
        assert abs(x.var() - variance) < 5 * error + 1e-3 * variance


def test_draws_repeat_with_the_generator(case):
    family, _, outputs, _ = case
    outputs = tensor(outputs).expand(20, -1)
    first = family.sample(outputs, torch.Generator().manual_seed(1))
    again = family.sample(outputs, torch.Generator().manual_seed(1))
    assert_array_equal(array(first), array(again))


def test_the_mean_is_that_of_scipy(case):
    family, _, outputs, features = case
    mean = array(family.mean(tensor(outputs)[None]))[0]
    if isinstance(family, Categorical):
        assert_allclose(
            mean, np.r_[softmax(LOGITS[:3]), softmax(LOGITS[3:])], rtol=1e-5
        )
    else:
        assert_allclose(mean, [p.mean() for p in features], rtol=1e-5)
    assert len(mean) == family.n_means(2)


def test_categories_decide_for_the_most_probable():
    family = Categorical([3, 2])
    decided = family.decide(family.mean(tensor([LOGITS, -LOGITS])))
    assert_array_equal(array(decided), [[0, 0], [1, 1]])


def test_numbers_decide_for_their_mean():
    mean = tensor([[0.3, 4.2]])
    for family in (Gaussian(), Poisson(), Bernoulli(), LogNormal()):
        assert_array_equal(array(family.decide(mean)), array(mean))


def test_probabilities_are_those_of_each_category():
    theta = Categorical([3, 2]).probabilities(tensor(LOGITS)[None], 1)
    assert_allclose(array(theta), [softmax(LOGITS[3:])], rtol=1e-5)
    theta = Bernoulli().probabilities(tensor([[np.log(0.25), 0.9]]), 0)
    assert_allclose(array(theta), [[0.8, 0.2]], rtol=1e-5)


# What the encoder reads.


@pytest.mark.parametrize("name", STARTS)
def test_missing_entries_are_read_as_zero(name):
    make, X = STARTS[name]
    family = started(make(), X)
    observed = np.random.default_rng(2).random(X.shape) < 0.5
    x = tensor(np.where(observed, X, 0))
    features = array(family.features(x, torch.from_numpy(observed)))
    assert features.shape == (len(X), family.n_inputs(2))
    complete = array(family.features(tensor(X)))
    shown = observed[:, [0, 0, 0, 1, 1]] if name == "categorical" else observed
    assert_array_equal(features[~shown], 0)
    assert_array_equal(features[shown], complete[shown])


@pytest.mark.parametrize("name", ["poisson", "negative binomial", "lognormal"])
def test_the_encoder_reads_standardised_logarithms(name):
    make, X = STARTS[name]
    features = array(started(make(), X).features(tensor(X)))
    assert_allclose(features.mean(axis=0), 0, atol=1e-4)
    assert_allclose(features.std(axis=0), 1, rtol=1e-4)


def test_the_encoder_reads_one_hot_categories():
    features = array(Categorical([3, 2]).features(tensor([[2, 0], [1, 1]])))
    assert_array_equal(features, [[0, 0, 1, 1, 0], [0, 1, 0, 0, 1]])


# Blocks.


ROWS = np.column_stack([REAL[:, 0], SMALL[:, 1], CODES[:, 0], BITS[:, 1], POSITIVE])
PARTS = {
    "gaussian": (lambda: Gaussian(0.7), [0]),
    "poisson": (Poisson, [1]),
    "categorical": (lambda: Categorical([3]), [2]),
    "bernoulli": (Bernoulli, [3]),
    "lognormal": (LogNormal, [5, 4]),
}


def mixed(order):
    parts = {name: PARTS[name][0]() for name in order}
    blocks = Blocks([(parts[name], PARTS[name][1]) for name in order])
    start = blocks.start(ROWS.astype(np.float32)).float()
    blocks.eval()
    return blocks, [(parts[name], PARTS[name][1]) for name in order], start


ORDERS = [
    list(PARTS),
    list(PARTS)[::-1],
    ["bernoulli", "lognormal", "gaussian", "categorical", "poisson"],
]


@pytest.mark.parametrize("order", ORDERS, ids=["given", "reversed", "mixed"])
def test_blocks_are_the_sum_of_their_parts(order):
    blocks, parts, start = mixed(order)
    x = tensor(ROWS)
    outputs = start + 0.3 * torch.randn(
        len(x), len(start), generator=torch.Generator().manual_seed(0)
    )
    widths = [part.width(len(at)) for part, at in parts]
    assert blocks.width(6) == sum(widths) == len(start)
    assert blocks.n_inputs(6) == blocks.n_means(6) == 3 + 5
    observed = torch.from_numpy(np.random.default_rng(3).random(ROWS.shape) < 0.6)
    expected = np.zeros(ROWS.shape)
    for (part, at), own in zip(parts, outputs.split(widths, -1), strict=True):
        expected[:, at] = array(part.log_prob(x[:, at], own))
    actual = array(blocks.log_prob(x, outputs))
    assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)
    for shown in (None, observed):
        total = array(blocks.log_conditional(x, outputs, shown))
        kept = expected if shown is None else np.where(shown, expected, 0)
        assert_allclose(total, kept.sum(axis=1), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("order", ORDERS, ids=["given", "reversed", "mixed"])
def test_blocks_give_columns_back_in_their_places(order):
    blocks, _, start = mixed(order)
    drawn = array(
        blocks.sample(start.expand(500, -1), torch.Generator().manual_seed(0))
    )
    decided = array(blocks.decide(blocks.mean(start[None])))[0]
    assert drawn.shape == (500, 6)
    assert_array_equal(drawn[:, 1:4], drawn[:, 1:4].round())
    assert set(np.unique(drawn[:, 2])) == {0, 1, 2}
    assert set(np.unique(drawn[:, 3])) == {0, 1}
    assert (drawn[:, 4:] > 0).all()
    # Medians tell the columns apart: about 5, 12, -, -, e and e^-2.
    expected = np.median(ROWS, axis=0)
    assert_allclose(
        np.median(drawn, axis=0)[[0, 1, 4, 5]], expected[[0, 1, 4, 5]], rtol=0.35
    )
    assert decided[0] == pytest.approx(ROWS[:, 0].mean(), rel=1e-5)
    assert decided[1] == pytest.approx(ROWS[:, 1].mean(), rel=1e-5)
    assert decided[2] == np.bincount(CODES[:, 0].astype(int)).argmax()
    assert decided[3] == pytest.approx(BITS[:, 1].mean(), rel=1e-4)


def test_blocks_find_the_probabilities_of_a_column():
    blocks, _, start = mixed(ORDERS[2])
    shares = np.bincount(CODES[:, 0].astype(int)) / 300
    assert_allclose(array(blocks.probabilities(start[None], 2))[0], shares, rtol=1e-4)
    theta = BITS[:, 1].mean()
    assert_allclose(
        array(blocks.probabilities(start[None], 3))[0], [1 - theta, theta], rtol=1e-4
    )


def test_blocks_set_the_noise_of_each_part():
    blocks = Blocks([(Gaussian(), [1, 3]), (Poisson(), [2]), (Gaussian("shared"), [0])])
    X = np.column_stack([REAL[:, 0], REAL[:, 1], SMALL[:, 0], 5 * REAL[:, 0]])
    start = blocks.start(X.astype(np.float32)).float()
    moved = start + tensor([0.5, 0.0, 0.0, 1.0])
    observed = torch.ones(X.shape, dtype=torch.bool)
    errors = blocks.errors(tensor(X), moved.expand(len(X), -1), observed)
    assert errors.shape == (300, blocks.n_errors(4)) == (300, 4 + 0 + 2)
    blocks.set_noise(array(errors).sum(axis=0))
    expected = X.var(axis=0)[[1, 3]] + [0.25, 0.0]
    assert_allclose(array(blocks.parts[0].variance()), expected, rtol=1e-3)
    assert_allclose(array(blocks.parts[2].variance()), X[:, 0].var() + 1, rtol=1e-3)


@pytest.mark.parametrize(
    "columns", [[[0, 1], [1]], [[0], [2]], [[0, 1], [-1]], [[1], [2]]]
)
def test_blocks_that_are_no_partition(columns):
    with pytest.raises(ValueError, match="in one block"):
        Blocks([(Gaussian(), columns[0]), (Poisson(), columns[1])])


def test_blocks_of_another_number_of_columns():
    blocks = Blocks([(Gaussian(), [0]), (Poisson(), [1])])
    with pytest.raises(ValueError, match=r"names 2 features and X has 3; name each"):
        blocks.check(np.ones((5, 3)))


# Values that a family cannot take.


def one_sentence(error, *words):
    message = str(error.value)
    assert message.endswith(".")
    assert "\n" not in message
    for word in words:
        assert word in message


IMPOSSIBLE = {
    "fraction": (Poisson, 2.5, "2.5", "'gaussian'"),
    "negative": (Poisson, -3.0, "-3", "'gaussian'"),
    "too large": (NegativeBinomial, 2e9, "2e+09", "'lognormal'"),
    "size fraction": (NegativeBinomial, 0.25, "0.25", "'gaussian'"),
    "above the codes": (lambda: Categorical([3, 3]), 3.0, "3", "0 to 2"),
    "below the codes": (lambda: Categorical([3, 3]), -1.0, "-1", "0 to 2"),
    "between codes": (lambda: Categorical([3, 3]), 0.5, "0.5", "0 to 2"),
    "not positive": (LogNormal, 0.0, "0", "'gaussian'"),
    "negative lognormal": (LogNormal, -2.0, "-2", "'gaussian'"),
    "bits": (Bernoulli, 1.5, "1.5", "MinMaxScaler"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_impossible_values_are_named_with_the_remedy(name):
    make, value, *words = IMPOSSIBLE[name]
    X = np.ones((40, 2))
    X[7, 0] = np.nan
    make().check(X)
    X[9, 1] = value
    with pytest.raises(ValueError) as error:
        make().check(X)
    one_sentence(error, "X has", *words)
    family = make()
    family.data_name = "y"
    with pytest.raises(ValueError) as error:
        family.check(X)
    one_sentence(error, "y has", *words)
    inside = Blocks([(make(), [0, 1])])
    inside.data_name = "y"
    with pytest.raises(ValueError) as error:
        inside.check(X)
    one_sentence(error, "y has", *words)


def test_categories_of_another_number_of_features():
    with pytest.raises(ValueError) as error:
        Categorical([3, 2]).check(np.zeros((4, 3)))
    one_sentence(error, "3 categorical features", "n_categories=[3, 2]")
