"""Bad input: one sentence with the parameter and the value, and no side effect."""

import copy
import re
from collections import UserDict

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError

from sklvm import BernoulliMixtureEM, GaussianMixtureEM, MixtureEM

N, D, K = 30, 3, 3
X = np.random.default_rng(0).normal(size=(N, D))
BOTH = [BernoulliMixtureEM, GaussianMixtureEM]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(params=BOTH)
def mixture(request):
    return request.param


def new_and_fitted(mixture, **params):
    """An estimator before and after a good fit, then given the parameters."""
    for est in (mixture(K, random_state=0), mixture(K, random_state=0).fit(X)):
        yield est.set_params(**params)


def snapshot(est):
    """Which objects the estimator holds, and what is in them."""
    return {name: id(value) for name, value in vars(est).items()}, joblib.hash(
        vars(est)
    )


def assert_refuses(est, message, X=X, method="fit", **fit_params):
    """The message says what is wrong; the estimator stays as it was."""
    before = snapshot(est)
    with pytest.raises((ValueError, TypeError), match=message):
        getattr(est, method)(X, **fit_params)
    assert snapshot(est) == before


def names(parameter, value):
    """A pattern for a message in which both occur, in either order."""
    parameter, value = re.escape(parameter), re.escape(str(value))
    return rf"(?is)(?=.*{parameter})(?=.*{value})"


# Constructor parameters.

SHARED = [
    ("n_components", 0),
    ("n_components", -1),
    ("n_components", 2.5),
    ("n_components", "three"),
    ("weights", "unif"),
    ("tol", -1e-3),
    ("tol", "small"),
    ("max_iter", -1),
    ("max_iter", 1.5),
    ("n_init", 0),
    ("n_init", "many"),
    ("init_params", "kmean"),
    ("acceleration", "squared"),
    ("learning_decay", 0.5),
    ("learning_decay", 1.5),
    ("random_state", "zero"),
    ("n_jobs", "two"),
    ("n_jobs", 0),
    ("batch_size", 0),
    ("batch_size", 2.5),
    ("verbose", -1),
    ("verbose_interval", 0),
    ("warm_start", "yes"),
]
BERNOULLI = [
    ("binarize", "half"),
    ("theta_prior", (0.5, 1.0)),
    ("theta_prior", (1.0, 0.9)),
    ("theta_prior", (1.0,)),
    ("theta_prior", 2.0),
    ("theta_prior", ("a", "b")),
    ("weights_prior", 0.5),
    ("weights_prior", "flat"),
]
GAUSSIAN = [
    ("covariance_type", "fulll"),
    ("covariance_type", None),
    ("reg_covar", -1e-6),
    ("reg_covar", "tiny"),
]
OPTIONS = [
    *((mixture, *option) for mixture in BOTH for option in SHARED),
    *((BernoulliMixtureEM, *option) for option in BERNOULLI),
    *((GaussianMixtureEM, *option) for option in GAUSSIAN),
]


@pytest.mark.slow
@pytest.mark.parametrize("mixture, parameter, value", OPTIONS)
def test_unknown_options_and_values_out_of_range(mixture, parameter, value):
    for est in new_and_fitted(mixture, **{parameter: value}):
        assert_refuses(est, names(parameter, repr(value)))
    est = mixture(K).set_params(**{parameter: value})
    assert_refuses(est, names(parameter, repr(value)), method="partial_fit")


def test_constructing_and_setting_never_validate(mixture):
    """scikit-learn's rule: only fit validates."""
    est = mixture(n_components="three", tol=-1)
    assert est.set_params(max_iter="x").get_params()["max_iter"] == "x"


