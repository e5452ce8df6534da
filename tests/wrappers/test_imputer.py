"""The imputer: what the estimator imputes, where a Pipeline needs a transformer."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklvm import GaussianMixtureEM, ModelImputer

from ..networks import VAE, needs_torch
from .models import correlated, with_missing


class Drawing(GaussianMixtureEM):
    """Draws of one Gaussian given what is observed."""

    def sample_missing(self, X, n_draws=1):
        rng = np.random.default_rng(self.random_state)
        X = np.asarray(X)
        filled, missing = self._filled(self._checked(X)), np.isnan(X)
        noise = rng.normal(size=(n_draws, *X.shape))
        return np.where(missing, filled + noise, filled)


def test_one_gaussian_is_a_regression():
    X = correlated(400)
    X[:100, 3] = np.nan
    model = GaussianMixtureEM(reg_covar=0, tol=1e-12, max_iter=1000, random_state=0)
    filled = ModelImputer(model).fit_transform(X)
    rest, target = X[100:, :3], X[100:, 3]
    expected = LinearRegression().fit(rest, target).predict(X[:100, :3])
    assert_allclose(filled[:100, 3], expected, rtol=1e-5, atol=1e-5)
    assert_array_equal(filled[100:], X[100:])
    assert_array_equal(ModelImputer().fit_transform(X)[100:], X[100:])


def test_sample_weight_reaches_the_estimator():
    X = with_missing(correlated(200), 1)
    weight = np.random.default_rng(0).integers(3, size=200)
    weighted = ModelImputer().fit(X, sample_weight=weight).transform(X)
    repeated = ModelImputer().fit(np.repeat(X, weight, axis=0)).transform(X)
    assert_allclose(weighted, repeated, atol=1e-6)


@needs_torch
def test_sample_weight_is_no_argument_of_an_autoencoder():
    X, weight = correlated(50), np.ones(50)
    with pytest.raises(ValueError, match=r"sample_weight.*VAE"):
        ModelImputer(VAE()).fit(X, sample_weight=weight)


def test_draws():
    X = with_missing(correlated(200), 2)
    imputer = ModelImputer(Drawing(random_state=1), sample=True).fit(X)
    expected = imputer.estimator_.sample_missing(X, n_draws=1)[0]
    assert_array_equal(imputer.transform(X), expected)
    frame = pd.DataFrame(X, columns=list("abcd"))
    assert (
        imputer.set_output(transform="pandas")
        .fit_transform(frame)
        .notna()
        .to_numpy()
        .all()
    )


class Undrawn(BaseEstimator):
    def fit(self, X, y=None):
        return self

    def impute(self, X):
        return np.nan_to_num(X)


def test_an_estimator_without_draws():
    X = with_missing(correlated(60), 1)
    imputer = ModelImputer(Undrawn(), sample=True)
    with pytest.raises(ValueError, match=r"sample=True.*Undrawn.*sample=False"):
        imputer.fit(X)
    assert not hasattr(imputer, "estimator_")


@pytest.mark.filterwarnings("error::UserWarning")
def test_frames_keep_names_and_index():
    frame = pd.DataFrame(
        with_missing(correlated(100), 2),
        columns=list("abcd"),
        index=np.arange(100)[::-1],
    )
    imputer = ModelImputer().set_output(transform="pandas").fit(frame)
    filled = imputer.transform(frame)
    assert list(filled.columns) == list(imputer.get_feature_names_out()) == list("abcd")
    assert filled.index.equals(frame.index)
    assert imputer.n_features_in_ == 4
    assert_array_equal(
        filled.to_numpy(), ModelImputer().fit_transform(frame.to_numpy())
    )


def test_in_pipelines_and_column_transformers():
    data = load_iris(as_frame=True)
    X = data.data.mask(np.random.default_rng(0).random(data.data.shape) < 0.1)
    columns = ColumnTransformer(
        [("petal", ModelImputer(), list(X.columns[2:]))], remainder=StandardScaler()
    ).set_output(transform="pandas")
    filled = columns.fit_transform(X)
    assert list(filled.columns[:2]) == [f"petal__{name}" for name in X.columns[2:]]
    assert filled.iloc[:, :2].notna().to_numpy().all()
    model = make_pipeline(StandardScaler(), ModelImputer(), LogisticRegression())
    assert model.fit(X, data.target).score(X, data.target) > 0.9


def test_clone_and_pickle():
    X = with_missing(correlated(80), 2)
    imputer = ModelImputer(GaussianMixtureEM(2, random_state=0)).fit(X)
    filled = imputer.transform(X)
    assert_array_equal(pickle.loads(pickle.dumps(imputer)).transform(X), filled)
    assert_array_equal(clone(imputer).fit(X).transform(X), filled)
    with pytest.raises(TypeError, match="StandardScaler"):
        imputer.set_params(estimator=StandardScaler()).fit(X)
    assert_array_equal(imputer.transform(X), filled)


def test_width_of_floats():
    X = with_missing(correlated(80), 2).astype(np.float32)
    assert ModelImputer().fit_transform(X).dtype == np.float32
