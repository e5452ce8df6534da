"""The bytes of a map: exact, as short as the rate says, and safe to decode."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal

from sklvm.label_maps._range_coder import Decoder, Encoder
from sklvm.segmentation._learned import LearnedRate
from sklvm.segmentation._residual import ResidualModel

from ..registry import label_maps
from .models import (
    HELD_OUT,
    RATE_MODELS,
    fit,
    fitted,
    images_of,
    seeing,
    shaken,
    specks,
    tiny,
)

BITS = [1 << bit for bit in range(8)] + [255]
ANY_MAPS = arrays(np.int64, (1, 12), elements=st.integers(0, 2))


@pytest.fixture(scope="module", params=RATE_MODELS)
def est(request):
    return fitted(rate_model=request.param)


@pytest.fixture(scope="module", params=RATE_MODELS)
def small(request):
    return tiny(rate_model=request.param)


def bits(streams):
    return 8 * np.array([len(stream) for stream in streams])


# Exact.


@pytest.mark.slow
def test_a_round_trip_is_the_transform_and_back(est):
    streams = est.encode(HELD_OUT)
    assert all(type(stream) is bytes for stream in streams)
    decoded = est.decode(streams)
    assert decoded.dtype == HELD_OUT.dtype
    assert_array_equal(decoded, est.inverse_transform(est.transform(HELD_OUT)))
    assert (decoded != HELD_OUT).any()


@pytest.mark.slow
@settings(max_examples=8, deadline=None, derandomize=True)
@given(maps=ANY_MAPS, weight=st.floats(0.1, 50))
def test_any_map_at_any_size_of_code(small, maps, weight):
    est = copy.deepcopy(small).set_params(distortion_weight=weight)
    S = est.transform(maps)
    for checksum in (False, True):
        streams = est.encode(maps, checksum=checksum)
        assert_array_equal(est.decode(streams), est.inverse_transform(S))
        limit = est.rate(S) / np.log(2) + 16 + 32 * checksum
        assert (bits(streams) <= limit).all()
        lossless = est.encode(maps, lossless=True, checksum=checksum)
        assert_array_equal(est.decode(lossless), maps)


@pytest.mark.slow
def test_kinds_of_stream_may_be_mixed(est):
    lossy = est.encode(HELD_OUT[:2])
    lossless = est.encode(HELD_OUT[2:4], lossless=True)
    checked = est.encode(HELD_OUT[4:6], checksum=True)
    decoded = est.decode(lossy + lossless + checked)
    assert_array_equal(decoded[:2], est.decode(lossy))
    assert_array_equal(decoded[2:4], HELD_OUT[2:4])
    assert_array_equal(decoded[4:], est.decode(checked))


@pytest.mark.slow
def test_a_stream_does_not_see_its_neighbours(est):
    streams = est.encode(HELD_OUT, lossless=True)
    alone = [est.encode(x[None], lossless=True)[0] for x in HELD_OUT[:6]]
    assert alone == streams[:6]
    other = copy.deepcopy(est).set_params(batch_size=7)
    assert other.encode(HELD_OUT, lossless=True) == streams
    streams = est.encode(HELD_OUT)
    alone = [est.decode([stream])[0] for stream in streams]
    assert_array_equal(alone, est.decode(streams))


def test_images_are_on_both_sides():
    est, maps = seeing(), specks(1, 30)
    images = images_of(maps, seed=1)
    decoded = est.decode(est.encode(maps, images), images)
    S = est.transform(maps, images)
    assert_array_equal(decoded, est.inverse_transform(S, images))
    lossless = est.encode(maps, images, lossless=True)
    assert_array_equal(est.decode(lossless, images), maps)


@pytest.mark.slow
@pytest.mark.parametrize("void_class", [0, 2])
def test_lossless_keeps_void_pixels(void_class):
    est = fitted(void_class=void_class)
    assert (void_class == HELD_OUT).any()
    assert_array_equal(est.decode(est.encode(HELD_OUT, lossless=True)), HELD_OUT)
    assert not (est.decode(est.encode(HELD_OUT)) == void_class).any()


# Short.


@pytest.mark.slow
def test_streams_are_as_short_as_the_rate_says(est):
    for weight in (0.3, 2.0, 20.0):
        other = copy.deepcopy(est).set_params(distortion_weight=weight)
        limit = other.rate(other.transform(HELD_OUT)) / np.log(2) + 16
        assert (bits(other.encode(HELD_OUT)) <= limit).all()
        checked = other.encode(HELD_OUT, checksum=True)
        assert (bits(checked) <= limit + 32).all()


def test_lossless_is_shorter_than_the_raw_map():
    (maps,) = label_maps(0, 12, 24, 32)
    est = fit(maps, image_shape=(24, 32), max_epochs=1, refine=None)
    streams = est.encode(maps, lossless=True)
    assert_array_equal(est.decode(streams), maps)
    assert bits(streams).mean() < 0.5 * maps.shape[1] * np.log2(3)


def test_lossless_of_noise_is_not_much_longer_than_the_raw_map():
    maps = np.random.default_rng(0).integers(3, size=(4, 768))
    est = fit(maps, image_shape=(24, 32), max_epochs=1, refine=None)
    raw = 768 * np.log2(3)
    assert (bits(est.encode(maps, lossless=True)) < 1.5 * raw).all()


def test_as_many_classes_as_there_may_be():
    k, shape = 4096, (4, 5)
    rng = np.random.default_rng(0)
    true, guess = rng.integers(k - 3, k, size=(2, 3, *shape), dtype=np.int32)
    model = ResidualModel(k, shape).fit(true, guess)
    for pair in zip(guess, true, strict=True):
        coder = Encoder()
        model.walk(coder, *pair)
        assert_array_equal(model.walk(Decoder(coder.finish()), pair[0]), pair[1])


@pytest.mark.slow
def test_max_distortion_reaches_the_bytes(est):
    est = copy.deepcopy(est).set_params(distortion_weight=0.5)
    for m in (0, 2):
        decoded = est.decode(est.encode(HELD_OUT, max_distortion=m))
        assert ((decoded != HELD_OUT).sum(axis=1) <= m).all()
        S = est.transform(HELD_OUT, max_distortion=m)
        assert_array_equal(decoded, est.inverse_transform(S))


# Exact on every machine.


@pytest.mark.parametrize("lossless", [False, True])
def test_no_float_decides_what_is_read(monkeypatch, lossless):
    """Where another machine rounds differently another component is the likeliest."""
    est = fitted(rate_model="learned")
    del est.map_model_  # the code without seeds has no components
    streams = est.encode(HELD_OUT, lossless=lossless, checksum=True)
    decoded = est.decode(streams)
    joint = LearnedRate._joint
    monkeypatch.setattr(LearnedRate, "_joint", lambda *args: np.roll(joint(*args), 1))
    assert est.encode(HELD_OUT, lossless=lossless, checksum=True) != streams
    assert_array_equal(est.decode(streams), decoded)


def test_no_network_decides_the_code(est):
    S, streams = est.transform(HELD_OUT), est.encode(HELD_OUT)
    dense = est.inverse_transform(S)
    for scale in (0.5, 5.0):
        other = shaken(est, scale)
        decoded = other.decode(streams)
        # The same seeds, whatever another network makes of them.
        assert_array_equal(decoded, other.inverse_transform(S))
        assert (decoded != dense).any()


@pytest.mark.parametrize("lossless", [False, True])
def test_neither_threads_nor_dtype_decide_the_code(est, lossless):
    streams = est.encode(HELD_OUT, lossless=lossless)
    decoded = est.decode(streams)
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    try:
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(3)
        assert est.encode(HELD_OUT, lossless=lossless) == streams
        assert_array_equal(est.decode(streams), decoded)
    finally:
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)


def test_a_checksum_tells_another_network(est):
    plain, checked = est.encode(HELD_OUT), est.encode(HELD_OUT, checksum=True)
    other = shaken(est)
    for i in range(10):
        same = (other.decode([plain[i]]) == est.decode([plain[i]])).all()
        if same:
            assert_array_equal(other.decode([checked[i]]), est.decode([checked[i]]))
        else:
            with pytest.raises(ValueError, match=r"(?i)checksum|network"):
                other.decode([checked[i]])
    whole = other.decode(plain[:10]) == est.decode(plain[:10])
    assert not whole.all(axis=1).all()


@pytest.mark.slow
@pytest.mark.parametrize("lossless", [False, True])
def test_a_checksum_tells_any_altered_byte(small, lossless):
    (maps,) = label_maps(1, 2, 3, 4)
    for stream in small.encode(maps, lossless=lossless, checksum=True):
        for place in range(len(stream)):
            # Any value of the byte that says how the rest is read, and any bit.
            for change in range(1, 256) if place == 0 else BITS:
                altered = bytearray(stream)
                altered[place] ^= change
                with pytest.raises(ValueError):
                    small.decode([bytes(altered)], checksum=True)


@pytest.mark.parametrize("lossless", [False, True])
def test_a_checksum_tells_what_is_cut_off_or_added(est, lossless):
    for stream in est.encode(HELD_OUT[:10], lossless=lossless, checksum=True):
        for cut in [stream[:n] for n in range(len(stream))] + [stream + b"\0"]:
            with pytest.raises(ValueError):
                est.decode([cut], checksum=True)


def test_a_checksum_may_be_demanded(est):
    checked = est.encode(HELD_OUT, checksum=True)
    assert_array_equal(est.decode(checked, checksum=True), est.decode(checked))
    with pytest.raises(ValueError, match=r"Stream 0 .* no checksum"):
        est.decode(est.encode(HELD_OUT), checksum=True)


def test_options_leave_the_fit_alone(est):
    before = est.encode(HELD_OUT)
    est.encode(HELD_OUT, lossless=True, checksum=True)
    assert est.encode(HELD_OUT) == before
