"""Streams of a model that differs in one thing are a ValueError, and never a map."""

import itertools
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklvm.segmentation import _bytes

from ..registry import label_maps
from .models import TINY, TINY_X, fit, images_of, seeing, specks, tiny

LUT = np.array([2, 7, 255])
KINDS = ["a class more", "random_state", "transposed", "a column more", "labels"]
KINDS += ["text", "other maps", "rate_model", "channels", "void_class", "images"]
# Of several labels and of one, and of another shape than that of the fit.
(FEW,) = label_maps(1, 3, 3, 4)
MAPS = [*FEW.reshape(-1, 3, 4), np.full((3, 4), 1), np.full((2, 3), 2)]
MAPS += [np.arange(42).reshape(6, 7) % 3]


@cache
def model(kind, rate_model):
    params = {**TINY, "rate_model": rate_model}
    X = TINY_X.reshape(-1, 3, 4)
    if kind == "a class more":
        return fit(X, **params | {"n_classes": 4})
    if kind == "random_state":
        return fit(X, **params | {"random_state": 1})
    if kind == "transposed":
        return fit(X.swapaxes(1, 2), **params | {"image_shape": (4, 3)})
    if kind == "a column more":
        X = np.pad(X, ((0, 0), (0, 0), (0, 1)), "edge")
        return fit(X, **params | {"image_shape": (3, 5)})
    if kind in ("labels", "text"):
        lut = LUT.astype(str) if kind == "text" else LUT
        return fit(lut[X], **params | {"n_classes": None})
    if kind == "other maps":
        return fit(label_maps(5, 40, 3, 4)[0], **params)
    if kind == "rate_model":
        rate_model = "list" if rate_model != "list" else "subset"
        return fit(X, **params | {"rate_model": rate_model})
    if kind == "channels":
        return fit(X, **params | {"channels": (6, 6)})
    if kind == "void_class":
        return fit(X, **params | {"void_class": 2})
    if kind == "images":
        return fit(TINY_X, images_of(TINY_X), **params)
    return fit(X, **params)


def coded(kind, rate_model, maps, **how):
    """The model, its streams of the maps, and the images that it takes beside one."""
    est, beside, many = model(kind, rate_model), None, None
    if kind == "images":
        images = [np.stack([m, m], axis=-1).astype(float) for m in maps]
        many, beside = images, images[:1]
    if kind in ("labels", "text"):
        maps = [est.classes_[m] for m in maps]
    return est, est.encode(maps, many, **how), beside


@pytest.mark.slow
@pytest.mark.parametrize("rate_model", ["list", "learned"])
@pytest.mark.parametrize("kind", KINDS)
def test_either_refuses_the_streams_of_the_other(kind, rate_model):
    for lossless in (False, True):
        how = {"lossless": lossless, "checksum": True}
        # With one image all maps have to be of its shape.
        maps = MAPS[:4] if kind == "images" else MAPS
        mine, here, _ = coded("base", rate_model, maps, **how)
        its, there, beside = coded(kind, rate_model, maps, **how)
        for streams, reader, image in ((here, its, beside), (there, mine, None)):
            for stream in streams:
                with pytest.raises(ValueError, match="Stream 0 is not what encode"):
                    reader.decode([stream], image, checksum=True)
                with pytest.raises(ValueError, match="Stream 0 is not what encode"):
                    reader.decode([stream], image)


def test_another_network_alone_is_another_model():
    """Though no pixel of what it decodes need differ."""
    est, other = tiny(rate_model="list"), tiny(rate_model="list")
    head = other.net_.module.decoder.head
    head.bias.data[0] += 1e-6
    for lossless in (False, True):
        for stream in est.encode(FEW, lossless=lossless, checksum=True):
            est.decode([stream])
            with pytest.raises(ValueError, match="another model"):
                other.decode([stream])


