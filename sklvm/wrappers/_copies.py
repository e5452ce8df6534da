"""Columns that say the same twice, where a model takes them for independent."""

import numpy as np

# Share of what a column leaves open that another one of its categories tells, and
# correlation of numbers, from which on two columns are copies.
TELLS, CORRELATION = 0.95, 0.99
# Rows besides the most frequent category, rows for each level, rows that are looked
# at, and levels of all columns: fewer say nothing, more take long.
LEAST_ROWS, ROWS_PER_LEVEL, MOST_ROWS, MOST_LEVELS = 5, 10, 4096, 4096


def copied_columns(mixture, X):
    """Names of pairs of columns of X that are (nearly) copies of each other.

    Parameters
    ----------
    mixture : fitted MixtureEM
        Looked at are columns that are independent in a component; a full covariance
        knows of copies.
    X : table
        As fitted.

    Returns
    -------
    pairs : list of (name, name)
    """
    schema, options = mixture._schema, mixture._options
    labelled, numeric = [], []
    for block, own in zip(schema.blocks, options, strict=True):
        if block.kind in ("categorical", "bernoulli"):
            labelled += block.columns.tolist()
        elif own.get("covariance_type") not in ("full", "tied"):
            numeric += block.columns.tolist()
    values = schema.encode(X, "missing")
    rows = np.linspace(0, len(values) - 1, min(len(values), MOST_ROWS)).astype(int)
    values = values[rows]
    pairs = pairs_of_categories(values, labelled) + pairs_of_numbers(values, numeric)
    return [(schema.names[i], schema.names[j]) for i, j in sorted(pairs)]


def pairs_of_categories(values, columns):
    """Pairs of columns of which each tells the category of the other.

    That is Goodman and Kruskal's lambda in both directions: of the rows that the most
    frequent category of a column gets wrong, the share that the other column sets
    right.
    """
    columns = [j for j in columns if _has_rows_for_levels(values[:, j])]
    n_levels = [int(np.nanmax(values[:, j])) + 1 for j in columns]
    if not columns or sum(n_levels) > MOST_LEVELS:
        return []
    at = np.concatenate([[0], np.cumsum(n_levels)])
    levels = np.concatenate([np.arange(n) for n in n_levels])
    of_level = np.repeat(columns, n_levels)
    shown = (values[:, of_level] == levels).astype(np.float64)
    together = shown.T @ shown
    tells = np.zeros((len(columns), len(columns)))
    for i in range(len(columns)):
        own = together[at[i] : at[i + 1]]
        most = np.maximum.reduceat(own, at[:-1], axis=1).sum(axis=0)
        totals = own.sum(axis=0)  # of the levels of others, where i is observed
        frequent = np.maximum.reduceat(totals, at[:-1])
        open_rows = np.add.reduceat(totals, at[:-1]) - frequent
        tells[i] = np.where(
            open_rows >= LEAST_ROWS, (most - frequent) / np.maximum(open_rows, 1), 0
        )
    both = np.triu(np.minimum(tells, tells.T) >= TELLS, 1)
    return [(columns[i], columns[j]) for i, j in np.argwhere(both)]


def _has_rows_for_levels(x):
    observed = x[~np.isnan(x)]
    n_levels = len(np.unique(observed))
    return n_levels > 1 and len(observed) >= ROWS_PER_LEVEL * n_levels


def pairs_of_numbers(values, columns):
    """Pairs of columns with a correlation near 1 or -1."""
    x = values[:, columns]
    with np.errstate(invalid="ignore"):
        x = np.nan_to_num(x - np.nanmean(x, axis=0)) if len(columns) > 1 else x[:, :0]
    size = np.sqrt((x**2).sum(axis=0))
    x, kept = x[:, size > 0] / size[size > 0], np.array(columns)[: x.shape[1]][size > 0]
    return [
        (int(kept[i]), int(kept[j]))
        for i, j in np.argwhere(np.triu(abs(x.T @ x) >= CORRELATION, 1))
    ]
