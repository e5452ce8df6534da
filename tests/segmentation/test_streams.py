"""Bytes that no encoder has written: a valid map or a ValueError, soon and cheaply."""

import time
import tracemalloc
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from ..autoencoder.test_structured_bad_input import refused
from ..registry import label_maps
from .models import HELD_OUT, RATE_MODELS, K, P, fitted, seeing, tiny

# Generous: each takes milliseconds and kilobytes.
SECONDS, MEGABYTES = 2.0, 30


@pytest.fixture(scope="module", params=RATE_MODELS)
def est(request):
    return tiny(rate_model=request.param)


@pytest.fixture(scope="module")
def streams(est):
    (maps,) = label_maps(1, 20, 3, 4)
    return [
        stream
        for lossless in (False, True)
        for checksum in (False, True)
        for stream in est.encode(maps, lossless=lossless, checksum=checksum)
    ]


def decode(est, stream, n_pixels=12):
    """The map, None after a ValueError."""
    start = time.perf_counter()
    try:
        dense = est.decode([stream])
    except ValueError as error:
        assert "0" in str(error)
        dense = None
    else:
        # One that tells its shape is no flat row.
        is_row = dense.shape == (1, n_pixels)
        assert is_row or (dense.ndim == 3 and dense.size <= n_pixels)
        assert dense.dtype == HELD_OUT.dtype
        assert dense.min() >= 0
        assert dense.max() < K
    assert time.perf_counter() - start < SECONDS
    return dense


def spoil(rng, stream):
    """A part of the stream, the stream with a bit flipped, or longer."""
    kind = rng.integers(4) if stream else 1
    if kind == 0:
        return stream[: rng.integers(len(stream))]
    if kind == 1:
        return stream + rng.bytes(rng.integers(1, 5))
    altered = bytearray(stream)
    for place in rng.integers(len(stream), size=kind - 1):
        altered[place] ^= 1 << rng.integers(8)
    return bytes(altered)


@pytest.mark.slow
def test_random_bytes(est):
    rng = np.random.default_rng(0)
    decoded = [decode(est, rng.bytes(rng.integers(0, 12))) for _ in range(300)]
    assert any(dense is None for dense in decoded)


@pytest.mark.slow
def test_spoilt_streams(est, streams):
    rng = np.random.default_rng(1)
    for _ in range(400):
        decode(est, spoil(rng, streams[rng.integers(len(streams))]))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(stream=st.binary(max_size=40))
def test_bytes_that_hypothesis_finds(est, stream):
    decode(est, stream)


@pytest.mark.slow
def test_every_first_byte(est):
    decode(est, b"")
    for first in range(256):
        decode(est, bytes([first]))
        decode(est, bytes([first, 255 - first]))


def test_long_streams_are_refused_at_once(est):
    for start in range(0, 256, 15):
        for filling in (b"\x00", b"\xff", b"\xa5"):
            decode(est, bytes([start]) + filling * 20000)


@pytest.mark.slow
def test_nothing_large_is_allocated(est, streams):
    rng = np.random.default_rng(2)
    hostile = [spoil(rng, stream) for stream in streams[::2]]
    hostile += [rng.bytes(20) for _ in range(20)]
    hostile += [bytes([i]) + b"\xff" * 8 for i in range(0, 256, 9)]
    hostile += [bytes([i]) + b"\xff" * 20000 for i in range(0, 256, 9)]
    decode(est, streams[0])  # what is imported or cached at the first call
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for stream in hostile:
            tracemalloc.reset_peak()
            decode(est, stream)
            _, peak = tracemalloc.get_traced_memory()
            assert peak - before < MEGABYTES * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_maps_of_another_size():
    small = tiny(rate_model="subset")
    (maps,) = label_maps(1, 10, 3, 4)
    for stream in fitted(rate_model="subset").encode(HELD_OUT[:10]):
        decode(small, stream)
    for stream in small.encode(maps):
        decode(fitted(rate_model="subset"), stream, P)


def test_the_error_names_the_stream(est, streams):
    good = [streams[0], streams[1], streams[2]]
    for place in range(3):
        spoilt = [*good]
        spoilt[place] += 100 * b"\xff"
        with pytest.raises(ValueError, match=rf"\b{place}\b"):
            est.decode(spoilt)


@pytest.mark.parametrize("stream", ["text", 5, None, [1, 2], 1.5])
def test_what_is_no_bytes(est, stream):
    with pytest.raises((ValueError, TypeError), match=r"(?i)stream"):
        est.decode([stream])


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_are_no_list_of_streams(est, streams, kind):
    refused(est.decode, kind(streams[0]), words=("streams", "[stream]"))


@pytest.mark.parametrize("wrong", [None, 5, [], {}, iter([b""]), np.array(b"")])
def test_what_is_no_list(est, wrong):
    refused(est.decode, wrong, words=("streams", f"{wrong!r:.40}", "list"))


def test_streams_that_are_empty(est, streams):
    """As those of a file whose bytes were lost, which some models took for a map."""
    refused(est.decode, [streams[0], b""], words=("Stream 1", "empty"))
    full = HELD_OUT[:1, :12] * 0  # of seeds everywhere: the number 0, of no bytes
    stream = est._to_bytes(*[full.reshape(1, 3, 4)[0], full.reshape(1, 3, 4)],
                           full, lossless=False, numbers=None)  # fmt: skip
    assert stream
    assert (decode(est, stream) == 0).all()


def test_lists_of_all_kinds(est, streams):
    expected = est.decode(streams[:3])
    for kind in (tuple, partial(np.array, dtype=object)):
        assert_array_equal(est.decode(kind(streams[:3])), expected)
    views = [bytearray(streams[0]), memoryview(streams[1]), streams[2]]
    assert_array_equal(est.decode(views), expected)


def test_images_are_needed_and_as_many_as_streams():
    est = seeing()
    with pytest.raises(ValueError, match="images"):
        est.decode([b"\0"])
    with pytest.raises(ValueError, match="images"):
        est.decode([b"\0"], np.zeros((2, 40)))
    with pytest.raises(ValueError, match="images"):
        tiny().decode([b"\0"], np.zeros((1, 24)))
