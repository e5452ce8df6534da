"""Rows beside their reconstructions."""

import numpy as np
from scipy.sparse import issparse

from sklvm._base import check_count, check_in_memory
from sklvm.inspection._drawing import (
    MosaicDisplay,
    check_image_shape,
    check_kind,
    label_rows,
    mosaic,
)
from sklvm.inspection._kinds import (
    as_pictures,
    is_autoencoder,
    is_mixture,
    is_segmentation,
    model_and_rows,
)
from sklvm.inspection._label_maps import class_colours, numbers_of, seeds_of


class ReconstructionDisplay(MosaicDisplay):
    """Rows, and below each what the model makes of its code.

    Parameters
    ----------
    X, X_reconstructed : ndarray of shape (n_rows, n_features)
        Of a `SparseSegmentationRDA` the numbers of the classes, their places in
        `classes_`; void labels come after them, and NaN is outside of a smaller map.
    S : ndarray of shape (n_rows, n_features) or None
        Sparse maps of a `SparseSegmentationRDA`, drawn in between; -1 is blank.
    n_classes : int or None
        Of these maps, which have a colour for each class, the same in all pictures.
    image_shape : tuple of int or None
        (H, W) or (H, W, channels); None draws strips.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    im_ : matplotlib AxesImage

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklvm import BernoulliMixtureEM
    >>> from sklvm.inspection import ReconstructionDisplay
    >>> X = load_digits().data > 8
    >>> model = BernoulliMixtureEM(n_components=10, random_state=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(model, X, image_shape=(8, 8))
    >>> display.X_reconstructed.shape
    (8, 64)
    """

    def __init__(self, *, X, X_reconstructed, S=None, image_shape=None, n_classes=None):
        self.n_classes = n_classes
        self.X = X
        self.X_reconstructed = X_reconstructed
        self.S = S
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls, estimator, X, *, n_rows=8, image_shape=None, images=None, ax=None
    ):
        """Reconstruct the first rows of X and draw them.

        Parameters
        ----------
        estimator : fitted mixture, VAE, GMVAE or SparseSegmentationRDA, or Pipeline
            Of a Pipeline that ends with one the rows that its last step has are drawn.
        X : array-like of shape (n_samples, n_features)
            Missing cells are marked by crosses.
        n_rows : int, default=8
            Rows of X that are drawn.
        image_shape : tuple of int or None, default=None
            A segmentation has its own.
        images : array-like or None, default=None
            For a `SparseSegmentationRDA` that was fitted with images.
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        display : ReconstructionDisplay
        """
        check_count("n_rows", n_rows)
        check_in_memory(X, "give a table of some of them")
        X = X.tocsr()[:n_rows].toarray() if issparse(X) else X[:n_rows]
        estimator, X = model_and_rows(estimator, X)
        segments = is_segmentation(estimator)
        applies = segments or is_mixture(estimator) or is_autoencoder(estimator)
        takes = "a mixture, VAE, GMVAE or SparseSegmentationRDA"
        check_kind(cls, estimator, applies, takes)
        if segments:
            images = None if images is None else images[:n_rows]
            return cls._of_label_maps(estimator, X, images).plot(ax=ax)
        reconstructed = estimator.inverse_transform(estimator.transform(X))
        display = cls(
            X=np.array(as_pictures(cls, estimator, X), dtype=np.float64),
            X_reconstructed=as_pictures(cls, estimator, reconstructed),
            image_shape=image_shape,
        )
        return display.plot(ax=ax)

    @classmethod
    def _of_label_maps(cls, estimator, X, images):
        S = estimator.transform(X, images=images)
        decoded = numbers_of(estimator, estimator.inverse_transform(S, images=images))
        return cls(
            X=numbers_of(estimator, X),
            X_reconstructed=decoded,
            S=seeds_of(estimator, S),
            image_shape=estimator.image_shape_,
            n_classes=estimator.n_classes_,
        )

    def plot(self, ax=None, **imshow):
        """Draw the rows.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
        **imshow : dict
            Of `Axes.imshow`. The colours of label maps are those of
            ``cmap=ListedColormap(colours)``, a colour for each class.

        Returns
        -------
        display : ReconstructionDisplay
        """
        kinds = {"data": self.X, "reconstruction": self.X_reconstructed}
        if self.S is not None:
            seeds = np.where(self.S < 0, np.nan, self.S)
            kinds = {"data": self.X, "seeds": seeds, "decoded": self.X_reconstructed}
            imshow = (class_colours(self.n_classes) if self.n_classes else {}) | imshow
        shape = check_image_shape(self.image_shape, self.X.shape[1])
        grid = np.stack(list(kinds.values()))
        if shape[0] == 1:  # strips stand below one another
            n_kinds, n_rows, n_features = grid.shape
            grid = grid.swapaxes(0, 1).reshape(n_rows * n_kinds, 1, n_features)
        self._draw(ax, grid, shape, **imshow)
        if self.S is None:
            self._mark_missing(grid, shape)
        label_rows(self.ax_, list(kinds) * (len(grid) // len(kinds)), shape)
        return self

    def _mark_missing(self, grid, shape):
        """Crosses, as cells without a colour would be white as the largest values."""
        marks = mosaic(np.isnan(grid).astype(float), shape)
        rows, columns = np.nonzero((marks == 1).reshape(*marks.shape[:2], -1).any(-1))
        if len(rows):
            limits = self.ax_.axis()
            self.ax_.plot(columns, rows, "x", color="C3", markersize=4)
            self.ax_.axis(limits)
