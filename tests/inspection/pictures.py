"""What a figure shows, read back from its artists."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def pictures_of(ax):
    """The images of the axes as float arrays, masked entries NaN."""
    return [
        np.ma.filled(image.get_array().astype(float), np.nan) for image in ax.images
    ]


def place(ax, picture):
    """Row and column of a picture in one of the images of the axes, or None."""
    picture = np.asarray(picture, dtype=float)
    for shown in pictures_of(ax):
        if shown.ndim != picture.ndim or np.any(
            np.array(shown.shape) < np.array(picture.shape)
        ):
            continue
        windows = sliding_window_view(shown, picture.shape)
        windows = windows.reshape(*windows.shape[:2], -1)
        found = np.isclose(windows, picture.ravel(), atol=1e-6).all(axis=2)
        if found.any():
            return tuple(np.argwhere(found)[0].tolist())
    return None


def shows(ax, rows, image_shape=None):
    """Whether every row is in the axes as a picture, each in a place of its own."""
    rows = np.asarray(rows)
    image_shape = (1, rows.shape[1]) if image_shape is None else image_shape
    places = [place(ax, row.reshape(image_shape)) for row in rows]
    # Rows that are the same but for float32's rounding have one place.
    n_rows = len(np.unique(rows.round(5), axis=0))
    return None not in places and len(set(places)) == n_rows


def in_reading_order(ax, rows, image_shape):
    places = [place(ax, row.reshape(image_shape)) for row in rows]
    return None not in places and places == sorted(places)


def lines_of(figure):
    """x and y of all lines of a figure, points without a number left out."""
    lines = [line for ax in figure.axes for line in ax.lines]
    data = [np.asarray(line.get_xydata(), dtype=float) for line in lines]
    return [xy[np.isfinite(xy).all(axis=1)] for xy in data]


def has_line(figure, y, x=None, rtol=1e-6):
    """Whether one of the lines goes through these points."""
    y = np.asarray(y, dtype=float)
    return any(
        len(xy) == len(y)
        and np.allclose(xy[:, 1], y, rtol=rtol, atol=1e-12)
        and (x is None or np.allclose(xy[:, 0], x))
        for xy in lines_of(figure)
    )


def points_of(ax):
    """All points of scatter plots and lines, shape (n, 2)."""
    scattered = [np.ma.filled(c.get_offsets(), np.nan) for c in ax.collections]
    drawn = [np.asarray(line.get_xydata(), dtype=float) for line in ax.lines]
    return np.concatenate([np.empty((0, 2)), *scattered, *drawn])


def has_points(ax, points):
    """Whether each of the points is somewhere in the axes."""
    drawn = {tuple(p) for p in np.round(points_of(ax), 4).tolist()}
    return {tuple(p) for p in np.round(np.asarray(points, float), 4).tolist()} <= drawn
