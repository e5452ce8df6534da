"""A number and a category that determine each other: do draws keep the pair?

600 rows; the number is 1, 2 or 3, by the category, with a deviation of 0.01. A drawn
pair is kept where the number is within 0.3 of the one of its category. The peer is a
Gaussian VAE of the standardised number and the category as flags.
"""

import warnings

import numpy as np
import pandas as pd
import torch
from _report import print_header, print_machine, print_row

from sklvm import GMVAE, VAE, MixtureEM

NAMES = np.array(["red", "green", "blue"])


def pairs(seed):
    rng = np.random.default_rng(seed)
    k = rng.permutation(np.repeat([0, 1, 2], 200))
    level = k + 1 + 0.01 * rng.normal(size=600)
    return pd.DataFrame({"level": level, "kind": NAMES[k]})


def kept(level, kind):
    return float((abs(level - kind - 1) < 0.3).mean())


def of_table(model, table):
    drawn = model.fit(table).sample(2000)[0]
    return kept(
        drawn["level"], drawn["kind"].map({name: k for k, name in enumerate(NAMES)})
    )


def of_flags(model, table):
    level = (table["level"] - 2) / 0.82
    flags = table["kind"].to_numpy()[:, None] == NAMES
    drawn = model.fit(np.column_stack([level, flags])).sample(2000)[0]
    return kept(drawn[:, 0] * 0.82 + 2, drawn[:, 1:].argmax(axis=1))


def add_arguments(parser):
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])


def run(arguments):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print_machine(1, ["torch"])
    print_header("model", *(f"seed {seed}" for seed in arguments.seeds))
    models = {
        "VAE of flags": (of_flags, lambda seed: VAE(random_state=seed)),
        "VAE": (of_table, lambda seed: VAE(random_state=seed)),
        "VAE, vamp, lr 1e-2": (
            of_table,
            lambda seed: VAE(prior="vamp", lr=1e-2, random_state=seed),
        ),
        "GMVAE, 3 components": (of_table, lambda seed: GMVAE(3, random_state=seed)),
        "MixtureEM, 3 components": (
            of_table,
            lambda seed: MixtureEM(3, n_init=5, random_state=seed),
        ),
    }
    for name, (measure, make) in models.items():
        shares = [measure(make(seed), pairs(seed)) for seed in arguments.seeds]
        print_row(name, *(f"{100 * share:.1f} %" for share in shares))
