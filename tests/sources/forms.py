"""The same rows from every kind of source."""

import numpy as np

from sklvm.sources import ChunkSource, SliceSource

KINDS = [
    "memory map",
    "dataset",
    "Parquet file",
    "path",
    "Feather",
    "LazyFrame",
    "Dask array",
    "Dask frame",
    "HDF5",
    "zarr",
    "function",
    "slices",
]
OF_NUMBERS = ["memory map", "Dask array", "HDF5", "zarr", "function", "slices"]
OF_FRAMES = [kind for kind in KINDS if kind not in OF_NUMBERS]


def names_of(X):
    return [f"x{j}" for j in range(X.shape[1])]


def source_of(X, kind, folder, size=700):
    """An array or a DataFrame of pandas as a source of `kind`."""
    if hasattr(X, "iloc"):
        return frame_source(X, kind, folder, size)
    if kind not in OF_NUMBERS:
        import pandas as pd

        return frame_source(pd.DataFrame(X, columns=names_of(X)), kind, folder, size)
    match kind:
        case "memory map":
            np.save(folder / "x.npy", X)
            return np.load(folder / "x.npy", mmap_mode="r")
        case "Dask array":
            import dask.array as da

            return da.from_array(X, chunks=(size, 2))
        case "HDF5":
            import h5py

            file = h5py.File(folder / "x.h5", "w")
            return file.create_dataset("x", data=X, chunks=(size, X.shape[1]))
        case "zarr":
            import zarr

            chunks = (size, X.shape[1])
            array = zarr.create_array(
                folder / "x.zarr", shape=X.shape, chunks=chunks, dtype=X.dtype
            )
            array[:] = X
            return array
        case "function":
            return lambda: (X[i : i + size] for i in range(0, len(X), size))
        case "slices":
            return SliceSource(X)


def frame_source(frame, kind, folder, size):
    match kind:
        case "dataset":
            import pyarrow.dataset as ds

            frame.to_parquet(folder / "x.parquet", row_group_size=size)
            return ds.dataset(folder / "x.parquet")
        case "Parquet file":
            import pyarrow.parquet as pq

            frame.to_parquet(folder / "x.parquet", row_group_size=size)
            return pq.ParquetFile(folder / "x.parquet")
        case "path":
            frame.to_parquet(folder / "x.parquet", row_group_size=size)
            return folder / "x.parquet"
        case "Feather":
            import pyarrow.dataset as ds

            frame.to_feather(folder / "x.feather")
            return ds.dataset(folder / "x.feather", format="feather")
        case "LazyFrame":
            import polars as pl

            frame.to_parquet(folder / "x.parquet")
            return pl.scan_parquet(folder / "x.parquet")
        case "Dask frame":
            import dask.dataframe as dd

            return dd.from_pandas(frame, chunksize=size)
        case "function":
            n = len(frame)
            return ChunkSource(
                lambda: (frame.iloc[i : i + size] for i in range(0, n, size)), n
            )
