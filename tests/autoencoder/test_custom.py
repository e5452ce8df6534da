"""Networks of the user's own, and the convolutional bodies."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from torch import nn

from sklvm import VAE
from sklvm.neural import ConvDecoder, ConvEncoder

from .models import frozen, linear, quietly, random_linear, standard_normal

X = standard_normal(40)
DIGITS = load_digits().data[:200] / 16


class Tanh(nn.Module):
    """A body written by a user, with the random start that torch gives it."""

    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_inputs, 8), nn.Tanh(), nn.Linear(8, n_outputs)
        )

    def forward(self, x):
        return self.layers(x)


def test_modules_are_used_and_not_changed():
    encoder, decoder = Tanh(4, 4), Tanh(2, 4)
    before = {name: p.clone() for name, p in encoder.state_dict().items()}
    est = VAE(2, encoder=encoder, decoder=decoder, max_epochs=3, random_state=0)
    quietly(est.fit, X)
    assert est.encoder is encoder
    for name, value in encoder.state_dict().items():
        assert_array_equal(value, before[name])
    trained = est.net_.module_.encoder.state_dict()
    moved = [
        not torch.equal(trained_p, before_p)
        for trained_p, before_p in zip(trained.values(), before.values(), strict=True)
    ]
    assert all(moved)
    again = quietly(clone(est).fit, X)
    assert_array_equal(again.transform(X), est.transform(X))


@pytest.mark.parametrize("which", ["encoder", "decoder"])
def test_one_module_and_one_default(which):
    module = {"encoder": Tanh(4, 4), "decoder": Tanh(2, 4)}[which]
    est = quietly(VAE(2, **{which: module}, max_epochs=2, random_state=0).fit, X)
    assert np.isfinite(est.score(X))


def one_sentence(error):
    text = str(error.value)
    return ". " not in text.rstrip(".") and "\n" not in text


@pytest.mark.parametrize(
    "params, name, given, wanted",
    [
        ({"encoder": Tanh(4, 5)}, "encoder", 5, 4),
        ({"encoder": Tanh(4, 4), "posterior": "full"}, "encoder", 4, 5),
        ({"decoder": Tanh(2, 3)}, "decoder", 3, 4),
        ({"decoder": Tanh(2, 4), "noise": "heteroscedastic"}, "decoder", 4, 8),
    ],
)
def test_a_wrong_output_width_is_one_sentence(params, name, given, wanted):
    with pytest.raises(
        ValueError, match=rf"(?s)(?=.*{name})(?=.*\b{wanted}\b)"
    ) as error:
        VAE(2, **params).fit(X)
    assert one_sentence(error)
    assert str(given) in str(error.value)


@pytest.mark.parametrize(
    "params, name",
    [({"encoder": Tanh(3, 4)}, "encoder"), ({"decoder": Tanh(3, 4)}, "decoder")],
)
def test_a_wrong_input_width_names_the_network(params, name):
    with pytest.raises((ValueError, RuntimeError), match=name):
        VAE(2, **params).fit(X)


@pytest.mark.parametrize("which", ["encoder", "decoder"])
def test_something_that_is_no_module(which):
    with pytest.raises((ValueError, TypeError), match=which):
        VAE(**{which: "mlp"}).fit(X)


def test_the_encoder_sees_the_mask_when_there_are_gaps():
    gaps = X.copy()
    gaps[::2, 1] = np.nan
    seen = []

    class Looking(nn.Module):
        def __init__(self):
            super().__init__()
            self.affine = linear(np.zeros((4, 8)), np.zeros(4))

        def forward(self, inputs):
            seen.append(inputs.detach().clone())
            return self.affine(inputs)

    est = VAE(2, encoder=Looking(), max_epochs=1, random_state=0)
    quietly(est.fit, gaps)
    est.transform(gaps)
    values, mask = seen[-1].chunk(2, -1)
    assert_array_equal(mask, ~np.isnan(gaps))
    assert_allclose(values, np.nan_to_num(gaps), rtol=1e-6)


def test_a_module_with_dropout_is_deterministic_after_the_fit():
    encoder = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 4))
    est = quietly(VAE(2, encoder=encoder, max_epochs=2, random_state=0).fit, X)
    assert_array_equal(est.transform(X), est.transform(X))


def test_linear_networks_without_hidden_layers():
    est = frozen(X, hidden_layer_sizes=())
    middle = est.transform(0.5 * (X[:10] + X[10:20]))
    ends = est.transform(X[:20])
    assert_allclose(middle, 0.5 * (ends[:10] + ends[10:]), atol=1e-5)
    means = est.inverse_transform(ends)
    assert_allclose(
        est.inverse_transform(middle), 0.5 * (means[:10] + means[10:]), atol=1e-5
    )


def test_a_predictor_on_top_of_modules_survives_a_copy():
    encoder, decoder = random_linear()
    est = frozen(X, encoder, decoder)
    other = frozen(X, clone(est).encoder, clone(est).decoder)
    assert_array_equal(other.transform(X), est.transform(X))


# Convolutions.


def conv(image_shape, X, **params):
    params = {
        "encoder": ConvEncoder(image_shape, channels=(4, 8)),
        "decoder": ConvDecoder(image_shape, channels=(8, 4)),
        "max_epochs": 2,
        "random_state": 0,
    } | params
    return quietly(VAE(2, **params).fit, X)


@pytest.mark.parametrize(
    "image_shape", [(8, 8), (1, 8, 8), (4, 16), (16, 4), (4, 4, 4), (2, 4, 8)]
)
def test_images_of_any_shape(image_shape):
    est = conv(image_shape, DIGITS)
    assert est.transform(DIGITS).shape == (200, 2)
    assert est.reconstruct(DIGITS).shape == DIGITS.shape
    assert est.sample(3)[0].shape == (3, 64)
    assert np.isfinite(est.log_likelihood(DIGITS[:5], 20)).all()


@pytest.mark.parametrize("image_shape", [(7, 5), (3, 7, 5), (28, 28), (6, 10)])
def test_sides_that_are_no_powers_of_two(image_shape):
    data = standard_normal(20, int(np.prod(image_shape)))
    assert conv(image_shape, data, max_epochs=1).reconstruct(data).shape == data.shape


def test_one_channel_may_be_left_out():
    one, two = conv((8, 8), DIGITS), conv((1, 8, 8), DIGITS)
    assert_array_equal(one.transform(DIGITS), two.transform(DIGITS))


def test_rows_are_images_line_by_line():
    """A pixel's effect on the decoder is local: neighbours move together."""
    image = np.zeros((2, 8, 8))
    image[0, 0, 0] = image[1, 7, 7] = 1.0
    est = conv((8, 8), DIGITS)
    body = est.net_.module_.encoder
    first = next(m for m in body.modules() if isinstance(m, nn.Conv2d))
    seen = []
    first.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    est.transform(image.reshape(2, 64))
    assert_allclose(seen[0].squeeze(1).cpu(), image, atol=1e-6)


