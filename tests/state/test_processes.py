"""Fitted estimators in other processes, in forks, in threads, and through skops."""

import copy
import multiprocessing
import os
import pickle
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np
import pytest
import skops.io
from numpy.testing import assert_array_equal
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import validation

from tests.state.cases import CASES, answers, assert_same_answers, fitted
from tests.state.test_save import OWN, assert_goes_on_alike, own_vae
from tests.state.workers import in_a_process, score_all


@pytest.mark.slow
def test_fitted_estimators_are_arguments_of_spawned_processes():
    cases = [CASES[name] for name in ("VAE", "GMVAE", "GaussianMixtureEM")]
    estimators = [*(fitted(case.name) for case in cases), CASES["VAE"].fit(own_vae())]
    rows = [case.rows[0] for case in [*cases, CASES["VAE"]]]
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=score_all, args=(estimators, rows, queue))
    process.start()
    try:
        scores = queue.get(timeout=120)
    finally:
        process.join(timeout=60)
        process.kill()
    for est, X, score in zip(estimators, rows, scores, strict=True):
        assert_array_equal(score, est.score_samples(X))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_forks_do_not_hang():
    assert in_a_process("fork_while_threads_predict") == "done"


class Watched(warnings.catch_warnings):
    """Waits for the others, and counts how many there are at once."""

    entered = inside = most = 0

    def __enter__(self):
        Watched.entered += 1
        Watched.inside += 1
        Watched.most = max(Watched.most, Watched.inside)
        time.sleep(0.002)
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        Watched.inside -= 1


@pytest.mark.parametrize(
    "name", ["GaussianMixtureEM", "BernoulliMixtureEM", "VAE", "ConditionalVAE"]
)
def test_threads_leave_the_filters_of_warnings_as_they_were(name, monkeypatch):
    """One at a time changes them: of two at once, the filters of one would remain."""
    watching = ModuleType("warnings")
    vars(watching).update(vars(warnings) | {"catch_warnings": Watched})
    # Lists, as small arrays of numbers do without scikit-learn's checks.
    est, rows = fitted(name), [values.tolist() for values in CASES[name].rows]
    monkeypatch.setattr(validation, "warnings", watching)
    monkeypatch.setattr(Watched, "entered", 0)
    monkeypatch.setattr(Watched, "most", 0)
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: est.score_samples(*rows), range(8)))
    assert Watched.entered >= 8
    assert Watched.most == 1
    assert list(warnings.filters) == before


# Pickles.


@pytest.mark.parametrize("name", CASES)
def test_pickles_hold_no_tensors(name):
    """Only sklvm's own estimators, NumPy and plain values: no torch, no skorch."""
    data = pickle.dumps(fitted(name))
    assert b"torch\n" not in data
    assert b"_rebuild" not in data
    assert b"skorch" not in data.replace(b"skorch_", b"")


@pytest.mark.parametrize("name", ["GaussianMixtureEM", "VAE", "ModelImputer_VAE"])
def test_a_pickle_of_another_version_warns(name, monkeypatch):
    data = pickle.dumps(fitted(name))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pickle.loads(data)
    monkeypatch.setattr("sklvm.__version__", "99.0")
    with pytest.warns(InconsistentVersionWarning, match=r"version 99\.0") as told:
        loaded = pickle.loads(data)
    assert len(told) == 1
    assert told[0].filename == __file__
    assert_same_answers(fitted(name), loaded, CASES[name])


@pytest.mark.parametrize("name", ["VAE", "GMVAE"])
def test_a_pickle_that_is_trained_on_says_what_it_lacks(name):
    case = CASES[name]
    loaded = pickle.loads(pickle.dumps(fitted(name))).set_params(warm_start=True)
    with pytest.warns(UserWarning, match=r"moments .*resumable=True"):
        loaded.fit(*case.data)


def test_a_deep_copy_goes_on_exactly():
    case = CASES["VAE"]
    est = case.fit().set_params(warm_start=True)
    assert_goes_on_alike(est, copy.deepcopy(est), case, "fit")


def test_a_shallow_copy_shares():
    est = fitted("VAE")
    assert copy.copy(est).net_ is est.net_


# skops.


def through_skops(est, others=()):
    data = skops.io.dumps(est)
    untrusted = skops.io.get_untrusted_types(data=data)
    own = [name for name in untrusted if name not in others]
    assert own
    assert all(name.startswith("sklvm.") for name in own), own
    return skops.io.loads(data, trusted=untrusted)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_skops_takes_pipelines_with_every_estimator(name):
    est, case = fitted(name), CASES[name]
    pipeline = make_pipeline(FunctionTransformer(), est)
    loaded = through_skops(pipeline)
    assert_same_answers(est, loaded[-1], case)
    X = case.rows[0]
    method = next(m for m in ("predict", "transform", "score") if hasattr(est, m))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected, found = (getattr(p, method)(X) for p in (pipeline, loaded))
    assert str(found) == str(expected)


def test_skops_names_the_classes_of_users():
    est = CASES["VAE"].fit(own_vae())
    loaded = through_skops(est, others=OWN)
    assert_array_equal(
        answers(loaded, CASES["VAE"])["transform0"], est.transform(CASES["VAE"].rows[0])
    )
    with pytest.raises(skops.io.exceptions.UntrustedTypesFoundException, match="Own"):
        skops.io.loads(skops.io.dumps(est), trusted=["sklvm.autoencoder._vae.VAE"])


def test_every_estimator_is_among_the_cases():
    import sklvm

    classes = {type(case.estimator).__name__ for case in CASES.values()}
    public = {name for name in sklvm.__all__ if isinstance(getattr(sklvm, name), type)}
    assert classes == public
    assert np.all(
        [hasattr(getattr(sklvm, name), "_get_fitted_state") for name in public]
    )
