"""The latent space: draws of the aggregated posterior beside those of the prior."""

import datetime
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.patches import Rectangle
from numpy.testing import assert_allclose, assert_array_equal

from sklvm.inspection import LatentSpaceDisplay

from ..autoencoder.models import frozen, linear, standard_normal
from ..autoencoder.structured import Mixture, known, sequential
from ..divergence.objects import global_states, same_states
from .models import X, fitted
from .pictures import has_points

LABELS = np.array(["left", "right"])[X[:, 0].astype(int)]


def known_latent(rows):
    """q(z|x) = N(10 j + x_0, 0.5^2) in dimension j = 0, 1, 2."""
    weight = np.zeros((6, 4))
    weight[:3, 0] = 1.0
    bias = [0, 10, 20, *np.log([0.5, 0.5, 0.5])]
    decoder = linear(np.ones((4, 3)), np.zeros(4))
    return frozen(rows, linear(weight, bias), decoder, latent_dim=3, noise=1.0)


def test_one_draw_of_q_for_each_row():
    rows = standard_normal(2000)
    display = LatentSpaceDisplay.from_estimator(
        known_latent(rows), rows, dimensions=(2, 0), n_prior=3000
    )
    assert tuple(display.dimensions) == (2, 0)
    assert display.Z.shape == (2000, 2)
    assert display.Z_prior.shape == (3000, 2)
    eps = (display.Z - np.array([20, 0]) - rows[:, :1]) / 0.5
    assert_allclose(eps.mean(axis=0), 0, atol=5 / np.sqrt(2000))
    assert_allclose(eps.std(axis=0), 1, atol=4 / np.sqrt(2000))
    assert abs(np.corrcoef(eps.T)[0, 1]) < 5 / np.sqrt(2000)
    assert_allclose(display.Z_prior.mean(axis=0), 0, atol=5 / np.sqrt(3000))
    assert_allclose(display.Z_prior.std(axis=0), 1, atol=4 / np.sqrt(3000))


def test_the_prior_of_a_gmvae_is_its_mixture():
    rows = standard_normal(200)
    means = np.array([[-6.0, 0.0], [6.0, 3.0]])
    mixture = Mixture(np.array([0.25, 0.75]), means, np.full((2, 2), 0.5))
    encoder = sequential(linear(np.zeros((4, 4)), np.zeros(4)))
    decoder = linear(np.ones((4, 2)), np.zeros(4))
    est = known(rows, mixture, encoder=encoder, decoder=decoder)
    display = LatentSpaceDisplay.from_estimator(est, rows, n_prior=2000)
    right = display.Z_prior[:, 0] > 0
    assert right.mean() == pytest.approx(0.75, abs=0.05)
    assert_allclose(display.Z_prior[right].mean(axis=0), means[1], atol=0.1)
    assert_allclose(display.Z_prior[~right].std(axis=0), np.sqrt(0.5), atol=0.1)


@pytest.mark.parametrize("kind", ["VAE", "VAE3", "GMVAE"])
def test_what_is_drawn(kind):
    display = LatentSpaceDisplay.from_estimator(fitted(kind), X, n_prior=30)
    assert tuple(display.dimensions) == (0, 1)
    assert display.Z.shape == (60, 2)
    assert has_points(display.ax_, display.Z)
    assert has_points(display.ax_, display.Z_prior)
    assert display.ax_.get_xlabel()
    assert display.ax_.get_ylabel() != display.ax_.get_xlabel()


def test_no_y():
    display = LatentSpaceDisplay.from_estimator(fitted("VAE"), X)
    assert display.y is None
    assert len(display.figure_.axes) == 1


def test_labels_have_a_legend():
    display = LatentSpaceDisplay.from_estimator(fitted("VAE"), X, LABELS)
    assert_array_equal(display.y, LABELS)
    texts = {text.get_text() for text in display.ax_.get_legend().get_texts()}
    assert {"left", "right"} <= texts
    assert len(display.figure_.axes) == 1
    assert has_points(display.ax_, display.Z)


def test_classes_that_are_integers_are_labels():
    display = LatentSpaceDisplay.from_estimator(fitted("GMVAE"), X, np.arange(60) % 3)
    texts = {text.get_text() for text in display.ax_.get_legend().get_texts()}
    assert {"0", "1", "2"} <= texts


