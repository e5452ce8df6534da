"""Label maps of shapes with outlines, and images that show some of them."""

import copy
from functools import cache

import numpy as np

from sklvm import LabelMapCodec


def scenes(seed, n_maps, shape=(16, 20), n_labels=4):
    """A ground below a horizon and boxes on it; few pixels are otherwise."""
    rng = np.random.default_rng(seed)
    height, width = shape
    maps = np.zeros((n_maps, *shape), dtype=np.int32)
    for labels in maps:
        labels[rng.integers(1, height + 1) :] = 1 % n_labels
        for label in range(2, n_labels):
            top, left = rng.integers(height), rng.integers(width)
            tall, wide = rng.integers(1, height + 1), rng.integers(1, width + 1)
            labels[top : top + tall // 2 + 1, left : left + wide // 2 + 1] = label
    noise = rng.random(maps.shape) < 0.01
    maps[noise] = rng.integers(n_labels, size=noise.sum())
    return maps


def photographs(maps, seed=0):
    """Three channels: labels in colours with grain."""
    rng = np.random.default_rng(seed)
    colours = np.random.default_rng(7).integers(40, 215, size=(64, 3))
    grain = rng.normal(scale=12, size=(*maps.shape, 3))
    return (colours[maps] + grain).clip(0, 255).astype(np.uint8)


X, HELD_OUT = scenes(0, 60), scenes(1, 12)


@cache
def _fitted(with_images):
    images = photographs(X) if with_images else None
    return LabelMapCodec().fit(X, images=images)


def fitted(with_images=False):
    """A fit to X of the test's own."""
    return copy.deepcopy(_fitted(with_images))
