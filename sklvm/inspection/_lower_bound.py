"""The climb of F."""

import warnings
from itertools import groupby

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sklvm._base import check_count
from sklvm.inspection._drawing import axes_or_new, check_kind
from sklvm.inspection._kinds import is_any, is_mixture, model_and_rows
from sklvm.mixture import elbo


class LowerBoundDisplay:
    """The evidence lower bound F by iteration or epoch, or by half-steps of EM.

    Parameters
    ----------
    lower_bounds : ndarray of shape (n_iter,)
        F after each iteration, in nats.
    half_steps : ndarray of shape (2 * n_iter,) or None
        F after the E-step and after the M-step of each iteration, alternately.
    parts : list of (str, int) or None
        Where the fit has several trainings, what each is and its number of epochs: they
        are lines of their own with a mark between them, as what is maximised differs.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklvm import GaussianMixtureEM
    >>> from sklvm.inspection import LowerBoundDisplay
    >>> X = load_iris().data
    >>> model = GaussianMixtureEM(n_components=3, init_params="random", tol=1e-6,
    ...                           max_iter=1000, random_state=0).fit(X)
    >>> display = LowerBoundDisplay.from_estimator(model, X, max_iter=5)
    >>> display.half_steps.shape
    (10,)
    """

    def __init__(self, *, lower_bounds, half_steps=None, parts=None):
        self.parts = parts
        self.lower_bounds = lower_bounds
        self.half_steps = half_steps

    @classmethod
    def from_estimator(cls, estimator, X=None, *, max_iter=20, ax=None):
        """Draw `lower_bounds_`, or run EM again and draw its half-steps.

        Parameters
        ----------
        estimator : fitted estimator of this package, or Pipeline that ends with one
        X : array-like of shape (n_samples, n_features), default=None
            With rows, EM is run once more, from one start of the estimator's own kind,
            and F is taken after each E-step, which lifts q to the posterior, and after
            each M-step, which moves theta. For the mixtures. With a prior or reg_covar
            the M-step climbs F plus the log prior, and F itself may fall a little.
        max_iter : int, default=20
            Most iterations of that run.
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        display : LowerBoundDisplay
        """
        check_count("max_iter", max_iter)
        estimator, X = model_and_rows(estimator, X)
        if X is not None:
            check_kind(cls, estimator, is_mixture(estimator), "half-steps of a mixture")
            half_steps = _half_steps(estimator, X, max_iter)
            display = cls(lower_bounds=half_steps[1::2], half_steps=half_steps)
            return display.plot(ax=ax)
        check_kind(cls, estimator, is_any(estimator), "an estimator of sklvm")
        display = cls(
            lower_bounds=np.asarray(estimator.lower_bounds_), parts=_parts(estimator)
        )
        return display.plot(ax=ax)

    def plot(self, ax=None):
        """Draw the climb.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        display : LowerBoundDisplay
        """
        self.ax_ = ax = axes_or_new(ax)
        self.figure_ = ax.figure
        ax.set(xlabel="iteration", ylabel="F (nats per row)")
        if self.half_steps is not None:
            self._plot_half_steps(ax)
        elif self.parts is not None:
            self._plot_parts(ax)
        else:
            _number_whole(ax)
            iterations = np.arange(1, len(self.lower_bounds) + 1)
            self.lines_ = ax.plot(iterations, self.lower_bounds, ".-")
        return self

    def _plot_half_steps(self, ax):
        steps = 1 + np.arange(len(self.half_steps)) / 2
        self.lines_ = ax.plot(steps, self.half_steps, color="0.7", zorder=1)
        for first, name, colour in ((0, "E-step", "C0"), (1, "M-step", "C1")):
            self.lines_ += ax.plot(
                steps[first::2], self.half_steps[first::2], "o", color=colour,
                label=f"after the {name}",
            )  # fmt: skip
        ax.legend()

    def _plot_parts(self, ax):
        """A line for each training, in one colour where what is maximised is one."""
        _number_whole(ax)
        self.lines_, start, colours = [], 0, {}
        for name, n_epochs in self.parts:
            label = None if name in colours else name
            colour = colours.setdefault(name, f"C{len(colours)}")
            epochs = np.arange(start, start + n_epochs)
            self.lines_ += ax.plot(
                epochs + 1, self.lower_bounds[epochs], ".-", color=colour, label=label
            )
            start += n_epochs
            if start < len(self.lower_bounds):
                ax.axvline(start + 0.5, color="0.7", linestyle=":", zorder=0)
        ax.set(xlabel="epoch", ylabel="objective (nats per row)")
        ax.legend()


def _number_whole(ax):
    """No ticks between iterations."""
    ax.xaxis.get_major_locator().set_params(integer=True)


def _parts(estimator):
    """The trainings of a fit by their names, or None where there is one.

    Those that were saved by version 0.1 do not know them.
    """
    if is_mixture(estimator):
        return None
    names = [epoch.get("task") for epoch in estimator.net_.history_]
    parts = [(name, len(list(epochs))) for name, epochs in groupby(names)]
    return parts if len(parts) > 1 and None not in names else None


def _half_steps(estimator, X, max_iter):
    """F after each half-step of a run of EM, until a whole one gains less than tol."""
    settings = {"n_init": 1, "warm_start": True, "acceleration": None}
    model = clone(estimator).set_params(**settings)
    _iterate(model, X, 0)
    F = []
    for _ in range(max_iter):
        resp = model.predict_proba(X)
        F.append(elbo(model, X, resp))
        _iterate(model, X, 1)
        F.append(elbo(model, X, resp))
        if len(F) > 2 and F[-1] - F[-3] < estimator.tol:
            break
    return np.array(F)


def _iterate(model, X, n_iter):
    with warnings.catch_warnings():
        # No more iterations were asked for.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.set_params(max_iter=n_iter).fit(X)
