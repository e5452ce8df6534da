"""Datasets and files of Arrow: Parquet, Feather, CSV."""

from sklvm.sources._source import RowSource, rows_in_chunk


class DatasetSource(RowSource):
    """Rows of a `pyarrow.dataset.Dataset`."""

    def __init__(self, dataset):
        self.dataset, self.columns = dataset, dataset.schema.names

    def chunks(self):
        batches = self.dataset.to_batches(
            batch_size=rows_in_chunk(len(self.columns)),
            # Few batches in advance: the default would hold dozens of them.
            batch_readahead=2,
            fragment_readahead=1,
        )
        return map(as_frame, batches)


class ParquetSource(RowSource):
    """Rows of a `pyarrow.parquet.ParquetFile`."""

    def __init__(self, file):
        self.file, self.columns = file, file.schema_arrow.names
        self.n_rows = file.metadata.num_rows

    def chunks(self):
        return map(as_frame, self.file.iter_batches(rows_in_chunk(len(self.columns))))


def as_frame(batch):
    """A batch of Arrow as a DataFrame of pandas or, without it, of polars."""
    try:
        import pandas  # noqa: F401
    except ImportError:
        import polars

        return polars.from_arrow(batch)
    return batch.to_pandas()
