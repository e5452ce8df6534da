"""Datasets and files of Arrow: Parquet, Feather, CSV."""

import os
import re
from importlib.util import find_spec
from pathlib import Path

from sklvm._optional import need_arrow
from sklvm.sources._source import RowSource, rows_in_chunk

# So that row groups are read bit by bit, however large they are.
IN_PIECES = {"pre_buffer": False, "buffer_size": 2**16}
FORMATS = {".feather": "feather", ".arrow": "ipc", ".csv": "csv"}
# "s3://...", also as a Path; a disk of Windows has one letter.
ADDRESS = re.compile(r"[A-Za-z][\w+.-]+:/")


class DatasetSource(RowSource):
    """Rows of a `pyarrow.dataset.Dataset`."""

    def __init__(self, dataset):
        self.dataset, self.columns = dataset, dataset.schema.names

    def chunks(self):
        try:
            fragments = list(self.dataset.get_fragments())
        except ValueError:  # a query on a dataset has none
            yield from self._scanned(self.dataset)
            return
        for fragment in fragments:
            self._check_columns(fragment, fragments[0])
            yield from self._of_fragment(fragment)

    def _check_columns(self, fragment, first):
        """A file has no column that the first one lacks, as Arrow would leave it out.

        Of columns that the first one has, too, the user has chosen some by a schema.
        """
        if fragment is first:
            return
        schema = fragment.physical_schema
        index = (schema.pandas_metadata or {}).get("index_columns", ())
        known = [*self.columns, *first.physical_schema.names, *index]
        more = [name for name in schema.names if name not in known]
        if more:
            raise ValueError(
                f"X has the column {more[0]!r} in {fragment.path!r} and not in its "
                "first file; write files of the same columns, or give a "
                "pyarrow.dataset.dataset(X, schema=...) with all that are meant."
            )

    def _of_fragment(self, fragment):
        import pyarrow.dataset as ds
        import pyarrow.parquet as pq

        schema = self.dataset.schema
        if not isinstance(fragment, ds.ParquetFileFragment):
            yield from self._scanned(fragment, schema=schema)
            return
        with fragment.open() as file:
            parquet = pq.ParquetFile(file, **IN_PIECES)
            adds_nothing = fragment.partition_expression.equals(ds.scalar(True))
            if adds_nothing and parquet.schema_arrow.equals(schema):
                groups = [group.id for group in fragment.row_groups]
                yield from ParquetSource(parquet, groups).chunks()
                return
        # Columns are added or cast; a row group at a time is in memory.
        for group in fragment.split_by_row_group():
            yield from self._scanned(group, schema=schema)

    def _scanned(self, part, **options):
        import pyarrow as pa

        batches = part.to_batches(
            batch_size=rows_in_chunk(len(self.columns)),
            # Arrow's own pool would keep the memory of each.
            memory_pool=pa.system_memory_pool(),
            # The scanner reads hundreds of megabytes in advance.
            batch_readahead=0,
            use_threads=False,
            **options,
        )
        try:
            yield from map(as_frame, batches)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            if "CSV" in str(error):
                raise _of_rows(str(error)) from None
            where = getattr(part, "path", "a file")
            raise ValueError(
                f"X has columns of other types in {where!r} than in its schema, which "
                f"is that of the first file if none is given ({error}); give a "
                "pyarrow.dataset.dataset(X, schema=...) with types that hold all."
            ) from error


class ParquetSource(RowSource):
    """Rows of a `pyarrow.parquet.ParquetFile`, or of some of its row groups."""

    def __init__(self, file, row_groups=None):
        self.file, self.columns = file, file.schema_arrow.names
        self.row_groups = row_groups
        self.n_rows = file.metadata.num_rows if row_groups is None else None

    def chunks(self):
        n = rows_in_chunk(len(self.columns))
        return map(as_frame, self.file.iter_batches(n, row_groups=self.row_groups))


def _of_rows(error):
    """The error of a CSV file whose first rows could be read."""
    if "UTF8" in error:
        return _other_csv(error, "encoding")
    if "conversion error" in error:
        why = "as columns are of the types of the first rows"
        return _other_csv(f"{error}, {why}", "dtype")
    return _other_csv(error, "on_bad_lines")


def _other_csv(what, option):
    """The error of a CSV file that pandas reads with this option."""
    return ValueError(
        f"{what}; give a function such as lambda: pandas.read_csv(path, "
        f"chunksize=10_000, {option}=...), or write the file to Parquet."
    )


def source_of_path(path):
    """Rows of a file, or of a folder of files of Parquet."""
    need_arrow(f"Reading the file {str(path)!r}")
    import pyarrow as pa

    _check_exists(str(path))
    path = Path(os.path.expanduser(path))
    kind = FORMATS.get(path.suffix, "parquet")
    try:
        return _opened(path, kind)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        reason = str(error).rpartition("Invalid: ")[2].rstrip(".")
        what = f"X={str(path)!r} cannot be read as {kind} ({reason})"
        if kind == "csv":
            is_text = isinstance(error, pa.ArrowInvalid)
            raise _other_csv(what, "sep" if is_text else "encoding") from None
        raise ValueError(f"{what}; write the table to Parquet anew.") from None


def _check_exists(path):
    if ADDRESS.match(path):
        raise ValueError(
            f"X={path!r} is an address and no path of a file; give a LazyFrame of it, "
            "as polars.scan_parquet does, or a pyarrow.dataset.dataset."
        )
    if not os.path.exists(os.path.expanduser(path)):
        raise FileNotFoundError(
            f"X={path!r} is no file; give the path of one, of many files that of their "
            "folder or a pyarrow.dataset.dataset of their paths."
        )


def _opened(path, kind):
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    if kind == "parquet" and path.is_file():
        return ParquetSource(pq.ParquetFile(path, **IN_PIECES))
    source = DatasetSource(ds.dataset(path, format=_csv() if kind == "csv" else kind))
    if kind == "csv":
        _check_header(source.dataset.schema, f"X={str(path)!r}")
    return source


def _check_header(schema, what):
    import pyarrow as pa

    if _are_values(schema.names):
        raise _other_csv(f"{what} has a row of values for a header", "header")
    if any(map(pa.types.is_binary, schema.types)):
        raise _other_csv(f"{what} has text that is not UTF-8", "encoding")


def _are_values(names):
    """Whether names are numbers, not all of them whole ones as years are."""
    try:
        numbers = [float(name) for name in names]
    except ValueError:
        return False
    return any(number % 1 != 0 for number in numbers)


def _csv():
    """CSV files in which the same cells are missing as in those of pandas."""
    import pyarrow.dataset as ds
    from pyarrow import csv

    null_values = [*csv.ConvertOptions().null_values, "None", "<NA>"]
    options = csv.ConvertOptions(strings_can_be_null=True, null_values=null_values)
    return ds.CsvFileFormat(convert_options=options)


def as_frame(batch):
    """A batch of Arrow as a DataFrame of pandas or, without it, of polars."""
    if find_spec("pandas") is not None:
        return batch.to_pandas()
    import polars

    return polars.from_arrow(batch)
