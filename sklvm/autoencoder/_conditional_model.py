r"""The model p(z|x) p(y|z,x) with its encoder q(z|y,x), as one torch module."""

import torch

from sklvm.autoencoder._distributions import GaussianPrior, MixturePrior
from sklvm.autoencoder._model import LatentVariableModel
from sklvm.autoencoder.likelihoods._gaussian import MIN_NOISE
from sklvm.autoencoder.likelihoods._scales import warn_of_scale
from sklvm.state._classes import stateful


def conditions_of(rows, x):
    """What reads the columns of a table x; None for numbers as they are."""
    if not rows.is_table:
        warn_of_scale(x, "X")
        return None
    conditions = rows.make_likelihood("optimal", MIN_NOISE)
    conditions.start(x)
    return conditions


@stateful
class ConditionalModel(LatentVariableModel):
    """A `LatentVariableModel` of y whose networks all see x.

    A row is [y, x], and a batch is (y, None, x), with x as the networks read it.

    Parameters
    ----------
    prior_network : torch.nn.Module
        From x to the parameters of p(z|x), as its family reads them.
    n_prior_components : int
        Gaussians that p(z|x) is a mixture of.
    n_conditions : int
        Numbers that the networks read of x.
    conditions : Likelihood or None
        Whose `features` the networks read of x; None is x itself.
    **parts : what a `LatentVariableModel` consists of
        `n_features` is that of y.
    """

    def __init__(
        self, *, prior_network, n_prior_components, n_conditions, conditions=None,
        **parts,
    ):  # fmt: skip
        super().__init__(n_conditions=n_conditions, **parts)
        self.prior_network = prior_network
        self.n_prior_components = n_prior_components
        # Numbers of noise that a draw of z takes; the last one tells the component.
        self.n_prior_noise = self.latent_dim + (n_prior_components > 1)
        self.row_size = max(self.row_size, n_prior_components * self.latent_dim)
        self.conditions = conditions

    def observe(self, X):
        y, x = X.split([self.n_features, X.shape[1] - self.n_features], -1)
        return y, None, self.read(x)

    def read(self, x):
        """What the networks read of x."""
        return x if self.conditions is None else self.conditions.features(x)

    def target(self, batch):
        return batch[:2]

    def encoder_input(self, batch):
        y, _, x = batch
        return torch.cat([self.likelihood.features(y), x], -1)

    def conditional_prior(self, x):
        """p(z|x), a Gaussian or a mixture of them for each row."""
        parameters, K = self.prior_network(x), self.n_prior_components
        if K == 1:
            return GaussianPrior.of(parameters, self.latent_dim)
        return MixturePrior.of(parameters, self.latent_dim, K)

    def encode(self, batch):
        """q(z|y,x) and p(z|x)."""
        return self.posterior(batch), self.conditional_prior(batch[2])

    def decode(self, z, x):
        """The likelihood's parameters for z of shape (..., n_rows, latent_dim)."""
        return super().decode(torch.cat([z, x.expand(*z.shape[:-1], -1)], -1))

    def outputs(self, batch, z):
        return self.decode(z, batch[2])
