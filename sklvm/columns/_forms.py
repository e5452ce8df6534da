"""Forms in which NumPy would take other values than those that were given.

Of a masked array it takes what lies below the mask, of dates the nanoseconds since
1970, of a list of numbers and words only words. Every table goes through `plain` first.
"""

import sys
from collections.abc import Mapping
from numbers import Number

import numpy as np
from scipy.sparse import issparse

from sklvm.columns._libraries import is_foreign, to_numpy

# Of the paths that `sklvm.sources` reads.
ENDINGS = (".parquet", ".feather", ".arrow", ".csv")
# What has one of them is an array, or will be one.
_ARRAYS = (
    "__array__", "__array_interface__", "__array_struct__", "__array_namespace__",
    "__dataframe__", "__arrow_c_stream__", "__dlpack__", "tocsr",
)  # fmt: skip
_NO_TABLE = (str, bytes, bytearray, dict, set, frozenset)


def plain(X, name="X"):
    """X as a form of which NumPy takes what was meant.

    Lists, masked arrays and tensors become arrays, with NaN (None among objects) where
    there is a mask, tables of Arrow those of pandas. Other frames, sparse matrices and
    plain arrays come back as they are.
    """
    X = frame_of_arrow(X, name)
    if issparse(X):
        _check_dtype(X, name)
        return X
    if isinstance(X, str) and name == "X" and X.endswith(ENDINGS):
        raise TypeError(
            f"X={X!r} is the path of a file, and here rows have to be in memory; give "
            "a table of them."
        )
    if isinstance(X, str) and name == "X":
        raise TypeError(
            f"{name}={X[:100]!r} is text and no table of rows; give an array or a "
            "DataFrame. By their names, mixtures, VAE and GMVAE read files of tables "
            "that end in .parquet, .feather, .arrow or .csv and folders of Parquet "
            "files, and as a pathlib.Path a Parquet file of any name."
        )
    _refuse_dataset(X, name)
    if _is_no_table(X):
        remedy = "give an array or a DataFrame"
        if _holds_arrays(X):
            some = ", ".join(f"{name}[{key!r}]" for key in list(X)[:3])
            remedy = f"give one of its arrays{some and ', as '}{some}"
        raise TypeError(
            f"{name} is a {type(X).__name__} and no table of rows; {remedy}."
        )
    if isinstance(X, list | tuple):
        X = _from_list(X, name)
    elif is_foreign(X):
        X = to_numpy(X)
    elif type(X) is not np.ndarray and has_array(X) and not is_of_frames(X):
        X = _from_array_like(X, name)
    if isinstance(X, np.ma.MaskedArray):
        X = _filled(X)
    if isinstance(X, np.ndarray):
        _check_dtype(X, name)
        # Text of this kind is known to few functions.
        return X.astype(object) if X.dtype.kind == "T" else X
    return X


def _is_no_table(X):
    """Whether it is neither an array nor a sequence of rows, of which NumPy makes one.

    Such as text, an iterator or a file of several arrays.
    """
    if isinstance(X, (*_NO_TABLE, type)) or hasattr(X, "__next__") or _holds_arrays(X):
        return True
    if X is None or isinstance(X, Number) or any(hasattr(X, name) for name in _ARRAYS):
        return False
    return not (hasattr(X, "__len__") and hasattr(X, "__getitem__"))


def _holds_arrays(X):
    """Whether it has arrays by names, as .npz, and groups of HDF5 and zarr have."""
    if isinstance(X, dict | type):
        return False
    is_array = any(hasattr(X, name) for name in _ARRAYS)
    return isinstance(X, Mapping) or (hasattr(X, "keys") and not is_array)


def is_masked(X):
    """Whether it is a masked array, or a list of some, with a mask on any value."""
    if isinstance(X, list | tuple):
        return any(is_masked(row) for row in X)
    return isinstance(X, np.ma.MaskedArray) and bool(np.ma.getmaskarray(X).any())


def has_array(X):
    """Whether an object says itself which array it is, as pictures of Pillow do."""
    return hasattr(X, "__array__") or hasattr(X, "__array_interface__")


