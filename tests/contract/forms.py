"""Forms in which rows of numbers may be given, and the plain array that each means.

A form is a function of a float64 array whose values are multiples of a quarter. It
gives the array in another form, and the plain float64 array that this stands for, or
None where it is no table of numbers and only an error will do.
"""

import datetime
import functools
from decimal import Decimal

import numpy as np
import pandas as pd
import scipy.sparse as sp

from ..networks import HAS_TORCH, torch

FORMS = {}


def form(function):
    FORMS[function.__name__] = function
    return function


def same(name, make):
    """A form with the values of X."""
    FORMS[name] = lambda X: (make(X), X)


def cast(name, dtype, values=lambda X: X):
    """A form of another dtype, whose values are `values(X)`."""

    def make(X):
        given = values(X).astype(dtype)
        return given, given.astype(np.float64)

    FORMS[name] = make


def wrong(name, make):
    """A form that is no table of numbers."""
    FORMS[name] = lambda X: (make(X), None)


def with_gap(X):
    """X without its cell [1, 0], NaN there."""
    X = X.copy()
    X[1, 0] = np.nan
    return X


def gap(name, make):
    """A form in which the cell [1, 0] is missing."""
    FORMS[name] = lambda X: (make(X), with_gap(X))


def whole(X):
    return np.clip(np.rint(X), 0, 100)


# Containers of the same numbers.


class ArrayLike:
    def __init__(self, X):
        self.X = X

    def __array__(self, dtype=None, copy=None):
        return self.X if dtype is None else self.X.astype(dtype)


class Subclass(np.ndarray):
    pass


def strided(X):
    wide = np.full((2 * X.shape[0], 3 * X.shape[1]), 7.0)
    wide[::2, 1::3] = X
    return wide[::2, 1::3]


def read_only(X):
    X = X.copy()
    X.setflags(write=False)
    return X


def object_array(X):
    return X.astype(object)


same("list", lambda X: X.tolist())
same("tuple", lambda X: tuple(map(tuple, X.tolist())))
same("list of arrays", list)
same("Fortran", np.asfortranarray)
same("strided", strided)
same("reversed", lambda X: X[::-1, ::-1].copy()[::-1, ::-1])
same("read-only", read_only)
same("byte-swapped", lambda X: X.astype(">f8"))
same("subclass", lambda X: X.view(Subclass))
same("array-like", ArrayLike)
same("objects", object_array)
same("decimals", lambda X: np.vectorize(Decimal, otypes=[object])(X))
if HAS_TORCH:
    same("tensor", torch.tensor)
    same("tensor with gradient", lambda X: torch.tensor(X, requires_grad=True))
same("frame", pd.DataFrame)
same("frame of objects", lambda X: pd.DataFrame(X, dtype=object))
same("nullable frame", lambda X: pd.DataFrame(X).astype("Float64"))
same("sparse frame", lambda X: pd.DataFrame(X).astype(pd.SparseDtype(float, 0.0)))
same("mask of nothing", lambda X: np.ma.array(X, mask=np.zeros(X.shape, bool)))
same("masked array without a mask", np.ma.array)
for kind in ("csr", "csc", "coo", "lil", "dok", "bsr", "dia"):
    same(f"{kind}_array", getattr(sp, f"{kind}_array"))
    same(f"{kind}_matrix", getattr(sp, f"{kind}_matrix"))


@form
def sparse_with_duplicates(X):
    rows, columns = np.nonzero(np.ones(X.shape))
    halves = np.concatenate([X.ravel(), X.ravel()]) / 2
    at = (np.tile(rows, 2), np.tile(columns, 2))
    return sp.coo_array((halves, at), shape=X.shape), X


# Numbers of other widths.

cast("float16", np.float16)
cast("float32", np.float32)
cast("long double", np.longdouble)
cast("int8", np.int8, whole)
cast("int64", np.int64, whole)
cast("byte-swapped integers", ">i4", whole)
cast("uint64", np.uint64, whole)
cast("booleans", bool, lambda X: X > 0)
same("integers of sparse rows", lambda X: sp.csr_array(X).astype(np.float32))


@form
def nullable_integers(X):
    return pd.DataFrame(whole(X).astype(int)).astype("Int64"), whole(X)


@form
def nullable_booleans(X):
    return pd.DataFrame(X > 0).astype("boolean"), (X > 0).astype(float)


# A cell that is missing.


def with_cell(X, value):
    X = X.astype(object)
    X[1, 0] = value
    return X


def masked(X, hidden=-999.0):
    """A masked array, with a value under the mask that is not to be taken."""
    mask = np.zeros(X.shape, dtype=bool)
    mask[1, 0] = True
    X = X.copy()
    X[1, 0] = hidden
    return np.ma.array(X, mask=mask)


