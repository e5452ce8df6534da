"""
A segmentation in a few coloured dots
=====================================

A segmentation gives each pixel a class. Instead of all of them one can send a few
pixels with their classes, the seeds, and let a network that has learnt what such
segmentations look like fill in the rest. How many seeds are worth while is settled by
the objective that a SparseSegmentationRDA minimises,

    rate + lambda * wrong pixels,   rate = -ln P(seeds) in nats:

a seed is sent where it corrects more than it costs. Nothing is approximate about it:
the rate is what the seeds take as real bytes, two of them at most apart, and the wrong
pixels are counted after decoding.

Where sender and receiver both have the image, they need the seeds only for what the
image leaves open. Then it is interactive segmentation, with the fewest clicks.
"""

# %%
# Scenes of one to three discs, boxes and crosses, some in front of others. Each belongs
# to one of three classes, and neither its shape nor its brightness says to which: the
# image, which is noisy, tells where a thing is and not what it is.
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap

from sklvm import SparseSegmentationRDA
from sklvm.inspection import RateDistortionDisplay

SIDE, N_TRAIN, N_TEST = 24, 1000, 40
rng = np.random.default_rng(0)


def draw_scene():
    """Classes of the pixels of a scene, and its brightness, as rows."""
    labels = np.zeros((SIDE, SIDE), dtype=int)
    image = np.full(labels.shape, -0.8)
    for _ in range(rng.integers(1, 4)):
        centre, size = rng.uniform(4, SIDE - 4, size=(2, 1, 1)), rng.uniform(4, 7)
        down, right = np.abs(np.indices(labels.shape) - centre)
        shapes = [
            down**2 + right**2 < size**2,
            np.maximum(down, right) < 0.8 * size,
            (np.minimum(down, right) < 0.3 * size) & (np.maximum(down, right) < size),
        ]
        inside = shapes[rng.integers(3)]
        labels[inside] = rng.integers(1, 4)
        image[inside] = rng.uniform(-0.4, 0.8)
    return labels.ravel(), (image + 0.3 * rng.normal(size=image.shape)).ravel()


scenes = [draw_scene() for _ in range(N_TRAIN + N_TEST)]
maps, images = (np.stack(part) for part in zip(*scenes, strict=True))
train, test = maps[:N_TRAIN], maps[N_TRAIN:]
train_images, test_images = images[:N_TRAIN], images[N_TRAIN:]

# %%
# Two compressors: one sees the segmentation alone, the other has the image too. The
# rate is learned, so positions and classes that come often in codes cost less.
SETTINGS = {
    "image_shape": (SIDE, SIDE),
    "n_classes": 4,
    "distortion_weight": 1.0,
    "channels": (16, 32, 48),
    "max_epochs": 15,
    "lr": 4e-3,
    "tol": np.inf,
    "random_state": 0,
}
alone = SparseSegmentationRDA(**SETTINGS).fit(train)
given_image = SparseSegmentationRDA(**SETTINGS).fit(train, images=train_images)
MODELS = {"alone": (alone, None), "given the image": (given_image, test_images)}

print("held out, a map     rate in bytes   stream   seeds   wrong pixels    F")
codes = {}
for name, (model, seen) in MODELS.items():
    codes[name] = code = model.transform(test, images=seen)
    streams = model.encode(test, images=seen)
    assert (model.decode(streams, seen) == model.inverse_transform(code, seen)).all()
    rate, wrong = model.rate(code).mean(), model.distortion(test, code, seen).mean()
    print(
        f"{name:20s} {rate / np.log(256):12.1f} {np.mean(list(map(len, streams))):8.1f}"
        f" {(code >= 0).sum(axis=1).mean():7.1f} {wrong:14.1f} {-rate - wrong:6.1f}"
    )

# %%
# A scene in each row: its image and segmentation; the seeds, and what they decode to,
# without the image; and with it. Wrong pixels are crossed out.
#
# Many codes are lattices, which seem to be anything but sparse. The learned rate knows
# how: once a code is said to be a lattice, its positions are free, and a seed costs no
# more than a fraction of a bit where its class is that of the seeds beside it.
COLOURS = ListedColormap(["#dddddd", "#3b75af", "#ef8636", "#519d3e"])


def show_classes(axis, labels):
    axis.imshow(labels.reshape(SIDE, SIDE), cmap=COLOURS, vmin=0, vmax=3)


def show_seeds(axis, code):
    """A dot for each seed, those of the background smaller."""
    axis.imshow(np.full((SIDE, SIDE), 0.35), cmap="gray", vmin=0, vmax=1)
    rows, columns = np.nonzero(code.reshape(SIDE, SIDE) >= 0)
    classes = code[code >= 0]
    size = np.where(classes > 0, 30, 6)
    axis.scatter(columns, rows, c=classes, s=size, cmap=COLOURS, vmin=0, vmax=3)


def show_decoded(axis, decoded, labels):
    show_classes(axis, decoded)
    rows, columns = np.nonzero((decoded != labels).reshape(SIDE, SIDE))
    axis.scatter(columns, rows, marker="x", color="black", s=12, linewidths=0.8)


def show_scene(axes, i):
    axes[0].imshow(test_images[i].reshape(SIDE, SIDE), cmap="gray")
    show_classes(axes[1], test[i])
    for name, pair in zip(MODELS, (axes[2:4], axes[4:6]), strict=True):
        model, seen = MODELS[name]
        code = codes[name][[i]]
        decoded = model.inverse_transform(code, None if seen is None else seen[[i]])[0]
        show_seeds(pair[0], code[0])
        n_bytes = model.rate(code)[0] / np.log(256)
        pair[0].set_title(f"{n_bytes:.1f} bytes", fontsize="medium")
        show_decoded(pair[1], decoded, test[i])
        pair[1].set_title(f"{(decoded != test[i]).sum()} wrong", fontsize="medium")


N_SHOWN = 5
figure, axes = plt.subplots(
    N_SHOWN,
    6,
    figsize=(10, 1.9 * N_SHOWN),
    layout="constrained",
    subplot_kw={"xticks": [], "yticks": []},
)
for i, row in enumerate(axes):
    show_scene(row, i)
HEADINGS = [
    *("image", "segmentation", "seeds", "decoded"),
    *("seeds given the image", "decoded with it"),
]
for axis, heading in zip(axes[-1], HEADINGS, strict=True):
    axis.set_xlabel(heading)

# %%
# The same networks at other values of lambda, without any further training: the search
# for seeds follows the present value. Beside them two codes without a network.
display = RateDistortionDisplay.from_estimator(alone, test)
display.lines_[0].set_label("alone")
RateDistortionDisplay.from_estimator(
    given_image, test, images=test_images, baselines=False, ax=display.ax_
).lines_[0].set_label("given the image")
display.ax_.set_title("Scenes of shapes, held out")
display.ax_.legend()

plt.show()
