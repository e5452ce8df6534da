"""The log-likelihood against an evaluation in more digits than float64 has.

What is fitted is not in question here, only whether log p(x) is that of the parameters
that the fit returns, on the tables where digits are lost: collinear columns, narrow
components, components far apart, real measurements. The trace must not fall there.
"""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.mixture import GaussianMixture

from sklvm import GaussianMixtureEM

from .families import GAUSSIAN, blobs, run
from .reference import precise_factors, precise_log_density

pytestmark = [
    # Ridges and re-seeded components are not in question here either.
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.skipif(
        np.finfo(np.longdouble).eps > 1e-18,
        reason="long double has no more digits than double here",
    ),
]

NATS_PER_ROW = 1e-8


def conditioned(condition, n_samples=240, n_features=8, n_components=3, seed=0):
    """Components whose covariances are rotated and of this condition number."""
    rng = np.random.default_rng(seed)
    scales = np.geomspace(1, condition**-0.5, n_features)
    clusters = []
    for _ in range(n_components):
        rotation, _ = np.linalg.qr(rng.normal(size=(n_features, n_features)))
        rows = rng.normal(size=(n_samples // n_components, n_features))
        clusters.append(rows * scales @ rotation + 3 * rng.normal(size=n_features))
    return np.vstack(clusters)


def collinear(n_samples=240, rank=3, noise=1e-5):
    """Eight columns that are mixtures of three, but for noise in the sixth digit."""
    rng = np.random.default_rng(1)
    Z = blobs(n_samples, n_features=rank)
    X = Z @ rng.normal(size=(rank, 8))
    return X + noise * rng.normal(size=X.shape)


def far_apart(separation=1e6):
    X = blobs(240, n_features=4)
    return X + separation * (np.arange(240) % 3)[:, np.newaxis]


def badly_scaled():
    """Columns between 1e-4 and 1e4, as lengths and populations in one table."""
    return blobs(240, n_features=8) * 10.0 ** np.arange(-4, 4)


def dithered_digits():
    """Grey values in 16 steps, spread over their steps: a ridge of 1/12 as data."""
    X = load_digits().data[:600]
    return X + np.random.default_rng(4).uniform(-0.5, 0.5, size=X.shape)


TWO = {"n_components": 2}
TABLES = {
    "blobs": (lambda: blobs(240, n_features=8), {}),
    "condition 1e6": (lambda: conditioned(1e6), {"reg_covar": 0}),
    "condition 1e9": (lambda: conditioned(1e9), {"reg_covar": 0}),
    "collinear": (collinear, {"reg_covar": 0}),
    "collinear, at the ridge": (lambda: collinear(noise=0.0), {}),
    "far apart": (far_apart, {}),
    "far from the origin": (lambda: blobs(240, n_features=4) + 1e6, {}),
    "badly scaled": (badly_scaled, {"reg_covar": 0}),
    "wine": (lambda: load_wine().data, {}),
    "breast cancer": (lambda: load_breast_cancer().data, {"reg_covar": 0} | TWO),
    "breast cancer, at the ridge": (lambda: load_breast_cancer().data[:300], TWO),
    "digits": (lambda: load_digits().data[:300], {"reg_covar": 1 / 12}),
    "digits, dithered": (dithered_digits, {"reg_covar": 0}),
}
# A ridge that counts beside the variances makes EM climb something else than F.
WITHOUT_RIDGE = [
    name for name in TABLES if name != "digits" and not name.endswith("at the ridge")
]


@pytest.fixture(scope="module")
def fits():
    """Every table is fitted and evaluated once for each covariance type."""
    kept = {}

    def fit(name, kind, missing=0.0):
        if (name, kind, missing) not in kept:
            make_data, params = TABLES[name]
            X = make_data()
            hidden = np.random.default_rng(2).random(X.shape) < missing
            hidden[:20] = False
            X[hidden] = np.nan
            common = {"n_components": 3, "random_state": 0, "n_jobs": 1}
            params = common | {"init_params": "random_from_data"} | params
            est = run(GaussianMixtureEM(covariance_type=kind, **params), X, 15)
            kept[name, kind, missing] = est, X, exact(est, X)
        return kept[name, kind, missing]

    return fit


def exact(est, X):
    factors = precise_factors(est)
    return precise_log_density(X, est.weights_, est.means_, factors)


def assert_exact(log_density, expected):
    # A row far out has a larger log p and loses digits in proportion.
    assert_allclose(log_density, expected.astype(float), rtol=1e-9, atol=NATS_PER_ROW)


# The reference itself.


def test_the_reference_has_the_digits_of_scipy():
    rng = np.random.default_rng(0)
    X, root = rng.normal(size=(20, 3)), rng.normal(size=(3, 3))
    covariance = root @ root.T + np.eye(3)
    factor = np.linalg.inv(np.linalg.cholesky(covariance)).T
    ours = precise_log_density(X, [1.0], np.zeros((1, 3)), [factor])
    peer = multivariate_normal(np.zeros(3), covariance).logpdf(X)
    assert_allclose(ours.astype(float), peer, rtol=1e-12)


def test_the_reference_leaves_out_what_is_missing():
    X = np.array([[0.5, np.nan], [np.nan, np.nan]])
    ours = precise_log_density(X, [1.0], np.zeros((1, 2)), np.array([[2.0, 5.0]]))
    expected = [np.log(2) - 0.5 - np.log(2 * np.pi) / 2, 0.0]
    assert_allclose(ours.astype(float), expected, rtol=1e-14)


# Complete rows.


@pytest.mark.parametrize("kind", GAUSSIAN)
@pytest.mark.parametrize("table", TABLES)
def test_log_density_of_the_training_rows(fits, table, kind):
    est, X, expected = fits(table, kind)
    assert_exact(est.score_samples(X), expected)
    assert abs(est.score(X) - expected.mean()) < NATS_PER_ROW


@pytest.mark.parametrize("kind", GAUSSIAN)
@pytest.mark.parametrize("table", TABLES)
def test_the_bound_that_the_fit_reports(fits, table, kind):
    """It was summed during the fit, by whatever kernel was at work there."""
    est, _, expected = fits(table, kind)
    assert abs(est.lower_bound_ - expected.mean()) < NATS_PER_ROW


@pytest.mark.parametrize("kind", GAUSSIAN)
@pytest.mark.parametrize("table", WITHOUT_RIDGE)
def test_the_bound_does_not_fall(fits, table, kind):
    est, _, _ = fits(table, kind)
    assert np.diff(est.lower_bounds_).min() >= -1e-9


@pytest.mark.parametrize("table", TABLES)
def test_scikit_learn_evaluates_the_same_mixture(fits, table):
    """Where its digits last, ours do: the same parameters, the same rows."""
    est, X, expected = fits(table, "full")
    peer = GaussianMixture(len(est.weights_))
    peer.weights_, peer.means_ = est.weights_, est.means_
    peer.precisions_cholesky_ = est.precisions_cholesky_
    its_error = abs(np.mean(peer.score_samples(X) - expected))
    our_error = abs(np.mean(est.score_samples(X) - expected))
    assert our_error < max(NATS_PER_ROW, its_error)


@pytest.mark.parametrize("table", ["condition 1e9", "breast cancer", "digits"])
def test_rows_that_the_fit_has_not_seen(fits, table):
    """Between the clusters and a little outside, where no component is at home."""
    est, X, _ = fits(table, "full")
    rng = np.random.default_rng(3)
    mixed = (X[rng.permutation(len(X))] + X) / 2
    assert_exact(est.score_samples(mixed), exact(est, mixed))


@pytest.mark.parametrize("kind", ["full", "tied"])
@pytest.mark.parametrize("table", TABLES)
def test_covariances_and_their_factors_are_one_model(fits, table, kind):
    """U^T Sigma U is the identity, to what the condition number leaves of 16 digits."""
    est, _, _ = fits(table, kind)
    covariances = np.asarray(est.covariances_, dtype=np.longdouble)
    factors = np.asarray(est.precisions_cholesky_, dtype=np.longdouble)
    for covariance, factor in zip(
        np.atleast_3d(covariances.T).T, np.atleast_3d(factors.T).T, strict=True
    ):
        identity = np.eye(len(factor))
        condition = np.linalg.cond(covariance.astype(float))
        error = abs(factor.T @ covariance @ factor - identity).max()
        assert error < 1e-14 * condition + 1e-12


# Missing values, where the features are independent within a component.


@pytest.mark.parametrize("kind", ["diag", "spherical"])
@pytest.mark.parametrize("table", TABLES)
def test_log_density_of_rows_with_gaps(fits, table, kind):
    est, X, expected = fits(table, kind, missing=0.2)
    assert np.isnan(X).any()
    assert_exact(est.score_samples(X), expected)
    assert abs(est.score(X) - expected.mean()) < NATS_PER_ROW
    assert abs(est.lower_bound_ - expected.mean()) < NATS_PER_ROW


# Single precision: of seven digits, what an honest evaluation keeps.


@pytest.mark.parametrize("table", ["blobs", "condition 1e6", "wine"])
@pytest.mark.parametrize("kind", ["full", "diag"])
def test_float32_keeps_its_digits(table, kind):
    make_data, params = TABLES[table]
    X = make_data().astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        est = GaussianMixtureEM(3, covariance_type=kind, random_state=0, **params)
        run(est, X, 10)
    expected = exact(est, X.astype(float)).astype(float)
    assert est.score_samples(X).dtype == np.float32
    assert_allclose(est.score(X), expected.mean(), rtol=1e-4, atol=1e-2)
