r"""The evidence lower bound and its kin, one function each.

.. math::

    F = E_q[\log p(x|z)] - KL(q(z|x) \| p(z))
      = E_q[\log p(x, z)] + H(q)
      = E_q[\log p(x, z) - \log q(z|x)]

Every function takes the module, a batch, its posteriors q and prior p, draws z of q, of
shape (n_rows, latent_dim) or (n_draws, n_rows, latent_dim), and the weight beta of the
rate KL(q || p). It returns the loss, the rate and the distortion -E_q[log p(x|z)], all
means over the rows: the value of the loss is minus the objective, and its gradient is
what the optimiser follows; the other two are for the history.
"""

import math

import torch

from sklvm.neural._ranks import joint_mean
from sklvm.state._classes import stateful


@stateful
def kl(module, batch, q, p, z, beta):
    """First form: the KL divergence in closed form, where the prior has one."""
    return _loss(module, batch, z, p.kl(q, z), beta)


@stateful
def entropy(module, batch, q, p, z, beta):
    """Second form: H(q) in closed form, log p(z) at the draws."""
    return _loss(module, batch, z, -p.log_prob(z) - q.entropy(), beta)


@stateful
def log_ratio(module, batch, q, p, z, beta):
    """Third form: both densities of z at the draws."""
    rate = q.log_prob(z) - p.log_prob(z)
    return _loss(module, batch, z, rate, beta)


@stateful
def stl(module, batch, q, p, z, beta):
    """Third form without the score term ("sticking the landing", Roeder et al. 2017).

    The parameters of q are held fixed in log q, which changes the gradient by a term of
    mean zero; at the exact posterior each single gradient is then zero.
    """
    rate = q.detach().log_prob(z) - p.log_prob(z)
    return _loss(module, batch, z, rate, beta)


@stateful
def iwae(module, batch, q, p, z, beta):
    """The importance-weighted bound of Burda et al. (2016), tighter with more draws.

    The encoder's gradient is doubly reparameterised (Tucker et al. 2019): each draw
    counts by the square of its normalised weight, and the score term is gone.
    """
    log_weights, weights, *parts = _importance_weights(
        module, batch, q.detach(), p, z, beta
    )
    if module.training:
        module.adapt_noise(batch, z.detach(), weights)
    if z.requires_grad:
        z.register_hook(lambda gradient: gradient * weights.unsqueeze(-1))
    loss = -(weights * log_weights).sum(0).mean()
    bound = torch.logsumexp(log_weights.detach(), 0).mean() - math.log(len(z))
    return loss - (loss + bound).detach(), *parts


@stateful
def forward_kl(module, batch, q, p, z, beta):
    """The encoder follows KL(p(z|x) || q(z|x)), the decoder the bound (wake phases).

    The expectation over p(z|x) is taken with self-normalised importance weights
    (Bornschein and Bengio, 2015).
    """
    z = z.detach()
    log_weights, weights, *parts = _importance_weights(
        module, batch, q.detach(), p, z, beta
    )
    bound = log_weights.mean()
    cross_entropy = -(weights * q.log_prob(z)).sum(0).mean()
    return cross_entropy - cross_entropy.detach() - bound, *parts


def _loss(module, batch, z, rate, beta):
    """Distortion plus beta times the rate, of which the free bits are the least."""
    distortion = -module.log_conditional(batch, z).mean()
    rate = rate.mean()
    counted = rate
    if module.free_bits:
        counted = joint_mean(rate, z.shape[-2]).clamp(min=module.free_bits)
    loss = torch.add(distortion, counted, alpha=beta)
    return loss, rate.detach(), distortion.detach()


def _importance_weights(module, batch, q, p, z, beta):
    """log p(x|z) + beta (log p(z) - log q(z|x)), the normalised weights, and parts."""
    log_ratio = p.log_prob(z) - q.log_prob(z)
    rate = -log_ratio.detach().mean()
    if module.free_bits and joint_mean(rate, z.shape[-2]) < module.free_bits:
        # A rate below the free bits counts as them, and has no gradient.
        log_ratio = torch.full_like(log_ratio, -module.free_bits)
    log_conditional = module.log_conditional(batch, z)
    log_weights = log_conditional + beta * log_ratio
    weights = torch.softmax(log_weights.detach(), 0)
    return log_weights, weights, rate, -log_conditional.detach().mean()


OBJECTIVES = {
    function.__name__: function
    for function in (kl, entropy, log_ratio, stl, iwae, forward_kl)
}
# Those that compare draws of the same row.
NEED_DRAWS = ("iwae", "forward_kl")
