r"""The model p(x, z) = p(z) p(x|z) with its encoder q(z|x), as one torch module."""

import torch
from torch import nn

from sklvm.autoencoder._distributions import (
    POSTERIORS,
    PosteriorMixture,
    StandardNormal,
)
from sklvm.autoencoder._objectives import OBJECTIVES
from sklvm.neural._networks import widest_layer


class LatentVariableModel(nn.Module):
    """Decoder, encoder and prior, and the loss of a batch.

    Parameters
    ----------
    encoder, decoder : torch.nn.Module
    likelihood : Likelihood
    latent_dim : int
    posterior : {"diag", "full"}
    n_features : int
    pseudo_inputs : tensor of shape (n_pseudo_inputs, n_features) or None
        Where the VampPrior starts; None is the standard normal prior.
    has_missing : bool
        Whether rows may have NaN; the encoder is then told which entries are observed.
    dynamic : bool
        Whether grey values are made bits anew each time they are seen in training.
    """

    def __init__(
        self, encoder, decoder, likelihood, latent_dim, posterior, n_features,
        pseudo_inputs, has_missing, dynamic,
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
        # Numbers that one row, and one draw of it, take where they take most.
        self.encoder_row_size = widest_layer(encoder, n_features * (1 + has_missing))
        self.row_size = widest_layer(decoder, latent_dim)
        if pseudo_inputs is not None:
            self.row_size = max(self.row_size, len(pseudo_inputs) * latent_dim)

    def configure(self, objective, n_draws, beta, free_bits):
        """Set what may change between two fits."""
        self.objective = OBJECTIVES[objective]
        self.n_draws = n_draws
        self.beta = beta
        self.free_bits = free_bits

    # The distributions ------------------------------------------------------------

    def observe(self, X):
        """The batch (x, observed): NaN made 0, and None where nothing can miss."""
        if not self.has_missing:
            return X, None
        observed = ~X.isnan()
        return torch.where(observed, X, 0.0), observed

    def posterior(self, batch):
        """q(z|x), a distribution a row."""
        x, observed = batch
        if observed is not None:
            x = torch.cat([x, observed.to(x.dtype)], -1)
        return self.family.of(self.encoder(x), self.latent_dim)

    def prior(self):
        """p(z)."""
        if self.pseudo_inputs is None:
            return StandardNormal()
        u = self.pseudo_inputs
        observed = torch.ones_like(u, dtype=torch.bool) if self.has_missing else None
        return PosteriorMixture(self.posterior((u, observed)))

    def decode(self, z):
        """The likelihood's parameters for z of shape (..., latent_dim)."""
        if z.dim() == 2:
            return self.decoder(z)
        return self.decoder(z.flatten(0, -2)).unflatten(0, z.shape[:-1])

    def log_conditional(self, batch, z):
        """log p(x|z), of shape (..., n_rows)."""
        x, observed = batch
        return self.likelihood.log_conditional(x, self.decode(z), observed)

    # Training ---------------------------------------------------------------------

    def draw(self, X, y, generator):
        """All that is random in the loss of a batch, drawn from the generator."""
        x, observed = self.observe(X)
        if self.dynamic:
            grey = x
            x = torch.empty_like(grey).uniform_(generator=generator)
            x = (x < grey).to(grey.dtype)
        shape = (len(x), self.latent_dim)
        if self.n_draws > 1:
            shape = (self.n_draws, *shape)
        eps = torch.randn(shape, generator=generator, device=x.device, dtype=x.dtype)
        return x, observed, eps

    def forward(self, x, observed, eps, warmup):
        """The loss of a batch, in nats a row."""
        batch = x, observed
        q = self.posterior(batch)
        return self.objective(self, batch, q, q.rsample(eps), self.beta * warmup)
