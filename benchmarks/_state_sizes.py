"""Sizes of files beside those of the parameters, and seconds to write and read them."""

import os
import pickle
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from _report import print_header, print_row

import sklvm


def add_arguments(parser):
    parser.add_argument("--rows", type=int, default=2000)


def models(X):
    """Fitted models, and the numbers that each has for parameters, in bytes."""
    d = X.shape[1]
    gmm = sklvm.GaussianMixtureEM(10, max_iter=20, random_state=0).fit(X)
    yield "GaussianMixtureEM(10)", gmm, 8 * (10 + 10 * d + 10 * d * d)
    for kind in (sklvm.VAE, sklvm.GMVAE):
        est = kind(latent_dim=2, max_epochs=30, random_state=0).fit(X)
        yield f"{kind.__name__}(latent_dim=2)", est, weight_bytes(est)
    est = sklvm.ConditionalVAE(max_epochs=30, random_state=0).fit(X, X[:, :3])
    yield "ConditionalVAE()", est, weight_bytes(est)


def weight_bytes(est):
    state = est.net_.module.state_dict()
    return sum(w.numel() * w.element_size() for w in state.values())


def run(arguments):
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(arguments.rows, 64)) @ rng.normal(size=(64, 64)) / 8
    path = Path(tempfile.mkdtemp()) / "model.sklvm"
    print_header(
        "model", "parameters, kB", "resumable=False", "resumable=True", "pickle",
        "save, ms", "load, ms",
    )  # fmt: skip
    for name, est, n_bytes in models(X):
        ratios = []
        for resumable in (False, True):
            sklvm.save(est, path, resumable=resumable)
            ratios.append(os.path.getsize(path) / n_bytes)
        start = time.perf_counter()
        sklvm.save(est, path)
        middle = time.perf_counter()
        sklvm.load(path)
        times = middle - start, time.perf_counter() - middle
        ratios.append(len(pickle.dumps(est)) / n_bytes)
        print_row(
            name, f"{n_bytes / 1000:.0f}", *(f"{r:.3f}" for r in ratios),
            *(f"{1000 * t:.1f}" for t in times),
        )  # fmt: skip
