"""A density with two branches, p(y|x) known: nats per row against the truth.

x is uniform on [0, 1] and y = f(x) + noise or -f(x) + noise, each half of the time. No
model can have more nats on average than minus the conditional entropy of y given x,
which a quadrature gives; the gap to it is what a model has yet to learn. The second gap
is to the true density of the same rows, without the luck of which rows were held out.

The autoencoder is trained by the bound F and by the importance-weighted one, "iwae".

Peers: linear regression and a multilayer perceptron, both with Gaussian noise of one
standard deviation, that of the training residuals; and scikit-learn's GaussianMixture
of (x, y) jointly, log p(x, y) - log p(x), its number of components chosen by BIC.
"""

import time
import warnings

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

SETTINGS = {
    "latent_dim": 2,
    "hidden_layer_sizes": (64, 64),
    "batch_size": 256,
    "lr": 5e-3,
    "max_epochs": 60,
}
# A tighter bound than F: with it a Gaussian q(z|y,x) is less of a limit to p(y|x).
TIGHTER = {"objective": "iwae", "n_draws": 8, "noise": "learned"}
NOISE = 0.15
COMPONENTS = (5, 10, 20, 40)
AIM = 0.05


# The truth ----------------------------------------------------------------------------


def branch(x):
    """f(x), the upper branch; the two meet at x = 0."""
    return 1.5 * x + 0.2 * np.sin(6 * x)


def draw(n_rows, seed):
    """X of shape (n_rows, 1) and y of shape (n_rows,), float32."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=n_rows)
    sign = rng.choice([-1, 1], size=n_rows)
    y = sign * branch(x) + NOISE * rng.standard_normal(n_rows)
    return x[:, None].astype(np.float32), y.astype(np.float32)


def true_log_density(x, y):
    """ln p(y|x)."""
    both = [norm.logpdf(y, sign * branch(x), NOISE) for sign in (-1, 1)]
    return np.logaddexp(*both) - np.log(2)


def conditional_entropy(n_nodes=1001):
    """-E[ln p(y|x)] by the trapezoidal rule in x and y."""
    x = np.linspace(0, 1, n_nodes)[:, None]
    y = np.linspace(-3.5, 3.5, n_nodes)
    log_density = true_log_density(x, y)
    of_x = -np.trapezoid(np.exp(log_density) * log_density, y, axis=1)
    return np.trapezoid(of_x, x[:, 0])


# The models, each from training rows to ln p(y|x) of the held-out rows ----------------


def cvae(**parameters):
    """ln p(y|x) by importance sampling."""

    def log_density(X, y, X_test, y_test, seed, arguments):
        settings = {**SETTINGS, "max_epochs": arguments.epochs, **parameters}
        model = ConditionalVAE(**settings, random_state=seed).fit(X, y)
        return model.log_likelihood(X_test, y_test, n_importance=arguments.draws)

    return log_density


def gaussian_around(model):
    """ln p(y|x) of a regression with noise of one standard deviation."""

    def log_density(X, y, X_test, y_test, seed, arguments):
        if "random_state" in model.get_params():
            model.set_params(random_state=seed)
        sd = np.std(y - model.fit(X, y).predict(X))
        return norm.logpdf(y_test, model.predict(X_test), sd)

    return log_density


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
    return together - logsumexp(log_p_of_x, axis=1)


MODELS = {
    "ConditionalVAE": cvae(),
    "ConditionalVAE, iwae": cvae(**TIGHTER),
    "linear regression": gaussian_around(LinearRegression()),
    "MLPRegressor": gaussian_around(MLPRegressor(hidden_layer_sizes=(64, 64))),
    "GaussianMixture of (x, y)": joint_mixture,
}


# The table ----------------------------------------------------------------------------


def add_arguments(parser):
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=SETTINGS["max_epochs"])
    parser.add_argument("--rows", type=int, default=20_000, help="to train on")
    parser.add_argument("--test-rows", type=int, default=5000)
    parser.add_argument("--draws", type=int, default=1000, help="importance draws")


def measure(model, seed, arguments):
    """Seconds, nats per held-out row of the model, and those of the truth."""
    train = draw(arguments.rows, 2 * seed)
    X_test, y_test = draw(arguments.test_rows, 2 * seed + 1)
    start = time.perf_counter()
    log_density = model(*train, X_test, y_test, seed, arguments)
    seconds = time.perf_counter() - start
    truth = true_log_density(X_test[:, 0].astype(float), y_test.astype(float))
    return seconds, np.mean(log_density, dtype=float), truth.mean()


def print_result(name, seed, best, result):
    seconds, nats, truth = result
    gaps = (f"{value - nats:.4f}" for value in (best, truth))
    print_row(name, seed, f"{seconds:.1f}", f"{nats:.4f}", *gaps)


def run(arguments):
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore", ConvergenceWarning)
    with threadpool_limits(arguments.threads):
        print_machine(arguments.threads, ("torch", "skorch"))
        best = -conditional_entropy()
        settings = {**SETTINGS, "max_epochs": arguments.epochs}
        print(f"{arguments.rows} training rows, {settings}, iwae: {TIGHTER}")
        print(f"Minus the conditional entropy: {best:.4f} nats.\n")
        print_header(
            *("model", "seed", "fit and score s", "held-out nats", "gap to entropy"),
            "gap to the truth on the same rows",
        )
        for name, model in MODELS.items():
            results = []
            for seed in arguments.seeds:
                results.append(measure(model, seed, arguments))
                print_result(name, seed, best, results[-1])
            print_result(name, "mean", best, np.mean(results, axis=0))
    print(f"\nAim for the gap: at most {AIM} nats.")
