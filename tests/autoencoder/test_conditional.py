"""The linear ConditionalVAE, of which everything is known.

The linear model: z | x ~ N(A x + a, diag(s^2)), y | z, x ~ N(W z + C x + b, sigma^2 I).
"""

import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal

from sklvm import ConditionalVAE

from .models import frozen, linear, quietly

SIGMA = 0.6
W = np.array([[1.2, 0.5], [-0.8, 0.75], [0.5, 0.0]])  # its columns are orthogonal
C = np.array([[0.3, -1.0], [0.0, 0.8], [1.1, 0.2]])
B = np.array([0.5, -0.5, 1.0])
A = np.array([[0.7, -0.4], [0.2, 0.9]])
OFFSET = np.array([0.3, -0.2])
SD = np.array([1.3, 0.7])
COV = (W * SD**2) @ W.T + SIGMA**2 * np.eye(3)
X = np.random.default_rng(0).normal(size=(80, 2))


def mean_of(X):
    """E[y|x]."""
    return (X @ A.T + OFFSET) @ W.T + X @ C.T + B


def answers(X, seed=0):
    rng = np.random.default_rng(seed)
    return mean_of(X) + rng.multivariate_normal(np.zeros(3), COV, size=len(X))


Y = answers(X)


def evidence(X, Y):
    """log p(y|x)."""
    return multivariate_normal(np.zeros(3), COV).logpdf(Y - mean_of(X))


EVIDENCE = evidence(X, Y)


def exact_encoder(shift=0.0, width=1.0):
    """p(z|x, y) as a function of the columns [y, x], off by `shift` and `width`."""
    precision = (W**2).sum(axis=0) / SIGMA**2 + 1 / SD**2
    of_y = W.T / SIGMA**2 / precision[:, None]
    of_x = A / (SD**2 * precision)[:, None] - of_y @ C
    mean = OFFSET / (SD**2 * precision) - of_y @ B
    weight = np.hstack([of_y, of_x])
    log_sd = np.log(width) - 0.5 * np.log(precision)
    return linear(
        np.vstack([weight, np.zeros_like(weight)]),
        np.concatenate([mean + shift, log_sd]),
    )


def prior_network():
    return linear(
        np.vstack([A, np.zeros_like(A)]), np.concatenate([OFFSET, np.log(SD)])
    )


def known(X=X, y=Y, encoder=None, **params):
    """The linear model, its posterior exact unless another encoder is given."""
    params = {
        "estimator": ConditionalVAE,
        "prior": prior_network(),
        "n_prior_components": 1,
        "noise": SIGMA,
        "warmup": 0.0,
    } | params
    decoder = linear(np.hstack([W, C]), B)
    return frozen(X, encoder or exact_encoder(), decoder, y=y, **params)


# Linear everything.


def test_everything_is_log_p_at_the_exact_posterior():
    est = known(max_epochs=50, objective="log_ratio")
    assert_allclose(est.score_samples(X, Y), EVIDENCE, atol=1e-3)
    assert_allclose(est.log_likelihood(X, Y, 20), EVIDENCE, atol=1e-3)
    assert est.score(X, Y) == pytest.approx(EVIDENCE.mean(), abs=1e-4)
    assert_allclose(est.lower_bounds_, EVIDENCE.mean(), atol=1e-3)
    assert est.lower_bound_ == pytest.approx(EVIDENCE.mean(), abs=1e-3)


@pytest.mark.parametrize("objective", ["kl", "entropy", "stl", "iwae"])
def test_every_objective_is_the_conditional_bound(objective):
    params = {"objective": objective, "n_draws": 4, "max_epochs": 100}
    trace = known(**params).lower_bounds_
    error = np.std(trace) / 10
    assert abs(np.mean(trace) - EVIDENCE.mean()) < 4.5 * error + 1e-3


def test_a_poor_encoder_lowers_the_bound_by_its_divergence():
    # F itself is the score by one draw; rows enough that its noise averages out.
    rows = np.random.default_rng(1).normal(size=(2000, 2))
    y = answers(rows, seed=1)
    poor = {"encoder": exact_encoder(0.3, 1.3), "n_score_steps": 0}
    est = known(rows, y, **poor, n_score_draws=1)
    precision = (W**2).sum(axis=0) / SIGMA**2 + 1 / SD**2
    squares = 1.3**2 + 0.3**2 * precision - 1
    divergence = (0.5 * squares - np.log(1.3)).sum()
    gap = evidence(rows, y) - est.score_samples(rows, y)
    assert abs(gap.mean() - divergence) < 5 * gap.std() / np.sqrt(len(rows)) + 1e-3
    # And with more draws it comes closer to log p(y|x).
    gap = evidence(rows, y) - est.set_params(n_score_draws=64).score_samples(rows, y)
    assert 0 < gap.mean() < divergence / 10
    assert_allclose(est.log_likelihood(X, Y, 20000), EVIDENCE, atol=0.02)
    assert est.log_likelihood(X, Y, 5000).mean() == pytest.approx(
        EVIDENCE.mean(), abs=0.01
    )


