"""The labels that a pixel may have, the likeliest first, by its nearest neighbours."""

import numpy as np

from sklvm.label_maps._fields import NAMES
from sklvm.label_maps._hashing import HashTable, multipliers
from sklvm.state._classes import stateful

NEAREST = ("W", "N", "NW", "NE")
# What a neighbour's label counts for beside those that were counted.
SHARES = (0.4, 0.3, 0.1, 0.2)
MOST_RANKED = 16
MULTIPLIERS = multipliers(len(NEAREST), start=1 << 40)
assert NAMES[: len(NEAREST)] == NEAREST
# Contexts whose labels are counted in one piece, times labels.
PIECE = 1 << 24


def _keys(around):
    return around[:, : len(NEAREST)] @ MULTIPLIERS


@stateful
class Ranking:
    """Candidates (n, n_ranked) at pixels, all different."""

    def __init__(self, n_labels):
        self.n_labels = n_labels
        self.n_ranked = min(n_labels, MOST_RANKED)

    def fit(self, around, labels, weights):
        """Neighbours (n, .) and labels of pixels that stand for `weights` of them."""
        k = self.n_labels
        self.frequencies = 1 + np.bincount(labels, weights, minlength=k).astype(
            np.int64
        )
        n = self.n_ranked + len(NEAREST)
        self.most_frequent = np.argsort(-self.frequencies, kind="stable")[:n].tolist()
        keys = _keys(around)
        distinct, first, rows = np.unique(keys, return_index=True, return_inverse=True)
        order = np.argsort(rows, kind="stable")
        bounds = np.searchsorted(rows[order], np.arange(len(distinct) + 1))
        ranked = np.empty((len(distinct), self.n_ranked), dtype=np.int32)
        step = max(1, PIECE // k)
        for start in range(0, len(distinct), step):
            stop = min(start + step, len(distinct))
            inside = order[bounds[start] : bounds[stop]]
            cells = (rows[inside] - start) * k + labels[inside]
            counts = np.bincount(cells, weights[inside], minlength=(stop - start) * k)
            scores = counts.reshape(-1, k)
            ranked[start:stop] = self._ranked(
                scores, around[first[start:stop]][:, : len(NEAREST)]
            )
        self.rows = HashTable(
            distinct,
            np.arange(1, len(distinct) + 1, dtype=np.int32)[:, None],
            np.bincount(rows, weights),
        )
        self.ranked = ranked
        return self

    def _ranked(self, scores, nearest):
        """The labels of the largest scores, to which the neighbours add a little."""
        scores = scores + 0.01 * self.frequencies / self.frequencies.sum()
        for column, share in zip(nearest.T, SHARES, strict=True):
            known = np.flatnonzero(column < self.n_labels)
            scores[known, column[known]] += share
        return np.argsort(-scores, axis=1, kind="stable")[:, : self.n_ranked]

    def first(self, around):
        """The first candidate (n,), and rows in `ranked` (n,), -1 for none."""
        rows = self.rows[_keys(around)][:, 0] - 1
        first = self.ranked[rows, 0].astype(np.uint64)
        for place in np.flatnonzero(rows < 0):
            first[place] = self._unseen(around[place])[0]
        return first, rows

    def all(self, around, rows):
        """The candidates of pixels (n, n_ranked)."""
        ranked = self.ranked[rows].astype(np.uint64)
        for place in np.flatnonzero(rows < 0):
            ranked[place] = self._unseen(around[place])
        return ranked

    def _unseen(self, around):
        """Neighbours, N before W along an edge, then the most frequent labels."""
        west, north, north_west, north_east = around[: len(NEAREST)].tolist()
        near = [north, west] if west == north_west else [west, north]
        near += [north_east, north_west]
        near = [label for label in near if label < self.n_labels]
        return list(dict.fromkeys([*near, *self.most_frequent]))[: self.n_ranked]
