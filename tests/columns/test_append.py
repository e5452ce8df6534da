"""A table with one more column, in its own library."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from sklvm.columns._tables import read_table

VALUES = np.array([1.0, np.nan, 0.0])


@pytest.mark.parametrize(
    "dtype, expected",
    [
        ("float64", "float64"),
        ("float32", "float32"),
        ("int64", "float64"),
        ("bool", "float32"),
        ("object", "object"),
        ("datetime64[D]", "object"),
    ],
)
def test_arrays_stay_arrays_of_numbers(dtype, expected):
    X = np.array([[1, 0], [0, 1], [1, 1]]).astype(dtype)
    joined = read_table(X).append(VALUES)
    assert joined.dtype == expected
    assert_array_equal(joined[:, :2], X.astype(expected))
    assert_array_equal(joined[:, 2].astype(float), VALUES)


@pytest.mark.parametrize(
    "names, name",
    [
        (["a", "b"], "label"),
        (["label", "label_1"], "label_2"),
        ([0, 1], 2),
        ([2, 0], 3),
        ([("a", 0), ("a", 1)], 2),
        (["a", 7], 2),
    ],
)
def test_frames_get_a_column_of_a_name_that_is_free(names, name):
    X = pd.DataFrame([[1, "x"], [2, "y"], [3, "z"]], index=[5, 3, 5])
    X.columns = pd.Index(names, tupleize_cols=False)
    before = X.copy()
    joined = read_table(X).append(VALUES)
    pd.testing.assert_frame_equal(X, before)
    pd.testing.assert_frame_equal(joined.iloc[:, :2], X)
    assert list(joined) == [*names, name]
    assert_array_equal(joined.iloc[:, 2], VALUES)


def test_polars():
    pl = pytest.importorskip("polars")
    X = pl.DataFrame({"label": [1, 2, 3], "b": ["x", None, "z"]})
    joined = read_table(X).append(VALUES)
    assert joined.columns == ["label", "b", "label_1"]
    assert joined["label_1"].to_list() == [1, None, 0]
    assert X.columns == ["label", "b"]
