"""y in and out of a ConditionalVAE: numbers, labels, or a table by a schema.

Each has `encode`, which gives float32 rows, `decode`, which gives back what y was, and
`classes`, the categories of the columns `discrete`.
"""

import re

import numpy as np
from sklearn.utils._missing import is_scalar_nan

from sklvm.autoencoder._pairs import PartSource
from sklvm.autoencoder._rows import Table
from sklvm.autoencoder.likelihoods import Categorical
from sklvm.autoencoder.likelihoods._make import numeric_likelihood
from sklvm.columns._cells import NESTED
from sklvm.columns._forms import frame_of_arrow, is_of_frames, plain
from sklvm.columns._numbers import numbers, refuse_mask
from sklvm.sources._source import RowSource
from sklvm.state._classes import stateful

MISSING_REMEDY = "leave their rows out, or model X and y together by VAE"


def is_table_kind(likelihood):
    """Whether a likelihood is that of columns of several kinds."""
    return isinstance(likelihood, list | tuple) or (
        isinstance(likelihood, str) and likelihood == "auto"
    )


def read_target(estimator, y, likelihood):
    """How values like y are read for a `likelihood` as ConditionalVAE takes it.

    y may be a source of them.
    """
    if is_table_kind(likelihood):
        return TableTarget(estimator, y, likelihood)
    if isinstance(likelihood, str) and likelihood == "categorical":
        chunks = y.filled_chunks() if isinstance(y, RowSource) else [y]
        return LabelTarget(np.asarray(plain_target(chunk)) for chunk in chunks)
    return NumberTarget(y.first() if isinstance(y, RowSource) else y, likelihood)


class _Target:
    """What was learned of a y: its shape, apart from the number of rows."""

    is_table = False
    classes, discrete = [], []
    # Names of the columns of a DataFrame; models of earlier versions have none.
    names = None

    def __init__(self, y):
        self.shape = np.shape(y)[1:]

    def check_names(self, names):
        """Raise if a table has other columns than that of the fit, or another order.

        One column cannot be taken for another, and of other numbers its shape says so.
        """
        if not names or not self.names or len(names) == 1:
            return
        if len(names) == len(self.names) and names != self.names:
            raise ValueError(
                f"y has the columns {names!r:.100}, and those of the fit are "
                f"{self.names!r:.100}; give these, in the same order."
            )

    def _columns(self, y):
        """y with a column axis."""
        if np.shape(y)[1:] != self.shape:
            raise ValueError(
                f"y has shape {np.shape(y)}; it must have shape "
                f"{(len(y), *self.shape)}, with the columns that it had in fit."
            )
        return y if len(self.shape) else np.asarray(y).reshape(-1, 1)

    def _shaped(self, Y):
        return np.asarray(Y).reshape(len(Y), *self.shape)


def names_of(y):
    """The names of the columns of a DataFrame, where they are text, or None."""
    y = frame_of_arrow(y, "y")
    names = list(getattr(y, "columns", ())) if is_of_frames(y) else []
    return names if names and all(isinstance(name, str) for name in names) else None


def _refuse_missing(y):
    """Raise if an array y, of numbers or objects, has missing values."""
    if y.dtype.kind == "O":
        missing = any(v is None or is_scalar_nan(v) for v in y.ravel().tolist())
    else:
        missing = y.dtype.kind == "f" and np.isnan(y).any()
    if missing:
        raise ValueError(f"y has missing values (NaN); {MISSING_REMEDY}.")


def plain_target(y):
    """y in a form of which NumPy takes what was meant."""
    y = plain(y, "y")
    if np.ndim(y) not in (1, 2):
        raise ValueError(
            f"y has {np.ndim(y)} axes; give it the shape (n_samples,) or (n_samples, "
            "n_outputs)."
        )
    return y


def target_numbers(y):
    """y of numbers, in whatever form it is given, with nothing missing."""
    refuse_mask(y, "y", MISSING_REMEDY)
    y = plain_target(y)
    try:
        y = numbers(y, "y")
    except ValueError as error:
        if "has text" not in str(error):
            raise
        raise ValueError(_says_of_text(y)) from None
    if isinstance(y, np.ndarray):
        _refuse_missing(y)
    return y


