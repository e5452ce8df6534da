"""Bytes that are no stream of a model are a ValueError, and never another map."""

import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklvm import LabelMapCodec
from sklvm.label_maps import _pixels
from sklvm.label_maps._fields import Field
from sklvm.label_maps._gate import Product
from sklvm.label_maps._pixels import known_pixels
from sklvm.label_maps._range_coder import Decoder, Encoder

from .maps import HELD_OUT, X, fitted, photographs, scenes


@pytest.mark.slow
def test_another_model_refuses_the_streams():
    others = [
        LabelMapCodec().fit(scenes(2, 60)),
        LabelMapCodec(n_classes=5).fit(X),
        LabelMapCodec().fit(X[:-1]),
        LabelMapCodec().fit(np.array([0, 1, 2, 4], dtype=np.int32)[X]),
    ]
    codec = fitted()
    for checksum in (True, False):
        for stream in codec.encode(HELD_OUT, checksum=checksum):
            for other in others[:3]:
                with pytest.raises(ValueError, match="another model"):
                    other.decode([stream], checksum=checksum)


def test_a_stream_without_a_checksum_has_to_be_asked_for():
    codec = fitted()
    streams = codec.encode(HELD_OUT, checksum=False)
    with pytest.raises(ValueError, match="checksum"):
        codec.decode(streams)
    assert_array_equal(codec.decode(streams, checksum=False), HELD_OUT)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(16, 20), (7, 30)])
def test_altered_streams(shape):
    codec, rng = fitted(), np.random.default_rng(0)
    maps = scenes(3, 4, shape)
    for stream in codec.encode(list(maps)):
        for end in range(len(stream)):
            with pytest.raises(ValueError, match="Stream 0"):
                codec.decode([stream[:end]])
        for _ in range(60):
            bits = np.unpackbits(np.frombuffer(stream, dtype=np.uint8))
            bits[rng.integers(len(bits), size=rng.integers(1, 5))] ^= 1
            altered = np.packbits(bits).tobytes()
            if altered != stream:
                with pytest.raises(ValueError, match="Stream 0"):
                    codec.decode([altered])
        for longer in (stream + b"\0", stream + b"\1", b"\0" + stream):
            with pytest.raises(ValueError, match="Stream 0"):
                codec.decode([longer])


@pytest.mark.slow
def test_random_bytes_are_a_map_or_an_error():
    codec, rng = fitted(), np.random.default_rng(0)
    n_maps = 0
    for length in range(300):
        stream = rng.bytes(length // 5)
        with pytest.raises(ValueError, match="Stream 0"):
            codec.decode([stream])
        try:
            maps = codec.decode([stream], checksum=False)
        except ValueError:
            continue
        n_maps += 1
        assert codec.encode(maps, checksum=False) == [stream]
    assert n_maps < 5


@pytest.mark.parametrize("stream", ["text", 5, None, [1, 2], 1.5])
def test_what_is_no_bytes(stream):
    with pytest.raises(ValueError, match="Stream 1"):
        fitted().decode([*fitted().encode(HELD_OUT[:1]), stream])


@pytest.mark.parametrize("wrong", [b"bytes", None, 5, [], {}])
def test_what_is_no_list(wrong):
    with pytest.raises(ValueError, match="streams"):
        fitted().decode(wrong)


def test_the_end_of_a_stream_is_known_without_writing_it_again():
    rng = np.random.default_rng(0)
    for _ in range(300):
        n = rng.integers(1, 40)
        frequencies = rng.integers(1, 1 << 20, size=n).tolist()
        values = (rng.random(n) < 0.5).tolist()
        encoder = Encoder()
        encoder.bits(frequencies, values)
        data = encoder.finish()
        for other in {
            data,
            data + b"\0",
            data + b"\1",
            data[:-1],
            rng.bytes(len(data)),
        }:
            decoder = Decoder(other)
            read = decoder.bits(frequencies)
            again = Encoder()
            again.bits(frequencies, read)
            if again.finish() == other:
                decoder.check_end()
            else:
                with pytest.raises(ValueError, match="bytes"):
                    decoder.check_end()


# On every machine ---------------------------------------------------------------------

CODE = """
import sys
sys.path.insert(0, {root!r})
import sklvm
from tests.label_maps.maps import HELD_OUT, photographs
codec = sklvm.load({file!r})
streams = codec.encode(HELD_OUT, photographs(HELD_OUT, seed=1))
print(b"".join(streams).hex())
"""


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["1", "2"])
def test_another_process_writes_the_same_bytes(tmp_path, threads):
    import sklvm

    codec = fitted(with_images=True)
    sklvm.save(codec, tmp_path / "codec.sklvm")
    root = str(Path(__file__).parents[2])
    code = CODE.format(root=root, file=str(tmp_path / "codec.sklvm"))
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": threads},
    )
    streams = codec.encode(HELD_OUT, photographs(HELD_OUT, seed=1))
    assert run.stdout.strip() == b"".join(streams).hex()


