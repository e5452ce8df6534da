"""The components of a mixture as pictures."""

import numpy as np

from sklvm.inspection._drawing import (
    MosaicDisplay,
    check_image_shape,
    check_kind,
    in_columns,
    label_rows,
)
from sklvm.inspection._kinds import is_autoencoder, is_mixture, model_and_rows


class ComponentsDisplay(MosaicDisplay):
    """theta or the means of the components, the heaviest first.

    Parameters
    ----------
    components : ndarray of shape (n_components, n_features)
        theta of a `BernoulliMixtureEM`, the means of a `GaussianMixtureEM`, E[x|w] at
        the component means of a `GMVAE`.
    weights : ndarray of shape (n_components,)
        p(z), in descending order.
    image_shape : tuple of int or None
        (H, W) or (H, W, channels); None draws a strip a component.
    feature_names : ndarray of str or None
        Written below strips.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    im_ : matplotlib AxesImage

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklvm import BernoulliMixtureEM
    >>> from sklvm.inspection import ComponentsDisplay
    >>> X = load_digits().data > 8
    >>> model = BernoulliMixtureEM(n_components=10, random_state=0).fit(X)
    >>> display = ComponentsDisplay.from_estimator(model, image_shape=(8, 8))
    >>> display.components.shape
    (10, 64)
    """

    def __init__(self, *, components, weights, image_shape=None, feature_names=None):
        self.components = components
        self.weights = weights
        self.image_shape = image_shape
        self.feature_names = feature_names

    @classmethod
    def from_estimator(cls, estimator, *, image_shape=None, ax=None):
        """Draw the components of a fitted mixture.

        Parameters
        ----------
        estimator : fitted mixture or GMVAE, or Pipeline that ends with one
            The components are in units of the last step.
        image_shape : tuple of int or None, default=None
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        display : ComponentsDisplay
        """
        estimator, _ = model_and_rows(estimator)
        has_components = is_mixture(estimator) or (
            is_autoencoder(estimator) and hasattr(estimator, "predict_proba")
        )
        check_kind(cls, estimator, has_components, "a mixture or GMVAE")
        if is_mixture(estimator):
            components = estimator.inverse_transform(np.eye(len(estimator.weights_)))
        else:
            components = estimator.inverse_transform(estimator.means_)
        order = np.argsort(-estimator.weights_, kind="stable")
        display = cls(
            components=components[order],
            weights=estimator.weights_[order],
            image_shape=image_shape,
            feature_names=getattr(estimator, "feature_names_in_", None),
        )
        return display.plot(ax=ax)

    def plot(self, ax=None, **imshow):
        """Draw the components.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
        **imshow : dict
            Of `Axes.imshow`.

        Returns
        -------
        display : ComponentsDisplay
        """
        K, n_features = self.components.shape
        shape = check_image_shape(self.image_shape, n_features)
        strips = shape[0] == 1
        grid = in_columns(self.components, 1 if strips else int(np.ceil(np.sqrt(K))))
        if strips:
            imshow = {"cmap": "viridis", **imshow}
        self._draw(ax, grid, shape, **imshow)
        if strips:
            label_rows(self.ax_, [f"p(z) = {w:.2f}" for w in self.weights], shape)
            self.figure_.colorbar(self.im_, ax=self.ax_)
            if self.feature_names is not None:
                self.ax_.set_xticks(range(n_features), self.feature_names, rotation=90)
        return self
