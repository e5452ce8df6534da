"""Densities with two branches, p(y|x) known: nats per row below the truth.

x is uniform on [-1, 1] and y = f(x) + noise or -f(x) + noise, for several f and shares
of the two branches. No model can have more nats on average than the true density of the
same held-out rows. The gap to it is printed for `score`, a lower bound on log p(y|x),
and for `log_likelihood`, its estimate by many more draws: a mean over the seeds, with
the seeds' own gaps of `score`. The last table says which shapes are within the aim.

Peers, whose log p(y|x) is exact: linear regression and a multilayer perceptron, both
with Gaussian noise of the standard deviations of the training residuals; and
scikit-learn's GaussianMixture of (x, y) jointly, log p(x, y) - log p(x), its number of
components chosen by BIC.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from _report import print_header, print_machine, print_row
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.mixture import GaussianMixture
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_limits

from sklvm import ConditionalVAE

COMPONENTS = (5, 10, 20, 40)
AIM = 0.03


# The truth ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """y = +-f(x) + noise; `upper` is the share of f(x)."""

    f: Callable
    noise: float
    upper: float = 0.5

    def draw(self, n_rows, seed):
        """X of shape (n_rows, 1) and y of shape (n_rows, n_outputs), float32."""
        rng = np.random.default_rng(seed)
        x = rng.uniform(-1, 1, size=n_rows)
        sign = np.where(rng.uniform(size=n_rows) < self.upper, 1, -1)
        mean = sign[:, None] * self.f(x)
        y = mean + self.noise * rng.standard_normal(mean.shape)
        return x[:, None].astype(np.float32), y.astype(np.float32)

    def log_density(self, X, y):
        """ln p(y|x) of each row."""
        mean, y = self.f(X[:, 0].astype(float)), y.astype(float)
        both = [
            np.log(share) + norm.logpdf(y, sign * mean, self.noise).sum(axis=1)
            for sign, share in ((1, self.upper), (-1, 1 - self.upper))
        ]
        return np.logaddexp(*both)


def columns(*functions):
    return lambda x: np.stack([f(x) for f in functions], axis=1)


SHAPES = {
    "crossing lines": Shape(columns(lambda x: 1.5 * x), 0.15),
    "crossing curves": Shape(columns(lambda x: 1.5 * x + 0.2 * np.sin(6 * x)), 0.15),
    "parallel": Shape(columns(lambda x: 1 + 0 * x), 0.2),
    "arcs": Shape(columns(lambda x: 1.2 * np.sqrt(1 - x**2)), 0.12),
    "sine": Shape(columns(lambda x: np.sin(3.5 * x + 0.5)), 0.12),
    "unequal weights": Shape(columns(lambda x: 0.6 + x**2), 0.15, upper=0.2),
    "two columns": Shape(columns(lambda x: x, lambda x: np.cos(2 * x)), 0.12),
}


# The models: from training rows to gaps, or to ln p(y|x), of the held-out rows --------


def cvae(**parameters):
    def log_densities(X, y, X_test, y_test, seed, arguments):
        """`score_samples` and `log_likelihood`."""
        model = ConditionalVAE(**parameters, random_state=seed)
        if arguments.epochs is not None:
            model.set_params(max_epochs=arguments.epochs)
        model.fit(X, y)
        score = model.score_samples(X_test, y_test)
        return score, model.log_likelihood(X_test, y_test, arguments.draws)

    return log_densities


def gaussian_around(model):
    """A regression with Gaussian noise of one standard deviation for each column."""

    def log_densities(X, y, X_test, y_test, seed, arguments):
        if "random_state" in model.get_params():
            model.set_params(random_state=seed)
        y = y[:, 0] if y.shape[1] == 1 else y
        residuals = (y - model.fit(X, y).predict(X)).reshape(len(y), -1)
        mean = model.predict(X_test).reshape(len(X_test), -1)
        log_p = norm.logpdf(y_test, mean, residuals.std(axis=0)).sum(axis=1)
        return log_p, log_p

    return log_densities


def joint_mixture(X, y, X_test, y_test, seed, arguments):
    """ln p(x, y) - ln p(x), both of the same mixture."""
    joint = np.column_stack([X, y])
    mixtures = [
        GaussianMixture(k, n_init=3, random_state=seed).fit(joint) for k in COMPONENTS
    ]
    best = min(mixtures, key=lambda mixture: mixture.bic(joint))
    sd_of_x = np.sqrt(best.covariances_[:, 0, 0])
    log_p_of_x = norm.logpdf(X_test, best.means_[:, 0], sd_of_x) + np.log(best.weights_)
    together = best.score_samples(np.column_stack([X_test, y_test]))
    log_p = together - logsumexp(log_p_of_x, axis=1)
    return log_p, log_p


MODELS = {
    "ConditionalVAE": cvae(),
    "ConditionalVAE, two hidden layers": cvae(hidden_layer_sizes=(100, 100)),
    "ConditionalVAE, one Gaussian p(z given x)": cvae(n_prior_components=1),
    "linear regression": gaussian_around(LinearRegression()),
    "MLPRegressor": gaussian_around(MLPRegressor(hidden_layer_sizes=(64, 64))),
    "GaussianMixture of (x, y)": joint_mixture,
}


# The tables ---------------------------------------------------------------------------


def add_arguments(parser):
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="of ConditionalVAE; default: auto")
    parser.add_argument("--rows", type=int, default=2000, help="to train on")
    parser.add_argument("--test-rows", type=int, default=5000)
    parser.add_argument("--draws", type=int, default=200, help="importance draws")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))


def measure(model, shape, seed, arguments):
    """Seconds, and the gaps of both log densities to the truth on the same rows."""
    train = shape.draw(arguments.rows, 2 * seed)
    X_test, y_test = shape.draw(arguments.test_rows, 2 * seed + 1)
    start = time.perf_counter()
    log_densities = model(*train, X_test, y_test, seed, arguments)
    seconds = time.perf_counter() - start
    truth = shape.log_density(X_test, y_test).mean()
    return seconds, *(truth - np.mean(values, dtype=float) for values in log_densities)


def run(arguments):
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore", ConvergenceWarning)
    within = {}
    with threadpool_limits(arguments.threads):
        print_machine(arguments.threads, ("torch", "skorch"))
        print(f"{arguments.rows} training rows, seeds {arguments.seeds}.\n")
        print_header(
            *("shape", "model", "fit and score s", "gap of score"),
            *("gap of log_likelihood", "gaps of score by seed"),
        )
        for name in arguments.shapes:
            for model in arguments.models:
                results = np.array(
                    [
                        measure(MODELS[model], SHAPES[name], seed, arguments)
                        for seed in arguments.seeds
                    ]
                )
                seconds, *gaps = results.mean(axis=0)
                within[name, model] = gaps[0] <= AIM
                print_row(
                    *(name, model, f"{seconds:.1f}"),
                    *(f"{gap:.4f}" for gap in gaps),
                    ", ".join(f"{gap:.3f}" for gap in results[:, 1]),
                )
    print(f"\nMean gap of score at most {AIM} nats:\n")
    print_header("shape", *arguments.models)
    for name in arguments.shapes:
        answers = ("yes" if within[name, model] else "no" for model in arguments.models)
        print_row(name, *answers)
