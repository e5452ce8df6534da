"""The bodies that come with the package."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from tests.autoencoder.models import bits, frozen, standard_normal

from .helpers import X, assert_same_fit, fit, weights


def weight_shapes(network):
    return [tuple(p.shape) for p in network.parameters() if p.ndim == 2]


@pytest.mark.parametrize("sizes", [(), (7,), (7, 3), [7, 3]])
def test_the_decoder_mirrors_the_encoder(sizes):
    est = fit(hidden_layer_sizes=sizes, latent_dim=2)
    module = est.net_.module_
    encoder, decoder = module.encoder, module.decoder
    if sizes:  # with a linear map beside each, where the training starts
        assert weight_shapes(encoder.linear) == [(4, 4)]
        assert weight_shapes(decoder.linear) == [(4, 2)]
        encoder, decoder = encoder.network, decoder.network
    widths = [4, *sizes]
    down = [(b, a) for a, b in zip(widths, [*sizes, 4], strict=True)]
    assert weight_shapes(encoder) == down
    widths = [2, *reversed(sizes)]
    up = [(b, a) for a, b in zip(widths, [*reversed(sizes), 4], strict=True)]
    assert weight_shapes(decoder) == up


@pytest.mark.parametrize(
    "params, width",
    [
        ({"latent_dim": 3}, 6),
        ({"latent_dim": 3, "posterior": "full"}, 9),
        ({"latent_dim": 1, "posterior": "full"}, 2),
    ],
)
def test_the_width_of_the_encoder(params, width):
    est = fit(**params)
    assert weight_shapes(est.net_.module_.encoder)[-1][0] == width


def test_the_width_of_the_decoder():
    est = fit(noise="heteroscedastic")
    assert weight_shapes(est.net_.module_.decoder)[-1][0] == 8


def test_gaps_double_the_width_of_the_input():
    gaps = X.copy()
    gaps[::4, 0] = np.nan
    est = fit(gaps)
    assert weight_shapes(est.net_.module_.encoder)[0][1] == 8


def test_activations_differ():
    results = [weights(fit(activation=a)) for a in ("relu", "tanh", "silu", "elu")]
    for i, one in enumerate(results):
        assert not any(np.array_equal(one, other) for other in results[:i])


def test_activations_are_what_they_are_called():
    """tanh is bounded, so a far row's latent does not run away; relu's does."""
    far = 1e6 * torch.ones(1, 4)
    bounded, unbounded = (
        fit(activation=name).net_.module_.encoder.network(far).abs().max()
        for name in ("tanh", "relu")
    )
    assert bounded < 100 < unbounded


def test_the_start_is_sensible():
    """Untrained, the scales neither vanish nor explode with width and depth."""
    data = standard_normal(200, 20)
    for sizes in ((), (10,), (300,), (100, 100, 100)):
        est = frozen(data, hidden_layer_sizes=sizes, noise=1.0)
        latent = est.transform(data).std()
        assert 0.01 < latent < 5
        assert est.score(data) > -20 * 10


def test_the_start_depends_on_the_seed_alone():
    """Where there is no linear model to start at."""
    params = {"hidden_layer_sizes": (8,), "likelihood": "bernoulli"}
    one, two = (frozen(bits(n), **params) for n in (30, 60))
    Z = bits(10, seed=1)
    assert_allclose(one.transform(Z), two.transform(Z), rtol=1e-6)


def test_tuples_and_lists_are_the_same():
    assert_same_fit(fit(hidden_layer_sizes=[5, 3]), fit(hidden_layer_sizes=(5, 3)))
