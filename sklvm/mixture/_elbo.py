r"""F(theta, q), which EM climbs by coordinates."""

import numpy as np
from scipy.special import entr
from sklearn.utils.validation import check_is_fitted

from sklvm._base import check_sample_weight, weighted_mean
from sklvm.columns._numbers import check_numbers
from sklvm.mixture._fitted import FittedMixture

# How far responsibilities may be from a sum of one: float32 has no more digits.
TOLERANCE = 1e-5


def elbo(estimator, X, resp, sample_weight=None):
    r"""The evidence lower bound of a mixture at any responsibilities.

    .. math::

        F(\theta, q) = \frac{1}{n} \sum_i \sum_k r_{ik}
                       \left[ \log p_\theta(x_i, z = k) - \log r_{ik} \right]
                     = \frac{1}{n} \sum_i \log p_\theta(x_i)
                       - KL(r_i \| p_\theta(z | x_i))

    The E-step of EM maximises it over q, at the posterior, where it is `score`; the
    M-step maximises it over theta at fixed q.

    Parameters
    ----------
    estimator : mixture of this package
        Fitted, for example a GaussianMixtureEM; its parameters are theta.
    X : array-like of shape (n_samples, n_features)
        NaN is summed out.
    resp : array-like of shape (n_samples, n_components)
        q(z), a row each: 0 or more, with sum 1.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows in the mean.

    Returns
    -------
    lower_bound : float
        A mean over the rows, in nats; -inf where a responsibility is positive and
        p(x, z) is 0.

    Raises
    ------
    TypeError
        If the estimator is no mixture of this package.
    ValueError
        If `resp` has the wrong shape, or rows that are no distributions.

    References
    ----------
    R. Neal and G. Hinton, "A View of the EM Algorithm that Justifies Incremental,
    Sparse, and Other Variants", 1998, eq. 7 and theorem 1.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklvm import GaussianMixtureEM, elbo
    >>> X = load_iris().data
    >>> model = GaussianMixtureEM(n_components=3, random_state=0).fit(X)
    >>> posterior = model.predict_proba(X)
    >>> round(elbo(model, X, posterior) - model.score(X), 9)
    0.0
    >>> elbo(model, X, 0.9 * posterior + 0.1 / 3) < model.score(X)
    True
    """
    if not isinstance(estimator, FittedMixture):
        raise TypeError(
            f"estimator={type(estimator).__name__} has no responsibilities; give a "
            "fitted mixture, for example a GaussianMixtureEM."
        )
    check_is_fitted(estimator)
    log_joint = estimator._log_joint(X)
    resp = _check_responsibilities(resp, log_joint.shape)
    expected = np.multiply(resp, log_joint, where=resp > 0, out=np.zeros_like(resp))
    of_rows = (expected + entr(resp)).sum(axis=1)
    return weighted_mean(of_rows, check_sample_weight(sample_weight, of_rows))


def _check_responsibilities(resp, shape):
    resp = check_numbers(resp, "resp", dtype=np.float64, ensure_2d=False)
    if resp.shape != shape:
        raise ValueError(
            f"resp has shape {resp.shape}; it must have shape {shape}, a row for each "
            "of X and a column for each component."
        )
    if resp.min() < 0:
        raise ValueError(
            f"resp has the entry {resp.min():g}; responsibilities are 0 or more."
        )
    total = resp.sum(axis=1)
    worst = np.abs(total - 1).argmax()
    if abs(total[worst] - 1) > TOLERANCE:
        raise ValueError(
            f"resp has the sum {total[worst]:g} in row {worst}; divide each row by its "
            "sum."
        )
    return resp
