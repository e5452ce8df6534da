"""Sparse counts, 100,000 x 5,000 with 1 % of the entries: peak memory of one epoch.

The aim is a growth of less than 1.5 times the sparse data plus 300 MB.
"""

import resource
import time
import warnings

import numpy as np
import torch
from _report import print_header, print_machine, print_row
from scipy.sparse import csr_matrix

from sklvm import VAE


def peak():
    """Most memory that the process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def add_arguments(parser):
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--features", type=int, default=5000)


def run(arguments):
    warnings.simplefilter("ignore")
    torch.set_num_threads(2)
    print_machine(2, ["torch"])
    n, d = arguments.rows, arguments.features
    rng = np.random.default_rng(0)
    stored = n * d // 100
    values = 1 + rng.poisson(1.5, stored).astype(np.float32)
    columns = rng.integers(d, size=stored).astype(np.int32)
    X = csr_matrix(
        (values, columns, np.arange(0, stored + 1, d // 100).astype(np.int32)), (n, d)
    )
    X.sum_duplicates()
    size = (X.data.nbytes + X.indices.nbytes + X.indptr.nbytes) / 2**20
    VAE(10, likelihood="poisson", max_epochs=1).fit(X[:500])  # torch's own memory
    before, start = peak(), time.perf_counter()
    VAE(10, likelihood="poisson", max_epochs=1, random_state=0).fit(X)
    seconds = time.perf_counter() - start
    print_header("rows", "sparse MB", "growth MB", "aim MB", "s")
    print_row(
        n,
        f"{size:.0f}",
        f"{peak() - before:.0f}",
        f"{1.5 * size + 300:.0f}",
        f"{seconds:.0f}",
    )
