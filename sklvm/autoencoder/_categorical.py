r"""The part of the bound that a categorical z adds, four ways.

.. math::

    \sum_k q_k (\log p(z = k) p(w | z = k) - \log q_k)
        \le \log \sum_k p(z = k) p(w | z = k)

Every function takes log_joint, which is log p(z = k) p(w | z = k), and log_q, which is
log q(z = k | w, x), both of shape (..., K), Gumbel noise of shape (n_draws, ..., K) and
a temperature. It returns an estimate of the sum, of shape (...); what the optimiser
follows is its gradient.
"""

import torch
from torch.nn.functional import one_hot

from sklvm.state._classes import stateful


@stateful
def exact(log_joint, log_q=None, noise=None, temperature=None):
    """The bound's maximum over q, which is at q_k = p(z = k | w): log p(w)."""
    return torch.logsumexp(log_joint, -1)


@stateful
def network(log_joint, log_q, noise=None, temperature=None):
    """The sum itself, over all k."""
    return (log_q.exp() * (log_joint - log_q)).sum(-1)


@stateful
def gumbel(log_joint, log_q, noise, temperature):
    """z relaxed to a point of the simplex (Jang et al., 2017; Maddison et al., 2017).

    The gradient passes through the point: of low variance, and biased as long as the
    temperature is not 0.
    """
    z = torch.softmax((log_q + noise) / temperature, -1)
    return (z * (log_joint - log_q)).sum(-1).mean(0)


@stateful
def reinforce(log_joint, log_q, noise, temperature=None):
    """z drawn; the score function with a leave-one-out baseline (Kool et al., 2019).

    Unbiased. The baseline of a draw is the mean of the others, and independent of it.
    """
    K, n_draws = log_q.shape[-1], len(noise)
    z = one_hot((log_q + noise).argmax(-1), K).to(log_q.dtype)
    log_q_z = (z * log_q).sum(-1)
    gain = (z * log_joint).sum(-1) - log_q_z
    # gain minus the mean of the other draws' gains
    advantage = (gain - gain.mean(0)).detach() * (n_draws / (n_draws - 1))
    score = advantage * (log_q_z - log_q_z.detach())
    return (gain + score).mean(0)


CATEGORICAL = {
    function.__name__: function for function in (exact, network, gumbel, reinforce)
}
# Those that draw z, and how often for each w; a baseline needs two draws or more.
N_DRAWS = {"gumbel": 1, "reinforce": 4}
# Of the relaxation, at the start of the training of q(z|w,x) and at its end.
TEMPERATURES = 1.0, 0.3