def _says_of_text(y):
    """What to do with a y in which there is text."""
    values = np.ravel(np.asarray(y, dtype=object)).tolist()
    texts = [str(value) for value in values if isinstance(value, str)]
    if all(map(_is_number, texts)):
        return (
            f"y has numbers written as text, {texts[0]!r} among them; turn them into "
            "numbers, as by pandas.to_numeric, or set likelihood='categorical' if they "
            "are labels."
        )
    remedy = "set likelihood='categorical' for labels"
    if len(texts) < len(values):
        remedy += ", or 'auto' for columns of several kinds"
    return f"y has values that are not numbers, {texts[0]!r} among them; {remedy}."


def _is_number(text):
    try:
        return np.isfinite(float(text))
    except ValueError:
        return False


@stateful
class NumberTarget(_Target):
    """Columns of numbers, all of one family."""

    def __init__(self, y, likelihood):
        super().__init__(y)
        self.likelihood = likelihood

    def encode(self, y):
        y = self._columns(y)
        _refuse_missing(y)
        with np.errstate(over="ignore"):
            numbers = y.astype(np.float32)
        if not np.isfinite(numbers).all():
            raise ValueError("y has values beyond float32; scale y (StandardScaler).")
        return numbers

    def decode(self, estimator, Y):
        return self._shaped(Y)

    def make_likelihood(self, noise, min_noise):
        return numeric_likelihood(self.likelihood, noise, min_noise)


@stateful
class LabelTarget(_Target):
    """Columns of labels, of which those of several chunks are gathered."""

    def __init__(self, chunks):
        found = None
        for y in chunks:
            if found is None:
                super().__init__(y)
            _refuse_missing(y)
            columns = self._columns(y).T
            if found is not None:
                columns = map(_both, found, columns)
            found = [_labels(column) for column in columns]
        self.classes = found
        self.discrete = list(range(len(found)))

    def encode(self, y):
        columns = zip(self._columns(y).T, self.classes, strict=True)
        return np.stack([_codes(*column) for column in columns], axis=1)

    def decode(self, estimator, Y):
        columns = zip(Y.T, self.classes, strict=True)
        labels = [labels[codes.astype(np.intp)] for codes, labels in columns]
        return self._shaped(np.stack(labels, axis=1))

    def make_likelihood(self, noise, min_noise):
        return Categorical([len(labels) for labels in self.classes])


@stateful
class TableTarget(_Target):
    """A table whose columns have kinds."""

    is_table = True

    def __init__(self, estimator, y, likelihood):
        is_source = isinstance(y, RowSource)
        super().__init__(y.first() if is_source else y)
        columns = PartSource(y, self._columns) if is_source else self._columns(y)
        try:
            self.table = Table(estimator, columns, likelihood)
        except ValueError as error:
            raise _about_y(error) from error
        names = list(self.table.columns)
        self.discrete = [names.index(name) for name in self.table.categories]
        self.classes = list(self.table.categories.values())

    def encode(self, y):
        try:
            Y = self.table.encode(None, self._columns(y), reset=False)
        except ValueError as error:
            raise _about_y(error) from error
        _refuse_missing(Y)
        return Y

    def decode(self, estimator, Y):
        values = self.table.values(Y)
        Y = self.table.schema.decode(values)
        return Y if len(self.shape) else self._shaped(Y)

    def make_likelihood(self, noise, min_noise):
        return self.table.make_likelihood(noise, min_noise)


def _about_y(error):
    """A schema's error, which speaks of X."""
    return ValueError(re.sub(r"\bX\b", "y", str(error)))


def _both(labels, column):
    """Labels and a column together; numbers beside text stay what they are."""
    kinds = {labels.dtype.kind, column.dtype.kind}
    dtype = object if kinds & set("US") and len(kinds) > 1 else None
    return np.concatenate([labels, column], dtype=dtype)


def _labels(column):
    """The labels of a column of y, in order."""
    try:
        return np.unique(column)
    except TypeError:
        kinds = sorted({type(value).__name__ for value in column.tolist()})
        raise ValueError(
            f"y has labels of the types {', '.join(kinds)} in one column, which have "
            "no order; give labels of one type."
        ) from None


def _codes(column, labels):
    """Codes 0, 1, ... of a column's labels, in float32."""
    codes = {label: k for k, label in enumerate(labels.tolist())}
    column = column.tolist()
    nested = [label for label in column if isinstance(label, NESTED)]
    if nested:
        raise ValueError(f"y has {nested[0]!r:.60} in a cell; give one label per cell.")
    unknown = [label for label in column if label not in codes]
    if unknown:
        raise ValueError(
            f"y has the class {unknown[0]!r}, which was not seen in fit; drop its rows,"
            f" or fit with rows of it as well as of {', '.join(map(repr, codes))}."
        )
    return np.array([codes[label] for label in column], dtype=np.float32)
