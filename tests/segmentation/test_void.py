"""The void class after the fit: as it was in the fit, and in no code."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ..autoencoder.test_structured_bad_input import refused
from .models import HELD_OUT, RATE_MODELS, X, fitted

VOID = 2


def what_it_says(est):
    """All that the void class has a part in."""
    S = est.transform(HELD_OUT)
    curve = est.rate_distortion_curve(HELD_OUT, [1.0])
    values = [S, est.distortion(HELD_OUT, S), est.score(HELD_OUT), est.sample(4)[1]]
    streams = [est.encode(HELD_OUT), est.encode(HELD_OUT, lossless=True)]
    return [*values, curve.error, *map(est.decode, streams)]


@pytest.mark.parametrize("present", [None, 0])
def test_the_void_class_is_that_of_the_fit(present):
    est = fitted(void_class=VOID)
    assert est.void_class_ == VOID
    expected = what_it_says(est)
    est.set_params(void_class=present)
    for one, other in zip(what_it_says(est), expected, strict=True):
        assert_array_equal(one, other)
    maps = np.full((1, HELD_OUT.shape[1]), VOID)
    refused(est.transform, maps, words=("void_class", VOID))


def test_a_void_class_that_the_fit_did_not_have():
    est = fitted()
    expected = what_it_says(est)
    est.set_params(void_class=VOID)
    for one, other in zip(what_it_says(est), expected, strict=True):
        assert_array_equal(one, other)
    est.transform(np.full((1, HELD_OUT.shape[1]), VOID))


def test_a_second_fit_takes_the_new_one():
    est = fitted(void_class=VOID).set_params(void_class=0, max_epochs=3).fit(X)
    assert est.void_class_ == 0


def test_no_seed_is_void():
    est = fitted(void_class=VOID)
    S = est.transform(HELD_OUT)
    S[3, 7] = VOID
    words = ("S", "void_class", VOID)
    refused(est.inverse_transform, S, words=words)
    refused(est.rate, S, words=words)
    refused(est.distortion, HELD_OUT, S, words=words)


@pytest.mark.slow
@pytest.mark.parametrize("rate_model", RATE_MODELS)
def test_no_stream_has_a_void_seed(rate_model):
    params = {"rate_model": rate_model}
    est, other = fitted(void_class=VOID, **params), fitted(**params)
    # Written by a model whose P(L) is the same, and which has no void class.
    other.rate_model_ = est.rate_model_
    S = other.transform(HELD_OUT)
    with_void = (VOID == S).any(axis=1)
    assert with_void.any()
    for void, stream in zip(with_void, other.encode(HELD_OUT), strict=True):
        if void:
            refused(est.decode, [stream], words=("Stream 0", "void_class", VOID))
        else:
            est.decode([stream])


@pytest.mark.parametrize("rate_model", RATE_MODELS)
def test_samples_are_without_it(rate_model):
    maps, S = fitted(void_class=VOID, rate_model=rate_model).sample(20)
    assert (S >= 0).any()
    assert not (VOID == S).any()
    assert not (maps == VOID).any()
