"""No wrong number in silence: who is warned, of what, and at which line; who is not."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklvm import (
    BernoulliMixtureEM,
    CategoricalMixtureEM,
    GaussianMixtureEM,
    PoissonMixtureEM,
)

from .families import GAUSSIAN, blobs, encode, make
from .reference import full_covariances

MIXTURES = [
    BernoulliMixtureEM,
    CategoricalMixtureEM,
    PoissonMixtureEM,
    GaussianMixtureEM,
]


@pytest.fixture(params=GAUSSIAN)
def kind(request):
    return request.param


def warned(action, *words):
    """The warnings of `action` in whose text all the words occur."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    return [
        warning
        for warning in caught
        if all(re.search(word, str(warning.message)) for word in words)
    ]


def assert_warns_once(action, *words):
    """One UserWarning that says all of this, at a line of this file."""
    found = warned(action, *words)
    assert len(found) == 1, [str(w.message) for w in warned(action)]
    assert found[0].category is UserWarning
    assert found[0].filename == __file__
    return str(found[0].message)


def assert_silent(action, category=Warning):
    with warnings.catch_warnings():
        warnings.simplefilter("error", category)
        return action()


# The ridge supplies a variance.


def ages(n_samples=600):
    """One normal population, ages rounded to five years: fifteen values or so."""
    values = np.random.default_rng(5).normal(40, 12, size=(n_samples, 1))
    return pd.DataFrame(np.round(values / 5) * 5, columns=["age"])


def few_values(n_samples=400):
    """A number beside the answers 0, 1, 2, on each of which a component can sit."""
    rng = np.random.default_rng(0)
    answer = rng.integers(3, size=n_samples)
    return pd.DataFrame({"income": rng.normal(size=n_samples), "answer": answer * 4.0})


def repeated_row():
    """A hundred people left the form at its default."""
    X = np.vstack(
        [np.random.default_rng(1).normal(size=(200, 2)), np.full((100, 2), 6)]
    )
    return pd.DataFrame(X, columns=["left", "right"])


def a_sum_of_others(n_samples=300):
    """A total among its parts: a direction without any variance."""
    X = pd.DataFrame(blobs(n_samples, n_features=2), columns=["north", "south"])
    return X.assign(total=X["north"] + X["south"])


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_components_on_single_ages(kind):
    """BIC would choose as many components as there are ages, each at the ridge."""
    est = GaussianMixtureEM(8, covariance_type=kind, random_state=0, max_iter=500)
    assert_warns_once(lambda: est.fit(ages()), "reg_covar", "age", "component")


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_components_on_single_answers(kind):
    est = GaussianMixtureEM(3, covariance_type=kind, random_state=0, n_init=3)
    text = assert_warns_once(lambda: est.fit(few_values()), "reg_covar", "component")
    assert "answer" in text
    assert "income" not in text


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_a_component_on_one_repeated_row(kind):
    """A covariance that all share cannot collapse; any other can."""
    est = GaussianMixtureEM(2, covariance_type=kind, random_state=0, n_init=3)
    text = assert_warns_once(lambda: est.fit(repeated_row()), "reg_covar", "component")
    k = int(np.argmin(np.trace(full_covariances(est), axis1=1, axis2=2)))
    assert re.search(rf"\b{k}\b", text)


@pytest.mark.parametrize("kind", ["full", "tied"])
def test_columns_that_add_up(kind):
    """The smallest eigenvalue is the ridge, though every variance is far above it."""
    est = GaussianMixtureEM(3, covariance_type=kind, random_state=0)
    X = a_sum_of_others()
    assert_warns_once(lambda: est.fit(X), "reg_covar", "north|south|total")


@pytest.mark.parametrize("kind", ["diag", "spherical"])
def test_columns_that_add_up_do_not_harm_these(kind):
    est = GaussianMixtureEM(3, covariance_type=kind, random_state=0)
    assert_silent(lambda: est.fit(a_sum_of_others()))


