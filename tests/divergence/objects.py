"""Distributions of every origin, and what should stay as it is while they are used."""

import math

import numpy as np
import torch
from scipy import integrate, stats
from sklearn.mixture import GaussianMixture
from sklearn.utils import check_random_state
from torch.distributions import (
    Categorical,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

from sklvm import GaussianMixtureEM

MEAN0, COV0 = np.array([0.3, -0.5]), np.array([[1.0, 0.4], [0.4, 0.8]])
MEAN1, COV1 = np.array([0.0, 0.2]), np.array([[1.5, -0.2], [-0.2, 1.1]])


def float64(values):
    return torch.as_tensor(np.asarray(values), dtype=torch.float64)


def global_states():
    """Of the generators that belong to the user."""
    return check_random_state(None).get_state()[1].tobytes(), torch.get_rng_state()


def same_states(one, two):
    return one[0] == two[0] and torch.equal(one[1], two[1])


def mixture(weights, means, sds):
    """A mixture of normals on the line."""
    return MixtureSameFamily(
        Categorical(float64(weights)), Normal(float64(means), float64(sds))
    )


def mixture_of_planes(weights, means, covariances):
    return MixtureSameFamily(
        Categorical(float64(weights)),
        MultivariateNormal(float64(means), float64(covariances)),
    )


def log_density(weights, means, sds):
    """The same mixture on the line, written out: a function of one number."""
    parts = [
        (math.log(weight / sd) - 0.5 * math.log(2 * math.pi), mean, sd)
        for weight, mean, sd in zip(weights, means, sds, strict=True)
    ]

    def log_p(x):
        terms = [log_w - 0.5 * ((x - mean) / sd) ** 2 for log_w, mean, sd in parts]
        largest = max(terms)
        return largest + math.log(sum(math.exp(t - largest) for t in terms))

    return log_p


def integral(f, low, high, points=()):
    value, _ = integrate.quad(
        f, low, high, points=list(points) or None, epsabs=1e-13, epsrel=1e-12, limit=500
    )
    return value


def kl_integral(log_p, log_q, low, high, points=()):
    """KL(p || q) of two log densities of one number."""

    def integrand(x):
        log_density = log_p(x)
        return math.exp(log_density) * (log_density - log_q(x))

    return integral(integrand, low, high, points)


class Scaled:
    """A density of the user's own, in NumPy, with nothing but the two methods."""

    def __init__(self, mean, sd, seed=0):
        self.mean, self.sd = np.asarray(mean, dtype=float), sd
        self.rng = np.random.default_rng(seed)

    def log_prob(self, x):
        return stats.norm.logpdf(np.asarray(x), self.mean, self.sd).sum(axis=-1)

    def sample(self, n):
        noise = self.rng.normal(size=(int(np.prod(n)), len(self.mean)))
        return self.mean + self.sd * noise


def in_the_plane():
    rows = np.random.default_rng(1).multivariate_normal(MEAN0, COV0, size=500)
    fitted = GaussianMixtureEM(reg_covar=0).fit(rows)
    peer = GaussianMixture(means_init=[MEAN0], precisions_init=[np.linalg.inv(COV0)])
    peer.fit(rows)
    return {
        "torch": (MultivariateNormal(float64(MEAN0), float64(COV0)), MEAN0, COV0),
        "scipy": (stats.multivariate_normal(MEAN0, COV0), MEAN0, COV0),
        "sklvm": (fitted, fitted.means_[0], fitted.covariances_[0]),
        "sklearn": (peer, peer.means_[0], peer.covariances_[0]),
        "user": (Scaled(MEAN0, 0.7), MEAN0, 0.49 * np.eye(2)),
    }


def within(estimate, exact, sigmas=5):
    """Whether a Monte Carlo estimate is near, and says honestly how near."""
    assert 0 < estimate.standard_error < 0.2 * max(1, abs(exact))
    return abs(estimate.divergence - exact) < sigmas * estimate.standard_error
