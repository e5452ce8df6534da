"""What predictions are made from: contexts, their keys, and what is counted in them.

A context is a choice of what is known at a pixel: labels of neighbours; which of them
are the candidate's, so that what is learned of one class's outlines serves all; or
which of them are the candidate's and which its rival's; and numbers besides.
"""

from dataclasses import dataclass

import numpy as np

from sklvm.label_maps._fields import NAMES
from sklvm.label_maps._gate import CONFIDENCE, LOGIT
from sklvm.label_maps._hashing import HashTable, distinct, multipliers
from sklvm.state._classes import stateful

# Observations of each bit that every context begins with.
PRIOR = 0.4
# Groups of maps that predict each other when the mixing is learned.
N_FOLDS = 6
# Pixels whose keys are made in one go.
PIECE = 1 << 16
# Counts within a map are looked up in a table of so many, and so many slots.
MOST_COUNTED, ADAPTIVE_BITS = 1023, 14


@dataclass(frozen=True)
class Context:
    """Names of neighbours by how they are looked at, and of numbers beside them."""

    labels: tuple = ()
    same: tuple = ()
    rivals: tuple = ()
    beside: tuple = ()

    def place(self):
        """Where it stands among the others."""
        kinds = (self.labels, self.same, self.rivals, True)
        return next(i for i, kind in enumerate(kinds) if kind)


class Keys:
    """The keys of several contexts at once.

    In `contexts` those of labels come first, then those of `same`, of `rivals`, and the
    rest: that is the order of the keys.
    """

    def __init__(self, contexts, beside):
        self.contexts = contexts = sorted(contexts, key=Context.place)
        m, start = len(contexts), 1
        self.n_contexts = m
        self.blocks = []
        for kind in ("labels", "same", "rivals"):
            named = [getattr(context, kind) for context in contexts]
            present = [i for i, names in enumerate(named) if names]
            block = np.zeros((len(NAMES), len(present)), dtype=np.uint64)
            for column, i in enumerate(present):
                rows = [NAMES.index(name) for name in named[i]]
                block[rows, column] = multipliers(len(rows), start)
                start += len(rows)
            first = present[0] if present else 0
            # Of the neighbours up to the last that any of them looks at.
            n_near = 1 + np.flatnonzero(block.any(axis=1)).max(initial=-1)
            self.blocks.append((slice(first, first + len(present)), block[:n_near]))
        self.numbers = np.zeros((len(beside) + 1, m), dtype=np.uint64)
        for i, context in enumerate(contexts):
            rows = [beside.index(name) for name in context.beside]
            self.numbers[[*rows, -1], i] = multipliers(len(rows) + 1, start)
            start += len(rows) + 1

    def __call__(self, around, candidate, rival, beside):
        """Keys (n, number of contexts).

        Parameters
        ----------
        around : ndarray of shape (n, number of neighbours), uint64
        candidate, rival : ndarray of shape (n,), uint64
        beside : list of ndarray of shape (n,)
        """
        if len(around) <= PIECE:
            return self._piece(around, candidate, rival, beside)
        keys = np.empty((len(around), self.n_contexts), dtype=np.uint64)
        for start in range(0, len(around), PIECE):
            some = slice(start, start + PIECE)
            parts = (part[some] for part in (around, candidate, rival))
            keys[some] = self._piece(*parts, [values[some] for values in beside])
        return keys

    def _piece(self, around, candidate, rival, beside):
        numbers = np.ones((len(around), len(beside) + 1), dtype=np.uint64)
        for column, values in enumerate(beside):
            numbers[:, column] = values
        keys = numbers @ self.numbers
        same = (around == candidate[:, None]).astype(np.uint64)
        rivals = same + np.uint64(2) * (around == rival[:, None])
        for (columns, block), looks in zip(
            self.blocks, (around, same, rivals), strict=True
        ):
            keys[:, columns] += looks[:, : len(block)] @ block
        return keys


def logits_and_confidences(zeros, ones):
    """Integers that say what counts of both bits mean."""
    logits = LOGIT * np.log((ones + PRIOR) / (zeros + PRIOR))
    confidences = CONFIDENCE * np.log1p(zeros + ones)
    return np.stack([np.rint(logits), np.rint(confidences)], axis=-1).astype(np.int16)


