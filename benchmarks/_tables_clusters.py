"""Clusters of mixed tables with "auto", beside StepMix, and the number that is chosen.

StepMix gets every column by the kind of density that it has for it: diagonal Gaussians
for numbers, as they are and, at best, with the long tails and counts as their
logarithms by hand. Adjusted Rand index against the classes that the rows came from.
The number of components is that with the least BIC or ICL, and the smallest one whose
cross-validated score is within a standard error of the best.
"""

import warnings

import numpy as np
import pandas as pd
from _report import print_header, print_machine, print_row
from _tables_data import GENERATED
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import KFold

from sklvm import MixtureEM


def stepmix_labels(table, n_components, n_init, logarithms):
    """Labels of StepMix, with columns encoded by hand."""
    from stepmix import StepMix

    numbers, categories = [], []
    for name in table:
        values = table[name].dropna()
        is_number = set(map(type, values)) <= {int, float} and values.nunique() > 2
        (numbers if is_number else categories).append(name)
    real = table[numbers].astype(float)
    if logarithms:
        skewed = [name for name in numbers if real[name].skew() > 1]
        real[skewed] = np.log1p(real[skewed])
    real = (real - real.mean()) / real.std()
    codes = table[categories].apply(
        lambda c: c.astype("category").cat.codes.where(c.notna()).astype(float)
    )
    descriptor = {
        "real": {"model": "gaussian_diag_nan", "n_columns": len(numbers)},
        "codes": {"model": "categorical_nan", "n_columns": len(categories)},
    }
    X = real.join(codes)
    model = StepMix(
        n_components,
        measurement=descriptor,
        n_init=n_init,
        random_state=0,
        progress_bar=0,
        verbose=0,
    ).fit(X)
    return model.predict(X)


def chosen(table, candidates, n_init):
    """Numbers of components by BIC, ICL, and score within one standard error."""
    models = {
        k: MixtureEM(k, n_init=n_init, random_state=0).fit(table) for k in candidates
    }
    bic = min(models, key=lambda k: models[k].bic(table))
    icl = min(models, key=lambda k: models[k].icl(table))
    scores = []
    for train, test in KFold(5, shuffle=True, random_state=0).split(table):
        scores.append(
            [
                MixtureEM(k, n_init=n_init, random_state=0)
                .fit(table.iloc[train])
                .score(table.iloc[test])
                for k in candidates
            ]
        )
    scores = np.array(scores)
    mean = scores.mean(axis=0)
    error = scores[:, mean.argmax()].std(ddof=1) / np.sqrt(len(scores))
    near = mean >= mean.max() - error
    return bic, icl, list(candidates)[int(near.argmax())], models


def add_arguments(parser):
    parser.add_argument("--init", type=int, default=3, help="restarts of both")
    parser.add_argument("--most", type=int, default=7, help="components")
    parser.add_argument("--csv", help="a further table")
    parser.add_argument("--drop", nargs="*", default=[], help="columns of it to drop")
    parser.add_argument("--labels", help="its classes, a .npy file")


def tables(arguments):
    """(name, table, classes)."""
    if arguments.csv:
        table = pd.read_csv(arguments.csv).drop(columns=arguments.drop)
        yield arguments.csv, table.astype(object), np.load(arguments.labels)
    for name, make in GENERATED.items():
        yield name, *make()


def run(arguments):
    print_machine(1, ["stepmix"])
    print_header(
        "table",
        "true K",
        "BIC",
        "ICL",
        "score",
        "ours",
        "StepMix",
        "StepMix, logarithms",
    )
    for name, table, z in tables(arguments):
        true = len(np.unique(z))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            *numbers, models = chosen(
                table, range(1, arguments.most + 1), arguments.init
            )
            ours = models[true].predict(table)
            peers = [
                stepmix_labels(table, true, arguments.init, logarithms)
                for logarithms in (False, True)
            ]
        rand = [f"{adjusted_rand_score(z, labels):.3f}" for labels in (ours, *peers)]
        print_row(name, true, *numbers, *rand)
