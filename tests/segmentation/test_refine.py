"""The search at encode time, under the exact objective."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal

from .models import (
    GRADIENTS,
    HELD_OUT,
    RATE_MODELS,
    TINY_X,
    P,
    all_maps,
    blank,
    fitted,
    images_of,
    objective,
    own_seeds,
    seeing,
    specks,
    tiny,
)

WEIGHTS = [0.3, 1.0, 5.0, 30.0]


@pytest.fixture(params=RATE_MODELS)
def est(request):
    """With an encoder, whose codes `refine=None` takes."""
    est = fitted(rate_model=request.param, refine=None)
    return est.set_params(refine="greedy")


# Never worse.


@pytest.mark.slow
@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("refine", ["greedy", None])
def test_no_code_is_worse_than_blank(est, refine, weight):
    est.set_params(distortion_weight=weight, refine=refine)
    code = objective(est, HELD_OUT, est.transform(HELD_OUT))
    assert (code <= objective(est, HELD_OUT, blank(HELD_OUT)) + 1e-9).all()


@pytest.mark.slow
@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    maps=arrays(np.int64, (2, 12), elements=st.integers(0, 2)),
    weight=st.floats(0.01, 100),
    name=st.sampled_from(RATE_MODELS),
    refine=st.sampled_from(["greedy", None]),
)
def test_not_even_of_strange_maps(maps, weight, name, refine):
    est = tiny(rate_model=name, refine=None)
    est.set_params(distortion_weight=weight, refine=refine)
    S = est.transform(maps)
    code = objective(est, maps, S)
    assert (code <= objective(est, maps, blank(maps)) + 1e-9).all()
    assert_array_equal(S[S >= 0], maps[S >= 0])


@pytest.mark.slow
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_no_network_makes_codes_that_are_worse_than_blank(gradient):
    est = own_seeds(gradient)
    for weight in (12.0, 1.0):
        est.set_params(distortion_weight=weight)
        code = objective(est, TINY_X, est.transform(TINY_X))
        assert (code <= objective(est, TINY_X, blank(TINY_X)) + 1e-9).all()


@pytest.mark.slow
@pytest.mark.parametrize("weight", [3.0, 10.0])
def test_refining_betters_the_network_s_own_code(est, weight):
    est.set_params(distortion_weight=weight)
    refined = objective(est, HELD_OUT, est.transform(HELD_OUT))
    est.set_params(refine=None)
    own = objective(est, HELD_OUT, est.transform(HELD_OUT))
    assert refined.mean() < own.mean() - 0.01


def test_there_are_no_own_codes_of_an_encoder_that_was_not_trained():
    est = tiny().set_params(refine=None)
    assert est.net_.module_.encoder is None
    with pytest.raises(ValueError, match=r"refine=None .* refine='greedy', which"):
        est.transform(TINY_X)
    est.set_params(warm_start=True, max_epochs=1)
    weights = est.net_.module_.state_dict()
    with pytest.raises(ValueError, match="refine=None"):
        est.fit(TINY_X)
    assert all((weights[name] == w).all() for name, w in weights.items())
    assert est.set_params(refine="greedy").transform(TINY_X).shape == TINY_X.shape


@pytest.mark.slow
def test_no_seed_too_many_is_left(est):
    """Prune: the code without any one of its seeds is no better.

    Those of a lattice foretell one another, so one of them by itself may be left
    over, for a nat at the most.
    """
    S = est.transform(HELD_OUT)
    code = objective(est, HELD_OUT, S)
    slack = 1.0 if est.get_params()["rate_model"] == "learned" else 1e-9
    assert (S >= 0).any()
    for row, pixel in np.argwhere(S >= 0):
        fewer = S[row : row + 1].copy()
        fewer[0, pixel] = -1
        without = objective(est, HELD_OUT[row : row + 1], fewer)[0]
        assert without >= code[row] - slack


def test_close_to_the_best_code_there_is():
    """Twelve pixels: the best of all codes of up to two seeds."""
    est = tiny()
    maps = np.array([[0, 0, 1, 1] * 3, [0, 2, 2, 2] * 3, [2] * 12])
    S = est.transform(maps)
    for x, s in zip(maps, S, strict=True):
        masks = all_maps(12, 2, lowest=0)
        masks = masks[masks.sum(axis=1) <= 2]
        codes = np.where(masks == 1, x, -1)
        best = objective(est, np.repeat(x[None], len(codes), axis=0), codes).min()
        assert objective(est, x[None], s[None])[0] <= best + est.distortion_weight


@pytest.mark.parametrize("rate_model", RATE_MODELS)
def test_a_wrong_pixel_that_costs_many_seeds_is_not_left(rate_model):
    """A single seed may seem to spoil more than it corrects, all of them do not."""
    est = fitted(rate_model=rate_model).set_params(distortion_weight=1e4)
    S = est.transform(HELD_OUT)
    assert est.distortion(HELD_OUT, S).max() == 0
    assert (S >= 0).mean() < 0.5


@pytest.mark.slow
def test_score_samples_is_minus_the_objective(est):
    S = est.transform(HELD_OUT)
    np.testing.assert_allclose(
        est.score_samples(HELD_OUT), -objective(est, HELD_OUT, S), rtol=1e-12
    )


# max_distortion.


@pytest.mark.slow
@pytest.mark.parametrize("refine", ["greedy", None])
@pytest.mark.parametrize("m", [0, 1, 5])
def test_max_distortion_is_kept(est, m, refine):
    est.set_params(distortion_weight=0.5, refine=refine)
    S = est.transform(HELD_OUT, max_distortion=m)
    assert S.dtype == np.int32
    assert est.distortion(HELD_OUT, est.transform(HELD_OUT)).max() > 5
    assert est.distortion(HELD_OUT, S).max() <= m
    assert_array_equal(S[S >= 0], HELD_OUT[S >= 0])
    assert_array_equal((est.inverse_transform(S) != HELD_OUT).sum(axis=1) <= m, True)
    if m == 0:
        assert_array_equal(est.inverse_transform(S), HELD_OUT)
        # Fewer seeds than pixels: they are worth something.
        assert (S >= 0).sum() < HELD_OUT.size


@pytest.mark.slow
def test_a_wide_max_distortion_changes_nothing(est):
    assert_array_equal(
        est.transform(HELD_OUT, max_distortion=P), est.transform(HELD_OUT)
    )


@pytest.mark.slow
def test_less_distortion_takes_more_bits(est):
    est.set_params(distortion_weight=0.5)
    rates = [
        est.rate(est.transform(HELD_OUT, max_distortion=m)).mean() for m in (0, 2, 5, P)
    ]
    assert (np.diff(rates) < 0).all()


def test_max_distortion_with_images_and_of_noise():
    est, maps = seeing(), specks(1, 10)
    images = images_of(maps, seed=1)
    S = est.transform(maps, images, max_distortion=0)
    assert_array_equal(est.inverse_transform(S, images), maps)
    blind = fitted()
    maps = np.random.default_rng(0).integers(3, size=(10, P))
    S = blind.transform(maps, max_distortion=1)
    assert blind.distortion(maps, S).max() <= 1


# distortion_weight after the fit.


@pytest.mark.slow
def test_the_present_distortion_weight_counts(est):
    rates, distortions = [], []
    for weight in WEIGHTS:
        est.set_params(distortion_weight=weight)
        S = est.transform(HELD_OUT)
        rates.append(est.rate(S).mean())
        distortions.append(est.distortion(HELD_OUT, S).mean())
        expected = -(rates[-1] + weight * distortions[-1])
        assert est.score(HELD_OUT) == pytest.approx(expected, rel=1e-9)
    assert_array_equal(est.decode(est.encode(HELD_OUT)), est.inverse_transform(S))
    assert (np.diff(rates) >= 0).all()
    assert (np.diff(distortions) <= 0).all()
    assert rates[-1] > rates[0] + 5
    assert distortions[-1] < 0.5 * distortions[0]


def test_a_tiny_weight_leaves_the_cheapest_code(est):
    est.set_params(distortion_weight=1e-6)
    S = est.transform(HELD_OUT)
    assert (est.rate(S) <= est.rate(blank(HELD_OUT)) + 1e-4).all()
    if est.rate_model == "list":
        assert_array_equal(S, blank(HELD_OUT))


def test_a_huge_weight_leaves_hardly_a_wrong_pixel(est):
    est.set_params(distortion_weight=1e6)
    S = est.transform(HELD_OUT)
    assert est.distortion(HELD_OUT, S).mean() < 1.5


# Void pixels.


@pytest.mark.slow
@pytest.mark.parametrize("void_class", [0, 2])
def test_void_pixels_are_never_seeded_nor_count_nor_decoded(void_class):
    est = fitted(void_class=void_class, refine=None)
    void = void_class == HELD_OUT
    assert void.any()
    for params in ({}, {"refine": "greedy"}, {"distortion_weight": 50.0}):
        est.set_params(**params)
        S = est.transform(HELD_OUT)
        assert S.max() < len(est.classes_) == 2
        assert not (S[void] >= 0).any()
        dense = est.inverse_transform(S)
        assert not (dense == void_class).any()
        wrong = ((dense != HELD_OUT) & ~void).sum(axis=1)
        assert_array_equal(est.distortion(HELD_OUT, S), wrong)
        assert_array_equal(est.classes_[S][S >= 0], HELD_OUT[S >= 0])
    S = est.transform(HELD_OUT, max_distortion=0)
    assert not (S[void] >= 0).any()
    assert (est.distortion(HELD_OUT, S) == 0).all()


@pytest.mark.slow
def test_a_map_of_void_but_for_a_pixel():
    est = fitted(void_class=2, rate_model="list")
    maps = np.full((P, P), 2)
    np.fill_diagonal(maps, np.arange(P) % 2)
    S = est.transform(maps)
    assert (S[maps == 2] == -1).all()
    empty = est.rate(blank(maps)) + est.distortion_weight
    assert (objective(est, maps, S) <= empty + 1e-9).all()
    assert (est.transform(maps, max_distortion=1) == -1).all()
