"""VAEs whose networks are known, and helpers to fit and to look at them."""

import copy
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from sklvm.autoencoder import VAE, Likelihood

OBJECTIVES = ["kl", "entropy", "log_ratio", "stl", "iwae", "forward_kl"]


def quietly(method, *data):
    """The call without ConvergenceWarning: most fits here stop after a few epochs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return method(*data)


def recorder():
    """An optimizer that keeps every gradient and never moves."""

    class Recorder(torch.optim.SGD):
        gradients = []

        def step(self, closure=None):
            if closure is not None:
                with torch.enable_grad():
                    closure()
            parameters = [p for group in self.param_groups for p in group["params"]]
            self.gradients.append(
                [
                    torch.zeros_like(p) if p.grad is None else p.grad.clone()
                    for p in parameters
                ]
            )

    return Recorder


def linear(weight, bias):
    """nn.Linear with the weight (outputs, inputs) and the bias given."""
    weight = torch.as_tensor(np.asarray(weight), dtype=torch.float32)
    layer = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(torch.as_tensor(np.asarray(bias), dtype=torch.float32))
    return layer


def random_linear(n_features=4, latent_dim=2, seed=0):
    """A linear encoder, far from the posterior, and a linear decoder."""
    rng = np.random.default_rng(seed)
    encoder = linear(
        0.3 * rng.normal(size=(2 * latent_dim, n_features)),
        0.3 * rng.normal(size=2 * latent_dim),
    )
    decoder = linear(
        0.7 * rng.normal(size=(n_features, latent_dim)), rng.normal(size=n_features)
    )
    return encoder, decoder


def constant(n_inputs, outputs):
    """A network that gives the same outputs for every input."""
    return linear(np.zeros((len(outputs), n_inputs)), outputs)


def prior_encoder(n_features, latent_dim=1):
    """q(z|x) = p(z) = N(0, I)."""
    return constant(n_features, np.zeros(2 * latent_dim))


def frozen(X, encoder=None, decoder=None, *, y=None, estimator=VAE, **params):
    """A fit that leaves encoder and decoder as they are given (or initialised)."""
    params = {
        "latent_dim": 2,
        "encoder": encoder,
        "decoder": decoder,
        "optimizer": recorder(),
        "batch_size": len(X),
        "max_epochs": 1,
        "early_stopping": False,
        "random_state": 0,
    } | params
    return quietly(estimator(**params).fit, *((X,) if y is None else (X, y)))


def gradients(est):
    """{parameter: one gradient of -F an epoch} of a frozen fit, in float64."""
    names = [name for name, _ in est.net_.module_.named_parameters()]
    columns = zip(*est.optimizer.gradients, strict=True)
    return {
        name: torch.stack(column).double().numpy()
        for name, column in zip(names, columns, strict=True)
    }


def encoder_gradients(est):
    """All gradients of the encoder's parameters, shape (epochs, parameters)."""
    rows = [
        gradient.reshape(len(gradient), -1)
        for name, gradient in gradients(est).items()
        if "encoder" in name
    ]
    assert rows
    return np.concatenate(rows, axis=1)


def double(module):
    return copy.deepcopy(module).double()


def standard_normal(n_samples, n_features=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n_samples, n_features))


def curve(n_samples, seed=0, n_features=3):
    """A noisy curve: one latent, nonlinear."""
    rng = np.random.default_rng(seed)
    t = rng.normal(size=(n_samples, 1))
    phase = np.arange(n_features)
    return np.sin(1.5 * t + phase) + 0.3 * rng.normal(size=(n_samples, n_features))


def bits(n_samples, seed=0, n_features=6):
    """Two binary patterns with flips."""
    rng = np.random.default_rng(seed)
    pattern = np.arange(n_features) % 2 == 0
    side = rng.random(n_samples) < 0.5
    flips = rng.random((n_samples, n_features)) < 0.2
    return (side[:, None] ^ pattern ^ flips).astype(float)


class Poisson(Likelihood):
    """Counts: the decoder gives the logarithm of the rate."""

    n_outputs = 1

    def log_prob(self, x, outputs):
        return x * outputs - outputs.exp() - torch.lgamma(x + 1)

    def mean(self, outputs):
        return outputs.exp()

    def sample(self, outputs, generator):
        return torch.poisson(outputs.exp(), generator=generator)