def test_a_large_ridge_supplies_most_of_every_variance(kind):
    est = GaussianMixtureEM(3, covariance_type=kind, reg_covar=50.0, random_state=0)
    assert warned(lambda: est.fit(blobs(200)), "reg_covar")


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e6])
def test_the_unit_of_the_table_changes_nothing_in_silence(kind, scale):
    """Kilometres or millimetres: the same clusters, or a word about reg_covar."""
    X = blobs(300)
    labels = GaussianMixtureEM(3, covariance_type=kind, random_state=0).fit_predict(X)
    est = GaussianMixtureEM(3, covariance_type=kind, random_state=0)
    told = warned(lambda: est.fit(scale * X), "reg_covar")
    if scale == 1e-6:  # variances of 1e-12 beside a ridge of 1e-6
        assert told
    same = adjusted_rand_score(labels, est.predict(scale * X)) > 0.99
    assert told or same


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_one_column_in_another_unit(scale):
    """A column of nanometres is lost in the ridge; the warning names it alone."""
    X = pd.DataFrame(blobs(300), columns=["a", "thickness", "c"])
    X["thickness"] *= scale
    est = GaussianMixtureEM(3, covariance_type="diag", random_state=0)
    found = warned(lambda: est.fit(X), "reg_covar")
    assert bool(found) == (scale < 1)
    for warning in found:
        assert "thickness" in str(warning.message)


def test_columns_of_an_array_are_numbered():
    X = few_values().to_numpy()
    est = GaussianMixtureEM(3, covariance_type="diag", random_state=0, n_init=3)
    assert_warns_once(lambda: est.fit(X), "reg_covar", r"\b1\b")


def test_the_ridge_is_not_mentioned_on_good_data(kind):
    X = load_iris().data
    est = GaussianMixtureEM(3, covariance_type=kind, random_state=0, max_iter=500)
    assert_silent(lambda: est.fit(X), UserWarning)


@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_silence_on_blobs(kind, dtype, missing):
    X = blobs(300, missing=missing).astype(dtype)
    est = GaussianMixtureEM(3, covariance_type=kind, random_state=0, max_iter=500)
    assert_silent(lambda: est.fit(X).score(X))


def test_silence_on_whole_numbers(kind):
    """Ages to the year have many values: no component sits on one."""
    X = np.round(np.random.default_rng(5).normal([[30], [60]], 5, size=(2, 300)))
    est = GaussianMixtureEM(2, covariance_type=kind, random_state=0, max_iter=500)
    assert_silent(lambda: est.fit(X.reshape(-1, 1)))


def test_silence_on_standardised_data():
    X = StandardScaler().fit_transform(load_breast_cancer().data[:, :10])
    est = GaussianMixtureEM(2, covariance_type="diag", random_state=0, max_iter=500)
    assert_silent(lambda: est.fit(X))


# A constant column, and no ridge.


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, -7e-8, 1e9, 123456.789])
@pytest.mark.parametrize("kind", ["full", "tied", "diag"])
def test_a_constant_column_without_a_ridge_is_named(kind, value):
    """Whatever its value: rounding alone gives 0.1 a variance of 1e-34."""
    X = pd.DataFrame(blobs(100), columns=["left", "middle", "right"])
    X["middle"] = value
    est = GaussianMixtureEM(2, covariance_type=kind, reg_covar=0, random_state=0)
    before = dict(vars(est))
    with pytest.raises(ValueError, match="middle") as caught:
        est.fit(X)
    assert "reg_covar" in str(caught.value)
    assert vars(est) == before


