"""ConditionalVAE of a y of several kinds given a table X, against integrals over z."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from scipy.stats import chisquare, kstest, norm
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklvm import ConditionalVAE

from .mixed import column_log_prob, distributions, mixed_table, to_numpy
from .models import quietly

X_COLUMNS = ["plan", "smokes", "year"]
Y_COLUMNS = ["income", "level", "visits", "answer", "size"]
KINDS = [
    ("lognormal", ["income"]),
    ("gaussian", ["level"]),
    ("poisson", ["visits"]),
    ("bernoulli", ["answer"]),
    ("categorical", ["size"]),
]
PARAMS = {
    "latent_dim": 1,
    "n_prior_components": 1,
    "likelihood": KINDS,
    "hidden_layer_sizes": (16,),
    "max_epochs": 40,
    "lr": 0.01,
    "tol": np.inf,
    "random_state": 0,
}
SHORT = PARAMS | {"max_epochs": 2, "hidden_layer_sizes": (4,)}
N_ROWS = 30


def tables(n_samples, seed=0):
    """X with text, and y that hangs on it and on a latent of its own."""
    rng = np.random.default_rng(seed + 100)
    X = mixed_table(n_samples, seed)[X_COLUMNS]
    u = rng.normal(size=n_samples) + 0.5 * (X.plan == "gold")
    y = pd.DataFrame(
        {
            "income": np.exp(8 + 0.6 * u + 0.3 * rng.normal(size=n_samples)),
            "level": 300 + 2 * u + rng.normal(size=n_samples) + X.smokes,
            "visits": rng.poisson(np.exp(1 + 0.5 * u)),
            "answer": rng.random(n_samples) < 1 / (1 + np.exp(-2 * u)),
            "size": np.array(["L", "M", "S"])[
                np.digitize(u + 0.5 * rng.normal(size=n_samples), [-0.5, 0.8])
            ],
        }
    )
    return X, y


def fitted(X, y, **params):
    return quietly(ConditionalVAE(**SHORT | params).fit, X, y)


@pytest.fixture(scope="module")
def model():
    return fitted(*tables(500), **PARAMS)


@pytest.fixture(scope="module")
def held_out():
    return tables(N_ROWS, seed=1)


class Integral:
    """p(y|x) = int p(z|x) p(y|z,x) dz on a grid for each row x."""

    def __init__(self, model, X):
        module = copy.deepcopy(model.net_.module_).cpu()
        rows = torch.from_numpy(model._x_rows.encode(model, X, reset=False))
        t = np.linspace(-8, 8, 801)
        with torch.no_grad():
            x = module.read(rows).double()
            module = module.double()
            p = module.conditional_prior(x)
            z = p.mean + p.log_scale.exp() * torch.from_numpy(t)[:, None, None]
            outputs = to_numpy(module.decode(z, x)).swapaxes(0, 1)
        self.table = model._y_rows.table
        self.features = distributions(self.table, module.likelihood, outputs)
        self.weights = norm.pdf(t) * (t[1] - t[0])

    def log_prob(self, y):
        values = self.table.schema.encode(y)
        log_prob = column_log_prob(self.features, values).sum(axis=0)
        return logsumexp(log_prob + np.log(self.weights), axis=1)

    def mean(self, name):
        p = self.features[Y_COLUMNS.index(name)]
        if hasattr(p, "theta"):
            return np.einsum("g,ngk->nk", self.weights, p.theta)
        return p.mean() @ self.weights


@pytest.fixture(scope="module")
def integral(model, held_out):
    return Integral(model, held_out[0])


# Against the integral.


@pytest.mark.slow
def test_log_likelihood_is_the_integral_over_z(model, integral, held_out):
    actual = model.log_likelihood(*held_out, n_importance=20000)
    error = np.abs(actual - integral.log_prob(held_out[1]))
    assert np.quantile(error, 0.9) < 0.01
    assert error.max() < 0.1


def test_y_needs_its_latent(model, integral, held_out):
    """So that the tests here would notice if z were of no use."""
    values = integral.table.schema.encode(held_out[1])
    alone = column_log_prob(integral.features, values) + np.log(integral.weights)
    gain = integral.log_prob(held_out[1]) - logsumexp(alone, axis=2).sum(axis=0)
    assert gain.mean() > 0.5


def test_the_score_is_a_lower_bound(model, integral, held_out):
    bound = model.score_samples(*held_out)
    expected = integral.log_prob(held_out[1])
    # Of 16 draws; the log weights vary by a nat or less.
    assert bound.mean() < expected.mean() + 4 / np.sqrt(16 * N_ROWS)
    assert bound.mean() > expected.mean() - 2


def test_predictions_are_the_means_of_the_integral(model, integral, held_out):
    predicted = model.predict(held_out[0], n_draws=4096)
    assert_allclose(predicted.income, integral.mean("income"), rtol=0.02)
    assert_allclose(predicted.level, integral.mean("level"), atol=0.02)
    # The nearest count to the mean.
    assert np.abs(predicted.visits - integral.mean("visits")).max() < 0.5 + 0.02
    theta = integral.mean("size")
    sure = np.diff(np.sort(theta, axis=1), axis=1)[:, -1] > 0.02
    best = np.array(["L", "M", "S"])[theta.argmax(axis=1)]
    assert_array_equal(predicted["size"][sure], best[sure])
    answer = integral.mean("answer")
    sure = np.abs(answer - 0.5) > 0.01
    assert_array_equal(predicted.answer[sure], answer[sure] > 0.5)


def test_probabilities_are_those_of_the_integral(model, integral, held_out):
    answer, size = model.predict_proba(held_out[0], n_draws=4096)
    theta = integral.mean("answer")
    assert_allclose(answer, np.column_stack([1 - theta, theta]), atol=5e-3)
    assert_allclose(size, integral.mean("size"), atol=5e-3)
    assert_array_equal(model.classes_[0], [False, True])
    assert_array_equal(model.classes_[1], ["L", "M", "S"])


N_DRAWS, N_COPIES = 4000, 50


@pytest.fixture(scope="module")
def of_one(model, held_out):
    return Integral(model, held_out[0].iloc[[2]])


@pytest.fixture(scope="module")
def drawn(model, held_out):
    """Draws of the y of that row."""
    copies = pd.concat([held_out[0].iloc[[2]]] * N_COPIES)
    draws, _ = model.sample(copies, n_samples=N_DRAWS // N_COPIES)
    return pd.concat(draws)


@pytest.mark.parametrize("name", ["income", "level"])
def test_real_draws_have_the_distribution_of_the_integral(of_one, drawn, name):
    p = of_one.features[Y_COLUMNS.index(name)]

    def cdf(x):
        return p.cdf(x[:, np.newaxis]) @ of_one.weights

    assert kstest(drawn[name].to_numpy(dtype=float), cdf).pvalue > 1e-3


def test_discrete_draws_have_the_joint_distribution_of_the_integral(of_one, drawn):
    bit = of_one.features[Y_COLUMNS.index("answer")].mean()[0]
    size = of_one.features[Y_COLUMNS.index("size")].theta[0]
    bits = np.stack([1 - bit, bit])
    joint = np.einsum("g,bg,gc->bc", of_one.weights, bits, size).ravel()
    codes = drawn["size"].map({"L": 0, "M": 1, "S": 2}).astype(int)
    observed = np.bincount(3 * drawn.answer.astype(int) + codes, minlength=6)
    assert chisquare(observed, N_DRAWS * joint / joint.sum()).pvalue > 1e-3


# Forms.


def test_y_comes_back_in_its_form(model, held_out):
    X, y = held_out
    draw, _ = model.sample(X)
    draws, Z = model.sample(X, n_samples=3)
    assert len(draws) == 3
    assert Z.shape == (3, N_ROWS, 1)
    for out in (model.predict(X), draw, *draws):
        assert isinstance(out, pd.DataFrame)
        assert list(out.columns) == Y_COLUMNS
        assert out.dtypes.equals(y.dtypes)
        assert len(out) == N_ROWS
    assert (draw.income > 0).all()
    assert (draw.visits >= 0).all()
    assert set(draw["size"]) <= {"L", "M", "S"}


def test_rows_are_scored_alone_as_among_others(model, held_out):
    X, y = held_out
    whole = model.score_samples(X, y)
    alone = model.score_samples(X.iloc[[4]], y.iloc[[4]])
    assert_array_equal(alone, whole[[4]])
    assert_allclose(model.transform(X.iloc[[4]]), model.transform(X)[[4]], rtol=1e-5)
    assert_allclose(
        model.transform(X.iloc[[4]], y.iloc[[4]]), model.transform(X, y)[[4]], rtol=1e-5
    )


def test_one_column_of_labels_given_text():
    X, y = tables(80)
    est = fitted(X, y["size"], likelihood="categorical")
    assert_array_equal(est.classes_, ["L", "M", "S"])
    predicted = est.predict(X)
    assert predicted.shape == (80,)
    assert set(predicted) <= {"L", "M", "S"}
    theta = est.predict_proba(X)
    assert theta.shape == (80, 3)
    assert_allclose(theta.sum(axis=1), 1, rtol=1e-5)
    assert_array_equal(predicted, est.classes_[theta.argmax(axis=1)])


@pytest.mark.parametrize("as_list", [True, False])
def test_a_single_y_has_one_dimension(as_list):
    X, y = tables(80)
    for name, kind in {"size": "auto", "visits": [("poisson", [0])]}.items():
        target = y[name].tolist() if as_list else y[name]
        est = fitted(X, target, likelihood=kind)
        assert est.predict(X).shape == (80,)
        assert est.sample(X)[0].shape == (80,)
        assert est.sample(X, 2)[0].shape == (2, 80)
        assert np.isfinite(est.score(X, target))


def test_a_y_of_numbers_given_text():
    X, y = tables(80)
    est = fitted(X, y.level - 300, likelihood="gaussian")
    assert est.predict(X).dtype == np.float32
    assert not hasattr(est, "predict_proba")


def test_x_of_numbers_is_taken_as_it_is():
    """Only text and categories make a table of X; numbers are for a scaler."""
    X, y = tables(80)
    numbers = X[["year"]] - 2000
    est = fitted(numbers, y)
    array = fitted(numbers.to_numpy(), y)
    assert_array_equal(
        est.score_samples(numbers, y), array.score_samples(numbers.to_numpy(), y)
    )
    assert est.net_.module_.conditions is None


def test_x_is_read_by_its_kinds():
    X, y = tables(80)
    shifted = X.assign(year=1e4 * X.year)
    est, scaled = fitted(X, y), fitted(shifted, y)
    # Three categories, a bit and a standardised number.
    assert est.net_.module_.conditions.n_inputs(3) == 5
    # The scores have draws of z of their own, as those belong to what is in the row.
    for given in ((), (y,)):
        expected = est.transform(X, *given)
        assert_allclose(scaled.transform(shifted, *given), expected, atol=1e-3)


def test_y_is_scored_in_its_own_unit():
    X, y = tables(200)
    params = {"max_epochs": 20, "hidden_layer_sizes": (8,)}
    expected = fitted(X, y, **params).score(X, y) - np.log(1000)
    scaled = y.assign(income=1000 * y.income)
    assert fitted(X, scaled, **params).score(X, scaled) == pytest.approx(
        expected, abs=1e-2
    )


def test_x_and_y_are_left_alone():
    X, y = tables(60)
    kept = X.copy(), y.copy()
    est = fitted(X, y)
    est.score(X, y)
    est.predict(X)
    pd.testing.assert_frame_equal(X, kept[0])
    pd.testing.assert_frame_equal(y, kept[1])


# Errors.


def raises(call, *words):
    with pytest.raises(ValueError) as error:
        call()
    message = str(error.value)
    for word in words:
        assert word in message
    return message


def test_missing_values_say_whose_they_are():
    X, y = tables(60)
    gaps = X.mask(X.year > 2002)
    raises(lambda: fitted(gaps, y), "X has missing values in the column 'plan'", "VAE")
    gaps = y.mask(y.visits > 4)
    raises(lambda: fitted(X, gaps), "y has missing values", "VAE")
    est = fitted(X, y)
    raises(lambda: est.score(X, gaps), "y has missing values")
    raises(lambda: est.predict(X.mask(X.year > 2002)), "X has missing values")


REFUSED = {
    "date": (lambda y: y.assign(day=pd.Timestamp("2020-01-01")), "auto", "y has dates"),
    "constant": (lambda y: y.assign(one=1.5), "auto", "y has a single value"),
    "large": (
        lambda y: y.assign(visits=10**9 * (y.visits + 1)),
        KINDS,
        "y has the count",
    ),
    "fractions": (
        lambda y: y.assign(visits=y.visits / 2),
        KINDS,
        "y has the value",
    ),
    "left out": (lambda y: y, KINDS[:-1], "likelihood leaves out the column 'size'"),
    "repeated": (
        lambda y: y,
        [*KINDS, ("categorical", ["size"])],
        "likelihood has the column 'size' more than once",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_y_that_is_refused_says_where(name):
    change, kinds, words = REFUSED[name]
    X, y = tables(60)
    y = change(y)
    message = raises(lambda: fitted(X, y, likelihood=kinds), words)
    assert message.endswith(".")
    assert "\n" not in message


def test_new_values_that_do_not_fit():
    X, y = tables(60)
    est = fitted(X, y)
    raises(lambda: est.predict(X.assign(plan="new")), "X has the value 'new'", "'plan'")
    raises(
        lambda: est.score(X, y.assign(size="new")), "y has the value 'new'", "'size'"
    )
    raises(lambda: est.score(X, y.assign(visits=-1)), "y has the value -1", "'visits'")
    raises(lambda: est.score(X, y.assign(income=0.0)), "y has the value 0", "'income'")
    raises(lambda: est.score(X, y[Y_COLUMNS[::-1]]), "same order")
    raises(lambda: est.score(X, y[Y_COLUMNS[:-1]]), "y has shape (60, 4)")
    raises(lambda: est.predict(X[["plan"]]), "now missing")
    raises(lambda: est.score(X, y[:50]), "inconsistent numbers of samples")


def test_y_has_to_be_given():
    X, y = tables(60)
    with pytest.raises(ValueError, match="y=None"):
        ConditionalVAE(**SHORT).fit(X, None)
    est = fitted(X, y)
    with pytest.raises(ValueError, match="y=None"):
        est.log_likelihood(X)
    with pytest.warns(UserWarning, match="y=None"):
        assert_array_equal(est.score_samples(X), 0)


# With scikit-learn.


def test_a_pickle_answers_the_same():
    X, y = tables(60)
    est = fitted(X, y)
    again = pickle.loads(pickle.dumps(est))
    assert_array_equal(again.score_samples(X, y), est.score_samples(X, y))
    pd.testing.assert_frame_equal(again.predict(X), est.predict(X))
    pd.testing.assert_frame_equal(again.sample(X)[0], est.sample(X)[0])


def test_a_clone_has_the_parameters_and_no_fit():
    est = clone(fitted(*tables(60)))
    assert est.likelihood == KINDS
    assert not hasattr(est, "net_")


def test_codes_are_a_frame_where_wanted():
    X, y = tables(60)
    X.index = np.arange(60) + 5
    y.index = X.index
    est = ConditionalVAE(**SHORT).set_output(transform="pandas")
    codes = quietly(est.fit, X, y).transform(X)
    assert list(codes.columns) == ["conditionalvae0"]
    pd.testing.assert_index_equal(codes.index, X.index)


@pytest.mark.slow
def test_a_search_over_the_latent_dimension():
    X, y = tables(90)
    search = GridSearchCV(ConditionalVAE(**SHORT), {"latent_dim": [1, 2]}, cv=3)
    quietly(search.fit, X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert isinstance(search.predict(X), pd.DataFrame)


def test_a_continued_fit_reads_tables_as_the_first_one():
    X, y = tables(90)
    est = fitted(X, y, warm_start=True)
    module = est.net_.module_
    seen = (X.plan != "free") & (y["size"] != "M")
    quietly(est.fit, X[seen], y[seen])
    assert est.net_.module_ is module
    assert_array_equal(est.classes_[1], ["L", "M", "S"])
    est.set_params(likelihood="auto")
    with pytest.raises(ValueError, match="likelihood='auto'"):
        est.fit(X, y)


@pytest.mark.parametrize("likelihood", ["gaussian", "auto"])
def test_columns_of_y_in_another_order(likelihood):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    y = pd.DataFrame(
        X + np.array([5, 0]) + rng.normal(size=(40, 2)), columns=["u", "w"]
    )
    est = ConditionalVAE(
        1, likelihood=likelihood, max_epochs=2, tol=np.inf, random_state=0
    )
    quietly(est.fit, X, y)
    for ask in (est.score, est.score_samples, est.transform, est.partial_fit):
        with pytest.raises(ValueError, match=r"y has the columns \['w', 'u'\]"):
            ask(X, y[["w", "u"]])
    # An array has no names, and of one column there is no order.
    assert est.score(X, y.to_numpy()) == est.score(X, y)
    loaded = pickle.loads(pickle.dumps(est))
    with pytest.raises(ValueError, match="in the same order"):
        loaded.score(X, y[["w", "u"]])
