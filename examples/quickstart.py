"""
Every estimator on handwritten digits
=====================================

Fits each estimator of the package to scikit-learn's 8 x 8 scans of handwritten digits,
prints one table, and saves one picture of what was learnt and of what it draws.

The score is log p(x) of held-out images, in nats per image; for the autoencoders it is
a lower bound on it. It compares directly between models of the *same* data, so only
between rows of the table with the same entry under "data": a density of grey values, a
probability of the same values as counts, one of black and white pixels, and one of the
lower half of the pixels given the upper half are not the same quantity. The score of
the SparseSegmentationRDA is not a density at all: minus the rate of a few pixels, from
which the others are decoded, minus distortion_weight nats for each pixel that is
decoded wrong.
"""

# %%
# The data: the same images as grey values 0 to 16, as ink or no ink, and with each
# pixel in one of four classes, from blank to black.
import argparse
import time

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.datasets import load_digits
from sklearn.metrics.cluster import contingency_matrix
from sklearn.model_selection import train_test_split

from sklvm import (
    GMVAE,
    VAE,
    BernoulliMixtureEM,
    CategoricalMixtureEM,
    ConditionalVAE,
    GaussianMixtureEM,
    MixtureEM,
    PoissonMixtureEM,
    SparseSegmentationRDA,
)

grey, digit = load_digits(return_X_y=True)
ink = (grey > 7.5).astype(float)
DATA = {
    "binary": ink,
    "grey": grey,
    "grey, as counts": grey,
    "binary, lower half given upper": ink,
    "classes": np.digitize(grey, [4, 8, 12]),
}

# %%
# The estimators, each after the data it is for. One more is one more line.
#
# By maximum likelihood a pixel that is blank in all training images of a component
# gives probability zero to held-out ink there, or, in the Gaussian mixture, density
# without limit to held-out blanks. The prior on theta, or on the rates of counts,
# prevents the one; a ridge of 1/12, the variance of rounding to whole grey values,
# prevents the other. The 17 grey values are counts of ink in a block of 4 x 4 pixels of
# the original scan, and the four classes from blank to black are answers in no order.
# The MixtureEM is for tables of mixed columns; with one kind it is the mixture of that
# kind.
#
# The VAE of grey values finds by itself that they are whole, and keeps its noise above
# the deviation of rounding; of pixels that vary more, above a tenth of their own. The
# VAEs and the ConditionalVAE hold rows out and keep the best weights for these, within
# so many epochs as there is time for here; so ``tol`` is infinite: no warning that F
# would still rise. The GMVAE has the networks of the VAE and the components of the
# mixtures. The ConditionalVAE is of another kind, a model of y given x: x is the upper
# half of an image, y the lower half. The SparseSegmentationRDA keeps of a segmentation
# those pixels that are worth their nats.
MIXTURE = {"n_components": 10, "n_init": 10, "random_state": 0}
NETWORK = {"latent_dim": 16, "max_epochs": 150, "tol": np.inf, "random_state": 0}
COUNTS = ("poisson", slice(None), {"rates_prior": (1.5, 0.1)})
SMALLER = {**NETWORK, "latent_dim": 8, "max_epochs": 100}
GREY = {"min_noise": 0.1}
ESTIMATORS = [
    ("binary", BernoulliMixtureEM(theta_prior=(1.5, 1.5), **MIXTURE)),
    ("binary", VAE(likelihood="bernoulli", **NETWORK)),
    ("binary", GMVAE(n_components=10, likelihood="bernoulli", **SMALLER, lr=3e-3)),
    ("classes", CategoricalMixtureEM(n_categories=4, theta_prior=1.5, **MIXTURE)),
    ("grey, as counts", PoissonMixtureEM(rates_prior=(1.5, 0.1), **MIXTURE)),
    ("grey, as counts", MixtureEM(components=[COUNTS], **MIXTURE)),
    ("grey", GaussianMixtureEM(reg_covar=1 / 12, **MIXTURE)),
    ("grey", VAE(likelihood="gaussian", noise="heteroscedastic", **GREY, **NETWORK)),
    (
        "binary, lower half given upper",
        ConditionalVAE(likelihood="bernoulli", **SMALLER),
    ),
    (
        "classes",
        SparseSegmentationRDA(
            image_shape=(8, 8),
            distortion_weight=5.0,
            channels=(16, 32),
            max_epochs=6,
            tol=np.inf,
            random_state=0,
        ),
    ),
]


