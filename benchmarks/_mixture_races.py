"""Races: two estimators with the same start, ready to fit the same rows.

Both make `n_iter` M-steps. What they arrive at is scored by one function for both,
which is the peer's or written here: ours is not believed about itself.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, xlogy
from sklearn.mixture import GaussianMixture

from sklvm import BernoulliMixtureEM, GaussianMixtureEM


@dataclass
class Race:
    """One line of a table.

    `score(estimator, X)` is the mean log p(x) of the estimator's parameters. `flops`
    are the floating point operations that our E+M passes need.
    """

    name: str
    X: np.ndarray
    ours: object
    peer: object
    score: Callable
    flops: int


# Gaussians, against scikit-learn ---------------------------------------------------


def gaussian_race(name, X, n_components, n_iter, covariance_type="full", **parameters):
    parameters = {
        "n_components": n_components,
        "covariance_type": covariance_type,
        "tol": 0,
        "max_iter": n_iter,
        **gaussian_start(X, n_components, covariance_type),
        **parameters,
    }
    return Race(
        f"{name}, {len(X)} x {X.shape[1]}, K = {n_components}, {X.dtype}",
        X,
        GaussianMixtureEM(**parameters),
        GaussianMixture(**parameters),
        gaussian_score,
        gaussian_flops(*X.shape, n_components, covariance_type, n_iter),
    )


def gaussian_start(X, n_components, covariance_type):
    """Equal weights, means at random rows, the variances of all rows."""
    rng = np.random.default_rng(1)
    n_features = X.shape[1]
    rows = rng.choice(len(X), size=n_components, replace=False)
    variance = X.var(axis=0)
    # A constant column has no variance of its own: 1 is as good as any.
    precision = np.tile(1 / np.where(variance > 0, variance, 1), (n_components, 1))
    if covariance_type == "full":
        precision = precision[:, :, None] * np.eye(n_features, dtype=X.dtype)
    return {
        "weights_init": np.full(n_components, 1 / n_components, dtype=X.dtype),
        "means_init": X[rows],
        "precisions_init": precision.astype(X.dtype),
    }


def gaussian_score(estimator, X):
    """scikit-learn's score in float64 of the parameters of either side."""
    judge = GaussianMixture(covariance_type=estimator.covariance_type)
    for name in ("weights_", "means_", "precisions_cholesky_"):
        setattr(judge, name, getattr(estimator, name).astype(np.float64))
    return float(judge.score(X.astype(np.float64)))


