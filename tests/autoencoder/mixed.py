"""A table with columns of every kind, and the integral over z that answers for it."""

import copy

import numpy as np
import pandas as pd
import torch
from scipy.special import expit, log_softmax, logsumexp, softmax
from scipy.stats import bernoulli, lognorm, nbinom, norm, poisson

from sklvm.autoencoder.likelihoods import (
    Bernoulli,
    Categorical,
    NegativeBinomial,
    Poisson,
)

KINDS = [
    ("gaussian", ["year"]),
    ("poisson", ["visits"]),
    ("bernoulli", ["smokes"]),
    ("categorical", ["plan"]),
    ("lognormal", ["income"]),
    ("negative_binomial", ["clicks"]),
]
PARAMS = {
    "latent_dim": 1,
    "likelihood": KINDS,
    "hidden_layer_sizes": (16,),
    "max_epochs": 40,
    "lr": 0.01,
    "tol": np.inf,
    "random_state": 0,
}


def mixed_table(n_samples, seed=0):
    """Columns of six kinds, all of which know one latent."""
    rng = np.random.default_rng(seed)
    t = rng.normal(size=n_samples)
    side = np.digitize(t + 0.5 * rng.normal(size=n_samples), [-0.6, 0.6])
    frame = {
        "year": 2000 + 3 * np.sin(1.5 * t) + 0.5 * rng.normal(size=n_samples),
        "visits": rng.poisson(np.exp(1 + 0.6 * t)),
        "smokes": rng.random(n_samples) < expit(2 * t),
        "plan": np.array(["basic", "free", "gold"])[side],
        "income": np.exp(8 + 0.7 * t + 0.3 * rng.normal(size=n_samples)),
        "clicks": rng.negative_binomial(2, 2 / (2 + np.exp(2 - 0.7 * t))),
    }
    return pd.DataFrame(frame)


def with_gaps(X, rate, seed=0):
    """X without a share of its cells; bool and int columns become nullable."""
    hidden = np.random.default_rng(seed).random(X.shape) < rate
    return X.convert_dtypes().mask(hidden)


class Codes:
    """The distribution of codes with the logits along the last axis."""

    def __init__(self, logits):
        self.theta = softmax(logits, axis=-1)
        self.log_theta = log_softmax(logits, axis=-1)

    def logpmf(self, x):
        is_code = np.asarray(x)[..., np.newaxis] == np.arange(self.theta.shape[-1])
        return np.where(is_code, self.log_theta, 0.0).sum(axis=-1)


def to_numpy(tensor):
    return tensor.detach().cpu().double().numpy()


def distributions(rows, likelihood, outputs):
    """scipy's distribution of each column, in its own unit, for the decoder's outputs.

    `rows` is the reader of the table, which standardises its real columns.
    """
    by_column = [None] * len(rows.schema.columns)
    outputs = np.split(outputs, _ends(likelihood), axis=-1)
    for part, at, own in zip(
        likelihood.parts, likelihood.columns, outputs, strict=True
    ):
        if isinstance(part, Categorical):
            own = np.split(own, np.cumsum(part.n_categories)[:-1], axis=-1)
        else:
            own = np.moveaxis(own, -1, 0)
        for d, j in enumerate(at):
            by_column[j] = _distribution(part, d, own[d], rows.center[j], rows.scale[j])
    return by_column


def _ends(likelihood):
    sizes = zip(likelihood.parts, likelihood.columns, strict=True)
    return np.cumsum([part.width(len(at)) for part, at in sizes])[:-1]


def _distribution(part, d, outputs, center, scale):
    if isinstance(part, Categorical):
        return Codes(outputs)
    if isinstance(part, Bernoulli):
        return bernoulli(expit(outputs))
    if isinstance(part, NegativeBinomial):
        size, rate = to_numpy(part.size())[d], np.exp(outputs)
        return nbinom(size, size / (size + rate))
    if isinstance(part, Poisson):
        return poisson(np.exp(outputs))
    sd = scale * np.sqrt(to_numpy(part.inner.variance()))[d]
    location = center + scale * outputs
    if part.is_log:
        return lognorm(sd, scale=np.exp(location))
    return norm(location, sd)


def column_log_prob(features, values):
    """log p(x_j|z) of every row on the grid, (n_features, n_rows, n_grid); NaN is 1."""
    terms = []
    for p, x in zip(features, values.T, strict=True):
        log_prob = getattr(p, "logpmf", None) or p.logpdf
        known = np.where(np.isnan(x), 1.0, x)[:, np.newaxis]
        terms.append(np.where(np.isnan(x)[:, np.newaxis], 0.0, log_prob(known)))
    return np.stack(terms)


class Integral:
    """p(x) = int p(z) p(x|z) dz of a VAE or GMVAE with one latent, on a grid."""

    def __init__(self, vae):
        self.rows = vae._rows
        module = copy.deepcopy(vae.net_.module_).cpu().double()
        self.z = np.linspace(-8, 8, 1601)
        grid = torch.from_numpy(self.z[:, np.newaxis])
        with torch.no_grad():
            outputs = to_numpy(module.decode(grid))
        self.features = distributions(vae._rows, module.likelihood, outputs)
        log_prior = norm.logpdf(self.z)
        if hasattr(vae, "weights_"):
            components = norm(vae.means_[:, 0], np.sqrt(vae.covariances_[:, 0]))
            log_joint = components.logpdf(self.z[:, np.newaxis])
            log_prior = logsumexp(log_joint, axis=1, b=vae.weights_)
        self.log_prior = log_prior + np.log(self.z[1] - self.z[0])

    def values(self, X):
        return self.rows.schema.encode(X)

    def log_joint(self, values):
        """log p(x, z) of what is observed, (n_rows, n_grid)."""
        return column_log_prob(self.features, values).sum(axis=0) + self.log_prior

    def log_evidence(self, X):
        return logsumexp(self.log_joint(self.values(X)), axis=1)

    def log_evidence_of(self, X, columns):
        """The same of some columns only."""
        values = self.values(X)
        left_out = np.setdiff1d(np.arange(values.shape[1]), columns)
        values[:, left_out] = np.nan
        return logsumexp(self.log_joint(values), axis=1)

    def posterior(self, X):
        """p(z|x_observed) on the grid, (n_rows, n_grid)."""
        return softmax(self.log_joint(self.values(X)), axis=1)
