"""Held-out score, BIC and ICL against a parameter."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, validation_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklvm import VAE, BernoulliMixtureEM, GaussianMixtureEM, PoissonMixtureEM
from sklvm.inspection import ModelSelectionDisplay

from ..autoencoder.models import curve, quietly
from ..mixture.families import blobs
from .pictures import has_line

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X = blobs(150)
RANGE = [1, 2, 3, 4]


# By maximum likelihood a fold may lack a pattern, and score minus infinity on it.
BERNOULLI = BernoulliMixtureEM(theta_prior=(1.5, 1.5), random_state=0)


@pytest.fixture(params=[GaussianMixtureEM(random_state=0), BERNOULLI], ids=str)
def est(request):
    return clone(request.param)


@pytest.mark.slow
def test_scores_and_criteria(est):
    display = ModelSelectionDisplay.from_estimator(est, X, param_range=RANGE, cv=3)
    assert display.param_name == "n_components"
    assert list(display.param_range) == RANGE
    _, expected = validation_curve(
        est, X, None, param_name="n_components", param_range=RANGE, cv=3
    )
    assert_allclose(display.test_scores, expected, rtol=1e-10)
    fits = [clone(est).set_params(n_components=k).fit(X) for k in RANGE]
    assert_allclose(display.bic, [fit.bic(X) for fit in fits], rtol=1e-10)
    assert_allclose(display.icl, [fit.icl(X) for fit in fits], rtol=1e-10)
    assert display.best_ == {
        "held-out score": RANGE[expected.mean(axis=1).argmax()],
        "BIC": RANGE[display.bic.argmin()],
        "ICL": RANGE[display.icl.argmin()],
    }
    assert not hasattr(est, "weights_")
    assert est.n_components == 1


def test_what_is_drawn(est):
    """All in nats per row, up is better: -BIC / 2n and -ICL / 2n beside the score."""
    display = ModelSelectionDisplay.from_estimator(est, X, param_range=RANGE, cv=3)
    figure = display.figure_
    assert has_line(figure, display.test_scores.mean(axis=1), RANGE)
    assert has_line(figure, -display.bic / 300, RANGE)
    assert has_line(figure, -display.icl / 300, RANGE)
    legend = " ".join(t.get_text() for t in display.ax_.get_legend().get_texts())
    assert "BIC" in legend
    assert "ICL" in legend
    assert "n_components" in display.ax_.get_xlabel()


def test_three_clusters_are_found():
    display = ModelSelectionDisplay.from_estimator(
        GaussianMixtureEM(covariance_type="spherical", random_state=0),
        blobs(300),
        param_range=RANGE,
        cv=KFold(3, shuffle=True, random_state=0),
    )
    assert set(display.best_.values()) == {3}


def test_any_parameter_and_no_criteria():
    est = VAE(hidden_layer_sizes=(4,), max_epochs=2, lr=0.01, random_state=0)
    data = curve(60)
    display = quietly(
        lambda: ModelSelectionDisplay.from_estimator(
            est, data, param_name="latent_dim", param_range=[1, 2], cv=2
        )
    )
    assert display.param_name == "latent_dim"
    assert display.bic is None
    assert display.icl is None
    assert display.test_scores.shape == (2, 2)
    mean = display.test_scores.mean(axis=1)
    assert display.best_["held-out score"] == [1, 2][mean.argmax()]
    assert display.best_.get("BIC") is None
    assert has_line(display.figure_, mean, [1, 2])


def test_parameters_that_are_names():
    kinds = ["full", "tied", "diag", "spherical"]
    display = ModelSelectionDisplay.from_estimator(
        GaussianMixtureEM(2, random_state=0),
        X,
        param_name="covariance_type",
        param_range=kinds,
        cv=2,
    )
    assert_array_equal(display.param_range, kinds)
    assert set(display.best_.values()) <= set(kinds)
    display.figure_.canvas.draw()


def test_bad_input():
    select = ModelSelectionDisplay.from_estimator
    est = GaussianMixtureEM(random_state=0)
    with pytest.raises(ValueError, match="n_clusters"):
        select(est, X, param_name="n_clusters", param_range=RANGE)
    with pytest.raises(TypeError, match="str"):
        select("a model", X, param_range=RANGE)
    with pytest.raises(ValueError, match="n_components"):
        select(est, X, param_range=[0, 1])
    with pytest.raises(ValueError, match=r"cv|n_splits"):
        select(est, X, param_range=RANGE, cv=1)


def test_an_empty_range():
    est = GaussianMixtureEM(random_state=0)
    with pytest.raises(ValueError, match="param_range"):
        ModelSelectionDisplay.from_estimator(est, X, param_range=[])


def test_scores_of_other_libraries():
    """Whatever has a score: probabilistic PCA has one and no criteria."""
    display = ModelSelectionDisplay.from_estimator(PCA(), X, param_range=[1, 2], cv=2)
    assert display.bic is None
    _, expected = validation_curve(
        PCA(), X, None, param_name="n_components", param_range=[1, 2], cv=2
    )
    assert_allclose(display.test_scores, expected)


def test_a_pipeline_has_the_criteria_of_its_last_step(est):
    name = f"{type(est).__name__.lower()}__n_components"
    pipeline = make_pipeline(StandardScaler(), est)
    display = ModelSelectionDisplay.from_estimator(
        pipeline, X, param_name=name, param_range=RANGE, cv=3
    )
    Z = StandardScaler().fit_transform(X)
    fits = [clone(est).set_params(n_components=k).fit(Z) for k in RANGE]
    assert_allclose(display.bic, [fit.bic(Z) for fit in fits], rtol=1e-10)
    assert_allclose(display.icl, [fit.icl(Z) for fit in fits], rtol=1e-10)


def test_a_parameter_that_changes_the_rows_has_no_criteria():
    pipeline = make_pipeline(PCA(), GaussianMixtureEM(random_state=0))
    display = ModelSelectionDisplay.from_estimator(
        pipeline, X, param_name="pca__n_components", param_range=[1, 2], cv=2
    )
    assert display.bic is None


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["", "gaussianmixtureem__"])
def test_from_search(prefix):
    model = GaussianMixtureEM(random_state=0)
    model = make_pipeline(StandardScaler(), model) if prefix else model
    name = f"{prefix}n_components"
    grid = {name: RANGE, f"{prefix}n_init": [2]}
    search = GridSearchCV(model, grid, cv=3).fit(X)
    display = ModelSelectionDisplay.from_search(search, X)
    expected = ModelSelectionDisplay.from_estimator(
        clone(model).set_params(**{f"{prefix}n_init": 2}),
        X, param_name=name, param_range=RANGE, cv=3,
    )  # fmt: skip
    assert display.param_name == name
    for attribute in ("param_range", "test_scores", "bic", "icl"):
        assert_allclose(getattr(display, attribute), getattr(expected, attribute))
    assert display.best_["held-out score"] == search.best_params_[name]
    alone = ModelSelectionDisplay.from_search(search)
    assert alone.bic is None
    assert_array_equal(alone.test_scores, display.test_scores)


def test_searches_that_are_no_curve():
    model = GaussianMixtureEM(random_state=0)
    two = {"n_components": [1, 2], "covariance_type": ["full", "diag"]}
    search = GridSearchCV(model, two, cv=2)
    with pytest.raises(NotFittedError):
        ModelSelectionDisplay.from_search(search)
    with pytest.raises(ValueError, match="covariance_type, n_components"):
        ModelSelectionDisplay.from_search(search.fit(X))
    scoring = GridSearchCV(model, {"n_components": [1]}, cv=2, scoring=len_of)
    with pytest.raises(ValueError, match="scoring"):
        ModelSelectionDisplay.from_search(scoring.fit(X))


def len_of(estimator, X):
    return len(X)


def shown(param_range, scores):
    return ModelSelectionDisplay(
        param_name="p", param_range=param_range, test_scores=np.array(scores)[:, None]
    ).plot()


def test_values_in_no_order_are_drawn_by_size():
    display = shown(np.array([5, 1, 3]), [0.5, 0.1, 0.3])
    assert has_line(display.figure_, [0.1, 0.3, 0.5], [1, 3, 5])
    assert display.best_ == {"held-out score": 5}


def test_values_that_rise_by_factors_have_a_logarithmic_axis():
    assert shown([1e-6, 1e-3, 1.0], [0, 1, 0]).ax_.get_xscale() == "log"
    for param_range in ([1.0, 2.0, 4.0], [0.0, 0.01, 1.0], [1, 10, 100]):
        assert shown(param_range, [0, 1, 0]).ax_.get_xscale() == "linear"


def test_values_that_are_no_numbers_stand_one_after_the_other():
    layers = [(4,), (4, 4), None]
    model = VAE(1, max_epochs=1, early_stopping=False, random_state=0)
    display = ModelSelectionDisplay.from_estimator(
        model, X, param_name="hidden_layer_sizes", param_range=layers[:2], cv=2
    )
    assert display.best_["held-out score"] in layers
    display = shown([*display.param_range.tolist(), None], [1, 2, 3])
    names = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert names == [str(value) for value in layers]
    assert display.best_["held-out score"] is None


def test_rows_of_files_and_sparse_rows_are_counted(tmp_path):
    frame = pd.DataFrame(X).rename(columns=str)
    frame.to_parquet(tmp_path / "rows.parquet")
    model = GaussianMixtureEM(random_state=0)
    search = GridSearchCV(model, {"n_components": [1, 2]}, cv=2).fit(frame)
    display = ModelSelectionDisplay.from_search(search, tmp_path / "rows.parquet")
    expected = ModelSelectionDisplay.from_search(search, frame)
    assert display.n_samples == len(frame)
    assert_allclose(display.bic, expected.bic, rtol=1e-6)
    counts = csr_array(np.random.default_rng(0).poisson(1, (60, 3)))
    display = ModelSelectionDisplay.from_estimator(
        PoissonMixtureEM(random_state=0), counts, param_range=[1, 2], cv=2
    )
    assert display.n_samples == 60
