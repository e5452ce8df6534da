"""Passes by torch over tables of mixed columns: what NumPy's give.

Tried on torch's CPU device in the GPU's place; the code is the GPU's.
"""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.base import clone

pytest.importorskip("torch")

import torch

import sklvm
from sklvm import MixtureEM, elbo
from sklvm.mixture._rows import Workspace
from sklvm.mixture._torch_kernel import torch_kernel
from sklvm.mixture.families.lognormal import LognormalComponents
from sklvm.mixture.families.negative_binomial import NegativeBinomialComponents

from . import mixed
from .mixed import people
from .test_device import NATS, fit, uneven_weights

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

KINDS = {
    "auto": "auto",
    "by hand": mixed.components(),
    "diagonal": mixed.components("diag"),
    "tied": mixed.components("tied"),
    "columns apart": [
        ("gaussian", ["weight"]),
        ("lognormal", ["spend", "height"]),
        ("categorical", ["region", "member", "plan"]),
        ("auto", ["calls", "visits"]),
    ],
}


def make(**params):
    return MixtureEM(3, **({"random_state": 0, "max_iter": 15} | params))


def both(X, sample_weight=None, **params):
    """The same fit by NumPy and by torch."""
    return [
        fit(make(device=device, **params), X, sample_weight=sample_weight)
        for device in ("cpu", "cuda")
    ]


def assert_equal_fits(one, two, X, sample_weight=None):
    assert one.n_iter_ == two.n_iter_
    assert_allclose(one.lower_bounds_, two.lower_bounds_, rtol=0, atol=NATS)
    for a, b in zip(one._params()[1], two._params()[1], strict=True):
        assert_allclose(a, b, rtol=1e-8, atol=1e-8)
    scores = [est.score(X, sample_weight=sample_weight) for est in (one, two)]
    assert abs(scores[0] - scores[1]) < NATS


@pytest.fixture(autouse=True)
def cuda_is_the_cpu(like_a_gpu):
    return like_a_gpu


@pytest.mark.parametrize("missing", [0.0, 0.15])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kinds", KINDS)
def test_torch_gives_what_numpy_gives(kinds, weighted, missing):
    X = people(400, missing=missing)
    weight = uneven_weights(len(X)) if weighted else None
    one, two = both(X, weight, components=KINDS[kinds], batch_size=97)
    assert_equal_fits(one, two, X, weight)
    for method in ("score_samples", "predict_proba"):
        answers = [getattr(est, method)(X) for est in (one, two)]
        assert_allclose(*answers, rtol=0, atol=NATS)


def test_the_density_is_that_of_scipy():
    X = people(200)
    est = fit(mixed.make(device="cuda", max_iter=5), X)
    assert_allclose(est.score_samples(X), mixed.log_density(est, X), atol=1e-9)


def test_all_methods_answer_as_numpy():
    X = people(300, missing=0.2)
    one, two = both(X)
    assert_array_equal(one.predict(X), two.predict(X))
    for est in (one, two):
        est.set_params(random_state=1)
    for method in ("impute", "sample_missing"):
        answers = [getattr(est, method)(X) for est in (one, two)]
        if method == "sample_missing":
            answers = [draws[0] for draws in answers]
        assert_frame_equal(*answers, rtol=1e-8)
    proba = [est.predict_missing_proba(X, "plan") for est in (one, two)]
    assert_allclose(*proba, atol=1e-9)
    given = [est.conditional_score_samples(X, ["plan", "calls"]) for est in (one, two)]
    assert_allclose(*given, atol=NATS)
    for criterion in ("bic", "icl"):
        assert_allclose(*[getattr(est, criterion)(X) for est in (one, two)])
    bounds = [elbo(est, X, one.predict_proba(X)) for est in (one, two)]
    assert_allclose(*bounds, atol=NATS)


def test_a_large_table_that_numpy_reads_in_groups():
    """The short forms of discrete columns are NumPy's alone."""
    rng = np.random.default_rng(0)
    z = rng.integers(3, size=9000)
    X = pd.DataFrame(rng.random((9000, 12)) < rng.random((3, 12))[z])
    X = X.rename(columns=str).assign(x=rng.normal(3 * z))
    one, two = both(X, max_iter=5)
    assert_equal_fits(one, two, X)


