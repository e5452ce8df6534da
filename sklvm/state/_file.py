"""The file: safetensors, with the tree in its metadata.

The one entry of the metadata is a text of JSON whose first value is a checksum of all
that follows it and of the arrays. It tells a damaged file, not a forged one.
"""

import hashlib
import os
import secrets
from contextlib import suppress

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save as to_bytes

KEY = "sklvm"
PREFIX, END_OF_CHECKSUM = '{"sha256":"', 75  # 11 characters and 64
# Reading JSON takes up to 70 bytes a value and a few copies of the text: 100 MB.
MOST_VALUES, MOST_BYTES = 2**20, 2**24
# Of pickle, and as joblib compresses it: zlib, gzip, bz2, xz.
PICKLES = b"\x80", b"\x78", b"\x1f\x8b", b"BZh", b"\xfd7z"


def checksum(text, arrays):
    """Of the text behind its place, and of arrays with names, dtypes and shapes."""
    digest = hashlib.sha256(text[END_OF_CHECKSUM:].encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return digest.hexdigest()


def with_checksum(text, arrays):
    """JSON that begins with PREFIX and 64 characters, the checksum put in."""
    return PREFIX + checksum(text, arrays) + text[END_OF_CHECKSUM:]


def pack_bytes(text, arrays):
    """The content of a file."""
    data = to_bytes(arrays, {KEY: text})
    n_bytes = int.from_bytes(data[:8], "little")
    if n_bytes > MOST_BYTES or _n_values(data[8 : 8 + n_bytes]) > MOST_VALUES:
        raise ValueError(
            f"estimator has more than {MOST_VALUES} values that are no arrays, or more "
            f"than {MOST_BYTES >> 20} MB of them; use skops.io.dump or pickle."
        )
    return data


def _n_values(header):
    return header.count(b",") + header.count(b"[") + header.count(b"{")


def read_text(path):
    """The JSON in a file, whose size has been looked at first."""
    size = os.stat(path).st_size
    with open(path, "rb") as file:
        begin = file.read(8)
        n_bytes = int.from_bytes(begin, "little")
        if not 0 < n_bytes <= min(size - 8, MOST_BYTES):
            if begin.startswith(PICKLES):
                raise ValueError("it looks like one of pickle, which joblib.load reads")
            raise ValueError("it is no file of safetensors")
        if _n_values(file.read(n_bytes)) > MOST_VALUES:
            raise ValueError("its header is too large")
    with safe_open(path, framework="numpy") as file:
        text = (file.metadata() or {}).get(KEY, "")
    if not text.startswith(PREFIX):
        raise ValueError("it has been written by something else")
    return text


def read_arrays(path):
    """The arrays of a file by name, no larger than the file."""
    with safe_open(path, framework="numpy") as file:
        return {name: np.array(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118


def check_place(path, name="path"):
    """A file can lie there; else errors would name the temporary one."""
    if not isinstance(path, str | bytes | os.PathLike):
        raise TypeError(f"{name}={path!r} is no path; give the name of a file.")
    # What a link points to, not the link.
    path = os.path.realpath(os.fsdecode(path))
    if os.path.isdir(path):
        raise IsADirectoryError(
            f"{name}={path!r} is a folder; give the name of a file in it."
        )
    if not os.path.isdir(os.path.dirname(path)):
        raise FileNotFoundError(
            f"{name}={path!r} is in no folder that exists; make the folder first."
        )
    if os.path.exists(path) and not os.path.isfile(path):
        # A device, such as /dev/null, would be replaced by a file.
        raise ValueError(
            f"{name}={path!r} is a device or pipe and no file; give the name of a file."
        )
    return path


def write_whole(path, data):
    """Write a file so that it is at any moment the old one or the new one, whole."""
    path = check_place(path)
    temporary = f"{path}.{secrets.token_hex(4)}.tmp"
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    if os.name == "posix":  # the name is on the disk when the folder is
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