@pytest.mark.parametrize("value", [0.1, 1e9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_column_of_an_array_is_numbered(dtype, value):
    X = np.column_stack([blobs(100), np.full(100, value)]).astype(dtype)
    with pytest.raises(ValueError, match=r"\b3\b.*reg_covar|reg_covar.*\b3\b"):
        GaussianMixtureEM(2, reg_covar=0, random_state=0).fit(X)


def test_a_column_that_is_constant_where_it_is_observed():
    X = np.column_stack([blobs(100), np.full(100, 0.1)])
    X[::3, 3] = np.nan
    with pytest.raises(ValueError, match="reg_covar"):
        GaussianMixtureEM(2, reg_covar=0, covariance_type="diag").fit(X)


@pytest.mark.parametrize("kind", ["full", "tied", "diag"])
def test_a_column_with_one_observed_cell(kind):
    X = np.random.default_rng(0).normal(size=(300, 3))
    X[1:, 2] = np.nan
    model = GaussianMixtureEM(2, covariance_type=kind, random_state=0)
    assert_warns_once(lambda: model.fit(X), "reg_covar", "feature 2")


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9])
def test_a_ridge_carries_a_constant_column(kind, value):
    X = np.column_stack([blobs(100), np.full(100, value)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        est = GaussianMixtureEM(2, covariance_type=kind, random_state=0).fit(X)
    assert np.isfinite(est.score(X))


# Weights and units beyond float32.


@pytest.mark.parametrize(
    "unit, dtype",
    [
        (1e-50, np.float32),
        (1e40, np.float32),
        (1e-300, np.float64),
        (1e300, np.float64),
    ],
)
@pytest.mark.parametrize("family", ["bernoulli", "categorical", "poisson", "full"])
def test_only_ratios_of_weights_matter(family, unit, dtype):
    """Products of likelihood ratios leave every float32 behind."""
    X = blobs(200, family=family).astype(dtype)
    weight = np.random.default_rng(0).uniform(0.5, 1.5, size=200)
    one = make(family, n_components=3).fit(X, sample_weight=weight)
    two = make(family, n_components=3)
    assert_silent(lambda: two.fit(X, sample_weight=unit * weight), RuntimeWarning)
    # An iteration more or less where the stop rule was near.
    assert two.lower_bound_ == pytest.approx(one.lower_bound_, abs=2e-3)
    assert adjusted_rand_score(two.predict(X), one.predict(X)) > 0.95


@pytest.mark.parametrize("power", [-40, 40])
def test_float32_in_extreme_units(kind, power):
    """Squares of 2^40 are within float32; fourth powers of it are not."""
    X = blobs(300).astype(np.float32)
    labels = make(kind, n_components=3).fit_predict(X)
    far = np.ldexp(X, power)
    est = make(kind, n_components=3)
    assert_silent(lambda: est.fit(far), RuntimeWarning)
    assert adjusted_rand_score(est.predict(far), labels) > 0.99
    jacobian = 3 * power * np.log(2)
    assert est.score(far) + jacobian == pytest.approx(
        make(kind, n_components=3).fit(X).score(X), abs=0.01
    )


# binarize=0 on data of more than two values.

RNG = np.random.default_rng(0)
NOT_TWO_VALUED = {
    "coded 1 and 2": (RNG.integers(1, 3, size=(90, 4)), "2"),
    "coded 1 and 2, as floats": (RNG.integers(1, 3, size=(90, 4)) * 1.0, "2"),
    "Likert 1 to 5": (RNG.integers(1, 6, size=(90, 4)), "5"),
    "Likert 0 to 4": (RNG.integers(0, 5, size=(90, 4)), "4"),
    "9 for no answer": (RNG.choice([0, 1, 9], p=[0.5, 0.4, 0.1], size=(90, 4)), "9"),
    "-1 for no answer": (RNG.choice([-1, 0, 1], p=[0.1, 0.5, 0.4], size=(90, 4)), "-1"),
    "-9 for no answer": (RNG.choice([0, 1, -9], p=[0.5, 0.4, 0.1], size=(90, 4)), "-9"),
    "99 for no answer": (
        RNG.choice([0, 1, 99], p=[0.5, 0.45, 0.05], size=(90, 4)),
        "99",
    ),
    "one column of 1 and 2": (
        np.column_stack(
            [RNG.integers(0, 2, size=(90, 3)), RNG.integers(1, 3, size=90)]
        ),
        "2",
    ),
    "coded 1 and 2 with gaps": (
        np.where(RNG.random((90, 4)) < 0.1, np.nan, RNG.integers(1, 3, size=(90, 4))),
        "2",
    ),
    "coded 5 and 7": (RNG.choice([5, 7], size=(90, 4)), "7"),
}
ON_ONE_SIDE = {
    "probabilities": RNG.uniform(0.1, 0.9, size=(90, 4)),
    "grey values": RNG.integers(1, 256, size=(90, 4)).astype(np.uint8),
    "logarithms of probabilities": np.log(RNG.uniform(0.1, 0.9, size=(90, 4))),
    "far from zero": RNG.normal(100.0, 2.0, size=(90, 4)),
}
TWO_VALUED = {
    "0 and 1": RNG.integers(0, 2, size=(90, 4)),
    "0.0 and 1.0": RNG.integers(0, 2, size=(90, 4)) * 1.0,
    "false and true": RNG.integers(0, 2, size=(90, 4)).astype(bool),
    "-1 and 1": RNG.choice([-1, 1], size=(90, 4)),
    "black and white": RNG.choice([0, 255], size=(90, 4)).astype(np.uint8),
    "0 and 1 with gaps": np.where(
        RNG.random((90, 4)) < 0.2, np.nan, RNG.integers(0, 2, size=(90, 4))
    ),
    "continuous": RNG.normal(size=(90, 4)),
    "continuous and far": RNG.normal(3.0, 2.0, size=(90, 4)),
    "all ones": np.ones((90, 4)),
    "all zeros": np.zeros((90, 4)),
    "an item that all affirm": np.column_stack(
        [RNG.integers(0, 2, size=(90, 3)), np.ones(90)]
    ),
}


@pytest.mark.parametrize("case", NOT_TWO_VALUED)
def test_a_threshold_that_cannot_be_meant(case):
    """All of 1 and 2 lies above 0: every theta would be 1, and F would be 0."""
    X, value = NOT_TWO_VALUED[case]
    text = assert_warns_once(lambda: fit_bernoulli(X), "binarize", re.escape(value))
    two_codes = len(np.unique(X[~np.isnan(X)])) == 2
    assert re.search(r"binarize=\d" if two_codes else "NaN|CategoricalMixtureEM", text)


@pytest.mark.parametrize("case", ON_ONE_SIDE)
def test_a_threshold_that_divides_nothing(case):
    assert_warns_once(lambda: fit_bernoulli(ON_ONE_SIDE[case]), "binarize")


@pytest.mark.parametrize("case", NOT_TWO_VALUED)
def test_a_threshold_that_is_meant(case):
    """Any other than the default was chosen with the data in view."""
    X, _ = NOT_TWO_VALUED[case]
    chosen = (np.nanmin(X) + np.nanmax(X)) / 2 + 0.25
    assert not warned(lambda: fit_bernoulli(X, binarize=chosen), "binarize")


@pytest.mark.parametrize("case", TWO_VALUED)
def test_two_values_are_taken_as_they_are(case):
    assert not warned(lambda: fit_bernoulli(TWO_VALUED[case]))


def fit_bernoulli(X, **params):
    return BernoulliMixtureEM(2, random_state=0, max_iter=2000, **params).fit(X)


def test_sparse_ones_and_zeros_are_taken_as_they_are():
    X = sp.csr_array(TWO_VALUED["0 and 1"])
    assert not warned(lambda: fit_bernoulli(X))


def test_sparse_codes_of_more_than_two_values():
    X = sp.csr_array(NOT_TWO_VALUED["9 for no answer"][0])
    assert_warns_once(lambda: fit_bernoulli(X), "binarize", "9")


def test_the_frame_is_spoken_of_in_its_own_words():
    """One column of four is coded otherwise; it is the one to mend."""
    X = pd.DataFrame(NOT_TWO_VALUED["one column of 1 and 2"][0], columns=list("abcd"))
    assert_warns_once(lambda: fit_bernoulli(X), "binarize", "2")


def test_a_batch_that_cannot_be_meant():
    X = NOT_TWO_VALUED["coded 1 and 2"][0]
    est = BernoulliMixtureEM(2, random_state=0)
    assert_warns_once(lambda: est.partial_fit(X), "binarize", "2")


def test_the_warning_tells_right_from_wrong():
    """What it proposes gives the answer of the same items coded 0 and 1."""
    X = NOT_TWO_VALUED["coded 1 and 2"][0]
    one = fit_bernoulli(X, binarize=1.5)
    two = fit_bernoulli(X - 1)
    assert one.lower_bound_ == pytest.approx(two.lower_bound_, rel=1e-12)


# Counts that are none.


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, pd.DataFrame])
@pytest.mark.parametrize("value", [0.5, 2.25, 1e-3])
def test_fractions_are_no_counts(value, container):
    X = encode("poisson", blobs(60))
    X[5, 1] = value
    est = PoissonMixtureEM(2, random_state=0, max_iter=500)
    assert_warns_once(lambda: est.fit(container(X)), "count")


