"""Every torch estimator on a GPU: it answers as on the CPU, and repeats itself."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits

from sklvm import SparseSegmentationRDA
from sklvm.neural import ConvDecoder, ConvEncoder
from tests.autoencoder.models import quietly
from tests.registry import REGISTRY, label_maps

from .helpers import X, fit, weights

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")

NEURAL = [entry for entry in REGISTRY if "net_params" in entry.make().get_params()]
CASES = [
    pytest.param(entry, params, id=f"{entry.estimator.__name__}-{params}")
    for entry in NEURAL
    for params in [{}, *entry.variants]
]


def fitted(entry, params, device="cuda"):
    est = entry.make(**(params | {"device": device}))
    data = entry.make_data(0, 150)
    return quietly(est.fit, *data), data


def on_cpu(est):
    """The same weights on the CPU."""
    other = pickle.loads(pickle.dumps(est))
    other.net_.move(torch.device("cpu"))
    return other


def sample(entry, est, data):
    return est.sample(data[0][:5]) if entry.samples_given_rows else est.sample(5)


@pytest.mark.parametrize("entry, params", CASES)
def test_the_same_weights_answer_alike_on_both_devices(entry, params):
    gpu, data = fitted(entry, params)
    cpu = on_cpu(gpu)
    assert {p.device.type for p in gpu.net_.module_.parameters()} == {"cuda"}
    assert {p.device.type for p in cpu.net_.module_.parameters()} == {"cpu"}
    # float32 rounds sums of tens of terms of order one in another order.
    tol = {"rtol": 1e-4, "atol": 1e-4}
    assert_allclose(cpu.transform(*data), gpu.transform(*data), **tol)
    assert_allclose(cpu.score_samples(*data), gpu.score_samples(*data), **tol)


@pytest.mark.parametrize("entry, params", CASES)
def test_two_fits_of_one_random_state_are_one(entry, params):
    params = params | {"max_epochs": 6}
    (one, data), (two, _) = fitted(entry, params), fitted(entry, params)
    assert_array_equal(weights(one), weights(two))
    assert_array_equal(one.score_samples(*data), two.score_samples(*data))
    for a, b in zip(sample(entry, one, data), sample(entry, two, data), strict=True):
        assert isinstance(a, np.ndarray)
        assert_array_equal(a, b)


@pytest.mark.parametrize("entry", NEURAL, ids=lambda entry: entry.estimator.__name__)
def test_a_row_is_worth_the_same_beside_any_others(entry):
    est, data = fitted(entry, {})
    F = est.score_samples(*data)
    assert_array_equal(est.score_samples(*(array[7:8] for array in data)), F[7:8])
    assert_array_equal(est.score_samples(*(array[::-1] for array in data)), F[::-1])


@pytest.mark.parametrize("entry", NEURAL, ids=lambda entry: entry.estimator.__name__)
def test_the_global_generators_are_left_alone(entry):
    before = torch.cuda.get_rng_state(), torch.get_rng_state()
    est, data = fitted(entry, {})
    est.score_samples(*data)
    sample(entry, est, data)
    after = torch.cuda.get_rng_state(), torch.get_rng_state()
    assert_array_equal(before[0], after[0])
    assert_array_equal(before[1], after[1])


@pytest.mark.parametrize("entry", NEURAL, ids=lambda entry: entry.estimator.__name__)
def test_a_training_goes_on_on_another_device(entry):
    """With the moments that Adam has gathered, which have to follow the weights."""
    est, data = fitted(entry, {}, device="cpu")
    for device in ("cuda", "cpu", "cuda"):
        quietly(est.set_params(device=device, warm_start=True).fit, *data)
        assert {p.device.type for p in est.net_.module_.parameters()} == {device}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert np.isfinite(est.score(*data))


def test_rows_that_are_streamed_train_as_rows_that_lie_on_the_device(tmp_path):
    file = np.memmap(tmp_path / "X", dtype=np.float32, mode="w+", shape=X.shape)
    file[:] = X
    streamed, placed = fit(file, device="cuda"), fit(X, device="cuda")
    assert_array_equal(weights(streamed), weights(placed))


def test_convolutions_score_and_decode_as_on_the_cpu():
    """In TF32, which torch takes by default, some in ten thousand pixels are others."""
    digits = load_digits().data[:300] / 16
    networks = {"encoder": ConvEncoder((8, 8)), "decoder": ConvDecoder((8, 8))}
    gpu = fit(digits, device="cuda", **networks)
    tol = {"rtol": 1e-5, "atol": 1e-4}
    assert_allclose(on_cpu(gpu).score_samples(digits), gpu.score_samples(digits), **tol)
    (maps,) = label_maps(0, 40, 40, 50)
    params = {"image_shape": (40, 50), "n_classes": 3, "max_epochs": 3, "tol": np.inf}
    gpu = SparseSegmentationRDA(device="cuda", refine=None, random_state=0, **params)
    gpu.fit(maps)
    seeded = np.random.default_rng(0).random(maps.shape) < 0.01
    codes = np.where(seeded, maps, -1)
    decoded = gpu.inverse_transform(codes)
    assert_array_equal(on_cpu(gpu).inverse_transform(codes), decoded)


def test_early_stopping_keeps_the_best_weights_on_the_device():
    est = fit(device="cuda", early_stopping=True, max_epochs=20)
    assert {p.device.type for p in est.net_.module_.parameters()} == {"cuda"}
    assert 1 <= est.best_epoch_ <= est.n_iter_


@pytest.mark.slow
def test_a_compiled_network_gives_the_same_numbers():
    compiled, eager = fit(device="cuda", compile=True), fit(device="cuda")
    assert compiled.score(X) == pytest.approx(eager.score(X), abs=1e-3)
