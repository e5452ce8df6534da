"""What went wrong in a GMVAE once, or nearly: scales, stops, temperatures, restarts."""

import warnings

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from sklvm import GMVAE, VAE
from sklvm.autoencoder import _categorical

from .models import quietly

QUICK = {
    "hidden_layer_sizes": (8,),
    "max_epochs": 10,
    "tol": np.inf,
    "random_state": 0,
}


def two_clusters(n_samples=60):
    X = np.random.default_rng(0).normal(size=(n_samples, 4))
    X[: n_samples // 2] += 4
    return X


def test_the_temperature_falls_once_the_components_are_released(monkeypatch):
    seen = []
    gumbel = _categorical.gumbel

    def watched(log_joint, log_q, noise, temperature):
        seen.append(temperature)
        return gumbel(log_joint, log_q, noise, temperature)

    monkeypatch.setitem(_categorical.CATEGORICAL, "gumbel", watched)
    model = GMVAE(categorical="gumbel", warm_start=True, **QUICK).fit(two_clusters())
    assert seen[0] == 1.0
    np.testing.assert_allclose(seen[-1], 0.3)
    assert (np.diff(seen) < 0).all()
    # A training that goes on is at the end of the fall.
    seen.clear()
    model.fit(two_clusters())
    np.testing.assert_allclose(seen, 0.3)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e-4, 1e-2])
def test_data_that_hardly_vary(scale):
    """There is nothing to encode; a VAE's bound is that of the noise.

    The two start at different scales of q, so that they are not equally far on; of the
    VAE a network of one's own, as the linear start knows the scale.
    """
    X = 3 + scale * two_clusters()
    # Steps enough that the decoder has unlearned its first scale.
    params = {"tol": np.inf, "random_state": 0, "max_epochs": 200, "lr": 3e-3}
    torch.manual_seed(0)
    plain = VAE(
        encoder=nn.Sequential(nn.Linear(4, 200), nn.ReLU(), nn.Linear(200, 4)),
        objective="kl",
        early_stopping=False,
        **params,
    ).fit(X)
    assert GMVAE(**params).fit(X).lower_bound_ > plain.lower_bound_ - 2


def test_a_callback_that_stops_the_pretraining_stops_the_training():
    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    model = quietly(GMVAE(callbacks=[Stop()], **QUICK).fit, two_clusters())
    assert model.n_iter_ == 1
    assert np.isfinite(model.score(two_clusters()))


def test_callbacks_see_the_held_out_rows_in_all_stages():
    callbacks = [EarlyStopping(monitor="valid_loss", patience=100)]
    model = GMVAE(early_stopping=True, callbacks=callbacks, **QUICK)
    quietly(model.fit, two_clusters())
    assert len(model.net_.history[:, "valid_loss"]) == model.n_iter_


def test_the_components_are_watched_without_a_trace():
    """BatchNorm counts the batches of the training only."""

    def counted(estimator):
        encoder = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 4))
        model = estimator(encoder=encoder, batch_size=60, **QUICK).fit(two_clusters())
        return model.net_.module.encoder[1].num_batches_tracked.item()

    assert counted(GMVAE) == counted(VAE) == 10


def test_a_body_of_ones_own_class_is_shared():
    class Body(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4))

    model = GMVAE(encoder=Body(), categorical="network", **QUICK)
    quietly(model.fit, two_clusters())
    assert model.net_.module.head_x.in_features == 8


def test_a_read_only_memory_map(tmp_path):
    np.save(tmp_path / "X.npy", two_clusters().astype(np.float32))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        mapped = GMVAE(**QUICK).fit(X)
    in_memory = GMVAE(**QUICK).fit(np.array(X))
    assert mapped.lower_bound_ == in_memory.lower_bound_


def test_restarts_of_which_none_has_a_finite_bound():
    X = two_clusters()
    params = {"n_components": 1, "n_init": 2, **QUICK}
    model = GMVAE(**params).fit(X)
    held_out = model._split(len(X), model.net_.split_seed_)[1]
    X[held_out] = 1e10
    model = GMVAE(noise=1e-10, **params)
    with pytest.raises(ValueError, match=r"lower bound became -inf .* scale it"):
        quietly(model.fit, X)
