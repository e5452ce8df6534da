"""Rate against distortion of compressed segmentations."""

import numpy as np

from sklvm.inspection._drawing import axes_or_new, check_kind
from sklvm.inspection._kinds import is_segmentation, model_and_rows

# Factors of the fitted weight over which a curve runs by default.
FACTORS = np.geomspace(0.1, 10, 7)


class RateDistortionDisplay:
    """Bits per pixel against the share of wrong pixels, with codes without a network.

    Made by `from_estimator`; the parameters are kept as attributes.

    Parameters
    ----------
    bits_per_pixel, error : ndarray of shape (n_weights,)
        Mean rate in bits per pixel, and the share of wrong pixels, void ones apart.
    distortion_weights : ndarray of shape (n_weights,)
        Nats per wrong pixel.
    baselines : dict or None
        Name to a pair of arrays, bits per pixel and error. "nearest seed": seeds in the
        largest wrong regions, each pixel the class of the nearest one, with the rate
        of the estimator's P(L). "thinned": every second, third ... row and column, with
        ln k nats for each pixel that stays.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        The estimator's, then the baselines'.
    baselines_ : dict
        The baselines.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvm import SparseSegmentationRDA
    >>> from sklvm.inspection import RateDistortionDisplay
    >>> horizon = np.random.default_rng(0).integers(2, 6, size=40)
    >>> X = (np.arange(8)[:, None] >= horizon[:, None, None]) * np.ones((1, 1, 8))
    >>> X = X.reshape(40, 64)
    >>> rda = SparseSegmentationRDA(image_shape=(8, 8), max_epochs=5, tol=np.inf,
    ...                             random_state=0).fit(X)
    >>> display = RateDistortionDisplay.from_estimator(rda, X[:10])
    >>> display.error.shape
    (7,)
    """

    def __init__(self, *, bits_per_pixel, error, distortion_weights, baselines=None):
        self.bits_per_pixel = bits_per_pixel
        self.error = error
        self.distortion_weights = distortion_weights
        self.baselines_ = baselines or {}

    @classmethod
    def from_estimator(
        cls, estimator, X, *, distortion_weights=None, images=None, baselines=True,
        ax=None
    ):  # fmt: skip
        """Compute the curve of maps and draw it.

        Parameters
        ----------
        estimator : fitted SparseSegmentationRDA, or Pipeline that ends with one
        X : array-like of shape (n_samples, n_pixels)
        distortion_weights : array-like of shape (n_weights,), default=None
            None: seven of them, from a tenth to ten times the estimator's own.
        images : array-like of shape (n_samples, n_pixels * n_channels), default=None
        baselines : bool, default=True
            Whether to draw codes without a network beside.
        ax : matplotlib Axes or None, default=None
            None makes a figure.

        Returns
        -------
        display : RateDistortionDisplay
        """
        estimator, X = model_and_rows(estimator, X)
        takes = "a SparseSegmentationRDA"
        check_kind(cls, estimator, is_segmentation(estimator), takes)
        if distortion_weights is None:
            distortion_weights = estimator.distortion_weight * FACTORS
        curve = estimator.rate_distortion_curve(X, distortion_weights, images=images)
        display = cls(
            bits_per_pixel=curve.bits_per_pixel,
            error=curve.error,
            distortion_weights=curve.distortion_weight,
            baselines=_baselines(estimator, X, images) if baselines else None,
        )
        return display.plot(ax=ax)

    def plot(self, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        display : RateDistortionDisplay
        """
        ax = axes_or_new(ax)
        order = np.argsort(self.bits_per_pixel)
        lines = ax.plot(
            self.bits_per_pixel[order], 100 * self.error[order], "o-", label="model"
        )
        for name, (bits, error) in self.baselines_.items():
            lines += ax.plot(bits, 100 * error, ".--", label=name)
        ax.set(xlabel="Rate (bits per pixel)", ylabel="Wrong pixels (%)", xscale="log")
        ax.legend()
        self.ax_, self.figure_, self.lines_ = ax, ax.figure, lines
        return self


def _baselines(estimator, X, images):
    from sklvm.segmentation._baselines import baseline_curves

    maps, _ = estimator._check_rows(X, images)
    counted = estimator._counted(maps.maps)
    curves = baseline_curves(maps.maps, counted, estimator.rate, estimator.n_classes_)
    n_tiles = len(counted)
    n_pixels, n_counted = maps.n_pixels().sum() / n_tiles, counted.sum() / n_tiles
    return {
        name: (rate / np.log(2) / n_pixels, wrong / (n_counted or 1))
        for name, (rate, wrong) in curves.items()
    }
