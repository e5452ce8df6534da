"""Imputation: coverage of intervals by multiple draws, and errors of single values.

Coverage: of the mean of a column with 30 % of its cells missing at random (the more
often, the larger another column), over repeated samples from a known mixture; m draws
are combined by Rubin's rules. Errors: 20 % of the cells of a table are hidden; RMSE of
numbers in deviations of their column, and accuracy of categories, of `impute` and of
scikit-learn's imputers on one-hot and standardised columns. The number of components,
and full or diagonal covariances, have the least BIC on the rows with gaps.
"""

import warnings

import numpy as np
import pandas as pd
from _report import print_header, print_machine, print_row
from _tables_data import real_tables, shop
from scipy import stats
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer

from sklvm import MixtureEM


def sample(rng, n):
    """Two classes; a real column that depends on class, on another one and a flag."""
    z = rng.random(n) < 0.4
    other = rng.normal(np.where(z, 1.5, 0), 1)
    target = rng.normal(np.where(z, 3, 0) + 0.7 * other, 1)
    flag = rng.random(n) < np.where(z, 0.8, 0.3)
    return pd.DataFrame({"target": target, "other": other, "flag": flag})


TRUE_MEAN = 0.4 * 3 + 0.7 * 0.4 * 1.5


def covers(rng, n, n_draws, bootstrap):
    """Whether Rubin's 95 % interval has the true mean, and its width."""
    table = sample(rng, n)
    lost = rng.random(n) < 0.6 / (1 + np.exp(-1.5 * (table["other"] - 0.6)))
    table.loc[lost, "target"] = np.nan
    draws = []
    for _ in range(n_draws if bootstrap else 1):
        rows = table.sample(n, replace=True, random_state=rng.integers(2**31))
        model = MixtureEM(2, random_state=rng.integers(2**31))
        model.set_output(transform="pandas")
        model.fit(rows if bootstrap else table)
        draws += model.sample_missing(table, 1 if bootstrap else n_draws)
    means = np.array([d["target"].astype(float).mean() for d in draws])
    within = np.mean([d["target"].astype(float).var() / n for d in draws])
    between = means.var(ddof=1) * (1 + 1 / n_draws)
    total = within + between
    df = (n_draws - 1) * (total / between) ** 2
    half = stats.t.ppf(0.975, df) * np.sqrt(total)
    return abs(means.mean() - TRUE_MEAN) < half, 2 * half


def print_coverage(arguments):
    print_header("intervals", "repetitions", "coverage of 95 %", "mean width")
    for bootstrap in (False, True):
        rng = np.random.default_rng(0)
        found = [
            covers(rng, 400, arguments.draws, bootstrap)
            for _ in range(arguments.repetitions)
        ]
        hits, widths = zip(*found, strict=True)
        print_row(
            f"{arguments.draws} draws of "
            + ("as many fits to bootstrap samples" if bootstrap else "one fit"),
            arguments.repetitions,
            f"{100 * np.mean(hits):.1f} %",
            f"{np.mean(widths):.3f}",
        )


def ours(gaps):
    kinds = MixtureEM(1).fit(gaps).columns_
    real = [name for name, kind in kinds.items() if kind in ("gaussian", "lognormal")]
    models = [
        MixtureEM(
            k,
            components=[
                ("real", real, {"covariance_type": covariance_type}),
                ("auto", slice(None)),
            ],
            n_init=2,
            random_state=0,
        ).fit(gaps)
        for k in range(1, 9)
        for covariance_type in ("full", "diag")
    ]
    best = min(models, key=lambda model: model.bic(gaps))
    return best.set_output(transform="pandas").impute(gaps)


def by_encoding(imputer, gaps):
    """One-hot and standardised columns through an imputer, and back."""
    numbers = [c for c in gaps if pd.api.types.is_float_dtype(gaps[c])]
    X = gaps[numbers]
    mean, deviation = X.mean(), X.std()
    parts, levels = [(X - mean) / deviation], {}
    for name in gaps.columns.difference(numbers, sort=False):
        levels[name] = sorted(gaps[name].dropna().unique())
        for value in levels[name]:
            hot = (gaps[name] == value).astype(float).mask(gaps[name].isna())
            parts.append(hot.rename(f"{name}={value}"))
    encoded = pd.concat(parts, axis=1)
    filled = pd.DataFrame(imputer.fit_transform(encoded), columns=encoded.columns)
    out = filled[numbers] * deviation + mean
    for name, values in levels.items():
        hot = filled[[f"{name}={v}" for v in values]].to_numpy()
        out[name] = np.array(values, dtype=object)[hot.argmax(axis=1)]
    return out[gaps.columns]


def errors(table, gaps, filled):
    """RMSE in deviations over the hidden numbers, accuracy of the hidden categories."""
    squares, hits = [], []
    for name in table:
        hidden = gaps[name].isna().to_numpy()
        true, guess = table[name].to_numpy()[hidden], filled[name].to_numpy()[hidden]
        if pd.api.types.is_float_dtype(gaps[name]):
            squares.append(((true - guess.astype(float)) / table[name].std()) ** 2)
        else:
            hits.append(true.astype(str) == guess.astype(str))
    return np.sqrt(np.concatenate(squares).mean()), np.concatenate(hits).mean()


def print_errors(arguments):
    print_header("table", "imputer", "RMSE", "accuracy")
    tables = real_tables() | {"shop": shop(2000)[0].dropna().infer_objects()}
    for name, table in tables.items():
        table = table.reset_index(drop=True)
        numbers = table.select_dtypes("number").columns
        table[numbers] = table[numbers].astype(float)
        mask = np.random.default_rng(0).random(table.shape) < 0.2
        gaps = table.mask(mask)
        for label, impute in {
            "MixtureEM": ours,
            "IterativeImputer": lambda g: by_encoding(
                IterativeImputer(random_state=0), g
            ),
            "KNNImputer": lambda g: by_encoding(KNNImputer(), g),
        }.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                rmse, accuracy = errors(table, gaps, impute(gaps))
            print_row(name, label, f"{rmse:.3f}", f"{accuracy:.3f}")


def add_arguments(parser):
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--draws", type=int, default=20)


def run(arguments):
    print_machine(1)
    print_errors(arguments)
    print()
    print_coverage(arguments)
