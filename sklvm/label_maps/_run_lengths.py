"""Masks as run lengths, as COCO has them: down the columns, zeros first."""

import math
from collections.abc import Mapping

import numpy as np

from sklvm.columns._forms import plain


def to_run_lengths(mask, *, compressed=False):
    """The run lengths of a mask, as annotations of COCO have them.

    Parameters
    ----------
    mask : array-like of shape (height, width)
        Of booleans, or 0 and 1; ``Y == label`` is the mask of one label of a map.
    compressed : bool, default=False
        Counts as text, as pycocotools writes them, in place of a list.

    Returns
    -------
    run_lengths : dict
        "size", the list [height, width], and "counts": numbers of pixels that are
        alternately 0 and 1, down one column after the other, beginning with 0.

    Raises
    ------
    ValueError
        If it is no mask.

    References
    ----------
    T.-Y. Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014; the format
    is that of pycocotools.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvm.label_maps import from_run_lengths, to_run_lengths
    >>> Y = np.array([[0, 7, 7], [0, 0, 7]])
    >>> to_run_lengths(Y == 7)
    {'size': [2, 3], 'counts': [2, 1, 1, 2]}
    >>> from_run_lengths(to_run_lengths(Y == 7, compressed=True)).astype(int)
    array([[0, 1, 1],
           [0, 0, 1]])
    """
    mask = np.asarray(plain(mask, "mask"))
    if mask.ndim != 2 or not mask.size or not np.isin(mask, (0, 1)).all():
        raise ValueError(
            f"mask has the shape {mask.shape} and the dtype {mask.dtype}, and must be "
            "(height, width) of 0 and 1; give Y == label for one label of a map."
        )
    pixels = mask.ravel(order="F").astype(bool)
    ends = np.flatnonzero(np.diff(pixels, prepend=False)).tolist()
    counts = np.diff([0, *ends, pixels.size]).tolist()
    return {
        "size": list(mask.shape),
        "counts": _to_text(counts) if compressed else counts,
    }


def from_run_lengths(run_lengths):
    """The mask of COCO's run lengths.

    Parameters
    ----------
    run_lengths : dict
        With "size" and "counts", a list or compressed text, as `to_run_lengths` gives
        them.

    Returns
    -------
    mask : ndarray of shape (height, width)
        Of booleans.

    Raises
    ------
    ValueError
        If the counts are not those of a mask of this size.

    Examples
    --------
    A label map of two annotations, the second above the first:

    >>> import numpy as np
    >>> from sklvm.label_maps import from_run_lengths
    >>> Y = np.full((2, 3), 255)
    >>> for label, counts in ((7, [2, 4]), (3, [5, 1])):
    ...     Y[from_run_lengths({"size": [2, 3], "counts": counts})] = label
    >>> Y
    array([[255,   7,   7],
           [255,   7,   3]])
    """
    if not isinstance(run_lengths, Mapping) or not {"size", "counts"} <= set(
        run_lengths
    ):
        raise ValueError(
            f"run_lengths={run_lengths!r:.60} is no dict of 'size' and 'counts'; of an "
            "annotation of COCO give its 'segmentation', which for iscrowd=0 may be "
            "polygons, that pycocotools makes run lengths of."
        )
    size, given = np.ravel(run_lengths["size"]).tolist(), run_lengths["counts"]
    counts = _from_text(given) if isinstance(given, str | bytes) else given
    counts = np.ravel(counts).tolist()
    if len(size) != 2 or not all(map(_is_count, size)):
        raise ValueError(
            f"size={run_lengths['size']!r:.60} must be (height, width), two whole "
            "numbers."
        )
    if not counts or not all(map(_is_count, counts)) or sum(counts) != math.prod(size):
        raise ValueError(
            f"counts={given!r:.60} are not those of a mask of size={size}; give counts "
            "of 0 or more that add up to its pixels."
        )
    values = np.arange(len(counts)) % 2 == 1
    shape = tuple(map(int, size))
    return np.repeat(values, np.array(counts, dtype=np.int64)).reshape(shape, order="F")


def _is_count(value):
    return isinstance(value, int | float) and value >= 0 and value == value // 1


def _to_text(counts):
    """Counts, as differences from the last but one, in digits of five bits."""
    text = []
    for i, count in enumerate(counts):
        x = count - counts[i - 2] if i > 2 else count
        more = True
        while more:
            digit, x = x & 31, x >> 5
            more = x != (-1 if digit & 16 else 0)
            text.append(chr(48 + digit + 32 * more))
    return "".join(text)


def _from_text(text):
    counts, x, shift = [], 0, 0
    for code in text.encode() if isinstance(text, str) else text:
        digit = code - 48
        x |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        x -= (digit >> 4 & 1) << shift
        counts.append(x + counts[-2] if len(counts) > 2 else x)
        x, shift = 0, 0
    return counts