@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_whole_floats_are_counts(dtype, missing):
    X = encode("poisson", blobs(100, missing=missing)).astype(dtype)
    est = PoissonMixtureEM(2, random_state=0, max_iter=500)
    assert_silent(lambda: est.fit(X).score(X))


# Held-out rows of probability 0.


def certain(mixture):
    """A fit that has seen the same value everywhere, and a row that differs."""
    seen = {
        BernoulliMixtureEM: [[1.0, 0.0]],
        CategoricalMixtureEM: [[1.0, 0.0]],
        PoissonMixtureEM: [[2.0, 0.0]],
    }[mixture]
    est = mixture(random_state=0)
    if mixture is CategoricalMixtureEM:
        est.n_categories = 2
    return est.fit(np.repeat(seen, 20, axis=0)), np.array([[1.0, 1.0], seen[0]])


DISCRETE = {
    BernoulliMixtureEM: "theta_prior",
    CategoricalMixtureEM: "theta_prior",
    PoissonMixtureEM: "rates_prior",
}


@pytest.mark.parametrize("method", ["score", "score_samples", "bic"])
@pytest.mark.parametrize("mixture", DISCRETE)
def test_a_held_out_row_of_probability_zero(mixture, method):
    """-inf in a cross-validation hides every other fold; a prior is the remedy."""
    est, X = certain(mixture)
    assert_warns_once(lambda: getattr(est, method)(X), DISCRETE[mixture])


