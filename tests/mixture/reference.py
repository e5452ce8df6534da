"""The mathematics written the slow way, row by row, to hold the package against it."""

import numpy as np
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

# Bernoulli: p(x | k) = prod_d theta_kd^x_d (1 - theta_kd)^(1 - x_d), NaN left out.


def bernoulli_log_joint(X, weights, theta):
    """log pi_k + log p(x_n | k), shape (n, K)."""
    with np.errstate(divide="ignore"):
        ones, zeros, prior = np.log(theta), np.log1p(-theta), np.log(weights)
    terms = np.where(X[:, None] == 1, ones, zeros)
    return np.where(np.isnan(X)[:, None], 0.0, terms).sum(axis=2) + prior


def bernoulli_em(X, weights, theta, n_iter, sample_weight=None):
    """Textbook EM; returns weights, theta and F after each M-step."""
    sample_weight = np.ones(len(X)) if sample_weight is None else sample_weight
    seen, filled = ~np.isnan(X), np.nan_to_num(X)
    trace = []
    for _ in range(n_iter):
        resp = responsibilities(bernoulli_log_joint(X, weights, theta))
        resp = resp * sample_weight[:, None]
        theta = (resp.T @ filled) / (resp.T @ seen)
        weights = resp.sum(axis=0) / sample_weight.sum()
        log_prob = logsumexp(bernoulli_log_joint(X, weights, theta), axis=1)
        trace.append(np.average(log_prob, weights=sample_weight))
    return weights, theta, np.array(trace)


# Gaussians.


def full_covariances(est):
    """covariances_ of any covariance type as (K, D, D)."""
    n_components, n_features = est.means_.shape
    covariances, identity = est.covariances_, np.eye(n_features)
    return {
        "full": lambda: covariances,
        "tied": lambda: np.repeat(covariances[None], n_components, axis=0),
        "diag": lambda: covariances[:, :, None] * identity,
        "spherical": lambda: covariances[:, None, None] * identity,
    }[est.covariance_type]()


def gaussian_log_joint(X, weights, means, covariances):
    """log pi_k + log N(x_obs; mu_obs, Sigma_obs,obs), shape (n, K)."""
    out = np.tile(np.log(weights), (len(X), 1))
    for n, x in enumerate(X):
        seen = ~np.isnan(x)
        if not seen.any():
            continue
        for k, (mean, covariance) in enumerate(zip(means, covariances, strict=True)):
            normal = multivariate_normal(mean[seen], covariance[np.ix_(seen, seen)])
            out[n, k] += normal.logpdf(x[seen])
    return out


def conditional_moments(x, mean, covariance):
    """E[x | x_obs] and Cov[x | x_obs] of one Gaussian."""
    seen = ~np.isnan(x)
    filled, spread = np.where(seen, x, mean), np.zeros_like(covariance)
    missing = np.ix_(~seen, ~seen)
    gain = np.linalg.solve(
        covariance[np.ix_(seen, seen)], covariance[np.ix_(seen, ~seen)]
    ).T
    filled[~seen] += gain @ (x[seen] - mean[seen])
    spread[missing] = covariance[missing] - gain @ covariance[np.ix_(seen, ~seen)]
    return filled, spread


def gaussian_em(X, weights, means, covariances, n_iter, kind):
    """EM with values missing at random.

    Full and tied covariances take conditional moments of the missing values; for
    diagonal and spherical ones a missing coordinate drops out of the sums.
    """
    for _ in range(n_iter):
        resp = responsibilities(gaussian_log_joint(X, weights, means, covariances))
        weights = resp.mean(axis=0)
        m_step = _moments_m_step if kind in ("full", "tied") else _masked_m_step
        means, covariances = m_step(X, resp, means, covariances, kind)
    return weights, means, covariances


def _moments_m_step(X, resp, means, covariances, kind):
    new_means, scatters = [], []
    for r, mean, covariance in zip(resp.T, means, covariances, strict=True):
        moments = [conditional_moments(x, mean, covariance) for x in X]
        filled = np.array([first for first, _ in moments])
        spread = np.array([second for _, second in moments])
        new_mean = r @ filled / r.sum()
        centred = filled - new_mean
        new_means.append(new_mean)
        scatters.append((r * centred.T) @ centred + np.tensordot(r, spread, 1))
    scatters = np.array(scatters)
    if kind == "tied":
        tied = scatters.sum(axis=0) / len(X)
        return np.array(new_means), np.array([tied] * len(scatters))
    return np.array(new_means), scatters / resp.sum(axis=0)[:, None, None]


def _masked_m_step(X, resp, means, covariances, kind):
    seen, filled = ~np.isnan(X), np.nan_to_num(X)
    mass = resp.T @ seen
    means = resp.T @ filled / mass
    squares = np.where(seen[:, None], (filled[:, None] - means) ** 2, 0.0)
    variances = np.einsum("nk,nkd->kd", resp, squares)
    if kind == "spherical":
        ratio = variances.sum(axis=1) / mass.sum(axis=1)
        variances = np.repeat(ratio[:, None], X.shape[1], axis=1)
    else:
        variances = variances / mass
    return means, variances[:, :, None] * np.eye(X.shape[1])


def responsibilities(log_joint):
    return np.exp(log_joint - logsumexp(log_joint, axis=1, keepdims=True))


def entropy(resp):
    """Sum over rows of the entropy of the responsibilities, 0 log 0 = 0."""
    return -np.sum(resp * np.log(np.where(resp > 0, resp, 1.0)), axis=1)
