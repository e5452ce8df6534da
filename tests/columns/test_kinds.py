"""Which kind "auto" takes a column for."""

import numpy as np
import pandas as pd
import pytest

from sklvm.columns import Schema
from tests.columns import tables

RNG = np.random.default_rng(0)
N = 500


def kinds(X):
    return {column.name: column.kind for column in Schema.read(X).columns}


def test_customers():
    table = tables.customers().drop(columns=["customer_id", "joined"])
    assert kinds(table) == tables.CUSTOMERS


def test_customers_as_a_file_has_them(tmp_path):
    tables.customers().to_csv(tmp_path / "customers.csv", index=False)
    table = pd.read_csv(tmp_path / "customers.csv")
    assert kinds(table.drop(columns=["customer_id", "joined"])) == tables.CUSTOMERS


def test_dates_and_identifiers_of_customers_are_refused_together():
    with pytest.raises(ValueError, match=r"(?s)'joined'.*'customer_id'") as refused:
        Schema.read(tables.customers())
    assert "days since a date" in str(refused.value)
    assert "make them the index" in str(refused.value)


@pytest.mark.parametrize("name", ["survey", "patients", "houses"])
def test_tables(name):
    assert kinds(getattr(tables, name)()) == getattr(tables, name.upper())


def one(values):
    """The kind of a column in an array; as a list with None in place of NaN as well."""
    values = np.asarray(values)
    kind = kinds(values[:, None])[0]
    if values.dtype.kind == "f":
        cells = [[None if np.isnan(value) else value] for value in values]
        assert kinds(cells) == {0: kind}
    return kind


@pytest.mark.parametrize(
    "kind, values",
    [
        ("bernoulli", RNG.random(N) < 0.5),
        ("bernoulli", (RNG.random(N) < 0.01).astype(np.int8)),
        ("bernoulli", RNG.choice([0.0, 1.0, np.nan], N)),
        ("bernoulli", [0, 1, 1]),
        ("categorical", RNG.choice([1, 2], N)),
        ("categorical", RNG.choice([-1, 1], N)),
        ("categorical", RNG.choice([0.5, 1.5], N)),
        ("categorical", RNG.integers(1, 8, N)),
        ("categorical", RNG.choice([0, 5, 10, 20], N)),
        ("poisson", RNG.poisson(1.2, N)),
        ("poisson", RNG.poisson(6, N)),
        ("poisson", np.where(RNG.random(N) < 0.2, np.nan, RNG.poisson(6, N))),
        ("negative_binomial", RNG.negative_binomial(1, 0.05, N)),
        ("negative_binomial", RNG.poisson(RNG.choice([2, 20], N))),
        ("gaussian", RNG.integers(0, 91, N)),
        ("gaussian", RNG.binomial(20, 0.7, N)),
        ("gaussian", RNG.integers(18, 91, N)),
        ("gaussian", RNG.poisson(1.5, N) - 1),
        ("gaussian", RNG.normal(5, 1, N)),
        ("gaussian", RNG.normal(50, 20, N).round(-1)),
        ("gaussian", RNG.uniform(size=N)),
        ("gaussian", RNG.exponential(size=N) - 0.01),
        ("gaussian", np.r_[RNG.normal(50, 5, N), 5000]),
        ("gaussian", np.exp(RNG.normal(size=15))),
        ("lognormal", np.exp(RNG.normal(size=N))),
        ("lognormal", np.exp(RNG.normal(10, 1, N)).round(-2)),
        ("lognormal", np.exp(RNG.normal(3, 1, 60)).astype(np.float32)),
        ("lognormal", RNG.exponential(size=5000)),
    ],
)
def test_values_decide(kind, values):
    assert one(values) == kind


