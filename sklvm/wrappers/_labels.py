"""Labels of some rows: which rows have one, and which classes there are."""

from numbers import Real

import numpy as np
from sklearn.utils.validation import column_or_1d

from sklvm._warn import warn_user
from sklvm.columns._cells import is_missing
from sklvm.columns._forms import plain

# What NumPy and pandas make of -1 and NaN as text, and files of no label.
MARKS_AS_TEXT = ("-1", "-1.0", "nan", "<na>", "nat", "")
# What people write where a label is not known, and what becomes of None as text, which
# may as well be a class, as of a rash beside mild and severe ones.
WORDS = (
    *(
        "none",
        "unknown",
        "unlabeled",
        "unlabelled",
        "unclassified",
        "undefined",
        "missing",
    ),
    *("not known", "no label", "n/a", "na", "null", "?", "-"),
)


def read_labels(y):
    """The labels of y, and where they are.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Unlabelled are the rows with NaN, None or pd.NA, or those with the number -1.

    Returns
    -------
    labels : ndarray of shape (n_labelled,)
        Numbers, booleans or text.
    is_labelled : ndarray of shape (n_samples,)
    """
    # A list stays what it is, as NumPy would make numbers of its booleans.
    y = np.array(y, dtype=object) if isinstance(y, list | tuple) else plain(y, "y")
    if np.ndim(y) not in (1, 2):
        raise ValueError(
            f"y has {np.ndim(y)} axes; give one label for each row, of shape "
            "(n_samples,)."
        )
    y = _one_dimensional(y)
    if not len(y):
        raise ValueError("y has no rows; give a label for each row of X.")
    cells = y.astype(object)
    missing = np.asarray(is_missing(cells), dtype=bool)
    is_mark = np.zeros(len(y), dtype=bool)
    is_mark[~missing] = [value == -1 for value in cells[~missing]]
    if missing.any() and is_mark.any():
        raise ValueError(
            "y has both -1 and NaN or None, each of which marks unlabelled rows; use "
            "one mark, and another label if -1 is a class."
        )
    is_labelled = ~(missing | is_mark)
    if not is_labelled.any():
        raise ValueError(
            "y has no labelled row; give some rows a label other than -1, NaN and None."
        )
    _check_types(cells[is_labelled])
    return _of_one_dtype(y[is_labelled]), is_labelled


def _one_dimensional(y):
    """y as an array that has not made text of numbers or numbers of missing values."""
    if not isinstance(getattr(y, "dtype", None), np.dtype):
        y = np.array(y, dtype=object)
    return column_or_1d(y, warn=True)


def _check_types(labels):
    sorts = {_sort(label) for label in labels}
    if len(sorts) > 1 or None in sorts:
        names = sorted({type(label).__name__ for label in labels})
        raise ValueError(
            f"y has labels of the types {', '.join(names)}; give all as numbers, all "
            "as booleans or all as text."
        )
    marks = [
        label
        for label in labels
        if isinstance(label, str) and label.strip().casefold() in MARKS_AS_TEXT
    ]
    if marks:
        raise ValueError(
            f"y has the text {marks[0]!r}, which may be a mark of unlabelled rows that "
            "became text, or an empty cell; give None for these in an array of "
            "dtype=object, or rename the class."
        )


def warn_of_words(classes):
    """Where a class has the name of none."""
    words = [c for c in classes if isinstance(c, str) and c.strip().casefold() in WORDS]
    if words:
        warn_user(
            f"y has the class {words[0]!r}, which may mark unlabelled rows; give None "
            "for these, or rename the class if it is one."
        )


def _sort(label):
    sorts = {"boolean": bool | np.bool_, "number": Real, "text": str}
    return next((sort for sort, kind in sorts.items() if isinstance(label, kind)), None)


def _of_one_dtype(labels):
    """Numbers and booleans in their own dtype, also from an array of objects."""
    if labels.dtype == object and not isinstance(labels[0], str):
        return np.array(labels.tolist())
    return labels
