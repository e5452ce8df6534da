"""Closed forms and brute-force integrals that the VAE is held to, in float64."""

import math

import numpy as np
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from .models import linear

# Linear decoder, Gaussian noise of standard deviation sigma, N(0, I) prior.


def normal_log_prob(x, mean, log_sd):
    """Sum over the last axis of log N(x; mean, sd^2)."""
    z = (x - mean) / log_sd.exp()
    return (-0.5 * z.square() - log_sd - 0.5 * math.log(2 * math.pi)).sum(-1)


def linear_bound(X, encoder, decoder, sigma):
    """F of each row, exactly, for a diagonal q(z|x)."""
    mean, log_sd = encoder(X).chunk(2, -1)
    variance = (2 * log_sd).exp()
    squares = (X - decoder(mean)).square().sum(-1)
    squares = squares + variance @ decoder.weight.square().sum(0)
    log_lik = -0.5 * squares / sigma**2
    log_lik = log_lik - 0.5 * X.shape[1] * math.log(2 * math.pi * sigma**2)
    kl = 0.5 * (mean.square() + variance - 1 - 2 * log_sd).sum(-1)
    return log_lik - kl


def linear_posterior(X, decoder, sigma):
    """Mean (n, L) and covariance (L, L) of p(z|x)."""
    W, b = decoder.weight, decoder.bias
    M = W.T @ W + sigma**2 * torch.eye(W.shape[1], dtype=W.dtype)
    return torch.linalg.solve(M, W.T @ (X - b).T).T, sigma**2 * torch.linalg.inv(M)


def linear_cross_entropy(X, encoder, decoder, sigma):
    """-E_{p(z|x)}[log q(z|x)]: KL(p(z|x) || q(z|x)) up to the encoder's parameters."""
    mean, log_sd = encoder(X).chunk(2, -1)
    true_mean, true_cov = linear_posterior(X, decoder, sigma)
    squares = (true_mean - mean).square() + true_cov.diagonal()
    log_2pi = math.log(2 * math.pi)
    return (0.5 * squares / (2 * log_sd).exp() + log_sd + 0.5 * log_2pi).sum(-1)


def linear_evidence(X, W, b, sigma):
    """log p(x) of each row; NaN entries are integrated out."""
    cov = W @ W.T + sigma**2 * np.eye(len(W))
    return np.array([observed_evidence(x, b, cov) for x in X])


def observed_evidence(x, mean, cov):
    seen = ~np.isnan(x)
    if not seen.any():
        return 0.0
    return multivariate_normal(mean[seen], cov[np.ix_(seen, seen)]).logpdf(x[seen])


def linear_conditional(x, W, b, sigma):
    """x with every NaN replaced by E[x_missing | x_observed]."""
    cov = W @ W.T + sigma**2 * np.eye(len(W))
    seen = ~np.isnan(x)
    gain = np.linalg.solve(cov[np.ix_(seen, seen)], cov[np.ix_(seen, ~seen)]).T
    filled = x.copy()
    filled[~seen] = b[~seen] + gain @ (x[seen] - b[seen])
    return filled


def plain_iwae(X, encoder, decoder, sigma, noise):
    """log mean_k p(x, z_k) / q(z_k|x) for noise of shape (..., n, K, L)."""
    mean, log_sd = (part.unsqueeze(-2) for part in encoder(X).chunk(2, -1))
    z = mean + log_sd.exp() * noise
    zero = torch.zeros((), dtype=X.dtype)
    log_p = normal_log_prob(X.unsqueeze(-2), decoder(z), zero + math.log(sigma))
    log_w = log_p + normal_log_prob(z, zero, zero) - normal_log_prob(z, mean, log_sd)
    return torch.logsumexp(log_w, -1) - math.log(noise.shape[-2])


# Probabilistic PCA: the maximum of the likelihood of that model (Tipping and Bishop).


def ppca(X, latent_dim):
    """W (D, L), b (D,) and sigma of maximum likelihood."""
    values, vectors = np.linalg.eigh(np.cov(X.T, bias=True))
    variance = values[:-latent_dim].mean()
    W = vectors[:, -latent_dim:] * np.sqrt(values[-latent_dim:] - variance)
    return W, X.mean(axis=0), np.sqrt(variance)


def ppca_networks(W, b, sigma):
    """The decoder and the encoder that is its posterior: W's columns are orthogonal."""
    M = (W**2).sum(axis=0) + sigma**2
    weight = W.T / M[:, None]
    log_sd = np.log(sigma) - 0.5 * np.log(M)
    encoder = linear(
        np.vstack([weight, np.zeros_like(weight)]),
        np.concatenate([-weight @ b, log_sd]),
    )
    return encoder, linear(W, b)


# Any network with one or two latents: the sum over a grid.


def latent_grid(latent_dim, half_width=6.0, step=0.04):
    """Points (m, L) and the volume of their cells."""
    axis = np.arange(-half_width, half_width, step)
    mesh = np.meshgrid(*[axis] * latent_dim, indexing="ij")
    return np.stack([m.ravel() for m in mesh], axis=1), step**latent_dim


def grid_evidence(log_prob, z, volume):
    """log p(x) of each row from log p(x|z), shape (n, m), under the N(0, I) prior."""
    return logsumexp(log_prob + norm.logpdf(z).sum(axis=1), axis=1) + np.log(volume)


def gaussian_log_prob(X, means, sigma):
    """log N(x; mean, sigma^2 I) of every row under every mean, shape (n, m)."""
    return norm.logpdf(X[:, None], means[None], sigma).sum(axis=2)


def bernoulli_log_prob(X, theta):
    return X @ np.log(theta).T + (1 - X) @ np.log1p(-theta).T
