"""One VAE, trained in three ways that are not ours, each timed by the epoch.

All share `PlainVAE`, the same networks, likelihood, closed-form KL and Adam. A trainer
takes a `Task` and a number of epochs, and returns the seconds of each epoch.
"""

import contextlib
import io
import itertools
import logging
import math
import tempfile
import time
from dataclasses import dataclass

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import nn
from torch.nn import functional

LEARNING_RATE = 1e-3


@dataclass
class Task:
    """One line of the table: rows, and the network and batches to train with."""

    X: torch.Tensor
    likelihood: str  # "bernoulli", or "gaussian" with sigma = 1
    hidden_layer_sizes: tuple
    latent_dim: int
    batch_size: int


def mlp(n_in, hidden_layer_sizes, n_out):
    """Linear layers with ReLU between them."""
    widths = [n_in, *hidden_layer_sizes]
    layers = []
    for n_before, n_after in itertools.pairwise(widths):
        layers += [nn.Linear(n_before, n_after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], n_out))


def networks(task):
    """Encoder to mean and log sd, decoder to logits or to the mean."""
    n_features, sizes = task.X.shape[1], task.hidden_layer_sizes
    return (
        mlp(n_features, sizes, 2 * task.latent_dim),
        mlp(task.latent_dim, sizes[::-1], n_features),
    )


class PlainVAE(nn.Module):
    """Its forward pass is the loss: minus the bound, averaged over the batch."""

    def __init__(self, task):
        super().__init__()
        self.encoder, self.decoder = networks(task)
        self.likelihood = task.likelihood

    def forward(self, x):
        mean, log_sd = self.encoder(x).chunk(2, dim=1)
        sd = log_sd.exp()
        outputs = self.decoder(mean + sd * torch.randn_like(sd))
        if self.likelihood == "bernoulli":
            distortion = functional.binary_cross_entropy_with_logits(
                outputs, x, reduction="sum"
            )
        else:
            distortion = 0.5 * (
                functional.mse_loss(outputs, x, reduction="sum")
                + x.numel() * math.log(2 * math.pi)
            )
        kl = 0.5 * (mean**2 + sd**2 - 1 - 2 * log_sd).sum()
        return (distortion + kl) / len(x)


def train_by_hand(task, n_epochs, device="cpu"):
    """Fused Adam, tensors in memory, slices of one permutation, no .item() a batch."""
    torch.manual_seed(0)
    model, X = PlainVAE(task).to(device), task.X.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
    seconds = []
    for _ in range(n_epochs):
        start = time.perf_counter()
        total = torch.zeros((), device=device)
        for rows in torch.randperm(len(X), device=device).split(task.batch_size):
            optimizer.zero_grad()
            loss = model(X[rows])
            loss.backward()
            optimizer.step()
            total += loss.detach()
        total.item()
        seconds.append(time.perf_counter() - start)
    return seconds


class EpochSeconds(Callback):
    """A skorch callback that appends the seconds of each epoch to a list."""

    def __init__(self, seconds):
        self.seconds = seconds

    def on_epoch_begin(self, net, **kwargs):
        self.start_ = time.perf_counter()

    def on_epoch_end(self, net, **kwargs):
        self.seconds.append(time.perf_counter() - self.start_)


class AsItIs(nn.Module):
    """The criterion of a module whose forward pass is the loss."""

    def forward(self, loss, _):
        return loss


def train_by_skorch(task, n_epochs):
    """skorch's NeuralNet as it comes: default iterator, default callbacks."""
    torch.manual_seed(0)
    seconds = []
    net = NeuralNet(
        PlainVAE,
        module__task=task,
        criterion=AsItIs,
        optimizer=torch.optim.Adam,
        lr=LEARNING_RATE,
        batch_size=task.batch_size,
        iterator_train__shuffle=True,
        max_epochs=n_epochs,
        train_split=None,
        callbacks=[EpochSeconds(seconds)],
        verbose=0,
    )
    net.fit(task.X.numpy(), None)
    return seconds


def train_by_pythae(task, n_epochs):
    """pythae's trainer; what it prints is dropped."""
    from pythae.data.datasets import BaseDataset
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    class EpochTimes(TrainingCallback):
        def on_epoch_begin(self, training_config, **kwargs):
            self.start = time.perf_counter()

        def on_epoch_end(self, training_config, **kwargs):
            seconds.append(time.perf_counter() - self.start)

    seconds = []
    with quiet(), tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=n_epochs,
            learning_rate=LEARNING_RATE,
            per_device_train_batch_size=task.batch_size,
            no_cuda=True,
        )
        BaseTrainer(
            model=pythae_model(task),
            train_dataset=BaseDataset(task.X, torch.zeros(len(task.X))),
            training_config=config,
            callbacks=[EpochTimes()],
        ).train()
    return seconds


def pythae_model(task):
    """pythae's VAE with the same networks; it wants probabilities, not logits."""
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    class Encoder(BaseEncoder):
        def __init__(self, body):
            super().__init__()
            self.body = body

        def forward(self, x):
            mean, log_variance = self.body(x).chunk(2, dim=1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self, body):
            super().__init__()
            self.body = body

        def forward(self, z):
            return ModelOutput(reconstruction=self.body(z))

    encoder, decoder = networks(task)
    binary = task.likelihood == "bernoulli"
    return VAE(
        VAEConfig(
            input_dim=(task.X.shape[1],),
            latent_dim=task.latent_dim,
            reconstruction_loss="bce" if binary else "mse",
        ),
        encoder=Encoder(encoder),
        decoder=Decoder(nn.Sequential(decoder, nn.Sigmoid()) if binary else decoder),
    )


@contextlib.contextmanager
def quiet():
    """No log lines, no progress bars."""
    logging.disable(logging.WARNING)
    try:
        with (
            contextlib.redirect_stderr(io.StringIO()),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            yield
    finally:
        logging.disable(logging.NOTSET)
