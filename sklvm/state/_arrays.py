"""Arrays of any dtype as arrays of plain numbers, which safetensors can hold."""

import numpy as np

# What safetensors holds as it is.
PLAIN = {
    np.dtype(name)
    for name in (
        *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32"),
        *("int64", "uint64", "float16", "float32", "float64"),
    )
}
# Others of a fixed width: text, bytes, complex numbers, dates. They are kept as bytes.
FIXED = "USfcmM"


def take_apart(array):
    """(plain array, how it was); None in place of both for arrays of objects."""
    dtype = array.dtype
    native = dtype.newbyteorder("=")
    if native in PLAIN:
        how = {}
        # Products of matrices may round differently where the order is another.
        if array.flags.f_contiguous and not array.flags.c_contiguous:
            array, how = array.T, {"order": "F"}
        if dtype.str[0] == ">":
            how["dtype"] = dtype.str
        plain = np.ascontiguousarray(array, native).reshape(array.shape)
        return plain, how
    if dtype.kind in FIXED and dtype.names is None:
        raw = np.frombuffer(array.tobytes(), np.uint8)
        return raw, {"dtype": dtype.str, "shape": list(array.shape)}
    return None


def put_together(plain, how):
    """The array that was taken apart, over the memory of `plain`."""
    if "shape" in how:
        dtype = np.dtype(how["dtype"])
        if dtype.kind not in FIXED:
            raise ValueError("an array of an unknown kind")
        # Not through `frombuffer`, whose arrays cannot be written to.
        return plain.view(dtype).reshape(how["shape"])
    if "dtype" in how:
        dtype = np.dtype(how["dtype"])
        if dtype.newbyteorder("=") != plain.dtype:
            raise ValueError("an array of another dtype than is said")
        plain = plain.astype(dtype)
    return plain.T if how.get("order") == "F" else plain
