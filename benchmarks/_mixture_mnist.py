"""Bernoulli mixtures on ten thousand MNIST digits: held-out score against K.

Ink is a grey value above 127. Training on the first ten thousand images of the training
set, held out is the whole test set. theta has the prior Beta(1.5, 1.5): by maximum
likelihood a pixel that is blank in every training image has probability zero of ink,
and so has each test image with ink there.
"""

import time

import numpy as np
from _data import add_data_argument, binary_mnist
from _report import print_header, print_row

from sklvm import BernoulliMixtureEM

THETA_PRIOR = (1.5, 1.5)


def fit_all(train, test, components, n_init):
    """Fit one model for each K, print one line each; return models and scores."""
    print_header("K", "training nats", "held-out nats", "iterations", "fit s")
    models, scores = [], []
    for n_components in components:
        model = BernoulliMixtureEM(
            n_components,
            binarize=None,
            theta_prior=THETA_PRIOR,
            max_iter=300,
            n_init=n_init,
            random_state=0,
        )
        start = time.perf_counter()
        model.fit(train)
        seconds = time.perf_counter() - start
        models.append(model)
        scores.append((model.score(train), model.score(test)))
        print_row(
            n_components,
            *(f"{score:.2f}" for score in scores[-1]),
            model.n_iter_,
            f"{seconds:.1f}",
        )
    return models, scores


def save_scores(path, components, scores):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    training, held_out = zip(*scores, strict=True)
    axes.plot(components, training, marker="o", label="training")
    axes.plot(components, held_out, marker="o", label="held out")
    axes.set_xlabel("number of components K")
    axes.set_ylabel("mean log p(x), nats per image")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=100)


def save_theta(path, model, n_columns=10):
    """theta of every component as an image, the heaviest component first."""
    import matplotlib.pyplot as plt

    theta = model.theta_[np.argsort(-model.weights_)].reshape(-1, 28, 28)
    n_rows = -(-len(theta) // n_columns)
    sheet = np.zeros((n_rows * n_columns, 28, 28))
    sheet[: len(theta)] = theta
    sheet = sheet.reshape(n_rows, n_columns, 28, 28).swapaxes(1, 2)
    sheet = sheet.reshape(n_rows * 28, n_columns * 28)
    plt.imsave(path, np.kron(sheet, np.ones((2, 2))), cmap="gray_r", vmin=0, vmax=1)


def add_arguments(parser):
    add_data_argument(parser)
    parser.add_argument("--rows", type=int, default=10_000, help="of the training set")
    parser.add_argument(
        "--components", type=int, nargs="+", default=list(range(10, 101, 10))
    )
    parser.add_argument("--n-init", type=int, default=3)
    parser.add_argument("--plot", help="path of the picture of the scores")
    parser.add_argument("--theta", help="path of the picture of theta of the best K")


def run(arguments):
    train, test = (x.astype(np.float32) for x in binary_mnist(arguments.data))
    train = train[: arguments.rows]
    models, scores = fit_all(train, test, arguments.components, arguments.n_init)
    best = models[int(np.argmax([held_out for _, held_out in scores]))]
    print(f"\nBest held-out score: K = {best.n_components}.")
    if arguments.plot:
        save_scores(arguments.plot, arguments.components, scores)
    if arguments.theta:
        save_theta(arguments.theta, best)
