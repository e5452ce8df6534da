"""Fits on a GPU and on the CPU, and whether their held-out scores agree.

The weights start alike, but batches and noise come from another generator, so that a
fit on a GPU is to one on the CPU what another random state is. Several random states
are fitted on both; the means of the held-out scores may differ by four standard errors
of their difference, which those of fits that are alike exceed about once in a hundred
times.

The scores of the same weights on both devices differ by rounding only.
"""

import time

import numpy as np
import torch
from _gpu_models import add_arguments as add_shared_arguments
from _gpu_models import cases, machine
from _report import print_header, print_machine, print_row

STANDARD_ERRORS = 4.0


def add_arguments(parser):
    add_shared_arguments(parser)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--threads", type=int, default=4)


def scores_of(case, device, arguments):
    """Held-out scores, one for each random state; the last model; seconds of a fit."""
    scores, seconds = [], []
    for seed in range(arguments.seeds):
        start = time.perf_counter()
        model = case.fit(device, seed, arguments.scale)
        seconds.append(time.perf_counter() - start)
        scores.append(model.score(*case.held_out))
    return np.array(scores), model, np.median(seconds)


def largest_change(case, model):
    """How far the score of a row is from that of the same weights on the CPU."""
    there = model.score_samples(*case.held_out)
    model.net_.move(torch.device("cpu"))
    return np.abs(model.score_samples(*case.held_out) - there).max()


def compare(case, arguments):
    """One line of the table; whether the scores agree."""
    cpu, _, cpu_seconds = scores_of(case, "cpu", arguments)
    gpu, model, gpu_seconds = scores_of(case, arguments.device, arguments)
    difference = gpu.mean() - cpu.mean()
    n = arguments.seeds
    allowed = STANDARD_ERRORS * np.sqrt((cpu.var(ddof=1) + gpu.var(ddof=1)) / n)
    agrees = abs(difference) <= allowed
    print_row(
        case.name,
        f"{gpu.mean():.3f}",
        f"{cpu.mean():.3f}",
        f"{difference:+.3f}",
        f"{allowed:.3f}",
        "yes" if agrees else "NO",
        f"{largest_change(case, model):.1e}",
        f"{gpu_seconds:.1f}",
        f"{cpu_seconds:.1f}",
    )
    return agrees


def run(arguments):
    # Networks this small are slower on many cores than on a few.
    torch.set_num_threads(arguments.threads)
    print_machine(arguments.threads, ("torch", "skorch"))
    print(
        f"{machine(arguments.device)}. Means of {arguments.seeds} random states, in "
        "nats per held-out row.\n"
    )
    print_header(
        "estimator",
        f"score, {arguments.device}",
        "score, cpu",
        "difference",
        "allowed",
        "agree",
        "same weights on the CPU, largest difference of a row",
        f"s a fit, {arguments.device}",
        "s a fit, cpu",
    )
    agree = [compare(case, arguments) for case in cases()]
    print()
    if not all(agree):
        raise SystemExit("Scores of the two devices differ by more than is allowed.")
