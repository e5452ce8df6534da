"""Every public argument that takes rows, of every estimator: where forms are given."""

import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from sklearn.base import clone

from sklvm import (
    DensityOutlierDetector,
    JointDensityClassifier,
    MixtureEM,
    ModelImputer,
    elbo,
)

from ..networks import GMVAE, HAS_TORCH, VAE, ConditionalVAE, SparseSegmentationRDA
from ..registry import REGISTRY, three_blobs, three_customers

# Columns have kinds where there are twenty rows or more.
N_ROWS, N_TABLE = 12, 24


@dataclass(frozen=True)
class Target:
    """A fitted estimator, and one argument of one of its methods."""

    estimator: Any
    method: str
    argument: str
    value: np.ndarray  # what the argument is in the first place
    call: Any  # (value) -> result

    def __str__(self):
        return f"{type(self.estimator).__name__}.{self.method}({self.argument})"


def rows(entry, n=N_ROWS):
    """Its data in quarters, which all widths of floats have."""
    return tuple(np.round(array * 4.0) / 4 for array in entry.make_data(0, n))


SHORT = {"max_epochs": 1, "hidden_layer_sizes": (4,), "batch_size": 12}


def models():
    """(name, estimator, data) of every kind of estimator, not fitted."""
    for entry in REGISTRY:
        params = {}
        if entry.estimator in (VAE, GMVAE, ConditionalVAE):
            params |= SHORT | {"early_stopping": False}
        if entry.estimator in (VAE, GMVAE):
            params["mask_rate"] = 0.2
        if entry.estimator is SparseSegmentationRDA:
            params |= {"max_epochs": 1, "channels": (4,)}
        data = rows(entry, N_TABLE if entry.estimator is MixtureEM else N_ROWS)
        yield entry.estimator.__name__, entry.make(**params), data
    if HAS_TORCH:
        yield from networks_of_more_kinds()
    table = three_customers(0, N_TABLE)[0]
    table = np.round(table * 4) / 4
    yield "ModelImputer of MixtureEM", ModelImputer(MixtureEM(random_state=0)), (table,)
    model = JointDensityClassifier(MixtureEM(n_components=2, random_state=0))
    yield "JointDensityClassifier", model, (table, (table[:, 3] > 0).astype(float))
    (blobs,) = (np.round(array * 4) / 4 for array in three_blobs(0, N_ROWS))
    yield "ModelImputer", ModelImputer(), (blobs,)
    yield "DensityOutlierDetector", DensityOutlierDetector(), (blobs,)


def networks_of_more_kinds():
    by_name = {entry.estimator: entry for entry in REGISTRY}
    table = three_customers(0, N_TABLE)[0]
    table = np.round(table * 4) / 4
    kinds = SHORT | {"likelihood": "auto", "early_stopping": False, "random_state": 0}
    yield "VAE of kinds", VAE(mask_rate=0.2, **kinds), (table,)
    X, y = rows(by_name[ConditionalVAE])
    yield "ConditionalVAE of kinds", ConditionalVAE(**kinds), (X, y)
    labels = (y[:, 0] > 0) * 1.0
    kinds = kinds | {"likelihood": "categorical"}
    yield "ConditionalVAE of labels", ConditionalVAE(**kinds), (X, labels)
    images = np.round(np.random.default_rng(0).random((6, 20)) * 4) / 4
    # The search for codes is what takes time, and reads no rows.
    params = {"max_epochs": 1, "channels": (4,), "refine": None}
    with_images = by_name[SparseSegmentationRDA].make(**params)
    maps = rows(by_name[SparseSegmentationRDA], 6)[0]
    yield "SparseSegmentationRDA with images", with_images, (maps, images)


@cache
def fitted(name):
    """One of the `models`, fitted, and its data."""
    (made,) = ((est, data) for other, est, data in models() if other == name)
    est, data = made
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit(est, *data), data


def fit(est, X, *others):
    if isinstance(est, SparseSegmentationRDA) and others:
        return est.fit(X, images=others[0])
    return est.fit(X, *others)


