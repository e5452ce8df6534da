"""Integer frequencies of symbols by context, backed off from long contexts to short."""

import numpy as np

from sklvm.state._classes import stateful

# Frequencies of a context have this sum, or hardly more.
TOTAL = 1 << 24
# Observations that the shorter context counts for in the longer one.
BACKOFF = 2.0


def integer_frequencies(p):
    """Integers proportional to p along the last axis, none of them 0."""
    return np.maximum(1, np.rint(p * TOTAL)).astype(np.int64)


def cumulative(frequencies):
    """0, f_0, f_0 + f_1, ... as Python integers."""
    return [0, *np.cumsum(frequencies).tolist()]


def context_keys(n_symbols, first, left, above, *corners):
    """Keys of contexts, the shortest first: `first`, then with symbols around as well.

    For one pixel in Python's integers, or for many in arrays: the keys are the same, as
    64 bits hold those of 4,096 symbols.

    Parameters
    ----------
    n_symbols : int
        The symbols around are 0 to n_symbols, the last for none.
    first : int or ndarray
        What is known besides.
    left, above, *corners : int or ndarray
    """
    k = n_symbols + 1
    second = first * k + left
    third = second * k + above
    fourth = third
    for corner in corners:
        fourth = fourth * k + corner
    return first, second, third, fourth


@stateful
class ContextTable:
    """p(symbol | context) of the longest context that has been seen.

    A context has a key for each of its lengths, the shortest first; a longer one says
    all that a shorter one says.
    """

    def __init__(self, n_symbols):
        self.n_symbols = n_symbols
        self.orders = []
        self._add_order(np.zeros(1, dtype=int), np.full((1, n_symbols), 1 / n_symbols))

    def fit(self, contexts, symbols):
        """Count the symbols (n,) in their contexts (n, lengths)."""
        counts = np.bincount(symbols, minlength=self.n_symbols)
        p = (counts + 0.5)[None] / (counts + 0.5).sum()
        self.orders = []
        self._add_order(np.zeros(1, dtype=int), p)
        shorter = np.zeros(len(symbols), dtype=int)
        for keys in contexts.T:
            seen, first, row = np.unique(keys, return_index=True, return_inverse=True)
            counts = np.zeros((len(seen), self.n_symbols))
            np.add.at(counts, (row, symbols), 1)
            expected = BACKOFF * p[shorter[first]]
            p = (counts + expected) / (counts.sum(axis=1, keepdims=True) + BACKOFF)
            self._add_order(seen, p)
            shorter = row
        return self

    def _add_order(self, keys, p):
        frequencies = integer_frequencies(p)
        total = frequencies.sum(axis=1, keepdims=True)
        numbers = {key: row for row, key in enumerate(keys.tolist())}
        starts = np.pad(frequencies.cumsum(axis=1), ((0, 0), (1, 0)))
        costs = np.log(total) - np.log(frequencies)
        self.orders.append((keys, costs, starts, numbers))

    def integers(self):
        """The arrays that codes depend on."""
        return [part for keys, _, starts, _ in self.orders for part in (keys, starts)]

    def costs_of(self, contexts, symbols):
        """-ln p of the symbols (n,) in contexts (n, lengths): (n,)."""
        costs = self.orders[0][1][0, symbols]
        for keys, (seen, known, _, _) in zip(contexts.T, self.orders[1:], strict=False):
            at = np.minimum(np.searchsorted(seen, keys), len(seen) - 1)
            found = np.flatnonzero(seen[at] == keys)
            costs[found] = known[at[found], symbols[found]]
        return costs

    def cumulative(self, context):
        """The cumulative frequencies of one context, for a coder."""
        for order in range(len(self.orders) - 1, 0, -1):
            _, _, starts, numbers = self.orders[order]
            row = numbers.get(context[order - 1])
            if row is not None:
                return starts[row].tolist()
        return self.orders[0][2][0].tolist()
