"""What is wrong with a column, in one sentence with the remedy."""

import numpy as np

from sklvm.columns._auto import FEW_ROWS, is_whole
from sklvm.columns._written import written_as

MAX_CATEGORIES = 4096
MAX_FRACTIONS = 100  # categories that are no whole numbers: grades, dial positions
NEARLY_ALL = 0.9
LARGEST = 1e150  # its square is a float64, and so is that of its inverse

_AS_NUMBER = "drop such columns, or turn them into numbers such as"

# What a column can be that no kind is for -> what it has, and the remedy. The first
# half is refused always, the second half only where no kind was named for the column.
UNREADABLE = {
    "missing": ("only missing values", "drop such columns"),
    "date": ("dates or times", f"{_AS_NUMBER} days since a date"),
    "nested": ("lists, dicts or arrays in its cells", f"{_AS_NUMBER} their length"),
    "mixed": (
        "values of several types, such as numbers and text,",
        "turn all of them into numbers, or into text by astype(str)",
    ),
    "object": (
        "objects that are neither numbers nor text",
        "turn them into numbers, or into text by astype(str)",
    ),
}
UNFIT = {
    "constant": (
        "a single value",
        "drop such columns, they tell nothing, or where other folds have more values "
        "make flags booleans and merge rare categories",
    ),
    "flag": (
        "a single value beside missing cells",
        "make booleans of such columns by notna() where a missing cell means no, else "
        "drop them, they tell nothing",
    ),
    "number as text": (
        "numbers written as text",
        "turn them into numbers by pandas.to_numeric, with errors='coerce' where other "
        "text means a missing value, or into a categorical dtype if they are codes",
    ),
    "quantity as text": (
        "quantities written as text, with units, signs or separators,",
        "turn them into numbers, as by Series.str.replace and pandas.to_numeric, or "
        "into a categorical dtype if they are codes",
    ),
    "date as text": ("dates written as text", f"{_AS_NUMBER} days since a date"),
    "identifier": (
        "another value in (nearly) every row, as an identifier has,",
        "drop such columns or make them the index, or name their kind",
    ),
    "many": (
        f"more than {MAX_CATEGORIES} categories",
        "merge the rare ones, or drop such columns",
    ),
}


def unreadable(cells):
    """The key of `UNREADABLE` that holds, or None."""
    if np.isnan(cells.values).all():
        return "missing"
    return cells.sort if cells.sort in UNREADABLE else None


def unfit(cells):
    """The key of `UNFIT` that holds for a readable column, or None."""
    x = cells.observed()
    if cells.sort != "boolean" and x.min() == x.max():
        return "flag" if len(x) < len(cells.values) else "constant"
    if cells.labels is None:
        return "identifier" if _numbers_the_rows(x) else None
    if cells.sort == "text":
        what = written_as(cells.labels, np.bincount(x.astype(np.intp)))
        if what is not None:
            return f"{what} as text"
    n = len(cells.labels)
    if len(x) > FEW_ROWS and n >= NEARLY_ALL * len(x):
        return "identifier"
    return "many" if n > MAX_CATEGORIES else None


def refuse(problems):
    """One error for all columns, a sentence for each sort of problem.

    Parameters
    ----------
    problems : list of (name, key of `UNREADABLE` or `UNFIT` or None)
    """
    if all(problem is None for _, problem in problems):
        return
    sentences = []
    for key, (what, remedy) in (UNREADABLE | UNFIT).items():
        names = [name for name, problem in problems if problem == key]
        if names:
            sentences.append(f"X has {what} in {listed(names)}; {remedy}.")
    if sentences:
        raise ValueError(" ".join(sentences))


def listed(names):
    """'the column ...' or 'the columns ...' for a message."""
    some = ", ".join(repr(name) for name in names[:10])
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"the column{'s' * (len(names) > 1)} {some}{more}"


def check_is_split(name, cells):
    """The only column of a table is no whole line of a file with other separators."""
    if not isinstance(name, str) or cells.labels is None or not len(cells.labels):
        return
    for mark in ";\t|,":
        n = name.count(mark)
        if n and all(str(label).count(mark) == n for label in cells.labels):
            raise ValueError(
                f"X has one column, {name!r}, whose values {mark!r} separates as it "
                f"does its name; read the file by pandas.read_csv with sep={mark!r}, "
                "in chunks by a function that returns them."
            )


