"""Streams of bytes at the public edge."""

from collections.abc import Sequence
from contextlib import contextmanager

import numpy as np

from sklvm.columns._forms import is_of_frames
from sklvm.label_maps._range_coder import ZERO, CodeError


def check_streams(streams):
    """A list of one or more streams, as a list of bytes for a `Decoder`."""
    if isinstance(streams, bytes | bytearray | memoryview):
        raise ValueError(
            f"streams={streams!r:.40} is bytes; give a list, [stream] of a single one."
        )
    is_array = is_of_frames(streams) or isinstance(streams, np.ndarray)
    if is_array and np.ndim(streams) == 1:
        streams = list(streams)
    if not isinstance(streams, Sequence) or not len(streams):
        raise ValueError(
            f"streams={streams!r:.40} must be a list of one or more bytes objects."
        )
    for number, data in enumerate(streams):
        if not isinstance(data, bytes | bytearray | memoryview):
            raise ValueError(
                f"Stream {number} is {type(data).__name__}, not bytes; give it as "
                "encode has given it."
            )
        if not len(data):
            raise ValueError(
                f"Stream {number} is empty, and encode writes one byte or more; give "
                "it as encode has given it."
            )
    return [b"" if data == ZERO else bytes(data) for data in streams]


@contextmanager
def naming(number):
    """Say which stream it is whose bytes are not a code."""
    try:
        yield
    except CodeError as error:
        raise ValueError(
            f"Stream {number} is not what encode has written with this model: {error}; "
            "give it as it was written."
        ) from None
