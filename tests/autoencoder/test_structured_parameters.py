"""Every parameter of GMVAE and ConditionalVAE changes the result that it should."""

import math

import numpy as np
import pytest
import torch
from sklearn.model_selection import ParameterGrid
from torch import nn

from sklvm import GMVAE, ConditionalVAE

from .models import OBJECTIVES, bits, linear
from .walk import Subject, X, all_different, checks, distance, n_parameters

# Fits of these tests need to be of the right kind, not good ones.
pytestmark = pytest.mark.usefixtures("few_starts")

# What the start of a GMVAE does has checks of its own.
MIXTURE = Subject(
    GMVAE,
    params={"pretraining": 0.0, "warmup": 0.0},
    # "kl" has no closed form of a mixture, and is "entropy".
    objectives=tuple(name for name in OBJECTIVES if name != "kl"),
)
Y = X[:, :2] * [0.5, 1] + np.random.default_rng(1).normal(size=(90, 2))
# y has two columns, x four: [y, x] and [z, x] are six wide.
CONDITIONAL = Subject(
    ConditionalVAE,
    (X, Y),
    params={"n_prior_components": 1},
    encoder_inputs=6,
    decoder_inputs=6,
    outputs=2,
)


class GMVAEChecks:
    """Of the parameters that are GMVAE's own."""

    @staticmethod
    def n_components():
        for n in (2, 5):
            assert MIXTURE.fit(n_components=n).predict_proba(X).shape == (90, n)

    @staticmethod
    def covariance_type():
        diag, round_ = (
            MIXTURE.fit(covariance_type=kind).covariances_
            for kind in ("diag", "spherical")
        )
        assert diag.shape == (2, 2)
        assert round_.shape == (2,)

    @staticmethod
    def weights():
        uniform, free = (MIXTURE.fit(weights=w).weights_ for w in ("uniform", "free"))
        assert np.array_equal(uniform, [0.5, 0.5])
        assert np.ptp(free) > 1e-3

    @staticmethod
    def categorical():
        modes = ("exact", "network", "gumbel", "reinforce")
        decoders = [
            weights_of(MIXTURE.fit(categorical=mode, max_epochs=10)) for mode in modes
        ]
        assert all_different(decoders)

    @staticmethod
    def reg_covar():
        low, high = (MIXTURE.fit(reg_covar=r) for r in (1e-3, 2.0))
        floor = high.net_.module.least_variance.item()
        assert high.covariances_.min() >= floor * (1 - 1e-5)
        assert low.covariances_.min() < floor

    @staticmethod
    def pretraining():
        params = {"max_epochs": 10, "lr": 1e-30}
        still = [MIXTURE.fit(pretraining=p, **params) for p in (0.0, 0.5)]
        # The start itself is the same where nothing moves, ...
        assert np.allclose(still[0].means_, still[1].means_, atol=1e-3)
        moved = [MIXTURE.fit(pretraining=p, max_epochs=10) for p in (0.0, 0.5)]
        assert not np.allclose(moved[0].means_, moved[1].means_, atol=1e-3)

    @staticmethod
    def n_init():
        one, three = (MIXTURE.fit(n_init=n) for n in (1, 3))
        assert len(one.attempts_) == 1
        assert len(three.attempts_) == 3

    @staticmethod
    def likelihood():
        data = bits(90, n_features=4)
        est = MIXTURE.fit(data, likelihood="bernoulli")
        assert (est.score_samples(data) < 0).all()
        assert set(np.unique(est.sample(50)[0])) == {0, 1}

    @staticmethod
    def binarize():
        grey = np.random.default_rng(0).random((90, 4))
        with pytest.warns(UserWarning, match="0 and 1"):
            plain = MIXTURE.fit(grey, likelihood="bernoulli")
        fresh = MIXTURE.fit(grey, likelihood="bernoulli", binarize="dynamic")
        assert distance(plain, fresh) > 0
        assert abs(plain.score(grey) - fresh.score(grey)) > 1e-3

    @staticmethod
    def mask_rate():
        with_gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.3, np.nan, X)
        with pytest.raises(ValueError, match="mask_rate"):
            MIXTURE.fit().score_samples(with_gaps)
        est = MIXTURE.fit(mask_rate=0.3)
        assert np.isfinite(est.score_samples(with_gaps)).all()


