"""Real features: Gaussian, and log-normal through their logarithms."""

import math
from numbers import Real

import numpy as np
import torch
from torch import nn

from sklvm._warn import warn_user
from sklvm.autoencoder._distributions import LOG_2PI, bounded
from sklvm.autoencoder.likelihoods._base import (
    Likelihood,
    LinearPart,
    check_squares,
    column_moments,
    normal_like,
    scalar,
    vector,
)
from sklvm.autoencoder.likelihoods._scales import (
    UNIT_DENSITY,
    are_constant,
    check_floor,
    least_variances,
    warn_of_scale,
)
from sklvm.neural._ranks import joint_mean, joint_sums
from sklvm.neural._values import unscaled
from sklvm.state._classes import stateful

NOISES = ("optimal", "shared", "learned", "heteroscedastic")
# Whose sigma^2 is a mean squared error, the maximum of F in closed form.
CLOSED = ("optimal", "shared")
MIN_NOISE = 0.01
# The held-out rows of early stopping are scored with a running sigma, as in BatchNorm.
MOMENTUM = 0.1


def _log_normal(x, mean, variance):
    return -((x - mean).square() / variance + variance.log() + LOG_2PI) / 2


def check_noise(noise, names=NOISES):
    """Raise if `noise` is neither one of the names nor positive numbers."""
    if isinstance(noise, str):
        is_right = noise in names
    else:
        numbers = np.asarray(noise)
        is_right = numbers.dtype.kind in "iuf" and numbers.ndim <= 1
        is_right = is_right and bool(((numbers >= 1e-15) & (numbers <= 1e15)).all())
    if not is_right:
        raise ValueError(
            f"noise={noise!r} must be one of {', '.join(map(repr, names))}, or a number"
            " from 1e-15 to 1e15, or one such number for each column."
        )


def check_min_noise(min_noise):
    is_number = isinstance(min_noise, Real) and not isinstance(min_noise, bool)
    if not is_number or not 0 <= min_noise < np.inf:
        raise ValueError(
            f"min_noise={min_noise!r} must be a number of 0 or more: the least sigma, "
            "in standard deviations of the column."
        )


class _Real(Likelihood):
    """What the Gaussians share; a subclass has `moments(outputs)`."""

    is_real = True

    def check(self, X):
        check_squares(X, self.data_name)

    def warn(self, X):
        warn_of_scale(X, self.data_name)
        self._warn_of_constants(X)

    def _warn_of_constants(self, X):
        _, variance = column_moments(X)
        n_constant = int(are_constant(X, np.sqrt(variance)).sum())
        if n_constant:
            columns = f"{n_constant} constant columns"
            if n_constant == 1:
                columns = "a constant column"
            warn_user(
                f"{self.data_name} has {columns}, without a deviation to take sigma "
                "from: it is 0.4 in the column's own unit, the density of the constant "
                "1, so that scores are as without; leave such columns out "
                "(VarianceThreshold)."
            )

    def why_diverged(self, X):
        return unscaled(X, self.data_name)

    def linear_part(self, X):
        return LinearPart.of_all(X)

    def log_prob(self, x, outputs):
        return _log_normal(x, *self.moments(outputs))

    def mean(self, outputs):
        return self.moments(outputs)[0]

    def sample(self, outputs, generator):
        mean, variance = self.moments(outputs)
        return mean + variance.sqrt() * normal_like(mean, generator)


