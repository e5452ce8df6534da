"""Peak memory and seconds of one fit from each kind of source, each in its process.

The rows are skewed and ill-conditioned: clusters of unequal size and width, sheared, in
columns of scales from 1e-3 to 1e3; or those of a real table whose columns are nearly
collinear, breast cancer, drawn again and again. They are generated chunk by chunk, so
that no process ever holds them. Peak is anonymous memory, the file cache apart, above
what the imports take. "differs" is the largest difference of a mean from that of the
memory map, in units of its feature's scale.
"""

import json
import subprocess
import sys
import threading
import time
from argparse import SUPPRESS
from pathlib import Path

import numpy as np
from _report import print_header, print_machine, print_row
from sklearn.datasets import load_breast_cancer

KINDS = (
    *("memory map", "path", "Parquet", "Feather", "LazyFrame", "HDF5", "zarr"),
    *("Dask frame", "function"),
)
SCALES = 10.0 ** np.linspace(-3, 3, 32)
CHUNK = 100_000


def sheared(rng, n=CHUNK):
    centres = np.random.default_rng(0).normal(size=(8, 32))
    z = rng.choice(8, p=np.arange(1, 9) / 36, size=n)
    X = rng.normal(size=(n, 32)) * (0.1 + 0.1 * z[:, np.newaxis])
    X[:, 1:] += 0.95 * X[:, :-1]
    return (X + centres[z]) * SCALES


def breast_cancer(rng, n=CHUNK):
    return rng.choice(load_breast_cancer().data, n)


# Each with the number of components and the unit of each column.
TABLES = {
    "sheared": (sheared, 8, SCALES),
    "breast-cancer": (breast_cancer, 2, load_breast_cancer().data.std(axis=0)),
}


def add_arguments(parser):
    parser.add_argument("--folder", type=Path, required=True, help="for 4 GB of files")
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=KINDS)
    parser.add_argument("--table", choices=TABLES, default="sheared")
    parser.add_argument("--child", choices=KINDS, help=SUPPRESS)


def chunks(table, n_rows):
    rows = TABLES[table][0]
    return (rows(np.random.default_rng(seed)) for seed in range(n_rows // CHUNK))


def names(table):
    return [f"x{j}" for j in range(len(TABLES[table][2]))]


def frames(table, n_rows):
    import pandas as pd

    return (pd.DataFrame(X, columns=names(table)) for X in chunks(table, n_rows))


def write(kind, folder, table, n_rows):
    """The rows in a file of the kind, if it is not there yet."""
    import pyarrow as pa

    path = path_of(kind, folder, table, n_rows)
    if path is None or path.exists():
        return
    folder.mkdir(exist_ok=True, parents=True)
    shape = n_rows, len(names(table))
    if kind == "memory map":
        X = np.lib.format.open_memmap(path, "w+", "f8", shape)
        for i, x in enumerate(chunks(table, n_rows)):
            X[i * CHUNK : (i + 1) * CHUNK] = x
    elif kind == "HDF5":
        import h5py

        with h5py.File(path, "w") as file:
            X = file.create_dataset("x", shape, "f8", chunks=(10_000, shape[1]))
            for i, x in enumerate(chunks(table, n_rows)):
                X[i * CHUNK : (i + 1) * CHUNK] = x
    elif kind == "zarr":
        import zarr

        chunk = CHUNK // 2, shape[1]
        X = zarr.create_array(path, shape=shape, chunks=chunk, dtype="f8")
        for i, x in enumerate(chunks(table, n_rows)):
            X[i * CHUNK : (i + 1) * CHUNK] = x
    elif kind == "Feather":
        schema = pa.schema([(name, pa.float64()) for name in names(table)])
        with pa.OSFile(str(path), "w") as file, pa.ipc.new_file(file, schema) as out:
            for frame in frames(table, n_rows):
                out.write_table(pa.Table.from_pandas(frame), max_chunksize=CHUNK // 2)
    else:
        from sklvm.sources import write as write_parquet

        write_parquet(frames(table, n_rows), path)  # row groups of 100,000


def path_of(kind, folder, table, n_rows):
    name = {"memory map": "npy", "HDF5": "h5", "zarr": "zarr", "Feather": "feather"}
    suffix = name.get(kind, "parquet")
    return None if kind == "function" else folder / f"{table}-{n_rows}.{suffix}"


def source(kind, folder, table, n_rows):
    path = path_of(kind, folder, table, n_rows)
    match kind:
        case "memory map":
            return np.load(path, mmap_mode="r")
        case "HDF5":
            import h5py

            return h5py.File(path)["x"]
        case "zarr":
            import zarr

            return zarr.open_array(path, mode="r")
        case "path":
            return path
        case "Feather" | "Parquet":
            import pyarrow.dataset as ds

            return ds.dataset(path, format=kind.lower())
        case "LazyFrame":
            import polars as pl

            return pl.scan_parquet(path)
        case "Dask frame":
            import dask.dataframe as dd

            return dd.read_parquet(path, split_row_groups=1)
        case "function":
            return lambda: chunks(table, n_rows)


class Peak(threading.Thread):
    """The most anonymous memory of this process, looked at again and again."""

    def __init__(self):
        super().__init__(daemon=True)
        self.before = self.now()
        self.most, self.over = 0, threading.Event()

    @staticmethod
    def now():
        with open("/proc/self/status") as lines:
            return next(
                int(line.split()[1]) / 1024 for line in lines if "RssAnon" in line
            )

    def run(self):
        while not self.over.wait(0.005):
            self.most = max(self.most, self.now() - self.before)


def fit(kind, folder, table, n_rows):
    """One fit in this process, told as JSON."""
    from sklvm import GaussianMixtureEM

    X = source(kind, folder, table, n_rows)
    _, n_components, units = TABLES[table]
    est = GaussianMixtureEM(n_components, max_iter=5, tol=0, random_state=0, n_jobs=1)
    peak = Peak()
    peak.start()
    start = time.perf_counter()
    est.fit(X)
    seconds = time.perf_counter() - start
    peak.over.set()
    peak.join()
    means = (est.means_ / units).ravel().tolist()
    print(json.dumps({"seconds": seconds, "peak": peak.most, "means": means}))


def run(arguments):
    rows = arguments.folder, arguments.table, arguments.rows
    if arguments.child:
        import warnings

        warnings.simplefilter("ignore")
        fit(arguments.child, *rows)
        return
    print_machine(1, ["pyarrow", "polars", "h5py", "zarr", "dask"])
    print_header("source", "peak, MB", "seconds", "differs")
    reference = None
    for kind in arguments.kinds:
        write(kind, *rows)
        command = [sys.executable, sys.argv[0], "memory", "--child", kind]
        for option in ("folder", "table", "rows"):
            command += [f"--{option}", str(getattr(arguments, option))]
        out = subprocess.run(command, capture_output=True, text=True, check=True)
        told = json.loads(out.stdout.splitlines()[-1])
        means = np.array(told["means"])
        reference = means if reference is None else reference
        differs = abs(means - reference).max()
        print_row(
            kind, f"{told['peak']:.0f}", f"{told['seconds']:.1f}", f"{differs:.0e}"
        )
