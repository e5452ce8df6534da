"""Gradients of a random mask of six pixels against sums over all of its values."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from sklvm.segmentation._gradients import surrogate
from sklvm.segmentation._rate import ListRate, SubsetRate

from .models import GRADIENTS, all_maps, random_codes

P, K, WEIGHT = 6, 2, 1.7
MASKS = torch.from_numpy(all_maps(P, 2, lowest=0)).double()
# Two problems, of which the second may not use two of its pixels.
LOGITS = torch.tensor(
    [[-2.0, -1.0, -0.3, 0.4, 1.1, 2.0], [0.7, -1.5, 0.0, -0.2, -2.5, 1.4]]
).double()
ALLOWED = torch.ones(2, P, dtype=torch.bool)
ALLOWED[1, [1, 3]] = False
rng = np.random.default_rng(0)
# Far from zero, as the distortion of a map is: a baseline has something to do.
TABLES = torch.from_numpy(20 + 4 * rng.normal(size=(2, 2**P)))
SLOPES = torch.from_numpy(-3 + 1.5 * rng.normal(size=(2, P)))
N_COPIES = 6000


def rates_by_size(name):
    """The rate of a map of 0, 1, ... 6 seeds."""
    model = {"list": ListRate, "subset": SubsetRate}[name](P, K)
    model.fit(random_codes(np.random.default_rng(1), 40, P, K))
    codes = [[0] * n + [-1] * (P - n) for n in range(P + 1)]
    return torch.from_numpy(model.rate(np.array(codes)))


RATES = {name: rates_by_size(name) for name in ("list", "subset")}


def price_of(rates):
    """Nats of a seed at each pixel of hard masks, given the others."""

    def price(mask):
        on = (mask.detach() > 0.5).long()
        others = on.sum(dim=1, keepdim=True) - on
        return (rates[others + 1] - rates[others]).to(mask.dtype)

    return price


def no_price(mask):
    return torch.zeros_like(mask)


def index_of(mask):
    place = 2 ** torch.arange(P - 1, -1, -1)
    return ((mask.detach() > 0.5).long() * place).sum(dim=1)


def problem_of(mask):
    """Which of the two problems each row is: they alternate."""
    return torch.arange(len(mask)) % 2


def by_table(mask):
    return TABLES[problem_of(mask), index_of(mask)].to(mask.dtype)


def linear(mask):
    return 30 + (SLOPES[problem_of(mask)].to(mask.dtype) * mask).sum(dim=1)


def nothing(mask):
    return 0 * mask.sum(dim=1)


def samples(name, distortion, price, n_draws=2, n_copies=N_COPIES, seed=0):
    """Gradients of many copies of the two problems, shape (copies, 2, P)."""
    m = 2 * n_copies
    logits = LOGITS.float().repeat(n_copies, 1).requires_grad_()
    allowed = ALLOWED.repeat(n_copies, 1)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand((n_draws, m, P), generator=generator).clamp(1e-6, 1 - 1e-6)
    loss = surrogate(name, logits, allowed, noise, distortion, price, WEIGHT)
    assert loss.shape == ()
    (gradient,) = torch.autograd.grad(loss, logits)
    # The surrogate is a mean over the rows.
    return (m * gradient).double().reshape(n_copies, 2, P).numpy()


def exact(values):
    """d/dlogits of E_q[values of the mask], for both problems."""
    logits = LOGITS.clone().requires_grad_()
    p = torch.sigmoid(logits) * ALLOWED
    q = torch.where(MASKS[:, None] > 0, p, 1 - p).prod(dim=-1)  # (2^P, 2)
    (gradient,) = torch.autograd.grad((q * values).sum(), logits)
    return gradient.numpy()


def rate_values(rates):
    return rates[MASKS.sum(dim=1).long()][:, None].expand(-1, 2)


def agree(gradients, expected):
    """Their mean is the exact one within four standard errors, pixel by pixel."""
    error = gradients.std(axis=0, ddof=1) / np.sqrt(len(gradients))
    assert (np.abs(gradients.mean(axis=0) - expected) < 4 * error + 1e-4).all()
    scale = np.abs(expected).max()
    assert error.max() < 0.1 * scale, "too few samples to say anything"


# The masks that are drawn.


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("n_draws", [1, 4])
def test_masks_are_bernoulli_at_the_allowed_pixels_only(name, n_draws):
    if name == "reinforce" and n_draws == 1:
        n_draws = 2
    seen = []

    def distortion(mask):
        seen.append(mask.detach().clone())
        return linear(mask)

    samples(name, distortion, no_price, n_draws)
    mask = torch.cat(seen)
    assert mask.shape == (n_draws * 2 * N_COPIES, P)
    if name != "concrete":
        assert ((mask == 0) | (mask == 1)).all()
    assert mask.min() >= 0
    assert mask.max() <= 1
    mask = mask.reshape(-1, 2, P)
    assert (mask[:, ~ALLOWED] == 0).all()
    p = torch.sigmoid(LOGITS) * ALLOWED
    share = (mask > 0.5).double().mean(dim=0)
    error = torch.sqrt(p * (1 - p) / len(mask))
    assert ((share - p).abs() <= 4 * error).all()


@pytest.mark.parametrize("name", GRADIENTS)
def test_pixels_that_are_not_allowed_have_no_gradient(name):
    gradients = samples(name, linear, price_of(RATES["subset"]), 2, 50)
    assert np.isfinite(gradients).all()
    forbidden = ~ALLOWED.numpy()
    assert (gradients[:, forbidden] == 0).all()
    assert (np.abs(gradients).sum(axis=0)[~forbidden] > 0).all()


@pytest.mark.parametrize("name", GRADIENTS)
def test_the_noise_decides(name):
    price = price_of(RATES["subset"])
    one = samples(name, linear, price, 2, 50, seed=1)
    assert_array_equal(samples(name, linear, price, 2, 50, seed=1), one)
    if name != "straight_through":  # where a linear distortion has no noise
        assert (samples(name, linear, price, 2, 50, seed=2) != one).any()


def test_no_global_generator_is_advanced():
    before = torch.get_rng_state()
    for name in GRADIENTS:
        samples(name, linear, no_price, 2, 10)
    assert torch.equal(torch.get_rng_state(), before)


# The rate.


@pytest.mark.parametrize("name", GRADIENTS)
def test_the_rate_of_a_list_has_no_noise_at_all(name):
    gradients = samples(name, nothing, price_of(RATES["list"]), 2, 20)
    expected = exact(rate_values(RATES["list"]))
    assert_allclose(expected.max(), np.log(P * K + 1) / 4, rtol=0.1)
    assert_allclose(gradients, np.broadcast_to(expected, (20, 2, P)), atol=1e-5)


@pytest.mark.parametrize("name", GRADIENTS)
def test_the_rate_of_a_subset_is_exact_in_the_mean(name):
    gradients = samples(name, nothing, price_of(RATES["subset"]))
    agree(gradients, exact(rate_values(RATES["subset"])))


@pytest.mark.parametrize("name", GRADIENTS)
def test_no_gradient_flows_through_the_price(name):
    def price(mask):
        return price_of(RATES["list"])(mask) + 100 * (mask - mask.detach())

    gradients = samples(name, nothing, price, 2, 5)
    expected = np.broadcast_to(exact(rate_values(RATES["list"])), (5, 2, P))
    assert_allclose(gradients, expected, atol=1e-5)


# The distortion.


@pytest.mark.parametrize("n_draws", [2, 5])
def test_reinforce_is_unbiased(n_draws):
    gradients = samples("reinforce", by_table, no_price, n_draws)
    agree(gradients, exact(WEIGHT * TABLES.T))


def test_reinforce_is_unbiased_with_its_rate():
    gradients = samples("reinforce", by_table, price_of(RATES["subset"]))
    agree(gradients, exact(WEIGHT * TABLES.T + rate_values(RATES["subset"])))


def test_the_baseline_takes_the_level_away():
    def lifted(mask):
        return by_table(mask) + 1000

    gradients = samples("reinforce", by_table, no_price, seed=3)
    # What all draws share cancels, up to rounding of numbers of that size.
    assert_allclose(
        samples("reinforce", lifted, no_price, seed=3), gradients, atol=5e-3
    )


def test_more_draws_have_less_noise():
    few = samples("reinforce", by_table, no_price, 2).var(axis=0)
    many = samples("reinforce", by_table, no_price, 8).var(axis=0)
    allowed = ALLOWED.numpy()
    assert (many[allowed] < 0.5 * few[allowed]).all()


def test_reinforce_needs_no_path_through_the_mask():
    def distortion(mask):
        with torch.no_grad():
            return by_table(mask)

    expected = samples("reinforce", by_table, no_price, n_copies=50)
    gradients = samples("reinforce", distortion, no_price, n_copies=50)
    assert_array_equal(gradients, expected)


def linear_gradient():
    return exact(WEIGHT * torch.einsum("sp,rp->sr", MASKS, SLOPES))


def test_straight_through_is_unbiased_where_the_distortion_is_linear():
    agree(samples("straight_through", linear, no_price), linear_gradient())


def test_concrete_points_the_right_way_where_the_distortion_is_linear():
    gradient = samples("concrete", linear, no_price).mean(axis=0)
    expected = linear_gradient()
    allowed = ALLOWED.numpy()
    # A soft step has the slope of a smoothed sigmoid.
    ratio = gradient[allowed] / expected[allowed]
    assert ((ratio > 0.3) & (ratio < 2)).all()


@pytest.mark.parametrize("name", ["straight_through", "concrete"])
def test_the_distortion_gives_its_own_slope(name):
    """A pixel that the distortion does not look at has only the rate's gradient."""

    def blind(mask):
        return -5 * mask[:, 0]

    gradients = samples(name, blind, price_of(RATES["list"]), n_copies=200)
    expected = exact(rate_values(RATES["list"]))
    assert_allclose(gradients[:, :, 1:].mean(axis=0), expected[:, 1:], atol=1e-5)
    assert (gradients[:, :, 0].mean(axis=0) < 0).all()


def test_an_unknown_name():
    with pytest.raises((ValueError, KeyError)):
        samples("straight", linear, no_price, 2, 5)
