"""
Why the bound, and not the reconstruction alone
===============================================

A conditional variational autoencoder maximises a bound on ln p(y|x),

    F = E_q(z|y,x)[ln p(y|z,x)] - KL(q(z|y,x) || p(z|x)).

The first term says how well y is predicted from z and x. It looks like what one wants.
Why not maximise it alone? Because q sees the answer. Without the second term
nothing keeps it from writing y itself into z, and the decoder from reading it off. When
y is not known, z comes from p(z|x), and that never learned what q had written.

``beta=0`` takes the second term out of the training. The score stays what it is, the
bound with its prior term.
"""

# %%
# For each x there are two values that y is near to, f(x) and -f(x). The entropy of y
# given x is known; no model can describe a new y in fewer nats.
import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.special import logsumexp
from scipy.stats import norm

from sklvm import ConditionalVAE

NOISE = 0.15


def branch(x):
    return 1.5 * x + 0.2 * np.sin(6 * x)


def draw(n_samples, seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=n_samples)
    y = rng.choice([-1, 1], size=n_samples) * branch(x)
    return x[:, None], y + NOISE * rng.standard_normal(n_samples)


def true_log_density(x, y):
    """ln p(y|x)."""
    both = [norm.logpdf(y, sign * branch(x), NOISE) for sign in (-1, 1)]
    return np.logaddexp(*both) - np.log(2)


X_train, y_train = draw(3000, seed=0)
X_test, y_test = draw(400, seed=1)
entropy = -true_log_density(X_test[:, 0], y_test).mean()


# %%
# With one latent, p(y|x), the integral of p(z|x) p(y|z,x), can be taken on a grid. The
# importance sampling of ``log_likelihood`` draws z from q(z|y,x); where q has nothing
# to do with p(z|x) it needs far too many draws, and finds the model without the prior
# term even worse than it is.
def held_out_loss(model):
    """-ln p(y|x), a mean over the held-out rows."""
    grid = np.linspace(-7, 7, 1001, dtype=np.float32)
    module = model.net_.module_
    X = torch.from_numpy(X_test.astype(np.float32))
    with torch.no_grad():
        mean, log_sd = module.prior_network(X).chunk(2, dim=1)
        Z = mean + log_sd.exp() * torch.from_numpy(grid)
        inputs = torch.stack([Z, X.expand_as(Z)], dim=-1)
        means = module.decoder(inputs)[..., 0].numpy()
    log_joint = norm.logpdf(y_test[:, None], means, model.noise_) + norm.logpdf(grid)
    return -np.mean(logsumexp(log_joint, axis=1) + np.log(grid[1] - grid[0]))


# %%
# The same model twice, each with one Gaussian as p(z|x), with and without the prior
# term. The fit goes on by ``warm_start``, a few epochs at a time, and the held-out rows
# are scored in between.
N_STEPS, N_EPOCHS = 20, 5


def follow(beta):
    """The model, its training loss per epoch, and the held-out -ln p(y|x) at steps."""
    model = ConditionalVAE(
        latent_dim=1,
        n_prior_components=1,
        beta=beta,
        noise="learned",
        hidden_layer_sizes=(64, 64),
        max_epochs=N_EPOCHS,
        lr=1e-3,
        lr_schedule="constant",
        warm_start=True,
        tol=np.inf,
        random_state=0,
    )
    losses, held_out = [], []
    for _ in range(N_STEPS):
        model.fit(X_train, y_train)
        losses.append(-model.lower_bounds_[-N_EPOCHS:].mean())
        held_out.append(held_out_loss(model))
    return model, losses, held_out


runs = {beta: follow(beta) for beta in (1.0, 0.0)}
print("beta   training loss   held-out -ln p(y|x)")
for beta, (_, losses, held_out) in runs.items():
    print(f"{beta:4.1f} {losses[-1]:15.2f} {held_out[-1]:21.2f}")
print(f"entropy of y given x {entropy:20.2f}")

# %%
# What each model minimises in its training, and what counts. With beta = 1 the loss
# stays above the held-out -ln p(y|x), and both above the entropy. With beta = 0 the
# loss falls below the entropy, which no honest prediction can: the better it looks, the
# worse the model is.
figure, axis = plt.subplots(figsize=(9, 4.5), layout="constrained")
epochs = N_EPOCHS * np.arange(1, N_STEPS + 1)
for beta, colour in ((1.0, "C0"), (0.0, "C3")):
    _, losses, held_out = runs[beta]
    name = f"beta = {beta:g}"
    axis.plot(epochs, losses, "--", color=colour, label=f"{name}: training loss")
    axis.plot(epochs, held_out, color=colour, label=f"{name}: held-out -ln p(y|x)")
axis.axhline(entropy, color="black", linewidth=0.8, linestyle=":", label="entropy")
axis.set_xlabel("epochs")
axis.set_ylabel("nats per row")
axis.legend(bbox_to_anchor=(1, 1))

# %%
# Why. On the left, where q puts z when it sees y, and where p(z|x) draws it from. With
# the prior term p(z|x) reaches all of it. Without, q spreads y over as wide a range as
# it likes, and p(z|x) stays where the training found it, N(0, 1). So the draws of y on
# the right miss both branches.
figure, axes = plt.subplots(2, 2, figsize=(10, 7), sharex=True, layout="constrained")
for row, (beta, (model, _, _)) in zip(axes, runs.items(), strict=True):
    drawn, Z = model.sample(X_test)
    latent = model.transform(X_test, y_test)
    row[0].scatter(X_test, latent, s=6, color="grey", label="mean of q(z|y,x)")
    row[0].scatter(X_test, Z, s=6, label="draw of p(z|x)")
    row[0].set_ylabel("z")
    row[1].scatter(X_test, y_test, s=6, color="grey", label="held-out row")
    row[1].scatter(X_test, drawn, s=6, label="draw of the model")
    row[1].set_ylabel("y")
    for axis in row:
        axis.set_title(f"beta = {beta:g}")
        axis.legend(loc="lower left")
for axis in axes[-1]:
    axis.set_xlabel("x")

plt.show()
