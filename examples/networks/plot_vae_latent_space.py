"""
The aggregated posterior, the prior, and the holes between them
===============================================================

A VAE draws new data by decoding draws from its prior p(z). In training the decoder has
only seen draws from the aggregated posterior, the mean of q(z|x) over the data. Where
the prior has mass and the aggregated posterior has none, there is a hole: the decoder
was never trained to draw anything there.

The standard normal prior cannot bend to where the codes are. The VampPrior of Tomczak
and Welling (2018) can: it is a mixture of posteriors at learned pseudo-inputs,
p(z) = 1/K sum_k q(z|u_k). ``prior="vamp"`` is all there is to say.
"""

# %%
# Two models of handwritten digits that differ in the prior alone. Two latent dimensions
# are too few for ten digits, but they can be looked at. All pixels have the same noise,
# so that those that are nearly always blank do not decide the scores.
import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.special import logsumexp
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklvm import VAE

grey, digit = load_digits(return_X_y=True)
train, test, train_digit, _ = train_test_split(
    (grey / 16).astype(np.float32), digit, test_size=0.25, random_state=0
)
models = {
    prior: VAE(
        latent_dim=2,
        prior=prior,
        n_pseudo_inputs=50,
        noise="shared",
        max_epochs=200,
        early_stopping=False,
        tol=np.inf,
        random_state=0,
    ).fit(train)
    for prior in ("standard", "vamp")
}


# %%
# The posterior of each training image is a Gaussian; the encoder gives its mean and the
# logarithm of its standard deviations. Their mixture is the aggregated posterior.
def posteriors(model, X):
    """Means and standard deviations of q(z|x), one row for each image."""
    with torch.no_grad():
        mean, log_sd = model.net_.module_.encoder(torch.from_numpy(X)).chunk(2, dim=1)
    return mean.numpy(), log_sd.exp().numpy()


def log_aggregated(Z, mean, sd):
    """ln of the aggregated posterior's density at each row of Z."""
    log_q = -0.5 * ((Z[:, None] - mean) / sd) ** 2 - np.log(sd * np.sqrt(2 * np.pi))
    return logsumexp(log_q.sum(axis=2), axis=1) - np.log(len(mean))


# %%
# A draw from the prior lies in a hole if the aggregated posterior is thinner there than
# at 99 of 100 of its own draws. If the two were equal, one draw in a hundred would.
def holes(model, n_samples=1000):
    """Draws from the model, their latents, and which of them lie in a hole."""
    mean, sd = posteriors(model, train)
    noise = np.random.default_rng(0).standard_normal(mean.shape)
    aggregated = mean + sd * noise
    threshold = np.quantile(log_aggregated(aggregated, mean, sd), 0.01)
    images, Z = model.sample(n_samples)
    in_hole = log_aggregated(Z, mean, sd) < threshold
    return aggregated, images, Z, in_hole


# %%
# Left, draws from the aggregated posterior, one for each training image, coloured by
# digit, with the digit at the median. In the middle, draws from the prior, and in red
# those in a hole. Right, what the decoder makes of them, framed in red if they come
# from a hole.
def show_aggregated(axis, aggregated):
    axis.scatter(*aggregated.T, c=train_digit, cmap="tab10", s=4)
    for k in range(10):
        middle = np.median(aggregated[train_digit == k], axis=0)
        axis.annotate(str(k), middle, weight="bold", size=14, ha="center", va="center")
    axis.set_title("aggregated posterior")


def show_prior(axis, Z, in_hole):
    axis.scatter(*Z[~in_hole].T, color="lightgrey", s=4)
    axis.scatter(*Z[in_hole].T, color="red", s=4)
    axis.set_title(f"prior: {in_hole.mean():.0%} of the draws in holes")


def show_samples(part, images, in_hole, n_rows=7):
    part.suptitle("samples")
    axes = part.subplots(
        n_rows,
        n_rows,
        subplot_kw={"xticks": [], "yticks": []},
        gridspec_kw={"wspace": 0.08, "hspace": 0.08},
    )
    for axis, image, hole in zip(axes.flat, images, in_hole, strict=False):
        axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        axis.spines[:].set(color="red" if hole else "lightgrey", linewidth=1 + hole)


figure = plt.figure(figsize=(12, 8), layout="constrained")
rows = figure.subfigures(2)
for row, (prior, model) in zip(rows, models.items(), strict=True):
    score = model.score(test)
    row.suptitle(f'prior="{prior}": held-out score {score:.2f} nats per image')
    plane, samples = row.subfigures(1, 2, width_ratios=(2, 1))
    left, middle = plane.subplots(1, 2, sharex=True, sharey=True)
    aggregated, images, Z, in_hole = holes(model)
    show_aggregated(left, aggregated)
    show_prior(middle, Z, in_hole)
    means = model.inverse_transform(Z)
    show_samples(samples, means, in_hole)
    print(f"{prior}: {score:.2f} nats, {in_hole.mean():.1%} of the prior in holes")

plt.show()
