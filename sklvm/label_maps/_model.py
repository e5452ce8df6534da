"""The model of label maps: p(label of a pixel | those of earlier wavefronts, image).

A pixel has its first candidate's label or not, which is one bit. If not, the others are
asked one after another, each a bit too, and where there are more labels than
candidates, the rest share what is left by their frequencies. Each of the two kinds of
bits has its contexts, of which several predictions come, and a `Gate` that mixes them.
"""

from collections import defaultdict

import numpy as np

from sklvm.label_maps._check_sums import digest
from sklvm.label_maps._contexts import (
    AdaptiveCounts,
    Context,
    CountTables,
    Keys,
)
from sklvm.label_maps._fields import NAMES, wavefront_numbers
from sklvm.label_maps._gate import Gate
from sklvm.label_maps._pixels import MissRows, known_pixels, second_candidates
from sklvm.label_maps._ranks import Ranking
from sklvm.label_maps._tones import Tones
from sklvm.label_maps._walk import Walk
from sklvm.state._classes import stateful

HIT_BESIDE = ("first", "second", "row", "flat")
HITS = (
    Context(labels=("W", "N", "NE")),
    *(Context(labels=NAMES[:n]) for n in (4, 6, 8, 10, 12)),
    Context(labels=("W", "N", "NE"), beside=("row",)),
    Context(labels=("W", "N", "NW", "NE", "NEE", "NNE", "NNEE", "NNEEE", "NNEEEE")),
    Context(labels=("W", "N", "NN", "NNN", "NW", "NE")),
    *(Context(same=NAMES[:n]) for n in (12, 16, 20)),
    Context(same=NAMES[:16], beside=("first",)),
    Context(rivals=NAMES[:12]),
    Context(beside=("first", "flat", "row")),
    Context(beside=("first",)),
)
# Those that are counted within the present map as well.
ADAPTIVE = (HITS[1], HITS[2], HITS[9], HITS[15])
HITS_OF_IMAGE = (
    Context(same=NAMES[:4], beside=("dW", "dN", "dNW", "dNE")),
    Context(labels=("W", "N"), beside=("dW", "dN")),
    Context(same=NAMES[:8], beside=("first", "dW", "dN")),
    Context(beside=("first", "second", "tone")),
    Context(beside=("first", "tone", "row")),
)
MISS_BESIDE = ("candidate", "first", "rank", "near", "count", "seen", "row")
_ASKED = ("candidate", "rank")
MISSES = (
    *(Context(labels=NAMES[:n], beside=_ASKED) for n in (4, 6, 8)),
    Context(labels=("W", "N", "NE"), beside=(*_ASKED, "row")),
    Context(beside=(*_ASKED, "first", "seen", "count")),
    Context(beside=(*_ASKED, "seen", "row", "count")),
    Context(rivals=NAMES[:8], beside=(*_ASKED, "first", "seen")),
    Context(rivals=NAMES[:12], beside=_ASKED),
    Context(labels=NAMES[:4], beside=(*_ASKED, "seen", "count")),
    Context(labels=("N8", "W8"), beside=(*_ASKED, "first", "seen")),
    Context(labels=("N8E8", "N8W8"), beside=(*_ASKED, "first", "seen")),
    Context(labels=("NNNN", "WWWW", "N4E4", "N4W4"), beside=(*_ASKED, "first", "seen")),
    Context(beside=(*_ASKED, "first", "near", "seen", "count")),
    Context(labels=("W", "N", "NE"), beside=(*_ASKED, "near", "seen")),
)
MISSES_OF_IMAGE = (
    Context(beside=("candidate", "first", "tone")),
    Context(beside=("candidate", "seen", "tone", "row")),
)
IMAGE_BESIDE = ("dW", "dN", "dNW", "dNE", "tone")
# Bins of rows, and most pixels whose bits the mixing is learned of.
N_ROWS, MOST_MIXED = 30, 600_000
# Pixels that are coded side by side.
BATCH_PIXELS = 1 << 18
# The share of pixels all alike among the mixed ones.
FEW = 0.1


