"""Decoder and encoder of label maps as one torch module."""

import numpy as np
import torch

from sklvm.neural._module import TrainedModule
from sklvm.segmentation._networks import (
    LabelUNet,
    n_seed_planes,
    one_hot,
    place_planes,
)
from sklvm.segmentation._replay import WEIGHT_RANGE
from sklvm.state._classes import stateful

# Seeds that the untrained encoder expects in a map.
FIRST_GUESS = 8.0


@stateful
class SegmentationModel(TrainedModule):
    """y given (x, sparse y), and the probabilities of seeds given (x, y).

    A batch is rows of P classes and the number of the row, with images or None beside.
    Numbers outside of the classes are void, or no pixel of the map.

    Parameters
    ----------
    n_classes, image_shape, n_image_channels : as of the estimator
    channels, activation : as of the estimator
    reference_weight : float
        Of the distortion; the encoder is told others in comparison to it.
    has_encoder : bool
    generator : torch.Generator, for the first weights
    """

    # Modules that were saved by version 0.1 have a plane of the void class.
    void_class = None
    #: The `Phase` of the training, while there is one.
    phase = None

    def __init__(
        self, n_classes, image_shape, n_image_channels, channels, activation,
        reference_weight, has_encoder, generator,
    ):  # fmt: skip
        super().__init__()
        self.n_classes = n_classes
        self.image_shape = image_shape
        self.n_image_channels = n_image_channels
        self.reference_weight = reference_weight
        n_decoder = n_seed_planes(n_classes) + n_image_channels
        shape = channels, activation, generator
        self.decoder = LabelUNet(n_decoder, n_classes, *shape)
        self.encoder = None
        if has_encoder:
            self.encoder = LabelUNet(n_classes + 3 + n_image_channels, 1, *shape)
            n_pixels = image_shape[0] * image_shape[1]
            with torch.no_grad():
                self.encoder.head.weight.mul_(0.1)
                self.encoder.head.bias.fill_(np.log(min(0.5, FIRST_GUESS / n_pixels)))

    # What the fitted estimator asks for -----------------------------------------------

    def class_logits(self, planes, images):
        """Of every class at every pixel; void is never decoded."""
        if images is not None:
            planes = torch.cat([planes, self.image_planes(images)], dim=1)
        logits = self.decoder(planes)
        if self.void_class is not None:
            never = logits.new_zeros(self.n_classes)
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
            planes.append(self.image_planes(images))
        return self.encoder(torch.cat(planes, dim=1).float())[:, 0]

    def image_planes(self, images):
        """Flat images (n, H W C) as planes (n, C, H, W)."""
        return images.unflatten(-1, (*self.image_shape, -1)).movedim(-1, 1)

    def counted(self, labels):
        """Where an error counts."""
        has_class = (labels >= 0) & (labels < self.n_classes)
        if self.void_class is not None:
            has_class &= labels != self.void_class
        return has_class

    # Training -------------------------------------------------------------------------

    def begin(self, phase):
        """Train the network of a `Phase`; the other one stays as it is."""
        self.phase = phase
        for name, network in self.named_children():
            network.requires_grad_(name == phase.network)

    def end(self):
        """Let go of the phase, which has the data."""
        self.phase = None

    def draw(self, X, images, generator):
        seed = torch.randint(2**31, (1,), generator=generator, device=X.device).item()
        labels = X[:, :-1].unflatten(-1, self.image_shape)
        rng = np.random.default_rng(seed)
        return self.phase.draw(labels, X[:, -1].tolist(), images, generator, rng)

    def forward(self, *drawn):
        return self.phase.forward(*drawn)

    def held_out_loss(self, X, images, generator):
        return self(*self.draw(X, images, generator), 1.0)[0]

    def after_step(self, drawn, outputs):
        self.phase.after_step(drawn, outputs)

    def changing_state(self):
        return self.phase.changing_state()

    def set_changing_state(self, state):
        self.phase.set_changing_state(state)

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "phase"}
