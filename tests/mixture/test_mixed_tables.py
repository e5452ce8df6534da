"""Mixtures of mixed columns as users have them: tables in and out, and Pipelines."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklvm import MixtureEM

from .mixed import KINDS, components, make, people, run

X = people(missing=0.15)
WHOLE = people()


@pytest.fixture(scope="module")
def fitted():
    return run(make(), X, 10)


def assert_like(table, other):
    """Names, dtypes and categories of a DataFrame, and values that may occur in it."""
    assert list(table.columns) == list(other.columns)
    assert table.dtypes.tolist() == other.dtypes.tolist()
    for name in table:
        if KINDS[name] == "categorical":
            assert set(table[name].dropna()) <= set(other[name].dropna())
    assert (table["spend"].dropna() > 0).all()
    assert (table[["calls", "visits"]].min() >= 0).all()


# Tables out ------------------------------------------------------------------------


def test_samples_are_tables_like_the_fitted_one(fitted):
    table, labels = fitted.sample(500)
    assert_like(table, X)
    assert not table.isna().any().any()
    assert (np.diff(labels) >= 0).all()
    again, _ = fitted.sample(500)
    pd.testing.assert_frame_equal(table, again)
    assert np.isfinite(fitted.score_samples(table)).all()


@pytest.mark.slow
def test_samples_are_of_the_density(fitted):
    table, _ = fitted.sample(20000)
    assert abs(fitted.score(table) - fitted.score(fitted.sample(20001)[0])) < 0.05
    shares = table["plan"].value_counts(normalize=True)
    assert abs(shares - X["plan"].value_counts(normalize=True)).max() < 0.02
    refit = run(make(), table, 20)
    assert refit.score(X) > fitted.score(X) - 0.1


def test_impute_fills_what_is_missing_and_nothing_else(fitted):
    table = X.set_index(pd.Index([f"row {i}" for i in range(len(X))]))
    filled = fitted.impute(table)
    assert_like(filled, X)
    assert filled.index.equals(table.index)
    assert not filled.isna().any().any()
    known = table.notna()
    pd.testing.assert_frame_equal(filled.where(known), table.where(known))


def test_impute_gives_means_modes_and_counts(fitted):
    """Against many draws of the same cells."""
    row = X.head(1).mask([[n in ("height", "spend", "plan", "member") for n in KINDS]])
    filled = fitted.impute(row).iloc[0]
    (draws,) = fitted.sample_missing(row.loc[row.index.repeat(4000)])
    for name in ("height", "spend"):
        error = abs(draws[name].mean() - filled[name])
        assert error < 5 * draws[name].std() / np.sqrt(4000)
    for name in ("plan", "member"):
        assert filled[name] == draws[name].mode()[0]


def test_draws_are_a_list_of_tables(fitted):
    draws = fitted.sample_missing(X, 3)
    assert isinstance(draws, list)
    assert len(draws) == 3
    for table in draws:
        assert_like(table, X)
        assert table.index.equals(X.index)
        pd.testing.assert_frame_equal(table.where(X.notna()), X.where(X.notna()))
    assert not draws[0].equals(draws[1])


def test_inverse_transform_gives_a_row_for_each_mixture(fitted):
    table = fitted.inverse_transform(np.eye(3))
    assert_like(table, X)
    assert_allclose(table["height"], fitted.components_[0].means[:, 0])


def test_a_frame_of_numbers_comes_back_as_a_frame():
    numbers = WHOLE[["height", "weight", "spend"]]
    est = MixtureEM(2, random_state=0).fit(numbers)
    for table in (
        est.sample(3)[0],
        est.impute(numbers),
        est.inverse_transform([[1, 0]]),
    ):
        assert isinstance(table, pd.DataFrame)
        assert list(table) == list(numbers)
    assert isinstance(est.transform(numbers), np.ndarray)
    est.set_output(transform="pandas")
    assert isinstance(est.transform(numbers), pd.DataFrame)


def test_arrays_in_arrays_out():
    array = WHOLE.to_numpy(dtype=object)
    est = MixtureEM(2, random_state=0).fit(array)
    assert list(est.columns_) == list(range(8))
    table, _ = est.sample(50)
    assert table.dtype == object
    assert {type(v) for v in table[:, 3]} == {bool}
    assert {type(v) for v in table[:, 4]} == {int}
    assert {type(v) for v in table[:, 6]} == {str}
    integers = np.random.default_rng(0).poisson(4, size=(200, 3))
    sample, _ = MixtureEM(2, random_state=0).fit(integers).sample(5)
    assert sample.dtype == integers.dtype


@pytest.mark.slow
def test_polars_in_polars_out():
    pl = pytest.importorskip("polars")
    table = pl.DataFrame({name: WHOLE[name].tolist() for name in WHOLE})
    est = run(make(), table, 5)
    sample, _ = est.sample(20)
    assert sample.schema == table.schema
    other = run(make(), WHOLE.astype({"region": str}), 5)
    assert_allclose(est.score_samples(table), other.score_samples(WHOLE), rtol=1e-10)
    holes = table.with_columns(plan=pl.lit(None, dtype=pl.String))
    filled = est.impute(holes)
    assert filled.schema == table.schema
    assert filled["plan"].null_count() == 0


# Rounding ---------------------------------------------------------------------------


def rounded_table(n=400):
    rng = np.random.default_rng(0)
    z = rng.integers(2, size=n)
    bill = np.exp(rng.normal(3 + z, 0.5)).round(2)
    return pd.DataFrame(
        {
            "bill": bill,
            "speed": (rng.normal(30 + 10 * z, 5).round() * 100).astype(int),
            "dose": (rng.normal(10 - 3 * z, 1) * 4).round() / 4,
            "real": rng.normal(size=n) + z,
            "city": np.where(z + rng.random(n) < 0.8, "Bonn", "Kiel"),
        }
    )


STEPS = {"bill": 0.01, "speed": 100, "dose": 0.25}


def test_rows_are_rounded_as_those_of_the_table():
    table = rounded_table()
    est = MixtureEM(2, random_state=0).fit(table)
    rows, _ = est.sample(1000)
    asked = table.assign(bill=np.nan, dose=np.nan, speed=np.nan)
    draw, again = est.sample_missing(asked, n_draws=2)
    assert not draw.equals(again)
    for answer in (rows, draw, est.impute(asked), est.inverse_transform([[0.5, 0.5]])):
        assert answer.dtypes.equals(table.dtypes)
        for name, step in STEPS.items():
            # The very numbers that are read from a file.
            exact = [round(float(x), 2) for x in answer[name]]
            assert_array_equal(answer[name], exact)
            assert_allclose(answer[name] / step, (answer[name] / step).round())
    assert (rows["bill"] > 0).all()
    assert rows["real"].nunique() == 1000


def test_observed_cells_are_not_rounded():
    table = rounded_table()
    est = MixtureEM(2, random_state=0).fit(table)
    asked = table.head(2).assign(bill=[1.2345, np.nan], speed=[150, 1000], dose=np.nan)
    for answer in (est.impute(asked), *est.sample_missing(asked)):
        assert answer["bill"].iloc[0] == 1.2345
        assert answer["speed"].tolist() == [150, 1000]
        assert (answer["dose"] % 0.25 == 0).all()


# Categories not seen ---------------------------------------------------------------


def test_an_unknown_category_may_be_missing(fitted):
    est = copy.deepcopy(fitted).set_params(handle_unknown="missing")
    strange, absent = X.copy(), X.copy()
    strange["plan"] = "platinum"
    absent["plan"] = None
    assert_array_equal(est.score_samples(strange), est.score_samples(absent))


@pytest.mark.slow
def test_folds_that_lack_a_category():
    table = people(150)
    table.loc[7, "plan"] = "platinum"
    folds = KFold(3)
    grid = {"n_components": [1, 2, 3]}
    search = GridSearchCV(
        make(handle_unknown="missing"), grid, cv=folds, error_score="raise"
    ).fit(table)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    with pytest.raises(ValueError, match=r"'platinum' in the column 'plan'.*handle_"):
        GridSearchCV(make(), grid, cv=folds, error_score="raise").fit(table)


# Composition -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
def test_copies_carry_the_fit(fitted, duplicate):
    other = duplicate(fitted)
    assert_array_equal(other.score_samples(X), fitted.score_samples(X))
    pd.testing.assert_frame_equal(other.sample(5)[0], fitted.sample(5)[0])


def test_clone_has_the_parameters_only(fitted):
    other = clone(fitted)
    assert other.get_params() == fitted.get_params()
    assert not hasattr(other, "weights_")


def test_fit_leaves_table_and_parameters_as_they_were():
    before = X.copy(deep=True)
    chosen = components()
    kept = copy.deepcopy(chosen)
    est = make(components=chosen)
    run(est, X, 3)
    est.impute(X), est.sample_missing(X), est.predict_missing_proba(X, "plan")
    pd.testing.assert_frame_equal(X, before)
    assert est.components is chosen
    assert chosen == kept


def test_lives_in_pipelines_and_column_transformers():
    pipe = make_pipeline(FunctionTransformer(), make(2)).fit(WHOLE)
    assert_allclose(pipe.score(WHOLE), make(2).fit(WHOLE).score(WHOLE))
    numbers = make_column_selector(dtype_include="float")
    prepared = ColumnTransformer(
        [("mixture", MixtureEM(3, random_state=0), numbers)], remainder="drop"
    ).set_output(transform="pandas")
    out = prepared.fit_transform(WHOLE)
    assert list(out) == [f"mixture__mixtureem{k}" for k in range(3)]
    assert_allclose(out.sum(axis=1), 1)
    scaled = make_pipeline(StandardScaler(), MixtureEM(2, random_state=0))
    assert np.isfinite(scaled.fit(WHOLE[["height", "weight"]]).score(WHOLE.iloc[:, :2]))


def test_a_label_among_the_columns_makes_it_a_classifier():
    """About as accurate as the rule that drew the labels."""
    rng = np.random.default_rng(0)
    z = rng.integers(2, size=2000)
    table = pd.DataFrame(rng.normal(1.5 * z[:, np.newaxis], size=(2000, 2)))
    table.columns = ["a", "b"]
    table["label"] = np.array(["no", "yes"])[z]
    train, test = table[:1000], table[1000:]
    # Of one group in each class, so that the true posterior is within reach.
    est = MixtureEM(2, random_state=0).fit(train)
    proba = est.predict_missing_proba(test, "label")
    unseen = test.assign(label="never seen")
    assert_array_equal(est.predict_missing_proba(unseen, "label"), proba)
    assert est.categories_["label"].tolist() == ["no", "yes"]
    best = 1 / (1 + np.exp(-1.5 * (test["a"] + test["b"] - 1.5)))
    assert abs(proba[:, 1] - best).mean() < 0.05
    accuracy = (est.categories_["label"][proba.argmax(axis=1)] == test["label"]).mean()
    assert accuracy > ((best > 0.5) == (test["label"] == "yes")).mean() - 0.01


def test_verbose_says_what_each_column_was_taken_for(capsys):
    MixtureEM(verbose=1).fit(WHOLE)
    out, err = capsys.readouterr()
    assert out == ""
    for name in KINDS:
        assert name in err
    assert "negative_binomial" in err
