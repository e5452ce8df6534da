"""Fits of every estimator that takes sources, under a limit of memory.

Each in a process of its own that may take, beyond the imports, less than the rows would
take in memory (RLIMIT_DATA, `ulimit -d`). Two passes over the rows or more, then
their score. What fails, fails with a MemoryError.
"""

import json
import resource
import subprocess
import sys
import time
import warnings
from argparse import SUPPRESS
from functools import partial

import numpy as np
from _report import print_header, print_machine, print_row
from _sources_memory import SCALES, Peak, sheared

CHUNK = 20_000

ESTIMATORS = {
    "GaussianMixtureEM": ("normal", {"covariance_type": "full", "max_iter": 2}),
    "BernoulliMixtureEM": ("bits", {"max_iter": 2}),
    "PoissonMixtureEM": ("counts", {"max_iter": 2}),
    "CategoricalMixtureEM": ("levels", {"max_iter": 2}),
    "MixtureEM": ("table", {"max_iter": 2}),
    "VAE": ("normal", {"max_epochs": 2, "batch_size": 1024}),
    "GMVAE": ("normal", {"max_epochs": 2, "batch_size": 1024}),
    "ConditionalVAE": ("named", {"max_epochs": 2, "batch_size": 1024}),
}


def add_arguments(parser):
    parser.add_argument("--rows", type=int, default=1_200_000)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--estimators", nargs="*", choices=ESTIMATORS)
    parser.add_argument("--child", choices=ESTIMATORS, help=SUPPRESS)


def rows(family, n_rows):
    for seed in range(n_rows // CHUNK):
        X = sheared(np.random.default_rng(seed), CHUNK) / SCALES
        match family:
            case "bits":
                X = X > 0
            case "counts":
                X = np.floor(np.exp(X.clip(max=4)))
            case "levels":
                X = X.clip(-2, 2).round() + 2
            case "named":
                X = named(X)
            case "table":
                X = named(X)
                X["x0"] = np.array(["low", "high"])[(X["x0"] > 0).astype(int)]
                X["x1"] = np.exp(X["x1"]).clip(upper=1000).round()
        yield X


def named(X):
    import pandas as pd

    return pd.DataFrame(X, columns=[f"x{j}" for j in range(32)])


def fit(name, n_rows, megabytes):
    """Seconds, peak and score."""
    import sklvm

    warnings.simplefilter("ignore")
    family, params = ESTIMATORS[name]
    K = {} if name in ("VAE", "ConditionalVAE") else {"n_components": 4}
    y = [["x0", "x1"]] if name == "ConditionalVAE" else []
    model = getattr(sklvm, name)(**K, **params, random_state=0)
    next(rows(family, CHUNK))  # what is imported on the way
    with open("/proc/self/status") as lines:
        used = next(int(line.split()[1]) for line in lines if "VmData" in line)
    limit = (used + megabytes * 1024) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    peak = Peak()
    peak.start()
    start = time.perf_counter()
    X = partial(rows, family, n_rows)
    score = model.fit(X, *y).score(X, *y)
    peak.over.set()
    return time.perf_counter() - start, peak.most, float(score)


def run(arguments):
    if arguments.child:
        found = fit(arguments.child, arguments.rows, arguments.megabytes)
        print(json.dumps(found))
        return
    print_machine(1)
    size = arguments.rows * 32 * 8 // 2**20
    print(f"{arguments.rows} rows, {size} MB, under {arguments.megabytes} MB\n")
    print_header("estimator", "seconds", "peak, MB", "score, nats per row")
    for name in arguments.estimators or ESTIMATORS:
        command = [sys.executable, sys.argv[0], "limit", "--child", name]
        command += ["--rows", arguments.rows, "--megabytes", arguments.megabytes]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        if done.returncode:
            print_row(name, "failed", done.stderr.strip().splitlines()[-1], "")
            continue
        seconds, peak, score = json.loads(done.stdout.splitlines()[-1])
        print_row(name, f"{seconds:.0f}", f"{peak:.0f}", f"{score:.3f}")
