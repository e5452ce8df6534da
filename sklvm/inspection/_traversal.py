"""Walks along the axes of the latent space."""

from numbers import Real

import numpy as np

from sklvm._base import check_count
from sklvm.inspection._drawing import (
    MosaicDisplay,
    check_dimensions,
    check_image_shape,
    check_kind,
    label_columns,
    label_rows,
)
from sklvm.inspection._kinds import as_pictures, is_autoencoder, model_and_rows


class LatentTraversalDisplay(MosaicDisplay):
    """E[x|z] while one dimension of z moves and the others stay.

    Parameters
    ----------
    X : ndarray of shape (n_dimensions, n_steps, n_features)
        E[x|z].
    values : ndarray of shape (n_steps,)
        What is added to the dimension that moves.
    dimensions : tuple of int
        Those that move, a row each.
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
    >>> from sklvm import VAE
    >>> from sklvm.inspection import LatentTraversalDisplay
    >>> X = load_digits().data / 16
    >>> vae = VAE(2, max_epochs=5, tol=1000, random_state=0).fit(X)
    >>> display = LatentTraversalDisplay.from_estimator(vae, image_shape=(8, 8))
    >>> display.X.shape
    (2, 9, 64)
    """

    def __init__(self, *, X, values, dimensions, image_shape=None):
        self.X = X
        self.values = values
        self.dimensions = dimensions
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls, estimator, *, x=None, dimensions=None, n_steps=9, span=2.5,
        image_shape=None, ax=None
    ):  # fmt: skip
        """Decode walks from a row's code, or from z = 0.

        Parameters
        ----------
        estimator : fitted VAE or GMVAE, or Pipeline that ends with one
        x : array-like of shape (n_features,), default=None
            The row whose posterior mean is the start; None is z = 0.
        dimensions : sequence of int, default=None
            None takes all, at most ten.
        n_steps : int, default=9
        span : float, default=2.5
            How far the walk leads to either side, in units of z: deviations of the
            prior, where it is the standard normal.
        image_shape : tuple of int or None, default=None
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        display : LatentTraversalDisplay
        """
        if x is not None:
            x = _one_row(estimator, x)
        estimator, x = model_and_rows(estimator, x)
        check_kind(cls, estimator, is_autoencoder(estimator), "a VAE or GMVAE")
        check_count("n_steps", n_steps)
        if not isinstance(span, Real) or not np.isfinite(span):
            raise ValueError(f"span={span!r} must be a finite number.")
        latent_dim = estimator.net_.module.latent_dim
        if dimensions is None:
            dimensions = range(min(latent_dim, 10))
        dimensions = check_dimensions(dimensions, latent_dim, most=latent_dim)
        start = np.zeros(latent_dim, dtype=np.float32)
        if x is not None:
            start = np.asarray(estimator.transform(x))[0]
        values = np.linspace(-span, span, n_steps)
        Z = np.tile(start, (len(dimensions), n_steps, 1))
        for row, dimension in enumerate(dimensions):
            Z[row, :, dimension] += values
        X = estimator.inverse_transform(Z.reshape(-1, latent_dim))
        X = as_pictures(cls, estimator, X)
        display = cls(
            X=X.reshape(len(dimensions), n_steps, -1),
            values=values,
            dimensions=dimensions,
            image_shape=image_shape,
        )
        return display.plot(ax=ax)

    def plot(self, ax=None, **imshow):
        """Draw the walks.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
        **imshow : dict
            Of `Axes.imshow`.

        Returns
        -------
        display : LatentTraversalDisplay
        """
        n_dimensions, n_steps, n_features = self.X.shape
        shape = check_image_shape(self.image_shape, n_features)
        names = [f"$z_{{{dimension}}}$" for dimension in self.dimensions]
        if shape[0] == 1:  # the steps stand below one another, as tall strips
            grid = self.X.reshape(n_dimensions * n_steps, 1, n_features)
            names = [f"{name} {value:+.1f}" for name in names for value in self.values]
            self._draw(ax, grid, shape, **imshow)
            label_rows(self.ax_, names, shape)
            return self
        self._draw(ax, self.X, shape, **imshow)
        label_rows(self.ax_, names, shape)
        label_columns(self.ax_, [f"{value:+.1f}" for value in self.values], shape)
        return self


def _one_row(estimator, x):
    """x as a row with the names that the estimator was fitted with."""
    row = np.reshape(x, (1, -1))
    n_features = getattr(estimator, "n_features_in_", row.size)
    if row.size != n_features:
        raise ValueError(
            f"x has {row.size} values and a row {n_features}; give one row, as X[0]."
        )
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        return row
    import pandas as pd  # which the names came from

    return pd.DataFrame(row, columns=names)
