"""Labels of pixels, and the numbers that models know them by.

Labels are whole numbers of any size and sign, booleans or text. A model knows the K
classes as 0 to K - 1, in their order, and void labels as K, K + 1, ...
"""

import json
import numbers
import zlib
from collections.abc import Iterable

import numpy as np

from sklvm.state._classes import stateful

# Contexts of classes are numbered in 64 bits.
MOST_CLASSES = 4096
# Integers that lie closer together are counted; others are sorted.
SPAN = 2**16
# Characters of a label in a message.
LONGEST_SAID = 40
# Pixels that are looked at together.
PIECE = 2**20


class LabelError(ValueError):
    """A label that is none of those there may be.

    Its second argument ends the sentence where an estimator has `void_class`.
    """

    def __str__(self):
        return self.sentence(takes_void=True)

    def sentence(self, takes_void):
        sentence, void_remedy = self.args
        return f"{sentence}{void_remedy}." if takes_void else f"{sentence}."


@stateful
class PixelLabels:
    """The labels that pixels may have.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Sorted.
    void : sequence
        Labels of pixels that have no class.

    Attributes
    ----------
    table : ndarray of shape (n_symbols,)
        The label of each number: the classes, then the void labels.
    void_numbers : tuple of int
    name : int
        32 bits that other labels hardly have, 0 where labels are their numbers.
    """

    # Models of earlier versions have none: what they code does not name the labels.
    name = 0

    def __init__(self, classes, void=()):
        # In models of earlier versions void is one of the classes.
        known = set(classes.tolist())
        others = [label for label in void if label not in known]
        self.classes = classes
        self.table = classes
        if others:
            self.table = np.concatenate([classes, np.array(others, classes.dtype)])
        numbers = {label: at for at, label in enumerate(self.table.tolist())}
        self.void_numbers = tuple(numbers[label] for label in void)
        self.name = _name_of(self.table.tolist())

    @property
    def n_symbols(self):
        """How many labels there are, void ones among them."""
        return len(self.table)

    def counted(self, numbers):
        """Where pixels have a class, of numbers in which -1 is no pixel of a map."""
        return (numbers >= 0) & ~np.isin(numbers, self.void_numbers)

    def labels(self, numbers):
        """The labels of numbers."""
        return self.table[numbers]

    def numbers(self, labels, name="X"):
        """The numbers of labels (n, ...), int32; one that is unknown is an error."""
        lookup = {label: at for at, label in enumerate(self.table.tolist())}
        out = np.empty(labels.shape, dtype=np.int32)
        for piece in _pieces(labels):
            distinct, inverse = distinct_labels(labels[piece], name)
            unknown = [label for label in distinct if label not in lookup]
            if unknown:
                raise self._unknown(unknown[0], name)
            out[piece] = np.array([lookup[v] for v in distinct], np.int32)[inverse]
        return out

    def _unknown(self, label, name):
        known = self.table.tolist()
        if isinstance(label, str) != isinstance(known[0], str):
            kind = "text" if isinstance(known[0], str) else "whole numbers"
            return ValueError(
                f"{name} has the label {_said(label)}, and those of the fit are {kind}"
                "; give labels of that kind."
            )
        return LabelError(
            f"{name} has the label {_said(label)}, which is none of the {len(known)} "
            "labels of the fit; fit with it or set n_classes",
            ", or name it in void_class",
        )


def _name_of(labels):
    labels = [v if isinstance(v, str) else int(v) for v in labels]
    if labels == list(range(len(labels))):
        return 0
    return zlib.crc32(json.dumps(labels).encode())


def learn_labels(arrays, n_classes=None, void_class=None, name="X"):
    """The `PixelLabels` of arrays of labels.

    Parameters
    ----------
    arrays : list of ndarray
    n_classes : int or None
        The classes are 0 to n_classes - 1 but for void ones, seen or not. None is what
        is seen.
    void_class : label, list of labels, or None

    Raises
    ------
    ValueError
        If labels are no whole numbers or text, not those of `n_classes`, too many, or
        void alone.
    """
    seen = set()
    for array in arrays:
        for piece in _pieces(array):
            seen.update(distinct_labels(array[piece], name)[0])
    void = void_labels(void_class)
    are_text = {isinstance(label, str) for label in seen}
    if len(are_text) > 1:
        raise ValueError(
            f"{name} has text in some maps and numbers in others; give labels of one "
            "kind."
        )
    (is_text,) = are_text
    for label in void:
        if isinstance(label, str) != is_text:
            raise ValueError(
                f"void_class={void_class!r} has {_said(label)}, and the labels of "
                f"{name} are {'text' if is_text else 'whole numbers'}; give void_class "
                "as they are."
            )
    classes = sorted(seen.difference(void))
    if n_classes is not None:
        _check_within(classes, n_classes, is_text, name)
        classes = sorted(set(range(n_classes)).difference(void))
    if not classes:
        raise ValueError(
            f"Every pixel of {name} is of void_class={void_class!r}; give maps with a "
            "class."
        )
    if len(classes) > MOST_CLASSES:
        raise ValueError(
            f"{name} has {len(classes)} different labels, and there may be "
            f"{MOST_CLASSES} classes at the most; merge some, or number the objects of "
            "each map from 0."
        )
    dtype = np.result_type(*(array.dtype for array in arrays))
    dtype = _with_room(dtype, [*classes, *void], name)
    return PixelLabels(np.array(classes, dtype), void)


