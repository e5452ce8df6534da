"""Units of columns from which networks learn ill: what is said of them, and when."""

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sklvm import GMVAE, VAE, ConditionalVAE

QUICK = {
    "latent_dim": 2,
    "max_epochs": 1,
    "hidden_layer_sizes": (4,),
    "tol": np.inf,
    "random_state": 0,
}
X = np.random.default_rng(0).normal(size=(60, 4))


def said(*data, estimator=VAE, **params):
    """What a fit warns of the scale."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator(**QUICK | params).fit(*data)
    texts = [str(w.message) for w in caught]
    return [text for text in texts if "values of order one" in text]


@pytest.mark.parametrize("estimator", [VAE, GMVAE])
@pytest.mark.parametrize(
    "data, what",
    [
        (1e-3 * X, "X has columns of values no more than"),
        (load_diabetes().data, "X has columns of values no more than 0.314 apart"),
        (X * [1, 1, 1, 1e-3], "X has a column of values no more than"),
        (np.where(X > 1, np.nan, 1e-3 * X), "X has columns of values no more than"),
        (csr_matrix(1e-3 * X), "X has columns of values no more than"),
        (1e3 * X, "X has values up to"),
    ],
)
def test_values_far_from_order_one(estimator, data, what):
    (text,) = said(data, estimator=estimator)
    assert text.startswith(what)
    assert text.endswith("scale X (StandardScaler).")


@pytest.mark.parametrize(
    "data",
    [
        X,
        np.column_stack([X, np.ones(len(X))]),
        StandardScaler().fit_transform(load_diabetes().data),
        MinMaxScaler().fit_transform(load_breast_cancer().data),
        load_digits().data[:100] / 16,
        load_iris().data,
        (X > 2.0).astype(float),  # rare ones
        X[:1],
    ],
)
def test_usual_tables(data):
    assert not said(data)


def test_conditions_and_targets_by_their_names():
    small = [said(*d, estimator=ConditionalVAE) for d in ((X, 1e-3 * X), (1e-3 * X, X))]
    assert [text[0] for (text,) in small] == ["y", "X"]
    assert not said(X, X, estimator=ConditionalVAE)


@pytest.mark.parametrize("noise", ["optimal", "shared", "learned", "heteroscedastic"])
@pytest.mark.parametrize("scale", [1e-18, 1e-30, 1e-42])
def test_squares_that_underflow(noise, scale):
    with pytest.raises(ValueError, match=r"X has a column.*underflow.*StandardScaler"):
        VAE(**QUICK, noise=noise).fit(scale * X)
    with pytest.raises(ValueError, match=r"y has a column.*underflow.*StandardScaler"):
        ConditionalVAE(**QUICK, noise=noise).fit(X, scale * X)


def test_the_advice_is_worth_it():
    """Of rows held out, in the units of X."""
    data = load_diabetes().data
    A, B = data[::2], data[1::2]
    scaler = StandardScaler().fit(A)
    params = QUICK | {"hidden_layer_sizes": (50,), "max_epochs": 60, "lr": 1e-2}
    with pytest.warns(UserWarning, match="order one"):
        as_it_is = VAE(**params | {"latent_dim": 6}).fit(A).score(B)
    scaled = VAE(**params | {"latent_dim": 6}).fit(scaler.transform(A))
    in_units = scaled.score(scaler.transform(B)) - np.log(scaler.scale_).sum()
    assert in_units > as_it_is + 1
