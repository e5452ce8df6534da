"""What an image says beside the labels around a pixel: small integers."""

import numpy as np

from sklvm.state._classes import stateful

# Names of what is said: how far the colour is from the neighbours', and which it is.
DIFFERENCES = {"dW": (0, -1), "dN": (-1, 0), "dNW": (-1, -1), "dNE": (-1, 1)}
NAMES = (*DIFFERENCES, "tone")
# Shares of pixels whose differences are smaller, and below whose values a tone ends.
STEEPNESS = (0.4, 0.65, 0.82, 0.93)
TONES = (0.2, 0.4, 0.6, 0.8)
MOST_CHANNELS = 4
LEVELS = 255


@stateful
class Tones:
    """Images (H, W, C) to numbers (H W, 5).

    Values are put on 256 levels by products of one rounding each, which is the same on
    every machine; what follows is done in integers.
    """

    def fit(self, images):
        channels = np.concatenate([i.reshape(-1, i.shape[-1]) for i in images])
        self.lowest = channels.min(axis=0).astype(np.float64)
        width = channels.max(axis=0) - self.lowest
        self.scale = LEVELS / np.where(width > 0, width, 1.0)
        levels = [self._levels(image) for image in images]
        values = np.concatenate(
            [level.reshape(-1, level.shape[-1]) for level in levels]
        )
        self.tones = np.quantile(values, TONES, axis=0, method="nearest").T
        differences = np.concatenate([self._differences(level) for level in levels])
        self.steepness = np.quantile(differences, STEEPNESS, method="nearest")
        return self

    def range(self):
        """The least and the largest value of all channels in the fit."""
        highest = self.lowest + LEVELS / self.scale
        return float(self.lowest.min()), float(highest.max())

    def _levels(self, image):
        image = image[..., :MOST_CHANNELS].astype(np.float64)
        n = image.shape[-1]
        levels = np.floor((image - self.lowest[:n]) * self.scale[:n])
        return levels.clip(0, LEVELS).astype(np.int64)

    def _differences(self, levels):
        """From the neighbours' colours, summed over channels (H W, 4)."""
        height, width = levels.shape[:2]
        around = np.pad(levels, ((1, 1), (1, 1), (0, 0)), mode="edge")
        out = []
        for down, right in DIFFERENCES.values():
            other = around[1 + down :, 1 + right :][:height, :width]
            out.append(np.abs(levels - other).sum(axis=-1).ravel())
        return np.stack(out, axis=1)

    def __call__(self, image):
        levels = self._levels(image)
        steps = np.searchsorted(self.steepness, self._differences(levels), side="left")
        tone = np.zeros(len(steps), dtype=np.int64)
        for channel, bounds in zip(
            levels.reshape(len(steps), -1).T, self.tones, strict=False
        ):
            tone = tone * (len(bounds) + 1) + np.searchsorted(bounds, channel)
        return np.column_stack([steps, tone])
