"""The latent space: aggregated posterior and prior."""

from sklearn.utils.validation import _num_samples

from sklvm._base import check_count, check_in_memory
from sklvm.inspection._drawing import axes_or_new, check_dimensions, check_kind
from sklvm.inspection._kinds import is_autoencoder, model_and_rows
from sklvm.inspection._legends import (
    MISSING,
    MISSING_COLOUR,
    as_label,
    fitting_legend,
    group_colours,
    with_missing,
)
from sklvm.inspection._values import read_values


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
    y : array-like of shape (n_samples,) or None
        Labels or values that colour the rows; missing ones (NaN, None) have a colour of
        their own. Numbers of more than twenty values, and dates, have a colour bar.
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
    >>> vae = VAE(2, max_epochs=5, tol=1000, random_state=0).fit(X)
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
            Labels, numbers or dates, in any form; None and NaN are missing.
        dimensions : sequence of int, default=None
            Two, or one, whose densities are drawn, those of the labels of y one upon
            the other, or of y in quarters; None takes the first two.
        n_prior : int, default=1000
            Draws of the prior.
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        display : LatentSpaceDisplay
        """
        check_in_memory(X, "give a table of some of them")
        estimator, X = model_and_rows(estimator, X)
        check_kind(cls, estimator, is_autoencoder(estimator), "a VAE or GMVAE")
        latent_dim = estimator.net_.module.latent_dim
        if dimensions is None:
            dimensions = range(min(2, latent_dim))
        dimensions = check_dimensions(dimensions, latent_dim, most=2)
        check_count("n_prior", n_prior)
        if y is not None:
            read_values(y, _num_samples(X))  # what is wrong with it, before the draws
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
        values = None if self.y is None else read_values(self.y, len(self.Z))
        if len(self.dimensions) == 1:
            self._plot_densities(values, cmap)
        else:
            self._plot_points(values, cmap)
        self.ax_.set_xlabel(f"$z_{{{self.dimensions[0]}}}$")
        return self

    def _plot_densities(self, values, cmap):
        ax, z = self.ax_, self.Z[:, 0]
        bars = {"bins": 40, "density": True, "alpha": 0.6}
        if values is None:
            ax.hist(z, label="aggregated posterior", **bars)
        else:
            # One upon the other they add up to the density of all.
            groups = with_missing(values)
            names, masks = zip(*groups, strict=True)
            ax.hist(
                [z[mask] for mask in masks], stacked=True,
                label=list(map(as_label, names)),
                color=group_colours(values, len(groups), cmap), **bars,
            )  # fmt: skip
        ax.hist(
            self.Z_prior[:, 0], label="prior", histtype="step", color="black",
            bins=40, density=True,
        )  # fmt: skip
        ax.set_ylabel("density")
        fitting_legend(ax)

    def _plot_points(self, values, cmap):
        ax = self.ax_
        ax.scatter(*self.Z_prior.T, s=8, color="0.8", label="prior")
        if values is None:
            ax.scatter(*self.Z.T, s=8, label="aggregated posterior")
        elif values.is_scale:
            self._plot_scale(values, cmap)
        else:
            groups = with_missing(values)
            colours = group_colours(values, len(groups), cmap)
            for (name, mask), colour in zip(groups, colours, strict=True):
                ax.scatter(*self.Z[mask].T, s=8, color=[colour], label=as_label(name))
        if values is None or not values.is_scale or values.missing.any():
            fitting_legend(ax, markerscale=2)
        ax.set_ylabel(f"$z_{{{self.dimensions[1]}}}$")
        ax.set_aspect("equal", adjustable="datalim")

    def _plot_scale(self, values, cmap):
        ax, kept = self.ax_, ~values.missing
        if values.missing.any():
            missing = self.Z[values.missing].T
            ax.scatter(*missing, s=8, color=MISSING_COLOUR, label=MISSING)
        points = ax.scatter(*self.Z[kept].T, s=8, c=values.values[kept], cmap=cmap)
        bar = self.figure_.colorbar(points, ax=ax, label=values.unit)
        if values.are_dates:
            from matplotlib.dates import AutoDateFormatter, AutoDateLocator

            locator = AutoDateLocator()
            bar.ax.yaxis.set_major_locator(locator)
            bar.ax.yaxis.set_major_formatter(AutoDateFormatter(locator))


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
