"""Segmentations given their images: what an image saves, and random walks beside it.

CamVid at 90 x 120 as in `labels`, and the same estimator fitted with the photographs.
The peer is scikit-image's random_walker from the same seeds on the same photograph, the
graphical model that one would use instead; its beta is chosen on training maps for each
kind of seeds. The kinds are the estimator's own codes and, so that they are nobody's
choice, seeds at the centres of the largest errors of a Voronoi decoder.
"""

import warnings
from pathlib import Path

import numpy as np
import torch
from _data import camvid_images, camvid_maps
from _report import print_header, print_machine, print_row
from _segmentation_baselines import best_beta, sparse_map, voronoi_seeds, walk
from _segmentation_model import (
    MACHINE_PACKAGES,
    WEIGHTS,
    add_model_arguments,
    curve_of,
    fitted,
    mean_and_most,
    parts,
    print_curve,
    print_equal_bytes,
    rows,
    timed,
)
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

SEED_WEIGHTS = (0.3, 1.2, 4.3, 16.0)
SEED_NUMBERS = (5, 20, 80)
# 367 photographs are few: without a decay of the weights they are known by heart.
REGULARISED = {"optimizer": "adamw", "net_params": {"optimizer__weight_decay": 0.05}}
# Every so many training maps serve to choose beta.
TUNING_STEP = 12
AIMS = (
    "fewer wrong pixels than random_walker on the same seeds, and than the estimator "
    "without images at equal bytes; training under 20 minutes on two cores"
)


def add_arguments(parser):
    add_model_arguments(parser)
    parser.add_argument(
        "--labels-model",
        type=Path,
        help="the same for the estimator without images, as `labels --model` wrote it",
    )


class Scenes:
    """Maps (n, H, W) with their photographs (n, H, W, 3), and both as rows."""

    def __init__(self, maps, photographs):
        self.maps = maps
        self.photographs = photographs
        self.X = rows(maps)
        self.images = rows(photographs).astype(np.float32) / 127.5 - 1

    def every(self, step):
        return Scenes(self.maps[::step], self.photographs[::step])


# Seeds, each kind from scenes to sparse maps (n, P) ----------------------------------


def own_seeds(model, weight):
    def seeds(scenes):
        model.set_params(distortion_weight=weight)
        return model.transform(scenes.X, images=scenes.images)

    return seeds


def error_driven_seeds(n_seeds):
    def seeds(scenes):
        return rows(
            np.stack(
                [
                    sparse_map(truth, voronoi_seeds(truth, n_seeds)[0])
                    for truth in scenes.maps
                ]
            )
        )

    return seeds


# The walker ---------------------------------------------------------------------------


class Walker:
    """random_walker, its beta and the class of maps without seeds from training."""

    def __init__(self, scenes, sparse):
        self.default_class = np.bincount(scenes.X.ravel()).argmax()
        sparse = sparse.reshape(scenes.maps.shape)
        self.beta = best_beta(scenes.photographs, sparse, scenes.maps)

    def decode(self, scenes, sparse):
        """Dense maps (n, P), and the seconds of each."""
        results = [
            walk(photograph, seeds, self.beta, self.default_class)
            for photograph, seeds in zip(
                scenes.photographs, sparse.reshape(scenes.maps.shape), strict=True
            )
        ]
        maps, seconds = zip(*results, strict=True)
        return rows(np.stack(maps)), np.array(seconds)


def per_cent_wrong(decoded, X):
    return 100 * (decoded != X).mean()


def print_walks(model, train, val):
    print_header(
        *("seeds", "mean number", "ours, per cent wrong", "walker, per cent wrong"),
        *("walker's beta", "ours s a map", "walker s a map"),
    )
    kinds = {f"own, lambda = {w}": own_seeds(model, w) for w in SEED_WEIGHTS}
    kinds |= {f"error-driven, {n}": error_driven_seeds(n) for n in SEED_NUMBERS}
    tuning = train.every(TUNING_STEP)
    for name, seeds in kinds.items():
        walker = Walker(tuning, seeds(tuning))
        sparse = seeds(val)
        ours, seconds = timed(model.inverse_transform, sparse, val.images)
        theirs, walker_seconds = walker.decode(val, sparse)
        print_row(
            name,
            f"{(sparse >= 0).sum(axis=1).mean():.1f}",
            f"{per_cent_wrong(ours, val.X):.2f}",
            f"{per_cent_wrong(theirs, val.X):.2f}",
            walker.beta,
            mean_and_most(seconds),
            mean_and_most(walker_seconds),
        )
    print()


def print_zero_seeds(with_images, without, val):
    blank = np.full(val.X.shape, -1)
    given = with_images.inverse_transform(blank, images=val.images)
    alone = without.inverse_transform(blank)
    print(
        f"Without any seed {per_cent_wrong(given, val.X):.2f} per cent of the pixels "
        f"are wrong; without the image too, {per_cent_wrong(alone, val.X):.2f}.\n",
        flush=True,
    )


def run(arguments):
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore", ConvergenceWarning)
    with threadpool_limits(arguments.threads):
        print_machine(arguments.threads, MACHINE_PACKAGES)
        maps, photographs = (
            parts(arguments, *load(arguments.data))
            for load in (camvid_maps, camvid_images)
        )
        train, val = (Scenes(*pair) for pair in zip(maps, photographs, strict=True))
        print(f"{len(train.X)} training maps, {len(val.X)} held out.\n")
        model = fitted(
            arguments.model, train.maps, arguments.epochs, train.images, **REGULARISED
        )
        alone = fitted(arguments.labels_model, train.maps, arguments.epochs)
        print("With images:\n")
        curve = model.rate_distortion_curve(val.X, WEIGHTS, images=val.images)
        print_curve(curve)
        print("\nWithout:\n")
        curve_alone = alone.rate_distortion_curve(val.X, WEIGHTS)
        print_curve(curve_alone)
        print()
        curves = {"with images": curve_of(curve), "without": curve_of(curve_alone)}
        print_equal_bytes(curves, val.X.shape[1])
        print_walks(model, train, val)
        print_zero_seeds(model, alone, val)
    print(f"Aims: {AIMS}.")
