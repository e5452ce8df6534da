"""Displays of rows as pictures: reconstructions, samples, components, traversals."""

import numpy as np
import pytest
from matplotlib.colors import ListedColormap
from numpy.testing import assert_allclose, assert_array_equal

from sklvm.inspection import (
    ComponentsDisplay,
    LatentTraversalDisplay,
    ReconstructionDisplay,
    SampleDisplay,
)
from sklvm.inspection._label_maps import class_colours

from ..autoencoder.models import frozen, linear, standard_normal
from ..segmentation.models import fit as segmentation
from ..segmentation.models import images_of, seeing, specks
from .models import SHAPE, X, fitted, rows
from .pictures import in_reading_order, place, shows

ALL = ["VAE", "GMVAE", "Bernoulli", "Gaussian", "RDA"]
CODED = np.random.default_rng(0).random((40, 12))  # pictures of 2 x 2 in three colours


def in_colour():
    """A linear VAE whose reconstruction stays within [0, 1]."""
    encoder = linear(np.full((4, 12), 0.01), np.zeros(4))
    return frozen(CODED, encoder, linear(0.02 * np.ones((12, 2)), CODED[0]))


# Reconstructions.


@pytest.mark.parametrize("kind", ALL)
def test_reconstructions(kind):
    est, data = fitted(kind), rows(kind)
    display = ReconstructionDisplay.from_estimator(est, data, n_rows=5)
    assert_allclose(display.X, data[:5])
    expected = est.inverse_transform(est.transform(data[:5]))
    assert_allclose(display.X_reconstructed, expected, atol=1e-5)
    if kind == "RDA":
        assert_array_equal(display.S, est.transform(data[:5]))
        return
    assert display.S is None
    assert shows(display.ax_, display.X)
    assert shows(display.ax_, display.X_reconstructed)


def test_reconstructions_as_pictures():
    display = ReconstructionDisplay.from_estimator(
        fitted("VAE"), X, n_rows=4, image_shape=SHAPE
    )
    assert shows(display.ax_, display.X, SHAPE)
    assert shows(display.ax_, display.X_reconstructed, SHAPE)


def test_reconstructions_in_colour():
    display = ReconstructionDisplay.from_estimator(
        in_colour(), CODED, n_rows=3, image_shape=(2, 2, 3)
    )
    assert shows(display.ax_, display.X, (2, 2, 3))
    assert shows(display.ax_, display.X_reconstructed, (2, 2, 3))


def test_label_maps_have_their_own_shape():
    """Map, sparse map and decoded map beside each other, blank a colour of its own."""
    est, data = fitted("RDA"), rows("RDA")
    display = ReconstructionDisplay.from_estimator(est, data, n_rows=3)
    shape = tuple(est.image_shape_)
    for maps in (display.X, display.X_reconstructed):
        for row in maps:
            assert place(display.ax_, row.reshape(shape)) is not None
    display = ReconstructionDisplay.from_estimator(
        est, data, n_rows=3, image_shape=shape
    )
    assert place(display.ax_, display.X[2].reshape(shape)) is not None


def colours_of(display):
    """The colour of each pixel of the picture, as bytes."""
    picture = np.asarray(display.im_.get_array().filled(np.nan))
    return picture, display.im_.to_rgba(picture, bytes=True)


def test_label_maps_have_a_colour_for_each_class():
    """The same in all pictures, whatever the labels are and which of them occur."""
    maps = np.zeros((6, 3, 4), dtype=int)
    maps[:, :, 2:] = 1
    maps[0, 0] = 2
    names = np.array(["road", "sky", "void"])[maps]
    how = {"image_shape": None, "n_classes": None, "void_class": "void"}
    est = segmentation(names, max_epochs=3, **how)
    one = ReconstructionDisplay.from_estimator(est, names, n_rows=2)
    assert_array_equal(one.X, maps[:2].reshape(2, -1))
    picture, colours = colours_of(one)
    other_picture, other = colours_of(SampleDisplay.from_estimator(est, n_samples=4))
    for number in (0, 1):
        (seen,) = {tuple(c) for c in colours[picture == number]}
        assert {tuple(c) for c in other[other_picture == number]} <= {seen}
    assert len({tuple(c) for c in colours[np.isin(picture, [0, 1])]}) == 2
    void = {tuple(c) for c in colours[picture == 2]}
    assert void and not void & {tuple(c) for c in colours[picture < 2]}
    one.plot(cmap=ListedColormap(["red", "blue"]))
    picture, colours = colours_of(one)
    assert (colours[picture == 1] == [0, 0, 255, 255]).all()
    # Maps of another size, with nothing where they end.
    small = [names[0], names[1][:2]]
    display = ReconstructionDisplay.from_estimator(est, small)
    assert np.isnan(display.X[1]).sum() == 4


