"""Rows that need not be in memory: files, lazy frames, clusters, functions.

Estimators that say so take these wherever they take an array: Arrow datasets (Parquet,
Feather, CSV), LazyFrames of polars, arrays of HDF5 and zarr, arrays and frames of Dask,
and functions that return a fresh iterator of chunks.
"""

from sklvm.sources._source import ChunkSource, RowSource, SliceSource
from sklvm.sources._write import write

__all__ = ["ChunkSource", "RowSource", "SliceSource", "write"]
