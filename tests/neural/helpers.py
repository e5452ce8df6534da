"""Small fits of the VAE, the simplest of the torch estimators."""

import numpy as np
from numpy.testing import assert_array_equal
from skorch.callbacks import Callback

from sklvm import VAE
from tests.autoencoder.models import quietly, standard_normal

X = standard_normal(90, 4) * [3, 2, 1, 1]
QUICK = {
    "latent_dim": 2,
    "hidden_layer_sizes": (8,),
    "max_epochs": 4,
    "batch_size": 32,
    "lr": 0.01,
    "random_state": 0,
}


def fit(X=X, **params):
    return quietly(VAE(**(QUICK | params)).fit, X)


def weights(est):
    """All parameters of a fitted estimator in one vector."""
    parameters = est.net_.module_.parameters()
    return np.concatenate([p.detach().cpu().numpy().ravel() for p in parameters])


def assert_same_fit(one, two):
    assert_array_equal(weights(one), weights(two))
    assert_array_equal(one.score_samples(X), two.score_samples(X))


class AfterEpoch(Callback):
    """Calls a function with the net and the number of epochs that are over."""

    def __init__(self, function):
        self.function = function

    def on_train_begin(self, net, **kwargs):
        self.epochs_ = 0

    def on_epoch_end(self, net, **kwargs):
        self.epochs_ += 1
        self.function(net, self.epochs_)


def trajectory(**params):
    """The parameters after every epoch, shape (epochs, parameters)."""
    seen = []

    def look(net, _):
        parameters = net.module_.parameters()
        seen.append(np.concatenate([p.detach().numpy().ravel() for p in parameters]))

    fit(callbacks=[AfterEpoch(look)], **params)
    return np.array(seen, dtype=float)
