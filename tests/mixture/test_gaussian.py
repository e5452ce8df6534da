"""GaussianMixtureEM against published numbers, scikit-learn, scipy and closed forms."""

import inspect
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.special import logsumexp
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from sklvm import GaussianMixtureEM

from .families import assert_same, blobs, parameters, run
from .reference import (
    conditional_moments,
    full_covariances,
    gaussian_em,
    gaussian_log_joint,
    responsibilities,
)
from .tables import FAITHFUL

KINDS = ["full", "tied", "diag", "spherical"]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def precision_start(kind, n_components, n_features, scale=1.0):
    """precisions_init in the shape of the covariance type; scale: of each feature."""
    precision = np.ones(n_features) / np.broadcast_to(scale, n_features) ** 2
    return {
        "full": np.repeat(np.diag(precision)[None], n_components, axis=0),
        "tied": np.diag(precision),
        "diag": np.repeat(precision[None], n_components, axis=0),
        "spherical": np.repeat(precision.mean(), n_components),
    }[kind]


def start(X, kind, n_components, scale=1.0):
    """A full start, so that every implementation sets out from the same place."""
    return {
        "weights_init": np.full(n_components, 1 / n_components),
        "means_init": X[:n_components].copy(),
        "precisions_init": precision_start(kind, n_components, X.shape[1], scale),
    }


# Published numbers: the log-likelihood of the whole sample, no ridge.


@pytest.mark.slow
@pytest.mark.parametrize(
    "covariance, n_components, log_likelihood",
    [
        ("full", 1, -379.915),
        ("full", 2, -214.355),
        ("full", 3, -180.185),
        ("tied", 3, -256.354),
        ("diag", 3, -306.860),
        ("spherical", 3, -384.314),
    ],
)
def test_iris(covariance, n_components, log_likelihood):
    est = GaussianMixtureEM(
        n_components,
        covariance_type=covariance,
        reg_covar=0,
        tol=1e-10,
        max_iter=20_000,
        n_init=20,
        random_state=0,
    )
    # A start may collapse on tied flowers; the others go on.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        est.fit(load_iris().data)
    assert est.converged_
    # Half a unit of the last digit published, plus what tol leaves unfinished.
    assert abs(150 * est.lower_bound_ - log_likelihood) < 6e-4


@pytest.mark.slow
def test_old_faithful():
    est = GaussianMixtureEM(
        3,
        covariance_type="tied",
        reg_covar=0,
        tol=1e-10,
        max_iter=20_000,
        n_init=20,
        random_state=0,
    ).fit(FAITHFUL)
    assert abs(272 * est.lower_bound_ - -1126.316) < 6e-4


# scikit-learn, iteration by iteration.


def both(X, kind, n_components, n_iter, **params):
    params = start(X, kind, n_components) | params
    peer = GaussianMixture(n_components, covariance_type=kind, **params)
    ours = GaussianMixtureEM(n_components, covariance_type=kind, **params)
    return run(ours, X, n_iter), run(peer, X, n_iter)


@pytest.mark.parametrize("n_iter", [1, 2, 15])
@pytest.mark.parametrize("reg_covar", [1e-6, 0.1])
def test_scikit_learn_takes_the_same_steps(kind, n_iter, reg_covar):
    X = blobs(300, n_features=4, spread=1.0)
    ours, peer = both(X, kind, 3, n_iter, reg_covar=reg_covar)
    assert ours.n_iter_ == peer.n_iter_ == n_iter
    for name in (
        "weights_",
        "means_",
        "covariances_",
        "precisions_",
        "precisions_cholesky_",
    ):
        value, expected = getattr(ours, name), getattr(peer, name)
        assert value.shape == expected.shape
        assert value.dtype == expected.dtype
        assert_allclose(value, expected, rtol=1e-8, atol=1e-8, err_msg=name)
    assert_allclose(ours.score_samples(X), peer.score_samples(X), rtol=1e-8)
    assert_allclose(ours.predict_proba(X), peer.predict_proba(X), atol=1e-8)
    # Its bound lags one step behind the parameters; ours belongs to them.
    if hasattr(peer, "lower_bounds_"):  # scikit-learn 1.7 brings it
        assert_allclose(ours.lower_bounds_[:-1], peer.lower_bounds_[1:], rtol=1e-9)
    assert_allclose(ours.lower_bound_, peer.score(X), rtol=1e-9)
    for criterion in ("bic", "aic"):
        one, two = getattr(ours, criterion)(X), getattr(peer, criterion)(X)
        assert_allclose(one, two, rtol=1e-9)


