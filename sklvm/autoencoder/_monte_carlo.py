"""Monte Carlo estimates of a fitted autoencoder, whose noise belongs to the rows."""

import numpy as np
import torch

from sklvm.autoencoder._noise import row_bits, row_keys, row_normals
from sklvm.neural._device import as_tensor, inference
from sklvm.neural._estimator import BLOCK_SIZE


class RowEstimates:
    """Bounds and densities of rows by draws of z, for a `LatentVariableModel`."""

    def _lower_bounds_of_rows(self, X, n_draws):
        """F of each row: the mean of log p(x, z) - log q(z|x)."""

        def bound(batch, q, p, eps):
            return self._log_weights(batch, q, p, eps).cpu().double().mean(0)

        return self._map_chunks(bound, X, n_draws)

    def _log_likelihoods_of_rows(self, X, n_draws):
        """log 1/S sum_s p(x, z_s) / q(z_s|x) of each row, in float32."""

        def log_sum(batch, q, p, eps):
            p = self.net_.module.marginal(p)
            log_weights = self._log_weights(batch, q, p, eps).cpu().double()
            return torch.logsumexp(log_weights, 0)

        log_sums = self._map_chunks(log_sum, X, n_draws)
        return (log_sums - np.log(n_draws)).astype(np.float32)

    def _map_chunks(self, function, X, n_draws, as_bits=True):
        """`function(batch, q, p, eps)` of chunks of rows, each row encoded once.

        `as_bits` draws bits from grey values where that is the model.
        """
        module, device = self._fitted_module()

        def of_rows(keys, rows):
            if module.dynamic and as_bits:
                rows = row_bits(keys, rows)
            batch = module.observe(as_tensor(rows, device))
            eps = row_normals(keys, n_draws, module.latent_dim).to(device)
            return function(batch, *module.encode(batch), eps)

        return self._map_keyed(of_rows, X, n_draws)

    def _map_keyed(self, function, X, n_draws):
        """`function(keys, rows)` of chunks of rows, as one array.

        All chunks have the same size, the last one filled up: a matrix product rounds
        differently for another number of rows, and a row's value would depend on how
        many stand beside it.
        """
        module, _ = self._fitted_module()
        row_size = max(module.row_size * n_draws, module.encoder_row_size)
        size = max(1, BLOCK_SIZE // row_size)
        results = []
        with inference():
            for start in range(0, len(X), size):
                taken = np.arange(start, start + size).clip(max=len(X) - 1)
                rows = np.asarray(X[taken])
                results.append(function(row_keys(rows), rows))
        return torch.cat(results).numpy()[: len(X)]

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

    def _mean_squared_error(self, X):
        """E_q of the squared error of an observed entry, one draw a row."""
        module = self.net_.module

        def sums(batch, q, p, eps):
            x, observed = module.target(batch)
            observed = torch.ones_like(x) if observed is None else observed.to(x.dtype)
            outputs = module.outputs(batch, q.rsample(eps[0]))
            squares = (x - module.likelihood.mean(outputs)).square() * observed
            return torch.stack([squares.sum(-1), observed.sum(-1)], -1).cpu()

        total, n_observed = self._map_chunks(sums, X, n_draws=1).sum(0, np.float64)
        return total / max(n_observed, 1)