def whole_numbers(codec):
    """The codec with mixing weights of this test's own, which no float has decided."""
    model = codec.model_
    for gate in (model.hit_gate, model.miss_gate):
        for name in ("w1", "b1", "w2", "b2"):
            weights = getattr(gate, name)
            pattern = np.arange(weights.size) * 2654435761 % 257 - 128
            setattr(gate, name, pattern.reshape(weights.shape) * 16)
        gate.frequencies = np.linspace(1, (1 << 20) - 1, 2 * 13 * 256 + 1).astype(int)
    for table in (model.hit_tables.table, model.miss_tables.table):
        held = table.tags > 0
        table.values[held] = (np.arange(held.sum())[:, None] * [7, 11] % 601) - 300
    model.name = 12345
    adaptive = model.adaptive
    adaptive.logs = np.arange(len(adaptive.logs)) * 3
    adaptive.confidences = np.arange(len(adaptive.confidences)) * 5
    return codec


def test_bytes_that_every_machine_writes():
    """The frequencies of this model are made of integers that are fixed here."""
    streams = whole_numbers(fitted()).encode(HELD_OUT[:3])
    assert [zlib.crc32(stream) for stream in streams] == GOLDEN
    assert_array_equal(whole_numbers(fitted()).decode(streams), HELD_OUT[:3])


@pytest.mark.parametrize("largest", [1 << 20, 1 << 36, 1 << 50])
def test_sums_of_products_are_those_of_integers(largest):
    """Those of a BLAS where doubles hold them, of 64 bits where not."""
    rng = np.random.default_rng(0)
    x = rng.integers(-32768, 32768, size=(50, 40))
    weights = rng.integers(-largest // 40, largest // 40, size=(40, 16))
    exact = x.astype(object) @ weights.astype(object)
    wrapped = [(int(v) + 2**63) % 2**64 - 2**63 for v in exact.ravel()]
    product = Product(weights, 1 << 15)
    assert (product.weights.dtype == float) == (largest < 1 << 38)
    assert product(x).ravel().tolist() == wrapped
    assert product(x[:0]).shape == (0, 16)


def test_fits_of_too_many_neighbourhoods_leave_maps_out(monkeypatch):
    maps = list(scenes(2, 8))
    whole, half = (known_pixels(m, None, 4, None, 30) for m in (maps, maps[::2]))
    most = (len(whole.distinct.labels) + 1) // 2
    monkeypatch.setattr(_pixels, "MOST_DISTINCT", most)
    some = known_pixels(maps, None, 4, None, 30)
    assert_array_equal(some.distinct.around, half.distinct.around)
    assert some.shapes == half.shapes
    monkeypatch.setattr(_pixels, "MOST_DISTINCT", 1)
    # One of them and its mirror image.
    assert len(known_pixels(maps, None, 4, None, 30).shapes) == 2


def test_what_is_known_of_pixels_is_what_is_around_them():
    maps = list(scenes(2, 3)) + list(scenes(2, 2, (7, 9)))
    pixels = known_pixels(maps, None, 4, None, 30)
    seen = [m[:, ::step] for step in (1, -1) for m in maps]
    fields = [Field(m.shape, 4, 1, m) for m in seen]
    around = np.concatenate([f.neighbours(f.inside()) for f in fields])
    assert_array_equal(pixels.distinct.around[pixels.row_of], around)
    labels = np.concatenate([m.ravel() for m in seen])
    assert_array_equal(pixels.distinct.labels[pixels.row_of], labels)
    assert_array_equal(np.bincount(pixels.row_of), pixels.distinct.counts)


GOLDEN = [2140109369, 3016627974, 1793698468]
