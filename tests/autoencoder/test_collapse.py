"""The warning of a posterior that has become the prior."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from sklvm import GMVAE, VAE, ConditionalVAE

from .models import constant, linear, recorder, standard_normal
from .structured import Mixture, known, sequential

X = standard_normal(5000, 4)
IRIS = StandardScaler().fit_transform(load_iris().data)
QUICK = {"hidden_layer_sizes": (16,), "lr": 0.01, "tol": np.inf, "random_state": 0}


def warnings_of(fit, *data):
    """The messages of a fit that speak of collapse, all of them ConvergenceWarnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(*data)
    messages = [w for w in caught if "collapse" in str(w.message)]
    assert all(issubclass(w.category, ConvergenceWarning) for w in messages)
    assert all(w.filename == __file__ for w in messages)
    return [str(w.message) for w in messages]


def held(shift):
    """Networks that stay at q(z|x) = N(shift, 1), of rate shift^2 / 2."""
    return {
        "latent_dim": 1,
        "noise": 1.0,
        "encoder": constant(4, [shift, 0.0]),
        "decoder": linear(np.ones((4, 1)), np.zeros(4)),
        "optimizer": recorder(),
        "max_epochs": 1,
        "tol": np.inf,
        "random_state": 0,
    }


@pytest.mark.parametrize("shift, warns", [(0.0, True), (0.35, True), (0.55, False)])
def test_a_tenth_of_a_nat_is_the_limit(shift, warns):
    """Rates of 0, 0.06 and 0.15 nats a row; the draws of 1000 rows blur them by
    no more than sqrt(2 rate / 1000) = 0.017.
    """
    messages = warnings_of(VAE(**held(shift)).fit, X)
    assert len(messages) == warns


def test_a_conditional_one():
    """What counts is p(z|x): q = N(3, 1) is collapsed where p(z|x) is that, too."""
    prior = constant(2, [3.0, 0.0])
    params = held(0.0) | {
        "encoder": constant(4, [3.0, 0.0]),
        "decoder": linear(np.ones((2, 3)), np.zeros(2)),
        "n_prior_components": 1,
        "warmup": 0.0,
    }
    data = X[:, :2], X[:, 2:]
    assert len(warnings_of(ConditionalVAE(prior=prior, **params).fit, *data)) == 1
    prior = constant(2, [2.0, 0.0])
    assert not warnings_of(ConditionalVAE(prior=prior, **params).fit, *data)


def test_one_with_components():
    """q(w|x) = p(w) = N(1, 1): the component is the one, not N(0, 1)."""
    decoder = linear(np.ones((4, 1)), np.zeros(4))
    for mean, n_warnings in ((1.0, 1), (0.0, 0)):
        mixture = Mixture(np.ones(1), np.full((1, 1), mean), np.ones((1, 1)))
        est = known(X, mixture, encoder=sequential(constant(4, [1.0, 0.0])),
                    decoder=decoder, tol=np.inf)  # fmt: skip
        assert len(warnings_of(est.fit, X)) == n_warnings


def test_a_large_beta_collapses():
    # The linear start uses the latent, so that it takes a while to be given up.
    est = VAE(beta=1e3, max_epochs=200, early_stopping=False, **QUICK)
    messages = warnings_of(est.fit, IRIS)
    assert len(messages) == 1
    assert "beta" in messages[0]


@pytest.mark.parametrize(
    "est, data",
    [
        (VAE(max_epochs=10, **QUICK), (IRIS,)),
        (GMVAE(n_components=3, max_epochs=20, **QUICK), (IRIS,)),
        (ConditionalVAE(max_epochs=20, **QUICK), (IRIS[:, :2], IRIS[:, 2:])),
    ],
    ids=["VAE", "GMVAE", "ConditionalVAE"],
)
def test_an_ordinary_fit_does_not_warn(est, data):
    assert not warnings_of(est.fit, *data)


@pytest.mark.parametrize("likelihood", ["categorical", "bernoulli", "auto"])
def test_one_column_of_labels_needs_no_latent(likelihood):
    """Its p(y|x) is any distribution without z, which is to hold nothing."""
    y = np.random.default_rng(0).integers(0, 2, len(IRIS)) == 1
    est = ConditionalVAE(likelihood=likelihood, max_epochs=2, **QUICK)
    assert not warnings_of(est.fit, IRIS, y)
    assert not warnings_of(VAE(2, likelihood=likelihood, max_epochs=2, **QUICK).fit,
                           y[:, np.newaxis])  # fmt: skip
