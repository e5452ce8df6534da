"""Corners in which a mixture has once gone wrong, or easily could."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from sklearn.metrics import adjusted_rand_score

from sklvm import BernoulliMixtureEM, GaussianMixtureEM
from tests.mixture.families import blobs, make, run


@pytest.mark.parametrize("kind", ["diag", "spherical"])
def test_a_feature_that_a_component_never_sees_keeps_its_variance(kind):
    """The rows of the left cluster never show the second feature."""
    rng = np.random.default_rng(0)
    X = rng.normal([-50, 0], 1, size=(200, 2))
    X[100:, 0] += 100
    X[:100, 1] = np.nan
    precisions = {"diag": np.ones((2, 2)), "spherical": np.ones(2)}[kind]
    est = GaussianMixtureEM(
        2,
        covariance_type=kind,
        reg_covar=0,
        weights_init=[0.5, 0.5],
        means_init=[[-50, 0], [50, 0]],
        precisions_init=precisions,
    )
    run(est, X, 5)
    assert np.diff(est.lower_bounds_).min() >= -1e-9
    left = X[:100, 0]
    seen_variance = np.atleast_1d(est.covariances_[0])[0]
    assert_allclose(seen_variance, left.var(), rtol=1e-9)
    if kind == "diag":
        assert est.covariances_[0, 1] == 1.0


def test_another_covariance_type_after_fit_changes_no_answer():
    X = blobs(60, n_features=3)
    est = make("diag", n_components=3).fit(X)
    score = est.score(X)
    est.set_params(covariance_type="tied", warm_start=True)
    assert est.score(X) == score
    for method in (est.fit, est.partial_fit):
        with pytest.raises(ValueError, match="covariance_type='tied'"):
            method(X)


def test_criteria_take_a_frame_without_a_warning():
    X = pd.DataFrame(blobs(60), columns=list("abc"))
    est = make("full", n_components=2).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        criteria = [est.aic(X), est.bic(X), est.icl(X)]
    assert [type(value) for value in criteria] == [float] * 3


def test_parallel_restarts_leave_the_warning_filters_alone():
    X = blobs(60)
    before = list(warnings.filters)
    for _ in range(5):
        make("full", n_components=3, n_init=6, n_jobs=3).fit(X)
    assert warnings.filters == before


def test_a_rare_zero_does_not_round_theta_to_one():
    """1 - 1e-9 is 1 in float32, which would make the second row impossible."""
    X = np.array([[1, 0], [0, 1]], dtype=np.float32)
    est = BernoulliMixtureEM(1).fit(X, sample_weight=[1e9, 1])
    assert np.isfinite(est.score_samples(X)).all()


def test_entries_of_a_sparse_row_that_repeat_are_added_up():
    X = sp.csr_matrix((np.ones(5), [0, 0, 1, 1, 0], [0, 2, 3, 5]), shape=(3, 2))
    kept = X.copy()
    est = BernoulliMixtureEM(1).fit(X)
    assert_allclose(est.theta_, [[2 / 3, 2 / 3]])
    assert (kept != X).nnz == 0
    assert not X.has_canonical_format


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_a_huge_constant_feature_hides_nothing(kind):
    """Projected as it is, it would drown the digits by which the rows differ."""
    X = blobs(300)
    wide = np.hstack([X, np.full((300, 1), 1e12)])
    est = GaussianMixtureEM(3, covariance_type=kind, random_state=0)
    labels = est.fit_predict(X)
    assert adjusted_rand_score(est.fit_predict(wide), labels) > 0.9


def test_initial_weights_alone_are_where_the_run_begins():
    X = blobs(100)
    est = GaussianMixtureEM(2, weights_init=[0.9, 0.1], max_iter=0, random_state=0)
    assert_allclose(est.fit(X).weights_, [0.9, 0.1])


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_a_row_beyond_all_numbers_is_impossible(kind):
    est = make(kind, n_components=2).fit(blobs(100))
    far = np.array([[1e160, -1e160, 1e160]])
    with np.errstate(all="ignore"):
        assert est.score_samples(far)[0] == -np.inf
        assert_allclose(est.predict_proba(far).sum(), 1)


@pytest.mark.slow
def test_gaps_take_memory_by_the_chunk():
    """With 20% gaps in 40 features nearly every row has a pattern of its own."""
    import tracemalloc

    X = np.random.default_rng(0).normal(size=(3000, 40))
    X[np.random.default_rng(1).random(X.shape) < 0.2] = np.nan
    est = make("full", n_components=8, n_jobs=1, reg_covar=1e-6)
    tracemalloc.start()
    try:
        run(est, X, 1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A factor for each pattern would take 3000 * 8 * 40 * 40 * 8 bytes = 307 MB.
    assert peak < 120e6
