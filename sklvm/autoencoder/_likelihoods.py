r"""p(x|z): each family writes its log-probability once, constants included."""

import math
from abc import ABCMeta, abstractmethod

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.utils import gen_batches
from torch import nn

from sklvm._base import largest_magnitude
from sklvm.autoencoder._distributions import LOG_2PI, bounded

# Smallest noise, as a share of the standard deviation of the training data: without a
# floor a decoder that fits some rows exactly has a bound without limit.
NOISE_FLOOR = 1e-3
# The held-out rows of early stopping are scored with a running sigma, as in BatchNorm.
MOMENTUM = 0.1
# How far outside [0, 1] a value may be that was scaled into it.
ROUNDING = 1e-6
# The squares of larger values, summed over features, come near the end of float32.
MAX_VALUE = 1e15


class Likelihood(nn.Module, metaclass=ABCMeta):
    """Distribution of the features given the decoder's output; independent features.

    A family of your own is a subclass with the three methods below; pass an instance
    as `likelihood=`.

    Attributes
    ----------
    n_outputs : int, default=1
        Numbers that the decoder gives for each feature. `outputs` has shape
        (..., n_outputs * n_features), all features' first numbers before the second.

    Examples
    --------
    Counts:

    >>> import numpy as np
    >>> import torch
    >>> from sklvm import VAE
    >>> from sklvm.autoencoder import Likelihood
    >>> class Poisson(Likelihood):
    ...     def log_prob(self, x, outputs):
    ...         return x * outputs - outputs.exp() - torch.lgamma(x + 1)
    ...     def mean(self, outputs):
    ...         return outputs.exp()
    ...     def sample(self, outputs, generator):
    ...         return torch.poisson(outputs.exp(), generator=generator)
    >>> X = np.random.default_rng(0).poisson(3.0, size=(200, 4))
    >>> vae = VAE(likelihood=Poisson(), max_epochs=20, tol=1, random_state=0).fit(X)
    >>> vae.sample(2)[0].shape
    (2, 4)
    """

    n_outputs = 1
    # What messages call the data: X, or y where that is modelled.
    data_name = "X"

    @abstractmethod
    def log_prob(self, x, outputs):
        """log p(x_d|z) of each entry, in nats, of shape (..., n_features).

        Missing entries come as x = 0, where it must be finite; they are left out later.
        """

    @abstractmethod
    def mean(self, outputs):
        """E[x|z], of shape (..., n_features)."""

    @abstractmethod
    def sample(self, outputs, generator):
        """One x for each z, drawn from the generator."""

    # What most families can leave as it is ----------------------------------------

    def check(self, X):
        """Raise if the array X, NaN apart, has values that are impossible."""

    def start(self, X):
        """Outputs that fit X without any z, of shape (n_outputs * n_features,).

        They start the biases of the decoder's last layer; None leaves them at 0.
        """
        return None

    def log_conditional(self, x, outputs, observed=None):
        """log p(x|z), summed over the observed features; `observed` None means all."""
        return _sum_observed(self.log_prob(x, outputs), observed)


def _sum_observed(terms, observed):
    if observed is not None:
        terms = torch.where(observed, terms, 0.0)
    return terms.sum(-1)


class Bernoulli(Likelihood):
    """x_d ~ Bernoulli(theta_d); the outputs are the logits of theta.

    Grey values in [0, 1] are scored by the same cross-entropy, which is then not the
    logarithm of a probability.
    """

    def check(self, X):
        # fmin and fmax pass over NaN. A scaler's rounding is not held against X.
        low, high = np.fmin.reduce(X, axis=None), np.fmax.reduce(X, axis=None)
        if low < -ROUNDING or high > 1 + ROUNDING:
            outside = low if low < -ROUNDING else high
            raise ValueError(
                f"likelihood='bernoulli' needs values in [0, 1] and {self.data_name} "
                f"has {outside:g}; scale {self.data_name} (MinMaxScaler(clip=True)), "
                "or choose likelihood='gaussian'."
            )

    def start(self, X):
        theta, _ = column_moments(X)
        # A column that is constant in the sample is not certain.
        theta = theta.clip(1 / (len(X) + 2), 1 - 1 / (len(X) + 2))
        return torch.from_numpy(np.log(theta / (1 - theta)))

    def log_prob(self, x, outputs):
        return -self._cross_entropy(x, outputs)

    def log_conditional(self, x, outputs, observed=None):
        # The sign is changed after the sum: one pass over all entries less.
        return -_sum_observed(self._cross_entropy(x, outputs), observed)

    @staticmethod
    def _cross_entropy(x, outputs):
        return F.binary_cross_entropy_with_logits(
            outputs, x.expand_as(outputs), reduction="none"
        )

    def mean(self, outputs):
        return outputs.sigmoid()

    def sample(self, outputs, generator):
        return torch.bernoulli(outputs.sigmoid(), generator=generator)


