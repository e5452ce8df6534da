"""Rows that a model draws."""

import numpy as np

from sklvm._base import check_count
from sklvm.inspection._drawing import (
    MosaicDisplay,
    check_image_shape,
    check_kind,
    in_columns,
)
from sklvm.inspection._kinds import (
    as_pictures,
    is_autoencoder,
    is_mixture,
    is_segmentation,
    model_and_rows,
)
from sklvm.inspection._label_maps import class_colours, numbers_of


class SampleDisplay(MosaicDisplay):
    """Draws of a model.

    Parameters
    ----------
    samples : ndarray of shape (n_samples, n_features)
        Of a `SparseSegmentationRDA` the numbers of the classes.
    n_columns : int or None
        Of the grid; None is as wide as high. Strips stand in one column.
    image_shape : tuple of int or None
        (H, W) or (H, W, channels); None draws strips.
    n_classes : int or None
        Of label maps, which have a colour for each class.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    im_ : matplotlib AxesImage

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklvm import BernoulliMixtureEM
    >>> from sklvm.inspection import SampleDisplay
    >>> X = load_digits().data > 8
    >>> model = BernoulliMixtureEM(n_components=10, random_state=0).fit(X)
    >>> display = SampleDisplay.from_estimator(model, image_shape=(8, 8))
    >>> display.samples.shape
    (16, 64)
    """

    def __init__(self, *, samples, n_columns=None, image_shape=None, n_classes=None):
        self.n_classes = n_classes
        self.samples = samples
        self.n_columns = n_columns
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls, estimator, *, n_samples=16, n_columns=None, image_shape=None, ax=None
    ):
        """Draw rows by `sample` and plot them.

        Parameters
        ----------
        estimator : fitted mixture, VAE, GMVAE or SparseSegmentationRDA, or Pipeline
            Of a Pipeline that ends with one the samples are in units of the last step.
        n_samples : int, default=16
        n_columns : int or None, default=None
        image_shape : tuple of int or None, default=None
            A segmentation has its own.
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        display : SampleDisplay
        """
        estimator, _ = model_and_rows(estimator)
        if n_columns is not None:
            check_count("n_columns", n_columns)
        segments = is_segmentation(estimator)
        applies = segments or is_mixture(estimator) or is_autoencoder(estimator)
        takes = "a mixture, VAE, GMVAE or SparseSegmentationRDA"
        check_kind(cls, estimator, applies, takes)
        samples = estimator.sample(n_samples)[0]
        if segments:
            samples = numbers_of(estimator, samples)
        display = cls(
            samples=as_pictures(cls, estimator, samples),
            n_columns=n_columns,
            image_shape=estimator.image_shape_ if segments else image_shape,
            n_classes=estimator.n_classes_ if segments else None,
        )
        return display.plot(ax=ax)

    def plot(self, ax=None, **imshow):
        """Draw the samples.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
        **imshow : dict
            Of `Axes.imshow`. The colours of label maps are those of
            ``cmap=ListedColormap(colours)``, a colour for each class.

        Returns
        -------
        display : SampleDisplay
        """
        shape = check_image_shape(self.image_shape, self.samples.shape[1])
        square = 1 if shape[0] == 1 else int(np.ceil(np.sqrt(len(self.samples))))
        grid = in_columns(self.samples, self.n_columns or square)
        colours = class_colours(self.n_classes) if self.n_classes else {}
        self._draw(ax, grid, shape, **colours | imshow)
        return self
