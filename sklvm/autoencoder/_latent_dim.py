r"""How many latents a table has: as many factors as rows left out are explained by.

A factor analysis :math:`x \sim N(m, W W^T + \Psi)` with L factors is fitted to four of
five folds of the rows, for each of a few L, and the L is taken at which the fifth has
the highest log-likelihood, a mean over the folds. What x is of columns that are not
Gaussian, their likelihood says.
"""

import copy
import warnings

import numpy as np
from sklearn.model_selection import KFold
from sklearn.utils._param_validation import StrOptions
from torch import nn
from torch.nn.parameter import is_lazy

from sklvm.autoencoder._distributions import POSTERIORS
from sklvm.autoencoder._linear_start import noise_by_column
from sklvm.autoencoder._missing import MissingCells
from sklvm.mixture import GaussianMixtureEM
from sklvm.neural._device import as_dense
from sklvm.neural._length import LENGTH_CONSTRAINTS, FindsLength
from sklvm.neural._networks import run_blank_rows

# A single latent bends worse than two, and more than the last are seldom of use.
CANDIDATES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
N_FOLDS = 5
# Latents for which a module of the user's own may have been made.
MODULES_MAY_HAVE = range(1, 1025)
# Rows and columns that are looked at, fewer where cells are missing, as these take
# longer; and numbers at once, as X may be sparse.
N_ROWS, N_COLUMNS, N_GAPPED_COLUMNS, N_NUMBERS = 5000, 200, 50, 2**23
# Nats per row that a factor analysis has to gain by an iteration.
TOL = 1e-3
# Of the variance of a column, no less is noise: a copy of another has no density.
LEAST_NOISE = 1e-4


class FindsLatentDim(MissingCells, FindsLength):
    """Density whose number of latents may be left to the data."""

    _parameter_constraints = {
        **MissingCells._parameter_constraints,
        **LENGTH_CONSTRAINTS,
        "latent_dim": [
            *MissingCells._parameter_constraints["latent_dim"],
            StrOptions({"auto"}),
        ],
    }

    def _train_anew(self, X, y, device, single_epoch):
        if self.latent_dim != "auto":
            self._found_latent_dim = int(self.latent_dim)  # of a NumPy array, perhaps
        else:
            likelihood = self._make_likelihood(X, self._rows)
            n_inputs = self._n_encoder_inputs(likelihood, X.shape[1])
            self._found_latent_dim = self._of_modules(n_inputs)
            if self._found_latent_dim is None:
                found = count_factors(likelihood, X, self._draws_bits())
                self._found_latent_dim = found
        super()._train_anew(X, y, device, single_epoch)

    def _of_modules(self, n_inputs):
        """The dimension of z that a module of the user's own is for, or None."""
        if isinstance(self.encoder, nn.Module):
            width = n_outputs(copy.deepcopy(self.encoder), n_inputs)
            n_parameters = POSTERIORS[self.posterior].n_parameters
            fits = (L for L in MODULES_MAY_HAVE if n_parameters(L) == width)
        elif isinstance(self.decoder, nn.Module) and not is_made_later(self.decoder):
            fits = (L for L in MODULES_MAY_HAVE if n_outputs(self.decoder, L))
        else:
            return None
        return next(fits, None)

    @property
    def _n_latents(self):
        return self._found_latent_dim

    @property
    def latent_dim_(self):
        """Dimension of z."""
        return self.net_.module.latent_dim


def is_made_later(network):
    """Whether it has lazy layers, which take whatever comes first."""
    return any(map(is_lazy, network.parameters()))


def n_outputs(network, n_inputs):
    """What a network makes of n_inputs numbers, None where it does not take them."""
    try:
        return run_blank_rows(network, n_inputs).shape[-1]
    except Exception:
        return None  # who builds the networks says what is wrong with it


def count_factors(likelihood, X, draws_bits=False):
    """The one of `CANDIDATES` below the number of columns, or the least of them.

    Parameters
    ----------
    likelihood : Likelihood
    X : array-like of shape (n_samples, n_features)
        Dense, sparse CSR or a memory map, with NaN where entries are missing.
    draws_bits : bool
        Whether the values are the probabilities of bits.
    """
    n_rows = min(N_ROWS, max(N_NUMBERS // X.shape[1], N_FOLDS))
    some = as_dense(X[:: -(-X.shape[0] // n_rows)]).astype(np.float64)
    if draws_bits:
        uniform = np.random.default_rng(0).random(some.shape)
        some = np.where(np.isnan(some), some, uniform < some)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of NumPy among them
        values = _complete(_standardised(likelihood.numbers(some)))
    candidates = [L for L in CANDIDATES if values.shape[1] > L]
    if len(candidates) < 2 or len(values) < N_FOLDS:
        return CANDIDATES[0]
    # Always the same folds, so that the same rows have as many factors.
    folds = KFold(N_FOLDS, shuffle=True, random_state=0).split(values)
    scores = [
        len(held_out) * _scores(values[rows], values[held_out], candidates)
        for rows, held_out in folds
    ]
    return candidates[int(np.argmax(np.sum(scores, axis=0)))]


def _standardised(values):
    """Those columns that vary, some of them if they are many, with deviation 1."""
    mean, scale = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    varies = np.flatnonzero(scale > 1e-6 * abs(mean))
    most = N_GAPPED_COLUMNS if np.isnan(values[:, varies]).any() else N_COLUMNS
    varies = varies[:: max(-(-len(varies) // most), 1)]
    values = (values[:, varies] - mean[varies]) / scale[varies]
    return values[~np.isnan(values).all(axis=1)]


def _complete(values):
    """What is missing drawn from one Gaussian, which keeps the covariance."""
    if not np.isnan(values).any():
        return values
    one = GaussianMixtureEM(1, max_iter=100, random_state=0).fit(values)
    return one.sample_missing(values)[0]


def _scores(rows, held_out, candidates):
    """Mean log-likelihoods of rows held out of factor analyses of the others."""
    mean = rows.mean(axis=0)
    S, T = _second_moments(rows - mean), _second_moments(held_out - mean)
    # Of what is constant without the fold.
    S[np.diag_indices_from(S)] += np.where(np.diag(S) > 0, 0.0, LEAST_NOISE)
    return np.array([_log_likelihood(S, T, L) for L in candidates])


def _second_moments(values):
    return values.T @ values / len(values)


def _log_likelihood(S, T, L):
    r"""E[log N(x; 0, C)], where E[x x^T] = T and C is the factor analysis of S.

    In units of the noise :math:`C = I + V (D - I) V^T`, with the L largest eigenvalues
    of S.
    """
    psi = np.maximum(noise_by_column(S, L, TOL), LEAST_NOISE)
    units = np.sqrt(np.outer(psi, psi))
    d, V = np.linalg.eigh(S / units)
    d, V, T = d[-L:].clip(1), V[:, -L:], T / units
    explained = ((T @ V) * V).sum(axis=0) @ (1 - 1 / d)
    log_det = np.log(2 * np.pi * psi).sum() + np.log(d).sum()
    return -(log_det + np.trace(T) - explained) / 2
