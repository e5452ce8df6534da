r"""q(z|x), p(z) and p(z|x): Gaussians, the standard normal, Gaussian mixtures.

Noise comes from outside, as `eps` of shape (..., latent_dim), so that every draw
belongs to a generator or to a row; where p(z|x) is a mixture one number more tells the
component. All densities are in nats.
"""

import math
from abc import ABCMeta, abstractmethod

import torch

from sklvm.state._classes import stateful

LOG_2PI = math.log(2 * math.pi)
# Scales outside exp(-15) and exp(15) overflow float32 when they are squared twice.
MAX_LOG_SCALE = 15.0
# Numbers of all means from which densities under each are products of matrices.
MANY = 1000
# How far from 0 the components of p(z|x) start, in their standard deviations.
START_RADIUS = 2.0


def bounded(log_scale):
    return log_scale.clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE)


class _Gaussians:
    """Gaussians a row, or mixtures of them, made of the tensors `parts()`."""

    def detach(self):
        return type(self)(*(part.detach() for part in self.parts()))

    def __getitem__(self, rows):
        return type(self)(*(part[rows] for part in self.parts()))

    @classmethod
    def joined(cls, gaussians):
        """The rows of several, one after the other."""
        parts = zip(*(g.parts() for g in gaussians), strict=True)
        return cls(*(torch.cat(part) for part in parts))


@stateful
class DiagonalGaussian(_Gaussians):
    """N(mean, diag(exp(2 log_scale))), one Gaussian a row."""

    def __init__(self, mean, log_scale):
        self.mean = mean
        self.log_scale = log_scale
        self.scale = log_scale.exp()

    @staticmethod
    def n_parameters(latent_dim):
        """Width of the encoder's output."""
        return 2 * latent_dim

    @classmethod
    def of(cls, parameters, latent_dim):
        """The Gaussians whose parameters an encoder has given, a row each."""
        mean, log_scale = parameters.split(latent_dim, -1)
        # In training the gradient of a bound would cost 3 per cent of a small network's
        # step; what overflows there is reported.
        if not torch.is_grad_enabled():
            log_scale = bounded(log_scale)
        return cls(mean, log_scale)

    def parts(self):
        return self.mean, self.log_scale

    def rsample(self, eps):
        """mean + scale * eps, differentiable in both."""
        return torch.addcmul(self.mean, self.scale, eps)

    def moved(self, delta, tau):
        """The Gaussian of mean + scale * (delta + exp(tau) * eps)."""
        # Not bounded: the density has to be that of the draws, which are moved, too.
        return DiagonalGaussian(self.rsample(delta), self.log_scale + tau)

    def log_prob(self, z):
        eps = (z - self.mean) / self.scale
        terms = torch.addcmul(self.log_scale, eps, eps, value=0.5)
        return -terms.sum(-1) - z.shape[-1] / 2 * LOG_2PI

    def log_prob_of_each(self, z):
        """log N(z; mu_k, Sigma_k) of every z under all K, of shape (..., K).

        The square is multiplied out, for K numbers a z instead of K times latent_dim;
        in float64, as its terms are large and cancel.
        """
        # Few are quicker one by one; "mps" has no float64.
        if self.mean.numel() < MANY or z.device.type == "mps":
            return self.log_prob(z.unsqueeze(-2))
        z, mean = z.double(), self.mean.double()
        precision = (-2 * self.log_scale.double()).exp()
        scaled = mean * precision
        squares = z.square() @ precision.T - 2 * z @ scaled.T
        constant = (mean * scaled / 2 + self.log_scale).sum(-1)
        log_prob = -squares / 2 - constant - z.shape[-1] / 2 * LOG_2PI
        return log_prob.to(self.mean.dtype)

    def entropy(self):
        return self.log_scale.sum(-1) + self.mean.shape[-1] / 2 * (1 + LOG_2PI)

    def variance(self):
        """Variances of the entries of z."""
        return self.scale.square()

    def kl_to_standard_normal(self):
        """KL(q || N(0, I)) in closed form."""
        terms = torch.addcmul(-2 * self.log_scale, self.scale, self.scale)
        terms = torch.addcmul(terms, self.mean, self.mean)
        return (terms.sum(-1) - self.mean.shape[-1]) / 2


