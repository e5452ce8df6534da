"""How many components: by an information criterion, or by held-out rows."""

import warnings
from dataclasses import dataclass, field
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import Parallel, delayed

from sklvm._base import check_count, check_in_memory, private_random_state
from sklvm._warn import warn_user
from sklvm.inspection import ModelSelectionDisplay
from sklvm.inspection._kinds import is_mixture, last_step, model_and_rows
from sklvm.inspection._model_selection import count_rows

CRITERIA = ("bic", "icl", "score")


@dataclass(frozen=True)
class ComponentSelection:
    """What `select_n_components` returns.

    Attributes
    ----------
    best_n_components : int
        The number that was chosen.
    best_estimator : estimator
        With that number, fitted to all rows.
    criterion : {"bic", "icl", "score"}
    results : dict of ndarray
        A value for each number, to be read by ``pandas.DataFrame``: "n_components",
        and for "bic" and "icl" both of these; for "score", in nats per row, the means
        over the folds "mean_test_score" with "standard_error", by how much the highest
        mean is above them, "difference", with "difference_error" from differences
        within the folds, and "split0_test_score" and so on.
    display : ModelSelectionDisplay
        What `plot` draws.
    """

    best_n_components: int
    best_estimator: BaseEstimator
    criterion: str
    # Long, and of no use as text.
    results: dict = field(repr=False)
    display: ModelSelectionDisplay = field(repr=False)

    def plot(self, ax=None):
        """Draw the criterion against the number, with a line at the chosen one.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None

        Returns
        -------
        display : ModelSelectionDisplay
        """
        display = self.display.plot(ax=ax)
        display.ax_.axvline(self.best_n_components, color="0.6", ls="--", zorder=0)
        return display


