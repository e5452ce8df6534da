"""Encoder and decoder of label maps: U-Nets, and the planes that they see."""

from itertools import pairwise

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import nn
from torch.nn import functional

from sklvm.neural._networks import ACTIVATIONS, initialised
from sklvm.neural._side_by_side import side_by_side
from sklvm.state._classes import stateful

# Pixels over which the distance plane falls by a factor of e.
REACH = 8.0


def activation_layer(name):
    """In place where the gradient takes no more than what comes out."""
    return nn.ReLU(inplace=True) if name == "relu" else ACTIVATIONS[name]()


@stateful
class _Block(nn.Module):
    """Two 3 x 3 convolutions beside the identity."""

    def __init__(self, width, activation, generator):
        super().__init__()
        conv = {"kernel_size": 3, "padding": 1, "generator": generator}
        self.body = nn.Sequential(
            initialised(nn.Conv2d, width, width, **conv),
            activation_layer(activation),
            initialised(nn.Conv2d, width, width, **conv),
        )
        self.activation = activation_layer(activation)

    def forward(self, maps):
        return self.activation(maps + self.body(maps))


@stateful
class LabelUNet(nn.Module):
    """Maps (n, n_in, H, W) to maps (n, n_out, H, W), each pixel from the whole map.

    Works at half the resolution and below, each level at half that of the one before,
    and adds the levels up again on the way back; the last layer gives 2 x 2 pixels.
    """

    def __init__(self, n_in, n_out, channels, activation, generator):
        super().__init__()
        g = {"generator": generator}
        levels = range(len(channels))
        steps = list(pairwise(channels))
        block = (activation, generator)
        self.stem = initialised(nn.Conv2d, n_in, channels[0], 4, 2, padding=1, **g)
        self.down = nn.ModuleList(_Block(channels[i], *block) for i in levels)
        self.halve = nn.ModuleList(
            initialised(nn.Conv2d, wide, deep, 2, 2, **g) for wide, deep in steps
        )
        self.widen = nn.ModuleList(
            initialised(nn.Conv2d, deep, wide, 1, **g) for wide, deep in steps
        )
        self.up = nn.ModuleList(_Block(wide, *block) for wide, _ in steps)
        self.head = initialised(nn.Conv2d, channels[0], 4 * n_out, 1, **g)
        self.activation = activation_layer(activation)
        self.multiple = 2 ** len(channels)
        self.to(memory_format=torch.channels_last)

    def forward(self, planes):
        n, n_in, height, width = planes.shape
        padded = [-(-side // self.multiple) * self.multiple for side in (height, width)]
        # Channels last, as the convolutions are quickest.
        maps = planes.new_zeros((n, *padded, n_in)).movedim(-1, 1)
        maps[..., :height, :width] = planes
        maps = self.activation(self.stem(maps))
        kept = []
        for i, block in enumerate(self.down):
            maps = block(maps)
            if i < len(self.halve):
                kept.append(maps)
                maps = self.activation(self.halve[i](maps))
        for widen, block in zip(self.widen[::-1], self.up[::-1], strict=True):
            maps = functional.interpolate(widen(maps), scale_factor=2) + kept.pop()
            maps = block(maps)
        maps = functional.pixel_shuffle(self.head(maps), 2)
        return maps[..., :height, :width]


def fitting_channels(channels, image_shape):
    """The levels that a map is large enough for: the deepest has 2 pixels or more."""
    n_levels = max(1, int(np.log2(max(image_shape))) - 1)
    return tuple(channels)[:n_levels]


def one_hot(labels, n_classes):
    """Class planes (n, k, H, W) of maps (n, H, W); a blank, -1, is 0 in all."""
    return (labels[:, None] == np.arange(n_classes)[:, None, None]).astype(np.float32)


def place_planes(image_shape):
    """Where a pixel is, from -1/2 to 1/2 down and across: (2, H, W)."""
    sides = [(np.arange(n) + 0.5) / n - 0.5 for n in image_shape]
    return np.stack(np.meshgrid(*sides, indexing="ij")).astype(np.float32)


def seed_planes(codes, n_classes):
    """What a decoder sees of codes (n, H, W): (n, 2 k + 4, H, W), channels last.

    Seeds by class, the mask, the class of the nearest seed, the nearness of it, place.
    The last four make the reach of each seed global from the first layer on.
    """
    planes = np.zeros((*codes.shape, 2 * n_classes + 4), dtype=np.float32)
    seeded = np.nonzero(codes >= 0)
    planes[(*seeded, codes[seeded])] = 1
    planes[(*seeded, n_classes)] = 1
    planes[..., -2:] = np.moveaxis(place_planes(codes.shape[1:]), 0, -1)
    classes = np.eye(n_classes, dtype=np.float32)

    def fill(code, plane):
        distance, nearest = distance_transform_edt(code < 0, return_indices=True)
        plane[..., n_classes + 1 : -3] = classes[code[tuple(nearest)]]
        plane[..., -3] = np.exp(-distance / REACH)

    pairs = zip(codes, planes, strict=True)
    seeded = [pair for pair in pairs if (pair[0] >= 0).any()]
    side_by_side(lambda pair: fill(*pair), seeded)
    return np.moveaxis(planes, -1, 1)


def n_seed_planes(n_classes):
    return 2 * n_classes + 4
