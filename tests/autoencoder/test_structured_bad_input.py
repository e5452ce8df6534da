"""Bad parameters and data of GMVAE and ConditionalVAE: one sentence, no side effect."""

import re

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from torch import nn

from sklvm import GMVAE, ConditionalVAE

from ..test_contract import snapshot
from .models import quietly, standard_normal
from .test_bad_input import BAD as BAD_AUTOENCODER
from .test_custom import one_sentence

# Fits of these tests need to be of the right kind, not good ones.
pytestmark = pytest.mark.usefixtures("few_starts")

X = standard_normal(30)
Y = X[:, :2] + standard_normal(30, 2, seed=1)
LABELS = np.array(["ash", "elm", "oak"])[np.arange(30) % 3]
TWO_LABELS = np.stack([LABELS, LABELS[::-1]], axis=1)
QUICK = {"hidden_layer_sizes": (4,), "max_epochs": 1, "random_state": 0}


def gmvae(**params):
    return quietly(GMVAE(**QUICK | {"n_components": 3} | params).fit, X)


def conditional(y=Y, **params):
    return quietly(ConditionalVAE(**QUICK | params).fit, X, y)


def of_classes(y=LABELS):
    return conditional(y, likelihood="categorical")


def says(*words):
    """A pattern that has every word or number, in any order."""
    return "(?s)" + "".join(rf"(?=.*{re.escape(str(word))})" for word in words)


def refused(method, *args, words, **kwargs):
    """The call is a ValueError of one sentence with these words, without a trace."""
    before = snapshot(method.__self__)
    with pytest.raises(ValueError, match=says(*words)) as error:
        method(*args, **kwargs)
    assert one_sentence(error)
    assert snapshot(method.__self__) == before


# Parameters.


BAD = {
    GMVAE: [
        ("n_components", 0),
        ("n_components", 2.5),
        ("covariance_type", "full"),
        ("covariance_type", None),
        ("weights", "equal"),
        ("weights", [0.5, 0.5]),
        ("categorical", "gumbel-softmax"),
        ("reg_covar", -1e-3),
        ("pretraining", -0.1),
        ("pretraining", 1.5),
        ("n_init", 0),
        ("n_init", 1.5),
    ],
    ConditionalVAE: [
        ("likelihood", "multinomial"),
        ("prior", "vamp"),
    ],
}


def cases():
    for estimator, own in BAD.items():
        known = estimator().get_params()
        shared = [(name, value) for name, value in BAD_AUTOENCODER if name in known]
        for name, value in own + shared:
            yield pytest.param(
                estimator, name, value, id=f"{estimator.__name__}-{name}-{value}"
            )


@pytest.mark.parametrize("estimator, parameter, value", list(cases()))
def test_parameters_out_of_range(estimator, parameter, value):
    est = estimator(**QUICK).set_params(**{parameter: value})
    before = dict(vars(est))
    with pytest.raises((ValueError, TypeError), match=says(parameter, repr(value))):
        est.fit(X, Y)
    assert vars(est) == before


def test_constructing_never_validates():
    assert GMVAE(n_components=-1, categorical="?").n_components == -1
    assert ConditionalVAE(likelihood="?").likelihood == "?"


def test_more_components_than_rows():
    est = gmvae()
    refused(est.set_params(n_components=31).fit, X, words=("n_components", 31, 30))
    assert est.means_.shape == (3, 2)


def test_restarts_need_rows_to_hold_out():
    est = GMVAE(1, n_init=2, max_epochs=2)
    refused(est.fit, X[:1], words=("validation_fraction", 0.1, "n_init"))


def test_partial_fit_begins_with_as_many_rows_as_components():
    est = GMVAE(**QUICK | {"n_components": 5})
    refused(est.partial_fit, X[:3], words=("n_components", 5))


@pytest.mark.parametrize("categorical", ["gumbel", "reinforce"])
@pytest.mark.parametrize("objective", ["iwae", "forward_kl"])
def test_sampled_components_have_no_importance_weights(categorical, objective):
    est = GMVAE(categorical=categorical, objective=objective, n_draws=4)
    refused(est.fit, X, words=("categorical", repr(categorical), repr(objective)))


class NoSequence(nn.Linear):
    pass


@pytest.mark.parametrize("categorical", ["network", "gumbel", "reinforce"])
@pytest.mark.parametrize(
    "encoder", [NoSequence(4, 4), nn.Sequential(nn.Linear(4, 4), nn.Tanh())]
)
def test_a_network_for_z_needs_a_trunk(categorical, encoder):
    est = GMVAE(**QUICK, categorical=categorical, encoder=encoder)
    refused(est.fit, X, words=("encoder", "categorical", "Sequential", "Linear"))
    quietly(est.set_params(categorical="exact").fit, X)


