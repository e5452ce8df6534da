"""The pixels of the maps of a fit, and the bits that are asked of them."""

from dataclasses import dataclass

import numpy as np

from sklvm.label_maps._contexts import N_FOLDS
from sklvm.label_maps._fields import NAMES, Field, wavefront_numbers
from sklvm.label_maps._hashing import distinct, multipliers

# Neighbours among which a second candidate is looked for and a candidate is counted.
N_NEAR, MOST_NEAR, MOST_RANK = 12, 5, 3
# Most pixels that are looked at: of larger sets maps are left out, evenly spaced.
MOST_PIXELS = 1 << 24
# Most different rows, as far as there are other maps to leave out: a row takes about a
# kilobyte of the fit.
MOST_DISTINCT = 1 << 22


@dataclass
class Rows:
    """Pixels that are alike in all that is known of them, and how many they are."""

    around: np.ndarray
    labels: np.ndarray
    folds: np.ndarray
    counts: np.ndarray
    beside: list


@dataclass
class Pixels:
    """All pixels, map by map, and then again all of the mirrored maps.

    `row_of` says which of the distinct rows each is.
    """

    distinct: Rows
    row_of: np.ndarray
    starts: list
    shapes: list

    def own_maps(self):
        """Where maps begin, and their shapes, without the mirrored ones."""
        n = len(self.starts) // 2
        return zip(self.starts[:n], self.shapes[:n], strict=True)