@pytest.mark.parametrize("n_features", [31, 33, 40])
def test_scikit_learn_takes_the_same_steps_in_high_dimension(kind, n_features):
    """On both sides of the dimension where the arithmetic changes its route."""
    X = blobs(400, n_features=n_features, spread=0.3)
    ours, peer = both(X, kind, 2, 10)
    for name in ("weights_", "means_", "covariances_", "precisions_"):
        value, expected = getattr(ours, name), getattr(peer, name)
        assert_allclose(value, expected, rtol=1e-8, atol=1e-8, err_msg=name)
    assert_allclose(ours.score_samples(X), peer.score_samples(X), rtol=1e-9)


@pytest.mark.parametrize("n_features", [4, 40])
def test_float32_takes_the_same_steps(kind, n_features):
    """Rounding of 6e-8, times a condition number below 100, over ten steps."""
    X = blobs(600, n_features=n_features, spread=1.0)
    common = start(X, kind, 2)
    double = run(GaussianMixtureEM(2, covariance_type=kind, **common), X, 10)
    single = GaussianMixtureEM(2, covariance_type=kind, **common)
    run(single, X.astype(np.float32), 10)
    for name, value in parameters(single).items():
        assert value.dtype == np.float32
        assert_allclose(value, getattr(double, name), rtol=1e-3, atol=1e-4)
    score = single.score(X.astype(np.float32))
    assert_allclose(score, double.score(X), rtol=1e-5)
    assert_allclose(single.lower_bound_, score, rtol=1e-5)


def test_weights_are_repeated_rows_to_scikit_learn(kind):
    """Its sums over repeated rows; the weighted tied covariance among them."""
    X = blobs(200, spread=1.0)
    weight = np.random.default_rng(3).integers(0, 4, size=200)
    weight[:3] = 1
    common = start(X, kind, 3) | {"covariance_type": kind}
    ours = run(GaussianMixtureEM(3, **common), X, 10, sample_weight=weight)
    repeated = np.repeat(X, weight, axis=0)
    peer = run(GaussianMixture(3, **common), repeated, 10)
    assert_same(ours, peer)
    assert_allclose(ours.score(X, sample_weight=weight), peer.score(repeated))


def test_every_parameter_of_scikit_learn_is_there_with_its_default():
    ours = inspect.signature(GaussianMixtureEM).parameters
    for name, peer in inspect.signature(GaussianMixture).parameters.items():
        assert ours[name].kind == peer.kind
        if name != "init_params":  # our default start is another one
            assert ours[name].default == peer.default


def users_script(mixture_class, covariance):
    """A script written for scikit-learn: only the class's name is changed."""
    X = blobs(150, n_features=2)
    gmm = mixture_class(
        3,
        covariance_type=covariance,
        tol=1e-4,
        reg_covar=1e-5,
        max_iter=200,
        n_init=2,
        init_params="kmeans",
        weights_init=[0.3, 0.3, 0.4],
        means_init=[[2, 2], [-2, 2], [2, -2]],
        precisions_init=precision_start(covariance, 3, 2),
        random_state=np.random.RandomState(0),
        warm_start=False,
        verbose=0,
        verbose_interval=5,
    )
    labels = gmm.fit_predict(X)
    samples, components = gmm.sample(7)
    return gmm, {
        "labels": labels,
        "predict": gmm.predict(X),
        "proba": gmm.predict_proba(X),
        "rows": gmm.score_samples(X),
        "score": gmm.score(X),
        "bic": gmm.bic(X),
        "aic": gmm.aic(X),
        "samples": np.zeros_like(samples),  # the draws themselves may differ
        "components": np.zeros_like(components),
        "converged": gmm.converged_,
    }


