"""Passes by torch: what NumPy's give, for tensors on any device.

Where there is no GPU the same kernels are tried on torch's CPU device, which a tensor
as X asks for. Their results must be those of NumPy's kernels to 1e-6 nats, and are
nearer by far.
"""

import copy
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import entr
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.exceptions import ConvergenceWarning

pytest.importorskip("torch")

import torch

import sklvm
from sklvm import GaussianMixtureEM, elbo
from sklvm.mixture._checks import observed_weight
from sklvm.mixture._rows import MemoryRows, Workspace
from sklvm.mixture._sample import canonical_sample, ranges
from sklvm.mixture._tensor_chunks import TensorRows
from sklvm.mixture._torch_kernel import torch_kernel
from sklvm.mixture._torch_rows import MOST_ROWS, device_chunk_size, to_host
from sklvm.mixture.families.gaussian import GaussianComponents
from tests.registry import REGISTRY

from .families import GAUSSIAN, assert_same, blobs
from .test_accuracy import collinear, conditioned, far_apart

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

NATS = 1e-6
NO_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is there")

TABLES = {
    "blobs": lambda: blobs(300, n_features=5),
    "condition 1e8": lambda: conditioned(1e8),
    "collinear": collinear,
    "far apart": far_apart,
    "far from the origin": lambda: blobs(240, n_features=4) + 1e6,
    "wine": lambda: load_wine().data,
    "breast cancer": lambda: load_breast_cancer().data,
}


def make(kind, **params):
    params = {"n_components": 3, "max_iter": 20, "random_state": 0} | params
    return GaussianMixtureEM(covariance_type=kind, **params)


def with_missing(X, share=0.1):
    hidden = np.random.default_rng(3).random(X.shape) < share
    hidden[:8] = False
    return np.where(hidden, np.nan, X)


def uneven_weights(n):
    weight = np.random.default_rng(4).uniform(0, 3, n)
    weight[::7] = 0
    return weight