def test_many_classes_have_as_many_colours():
    colours = class_colours(40)["cmap"](np.arange(40))
    assert len(np.unique(colours, axis=0)) == 40


def test_reconstructions_beside_images():
    est, maps = seeing(), specks(1, 6)
    images = images_of(maps, seed=1)
    display = ReconstructionDisplay.from_estimator(est, maps, n_rows=3, images=images)
    S = est.transform(maps, images)[:3]
    assert_array_equal(display.S, S)
    assert_array_equal(display.X_reconstructed, est.inverse_transform(S, images[:3]))
    with pytest.raises(ValueError, match="images"):
        ReconstructionDisplay.from_estimator(est, maps)


def test_missing_values_are_gaps_of_the_picture():
    data = X.copy()
    data[::2, 1] = np.nan
    est = fitted("Bernoulli")
    display = ReconstructionDisplay.from_estimator(est, data, n_rows=3)
    assert_array_equal(display.X, data[:3])
    assert np.isfinite(display.X_reconstructed).all()
    display.figure_.canvas.draw()
    (crosses,) = display.ax_.lines
    # Strips of rows 0 and 2, with the reconstruction below each.
    assert_array_equal(crosses.get_xydata(), [[1, 0], [1, 4]])


def test_missing_cells_of_images_have_crosses():
    data = X[:3].copy()
    data[1, 3] = np.nan
    est = fitted("Bernoulli")
    shape = (2, X.shape[1] // 2)
    display = ReconstructionDisplay.from_estimator(est, data, image_shape=shape)
    (crosses,) = display.ax_.lines
    row, column = divmod(3, shape[1])
    assert_array_equal(crosses.get_xydata(), [[shape[1] + 1 + column, row]])
    full = ReconstructionDisplay.from_estimator(est, X[:3], image_shape=shape)
    assert not full.ax_.lines


def test_fewer_rows_than_asked_for():
    display = ReconstructionDisplay.from_estimator(fitted("VAE"), X[:3])
    assert display.X.shape == display.X_reconstructed.shape == (3, 6)


# Samples.


@pytest.mark.parametrize("kind", ALL)
def test_samples(kind):
    est = fitted(kind)
    display = SampleDisplay.from_estimator(est, n_samples=7)
    assert_allclose(display.samples, est.sample(7)[0])
    if kind != "RDA":
        assert shows(display.ax_, display.samples)
    else:
        assert place(display.ax_, display.samples[0].reshape(3, 4)) is not None


def test_samples_in_columns():
    est = fitted("Gaussian")
    display = SampleDisplay.from_estimator(
        est, n_samples=6, n_columns=2, image_shape=SHAPE
    )
    assert in_reading_order(display.ax_, display.samples, SHAPE)
    places = [place(display.ax_, row.reshape(SHAPE)) for row in display.samples]
    tops, lefts = np.array(places).T
    assert len(set(tops)) == 3
    assert len(set(lefts)) == 2
    display = SampleDisplay.from_estimator(est)
    assert display.samples.shape == (16, 6)


# Components.


@pytest.mark.parametrize("kind", ["Bernoulli", "Gaussian", "GMVAE"])
def test_components(kind):
    est = fitted(kind)
    # The fit's order is not by weight.
    est.weights_ = np.array([0.2, 0.5, 0.3], dtype=est.weights_.dtype)
    display = ComponentsDisplay.from_estimator(est, image_shape=SHAPE)
    centres = {
        "Bernoulli": lambda: est.theta_,
        "Gaussian": lambda: est.means_,
        "GMVAE": lambda: est.inverse_transform(est.means_),
    }[kind]()
    assert_allclose(display.weights, [0.5, 0.3, 0.2], rtol=1e-6)
    assert_allclose(display.components, centres[[1, 2, 0]], rtol=1e-5)
    assert in_reading_order(display.ax_, display.components, SHAPE)
    assert shows(ComponentsDisplay.from_estimator(est).ax_, display.components)


# Traversals.


def test_traversals_from_the_origin():
    est = fitted("VAE3")
    display = LatentTraversalDisplay.from_estimator(
        est, n_steps=5, span=2.0, image_shape=SHAPE
    )
    assert_allclose(display.values, [-2, -1, 0, 1, 2])
    assert display.X.shape == (3, 5, 6)
    for j in range(3):
        Z = np.zeros((5, 3))
        Z[:, j] = display.values
        assert_allclose(display.X[j], est.inverse_transform(Z), atol=1e-6)
        assert shows(display.ax_, display.X[j], SHAPE)
    assert in_reading_order(display.ax_, display.X[0], SHAPE)
    assert LatentTraversalDisplay.from_estimator(est).X.shape == (3, 9, 6)


@pytest.mark.parametrize("kind", ["VAE3", "GMVAE"])
def test_traversals_of_some_dimensions_from_a_row(kind):
    """The other dimensions stay where transform has put the row."""
    est = fitted(kind)
    display = LatentTraversalDisplay.from_estimator(
        est, x=X[4], dimensions=[1], n_steps=3, span=1.0
    )
    start = est.transform(X[4:5])
    set_to, moved_by = np.repeat(start, 3, axis=0), np.repeat(start, 3, axis=0)
    set_to[:, 1] = [-1, 0, 1]
    moved_by[:, 1] += [-1, 0, 1]
    assert display.X.shape == (1, 3, 6)
    decoded = [est.inverse_transform(Z) for Z in (set_to, moved_by)]
    assert any(np.allclose(display.X[0], rows, atol=1e-5) for rows in decoded)
    assert shows(display.ax_, display.X[0])


def test_many_dimensions_are_drawn_in_the_order_given():
    est = fitted("VAE3")
    whole = LatentTraversalDisplay.from_estimator(est)
    some = LatentTraversalDisplay.from_estimator(est, dimensions=(2, 0))
    assert_allclose(some.X, whole.X[[2, 0]], rtol=1e-5)


# What they refuse.


@pytest.mark.parametrize(
    "display, kinds, data",
    [
        (ReconstructionDisplay, ["ConditionalVAE"], True),
        (SampleDisplay, ["ConditionalVAE"], False),
        (ComponentsDisplay, ["VAE", "ConditionalVAE", "RDA"], False),
        (LatentTraversalDisplay, ["Bernoulli", "ConditionalVAE", "RDA"], False),
    ],
)
def test_other_estimators(display, kinds, data):
    for kind in kinds:
        est = fitted(kind)
        arguments = (standard_normal(5, 3),) if data else ()
        message = f"{display.__name__}.*{type(est).__name__}"
        with pytest.raises(TypeError, match=message):
            display.from_estimator(est, *arguments)
    with pytest.raises(TypeError, match=f"{display.__name__}.*str"):
        display.from_estimator("a model", *((X,) if data else ()))


@pytest.mark.parametrize("image_shape", [(2, 2), (6,), (2, 3, 2), (-2, -3), 6])
def test_bad_shapes(image_shape):
    params = {"image_shape": image_shape}
    with pytest.raises(ValueError, match="image_shape"):
        ReconstructionDisplay.from_estimator(fitted("VAE"), X, **params)
    with pytest.raises(ValueError, match="image_shape"):
        SampleDisplay.from_estimator(fitted("VAE"), **params)
    with pytest.raises(ValueError, match="image_shape"):
        ComponentsDisplay.from_estimator(fitted("Bernoulli"), **params)
    with pytest.raises(ValueError, match="image_shape"):
        LatentTraversalDisplay.from_estimator(fitted("VAE"), **params)


@pytest.mark.parametrize("count", [0, -1, 1.5])
@pytest.mark.parametrize(
    "display, name",
    [
        (ReconstructionDisplay, "n_rows"),
        (SampleDisplay, "n_samples"),
        (SampleDisplay, "n_columns"),
        (LatentTraversalDisplay, "n_steps"),
    ],
)
def test_bad_counts(display, name, count):
    data = (X,) if display is ReconstructionDisplay else ()
    with pytest.raises(ValueError, match=name):
        display.from_estimator(fitted("VAE"), *data, **{name: count})


@pytest.mark.parametrize("dimensions", [[2], [-1], [0.5], []])
def test_bad_dimensions(dimensions):
    with pytest.raises(ValueError, match="dimensions"):
        LatentTraversalDisplay.from_estimator(fitted("VAE"), dimensions=dimensions)
