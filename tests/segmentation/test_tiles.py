"""Maps that are larger than those of the fit: tiles, and one stream for all of them."""

import tracemalloc
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklvm.label_maps._check_sums import shape_check
from sklvm.label_maps._range_coder import Encoder
from sklvm.segmentation import _bytes
from sklvm.segmentation._bytes import _former_check_sum
from sklvm.segmentation._tiles import Maps, is_too_large, windows

from ..registry import label_maps
from .models import RATE_MODELS, SHAPE, K, fit, fitted, images_of, specks, tiny

FULL = 3, 4  # of `tiny`
VOID = 1


def scene(height, width, seed=0):
    """A map of any size with outlines in it."""
    (rows,) = label_maps(seed, 1, max(3, height), max(3, width))
    return rows.reshape(max(3, height), max(3, width))[:height, :width]


SHAPES = [(7, 9), (1, 13), (11, 1), (3, 4), (3, 9), (2, 2), (5, 4), (3, 4)]
BIG = [scene(*shape, seed) for seed, shape in enumerate(SHAPES)]


def tiles_of(labels, full=FULL):
    return [labels[window] for window in windows(labels.shape, full)]


# How maps are cut ---------------------------------------------------------------------

sides = st.integers(1, 40)


@given(shape=st.tuples(sides, sides), full=st.tuples(sides, sides))
def test_tiles_are_even_fit_and_hold_every_pixel_once(shape, full):
    labels = np.arange(shape[0] * shape[1], dtype=np.int32).reshape(shape)
    maps = Maps.of([labels, labels[:1, :1]], full, "list")
    tiles = tiles_of(labels, full)
    assert len(tiles) == -(-shape[0] // full[0]) * -(-shape[1] // full[1])
    for axis in (0, 1):
        lengths = {tile.shape[axis] for tile in tiles}
        assert max(lengths) <= full[axis]
        assert max(lengths) - min(lengths) <= 1
    pixels = np.concatenate([tile.ravel() for tile in tiles])
    assert_array_equal(np.sort(pixels), labels.ravel())
    back, one = maps.joined(maps.maps)
    assert_array_equal(back, labels)
    assert_array_equal(one, [[0]])
    assert_array_equal(maps.sums(np.ones(len(maps.maps))), [len(tiles), 1])


@given(
    most=st.integers(0, 60),
    distortions=st.lists(st.integers(0, 20), min_size=9, max_size=9),
    weighted=st.booleans(),
)
def test_tiles_share_what_a_map_may_have(most, distortions, weighted):
    shapes = [(7, 9), (3, 9)]  # nine tiles and three
    maps = Maps.of([np.zeros(shape, np.int32) for shape in shapes], (3, 3), "list")
    had = np.array([*distortions, 5, 0, 1], dtype=float)
    most = most / 7 if weighted else most
    limits = maps.limits(most, had)
    for start, stop in ((0, 9), (9, 12)):
        some = limits[start:stop]
        if had[start:stop].sum() <= most:
            assert (some == np.inf).all()
        else:
            assert some.sum() <= most
            assert (some >= 0).all()
            assert weighted or (some == np.floor(some)).all()
    alone = Maps.of([np.zeros((3, 3), np.int32)], (3, 3), "list")
    assert alone.limits(most, np.array([most + 0.3])) == most


# What is asked of large maps is asked of their tiles ----------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("params", [{}, {"class_weight": "balanced"}])
@pytest.mark.parametrize("rate_model", RATE_MODELS)
def test_a_large_map_is_its_tiles(rate_model, params):
    est = tiny(rate_model=rate_model, **params)
    labels = BIG[0]
    tiles = tiles_of(labels)
    S, sparse_tiles = est.transform([labels])[0], est.transform(tiles)
    assert_array_equal(np.concatenate([s.ravel() for s in tiles_of(S)]),
                       np.concatenate([s.ravel() for s in sparse_tiles]))  # fmt: skip
    dense = est.inverse_transform([S])[0]
    for tile, expected in zip(
        tiles_of(dense), est.inverse_transform(sparse_tiles), strict=True
    ):
        assert_array_equal(tile, expected)
    assert_allclose(est.rate([S]), est.rate(sparse_tiles).sum())
    distortion = est.distortion([labels], [S])
    assert_allclose(distortion, est.distortion(tiles, sparse_tiles).sum())
    assert_allclose(est.score_samples([labels]), est.score_samples(tiles).sum())
    assert_allclose(
        est.score_samples([labels]),
        -(est.rate([S]) + est.distortion_weight * distortion),
    )
    curve = est.rate_distortion_curve([labels], [est.distortion_weight])
    assert_allclose(curve.rate, est.rate([S]))
    assert_allclose(curve.distortion, distortion)
    assert_allclose(curve.bits_per_pixel, est.rate([S]) / np.log(2) / labels.size)
    assert_allclose(curve.error, (dense != labels).mean())


@pytest.mark.parametrize("params", [{}, {"class_weight": "balanced"}])
@pytest.mark.parametrize("most", [0, 3, 20])
def test_max_distortion_is_that_of_the_whole_map(most, params):
    est = tiny(**params).set_params(distortion_weight=0.3)
    S = est.transform(BIG, max_distortion=most)
    before, after = est.distortion(BIG, est.transform(BIG)), est.distortion(BIG, S)
    assert (after <= most).all()
    assert before.max() > most
    few = before <= most
    assert_array_equal(after[few], before[few])
    streams = est.encode(BIG, max_distortion=most)
    for decoded, expected in zip(
        est.decode(streams), est.inverse_transform(S), strict=True
    ):
        assert_array_equal(decoded, expected)


@pytest.mark.slow
def test_images_are_cut_with_their_maps():
    est = seeing_maps()
    maps = [specks(3, 6).reshape(12, 10), specks(4, 1).reshape(4, 5)]
    images = [images_of(m.reshape(1, -1)).reshape(*m.shape, 2) for m in maps]
    S = est.transform(maps, images)
    tiles, seen = tiles_of(maps[0], (4, 5)), tiles_of(images[0][..., 0], (4, 5))
    cut = [images[0][window] for window in windows((12, 10), (4, 5))]
    assert seen[5].shape == (4, 5)
    alone = est.transform(tiles, cut)
    for tile, expected in zip(tiles_of(S[0], (4, 5)), alone, strict=True):
        assert_array_equal(tile, expected)
    for lossless in (False, True):
        streams = est.encode(maps, images, lossless=lossless)
        expected = maps if lossless else est.inverse_transform(S, images)
        for decoded, true in zip(est.decode(streams, images), expected, strict=True):
            assert_array_equal(decoded, true)
        with pytest.raises(ValueError, match=r"images\[0\] has the shape"):
            est.decode(streams, [images[0][:8], images[1]])


def seeing_maps():
    maps = specks(0, 40)
    params = {"image_shape": (4, 5), "max_epochs": 3, "channels": (8,)}
    return fit(maps, images_of(maps), **params)


# Bytes --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("rate_model", RATE_MODELS)
def test_maps_of_all_sizes_come_back(rate_model, lossless, checksum):
    est = tiny(rate_model=rate_model)
    how = {"lossless": lossless, "checksum": checksum}
    streams = est.encode(BIG, **how)
    expected = BIG if lossless else est.inverse_transform(est.transform(BIG))
    decoded = est.decode(streams, checksum=checksum)
    for labels, true in zip(decoded, expected, strict=True):
        assert_array_equal(labels, true)
    for labels, stream in zip(BIG, streams, strict=True):
        # None knows of the others.
        assert est.encode([labels], **how) == [stream]


@settings(max_examples=10, deadline=None)
@example(height=3, width=4, seed=0)
@given(height=st.integers(1, 11), width=st.integers(1, 13), seed=st.integers(0, 9))
def test_any_sides(height, width, seed):
    est, labels = tiny(rate_model="subset"), [scene(height, width, seed)]
    (S,) = est.transform(labels)
    (decoded,), (exact,) = (
        # A map of the size of those of `fit`, which were rows, comes back as a row.
        [np.reshape(m, (height, width)) for m in est.decode(est.encode(labels, **how))]
        for how in ({}, {"lossless": True})
    )
    assert_array_equal(decoded, est.inverse_transform([S])[0])
    assert_array_equal(exact, labels[0])


def test_both_kinds_of_lossless_streams(monkeypatch):
    """Whichever is shorter is kept, so that one of them might never be seen."""
    est = tiny()
    for longest in (max, min):
        monkeypatch.setattr(
            _bytes, "min", lambda pair, key, f=longest: f(pair, key=key), raising=False
        )
        streams = est.encode(BIG, lossless=True)
        for labels, true in zip(est.decode(streams), BIG, strict=True):
            assert_array_equal(labels, true)


@pytest.mark.slow
def test_void_pixels_across_tiles():
    est = fitted(void_class=VOID)
    labels = scene(11, 9).copy()
    labels[2:9, 3:8] = VOID
    (S,) = est.transform([labels])
    assert (S[labels == VOID] == -1).all()
    lossy, exact = est.encode([labels])[0], est.encode([labels], lossless=True)[0]
    assert VOID not in est.decode([lossy])[0]
    assert_array_equal(est.decode([exact])[0], labels)
    void = np.full((2 * SHAPE[0], SHAPE[1]), VOID)
    assert_array_equal(est.decode(est.encode([void], lossless=True))[0], void)
    assert est.distortion([void], est.transform([void])) == 0


def test_forms_of_large_maps():
    est = fitted()
    maps = np.stack([scene(6, 13, seed) for seed in range(2)])
    S = est.transform(maps)
    assert S.shape == est.inverse_transform(S).shape == maps.shape
    # Flat rows of another length would not tell their shape.
    assert_array_equal(est.decode(est.encode(maps, lossless=True)), maps)


# By the coder alone, which no network decides.
GOLDEN = {
    ((3, 4), False): "0a3267",
    ((3, 4), True): "4a328ee29da98d",
    ((2, 3), False): "3fe0dd",
    ((2, 3), True): "7fe0dc98cbeba3",
}


@pytest.mark.parametrize(("shape", "checksum"), GOLDEN)
def test_streams_of_maps_that_fit_are_those_of_before(shape, checksum):
    code = np.full((1, *FULL), -1, dtype=np.int32)
    code[0, 0, 1] = 2
    if shape == FULL:
        code[0, 2, 3] = 0
    blank = np.zeros(shape, dtype=np.int32)
    numbers = _former_check_sum(code, blank) if checksum else None
    stream = tiny(rate_model="list")._to_bytes(blank, code, blank, False, numbers)
    assert stream.hex() == GOLDEN[shape, checksum]


def test_maps_with_too_many_tiles():
    est = tiny()
    for shape in ((3 * 4097, 1), (1, (1 << 16) + 1)):
        with pytest.raises(ValueError, match="cut it into several"):
            est.transform([np.zeros(shape, dtype=int)])
        with pytest.raises(ValueError, match="cut it into several"):
            est.rate([np.full(shape, -1)])
    # Tiles that are mostly filling, and a map of the fit of whatever size.
    assert is_too_large((1, 1 << 16), (1 << 14, 16))
    assert not is_too_large((1 << 13, 1 << 13), (1 << 13, 1 << 13))


# Hostile bytes ------------------------------------------------------------------------


def head(est, sides, check=None):
    """The bytes of a stream that says to be of a large map of these sides."""
    coder = Encoder()
    coder.uniform(4, 3)
    coder.choose(_bytes.OTHER_SHAPE, 1)
    for side in FULL:
        coder.uniform(side, side - 1)
    for side in sides:
        coder.uniform(1 << 16, side - 1)
    if check is None:
        check = shape_check(est.map_model_.name, sides, stirs=True)
    coder.uniform(1 << 16, check)
    return coder.finish()


@pytest.mark.parametrize(
    "sides", [*product([1, 3, 1 << 16], [1, 4, 1 << 16]), (4096, 4096), (9, 9)]
)
def test_headers_of_any_sides(sides):
    """Refused before anything of their size is there, or read to an error."""
    est = tiny()
    tracemalloc.start()
    try:
        for filling in (b"", b"\xff" * 50, b"\x5a" * 50):
            with pytest.raises(ValueError, match="Stream 0"):
                est.decode([head(est, sides) + filling])
            with pytest.raises(ValueError, match="altered"):
                est.decode([head(est, sides, 7) + filling])
        assert tracemalloc.get_traced_memory()[1] < 30 * 2**20
    finally:
        tracemalloc.stop()


@cache
def with_checksums(lossless):
    est = tiny(rate_model="subset")
    return est, est.encode(BIG[:1], lossless=lossless, checksum=True)[0]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_altered_streams_of_large_maps(data):
    est, stream = with_checksums(data.draw(st.booleans()))
    altered = bytearray(stream)
    for place in data.draw(st.lists(st.integers(0, len(stream) - 1), max_size=3)):
        altered[place] ^= data.draw(st.integers(1, 255))
    altered = bytes(altered) + data.draw(st.binary(max_size=2))
    altered = altered[: data.draw(st.integers(0, len(altered)))]
    if altered == stream:
        return
    try:
        (labels,) = est.decode([altered])
    except ValueError as error:
        assert "Stream 0" in str(error)
    else:
        # Another kind of stream, which has no checksum.
        assert labels.size <= BIG[0].size
        assert set(np.unique(labels)) <= set(range(K))


def test_streams_of_another_model_are_refused():
    est, other = tiny(), tiny(max_epochs=4, random_state=5)
    other.map_model_.name ^= 1
    for stream in est.encode(BIG[:1]) + est.encode(BIG[:1], lossless=True):
        with pytest.raises(ValueError, match="another model"):
            other.decode([stream])
