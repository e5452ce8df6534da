"""P(L) of each rate model, summed, differenced and sampled on maps of a few pixels."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import comb
from scipy.stats import chisquare

from sklvm.segmentation._learned import LearnedRate
from sklvm.segmentation._rate import ListRate, SubsetRate

from .models import RATE_MODELS, all_maps, random_codes

SUMMED = ["subset", "learned"]


def make(name, image_shape, n_classes):
    if name == "learned":
        return LearnedRate(image_shape, n_classes)
    cls = {"list": ListRate, "subset": SubsetRate}[name]
    return cls(int(np.prod(image_shape)), n_classes)


def fitted(name, image_shape=(2, 3), n_classes=2, seed=0, n_codes=50):
    model = make(name, image_shape, n_classes)
    rng = np.random.default_rng(seed)
    n_pixels = int(np.prod(image_shape))
    model.fit(random_codes(rng, n_codes, n_pixels, n_classes))
    return model


# P(L) is a distribution.


@pytest.mark.parametrize("n_pixels, n_classes", [(1, 1), (3, 2), (4, 3)])
def test_the_probabilities_of_all_lists_sum_to_one(n_pixels, n_classes):
    codes = [[0] * n + [-1] * (n_pixels - n) for n in range(n_pixels + 1)]
    rate = ListRate(n_pixels, n_classes).rate(np.array(codes))
    n_pairs = n_pixels * n_classes
    total = np.sum(float(n_pairs) ** np.arange(n_pixels + 1) * np.exp(-rate))
    # Those of more entries than there are pixels, which no map needs.
    tail = (n_pairs / (n_pairs + 1)) ** (n_pixels + 1)
    assert total + tail == pytest.approx(1, abs=1e-12)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(SUMMED),
    shape=st.sampled_from([(1, 1), (1, 4), (4, 1), (2, 2), (2, 3)]),
    n_classes=st.integers(1, 3),
    n_codes=st.integers(1, 60),
    seed=st.integers(0, 1000),
)
def test_the_probabilities_of_all_sparse_maps_sum_to_one(
    name, shape, n_classes, n_codes, seed
):
    model = fitted(name, shape, n_classes, seed, n_codes)
    rate = model.rate(all_maps(int(np.prod(shape)), n_classes))
    assert np.isfinite(rate).all()
    assert (rate > -1e-9).all()
    assert np.exp(-rate).sum() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", SUMMED)
@pytest.mark.parametrize("code", [-1, 0])
def test_they_do_after_a_fit_to_equal_codes(name, code):
    model = make(name, (2, 3), 2)
    model.fit(np.full((30, 6), code))
    rate = model.rate(all_maps(6, 2))
    assert np.isfinite(rate).all()
    assert np.exp(-rate).sum() == pytest.approx(1, abs=1e-9)


# What each of them says.


def test_list_is_the_number_of_symbols():
    codes = random_codes(np.random.default_rng(0), 50, 12, 3)
    expected = ((codes >= 0).sum(axis=1) + 1) * np.log(12 * 3 + 1)
    assert_allclose(ListRate(12, 3).rate(codes), expected, rtol=1e-12)
    model = ListRate(12, 3)
    model.fit(codes)
    assert_allclose(model.rate(codes), expected, rtol=1e-12)


def test_subset_is_that_of_the_size_and_equal_for_all_of_a_size():
    model, codes = fitted("subset"), all_maps(6, 2)
    n = (codes >= 0).sum(axis=1)
    rate = model.rate(codes)
    log_size = -rate + np.log(comb(6, n)) + n * np.log(2)
    sizes = np.array([log_size[n == i].mean() for i in range(7)])
    assert_allclose(log_size, sizes[n], atol=1e-9)
    assert np.exp(sizes).sum() == pytest.approx(1, abs=1e-9)


def test_subset_follows_the_sizes_of_its_codes():
    codes = all_maps(6, 2)
    n = (codes >= 0).sum(axis=1)
    small, large = make("subset", (2, 3), 2), make("subset", (2, 3), 2)
    small.fit(np.repeat(codes[n == 1], 20, axis=0))
    large.fit(np.repeat(codes[n == 5], 20, axis=0))
    probability = np.exp(-small.rate(codes))
    assert probability[n == 1].sum() > 0.6
    assert (small.rate(codes[n == 1]) < large.rate(codes[n == 1]) - 1).all()
    assert (large.rate(codes[n == 5]) < small.rate(codes[n == 5]) - 1).all()


def one_seed_each(pixels, classes, n_pixels=24):
    codes = np.full((len(pixels), n_pixels), -1)
    codes[np.arange(len(pixels)), pixels] = classes
    return codes


def test_learned_follows_classes():
    rng = np.random.default_rng(0)
    # Of class 1 nine times in ten.
    classes = (rng.random(300) < 0.9).astype(int)
    pixels = rng.integers(24, size=300)
    codes = one_seed_each(pixels, classes)
    model, even = make("learned", (4, 6), 2), make("learned", (4, 6), 2)
    model.fit(codes)
    even.fit(one_seed_each(pixels, rng.integers(2, size=300)))
    one, other = model.rate(one_seed_each([7, 7], [1, 0]))
    assert 0.5 < other - one < 4
    # A class of 0.33 instead of 0.69 nats, of which smoothing takes a part.
    gain = even.rate(codes).mean() - model.rate(codes).mean()
    assert gain > 0.2


def test_learned_follows_positions():
    rng = np.random.default_rng(0)
    # In the left half of four rows of six.
    pixels = 6 * rng.integers(4, size=300) + rng.integers(3, size=300)
    model = make("learned", (4, 6), 2)
    model.fit(one_seed_each(pixels, rng.integers(2, size=300)))
    left, right = model.rate(one_seed_each([7, 10], [1, 1]))
    assert left < right - 1


@pytest.mark.parametrize("name", RATE_MODELS)
def test_rates_are_float64_and_belong_to_the_row(name):
    model = fitted(name)
    codes = random_codes(np.random.default_rng(1), 30, 6, 2)
    rate = model.rate(codes)
    assert rate.dtype == np.float64
    assert rate.shape == (30,)
    assert_array_equal(np.concatenate([model.rate(c[None]) for c in codes]), rate)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_array_equal(other.rate(codes), rate)
    for dtype in (np.int8, np.int32):
        assert_array_equal(model.rate(codes.astype(dtype)), rate)


@pytest.mark.parametrize("name", RATE_MODELS)
def test_a_fit_forgets_the_one_before(name):
    model = fitted(name, seed=1)
    rng = np.random.default_rng(0)
    model.fit(random_codes(rng, 50, 6, 2))
    codes = all_maps(6, 2)
    assert_array_equal(model.rate(codes), fitted(name, seed=0).rate(codes))


@pytest.mark.parametrize("name", RATE_MODELS)
def test_large_maps(name):
    shape, n_pixels, n_classes = (90, 120), 10800, 32
    rng = np.random.default_rng(0)
    model = make(name, shape, n_classes)
    few = np.full((20, n_pixels), -1)
    for code in few:
        code[rng.integers(n_pixels, size=30)] = rng.integers(n_classes)
    model.fit(few)
    dense = rng.integers(n_classes, size=(1, n_pixels))
    cheap, dear = model.rate(few), model.rate(dense)
    assert np.isfinite(cheap).all()
    assert np.isfinite(dear).all()
    assert (cheap < 31 * np.log(n_pixels * n_classes + 1) + 1e-6).all()
    # No code of all pixels can be shorter than its classes, up to rare luck.
    assert dear[0] > 0.5 * n_pixels * np.log(n_classes)


# Prices.


@pytest.mark.parametrize("name", ["list", "subset"])
def test_prices_are_differences_of_rates(name):
    model = fitted(name)
    rng = np.random.default_rng(2)
    for code in random_codes(rng, 20, 6, 2):
        classes = rng.integers(2, size=6)
        prices = model.prices(code, classes)
        assert prices.shape == (6,)
        before = model.rate(code[None])[0]
        for pixel in np.flatnonzero(code < 0):
            more = code.copy()
            more[pixel] = classes[pixel]
            price = model.rate(more[None])[0] - before
            assert prices[pixel] == pytest.approx(price, abs=1e-9)


def test_the_first_seed_of_learned_has_its_exact_price():
    # Beside the lattices: on one it changes what is expected around it as well.
    model, code = fitted("learned", (4, 6)), np.full(24, -1)
    classes = np.arange(24) % 2
    first = np.full((24, 24), -1)
    np.fill_diagonal(first, classes)
    expected = model.rate(first) - model.rate(code[None])
    sites = np.concatenate([layout.sites for layout in model.layouts])
    beside = np.setdiff1d(np.arange(24), sites)
    assert len(beside) > 10
    assert_allclose(model.prices(code, classes)[beside], expected[beside], atol=1e-9)
    assert np.ptp(expected[beside]) > 0.01


@pytest.mark.parametrize("name", RATE_MODELS)
def test_prices_leave_the_code_alone(name):
    model, code = fitted(name), np.array([-1, 1, -1, 0, 1, -1])
    before = code.copy()
    prices = model.prices(code, np.zeros(6, dtype=int))
    assert_array_equal(code, before)
    assert np.isfinite(prices[code < 0]).all()


# Sampling.


def code_probabilities_of_lists(codes, n_classes):
    """Where the last entry of a pixel counts, by inclusion and exclusion.

    The number of entries is geometric, P(N) = (1 - a) a^N, a = P k / (P k + 1), and
    all of them fall among j of P pixels with probability E[(j / P)^N].
    """
    n_pixels = codes.shape[1]
    a = n_pixels * n_classes / (n_pixels * n_classes + 1)
    within = (1 - a) / (1 - a * np.arange(n_pixels + 1) / n_pixels)
    exactly = [
        sum((-1) ** (n - j) * comb(n, j) * within[j] for j in range(n + 1))
        for n in range(n_pixels + 1)
    ]
    n = (codes >= 0).sum(axis=1)
    return np.array(exactly)[n] / float(n_classes) ** n


@pytest.mark.parametrize("name", RATE_MODELS)
@pytest.mark.parametrize("n_pixels, n_classes", [(2, 2), (3, 2)])
def test_samples_are_as_frequent_as_the_rate_says(name, n_pixels, n_classes):
    model = fitted(name, (1, n_pixels), n_classes)
    codes = all_maps(n_pixels, n_classes)
    if name == "list":
        probability = code_probabilities_of_lists(codes, n_classes)
    else:
        probability = np.exp(-model.rate(codes))
    assert probability.sum() == pytest.approx(1, abs=1e-9)
    rng = np.random.default_rng(3)
    drawn = np.array([model.sample(rng) for _ in range(4000)])
    assert drawn.shape == (4000, n_pixels)
    place = (n_classes + 1) ** np.arange(n_pixels)
    order = np.argsort(codes @ place)
    seen = np.bincount((drawn + 1) @ place, minlength=len(codes))
    probability = probability[order]
    rare = probability * 4000 < 5
    pool = np.append(seen[~rare], seen[rare].sum())
    expected = 4000 * np.append(probability[~rare], probability[rare].sum())
    pool, expected = pool[expected > 0], expected[expected > 0]
    assert chisquare(pool, expected).pvalue > 1e-3


@pytest.mark.parametrize("name", RATE_MODELS)
def test_the_generator_decides_the_samples(name):
    model = fitted(name)

    def draw(rng):
        return np.array([model.sample(rng) for _ in range(20)])

    drawn = draw(np.random.default_rng(5))
    assert_array_equal(draw(np.random.default_rng(5)), drawn)
    assert len(np.unique(drawn, axis=0)) > 1
