"""The picture of the rate-distortion curve."""

import importlib
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklvm.inspection import RateDistortionDisplay

from .models import HELD_OUT, P, blank, fitted, images_of, seeing, specks

matplotlib = pytest.importorskip("matplotlib")
WEIGHTS = [0.5, 2.0, 8.0]


@pytest.fixture(autouse=True)
def plt():
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def data_of(lines):
    return [np.asarray(line.get_xydata()) for line in np.ravel(lines)]


def has_curve(lines, x, y):
    """Whether one of the lines shows these points, in any order."""
    points = np.array(sorted(zip(x, y, strict=True)))
    return any(
        len(data) == len(points)
        and np.allclose(sorted(data.tolist()), points, rtol=1e-6)
        for data in data_of(lines)
    )


@pytest.mark.slow
def test_the_display_is_the_curve():
    est = fitted()
    display = RateDistortionDisplay.from_estimator(
        est, HELD_OUT, distortion_weights=WEIGHTS
    )
    curve = est.rate_distortion_curve(HELD_OUT, WEIGHTS)
    assert_array_equal(display.distortion_weights, WEIGHTS)
    assert_allclose(display.bits_per_pixel, curve.bits_per_pixel)
    assert_allclose(display.error, curve.error)
    # y is per cent.
    assert has_curve(display.lines_, curve.bits_per_pixel, 100 * curve.error)
    assert display.ax_.figure is display.figure_
    assert "bit" in display.ax_.get_xlabel().lower()
    y_label = display.ax_.get_ylabel().lower()
    assert "%" in y_label or "per cent" in y_label
    assert est.distortion_weight == 3.0


@pytest.mark.slow
def test_baselines():
    display = RateDistortionDisplay.from_estimator(
        fitted(), HELD_OUT, distortion_weights=WEIGHTS
    )
    assert display.baselines_
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    for name, (bits, error) in display.baselines_.items():
        assert isinstance(name, str)
        assert any(name in text for text in legend)
        assert np.shape(bits) == np.shape(error)
        assert (np.asarray(bits) >= 0).all()
        assert (np.asarray(error) >= 0).all()
        assert (np.asarray(error) <= 1).all()
        y = 100 * np.asarray(error)
        assert has_curve(display.ax_.lines, np.ravel(bits), np.ravel(y))


@pytest.mark.slow
def test_without_baselines():
    display = RateDistortionDisplay.from_estimator(
        fitted(), HELD_OUT, distortion_weights=WEIGHTS, baselines=False
    )
    assert display.baselines_ == {}
    assert len(data_of(display.ax_.lines)) == 1


@pytest.mark.slow
def test_weights_of_its_own():
    display = RateDistortionDisplay.from_estimator(fitted(), HELD_OUT[:10])
    weights = np.asarray(display.distortion_weights)
    assert len(weights) >= 3
    assert len(display.error) == len(display.bits_per_pixel) == len(weights)
    assert np.ptp(display.bits_per_pixel) > 0


@pytest.mark.slow
def test_an_axes_of_the_user_s(plt):
    figure, ax = plt.subplots()
    display = RateDistortionDisplay.from_estimator(
        fitted(), HELD_OUT[:10], distortion_weights=WEIGHTS, ax=ax
    )
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert len(plt.get_fignums()) == 1
    figure, ax = plt.subplots()
    assert display.plot(ax=ax) is display
    assert display.ax_ is ax
    assert has_curve(ax.lines, display.bits_per_pixel, 100 * np.array(display.error))
    before = len(plt.get_fignums())
    display.plot()
    assert display.ax_ is not ax
    assert len(plt.get_fignums()) == before + 1
    figure.canvas.draw()


def test_images_go_along():
    est, maps = seeing(), specks(1, 10)
    images = images_of(maps, seed=1)
    display = RateDistortionDisplay.from_estimator(
        est, maps, images=images, distortion_weights=[1e-6]
    )
    wrong = est.distortion(maps, blank(maps), images).mean()
    assert_allclose(display.error, [wrong / maps.shape[1]])


def test_void_pixels_are_no_errors_of_the_baselines():
    est = fitted(void_class=2)
    maps = np.where(np.arange(P) < 20, 0, 2) * np.ones((5, 1), dtype=int)
    display = RateDistortionDisplay.from_estimator(
        est, maps, distortion_weights=WEIGHTS
    )
    # All that counts is of class 0: a single seed says it.
    for _, error in display.baselines_.values():
        assert np.min(error) == 0


def test_bad_weights():
    with pytest.raises(ValueError, match="distortion_weight"):
        RateDistortionDisplay.from_estimator(
            fitted(), HELD_OUT, distortion_weights=[-1.0]
        )


def test_matplotlib_is_imported_where_something_is_drawn(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    module = importlib.reload(sys.modules[RateDistortionDisplay.__module__])
    with pytest.raises(ImportError):
        module.RateDistortionDisplay.from_estimator(
            fitted(), HELD_OUT[:2], distortion_weights=WEIGHTS
        )
