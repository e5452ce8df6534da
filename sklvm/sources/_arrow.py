"""Datasets and files of Arrow: Parquet, Feather, CSV."""

from importlib.util import find_spec
from pathlib import Path

from sklvm._optional import need_arrow
from sklvm.sources._source import RowSource, rows_in_chunk

# So that row groups are read bit by bit, however large they are.
IN_PIECES = {"pre_buffer": False, "buffer_size": 2**16}
FORMATS = {".feather": "feather", ".arrow": "ipc", ".csv": "csv"}


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
            yield from self._of_fragment(fragment)

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
        except pa.ArrowInvalid as error:
            if "CSV conversion error" not in str(error):
                raise
            raise ValueError(
                f"{error}, as columns are of the types of the first rows; give "
                "a function such as lambda: pandas.read_csv(path, chunksize=10_000, "
                "dtype=...), or write the file to Parquet."
            ) from None


class ParquetSource(RowSource):
    """Rows of a `pyarrow.parquet.ParquetFile`, or of some of its row groups."""

    def __init__(self, file, row_groups=None):
        self.file, self.columns = file, file.schema_arrow.names
        self.row_groups = row_groups
        self.n_rows = file.metadata.num_rows if row_groups is None else None

    def chunks(self):
        n = rows_in_chunk(len(self.columns))
        return map(as_frame, self.file.iter_batches(n, row_groups=self.row_groups))


def source_of_path(path):
    """Rows of a file, or of a folder of files of Parquet."""
    need_arrow(f"Reading the file {str(path)!r}")
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    path = Path(path)
    kind = FORMATS.get(path.suffix, "parquet")
    if kind == "parquet" and path.is_file():
        return ParquetSource(pq.ParquetFile(path, **IN_PIECES))
    return DatasetSource(ds.dataset(path, format=_csv() if kind == "csv" else kind))


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
