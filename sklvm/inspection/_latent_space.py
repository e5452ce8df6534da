"""The latent space: aggregated posterior and prior."""

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import type_of_target

from sklvm._base import check_count
from sklvm.inspection._drawing import axes_or_new, check_dimensions, check_kind
from sklvm.inspection._kinds import is_autoencoder, model_and_rows

# More values than these are a scale and not labels.
MAX_LABELS = 20


class LatentSpaceDisplay:
    """Aggregated posterior and prior in two dimensions of the latent space.

    Where they differ the model is wrong: a draw from the prior that lies where no row
    is decodes to what no row looks like.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_dimensions)
        One draw of q(z|x) for each row: a sample of the aggregated posterior.
    Z_prior : ndarray of shape (n_prior, n_dimensions)
        Draws of p(z).
    y : ndarray of shape (n_samples,) or None
        Labels or values that colour the rows.
    dimensions : tuple of int
        Those that are drawn, one or two.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklvm import VAE
    >>> from sklvm.inspection import LatentSpaceDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> vae = VAE(max_epochs=5, tol=1000, random_state=0).fit(X)
    >>> display = LatentSpaceDisplay.from_estimator(vae, X, y)
    >>> display.Z.shape
    (150, 2)
    """

    def __init__(self, *, Z, Z_prior, y=None, dimensions=(0, 1)):
        self.Z = Z
        self.Z_prior = Z_prior
        self.y = y
        self.dimensions = dimensions

    @classmethod
    def from_estimator(
        cls, estimator, X, y=None, *, dimensions=None, n_prior=1000, ax=None
    ):
        """Draw codes of rows, and codes from the prior, and plot them.

        Parameters
        ----------
        estimator : fitted VAE or GMVAE, or Pipeline that ends with one
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
        dimensions : sequence of int, default=None
            Two, or one, whose densities are drawn; None takes the first two.
        n_prior : int, default=1000
            Draws of the prior.
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        display : LatentSpaceDisplay
        """
        estimator, X = model_and_rows(estimator, X)
        check_kind(cls, estimator, is_autoencoder(estimator), "a VAE or GMVAE")
        latent_dim = estimator.net_.module.latent_dim
        if dimensions is None:
            dimensions = range(min(2, latent_dim))
        dimensions = check_dimensions(dimensions, latent_dim, most=2)
        check_count("n_prior", n_prior)
        if y is not None:
            y = column_or_1d(y)
            if len(y) != len(X):
                raise ValueError(
                    f"y has {len(y)} entries and X {len(X)} rows; give one a row."
                )
        Z_prior = _prior_draws(estimator, n_prior)
        display = cls(
            Z=_posterior_draws(estimator, X)[:, dimensions],
            Z_prior=Z_prior[:, dimensions],
            y=y,
            dimensions=dimensions,
        )
        return display.plot(ax=ax)

    def plot(self, ax=None, *, cmap=None):
        """Draw the codes.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
        cmap : str or Colormap or None, default=None
            Of the values or labels y.

        Returns
        -------
        display : LatentSpaceDisplay
        """
        self.ax_ = axes_or_new(ax)
        self.figure_ = self.ax_.figure
        if len(self.dimensions) == 1:
            self._plot_densities()
        else:
            self._plot_points(cmap)
        self.ax_.set_xlabel(f"$z_{{{self.dimensions[0]}}}$")
        return self

    def _plot_densities(self):
        for Z, name in ((self.Z, "aggregated posterior"), (self.Z_prior, "prior")):
            self.ax_.hist(Z[:, 0], bins=40, density=True, alpha=0.6, label=name)
        self.ax_.set_ylabel("density")
        self.ax_.legend()

    def _plot_points(self, cmap):
        ax = self.ax_
        ax.scatter(*self.Z_prior.T, s=8, color="0.8", label="prior")
        if self.y is None:
            ax.scatter(*self.Z.T, s=8, label="aggregated posterior")
            ax.legend()
        elif _is_scale(self.y):
            points = ax.scatter(*self.Z.T, s=8, c=self.y, cmap=cmap)
            self.figure_.colorbar(points, ax=ax)
        else:
            self._plot_labels(cmap)
        ax.set_ylabel(f"$z_{{{self.dimensions[1]}}}$")
        ax.set_aspect("equal", adjustable="datalim")

    def _plot_labels(self, cmap):
        import matplotlib.pyplot as plt

        labels = np.unique(self.y)
        K = len(labels)
        default = "tab10" if K <= 10 else "tab20" if K <= 20 else "turbo"
        colours = plt.get_cmap(cmap or default)
        # The first K colours of a list, or K from all of a scale.
        listed = K <= colours.N <= 20
        for i, label in enumerate(labels):
            points = self.Z[self.y == label]
            colour = colours(i if listed else i / max(K - 1, 1))
            self.ax_.scatter(*points.T, s=8, color=colour, label=str(label))
        self.ax_.legend(markerscale=2, fontsize="small")


def _is_scale(y):
    return type_of_target(y).startswith("continuous") or (
        len(np.unique(y)) > MAX_LABELS and y.dtype.kind in "iuf"
    )


def _posterior_draws(estimator, X):
    """One draw of q(z|x) for each row, the same whenever it is asked for."""

    def draw(batch, q, p, eps):
        return q.rsample(eps[0]).cpu()

    rows = estimator._validate_new(X)
    return estimator._map_chunks(draw, rows, n_draws=1, as_bits=False)


def _prior_draws(estimator, n):
    if hasattr(estimator, "predict_proba"):
        return estimator.sample(n, return_latent=True)[-1]
    return estimator.sample(n)[1]
