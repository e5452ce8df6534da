"""DataFrames in and out of VAE and GMVAE, units, and what tables are refused."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklvm import GMVAE, VAE
from sklvm.autoencoder import Likelihood
from sklvm.autoencoder._rows import read_rows
from sklvm.autoencoder.likelihoods._standardised import Standardised

from .mixed import KINDS, mixed_table
from .models import curve, quietly

SHORT = {
    "latent_dim": 1,
    "hidden_layer_sizes": (8,),
    "max_epochs": 3,
    "random_state": 0,
}


def fitted(X, estimator=VAE, **params):
    return quietly(estimator(**SHORT | params).fit, X)


def typed_table(n_samples=60):
    """Every dtype that pandas has for such columns, with an index of its own."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "whole": pd.array(rng.integers(0, 1000, n_samples), dtype="Int64"),
            "single": rng.normal(size=n_samples).astype(np.float32),
            "double": rng.normal(5, 2, size=n_samples),
            "flag": pd.array(rng.random(n_samples) < 0.5, dtype="boolean"),
            "plain": rng.random(n_samples) < 0.5,
            "size": pd.Categorical(
                rng.choice(["low", "high"], n_samples),
                categories=["low", "never", "high"],
                ordered=True,
            ),
            "word": pd.Series(rng.choice(["x", "y"], n_samples), dtype=object),
            "small": rng.poisson(2, n_samples).astype(np.int16),
        }
    )
    X.index = pd.Index(np.arange(n_samples) + 100, name="patient")
    return X


@pytest.fixture(scope="module")
def typed():
    return fitted(typed_table(), mask_rate=0.2)


# Tables in and out.


METHODS = {
    "sample": lambda est, X: est.sample(7)[0],
    "inverse_transform": lambda est, X: est.inverse_transform([[0.0], [1.0]]),
    "reconstruct": lambda est, X: est.reconstruct(X),
    "impute": lambda est, X: est.impute(X, 20),
    "sample_missing": lambda est, X: est.sample_missing(X, 1, 20)[0],
}


@pytest.mark.parametrize("method", METHODS)
def test_tables_come_back_in_their_form(typed, method):
    X = typed_table()
    given = X.copy()
    given.loc[105, ["whole", "flag", "size", "word"]] = None
    kept = given.copy()
    out = METHODS[method](typed, given)
    pd.testing.assert_frame_equal(given, kept)
    assert isinstance(out, pd.DataFrame)
    assert list(out.columns) == list(X.columns)
    assert not out.isna().to_numpy().any()
    for name in X.columns:
        assert out[name].dtype == X[name].dtype, name
    assert set(out["size"]) <= {"low", "high"}
    assert list(out["size"].cat.categories) == ["low", "never", "high"]
    if method in ("reconstruct", "impute", "sample_missing"):
        pd.testing.assert_index_equal(out.index, X.index)
    else:
        assert out.index[0] == 0


def test_kinds_and_categories_are_published(typed):
    assert typed.columns_ == {
        "whole": "gaussian",
        "single": "gaussian",
        "double": "gaussian",
        "flag": "bernoulli",
        "plain": "bernoulli",
        "size": "categorical",
        "word": "categorical",
        "small": "poisson",
    }
    assert set(typed.categories_) == {"flag", "plain", "size", "word"}
    assert_array_equal(typed.categories_["flag"], [False, True])
    assert_array_equal(typed.categories_["size"], ["low", "high"])
    assert_array_equal(typed.feature_names_in_, typed_table().columns)
    assert typed.n_features_in_ == 8


def test_text_is_read_by_its_kinds_without_a_word(typed):
    X = typed_table()
    named = fitted(X, likelihood="auto", mask_rate=0.2)
    assert_array_equal(named.score_samples(X), typed.score_samples(X))
    assert_array_equal(fitted(X, GMVAE).columns_, typed.columns_)


