"""ConditionalVAE with networks: integrals over a grid, labels, tools, two branches."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, logsumexp
from scipy.stats import norm
from sklearn.base import is_classifier, is_regressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from sklvm import ConditionalVAE

from .models import quietly
from .reference import latent_grid

QUICK = {
    "n_prior_components": 1,
    "hidden_layer_sizes": (16,),
    "max_epochs": 40,
    "lr": 0.01,
    "random_state": 0,
}


def fitted(X, y, **params):
    return quietly(ConditionalVAE(**(QUICK | params)).fit, X, y)


def wave(n_samples, seed=0):
    """y of two columns whose shape and spread depend on x."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, size=(n_samples, 2))
    t = rng.normal(size=n_samples) * (1 + 0.5 * X[:, 0] ** 2) / 2
    y = np.stack([np.sin(X[:, 0]) + t, X[:, 1] * np.cos(t)], axis=1)
    return X, y + 0.3 * rng.normal(size=y.shape)


def letters(y):
    """Three classes, one of them rare, in place of a number."""
    return np.array(["low", "mid", "top"])[np.digitize(y, [-0.5, 1.5])]


KINDS = {
    "gaussian": lambda y: y,
    "heteroscedastic": lambda y: y,
    "bernoulli": lambda y: (y > 0).astype(float),
    "categorical": lambda y: letters(y),
}


def outcomes(kind, n_samples, seed=0):
    X, y = wave(n_samples, seed)
    return X, KINDS[kind](y)


def model(kind, **params):
    X, y = outcomes(kind, 250)
    if kind == "heteroscedastic":
        return fitted(X, y, noise="heteroscedastic", **params)
    return fitted(X, y, likelihood=kind, **params)


def grid_outputs(est, X, step=0.15):
    """The decoder's outputs (n, m, outputs) over z, and log p(z|x) dz (m,)."""
    eps, volume = latent_grid(2, step=step)
    module = est.net_.module.double()
    with torch.no_grad():
        rows = torch.as_tensor(X)
        mean, log_sd = module.prior_network(rows).chunk(2, -1)
        z = mean[:, None] + log_sd.exp()[:, None] * torch.as_tensor(eps)
        inputs = torch.cat([z, rows[:, None].expand(-1, len(eps), -1)], -1)
        outputs = module.decoder(inputs.flatten(0, 1)).unflatten(0, z.shape[:2])
    module.float()
    return outputs.numpy(), norm.logpdf(eps).sum(axis=1) + np.log(volume)


def log_prob_of(est, kind, y, outputs):
    """log p(y|z, x) of every row and grid point, written out again."""
    if kind == "gaussian":
        return norm.logpdf(y[:, None], outputs, est.noise_).sum(axis=-1)
    if kind == "heteroscedastic":
        mean, log_sd = np.split(outputs, 2, axis=-1)
        return norm.logpdf(y[:, None], mean, np.exp(log_sd)).sum(axis=-1)
    if kind == "bernoulli":
        sign = 2 * y[:, None] - 1
        return -np.logaddexp(0, -sign * outputs).sum(axis=-1)
    total, first = 0.0, 0
    for column, classes in zip(y.T, est.classes_, strict=True):
        log_p = log_softmax(outputs[..., first : first + len(classes)], axis=-1)
        index = np.searchsorted(classes, column)
        total = total + log_p[np.arange(len(y)), :, index]
        first += len(classes)
    assert first == outputs.shape[-1]
    return total


@pytest.mark.parametrize("kind", KINDS)
def test_log_likelihood_is_the_integral(kind):
    est = model(kind)
    X, y = outcomes(kind, 40, seed=1)
    outputs, log_prior = grid_outputs(est, X)
    exact = logsumexp(log_prob_of(est, kind, y, outputs) + log_prior, axis=1)
    error = est.log_likelihood(X, y, 20000) - exact
    assert abs(error.mean()) < 0.01
    assert np.abs(error).max() < 0.15
    bound = est.score_samples(X, y)
    # A mean of draws, one set a row.
    error = (bound - exact).std() / np.sqrt(len(bound))
    assert bound.mean() < exact.mean() + 3 * error
    assert est.score(X, y) == pytest.approx(bound.mean(), abs=1e-5)


