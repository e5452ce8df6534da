"""Copies of columns in a classifier by a product of distributions."""

import warnings

import numpy as np
import pandas as pd
import pytest

from sklvm import JointDensityClassifier, MixtureEM
from sklvm.wrappers._copies import copied_columns

N = 600


def answers(seed=0, n=N):
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    noise = rng.random((n, 3)) < 0.5
    codes = np.where(noise, rng.integers(3, size=(n, 3)), y[:, np.newaxis])
    X = pd.DataFrame(np.array(list("abc"))[codes], columns=["q", "r", "s"])
    X["flag"] = rng.random(n) < 0.2 + 0.5 * y
    X["calls"] = rng.poisson(3 + 4 * y)
    X["size"] = rng.normal(y)
    X["price"] = np.exp(rng.normal(y))
    return X, y


def messages(X, y, components="auto", n_components=2):
    model = MixtureEM(n_components, components=components, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        JointDensityClassifier(model).fit(X, y)
    return [str(w.message) for w in caught if "copies" in str(w.message)]


@pytest.mark.parametrize("seed", range(5))
def test_columns_that_depend_on_the_class_are_no_copies(seed):
    assert not messages(*answers(seed))


def renamed(X):
    return X["q"].map({"a": "x", "b": "z", "c": "y"})


def nearly(X):
    rng = np.random.default_rng(1)
    return X["q"].where(rng.random(len(X)) > 0.02, "a")


def with_gaps(X):
    return X["q"].mask(np.random.default_rng(1).random(len(X)) < 0.3)


@pytest.mark.parametrize("copy", [lambda X: X["q"], renamed, nearly, with_gaps])
def test_copies_of_categories_are_named(copy):
    X, y = answers()
    (message,) = messages(X.assign(again=copy(X)), y)
    assert "'q' and 'again'" in message
    assert "drop one" in message


def test_copies_of_flags_and_counts_are_named():
    X, y = answers()
    X = X.assign(no=~X["flag"], again=X["calls"])
    (message,) = messages(X, y)
    assert "and 1 more pair" in message
    model = MixtureEM(2, random_state=0).fit(X)
    assert copied_columns(model, X) == [("flag", "no"), ("calls", "again")]


def test_a_coarser_column_is_no_copy():
    """It tells less than the other, which still says something of its own."""
    X, y = answers()
    assert not messages(X.assign(coarse=X["q"] == "a"), y)


def test_a_full_covariance_knows_of_copies():
    X, y = answers()
    X = X[["q", "size"]].assign(again=2 * X["size"] + 1)
    assert not messages(X, y)
    diag = [("gaussian", ["size", "again"], {"covariance_type": "diag"})]
    (message,) = messages(X, y, [*diag, ("categorical", ["q"])])
    assert "'size' and 'again'" in message


def test_few_rows_and_rare_categories_say_nothing():
    X, y = answers(n=40)
    X["one"] = X["two"] = np.arange(40) == 3
    assert not messages(X, y)


def test_a_label_may_be_told_by_a_column():
    X, y = answers()
    assert not messages(X[["q", "size"]].assign(known=y.astype(str) + "!"), y)