def select_n_components(
    estimator, X, param_range, criterion="bic", *, cv=5, n_jobs=None, random_state=None
):
    r"""Choose the number of components of a mixture.

    "bic" and "icl" fit to all rows at each number and take the lowest criterion. BIC
    asks for the density, and may spend two components on one cluster that is not of the
    family's shape; ICL asks for clusters that do not overlap. "score" asks for the
    held-out log-likelihood, by the one-standard-error rule: it takes the smallest
    number k whose mean over the F folds is within one standard error of the highest,
    that of k*,

    .. math:: \bar{s}_{k^*} - \bar{s}_k \le \mathrm{sd}(s_{k^* f}) / \sqrt{F},

    where s_kf is the score of fold f. Components beyond the number of clusters mend the
    shapes of densities, for gains below the error of the score itself; the rule leaves
    them out. Whether a gain is real is shown by the differences within the folds, which
    share what makes a fold hard: `results` has them, with a standard error of their
    own. The model of the number that is chosen is fitted again to all rows.

    Parameters
    ----------
    estimator : mixture, or Pipeline that ends with one
        Fitted or not; clones of it are fitted.
    X : array-like, DataFrame or source of shape (n_samples, n_features)
        Of a source of rows, as in `sklvm.sources`, by "bic" or "icl".
    param_range : iterable of int
        The numbers to try, as ``range(1, 9)``.
    criterion : {"bic", "icl", "score"}, default="bic"
    cv : int, cross-validation generator or iterable, default=5
        Folds for "score". Those of an integer are shuffled.
    n_jobs : int or None, default=None
        Fits side by side, as in joblib.
    random_state : int, RandomState instance or None, default=None
        Of the folds, and of the fits where the mixture has none of its own.

    Returns
    -------
    selection : ComponentSelection
        With `best_n_components`, `best_estimator`, `results`, and `plot()`.

    Warns
    -----
    UserWarning
        If fits failed, or held-out rows have probability 0; their number is out.
    ConvergenceWarning
        If fits stopped at `max_iter`.

    References
    ----------
    Biernacki, Celeux and Govaert, "Assessing a mixture model for clustering with the
    integrated completed likelihood", IEEE PAMI 22, 2000. Hastie, Tibshirani and
    Friedman, "The Elements of Statistical Learning", 2nd ed., 2009, section 7.10.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklvm import GaussianMixtureEM, select_n_components
    >>> X = load_iris().data
    >>> model = GaussianMixtureEM(n_init=3, max_iter=300, random_state=0)
    >>> selection = select_n_components(model, X, range(1, 5))
    >>> selection.best_n_components
    2
    >>> sorted(selection.best_estimator.weights_.round(2).tolist())
    [0.33, 0.67]
    """
    numbers = _check(estimator, param_range, criterion)
    seed = private_random_state(random_state).randint(np.iinfo(np.int32).max)
    name, models = _candidates(estimator, numbers, seed)
    if criterion == "score":
        check_in_memory(X, 'choose criterion="bic" or "icl", which need no folds')
        folds = _folds(cv, X, seed)
        tasks = [(model, fold) for model in models for fold in folds]
    else:
        tasks = [(model, None) for model in models]
    fits = Parallel(n_jobs=n_jobs)(delayed(_fit)(m, X, fold) for m, fold in tasks)
    _tell(fits, np.repeat(numbers, len(tasks) // len(numbers)))
    values = np.array([fit.values for fit in fits])
    if criterion == "score":
        scores = values.reshape(len(numbers), -1)
        errors = [fit.error for fit in fits if fit.error]
        results, best = _one_standard_error(scores, errors)
        best_estimator = models[best].fit(X)
        shown = {"test_scores": scores}
    else:
        results = dict(zip(("bic", "icl"), values.T, strict=True))
        best = int(np.nanargmin(results[criterion]))
        best_estimator = fits[best].model
        for category, message in fits[best].warnings:
            if not issubclass(category, ConvergenceWarning):  # reported already
                warn_user(message, category)
        shown = {"n_samples": count_rows(X), **results}
    display = ModelSelectionDisplay(
        param_name=name, param_range=np.array(numbers), **shown
    )
    results = {"n_components": np.array(numbers), **results}
    return ComponentSelection(
        numbers[best], best_estimator, criterion, results, display
    )


@dataclass
class _Fit:
    """A fit of one number, to all rows or to those of a fold."""

    model: BaseEstimator
    values: tuple  # BIC and ICL, or the held-out score; NaN if it failed
    error: Exception | None = None
    warnings: tuple = ()


def _fit(model, X, fold):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if fold is None:
                mixture, rows = model_and_rows(model.fit(X), X)
                values = mixture.bic(rows), mixture.icl(rows)
            else:
                train, test = (_safe_indexing(X, rows) for rows in fold)
                values = (clone(model).fit(train).score(test),)
        except Exception as error:
            return _Fit(model, (np.nan, np.nan) if fold is None else (np.nan,), error)
    return _Fit(
        model, values, warnings=tuple((w.category, str(w.message)) for w in caught)
    )


def _check(estimator, param_range, criterion):
    """The numbers in ascending order."""
    if not is_mixture(last_step(estimator)):
        raise TypeError(
            f"estimator={type(last_step(estimator)).__name__} is no mixture; give one "
            "of sklvm, or a Pipeline that ends with one."
        )
    checkpoint = last_step(estimator).checkpoint
    if checkpoint is not None:
        raise ValueError(
            f"checkpoint={str(checkpoint)!r} of the estimator is one file, which its "
            "fits with several n_components would share; set checkpoint=None."
        )
    if criterion not in CRITERIA:
        raise ValueError(f'criterion={criterion!r} must be "bic", "icl" or "score".')
    try:
        numbers = sorted({check_count("param_range", n) for n in param_range})
    except (TypeError, ValueError):
        numbers = []
    if not numbers:
        raise ValueError(
            f"param_range={param_range!r} must have one or more integers of 1 or more, "
            "as range(1, 9)."
        )
    return numbers


def _candidates(estimator, numbers, seed):
    """The name of the parameter, and the estimator with each number."""
    prefix = f"{estimator.steps[-1][0]}__" if isinstance(estimator, Pipeline) else ""
    params = {}
    if last_step(estimator).random_state is None:
        params[f"{prefix}random_state"] = seed
    name = f"{prefix}n_components"
    return name, [clone(estimator).set_params(**params, **{name: n}) for n in numbers]


def _folds(cv, X, seed):
    if isinstance(cv, Integral):
        cv = KFold(cv, shuffle=True, random_state=seed)
    try:
        return list(check_cv(cv).split(X))
    except (TypeError, ValueError) as error:
        if "'y'" not in str(error) and "'groups'" not in str(error):
            raise
        raise ValueError(
            f"cv={cv!r} needs more than X ({error}); give its folds, as "
            "list(cv.split(X, y, groups))."
        ) from error


def _one_standard_error(scores, errors):
    """Results, and the first number within one standard error of the best.

    `scores` are (n_values, n_folds), and `errors` those of the fits that failed.
    """
    means = scores.mean(axis=1)
    usable = np.isfinite(means)
    if not usable.any() and errors:
        raise ValueError(
            "every n_components has a fold that failed or has rows of probability 0; "
            f"the first: {errors[0]}"
        ) from errors[0]
    if not usable.any():
        raise ValueError(
            "every n_components has a fold with rows of probability 0; "
            "set a prior in the mixture, or give other folds."
        )
    highest = np.argmax(np.where(usable, means, -np.inf))
    differences = scores[highest] - np.where(usable[:, np.newaxis], scores, -np.inf)
    error = _standard_error(scores)
    results = {
        "mean_test_score": means,
        "standard_error": error,
        "difference": differences.mean(axis=1),
        "difference_error": _standard_error(differences),
        **{f"split{f}_test_score": fold for f, fold in enumerate(scores.T)},
    }
    return results, int(np.argmax(results["difference"] <= error[highest]))


def _standard_error(values):
    """Of the means of each row over the folds; NaN where one is not finite."""
    n_folds = values.shape[1]
    if n_folds == 1:
        return np.zeros(len(values))
    usable = np.isfinite(values).all(axis=1)
    error = np.full(len(values), np.nan)
    error[usable] = values[usable].std(axis=1, ddof=1) / np.sqrt(n_folds)
    return error


def _tell(fits, numbers):
    """One warning each for what failed, was impossible, or did not converge."""
    failed = [(n, fit.error) for n, fit in zip(numbers, fits, strict=True) if fit.error]
    if len(failed) == len(fits):
        raise failed[0][1]
    if failed:
        n, error = failed[0]
        warn_user(
            f"{len(failed)} of {len(fits)} fits failed, and their n_components are "
            f"left out; the first, with n_components={n}: {error}"
        )
    impossible = _where(numbers, [np.isneginf(fit.values).any() for fit in fits])
    if impossible:
        remedy = last_step(fits[0].model)._impossible_remedy or "a prior"
        warn_user(
            f"held-out rows have probability 0 with n_components={impossible}, which "
            f"are left out; set {remedy} to keep probabilities off 0."
        )
    stopped = _where(
        numbers,
        [any(issubclass(c, ConvergenceWarning) for c, _ in f.warnings) for f in fits],
    )
    if stopped:
        warn_user(
            f"fits with n_components={stopped} did not converge; raise max_iter or "
            "tol.",
            ConvergenceWarning,
        )


def _where(numbers, flags):
    return np.unique(numbers[np.array(flags)]).tolist()
