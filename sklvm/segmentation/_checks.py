"""Checks of label maps, images and codes at the public edge."""

import math
from collections.abc import Sequence
from numbers import Integral

import numpy as np
from sklearn.utils.validation import _check_n_features

from sklvm.columns._numbers import check_numbers, refuse_mask, validate_rows

# Contexts of classes are numbered in 64 bits.
MOST_CLASSES = 4096
# Nats a wrong pixel that float32 can count with.
LEAST_WEIGHT, MOST_WEIGHT = 1e-30, 1e30


def check_label_maps(estimator, X, *, reset):
    """Maps as int32 of shape (n, P), classes known and no map all void."""
    _check_is_flat("X", X)
    refuse_mask(X, "X", "give void_class where a pixel has no class")
    X = validate_rows(
        estimator, X, reset=reset, dtype="numeric", ensure_all_finite=True
    )
    name = type(estimator).__name__
    if X.min() < 0:
        raise ValueError(
            f"Negative values in data passed to {name}: X has {X.min()}; classes are "
            "whole numbers from 0."
        )
    if X.dtype.kind == "f" and (np.floor(X) != X).any():
        value = X[np.floor(X) != X][0]
        raise ValueError(
            f"X has the value {value}, which is no class; give whole numbers from 0, "
            "one a pixel."
        )
    if reset:
        _set_shape(estimator, X)
    if X.max() >= estimator.n_classes_:
        raise ValueError(
            f"X has the class {int(X.max())} and n_classes={estimator.n_classes_}; "
            f"classes are 0 to {estimator.n_classes_ - 1}, so set n_classes or mend X."
        )
    void = estimator.void_class_
    if void is not None:
        all_void = (void == X).all(axis=1)
        if all_void.any():
            raise ValueError(
                f"Row {all_void.argmax()} of X is void_class={void} at every pixel; "
                "leave it out."
            )
    return X.astype(np.int32)


def _set_shape(estimator, X):
    """The classes and the shape of maps that X has."""
    n_classes, void = estimator.n_classes, estimator.void_class
    largest = int(X.max())
    if n_classes is None:
        n_classes = largest + 1
    if n_classes > MOST_CLASSES:
        raise ValueError(
            f"n_classes={n_classes} is above {MOST_CLASSES} and the largest class of X "
            f"is {largest}; number the classes from 0 without gaps."
        )
    estimator.n_classes_, estimator.void_class_ = int(n_classes), void
    if void is not None and void >= estimator.n_classes_:
        raise ValueError(
            f"void_class={void} is not one of the classes 0 to "
            f"{estimator.n_classes_ - 1}; set it to one of them, or n_classes."
        )
    shape = estimator.image_shape
    if shape is None:
        estimator.image_shape_ = 1, X.shape[1]
        return
    shape = np.ravel(shape).tolist()
    if len(shape) != 2 or not all(isinstance(n, int) and n > 0 for n in shape):
        raise ValueError(
            f"image_shape={estimator.image_shape!r} must be (height, width), two "
            "positive integers."
        )
    if math.prod(shape) != X.shape[1]:
        raise ValueError(
            f"image_shape={estimator.image_shape!r} has {math.prod(shape)} pixels and X"
            f" has {X.shape[1]} columns; set image_shape to the shape of a map."
        )
    estimator.image_shape_ = tuple(shape)


def check_images(estimator, images, n_rows, *, reset):
    """Images as float32 of shape (n, P * channels), or None."""
    n_channels = None if reset else estimator.n_image_channels_
    if images is None:
        if n_channels:
            raise ValueError(
                f"images=None, but {type(estimator).__name__} was fitted with images; "
                "give an image for each map."
            )
        estimator.n_image_channels_ = 0
        return None
    if n_channels == 0:
        raise ValueError(
            f"images were given, but {type(estimator).__name__} was fitted without; "
            "leave them out, or fit with images."
        )
    _check_is_flat("images", images)
    images = check_numbers(images, "images", dtype=np.float32)
    n_pixels = math.prod(estimator.image_shape_)
    width = n_pixels * n_channels if n_channels else None
    if images.shape[1] != width and (width or images.shape[1] % n_pixels):
        raise ValueError(
            f"images has {images.shape[1]} columns, which must be "
            f"{width or f'a multiple of {n_pixels}'}: pixels times channels."
        )
    if len(images) != n_rows:
        raise ValueError(
            f"images has {len(images)} rows and there are {n_rows} maps; give an image "
            "for each."
        )
    estimator.n_image_channels_ = images.shape[1] // n_pixels
    return images


def check_codes(estimator, S):
    """Sparse maps as int32 of shape (n, H, W), -1 for blank."""
    _check_is_flat("S", S)
    S = check_numbers(S, "S", dtype="numeric")
    _check_n_features(estimator, S, reset=False)
    k = estimator.n_classes_
    if S.min() < -1 or S.max() >= k or (np.floor(S) != S).any():
        wrong = S[(S < -1) | (k <= S) | (np.floor(S) != S)][0]
        raise ValueError(
            f"S has the value {wrong}; give -1 for blank and the classes 0 to {k - 1}."
        )
    void = estimator.void_class_
    if void is not None and (void == S).any():
        raise ValueError(
            f"S has a seed of void_class={void}, which is never decoded; leave the "
            "pixel blank, -1."
        )
    return S.astype(np.int32).reshape(-1, *estimator.image_shape_)


def check_weights(distortion_weights):
    """The weights of a curve."""
    weights = np.ravel(distortion_weights)
    if weights.dtype.kind not in "iuf" or not weights.size:
        raise ValueError(
            f"distortion_weights={distortion_weights!r} must be one or more numbers, "
            "in nats a wrong pixel."
        )
    for weight in weights:
        if not LEAST_WEIGHT <= weight <= MOST_WEIGHT:
            raise ValueError(
                f"distortion_weights has {weight}; give numbers from {LEAST_WEIGHT} to "
                f"{MOST_WEIGHT}, in nats a wrong pixel."
            )
    return weights.astype(float)


def check_max_distortion(value):
    """A number of pixels as an int, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
        raise ValueError(
            f"max_distortion={value!r} must be a number of pixels, 0 or more, or None."
        )
    return int(value)


def check_streams(streams):
    """A list of one or more streams; what they are is seen as they are read."""
    if isinstance(streams, bytes | bytearray | memoryview):
        raise ValueError(
            f"streams={streams!r:.40} is bytes; give a list, [stream] of a single one."
        )
    is_array = isinstance(streams, np.ndarray) and streams.ndim == 1
    if not (isinstance(streams, Sequence) or is_array) or not len(streams):
        raise ValueError(
            f"streams={streams!r:.40} must be a list of one or more bytes objects."
        )


def _check_is_flat(name, rows):
    """Raise where an array has more axes than rows and columns, and say the remedy."""
    n_axes = getattr(rows, "ndim", 2)
    if n_axes > 2:
        raise ValueError(
            f"{name} has {n_axes} axes and each row must be one map or image, flattened"
            f"; give {name}.reshape(len({name}), -1)."
        )
