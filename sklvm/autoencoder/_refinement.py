r"""q(z|x) of each row made better than the encoder gives it, before it is scored.

An encoder answers for all rows at once, and of a row that it has not seen its q(z|x)
may lie nats below the best Gaussian of that row (the amortisation gap; Cremer et al.,
2018). So q is moved, of each row by itself, along the gradient of the bound that is
reported: the importance-weighted one, doubly reparameterised (Tucker et al., 2019), in
the metric of the Gaussians (natural gradient). Any q gives a lower bound, so this one
is one, too, as it does not know the draws that it is scored by.
"""

import math
from functools import lru_cache

import torch

# Draws of q in each step: pairs of eps and -eps, the same ones for all rows.
N_DRAWS = 4
# Of the draws that a row is scored by, those of the refined q.
SHARE = 0.75
# Of the first step; a natural gradient of length 1 would reach a Gaussian's optimum.
LENGTH = 0.7
# Longest steps, in standard deviations and in their logarithm.
MAX_STEP, MAX_LOG_STEP = 1.0, 0.5


class Refined:
    """The draws of a row: most of the refined q, the others of the encoder's.

    So that no row is lost where the steps went astray, nor modes of p(z|x) that the
    refined q has left (defensive mixture sampling; Hesterberg, 1995). Both kinds are
    `encoded.rsample` of what `refined` has made of the noise, and are weighed by the
    mixture of both densities, of which `share` is the refined one's.
    """

    def __init__(self, encoded, moved, share):
        self.encoded = encoded
        self.moved = moved
        self.share = share

    def rsample(self, eps):
        return self.encoded.rsample(eps)

    def log_prob(self, z):
        log_moved = self.moved.log_prob(z)
        if self.share == 1:
            return log_moved
        log_encoded = self.encoded.log_prob(z) + math.log1p(-self.share)
        return torch.logaddexp(log_moved + math.log(self.share), log_encoded)


@torch.inference_mode(False)
@torch.no_grad()
def refined(module, batch, n_steps, noise):
    """q(z|x) of the rows of a batch after `n_steps`, p as `encode` gives it, and eps.

    `noise` has a number for each draw, row and entry of z, and so has eps. One draw of
    a row is not weighed: then F itself is climbed, and not the importance-weighted
    bound in the end.
    """
    n_draws = len(noise)
    # What was made under inference_mode has no gradients.
    batch = tuple(None if part is None else part.clone() for part in batch)
    q, bound = module.encode(batch)
    # What q is for, where training has a bound on it.
    p = module.marginal(bound)
    # z = mean + scale * (delta + exp(tau) * eps)
    delta, tau = torch.zeros_like(q.mean), torch.zeros_like(q.mean)
    for step, eps in enumerate(_noise(n_steps, q.mean.shape[-1])):
        eps = eps.to(q.mean).unsqueeze(1)
        scale = tau.exp()
        gradient, log_joint = _gradient(module, batch, q, p, delta + scale * eps)
        # Of log p(x, z) - log q(z|x), along the draws alone.
        path = gradient + eps / scale
        log_q = -(tau + eps.square() / 2).sum(-1)
        power = _power(step, n_steps) if n_draws > 1 else 0.0
        weights = torch.softmax(power * (log_joint - log_q), 0)
        weighted = weights.unsqueeze(-1) * path
        length = LENGTH * (1 - step / n_steps)
        by = length * scale * _finite(weighted.sum(0))
        log_by = length * scale * _finite((weighted * eps).sum(0)) / 2
        delta = delta + scale * MAX_STEP * torch.tanh(by / MAX_STEP)
        tau = tau + MAX_LOG_STEP * torch.tanh(log_by / MAX_LOG_STEP)
    n_moved = math.ceil(SHARE * n_draws)
    moved = delta + tau.exp() * noise[:n_moved]
    q = Refined(q, q.moved(delta, tau), n_moved / n_draws)
    return q, bound, torch.cat([moved, noise[n_moved:]])


def _gradient(module, batch, q, p, u):
    """The gradient of log p(x, z) at z = q.rsample(u) with respect to u; its value."""
    with torch.enable_grad():
        u.requires_grad_()
        z = q.rsample(u)
        log_joint = module.log_conditional(batch, z) + p.log_prob(z)
        (gradient,) = torch.autograd.grad(log_joint.sum(), u)
    return gradient, log_joint.detach()


def _power(step, n_steps):
    """By what power of its importance weight a draw counts.

    By 0 for half of the steps, which climb F: of a q that is far away one draw has all
    the weight, and says little. From there to 2, as in the gradient of the
    importance-weighted bound.
    """
    return 2 * max(0.0, 2 * step / max(n_steps - 1, 1) - 1)


def _finite(gradient):
    """A gradient without NaN, which leaves q where it is."""
    return torch.nan_to_num(gradient, nan=0.0)


@lru_cache(maxsize=8)
def _noise(n_steps, latent_dim):
    """Pairs of eps and -eps for each step, always the same."""
    generator = torch.Generator().manual_seed(0)
    shape = (n_steps, N_DRAWS // 2, latent_dim)
    eps = torch.randn(shape, generator=generator, dtype=torch.float32)
    return torch.cat([eps, -eps], 1)
