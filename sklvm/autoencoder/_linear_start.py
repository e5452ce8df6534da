r"""The linear special case of an autoencoder, at whose maximum its training starts.

With a linear decoder the model is factor analysis,

.. math::

    z \sim N(0, I), \quad x|z \sim N(W z + m, \Psi),

or probabilistic PCA for :math:`\Psi = \sigma^2 I`. With z turned so that
:math:`W^T \Psi^{-1} W` is diagonal, the posterior is Gaussian with a diagonal
covariance and a mean that is linear in x, so the bound is tight at the start. Of a
density of y given x the same holds of what linear regression on x leaves of y.
"""

import warnings

import numpy as np
import torch
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler
from torch import nn

from sklvm.autoencoder.likelihoods._base import column_moments, dense_chunks
from sklvm.mixture import GaussianMixtureEM
from sklvm.state._classes import stateful

# A covariance of more columns would take longer than the training.
MAX_COLUMNS = 2000
# Rows with missing cells that its maximum is sought from, and columns up to which it
# is; and rows of a regression.
N_ROWS, MAX_GAPPED_COLUMNS = 5000, 200
# Deviations of its input over which the first layer's thresholds lie.
SPREAD = 2.0
# Of the least eigenvalue of correlations that as many latents can explain.
SMALL_NOISE = 0.1
# Of a regression on standardised columns.
RIDGES = np.logspace(-2, 5, 8)
# Nats per row that factor analysis has to gain by an iteration.
TOL = 1e-4


@stateful
class LinearAndNetwork(nn.Module):
    """A linear map and a network of the same input, added up."""

    def __init__(self, linear, network):
        super().__init__()
        self.linear = linear
        self.network = network

    def forward(self, x):
        return self.linear(x) + self.network(x)


class LinearStart:
    """The maximum of the linear model of those features that are Gaussian.

    Parameters
    ----------
    likelihood : Likelihood
        Its noise is set to that of the linear model.
    X : array-like of shape (n_samples, n_features)
    outputs : tensor of shape (width,)
        Those that explain X without z; noise that is among them is set in place.
    latent_dim : int
    is_shared : bool
        Whether there is one sigma for all features.
    given : ndarray of shape (n_samples, n_given), default=None
        What the encoder reads behind X and the decoder behind z; the linear model is
        that of what a regression on it leaves of X.
    """

    def __init__(self, likelihood, X, outputs, latent_dim, is_shared, given=None):
        part = likelihood.linear_part(X)
        self.part, self.latent_dim, self.outputs = part, latent_dim, outputs
        self.B, values = None, part.values
        if given is not None:
            self.B = _slopes(given, values)
            values = values - given @ self.B.T
        self.mean, scale, S = _moments(values)
        self.scale = scale
        if is_shared:
            C = (S * np.outer(scale, scale))[part.shares][:, part.shares]
            psi = np.full(len(S), _shared_noise(C, latent_dim))
        elif given is not None and latent_dim >= len(S):
            psi = _small_noise(S, latent_dim) * scale**2
        else:
            psi = noise_by_column(S, latent_dim) * scale**2
        psi = likelihood.start_noise(psi, outputs)
        # The best W for this noise, in closed form.
        root = np.sqrt(psi) / scale
        values, vectors = np.linalg.eigh(S / np.outer(root, root))
        first = slice(None, -min(latent_dim, len(psi)) - 1, -1)
        self.d = np.maximum(values[first], 1.0)
        turned = vectors[:, first] * np.sqrt(self.d - 1)
        self.W = np.sqrt(psi)[:, None] * turned
        self.E = (turned / np.sqrt(psi)[:, None] / self.d).T

    def as_decoder(self, network, generator):
        """The mean W z + m with the other outputs constant, and a network beside it."""
        k = self.W.shape[1]
        if self.B is None:
            spread(network[0], generator)
        linear, decoder = _beside(network)
        with torch.no_grad():
            linear.weight[self.part.outputs, :k] = _single(self.W)
            linear.bias.copy_(_single(self.outputs.numpy()))
            # The mean that the encoder takes off, which missing cells change.
            linear.bias[self.part.outputs] = _single(self.mean)
            if self.B is not None:
                linear.weight[self.part.outputs, self.latent_dim :] = _single(self.B)
        return decoder

    def as_encoder(self, network, n_inputs, generator):
        """Mean and log scale of the posterior, and a network beside them.

        Behind the `n_inputs` that it reads of x comes what is given, or what tells
        which features are observed; what is not, the linear part reads as the mean.
        """
        E, m = _single(self.E), _single(self.mean)
        k, L = len(E), self.latent_dim
        if self.B is None:
            width = network[0].in_features
            center, scale = np.zeros(width), np.ones(width)
            center[self.part.inputs], scale[self.part.inputs] = self.mean, self.scale
            spread(network[0], generator, center, scale)
        linear, encoder = _beside(network)
        with torch.no_grad():
            linear.weight[:k, self.part.inputs] = E
            if self.B is not None:
                linear.weight[:k, n_inputs:] = -E @ _single(self.B)
                linear.bias[:k] = -E @ m
            elif linear.in_features > n_inputs:
                linear.weight[:k, n_inputs + self.part.features] = -E * m
            else:
                linear.bias[:k] = -E @ m
            linear.bias[L : L + k] = _single(-np.log(self.d) / 2)
        return encoder


