"""Epochs, optimisers, schedules, stopping, and fits that go on or go wrong."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sklvm import VAE
from tests.autoencoder.models import quietly, random_linear, standard_normal

from .helpers import QUICK, X, assert_same_fit, fit, trajectory, weights

# Going on.


@pytest.mark.slow
def test_partial_fit_is_one_epoch():
    # Without the linear start, and with noise that is wrong for all columns.
    est = VAE(**QUICK, decoder=torch.nn.Linear(2, 4), noise=1.0)
    scores = []
    for _ in range(60):
        est.partial_fit(X)
        scores.append(est.score(X))
    assert len(est.lower_bounds_) in (1, 60)
    assert scores[-1] > scores[0] + 1
    assert est.partial_fit(X) is est


def test_partial_fit_never_warns_of_convergence(recwarn):
    VAE(**QUICK).partial_fit(X)
    assert not [w for w in recwarn if w.category is ConvergenceWarning]


def test_partial_fit_goes_on_from_a_fit():
    est = fit()
    before = weights(est)
    est.partial_fit(X)
    step = np.abs(weights(est) - before).max()
    assert 0 < step < 0.2
    fresh = VAE(**QUICK).partial_fit(X)
    assert not np.array_equal(weights(fresh), weights(est))


def test_a_second_fit_forgets_the_first():
    est = quietly(fit().fit, X)
    assert_same_fit(est, fit())


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_warm_start_five_and_five_are_ten(optimizer):
    params = {"lr_schedule": "constant", "optimizer": optimizer, "lr": 1e-3}
    ten = fit(max_epochs=10, **params)
    est = fit(max_epochs=5, warm_start=True, **params)
    quietly(est.fit, X)
    assert_same_fit(est, ten)


def test_warm_start_takes_a_new_learning_rate():
    est = fit(warm_start=True, lr_schedule="constant")
    before = weights(est)
    quietly(est.set_params(lr=1e-30).fit, X)
    assert_allclose(weights(est), before, atol=1e-7)


@pytest.mark.parametrize("change", [{"optimizer": "sgd"}, {"compile": True}])
def test_warm_start_does_not_ignore_a_change(change):
    """What a fit that goes on cannot change, it refuses."""
    est = fit(warm_start=True, lr=1e-3)
    same = quietly(fit(warm_start=True, lr=1e-3).fit, X)
    calls = []

    def backend(graph, _):
        calls.append(graph)
        return graph

    est.set_params(net_params={"compile__backend": backend}, **change)
    try:
        quietly(est.fit, X)
    except ValueError as error:
        assert next(iter(change)) in str(error) or "net_params" in str(error)
    else:
        assert calls or not np.array_equal(weights(est), weights(same))


def test_without_warm_start_a_fit_begins_anew():
    est = fit(warm_start=True)
    quietly(est.set_params(warm_start=False).fit, X)
    assert_same_fit(est, fit())


def test_warm_start_on_other_features():
    est = fit(warm_start=True)
    with pytest.raises(ValueError, match=r"5|warm_start"):
        est.fit(standard_normal(20, 5))
    assert_same_fit(est, fit())


# Determinism.


def test_the_same_seed_gives_the_same_weights():
    assert_same_fit(fit(), fit())
    assert not np.array_equal(weights(fit()), weights(fit(random_state=1)))


def test_global_seeds_mean_nothing():
    torch.manual_seed(1)
    one = fit()
    torch.manual_seed(2)
    assert_same_fit(one, fit())


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"random_state": None},
        {"early_stopping": True},
        {"prior": "vamp"},
        {"likelihood": "bernoulli", "binarize": "dynamic"},
    ],
    ids=str,
)
def test_no_global_generator_is_touched(params):
    data = np.random.default_rng(0).random((50, 4))
    before = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    est = fit(data, **params)
    est.score(data)
    est.sample(5)
    est.log_likelihood(data, 10)
    est.impute(data, 10)
    quietly(est.partial_fit, data)
    after = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    for one, two in zip(before, after, strict=True):
        assert_array_equal(one, two)


def test_a_random_state_object_advances():
    rng = np.random.RandomState(0)
    one, two = fit(random_state=rng), fit(random_state=rng)
    assert not np.array_equal(weights(one), weights(two))


# Optimisers and their steps.


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", torch.optim.RMSprop])
def test_every_optimizer_learns(optimizer):
    lr = {"sgd": 1e-3}.get(optimizer, 0.01)
    # Where a network is one's own, the start is not the linear model.
    params = {"optimizer": optimizer, "lr": lr, "noise": 1.0, "hidden_layer_sizes": ()}
    params["decoder"] = random_linear()[1]
    first, last = fit(max_epochs=1, **params), fit(max_epochs=40, **params)
    assert last.lower_bound_ > first.lower_bound_ + 0.2


def test_adam_is_adam():
    """The first step of Adam has length lr in every parameter that has a gradient."""
    est = fit(max_epochs=1, batch_size=90, lr=1e-3, lr_schedule="constant")
    start = fit(max_epochs=1, batch_size=90, lr=1e-30, lr_schedule="constant")
    step = np.abs(weights(est) - weights(start))
    assert_allclose(np.median(step), 1e-3, rtol=1e-2)


def test_an_epoch_is_a_permutation():
    """Every row once: the number of steps, and the rows of a linear gradient."""
    seen = []

    class Seeing(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 4)

        def forward(self, x):
            if self.training:
                seen.append(x.detach().clone())
            return self.layer(x)

    quietly(VAE(**(QUICK | {"encoder": Seeing(), "max_epochs": 2})).fit, X)
    sizes = [len(batch) for batch in seen[:3]]
    # Nearly equal: a last batch of a few rows would have the weight of a whole one.
    assert sizes == [30, 30, 30]
    epochs = [torch.cat(seen[i : i + 3]).numpy() for i in (0, 3)]
    for epoch in epochs:
        order = np.lexsort(epoch.T)
        assert_allclose(epoch[order], X[np.lexsort(X.T)], rtol=1e-6)
    assert not np.array_equal(*epochs)


SGD = {"optimizer": "sgd", "lr": 1.0, "batch_size": 90, "noise": 0.1}


def test_clipped_steps_have_the_norm_given():
    path = trajectory(max_grad_norm=1e-3, lr_schedule="constant", max_epochs=6, **SGD)
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    assert_allclose(steps, 1e-3, rtol=0.02)


def test_a_wide_limit_clips_nothing():
    params = {"lr_schedule": "constant", "max_epochs": 3}
    assert_same_fit(fit(max_grad_norm=1e9, **params), fit(**params))


def test_the_cosine_schedule_ends_at_zero():
    """Clipped gradients have a constant norm, so steps show the learning rate."""
    path = trajectory(max_grad_norm=1e-3, lr_schedule="cosine", max_epochs=40, **SGD)
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1) / 1e-3
    expected = 0.5 * (1 + np.cos(math.pi * np.arange(1, 40) / 40))
    # In the first tenth it rises, as the linear start is good already.
    expected[:3] *= np.arange(2, 5) / 4
    assert_allclose(steps, expected, atol=0.06)


def test_the_cosine_follows_steps_not_epochs():
    """One epoch of many steps already comes down."""
    one, cosine = (
        trajectory(max_epochs=2, lr_schedule=schedule, **(SGD | {"batch_size": 9}),
                   max_grad_norm=1e-4)
        for schedule in ("constant", "cosine")
    )  # fmt: skip
    assert np.ptp(cosine, axis=0).max() < 0.5 * np.ptp(one, axis=0).max()


# Convergence.


def test_an_unfinished_fit_says_so():
    est = VAE(**(QUICK | {"max_epochs": 1}))
    with pytest.warns(ConvergenceWarning, match="max_epochs"):
        est.fit(X)
    assert est.converged_ is False
    assert est.n_iter_ == 1


def test_a_flat_trace_has_converged(recwarn):
    params = QUICK | {"max_epochs": 30, "tol": 100.0, "n_iter_no_change": 3}
    est = VAE(**params).fit(X)
    assert est.converged_ is True
    assert est.n_iter_ == 30
    assert not [w for w in recwarn if w.category is ConvergenceWarning]


def test_the_trace_is_one_value_an_epoch():
    est = fit(max_epochs=7)
    assert np.shape(est.lower_bounds_) == (7,)
    assert_allclose(
        est.lower_bounds_, [-loss for loss in est.net_.history[:, "train_loss"]]
    )
    assert [row["epoch"] for row in est.net_.history] == list(range(1, 8))


def test_the_last_bound_is_of_the_training_rows():
    est = fit(max_epochs=20)
    assert est.lower_bound_ == pytest.approx(est.score(X), abs=0.6)


# Early stopping.


# Without its linear start, which would be the best.
OVERFITTING = {
    "early_stopping": True,
    "encoder": random_linear()[0],
    "hidden_layer_sizes": (64,),
    "max_epochs": 300,
    "n_iter_no_change": 5,
    "validation_fraction": 0.3,
    "lr_schedule": "constant",
    "tol": 0.0,
}


def test_early_stopping_stops_and_restores_the_best():
    est = fit(**OVERFITTING)
    losses = est.net_.history[:, "valid_loss"]
    assert est.n_iter_ < 300
    assert est.best_epoch_ == int(np.argmin(losses)) + 1
    assert est.n_iter_ - est.best_epoch_ == 5
    best = fit(**(OVERFITTING | {"max_epochs": est.best_epoch_}))
    assert best.best_epoch_ == est.best_epoch_
    assert_array_equal(best.transform(X), est.transform(X))


def test_early_stopping_waits_for_the_warmup():
    """While beta rises, F falls: that is no sign of overfitting."""
    params = OVERFITTING | {"warmup": 0.5, "max_epochs": 20, "n_iter_no_change": 1}
    est = fit(**params)
    assert est.n_iter_ > 10
    assert est.best_epoch_ > 9


def test_validation_rows_are_held_out():
    sizes = {}
    for fraction in (0.1, 0.5):
        seen = []

        class Counting(torch.nn.Module):
            def __init__(self, seen):
                super().__init__()
                self.seen = seen
                self.layer = torch.nn.Linear(4, 4)

            def forward(self, x):
                if self.training:
                    self.seen.append(len(x))
                return self.layer(x)

            def __deepcopy__(self, memo):
                return Counting(self.seen)

        fit(
            encoder=Counting(seen),
            early_stopping=True,
            validation_fraction=fraction,
            max_epochs=1,
        )
        sizes[fraction] = sum(seen)
    assert sizes == {0.1: 81, 0.5: 45}


def test_a_tolerance_asks_for_more_than_a_little():
    eager = fit(**(OVERFITTING | {"tol": 1e6}))
    assert eager.n_iter_ < fit(**OVERFITTING).n_iter_
    # The first epoch is the best so far; five more bring no such gain.
    assert eager.n_iter_ <= 7


def test_patience_is_n_iter_no_change():
    est = fit(**(OVERFITTING | {"n_iter_no_change": 2}))
    assert est.n_iter_ - est.best_epoch_ == 2


def test_early_stopping_inside_partial_fit():
    """The warm-up is not over, so that there is no best epoch to go back to."""
    est = VAE(**(QUICK | {"early_stopping": True, "warmup": 0.5}))
    for _ in range(3):
        est.partial_fit(X)
    assert np.isfinite(est.score(X))


def test_without_early_stopping_nothing_is_held_out():
    est = fit()
    assert "valid_loss" not in est.net_.history[-1]
    assert not hasattr(est, "best_epoch_")


# Data as they come.


def test_read_only_memory_maps(tmp_path, recwarn):
    for dtype in (np.float32, np.float64):
        np.save(tmp_path / "X.npy", X.astype(dtype))
        mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
        est = fit(mapped)
        assert_same_fit(est, fit(X.astype(dtype)))
        assert_array_equal(est.transform(mapped), est.transform(X.astype(dtype)))
        est.impute(mapped, 10)
        assert_array_equal(mapped, X.astype(dtype))
    assert not [str(w.message) for w in recwarn]


@pytest.mark.parametrize("change", [np.asfortranarray, lambda X: X[::-1][::-1]])
def test_memory_layout_does_not_matter(change):
    one, two = fit(change(X)), fit()
    assert_allclose(weights(one), weights(two), atol=1e-6)
    assert_allclose(one.score_samples(X), two.score_samples(X), rtol=1e-6)


def test_integers_and_lists():
    whole = X.round().astype(int)
    assert_same_fit(fit(whole), fit(whole.astype(np.float32)))
    assert_same_fit(fit(whole.tolist()), fit(whole))


def test_data_are_not_changed():
    kept = X.astype(np.float32)
    data = kept.copy()
    fit(data)
    assert_array_equal(data, kept)


def test_batches_larger_than_the_data():
    assert_same_fit(fit(batch_size=90), fit(batch_size=10**6))


def test_a_last_batch_of_one_row():
    est = fit(batch_size=89, max_epochs=3)
    assert np.isfinite(est.lower_bounds_).all()


def test_clones_train_alike():
    assert_same_fit(quietly(clone(fit()).fit, X), fit())
