"""How the training of SparseSegmentationRDA goes on, stops and tells its ways apart."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from skorch.callbacks import Callback, EarlyStopping

from ..autoencoder.models import quietly
from ..registry import label_maps
from .models import (
    GRADIENTS,
    HELD_OUT,
    TINY,
    TINY_X,
    X,
    blank,
    fit,
    fitted,
    objective,
    own_seeds,
    shaken,
    tiny,
)

(MAPS,) = label_maps(1, 40, 3, 4)


@pytest.fixture
def est():
    return fitted()


def test_training_helps(est):
    assert est.score(HELD_OUT) > shaken(est, 1.0).score(HELD_OUT) + 3
    assert est.score(HELD_OUT) > -objective(est, HELD_OUT, blank(HELD_OUT)).mean() + 3


@pytest.mark.slow
def test_no_gradient_is_the_same_as_another():
    ways = [own_seeds(gradient).net_.module.state_dict() for gradient in GRADIENTS]
    weights = [np.concatenate([w.ravel() for w in way.values()]) for way in ways]
    assert (weights[0] != weights[1]).any()
    assert (weights[0] != weights[2]).any()


@pytest.mark.slow
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_each_gradient_finds_seeds(gradient):
    est = own_seeds(gradient)
    own = objective(est, MAPS, est.transform(MAPS)).mean()
    assert own < objective(est, MAPS, blank(MAPS)).mean() - 3


@pytest.mark.slow
def test_channels_are_the_widths_of_the_networks():
    def size(est):
        return sum(w.numel() for w in est.net_.module.parameters())

    small, large = (tiny(channels=c) for c in ((4,), (8, 16)))
    assert size(large) > 2 * size(small)


class Counting(Callback):
    def __init__(self, log):
        self.log = log

    def on_train_begin(self, net, **kwargs):
        self.log.append(0)

    def on_epoch_end(self, net, **kwargs):
        self.log[-1] += 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("refine", "phases"), [("greedy", [13, 7]), (None, [13, 2, 5])]
)
def test_callbacks_see_all_phases_and_may_stop_each(refine, phases):
    log, params = [], TINY | {"max_epochs": 20, "refine": refine}
    fit(TINY_X, **params, callbacks=[Counting(log)])
    assert log == phases
    stop = EarlyStopping(
        "train_loss", patience=2, threshold=1e9, threshold_mode="abs", sink=str
    )
    stopped = []
    fit(TINY_X, **params, callbacks=[Counting(stopped), stop])
    assert len(stopped) == len(phases)
    assert stopped[0] < log[0]
    assert stopped[-1] < log[-1]


@pytest.mark.slow
@pytest.mark.parametrize(("refine", "n_phases"), [("greedy", 2), (None, 3)])
def test_a_fit_of_one_epoch_a_phase(refine, n_phases):
    est = tiny(max_epochs=1, refine=refine)
    assert len(est.lower_bounds_) == est.n_iter_ == n_phases
    assert np.isfinite(est.score(MAPS))


@pytest.mark.slow
def test_fit_transform_is_fit_and_transform():
    other = clone(tiny())
    assert_array_equal(quietly(other.fit_transform, TINY_X), tiny().transform(TINY_X))


@pytest.mark.slow
def test_warm_start_goes_on(est):
    once = est.score(HELD_OUT)
    first = est.n_iter_
    est.set_params(warm_start=True, lr=1e-3)
    quietly(est.fit, X)
    assert len(est.lower_bounds_) == est.n_iter_ > first
    # At this rate a fit that starts anew ends 12 nats below.
    assert est.score(HELD_OUT) > once - 3


@pytest.mark.slow
def test_a_cold_fit_starts_anew():
    est, other = tiny(), tiny()
    quietly(other.fit, TINY_X[:20])
    quietly(other.fit, TINY_X)
    assert_array_equal(other.transform(MAPS), est.transform(MAPS))
    assert other.n_iter_ == est.n_iter_


@pytest.mark.slow
def test_early_stopping_says_which_epoch_was_the_best():
    params = {"early_stopping": True, "n_iter_no_change": 1, "tol": 1e3}
    est = tiny(max_epochs=12, **params)
    assert est.n_iter_ < 12
    assert 1 <= est.best_epoch_ <= est.n_iter_
