"""Settings of the whole suite."""

import os

# Where tests run side by side (pytest -n 2), each process has one thread: more threads
# than cores make torch crawl. Before NumPy and torch are imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
