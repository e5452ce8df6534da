"""Real features: Gaussian, and log-normal through their logarithms."""

import math
from numbers import Real

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from sklvm._base import largest_magnitude, warn_user
from sklvm.autoencoder._distributions import LOG_2PI, bounded
from sklvm.autoencoder.likelihoods._base import (
    Likelihood,
    check_squares,
    column_moments,
    normal_like,
    scalar,
    sum_observed,
    vector,
)
from sklvm.neural._values import LARGE_VALUE, unscaled

CLOSED = ("optimal", "learned")
# Smallest noise, as a share of the standard deviation of the training data: without a
# floor a decoder that fits some rows exactly has a bound without limit.
NOISE_FLOOR = 1e-3
# The held-out rows of early stopping are scored with a running sigma, as in BatchNorm.
MOMENTUM = 0.1


def _log_normal(x, mean, variance):
    return -((x - mean).square() / variance + variance.log() + LOG_2PI) / 2


def warn_of_scale(X, name):
    largest = largest_magnitude(X)
    if largest > LARGE_VALUE:
        warn_user(
            f"{name} has values up to {largest:g} and networks learn from values of "
            f"order one; scale {name} (StandardScaler)."
        )


def check_noise(noise, names):
    """Raise if `noise` is neither a positive number nor one of the names."""
    if isinstance(noise, str):
        is_right = noise in names
    else:
        is_number = isinstance(noise, Real) and not isinstance(noise, bool)
        is_right = is_number and 1e-15 <= noise <= 1e15
    if not is_right:
        raise ValueError(
            f"noise={noise!r} must be a number from 1e-15 to 1e15, or one of "
            f"{', '.join(map(repr, names))}."
        )


class _Real(Likelihood):
    """What the Gaussians share; a subclass has `moments(outputs)`."""

    def check(self, X):
        check_squares(X, self.data_name)

    def warn(self, X):
        warn_of_scale(X, self.data_name)

    def why_diverged(self, X):
        return unscaled(X, self.data_name)

    def log_prob(self, x, outputs):
        return _log_normal(x, *self.moments(outputs))

    def mean(self, outputs):
        return self.moments(outputs)[0]

    def sample(self, outputs, generator):
        mean, variance = self.moments(outputs)
        return mean + variance.sqrt() * normal_like(mean, generator)


