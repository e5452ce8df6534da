"""The forms in which people have maps: flat rows, (n, H, W), lists of maps.

Whatever comes in is a list of maps (H, W) inside, and goes out as it came.
"""

import math

import numpy as np

from sklvm.columns._forms import has_array, is_of_frames, plain
from sklvm.columns._numbers import check_numbers

# Colours and their opacity.
MOST_CHANNELS = 4


def form_of(X, name="X"):
    """ "rows", "maps" (n, H, W) or "list" (of maps), by the axes of X.

    Rows are what anything is that is none of the others: scikit-learn's checks say what
    is wrong with them.
    """
    if _is_list_of_maps(X):
        return "list"
    n_axes = getattr(X, "ndim", 2)
    if n_axes > 3:
        raise ValueError(_says_channels(np.asarray(X), name, is_list=False))
    return "maps" if n_axes == 3 else "rows"


def _is_list_of_maps(X):
    is_objects = isinstance(X, np.ndarray) and X.dtype.kind == "O" and X.ndim == 1
    if not (isinstance(X, list | tuple) or is_objects) or not len(X):
        return False
    return not isinstance(X[0], str | bytes) and _n_axes(X[0]) >= 2


def _n_axes(value):
    if hasattr(value, "ndim"):
        return value.ndim
    if has_array(value):  # a picture
        return np.asarray(value).ndim
    is_list = isinstance(value, list | tuple) and len(value)
    return 1 + _n_axes(value[0]) if is_list else int(isinstance(value, list | tuple))


def as_maps(X, form, name="X"):
    """X of the form "maps" or "list" as arrays (H, W): of one array, or in a list."""
    if form == "maps":
        arrays = plain(X, name)
        if not arrays.size:
            raise ValueError(
                f"{name} has the shape {arrays.shape}; give one map or more, each of "
                "one pixel or more."
            )
        return arrays
    arrays = [np.asarray(plain(x, f"{name}[{i}]")) for i, x in enumerate(X)]
    for i, array in enumerate(arrays):
        if array.ndim > 2:
            raise ValueError(_says_channels(array[None], name, is_list=True))
        if array.ndim < 2 or not array.size:
            raise ValueError(
                f"{name}[{i}] has the shape {array.shape}; give a list of maps (height,"
                " width) of one pixel or more."
            )
    return arrays


def as_form(form, maps):
    """Maps (H, W) of one size or several in a form."""
    if form == "list" or len({m.shape for m in maps}) > 1:
        return list(maps)
    maps = np.stack(maps)
    return maps if form == "maps" else maps.reshape(len(maps), -1)


def common_shape(maps, image_shape, form, name="X"):
    """The shape that all of the maps fit into, `image_shape` where that is given."""
    shapes = [m.shape for m in maps]
    largest = tuple(max(sizes) for sizes in zip(*shapes, strict=True))
    if image_shape is not None:
        shape = check_image_shape(image_shape)
        check_sizes(maps, shape, name)
        return shape
    height, width = largest
    if form == "maps" and width <= MOST_CHANNELS < height:
        raise ValueError(
            f"{name} has the shape {(len(maps), height, width)}, which looks like one "
            f"image of {width} channels; give maps (n, height, width) of one class a "
            "pixel, or set image_shape if they are that."
        )
    return largest


def check_sizes(maps, image_shape, name="X"):
    """Raise where a map does not fit into those of the fit."""
    for i, m in enumerate(maps):
        if m.shape[0] > image_shape[0] or m.shape[1] > image_shape[1]:
            raise ValueError(
                f"{name}[{i}] has the shape {m.shape[:2]}, which is larger than "
                f"image_shape={image_shape}; fit with image_shape as large as the "
                "largest map, or cut it into tiles."
            )


def check_image_shape(image_shape, n_pixels=None, name="X"):
    """`image_shape` as (height, width), of so many pixels."""
    if image_shape is None:
        return 1, n_pixels
    shape = np.ravel(image_shape).tolist()
    if len(shape) != 2 or not all(isinstance(n, int) and n > 0 for n in shape):
        raise ValueError(
            f"image_shape={image_shape!r} must be (height, width), two positive "
            "integers."
        )
    if n_pixels is not None and math.prod(shape) != n_pixels:
        raise ValueError(
            f"image_shape={image_shape!r} has {math.prod(shape)} pixels and {name} has "
            f"{n_pixels} columns; set image_shape to the shape of a map."
        )
    return tuple(shape)


def padded(maps, image_shape, value):
    """Maps of several sizes as (n, *image_shape), filled up below and to the right."""
    out = np.full((len(maps), *image_shape), value, dtype=np.int32)
    for one, m in zip(out, maps, strict=True):
        one[: m.shape[0], : m.shape[1]] = m
    return out


