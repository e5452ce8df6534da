"""Images beside the maps, and how they travel through scikit-learn."""

import copy
import pickle
from functools import cache

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from sklvm import SparseSegmentationRDA

from ..autoencoder.models import quietly
from .models import QUICK, blank, fit, images_of, seeing, specks

X = specks(0, 40)
IMAGES = images_of(X)
HELD_OUT = specks(1, 30)
SEEN = images_of(HELD_OUT, seed=1)
P = X.shape[1]
FOLDS = KFold(2, shuffle=True, random_state=0)
SHORT = {"image_shape": (4, 5), "max_epochs": 3}


@cache
def with_images():
    """A short fit to all maps and their images."""
    return fit(X, IMAGES, **SHORT)


@cache
def without_images():
    return fit(X, **SHORT)


@pytest.fixture
def est():
    return seeing()


@pytest.mark.slow
def test_images_say_what_seeds_cannot(est):
    blind = without_images()
    assert est.n_image_channels_ == 2
    assert est.score(HELD_OUT, images=SEEN) > blind.score(HELD_OUT) + 10
    without_seeds = est.distortion(HELD_OUT, blank(HELD_OUT), SEEN).mean() / P
    assert without_seeds < 0.35  # by chance two thirds
    assert blind.distortion(HELD_OUT, blank(HELD_OUT)).mean() / P > 0.5


@pytest.mark.slow
def test_the_image_belongs_to_its_row(est):
    right = est.score_samples(HELD_OUT, SEEN)
    wrong = est.score_samples(HELD_OUT, SEEN[::-1])
    assert right.mean() > wrong.mean() + 10
    order = np.random.default_rng(0).permutation(len(HELD_OUT))
    assert_array_equal(est.score_samples(HELD_OUT[order], SEEN[order]), right[order])
    S = est.transform(HELD_OUT, SEEN)
    for i in range(10):
        row = slice(i, i + 1)
        assert_array_equal(est.transform(HELD_OUT[row], SEEN[row]), S[row])
        dense = est.inverse_transform(S[row], SEEN[row])
        assert_array_equal(dense, est.inverse_transform(S, SEEN)[row])


def test_channels_are_the_last_axis(est):
    """Planes one after the other are another image, and a worse one."""
    images = SEEN.reshape(-1, P, 2)
    planes = images.transpose(0, 2, 1).reshape(len(SEEN), -1)
    assert est.score(HELD_OUT, images=planes) < est.score(HELD_OUT, images=SEEN) - 10


def test_every_method_takes_them(est):
    S = est.transform(HELD_OUT, images=SEEN)
    dense = est.inverse_transform(S, images=SEEN)
    distortion = est.distortion(HELD_OUT, S, images=SEEN)
    assert_array_equal(distortion, (dense != HELD_OUT).sum(axis=1))
    expected = -(est.rate(S) + est.distortion_weight * distortion)
    assert_allclose(est.score_samples(HELD_OUT, images=SEEN), expected, rtol=1e-12)
    curve = est.rate_distortion_curve(HELD_OUT, [3.0], images=SEEN)
    assert curve.distortion[0] == pytest.approx(distortion.mean())
    sampled, sparse = est.sample(30, images=SEEN)
    assert_array_equal(est.inverse_transform(sparse, SEEN), sampled)


def test_a_score_is_weighted(est):
    weight = np.random.default_rng(0).exponential(size=len(HELD_OUT))
    expected = np.average(est.score_samples(HELD_OUT, SEEN), weights=weight)
    score = est.score(HELD_OUT, sample_weight=weight, images=SEEN)
    assert score == pytest.approx(expected)


@pytest.mark.slow
def test_fit_transform_takes_them(est):
    other = clone(est).set_params(**SHORT)
    S = quietly(lambda: other.fit_transform(X, images=IMAGES))
    assert_array_equal(S, with_images().transform(X, IMAGES))


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda est: pickle.loads(pickle.dumps(est))]
)
def test_copies(est, duplicate):
    expected = est.transform(HELD_OUT, SEEN)
    assert_array_equal(duplicate(est).transform(HELD_OUT, SEEN), expected)


def test_frames_of_images_and_float32(est):
    expected = est.transform(HELD_OUT, SEEN)
    assert_array_equal(est.transform(HELD_OUT, pd.DataFrame(SEEN)), expected)
    assert_array_equal(est.transform(HELD_OUT, SEEN.astype(np.float32)), expected)


