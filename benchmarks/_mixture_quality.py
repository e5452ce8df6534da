"""Time to quality: everything at its default except n_components and random_state.

The digits are whole numbers, many constant within a component: both sides add a twelfth
to the variances, which is that of rounding to whole numbers.

Ours and scikit-learn's GaussianMixture are fitted in turn to the same training rows,
once for every random state. The scores are means over the random states of the mean
log p(x) of the same held-out rows, in nats; the seconds are medians.
"""

import os
import time
import warnings
from statistics import mean, median

from _data import add_data_argument, gaussian_mixture_sample, gvhd, magic04
from _report import print_header, print_machine, print_row
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from sklvm import GaussianMixtureEM

# Rows, features, true components, separation of their means.
GENERATED = [
    (20_000, 2, 8, 3.0),
    (5_000, 4, 12, 2.0),
    (20_000, 8, 16, 1.5),
    (10_000, 16, 8, 1.0),
]
# Held-out nats that count as a difference.
TOLERANCE = 1e-3


def data_sets(folder):
    """(name, rows, parameters of both sides), the real ones first."""
    yield "magic04", magic04(folder), {}
    for name, X in gvhd(folder).items():
        yield name, X, {}
    yield "digits, reg_covar=1/12", load_digits().data, {"reg_covar": 1 / 12}
    for seed, shape in enumerate(GENERATED):
        X = gaussian_mixture_sample(*shape, seed=seed)
        yield f"generated, separation {shape[-1]}", X, {}


def fit(estimator, train, test):
    """Seconds to fit, and held-out score."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        start = time.perf_counter()
        estimator.fit(train)
        return time.perf_counter() - start, estimator.score(test)


def compare(name, X, parameters, n_components, n_seeds):
    """Print one line; return (difference in nats, ratio of the seconds)."""
    train, test = train_test_split(X, test_size=0.25, random_state=0)
    fits = {GaussianMixtureEM: [], GaussianMixture: []}
    for seed in range(n_seeds):
        for estimator, results in fits.items():
            model = estimator(n_components, random_state=seed, **parameters)
            results.append(fit(model, train, test))
    (our_seconds, our_score), (peer_seconds, peer_score) = (
        (median(r[0] for r in results), mean(r[1] for r in results))
        for results in fits.values()
    )
    print_row(
        name,
        f"{len(train)} x {X.shape[1]}",
        n_components,
        f"{our_score:.4f}",
        f"{peer_score:.4f}",
        f"{our_score - peer_score:+.4f}",
        f"{our_seconds:.3f}",
        f"{peer_seconds:.3f}",
    )
    return our_score - peer_score, our_seconds / peer_seconds


def add_arguments(parser):
    add_data_argument(parser)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--components", type=int, nargs="+", default=[3, 8, 16])
    parser.add_argument("--seeds", type=int, default=5, help="number of random states")
    parser.add_argument("--only", default="", help="data whose name contains this")


def run(arguments):
    with threadpool_limits(arguments.threads):
        print_machine(arguments.threads)
        print_header(
            *("data", "training rows", "K", "ours, held out", "peer, held out"),
            *("difference", "ours s", "peer s"),
        )
        comparisons = [
            compare(name, X, parameters, n_components, arguments.seeds)
            for name, X, parameters in data_sets(arguments.data)
            if arguments.only in name
            for n_components in arguments.components
        ]
    differences, ratios = zip(*comparisons, strict=True)
    print(
        f"\nOf {len(comparisons)} lines: "
        f"no worse by more than {TOLERANCE} nats in "
        f"{sum(d >= -TOLERANCE for d in differences)}, "
        f"better by more than that in {sum(d > TOLERANCE for d in differences)}, "
        f"no more time in {sum(r <= 1 for r in ratios)}."
    )