def gaussian_flops(n_rows, n_features, n_components, covariance_type, n_iter):
    """One product each way with the features of every row.

    They are [upper(x x^T), x, 1] for full covariances, [x^2, x, 1] for diagonal.
    T iterations are T passes of E and M and one more E for the bound at the end.
    """
    second_order = {"full": n_features * (n_features + 1) // 2, "diag": n_features}
    n_statistics = second_order[covariance_type] + n_features + 1
    return 2 * n_rows * n_statistics * n_components * (2 * n_iter + 1)


# Binary and categorical, against StepMix ---------------------------------------------


def bernoulli_race(name, X, n_components, n_iter):
    # Rows drawn towards 1/2, so that no probability of the start is 0 or 1.
    theta = 0.25 + 0.5 * _random_rows(X, n_components)
    weights = np.full(n_components, 1 / n_components)
    return Race(
        f"binary, {name}, {len(X)} x {X.shape[1]}, K = {n_components}",
        X,
        BernoulliMixtureEM(
            n_components,
            binarize=None,
            tol=0,
            max_iter=n_iter,
            weights_init=weights,
            theta_init=theta,
        ),
        stepmix_from(
            "binary", _bernoulli_without_floor(), weights, {"pis": theta}, n_iter
        ),
        bernoulli_score,
        _discrete_flops(len(X), X.shape[1] + 1, n_components, n_iter),
    )


def categorical_race(name, X, n_answers, n_components, n_iter):
    """X: codes 0 to `n_answers` - 1."""
    from stepmix.emission.categorical import Multinoulli

    from sklvm import CategoricalMixtureEM

    # As above: half of the start is the answer of a random row, half is even.
    n_items = X.shape[1]
    rows = _random_rows(X, n_components).astype(int)
    theta = 0.5 * np.eye(n_answers)[rows] + 0.5 / n_answers
    weights = np.full(n_components, 1 / n_components)
    parameters = {
        "pis": theta.reshape(n_components, -1),
        "max_n_outcomes": n_answers,
        "total_outcomes": n_answers * n_items,
    }
    return Race(
        f"categorical, {name}, {len(X)} x {n_items} of {n_answers} answers, "
        f"K = {n_components}",
        X,
        CategoricalMixtureEM(
            n_components,
            n_categories=n_answers,
            tol=0,
            max_iter=n_iter,
            weights_init=weights,
            theta_init=list(theta.swapaxes(0, 1)),
        ),
        stepmix_from("categorical", Multinoulli, weights, parameters, n_iter),
        categorical_score,
        _discrete_flops(len(X), n_answers * n_items, n_components, n_iter),
    )


def _random_rows(X, n):
    return X[np.random.default_rng(1).choice(len(X), size=n, replace=False)]


def _bernoulli_without_floor():
    """StepMix's Bernoulli distributions with EM's own M-step.

    StepMix lifts theta to 1e-15 or more, which on MNIST leads elsewhere within a few
    iterations, and not by EM's steps; here the floor is so low that it only keeps the
    logarithm finite. Neither costs or saves time. The categorical races touch no floor.
    """
    from stepmix.emission.categorical import Bernoulli

    class BernoulliWithoutFloor(Bernoulli):
        def m_step(self, X, resp):
            pis = X.T @ resp
            pis /= resp.sum(axis=0, keepdims=True)
            self.parameters["pis"] = np.clip(pis, 0, 1).T

        def log_likelihood(self, X):
            pis = self.parameters["pis"].T
            log_pis, log_rest = (np.log(np.clip(p, 1e-300, 1)) for p in (pis, 1 - pis))
            return X @ log_pis + (1 - X) @ log_rest

    return BernoulliWithoutFloor


def stepmix_from(measurement, emission, weights, parameters, n_iter):
    """A StepMix that starts from given parameters: its constructor takes no start."""
    from stepmix import StepMix

    class StepMixFrom(StepMix):
        def _initialize_parameters(self, X, random_state):
            self.weights_ = weights.copy()
            self._mm = emission(
                n_components=self.n_components, random_state=random_state
            )
            self._mm.set_parameters(dict(parameters))

    return StepMixFrom(
        len(weights),
        measurement=measurement,
        abs_tol=0,
        rel_tol=0,
        max_iter=n_iter,
        progress_bar=0,
    )


def bernoulli_score(estimator, X):
    """Mean log p(x) of the parameters of either side, for rows of 0 and 1."""
    # 0 log 0 is 0: a pixel that never has ink costs nothing where there is none.
    log_p = [(xlogy(X, t) + xlogy(1 - X, 1 - t)).sum(axis=1) for t in _theta(estimator)]
    return _mean_log_likelihood(estimator.weights_, np.column_stack(log_p))


def categorical_score(estimator, X):
    """The same for codes from 0, and items with equally many answers."""
    theta = _theta(estimator)
    n_answers = theta.shape[1] // X.shape[1]
    indicators = np.eye(n_answers)[X.astype(int)].reshape(len(X), -1)
    return _mean_log_likelihood(estimator.weights_, indicators @ np.log(theta).T)


def _theta(estimator):
    """The probabilities of either side, one row for each component."""
    theta = getattr(estimator, "theta_", None)
    if theta is None:
        return estimator.get_parameters()["measurement"]["pis"]
    # Categorical mixtures have one array for each item.
    return np.hstack(theta) if isinstance(theta, list) else theta


def _mean_log_likelihood(weights, log_p):
    return float(logsumexp(log_p + np.log(weights), axis=1).mean())


def _discrete_flops(n_rows, n_statistics, n_components, n_iter):
    """As for the Gaussians, for every row, repeated or not.

    The statistics of a row are [x, 1] if it is binary, its indicators if categorical.
    """
    return 2 * n_rows * n_statistics * n_components * (2 * n_iter + 1)
