"""decode(encode(X)) is X, in its dtypes and with its missing cells."""

import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from sklvm.columns import Schema
from sklvm.columns._cells import object_cells
from tests.columns import tables

RNG = np.random.default_rng(1)
N = 200
MISSING = RNG.random(N) < 0.1
COUNTS = RNG.poisson(4, N)
FLAGS = RNG.random(N) < 0.3
TEXT = RNG.choice(["x", "y", "z"], N)


def assert_round_trip(X, components="auto"):
    before = X.copy(deep=True)
    schema = Schema.read(X, components)
    values = schema.encode(X)
    assert values.dtype == np.float64
    assert_frame_equal(schema.decode(values, like=X), X)
    assert_frame_equal(X, before)
    np.testing.assert_array_equal(np.isnan(values), X.isna())
    return schema, values


@pytest.mark.parametrize("name", ["survey", "patients"])
def test_tables(name):
    assert_round_trip(getattr(tables, name)())


def test_index_is_taken_over():
    table = tables.customers().drop(columns=["joined"]).set_index("customer_id")
    schema, values = assert_round_trip(table)
    assert list(schema.decode(values).index) == list(range(len(table)))


@pytest.mark.parametrize(
    "dtype",
    "int8 uint8 int32 int64 Int64 UInt8 float32 float64 Float32 object".split(),
)
def test_numbers(dtype):
    column = pd.Series(COUNTS).astype(dtype)
    assert_round_trip(column.to_frame("a"))
    if dtype not in ("int8", "uint8", "int32", "int64"):
        assert_round_trip(column.mask(MISSING).to_frame("a"))


@pytest.mark.parametrize("dtype", ["bool", "boolean", "object"])
def test_booleans(dtype):
    column = pd.Series(FLAGS).astype(dtype)
    schema, values = assert_round_trip(column.to_frame("a"))
    assert schema.columns[0].categories.tolist() == [False, True]
    np.testing.assert_array_equal(values[:, 0], FLAGS)
    if dtype != "bool":
        assert_round_trip(column.mask(MISSING).to_frame("a"))


@pytest.mark.parametrize("dtype", [None, "string", "object", "category"])
def test_text(dtype):
    for column in (pd.Series(TEXT), pd.Series(TEXT).mask(MISSING)):
        # None is what pandas itself makes of text: str, or object before pandas 3.
        frame = pd.DataFrame({"a": column if dtype is None else column.astype(dtype)})
        schema, values = assert_round_trip(frame)
        assert schema.columns[0].categories.tolist() == ["x", "y", "z"]
        assert set(values[~np.isnan(values)]) == {0, 1, 2}


def test_a_categorical_dtype_keeps_the_levels_that_no_row_has():
    dtype = pd.CategoricalDtype(["z", "unseen", "y", "x"], ordered=True)
    schema, _ = assert_round_trip(
        pd.DataFrame({"a": pd.Categorical(TEXT, dtype=dtype)})
    )
    assert schema.columns[0].categories.tolist() == ["z", "y", "x"]
    assert schema.columns[0].dtype == dtype


@pytest.mark.parametrize(
    "column",
    [
        pd.Categorical(COUNTS),
        pd.Categorical(FLAGS),
        pd.cut(COUNTS, 3),
        pd.arrays.SparseArray(COUNTS, fill_value=0),
    ],
    ids=["whole", "boolean", "interval", "sparse"],
)
def test_other_dtypes(column):
    assert_round_trip(pd.DataFrame({"a": column}))


@pytest.mark.parametrize(
    "dtype", ["int8[pyarrow]", "double[pyarrow]", "bool[pyarrow]", "string[pyarrow]"]
)
def test_arrow(dtype):
    pytest.importorskip("pyarrow")
    values = {"b": FLAGS, "s": TEXT}.get(dtype[0], COUNTS)
    if dtype == "double[pyarrow]":
        values = COUNTS.astype(float)
    column = pd.Series(values).astype(dtype)
    assert_round_trip(pd.DataFrame({"a": column.mask(MISSING)}))


@pytest.mark.parametrize(
    "dtype, expected",
    [
        ("int16", "Int16"),
        ("uint8", "UInt8"),
        ("bool", "boolean"),
        ("float32", "float32"),
        (pd.SparseDtype(int, 0), "Sparse[float64, nan]"),
    ],
)
def test_a_missing_cell_makes_a_dtype_nullable(dtype, expected):
    frame = pd.DataFrame({"a": (FLAGS if dtype == "bool" else COUNTS)}).astype(dtype)
    schema = Schema.read(frame)
    values = schema.encode(frame)
    values[0] = np.nan
    decoded = schema.decode(values)["a"]
    assert str(decoded.dtype) == expected
    assert decoded.isna().tolist() == [True] + [False] * (N - 1)
    assert decoded[1] == frame["a"][1]


@pytest.mark.parametrize("dtype", ["int8", "Int8"])
def test_a_large_sample_gets_the_bits_that_it_needs(dtype):
    schema = Schema.read(pd.DataFrame({"a": COUNTS}).astype(dtype))
    assert schema.decode([[300.0], [1.0]])["a"].tolist() == [300, 1]


