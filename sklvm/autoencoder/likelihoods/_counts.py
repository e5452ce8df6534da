r"""Counts: Poisson and negative binomial, in a form that float32 can carry.

With the saddle-point form of Loader (2000), for :math:`h(t) = e^t - 1 - t` and
:math:`t = \log(\lambda / x)`,

.. math::

    \log \mathrm{Poisson}(x; \lambda) = -x h(t) - \delta(x) - \tfrac{1}{2} \log(2 \pi x)

where :math:`\delta` is the error of Stirling's formula. Written as
:math:`x \log\lambda - \lambda - \log x!`, the terms of a count of 10^6 are of the size
10^7, of which float32 knows the first digit before the point.

C. Loader, "Fast and Accurate Computation of Binomial Probabilities", 2000.
"""

import math

import numpy as np
import torch
from torch import nn

from sklvm.autoencoder.likelihoods._base import (
    Likelihood,
    chunks,
    column_moments,
    dense_chunks,
    extremes,
    scalar,
    stored_values,
    vector,
)
from sklvm.state._classes import stateful

#: Larger counts have gaps in float32 of more than 32.
MAX_COUNT = 1e9
# Of the logarithm of a rate; e^21 is above MAX_COUNT.
LEAST_LOG_RATE, MAX_LOG_RATE = -20.0, 21.0
# Of the number of failures r: beyond, it is a Poisson distribution, or two points.
LEAST_SIZE, MAX_SIZE = 1e-3, 1e6
LOG_2PI = math.log(2 * math.pi)


def _excess(t):
    """h(t) = exp(t) - 1 - t, without cancellation near 0."""
    series = t * t * (0.5 + t * (1 / 6 + t * (1 / 24 + t / 120)))
    return torch.where(t.abs() < 0.1, series, torch.expm1(t) - t)


def _stirling_error(x):
    """delta(x) = log x! - log(sqrt(2 pi x) (x / e)^x), for x > 0."""
    large = x.clamp(min=8.0)
    square = 1 / (large * large)
    series = (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680))) / large
    small = x.clamp(max=8.0)
    exact = torch.lgamma(small + 1) - (small + 0.5) * small.log() + small
    return torch.where(x < 8.0, exact - LOG_2PI / 2, series)


class _PoissonLogProb(torch.autograd.Function):
    """log Poisson(x; exp(log_rate)), whose gradient is x - exp(log_rate)."""

    @staticmethod
    def forward(ctx, x, log_rate):
        rate = log_rate.exp()
        ctx.save_for_backward(x, rate)
        log_prob = -rate
        # Most counts are 0, and cost nothing more.
        at = (x > 0).expand_as(rate)
        x, log_rate = x.expand_as(rate)[at], log_rate[at]
        log_x = x.log()
        deviance = x * _excess(log_rate - log_x)
        log_prob[at] = -deviance - _stirling_error(x) - (LOG_2PI + log_x) / 2
        return log_prob

    @staticmethod
    def backward(ctx, gradient):
        x, rate = ctx.saved_tensors
        return None, gradient * (x - rate)