def test_numbers_have_a_colour_bar():
    y = np.linspace(-1.5, 2.5, 60)
    display = LatentSpaceDisplay.from_estimator(fitted("VAE"), X, y)
    assert_array_equal(display.y, y)
    assert len(display.figure_.axes) == 2
    coloured = [c for c in display.ax_.collections if c.get_array() is not None]
    assert len(coloured) == 1
    order = np.lexsort(display.Z.T)
    drawn = np.lexsort(np.asarray(coloured[0].get_offsets()).T)
    assert_allclose(np.asarray(coloured[0].get_array())[drawn], y[order])
    assert has_points(display.ax_, display.Z)


def test_one_latent_has_densities():
    """Of the draws and of the prior, each with an area of one."""
    display = LatentSpaceDisplay.from_estimator(fitted("VAE1"), X, n_prior=500)
    assert len(np.ravel(display.Z)) == 60
    assert len(np.ravel(display.Z_prior)) == 500
    areas = [
        patch.get_width() * patch.get_height()
        for patch in display.ax_.patches
        if hasattr(patch, "get_width")
    ]
    outlines = [p.get_xy() for p in display.ax_.patches if hasattr(p, "get_xy")]
    assert areas or outlines
    if len(areas) == len(display.ax_.patches):
        assert sum(areas) == pytest.approx(2, rel=1e-6)
    labelled = LatentSpaceDisplay.from_estimator(fitted("VAE1"), X, LABELS)
    assert labelled.ax_.patches


NAMES = np.array(["cat", "dog", "owl"])[np.arange(60) % 3]
GAPS = np.arange(60) < 7


def with_gaps(values, gap, dtype=object):
    values = values.astype(dtype)
    values[GAPS] = gap
    return values


LABELS_WITH_GAPS = {
    "None": with_gaps(NAMES, None),
    "NaN among text": with_gaps(NAMES, np.nan),
    "floats": with_gaps(np.arange(60) % 3, np.nan, float),
    "categories": pd.Series(with_gaps(NAMES, None)).astype("category"),
    "nullable": pd.array(with_gaps(np.arange(60) % 3, None), dtype="Int64"),
    "nullable booleans": pd.array(with_gaps(np.arange(60) > 30, None), dtype="boolean"),
}


