"""Mixtures whose parameters are known: given at once, or assigned by hand."""

import copy
import pickle
import warnings
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.utils.validation import check_is_fitted

from sklvm import (
    BernoulliMixtureEM,
    CategoricalMixtureEM,
    GaussianMixtureEM,
    PoissonMixtureEM,
    elbo,
)

from .families import FAMILIES, GAUSSIAN, assert_same, blobs, make, run
from .reference import (
    bernoulli_log_joint,
    categorical_log_joint,
    full_covariances,
    gaussian_log_joint,
    poisson_log_joint,
    responsibilities,
)

WEIGHTS = np.array([0.5, 0.3, 0.2])
MEANS = np.array([[2.0, 2.0, -2.0], [-2.0, 2.0, 2.0], [2.0, -2.0, 2.0]])


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture(params=GAUSSIAN)
def kind(request):
    return request.param


def covariances(kind, n_components=3, n_features=3, seed=0):
    """Covariances of a type, none of them round."""
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(n_components, n_features, n_features))
    full = roots @ roots.swapaxes(1, 2) + np.eye(n_features)
    diagonal = np.diagonal(full, axis1=1, axis2=2)
    return {
        "full": full,
        "tied": full[0],
        "diag": diagonal.copy(),
        "spherical": diagonal.mean(axis=1),
    }[kind]


def given(family, **params):
    """A mixture of known parameters."""
    rng = np.random.default_rng(1)
    if family == "bernoulli":
        theta = rng.uniform(0.1, 0.9, size=(3, 3))
        params = {"binarize": None} | params
        return BernoulliMixtureEM.from_parameters(WEIGHTS, theta, **params)
    if family == "categorical":
        theta = [rng.dirichlet(np.ones(L), size=3) for L in (2, 3, 4)]
        return CategoricalMixtureEM.from_parameters(WEIGHTS, theta, **params)
    if family == "poisson":
        rates = rng.uniform(0.5, 9.0, size=(3, 3))
        return PoissonMixtureEM.from_parameters(WEIGHTS, rates, **params)
    return GaussianMixtureEM.from_parameters(
        WEIGHTS, MEANS, covariances(family), covariance_type=family, **params
    )


def by_hand(kind):
    """As in scikit-learn, where nothing but the attributes makes a mixture."""
    est = GaussianMixtureEM(3, covariance_type=kind, random_state=0)
    est.weights_, est.means_, est.covariances_ = WEIGHTS, MEANS, covariances(kind)
    return est


def rows(family, n_samples=30):
    X = blobs(n_samples, family=family)
    if family == "bernoulli":
        return (X > 0).astype(float)
    return np.minimum(X, [1, 2, 3]) if family == "categorical" else X


def log_joint(est, X):
    """log p(x, z = k), the slow way."""
    if isinstance(est, BernoulliMixtureEM):
        return bernoulli_log_joint(X, est.weights_, est.theta_)
    if isinstance(est, CategoricalMixtureEM):
        return categorical_log_joint(X, est.weights_, est.theta_)
    if isinstance(est, PoissonMixtureEM):
        return poisson_log_joint(X, est.weights_, est.rates_)
    return gaussian_log_joint(X, est.weights_, est.means_, full_covariances(est))


def assert_answers(est, X):
    """Every answer is that of the parameters."""
    joint = log_joint(est, X)
    resp = responsibilities(joint)
    assert_allclose(est.score_samples(X), logsumexp(joint, axis=1), rtol=1e-9)
    assert_allclose(est.predict_proba(X), resp, rtol=1e-7, atol=1e-10)
    assert_array_equal(est.predict(X), resp.argmax(axis=1))
    assert_allclose(est.score(X), logsumexp(joint, axis=1).mean(), rtol=1e-9)
    holed = X.copy()
    holed[:, -1] = np.nan
    assert np.isfinite(est.impute(holed)).all()


# from_parameters.


def test_given_parameters_answer_without_a_fit(family):
    est = given(family)
    check_is_fitted(est)
    assert est.n_components == 3
    assert est.n_features_in_ == 3
    assert_answers(est, rows(family))


def test_given_parameters_are_the_fitted_attributes(family):
    est = given(family)
    assert_array_equal(est.weights_, WEIGHTS)
    if family in GAUSSIAN:
        assert_array_equal(est.means_, MEANS)
        assert_allclose(est.covariances_, covariances(family), rtol=1e-12)
        assert est.covariance_type == family