@stateful
class FullGaussian(_Gaussians):
    """N(mean, L L'), one Gaussian a row; L has the diagonal exp(log_diagonal)."""

    def __init__(self, mean, log_diagonal, scale_tril):
        self.mean = mean
        self.log_diagonal = log_diagonal
        self.scale_tril = scale_tril

    @staticmethod
    def n_parameters(latent_dim):
        """Width of the encoder's output."""
        return latent_dim + latent_dim * (latent_dim + 1) // 2

    @classmethod
    def of(cls, parameters, latent_dim):
        """The Gaussians whose parameters an encoder has given, a row each."""
        n_lower = latent_dim * (latent_dim - 1) // 2
        mean, log_diagonal, lower = parameters.split(
            [latent_dim, latent_dim, n_lower], -1
        )
        log_diagonal = bounded(log_diagonal)
        scale_tril = torch.diag_embed(log_diagonal.exp())
        row, column = torch.tril_indices(
            latent_dim, latent_dim, -1, device=parameters.device
        )
        scale_tril = scale_tril.index_put(
            (torch.arange(len(mean), device=mean.device)[:, None], row, column), lower
        )
        return cls(mean, log_diagonal, scale_tril)

    def parts(self):
        return self.mean, self.log_diagonal, self.scale_tril

    def rsample(self, eps):
        """mean + L eps, differentiable in both."""
        return self.mean + (self.scale_tril @ eps.unsqueeze(-1)).squeeze(-1)

    def moved(self, delta, tau):
        """The Gaussian of mean + L (delta + exp(tau) * eps)."""
        scale_tril = self.scale_tril * tau.exp().unsqueeze(-2)
        return FullGaussian(self.rsample(delta), self.log_diagonal + tau, scale_tril)

    def log_prob(self, z):
        # One inverse a Gaussian, as there may be thousands of z for each.
        eye = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)
        inverse = torch.linalg.solve_triangular(self.scale_tril, eye, upper=False)
        eps = torch.einsum("...kl,kml->...km", z - self.mean, inverse)
        squares = eps.square().sum(-1)
        return -squares / 2 - self.log_diagonal.sum(-1) - z.shape[-1] / 2 * LOG_2PI

    def log_prob_of_each(self, z):
        """log N(z; mu_k, Sigma_k) of every z under all K, of shape (..., K)."""
        return self.log_prob(z.unsqueeze(-2))

    def entropy(self):
        return self.log_diagonal.sum(-1) + self.mean.shape[-1] / 2 * (1 + LOG_2PI)

    def variance(self):
        """Variances of the entries of z."""
        return self.scale_tril.square().sum(-1)

    def kl_to_standard_normal(self):
        """KL(q || N(0, I)) in closed form."""
        trace = self.scale_tril.square().sum((-2, -1))
        squares = self.mean.square().sum(-1)
        return (trace + squares - self.mean.shape[-1]) / 2 - self.log_diagonal.sum(-1)


POSTERIORS = {"diag": DiagonalGaussian, "full": FullGaussian}


class StandardNormal:
    """p(z) = N(0, I)."""

    def log_prob(self, z):
        return -z.square().sum(-1) / 2 - z.shape[-1] / 2 * LOG_2PI

    def kl(self, q, z):
        """KL(q || p), in closed form; z is not needed."""
        return q.kl_to_standard_normal()

    def draw(self, eps, generator):
        """One z for each row of `eps`."""
        return eps


class GaussianPrior(DiagonalGaussian):
    """p(z|x), a diagonal Gaussian for each row."""

    def kl(self, q, z):
        """KL(q || p), in closed form; z is not needed."""
        squares = q.variance() + (q.mean - self.mean).square()
        terms = squares / self.variance() / 2 + self.log_scale
        cross_entropy = terms.sum(-1) + self.mean.shape[-1] / 2 * LOG_2PI
        return cross_entropy - q.entropy()

    def aggregated(self):
        """The mean of the rows' densities, 1/n sum_i p(z|x_i)."""
        return GaussianMixture(self)


class _Mixture(metaclass=ABCMeta):
    """sum_k pi_k N(z; mu_k, Sigma_k), whose Gaussians are `components`."""

    @abstractmethod
    def log_joint(self, z):
        """log pi_k + log N(z; mu_k, Sigma_k), of shape (..., K)."""

    def log_prob(self, z):
        return torch.logsumexp(self.log_joint(z), -1)

    def kl(self, q, z):
        """KL(q || p): the entropy of q in closed form, E_q[log p(z)] from the z."""
        return -q.entropy() - self.log_prob(z)


