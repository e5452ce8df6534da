"""Networks: multilayer perceptrons and convolutional bodies.

Every network is built from the widths of its input and output and draws its first
weights from the generator it is given, never from torch's global one.
"""

import math
from itertools import pairwise
from numbers import Integral

import torch
from sklearn.base import BaseEstimator
from torch import nn
from torch.nn import functional

from sklvm.state._classes import stateful

ACTIVATIONS = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
}


def initialised(layer, *args, generator, **kwargs):
    """A layer with the weights of Glorot and Bengio (2010) and zero biases."""
    layer = nn.utils.skip_init(layer, *args, dtype=torch.float32, **kwargs)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def mlp(n_inputs, hidden_layer_sizes, n_outputs, activation, generator):
    """Multilayer perceptron; without hidden layers it is one linear map."""
    layers = []
    widths = [n_inputs, *hidden_layer_sizes]
    for n_in, n_out in pairwise(widths):
        layers.append(initialised(nn.Linear, n_in, n_out, generator=generator))
        layers.append(ACTIVATIONS[activation]())
    head = initialised(nn.Linear, widths[-1], n_outputs, generator=generator)
    return nn.Sequential(*layers, head)


@stateful
class Standardise(nn.Module):
    """(x - center) / scale, of the first numbers of a row; the others as they are."""

    def __init__(self, center, scale, n_inputs):
        super().__init__()
        n_others = n_inputs - len(center)
        self.register_buffer("center", functional.pad(center, (0, n_others)))
        self.register_buffer("scale", functional.pad(scale, (0, n_others), value=1.0))

    def forward(self, x):
        return (x - self.center) / self.scale


def run_blank_rows(network, n_inputs):
    """What a network makes of two rows of zeros, without a trace."""
    like = next(network.parameters(), torch.zeros((), dtype=torch.float32))
    rows = torch.zeros(2, n_inputs, dtype=torch.float32, device=like.device)
    mode = network.training
    try:
        with torch.no_grad():
            return network.eval()(rows)
    finally:
        network.train(mode)


def widest_layer(network, n_inputs):
    """Most numbers that a layer holds for one row."""
    sizes = [n_inputs]

    def record(module, inputs, output):
        if isinstance(output, torch.Tensor):
            sizes.append(output.numel() // 2)

    hooks = [module.register_forward_hook(record) for module in network.modules()]
    try:
        run_blank_rows(network, n_inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return max(sizes)


def _are_sizes(value):
    return (
        isinstance(value, tuple | list)
        and len(value) > 0
        and all(isinstance(size, Integral) and size > 0 for size in value)
    )


class _ConvBody(BaseEstimator):
    """What the two convolutional bodies share: the sizes of the maps."""

    def _check(self):
        """The (channels, height, width) of an image, both parameters checked."""
        shape = self.image_shape
        if not _are_sizes(shape) or len(shape) not in (2, 3):
            raise ValueError(
                f"image_shape={shape!r} must be (height, width) or (channels, height, "
                "width), all positive integers."
            )
        if not _are_sizes(self.channels):
            raise ValueError(
                f"channels={self.channels!r} must be a tuple of positive integers, one "
                "for each layer."
            )
        return tuple(shape) if len(shape) == 3 else (1, *shape)

    def _n_maps(self, width, what):
        """Maps that rows of `width` entries hold, all of an image's channels."""
        channels, height, columns = self._check()
        n_images, left = divmod(width, channels * height * columns)
        if left or n_images == 0:
            raise ValueError(
                f"image_shape={self.image_shape!r} does not fit {what} of width "
                f"{width}; the width must be a multiple of "
                f"{channels * height * columns}."
            )
        return n_images * channels

    def _sizes(self):
        """Heights and widths from the image down, halved by each layer."""
        _, height, width = self._check()
        sizes = [(height, width)]
        for _ in self.channels:
            height, width = math.ceil(height / 2), math.ceil(width / 2)
            sizes.append((height, width))
        return sizes


@stateful
class ConvEncoder(_ConvBody):
    """Convolutional encoder of images, for `encoder=`.

    Each layer convolves with 3 x 3 filters and stride 2, so that it halves the image;
    a linear map of the last layer gives the parameters of the posterior.

    Parameters
    ----------
    image_shape : tuple
        (height, width) or (channels, height, width); a row of X is the flattened image.
    channels : tuple of int, default=(32, 64)
        Number of filters of each layer.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklvm import VAE
    >>> from sklvm.neural import ConvDecoder, ConvEncoder
    >>> X = load_digits().data / 16
    >>> vae = VAE(2, encoder=ConvEncoder((8, 8)), decoder=ConvDecoder((8, 8)),
    ...           max_epochs=3, tol=100, random_state=0).fit(X)
    >>> vae.transform(X).shape
    (1797, 2)
    """

    def __init__(self, image_shape, channels=(32, 64)):
        self.image_shape = image_shape
        self.channels = channels

    def build(self, n_inputs, n_outputs, activation, generator):
        """The network from rows of width `n_inputs` to rows of width `n_outputs`."""
        (height, width), *_, (last_height, last_width) = self._sizes()
        n_maps = self._n_maps(n_inputs, "rows")
        layers = [nn.Unflatten(-1, (n_maps, height, width))]
        for n_in, n_out in pairwise([n_maps, *self.channels]):
            layers.append(
                initialised(
                    nn.Conv2d, n_in, n_out, 3, 2, padding=1, generator=generator
                )
            )
            layers.append(ACTIVATIONS[activation]())
        n_flat = layers[-2].out_channels * last_height * last_width
        head = initialised(nn.Linear, n_flat, n_outputs, generator=generator)
        return nn.Sequential(*layers, nn.Flatten(-3), head)


@stateful
class ConvDecoder(_ConvBody):
    """Convolutional decoder of images, for `decoder=`; `ConvEncoder` run backwards.

    Parameters
    ----------
    image_shape : tuple
        (height, width) or (channels, height, width); a row of X is the flattened image.
    channels : tuple of int, default=(64, 32)
        Number of filters of each layer, from the latent to the image.

    Examples
    --------
    See `ConvEncoder`.
    """

    def __init__(self, image_shape, channels=(64, 32)):
        self.image_shape = image_shape
        self.channels = channels

    def build(self, n_inputs, n_outputs, activation, generator):
        """The network from rows of width `n_inputs` to rows of width `n_outputs`."""
        sizes = self._sizes()[::-1]
        first = (self.channels[0], *sizes[0])
        n_maps = self._n_maps(n_outputs, "the likelihood's parameters")
        layers = [
            initialised(nn.Linear, n_inputs, math.prod(first), generator=generator),
            nn.Unflatten(-1, first),
        ]
        channels = pairwise([*self.channels, n_maps])
        for (n_in, n_out), small, large in zip(
            channels, sizes[:-1], sizes[1:], strict=True
        ):
            layers.append(ACTIVATIONS[activation]())
            layers.append(
                initialised(
                    nn.ConvTranspose2d,
                    n_in,
                    n_out,
                    3,
                    2,
                    padding=1,
                    # A size that was odd is restored.
                    output_padding=tuple(
                        b - 2 * a + 1 for a, b in zip(small, large, strict=True)
                    ),
                    generator=generator,
                )
            )
        return nn.Sequential(*layers, nn.Flatten(-3))
