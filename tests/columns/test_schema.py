"""Blocks, names, and what a schema does with a second table."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_selector
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data

from sklvm.columns import KINDS, Schema
from tests.columns import tables


class Coder(TransformerMixin, BaseEstimator):
    """The smallest estimator on a schema."""

    def fit(self, X, y=None):
        self.schema_ = Schema.read(X, estimator_name="Coder")
        validate_data(self, X, skip_check_array=True)
        return self

    def transform(self, X):
        check_is_fitted(self)
        return self.schema_.encode(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.allow_nan = True
        return tags


@parametrize_with_checks([Coder()])
def test_scikit_learn_can_use_a_schema(estimator, check):
    check(estimator)


TABLE = tables.patients()
NAMES = list(TABLE.columns)


def blocks(components, X=TABLE):
    schema = Schema.read(X, components)
    return [(b.kind, b.columns.tolist(), b.options) for b in schema.blocks]


def test_auto_makes_a_block_of_each_kind():
    schema = Schema.read(TABLE)
    assert [block.kind for block in schema.blocks] == ["real", *KINDS[2:]]
    for block in schema.blocks:
        assert block.columns.dtype == np.intp
        kinds = {schema.columns[j].kind for j in block.columns}
        assert kinds == (set(KINDS[:2]) if block.kind == "real" else {block.kind})
    assert sorted(np.concatenate([b.columns for b in schema.blocks])) == list(range(11))
    assert schema.names == NAMES


def test_components_by_hand_and_the_rest():
    options = {"covariance_type": "full"}
    found = blocks(
        [
            ("gaussian", ["pulse", "temperature"], options),
            ("poisson", "falls"),
            ("auto", slice(None)),
        ]
    )
    assert found[:2] == [("gaussian", [3, 2], options), ("poisson", [6], {})]
    assert found[2][0] == "real"
    assert {0, 7} < set(found[2][1])
    rest = [j for _, at, _ in found[2:] for j in at]
    assert sorted(rest) == [0, 1, 4, 5, 7, 8, 9, 10]


@pytest.mark.parametrize(
    "columns",
    [
        ["age", "sex"],
        [0, 1],
        [-11, -10],
        slice("age", "sex"),
        slice(0, 2),
        np.arange(11) < 2,
        [True, True] + [False] * 9,
        np.array([0, 1]),
        pd.Index(["age", "sex"]),
        make_column_selector(pattern="^(?:age|sex)$"),
        lambda X: list(X.columns[:2]),
    ],
)
def test_columns_are_named_as_in_column_transformer(columns):
    assert blocks([("gaussian", columns), ("auto", slice(None))])[0][1] == [0, 1]


def test_arrays_have_positions():
    X = np.random.default_rng(0).poisson(3, (50, 3))
    assert blocks([("poisson", [2, 0]), ("gaussian", 1)], X) == [
        ("poisson", [2, 0], {}),
        ("gaussian", [1], {}),
    ]


def test_components_are_not_changed():
    options = {"covariance_type": "full"}
    components = [("gaussian", ["age"], options), ("auto", slice(None))]
    schema = Schema.read(TABLE, components)
    schema.blocks[0].options["covariance_type"] = "diag"
    assert options == {"covariance_type": "full"}


@pytest.mark.parametrize("names", [[10, 20], [("a", "b"), ("a", "c")]])
def test_frames_without_names_of_text(names):
    X = np.random.default_rng(0).normal(size=(30, 2))
    X = pd.DataFrame(X, columns=pd.Index(names))
    schema = Schema.read(X)
    assert schema.names == names
    pd.testing.assert_frame_equal(schema.decode(schema.encode(X)), X)


def test_a_column_keeps_its_meaning_in_another_dtype():
    schema = Schema.read(TABLE)
    other = TABLE.assign(
        blood=TABLE["blood"].astype(str),
        ward=TABLE["ward"].astype("category"),
        smoker=TABLE["smoker"].astype(object),
        sex=TABLE["sex"].astype(float),
        visits=TABLE["visits"].astype("Int64"),
        age=TABLE["age"].astype(object),
    )
    np.testing.assert_array_equal(schema.encode(other), schema.encode(TABLE))


def test_booleans_and_0_1_are_one():
    flags = np.tile([False, True, True], 10)
    frame = pd.DataFrame({"a": flags})
    for learned, given in [(frame, frame.astype(int)), (frame.astype(float), frame)]:
        np.testing.assert_array_equal(Schema.read(learned).encode(given)[:, 0], flags)


def test_a_row_and_a_missing_column_can_be_encoded():
    schema = Schema.read(TABLE)
    one = TABLE.iloc[[3]]
    np.testing.assert_array_equal(schema.encode(one), schema.encode(TABLE)[[3]])
    empty = one.assign(ward=None, age=np.nan)
    assert np.isnan(schema.encode(empty)[0, [NAMES.index("ward"), 0]]).all()


def test_unknown_categories():
    schema = Schema.read(TABLE)
    other = TABLE.assign(ward=TABLE["ward"].replace("101", "garden"))
    sentence = "X has the value 'garden' in the column 'ward', which was not there in "
    with pytest.raises(ValueError, match=re.escape(sentence)):
        schema.encode(other)
    values = schema.encode(other, handle_unknown="missing")
    np.testing.assert_array_equal(np.isnan(values[:, -1]), other["ward"] == "garden")
    np.testing.assert_array_equal(values[:, :-1], schema.encode(TABLE)[:, :-1])


def test_numeric_and_frame():
    assert not Schema.read(TABLE).is_numeric
    assert Schema.read(TABLE).is_frame
    array = Schema.read(TABLE[["age", "pulse", "smoker"]].to_numpy(dtype=float))
    assert array.is_numeric and not array.is_frame


def test_pickle():
    schema = Schema.read(TABLE)
    again = pickle.loads(pickle.dumps(schema))
    assert again.describe() == schema.describe()
    pd.testing.assert_frame_equal(again.decode(again.encode(TABLE)), TABLE)


def test_a_read_only_table_can_be_read():
    X = np.random.default_rng(0).poisson(3, (50, 2))
    X.flags.writeable = False
    schema = Schema.read(X)
    np.testing.assert_array_equal(schema.decode(schema.encode(X)), X)
