"""What a review broke once."""

import pickle
import signal

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, Checkpoint, LRScheduler
from torch import nn

from sklvm import GMVAE, VAE, ConditionalVAE
from sklvm.neural import ConvEncoder

QUICK = {
    "max_epochs": 3,
    "hidden_layer_sizes": (8,),
    "batch_size": 50,
    "tol": np.inf,
    "random_state": 0,
}


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)


def test_a_failed_continuation_leaves_the_learning_rate(X):
    est = VAE(**QUICK, warm_start=True, lr_schedule="constant").fit(X)
    twin = VAE(**QUICK, warm_start=True, lr_schedule="constant").fit(X)
    with pytest.raises(ValueError, match="bound became"):
        est.set_params(lr=1e30).fit(X)
    est.set_params(lr=twin.lr).fit(X)
    twin.fit(X)
    np.testing.assert_array_equal(est.transform(X), twin.transform(X))


def test_a_last_step_that_diverges_is_an_error(X):
    # The loss is computed before the step: that of the only epoch is finite.
    est = VAE(**QUICK | {"max_epochs": 1, "batch_size": 100}, lr=1e30)
    with pytest.raises(ValueError, match="bound became"):
        est.fit(X)


class Interrupted(Callback):
    def on_epoch_end(self, net, **kwargs):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("ctrl_c_counts")
def test_ctrl_c_in_a_callback_is_no_wish_to_stop(X):
    est = VAE(**QUICK, callbacks=[Interrupted()])
    with pytest.raises(KeyboardInterrupt):
        est.fit(X)
    assert not est.converged_  # what was reached is kept; see tests/contract
    assert np.isfinite(est.score(X))


class StopAtBatch(Callback):
    def __init__(self, n):
        self.n = n
        self.seen = 0

    def on_batch_end(self, net, **kwargs):
        self.seen += 1
        if self.seen == self.n:
            raise KeyboardInterrupt


@pytest.mark.parametrize("n_batches, n_epochs", [(1, 0), (3, 1), (4, 1), (5, 2)])
def test_a_callback_may_stop_within_an_epoch(X, n_batches, n_epochs):
    # Two batches an epoch; an epoch that was cut short does not count.
    est = VAE(**QUICK, callbacks=[StopAtBatch(n_batches)]).fit(X)
    assert est.n_iter_ == len(est.lower_bounds_) == n_epochs
    assert np.isfinite(est.score(X))


def test_a_module_that_works_in_place_leaves_x_alone(X):
    before = X.copy()
    encoder = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(6, 4))
    VAE(2, **QUICK, encoder=encoder).fit(X).transform(X)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("objective", ["kl", "log_ratio", "iwae", "forward_kl"])
def test_free_bits_are_counted_where_they_bind(X, objective):
    est = VAE(**QUICK, objective=objective, n_draws=2, free_bits=1000.0).fit(X)
    # All but the free bits is of the order of ten nats.
    np.testing.assert_allclose(est.lower_bounds_, -1000, atol=30)


def test_early_stopping_keeps_the_best_weights_whatever_tol(X):
    est = VAE(
        **QUICK | {"tol": 3.0, "max_epochs": 40},
        early_stopping=True,
        n_iter_no_change=40,
        lr=1e-2,
    ).fit(X)
    # Epoch 0 is the start, whose bound is in no history.
    bounds = [est.held_out_bound_, *(-np.array(est.net_.history[:, "valid_loss"]))]
    if est.best_epoch_:
        bounds[0] = -np.inf
    assert est.best_epoch_ == int(np.argmax(bounds))
    assert est.held_out_bound_ == bounds[est.best_epoch_]


def test_a_scheduler_does_not_bring_the_optimiser_into_the_pickle(X):
    scheduler = LRScheduler(policy="StepLR", step_size=1)
    est = VAE(**QUICK, lr_schedule="constant", callbacks=[scheduler]).fit(X)
    assert b"exp_avg" not in pickle.dumps(est)
    assert not hasattr(scheduler, "lr_scheduler_")


