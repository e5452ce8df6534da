"""Doubts about the kinds of columns: identifiers, zeros before a tail, codes."""

import warnings

import numpy as np
import pandas as pd
import pytest

from sklvm import MixtureEM
from sklvm.columns import Schema


def warned(*, parameter="components", components="auto", **columns):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Schema.read(pd.DataFrame(columns), components, parameter=parameter)
    return [str(w.message) for w in caught]


def identifiers(seed, n=300, share=0.3):
    """What is left of consecutive numbers, in some order."""
    rng = np.random.default_rng(seed)
    return 1000 + rng.permutation(int(n / share))[:n]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("step", [1, 10])
def test_numbers_without_ties_where_there_should_be_some(seed, step):
    x = step * identifiers(seed)
    x[:3] = x[3:6]  # three rows that are twice in the table
    (message,) = warned(number=x)
    assert "identifier" in message
    assert "'number'" in message
    assert "index" in message
    assert "components" in message


@pytest.mark.parametrize("seed", range(40))
def test_measurements_in_whole_units_are_none(seed):
    rng = np.random.default_rng(seed)
    assert not warned(
        height=rng.normal(1700, 80, 300).round(),
        area=rng.uniform(0, 500, 300).round(),
        income=np.exp(rng.normal(10, 1, 300)).round(),
        population=rng.uniform(1e3, 1e7, 300).round(),
        year=rng.integers(1900, 2020, 300),
        reading=rng.normal(size=300),
    )


@pytest.mark.parametrize("name", ["id", "customer_id", "CustomerId", "ID", "row key"])
def test_names_tell_what_large_numbers_do_not(name):
    x = np.random.default_rng(0).integers(10**6, 10**9, 200)
    assert len(warned(**{name: x})) == 1
    assert not warned(**{name: x % 50})  # a group, of which each has many rows


@pytest.mark.parametrize("name", ["user_id", "ID", "tweet id"])
def test_identifiers_that_float64_rounds(name):
    """Those of 62 bits, as of messages and users, were measurements in silence."""
    x = np.random.default_rng(0).integers(2**62, size=300)
    (message,) = warned(**{name: x})
    assert "identifier" in message
    assert not warned(mass=x.astype(float))


@pytest.mark.parametrize("name", ["humid", "paid", "grid", "monkey", "turnkey"])
def test_words_that_end_like_identifiers(name):
    x = np.random.default_rng(0).integers(10**6, 10**9, 200)
    assert not warned(**{name: x})


@pytest.mark.parametrize("dtype", ["str", "category"])
def test_names_of_two_rows_each(dtype):
    """Pairs of animals, households: no share of them is known."""
    name = pd.Series([f"N{i // 2}A" for i in range(100)], dtype=dtype)
    (message,) = warned(animal=name)
    assert "two rows or less for each value" in message
    assert "'animal'" in message and "components" in message
    assert not warned(animal=name, components=[("categorical", ["animal"])])
    unused = pd.CategoricalDtype([*name[::2], "b"])
    assert not warned(animal=pd.Series(["N0A", "b"] * 50, dtype=unused))


def test_a_kind_named_by_hand_is_what_the_user_says():
    x = identifiers(0)
    assert not warned(time=x, components=[("gaussian", ["time"])])
    (message,) = warned(time=x, components=[("auto", ["time"])], parameter="likelihood")
    assert "likelihood" in message


def expenses(n=300):
    rng = np.random.default_rng(0)
    return np.where(rng.random(n) < 0.2, 0.0, np.exp(rng.normal(size=n)))


def test_zeros_before_a_long_tail():
    x = expenses()
    (message,) = warned(spent=x)
    assert "zeros" in message
    assert "'spent'" in message
    assert "whether and how much" in message
    table = pd.DataFrame({"spent": x})
    assert "a long tail beside zeros" in Schema.read(table).describe()
    assert not warned(spent=np.where(x == 0, np.nan, x))
    assert not warned(spent=x, components=[("gaussian", ["spent"])])
    assert not warned(symmetric=np.abs(np.random.default_rng(0).normal(9, 1, 300)))


@pytest.mark.parametrize("code", [-9, -99, -999, 999, 99999])
@pytest.mark.parametrize("share", [0.02, 0.4])
def test_a_code_that_stands_for_missing_values(code, share):
    rng = np.random.default_rng(0)
    true = rng.uniform(0, 8, 300)
    x = np.where(rng.random(300) < share, code, true)
    (message,) = warned(pressure=x)
    assert f"X has {code} far from" in message
    assert "'pressure'" in message
    assert "NaN" in message
    assert not warned(pressure=np.where(x == code, np.nan, x))
    assert not warned(pressure=x, components=[("gaussian", ["pressure"])])


