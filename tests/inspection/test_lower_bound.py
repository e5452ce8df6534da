"""F by iteration, and by half-steps of EM."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklvm import BernoulliMixtureEM, GaussianMixtureEM
from sklvm.inspection import LowerBoundDisplay

from ..autoencoder.models import quietly
from ..mixture.families import FAMILIES, blobs, make, run
from ..mixture.reference import bernoulli_em, bernoulli_log_joint, responsibilities
from ..segmentation.models import tiny
from .models import X, fitted
from .pictures import has_line, lines_of

START = {
    "weights_init": [0.2, 0.5, 0.3],
    "theta_init": np.random.default_rng(0).uniform(0.2, 0.8, size=(3, 6)),
}


@pytest.mark.parametrize(
    "kind", ["VAE", "GMVAE", "ConditionalVAE", "Bernoulli", "Gaussian", "RDA"]
)
def test_the_trace_of_a_fit(kind):
    est = fitted(kind)
    display = LowerBoundDisplay.from_estimator(est)
    assert_array_equal(display.lower_bounds, est.lower_bounds_)
    assert display.half_steps is None
    if kind in ("VAE", "ConditionalVAE", "Bernoulli", "Gaussian"):
        assert display.parts is None
        assert has_line(display.figure_, est.lower_bounds_)
    assert display.ax_.get_xlabel()
    assert "nats" in display.ax_.get_ylabel()


@pytest.mark.parametrize("refine", ["greedy", None])
def test_trainings_of_one_fit_are_told_apart(refine):
    """The encoder maximises another quantity, and the end is of other codes."""
    est = tiny(refine=refine)
    display = LowerBoundDisplay.from_estimator(est)
    encoder = ["training of the encoder"] if refine is None else []
    names = ["training of the decoder", *encoder, "finetuning of the decoder"]
    assert [name for name, _ in display.parts] == names
    assert sum(n for _, n in display.parts) == est.n_iter_
    start = 0
    for (_, n), line in zip(display.parts, display.lines_, strict=True):
        assert_array_equal(line.get_xdata(), np.arange(start + 1, start + n + 1))
        assert_array_equal(line.get_ydata(), est.lower_bounds_[start : start + n])
        start += n
    assert len({line.get_color() for line in display.lines_}) == len(names)
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == names
    marks = [line.get_xdata()[0] for line in display.ax_.lines[1::2]]
    ends = np.cumsum([n for _, n in display.parts])
    assert marks == (ends[:-1] + 0.5).tolist()


def test_the_pretraining_of_a_gmvae_has_a_mark():
    est = fitted("GMVAE").set_params(pretraining=0.5, max_epochs=4)
    est = quietly(est.fit, X)
    display = LowerBoundDisplay.from_estimator(est)
    assert display.parts == [("pretraining", 2), ("training", 2)]
    # Of a model that was saved before trainings had names there is one line.
    for epoch in est.net_.history_:
        del epoch["task"]
    assert LowerBoundDisplay.from_estimator(est).parts is None


def reference_half_steps(bits, n_iter):
    """F after each E-step and each M-step of textbook EM."""
    weights, theta = np.array(START["weights_init"]), START["theta_init"]
    F = []
    for _ in range(n_iter):
        joint = bernoulli_log_joint(bits, weights, theta)
        resp = responsibilities(joint)
        F.append(bound(joint, resp))
        weights, theta, _ = bernoulli_em(bits, weights, theta, 1)
        F.append(bound(bernoulli_log_joint(bits, weights, theta), resp))
    return np.array(F)


def bound(joint, resp):
    return np.mean(np.sum(resp * (joint - np.log(resp)), axis=1))


def test_half_steps_against_the_textbook():
    est = BernoulliMixtureEM(n_components=3, tol=1e-12, **START)
    est = quietly(est.fit, X)
    display = LowerBoundDisplay.from_estimator(est, X, max_iter=6)
    assert_allclose(display.half_steps, reference_half_steps(X, 6), rtol=1e-9)
    assert lines_of(display.figure_)


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("family", FAMILIES)
def test_half_steps_never_fall(family, missing):
    """After the E-step F is log p(x): the iterations of a fit from the same start."""
    data = blobs(60, missing=missing, family=family)
    theta = np.array([[0.3, 0.6, 0.5], [0.7, 0.4, 0.5]])
    start = {
        "bernoulli": {"theta_init": theta},
        "categorical": {
            "theta_init": [np.column_stack([p / 2, p / 2, 1 - p]) for p in theta.T]
        },
        "poisson": {"rates_init": 5 * theta},
    }.get(family, {"means_init": data[:2]})
    est = run(make(family, n_components=2, **start), data, 7)
    display = LowerBoundDisplay.from_estimator(est, data, max_iter=6)
    F = display.half_steps
    # It may stop where nothing but rounding is left to gain.
    assert len(F) in (6, 8, 10, 12)
    assert np.diff(F).min() >= -1e-10
    assert np.ptp(F) > 1e-3
    after_e = F[2::2]
    assert_allclose(after_e, est.lower_bounds_[: len(after_e)], rtol=1e-8)


@pytest.mark.parametrize("init_params", ["k-means++", "random"])
def test_the_start_is_of_the_estimator_s_kind(init_params):
    data = blobs(60)
    est = GaussianMixtureEM(n_components=3, init_params=init_params, random_state=0)
    est = quietly(est.fit, data)
    display = LowerBoundDisplay.from_estimator(est, data)
    assert len(display.half_steps) % 2 == 0
    assert 2 <= len(display.half_steps) <= 40
    assert np.diff(display.half_steps).min() >= -1e-5  # reg_covar is no part of F
    again = LowerBoundDisplay.from_estimator(est, data)
    assert_array_equal(again.half_steps, display.half_steps)
    # Random responsibilities have nearly equal components, and the bound to gain.
    gain = display.half_steps[-1] - display.half_steps[0]
    # The default start has made short runs, and may be an optimum to the last digit.
    assert gain > (0.1 if init_params == "random" else -1e-9)


def test_the_half_steps_are_drawn():
    data = blobs(60)
    est = run(make("full", n_components=2), data, 5)
    display = LowerBoundDisplay.from_estimator(est, data, max_iter=4)
    F = display.half_steps
    drawn = np.concatenate([xy[:, 1] for xy in lines_of(display.figure_)])
    assert all(np.isclose(drawn, value, rtol=1e-9).any() for value in F)
    legend = display.ax_.get_legend()
    texts = " ".join(text.get_text() for text in legend.get_texts())
    assert "E" in texts
    assert "M" in texts


def test_the_estimator_stays_as_it_is():
    data = blobs(60)
    data.flags.writeable = False
    est = run(make("diag", n_components=2), data, 5)
    before = copy.deepcopy(vars(est))
    LowerBoundDisplay.from_estimator(est, data, max_iter=3)
    assert vars(est).keys() == before.keys()
    for name in ("weights_", "means_", "covariances_", "lower_bounds_"):
        assert_array_equal(getattr(est, name), before[name])
    assert est.max_iter == 5


@pytest.mark.parametrize("max_iter", [0, -1, 1.5])
def test_bad_max_iter(max_iter):
    with pytest.raises(ValueError, match="max_iter"):
        LowerBoundDisplay.from_estimator(fitted("Bernoulli"), X, max_iter=max_iter)


def test_bad_input():
    with pytest.raises(TypeError, match=r"LowerBoundDisplay.*VAE"):
        LowerBoundDisplay.from_estimator(fitted("VAE"), X)
    with pytest.raises(TypeError, match=r"LowerBoundDisplay.*str"):
        LowerBoundDisplay.from_estimator("a model")
