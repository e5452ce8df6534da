"""What a decoded map leaves open: the true map given it, pixel by pixel, exactly."""

import numpy as np

from sklvm.segmentation._contexts import ContextTable, context_keys
from sklvm.state._classes import stateful


@stateful
class ResidualModel:
    """p(class of a pixel | decoded map there, true classes above and to the left)."""

    def __init__(self, n_classes, image_shape):
        self.n_classes = n_classes
        self.image_shape = image_shape
        self.table = ContextTable(n_classes)

    def fit(self, maps, decoded):
        """Count the labels of true maps (H, W) in their contexts."""
        contexts = [
            self._contexts(true, guess)
            for true, guess in zip(maps, decoded, strict=True)
        ]
        symbols = np.concatenate([true.ravel() for true in maps])
        self.table.fit(np.concatenate(contexts), symbols)
        return self

    def _around(self, guess):
        """A key of the decoded map at each pixel, and whether it goes on from there."""
        right = np.pad(guess, ((0, 0), (0, 1)), mode="edge")[:, 1:] == guess
        below = np.pad(guess, ((0, 1), (0, 0)), mode="edge")[1:] == guess
        return (guess * 2 + right) * 2 + below

    def _contexts(self, true, guess):
        """Keys of the contexts of all pixels (P, lengths), the shortest first."""
        padded = np.full((true.shape[0] + 1, true.shape[1] + 2), self.n_classes)
        padded[1:, 1:-1] = true
        left, above = padded[1:, :-2], padded[:-1, 1:-1]
        corners = padded[:-1, 2:], padded[:-1, :-2]
        keys = context_keys(self.n_classes, self._around(guess), left, above, *corners)
        return np.stack(keys, axis=-1).reshape(-1, 4)

    def walk(self, coder, guess, true=None):
        """Code the true map (H, W), or read it."""
        if true is not None:
            contexts = self._contexts(true, guess).tolist()
            for value, context in zip(true.ravel().tolist(), contexts, strict=True):
                coder.choose(self.table.cumulative(context), value)
            return true
        width = guess.shape[1]
        blank = self.n_classes
        cumulative, choose = self.table.cumulative, coder.choose
        rows = [[blank] * (width + 2)]
        for firsts in self._around(guess).tolist():
            above, row = rows[-1], [blank] * (width + 2)
            for column, first in enumerate(firsts, start=1):
                corners = above[column + 1], above[column - 1]
                keys = context_keys(
                    blank, first, row[column - 1], above[column], *corners
                )
                row[column] = choose(cumulative(keys))
            rows.append(row)
        return np.array(rows[1:], dtype=np.int32)[:, 1:-1]
