"""The phases of a training: what is drawn for a batch, its loss, and what follows."""

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch.nn import functional

from sklvm.segmentation._augment import augmented, mirrored_planes
from sklvm.segmentation._gradients import N_DRAWS, surrogate
from sklvm.segmentation._networks import seed_planes
from sklvm.segmentation._replay import WEIGHT_RANGE, random_code


class Phase(ABC):
    """Trains one network of a `SegmentationModel` while the other stays as it is.

    A batch is rows of P classes and the number of the row, with images or None beside.

    Parameters
    ----------
    model : SegmentationModel
    class_weight : ndarray of shape (n_classes,) or None
    """

    #: The network that is trained.
    network = None

    def __init__(self, model, class_weight):
        self.model = model
        self.class_weight = class_weight

    @abstractmethod
    def draw(self, labels, numbers, images, generator, rng):
        """What is random in a batch of maps (n, H, W): the arguments of `forward`."""

    @abstractmethod
    def forward(self, labels, images, *drawn):
        """The loss of a batch, and what `after_step` is to have."""

    def after_step(self, drawn, outputs):  # noqa: B027 (most have nothing to learn)
        """Learn from a step of the training."""

    def changing_state(self):
        """What the phase has come to, for checkpoints."""
        return {}

    def set_changing_state(self, state):
        """Take what `changing_state` gave."""
        vars(self).update(state)

    def weights_of_classes(self, device):
        """What an error in a pixel of each class counts for (k,), or None for 1."""
        if self.class_weight is None:
            return None
        return torch.as_tensor(self.class_weight, dtype=torch.float32, device=device)


class DecoderPhase(Phase):
    """Minimises -ln p(y | x, L) over codes L that a search comes by, and random ones.

    Parameters
    ----------
    replay : Replay
    """

    network = "decoder"

    def __init__(self, model, class_weight, replay):
        super().__init__(model, class_weight)
        self.replay = replay

    def changing_state(self):
        return self.replay.changing_state()

    def set_changing_state(self, state):
        self.replay.set_changing_state(state)

    def draw(self, labels, numbers, images, generator, rng):
        n = len(labels)
        if not self.model.training:  # held out
            maps = labels.cpu().numpy()
            counted = self.model.counted(labels).cpu().numpy()
            pairs = zip(maps, counted, strict=True)
            codes = np.stack([random_code(*pair, rng) for pair in pairs])
            return labels, images, codes, np.zeros(n, dtype=bool), None
        codes, searched, hidden = self.replay.draw(numbers, rng)
        mirrored = np.zeros(n, dtype=bool)
        if images is not None:
            mirrored = rng.random(n) < 0.5
            shape = self.model.image_shape
            shown = torch.from_numpy(~hidden).to(images.device)
            images = augmented(images, shape, generator, rng) * shown[:, None]
        return labels, images, codes, mirrored, (numbers, searched, rng)

    def forward(self, labels, images, codes, mirrored, search, warmup):
        """In nats per map, a mean over the batch, with the weights of the classes."""
        seen = np.where(mirrored[:, None, None], codes[:, :, ::-1], codes)
        planes = torch.from_numpy(seed_planes(seen, self.model.n_classes))
        flips = torch.from_numpy(mirrored).to(labels.device)
        if images is not None:
            images = mirrored_planes(self.model.image_planes(images), flips)
            images = images.movedim(1, -1).flatten(1)
        logits = self.model.class_logits(planes.to(labels.device), images)
        logits = mirrored_planes(logits, flips)
        loss = functional.cross_entropy(
            logits,
            labels.long().where(self.model.counted(labels), -1),
            weight=self.weights_of_classes(logits.device),
            ignore_index=-1,
            reduction="sum",
        )
        return loss / len(labels), logits.detach()

    def after_step(self, drawn, outputs):
        """Go on with the searches whose codes have been decoded."""
        (logits,) = outputs
        _, _, codes, _, (numbers, searched, rng) = drawn
        decoded = logits.argmax(dim=1).cpu().numpy()
        numbers = np.array(numbers)[searched].tolist()
        self.replay.learn(numbers, codes[searched], decoded[searched], rng)


