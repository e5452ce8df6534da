"""Seven tables of numbers: real, generated like real ones, and of known density."""

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm, qmc
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_wine,
)

NOISE = 0.1  # deviation of the rows from their manifold
N_ROWS = 2000
N_POINTS = 2**16  # of the manifold, over which a density is averaged


def digits(seed):
    X = load_digits().data
    return _spread(X[:, X.std(axis=0) > 0], seed)


def wine(seed):
    return load_wine().data


def breast_cancer(seed):
    return load_breast_cancer().data


def diabetes(seed):
    X = load_diabetes(scaled=False).data
    return _spread(np.delete(X, 1, axis=1), seed)  # without sex


def _spread(X, seed):
    """Whole numbers, spread over their cells: a density of them has no limit."""
    return X + np.random.default_rng(seed).uniform(-0.5, 0.5, X.shape)


def california(seed):
    """Districts with skewed counts, regions, and rooms that follow income."""
    rng = np.random.default_rng(seed)
    n = 2 * N_ROWS
    region = rng.integers(3, size=n)
    center = np.array([[37.7, -122.3], [34.0, -118.2], [36.7, -119.8]])[region]
    latitude = center[:, 0] + 0.35 * rng.normal(size=n) * (1 + region)
    longitude = center[:, 1] - 0.9 * (latitude - center[:, 0])
    longitude += 0.3 * rng.normal(size=n)
    log_income = 1.2 + 0.45 * rng.normal(size=n)
    age = np.clip(28 + 12 * rng.normal(size=n) - 4 * log_income, 1, 52)
    age += rng.uniform(-0.5, 0.5, n)
    rooms = np.exp(1.1 + 0.35 * log_income + 0.22 * rng.normal(size=n))
    unusual = (rng.random(n) < 0.05) * rng.exponential(10, n)
    bedrooms = rooms * np.exp(-1.6 + 0.08 * rng.normal(size=n) + 0.04 * unusual)
    population = np.exp(7 + 0.7 * rng.normal(size=n) - 0.01 * age)
    occupancy = np.exp(1.05 + 0.25 * rng.normal(size=n) - 0.05 * log_income)
    log_price = 0.2 + 0.7 * log_income + 0.1 * (region == 0)
    log_price += 0.25 * rng.normal(size=n) - 0.04 * abs(latitude - 34)
    households = population / occupancy
    amounts = [np.exp(log_income), age, rooms, bedrooms, population, households]
    return np.column_stack([*amounts, latitude, longitude, np.exp(log_price)])


def spiral(seed):
    """A curve of one dimension in three."""
    rng = np.random.default_rng(seed)
    return _curve(rng.uniform(size=N_ROWS)) + NOISE * rng.normal(size=(N_ROWS, 3))


def _curve(u):
    t = 1 + 10 * u
    return np.column_stack([t / 4 * np.cos(t), t / 4 * np.sin(t), 0.3 * t])


def surface(seed):
    """A surface of two dimensions in five."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(N_ROWS, 2))
    return _surface(z) + NOISE * rng.normal(size=(N_ROWS, 5))


def _surface(z):
    a, b = z.T
    return np.column_stack([a, b, np.sin(2 * a), a * b / 2, np.cos(1.5 * b)])


TABLES = {
    "digits": digits,
    "wine": wine,
    "breast cancer": breast_cancer,
    "diabetes": diabetes,
    "california": california,
    "spiral": spiral,
    "surface": surface,
}


def log_density(name, X):
    """log p of rows of the two manifolds, by a sum over points; None for others."""
    if name == "spiral":
        points = _curve((np.arange(N_POINTS) + 0.5) / N_POINTS)
    elif name == "surface":
        points = _surface(norm.ppf(qmc.Sobol(2, rng=0).random(N_POINTS)))
    else:
        return None
    squares = np.array([((points - x) ** 2).sum(axis=1) for x in X])
    log_sum = logsumexp(-squares / (2 * NOISE**2), axis=1)
    return log_sum - np.log(N_POINTS) - X.shape[1] / 2 * np.log(2 * np.pi * NOISE**2)
