"""Weights of classes in the distortion."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils.class_weight import compute_class_weight

import sklvm
from sklvm import SparseSegmentationRDA
from sklvm.segmentation._phases import DecoderPhase, EncoderPhase, Trial

from .models import HELD_OUT, SHAPE, TINY, TINY_X, K, P, X, fit, fitted, tiny

WEIGHTS = {0: 0.5, 2: 4.0}
ARRAY = np.array([0.5, 1.0, 4.0])


@pytest.mark.slow
def test_the_distortion_is_the_sum_of_the_weights():
    est, maps = tiny(class_weight="balanced"), TINY_X[:16]
    est.class_weight_ = ARRAY
    S = est.transform(maps)
    wrong = est.inverse_transform(S) != maps
    expected = (wrong * ARRAY[maps]).sum(axis=1)
    assert expected.max() > 0
    assert_array_equal(est.distortion(maps, S), expected)
    objective = est.rate(S) + est.distortion_weight * expected
    assert_allclose(est.score_samples(maps), -objective, rtol=1e-12)
    curve = est.rate_distortion_curve(maps, [est.distortion_weight])
    assert_allclose(curve.distortion, expected.mean())
    assert_allclose(curve.rate, est.rate(S).mean())
    assert_allclose(curve.error, wrong.mean())


def test_balanced_is_what_scikit_learn_calls_so():
    est = tiny(void_class=1, class_weight="balanced")
    pixels = TINY_X[TINY_X != 1]
    expected = compute_class_weight("balanced", classes=est.classes_, y=pixels)
    assert_allclose(est.class_weight_, expected)
    weights = dict(zip(est.classes_.tolist(), expected, strict=True))
    assert np.mean([weights[label] for label in pixels.tolist()]) == pytest.approx(1)


@pytest.mark.slow
def test_a_dict_leaves_the_others_at_one():
    assert_array_equal(tiny_with(WEIGHTS).class_weight_, ARRAY)
    assert tiny().class_weight_ is None
    # Labels that no map has count as others, so that means are of what there is.
    est = fit(TINY_X % 2, **TINY | {"max_epochs": 1}, class_weight="balanced")
    assert est.class_weight_[2] == 1
    counts = np.bincount((TINY_X % 2).ravel())
    assert_allclose(est.class_weight_[:2], TINY_X.size / (2 * counts))


def tiny_with(class_weight, **params):
    return fit(TINY_X, **TINY | params, class_weight=class_weight)


def test_labels_of_any_kind_have_weights():
    text = np.array(["road", "sky", "sign"])[TINY_X]
    params = TINY | {"n_classes": None, "max_epochs": 1}
    est = fit(text, **params, class_weight={"sign": 3.0})
    assert est.classes_.tolist() == ["road", "sign", "sky"]
    assert est.class_weight_.tolist() == [1.0, 3.0, 1.0]


def test_weights_of_two_are_twice_the_distortion_weight():
    est = fitted()
    expected = est.set_params(distortion_weight=6.0).transform(HELD_OUT)
    est.class_weight_ = np.full(K, 2.0)
    est.set_params(distortion_weight=3.0)
    assert_array_equal(est.transform(HELD_OUT), expected)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["decoder", "encoder"])
def test_the_losses_have_the_weights(part):
    """Beside the same losses pixel by pixel, of maps of one class each."""
    module = fitted(class_weight="balanced").net_.module
    labels = torch.arange(K)[:, None, None].repeat(1, *SHAPE)
    losses = {
        weights is None: [
            _loss(module, weights, labels[i : i + 1], part) for i in range(K)
        ]
        for weights in (None, ARRAY)
    }
    assert min(losses[True]) > 0
    assert_allclose(losses[False], ARRAY * losses[True], rtol=1e-5)


def _loss(module, weights, labels, part):
    if part == "decoder":
        phase = DecoderPhase(module, weights, replay=None)
        blank, none = np.full((1, *SHAPE), -1), np.zeros(1, dtype=bool)
        return phase.forward(labels, None, blank, none, None, 1.0)[0].item()
    phase = EncoderPhase(module, weights, None, 3.0, "straight_through", {})
    trial = Trial(phase, labels, None, n_draws=1)
    return trial.distortion(torch.zeros(1, P)).item()


@pytest.mark.slow
def test_a_rare_class_survives():
    """Single pixels of a class among stripes, worth a seed only with a weight."""
    rng = np.random.default_rng(0)
    maps = np.repeat(rng.integers(2, size=(50, 5)), 6, axis=1)
    maps[np.arange(50), rng.integers(P, size=50)] = 2
    params = {"distortion_weight": 1.0, "max_epochs": 10}
    shares = []
    for class_weight in (None, {2: 30.0}):
        est = fit(maps, **params, class_weight=class_weight)
        decoded = est.inverse_transform(est.transform(maps))
        shares.append((decoded == 2)[maps == 2].mean())
    assert shares[0] < 0.5
    assert shares[1] > 0.9


@pytest.mark.parametrize("most", [0, 0.75, 3])
def test_max_distortion_is_of_the_weights(most):
    est = fitted(class_weight="balanced").set_params(distortion_weight=0.3)
    est.class_weight_ = ARRAY
    assert est.distortion(HELD_OUT, est.transform(HELD_OUT)).max() > 3
    S = est.transform(HELD_OUT, max_distortion=most)
    assert est.distortion(HELD_OUT, S).max() <= most


def test_a_class_of_no_weight_is_given_up():
    est = fitted(class_weight="balanced")
    est.class_weight_ = np.array([1.0, 0.0, 1.0])
    S = est.transform(HELD_OUT, max_distortion=0)
    wrong = est.inverse_transform(S) != HELD_OUT
    assert not wrong[HELD_OUT != 1].any()


def test_files_keep_them(tmp_path):
    est = fitted(class_weight="balanced")
    sklvm.save(est, tmp_path / "est.sklvm")
    loaded = sklvm.load(tmp_path / "est.sklvm")
    assert_array_equal(loaded.class_weight_, est.class_weight_)
    assert_array_equal(loaded.score_samples(X[:4]), est.score_samples(X[:4]))


@pytest.mark.parametrize(
    "class_weight, words",
    [
        ({7: 1.0}, "the label 7"),
        ({1: -1.0}, "-1.0 for 1"),
        ({1: np.inf}, "inf for 1"),
        ({1: np.nan}, "nan for 1"),
        ({1: "much"}, "'much' for 1"),
        ({0: 0, 1: 0, 2: 0}, "no class with a weight"),
        ("even", "class_weight"),
        ([1.0, 2.0, 3.0], "class_weight"),
    ],
)
def test_bad_weights(class_weight, words):
    est = SparseSegmentationRDA(**TINY, n_classes=K, class_weight=class_weight)
    with pytest.raises(ValueError, match="class_weight") as error:
        est.fit(TINY_X)
    assert words in str(error.value)
    assert not hasattr(est, "n_classes_")
