"""
The noise of a Gaussian decoder: fixed, learned, optimal
========================================================

With p(x|z) = N(x; mean(z), sigma^2) the standard deviation sigma decides how much of an
image is signal. It sets the weight of the squared error against the divergence: the
error is divided by 2 sigma^2. Set too large, the latents are not worth their cost and
fall silent; set too small, noise is coded as if it were signal.

Three ways to set it:

- ``noise=0.1``: a number, fixed;
- ``noise="learned"``: a parameter, learned by gradient steps along with the weights;
- ``noise="optimal"``, the default: sigma^2 is the mean squared error, which maximises
  the bound in closed form, for the batch in each step and for the whole training set at
  the end (Rybkin, Daniilidis and Levine, 2021).

In the end ``noise_`` holds sigma. ``noise="heteroscedastic"`` lets the decoder give a
sigma for each pixel, sigma(z).
"""

# %%
# The data: handwritten digits with grey values from 0 to 1.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklvm import VAE

train, test = train_test_split(load_digits().data / 16, test_size=0.25, random_state=0)


def fit(noise):
    """A VAE with that noise, and its held-out bound."""
    model = VAE(
        latent_dim=10, noise=noise, max_epochs=100, lr=3e-3, tol=np.inf, random_state=0
    ).fit(train)
    return model, model.score(test)


# %%
# A grid of fixed values, and the two that find sigma by themselves.
sigmas = np.geomspace(0.03, 1, 8)
fixed = [fit(float(sigma)) for sigma in sigmas]
found = {noise: fit(noise) for noise in ("learned", "optimal")}
_, heteroscedastic_score = fit("heteroscedastic")

print("noise             sigma   held-out ELBO, nats per image")
for sigma, (_, score) in zip(sigmas, fixed, strict=True):
    print(f"fixed           {sigma:7.3f} {score:10.2f}")
for noise, (model, score) in found.items():
    print(f"{noise:15s} {model.noise_:7.3f} {score:10.2f}")
print(f"heteroscedastic       - {heteroscedastic_score:10.2f}")

# %%
# The curve of fixed values has one maximum, and both automatic choices find it in a
# single fit. The held-out error does not show it: it levels off below the best sigma.
# The dotted line is where the error equals sigma, and the best sigma is near it.
#
# The heteroscedastic model is far above all of them. Many pixels at the border are
# blank in nearly every image, and one sigma for all pixels cannot say so.
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.plot(sigmas, [score for _, score in fixed], "o-", color="grey", label="fixed")
errors = [np.mean((model.reconstruct(test) - test) ** 2) for model, _ in fixed]
right.plot(sigmas, np.sqrt(errors), "o-", color="grey", label="fixed")
for (noise, (model, score)), marker in zip(found.items(), "s*", strict=True):
    error = np.sqrt(np.mean((model.reconstruct(test) - test) ** 2))
    left.plot(model.noise_, score, marker, markersize=11, label=noise)
    right.plot(model.noise_, error, marker, markersize=11, label=noise)
left.axhline(
    heteroscedastic_score, color="black", linewidth=0.8, label="heteroscedastic"
)
left.set_ylim(-75, 100)
left.set_ylabel("held-out ELBO, nats per image")
left.set_title("The bound has a maximum")
left.legend()
line = np.geomspace(0.03, 0.3)
right.plot(line, line, color="black", linewidth=0.8, linestyle=":")
right.set_ylim(0, 0.3)
right.set_ylabel("root mean squared error, held out")
right.set_title("The error has no minimum to speak of")
for axis in (left, right):
    axis.set_xscale("log")
    axis.set_xlim(0.025, 1.2)
    axis.set_xticks([0.03, 0.1, 0.3, 1], ["0.03", "0.1", "0.3", "1"])
    axis.set_xlabel("sigma")

# %%
# What it means for the images: on the left held-out images and what each model makes of
# them, on the right draws from each model (decoder means of draws from the prior). A
# large sigma blurs all digits into one. A small one reconstructs as well as the best,
# but pays for it with codes that the prior does not expect: its draws are noisier.
columns = 8
shown = {
    "sigma = 1": fixed[-1][0],
    f"optimal, {found['optimal'][0].noise_:.2f}": found["optimal"][0],
    "sigma = 0.03": fixed[0][0],
}
images = [test[:columns], *(m.reconstruct(test[:columns]) for m in shown.values())]
samples = [m.inverse_transform(m.sample(columns)[1]) for m in shown.values()]

figure, axes = plt.subplots(
    1 + len(shown),
    2 * columns + 1,
    figsize=(11, 3),
    subplot_kw={"xticks": [], "yticks": []},
    layout="constrained",
)
for axis, label in zip(axes[:, 0], ["image", *shown], strict=True):
    axis.set_ylabel(label, rotation=0, ha="right", va="center")
for part, rows in ((axes[:, :columns], images), (axes[1:, -columns:], samples)):
    for axis, image in zip(part.flat, np.reshape(rows, (-1, 8, 8)), strict=True):
        axis.imshow(image, cmap="gray_r", vmin=0, vmax=1)
for axis in (*axes[:, columns], *axes[0, -columns:]):
    axis.axis("off")
axes[0, columns // 2].set_title("held-out images and their reconstructions")
axes[1, columns + 1 + columns // 2].set_title("decoded draws from the prior")

plt.show()
