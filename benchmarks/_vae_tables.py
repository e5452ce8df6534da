"""VAE at its defaults on seven tables of numbers, beside what is linear or a mixture.

A quarter of the rows is held out, and columns are standardised by the others. Of
FactorAnalysis, probabilistic PCA and GaussianMixtureEM the best of all settings by the
HELD-OUT rows is shown; the VAE's latent_dim is chosen by `score` on a fifth of the
training rows, and the model fitted again. "lost" is how many nats of log-likelihood
another latent_dim had more on that fifth. "5 x as long" is the score of the same model
with five times the passes over the rows that "auto" would make, and whether it warned.
Of 50 rows there is a table of its own: VAE(2) beside probabilistic PCA of as many
dimensions. All in nats a row of standardised columns.
"""

import time
import warnings

import numpy as np
import torch
from _report import print_header, print_machine, print_row
from _vae_tables_data import TABLES, log_density
from sklearn.base import clone
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from sklvm import VAE, GaussianMixtureEM

LATENT_DIMS = (1, 2, 4, 8, 16, 32)
N_COMPONENTS = (1, 2, 3, 5, 8, 12, 16, 32)
N_FEW = 50


def dims(n_features):
    return [L for L in LATENT_DIMS if n_features > L]


def split(X, seed):
    train, test = train_test_split(X, test_size=0.25, random_state=seed)
    mean, scale = train.mean(axis=0), train.std(axis=0)
    return (train - mean) / scale, (test - mean) / scale, mean, scale


def linear_models(train, test):
    """The best held-out score of FactorAnalysis and that of probabilistic PCA."""
    analyses = (FactorAnalysis(L, max_iter=5000, tol=1e-4) for L in dims(test.shape[1]))
    components = (PCA(L) for L in dims(test.shape[1]))
    return [
        max(model.fit(train).score(test) for model in models)
        for models in (analyses, components)
    ]


def best_mixture(train, test, seed):
    """The best held-out score of all mixtures."""
    return max(
        GaussianMixtureEM(
            k, covariance_type=kind, n_init=3, reg_covar=1e-4, random_state=seed
        )
        .fit(train)
        .score(test)
        for kind in ("full", "diag")
        for k in N_COMPONENTS
    )


def search(train, seed):
    """(latent_dim by score, nats that it loses against the best by log-likelihood)."""
    inner, valid = train_test_split(train, test_size=0.2, random_state=seed)
    scores, log_likelihoods = [], []
    for L in dims(train.shape[1]):
        vae = VAE(L, random_state=seed).fit(inner)
        scores.append(vae.score(valid))
        log_likelihoods.append(vae.log_likelihood(valid, 2000).mean())
    best = int(np.argmax(scores))
    lost = max(log_likelihoods) - log_likelihoods[best]
    return dims(train.shape[1])[best], lost


def add_arguments(parser):
    parser.add_argument("--only", nargs="*", choices=TABLES, default=list(TABLES))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])


def run(arguments):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print_machine(1, ["torch"])
    print_header(
        *("table", "seed", "factor analysis", "PPCA", "best mixture", "truth"),
        *("VAE", "log-likelihood", "gap", "latent_dim", "lost", "s a fit"),
        *("5 x as long", "warned"),
    )
    for name in arguments.only:
        rows = [measure(name, seed) for seed in arguments.seeds]
        for seed, row in zip(arguments.seeds, rows, strict=True):
            print_row(name, seed, *map(_told, row))
        print_row(name, "mean", *map(_told, np.mean(np.array(rows, float), axis=0)))
    print()
    print_header("50 rows of", "seed", "PPCA", "VAE", "5 x as long", "warned")
    for name in arguments.only:
        for seed in arguments.seeds:
            print_row(name, seed, *map(_told, measure_few(name, seed)))


def measure(name, seed):
    train, test, mean, scale = split(TABLES[name](seed), seed)
    truth = log_density(name, test * scale + mean)
    truth = np.nan if truth is None else truth.mean() + np.log(scale).sum()
    latent_dim, lost = search(train, seed)
    start = time.perf_counter()
    vae = VAE(latent_dim, random_state=seed).fit(train)
    seconds = time.perf_counter() - start
    score, log_likelihood = vae.score(test), vae.log_likelihood(test).mean()
    return (
        *linear_models(train, test),
        best_mixture(train, test, seed),
        *(truth, score, log_likelihood, log_likelihood - score),
        *(latent_dim, lost, seconds, *five_times_as_long(vae, train, test)),
    )


def measure_few(name, seed):
    """50 rows to train on, all others to test: PPCA(2), VAE(2), and longer."""
    train, test = few_rows(name, seed)
    vae = VAE(2, random_state=seed).fit(train)
    longer = five_times_as_long(vae, train, test)
    return PCA(2).fit(train).score(test), vae.score(test), *longer


def few_rows(name, seed):
    """50 rows and all others, columns standardised by the former."""
    X = TABLES[name](seed)
    X = X[np.random.default_rng(seed).permutation(len(X))]
    varies = X[:N_FEW].std(axis=0) > 0
    train, test = X[:N_FEW, varies], X[N_FEW:, varies]
    mean, scale = train.mean(axis=0), train.std(axis=0)
    return (train - mean) / scale, (test - mean) / scale


def five_times_as_long(vae, train, test):
    """Held-out score, and whether there was a warning (1) or none (0)."""
    n_epochs = 5 * vae._n_epochs(len(train))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ConvergenceWarning)
        longer = clone(vae).set_params(max_epochs=n_epochs).fit(train)
    return longer.score(test), float(bool(told))


def _told(number):
    return "" if np.isnan(number) else f"{number:.2f}"
