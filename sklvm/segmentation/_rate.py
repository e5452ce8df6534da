r"""P(L), the distribution over the lists of seeds of a sparse map, in nats.

A code is a sparse map: an integer class at each of P pixels, -1 where it is blank. Each
model here is a normalised distribution over such codes with n = |L| seeds,

    list      -ln P(L) = (n + 1) ln(P k + 1)
    subset    -ln P(L) = -ln pi(n) + ln C(P, n) + n ln k

and `sklvm.segmentation._learned` has a third, whose frequencies of positions and
classes are fitted. All frequencies are integers. `walk` says in which order they code a
map, for an encoder and a decoder alike.
"""

from abc import ABC, abstractmethod

import numpy as np
from scipy.special import gammaln

from sklvm.label_maps._range_coder import CodeError, Sampler
from sklvm.segmentation._contexts import cumulative, integer_frequencies
from sklvm.state._classes import stateful


class RateModel(ABC):
    """A distribution over codes; the simplest is `ListRate`."""

    def fit(self, codes):
        """Fit the frequencies to codes of shape (n, P); what is fixed stays."""
        return self

    @abstractmethod
    def rate(self, codes):
        """-ln P(L) of each code, (n,)."""

    def look(self, code):
        """The rate of one code, and what `prices` need not find out again about it."""
        return self.rate(code[np.newaxis])[0], None

    @abstractmethod
    def prices(self, code, classes, known=None):
        """Nats that one more seed, of class classes[i], costs at each pixel i.

        `known` is what `look` has told of the code.
        """

    def sample(self, rng):
        """A code drawn from P(L)."""
        return self.walk(Sampler(rng))[0]

    def starts(self, labels, allowed):
        """Codes (m, P) of a map that are cheap for what they tell; maybe none."""
        return np.full((0, self.n_pixels), -1, dtype=np.int32)

    def promising_starts(self, labels, allowed, losses):
        """Those of `starts` that are worth a decoding, the best first.

        `losses` (P,) are the nats that an error costs at each pixel.
        """
        return self.starts(labels, allowed)

    def fit_maps(self, maps):
        """Learn from whole maps (n, P), -1 for void, what classes are like."""
        return self

    @abstractmethod
    def integers(self):
        """The numbers and arrays that codes depend on, in a list."""

    @abstractmethod
    def walk(self, coder, code=None, component=None):
        """Code the map with an `Encoder`, or read it with a `Decoder`.

        Returns the map, and of a mixture the component that codes it; an encoder takes
        the likeliest one unless it is told another.
        """


@stateful
class ListRate(RateModel):
    """Each entry, a pair (i, c) or the end, is one of P k + 1 equal symbols."""

    def __init__(self, n_pixels, n_classes):
        self.n_pixels = n_pixels
        self.n_classes = n_classes
        self.n_symbols = n_pixels * n_classes + 1

    def rate(self, codes):
        return ((codes >= 0).sum(axis=1) + 1) * np.log(self.n_symbols)

    def prices(self, code, classes, known=None):
        return np.full(self.n_pixels, np.log(self.n_symbols))

    def sample(self, rng):
        # The last entry of a pixel counts, and the lists are long: 1 / P(end) entries.
        n_entries = rng.geometric(1 / self.n_symbols) - 1
        pixels, classes = np.divmod(
            rng.integers(self.n_symbols - 1, size=n_entries), self.n_classes
        )
        code = np.full(self.n_pixels, -1, dtype=np.int32)
        code[pixels] = classes
        return code

    def integers(self):
        return [self.n_pixels, self.n_classes]

    def walk(self, coder, code=None, component=None):
        end = self.n_symbols - 1
        if code is not None:
            pixels = np.flatnonzero(code >= 0)
            for symbol in (pixels * self.n_classes + code[pixels]).tolist():
                coder.uniform(self.n_symbols, symbol)
            coder.uniform(self.n_symbols, end)
            return code, None
        code, last = np.full(self.n_pixels, -1, dtype=np.int32), -1
        while (symbol := coder.uniform(self.n_symbols)) != end:
            pixel, label = divmod(symbol, self.n_classes)
            if pixel <= last:
                raise CodeError("its pixels are not in rising order")
            code[pixel], last = label, pixel
        return code, None


def sizes_alike(n_pixels):
    """The bucket of each number of seeds 0..P: three to an octave."""
    return np.floor(3 * np.log2(np.arange(n_pixels + 1) + 1)).astype(int)


@stateful
class SubsetRate(RateModel):
    """A number of seeds, a set of as many positions, and their classes."""

    def __init__(self, n_pixels, n_classes):
        self.n_pixels = n_pixels
        self.n_classes = n_classes
        self.fit(np.full((0, n_pixels), -1))

    def fit(self, codes):
        buckets = sizes_alike(self.n_pixels)
        counts = np.bincount(
            buckets[(codes >= 0).sum(axis=1)], minlength=buckets[-1] + 1
        )
        width = np.bincount(buckets)
        present = width > 0
        # One more in each bucket: every number of seeds is possible.
        share = np.where(present, counts + 1, 0) / np.maximum(width, 1)
        share = share / (counts.sum() + present.sum())
        self.frequencies = integer_frequencies(share[buckets])
        self.log_pi = np.log(self.frequencies) - np.log(self.frequencies.sum())
        n, P = np.arange(self.n_pixels + 1), self.n_pixels
        log_subsets = gammaln(P + 1) - gammaln(n + 1) - gammaln(P - n + 1)
        self.rates = -self.log_pi + log_subsets + n * np.log(self.n_classes)
        return self

    def rate(self, codes):
        return self.rates[(codes >= 0).sum(axis=1)]

    def prices(self, code, classes, known=None):
        n = min((code >= 0).sum(), self.n_pixels - 1)
        return np.full(self.n_pixels, self.rates[n + 1] - self.rates[n])

    def integers(self):
        return [self.n_pixels, self.n_classes, self.frequencies]

    def walk(self, coder, code=None, component=None):
        reads = code is None
        if reads:
            code = np.full(self.n_pixels, -1, dtype=np.int32)
        seeded = code >= 0
        left = coder.choose(cumulative(self.frequencies), int(seeded.sum()))
        # Given the pixels before, each is a seed with probability left / pixels left.
        values = seeded.tolist()
        pixel = 0
        while left:
            is_blank = coder.choose(
                [0, left, self.n_pixels - pixel], int(not values[pixel])
            )
            if not is_blank:
                values[pixel] = True
                left -= 1
            pixel += 1
        for pixel in np.flatnonzero(values):
            code[pixel] = coder.uniform(self.n_classes, int(code[pixel]))
        return code, None
