"""What all displays have in common."""

import inspect
import subprocess
import sys

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import sklvm.inspection
from sklvm import VAE, BernoulliMixtureEM
from sklvm.inspection import (
    ComponentsDisplay,
    LatentSpaceDisplay,
    LatentTraversalDisplay,
    LowerBoundDisplay,
    ModelSelectionDisplay,
    RateDistortionDisplay,
    ReconstructionDisplay,
    SampleDisplay,
)

from .models import X, fitted, rows

# Display, estimator, data and parameters of from_estimator.
CASES = [
    (LatentSpaceDisplay, "VAE", (X,), {}),
    (LatentSpaceDisplay, "VAE1", (X,), {}),
    (LatentSpaceDisplay, "GMVAE", (X, np.linspace(0, 1, 60)), {}),
    (ReconstructionDisplay, "VAE", (X,), {}),
    (ReconstructionDisplay, "RDA", (rows("RDA"),), {"n_rows": 2}),
    (SampleDisplay, "Gaussian", (), {}),
    (ComponentsDisplay, "Bernoulli", (), {}),
    (LowerBoundDisplay, "VAE", (), {}),
    (LowerBoundDisplay, "Bernoulli", (X,), {"max_iter": 3}),
    (LatentTraversalDisplay, "VAE", (), {}),
    (RateDistortionDisplay, "RDA", (rows("RDA")[:3],), {}),
    (ModelSelectionDisplay, "Bernoulli", (X,), {"param_range": [1, 2], "cv": 2}),
]
IDS = [f"{case[0].__name__}-{case[1]}" for case in CASES]
each = pytest.mark.parametrize("display, kind, data, params", CASES, ids=IDS)


def halved(X):
    return X / 2


def test_all_of_them_are_tried_here():
    public = {name for name in sklvm.inspection.__all__ if name.endswith("Display")}
    assert public == {case[0].__name__ for case in CASES}
    assert "latent_diagnostics" in sklvm.inspection.__all__


@pytest.mark.slow
@each
def test_axes(display, kind, data, params, plt):
    est = fitted(kind)
    shown = display.from_estimator(est, *data, **params)
    assert isinstance(shown, display)
    assert shown.ax_.figure is shown.figure_
    assert len(plt.get_fignums()) == 1
    figure, ax = plt.subplots()
    shown = display.from_estimator(est, *data, ax=ax, **params)
    assert shown.ax_ is ax
    assert shown.figure_ is figure
    assert ax.has_data()
    assert len(plt.get_fignums()) == 2
    other_figure, other = plt.subplots()
    assert shown.plot(ax=other) is shown
    assert shown.ax_ is other
    assert shown.figure_ is other_figure
    assert other.has_data()
    shown.plot()
    assert shown.ax_ is not other
    assert len(plt.get_fignums()) == 4
    for drawn in (figure, other_figure, shown.figure_):
        drawn.canvas.draw()


def stored(display):
    return {n: v for n, v in vars(display).items() if not n.endswith("_")}


@each
def test_the_constructor_takes_what_from_estimator_computes(
    display, kind, data, params, plt
):
    """By keywords only, kept as attributes; nothing is drawn before plot."""
    computed = display.from_estimator(fitted(kind), *data, **params)
    parameters = inspect.signature(display).parameters
    assert {p.kind for p in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    computed.baselines = getattr(computed, "baselines_", None)
    values = {name: getattr(computed, name) for name in parameters}
    plt.close("all")
    rebuilt = display(**values)
    assert not plt.get_fignums()
    assert not hasattr(rebuilt, "ax_")
    for name, value in stored(rebuilt).items():
        np.testing.assert_array_equal(value, values[name])
    assert rebuilt.plot() is rebuilt
    n_artists = len(computed.ax_.get_children())
    assert len(rebuilt.ax_.get_children()) == n_artists


@each
def test_estimators_that_are_not_fitted(display, kind, data, params):
    if display is ModelSelectionDisplay:
        unfitted = BernoulliMixtureEM(random_state=0)
        shown = display.from_estimator(unfitted, *data, **params)
        assert shown.test_scores.shape == (2, 2)
    else:
        unfitted = type(fitted(kind))()
        with pytest.raises(ValueError, match="not fitted"):
            display.from_estimator(unfitted, *data, **params)


@pytest.mark.slow
def test_matplotlib_is_imported_where_something_is_drawn():
    """Not with the module, and not by what only computes."""
    code = """
import sys
import numpy as np
import sklvm.inspection as inspection
import sklvm.divergence
assert "matplotlib" not in sys.modules
assert "torch" not in sys.modules
from sklvm import BernoulliMixtureEM
X = np.eye(4)
est = BernoulliMixtureEM(random_state=0).fit(X)
inspection.latent_diagnostics(est, X)
inspection.ComponentsDisplay(components=est.theta_, weights=est.weights_)
assert "matplotlib" not in sys.modules
print("done")
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
    )
    assert ran.stdout.strip() == "done", ran.stderr


def test_without_matplotlib(monkeypatch):
    for name in list(sys.modules):
        if name.partition(".")[0] == "matplotlib":
            monkeypatch.setitem(sys.modules, name, None)
    display = ComponentsDisplay(components=np.eye(2), weights=np.full(2, 0.5))
    with pytest.raises(ImportError, match="matplotlib"):
        display.plot()


TRANSFORMED = {
    LatentSpaceDisplay: "Z",
    ReconstructionDisplay: "X_reconstructed",
    SampleDisplay: "samples",
    ComponentsDisplay: "components",
    LowerBoundDisplay: "lower_bounds",
    LatentTraversalDisplay: "X",
    RateDistortionDisplay: "error",
}


@each
def test_a_pipeline_shows_its_last_step(display, kind, data, params):
    """With the rows that the step before makes: here twice the estimator's own."""
    if display is ModelSelectionDisplay:
        pytest.skip("tested with its criteria in test_model_selection.py")
    est = fitted(kind)
    pipeline = make_pipeline(FunctionTransformer(halved), est)
    doubled = tuple(2 * array if array is data[0] else array for array in data)
    shown = display.from_estimator(pipeline, *doubled, **params)
    expected = display.from_estimator(est, *data, **params)
    name = TRANSFORMED[display]
    np.testing.assert_array_equal(getattr(shown, name), getattr(expected, name))


def test_a_pipeline_that_ends_with_something_else():
    pipeline = make_pipeline(StandardScaler(), PCA()).fit(X)
    with pytest.raises(TypeError, match=r"PCA.*Pipeline"):
        LatentSpaceDisplay.from_estimator(pipeline, X)
    with pytest.raises(NotFittedError):
        LatentSpaceDisplay.from_estimator(make_pipeline(StandardScaler(), VAE()), X)


def test_a_walk_from_a_row_of_a_pipeline():
    pipeline = make_pipeline(FunctionTransformer(halved), fitted("VAE"))
    walk = LatentTraversalDisplay.from_estimator(pipeline, x=2 * X[0]).X
    expected = LatentTraversalDisplay.from_estimator(fitted("VAE"), x=X[0]).X
    np.testing.assert_array_equal(walk, expected)
