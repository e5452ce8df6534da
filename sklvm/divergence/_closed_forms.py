r"""Divergences and entropies that have a closed form, batched, in nats.

.. math:: KL(p \| q) = E_p[\log p(x) - \log q(x)], \qquad H(p) = -E_p[\log p(x)]
"""

import math

import numpy as np
from scipy.special import entr, expit, log_expit, rel_entr

from sklvm._base import check_count
from sklvm.divergence._checks import (
    batch_shape,
    check_batches,
    check_bernoulli,
    check_categorical,
    check_covariances,
    check_labels,
    check_means,
)

LOG_2PI = math.log(2 * math.pi)


# Gaussians ----------------------------------------------------------------------------


def kl_gaussian(mean0, cov0, mean1, cov1, *, covariance_type="full"):
    r"""KL divergence of two Gaussians.

    .. math::

        KL(N_0 \| N_1) = \frac{1}{2} \left( \mathrm{tr}(\Sigma_1^{-1} \Sigma_0)
            + (\mu_1 - \mu_0)^T \Sigma_1^{-1} (\mu_1 - \mu_0)
            - d + \log\det \Sigma_1 - \log\det \Sigma_0 \right)

    by Cholesky factors, without an inverse.

    Parameters
    ----------
    mean0, mean1 : array-like of shape (..., d)
        Means. Leading dimensions, here and below, are those of a batch and broadcast.
    cov0, cov1 : array-like
        Covariances of shape (..., d, d) for "full", variances of shape (..., d) for
        "diag" and of shape (...) for "spherical".
    covariance_type : {"full", "diag", "spherical"}, default="full"

    Returns
    -------
    divergence : float or ndarray of shape (...)
        In nats.

    Raises
    ------
    ValueError
        If shapes do not fit, or a covariance is not symmetric and positive definite.

    References
    ----------
    S. Kullback, "Information Theory and Statistics", 1959, chapter 9, eq. 1.5.

    Examples
    --------
    >>> from sklvm.divergence import kl_gaussian
    >>> kl_gaussian([0.0], [[1.0]], [1.0], [[1.0]])
    0.5
    """
    covariances = {} if covariance_type == "spherical" else {"cov0": cov0, "cov1": cov1}
    check_labels(mean0=mean0, mean1=mean1, **covariances)
    mean0, mean1 = check_means("mean0", mean0), check_means("mean1", mean1)
    d = mean0.shape[-1]
    if mean1.shape[-1] != d:
        raise ValueError(
            f"mean1 has {mean1.shape[-1]} features and mean0 has {d}; give Gaussians "
            "of the same dimension."
        )
    factor0 = check_covariances("cov0", cov0, covariance_type, d)
    factor1 = check_covariances("cov1", cov1, covariance_type, d)
    shapes = [mean0.shape[:-1], mean1.shape[:-1]]
    shapes += [batch_shape(factor, covariance_type) for factor in (factor0, factor1)]
    check_batches("mean0, mean1, cov0 and cov1", *shapes)
    difference = mean1 - mean0
    if covariance_type == "full":
        scaled = np.linalg.solve(factor1, difference[..., np.newaxis])[..., 0]
        trace = (np.linalg.solve(factor1, factor0) ** 2).sum(axis=(-2, -1))
        half_log_det = _half_log_det(factor0) - _half_log_det(factor1)
    else:
        if covariance_type == "spherical":
            factor0, factor1 = factor0[..., np.newaxis], factor1[..., np.newaxis]
        ratio = np.broadcast_to(
            factor0 / factor1, np.broadcast_shapes(factor0.shape, factor1.shape, (d,))
        )
        scaled = difference / factor1
        trace = (ratio**2).sum(axis=-1)
        half_log_det = np.log(ratio).sum(-1)
    # Rounding must not make it negative at p = q.
    divergence = ((scaled**2).sum(-1) + trace - d) / 2 - half_log_det
    return _plain(np.maximum(divergence, 0))


def entropy_gaussian(cov, *, covariance_type="full", n_features=None):
    r"""Entropy of a Gaussian, :math:`\frac{1}{2} \log\det(2 \pi e \Sigma)`.

    Parameters
    ----------
    cov : array-like
        Covariances of shape (..., d, d) for "full", variances of shape (..., d) for
        "diag" and of shape (...) for "spherical".
    covariance_type : {"full", "diag", "spherical"}, default="full"
    n_features : int or None, default=None
        Dimension d of a "spherical" one, whose variance does not tell it.

    Returns
    -------
    entropy : float or ndarray of shape (...)
        Differential entropy in nats, which may be negative.

    Raises
    ------
    ValueError
        If shapes do not fit, or a covariance is not symmetric and positive definite.

    References
    ----------
    T. Cover and J. Thomas, "Elements of Information Theory", 2006, theorem 8.4.1.

    Examples
    --------
    >>> from sklvm.divergence import entropy_gaussian
    >>> round(entropy_gaussian([[1.0]]), 4)
    1.4189
    """
    if (n_features is None) == (covariance_type == "spherical"):
        raise ValueError(
            f"n_features={n_features} with covariance_type={covariance_type!r}: a "
            "spherical one needs n_features, and the others have it from cov."
        )
    if n_features is not None:
        check_count("n_features", n_features)
    factor = check_covariances("cov", cov, covariance_type, n_features)
    if covariance_type == "full":
        half_log_det, n_features = _half_log_det(factor), factor.shape[-1]
    elif covariance_type == "diag":
        half_log_det, n_features = np.log(factor).sum(-1), factor.shape[-1]
    else:
        half_log_det = n_features * np.log(factor)
    return _plain(half_log_det + n_features / 2 * (1 + LOG_2PI))


# Discrete distributions ---------------------------------------------------------------


