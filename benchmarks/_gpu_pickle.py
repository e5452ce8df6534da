"""Whether what was fitted on a GPU, and pickled, scores alike where there is none.

Each model is fitted on the GPU, scored there and pickled. A new process that is shown
no GPU loads it and scores the same rows. Scores are sums of float32 numbers, which the
devices add in another order: a row's may differ by 1e-4 of the mean score and no more.
"""

import os
import pickle
import subprocess
import sys
import tempfile
import warnings
from argparse import SUPPRESS
from pathlib import Path

import numpy as np
import torch
from _gpu_models import add_arguments as add_shared_arguments
from _gpu_models import cases, machine
from _report import print_header, print_row

TOLERANCE = 1e-4


def add_arguments(parser):
    add_shared_arguments(parser)
    parser.add_argument("--load", type=Path, help=SUPPRESS)


def load_and_score(folder):
    """What the new process does: scores of the pickles in a folder, saved beside."""
    assert not torch.cuda.is_available()
    for file in sorted(folder.glob("*.pkl")):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model, held_out = pickle.loads(file.read_bytes())
        scores = model.score_samples(*held_out)
        told = any("now computes on the CPU" in str(w.message) for w in caught)
        np.savez(file.with_suffix(".npz"), scores=scores, told=told)


def without_gpu(folder):
    """`load_and_score` in a process that is shown no GPU."""
    command = [sys.executable, str(Path(__file__).with_name("gpu.py"))]
    subprocess.run(
        [*command, "pickle", "--load", str(folder)],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        check=True,
    )


def compare(case, expected, file):
    """One line of the table; whether the scores agree."""
    with np.load(file) as loaded:
        scores, told = loaded["scores"], bool(loaded["told"])
    rows = np.abs(scores - expected) / abs(expected.mean())
    mean = abs(scores.mean() - expected.mean()) / abs(expected.mean())
    agrees = rows.max() <= TOLERANCE
    print_row(
        case.name,
        f"{expected.mean():.4f}",
        f"{scores.mean():.4f}",
        f"{mean:.1e}",
        f"{rows.max():.1e}",
        "yes" if told else "no",
        "yes" if agrees else "NO",
    )
    return agrees


def run(arguments):
    if arguments.load is not None:
        load_and_score(arguments.load)
        return
    print(f"{machine(arguments.device)}.\n")
    with tempfile.TemporaryDirectory() as name:
        folder, expected = Path(name), []
        for number, case in enumerate(cases()):
            model = case.fit(arguments.device, 0, arguments.scale)
            expected.append(model.score_samples(*case.held_out))
            file = folder / f"{number}.pkl"
            file.write_bytes(pickle.dumps((model, case.held_out)))
        without_gpu(folder)
        print_header(
            "estimator",
            f"score, {arguments.device}",
            "score, loaded without a GPU",
            "difference of the means, relative",
            "largest difference of a row, relative",
            "warned",
            "agree",
        )
        agree = [
            compare(case, expected[number], folder / f"{number}.npz")
            for number, case in enumerate(cases())
        ]
    print()
    if not all(agree):
        raise SystemExit("A model that was loaded without a GPU scores otherwise.")
