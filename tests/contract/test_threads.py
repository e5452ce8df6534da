"""Predictions of one fitted estimator in eight threads are those of one, to the bit."""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from ..networks import ConditionalVAE, SparseSegmentationRDA
from ..registry import REGISTRY
from ..test_contract import global_state
from .targets import fitted, models

N_THREADS, N_CALLS = 8, 24


@pytest.fixture(params=[name for name, _, _ in models()])
def model(request):
    return fitted(request.param)


def questions(est, data):
    """What may be asked of it, each a function of the fitted estimator."""
    X, rest, images = data[0], (), {}
    if isinstance(est, ConditionalVAE):
        rest = data[1:]
    elif isinstance(est, SparseSegmentationRDA) and len(data) > 1:
        images = {"images": data[1]}
    for name in ("predict", "predict_proba", "decision_function", "impute"):
        if hasattr(est, name):
            yield lambda est, name=name: getattr(est, name)(X)
    for name in ("transform", "score_samples"):
        if hasattr(est, name):
            yield lambda est, name=name: getattr(est, name)(X, *rest, **images)
    if hasattr(est, "sample_missing"):
        gaps = X.copy()
        gaps[::2, 0] = np.nan
        yield lambda est: est.sample_missing(gaps, 2)
    if rest:
        yield lambda est: est.sample(X, 3)
    elif callable(getattr(est, "sample", None)):  # a parameter of ModelImputer
        own = {"images": data[1][:5]} if images else {}
        yield lambda est: est.sample(5, **own)


def flat(result):
    """All arrays of a result."""
    if isinstance(result, tuple | list):
        return [array for part in result for array in flat(part)]
    return [np.asarray(result)]


@pytest.mark.filterwarnings("ignore")
def test_eight_threads_are_one(model):
    est, data = model
    asked = list(questions(est, data))
    alone = [flat(ask(est)) for ask in asked]
    order = np.random.default_rng(0).permutation(
        np.resize(np.arange(len(asked)), N_CALLS)
    )
    with ThreadPoolExecutor(N_THREADS) as pool:
        results = list(pool.map(lambda i: flat(asked[i](est)), order))
    for i, result in zip(order, results, strict=True):
        for one, other in zip(alone[i], result, strict=True):
            np.testing.assert_array_equal(other, one)


@pytest.mark.filterwarnings("ignore")
def test_a_copy_each_is_the_same(model):
    """What predictions keep in the estimator, if anything, is theirs alone."""
    est, data = model
    for ask in questions(est, data):
        before = sorted(vars(est))
        for one, other in zip(flat(ask(est)), flat(ask(copy.copy(est))), strict=True):
            np.testing.assert_array_equal(other, one)
        assert sorted(vars(est)) == before


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [None, 1, 2])
@pytest.mark.parametrize("entry", [e for e in REGISTRY if hasattr(e.make(), "n_jobs")],
                         ids=lambda e: e.estimator.__name__)  # fmt: skip
def test_threads_over_chunks(entry, n_jobs):
    """Many chunks, over threads of their own, in eight threads."""
    est, _ = entry.fit_anew(n_jobs=n_jobs, batch_size=7)
    X = entry.make_data(1, 400)[0]
    alone = est.transform(X), est.score_samples(X)
    with ThreadPoolExecutor(N_THREADS) as pool:
        for _ in range(3):
            codes = pool.map(est.transform, [X] * N_THREADS)
            scores = pool.map(est.score_samples, [X] * N_THREADS)
            for one, two in zip(codes, scores, strict=True):
                np.testing.assert_array_equal(one, alone[0])
                np.testing.assert_array_equal(two, alone[1])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_predictions_change_no_setting(model):
    est, data = model
    asked = list(questions(est, data))
    with threadpool_limits(limits=3):
        before = global_state()
        for ask in asked:
            ask(est)
        with ThreadPoolExecutor(N_THREADS) as pool:
            list(pool.map(lambda i: asked[i % len(asked)](est), range(N_CALLS)))
        after = global_state()
    after["threads"] = {lib: after["threads"].get(lib) for lib in before["threads"]}
    # Those of warnings belong to whoever runs the tests.
    for key in set(before) - {"warnings"}:
        assert after[key] == before[key], f"{key} was changed"