def test_convolutions_learn_as_well_as_an_mlp():
    params = {"max_epochs": 30, "lr": 0.005}
    trained = conv((8, 8), DIGITS, **params).score(DIGITS)
    assert trained > conv((8, 8), DIGITS, max_epochs=1).score(DIGITS) + 5


@pytest.mark.parametrize("network", [ConvEncoder, ConvDecoder])
def test_convolutional_bodies_are_scikit_learn_objects(network):
    body = network((8, 8))
    assert set(body.get_params()) == {"image_shape", "channels"}
    assert clone(body).get_params() == body.get_params()
    other = clone(body).set_params(channels=(2, 3))
    assert other.channels == (2, 3)
    assert body.channels != (2, 3)


def test_channels_are_tuned_by_grid_search():
    est = VAE(2, encoder=ConvEncoder((8, 8)), max_epochs=1, random_state=0)
    grid = {"encoder__channels": [(2,), (2, 4, 8)], "latent_dim": [1, 2]}
    search = quietly(GridSearchCV(est, grid, cv=2).fit, DIGITS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.encoder.channels in grid["encoder__channels"]


@pytest.mark.slow
@pytest.mark.parametrize("which", ["encoder", "decoder"])
def test_a_shape_that_does_not_match_the_rows(which):
    network = {"encoder": ConvEncoder, "decoder": ConvDecoder}[which]((8, 9))
    with pytest.raises(ValueError, match=r"(?s)(?=.*image_shape)(?=.*64)") as error:
        VAE(**{which: network}).fit(DIGITS)
    assert one_sentence(error)


def test_images_with_gaps():
    """The mask is a further image: the encoder's channels double."""
    gaps = DIGITS.copy()
    gaps[:, 20:24] = np.nan
    gaps[:50] = DIGITS[:50]
    est = conv((8, 8), gaps)
    assert est.impute(gaps[:60], 50).shape == (60, 64)


def test_heteroscedastic_images_and_full_posteriors():
    est = conv((8, 8), DIGITS, noise="heteroscedastic", posterior="full")
    assert np.isfinite(est.score(DIGITS))


def test_layers_that_need_two_rows():
    encoder = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4))
    est = VAE(2, encoder=encoder, batch_size=1, max_epochs=1, random_state=0)
    with pytest.raises(ValueError, match=r"BatchNorm.*batch_size=1, or give more rows"):
        est.fit(np.random.default_rng(0).normal(size=(8, 6)))
    est.set_params(batch_size=4)  # 9 rows are batches of 3, none of 1
    quietly(est.fit, np.random.default_rng(0).normal(size=(9, 6)))