def test_a_frame_of_numbers_is_as_its_array():
    X = pd.DataFrame(curve(60), columns=list("pqr"), index=np.arange(60) + 7)
    frame, array = fitted(X), fitted(X.to_numpy())
    assert_array_equal(frame.score_samples(X), array.score_samples(X.to_numpy()))
    for method in METHODS:
        if method != "sample_missing":
            out = METHODS[method](frame, X)
            is_like_x = method in ("reconstruct", "impute")
            assert isinstance(out, pd.DataFrame if is_like_x else np.ndarray)
            expected = METHODS[method](array, X.to_numpy())
            assert_allclose(out, expected, rtol=1e-6)
    assert not hasattr(frame, "columns_")
    assert not hasattr(frame, "categories_")


def test_attributes_of_an_earlier_table_are_gone():
    est = fitted(mixed_table(40))
    assert hasattr(est, "columns_")
    quietly(est.fit, curve(40))
    assert not hasattr(est, "columns_")
    assert not hasattr(est, "categories_")


@pytest.mark.parametrize("output", ["pandas", "default"])
def test_set_output_decides_for_codes_of_tables_of_numbers(output):
    X = pd.DataFrame(curve(60), columns=list("pqr"), index=np.arange(60) + 7)
    est = VAE(likelihood="auto", mask_rate=0.2, **SHORT).set_output(transform=output)
    quietly(est.fit, X)
    expected = pd.DataFrame if output == "pandas" else np.ndarray
    codes = est.transform(X)
    assert isinstance(codes, expected)
    for method in METHODS:
        assert isinstance(METHODS[method](est, X), pd.DataFrame)
    pd.testing.assert_index_equal(est.impute(X).index, X.index)
    if output == "pandas":
        assert list(codes.columns) == ["vae0"] == list(est.get_feature_names_out())
        pd.testing.assert_index_equal(codes.index, X.index)


def test_codes_of_a_mixed_table_are_a_frame_where_wanted():
    X = typed_table()
    est = VAE(**SHORT).set_output(transform="pandas")
    codes = quietly(est.fit_transform, X)
    assert list(codes.columns) == ["vae0"]
    pd.testing.assert_index_equal(codes.index, X.index)


def test_polars_tables_come_back():
    pl = pytest.importorskip("polars")
    X = pl.DataFrame(mixed_table(60).to_dict("list"))
    est = fitted(X, mask_rate=0.2)
    for method in METHODS:
        out = METHODS[method](est, X)
        assert isinstance(out, pl.DataFrame)
        assert out.schema == X.schema


# Arrays of several kinds.


def test_arrays_of_objects():
    frame = mixed_table(60)[["year", "plan", "smokes"]]
    X = frame.to_numpy(dtype=object)
    est = fitted(X, mask_rate=0.2)
    assert est.columns_ == {0: "gaussian", 1: "categorical", 2: "bernoulli"}
    assert_allclose(
        est.score_samples(X), fitted(frame, mask_rate=0.2).score_samples(frame)
    )
    X[3, 1] = X[4, 0] = None
    filled = est.impute(X, 20)
    assert filled.dtype == object
    assert isinstance(filled[0, 0], float)
    assert isinstance(filled[0, 1], str)
    assert isinstance(filled[0, 2], bool)
    assert_array_equal(filled[:, 2], X[:, 2])
    assert filled[3, 1] in {"basic", "free", "gold"}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int16])
def test_arrays_come_back_in_their_dtype(dtype):
    X = np.random.default_rng(0).poisson(3, (80, 3)).astype(dtype)
    est = fitted(X, likelihood="auto", mask_rate=0.2)
    assert set(est.columns_.values()) == {"poisson"}
    for method in METHODS:
        out = METHODS[method](est, X)
        assert out.dtype == dtype, method
        assert_array_equal(out, np.rint(out))


def test_float32_is_read_as_float64():
    X = curve(60).astype(np.float32)
    est = fitted(X, likelihood="auto")
    assert_array_equal(est.score_samples(X.astype(np.float64)), est.score_samples(X))


