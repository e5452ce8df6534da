"""Real bytes for symbols with integer frequencies: a range coder in Python integers.

The coder keeps an interval of the numbers below one: each symbol takes the share of it
that its frequency has of the total. The bytes are those of the shortest number in the
last interval, so they exceed the ideal code length, the sum of ln(total / frequency),
by 9 bits at the most. No float takes part, so the bytes mean the same everywhere.

`Encoder` and `Decoder` have the same methods: the one is given a value and writes it,
the other reads it, and both return it. A model is written down once, for both.
"""

from bisect import bisect_right
from math import log2

# The interval's length is held between 2**48 and 2**64; totals are at most 2**32.
LENGTH = 1 << 64
SHORTEST = 1 << 48
STEP = 16
# Binary frequencies are of this total.
BIT_TOTAL = 1 << 20
# The stream of the number 0, whose bytes are none: an empty stream is a lost one.
ZERO = b"\0"


class CodeError(ValueError):
    """The bytes are not the code of anything."""


class Sampler:
    """Draws values with their frequencies."""

    def __init__(self, rng):
        self.rng = rng

    def uniform(self, total, value=None):
        return int(self.rng.integers(total))

    def choose(self, cumulative, value=None):
        return bisect_right(cumulative, self.uniform(cumulative[-1])) - 1

    def bits(self, frequencies, values=None):
        draws = self.rng.integers(BIT_TOTAL, size=len(frequencies))
        return (draws < frequencies).tolist()


class CodeLength:
    """Adds up the ideal code length of values, in `bits_used`."""

    def __init__(self):
        self.bits_used = 0.0

    def uniform(self, total, value=None):
        self.bits_used += log2(total)
        return value

    def choose(self, cumulative, value=None):
        frequency = cumulative[value + 1] - cumulative[value]
        self.bits_used += log2(cumulative[-1]) - log2(frequency)
        return value

    def bits(self, frequencies, values=None):
        for frequency, value in zip(frequencies, values, strict=True):
            self.bits_used += 20 - log2(frequency if value else BIT_TOTAL - frequency)
        return values


class Encoder:
    """Writes values; `finish` gives the bytes."""

    def __init__(self):
        self.settled = bytearray()
        # The interval begins at `settled` and these 64 bits, and perhaps a carry.
        self.low = 0
        self.length = LENGTH

    def _narrow(self, start, frequency, total):
        unit = self.length // total
        self.low += unit * start
        self.length = unit * frequency
        while self.length < SHORTEST:
            self._shift()

    def _shift(self):
        """Settle the first bits: only a carry can still change them."""
        self._carry()
        self.settled += (self.low >> 64 - STEP).to_bytes(STEP // 8, "big")
        self.low = (self.low << STEP) % LENGTH
        self.length <<= STEP

    def _carry(self):
        if self.low < LENGTH:
            return
        self.low -= LENGTH
        place = len(self.settled) - 1
        while self.settled[place] == 255:
            self.settled[place] = 0
            place -= 1
        self.settled[place] += 1

    def uniform(self, total, value=None):
        """One of `total` values, all as likely."""
        self._narrow(value, 1, total)
        return value

    def choose(self, cumulative, value=None):
        """A value whose frequency is cumulative[value + 1] - cumulative[value]."""
        start = cumulative[value]
        self._narrow(start, cumulative[value + 1] - start, cumulative[-1])
        return value

    def bits(self, frequencies, values=None):
        """Bits that are 1 with these frequencies, of `BIT_TOTAL`."""
        for frequency, value in zip(frequencies, values, strict=True):
            ones = (self.length >> 20) * frequency
            if value:
                self.length = ones
            else:
                self.low += ones
                self.length -= ones
            while self.length < SHORTEST:
                self._shift()
        return values

    def stream(self):
        """The bytes, one at least."""
        return self.finish() or ZERO

    def finish(self):
        """The bytes: the shortest number in the interval, read after the point."""
        self.low = shortest_number(self.low, self.length)
        self._carry()
        return (bytes(self.settled) + self.low.to_bytes(8, "big")).rstrip(b"\0")


def shortest_number(low, length):
    """The one in [low, low + length) with the fewest bytes, of those of 64 bits."""
    for shift in range(64, -1, -8):
        number = -(-low >> shift) << shift
        if number < low + length:
            return number


class Decoder:
    """Reads values from bytes; any bytes give values, or a CodeError."""

    def __init__(self, data):
        self.data = data
        self.position = 8
        self.length = LENGTH
        self.offset = int.from_bytes(data[:8].ljust(8, b"\0"), "big")

    def _target(self, unit, total):
        target = self.offset // unit
        if target >= total:
            raise CodeError("it points outside of every value's share")
        return target

    def _narrow(self, start, frequency, unit):
        self.offset -= unit * start
        self.length = unit * frequency
        while self.length < SHORTEST:
            self._shift()

    def _shift(self):
        data = self.data[self.position : self.position + 2].ljust(2, b"\0")
        self.offset = self.offset << STEP | int.from_bytes(data, "big")
        self.length <<= STEP
        self.position += 2

    def uniform(self, total, value=None):
        unit = self.length // total
        value = self._target(unit, total)
        self._narrow(value, 1, unit)
        return value

    def choose(self, cumulative, value=None):
        unit = self.length // cumulative[-1]
        value = bisect_right(cumulative, self._target(unit, cumulative[-1])) - 1
        start = cumulative[value]
        self._narrow(start, cumulative[value + 1] - start, unit)
        return value

    def bits(self, frequencies, values=None):
        values = []
        offset, length = self.offset, self.length
        for frequency in frequencies:
            ones = (length >> 20) * frequency
            value = offset < ones
            values.append(value)
            if value:
                length = ones
            else:
                offset -= ones
                length -= ones
            if length < SHORTEST:
                self.offset, self.length = offset, length
                while self.length < SHORTEST:
                    self._shift()
                offset, length = self.offset, self.length
        self.offset, self.length = offset, length
        return values

    def check_end(self):
        """Raise unless an Encoder of the values that were read gives these bytes."""
        read = self.data[max(0, self.position - 8) : self.position].ljust(8, b"\0")
        number = int.from_bytes(read, "big")
        # Where the interval begins, but for a carry: it may be below 0.
        low = number - self.offset
        is_over = len(self.data) <= self.position and not self.data.endswith(b"\0")
        if not is_over or shortest_number(low, self.length) != number:
            raise CodeError("its bytes are not those of the map that it codes")