def test_a_probability_of_exactly_one_excludes_as_well():
    est = BernoulliMixtureEM().fit(np.ones((20, 2)))
    assert_warns_once(lambda: est.score([[1.0, 0.0]]), "theta_prior")


@pytest.mark.parametrize("mixture", DISCRETE)
def test_the_remedy_helps(mixture):
    est, X = certain(mixture)
    prior = (2.0, 1.0) if mixture is PoissonMixtureEM else (1.1, 1.1)
    prior = 1.1 if mixture is CategoricalMixtureEM else prior
    est.set_params(**{DISCRETE[mixture]: prior}).fit(np.repeat(X[1:], 20, axis=0))
    assert np.isfinite(assert_silent(lambda: est.score(X)))


@pytest.mark.parametrize("mixture", DISCRETE)
def test_rows_like_those_of_the_fit_are_possible(mixture):
    est, X = certain(mixture)
    assert np.isfinite(assert_silent(lambda: est.score(X[1:])))


@pytest.mark.parametrize("mixture", DISCRETE)
def test_no_fit_speaks_of_impossible_rows(mixture):
    """Rates and probabilities of zero are a fit's right: its rows are possible."""
    est, X = certain(mixture)
    assert_silent(lambda: est.fit(np.repeat(X[1:], 20, axis=0)))


# Words in the place of numbers.

ANSWERS = pd.DataFrame({"age": [31.0, 45.0, 28.0], "smoker": ["yes", "no", "yes"]})


@pytest.mark.parametrize(
    "frame",
    [
        ANSWERS,
        ANSWERS.astype({"smoker": "category"}),
        ANSWERS.astype({"smoker": "string"}),
        ANSWERS.assign(smoker=["yes", None, "no"]),
        ANSWERS[["smoker"]],
    ],
    ids=["object", "category", "string", "with a gap", "alone"],
)
@pytest.mark.parametrize("mixture", MIXTURES)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_column_of_words_is_named(mixture, frame, method):
    est = mixture(random_state=0)
    before = dict(vars(est))
    with pytest.raises(ValueError, match="smoker") as caught:
        getattr(est, method)(frame)
    assert re.search("(?i)encode", str(caught.value))
    assert vars(est) == before


@pytest.mark.parametrize("mixture", MIXTURES)
def test_words_after_a_fit_of_numbers(mixture):
    numbers = pd.DataFrame({"age": [3.0, 1, 0, 1], "smoker": [1.0, 0, 1, 1]})
    est = mixture(random_state=0).fit(numbers)
    with pytest.raises(ValueError, match="smoker"):
        est.predict(ANSWERS.assign(age=[0, 1, 2]))


