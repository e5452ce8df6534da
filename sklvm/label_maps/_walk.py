"""Maps on their way through coders: the order of what is asked about each pixel."""

import numpy as np

from sklvm.label_maps._fields import Field
from sklvm.label_maps._gate import BitFrequencies
from sklvm.label_maps._pixels import MissRows


class Walk:
    """Maps of one shape, wavefront by wavefront.

    They go side by side, each with a coder of its own, because operations on few pixels
    take as long as on many; none of them knows of the others.

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
        self.model, self.coders = model, coders
        self.field = Field(shape, model.n_labels, len(coders))
        self.true = None
        if maps is not None:
            self.true = np.reshape(maps, (len(coders), -1)).astype(np.uint64)
        self.beside = [model.rows(shape)]
        if images is not None:
            tones = np.stack([model.tones(image) for image in images])
            self.beside += list(np.moveaxis(tones, -1, 0))
        self.seen = np.zeros((len(coders), model.n_labels), dtype=np.int64)
        self.hit_keys, self.miss_keys = model.hit_keys(), model.miss_keys()
        self.hit_frequencies = BitFrequencies(model.hit_gate)
        self.miss_frequencies = BitFrequencies(model.miss_gate)
        self.columns = model.adaptive_columns(self.hit_keys)
        self.counts = model.adaptive.begin(len(self.columns), len(coders))

    def run(self):
        """The maps (n, H, W), int32."""
        if self.model.n_labels == 1:
            self.field.flat[:] = 0
            return self.field.labels()
        maps = np.arange(len(self.coders))[:, None]
        for places, numbers in self.field.wavefronts():
            true = None if self.true is None else self.true[:, numbers].ravel()
            beside = [
                np.broadcast_to(part[..., numbers], places.shape).ravel()
                for part in self.beside
            ]
            labels = self._wavefront(places.ravel(), beside, true)
            labels = labels.reshape(places.shape)
            self.field.flat[places] = labels
            self.seen[maps, labels.view(np.int64)] = 1
        return self.field.labels()

    def _wavefront(self, places, beside, true):
        model = self.model
        around = self.field.neighbours(places)
        first, rows = model.ranking.first(around)
        known = model.hit_beside(around, first, beside)
        keys = self.hit_keys(around, first, known[1], known)
        slots = model.adaptive.slots(keys[:, self.columns], len(self.coders))
        counted = model.adaptive.predictions(*self.counts[:, slots])
        mixed = np.concatenate([model.hit_tables[keys], counted], axis=1)
        hits = None if true is None else true == first
        hits = self._hits(self.hit_frequencies(mixed), hits)
        bits = np.repeat(hits.view(np.int8), slots.shape[1])
        np.add.at(self.counts, (bits, slots.ravel()), 1)
        if hits.all():
            return first
        missed = np.flatnonzero(~hits)
        first[missed] = self._misses(
            missed // (len(hits) // len(self.coders)),
            (around[missed], first[missed], rows[missed]),
            [part[missed] for part in beside],
            None if true is None else true[missed],
        )
        return first

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
