"""The canonical sample: a function of the weighted set of rows, and a fair one."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sklvm.mixture._rows import MemoryRows
from sklvm.mixture._sample import canonical_sample, row_hashes

SIZE = 200


def sample_of(X, weight=None, size=SIZE, seed=0, batch_size=300, n_threads=1):
    with MemoryRows(X, weight, batch_size=batch_size, n_threads=n_threads) as rows:
        return canonical_sample(rows, size, np.random.RandomState(seed))


def assert_equal(one, two):
    rows = (one.rows, two.rows)
    one_rows, two_rows = (r.toarray() if sp.issparse(r) else r for r in rows)
    np.testing.assert_array_equal(one_rows, two_rows)
    np.testing.assert_allclose(one.sample_weight, two.sample_weight, rtol=1e-12)
    assert one.total_weight == pytest.approx(two.total_weight)


def normal(n, d=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


@settings(deadline=None, max_examples=50)
@given(
    n=st.integers(1, 1000),
    n_levels=st.sampled_from([1, 2, 5, 1000]),
    batch_size=st.integers(1, 1000),
    n_threads=st.integers(1, 2),
    seed=st.integers(0, 9),
)
def test_neither_order_nor_chunks_nor_threads_matter(
    n, n_levels, batch_size, n_threads, seed
):
    rng = np.random.default_rng(seed)
    X = rng.integers(n_levels, size=(n, 2)) / 7
    X[rng.random(X.shape) < 0.1] = np.nan
    weight = rng.integers(1, 4, size=n).astype(float)
    order = rng.permutation(n)
    two = sample_of(X[order], weight[order], batch_size=batch_size, n_threads=n_threads)
    assert_equal(sample_of(X, weight), two)


@pytest.mark.parametrize("n", [50, 2000])
def test_a_weight_is_so_many_rows_and_zero_is_none(n):
    X = normal(n)
    weight = np.random.default_rng(1).integers(4, size=n).astype(float)
    repeated = np.repeat(X, weight.astype(int), axis=0)
    assert_equal(sample_of(X, weight), sample_of(repeated))


def test_few_distinct_rows_are_all_there():
    X = np.random.default_rng(0).integers(10, size=(5000, 2)).astype(float)
    found = sample_of(X)
    rows, counts = np.unique(X, axis=0, return_counts=True)
    order = np.lexsort(found.rows.T[::-1])
    np.testing.assert_array_equal(found.rows[order], rows)
    share = found.sample_weight / found.sample_weight.sum()
    np.testing.assert_allclose(share[order], counts / len(X), rtol=1e-12)


def test_many_rows_alike_in_weight_stay_so():
    found = sample_of(normal(20_000))
    assert len(found.rows) == SIZE
    np.testing.assert_array_equal(found.sample_weight, 1)


def test_sparse_rows_are_the_dense_ones():
    X = np.random.default_rng(0).poisson(0.3, size=(3000, 8)).astype(float)
    S = sp.csr_array(X)
    S.data[0] = 0  # a zero that is stored
    assert_equal(sample_of(S), sample_of(S.toarray()))


@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.uint8, bool])
def test_a_hash_is_of_the_values_not_of_their_dtype(dtype):
    X = np.random.default_rng(0).integers(2, size=(100, 5))
    factors = np.arange(1, 11, 2, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    expected = row_hashes(X.astype(float), factors)
    np.testing.assert_array_equal(row_hashes(X.astype(dtype), factors), expected)
    np.testing.assert_array_equal(row_hashes(np.where(X, 1, -0.0), factors), expected)


def test_whole_numbers_do_not_collide():
    grid = np.stack(np.meshgrid(*[np.arange(60.0)] * 3), axis=-1).reshape(-1, 3)
    factors = np.random.RandomState(0).randint(0, 2**64, 3, dtype=np.uint64)
    hashes = row_hashes(grid, factors | np.uint64(1))
    assert len(np.unique(hashes)) == len(grid)


@pytest.mark.parametrize("weights", ["equal", "skewed"])
def test_means_are_those_of_all_rows(weights):
    """Of 100 samples: the mean estimate is within five of its standard errors."""
    rng = np.random.default_rng(0)
    X = rng.exponential(size=(5000, 1))
    weight = None if weights == "equal" else rng.exponential(size=5000) ** 2
    estimates = []
    for seed in range(100):
        found = sample_of(X, weight, seed=seed)
        estimates.append(np.average(found.rows[:, 0], weights=found.sample_weight))
    expected = np.average(X[:, 0], weights=weight)
    error = np.std(estimates) / np.sqrt(len(estimates))
    # Of a ratio of sums the bias is of the order of the variance.
    assert abs(np.mean(estimates) - expected) < 5 * error + np.var(estimates)


def test_a_row_with_a_large_share_has_it_in_every_sample():
    X = normal(20_000)
    X[::2] = 7.0
    for seed in range(20):
        found = sample_of(X, seed=seed)
        is_seven = (found.rows == 7).all(axis=1)
        assert is_seven.sum() == 1
        share = found.sample_weight[is_seven] / found.sample_weight.sum()
        # The others are a sample of SIZE, whose weights vary by chance.
        assert share == pytest.approx(0.5, abs=5 * 0.25 / np.sqrt(SIZE))
