"""Monte Carlo estimates of a fitted autoencoder, whose noise belongs to the rows."""

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from sklvm._base import check_count
from sklvm._warn import warn_user
from sklvm.autoencoder._estimator import BaseAutoencoder
from sklvm.autoencoder._few_rows import chunk_rows
from sklvm.autoencoder._noise import row_bits, row_keys, row_normals
from sklvm.autoencoder._refinement import refined
from sklvm.autoencoder.likelihoods._gaussian import Gaussian
from sklvm.neural._device import as_dense, as_tensor, inference
from sklvm.neural._estimator import BLOCK_SIZE
from sklvm.neural._trace import DivergedError

# A mean KL(q(z|x) || p(z)) below it, in nats, is a latent that is not used. So many
# training rows show it.
COLLAPSED_RATE, N_RATED = 0.1, 1000
# Squared errors of rows, each at a draw of z, that the noise is taken from.
N_ERRORS = 20_000
# Rows whose errors are in memory at a time: each has two numbers per column.
N_ADDED = 2**16
# Numbers of a chunk of rows that are all computed however few rows there are: half a
# block costs many rows about a tenth more time, and one row half as much.
CHUNK_SIZE = BLOCK_SIZE // 2


class RowEstimates(BaseAutoencoder):
    """Bounds and densities of rows by draws of z, for a `LatentVariableModel`."""

    def _set_fitted_state(self, state):
        # What was saved before there were steps keeps the scores that it had.
        super()._set_fitted_state({"n_score_steps": 0} | state)

    # After the training -----------------------------------------------------------

    def _set_noise(self, X):
        """Make optimal noise that of all rows, or of those held out where it is more.

        It may be less where few rows show what there is: the folds' nets are others.
        """
        held_out = self.__dict__.pop("_held_out_errors", None)
        errors, likelihood = self._sum_errors(X), self.net_.module.likelihood
        if not len(errors):
            return
        likelihood.set_noise(errors)
        parts = [part for part in likelihood.modules() if isinstance(part, Gaussian)]
        if held_out is not None and parts:
            variances = [part.closed_noise() for part in parts]
            likelihood.set_noise(held_out)
            for part, variance in zip(parts, variances, strict=True):
                part.raise_noise(variance)

    def _finalize(self, X, y, single_epoch):
        self.__dict__.pop("noise_", None)
        if single_epoch:
            self.lower_bound_ = float(self.lower_bounds_[-1])
        else:
            self._set_noise(X)
            self.lower_bound_ = float(self._lower_bounds_of_rows(X).mean())
        if not np.isfinite(self.lower_bound_):
            raise DivergedError(self.n_iter_, -self.lower_bound_)
        if not single_epoch:
            self._warn_of_collapse(X)
        noise = self.net_.module.likelihood.noise_level()
        if noise is not None:
            self.noise_ = noise

    def _warn_of_collapse(self, X):
        """Say that the decoder goes without the latent, where that may be wrong."""
        module = self.net_.module
        if module.likelihood.is_any_distribution(module.n_features):
            return
        rows = X[:: -(-X.shape[0] // N_RATED)]

        def rate_of(batch, q, p, eps):
            # Of little variance where the rate is small, with any prior.
            z = q.rsample(eps[0])
            return (q.log_prob(z) - p.log_prob(z)).cpu().double()

        rate = self._map_chunks(rate_of, rows, n_draws=1).mean()
        if rate < COLLAPSED_RATE:
            warn_user(
                f"The posterior has collapsed: with beta={self.beta:g} the latent holds"
                f" {max(rate, 0):.2g} nats per row; decrease beta, or increase warmup, "
                "free_bits or max_epochs, unless there is nothing for it to hold.",
                ConvergenceWarning,
            )

    # Estimates --------------------------------------------------------------------

    def _lower_bounds_of_rows(self, X):
        """F of each row by one draw of the encoder's q(z|x)."""
        return self._log_mean_weights(X, 1, lambda p: p, n_steps=0)

    def _scores_of_rows(self, X):
        """log 1/S sum_s p(x, z_s) / q(z_s|x) of each row."""
        check_count("n_score_draws", self.n_score_draws)
        n_steps = self._checked_score_steps()
        return self._log_mean_weights(X, self.n_score_draws, lambda p: p, n_steps)

    def _log_likelihoods_of_rows(self, X, n_draws):
        """The same with p(z) itself where training has a bound on it, in float32."""
        marginal = self.net_.module.marginal
        n_steps = self._checked_score_steps()
        log_p = self._log_mean_weights(X, n_draws, marginal, n_steps)
        return log_p.astype(np.float32)

    def _checked_score_steps(self):
        return check_count("n_score_steps", self.n_score_steps, least=0)

    def _log_mean_weights(self, X, n_draws, prior, n_steps):
        def log_mean_weight(batch, q, p, eps):
            log_weights = self._log_weights(batch, q, prior(p), eps).cpu().double()
            log_mean = torch.logsumexp(log_weights, 0) - np.log(n_draws)
            return of_something(batch, log_mean)

        return self._map_chunks(log_mean_weight, X, n_draws, n_steps)

    def _log_mean_and_error(self, batch, q, p, eps):
        """log 1/S sum_s w_s of each row, and the variance of its estimate."""
        p = self.net_.module.marginal(p)
        log_weights = self._log_weights(batch, q, p, eps).cpu().double()
        log_mean = torch.logsumexp(log_weights, 0) - np.log(len(eps))
        # The sum of the squares of the normalised weights is 1 / S for equal ones.
        squares = torch.logsumexp(2 * log_weights, 0) - 2 * np.log(len(eps))
        variance = ((squares - 2 * log_mean).exp() - 1 / len(eps)).clamp(min=0)
        both = torch.stack([log_mean, variance])
        return of_something(batch, both).T

    def _map_chunks(self, function, X, n_draws, n_steps=0, as_bits=True):
        """`function(batch, q, p, eps)` of chunks of rows, each row encoded once.

        q is refined by `n_steps`. `as_bits` draws bits from values in (0, 1) where that
        is the model.
        """
        module, device = self._fitted_module()

        def of_rows(keys, rows, eps):
            if module.dynamic and as_bits:
                rows = row_bits(keys, rows)
            batch = module.observe(as_tensor(rows, device))
            if n_steps:
                q, p, eps = refined(module, batch, n_steps, eps)
            else:
                q, p = module.encode(batch)
            return function(batch, q, p, eps)

        return self._map_keyed(of_rows, X, n_draws, module.latent_dim, n_steps > 0)

    def _map_keyed(self, function, X, n_draws, n_noise, refines=False):
        """`function(keys, rows, eps)` of chunks of rows, as one array.

        `eps` has `n_noise` numbers for each draw of a row.

        All chunks have the same size, the last one filled up: a matrix product rounds
        differently for another number of rows, and a row's value would depend on how
        many stand beside it.
        """
        module, device = self._fitted_module()
        row_size = max(module.row_size * n_draws, module.encoder_row_size)
        size = max(1, CHUNK_SIZE // row_size)
        size = chunk_rows(module, X.shape[0], size, n_draws, refines)
        # One tensor: small ones that stay between the large ones of the chunks would
        # keep the allocator from using freed memory again.
        results, n = None, X.shape[0]
        with inference():
            for start in range(0, n, size):
                rows = as_dense(X[start : start + size])
                keys = row_keys(rows)
                eps = row_normals(keys, n_draws, n_noise)
                # A copy, too: the user's X stays as it is.
                filled = np.arange(size).clip(max=len(rows) - 1)
                eps = eps if len(rows) == size else eps[:, filled]
                values = function(keys[filled], rows[filled], eps.to(device))
                if results is None:
                    results = values.new_empty(n, *values.shape[1:])
                results[start : start + size] = values[: n - start]
        return results.numpy()

    def _posterior_mean(self, batch, q, p, eps, function):
        """E[function(outputs)|x_observed] by importance weights, a row each."""
        module = self.net_.module
        weights = self._log_weights(batch, q, module.marginal(p), eps).softmax(0)
        total, first = 0.0, 0
        for z in self._draws(q, eps):
            block = weights[first : first + len(z)]
            values = function(module.decode(z))
            total = total + torch.einsum("sn,snd->nd", block, values)
            first += len(z)
        return total

    def _draws(self, q, eps):
        """z of q in blocks of draws that keep memory bounded."""
        size = self.net_.module.row_size * eps.shape[1]
        for block in eps.split(max(1, BLOCK_SIZE // size)):
            yield q.rsample(block)

    def _log_weights(self, batch, q, p, eps):
        """log p(x, z) - log q(z|x) of the draws, of shape (n_draws, n_rows)."""
        module = self.net_.module
        blocks = [
            module.log_conditional(batch, z) + p.log_prob(z) - q.log_prob(z)
            for z in self._draws(q, eps)
        ]
        return torch.cat(blocks)

    def _errors_as_scored(self, X):
        return self._sum_errors(X, self.n_score_draws)

    def _sum_errors(self, X, n_weighed=None):
        """Sums over the rows of what sets the optimal noise, by draws of q.

        None where there is no such noise. By one draw of each of many rows, or by
        `n_weighed` of each that are weighed as in a score; where the objective weighs
        draws, by draws and weights as it had them.
        """
        module = self._fitted_module()[0]
        if not module.likelihood.n_errors(module.n_features):
            return np.zeros(0)
        if self.objective == "iwae":
            n_weighed = module.n_draws
        n_draws = n_weighed or max(1, min(16, N_ERRORS // X.shape[0]))

        def errors(batch, q, p, eps):
            x, observed = module.target(batch)
            weights = eps.new_full(eps.shape[:2], 1 / n_draws)
            if n_weighed:
                weights = self._log_weights(batch, q, p, eps).softmax(0)
            outputs = module.outputs(batch, q.rsample(eps))
            terms = module.likelihood.errors(x, outputs, observed)
            return torch.einsum("sn,snd->nd", weights, terms).cpu()

        starts = range(0, X.shape[0], N_ADDED)
        return sum(
            self._map_chunks(errors, X[i : i + N_ADDED], n_draws).sum(0, np.float64)
            for i in starts
        )


def of_something(batch, log_density):
    """The log density of rows; 0, that of nothing, where no entry is observed."""
    _, observed, *_ = batch
    if observed is None:
        return log_density
    return torch.where(observed.any(-1).cpu(), log_density, 0.0)
