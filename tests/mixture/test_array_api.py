"""scikit-learn's array API dispatch: attributes and answers in the library of X."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("torch")

import torch

import sklvm
from sklvm import GaussianMixtureEM
from sklvm._compat import move_to

from .families import GAUSSIAN, assert_same, blobs

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.skipif(move_to is None, reason="an older scikit-learn"),
]

ATTRIBUTES = (
    "weights_",
    "means_",
    "covariances_",
    "precisions_",
    "precisions_cholesky_",
)
# scikit-learn's own test, with the class swapped. The test module reads the setting
# when SciPy is imported, hence the process of its own.
COMPLIANCE = """
import os, sys, pytest, torch
from sklvm import GaussianMixtureEM

class Swap:
    passed = 0

    def pytest_collection_modifyitems(self, items):
        for item in items:
            item.module.GaussianMixture = GaussianMixtureEM

    def pytest_runtest_logreport(self, report):
        self.passed += report.when == "call" and report.passed

swap = Swap()
module = "sklearn.mixture.tests.test_gaussian_mixture"
options = ["-c", os.devnull, "-q", "-p", "no:cacheprovider", "-W", "ignore"]
names = "array_api_compliance and not numpy"
if not torch.cuda.is_available():  # that torch is made for it is enough to scikit-learn
    names += " and not cuda"
status = pytest.main([*options, "-k", names, "--pyargs", module], plugins=[swap])
assert swap.passed >= 32, swap.passed  # those of torch on the CPU
sys.exit(status)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 9),
    reason="the test is that of scikit-learn 1.9",
)
def test_scikit_learns_test_of_compliance():
    environment = os.environ | {"SCIPY_ARRAY_API": "1"}
    run = subprocess.run(
        [sys.executable, "-c", COMPLIANCE],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]


@pytest.fixture
def dispatch(monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    with sklearn.config_context(array_api_dispatch=True):
        yield


def make(kind="full", **params):
    params = {"n_components": 3, "random_state": 0} | params
    return GaussianMixtureEM(covariance_type=kind, **params)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("kind", GAUSSIAN)
def test_attributes_and_draws_are_tensors(dispatch, kind, dtype):
    X = torch.tensor(blobs(200)).to(dtype)
    est = make(kind).fit(X)
    for name in ATTRIBUTES:
        value = getattr(est, name)
        assert isinstance(value, torch.Tensor)
        assert value.dtype == dtype
    rows, labels = est.sample(5)
    assert isinstance(rows, torch.Tensor) and isinstance(labels, torch.Tensor)
    assert isinstance(est.predict_proba(X), torch.Tensor)
    assert type(est.score(X)) is float
    with sklearn.config_context(array_api_dispatch=False):
        other = make(kind).fit(X)
    assert type(other.means_) is np.ndarray
    assert_array_equal(est.means_, other.means_)
    assert_array_equal(est.predict(X), other.predict(X))


def test_a_fit_goes_on_from_tensors(dispatch):
    X = torch.tensor(blobs(200))
    est = make(warm_start=True, max_iter=3, tol=1e-8, init_params="random")
    est.fit(X)
    before = est.lower_bound_
    assert est.fit(X).lower_bound_ > before
    assert isinstance(est.partial_fit(X[:100]).means_, torch.Tensor)


@pytest.mark.parametrize("kind", GAUSSIAN)
def test_files_and_pickles_hold_arrays(dispatch, kind, tmp_path):
    X = torch.tensor(blobs(200))
    est = make(kind).fit(X)
    sklvm.save(est, tmp_path / "model")
    for other in (pickle.loads(pickle.dumps(est)), sklvm.load(tmp_path / "model")):
        assert type(other.means_) is np.ndarray
        for name in ATTRIBUTES:
            assert_array_equal(getattr(other, name), getattr(est, name))
        assert_allclose(other.score(X), est.score(X), rtol=1e-12)
    assert isinstance(est.means_, torch.Tensor)


def test_arrays_of_numpy_stay_what_they_are(dispatch):
    X = blobs(200)
    est = make().fit(X)
    with sklearn.config_context(array_api_dispatch=False):
        assert_same(est, make().fit(X), tol=0)
    assert type(est.means_) is np.ndarray
    assert type(est.sample(3)[0]) is np.ndarray


def test_arrays_of_a_library_without_a_kernel(dispatch):
    xp = pytest.importorskip("array_api_strict")
    X = blobs(100)
    for device in ("CPU_DEVICE", "device1"):
        given = xp.asarray(X, device=xp.Device(device))
        est = make(means_init=given[:3, :]).fit(given)
        assert est.means_.device == est.predict(given).device == given.device
        assert_allclose(est.score(given), make(means_init=X[:3]).fit(X).score(X))