def test_what_a_model_says_is_rounded_to_what_the_column_allows():
    frame = pd.DataFrame(
        {
            "count": COUNTS,
            "euros": np.exp(RNG.normal(3, 1, N)).round() + 1,
            "flag": FLAGS,
            "text": TEXT,
            "real": RNG.normal(size=N),
        }
    )
    schema = Schema.read(frame)
    decoded = schema.decode([[2.7, 0.2, 0.7, 1.8, 0.25], [0.2, 7.6, -0.4, 9, -1.5]])
    assert decoded["count"].tolist() == [3, 0]
    assert decoded["euros"].tolist() == [1, 8]  # 0 would have no density
    assert decoded["flag"].tolist() == [True, False]
    assert decoded["text"].tolist() == ["z", "z"]
    assert decoded["real"].tolist() == [0.25, -1.5]
    assert schema.encode(decoded).shape == (2, 5)


@pytest.mark.parametrize("dtype", ["int16", "float32", "float64", "bool"])
def test_arrays_keep_their_dtype(dtype):
    X = np.stack([FLAGS, ~FLAGS] if dtype == "bool" else [COUNTS, COUNTS + 1], axis=1)
    X = X.astype(dtype)
    schema = Schema.read(X)
    values = schema.encode(X)
    decoded = schema.decode(values)
    assert decoded.dtype == X.dtype
    np.testing.assert_array_equal(decoded, X)
    values[0, 0] = np.nan
    assert np.isnan(schema.decode(values).astype(float)[0, 0])


def test_arrays_of_objects_and_lists():
    rows = [[text, count, None] for text, count in zip(TEXT, COUNTS, strict=True)]
    for j, row in enumerate(rows):
        row[2] = [True, False, None][j % 3]
    for X in (rows, np.array(rows, dtype=object)):
        schema = Schema.read(X)
        decoded = schema.decode(schema.encode(X))
        assert [c.kind for c in schema.columns] == [
            "categorical",
            "poisson",
            "bernoulli",
        ]
        assert decoded[:, :2].tolist() == [row[:2] for row in rows]
        assert decoded[0, 2] is True and np.isnan(decoded[2, 2])


@pytest.mark.parametrize("as_table", [list, np.array])
def test_text_in_arrays_of_one_dtype(as_table):
    """NumPy makes strings of all cells, which a list keeps apart."""
    X = as_table([["a", "x"], ["b", "y"]] * 10)
    np.testing.assert_array_equal((s := Schema.read(X)).decode(s.encode(X)), X)
    rows = [["a", 1.5], ["b", -2.5], ["b", 0.5]] * 10
    assert Schema.read(rows).decode([[1, -2.5]]).tolist() == [["b", -2.5]]


def test_objects_where_pandas_was_not_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, "pandas")
    cells = object_cells(np.array(["b", None, np.nan, "a"], dtype=object))
    np.testing.assert_array_equal(cells.values, [1, np.nan, np.nan, 0])
    assert cells.labels.tolist() == ["a", "b"]


def test_a_frame_as_an_array():
    frame = pd.DataFrame({"a": RNG.choice([1, 2], N), "b": RNG.normal(size=N)})
    schema = Schema.read(frame)
    array = schema.decode(schema.encode(frame), as_frame=False)
    np.testing.assert_array_equal(array, frame.to_numpy())


CELLS = {
    "gaussian": st.integers(-(10**6), 10**6) | st.floats(-1e9, 1e9, width=32),
    "lognormal": st.floats(0, 1e9, width=32, exclude_min=True),
    "bernoulli": st.booleans(),
    "poisson": st.integers(0, 2**40),
    "negative_binomial": st.integers(0, 300),
    "categorical": st.text(max_size=3),
}


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(data=st.data(), kind=st.sampled_from(list(CELLS)))
def test_any_column_of_any_kind(data, kind):
    """By hand, with missing cells, as objects and in the dtype that pandas infers."""
    distinct = data.draw(st.lists(CELLS[kind], min_size=2, max_size=2, unique=True))
    cells = data.draw(st.lists(st.none() | CELLS[kind], max_size=20))
    if kind == "bernoulli":
        distinct = [False, True]
    column = pd.Series(distinct + cells, dtype=object)
    for frame in (column.to_frame("a"), column.infer_objects().to_frame("a")):
        schema = Schema.read(frame, [(kind, "a")])
        decoded = schema.decode(schema.encode(frame))
        assert decoded["a"].dtype == frame["a"].dtype
        np.testing.assert_array_equal(decoded.isna(), frame.isna())
        present = frame["a"].notna()
        assert decoded["a"][present].tolist() == frame["a"][present].tolist()


def test_names_of_the_axes_are_kept():
    X = pd.DataFrame({"a": [1.5, 2.5, np.nan], "b": list("uvu")})
    X = X.rename_axis(index="row", columns="field")
    schema = Schema.read(X)
    out = schema.decode(schema.encode(X), like=X)
    assert (out.index.name, out.columns.name) == ("row", "field")