@pytest.mark.parametrize("method", ["bic", "aic", "icl"])
def test_criteria_of_given_parameters(family, method):
    """The same penalty as after a fit: what was fitted is not known."""
    X = rows(family)
    est = given(family)
    assert np.isfinite(getattr(est, method)(X))


def test_samples_of_given_parameters(family):
    """Their frequencies are the weights, within five standard errors."""
    X, labels = given(family, random_state=0).sample(5000)
    assert X.shape == (5000, 3)
    frequency = np.bincount(labels, minlength=3) / 5000
    error = np.sqrt(WEIGHTS * (1 - WEIGHTS) / 5000)
    assert (abs(frequency - WEIGHTS) < 5 * error).all()


def test_a_fit_given_again_is_the_fit(family):
    X = blobs(100, family=family)
    est = make(family, n_components=3).fit(X)
    if family in GAUSSIAN:
        other = GaussianMixtureEM.from_parameters(
            est.weights_, est.means_, est.covariances_, covariance_type=family
        )
    else:
        theta = est.rates_ if family == "poisson" else est.theta_
        other = type(est).from_parameters(est.weights_, theta)
    assert_allclose(other.score_samples(X), est.score_samples(X), rtol=1e-9)
    assert_allclose(other.bic(X), est.bic(X), rtol=1e-9)
    F = elbo(other, X, est.predict_proba(X))
    assert pytest.approx(est.score(X), rel=1e-9) == F


def test_other_parameters_of_the_estimator_are_kept(family):
    est = given(family, tol=1e-5, max_iter=7, random_state=3, n_init=2)
    assert (est.tol, est.max_iter, est.random_state, est.n_init) == (1e-5, 7, 3, 2)
    again = clone(est)
    assert again.get_params() == est.get_params()
    with pytest.raises(NotFittedError):
        again.predict(rows(family))


def test_what_is_given_is_copied():
    weights, means = WEIGHTS.copy(), MEANS.copy()
    est = GaussianMixtureEM.from_parameters(weights, means, covariances("full"))
    X = rows("full")
    before = est.score_samples(X)
    weights[:], means[:] = 1 / 3, 0.0
    assert_array_equal(est.score_samples(X), before)
    for array in (weights, means):
        array.flags.writeable = False
    GaussianMixtureEM.from_parameters(weights, means, covariances("full"))


def test_lists_are_parameters_too():
    est = GaussianMixtureEM.from_parameters(
        [0.5, 0.5], [[0.0], [3.0]], [[[1.0]], [[2.0]]]
    )
    assert_answers(est, np.array([[0.0], [1.0], [4.0]]))
    est = PoissonMixtureEM.from_parameters([1], [[2, 3]])
    assert_answers(est, np.array([[0.0, 1.0], [4.0, 2.0]]))


def test_given_parameters_survive_copies(family):
    est, X = given(family), rows(family)
    for other in (copy.deepcopy(est), pickle.loads(pickle.dumps(est))):
        assert_array_equal(other.score_samples(X), est.score_samples(X))


def test_a_warm_start_goes_on_from_given_parameters(family):
    """As a start that names them all, iteration by iteration."""
    X = rows(family, 100)
    known = given(family, warm_start=True)
    names = {"bernoulli": "theta", "categorical": "theta", "poisson": "rates"}
    start = {"weights_init": WEIGHTS}
    if family in GAUSSIAN:
        start |= {"means_init": MEANS, "precisions_init": known.precisions_}
        start |= {"covariance_type": family}
    else:
        start[f"{names[family]}_init"] = getattr(known, f"{names[family]}_")
    cold = run(type(known)(3, **start), X, 5)
    warm = run(known, X, 5)
    assert_same(warm, cold)
    assert_allclose(warm.lower_bounds_, cold.lower_bounds_, rtol=1e-9)


def test_a_fit_forgets_given_parameters(family):
    X = rows(family, 100)
    one = given(family, random_state=0).fit(X)
    two = clone(one).fit(X)
    assert_same(one, two, tol=0)


# Bad parameters.