def kl_categorical(p, q, *, from_logits=False):
    r"""KL divergence of two distributions over k classes.

    .. math:: KL(p \| q) = \sum_k p_k \log(p_k / q_k)

    Parameters
    ----------
    p, q : array-like of shape (..., k)
        Probabilities, or with `from_logits` their logarithms up to a constant.
        Leading dimensions broadcast.
    from_logits : bool, default=False

    Returns
    -------
    divergence : float or ndarray of shape (...)
        In nats; 0 log 0 is 0, and where q is 0 and p is not it is infinite.

    Raises
    ------
    ValueError
        If entries are no probabilities or do not sum to one.

    References
    ----------
    T. Cover and J. Thomas, "Elements of Information Theory", 2006, eq. 2.26.

    Examples
    --------
    >>> from sklvm.divergence import kl_categorical
    >>> round(kl_categorical([0.5, 0.5], [0.25, 0.75]), 4)
    0.1438
    """
    check_labels(p=p, q=q)
    p, log_p = check_categorical("p", p, from_logits)
    q, log_q = check_categorical("q", q, from_logits)
    if p.shape[-1] != q.shape[-1]:
        raise ValueError(
            f"q has {q.shape[-1]} classes and p has {p.shape[-1]}; give distributions "
            "over the same classes."
        )
    check_batches("p and q", p.shape[:-1], q.shape[:-1])
    terms = _weighted(p, log_p, log_q) if from_logits else rel_entr(p, q)
    return _plain(np.maximum(terms.sum(axis=-1), 0))


def kl_bernoulli(p, q, *, from_logits=False):
    r"""KL divergence of Bernoulli distributions, entry by entry.

    .. math:: p \log\frac{p}{q} + (1 - p) \log\frac{1 - p}{1 - q}

    Sum over features for a product of independent ones.

    Parameters
    ----------
    p, q : array-like of shape (...)
        Probabilities of one, or with `from_logits` log(p / (1 - p)). They broadcast.
    from_logits : bool, default=False

    Returns
    -------
    divergence : float or ndarray of shape (...)
        In nats; infinite where q excludes what p does not.

    Raises
    ------
    ValueError
        If entries are no probabilities.

    References
    ----------
    T. Cover and J. Thomas, "Elements of Information Theory", 2006, example 2.3.1.

    Examples
    --------
    >>> from sklvm.divergence import kl_bernoulli
    >>> kl_bernoulli(0.5, [0.5, 0.25]).round(4).tolist()
    [0.0, 0.1438]
    """
    check_labels(p=p, q=q)
    a, b = check_bernoulli("p", p, from_logits), check_bernoulli("q", q, from_logits)
    check_batches("p and q", a.shape, b.shape)
    if from_logits:
        terms = _weighted(expit(a), log_expit(a), log_expit(b))
        terms = terms + _weighted(expit(-a), log_expit(-a), log_expit(-b))
    else:
        terms = rel_entr(a, b) + rel_entr(1 - a, 1 - b)
    return _plain(np.maximum(terms, 0))


def entropy_categorical(p, *, from_logits=False):
    r"""Entropy of a distribution over k classes, :math:`-\sum_k p_k \log p_k`.

    Parameters
    ----------
    p : array-like of shape (..., k)
        Probabilities, or with `from_logits` their logarithms up to a constant.
    from_logits : bool, default=False

    Returns
    -------
    entropy : float or ndarray of shape (...)
        In nats.

    Raises
    ------
    ValueError
        If entries are no probabilities or do not sum to one.

    References
    ----------
    T. Cover and J. Thomas, "Elements of Information Theory", 2006, eq. 2.1.

    Examples
    --------
    >>> from sklvm.divergence import entropy_categorical
    >>> round(entropy_categorical([0.5, 0.5]), 4)
    0.6931
    """
    p, log_p = check_categorical("p", p, from_logits)
    terms = -_weighted(p, log_p, np.zeros_like(p)) if from_logits else entr(p)
    return _plain(terms.sum(axis=-1))


def entropy_bernoulli(p, *, from_logits=False):
    r"""Entropy of Bernoulli distributions, entry by entry.

    .. math:: -p \log p - (1 - p) \log(1 - p)

    Parameters
    ----------
    p : array-like of shape (...)
        Probabilities of one, or with `from_logits` log(p / (1 - p)).
    from_logits : bool, default=False

    Returns
    -------
    entropy : float or ndarray of shape (...)
        In nats.

    Raises
    ------
    ValueError
        If entries are no probabilities.

    References
    ----------
    T. Cover and J. Thomas, "Elements of Information Theory", 2006, eq. 2.5.

    Examples
    --------
    >>> from sklvm.divergence import entropy_bernoulli
    >>> entropy_bernoulli([0.5, 1.0]).round(4).tolist()
    [0.6931, 0.0]
    """
    a = check_bernoulli("p", p, from_logits)
    if not from_logits:
        return _plain(entr(a) + entr(1 - a))
    zero = np.zeros_like(a)
    one = _weighted(expit(a), log_expit(a), zero)
    return _plain(-one - _weighted(expit(-a), log_expit(-a), zero))


# Parts --------------------------------------------------------------------------------


def _plain(values):
    """A float where there is no batch."""
    return float(values) if np.ndim(values) == 0 else values


def _weighted(p, log_p, log_q):
    """p (log p - log q), 0 where p is 0."""
    possible = p > 0
    log_ratio = np.subtract(
        log_p, log_q, where=possible, out=np.zeros(np.broadcast(log_p, log_q).shape)
    )
    return p * log_ratio


def _half_log_det(factor):
    """log det of a Cholesky factor, half that of the covariance."""
    return np.log(np.diagonal(factor, axis1=-2, axis2=-1)).sum(-1)
