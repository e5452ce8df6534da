"""The families that the EM loop serves, and helpers to fit and compare them."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklvm import (
    BernoulliMixtureEM,
    CategoricalMixtureEM,
    GaussianMixtureEM,
    PoissonMixtureEM,
)

GAUSSIAN = ["full", "tied", "diag", "spherical"]
FAMILIES = ["bernoulli", "categorical", "poisson", *GAUSSIAN]
STARTS = ["k-means++", "kmeans", "random", "random_from_data"]


def make(family, **params):
    """An estimator without ridge, so that plain EM and nothing else is under test."""
    params = {"random_state": 0} | params
    if family == "bernoulli":
        return BernoulliMixtureEM(**params)
    if family == "categorical":
        # A batch may lack one of the codes.
        return CategoricalMixtureEM(**({"n_categories": 3} | params))
    if family == "poisson":
        return PoissonMixtureEM(**params)
    return GaussianMixtureEM(**({"covariance_type": family, "reg_covar": 0} | params))


def run(est, X, n_iter=20, **fit_params):
    """Exactly n_iter iterations: a tolerance of zero is never met."""
    est.set_params(max_iter=n_iter, tol=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return est.fit(X, **fit_params)


def parameters(est):
    """Fitted parameters as arrays; the items of a list of categories side by side."""
    names = ("weights_", "theta_", "rates_", "means_", "covariances_")
    found = {name: getattr(est, name) for name in names if hasattr(est, name)}
    if isinstance(found.get("theta_"), list):
        found["theta_"] = np.hstack(found["theta_"])
    return found


def centres(est):
    """What says where a component lies: probabilities, rates or means, (K, ...)."""
    found = parameters(est)
    return next(found[n] for n in ("theta_", "rates_", "means_") if n in found)


def assert_same(one, two, tol=1e-8):
    expected = parameters(two)
    assert len(expected) >= 2
    for name, value in parameters(one).items():
        np.testing.assert_allclose(
            value, expected[name], rtol=tol, atol=tol, err_msg=name
        )


def encode(family, X):
    """X as codes 0, 1, 2 or as counts, the larger the larger X; NaN is kept."""
    if family == "categorical":
        return np.where(np.isnan(X), np.nan, np.digitize(X, [-1.0, 1.0]))
    if family == "poisson":
        return np.floor(np.exp(np.clip(X, -5.0, 5.0) / 2 + 1))
    return X


def blobs(n_samples, seed=0, n_features=3, spread=2.0, missing=0.0, family=None):
    """Three overlapping Gaussians; their signs are a mixture of Bernoullis.

    The first rows are observed in full, so that every feature is observed. For the
    families of codes and of counts the same rows are encoded.
    """
    rng = np.random.default_rng(seed)
    signs = np.array([[1, 1, -1, -1], [-1, 1, 1, -1], [1, -1, 1, 1]])
    centres = spread * np.tile(signs, (1, 1 + n_features // 4))[:, :n_features]
    labels = rng.integers(3, size=n_samples)
    X = centres[labels] + rng.normal(size=(n_samples, n_features))
    hidden = rng.random(X.shape) < missing
    hidden[:8] = False
    X[hidden] = np.nan
    return encode(family, X)
