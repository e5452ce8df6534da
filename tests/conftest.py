"""Settings of the whole suite."""

import os
import signal

import pytest

# Where tests run side by side (pytest -n 2), each process has one thread: more threads
# than cores make torch crawl. Before NumPy and torch are imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def ctrl_c_counts():
    """Ctrl-C as in a terminal: a process started in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