@pytest.mark.parametrize(
    "estimator, params, words",
    [
        (GMVAE, {"objective": "iwae"}, ("n_draws", 1, "iwae")),
        (GMVAE, {"binarize": "dynamic"}, ("binarize", "bernoulli")),
        (GMVAE, {"likelihood": "bernoulli", "noise": 1.0}, ("noise", 1.0)),
        (ConditionalVAE, {"objective": "forward_kl"}, ("n_draws", 1, "forward_kl")),
        (ConditionalVAE, {"likelihood": "bernoulli", "noise": 1.0}, ("noise", 1.0)),
        (ConditionalVAE, {"likelihood": "categorical", "noise": 1.0}, ("noise", 1.0)),
    ],
)
def test_parameters_that_contradict_each_other(estimator, params, words):
    refused(estimator(**QUICK, **params).fit, X, Y, words=words)


@pytest.mark.parametrize(
    "estimator, name, network, given, wanted",
    [
        (GMVAE, "encoder", nn.Linear(4, 5), 5, 4),
        (GMVAE, "decoder", nn.Linear(2, 3), 3, 4),
        (ConditionalVAE, "encoder", nn.Linear(6, 5), 5, 4),
        (ConditionalVAE, "encoder", nn.Linear(4, 4), 4, 6),
        (ConditionalVAE, "prior", nn.Linear(4, 5), 5, 4),
        (ConditionalVAE, "prior", nn.Linear(6, 4), 6, 4),
        (ConditionalVAE, "decoder", nn.Linear(6, 4), 4, 2),
        (ConditionalVAE, "decoder", nn.Linear(2, 2), 2, 6),
    ],
)
def test_networks_of_the_wrong_width(estimator, name, network, given, wanted):
    est = estimator(**QUICK, **{name: network})
    refused(est.fit, X, Y, words=(name, given, wanted))


# Before and after the fit.


@pytest.mark.parametrize(
    "method",
    [
        *("transform", "predict", "predict_proba", "reconstruct", "impute"),
        *("score_samples", "score", "log_likelihood", "elbo_terms"),
    ],
)
def test_no_gmvae_works_before_the_fit(method):
    with pytest.raises(NotFittedError, match="GMVAE"):
        getattr(GMVAE(), method)(X)


@pytest.mark.parametrize(
    "method", ["transform", "score_samples", "score", "log_likelihood"]
)
def test_no_conditional_works_before_the_fit(method):
    with pytest.raises(NotFittedError, match="ConditionalVAE"):
        getattr(ConditionalVAE(), method)(X, Y)
    for other in ("predict", "sample"):
        with pytest.raises(NotFittedError, match="ConditionalVAE"):
            getattr(ConditionalVAE(), other)(X)


@pytest.mark.parametrize("component", [-1, 3, 1.5, "first", True])
def test_components_out_of_range(component):
    words = ("component", repr(component), 2)
    refused(gmvae().sample, 5, component=component, words=words)


@pytest.mark.parametrize("n_samples", [0, -3, 2.5, "ten"])
def test_bad_numbers_of_samples(n_samples):
    words = ("n_samples", repr(n_samples))
    refused(gmvae().sample, n_samples, words=words)
    refused(conditional().sample, X, n_samples, words=words)


@pytest.mark.parametrize("number", [0, -1, 2.5, "many"])
def test_bad_numbers_of_draws(number):
    refused(gmvae().log_likelihood, X, number, words=("n_importance", repr(number)))
    est = conditional()
    refused(est.log_likelihood, X, Y, number, words=("n_importance", repr(number)))
    refused(est.predict, X, number, words=("n_draws", repr(number)))
    refused(of_classes().predict_proba, X, number, words=("n_draws", repr(number)))


def test_latents_of_another_width():
    refused(gmvae().inverse_transform, np.zeros((2, 3)), words=(3, 2))


@pytest.mark.parametrize("method", ["transform", "predict", "elbo_terms", "impute"])
def test_another_number_of_features(method):
    est = gmvae()
    with pytest.raises(ValueError, match=r"5 features.*4 features"):
        getattr(est, method)(np.ones((6, 5)))