def test_all_columns_categorical():
    X = np.random.default_rng(0).choice([3, 5, 11], (80, 2))
    est = fitted(X, likelihood="categorical", mask_rate=0.2)
    assert_array_equal(est.categories_[1], [3, 5, 11])
    drawn = est.sample(50)[0]
    assert drawn.dtype == X.dtype
    assert set(drawn.ravel()) <= {3, 5, 11}
    proba = est.predict_missing_proba(X, 1, 50)
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [VAE, GMVAE])
def test_a_single_row_is_as_among_others(estimator):
    X = mixed_table(60)
    est = fitted(X, estimator)
    row = X.iloc[[17]]
    assert_array_equal(est.score_samples(row), est.score_samples(X)[[17]])
    assert_allclose(est.transform(row), est.transform(X)[[17]], rtol=1e-5)
    assert_array_equal(est.log_likelihood(row, 50), est.log_likelihood(X, 50)[[17]])
    assert est.score(row) == pytest.approx(est.score_samples(row)[0])


def test_partial_fit_keeps_the_first_table():
    X = mixed_table(120)
    est = VAE(**SHORT)
    quietly(est.partial_fit, X[:60])
    columns, center = est.columns_, est._rows.center
    quietly(est.partial_fit, X[60:61])
    assert est.columns_ == columns
    assert_array_equal(est._rows.center, center)
    assert np.isfinite(est.score(X))


# Columns that do not fit.


def test_columns_in_another_order(typed):
    X = typed_table()
    with pytest.raises(ValueError, match="must be in the same order"):
        typed.score_samples(X[X.columns[::-1]])


def test_columns_that_are_not_there(typed):
    X = typed_table()
    with pytest.raises(ValueError, match=r"now missing:\n- word"):
        typed.impute(X.drop(columns="word"))
    with pytest.raises(ValueError, match=r"unseen at fit time:\n- more"):
        typed.transform(X.assign(more=1.0))


def test_a_category_that_the_fit_has_not_seen(typed):
    X = typed_table().assign(word="z")
    for method in (typed.transform, typed.score_samples, typed.impute):
        with pytest.raises(ValueError) as error:
            method(X)
        message = str(error.value)
        assert message.startswith("X has the value 'z' in the column 'word'")
        assert message.endswith(".")
        assert "\n" not in message
    # Where the column is what is asked for, its cells are not looked at.
    typed.predict_missing_proba(X, "word", 20)


def test_a_new_category_has_a_remedy_that_there_is(typed):
    with pytest.raises(ValueError) as error:
        typed.transform(typed_table().assign(word="z"))
    assert "handle_unknown" not in str(error.value)