def test_noise_is_not_that_of_an_earlier_fit(X):
    est = VAE(**QUICK).fit(X).set_params(noise="heteroscedastic").fit(X)
    assert not hasattr(est, "noise_")


def test_checkpoint_with_its_defaults(X, tmp_path):
    checkpoint = Checkpoint(dirname=str(tmp_path))
    VAE(**QUICK, early_stopping=True, callbacks=[checkpoint]).fit(X)
    assert (tmp_path / "params.pt").exists()


@pytest.mark.slow
def test_rows_without_any_value_in_batches_of_one(X):
    X[3] = np.nan
    est = VAE(**QUICK | {"batch_size": 1}).fit(X)
    assert np.isfinite(est.score(X))


def test_a_scaler_s_rounding_is_forgiven(X):
    bits = (X > 0).astype(np.float32)
    bits[0, 0] = np.nextafter(np.float32(1), np.float32(2))
    VAE(**QUICK, likelihood="bernoulli").fit(bits)
    bits[0, 0] = 1.01
    with pytest.raises(ValueError, match=r"X has 1\.01"):
        VAE(**QUICK, likelihood="bernoulli").fit(bits)


def test_warm_start_sees_a_change_inside_a_parameter(X):
    est = VAE(**QUICK, warm_start=True, encoder=ConvEncoder((2, 3))).fit(X)
    assert est.fit(X).n_iter_ == 6
    with pytest.raises(ValueError, match="encoder"):
        est.set_params(encoder__channels=(4, 8)).fit(X)


@pytest.mark.parametrize(
    "params, match",
    [
        ({"callbacks": [3]}, "skorch callbacks"),
        ({"net_params": {"train_split": 3}}, "train_split"),
        ({"encoder": ConvEncoder}, "instance"),
        ({"encoder": ConvEncoder((2, 3), channels=())}, "channels"),
        ({"encoder": ConvEncoder((3, 2, 3))}, "multiple of 18"),
        ({"noise": 1e-20}, "noise"),
    ],
)
def test_what_cannot_be_used_is_refused(X, params, match):
    with pytest.raises(ValueError, match=match):
        VAE(**QUICK, **params).fit(X)


def test_a_float64_default_of_torch_changes_nothing(X):
    expected = VAE(**QUICK, prior="vamp", posterior="full").fit(X)
    torch.set_default_dtype(torch.float64)
    try:
        est = VAE(**QUICK, prior="vamp", posterior="full").fit(X)
        draws, _ = est.sample(3)
    finally:
        torch.set_default_dtype(torch.float32)
    assert draws.dtype == np.float32
    np.testing.assert_array_equal(est.transform(X), expected.transform(X))


@pytest.mark.parametrize("cache", [True, False])
def test_autocast_around_a_fit_or_a_score_changes_nothing(X, cache):
    expected = VAE(**QUICK).fit(X)
    with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=cache):
        est = VAE(**QUICK).fit(X)
        scores = est.score_samples(X)
    np.testing.assert_array_equal(est.transform(X), expected.transform(X))
    np.testing.assert_array_equal(scores, expected.score_samples(X))


def test_fits_within_inference_mode(X):
    with torch.inference_mode():
        est = VAE(**QUICK).fit(X)
    np.testing.assert_array_equal(est.transform(X), VAE(**QUICK).fit(X).transform(X))


@pytest.mark.parametrize("number", [np.int64, np.uint8, int])
@pytest.mark.parametrize(
    "estimator, name",
    [
        (VAE, "latent_dim"),
        (GMVAE, "latent_dim"),
        (GMVAE, "n_components"),
        (ConditionalVAE, "latent_dim"),
        (ConditionalVAE, "n_prior_components"),
    ],
)
def test_numbers_out_of_an_array_are_numbers(X, estimator, name, number):
    """As those of `for latent_dim in np.arange(1, 4)` and of a grid of them."""
    data = (X[:, :4], X[:, 4:]) if estimator is ConditionalVAE else (X,)
    scores = [
        estimator(**QUICK, **{name: n}).fit(*data).score(*data) for n in (2, number(2))
    ]
    assert scores[0] == scores[1]
