"""Ctrl-C at any moment of a fit is raised at once, and keeps what was reached."""

import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest

from sklvm import GaussianMixtureEM, ModelImputer

from ..networks import SparseSegmentationRDA
from ..registry import REGISTRY, three_blobs

pytestmark = pytest.mark.usefixtures("ctrl_c_counts")

LONG = {
    "tol": 0.0, "max_iter": 10**6, "max_epochs": 10**6, "early_stopping": False,
    "warmup": 0.0,
}  # fmt: skip


def cases():
    """(entry, parameters) of every estimator, and of those with restarts and jobs."""
    for entry in REGISTRY:
        known = entry.make().get_params()
        long = {name: value for name, value in LONG.items() if name in known}
        more = [{}]
        if "n_jobs" in known:
            more += [{"n_init": 4, "n_jobs": n} for n in (1, 2)]
        if "pretraining" in known:
            # Else a million epochs would come first.
            long["pretraining"] = 0.0
            more += [{"n_init": 3, "validation_fraction": 0.2}]
        if entry.estimator is SparseSegmentationRDA:
            more += [{"rate_model": "learned"}]
        for params in more:
            yield pytest.param(
                entry, long | params, id=f"{entry.estimator.__name__}-{params}"
            )


def interrupted(est, data, delay):
    """Fit, with Ctrl-C after so many seconds; the exception and the seconds to it."""
    pressed = []

    def press():
        pressed.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(delay, press)
    # Python drops a KeyboardInterrupt that falls into the callback of a weak reference,
    # such as torch has: a user presses once more.
    again = threading.Timer(delay + 5, press)
    timer.start()
    again.start()
    with pytest.raises(KeyboardInterrupt) as raised:
        est.fit(*data)
    seconds = time.perf_counter() - pressed[-1]
    again.cancel()
    timer.join()
    return raised.value, seconds


@pytest.fixture
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def check(entry, params, delay):
    data = entry.rows()
    entry.fitted()  # torch imports what it needs at its first fit
    est = entry.make(**params)
    before = dict(vars(est))
    interrupt, seconds = interrupted(est, data, delay)
    assert seconds < 1
    (note,) = interrupt.__notes__
    if "as it was" in note:
        assert vars(est) == before
        return False
    assert f"reached in {est.n_iter_} " in note
    assert est.converged_ is False
    assert np.isfinite(est.lower_bound_)
    assert len(est.lower_bounds_) == est.n_iter_
    score = est.score(*data)
    assert np.isfinite(score)
    more = {"max_iter": 3} if "max_iter" in params else {"max_epochs": 1}
    n_iter, lowest = est.n_iter_, est.lower_bound_
    est.set_params(warm_start=True, **more).fit(*data)
    if "max_iter" in more:
        assert est.score(*data) >= score - 1e-9
        assert est.lower_bound_ >= lowest - 1e-6
    else:
        assert est.n_iter_ == n_iter + 1
    return True


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("entry, params", list(cases()))
def test_ctrl_c(entry, params):
    # Later on a slow machine, where the start takes longer.
    assert any(check(entry, params, delay) for delay in (0.4, 2.0, 8.0))


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("entry, params", list(cases()))
def test_ctrl_c_at_random_moments(entry, params, seed):
    """Early ones: the test above is about a training that is on its way."""
    delay = np.random.default_rng(seed).uniform(0.001, 0.5)
    check(entry, params, delay)


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_no_thread_is_waited_for(n_jobs):
    """Where one pass over the rows takes long."""
    X = np.random.default_rng(0).normal(size=(300_000, 6))
    est = GaussianMixtureEM(
        6, n_init=4, tol=0, max_iter=1000, n_jobs=n_jobs, random_state=0
    )
    _, seconds = interrupted(est, (X,), delay=1.5)
    assert seconds < 0.5


def test_a_wrapper_is_as_it_was():
    X = three_blobs(0, 5000)[0]
    imputer = ModelImputer(GaussianMixtureEM(3, tol=0, max_iter=10**6))
    before = dict(vars(imputer))
    interrupt, seconds = interrupted(imputer, (X,), delay=0.3)
    assert seconds < 1
    assert vars(imputer) == before
    assert interrupt.__notes__ == ["The ModelImputer is as it was before the call."]
