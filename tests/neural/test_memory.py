"""Where torch is out of memory, a MemoryError says what to lower."""

import numpy as np
import pytest
import torch

from sklvm import GMVAE, VAE, ConditionalVAE, SparseSegmentationRDA
from sklvm._devices import memory_errors

X = np.random.default_rng(0).normal(size=(60, 4))
QUICK = {"max_epochs": 1, "hidden_layer_sizes": (4,), "early_stopping": False}
CPU = (
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate "
    "memory: you tried to allocate 4000000000000 bytes. Error code 12 (Cannot allocate "
    "memory)\nException raised from alloc_cpu"
)
CUDA = "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of"


def models():
    maps = np.random.default_rng(0).integers(2, size=(20, 16))
    yield VAE(**QUICK), (X,)
    yield GMVAE(**QUICK), (X,)
    yield ConditionalVAE(**QUICK), (X, X[:, 0])
    yield (
        SparseSegmentationRDA(image_shape=(4, 4), max_epochs=1, channels=(4,)),
        (maps,),
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("est, data", list(models()), ids=lambda x: type(x).__name__)
@pytest.mark.parametrize("said", [CPU, CUDA], ids=["CPU", "CUDA"])
def test_a_fit_and_a_prediction(monkeypatch, est, data, said):
    est.fit(*data)

    def fail(*args, **kwargs):
        kind = torch.OutOfMemoryError if said is CUDA else RuntimeError
        raise kind(said)

    monkeypatch.setattr(torch.nn.Linear, "forward", fail)
    monkeypatch.setattr(torch.nn.Conv2d, "forward", fail)
    with pytest.raises(MemoryError, match=r"llocate .*; lower n_samples.*at once"):
        est.transform(*data)
    before = dict(vars(est))
    with pytest.raises(MemoryError, match=r"llocate .*; lower batch_size"):
        est.fit(*data)
    assert vars(est) == before


def test_draws_without_room():
    est = VAE(**QUICK, tol=np.inf).fit(X)
    with pytest.raises(MemoryError, match="lower n_samples"):
        est.sample(10**15)


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes"), memory_errors("lower it"):
        raise RuntimeError("shapes cannot be multiplied")
