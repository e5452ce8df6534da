"""SparseSegmentationRDA of masks as people have them: any labels, any shapes."""

import pickle
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import sklvm
from sklvm import SparseSegmentationRDA

from ..autoencoder.models import quietly
from ..autoencoder.test_structured_bad_input import refused
from . import models
from .models import QUICK, RATE_MODELS, SHAPE, K, P, fit, fitted, images_of

# Searches take their time.
X, HELD_OUT = models.X[:16], models.HELD_OUT[:6]
MAPS, HELD_OUT_MAPS = X.reshape(-1, *SHAPE), HELD_OUT.reshape(-1, *SHAPE)
WORDS = np.array(["road", "sky", "tree"])
LABELS = {
    "255": np.array([0, 7, 255], dtype=np.uint8),
    "below 0": np.array([-1, 0, 5], dtype=np.int16),
    "ids": np.array([24001, 26002, 2**40]),
    "floats": np.array([1.0, 2.0, 300.0], dtype=np.float32),
    "words": WORDS,
    "objects": WORDS.astype(object),
}


def short(X, images=None, **params):
    """A short training on X, whose labels and shape are taken from it."""
    params = QUICK | {"max_epochs": 3, "image_shape": None, "n_classes": None} | params
    return quietly(SparseSegmentationRDA(**params).fit, X, None, images)


def same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert_array_equal(a, b)


@cache
def of_numbers():
    return short(X, image_shape=SHAPE)


# Labels.


@pytest.mark.slow
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels_change_nothing_but_the_labels(labels):
    est, plain = short(labels[X], image_shape=SHAPE), of_numbers()
    assert_array_equal(est.classes_, labels)
    maps = labels[HELD_OUT]
    S = est.transform(maps)
    assert_array_equal(S, plain.transform(HELD_OUT))
    assert est.score(maps) == plain.score(HELD_OUT)
    dense = est.inverse_transform(S)
    assert dense.dtype == labels.dtype
    assert_array_equal(dense, labels[plain.inverse_transform(S)])
    assert_array_equal(est.distortion(maps, S), (dense != maps).sum(axis=1))
    assert est.encode(maps) == plain.encode(HELD_OUT)
    assert_array_equal(est.decode(est.encode(maps, lossless=True)), maps)
    assert set(np.unique(est.sample(3)[0])) <= set(labels)


def test_booleans():
    est = short(MAPS > 0)
    decoded = est.decode(est.encode(HELD_OUT_MAPS > 0, lossless=True))
    assert decoded.dtype == bool
    assert_array_equal(decoded, HELD_OUT_MAPS > 0)


def test_ids_cost_no_more_than_their_number():
    est = short(np.array([0, 1, 60_000])[MAPS])
    assert est.net_.module.n_classes == est.n_classes_ == K


@pytest.mark.slow
def test_void_labels_have_no_plane():
    est = short(np.where(MAPS == 1, 255, MAPS), void_class=255)
    assert est.net_.module.n_classes == 2
    assert_array_equal(est.classes_, [0, 2])
    assert est.void_class_ == 255
    est = short(np.where(MAPS == 1, 255, MAPS), void_class=[255, -1])
    assert est.void_class_ == (255, -1)


@pytest.mark.slow
def test_a_training_that_goes_on_keeps_its_labels():
    est = short(WORDS[MAPS], warm_start=True)
    quietly(est.fit, WORDS[np.minimum(MAPS, 1)])
    assert_array_equal(est.classes_, WORDS)
    refused(est.fit, np.full_like(WORDS[MAPS], "car"), words=("'car'",))


@pytest.mark.slow
def test_labels_are_saved(tmp_path):
    est = short(WORDS[MAPS], void_class="tree")
    maps = WORDS[HELD_OUT_MAPS]
    expected = est.encode(maps, lossless=True)
    sklvm.save(est, tmp_path / "model")
    for other in (sklvm.load(tmp_path / "model"), pickle.loads(pickle.dumps(est))):
        assert other.encode(maps, lossless=True) == expected
        assert_array_equal(other.decode(expected), maps)


# Shapes.


@pytest.mark.slow
def test_maps_come_out_as_they_went_in():
    rows, est = of_numbers(), short(MAPS)
    assert est.image_shape_ == SHAPE
    assert est.n_features_in_ == P
    S = est.transform(HELD_OUT_MAPS)
    assert S.shape == HELD_OUT_MAPS.shape
    assert_array_equal(S.reshape(-1, P), rows.transform(HELD_OUT))
    assert est.score(HELD_OUT_MAPS) == rows.score(HELD_OUT)
    dense = est.inverse_transform(S)
    assert_array_equal(dense.reshape(-1, P), rows.inverse_transform(S.reshape(-1, P)))
    assert_array_equal(est.decode(est.encode(HELD_OUT_MAPS)), dense)
    assert_array_equal(est.rate(S), rows.rate(S.reshape(-1, P)))
    assert est.sample(2)[1].shape == (2, *SHAPE)
    # A fit takes all forms.
    assert_array_equal(rows.transform(HELD_OUT_MAPS), S)
    same(rows.transform(list(HELD_OUT_MAPS)), S)
    assert_array_equal(est.transform(HELD_OUT), S.reshape(-1, P))


