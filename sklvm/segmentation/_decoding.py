"""The networks of a fitted model on maps, as many at a time as are of one size."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.utils import gen_batches
from tqdm import tqdm

from sklvm.neural._device import inference
from sklvm.neural._side_by_side import side_by_side
from sklvm.segmentation._model import SegmentationModel
from sklvm.segmentation._networks import seed_planes

# Small maps are decoded together, at most so many of them and so many pixels.
BLOCK_MAPS, BLOCK_PIXELS = 32, 8192


@dataclass
class FittedNetworks:
    """What the networks make of blocks of maps.

    All blocks are of one size, and a short one is filled, so that what is computed of a
    map does not depend on how many there are: sums in another order would round
    differently.
    """

    module: SegmentationModel
    device: torch.device

    def _block_size(self):
        n_pixels = self.module.image_shape[0] * self.module.image_shape[1]
        return max(1, min(BLOCK_MAPS, BLOCK_PIXELS // n_pixels))

    def over_blocks(self, function, n, bar=None):
        """The results of `function(rows)` for the blocks of n maps, in a list."""
        blocks = list(gen_batches(n, self._block_size()))
        if self.device.type == "cpu":
            return side_by_side(function, blocks, bar)
        return [function(rows) for rows in tqdm(blocks, desc=bar, disable=bar is None)]

    def decoded(self, codes, images):
        """Dense maps (n, H, W) of codes (n, H, W)."""
        return self._in_blocks(self.decoded_block, codes, images)

    def decoded_block(self, codes, images):
        """Those of at most so many codes as are in a block."""
        return self._filled(self._decoded, codes, images)

    def seed_logits(self, labels, images, weights):
        """ln p / (1 - p) of a seed at every pixel of maps (n, H, W), weights (n,)."""

        def block(*parts):
            return self._filled(self._seed_logits, *parts)

        return self._in_blocks(block, labels, images, weights)

    def _in_blocks(self, function, *arrays):
        def of_rows(rows):
            return function(*(None if a is None else a[rows] for a in arrays))

        return np.concatenate(self.over_blocks(of_rows, len(arrays[0])))

    def _filled(self, function, *arrays):
        n = len(arrays[0])
        short = self._block_size() - n
        if short:
            arrays = [
                None if a is None else np.concatenate([a, np.repeat(a[:1], short, 0)])
                for a in arrays
            ]
        return function(*arrays)[:n]

    def _decoded(self, codes, images):
        planes = torch.from_numpy(seed_planes(codes, self.module.n_classes))
        with inference():
            logits = self.module.class_logits(
                planes.to(self.device), self._placed(images)
            )
        labels = logits.argmax(dim=1).cpu().numpy().astype(np.int32)
        return np.where(codes >= 0, codes, labels)

    def _seed_logits(self, labels, images, weights):
        parts = self._placed(labels), self._placed(images)
        with inference():
            weights = self._placed(weights, torch.float32)
            return self.module.seed_logits(*parts, weights).cpu().numpy()

    def _placed(self, array, dtype=None):
        if array is None:
            return None
        array = np.ascontiguousarray(array)
        return torch.as_tensor(array, dtype=dtype, device=self.device)


def decoder(networks, images, blank):
    """What `run` calls for a block of maps: of codes of numbers of maps, their maps.

    Without images all blank codes decode to one map, `blank`.
    """

    def decode(numbers, codes):
        codes = np.stack(codes)
        if images is not None:
            return networks.decoded_block(codes, images[numbers])
        decoded = np.repeat(blank, len(codes), axis=0)
        seeded = (codes >= 0).any(axis=(1, 2))
        if seeded.any():
            decoded[seeded] = networks.decoded_block(codes[seeded], None)
        return decoded

    return decode
