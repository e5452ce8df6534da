"""How long a training is: "auto", folds of few rows, held-out rows of many."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback

from sklvm import VAE, ConditionalVAE
from sklvm.neural import _length
from tests.autoencoder.models import curve, quietly, standard_normal

from .helpers import AfterEpoch, weights

SMALL = {"hidden_layer_sizes": (8,), "random_state": 0}
# 200 steps of one batch: with fewer nothing is held out.
FEW = SMALL | {"max_epochs": 200, "lr": 0.01}
ROWS = curve(60)


# Long enough for folds where `short_folds` are.
SHORT = FEW | {"max_epochs": 40, "lr": 0.03}


def fit(X=ROWS, **params):
    return quietly(VAE(**(FEW | params)).fit, X)


@pytest.fixture
def short_folds(monkeypatch):
    """Rows are held out of short trainings too, for tests of what comes of it."""
    monkeypatch.setattr(_length, "LEAST_STEPS", 40)
    monkeypatch.setattr(_length, "EVERY", 4)


class Stop(Callback):
    """Ends the training after an epoch; what was planned stands in the net."""

    def on_epoch_end(self, net, **kwargs):
        raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.parametrize(
    "n_rows, n_epochs", [(50, 5000), (500, 1250), (2000, 313), (100_000, 30)]
)
def test_auto_is_5000_steps_and_at_least_30_epochs(n_rows, n_epochs):
    """Steps of 128 rows: 1, 4, 16 and 782 an epoch."""
    params = {"early_stopping": False, "callbacks": [Stop()]}
    est = quietly(VAE(1, **SMALL, **params).fit, standard_normal(n_rows, 2))
    assert est.net_.max_epochs == n_epochs


@pytest.mark.parametrize("n_rows, n_epochs", [(500, 1250), (2000, 625)])
def test_auto_is_10000_steps_for_a_conditional_density_of_many_rows(n_rows, n_epochs):
    params = {"early_stopping": False, "callbacks": [Stop()]}
    X = standard_normal(n_rows, 2)
    est = quietly(ConditionalVAE(1, **SMALL, **params).fit, X[:, :1], X[:, 1])
    assert est.net_.max_epochs == n_epochs


def test_auto_counts_the_rows_that_are_trained_on():
    est = quietly(VAE(1, **SMALL, callbacks=[Stop()]).fit, standard_normal(2000, 2))
    # 1800 rows are 15 steps.
    assert est.net_.max_epochs == 334
    assert "valid_loss" in est.net_.history[-1]


def test_batches_change_how_many_epochs_are_5000_steps():
    params = {"early_stopping": False, "callbacks": [Stop()], "batch_size": 25}
    est = quietly(VAE(1, **SMALL, **params).fit, standard_normal(50, 2))
    assert est.net_.max_epochs == 2500


@pytest.mark.slow
def test_noise_is_not_learned_by_heart():
    """Where nothing is to be learned the start, or little after it, is the best."""
    X = standard_normal(60, 5)
    est = fit(X)
    assert est.best_epoch_ == est.n_iter_ <= 60
    long = fit(X, early_stopping=False)
    fresh = standard_normal(2000, 5, seed=1)
    assert est.score(fresh) > long.score(fresh) + 0.05


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["optimal", "shared"])
def test_the_noise_is_that_of_new_rows(noise):
    """Networks err less on the rows that they were trained on.

    The errors of 2,000 new rows of 8 columns, as scores weigh them, against sigma^2.
    That one is a mean of 100 squares, with a relative standard error of sqrt(2 / 100) a
    column; a third of that for the mean of 8.
    """
    rng = np.random.default_rng(0)
    Z, W = rng.normal(size=(2100, 3)), rng.normal(size=(3, 8))
    X = (np.sin(Z) @ W + 0.3 * rng.normal(size=(len(Z), 8))).astype(np.float32)
    est = VAE(3, noise=noise, random_state=0, tol=np.inf).fit(X[:100])
    squares, n = np.split(est._errors_as_scored(X[100:]), 2)
    assert np.mean(squares / n / est.noise_**2) == pytest.approx(1, abs=0.15)


@pytest.mark.slow
def test_a_curve_is_learned():
    est = fit(curve(200), max_epochs=200, lr=0.03)
    assert est.best_epoch_ > 20
    first = fit(curve(200), max_epochs=1, lr=1e-30)
    assert est.score(curve(2000, seed=1)) > first.score(curve(2000, seed=1)) + 0.1
    # Held out where it was chosen, so a little too good, and of fewer rows.
    assert est.held_out_bound_ == pytest.approx(est.score(curve(2000, seed=1)), abs=0.5)


@pytest.mark.slow
@pytest.mark.usefixtures("short_folds")
def test_the_folds_repeat_with_random_state():
    one, two = fit(**SHORT), fit(**SHORT)
    assert one.best_epoch_ == two.best_epoch_
    assert one.held_out_bound_ == two.held_out_bound_
    assert_array_equal(weights(one), weights(two))
    other = fit(**SHORT | {"random_state": 1})
    assert one.held_out_bound_ != other.held_out_bound_


@pytest.mark.slow
@pytest.mark.parametrize("n_rows", [60, 1100])
def test_max_epochs_is_the_most(n_rows):
    est = fit(curve(n_rows), max_epochs=220)
    assert est.n_iter_ <= 220
    assert est.best_epoch_ <= est.n_iter_
    assert np.isfinite(est.held_out_bound_)


@pytest.mark.slow
@pytest.mark.usefixtures("short_folds")
def test_callbacks_see_the_last_training_alone():
    log = []

    class Log(Callback):
        def on_train_begin(self, net, **kwargs):
            log.append("begin")

        def on_epoch_end(self, net, **kwargs):
            log.append("epoch")

    est = fit(curve(200), max_epochs=20, lr_schedule="constant", callbacks=[Log()])
    assert log == ["begin", *["epoch"] * est.n_iter_]


@pytest.mark.slow
def test_short_trainings_are_left_alone():
    """Fewer than 200 steps."""
    est = fit(max_epochs=199)
    assert est.n_iter_ == 199
    assert not hasattr(est, "held_out_bound_")
    assert_array_equal(weights(est), weights(fit(max_epochs=199, early_stopping=False)))
    assert hasattr(fit(max_epochs=200), "held_out_bound_")


def test_partial_fit_holds_nothing_out():
    auto, none = (
        VAE(**(FEW | {"early_stopping": e})).partial_fit(ROWS) for e in ("auto", False)
    )
    assert_array_equal(weights(auto), weights(none))
    assert not hasattr(auto, "held_out_bound_")
    many = VAE(**FEW).partial_fit(curve(1100))
    assert "valid_loss" not in many.net_.history[-1]
    # A first batch of too few rows to hold some out.
    VAE(**FEW, early_stopping=True).partial_fit(ROWS[:3])


@pytest.mark.slow
@pytest.mark.usefixtures("short_folds")
def test_a_training_that_goes_on_adds_its_epochs():
    est = fit(**SHORT, warm_start=True)
    n_first = est.n_iter_
    quietly(est.set_params(max_epochs=20).fit, ROWS)
    assert est.n_iter_ == n_first + 20


@pytest.mark.slow
@pytest.mark.usefixtures("short_folds")
def test_pickles_and_later_fits_know_what_was_held_out():
    est = fit(**SHORT)
    again = pickle.loads(pickle.dumps(est))
    assert again.held_out_bound_ == est.held_out_bound_
    assert again.best_epoch_ == est.best_epoch_
    assert_array_equal(again.score_samples(ROWS), est.score_samples(ROWS))
    quietly(est.set_params(early_stopping=False, max_epochs=3).fit, ROWS)
    assert not hasattr(est, "held_out_bound_")
    assert not hasattr(est, "best_epoch_")


def test_the_history_has_rate_and_distortion():
    est = fit(max_epochs=10, objective="kl")
    loss, rate, distortion = (
        np.array(est.net_.history[:, f"train_{name}"])
        for name in ("loss", "rate", "distortion")
    )
    np.testing.assert_allclose(rate + distortion, loss, rtol=1e-5, atol=1e-5)
    assert (rate > 0).all()


@pytest.mark.slow
@pytest.mark.usefixtures("short_folds")
def test_a_conditional_model_has_folds_too():
    X = standard_normal(60, 2)
    y = X[:, 0] + 0.5 * standard_normal(60, 1, seed=1)[:, 0]
    est = quietly(ConditionalVAE(1, **SHORT).fit, X, y)
    # And the epochs in which the learning rate falls.
    assert est.n_iter_ == est.best_epoch_ + np.ceil(0.3 * est.best_epoch_) < 40
    assert np.isfinite(est.held_out_bound_)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [VAE, ConditionalVAE])
def test_a_start_that_is_the_best_has_a_second_chance(estimator):
    """Where steps change nothing the start stays the best, whatever follows."""
    X, lr = standard_normal(1100, 5), 1e-20
    params = FEW | {"lr": lr, "max_epochs": 400, "noise": 1.0}
    data = (X,) if estimator is VAE else (X[:, :2], X[:, 2:])
    est = quietly(estimator(1, **params).fit, *data)
    tasks = [epoch["task"] for epoch in est.net_.history]
    n_first = tasks.index("cool-down")
    assert set(tasks[n_first:]) == {"cool-down"}
    rates = np.array(est.net_.history[n_first:, "lr"])
    assert lr / 4 < rates[0] < lr / 3
    # Of 8 steps an epoch.
    assert len(rates) == 63
    assert est.n_iter_ <= 400
    assert est.best_epoch_ == 0


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [VAE, ConditionalVAE])
def test_held_out_rows_are_never_below_the_start(estimator):
    """Nothing is to be learned, and large steps lead away."""
    X = standard_normal(1100, 10)
    params = FEW | {"max_epochs": 100, "lr": 0.1, "hidden_layer_sizes": (100,)}
    data = (X,) if estimator is VAE else (X[:, :2], X[:, 2:])
    est = quietly(estimator(3, **params).fit, *data)
    # Of a closed noise the running mean would change even so.
    start = estimator(3, **params | {"max_epochs": 30, "lr": 1e-30})
    start = quietly(start.fit, *data)
    assert est.held_out_bound_ >= start.held_out_bound_ - 0.01


@pytest.mark.slow
def test_a_curve_goes_on_as_it_was():
    """Where held-out rows gain for long there is no second chance to give."""
    est = fit(curve(1100), max_epochs=400, lr=0.03)
    tasks = np.array([epoch["task"] for epoch in est.net_.history])
    n_cool = (tasks == "cool-down").sum()
    assert n_cool < 63 or n_cool == np.ceil(0.3 * est.best_epoch_)


@pytest.mark.slow
@pytest.mark.parametrize("estimator, n_rise", [(VAE, 200), (ConditionalVAE, 50)])
@pytest.mark.parametrize("is_own", [False, True])
def test_the_rate_rises_from_a_linear_start(estimator, n_rise, is_own):
    X, lr, n_epochs = standard_normal(1100, 4), 1e-3, 30
    params = SMALL | {"lr": lr, "max_epochs": 600}
    data = (X,) if estimator is VAE else (X[:, :2], X[:, 2:])
    if is_own:
        widths = (1, 4) if estimator is VAE else (3, 2)
        params["decoder"] = torch.nn.Linear(*widths)

    class StopLater(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == n_epochs:
                raise KeyboardInterrupt

    est = quietly(estimator(1, **params, callbacks=[StopLater()]).fit, *data)
    step = 8 * np.arange(1, n_epochs + 1) - 1  # the last one of each epoch
    expected = lr * (1 + np.cos(np.pi * step / 4800)) / 2
    if not is_own:
        expected *= np.minimum((step + 1) / n_rise, 1)
    np.testing.assert_allclose(est.net_.history[:, "lr"], expected, rtol=1e-6)


# Words.


def messages_of(est, X):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        est.fit(X)
    return [str(w.message) for w in caught if w.category is ConvergenceWarning]


def test_held_out_rows_far_below_the_training_rows_are_told():
    """As many dimensions as rows, and hardly any floor: even the start knows them."""
    X = standard_normal(40, 40)
    params = {"early_stopping": True, "min_noise": 1e-3, "max_epochs": 3, "tol": np.inf}
    (message,) = messages_of(VAE(35, **SMALL, **params), X)
    for word in ("held-out", "latent_dim", "min_noise"):
        assert word in message.lower()
    assert message.endswith(".")


@pytest.mark.slow
@pytest.mark.parametrize("n_rows", [60, 1100])
def test_ordinary_rows_are_told_nothing(n_rows):
    params = FEW | {"tol": np.inf}
    assert not messages_of(VAE(**params), curve(n_rows))


def spiral(n_samples=1000):
    rng = np.random.default_rng(2)
    t = rng.uniform(1, 11, n_samples)
    X = np.c_[t / 4 * np.cos(t), t / 4 * np.sin(t), 0.3 * t]
    X += 0.1 * rng.normal(size=X.shape)
    return (X - X.mean(axis=0)) / X.std(axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("lr_schedule", ["constant", "cosine"])
def test_an_unfinished_training_says_so_under_every_schedule(lr_schedule):
    """The learning rate of a cosine is 0 at the end, where every trace is flat."""
    est = VAE(
        2,
        hidden_layer_sizes=(64,),
        max_epochs=60,
        lr=1e-3,
        lr_schedule=lr_schedule,
        early_stopping=False,
        random_state=0,
    )
    (message,) = messages_of(est, spiral())
    assert "max_epochs" in message
    assert est.converged_ is False


@pytest.mark.slow
def test_a_finished_training_has_converged_under_the_cosine():
    X = standard_normal(200, 1) @ np.ones((1, 4)) + standard_normal(200, 4, seed=1)
    params = {"max_epochs": 200, "early_stopping": False, "lr": 1e-3}
    est = VAE(1, **SMALL, **params)
    assert not messages_of(est, X)
    assert est.converged_ is True


def test_epochs_are_seen_as_they_end():
    seen = []
    est = fit(
        curve(1100), max_epochs=25, callbacks=[AfterEpoch(lambda *_: seen.append(1))]
    )
    assert len(seen) == est.n_iter_


@pytest.mark.usefixtures("short_folds")
@pytest.mark.parametrize("n_rows", [60, 1200])
def test_a_callback_that_stops_the_training_stops_all_of_it(n_rows):
    """No epochs with a falling learning rate follow."""

    class StopLater(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 3:
                raise KeyboardInterrupt

    est = fit(curve(n_rows), **SHORT, callbacks=[StopLater()])
    assert est.n_iter_ <= 3
