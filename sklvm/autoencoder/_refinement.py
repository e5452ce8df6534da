r"""q(z|x) of each row made better than the encoder gives it, before it is scored.

An encoder answers for all rows at once, and of a row that it has not seen its q(z|x)
may lie nats below the best Gaussian of that row (the amortisation gap; Cremer et al.,
2018). So q is moved, of each row by itself, along the gradient of the bound that is
reported: the importance-weighted one, doubly reparameterised (Tucker et al., 2019), in
the metric of the Gaussians (natural gradient). Any q gives a lower bound, so this one
is one, too, as it does not know the draws that it is scored by.
"""

from functools import lru_cache

import torch

# Draws of q in each step: pairs of eps and -eps, the same ones for all rows.
N_DRAWS = 4
# Draws by which a row's q is compared with the one that it started at.
N_JUDGED = 16
# Nats below which a difference of theirs may be their own error.
MARGIN = 3.0
# Of the first step; a natural gradient of length 1 would reach a Gaussian's optimum.
LENGTH = 0.7
# Longest steps, in standard deviations and in their logarithm.
MAX_STEP, MAX_LOG_STEP = 1.0, 0.5


@torch.inference_mode(False)
@torch.no_grad()
def refined(module, batch, n_steps, is_weighted):
    """q(z|x) of the rows of a batch after `n_steps`, and p as `encode` gives it.

    `is_weighted` says that several draws of a row are to be weighed, so that the
    importance-weighted bound is climbed in the end, and not F.
    """
    # What was made under inference_mode has no gradients.
    batch = tuple(None if part is None else part.clone() for part in batch)
    q, p = module.encode(batch)
    # z = mean + scale * (delta + exp(tau) * eps)
    delta, tau = torch.zeros_like(q.mean), torch.zeros_like(q.mean)
    for step, eps in enumerate(_noise(n_steps, q.mean.shape[-1])):
        eps = eps.to(q.mean).unsqueeze(1)
        scale = tau.exp()
        gradient, log_joint = _gradient(module, batch, q, p, delta + scale * eps)
        # Of log p(x, z) - log q(z|x), along the draws alone.
        path = gradient + eps / scale
        log_q = -(tau + eps.square() / 2).sum(-1)
        power = is_weighted * _power(step, n_steps)
        weights = torch.softmax(power * (log_joint - log_q), 0)
        weighted = weights.unsqueeze(-1) * path
        length = LENGTH * (1 - step / n_steps)
        by = length * scale * _finite(weighted.sum(0))
        log_by = length * scale * _finite((weighted * eps).sum(0)) / 2
        delta = delta + scale * MAX_STEP * torch.tanh(by / MAX_STEP)
        tau = tau + MAX_LOG_STEP * torch.tanh(log_by / MAX_LOG_STEP)
    moved = q.moved(delta, tau)
    gain = _bound(module, batch, moved, p) - _bound(module, batch, q, p)
    is_kept = (gain > -MARGIN).unsqueeze(-1)
    return q.moved(delta * is_kept, tau * is_kept), p


def _bound(module, batch, q, p):
    """The importance-weighted bound of each row, by draws that are always the same."""
    (eps,) = _noise(1, q.mean.shape[-1], N_JUDGED)
    z = q.rsample(eps.to(q.mean).unsqueeze(1))
    log_weights = module.log_conditional(batch, z) + p.log_prob(z) - q.log_prob(z)
    return torch.logsumexp(log_weights, 0)


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
def _noise(n_steps, latent_dim, n_draws=N_DRAWS):
    """Pairs of eps and -eps for each step, always the same."""
    generator = torch.Generator().manual_seed(n_draws)
    shape = (n_steps, n_draws // 2, latent_dim)
    eps = torch.randn(shape, generator=generator, dtype=torch.float32)
    return torch.cat([eps, -eps], 1)
