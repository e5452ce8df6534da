"""What displays might draw wrong unseen."""

import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import coo_matrix, csr_matrix
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklvm import VAE, GaussianMixtureEM
from sklvm.inspection import (
    LatentSpaceDisplay,
    LatentTraversalDisplay,
    ModelSelectionDisplay,
    RateDistortionDisplay,
    ReconstructionDisplay,
    SampleDisplay,
    latent_diagnostics,
)
from sklvm.inspection._columns import draw_panels

from ..autoencoder.models import quietly
from .models import fitted

X = load_iris().data


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_value_that_failed_on_a_fold_is_not_the_best():
    rows = np.arange(150)
    cv = [(rows[:105], rows[105:]), (rows[:120], rows[120:])]
    display = ModelSelectionDisplay.from_estimator(
        GaussianMixtureEM(random_state=0), X, param_range=[2, 110], cv=cv
    )
    assert np.isnan(display.test_scores[1]).any()
    assert display.best_["held-out score"] == 2


@pytest.mark.parametrize("n_labels, cmap", [(3, "viridis"), (12, "hsv"), (30, None)])
def test_every_label_has_a_colour_of_its_own(n_labels, cmap):
    y = np.array([f"label {i % n_labels}" for i in range(60)])
    Z = np.random.default_rng(0).normal(size=(60, 2))
    display = LatentSpaceDisplay(Z=Z, Z_prior=Z, y=y).plot(cmap=cmap)
    colours = {tuple(c.get_facecolor()[0]) for c in display.ax_.collections[1:]}
    assert len(colours) == n_labels


def test_a_walk_from_a_row_of_a_frame():
    frame = pd.DataFrame(X, columns=list("abcd"))
    vae = VAE(max_epochs=2, tol=np.inf, random_state=0)
    vae.set_output(transform="pandas").fit(frame)
    display = LatentTraversalDisplay.from_estimator(vae, x=frame.iloc[0], n_steps=3)
    middle = vae.inverse_transform(vae.transform(frame[:1]).to_numpy())
    np.testing.assert_allclose(display.X[0, 1], middle[0], rtol=1e-5)


def test_bytes_of_colours_are_drawn_as_such():
    samples = np.full((1, 12), 51.0)
    display = SampleDisplay(samples=samples, image_shape=(2, 2, 3)).plot()
    np.testing.assert_allclose(display.im_.get_array(), 0.2)


def test_a_rate_distortion_curve_needs_a_rate():
    model = GaussianMixtureEM(random_state=0).fit(X)
    with pytest.raises(TypeError, match="RateDistortionDisplay"):
        RateDistortionDisplay.from_estimator(model, X)


@pytest.mark.parametrize("wrong", ["axes", "figure", "text"])
def test_axes_are_one(wrong, plt):
    figure, axes = plt.subplots(1, 2)
    ax = {"axes": axes, "figure": figure, "text": "left"}[wrong]
    for draw in (
        LatentSpaceDisplay(Z=X[:, :2], Z_prior=X[:, :2]).plot,
        SampleDisplay(samples=np.ones((2, 4))).plot,
        partial(draw_panels, [None], ["0"]),
    ):
        with pytest.raises(TypeError, match=r"ax is a .*one Axes.*axes\[0\]"):
            draw(ax=ax)


def test_one_dimension_may_be_a_number():
    vae = VAE(2, max_epochs=2, tol=np.inf, random_state=0).fit(X)
    display = LatentSpaceDisplay.from_estimator(vae, X, dimensions=1)
    assert display.dimensions == (1,)
    with pytest.raises(ValueError, match=r"x has 8 values and a row 4; .*X\[0\]"):
        LatentTraversalDisplay.from_estimator(vae, x=X[:2])


@pytest.mark.parametrize("wrong", [3, [], None])
def test_values_to_try(wrong):
    model = GaussianMixtureEM(random_state=0)
    with pytest.raises(ValueError, match=rf"param_range={re.escape(str(wrong))} has"):
        ModelSelectionDisplay.from_estimator(model, X, param_range=wrong)


def test_a_search_shows_its_best_estimator():
    grid = {"gaussianmixtureem__n_components": [1, 2]}
    model = make_pipeline(StandardScaler(), GaussianMixtureEM(random_state=0))
    search = GridSearchCV(model, grid, cv=2)
    with pytest.raises(NotFittedError):
        SampleDisplay.from_estimator(search)
    search.fit(X)
    best = search.best_estimator_
    pd.testing.assert_frame_equal(
        latent_diagnostics(search, X), latent_diagnostics(best, X)
    )
    shown = ReconstructionDisplay.from_estimator(search, X).X_reconstructed
    expected = ReconstructionDisplay.from_estimator(best, X).X_reconstructed
    np.testing.assert_array_equal(shown, expected)
    without = GridSearchCV(model, grid, cv=2, refit=False).fit(X)
    with pytest.raises(ValueError, match="refit=False; set refit=True"):
        latent_diagnostics(without, X)


@pytest.mark.parametrize("make", [csr_matrix, coo_matrix])
def test_sparse_rows_are_pictures(make):
    bits = (np.random.default_rng(0).random((40, 4)) < 0.4) * 1.0
    vae = VAE(1, likelihood="bernoulli", max_epochs=1, tol=np.inf, random_state=0)
    vae = quietly(vae.fit, csr_matrix(bits))
    display = ReconstructionDisplay.from_estimator(vae, make(bits), n_rows=3)
    np.testing.assert_array_equal(display.X, bits[:3])


def test_a_walk_through_a_table():
    frame = pd.DataFrame(X, columns=list("abcd")).assign(e=np.where(X[:, 0] > 6, *"uw"))
    vae = quietly(VAE(1, max_epochs=1, tol=np.inf, random_state=0).fit, frame)
    with pytest.raises(TypeError, match="text or categories"):
        LatentTraversalDisplay.from_estimator(vae)
    for span in (np.inf, "x"):
        with pytest.raises(ValueError, match=rf"span={span!r} must be a finite"):
            LatentTraversalDisplay.from_estimator(vae, span=span)


@pytest.mark.parametrize(
    "show",
    [
        latent_diagnostics,
        ReconstructionDisplay.from_estimator,
        LatentSpaceDisplay.from_estimator,
    ],
)
@pytest.mark.parametrize("make", [str, lambda path: lambda: iter([X])])
def test_rows_that_are_not_in_memory(show, make, tmp_path):
    pd.DataFrame(X).rename(columns=str).to_parquet(tmp_path / "rows.parquet")
    for kind in ("VAE", "Bernoulli"):
        if kind == "VAE" or show != LatentSpaceDisplay.from_estimator:
            with pytest.raises(TypeError, match="not in memory; give a table of some"):
                show(fitted(kind), make(tmp_path / "rows.parquet"))
