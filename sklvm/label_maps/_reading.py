"""What estimators of label maps read of X: maps of numbers, and the form they had."""

import math
import numbers
from dataclasses import dataclass
from os import PathLike

import numpy as np

from sklvm._alone import validate_data
from sklvm.columns._forms import is_of_frames, plain
from sklvm.columns._numbers import refuse_mask, validate_rows
from sklvm.label_maps._labels import LabelError, learn_labels, no_label
from sklvm.label_maps._shapes import (
    as_form,
    as_maps,
    check_image_shape,
    check_sizes,
    common_shape,
    form_of,
)

WHOLE = numbers.Integral | np.bool_
# Below it every whole number is a float of 64 bits.
LARGEST_EXACT = 2.0**53
VOID_REMEDY = "give void_class where a pixel has no class"
READER = "sklvm.label_maps"
OTHER_REMEDY = "give a label of its own where a pixel has none"


@dataclass
class LabelMaps:
    """Maps as the estimators know them.

    Attributes
    ----------
    maps : list of ndarray of shape (H, W), int32
        The classes 0 to K - 1, and void labels from K on: `PixelLabels.numbers`.
    form : {"rows", "maps", "list"}
        How they came: flat rows, (n, H, W), or a list of maps.
    """

    maps: list
    form: str

    def __len__(self):
        return len(self.maps)

    @property
    def shapes(self):
        return [m.shape for m in self.maps]

    def as_given(self, maps):
        """Other maps of these shapes in the form that these had."""
        return as_form(self.form, maps)


def read_label_maps(
    estimator,
    X,
    *,
    reset,
    image_shape=None,
    n_classes=None,
    void_class=None,
    any_shape=False,
    takes_void=True,
):
    """X as `LabelMaps`.

    Parameters
    ----------
    estimator : object
        With `reset` it gets `classes_`, `n_classes_`, `void_class_`, `image_shape_`,
        `n_features_in_`, perhaps `feature_names_in_`, and `_pixel_labels`, the
        `PixelLabels` by which numbers become labels again, and `_map_form`, the form of
        the maps of its fit. Else it has them.
    X : array-like
        Flat rows (n, P), maps (n, H, W), or a list of maps of one size or several. Of
        whole numbers, booleans or text.
    reset : bool
    image_shape, n_classes, void_class : as `SparseSegmentationRDA` has them
        Looked at with `reset` only.
    any_shape : bool, default=False
        Whether maps may be larger than those of the fit.
    takes_void : bool, default=True
        Whether the estimator has `void_class`, which is a remedy then.
    """
    _refuse_paths(X)
    refuse_mask(X, "X", VOID_REMEDY if takes_void else OTHER_REMEDY)
    if isinstance(X, list | tuple) and not len(X):
        raise ValueError(f"X={X!r} has no maps; give one or more.")
    try:
        return _read(estimator, X, reset, image_shape, n_classes, void_class, any_shape)
    except LabelError as error:
        raise ValueError(error.sentence(takes_void)) from None


def refuse_targets(y):
    """Raise where y has maps, which come second in other libraries, after images."""
    n_axes = getattr(y, "ndim", 1)
    if n_axes > 2 or (n_axes == 1 and y is not None and form_of(y, "y") == "list"):
        raise ValueError(
            "y has maps, which would be ignored; give the maps as X and their images "
            "as images, as in fit(maps, images=images), and leave y out."
        )


def _refuse_paths(X):
    """Raise where files are named, for which scikit-learn has no words."""
    if isinstance(X, str | PathLike):
        raise ValueError(f"X={str(X)!r} is a path; give read_masks([X]) of {READER}.")
    if np.ndim(X) == 1 if hasattr(X, "ndim") else isinstance(X, list | tuple):
        first = next(iter(X), None)
        if isinstance(first, str | PathLike):
            raise ValueError(
                f"X has 1 axes of text or paths, {str(first)!r} first; give rows (n, "
                "n_pixels) or maps (n, height, width), and of files of masks "
                f"read_masks(X) of {READER}."
            )


