"""Numbers in streams that tell altered bytes, and those of another model.

They also tell maps of one label, in which there is nothing to code: those of which the
label alone is in the stream, with a checksum over it, are known by that checksum.
"""

import copy
import zlib

import numpy as np

from sklvm.label_maps._range_coder import CodeError

CHECK_BITS = 16
# Odd, and of bits that look random.
STIRRER = 0x9E3779B97F4A7C15


def check_sum(name, shape, *arrays):
    """Two numbers of 16 bits: of a model, the shape of a map, and arrays of numbers."""
    head = np.array([name, *shape], dtype="<u8").tobytes()
    content = [np.ascontiguousarray(array, dtype="<i4").tobytes() for array in arrays]
    return divmod(zlib.crc32(b"".join([head, *content])), 1 << CHECK_BITS)


def digest(arrays):
    """32 bits of arrays, the same on every machine."""
    crc = 0
    for array in map(np.asarray, arrays):
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        crc = zlib.crc32(little.tobytes(), crc)
    return crc


def shape_check(name, shape, stirs):
    """16 bits of a model and the shape of a map.

    Half of a CRC alone changes by a bit or two at some changes of a shape: few altered
    bits made others that passed. Models of earlier versions do not stir it.
    """
    crc = zlib.crc32(np.array([name, *shape], "<u8").tobytes())
    if stirs:
        crc = crc * STIRRER % (1 << 64) >> 64 - CHECK_BITS
    return crc % (1 << CHECK_BITS)


def write_check_sum(coder, numbers):
    for number in numbers:
        coder.uniform(1 << CHECK_BITS, number)


def read_check_sum(coder, known, sees_images=False):
    """The one of `known` that the stream has, or a CodeError."""
    numbers = tuple(coder.uniform(1 << CHECK_BITS) for _ in range(2))
    if numbers not in known:
        image = ", or its image is not that of `encode`" if sees_images else ""
        raise CodeError(
            "its checksum is wrong, as its bytes were altered or another model wrote "
            f"it{image}"
        )
    return numbers


def write_one_label(coder, n_labels, name, labels):
    """The rest of the stream of a map (H, W) of one label."""
    label = coder.uniform(n_labels, int(labels[0, 0]))
    write_check_sum(coder, check_sum(name, labels.shape, label))
    return coder.stream()


def read_one_label(coder, n_labels, name, shape):
    """That label, or None where the rest of the stream is the code of the pixels."""
    coder = copy.copy(coder)
    try:
        label = coder.uniform(n_labels)
        read_check_sum(coder, [check_sum(name, shape, label)])
        coder.check_end()
    except CodeError:
        return None
    return label
