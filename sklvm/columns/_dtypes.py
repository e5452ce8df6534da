"""Dtypes and frames of pandas and polars as text, lists and arrays, for fitted state.

What cannot be described so comes back as it is, and pickle has to see to it.
"""

import numpy as np

from sklvm.columns._cells import as_objects
from sklvm.columns._tables import read_table

_ARROW_TEXTS = ("string", "large_string")


def dtype_to_plain(dtype):
    """A list that begins with the library, of pandas or polars; others as they are."""
    library = type(dtype).__module__.partition(".")[0]
    if isinstance(dtype, type):  # polars has classes that stand for their instances
        library = dtype.__module__.partition(".")[0]
    plain = {"pandas": _pandas_to, "polars": _polars_to}.get(library)
    return dtype if plain is None else plain(dtype)


def dtype_from_plain(plain):
    """The way back."""
    if not isinstance(plain, list):
        return plain
    library, *arguments = plain
    return {"pandas": _pandas_from, "polars": _polars_from}[library](*arguments)


def frame_to_plain(frame):
    """A DataFrame by its columns, without its index."""
    table = read_table(frame)
    columns = [_values(table.column(j)) for j in range(len(table.names))]
    dtypes = [dtype_to_plain(table.dtype(j)) for j in range(len(table.names))]
    library = type(frame).__module__.partition(".")[0]
    return {"library": library, "names": list(table.names), "dtypes": dtypes,
            "columns": columns}  # fmt: skip


def frame_from_plain(plain):
    """The way back."""
    names, dtypes = plain["names"], map(dtype_from_plain, plain["dtypes"])
    columns = zip(names, plain["columns"], dtypes, strict=True)
    if plain["library"] == "polars":
        import polars as pl

        return pl.DataFrame([pl.Series(n, x.tolist()).cast(d) for n, x, d in columns])
    import pandas as pd

    series = {j: pd.Series(x, dtype=d) for j, (_, x, d) in enumerate(columns)}
    frame = pd.DataFrame(series)
    frame.columns = pd.Index(names)
    return frame


def _values(column):
    values = column.to_numpy()
    return values if values.dtype.kind in "biuf" else as_objects(column)


def _pandas_to(dtype):
    import pandas as pd

    if isinstance(dtype, pd.CategoricalDtype) and dtype.categories is not None:
        values, inner = dtype.categories.to_numpy(), dtype.categories.dtype
        return ["pandas", "category", values, dtype_to_plain(inner), dtype.ordered]
    if isinstance(dtype, pd.StringDtype):
        return ["pandas", "string", dtype.storage, dtype.na_value is pd.NA]
    if isinstance(dtype, pd.ArrowDtype) and dtype.kind in "UO":
        # Its text, as "string[pyarrow]", is the name of one of pandas' own.
        alias = str(dtype.pyarrow_dtype)
        is_told = alias in _ARROW_TEXTS
        return ["pandas", "arrow", alias] if is_told else dtype
    try:
        is_told = pd.api.types.pandas_dtype(str(dtype)) == dtype
    except TypeError:
        is_told = False
    return ["pandas", "named", str(dtype)] if is_told else dtype


def _pandas_from(sort, *arguments):
    import pandas as pd

    if sort == "category":
        values, inner, ordered = arguments
        categories = pd.Index(values, dtype=dtype_from_plain(inner))
        return pd.CategoricalDtype(categories, ordered)
    if sort == "string":
        storage, is_nullable = arguments
        # pandas before 2.3 has no other, and no such argument.
        other = {} if is_nullable else {"na_value": np.nan}
        return pd.StringDtype(storage, **other)
    (text,) = arguments
    if sort == "arrow" and text in _ARROW_TEXTS:
        import pyarrow as pa

        return pd.ArrowDtype(getattr(pa, text)())
    if not isinstance(text, str):
        raise ValueError("a dtype that is no text")
    return pd.api.types.pandas_dtype(text)


def _polars_to(dtype):
    import polars as pl

    if isinstance(dtype, pl.Enum):
        return ["polars", "Enum", dtype.categories.to_list()]
    name = str(dtype)
    return ["polars", name] if getattr(pl, name, None) == dtype else dtype


def _polars_from(name, *arguments):
    import polars as pl

    dtype = getattr(pl, name)
    if not (isinstance(dtype, type) and issubclass(dtype, pl.DataType)):
        raise ValueError("a dtype that polars does not have")
    return dtype(*arguments)
