"""Images beside label maps, in the forms in which those come."""

import numpy as np

from sklvm._warn import warn_user
from sklvm.columns._numbers import check_numbers
from sklvm.label_maps._shapes import as_list

# From which ratio on the range of values is that of another unit, as of 0 to 1 beside
# 0 to 255; images are darker or lighter by less.
OTHER_UNIT = 20


def read_images(estimator, images, shapes, *, reset):
    """Images as a list of float64 (H, W, C) for maps of these shapes, or None.

    With `reset` the estimator gets `n_image_channels_`, else it has it.
    """
    name = type(estimator).__name__
    if images is None:
        if not reset and estimator.n_image_channels_:
            raise ValueError(
                f"images=None, but {name} was fitted with images; give an image for "
                "each map."
            )
        if reset:
            estimator.n_image_channels_ = 0
        return None
    if not reset and not estimator.n_image_channels_:
        raise ValueError(
            f"images were given, but {name} was fitted without; leave them out, or fit "
            "with images."
        )
    arrays = as_list(images, "images")
    if len(arrays) != len(shapes):
        raise ValueError(
            f"images has {len(arrays)} images and there are {len(shapes)} maps; give an"
            " image for each."
        )
    arrays = [
        _image(array, shape, number)
        for number, (array, shape) in enumerate(zip(arrays, shapes, strict=True))
    ]
    channels = {array.shape[-1] for array in arrays}
    known = channels if reset else {estimator.n_image_channels_}
    if channels != known or len(channels) > 1:
        raise ValueError(
            f"images has images of {sorted(channels)} channels, which must be "
            f"{'one number' if reset else estimator.n_image_channels_}; give as many "
            "channels in each."
        )
    (estimator.n_image_channels_,) = known
    return arrays


def warn_of_unit(tones, values):
    """Warn of images that are in another unit than those of the fit.

    Their labels would be said to be improbable, or decoded with many errors.
    """
    if not len(values):
        return
    bottom, top = float(values.min()), float(values.max())
    low, high = tones.range()
    above = max(low - bottom, top - high)
    is_wide = above > OTHER_UNIT * (high - low)
    is_narrow = 0 < OTHER_UNIT * 2 * (top - bottom) < high - low
    if is_wide or is_narrow:
        warn_user(
            f"images has values from {bottom:g} to {top:g} and those of the fit were "
            f"from {low:g} to {high:g}, so that they seem to be in another unit; give "
            "them in that of the fit."
        )


def _image(array, shape, number):
    n_pixels = shape[0] * shape[1]
    is_flat = array.ndim == 1 and array.size and array.size % n_pixels == 0
    if not is_flat and (array.ndim not in (2, 3) or array.shape[:2] != tuple(shape)):
        raise ValueError(
            f"images[{number}] has the shape {array.shape} and its map {shape}; give "
            "(height, width, channels) of the map's height and width, or rows of as "
            "many numbers."
        )
    flat = check_numbers(array.reshape(1, -1), "images", dtype=np.float64)
    return flat.reshape(*shape, -1)
