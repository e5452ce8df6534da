"""One row through the variational autoencoders, in microseconds."""

import warnings

import numpy as np
import pandas as pd
import torch
from _report import print_header, print_machine, print_row
from _serving_mixtures import N_ROWS, SIZES, gaussian_rows
from _serving_time import add_arguments, medians, text
from threadpoolctl import threadpool_limits

import sklvm

__all__ = ["add_arguments", "run"]
METHODS = "transform", "score_samples", "reconstruct", "predict"


def models(d, k):
    """Fitted models, and what their methods take for one row."""
    X = gaussian_rows(np.random.default_rng(0), d, k)
    fit = {"latent_dim": 2, "max_epochs": 5, "random_state": 0}
    vae = sklvm.VAE(**fit).fit(X)
    yield "VAE, float64", vae, (X[:1],)
    yield "VAE, float32", vae, (X[:1].astype(np.float32),)
    frame = pd.DataFrame(X).rename(columns=str)
    yield "VAE, DataFrame", sklvm.VAE(**fit).fit(frame), (frame[:1],)
    auto = sklvm.VAE(likelihood="auto", **fit).fit(frame)
    yield "VAE, likelihood='auto', DataFrame", auto, (frame[:1],)
    yield "GMVAE", sklvm.GMVAE(n_components=k, **fit).fit(X), (X[:1],)
    y = X[:, :2] + np.random.default_rng(1).normal(size=(N_ROWS, 2))
    conditional = sklvm.ConditionalVAE(**fit).fit(X, y)
    yield "ConditionalVAE", conditional, (X[:1], y[:1])


def call_of(model, name, row):
    """`model.name(*row)` as a function, or None where there is no such method."""
    method = getattr(model, name, None)
    if method is None:
        return None
    arguments = row[:1] if name == "predict" else row
    return lambda: method(*arguments)


def run(arguments):
    warnings.simplefilter("ignore")
    torch.set_num_threads(arguments.threads)
    with threadpool_limits(arguments.threads):
        print_machine(arguments.threads, ["torch"])
        print("Microseconds for one row.\n")
        print_header("model", "d", "K", *METHODS)
        for size in SIZES:
            for name, model, row in models(*size):
                calls = [call_of(model, method, row) for method in METHODS]
                print_row(name, *size, *map(text, medians(calls, arguments.calls)))
