"""Files of masks, which Pillow reads: the one file that knows it."""

from os import PathLike

import numpy as np

from sklvm._warn import warn_user
from sklvm.label_maps._shapes import as_form

# Modes of Pillow in which a pixel is one number.
ONE_NUMBER = ("1", "L", "P", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")

# Of TIFF: tags that say what its numbers are and mean, and their values.
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0
SAMPLE_FORMAT, UNSIGNED, SIGNED = 339, 1, 2


def read_masks(paths):
    """Label maps from files of pictures, such as PNG, by Pillow.

    Parameters
    ----------
    paths : iterable of str or path-like
        Files whose pixels are one number each: of a palette, whose colours are for the
        eye, the number of the colour; of grey levels these.

    Returns
    -------
    Y : ndarray of shape (n, height, width), or list of ndarray of shape (height, width)
        A list where the sizes differ. The dtype is the files' own, uint8 mostly.

    Warns
    -----
    UserWarning
        If a file is a JPEG, which blurs labels into others.

    Raises
    ------
    ValueError
        If a file has colours and no palette, so that nobody knows which colour is which
        class; if it has several pages, or is no picture that Pillow reads.
    ImportError
        Without Pillow: ``pip install "sklvm[masks]"``.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from PIL import Image
    >>> from sklvm.label_maps import read_masks
    >>> with tempfile.NamedTemporaryFile(suffix=".png") as file:
    ...     Image.fromarray(np.array([[0, 1], [1, 255]], dtype=np.uint8)).save(file)
    ...     Y = read_masks([file.name])
    >>> Y
    array([[[  0,   1],
            [  1, 255]]], dtype=uint8)
    """
    if isinstance(paths, str | bytes) or hasattr(paths, "__fspath__"):
        raise ValueError(f"paths={paths!r} is one path; give a list of paths.")
    maps = [_read(path) for path in paths]
    if not maps:
        raise ValueError("paths is empty; give one path or more.")
    return as_form("maps", maps)


def _read(path):
    if not (isinstance(path, str | bytes | PathLike) or hasattr(path, "read")):
        raise ValueError(f"paths has {path!r:.60}, which is no path; leave it out.")
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise ImportError(
            'read_masks needs Pillow; install it by pip install "sklvm[masks]".'
        ) from None
    try:
        picture = Image.open(path)
    except UnidentifiedImageError:
        raise ValueError(
            f"{str(path)!r} is no picture that Pillow reads; give its labels as an "
            "array, as by numpy.load or tifffile.imread."
        ) from None
    with picture:
        _check_picture(path, picture)
        return _as_written(picture)


def _check_picture(path, picture):
    if picture.mode not in ONE_NUMBER:
        raise ValueError(
            f"{str(path)!r} has the colours of mode {picture.mode!r} and no "
            "palette; map them to classes, and give the labels as an array."
        )
    n_pages = getattr(picture, "n_frames", 1)
    if n_pages > 1:
        raise ValueError(
            f"{str(path)!r} has {n_pages} pages, of which only the first would be read;"
            " give all of them as an array, as by tifffile.imread."
        )
    if picture.format == "JPEG":
        warn_user(
            f"{str(path)!r} is a JPEG, which blurs labels into others along their "
            "borders; give masks as PNG, and count the labels of these."
        )


def _as_written(picture):
    """The numbers of the file: of TIFF, Pillow has others for some of the types."""
    pixels = np.array(picture)
    tags = getattr(picture, "tag_v2", {})
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO and picture.mode in ("1", "L"):
        pixels = ~pixels  # as Pillow has made white of 0
    if pixels.dtype == np.uint8 and tags.get(SAMPLE_FORMAT) == (SIGNED,):
        return pixels.view(np.int8)
    is_unsigned = tags.get(SAMPLE_FORMAT, (UNSIGNED,)) == (UNSIGNED,)
    if pixels.dtype == np.int32 and tags and is_unsigned:
        return pixels.view(np.uint32)
    return pixels
