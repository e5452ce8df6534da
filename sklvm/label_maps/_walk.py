"""Maps on their way through coders: the order of what is asked about each pixel."""

from itertools import pairwise

import numpy as np

from sklvm.label_maps._fields import Field
from sklvm.label_maps._gate import BitFrequencies
from sklvm.label_maps._pixels import MissRows

# Pixels of known maps that are looked at in one go.
AHEAD = 1 << 16


class Walk:
    """Maps of one shape, wavefront by wavefront.

    They go side by side, each with a coder of its own, because operations on few pixels
    take as long as on many; none of them knows of the others. Where the maps are known,
    many wavefronts are looked at in one go, for the same reason.

    Parameters
    ----------
    model : LabelMapModel
    coders : list of n Encoder or n Decoder
    shape : tuple (height, width)
    maps : ndarray of shape (n, height, width) or None
        None where they are read.
    images : list of ndarray of shape (height, width, C) or None
    """

    def __init__(self, model, coders, shape, maps, images):
        self.model, self.coders, n = model, coders, len(coders)
        self.field = Field(shape, model.n_labels, n, maps)
        numbers, self.places, self.bounds = self.field.wavefronts()
        self.true = None
        if maps is not None:
            self.true = np.reshape(maps, (n, -1)).astype(np.uint64)[:, numbers]
        beside = [np.broadcast_to(model.rows(shape), (n, len(numbers)))]
        if images is not None:
            tones = np.stack([model.tones(image) for image in images])
            beside += list(np.moveaxis(tones, -1, 0))
        self.beside = [part[:, numbers] for part in beside]
        self.seen = np.zeros((len(coders), model.n_labels), dtype=np.int64)
        self.hit_keys, self.miss_keys = model.hit_keys(), model.miss_keys()
        self.hit_frequencies = BitFrequencies(model.hit_gate)
        self.miss_frequencies = BitFrequencies(model.miss_gate)
        self.columns = model.adaptive_columns(self.hit_keys)
        self.counts = model.adaptive.begin(len(self.columns), n)

    def run(self):
        """The maps (n, H, W), int32."""
        if self.model.n_labels == 1:
            self.field.flat[:] = 0
            return self.field.labels()
        maps = np.arange(len(self.coders))[:, None]
        for bounds in self._pieces():
            start = bounds[0]
            known = self._look(slice(start, bounds[-1]))
            for front in pairwise(bounds):
                here = slice(*front)
                inside = slice(front[0] - start, front[1] - start)
                labels = self._wavefront(here, [part[:, inside] for part in known])
                labels = labels.reshape(len(maps), -1)
                self.field.flat[self.places[:, here]] = labels
                self.seen[maps, labels.view(np.int64)] = 1
        return self.field.labels()

    def _pieces(self):
        """Bounds of wavefronts that are looked at in one go."""
        if self.true is None:
            return pairwise(self.bounds.tolist())
        piece = self.bounds[:-1] * len(self.coders) // AHEAD
        edges = [0, *(np.flatnonzero(np.diff(piece)) + 1), len(piece)]
        bounds = self.bounds.tolist()
        return [bounds[a : b + 1] for a, b in pairwise(edges)]

    def _look(self, here):
        """Of pixels, map by map: what is around them, candidates, counts so far..."""
        model, n = self.model, len(self.coders)
        around = self.field.neighbours(self.places[:, here].ravel())
        first, rows = model.ranking.first(around)
        beside = [part[:, here].ravel() for part in self.beside]
        known = model.hit_beside(around, first, beside)
        keys = self.hit_keys(around, first, known[1], known)
        slots = model.adaptive.slots(keys[:, self.columns], n)
        parts = around, first, rows, slots, model.hit_tables[keys]
        return [part.reshape(n, -1, *part.shape[1:]) for part in parts]

    def _wavefront(self, here, known):
        around, first, rows, slots, static = (
            part.reshape(-1, *part.shape[2:]) for part in known
        )
        counted = self.model.adaptive.predictions(self.counts.take(slots, axis=1))
        mixed = np.concatenate([static, counted], axis=1)
        true = None if self.true is None else self.true[:, here].ravel()
        hits = None if true is None else true == first
        hits = self._hits(self.hit_frequencies(mixed), hits)
        self.model.adaptive.add(self.counts, hits, slots)
        if hits.all():
            return first
        missed = np.flatnonzero(~hits)
        labels = first.copy()
        labels[missed] = self._misses(
            missed // (len(hits) // len(self.coders)),
            (around[missed], first[missed], rows[missed]),
            [part[:, here].ravel()[missed] for part in self.beside],
            None if true is None else true[missed],
        )
        return labels

    def _hits(self, frequencies, hits):
        """Whether pixels have their first candidate, coded or read."""
        n = len(self.coders)
        frequencies = frequencies.reshape(n, -1).tolist()
        hits = [None] * n if hits is None else hits.reshape(n, -1).tolist()
        hits = [
            coder.bits(*pair)
            for coder, *pair in zip(self.coders, frequencies, hits, strict=True)
        ]
        return np.array(hits, dtype=bool).ravel()

    def _misses(self, maps, at, beside, true):
        """The labels of pixels that have not their first candidate's."""
        model = self.model
        around, first, rows = at
        ranked = model.ranking.all(around, rows)
        asked = MissRows.all_of(
            around, first, ranked, self.seen[maps], beside, model.n_labels
        )
        frequencies = [[]] * len(first)
        if asked is not None:
            keys = self.miss_keys(
                asked.around, asked.candidates, asked.first, asked.beside()
            )
            frequencies = self.miss_frequencies(model.miss_tables[keys])
            frequencies = frequencies.reshape(len(first), -1).tolist()
        true = [None] * len(first) if true is None else true.tolist()
        return [
            self._one_miss(self.coders[i], *each)
            for i, *each in zip(
                maps.tolist(), ranked.tolist(), frequencies, true, strict=True
            )
        ]

    def _one_miss(self, coder, candidates, frequencies, true):
        for candidate, frequency in zip(candidates[1:], frequencies, strict=False):
            value = None if true is None else [candidate == true]
            if coder.bits([frequency], value)[0]:
                return candidate
        if len(candidates) == self.model.n_labels:
            return candidates[-1]
        left = self.model.ranking.frequencies.copy()
        left[candidates] = 0
        return coder.choose([0, *np.cumsum(left).tolist()], true)
