"""Bad parameters and data: one sentence with the remedy, and no side effect."""

import re

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from sklvm import VAE

from .models import bits, frozen, standard_normal

X = standard_normal(30)
BAD = [
    ("latent_dim", 0),
    ("latent_dim", 2.5),
    ("likelihood", "gauss"),
    ("noise", 0.0),
    ("noise", -1.0),
    ("noise", "best"),
    ("noise", None),
    ("binarize", "static"),
    ("objective", "elbo"),
    ("n_draws", 0),
    ("n_score_draws", 0),
    ("beta", -1.0),
    ("warmup", -0.1),
    ("warmup", 1.5),
    ("free_bits", -1.0),
    ("posterior", "diagonal"),
    ("prior", "normal"),
    ("n_pseudo_inputs", 0),
    ("hidden_layer_sizes", (0,)),
    ("hidden_layer_sizes", "wide"),
    ("activation", "sigmoidal"),
    ("max_epochs", 0),
    ("max_epochs", 2.5),
    ("lr", 0.0),
    ("lr", -1e-3),
    ("batch_size", 0),
    ("optimizer", "adams"),
    ("lr_schedule", "linearly"),
    ("max_grad_norm", 0.0),
    ("max_grad_norm", -1.0),
    ("early_stopping", "yes"),
    ("validation_fraction", 1.0),
    ("validation_fraction", -0.1),
    ("n_iter_no_change", 0),
    ("tol", -1.0),
    ("warm_start", "yes"),
    ("device", "gpu"),
    ("compile", "yes"),
    ("net_params", ["lr"]),
    ("random_state", "zero"),
    ("verbose", -1),
]


@pytest.mark.parametrize("parameter, value", BAD)
def test_parameters_out_of_range(parameter, value):
    est = VAE(max_epochs=1).set_params(**{parameter: value})
    before = dict(vars(est))
    pattern = rf"(?s)(?=.*{parameter})(?=.*{re.escape(repr(value))})"
    for method in (est.fit, est.partial_fit):
        # early_stopping and validation_fraction are used together only.
        with pytest.raises((ValueError, TypeError), match=pattern):
            method(X)
    assert vars(est) == before


def test_constructing_never_validates():
    assert VAE(latent_dim=-1, lr="fast").latent_dim == -1


def test_binarize_is_for_bernoulli_only():
    with pytest.raises(ValueError, match="binarize"):
        VAE(binarize="dynamic").fit(bits(30))


@pytest.mark.parametrize(
    "method",
    ["transform", "reconstruct", "score_samples", "score", "log_likelihood", "impute"],
)
def test_nothing_works_before_the_fit(method):
    with pytest.raises(NotFittedError, match="VAE"):
        getattr(VAE(), method)(X)


def test_no_sampling_before_the_fit():
    with pytest.raises(NotFittedError, match="VAE"):
        VAE().sample()
    with pytest.raises(NotFittedError, match="VAE"):
        VAE().inverse_transform(np.zeros((1, 2)))


@pytest.mark.slow
@pytest.mark.parametrize("n_samples", [0, -3, 2.5, "ten"])
def test_bad_numbers_of_samples(n_samples):
    est = frozen(X, hidden_layer_sizes=(4,))
    with pytest.raises((ValueError, TypeError), match="n_samples"):
        est.sample(n_samples)


def test_latents_of_another_width():
    est = frozen(X, hidden_layer_sizes=(4,))
    with pytest.raises(ValueError, match=r"\b3\b"):
        est.inverse_transform(np.zeros((2, 3)))


@pytest.mark.parametrize(
    "method", ["transform", "score_samples", "log_likelihood", "impute", "partial_fit"]
)
def test_another_number_of_features(method):
    est = frozen(X, hidden_layer_sizes=(4,))
    with pytest.raises(ValueError, match=r"5 features.*4 features"):
        getattr(est, method)(np.ones((6, 5)))


def test_infinity_is_not_missing():
    data = X.copy()
    data[3, 1] = np.inf
    with pytest.raises(ValueError, match="inf"):
        VAE().fit(data)


def test_a_feature_never_observed_is_named():
    data = X.copy()
    data[:, 2] = np.nan
    with pytest.raises(ValueError, match=r"\b2\b"):
        VAE(max_epochs=1).fit(data)


def test_numbers_beyond_float32():
    data = X.copy()
    data[3, 1] = 1e300
    with pytest.raises(ValueError, match=r"float32|inf"):
        VAE().fit(data)


def test_one_row_is_enough():
    est = frozen(X[:1], hidden_layer_sizes=(4,))
    assert np.isfinite(est.score_samples(X[:1])).all()


def test_early_stopping_needs_rows_to_hold_out():
    with pytest.raises(ValueError, match=r"early_stopping|validation_fraction"):
        VAE(early_stopping=True, max_epochs=2).fit(X[:1])
