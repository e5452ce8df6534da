"""Label maps as pictures: a colour for each class, whatever the labels are."""

import numpy as np

from sklvm.inspection._legends import distinct_colours

# Void pixels, and what is no pixel of a map.
VOID_COLOUR, NOTHING = "0.5", "white"


def numbers_of(estimator, X):
    """Label maps as flat rows of the numbers of their classes, NaN outside of a map."""
    from sklvm.segmentation._checks import check_label_maps

    maps = check_label_maps(estimator, X, reset=False).maps
    return as_rows(np.where(maps >= 0, maps, np.nan))


def seeds_of(estimator, S):
    """Sparse maps as flat rows of numbers of classes, -1 for blank."""
    from sklvm.segmentation._checks import check_codes

    return as_rows(check_codes(estimator, S).maps)


def as_rows(maps):
    return maps.reshape(len(maps), -1)


def class_colours(n_classes):
    """Arguments of `imshow` that give each class its own colour, and void grey."""
    from matplotlib.colors import ListedColormap

    colours = ListedColormap(distinct_colours(n_classes))
    return {
        "cmap": colours.with_extremes(over=VOID_COLOUR, bad=NOTHING),
        "vmin": -0.5,
        "vmax": n_classes - 0.5,
    }