class ConditionalChecks:
    """Of the parameters that are ConditionalVAE's own."""

    @staticmethod
    def likelihood():
        y = (Y > 0).astype(float)
        gaussian, bernoulli, categorical = (
            CONDITIONAL.fit(X, y, likelihood=kind)
            for kind in ("gaussian", "bernoulli", "categorical")
        )
        assert (bernoulli.score_samples(X, y) < 0).all()
        assert set(np.unique(bernoulli.sample(X)[0])) == {0, 1}
        assert len(np.unique(gaussian.sample(X)[0])) > 2
        # One output for each class of each column.
        last = list(categorical.net_.module_.decoder.parameters())[-1]
        assert len(last) == 4

    @staticmethod
    def n_prior_components():
        for n in (2, 5):
            est = CONDITIONAL.fit(n_prior_components=n)
            p = est.net_.module_.conditional_prior(torch.zeros(1, 4))
            assert p.log_weights.shape == (1, n)

    @staticmethod
    def prior():
        network = linear(np.zeros((4, 4)), [5.0, -3.0, -2.0, -2.0])
        est = CONDITIONAL.frozen(prior=network)
        assert np.allclose(est.transform(X), [5.0, -3.0], atol=1e-5)
        latent = est.sample(X)[1]
        assert np.allclose(latent.std(axis=0), np.exp(-2), rtol=0.4)


def own_checks(container):
    names = [name for name in vars(container) if not name.startswith("_")]
    return [getattr(container, name) for name in names]


def weights_of(est):
    """Of the decoder, which all modes have."""
    parameters = est.net_.module_.decoder.parameters()
    return np.concatenate([p.detach().numpy().ravel() for p in parameters])


CHECKS = {
    GMVAE: checks(MIXTURE, *own_checks(GMVAEChecks)),
    ConditionalVAE: checks(CONDITIONAL, *own_checks(ConditionalChecks)),
}


@pytest.mark.parametrize("estimator", CHECKS)
def test_no_parameter_is_left_out(estimator):
    assert CHECKS[estimator].keys() == estimator().get_params().keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator, name", [(est, name) for est in CHECKS for name in CHECKS[est]]
)
def test_the_parameter_changes_what_it_should(estimator, name):
    CHECKS[estimator][name]()


# Options that could undo one another.


@pytest.mark.slow
@pytest.mark.parametrize("posterior", ["diag", "full"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_options_of_a_conditional_combine(objective, posterior):
    params = {"objective": objective, "posterior": posterior, "n_draws": 4}
    first, last = (CONDITIONAL.fit(max_epochs=n, **params).score(X, Y) for n in (1, 30))
    assert math.isfinite(first)
    assert last > first


PAIRS = [
    pair
    for pair in ParameterGrid(
        {
            "categorical": ["exact", "network", "gumbel", "reinforce"],
            "objective": OBJECTIVES,
        }
    )
    if pair["categorical"] in ("exact", "network")
    or pair["objective"] not in ("iwae", "forward_kl")
]


@pytest.mark.slow
@pytest.mark.parametrize("params", PAIRS, ids=lambda p: "-".join(p.values()))
def test_options_of_a_mixture_combine(params):
    rest = {"n_draws": 4, "weights": "free", "covariance_type": "spherical"}
    first, last = (
        MIXTURE.fit(posterior="full", max_epochs=n, **rest, **params).score(X)
        for n in (1, 20)
    )
    assert math.isfinite(first)
    assert last > first


def test_the_trunk_is_shared():
    """A network for q(z|w, x) is two layers more, not another encoder."""
    exact, network = (
        MIXTURE.fit(categorical=mode, n_components=3, hidden_layer_sizes=(8,))
        for mode in ("exact", "network")
    )
    heads = nn.ModuleList([nn.Linear(8, 3), nn.Linear(4, 3)])
    more = n_parameters(network.net_.module_) - n_parameters(exact.net_.module_)
    # Whether each head has a bias is a matter of taste.
    assert n_parameters(heads) - 3 <= more <= n_parameters(heads)
