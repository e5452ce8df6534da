"""LazyFrames of polars."""

from sklvm.sources._source import RowSource, rows_in_chunk


class LazyFrameSource(RowSource):
    """Rows of a `polars.LazyFrame`, collected batch by batch."""

    def __init__(self, frame):
        self.frame, self.columns = frame, frame.collect_schema().names()

    def chunks(self):
        n = rows_in_chunk(len(self.columns))
        # `lazy` only begins the query at the first batch, and holds fewer of them.
        for frame in self.frame.collect_batches(chunk_size=n, lazy=True):
            # A batch may be larger than it was asked to be.
            yield from frame.iter_slices(n)
