"""Bad input: one sentence with the column, the value and the remedy."""

import datetime
import re
import uuid

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from sklvm.columns import Schema
from sklvm.columns._forms import plain
from tests.columns import tables

RNG = np.random.default_rng(2)
N = 60
REAL = RNG.normal(size=N)
TEXT = RNG.choice(["x", "y", "z"], N)
DAYS = [datetime.date(2020, 1, 1) + datetime.timedelta(int(d)) for d in range(N)]


def frame(**columns):
    return pd.DataFrame({"good": REAL, **columns})


def assert_refuses(sentence, X, components="auto"):
    with pytest.raises(ValueError, match=re.escape(sentence)) as refused:
        Schema.read(X, components)
    assert str(refused.value).endswith(".")


DATES = "X has dates or times in the column 'bad'; drop such columns, or turn"
TEXT_DATES = "X has dates written as text in the column 'bad'; drop such columns, or"
FLAG = "single value beside missing cells in the column 'bad'; make booleans of such"
QUANTITIES = "X has quantities written as text, with units, signs or separators, in"
IDENTIFIER = "another value in (nearly) every row, as an identifier has, in the column"
OBJECTS = "X has objects that are neither numbers nor text in the column 'bad'"


@pytest.mark.parametrize(
    "sentence, values",
    [
        (DATES, pd.date_range("2020", periods=N)),
        (DATES, pd.date_range("2020", periods=N, tz="UTC")),
        (DATES, pd.to_timedelta(np.arange(N), "s")),
        (DATES, pd.period_range("2020", periods=N, freq="M")),
        (DATES, DAYS),
        (
            DATES,
            pd.Series([datetime.datetime(2020, 1, 1), pd.NaT, None] * 20, dtype=object),
        ),
        (TEXT_DATES, [str(day) for day in DAYS]),
        (TEXT_DATES, [f"{day}T12:00:00" for day in DAYS]),
        (TEXT_DATES, [day.strftime("%d.%m.%Y") for day in DAYS]),
        (TEXT_DATES, ["2020-01-01", "2021-01-01"] * 29 + ["unknown", None]),
        (IDENTIFIER, [f"C{i}" for i in range(N)]),
        (IDENTIFIER, [f"C{i}" for i in range(N - 5)] + ["C0"] * 5),
        (IDENTIFIER, [f"C{i}" for i in range(N - 20)] + [None] * 20),
        (IDENTIFIER, pd.Categorical([f"C{i}" for i in range(N)])),
        (IDENTIFIER, RNG.permutation(N) + 1000),
        ("X has a single value in the column 'bad'; drop such", np.ones(N)),
        ("X has a single value in the column 'bad'; drop such", ["a"] * N),
        (FLAG, [1.0, None] * (N // 2)),
        (FLAG, ["yes", None] * (N // 2)),
        ("X has the value -1.79769e+308 in", np.r_[REAL[1:], -np.finfo(float).max]),
        ("in the column 'bad', whose square is beyond float64", REAL * 1e200),
        ("whose variance is too small for float64; give", REAL * 1e-300),
        ("X has a single value in", pd.Categorical(["a"] * N, ["a", "b"])),
        ("X has only missing values in the column 'bad'; drop", np.full(N, np.nan)),
        ("X has only missing values in the column 'bad'; drop", [None] * N),
        ("X has only missing values in", pd.Categorical([None] * N, ["a"])),
        (
            "X has numbers written as text in the column 'bad'",
            RNG.permutation(N).astype(str),
        ),
        ("by pandas.to_numeric", ["1", "2.5", "-3e4"] * 19 + ["?", "?", None]),
        ("by pandas.to_numeric", ["?"] * 30 + [str(i) for i in range(N - 30)]),
        (QUANTITIES, [f"{i / 10:.1f} kg" for i in range(N)]),
        (QUANTITIES, [f"{i % 15} %" for i in range(N)]),
        (QUANTITIES, [f"{1234567 * (i % 20 + 1):,}" for i in range(N)]),
        (QUANTITIES, [f"{i / 7:.2f}".replace(".", ",") for i in range(N)]),
        (QUANTITIES, [f"-${1000 * i:,.2f}" for i in range(N)]),
        (QUANTITIES, [f"EUR {1000 * i:,.2f}" for i in range(N)]),
        (QUANTITIES, [f"{i % 12} {unit}" for i in range(N // 2) for unit in "kg"]),
        (QUANTITIES, [f"{i} ab" for i in range(N)]),
        (QUANTITIES, [f"{i % 24}:{i:02d}" for i in range(N)]),
        (QUANTITIES, [f"{i % 24}h {i}min" for i in range(N)]),
        (QUANTITIES, [f"({i}.50)" if i % 3 else f"{i}.50" for i in range(N)]),
        (TEXT_DATES, [f"{i % 28 + 1} March 2020" for i in range(N)]),
        (TEXT_DATES, [f"Jan {i % 28 + 1}, 2020" for i in range(N)]),
        (TEXT_DATES, [f"{i % 12 + 1}/28/21" for i in range(N)]),
        ("X has lists, dicts or arrays in its cells in the column 'bad'", [[1, 2]] * N),
        ("X has lists, dicts or arrays in", [{"a": 1}, None] * (N // 2)),
        ("X has lists, dicts or arrays in", [np.ones(2)] * N),
        (
            "X has values of several types, such as numbers and text,",
            [1, "a"] * (N // 2),
        ),
        (OBJECTS, [uuid.UUID(int=i) for i in range(N)]),
        (OBJECTS, RNG.normal(size=N) + 1j),
        ("X has the infinite value inf in the column 'bad'", np.r_[REAL[1:], np.inf]),
        ("X has the infinite value -inf in", [1, 2, -np.inf] * (N // 3)),
    ],
)
def test_columns_that_auto_refuses(sentence, values):
    assert_refuses(sentence, frame(bad=pd.Series(values)))


@pytest.mark.parametrize(
    "labels",
    [
        ["5 kg", "10 kg", "20 kg"],
        ["10-20", "20-30", "30+"],
        [f"C{i}" for i in range(20)],
        [f"{i}{seat}" for i in range(5) for seat in "ABCDEF"],
        [f"{i}{form}" for i in range(5, 11) for form in "ABC"],
        [f"SKU{i}" for i in range(1001, 1016)],
        [f"{i}{door}" for i in range(1, 8) for door in ("", "a", "b")],
        [f"1.{i}.2" for i in range(20)],
        [f"{i} {street} St" for i in range(4) for street in ("Hill", "Lake", "Park")],
        ["1st May", "may be", "march", "7 dates"],
    ],
)
def test_text_with_digits_that_is_a_category(labels):
    values = np.resize(labels, 3 * N)
    assert Schema.read(pd.DataFrame({"word": values})).columns[0].kind == "categorical"


def test_a_quantity_named_a_category_is_one():
    X = pd.DataFrame({"size": [f"{i % 15} kg" for i in range(N)]})
    (column,) = Schema.read(X, [("categorical", ["size"])]).columns
    assert len(column.categories) == 15


def test_arrays_of_dates():
    assert_refuses("X has dates or times in the column 0", np.array([DAYS], "M8[D]").T)


def test_codes_as_a_category_are_no_numbers_as_text():
    codes = pd.Categorical(RNG.choice(["1", "2", "3"], N))
    assert Schema.read(frame(code=codes)).columns[1].kind == "categorical"


def test_a_constant_boolean_has_two_values_all_the_same():
    (column,) = Schema.read(pd.DataFrame({"flag": [True] * N})).columns
    assert column.kind == "bernoulli"
    assert column.categories.tolist() == [False, True]


def test_few_rows_have_no_identifiers():
    X = pd.DataFrame({"a": list("abcdefgh"), "b": range(8)})
    assert [c.kind for c in Schema.read(X).columns] == ["categorical", "gaussian"]


def test_all_columns_of_one_sort_are_in_one_sentence():
    bad = {f"c{i}": 1.0 for i in range(12)}
    assert_refuses(
        "X has a single value in the columns 'c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6', "
        "'c7', 'c8', 'c9' and 2 more; drop such columns, they tell nothing",
        frame(**bad),
    )


def test_too_many_categories():
    many = np.tile([f"a{i}x" for i in range(5000)], 2)
    assert_refuses("X has more than 4096 categories in", pd.DataFrame({"bad": many}))
    assert_refuses(
        "X has 5000 distinct categories in the column 'bad', where the kind "
        "'categorical' allows 4096",
        pd.DataFrame({"bad": many}),
        [("categorical", "bad")],
    )


def test_duplicated_names():
    X = pd.DataFrame(RNG.normal(size=(N, 3)), columns=["a", "b", "a"])
    assert_refuses("X has the column 'a' more than once; give each column a name", X)


def test_shapes():
    assert_refuses("X has n_samples=1; give at least 2 rows", frame().iloc[:1])
    assert_refuses("X has n_samples=0; give at least 2 rows", frame().iloc[:0])
    assert_refuses("X has n_samples=1; give at least 2 rows", np.ones((1, 3)))
    assert_refuses("0 feature(s) (shape=(60, 0))", frame()[[]])
    with pytest.raises(ValueError, match="Reshape your data"):
        Schema.read(REAL)


def by_hand(kind, values):
    return frame(bad=values), [(kind, "bad"), ("gaussian", "good")]


@pytest.mark.parametrize(
    "kind, sentence, values",
    [
        (
            "lognormal",
            "X has the value 0 in the column 'bad', where the",
            [1.0, 0.0] * 30,
        ),
        ("lognormal", 'expects values above 0; choose "gaussian"', REAL),
        ("poisson", "X has the value 0.5 in the column 'bad', where", [1, 0.5] * 30),
        ("poisson", 'expects counts 0, 1, 2, ...; choose "gaussian"', [-1, 1] * 30),
        ("negative_binomial", "X has the value -1 in the column", [-1, 1] * 30),
        (
            "bernoulli",
            "X has 3 distinct values in the column 'bad', where",
            [0, 1, 2] * 20,
        ),
        (
            "bernoulli",
            "X has 3 distinct values in the column 'bad'",
            ["a", "b", "c"] * 20,
        ),
        ("bernoulli", "X has one category in the column 'bad'; drop", ["a"] * N),
        ("categorical", "X has one category in the column 'bad'; drop", [3] * N),
        (
            "categorical",
            "allows 100; merge rare ones, or choose another",
            RNG.normal(size=120),
        ),
        ("gaussian", "X has text values in the column 'bad', for example 'x'", TEXT),
        ("gaussian", "convert them by pandas.to_numeric", ["1", "2"] * 30),
        ("poisson", "X has boolean values in the column 'bad'", [True, False] * 30),
        ("gaussian", "X has category values in", pd.Categorical([1, 2] * 30)),
        ("gaussian", "X has the value 2 in every row of the column 'bad'", [2.0] * N),
        ("gaussian", "X has the infinite value inf in the column", [1, np.inf] * 30),
        ("gaussian", "X has dates or times in the column 'bad'", DAYS),
        ("categorical", "X has only missing values in the column 'bad'", [None] * N),
    ],
)
def test_kinds_that_contradict_the_column(kind, sentence, values):
    values = pd.Series(values)
    X = pd.DataFrame({"bad": values, "good": RNG.normal(size=len(values))})
    assert_refuses(sentence, X, [(kind, "bad"), ("gaussian", "good")])


@pytest.mark.parametrize(
    "kind, values, categories",
    [
        ("bernoulli", np.zeros(N), [0, 1]),
        ("bernoulli", np.ones(N, dtype=bool), [False, True]),
        ("bernoulli", [2.5, 4.0] * 30, [2.5, 4.0]),
        ("bernoulli", ["no", "yes"] * 30, ["no", "yes"]),
        ("categorical", [1.0, 1.3, 1.7] * 20, [1.0, 1.3, 1.7]),
        ("categorical", [f"C{i}" for i in range(N)], sorted(f"C{i}" for i in range(N))),
        ("poisson", np.zeros(N), None),
    ],
)
def test_what_is_good_by_hand(kind, values, categories):
    column = Schema.read(*by_hand(kind, values)).columns[1]
    assert column.kind == kind
    assert (None if categories is None else column.categories.tolist()) == categories


@pytest.mark.parametrize(
    "sentence, components",
    [
        ("components='gaussian' must be \"auto\" or a list of", "gaussian"),
        ("components=None must be", None),
        ("components=[] names no column", []),
        ("components has the entry 'gaussian'; give", ["gaussian"]),
        ("components has the entry ('gaussian',); give", [("gaussian",)]),
        ("components has the kind 'normal'; choose one of", [("normal", "good")]),
        (
            "has the options 'full' for the kind 'gaussian'",
            [("gaussian", "good", "full")],
        ),
        ("has the options {'a': 1} for \"auto\"", [("auto", "good", {"a": 1})]),
        ("has the columns ['nope'], which X does not have", [("gaussian", ["nope"])]),
        ("has the columns 7, which X does not have", [("gaussian", 7)]),
        ("has the columns [True], which X", [("gaussian", [True])]),
        ("leaves out the column 'other'; drop what is", [("gaussian", "good")]),
        (
            "has the column 'good' more than once",
            [("gaussian", slice(None)), ("poisson", 0)],
        ),
        (
            "has the column 'good' more than once",
            [("gaussian", ["good", "good", "other"])],
        ),
    ],
)
def test_components(sentence, components):
    assert_refuses(sentence, frame(other=REAL + 1), components)


TABLE = tables.patients()
SCHEMA = Schema.read(TABLE, estimator_name="MixtureEM")


@pytest.mark.parametrize(
    "sentence, change",
    [
        ("Feature names seen at fit time, yet now missing:\n- ward", {"drop": "ward"}),
        ("Feature names unseen at fit time:\n- new", {"new": 1.0}),
        ("in the same order as they were in fit", {"order": slice(None, None, -1)}),
        (
            "X has text values in the column 'pulse', for example 'high'",
            {"pulse": "high"},
        ),
        (
            "X has numbers in the column 'ward', for example 101, where fit had text",
            {"ward": 101},
        ),
        (
            "X has text in the column 'sex', for example 'f', where fit had numbers",
            {"sex": "f"},
        ),
        (
            "X has the value 3 in the column 'sex', which was not there in fit",
            {"sex": 3},
        ),
        (
            "X has the value 'C' in the column 'blood'",
            {"blood": pd.Categorical(["C"] * 800)},
        ),
        ("X has the value 0 in the column 'crp'", {"crp": 0}),
        ("X has the value 1.5 in the column 'visits'", {"visits": 1.5}),
        ("X has the infinite value inf in the column 'age'", {"age": np.inf}),
        ("X has dates or times in the column 'ward'", {"ward": pd.Timestamp(0)}),
        ("X has boolean values in the column 'visits'", {"visits": True}),
    ],
)
def test_a_second_table_that_differs(sentence, change):
    other = TABLE
    if "drop" in change:
        other = other.drop(columns=change["drop"])
    elif "order" in change:
        other = other.iloc[:, change["order"]]
    else:
        other = other.assign(**change)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        SCHEMA.encode(other)


def test_arrays_of_another_width():
    schema = Schema.read(RNG.normal(size=(N, 3)), estimator_name="MixtureEM")
    sentence = "X has 2 features, but MixtureEM is expecting 3 features as input."
    with pytest.raises(ValueError, match=sentence):
        schema.encode(np.zeros((4, 2)))


def test_unknown_parameters():
    with pytest.raises(ValueError, match="handle_unknown='ignore' must be"):
        SCHEMA.encode(TABLE, handle_unknown="ignore")


@pytest.mark.parametrize(
    "names",
    [
        [2020, 2021, 2022],
        [("x", "a"), ("x", "b"), ("y", "a")],
        list(pd.to_datetime(["2020", "2021", "2022"])),
        [np.nan, 1.0, 2.0],
    ],
    ids=["numbers", "tuples", "dates", "missing"],
)
def test_labels_of_columns_that_are_no_text(names):
    X = pd.DataFrame(RNG.normal(size=(N, 3)), columns=pd.Index(names))
    schema = Schema.read(X)
    assert_array_equal(schema.encode(X), X)
    assert_array_equal(schema.encode(X.to_numpy()), X)
    others = pd.DataFrame(X.to_numpy(), columns=[7, 8, 9])
    for wrong in (X[names[::-1]], others):
        with pytest.raises(ValueError, match="the same columns in the same order"):
            schema.encode(wrong)


def test_loaders_of_torch():
    torch = pytest.importorskip("torch")
    data = torch.utils.data
    rows = data.TensorDataset(torch.ones(8, 1, 2, 3))
    for X, remedy in ((rows, "torch.stack"), (data.DataLoader(rows), "torch.cat")):
        words = rf"X is a {type(X).__name__} of torch.*{remedy}.*X\]\)\.flatten"
        with pytest.raises(TypeError, match=words):
            plain(X)
    X = plain(torch.stack([x for x, *_ in rows]).flatten(1))
    assert X.shape == (8, 6)
