"""Files of encoders and decoders give what the estimator gives."""

import os

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError
from torch import nn

from sklvm import GMVAE, VAE, ConditionalVAE
from sklvm.autoencoder import _export

from .models import Poisson

pytestmark = pytest.mark.filterwarnings("ignore")
RNG = np.random.default_rng(0)
N = 1000
FIT = {
    "latent_dim": 2,
    "hidden_layer_sizes": (16,),
    "max_epochs": 2,
    "random_state": 0,
}
X = RNG.normal(size=(N, 5)).astype(np.float32)
GAPS = np.where(RNG.random(X.shape) < 0.2, np.float32(np.nan), X)
BITS = (X > 0).astype(np.float32)
COUNTS = RNG.poisson(np.exp(X)).astype(np.float32)
CODES = np.digitize(X, [-1, 1]).astype(np.float32)
TABLE = pd.DataFrame(
    {
        "year": np.round(2000 + 10 * X[:, 0].astype(float)),
        "price": np.exp(2 * X[:, 1].astype(float)),
        "visits": COUNTS[:, 2].astype(int),
        "plan": np.array(["free", "gold", "silver"])[CODES[:, 3].astype(int)],
        "member": X[:, 4] > 0,
    }
)


def missing_table():
    table = TABLE.copy()
    for j, name in enumerate(("year", "price", "plan")):
        table.loc[table.index[j::7], name] = None
    return table


class Branches(nn.Linear):
    """A network that torch cannot export."""

    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else super().forward(-x)


def own():
    return nn.Sequential(nn.Linear(5, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 4))


ARRAYS = {
    "gaussian": (VAE, {}, X),
    "missing": (VAE, {}, GAPS),
    "mask_rate": (VAE, {"mask_rate": 0.2}, X),
    "heteroscedastic": (VAE, {"noise": "heteroscedastic"}, X),
    "full": (VAE, {"posterior": "full"}, X),
    "vamp": (VAE, {"prior": "vamp", "n_pseudo_inputs": 5}, X),
    "encoder": (VAE, {"encoder": own()}, X),
    "bernoulli": (VAE, {"likelihood": "bernoulli"}, BITS),
    "poisson": (VAE, {"likelihood": "poisson"}, COUNTS),
    "negative_binomial": (VAE, {"likelihood": "negative_binomial"}, COUNTS),
    "own": (VAE, {"likelihood": Poisson()}, COUNTS),
    "GMVAE": (GMVAE, {"n_components": 2}, X),
}
TABLES = {
    "lognormal": (VAE, {"likelihood": "lognormal"}, np.exp(3 * X.astype(float))),
    "categorical": (VAE, {"likelihood": "categorical"}, CODES),
    "auto": (VAE, {}, TABLE),
    "auto, missing": (VAE, {}, missing_table()),
    "GMVAE, auto": (GMVAE, {"n_components": 2}, TABLE),
}
CASES = ARRAYS | TABLES
# Of which ONNX is written, too: those whose graphs have operators that no other has.
# The graph is that of the .pt2 file, translated operator by operator. Of the graphs
# with two inputs it is one: their operators are those of the others.
ENCODERS_IN_ONNX = {"auto, missing", "encoder", "negative_binomial"}
DECODERS_IN_ONNX = {"auto, missing", "negative_binomial", "own"}


@pytest.fixture(scope="module")
def fitted():
    made = {}

    def get(name):
        if name not in made:
            kind, parameters, data = CASES[name]
            made[name] = kind(**FIT | parameters).fit(data), data
        return made[name]

    return get


@pytest.fixture(scope="module")
def encoder_of(fitted, tmp_path_factory):
    """The file of an encoder, written once."""
    folder = tmp_path_factory.mktemp("encoders")

    def get(name, suffix):
        path = folder / f"{name}{suffix}"
        if not path.exists():
            fitted(name)[0].export_encoder(path)
        return str(path)

    return get


def as_numbers(est, data):
    """What goes into the file: numbers as they are, or cells as positions."""
    if not est._rows.is_table:
        return data.astype(np.float32)
    return est._rows.schema.encode(data)


def run_pt2(path, *arrays):
    with torch.no_grad():
        return torch.export.load(path).module()(*map(torch.from_numpy, arrays)).numpy()


def run_onnx(path, *arrays):
    session = pytest.importorskip("onnxruntime").InferenceSession(path)
    names = [entry.name for entry in session.get_inputs()]
    return session.run(None, dict(zip(names, arrays, strict=True)))[0]


def assert_same(found, expected):
    scale = max(1, abs(expected).max())
    np.testing.assert_allclose(found, expected, atol=1e-5 * scale, rtol=1e-4)


def in_both(cases, in_onnx):
    """Parameters `name, suffix`: every case as .pt2, some as .onnx as well."""
    return [
        *(pytest.param(name, ".pt2", id=f"{name}-pt2") for name in cases),
        *(
            pytest.param(name, ".onnx", id=f"{name}-onnx", marks=pytest.mark.slow)
            for name in cases
            if name in in_onnx
        ),
    ]


def need(suffix):
    if suffix == ".onnx":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxscript")


RUN = {".pt2": run_pt2, ".onnx": run_onnx}


