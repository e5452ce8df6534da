"""The mathematics written the slow way, row by row, to hold the package against it."""

import numpy as np
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, poisson

# Beyond the digits of a float64, in which np.pi itself is rounded.
PI = np.longdouble("3.14159265358979323846264338327950288")

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


# Categories: p(x | k) = prod_d theta_d[k, x_d], NaN left out; an array an item.


def categorical_log_joint(X, weights, theta):
    """log pi_k + log p(x_n | k), shape (n, K)."""
    with np.errstate(divide="ignore"):
        log_joint = np.tile(np.log(weights), (len(X), 1))
        log_theta = [np.log(item) for item in theta]
    for n, x in enumerate(X):
        for item, code in zip(log_theta, x, strict=True):
            if not np.isnan(code):
                log_joint[n] += item[:, int(code)]
    return log_joint


def categorical_em(X, weights, theta, n_iter, sample_weight=None, prior=1.0):
    """Textbook EM under a Dirichlet prior; weights, theta and F after each M-step."""
    sample_weight = np.ones(len(X)) if sample_weight is None else sample_weight
    trace = []
    for _ in range(n_iter):
        resp = responsibilities(categorical_log_joint(X, weights, theta))
        resp = resp * sample_weight[:, None]
        theta = [
            categorical_m_step(X[:, d], resp, item.shape[1], prior)
            for d, item in enumerate(theta)
        ]
        weights = resp.sum(axis=0) / sample_weight.sum()
        log_prob = logsumexp(categorical_log_joint(X, weights, theta), axis=1)
        trace.append(np.average(log_prob, weights=sample_weight))
    return weights, theta, np.array(trace)


def categorical_m_step(codes, resp, n_categories, prior=1.0):
    """How often each component gives each answer to one item, (K, L)."""
    mass = [resp[codes == code].sum(axis=0) for code in range(n_categories)]
    mass = np.transpose(mass) + (prior - 1)
    return mass / mass.sum(axis=1, keepdims=True)


# Counts: p(x | k) = prod_d Poisson(x_d; rate_kd), NaN left out.


def poisson_log_joint(X, weights, rates):
    """log pi_k + log p(x_n | k), shape (n, K)."""
    observed = ~np.isnan(X)[:, None]
    terms = poisson.logpmf(np.nan_to_num(X)[:, None], rates)
    return np.where(observed, terms, 0.0).sum(axis=2) + np.log(weights)


def poisson_em(X, weights, rates, n_iter, sample_weight=None, prior=(1.0, 0.0)):
    """Textbook EM under a Gamma prior; weights, rates and F after each M-step."""
    sample_weight = np.ones(len(X)) if sample_weight is None else sample_weight
    observed, filled = ~np.isnan(X), np.nan_to_num(X)
    shape, rate = prior
    trace = []
    for _ in range(n_iter):
        resp = responsibilities(poisson_log_joint(X, weights, rates))
        resp = resp * sample_weight[:, None]
        rates = (resp.T @ filled + shape - 1) / (resp.T @ observed + rate)
        weights = resp.sum(axis=0) / sample_weight.sum()
        log_prob = logsumexp(poisson_log_joint(X, weights, rates), axis=1)
        trace.append(np.average(log_prob, weights=sample_weight))
    return weights, rates, np.array(trace)


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


def precise_log_density(X, weights, means, factors):
    """log p(x) with four digits more than float64, summed one row at a time.

    `factors`: upper triangular U_k with U_k U_k^T the precision, (K, D, D); or the
    inverse standard deviations, (K, D), and then a NaN in X drops out.
    """
    X, weights, means, factors = (
        np.asarray(a, dtype=np.longdouble) for a in (X, weights, means, factors)
    )
    log_joint = np.empty((len(X), len(weights)), dtype=np.longdouble)
    for k, (mean, factor) in enumerate(zip(means, factors, strict=True)):
        centred = X - mean
        if factor.ndim == 1:
            y, scale = centred * factor, np.broadcast_to(factor, X.shape)
        else:
            y = np.stack([(centred * column).sum(axis=1) for column in factor.T], 1)
            scale = np.broadcast_to(np.diag(factor), X.shape)
        terms = np.log(scale) - y**2 / 2 - np.log(2 * PI) / 2
        log_joint[:, k] = np.where(np.isnan(X), 0, terms).sum(axis=1)
    log_joint += np.log(weights)
    top = log_joint.max(axis=1, keepdims=True)
    return top[:, 0] + np.log(np.exp(log_joint - top).sum(axis=1))


def precise_factors(est):
    """The factors of `precise_log_density` of any covariance type."""
    n_components, n_features = est.means_.shape
    factors = np.asarray(est.precisions_cholesky_)
    if est.covariance_type == "tied":
        return np.repeat(factors[None], n_components, axis=0)
    if est.covariance_type == "spherical":
        return np.repeat(factors[:, None], n_features, axis=1)
    return factors


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
