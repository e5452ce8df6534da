"""Small chunks are taken where they give what large ones give."""

import numpy as np
import pytest
from torch import nn

from sklvm import VAE
from sklvm.autoencoder import _few_rows
from sklvm.autoencoder._few_rows import FEW_ROWS, chunk_rows

X = np.random.default_rng(0).normal(size=(100, 16)).astype(np.float32)
FIT = {"max_epochs": 2, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def vae():
    return VAE(**FIT).fit(X)


@pytest.mark.slow
def test_one_row_scores_as_among_many(vae):
    alone = np.concatenate([vae.score_samples(x[np.newaxis]) for x in X])
    np.testing.assert_array_equal(alone, vae.score_samples(X))


def test_products_that_differ_leave_the_chunk_large(vae, monkeypatch):
    module = vae.net_.module
    assert chunk_rows(module, 1, 80, 16) in (FEW_ROWS, 80)
    monkeypatch.setattr(_few_rows, "_products_agree", lambda *arguments: True)
    assert chunk_rows(module, 1, 80, 16) == FEW_ROWS
    assert chunk_rows(module, FEW_ROWS + 1, 85, 16) == 80
    assert chunk_rows(module, 1, 7, 16) == 7
    monkeypatch.setattr(_few_rows, "_products_agree", lambda *arguments: False)
    assert chunk_rows(module, 1, 80, 16) == 80


@pytest.mark.parametrize(
    "parameters",
    [
        {"prior": "vamp", "n_pseudo_inputs": 5},
        {"posterior": "full", "latent_dim": 2},
        {"encoder": nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 4)), "latent_dim": 2},
    ],
    ids=["vamp", "full", "encoder"],
)
def test_models_of_which_nothing_is_known_keep_it_large(parameters, monkeypatch):
    monkeypatch.setattr(_few_rows, "_products_agree", lambda *arguments: True)
    module = VAE(**FIT, **parameters).fit(X).net_.module
    assert chunk_rows(module, 1, 80, 16) == 80
