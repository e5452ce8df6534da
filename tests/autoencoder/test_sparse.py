"""Sparse rows: the same numbers as the dense ones, bit for bit."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.model_selection import GridSearchCV

from sklvm import GMVAE, VAE, ConditionalVAE
from sklvm.autoencoder import Blocks, Categorical, Gaussian, NegativeBinomial, Poisson

from .models import quietly

FAMILIES = ["bernoulli", "poisson", "negative_binomial", "gaussian"]
FORMATS = [
    sparse.csr_matrix,
    sparse.csr_array,
    sparse.csc_matrix,
    sparse.csc_array,
    sparse.coo_array,
]
SHORT = {
    "latent_dim": 1,
    "hidden_layer_sizes": (8,),
    "max_epochs": 3,
    "batch_size": 20,
    "random_state": 0,
}


def counts(n_samples=70, n_features=6, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n_samples, 1))
    return rng.poisson(np.exp(0.8 * z * np.linspace(-1, 1, n_features) - 0.7)) * 1.0


def rows(family):
    X = counts()
    if family == "bernoulli":
        return (X > 0) * 1.0
    return np.where(X > 0, X - 2.5, 0) if family == "gaussian" else X


def fitted(X, estimator=VAE, **params):
    return quietly(estimator(**SHORT | params).fit, X)


@pytest.mark.parametrize(
    "family, make",
    [*zip(FAMILIES, FORMATS[:1] * 4, strict=True), *(("poisson", f) for f in FORMATS)],
)
def test_sparse_rows_have_the_numbers_of_dense_ones(family, make):
    X = rows(family)
    dense, est = fitted(X, likelihood=family), fitted(make(X), likelihood=family)
    assert est.lower_bound_ == dense.lower_bound_
    assert_array_equal(est.lower_bounds_, dense.lower_bounds_)
    for method in ("score_samples", "transform", "reconstruct"):
        expected = getattr(dense, method)(X)
        assert_array_equal(getattr(est, method)(make(X)), expected)
        # What was fitted to sparse rows reads dense ones, and the reverse.
        assert_array_equal(getattr(est, method)(X), expected)
        assert_array_equal(getattr(dense, method)(make(X)), expected)
    assert_array_equal(est.log_likelihood(make(X), 20), dense.log_likelihood(X, 20))
    assert est.score(make(X)) == dense.score(X)


@pytest.mark.parametrize("dtype", [np.int64, np.float32, bool])
def test_sparse_rows_of_other_dtypes(dtype):
    X = rows("bernoulli")
    expected = fitted(X, likelihood="bernoulli").score_samples(X)
    S = sparse.csr_matrix(X.astype(dtype))
    assert_array_equal(fitted(S, likelihood="bernoulli").score_samples(S), expected)


def test_stored_zeros_are_zeros():
    X = counts()
    S = sparse.csr_matrix(X)
    S.data[::4] = 0
    dense = S.toarray()
    expected = fitted(dense, likelihood="poisson").score_samples(dense)
    assert_array_equal(fitted(S, likelihood="poisson").score_samples(S), expected)


@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": True},
        {"prior": "vamp", "n_pseudo_inputs": 5},
        {"mask_rate": 0.2},
        {"posterior": "full", "latent_dim": 2},
    ],
    ids=lambda params: next(iter(params)),
)
def test_training_is_that_of_dense_rows(params):
    X = counts()
    S = sparse.csr_matrix(X)
    dense = fitted(X, likelihood="poisson", **params)
    est = fitted(S, likelihood="poisson", **params)
    assert_array_equal(est.score_samples(S), dense.score_samples(X))


def test_grey_values_make_bits():
    X = counts() / 10
    S = sparse.csr_matrix(X)
    params = {"likelihood": "bernoulli", "binarize": "dynamic"}
    assert_array_equal(
        fitted(S, **params).score_samples(S), fitted(X, **params).score_samples(X)
    )
    with pytest.warns(UserWarning, match="binarize"):
        fitted(S, likelihood="bernoulli")


def test_partial_fit_takes_sparse_batches():
    X = counts()
    S = sparse.csr_matrix(X)
    dense, est = (VAE(likelihood="poisson", **SHORT) for _ in range(2))
    for batch in (slice(0, 40), slice(40, 70), slice(0, 1)):
        quietly(dense.partial_fit, X[batch])
        quietly(est.partial_fit, S[batch])
    assert_array_equal(est.score_samples(S), dense.score_samples(X))


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_gmvae_takes_sparse_rows(family):
    X = rows(family)
    S = sparse.csr_array(X)
    dense, est = (fitted(x, GMVAE, likelihood=family) for x in (X, S))
    assert_array_equal(est.score_samples(S), dense.score_samples(X))
    assert_array_equal(est.predict(S), dense.predict(X))
    assert_array_equal(est.predict_proba(S), dense.predict_proba(X))
    for name, terms in est.elbo_terms(S).items():
        assert_array_equal(terms, dense.elbo_terms(X)[name])


def test_blocks_of_sparse_rows():
    X = counts()
    S = sparse.csr_matrix(X)

    def likelihood():
        return Blocks(
            [
                (Poisson(), [4, 0]),
                (NegativeBinomial(), [1]),
                (Categorical([40]), [2]),
                (Gaussian(), [3, 5]),
            ]
        )

    dense, est = (fitted(x, likelihood=likelihood()) for x in (X, S))
    assert_array_equal(est.score_samples(S), dense.score_samples(X))


@pytest.mark.slow
def test_a_search_over_sparse_rows():
    X = counts()
    grid = {"latent_dim": [1, 2]}
    searches = [
        quietly(GridSearchCV(VAE(likelihood="poisson", **SHORT), grid, cv=3).fit, x)
        for x in (X, sparse.csr_matrix(X))
    ]
    dense, est = (search.cv_results_["mean_test_score"] for search in searches)
    assert_array_equal(est, dense)


def test_a_pickle_of_a_fit_to_sparse_rows():
    S = sparse.csr_matrix(counts())
    est = fitted(S, likelihood="poisson")
    copy = pickle.loads(pickle.dumps(est))
    assert_array_equal(copy.score_samples(S), est.score_samples(S))


def test_sparse_rows_are_left_alone():
    S = sparse.csr_matrix(counts())
    before = S.copy()
    est = fitted(S, likelihood="poisson")
    filled = est.impute(S)
    assert sparse.issparse(filled)
    assert_allclose(filled.toarray(), S.toarray())
    filled.data[:] = -1
    assert (before != S).nnz == 0


def test_samples_and_reconstructions_are_dense():
    S = sparse.csr_matrix(counts())
    est = fitted(S, likelihood="poisson")
    assert isinstance(est.sample(3)[0], np.ndarray)
    assert isinstance(est.reconstruct(S), np.ndarray)


# What sparse rows cannot be.


@pytest.mark.parametrize("estimator", [VAE, GMVAE])
def test_missing_values_are_refused(estimator):
    S = sparse.csr_matrix(counts())
    gaps = S.copy()
    gaps.data[3] = np.nan
    with pytest.raises(ValueError, match=r"sparse and has NaN.*X\.toarray\(\)\.$"):
        fitted(gaps, estimator, likelihood="poisson")
    est = fitted(S, estimator, likelihood="poisson", mask_rate=0.2)
    with pytest.raises(ValueError, match=r"sparse and has NaN"):
        est.score_samples(gaps)


@pytest.mark.parametrize("method", ["sample_missing", "conditional_score_samples"])
def test_questions_about_missing_cells_need_dense_rows(method):
    S = sparse.csr_matrix(counts())
    est = fitted(S, likelihood="poisson", mask_rate=0.2)
    args = () if method == "sample_missing" else ([0],)
    with pytest.raises(ValueError, match=rf"{method} needs a dense X.*toarray\(\)\.$"):
        getattr(est, method)(S, *args)


@pytest.mark.parametrize(
    "family, value, word",
    [
        ("poisson", -1.0, "-1"),
        ("poisson", 0.5, r"0\.5"),
        ("negative_binomial", 2e9, r"2e\+09"),
        ("bernoulli", 3.0, "MinMaxScaler"),
        ("lognormal", 1.0, "values above 0, in float32, and X has 0"),
    ],
)
def test_impossible_values_are_found(family, value, word):
    X = rows("bernoulli")
    X[13, 2] = value
    with pytest.raises(ValueError, match=word):
        fitted(sparse.csr_matrix(X), likelihood=family)
    if family != "lognormal":
        est = fitted(rows("bernoulli"), likelihood=family)
        with pytest.raises(ValueError, match=word):
            est.score_samples(sparse.csr_matrix(X))


@pytest.mark.parametrize(
    "likelihood", ["auto", "categorical", [("poisson", slice(None))]]
)
def test_kinds_by_column_need_dense_rows(likelihood):
    with pytest.raises(TypeError, match=r"sparse.*likelihood.*toarray"):
        fitted(sparse.csr_matrix(counts()), likelihood=likelihood)


def test_conditional_vae_needs_dense_rows():
    X = counts()
    est = ConditionalVAE(**SHORT)
    with pytest.raises(TypeError, match="dense data is required"):
        est.fit(sparse.csr_matrix(X), X[:, 0])
    with pytest.raises(ValueError, match=r"y is sparse.*y\.toarray\(\)"):
        est.fit(X, sparse.csr_matrix(X))
