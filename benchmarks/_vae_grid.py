"""GridSearchCV over latent_dim: two processes against one, on two cores.

The search is the user's own: a Pipeline, five folds, the final fit included. The column
"threads" is what torch reports inside the fits: with n_jobs=2 it should be one for each
process, or the two would fight for the cores. The first search with n_jobs=2 starts the
processes and imports torch in them; it is shown, and counts like the others.
"""

import time
from statistics import median

import torch
from _report import print_header, print_machine, print_row
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sklvm import VAE

AIM = 1.6


def scores(estimator, X, y=None):
    """The held-out ELBO, and the threads of the process that fitted."""
    return {"elbo": estimator.score(X), "threads": torch.get_num_threads()}


def search(n_jobs, arguments):
    """Seconds of one search, and the threads that its fits saw."""
    X = load_digits().data
    model = VAE(
        max_epochs=arguments.epochs,
        early_stopping=False,
        tol=float("inf"),
        random_state=0,
    )
    grid = GridSearchCV(
        make_pipeline(MinMaxScaler(), model),
        {"vae__latent_dim": arguments.latent_dims},
        scoring=scores,
        refit="elbo",
        cv=5,
        n_jobs=n_jobs,
    )
    start = time.perf_counter()
    grid.fit(X)
    seconds = time.perf_counter() - start
    return seconds, grid.cv_results_["mean_test_threads"].max()


def add_arguments(parser):
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--latent-dims", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument(
        "--threads", type=int, nargs="+", default=None, help="of torch with n_jobs=1"
    )


def run(arguments):
    default = torch.get_num_threads()
    variants = [(1, n) for n in arguments.threads or sorted({1, default})]
    variants.append((2, default))
    print_machine(default, ("torch", "skorch", "joblib"))
    results = {variant: [] for variant in variants}
    for _ in range(arguments.repeats):
        for n_jobs, n_threads in variants:
            torch.set_num_threads(n_threads)
            results[n_jobs, n_threads].append(search(n_jobs, arguments))
    torch.set_num_threads(default)
    two = median(seconds for seconds, _ in results[variants[-1]])
    print_header("n_jobs", "threads", "seconds", "median s", "over n_jobs=2")
    for (n_jobs, _), runs in results.items():
        seconds = [s for s, _ in runs]
        print_row(
            n_jobs,
            f"{max(threads for _, threads in runs):.0f}",
            ", ".join(f"{s:.1f}" for s in seconds),
            f"{median(seconds):.1f}",
            f"{median(seconds) / two:.2f}",
        )
    print(f"\nAim: n_jobs=2 at least {AIM} times as fast as n_jobs=1.")