def legend_of(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


@pytest.mark.parametrize("y", LABELS_WITH_GAPS.values(), ids=LABELS_WITH_GAPS)
@pytest.mark.parametrize("kind", ["VAE", "VAE1"])
def test_labels_that_are_missing_are_grey(kind, y):
    display = LatentSpaceDisplay.from_estimator(fitted(kind), X, y)
    names = legend_of(display)
    assert "missing" in names
    assert len(names) == 2 + len(set(np.asarray(y)[~GAPS].tolist()))
    display.figure_.canvas.draw()
    if kind == "VAE":
        assert has_points(display.ax_, display.Z)
        assert has_points(display.ax_, display.Z[GAPS])


def test_values_that_are_missing_are_grey():
    y = with_gaps(np.linspace(-1.5, 2.5, 60), np.nan, float)
    display = LatentSpaceDisplay.from_estimator(fitted("VAE"), X, y)
    assert "missing" in legend_of(display)
    assert len(display.figure_.axes) == 2
    assert has_points(display.ax_, display.Z[GAPS])
    (coloured,) = (c for c in display.ax_.collections if c.get_array() is not None)
    assert_allclose(np.sort(np.asarray(coloured.get_array())), y[~GAPS])


def test_dates_have_a_colour_bar():
    for y in (
        pd.date_range("2024", periods=60),
        np.array([datetime.date(2024, 1, 1 + i % 28) for i in range(60)]),
    ):
        display = LatentSpaceDisplay.from_estimator(fitted("VAE"), X, y)
        display.figure_.canvas.draw()
        texts = [t.get_text() for t in display.figure_.axes[1].get_yticklabels()]
        assert any("2024" in text for text in texts)


def test_columns_and_tensors():
    labels = np.arange(60) % 3
    for y in (labels[:, None], torch.as_tensor(labels), labels.tolist()):
        display = LatentSpaceDisplay.from_estimator(fitted("VAE"), X, y)
        assert {"0", "1", "2"} <= set(legend_of(display))
    with pytest.raises(ValueError, match=r"\by\b.*\(60, 2\)"):
        LatentSpaceDisplay.from_estimator(fitted("VAE"), X, np.zeros((60, 2)))


@pytest.mark.parametrize("n_labels, n_columns", [(30, 2), (60, 4)])
def test_long_legends_stand_beside_the_axes(n_labels, n_columns):
    names = np.array([f"class {i}" for i in np.arange(60) % n_labels])
    display = LatentSpaceDisplay.from_estimator(fitted("VAE"), X, names)
    display.figure_.canvas.draw()
    legend, ax = display.ax_.get_legend(), display.ax_
    assert legend.get_window_extent().height <= display.figure_.bbox.height
    assert legend.get_window_extent().x0 >= ax.get_window_extent().x1
    assert legend._ncols <= 3
    shown = len(legend_of(display))
    title = legend.get_title().get_text()
    assert shown == n_labels + 1 if n_labels == 30 else f"{shown} of 61" == title


def test_one_latent_has_densities_of_each_label():
    """One upon the other they are that of all."""
    est = fitted("VAE1")
    display = LatentSpaceDisplay.from_estimator(est, X, NAMES)
    assert legend_of(display)[:3] == ["cat", "dog", "owl"]
    bars = [p for p in display.ax_.patches if isinstance(p, Rectangle)]
    areas = np.array([p.get_width() * p.get_height() for p in bars]).reshape(3, -1)
    assert_allclose(areas.sum(axis=1), 1 / 3)
    plain = LatentSpaceDisplay.from_estimator(est, X)
    alone = [p.get_height() for p in plain.ax_.patches if isinstance(p, Rectangle)]
    heights = np.array([p.get_height() for p in bars]).reshape(3, -1)
    assert_allclose(heights.sum(axis=0), alone)
    y = np.linspace(0, 1, 60)
    quarters = LatentSpaceDisplay.from_estimator(est, X, y)
    assert legend_of(quarters)[:4] == [
        "0 to 0.25", "0.25 to 0.5", "0.5 to 0.75", "0.75 to 1",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["VAE", "VAE1"])
def test_labels_are_shown_as_they_are(kind):
    """Not as formulas, and with those that matplotlib would leave out."""
    labels = ["_a", "", "$b_$", "c$_", " _d"]
    y = np.array(labels)[np.arange(60) % 5]
    display = LatentSpaceDisplay.from_estimator(fitted(kind), X, y)
    display.figure_.canvas.draw()
    assert {"_a", "''", "$b_$", "c$_"} < set(legend_of(display))
    assert len(legend_of(display)) == 6


@pytest.mark.parametrize("kind", ["VAE", "VAE1"])
def test_large_numbers_are_told_apart(kind):
    y = 1e6 + np.arange(60) % 3
    display = LatentSpaceDisplay.from_estimator(fitted(kind), X, y)
    assert {"1000000", "1000001", "1000002"} < set(legend_of(display))


@pytest.mark.parametrize("kind", ["VAE", "VAE1"])
@pytest.mark.parametrize("dtype", ["string", "Float64", "category", object])
def test_missing_labels_of_pandas(kind, dtype):
    y = pd.array([["a", "b", None], [0.5, 1.0, None]][dtype == "Float64"] * 20, dtype)
    if dtype is object:
        y[2::3] = pd.NA
    names = legend_of(LatentSpaceDisplay.from_estimator(fitted(kind), X, y))
    labels = ["0.5", "1"] if dtype == "Float64" else ["a", "b"]
    assert [name for name in names if name != "prior"] == [*labels, "missing"]


@pytest.mark.parametrize("kind", ["VAE", "VAE1"])
def test_a_few_fractions_are_labels(kind):
    y = np.array([0, 0.5, 1, 2.5])[np.arange(60) % 4]
    display = LatentSpaceDisplay.from_estimator(fitted(kind), X, y)
    assert {"0", "0.5", "1", "2.5"} < set(legend_of(display))


def test_as_many_fractions_as_rows_are_a_scale():
    y = np.linspace(0, 1, 8) ** 2
    display = LatentSpaceDisplay.from_estimator(fitted("VAE"), X[:8], y)
    assert display.ax_.get_legend() is None


@pytest.mark.parametrize("make", [pd.Categorical, pd.Series])
def test_categories_have_their_order(make):
    categories = ["small", "medium", "large", "none"]
    y = make(
        np.array(categories)[np.arange(60) % 3],
        dtype=pd.CategoricalDtype(categories, ordered=True),
    )
    display = LatentSpaceDisplay.from_estimator(fitted("VAE"), X, y)
    assert legend_of(display) == ["prior", "small", "medium", "large"]


@pytest.mark.parametrize(
    "y, ends",
    [
        (2000 + np.arange(60) % 30, ["2000", "2007", "2014", "2022", "2029"]),
        (
            pd.date_range("2024-01-01", periods=60),
            ["2024-01-01", "2024-01-15", "2024-01-30", "2024-02-14", "2024-02-29"],
        ),
        (
            pd.date_range("2024-01-01", periods=60, tz="Europe/Paris"),
            ["2024-01-01", "2024-01-15", "2024-01-30", "2024-02-14", "2024-02-29"],
        ),
        # The median of most rows is the least value, too.
        (np.maximum(np.arange(60.0) - 39, 0), ["0", "5.25", "20"]),
    ],
)
@pytest.mark.filterwarnings("error")
def test_quarters_of_one_latent_are_told_apart(y, ends):
    display = LatentSpaceDisplay.from_estimator(fitted("VAE1"), X, y)
    names = legend_of(display)[:-1]
    assert names == [f"{low} to {high}" for low, high in pairwise(ends)]


HOURS = np.arange(60) * 2


@pytest.mark.parametrize(
    "y, unit",
    [
        (HOURS.astype("timedelta64[h]"), "days"),
        (pd.Series(pd.to_timedelta(HOURS, unit="s")), "minutes"),
        ([datetime.timedelta(hours=int(h) / 10) for h in HOURS], "hours"),
        ([Decimal(int(h)) / 7 for h in HOURS], ""),
    ],
)
def test_durations_and_decimals_have_a_colour_bar(y, unit):
    display = LatentSpaceDisplay.from_estimator(fitted("VAE"), X, y)
    assert display.ax_.get_legend() is None
    assert display.figure_.axes[-1].get_ylabel() == unit
    display = LatentSpaceDisplay.from_estimator(fitted("VAE1"), X, y)
    names = legend_of(display)[:-1]
    assert len(names) == 4 and all(name.endswith(unit) for name in names)


def test_many_periods_are_dates_and_few_are_labels():
    days = pd.period_range("2024-01-01", periods=60, freq="D")
    names = legend_of(LatentSpaceDisplay.from_estimator(fitted("VAE1"), X, days))
    assert names[0] == "2024-01-01 to 2024-01-15"
    quarters = pd.Series(days).dt.asfreq("Q")
    display = LatentSpaceDisplay.from_estimator(fitted("VAE"), X, quarters)
    assert legend_of(display) == ["prior", "2024Q1"]


def test_long_names_leave_room_for_the_axes():
    y = np.array(["a", "b", "long " * 40 + "end"])[np.arange(60) % 3]
    names = legend_of(LatentSpaceDisplay.from_estimator(fitted("VAE"), X, y))
    assert max(map(len, names)) == 40 and names[-1].endswith("end")


@pytest.mark.parametrize("kind", ["VAE", "VAE1"])
def test_dates_of_which_none_is_known_are_grey(kind):
    y = np.full(60, np.datetime64("NaT", "D"))
    display = LatentSpaceDisplay.from_estimator(fitted(kind), X, y)
    assert set(legend_of(display)) == {"prior", "missing"}


@pytest.mark.parametrize("dtype", [float, object])
def test_infinite_values_are_refused_by_name(dtype):
    y = np.where(np.arange(60) == 7, np.inf, np.arange(60) / 7).astype(dtype)
    with pytest.raises(ValueError, match=r"^y has infinite values"):
        LatentSpaceDisplay.from_estimator(fitted("VAE"), X, y)


def test_it_repeats_and_touches_nothing():
    est = fitted("VAE")
    before, attributes = global_states(), dict(vars(est))
    one = LatentSpaceDisplay.from_estimator(est, X)
    two = LatentSpaceDisplay.from_estimator(est, X)
    assert_array_equal(one.Z, two.Z)
    assert_array_equal(one.Z_prior, two.Z_prior)
    assert same_states(global_states(), before)
    assert dict(vars(est)) == attributes


@pytest.mark.parametrize("kind", ["Bernoulli", "ConditionalVAE", "RDA"])
def test_other_estimators(kind):
    est = fitted(kind)
    with pytest.raises(TypeError, match=f"LatentSpaceDisplay.*{type(est).__name__}"):
        LatentSpaceDisplay.from_estimator(est, X)


@pytest.mark.parametrize("dimensions", [(0, 2), (-1, 0), (0, 1, 1), (0.5, 1), ()])
def test_bad_dimensions(dimensions):
    with pytest.raises(ValueError, match="dimensions"):
        LatentSpaceDisplay.from_estimator(fitted("VAE"), X, dimensions=dimensions)


def test_bad_input():
    est = fitted("VAE")
    for n_prior in (0, 2.5):
        with pytest.raises(ValueError, match="n_prior"):
            LatentSpaceDisplay.from_estimator(est, X, n_prior=n_prior)
    with pytest.raises(ValueError, match=r"\by\b"):
        LatentSpaceDisplay.from_estimator(est, X, LABELS[:-1])