def _read(estimator, X, reset, image_shape, n_classes, void_class, any_shape):
    if is_of_frames(X) and getattr(X, "ndim", 2) == 1:
        X = np.asarray(X)  # a column of maps
    form = form_of(X)
    if form == "rows":
        rows = _read_rows(estimator, X, reset)
        shape = estimator.image_shape_ if not reset else None
        if reset:
            shape = check_image_shape(image_shape, rows.shape[1])
        stacks = [rows.reshape(-1, *shape)]
    else:
        arrays = as_maps(X, form)
        if form == "maps":
            # All of them are of one type, which a few may not show.
            arrays = _pixels(arrays)
        else:
            arrays = [_pixels(array) for array in arrays]
            for i, (given, array) in enumerate(zip(X, arrays, strict=True)):
                _check_not_rounded(given, array, f"X[{i}]")
        if reset:
            shape = common_shape(arrays, image_shape, form)
            estimator.n_features_in_ = math.prod(shape)
            vars(estimator).pop("feature_names_in_", None)
        elif not any_shape:
            check_sizes(arrays, estimator.image_shape_)
        stacks = [arrays] if form == "maps" else [a[None] for a in arrays]
    if reset:
        labels = learn_labels(stacks, n_classes, void_class)
        estimator._pixel_labels, estimator._map_form = labels, form
        estimator.classes_, estimator.n_classes_ = labels.classes, len(labels.classes)
        is_one = void_class is None or isinstance(void_class, str)
        is_one = is_one or np.ndim(void_class) == 0
        estimator.void_class_ = void_class if is_one else tuple(void_class)
        estimator.image_shape_ = shape
    maps = [m for stack in stacks for m in estimator._pixel_labels.numbers(stack)]
    return LabelMaps(maps, form)


def _read_rows(estimator, X, reset):
    """Flat rows as an array of numbers or text, after scikit-learn's checks."""
    given, X = X, plain(X)
    values = np.asarray(X) if is_of_frames(X) else X
    exact = _text_or_integers(X, values)
    try:
        if exact is not None:
            validate_data(estimator, X, reset=reset, skip_check_array=True)
            _check_two_axes(exact)
            return exact
        rows = validate_rows(
            estimator, X, reset=reset, dtype="numeric", ensure_all_finite=True
        )
    except ValueError as error:
        if " features as input" in str(error):
            sentence = str(error).rstrip(".")
            raise ValueError(
                f"{sentence}; one map of shape (height, width) is X[np.newaxis] or [X]."
            ) from None
        if "contains NaN" not in str(error):
            raise
        raise no_label("X") from None
    _check_not_rounded(given if isinstance(given, list | tuple) else X, rows, "X")
    return rows


def _text_or_integers(X, values):
    """An array of those if X is a frame or an array of them, else None.

    By way of the checks of numbers large ones would be rounded.
    """
    if not isinstance(values, np.ndarray) or not values.size:
        return None
    if values.dtype.kind in "biu":
        return values if is_of_frames(X) else None
    if values.dtype.kind not in "OU":
        return None
    kinds = _kinds_of(values)
    if all(issubclass(kind, str) for kind in kinds):
        return values
    if any(issubclass(kind, str) for kind in kinds):
        raise _mixed("X", values)
    return _pixels(values) if all(issubclass(kind, WHOLE) for kind in kinds) else None


def _check_not_rounded(given, values, name):
    """Raise where NumPy has made floats of whole numbers that these do not hold.

    It does so with lists and frames in which they stand beside other types.
    """
    is_array = not (isinstance(given, list | tuple) or is_of_frames(given))
    if values.dtype.kind != "f" or (is_array and np.asarray(given).dtype.kind == "f"):
        return
    if np.abs(values).max(initial=0) >= LARGEST_EXACT:
        raise ValueError(
            f"{name} has whole numbers beyond 2^53 beside numbers of another type, "
            "which would be rounded; give integers of one type."
        )


def _check_two_axes(values):
    if values.ndim != 2:
        raise ValueError(
            f"X has {values.ndim} axes; give rows (n, n_pixels) or maps (n, height, "
            "width)."
        )


def _pixels(array):
    """An array of objects as one of numbers or text; others are as they are."""
    kind = array.dtype.kind
    if kind in "mM":
        raise ValueError("X has dates or times; give whole numbers or text as labels.")
    if kind == "f" and array.dtype.itemsize > 8:
        return array.astype(np.float64)
    if kind != "O":
        return array
    kinds = _kinds_of(array)
    if all(issubclass(k, str) for k in kinds):
        return array
    if not all(issubclass(k, numbers.Real | np.bool_) for k in kinds):
        raise _mixed("X", array)
    if all(issubclass(k, bool | np.bool_) for k in kinds):
        return array.astype(bool)
    try:
        if all(issubclass(k, WHOLE) for k in kinds):
            return _integers(array)
        floats = array.astype(np.float64)
        _check_not_rounded(array, floats, "X")
        return floats
    except OverflowError:
        raise ValueError(
            "X has integers beyond 64 bits; give other labels, such as their order."
        ) from None


def _integers(array):
    """Objects as integers of 64 bits, with a sign if they can be."""
    try:
        return array.astype(np.int64)
    except OverflowError:
        return array.astype(np.uint64)


def _kinds_of(values):
    return set(map(type, values.ravel().tolist()))


def _mixed(name, values):
    kinds = sorted({kind.__name__ for kind in _kinds_of(values)})
    return LabelError(
        f"{name} has labels of the kinds {', '.join(kinds)}; give whole numbers or text"
        " in every pixel",
        ", and name the label of those that have none in void_class",
    )
