"""How the training of SparseSegmentationRDA goes on, stops and tells its ways apart."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ..autoencoder.models import quietly
from .models import GRADIENTS, HELD_OUT, X, blank, fit, fitted, objective, shaken


@pytest.fixture
def est():
    return fitted()


def test_training_helps(est):
    assert est.score(HELD_OUT) > shaken(est, 1.0).score(HELD_OUT) + 3
    assert est.score(HELD_OUT) > -objective(est, HELD_OUT, blank(HELD_OUT)).mean() + 3


def test_no_gradient_is_the_same_as_another():
    codes = [fitted(gradient=g, refine=None).transform(HELD_OUT) for g in GRADIENTS]
    assert not (codes[0] == codes[1]).all()
    assert not (codes[0] == codes[2]).all()


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_each_gradient_finds_seeds(gradient):
    est = fitted(gradient=gradient, refine=None, distortion_weight=4.0)
    own = objective(est, HELD_OUT, est.transform(HELD_OUT)).mean()
    assert own < objective(est, HELD_OUT, blank(HELD_OUT)).mean() - 2


def test_channels_are_the_widths_of_the_networks():
    def size(est):
        return sum(w.numel() for w in est.net_.module.parameters())

    small, large = (fit(X, max_epochs=3, channels=c) for c in ((4,), (8, 16)))
    assert size(large) > 2 * size(small)


def test_a_fit_of_one_epoch_a_phase():
    est = fit(X, max_epochs=1)
    assert len(est.lower_bounds_) == est.n_iter_ >= 1
    assert np.isfinite(est.score(HELD_OUT))


def test_fit_transform_is_fit_and_transform(est):
    other = copy.deepcopy(est)
    assert_array_equal(quietly(other.fit_transform, X), est.transform(X))


def test_warm_start_goes_on(est):
    once = est.score(HELD_OUT)
    first = est.n_iter_
    est.set_params(warm_start=True, lr=1e-3)
    quietly(est.fit, X)
    assert len(est.lower_bounds_) == est.n_iter_ > first
    assert est.score(HELD_OUT) > once - 1
    short = fit(X, max_epochs=3)
    later = copy.deepcopy(short).set_params(warm_start=True)
    for _ in range(3):
        quietly(later.fit, X)
    assert later.score(HELD_OUT) > short.score(HELD_OUT)


def test_a_cold_fit_starts_anew(est):
    other = copy.deepcopy(est)
    quietly(other.fit, X[:50])
    quietly(other.fit, X)
    assert_array_equal(other.transform(HELD_OUT), est.transform(HELD_OUT))
    assert other.n_iter_ == est.n_iter_


def test_early_stopping_says_which_epoch_was_the_best():
    est = fit(X, early_stopping=True, n_iter_no_change=1, tol=1e3, max_epochs=12)
    assert est.n_iter_ < 12
    assert 1 <= est.best_epoch_ <= est.n_iter_