def frame_of_arrow(X, name="X"):
    """X as a DataFrame of pandas where it is a table of pyarrow, else X."""
    arrow = sys.modules.get("pyarrow")
    if arrow is None or not isinstance(X, arrow.Table | arrow.RecordBatch):
        return X
    try:
        return X.to_pandas()
    except ImportError:
        raise TypeError(
            f"{name} is a {type(X).__name__} of pyarrow, which pandas reads; install "
            f"pandas, or give polars.from_arrow({name})."
        ) from None


def is_of_frames(X):
    """Whether it belongs to a library of DataFrames, which scikit-learn reads."""
    return type(X).__module__.partition(".")[0] in ("pandas", "polars", "pyarrow")


def _refuse_dataset(X, name):
    """Raise where it is torch's Dataset or DataLoader, of which NumPy takes no rows."""
    utils = sys.modules.get("torch.utils.data")
    if utils is not None and isinstance(X, utils.Dataset | utils.DataLoader):
        rows = f"torch.{'stack' if isinstance(X, utils.Dataset) else 'cat'}"
        raise TypeError(
            f"{name} is a {type(X).__name__} of torch and no table of rows; give its "
            f"rows as one tensor, as by {rows}([x for x, *_ in {name}]).flatten(1)."
        )


def _from_list(X, name):
    if len(X) and isinstance(X[0], Mapping):
        raise TypeError(
            f"{name} is a list of rows by the names of columns; give pandas.DataFrame"
            f"({name})."
        )
    if any(isinstance(row, np.ma.MaskedArray) for row in X):
        # As each is filled first, NumPy's rules for the common dtype hold.
        X = [_filled(row) if isinstance(row, np.ma.MaskedArray) else row for row in X]
    try:
        array = np.array(X)
    except ValueError:
        raise ValueError(
            f"{name} has rows of different lengths or depths; give as many values in "
            "each row as there are columns, NaN where one is missing."
        ) from None
    except Exception as error:
        raise _not_read(X, name, error) from error
    only_text = array.ndim == 1 and all(isinstance(value, str) for value in X)
    if array.dtype.kind in "USO" and array.ndim in (1, 2) and not only_text:
        # NumPy alone would make all of a list of numbers and strings text.
        return np.array(X, dtype=object)
    return array


def _from_array_like(X, name):
    """The array of a tensor or of anything else that can be one."""
    try:
        X = to_numpy(X)
        return X if isinstance(X, np.ndarray) else np.asarray(X)
    except Exception as error:
        raise _not_read(X, name, error) from error


def _not_read(X, name, error):
    return TypeError(
        f"{name} is a {type(X).__name__} of which NumPy makes no array ("
        f"{str(error).splitlines()[0] if str(error) else error!r}); give an array of "
        "numbers or a DataFrame."
    )


def _filled(X):
    """A masked array with NaN, or None among objects, in place of the mask."""
    values, mask = np.ma.getdata(X), np.ma.getmaskarray(X)
    if X.dtype.kind in "biu" and mask.any():
        values = values.astype(np.float64)
    elif X.dtype.kind in "US" and mask.any():
        values = values.astype(object)
    if X.dtype.names is not None or not mask.any():
        return np.array(values)
    values = np.array(values)
    missing = {"O": None, "M": np.datetime64("NaT"), "m": np.timedelta64("NaT")}
    values[mask] = missing.get(values.dtype.kind, np.nan)
    return values


def _check_dtype(X, name):
    """No dtype that is neither numbers, text, dates nor objects."""
    if X.dtype.kind in "biufOMm":
        return
    if X.dtype.kind == "c":
        raise ValueError(
            f"Complex data not supported: {name} has complex numbers; give the real "
            "and the imaginary part as columns of their own."
        )
    if X.dtype.kind == "S":
        raise ValueError(
            f"{name} has bytes ({X.dtype}); decode them to numbers or text, as by "
            f"{name}.astype(str)."
        )
    if X.dtype.kind == "V":
        raise ValueError(
            f"{name} is an array of records ({X.dtype!s:.60}); give a DataFrame, or "
            "numpy.lib.recfunctions.structured_to_unstructured of it."
        )