class _Counts(Likelihood):
    """What the two families share: checks, what the encoder reads, the rates."""

    def __init__(self):
        super().__init__()
        # Of log(1 + x).
        self.register_buffer("_center", scalar(0.0))
        self.register_buffer("_scale", scalar(1.0))

    def impossible(self, X):
        return (X < 0) | (X % 1 > 0)

    def check(self, X):
        name = self.data_name
        low, high = extremes(X)
        if low < 0 or high > MAX_COUNT:
            outside, remedy = (low, "no counts") if low < 0 else (high, "too large")
            raise ValueError(
                f"likelihood={self.kind!r} needs counts from 0 to {MAX_COUNT:g} and "
                f"{name} has {outside:g}, which is {remedy}; choose "
                "likelihood='gaussian' or 'lognormal' for what is no count."
            )
        for part in chunks(X):
            values = stored_values(part)
            broken = values[np.floor(values) != values]
            broken = broken[~np.isnan(broken)]
            if len(broken):
                raise ValueError(
                    f"likelihood={self.kind!r} needs counts and {name} has "
                    f"{broken[0]:g}; give the counts as they are, without a scaler, or "
                    "choose likelihood='gaussian'."
                )

    def why_diverged(self, X):
        return None

    def start(self, X):
        mean, variance = column_moments(X)
        self._start_inputs(X)
        # A count that is 0 throughout the sample is not impossible.
        mean = mean.clip(1 / (X.shape[0] + 2))
        self._start_size(mean, variance)
        return torch.from_numpy(np.log(mean))

    def _start_size(self, mean, variance):
        pass

    def _start_inputs(self, X):
        n, total, squares = 0, 0.0, 0.0
        for part in dense_chunks(X):
            logs = np.log1p(part)
            n = n + np.isfinite(logs).sum(axis=0)
            total = total + np.nansum(logs, axis=0)
            squares = squares + np.nansum(logs**2, axis=0)
        center = total / n
        scale = np.sqrt((squares / n - center**2).clip(0))
        self._center = vector(center)
        self._scale = vector(np.where(scale > 1e-6, scale, 1.0))

    def features(self, x, observed=None):
        v = (torch.log1p(x) - self._center) / self._scale
        return v if observed is None else torch.where(observed, v, 0.0)

    def numbers(self, X):
        return np.log1p(X)

    @staticmethod
    def _log_rate(outputs):
        return outputs.clamp(LEAST_LOG_RATE, MAX_LOG_RATE)

    def mean(self, outputs):
        return self._log_rate(outputs).exp()


def _log_ratio(a, b, excess):
    """log(a / b), where excess is a / b - 1 without cancellation."""
    near = torch.log1p(excess.clamp(min=-0.5))
    return torch.where(excess < -0.5, a.log() - b.log(), near)


def _log_nb(x, rate, r):
    """log NB(x; rate, r) of counts x > 0, in Loader's form."""
    n = x + r
    # x against its mean n rate / (r + rate), and r against n r / (r + rate).
    t_x = torch.log1p(r / x) - torch.log1p(r / rate)
    t_r = _log_ratio(n, r + rate, (x - rate) / (r + rate))
    deviance = x * _excess(t_x) + r * _excess(t_r)
    errors = _stirling_error(n) - _stirling_error(x) - _stirling_error(r)
    return errors + ((r / (n * x)).log() - LOG_2PI) / 2 - deviance


@stateful
class Poisson(_Counts):
    """x_d ~ Poisson(lambda_d), counts; the outputs are the logarithms of lambda.

    The encoder reads log(1 + x), standardised.
    """

    kind = "poisson"

    def log_prob(self, x, outputs):
        return _PoissonLogProb.apply(x, self._log_rate(outputs))

    def sample(self, outputs, generator):
        return torch.poisson(self.mean(outputs), generator=generator)


@stateful
class NegativeBinomial(_Counts):
    r"""x_d ~ NB(lambda_d, r_d), counts that vary more than Poisson's.

    The mean is lambda_d and the variance lambda_d + lambda_d^2 / r_d. The outputs are
    the logarithms of lambda; log r_d is a parameter, one per feature. The encoder reads
    log(1 + x), standardised.
    """

    kind = "negative_binomial"

    def __init__(self):
        super().__init__()
        self.log_size = nn.Parameter(scalar(0.0))

    def _start_size(self, mean, variance):
        excess = (variance - mean).clip(mean**2 / MAX_SIZE)
        size = (mean**2 / excess).clip(LEAST_SIZE, MAX_SIZE)
        self.log_size = nn.Parameter(vector(np.log(size)))

    def size(self):
        """r, one per feature."""
        return self.log_size.clamp(math.log(LEAST_SIZE), math.log(MAX_SIZE)).exp()

    def log_prob(self, x, outputs):
        rate, r = self._log_rate(outputs).exp(), self.size().expand_as(outputs)
        log_prob = -r * torch.log1p(rate / r)
        # Most counts are 0, and cost nothing more.
        at = (x > 0).expand_as(rate)
        return log_prob.index_put(
            (at,), _log_nb(x.expand_as(rate)[at], rate[at], r[at])
        )

    def sample(self, outputs, generator):
        r = self.size().expand_as(outputs)
        gamma = torch._standard_gamma(r, generator=generator) / r
        rate = (self.mean(outputs) * gamma).clamp(max=MAX_COUNT)
        return torch.poisson(rate, generator=generator)