SMALLER = [HELD_OUT_MAPS[0], HELD_OUT_MAPS[1][:3], HELD_OUT_MAPS[2][:, :4],
           HELD_OUT_MAPS[3][:1, :1]]  # fmt: skip


@pytest.mark.parametrize("rate_model", RATE_MODELS)
def test_lists_of_maps_of_several_shapes(rate_model):
    est = fitted(rate_model=rate_model)
    S = est.transform(SMALLER)
    dense = est.inverse_transform(S)
    for s, y, m in zip(S, dense, SMALLER, strict=True):
        assert s.shape == y.shape == m.shape
        assert_array_equal(s[s >= 0], m[s >= 0])
    wrong = [(y != m).sum() for y, m in zip(dense, SMALLER, strict=True)]
    assert_array_equal(est.distortion(SMALLER, S), wrong)
    scores = -(est.rate(S) + est.distortion_weight * np.array(wrong))
    np.testing.assert_allclose(est.score_samples(SMALLER), scores)
    for checksum in (False, True):
        same(est.decode(est.encode(SMALLER, checksum=checksum)), dense)
        lossless = est.encode(SMALLER, lossless=True, checksum=checksum)
        same(est.decode(lossless), SMALLER)
    curve = est.rate_distortion_curve(SMALLER, [est.distortion_weight])
    n_pixels = sum(m.size for m in SMALLER)
    assert curve.error == pytest.approx(sum(wrong) / n_pixels)
    bits = est.rate(S).sum() / np.log(2) / n_pixels
    assert curve.bits_per_pixel == pytest.approx(bits)


@pytest.mark.slow
def test_a_fit_to_maps_of_several_shapes():
    maps = [m[: 3 + i % 3, : 2 + i % 5] for i, m in enumerate(MAPS)]
    est = short(maps)
    assert est.image_shape_ == SHAPE
    assert np.isfinite(est.lower_bound_)
    same(est.decode(est.encode(SMALLER, lossless=True)), SMALLER)
    decoded, sparse = est.sample(2)
    assert isinstance(decoded, list) and decoded[0].shape == sparse[0].shape == SHAPE


def test_what_lies_outside_of_a_map_is_nothing():
    """The code of a smaller map is that of the same map with void around."""
    est = fitted(void_class=2)
    small = np.minimum(HELD_OUT_MAPS[:, :4, :4], 1)
    around = np.full_like(HELD_OUT_MAPS, 2)
    around[:, :4, :4] = small
    S = est.transform(around)
    assert_array_equal(est.transform(small), S[:, :4, :4])
    assert_array_equal(est.score_samples(small), est.score_samples(around))


def test_a_seed_outside_of_its_map_is_no_stream():
    est = fitted()
    code = np.full(SHAPE, -1, dtype=np.int32)
    code[4, 5] = 1
    maps = HELD_OUT_MAPS[0][:2, :2]
    stream = est._to_bytes(maps, code[None], maps, False, None)
    refused(est.decode, [stream], words=("Stream 0", "outside"))
    code[4, 5] = -1
    # A full shape has one code only, and this is not it.
    assert len(est.decode([est._to_bytes(maps, code[None], maps, False, None)])) == 1


def test_maps_are_no_tables():
    est = fitted().set_output(transform="pandas")
    refused(est.transform, HELD_OUT_MAPS, words=("set_output", "reshape"))
    assert est.transform(HELD_OUT).shape == HELD_OUT.shape


@pytest.mark.parametrize("axis", [-1, 1])
def test_one_hot_maps(axis):
    hot = np.moveaxis(np.eye(K)[MAPS], -1, axis)
    refused(fitted().fit, hot, words=(f"X.argmax(axis={axis})",))
    refused(fitted().transform, hot, words=(f"X.argmax(axis={axis})",))


# Images.


@pytest.mark.slow
def test_images_in_all_forms():
    flat = images_of(X)
    shaped = flat.reshape(-1, *SHAPE, 2)
    rows, est = short(X, flat, image_shape=SHAPE), short(MAPS, shaped)
    maps, images = HELD_OUT_MAPS[:5], images_of(HELD_OUT)[:5]
    S = rows.transform(HELD_OUT[:5], images)
    for form in (images, images.reshape(5, *SHAPE, 2), [*images.reshape(5, *SHAPE, 2)]):
        assert_array_equal(est.transform(maps, form).reshape(5, P), S)
    grey = short(MAPS, shaped[..., 0])
    assert grey.n_image_channels_ == 1
    # Maps of other shapes with images of the same.
    small = [m[:3] for m in maps]
    seen = [i.reshape(*SHAPE, 2)[:3] for i in images]
    streams = est.encode(small, seen, lossless=True)
    same(est.decode(streams, seen), small)
    refused(est.decode, streams, images, words=("images[0]", SHAPE, (3, SHAPE[1])))
    refused(est.encode, small, images, words=("images[0]", SHAPE, (3, SHAPE[1])))


@pytest.mark.slow
def test_the_whole_of_it_without_a_shape_to_set():
    """Nothing but maps: a fit finds the shape and the labels."""
    maps, shape = models.TINY_X, models.TINY["image_shape"]
    params = models.TINY | {"image_shape": None, "n_classes": None}
    est = fit(maps.reshape(-1, *shape), **params)
    assert_array_equal(est.transform(maps.reshape(-1, *shape)).reshape(maps.shape),
                       models.tiny().transform(maps))  # fmt: skip
