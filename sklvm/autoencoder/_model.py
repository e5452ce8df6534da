r"""The model p(x, z) = p(z) p(x|z) with its encoder q(z|x), as one torch module."""

import math

import torch
from torch import nn

from sklvm.autoencoder._distributions import (
    POSTERIORS,
    GaussianMixture,
    StandardNormal,
)
from sklvm.autoencoder._objectives import OBJECTIVES
from sklvm.neural._module import TrainedModule
from sklvm.neural._networks import widest_layer
from sklvm.state._classes import stateful

# Draws of each held-out row by which early stopping decides.
N_HELD_OUT_DRAWS = 8
ALL_ROWS = slice(None)


@stateful
class LatentVariableModel(TrainedModule):
    """Decoder, encoder and prior, and the loss of a batch.

    Parameters
    ----------
    encoder, decoder : torch.nn.Module
    likelihood : Likelihood
    latent_dim : int
    posterior : {"diag", "full"}
    n_features : int
    has_missing : bool
        Whether rows may have NaN; the encoder is then given which entries are observed.
    dynamic : bool
        Whether values in (0, 1) are made bits anew each time they occur in training.
    mask_rate : float
        Share of the entries that training hides, a mean over the rows.
    pseudo_inputs : tensor of shape (n_pseudo_inputs, n_inputs) or None
        Where the VampPrior starts, as the encoder reads rows; None is the standard
        normal prior.
    n_conditions : int
        Number of features that encoder and decoder take besides x and z.
    """

    def __init__(
        self, encoder, decoder, likelihood, latent_dim, posterior, n_features,
        has_missing=False, dynamic=False, mask_rate=0.0, pseudo_inputs=None,
        n_conditions=0,
    ):  # fmt: skip
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        self.latent_dim = latent_dim
        self.family = POSTERIORS[posterior]
        self.n_features = n_features
        self.pseudo_inputs = (
            None if pseudo_inputs is None else nn.Parameter(pseudo_inputs)
        )
        self.has_missing = has_missing
        self.dynamic = dynamic
        self.mask_rate = mask_rate
        # Numbers that one row, and one draw of it, take where they take most.
        n_inputs = likelihood.n_inputs(n_features) + has_missing * n_features
        n_inputs += n_conditions
        self.encoder_row_size = widest_layer(encoder, n_inputs)
        self.row_size = widest_layer(decoder, latent_dim + n_conditions)
        if pseudo_inputs is not None:
            self.row_size = max(self.row_size, len(pseudo_inputs) * latent_dim)

    def configure(self, objective, n_draws, beta, free_bits):
        """Set what may change between two fits."""
        self.objective = OBJECTIVES[objective]
        self.n_draws = n_draws
        self.beta = beta
        self.free_bits = free_bits
        for part in self.likelihood.modules():
            part.draws_differ = objective == "iwae"

    #: What `forward` returns besides the loss.
    parts = ("rate", "distortion")

    # The distributions ------------------------------------------------------------

    def observe(self, X):
        """The batch (x, observed): NaN made 0, and None where nothing can miss."""
        if not self.has_missing:
            return X, None
        observed = ~X.isnan()
        return torch.where(observed, X, 0.0), observed

    def posterior(self, batch):
        """q(z|x), a distribution a row."""
        return self.family.of(self.encoder(self.encoder_input(batch)), self.latent_dim)

    def encoder_input(self, batch):
        x, observed = batch
        features = self.likelihood.features(x, observed)
        if observed is None:
            return features
        return torch.cat([features, observed.to(features.dtype)], -1)

    def prior(self):
        """p(z)."""
        if self.pseudo_inputs is None:
            return StandardNormal()
        u = self.pseudo_inputs
        if self.has_missing:
            u = torch.cat([u, u.new_ones(len(u), self.n_features)], -1)
        return GaussianMixture(self.family.of(self.encoder(u), self.latent_dim))

    def encode(self, batch):
        """q(z|x) and what its draws are held against in the bound: p(z)."""
        return self.posterior(batch), self.prior()

    def marginal(self, p):
        """p(z) itself, where `encode` has given a bound on it."""
        return p

    def decode(self, z):
        """The likelihood's parameters for z of shape (..., latent_dim)."""
        if z.dim() == 2:
            return self.decoder(z)
        return self.decoder(z.flatten(0, -2)).unflatten(0, z.shape[:-1])

    def outputs(self, batch, z):
        """The likelihood's parameters for z and what a batch says of them besides."""
        return self.decode(z)

    def target(self, batch):
        """What the decoder explains, and which entries of it are observed."""
        return batch

    def log_conditional(self, batch, z):
        """log p(x|z), of shape (..., n_rows)."""
        x, observed = self.target(batch)
        return self.likelihood.log_conditional(x, self.outputs(batch, z), observed)

    @torch.no_grad()
    def adapt_noise(self, batch, z, weights):
        """Move noise in closed form to that of weighted draws; after log p(x|z)."""
        if self.likelihood.n_errors(self.n_features):
            x, observed = self.target(batch)
            self.likelihood.adapt(x, self.outputs(batch, z), observed, weights)

    # Training ---------------------------------------------------------------------

    def draw(self, X, y, generator):
        """All that is random in the loss of a batch, drawn from the generator."""
        if self.mask_rate:
            X = self.hide(X, generator)
        x, *rest = self.observe(X)
        if self.dynamic:
            grey = x
            x = torch.empty_like(grey).uniform_(generator=generator)
            x = (x < grey).to(grey.dtype)
        shape = (len(x), self.latent_dim)
        if self.n_draws > 1:
            shape = (self.n_draws, *shape)
        eps = torch.randn(shape, generator=generator, device=x.device, dtype=x.dtype)
        return (x, *rest), eps

    def hide(self, X, generator):
        """Make entries NaN, of each row another share, up to twice the mask rate.

        So rows that miss little and rows that miss much are read equally well.
        """
        shape = (len(X), X.shape[1] + 1)
        u = torch.rand(shape, generator=generator, device=X.device, dtype=X.dtype)
        share = 2 * self.mask_rate * u[:, :1]
        return torch.where(u[:, 1:] < share, torch.nan, X)

    def shard(self, arguments, rows):
        """What was drawn for some of the rows of a batch."""
        batch, eps = arguments
        batch = tuple(None if part is None else part[rows] for part in batch)
        return batch, eps[..., rows, :]

    def held_out_loss(self, X, y, generator, rows=ALL_ROWS):
        """Minus what a score is; with another beta, or free bits, the objective."""
        batch, eps = self.draw(X, y, generator)
        if self.beta != 1 or self.free_bits:
            return self(*self.shard((batch, eps), rows), 1.0)[0]
        eps = eps.new_empty(N_HELD_OUT_DRAWS, *eps.shape[-2:])
        eps.normal_(generator=generator)
        batch, eps = self.shard((batch, eps), rows)
        q, p = self.encode(batch)
        z = q.rsample(eps)
        log_weights = self.log_conditional(batch, z) + p.log_prob(z) - q.log_prob(z)
        return math.log(len(z)) - torch.logsumexp(log_weights, 0).mean()

    def forward(self, batch, eps, warmup):
        """The loss of a batch, its rate and its distortion, in nats per row."""
        q, p = self.encode(batch)
        return self.objective(self, batch, q, p, q.rsample(eps), self.beta * warmup)
