r"""The model p(z) p(w|z) p(x|w) with q(w|x) and q(z|w,x), as one torch module."""

import math

import numpy as np
import torch
from torch import nn

from sklvm.autoencoder._categorical import CATEGORICAL, N_DRAWS, TEMPERATURES, network
from sklvm.autoencoder._distributions import DiagonalGaussian, GaussianMixture
from sklvm.autoencoder._model import ALL_ROWS, LatentVariableModel
from sklvm.state._classes import stateful

# Codes that vary less are next to constant: weights that made more of them would be
# beyond what Adam's steps can handle.
LEAST_VARIANCE = 1e-4
# Responsibilities below it count as it, so that their logarithm is finite.
TINY = 1e-30
# What changes from epoch to epoch, besides parameters and buffers.
CHANGING = "has_fixed_resp", "temperature"


def check_backbone(encoder, categorical):
    """Raise if the encoder has no body that a network q(z|w,x) could share."""
    is_sequence = type(encoder).forward is nn.Sequential.forward and len(encoder)
    if not is_sequence or not isinstance(encoder[-1], nn.Linear):
        raise ValueError(
            f"encoder={type(encoder).__name__} has no body that categorical="
            f"{categorical!r} could share; make it a torch.nn.Sequential that ends in "
            "a Linear, or choose categorical='exact'."
        )


class _Bound:
    """A bound on log p(w), the density of a mixture; a subclass has `log_prob`."""

    def kl(self, q, w):
        """KL(q || p), of which this is an upper bound."""
        return -q.entropy() - self.log_prob(w)


class NetworkBound(_Bound):
    """The bound with a network q(z|w,x).

    `logits(w)` gives log q(z|w,x) up to a constant; `estimate` is one of `CATEGORICAL`
    with its noise and temperature.
    """

    def __init__(self, mixture, logits, estimate):
        self.mixture = mixture
        self.logits = logits
        self.estimate = estimate

    def log_q(self, w):
        return torch.log_softmax(self.logits(w), -1)

    def log_prob(self, w):
        return self.estimate(self.mixture.log_joint(w), self.log_q(w))


class FixedRespBound(_Bound):
    """The bound with responsibilities that are given, a row each."""

    def __init__(self, mixture, resp):
        self.mixture = mixture
        self.log_q = resp.clamp(min=TINY).log()

    def log_prob(self, w):
        return network(self.mixture.log_joint(w), self.log_q)


