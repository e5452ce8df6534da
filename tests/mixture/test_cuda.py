"""Mixtures on a GPU: what NumPy gives, and the same each time."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("torch")

import torch

from . import test_device_discrete as discrete
from . import test_device_mixed as mixed
from .families import GAUSSIAN, assert_same, blobs
from .test_device import (
    NATS,
    TABLES,
    assert_equal_fits,
    fit,
    make,
    uneven_weights,
    with_missing,
)

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("kind", GAUSSIAN)
@pytest.mark.parametrize("table", TABLES)
def test_fits_are_those_of_numpy(table, kind, missing):
    X = with_missing(TABLES[table]()) if missing else TABLES[table]()
    weight = uneven_weights(len(X))
    one = fit(make(kind), X, sample_weight=weight)
    for rows, params in (
        (X, {"device": "cuda"}),
        (X, {"device": "auto", "batch_size": 64}),
        (torch.tensor(X, device="cuda"), {}),
    ):
        two = fit(make(kind, **params), rows, sample_weight=weight)
        assert_equal_fits(one, two, X, weight, device="cuda")


@pytest.mark.parametrize("kind", GAUSSIAN)
def test_answers_stay_on_the_gpu(kind):
    X = torch.tensor(with_missing(blobs(300, n_features=4)), device="cuda")
    est = fit(make(kind), X)
    for method in ("score_samples", "predict", "predict_proba", "transform", "impute"):
        answer = getattr(est, method)(X)
        assert answer.device == X.device
        expected = getattr(est, method)(X.cpu().numpy())
        assert_allclose(answer.cpu(), expected, rtol=0, atol=NATS)
    assert type(est.score(X)) is float


@pytest.mark.parametrize("missing", [0.0, 0.15])
@pytest.mark.parametrize("kinds", mixed.KINDS)
def test_fits_of_mixed_columns_are_those_of_numpy(kinds, missing):
    X = mixed.people(400, missing=missing)
    weight = uneven_weights(len(X))
    one, two = mixed.both(X, weight, components=mixed.KINDS[kinds], batch_size=97)
    mixed.assert_equal_fits(one, two, X, weight)
    for method in ("score_samples", "predict_proba"):
        answers = [getattr(est, method)(X) for est in (one, two)]
        assert_allclose(*answers, rtol=0, atol=NATS)


@pytest.mark.parametrize("missing", [0.0, 0.15])
@pytest.mark.parametrize("family", discrete.FAMILIES)
def test_fits_of_other_families_are_those_of_numpy(family, missing):
    X = discrete.table(family, missing=missing)
    weight = uneven_weights(len(X))
    one = fit(discrete.make(family), X, sample_weight=weight)
    for rows, params in (
        (X, {"device": "cuda"}),
        (X, {"device": "auto", "batch_size": 64}),
        (torch.tensor(X, device="cuda"), {}),
        (torch.tensor(X, device="cuda").half(), {}),
    ):
        two = fit(discrete.make(family, **params), rows, sample_weight=weight)
        # Half precision holds the counts up to 2048.
        if rows is X or rows.dtype != torch.half or family != "poisson":
            discrete.assert_equal_fits(one, two, X, weight)
    for method in ("score_samples", "predict", "predict_proba", "impute"):
        answer = getattr(two, method)(torch.tensor(X, device="cuda"))
        assert answer.device.type == "cuda"
        expected = getattr(two, method)(X)
        assert_allclose(answer.cpu(), expected, rtol=0, atol=NATS)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("missing", [0.0, 0.1])
@pytest.mark.parametrize("family", discrete.FAMILIES)
def test_a_fit_of_other_families_repeats_itself(family, missing, dtype):
    X = torch.tensor(discrete.table(family, n=5000, missing=missing)).to("cuda", dtype)
    one, two = (fit(discrete.make(family), X) for _ in range(2))
    assert_same(one, two, tol=0)
    assert_array_equal(one.predict_proba(X).cpu(), two.predict_proba(X).cpu())


def test_tensors_elsewhere_are_refused():
    X = torch.tensor(blobs(100))
    with pytest.raises(ValueError, match="give X"):
        make("full", device="cuda").fit(X)
    with pytest.raises(ValueError, match="not available"):
        make("full", device="cuda:97").fit(X.cuda())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("missing", [0.0, 0.1])
@pytest.mark.parametrize("kind", GAUSSIAN)
def test_a_fit_repeats_itself(kind, missing, dtype):
    X = torch.tensor(blobs(5000, missing=missing)).to("cuda", dtype)
    one, two = (fit(make(kind), X) for _ in range(2))
    assert_same(one, two, tol=0)
    assert_array_equal(one.predict_proba(X).cpu(), two.predict_proba(X).cpu())


@pytest.mark.parametrize("kind", GAUSSIAN)
def test_tf32_takes_no_digits(kind):
    X = blobs(5000, n_features=4).astype(np.float32)
    expected = fit(make(kind), X)
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        est = fit(make(kind, device="cuda"), X)
        inside = est.score_samples(X)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
    assert abs(est.lower_bound_ - expected.lower_bound_) < NATS
    assert_allclose(inside, est.score_samples(X), atol=1e-4)


def test_attributes_are_on_the_gpu_where_scikit_learn_dispatches(monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    X = torch.tensor(blobs(300), device="cuda")
    with sklearn.config_context(array_api_dispatch=True):
        est = fit(make("full"), X)
        assert est.means_.device == est.sample(3)[0].device == X.device
        assert fit(est.set_params(warm_start=True), X).converged_


def test_rows_that_are_too_many_for_the_gpu_are_streamed(monkeypatch):
    X = blobs(1000, n_features=4)
    monkeypatch.setattr("sklvm.mixture._torch_rows.free_bytes", lambda device: 0)
    assert_same(
        fit(make("full", device="cuda", batch_size=128), X), fit(make("full"), X)
    )
