"""Latent class analysis against published log-likelihoods and StepMix.

First the best log-likelihood of many restarts for three tables of poLCA's manual, then
the BIC of a generated survey with missing answers, three classes being the truth.
"""

import time

import numpy as np
from _data import add_data_argument, categorical_sample, latent_class_tables
from _report import print_header, print_machine, print_row
from threadpoolctl import threadpool_limits

# Log-likelihood of the whole sample by the number of classes, from poLCA's manual.
PUBLISHED = {
    "carcinoma": {1: -524.4648, 2: -317.2568, 3: -293.7050, 4: -289.2858},
    "cheating": {1: -467.4382, 2: -440.0271},
    "gss82": {1: -2872.2296, 2: -2783.2680, 3: -2754.5454},
}
SURVEY = [3, 4, 5] * 4


def our_model(n_components, n_categories, tol, n_init):
    from sklvm import CategoricalMixtureEM

    return CategoricalMixtureEM(
        n_components,
        n_categories=n_categories,
        tol=tol,
        max_iter=100_000,
        n_init=n_init,
        random_state=0,
    )


def stepmix(n_components, measurement, tol, n_init):
    from stepmix import StepMix

    return StepMix(
        n_components,
        measurement=measurement,
        abs_tol=tol,
        rel_tol=0,
        max_iter=100_000,
        n_init=n_init,
        random_state=0,
        progress_bar=0,
    )


def fit(model, X):
    """Seconds to fit, the log-likelihood of all rows and the BIC."""
    start = time.perf_counter()
    model.fit(X)
    seconds = time.perf_counter() - start
    return seconds, len(X) * model.score(X), model.bic(X)


def print_published(folder, tol, n_init):
    print(f"Best of {n_init} starts, tol={tol:g}.\n")
    print_header(
        *("data", "rows", "K", "published", "ours", "StepMix", "ours - published"),
        *("ours - StepMix", "ours s", "StepMix s"),
    )
    for name, X in latent_class_tables(folder).items():
        n_categories = X.max(axis=0) + 1
        for n_components, published in PUBLISHED[name].items():
            our_seconds, ours, _ = fit(
                our_model(n_components, n_categories, tol, n_init), X
            )
            peer_seconds, peer, _ = fit(
                stepmix(n_components, "categorical", tol, n_init), X
            )
            print_row(
                name,
                f"{X.shape[0]} x {X.shape[1]}",
                n_components,
                f"{published:.4f}",
                f"{ours:.5f}",
                f"{peer:.5f}",
                f"{ours - published:+.5f}",
                f"{ours - peer:+.5f}",
                f"{our_seconds:.2f}",
                f"{peer_seconds:.2f}",
            )


def print_survey(tol, n_init):
    X = categorical_sample(1_500, SURVEY, n_components=3, seed=0, missing=0.1)
    print(
        f"\nA survey of {len(X)} rows, {len(SURVEY)} items of 3 to 5 answers, 10 % "
        f"missing, three classes; best of {n_init} starts, tol={tol:g}.\n"
    )
    print_header(
        *("K", "ours, BIC", "StepMix, BIC", "difference", "ours s", "StepMix s")
    )
    criteria = []
    for n_components in range(1, 7):
        our_seconds, _, ours = fit(our_model(n_components, SURVEY, tol, n_init), X)
        peer_seconds, _, peer = fit(
            stepmix(n_components, "categorical_nan", tol, n_init), X
        )
        criteria.append((ours, peer))
        print_row(
            n_components,
            f"{ours:.2f}",
            f"{peer:.2f}",
            f"{ours - peer:+.2f}",
            f"{our_seconds:.2f}",
            f"{peer_seconds:.2f}",
        )
    ours, peer = np.argmin(criteria, axis=0) + 1
    print(f"\nThe BIC is least at K = {ours} for ours, at K = {peer} for StepMix.")


def add_arguments(parser):
    add_data_argument(parser)
    parser.add_argument("--threads", type=int, default=1, help="the tables are small")
    parser.add_argument("--starts", type=int, default=50, help="for published tables")
    parser.add_argument("--survey-starts", type=int, default=10)
    parser.add_argument("--tol", type=float, default=1e-12)
    parser.add_argument("--survey-tol", type=float, default=1e-8)


def run(arguments):
    with threadpool_limits(arguments.threads):
        print_machine(arguments.threads, ["stepmix"])
        print_published(arguments.data, arguments.tol, arguments.starts)
        print_survey(arguments.survey_tol, arguments.survey_starts)
