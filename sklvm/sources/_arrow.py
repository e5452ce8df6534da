"""Datasets and files of Arrow: Parquet, Feather, CSV."""

from importlib.util import find_spec
from pathlib import Path

from sklvm._optional import need_arrow
from sklvm.sources._source import RowSource, rows_in_chunk

FORMATS = {".feather": "feather", ".arrow": "ipc", ".csv": "csv"}


class DatasetSource(RowSource):
    """Rows of a `pyarrow.dataset.Dataset`.

    Of Parquet, a row group at a time is in memory.
    """

    def __init__(self, dataset):
        self.dataset, self.columns = dataset, dataset.schema.names

    def chunks(self):
        import pyarrow as pa

        for part, options in self._parts():
            batches = part.to_batches(
                batch_size=rows_in_chunk(len(self.columns)),
                # Arrow's own pool would keep the memory of each.
                memory_pool=pa.system_memory_pool(),
                **options,
            )
            yield from map(as_frame, batches)

    def _parts(self):
        """What is scanned one after the other, and how.

        The scanner of a dataset reads hundreds of megabytes in advance.
        """
        import pyarrow.dataset as ds

        bounded = {"batch_readahead": 0, "use_threads": False}
        try:
            fragments = list(self.dataset.get_fragments())
        except ValueError:  # a query on a dataset has none
            return [(self.dataset, bounded)]
        schema, parts = {"schema": self.dataset.schema}, []
        for fragment in fragments:
            if isinstance(fragment, ds.ParquetFileFragment):
                parts += [(group, schema) for group in fragment.split_by_row_group()]
            else:
                parts.append((fragment, schema | bounded))
        return parts


class ParquetSource(RowSource):
    """Rows of a `pyarrow.parquet.ParquetFile`."""

    def __init__(self, file):
        self.file, self.columns = file, file.schema_arrow.names
        self.n_rows = file.metadata.num_rows

    def chunks(self):
        return map(as_frame, self.file.iter_batches(rows_in_chunk(len(self.columns))))


def source_of_path(path):
    """Rows of a file, or of a folder of files of Parquet."""
    need_arrow(f"Reading the file {str(path)!r}")
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    path = Path(path)
    kind = FORMATS.get(path.suffix, "parquet")
    if kind == "parquet" and path.is_file():
        # So row groups are read bit by bit, however large they are.
        return ParquetSource(pq.ParquetFile(path, pre_buffer=False, buffer_size=2**16))
    return DatasetSource(ds.dataset(path, format=kind))


def as_frame(batch):
    """A batch of Arrow as a DataFrame of pandas or, without it, of polars."""
    if find_spec("pandas") is not None:
        return batch.to_pandas()
    import polars

    return polars.from_arrow(batch)
