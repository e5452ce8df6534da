r"""
Three forms of the ELBO, and the noise of their gradients
=========================================================

The bound can be written in three ways:

.. math::

    F &= E_q[\ln p(x|z)] - KL(q(z|x) \| p(z))   \quad && \text{"kl"} \\
      &= E_q[\ln p(x, z)] + H(q)                      && \text{"entropy"} \\
      &= E_q[\ln p(x, z) - \ln q(z|x)]                && \text{"log_ratio"}

They are equal, but their estimates from one draw z are not. The more stands in closed
form, the less is left to chance, one would think. But errors can also cancel: where
q(z|x) is the exact posterior, ln p(x, z) - ln q(z|x) = ln p(x) for *every* z, and the
third form has no noise at all, while the first keeps all that of ln p(x|z).

What steers the training is the noise of the gradient, and there the third form needs
one more idea. Its gradient has a part that comes from the parameters inside ln q, the
score term. Its mean is zero, so it only adds noise, and ``objective="stl"`` (sticking
the landing; Roeder, Wu and Duvenaud, 2017), the default, drops it.
"""

# %%
# Two models of handwritten digits. In the linear one with Gaussian noise the posterior
# is Gaussian, and ``posterior="full"`` can become exact. In the other the decoder is a
# network, and the Gaussian q(z|x) stays an approximation. The networks are given as
# modules of one's own, which start at random: with the default ones the training would
# start where q is exact, and there would be nothing to see of its beginning.
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from sklvm import VAE
from sklvm.autoencoder._objectives import OBJECTIVES

X = (load_digits().data / 16).astype(np.float32)
D, LATENT_DIM = X.shape[1], 5
torch.manual_seed(0)
MODELS = {
    "linear, full covariance: q can be exact": {
        "encoder": nn.Linear(D, LATENT_DIM * (LATENT_DIM + 3) // 2),
        "decoder": nn.Linear(LATENT_DIM, D),
        "posterior": "full",
    },
    "200 hidden units, diagonal covariance": {
        "encoder": nn.Sequential(
            nn.Linear(D, 200), nn.ReLU(), nn.Linear(200, 2 * LATENT_DIM)
        ),
        "decoder": nn.Sequential(
            nn.Linear(LATENT_DIM, 200), nn.ReLU(), nn.Linear(200, D)
        ),
    },
}
FORMS = ("kl", "entropy", "log_ratio", "stl")


def fit(parameters, n_epochs):
    """The VAE after as many epochs; the same noise level for all."""
    model = VAE(
        latent_dim=LATENT_DIM,
        noise=0.2,
        objective="kl",
        max_epochs=n_epochs,
        early_stopping=False,
        tol=np.inf,
        random_state=0,
        **parameters,
    )
    return model.fit(X)


# %%
# The objectives are plain functions of the module, the batch, the posteriors q, the
# prior p and draws z of q, so that one draw can be given to all. Each returns a loss,
# minus the bound, then rate and distortion; the gradient is taken in the parameters of
# the encoder.
def values_and_gradients(module, form, n_draws=100, n_rows=64):
    """Bound and gradient of one batch for each of many draws of the noise."""
    batch = module.observe(torch.from_numpy(X[:n_rows]))
    generator = torch.Generator().manual_seed(0)
    parameters = list(module.encoder.parameters())
    values, gradients = [], []
    for _ in range(n_draws):
        eps = torch.randn(n_rows, module.latent_dim, generator=generator)
        q, p = module.encode(batch)
        loss, *_ = OBJECTIVES[form](module, batch, q, p, q.rsample(eps), beta=1.0)
        gradient = torch.autograd.grad(loss, parameters)
        values.append(-loss.item())
        gradients.append(torch.cat([part.flatten() for part in gradient]))
    return np.array(values), torch.stack(gradients).numpy()


def measure(model):
    """For each form: mean and sd of the value, total variance of the gradient."""
    results = {}
    for form in FORMS:
        values, gradients = values_and_gradients(model.net_.module_, form)
        variance = gradients.var(axis=0, ddof=1).sum()
        results[form] = values.mean(), values.std(ddof=1), variance
    return results


# %%
# Both models early in their training, and late.
stages = [2, 8, 32, 128, 512]
measured = {
    name: [measure(fit(parameters, n)) for n in stages]
    for name, parameters in MODELS.items()
}

# %%
# The means agree within their Monte Carlo error, at every stage. With the same draws,
# "entropy" and "log_ratio" even have the same gradient: in ln q(z|x) with
# z = mean + sd * eps all that depends on the parameters is the entropy. Only their
# values differ.
for name, results in measured.items():
    print(f"\n{name}, after {stages[-1]} epochs")
    print("form        bound, nats per image    sd of it   variance of gradient")
    for form, (mean, deviation, variance) in results[-1].items():
        print(f"{form:10s} {mean:21.3f} {deviation:11.5f} {variance:22.6f}")

# %%
# The noise against the length of the training, for a batch of 64 images and one draw an
# image. On the linear model the noise of the third form's value and of the gradient of
# "stl" vanishes as q becomes exact; the others reach a floor. With a network the
# posterior is not Gaussian, and what "stl" gains is limited.
STYLES = {"kl": "o-", "entropy": "s-", "log_ratio": "^--", "stl": "D-"}
figure, axes = plt.subplots(2, 2, figsize=(10, 7), sharex=True, layout="constrained")
for row, (name, results) in zip(axes, measured.items(), strict=True):
    for form, style in STYLES.items():
        deviations = [stage[form][1] for stage in results]
        variances = [stage[form][2] for stage in results]
        row[0].plot(stages, deviations, style, label=form)
        row[1].plot(stages, variances, style, label=form)
    row[0].set_ylabel("sd of the bound, nats")
    row[1].set_ylabel("total variance of the gradient")
    for axis in row:
        axis.set_title(name, fontsize="medium")
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.set_xticks(stages, stages)
for axis in axes[-1]:
    axis.set_xlabel("epochs of training")
axes[0, 0].legend()

plt.show()
