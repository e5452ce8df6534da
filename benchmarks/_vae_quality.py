"""Quality on MNIST's test set, with published numbers as the aim.

The score is the ELBO of the whole test set. The negative log-likelihood is estimated
with 5,000 importance-weighted draws a row on the first 1,000 test images. Both are in
nats per image.

"dynamic" draws fresh bits from the grey values in each epoch of training; "fixed" draws
them once; "vamp" and "fixed-vamp" are those with the best single-layer model that
ships. The bits of the test images are drawn once, always the same.

--validation is for choosing settings: it trains on the first 55,000 training images and
reports on the others; the test set is not read.
"""

import os
import time
import warnings
from statistics import mean

import numpy as np
import torch
from _data import add_data_argument, grey_mnist
from _report import print_header, print_machine, print_row
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sklvm import VAE

DYNAMIC = {
    "latent_dim": 50,
    "likelihood": "bernoulli",
    "binarize": "dynamic",
    "hidden_layer_sizes": (200, 200),
    "activation": "tanh",
    "objective": "stl",
    "batch_size": 128,
    "lr": 4e-3,
    "lr_schedule": "cosine",
    "max_epochs": 200,
    "early_stopping": False,
}
FIXED = {**DYNAMIC, "latent_dim": 40, "binarize": None, "hidden_layer_sizes": (400,)}
VAMP = {
    **DYNAMIC,
    "latent_dim": 40,
    "prior": "vamp",
    "hidden_layer_sizes": (300, 300),
    "activation": "silu",
    "batch_size": 256,
}
# With bits that stay the same more epochs learn the training images by heart.
FIXED_VAMP = {**VAMP, "binarize": None, "lr": 2e-3, "max_epochs": 60}
SETTINGS = {
    "dynamic": DYNAMIC,
    "vamp": VAMP,
    "dynamic-long": {**DYNAMIC, "max_epochs": 900},
    "fixed": FIXED,
    "fixed-vamp": FIXED_VAMP,
}
# Negative log-likelihood in nats per image, and where it is from.
AIMS = {
    "dynamic": "88.0 within 15 minutes on two cores",
    "vamp": "85.5 within 15 minutes on two cores and 84.5 within 60",
    "dynamic-long": "86.76 (Burda et al., one stochastic layer)",
    "fixed": "89.78 (pythae's benchmark)",
    "fixed-vamp": "89.0",
}
BITS_SEED = 0
N_VALIDATION = 5000


def data(setting, folder, validation=False):
    """Training and held-out rows as the setting binarises them, float32."""
    train, test = (x.astype(np.float32) / 255 for x in grey_mnist(folder))
    if validation:
        train, test = train[:-N_VALIDATION], train[-N_VALIDATION:]
    rng = np.random.default_rng(BITS_SEED)

    def bits(grey):
        return (rng.random(grey.shape, dtype=np.float32) < grey).astype(np.float32)

    test = bits(test)
    return bits(train) if setting.startswith("fixed") else train, test


def fit(parameters, X):
    """A fitted model, and the minutes it took."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        start = time.perf_counter()
        model = VAE(**parameters).fit(X)
        return model, (time.perf_counter() - start) / 60


def epochs_within(minutes, parameters, X, n_probe=3):
    """How many epochs fit into the minutes, by the time that a few of them take.

    A learning rate that follows a cosine has to know its last epoch beforehand.
    """
    _, short = fit({**parameters, "max_epochs": 1}, X)
    _, long = fit({**parameters, "max_epochs": 1 + n_probe}, X)
    overhead_free = (long - short) / n_probe
    # A margin for epochs that are slower than those of the probe.
    return max(1, int(0.95 * (minutes - short) / overhead_free))


def add_arguments(parser):
    add_data_argument(parser)
    parser.add_argument("--setting", choices=SETTINGS, default="dynamic")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=int, help="default: as the setting says")
    length.add_argument("--minutes", type=float, help="of wall clock, for each fit")
    parser.add_argument("--rows", type=int, default=60_000, help="of the training set")
    parser.add_argument("--draws", type=int, default=5000, help="importance draws")
    parser.add_argument(
        "--validation",
        action="store_true",
        help="hold out training images instead of the test set, to choose settings",
    )


def measure(parameters, train, test, n_draws):
    """One line of the table without its name: epochs, minutes, ELBO, NLL."""
    model, minutes = fit(parameters, train)
    nll = -float(np.mean(model.log_likelihood(test[:1000], n_importance=n_draws)))
    return model.n_iter_, minutes, model.score(test), nll


def print_result(name, epochs, minutes, elbo, nll):
    print_row(name, f"{epochs:.0f}", f"{minutes:.1f}", f"{elbo:.2f}", f"{nll:.2f}")


def run(arguments):
    torch.set_num_threads(arguments.threads)
    parameters = dict(SETTINGS[arguments.setting])
    with threadpool_limits(arguments.threads):
        print_machine(arguments.threads, ("torch", "skorch"))
        train, test = data(arguments.setting, arguments.data, arguments.validation)
        train = train[: arguments.rows]
        if arguments.epochs:
            parameters["max_epochs"] = arguments.epochs
        if arguments.minutes:
            parameters["max_epochs"] = epochs_within(
                arguments.minutes, parameters, train
            )
        print(f"{len(train)} training rows, {parameters}\n")
        held_out = "held-out" if arguments.validation else "test"
        print_header(
            *("random_state", "epochs", "fit minutes"),
            *(f"{held_out} bound", f"{held_out} NLL"),
        )
        results = []
        for seed in arguments.seeds:
            seeded = {**parameters, "random_state": seed}
            results.append(measure(seeded, train, test, arguments.draws))
            print_result(seed, *results[-1])
        print_result("mean", *map(mean, zip(*results, strict=True)))
    print(f"\nAim for the NLL: at most {AIMS[arguments.setting]}.")
