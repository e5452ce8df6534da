"""Polars frames in and out."""

import datetime

import numpy as np
import pandas as pd
import pytest

from sklvm import GaussianMixtureEM
from sklvm.columns import Schema
from tests.columns import tables

pl = pytest.importorskip("polars")

RNG = np.random.default_rng(3)
N = 200


def with_nulls(values, dtype=None):
    missing = RNG.random(N) < 0.1
    cells = [None if m else v for m, v in zip(missing, values.tolist(), strict=True)]
    return pl.Series("a", cells, dtype=dtype)


def assert_round_trip(X):
    from polars.testing import assert_frame_equal

    schema = Schema.read(X)
    values = schema.encode(X)
    assert_frame_equal(schema.decode(values), X)
    np.testing.assert_array_equal(np.isnan(values), X.select(pl.all().is_null()))
    return schema, values


def as_polars(table):
    cells = table.astype(object).where(table.notna(), None)
    return pl.DataFrame({name: cells[name].tolist() for name in cells})


@pytest.mark.parametrize("name", ["patients", "houses", "survey"])
def test_tables_read_as_in_pandas(name):
    table = getattr(tables, name)()
    schema, values = assert_round_trip(as_polars(table))
    assert {c.name: c.kind for c in schema.columns} == getattr(tables, name.upper())
    np.testing.assert_array_equal(values, Schema.read(table).encode(table))


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt64, pl.Float32, pl.Decimal(8, 2)])
def test_numbers(dtype):
    column = with_nulls(RNG.poisson(4, N), pl.Int64).cast(dtype)
    schema, _ = assert_round_trip(column.to_frame())
    assert schema.columns[0].kind == "poisson"


def test_booleans():
    schema, _ = assert_round_trip(with_nulls(RNG.random(N) < 0.5).to_frame())
    assert schema.columns[0].categories.tolist() == [False, True]


@pytest.mark.parametrize(
    "dtype, categories",
    [
        (pl.String, ["x", "y", "z"]),
        (pl.Categorical, ["x", "y", "z"]),
        (pl.Enum(["z", "unseen", "y", "x"]), ["z", "y", "x"]),
    ],
)
def test_text(dtype, categories):
    column = with_nulls(RNG.choice(["x", "y", "z"], N)).cast(dtype)
    schema, _ = assert_round_trip(column.to_frame())
    assert schema.columns[0].categories.tolist() == categories


def test_objects_come_back_as_numbers():
    X = pl.DataFrame({"a": pl.Series(RNG.normal(size=N).tolist(), dtype=pl.Object)})
    schema = Schema.read(X)
    assert schema.decode(schema.encode(X))["a"].to_list() == X["a"].to_list()


def test_nan_is_missing():
    X = pl.DataFrame({"a": [*RNG.normal(size=50), float("nan"), None]})
    values = Schema.read(X).encode(X)
    assert np.isnan(values[:, 0]).tolist() == [False] * 50 + [True] * 2


def test_a_large_sample_gets_the_bits_that_it_needs():
    schema = Schema.read(pl.DataFrame({"a": RNG.poisson(4, N).astype(np.int8)}))
    assert schema.decode([[300.0], [1.0]])["a"].to_list() == [300, 1]


def test_pandas_and_polars_encode_alike():
    table = tables.patients()
    schema = Schema.read(table)
    np.testing.assert_array_equal(schema.encode(as_polars(table)), schema.encode(table))
    assert isinstance(schema.decode(schema.encode(table)), pd.DataFrame)


@pytest.mark.parametrize(
    "what, values",
    [
        ("dates or times", [datetime.date(2020, 1, 1)] * N),
        ("dates or times", [datetime.datetime(2020, 1, 1), None] * (N // 2)),
        ("lists, dicts or arrays", [[1]] * N),
        ("lists, dicts or arrays", [{"a": 1}] * N),
        ("only missing values", [None] * N),
        ("a single value", [1] * N),
        ("as an identifier has", [f"C{i}" for i in range(N)]),
        ("numbers written as text", [str(i) for i in range(N)]),
    ],
)
def test_refusals(what, values):
    X = pl.DataFrame({"good": RNG.normal(size=N), "bad": values})
    with pytest.raises(ValueError, match=f"X has .*{what}.* in .*the column 'bad'"):
        Schema.read(X)


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Object])
def test_nulls_in_an_estimator_of_numbers(dtype):
    X = np.random.default_rng(0).normal(size=(20, 2))
    gaps = X.copy()
    gaps[3, 0] = np.nan
    first = pl.Series([None if np.isnan(x) else x for x in gaps[:, 0]], dtype=dtype)
    frame = pl.DataFrame({"a": first, "b": X[:, 1]})
    model = GaussianMixtureEM(random_state=0).fit(pl.DataFrame(X, schema=["a", "b"]))
    expected = model.score_samples(pl.DataFrame(gaps, schema=["a", "b"]))
    np.testing.assert_array_equal(model.score_samples(frame), expected)