@stateful
class Gaussian(_Real):
    """x_d ~ N(mu_d, sigma_d^2), the same sigma_d for all rows; the outputs are the mu.

    Parameters
    ----------
    noise : {"optimal", "shared", "learned"}, float or array-like of shape \
            (n_features,), default="optimal"
        "optimal" sets each sigma_d^2 to the mean squared error of its feature, in
        closed form: of the batch in training, of all training rows afterwards
        (`set_noise`). "shared" is one sigma for all features, by the mean over them.
        "learned" makes log sigma_d parameters. Numbers are the sigmas themselves.
    min_noise : float, default=0.01
        Least sigma_d that is found, in standard deviations of the feature. Of features
        whose values are rounded it is not below the deviation of rounding, either. A
        constant has sigma_d = 1 / sqrt(2 pi) in its own unit, the density 1, unless it
        has a number of its own.
    """

    def __init__(self, noise="optimal", min_noise=MIN_NOISE):
        super().__init__()
        check_noise(noise, NOISES[:-1])
        check_min_noise(min_noise)
        self.noise = noise if isinstance(noise, str) else "fixed"
        self.min_noise = min_noise
        fixed = 1.0 if isinstance(noise, str) else np.asarray(noise, np.float64) ** 2
        self.register_buffer("_variance", vector(fixed))
        self.register_buffer("_floor", scalar(0.0))
        if self.noise == "learned":
            self.log_noise = nn.Parameter(scalar(0.0))

    def check(self, X):
        super().check(X)
        n = self._variance.numel()
        if self.noise == "fixed" and n not in (1, X.shape[1]):
            raise ValueError(
                f"noise has {n} numbers and {self.data_name} has {X.shape[1]} columns; "
                "give one number, or one for each column."
            )

    def _warn_of_constants(self, X):
        if self._variance.numel() == 1 or self.noise != "fixed":
            super()._warn_of_constants(X)

    def start(self, X):
        mean, variance = column_moments(X)
        scale = np.sqrt(variance)
        if self._variance.numel() == 1 and self.noise in ("shared", "fixed"):
            self._set_apart(are_constant(X, scale))
        if self.noise != "fixed":
            floor = least_variances(X, scale, self.min_noise)
            check_floor(floor, self.data_name)
            if self.noise == "shared":
                varies = slice(None) if self._apart is None else ~self._apart.numpy()
                floor, variance = floor[varies].mean(), variance[varies].mean()
            self._floor = vector(floor)
            self._set(vector(np.maximum(variance, floor)))
        return torch.from_numpy(mean)

    def _set_apart(self, columns):
        """Let sigma be that of all columns but these constants."""
        # Of nothing but constants the floor is theirs.
        if columns.any() and (self.noise == "fixed" or not columns.all()):
            self.register_buffer("_constant", torch.from_numpy(columns))

    @property
    def _apart(self):
        """The columns that have not the one sigma of all others; None without any."""
        return self._buffers.get("_constant")

    def linear_part(self, X):
        part = super().linear_part(X)
        if self._apart is not None:
            part.shares = ~self._apart.numpy()
        return part

    def start_noise(self, variance, outputs):
        if self.noise != "fixed":
            noise = variance.mean() if self.noise == "shared" else variance
            self._set(torch.maximum(vector(noise), self._floor))
        now = self.variance().detach().numpy().astype(np.float64)
        return np.broadcast_to(now, len(variance))

    def _set(self, variance):
        self._variance = variance
        if self.noise == "learned":
            # Of what is at the floor sigma can still grow.
            above = torch.maximum(variance - self._floor, self._floor / 100)
            self.log_noise = nn.Parameter(above.log() / 2)

    def set_variance(self, variance):
        """Fix sigma^2 at a number, or at one per feature."""
        self._variance = vector(variance)

    def variance(self):
        """sigma^2, as it is known now: one per feature, or one for all."""
        if self.noise == "learned":
            return self._floor + (2 * self.log_noise).exp()
        return self._by_column(self._variance)

    def _by_column(self, variance):
        if self._apart is None:
            return variance
        return torch.where(self._apart, UNIT_DENSITY, variance)

    def moments(self, outputs):
        """Mean and variance of each x_d."""
        return outputs, self.variance()

    def noise_level(self):
        sigma = self.variance().detach().sqrt().cpu().numpy()
        return sigma.copy() if sigma.ndim else float(sigma)

    def n_errors(self, n_features):
        if self.noise not in CLOSED:
            return 0
        return 2 if self.noise == "shared" else 2 * n_features

    def errors(self, x, outputs, observed):
        """Squared errors, and the number of entries; of each feature or of all."""
        if self.noise not in CLOSED:
            return super().errors(x, outputs, observed)
        squares = (x - outputs).square()
        observed = torch.ones_like(squares) if observed is None else observed
        observed = observed.expand_as(squares).to(x.dtype)
        if self._apart is not None:
            observed = observed * ~self._apart
        squares = squares * observed
        if self.noise == "shared":
            return torch.stack([squares.sum(-1), observed.sum(-1)], -1)
        return torch.cat([squares, observed], -1)

    def set_noise(self, sums):
        squares, n_observed = np.split(np.asarray(sums), 2)
        # Of a feature that no row shows the noise stays.
        shown = torch.from_numpy(n_observed > 0).to(self._variance.device)
        variance = vector(squares / np.where(n_observed > 0, n_observed, 1))
        variance = torch.maximum(variance.to(self._variance.device), self._floor)
        shape = self._variance.shape
        self._variance.copy_(
            torch.where(shown.view(shape), variance.view(shape), self._variance)
        )

    def closed_noise(self):
        """sigma^2 as `set_noise` has set it."""
        return self._variance.clone()

    def raise_noise(self, variance):
        """Make that no less than `variance`."""
        self._variance.copy_(torch.maximum(self._variance, variance))

    def adapt(self, x, outputs, observed, weights):
        """Move the running sigma^2 to that of a batch whose draws have weights."""
        if self.noise in CLOSED:
            errors = self.errors(x, outputs, observed) * weights.unsqueeze(-1)
            (sums,) = joint_sums(errors.flatten(0, -2).sum(0))
            squares, n_observed = sums.chunk(2)
            shape = self._variance.shape
            self._move(squares.view(shape), n_observed.view(shape))

    def log_conditional(self, x, outputs, observed=None):
        squares = (x - outputs).square()
        if observed is not None:
            squares = squares * observed
        variance = self.variance()
        if self.noise in CLOSED and self.training and not self.draws_differ:
            variance = self._batch_variance(squares.detach(), observed)
            variance = self._by_column(variance)
        log_scale = (variance.log() + LOG_2PI) / -2
        if variance.dim():
            # Products of a matrix and a vector: no other table as large as x.
            distances = squares @ (-0.5 / variance)
            if observed is None:
                return distances + log_scale.sum()
            return distances + observed.to(squares.dtype) @ log_scale
        n_observed = x.shape[-1] if observed is None else observed.sum(-1)
        return squares.sum(-1) * (-0.5 / variance) + log_scale * n_observed

    def _batch_variance(self, squares, observed):
        """sigma*^2 of a batch, whose squares are 0 where nothing is observed.

        The error comes detached: at sigma* the bound is stationary in sigma, so that
        the gradient through sigma* is zero.
        """
        squares = squares.flatten(0, -2)
        if self._apart is not None:
            squares = squares[:, ~self._apart]
            observed = None if observed is None else observed[:, ~self._apart]
        if observed is None:
            squares = joint_mean(squares.mean(0), len(squares))
            if self.noise == "shared":
                squares = squares.mean()
            return self._move(squares, None)
        # Each row is there once a draw.
        n_observed = observed.sum(0).to(squares) * (len(squares) / len(observed))
        squares, n_observed = joint_sums(squares.sum(0), n_observed)
        if self.noise == "shared":
            squares, n_observed = squares.sum(), n_observed.sum()
        return self._move(squares, n_observed)

    def _move(self, squares, n_observed):
        """sigma*^2 of a batch, to which the running sigma^2 takes a step."""
        if n_observed is not None:
            mean = squares / n_observed.clamp(min=1e-30)
            squares = torch.where(n_observed > 0, mean, self._variance)
        variance = torch.maximum(squares, self._floor)
        self._variance.lerp_(variance, MOMENTUM)
        return variance


