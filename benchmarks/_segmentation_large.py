"""Label maps of 1,024 x 2,048: bytes, seconds each way and peak memory, beside peers.

CamVid at 360 x 480: held-out scenes are joined, fifteen to a map, and single ones are
enlarged. Coded are they by LabelMapCodec, fitted to every sixth training map at
360 x 480, and by SparseSegmentationRDA, fitted to `--train-maps` at 90 x 120 or at
360 x 480 for `--epochs`, which works in tiles of that size, with loss and without. Of
the lossy maps the share of wrong pixels is given near the seams of the tiles and
elsewhere. Times are process time on one thread. Memory is the largest of the process so
far, so the order of the rows counts.

Peers, on the same maps in the same run: PNG and WebP of Pillow. The aim is 20 s a map
each way.
"""

import resource
import time

import numpy as np
import torch
from _data import add_data_argument, camvid_maps, camvid_maps_in_full
from _report import print_header, print_machine, print_row
from _segmentation_lossless import EVERY, N_CLASSES, pillow
from threadpoolctl import threadpool_limits

from sklvm import LabelMapCodec, SparseSegmentationRDA
from sklvm.segmentation._tiles import windows

SHAPE = 1024, 2048
GRID = 3, 5
# Pixels from a seam that are near it.
NEAR = 4


def joined(scenes, number):
    """A map of scenes side by side."""
    n = GRID[0] * GRID[1]
    some = scenes[(np.arange(n) + n * number) % len(scenes)]
    rows = some.reshape(*GRID, *scenes.shape[1:])
    return np.concatenate(np.concatenate(rows, axis=1), axis=1)[: SHAPE[0], : SHAPE[1]]


def enlarged(scene):
    """A scene in which every pixel is several."""
    rows, columns = (
        np.arange(n) * m // n for n, m in zip(SHAPE, scene.shape, strict=True)
    )
    return scene[np.ix_(rows, columns)]


def timed(function, *arguments, **options):
    start = time.process_time()
    result = function(*arguments, **options)
    return result, time.process_time() - start


def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def near_seams(image_shape):
    """Which pixels of a map are near a seam between tiles."""
    near = np.zeros(SHAPE, dtype=bool)
    for rows, columns in windows(SHAPE, image_shape):
        if rows.start:
            near[rows.start - NEAR : rows.start + NEAR] = True
        if columns.start:
            near[:, columns.start - NEAR : columns.start + NEAR] = True
    return near


def print_coded(name, codec, maps, **options):
    """The mean of maps that are coded one by one; returns what is decoded."""
    sizes, encoding, decoding, decoded = [], [], [], []
    for labels in maps:
        streams, seconds = timed(codec.encode, [labels], **options)
        encoding.append(seconds)
        back, seconds = timed(codec.decode, streams)
        decoding.append(seconds)
        sizes.append(len(streams[0]))
        decoded.append(back[0])
    print_row(
        name,
        f"{np.mean(sizes):.0f}",
        f"{np.mean(encoding):.1f}",
        f"{np.mean(decoding):.1f}",
        f"{megabytes():.0f}",
    )
    return decoded


def print_peers(maps):
    for name, options in (
        ("PNG", {"optimize": True}),
        ("WEBP", {"lossless": True, "quality": 100, "method": 6}),
    ):
        size = pillow(name, **options)
        sizes, seconds = zip(*(timed(size, labels) for labels in maps), strict=True)
        print_row(name, f"{np.mean(sizes):.0f}", f"{np.mean(seconds):.1f}", "", "")


def add_arguments(parser):
    add_data_argument(parser)
    parser.add_argument("--maps", type=int, default=2, help="of each kind")
    parser.add_argument("--size", choices=["90", "360"], default="90", help="of a tile")
    parser.add_argument("--train-maps", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rate-model", default="learned")


def fitted(arguments):
    maps = {"90": camvid_maps, "360": camvid_maps_in_full}[arguments.size]
    train = maps(arguments.data)[0]
    every = max(1, len(train) // arguments.train_maps)
    model = SparseSegmentationRDA(
        n_classes=N_CLASSES,
        rate_model=arguments.rate_model,
        max_epochs=arguments.epochs,
        tol=np.inf,
        random_state=0,
    )
    return timed(model.fit, train[::every][: arguments.train_maps])


def run(arguments):
    torch.set_num_threads(1)
    with threadpool_limits(1):
        print_machine(1, ("torch", "pillow"))
        train, val = camvid_maps_in_full(arguments.data)
        codec, seconds = timed(LabelMapCodec().fit, train[::EVERY])
        print(f"LabelMapCodec: fit of {seconds:.1f} s, {megabytes():.0f} MB.")
        model, seconds = fitted(arguments)
        print(
            f"SparseSegmentationRDA at {model.image_shape_}: {arguments.train_maps} "
            f"maps, {arguments.epochs} epochs, {seconds:.1f} s, {megabytes():.0f} MB."
        )
        near = near_seams(model.image_shape_)
        for kind, maps in (
            ("scenes side by side", [joined(val, i) for i in range(arguments.maps)]),
            ("scenes enlarged", [enlarged(val[7 * i]) for i in range(arguments.maps)]),
        ):
            print(f"\n{kind}, {SHAPE[0]} x {SHAPE[1]}\n")
            columns = "bytes per map", "encode s", "decode s", "peak MB"
            print_header("code", *columns)
            decoded = print_coded("LabelMapCodec", codec, maps)
            exact = print_coded("RDA, lossless", model, maps, lossless=True)
            if not (np.equal(decoded, maps).all() and np.equal(exact, maps).all()):
                raise AssertionError("A map has not come back.")
            lossy = print_coded("RDA, lossy", model, maps)
            print_peers(maps)
            wrong = np.not_equal(lossy, maps)
            print(
                f"\nWrong pixels, lossy: {100 * wrong.mean():.2f} %; within {NEAR} of a"
                f" seam {100 * wrong[:, near].mean():.2f} %, elsewhere "
                f"{100 * wrong[:, ~near].mean():.2f} %.",
                flush=True,
            )
