"""Streams of a model that differs in one thing are a ValueError, and never a map."""

import copy
import itertools
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklvm import LabelMapCodec
from sklvm.label_maps import _codec
from sklvm.label_maps._check_sums import shape_check
from sklvm.label_maps._labels import PixelLabels

from .maps import HELD_OUT, X, fitted, photographs, scenes

OTHER_LABELS = {
    "the last one": [0, 1, 2, 4],
    "all of them": [1, 2, 3, 4],
    "a negative one": [-1, 0, 1, 2],
    "ids": [7, 26, 255, 10**12],
    "text": ["0", "1", "2", "3"],
}
OTHERS = {
    "a class more": lambda: LabelMapCodec(n_classes=5).fit(X[:20]),
    "other maps": lambda: LabelMapCodec().fit(scenes(2, 20)),
    "a map less": lambda: LabelMapCodec().fit(X[:-1]),
    "transposed": lambda: LabelMapCodec().fit(X[:20].swapaxes(1, 2)),
    "a column more": lambda: LabelMapCodec().fit(
        np.pad(X[:20], ((0, 0), (0, 0), (0, 1)), "edge")
    ),
    "flat rows": lambda: LabelMapCodec().fit(X[:20].reshape(20, -1)),
    **{
        labels: lambda labels=labels: LabelMapCodec().fit(relabelled(X, labels))
        for labels in OTHER_LABELS
    },
}
# Of several labels and of one, of the shape of the fit and of another.
MAPS = [*HELD_OUT[:4], HELD_OUT[4, :7, :9], np.full((16, 20), 1), np.full((7, 9), 3)]


def relabelled(maps, labels):
    return np.array(OTHER_LABELS[labels])[maps]


@cache
def other(kind):
    return OTHERS[kind]()


@pytest.mark.slow
@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("kind", OTHERS)
def test_either_refuses_the_streams_of_the_other(kind, checksum):
    mine, its = fitted(), other(kind)
    here = MAPS
    there = [relabelled(m, kind) for m in MAPS] if kind in OTHER_LABELS else MAPS
    for writer, maps, reader in ((mine, here, its), (its, there, mine)):
        if kind == "flat rows":
            # One of a single row of pixels has no map of the shape of the other.
            maps = [m for m in maps if m.shape == (16, 20)]
        for stream in writer.encode(list(maps), checksum=checksum):
            with pytest.raises(ValueError, match="Stream 0 is not what encode"):
                reader.decode([stream], checksum=checksum)


@pytest.mark.slow
@pytest.mark.parametrize("checksum", [True, False])
def test_with_images_and_without(checksum):
    plain, seeing = fitted(), fitted(with_images=True)
    images = photographs(HELD_OUT, seed=1)
    others = LabelMapCodec().fit(X[:20], images=photographs(X[:20], seed=5))
    for stream in plain.encode(HELD_OUT, checksum=checksum):
        with pytest.raises(ValueError, match="not what encode"):
            seeing.decode([stream], images[:1], checksum=checksum)
    for stream in seeing.encode(HELD_OUT, images, checksum=checksum):
        with pytest.raises(ValueError, match="not what encode"):
            plain.decode([stream], checksum=checksum)
        with pytest.raises(ValueError, match="not what encode"):
            others.decode([stream], images[:1], checksum=checksum)


@pytest.mark.slow
def test_labels_that_are_equal_are_the_same_labels():
    streams = fitted().encode(HELD_OUT)
    for dtype in (np.uint8, np.int64, float):
        codec = LabelMapCodec().fit(X.astype(dtype))
        assert_array_equal(codec.decode(streams), HELD_OUT)
        assert codec.encode(HELD_OUT) == streams
        assert codec.decode(streams).dtype == dtype