class EncoderPhase(Phase):
    """Minimises E_q[rate + weight * distortion] over q(L | x, y) of the encoder.

    Parameters
    ----------
    rate_model : object
        P(L), with `prices`.
    weight : float
        Of the distortion; the training covers a range around it.
    gradient : str
    examples : dict
        The codes that the decoder's training has come by, and their weights, by the
        number of the row.
    """

    network = "encoder"

    def __init__(self, model, class_weight, rate_model, weight, gradient, examples):
        super().__init__(model, class_weight)
        self.rate_model = rate_model
        self.weight = weight
        self.gradient = gradient
        self.examples = examples

    def draw(self, labels, numbers, images, generator, rng):
        device, n = labels.device, len(labels)
        shape = (N_DRAWS[self.gradient], *labels.shape)
        noise = torch.rand(
            shape, generator=generator, device=device, dtype=torch.float32
        )
        weights = self.weight * WEIGHT_RANGE ** rng.uniform(-1, 1, size=n)
        examples = np.full(labels.shape, -1, dtype=np.int32)
        for i, number in enumerate(numbers):
            if number in self.examples:
                examples[i], weights[i] = self.examples[number]
        weights = torch.as_tensor(weights, dtype=torch.float32, device=device)
        examples = torch.from_numpy(examples).to(device)
        return labels, images, noise.clamp_min(1e-6), weights, examples

    def forward(self, labels, images, noise, weight, examples, warmup):
        """An estimate; the weight falls to its value in the warm-up.

        Until then -ln q(code) of the examples is added: few gradients lead away from
        blank maps, which the rate favours.
        """
        logits = self.model.seed_logits(labels, images, weight).flatten(1)
        trial = Trial(self, labels, images, n_draws=len(noise))
        loss = surrogate(
            self.gradient,
            logits,
            self.model.counted(labels).flatten(1),
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
        return (loss,)


class Trial:
    """What codes of a batch cost, given as masks (n_draws * n, P) of its pixels."""

    def __init__(self, phase, labels, images, n_draws):
        self.phase = phase
        # Of any class where none counts: the sums need one, and leave it out.
        self.is_counted = phase.model.counted(labels).repeat(n_draws, 1, 1)
        self.labels = labels.repeat(n_draws, 1, 1).long().where(self.is_counted, 0)
        self.images = None if images is None else images.repeat(n_draws, 1)
        self.maps = self.labels.cpu().numpy()
        self.pixel_weights = self.is_counted
        if (class_weights := phase.weights_of_classes(labels.device)) is not None:
            self.pixel_weights = class_weights[self.labels] * self.is_counted

    def _codes(self, masks):
        seeded = masks.detach().cpu().numpy().reshape(self.maps.shape) > 0.5
        return np.where(seeded, self.maps, -1)

    def price(self, masks):
        """Nats of a seed at each pixel, given the others."""
        prices = [
            self.phase.rate_model.prices(code.ravel(), labels.ravel())
            for code, labels in zip(self._codes(masks), self.maps, strict=True)
        ]
        prices = torch.from_numpy(np.stack(prices).astype(np.float32))
        return prices.to(masks.device)

    def distortion(self, masks):
        """Weights of wrong pixels, with a gradient where it can have one."""
        model = self.phase.model
        n_classes = model.n_classes
        planes = seed_planes(self._codes(masks), n_classes)
        planes = torch.from_numpy(planes).to(masks.device)
        masks = masks.unflatten(-1, model.image_shape)
        # The seeds themselves carry a gradient; where the nearest is does not.
        classes = functional.one_hot(self.labels, n_classes).movedim(-1, 1)
        planes[:, :n_classes] = classes * masks[:, None]
        planes[:, n_classes] = masks
        logits = model.class_logits(planes, self.images)
        if self.phase.gradient == "reinforce":
            wrong = (logits.argmax(dim=1) != self.labels).float()
        else:
            # What a decoder that draws from p(y given x, sparse y) has wrong.
            wrong = 1 - logits.softmax(dim=1).gather(1, self.labels[:, None])[:, 0]
        wrong = wrong * (1 - masks) * self.pixel_weights
        return wrong.flatten(1).sum(dim=-1)
