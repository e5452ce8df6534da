"""Small fitted models of every estimator and of what they can hold."""

import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from torch import nn

from sklvm import (
    GMVAE,
    VAE,
    ConditionalVAE,
    DensityOutlierDetector,
    JointDensityClassifier,
    LabelMapCodec,
    MixtureEM,
    ModelImputer,
    SparseSegmentationRDA,
)
from sklvm.neural import ConvDecoder, ConvEncoder
from tests.autoencoder.mixed import KINDS, mixed_table
from tests.mixture.mixed import components, people
from tests.registry import REGISTRY, three_blobs, three_rates, two_answers

# Networks of a few weights, so that files are a few kB.
TINY = {
    VAE: {"hidden_layer_sizes": (3,), "latent_dim": 1},
    GMVAE: {"hidden_layer_sizes": (3,), "latent_dim": 1},
    ConditionalVAE: {"hidden_layer_sizes": (3,), "latent_dim": 1},
    SparseSegmentationRDA: {"channels": (2, 2)},
}
SHORT = {"max_epochs": 2, "random_state": 0}


@dataclass
class Case:
    """An estimator that is not fitted, and data for it."""

    name: str
    estimator: Any
    data: tuple

    def fit(self, estimator=None):
        """Fitted, without a word of what is not done."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return clone(estimator or self.estimator).fit(*self.data)

    @property
    def rows(self):
        """Arguments of predictions: some of the rows."""
        return tuple(values[:20] for values in self.data)


def _name(estimator, params):
    words = [type(estimator).__name__]
    for key, value in params.items():
        if key not in ("random_state", "max_epochs", "n_components"):
            words.append(f"{key}-{value if isinstance(value, str | float) else 'own'}")
    return "_".join(words)


def _of_registry():
    for entry in REGISTRY:
        for params in [{}, *entry.variants]:
            tiny = TINY.get(entry.estimator, {})
            short = SHORT if "max_epochs" in entry.quick else {}
            estimator = entry.make(**(tiny | params | short))
            # Searches for codes take seconds for each ten maps.
            n = 20 if entry.integers else 60
            yield Case(_name(estimator, params), estimator, entry.make_data(0, n))


def _of_autoencoders():
    blobs = three_blobs(0, 60)
    images = (np.random.default_rng(0).random((60, 36)),)
    generator = np.random.RandomState(3)
    yield from (
        Case(_name(VAE(), params), VAE(**TINY[VAE] | SHORT | params), data)
        for params, data in [
            ({"prior": "vamp", "n_pseudo_inputs": 3}, blobs),
            ({"posterior": "full", "latent_dim": 2, "objective": "stl"}, blobs),
            ({"objective": "iwae", "n_draws": 2, "lr_schedule": "cosine"}, blobs),
            ({"objective": "entropy", "optimizer": "sgd", "activation": "tanh"}, blobs),
            ({"objective": "log_ratio", "early_stopping": True}, blobs),
            ({"objective": "forward_kl", "n_draws": 2}, blobs),
            ({"likelihood": "poisson"}, three_rates(0, 60)),
            ({"likelihood": "negative_binomial"}, three_rates(0, 60)),
            ({"likelihood": "bernoulli"}, (blobs[0] > 0,)),
            ({"likelihood": KINDS, "warmup": 0.5}, (mixed_table(60),)),
            ({"likelihood": "auto", "mask_rate": 0.2}, (people(60, missing=0.1),)),
            ({"encoder": ConvEncoder((6, 6), (2,))}, images),
            ({"decoder": ConvDecoder((6, 6), (2,)), "random_state": generator}, images),
            ({"encoder": nn.Sequential(nn.Linear(5, 2), nn.BatchNorm1d(2))}, blobs),
        ]
    )
    params = {"likelihood": "auto", "n_components": 2}
    yield Case("GMVAE_table", GMVAE(**TINY[GMVAE] | SHORT | params), (people(60),))
    X, y = two_answers(0, 60)
    labels, table = np.where(y[:, 0] > 0, "yes", "no"), mixed_table(60)
    for name, target, likelihood in [
        ("labels", labels, "categorical"),
        ("table", table, "auto"),
    ]:
        params = TINY[ConditionalVAE] | SHORT | {"likelihood": likelihood}
        yield Case(f"ConditionalVAE_{name}", ConditionalVAE(**params), (X, target))


def _of_tables():
    for kind in ("full", "tied", "diag", "spherical"):
        model = MixtureEM(2, components=components(kind), max_iter=3, random_state=0)
        yield Case(f"MixtureEM_table_{kind}", model, (people(80, missing=0.1),))


def _of_wrappers():
    X = three_blobs(0, 60)[0]
    table = people(80)
    labels = np.where(table["height"] > 170, "tall", "short")
    vae = VAE(**TINY[VAE] | SHORT)
    mixture = MixtureEM(2, max_iter=3, random_state=0)
    yield Case("ModelImputer", ModelImputer(), (np.where(X > 2, np.nan, X),))
    yield Case("ModelImputer_VAE", ModelImputer(vae), (np.where(X > 2, np.nan, X),))
    yield Case("DensityOutlierDetector", DensityOutlierDetector(), (X,))
    yield Case("DensityOutlierDetector_VAE", DensityOutlierDetector(vae), (X,))
    yield Case(
        "JointDensityClassifier", JointDensityClassifier(mixture), (table, labels)
    )


def _of_label_maps():
    squares = np.random.default_rng(0).integers(3, size=(30, 3, 3))
    maps = np.kron(squares, np.ones((1, 2, 2), dtype=int))
    yield Case("LabelMapCodec", LabelMapCodec(), (maps,))


CASES = {
    case.name: case
    for cases in (
        *(_of_registry(), _of_autoencoders(), _of_tables(), _of_wrappers()),
        _of_label_maps(),
    )
    for case in cases
}


@cache
def fitted(name):
    """The fitted estimator of a case, made once."""
    return CASES[name].fit()


# The methods of predictions, and whether they take y too.
METHODS = {
    "score_samples": True,
    "transform": True,
    "score": True,
    "predict": False,
    "predict_proba": False,
    "decision_function": False,
}


def answers(estimator, case):
    """What a fitted estimator says of some rows, and draws, by name of the method."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = {}
        takes_y = isinstance(estimator, ConditionalVAE)
        for method, may_take_y in METHODS.items():
            if hasattr(estimator, method):
                with_y = method == "score" or (takes_y and may_take_y)
                rows = case.rows if with_y else case.rows[:1]
                out[method] = getattr(estimator, method)(*rows)
        if takes_y:
            out["sample"] = estimator.sample(case.rows[0])
        elif callable(getattr(estimator, "sample", None)):
            out["sample"] = estimator.sample(7)
    return {f"{name}{i}": value for name in out for i, value in _parts(out[name])}


def _parts(value):
    parts = value if isinstance(value, tuple | list) else (value,)
    return [(i, as_array(part)) for i, part in enumerate(parts)]


def as_array(value):
    """A result as an array; tables as text, which shows their dtypes too."""
    if hasattr(value, "dtypes"):
        return np.array([value.to_csv(), str(value.dtypes)])
    if isinstance(value, torch.Tensor):
        return value.numpy()
    value = np.asarray(value)
    return value.astype(str) if value.dtype == object else value


def assert_same_answers(one, two, case):
    """To the last bit."""
    expected, found = answers(one, case), answers(two, case)
    assert expected.keys() == found.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
        assert found[name].dtype == expected[name].dtype


# What users write themselves.


class OwnEncoder(nn.Module):
    """A network of a user's own."""

    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_inputs, 3), nn.Tanh())
        self.head = nn.Linear(3, n_outputs)

    def forward(self, x):
        return self.head(self.layers(x))
