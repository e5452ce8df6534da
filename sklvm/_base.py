r"""What every estimator of the package shares.

For a model :math:`p_\theta(x, z)` and any distribution q over the latent z,

.. math::

    F(\theta, q; x) = E_q[\log p_\theta(x, z)] + H(q)
                    = \log p_\theta(x) - KL(q \| p_\theta(z | x))
                    \le \log p_\theta(x)

F is the evidence lower bound. Every estimator maximises it, every `score` is in nats
per sample with all constants kept, so that the scores of different models on the same
data compare directly.
"""

from contextlib import contextmanager
from functools import partial, wraps
from itertools import chain
from numbers import Integral

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_random_state
from sklearn.utils.validation import _num_samples, check_is_fitted

from sklvm._alone import _check_sample_weight
from sklvm._warn import warn_user
from sklvm.columns._numbers import numbers, refuse_mask, with_remedy
from sklvm.sources._source import as_source, check_weight_column, split_weight


def private_random_state(random_state):
    """The RandomState that `random_state` means, never NumPy's global one.

    scikit-learn reads None as the global generator; here None is fresh entropy, so
    that no estimator advances a generator that is not its own.
    """
    if random_state is None:
        return np.random.RandomState()
    try:
        return check_random_state(random_state)
    except ValueError:
        raise ValueError(
            f"random_state={random_state!r} must be an integer, a RandomState or None; "
            "of a Generator give rng.integers(2**32)."
        ) from None


# The unit of a chunk without weights, below that of any float.
LEAST_UNIT = -1100


@contextmanager
def unchanged_on_error(estimator):
    """Put back all of the estimator's attributes if the block raises."""
    before = estimator.__dict__.copy()
    try:
        yield
    except BaseException as error:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        if isinstance(error, KeyboardInterrupt):
            name = type(estimator).__name__
            _set_note(error, f"The {name} is as it was before the call.")
        raise


def _set_note(interrupt, sentence):
    """The one note; estimators inside of the present one may have left theirs."""
    vars(interrupt).pop("__notes__", None)
    interrupt.add_note(sentence)


def raise_interrupt(interrupt, estimator):
    """Raise Ctrl-C, if it has ended a fit, with a note on what the fit has reached."""
    if interrupt is None:
        return
    unit = "iterations" if hasattr(estimator, "start_lower_bounds_") else "epochs"
    _set_note(
        interrupt,
        f"The {type(estimator).__name__} is fitted with what was reached in "
        f"{estimator.n_iter_} {unit}; fit with warm_start=True goes on from there.",
    )
    raise interrupt


def in_chunks(method):
    """Let a method of a fitted estimator take a source of rows.

    Its answers then are an iterator, with one for each chunk. That for the first chunk
    is made at once, so that what is wrong is reported where it was asked.
    """

    @wraps(method)
    def answer(self, X, *args, **kwargs):
        source = as_source(X)
        if source is None:
            return method(self, X, *args, **kwargs)
        check_is_fitted(self)
        tables = source.filled_chunks()
        answers = (method(self, table, *args, **kwargs) for table in tables)
        first = next(answers, None)
        return iter(()) if first is None else chain([first], answers)

    return answer


def check_in_memory(X, remedy):
    """Raise where X is a source of rows; `remedy` says what to do instead."""
    if as_source(X) is not None:
        raise TypeError(
            f"X is a {type(X).__name__}, whose rows are not in memory; {remedy}."
        )


class DensityScoreMixin:
    """`score` for estimators with `_log_density(X)`, log p(x) or its bound, float64."""

    def _impossible_rows(self, X):
        """Mask of the rows with a value that is refused, as p(x) is 0 there.

        Empty where the model excludes nothing: X is checked by what scores it.
        """
        return np.zeros(0, dtype=bool)

    def score(self, X, y=None, sample_weight=None):
        """Mean of `score_samples`, in nats per sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the mean.

        Returns
        -------
        score : float
        """
        return mean_over_rows(self._log_density, X, sample_weight)[0]


def largest_magnitude(X):
    """Largest |x| of an array, NaN apart, without a temporary array of its size."""
    if issparse(X):
        X = X.data if X.nnz else np.zeros(1)
    return max(-np.fmin.reduce(X, axis=None), np.fmax.reduce(X, axis=None))


def is_symmetric(matrices, tolerance=1e-5):
    """Whether matrices are their own transposes, each entry by its size.

    The size of an entry is the root of the product of its two diagonal entries: so the
    answer depends neither on the units of the features nor on the other matrices.
    """
    sizes = np.sqrt(np.abs(np.diagonal(matrices, axis1=-2, axis2=-1)))
    sizes = sizes[..., :, np.newaxis] * sizes[..., np.newaxis, :]
    with np.errstate(invalid="ignore"):  # where entries are infinite, and refused
        difference = np.abs(matrices - np.swapaxes(matrices, -1, -2))
    return bool((difference <= tolerance * sizes).all())


