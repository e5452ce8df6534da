"""Bad parameters, and maps: one sentence, and no side effect."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from sklvm import SparseSegmentationRDA

from ..autoencoder.test_bad_input import BAD as BAD_AUTOENCODER
from ..autoencoder.test_structured_bad_input import refused, says
from ..test_contract import snapshot
from .models import QUICK, SHAPE, TINY, TINY_X, P, X, fit, fitted

SHORT = QUICK | {"max_epochs": 3}
FEW = X[:30]
READS_X = ["transform", "score_samples", "score", "encode"]


def new(**params):
    return SparseSegmentationRDA(**SHORT | params)


def changed(array, value, row=7, column=5):
    array = np.array(array, dtype=float)
    array[row, column] = value
    return array


# Parameters.


OWN = [
    ("image_shape", (48,)),
    ("image_shape", (6, 8, 1)),
    ("image_shape", (0, 48)),
    ("image_shape", (-6, -8)),
    ("image_shape", (6.5, 8)),
    ("image_shape", "6x8"),
    ("image_shape", 48),
    ("n_classes", 0),
    ("n_classes", -1),
    ("n_classes", 2.5),
    ("n_classes", "three"),
    ("n_classes", 4097),
    ("n_classes", 10**9),
    ("distortion_weight", 0),
    ("distortion_weight", 0.0),
    ("distortion_weight", -1.0),
    ("distortion_weight", np.inf),
    ("distortion_weight", np.nan),
    ("distortion_weight", 1e-300),
    ("distortion_weight", 1e39),
    ("distortion_weight", "high"),
    ("distortion_weight", None),
    ("rate_model", "lists"),
    ("rate_model", None),
    ("gradient", "straight-through"),
    ("gradient", None),
    ("refine", "swap"),
    ("refine", True),
    ("void_class", 1.5),
    ("void_class", [255, 0.5]),
    ("void_class", range(3)),
    ("void_class", "sky"),
    ("channels", ()),
    ("channels", (0,)),
    ("channels", (8, -1)),
    ("channels", (8.5,)),
    ("channels", "wide"),
    ("optimizer", torch.optim.LBFGS),
    ("optimizer", partial(torch.optim.LBFGS, max_iter=2)),
]
KNOWN = SparseSegmentationRDA().get_params()
SHARED = [(name, value) for name, value in BAD_AUTOENCODER if name in KNOWN]


@pytest.mark.slow
@pytest.mark.parametrize("parameter, value", OWN + SHARED)
@pytest.mark.parametrize("was_fitted", [False, True])
def test_parameters_out_of_range(parameter, value, was_fitted):
    est = fitted() if was_fitted else new()
    est.set_params(**{parameter: value})
    before = snapshot(est)
    with pytest.raises((ValueError, TypeError), match=says(parameter, repr(value))):
        est.fit(FEW)
    assert snapshot(est) == before


def test_constructing_never_validates():
    est = SparseSegmentationRDA(distortion_weight=-1, image_shape="?")
    assert est.distortion_weight == -1


def test_all_parameters_have_names():
    with pytest.raises(TypeError):
        SparseSegmentationRDA((6, 8))


@pytest.mark.parametrize("method", [*READS_X, "rate_distortion_curve"])
@pytest.mark.parametrize("weight", [0.0, -1.0, np.inf, np.nan, 1e-300, 1e39, "high"])
def test_a_bad_distortion_weight_after_the_fit(method, weight):
    est = fitted().set_params(distortion_weight=weight)
    data = (FEW,)
    if method == "rate_distortion_curve":
        est, data = fitted(), (FEW, [1.0, weight])
    before = snapshot(est)
    words = says("distortion_weight", weight)
    with pytest.raises((ValueError, TypeError), match=words):
        getattr(est, method)(*data)
    assert snapshot(est) == before


def test_a_curve_needs_weights():
    for weights in ([], None):
        with pytest.raises((ValueError, TypeError), match="distortion_weights"):
            fitted().rate_distortion_curve(FEW, weights)


def test_a_bad_refine_after_the_fit():
    est = fitted().set_params(refine="swap")
    with pytest.raises(ValueError, match=says("refine", "'swap'")):
        est.transform(FEW)


@pytest.mark.slow
@pytest.mark.parametrize("weight", [1e-30, 1e30])
def test_the_least_and_the_largest_weight(weight):
    est = fit(TINY_X, **TINY | {"max_epochs": 1}, distortion_weight=weight)
    assert np.isfinite(est.score(TINY_X))


@pytest.mark.parametrize("method", ["transform", "encode"])
@pytest.mark.parametrize("m", [-1, 2.5, "few", np.nan, True])
def test_bad_max_distortion(method, m):
    words = ("max_distortion", repr(m))
    refused(getattr(fitted(), method), FEW, max_distortion=m, words=words)


@pytest.mark.parametrize("n_samples", [0, -3, 2.5, "ten"])
def test_bad_numbers_of_samples(n_samples):
    refused(fitted().sample, n_samples, words=("n_samples", repr(n_samples)))


@pytest.mark.parametrize(
    "name, value",
    [("channels", (4,)), ("image_shape", (6, 5)), ("n_classes", 5), ("void_class", 1)],
)
def test_a_warm_start_cannot_change_the_networks(name, value):
    est = fitted().set_params(warm_start=True, **{name: value})
    refused(est.fit, X, words=(name, repr(value), "warm_start"))


# Maps.


def test_another_shape_than_that_of_the_images():
    est = new(image_shape=(5, 8))
    refused(est.fit, FEW, words=("image_shape", "(5, 8)", 40, P))
    refused(fitted().fit, FEW[:, :-1], words=("image_shape", SHAPE, P, P - 1))


@pytest.mark.parametrize("method", ["fit", *READS_X])
@pytest.mark.parametrize("value", [3, 1000, 1234567, 10**20])
def test_classes_that_do_not_exist(method, value):
    words = ("X", value, "n_classes", 3)
    refused(getattr(fitted(), method), changed(FEW, value), words=words)


@pytest.mark.slow
def test_a_class_that_the_fit_has_not_seen():
    est = fit(FEW, n_classes=None, max_epochs=3)
    refused(est.transform, changed(FEW, 3), words=("X", 3, "n_classes"))


def test_more_classes_than_there_may_be():
    est, maps = new(n_classes=None, image_shape=None), np.arange(4098).reshape(2, -1)
    refused(est.fit, maps, words=("X", 4098, 4096))


def test_maps_that_are_larger():
    maps = FEW.reshape(-1, *SHAPE[::-1])
    words = ("X[0]", SHAPE[::-1], SHAPE, "image_shape")
    refused(fitted().fit, maps, words=words)


def test_too_few_classes():
    refused(new(n_classes=2).fit, FEW, words=("n_classes", 2))


@pytest.mark.parametrize("method", ["fit", *READS_X])
def test_negative_classes(method):
    est = fitted()
    before = snapshot(est)
    for value in (-1, -5):
        with pytest.raises(ValueError, match=says("X", value, "void_class")):
            getattr(est, method)(changed(FEW, value))
    assert snapshot(est) == before


@pytest.mark.parametrize("method", ["fit", *READS_X])
@pytest.mark.parametrize("value", [0.5, 1e-3, 1.9999])
def test_numbers_that_are_no_classes(method, value):
    words = ("X", value, "whole")
    refused(getattr(fitted(), method), changed(FEW, value), words=words)


@pytest.mark.parametrize("method", ["fit", *READS_X])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nothing_may_be_missing(method, value):
    est = fitted()
    before = snapshot(est)
    with pytest.raises(ValueError, match=r"X.*(?i:nan|inf)"):
        getattr(est, method)(changed(FEW, value))
    assert snapshot(est) == before


@pytest.mark.parametrize("method", READS_X)
def test_another_number_of_pixels(method):
    with pytest.raises(ValueError, match=rf"{P - 1} features.*{P} features"):
        getattr(fitted(), method)(FEW[:, :-1])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fit", *READS_X])
def test_maps_of_void_alone(method):
    est = fitted(void_class=2).set_params(void_class=2, n_classes=None)
    maps = np.full_like(FEW, 2)
    if method == "fit":
        refused(est.fit, maps, words=("void_class", 2))
    else:
        getattr(est, method)(maps)


# Before the fit, and a fit that fails.


def test_nothing_works_before_the_fit():
    est, S = new(), np.full((30, P), -1)
    for method in (*READS_X, "inverse_transform", "rate"):
        with pytest.raises(NotFittedError, match="SparseSegmentationRDA"):
            getattr(est, method)(S if method in ("inverse_transform", "rate") else FEW)
    for method, data in [
        (est.distortion, (FEW, S)),
        (est.sample, ()),
        (est.decode, ([b"\0"],)),
        (est.rate_distortion_curve, (FEW, [1.0])),
    ]:
        with pytest.raises(NotFittedError, match="SparseSegmentationRDA"):
            method(*data)


@pytest.mark.slow
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_training_that_diverges_keeps_the_fit(warm_start):
    est = fitted().set_params(warm_start=warm_start, lr=1e30, lr_schedule="constant")
    before, values = snapshot(est), est.score_samples(FEW)
    with pytest.raises(ValueError, match="lr"):
        est.fit(FEW)
    assert snapshot(est) == before
    assert np.array_equal(est.score_samples(FEW), values)
