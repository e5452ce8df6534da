"""GMVAEs whose parameters are known, and their integrals in float64."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import log_softmax, logsumexp
from scipy.stats import norm

from sklvm import GMVAE

from .models import double, frozen, linear, quietly
from .reference import linear_conditional, observed_evidence

SIGMA = 0.5
W = np.array([[1.5, 0.4], [-1.0, 0.8], [0.5, 1.2], [0.0, -1.2]])
B = np.array([0.5, -0.5, 1.0, 0.0])


@dataclass
class Mixture:
    """p(z) and p(w|z): weights (K,), means (K, L), diagonal variances (K, L)."""

    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray

    def log_joint(self, w):
        """log pi_k + log N(w; mu_k, diag s_k) of w (..., L), shape (..., K)."""
        w = np.asarray(w, dtype=float)[..., None, :]
        log_w = norm.logpdf(w, self.means, np.sqrt(self.variances)).sum(-1)
        return np.log(self.weights) + log_w

    @classmethod
    def of(cls, est):
        """The mixture that a fitted GMVAE publishes."""
        variances = est.covariances_
        if variances.ndim == 1:
            variances = np.tile(variances[:, None], est.means_.shape[1])
        parts = (est.weights_, est.means_, variances)
        return cls(*(np.asarray(part, dtype=float) for part in parts))


DIAG = Mixture(
    np.array([0.5, 0.3, 0.2]),
    np.array([[-1.5, 0.0], [1.0, 1.5], [1.2, -1.0]]),
    np.array([[0.6, 1.0], [0.5, 0.9], [1.1, 0.4]]),
)
ROUND = Mixture(DIAG.weights, DIAG.means, np.outer([0.6, 0.9, 0.4], [1, 1]))
MIXTURES = {"diag": DIAG, "spherical": ROUND}


def draw(n_samples, mixture=DIAG, sigma=SIGMA, seed=0):
    """Rows of the model with the linear decoder (W, B), and their components."""
    rng = np.random.default_rng(seed)
    k = rng.choice(len(mixture.weights), p=mixture.weights, size=n_samples)
    w = rng.normal(mixture.means[k], np.sqrt(mixture.variances[k]))
    return w @ W.T + B + sigma * rng.normal(size=(n_samples, len(B))), k


def likelihood_encoder(sigma=SIGMA, width=1.0):
    """The normalised likelihood, a good q(w|x) where the noise is small."""
    precision = W.T @ W / sigma**2
    gain = np.linalg.pinv(W)
    log_sd = np.log(width) - 0.5 * np.log(np.diag(precision))
    return linear(
        np.vstack([gain, np.zeros_like(gain)]), np.concatenate([-gain @ B, log_sd])
    )


def sequential(encoder):
    """As the shared trunk needs it: an empty body and a linear head."""
    return torch.nn.Sequential(encoder)


def known(X, mixture=DIAG, *, encoder=None, decoder=None, **params):
    """A GMVAE with linear networks (unless given) and this mixture, held there."""
    n_components, latent_dim = mixture.means.shape
    params = {
        "n_components": n_components,
        "latent_dim": latent_dim,
        "weights": "free",
        "noise": SIGMA,
        "pretraining": 0.0,
        "warmup": 0.0,
        "warm_start": True,
        "estimator": GMVAE,
    } | params
    encoder = encoder or sequential(likelihood_encoder(width=1.2))
    est = frozen(X, encoder, decoder or linear(W, B), **params)
    set_mixture(est, mixture)
    return est


def set_mixture(est, mixture):
    """Write the parameters into the module, and p(z|w) into the heads of a network."""
    module = est.net_.module
    scales = 0.5 * np.log(mixture.variances - module.least_variance.item())
    with torch.no_grad():
        module.component_means.copy_(torch.as_tensor(mixture.means))
        columns = module.component_log_scales.shape[1]
        module.component_log_scales.copy_(torch.as_tensor(scales[:, :columns]))
        if est.weights == "free":
            module.component_logits.copy_(torch.as_tensor(np.log(mixture.weights)))
        if module.head_w is not None:
            set_heads(module, mixture)


def set_heads(module, mixture):
    """The logits of p(z|w), which are quadratic in w."""
    precision = 1 / mixture.variances
    slope = np.hstack([precision * mixture.means, -precision / 2])
    bias = mixture.log_joint(np.zeros(mixture.means.shape[1]))
    for layer in (module.head_x, module.head_w):
        for parameter in layer.parameters():
            parameter.zero_()
    module.head_w.weight.copy_(torch.as_tensor(slope))
    bias_of = module.head_w if module.head_w.bias is not None else module.head_x
    bias_of.bias.copy_(torch.as_tensor(bias))


def disturb_heads(est, scale=0.7, seed=1):
    """Any q(z|w, x) that depends on both."""
    module = est.net_.module
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in (module.head_x, module.head_w):
            noise = torch.randn(layer.weight.shape, generator=generator)
            layer.weight.add_(scale * noise)


def copy_parameters(source, target):
    """The target's module gets all parameters that both have."""
    state = source.net_.module.state_dict()
    names = target.net_.module.state_dict().keys()
    target.net_.module.load_state_dict({n: state[n] for n in names})


