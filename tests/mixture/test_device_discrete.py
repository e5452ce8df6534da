"""Passes by torch of Bernoulli, categorical and Poisson mixtures: what NumPy's give.

Tried on torch's CPU device, which a tensor as X asks for; the code is the GPU's.
"""

import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from scipy.stats import bernoulli, poisson

pytest.importorskip("torch")

import sklearn
import torch

import sklvm
from sklvm import (
    BernoulliMixtureEM,
    CategoricalMixtureEM,
    MixtureEM,
    PoissonMixtureEM,
    elbo,
)
from sklvm._compat import move_to
from sklvm.mixture._binary import distinct_values, extremes, is_zero_one
from sklvm.mixture._checks import largest_fraction
from sklvm.mixture._codes import largest_codes
from sklvm.mixture._rows import MemoryRows, Workspace
from sklvm.mixture._tensor_chunks import TensorRows
from sklvm.mixture._torch_kernel import torch_kernel
from sklvm.mixture._torch_rows import DeviceRows, to_host
from sklvm.mixture.families.bernoulli import BernoulliComponents
from sklvm.mixture.families.categorical import CategoricalComponents
from sklvm.mixture.families.poisson import PoissonComponents

from .families import assert_same
from .test_device import NATS, fit, uneven_weights

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

CLASSES = {
    "bernoulli": BernoulliMixtureEM,
    "categorical": CategoricalMixtureEM,
    "poisson": PoissonMixtureEM,
}
FAMILIES = list(CLASSES)
CATEGORIES = np.array([2, 5, 3, 1, 12, 4])  # of the features, for codes


def make(family, **params):
    return CLASSES[family](
        **({"n_components": 3, "max_iter": 15, "random_state": 0} | params)
    )


