"""Maps come back exactly, in as many bytes as their probabilities say."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score

import sklvm
from sklvm import LabelMapCodec
from sklvm.label_maps._range_coder import BIT_TOTAL

from .maps import HELD_OUT, X, fitted, photographs, scenes

CHECKSUM_BITS, MODE_BITS, ROUNDING_BITS = 32, 2, 9


def test_maps_come_back():
    codec = fitted()
    streams = codec.encode(HELD_OUT)
    decoded = codec.decode(streams)
    assert_array_equal(decoded, HELD_OUT)
    assert decoded.dtype == X.dtype


@pytest.mark.parametrize("checksum", [True, False])
def test_lengths_are_the_code_lengths(checksum):
    codec = fitted()
    bits = np.array([8 * len(s) for s in codec.encode(HELD_OUT, checksum=checksum)])
    ideal = -codec.score_samples(HELD_OUT) + MODE_BITS
    # Without a checksum 16 bits name the model.
    ideal += CHECKSUM_BITS if checksum else CHECKSUM_BITS // 2
    assert (bits <= ideal + ROUNDING_BITS).all()
    # Single maps may be lucky, as bytes of zeros at the end are left out.
    assert bits.mean() >= ideal.mean()


def test_score_is_the_mean_code_length_in_bits():
    codec = fitted()
    scores = codec.score_samples(HELD_OUT)
    assert codec.score(HELD_OUT) == pytest.approx(scores.mean())
    weights = np.arange(len(HELD_OUT))
    expected = np.average(scores, weights=weights)
    assert codec.score(HELD_OUT, sample_weight=weights) == pytest.approx(expected)


@pytest.mark.slow
def test_probabilities_of_all_maps_add_up_to_one():
    codec = LabelMapCodec(n_classes=3).fit(scenes(0, 20, (2, 3), 3))
    numbers = np.arange(3**6)
    maps = np.stack([numbers // 3**i % 3 for i in range(6)], axis=1)
    total = np.exp2(codec.score_samples(maps.reshape(-1, 2, 3))).sum()
    assert total == pytest.approx(1, rel=1e-9)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
    st.booleans(),
)
def test_maps_of_any_size_and_content(height, width, seed, noise, checksum):
    rng = np.random.default_rng(seed)
    labels = scenes(seed, 1, (height, width))[0]
    others = rng.random(labels.shape) < noise
    labels[others] = rng.integers(4, size=others.sum())
    codec = fitted()
    streams = codec.encode([labels], checksum=checksum)
    assert_array_equal(codec.decode(streams, checksum=checksum)[0], labels)


def test_maps_of_several_sizes_in_one_call():
    maps = [
        scenes(i, 1, shape)[0] for i, shape in enumerate([(16, 20), (1, 1), (3, 40)])
    ]
    codec = fitted()
    for decoded, labels in zip(codec.decode(codec.encode(maps)), maps, strict=True):
        assert_array_equal(decoded, labels)
    own = LabelMapCodec().fit(maps)
    for decoded, labels in zip(own.decode(own.encode(maps)), maps, strict=True):
        assert_array_equal(decoded, labels)


def test_a_map_does_not_depend_on_those_beside_it():
    codec = fitted()
    together = codec.encode(HELD_OUT)
    assert together == [codec.encode(one[None])[0] for one in HELD_OUT]
    assert codec.encode(HELD_OUT[::-1]) == together[::-1]


@pytest.mark.slow
@pytest.mark.parametrize("n_labels", [1, 2, 3, 20, 40])
def test_numbers_of_labels(n_labels):
    maps = scenes(0, 20, n_labels=n_labels)
    codec = LabelMapCodec(n_classes=n_labels).fit(maps)
    held_out = scenes(1, 5, n_labels=n_labels)
    held_out[0] = np.arange(held_out[0].size).reshape(held_out[0].shape) % n_labels
    assert_array_equal(codec.decode(codec.encode(held_out)), held_out)


def test_labels_that_no_map_of_the_fit_has():
    codec = LabelMapCodec(n_classes=30).fit(X)
    maps = np.random.default_rng(0).integers(30, size=(3, 16, 20))
    assert_array_equal(codec.decode(codec.encode(maps)), maps)


@pytest.mark.parametrize(
    "labels",
    [[255, 3, -1, 70_000], ["road", "sky", "car", "void"], [0.0, 1.0, 2.0, 9.0]],
)
def test_labels_of_any_kind(labels):
    labels = np.array(labels)
    codec = LabelMapCodec().fit(labels[X])
    decoded = codec.decode(codec.encode(labels[HELD_OUT]))
    assert_array_equal(decoded, labels[HELD_OUT])
    assert decoded.dtype == labels.dtype


def test_booleans_and_flat_rows():
    maps = (X > 1).reshape(len(X), -1)
    codec = LabelMapCodec(image_shape=(16, 20)).fit(maps)
    decoded = codec.decode(codec.encode(maps[:5]))
    assert_array_equal(decoded, maps[:5])
    assert decoded.dtype == bool and codec.n_features_in_ == 320


def test_fewer_bytes_than_a_table_of_frequencies():
    """What contexts are for: labels alone have the entropy of their frequencies."""
    shares = np.bincount(X.ravel(), minlength=4) / X.size
    independent = -np.log2(shares)[HELD_OUT].sum(axis=(1, 2))
    assert -fitted().score(HELD_OUT) < independent.mean() / 4


def test_one_map_is_enough():
    codec = LabelMapCodec().fit(X[:1])
    assert_array_equal(codec.decode(codec.encode(X[:1])), X[:1])


# Images -------------------------------------------------------------------------------


def test_images_help_and_are_needed_to_decode():
    images = photographs(HELD_OUT, seed=1)
    codec = fitted(with_images=True)
    streams = codec.encode(HELD_OUT, images)
    assert_array_equal(codec.decode(streams, images), HELD_OUT)
    assert codec.score(HELD_OUT, images=images) > fitted().score(HELD_OUT)
    with pytest.raises(ValueError, match="checksum"):
        codec.decode(streams, images[::-1])


def test_images_of_noise_hardly_hurt():
    rng = np.random.default_rng(0)
    noise = [rng.integers(256, size=(*m.shape, 3)) for m in (X, HELD_OUT)]
    score = LabelMapCodec().fit(X, images=noise[0]).score(HELD_OUT, images=noise[1])
    assert score > 1.05 * fitted().score(HELD_OUT)


def test_forms_of_images():
    images = photographs(HELD_OUT, seed=1)
    codec = fitted(with_images=True)
    streams = codec.encode(HELD_OUT, images)
    assert codec.encode(list(HELD_OUT), list(images)) == streams
    assert codec.encode(HELD_OUT, images.reshape(len(images), -1)) == streams


@pytest.mark.parametrize(
    "images, words",
    [
        (None, "images=None"),
        (photographs(HELD_OUT)[:3], "3 images"),
        (photographs(HELD_OUT)[..., :2], "channels"),
        (photographs(HELD_OUT)[:, :5], "shape"),
        (np.full((*HELD_OUT.shape, 3), np.nan), "NaN"),
    ],
)
def test_wrong_images(images, words):
    with pytest.raises(ValueError, match=words):
        fitted(with_images=True).encode(HELD_OUT, images)


def test_images_that_were_not_there_in_fit():
    with pytest.raises(ValueError, match="fitted without"):
        fitted().encode(HELD_OUT, photographs(HELD_OUT))


# The estimator ------------------------------------------------------------------------


@pytest.mark.slow
def test_without_torch():
    code = "import sys, sklvm; sklvm.LabelMapCodec().fit([[0, 1]])\n"
    run = [sys.executable, "-c", code + "sys.exit('torch' in sys.modules)"]
    assert subprocess.run(run, check=False).returncode == 0


def test_copies_and_files_write_the_same_bytes(tmp_path):
    codec = fitted()
    streams = codec.encode(HELD_OUT)
    sklvm.save(codec, tmp_path / "codec.sklvm")
    for other in (
        pickle.loads(pickle.dumps(codec)),
        sklvm.load(tmp_path / "codec.sklvm"),
        LabelMapCodec().fit(X),
    ):
        assert other.encode(HELD_OUT) == streams
        assert_array_equal(other.decode(streams), HELD_OUT)


@pytest.mark.slow
def test_clone_and_searches():
    codec = clone(LabelMapCodec(n_classes=5))
    assert codec.n_classes == 5
    search = GridSearchCV(LabelMapCodec(), {"n_classes": [None, 12]}, cv=2).fit(X)
    assert search.best_params_ == {"n_classes": None}
    assert (cross_val_score(LabelMapCodec(), X, cv=2) < 0).all()


def test_a_fit_that_fails_leaves_all_as_it_was():
    codec = fitted()
    streams = codec.encode(HELD_OUT)
    with pytest.raises(ValueError, match="NaN"):
        codec.fit(np.full((3, 4, 5), np.nan))
    with pytest.raises(ValueError, match="shape"):
        codec.fit(X, images=np.zeros((len(X), 3, 3, 1)))
    assert codec.encode(HELD_OUT) == streams


def test_before_fit():
    for method, arguments in (("encode", X), ("decode", [b""]), ("score", X)):
        with pytest.raises(NotFittedError):
            getattr(LabelMapCodec(), method)(arguments)


def test_labels_of_no_map_of_the_fit_are_refused():
    with pytest.raises(ValueError, match=r"\b9\b"):
        fitted().encode(np.full((1, 16, 20), 9))


def test_maps_that_are_too_large():
    with pytest.raises(ValueError, match="tiles"):
        fitted().encode([np.zeros((1, 70_000), dtype=int)])


def test_frequencies_are_within_the_total():
    gate = fitted().model_.hit_gate
    assert gate.frequencies.min() >= 1 and gate.frequencies.max() < BIT_TOTAL
    assert (np.diff(gate.frequencies) >= 0).all()


def test_one_map_is_told_from_rows():
    maps = np.random.default_rng(0).integers(3, size=(4, 6, 5))
    codec = LabelMapCodec().fit(maps)
    with pytest.raises(ValueError, match=r"X\[np.newaxis\] or \[X\]"):
        codec.encode(maps[0])
    assert codec.encode(maps[0][np.newaxis]) == codec.encode([maps[0]])


def test_images_in_another_unit_than_in_fit():
    images = photographs(HELD_OUT, seed=1)
    codec = fitted(with_images=True)
    with pytest.warns(UserWarning, match=r"^images has values from .* another unit"):
        codec.score(HELD_OUT, images=images / 255)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        codec.score(HELD_OUT, images=images // 4)  # by night
        codec.score(HELD_OUT[:1], images=np.zeros_like(images[:1]))


@pytest.mark.slow
def test_bits_of_a_stream_above_the_score():
    """Rounding up to bytes and what says of which kind it is, 11 bits at the most."""
    maps = scenes(2, 300, (4, 5))
    codec = LabelMapCodec().fit(maps)
    bits = np.array([8 * len(stream) for stream in codec.encode(maps)])
    above = bits + codec.score_samples(maps) - 32
    assert 9 < above.max() <= 11
