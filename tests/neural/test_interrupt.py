"""Ctrl-C leaves what the epochs reached; a callback may stop the training."""

import os
import signal
import sys
import threading
import time
import weakref

import numpy as np
import pytest
import torch

from sklvm import VAE

from .helpers import QUICK, AfterEpoch, X, fit

pytestmark = pytest.mark.usefixtures("ctrl_c_counts")


class Interrupting(torch.nn.Linear):
    """An encoder during whose fifth batch the user presses Ctrl-C."""

    n_batches = 0

    def forward(self, x):
        if self.training:
            self.n_batches += 1
            if self.n_batches == 5:
                raise KeyboardInterrupt
        return super().forward(x)


def assert_kept(est, n_epochs, raised):
    assert est.n_iter_ == len(est.lower_bounds_) == n_epochs
    assert not est.converged_
    assert np.isfinite(est.score(X))
    assert f"reached in {n_epochs} epochs" in "".join(raised.value.__notes__)


def test_ctrl_c_passes_through():
    for est in (VAE(**QUICK), fit()):
        est.set_params(encoder=Interrupting(4, 4))
        with pytest.raises(KeyboardInterrupt) as raised:
            est.fit(X)
        assert_kept(est, 1, raised)


def test_ctrl_c_before_the_first_epoch():
    for est in (VAE(**QUICK), fit()):
        est.set_params(encoder=Interrupting(4, 4), batch_size=2)
        before = dict(vars(est))
        with pytest.raises(KeyboardInterrupt) as raised:
            est.fit(X)
        assert vars(est) == before
        assert raised.value.__notes__ == ["The VAE is as it was before the call."]


def test_ctrl_c_in_the_folds():
    callbacks = [in_epoch(1, press)]
    est = VAE(**QUICK | {"max_epochs": 100}, callbacks=callbacks)
    started = time.perf_counter()
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    before = dict(vars(est))
    with pytest.raises(KeyboardInterrupt):
        est.fit(np.tile(X, (10, 1)))
    timer.join()
    assert time.perf_counter() - started < 2
    assert vars(est) == before


def test_ctrl_c_keeps_the_weights_that_were_best():
    params = {"early_stopping": True, "validation_fraction": 0.3, "max_epochs": 20}
    est = VAE(**QUICK | params, callbacks=[in_epoch(9, press)])
    with pytest.raises(KeyboardInterrupt) as raised:
        est.fit(X)
    assert_kept(est, 9, raised)
    # The user's callback comes before the one that watches.
    curve = est.net_.history[:-1, "valid_loss"]
    # Or the start, epoch 0, which is a good one.
    assert est.best_epoch_ in (0, 1 + int(np.argmin(curve)))
    assert est.held_out_bound_ >= -min(curve)


def press():
    os.kill(os.getpid(), signal.SIGINT)


def press_beside_a_comment():
    os.kill(os.getpid(), signal.SIGINT)  # raise the bar


class Target:
    """Something to refer to."""


def press_in_a_weak_reference():
    """As in an import: Python drops what is raised there."""
    target = Target()
    reference = weakref.ref(target, lambda _: press())
    del target
    assert reference() is None


class Pressing:
    def __del__(self):
        press()


def press_in_a_destructor():
    Pressing()


PRESSES = [
    press,
    press_beside_a_comment,
    press_in_a_weak_reference,
    press_in_a_destructor,
]


def raise_by_hand(signum, frame):
    raise KeyboardInterrupt


@pytest.fixture
def drops(monkeypatch):
    """What Python drops is no warning here."""
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)


@pytest.fixture(params=[signal.default_int_handler, raise_by_hand])
def handler(request):
    before = signal.signal(signal.SIGINT, request.param)
    yield request.param
    signal.signal(signal.SIGINT, before)


def in_epoch(number, action):
    return AfterEpoch(lambda _, epochs: action() if epochs == number else None)


@pytest.mark.parametrize("action", PRESSES)
@pytest.mark.parametrize("epoch", [2, 4])
@pytest.mark.parametrize("warm_start", [False, True])
def test_ctrl_c_in_a_callback(drops, handler, action, epoch, warm_start):
    est = fit() if warm_start else VAE(**QUICK)
    later = []
    counting = AfterEpoch(lambda _, epochs: later.append(epochs))
    callbacks = [in_epoch(epoch, action), counting]
    est.set_params(warm_start=warm_start, callbacks=callbacks)
    with pytest.raises(KeyboardInterrupt) as raised:
        est.fit(X)
    assert_kept(est, epoch + 4 * warm_start, raised)
    assert max(later) <= epoch
    assert signal.getsignal(signal.SIGINT) is handler
    est.set_params(warm_start=True, callbacks=None).fit(X)
    assert est.n_iter_ == epoch + 4 * warm_start + 4


class PressedOn(torch.nn.Linear):
    """An encoder during whose last batch Ctrl-C is pressed, and dropped."""

    n_batches = 0

    def forward(self, x):
        if self.training:
            self.n_batches += 1
            if self.n_batches == 12:
                press_in_a_weak_reference()
        return super().forward(x)


def test_ctrl_c_that_python_drops_in_a_network(drops, handler):
    est = VAE(**QUICK, encoder=PressedOn(4, 4))
    with pytest.raises(KeyboardInterrupt) as raised:
        est.fit(X)
    assert_kept(est, 4, raised)


def without_source():
    names = {}
    exec("def stop():\n    raise KeyboardInterrupt\n", names)
    return names["stop"]


def stop():
    raise KeyboardInterrupt


@pytest.mark.parametrize("action", [stop, without_source()])
def test_a_callback_may_stop_the_training(handler, action):
    est = fit(callbacks=[in_epoch(2, action)])
    assert est.n_iter_ == 2
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize("ignored", [signal.SIG_IGN, signal.SIG_DFL])
def test_where_ctrl_c_is_no_exception(ignored):
    before = signal.signal(signal.SIGINT, ignored)
    try:
        assert fit(callbacks=[in_epoch(2, stop)]).n_iter_ == 2
        assert signal.getsignal(signal.SIGINT) == ignored
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread():
    fitted = []

    def run():
        fitted.append(fit(callbacks=[in_epoch(2, stop)]))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert fitted[0].n_iter_ == 2


@pytest.mark.usefixtures("handler")
def test_a_fit_within_a_fit():
    """The inner one is interrupted, and so is the outer one."""

    def inner():
        fit(callbacks=[in_epoch(1, press)])

    est = VAE(**QUICK, callbacks=[in_epoch(2, inner)])
    with pytest.raises(KeyboardInterrupt) as raised:
        est.fit(X)
    assert_kept(est, 2, raised)


def test_a_handler_that_a_callback_sets_stays():
    def set_handler():
        signal.signal(signal.SIGINT, raise_by_hand)

    before = signal.getsignal(signal.SIGINT)
    try:
        fit(callbacks=[in_epoch(2, set_handler)])
        assert signal.getsignal(signal.SIGINT) is raise_by_hand
    finally:
        signal.signal(signal.SIGINT, before)
