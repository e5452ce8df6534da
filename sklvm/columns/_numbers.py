"""Rows and other arguments of numbers at the public edge, whatever their form."""

import numpy as np
from scipy.sparse import issparse

from sklvm._alone import check_array, validate_data
from sklvm.columns._cells import object_cells
from sklvm.columns._forms import is_masked, is_of_frames, plain
from sklvm.columns._tables import numeric_cells, read_table

# What a column that holds no numbers has, and the remedy.
NO_NUMBERS = {
    "date": ("dates or times", "turn them into numbers, such as days since a date"),
    "text": (
        "text",
        "encode it as numbers, as by OrdinalEncoder, with NaN where it is missing",
    ),
    "category": ("categories", "encode them as numbers, as by OrdinalEncoder"),
}

# Most numbers of an X that is looked at before scikit-learn's checks.
FEW = 10_000


def is_few_numbers(array, allow_nan=False):
    """Whether it is a small array of finite numbers, with which nothing is wrong."""
    if type(array) is not np.ndarray or array.dtype.kind not in "iuf":
        return False
    if not 0 < array.size <= FEW:
        return False
    return not np.isinf(array).any() if allow_nan else bool(np.isfinite(array).all())


def are_few_rows(estimator, X, allow_nan=False):
    """Whether a fitted estimator may take X as it is, for rows as those of its fit.

    scikit-learn's questions about other kinds of X take longer than the answer for a
    row.
    """
    if not is_few_numbers(X, allow_nan) or hasattr(estimator, "feature_names_in_"):
        return False
    return X.ndim == 2 and X.shape[1] == getattr(estimator, "n_features_in_", None)


def validate_rows(estimator, X, y="no_validation", *, reset, **how):
    """scikit-learn's `validate_data` of rows of numbers, with a remedy in each error.

    A mask is NaN.
    """
    X = numbers(X)
    try:
        return validate_data(estimator, X, y, reset=reset, **how)
    except (ValueError, TypeError) as error:
        raise with_remedy(error, how.get("ensure_all_finite", True)) from None


def check_numbers(value, name, **how):
    """scikit-learn's `check_array` of an argument in which nothing may be missing."""
    refuse_mask(value, name)
    try:
        return check_array(numbers(value, name), input_name=name, **how)
    except (ValueError, TypeError) as error:
        raise with_remedy(error, True, name) from None


def refuse_mask(value, name, remedy="fill them, or leave their rows out"):
    """Raise where a value of an argument without missing values has a mask."""
    if is_masked(value):
        raise ValueError(
            f"{name} has masked values, and none may be missing; {remedy}."
        )


def with_remedy(error, ensure_all_finite, name="X"):
    """scikit-learn's error about an array, with what to do where it does not say so."""
    sentence = str(error).partition("\n")[0].rstrip(".")
    if "contains NaN" in sentence:
        remedy = "impute it, or leave its row out"
    elif "contains infinity" in sentence:
        allowed = ensure_all_finite in ("allow-nan", False)
        remedy = (
            "give NaN where a value is missing" if allowed else "give finite values"
        )
        remedy += ", and scale what is too large"
    elif "Found array with dim" in sentence:
        remedy = f"give {name}.reshape(len({name}), -1)"
    elif "at least 1 dimension" in sentence:
        remedy = f"give {name} as an array with a row for each sample"
    elif "inconsistent numbers of samples" in sentence:
        remedy = "give as many rows in each"
    else:
        return error
    return type(error)(f"{sentence}; {remedy}.")


def numbers(X, name="X"):
    """X with numbers in all columns that had objects; the rest is as it was."""
    X = plain(X, name)
    if issparse(X):
        if X.dtype.kind not in "biuf":
            raise ValueError(
                f"{name} is sparse of {X.dtype}; give {name}.astype(float)."
            )
        return X
    if is_of_frames(X) and np.ndim(X) == 1:
        X = np.asarray(X)
    if isinstance(X, np.ndarray):
        return X if X.dtype.kind in "biuf" else _of_array(X, name)
    if not is_of_frames(X):
        return X  # which scikit-learn's check refuses
    table = read_table(X)
    changed = {
        j: column_of_numbers(table.cells(j), column, name, table.column(j))
        for j, column in enumerate(table.names)
        if not table.is_numeric(j)
    }
    return table.replaced(changed) if changed else X


def _of_array(X, name):
    """Objects, text or dates as float64, where the array has one axis or two."""
    if X.dtype.kind in "US":
        X = X.astype(object)
    read = object_cells if X.dtype.kind == "O" else numeric_cells
    if X.ndim == 1:
        return column_of_numbers(read(X), 0, name, X)
    if X.ndim != 2 or not X.size:
        return X
    columns = [column_of_numbers(read(x), j, name, x) for j, x in enumerate(X.T)]
    return np.stack(columns, axis=1)


def column_of_numbers(cells, column, name, values=()):
    """The numbers of the cells of one column.

    Parameters
    ----------
    cells : Cells
    column : object
        Its name, for errors.
    name : str
        That of the argument.
    values : iterable, default=()
        The cells as they were given, for errors.
    """
    if cells.sort in ("number", "boolean"):
        return cells.values
    if cells.labels is not None and all(map(_is_number, cells.labels)):
        codes = np.where(np.isnan(cells.values), 0, cells.values).astype(np.intp)
        found = cells.labels.astype(np.float64)[codes]
        return np.where(np.isnan(cells.values), np.nan, found)
    if cells.sort in NO_NUMBERS:
        what, remedy = NO_NUMBERS[cells.sort]
        if cells.labels is not None and len(cells.labels):
            what += f" in the column {column!r}, for example {cells.labels[0]!r}"
        else:
            what += f" in the column {column!r}"
        raise ValueError(f"{name} has {what}; {remedy}.")
    wrong = next((v for v in values if not _is_number(v) and v is not None), None)
    what = "objects"
    if wrong is not None:
        what = f"{' '.join(repr(wrong).split()):.60} ({type(wrong).__name__})"
    raise TypeError(
        f"{name} has {what} in the column {column!r}, where an argument must be no "
        "string or other object but a real number; turn it into a number, or NaN if "
        "it is missing."
    )


def _is_number(value):
    return isinstance(value, int | float | np.number | np.bool_)