gap("NaN", with_gap)
gap("masked", masked)
gap("masked NaN", lambda X: masked(X, np.nan))
gap("masked infinity", lambda X: masked(X, np.inf))
gap("masked, a valid value below", lambda X: masked(X, X[1, 0]))
gap("masked float32", lambda X: masked(X).astype(np.float32))
gap("masked objects", lambda X: masked(X).astype(object))
gap("masked with a fill value", lambda X: np.ma.array(masked(X), fill_value=3.0))
gap("hard mask, Fortran", lambda X: masked(np.asfortranarray(X)).harden_mask())
gap("list of masked rows", lambda X: list(masked(X)))
gap("None in objects", lambda X: with_cell(X, None))
gap("None in a list", lambda X: with_cell(X, None).tolist())
gap("NaN in a list", lambda X: with_gap(X).tolist())
gap("pd.NA in objects", lambda X: with_cell(X, pd.NA))
gap("pd.NA in a list", lambda X: with_cell(X, pd.NA).tolist())
gap("None in a frame", lambda X: pd.DataFrame(with_cell(X, None)))
gap("pd.NA in a frame", lambda X: pd.DataFrame(with_cell(X, pd.NA)))
gap("nullable with pd.NA", lambda X: pd.DataFrame(with_gap(X)).astype("Float64"))
gap("frame with NaN", lambda X: pd.DataFrame(with_gap(X)))
gap("masked record of one dtype", lambda X: masked(X).view(np.ma.MaskedArray))


@form
def masked_integers(X):
    return masked(whole(X), 77).astype(np.int64), with_gap(whole(X))


@form
def masked_booleans(X):
    return masked((X > 0).astype(float), 1).astype(bool), with_gap((X > 0) * 1.0)


@form
def masked_row(X):
    given, plain = np.ma.array(X, copy=True), X.copy()
    given[1], plain[1] = np.ma.masked, np.nan
    return given, plain


# No tables of numbers.

DAY = datetime.datetime(2020, 1, 1)


def filled(X, value):
    out = np.empty(X.shape, dtype=object)
    out[...] = value
    return out


def records(X):
    names = [f"f{d}" for d in range(X.shape[1])]
    return np.array(list(map(tuple, X)), dtype=[(name, float) for name in names])


def one_longer(X):
    rows = X.tolist()
    rows[1] = [*rows[1], 1.0]
    return rows


wrong("dates", lambda X: whole(X).astype("datetime64[D]"))
wrong("dates of nanoseconds", lambda X: whole(X).astype("datetime64[ns]"))
wrong("time spans", lambda X: whole(X).astype("timedelta64[s]"))
wrong("dates in objects", lambda X: filled(X, DAY))
wrong("one date in objects", lambda X: with_cell(X, DAY))
wrong("dates in a list", lambda X: filled(X, DAY.date()).tolist())
wrong("time spans in objects", lambda X: filled(X, datetime.timedelta(1)))
wrong("NumPy's dates in objects", lambda X: filled(X, np.datetime64("2020-01-01")))
wrong("NaT in objects", lambda X: filled(X, pd.Timestamp(DAY)))
wrong("frame of dates", lambda X: pd.DataFrame(whole(X).astype("datetime64[s]")))
wrong("frame of time spans", lambda X: pd.DataFrame(whole(X).astype("timedelta64[s]")))
wrong("a column of dates", lambda X: pd.DataFrame(X).assign(**{"0": DAY}))
wrong("masked dates", lambda X: np.ma.array(whole(X).astype("datetime64[D]")))
wrong("text", lambda X: np.full(X.shape, "ink"))
wrong("numbers as text", lambda X: X.astype(str))
wrong("numbers as text in a list", lambda X: X.astype(str).tolist())
wrong("text in objects", lambda X: with_cell(X, "ink"))
wrong("number as text in objects", lambda X: with_cell(X, "1.0"))
wrong("text in a list", lambda X: with_cell(X, "ink").tolist())
wrong("frame of text", lambda X: pd.DataFrame(X.astype(str)))
wrong("StringDType", lambda X: X.astype(str).astype(np.dtypes.StringDType()))
wrong("bytes", lambda X: np.full(X.shape, b"ink"))
wrong("numbers as bytes", lambda X: X.astype("S8"))
wrong("bytes in objects", lambda X: with_cell(X, b"ink"))
wrong("number as bytes in objects", lambda X: with_cell(X, b"1"))
wrong("bytes in a list", lambda X: filled(X, b"1").tolist())
wrong("complex", lambda X: X + 1j)
wrong("complex without imaginary part", lambda X: X + 0j)
wrong("complex in objects", lambda X: with_cell(X, 1j))
wrong("complex frame", lambda X: pd.DataFrame(X + 1j))
wrong("sparse complex", lambda X: sp.csr_array(X + 1j))
wrong("records", records)
wrong("record array", lambda X: records(X).view(np.recarray))
wrong("void", lambda X: records(X)[:, np.newaxis])
wrong("a list in a cell", lambda X: with_cell(X, [1.0, 2.0]))
wrong("a dict in a cell", lambda X: with_cell(X, {"a": 1}))
wrong("an object in a cell", lambda X: with_cell(X, object()))
wrong("ragged", one_longer)
wrong("ragged arrays", lambda X: [np.array(row) for row in one_longer(X)])
wrong("no rows", lambda X: X[:0])
wrong("no columns", lambda X: X[:, :0])
wrong("empty list", lambda X: [])
wrong("list of an empty list", lambda X: [[]])
wrong("frame without rows", lambda X: pd.DataFrame(X[:0]))
wrong("sparse without rows", lambda X: sp.csr_array(X[:0]))
wrong("masked without rows", lambda X: np.ma.array(X[:0]))
wrong("None", lambda X: None)
wrong("a number", lambda X: 3.0)
wrong("0-d", lambda X: np.array(3.0))
wrong("a word", lambda X: "ink")
wrong("a bytes object", lambda X: b"ink")
wrong("a generator", lambda X: (row for row in X))
wrong("a set", lambda X: set(X.ravel().tolist()))
wrong("a dict", lambda X: {"a": X[:, 0], "b": X[:, 1]})
wrong("1-d", lambda X: X[0])
wrong("1-d list", lambda X: X[0].tolist())
wrong("1-d masked", lambda X: masked(X)[:, 0])
wrong("Series", lambda X: pd.Series(X[0]))
wrong("3-d", lambda X: X[np.newaxis])
wrong("3-d list", lambda X: [X.tolist()])
wrong("3-d masked", lambda X: masked(X)[np.newaxis])
if HAS_TORCH:
    wrong("1-d tensor", lambda X: torch.tensor(X[0]))
    wrong("3-d tensor", lambda X: torch.tensor(X)[None])