def test_predict_is_the_mean():
    est = known()
    exact = mean_of(X)
    sd = np.sqrt(np.diag((W * SD**2) @ W.T))
    for n_draws in (256, 4096):
        predicted = est.predict(X, n_draws=n_draws)
        assert predicted.dtype == np.float32
        # No worse than independent draws.
        assert (np.abs(predicted - exact) < 5 * sd / np.sqrt(n_draws)).all()
    assert_array_equal(est.predict(X), est.predict(X, 256))
    assert_allclose(est.predict(X[7:8])[0], est.predict(X)[7], rtol=1e-5, atol=1e-5)


def test_transform_is_the_posterior_mean_or_the_prior_s():
    est = known()
    with torch.no_grad():
        inputs = torch.as_tensor(np.hstack([Y, X]), dtype=torch.float32)
        expected = exact_encoder()(inputs)[:, :2]
    assert_allclose(est.transform(X, Y), expected, rtol=1e-4, atol=1e-4)
    assert_allclose(est.transform(X), X @ A.T + OFFSET, rtol=1e-4, atol=1e-4)
    assert est.transform(X, Y).dtype == np.float32
    again = quietly(known().fit_transform, X, Y)
    assert_array_equal(again, est.transform(X))


def test_samples_are_the_model():
    row = X[3:4]
    n = 20000
    drawn, latent = known().sample(np.repeat(row, n, axis=0))
    assert drawn.shape == (n, 3)
    assert latent.shape == (n, 2)
    assert_moments(drawn, mean_of(row)[0], COV)
    assert_moments(latent, (row @ A.T + OFFSET)[0], np.diag(SD**2))
    noise = drawn - (latent @ W.T + row @ C.T + B)
    assert_moments(noise, np.zeros(3), SIGMA**2 * np.eye(3))


def assert_moments(rows, mean, cov):
    """Mean and covariance within five standard errors."""
    n, variance = len(rows), np.diag(cov)
    assert (np.abs(rows.mean(axis=0) - mean) < 5 * np.sqrt(variance / n)).all()
    error = np.sqrt((np.outer(variance, variance) + cov**2) / n)
    assert (np.abs(np.cov(rows.T) - cov) < 5 * error).all()


def test_many_samples_a_row():
    est = known()
    drawn, latent = est.sample(X[:5], n_samples=4000)
    assert drawn.shape == (4000, 5, 3)
    assert latent.shape == (4000, 5, 2)
    for i in range(5):
        assert_moments(drawn[:, i], mean_of(X)[i], COV)
    again, _ = est.sample(X[:5], n_samples=4000)
    assert_array_equal(again, drawn)


def test_nothing_observed_is_certain():
    est = known()
    with pytest.warns(UserWarning, match=r"\by\b"):
        values = est.score_samples(X)
    assert_array_equal(values, np.zeros(80))
    assert values.dtype == np.float32


@pytest.mark.parametrize(
    "likelihood, of_x", [("bernoulli", {}), ("gaussian", {"constant": 1.0})]
)
def test_warnings_of_y_are_not_about_x(likelihood, of_x):
    x = np.column_stack([X, *(np.full(len(X), value) for value in of_x.values())])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ConditionalVAE(likelihood=likelihood, max_epochs=2, tol=np.inf).fit(
            x, X[:, 0] > 0
        )
    assert not [w for w in caught if str(w.message).startswith("y has")]


def test_large_values_are_said_once_and_by_their_name():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ConditionalVAE(max_epochs=1, tol=np.inf).fit(200 * X, Y)
    said = [str(w.message) for w in caught if "has values up to" in str(w.message)]
    assert [message[0] for message in said] == ["X"]


@pytest.mark.parametrize(
    "y, remedy",
    [
        (
            [["a", 0.5], ["b", 0.7]] * 40,
            "'a' among them.*'auto' for columns of several",
        ),
        (
            [[0.5, "a"], [0.7, "b"]] * 40,
            "'a' among them.*'auto' for columns of several",
        ),
        (["1.5", "2"] * 40, "written as text.*pandas.to_numeric"),
        (
            ["no", "2"] * 40,
            "'no' among them; set likelihood='categorical' for labels.$",
        ),
    ],
)
def test_text_in_y_has_the_remedy_for_what_it_is(y, remedy):
    with pytest.raises(ValueError, match=remedy):
        ConditionalVAE().fit(X, np.array(y, dtype=object))
