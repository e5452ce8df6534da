"""Speed of training on a GPU and on the CPU: samples a second of the epochs.

The networks of `vae.py speed`, a small one and one for rows as wide as MNIST's, with
the loop written by hand on the same device beside ours; and segmentations of 90 x 120
pixels, part of whose training, the search of codes, is the CPU's work on any device.
The first epoch is dropped. What comes before it and after the last one, the data's way
to the device among it, is not counted.
"""

import os
import warnings
from dataclasses import replace
from statistics import median

import numpy as np
import torch
from _gpu_models import add_arguments as add_shared_arguments
from _gpu_models import landscapes, machine
from _report import print_header, print_machine, print_row
from _vae_peers import EpochSeconds, train_by_hand
from _vae_speed import TASKS, train_ours
from sklearn.exceptions import ConvergenceWarning

from sklvm import SparseSegmentationRDA

MAP_SHAPE = 90, 120
# Four of them are the decoder's, with whose rate maps are trained on most of the time.
MAP_EPOCHS, COUNTED = 6, slice(1, 4)


def add_arguments(parser):
    add_shared_arguments(parser)
    parser.add_argument("--epochs", type=int, default=5, help="counted")
    parser.add_argument("--batches", type=int, nargs="+", default=[128, 1024, 8192])
    parser.add_argument("--compile", action="store_true", help="torch.compile as well")


def rate(train, task, n_epochs, device, threads, **params):
    """Samples a second: those of the median epoch."""
    torch.set_num_threads(threads)
    seconds = train(task, 1 + n_epochs, device=device, **params)[1:]
    return len(task.X) / median(seconds)


def print_rates(name, batch_size, rates):
    """One line: ours and by hand on the GPU, ours on the CPU twice, and the ratio."""
    cells = ["" if rate is None else f"{rate:,.0f}" for rate in rates]
    print_row(name, batch_size, *cells, f"{rates[0] / max(rates[2:]):.1f}")


def compare(network, batch_size, arguments):
    task = TASKS[network](arguments.scale, batch_size)
    sizes = "-".join(map(str, (*task.hidden_layer_sizes, task.latent_dim)))
    name = f"{task.X.shape[1]}-{sizes}, {len(task.X)} rows, {task.likelihood}"
    here, most = arguments.device, os.cpu_count()
    few = replace(task, X=task.X[: max(batch_size, len(task.X) // 4)])
    n_epochs = arguments.epochs
    rates = [
        rate(train_ours, task, n_epochs, here, most),
        rate(train_by_hand, task, n_epochs, here, most),
        rate(train_ours, few, n_epochs, "cpu", most),
        rate(train_ours, few, n_epochs, "cpu", 1),
    ]
    print_rates(name, batch_size, rates)
    if arguments.compile:
        compiled = rate(train_ours, task, n_epochs, here, most, compile=True)
        print_rates(f"{name}, compiled", batch_size, [compiled, None, *rates[2:]])


def train_segmentations(maps, device):
    """Seconds of the decoder's epochs after the first."""
    seconds = []
    model = SparseSegmentationRDA(
        image_shape=MAP_SHAPE,
        n_classes=4,
        refine=None,  # what comes after the training is not counted: make it short
        max_epochs=MAP_EPOCHS,
        tol=np.inf,
        callbacks=[EpochSeconds(seconds)],
        device=device,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(maps)
    return seconds[COUNTED]


def compare_segmentations(arguments):
    maps = landscapes(max(16, int(160 * arguments.scale)), *MAP_SHAPE)
    most = os.cpu_count()
    rates = []
    for device, threads in ((arguments.device, most), ("cpu", most), ("cpu", 1)):
        torch.set_num_threads(threads)
        rates.append(len(maps) / median(train_segmentations(maps, device)))
    name = f"SparseSegmentationRDA, {len(maps)} maps of 90 x 120"
    print_rates(name, 16, [rates[0], None, *rates[1:]])


def run(arguments):
    print_machine(os.cpu_count(), ("torch", "skorch"))
    print(
        f"{machine(arguments.device)}. Medians of {arguments.epochs} epochs; on the "
        "CPU of a quarter of the rows.\n"
    )
    print_header(
        "network",
        "batch",
        f"ours, {arguments.device}",
        f"hand-written loop, {arguments.device}",
        f"ours, cpu, {os.cpu_count()} threads",
        "ours, cpu, 1 thread",
        "GPU over the better CPU",
    )
    for network in TASKS:
        for batch_size in arguments.batches:
            compare(network, batch_size, arguments)
    compare_segmentations(arguments)
