"""The void class after the fit: as it was in the fit, and in no code."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ..autoencoder.test_structured_bad_input import refused
from .models import HELD_OUT, RATE_MODELS, SHAPE, X, fit, fitted

VOID = 2


def what_it_says(est):
    """All that the void class has a part in."""
    S = est.transform(HELD_OUT)
    curve = est.rate_distortion_curve(HELD_OUT, [1.0])
    values = [S, est.distortion(HELD_OUT, S), est.score(HELD_OUT), est.sample(4)[1]]
    streams = [est.encode(HELD_OUT), est.encode(HELD_OUT, lossless=True)]
    return [*values, curve.error, *map(est.decode, streams)]


@pytest.mark.slow
@pytest.mark.parametrize("present", [None, 0])
def test_the_void_class_is_that_of_the_fit(present):
    est = fitted(void_class=VOID)
    assert est.void_class_ == VOID
    expected = what_it_says(est)
    est.set_params(void_class=present)
    for one, other in zip(what_it_says(est), expected, strict=True):
        assert_array_equal(one, other)


@pytest.mark.slow
def test_a_void_class_that_the_fit_did_not_have():
    est = fitted()
    expected = what_it_says(est)
    est.set_params(void_class=VOID)
    for one, other in zip(what_it_says(est), expected, strict=True):
        assert_array_equal(one, other)
    est.transform(np.full((1, HELD_OUT.shape[1]), VOID))


@pytest.mark.slow
def test_a_second_fit_takes_the_new_one():
    est = fitted(void_class=VOID).set_params(void_class=0, max_epochs=3).fit(X)
    assert est.void_class_ == 0


def test_no_seed_is_void():
    est = fitted(void_class=VOID)
    S = est.transform(HELD_OUT)
    S[3, 7] = VOID
    words = ("S", "0 to 1", VOID)
    refused(est.inverse_transform, S, words=words)
    refused(est.rate, S, words=words)
    refused(est.distortion, HELD_OUT, S, words=words)


@pytest.mark.parametrize("shape", [None, (3, 4)])
def test_maps_of_void_alone_are_coded(shape):
    est = fitted(void_class=VOID)
    maps = np.full((2, HELD_OUT.shape[1]), VOID)
    maps[1] = HELD_OUT[1]
    if shape is not None:
        maps = [np.full(shape, VOID), maps[1].reshape(est.image_shape_)]
    S = est.transform(maps)
    assert (np.asarray(S[0]) == -1).all()
    assert est.distortion(maps, S)[0] == 0
    lossless = est.encode(maps, lossless=True)
    for one, other in zip(est.decode(lossless), maps, strict=True):
        assert_array_equal(one, other)
    assert est.rate_distortion_curve(maps[:1], [1.0]).error == [0]


@pytest.mark.slow
def test_several_void_labels_are_one_to_the_model_and_two_to_lossless():
    # Class 0, and two labels of what was void.
    def relabelled(maps):
        maps = np.where(maps == VOID, 255, maps)
        odd = np.arange(maps.shape[1]) % 2 == 1
        return np.where((maps == 255) & odd, -7, maps)

    est = fit(relabelled(X), n_classes=None, void_class=[255, -7])
    one = fitted(void_class=VOID)
    assert_array_equal(est.classes_, [0, 1])
    maps = relabelled(HELD_OUT)
    S = est.transform(maps)
    assert_array_equal(S, one.transform(HELD_OUT))
    assert_array_equal(est.decode(est.encode(maps, lossless=True)), maps)
    assert set(np.unique(est.decode(est.encode(maps)))) == {0, 1}


# Models of version 0.1, where the void class is one of the classes.


def of_version_0_1(est, void_class):
    """A model as version 0.1 has saved it, read by this one."""
    state = vars(est).copy()
    for name in ("classes_", "_pixel_labels", "_map_form", "_codes_shapes"):
        del state[name]
    state["void_class_"] = void_class
    old = type(est).__new__(type(est))
    old._set_fitted_state(state)
    old.net_.module.void_class = void_class
    return old


@pytest.mark.slow
@pytest.mark.parametrize("rate_model", RATE_MODELS)
def test_no_stream_has_a_void_seed(rate_model):
    other = fitted(rate_model=rate_model)
    est = of_version_0_1(fitted(rate_model=rate_model), VOID)
    # Written by a model whose P(L) is the same, and which has no void class.
    other._codes_shapes = False
    S = other.transform(HELD_OUT)
    with_void = (VOID == S).any(axis=1)
    assert with_void.any()
    for void, stream in zip(with_void, other.encode(HELD_OUT), strict=True):
        if void:
            refused(est.decode, [stream], words=("Stream 0", "void_class", VOID))
        else:
            est.decode([stream])


@pytest.mark.slow
@pytest.mark.parametrize("void_class", [0, 1, VOID])
def test_models_of_version_0_1_go_on_as_they_were(void_class):
    est = of_version_0_1(fitted(rate_model="learned"), void_class)
    assert_array_equal(est.classes_, range(3))
    S = est.transform(HELD_OUT)
    assert not (void_class == S).any()
    assert_array_equal(S[S >= 0], HELD_OUT[S >= 0])
    dense = est.inverse_transform(S)
    assert not (dense == void_class).any()
    wrong = ((dense != HELD_OUT) & (void_class != HELD_OUT)).sum(axis=1)
    assert_array_equal(est.distortion(HELD_OUT, S), wrong)
    assert_array_equal(est.decode(est.encode(HELD_OUT, lossless=True)), HELD_OUT)
    refused(est.inverse_transform, np.full_like(S, void_class), words=("void_class",))
    refused(est.encode, HELD_OUT.reshape(-1, *SHAPE)[:, :2], words=("shape", SHAPE))
    again = copy.deepcopy(est).set_params(warm_start=True, max_epochs=1, tol=np.inf)
    again.void_class = est.void_class
    assert np.isfinite(again.fit(X).lower_bound_)


@pytest.mark.slow
@pytest.mark.parametrize("rate_model", RATE_MODELS)
def test_samples_are_without_it(rate_model):
    maps, S = fitted(void_class=VOID, rate_model=rate_model).sample(20)
    assert (S >= 0).any()
    assert S.max() == 1
    assert not (maps == VOID).any()
