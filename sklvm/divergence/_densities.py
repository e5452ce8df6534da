"""Distributions of many kinds as one: a log density of rows, and draws.

What counts is which methods an object has; none is imported to be recognised.
"""

import copy
import sys
from functools import partial

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import _safe_indexing

from sklvm._base import DensityScoreMixin
from sklvm.columns._tables import holds_words, named
from sklvm.inspection._kinds import are_real

# Draws that show the dimension, and where the mass of a density is.
N_SCOUTS = 1024
# Of their largest deviation, what is rounding of a singular covariance's root.
FLAT = 1e-7
# Where von Mises distributions are drawn, whose densities repeat on all the line.
CIRCLE = (-np.pi, np.pi)


class Density:
    """p(x): `log_prob` of rows (n, d) in float64, `draw(n, seed)` of such rows.

    Parameters
    ----------
    name : str
        What the caller calls it.
    log_prob : callable
        From rows to their log densities.
    draw : callable
        From a number of rows and an integer seed to the rows.
    discrete : bool or None
        None is not known: draws that repeat show it.
    bounds : tuple of float
        Of the support in one dimension, as far as they are known.
    is_fitted : bool
        Whether it comes from an estimator, whose log density may be a bound.
    columns : list or None
        The names of the columns, where it was fitted to a DataFrame.
    real : bool, mask of the columns or None
        Which have densities of length, and not probabilities, as far as it is known.
    """

    def __init__(
        self, name, log_prob, draw, discrete=None, bounds=(-np.inf, np.inf),
        is_fitted=False, columns=None, real=None
    ):  # fmt: skip
        self.name = name
        self.columns = columns
        self.is_fitted = is_fitted
        self._log_prob = log_prob
        self._draw = draw
        self.bounds = bounds
        self.scouts = self.draw(N_SCOUTS, 0)
        self.dimension = self.scouts.shape[1]
        self.is_kind_known = discrete is not None
        real = not discrete if real is None and self.is_kind_known else real
        self.real = None if real is None else np.broadcast_to(real, self.dimension)
        if discrete is None:
            discrete = len(np.unique(self.scouts, axis=0)) < N_SCOUTS
        self.discrete = discrete

    def log_prob(self, X):
        return np.asarray(self._log_prob(X), dtype=np.float64).reshape(len(X))

    def dtype(self):
        """The floats that the log density is computed in."""
        dtype = np.asarray(self._log_prob(self.scouts[:1])).dtype
        return dtype if dtype.kind == "f" else np.dtype(np.float64)

    def rank(self):
        """Dimension of the plane in which the draws lie, as those of Dirichlet do."""
        X = self.scouts - self.scouts.mean(axis=0)
        scale = X.std(axis=0)
        return np.linalg.matrix_rank(X / np.where(scale > 0, scale, 1.0), rtol=FLAT)

    def precision(self):
        """Relative rounding error of the log density."""
        return np.finfo(self.dtype()).eps

    def draw(self, n, seed):
        X = np.asarray(self._draw(n, seed), dtype=np.float64)
        return X.reshape(n, -1)


def as_density(name, source):
    """`source` as a `Density`.

    Raises
    ------
    TypeError
        If it has not the methods.
    """
    if _is_torch(source):
        return _of_torch(name, source)
    if isinstance(source, BaseEstimator) and _has(source, "score_samples", "sample"):
        return _of_estimator(name, source)
    if isinstance(source, type):
        raise TypeError(f"{name}={source.__name__} is a class; give an instance.")
    if _has(source, "logpdf", "resample"):
        return _of_kernel_density(name, source)
    if _has(source, "rvs") and (_has(source, "logpdf") or _has(source, "logpmf")):
        return _of_scipy(name, source)
    if _has(source, "logpdf", "sample", "support"):
        return _of_random_variable(name, source)
    for method in ("log_prob", "score_samples"):
        if _has(source, method, "sample"):
            # Of an object of the user's own no more is known: it draws as it draws.
            return Density(
                name, getattr(source, method), lambda n, seed: _first(source.sample(n))
            )
    raise TypeError(
        f"{name}={type(source).__name__} is no distribution; give an object with "
        "sample and log_prob or score_samples, or one of scipy.stats or torch; of a "
        "Pipeline its last step, of a search its best_estimator_."
    )


def _has(source, *names):
    return all(callable(getattr(source, name, None)) for name in names)


def _on_circle(log_prob):
    """The log density of an angle, once and not at each turn."""
    lower, upper = CIRCLE

    def once(X):
        x = np.ravel(X)
        return np.where((lower <= x) & (x <= upper), np.ravel(log_prob(X)), -np.inf)

    return once


def _first(drawn):
    """Rows, without the labels or latents that estimators return with them."""
    return drawn[0] if isinstance(drawn, tuple) else drawn


# Kinds --------------------------------------------------------------------------------


def _of_estimator(name, estimator):
    def draw(n, seed):
        if "random_state" in estimator.get_params(deep=False):
            # A copy: neither the parameter of the user's own is to change, nor the
            # state of its generator.
            return _first(copy.copy(estimator).set_params(random_state=seed).sample(n))
        return _first(estimator.sample(n, random_state=seed))

    drawn = draw(2, 0)
    if holds_words(drawn):
        raise TypeError(
            f"{name}={type(estimator).__name__} draws rows with text or categories, of "
            "which kl makes no numbers; take the mean of p.score_samples(X) - "
            "q.score_samples(X) at X = p.sample(n)[0] instead."
        )
    names = getattr(estimator, "feature_names_in_", None)
    is_ours = isinstance(estimator, DensityScoreMixin)

    def log_prob(X):
        X = X if names is None else named(X, names)
        score = partial(_scores, estimator) if is_ours else estimator.score_samples
        return score(X)

    bounds = (-np.inf, np.inf)
    if is_ours and np.shape(drawn)[1] == 1:
        signs = np.array([[-1.0], [1.0]])
        signs = signs if names is None else named(signs, names)
        if estimator._impossible_rows(signs).tolist() == [True, False]:
            bounds = (0.0, np.inf)
    return Density(
        name, log_prob, draw, bounds=bounds, is_fitted=True,
        columns=None if names is None else list(names),
        real=are_real(estimator) if is_ours else None,
    )  # fmt: skip


