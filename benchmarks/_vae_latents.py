"""VAE(2) beside VAE(), which counts its latents itself, on the seven tables.

Splits and scores are those of `tables`, whose latent_dim is searched for. "seconds
apart" are those in which the latents alone are counted, of the processor's time as all
seconds here. Then 50 rows of each table, as there, and what RMSE imputations have of
columns that depend on each other, in standard deviations, beside that of the exact
Gaussian: 1,000 rows of 10 columns, a tenth of whose cells are missing.
"""

import time
import warnings

import _vae_tables
import numpy as np
import torch
from _report import print_header, print_machine, print_row
from _vae_tables import few_rows, split
from _vae_tables_data import TABLES
from sklearn.decomposition import PCA

from sklvm import VAE, GaussianMixtureEM
from sklvm.autoencoder import Gaussian
from sklvm.autoencoder._latent_dim import count_factors

add_arguments = _vae_tables.add_arguments


def run(arguments):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print_machine(1, ["torch"])
    both = ("VAE(2)", "VAE()", "latent_dim_", "seconds (2)", "seconds ()")
    print_header("correlated columns", "exact Gaussian", *both)
    for seed in arguments.seeds:
        print_row(seed, *map(_told, imputation(seed)))
    print()
    print_header("table", "seed", *both, "seconds apart")
    for name in arguments.only:
        for seed in arguments.seeds:
            print_row(name, seed, *map(_told, measure(name, seed)))
    print()
    print_header("50 rows of", "seed", "PPCA(2)", *both)
    for name in arguments.only:
        for seed in arguments.seeds:
            train, test = few_rows(name, seed)
            scores = beside_two(train, lambda vae, test=test: vae.score(test), seed)
            ppca = PCA(2).fit(train).score(test)
            print_row(name, seed, *map(_told, (ppca, *scores)))


def measure(name, seed):
    train, test, *_ = split(TABLES[name](seed), seed)
    scores = beside_two(train, lambda vae: vae.score(test), seed)
    start = time.process_time()
    count_factors(Gaussian(), train)
    return *scores, time.process_time() - start


def imputation(seed):
    rng = np.random.default_rng(seed)
    W = 0.5 * rng.normal(size=(10, 10))
    C = W @ W.T + np.diag(0.3 * np.exp(0.2 * rng.normal(size=10)))
    X = rng.multivariate_normal(np.zeros(10), C, 1000)
    X /= X.std(axis=0)
    missing = rng.random(X.shape) < 0.1
    seen = np.where(missing, np.nan, X)

    def error(model):
        return np.sqrt(np.mean((model.impute(seen) - X)[missing] ** 2))

    return error(GaussianMixtureEM(1).fit(seen)), *beside_two(seen, error, seed)


def beside_two(train, judge, seed):
    """What VAE(2) and VAE() are worth, the number of the latter, and their seconds.

    Where that is 2, the two are one.
    """

    def fit(latent_dim):
        start = time.process_time()
        vae = VAE(latent_dim, random_state=seed).fit(train)
        return vae, judge(vae), time.process_time() - start

    vae, value, seconds = fit("auto")
    of_two = (value, seconds) if vae.latent_dim_ == 2 else fit(2)[1:]
    return of_two[0], value, vae.latent_dim_, of_two[1], seconds


def _told(number):
    return str(number) if isinstance(number, int) else f"{number:.2f}"