wrong("4-d", lambda X: X[np.newaxis, np.newaxis])
wrong("a column more", lambda X: np.hstack([X, X[:, :1]]))
wrong("a column less", lambda X: X[:, 1:])
wrong("infinite", lambda X: with_cell(X, np.inf).astype(float))
wrong("minus infinite in a list", lambda X: with_cell(X, -np.inf).tolist())
wrong("infinite in a frame", lambda X: pd.DataFrame(with_cell(X, np.inf)))
wrong("infinite sparse", lambda X: sp.csr_array(with_cell(X, np.inf).astype(float)))
wrong("an integer beyond float64", lambda X: with_cell(X, 10**400))
wrong(
    "a long double beyond float64",
    functools.partial(lambda top, X: X + 0 * top + top, np.longdouble("1e4000")),
)


# Forms of one axis: weights, and a y of one column.


def vector_with_gap(y):
    return with_gap(y[:, np.newaxis])[:, 0]


VECTORS = {
    "list": lambda y: (y.tolist(), y),
    "tuple": lambda y: (tuple(y.tolist()), y),
    "objects": lambda y: (y.astype(object), y),
    "decimals": lambda y: ([Decimal(v) for v in y], y),
    "float32": lambda y: (y.astype(np.float32), y),
    "byte-swapped": lambda y: (y.astype(">f8"), y),
    "strided": lambda y: (np.repeat(y, 2)[::2], y),
    "read-only": lambda y: (read_only(y), y),
    "Series": lambda y: (pd.Series(y), y),
    "nullable Series": lambda y: (pd.Series(y).astype("Float64"), y),
    "masked array without a mask": lambda y: (np.ma.array(y), y),
    "masked": lambda y: (masked(y[:, np.newaxis])[:, 0], vector_with_gap(y)),
    "NaN": lambda y: (vector_with_gap(y), vector_with_gap(y)),
    "complex": lambda y: (y + 1j, None),
    "bytes": lambda y: (y.astype("S8"), None),
    "records": lambda y: (records(y[:, np.newaxis]), None),
    "a dict in a cell": lambda y: (with_cell(y[:, np.newaxis], {"a": 1})[:, 0], None),
    "a list in a cell": lambda y: (with_cell(y[:, np.newaxis], [1.0])[:, 0], None),
    "an element less": lambda y: (y[1:], None),
    "empty list": lambda y: ([], None),
    "3-d": lambda y: (y[:, np.newaxis, np.newaxis], None),
    "a word": lambda y: ("ink", None),
    "a dict": lambda y: ({"a": 1.0}, None),
    "a generator": lambda y: (iter(y.tolist()), None),
}
if HAS_TORCH:
    VECTORS["tensor with gradient"] = lambda y: (
        torch.tensor(y, requires_grad=True),
        y,
    )
# No weights, but labels.
TEXT = {
    "text": lambda y: (np.full(len(y), "ink"), None),
    "text in a list": lambda y: (["ink"] * len(y), None),
    "dates": lambda y: (y.astype("datetime64[s]"), None),
    "dates in a list": lambda y: ([DAY.date()] * len(y), None),
    "infinite": lambda y: (y * np.inf, None),
}
