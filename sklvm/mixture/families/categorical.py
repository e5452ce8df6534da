"""Products of categorical distributions: latent class analysis."""

import numpy as np
from scipy.special import xlogy

from sklvm.mixture.families.discrete import finite_log, restore_infinity
from sklvm.mixture.families.joint import DiscreteComponents


class CategoricalComponents(DiscreteComponents):
    """log p(x | z = k) = sum_d log theta_kd,x_d for codes x_d = 0 .. L_d - 1.

    theta is (K, sum L_d), the probabilities of one feature beside those of the next; a
    row is its indicators, all 0 where it is missing. Each feature's probabilities have
    the prior Dirichlet(prior).
    """

    names = ("theta",)
    pseudo_row = (0.5,)

    def __init__(self, *args, n_categories, prior=1.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.prior = prior
        self.n_categories = self.n_levels = np.asarray(n_categories)
        self.starts = np.concatenate([[0], np.cumsum(self.n_categories)[:-1]])
        self.codes = np.arange(self.n_categories.sum()) - self._spread(self.starts)
        self.levels = self._spread(np.arange(len(self.starts))), self.codes

    def _spread(self, values):
        """Values of the features (..., D) for each of their categories."""
        return np.repeat(values, self.n_categories, axis=-1)

    def features(self, X):
        return (self._spread(X) == self.codes).astype(self.dtype)

    def coefficients(self, params):
        return finite_log(params[0]).astype(self.dtype)

    def log_prob(self, coefficients, features):
        return restore_infinity(coefficients @ features.T)

    def statistics(self, features, resp):
        return ((resp @ features).astype(np.float64, copy=False),)

    def m_step(self, statistics, params):
        old = np.zeros_like(statistics[0]) if params is None else params[0].copy()
        return self._shares(statistics[0] + (self.prior - 1), old)

    def _shares(self, counts, old):
        total = self._spread(np.add.reduceat(counts, self.starts, axis=1))
        return (np.divide(counts, total, out=old, where=total > 0),)

    def level_logs(self, params):
        n_levels = self.n_categories.max() + self.missing
        logs = np.zeros((self.n_features, n_levels, len(params[0])))
        logs[self.levels] = finite_log(params[0]).T
        return logs

    def from_levels(self, counts):
        return (counts[self.levels].T,)

    def sample(self, params, labels, rng):
        theta = np.split(params[0], self.starts[1:], axis=1)
        columns = []
        for probabilities in theta:
            levels = np.cumsum(probabilities, axis=1)[:, :-1][labels]
            columns.append((levels < rng.uniform(size=(len(labels), 1))).sum(axis=1))
        return np.column_stack(columns)

    def expected(self, params, weights):
        """The most probable category of each feature, as codes have no mean."""
        theta = np.split(weights @ params[0], self.starts[1:], axis=1)
        return np.column_stack([p.argmax(axis=1) for p in theta])

    def n_parameters(self, n_components):
        return n_components * int((self.n_categories - 1).sum())

    def log_prior(self, params):
        return xlogy(self.prior - 1, params[0]).sum()

    def points(self, rows, params):
        missing = self._spread(np.isnan(rows))
        return [np.where(missing, params[0], self.features(rows).astype(float))]

    def centres(self, initial, params):
        return initial

    def to_unconstrained(self, params, reference):
        return (np.sqrt(params[0]),)

    def from_unconstrained(self, values, reference):
        return self._shares(values[0] ** 2, np.zeros_like(values[0]))