# (parameter, value, what the message says of the value)
EYE = np.eye(D)
STARTS = [
    (BernoulliMixtureEM, "weights_init", [0.5, 0.5], "2"),
    (BernoulliMixtureEM, "weights_init", [0.5, 0.5, 0.5], "1.5"),
    (BernoulliMixtureEM, "weights_init", [-0.5, 0.75, 0.75], "-0.5"),
    (BernoulliMixtureEM, "weights_init", [np.nan, 0.5, 0.5], "nan"),
    (GaussianMixtureEM, "weights_init", [0.5, 0.5], "2"),
    (GaussianMixtureEM, "weights_init", [0.5, 0.5, 0.5], "1.5"),
    (GaussianMixtureEM, "weights_init", [-0.5, 0.75, 0.75], "-0.5"),
    (BernoulliMixtureEM, "theta_init", np.full((2, D), 0.5), "(2, 3)"),
    (BernoulliMixtureEM, "theta_init", np.full((K, D + 1), 0.5), "(3, 4)"),
    (BernoulliMixtureEM, "theta_init", np.full((K, D), 1.5), "1.5"),
    (BernoulliMixtureEM, "theta_init", np.full((K, D), -0.25), "-0.25"),
    (BernoulliMixtureEM, "theta_init", np.full((K, D), np.nan), "nan"),
    (GaussianMixtureEM, "means_init", np.zeros((2, D)), "(2, 3)"),
    (GaussianMixtureEM, "means_init", np.zeros((K, D + 1)), "(3, 4)"),
    (GaussianMixtureEM, "means_init", np.zeros(D), "(3,)"),
    (GaussianMixtureEM, "means_init", np.full((K, D), np.inf), "inf"),
]
PRECISIONS = [
    ("full", EYE, "(3, 3)"),
    ("full", np.array([EYE, EYE]), "(2, 3, 3)"),
    ("full", np.array([EYE, -EYE, EYE]), "positive"),
    ("full", np.array([EYE, EYE, EYE + np.triu(np.ones((D, D)), 1)]), "symmetric"),
    ("tied", np.array([EYE] * K), "(3, 3, 3)"),
    ("tied", -EYE, "positive"),
    ("diag", np.ones((K, D + 1)), "(3, 4)"),
    ("diag", -np.ones((K, D)), "positive"),
    ("spherical", np.ones((K, D)), "(3, 3)"),
    ("spherical", np.zeros(K), "positive"),
]


@pytest.mark.parametrize("mixture, parameter, value, said", STARTS)
def test_bad_starts(mixture, parameter, value, said):
    for est in new_and_fitted(mixture, **{parameter: value}):
        assert_refuses(est, names(parameter, said))


@pytest.mark.parametrize("kind, value, said", PRECISIONS)
def test_bad_precisions(kind, value, said):
    params = {"covariance_type": kind, "precisions_init": value}
    for est in new_and_fitted(GaussianMixtureEM, **params):
        assert_refuses(est, names("precisions_init", said))


# Data.

INFINITE = X.copy()
INFINITE[4, 1] = np.inf
STRINGS = X.astype(object)
STRINGS[2, 0] = "ink"
BAD_DATA = {
    "one-dimensional": (X[:, 0], "2D|1D"),
    "three-dimensional": (X[None], "dim|3D"),
    "no rows": (X[:0], "0 sample"),
    "no columns": (X[:, :0], "0 feature"),
    "inf": (INFINITE, "inf"),
    "minus inf": (-INFINITE, "inf"),
    "complex": (X + 1j, "[Cc]omplex"),
    "strings": (STRINGS, "ink"),
    "None": (None, "None|scalar"),
    "scalar": (3.0, "2D|scalar"),
    "ragged": ([[1.0, 2.0], [3.0]], "different lengths"),
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data(mixture, case, method):
    data, said = BAD_DATA[case]
    for est in new_and_fitted(mixture):
        assert_refuses(est, said, X=data, method=method)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["score_samples", "predict", "transform", "impute"])
@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_after_the_fit(mixture, case, method):
    data, said = BAD_DATA[case]
    if case == "no columns":
        said = "feature"
    assert_refuses(mixture(K, random_state=0).fit(X), said, X=data, method=method)


