"""Devices, and what a saved estimator carries with it."""

import copy
import io
import pickle
import threading

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from skorch.callbacks import Callback
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sklvm import VAE
from sklvm.neural import _device
from sklvm.neural._device import inference
from tests.autoencoder.models import quietly
from tests.registry import REGISTRY

from .helpers import QUICK, X, assert_same_fit, fit, weights

NO_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is there")


@pytest.mark.parametrize(
    "device",
    [
        pytest.param("cuda", marks=NO_CUDA),
        "cuda:97",
        pytest.param(
            "mps",
            marks=pytest.mark.skipif(
                torch.backends.mps.is_available(), reason="MPS is there"
            ),
        ),
    ],
)
def test_an_absent_device_is_one_clear_error(device):
    est = VAE(**(QUICK | {"device": device}))
    before = dict(vars(est))
    with pytest.raises((ValueError, RuntimeError), match="device") as error:
        est.fit(X)
    text = str(error.value)
    assert device in text
    assert "cpu" in text  # the remedy
    assert ". " not in text.rstrip(".")
    assert vars(est) == before


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "", 0, None])
def test_something_that_is_no_device(device):
    with pytest.raises((ValueError, TypeError), match="device"):
        fit(device=device)


def test_auto_is_what_there_is():
    est = fit(device="auto")
    assert est.device == "auto"
    assert np.isfinite(est.score(X))


@NO_CUDA
def test_auto_is_the_cpu_where_nothing_else_is():
    if torch.backends.mps.is_available():
        pytest.skip("MPS is there")
    assert_same_fit(fit(device="auto"), fit())


# Convolutions on a GPU are in TF32 by default, which decodes other maps than a CPU.


@pytest.fixture
def as_with_cuda(monkeypatch):
    monkeypatch.setattr(_device, "_uses_cuda", lambda: True)


def takes_tf32():
    cudnn = torch.backends.cudnn
    if hasattr(cudnn, "conv"):
        return cudnn.conv.fp32_precision != "ieee"
    return cudnn.allow_tf32


class Asking(torch.nn.Linear):
    """A layer that notes whether a convolution would be in TF32."""

    def forward(self, rows):
        self.answers.append(takes_tf32())
        return super().forward(rows)


@pytest.mark.usefixtures("as_with_cuda")
def test_networks_predict_in_float32_and_leave_the_setting_as_it_was():
    assert takes_tf32()
    encoder = Asking(4, 4)
    encoder.answers = []
    est = fit(encoder=encoder)
    answers = est.net_.module_.encoder.answers
    for predict in (est.transform, est.score, est.log_likelihood, est.reconstruct):
        answers.clear()
        predict(X)
        assert answers and not any(answers)
        assert takes_tf32()


@pytest.mark.usefixtures("as_with_cuda")
def test_the_setting_is_put_back_by_the_last_of_nested_predictions():
    with pytest.raises(KeyError), inference():
        with inference():
            pass
        assert not takes_tf32()
        raise KeyError
    assert takes_tf32()


@pytest.mark.usefixtures("as_with_cuda")
def test_the_setting_is_put_back_by_the_last_of_two_threads():
    """In the order first in, first out."""
    entered, left = threading.Event(), threading.Event()

    def other():
        with inference():
            entered.set()
            left.wait(10)

    thread = threading.Thread(target=other)
    with inference():
        thread.start()
        assert entered.wait(10)
    assert not takes_tf32()
    left.set()
    thread.join()
    assert takes_tf32()


# MPS has no float64: what a network has computed is brought to the CPU first.


