"""The components of a table: a panel for each column."""

from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklvm import MixtureEM
from sklvm.inspection import ComponentsDisplay

from ..mixture.test_summary import fitted, table

KINDS = ["gaussian", "lognormal", "bernoulli", "poisson", "negative_binomial"]
pytest.importorskip("pandas")


def shown(**params):
    return ComponentsDisplay.from_estimator(fitted(), **params)


def panel(display, name):
    return next(p for p in display.panels if p.name == name)


@cache
def wide():
    """Twenty columns, long names, many categories, eight components."""
    rng = np.random.default_rng(0)
    z = rng.integers(8, size=800)
    columns = [rng.normal(3 * z * (i % 3), 1) for i in range(10)]
    columns += [np.exp(rng.normal(z, 1)) for _ in range(5)]
    codes = [rng.integers(0, 30, 800) + 2 * z for _ in range(5)]
    columns += [[f"a long name of category {c}" for c in code] for code in codes]
    X = np.array(columns, dtype=object).T
    return MixtureEM(8, random_state=0, max_iter=5, tol=1).fit(X)


def test_panels_are_in_the_order_of_what_they_tell():
    """I(x_d; z) is the mean of the divergences of the summary."""
    model, display = fitted(), shown()
    summary = model.component_summary()
    told = (summary["kl"] * summary["share"]).groupby(level="column").sum()
    told = told.sort_values(ascending=False)
    assert [p.name for p in display.panels] == list(told.index)
    assert_allclose([p.information for p in display.panels], told, rtol=1e-10)
    titles = [ax.get_title(loc="right") for ax in display.axes_]
    assert titles == [f"{i:.2f} nats" for i in told]
    assert [ax.get_xlabel() for ax in display.axes_] == list(told.index)
    assert [p.name for p in shown(max_panels=3).panels] == list(told.index[:3])


def test_components_stand_in_the_order_of_their_weights():
    model, display = fitted(), shown()
    order = np.argsort(-model.weights_)
    assert_array_equal(display.labels, order)
    assert_array_equal(display.weights, model.weights_[order])
    names = [t.get_text() for t in display.axes_[0].get_yticklabels()]
    assert [int(name.partition(":")[0]) for name in names] == order.tolist()
    heights = display.axes_[0].get_yticks()
    assert (np.diff(heights) < 0).all()
    gauss = model.components_[0]
    age = panel(display, "age")
    expected = norm.pdf(
        age.x, gauss.means[order, :1], np.sqrt(gauss.covariances[order, 0, :1])
    )
    assert_allclose(age.density, expected, rtol=1e-10)
    assert_allclose(age.overall, model.weights_[order] @ expected, rtol=1e-10)


def test_panels_show_nearly_all_of_each_component():
    display = shown()
    for p in display.panels:
        if p.labels is None and p.kind in ("gaussian", "lognormal"):
            mass = np.trapezoid(p.density, p.x, axis=1)
        else:
            mass = p.density.sum(axis=1)
        assert_allclose(mass, 1, atol=0.01, err_msg=p.name)
    assert {p.kind for p in display.panels} == {*KINDS, "categorical"}


def test_what_is_drawn():
    display = shown()
    K = len(display.weights)
    for p, ax in zip(display.panels, display.axes_, strict=True):
        if p.labels is None:
            assert len(ax.collections) == len(ax.lines) == K
            tops = [c.get_paths()[0].vertices[:, 1].max() for c in ax.collections]
            assert_allclose(tops, 0.85 - np.arange(K))
        else:
            heights = np.array([bar.get_height() for bar in ax.patches])
            scale = max(p.density.max(), p.overall.max())
            assert_allclose(heights, 0.85 * p.density.ravel() / scale)
            labels = [t.get_text() for t in ax.get_xticklabels()]
            assert labels == p.labels
        assert ax.get_xscale() == ("log" if p.kind == "lognormal" else "linear")
    assert panel(display, "member").labels == ["False", "True"]


def overlaps(figure):
    """Pairs of axes whose labels and titles lie on each other."""
    figure.canvas.draw()
    boxes = [ax.get_tightbbox() for ax in figure.axes if ax.axison]
    return sum(
        a.shrunk(0.98, 0.98).overlaps(b.shrunk(0.98, 0.98))
        for i, a in enumerate(boxes)
        for b in boxes[:i]
    )


@pytest.mark.slow
@pytest.mark.parametrize("max_panels", [1, 9, 20])
def test_large_tables(max_panels):
    display = ComponentsDisplay.from_estimator(wide(), max_panels=max_panels)
    assert len(display.axes_) == max_panels
    assert overlaps(display.figure_) == 0
    for p in display.panels:
        assert p.labels is None or len(p.labels) <= 12
    if max_panels == 20:
        assert panel(display, "15 (12 of 44)").density.sum() < 8


@pytest.mark.slow
def test_axes(plt):
    display = shown()
    assert len(plt.get_fignums()) == 1
    figure, (left, right) = plt.subplots(1, 2, figsize=(16, 5), layout="constrained")
    assert display.plot(ax=right) is display
    assert display.ax_ is right
    assert display.figure_ is figure
    assert len(plt.get_fignums()) == 2
    figure.canvas.draw()
    edge = left.get_position().x1
    assert all(ax.get_position().x0 > edge for ax in display.axes_)
    with pytest.raises(ValueError, match=r"plt\.subplots"):
        display.plot(ax=plt.figure().add_axes([0, 0, 1, 1]))


def test_the_constructor_draws_what_was_computed():
    display = shown()
    names = ("components", "weights", "labels", "panels")
    rebuilt = ComponentsDisplay(**{name: getattr(display, name) for name in names})
    assert not hasattr(rebuilt, "ax_")
    rebuilt.plot(alpha=0.2)
    assert len(rebuilt.axes_) == len(display.axes_)
    assert rebuilt.axes_[0].collections[0].get_alpha() == 0.2


def test_no_setting_is_changed(plt):
    before = plt.rcParams.copy()
    shown()
    assert plt.rcParams == before


def test_pipelines_and_set_output():
    model = MixtureEM(2, random_state=0).set_output(transform="pandas").fit(table())
    display = ComponentsDisplay.from_estimator(model)
    pipeline = make_pipeline(FunctionTransformer(), model)
    other = ComponentsDisplay.from_estimator(pipeline)
    assert_array_equal(other.components, display.components)
    for p, q in zip(display.panels, other.panels, strict=True):
        assert_array_equal(p.density, q.density)


def test_numbers_as_pictures():
    X = np.random.default_rng(0).normal(size=(100, 6))
    model = MixtureEM(2, random_state=0).fit(X)
    display = ComponentsDisplay.from_estimator(model, image_shape=(2, 3))
    assert display.panels is None
    assert display.im_.get_array().shape == (2, 7)
    with pytest.raises(ValueError, match="text"):
        ComponentsDisplay.from_estimator(fitted(), image_shape=(2, 4))


def test_bad_input():
    with pytest.raises(ValueError, match="max_panels"):
        shown(max_panels=0)
    with pytest.raises(ValueError, match="not fitted"):
        ComponentsDisplay.from_estimator(MixtureEM())
