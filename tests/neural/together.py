"""Fits that the processes of torchrun share, for test_ranks.py.

Written to a file by each process: what was found, or the error.
"""

import os
import pathlib
import pickle
import sys
import warnings
from unittest import mock

import numpy as np
import torch
from sklearn.datasets import load_digits

from sklvm import GMVAE, VAE, ConditionalVAE
from sklvm.neural import _length


def digits(n):
    return (load_digits().data[:n] / 16).astype(np.float32)


def with_gaps(n):
    X = digits(n)
    X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    return X


def models():
    """(name, estimator, arguments of fit)."""
    few = {"max_epochs": 3, "random_state": 0, "tol": np.inf, "batch_size": 50}
    few |= {"early_stopping": False, "hidden_layer_sizes": (20,), "latent_dim": 3}
    X = digits(203)
    bits = (X > 0.5).astype(np.float32)
    yield "optimal", VAE(**few), (X,)
    yield "shared", VAE(noise="shared", free_bits=2.0, **few), (X,)
    yield "gaps", VAE(noise="heteroscedastic", **few), (with_gaps(203),)
    gaps = VAE(objective="iwae", n_draws=3, **few)
    yield "iwae with gaps", gaps, (with_gaps(203),)
    yield "held out", VAE(**few | {"early_stopping": True}), (X,)
    yield "masked", VAE(likelihood="bernoulli", mask_rate=0.2, **few), (bits,)
    # Batches of 3, 2 and 1 rows, and the last of them fewer than processes.
    yield "few rows", VAE(**few | {"batch_size": 3}), (X[:7],)
    yield "one row", VAE(**few | {"batch_size": 1}), (X[:3],)
    yield "folds", VAE(**few | {"early_stopping": "auto"}), (X[:150],)
    clusters = GMVAE(n_components=3, categorical="gumbel", **few)
    yield "GMVAE", clusters, (X,)
    yield "vamp", VAE(prior="vamp", n_pseudo_inputs=10, **few), (X,)
    y = X[:, 20:23]
    yield "ConditionalVAE", ConditionalVAE(**few), (X[:, :20], y)


@mock.patch.multiple(_length, LEAST_STEPS=9, EVERY=2)
def fitted():
    """What each fit leaves: its trace, and all numbers of the module.

    Rows are held out where a training has nine steps: those in folds have just these.
    """
    found = {}
    for name, model, rows in models():
        model.fit(*rows)
        weights = torch.cat(
            [
                value.detach().double().flatten()
                for value in model.net_.module.state_dict().values()
            ]
        )
        found[name] = model.lower_bounds_, weights.numpy(), model.lower_bound_
    return found


def other_rows(rank):
    VAE(max_epochs=1, random_state=0).fit(digits(50 + rank))


def other_parameters(rank):
    VAE(max_epochs=1, lr=1e-3 * (1 + rank), random_state=0).fit(digits(50))


def own_seeds(rank):
    """Without a seed, all processes have that of the first."""
    model = VAE(max_epochs=1, tol=np.inf).fit(digits(50))
    return model.lower_bounds_


def with_checkpoint(rank):
    VAE(max_epochs=1, checkpoint="a.ckpt").fit(digits(50))


def errors(rank):
    found = {}
    for function in (other_rows, other_parameters, own_seeds, with_checkpoint):
        try:
            found[function.__name__] = function(rank)
        except ValueError as error:
            found[function.__name__] = str(error)
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rank = int(os.environ["RANK"])
    found = fitted(), errors(rank)
    path = pathlib.Path(sys.argv[1]) / f"{rank}.pkl"
    path.write_bytes(pickle.dumps(found))
