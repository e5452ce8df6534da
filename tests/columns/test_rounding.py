"""The grids that the values of a column lie on, and values put back on them."""

import numpy as np
import pandas as pd
import pytest

from sklvm.columns import Schema
from sklvm.columns._rounding import grid_step, to_grid

N = 300
X = np.random.default_rng(0).normal(40, 12, N)
AMOUNTS = np.exp(np.random.default_rng(1).normal(9, 1, N))
GRIDS = {
    "hundreds": (100 * AMOUNTS.round(), 100),
    "negative": (-12 * X.round(), 12),
    "quarters": (X.round() / 4, 0.25),
    "cents": (AMOUNTS.round(2), 0.01),
    "cents and nothing": (np.where(X < 40, 0, AMOUNTS.round(2)), 0.01),
    "cents of millions": ((1e4 * AMOUNTS).round(2), 0.01),
    "tenths with noise": (0.1 * X.round(), 0.1),
    "single precision": (X.round(1).astype("f4").astype(float), 0.1),
    "tiny": (X.round() * 1e-17, 1e-17),
    "whole": (X.round(), 1),
    "large": (np.round(X * 1e14), 1),
    "larger": (X.round() * 1e20, 0),
    "real": (X, 0),
    "thirds": (X.round() / 3, 0),
    "one off": (np.r_[X.round(2), np.pi], 0),
    "one of hundreds off": (np.r_[100 * X.round(), 7], 1),
    "nine even numbers": (np.resize(2 * np.arange(1, 10), N), 1),
    "ten even numbers": (np.resize(2 * np.arange(1, 11), N), 2),
    "one number and 0": (np.resize([0, 40], N), 1),
    "nothing": (np.zeros(N), 1),
    "few rows of cents": (X[:19].round(2), 0),
    "few rows of hundreds": (100 * X[:19].round(), 1),
}


@pytest.mark.parametrize("x, step", GRIDS.values(), ids=GRIDS)
def test_the_step_of_a_grid(x, step):
    assert grid_step(x, len(x)) == step


def test_multiples_are_the_nearest_numbers_to_their_decimals():
    """So that a drawn value is equal to an observed one."""
    cents = [float(f"{n // 100}.{n % 100:02}") for n in range(10000)]
    noise = np.random.default_rng(0).uniform(-0.004, 0.004, 10000)
    np.testing.assert_array_equal(to_grid(cents + noise, 0.01), cents)
    assert to_grid([-0.1, np.nan], 0.25).tolist()[0] == 0
    assert not np.signbit(to_grid([-0.1], 0.25)[0])
    assert np.isnan(to_grid([np.nan], 0.25, 1)[0])


def test_a_weight_counts_rows():
    few = pd.DataFrame({"a": 100 * X[:10].round()})
    kind = [("gaussian", ["a"])]
    assert Schema.read(few, kind).columns[0].step == 1
    weighted = Schema.read(few, kind, sample_weight=np.full(10, 3))
    assert weighted.columns[0].step == 100


def test_what_a_model_says_lies_on_the_grid():
    price = 100 * AMOUNTS.round().clip(1)
    frame = pd.DataFrame({"price": price.astype(int), "degree": X.round(1)})
    schema = Schema.read(frame)
    assert [column.kind for column in schema.columns] == ["lognormal", "gaussian"]
    decoded = schema.decode([[1234.5, 36.64], [3.2, -0.01]])
    assert decoded["price"].tolist() == [1200, 100]  # 0 would have no density
    assert decoded["degree"].tolist() == [36.6, 0]
    observed = np.array([[True, True], [True, False]])
    kept = schema.decode([[1234.5, 36.64], [333, -0.01]], observed=observed)
    assert kept["price"].tolist() == [1234, 333]
    assert kept["degree"].tolist() == [36.64, 0]


def test_counts_are_whole_numbers():
    frame = pd.DataFrame({"a": 10 * np.random.default_rng(0).poisson(3, N)})
    column = Schema.read(frame, [("poisson", ["a"])]).columns[0]
    assert column.step == 1