@stateful
class LabelMapModel:
    """Codes a map with an `Encoder`, or reads it with a `Decoder`: `walk`.

    Parameters
    ----------
    n_labels : int
        Labels are 0 to n_labels - 1.
    sees_images : bool

    Attributes
    ----------
    name : int
        32 bits that another model hardly has.
    stirs_shapes : bool
        Whether its streams tell altered shapes by `shape_check` with stirring.
    """

    # Of models of earlier versions.
    stirs_shapes = False

    def __init__(self, n_labels, sees_images):
        self.n_labels = n_labels
        self.sees_images = sees_images

    def hit_keys(self):
        beside = HIT_BESIDE + IMAGE_BESIDE * self.sees_images
        return Keys(HITS + HITS_OF_IMAGE * self.sees_images, beside)

    def adaptive_columns(self, key_maker):
        """The columns of the keys whose contexts are counted within a map."""
        return [key_maker.contexts.index(context) for context in ADAPTIVE]

    def miss_keys(self):
        beside = MISS_BESIDE + IMAGE_BESIDE * self.sees_images
        return Keys(MISSES + MISSES_OF_IMAGE * self.sees_images, beside)

    # Fitting --------------------------------------------------------------------------

    def fit(self, maps, images=None):
        """Count, and learn to mix.

        Parameters
        ----------
        maps : list of ndarray of shape (H, W)
        images : list of ndarray of shape (H, W, C) or None
        """
        self.tones = Tones().fit(images) if self.sees_images else None
        pixels = known_pixels(maps, images, self.n_labels, self.tones, N_ROWS)
        rows = pixels.distinct
        around = rows.around
        self.ranking = Ranking(self.n_labels).fit(around, rows.labels, rows.counts)
        first, places = self.ranking.first(around)
        beside = self.hit_beside(around, first, rows.beside)
        self._fit_hits(pixels, around, first, beside)
        self._fit_misses(pixels, around, first, places)
        self.name = self._digest()
        self.stirs_shapes = True
        return self

    def rows(self, shape):
        """A number of the row of each pixel of a map."""
        return np.repeat(np.arange(shape[0]) * N_ROWS // shape[0], shape[1])

    def hit_beside(self, around, first, beside):
        """What the contexts of a first candidate know besides; `second` among it."""
        flat = (around[:, :10] == around[:, :1]).all(axis=1)
        second = second_candidates(around, first, self.n_labels)
        return [first, second, beside[0], flat, *beside[1:]]

    def _fit_hits(self, pixels, around, first, beside):
        rows = pixels.distinct
        hits = rows.labels == first
        ones, zeros = rows.counts * hits, rows.counts * ~hits
        key_maker = self.hit_keys()
        keys = key_maker(around, first, beside[1], beside)
        n_pixels = len(pixels.row_of) // 2  # without the mirrored ones
        sample, weights = _sample(beside[3][pixels.row_of[:n_pixels]])
        inside = pixels.row_of[sample]
        self.hit_tables = CountTables()
        static = self.hit_tables.fit_held_out(keys, rows.folds, zeros, ones, inside)
        keys = keys[:, self.adaptive_columns(key_maker)]
        self.adaptive = AdaptiveCounts()
        bits, parts = hits[pixels.row_of], []
        for at, shape in pixels.own_maps():
            here = slice(at, at + shape[0] * shape[1])
            some = sample[(sample >= here.start) & (sample < here.stop)] - at
            parts.append(
                self.adaptive.of_whole_map(
                    keys[pixels.row_of[here]],
                    bits[here],
                    wavefront_numbers(shape),
                    some,
                )
            )
        mixed = np.concatenate([static, np.concatenate(parts)], axis=1)
        gate = Gate(mixed.shape[1])
        self.hit_gate = gate.fit(mixed, bits[sample], weights)

    def _fit_misses(self, pixels, around, first, places):
        rows = MissRows.of(pixels, around, first, places, self.ranking)
        keys = self.miss_keys()(rows.around, rows.candidates, rows.first, rows.beside())
        ones = rows.bits.astype(float)
        rng = np.random.default_rng(0)
        sample = np.sort(rng.permutation(len(keys))[:MOST_MIXED])
        self.miss_tables = CountTables()
        mixed = self.miss_tables.fit_held_out(keys, rows.folds, 1 - ones, ones, sample)
        gate = Gate(keys.shape[1])
        self.miss_gate = gate.fit(mixed, rows.bits[sample], np.ones(len(sample)))

    # Coding ---------------------------------------------------------------------------

    def walk(self, coders, shape, maps=None, images=None):
        """Code maps (n, H, W), each with its coder, or read them."""
        return Walk(self, coders, shape, maps, images).run()

    def walk_all(self, coders, shapes, maps=None, images=None):
        """The same of lists of maps of any shapes: those of one shape side by side."""
        alike = defaultdict(list)
        for number, shape in enumerate(shapes):
            alike[shape].append(number)
        out = [None] * len(coders)
        for shape, numbers in alike.items():
            step = max(1, BATCH_PIXELS // (shape[0] * shape[1]))
            for start in range(0, len(numbers), step):
                some = numbers[start : start + step]
                labels = self.walk(
                    [coders[i] for i in some],
                    shape,
                    None if maps is None else np.stack([maps[i] for i in some]),
                    None if images is None else [images[i] for i in some],
                )
                for i, each in zip(some, labels, strict=True):
                    out[i] = each
        return out

    def _digest(self):
        """A number of 32 bits that models which differ in anything differ in."""
        parts = [np.array([self.n_labels, self.sees_images])]
        parts += [self.ranking.frequencies, self.ranking.ranked]
        for table in (self.ranking.rows, self.hit_tables.table, self.miss_tables.table):
            parts += [table.tags, table.values]
        for gate in (self.hit_gate, self.miss_gate):
            parts += [gate.w1, gate.b1, gate.w2, gate.b2, gate.frequencies]
        parts += [self.adaptive.logs, self.adaptive.confidences]
        if self.sees_images:
            tones = self.tones
            parts += [tones.lowest, tones.scale, tones.tones, tones.steepness]
        return digest(parts)


def _sample(flat):
    """Pixels and their weights: few of those whose neighbours are all alike."""
    rng = np.random.default_rng(0)
    shares = np.where(flat, FEW, 1.0)
    shares *= min(1.0, MOST_MIXED / shares.sum())
    sample = np.flatnonzero(rng.random(len(flat)) < shares)
    if not len(sample):
        sample = np.arange(len(flat))
    return sample, 1 / shares[sample]