@pytest.mark.parametrize("memory", [2**40, 0])
def test_whole_or_chunk_by_chunk(memory, like_a_gpu):
    like_a_gpu[0] = memory
    X = people(300, missing=0.1)
    assert_equal_fits(*both(X, batch_size=50), X)


def test_a_source_is_streamed():
    X = people(300, missing=0.1)

    def chunks():
        return (X.iloc[i : i + 64] for i in range(0, len(X), 64))

    one, two = fit(make(), X), fit(make(device="cuda"), chunks)
    assert_equal_fits(one, two, X)


def test_batches():
    X = people(400)
    one, two = (make(device=device) for device in ("cpu", "cuda"))
    for est in (one, two):
        for i in range(0, 400, 100):
            est.partial_fit(X.iloc[i : i + 100])
    assert_equal_fits(one, two, X)


def test_a_tensor_is_its_array():
    X = np.random.default_rng(0).poisson([2.0, 30.0], size=(200, 2))
    one, two = (
        fit(make(device=device), rows)
        for device, rows in (("cpu", X), ("cuda", torch.tensor(X)))
    )
    assert one.lower_bound_ == pytest.approx(two.lower_bound_, abs=NATS)
    assert type(two.predict(torch.tensor(X))) is np.ndarray


@pytest.mark.parametrize("missing", [False, True])
def test_counts_beyond_those_of_the_fit(missing):
    X = people(300, missing=0.1 if missing else 0.0)
    one, two = both(X, components=mixed.components())
    more = X.assign(visits=[500, 4000, *X["visits"][2:]])
    answers = [est.score_samples(more) for est in (one, two)]
    assert_allclose(*answers, atol=NATS)
    for est in (one, two):
        with pytest.raises(ValueError, match=r"4000 .* n_levels=4001"):
            est.partial_fit(more)


def test_many_levels_come_in_parts(monkeypatch):
    monkeypatch.setattr("sklvm.mixture.families.mixed_torch.MOST_INDICATORS", 500)
    rng = np.random.default_rng(0)
    components = NegativeBinomialComponents(2, n_levels=[40, 7])
    params = rng.gamma(2, 3, size=(3, 2)), rng.random((3, 2))
    X = np.column_stack([rng.integers(40, size=90), rng.integers(7, size=90)])
    host = next(components.kernels(params))
    kernel = torch_kernel(host, torch.device("cpu"))
    resp = rng.dirichlet(np.ones(3), size=90)
    expected = host.statistics(host.components.features(X * 1.0), resp.T, None)
    found = kernel.statistics(
        kernel.features(torch.tensor(X * 1.0)), torch.tensor(resp)
    )
    assert_allclose(found[0].numpy(), expected[0], atol=1e-12)


@pytest.mark.parametrize("logged", [True, [True, False]])
def test_no_density_at_zero_or_below(logged):
    rng = np.random.default_rng(0)
    components = LognormalComponents(
        2, logged=logged, missing=True, covariance_type="full", reg_covar=1e-6
    )
    params = components.m_step(
        components.statistics(
            components.features(np.exp(rng.normal(size=(60, 2)))),
            rng.dirichlet(np.ones(3), size=60).T,
        ),
        None,
    )
    X = np.array([[0.0, 1.0], [2.0, -1.0], [-3.0, np.nan], [0.5, 4.0], [np.nan] * 2])
    host = next(components.kernels(params))
    expected, _ = host.log_prob(X, Workspace())
    found, _ = torch_kernel(host, torch.device("cpu")).log_prob(torch.tensor(X))
    assert_allclose(found.T.numpy(), expected, atol=1e-12)


def test_copies_checkpoints_and_files(tmp_path):
    X = people(200)
    est = make(device="cuda", checkpoint=tmp_path / "kept")
    assert clone(est).device == "cuda"
    score = fit(est, X).score(X)
    assert pickle.loads(pickle.dumps(est)).score(X) == score
    sklvm.save(est, tmp_path / "model")
    loaded = sklvm.load(tmp_path / "model")
    assert loaded.device == "cuda"
    assert loaded.set_params(device="cpu").score(X) == pytest.approx(score, abs=NATS)


def test_a_device_that_is_not_there(monkeypatch):
    monkeypatch.undo()
    if torch.cuda.is_available():
        pytest.skip("CUDA is there")
    with pytest.raises(ValueError, match="device='cuda'"):
        make(device="cuda").fit(people(50))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert fit(make(device="auto"), people(50)).score(people(50)) < 0
