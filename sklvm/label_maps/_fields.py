"""A map as it is coded: its wavefronts, and the pixels that are known at each.

The wavefront of a pixel (y, x) is x + 3 y. All of the neighbours named here lie in
earlier ones, so that the pixels of one wavefront are predicted in one go, by the
encoder and the decoder alike.
"""

import numpy as np

SLOPE = 3
MARGIN = 8
# Rows up and columns to the right, the nearest first.
NEIGHBOURS = {
    "W": (0, -1),
    "N": (1, 0),
    "NW": (1, -1),
    "NE": (1, 1),
    "WW": (0, -2),
    "NN": (2, 0),
    "NEE": (1, 2),
    "NNE": (2, 1),
    "NNW": (2, -1),
    "NWW": (1, -2),
    "WWW": (0, -3),
    "NNN": (3, 0),
    "NNEE": (2, 2),
    "NNWW": (2, -2),
    "NNEEE": (2, 3),
    "NNNE": (3, 1),
    "NNNW": (3, -1),
    "NWWW": (1, -3),
    "NNWWW": (2, -3),
    "WWWW": (0, -4),
    "NNEEEE": (2, 4),
    "NNNN": (4, 0),
    "N8": (8, 0),
    "W8": (0, -8),
    "N8E8": (8, 8),
    "N8W8": (8, -8),
    "N4W4": (4, -4),
    "N4E4": (4, 4),
}
NAMES = tuple(NEIGHBOURS)


class Field:
    """The labels of maps (n, H, W) with margins, flattened; `blank` is unknown."""

    def __init__(self, shape, blank, n_maps, maps=None):
        height, width = self.shape = shape
        self.stride = width + 2 * MARGIN
        padded = np.full((n_maps, height + MARGIN, self.stride), blank, dtype=np.uint64)
        if maps is not None:
            padded[:, MARGIN:, MARGIN:-MARGIN] = maps
        self.flat = padded.ravel()
        self.starts = np.arange(n_maps)[:, None] * padded[0].size
        self.offsets = np.array(
            [right - up * self.stride for up, right in NEIGHBOURS.values()]
        )

    def inside(self):
        """Places in `flat` of all pixels, row by row."""
        rows, columns = np.indices(self.shape)
        places = (rows + MARGIN) * self.stride + columns + MARGIN
        return (self.starts + places.ravel()).ravel()

    def neighbours(self, places):
        """The labels around (n, number of neighbours), known ones only."""
        return self.flat.take(places[:, None] + self.offsets)

    def weighted_sum(self, multipliers):
        """Of the labels around all pixels, times a number each, mod 2^64 (n, H, W)."""
        height, width = self.shape
        padded = self.flat.reshape(len(self.starts), -1, self.stride)
        total = np.zeros((len(padded), height, width), dtype=np.uint64)
        for (up, right), factor in zip(NEIGHBOURS.values(), multipliers, strict=True):
            top, left = MARGIN - up, MARGIN + right
            total += padded[:, top : top + height, left : left + width] * factor
        return total

    def labels(self):
        """The maps without their margins."""
        padded = self.flat.reshape(len(self.starts), -1, self.stride)
        return padded[:, MARGIN:, MARGIN:-MARGIN].astype(np.int32)

    def wavefronts(self):
        """All pixels, wavefront by wavefront, each from the top.

        Their numbers in a map (n,), their places (n_maps, n), and the bounds of the
        wavefronts among them.
        """
        fronts = wavefront_numbers(self.shape)
        numbers = np.argsort(fronts, kind="stable")
        places = self.inside().reshape(len(self.starts), -1)[:, numbers]
        # Maps that are narrower than the slope have wavefronts without a pixel.
        sizes = np.bincount(fronts)
        return numbers, places, np.cumsum([0, *sizes[sizes > 0]])


def wavefront_numbers(shape):
    """Of all pixels, row by row."""
    rows, columns = np.indices(shape)
    return (columns + SLOPE * rows).ravel()