@pytest.mark.parametrize(
    "method", ["score_samples", "predict", "impute", "partial_fit"]
)
def test_another_number_of_features(mixture, method):
    est = mixture(K, random_state=0).fit(X)
    assert_refuses(est, "4 features.*3 features", X=np.ones((5, 4)), method=method)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_more_components_than_rows(mixture, method):
    for est in new_and_fitted(mixture, n_components=7):
        if method == "partial_fit" and hasattr(est, "weights_"):
            continue  # the fit has three components: nothing is wrong there
        assert_refuses(est, names("n_components", 7), X=X[:5], method=method)
        assert_refuses(est, names("n_samples", 5), X=X[:5], method=method)


def test_rows_of_weight_zero_do_not_count(mixture):
    weight = np.zeros(N)
    weight[:2] = 1
    for est in new_and_fitted(mixture):
        assert_refuses(est, names("n_components", K), sample_weight=weight)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("value", [2.0, -1.0, 0.5])
def test_values_that_are_not_binary(value, container):
    data = (X > 0).astype(float)
    data[3, 1] = value
    for est in new_and_fitted(BernoulliMixtureEM, binarize=None):
        assert_refuses(est, names("binarize", value), X=container(data))
    est = BernoulliMixtureEM(K, binarize=None, random_state=0).fit((X > 0) * 1.0)
    assert_refuses(
        est, names("binarize", value), X=container(data), method="score_samples"
    )


def test_sparse_zeros_cannot_lie_above_the_threshold():
    """As in BernoulliNB: rows full of ones would no longer be sparse."""
    for est in new_and_fitted(BernoulliMixtureEM, binarize=-0.5):
        assert_refuses(est, names("binarize", -0.5), X=sp.csr_array(X))


def test_sparse_rows_are_not_for_gaussians():
    for est in new_and_fitted(GaussianMixtureEM):
        assert_refuses(est, "[Ss]parse", X=sp.csr_array(X))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_feature_never_observed_is_named(mixture, method):
    data = X.copy()
    data[:, 1] = np.nan
    frame = pd.DataFrame(data, columns=["paper", "ink", "glue"])
    est = mixture(K, random_state=0)
    assert_refuses(est, r"\b1\b", X=data, method=method)
    assert_refuses(est, "ink", X=frame, method=method)


def test_a_feature_observed_with_weight_zero_only_is_named(mixture):
    data, weight = X.copy(), np.ones(N)
    data[5:, 1] = np.nan
    weight[:5] = 0
    frame = pd.DataFrame(data, columns=["paper", "ink", "glue"])
    for est in (mixture(K, random_state=0), mixture(K, random_state=0).fit(frame)):
        assert_refuses(est, "ink", X=frame, sample_weight=weight)


def test_other_column_names(mixture):
    frame = pd.DataFrame(X, columns=["paper", "ink", "glue"])
    est = mixture(K, random_state=0).fit(frame)
    renamed = frame.rename(columns={"ink": "water"})
    assert_refuses(est, "water", X=renamed, method="score_samples")


# Weights of the rows.


def weights_with(value):
    weight = np.ones(N)
    weight[7] = value
    return weight


BAD_WEIGHTS = {
    "negative": (weights_with(-2.5), "-2.5"),
    "nan": (weights_with(np.nan), "[Nn]a[Nn]"),
    "inf": (weights_with(np.inf), "inf"),
    "all zero": (np.zeros(N), "zero|0"),
    "too short": (np.ones(N - 1), r"\(29,\)|29"),
    "two-dimensional": (np.ones((N, 2)), r"1D|\(30, 2\)"),
    "strings": (["heavy"] * N, "heavy"),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", ["fit", "partial_fit", "score", "bic", "fit_predict"]
)
@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_bad_sample_weight(mixture, case, method):
    weight, said = BAD_WEIGHTS[case]
    for est in new_and_fitted(mixture):
        if method in ("score", "bic") and not hasattr(est, "weights_"):
            continue
        assert_refuses(est, said, method=method, sample_weight=weight)
        # A string fails where numpy converts it, which cannot know the parameter.
        if case != "strings":
            assert_refuses(
                est, "(?i)sample.?weight", method=method, sample_weight=weight
            )