# %%
# What is measured.
def clustering_accuracy(labels, clusters):
    """Share of rows whose cluster, matched one to one with the labels, is right."""
    counts = contingency_matrix(labels, clusters)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return counts[rows, columns].sum() / len(labels)


def given(estimator, images):
    """What the methods of the estimator take: the images, or x and y, their halves."""
    if isinstance(estimator, ConditionalVAE):
        return np.split(images, 2, axis=1)
    return [images]


def evaluate(data, estimator):
    """Fit on training images, measure on held-out ones: one row of the table."""
    train, test, _, test_digit = train_test_split(
        DATA[data], digit, test_size=0.25, stratify=digit, random_state=0
    )
    start = time.perf_counter()
    estimator.fit(*given(estimator, train))
    seconds = time.perf_counter() - start
    held_out = given(estimator, test)
    density = not isinstance(estimator, SparseSegmentationRDA)
    return {
        "estimator": type(estimator).__name__,
        "data": data,
        "held-out nats per image": (
            f"{estimator.score(*held_out):.2f}{'' if density else ' (no density)'}"
        ),
        "fit s": f"{seconds:.2f}",
        "latent size": str(estimator.transform(*held_out).shape[1]),
        "accuracy": (
            f"{clustering_accuracy(test_digit, estimator.predict(test)):.3f}"
            if hasattr(estimator, "fit_predict")
            else "-"
        ),
    }


def print_table(rows):
    """Print rows of equal keys with aligned columns."""
    table = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        cells = zip(line, widths, strict=True)
        print("  ".join(cell.ljust(width) for cell, width in cells).rstrip())


def learnt(estimator, images):
    """What to call the images that show what was learnt, and as many of them.

    The means of the components; of a VAE, the decoder's means on the straight line
    between the latents of two digits; of a model of lower halves, their means; of
    segmentations, their sparse maps.
    """
    if isinstance(estimator, SparseSegmentationRDA):
        sparse = estimator.transform(images)
        return "sparse maps", np.where(sparse < 0, np.nan, sparse)
    if isinstance(estimator, ConditionalVAE):
        upper, _ = given(estimator, images)
        means = np.hstack([upper, estimator.predict(upper)])
        return "means", means
    if isinstance(estimator, GMVAE):
        return "components", estimator.inverse_transform(estimator.means_)
    if hasattr(estimator, "n_components"):
        return "components", estimator.inverse_transform(np.eye(len(images)))
    first, last = estimator.transform(images[:2])
    path = np.linspace(first, last, len(images))
    return "from a zero to a one through the latents", estimator.inverse_transform(path)


def draws(estimator, images):
    """What to call the images below, and as many of them.

    Samples; of lower halves, one for each upper half; what sparse maps decode to.
    """
    if isinstance(estimator, SparseSegmentationRDA):
        sparse = estimator.transform(images)
        return "what they decode to", estimator.inverse_transform(sparse)
    if isinstance(estimator, ConditionalVAE):
        upper, _ = given(estimator, images)
        return "samples", np.hstack([upper, estimator.sample(upper)[0]])
    return "samples", estimator.sample(len(images))[0]


def save_picture(path, n_columns=10):
    """Two rows of images for each estimator: what was learnt, then samples.

    Where a sparse map is blank, the colour of the axes is seen.
    """
    import matplotlib.pyplot as plt

    figure = plt.figure(
        figsize=(n_columns, 2.4 * len(ESTIMATORS)), layout="constrained"
    )
    parts = figure.subfigures(len(ESTIMATORS), squeeze=False)[:, 0]
    for part, (data, estimator) in zip(parts, ESTIMATORS, strict=True):
        images = DATA[data][:n_columns]
        what, means = learnt(estimator, images)
        below, samples = draws(estimator, images)
        part.suptitle(f"{type(estimator).__name__}, {data}: {what}; {below} below")
        frame = {"xticks": [], "yticks": [], "facecolor": "tan"}
        axes = part.subplots(2, n_columns, subplot_kw=frame)
        for axis, image in zip(axes.flat, [*means, *samples], strict=True):
            image = image.reshape(8, 8)
            axis.imshow(image, cmap="gray_r", vmin=0, vmax=DATA[data].max())
    figure.savefig(path, dpi=100)


# %%
# The table and the picture.
if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Fit every estimator to digits.")
    parser.add_argument("--picture", default="quickstart.png", help="where to save it")
    arguments = parser.parse_args()
    print_table([evaluate(*entry) for entry in ESTIMATORS])
    save_picture(arguments.picture)
    print(f"\nWhat was learnt, and samples: {arguments.picture}")