class WithoutFloat64(TorchDispatchMode):
    """As if float32 tensors were on MPS until their method `cpu` is called."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        results = operation(*args, **(kwargs or {}))
        if any(map(is_on_device, tree_leaves((args, kwargs)))):
            made = [getattr(leaf, "dtype", None) for leaf in tree_leaves(results)]
            assert torch.float64 not in made, f"{operation} on the device"
        return results


def is_on_device(value):
    is_single = isinstance(value, torch.Tensor) and value.dtype == torch.float32
    return is_single and not getattr(value, "is_on_cpu", False)


def brought_to_the_cpu(tensor):
    tensor = tensor.clone()
    tensor.is_on_cpu = True
    return tensor


@pytest.mark.slow
@pytest.mark.parametrize(
    "entry",
    [entry for entry in REGISTRY if "net_params" in entry.make().get_params()],
    ids=lambda entry: entry.estimator.__name__,
)
def test_nothing_is_in_float64_on_a_device(entry, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "cpu", brought_to_the_cpu)
    data = entry.make_data(0, 60)
    with WithoutFloat64():
        est = quietly(entry.make(max_epochs=2).fit, *data)
        for method in ("score_samples", "transform", "log_likelihood", "elbo_terms"):
            if hasattr(est, method):
                getattr(est, method)(*data)
        for method in ("predict", "predict_proba", "reconstruct", "impute"):
            if hasattr(est, method):
                getattr(est, method)(data[0])
        est.sample(data[0] if entry.samples_given_rows else 3)


# Saving.


ROUND_TRIPS = {
    "pickle": lambda est: pickle.loads(pickle.dumps(est)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def through_joblib(est):
    buffer = io.BytesIO()
    joblib.dump(est, buffer)
    return joblib.load(buffer)


@pytest.mark.parametrize("duplicate", [*ROUND_TRIPS.values(), through_joblib])
def test_copies_answer_alike_and_train_on(duplicate):
    est = fit()
    other = duplicate(est)
    assert_same_fit(other, est)
    assert_array_equal(other.sample(5)[0], duplicate(est).sample(5)[0])
    other.partial_fit(X)
    assert np.isfinite(other.score(X))
    quietly(other.set_params(warm_start=True).fit, X)
    assert np.isfinite(other.score(X))


def test_a_deep_copy_is_on_its_own():
    est = fit()
    before = weights(est)
    copy.deepcopy(est).partial_fit(X)
    assert_array_equal(weights(est), before)


def test_the_state_of_adam_is_not_saved():
    """It would be twice the parameters, which are four bytes each."""
    est = fit(hidden_layer_sizes=(300,), optimizer="adam")
    size = len(pickle.dumps(est))
    assert size < 1.5 * 4 * len(weights(est)) + 30_000


class Watching(Callback):
    """Asks for batches, so that they are in the history."""

    def on_batch_end(self, net, **kwargs):
        pass


@pytest.mark.slow
def test_a_longer_history_costs_epochs_not_batches():
    params = {"max_epochs": 3, "callbacks": [Watching()]}
    few, many = (
        len(pickle.dumps(fit(batch_size=batch_size, **params)))
        for batch_size in (90, 1)
    )
    assert many < few + 2000


@pytest.mark.slow
def test_training_rows_are_not_saved():
    wide = np.tile(X, (50, 1))
    assert len(pickle.dumps(fit(wide))) < len(pickle.dumps(fit())) + 4000


@NO_CUDA
def test_a_state_saved_on_a_gpu_loads_on_a_cpu(monkeypatch):
    """Every storage of the fit is written with the tag that a GPU's would have."""
    est = fit(early_stopping=True)
    expected = est.score_samples(X)
    est.set_params(device="cuda").net_.device = "cuda:0"
    weights_and_buffers = est.net_.module_.state_dict().values()
    on_gpu = {tensor.untyped_storage().data_ptr() for tensor in weights_and_buffers}

    def location_tag(storage):
        return "cuda:0" if storage.data_ptr() in on_gpu else "cpu"

    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", location_tag)
        saved = pickle.dumps(est)
    with pytest.warns(UserWarning, match="CPU"):
        loaded = pickle.loads(saved)
    assert {p.device.type for p in loaded.net_.module_.parameters()} == {"cpu"}
    assert_array_equal(loaded.score_samples(X), expected)
    assert loaded.sample(3)[0].shape == (3, 4)
    # Training goes on once a device is named that is there.
    with pytest.raises((ValueError, RuntimeError), match="device"):
        loaded.partial_fit(X)
    loaded.set_params(device="cpu").partial_fit(X)
    assert np.isfinite(loaded.score(X))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_gpu_gives_what_a_cpu_gives():
    cpu, gpu = fit(max_epochs=50), fit(max_epochs=50, device="cuda")
    assert gpu.score(X) == pytest.approx(cpu.score(X), abs=0.3)
    assert isinstance(gpu.transform(X), np.ndarray)
    loaded = pickle.loads(pickle.dumps(gpu))
    np.testing.assert_allclose(loaded.transform(X), gpu.transform(X), atol=1e-4)
    state = pickle.dumps(gpu.set_params(device="cpu"))
    np.testing.assert_allclose(
        pickle.loads(state).score_samples(X), gpu.score_samples(X), atol=1e-3
    )
