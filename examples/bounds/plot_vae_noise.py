"""
The noise of a Gaussian decoder: by column, shared, fixed
=========================================================

With p(x|z) = N(x; mean(z), sigma^2) the standard deviation sigma decides how much of an
image is signal. It sets the weight of the squared error against the divergence: the
error is divided by 2 sigma^2. Set too large, the latents are not worth their cost and
fall silent; set too small, noise is coded as if it were signal.

- ``noise=0.1``: a number, fixed, for all pixels;
- ``noise="shared"``: one sigma for all pixels, with sigma^2 the mean squared error,
  which maximises the bound in closed form, for the batch in each step and for the whole
  training set at the end (Rybkin, Daniilidis and Levine, 2021);
- ``noise="optimal"``, the default: the same for each pixel, so that each has a sigma of
  its own;
- ``noise="learned"``: one for each pixel, learned by gradient steps;
- ``noise="heteroscedastic"``: the decoder gives sigma(z), for each pixel and image.

In the end ``noise_`` holds the sigmas, except for the last, where they depend on z.
"""

# %%
# The data: handwritten digits with grey values from 0 to 1.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklvm import VAE

train, test = train_test_split(load_digits().data / 16, test_size=0.25, random_state=0)


# %%
# The default holds a tenth of these rows out, and keeps the weights that were best for
# it. ``max_epochs`` keeps the example short.
def fit(noise):
    """A VAE with that noise, and its held-out score."""
    model = VAE(latent_dim=10, noise=noise, max_epochs=100, random_state=0).fit(train)
    return model, model.score(test)


# %%
# A grid of fixed values, and those that find sigma by themselves.
sigmas = [0.03, 0.06, 0.1, 0.2, 1.0]
fixed = [fit(sigma) for sigma in sigmas]
shared, shared_score = fit("shared")
BY_PIXEL = ("optimal", "learned", "heteroscedastic")
found = {name: fit(name) for name in BY_PIXEL}

print("noise              sigma            held-out score, nats per image")
for sigma, (_, score) in zip(sigmas, fixed, strict=True):
    print(f"fixed              {sigma:.3f}            {score:8.2f}")
print(f"shared             {shared.noise_:.3f}            {shared_score:8.2f}")
for name, (model, score) in found.items():
    noise = getattr(model, "noise_", None)
    span = "-" if noise is None else f"{noise.min():.3f} to {noise.max():.3f}"
    print(f"{name:18s} {span:16s} {score:8.2f}")

# %%
# The curve of fixed values has one maximum, and "shared" finds it in a single fit. The
# held-out error does not show it: it levels off below the best sigma. The dotted line
# is where the error equals sigma, and the best sigma is near it.
#
# The models with a sigma for each pixel are far above all of them. Many pixels at the
# border are blank in nearly every image, and one sigma for all pixels cannot say so.
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.plot(sigmas, [score for _, score in fixed], "o-", color="grey", label="fixed")
left.plot(shared.noise_, shared_score, "*", markersize=11, label="shared")
for index, (name, (_, score)) in enumerate(found.items(), start=1):
    left.axhline(score, color=f"C{index}", linewidth=1, label=name)
errors = [np.mean((model.reconstruct(test) - test) ** 2) for model, _ in fixed]
right.plot(sigmas, np.sqrt(errors), "o-", color="grey", label="fixed")
error = np.sqrt(np.mean((shared.reconstruct(test) - test) ** 2))
right.plot(shared.noise_, error, "*", markersize=11, label="shared")
left.set_ylim(-75, 100)
left.set_ylabel("held-out score, nats per image")
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
# The sigma of each pixel. A pixel that is blank in all images but a few could have next
# to none, and a held-out image with ink there would be all but impossible. So sigma has
# a floor: ``min_noise`` standard deviations of the column, 0.01 by default, and where
# values are rounded, as these are to sixteenths, the deviation of rounding. Where
# ``fit`` warns that held-out rows are far below the training rows, increase it.
sigma = found["optimal"][0].noise_.reshape(8, 8)
print(f"least sigma {sigma.min():.4f}, deviation of rounding {1 / 16 / 12**0.5:.4f}")
figure, axis = plt.subplots(figsize=(4, 3), layout="constrained")
figure.colorbar(axis.imshow(sigma, vmin=0))
axis.set(xticks=[], yticks=[], title='noise="optimal": sigma of each pixel')

# %%
# What it means for the images: on the left held-out images and what each model makes of
# them, on the right draws from each model (decoder means of draws from the prior). A
# large sigma blurs all digits into one. A small one reconstructs and draws as well as
# the best; only the score tells that it is far too sure. With a sigma for each pixel
# the faint pixels count as much as the strong ones: that makes the better density, and
# neither better reconstructions nor better looking draws.
columns = 8
shown = {
    "sigma = 1": fixed[-1][0],
    f"shared, {shared.noise_:.2f}": shared,
    "by pixel": found["optimal"][0],
    "sigma = 0.03": fixed[0][0],
}
images = [test[:columns], *(m.reconstruct(test[:columns]) for m in shown.values())]
samples = [m.inverse_transform(m.sample(columns)[1]) for m in shown.values()]

figure, axes = plt.subplots(
    1 + len(shown),
    2 * columns + 1,
    figsize=(11, 3.6),
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