def test_class_probabilities_are_the_integral():
    est = model("categorical")
    X, y = outcomes("categorical", 40, seed=1)
    outputs, log_prior = grid_outputs(est, X)
    proba = est.predict_proba(X, n_draws=4096)
    assert len(proba) == len(est.classes_) == 2
    predicted = est.predict(X, n_draws=4096)
    assert predicted.shape == y.shape
    blocks = np.split(outputs, [len(est.classes_[0])], axis=-1)
    for column, (ours, block) in enumerate(zip(proba, blocks, strict=True)):
        exact = np.exp(log_softmax(block, axis=-1) + log_prior[:, None]).sum(axis=1)
        assert_allclose(ours, exact, atol=0.02)
        assert_allclose(ours.sum(axis=1), 1, rtol=1e-5)
        assert ours.dtype == np.float32
        labels = est.classes_[column][ours.argmax(axis=1)]
        assert_array_equal(predicted[:, column], labels)


def test_the_mean_of_bits_is_their_probability():
    est = model("bernoulli")
    X, _ = outcomes("bernoulli", 40, seed=1)
    outputs, log_prior = grid_outputs(est, X)
    exact = np.exp(log_prior) @ (1 / (1 + np.exp(-outputs)))
    assert_allclose(est.predict(X, n_draws=4096), exact, atol=0.02)
    drawn, _ = est.sample(X, 4000)
    assert set(np.unique(drawn)) == {0, 1}
    assert_allclose(drawn.mean(axis=0), exact, atol=5 * 0.5 / np.sqrt(4000))


@pytest.mark.parametrize("method", ["predict_proba", "log_likelihood", "transform"])
def test_a_row_alone_or_among_others(method):
    X, y = outcomes("categorical", 30)
    y = y[:, 0]
    est = fitted(X, y, likelihood="categorical", max_epochs=3)

    def values(rows):
        data = (X[rows],) if method == "predict_proba" else (X[rows], y[rows])
        return getattr(est, method)(*data)

    near = {"rtol": 1e-5, "atol": 1e-5}
    together = values(slice(None))
    assert_array_equal(values(slice(None)), together)
    assert_allclose(values(slice(None, None, -1))[::-1], together, **near)
    alone = np.concatenate([values([i]) for i in range(30)])
    assert_allclose(alone, together, **near)
    est.set_params(batch_size=7)
    assert_allclose(values(slice(None)), together, **near)


# Labels of any kind, containers, tools.


def test_y_comes_back_in_its_shape():
    X, y = wave(60)
    flat = fitted(X, y[:, 0], max_epochs=2)
    column = fitted(X, y[:, :1], max_epochs=2)
    for est, shape in ((flat, (60,)), (column, (60, 1))):
        assert est.predict(X).shape == shape
        assert est.sample(X)[0].shape == shape
        assert est.sample(X, 3)[0].shape == (3, *shape)
        assert est.sample(X, 3)[1].shape == (3, 60, 2)
    assert_allclose(flat.predict(X), column.predict(X)[:, 0], rtol=1e-6)
    values = flat.score_samples(X, y[:, 0])
    assert values.shape == (60,)
    assert_allclose(column.score_samples(X, y[:, :1]), values, rtol=1e-6)


@pytest.mark.parametrize(
    "names", [["a", "b", "c"], [3, 7, -2], [0.5, 1.5, 2.5], [True, False]]
)
def test_labels_come_back_as_they_went_in(names):
    X, _ = wave(120)
    labels = np.sort(names)
    hidden = X[:, 0] + 0.3 * np.random.default_rng(1).normal(size=120)
    y = labels[np.digitize(hidden, [-0.5, 0.7][: len(labels) - 1])]
    est = fitted(X, y, likelihood="categorical", max_epochs=80)
    assert_array_equal(est.classes_, labels)
    assert est.classes_.dtype == y.dtype
    proba = est.predict_proba(X)
    assert proba.shape == (120, len(labels))
    assert_array_equal(est.predict(X), labels[proba.argmax(axis=1)])
    assert est.predict(X).dtype == y.dtype
    drawn, _ = est.sample(X, 500)
    assert drawn.shape == (500, 120)
    for k, label in enumerate(labels):
        assert_allclose((drawn == label).mean(axis=0), proba[:, k], atol=0.15)
        assert (drawn == label).mean() == pytest.approx(proba[:, k].mean(), abs=0.02)
    assert (est.predict(X) == y).mean() > 0.75