def test_renaming_the_class_is_enough(kind):
    ours, results = users_script(GaussianMixtureEM, kind)
    peer, expected = users_script(GaussianMixture, kind)
    for name, value in expected.items():
        assert np.shape(results[name]) == np.shape(value)
        assert np.asarray(results[name]).dtype.kind == np.asarray(value).dtype.kind
        # Both climb to the same optimum and stop within tol of it.
        assert_allclose(results[name], value, rtol=1e-2, atol=1e-2, err_msg=name)
    fitted = [name for name in vars(peer) if name[0] != "_" and name.endswith("_")]
    assert {"means_", "precisions_cholesky_", "lower_bound_"} <= set(fitted)
    for name in fitted:
        # Traces differ in length: scikit-learn's lags one step behind.
        if name != "lower_bounds_":
            assert np.shape(getattr(ours, name)) == np.shape(getattr(peer, name))


# The density.


def test_score_samples_is_the_formula(kind):
    est = GaussianMixtureEM(3, covariance_type=kind, random_state=0).fit(blobs(200))
    X = blobs(30, seed=1)
    log_joint = gaussian_log_joint(X, est.weights_, est.means_, full_covariances(est))
    assert_allclose(est.score_samples(X), logsumexp(log_joint, axis=1), rtol=1e-9)
    assert_allclose(est.predict_proba(X), responsibilities(log_joint), atol=1e-9)


def test_uniform_weights_normalise_the_likelihoods(kind):
    est = GaussianMixtureEM(
        3, covariance_type=kind, weights="uniform", random_state=0
    ).fit(blobs(200, spread=1.0))
    X = blobs(30, seed=1, spread=1.0)
    likelihood = np.exp(
        gaussian_log_joint(X, np.ones(3), est.means_, full_covariances(est))
    )
    expected = likelihood / likelihood.sum(axis=1, keepdims=True)
    assert_allclose(est.predict_proba(X), expected, atol=1e-9)
    assert_allclose(est.score_samples(X), np.log(likelihood.mean(axis=1)), rtol=1e-9)


def test_precisions_invert_covariances(kind):
    est = GaussianMixtureEM(2, covariance_type=kind, random_state=0).fit(blobs(200))
    covariances = est.covariances_
    if kind in ("diag", "spherical"):
        assert_allclose(est.precisions_, 1 / covariances, rtol=1e-12)
        assert_allclose(est.precisions_cholesky_**2, est.precisions_, rtol=1e-12)
        return
    factors = est.precisions_cholesky_
    assert_allclose(
        est.precisions_ @ covariances, np.eye(3) + 0 * covariances, atol=1e-11
    )
    assert_allclose(factors @ np.swapaxes(factors, -1, -2), est.precisions_, rtol=1e-11)
    assert_array_equal(np.tril(factors, -1), np.zeros_like(factors))


def test_a_row_far_from_everything_is_finite(kind):
    est = GaussianMixtureEM(3, covariance_type=kind, random_state=0).fit(blobs(200))
    far = np.full((1, 3), 1e6)
    log_joint = gaussian_log_joint(far, est.weights_, est.means_, full_covariances(est))
    assert_allclose(est.score_samples(far), logsumexp(log_joint, axis=1), rtol=1e-9)
    assert_allclose(est.predict_proba(far).sum(), 1.0)


# Units and origin: an affine map of the features maps the fit, and nothing else.