def spread(layer, generator, center=None, scale=1.0):
    """Let the units of a first layer bend all over inputs of this centre and scale.

    Unit directions, and thresholds between -2 and 2 standard deviations. Where all
    thresholds are 0, as usual, a network bends at the mean of the data alone, and
    does not find its way out of a linear model with a curve for its truth.
    """
    with torch.no_grad():
        layer.weight.normal_(generator=generator)
        layer.weight /= layer.weight.norm(dim=1, keepdim=True)
        layer.bias.uniform_(-SPREAD, SPREAD, generator=generator)
        layer.weight /= torch.as_tensor(scale, dtype=torch.float32)
        if center is not None:
            layer.bias -= layer.weight @ torch.as_tensor(center, dtype=torch.float32)


def _beside(network):
    """A linear layer of zeros, and it together with the network, whose last is 0."""
    head = network[-1]
    with torch.no_grad():
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
    if len(network) == 1:
        return head, network
    linear = nn.utils.skip_init(
        nn.Linear, network[0].in_features, head.out_features, dtype=torch.float32
    )
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear, LinearAndNetwork(linear, network)


def _single(array):
    """A float32 tensor; devices may have no float64."""
    return torch.from_numpy(array.astype(np.float32))


def has_linear_start(likelihood, n_columns):
    """Whether some features are Gaussian, and a covariance of them can be had."""
    return n_columns <= MAX_COLUMNS and any(
        getattr(part, "is_real", False) for part in likelihood.modules()
    )


def _slopes(given, values):
    """A regression of the columns (n, d) on what is given (n, n_given), (d, n_given).

    With a ridge that rows left out like best, as there may be more columns than rows.
    """
    if len(given) == 1:  # which shows no slope, and leaves none to judge it by
        return np.zeros((values.shape[1], given.shape[1]))
    some = slice(None, None, -(-len(given) // N_ROWS))
    scaler = StandardScaler()
    ridge = RidgeCV(RIDGES).fit(scaler.fit_transform(given[some]), values[some])
    return ridge.coef_.reshape(values.shape[1], -1) / scaler.scale_


def _moments(values):
    """Means, deviations and correlations of the columns."""
    mean, variance = column_moments(values)
    scale = np.sqrt(np.where(variance > 0, variance, 1.0))
    n, d = values.shape
    if not any(np.isnan(part).any() for part in dense_chunks(values)):
        products = np.zeros((d, d))
        for part in dense_chunks(values):
            part = (part - mean) / scale
            products += part.T @ part
        return mean, scale, products / n
    some = np.asarray(values[:: -(-n // N_ROWS)], dtype=np.float64)
    some = (some - mean) / scale
    some = some[~np.isnan(some).all(axis=1)]
    if d <= MAX_GAPPED_COLUMNS and not np.isnan(some).all(axis=0).any():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one = GaussianMixtureEM(1, max_iter=100, random_state=0).fit(some)
        return mean + scale * one.means_[0], scale, one.covariances_[0]
    some = np.nan_to_num(some)
    return mean, scale, some.T @ some / len(some)


def noise_by_column(S, latent_dim, tol=TOL):
    """Psi of the factor analysis that fits the correlations S best.

    Up to `tol` nats per row and iteration.
    """
    varies = np.diag(S) > 0
    if not varies.all():
        psi = np.zeros(len(S))
        if varies.any():
            psi[varies] = noise_by_column(S[np.ix_(varies, varies)], latent_dim, tol)
        return psi
    d = len(S)
    values, vectors = np.linalg.eigh(S)
    # Rows whose mean is 0 and whose covariance is S.
    rows = np.sqrt(d * values.clip(0))[:, None] * vectors.T
    analysis = FactorAnalysis(
        # With as many factors as columns scikit-learn's bound is wrong, and it stops
        # where fewer are better; one less explains everything, too.
        min(latent_dim, max(d - 1, 1)),
        # Of many columns a start that is nearly there is enough.
        max_iter=1000 if d <= 100 else 100,
        tol=tol * 2 * d,
        svd_method="lapack" if d <= 100 else "randomized",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        analysis.fit(np.concatenate([rows, -rows]))
    return analysis.noise_variance_


def _small_noise(S, latent_dim):
    """The same of so many latents that all noise up to a limit explains S as well.

    With much of it z says little of the columns, and a training may end where z says
    nothing; of columns with branches, that is far from the best.
    """
    least = np.linalg.eigvalsh(S)[0]
    if least <= 0:  # as of constant columns
        return noise_by_column(S, latent_dim)
    return np.full(len(S), SMALL_NOISE * least)


def _shared_noise(C, latent_dim):
    """sigma^2 of probabilistic PCA: the mean of what is left of C."""
    left = np.linalg.eigvalsh(C)[: max(len(C) - latent_dim, 0)].clip(0)
    return left.mean() if len(left) else 0.0
