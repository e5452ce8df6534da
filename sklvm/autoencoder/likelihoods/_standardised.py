"""Real columns in units of their own, and log-normal ones, through standard units."""

import numpy as np
import torch

from sklvm.autoencoder.likelihoods._base import (
    Likelihood,
    column_moments,
    extremes,
    sum_observed,
    vector,
)
from sklvm.autoencoder.likelihoods._gaussian import (
    MIN_NOISE,
    make_gaussian,
)
from sklvm.state._classes import stateful

# exp(80) is near the end of float32.
MAX_LOG = 80.0


@stateful
class Standardised(Likelihood):
    r"""Real columns in standard units, whose density is in the units of the table.

    x comes as :math:`v_d = (t_d - m_d) / s_d`, where :math:`t_d` is the column itself
    or, for a log-normal one, its logarithm. :math:`v_d|z` is Gaussian, and

    .. math::

        \log p(x_d|z) = \log N(v_d; \mu_d, \sigma_d^2) - \log s_d \; [- t_d]

    with the last term for logarithms. Whoever has the table standardises it in float64,
    so that float32 carries years and any unit.

    Parameters
    ----------
    noise : {"optimal", "shared", "learned", "heteroscedastic"}, float or array-like
        sigma_d; numbers are in the units of t, "shared" is one in standard units.
    min_noise : float
        Least sigma_d, in standard units.
    center, scale : array-like of shape (n_features,)
        m and s.
    is_log : bool
        Whether t is a logarithm.
    """

    is_real = True

    def __init__(self, noise, min_noise, center=0.0, scale=1.0, is_log=False):
        super().__init__()
        self.noise = noise
        self.is_log = is_log
        self.inner = make_gaussian(noise, min_noise)
        self.register_buffer("_center", vector(center))
        self.register_buffer("_scale", vector(scale))
        # Of units so small or large that they are no numbers in float32.
        self.register_buffer("_log_scale", vector(np.log(scale)))

    def width(self, n_features):
        return self.inner.width(n_features)

    def check(self, X):
        self.inner.data_name = self.data_name
        self.inner.check(X)

    def why_diverged(self, X):
        return None

    def _standard(self, x):
        """v of x: x itself."""
        return x

    def start(self, X):
        outputs = self.inner.start(X)
        if not isinstance(self.noise, str):
            noise = np.asarray(self.noise) / np.exp(self._log_scale.double().numpy())
            self.inner.set_variance(noise**2)
        return outputs

    def linear_part(self, X):
        return self.inner.linear_part(X)

    def start_noise(self, variance, outputs):
        return self.inner.start_noise(variance, outputs)

    def features(self, x, observed=None):
        v = self._standard(x)
        return v if observed is None else torch.where(observed, v, 0.0)

    def _log_jacobian(self, v):
        """log |dv/dx|."""
        jacobian = -self._log_scale.expand_as(v)
        return jacobian - self._center - self._scale * v if self.is_log else jacobian

    def log_prob(self, x, outputs):
        v = self._standard(x)
        return self.inner.log_prob(v, outputs) + self._log_jacobian(v)

    def log_conditional(self, x, outputs, observed=None):
        v = self._standard(x)
        log_prob = self.inner.log_conditional(v, outputs, observed)
        return log_prob + sum_observed(self._log_jacobian(v), observed)

    def mean(self, outputs):
        """E[v|z]; of log-normal columns E[x|z] / exp(m), as means of x are linear."""
        mean, variance = self.inner.moments(outputs)
        if not self.is_log:
            return mean
        t = self._scale * (mean + self._scale * variance / 2)
        return t.clamp(max=MAX_LOG).exp()

    def decide(self, mean):
        return mean.log() / self._scale if self.is_log else mean

    def sample(self, outputs, generator):
        return self.inner.sample(outputs, generator)

    def n_errors(self, n_features):
        return self.inner.n_errors(n_features)

    def errors(self, x, outputs, observed):
        return self.inner.errors(self._standard(x), outputs, observed)

    def set_noise(self, sums):
        self.inner.set_noise(sums)

    def adapt(self, x, outputs, observed, weights):
        self.inner.adapt(self._standard(x), outputs, observed, weights)


@stateful
class LogNormal(Standardised):
    r"""Positive features with a long tail: :math:`\log x_d` is Gaussian.

    :math:`\log p(x_d|z) = \log N(v_d; \mu_d, \sigma_d^2) - \log s_d - \log x_d`, where
    :math:`v_d` is :math:`\log x_d`, standardised by the training data. The outputs are
    in the scale of v, which is what the encoder reads.

    Parameters
    ----------
    noise : {"optimal", "shared", "learned", "heteroscedastic"}, float or array-like \
            of shape (n_features,), default="optimal"
        Standard deviation of log x_d, as in `Gaussian`; "shared" is one for the
        standardised logarithms.
    min_noise : float, default=0.01
        Least standard deviation of log x_d, in those of the data.
    """

    def __init__(self, noise="optimal", min_noise=MIN_NOISE):
        super().__init__(noise, min_noise, is_log=True)

    def impossible(self, X):
        return X <= 0

    def check(self, X):
        super().check(X)
        least, most = extremes(X)
        if least <= 0 or most == np.inf:
            wrong = least if least <= 0 else most
            raise ValueError(
                f"likelihood='lognormal' needs values above 0, in float32, and "
                f"{self.data_name} has {wrong:g}; choose likelihood='gaussian', or "
                "another unit."
            )

    def numbers(self, X):
        return np.log(X)

    def linear_part(self, X):
        logs = np.log(np.asarray(X, dtype=np.float64))
        center, scale = self._center.numpy(), self._scale.numpy()
        return super().linear_part((logs - center) / scale)

    def start(self, X):
        logs = np.log(np.asarray(X, dtype=np.float64))
        center, variance = column_moments(logs)
        # A constant feature stays in its own unit.
        scale = np.sqrt(np.where(variance > 0, variance, 1.0))
        self._center, self._scale = vector(center), vector(scale)
        self._log_scale = vector(np.log(scale))
        return super().start((logs - center) / scale)

    def _standard(self, x):
        # 0 is what stands for a missing entry.
        log_x = x.clamp(min=torch.finfo(x.dtype).tiny).log()
        return (log_x - self._center) / self._scale

    def mean(self, outputs):
        mean, variance = self.inner.moments(outputs)
        t = self._center + self._scale * (mean + self._scale * variance / 2)
        return t.clamp(max=MAX_LOG).exp()

    def decide(self, mean):
        return mean

    def sample(self, outputs, generator):
        t = self._center + self._scale * self.inner.sample(outputs, generator)
        return t.clamp(max=MAX_LOG).exp()
