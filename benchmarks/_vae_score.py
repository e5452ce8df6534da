"""How exact the held-out score is: its Monte Carlo error, and what it depends on.

The noise of a row is a function of the row, so a score repeats exactly, and asking
again says nothing about its error. Here each repeat moves one entry of each row by one
unit in the last place: the bound stays the same up to float32 rounding, and the noise
is drawn afresh. The standard deviation of the mean score over such repeats is its
standard error. The standard deviations within each row give a second estimate, which
holds if the errors of different rows are independent, as they should be.
"""

import warnings

import numpy as np
import torch
from _data import add_data_argument, grey_mnist
from _report import print_header, print_machine, print_row
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sklvm import VAE

N_ROWS = 1000
AIM = 0.05


def tasks(arguments):
    """(name, VAE, training rows, held-out rows) of a grey and of a binary model."""
    digits = load_digits().data.astype(np.float32) / 16
    length = {"max_epochs": arguments.epochs, "early_stopping": False}
    model = VAE(10, random_state=0, **length)
    yield "digits, gaussian", model, digits[N_ROWS:], digits[:N_ROWS]

    train, test = (x.astype(np.float32) / 255 for x in grey_mnist(arguments.data))
    bits = np.random.default_rng(0).random(test.shape, dtype=np.float32) < test
    model = VAE(
        50,
        likelihood="bernoulli",
        binarize="dynamic",
        hidden_layer_sizes=(200, 200),
        random_state=0,
        **length,
    )
    train = train[: arguments.train_rows]
    yield "MNIST, bernoulli", model, train, bits[:N_ROWS].astype(np.float32)


def moved(X, repeat):
    """X with one entry of each row one unit in the last place nearer to one half.

    Another entry in each repeat, so that each row and each repeat has its own noise.
    """
    X = X.copy()
    column = repeat % X.shape[1]
    X[:, column] = np.nextafter(X[:, column], np.float32(0.5))
    return X


def standard_errors(model, X, n_repeats):
    """Standard error of the mean score, by the repeats and by the rows; and the mean.

    The first value is the standard deviation over the repeats of the mean over the
    rows, the second sqrt(mean of the rows' variances / number of rows).
    """
    repeats = [model.score_samples(moved(X, r)) for r in range(n_repeats)]
    scores = np.array(repeats, dtype=np.float64)
    by_repeats = scores.mean(axis=1).std(ddof=1)
    by_rows = np.sqrt(scores.var(axis=0, ddof=1).mean() / len(X))
    return by_repeats, by_rows, scores.mean()


def dependence_on_others(model, X, n_alone=100):
    """Greatest relative change of a row's score: alone, and in another order.

    Relative where a score is larger than 1, because float32 has seven digits,
    whatever the number of nats.
    """
    among = model.score_samples(X)
    alone = np.concatenate([model.score_samples(row) for row in X[:n_alone, None]])
    order = np.random.default_rng(0).permutation(len(X))
    shuffled = model.score_samples(X[order])
    size = np.maximum(1, np.abs(among))
    return (
        (np.abs(alone - among[:n_alone]) / size[:n_alone]).max(),
        (np.abs(shuffled - among[order]) / size[order]).max(),
    )


def measure(name, model, train, test, n_repeats):
    """Print one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(train)
    by_repeats, by_rows, mean = standard_errors(model, test, n_repeats)
    alone, shuffled = dependence_on_others(model, test)
    score = model.score(test)
    repeats_exactly = all(model.score(test) == score for _ in range(3))
    n_draws = model.n_score_draws
    many = model.set_params(n_score_draws=64 * n_draws).score(test)
    print_row(
        f"{name}, {len(test)} x {test.shape[1]}",
        n_draws,
        f"{score:.4f}",
        f"{by_repeats:.4f}",
        f"{by_rows:.4f}",
        f"{mean - many:+.4f}",
        "yes" if repeats_exactly else "NO",
        f"{alone:.1e}",
        f"{shuffled:.1e}",
    )


def add_arguments(parser):
    add_data_argument(parser)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--train-rows", type=int, default=10_000, help="of MNIST")
    parser.add_argument("--repeats", type=int, default=50)


def run(arguments):
    torch.set_num_threads(arguments.threads)
    with threadpool_limits(arguments.threads):
        print_machine(arguments.threads, ("torch", "skorch"))
        print_header(
            *("model, held-out rows", "n_score_draws", "score", "standard error"),
            *("by rows", "mean of repeats - 64 times the draws", "repeats exactly"),
            *("row alone, relative", "other order, relative"),
        )
        for task in tasks(arguments):
            measure(*task, arguments.repeats)
    print(f"\nAims: standard error below {AIM} nats, the last two below 1e-5.")
