"""Checks of label maps, images and codes at the public edge."""

import math
from numbers import Integral, Real

import numpy as np
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_n_features, check_is_fitted

from sklvm.columns._numbers import check_numbers, refuse_mask
from sklvm.label_maps._images import warn_of_unit
from sklvm.label_maps._reading import read_label_maps
from sklvm.label_maps._shapes import as_maps, flat_images, form_of
from sklvm.segmentation._tiles import Maps, check_tiles, windows

# Nats per wrong pixel that float32 can count with.
LEAST_WEIGHT, MOST_WEIGHT = 1e-30, 1e30


def check_label_maps(estimator, X, *, reset, in_tiles=False):
    """X as `Maps` of numbers: the classes, void labels after them.

    With `in_tiles` maps may be larger than those of the fit.
    """
    params = {}
    if reset:
        names = ("image_shape", "n_classes", "void_class")
        params = {name: getattr(estimator, name) for name in names}
    read = read_label_maps(estimator, X, reset=reset, any_shape=in_tiles, **params)
    check_tiles(read.maps, estimator.image_shape_)
    return Maps.of(read.maps, estimator.image_shape_, read.form)


def check_images(estimator, images, n_rows, *, reset, in_tiles=False):
    """Images as float32 of shape (n, P * channels), and their shapes; or None, None.

    With `in_tiles` n is the number of tiles, where images are larger than those of the
    fit.
    """
    n_channels = None if reset else estimator.n_image_channels_
    if images is None:
        if n_channels:
            raise ValueError(
                f"images=None, but {type(estimator).__name__} was fitted with images; "
                "give an image for each map."
            )
        estimator.n_image_channels_ = 0
        return None, None
    if n_channels == 0:
        raise ValueError(
            f"images were given, but {type(estimator).__name__} was fitted without; "
            "leave them out, or fit with images."
        )
    refuse_mask(images, "images")
    if isinstance(images, list | tuple) and not len(images):
        raise ValueError(
            f"images={images!r} and there are {n_rows} maps; give an image for each."
        )
    cut = windows if in_tiles else None
    images, shapes = flat_images(images, estimator.image_shape_, cut)
    images = check_numbers(images, "images", dtype=np.float32)
    n_pixels = math.prod(estimator.image_shape_)
    width = n_pixels * n_channels if n_channels else None
    if images.shape[1] != width and (width or images.shape[1] % n_pixels):
        if shapes is not None:
            raise ValueError(
                f"images[0] has the shape {shapes[0]} and {images.shape[1] // n_pixels}"
                f" channels, and those of the fit are {estimator.image_shape_} with "
                f"{n_channels}; give images (height, width, channels) of their maps."
            )
        raise ValueError(
            f"images has {images.shape[1]} columns, which must be "
            f"{width or f'a multiple of {n_pixels}'}: pixels times channels."
        )
    n_images = len(images if shapes is None else shapes)
    if n_images != n_rows:
        raise ValueError(
            f"images has {n_images} rows and there are {n_rows} maps; give an image "
            "for each."
        )
    estimator.n_image_channels_ = images.shape[1] // n_pixels
    model = None if reset else getattr(estimator, "map_model_", None)
    if model is not None:  # as there is none in those of version 0.1
        warn_of_unit(model.tones, images[images != 0])  # as what is filled up
    return images, shapes or [estimator.image_shape_] * n_rows


def check_same_shapes(images, maps):
    """Raise unless images, where there are any, have the shapes of their maps."""
    if images is None:
        return
    for i, (shape, other) in enumerate(zip(images, maps, strict=True)):
        if shape != other:
            raise ValueError(
                f"images[{i}] has the shape {shape} and its map {other}; give images "
                "(height, width, channels) as large as their maps."
            )


