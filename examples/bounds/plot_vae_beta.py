"""
Rate and distortion: beta from 0.1 to 10
========================================

The bound is the difference of two terms,

    ELBO = E_q[ln p(x|z)] - KL(q(z|x) || p(z)) = -(distortion + rate).

The rate is what the code of an image costs, in nats; the distortion is what remains to
be said about its pixels once the code is known. Training maximises
-(distortion + beta * rate): a small beta buys good reconstructions with many nats, a
large beta saves nats and lets the images blur (Higgins et al., 2017; Alemi et al.,
2018).

The score of the package has beta = 1, whatever beta the training used, because that
alone bounds log p(x). So models with different beta compare.
"""

# %%
# The data are binary, ink or no ink, with a Bernoulli likelihood. It has no noise level
# of its own. With a Gaussian one, use a fixed ``noise`` for such a study: an optimal
# sigma adapts to beta, and undoes part of it.
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklvm import VAE

ink = (load_digits().data > 7.5).astype(np.float32)
train, test = train_test_split(ink, test_size=0.25, random_state=0)
betas = np.geomspace(0.1, 10, 9)
models = [
    VAE(
        latent_dim=10,
        likelihood="bernoulli",
        beta=float(beta),
        max_epochs=100,
        early_stopping=False,
        tol=np.inf,
        random_state=0,
    ).fit(train)
    for beta in betas
]


# %%
# The rate is in closed form, for both distributions are Gaussian. The ELBO is the score
# with one draw of z for each row (with more of them the score is a tighter bound), and
# the distortion is what is missing between them.
def kl_of_dimensions(model, X):
    """KL(q(z_j|x) || p(z_j)) of each latent dimension j, averaged over the rows."""
    with torch.no_grad():
        mean, log_sd = model.net_.module_.encoder(torch.from_numpy(X)).chunk(2, dim=1)
    kl = 0.5 * (mean**2 + (2 * log_sd).exp() - 1 - 2 * log_sd)
    return kl.mean(dim=0).numpy()


kl = np.array([kl_of_dimensions(model, test) for model in models])
rate = kl.sum(axis=1)
elbo = np.array([model.set_params(n_score_draws=1).score(test) for model in models])
distortion = -elbo - rate

print("  beta   rate   distortion     ELBO   latents in use")
for row in zip(betas, rate, distortion, elbo, (kl > 0.1).sum(axis=1), strict=True):
    print("{:6.2f} {:6.2f} {:12.2f} {:8.2f} {:16d}".format(*row))

# %%
# Left, the curve of rate and distortion on held-out images. On a dotted line the sum of
# both is the same, and so is the bound; beta = 1 touches the lowest. Right, the nats
# that each latent dimension carries, sorted: a larger beta switches dimensions off.
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for level in np.linspace(-elbo.max(), -elbo.min(), 5):
    left.axline((0, level), slope=-1, color="grey", linewidth=0.6, linestyle=":")
left.plot(rate, distortion, color="black", linewidth=0.8)
left.scatter(rate, distortion, c=np.log10(betas), cmap="viridis", s=60, zorder=2)
for index in range(0, len(betas), 2):
    left.annotate(
        f"beta = {betas[index]:.2g}",
        (rate[index], distortion[index]),
        xytext=(8, 6),
        textcoords="offset points",
    )
left.set_xlim(0, 1.35 * rate.max())
left.set_ylim(0.8 * distortion.min(), 1.1 * distortion.max())
left.set_xlabel("rate, nats per image")
left.set_ylabel("distortion, nats per image")
left.set_title(f"Held out; best ELBO at beta = {betas[elbo.argmax()]:.2g}")

colours = plt.get_cmap("viridis")(np.linspace(0, 1, len(betas)))
for index in range(0, len(betas), 2):
    right.plot(
        range(1, 1 + kl.shape[1]),
        np.sort(kl[index])[::-1],
        "o-",
        color=colours[index],
        label=f"beta = {betas[index]:.2g}",
    )
right.set_xlabel("latent dimension, sorted")
right.set_ylabel("KL, nats per image")
right.set_title("Where the rate is spent")
right.legend(bbox_to_anchor=(1, 1))

# %%
# Reconstructions of held-out images on the left, decoded draws from the prior on the
# right. A small beta reconstructs best. A large one switches all latents off, and every
# image is the mean of the training images.
columns = 8
shown = [0, 2, 4, 6, 8]
labels = ["image", *(f"beta = {betas[i]:.2g}" for i in shown)]
Z = np.random.default_rng(0).standard_normal((columns, 10)).astype(np.float32)
images = np.stack(
    [test[:columns], *(models[i].reconstruct(test[:columns]) for i in shown)]
)
samples = np.stack([models[i].inverse_transform(Z) for i in shown])

figure, axes = plt.subplots(
    len(labels),
    2 * columns + 1,
    figsize=(11, 4.2),
    subplot_kw={"xticks": [], "yticks": []},
    layout="constrained",
)
for axis, label in zip(axes[:, 0], labels, strict=True):
    axis.set_ylabel(label, rotation=0, ha="right", va="center")
for part, rows in ((axes[:, :columns], images), (axes[1:, -columns:], samples)):
    for axis, image in zip(part.flat, rows.reshape(-1, 8, 8), strict=True):
        axis.imshow(image, cmap="gray_r", vmin=0, vmax=1)
for axis in (*axes[:, columns], *axes[0, -columns:]):
    axis.axis("off")
axes[0, columns // 2].set_title("held-out images and their reconstructions")
axes[1, columns + 1 + columns // 2].set_title("decoded draws from the prior")

plt.show()