EYES = np.array([np.eye(3)] * 3)
BAD = {
    "weights of sum 2": ("weights", [1.0, 0.5, 0.5], "2"),
    "negative weights": ("weights", [1.5, -0.25, -0.25], "-0.25"),
    "weights of nan": ("weights", [np.nan, 0.5, 0.5], "(?i)nan"),
    "a scalar weight": ("weights", 1.0, "weights"),
    "a mean less": ("means", MEANS[:2], r"\(2, 3\)"),
    "means of inf": ("means", np.full((3, 3), np.inf), "inf"),
    "another type": ("covariances", np.eye(3), r"\(3, 3\)"),
    "not symmetric": ("covariances", EYES + np.triu(np.ones((3, 3)), 1), "symmetric"),
    "not symmetric, in large units": (
        "covariances",
        1e-9 * (EYES + np.triu(np.full((3, 3), 0.1), 1)),
        "symmetric",
    ),
    "not positive": ("covariances", -EYES, "positive"),
    "singular": ("covariances", np.ones((3, 3, 3)), "positive"),
    "of nan": ("covariances", np.full((3, 3, 3), np.nan), "(?i)nan"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_parameters_of_gaussians(case):
    name, value, said = BAD[case]
    good = {"weights": WEIGHTS, "means": MEANS, "covariances": EYES}
    with pytest.raises(ValueError, match=said) as caught:
        GaussianMixtureEM.from_parameters(**(good | {name: value}))
    assert name in str(caught.value)


def test_weights_and_means_of_different_numbers():
    with pytest.raises(ValueError, match=r"weights|means") as caught:
        GaussianMixtureEM.from_parameters([0.5, 0.5], MEANS, EYES)
    assert "2" in str(caught.value)


@pytest.mark.parametrize(
    "mixture, value, said",
    [
        (BernoulliMixtureEM, np.full((3, 2), 1.5), "1.5"),
        (BernoulliMixtureEM, np.full((3, 2), -0.25), "-0.25"),
        (BernoulliMixtureEM, np.full((2, 2), 0.5), r"\(2, 2\)"),
        (CategoricalMixtureEM, [np.ones((3, 2))], "2"),
        (CategoricalMixtureEM, [np.full((2, 2), 0.5)], r"\(2, 2\)"),
        (CategoricalMixtureEM, [[[1.5, -0.5]] * 3], "1.5|-0.5"),
        (PoissonMixtureEM, np.full((3, 2), -0.25), "-0.25"),
        (PoissonMixtureEM, np.full((3, 2), np.nan), "(?i)nan"),
        (PoissonMixtureEM, np.ones((2, 2)), r"\(2, 2\)"),
    ],
)
def test_bad_parameters_of_the_others(mixture, value, said):
    with pytest.raises(ValueError, match=said) as caught:
        mixture.from_parameters(WEIGHTS, value)
    assert ("rates" if mixture is PoissonMixtureEM else "theta") in str(caught.value)


# Attributes assigned by hand, as scikit-learn's users do.


def test_assigned_attributes_make_a_mixture(kind):
    est = by_hand(kind)
    assert_answers(est, rows(kind))
    X, labels = est.sample(4000)
    counts = np.bincount(labels, minlength=3)
    for k, covariance in enumerate(full_covariances(est)):
        # Five standard errors of a mean.
        error = 5 * np.sqrt(np.diag(covariance) / counts[k])
        assert (abs(X[labels == k].mean(axis=0) - MEANS[k]) < error).all()


def test_assigned_precisions_cholesky_make_a_mixture(kind):
    """What scikit-learn itself reads: it needs no covariances_."""
    known, X = given(kind), rows(kind)
    est = GaussianMixtureEM(3, covariance_type=kind)
    est.weights_, est.means_ = WEIGHTS, MEANS
    est.precisions_cholesky_ = known.precisions_cholesky_
    assert_allclose(est.score_samples(X), known.score_samples(X), rtol=1e-9)
    assert_allclose(est.covariances_, known.covariances_, rtol=1e-9, atol=1e-12)
    assert_allclose(est.precisions_, known.precisions_, rtol=1e-9, atol=1e-12)


def test_scikit_learns_script_for_a_known_mixture(kind):
    """The lines that people write, and the answers they get there."""

    def script(mixture_class):
        gmm = mixture_class(n_components=3, covariance_type=kind)
        gmm.weights_, gmm.means_ = WEIGHTS, MEANS
        gmm.covariances_ = known.covariances_
        gmm.precisions_cholesky_ = known.precisions_cholesky_
        return gmm.score_samples(X), gmm.predict_proba(X), gmm.predict(X)

    known, X = given(kind), rows(kind)
    for ours, peer in zip(
        script(GaussianMixtureEM), script(GaussianMixture), strict=True
    ):
        assert_allclose(ours, peer, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    "last", ["covariances_", "precisions_cholesky_", "precisions_"]
)
def test_the_last_assigned_of_three_names_rules(kind, last):
    """They are one quantity: none of them may keep an old value."""
    one, other, X = by_hand(kind), by_hand(kind), rows(kind)
    one.score_samples(X)
    other.covariances_ = covariances(kind, seed=7)
    names = ("covariances_", "precisions_cholesky_", "precisions_")
    for name in (*names, last):
        source = other if name == last else given(kind)
        setattr(one, name, getattr(source, name))
    assert_allclose(one.score_samples(X), other.score_samples(X), rtol=1e-9)
    for name in names:
        value, expected = getattr(one, name), getattr(other, name)
        assert_allclose(value, expected, rtol=1e-8, atol=1e-10, err_msg=name)


NAMES = ("covariances_", "precisions_", "precisions_cholesky_")


@pytest.mark.parametrize("shape", ["full", "diag", "spherical"])
@pytest.mark.parametrize("names", [p[:r] for p in permutations(NAMES) for r in (2, 3)])
def test_components_are_sorted_as_in_scikit_learn(shape, names):
    """Line by line: there none of the three follows, and each is put in order."""
    est, X = given(shape), rows(shape)
    before, order = est.predict_proba(X), [2, 0, 1]
    for name in ("weights_", "means_", *names):
        setattr(est, name, getattr(est, name)[order])
    assert_allclose(est.predict_proba(X), before[:, order], rtol=1e-9, atol=1e-12)
    # As a function that does so is called again.
    for name in ("weights_", "means_", *names):
        setattr(est, name, getattr(est, name)[order])
    order = np.array(order)[order]
    assert_allclose(est.predict_proba(X), before[:, order], rtol=1e-9, atol=1e-12)
    assert "_by_hand" not in est._get_fitted_state(True)


def test_components_with_the_same_covariance_are_sorted():
    """Their order among themselves is not to be seen in the covariances."""
    shared = [np.eye(2), np.eye(2), 3 * np.eye(2)]
    for order in permutations(range(3)):
        est = GaussianMixtureEM.from_parameters(WEIGHTS, MEANS[:, :2], shared)
        X = est.sample(50)[0]
        before = est.predict_proba(X)
        for name in ("weights_", "means_", *NAMES):
            setattr(est, name, getattr(est, name)[list(order)])
        assert_allclose(est.predict_proba(X), before[:, order], atol=1e-12)


def test_covariances_and_precisions_multiplied_one_after_the_other(kind):
    """Back to the units before a StandardScaler: both follow, and would do so twice."""
    est = given(kind)
    est.covariances_ = 4 * est.covariances_
    with pytest.raises(ValueError, match="precisions_cholesky_ is multiplied by what"):
        est.precisions_cholesky_ = est.precisions_cholesky_ / 2
    est.covariances_ = 4 * est.covariances_
    expected = 16 * given(kind).covariances_
    assert_allclose(est.covariances_, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"weights_": [0.5, 0.3, 0.4]}, r"weights_ has the sum 1\.2 .*; set weights"),
        (
            {"weights_": [1.5, -0.3, -0.2]},
            r"the least value -0\.3; set weights",
        ),
        ({"weights_": [0.5, 0.5]}, "set a weight and finite parameters for each"),
        ({"means_": np.full((3, 3), np.nan)}, "finite parameters"),
        ({"precisions_cholesky_": np.full((3, 3, 3), np.nan)}, "finite parameters"),
        (
            {"covariances_": np.stack([np.eye(3)] * 2)},
            r"covariances of shape \(3, 3, 3",
        ),
        ({"covariances_": np.stack([np.eye(2)] * 3)}, r"covariances_ has shape \(3, 2"),
    ],
)
def test_attributes_that_are_no_mixture(attributes, said):
    """They gave scores that are no densities, or errors of NumPy's."""
    for method in ("score", "predict_proba", "bic"):
        est = given("full")
        for name, value in attributes.items():
            setattr(est, name, np.array(value))
        with pytest.raises(ValueError, match=said):
            getattr(est, method)(rows("full", 10))