@stateful
class MixtureModel(LatentVariableModel):
    """A `LatentVariableModel` whose latent w has a mixture of Gaussians for prior.

    Parameters
    ----------
    n_components : int
    covariance_type : {"diag", "spherical"}
    free_weights : bool
        Whether p(z) is learned.
    categorical : {"exact", "network", "gumbel", "reinforce"}
    **parts : what a `LatentVariableModel` consists of
    """

    # Files of 0.1.0 call it otherwise; none is written while it is true.
    has_fixed_resp = False

    def __init__(
        self, *, n_components, covariance_type, free_weights, categorical, **parts
    ):
        super().__init__(**parts)
        K, L = n_components, self.latent_dim
        n_scales = L if covariance_type == "diag" else 1
        self.component_means = _zeros(K, L)
        self.component_log_scales = _zeros(K, n_scales)
        self.component_logits = _zeros(K) if free_weights else None
        # The floor under sigma_k^2, which `set_components` knows.
        self.register_buffer("least_variance", torch.zeros((), dtype=torch.float32))
        self.categorical = categorical
        # The autoencoder alone; q(z|x) held at what comes with the rows.
        self.pretraining = False
        self.has_fixed_resp = False
        self.temperature = TEMPERATURES[0]
        self.row_size = max(self.row_size, K * L)
        self.head_x = self.head_w = None
        if categorical != "exact":
            n_features = self.encoder[-1].in_features
            # w and its squares, so that p(z|w) is among what the network can say.
            self.head_x = _linear(n_features, K)
            self.head_w = _linear(2 * L, K)
            self.start_heads()

    # The distributions ------------------------------------------------------------

    def component_variances(self):
        """sigma_k^2, of shape (K, latent_dim) or (K, 1)."""
        return self.least_variance + (2 * self.component_log_scales).exp()

    def log_weights(self):
        """log p(z), or None where all are equal."""
        if self.component_logits is None:
            return None
        return torch.log_softmax(self.component_logits, 0)

    def prior(self):
        """p(w), z summed out."""
        log_scales = self.component_variances().log() / 2
        log_scales = log_scales.expand(-1, self.latent_dim)
        components = DiagonalGaussian(self.component_means, log_scales)
        return GaussianMixture(components, self.log_weights())

    def encode(self, batch, noise=None):
        """q(w|x), and p(w) or, with a network q(z|w,x), its bound."""
        if self.head_x is None:
            return self.posterior(batch), self.prior()
        # While these are fixed the components move, and the heads are not trained.
        if self.has_fixed_resp:
            self.start_heads()
        *body, last = self.encoder
        features = self.encoder_input(batch)
        for layer in body:
            features = layer(features)
        q = self.family.of(last(features), self.latent_dim)
        logits_x = self.head_x(features)

        def logits(w):
            return logits_x + self.head_w(torch.cat([w, w.square()], -1))

        # Without noise the sum itself, which the others estimate.
        function = network if noise is None else CATEGORICAL[self.categorical]

        def estimate(log_joint, log_q):
            return function(log_joint, log_q, noise, self.temperature)

        return q, NetworkBound(self.prior(), logits, estimate)

    def marginal(self, p):
        return self.prior()

    def log_responsibilities(self, p, w):
        """log q(z|w,x), of shape (..., K)."""
        if self.head_x is None:
            return torch.log_softmax(p.log_joint(w), -1)
        return p.log_q(w)

    # Training ---------------------------------------------------------------------

    def draw(self, X, y, generator):
        batch, eps = super().draw(X, y, generator)
        noise = None
        n_draws = N_DRAWS.get(self.categorical)
        if n_draws and not self.pretraining:
            shape = (n_draws, *eps.shape[:-1], len(self.component_means))
            noise = torch.empty(shape, device=eps.device, dtype=eps.dtype)
            noise = -noise.exponential_(generator=generator).log()
        return batch, eps, noise, y

    def shard(self, arguments, rows):
        *drawn, noise, resp = arguments
        noise = None if noise is None else noise[..., rows, :]
        resp = None if resp is None else resp[rows]
        return *super().shard(drawn, rows), noise, resp

    def held_out_loss(self, X, y, generator, rows=ALL_ROWS):
        return self(*self.shard(self.draw(X, y, generator), rows), 1.0)[0]

    def forward(self, batch, eps, noise, resp, warmup):
        """The loss of a batch, its rate and its distortion, in nats per row."""
        if self.pretraining:
            loss = -self.log_conditional(batch, self.posterior(batch).mean).mean()
            return loss, torch.zeros_like(loss), loss.detach()
        if self.has_fixed_resp and self.training:
            q, p = self.posterior(batch), FixedRespBound(self.prior(), resp)
        else:
            q, p = self.encode(batch, noise)
        return self.objective(self, batch, q, p, q.rsample(eps), self.beta * warmup)

    def changing_state(self):
        return {name: getattr(self, name) for name in CHANGING}

    def set_changing_state(self, state):
        for name in CHANGING:
            setattr(self, name, state[name])

    # The components ---------------------------------------------------------------

    def unfreeze(self):
        """Let q(z|x) be free, from p(z|w) on."""
        if self.has_fixed_resp:
            self.start_heads()
        self.has_fixed_resp = False

    @torch.no_grad()
    def usage(self, rows):
        """Mean responsibilities of rows, each at the mean of its q(w|x)."""
        mode = self.training
        try:
            q, p = self.eval().encode(self.observe(rows))
        finally:
            self.train(mode)
        return self.log_responsibilities(p, q.mean).exp().mean(0).cpu().numpy()

    @torch.no_grad()
    def set_components(self, weights, means, variances, least_variance):
        """Start p(z) and p(w|z) at arrays, and q(z|w,x) at p(z|w)."""
        like = self.component_means
        weights, means, variances = (
            torch.as_tensor(a, dtype=like.dtype).to(like.device)
            for a in (weights, means, variances)
        )
        self.least_variance.fill_(least_variance)
        self.component_means.copy_(means)
        # What is at the floor starts a little above it, where it has a gradient.
        variances = (variances - least_variance).clamp(min=least_variance / 100)
        self.component_log_scales.copy_(variances.log() / 2)
        if self.component_logits is not None:
            self.component_logits.copy_(weights.log())
        self.start_heads()

    @torch.no_grad()
    def set_posterior_scale(self, scale):
        """Start q(w|x) at a scale, in an encoder of our own."""
        L = self.latent_dim
        self.encoder[-1].bias[L : 2 * L] = math.log(scale)

    @torch.no_grad()
    def scale_up(self, codes, variance):
        """Bring the latent of networks of our own to a variance of 1.

        Returns the codes in the new scale, and their variance.
        """
        if variance < LEAST_VARIANCE:
            return codes, 1.0  # a scale that the networks can start from
        scale = math.sqrt(variance)
        last, first = self.encoder[-1], self.decoder[0]
        last.weight[: self.latent_dim] /= scale
        last.bias[: self.latent_dim] /= scale
        first.weight *= scale
        return codes / np.float32(scale), 1.0

    @torch.no_grad()
    def start_heads(self):
        """Make q(z|w,x), where it is a network, p(z|w), which is quadratic in w."""
        if self.head_x is None:
            return
        precisions = (1 / self.component_variances()).expand(-1, self.latent_dim)
        self.head_x.weight.zero_()
        self.head_x.bias.zero_()
        linear = precisions * self.component_means
        self.head_w.weight.copy_(torch.cat([linear, -precisions / 2], -1))
        constant = precisions.log() - linear * self.component_means
        self.head_w.bias.copy_(constant.sum(-1) / 2 + self.prior().log_pi())

    @torch.no_grad()
    def split_component(self, largest, dead):
        """Give a dead component half of the largest one, along its widest axis."""
        scales = self.component_variances()[largest].sqrt().expand(self.latent_dim)
        step = torch.zeros_like(scales)
        axis = scales.argmax()
        step[axis] = scales[axis]
        centre = self.component_means[largest].clone()
        self.component_means[dead] = centre + step
        self.component_means[largest] = centre - step
        self.component_log_scales[dead] = self.component_log_scales[largest]
        if self.component_logits is not None:
            self.component_logits[largest] -= math.log(2)
            self.component_logits[dead] = self.component_logits[largest]
        self.start_heads()


def _zeros(*shape):
    return nn.Parameter(torch.zeros(shape, dtype=torch.float32))


def _linear(n_inputs, n_outputs):
    return nn.utils.skip_init(nn.Linear, n_inputs, n_outputs, dtype=torch.float32)