def test_the_name_of_labels():
    numbers = [PixelLabels(np.arange(3, dtype=t)).name for t in (np.uint8, float)]
    assert numbers == [0, 0]
    assert PixelLabels(np.array([False, True])).name == 0
    others = [[0, 1, 3], [1, 2, 3], [0, 1, 2, 4], ["0", "1", "2"], ["0", '1", "2']]
    names = [PixelLabels(np.array(labels)).name for labels in others]
    assert len({0, *names}) == 6
    # The order of void labels is that of their numbers.
    assert PixelLabels(np.array([0, 1]), [2]).name == 0
    assert PixelLabels(np.array([0, 1]), [255]).name != 0


# Of earlier versions ------------------------------------------------------------------


@pytest.mark.parametrize("checksum", [True, False])
def test_models_of_before_read_and_write_their_own_streams(monkeypatch, checksum):
    codec = copy.deepcopy(other("ids"))
    maps = [relabelled(m, "ids") for m in MAPS]
    # They have no name of the labels, and their streams none either.
    del codec._pixel_labels.name
    del codec.model_.stirs_shapes
    before = streams_of_pixels(monkeypatch, codec, maps, checksum)
    for streams in (before, codec.encode(maps, checksum=checksum)):
        for read, labels in zip(
            codec.decode(streams, checksum=checksum), maps, strict=True
        ):
            assert_array_equal(read, labels)
    mine = fitted()
    del mine.model_.stirs_shapes
    assert before == streams_of_pixels(monkeypatch, mine, MAPS, checksum)
    for stream in before:
        with pytest.raises(ValueError, match="another model"):
            other("ids").decode([stream], checksum=checksum)


def streams_of_pixels(monkeypatch, codec, maps, checksum):
    """Of earlier versions, in which maps of one label have the code of their pixels."""
    with monkeypatch.context() as patch:
        patch.setattr(_codec, "write_one_label", lambda *args: bytes(10**6))
        return codec.encode(maps, checksum=checksum)


def test_altered_shapes_have_other_checks():
    """As random numbers of 16 bits have; of a CRC 1 in 100 of these pairs has not."""
    same = {True: 0, False: 0}
    names = np.random.default_rng(0).integers(1 << 32, size=40).tolist()
    pairs = list(itertools.combinations(range(16), 2))
    for name, (low, high), stirs in itertools.product(names, pairs, same):
        altered = 1 + (6 ^ 1 << low ^ 1 << high)
        check = shape_check(name, (altered, 9), stirs)
        same[stirs] += check == shape_check(name, (7, 9), stirs)
    # 4,800 pairs, of which 0.07 are expected.
    assert same[True] <= 2
    assert same[False] > 20


# Maps of one label --------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(16, 20), (1, 1), (1, 300), (200, 3)])
def test_maps_of_one_label_are_their_label(monkeypatch, shape):
    codec = fitted()
    maps = [np.full(shape, label) for label in range(4)]
    for checksum in (True, False):
        streams = codec.encode(maps, checksum=checksum)
        for read, labels in zip(
            codec.decode(streams, checksum=checksum), maps, strict=True
        ):
            assert_array_equal(read, labels)
        pixels = streams_of_pixels(monkeypatch, codec, maps, checksum)
        for one, pixel in zip(streams, pixels, strict=True):
            assert len(one) <= len(pixel)
    if shape == (16, 20):
        # Two bits, those of the label and a checksum of four bytes.
        assert max(map(len, codec.encode(maps))) == 5


@pytest.mark.slow
def test_altered_streams_of_one_label():
    codec = fitted()
    maps = [np.full((16, 20), 2), np.full((8, 9), 3)]
    for stream in codec.encode(maps):
        for bit in range(8 * len(stream)):
            altered = bytearray(stream)
            altered[bit // 8] ^= 1 << bit % 8
            with pytest.raises(ValueError, match="Stream 0"):
                codec.decode([bytes(altered)])
        for longer in (stream + b"\0", stream + b"\1", stream[:-1]):
            with pytest.raises(ValueError, match="Stream 0"):
                codec.decode([longer])
