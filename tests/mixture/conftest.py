"""What several files of tests need: a machine with a GPU, in thought."""

from contextlib import contextmanager

import pytest


@pytest.fixture
def rounded_products():
    """A context in which torch may round products of float32."""
    import torch

    @contextmanager
    def rounded():
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("medium")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)

    return rounded


@pytest.fixture
def like_a_gpu(monkeypatch):
    """device="cuda" is torch's CPU device, which takes the way of rows to a GPU.

    The fixture is a list with the bytes that are free there.
    """
    import torch

    from sklvm.mixture._on_device import OnDevice

    memory, cpu = [2**40], torch.device("cpu")

    def resolved(device, accelerators):
        return torch.device("cuda") if device in ("cuda", "auto") else cpu

    device_of = OnDevice._device_of

    def on_cpu(self, X):
        found = device_of(self, X)
        return cpu if found is not None and found.type == "cuda" else found

    monkeypatch.setattr("sklvm._devices.resolve_device", resolved)
    monkeypatch.setattr(OnDevice, "_device_of", on_cpu)
    monkeypatch.setattr("sklvm.mixture._torch_rows.free_bytes", lambda _: memory[0])
    return memory