def check_finite(name, cells):
    """No infinity among numbers."""
    if np.isinf(cells.values).any():
        value = cells.values[np.isinf(cells.values)][0]
        raise ValueError(
            f"X has the infinite value {value:g} in the column {name!r}; give NaN "
            "where a value is missing."
        )


def check_numbers(name, kind, cells):
    """The cells hold numbers that a kind with a density in numbers allows."""
    check_are_numbers(name, kind, cells)
    wrong = outside_support(kind, cells.values)
    if wrong.any():
        rule = "values above 0" if kind == "lognormal" else "counts 0, 1, 2, ..."
        raise ValueError(
            f"X has the value {cells.values[wrong][0]:g} in the column {name!r}, where "
            f'the kind {kind!r} expects {rule}; choose "gaussian" for it.'
        )


def outside_support(kind, values):
    """Mask of the numbers that have no density, NaN apart."""
    if kind == "lognormal":
        return values <= 0
    if kind in ("poisson", "negative_binomial"):
        return (values < 0) | (np.rint(values) != values) & ~np.isnan(values)
    return np.zeros(len(values), dtype=bool)


def check_are_numbers(name, kind, cells):
    """The cells hold numbers, where the kind has no categories."""
    if cells.labels is not None:
        raise ValueError(
            f"X has {cells.sort} values in the column {name!r}, for example "
            f"{cells.labels[0]!r}, where the kind {kind!r} expects numbers; "
            + (
                "convert them by pandas.to_numeric, or choose another kind."
                if cells.sort == "text"
                else "convert them by astype(float), or choose another kind."
            )
        )


def check_new_column(name, kind, cells):
    """A kind that was named by hand does not contradict the column."""
    x = cells.observed()
    if kind not in ("bernoulli", "categorical"):
        check_numbers(name, kind, cells)
        if kind == "gaussian":
            _check_variance(name, x)
        if kind in ("gaussian", "lognormal") and x.min() == x.max():
            raise ValueError(
                f"X has the value {x[0]:g} in every row of the column {name!r}, so "
                f"that a {kind} density is infinite; drop the column."
            )
        return
    levels = np.unique(x)
    if kind == "bernoulli" and len(levels) > 2:
        raise ValueError(
            f"X has {len(levels)} distinct values in the column {name!r}, where the "
            "kind 'bernoulli' expects two; choose another kind."
        )
    # A constant binary column is binary where the user says so: a pixel never lit.
    if kind == "categorical" or not is_binary(cells, levels):
        _check_categories(name, cells, len(levels))


def _check_variance(name, x):
    """Squares of the values neither overflow nor vanish."""
    largest, width = abs(x).max(), x.max() / 2 - x.min() / 2
    if largest > LARGEST:
        raise ValueError(
            f"X has the value {x[abs(x).argmax()]:g} in the column {name!r}, whose "
            "square is beyond float64; give NaN where it stands for a missing value, "
            "or the column in another unit."
        )
    if 0 < width < 1 / LARGEST:
        raise ValueError(
            f"X has values from {x.min():g} to {x.max():g} in the column {name!r}, "
            "whose variance is too small for float64; give the column in another unit."
        )


def is_binary(cells, levels):
    """Whether these are booleans, or the numbers 0 and 1."""
    return cells.sort == "boolean" or (cells.labels is None and {*levels} <= {0, 1})


def _check_categories(name, cells, n):
    if n < 2:
        raise ValueError(
            f"X has one category in the column {name!r}; drop the column, it tells "
            "nothing."
        )
    limit = MAX_CATEGORIES
    if cells.labels is None and not is_whole(cells.observed()):
        limit = MAX_FRACTIONS
    if n > limit:
        what = "fractions" if limit == MAX_FRACTIONS else "categories"
        raise ValueError(
            f"X has {n} distinct {what} in the column {name!r}, where the kind "
            f"'categorical' allows {limit}; merge rare ones, or choose another kind."
        )


def _numbers_the_rows(x):
    """Whether x is a permutation of consecutive whole numbers."""
    return (
        len(x) > FEW_ROWS
        and x.max() - x.min() == len(x) - 1
        and len(np.unique(x)) == len(x)
        and is_whole(x)
    )