@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_predict"])
@pytest.mark.parametrize("mixture_class", [GaussianMixtureEM, MixtureEM])
def test_weights_of_a_table_in_memory_by_name(mixture_class, method):
    table = pd.DataFrame({"x": [1.0, 2, 4], "w": [1.0, 1, 2]})
    said = r"sample_weight='w' names a column.*give X\['w'\], and X without it\."
    with pytest.raises(TypeError, match=said):
        getattr(mixture_class(), method)(table, sample_weight="w")


class Loader:
    """As torch's DataLoader, or an open file."""

    def __len__(self):
        return 1

    def __iter__(self):
        return iter([np.eye(2)])


@pytest.mark.parametrize("X", [Loader(), UserDict(x=np.eye(2)), pd.DataFrame, object()])
@pytest.mark.parametrize("mixture_class", [GaussianMixtureEM, MixtureEM])
def test_what_is_no_table(mixture_class, X):
    with pytest.raises(TypeError, match=r"X is a .* and no table of rows; give"):
        mixture_class().fit(X)


@pytest.mark.parametrize("mixture_class", [GaussianMixtureEM, MixtureEM])
def test_rows_that_are_dicts(mixture_class):
    """As a server gets them."""
    est = mixture_class().fit(pd.DataFrame({"a": [1.0, 2, 4], "b": [3.0, 1, 2]}))
    with pytest.raises(TypeError, match=r"X is a list of rows.*pandas\.DataFrame\(X\)"):
        est.predict([{"a": 1.0, "b": 3.0}])


def test_a_file_of_several_arrays(tmp_path):
    np.savez(tmp_path / "arrays.npz", ages=np.eye(2), sizes=np.eye(3))
    said = r"as X\['ages'\], X\['sizes'\]\."
    with (
        np.load(tmp_path / "arrays.npz") as X,
        pytest.raises(TypeError, match=said),
    ):
        GaussianMixtureEM().fit(X)


# After the fit.


@pytest.mark.parametrize(
    "method",
    [
        "predict",
        "predict_proba",
        "transform",
        "score_samples",
        "score",
        "bic",
        "aic",
        "icl",
        "impute",
        "inverse_transform",
    ],
)
def test_nothing_works_before_the_fit(mixture, method):
    est = mixture(K)
    before = snapshot(est)
    with pytest.raises(NotFittedError, match=mixture.__name__):
        getattr(est, method)(X)
    with pytest.raises(NotFittedError, match=mixture.__name__):
        est.sample()
    assert snapshot(est) == before


@pytest.mark.parametrize("n_samples", [0, -3, 2.5, "ten"])
def test_bad_numbers_of_samples(mixture, n_samples):
    est = mixture(K, random_state=0).fit(X)
    assert_refuses(est, "n_samples", X=n_samples, method="sample")


def test_latents_of_another_width(mixture):
    est = mixture(K, random_state=0).fit(X)
    assert_refuses(est, r"4", X=np.ones((2, 4)), method="inverse_transform")


def test_a_good_fit_after_a_bad_one_is_as_if_nothing_had_happened(mixture):
    est = mixture(K, random_state=0)
    clean = copy.deepcopy(est).fit(X)
    assert_refuses(est, "inf", X=INFINITE)
    assert_refuses(est, "-2.5", sample_weight=weights_with(-2.5))
    assert est.fit(X).lower_bound_ == clean.lower_bound_


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_squares_beyond_float64(covariance_type):
    X = np.random.default_rng(0).normal(size=(50, 2)) * 1e200
    with pytest.raises(ValueError, match=r"squares are beyond float64.*another unit"):
        GaussianMixtureEM(2, covariance_type=covariance_type).fit(X)
