"""Files with random damage, which a reader has to survive.

Half of them have their checksum repaired, as a forger would, so that what lies behind
the checksum is reached too.
"""

import copy
import json
import struct

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as arrays_of

from sklvm.state._file import KEY, PREFIX, pack_bytes, with_checksum

# What JSON may hold in place of something else.
ODD = [
    None, True, -1, 0, 3, 2**63, 10**30, 1.5, "", "x", "sklvm.VAE", "torch.nn.Linear",
    [], {}, [[]], {"ref": 0}, {"ref": -1}, {"tuple": []}, {"class": 0}, {"array": "x"},
    {"object": [0, {}]}, {"named": [0, []]}, {"dtype": "O"}, {"slice": [1]},
    {"float": "inf"}, {"kind": {}}, {"bytes": "zz"}, {"other": 0}, {"tensor": 1},
    {"parameter": [True, None]}, {"torch_generator": ["cpu", []]}, {"range": [0, 9, 0]},
    {"device": "meta"}, {"history": 3}, {"random_state": {}}, {"size": [1, 2]},
]  # fmt: skip


def text_of(data):
    """The JSON in a file's bytes."""
    (n_bytes,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + n_bytes])["__metadata__"][KEY]


def repaired(text, arrays):
    """A file of a changed text and arrays whose checksum is right."""
    if not text.startswith(PREFIX):
        return None
    try:
        return pack_bytes(with_checksum(text, arrays), arrays)
    except (SafetensorError, ValueError, UnicodeError):
        return None


def damaged_bytes(data, rng):
    """Bytes changed, cut off, put in or swapped."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        # Most of the damage is done where the header is.
        end = len(data) if rng.random() < 0.3 else min(len(data), 4000)
        i = int(rng.integers(max(end, 1)))
        match rng.integers(5):
            case 0:
                data[i : i + 1] = bytes([rng.integers(256)])
            case 1:
                del data[i:]
            case 2:
                data[i:i] = rng.bytes(rng.integers(1, 9))
            case 3:
                data[i : i + 8] = struct.pack("<Q", int(rng.integers(2**62)))
            case 4:
                j = int(rng.integers(max(len(data), 1)))
                data[i : i + 20], data[j : j + 20] = data[j : j + 20], data[i : i + 20]
    return bytes(data)


def damaged_text(text, rng):
    """The text with characters changed; it need not be JSON any more."""
    i = int(rng.integers(75, len(text)))
    j = min(len(text), i + int(rng.integers(6)))
    puts = ["", "0", "9", "]", "}", '"', ",", "-", "a", "[[", '{"ref":', "1e9"]
    put = puts[rng.integers(len(puts))]
    return text[:i] + put + text[j:]


def damaged_tree(text, rng):
    """The text of a tree in which some nodes are others."""
    document = json.loads(text)
    for _ in range(rng.integers(1, 4)):
        where, key = _some_place(document, rng)
        if rng.random() < 0.2:
            other, from_ = _some_place(document, rng)
            where[key] = json.loads(json.dumps(other[from_]))
        elif rng.random() < 0.2:
            del where[key]
        else:
            where[key] = copy.deepcopy(ODD[rng.integers(len(ODD))])
    return json.dumps(document, separators=(",", ":"))


def _some_place(document, rng):
    """A container in the document, and a key in it; deep ones as often as others."""
    containers, stack = [], [document]
    while stack:
        node = stack.pop()
        if isinstance(node, dict | list) and node:
            containers.append(node)
            stack.extend(node.values() if isinstance(node, dict) else node)
    node = containers[rng.integers(len(containers))]
    keys = list(node) if isinstance(node, dict) else range(len(node))
    return node, keys[rng.integers(len(keys))]


def damaged_arrays(arrays, rng):
    """The arrays with one lost, of another shape, dtype, or other numbers."""
    arrays = dict(arrays)
    name = list(arrays)[rng.integers(len(arrays))]
    array = arrays[name]
    match rng.integers(4):
        case 0:
            del arrays[name]
        case 1:
            arrays[name] = array.reshape(-1)[: rng.integers(array.size + 1)].copy()
        case 2:
            dtypes = [np.int64, np.float32, np.uint8, np.float64, np.bool_]
            arrays[name] = np.ones(array.shape, dtypes[rng.integers(5)])
        case 3:
            raw = rng.bytes(array.nbytes)
            arrays[name] = np.frombuffer(raw, array.dtype).reshape(array.shape)
    return arrays


def damaged(data, rng):
    """A damaged file of these bytes, or None where it cannot be written."""
    text = text_of(data)
    with np.errstate(all="ignore"):
        match rng.integers(4):
            case 0:
                return damaged_bytes(data, rng)
            case 1:
                return repaired(damaged_text(text, rng), arrays_of(data))
            case 2:
                return repaired(damaged_tree(text, rng), arrays_of(data))
            case 3:
                return repaired(text, damaged_arrays(arrays_of(data), rng))
