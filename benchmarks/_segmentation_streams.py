"""Bytes that nobody has encoded: a valid map or a ValueError, soon, in little memory.

A third of the streams are random bytes, a third real streams cut short, a third real
streams with a few bits flipped; each is decoded alone. Real streams are of all four
modes, with and without a residual that makes them lossless and with and without a
checksum, which is demanded where there was one, of maps of the fit and of larger ones
of four tiles. Anything but a valid map or a ValueError stops the run. So that as many
streams as that take minutes, the maps are small, every second pixel of CamVid's,
45 x 60, the networks narrow, and the training short.

With `--codec maps` the same of `LabelMapCodec`, on every sixth pixel, with and without
a checksum, and with streams of maps of another shape.

The address space is limited while streams are decoded, so that a large allocation
fails, and a failure is no ValueError. That and the peak of the resident memory are
known on Linux only.
"""

import resource
import time
import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np
import torch
from _data import camvid_maps
from _report import print_header, print_machine, print_row
from _segmentation_model import (
    MACHINE_PACKAGES,
    add_model_arguments,
    fitted,
    parts,
    rows,
)
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sklvm import LabelMapCodec

THINNING, MAPS_THINNING = 2, 6
CHANNELS = (16, 24, 32)
LONGEST = 400
MOST_FLIPPED = 8
WEIGHTS = (0.5, 2.0, 8.0)
MODES = {
    "": {},
    "checksum": {"checksum": True},
    "lossless": {"lossless": True},
    "lossless, checksum": {"lossless": True, "checksum": True},
}
N_WARM = 200
ROOM_MB = 100
AIMS = f"no crash, no decoding over a second, no allocation over {ROOM_MB} MB"


@dataclass
class Real:
    """A stream that encode has written, and the map that it stands for."""

    mode: str
    data: bytes
    decoded: np.ndarray


@dataclass
class Tally:
    """What became of the streams of one kind."""

    outcomes: Counter = field(default_factory=Counter)
    seconds: list = field(default_factory=list)


# The streams --------------------------------------------------------------------------


def real_streams(model, maps):
    """Of a SparseSegmentationRDA: maps of the fit, and four of them side by side."""
    fours = maps[: len(maps) // 4 * 4].reshape(-1, 2, 2, *maps.shape[1:])
    large = [np.block([list(above), list(below)]) for above, below in fours]
    streams = []
    for weight in WEIGHTS:
        model.set_params(distortion_weight=weight)
        for mode, options in MODES.items():
            for X in (rows(maps), large):
                data = model.encode(X, **options)
                streams += map(Real, [mode] * len(data), data, model.decode(data))
    return streams


def real_streams_of_maps(codec, maps):
    """Of a LabelMapCodec: maps of the shape of the fit, and parts of them."""
    parts = [[labels] for labels in maps] + [[labels[:7, :9]] for labels in maps[:20]]
    streams = []
    for part in parts:
        for mode in ("checksum", ""):
            (data,) = codec.encode(part, checksum=bool(mode))
            streams.append(Real(mode, data, part[0]))
    return streams


def random_bytes(reals, rng):
    return rng.bytes(rng.integers(LONGEST + 1)), None


def cut_short(reals, rng):
    real = reals[rng.integers(len(reals))]
    return real.data[: rng.integers(len(real.data))], real


def flipped(reals, rng):
    real = reals[rng.integers(len(reals))]
    bits = np.unpackbits(np.frombuffer(real.data, dtype=np.uint8))
    n_flipped = min(rng.integers(1, MOST_FLIPPED + 1), len(bits))
    bits[rng.choice(len(bits), n_flipped, replace=False)] ^= 1
    return np.packbits(bits).tobytes(), real


KINDS = {"random bytes": random_bytes, "cut short": cut_short, "flipped": flipped}


# Decoding them ------------------------------------------------------------------------


def outcome(model, data, real):
    """ "ValueError", or which map; whatever else there is goes on to the top."""
    asks_for_checksum = real is not None and "checksum" in real.mode
    try:
        maps = model.decode([data], checksum=asks_for_checksum)
    except ValueError:
        return "ValueError"
    check_valid(model, maps)
    if real is None:
        return "a map"
    is_same = maps[0].shape == real.decoded.shape and (maps[0] == real.decoded).all()
    return "the same map" if is_same else "another map"


def check_valid(model, maps):
    if not np.isin(maps[0], model.classes_).all():
        raise AssertionError("A map has labels that are none.")


def decode_all(model, reals, n_streams, seed):
    """{kind of stream: Tally}."""
    rng = np.random.default_rng(seed)
    tallies = defaultdict(Tally)
    makers = list(KINDS.items())
    for number in range(n_streams):
        kind, make = makers[number % len(makers)]
        data, real = make(reals, rng)
        start = time.perf_counter()
        result = outcome(model, data, real)
        seconds = time.perf_counter() - start
        if real is not None and real.mode:
            kind = f"{kind}; {real.mode}"
        tallies[kind].outcomes[result] += 1
        tallies[kind].seconds.append(seconds)
    return tallies


def resident_peak():
    """Of this process, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


class LimitedMemory:
    """No more address space in the block than there is at its beginning, and a bit."""

    def __enter__(self):
        with open("/proc/self/status") as lines:
            kilobytes = next(line.split()[1] for line in lines if "VmSize" in line)
        limit = int(kilobytes) * 1000 + ROOM_MB * 10**6
        self.before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (limit, self.before[1]))

    def __exit__(self, *exception):
        resource.setrlimit(resource.RLIMIT_AS, self.before)


# The table ----------------------------------------------------------------------------


def print_tallies(tallies):
    outcomes = ("ValueError", "a map", "the same map", "another map")
    print_header("streams", "number", *outcomes, "mean s", "slowest s")
    for kind, tally in sorted(tallies.items()):
        print_row(
            kind,
            tally.outcomes.total(),
            *(tally.outcomes[name] for name in outcomes),
            f"{np.mean(tally.seconds):.4f}",
            f"{max(tally.seconds):.4f}",
        )
    slowest = max(max(tally.seconds) for tally in tallies.values())
    total = sum(tally.outcomes.total() for tally in tallies.values())
    print(f"\n{total} streams, the slowest {slowest:.3f} s.", flush=True)


def add_arguments(parser):
    add_model_arguments(parser, epochs=10)
    parser.add_argument("--streams", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--codec", choices=["seeds", "maps"], default="seeds")


def run(arguments):
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore", ConvergenceWarning)
    with threadpool_limits(arguments.threads):
        print_machine(arguments.threads, MACHINE_PACKAGES)
        thinning = THINNING if arguments.codec == "seeds" else MAPS_THINNING
        train, val = (
            maps[:, ::thinning, ::thinning]
            for maps in parts(arguments, *camvid_maps(arguments.data))
        )
        if arguments.codec == "maps":
            model = LabelMapCodec().fit(train)
            reals = real_streams_of_maps(model, val)
        else:
            model = fitted(arguments.model, train, arguments.epochs, channels=CHANNELS)
            reals = real_streams(model, val)
        # What is set up once is no part of it.
        decode_all(model, reals, N_WARM, arguments.seed + 1)
        before = resident_peak()
        with LimitedMemory():
            tallies = decode_all(model, reals, arguments.streams, arguments.seed)
        print_tallies(tallies)
    print(
        f"\nThe resident memory's peak rose by {resident_peak() - before:.1f} MB over "
        f"that of encoding and {N_WARM} streams; the address space was limited to "
        f"{ROOM_MB} MB above what it was then."
    )
    print(f"\nAims: {AIMS}.")