@pytest.mark.parametrize("n_features", [3, 36])
def test_far_from_the_origin_and_badly_scaled(kind, n_features):
    """Offsets of a million and scales 1e-3 .. 1e3, as powers of two: an exact map.

    Beside 2^20 a float64 keeps 2^-32, or 2^-22 = 2.4e-7 standard deviations of the
    narrowest feature: that limits the stored means, not the model.
    """
    Z = blobs(400, n_features=n_features, spread=0.7)
    Z = np.round(Z * 2.0**18) / 2.0**18
    scale = 2.0 ** np.resize([-10, 0, 10], n_features)
    if kind == "spherical":
        scale = np.full(n_features, 2.0**-10)  # its sphere allows one scale only
    X = 2.0**20 + scale * Z
    assert_array_equal((X - 2.0**20) / scale, Z)
    params = {"covariance_type": kind, "reg_covar": 0}
    near = run(GaussianMixtureEM(3, **params, **start(Z, kind, 3)), Z, 15)
    far = run(GaussianMixtureEM(3, **params, **start(X, kind, 3, scale)), X, 15)
    assert_allclose(far.weights_, near.weights_, rtol=1e-5)
    assert_allclose((far.means_ - 2.0**20) / scale, near.means_, atol=3e-6)
    unit = full_covariances(far) / np.outer(scale, scale)
    assert_allclose(unit, full_covariances(near), rtol=1e-5, atol=1e-5)
    jacobian = np.log(scale).sum()
    assert_allclose(far.lower_bound_ + jacobian, near.lower_bound_, atol=1e-4)
    assert_allclose(
        far.score_samples(X) + jacobian, near.score_samples(Z), atol=1e-4 * n_features
    )


def test_float32_far_from_the_origin(kind):
    """scikit-learn raises here. Beside 1e4 a float32 keeps 1e-3."""
    X = (blobs(500) + 1e4).astype(np.float32)
    common = {"covariance_type": kind, **start(X, kind, 3)}
    single = run(GaussianMixtureEM(3, **common), X, 10)
    double = run(GaussianMixtureEM(3, **common), X.astype(float), 10)
    assert_allclose(single.weights_, double.weights_, atol=2e-3)
    assert_allclose(single.means_, double.means_, atol=5e-3)
    assert_allclose(single.covariances_, double.covariances_, atol=2e-2)
    assert abs(single.lower_bound_ - double.lower_bound_) < 1e-2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("init_params", ["k-means++", "kmeans", "random"])
def test_the_default_start_does_not_mind_the_origin(kind, dtype, init_params):
    X = blobs(500)
    near = GaussianMixtureEM(
        3, covariance_type=kind, init_params=init_params, random_state=0, max_iter=500
    ).fit(X)
    far = GaussianMixtureEM(
        3, covariance_type=kind, init_params=init_params, random_state=0, max_iter=500
    ).fit((X + 3e3).astype(dtype))
    # Three clusters four standard deviations apart have one optimum worth finding.
    assert abs(far.lower_bound_ - near.lower_bound_) < 1e-2


