"""How many components, or dimensions: held-out score and information criteria."""

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from sklvm.inspection._drawing import axes_or_new

CRITERIA = {"bic": "BIC", "icl": "ICL"}


class ModelSelectionDisplay:
    """Held-out score, BIC and ICL against the value of a parameter.

    Parameters
    ----------
    param_name : str
    param_range : ndarray of shape (n_values,)
    test_scores : ndarray of shape (n_values, n_folds)
        Held-out scores, in nats per row.
    bic, icl : ndarray of shape (n_values,) or None
        Of the model fitted to all rows; None where the estimator has none.
    n_samples : int
        Rows that the criteria are of.

    Attributes
    ----------
    best_ : dict
        "held-out score", "BIC", "ICL": the value of the parameter that each prefers.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D

    Notes
    -----
    The criteria are drawn as -BIC / 2n and -ICL / 2n, so that all curves are in nats a
    row and the highest is the best.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklvm import GaussianMixtureEM
    >>> from sklvm.inspection import ModelSelectionDisplay
    >>> X = load_iris().data
    >>> model = GaussianMixtureEM(n_init=3, max_iter=300, random_state=0)
    >>> display = ModelSelectionDisplay.from_estimator(
    ...     model, X, param_range=[1, 2, 3, 4], cv=3)
    >>> display.best_["BIC"]
    2
    """

    def __init__(
        self,
        *,
        param_name,
        param_range,
        test_scores,
        bic=None,
        icl=None,
        n_samples=None,
    ):
        self.param_name = param_name
        self.param_range = param_range
        self.test_scores = test_scores
        self.bic = bic
        self.icl = icl
        self.n_samples = n_samples

    @classmethod
    def from_estimator(
        cls, estimator, X, y=None, *, param_name="n_components", param_range, cv=None,
        n_jobs=None, ax=None
    ):  # fmt: skip
        """Fit at each value of the parameter and draw what speaks for it.

        Parameters
        ----------
        estimator : estimator, or Pipeline, with a score in nats
            Fitted or not; clones of it are fitted.
        X : array-like of shape (n_samples, n_features)
        y : array-like or None, default=None
            For a `ConditionalVAE`.
        param_name : str, default="n_components"
            As `set_params` takes it; "latent_dim" for the autoencoders.
        param_range : array-like of shape (n_values,)
        cv : int, cross-validation generator or None, default=None
            As in `cross_val_score`; None is five folds. The mixtures and autoencoders
            do not shuffle: give KFold(5, shuffle=True) for rows in an order.
        n_jobs : int or None, default=None
            Folds that are fitted side by side.
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        display : ModelSelectionDisplay
        """
        param_range = list(param_range)
        if not param_range:
            raise ValueError(
                "param_range=[] has no value to try; give one or more, as range(1, 10)."
            )
        models = [clone(estimator).set_params(**{param_name: v}) for v in param_range]
        scores = [
            cross_val_score(model, X, y, cv=cv, n_jobs=n_jobs) for model in models
        ]
        criteria = {}
        names = [name for name in CRITERIA if hasattr(estimator, name)]
        if names:
            fitted = [model.fit(X) for model in models]
            for name in names:
                criteria[name] = np.array([getattr(model, name)(X) for model in fitted])
        display = cls(
            param_name=param_name,
            param_range=np.asarray(param_range),
            test_scores=np.array(scores),
            n_samples=len(X),
            **criteria,
        )
        return display.plot(ax=ax)

    def plot(self, ax=None):
        """Draw the curves, and mark the best of each.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        display : ModelSelectionDisplay
        """
        self.ax_ = ax = axes_or_new(ax)
        self.figure_ = ax.figure
        curves = {"held-out score": self.test_scores.mean(axis=1)}
        for name, title in CRITERIA.items():
            values = getattr(self, name)
            if values is not None:
                curves[title] = -values / (2 * self.n_samples)
        self.lines_, self.best_ = [], {}
        for name, curve in curves.items():
            label = name if name == "held-out score" else f"-{name} / 2n"
            lines = ax.plot(self.param_range, curve, ".-", label=label)
            best = np.nanargmax(curve)
            self.best_[name] = self.param_range.tolist()[best]
            ax.plot(self.param_range[best], curve[best], "o", ms=9,
                    color=lines[0].get_color())  # fmt: skip
            self.lines_ += lines
        n_folds = self.test_scores.shape[1]
        if n_folds > 1:
            mean = curves["held-out score"]
            error = self.test_scores.std(axis=1, ddof=1) / np.sqrt(n_folds)
            ax.fill_between(self.param_range, mean - error, mean + error, alpha=0.2)
        ax.set(xlabel=self.param_name, ylabel="nats per row")
        ax.legend()
        return self
