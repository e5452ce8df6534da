"""Densities in the file's units: finite differences, and the model without scalers."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)

from sklvm import (
    BernoulliMixtureEM,
    CategoricalMixtureEM,
    GaussianMixtureEM,
    MixtureEM,
    PoissonMixtureEM,
    score_in_units,
)

from ..networks import VAE, needs_torch
from .models import correlated, with_missing

X = correlated(150) * [1, 10, 0.1, 1000]


def exact():
    return GaussianMixtureEM(reg_covar=0, tol=1e-13, max_iter=3000)


COLUMNS = [("one", StandardScaler(), [3, 0]), ("two", MinMaxScaler(), slice(1, 2))]
SCALERS = [
    StandardScaler(),
    StandardScaler(with_std=False),
    MinMaxScaler((-1, 3)),
    RobustScaler(),
    RobustScaler(with_scaling=False),
    MaxAbsScaler(),
    "passthrough",
    make_pipeline(RobustScaler(), MinMaxScaler()),
    ColumnTransformer(COLUMNS, remainder="passthrough"),
    ColumnTransformer(COLUMNS, remainder=RobustScaler()),
]
ROTATIONS = [PCA(), PCA(whiten=True), make_pipeline(StandardScaler(), PCA(whiten=True))]


@pytest.mark.parametrize("scaler", SCALERS, ids=str)
@pytest.mark.parametrize("most", [0, 2])
def test_the_scaler_does_not_matter(scaler, most):
    """A Gaussian fitted in any units is the same density of the rows."""
    Y = with_missing(X, most)
    pipeline = make_pipeline(scaler, exact()).fit(Y)
    expected = exact().fit(Y).score(Y)
    assert_allclose(score_in_units(pipeline, Y), expected, rtol=1e-6)


@pytest.mark.parametrize("scaler", ROTATIONS, ids=str)
def test_nor_does_a_rotation(scaler):
    pipeline = make_pipeline(scaler, exact()).fit(X)
    assert_allclose(score_in_units(pipeline, X), exact().fit(X).score(X), rtol=1e-6)


@pytest.mark.parametrize("scaler", SCALERS + ROTATIONS, ids=str)
def test_the_jacobian_by_finite_differences(scaler):
    pipeline = make_pipeline(scaler, GaussianMixtureEM(2, random_state=0)).fit(X)
    x = X[:1]
    steps = np.vstack([x, x + np.diag(X.std(axis=0))])
    Z = np.asarray(pipeline[:-1].transform(steps))
    _, log_det = np.linalg.slogdet((Z[1:] - Z[0]).T / X.std(axis=0))
    expected = pipeline.score(x) + log_det
    assert_allclose(score_in_units(pipeline, x), expected, rtol=1e-9)


def test_frames_and_missing_cells():
    frame = pd.DataFrame(with_missing(X, 2), columns=list("abcd"))
    scaler = ColumnTransformer(
        [("a", StandardScaler(), ["b", "d"])], remainder="passthrough"
    )
    pipeline = make_pipeline(scaler, exact()).fit(frame)
    expected = exact().fit(frame).score(frame)
    assert_allclose(score_in_units(pipeline, frame), expected, rtol=1e-6)
    blank = frame.iloc[:1] * np.nan
    assert score_in_units(pipeline, blank) == 0


@needs_torch
def test_an_autoencoder():
    vae = VAE(max_epochs=3, tol=np.inf, hidden_layer_sizes=(4,), random_state=0)
    pipeline = make_pipeline(StandardScaler(), vae).fit(X)
    expected = pipeline.score(X) - np.log(X.std(axis=0)).sum()
    assert_allclose(score_in_units(pipeline, X), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "steps, error, words",
    [
        ([PowerTransformer(), exact()], TypeError, "powertransformer.*StandardScaler"),
        ([MinMaxScaler(clip=True), exact()], ValueError, "minmaxscaler.*clip=False"),
        ([PCA(2), exact()], ValueError, "pca.*n_components=2"),
        ([ColumnTransformer(COLUMNS), exact()], ValueError, "columntransformer.*drops"),
        (
            [ColumnTransformer(COLUMNS, transformer_weights={"one": 2}), exact()],
            ValueError,
            "transformer_weights",
        ),
        ([StandardScaler(), BernoulliMixtureEM()], TypeError, "Bernoulli.*score"),
        ([StandardScaler(), PCA()], TypeError, "PCA.*no density"),
    ],
)
def test_steps_without_a_jacobian(steps, error, words):
    with pytest.raises(error, match=words):
        score_in_units(make_pipeline(*steps).fit(X), X)


def test_what_is_no_fitted_density():
    with pytest.raises(TypeError, match=r"StandardScaler.*make_pipeline"):
        score_in_units(StandardScaler().fit(X), X)
    with pytest.raises(NotFittedError):
        score_in_units(exact(), X)
    with pytest.raises(NotFittedError):
        score_in_units(make_pipeline(StandardScaler(), exact()), X)


def mixed_table(n=300):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "city": rng.choice(["Bonn", "Kiel"], n),
            "age": rng.normal(40, 12, n),
            "visits": rng.poisson(3, n),
            "bill": np.exp(rng.normal(3, 1, n)),
            "member": rng.integers(0, 2, n),
        }
    )
    return table.mask(rng.random(table.shape) < 0.1)


def mixture():
    return MixtureEM(2, tol=1e-12, max_iter=2000, n_init=5, random_state=0)


CODES = np.random.default_rng(0).integers(0, 2, (100, 3))


@pytest.mark.parametrize(
    "model, rows",
    [
        (mixture(), mixed_table()),
        (exact(), X),
        (BernoulliMixtureEM(2, random_state=0), CODES),
        (CategoricalMixtureEM(2, random_state=0), CODES),
        (PoissonMixtureEM(2, random_state=0), CODES),
    ],
    ids=lambda part: type(part).__name__,
)
def test_without_scalers_there_is_nothing_to_correct(model, rows):
    score = model.fit(rows).score(rows)
    assert_allclose(score_in_units(model, rows), score)
    pipeline = make_pipeline("passthrough", model).fit(rows)
    assert_allclose(score_in_units(pipeline, rows), score)


def test_a_list_of_numbers_and_text():
    rows = [["a", 1.5], ["b", 2.5], ["b", -1.0], ["a", 0.5]] * 10
    pipeline = make_pipeline("passthrough", MixtureEM(random_state=0)).fit(rows)
    assert_allclose(score_in_units(pipeline, rows), pipeline.score(rows))


@pytest.mark.slow
@pytest.mark.parametrize("scaler", [MaxAbsScaler(), make_pipeline(MaxAbsScaler())])
@pytest.mark.parametrize("output", ["default", "pandas"])
def test_real_columns_of_a_mixed_table(scaler, output):
    """Whatever their order; MaxAbsScaler leaves the bill lognormal."""
    table = mixed_table()
    columns = [("none", StandardScaler(), []), ("real", scaler, ["bill", "age"])]
    scaler = ColumnTransformer(columns, remainder="passthrough")
    pipeline = make_pipeline(scaler.set_output(transform=output), mixture()).fit(table)
    expected = mixture().fit(table).score(table)
    assert abs(pipeline.score(table) - expected) > 1
    assert_allclose(score_in_units(pipeline, table), expected, rtol=1e-5)


def test_discrete_columns_that_were_scaled():
    table = mixed_table().drop(columns="city")
    for scaler in (StandardScaler(), PCA(whiten=True)):
        pipeline = make_pipeline(scaler, MixtureEM(2, random_state=0))
        rows = table[["member"]].dropna()
        with pytest.raises(TypeError, match=r"MixtureEM scale the column .*discrete"):
            score_in_units(pipeline.fit(rows), rows)
    # This one leaves 0 and 1 as they are.
    pipeline = make_pipeline(MinMaxScaler(), MixtureEM(random_state=0))
    rows = table[["age", "member"]]
    expected = MixtureEM(random_state=0).fit(rows).score(rows)
    assert_allclose(score_in_units(pipeline.fit(rows), rows), expected, rtol=1e-6)


def test_a_mask_is_missing():
    X = np.random.default_rng(0).normal(size=(100, 3))
    pipeline = make_pipeline(StandardScaler(), GaussianMixtureEM(random_state=0)).fit(X)
    gaps = X.copy()
    gaps[3, 1] = np.nan
    masked = np.ma.array(np.nan_to_num(gaps, nan=-999.0), mask=np.isnan(gaps))
    assert score_in_units(pipeline, masked) == score_in_units(pipeline, gaps)
