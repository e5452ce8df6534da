"""Counts up to 12,000 in 30 columns, with three latents: held-out log-likelihood.

700 rows train, 300 are held out. "truth" is log p(x | the latents that x came from),
"independent" is that of Poisson distributions with the means of the training rows.
"""

import warnings

import numpy as np
import torch
from _report import print_header, print_machine, print_row
from scipy.stats import poisson

from sklvm import VAE


def counts(seed, top=7.0, n=1000, n_features=30, latent_dim=3):
    """Counts and their rates, log-linear in the latents."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, latent_dim))
    W = 0.35 * rng.normal(size=(latent_dim, n_features))
    rates = np.exp(z @ W + rng.uniform(-2, top, n_features))
    return rng.poisson(rates).astype(float), rates


def add_arguments(parser):
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--batch-size", type=int, default=64)


def run(arguments):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print_machine(1, ["torch"])
    print_header(
        "seed", "largest", "truth", "independent", "family", "score", "log-likelihood"
    )
    for seed in arguments.seeds:
        X, rates = counts(seed)
        train, test = X[:700], X[700:]
        truth = poisson.logpmf(test, rates[700:]).sum(axis=1).mean()
        alone = poisson.logpmf(test, train.mean(axis=0)).sum(axis=1).mean()
        for family in ("poisson", "negative_binomial"):
            model = VAE(
                3,
                likelihood=family,
                lr=arguments.lr,
                batch_size=arguments.batch_size,
                tol=np.inf,
                random_state=seed,
            ).fit(train)
            print_row(
                seed,
                f"{X.max():.0f}",
                f"{truth:.1f}",
                f"{alone:.1f}",
                family,
                f"{model.score(test):.1f}",
                f"{model.log_likelihood(test).mean():.1f}",
            )
