"""Images made others for the training of the decoder: few are soon memorised."""

import numpy as np
import torch

# Deviation of the light of images in training, where images are of order one.
VARIATION = 0.15
# Patches of other images in an image in training, and their sides as shares of its own.
MOST_PATCHES, PATCH_SIDES = 3, (0.2, 0.7)


def augmented(images, image_shape, generator, rng):
    """Flat images (n, H W C) in other light and with grain, and with patches."""
    pixels = images.unflatten(-1, (image_shape[0] * image_shape[1], -1))
    n, _, n_channels = pixels.shape
    noise = {"generator": generator, "device": images.device, "dtype": images.dtype}
    gain = 1 + VARIATION * torch.randn((n, 1, n_channels), **noise)
    light = VARIATION * torch.randn((n, 1, n_channels), **noise)
    grain = VARIATION / 2 * torch.randn(pixels.shape, **noise)
    varied = (gain * pixels + light + grain).unflatten(1, image_shape).movedim(-1, 1)
    return _patched(varied, rng).movedim(1, -1).flatten(1)


def _patched(planes, rng):
    """Planes (n, C, H, W) of images with patches of the next one in the batch.

    What a decoder thinks of an image that it has not seen is wrong in places, where it
    has to believe the seeds; of those it was trained on it knows too much.
    """
    sides = np.array(planes.shape[-2:])
    patched = np.zeros((len(planes), *sides), dtype=bool)
    for mask in patched:
        for _ in range(rng.integers(MOST_PATCHES + 1)):
            size = (sides * rng.uniform(*PATCH_SIDES, size=2)).astype(int)
            top, left = rng.integers(sides - size + 1)
            mask[top : top + size[0], left : left + size[1]] = True
    mask = torch.from_numpy(patched).to(planes.device)[:, None]
    return torch.where(mask, planes.roll(1, 0), planes)


def mirrored_planes(planes, flips):
    """Those of the planes (n, ., H, W) that `flips` names from right to left."""
    if not flips.any():
        return planes
    return torch.where(flips[:, None, None, None], planes.flip(-1), planes)
