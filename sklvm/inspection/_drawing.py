"""What the displays share: axes, rows as pictures, and how they refuse."""

import math
from numbers import Integral

import numpy as np
from sklearn.utils.validation import check_is_fitted


def check_kind(display, estimator, applies, takes):
    """Raise if a display has nothing to draw of an estimator."""
    if not applies:
        raise TypeError(
            f"{display.__name__} draws {takes}, not estimator="
            f"{type(estimator).__name__}; give one of those, or a Pipeline that ends "
            "with one."
        )
    check_is_fitted(estimator)


def axes_or_new(ax):
    """`ax`, or the axes of a new figure."""
    import matplotlib.pyplot as plt

    if ax is None:
        return plt.subplots(layout="constrained")[1]
    check_axes(ax)
    return ax


def check_axes(ax):
    """Raise where it is an array of axes, say, as plt.subplots(1, 2) gives."""
    if not hasattr(ax, "get_subplotspec"):
        raise TypeError(
            f"ax is a {type(ax).__name__} and must be one Axes of matplotlib; give one "
            "of them, as axes[0] of an array or figure.gca()."
        )


def check_image_shape(image_shape, n_features):
    """(H, W[, channels]) for rows of n_features; None is a strip of one row."""
    if image_shape is None:
        return 1, n_features
    shape = np.ravel(image_shape).tolist()
    whole = all(isinstance(size, int) and size > 0 for size in shape)
    is_image = len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))
    if not is_image or not whole or math.prod(shape) != n_features:
        raise ValueError(
            f"image_shape={image_shape!r} does not hold the {n_features} features of a "
            "row; give (H, W), (H, W, 3) for colours, or None for strips."
        )
    return tuple(shape)


def check_dimensions(dimensions, latent_dim, most):
    """Dimensions of a latent as a tuple of 1 to `most` of them."""
    chosen = tuple(dimensions) if np.iterable(dimensions) else (dimensions,)
    whole = all(isinstance(d, Integral) and d is not True for d in chosen)
    valid = whole and all(0 <= d < latent_dim for d in chosen)
    if not valid or not 1 <= len(chosen) <= most:
        raise ValueError(
            f"dimensions={dimensions!r} of a latent with latent_dim={latent_dim}; "
            f"choose 1 to {most} from 0 to {latent_dim - 1}."
        )
    return chosen


def mosaic(grid, image_shape):
    """One picture of a grid (n_rows, n_columns, D) of flat ones, NaN between them."""
    n_rows, n_columns, _ = grid.shape
    height, width, *channels = image_shape
    gap = row_gap(image_shape)
    size = n_rows * (height + gap) - gap, n_columns * (width + 1) - 1
    picture = np.full((*size, *channels), np.nan)
    for i, row in enumerate(grid):
        for j, image in enumerate(row):
            top, left = i * (height + gap), j * (width + 1)
            picture[top : top + height, left : left + width] = image.reshape(
                image_shape
            )
    return picture


def row_gap(image_shape):
    """Pixels between rows: a gap would be as high as a strip."""
    return int(image_shape[0] > 1)


def in_columns(images, n_columns):
    """Flat images (n, D) as a grid, which NaN fills up."""
    n_rows = -(-len(images) // n_columns)
    grid = np.full((n_rows * n_columns, images.shape[1]), np.nan)
    grid[: len(images)] = images
    return grid.reshape(n_rows, n_columns, -1)


class MosaicDisplay:
    """A display of flat images: it has `ax_`, `figure_` and `im_` once it is drawn."""

    def _draw(self, ax, grid, image_shape, **imshow):
        """Draw a grid (n_rows, n_columns, D) of images, without ticks."""
        picture = mosaic(grid, image_shape)
        if picture.ndim == 3:  # colours lie in [0, 1], or were bytes
            picture = picture / (255 if np.nanmax(picture) > 1.5 else 1)
            picture = np.nan_to_num(picture, nan=1.0).clip(0, 1)
        options = {"cmap": "gray", "interpolation": "nearest", **imshow}
        if image_shape[0] == 1:
            options.setdefault("aspect", "auto")  # strips would be too thin to see
        self.ax_ = axes_or_new(ax)
        self.figure_ = self.ax_.figure
        self.im_ = self.ax_.imshow(picture, **options)
        self.ax_.set(xticks=[], yticks=[])


def label_rows(ax, names, image_shape):
    """Names beside the rows of a mosaic."""
    height = image_shape[0]
    step = height + row_gap(image_shape)
    ax.set_yticks([i * step + (height - 1) / 2 for i in range(len(names))])
    ax.set_yticklabels(names)
    ax.tick_params(axis="y", length=0)


def label_columns(ax, names, image_shape):
    """Names below the columns of a mosaic."""
    width = image_shape[1]
    ax.set_xticks([j * (width + 1) + (width - 1) / 2 for j in range(len(names))])
    ax.set_xticklabels(names)
    ax.tick_params(axis="x", length=0)
