r"""Three estimators of the gradient of an expectation over codes.

Each pixel is a seed with probability p_i = sigmoid(logit_i), independently. All three
estimate, with respect to the logits, the gradient of

    E_q[rate(s) + weight * distortion(s)],       s in {0, 1}^P

The rate's part is the same in all: d E[rate] / d p_i is the expected price of a seed at
i given the others, so the drawn codes' prices estimate it without bias, and where the
price does not depend on the code it is exact.
"""

import torch
from torch.nn import functional

# Of the relaxed draws of "concrete".
TEMPERATURE = 0.5


def straight_through(p, logits, masks, noise, cost):
    """The hard code forward, p's gradient backward (Bengio et al., 2013)."""
    return cost(masks + (p - p.detach())).mean()


def concrete(p, logits, masks, noise, cost):
    """The hard code forward, a relaxed one's gradient backward (Jang et al., 2017)."""
    relaxed = torch.sigmoid((logits + torch.logit(noise)) / TEMPERATURE) * (p > 0)
    return cost(masks + (relaxed - relaxed.detach())).mean()


def reinforce(p, logits, masks, noise, cost):
    """The score function with a leave-one-out baseline (Kool et al., 2019)."""
    with torch.no_grad():
        costs = cost(masks)
        others = (costs.sum(dim=0) - costs) / (len(costs) - 1)
    log_q = functional.logsigmoid(torch.where(masks > 0, logits, -logits)) * (p > 0)
    score = ((costs - others) * log_q.sum(dim=-1)).mean()
    # The value of the costs, the gradient of the score.
    return costs.mean() + score - score.detach()


GRADIENTS = {
    "straight_through": straight_through,
    "concrete": concrete,
    "reinforce": reinforce,
}
# A baseline of the other draws needs others.
N_DRAWS = {"straight_through": 1, "concrete": 1, "reinforce": 4}


def surrogate(name, logits, allowed, noise, distortion, price, weight):
    """A scalar whose gradient estimates that of the mean objective of a batch.

    Parameters
    ----------
    name : {"straight_through", "concrete", "reinforce"}
    logits, allowed : tensors of shape (m, P)
        Only allowed pixels may be seeds.
    noise : tensor of shape (M, m, P), uniform in (0, 1)
    distortion, price : callables of masks of shape (M * m, P)
        Wrong pixels, (M * m,); and nats of a seed at each pixel given the others.
    weight : float or tensor of shape (m,)
        Nats per wrong pixel.
    """
    n_draws = len(noise)
    p = torch.sigmoid(logits) * allowed
    masks = (logits + torch.logit(noise) > 0) * allowed.float()

    def cost(masks):
        return weight * distortion(masks.flatten(0, 1)).unflatten(0, (n_draws, -1))

    prices = price(masks.flatten(0, 1)).unflatten(0, (n_draws, -1))
    rate = (prices * p).sum(dim=-1).mean()
    return rate + GRADIENTS[name](p, logits, masks, noise, cost)
