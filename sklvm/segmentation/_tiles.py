"""Maps of any size as tiles that the networks and P(L) take.

A map that is larger than those of the fit is cut into as few even tiles as fit into
them, row by row, each of which is coded as a map of its size is; no pixel is in two.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sklvm.label_maps._shapes import as_form, cropped, padded

# Of one map of several tiles. Those of a map of few rows or columns are mostly filling,
# whose pixels are counted as well.
MOST_TILES, MOST_PIXELS, MOST_FILLED, SIDE_BITS = 4096, 1 << 24, 1 << 26, 16
# Sums of shares may be more than the whole by their rounding.
ROUNDING = 1e-9


def _edges(n, most):
    """Where n pixels are cut, at most so many in a piece."""
    n_pieces = -(-n // most)
    return [n * i // n_pieces for i in range(n_pieces + 1)]


def windows(shape, image_shape):
    """The tiles of a map, as pairs of slices."""
    rows, columns = (_edges(*pair) for pair in zip(shape, image_shape, strict=True))
    return [
        (slice(top, bottom), slice(left, right))
        for top, bottom in pairwise(rows)
        for left, right in pairwise(columns)
    ]


def is_larger(shape, image_shape):
    return shape[0] > image_shape[0] or shape[1] > image_shape[1]


def is_too_large(shape, image_shape):
    """Whether a map has more tiles than are worked on for one."""
    n_tiles = -(-shape[0] // image_shape[0]) * -(-shape[1] // image_shape[1])
    return n_tiles > 1 and (
        max(shape) > 1 << SIDE_BITS
        or n_tiles > MOST_TILES
        or shape[0] * shape[1] > MOST_PIXELS
        or n_tiles * image_shape[0] * image_shape[1] > MOST_FILLED
    )


def check_tiles(arrays, image_shape, name="X"):
    """Raise where a map is too large."""
    for i, array in enumerate(arrays):
        if is_too_large(array.shape, image_shape):
            raise ValueError(
                f"{name}[{i}] has the shape {array.shape}, and maps may have "
                f"{MOST_PIXELS} pixels and {MOST_TILES} tiles of image_shape="
                f"{image_shape}; cut it into several maps."
            )


@dataclass
class Maps:
    """Maps of one size or several, in one array.

    Attributes
    ----------
    maps : ndarray of shape (n_tiles, H, W), int32
        The tiles of all maps, of most maps one each; -1 where a tile has no pixel, as
        it is smaller than others.
    shapes : list of tuple
        Of the maps.
    form : {"rows", "maps", "list"}
        How they came.
    """

    maps: np.ndarray
    shapes: list
    form: str

    @classmethod
    def of(cls, arrays, image_shape, form=None):
        """Maps (H, W) of numbers, cut where they are larger than `image_shape`."""
        tiles = [a[window] for a in arrays for window in windows(a.shape, image_shape)]
        shapes = [a.shape for a in arrays]
        return cls(padded(tiles, image_shape, -1), shapes, form)

    def __len__(self):
        return len(self.shapes)

    @property
    def windows(self):
        """Of each map those of its tiles."""
        return [windows(shape, self.maps.shape[1:]) for shape in self.shapes]

    @property
    def starts(self):
        """The first tile of each map, and the number of tiles."""
        return np.cumsum([0, *map(len, self.windows)])

    def joined(self, tiles):
        """Other tiles (n_tiles, H, W, ...) as a list of maps of these shapes."""
        return join_all(tiles, self.shapes, self.maps.shape[1:])

    def as_given(self, tiles):
        """Other tiles (n_tiles, H, W) as maps in the form of these."""
        return as_form(self.form, self.joined(tiles))

    def sums(self, values):
        """What numbers of the tiles (n_tiles,) add up to in each map."""
        return np.add.reduceat(values, self.starts[:-1])

    def limits(self, most, distortions):
        """What the tiles (n_tiles,) may have of what a map may, by what they have."""
        n_tiles = np.diff(self.starts)
        sums = np.repeat(self.sums(distortions), n_tiles)
        is_above = sums > most
        # Of one tile the share is 1, and its limit is that of the map.
        shares = np.divide(distortions, sums, out=np.zeros_like(sums), where=is_above)
        limits = shares * most
        if isinstance(most, int):
            limits = np.floor(limits)
        else:
            limits[np.repeat(n_tiles, n_tiles) > 1] *= 1 - ROUNDING
        return np.where(is_above, limits, np.inf)

    def n_pixels(self):
        """The number of pixels of each map."""
        return np.array([height * width for height, width in self.shapes])


def join(tiles, shape, image_shape):
    """The map whose tiles these are; they may be filled up."""
    if not is_larger(shape, image_shape):
        return cropped(tiles, [shape])[0]
    out = np.empty((*shape, *tiles[0].shape[2:]), dtype=tiles[0].dtype)
    for window, tile in zip(windows(shape, image_shape), tiles, strict=True):
        height, width = (side.stop - side.start for side in window)
        out[window] = tile[:height, :width]
    return out


def join_all(tiles, shapes, image_shape):
    """The maps of these shapes, whose tiles follow on each other."""
    n_tiles = [len(windows(shape, image_shape)) for shape in shapes]
    ends = np.cumsum(n_tiles)
    return [
        join(tiles[end - n : end], shape, image_shape)
        for n, end, shape in zip(n_tiles, ends, shapes, strict=True)
    ]
