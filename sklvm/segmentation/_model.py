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
from sklvm.state._classes import stateful

# Seeds that the untrained encoder expects in a map.
FIRST_GUESS = 8.0
# Deviation of the light of images in training, where images are of order one.
VARIATION = 0.15
# Patches of other images in an image in training, and their sides as shares of its own.
MOST_PATCHES, PATCH_SIDES = 3, (0.2, 0.7)


@stateful
class SegmentationModel(nn.Module):
    """y given (x, sparse y), and the probabilities of seeds given (x, y).

    A batch is rows of P classes and the number of the row, with images or None beside.
    Numbers outside of the classes are void, or no pixel of the map.

    Parameters
    ----------
    n_classes, image_shape, n_image_channels : as of the estimator
    channels, activation : as of the estimator
    generator : torch.Generator, for the first weights
    """

    # Modules that were saved by version 0.1 have a plane of the void class.
    void_class = None
    class_weight = None

    def __init__(
        self, n_classes, image_shape, n_image_channels, channels, activation, generator
    ):
        super().__init__()
        self.n_classes = n_classes
        self.image_shape = image_shape
        self.n_image_channels = n_image_channels
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

    def configure(self, gradient, weight, class_weight):
        self.gradient = gradient
        self.weight = weight
        self.class_weight = class_weight

    def class_weights(self, device):
        """What an error in a pixel of each class counts for (k,), or None for 1."""
        if self.class_weight is None:
            return None
        return torch.as_tensor(self.class_weight, dtype=torch.float32, device=device)

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
        has_class = (labels >= 0) & (labels < self.n_classes)
        if self.void_class is not None:
            has_class &= labels != self.void_class
        return has_class

    # Training -------------------------------------------------------------------------

    def changing_state(self):
        return self.rehearsal.changing_state()

    def set_changing_state(self, state):
        self.rehearsal.set_changing_state(state)

    def draw(self, X, images, generator):
        """Codes for the decoder, or noise for the encoder."""
        labels = X[:, :-1].unflatten(-1, self.image_shape)
        seed = torch.randint(2**31, (1,), generator=generator, device=X.device).item()
        rng = np.random.default_rng(seed)
        if self.stage == "encoder":
            shape = (N_DRAWS[self.gradient], *labels.shape)
            noise = torch.rand(shape, generator=generator, device=X.device)
            weights = self.weight * WEIGHT_RANGE ** rng.uniform(-1, 1, size=len(X))
            examples = np.full(labels.shape, -1, dtype=np.int32)
            for i, row in enumerate(X[:, -1].tolist()):
                if row in self.examples:
                    examples[i], weights[i] = self.examples[row]
            weights = torch.as_tensor(weights, dtype=torch.float32).to(X.device)
            examples = torch.from_numpy(examples).to(X.device)
            return labels, images, (noise.clamp_min(1e-6), weights, examples)
        mirrored = np.zeros(len(X), dtype=bool)
        if self.training:
            codes, searched, hidden = self.rehearsal.draw(X[:, -1].tolist(), rng)
            if images is not None:
                mirrored = rng.random(len(X)) < 0.5
                shown = torch.from_numpy(~hidden).to(X.device)
                images = self._patched(self._vary(images, generator), rng)
                images = images * shown[:, None]
        else:
            maps, counted = labels.cpu().numpy(), self.counted(labels).cpu().numpy()
            pairs = zip(maps, counted, strict=True)
            codes = np.stack([random_code(*pair, rng) for pair in pairs])
            searched = np.zeros(len(X), dtype=bool)
        rows = X[:, -1].cpu().numpy()
        return labels, images, (codes, rows, searched, mirrored, rng)

    def _vary(self, images, generator):
        """Other light and grain: few images are soon memorised."""
        shape = (len(images), 1, self.n_image_channels)
        noise = {"generator": generator, "device": images.device}
        pixels = images.unflatten(-1, (-1, self.n_image_channels))
        gain = 1 + VARIATION * torch.randn(shape, **noise)
        light = VARIATION * torch.randn(shape, **noise)
        grain = VARIATION / 2 * torch.randn(pixels.shape, **noise)
        return (gain * pixels + light + grain).flatten(1)

    def _patched(self, images, rng):
        """Images with patches of the next one in the batch.

        What a decoder thinks of an image that it has not seen is wrong in places, where
        it has to believe the seeds; of those it was trained on it knows too much.
        """
        sides = np.array(self.image_shape)
        patched = np.zeros((len(images), *sides), dtype=bool)
        for mask in patched:
            for _ in range(rng.integers(MOST_PATCHES + 1)):
                size = (sides * rng.uniform(*PATCH_SIDES, size=2)).astype(int)
                top, left = rng.integers(sides - size + 1)
                mask[top : top + size[0], left : left + size[1]] = True
        planes = self._image_planes(images)
        mask = torch.from_numpy(patched).to(images.device)[:, None]
        planes = torch.where(mask, planes.roll(1, 0), planes)
        return planes.movedim(1, -1).flatten(1)

    def held_out_loss(self, X, images, generator):
        return self(*self.draw(X, images, generator), 1.0)[0]

    def forward(self, labels, images, drawn, warmup):
        if self.stage == "encoder":
            return (self._encoder_loss(labels, images, *drawn, warmup),)
        return (self._decoder_loss(labels, images, *drawn),)

    #: What `forward` returns besides the loss.
    parts = ()

    def _decoder_loss(self, labels, images, codes, rows, searched, mirrored, rng):
        """-ln p(y given x, sparse y) in nats per map, a mean over the batch.

        With the weights of the classes, where there are any.
        """
        seen = np.where(mirrored[:, None, None], codes[:, :, ::-1], codes)
        planes = torch.from_numpy(seed_planes(seen, self.n_classes)).to(labels.device)
        flips = torch.from_numpy(mirrored).to(labels.device)
        if images is not None:
            images = self._mirrored(self._image_planes(images), flips)
            images = images.movedim(1, -1).flatten(1)
        logits = self._mirrored(self.class_logits(planes, images), flips)
        if self.training:
            decoded = logits.detach().argmax(dim=1).cpu().numpy()
            parts = (rows[searched].tolist(), codes[searched], decoded[searched])
            self.rehearsal.learn(*parts, rng)
        labels = labels.long().where(self.counted(labels), -1)
        loss = functional.cross_entropy(
            logits,
            labels,
            weight=self.class_weights(logits.device),
            ignore_index=-1,
            reduction="sum",
        )
        return loss / len(labels)

    def _mirrored(self, planes, flips):
        """Those of the planes (n, ., H, W) that `flips` names from right to left."""
        if not flips.any():
            return planes
        return torch.where(flips[:, None, None, None], planes.flip(-1), planes)

    def _encoder_loss(self, labels, images, noise, weight, examples, warmup):
        """Estimates E_q[rate + weight * distortion]; the weight falls to its value.

        Until then -ln q(code) of codes that the decoder's training has come by is
        added: few gradients lead away from blank maps, which the rate favours.
        """
        logits = self.seed_logits(labels, images, weight).flatten(1)
        trial = _Trial(self, labels, images, n_draws=len(noise))
        loss = surrogate(
            self.gradient,
            logits,
            self.counted(labels).flatten(1),
            noise.flatten(2),
            trial.distortion,
            trial.price,
            weight * WEIGHT_RANGE ** (1 - warmup),
        )
        if warmup < 1:
            seeds = (examples.flatten(1) >= 0).float()
            log_q = -functional.binary_cross_entropy_with_logits(
                logits, seeds, reduction="none"
            )
            known = (seeds.sum(dim=-1) > 0).float()
            loss = loss - (1 - warmup) * (known * log_q.sum(dim=-1)).mean()
        return loss