class Gaussian(Likelihood):
    """x_d ~ N(mu_d, sigma^2) with one sigma; the outputs are the means.

    Parameters
    ----------
    noise : float, "optimal" or "learned"
        A number is sigma itself. "optimal" sets sigma^2 to the mean squared error in
        closed form: of the batch in training, of all training rows afterwards
        (`set_noise`). "learned" makes log sigma a parameter.
    """

    def __init__(self, noise):
        super().__init__()
        self.noise = noise
        fixed = 1.0 if isinstance(noise, str) else float(noise) ** 2
        self.register_buffer("_variance", _scalar(fixed))
        self.register_buffer("_floor", _scalar(0.0))
        if noise == "learned":
            self.log_noise = nn.Parameter(_scalar(0.0))

    def check(self, X):
        _check_squares(X, self.data_name)

    def start(self, X):
        mean, variance = column_moments(X)
        scale = math.sqrt(variance.mean())
        if isinstance(self.noise, str):
            self._floor.fill_((NOISE_FLOOR * scale) ** 2 or NOISE_FLOOR**2)
            self._variance.fill_(max(scale**2, float(self._floor)))
        if self.noise == "learned":
            nn.init.constant_(self.log_noise, math.log(self._variance) / 2)
        return torch.from_numpy(mean)

    def variance(self):
        """sigma^2, as it is known now."""
        if self.noise == "learned":
            return self._floor + (2 * self.log_noise).exp()
        return self._variance

    def set_noise(self, mean_squared_error):
        """Make "optimal" noise that of the whole training set."""
        self._variance.fill_(mean_squared_error).clamp_(min=self._floor)

    def log_conditional(self, x, outputs, observed=None):
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

    def _update_variance(self, mean_squared_error):
        """sigma*^2 of a batch.

        The error comes detached: at sigma* the bound is stationary in sigma, so that
        the gradient through sigma* is zero.
        """
        variance = torch.maximum(mean_squared_error, self._floor)
        self._variance.lerp_(variance, MOMENTUM)
        return variance

    def log_prob(self, x, outputs):
        return _log_normal(x, outputs, self.variance())

    def mean(self, outputs):
        return outputs

    def sample(self, outputs, generator):
        return outputs + self.variance().sqrt() * _normal_like(outputs, generator)


class HeteroscedasticGaussian(Likelihood):
    """x_d ~ N(mu_d, sigma_d^2), both given by the decoder: means, then log sigma."""

    n_outputs = 2

    def __init__(self):
        super().__init__()
        self.register_buffer("_floor", _scalar(0.0))

    def check(self, X):
        _check_squares(X, self.data_name)

    def start(self, X):
        mean, variance = column_moments(X)
        scale = math.sqrt(variance.mean()) or 1.0
        self._floor.fill_((NOISE_FLOOR * scale) ** 2)
        # One scale for all: of a nearly constant feature the mean has to be found
        # before a small sigma can be afforded.
        log_noise = np.full(len(mean), math.log(scale))
        return torch.from_numpy(np.concatenate([mean, log_noise]))

    def _split(self, outputs):
        mean, log_noise = outputs.chunk(2, -1)
        return mean, self._floor + (2 * bounded(log_noise)).exp()

    def log_prob(self, x, outputs):
        return _log_normal(x, *self._split(outputs))

    def mean(self, outputs):
        return self._split(outputs)[0]

    def sample(self, outputs, generator):
        mean, variance = self._split(outputs)
        return mean + variance.sqrt() * _normal_like(mean, generator)


class Categorical(Likelihood):
    """Columns of one-hot rows, a group for each categorical variable.

    The outputs are logits, normalised within each group.

    Parameters
    ----------
    n_classes : sequence of int
        Columns of each group.
    """

    def __init__(self, n_classes):
        super().__init__()
        self.n_classes = list(n_classes)

    def start(self, X):
        theta, _ = column_moments(X)
        # A class that is rare in the sample is not impossible.
        return torch.from_numpy(np.log(theta.clip(1 / (len(X) + 2))))

    def _map_groups(self, function, outputs):
        return torch.cat([function(g) for g in outputs.split(self.n_classes, -1)], -1)

    def log_prob(self, x, outputs):
        return x * self._map_groups(lambda group: group.log_softmax(-1), outputs)

    def mean(self, outputs):
        return self._map_groups(lambda group: group.softmax(-1), outputs)

    def sample(self, outputs, generator):
        def draw(group):
            theta = group.softmax(-1).flatten(0, -2)
            k = torch.multinomial(theta, 1, generator=generator)
            return torch.zeros_like(theta).scatter_(-1, k, 1.0).view_as(group)

        return self._map_groups(draw, outputs)


def _scalar(value):
    return torch.tensor(value, dtype=torch.float32)


def _log_normal(x, mean, variance):
    return -((x - mean).square() / variance + variance.log() + LOG_2PI) / 2


def _check_squares(X, name):
    largest = largest_magnitude(X)
    if largest > MAX_VALUE:
        raise ValueError(
            f"{name} has values up to {largest:g}, whose squares overflow float32; "
            f"scale {name} (StandardScaler)."
        )


def column_moments(X):
    """Means and variances of the columns, over what is observed."""
    n_observed = _column_sums(X, np.isfinite)
    mean = _column_sums(X, np.asarray) / n_observed
    return mean, _column_sums(X, lambda part: (part - mean) ** 2) / n_observed


def _column_sums(X, function):
    """Sums in float64, a part of the rows at a time, as X may be a memory map."""
    parts = (X[rows].astype(np.float64) for rows in gen_batches(len(X), 4096))
    return sum(np.nansum(function(part), axis=0) for part in parts)


def _normal_like(tensor, generator):
    return torch.empty_like(tensor).normal_(generator=generator)


def make_likelihood(likelihood, noise):
    """The family that the parameters `likelihood` and `noise` name."""
    if likelihood == "bernoulli":
        return Bernoulli()
    if noise == "heteroscedastic":
        return HeteroscedasticGaussian()
    return Gaussian(noise)
