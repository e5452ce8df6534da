"""Fits that go wrong: a word on the cause, and no trace of them."""

import pickle

import pytest
import torch

from sklvm import VAE
from tests.autoencoder.models import quietly

from .helpers import QUICK, AfterEpoch, X, assert_same_fit, fit


def spoil_in_epoch(number):
    """After epoch number - 1, a parameter becomes NaN."""

    def spoil(net, epochs):
        if epochs == number - 1:
            with torch.no_grad():
                next(net.module_.parameters()).fill_(torch.nan)

    return AfterEpoch(spoil)


@pytest.mark.parametrize("number", [2, 4])
def test_a_nan_names_its_epoch(number):
    est = VAE(**(QUICK | {"callbacks": [spoil_in_epoch(number)]}))
    before = dict(vars(est))
    with pytest.raises(
        (ValueError, ArithmeticError, RuntimeError), match=rf"(?i)epoch {number}\b"
    ) as error:
        est.fit(X)
    text = str(error.value)
    assert "lr" in text
    assert ". " not in text.rstrip(".")
    assert vars(est) == before


def test_a_learning_rate_that_explodes():
    with pytest.raises((ValueError, ArithmeticError, RuntimeError), match="epoch"):
        fit(optimizer="sgd", lr=1e12, max_epochs=20, noise=1e-3)


def test_a_good_fit_after_a_bad_one():
    est = VAE(**(QUICK | {"callbacks": [spoil_in_epoch(2)]}))
    with pytest.raises((ValueError, ArithmeticError, RuntimeError)):
        est.fit(X)
    quietly(est.set_params(callbacks=None).fit, X)
    assert_same_fit(est, fit())


def test_a_failing_continuation_puts_everything_back():
    est, other = (fit(warm_start=True, lr_schedule="constant") for _ in range(2))
    est.set_params(callbacks=[spoil_in_epoch(3)])
    with pytest.raises((ValueError, ArithmeticError, RuntimeError)):
        est.fit(X)
    assert_same_fit(est, other)
    est.set_params(callbacks=None)
    for one in (est, other):
        quietly(one.fit, X)
    assert_same_fit(est, other)


@pytest.mark.parametrize("lr", [1e-4, 0.1])
def test_a_failing_continuation_of_a_copy_keeps_the_learning_rate(lr):
    """A copy has an optimiser without the ratios of its learning rates."""
    est = pickle.loads(pickle.dumps(fit(warm_start=True, lr_schedule="constant")))
    est.set_params(lr=lr, callbacks=[spoil_in_epoch(2)])
    with pytest.raises(ValueError):
        est.fit(X)
    used = []
    look = AfterEpoch(lambda net, _: used.append(net.optimizer_.param_groups[0]["lr"]))
    quietly(est.set_params(callbacks=[look]).fit, X)
    assert used == pytest.approx([lr] * 4)
