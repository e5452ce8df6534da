"""DataFrames in, DataFrames out: what is filled comes back in the form it had."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklvm import GaussianMixtureEM, MixtureEM, ModelImputer, PoissonMixtureEM

from ..networks import VAE, needs_torch

LIBRARIES = ["pandas", "polars"]


def numbers(dtype=np.float64, n=120):
    """Two columns with missing cells, and one of whole numbers without."""
    rng = np.random.default_rng(0)
    z = rng.integers(2, size=n)
    frame = pd.DataFrame(
        {
            "visits": rng.poisson(2 + 6 * z).astype(dtype),
            "calls": rng.poisson(3 + 5 * z).astype(dtype),
            "year": rng.integers(10, 20, n),
        },
        index=pd.Index(np.arange(n) * 3 + 7, name="person"),
    )
    frame.iloc[::4, 0] = np.nan
    frame.iloc[1::5, 1] = np.nan
    return frame


def of(library, frame):
    return frame if library == "pandas" else pl.from_pandas(frame, nan_to_null=False)


def models():
    yield pytest.param(lambda: GaussianMixtureEM(2, random_state=0), id="gaussian")
    yield pytest.param(lambda: PoissonMixtureEM(2, random_state=0), id="poisson")
    yield pytest.param(lambda: MixtureEM(2, random_state=0), id="mixed")
    for likelihood in (None, "auto"):
        yield pytest.param(
            lambda kind=likelihood: VAE(
                likelihood=kind, max_epochs=3, tol=1, random_state=0
            ),
            id=f"vae-{likelihood}",
            marks=needs_torch,
        )


def fitted(model, X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model().fit(X)


@pytest.mark.slow
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("model", models())
def test_a_filled_frame_is_the_frame_with_its_holes_filled(model, library):
    frame = numbers()
    X = of(library, frame)
    est = fitted(model, X)
    observed = frame.notna().to_numpy()
    for filled in (est.impute(X), *est.sample_missing(X, 2)):
        assert type(filled) is type(X)
        assert list(filled.columns) == list(frame.columns)
        assert filled["year"].dtype == X["year"].dtype
        values = np.column_stack([filled[name].to_numpy() for name in frame])
        assert_array_equal(values[observed], frame.to_numpy()[observed])
        assert np.isfinite(values).all()
        if library == "pandas":
            pd.testing.assert_index_equal(filled.index, frame.index)
    assert frame.isna().to_numpy().sum() == (~observed).sum()  # X is as it was


@pytest.mark.slow
@pytest.mark.parametrize("model", models())
def test_the_values_are_those_of_the_array(model):
    frame = numbers()
    est = fitted(model, frame.to_numpy())
    filled = est.impute(frame.to_numpy())
    assert isinstance(filled, np.ndarray)
    as_frame = fitted(model, frame).impute(frame)
    assert_allclose(as_frame.to_numpy(), filled, rtol=1e-5)


def test_single_precision_stays():
    frame = numbers(np.float32).drop(columns="year")
    filled = GaussianMixtureEM(random_state=0).fit(frame).impute(frame)
    assert set(filled.dtypes) == {np.dtype(np.float32)}


@pytest.mark.parametrize("library", LIBRARIES)
def test_samples_are_frames_where_columns_have_kinds(library):
    X = of(library, numbers())
    mixed = MixtureEM(2, random_state=0).fit(X)
    rows = mixed.sample(5)[0]
    assert type(rows) is type(X)
    assert list(rows.columns) == list(X.columns)
    assert type(mixed.inverse_transform(mixed.transform(X))) is type(X)
    # As of scikit-learn's mixture, whose rows are numbers.
    gaussian = GaussianMixtureEM(2, random_state=0).fit(X)
    assert isinstance(gaussian.sample(5)[0], np.ndarray)
    assert isinstance(MixtureEM().fit(numbers().to_numpy()).sample(5)[0], np.ndarray)


@pytest.mark.parametrize("model", [GaussianMixtureEM, MixtureEM])
@pytest.mark.parametrize("sample", [False, True])
def test_a_transformer_gives_what_set_output_says(model, sample):
    frame = numbers()
    imputer = ModelImputer(model(random_state=0), sample=sample).fit(frame)
    plain = imputer.transform(frame)
    assert isinstance(plain, np.ndarray)
    assert plain.dtype == np.float64
    wanted = imputer.set_output(transform="pandas").transform(frame)
    assert_array_equal(wanted.to_numpy(), plain)
    pd.testing.assert_index_equal(wanted.index, frame.index)
    text = frame.assign(plan=["free", "gold"] * 60)
    mixed = ModelImputer(MixtureEM(random_state=0), sample=sample).fit(text)
    assert isinstance(mixed.transform(text), pd.DataFrame)


@needs_torch
def test_a_reconstruction_has_the_index_of_the_frame():
    frame = numbers().fillna(0.0)
    est = fitted(lambda: VAE(max_epochs=3, tol=1, random_state=0), frame)
    rows = est.reconstruct(frame)
    pd.testing.assert_index_equal(rows.index, frame.index)
    assert_allclose(rows.to_numpy(), est.reconstruct(frame.to_numpy()), rtol=1e-5)


@pytest.mark.parametrize("mixture_class", [GaussianMixtureEM, MixtureEM])
def test_weights_whose_labels_are_in_another_order(mixture_class):
    """They are taken by position, which is hardly meant after a sort."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=40), "b": rng.normal(size=40)})
    weight = pd.Series(rng.random(40), index=X.index)
    est = mixture_class(random_state=0).fit(X, sample_weight=weight)
    for method in ("fit", "partial_fit", "score", "bic"):
        with pytest.warns(UserWarning, match="sample_weight has the row labels of X"):
            getattr(est, method)(X, sample_weight=weight.sort_values())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        est.fit(X, sample_weight=weight)
        est.fit(X.sort_values("a"), sample_weight=weight.to_numpy())
        est.fit(X, sample_weight=weight.set_axis(range(100, 140)))
