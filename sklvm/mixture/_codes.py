"""Codes of categories: whole numbers, and how large they may be."""

import numpy as np

from sklvm.mixture._checks import feature_name


def check_whole(estimator, X, batch_size=8192):
    """Every value that is observed is a whole number."""
    for start in range(0, len(X), batch_size):
        chunk = X[start : start + batch_size]
        whole = (np.floor(chunk) == chunk) | np.isnan(chunk)
        if not whole.all():
            d = (~whole).any(axis=0).argmax()
            raise ValueError(
                f"X has the value {chunk[~whole[:, d], d][0]:g} in the feature "
                f"{feature_name(estimator, d)}; codes are whole numbers, encode "
                "categories with OrdinalEncoder."
            )


def largest_codes(X):
    """Largest code of each feature; 0 where none is observed."""
    return np.fmax.reduce(X, axis=0, initial=0).astype(np.float64)


def largest_of(rows):
    """The same of all `Rows`."""

    def of_chunk(X, weight, workspace):
        return (largest_codes(X),)

    return rows.sum(of_chunk, add=np.fmax)[0]


def check_codes(estimator, largest, n_categories):
    """Codes up to the largest are below the number of categories."""
    above = np.flatnonzero(largest >= n_categories)
    if len(above):
        d = above[0]
        raise ValueError(
            f"X has the code {largest[d]:g} in the feature "
            f"{feature_name(estimator, d)}, which has the categories 0 to "
            f"{n_categories[d] - 1}; set n_categories to {largest[d] + 1:g} or more, "
            "or mark the value missing (NaN)."
        )
