"""Where rows lie and what they cost: on disk, sparse, many components, after a fork."""

import os
import subprocess
import sys
import textwrap
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sklvm import BernoulliMixtureEM, GaussianMixtureEM, PoissonMixtureEM

from .families import assert_same, blobs, encode, make, run

KINDS = ["bernoulli", "categorical", "poisson", "full", "diag"]
DTYPES = [np.int32, np.uint8, np.int8, np.int64, np.float16, np.uint16, bool]

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Grey values and codes go into every family here, binarised or not.
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def peak_of(action):
    """The most that was allocated beyond what existed before, in bytes."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def whole_numbers(family, dtype, n_samples=250):
    """Rows that every dtype holds exactly; two values where only two are held."""
    X = blobs(n_samples)
    if family in ("categorical", "poisson") and dtype is not bool:
        return encode(family, X).astype(dtype)
    if family == "bernoulli" or dtype is bool:
        return (X > 0).astype(dtype)
    return np.round(8 * np.clip(X, -7, 7) + 60).astype(dtype)


def on_disk(X, path):
    """The array as a memory map that nobody may write to."""
    np.save(path / "rows.npy", X)
    mapped = np.load(path / "rows.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    return mapped


def estimator(family, **params):
    """With a ridge: two values in a column are no spread for a Gaussian."""
    ridge = {"reg_covar": 0.1} if family in ("full", "diag") else {}
    common = {"n_components": 3, "init_params": "random_from_data", "n_jobs": 1}
    return make(family, **(common | ridge | params))


# Memory maps of any number.


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("family", KINDS)
def test_a_memory_map_of_any_number_is_the_array(family, dtype, tmp_path):
    """Read in pieces and made float64 there: the fit of the float64 array."""
    X = whole_numbers(family, dtype)
    mapped = on_disk(X, tmp_path)
    one = run(estimator(family, batch_size=64), mapped, 5)
    two = run(estimator(family, batch_size=64), X.astype(float), 5)
    assert_same(one, two, tol=1e-12)
    assert_allclose(one.lower_bounds_, two.lower_bounds_, rtol=1e-12)
    assert one.weights_.dtype == np.float64
    wide = X.astype(float)
    for method in ("score_samples", "predict_proba", "predict"):
        values = getattr(one, method)(mapped), getattr(two, method)(wide)
        assert_allclose(*values, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("family", KINDS)
def test_a_memory_map_of_float16_has_gaps(family, tmp_path):
    X = whole_numbers(family, np.float16)
    X[20:, 1][::5] = np.nan
    mapped = on_disk(X, tmp_path)
    one = run(estimator(family, batch_size=64), mapped, 5)
    two = run(estimator(family, batch_size=64), X.astype(float), 5)
    assert_same(one, two, tol=1e-12)


@pytest.mark.parametrize("family", KINDS)
def test_an_array_of_any_number_is_the_float_array(family):
    """The same promise in memory."""
    X = whole_numbers(family, np.uint8)
    one, two = (run(estimator(family), Y, 5) for Y in (X, X.astype(float)))
    assert_same(one, two, tol=1e-12)


def test_a_memory_map_stays_as_it_is(tmp_path):
    X = whole_numbers("full", np.int32)
    mapped = on_disk(X, tmp_path)
    estimator("full").fit(mapped).predict(mapped)
    assert_array_equal(np.load(tmp_path / "rows.npy"), X)


def big_map(family, dtype, path, n_samples=200_000, n_features=32):
    mapped = np.lib.format.open_memmap(
        path / "rows.npy", mode="w+", dtype=dtype, shape=(n_samples, n_features)
    )
    rng = np.random.default_rng(0)
    for rows in np.array_split(np.arange(n_samples), 10):
        mapped[rows] = {
            "bernoulli": lambda n: rng.integers(2, size=n),
            "categorical": lambda n: rng.integers(3, size=n),
        }.get(family, lambda n: rng.integers(100, size=n))((len(rows), n_features))
    mapped.flush()
    return np.load(path / "rows.npy", mmap_mode="r")


@pytest.mark.slow
@pytest.mark.parametrize(
    "family, dtype",
    [
        ("full", np.int32),
        ("diag", np.float16),
        ("diag", np.uint8),
        ("bernoulli", np.uint8),
        ("categorical", np.uint8),
        ("poisson", np.int32),
    ],
)
def test_a_memory_map_is_read_in_pieces(family, dtype, tmp_path):
    """Not even in single precision would the whole of it fit the allowance."""
    mapped = big_map(family, dtype, tmp_path)
    est = estimator(family, batch_size=512)

    def use():
        run(est, mapped, 1)
        est.score(mapped)
        est.predict(mapped)

    labels = 8 * len(mapped)
    assert peak_of(use) < 0.5 * 4 * mapped.size + labels


# Many components.


def many_components(family, n_components=256, n_features=4):
    """A mixture of many components, without the labour of a fit."""
    rng = np.random.default_rng(0)
    weights = np.full(n_components, 1 / n_components)
    if family == "bernoulli":
        theta = rng.uniform(0.1, 0.9, size=(n_components, n_features))
        return BernoulliMixtureEM.from_parameters(weights, theta, n_jobs=1)
    if family == "poisson":
        rates = rng.uniform(1, 50, size=(n_components, n_features))
        return PoissonMixtureEM.from_parameters(weights, rates, n_jobs=1)
    means = rng.uniform(0, 50, size=(n_components, n_features))
    variances = rng.uniform(1, 4, size=means.shape)
    covariances = variances[:, :, np.newaxis] * np.eye(n_features)
    return GaussianMixtureEM.from_parameters(
        weights,
        means,
        variances if family == "diag" else covariances,
        covariance_type=family,
        n_jobs=1,
    )


@pytest.mark.parametrize("method", ["predict", "score_samples", "score"])
@pytest.mark.parametrize("family", ["bernoulli", "poisson", "full", "diag"])
def test_no_answer_of_one_number_a_row_keeps_the_responsibilities(family, method):
    """(n, K) in float64 would be 80 MB, and 400 MB for 200,000 rows."""
    est, n = many_components(family), 40_000
    X = np.random.default_rng(1).integers(2, size=(n, 4)).astype(float)
    assert peak_of(lambda: getattr(est, method)(X)) < n * 256 * 8 / 4


@pytest.mark.parametrize("family", ["bernoulli", "poisson", "full", "diag"])
def test_the_most_probable_of_many(family):
    """The label is that of the largest responsibility, in every chunk."""
    est = many_components(family)
    est.set_params(batch_size=100)
    X = np.random.default_rng(1).integers(50, size=(950, 4)).astype(float)
    assert_array_equal(est.predict(X), est.predict_proba(X).argmax(axis=1))


# Sparse rows.


def sparse_rows(n_samples=10_000, n_features=2000, per_row=40, dtype=np.float64):
    """Bags of words: 40 of 2,000 a row, most of them once."""
    rng = np.random.default_rng(0)
    columns = rng.integers(n_features, size=(n_samples, per_row))
    data = np.ones(columns.size, dtype)
    indptr = np.arange(0, columns.size + 1, per_row)
    X = sp.csr_array((data, columns.ravel(), indptr), shape=(n_samples, n_features))
    X.sum_duplicates()
    return X


def bytes_of(X):
    return X.data.nbytes + X.indices.nbytes + X.indptr.nbytes


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
@pytest.mark.parametrize("family", ["bernoulli", "poisson"])
def test_a_sparse_fit_holds_at_most_twice_its_data(family, dtype):
    """Beside the rows of the user, which nobody may change."""
    X = sparse_rows(dtype=dtype)
    params = {"n_jobs": 1, "batch_size": 256, "init_params": "random_from_data"}
    est = make(family, n_components=2, **params)
    assert peak_of(lambda: run(est, X, 2)) < 2 * bytes_of(X)


@pytest.mark.parametrize("family", ["bernoulli", "poisson"])
def test_sparse_rows_stay_as_they_are(family):
    X = sparse_rows(300, 50, 5)
    kept = X.copy()
    for array in (X.data, X.indices, X.indptr):
        array.flags.writeable = False
    est = run(make(family, n_components=2), X, 3)
    est.predict(X)
    assert (kept != X).nnz == 0


# Processes that are born while threads compute.

FORKING = """
    import os, signal, sys, threading, time
    import numpy as np
    from sklvm import {name}

    X = np.random.default_rng(0).integers(0, 2, size=(20000, 8)).astype(float)
    est = {name}(n_components=8, max_iter=2, n_jobs=2, random_state=0).fit(X)
    expected = est.predict(X[:500])
    stop = threading.Event()

    def work():
        while not stop.is_set():
            est.predict(X[:50])  # in and out of every lock, all the time

    threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    children = []
    for _ in range(20):
        time.sleep(0.01)
        pid = os.fork()
        if pid == 0:
            signal.alarm(20)  # kills a child that hangs
            os._exit(0 if (est.predict(X[:500]) == expected).all() else 1)
        children.append(pid)
    stop.set()
    for thread in threads:
        thread.join()
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    print("exit statuses of the children:", statuses)
    sys.exit(any(statuses))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("name", ["GaussianMixtureEM", "BernoulliMixtureEM"])
def test_a_process_forked_while_threads_predict_goes_on(name):
    """A lock that a thread held at that moment stays locked in the child for ever."""
    script = textwrap.dedent(FORKING.format(name=name))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