# Methods of X alone, with what they take besides.
OF_ROWS = {
    "predict": {},
    "predict_proba": {},
    "transform": {},
    "score_samples": {},
    "score": {},
    "decision_function": {},
    "aic": {},
    "bic": {},
    "icl": {},
    "impute": {},
    "reconstruct": {},
    "sample_missing": {},
    "log_likelihood": {"n_importance": 10},
    "conditional_score_samples": {"given": [0]},
    "predict_missing_proba": {"column": 4},
    "elbo_terms": {},
    "encode": {},
    "rate_distortion_curve": {"distortion_weights": [1.0]},
}


def targets(name):
    """The `Target`s of one of the `models`."""
    est, data = fitted(name)
    conditional = isinstance(est, ConditionalVAE)
    with_images = name.endswith("images")
    yield from of_fit(est, data)
    if conditional:
        yield from of_pairs(est, *data)
    elif isinstance(est, JointDensityClassifier):
        yield from of_methods(est, data[0], ("predict", "predict_proba"))
    elif with_images:
        yield from of_images(est, *data)
    else:
        yield from of_methods(est, data[0], OF_ROWS)
    if hasattr(est, "inverse_transform") and not with_images:
        yield from of_codes(est, data[0])
    if hasattr(est, "icl"):
        yield from of_weights(est, data[0])


def of_fit(est, data):
    """`fit` and `partial_fit`, told from what the fitted estimator then answers."""
    answer = next(
        m for m in ("transform", "predict", "score_samples") if hasattr(est, m)
    )
    pair = data if isinstance(est, ConditionalVAE) else data[:1]
    if len(data) == 2 and not isinstance(est, (ConditionalVAE, JointDensityClassifier)):
        pair = data  # maps and images

    def one_pass(est, *data):
        return est.partial_fit(*data)

    def fit_to(at, data, fit):
        def call(value):
            given = [*data[:at], value, *data[at + 1 :]]
            return getattr(fit(clone(est), *given), answer)(*pair)

        return call

    for at, argument in enumerate(("X", "images" if hasattr(est, "rate") else "y")):
        if at < len(data):
            yield Target(est, "fit", argument, data[at], fit_to(at, data, fit))
        if at < len(pair) and hasattr(est, "partial_fit"):
            call = fit_to(at, pair, one_pass)
            yield Target(est, "partial_fit", argument, pair[at], call)


def of_methods(est, X, names):
    for name in names:
        try:
            method = getattr(est, name)
        except AttributeError:
            continue
        params = OF_ROWS[name]
        if name == "conditional_score_samples" and hasattr(est, "latent_dim"):
            params = params | {"n_importance": 10}
        try:
            method(X, **params)
        except ValueError:
            continue  # of another kind of model
        yield Target(est, name, "X", X, lambda v, m=method, p=params: m(v, **p))


def of_pairs(est, X, y):
    for name in ("predict", "predict_proba", "sample", "transform"):
        if hasattr(est, name):
            yield Target(est, name, "X", X, getattr(est, name))
    for name, params in {
        "transform": {}, "score_samples": {}, "score": {},
        "log_likelihood": {"n_importance": 10},
    }.items():  # fmt: skip
        method = getattr(est, name)
        yield Target(est, name, "X, y", X, lambda v, m=method, p=params: m(v, y, **p))
        yield Target(est, name, "y", y, lambda v, m=method, p=params: m(X, v, **p))


def of_images(est, X, images):
    for name in ("transform", "score_samples", "encode"):
        method = getattr(est, name)
        yield Target(est, name, "images", images, lambda v, m=method: m(X, images=v))


def of_codes(est, X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Z = np.round(np.asarray(est.transform(X), dtype=float) * 4) / 4
    yield Target(est, "inverse_transform", "Z", Z, est.inverse_transform)
    if hasattr(est, "rate"):
        yield Target(est, "rate", "S", Z, est.rate)
        yield Target(est, "distortion", "S", Z, lambda v: est.distortion(X, v))


def of_weights(est, X):
    weight = np.arange(1.0, len(X) + 1)
    for name in ("score", "bic", "fit"):

        def call(value, name=name):
            result = getattr(clone(est) if name == "fit" else est, name)(
                X, sample_weight=value
            )
            return result.score(X) if name == "fit" else result

        yield Target(est, name, "sample_weight", weight, call)
    resp = np.eye(est.n_components)[np.arange(len(X)) % est.n_components]
    yield Target(est, "elbo", "resp", resp, lambda v: elbo(est, X, v))
