"""The components of a mixture as pictures."""

import numpy as np

from sklvm._base import check_count
from sklvm.inspection._columns import column_panels, component_names, draw_panels
from sklvm.inspection._drawing import (
    MosaicDisplay,
    check_image_shape,
    check_kind,
    in_columns,
    label_rows,
)
from sklvm.inspection._kinds import is_autoencoder, is_mixture, model_and_rows
from sklvm.mixture import MixtureEM


class ComponentsDisplay(MosaicDisplay):
    """The components of a mixture, the heaviest first.

    Of most mixtures it is a picture or strip of the means or of theta. Of a `MixtureEM`
    there is a panel for each column, in the column's own unit, with a line for each
    component: the density of a real column (of its logarithm, if it is lognormal), the
    probabilities of counts, or a bar for each category. Grey is the whole mixture.
    Curves are of equal height; bars of one panel are on one scale. The panels are in
    the order of the mutual information of column and component, which is written above
    them.

    Parameters
    ----------
    components : ndarray of shape (n_components, n_features)
        theta of a `BernoulliMixtureEM`, the means of a `GaussianMixtureEM`, E[x|w] at
        the component means of a `GMVAE`; the typical row of a `MixtureEM`.
    weights : ndarray of shape (n_components,)
        p(z), in descending order.
    image_shape : tuple of int or None
        (H, W) or (H, W, channels); None draws a strip a component.
    feature_names : ndarray of str or None
        Written below strips.
    labels : ndarray of shape (n_components,) or None
        The components, as `predict` names them.
    panels : list of Bunch or None
        For a table, what each panel shows: `name`, `kind`, `labels` of categories or
        None, points `x` (m,), `density` (n_components, m), that of the mixture
        `overall` (m,), and the mutual `information` in nats.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Of panels the empty one that they stand in.
    axes_ : ndarray of matplotlib Axes
        The panels, if there are any.
    figure_ : matplotlib Figure
    im_ : matplotlib AxesImage
        The picture, if it is one.

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

    def __init__(
        self,
        *,
        components,
        weights,
        image_shape=None,
        feature_names=None,
        labels=None,
        panels=None,
    ):
        self.components = components
        self.weights = weights
        self.image_shape = image_shape
        self.feature_names = feature_names
        self.labels = labels
        self.panels = panels

    @classmethod
    def from_estimator(cls, estimator, *, image_shape=None, max_panels=9, ax=None):
        """Draw the components of a fitted mixture.

        Parameters
        ----------
        estimator : fitted mixture or GMVAE, or Pipeline that ends with one
            The components are in units of the last step.
        image_shape : tuple of int or None, default=None
            With it the means of a `MixtureEM` of numbers are pictures, too.
        max_panels : int, default=9
            Of a `MixtureEM` the columns that are drawn, those that distinguish the
            components most.
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
        components, panels = np.asarray(components)[order], None
        if isinstance(estimator, MixtureEM) and image_shape is None:
            max_panels = check_count("max_panels", max_panels)
            panels = column_panels(estimator, order, max_panels)
        elif components.dtype.kind not in "biuf":
            raise ValueError(
                f"image_shape={image_shape!r} is for numbers, and some columns of "
                "the mixture have text; leave it None."
            )
        display = cls(
            components=components,
            weights=estimator.weights_[order],
            image_shape=image_shape,
            feature_names=getattr(estimator, "feature_names_in_", None),
            labels=order,
            panels=panels,
        )
        return display.plot(ax=ax)

    def plot(self, ax=None, **style):
        """Draw the components.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Panels stand in its place.
        **style : dict
            Of `Axes.imshow`; of panels what `Axes.bar` and `Axes.fill_between` take, as
            color or alpha.

        Returns
        -------
        display : ComponentsDisplay
        """
        if self.panels is not None:
            names = component_names(self.labels, self.weights)
            self.ax_, self.axes_ = draw_panels(self.panels, names, ax, **style)
            self.figure_ = self.ax_.figure
            return self
        K, n_features = self.components.shape
        shape = check_image_shape(self.image_shape, n_features)
        strips = shape[0] == 1
        grid = in_columns(self.components, 1 if strips else int(np.ceil(np.sqrt(K))))
        if strips:
            style = {"cmap": "viridis", **style}
        self._draw(ax, grid, shape, **style)
        if strips:
            label_rows(self.ax_, [f"p(z) = {w:.2f}" for w in self.weights], shape)
            self.figure_.colorbar(self.im_, ax=self.ax_)
            if self.feature_names is not None:
                self.ax_.set_xticks(range(n_features), self.feature_names, rotation=90)
        return self
