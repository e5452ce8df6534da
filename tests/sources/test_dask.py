"""Rows on the workers of a cluster of Dask."""

import os
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest

from sklvm import GaussianMixtureEM, MixtureEM
from tests.mixture.families import FAMILIES, assert_same, make
from tests.sources.test_mixtures import K, TestMixedColumns, rows

da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_two_workers_equal_one_process(family, client):
    X = rows(family)
    one = make(family, n_components=K).fit(X)
    collection = client.persist(da.from_array(X, chunks=(1000, -1)))
    two = make(family, n_components=K).fit(collection)
    assert_same(two, one, tol=1e-10)
    assert two.score(collection) == pytest.approx(one.score(X), rel=1e-12)


def test_partitions_stay_where_they_are(client):
    X = rows("full")
    collection = client.persist(da.from_array(X, chunks=(500, -1)))
    distributed.wait(collection)
    before = client.who_has(collection)
    make("full", n_components=K).fit(collection)
    assert client.who_has(collection) == before
    assert len(set(before.values())) == 2


def test_a_large_function_is_sent_once_to_a_worker(client, monkeypatch):
    monkeypatch.setattr("sklvm.sources._dask.MOST_SENT", 0)
    X = rows("full")
    one = make("full", n_components=K).fit(X)
    two = make("full", n_components=K).fit(da.from_array(X, chunks=(1000, -1)))
    assert_same(two, one, tol=1e-10)


def test_mixed_columns(client):
    frame = TestMixedColumns.table()
    one = MixtureEM(K, random_state=0).fit(frame)
    two = MixtureEM(K, random_state=0).fit(dd.from_pandas(frame, npartitions=4))
    assert two.columns_ == one.columns_
    assert two.lower_bound_ == pytest.approx(one.lower_bound_, abs=1e-10)


def test_weights(client):
    frame = pd.DataFrame(rows("diag"), columns=list("abcd"))
    weight = np.random.default_rng(1).random(len(frame))
    one = make("diag", n_components=K).fit(frame, sample_weight=weight)
    collection = dd.from_pandas(frame.assign(w=weight), npartitions=4)
    two = make("diag", n_components=K).fit(collection, sample_weight="w")
    assert_same(two, one, tol=1e-10)


def test_an_error_on_a_worker_is_the_users(client):
    X = rows("full")
    X[-1, -1] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        GaussianMixtureEM(K).fit(da.from_array(X, chunks=(1000, -1)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_dies_changes_nothing():
    """Its partitions are computed again, by the one that takes its place."""
    X = rows("full")
    options = {"n_components": K, "tol": 0, "max_iter": 40}
    one = make("full", **options).fit(X)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        collection = da.from_array(X, chunks=(1000, -1)).persist()

        def kill():
            time.sleep(1.5)
            process = next(iter(client.run(os.getpid).values()))
            os.kill(process, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        two = make("full", **options).fit(collection)
        killer.join()
    assert_same(two, one, tol=1e-10)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_goes_away_is_told():
    X = rows("full")
    est = make("full", n_components=K).fit(X)
    before = est.means_.copy()
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=None
    )
    with distributed.Client(cluster):
        closer = threading.Timer(3, cluster.close)
        closer.start()
        with pytest.raises(RuntimeError, match="went away"):
            est.set_params(tol=0, max_iter=100_000).fit(
                da.from_array(X, chunks=(1000, -1))
            )
        closer.join()
    np.testing.assert_array_equal(est.means_, before)
