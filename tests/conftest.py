"""Settings of the whole suite."""

import os
import signal
import sys
from importlib.util import find_spec

import pytest

# Where tests run side by side (pytest -n 2), each process has one thread: more threads
# than cores make torch crawl. Before NumPy and torch are imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def the_same_modules_in_any_order():
    """A network that a test makes starts from torch's own generator.

    Without a seed its weights would depend on the tests before it in the process.
    """
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture
def few_starts(monkeypatch):
    """Two starts of EM for a GMVAE in place of ten a component.

    They are most of a short fit, and matter where clusters are to be found.
    """
    if find_spec("torch") and find_spec("skorch"):
        monkeypatch.setattr("sklvm.autoencoder._components.MAX_RESTARTS", 2)


@pytest.fixture
def ctrl_c_counts():
    """Ctrl-C as in a terminal: a process started in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