@pytest.mark.parametrize("mixture", MIXTURES)
def test_categories_that_are_numbers_are_numbers(mixture):
    frame = pd.DataFrame(RNG.integers(0, 2, size=(40, 3)), columns=list("abc"))
    one = mixture(random_state=0, max_iter=0).fit(frame.astype("category"))
    two = mixture(random_state=0, max_iter=0).fit(frame)
    assert one.score(frame) == two.score(frame)


# What happens inside stays inside.


@pytest.mark.parametrize("init_params", ["k-means++", "kmeans", "random_from_data"])
@pytest.mark.parametrize("family", ["bernoulli", "categorical", "poisson", "full"])
def test_no_warning_of_an_inner_kmeans(family, init_params):
    """Two distinct rows and three centres: KMeans has something to say, we have not."""
    X = np.repeat([[0.0, 1, 1], [1, 0, 0]], 20, axis=0)
    params = {"reg_covar": 0.1} if family == "full" else {}
    est = make(family, n_components=3, init_params=init_params, **params)
    for warning in warned(lambda: est.fit(X)):
        text = str(warning.message)
        assert not re.search("(?i)cluster|k-?means|MKL", text), text


@pytest.mark.parametrize("init_params", ["k-means++", "kmeans", "random"])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_parallel_restarts_are_as_silent(init_params, n_jobs):
    X = blobs(200)
    est = make("full", n_components=3, n_init=4, init_params=init_params, n_jobs=n_jobs)
    assert_silent(lambda: est.set_params(max_iter=1000).fit(X))


# Warnings point at the line of the user.


def unfinished():
    return make("full", n_components=3, max_iter=1, tol=0.0), blobs(100)


def at_the_ridge():
    return GaussianMixtureEM(3, random_state=0), a_sum_of_others()


def miscoded():
    est = BernoulliMixtureEM(2, random_state=0, max_iter=2000)
    return est, pd.DataFrame(NOT_TWO_VALUED["Likert 1 to 5"][0], columns=list("abcd"))


def fractions():
    est = PoissonMixtureEM(2, random_state=0, max_iter=500)
    return est, encode("poisson", blobs(60)) + 0.5


def emptied():
    start = [[0.0] * 3, [0.0] * 3, [1e6] * 3]
    est = make("full", n_components=3, means_init=start, max_iter=500)
    return est, blobs(100)


CAUSES = {
    unfinished: "max_iter",
    at_the_ridge: "reg_covar",
    miscoded: "binarize",
    fractions: "count",
    emptied: "component",
}
CALLS = {
    "fit": lambda est, X: est.fit(X),
    "fit_predict": lambda est, X: est.fit_predict(X),
    "fit_transform": lambda est, X: est.fit_transform(X),
    "fit_transform to pandas": lambda est, X: est.set_output(
        transform="pandas"
    ).fit_transform(X),
    "Pipeline.fit": lambda est, X: make_pipeline(FunctionTransformer(), est).fit(X),
    "Pipeline.fit_transform": lambda est, X: make_pipeline(est).fit_transform(X),
    "threads": lambda est, X: est.set_params(n_jobs=2, n_init=2).fit(X),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("cause", CAUSES)
def test_a_warning_of_a_fit_is_at_the_users_line(cause, call):
    """Not in scikit-learn's pipelines or wrappers, which stand between."""
    est, X = cause()
    found = warned(lambda: CALLS[call](est, X), CAUSES[cause])
    assert found
    assert {warning.filename for warning in found} == {__file__}


@pytest.mark.parametrize("cause", [at_the_ridge, miscoded])
def test_nothing_is_said_twice(cause):
    est, X = cause()
    assert len(warned(lambda: est.set_params(n_init=3).fit(X), CAUSES[cause])) == 1


def test_a_missed_maximum_is_a_convergence_warning():
    est, X = unfinished()
    categories = {w.category for w in warned(lambda: est.fit(X), "max_iter")}
    assert categories == {ConvergenceWarning}


@pytest.mark.parametrize("method", ["score", "score_samples"])
def test_a_warning_of_a_pipelines_score_is_at_the_users_line(method):
    est, X = certain(BernoulliMixtureEM)
    pipe = make_pipeline(FunctionTransformer(), est).fit(np.repeat(X[1:], 20, axis=0))
    found = warned(lambda: getattr(pipe, method)(X), "theta_prior")
    assert {warning.filename for warning in found} == {__file__}
