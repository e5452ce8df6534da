"""A table with a column of each kind, and its density by hand."""

import warnings

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning

from sklvm import MixtureEM

KINDS = {
    "height": "gaussian",
    "weight": "gaussian",
    "spend": "lognormal",
    "member": "bernoulli",
    "calls": "poisson",
    "visits": "negative_binomial",
    "plan": "categorical",
    "region": "categorical",
}
PLANS = ["basic", "free", "gold"]


def people(n=300, seed=0, missing=0.0):
    """Three groups of people; the first rows are observed in full."""
    rng = np.random.default_rng(seed)
    z = rng.integers(3, size=n)
    height = rng.normal(165 + 6 * z, 6)
    table = pd.DataFrame(
        {
            "height": height,
            "weight": 0.5 * height + rng.normal(-20 + 5 * z, 4),
            "spend": np.exp(rng.normal(2 + z, 0.5)),
            "member": rng.random(n) < np.array([0.2, 0.5, 0.8])[z],
            "calls": rng.poisson(np.array([1, 3, 7])[z]),
            "visits": rng.negative_binomial(2, 1 / (1 + np.array([1, 4, 9])[z])),
            "plan": np.array(PLANS)[(z + (rng.random(n) < 0.3)) % 3],
            "region": pd.Categorical(rng.choice(["n", "s"], n), ["n", "w", "s"]),
        }
    )
    hidden = rng.random(table.shape) < missing
    hidden[:8] = False
    table = table.astype({"member": "boolean", "calls": "Int64", "visits": "Int64"})
    return table.mask(hidden) if missing else table


def components(covariance_type="full", **options):
    """Each column's kind by hand."""
    return [
        (
            kind,
            [name for name in KINDS if KINDS[name] == kind],
            {"covariance_type": covariance_type}
            if kind in ("gaussian", "lognormal")
            else options.get(kind, {}),
        )
        for kind in dict.fromkeys(KINDS.values())
    ]


def make(n_components=3, **params):
    params = {"components": components(), "random_state": 0} | params
    return MixtureEM(n_components, **params)


def run(est, X, n_iter=20, **fit_params):
    """Exactly n_iter iterations, or a batch that is not expected to converge."""
    est.set_params(max_iter=n_iter, tol=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return est.fit(X, **fit_params)


def log_joint(est, X):
    """log p(x, z = k) of a DataFrame by SciPy, of shape (n, K); full covariances."""
    total = np.tile(np.log(est.weights_), (len(X), 1))
    for block in est.components_:
        for k in range(len(est.weights_)):
            total[:, k] += _log_prob(block, k, X[block.columns], est.categories_)
    return total


def log_density(est, X):
    return logsumexp(log_joint(est, X), axis=1)


def _log_prob(block, k, X, categories):
    if block.kind in ("gaussian", "lognormal"):
        return _log_gaussian(block, k, X)
    total = np.zeros(len(X))
    for d, name in enumerate(block.columns):
        known = X[name].notna().to_numpy()
        x = X[name][known]
        if block.kind == "categorical":
            codes = x.map({c: i for i, c in enumerate(categories[name])}).astype(int)
            total[known] += np.log(block.theta[d][k, codes])
            continue
        total[known] += _of_counts(block, k, d).logpmf(x.to_numpy(dtype=float))
    return total


def _of_counts(block, k, d):
    if block.kind == "bernoulli":
        return stats.bernoulli(block.theta[k, d])
    if block.kind == "poisson":
        return stats.poisson(block.rates[k, d])
    mean, dispersion = block.means[k, d], block.dispersions[k, d]
    if dispersion == 0:
        return stats.poisson(mean)
    return stats.nbinom(1 / dispersion, 1 / (1 + dispersion * mean))


def _log_gaussian(block, k, X):
    """Of the observed columns; the lognormal's with its Jacobian."""
    total = []
    for row in X.to_numpy(dtype=float, na_value=np.nan):
        known = ~np.isnan(row)
        if not known.any():
            total.append(0.0)
            continue
        y = np.log(row[known]) if block.kind == "lognormal" else row[known]
        covariance = block.covariances[k][np.ix_(known, known)]
        log_p = stats.multivariate_normal.logpdf(y, block.means[k, known], covariance)
        total.append(log_p - (y.sum() if block.kind == "lognormal" else 0))
    return np.array(total)
