"""What the families of discrete features share: logarithms of 0, and missing values."""

import numpy as np
import scipy.sparse as sp
from scipy.special import gammaln

# Stands for -log 0. A power of two, so that its multiples add up without rounding.
IMPOSSIBLE = 2.0**100
LOG_FACTORIALS = gammaln(np.arange(1024) + 1.0)


def split_missing(X, missing):
    """(X with 0 for NaN, mask of the observed entries), or (X, None) if none miss."""
    if not missing:
        return X, None
    nan = np.isnan(X)
    return np.where(nan, 0, X), (~nan).astype(X.dtype)


def observed_sums(X, observed, resp):
    """Sums over rows of r_k where x_d is observed, and of r_k x_d, both (K, D)."""
    sums = (resp @ X).astype(np.float64, copy=False)
    if observed is None:
        counts = resp.sum(axis=1, dtype=np.float64)
        return np.broadcast_to(counts[:, np.newaxis], sums.shape), sums
    return (resp @ observed).astype(np.float64, copy=False), sums


def finite_log(p):
    """log p with -IMPOSSIBLE for log 0: infinities do not survive a matrix product."""
    return np.log(p, where=p > 0, out=np.full_like(p, -IMPOSSIBLE))


def restore_infinity(log_prob):
    """log_prob, a sum with `finite_log`, with -inf where a log 0 is in it; in place."""
    log_prob[log_prob < -IMPOSSIBLE / 2] = -np.inf
    return log_prob


def sums_of_log_factorials(X):
    """sum_d log x_d! of each row."""
    values = X.data if sp.issparse(X) else X
    if values.size and values.max() < len(LOG_FACTORIALS):
        counts = values.astype(np.intp)
        is_tabled = (counts == values).all()
    else:
        is_tabled = False
    if is_tabled:
        logs = LOG_FACTORIALS[counts]
    else:
        logs = gammaln(np.add(values, 1, dtype=np.float64))
    if sp.issparse(X):
        return sp.csr_array((logs, X.indices, X.indptr), X.shape).sum(axis=1)
    return logs.sum(axis=1)


def dense_or_sparse_points(rows, mean):
    """float64 rows with `mean` for NaN; sparse ones have none."""
    if not sp.issparse(rows):
        return np.where(np.isnan(rows), mean, rows.astype(np.float64))
    points = rows.astype(np.float64)
    points.indices = points.indices.astype(np.int32)
    points.indptr = points.indptr.astype(np.int32)
    return points