BASE = mixed_table(60)
MANY = pd.DataFrame({"many": [f"c{i % 4500}" for i in range(9000)]})
REFUSED = {
    "constant": (BASE.assign(one=1.5), "auto", "'one'"),
    "constant by hand": (
        BASE.assign(one=1.5),
        [("auto", slice(None)), ("gaussian", "one")],
        "'one'",
    ),
    "date": (BASE.assign(day=pd.Timestamp("2020-01-01")), "auto", "'day'"),
    "identifier": (BASE.assign(name=[f"u{i}" for i in range(60)]), "auto", "'name'"),
    "numbered rows": (BASE.assign(number=np.arange(60)), "auto", "'number'"),
    "many categories": (MANY, "auto", "4096"),
    "many categories by hand": (MANY, [("categorical", ["many"])], "4096"),
    "large counts": (
        BASE.assign(visits=10**9 * (BASE.visits + 1)),
        KINDS,
        "'lognormal' or 'gaussian'",
    ),
    "only missing": (BASE.assign(none=np.nan), "auto", "'none'"),
    "infinite": (BASE.assign(year=np.inf), "auto", "'year'"),
    "fractions for counts": (BASE.assign(visits=BASE.visits + 0.5), KINDS, "'visits'"),
    "negative for lognormal": (BASE.assign(income=-BASE.income), KINDS, "'income'"),
    "missed": (BASE, KINDS[:-1], "likelihood leaves out the column 'clicks'"),
    "repeated": (
        BASE,
        [*KINDS, ("poisson", ["clicks"])],
        "likelihood has the column 'clicks' more than once",
    ),
    "not there": (BASE, [("poisson", ["height"])], "likelihood has the columns"),
    "no kind": (BASE, [("weibull", slice(None))], "likelihood has the kind 'weibull'"),
    "empty": (BASE, [], r"likelihood=[]"),
    "no pairs": (BASE, ["gaussian"], "likelihood has the entry 'gaussian'"),
    "option": (
        BASE,
        [("poisson", ["visits"], {"noise": 1.0}), ("auto", slice(None))],
        "likelihood has the option 'noise'",
    ),
    "other option": (
        BASE,
        [("gaussian", ["year"], {"scale": 1.0}), ("auto", slice(None))],
        "likelihood has the option 'scale'",
    ),
    "text is no number": (BASE[["plan", "year"]], "gaussian", "'plan'"),
    "one row": (BASE[:1], "auto", "2 rows"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_tables_that_are_refused_say_where_and_what_to_do(name):
    X, likelihood, word = REFUSED[name]
    with pytest.raises(ValueError) as error:
        fitted(X, likelihood=likelihood)
    message = str(error.value)
    assert word in message
    assert message.endswith(".")
    assert ";" in message
    assert "\n" not in message


@pytest.mark.parametrize("noise", ["foo", -1.0, 0.0])
def test_noise_of_a_column_is_checked_as_that_of_all(noise):
    likelihood = [("gaussian", ["year"], {"noise": noise}), ("auto", slice(None))]
    with pytest.raises(ValueError, match="noise"):
        fitted(BASE, likelihood=likelihood)


def test_noise_without_a_real_column():
    X = BASE[["plan", "smokes"]]
    with pytest.raises(ValueError, match="noise='learned' has no effect"):
        fitted(X, noise="learned")


# Units.


def offset_table(n_samples=200, offset=0.0):
    """Values of order one around an offset."""
    rng = np.random.default_rng(0)
    t = rng.normal(size=(n_samples, 1))
    return offset + t * [1.0, 0.5] + 0.2 * rng.normal(size=(n_samples, 2))


def test_a_large_offset_costs_no_digits():
    params = {"likelihood": "auto", "max_epochs": 20, "lr": 0.01}
    near, far = offset_table(), offset_table(offset=1e6)
    expected = fitted(near, **params).score(near)
    assert fitted(far, **params).score(far) == pytest.approx(expected, abs=1e-2)


def test_years_keep_their_quarters():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {"year": 2019.25 + rng.integers(0, 8, 100) / 4, "more": rng.normal(size=100)}
    )
    est = VAE(likelihood="auto", mask_rate=0.2, **SHORT).set_output(transform="pandas")
    quietly(est.fit, X)
    assert_array_equal(est.impute(X).year, X.year)
    drawn = est.sample(50)[0].year
    assert_array_equal(drawn * 4, np.rint(drawn * 4))
    assert drawn.between(2000, 2040).all()


@pytest.mark.parametrize("column", ["year", "income"])
def test_the_score_is_a_density_in_the_unit_of_the_column(column):
    X = mixed_table(200)
    params = {"likelihood": KINDS, "max_epochs": 20, "lr": 0.01}
    expected = fitted(X, **params).score(X) - np.log(1000)
    Y = X.assign(**{column: 1000 * X[column]})
    assert fitted(Y, **params).score(Y) == pytest.approx(expected, abs=1e-2)


def test_a_fixed_noise_is_in_the_unit_of_its_column():
    X = mixed_table(100)
    likelihood = [
        ("gaussian", ["year"], {"noise": 0.25}),
        ("lognormal", ["income"], {"noise": 0.5}),
        ("auto", slice(None)),
    ]
    parts = fitted(X, likelihood=likelihood).net_.module_.likelihood.parts
    sd = {
        part.is_log: float(part._scale * part.inner.variance().sqrt())
        for part in parts
        if isinstance(part, Standardised)
    }
    assert sd == pytest.approx({False: 0.25, True: 0.5}, rel=1e-5)


def test_noise_of_all_is_that_of_columns_without_their_own():
    likelihood = [("gaussian", ["year"], {"noise": 0.25}), ("auto", slice(None))]
    est = fitted(mixed_table(60), likelihood=likelihood, noise="heteroscedastic")
    noises = [
        getattr(part, "noise", None) for part in est.net_.module_.likelihood.parts
    ]
    assert noises.count(0.25) == 1
    assert noises.count("heteroscedastic") == 1


def test_observed_numbers_of_many_digits_are_as_they_were():
    seconds = np.random.default_rng(0).integers(1_600_000_000, 1_700_000_000, 60)
    X = mixed_table(60).assign(seconds=seconds)
    filled = fitted(X, mask_rate=0.2).impute(X)
    assert_array_equal(filled.seconds, seconds)


# Round trips.


@st.composite
def tables(draw):
    n = draw(st.integers(0, 12))
    finite = st.floats(-1e3, 1e3, allow_nan=False)

    def column(values, first, second, missing=True):
        if missing:
            values = st.one_of(values, st.just(None))
        # Two rows that are known, so that no column is constant.
        return [first, second, *draw(st.lists(values, min_size=n, max_size=n))]

    return pd.DataFrame(
        {
            "x": pd.array(column(finite, -0.7, 3.14159), dtype="Float64"),
            "k": pd.array(column(st.integers(0, 10**6), 0, 5), dtype="Int64"),
            "b": pd.array(column(st.booleans(), True, False), dtype="boolean"),
            "c": pd.Categorical(column(st.sampled_from(["p", "q", "r"]), "q", "p")),
            "m": column(st.floats(1e-3, 1e6), 0.33333, 8.1, missing=False),
        }
    )


@given(X=tables())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_rows_are_decoded_to_what_was_encoded(X):
    likelihood = [
        ("gaussian", ["x"]),
        ("poisson", ["k"]),
        ("bernoulli", ["b"]),
        ("categorical", ["c"]),
        ("lognormal", ["m"]),
    ]
    est = VAE()
    rows = read_rows(est, X, likelihood)
    values = rows.encode(est, X, reset=True)
    assert values.dtype == np.float32
    assert_array_equal(np.isnan(values), X.isna().to_numpy())
    back = rows.decode(est, values, like=X)
    for name in ("k", "b", "c"):
        pd.testing.assert_series_equal(back[name], X[name])
    for name in ("x", "m"):
        before, after = (t[name].to_numpy(float, na_value=np.nan) for t in (X, back))
        spread = 2 * np.nanmax(np.abs(before))
        assert_allclose(after, before, rtol=1e-6, atol=1e-7 * spread)


# Likelihoods of one's own.


class Unbounded(Likelihood):
    """Overflows where an output is above 1."""

    def log_prob(self, x, outputs):
        return x * outputs - (100 * outputs + 200).exp()

    def mean(self, outputs):
        return outputs

    def sample(self, outputs, generator):
        return outputs


def test_a_likelihood_that_overflows_is_named():
    with pytest.raises(ValueError) as error:
        fitted(curve(40), likelihood=Unbounded())
    message = str(error.value)
    assert "likelihood=Unbounded" in message
    assert "StandardScaler" not in message
    assert "scale X" not in message


# With scikit-learn.


def test_a_continued_fit_has_the_likelihood_that_it_began_with():
    X = mixed_table(60)
    est = fitted(X, likelihood=KINDS, warm_start=True)
    quietly(est.fit, X)
    other = [("negative_binomial", ["visits"]), ("auto", slice(None))]
    est.set_params(likelihood=other)
    with pytest.raises(ValueError, match=r"likelihood=.*warm_start=False"):
        est.fit(X)


def test_a_continued_fit_reads_tables_as_the_first_one():
    X = mixed_table(120)
    est = fitted(X, likelihood="auto", warm_start=True)
    center, module = est._rows.center, est.net_.module_
    quietly(est.fit, X[X.plan != "free"])
    assert est.net_.module_ is module
    assert_array_equal(est._rows.center, center)
    assert_array_equal(est.categories_["plan"], ["basic", "free", "gold"])


@pytest.mark.parametrize(
    "likelihood", [None, "auto", KINDS], ids=["None", "auto", "list"]
)
def test_parameters_are_kept_as_they_are_given(likelihood):
    est = VAE(likelihood=likelihood, mask_rate=0.1, **SHORT)
    assert est.get_params()["likelihood"] is likelihood
    copy = clone(est)
    assert copy.get_params()["likelihood"] == likelihood
    quietly(copy.fit, mixed_table(40))
    assert copy.get_params()["likelihood"] == likelihood


@pytest.mark.parametrize("estimator", [VAE, GMVAE])
def test_a_pickle_answers_the_same(estimator):
    X = mixed_table(60)
    est = fitted(X, estimator, mask_rate=0.2)
    copy = pickle.loads(pickle.dumps(est))
    assert_array_equal(copy.score_samples(X), est.score_samples(X))
    assert_array_equal(copy.transform(X), est.transform(X))
    pd.testing.assert_frame_equal(copy.sample(5)[0], est.sample(5)[0])
    pd.testing.assert_frame_equal(copy.reconstruct(X), est.reconstruct(X))
    assert copy.columns_ == est.columns_


@pytest.mark.slow
def test_a_search_over_the_latent_dimension():
    X = mixed_table(120)
    search = GridSearchCV(VAE(likelihood="auto", **SHORT), {"latent_dim": [1, 2]}, cv=3)
    quietly(search.fit, X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.columns_["plan"] == "categorical"


def test_a_pipeline_with_a_column_transformer_in_front():
    X = mixed_table(80)
    scale = ColumnTransformer(
        [("scaled", StandardScaler(), ["year"])], remainder="passthrough"
    ).set_output(transform="pandas")
    pipe = make_pipeline(scale, VAE(likelihood="auto", **SHORT))
    quietly(pipe.fit, X)
    columns = pipe[-1].columns_
    assert columns["scaled__year"] == "gaussian"
    assert columns["remainder__plan"] == "categorical"
    assert pipe.transform(X).shape == (80, 1)
    assert np.isfinite(pipe.score(X))


@pytest.mark.slow
def test_mixed_tables_train_in_every_way():
    X = mixed_table(60)
    X.loc[3, "plan"] = None
    X.loc[4, "year"] = np.nan
    for params in (
        {"prior": "vamp", "n_pseudo_inputs": 5},
        {"objective": "iwae", "n_draws": 3, "noise": "learned"},
        {"early_stopping": True},
        {"noise": "heteroscedastic"},
        {"posterior": "full", "latent_dim": 2},
    ):
        est = fitted(X, **params)
        assert np.isfinite(est.score_samples(X)).all()
        assert not est.impute(X, 20).isna().to_numpy().any()


def test_networks_have_the_widths_of_the_likelihood():
    X = mixed_table(60)
    likelihood = fitted(X).net_.module_.likelihood
    n_inputs, width = likelihood.n_inputs(6), likelihood.width(6)
    # Three categories, and one number for each of the others.
    assert (n_inputs, width) == (8, 8)
    est = fitted(
        X, encoder=torch.nn.Linear(n_inputs, 2), decoder=torch.nn.Linear(1, width)
    )
    assert np.isfinite(est.score(X))
