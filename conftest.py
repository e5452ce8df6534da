"""Where torch is not installed, tests of what needs it are left out.

With `-n`, each process begins with tests that stand together.
"""

import gc
from importlib.util import find_spec

import pytest

HALF = ["sklvm/autoencoder", "sklvm/neural", "sklvm/segmentation"]
HALF += ["sklvm/_needs_torch.py", "tests/typed.py"]
HALF += ["tests/autoencoder", "tests/neural", "tests/segmentation"]
# Mixtures on a device.
HALF += ["sklvm/mixture/_tensor_chunks.py", "sklvm/mixture/_torch_kernel.py"]
HALF += ["sklvm/mixture/_torch_rows.py", "sklvm/mixture/families/gaussian_torch.py"]
HALF += ["sklvm/mixture/families/gaussian_torch_missing.py"]
# Whose examples have a network.
HALF += [
    f"sklvm/inspection/_{name}.py"
    for name in ("latent_space", "rate_distortion", "traversal")
]
# Whose peers are distributions of torch, or whose models are networks.
HALF += ["tests/divergence", "tests/inspection", "tests/state"]

collect_ignore = [] if find_spec("torch") and find_spec("skorch") else HALF


# Tests, and the modules that they import, are half a million objects that stay to the
# end: to look for garbage among them, again and again, takes time and finds nothing.
gc.disable()


def pytest_collection_finish():
    """Look for garbage again, in what the tests make."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Neighbours in one process, so that a model they share is not fitted in each."""
    if config.getvalue("dist") != "load":
        return None  # asked for on the command line
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)
