"""What the commands of segmentation.py share: the estimator, its file, its curve."""

import os
import time
from pathlib import Path

import joblib
import numpy as np
import torch
from _data import add_data_argument
from _report import print_header, print_row
from _segmentation_baselines import interpolate_at

from sklvm import SparseSegmentationRDA

# Void is a class like the others, as it is to the peers.
N_CLASSES = 12
SETTINGS = {
    "n_classes": N_CLASSES,
    "distortion_weight": 2.0,
    "random_state": 0,
    "tol": np.inf,
}
# Nats a wrong pixel.
WEIGHTS = (0.1, 0.2, 0.3, 0.5, 0.75, 1.2, 1.9, 2.9, 4.3, 6.5, 10.0, 16.0, 25.0)
# Mean bytes a map at which curves are compared.
BYTES = (20, 25, 30, 40, 50, 65, 80, 100, 130, 160, 200, 250, 300)
MACHINE_PACKAGES = ("torch", "skorch", "pillow", "scikit-image")


def add_model_arguments(parser, epochs=100):
    add_data_argument(parser)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--train-maps", type=int, help="to train on; default: all")
    parser.add_argument("--maps", type=int, help="held out; default: all")
    parser.add_argument(
        "--model",
        type=Path,
        help="pickle of the fitted estimator: read, or written if it does not exist",
    )


def parts(arguments, train, val):
    """As much of the data as the options ask for."""
    return train[: arguments.train_maps], val[: arguments.maps]


def rows(arrays):
    """A row for each map or image."""
    return arrays.reshape(len(arrays), -1)


def fitted(file, maps, epochs, images=None, **settings):
    """The estimator that the file holds; or fit one to maps (n, H, W), and write it."""
    if file is not None and file.exists():
        model = joblib.load(file)
        print(f"Read from {file.name}: {model.n_iter_} epochs, {settings_of(model)}.\n")
        return model
    settings = {**SETTINGS, "max_epochs": epochs, **settings}
    model = SparseSegmentationRDA(image_shape=maps.shape[1:], **settings)
    start = time.perf_counter()
    model.fit(rows(maps), images=images)
    print(
        f"Fitted to {len(maps)} maps{'' if images is None else ' with images'} in "
        f"{time.perf_counter() - start:.0f} s with {torch.get_num_threads()} threads: "
        f"{model.n_iter_} epochs, {settings_of(model)}.\n",
        flush=True,
    )
    if file is not None:
        joblib.dump(model, file)
    return model


def settings_of(model):
    """What is not at its default, and F of training maps."""
    defaults = SparseSegmentationRDA().get_params()
    parameters = model.get_params()
    changed = {
        name: value
        for name, value in parameters.items()
        if repr(value) != repr(defaults[name])
    }
    return f"{changed}, F of training maps {model.lower_bound_:.1f}"


# The curve ----------------------------------------------------------------------------


def as_bytes(nats):
    return nats / np.log(2) / 8


def curve_of(curve):
    """(mean bytes, mean wrong pixels) of what rate_distortion_curve returns."""
    return as_bytes(curve.rate), curve.distortion


def print_curve(curve):
    print_header("lambda", "bytes", "bits a pixel", "per cent wrong", "objective, nats")
    objective = curve.rate + curve.distortion_weight * curve.distortion
    for weight, nats, bits, error, value in zip(
        curve.distortion_weight,
        curve.rate,
        curve.bits_per_pixel,
        curve.error,
        objective,
        strict=True,
    ):
        print_row(
            weight,
            f"{as_bytes(nats):.1f}",
            f"{bits:.4f}",
            f"{100 * error:.2f}",
            f"{value:.1f}",
        )


def print_equal_bytes(curves, n_pixels):
    """Per cent of wrong pixels of curves at equal bytes, the first beside each."""
    errors = {
        name: 100 * interpolate_at(BYTES, curve) / n_pixels
        for name, curve in curves.items()
    }
    print_header("per cent wrong at bytes", *map(str, BYTES))
    for name, error in errors.items():
        print_row(name, *("" if np.isnan(e) else f"{e:.2f}" for e in error))
    (ours, our_error), *peers = errors.items()
    print()
    beaten = []
    for name, error in peers:
        both = ~np.isnan(our_error + error)
        fewer = int((our_error < error)[both].sum())
        print(f"- {name}: {ours} is less at {fewer} of {both.sum()} rates of both")
        if fewer == both.sum() > 0:
            beaten.append(name)
    beaten = "; ".join(beaten) or "none"
    print(f"\nLess at every rate of both than: {beaten}.\n", flush=True)


# Seconds a map ------------------------------------------------------------------------


def timed(function, *arrays):
    """What it makes of each map alone, joined; and the seconds of each.

    `arrays` may hold None. A call before them is not counted: the first one of a
    process waits for what is set up once.
    """

    def one(i):
        return function(*(None if a is None else a[i : i + 1] for a in arrays))

    one(0)
    results, seconds = [], []
    for i in range(len(arrays[0])):
        start = time.perf_counter()
        results.append(one(i))
        seconds.append(time.perf_counter() - start)
    if isinstance(results[0], list):
        return [item for result in results for item in result], np.array(seconds)
    return np.concatenate(results), np.array(seconds)


def mean_and_most(seconds):
    return f"{seconds.mean():.4f} (at most {seconds.max():.4f})"
