"""Damaged files: a ValueError or an estimator each time, within a bounded memory.

Files of several small models are damaged at random, byte by byte, in the text of their
JSON, in its tree and in the arrays; all but the first with the checksum repaired, so
that what lies behind it is reached too. What loads is asked for scores, which may fail
as Python fails, and must not end the process.
"""

import os
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from _report import print_header, print_row

import sklvm

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.state.cases import CASES, fitted
from tests.state.damage import damaged

NAMES = (
    *("GaussianMixtureEM", "BernoulliMixtureEM", "MixtureEM_table_full", "VAE"),
    *("GMVAE_table", "ConditionalVAE_labels", "DensityOutlierDetector"),
    *("SparseSegmentationRDA_rate_model-learned", "VAE_encoder-own"),
)


def add_arguments(parser):
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--names", nargs="+", default=NAMES)


def peak():
    """Most memory that the process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def outcome(path, rows, scores):
    """What comes of loading a file, and of scores of what it holds."""
    try:
        est = sklvm.load(path)
    except ValueError:
        return "refused"
    if scores:
        try:
            est.score_samples(*rows)
        except Exception:
            return "loads, and its scores fail"
    return "loads"


def run(arguments):
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(arguments.seed)
    folder = Path(
        tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    )
    path, files = folder / "damaged", []
    for name in arguments.names:
        sklvm.save(fitted(name), path)
        files.append(path.read_bytes())
        sklvm.load(path).score_samples(*CASES[name].rows)
    start, before, largest = time.perf_counter(), peak(), 0
    counts = {name: Counter() for name in arguments.names}
    for i in range(arguments.n):
        which = i % len(files)
        name = arguments.names[which]
        data = damaged(files[which], rng)
        if data is None:
            counts[name]["cannot be written"] += 1
            continue
        largest = max(largest, len(data))
        path.write_bytes(data)
        # Most of the time would be spent on scores else.
        scores = rng.random() < 0.2
        counts[name][outcome(path, CASES[name].rows, scores)] += 1
    kinds = sorted(set().union(*counts.values()))
    print_header("model", *kinds)
    for name in arguments.names:
        print_row(name, *(counts[name][kind] for kind in kinds))
    seconds = time.perf_counter() - start
    print(
        f"\n{arguments.n} files of up to {largest / 2**20:.2f} MB in {seconds:.0f} s: "
        f"only ValueErrors; {peak() - before:.0f} MB above the memory before."
    )
