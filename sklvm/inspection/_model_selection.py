"""How many components, or dimensions: held-out score and information criteria."""

import operator
from numbers import Real

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import _num_samples, check_is_fitted

from sklvm.inspection._drawing import axes_or_new
from sklvm.inspection._kinds import last_step, model_and_rows
from sklvm.sources._source import as_source, n_rows

CRITERIA = {"bic": "BIC", "icl": "ICL"}
# From which ratio of the largest step to the smallest on an axis is logarithmic, as
# scikit-learn's.
MOST_RATIO = 5


class ModelSelectionDisplay:
    """Held-out score, BIC and ICL against the value of a parameter.

    Parameters
    ----------
    param_name : str
    param_range : ndarray of shape (n_values,)
    test_scores : ndarray of shape (n_values, n_folds) or None
        Held-out scores, in nats per row; None where there are only criteria.
    bic, icl : ndarray of shape (n_values,) or None
        Of the model fitted to all rows; None where the estimator has none. Of a
        Pipeline they are those of its last step and the rows that reach it, and only
        for a parameter of that step: others change the rows.
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
    The criteria are drawn as -BIC / 2n and -ICL / 2n, so that all curves are in nats
    per row and the highest is the best.

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
        test_scores=None,
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
        given = param_range
        param_range = list(given) if np.iterable(given) else []
        if not param_range:
            raise ValueError(
                f"param_range={given!r} has no values to try; give one or more, as "
                "range(1, 10)."
            )
        models = [clone(estimator).set_params(**{param_name: v}) for v in param_range]
        scores = [
            cross_val_score(model, X, y, cv=cv, n_jobs=n_jobs) for model in models
        ]
        display = cls(
            param_name=param_name,
            param_range=_as_range(param_range),
            test_scores=np.array(scores),
            **_criteria(models, param_name, X),
        )
        return display.plot(ax=ax)

    @classmethod
    def from_search(cls, search, X=None, *, ax=None):
        """Draw a search over one parameter that has been run.

        Parameters
        ----------
        search : fitted GridSearchCV or RandomizedSearchCV
            Of an estimator, or a Pipeline, by its score in nats.
        X : array-like of shape (n_samples, n_features), default=None
            The rows of the search: with them the model is fitted once more at each
            value, for BIC and ICL, which a search does not keep.
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        display : ModelSelectionDisplay

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.model_selection import GridSearchCV
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> from sklvm import GaussianMixtureEM
        >>> from sklvm.inspection import ModelSelectionDisplay
        >>> X = load_iris().data
        >>> model = make_pipeline(StandardScaler(), GaussianMixtureEM(random_state=0))
        >>> grid = {"gaussianmixtureem__n_components": [1, 2, 3]}
        >>> search = GridSearchCV(model, grid, cv=3).fit(X)
        >>> display = ModelSelectionDisplay.from_search(search, X)
        >>> display.best_["BIC"]
        2
        """
        check_is_fitted(search)
        if search.scoring is not None:
            raise ValueError(
                f"search has scoring={search.scoring!r}, which is not in nats; leave "
                "it None for the score of the estimator."
            )
        candidates, param_name = search.cv_results_["params"], _varied(search)
        models = [clone(search.estimator).set_params(**p) for p in candidates]
        scores = [
            search.cv_results_[f"split{i}_test_score"] for i in range(search.n_splits_)
        ]
        display = cls(
            param_name=param_name,
            param_range=_as_range([p[param_name] for p in candidates]),
            test_scores=np.array(scores).T,
            **({} if X is None else _criteria(models, param_name, X)),
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
        curves = {}
        if self.test_scores is not None:
            curves["held-out score"] = self.test_scores.mean(axis=1)
        for name, title in CRITERIA.items():
            values = getattr(self, name)
            if values is not None:
                curves[title] = -values / (2 * self.n_samples)
        values, x = list(self.param_range), _positions(self.param_range)
        order = np.argsort(x, kind="stable")
        self.lines_, self.best_ = [], {}
        for name, curve in curves.items():
            label = name if name == "held-out score" else f"-{name} / 2n"
            lines = ax.plot(x[order], curve[order], ".-", label=label)
            best = np.nanargmax(curve)
            self.best_[name] = _as_range(values).tolist()[best]
            ax.plot(x[best], curve[best], "o", ms=9, color=lines[0].get_color())
            self.lines_ += lines
        if self.test_scores is not None and self.test_scores.shape[1] > 1:
            mean, n_folds = curves["held-out score"], self.test_scores.shape[1]
            error = self.test_scores.std(axis=1, ddof=1) / np.sqrt(n_folds)
            low, high = (mean - error)[order], (mean + error)[order]
            ax.fill_between(x[order], low, high, alpha=0.2)
        if not _are_numbers(values):
            ax.set_xticks(x, [str(value) for value in values])
        elif _is_geometric(x):
            ax.set_xscale("log")
        elif x.dtype.kind in "iu":
            ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(xlabel=self.param_name, ylabel="nats per row")
        ax.legend()
        return self


def _as_range(values):
    """An array with an entry for each value, which may be a tuple or None."""
    if all(isinstance(value, str) for value in values) or _are_numbers(values):
        return np.asarray(values)
    param_range = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        param_range[i] = value
    return param_range


def _are_numbers(values):
    return all(isinstance(v, Real) and not isinstance(v, bool) for v in values)


def _positions(values):
    """Where on the axis they stand: numbers by size, others one after the other."""
    return np.asarray(values) if _are_numbers(values) else np.arange(len(values))


def _is_geometric(x):
    """Whether the values rise by factors, so that on a line most would be one."""
    x = np.unique(x)
    if len(x) < 3 or x[0] <= 0 or x.dtype.kind != "f":
        return False
    steps = np.diff(x)
    return steps.max() > MOST_RATIO * steps.min()


def _varied(search):
    """The name of the one parameter whose values differ."""
    candidates = search.cv_results_["params"]
    if any(p.keys() != candidates[0].keys() for p in candidates):
        varied = set().union(*candidates)
    else:
        first = candidates[0]
        varied = [n for n in first if any(p[n] != first[n] for p in candidates)]
        varied = varied or list(first)[:1]
    if len(varied) != 1:
        raise ValueError(
            f"search varies the parameters {', '.join(sorted(varied))}; give one that "
            "varies a single parameter."
        )
    return varied[0]


def _criteria(models, param_name, X):
    """BIC and ICL of the models, where they have them, and the number of rows."""
    names = [name for name in CRITERIA if hasattr(last_step(models[0]), name)]
    if isinstance(models[0], Pipeline):
        last = models[0].steps[-1][0]
        names = names if param_name.startswith(f"{last}__") else []
    criteria = {"n_samples": count_rows(X)}
    if names:
        fitted = [model_and_rows(model.fit(X), X) for model in models]
        for name in names:
            values = [getattr(model, name)(rows) for model, rows in fitted]
            criteria[name] = np.array(values)
    return criteria


def count_rows(X):
    """Rows of a table, a sparse matrix or a source."""
    source = as_source(X)
    if source is None:
        return _num_samples(X)
    return source.n_rows or source.sum(n_rows, operator.add)