def check_count(name, value, least=1):
    """`value` as an integer that is not less than `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name}={value!r} must be an integer of {least} or more.")
    return int(value)


def weighted_mean(values, sample_weight):
    """Mean of values; a row without weight is absent, even where its value is -inf."""
    if sample_weight is None:
        return float(values.mean())
    kept = sample_weight > 0
    return float(np.average(values[kept], weights=sample_weight[kept]))


def effective_sample_size(sample_weight):
    """Number of rows that weights stand for.

    Whole numbers count rows. Others, whose unit is arbitrary, have Kish's effective
    size (sum w)^2 / sum w^2; so do those of which all floats are whole numbers.
    """
    if _are_whole(sample_weight):
        return sample_weight.sum()
    weight = sample_weight / sample_weight.max()
    return weight.sum() ** 2 / (weight @ weight)


def in_rows(sample_weight):
    """The weights with the number of rows that each stands for as their unit.

    A prior compares with the likelihood of so many rows, whatever the unit was.
    """
    if sample_weight is None or _are_whole(sample_weight):
        return sample_weight
    weight = sample_weight / sample_weight.max()
    return weight * (weight.sum() / (weight @ weight))


def _are_whole(weight):
    return bool((weight % 1 == 0).all() and weight.max(initial=0) < 2**53)


def mean_over_rows(function, X, sample_weight):
    """Weighted mean of `function(X)`, a number for each row, and how many rows count.

    Of a source of rows a chunk at a time is looked at, where it lies.
    """
    source = as_source(X)
    if source is None:
        values = function(X)
        warn_of_order("sample_weight", sample_weight, X)
        sample_weight = check_sample_weight(sample_weight, values)
        n = len(values)
        if sample_weight is not None:
            n = effective_sample_size(sample_weight)
        return weighted_mean(values, sample_weight), n
    check_weight_column(sample_weight)
    sums = source.sum(
        partial(_sums_of_table, function, sample_weight), added_weighted_sums
    )
    if sums is None or not sums[1] > 0:
        raise ValueError("X has no rows with a weight; give a source that has some.")
    total, weight = sums[:2]
    return float(total / weight), n_rows_of(sums)


def _sums_of_table(function, weight_column, table):
    """`weighted_sums` of a table of a source."""
    table, weight = split_weight(table, weight_column)
    values = function(table)
    return weighted_sums(values, None if weight is None else check_chunk_weight(weight))


def weighted_sums(values, weight):
    """Sums of weighted values, weights and their squares, and the unit of the weights.

    The unit is that of the largest weight, as a power of two, so that squares of tiny
    weights do not vanish; the last of the five is whether weights are whole.
    """
    if weight is None:
        n = float(len(values))
        return values.sum(), n, n, 0, True
    are_whole = _are_whole(weight)
    kept = weight > 0
    unit = int(np.frexp(weight.max(initial=0))[1]) if kept.any() else LEAST_UNIT
    weight = np.ldexp(weight, -unit)
    total = weight[kept] @ values[kept]
    return total, weight.sum(), weight @ weight, unit, are_whole


def n_rows_of(sums):
    """The number of rows for which the weights of these sums stand."""
    _, weight, squares, unit, are_whole = sums
    return np.ldexp(weight, unit) if are_whole else weight**2 / squares


def added_weighted_sums(one, other):
    unit = max(one[3], other[3])
    sums = [
        np.ldexp(a, one[3] - unit) + np.ldexp(b, other[3] - unit)
        for a, b in zip(one[:2], other[:2], strict=True)
    ]
    squares = (np.ldexp(s[2], 2 * (s[3] - unit)) for s in (one, other))
    return (*sums, sum(squares), unit, one[4] and other[4])


def check_chunk_weight(weight):
    """The weights of a chunk, which may all be 0 if those of others are not."""
    weight = np.append(weight, 1)
    return check_sample_weight(weight, weight)[:-1]


def warn_of_order(name, values, X):
    """Warn of values with the row labels of X in another order, as after a sort.

    They are taken by position, as everywhere in scikit-learn.
    """
    own, of_X = (getattr(table, "index", None) for table in (values, X))
    if not (hasattr(own, "equals") and hasattr(of_X, "equals")):
        return
    if len(own) != len(of_X) or own.equals(of_X):
        return
    if own.is_unique and of_X.is_unique and own.isin(of_X).all():
        warn_user(
            f"{name} has the row labels of X in another order, and is taken by "
            f"position; give {name}.loc[X.index] if they say whose values they are, "
            f"else {name}.to_numpy()."
        )


def check_sample_weight(sample_weight, X):
    """`sample_weight` as float64 of shape (n_samples,), or None for equal weights."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, str):
        raise TypeError(
            f"sample_weight={sample_weight!r} names a column, as for rows that are in "
            f"a file; of a table in memory give X[{sample_weight!r}], and X without it."
        )
    refuse_mask(sample_weight, "sample_weight", "give 0 for rows that are to be absent")
    sample_weight = numbers(sample_weight, "sample_weight")
    if np.ndim(sample_weight) and np.shape(sample_weight) != (_num_samples(X),):
        raise ValueError(
            f"sample_weight has shape {np.shape(sample_weight)}; give one weight for "
            f"each of the {_num_samples(X)} rows."
        )
    try:
        sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise with_remedy(error, True, "sample_weight") from None
    if sample_weight.min() < 0:
        raise ValueError(
            f"sample_weight has the negative value {sample_weight.min():g} at row "
            f"{sample_weight.argmin()}; weights must be 0 or more."
        )
    if not sample_weight.any():
        raise ValueError(
            "sample_weight is 0 for every row; give at least one row a positive weight."
        )
    return sample_weight