@pytest.mark.parametrize("seed", range(20))
def test_measured_nines_are_no_code(seed):
    rng = np.random.default_rng(seed)
    depth = rng.normal(-1000, 3, 300).round()  # -999 among its like
    visits = rng.poisson(4, 300)
    once = rng.normal(50, 10, 300)
    once[0] = 999  # an outlier: no code is used once
    assert not warned(
        depth=depth,
        visits=np.where(visits > 8, 9, visits),
        rate=rng.uniform(0, 99, 300).round(),
        once=once,
        difference=rng.normal(0, 500, 300).round(),
    )


CODES = [[999.9], [-998, -999], [97, 98, 99], [777, 888, 999], [-9, -8, -7]]
LIMITS = [[255], [32767], [-32768], [np.finfo(np.float32).min], [9.969209968386869e36]]


@pytest.mark.parametrize("codes", [*CODES, *LIMITS, [-999, 999]])
def test_several_codes_and_the_ends_of_ranges(codes):
    x = np.random.default_rng(0).integers(1, 5, 300).astype(float)
    x += np.random.default_rng(1).uniform(0, 0.9, 300)
    for i, code in enumerate(codes):
        x[i::30] = code
    (message,) = warned(answer=x)
    for code in codes:
        assert f"{code:g}" in message
    assert not warned(answer=np.where(np.isin(x, codes), np.nan, x))


def test_bytes_that_fill_their_range_are_no_codes():
    x = np.random.default_rng(0).integers(0, 256, 3000).astype(float)
    assert not warned(grey=x, dark=np.where(x > 180, 255, x))


def test_codes_of_several_columns_are_one_warning():
    x = np.where(np.arange(60) % 6, np.random.default_rng(0).normal(size=60), -999)
    (message,) = warned(first=x, second=-x)
    assert "X has -999 and 999 far" in message
    assert "'first', 'second'" in message


def test_empty_text_is_a_category():
    for labels in (["a", "", "b"] * 20, ["a", "  ", "b"] * 20):
        (message,) = warned(plan=labels)
        assert "empty text in the column 'plan'" in message
        assert "None or NaN" in message
        (message,) = warned(plan=pd.Categorical(labels))
    assert not warned(plan=["a", None, "b"] * 20)


@pytest.mark.parametrize("text", ["nan", "N/A", " NA", "<NA>", "?", "-", "NULL"])
def test_text_that_may_stand_for_missing_values(text):
    labels = ["yes", "no", text] * 20
    for values in (labels, pd.Categorical(labels)):
        (message,) = warned(plan=values)
        assert f"the text {text.strip()!r} in the column 'plan'" in message
        assert "None or NaN" in message


def test_answers_that_say_that_there_is_none():
    assert not warned(pool=["None", "small", "none", "unknown", "large"] * 20)


def test_one_warning_at_the_users_line():
    table = pd.DataFrame(
        {"first": identifiers(0), "second": identifiers(1), "x": expenses()}
    )
    with pytest.warns(UserWarning) as caught:
        MixtureEM().fit(table)
    of_columns = [w for w in caught if "identifier" in str(w.message)]
    assert len(of_columns) == 1
    assert "'first', 'second'" in str(of_columns[0].message)
    assert of_columns[0].filename == __file__


@pytest.mark.parametrize("form", ["%Y%m%d", "%Y%m"])
def test_dates_written_as_numbers(form):
    days = pd.Timestamp("2015-01-01") + pd.to_timedelta(np.arange(0, 2000, 7), "D")
    dates = np.random.default_rng(0).permutation(days.strftime(form).astype(int))
    (message,) = warned(joined=np.r_[dates, np.nan])
    assert f"dates written as whole numbers, such as {dates[0]}, in" in message
    assert "'joined'" in message
    assert "days since a date" in message
    assert not warned(joined=dates, components=[("gaussian", ["joined"])])


def test_numbers_that_are_no_dates():
    rng = np.random.default_rng(0)
    assert not warned(
        year=rng.integers(1990, 2020, 300),
        rent=100 * rng.integers(1800, 2200, 300),
        price=rng.integers(180_000, 219_999, 300),
        area=20_000_000 + 10_000 * rng.integers(1, 40, 300),
        seconds=rng.integers(1_600_000_000, 1_700_000_000, 300) + 0.5,
    )


@pytest.mark.parametrize("other", ["Rome ", " Rome", "rome", "ROME", "Rome\u00a0"])
@pytest.mark.parametrize("dtype", [object, "category"])
def test_categories_that_differ_in_blanks_or_capitals(other, dtype):
    city = pd.Series(["Oslo", "Rome", other] * 20, dtype=dtype)
    (message,) = warned(city=city)
    assert "differ in blanks or capitals alone, as" in message
    assert repr(other) in message
    assert "'Rome'" in message
    assert "'city'" in message


def test_categories_that_differ_in_more():
    assert not warned(
        gene=["AA", "Aa", "aA", "aa"] * 15,
        metal=["Co", "CO", "Cu"] * 20,
        city=["New York", "Newyork"] * 30,
    )
