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

SAID = {
    "other_rows": "X=50 rows of 64 columns .* process 1 has X=51 rows",
    "other_parameters": r"lr=0\.001 and process 1 has lr=0\.002",
    "with_checkpoint": "checkpoint='a.ckpt' is of a fit in one process",
}


def found_by_two(folder):
    root = pathlib.Path(together.__file__).parents[2]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node=2", "-m", "tests.neural.together", str(folder)]
    done = subprocess.run(
        command, cwd=root, env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [pickle.loads((folder / f"{rank}.pkl").read_bytes()) for rank in range(2)]


def found_alone():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = together.fitted()
    torch.set_num_threads(n_threads)
    return found


@pytest.mark.slow
def test_two_processes_find_what_one_does(tmp_path):
    """In one test, as the two processes take long to start."""
    processes, alone = found_by_two(tmp_path), found_alone()
    for name, (trace, weights, bound) in alone.items():
        first, second = (models[name] for models, _ in processes)
        for one, other in zip(first, second, strict=True):
            assert_array_equal(one, other, err_msg=name)
        assert_allclose(first[0], trace, rtol=1e-5, atol=1e-5, err_msg=name)
        # Weights drift by what the order of float32 sums does to Adam's first steps.
        assert_allclose(first[2], bound, rtol=1e-4, atol=1e-4, err_msg=name)
        assert np.isfinite(first[1]).all() and len(first[1]) == len(weights), name
    (_, first), (_, second) = processes
    # The first process gives the seed.
    assert_array_equal(first["own_seeds"], second["own_seeds"])
    for name, said in SAID.items():
        for found in (first, second):
            with pytest.raises(ValueError, match=said):
                raise ValueError(found[name])
