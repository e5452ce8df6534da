"""Files of masks, which Pillow reads: the one file that knows it."""

import numpy as np

from sklvm.label_maps._shapes import as_form

# Modes of Pillow in which a pixel is one number.
ONE_NUMBER = ("1", "L", "P", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")


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

    Raises
    ------
    ValueError
        If a file has colours and no palette, so that nobody knows which colour is which
        class.
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
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(
            'read_masks needs Pillow; install it by pip install "sklvm[masks]".'
        ) from None
    with Image.open(path) as picture:
        if picture.mode not in ONE_NUMBER:
            raise ValueError(
                f"{str(path)!r} has the colours of mode {picture.mode!r} and no "
                "palette; map them to classes, and give the labels as an array."
            )
        return np.array(picture)