def test_other_images_of_the_fit():
    maps = specks(0, 40)
    params = {"image_shape": (4, 5), "max_epochs": 2}
    other = fit(maps, images_of(maps, seed=3), **params)
    images = images_of(maps[:4])
    for lossless in (False, True):
        streams = seeing().encode(maps[:4], images, lossless=lossless, checksum=True)
        for i, stream in enumerate(streams):
            with pytest.raises(ValueError, match="Stream 0"):
                other.decode([stream], images[i : i + 1])


# Maps of one label --------------------------------------------------------------------


def test_maps_that_are_all_void_take_a_byte_and_the_checksum():
    void = np.full((3, 4), 2)
    est = model("void_class", "list")
    for maps in ([void], [void, FEW[0].reshape(3, 4)]):
        for checksum, most in ((True, 5), (False, 5)):
            streams = est.encode(maps, lossless=True, checksum=checksum)
            assert len(streams[0]) <= most
            for read, labels in zip(est.decode(streams), maps, strict=True):
                assert_array_equal(read.reshape(3, 4), labels)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(3, 4), (2, 3), (1, 1), (7, 9), (1, 50)])
def test_maps_of_one_label_are_no_longer_than_their_pixels(monkeypatch, shape):
    est, maps = tiny(), [np.full(shape, label) for label in range(3)]
    for checksum in (True, False):
        streams = est.encode(maps, lossless=True, checksum=checksum)
        for read, labels in zip(est.decode(streams), maps, strict=True):
            assert_array_equal(read.reshape(shape), labels)
        with monkeypatch.context() as patch:
            patch.setattr(_bytes, "write_one_label", lambda *args: bytes(10**6))
            pixels = est.encode(maps, lossless=True, checksum=checksum)
        for one, other in zip(streams, pixels, strict=True):
            assert len(one) <= len(other)


@pytest.mark.slow
def test_every_bit_of_a_map_of_one_label_counts():
    """Those of the shape as well: (1, 4) and (2, 2) have the same pixels.

    Sides of powers of 2 take bits of their own, the first ones of a stream.
    """
    X = np.repeat(TINY_X.reshape(-1, 3, 4), 2, axis=1)[:, :4]
    est = fit(X, **TINY | {"image_shape": (4, 4)})
    pairs = [*itertools.combinations(range(15), 2), *((i, i) for i in range(50))]
    for shape, lossless in itertools.product(((1, 2), (1, 4)), (False, True)):
        labels = [np.zeros(shape, dtype=int)]
        (stream,) = est.encode(labels, lossless=lossless, checksum=True)
        bits = np.unpackbits(np.frombuffer(stream, dtype=np.uint8))
        for pair in pairs:
            if max(pair) < len(bits):
                altered = bits.copy()
                altered[list(set(pair))] ^= 1
                with pytest.raises(ValueError, match="Stream 0"):
                    est.decode([np.packbits(altered).tobytes()], checksum=True)


# Of earlier versions ------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("rate_model", ["list", "learned"])
def test_streams_of_before_are_read(monkeypatch, rate_model):
    """Their checksums name a part of the model, or nothing of it."""
    est = tiny(rate_model=rate_model)
    for lossless in (False, True):
        expected = est.decode(est.encode(MAPS, lossless=lossless))
        with monkeypatch.context() as patch:
            patch.setattr(_bytes, "write_one_label", lambda *args: bytes(10**6))
            patch.setattr(est, "_name", lambda: est.map_model_.name, raising=False)

            def former(name, shape, *arrays, now=_bytes.check_sum):
                if len(arrays) == 1:
                    return now(name, shape, *arrays)
                return _bytes._former_check_sum(*arrays)

            patch.setattr(_bytes, "check_sum", former)
            before = est.encode(MAPS, lossless=lossless, checksum=True)
        assert before != est.encode(MAPS, lossless=lossless, checksum=True)
        for read, labels in zip(
            est.decode(before, checksum=True), expected, strict=True
        ):
            assert_array_equal(read, labels)