def evenly(maps):
    """Numbers of maps of not too many pixels together."""
    n_pixels = sum(m.size for m in maps)
    step = -(-n_pixels // MOST_PIXELS)
    return range(0, len(maps), step)


@dataclass
class View:
    """A map of the fit as it is or mirrored, and what is known of its pixels besides.

    The labels around a pixel are not kept: of many maps they would be the most.
    """

    maps: np.ndarray
    folds: np.ndarray
    beside: np.ndarray

    @classmethod
    def of(cls, labels, number, is_alone, tones, n_rows):
        height, width = labels.shape
        rows = np.repeat(np.arange(height), width)
        fold = rows * N_FOLDS // height if is_alone else np.full(len(rows), number)
        beside = [(rows * n_rows // height)[:, None], *tones]
        beside = np.concatenate(beside, axis=1).astype(np.int16)
        return cls(labels, (fold % N_FOLDS).astype(np.int8), beside)

    def field(self, n_labels):
        return Field(self.maps.shape, n_labels, 1, self.maps)

    def keys(self, n_labels):
        """A number of all that is known of each pixel, and of its label."""
        others = [self.maps.ravel(), self.folds, *self.beside.T]
        n = len(NAMES)
        factors = multipliers(n + len(others), start=1 << 41)
        key = self.field(n_labels).weighted_sum(factors[:n]).ravel()
        for values, factor in zip(others, factors[n:], strict=True):
            key += values.astype(np.uint64) * factor
        return key

    def rows(self, at, n_labels):
        """What is known of the pixels `at`, their labels and folds."""
        field = self.field(n_labels)
        around = field.neighbours(field.inside()[at])
        return (
            around.astype(np.min_scalar_type(n_labels)),
            self.maps.ravel()[at],
            self.folds[at].astype(np.int64),
            self.beside[at].astype(np.int64),
        )


def known_pixels(maps, images, n_labels, tones, n_rows):
    """The `Pixels` of maps (H, W), with the tones of their images.

    The distinct rows are counted in mirrored maps as well: what lies to the left of
    something tells of what may lie to its right.
    """
    chosen = evenly(maps)
    views = _views(maps, images, chosen, tones, n_rows)
    keys = np.concatenate([view.keys(n_labels) for view in views])
    first, row_of, counts = distinct(keys)
    if len(first) > MOST_DISTINCT and len(chosen) > 1:
        # Hardly a pixel is like another: fewer maps have fewer rows.
        chosen = chosen[:: -(-len(first) // MOST_DISTINCT)]
        views = _views(maps, images, chosen, tones, n_rows)
        keys = np.concatenate([view.keys(n_labels) for view in views])
        first, row_of, counts = distinct(keys)
    starts = np.cumsum([0, *(view.maps.size for view in views)])
    return Pixels(
        _rows_at(views, starts, first, counts, n_labels),
        row_of,
        starts[:-1].tolist(),
        [view.maps.shape for view in views],
    )


def _views(maps, images, chosen, tones, n_rows):
    views = []
    for mirror in (1, -1):
        for number, i in enumerate(chosen):
            seen = [] if images is None else [tones(images[i][:, ::mirror])]
            parts = number, len(chosen) == 1, seen, n_rows
            views.append(View.of(maps[i][:, ::mirror], *parts))
    return views


def _rows_at(views, starts, first, counts, n_labels):
    """The `Rows` of the pixels `first`, numbered through all views."""
    by_place = np.argsort(first)
    bounds = np.searchsorted(first[by_place], starts)
    parts = [
        view.rows(first[by_place[low:high]] - start, n_labels)
        for view, start, low, high in zip(
            views, starts[:-1], bounds[:-1], bounds[1:], strict=True
        )
    ]
    back = np.argsort(by_place)
    around, labels, folds, beside = (
        np.concatenate(part)[back] for part in zip(*parts, strict=True)
    )
    return Rows(around, labels, folds, counts, list(beside.T))


def second_candidates(around, first, n_labels):
    """The nearest label that is not the first candidate's (n,), n_labels for none."""
    near = around[:, :N_NEAR]
    others = near != first[:, None]
    others &= near != n_labels
    # Without another it is the first of all: one with the same label, or none.
    nearest = near[np.arange(len(near)), others.argmax(axis=1)]
    nearest[nearest == first] = n_labels
    return nearest


@dataclass
class MissRows:
    """Candidates after the first, each with what is known where it is asked for."""

    around: np.ndarray
    first: np.ndarray
    candidates: np.ndarray
    ranks: np.ndarray
    seen: np.ndarray
    at_pixel: list
    bits: np.ndarray = None
    folds: np.ndarray = None

    def beside(self):
        """Numbers of the contexts: candidate, first, rank, near, count, seen, row..."""
        is_candidate = self.around == self.candidates[:, None]
        near = np.where(is_candidate.any(axis=1), is_candidate.argmax(axis=1) + 1, 0)
        count = is_candidate[:, :N_NEAR].sum(axis=1)
        return [
            self.candidates,
            self.first,
            np.minimum(self.ranks, MOST_RANK),
            near,
            np.minimum(count, MOST_NEAR),
            self.seen,
            *self.at_pixel,
        ]

    @classmethod
    def all_of(cls, around, first, ranked, seen, at_pixel, n_labels):
        """Every candidate that may have to be asked for at pixels, or None."""
        n_asked = n_asked_of(ranked, n_labels)
        if n_asked < 1:
            return None
        candidates = ranked[:, 1 : n_asked + 1]
        seen = seen[np.arange(len(seen))[:, None], candidates.view(np.int64)]
        return cls(
            np.repeat(around, n_asked, axis=0),
            np.repeat(first, n_asked),
            candidates.ravel(),
            np.tile(np.arange(1, n_asked + 1), len(first)),
            seen.ravel(),
            [np.repeat(part, n_asked) for part in at_pixel],
        )

    @classmethod
    def of(cls, pixels, around, first, places, ranking):
        """Those that are asked for in the maps of a fit, and the answers."""
        rows = pixels.distinct
        is_missed = (rows.labels != first)[pixels.row_of]
        missed = np.flatnonzero(is_missed)
        inside = pixels.row_of[missed]
        labels = rows.labels[inside]
        ranked = ranking.all(around[inside], places[inside])
        n_asked = n_asked_of(ranked, ranking.n_labels)
        is_it = ranked == labels[:, None]
        rank = np.where(is_it.any(axis=1), is_it.argmax(axis=1), ranked.shape[1])
        pixel, place = np.nonzero(np.arange(1, n_asked + 1)[None] <= rank[:, None])
        inside, candidates = inside[pixel], ranked[pixel, place + 1]
        seen = _seen_before(pixels, missed[pixel], candidates, ranking.n_labels)
        return cls(
            around[inside],
            first[inside],
            candidates,
            place + 1,
            seen,
            [part[inside] for part in rows.beside],
            candidates == labels[pixel],
            rows.folds[inside],
        )


def n_asked_of(ranked, n_labels):
    """Candidates after the first that are asked for: the last of all is certain."""
    return ranked.shape[1] - 1 - (ranked.shape[1] == n_labels)


def _seen_before(pixels, at, candidates, n_labels):
    """Whether the maps of pixels have the candidates in earlier wavefronts."""
    seen = np.zeros(len(at), dtype=np.int64)
    labels = pixels.distinct.labels
    for start, shape in zip(pixels.starts, pixels.shapes, strict=True):
        stop = start + shape[0] * shape[1]
        fronts = wavefront_numbers(shape)
        begin = np.full(n_labels, np.iinfo(np.int64).max)
        np.minimum.at(begin, labels[pixels.row_of[start:stop]], fronts)
        low, high = np.searchsorted(at, [start, stop])
        here = slice(low, high)
        seen[here] = begin[candidates[here]] < fronts[at[here] - start]
    return seen
