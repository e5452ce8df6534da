"""Label maps in: whatever people have becomes numbers, and those the same again."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator

from sklvm import LabelMapCodec, SparseSegmentationRDA
from sklvm.label_maps._labels import PixelLabels, distinct_labels
from sklvm.label_maps._reading import read_label_maps
from sklvm.label_maps._shapes import flat_images, padded

Y = np.random.default_rng(0).integers(3, size=(4, 6, 7))
ROWS = Y.reshape(4, -1)
WORDS = np.array(["road", "sky", "tree"])


class Model(BaseEstimator):
    """An estimator that reads maps and nothing else."""


def read(X, **params):
    model = Model()
    return model, read_label_maps(model, X, reset=True, **params)


def given_back(model, maps):
    return maps.as_given([model._pixel_labels.labels(m) for m in maps.maps])


def refused(*words, X, **params):
    with pytest.raises((ValueError, TypeError)) as error:
        read(X, **params)
    message = str(error.value)
    assert message.endswith(".") and "\n" not in message
    for word in words:
        assert str(word) in message, (word, message)


# Labels.


INTEGERS = {
    "from 0": [0, 1, 2],
    "255 to be ignored": [0, 1, 255],
    "ids with gaps": [0, 24001, 26002],
    "below 0": [-1, 0, 7],
    "sparse": [2**60 + 5, 2**60 + 6, -(2**62)],
}


@pytest.mark.parametrize("ids", INTEGERS.values(), ids=INTEGERS)
@pytest.mark.parametrize("shaped", [False, True])
def test_any_integers(ids, shaped):
    X = np.array(ids)[Y if shaped else ROWS]
    model, maps = read(X)
    assert_array_equal(model.classes_, sorted(ids))
    assert model.n_classes_ == 3
    expected = np.searchsorted(model.classes_, X.reshape(Y.shape))
    assert_array_equal(np.stack(maps.maps).reshape(Y.shape), expected)
    back = given_back(model, maps)
    assert back.dtype == X.dtype
    assert_array_equal(back, X)


@pytest.mark.parametrize(
    "dtype", [bool, np.uint8, np.int16, np.uint64, np.float32, ">i4", np.float16]
)
def test_the_dtype_of_the_fit_is_given_back(dtype):
    X = (Y > 0).astype(dtype) if dtype is bool else Y.astype(dtype)
    model, maps = read(X)
    native = np.dtype(dtype).newbyteorder("=")
    assert model.classes_.dtype == native
    assert given_back(model, maps).dtype == native
    # Other types of the same numbers are the same labels.
    again = read_label_maps(model, X.astype(np.int64), reset=False)
    assert_array_equal(np.stack(again.maps), np.stack(maps.maps))


@pytest.mark.parametrize("kind", [str, object])
def test_text(kind):
    for X in (WORDS.astype(kind)[Y], WORDS.astype(kind)[ROWS]):
        model, maps = read(X)
        assert_array_equal(model.classes_, WORDS)
        assert_array_equal(given_back(model, maps), X)


def test_frames():
    for frame in (
        pd.DataFrame(WORDS[ROWS]).astype("category"),
        pd.DataFrame(WORDS[ROWS]),
        pl.DataFrame(WORDS[ROWS].astype(object)),
        pl.DataFrame(WORDS[ROWS], schema_overrides=None).cast(pl.Categorical),
    ):
        model, maps = read(frame)
        assert_array_equal(model.classes_, WORDS)
        assert_array_equal(given_back(model, maps), WORDS[ROWS])
    frame = pd.DataFrame(ROWS).astype("category")
    model, maps = read(frame)
    assert_array_equal(given_back(model, maps), ROWS)
    columns = [f"p{i}" for i in range(42)]
    model, _ = read(pd.DataFrame(WORDS[ROWS], columns=columns))
    assert list(model.feature_names_in_) == columns


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    X=arrays(
        st.sampled_from([np.int8, np.uint8, np.int64, np.uint64]),
        st.tuples(*[st.integers(1, 4)] * 3),
    )
)
def test_integers_that_hypothesis_finds(X):
    # Narrow stacks would be taken for colours.
    model, maps = read(X, image_shape=X.shape[1:])
    assert_array_equal(model.classes_, np.unique(X))
    assert_array_equal(given_back(model, maps), X)


def test_labels_are_found_in_pieces(monkeypatch):
    monkeypatch.setattr("sklvm.label_maps._labels.PIECE", 50)
    model, maps = read(Y + 2**40)
    assert_array_equal(given_back(model, maps), Y + 2**40)


def test_distinct_labels_of_a_wide_span():
    wide = np.array([[2**40, 3], [-(2**40), 3]])
    for X in (wide, wide % 1000, wide.astype(float)):
        labels, places = distinct_labels(X)
        assert labels == np.unique(X).tolist()
        assert_array_equal(np.array(labels)[places], X)


def test_a_label_that_the_fit_has_not_seen():
    model, _ = read(Y)
    for value in (3, -1, 10**20, 2**63):
        X = np.full((1, 6, 7), float(value))
        with pytest.raises(ValueError, match=rf"label {value},.*void_class\.$"):
            read_label_maps(model, X, reset=False)
    with pytest.raises(ValueError, match=r"label '0'.*whole numbers"):
        read_label_maps(model, Y.astype(str), reset=False)
    model, _ = read(WORDS[Y])
    with pytest.raises(ValueError, match=r"label 0.*text"):
        read_label_maps(model, Y, reset=False)
    with pytest.raises(ValueError, match="label 'car'"):
        read_label_maps(model, np.where(Y == 0, "car", WORDS[Y]), reset=False)


def test_what_is_no_label():
    refused("0.5", "whole", X=Y + 0.5)
    for X in (np.where(Y == 1, np.nan, Y), np.where(ROWS == 1, np.nan, ROWS)):
        refused("NaN", "nan_to_num", "void_class", X=X)
    refused("inf", X=np.where(Y == 1, np.inf, Y))
    refused("mask", "void_class", X=np.ma.masked_equal(Y, 2))
    refused("dates", X=Y.astype("datetime64[s]"))
    mixed = Y.astype(object)
    mixed[0, 0, 0] = "sky"
    for X in (mixed, mixed.reshape(4, -1), [mixed[0], mixed[1]]):
        refused("int", "str", X=X)
    mixed[0, 0, 0] = None
    refused("NoneType", "void_class", X=mixed)
    refused("text", X=[Y[0], Y[0].astype(str)])
    refused("5000", "4096", X=np.arange(5000).reshape(2, 50, 50))


# Classes and void.


def test_n_classes_are_there_whether_seen_or_not():
    model, _ = read(Y, n_classes=5)
    assert_array_equal(model.classes_, range(5))
    assert model.n_classes_ == 5
    model, _ = read(Y, n_classes=5, void_class=[3, 255])
    assert_array_equal(model.classes_, [0, 1, 2, 4])
    refused("class 2", "n_classes=2", X=Y, n_classes=2)
    refused("class -1", "n_classes=3", X=Y - 1, n_classes=3)
    refused("n_classes=4097", "4096", X=Y, n_classes=4097)
    refused("n_classes=3", "text", X=WORDS[Y], n_classes=3)
    model, _ = read((Y > 0), n_classes=5)
    assert_array_equal(model.classes_, range(5))


@pytest.mark.parametrize("void", [255, [255], (255, -1), np.array([255, -1]), 255.0])
def test_void_labels_stand_outside_of_the_classes(void):
    X = np.where(Y == 2, 255, Y)
    model, maps = read(X, void_class=void)
    assert_array_equal(model.classes_, [0, 1])
    labels = model._pixel_labels
    numbers = np.stack(maps.maps)
    assert_array_equal(labels.counted(numbers), X != 255)
    assert numbers[X == 255].min() == numbers[X == 255].max() == 2
    assert labels.n_symbols == 2 + np.size(void)
    assert_array_equal(given_back(model, maps), X)


def test_several_void_labels_are_told_apart():
    X = np.array([-1, 4, 255, 7])[Y % 3 + (ROWS.reshape(Y.shape) > 1)]
    model, maps = read(X, void_class=[255, -1])
    assert_array_equal(model.classes_, [4, 7])
    assert_array_equal(given_back(model, maps), X)
    assert not model._pixel_labels.counted(np.array([-1])).any()  # no pixel at all


def test_void_labels_are_of_the_kind_of_the_labels():
    model, maps = read(WORDS[Y], void_class="unlabelled")
    assert_array_equal(given_back(model, maps), WORDS[Y])
    assert "unlabelled" in model._pixel_labels.table
    refused("'sky'", "whole numbers", X=Y, void_class="sky")
    refused("255", "text", X=WORDS[Y], void_class=255)
    for void in (1.5, np.nan, np.inf, [[1]], object()):
        refused("void_class", X=Y, void_class=void)
    refused("void_class=7", X=np.full_like(Y, 7), void_class=7)


def test_void_labels_that_the_dtype_has_no_room_for():
    model, maps = read(Y.astype(np.uint8), void_class=-1)
    assert given_back(model, maps).dtype == np.int16
    model, maps = read(Y > 0, void_class=255)
    assert given_back(model, maps).dtype == np.uint8
    big = np.array([2**63 + 5], np.uint64)[np.zeros_like(Y)]
    refused("-1", 2**63 + 5, X=big, void_class=-1)


def test_labels_of_models_that_had_void_among_the_classes():
    labels = PixelLabels(np.arange(3), [1])
    X = np.array([[0, 1, 2]])
    assert_array_equal(labels.numbers(X), X)
    assert_array_equal(labels.counted(X), [[True, False, True]])
    assert labels.n_symbols == 3


# Shapes.


def test_what_goes_in_as_maps_comes_out_so():
    for X in (Y, torch.as_tensor(Y), list(Y), tuple(Y), [Y[0], Y[1, :3], Y[2, :, :5]]):
        model, maps = read(X)
        back = given_back(model, maps)
        assert model.image_shape_ == (6, 7)
        assert model.n_features_in_ == 42
        assert isinstance(back, list) == isinstance(X, list | tuple)
        for one, other in zip(back, X, strict=True):
            assert_array_equal(one, other)
    model, maps = read(Y.tolist())
    assert maps.form == "list"
    objects = np.empty(2, dtype=object)
    objects[:] = [Y[0], Y[1, :2]]
    model, maps = read(objects)
    assert maps.shapes == [(6, 7), (2, 7)]


def test_rows_are_a_strip_unless_they_have_a_shape():
    model, maps = read(ROWS)
    assert model.image_shape_ == (1, 42)
    model, maps = read(ROWS.tolist(), image_shape=(6, 7))
    assert_array_equal(np.stack(maps.maps), Y)
    assert_array_equal(given_back(model, maps), ROWS)
    # Each form of the same maps is read by one fit.
    for X in (Y, ROWS, list(Y)):
        again = read_label_maps(model, X, reset=False)
        assert_array_equal(np.stack(again.maps), Y)
    refused("image_shape", "(5, 7)", 42, X=ROWS, image_shape=(5, 7))


def test_smaller_maps_than_the_fit_has_room_for():
    model, _ = read(Y, image_shape=(8, 9))
    assert model.image_shape_ == (8, 9)
    maps = read_label_maps(model, [Y[0], Y[1][:2]], reset=False)
    full = padded(maps.maps, (8, 9), -1)
    assert full.shape == (2, 8, 9)
    assert (full[1] >= 0).sum() == 14
    with pytest.raises(ValueError, match=r"X\[1\].*\(9, 9\).*\(8, 9\).*tiles"):
        read_label_maps(model, [Y[0], np.zeros((9, 9))], reset=False)
    refused("(6, 7)", "(7, 6)", X=Y, image_shape=(7, 6))


def test_what_has_a_channel_for_each_class():
    hot = np.eye(3)[Y]
    refused("X.argmax(axis=-1)", X=hot)
    refused("X.argmax(axis=-1)", X=hot.astype(bool))
    refused("X.argmax(axis=-1)", X=torch.as_tensor(0.8 * hot + 0.2 / 3))
    refused("X.argmax(axis=1)", X=np.moveaxis(hot, -1, 1))
    refused("[x.argmax(axis=-1) for x in X]", X=list(hot))
    refused("[x.argmax(axis=0) for x in X]", X=[np.moveaxis(h, -1, 0) for h in hot])
    refused("X.squeeze(-1)", X=Y[..., None])
    refused("X.squeeze(1)", X=Y[:, None])


def test_colours():
    colours = np.array([[0, 0, 0], [255, 0, 0], [9, 9, 200]], np.uint8)[Y]
    refused("palette", "classes", X=colours)
    refused("palette", X=list(colours))
    refused("3 channels", "image_shape", X=colours[0])
    assert read(Y[:, :, :3], image_shape=(6, 3))[0].image_shape_ == (6, 3)


def test_shapes_that_are_none():
    refused("(0, 6, 7)", X=Y[:0])
    refused("X[1]", "(42,)", X=[Y[0], Y[1].ravel()])
    refused("X[1]", X=[Y[0], Y[1, :0]])
    refused("shape", X=Y[None, None])
    with pytest.raises(ValueError, match="1D array"):  # scikit-learn's own words
        read(Y[0, 0])
    refused("1 axes", X=WORDS[Y[0, 0]])


def test_maps_of_text_beside_maps_of_numbers():
    X = np.arange(24).reshape(2, 3, 4) % 3
    X = X.astype(object)
    X[0] = "road"
    with pytest.raises(ValueError, match="kinds int, str; give whole numbers or text"):
        LabelMapCodec().fit(X)


def test_large_numbers_in_one_map_and_signs_in_another():
    X = np.zeros((2, 2, 3), dtype=object)
    X[0, 0, :2], X[1] = [2**63, 2**63 + 1], -1
    with pytest.raises(ValueError, match="beyond 64 bits"):
        LabelMapCodec().fit(X)


def test_pictures_of_pillow_are_maps():
    image = pytest.importorskip("PIL.Image")
    X = [np.arange(12, dtype=np.uint8).reshape(3, 4) % 3 + i for i in range(2)]
    codec = LabelMapCodec().fit(X)
    pictures = [image.fromarray(x) for x in X]
    assert codec.encode(pictures) == codec.encode(X)
    with pytest.raises(ValueError, match="colours"):
        codec.encode([picture.convert("RGB") for picture in pictures])


@pytest.mark.parametrize(
    "X", ["a.png", Path("a.png"), ["a.png", "b.png"], [Path("a.png")]]
)
def test_files_have_a_reader(X):
    with pytest.raises(ValueError, match=r"a\.png.*read_masks"):
        LabelMapCodec().fit(X)


def test_streams_in_a_column():
    X = np.arange(24).reshape(4, 2, 3) % 3
    codec = LabelMapCodec().fit(X)
    streams = codec.encode(X)
    column = pd.Series(streams, index=[5, 3, 9, 0])
    assert_array_equal(codec.decode(column), X)
    with pytest.raises(ValueError, match=r"Stream 0 is str.*as encode has given it"):
        codec.decode([stream.hex() for stream in streams])


def test_long_flat_rows_without_a_shape_are_warned_of():
    X = np.arange(2 * 300).reshape(2, 300) // 50 % 3
    with pytest.warns(UserWarning, match=r"one line of 300 pixels.*image_shape"):
        LabelMapCodec().fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LabelMapCodec().fit(X[:, :200])
        LabelMapCodec(image_shape=(1, 300)).fit(X)
        LabelMapCodec().fit(X.reshape(2, 15, 20))


@pytest.mark.parametrize("make", [LabelMapCodec, SparseSegmentationRDA])
def test_masks_do_not_come_second(make):
    masks = np.arange(24).reshape(2, 3, 4) % 3
    images = masks * 100
    for y in (masks, list(masks), torch.tensor(masks)):
        with pytest.raises(ValueError, match=r"y has maps.*fit\(maps, images=images\)"):
            make().fit(images, y)


def test_images_in_a_column():
    image = pytest.importorskip("PIL.Image")
    X = np.arange(48).reshape(4, 3, 4) % 3
    images = (X * 80).astype(np.uint8)
    column = pd.Series([image.fromarray(x) for x in images], index=[4, 2, 7, 0])
    codec = LabelMapCodec().fit(X, images=images)
    assert codec.encode(X, column) == codec.encode(X, images)
    rows, shapes = flat_images(column, (3, 4))
    assert_array_equal(rows, images.reshape(4, -1))
    assert shapes == [(3, 4)] * 4
