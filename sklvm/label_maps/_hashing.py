"""Keys of contexts, and tables of what was counted in them: integers throughout.

A key is a sum of products in 64 bits with fixed odd multipliers. A table holds an entry
for a key at a slot that the key's upper bits name, beside a tag of lower bits; of two
contexts with one slot the rarer one is left out.
"""

import numpy as np

from sklvm.state._classes import stateful

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
STIRRERS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
# Slots for each entry, at least; and of the key the bits that are the tag.
SPARSITY, TAG = 2, np.uint64(16)


def multipliers(shape, start):
    """Odd numbers of 64 bits that look random, always the same (splitmix64)."""
    n = int(np.prod(shape))
    keys = np.arange(start, start + n, dtype=np.uint64) * GOLDEN
    keys = (keys ^ (keys >> np.uint64(30))) * STIRRERS[0]
    keys = (keys ^ (keys >> np.uint64(27))) * STIRRERS[1]
    return ((keys ^ (keys >> np.uint64(31))) | np.uint64(1)).reshape(shape)


def distinct(keys):
    """Where each of the different keys is, which one every key is, and how often.

    As np.unique, in half of its memory, and in a quarter of its time where most keys
    are among few.
    """
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    is_new = np.ones(len(keys), dtype=bool)
    is_new[1:] = keys[1:] != keys[:-1]
    bounds = np.flatnonzero(is_new)
    row_of = np.empty(len(keys), dtype=np.int32)
    row_of[order] = np.cumsum(is_new, dtype=np.int32) - 1
    return order[bounds], row_of, np.diff(bounds, append=len(keys))


@stateful
class HashTable:
    """Small integers (n, width) by key (n,); zeros at keys that it does not hold."""

    def __init__(self, keys, values, importance):
        """Of two keys with one slot the one of more importance stays."""
        n_bits = max(4, int(SPARSITY * len(keys)).bit_length())
        self.shift = 64 - n_bits
        order = np.argsort(importance, kind="stable")
        slots = self._slots(keys[order])
        self.tags = np.zeros(1 << n_bits, dtype=np.uint16)
        self.values = np.zeros((1 << n_bits, values.shape[1]), dtype=values.dtype)
        # The last one written to a slot stays.
        self.tags[slots] = self._tags(keys[order])
        self.values[slots] = values[order]

    def _slots(self, keys):
        return (keys >> np.uint64(self.shift)).view(np.int64)

    def _tags(self, keys):
        # 0 is no entry's.
        return (keys >> TAG).astype(np.uint16) | np.uint16(1)

    def __getitem__(self, keys):
        """The values at keys of any shape, along a further axis."""
        slots = self._slots(keys)
        held = self.tags.take(slots) == self._tags(keys)
        # A row of small integers as one number: `take` of single ones is quicker.
        n_bytes = self.values.itemsize * self.values.shape[1]
        rows = self.values.view(f"u{n_bytes}")[:, 0].take(slots) * held
        return rows[..., None].view(self.values.dtype)
