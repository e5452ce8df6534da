"""Files of this and of all earlier releases load, and hold what they held."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import sklvm
from tests.state.cases import CASES
from tests.state.golden import FOLDER, chosen, fitted_arrays, numbers

# Not in the file, but made of what is: other processors round it otherwise.
DERIVED = ["precisions_", "precisions_cholesky_"]
FILES = sorted(FOLDER.glob("*/*.sklvm"))


def of_codes(est, kept, X, said):
    """What the codes mean that were found then: another search may find others."""
    S = kept["answer transform0"]
    scores = -(est.rate(S) + est.distortion_weight * est.distortion(X, S))
    score = scores.mean()
    assert abs(said["score0"] - score) < 0.01 * abs(score)
    return {"transform0": S, "score_samples0": scores, "score0": score}


@pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.parent.name}-{f.stem}")
def test_golden_files_load(file):
    est = sklvm.load(file)
    with np.load(file.with_suffix(".npz")) as kept:
        arrays = fitted_arrays(est)
        said = numbers(est, CASES[file.stem])
        if isinstance(est, sklvm.SparseSegmentationRDA):
            said |= of_codes(est, kept, CASES[file.stem].rows[0], said)
        for key in kept:
            what, _, name = key.partition(" ")
            if what == "array" and name in DERIVED:
                assert_allclose(arrays[name], kept[key], rtol=1e-12, err_msg=name)
            elif what == "array":
                assert_array_equal(arrays[name], kept[key], err_msg=name)
            else:
                # Products are rounded otherwise on other machines.
                assert_allclose(
                    said[name], kept[key], rtol=1e-4, atol=1e-5, err_msg=name
                )


def test_every_estimator_has_a_golden_file():
    assert {file.stem for file in FILES} >= set(chosen())
