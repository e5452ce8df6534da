"""A few rows take another kernel, and fewer checks: the answers are the same."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklvm import GaussianMixtureEM, PoissonMixtureEM
from sklvm.mixture._components import FEW_ROWS

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 5)) + 4 * RNG.integers(3, size=(200, 1))
GAPS = np.where(RNG.random(X.shape) < 0.2, np.nan, X)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("data", [X, GAPS], ids=["complete", "missing"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_gaussian_mixtures(kind, data, dtype):
    data = data.astype(dtype)
    est = GaussianMixtureEM(3, covariance_type=kind, random_state=0).fit(data)
    tolerance = 1e-9 if dtype == np.float64 else 1e-4
    for method in ("score_samples", "predict_proba", "predict"):
        many = getattr(est, method)(data)
        for n in (1, FEW_ROWS, FEW_ROWS + 1):
            few = getattr(est, method)(data[:n])
            assert few.dtype == many.dtype
            assert_allclose(few, many[:n], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "row, message",
    [
        (X[:1, :3], "X has 3 features"),
        (X[0], "Expected 2D array"),
        (X[:0], "minimum of 1 is required"),
        (np.full((1, 5), np.inf), "infinity"),
        (np.full((1, 5), 1j), "Complex data not supported"),
        ([["a"] * 5], "text"),
    ],
    ids=["columns", "one axis", "no row", "infinite", "complex", "text"],
)
def test_what_is_wrong_is_told(row, message):
    est = GaussianMixtureEM(3, random_state=0).fit(X)
    with pytest.raises(ValueError, match=message):
        est.score_samples(row)


def test_negative_counts_are_told():
    est = PoissonMixtureEM(2, random_state=0).fit(RNG.poisson(3, size=(50, 4)))
    with pytest.raises(ValueError, match="Negative values"):
        est.score_samples(np.array([[1.0, 2, -1, 0]]))


def test_the_row_is_not_written_to():
    est = GaussianMixtureEM(3, covariance_type="diag", random_state=0).fit(GAPS)
    row = GAPS[:FEW_ROWS].copy()
    row.flags.writeable = False
    est.score_samples(row)
    np.testing.assert_array_equal(row, GAPS[:FEW_ROWS])
