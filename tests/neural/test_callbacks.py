"""skorch's callbacks, skorch's parameters, and torch.compile."""

import contextlib
import io

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    LRScheduler,
    TrainEndCheckpoint,
)

from sklvm import VAE
from tests.autoencoder.models import quietly

from .helpers import QUICK, AfterEpoch, X, assert_same_fit, fit, weights


class Recording(Callback):
    """Counts every event by its name."""

    def __init__(self, log):
        self.log = log

    def on_train_begin(self, net, **kwargs):
        self.log.append("train begin")

    def on_train_end(self, net, **kwargs):
        self.log.append("train end")

    def on_epoch_begin(self, net, **kwargs):
        self.log.append("epoch begin")

    def on_epoch_end(self, net, **kwargs):
        self.log.append("epoch end")


class RecordingBatches(Recording):
    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        self.log.append(f"batch begin {training}")

    def on_batch_end(self, net, batch=None, training=None, **kwargs):
        self.log.append(f"batch end {training}")


def test_callbacks_see_epochs():
    log = []
    fit(callbacks=[Recording(log)])
    epochs = ["epoch begin", "epoch end"] * 4
    assert log == ["train begin", *epochs, "train end"]


def test_callbacks_see_batches():
    log = []
    fit(callbacks=[RecordingBatches(log)], max_epochs=1)
    batches = ["batch begin True", "batch end True"] * 3
    assert log == ["train begin", "epoch begin", *batches, "epoch end", "train end"]


def test_callbacks_see_the_rows_held_out():
    log = []
    fit(callbacks=[RecordingBatches(log)], max_epochs=1, early_stopping=True)
    assert log.count("batch end True") == 3
    assert log.count("batch end False") >= 1


def test_looking_on_changes_nothing():
    assert_same_fit(fit(callbacks=[RecordingBatches([])]), fit())


def test_callbacks_see_gradients():
    norms = []

    class Gradients(Callback):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            norms.append([p.grad.norm().item() for _, p in named_parameters])

    fit(callbacks=[Gradients()], max_epochs=2)
    assert len(norms) == 6
    assert np.ptp(norms, axis=0).min() > 0


def test_losses_are_in_the_history():
    seen = []

    def look(net, _):
        seen.append(net.history[-1, "train_loss"])

    est = fit(callbacks=[AfterEpoch(look)])
    assert_allclose(seen, -np.asarray(est.lower_bounds_))
    assert all(isinstance(loss, float) for loss in seen)
    assert all(duration >= 0 for duration in est.net_.history[:, "dur"])


def test_callbacks_with_names_and_as_classes():
    log = []
    fit(callbacks=[("mine", Recording(log)), ("other", AfterEpoch(lambda *_: None))])
    assert log.count("epoch end") == 4


def test_early_stopping_of_skorch_ends_the_fit():
    """It raises KeyboardInterrupt inside, which is no Ctrl-C."""
    stop = EarlyStopping(
        monitor="train_loss",
        patience=2,
        threshold=1e9,
        threshold_mode="abs",
        sink=lambda _: None,
    )
    est = fit(callbacks=[stop], max_epochs=20)
    assert est.n_iter_ < 5
    assert np.isfinite(est.score(X))


@pytest.mark.parametrize(
    "checkpoint, name",
    [(Checkpoint, "params.pt"), (TrainEndCheckpoint, "train_end_params.pt")],
)
def test_checkpoints_of_skorch(checkpoint, name, tmp_path):
    params = {"monitor": None} if checkpoint is Checkpoint else {}
    est = fit(callbacks=[checkpoint(dirname=str(tmp_path), **params)])
    state = torch.load(tmp_path / name, weights_only=True)
    saved = np.concatenate([value.numpy().ravel() for value in state.values()])
    assert np.isin(weights(est), saved).all()


def test_schedulers_of_skorch():
    decay = LRScheduler(policy="StepLR", step_size=1, gamma=0.1)
    plain, decayed = (
        fit(callbacks=callbacks, lr_schedule="constant")
        for callbacks in (None, [decay])
    )
    assert not np.array_equal(weights(plain), weights(decayed))
    rates = decayed.net_.history[:, "event_lr"]
    np.testing.assert_allclose(np.array(rates[1:]) / rates[:-1], 0.1)


def test_the_list_of_callbacks_is_not_changed():
    callbacks = [Recording([])]
    est = fit(callbacks=callbacks)
    assert est.callbacks is callbacks
    assert len(callbacks) == 1


def test_an_error_in_a_callback_leaves_no_trace():
    def fail(net, epochs):
        raise OSError("disk full")

    est = VAE(**(QUICK | {"callbacks": [AfterEpoch(fail)]}))
    before = dict(vars(est))
    with pytest.raises(OSError, match="disk full"):
        est.fit(X)
    assert vars(est) == before


# Whatever else the net takes.


@pytest.mark.parametrize(
    "make", [EarlyStopping, lambda: Checkpoint(dirname="never_made")]
)
def test_callbacks_that_look_for_held_out_rows(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    callback = make()
    with pytest.raises(ValueError, match=r"valid_.*early_stopping=True.*'train_loss'"):
        fit(callbacks=[callback], early_stopping=False)


def test_the_learning_rate_is_a_parameter():
    with pytest.raises(ValueError, match=r"optimizer__lr.*set lr\."):
        fit(net_params={"optimizer__lr": 0.1})


def test_net_params_reach_the_optimizer():
    params = {"optimizer": "sgd", "lr": 1e-3, "lr_schedule": "constant"}
    plain = fit(**params)
    decayed = fit(net_params={"optimizer__weight_decay": 100.0}, **params)
    assert np.linalg.norm(weights(decayed)) < 0.8 * np.linalg.norm(weights(plain))


def test_an_unknown_net_parameter_is_an_error():
    with pytest.raises((ValueError, TypeError), match="no_such_thing"):
        fit(net_params={"no_such_thing": 1})


@pytest.mark.slow
def test_compiled_networks_give_the_same_numbers():
    calls = []

    def backend(graph, _):
        calls.append(graph)
        return graph

    params = {"compile": True, "net_params": {"compile__backend": backend}}
    est = fit(max_epochs=2, **params)
    assert calls
    plain = fit(max_epochs=2)
    assert_allclose(weights(est), weights(plain), atol=1e-4)
    assert_allclose(est.score_samples(X), plain.score_samples(X), rtol=1e-3)


# Verbosity.


def printed(**params):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        fit(**params)
    return out.getvalue(), err.getvalue()


def test_silence_is_the_default():
    assert printed() == ("", "")
    assert printed(early_stopping=True) == ("", "")


def test_a_bar_counts_the_epochs():
    out, err = printed(verbose=1)
    assert out == ""
    assert "4/4" in err


def test_partial_fit_is_silent_by_default(capfd):
    quietly(VAE(**QUICK).partial_fit, X)
    assert capfd.readouterr() == ("", "")
