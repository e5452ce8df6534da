"""Seconds of a fit and of a search of SparseSegmentationRDA, and of a first try.

CamVid at 90 x 120, on one thread, in process time, which other work on the machine
raises less than time on the clock:

- a first try, 16 maps and 3 epochs, with each rate model; the aim is 30 s;
- a fit with the defaults and the rate model of `--rate-model` on the training maps,
  left out with `--first`; the aim is 3 minutes on two cores;
- the search of held-out maps at several weights, with the mean objective, by which two
  versions that read one file of `--model` are compared; the aim is 0.15 s per map.
"""

import time
import warnings

import numpy as np
import torch
from _data import camvid_maps
from _report import print_header, print_machine, print_row
from _segmentation_model import MACHINE_PACKAGES, add_model_arguments, fitted, parts
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sklvm import SparseSegmentationRDA

RATE_MODELS = "list", "subset", "learned"
N_MAPS, N_EPOCHS = 16, 3
WEIGHTS = 0.3, 1.0, 2.0, 6.0


def seconds_of(function, *args):
    start = time.process_time()
    result = function(*args)
    return time.process_time() - start, result


def print_first_tries(maps):
    print_header("first try", "fit, s", "F of training maps")
    for rate_model in RATE_MODELS:
        params = {"max_epochs": N_EPOCHS, "tol": np.inf, "random_state": 0}
        model = SparseSegmentationRDA(rate_model=rate_model, **params)
        seconds, model = seconds_of(model.fit, maps[:N_MAPS])
        print_row(rate_model, f"{seconds:.1f}", f"{model.lower_bound_:.1f}")
    print(flush=True)


def print_searches(model, maps):
    rows = maps.reshape(len(maps), -1)
    model.score_samples(rows[:1])  # what is set up once
    print_header("lambda", "objective, nats", "search, s per map")
    for weight in WEIGHTS:
        model.set_params(distortion_weight=weight)
        seconds, scores = seconds_of(model.score_samples, rows)
        print_row(weight, f"{-scores.mean():.2f}", f"{seconds / len(maps):.3f}")


def add_arguments(parser):
    add_model_arguments(parser, epochs=30)
    parser.add_argument("--rate-model", choices=RATE_MODELS, default="learned")
    parser.add_argument("--first", action="store_true", help="the first tries alone")


def run(arguments):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    with threadpool_limits(1):
        print_machine(1, MACHINE_PACKAGES)
        train, val = parts(arguments, *camvid_maps(arguments.data))
        print_first_tries(train)
        if arguments.first:
            return
        settings = {"rate_model": arguments.rate_model, "distortion_weight": 1.0}
        seconds, model = seconds_of(
            lambda: fitted(arguments.model, train, arguments.epochs, **settings)
        )
        print(f"Fitted or read in {seconds:.1f} s of process time.\n")
        print_searches(model, val)