@pytest.mark.slow
def test_a_channel_that_never_changes():
    images = IMAGES.reshape(-1, P, 2).copy()
    images[..., 1] = 2.0
    images = images.reshape(len(X), -1)
    est = fit(X, images, image_shape=(4, 5), max_epochs=60)
    assert est.distortion(X, blank(X), images).mean() / P < 0.25


def test_images_are_left_as_they_are(est):
    images = SEEN.astype(np.float32)
    before = images.copy()
    est.transform(HELD_OUT, images)
    fit(HELD_OUT, images, **SHORT)
    assert_array_equal(images, before)


# Metadata routing.


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def pipeline(**params):
    steps = [
        ("same", FunctionTransformer()),
        ("rda", SparseSegmentationRDA(**QUICK | SHORT | params)),
    ]
    return Pipeline(steps)


@pytest.mark.slow
def test_a_pipeline_passes_them_on(routing):
    pipe = quietly(lambda: pipeline().fit(X, images=IMAGES))
    est = with_images()
    S = est.transform(HELD_OUT, SEEN)
    assert_array_equal(pipe.transform(HELD_OUT, images=SEEN), S)
    assert pipe.score(HELD_OUT, images=SEEN) == est.score(HELD_OUT, images=SEEN)
    together = quietly(lambda: pipeline().fit_transform(X, images=IMAGES))
    assert_array_equal(together, est.transform(X, IMAGES))


@cache
def held_out_score(weight):
    scores = []
    for train, test in FOLDS.split(X):
        params = SHORT | {"distortion_weight": weight}
        est = fit(X[train], IMAGES[train], **params)
        scores.append(est.score(X[test], images=IMAGES[test]))
    return np.mean(scores)


@pytest.mark.slow
@pytest.mark.parametrize("within", ["estimator", "pipeline"])
def test_grid_search_passes_them_on(routing, within):
    weights = [1.0, 4.0]
    if within == "pipeline":
        searched, name = pipeline(), "rda__distortion_weight"
    else:
        searched, name = SparseSegmentationRDA(**QUICK | SHORT), "distortion_weight"
    search = GridSearchCV(searched, {name: weights}, cv=FOLDS)
    quietly(lambda: search.fit(X, images=IMAGES))
    scores = [held_out_score(weight) for weight in weights]
    assert_allclose(search.cv_results_["mean_test_score"], scores, rtol=1e-9)
    assert search.best_params_ == {name: weights[int(np.argmax(scores))]}
    expected = search.best_estimator_.score(HELD_OUT, images=SEEN)
    assert search.score(HELD_OUT, images=SEEN) == expected


@pytest.mark.slow
def test_routing_works_without_images_too(routing):
    pipe = quietly(lambda: pipeline().fit(X))
    assert pipe.score(HELD_OUT) == without_images().score(HELD_OUT)


@pytest.mark.slow
def test_what_else_a_pipeline_may_be_asked_for(routing):
    pipe, weights = pipeline(), np.arange(len(HELD_OUT))
    pipe[-1].set_score_request(sample_weight=True)
    pipe[-1].set_transform_request(max_distortion=True)
    quietly(lambda: pipe.fit(X, images=IMAGES))
    est = with_images()
    expected = est.score(HELD_OUT, sample_weight=weights, images=SEEN)
    assert pipe.score(HELD_OUT, sample_weight=weights, images=SEEN) == expected
    S = pipe.transform(HELD_OUT, images=SEEN, max_distortion=0)
    assert_array_equal(est.inverse_transform(S, SEEN), HELD_OUT)


@pytest.mark.slow
def test_a_pipeline_without_images_needs_no_routing():
    pipe = quietly(lambda: pipeline().fit(X))
    S = without_images().transform(HELD_OUT)
    assert_array_equal(pipe.transform(HELD_OUT), S)
    dense = without_images().inverse_transform(S)
    assert_array_equal(pipe.inverse_transform(S), dense)


def test_images_in_another_unit_than_in_fit():
    est = with_images()
    for images in (SEEN * 255, (SEEN - SEEN.mean()) / 255):
        with pytest.warns(
            UserWarning, match=r"^images has values from .* another unit"
        ):
            S = est.transform(HELD_OUT, images)
        with pytest.warns(UserWarning, match="give them in that of the fit"):
            est.inverse_transform(S, images)
