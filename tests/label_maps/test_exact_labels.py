"""Labels are never rounded on their way in, and errors name remedies that there are."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator

from sklvm import LabelMapCodec
from sklvm.label_maps import _codec
from sklvm.label_maps._labels import learn_labels
from sklvm.label_maps._reading import read_label_maps

from .maps import HELD_OUT, fitted, photographs

# Whole numbers that no float of 64 bits is.
IDS = np.array([0, 2**53 + 1, 2**53 + 3, 2**60 + 1])
MAPS = IDS[HELD_OUT[:3, :4, :5]]
ROWS = MAPS.reshape(3, -1)
FRAME = pd.DataFrame(ROWS, columns=[f"p{i}" for i in range(20)])


class Reader(BaseEstimator):
    """What an estimator gets of its maps."""

    def read(self, X, **how):
        return read_label_maps(self, X, reset=True, **how)


def labels_of(X):
    """Every pixel's label, as it is given back."""
    reader = Reader()
    read = reader.read(X)
    maps = [reader._pixel_labels.labels(m) for m in read.maps]
    return [[int(v) for v in m.ravel()] for m in maps]


FLOAT = [MAPS[0], MAPS[1], np.zeros((4, 5))]


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        pytest.param(ROWS.astype(object), ROWS, id="objects"),
        pytest.param(FRAME.astype("Int64"), ROWS, id="nullable"),
        pytest.param(FRAME.astype(object), ROWS, id="frame of objects"),
        pytest.param(FRAME.astype("category"), ROWS, id="categories"),
        pytest.param(MAPS.astype(object), ROWS, id="maps of objects"),
        pytest.param(list(MAPS.astype(object)), ROWS, id="list of objects"),
        pytest.param([MAPS[0], *MAPS[1:].astype(np.uint64)], ROWS, id="signs"),
        pytest.param(FLOAT, np.stack([*ROWS[:2], 0 * ROWS[2]]), id="beside floats"),
        pytest.param([pd.DataFrame(m) for m in MAPS], ROWS, id="list of frames"),
        pytest.param(pd.Series(list(MAPS)), ROWS, id="column of maps"),
    ],
)
def test_large_labels_stay_what_they_are(X, expected):
    assert labels_of(X) == expected.tolist()


@pytest.mark.parametrize(
    "X",
    [
        pytest.param(FRAME.assign(p0=FRAME["p0"].astype(np.uint64)), id="frame, signs"),
        pytest.param(FRAME.assign(p0=0.0), id="frame, floats"),
        pytest.param([[0.0, *row[1:]] for row in ROWS.tolist()], id="lists"),
        pytest.param([[[0.0, *row[1:]]] for row in ROWS.tolist()], id="lists of maps"),
        pytest.param(
            np.array([[0.0, *row[1:]] for row in ROWS.tolist()], dtype=object),
            id="objects",
        ),
    ],
)
def test_large_labels_that_would_be_rounded_are_refused(X):
    with pytest.raises(ValueError, match=r"beyond 2\^53 .* integers of one type"):
        labels_of(X)


def test_large_labels_of_floats_are_exact():
    X = np.array([[0.0, 2.0**60, 1e300]])
    assert labels_of(X) == [[0, 2**60, int(1e300)]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_classes_of_n_classes_are_as_many(dtype):
    """Floats of 16 bits hold 0 and 3,000, and only half of the numbers between."""
    labels = learn_labels([np.zeros((1, 2, 2), dtype)], n_classes=3001)
    assert_array_equal(labels.classes, np.arange(3001))
    few = learn_labels([np.zeros((1, 2, 2), dtype)], n_classes=2049)
    assert few.classes.dtype == dtype


def test_labels_that_no_type_holds():
    for void in (-1, 10**400):
        with pytest.raises(ValueError, match="no type of numbers holds"):
            learn_labels([np.array([[[2**64 - 1]]], np.uint64)], None, void)


# Messages -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "words"),
    [
        ([np.full((16, 20), 9)], "label 9, .* fit with it or set n_classes"),
        (np.full((1, 16, 20), np.nan), "NaN, .* np.nan_to_num"),
        ([np.full((16, 20), np.nan)], "NaN, .* np.nan_to_num"),
        (np.full((2, 320), np.nan), "NaN, .* np.nan_to_num"),
        (np.full((1, 16, 20), None), "kinds NoneType; .* in every pixel"),
        (np.ma.masked_equal(HELD_OUT, 1), "masked .* a label of its own"),
        (np.full((1, 16, 20), 1e300), r"label 10000\d{35}\.\.\., which"),
        ([], r"X=\[\] has no maps"),
        ((), r"X=\(\) has no maps"),
    ],
)
def test_remedies_are_those_of_a_codec(X, words):
    """Which has no void_class."""
    with pytest.raises(ValueError, match=words) as error:
        fitted().encode(X)
    assert "void_class" not in str(error.value)


def test_remedies_of_a_fit():
    with pytest.raises(ValueError, match="set n_classes or mend X") as error:
        LabelMapCodec(n_classes=2).fit(HELD_OUT)
    assert "void_class" not in str(error.value)
    with pytest.raises(ValueError, match="mend X, or name it in void_class"):
        Reader().read(HELD_OUT, n_classes=2)


def test_maps_of_the_shape_of_the_fit_may_be_of_any_size(monkeypatch):
    codec = LabelMapCodec().fit(HELD_OUT[:, :4, :5])
    monkeypatch.setattr(_codec, "MOST_PIXELS", 10)
    monkeypatch.setattr(_codec, "SIDE_BITS", 2)
    maps = list(HELD_OUT[:2, :4, :5])
    for read, labels in zip(codec.decode(codec.encode(maps)), maps, strict=True):
        assert_array_equal(read, labels)
    for shape in ((3, 4), (1, 5)):
        labels = HELD_OUT[0, : shape[0], : shape[1]]
        with pytest.raises(ValueError, match="another shape than image_shape_"):
            codec.encode([labels])
    assert len(codec.encode([HELD_OUT[0, :2, :4]])) == 1


def test_another_image_is_named():
    codec, images = fitted(with_images=True), photographs(HELD_OUT, seed=1)
    streams = codec.encode(HELD_OUT, images)
    with pytest.raises(ValueError, match="its image is not that of `encode`"):
        codec.decode(streams, images[::-1])
    with pytest.raises(ValueError, match="Stream 0") as error:
        fitted().decode([fitted().encode(HELD_OUT)[0][:-1]])
    assert "image" not in str(error.value)