def test_gaps_that_the_fit_has_not_seen():
    gaps = X.copy()
    gaps[3, 1] = np.nan
    for method in ("transform", "predict", "elbo_terms", "log_likelihood"):
        with pytest.raises(ValueError, match=r"NaN.*\bGMVAE\b"):
            getattr(gmvae(), method)(gaps)
    with pytest.raises(ValueError, match=r"\b1\b"):
        GMVAE(**QUICK).fit(np.where(np.arange(4) == 1, np.nan, X))


# y.


def test_y_is_needed():
    est = conditional()
    for method in (est.fit, est.score, est.log_likelihood):
        before = snapshot(est)
        with pytest.raises(ValueError, match=r"\by\b"):
            method(X, None)
        assert snapshot(est) == before
    with pytest.raises((ValueError, TypeError), match=r"\by\b"):
        ConditionalVAE(**QUICK).fit(X)


@pytest.mark.parametrize(
    "method", ["transform", "score_samples", "score", "log_likelihood"]
)
def test_y_of_another_width(method):
    est = conditional()
    flat = conditional(Y[:, 0])
    refused(getattr(est, method), X, np.ones((30, 3)), words=("y", "3)", "2)"))
    refused(getattr(est, method), X, np.ones(30), words=("y", "(30,)", "(30, 2)"))
    refused(getattr(flat, method), X, Y, words=("y", "(30,)", "(30, 2)"))


@pytest.mark.parametrize(
    "method", ["transform", "score_samples", "score", "log_likelihood"]
)
def test_a_class_that_the_fit_has_not_seen(method):
    strange = LABELS.copy()
    strange[7] = "fir"
    refused(getattr(of_classes(), method), X, strange, words=("y", " 'fir'", "'oak'"))
    both = np.stack([LABELS, strange], axis=1)
    est = of_classes(TWO_LABELS)
    refused(getattr(est, method), X, both, words=("y", " 'fir'"))


def test_x_and_y_of_different_lengths():
    with pytest.raises(ValueError, match=r"30.*29|29.*30"):
        ConditionalVAE(**QUICK).fit(X, Y[:29])
    with pytest.raises(ValueError, match=r"30.*29|29.*30"):
        conditional().score_samples(X, Y[:29])


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("which", ["X", "y"])
def test_nothing_may_be_missing(which, value):
    data = {"X": X.copy(), "y": Y.copy()}
    data[which][3, 1] = value
    est = conditional()
    before = snapshot(est)
    for method in (est.fit, est.score_samples, est.score, est.transform):
        with pytest.raises(ValueError, match=rf"{which}.*(?i:nan|inf)"):
            method(**data)
    assert snapshot(est) == before


def test_bits_outside_of_zero_and_one():
    est = conditional((Y > 0).astype(float), likelihood="bernoulli")
    words = ("bernoulli", " y ", 2)
    refused(est.fit, X, 2.0 * (Y > 0), words=words)
    refused(est.score_samples, X, 2.0 * (Y > 0), words=words)


def test_values_of_y_that_are_too_large_are_those_of_y():
    est = ConditionalVAE(**QUICK | {"max_epochs": 3, "lr": 10.0})
    refused(est.fit, X, 1e20 * Y, words=("y has values up to", "scale y"))
    with pytest.warns(UserWarning, match="y has values up to"):
        refused(est.fit, X, 1e4 * Y, words=("bound became", "y has values up to"))


@pytest.mark.parametrize("other", [None, 3])
def test_labels_of_two_kinds(other):
    mixed = np.where(LABELS == "elm", other, LABELS.astype(object))
    est = ConditionalVAE(**QUICK, likelihood="categorical")
    refused(est.fit, X, mixed, words=("y",))


@pytest.mark.parametrize("y", [LABELS, TWO_LABELS])
def test_labels_are_no_numbers(y):
    with pytest.raises((ValueError, TypeError)):
        conditional(y)
    with pytest.raises((ValueError, TypeError)):
        conditional().score_samples(X, TWO_LABELS)


# Nothing half-changed.


@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize(
    "make, data", [(gmvae, (X,)), (conditional, (X, Y))], ids=["GMVAE", "Conditional"]
)
def test_a_training_that_diverges_keeps_the_fit(make, data, warm_start):
    est = make(warm_start=warm_start, optimizer="adam", lr_schedule="constant")
    est.set_params(lr=1e30)
    values, before = est.score_samples(*data), snapshot(est)
    with pytest.raises(ValueError, match="bound became"):
        est.fit(*data)
    assert snapshot(est) == before
    assert np.array_equal(est.score_samples(*data), values)
