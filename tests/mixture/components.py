"""EM with components that no estimator has yet, or that are tested by themselves."""

import numpy as np

from sklvm.mixture._em import run_em
from sklvm.mixture._mixture import Mixture
from sklvm.mixture._rows import MemoryRows, Workspace
from sklvm.mixture._starts import Starts


def fit(components, X, n_components, *, n_iter=100, tol=1e-9, weight=None, **kwargs):
    """The mixture and the `Run` of EM on the rows X, from the default start."""
    mixture = Mixture(components, n_components)
    with MemoryRows(X, weight, batch_size=512) as rows:
        starts = Starts(mixture, rows, 0)
        rng = np.random.RandomState(0)
        params, _ = starts.best("k-means++", 1e-3, rng)
        run = run_em(
            mixture,
            params,
            rows,
            tol=tol,
            max_iter=n_iter,
            reseed=lambda params, which: starts.reseed(params, which, rng),
            **kwargs,
        )
    return mixture, run


def e_step(mixture, params):
    return next(mixture.e_steps(params))


def log_prob(components, params, X):
    """log p(x | z = k), (K, n), by the first kernel."""
    kernel = next(components.kernels(params))
    return np.array(kernel.log_prob(X, Workspace())[0])