def test_tables_of_pandas():
    X, y = outcomes("categorical", 100)
    frame = pd.DataFrame(X, columns=["a", "b"], index=np.arange(100)[::-1])
    table = pd.DataFrame(y, columns=["u", "v"], index=frame.index)
    one, two = (
        fitted(*data, likelihood="categorical", max_epochs=3)
        for data in ((X, y), (frame, table))
    )
    assert_array_equal(two.score_samples(frame, table), one.score_samples(X, y))
    series = pd.Series(pd.Categorical(y[:, 0]), index=frame.index)
    three = fitted(frame, series, likelihood="categorical", max_epochs=3)
    assert_array_equal(three.classes_, ["low", "mid", "top"])
    number = fitted(frame, pd.Series(wave(100)[1][:, 0]), max_epochs=3)
    assert number.predict(frame).shape == (100,)


def test_no_class_probabilities_without_classes():
    assert not hasattr(ConditionalVAE(), "predict_proba")
    assert not hasattr(ConditionalVAE(likelihood="bernoulli"), "predict_proba")
    assert hasattr(ConditionalVAE(likelihood="categorical"), "predict_proba")


def test_what_scikit_learn_takes_it_for():
    est = ConditionalVAE()
    assert not is_classifier(est)
    assert not is_regressor(est)
    tags = get_tags(est)
    assert tags.target_tags.required
    assert tags.target_tags.multi_output


def test_a_pipeline_scales_x_and_passes_y():
    X, y = wave(100)
    scaler = StandardScaler().fit(X * 5)
    pipe = make_pipeline(StandardScaler(), ConditionalVAE(**QUICK | {"max_epochs": 3}))
    quietly(pipe.fit, X * 5, y)
    est = fitted(scaler.transform(X * 5), y, max_epochs=3)
    assert_array_equal(pipe.predict(X * 5), est.predict(scaler.transform(X * 5)))
    assert pipe.score(X * 5, y) == est.score(scaler.transform(X * 5), y)


# Two branches.


def branches(n_samples, seed):
    """y = +-(1 + x) + noise: two answers to each question."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, size=(n_samples, 1))
    centre = 1 + x[:, 0]
    side = rng.choice([-1, 1], size=n_samples)
    y = side * centre + 0.2 * rng.normal(size=n_samples)
    log_p = norm.logpdf(y[:, None], np.outer(centre, [-1, 1]), 0.2)
    return x, y, logsumexp(log_p, axis=1) - np.log(2)


@pytest.mark.slow
def test_two_branches_are_both_answered():
    X, y, _ = branches(1000, seed=0)
    held_out, answer, truth = branches(400, seed=1)
    params = {"hidden_layer_sizes": (32, 32), "max_epochs": 100, "batch_size": 50}
    params["early_stopping"] = False
    est = fitted(X, y, latent_dim=1, n_prior_components=4, **params)
    value = est.log_likelihood(held_out, answer, 2000).mean()
    regression = LinearRegression().fit(X, y)
    sd = (y - regression.predict(X)).std()
    single = norm.logpdf(answer, regression.predict(held_out), sd).mean()
    assert value > single + 0.8
    assert value == pytest.approx(truth.mean(), abs=0.15)
    assert est.score(held_out, answer) < value + 0.01
    drawn, _ = est.sample(held_out, 20)
    centre = 1 + held_out[:, 0]
    assert (drawn > 0).mean() == pytest.approx(0.5, abs=0.12)
    assert (np.abs(np.abs(drawn) - centre) < 0.7).mean() > 0.9
    assert np.abs(est.predict(held_out)).mean() < 0.5


def test_latent_dim_is_tuned_by_grid_search():
    X, y, _ = branches(200, seed=0)
    est = ConditionalVAE(**QUICK | {"max_epochs": 30})
    search = quietly(GridSearchCV(est, {"latent_dim": [1, 2]}, cv=2).fit, X, y)
    scores = search.cv_results_["mean_test_score"]
    assert np.ptp(scores) > 1e-3
    best = search.best_estimator_
    assert search.score(X, y) == best.score(X, y)
    assert best.transform(X, y).shape == (200, search.best_params_["latent_dim"])