@stateful
class CountTables:
    """Logits and confidences of a bit by the keys of contexts, all in one table."""

    def fit_held_out(self, keys, folds, zeros, ones, sample):
        """Keys (n, m), and counts of both bits that stand for each row (n,).

        Returns logits and confidences (len(sample), m, 2) of some rows by the counts of
        other folds: what a row adds to its own context would make that look surer than
        it is.
        """
        entries, predictions = [], []
        for column in keys.T:
            first, rows, _ = distinct(column)
            inside, left = rows * N_FOLDS + folds, []
            entries.append([column[first]])
            for each in (zeros, ones):
                by_fold = np.bincount(inside, each, minlength=len(first) * N_FOLDS)
                total = by_fold.reshape(-1, N_FOLDS).sum(axis=1)
                entries[-1].append(total)
                left.append(total[rows[sample]] - by_fold[inside[sample]])
            predictions.append(logits_and_confidences(*left))
        held, zeros, ones = (
            np.concatenate(part) for part in zip(*entries, strict=True)
        )
        values = logits_and_confidences(zeros, ones)
        self.table = HashTable(held, values, zeros + ones)
        return np.stack(predictions, axis=1)

    def __getitem__(self, keys):
        """Logits and confidences (n, m, 2)."""
        return self.table[keys]


@stateful
class AdaptiveCounts:
    """How often a bit was 1 in contexts of the present map, in earlier wavefronts."""

    def __init__(self):
        counted = np.arange(MOST_COUNTED + 1)
        self.logs = np.rint(LOGIT * np.log(counted + PRIOR)).astype(np.int64)
        both = np.arange(2 * MOST_COUNTED + 1)
        self.confidences = np.rint(CONFIDENCE * np.log1p(both)).astype(np.int64)

    def begin(self, n_contexts, n_maps):
        """Counts of maps of which nothing is known."""
        return np.zeros((2, n_maps * n_contexts << ADAPTIVE_BITS), dtype=np.int64)

    def add(self, counts, bits, slots):
        """Count the bits (n,) of pixels at their slots (n, m)."""
        zeros, ones = counts
        np.add.at(zeros, slots[~bits].ravel(), 1)
        np.add.at(ones, slots[bits].ravel(), 1)

    def slots(self, keys, n_maps=1):
        """Where contexts (n, m) of pixels, map by map, have their counts."""
        slots = (keys >> np.uint64(64 - ADAPTIVE_BITS)).view(np.int64)
        blocks = np.arange(n_maps * keys.shape[1]).reshape(n_maps, 1, -1)
        slots = slots.reshape(n_maps, -1, keys.shape[1]) + (blocks << ADAPTIVE_BITS)
        return slots.reshape(keys.shape)

    def predictions(self, counts):
        """Logits and confidences of zeros and ones (2, ...), along a further axis."""
        zeros, ones = counts = np.minimum(counts, MOST_COUNTED)
        of_zeros, of_ones = self.logs.take(counts)
        out = np.empty((*zeros.shape, 2), dtype=np.int64)
        np.subtract(of_ones, of_zeros, out=out[..., 0])
        out[..., 1] = self.confidences.take(zeros + ones)
        return out

    def of_whole_map(self, keys, bits, wavefronts, sample):
        """Predictions (len(sample), m, 2) of pixels, had they been coded in order."""
        out = []
        for slots in self.slots(keys).T:
            order = np.lexsort((wavefronts, slots))
            slot, front = slots[order], wavefronts[order]
            ones = np.r_[0, np.cumsum(bits[order])]
            news = np.r_[True, slot[1:] != slot[:-1]]
            begin = np.maximum.accumulate(np.where(news, np.arange(len(slot)), 0))
            news[1:] |= front[1:] != front[:-1]
            now = np.maximum.accumulate(np.where(news, np.arange(len(slot)), 0))
            counts = np.empty((2, len(slot)), dtype=np.int64)
            counts[1, order] = ones[now] - ones[begin]
            counts[0, order] = now - begin - (ones[now] - ones[begin])
            out.append(self.predictions(counts[:, sample]))
        return np.stack(out, axis=1)
