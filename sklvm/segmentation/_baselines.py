"""Codes without a network, beside which a curve is judged."""

import numpy as np
from scipy.ndimage import distance_transform_edt

from sklvm.segmentation._refine import best_of_regions, depths, wrong_regions

# Distances between the pixels that stay, and numbers of seeds.
STEPS = 16, 12, 8, 6, 4, 3, 2
NUMBERS = 1, 2, 4, 8, 16, 32, 64, 128


def nearest_seeds(code):
    """The class of the nearest seed at each pixel; class 0 where there is none."""
    if not (code >= 0).any():
        return np.zeros_like(code)
    nearest = distance_transform_edt(
        code < 0, return_distances=False, return_indices=True
    )
    return code[tuple(nearest)]


def error_driven(labels, counted):
    """Codes of `NUMBERS` of seeds, each in the middle of the largest wrong region."""
    code = np.full(labels.shape, -1, dtype=np.int32)
    codes = []
    for n_seeds in NUMBERS:
        while (code >= 0).sum() < n_seeds:
            wrong = (nearest_seeds(code) != labels) & counted
            if not codes and not (code >= 0).any():
                wrong = counted
            if not wrong.any():
                break
            regions = wrong_regions(labels, wrong)
            areas = np.bincount(regions.ravel())[regions]
            pixel = best_of_regions(regions, areas + depths(regions) / regions.size)[0]
            code.flat[pixel] = labels.flat[pixel]
        codes.append(code.copy())
    return np.stack(codes)


def thinned(labels, counted):
    """Codes that keep every second, third ... row and column."""
    codes = []
    for step in STEPS:
        kept = np.zeros(labels.shape, dtype=bool)
        starts = [min(step // 2, n // 2) for n in labels.shape]
        kept[starts[0] :: step, starts[1] :: step] = True
        codes.append(np.where(kept & counted, labels, -1))
    return np.stack(codes)


def baseline_curves(labels, counted, rate, n_classes):
    """Mean nats and wrong pixels of maps (n, H, W) coded without a network.

    `rate` is that of codes (n, P) in nats; a thinned map has ln k per pixel.
    """
    curves = {}
    for name, make in (("nearest seed", error_driven), ("thinned", thinned)):
        codes = np.stack([make(*pair) for pair in zip(labels, counted, strict=True)])
        wrong = [
            [((nearest_seeds(c) != y) & where).sum() for c in row]
            for row, y, where in zip(codes, labels, counted, strict=True)
        ]
        codes = codes.swapaxes(0, 1).reshape(codes.shape[1], len(labels), -1)
        if make is thinned:
            rates = [(c >= 0).sum(axis=1).mean() * np.log(n_classes) for c in codes]
        else:
            rates = [rate(c).mean() for c in codes]
        curves[name] = np.array(rates), np.mean(wrong, axis=0)
    return curves