def cropped(maps, shapes):
    """The upper left of each map, of these shapes."""
    return [m[:h, :w] for m, (h, w) in zip(maps, shapes, strict=True)]


def flat_images(images, image_shape, cut=None):
    """Images of any form as flat rows, and their shapes; rows and None if they are.

    Images (H, W) have one channel; smaller ones than `image_shape` are filled up by 0,
    and larger ones are refused, or become several rows: `cut` gives the windows of a
    shape.
    """
    if is_of_frames(images) and getattr(images, "ndim", 2) == 1:
        images = np.asarray(images)  # a column of images
    is_list = _is_list_of_maps(images)
    if not is_list and getattr(images, "ndim", 2) <= 2:
        return images, None
    if is_list:
        arrays = [plain(image, f"images[{i}]") for i, image in enumerate(images)]
    else:
        arrays = _numbers(plain(images, "images"))
    arrays = [_numbers(np.asarray(a)) for a in arrays]
    arrays = [a.reshape(*a.shape[:2], -1) for a in arrays if _is_image(a)]
    if len({a.shape[2] for a in arrays}) != 1 or len(arrays) != len(images):
        raise ValueError(
            "images must be (height, width) or (height, width, channels) with as many "
            "channels in each; give a list of such arrays, or flat rows."
        )
    shapes = [a.shape[:2] for a in arrays]
    if cut is None:
        check_sizes(arrays, image_shape, "images")
    else:
        arrays = [a[window] for a in arrays for window in cut(a.shape[:2], image_shape)]
    rows = np.zeros((len(arrays), *image_shape, arrays[0].shape[2]), dtype=np.float32)
    with np.errstate(over="ignore"):  # infinity is refused later
        for row, a in zip(rows, arrays, strict=True):
            row[: a.shape[0], : a.shape[1]] = a
    return rows.reshape(len(rows), -1), shapes


def cropped_images(rows, image_shape, shapes):
    """Flat images, filled up to `image_shape`, as a list of (H, W, C) of shapes."""
    return cropped(rows.reshape(len(rows), *image_shape, -1), shapes)


def as_list(arrays, name):
    """Arrays or lists of any form along their first axis, each without a mask."""
    if not isinstance(arrays, list | tuple):
        arrays = np.asarray(plain(arrays, name))
        if arrays.dtype.kind != "O" or arrays.ndim > 1:
            return list(arrays)
    return [np.asarray(plain(a, f"{name}[{i}]")) for i, a in enumerate(arrays)]


def _numbers(images):
    """Objects and text as numbers, if they are some; others as they are."""
    if images.dtype.kind not in "OUS" or not images.size:
        return images
    flat = check_numbers(images.reshape(1, -1), "images", dtype=np.float64)
    return flat.reshape(images.shape)


def _is_image(array):
    return array.ndim in (2, 3) and array.size > 0 and array.dtype.kind in "biuf"


def _says_channels(X, name, is_list):
    """What to do with one-hot maps, probabilities or colours (n, ., ., ...)."""
    shape = X.shape[1:] if is_list else X.shape
    what = f"{name} has {'maps of ' if is_list else ''}the shape {shape}"
    each = f"[x{{}} for x in {name}]" if is_list else f"{name}{{}}"
    if X.ndim > 4:
        return f"{what}; give maps of one class per pixel, (n, height, width)."
    first = 0 if is_list else 1
    for axis, at in ((-1, -1), (first, 1)):
        if X.shape[at] == 1:
            return f"{what}; give {each.format(f'.squeeze({axis})')}."
    for axis, at in ((-1, -1), (first, 1)):
        if X.dtype.kind in "biuf" and _are_shares(X, at):
            return (
                f"{what}, one-hot or probabilities of classes; give "
                f"{each.format(f'.argmax(axis={axis})')}."
            )
    if X.shape[-1] in (3, 4) or X.shape[1] in (3, 4):
        return (
            f"{what}, which are colours; map the palette to classes first, as by "
            "np.unique(X.reshape(-1, 3), axis=0, return_inverse=True)[1], and give one "
            "class per pixel."
        )
    axis, at = min(((-1, -1), (first, 1)), key=lambda pair: X.shape[pair[1]])
    return (
        f"{what}, and a map has one class per pixel; give "
        f"{each.format(f'.argmax(axis={axis})')} if its numbers are scores of classes."
    )


def _are_shares(X, axis):
    """Whether numbers along an axis add up to one everywhere, as far as is looked."""
    few = X[:4].astype(np.float64)
    return bool(few.min() >= 0 and np.allclose(few.sum(axis=axis), 1, atol=1e-3))
