"""Encoder and decoder of label maps as one torch module, and the losses of both."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sklvm.segmentation._gradients import N_DRAWS, surrogate
from sklvm.segmentation._networks import (
    LabelUNet,
    n_seed_planes,
    one_hot,
    place_planes,
    seed_planes,
)
from sklvm.segmentation._rehearsal import WEIGHT_RANGE, random_code

# Seeds that the untrained encoder expects in a map.
FIRST_GUESS = 8.0


class SegmentationModel(nn.Module):
    """y given (x, sparse y), and the probabilities of seeds given (x, y).

    A batch is rows of P classes and the number of the row, with images or None beside.

    Parameters
    ----------
    n_classes, image_shape, n_image_channels, void_class : as of the estimator
    channels, activation : as of the estimator
    generator : torch.Generator, for the first weights
    """

    def __init__(
        self, n_classes, image_shape, n_image_channels, void_class, channels,
        activation, generator
    ):  # fmt: skip
        super().__init__()
        self.n_classes = n_classes
        self.image_shape = image_shape
        self.n_image_channels = n_image_channels
        self.void_class = void_class
        n_decoder = n_seed_planes(n_classes) + n_image_channels
        n_encoder = n_classes + 3 + n_image_channels
        shape = channels, activation, generator
        self.decoder = LabelUNet(n_decoder, n_classes, *shape)
        self.encoder = LabelUNet(n_encoder, 1, *shape)
        n_pixels = image_shape[0] * image_shape[1]
        with torch.no_grad():
            self.encoder.head.weight.mul_(0.1)
            self.encoder.head.bias.fill_(np.log(min(0.5, FIRST_GUESS / n_pixels)))
        self.stage = "decoder"

    def configure(self, gradient, weight):
        self.gradient = gradient
        self.weight = weight

    def train_part(self, stage):
        """Train the decoder or the encoder; the other one stays as it is."""
        self.stage = stage
        self.decoder.requires_grad_(stage == "decoder")
        self.encoder.requires_grad_(stage == "encoder")

    # What the fitted estimator asks for -----------------------------------------------

    def class_logits(self, planes, images):
        """Of every class at every pixel; void is never decoded."""
        if images is not None:
            planes = torch.cat([planes, self._image_planes(images)], dim=1)
        logits = self.decoder(planes)
        if self.void_class is not None:
            never = torch.zeros(self.n_classes, device=logits.device)
            never[self.void_class] = torch.inf
            logits = logits - never[:, None, None]
        return logits

    def seed_logits(self, labels, images, weight):
        """ln p / (1 - p) of a seed at every pixel of maps (n, H, W), weights (n,)."""
        shape = (len(labels), -1, *self.image_shape)
        device = weight.device
        planes = [
            torch.from_numpy(one_hot(labels.cpu().numpy(), self.n_classes)).to(device),
            torch.from_numpy(place_planes(self.image_shape)).to(device).expand(shape),
            (weight.log() - np.log(self.reference_weight))[:, None, None, None]
            .div(np.log(WEIGHT_RANGE))
            .expand(len(labels), 1, *self.image_shape),
        ]
        if images is not None:
            planes.append(self._image_planes(images))
        return self.encoder(torch.cat(planes, dim=1).float())[:, 0]

    def _image_planes(self, images):
        return images.unflatten(-1, (*self.image_shape, -1)).movedim(-1, 1)

    def counted(self, labels):
        """Where an error counts."""
        if self.void_class is None:
            return torch.ones_like(labels, dtype=torch.bool)
        return labels != self.void_class

    # Training -------------------------------------------------------------------------

    def draw(self, X, images, generator):
        """Codes for the decoder, or noise for the encoder."""
        labels = X[:, :-1].unflatten(-1, self.image_shape)
        seed = torch.randint(2**31, (1,), generator=generator, device=X.device).item()
        rng = np.random.default_rng(seed)
        if self.stage == "encoder":
            shape = (N_DRAWS[self.gradient], *labels.shape)
            noise = torch.rand(shape, generator=generator, device=X.device)
            factor = WEIGHT_RANGE ** rng.uniform(-1, 1, size=len(X))
            weight = torch.as_tensor(self.weight * factor, dtype=torch.float32)
            return labels, images, (noise.clamp_min(1e-6), weight.to(X.device))
        if self.training:
            codes, searched = self.rehearsal.draw(X[:, -1].tolist(), rng)
        else:
            maps, counted = labels.cpu().numpy(), self.counted(labels).cpu().numpy()
            codes = [
                random_code(*pair, rng) for pair in zip(maps, counted, strict=True)
            ]
            codes, searched = np.stack(codes), np.zeros(len(X), dtype=bool)
        return labels, images, (codes, X[:, -1].cpu().numpy(), searched, rng)

    def forward(self, labels, images, drawn, warmup):
        if self.stage == "encoder":
            return self._encoder_loss(labels, images, *drawn, warmup)
        return self._decoder_loss(labels, images, *drawn)

    def _decoder_loss(self, labels, images, codes, rows, searched, rng):
        """-ln p(y given x, sparse y) in nats a map, a mean over the batch."""
        planes = torch.from_numpy(seed_planes(codes, self.n_classes)).to(labels.device)
        logits = self.class_logits(planes, images)
        if self.training:
            decoded = logits.detach().argmax(dim=1).cpu().numpy()
            parts = (rows[searched].tolist(), codes[searched], decoded[searched])
            self.rehearsal.learn(*parts, rng)
        losses = functional.cross_entropy(logits, labels.long(), reduction="none")
        return (losses * self.counted(labels)).sum() / len(labels)

    def _encoder_loss(self, labels, images, noise, weight, warmup):
        """Estimates E_q[rate + weight * distortion]; the weight falls to its value."""
        maps = labels.cpu().numpy()
        hard = self.gradient == "reinforce"

        def repeated(tensor, masks):
            n_draws = len(masks) // len(labels)
            return tensor.repeat(n_draws, *[1] * (tensor.ndim - 1))

        def classes_at(labels):
            classes = torch.arange(self.n_classes, device=labels.device)
            return (labels[:, None] == classes[:, None, None]).float()

        def codes_of(masks):
            masks = masks.detach().unflatten(-1, self.image_shape).cpu().numpy() > 0.5
            n_draws = len(masks) // len(maps)
            return np.where(masks, np.tile(maps, (n_draws, 1, 1)), -1)

        def price(masks):
            codes = codes_of(masks)
            classes = np.tile(maps, (len(codes) // len(maps), 1, 1))
            prices = [
                self.rate_model.prices(code.ravel(), c.ravel())
                for code, c in zip(codes, classes, strict=True)
            ]
            return torch.as_tensor(np.stack(prices), dtype=torch.float32).to(
                labels.device
            )

        def distortion(masks):
            planes = torch.from_numpy(seed_planes(codes_of(masks), self.n_classes))
            planes = planes.to(labels.device)
            true = repeated(labels, masks).long()
            mask = masks.unflatten(-1, self.image_shape)
            # The seeds themselves carry a gradient; where the nearest is does not.
            planes[:, : self.n_classes] = classes_at(true) * mask[:, None]
            planes[:, self.n_classes] = mask
            seen = None if images is None else repeated(images, masks)
            logits = self.class_logits(planes, seen)
            if hard:
                wrong = (logits.argmax(dim=1) != true).float()
            else:
                # What a decoder that draws from p(y given x, sparse y) has wrong.
                wrong = 1 - logits.softmax(dim=1).gather(1, true[:, None])[:, 0]
            return (wrong * (1 - mask) * self.counted(true)).flatten(1).sum(dim=-1)

        logits = self.seed_logits(labels, images, weight).flatten(1)
        allowed = self.counted(labels).flatten(1)
        weight = weight * WEIGHT_RANGE ** (1 - warmup)
        return surrogate(
            self.gradient, logits, allowed, noise.flatten(2), distortion, price, weight
        )
