"""The range coder: its bytes, and the time that it takes."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklvm.label_maps._range_coder import BIT_TOTAL, Decoder, Encoder
from sklvm.segmentation._contexts import context_keys


class Reference:
    """The definition: one interval of large integers, and the shortest number in it."""

    def __init__(self):
        self.low, self.length, self.n_bits = 0, 1 << 64, 64

    def narrow(self, start, frequency, total):
        unit = self.length // total
        self.low += unit * start
        self.length = unit * frequency
        while self.length < 1 << 48:
            self.low <<= 16
            self.length <<= 16
            self.n_bits += 16

    def uniform(self, total, value):
        self.narrow(value, 1, total)

    def bits(self, frequencies, values):
        for frequency, value in zip(frequencies, values, strict=True):
            ones = (self.length >> 20) * frequency
            if value:
                self.length = ones
            else:
                self.low += ones
                self.length -= ones
            self.narrow(0, 1, 1)

    def finish(self):
        for n_bytes in range(self.n_bits // 8 + 1):
            shift = self.n_bits - 8 * n_bytes
            number = -(-self.low >> shift)
            if number << shift < self.low + self.length:
                return number.to_bytes(n_bytes, "big")


TOTALS = st.one_of(st.integers(1, 2**32), st.sampled_from([2, 256, 2**16, 2**32]))
# Ends of the interval are where carries come from.
SHARES = st.sampled_from([0.0, 0.3, 0.999999, 1.0])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    symbols=st.lists(st.tuples(TOTALS, SHARES), max_size=40),
    bits=st.lists(st.tuples(st.integers(1, BIT_TOTAL - 1), st.booleans()), max_size=20),
)
def test_the_bytes_are_those_of_the_shortest_number(symbols, bits):
    pairs = [(total, min(int(share * total), total - 1)) for total, share in symbols]
    frequencies, values = [f for f, _ in bits], [v for _, v in bits]
    coders = Encoder(), Reference()
    for coder in coders:
        for total, value in pairs:
            coder.uniform(total, value)
        coder.bits(frequencies, values)
    stream = coders[0].finish()
    assert stream == coders[1].finish()
    decoder = Decoder(stream)
    assert [decoder.uniform(total) for total, _ in pairs] == [v for _, v in pairs]
    assert decoder.bits(frequencies) == values


@pytest.mark.parametrize("total", [2, 3, 255, 256, 2**16, 2**32])
@pytest.mark.parametrize("last", [0, 1])
def test_long_runs_of_carries(total, last):
    coders = Encoder(), Reference()
    for coder in coders:
        for _ in range(500):
            coder.uniform(total, total - 1)
        coder.uniform(total, last)
        coder.bits([1] * 10, [False] * 10)
    assert coders[0].finish() == coders[1].finish()


def test_the_time_is_linear():
    values = np.random.default_rng(0).integers(262145, size=60000).tolist()
    start = time.process_time()
    coder = Encoder()
    for value in values:
        coder.uniform(262145, value)
    coder.bits([1000] * 60000, [False] * 60000)
    stream = coder.finish()
    # A tenth of a second; it is ten where each symbol touches all the bytes.
    assert time.process_time() - start < 2
    assert len(stream) == pytest.approx(60000 * np.log2(262145) / 8, rel=1e-2)


def test_keys_of_contexts_are_those_of_exact_integers():
    """Of as many classes as there may be, where 64 bits are nearly full."""
    k, rng = 4096, np.random.default_rng(0)
    around = rng.integers(k + 1, size=(4, 50))
    around[:, 0] = k
    first = rng.integers(4 * k + 4, size=50).astype(np.int32)
    first[0] = 4 * k + 3
    many = np.stack(context_keys(k, first, *around), axis=1).tolist()
    one_by_one = zip(first.tolist(), *around.tolist(), strict=True)
    assert many == [list(context_keys(k, *each)) for each in one_by_one]
    assert len({row[-1] for row in many}) == 50