def test_a_few_rare_levels_make_no_scale():
    """The upper end of counts is a thin tail, that of a scale is not."""
    assert one(np.repeat([0, 1, 2, 3], [200, 150, 100, 50])) == "categorical"
    assert one(np.repeat([0, 1, 2, 3], [300, 150, 47, 3])) == "poisson"
    assert one(np.repeat([1, 2, 3, 4], [300, 150, 47, 3])) == "gaussian"
    assert one(np.repeat([1, 2, 3, 4], [300, 150, 40, 10])) == "categorical"


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("mean", [0.5, 1, 3, 6])
def test_counts_are_told_from_reals_in_any_sample(mean, seed):
    rng = np.random.default_rng(seed)
    assert one(rng.poisson(mean, 1000)) == "poisson"
    assert one(rng.poisson(mean * rng.gamma(1, size=1000))) == "negative_binomial"


@pytest.mark.parametrize("seed", range(20))
def test_reals_have_no_long_tail_by_chance(seed):
    rng = np.random.default_rng(seed)
    assert one(rng.normal(10, 2, 100)) == "gaussian"
    assert one(rng.uniform(size=40)) == "gaussian"
    assert one(np.exp(rng.normal(0, 0.8, 300))) == "lognormal"


def test_the_order_of_rows_and_repeated_rows_change_nothing():
    table = tables.patients()
    assert kinds(table.sample(frac=1, random_state=0)) == kinds(table)
    assert kinds(pd.concat([table, table])) == kinds(table)


def test_objects_are_what_they_hold():
    table = pd.DataFrame(
        {
            "real": pd.Series([1.5, None, 2.25, -1.0] * 20, dtype=object),
            "flag": pd.Series([True, None, False, True] * 20, dtype=object),
            "text": pd.Series(["a", None, "b", np.nan] * 20, dtype=object),
            "count": pd.Series(RNG.poisson(2, 80)).astype(object),
        }
    )
    assert kinds(table) == {
        "real": "categorical",
        "flag": "bernoulli",
        "text": "categorical",
        "count": "poisson",
    }


def test_describe_says_what_each_column_was_taken_for():
    lines = Schema.read(tables.patients()).describe().splitlines()
    assert lines[0].split() == ["column", "kind", "content"]
    assert lines[1] == "age          gaussian           whole numbers 0 to 89"
    assert lines[7].split()[:2] == ["falls", "negative_binomial"]
    assert lines[9].endswith("False or True")
    assert lines[10].endswith("3 categories: 0, A, B")


def test_describe_counts_missing_cells():
    lines = Schema.read(tables.houses()).describe().splitlines()
    assert lines[8].endswith("% missing")
    assert "a long tail" in lines[1]


@pytest.mark.parametrize("table", [tables.patients(), tables.houses()])
def test_a_weight_is_a_number_of_rows(table):
    weight = np.random.default_rng(0).integers(1, 4, len(table))
    weighted = Schema.read(table, sample_weight=weight)
    repeated = Schema.read(table.loc[table.index.repeat(weight)])
    assert [c.kind for c in weighted.columns] == [c.kind for c in repeated.columns]


def test_the_rows_of_a_weight_are_enough_for_a_histogram():
    x = np.r_[0, 0, 0, 1, 1, 2, 3, 5][:, np.newaxis]
    assert Schema.read(x).columns[0].kind == "gaussian"
    weighted = Schema.read(x, sample_weight=np.full(8, 10))
    assert weighted.columns[0].kind == Schema.read(np.repeat(x, 10, 0)).columns[0].kind


def test_counts_beyond_a_histogram_are_numbers():
    x = np.random.default_rng(0).poisson(3, (500, 1))
    assert Schema.read(x).columns[0].kind == "poisson"
    x[0] = 4095
    assert Schema.read(x).columns[0].kind == "negative_binomial"
    x[0] = 4096
    assert Schema.read(x).columns[0].kind == "gaussian"


def test_nearly_all_missing_is_said_in_percent():
    x = np.full(1000, np.nan)
    x[:3] = [1.5, 2.25, 7]
    lines = Schema.read(pd.DataFrame({"x": x})).describe()
    assert "99.7 % missing" in lines


def test_a_narrow_range_of_large_numbers_is_told():
    x = 1.6e9 + np.random.default_rng(0).normal(size=50).round(1)
    lines = Schema.read(pd.DataFrame({"time": x})).describe()
    assert f"{x.min():.11g} to {x.max():.11g}" in lines
