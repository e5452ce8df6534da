r"""
Inclusive and exclusive KL divergence
=====================================

The Gaussian q that is nearest to p depends on the direction in which the divergence is
measured. KL(p || q) punishes a q that is small where p is not: the best q has the
moments of p and covers all of it. KL(q || p) punishes a q that is not small where p
is: the best q keeps to one mode.

The encoder of a variational autoencoder follows KL(q || p), the exclusive one, which is
why its posteriors are rather too narrow than too wide.
"""

# %%
# A mixture whose components overlap
# ----------------------------------
# p(x) = 1/3 N(x; -1, 1) + 2/3 N(x; 1, 1) has the mean 1/3 and the variance 17/9, and so
# has the inclusive q. The exclusive one is a little narrower.
import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.stats import norm
from torch.distributions import Categorical, MixtureSameFamily, Normal

from sklvm.divergence import fit_gaussian


def mixture(weights, means):
    """A mixture of Gaussians of variance one, in double precision."""
    weights, means = (torch.tensor(a, dtype=torch.float64) for a in (weights, means))
    return MixtureSameFamily(
        Categorical(weights), Normal(means, torch.ones_like(means))
    )


p = mixture([1 / 3, 2 / 3], [-1.0, 1.0])
for direction in ("inclusive", "exclusive"):
    q = fit_gaussian(p, direction, random_state=0)
    print(
        f"{direction}: mean {q.mean[0]:.6f}, variance {q.covariance[0, 0]:.6f}, "
        f"divergence {q.divergence:.6f} nats"
    )

# %%
# The further apart the modes, the further apart the answers
# ----------------------------------------------------------
# With modes that stand apart the exclusive divergence has an optimum at each: in
# `optima`, the best first. Its divergence is -ln w for a mode of weight w: there p is
# w q, and elsewhere q does not look. A wide q over both modes may be one more.
x = np.linspace(-9, 9, 500)
fig, axes = plt.subplots(1, 3, figsize=(12, 3.2), sharey=True, layout="constrained")
for ax, distance in zip(axes, (1.0, 2.5, 5.0), strict=True):
    p = mixture([1 / 3, 2 / 3], [-distance, distance])
    inclusive = fit_gaussian(p, "inclusive")
    exclusive = fit_gaussian(p, "exclusive", random_state=0)
    density = p.log_prob(torch.tensor(x)).exp().numpy()
    ax.fill_between(x, density, color="0.85", label="p")
    for q, name, style in [
        (inclusive, "inclusive", "C0-"),
        *((q, "exclusive", "C1-") for q in exclusive.optima[:1]),
        *((q, "other optimum", "C1:") for q in exclusive.optima[1:]),
    ]:
        density = norm.pdf(x, q.mean[0], np.sqrt(q.covariance[0, 0]))
        ax.plot(x, density, style, label=f"{name}, {q.divergence:.3f} nats")
    ax.set(xlabel="x", title=f"modes at ±{distance:g}", ylim=(0, 0.62))
    ax.legend(fontsize="small", loc="upper left")
axes[0].set_ylabel("density")
plt.show()