def table(family, n=400, missing=0.0, seed=0):
    """Rows of a mixture of three components; some features never vary within one."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=n)
    if family == "bernoulli":
        theta = rng.random((3, 9))
        theta[0, :2], theta[1, 2:4] = 1, 0
        X = rng.random((n, 9)) < theta[labels]
    elif family == "poisson":
        rates = rng.gamma(1, 4, size=(3, 7))
        rates[0, 0], rates[1, 1] = 0, 3000
        X = rng.poisson(rates[labels])
    else:
        columns = [rng.dirichlet(np.full(c, 0.5), size=3) for c in CATEGORIES]
        columns[1][0] = [1, 0, 0, 0, 0]
        X = np.column_stack(
            [
                (np.cumsum(p, axis=1)[labels, :-1] < rng.random((n, 1))).sum(axis=1)
                for p in columns
            ]
        )
    X = X.astype(np.float64)
    hidden = rng.random(X.shape) < missing
    hidden[:8] = False
    X[hidden] = np.nan
    return X


def both(family, X, sample_weight=None, **params):
    """The same fit by NumPy and by torch."""
    one, two = make(family, **params), make(family, **params)
    fit(one, X, sample_weight=sample_weight)
    return one, fit(two, torch.tensor(X), sample_weight=sample_weight)


def assert_equal_fits(one, two, X, sample_weight=None):
    assert one.n_iter_ == two.n_iter_
    assert_allclose(one.lower_bounds_, two.lower_bounds_, rtol=0, atol=NATS)
    assert abs(one.lower_bound_ - two.lower_bound_) < NATS
    scores = [
        est.score(rows, sample_weight=sample_weight)
        for est, rows in ((one, X), (two, X), (two, torch.tensor(X)))
    ]
    assert np.ptp(scores) < NATS
    on_torch = two.score_samples(torch.tensor(X))
    assert_allclose(on_torch, two.score_samples(X), rtol=0, atol=NATS)


@pytest.mark.parametrize("missing", [0.0, 0.15])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_torch_gives_what_numpy_gives(family, weighted, missing):
    X = table(family, missing=missing)
    weight = uneven_weights(len(X)) if weighted else None
    one, two = both(family, X, weight)
    assert_equal_fits(one, two, X, weight)
    assert_same(one, two, tol=1e-8)


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_that_numpy_reads_in_another_form(family):
    """As patterns, in groups of features or sparse: whatever NumPy takes, it is F."""
    X = table(family, n=9000, missing=0.02)
    one, two = both(family, X, max_iter=5, batch_size=1000)
    assert_equal_fits(one, two, X)


def test_few_ones_of_many():
    rng = np.random.default_rng(0)
    X = (rng.random((1500, 90)) < 0.2 * rng.random(90)).astype(float)
    one, two = both("bernoulli", X, max_iter=5)
    assert_equal_fits(one, two, X)


def log_pmf(family, X, params):
    """log p(x | z = k), (K, n), by SciPy, of what is observed."""
    if family == "categorical":
        terms = np.zeros((len(params[0]), *X.shape))
        for d, p in enumerate(params):
            seen = ~np.isnan(X[:, d])
            terms[:, seen, d] = np.log(p[:, X[seen, d].astype(int)])
        return terms.sum(axis=2)
    law = bernoulli if family == "bernoulli" else poisson
    terms = law.logpmf(np.nan_to_num(X), params[:, np.newaxis])
    return np.where(np.isnan(X), 0, terms).sum(axis=2)


@pytest.mark.parametrize("family", FAMILIES)
def test_known_parameters_against_scipy(family):
    rng = np.random.default_rng(1)
    X, weights = table(family, missing=0.2), np.array([0.5, 0.2, 0.3])
    params = {
        "bernoulli": rng.uniform(0.1, 0.9, size=(3, 9)),
        "poisson": rng.gamma(2, 3, size=(3, 7)),
        "categorical": [rng.dirichlet(np.ones(c), size=3) for c in CATEGORIES],
    }[family]
    model = CLASSES[family].from_parameters(weights, params)
    log_joint = log_pmf(family, X, params) + np.log(weights)[:, np.newaxis]
    log_px = logsumexp(log_joint, axis=0)
    tensor = torch.tensor(X)
    assert_allclose(model.score_samples(tensor), log_px, rtol=1e-10)
    expected = np.exp(log_joint - log_px).T
    assert_allclose(model.predict_proba(tensor), expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_one_component_is_in_closed_form(family):
    X, weight = table(family, missing=0.2), uneven_weights(400)
    est = fit(make(family, n_components=1), torch.tensor(X), sample_weight=weight)
    for d in range(X.shape[1]):
        seen = ~np.isnan(X[:, d])
        x, w = X[seen, d], weight[seen] / weight[seen].sum()
        if family == "categorical":
            shares = np.bincount(x.astype(int), w, len(est.theta_[d][0]))
            assert_allclose(est.theta_[d][0], shares, atol=1e-12)
        else:
            mean = (est.theta_ if family == "bernoulli" else est.rates_)[0, d]
            assert_allclose(mean, w @ x, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(FAMILIES), st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_any_small_table(family, seed, n_components):
    rng = np.random.default_rng(seed)
    n, d = rng.integers(n_components, 20), rng.integers(1, 6)
    highest = {"bernoulli": 1, "categorical": 7, "poisson": 2000}[family]
    X = rng.integers(0, rng.integers(1, highest + 1) + 1, size=(n, d)).astype(float)
    X[1:][rng.random((n - 1, d)) < 0.3] = np.nan
    weight = rng.choice([0.0, 0.5, 1.0, 2.0], size=n)
    weight[:n_components] = 1
    one, two = both(
        family, X, weight, n_components=n_components, init_params="random", max_iter=3
    )
    assert_allclose(one.lower_bounds_, two.lower_bounds_, rtol=1e-9, atol=NATS)
    tensor = torch.tensor(X)
    assert_allclose(two.score_samples(tensor), two.score_samples(X), atol=NATS)
    assert_allclose(two.predict_proba(tensor), two.predict_proba(X), atol=1e-8)


@pytest.mark.parametrize("family", FAMILIES)
def test_all_methods_answer_as_numpy(family):
    X = table(family, missing=0.1)
    est, tensor = fit(make(family), X), torch.tensor(X)
    for method in ("score_samples", "predict_proba", "transform", "impute"):
        answer = getattr(est, method)(tensor)
        assert isinstance(answer, torch.Tensor)
        assert answer.dtype == torch.float64
        assert_allclose(answer, getattr(est, method)(X), rtol=1e-9, atol=1e-9)
    assert est.predict(tensor).dtype == torch.int64
    assert_array_equal(est.predict(tensor), est.predict(X))
    assert_allclose(est.sample_missing(tensor, 2), est.sample_missing(X, 2))
    given = est.conditional_score_samples(tensor, [0, 2])
    assert_allclose(given, est.conditional_score_samples(X, [0, 2]), atol=1e-9)
    resp = est.predict_proba(X)
    means = est.inverse_transform(torch.tensor(resp))
    assert_allclose(means, est.inverse_transform(resp))
    for criterion in ("score", "aic", "bic", "icl"):
        number = getattr(est, criterion)(tensor)
        assert isinstance(number, float)
        assert_allclose(number, getattr(est, criterion)(X), rtol=1e-9)
    assert_allclose(elbo(est, tensor, torch.tensor(resp)), elbo(est, X, resp))


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_that_cannot_be_and_rows_of_which_nothing_is_known(family):
    X = table(family)
    codes = {"n_categories": CATEGORIES} if family == "categorical" else {}
    est = fit(make(family, n_components=2, **codes), X[X[:, 0] == 0])
    rows = X[:3].copy()
    rows[0], rows[1, 0] = np.nan, 1  # which no row has that was fitted
    with pytest.warns(UserWarning, match="probability 0"):
        log_density = est.score_samples(torch.tensor(rows))
    assert log_density[0] == 0
    assert log_density[1] == -torch.inf
    assert_array_equal(log_density, est.score_samples(rows))
    resp = est.predict_proba(torch.tensor(rows))
    assert_allclose(resp[:2], est.weights_[None] + np.zeros((2, 1)))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_float32(family, missing):
    X = table(family, n=4000, missing=missing).astype(np.float32)
    one, two = both(family, X, max_iter=5, tol=0)
    assert two.weights_.dtype == np.float32
    assert abs(one.lower_bound_ - two.lower_bound_) < NATS
    tensor = torch.tensor(X)
    assert two.score_samples(tensor).dtype == torch.float32
    assert two.predict_proba(tensor).dtype == torch.float32
    assert_allclose(two.score_samples(tensor), two.score_samples(X), rtol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_where_the_process_rounds_float32_products_are_of_float64(
    family, rounded_products
):
    X = torch.tensor(table(family).astype(np.float32))
    exact = fit(make(family), X)
    with rounded_products():
        est = fit(make(family), X)
        assert abs(est.lower_bound_ - exact.lower_bound_) < NATS
        with torch.autocast("cpu", dtype=torch.bfloat16):
            inside = exact.score_samples(X)
    assert_allclose(inside, exact.score_samples(X), rtol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_order_of_rows_and_the_size_of_chunks_change_nothing(family):
    X = table(family, n=500, missing=0.1)
    est = fit(make(family), torch.tensor(X))
    shuffled = torch.tensor(np.random.default_rng(1).permutation(X))
    assert_same(est, fit(make(family, batch_size=64), shuffled), tol=1e-7)


@pytest.mark.parametrize("family", FAMILIES)
def test_partial_fit_warm_start_priors_and_acceleration(family):
    X = table(family, n=300)
    tensor = torch.tensor(X)
    codes = {"n_categories": CATEGORIES} if family == "categorical" else {}
    one, two = make(family, **codes), make(family, **codes)
    for batch in range(3):
        rows = slice(100 * batch, 100 * batch + 100)
        one.partial_fit(X[rows])
        two.partial_fit(tensor[rows])
    # Next to 1, theta has few digits of the 1 - theta whose logarithm a batch meets.
    assert_same(one, two, tol=1e-6)
    prior = {
        "bernoulli": {"theta_prior": (1.5, 1.5)},
        "categorical": {"theta_prior": 1.5},
        "poisson": {"rates_prior": (1.5, 0.1)},
    }[family]
    params = {"warm_start": True, "acceleration": "squarem", "n_init": 2} | prior
    one, two = both(family, X, tol=1e-8, weights_prior=2.0, **params)
    assert_same(one, two, tol=1e-6)
    assert_allclose(one.attempts_, two.attempts_, atol=NATS)
    before = two.lower_bounds_[-1]
    assert fit(two, tensor).lower_bounds_[-1] >= before - NATS


# Forms of tensors, and what is wrong with some.


@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.uint8, torch.int16, torch.int64, torch.float16]
)
@pytest.mark.parametrize("family", FAMILIES)
def test_tensors_of_few_bytes_are_the_same_rows(family, dtype):
    X = table(family)
    X = np.clip(X, 0, 1 if dtype == torch.bool else 200)
    given = torch.tensor(X).to(dtype)
    one, two = fit(make(family), X), fit(make(family), given)
    assert_same(one, two)
    assert two.predict_proba(given).dtype == torch.float64
    assert_allclose(two.score_samples(given), one.score_samples(X), rtol=1e-10)


@pytest.mark.parametrize("binarize", [0.5, 0.1, -0.25, 0])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64"])
def test_thresholds(dtype, binarize):
    """On the threshold, in each precision, a value is what it is to NumPy."""
    rng = np.random.default_rng(3)
    X = rng.choice([-1, -0.25, 0, 0.1, 0.3, 0.5, 1], size=(300, 6)).astype(dtype)
    one, two = both("bernoulli", X, binarize=binarize)
    assert_same(one, two, tol=1e-5 if dtype == "float32" else 1e-8)
    tensor = torch.tensor(X)
    assert_allclose(two.predict_proba(tensor), two.predict_proba(X), atol=1e-5)
    largest = 2**53 - 1
    X = np.array([[largest], [largest - 1]] * 3)
    est = BernoulliMixtureEM(binarize=largest - 0.5).fit(torch.tensor(X))
    assert est.theta_[0, 0] == BernoulliMixtureEM(binarize=largest - 0.5).fit(X).theta_


SPOILT = {
    "an infinite value": (FAMILIES, np.inf, {}),
    "a negative value": (["categorical", "poisson"], -2.0, {}),
    "a fraction": (["categorical"], 0.5, {}),
    "no code": (["bernoulli"], 0.5, {"binarize": None}),
}


@pytest.mark.parametrize(
    ("family", "name"), [(f, name) for name in SPOILT for f in SPOILT[name][0]]
)
def test_a_value_that_is_refused(family, name):
    """In the words that it has of an array; nothing is half-changed."""
    _, value, params = SPOILT[name]
    X = table(family, missing=0.1)
    fitted = fit(make(family, **params), X)
    X[50, 1] = value
    before = dict(vars(make(family, **params)))
    for est in (make(family, **params), fitted):
        messages = []
        for rows in (X, torch.tensor(X), torch.tensor(X.astype(np.float32))):
            call = est.predict if est is fitted else est.fit
            with pytest.raises(ValueError) as error:
                call(rows)
            messages.append(str(error.value).replace("'float32'", "'float64'"))
        messages[2] = messages[2].replace("float32", "float64")
        assert messages[0] == messages[1] == messages[2]
        if est is not fitted:
            assert vars(est) == before


def warnings_of(est, X):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        est.fit(X)
    return [str(w.message) for w in caught]


@pytest.mark.parametrize(
    ("family", "values", "words"),
    [
        ("bernoulli", [1, 2], "binarize=1.5"),
        ("bernoulli", [0, 1, 2, 5, np.nan], "more than two values"),
        ("bernoulli", [-3, -1, 0], "for 0; set binarize"),
        ("bernoulli", [0.0, 0.25, 0.5], None),
        ("bernoulli", list(range(40)), None),
        ("bernoulli", [0, 1, np.nan], None),
        ("categorical", [0, 1, 2, 9], "the codes 3 to 8"),
        ("categorical", [0.25, 1.5], "no whole number"),
        ("categorical", [0, 1, 2], None),
        ("poisson", [0, 1, 2.5], "no counts"),
        ("poisson", [0, 1, 2], None),
    ],
)
def test_warnings_are_those_of_arrays(family, values, words):
    X = np.random.default_rng(0).choice(np.array(values, float), size=(200, 3))
    params = {"max_iter": 100, "tol": 1.0}
    expected = warnings_of(make(family, **params), X)
    assert warnings_of(make(family, **params), torch.tensor(X)) == expected
    found = [message for message in expected if words is None or words in message]
    assert len(expected) == len(found) == (words is not None)


def test_codes_that_a_fitted_mixture_does_not_have():
    X = table("categorical")
    est = fit(make("categorical"), torch.tensor(X))
    X[0, 1] = 30
    with pytest.raises(ValueError, match="code 30 in the feature 1"):
        est.predict(torch.tensor(X))
    with pytest.raises(ValueError, match="code 30 in the feature 1"):
        est.partial_fit(torch.tensor(X))
    with pytest.raises(ValueError, match="n_categories to 31 or more"):
        make("categorical", n_categories=12).fit(torch.tensor(X))


# On a device.


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("memory", [2**40, 0])
@pytest.mark.parametrize("n", [300, 9000])
def test_arrays_go_to_the_device_and_answers_come_back(family, n, memory, like_a_gpu):
    """In whole, or chunk by chunk where the device is too small."""
    like_a_gpu[0] = memory
    X, params = table(family, n=n, missing=0.05)[::-1], {"max_iter": 4}
    one = fit(make(family, **params), X)
    two = fit(make(family, device="cuda", batch_size=200, **params), X)
    assert_same(one, two)
    for method in ("score_samples", "predict", "predict_proba", "impute"):
        answer = getattr(two, method)(X)
        assert type(answer) is np.ndarray
        assert_allclose(answer, getattr(one, method)(X), rtol=1e-8, atol=1e-8)
    assert_allclose(one.icl(X), two.icl(X))
    assert two.predict_proba(X.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("family", FAMILIES)
def test_memory_maps_and_sources_are_streamed(family, like_a_gpu, tmp_path):
    X = table(family)
    np.save(tmp_path / "X.npy", X)
    rows = np.load(tmp_path / "X.npy", mmap_mode="r")
    expected = fit(make(family), X)
    assert_same(fit(make(family, device="cuda"), rows), expected)

    def chunks():
        return iter(np.array_split(X, 7))

    assert_same(fit(make(family, device="cuda"), chunks), expected)


@pytest.mark.parametrize("family", ["bernoulli", "poisson"])
def test_sparse_rows_and_a_device(family, like_a_gpu):
    """Rows are dense there: an error, or NumPy where the device was not named."""
    X = sp.csr_array(table(family))

    def chunks():
        return iter([X[:200], X[200:]])

    fitted = fit(make(family, device="cuda"), X.toarray())
    for rows in (X, chunks):
        for call in (make(family, device="cuda").fit, fitted.score):
            with pytest.raises(ValueError, match=r"give X.toarray\(\), or choose"):
                call(rows)
        est = fit(make(family, device="auto"), rows)
        assert_same(est, fit(make(family), X))
        assert_allclose(est.score(rows), fitted.score(X.toarray()))
    with pytest.raises(ValueError, match=r"sparse tensor; give X.to_dense\(\)"):
        make(family).fit(torch.tensor(X.toarray()).to_sparse())


def test_rows_on_a_device_stay_in_their_form(like_a_gpu, monkeypatch):
    """As tensors: neither in groups nor as they came."""
    seen = []
    before = DeviceRows.sum

    def spy(self, function, add=np.add):
        seen.append(self.data.tensor.dtype)
        return before(self, function, add)

    monkeypatch.setattr(DeviceRows, "sum", spy)
    for family in FAMILIES:
        X = table(family, n=9000)
        fit(make(family, device="cuda", max_iter=2), X)
        fit(make(family, max_iter=2), torch.tensor(np.clip(X, 0, 9)).to(torch.uint8))
    assert set(seen) == {torch.float64, torch.uint8}


def test_mixed_columns_take_a_tensor_for_its_array():
    """Which columns it has, and of what kinds, is read on the CPU."""
    X = table("poisson")
    one, two = (
        fit(MixtureEM(2, random_state=0, max_iter=5), rows)
        for rows in (X, torch.tensor(X))
    )
    assert one.lower_bound_ == two.lower_bound_


# scikit-learn's array API dispatch.


@pytest.mark.skipif(move_to is None, reason="an older scikit-learn")
@pytest.mark.parametrize("family", FAMILIES)
def test_attributes_and_draws_are_tensors_under_dispatch(family, tmp_path, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    X = torch.tensor(table(family))
    with sklearn.config_context(array_api_dispatch=True):
        est = fit(make(family, warm_start=True), X)
        name = "rates_" if family == "poisson" else "theta_"
        values = getattr(est, name)
        for value in values if family == "categorical" else [values]:
            assert isinstance(value, torch.Tensor)
        assert all(isinstance(a, torch.Tensor) for a in est.sample(5))
        assert isinstance(est.bic(X), float)
        before = est.lower_bound_
        assert fit(est, X).lower_bound_ >= before - NATS
        sklvm.save(est, tmp_path / "model")
        others = pickle.loads(pickle.dumps(est)), sklvm.load(tmp_path / "model")
    for other in others:
        values = getattr(other, name)
        for value in values if family == "categorical" else [values]:
            assert type(value) is np.ndarray
        assert_allclose(other.score(X), est.score(X), rtol=1e-12)


# Each kernel beside the one of NumPy's on which it stands.


def hard_params(family):
    """Parameters at and next to the boundary."""
    rng = np.random.default_rng(6)
    if family == "bernoulli":
        theta = rng.random((4, 6))
        theta[0, :3], theta[1, 2:5], theta[2, 1] = 1, 0, 1e-300
        return BernoulliComponents, {}, (theta,)
    if family == "poisson":
        rates = rng.gamma(0.5, 20, size=(4, 6))
        rates[0, :3], rates[1, 2], rates[2] = 0, 1e-200, 1e4
        return PoissonComponents, {}, (rates,)
    theta = [rng.dirichlet(np.ones(c), size=4) for c in CATEGORIES]
    theta[4][0] = np.eye(12)[0]
    params = {"n_categories": CATEGORIES}
    return CategoricalComponents, params, (np.hstack(theta),)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("family", FAMILIES)
def test_each_kernel_does_what_its_host_does(family, missing, dtype):
    kind, kwargs, params = hard_params(family)
    components = kind(6, missing=missing > 0, dtype=dtype, **kwargs)
    X = table(family, missing=missing)[:, :6].astype(dtype)
    weight = uneven_weights(len(X))
    log_weights = np.log(np.full(4, 1 / 4))
    (host,) = components.kernels(params)
    kernel = torch_kernel(host, torch.device("cpu"))
    tol = 1e-9 if dtype == np.float64 or family == "poisson" else 2e-5
    expected = np.array(host.log_prob(X, Workspace())[0])
    actual = kernel.log_prob(torch.tensor(X))[0].T.numpy()
    assert (expected == -np.inf).any() and np.isfinite(expected).any()
    assert_allclose(actual, expected, rtol=tol, atol=tol)
    evidence, counts, *sums = host.chunk_sums(X, weight, log_weights, Workspace())
    tensors = map(torch.tensor, (X, weight, log_weights))
    results = to_host(kernel.chunk_sums(*tensors, None))
    assert results[0].dtype == np.float64
    assert abs(results[0] - evidence) < NATS * weight.sum() or evidence == results[0]
    assert_allclose(results[1], counts, rtol=tol, atol=tol * 100)
    pairs = zip(kernel.finalize(results[2:]), host.finalize(sums), strict=True)
    for ours, theirs in pairs:
        assert_allclose(ours, theirs, rtol=tol, atol=tol * 100)


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_questions_of_checks_about_a_tensor(share):
    rng = np.random.default_rng(2)
    for values in ([0.0, 1.0], [0.0, 2.0, 7.0], [0.25, 1.0], [3.0]):
        X = rng.choice(values, size=(200, 3))
        X[rng.random(X.shape) < share] = np.nan
        rows, chunk = TensorRows(torch.tensor(X)), TensorRows(torch.tensor(X))[:]
        assert is_zero_one(rows) == is_zero_one(X)
        assert_array_equal(distinct_values(chunk), distinct_values(X))
        assert_array_equal(largest_codes(chunk), largest_codes(X))
        assert_array_equal(largest_codes(torch.tensor(X)), largest_codes(X))
        assert largest_fraction(chunk) == largest_fraction(X)
        if share < 1:
            assert extremes(rows) == extremes(X)
    weights = np.where(np.arange(200) % 2, 0.0, 1.0)
    assert MemoryRows(rows, weights, batch_size=50).total_weight == 100
