"""What SparseSegmentationRDA is measured against, apart from quadtrees.

Maps are integers (n, H, W) from 0 to K - 1; a curve is the mean bytes a map and the
mean number of wrong pixels a map, in ascending bytes.
"""

import io
import time
import warnings
from itertools import product

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt, find_objects
from scipy.special import gammaln
from skimage.measure import label
from skimage.segmentation import random_walker

LN2 = np.log(2.0)
# RIFF's header and that of the one chunk in it.
WEBP_CONTAINER_BYTES = 20
STEPS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32)
BETAS = (3, 10, 30, 100, 300, 1000, 3000)
DELTAS = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002)


def interpolate_at(bytes_grid, curve):
    """The wrong pixels of a curve at given bytes, linear in log bytes; NaN outside it.

    `curve` is (mean bytes, mean wrong pixels).
    """
    n_bytes, wrong = (np.asarray(values, dtype=float) for values in curve)
    order = np.argsort(n_bytes)
    n_bytes, wrong = n_bytes[order], wrong[order]
    grid = np.log(bytes_grid)
    return np.interp(grid, np.log(n_bytes), wrong, left=np.nan, right=np.nan)


# Error-driven seeds, decoded by the nearest of them ----------------------------------


def centre_of_largest_error(truth, decoded):
    """The pixel farthest from the border of the largest wrong region, None if none is.

    A region is a connected set of wrong pixels of one true class.
    """
    regions = label(np.where(truth != decoded, truth + 1, 0), connectivity=1)
    sizes = np.bincount(regions.ravel())[1:]
    if len(sizes) == 0:
        return None
    largest = int(sizes.argmax()) + 1
    box = find_objects(regions, max_label=largest)[-1]
    inside = np.pad(regions[box] == largest, 1)
    depth = distance_transform_edt(inside)[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    return box[0].start + int(row), box[1].start + int(column)


def voronoi_seeds(truth, n_seeds):
    """Seeds at the centres of the largest errors, each with its true class.

    Returns the seeds' rows and columns, and the number of wrong pixels with 1, 2, ...
    of them: fewer than `n_seeds` where nothing is wrong any more. Before the first seed
    every pixel is.
    """
    rows, columns = np.indices(truth.shape)
    decoded = np.full(truth.shape, -1)
    nearest = np.full(truth.shape, np.inf)
    seeds, wrong = [], []
    while len(seeds) < n_seeds and (seed := centre_of_largest_error(truth, decoded)):
        distance = (rows - seed[0]) ** 2 + (columns - seed[1]) ** 2
        closer = distance < nearest
        nearest[closer], decoded[closer] = distance[closer], truth[seed]
        seeds.append(seed)
        wrong.append(int((decoded != truth).sum()))
    return np.array(seeds), np.array(wrong)


def sparse_map(truth, seeds):
    """The true class at the seeds, -1 elsewhere."""
    sparse = np.full(truth.shape, -1)
    sparse[tuple(seeds.T)] = truth[tuple(seeds.T)]
    return sparse


def list_bytes(n_seeds, n_pixels, n_classes):
    """A list whose every entry, the end too, is one of P K + 1 symbols."""
    return (n_seeds + 1) * np.log(n_pixels * n_classes + 1) / LN2 / 8


def subset_bytes(n_seeds, n_pixels, n_classes):
    """Distinct positions in no order, a class for each; their number costs nothing."""
    n_seeds = np.asarray(n_seeds, dtype=float)
    binomial = gammaln(n_pixels + 1) - gammaln(n_seeds + 1)
    binomial = binomial - gammaln(n_pixels - n_seeds + 1)
    return (binomial + n_seeds * np.log(n_classes)) / LN2 / 8


def voronoi_curves(maps, n_classes, max_bytes=300):
    """{rate model: curve} over the number of seeds, the same for all maps.

    A map that is right before it has them all stops there, and pays for those it has.
    """
    n_pixels = maps[0].size
    lengths = {"list": list_bytes, "subset": subset_bytes}
    numbers = np.arange(1, n_pixels // 2)
    n_seeds = {
        name: int(np.sum(length(numbers, n_pixels, n_classes) <= max_bytes)) + 1
        for name, length in lengths.items()
    }
    wrong = [voronoi_seeds(truth, max(n_seeds.values()))[1] for truth in maps]
    curves = {}
    for name, length in lengths.items():
        used = np.stack([np.minimum(numbers[: n_seeds[name]], len(w)) for w in wrong])
        errors = np.stack([w[n - 1] for w, n in zip(wrong, used, strict=True)])
        n_bytes = length(used, n_pixels, n_classes)
        curves[name] = n_bytes.mean(axis=0), errors.mean(axis=0)
    return curves


# Files of ordinary formats ------------------------------------------------------------


def file_bytes(image, **options):
    file = io.BytesIO()
    image.save(file, **options)
    return file.tell()


def grey_image(values):
    return Image.fromarray(values.astype(np.uint8))


def palette_image(values, n_classes):
    """One colour a class, and no more of them in the palette."""
    image = grey_image(values)
    image.putpalette(np.repeat(np.arange(n_classes), 3).tolist())
    return image


def webp_bytes(values, n_classes):
    """Lossless WebP, the smaller of classes as grey values and spread over 0 to 255."""
    options = {"format": "WEBP", "lossless": True, "quality": 100, "method": 6}
    spread = 255 // max(n_classes - 1, 1)
    return min(file_bytes(grey_image(values * step), **options) for step in (1, spread))


def png_bytes(values, n_classes):
    """Optimised PNG, the smaller of grey and of a palette with the fewest bits."""
    options = {"format": "PNG", "optimize": True}
    bits = next(b for b in (1, 2, 4, 8) if 2**b >= n_classes)
    return min(
        file_bytes(grey_image(values), **options),
        file_bytes(palette_image(values, n_classes), bits=bits, **options),
    )


def thin_out(maps, row_step, column_step):
    """Keep the middle pixel of each block, and what nearest neighbours make of it."""
    _, height, width = maps.shape
    rows = np.minimum(np.arange(0, height, row_step) + row_step // 2, height - 1)
    columns = np.minimum(np.arange(0, width, column_step) + column_step // 2, width - 1)
    small = maps[:, rows[:, None], columns]
    row, column = np.arange(height) // row_step, np.arange(width) // column_step
    return small, small[:, row[:, None], column]


def thinned_webp_points(maps, n_classes, steps=STEPS):
    """[(row step, column step, mean bytes, mean wrong pixels)], real WebP files.

    One step is at most twice the other.
    """
    points = []
    for row_step, column_step in product(steps, repeat=2):
        if max(row_step, column_step) <= 2 * min(row_step, column_step):
            small, large = thin_out(maps, row_step, column_step)
            n_bytes = np.mean([webp_bytes(values, n_classes) for values in small])
            wrong = (large != maps).sum() / len(maps)
            points.append((row_step, column_step, float(n_bytes), float(wrong)))
    return points


def best_of(points):
    """The curve of the points that no other beats in bytes and in wrong pixels."""
    curve = []
    for point in sorted(points, key=lambda p: p[2:]):
        if not curve or point[3] < curve[-1][1]:
            curve.append(point[2:])
    return tuple(np.array(curve).T)


# Lossless -----------------------------------------------------------------------------


def context_coder_bits(values, n_classes, delta):
    """The ideal length of one map coded by its four past neighbours, W, N, NW and NE.

    Each context starts empty: P(c) = (n_c + delta) / (n + K delta), n the counts so
    far. The product over a context's pixels depends on its final counts alone,

        Gamma(K delta) / Gamma(n + K delta) prod_c Gamma(n_c + delta) / Gamma(delta).
    """
    padded = np.pad(values, ((1, 0), (1, 1)), constant_values=n_classes)
    neighbours = padded[1:, :-2], padded[:-1, 1:-1], padded[:-1, :-2], padded[:-1, 2:]
    context = np.ravel_multi_index(neighbours, (n_classes + 1,) * 4)
    _, context = np.unique(context, return_inverse=True)
    counts = np.zeros((context.max() + 1, n_classes))
    np.add.at(counts, (context.ravel(), values.ravel()), 1)
    total = gammaln(counts.sum(axis=1) + n_classes * delta) - gammaln(n_classes * delta)
    return (total.sum() - (gammaln(counts + delta) - gammaln(delta)).sum()) / LN2


def best_delta(maps, n_classes, deltas=DELTAS):
    """The delta of least mean length: to be chosen on the training maps."""
    return min(
        deltas, key=lambda d: sum(context_coder_bits(m, n_classes, d) for m in maps)
    )


def lossless_bytes(train, val, n_classes):
    """{coder: mean bytes a map}."""
    delta = best_delta(train, n_classes)
    coders = {
        "PNG": lambda m: png_bytes(m, n_classes),
        "WebP": lambda m: webp_bytes(m, n_classes),
        f"context coder (ideal, delta {delta})": lambda m: (
            context_coder_bits(m, n_classes, delta) / 8
        ),
    }
    return {
        name: float(np.mean([coder(truth) for truth in val]))
        for name, coder in coders.items()
    }


# Random walks from the seeds ----------------------------------------------------------


def walk(image, sparse, beta, default_class=0):
    """scikit-image's random walker from a sparse map (H, W), and the seconds it took.

    `image` is (H, W, 3), 0 to 255. Without seeds the map becomes the default class, and
    with seeds of one class that class: the walker wants two, and a pixel to decide on.
    """
    start = time.perf_counter()
    classes, labels = np.unique(sparse, return_inverse=True)
    if classes[0] >= 0:
        dense = sparse
    elif len(classes) <= 2:
        dense = np.full_like(sparse, classes[1] if len(classes) == 2 else default_class)
    else:
        # Blank is the first of the classes, and its label 0 the walker's blank.
        dense = classes[walker_labels(image / 255, labels.reshape(sparse.shape), beta)]
    return dense, time.perf_counter() - start


def walker_labels(image, labels, beta):
    with warnings.catch_warnings():
        # Of probabilities that miss 0 or 1 by a little, where beta is large.
        warnings.simplefilter("ignore")
        # The direct solver: on maps of this size the fastest of its three.
        return random_walker(image, labels, beta=beta, mode="bf", channel_axis=-1)


def best_beta(images, sparse, truth, betas=BETAS):
    """The beta of fewest wrong pixels: to be chosen on training maps."""

    def wrong(beta):
        return sum(
            int((walk(image, seeds, beta)[0] != dense).sum())
            for image, seeds, dense in zip(images, sparse, truth, strict=True)
        )

    return min(betas, key=wrong)