class GaussianMixture(_Mixture):
    """p(z) = sum_k pi_k N(z; mu_k, Sigma_k).

    `log_weights` None is pi_k = 1/K. The components of the VampPrior (Tomczak and
    Welling, 2018) are the posteriors of pseudo-inputs.
    """

    def __init__(self, components, log_weights=None):
        self.components = components
        self.log_weights = log_weights

    def log_joint(self, z):
        return self.components.log_prob_of_each(z) + self.log_pi()

    def log_pi(self):
        """log pi, of shape (K,)."""
        if self.log_weights is not None:
            return self.log_weights
        K = len(self.components.mean)
        return self.components.mean.new_full((K,), -math.log(K))

    def draw_labels(self, n, generator):
        """The component k of each of n draws, on the generator's device."""
        if self.log_weights is None:
            K, device = len(self.components.mean), generator.device
            return torch.randint(K, (n,), generator=generator, device=device)
        weights = self.log_weights.exp()
        return torch.multinomial(weights, n, replacement=True, generator=generator)

    def draw(self, eps, generator):
        """One z for each row of `eps`."""
        return self.components[self.draw_labels(len(eps), generator)].rsample(eps)


class MixturePrior(_Mixture, _Gaussians):
    """p(z|x) = sum_k pi_k N(z; mu_k, diag(sigma_k^2)), a mixture for each row.

    The Gaussians have parameters of shape (n_rows, K, latent_dim), log pi (n_rows, K).
    """

    def __init__(self, means, log_scales, log_weights):
        self.components = DiagonalGaussian(means, log_scales)
        self.log_weights = log_weights

    @staticmethod
    def n_parameters(latent_dim, n_components):
        """Width of the prior network's output."""
        return n_components * (2 * latent_dim + 1)

    @classmethod
    def of(cls, parameters, latent_dim, n_components):
        """The mixtures of a network's outputs: all means, log scales, then logits."""
        n_gaussian = 2 * n_components * latent_dim
        gaussians, logits = parameters.split([n_gaussian, n_components], -1)
        both = gaussians.unflatten(-1, (2, n_components, latent_dim))
        components = DiagonalGaussian.of(both.transpose(-3, -2).flatten(-2), latent_dim)
        return cls(*components.parts(), torch.log_softmax(logits, -1))

    @staticmethod
    def start(latent_dim, n_components):
        """Parameters of unit Gaussians of equal weight that differ in their means.

        The means are on a circle in the first two dimensions, or spread over a line.
        """
        float32 = {"dtype": torch.float32}
        means = torch.zeros(n_components, latent_dim, **float32)
        if latent_dim == 1:
            means[:, 0] = torch.linspace(-1, 1, n_components, **float32)
        else:
            angle = 2 * math.pi / n_components * torch.arange(n_components, **float32)
            means[:, :2] = torch.stack([angle.cos(), angle.sin()], -1)
        rest = torch.zeros(n_components * (latent_dim + 1), **float32)
        return torch.cat([START_RADIUS * means.flatten(), rest])

    def parts(self):
        return *self.components.parts(), self.log_weights

    def log_joint(self, z):
        # Of each z under the K components of its own row.
        return self.components.log_prob(z.unsqueeze(-2)) + self.log_weights

    @property
    def mean(self):
        """E[z|x]."""
        return (self.log_weights.exp().unsqueeze(-1) * self.components.mean).sum(-2)

    def rsample(self, eps):
        """One z for each row of `eps`, whose last number tells the component."""
        u = torch.special.ndtr(eps[..., -1:])
        ends = self.log_weights.exp().cumsum(-1)[..., :-1]
        labels = (u >= ends).sum(-1)
        rows = torch.arange(len(ends), device=ends.device)
        return self.components[rows, labels].rsample(eps[..., :-1])

    def aggregated(self):
        """The mean of the rows' densities, 1/n sum_i p(z|x_i)."""
        gaussians = (part.flatten(0, 1) for part in self.components.parts())
        log_weights = self.log_weights.flatten() - math.log(len(self.log_weights))
        return GaussianMixture(DiagonalGaussian(*gaussians), log_weights)
