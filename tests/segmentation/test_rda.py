"""SparseSegmentationRDA from end to end on small maps without images."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils import Bunch

from sklvm.segmentation import _training

from .models import (
    HELD_OUT,
    RATE_MODELS,
    SHAPE,
    TINY,
    TINY_X,
    K,
    P,
    X,
    blank,
    fit,
    fitted,
    objective,
    tiny,
)


@pytest.fixture
def est():
    return fitted()


# Shapes, types, attributes.


def test_what_the_methods_return(est):
    S = est.transform(HELD_OUT)
    assert S.shape == HELD_OUT.shape
    assert S.dtype == np.int32
    assert S.min() == -1
    assert_array_equal(S[S >= 0], HELD_OUT[S >= 0])
    assert 0 < (S >= 0).mean() < 0.2
    dense = est.inverse_transform(S)
    assert dense.shape == HELD_OUT.shape
    assert dense.dtype == HELD_OUT.dtype
    assert set(np.unique(dense)) <= set(range(K))
    rate, distortion = est.rate(S), est.distortion(HELD_OUT, S)
    assert rate.shape == distortion.shape == (len(S),)
    assert rate.dtype == np.float64
    assert distortion.dtype == np.int64
    assert_array_equal(distortion, (dense != HELD_OUT).sum(axis=1))
    assert est.score_samples(HELD_OUT).dtype == np.float64
    assert_array_equal(est.rate_model_.rate(S), rate)


def test_the_rate_of_a_list():
    est = fitted(rate_model="list")
    S = est.transform(HELD_OUT)
    expected = ((S >= 0).sum(axis=1) + 1) * np.log(P * K + 1)
    assert_allclose(est.rate(S), expected, rtol=1e-12)


def test_attributes(est):
    assert est.n_classes_ == K
    assert tuple(est.image_shape_) == SHAPE
    assert est.n_image_channels_ == 0
    assert est.n_features_in_ == P
    assert not hasattr(est, "best_epoch_")
    assert est.n_iter_ == est.max_epochs
    assert len(est.lower_bounds_) == est.n_iter_
    assert list(est.get_feature_names_out()) == [f"x{i}" for i in range(P)]


@pytest.mark.parametrize("rate_model", RATE_MODELS)
def test_the_lower_bound_is_that_of_the_refined_training_maps(rate_model):
    est = fitted(rate_model=rate_model)
    few = X[: _training.N_MEASURED]
    assert est.lower_bound_ == pytest.approx(est.score(few), rel=1e-6)


@pytest.mark.slow
def test_classes_and_shape_from_the_data():
    est = fit(TINY_X, image_shape=None, n_classes=None, max_epochs=3)
    assert est.n_classes_ == K
    assert tuple(est.image_shape_) == (1, 12)
    assert est.inverse_transform(blank(TINY_X[:2])).shape == (2, 12)


def test_more_classes_than_the_data_have():
    est = fit(TINY_X, **TINY | {"n_classes": 5}, rate_model="list")
    assert est.n_classes_ == 5
    strange = TINY_X.copy()
    strange[:, :4] = 4
    assert_array_equal(est.decode(est.encode(strange, lossless=True)), strange)
    expected = np.log(12 * 5 + 1)
    assert est.rate(blank(TINY_X[:1]))[0] == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (5, 1), (2, 2), (3, 11)])
@pytest.mark.parametrize("rate_model", ["list", "learned"])
def test_odd_shapes(shape, rate_model):
    n_pixels = shape[0] * shape[1]
    maps = np.random.default_rng(0).integers(2, size=(10, n_pixels))
    params = {"image_shape": shape, "n_classes": 2, "max_epochs": 3}
    est = fit(maps, **params, rate_model=rate_model, channels=(4, 4, 4, 4))
    S = est.transform(maps)
    code = objective(est, maps, S)
    assert (code <= objective(est, maps, blank(maps)) + 1e-9).all()
    assert_array_equal(est.decode(est.encode(maps)), est.inverse_transform(S))
    assert_array_equal(est.decode(est.encode(maps, lossless=True)), maps)


@pytest.mark.slow
@pytest.mark.parametrize("rate_model", RATE_MODELS)
def test_one_class_needs_no_seed(rate_model):
    maps = np.zeros((20, P), dtype=int)
    est = fit(maps, n_classes=None, max_epochs=3, rate_model=rate_model)
    assert est.n_classes_ == 1
    S = est.transform(maps)
    # A lattice of seeds may be as cheap.
    assert rate_model == "learned" or (S == -1).all()
    assert (est.rate(S) <= est.rate(blank(maps))).all()
    assert_array_equal(est.decode(est.encode(maps)), maps)


def test_one_row_is_enough():
    est = fit(X[:1], max_epochs=3)
    S = est.transform(X[:1])
    assert S.shape == (1, P)
    assert est.score(X[:1]) == pytest.approx(-objective(est, X[:1], S)[0])


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
def test_types_of_numbers(dtype):
    maps = np.minimum(TINY_X, 1)
    est = fit(maps, **TINY | {"n_classes": 2})
    other = fit(maps.astype(dtype), **TINY | {"n_classes": 2})
    expected = est.transform(maps[:20])
    assert_array_equal(other.transform(maps[:20]), expected)
    assert_array_equal(est.transform(maps[:20].astype(dtype)), expected)
    dense = est.inverse_transform(expected)
    assert_array_equal(est.inverse_transform(expected.astype(float)), dense)


@pytest.mark.slow
def test_memory_order_and_read_only_arrays(est):
    expected = est.transform(HELD_OUT)
    locked = HELD_OUT.copy()
    locked.flags.writeable = False
    assert_array_equal(est.transform(locked), expected)
    assert_array_equal(est.transform(np.asfortranarray(HELD_OUT)), expected)
    assert_array_equal(est.transform(HELD_OUT.tolist()), expected)


@pytest.mark.slow
def test_data_frames():
    est, columns = tiny(), [f"pixel{i}" for i in range(12)]
    frame = pd.DataFrame(TINY_X, columns=columns)
    other = fit(frame, **TINY).set_output(transform="pandas")
    assert list(other.feature_names_in_) == columns
    out = other.transform(frame)
    assert list(out.columns) == columns
    assert (out.dtypes == np.int32).all()
    assert_array_equal(out.to_numpy(), est.transform(TINY_X))
    dense = other.inverse_transform(out)
    assert_array_equal(dense, est.inverse_transform(out.to_numpy()))
    with pytest.raises(ValueError, match="names"):
        other.transform(frame[columns[::-1]])


# Decoding and sampling.


@settings(max_examples=30, deadline=None, derandomize=True)
@given(S=arrays(np.int32, (3, 12), elements=st.integers(-1, 2)))
def test_seeds_are_kept(S):
    est = tiny()
    before = S.copy()
    dense = est.inverse_transform(S)
    assert_array_equal(S, before)
    assert_array_equal(dense[S >= 0], S[S >= 0])
    assert dense.min() >= 0
    alone = np.concatenate([est.inverse_transform(s[None]) for s in S])
    assert_array_equal(alone, dense)


def test_seeds_have_an_effect_beyond_their_pixel(est):
    """A decoder that ignores its seeds is how this training fails."""
    S = np.tile(blank(X[:1]), (K, 1))
    S[:, 2 * 6 + 3] = np.arange(K)
    dense = est.inverse_transform(S)
    share = [(dense[c] == c).mean() for c in range(K)]
    assert min(share) > 0.1


@pytest.mark.parametrize("rate_model", RATE_MODELS)
def test_samples(rate_model):
    est = fitted(rate_model=rate_model)
    dense, sparse = est.sample(30)
    assert dense.shape == sparse.shape == (30, P)
    assert dense.dtype == X.dtype
    assert sparse.dtype == np.int32
    assert_array_equal(dense, est.inverse_transform(sparse))
    assert len(np.unique(sparse, axis=0)) > 1
    again, _ = est.sample(30)
    assert_array_equal(again, dense)
    other, _ = est.set_params(random_state=1).sample(30)
    assert (other != dense).any()
    assert est.sample()[0].shape == (1, P)


def test_samples_of_list_are_those_of_its_p():
    """A geometric number of entries, of mean P k, fills most of the pixels."""
    _, sparse = fitted(rate_model="list").sample(200)
    a = P * K / (P * K + 1)
    seeded = 1 - (1 - a) / (1 - a * (P - 1) / P)
    assert (sparse >= 0).mean() == pytest.approx(seeded, abs=0.1)


# The curve.


@pytest.mark.slow
@pytest.mark.parametrize(
    "rate_model, void_class",
    [("list", None), ("subset", None), ("learned", None), ("list", 2)],
)
def test_the_curve_is_what_each_weight_gives(rate_model, void_class):
    est, maps = fitted(rate_model=rate_model, void_class=void_class), HELD_OUT[:6]
    weights = [1.0, 8.0]
    curve = est.rate_distortion_curve(maps, weights)
    assert isinstance(curve, Bunch)
    assert est.distortion_weight == 3.0
    assert_array_equal(curve.distortion_weight, weights)
    n_counted = P * len(maps)
    if void_class is not None:
        n_counted = (void_class != maps).sum()
    for i, weight in enumerate(weights):
        est.set_params(distortion_weight=weight)
        S = est.transform(maps)
        rate, wrong = est.rate(S), est.distortion(maps, S)
        assert curve.rate[i] == pytest.approx(rate.mean())
        assert curve.distortion[i] == pytest.approx(wrong.mean())
        assert curve.bits_per_pixel[i] == pytest.approx(rate.mean() / np.log(2) / P)
        assert curve.error[i] == pytest.approx(wrong.sum() / n_counted, rel=1e-6)
    assert (np.diff(curve.rate) > 0).all()
    assert (np.diff(curve.distortion) < 0).all()
