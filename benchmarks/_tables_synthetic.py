"""Synthetic rows: can a classifier tell them from held-out rows, and at what price?

Half of a table trains a generator, which draws as many rows as the other half has. A
gradient-boosting classifier learns to tell drawn from held-out rows; its
cross-validated AUC is 0.5 where it cannot. MixtureEM has the number of components with
the least BIC. TVAE is that of the package ctgan, at its defaults; a line says so where
it is not installed. "rare" is the share of the rarest category, drawn and held out, and
"impossible" the drawn values of discrete columns that the table does not have, and
numbers outside of their natural range.
"""

import time
import warnings

import numpy as np
import pandas as pd
from _report import print_header, print_machine, print_row
from _tables_data import GENERATED, real_tables
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split

from sklvm import MixtureEM


def mixture_rows(train, n):
    models = [MixtureEM(k, n_init=2, random_state=0).fit(train) for k in range(1, 11)]
    best = min(models, key=lambda model: model.bic(train))
    return best.set_output(transform="pandas").sample(n)[0]


def tvae_rows(train, n):
    import torch
    from ctgan import TVAE

    torch.manual_seed(0)
    model = TVAE()
    model.fit(train, train.select_dtypes(exclude="number").columns.tolist())
    return model.sample(n)


def auc(real, drawn):
    """Cross-validated AUC of a classifier that tells drawn from real rows."""
    both = pd.concat([real, drawn[real.columns]], ignore_index=True)
    for name in both:
        if not pd.api.types.is_numeric_dtype(both[name]):
            both[name] = pd.factorize(both[name].astype(str))[0]
    y = np.repeat([0, 1], [len(real), len(drawn)])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    classifier = HistGradientBoostingClassifier(random_state=0)
    proba = cross_val_predict(classifier, both, y, cv=folds, method="predict_proba")
    return roc_auc_score(y, proba[:, 1])


def rarest(table, drawn):
    """Shares in percent of the rarest category of all columns, in both tables."""
    shares = [
        (share, name, value)
        for name in table
        if not pd.api.types.is_float_dtype(table[name]) and table[name].nunique() < 12
        for value, share in table[name].value_counts(normalize=True).items()
    ]
    share, name, value = min(shares, key=lambda found: found[0])
    return f"{100 * (drawn[name] == value).mean():.1f} / {100 * share:.1f}"


def impossible(table, drawn):
    """Number of drawn values that the table's columns rule out."""
    count = 0
    for name in table:
        if not pd.api.types.is_numeric_dtype(table[name]):
            count += (~drawn[name].isin(table[name].unique())).sum()
        elif pd.api.types.is_integer_dtype(table[name]):
            count += (drawn[name] % 1 != 0).sum()
    return int(count)


def tables():
    """Complete tables; those that are generated with all columns observed."""
    for name, make in GENERATED.items():
        yield name, make(6000)[0].dropna().infer_objects()
    yield from real_tables().items()


def add_arguments(parser):
    parser.add_argument("--only", default="", help="tables whose name contains this")


def run(arguments):
    print_machine(1, ["ctgan"])
    print_header(
        "table", "rows", "generator", "s", "AUC", "rare, drawn / held out", "impossible"
    )
    for name, table in tables():
        if arguments.only not in name:
            continue
        train, test = train_test_split(table, test_size=0.5, random_state=0)
        for generator in (mixture_rows, tvae_rows):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                start = time.perf_counter()
                try:
                    drawn = generator(train, len(test))
                except ImportError as error:
                    print_row(
                        name, len(train), generator.__name__, f"{error}", "", "", ""
                    )
                    continue
            seconds = time.perf_counter() - start
            drawn = drawn.reset_index(drop=True)
            print_row(
                name,
                len(train),
                "MixtureEM" if generator is mixture_rows else "TVAE",
                f"{seconds:.1f}",
                f"{auc(test, drawn):.3f}",
                rarest(test, drawn),
                impossible(table, drawn),
            )