class _Trial:
    """What codes of a batch cost, given as masks (n_draws * n, P) of its pixels."""

    def __init__(self, model, labels, images, n_draws):
        self.model = model
        # Of any class where none counts: the sums need one, and leave it out.
        self.is_counted = model.counted(labels).repeat(n_draws, 1, 1)
        self.labels = labels.repeat(n_draws, 1, 1).long().where(self.is_counted, 0)
        self.images = None if images is None else images.repeat(n_draws, 1)
        self.maps = self.labels.cpu().numpy()
        self.pixel_weights = self.is_counted
        if (class_weights := model.class_weights(labels.device)) is not None:
            self.pixel_weights = class_weights[self.labels] * self.is_counted

    def _codes(self, masks):
        seeded = masks.detach().cpu().numpy().reshape(self.maps.shape) > 0.5
        return np.where(seeded, self.maps, -1)

    def price(self, masks):
        """Nats of a seed at each pixel, given the others."""
        prices = [
            self.model.rate_model.prices(code.ravel(), labels.ravel())
            for code, labels in zip(self._codes(masks), self.maps, strict=True)
        ]
        prices = torch.from_numpy(np.stack(prices).astype(np.float32))
        return prices.to(masks.device)

    def distortion(self, masks):
        """Weights of wrong pixels, with a gradient where it can have one."""
        model, n_classes = self.model, self.model.n_classes
        planes = seed_planes(self._codes(masks), n_classes)
        planes = torch.from_numpy(planes).to(masks.device)
        masks = masks.unflatten(-1, model.image_shape)
        # The seeds themselves carry a gradient; where the nearest is does not.
        classes = functional.one_hot(self.labels, n_classes).movedim(-1, 1)
        planes[:, :n_classes] = classes * masks[:, None]
        planes[:, n_classes] = masks
        logits = model.class_logits(planes, self.images)
        if model.gradient == "reinforce":
            wrong = (logits.argmax(dim=1) != self.labels).float()
        else:
            # What a decoder that draws from p(y given x, sparse y) has wrong.
            wrong = 1 - logits.softmax(dim=1).gather(1, self.labels[:, None])[:, 0]
        wrong = wrong * (1 - masks) * self.pixel_weights
        return wrong.flatten(1).sum(dim=-1)