def fit(est, X, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return est.fit(X, **kwargs)


def both(kind, X, sample_weight=None, **params):
    """The same fit by NumPy and by torch."""
    one = fit(make(kind, **params), X, sample_weight=sample_weight)
    two = fit(make(kind, **params), torch.tensor(X), sample_weight=sample_weight)
    return one, two


def assert_equal_fits(one, two, X, sample_weight=None, device="cpu"):
    """The same way to the same F, which both answer to rows in either form."""
    assert one.n_iter_ == two.n_iter_
    # On the way, where F rises by nats, a step of NumPy's varies with the chunks.
    assert_allclose(one.lower_bounds_, two.lower_bounds_, rtol=0, atol=10 * NATS)
    assert abs(one.lower_bound_ - two.lower_bound_) < NATS
    scores = [est.score(X, sample_weight=sample_weight) for est in (one, two)]
    assert abs(scores[0] - scores[1]) < NATS
    on_torch = two.score_samples(torch.tensor(X, device=device)).cpu()
    assert_allclose(on_torch, two.score_samples(X), rtol=0, atol=NATS)


@pytest.mark.parametrize("kind", GAUSSIAN)
@pytest.mark.parametrize("table", TABLES)
def test_torch_gives_what_numpy_gives(table, kind):
    X = TABLES[table]()
    one, two = both(kind, X)
    assert_equal_fits(one, two, X)
    assert one.weights_.dtype == two.weights_.dtype == np.float64


@pytest.mark.slow
@pytest.mark.parametrize("kind", GAUSSIAN)
@pytest.mark.parametrize("table", ["blobs", "condition 1e8", "breast cancer"])
def test_missing_values_and_weights(table, kind):
    X = with_missing(TABLES[table]())
    weight = uneven_weights(len(X))
    one, two = both(kind, X, weight)
    assert_equal_fits(one, two, X, weight)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("n_components", [2, 9])
@pytest.mark.parametrize("kind", GAUSSIAN)
def test_parameters_of_an_ordinary_table(kind, n_components, missing):
    """Few and many components have kernels of their own."""
    X = blobs(400, n_features=8, missing=0.2 * missing)
    one, two = both(kind, X, n_components=n_components)
    assert_same(one, two, tol=1e-8)
    assert_equal_fits(one, two, X)


@pytest.mark.parametrize("kind", GAUSSIAN)
def test_components_that_subtract_first(kind):
    """Narrow ones far away, for which the fused kernels are not accurate."""
    X = blobs(300, n_features=4)
    X[:100] = 1e7 + 1e-3 * X[:100]
    one, two = both(kind, X, n_components=4, reg_covar=1e-12)
    assert_equal_fits(one, two, X)


@pytest.mark.parametrize("kind", GAUSSIAN)
def test_all_methods_answer_as_numpy(kind):
    X = with_missing(blobs(200, n_features=4))
    est = fit(make(kind), X)
    tensor, tol = torch.tensor(X), {"rtol": 1e-9, "atol": 1e-9}
    for method in ("score_samples", "predict_proba", "transform", "impute"):
        answer = getattr(est, method)(tensor)
        assert isinstance(answer, torch.Tensor)
        assert answer.dtype == torch.float64
        assert_allclose(answer, getattr(est, method)(X), **tol)
    assert est.predict(tensor).dtype == torch.int64
    assert_array_equal(est.predict(tensor), est.predict(X))
    draws = est.sample_missing(tensor, 2)
    assert_allclose(draws, est.sample_missing(X, 2), **tol)
    given = est.conditional_score_samples(tensor, [0, 2])
    assert_allclose(given, est.conditional_score_samples(X, [0, 2]), **tol)
    resp = est.predict_proba(X)
    means = est.inverse_transform(torch.tensor(resp))
    assert_allclose(means, est.inverse_transform(resp), **tol)
    for criterion in ("score", "aic", "bic", "icl"):
        number = getattr(est, criterion)(tensor)
        assert isinstance(number, float)
        assert_allclose(number, getattr(est, criterion)(X), rtol=1e-9)
    assert_allclose(elbo(est, tensor, torch.tensor(resp)), elbo(est, X, resp))
    assert entr(resp).sum() > 0


@pytest.mark.parametrize("n_components", [2, 9])
@pytest.mark.parametrize("kind", GAUSSIAN)
def test_chunks_in_which_every_row_has_missing_values(kind, n_components):
    X = blobs(240, n_features=4)
    X[120:, 1] = np.nan
    one, two = both(kind, X, n_components=n_components, batch_size=30)
    assert_equal_fits(one, two, X)


def test_a_row_with_nothing_observed_and_one_beyond_all_numbers():
    X = blobs(100)
    est = fit(make("full"), X)
    rows = torch.tensor(np.vstack([np.full(3, np.nan), np.full(3, 1e200), X[0]]))
    log_density = est.score_samples(rows)
    assert log_density[0] == 0
    assert log_density[1] == -torch.inf
    assert_allclose(est.predict_proba(rows)[:2], est.weights_[None] + np.zeros((2, 1)))
    diag = fit(make("diag"), X)
    assert diag.score_samples(rows)[0] == 0
    assert diag.score_samples(rows[1:])[0] == -torch.inf


@pytest.mark.parametrize("kind", GAUSSIAN)
@pytest.mark.parametrize("missing", [False, True])
def test_float32(kind, missing):
    """Products in float32 err by the rounding of log p(x), as NumPy's do."""
    X = blobs(4000, n_features=4, missing=0.1 * missing).astype(np.float32)
    one, two = both(kind, X, max_iter=5, tol=0)
    assert two.means_.dtype == np.float32
    assert abs(one.lower_bound_ - two.lower_bound_) < NATS
    tensor = torch.tensor(X)
    assert two.score_samples(tensor).dtype == torch.float32
    assert two.predict_proba(tensor).dtype == torch.float32
    assert_allclose(two.score_samples(tensor), two.score_samples(X), rtol=0, atol=1e-4)


def test_where_the_process_rounds_float32_products_are_of_float64(rounded_products):
    X = torch.tensor(blobs(400).astype(np.float32))
    exact = fit(make("full"), X)
    with rounded_products():
        assert abs(fit(make("full"), X).lower_bound_ - exact.lower_bound_) < NATS
        with torch.autocast("cpu", dtype=torch.bfloat16):
            inside = exact.score_samples(X)
    assert_allclose(inside, exact.score_samples(X), atol=1e-5)


@pytest.mark.parametrize("kind", GAUSSIAN)
def test_the_order_of_rows_and_the_size_of_chunks_change_nothing(kind):
    X = with_missing(blobs(500, n_features=4))
    est = fit(make(kind), torch.tensor(X))
    shuffled = torch.tensor(np.random.default_rng(1).permutation(X))
    assert_same(est, fit(make(kind), shuffled), tol=1e-7)
    assert_same(est, fit(make(kind, batch_size=64), shuffled), tol=1e-7)


@pytest.mark.parametrize("kind", GAUSSIAN)
def test_partial_fit_warm_start_and_acceleration(kind):
    X = blobs(300, n_features=4)
    tensor = torch.tensor(X)
    one, two = make(kind), make(kind)
    for batch in range(3):
        rows = slice(100 * batch, 100 * batch + 100)
        one.partial_fit(X[rows])
        two.partial_fit(tensor[rows])
    assert_same(one, two)
    params = {"warm_start": True, "acceleration": "squarem", "tol": 1e-8}
    one, two = both(kind, X, **params)
    assert_same(one, two, tol=1e-6)
    before = two.lower_bound_
    assert fit(two, tensor).lower_bound_ >= before - NATS


def test_several_starts_and_components_that_are_re_seeded():
    X = blobs(200, n_features=3)
    one, two = both("full", X, n_init=3, n_components=5, init_params="random")
    assert_allclose(one.attempts_, two.attempts_, atol=NATS)
    means = np.vstack([X[:2], np.full((1, 3), 1e5)])  # nothing belongs to the third
    one, two = both(
        "diag",
        X,
        means_init=means,
        max_iter=5,
        weights_init=[1 / 3] * 3,
        precisions_init=np.ones((3, 3)),
    )
    assert_same(one, two)


# Forms of tensors.


def test_whatever_a_tensor_looks_like():
    X = blobs(120, n_features=4)
    expected = fit(make("full"), torch.tensor(X))
    strided = torch.tensor(np.repeat(X, 2, axis=0)).T[:, ::2].T
    with_gradient = torch.tensor(X, requires_grad=True)
    for same in (strided, with_gradient, torch.tensor(X.T.copy()).T):
        assert_same(fit(make("full"), same), expected, tol=1e-10)
        answer = expected.score_samples(same)
        assert not answer.requires_grad
        assert_allclose(answer, expected.score_samples(X), rtol=1e-10)
    whole = np.round(X)
    for dtype in (torch.int64, torch.int8, torch.float16, torch.bfloat16):
        given = torch.tensor(whole).to(dtype)
        answer = expected.score_samples(given)
        assert_allclose(answer, expected.score_samples(whole), rtol=1e-10)


def test_weights_and_initial_values_may_be_tensors():
    X, weight = blobs(100), uneven_weights(100)
    one = fit(make("diag", means_init=X[:3]), X, sample_weight=weight)
    est = make("diag", means_init=torch.tensor(X[:3]))
    two = fit(est, torch.tensor(X), sample_weight=torch.tensor(weight))
    assert_same(one, two)
    assert isinstance(est.means_init, torch.Tensor)


BAD = {
    "meta": (lambda X: X.to("meta"), "'meta'"),
    "sparse": (lambda X: X.to_sparse(), r"to_dense\(\)"),
    "infinite": (lambda X: X.index_fill(0, torch.tensor([2]), torch.inf), "infinity"),
    "one axis": (lambda X: X[:, 0], "reshape"),
    "three axes": (lambda X: X[None], "dim 3"),
    "no rows": (lambda X: X[:0], "minimum of 1"),
    "complex": (lambda X: X + 1j, "[Cc]omplex"),
}


@pytest.mark.parametrize("name", BAD)
def test_tensors_that_are_no_rows(name):
    spoil, match = BAD[name]
    X = torch.tensor(blobs(50))
    est = make("full")
    before = dict(vars(est))
    for call in (est.fit, fit(make("full"), X).predict):
        with pytest.raises((ValueError, TypeError), match=match) as error:
            call(spoil(X))
        sentence = str(error.value).partition("\n")[0].rstrip(".")
        assert ". " not in sentence.replace("dim 3. ", "")  # an older scikit-learn's
    assert vars(est) == before


def test_a_tensor_of_another_width():
    est = fit(make("full"), torch.tensor(blobs(50)))
    with pytest.raises(ValueError, match="2 features, but GaussianMixtureEM is expec"):
        est.predict(torch.zeros(4, 2))


# Devices.


@pytest.mark.parametrize(
    "device", [pytest.param("cuda", marks=NO_CUDA), "cuda:97", "mps", "gpu", "", 0]
)
def test_a_device_that_is_not_there(device):
    for X in (blobs(50), torch.tensor(blobs(50))):
        est = make("full", device=device)
        before = dict(vars(est))
        with pytest.raises(ValueError, match="device=") as error:
            est.fit(X)
        text = str(error.value)
        assert repr(device) in text and "'cpu'" in text and "'auto'" in text
        assert ". " not in text.rstrip(".")
        assert vars(est) == before


def test_a_tensor_on_another_device(monkeypatch):
    there = torch.device("cuda")
    monkeypatch.setattr("sklvm._devices.resolve_device", lambda *args: there)
    with pytest.raises(ValueError, match=r"on 'cpu' and device='cuda'; give X.to"):
        make("full", device="cuda").fit(torch.tensor(blobs(50)))


@NO_CUDA
def test_auto_is_numpy_where_there_is_no_gpu():
    X = blobs(100)
    one, two = fit(make("full"), X), fit(make("full", device="auto"), X)
    assert_array_equal(one.means_, two.means_)
    assert isinstance(two.predict(X), np.ndarray)


@pytest.mark.parametrize("kind", GAUSSIAN)
@pytest.mark.parametrize("memory", [2**40, 0])
def test_arrays_go_to_the_device_and_answers_come_back(kind, memory, like_a_gpu):
    """In whole, or chunk by chunk where the device is too small."""
    like_a_gpu[0] = memory
    X = with_missing(blobs(300, n_features=4))[::-1]
    one, two = fit(make(kind), X), fit(make(kind, device="cuda", batch_size=50), X)
    assert_same(one, two)
    for method in ("score_samples", "predict", "predict_proba", "impute"):
        answer = getattr(two, method)(X)
        assert type(answer) is np.ndarray
        assert_allclose(answer, getattr(one, method)(X), rtol=1e-8, atol=1e-8)
    assert_allclose(one.icl(X), two.icl(X))
    assert two.predict_proba(X.astype(np.float32)).dtype == np.float32


def test_memory_maps_and_sources_are_streamed(like_a_gpu, tmp_path):
    X = blobs(400, n_features=4)
    np.save(tmp_path / "X.npy", X)
    rows = np.load(tmp_path / "X.npy", mmap_mode="r")
    expected = fit(make("full"), X)
    assert_same(fit(make("full", device="cuda"), rows), expected)

    def chunks():
        return iter(np.array_split(X, 7))

    assert_same(fit(make("full", device="cuda"), chunks), expected)


def test_chunks_on_an_accelerator():
    cuda = torch.device("cuda")
    for dtype in map(np.dtype, (np.float64, np.float32)):
        assert device_chunk_size(2, dtype, cuda) == MOST_ROWS[dtype]
        n = device_chunk_size(4096, dtype, cuda)
        assert 2**27 <= n * 4096 * dtype.itemsize <= 2**28
        assert device_chunk_size(2**30, dtype, cuda) == 1024


# What stays as it was.


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
def test_copies_and_clones(duplicate):
    X = torch.tensor(blobs(100))
    est = fit(make("full"), X)
    assert_same(duplicate(est), est, tol=0)
    assert_array_equal(duplicate(est).predict(X), est.predict(X))
    assert clone(est).device == "cpu"


def test_attributes_are_arrays_and_settings_stay():
    before = (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_rng_state())
    est = fit(make("full"), torch.tensor(blobs(100)))
    fitted = {k: v for k, v in vars(est).items() if k.endswith("_")}
    assert not any(isinstance(v, torch.Tensor) for v in fitted.values())
    assert type(est.lower_bound_) is float
    after = (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_rng_state())
    assert before[:2] == after[:2] and torch.equal(before[2], after[2])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", GAUSSIAN)
def test_nothing_is_warned_of_arrays_that_may_not_be_written_to(kind):
    """As some fitted attributes are."""
    X, weight = with_missing(blobs(300)), uneven_weights(300)
    for array in (X, weight):
        array.flags.writeable = False
    est = make(kind, max_iter=100).fit(torch.tensor(X), sample_weight=weight)
    est = pickle.loads(pickle.dumps(est))
    for method in ("predict", "score", "impute"):
        getattr(est, method)(torch.tensor(X))


def test_a_checkpoint_of_a_fit_to_a_tensor(tmp_path):
    X = torch.tensor(blobs(100))
    est = make("full", checkpoint=tmp_path / "kept")
    assert_same(fit(est, X), fit(make("full"), X), tol=0)


def test_only_what_has_a_kernel_has_the_parameter():
    on_device = {
        entry.estimator.__name__
        for entry in REGISTRY
        if "device" in entry.make().get_params()
        and issubclass(entry.estimator, sklvm.mixture._fitted.FittedMixture)
    }
    assert on_device == {
        "BernoulliMixtureEM",
        "CategoricalMixtureEM",
        "GaussianMixtureEM",
        "MixtureEM",
        "PoissonMixtureEM",
    }


@pytest.mark.slow
def test_rows_of_numpy_import_no_torch():
    code = (
        "import sys, numpy as np\n"
        "import sklvm\n"
        "X = np.random.default_rng(0).poisson(2.0, size=(60, 2))\n"
        "for name in ('Gaussian', 'Bernoulli', 'Categorical', 'Poisson', ''):\n"
        "    est = getattr(sklvm, name + 'MixtureEM')(2, random_state=0).fit(X)\n"
        "    est.predict(X), est.score(X), est.impute(X), est.sample(2)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# What checks and starts ask of the rows.


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_checks_and_samples_of_a_tensor_are_those_of_the_array(dtype):
    rng = np.random.default_rng(5)
    X = (rng.normal(size=(9000, 3)) * [1e-300, 1, 1e30]).astype(dtype)
    X[rng.random(X.shape) < 0.1] = np.nan
    X[:50, 1], X[50:100, 1], X[100:120] = 0.0, -0.0, np.arange(3.0)
    weight = np.where(rng.random(len(X)) < 0.1, 0, rng.uniform(0, 2, len(X)))
    for w in (None, weight):
        on_torch = MemoryRows(TensorRows(torch.tensor(X)), w, batch_size=1000)
        on_numpy = MemoryRows(X, w, batch_size=1000)
        for sums in (ranges, observed_weight):
            assert_allclose(sums(on_torch), sums(on_numpy), rtol=1e-12)
        samples = [
            canonical_sample(rows, 500, np.random.RandomState(0))
            for rows in (on_torch, on_numpy)
        ]
        assert samples[0].rows.dtype == dtype
        assert_array_equal(samples[0].rows, samples[1].rows)
        assert_array_equal(samples[0].sample_weight, samples[1].sample_weight)
    whole = MemoryRows(TensorRows(torch.tensor(X[:3] * 0 + 1)), batch_size=2)
    assert (observed_weight(whole) is None) == (not np.isnan(X[:3]).any())


# Each kernel beside the one of NumPy's on which it stands.


def hard_params(case, kind, n_components, n_features):
    """Parameters at which all components, some or none keep the digits of features."""
    rng = np.random.default_rng(6)
    means = 3 * rng.normal(size=(n_components, n_features))
    deviations = rng.uniform(0.5, 2, size=(n_components, n_features))
    if case == "some":
        means[0] += 1e5
        deviations[1] *= 1e-4
        if n_components > 3:
            deviations[2] *= 1e-7
    if case == "sums":  # densities subtract, and moments come from the features
        means *= 1e4
    if case == "none":
        means *= 1e7
        deviations *= 1e-4
    components = GaussianComponents(
        n_features, covariance_type=kind, reg_covar=0, missing=False
    )
    rotation, _ = np.linalg.qr(rng.normal(size=(n_features, n_features)))
    matrices = (rotation * deviations[:, np.newaxis] ** 2) @ rotation.T
    covariances = {
        "full": matrices,
        "tied": matrices[0],
        "diag": deviations**2,
        "spherical": deviations[:, 0] ** 2,
    }[kind]
    return means, covariances, components.covariance.precisions_cholesky(covariances, 0)


def rows_near(means, deviations, missing):
    """Ten rows at each mean."""
    rng = np.random.default_rng(7)
    X = np.repeat(means, 10, axis=0)
    X += np.repeat(deviations, 10, axis=0) * rng.normal(size=X.shape)
    return with_missing(X) if missing else X


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("n_components", [3, 9])
@pytest.mark.parametrize("kind", GAUSSIAN)
@pytest.mark.parametrize("case", ["all", "some", "sums", "none"])
def test_each_kernel_does_what_its_host_does(case, kind, n_components, missing):
    params = hard_params(case, kind, n_components, 5)
    components = GaussianComponents(
        5, covariance_type=kind, reg_covar=0, missing=missing
    )
    deviations = np.broadcast_to(
        components.covariance.deviations(params[1]), params[0].shape
    )
    X = rows_near(params[0], deviations, missing)
    weight = uneven_weights(len(X))
    log_weights = np.log(np.full(n_components, 1 / n_components))
    kernels = list(components.kernels(params))
    assert len(kernels) >= 1
    for host in kernels:
        kernel = torch_kernel(host, torch.device("cpu"))
        expected = np.array(host.log_prob(X, Workspace())[0])
        actual = kernel.log_prob(torch.tensor(X))[0].T.numpy()
        assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)
        evidence, counts, *sums = host.chunk_sums(X, weight, log_weights, Workspace())
        tensors = map(torch.tensor, (X, weight, log_weights))
        results = to_host(kernel.chunk_sums(*tensors, None))
        assert_allclose(results[0], evidence, atol=NATS * len(X))
        assert_allclose(results[1], counts, atol=1e-6)
        one, two = host.finalize(sums), kernel.finalize(results[2:])
        # F feels only the square of their error.
        tol = {"all": 1e-9, "none": 1e-2}.get(case, 1e-3)
        assert_allclose(two[0], one[0], atol=1e-6)
        assert_allclose((two[1] - one[1]) / deviations, 0, atol=tol)
        assert_allclose(two[2], one[2], rtol=tol, atol=tol * abs(one[2]).max())