class Gaussian(_Real):
    """x_d ~ N(mu_d, sigma^2) with one sigma; the outputs are the means.

    Parameters
    ----------
    noise : float, "optimal" or "learned", default="optimal"
        A number is sigma itself. "optimal" sets sigma^2 to the mean squared error in
        closed form: of the batch in training, of all training rows afterwards
        (`set_noise`). "learned" makes log sigma a parameter.
    by_column : bool, default=False
        Whether each feature has a sigma of its own.
    """

    def __init__(self, noise="optimal", by_column=False):
        super().__init__()
        check_noise(noise, CLOSED)
        self.noise = noise
        self.by_column = by_column
        fixed = 1.0 if isinstance(noise, str) else float(noise) ** 2
        self.register_buffer("_variance", scalar(fixed))
        self.register_buffer("_floor", scalar(0.0))
        if noise == "learned":
            self.log_noise = nn.Parameter(scalar(0.0))

    def start(self, X):
        mean, variance = column_moments(X)
        if isinstance(self.noise, str):
            scale = np.sqrt(variance if self.by_column else variance.mean())
            floor = np.where(scale > 0, NOISE_FLOOR * scale, NOISE_FLOOR) ** 2
            self._floor = vector(floor)
            self._variance = vector(np.maximum(scale**2, floor))
        if self.noise == "learned":
            self.log_noise = nn.Parameter(self._variance.log() / 2)
        return torch.from_numpy(mean)

    def set_variance(self, variance):
        """Fix sigma^2 at a number, or at one a feature."""
        self._variance = vector(variance)

    def variance(self):
        """sigma^2, as it is known now; one a feature where they are by column."""
        if self.noise == "learned":
            return self._floor + (2 * self.log_noise).exp()
        return self._variance

    def moments(self, outputs):
        """Mean and variance of each x_d."""
        return outputs, self.variance()

    def noise_level(self):
        return None if self.by_column else float(self.variance().detach().sqrt())

    def n_errors(self, n_features):
        if self.noise != "optimal":
            return 0
        return 2 * (n_features if self.by_column else 1)

    def errors(self, x, outputs, observed):
        """Squared errors, and the number of entries; by column for each of them."""
        if self.noise != "optimal":
            return super().errors(x, outputs, observed)
        observed = torch.ones_like(x) if observed is None else observed.to(x.dtype)
        squares = (x - outputs).square() * observed
        if self.by_column:
            return torch.cat([squares, observed], -1)
        return torch.stack([squares.sum(-1), observed.sum(-1)], -1)

    def set_noise(self, sums):
        squares, n_observed = np.split(np.asarray(sums), 2)
        variance = vector(squares / n_observed.clip(1)).to(self._variance.device)
        variance = torch.maximum(variance.view(self._variance.shape), self._floor)
        self._variance.copy_(variance)

    def log_conditional(self, x, outputs, observed=None):
        if self.by_column:
            return self._log_conditional_by_column(x, outputs, observed)
        if x.dim() < outputs.dim():
            x = x.expand_as(outputs)
        squares = F.mse_loss(outputs, x, reduction="none")
        if observed is None:
            n_observed = n_mean = x.shape[-1]
        else:
            squares = squares * observed
            n_observed = observed.sum(-1)
            n_mean = n_observed.float().mean().clamp(min=1)
        squares = squares.sum(-1)
        if not isinstance(self.noise, str):
            # Numbers cost the step of a small network 3 per cent less than tensors.
            constant = n_observed * (math.log(self.noise) + LOG_2PI / 2)
            return squares * (-0.5 / self.noise**2) - constant
        variance = self.variance()
        if self.training and self.noise == "optimal":
            variance = self._update_variance(squares.detach().mean() / n_mean)
        constant = (variance * (2 * math.pi)).log() * (n_observed / -2)
        return torch.addcmul(constant, squares, 1 / variance, value=-0.5)

    def _log_conditional_by_column(self, x, outputs, observed):
        if self.training and self.noise == "optimal":
            self._update_variance(self._batch_error(x, outputs.detach(), observed))
        return sum_observed(self.log_prob(x, outputs), observed)

    def _batch_error(self, x, outputs, observed):
        """Mean squared error of each feature; what it was where none is observed."""
        squares = (x - outputs).square()
        if observed is None:
            return squares.flatten(0, -2).mean(0)
        shown = observed.expand_as(squares).flatten(0, -2)
        total = (squares.flatten(0, -2) * shown).sum(0)
        n = shown.sum(0)
        return torch.where(n > 0, total / n.clamp(min=1), self._variance)

    def _update_variance(self, mean_squared_error):
        """sigma*^2 of a batch.

        The error comes detached: at sigma* the bound is stationary in sigma, so that
        the gradient through sigma* is zero.
        """
        variance = torch.maximum(mean_squared_error, self._floor)
        self._variance.lerp_(variance, MOMENTUM)
        return variance


class HeteroscedasticGaussian(_Real):
    """x_d ~ N(mu_d, sigma_d^2), both given by the decoder: means, then log sigma."""

    n_outputs = 2

    def __init__(self):
        super().__init__()
        self.register_buffer("_floor", scalar(0.0))

    def start(self, X):
        mean, variance = column_moments(X)
        scale = math.sqrt(variance.mean()) or 1.0
        self._floor.fill_((NOISE_FLOOR * scale) ** 2)
        # One scale for all: of a nearly constant feature the mean has to be found
        # before a small sigma can be afforded.
        log_noise = np.full(len(mean), math.log(scale))
        return torch.from_numpy(np.concatenate([mean, log_noise]))

    def moments(self, outputs):
        """Mean and variance of each x_d."""
        mean, log_noise = outputs.chunk(2, -1)
        return mean, self._floor + (2 * bounded(log_noise)).exp()


def make_gaussian(noise):
    """The Gaussian, one sigma for all features, that the parameter `noise` names."""
    if noise == "heteroscedastic":
        return HeteroscedasticGaussian()
    return Gaussian(noise)
