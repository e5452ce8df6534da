"""One row at a time: no setting of the process changes, not even meanwhile."""

import threading
import time

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from ..networks import GMVAE, HAS_TORCH, VAE, ConditionalVAE, torch
from ..registry import REGISTRY

METHODS = "predict", "predict_proba", "transform", "score_samples", "reconstruct"


def mixtures_and_autoencoders():
    """Those that have a registry entry and answer for a row at a time."""
    return [
        entry
        for entry in REGISTRY
        if entry.estimator in (VAE, GMVAE, ConditionalVAE)
        or entry.estimator.__name__.endswith("MixtureEM")
        or entry.estimator.__name__ == "MixtureEM"
    ]


@pytest.fixture(params=mixtures_and_autoencoders(), ids=lambda e: e.estimator.__name__)
def model(request):
    return request.param.fitted()


def questions(est, data):
    """The predictions for rows of data."""
    arguments = data if isinstance(est, ConditionalVAE) else data[:1]
    for name in METHODS:
        if hasattr(est, name):
            own = arguments[:1] if name.startswith("predict") else arguments
            yield lambda name=name, own=own: getattr(est, name)(*own)


def settings(blas):
    """What belongs to the process, as any thread sees it."""
    numbers = [library.num_threads for library in blas.lib_controllers], np.geterr()
    return numbers, *(settings_of_torch() if HAS_TORCH else ())


def settings_of_torch():
    cudnn = torch.backends.cudnn
    return (
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.are_deterministic_algorithms_enabled(),
        cudnn.conv.fp32_precision if hasattr(cudnn, "conv") else cudnn.allow_tf32,
        # Those of a thread, of another one than that which predicts.
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
    )


@pytest.mark.filterwarnings("ignore")
def test_another_thread_sees_no_setting_change(model):
    est, data = model
    asked = list(questions(est, [array[:1] for array in data]))
    stop, errors = threading.Event(), []

    def predict():
        try:
            while not stop.is_set():
                for ask in asked:
                    ask()
        except Exception as error:
            errors.append(error)

    settings(ThreadpoolController())  # at its first use torch sets those of OpenMP
    with threadpool_limits(limits=3):
        blas = ThreadpoolController()
        before = settings(blas)
        thread = threading.Thread(target=predict)
        thread.start()
        try:
            end = time.monotonic() + 0.2
            while time.monotonic() < end:
                assert settings(blas) == before
        finally:
            stop.set()
            thread.join()
    assert not errors


def test_one_row_is_as_among_many(model):
    """The kernels for a few rows give what those for many give."""
    est, data = model
    pairs = zip(
        questions(est, [array[:1] for array in data]), questions(est, data), strict=True
    )
    for one, many in pairs:
        np.testing.assert_allclose(one(), many()[:1], rtol=1e-5, atol=1e-6)
