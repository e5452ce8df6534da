"""Settings of torch and NumPy that a user has made elsewhere change nothing."""

import copy
from contextlib import contextmanager
from functools import cache

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from sklvm import GMVAE, VAE, ConditionalVAE

from ..autoencoder.models import quietly
from ..registry import label_maps
from ..segmentation.models import fit, images_of

QUICK = {
    "max_epochs": 2,
    "hidden_layer_sizes": (8,),
    "tol": np.inf,
    "random_state": 0,
}
X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
GAPS = np.where(np.random.default_rng(1).random(X.shape) < 0.1, np.nan, X)
(MAPS,) = label_maps(0, 8, 3, 4)


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def default_device(device):
    """Of "meta" tensors have no values, so that each use of one raises."""
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


SETTINGS = {
    "float64": lambda: default_dtype(torch.float64),
    "float16": lambda: default_dtype(torch.float16),
    "device": lambda: default_device("meta"),
    "errors": lambda: np.errstate(all="raise"),
}


def of_rows(est, X):
    quietly(est.fit, X)
    return est.score_samples(X), est.transform(X), est.sample(3)[0], est.impute(X)


def of_pairs():
    est = quietly(ConditionalVAE(**QUICK).fit, X[:, 1:], X[:, 0])
    answers = est.predict(X[:, 1:]), est.sample(X[:, 1:])[0]
    return est.score_samples(X[:, 1:], X[:, 0]), *answers


def of_maps(**params):
    images = images_of(MAPS)
    params = {"image_shape": (3, 4), "max_epochs": 3, "void_class": 2} | params
    est = fit(MAPS, images, **params)
    return est.score_samples(MAPS, images), est.encode(MAPS, images, lossless=True)


FITS = {
    "VAE": lambda: of_rows(VAE(2, **QUICK), GAPS),
    "GMVAE": lambda: of_rows(GMVAE(categorical="gumbel", **QUICK), GAPS),
    "ConditionalVAE": of_pairs,
    "maps": of_maps,
    "encoded maps": lambda: of_maps(refine=None, gradient="concrete"),
}


@cache
def answers_of(name):
    return FITS[name]()


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", FITS)
def test_settings_made_elsewhere(name, setting):
    expected = answers_of(name)
    with SETTINGS[setting]():
        answers = FITS[name]()
    for answer, other in zip(answers, expected, strict=True):
        assert_array_equal(answer, other)


@pytest.mark.slow
def test_copies_and_exports_under_another_default_device(tmp_path):
    maps, est = fit(MAPS, image_shape=(3, 4), max_epochs=3), VAE(2, **QUICK)
    quietly(est.fit, X)
    with default_device("meta"):
        assert_array_equal(copy.deepcopy(maps).transform(MAPS), maps.transform(MAPS))
        est.export_encoder(tmp_path / "encoder.pt2")