@stateful
class HeteroscedasticGaussian(_Real):
    """x_d ~ N(mu_d, sigma_d^2), both given by the decoder: means, then log sigma.

    sigma_d^2 is exp(2 log sigma) and the floor together.

    Parameters
    ----------
    min_noise : float, default=0.01
        Least sigma_d, in standard deviations of the feature; of a constant
        1 / sqrt(2 pi) in its own unit.
    """

    n_outputs = 2

    def __init__(self, min_noise=MIN_NOISE):
        super().__init__()
        check_min_noise(min_noise)
        self.min_noise = min_noise
        self.register_buffer("_floor", scalar(0.0))

    def start(self, X):
        mean, variance = column_moments(X)
        scale = np.sqrt(variance)
        floor = least_variances(X, scale, self.min_noise)
        check_floor(floor, self.data_name)
        self._floor = vector(floor)
        # One scale for all: of a nearly constant feature the mean has to be found
        # before a small sigma can be afforded.
        log_noise = np.full(len(mean), math.log(math.sqrt(variance.mean()) or 1.0))
        log_noise[are_constant(X, scale)] = math.log(UNIT_DENSITY / 100) / 2
        return torch.from_numpy(np.concatenate([mean, log_noise]))

    def start_noise(self, variance, outputs):
        floor = self._floor.numpy().astype(np.float64)
        # What is at the floor can still grow.
        above = np.maximum(variance - floor, floor / 100)
        outputs[len(variance) :] = torch.from_numpy(np.log(above) / 2)
        return floor + above

    def moments(self, outputs):
        """Mean and variance of each x_d."""
        mean, log_noise = outputs.chunk(2, -1)
        return mean, self._floor + (2 * bounded(log_noise)).exp()


def make_gaussian(noise, min_noise):
    """The Gaussian that the parameter `noise` names."""
    if isinstance(noise, str) and noise == "heteroscedastic":
        return HeteroscedasticGaussian(min_noise)
    return Gaussian(noise, min_noise)
