"""Writes the golden files of a release: python -m tests.state.golden 0.1.0

Each holds a small fitted model, as the release writes it, and beside it lie its arrays
and what it said of some rows. Files of earlier releases stay as they are for ever.
"""

import sys
from pathlib import Path

import numpy as np

import sklvm
from tests.state.cases import CASES, answers, fitted

FOLDER = Path(__file__).parent / "golden"
# More of the same, or written by the classes of a user.
LEFT_OUT = ("SparseSegmentationRDA_gradient", "VAE_noise", "ConditionalVAE_noise")


def chosen():
    """The names of the cases of which a release keeps a file."""
    return [name for name in CASES if not name.startswith(LEFT_OUT)]


def fitted_arrays(est):
    """What has been learned, as arrays of numbers by name."""
    arrays = {
        name: value
        for name, value in vars(est).items()
        if isinstance(value, np.ndarray) and value.dtype.kind in "biuf"
    }
    if hasattr(est, "net_"):
        for name, weight in est.net_.module.state_dict().items():
            arrays[f"net.{name}"] = weight.numpy()
    return arrays


def numbers(est, case):
    """The answers that are numbers; draws may differ from machine to machine."""
    found = answers(est, case)
    return {
        name: value
        for name, value in found.items()
        if value.dtype.kind in "biuf" and not name.startswith("sample")
    }


def write(release):
    """Write the files of this release."""
    folder = FOLDER / release
    folder.mkdir(parents=True)
    for name in chosen():
        est = fitted(name)
        sklvm.save(est, folder / f"{name}.sklvm")
        arrays = {f"array {k}": v for k, v in fitted_arrays(est).items()}
        said = {f"answer {k}": v for k, v in numbers(est, CASES[name]).items()}
        np.savez_compressed(folder / f"{name}.npz", **arrays, **said)


if __name__ == "__main__":
    write(sys.argv[1])
