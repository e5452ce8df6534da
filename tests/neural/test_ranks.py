"""Two processes that train together against one with the whole batches."""

import os
import pathlib
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from . import together

NAMES = [name for name, *_ in together.models()]


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """What both processes have found."""
    folder = tmp_path_factory.mktemp("ranks")
    root = pathlib.Path(together.__file__).parents[2]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node=2", "-m", "tests.neural.together", str(folder)]
    done = subprocess.run(
        command, cwd=root, env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [pickle.loads((folder / f"{rank}.pkl").read_bytes()) for rank in range(2)]


@pytest.fixture(scope="module")
def alone():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = together.fitted()
    torch.set_num_threads(n_threads)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_two_processes_find_what_one_does(processes, alone, name):
    (first, _), (second, _) = processes
    for one, other in zip(first[name], second[name], strict=True):
        assert_array_equal(one, other)
    trace, weights, bound = alone[name]
    assert_allclose(first[name][0], trace, rtol=1e-5, atol=1e-5)
    # Weights drift apart by what the order of float32 sums does to Adam's first steps.
    assert_allclose(first[name][2], bound, rtol=1e-4, atol=1e-4)
    assert np.isfinite(first[name][1]).all() and len(first[name][1]) == len(weights)


@pytest.mark.slow
def test_the_first_process_gives_the_seed(processes):
    (_, first), (_, second) = processes
    assert_array_equal(first["own_seeds"], second["own_seeds"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("other_rows", "X=50 rows of 64 columns .* process 1 has X=51 rows"),
        ("other_parameters", r"lr=0\.001 and process 1 has lr=0\.002"),
        ("with_checkpoint", "checkpoint='a.ckpt' is of a fit in one process"),
    ],
)
def test_processes_that_were_given_different_things(processes, name, said):
    for _, found in processes:
        with pytest.raises(ValueError, match=said):
            raise ValueError(found[name])
