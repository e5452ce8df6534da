"""What checkpoints cost: seconds of fits with and without them, by turns."""

import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from _report import print_header, print_machine, print_row
from threadpoolctl import threadpool_limits

from sklvm import GMVAE, VAE, GaussianMixtureEM


def add_arguments(parser):
    parser.add_argument("--repeats", type=int, default=5)


def fits():
    """Estimators whose fits take longer than the seconds between two writings."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 64)) @ rng.normal(size=(64, 64)) / 8
    yield "VAE(8)", VAE(8, max_epochs=30, random_state=0), X
    yield "GMVAE(10)", GMVAE(10, latent_dim=8, max_epochs=30, random_state=0), X
    mixture = GaussianMixtureEM(20, n_init=4, tol=0, n_jobs=1, random_state=0)
    yield "GaussianMixtureEM(20), four restarts", mixture, X


def run(arguments):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    path = Path(tempfile.mkdtemp()) / "fit.checkpoint"
    with threadpool_limits(1):
        print_machine(1, ("torch",))
        print_header("fit", "without, s", "with, s", "ratio of the least")
        for name, estimator, X in fits():
            seconds = {None: [], path: []}
            for _ in range(arguments.repeats):
                for checkpoint, spent in seconds.items():
                    start = time.perf_counter()
                    estimator.set_params(checkpoint=checkpoint).fit(X)
                    spent.append(time.perf_counter() - start)
            without, kept = (min(spent) for spent in seconds.values())
            print_row(name, f"{without:.2f}", f"{kept:.2f}", f"{kept / without:.3f}")