def _scores(estimator, X):
    """Scores of rows, -inf where ours refuse values that another may well have."""
    impossible = estimator._impossible_rows(X)
    if not impossible.any():
        return estimator.score_samples(X)
    log_p = np.full(len(impossible), -np.inf)
    possible = np.flatnonzero(~impossible)
    if len(possible):
        log_p[possible] = estimator.score_samples(_safe_indexing(X, possible))
    return log_p


def _of_scipy(name, frozen):
    discrete = not _has(frozen, "logpdf")
    log_prob = frozen.logpmf if discrete else frozen.logpdf

    def draw(n, seed):
        return frozen.rvs(size=n, random_state=seed)

    bounds = _support(name, frozen)
    if getattr(getattr(frozen, "dist", None), "name", None) == "vonmises":
        bounds, log_prob = CIRCLE, _on_circle(log_prob)
    try:
        drawn = np.asarray(draw(2, 0))
    except TypeError as error:
        raise _not_frozen(name, frozen) from error
    shape = drawn.shape[1:]
    rows_are_last = _takes_rows_last(log_prob, draw, shape)

    def of_rows(X):
        X = X[:, 0] if X.shape[1] == 1 else X.reshape(len(X), *shape)
        if discrete and (np.rint(X) == X).all():
            X = X.astype(drawn.dtype)  # some take nothing but integers
        return log_prob(np.moveaxis(X, 0, -1) if rows_are_last else X)

    def inside(X):
        """The same, where scipy refuses what is outside of the support."""
        try:
            return of_rows(X)
        except ValueError:
            if len(X) == 1:
                return np.array([-np.inf])
            return np.concatenate([np.atleast_1d(inside(row[None])) for row in X])

    return Density(name, inside, draw, discrete, bounds)


def _of_random_variable(name, variable):
    """One of scipy's newer kind, such as scipy.stats.Normal(mu=0, sigma=1)."""
    bounds = _support(name, variable)

    def draw(n, seed):
        return variable.sample(n, rng=np.random.default_rng(seed))

    # All of them have both methods.
    discrete = bool(np.isposinf(variable.logpdf(draw(2, 0))).all())
    log_prob = variable.logpmf if discrete else variable.logpdf
    return Density(name, lambda X: log_prob(X[:, 0]), draw, discrete, bounds)


def _support(name, distribution):
    """The ends of the line, or of the part of it where there is mass."""
    if not _has(distribution, "support"):
        return -np.inf, np.inf
    try:
        ends = distribution.support()
    except TypeError as error:
        raise _not_frozen(name, distribution) from error
    if np.size(ends[0]) > 1:
        raise ValueError(
            f"{name} has parameters of the shape {np.shape(ends[0])}, so that it is "
            "many distributions; give one of them at a time."
        )
    return tuple(np.ravel(end)[0] for end in ends)


def _not_frozen(name, distribution):
    kind = getattr(distribution, "name", type(distribution).__name__)
    return TypeError(
        f"{name}={kind} of scipy.stats has no parameters; freeze it, as {kind}(...)."
    )


def _takes_rows_last(log_prob, draw, shape):
    """Whether it wants draws along the last axis, as those of Dirichlet and Wishart."""
    n = 1 + max(shape, default=0)  # more than there are columns
    X = np.asarray(draw(n, 0)).reshape(n, *shape)
    try:
        return np.shape(log_prob(X)) != (n,)
    except ValueError:
        log_prob(np.moveaxis(X, 0, -1))  # of its own draws it has to know this
        return True


def _of_kernel_density(name, kde):
    """scipy's gaussian_kde, which has its points in columns."""

    def draw(n, seed):
        return kde.resample(n, seed=seed).T

    return Density(name, lambda X: kde.logpdf(X.T), draw, discrete=False)


def _is_torch(source):
    # An object of torch can only come from a torch that has been imported.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(source, torch.distributions.Distribution)


def _of_torch(name, distribution):
    import torch

    if distribution.batch_shape:
        raise ValueError(
            f"{name} has batch_shape={tuple(distribution.batch_shape)}, so that it is "
            "many distributions; wrap it in torch.distributions.Independent to make it "
            "one."
        )

    def sample(shape, seed):
        # torch's distributions draw from its global generator.
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(seed)
            return distribution.sample(shape)

    example = sample((), 0)
    precision = example.dtype if example.is_floating_point() else torch.float64

    def log_prob(X):
        x = torch.as_tensor(X).to(example).reshape(len(X), *example.shape)
        inside = distribution.support.check(x)
        # Torch raises outside of the support.
        log_p = torch.full(inside.shape, -torch.inf, dtype=precision)
        with torch.no_grad():
            if inside.any():
                log_p[inside] = distribution.log_prob(x[inside]).to(log_p)
        return log_p.numpy()

    def draw(n, seed):
        return sample((n,), seed).cpu().numpy()

    support = distribution.support
    bounds = (
        float(getattr(support, "lower_bound", -np.inf)),
        float(getattr(support, "upper_bound", np.inf)),
    )
    if isinstance(distribution, torch.distributions.VonMises):
        bounds, log_prob = CIRCLE, _on_circle(log_prob)
    return Density(name, log_prob, draw, support.is_discrete, bounds)