def trace(est, X, n_epochs):
    """Values of the training's objective where the model stands, one an epoch."""
    est.set_params(max_epochs=n_epochs)
    n_before = est.n_iter_
    return quietly(est.fit, X).lower_bounds_[n_before:]


# Integrals.


def mixture_log_joint(X, mixture, sigma=SIGMA):
    """log p(x, z) of each row and component, shape (n, K); NaN is integrated out."""
    columns = [
        [
            np.log(pi) + observed_evidence(x, W @ mean + B, covariance_of(s, sigma))
            for pi, mean, s in zip(
                mixture.weights, mixture.means, mixture.variances, strict=True
            )
        ]
        for x in X
    ]
    return np.array(columns)


def covariance_of(variances, sigma=SIGMA):
    """Of x given a component."""
    return (W * variances) @ W.T + sigma**2 * np.eye(len(W))


def mixture_evidence(X, mixture, sigma=SIGMA):
    """log p(x) of a mixture of probabilistic PCAs."""
    return logsumexp(mixture_log_joint(X, mixture, sigma), axis=1)


def mixture_conditional(X, mixture, sigma=SIGMA):
    """X with every NaN replaced by E[x_missing | x_observed]."""
    resp = np.exp(log_softmax(mixture_log_joint(X, mixture, sigma), axis=1))
    filled = np.array(
        [
            [
                linear_conditional(x, W * np.sqrt(s), W @ mean + B, sigma)
                for mean, s in zip(mixture.means, mixture.variances, strict=True)
            ]
            for x in X
        ]
    )
    return np.einsum("nk,nkd->nd", resp, filled)


def hermite(latent_dim=2, n_nodes=40):
    """Nodes (m, L) and weights (m,) of an expectation over N(0, I)."""
    x, weight = np.polynomial.hermite_e.hermegauss(n_nodes)
    nodes = np.stack(np.meshgrid(*[x] * latent_dim, indexing="ij"), -1)
    weights = np.meshgrid(*[weight / weight.sum()] * latent_dim, indexing="ij")
    return nodes.reshape(-1, latent_dim), np.prod(weights, axis=0).ravel()


def q_of(encoder, X):
    """Means and standard deviations of a diagonal q(w|x), float64."""
    with torch.no_grad():
        mean, log_sd = double(encoder)(torch.as_tensor(X)).chunk(2, -1)
    return mean.numpy(), log_sd.exp().numpy()


def network_log_q(est):
    """log q(z|w, x) of the heads, a function of w (n, m, L) and X."""
    module = double(est.net_.module)

    def log_q(w, X):
        w = torch.as_tensor(w)
        with torch.no_grad():
            trunk = module.encoder[:-1](torch.as_tensor(X))
            logits = module.head_w(torch.cat([w, w**2], -1))
            logits = logits + module.head_x(trunk)[:, None]
        return log_softmax(logits.numpy(), axis=-1)

    return log_q


def exact_terms(X, encoder, mixture, log_q=None, sigma=SIGMA):
    """The z, w and x parts of the bound and E_q[q(z|w, x)], by quadrature.

    `log_q` None is the best q(z|w, x), which is p(z|w).
    """
    mean, sd = q_of(encoder, X)
    nodes, weights = hermite(mean.shape[1])
    w = mean[:, None] + sd[:, None] * nodes
    log_joint = mixture.log_joint(w)
    log_q_z = log_softmax(log_joint, axis=-1) if log_q is None else log_q(w, X)
    q_z = np.exp(log_q_z)
    log_prior = np.log(mixture.weights)
    entropy_w = norm.entropy(scale=sd).sum(-1)
    z = (q_z * (log_prior - log_q_z)).sum(-1) @ weights
    w_part = (q_z * (log_joint - log_prior)).sum(-1) @ weights + entropy_w
    x = norm.logpdf(X[:, None], w @ W.T + B, sigma).sum(-1) @ weights
    return z, w_part, x, np.einsum("nmk,m->nk", q_z, weights)