@pytest.mark.slow
@pytest.mark.parametrize("name, suffix", in_both(CASES, ENCODERS_IN_ONNX))
def test_encoder_is_transform(fitted, encoder_of, name, suffix):
    need(suffix)
    est, data = fitted(name)
    path = encoder_of(name, suffix)
    numbers = as_numbers(est, data)
    for n in (1, N):
        assert_same(RUN[suffix](path, numbers[:n]), est.transform(data[:n]))


@pytest.mark.slow
@pytest.mark.parametrize("name, suffix", in_both(CASES, DECODERS_IN_ONNX))
def test_decoder_is_inverse_transform(fitted, name, suffix, tmp_path):
    need(suffix)
    est, _ = fitted(name)
    path = str(tmp_path / f"decoder{suffix}")
    est.export_decoder(path)
    Z = np.random.default_rng(1).normal(size=(N, est.latent_dim)).astype(np.float32)
    for n in (1, N):
        expected = as_numbers(est, est.inverse_transform(Z[:n]))
        found = RUN[suffix](path, Z[:n])
        # A mean next to the middle of two categories or counts may round either way.
        differs = abs(found - expected) > 1e-4 * np.maximum(1, abs(expected))
        assert differs.sum() <= (3 if name in TABLES and n > 1 else 0)


CONDITIONAL = {
    "numbers": ({}, X, X[:, :2] + 1),
    "one column": ({}, X, X[:, 0] * 2),
    "labels": ({"likelihood": "categorical"}, X, TABLE["plan"].to_numpy()),
    "table": ({"likelihood": "auto"}, TABLE, TABLE[["plan", "price"]]),
    "mixture": ({"n_prior_components": 2}, X, X[:, :2]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name, suffix", in_both(CONDITIONAL, {"labels"}))
def test_conditional(name, suffix, tmp_path):
    need(suffix)
    parameters, x, y = CONDITIONAL[name]
    est = ConditionalVAE(**FIT | parameters).fit(x, y)
    numbers = est._x_rows.schema.encode(x) if est._x_rows.is_table else x
    encoder, decoder = (str(tmp_path / f"{k}{suffix}") for k in ("encoder", "decoder"))
    est.export_encoder(encoder)
    est.export_decoder(decoder)
    codes = est.transform(x, y)
    targets = est._target_values(y)
    for n in (1, N):
        assert_same(RUN[suffix](encoder, numbers[:n], targets[:n]), codes[:n])
    found = RUN[suffix](decoder, codes, numbers)
    assert found.shape == targets.shape
    if name == "numbers":
        module = est.net_.module
        with torch.no_grad():
            outputs = module.decode(torch.from_numpy(codes), torch.from_numpy(numbers))
            assert_same(found, module.likelihood.mean(outputs).numpy())


@pytest.mark.slow
def test_the_number_of_rows_has_a_name(encoder_of):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    graph = onnx.load(encoder_of("encoder", ".onnx")).graph
    assert [value.name for value in (*graph.input, *graph.output)] == ["X", "Z"]
    for value in (*graph.input, *graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "n_rows"


@pytest.mark.parametrize("method", ["export_encoder", "export_decoder"])
def test_errors(fitted, method, tmp_path):
    est, _ = fitted("gaussian")
    with pytest.raises(ValueError, match=r"must end in '\.onnx' or '\.pt2'"):
        getattr(est, method)(tmp_path / "model.pth")
    for kind in (VAE, GMVAE, ConditionalVAE):
        with pytest.raises(NotFittedError):
            getattr(kind(), method)(tmp_path / "model.pt2")
    assert not os.listdir(tmp_path)


def test_without_the_packages(fitted, monkeypatch, tmp_path):
    monkeypatch.setattr(_export, "_is_installed", lambda name: name != "onnxscript")
    with pytest.raises(ImportError, match=r"^ONNX needs the package onnxscript; pip"):
        fitted("gaussian")[0].export_encoder(tmp_path / "model.onnx")
    assert not os.listdir(tmp_path)


def test_a_network_that_cannot_be_exported(tmp_path):
    est = VAE(**FIT, encoder=Branches(5, 4)).fit(X)
    with pytest.raises(ValueError, match=r"^encoder=Branches cannot be exported"):
        est.export_encoder(tmp_path / "model.pt2")
    est.export_decoder(tmp_path / "decoder.pt2")


def test_a_file_that_differs_is_not_written(fitted, monkeypatch, tmp_path):
    est, _ = fitted("gaussian")
    path = tmp_path / "model.pt2"
    est.export_encoder(path)
    before = path.read_bytes()
    monkeypatch.setattr(
        type(est), "_map_codes", lambda self, X: np.full((len(X), 2), 1e3)
    )
    with pytest.raises(RuntimeError, match="was not written, as the exported graph"):
        est.export_encoder(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.pt2"]


def test_the_estimator_stays_as_it_is(fitted, tmp_path):
    est, data = fitted("missing")
    before, names = est.transform(data), sorted(vars(est))
    grad, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
    est.export_encoder(tmp_path / "model.pt2")
    assert (torch.is_grad_enabled(), torch.get_default_dtype()) == (grad, dtype)
    assert sorted(vars(est)) == names
    np.testing.assert_array_equal(est.transform(data), before)
