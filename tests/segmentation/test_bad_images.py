"""Bad images and codes: one sentence, and no side effect."""

import numpy as np
import pytest

from ..autoencoder.test_structured_bad_input import refused, says
from ..test_contract import snapshot
from .models import SHAPE, P, X, fitted, images_of, seeing, specks
from .test_bad_input import READS_X, changed

FEW = X[:30]
SPECKS = specks(1, 30)
Q = SPECKS.shape[1]
SEEN = images_of(SPECKS)


# Images.


@pytest.mark.slow
@pytest.mark.parametrize("method", READS_X)
def test_images_are_given_exactly_where_the_fit_had_them(method):
    refused(getattr(seeing(), method), SPECKS, words=("images",))
    refused(getattr(fitted(), method), FEW, images=images_of(FEW), words=("images",))


@pytest.mark.slow
def test_the_decoder_needs_them_too():
    seen, S = seeing(), np.full((30, Q), -1)
    refused(seen.inverse_transform, S, words=("images",))
    refused(seen.distortion, SPECKS, S, words=("images",))
    refused(seen.sample, 30, words=("images",))
    refused(seen.rate_distortion_curve, SPECKS, [1.0], words=("images",))
    blind, S, images = fitted(), np.full((30, P), -1), images_of(FEW)
    refused(blind.inverse_transform, S, images, words=("images",))
    refused(blind.distortion, FEW, S, images, words=("images",))
    refused(blind.sample, 30, images, words=("images",))
    refused(blind.rate_distortion_curve, FEW, [1.0], images, words=("images",))


@pytest.mark.parametrize("method", READS_X)
@pytest.mark.parametrize("width", [Q, 2 * Q - 1, 3 * Q])
def test_images_of_another_width(method, width):
    images, words = np.zeros((30, width)), ("images", width, 2 * Q)
    refused(getattr(seeing(), method), SPECKS, images=images, words=words)


@pytest.mark.parametrize("width", [1, Q - 1, Q + 1])
def test_images_that_do_not_fit_the_map(width):
    images, words = np.zeros((30, width)), ("images", width, Q)
    refused(seeing().fit, SPECKS, None, images, words=words)


@pytest.mark.parametrize("method", ["fit", *READS_X])
def test_as_many_images_as_maps(method):
    method = getattr(seeing(), method)
    refused(method, SPECKS, images=SEEN[:29], words=("images", 29, 30))


def test_as_many_images_as_codes():
    est, S = seeing(), np.full((30, Q), -1)
    refused(est.inverse_transform, S, SEEN[:29], words=("images", 29, 30))
    refused(est.sample, 30, SEEN[:29], words=("images", 29, 30))


@pytest.mark.parametrize("method", ["fit", *READS_X])
@pytest.mark.parametrize("shape", [(2, 10), (3, 5), (4, 4), (20,)])
def test_images_of_another_shape_than_their_maps(method, shape):
    images = SEEN.reshape(30, 4, 5, 2)[:, : shape[0], : shape[-1]]
    if np.prod(shape) == Q:
        images = SEEN.reshape(-1, *shape, 2)
    words = ("images[0]", images.shape[1:3], (4, 5))
    refused(getattr(seeing(), method), SPECKS, images=images, words=words)


@pytest.mark.parametrize("method", ["fit", *READS_X])
def test_images_with_other_channels_than_each_other(method):
    images = [image.reshape(4, 5, 2) for image in SEEN]
    images[3] = images[3][:, :, 0]
    words = ("images", "channels")
    refused(getattr(seeing(), method), SPECKS, images=images, words=words)


@pytest.mark.parametrize("method", ["fit", *READS_X])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_image_has_gaps(method, value):
    est = seeing()
    before = snapshot(est)
    with pytest.raises(ValueError, match=r"images.*(?i:nan|inf)"):
        getattr(est, method)(SPECKS, images=changed(SEEN, value))
    assert snapshot(est) == before


# Codes.


@pytest.mark.parametrize("value", [-2, 3, 0.5, 1234567])
def test_values_that_no_code_has(value):
    est, S = fitted(), changed(np.full((30, P), -1), value)
    refused(est.inverse_transform, S, words=("S", value))
    refused(est.rate, S, words=("S", value))
    refused(est.distortion, FEW, S, words=("S", value))


def test_no_code_has_gaps():
    est, S = fitted(), changed(np.full((30, P), -1), np.nan)
    for method, data in [
        (est.inverse_transform, (S,)),
        (est.rate, (S,)),
        (est.distortion, (FEW, S)),
    ]:
        with pytest.raises(ValueError, match=r"S.*NaN"):
            method(*data)


def test_codes_of_another_size():
    est, S = fitted(), np.full((30, P - 1), -1)
    refused(est.inverse_transform, S, words=("S", P - 1, P))
    refused(est.rate, S, words=("S", P - 1, P))
    refused(est.distortion, FEW, S, words=("S", P - 1, P))
    for shape in (SHAPE[::-1], (4, 6)):
        others = np.full((30, *shape), -1)
        assert est.inverse_transform(others).shape == others.shape
        refused(est.distortion, FEW, others, words=("S", "X", "shapes"))
    with pytest.raises(ValueError, match=says(29, 30)):
        est.distortion(FEW, np.full((29, P), -1))
    with pytest.raises(ValueError, match="2D"):
        est.inverse_transform(np.full(P, -1))


def test_images_of_objects_are_numbers():
    maps = specks(0, 3)
    images = images_of(maps).reshape(3, 4, 5, 2)
    streams = seeing().encode(maps, images.astype(object), lossless=True)
    assert streams == seeing().encode(maps, images, lossless=True)
    with pytest.raises(ValueError, match="images has text"):
        seeing().encode(maps, images.astype(str))
    with pytest.raises(ValueError, match="images has complex"):
        seeing().encode(maps, images + 1j)
    with pytest.raises(ValueError, match=r"images=\[\] and there are 3 maps"):
        seeing().encode(maps, [])


def test_another_image_is_named():
    maps = specks(0, 6)
    images = images_of(maps)
    streams = seeing().encode(maps, images, lossless=True)
    with pytest.raises(ValueError, match="its image is not that of `encode`"):
        seeing().decode(streams, images[::-1])
