"""Discrete features by groups: the levels of a few features together are one symbol.

log p(x | z = k) of features that are independent within a component is a sum over
features, and as well one over groups of features, whose tables are sums, too. A row of
groups is several times shorter than a row of features, and a group that shows its most
frequent symbol is left out, so that E and M-step are two short sparse products.
"""

from abc import abstractmethod
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from sklvm.mixture._components import FeatureComponents, Kernel
from sklvm.mixture.families.discrete import IMPOSSIBLE, restore_infinity


class Groups(NamedTuple):
    """Consecutive features as groups; the symbols of all groups, one after another."""

    n_levels: np.ndarray  # (D,) of each feature, a missing value among them
    starts: np.ndarray  # (G,) first feature of each group
    offsets: np.ndarray  # (G + 1,) where the symbols of each group begin
    batches: list  # groups of the same shape, as (shape, features, symbols)
    sparse: bool = False  # whether the symbol 0 of each group is left out of the rows


def group_features(n_levels, most_symbols):
    """Groups of as many features as have `most_symbols` symbols together, or fewer."""
    starts, sizes = [], []
    for d, n in enumerate(n_levels):
        if not sizes or sizes[-1] * n > most_symbols:
            starts.append(d)
            sizes.append(1)
        sizes[-1] *= int(n)
    offsets = np.cumsum([0, *sizes])
    return Groups(np.array(n_levels), np.array(starts), offsets, [])


def in_batches(groups):
    """The groups with those of the same shape together."""
    shapes = {}
    for g, (start, stop) in enumerate(pairwise([*groups.starts, len(groups.n_levels)])):
        shapes.setdefault(tuple(groups.n_levels[start:stop].tolist()), []).append(g)
    batches = [
        (
            shape,
            groups.starts[which, np.newaxis] + np.arange(len(shape)),
            groups.offsets[which, np.newaxis] + np.arange(np.prod(shape, dtype=int)),
        )
        for shape, which in shapes.items()
    ]
    return groups._replace(batches=batches)


class DiscreteComponents(FeatureComponents):
    """A family of features with few levels, whose rows may come in groups."""

    groups = None  # the `Groups` of the rows, if they do
    n_levels: np.ndarray  # number of values of each feature, (D,)

    @abstractmethod
    def level_logs(self, params):
        """log p of the levels, (D, most levels, K), with -IMPOSSIBLE for log 0.

        A missing value is the level after a feature's own, with the logarithm 0.
        """

    @abstractmethod
    def from_levels(self, counts):
        """Statistics from the counts of the levels, of the same shape."""

    def row_size(self, n_components):
        # A row is its indicators, or its values and their mask.
        return int(np.sum(self.n_levels)) + n_components

    def kernels(self, params):
        if self.groups is None:
            yield from super().kernels(params)
        else:
            yield GroupKernel(self, params)


class GroupKernel(Kernel):
    """The E-step on sparse rows of symbols, by a table of log-probabilities."""

    def __init__(self, components, params):
        super().__init__(components, params)
        self.groups = groups = components.groups
        logs = components.level_logs(params)
        table = np.empty((groups.offsets[-1], logs.shape[2]))
        for shape, features, symbols in groups.batches:
            sums = np.zeros((len(features), 1, logs.shape[2]))
            for n, d in zip(shape, features.T, strict=True):  # the first varies fastest
                sums = logs[d, :n, np.newaxis] + sums[:, np.newaxis]
                sums = sums.reshape(len(d), -1, logs.shape[2])
            table[symbols] = sums
        self.base, self.barred = 0, np.empty(0, int)
        if groups.sparse:
            zero = table[groups.offsets[:-1]]
            # Groups whose symbol 0, which is not in the rows, some component excludes.
            self.never = zero < -IMPOSSIBLE / 2
            self.barred = np.flatnonzero(self.never.any(axis=1))
            zero[self.never] = 0
            self.base = zero.sum(axis=0)
            table -= np.repeat(zero, np.diff(groups.offsets), axis=0)
        self.table = table.astype(components.dtype, copy=False)

    def log_prob(self, X, workspace):
        log_prob = np.ascontiguousarray((X @ self.table).T)
        if self.groups.sparse:
            log_prob += self.base[:, np.newaxis].astype(log_prob.dtype)
        if len(self.barred):
            shown = np.zeros((X.shape[1], len(self.barred)))
            for column, g in enumerate(self.barred):
                shown[self.groups.offsets[g] : self.groups.offsets[g + 1], column] = 1
            is_zero = 1 - X @ shown  # (n, barred groups)
            log_prob[(is_zero @ self.never[self.barred]).T > 0] = -np.inf
        return restore_infinity(log_prob), X

    def statistics(self, X, resp, workspace):
        return resp.sum(axis=1, dtype=np.float64), (X.T @ resp.T).astype(np.float64)

    def finalize(self, sums):
        total, counts = sums
        groups = self.groups
        if groups.sparse:
            shown = np.add.reduceat(counts, groups.offsets[:-1], axis=0)
            counts[groups.offsets[:-1]] = total - shown
        n_levels = groups.n_levels
        levels = np.zeros((len(n_levels), n_levels.max(), len(total)))
        for shape, features, symbols in groups.batches:
            joint = counts[symbols].reshape(len(features), *shape[::-1], -1)
            for n, d, sums in zip(
                shape, features.T, _marginals(joint)[::-1], strict=True
            ):
                levels[d, :n] = sums
        # Rounding may leave less than nothing of symbols that were not observed.
        return self.components.from_levels(np.maximum(levels, 0))


def _marginals(joint):
    """Sums over all axes but the first, the last, and one of those between, for each.

    By halves, as each sum then is over a fraction of the one before.
    """
    n_axes = joint.ndim - 2
    if n_axes == 1:
        return [joint]
    half = n_axes // 2
    left, right = tuple(range(1, 1 + half)), tuple(range(1 + half, 1 + n_axes))
    return [*_marginals(joint.sum(axis=right)), *_marginals(joint.sum(axis=left))]
