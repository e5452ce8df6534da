"""Results of many rows, written as they come."""

import os

import numpy as np

from sklvm._optional import need_arrow
from sklvm.sources._source import ENDINGS, rows_in_chunk
from sklvm.state._file import check_place


def write(chunks, path, columns=None):
    """Write an iterator of chunks to a Parquet file; the whole is never in memory.

    Row groups are of 8 MB: most readers hold several at a time.

    Parameters
    ----------
    chunks : iterable of arrays or DataFrames
        As the methods of an estimator give them for a source of rows. An array or a
        DataFrame is one chunk.
    path : str or path-like
        If writing fails, it is as it was.
    columns : list of str, default=None
        Names of the columns of arrays. None is their numbers.

    Returns
    -------
    n_rows : int
        Number of rows that were written.

    Raises
    ------
    ImportError
        Without pyarrow: ``pip install "sklvm[arrow]"``.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> from sklvm.sources import write
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "labels.parquet"
    >>> write((np.arange(3) + 3 * i for i in range(4)), path, ["label"])
    12
    """
    need_arrow("sklvm.sources.write")
    path = os.fspath(path)
    _check_path(path)
    _check_chunks(chunks, columns)
    if hasattr(chunks, "shape"):
        chunks = [chunks]
    part = f"{path}.part"
    writer, n = None, 0
    try:
        for chunk in chunks:
            table = _as_arrow(chunk, columns)
            writer = _writer_for(table, part, writer)
            _write_table(writer, table)
            n += table.num_rows
        if writer is None:
            raise ValueError("There are no chunks to write; give one at least.")
        writer.close()
        os.replace(part, path)
    finally:
        if writer is not None:
            writer.close()
        if os.path.exists(part):
            os.remove(part)
    return n


def _check_chunks(chunks, columns):
    if isinstance(columns, str):
        raise TypeError(f"columns={columns!r} is text; give a list, [{columns!r}].")
    if isinstance(chunks, tuple):
        raise TypeError(
            "chunks is a tuple, as `sample` gives rows and components in one; give one "
            "of its tables, such as the first."
        )
    is_table = hasattr(chunks, "shape")
    if hasattr(chunks, "collect") or not (is_table or hasattr(chunks, "__iter__")):
        raise TypeError(
            f"chunks is a {type(chunks).__name__}; give a table in memory, or an "
            "iterator over tables."
        )


def _writer_for(table, path, writer):
    """A writer whose schema has room for the table; what is written stays."""
    if writer is None:
        return _writer(path, table.schema)
    schema = _schema_of_both(writer.schema, table.schema)
    if schema.equals(writer.schema):
        return writer
    # An integer column may have fractions, or text, from some chunk on.
    import pyarrow.parquet as pq

    writer.close()
    narrow = f"{path}.narrow"
    os.replace(path, narrow)
    try:
        writer = _writer(path, schema)
        with pq.ParquetFile(narrow) as file:
            for group in range(file.num_row_groups):
                _write_table(writer, file.read_row_group(group))
    finally:
        os.remove(narrow)
    return writer


def _schema_of_both(one, other):
    import pyarrow as pa

    if sorted(one.names) != sorted(other.names):
        raise ValueError(
            f"chunks has one with the columns {one.names} and one with {other.names}; "
            "give the same columns in all."
        )
    # Text becomes categories where those before were, and categories text.
    fields = [f if pa.types.is_dictionary(f.type) else other.field(f.name) for f in one]
    fields = [
        new.with_type(new.type.value_type)
        if pa.types.is_dictionary(new.type) and not pa.types.is_dictionary(old.type)
        else new
        for old, new in zip(one, fields, strict=True)
    ]
    try:
        return pa.unify_schemas([one, pa.schema(fields)], promote_options="permissive")
    except pa.ArrowTypeError as error:
        raise _of_types(error) from error


def _of_types(error):
    return ValueError(
        f"chunks has one with other types than the others ({error}); give each column "
        "in one type."
    )


def _write_table(writer, table):
    import pyarrow as pa

    try:
        table = table.select(writer.schema.names).cast(writer.schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _of_types(error) from error
    writer.write_table(table, rows_in_chunk(table.num_columns))


def _check_path(path):
    other = next((e for e in ENDINGS if path.endswith(e) and e != ".parquet"), None)
    if other is not None:
        raise ValueError(
            f"path={path!r} ends in {other}, and Parquet is written; give one that "
            "ends in .parquet."
        )
    check_place(path)


def _writer(path, schema):
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Numbers that are all different only grow by a dictionary.
    repeated = [field.name for field in schema if not pa.types.is_floating(field.type)]
    return pq.ParquetWriter(path, schema, use_dictionary=repeated)


def _as_arrow(chunk, columns):
    import pyarrow as pa

    if isinstance(chunk, pa.Table):
        return chunk
    if hasattr(chunk, "to_arrow"):  # of polars
        return chunk.to_arrow()
    if hasattr(chunk, "columns"):
        return pa.Table.from_pandas(chunk, preserve_index=False)
    array = np.asarray(chunk)
    if array.ndim not in (1, 2):
        raise ValueError(
            f"chunks has one of {array.ndim} axes; give arrays of one or two, or "
            "DataFrames."
        )
    array = array[:, np.newaxis] if array.ndim == 1 else array
    names = [str(j) for j in range(array.shape[1])] if columns is None else columns
    if len({*names}) != len(names):
        raise ValueError(f"columns={list(names)} has a name twice; give other names.")
    if len(names) != array.shape[1]:
        raise ValueError(
            f"columns has {len(names)} names; give one for each of the "
            f"{array.shape[1]} columns."
        )
    return pa.table([pa.array(column) for column in array.T], names=list(names))
