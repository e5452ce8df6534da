"""Segmentations alone: rate and distortion, real bytes, lossless, seconds a map.

CamVid at 90 x 120, trained on its 367 training maps, reported on its 101 validation
maps; void counts as a class. Rates are means over the maps. Ours is -ln P(L) of the
learned rate, and so are the quadtrees' ideal code lengths; that of our real bytes is
printed beside it. All the peers are computed here, on the same maps:

- quadtrees of least rate + lambda * wrong pixels, whose code is fitted to the training
  maps at each lambda: with a class coded by depth alone, and by its parent's class;
- seeds at the centres of the largest errors, each decoded to its Voronoi cell, as a
  list and as a subset;
- lossless WebP of every n-th pixel, with the container's 20 bytes and without them;
- for lossless codes PNG, WebP, and the ideal length of an adaptive context coder.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from _data import camvid_maps
from _quadtree import LN2, quadtree_curve
from _report import print_header, print_machine, print_row
from _segmentation_baselines import (
    WEBP_CONTAINER_BYTES,
    best_of,
    lossless_bytes,
    thinned_webp_points,
    voronoi_curves,
)
from _segmentation_model import (
    MACHINE_PACKAGES,
    N_CLASSES,
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

QUADTREE_WEIGHTS = (0.2, 0.3, 0.5, 0.75, 1.2, 1.9, 2.9, 4.3)
# Parent's states: one is none.
QUADTREES = {"quadtree": 1, "quadtree given parent's class": N_CLASSES}
SEARCH_WEIGHT = 2.0
LOSSLESS_WEIGHTS = (0.2, 0.5, 1.0, 2.0)
AIMS = (
    "fewer wrong pixels than Voronoi seeds and thinned WebP at every rate, than the "
    "quadtrees on most of the grid and at 5 of 8 lambdas; at most 16 bits above the "
    "rate; lossless, fewer bytes than PNG and WebP, and the context coder is the mark; "
    "training under 20 minutes on two cores; encode under 0.5 s a map, decode under "
    "0.05 s"
)


# Lossy, against the peers -------------------------------------------------------------


@dataclass
class Quadtrees:
    """Means over the maps by lambda, of rates in nats and of wrong pixels."""

    nats: np.ndarray
    wrong: np.ndarray

    @property
    def objective(self):
        return self.nats + np.array(QUADTREE_WEIGHTS) * self.wrong

    @property
    def curve(self):
        return self.nats / LN2 / 8, self.wrong


def quadtrees(train, val, n_states):
    bits, wrong, _ = quadtree_curve(train, val, QUADTREE_WEIGHTS, N_CLASSES, n_states)
    return Quadtrees(bits.mean(axis=1) * LN2, wrong.mean(axis=1))


def print_objectives(curve, peers):
    """Ours and the quadtrees' least rate + lambda * wrong pixels."""
    at = np.isin(curve.distortion_weight, QUADTREE_WEIGHTS)
    ours = (curve.rate + curve.distortion_weight * curve.distortion)[at]
    print(
        "Mean rate + lambda * wrong pixels, in nats; a negative gap is ours to win.\n"
    )
    columns = [part for name in peers for part in (name, "gap", "gap %")]
    print_header("lambda", "ours", *columns)
    for i, weight in enumerate(QUADTREE_WEIGHTS):
        cells = []
        for trees in peers.values():
            gap = ours[i] - trees.objective[i]
            share = 100 * gap / trees.objective[i]
            cells += [f"{trees.objective[i]:.1f}", f"{gap:+.1f}", f"{share:+.1f}"]
        print_row(weight, f"{ours[i]:.1f}", *cells)
    print()
    for name, trees in peers.items():
        won = int((ours < trees.objective).sum())
        print(f"- {name}: ours is less at {won} of {len(ours)} lambdas")
    print(flush=True)


def peer_curves(trees, val):
    """{name: (mean bytes, mean wrong pixels)} of all lossy peers."""
    curves = {name: peer.curve for name, peer in trees.items()}
    for name, curve in voronoi_curves(val, N_CLASSES).items():
        curves[f"Voronoi seeds, {name}"] = curve
    n_bytes, wrong = best_of(thinned_webp_points(val, N_CLASSES))
    curves["thinned WebP"] = n_bytes, wrong
    curves["thinned WebP without container"] = n_bytes - WEBP_CONTAINER_BYTES, wrong
    return curves


# The bytes ----------------------------------------------------------------------------


@dataclass
class Coded:
    """Maps that were written and read, each alone."""

    bits: np.ndarray
    decoded: np.ndarray
    encode_seconds: np.ndarray
    decode_seconds: np.ndarray


def code(model, X, **modes):
    streams, encode_seconds = timed(lambda x: model.encode(x, **modes), X)
    decoded, decode_seconds = timed(model.decode, streams)
    bits = np.array([8 * len(stream) for stream in streams])
    return Coded(bits, decoded, encode_seconds, decode_seconds)


def n_equal(maps, others):
    return int((maps == others).all(axis=1).sum())


def print_bytes(model, X):
    """Real bytes beside the rate, and whether they decode to the same maps."""
    model.set_params(distortion_weight=SEARCH_WEIGHT)
    coded = code(model, X)
    sparse = model.transform(X)
    excess = coded.bits - model.rate(sparse) / LN2
    same = n_equal(coded.decoded, model.inverse_transform(sparse))
    print(
        f"At lambda = {SEARCH_WEIGHT} the streams have {coded.bits.mean() / 8:.1f} "
        f"bytes, {excess.mean():.2f} bits above the rate in the mean and "
        f"{excess.max():.2f} at most; decode(encode(X)) is "
        f"inverse_transform(transform(X)) on {same} of {len(X)} maps. Seconds a map, "
        f"one at a time: encode {mean_and_most(coded.encode_seconds)}, decode "
        f"{mean_and_most(coded.decode_seconds)}.\n",
        flush=True,
    )


def print_lossless(model, X, train, val):
    print("Lossless:\n")
    print_header(
        *("coder", "lambda", "bytes", "maps exact"),
        *("encode s a map", "decode s a map"),
    )
    for weight in LOSSLESS_WEIGHTS:
        model.set_params(distortion_weight=weight)
        coded = code(model, X, lossless=True)
        print_row(
            "ours, lossless=True",
            weight,
            f"{coded.bits.mean() / 8:.1f}",
            f"{n_equal(coded.decoded, X)} of {len(X)}",
            mean_and_most(coded.encode_seconds),
            mean_and_most(coded.decode_seconds),
        )
    for name, n_bytes in lossless_bytes(train, val, N_CLASSES).items():
        print_row(name, "", f"{n_bytes:.1f}", "", "", "")


def add_arguments(parser):
    add_model_arguments(parser)


def run(arguments):
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore", ConvergenceWarning)
    with threadpool_limits(arguments.threads):
        print_machine(arguments.threads, MACHINE_PACKAGES)
        train, val = parts(arguments, *camvid_maps(arguments.data))
        print(f"{len(train)} training maps, {len(val)} held out.\n")
        model = fitted(arguments.model, train, arguments.epochs)
        X = rows(val)
        curve = model.rate_distortion_curve(X, WEIGHTS)
        print_curve(curve)
        print()
        peers = {
            name: quadtrees(train, val, n_states)
            for name, n_states in QUADTREES.items()
        }
        print_objectives(curve, peers)
        curves = {"ours": curve_of(curve), **peer_curves(peers, val)}
        print_equal_bytes(curves, X.shape[1])
        print_bytes(model, X)
        print_lossless(model, X, train, val)
    print(f"\nAims: {AIMS}.")
