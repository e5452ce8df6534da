"""Tail probabilities under a model, for each pattern of missing cells its own."""

import numpy as np

from sklvm.columns._dtypes import frame_from_plain, frame_to_plain
from sklvm.columns._tables import is_frame, named
from sklvm.state._classes import stateful
from sklvm.wrappers._tails import TailProbability

# Draws for each pattern that is common, and for each of all others.
N_COMMON, N_RARE = 2000, 200
# Patterns that may be common.
MAX_COMMON = 100
# Rows that are scored at a time.
BLOCK = 2**16


@stateful
class PatternTails:
    """log P(p(X_obs) <= p(x_obs)) for rows X of the fitted density `estimator`.

    The same draws of the model serve all patterns: with the cells masked that a row
    misses, they are rows which miss the same.

    Parameters
    ----------
    estimator : fitted mixture, VAE or GMVAE
    observed : ndarray of bool of shape (n_samples, n_features)
        Cells of the training rows. Their most frequent patterns, and complete rows, get
        their distributions now.
    """

    def __init__(self, estimator, observed):
        self.estimator = estimator
        self.draws = estimator.sample(N_COMMON)[0]
        patterns, counts = np.unique(observed, axis=0, return_counts=True)
        frequent = patterns[np.argsort(-counts, kind="stable")[:MAX_COMMON]]
        complete = np.ones((1, observed.shape[1]), dtype=bool)
        patterns = np.vstack([complete, frequent])
        tails = self._tails(patterns, self.draws)
        self.common = dict(zip(_keys(patterns), tails, strict=True))

    def _get_fitted_state(self, resumable):
        is_table = is_frame(self.draws)
        draws = frame_to_plain(self.draws) if is_table else self.draws
        return self.__dict__ | {"draws": draws}

    def _set_fitted_state(self, state):
        if isinstance(draws := state["draws"], dict):
            state = state | {"draws": frame_from_plain(draws)}
        self.__dict__.update(state)

    def log_probability(self, observed, log_density):
        """Of rows with these cells observed and this log p(x_obs)."""
        patterns, of_row = np.unique(observed, axis=0, return_inverse=True)
        of_row = of_row.ravel()  # NumPy 2.0 gives it as many axes as `observed`
        keys = _keys(patterns)
        rare = np.array([key not in self.common for key in keys])
        # Every tenth draw: a mixture's are sorted by component.
        tails = self._tails(patterns[rare], self.draws[:: N_COMMON // N_RARE])
        order = np.argsort(of_row, kind="stable")
        ends = np.cumsum(np.bincount(of_row, minlength=len(patterns)))[:-1]
        result = np.empty(len(observed))
        for key, rows in zip(keys, np.split(order, ends), strict=True):
            tail = self.common[key] if key in self.common else next(tails)
            result[rows] = tail.log_probability(-log_density[rows])
        result[~observed.any(axis=1)] = 0.0
        return result

    def _tails(self, patterns, draws):
        """A `TailProbability` for each of the patterns."""
        size = BLOCK // len(draws)
        for start in range(0, len(patterns), size):
            block = patterns[start : start + size]
            log_density = self.estimator.score_samples(self._masked(draws, block))
            energies = -np.asarray(log_density, dtype=np.float64)
            for row in energies.reshape(len(block), len(draws)):
                yield TailProbability(row)

    def _masked(self, draws, patterns):
        """The draws under the first pattern, then under the second, and so on."""
        if hasattr(draws, "mask"):
            import pandas as pd  # which the draws are made of

            observed = np.repeat(patterns, len(draws), axis=0)
            return pd.concat([draws] * len(patterns), ignore_index=True).where(observed)
        values = np.where(patterns[:, np.newaxis], draws, np.nan)
        values = values.reshape(-1, draws.shape[1])
        names = getattr(self.estimator, "feature_names_in_", None)
        return values if names is None else named(values, names)


def _keys(patterns):
    return [row.tobytes() for row in np.packbits(patterns, axis=1)]
