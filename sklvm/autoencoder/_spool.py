"""The rows of a source in a temporary file, where a training reads them in any order.

A training passes over the rows dozens of times, in another order each time. So they are
read and encoded once, and written as float32; a memory map of the file is trained on as
an array is, with the same batches and the same result.
"""

from tempfile import TemporaryFile, gettempdir

import numpy as np

from sklvm.neural._device import as_dense
from sklvm.sources._source import tables_of


def spooled(source, encode):
    """A memory map of the encoded rows; the file goes when nothing refers to it.

    Parameters
    ----------
    source : RowSource
    encode : callable
        `encode(table, is_first)` gives the float32 rows of a chunk.
    """
    n_rows, width = 0, None
    with TemporaryFile(prefix="sklvm-") as file:
        for table in tables_of(source):
            rows = as_dense(encode(table, width is None))
            width = rows.shape[1]
            _write(rows, file)
            n_rows += len(rows)
        _check_length(n_rows, source.n_rows)
        file.flush()
        return np.memmap(file, np.float32, mode="r", shape=(n_rows, width))


def _write(rows, file):
    try:
        file.write(np.ascontiguousarray(rows, dtype=np.float32).data)
    except OSError as error:
        raise OSError(
            error.errno,
            f"The rows of X, in float32, do not fit into {gettempdir()} "
            f"({error.strerror}); set the environment variable TMPDIR to a folder "
            "with more room.",
        ) from error


def _check_length(n_rows, expected):
    if expected not in (None, n_rows):
        raise ValueError(
            f"X gave {n_rows} rows and has n_rows={expected}; give a source whose "
            "passes have all of its rows."
        )


def source_moments(source, encode):
    """Means and standard deviations of the columns, NaN apart, in two passes.

    1 for the deviation of a constant. `encode(table)` gives the values of a chunk.
    """
    n, total = source.sum(lambda table: _sums(encode(table)), _added)
    mean = total / n
    _, squares = source.sum(lambda table: _sums((encode(table) - mean) ** 2), _added)
    deviation = np.sqrt(squares / n)
    return mean, np.where(deviation > 0, deviation, 1.0)


def _sums(values):
    return (~np.isnan(values)).sum(axis=0), np.nansum(values, axis=0)


def _added(one, other):
    return one[0] + other[0], one[1] + other[1]
