"""Codes of categories: whole numbers, how large they may be, and which are missed."""

from functools import singledispatch

import numpy as np

from sklvm._warn import warn_user
from sklvm.mixture._checks import (
    check_init,
    check_probabilities,
    feature_name,
)

MOST_CATEGORIES = 4096


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


@singledispatch
def largest_codes(X):
    """Largest code of each feature; 0 where none is observed.

    Chunks that are no arrays register a function that gives the same.
    """
    return np.fmax.reduce(X, axis=0, initial=0).astype(np.float64)


def largest_of(rows):
    """The same of all `Rows`."""

    def of_chunk(X, weight, workspace):
        return (largest_codes(X),)

    return rows.sum(of_chunk, add=np.fmax)[0]


def count_categories(estimator, largest):
    """n_categories, checked, an integer for each feature."""
    if estimator.n_categories is None:
        counts = largest + 1
        given = [] if estimator.theta_init is None else estimator.theta_init
        widths = [np.shape(p)[1:] for p in given]
        if len(widths) == len(counts) and all(len(w) == 1 for w in widths):
            counts = np.maximum(counts, np.ravel(widths))
    else:
        counts = np.asarray(estimator.n_categories)
        if counts.dtype.kind not in "iu" or counts.shape not in ((), largest.shape):
            raise ValueError(
                f"n_categories={estimator.n_categories!r} must be one integer, or one "
                f"for each of the {len(largest)} features."
            )
        counts = np.broadcast_to(counts, largest.shape)
    if counts.max() > MOST_CATEGORIES or counts.min() < 1:
        d = counts.argmax() if counts.max() > MOST_CATEGORIES else counts.argmin()
        raise ValueError(
            f"n_categories is {counts[d]:g} in the feature "
            f"{feature_name(estimator, d)}; it must be between 1 and "
            f"{MOST_CATEGORIES}, group rare categories."
        )
    return counts.astype(np.int64)


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


def warn_of_gaps(estimator, counts, prior):
    """One warning about codes that no row has, below the largest of their feature.

    `counts` has an array for each feature: how often each code was observed. Codes
    below the least one matter only where a prior gives them a probability.
    """
    unused = {}
    for d, of_code in enumerate(counts):
        observed = np.flatnonzero(of_code)
        if len(observed):
            lowest = 0 if prior > 1 else observed[0]
            unused[d] = np.setdiff1d(np.arange(lowest, observed[-1]), observed)
    unused = {d: codes for d, codes in unused.items() if len(codes)}
    if not unused:
        return
    d, codes = next(iter(unused.items()))
    more = f", and {len(unused) - 1} more features have such codes" * (len(unused) > 1)
    warn_user(
        f"No row of X has {_in_words(codes)} in the feature "
        f"{feature_name(estimator, d)}, which goes up to {len(counts[d]) - 1}{more}; "
        "give NaN for a code that marks missing answers, make codes without gaps by "
        "OrdinalEncoder, or set n_categories where all codes are possible answers."
    )


def _in_words(codes):
    """'the code 0', 'the codes 6 to 98' or, with gaps, 'the codes 0, 7, 8, ...'."""
    if len(codes) == 1:
        return f"the code {codes[0]}"
    if codes[-1] - codes[0] == len(codes) - 1:
        return f"the codes {codes[0]} to {codes[-1]}"
    return f"the codes {', '.join(map(str, codes[:5]))}{', ...' * (len(codes) > 5)}"


def check_theta(name, theta, n_components, n_categories):
    """theta as one array (K, sum L_d), checked."""
    if len(theta) != len(n_categories):
        raise ValueError(
            f"{name} has {len(theta)} arrays; it must have one for each of the "
            f"{len(n_categories)} features."
        )
    arrays = []
    for d, (p, n) in enumerate(zip(theta, n_categories, strict=True)):
        p = check_init(f"{name}[{d}]", p, (n_components, int(n)))
        arrays.append(check_probabilities(f"{name}[{d}]", p))
    for d, p in enumerate(arrays):
        total = p.sum(axis=1)
        worst = total[abs(total - 1).argmax()]
        if not np.isclose(worst, 1, atol=1e-5):
            raise ValueError(f"{name}[{d}] has a row of sum {worst:g} instead of 1.")
    return np.hstack([p / p.sum(axis=1, keepdims=True) for p in arrays])
