"""Datasets and files of Arrow: Parquet, Feather, CSV."""

from pathlib import Path

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
        import pyarrow.dataset as ds

        options = None
        if isinstance(getattr(self.dataset, "format", None), ds.ParquetFileFormat):
            options = ds.ParquetFragmentScanOptions(
                pre_buffer=False, use_buffered_stream=True, buffer_size=2**16
            )
        batches = self.dataset.to_batches(
            batch_size=rows_in_chunk(len(self.columns)),
            # Few batches in advance: the default would hold dozens of them, and
            # Arrow's own pool would keep their memory.
            batch_readahead=2,
            fragment_readahead=1,
            fragment_scan_options=options,
            memory_pool=pa.system_memory_pool(),
        )
        return map(as_frame, batches)


class ParquetSource(RowSource):
    """Rows of a `pyarrow.parquet.ParquetFile`."""

    def __init__(self, file):
        self.file, self.columns = file, file.schema_arrow.names
        self.n_rows = file.metadata.num_rows

    def chunks(self):
        return map(as_frame, self.file.iter_batches(rows_in_chunk(len(self.columns))))


def source_of_path(path):
    """Rows of a file, or of a folder of files of Parquet."""
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
    try:
        import pandas  # noqa: F401
    except ImportError:
        import polars

        return polars.from_arrow(batch)
    return batch.to_pandas()
