"""Outliers: tail probabilities against the chi-square distribution, and fairness."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chi2, spearmanr
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklvm import (
    BernoulliMixtureEM,
    CategoricalMixtureEM,
    DensityOutlierDetector,
    GaussianMixtureEM,
    MixtureEM,
    ModelImputer,
    PoissonMixtureEM,
)
from sklvm.wrappers import _patterns
from sklvm.wrappers._tails import weighted_quantile

from ..networks import VAE, ConditionalVAE, needs_torch
from ..registry import three_habits
from .models import correlated, with_missing


def log_tails(d, X):
    """Exact: chi-square tails of Mahalanobis distances of the observed cells."""
    mean, covariance = d.estimator_.means_[0], d.estimator_.covariances_[0]
    result = []
    for x in X:
        o = ~np.isnan(x)
        r = x[o] - mean[o]
        distance = r @ np.linalg.solve(covariance[np.ix_(o, o)], r)
        result.append(chi2.logsf(distance, o.sum()))
    return np.array(result)


def test_a_gaussian_has_chi_square_tails():
    """Within the body to the error of 2,000 draws, in the far tail to a tenth."""
    X = with_missing(correlated(600), 2)
    d = DensityOutlierDetector().fit(X)
    far = with_missing(4 * correlated(400, seed=1), 2, seed=1)
    for rows in (X, far):
        exact, scores = log_tails(d, rows), d.score_samples(rows)
        body = np.exp(exact) > _patterns.N_COMMON**-0.5
        share = np.exp(exact[body])
        error = np.sqrt((1 - share) / share / _patterns.N_COMMON)
        assert np.all(np.abs(scores[body] - exact[body]) < 4 * error + 1e-3)
        tail = ~body & (exact > -300)
        assert_allclose(scores[tail], exact[tail], rtol=0.12, atol=0.5)
    assert exact.min() < -50


def test_complete_rows_are_ranked_by_their_density():
    X = correlated(500)
    d = DensityOutlierDetector(GaussianMixtureEM(2, random_state=0)).fit(X)
    rows = np.vstack([X, 3 * X, 100 * X])
    scores, log_density = d.score_samples(rows), d.estimator_.score_samples(rows)
    assert spearmanr(scores, log_density).statistic == 1
    assert len(np.unique(scores)) == len(np.unique(log_density))


def test_rows_with_a_pattern_of_their_own(monkeypatch):
    """Few draws for each pattern: the same probabilities, to their error."""
    X = with_missing(correlated(600), 2)
    exact = DensityOutlierDetector().fit(X).score_samples(X)
    monkeypatch.setattr(_patterns, "MAX_COMMON", 0)
    rare = DensityOutlierDetector().fit(X).score_samples(X)
    missing = np.isnan(X).any(axis=1)
    assert_array_equal(rare[~missing], exact[~missing])
    assert spearmanr(rare, exact).statistic > 0.99
    one_by_one = DensityOutlierDetector().fit(X)
    alone = [one_by_one.score_samples(X[i : i + 1])[0] for i in range(20)]
    assert_allclose(alone, rare[:20], rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("table", ["breast cancer", "wine", "answers"])
def test_missing_cells_do_not_decide(table):
    """At equal contamination, less than a factor of two between 0, 1 and 2 of them."""
    if table == "answers":
        X = np.hstack([three_habits(s, 800)[0] for s in (0, 1)]).astype(float)
        model = CategoricalMixtureEM(3, theta_prior=1.5, random_state=0)
    else:
        data = load_wine() if table == "wine" else load_breast_cancer()
        X = StandardScaler().fit_transform(data.data)
        model = GaussianMixtureEM(random_state=0)
    shares = np.zeros(3)
    for seed in range(5):
        Y = with_missing(X, 2, seed=seed)
        flagged = DensityOutlierDetector(model, contamination=0.1).fit(Y).predict(Y) < 0
        counts = np.isnan(Y).sum(axis=1)
        shares += [flagged[counts == n].mean() / 5 for n in range(3)]
    assert shares.max() < 2 * shares.min()


def test_contamination_and_threshold():
    X = correlated(400)
    d = DensityOutlierDetector(contamination=0.05)
    assert (d.fit_predict(X) == -1).sum() == 20
    scores = d.score_samples(X)
    assert_array_equal(d.decision_function(X), scores - d.offset_)
    assert_array_equal(d.predict(X), np.where(scores < d.offset_, -1, 1))
    auto = DensityOutlierDetector().fit(X)
    assert auto.offset_ == np.log(0.05)
    # A Gaussian's own rows: as many as the probability says.
    flagged = (auto.predict(correlated(4000, seed=5)) < 0).mean()
    assert abs(flagged - 0.05) < 0.03


def test_rows_with_nothing_observed_are_inliers():
    X = with_missing(correlated(200), 2)
    blank = np.full((1, 4), np.nan)
    d = DensityOutlierDetector(contamination=0.5).fit(np.vstack([X, blank]))
    assert d.score_samples(blank) == 0
    assert d.predict(blank) == 1


@pytest.mark.parametrize("seen, unseen", [(["red", "blue"], "pink"), ([1, 2], 7)])
def test_an_unseen_category_is_a_missing_cell(seen, unseen):
    rng = np.random.default_rng(0)
    colour = rng.choice(seen, 300)
    X = pd.DataFrame({"colour": colour, "size": rng.normal(size=300)})
    model = MixtureEM(handle_unknown="missing", random_state=0)
    d = DensityOutlierDetector(model).fit(X)
    sizes = np.array([-6, -4, -2, 0.0, 1, 3])
    odd = pd.DataFrame({"colour": [unseen] * 6, "size": sizes})
    alone = DensityOutlierDetector(MixtureEM(random_state=0)).fit(X[["size"]])
    missing = odd.assign(colour=np.nan)
    assert_array_equal(d.score_samples(odd), d.score_samples(missing))
    expected = alone.score_samples(odd[["size"]])
    assert_allclose(d.score_samples(odd), expected, rtol=0.2, atol=0.1)
    assert d.score_samples(odd[["colour"]].assign(size=np.nan)).tolist() == [0] * 6


def test_impossible_rows_have_a_finite_score():
    X = np.array([[0, 1], [1, 1]] * 20)
    d = DensityOutlierDetector(BernoulliMixtureEM(random_state=0)).fit(X)
    with pytest.warns(UserWarning, match="probability 0"):
        scores = d.score_samples([[1, 0], [1, 1]])
    assert np.isfinite(scores).all()
    assert scores[0] < -1e200


def test_equal_rows_have_equal_scores():
    """A step of the distribution does not hang on rounding."""
    (X,) = three_habits(0, 300)
    model = CategoricalMixtureEM(3, theta_prior=1.5, random_state=0)
    d = DensityOutlierDetector(model).fit(X)
    scores = d.score_samples(X)
    alone = [d.score_samples(X[i : i + 1])[0] for i in range(50)]
    assert_allclose(alone, scores[:50], rtol=1e-6)
    log_density = d.estimator_.score_samples(X)
    share = [(log_density <= value + 1e-9).mean() for value in log_density]
    assert np.abs(np.exp(scores) - share).max() < 0.1


@pytest.mark.filterwarnings("error::UserWarning")
def test_frames(tmp_path):
    X = with_missing(correlated(300), 2)
    frame = pd.DataFrame(X, columns=list("abcd"))
    d = DensityOutlierDetector(contamination=0.1).fit(frame)
    assert list(d.feature_names_in_) == list("abcd")
    expected = DensityOutlierDetector(contamination=0.1).fit(X)
    assert_array_equal(d.score_samples(frame), expected.score_samples(X))
    d.fit(X)
    assert not hasattr(d, "feature_names_in_")


def test_draws_that_are_frames():
    X = pd.DataFrame(with_missing(correlated(300), 2), columns=list("abcd"))
    model = Framed(random_state=0)
    scores = DensityOutlierDetector(model).fit(X).score_samples(X)
    plain = DensityOutlierDetector().fit(X).score_samples(X)
    assert_allclose(scores, plain, rtol=1e-9)


class Framed(GaussianMixtureEM):
    def sample(self, n_samples=1):
        X, labels = super().sample(n_samples)
        return pd.DataFrame(X, columns=self.feature_names_in_), labels


@needs_torch
def test_autoencoders_with_missing_cells():
    X = with_missing(correlated(300), 2).astype(np.float32)
    vae = VAE(max_epochs=20, hidden_layer_sizes=(8,), tol=np.inf, random_state=0)
    d = DensityOutlierDetector(vae, contamination=0.1).fit(X)
    assert (d.predict(X) < 0).sum() == 30
    assert d.predict(np.array([[30, -30, np.nan, 0]])) == -1


@pytest.mark.parametrize("wrapper", [DensityOutlierDetector, ModelImputer])
def test_a_class_in_place_of_an_object(wrapper):
    with pytest.raises(TypeError, match=r"is a class; give an object.*MixtureEM\(\)"):
        wrapper(MixtureEM).fit(correlated(30))


def test_clone_pickle_and_determinism():
    X = with_missing(correlated(200), 1)
    d = DensityOutlierDetector(GaussianMixtureEM(2, random_state=3)).fit(X)
    scores = d.score_samples(X)
    again = clone(d)
    assert not hasattr(again, "estimator_")
    assert not hasattr(d.estimator, "means_")
    assert_array_equal(again.fit(X).score_samples(X), scores)
    assert_array_equal(pickle.loads(pickle.dumps(d)).score_samples(X), scores)
    in_pipeline = make_pipeline(StandardScaler(), DensityOutlierDetector()).fit(X)
    assert set(in_pipeline.predict(X)) == {-1, 1}


@pytest.mark.parametrize(
    "params, error, words",
    [
        ({"contamination": 0.6}, ValueError, "contamination.*0.6"),
        ({"contamination": "few"}, ValueError, "contamination.*few"),
        ({"estimator": "gaussian"}, ValueError, "estimator"),
        ({"estimator": StandardScaler()}, TypeError, "StandardScaler.*give a mixture"),
        pytest.param(
            {"estimator": ConditionalVAE()},
            TypeError,
            "ConditionalVAE.*give a mixture",
            marks=needs_torch,
        ),
        (
            {"estimator": make_pipeline(StandardScaler(), GaussianMixtureEM())},
            TypeError,
            "Pipeline.*before",
        ),
    ],
)
def test_bad_parameters(params, error, words):
    X = correlated(50)
    d = DensityOutlierDetector().fit(X)
    before = dict(vars(d), **params)
    with pytest.raises(error, match=words):
        d.set_params(**params).fit(X)
    assert vars(d) == before
    with pytest.raises(NotFittedError):
        DensityOutlierDetector().predict(X)
    with pytest.raises(ValueError, match="infinity"):
        DensityOutlierDetector().fit(np.full((5, 2), np.inf))


# Impossible values.


def mixed(n=200):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "size": rng.normal(size=n),
            "visits": rng.poisson(3, n),
            "income": np.exp(rng.normal(size=n)),
            "plan": rng.choice(["free", "gold"], n),
        }
    )


def with_impossible(table):
    """Of six rows the first five are impossible."""
    rows = table.head(6).copy()
    rows["visits"] = rows["visits"].astype(float)
    rows.loc[0, "visits"] = -1
    rows.loc[1, "visits"] = 2.5
    rows.loc[2, "income"] = 0.0
    rows.loc[3, "income"] = -3.0
    rows.loc[4, "plan"] = "silver"
    return rows


@pytest.mark.parametrize("library", ["pandas", "polars", "array"])
def test_rows_with_impossible_values_are_outliers(library):
    as_given = {
        "pandas": lambda table: table,
        "polars": lambda table: pl.DataFrame(table.to_dict("list")),
        "array": lambda table: table.to_numpy(dtype=object),
    }[library]
    table = mixed()
    rows = with_impossible(table)
    d = DensityOutlierDetector(MixtureEM(random_state=0)).fit(as_given(table))
    assert d.predict(as_given(rows)).tolist() == [-1] * 5 + [1]
    scores = d.score_samples(as_given(rows))
    assert (scores[:5] == -1e300).all()
    # What stands beside a row does not change its score.
    assert_array_equal(scores[5:], d.score_samples(as_given(table.head(6)))[5:])
    assert d.predict(as_given(rows.head(5))).tolist() == [-1] * 5
    with pytest.raises(ValueError, match="visits" if library != "array" else "column"):
        d.estimator_.score_samples(as_given(rows))


def test_unknown_categories_are_missing_cells_where_the_model_says_so():
    table = mixed()
    model = MixtureEM(random_state=0, handle_unknown="missing")
    d = DensityOutlierDetector(model).fit(table)
    rows = with_impossible(table)
    assert d.predict(rows)[4] == 1
    rows.loc[4, "plan"] = None
    assert_allclose(d.score_samples(rows)[4], d.score_samples(rows[4:5])[0])


def test_a_value_of_another_type_is_an_error():
    table = mixed()
    d = DensityOutlierDetector(MixtureEM(random_state=0)).fit(table)
    with pytest.raises(ValueError, match="'size'"):
        d.predict(table.assign(size="small"))


@pytest.mark.parametrize(
    "model, value",
    [
        (PoissonMixtureEM(random_state=0), -1.0),
        (CategoricalMixtureEM(random_state=0), 2.0),
        (CategoricalMixtureEM(random_state=0), 0.5),
        (BernoulliMixtureEM(binarize=None, random_state=0), 2.0),
    ],
)
def test_impossible_numbers(model, value):
    X = np.random.default_rng(0).integers(2, size=(100, 3)).astype(float)
    X[0, 0] = np.nan
    assert_refused_cell_is_an_outlier(model, X, value)


@needs_torch
@pytest.mark.parametrize(
    "likelihood, value",
    [("poisson", -1.0), ("poisson", 0.5), ("bernoulli", 3.0), ("lognormal", 0.0)],
)
def test_impossible_numbers_of_an_autoencoder(likelihood, value):
    X = np.random.default_rng(0).integers(2, size=(100, 3)).astype(float)
    model = VAE(likelihood=likelihood, max_epochs=5, tol=1, random_state=0)
    assert_refused_cell_is_an_outlier(model, X + (likelihood == "lognormal"), value)


def assert_refused_cell_is_an_outlier(model, X, value):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        d = DensityOutlierDetector(model).fit(X)
        rows = X[:20].copy()
        rows[7, 1] = value
        scores = d.score_samples(rows)
        assert scores[7] == -1e300
        rest = np.arange(20) != 7
        assert_array_equal(scores[rest], d.score_samples(X[:20])[rest])


def test_impossible_entries_of_sparse_rows():
    X = np.random.default_rng(0).poisson(1.0, size=(100, 3)).astype(float)
    d = DensityOutlierDetector(PoissonMixtureEM(random_state=0)).fit(sp.csr_array(X))
    rows = X[:5].copy()
    rows[2, 1] = -1
    is_outlier = d.score_samples(sp.coo_array(rows)) == -1e300
    assert is_outlier.tolist() == [False, False, True, False, False]


@pytest.mark.parametrize("wrapper", [DensityOutlierDetector, ModelImputer])
def test_a_table_with_text_names_the_mixture_that_reads_it(wrapper):
    with pytest.raises(ValueError, match=r"estimator=MixtureEM\(\)"):
        wrapper().fit(mixed())
    with pytest.raises(ValueError, match="take MixtureEM"):
        wrapper(GaussianMixtureEM()).fit(mixed())
    wrapper(MixtureEM(random_state=0)).fit(mixed())


# Weights.


@pytest.mark.parametrize("contamination", ["auto", 0.1])
def test_a_weight_counts_rows(contamination):
    rng = np.random.default_rng(0)
    X, weight = rng.normal(size=(120, 2)), rng.integers(0, 4, size=120)
    one = DensityOutlierDetector(contamination=contamination)
    two = clone(one).fit(np.repeat(X, weight, axis=0))
    one.fit(X, sample_weight=weight)
    assert_allclose(one.decision_function(X), two.decision_function(X), atol=1e-9)


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=30), st.floats(0.01, 0.5))
def test_a_weighted_quantile_is_that_of_repeated_values(weight, q):
    assume(any(weight))
    values = np.random.default_rng(0).normal(size=len(weight))
    expected = np.quantile(np.repeat(values, weight), q)
    found = weighted_quantile(values, q, np.array(weight, dtype=float))
    assert found == pytest.approx(expected, abs=1e-12)


@needs_torch
def test_weights_of_an_estimator_that_takes_none():
    X = np.random.default_rng(0).normal(size=(50, 2))
    with pytest.raises(ValueError, match=r"sample_weight.*estimator=VAE"):
        DensityOutlierDetector(VAE()).fit(X, sample_weight=np.ones(50))