@pytest.mark.parametrize("family", ["full", "bernoulli", "categorical", "poisson"])
def test_components_that_are_sorted_between_batches(family):
    """The statistics of earlier batches are those of the components as they were."""
    X = rows(family)
    est = make(family, n_components=3).fit(X)
    assert "_of_statistics" not in est._get_fitted_state(True)
    order = [2, 0, 1]
    names = {"full": "means_", "poisson": "rates_"}
    theta = getattr(est, names.get(family, "theta_"))
    is_list = isinstance(theta, list)
    theta = [t[order] for t in theta] if is_list else theta[order]
    means = np.concatenate(theta, axis=1) if is_list else theta
    setattr(est, names.get(family, "theta_"), theta)
    est.weights_ = est.weights_[order]
    if family == "full":
        est.covariances_ = est.covariances_[order]
    score = est.score(X)
    with pytest.warns(UserWarning, match="forgets all earlier batches, as attr"):
        est.partial_fit(X)
    assert est.score(X) > score - 1e-3
    theta = getattr(est, names.get(family, "theta_"))
    theta = np.concatenate(theta, axis=1) if is_list else theta
    assert_allclose(theta, means, atol=0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        est.partial_fit(X)


def test_assigning_after_a_fit_changes_the_answers(kind):
    X = rows(kind, 100)
    est = make(kind, n_components=3).fit(X)
    est.score_samples(X)  # whatever it keeps for the next call is now old
    est.means_ = est.means_ + 1.0
    assert_answers(est, X)
    est.covariances_ = 2 * est.covariances_
    assert_answers(est, X)
    est.weights_ = WEIGHTS
    assert_answers(est, X)


def test_a_mean_changed_in_place_changes_the_answers():
    """Or it is refused; an answer of the old mean would be a wrong number."""
    X = rows("full", 100)
    est = make("full", n_components=3).fit(X)
    est.score_samples(X)
    try:
        est.means_[0] += 5.0
    except ValueError:  # read-only
        return
    assert_answers(est, X)


@pytest.mark.parametrize("family", ["bernoulli", "categorical", "poisson"])
def test_attributes_of_the_other_families_by_hand(family):
    known, X = given(family), rows(family)
    est = type(known)(3, random_state=0)
    if family == "bernoulli":
        est.binarize = None
    est.weights_ = WEIGHTS
    name = "rates_" if family == "poisson" else "theta_"
    setattr(est, name, getattr(known, name))
    assert_answers(est, X)
    assert est.sample(10)[0].shape == (10, 3)


# to_sklearn.


@pytest.mark.parametrize("weights", ["free", "uniform"])
def test_scikit_learn_gives_the_same_answers(kind, weights):
    X = blobs(200, spread=1.0)
    ours = make(kind, n_components=3, weights=weights).fit(X)
    peer = ours.to_sklearn()
    assert type(peer) is GaussianMixture
    assert peer.covariance_type == kind
    for method in ("score_samples", "predict_proba", "predict"):
        one, two = getattr(ours, method)(X), getattr(peer, method)(X)
        assert_allclose(two, one, rtol=1e-9, atol=1e-10, err_msg=method)
    assert_allclose(peer.score(X), ours.score(X), rtol=1e-10)
    if weights == "free":  # scikit-learn always counts the weights
        assert_allclose(peer.bic(X), ours.bic(X), rtol=1e-10)
        assert_allclose(peer.aic(X), ours.aic(X), rtol=1e-10)
    assert peer.sample(5)[0].shape == (5, 3)


def test_scikit_learn_has_the_same_attributes(kind):
    ours = make(kind, n_components=3, reg_covar=1e-5).fit(blobs(200))
    peer = ours.to_sklearn()
    names = ("weights_", "means_", "covariances_", "precisions_")
    for name in (*names, "precisions_cholesky_"):
        value, expected = getattr(peer, name), getattr(ours, name)
        assert_allclose(value, expected, rtol=1e-9, atol=1e-12, err_msg=name)
        assert value.shape == expected.shape
    assert peer.converged_ == ours.converged_
    assert peer.lower_bound_ == ours.lower_bound_
    assert peer.n_features_in_ == 3
    assert (peer.n_components, peer.reg_covar) == (3, 1e-5)
    clone(peer).fit(blobs(200))


def test_scikit_learn_has_the_names_of_the_features():
    X = pd.DataFrame(blobs(60), columns=list("abc"))
    peer = make("full", n_components=2).fit(X).to_sklearn()
    assert list(peer.feature_names_in_) == list("abc")


def test_scikit_learns_copy_is_its_own():
    X = blobs(60)
    ours = make("full", n_components=2).fit(X)
    peer, before = ours.to_sklearn(), ours.score_samples(X)
    peer.means_ += 1.0
    assert_array_equal(ours.score_samples(X), before)


def test_given_and_assigned_parameters_reach_scikit_learn(kind):
    X = rows(kind)
    for ours in (given(kind), by_hand(kind)):
        expected = ours.score_samples(X)
        assert_allclose(ours.to_sklearn().score_samples(X), expected, rtol=1e-9)


def test_only_a_fitted_mixture_reaches_scikit_learn():
    with pytest.raises(NotFittedError):
        GaussianMixtureEM(2).to_sklearn()
    assert not hasattr(BernoulliMixtureEM(2), "to_sklearn")
