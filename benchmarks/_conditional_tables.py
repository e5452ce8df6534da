"""ConditionalVAE on tables: held-out nats per row of some columns given the others.

A quarter of the rows is held out, all columns are standardised by the others, and nats
are of standardised columns. Peer: linear regression with Gaussian noise of the standard
deviations of the training residuals, whose log p(y|x) is exact.
"""

import time
import warnings

import numpy as np
import torch
from _report import print_header, print_machine, print_row
from _vae_tables_data import TABLES
from scipy.stats import norm
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklvm import ConditionalVAE


def diabetes(seed):
    X, y = load_diabetes(return_X_y=True)
    return X, y[:, None]


def prices(seed):
    """Long tails: of the other columns of the California-like table."""
    X = TABLES["california"](seed)
    return X[:, :-1], X[:, -1:]


def wine(seed):
    X = TABLES["wine"](seed)
    return X[:, :5], X[:, 5:]


def breast_cancer(seed):
    """Nearly collinear columns."""
    X = TABLES["breast cancer"](seed)
    return X[:, 10:], X[:, :10]


def digits(seed):
    """The lower half, without pixels that are nearly always blank, given the upper."""
    X = load_digits().data / 16
    lower = X[:, 32:]
    return X[:, :32], lower[:, lower.std(axis=0) > 0.05]


# And latent_dim.
DATA = {
    "diabetes": (diabetes, 2),
    "California-like, prices": (prices, 2),
    "wine, eight columns given five": (wine, 2),
    "breast cancer, ten columns given the twenty others": (breast_cancer, 2),
    "digits, lower half given the upper": (digits, 8),
}


def standardised(train, test):
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test)


def measure(load, latent_dim, seed, parameters):
    """Held-out nats of linear regression and of the model, and its seconds."""
    parts = train_test_split(*load(seed), test_size=0.25, random_state=seed)
    (x, x_test), (y, y_test) = (standardised(*parts[i : i + 2]) for i in (0, 2))
    linear = LinearRegression().fit(x, y)
    noise = (y - linear.predict(x)).std(axis=0)
    peer = norm.logpdf(y_test, linear.predict(x_test), noise).sum(axis=1).mean()
    start = time.perf_counter()
    model = ConditionalVAE(latent_dim, random_state=seed, **parameters).fit(x, y)
    return peer, model.score(x_test, y_test), time.perf_counter() - start


def add_arguments(parser):
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--hidden", type=int, nargs="+", help="hidden_layer_sizes")


def run(arguments):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print_machine(1, ["torch"])
    hidden = arguments.hidden
    parameters = {} if hidden is None else {"hidden_layer_sizes": hidden}
    print_header("table", "linear regression", "ConditionalVAE", "by seed", "s a fit")
    for name in arguments.only:
        results = np.array(
            [measure(*DATA[name], seed, parameters) for seed in arguments.seeds]
        )
        peer, score, seconds = results.mean(axis=0)
        by_seed = ", ".join(f"{value:.2f}" for value in results[:, 1])
        print_row(name, f"{peer:.3f}", f"{score:.3f}", by_seed, f"{seconds:.1f}")
