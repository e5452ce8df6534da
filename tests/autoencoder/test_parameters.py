"""Every constructor parameter changes the result that it should change."""

import math

import numpy as np
import pytest
from torch import nn

from sklvm import VAE

from .models import OBJECTIVES, bits
from .walk import Subject, X, checks, distance, n_parameters

SUBJECT = Subject(VAE)
GREY = np.random.default_rng(0).random((90, 4))
LONG = {"max_epochs": 60, "noise": 1.0}
fit = SUBJECT.fit


def spread_of_latents(**params):
    return fit(**(LONG | params)).transform(X).std()


# What is the VAE's own, and what its simple prior lets be seen more closely.


def likelihood():
    data = bits(90, n_features=4)
    gaussian, bernoulli = (fit(data, likelihood=n) for n in ("gaussian", "bernoulli"))
    # A mass is below one, a density need not be.
    assert (bernoulli.score_samples(data) < 0).all()
    assert set(np.unique(bernoulli.sample(50)[0])) == {0, 1}
    assert len(np.unique(gaussian.sample(50)[0])) > 2


def binarize():
    params = {"likelihood": "bernoulli"}
    with pytest.warns(UserWarning):
        grey = fit(GREY, **params)
    fresh = fit(GREY, binarize="dynamic", **params)
    assert distance(grey, fresh) > 0
    assert abs(grey.score(GREY) - fresh.score(GREY)) > 1e-3


def mask_rate():
    with_gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.3, np.nan, X)
    with pytest.raises(ValueError, match="mask_rate"):
        fit().score_samples(with_gaps)
    assert np.isfinite(fit(mask_rate=0.3).score_samples(with_gaps)).all()


def prior():
    standard, vamp = (
        fit(max_epochs=30, prior=p).sample(500)[1] for p in ("standard", "vamp")
    )
    assert np.abs(standard.mean(axis=0)).max() < 0.25
    assert np.abs(standard.std(axis=0) - 1).max() < 0.2
    assert not np.allclose(standard, vamp)


def n_pseudo_inputs():
    few, many = (
        n_parameters(fit(prior="vamp", n_pseudo_inputs=n).net_.module_)
        for n in (10, 30)
    )
    # Each is a row of four numbers.
    assert many - few >= 20 * 4


CHECKS = checks(SUBJECT, likelihood, binarize, mask_rate, prior, n_pseudo_inputs)


def test_no_parameter_is_left_out():
    assert CHECKS.keys() == VAE().get_params().keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKS)
def test_the_parameter_changes_what_it_should(name):
    CHECKS[name]()


def test_beta_draws_the_latents_in():
    assert spread_of_latents(beta=20.0) < 0.8 * spread_of_latents(beta=0.1)


@pytest.mark.slow
def test_free_bits_let_the_latents_out():
    charged, free = (
        spread_of_latents(beta=100.0, free_bits=bits) for bits in (0.0, 5.0)
    )
    assert free > 2 * charged


def test_a_decoder_without_bias_has_none():
    est = fit(decoder=nn.Linear(2, 4, bias=False))
    assert np.abs(est.inverse_transform(np.zeros((1, 2)))).max() < 1e-6


# Pairs of options that could undo one another: any two values of two of them meet.
PAIRS = [
    {
        "objective": objective,
        "posterior": ("diag", "full")[i],
        "prior": ("standard", "vamp")[(i + j) % 2],
    }
    for i in range(2)
    for j, objective in enumerate(OBJECTIVES)
]


@pytest.mark.slow
@pytest.mark.parametrize("params", PAIRS, ids=lambda p: "-".join(p.values()))
def test_options_combine(params):
    """From any start, with any option, F rises."""
    first, last = (
        fit(n_draws=4, n_pseudo_inputs=10, max_epochs=n, **params).score(X)
        for n in (1, 30)
    )
    assert math.isfinite(first)
    assert last > first
