"""Lossless streams: with seeds or without, whichever is shorter, and of one model."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import sklvm
from sklvm import LabelMapCodec

from .models import HELD_OUT, SHAPE, K, X, fitted, images_of, seeing, specks


def with_seeds(est):
    """The same model as one of an earlier version, which has no code without seeds."""
    del est.map_model_
    return est


def sizes(streams):
    return np.array([len(stream) for stream in streams])


def test_the_shorter_one_of_each_map():
    mixed = np.concatenate(
        [HELD_OUT, specks(0, 4).repeat(2, 1)[:, : HELD_OUT.shape[1]]]
    )
    streams = fitted().encode(mixed, lossless=True)
    seeded = with_seeds(fitted()).encode(mixed, lossless=True)
    codec = LabelMapCodec(image_shape=SHAPE, n_classes=K).fit(X)
    # The bit that says which it is; and where all maps are of one shape 1 / 256 of one.
    assert (sizes(streams) <= sizes(seeded) + 1).all()
    assert (sizes(streams) <= sizes(codec.encode(mixed)) + 1).all()
    assert (sizes(streams) < sizes(seeded)).any()
    assert_array_equal(fitted().decode(streams), mixed)


def test_with_images():
    maps = specks(1, 6)
    images = images_of(maps, seed=1)
    streams = seeing().encode(maps, images, lossless=True)
    assert_array_equal(seeing().decode(streams, images), maps)
    seeded = with_seeds(seeing()).encode(maps, images, lossless=True)
    assert (sizes(streams) <= sizes(seeded) + 1).all()


@pytest.mark.slow
def test_a_checksum_is_the_default():
    est = fitted()
    streams = est.encode(HELD_OUT, lossless=True)
    assert streams == est.encode(HELD_OUT, lossless=True, checksum=True)
    assert_array_equal(est.decode(streams, checksum=True), HELD_OUT)
    assert est.encode(HELD_OUT) == est.encode(HELD_OUT, checksum=False)
    rng = np.random.default_rng(0)
    for stream in streams:
        for _ in range(20):
            altered = bytearray(stream)
            altered[rng.integers(len(altered))] ^= 1 << rng.integers(8)
            with pytest.raises(ValueError, match="Stream 0"):
                est.decode([bytes(altered)], checksum=True)


def test_another_model_refuses_lossless_streams():
    other = fitted()
    other.map_model_ = LabelMapCodec(image_shape=SHAPE, n_classes=K).fit(X[:30]).model_
    for stream in fitted().encode(HELD_OUT, lossless=True):
        with pytest.raises(ValueError, match="Stream 0"):
            other.decode([stream], checksum=True)


def test_files_write_the_same_bytes(tmp_path):
    est = fitted()
    sklvm.save(est, tmp_path / "est.sklvm")
    streams = est.encode(HELD_OUT, lossless=True)
    loaded = sklvm.load(tmp_path / "est.sklvm")
    assert loaded.encode(HELD_OUT, lossless=True) == streams
    assert_array_equal(loaded.decode(streams), HELD_OUT)


def test_models_without_it_read_and_write_their_own_streams():
    est = with_seeds(fitted())
    assert_array_equal(est.decode(est.encode(HELD_OUT, lossless=True)), HELD_OUT)
