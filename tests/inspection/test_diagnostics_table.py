"""The form of the diagnostics' table, and what they refuse."""

import sys

import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from sklvm import VAE, ConditionalVAE, GaussianMixtureEM
from sklvm.inspection import latent_diagnostics

from ..autoencoder.models import frozen, quietly, random_linear, standard_normal
from ..divergence.objects import global_states, same_states
from ..mixture.families import blobs, make, run
from ..segmentation.models import HELD_OUT, fitted

COMMON = ["rate", "distortion", "mutual_information", "aggregated_kl"]


def test_the_table_with_pandas_and_without(monkeypatch):
    X = blobs(40)
    est = run(make("full", n_components=2), X, 3)
    table = latent_diagnostics(est, X)
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == ["value", "unit"]
    assert table.loc["rate", "unit"] == "nats"
    monkeypatch.setitem(sys.modules, "pandas", None)
    plain = latent_diagnostics(est, X)
    assert type(plain) is dict
    assert plain == {"value": dict(table["value"]), "unit": dict(table["unit"])}
    assert all(type(value) is float for value in plain["value"].values())


def test_units():
    vae = frozen(standard_normal(20), *random_linear())
    tables = [
        (vae, standard_normal(20)),
        (run(make("diag", n_components=2), blobs(40), 3), blobs(40)),
        (fitted(), HELD_OUT[:3]),
    ]
    for est, X in tables:
        unit = dict(latent_diagnostics(est, X)["unit"])
        for name in COMMON:
            assert unit.get(name, "nats").startswith("nats")
        assert unit.get("active_units", "dimensions") == "dimensions"
        assert unit.get("usage_0", "share") == "share"
        assert all(isinstance(said, str) and said for said in unit.values())


def test_it_looks_and_does_not_touch():
    X = standard_normal(30)
    est = frozen(X, *random_linear(), n_score_draws=3)
    X.flags.writeable = False
    before, attributes = global_states(), dict(vars(est))
    one = latent_diagnostics(est, X, n_draws=4)
    pd.testing.assert_frame_equal(latent_diagnostics(est, X, n_draws=4), one)
    assert same_states(global_states(), before)
    assert dict(vars(est)) == attributes
    assert est.n_score_draws == 3


def test_bad_input():
    X = standard_normal(30)
    vae = frozen(X, *random_linear())
    for est in (PCA(2).fit(X), "vae"):
        with pytest.raises(TypeError, match="estimator"):
            latent_diagnostics(est, X)
    for n_draws in (0, 1.5, True):
        with pytest.raises(ValueError, match="n_draws"):
            latent_diagnostics(vae, X, n_draws=n_draws)
    with pytest.raises(ValueError, match="features"):
        latent_diagnostics(vae, X[:, :2])
    for est in (VAE(), GaussianMixtureEM(), ConditionalVAE()):
        with pytest.raises(NotFittedError):
            latent_diagnostics(est, X, X)
    X = standard_normal(20)
    est = ConditionalVAE(max_epochs=1, hidden_layer_sizes=(4,), random_state=0)
    est = quietly(est.fit, X, X[:, 0])
    with pytest.raises(ValueError, match=r"\by\b"):
        latent_diagnostics(est, X)
