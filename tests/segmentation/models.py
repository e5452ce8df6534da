"""Small label maps and quickly fitted compressors of them."""

import copy
import itertools
from functools import cache

import numpy as np
import torch

from sklvm import SparseSegmentationRDA

from ..autoencoder.models import quietly
from ..registry import label_maps

RATE_MODELS = ["list", "subset", "learned"]
GRADIENTS = ["straight_through", "concrete", "reinforce"]
SHAPE, P, K = (5, 6), 30, 3
QUICK = {
    "image_shape": SHAPE,
    "n_classes": K,
    "channels": (8, 8),
    "max_epochs": 30,
    "lr": 0.01,
    "batch_size": 8,
    "distortion_weight": 3.0,
    "tol": np.inf,
    "random_state": 0,
}
TINY = {"image_shape": (3, 4), "max_epochs": 3}
(X,) = label_maps(0, 60, *SHAPE)
(HELD_OUT,) = label_maps(1, 16, *SHAPE)
(TINY_X,) = label_maps(0, 40, 3, 4)


def images_of(maps, seed=0):
    """Two channels, of which the first shows the class and the second nothing."""
    rng = np.random.default_rng(seed)
    shown = maps + 0.1 * rng.normal(size=maps.shape)
    channels = np.stack([shown, rng.normal(size=maps.shape)], axis=-1)
    return channels.reshape(len(maps), -1)


def specks(seed, n_samples):
    """Maps of 4 x 5 without any order: seeds can say little of them, an image all."""
    rng = np.random.default_rng(seed)
    return rng.integers(K, size=(n_samples, 20))


def fit(X, images=None, **params):
    return quietly(SparseSegmentationRDA(**QUICK | params).fit, X, None, images)


def changes(params):
    """Those that are not the defaults, as a key of one and the same fit."""
    defaults = SparseSegmentationRDA().get_params()
    return tuple(
        sorted(pair for pair in params.items() if pair[1] != defaults[pair[0]])
    )


@cache
def _fitted(params):
    return fit(X, **dict(params))


def fitted(**params):
    """A fit to X of the test's own, trained only once for all tests."""
    return copy.deepcopy(_fitted(changes(params)))


@cache
def _tiny(params):
    return fit(TINY_X, **TINY | dict(params))


def tiny(**params):
    """The same on maps of 3 x 4 pixels, for tests of thousands of maps."""
    return copy.deepcopy(_tiny(changes(params)))


def own_seeds(gradient):
    """What the encoder itself says where a wrong pixel costs as much as a few seeds."""
    params = {"distortion_weight": 12.0, "max_epochs": 40, "batch_size": 4}
    return tiny(gradient=gradient, refine=None, rate_model="list", **params)


@cache
def _seeing():
    maps = specks(0, 40)
    return fit(maps, images_of(maps), image_shape=(4, 5), max_epochs=60)


def seeing():
    """A fit to specks and their images."""
    return copy.deepcopy(_seeing())


def shaken(est, scale=0.5):
    """A copy whose networks are others."""
    other = copy.deepcopy(est)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in other.net_.module.parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.add_(scale * noise.to(weight.dtype))
    return other


def objective(est, X, S, images=None):
    """rate + lambda * distortion of each map."""
    return est.rate(S) + est.distortion_weight * est.distortion(X, S, images)


def blank(X):
    return np.full(X.shape, -1)


def all_maps(n_pixels, n_classes, lowest=-1):
    """Every sparse map, as rows."""
    return np.array(list(itertools.product(range(lowest, n_classes), repeat=n_pixels)))


def random_codes(rng, n_samples, n_pixels, n_classes):
    """Sparse maps of all sizes."""
    codes = rng.integers(n_classes, size=(n_samples, n_pixels))
    seeded = rng.random((n_samples, n_pixels)) < rng.random((n_samples, 1))
    return np.where(seeded, codes, -1)