@pytest.mark.parametrize(
    "dtype, separation, tolerance", [(np.float64, 1e6, 1e-6), (np.float32, 1e4, 1e-2)]
)
def test_components_far_apart_do_not_cancel(kind, dtype, separation, tolerance):
    """x^T P x - 2 x^T P mu + mu^T P mu loses (separation / sigma)^2 times epsilon.

    That is 1e-4 nats (float64) and 6 nats (float32); (x - mu)^T P (x - mu) does not.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)) + separation * (np.arange(200) % 2)[:, None]
    X = X.astype(dtype)
    params = {"covariance_type": kind, "means_init": X[:2], "random_state": 0}
    est = GaussianMixtureEM(2, **params).fit(X)
    wide = X.astype(float)
    centres = [wide[0::2].mean(axis=0), wide[1::2].mean(axis=0)]
    assert_allclose(est.means_, centres, rtol=1e-6, atol=1e-2)
    log_joint = gaussian_log_joint(
        wide,
        est.weights_.astype(float),
        est.means_.astype(float),
        full_covariances(est).astype(float),
    )
    expected = logsumexp(log_joint, axis=1)
    assert_allclose(est.score_samples(X), expected, rtol=tolerance, atol=tolerance)


# Starts.


@pytest.mark.parametrize("init_params", ["k-means++", "random_from_data"])
def test_the_first_covariances_are_wider_than_the_ridge(kind, init_params):
    """A start on single points would make them equal to reg_covar."""
    X = blobs(300, spread=0.0)
    est = GaussianMixtureEM(
        3, covariance_type=kind, init_params=init_params, random_state=0
    )
    run(est, X, 1)
    # 100 rows a component share a variance of one; 1e-2 leaves room for slices.
    assert np.linalg.eigvalsh(full_covariances(est)).min() > 1e-2


def test_reg_covar_is_added_to_the_diagonal(kind):
    X = blobs(100)
    bare = GaussianMixtureEM(1, covariance_type=kind, reg_covar=0).fit(X)
    ridge = GaussianMixtureEM(1, covariance_type=kind, reg_covar=0.5).fit(X)
    added = full_covariances(ridge) - full_covariances(bare)
    assert_allclose(added[0], 0.5 * np.eye(3), atol=1e-10)


# Missing values.


def test_missing_values_are_integrated_out(kind):
    est = GaussianMixtureEM(3, covariance_type=kind, random_state=0).fit(
        blobs(200, spread=1.0)
    )
    X = blobs(60, seed=2, spread=1.0, missing=0.5)
    X[-1] = np.nan
    assert len(np.unique(np.isnan(X), axis=0)) == 8
    log_joint = gaussian_log_joint(X, est.weights_, est.means_, full_covariances(est))
    expected = logsumexp(log_joint, axis=1)
    assert_allclose(est.score_samples(X), expected, rtol=1e-9, atol=1e-9)
    assert est.score_samples(X[-1:])[0] == pytest.approx(0.0, abs=1e-12)
    assert_allclose(est.predict_proba(X), responsibilities(log_joint), atol=1e-9)


def test_impute_is_the_conditional_mean(kind):
    est = GaussianMixtureEM(3, covariance_type=kind, random_state=0).fit(
        blobs(200, spread=1.0)
    )
    X = blobs(40, seed=2, spread=1.0, missing=0.5)
    X[-1] = np.nan
    untouched = X.copy()
    imputed = est.impute(X)
    assert_array_equal(X, untouched)
    covariances = full_covariances(est)
    resp = responsibilities(
        gaussian_log_joint(X, est.weights_, est.means_, covariances)
    )
    for x, filled, r in zip(X, imputed, resp, strict=True):
        means = [
            conditional_moments(x, mean, covariance)[0]
            for mean, covariance in zip(est.means_, covariances, strict=True)
        ]
        assert_allclose(filled, r @ means, rtol=1e-9, atol=1e-9)
        assert_array_equal(filled[~np.isnan(x)], x[~np.isnan(x)])


@pytest.mark.parametrize("n_features", [3, 5])
def test_the_textbook_iterations_with_missing_values(kind, n_features):
    X = blobs(60, n_features=n_features, missing=0.3, spread=1.0)
    init = start(X, kind, 2)
    est = GaussianMixtureEM(2, covariance_type=kind, reg_covar=0, **init)
    run(est, X, 6)
    weights, means, covariances = gaussian_em(
        X,
        init["weights_init"],
        init["means_init"],
        np.array([np.eye(n_features)] * 2),
        6,
        kind,
    )
    assert_allclose(est.weights_, weights, atol=1e-8)
    assert_allclose(est.means_, means, atol=1e-8)
    assert_allclose(full_covariances(est), covariances, atol=1e-8)


@pytest.mark.slow
def test_the_fixed_point_maximises_the_observed_likelihood():
    """EM against a direct climb over the mean and the Cholesky factor."""
    X = blobs(25, missing=0.35, spread=0.5)
    est = GaussianMixtureEM(1, reg_covar=0, tol=1e-14, max_iter=20_000).fit(X)
    lower = np.tril_indices(3)

    def unpack(vector):
        factor = np.zeros((3, 3))
        factor[lower] = vector[3:]
        factor[np.diag_indices(3)] = np.exp(np.diag(factor))
        return vector[:3], factor @ factor.T

    def loss(vector):
        mean, covariance = unpack(vector)
        log_joint = gaussian_log_joint(X, np.ones(1), [mean], [covariance])
        return -log_joint.mean()

    best = minimize(loss, np.zeros(9), method="BFGS", options={"gtol": 1e-7})
    mean, covariance = unpack(best.x)
    assert_allclose(est.lower_bound_, -best.fun, atol=1e-8)
    assert_allclose(est.means_[0], mean, atol=1e-4)
    assert_allclose(est.covariances_[0], covariance, atol=1e-4)


def test_missing_values_far_from_the_origin(kind):
    """The conditional moments too are taken about the centre."""
    Z = np.round(blobs(150, missing=0.3, spread=1.0) * 2.0**18) / 2.0**18
    X = Z + 2.0**20
    params = {"covariance_type": kind, "reg_covar": 0}
    near = run(GaussianMixtureEM(2, **params, **start(Z, kind, 2)), Z, 10)
    far = run(GaussianMixtureEM(2, **params, **start(X, kind, 2)), X, 10)
    assert_allclose(far.means_ - 2.0**20, near.means_, atol=1e-7)
    assert_allclose(far.covariances_, near.covariances_, atol=1e-7)
    assert_allclose(far.lower_bound_, near.lower_bound_, atol=1e-7)


@pytest.mark.parametrize("n_features", [3, 40])
def test_few_missing_values_change_little(kind, n_features):
    """The route for missing values joins the complete one continuously."""
    X = blobs(500, n_features=n_features, spread=0.5)
    holed = X.copy()
    holed[-1, -1] = np.nan
    common = {"covariance_type": kind, **start(X, kind, 2)}
    one = run(GaussianMixtureEM(2, **common), X, 5)
    two = run(GaussianMixtureEM(2, **common), holed, 5)
    assert_same(two, one, tol=0.05)
    assert abs(two.lower_bound_ - one.lower_bound_) > 1e-9
    assert_allclose(two.score_samples(X), one.score_samples(X), atol=1.0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nearly_singular_covariances_with_gaps(kind, dtype):
    """Ten rows a component in ten dimensions, and a ridge lost beside variances of 1e6.

    The fit ends well or says what to change; it does not fail inside a factorisation.
    """
    X = (1e3 * blobs(30, n_features=10, missing=0.4)).astype(dtype)
    est = GaussianMixtureEM(3, covariance_type=kind, random_state=0)
    try:
        est.fit(X)
    except ValueError as error:
        assert "reg_covar" in str(error)
    else:
        assert np.isfinite(est.score(X))


# Samples.


def test_samples_have_the_moments_of_the_model(kind):
    est = GaussianMixtureEM(3, covariance_type=kind, random_state=0).fit(blobs(300))
    n = 20_000
    X, labels = est.sample(n)
    assert X.shape == (n, 3)
    assert labels.shape == (n,)
    counts = np.bincount(labels, minlength=3)
    # Five standard errors everywhere: one chance in two million for each number.
    error = np.sqrt(est.weights_ * (1 - est.weights_) / n)
    assert (abs(counts / n - est.weights_) < 5 * error).all()
    for k, covariance in enumerate(full_covariances(est)):
        rows, variance = X[labels == k], np.diag(covariance)
        error = np.sqrt(variance / counts[k])
        assert (abs(rows.mean(axis=0) - est.means_[k]) < 5 * error).all()
        # Var of an empirical covariance: (s_ij^2 + s_ii s_jj) / n.
        error = np.sqrt((covariance**2 + np.outer(variance, variance)) / counts[k])
        assert (abs(np.cov(rows.T) - covariance) < 5 * error).all()


def test_nothing_warns_when_all_is_well(kind):
    X = blobs(300)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GaussianMixtureEM(3, covariance_type=kind, random_state=0).fit(X).score(X)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        GaussianMixtureEM(
            3, covariance_type=kind, random_state=0, max_iter=1, tol=0
        ).fit(X)
