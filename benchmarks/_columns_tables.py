"""Mixed tables: held-out nats, and draws that a classifier tells from held-out rows.

Seven tenths of the rows train. AUC of a gradient-boosting classifier between as many
drawn as held-out rows, with gaps in the places where held-out rows have them; "rare" is
the rarest category of all columns, in percent drawn and held out.
"""

import time
import warnings

import numpy as np
import pandas as pd
import torch
from _report import print_header, print_machine, print_row
from _tables_data import GENERATED, real_tables
from _tables_synthetic import auc, rarest
from sklearn.model_selection import train_test_split

from sklvm import GMVAE, VAE, MixtureEM


def models(seed):
    yield (
        "MixtureEM, 1 component",
        lambda train: MixtureEM(1, random_state=seed).fit(train),
    )
    yield "MixtureEM, best of 1 to 10 by BIC", lambda train: best_mixture(train, seed)
    for lr in (1e-3, 3e-3):
        for prior in ("standard", "vamp"):
            yield (
                f"VAE(4), {prior}, lr {lr:g}",
                lambda train, lr=lr, prior=prior: VAE(
                    4, likelihood="auto", prior=prior, lr=lr, random_state=seed
                ).fit(train),
            )
    yield (
        "GMVAE(4, 4), lr 0.003",
        lambda train: GMVAE(4, 4, likelihood="auto", lr=3e-3, random_state=seed).fit(
            train
        ),
    )


def best_mixture(train, seed):
    fits = [MixtureEM(k, n_init=3, random_state=seed).fit(train) for k in range(1, 11)]
    return min(fits, key=lambda mixture: mixture.bic(train))


def with_gaps(drawn, test, seed):
    rows = np.random.default_rng(seed).integers(len(test), size=len(drawn))
    return drawn.mask(test.isna().to_numpy()[rows])


def add_arguments(parser):
    parser.add_argument("--csv", help="a table of one's own")
    parser.add_argument("--drop", nargs="*", default=[], help="columns to leave out")
    parser.add_argument("--only", nargs="*", help="names of tables")
    parser.add_argument("--seed", type=int, default=0)


def run(arguments):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print_machine(1, ["torch"])
    if arguments.csv:
        table = pd.read_csv(arguments.csv).drop(columns=arguments.drop)
        tables = {arguments.csv: table}
    else:
        tables = {name: make()[0] for name, make in GENERATED.items()} | real_tables()
    print_header("table", "model", "held out", "log-likelihood", "AUC", "rare", "s")
    for name in arguments.only or tables:
        table = tables[name]
        train, test = train_test_split(
            table, test_size=0.3, random_state=arguments.seed
        )
        test = test.reset_index(drop=True)
        for label, fit in models(arguments.seed):
            start = time.perf_counter()
            model = fit(train)
            seconds = time.perf_counter() - start
            model.set_output(transform="pandas")
            drawn = with_gaps(model.sample(len(test))[0], test, arguments.seed)
            exact = model.score(test)
            if hasattr(model, "log_likelihood"):
                exact = model.log_likelihood(test, 1000).mean()
            print_row(
                name,
                label,
                f"{model.score(test):.2f}",
                f"{exact:.2f}",
                f"{auc(test, drawn):.3f}",
                rarest(test, drawn),
                f"{seconds:.1f}",
            )