def check_codes(estimator, S):
    """Sparse maps as `Maps`, -1 for blank."""
    refuse_mask(S, "S")
    form = form_of(S, "S")
    if form == "rows":
        rows = check_numbers(S, "S", dtype="numeric")
        _check_n_features(estimator, rows, reset=False)
        arrays = list(rows.reshape(-1, *estimator.image_shape_))
    else:
        arrays = as_maps(S, form, "S")
        check_tiles(arrays, estimator.image_shape_, "S")
        arrays = [check_numbers(a, "S", dtype="numeric") for a in arrays]
    k = estimator.n_classes_
    for array in arrays:
        wrong = (array < -1) | (k <= array) | (np.floor(array) != array)
        if wrong.any():
            raise ValueError(
                f"S has the value {array[wrong][0]}; give -1 for blank and the numbers "
                f"of the classes, 0 to {k - 1}."
            )
    codes = Maps.of(arrays, estimator.image_shape_, form)
    if np.isin(codes.maps, estimator._pixel_labels.void_numbers).any():
        raise ValueError(
            f"S has a seed of void_class={estimator.void_class_}, which is never "
            "decoded; leave the pixel blank, -1."
        )
    return codes


def check_output(estimator, form):
    """Raise where maps that are no rows are to be put into a DataFrame."""
    kind = _get_output_config("transform", estimator)["dense"]
    if kind != "default" and form != "rows":
        raise ValueError(
            f"X is no table of flat rows, and set_output(transform={kind!r}) makes one;"
            " give X.reshape(len(X), -1), or set_output(transform='default')."
        )


def check_weights(distortion_weights):
    """The weights of a curve."""
    weights = np.ravel(distortion_weights)
    if weights.dtype.kind not in "iuf" or not weights.size:
        raise ValueError(
            f"distortion_weights={distortion_weights!r} must be one or more numbers, "
            "in nats per wrong pixel."
        )
    for weight in weights:
        if not LEAST_WEIGHT <= weight <= MOST_WEIGHT:
            raise ValueError(
                f"distortion_weights has {weight}; give numbers from {LEAST_WEIGHT} to "
                f"{MOST_WEIGHT}, in nats per wrong pixel."
            )
    return weights.astype(float)


def check_max_distortion(estimator, value):
    """A number of pixels, or what their weights add up to; or None."""
    check_is_fitted(estimator)
    if value is None:
        return None
    is_weighted = estimator.class_weight_ is not None
    kind, what = (
        (Real, "a finite sum of weights")
        if is_weighted
        else (Integral, "a number of pixels")
    )
    is_number = isinstance(value, kind) and not isinstance(value, bool)
    if not (is_number and 0 <= value < np.inf):
        raise ValueError(
            f"max_distortion={value!r} must be {what}, 0 or more, or None."
        )
    return float(value) if is_weighted else int(value)


def class_weights(class_weight, labels, maps):
    """What an error in a pixel of each class counts for (k,), or None for 1.

    Parameters
    ----------
    class_weight : dict of labels, "balanced" or None
    labels : PixelLabels
    maps : ndarray of numbers
        Of the fit.
    """
    if class_weight is None:
        return None
    weights = np.ones(len(labels.classes))
    if isinstance(class_weight, str):
        counts = np.bincount(maps[labels.counted(maps)], minlength=len(weights))
        seen = counts > 0
        weights[seen] = counts.sum() / (seen.sum() * counts[seen])
        return weights
    numbers = {label: at for at, label in enumerate(labels.classes.tolist())}
    for label, weight in class_weight.items():
        if label not in numbers:
            raise ValueError(
                f"class_weight={class_weight!r} has the label {label!r}, which is none "
                "of the classes of X; leave it out, or set n_classes."
            )
        is_number = isinstance(weight, Real) and not isinstance(weight, bool)
        if not (is_number and 0 <= weight <= MOST_WEIGHT):
            raise ValueError(
                f"class_weight={class_weight!r} has {weight!r} for {label!r}; give "
                f"numbers from 0 to {MOST_WEIGHT}, in ordinary pixels an error."
            )
        weights[numbers[label]] = weight
    if not weights.any():
        raise ValueError(
            f"class_weight={class_weight!r} leaves no class with a weight; give one of "
            "them a number above 0."
        )
    return weights