def void_labels(void_class):
    """void_class as a list of different labels."""
    if void_class is None:
        return []
    is_one = isinstance(void_class, str) or not isinstance(void_class, Iterable)
    labels = [void_class] if is_one else list(void_class)
    for label in labels:
        is_whole = isinstance(label, numbers.Real | np.bool_) and label == label // 1
        if not (isinstance(label, str) or is_whole):
            raise ValueError(
                f"void_class={void_class!r} must be a label, a list of labels, or "
                "None, and labels are whole numbers or text."
            )
    return list(dict.fromkeys(v if isinstance(v, str) else int(v) for v in labels))


def distinct_labels(array, name="X"):
    """The labels of an array as Python's values, and the place of each pixel's."""
    if array.dtype.kind == "b":
        array = array.view(np.uint8)
    if array.dtype.kind in "iu":
        low, high = array.min(), array.max()
        if int(high) - int(low) < SPAN:
            # In two's complement the difference is right though a part is not.
            shifted = array.astype(np.int64) - low.astype(np.int64)
            present = np.bincount(shifted.ravel()) > 0
            labels = [int(low) + at for at in np.flatnonzero(present).tolist()]
            return labels, (np.cumsum(present) - 1)[shifted]
    labels, inverse = np.unique(array, return_inverse=True)
    inverse = inverse.reshape(array.shape)
    if array.dtype.kind != "f":
        return labels.tolist(), inverse
    return [_whole(value, name) for value in labels.tolist()], inverse


def _whole(value, name):
    """A float as the integer that it is."""
    value = float(value)
    if np.isnan(value):
        raise no_label(name)
    if not value.is_integer():
        raise ValueError(
            f"{name} has the value {value}, which is no label; give whole numbers or "
            "text, one per pixel."
        )
    return int(value)


def no_label(name):
    """The error of NaN."""
    return LabelError(
        f"{name} contains NaN, which is no label; give those pixels a label, as by "
        f"np.nan_to_num({name}, nan=255)",
        ", and name it in void_class",
    )


def _check_within(classes, n_classes, is_text, name):
    if n_classes > MOST_CLASSES:
        raise ValueError(
            f"n_classes={n_classes} is above {MOST_CLASSES}; leave n_classes out, so "
            "that the labels that occur are the classes."
        )
    if is_text:
        raise ValueError(
            f"n_classes={n_classes} is for the classes 0 to {n_classes - 1}, and the "
            f"labels of {name} are text; leave n_classes out."
        )
    for label in classes[-1:] + classes[:1]:
        if not 0 <= label < n_classes:
            raise LabelError(
                f"{name} has the class {_said(label)} and n_classes={n_classes}; "
                f"classes are 0 to {n_classes - 1}, so set n_classes or mend {name}",
                ", or name it in void_class",
            )


def _with_room(dtype, labels, name):
    """The dtype, or one that holds all the labels."""
    if dtype.kind in "UO":
        return np.dtype(object) if dtype.kind == "O" else np.array(labels).dtype
    low, high = min(labels), max(labels)
    if dtype.kind == "f":
        # Between two that it holds there may be some that it does not.
        with np.errstate(over="ignore"):
            fits = max(map(abs, labels)) < 2**1024 and (
                np.array(labels, dtype).tolist() == labels
            )
    elif dtype.kind == "b":
        fits = low >= 0 and high <= 1
    else:
        fits = np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max
    if fits:
        return dtype
    dtype = np.result_type(np.min_scalar_type(low), np.min_scalar_type(high))
    if dtype.kind not in "iu":
        raise ValueError(
            f"The labels are from {_said(low)} to {_said(high)}, which no type of "
            f"numbers holds; give other labels in {name}, such as their order."
        )
    return dtype


def _pieces(array):
    """Slices of the first axis, each of not too many pixels."""
    step = max(1, PIECE // max(1, array[:1].size))
    return [slice(at, at + step) for at in range(0, len(array), step)]


def _said(label):
    text = repr(label) if isinstance(label, str) else str(label)
    return text if len(text) <= LONGEST_SAID else f"{text[:LONGEST_SAID]}..."
